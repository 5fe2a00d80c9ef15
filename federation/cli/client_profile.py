"""Who asks: the connection profile of an agency, and the options that every command of an agency shares.

A profile is found by `--client FILE`, else by `--agency` in the folder given by `--home`, else by `BRIDGEHEAD_CLIENT`.
The request id is made here unless it is given, so that a command can be repeated and is done once.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Concatenate, ParamSpec, TypeVar

import typer

from federation.cli.output import Form, FormOption
from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from federation.domain.permit_policy import PermitPurpose
    from federation.node.home.certificates import AgencyProfile
    from federation.wire.client import AgencyClient
    from federation.wire.values import Act

CLIENT_VARIABLE = "BRIDGEHEAD_CLIENT"
OFFICER_VARIABLE = "BRIDGEHEAD_OFFICER"
_WHO = "Who asks, and why"
_AGENCIES_TOLD = 6

P = ParamSpec("P")
T = TypeVar("T")

ClientOption = Annotated[
    Path | None,
    typer.Option("--client", help=f"The agency's profile.toml (or {CLIENT_VARIABLE}).", rich_help_panel=_WHO),
]
HomeOption = Annotated[
    Path,
    typer.Option("--home", help="With --agency: a folder with federation.json or a node's home.", rich_help_panel=_WHO),
]
AgencyOption = Annotated[
    str | None, typer.Option("--agency", help="Such as zhejiang/330822/service-hall.", rich_help_panel=_WHO)
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.5, max=600, help="Seconds.", rich_help_panel=_WHO)]
OfficerOption = Annotated[
    str,
    typer.Option("--officer", envvar=OFFICER_VARIABLE, help="The officer's pseudonym.", rich_help_panel=_WHO),
]
_PurposeOption = Annotated[
    str | None,
    typer.Option(
        "--purpose", help="Such as permit.check or lookup.missing_person (that of the step).", rich_help_panel=_WHO
    ),
]
FunctionOption = Annotated[
    str | None, typer.Option("--function", help="F01 to F23 (that of the purpose).", rich_help_panel=_WHO)
]
RequestOption = Annotated[
    str | None, typer.Option("--request-id", help="A UUID: the same one is done once.", rich_help_panel=_WHO)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One agency's desk: its profile, who sits there, why, and under which request id."""

    profile: AgencyProfile
    officer: str
    request_id: str
    purpose: str | None = None
    function: str | None = None
    timeout_seconds: float = 30.0
    form: Form = Form.TEXT

    def act(self, usual: PermitPurpose) -> Act:
        """Who acts and what for: the purpose that is usual for the step unless another was given.

        Raises:
            typer.BadParameter: for a purpose of no known function, when no function was given.
        """
        from federation.domain.permit_policy import FUNCTION_OF
        from federation.wire.values import Act

        purpose = self.purpose or usual.value
        function = self.function or next((code for known, code in FUNCTION_OF.items() if known == purpose), None)
        if function is None:
            raise typer.BadParameter(f"no function is known for {purpose!r:.60}; give --function, or one of these "
                                     f"purposes: {', '.join(FUNCTION_OF)}")  # fmt: skip
        return Act(request_id=self.request_id, purpose=purpose, function=function, officer=self.officer)

    def ask(self, question: Callable[[AgencyClient], Awaitable[T]], *, changes: bool = True) -> T:
        """Asks the agency's own node, over one connection.

        Raises:
            UnavailableError: when the question `changes` something, its `request_id` is the one to repeat it with.
            BridgeheadError: as the node answered.
        """
        try:
            return asyncio.run(ask_node(self.profile, question, timeout_seconds=self.timeout_seconds))
        except UnavailableError as error:
            if changes:
                error.facts.setdefault("request_id", self.request_id)
            raise


async def ask_node(
    profile: AgencyProfile, question: Callable[[AgencyClient], Awaitable[T]], *, timeout_seconds: float
) -> T:
    """Opens a connection with the profile, asks, closes it.

    Raises:
        BridgeheadError: as the node answered; UnavailableError when it was not reached.
    """
    from federation.wire.client import AgencyClient
    from federation.wire.values import ClientProfile, TlsFiles

    found = ClientProfile(
        address=profile.agency_addr,
        tls=TlsFiles(certificate=profile.cert, key=profile.key),
        authority=profile.ca,
        server_name=profile.server_name,
    )
    client = AgencyClient(found, timeout_seconds=timeout_seconds)
    try:
        return await question(client)
    finally:
        await client.close()


def find_profile(client: Path | None, home: Path, agency: str | None) -> AgencyProfile:
    """Finds the profile that the options, or else the environment, name.

    Raises:
        typer.BadParameter: when nothing names one.
        NotFoundError: AGENCY_PROFILE naming the agencies that there are; FEDERATION_FILE; FILE_MISSING.
        MalformedError: as `load_profile` and `load_federation_file`.
    """
    from federation.node.home.certificates import load_profile

    if client is None and agency is not None:
        client = _profile_in(home, agency)
    if client is None and os.environ.get(CLIENT_VARIABLE):
        client = Path(os.environ[CLIENT_VARIABLE])
    if client is None:
        raise typer.BadParameter(
            f"no agency named: give --client FILE, set {CLIENT_VARIABLE}, or give --agency (with --home)"
        )
    if client.is_dir():
        client = client / "profile.toml"
    return load_profile(client)


def profiles_in(home: Path) -> dict[str, Path]:
    """The profiles that a folder knows, by agency: those of its federation.json, or those of a node's home.

    Raises:
        NotFoundError: FEDERATION_FILE when the folder is neither.
        MalformedError: as `load_federation_file`.
    """
    from federation.cli.federation_file import FEDERATION_FILE, load_federation_file
    from federation.node.home.certificates import PROFILE_FILE, load_profile

    if (home / FEDERATION_FILE).is_file():
        profiles = load_federation_file(home / FEDERATION_FILE).profiles
        return {str(agency): path for agency, path in profiles.items()}
    found = sorted(home.glob(f"clients/*/{PROFILE_FILE}"))
    if not found:
        raise NotFoundError("FEDERATION_FILE", f"expected {FEDERATION_FILE} or a node's home in {home}", home=str(home))
    return {str(load_profile(path).agency): path for path in found}


def open_desk(
    *,
    client: ClientOption = None,
    home: HomeOption = Path(".demo"),
    agency: AgencyOption = None,
    officer: OfficerOption = "clerk",
    purpose: _PurposeOption = None,
    function: FunctionOption = None,
    request_id: RequestOption = None,
    timeout: TimeoutOption = 30.0,
    form: FormOption = Form.TEXT,
) -> Desk:
    """Opens a desk with the options that every command of an agency shares (`gathering`).

    Raises:
        MalformedError: REQUEST_ID when it is no UUID.
        BridgeheadError, typer.BadParameter: as `find_profile`.
    """
    return Desk(
        profile=find_profile(client, home, agency),
        officer=officer,
        request_id=_parse_request_id(request_id) if request_id else str(uuid.uuid4()),
        purpose=purpose,
        function=function,
        timeout_seconds=timeout,
        form=form,
    )


def gathering(gather: Callable[..., T]) -> Callable[[Callable[Concatenate[T, P], None]], Callable[P, None]]:
    """Turns the first parameter of a command into the options of `gather`, which makes its value out of them."""
    shared = signature(gather, eval_str=True).parameters

    def decorate(command: Callable[Concatenate[T, P], None]) -> Callable[P, None]:
        own = list(signature(command, eval_str=True).parameters.values())[1:]

        @wraps(command)
        def gathered(*args: P.args, **kwargs: P.kwargs) -> None:
            options = {name: kwargs.pop(name) for name in shared}
            command(gather(**options), *args, **kwargs)

        parameters = [*own, *shared.values()]
        gathered.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # where typer finds the options
        gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return gathered

    return decorate


def _parse_request_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise MalformedError("REQUEST_ID", f"expected --request-id to be a UUID, got {text!r:.40}") from error


def _profile_in(home: Path, agency: str) -> Path:
    from federation.protocol.ids import parse_agency_id

    wanted, known = str(parse_agency_id(agency)), profiles_in(home)
    if wanted not in known:
        near = [name for name in known if name.startswith(wanted.partition("/")[0])] or list(known)
        told = ", ".join(near[:_AGENCIES_TOLD]) + (", ..." if len(near) > _AGENCIES_TOLD else "")
        raise NotFoundError("AGENCY_PROFILE", f"{home} has no profile of {wanted}; it has {told or 'none'}")
    return known[wanted]
