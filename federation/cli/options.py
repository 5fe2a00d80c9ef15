"""The options that every command of an agency shares: its node, who asks, the form of the answer, the exit code.

`federation.json` says where nodes are reached, never whom to trust: every key comes from the agreement, verified from
its pinned root. A profile is found by `--client FILE`, else by `--agency` in the folder given by `--home`, else by
`BRIDGEHEAD_CLIENT`. A refusal by policy is an answer: it goes to stdout, and the exit code is 1.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol, TypeVar

import msgspec
import typer
from msgspec import Struct

from federation.cli import show
from federation.cli.completion import complete_agency
from federation.cli.tree import Gathered, identifier
from federation.cli.words import said
from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, format_base64, parse_agency_id, parse_node_name

if TYPE_CHECKING:
    from federation.protocol.keys import Signer

FEDERATION_FILE = "federation.json"


class FederationFile(Struct, frozen=True, kw_only=True):
    """`federation.json`. `root` is the pinned first root: a file, or its digest."""

    path: Path
    agreement: Path
    root: str
    read_urls: Mapping[NodeName, str]
    profiles: Mapping[AgencyId, Path]


class _Agreement(msgspec.Struct):
    path: str
    root: str


class _Node(msgspec.Struct):
    node: str
    read_url: str


class _Client(msgspec.Struct):
    agency: str
    profile: str | None = None


class _File(msgspec.Struct):
    agreement: _Agreement
    nodes: list[_Node]
    clients: list[_Client]


def load_federation_file(path: Path) -> FederationFile:
    """Loads a `federation.json` (FEDERATION_FILE, NODE_NAME, AGENCY_ID)."""
    from federation.node.home.files import read_json

    try:
        found = msgspec.json.decode(read_json(path), type=_File)
    except (NotFoundError, OSError) as error:
        raise NotFoundError("FEDERATION_FILE", f"expected {path}: a running 'bridgehead demo' writes one") from error
    except msgspec.ValidationError as error:
        raise MalformedError("FEDERATION_FILE", f"{path} is not as a running 'bridgehead demo' writes it") from error
    except MalformedError as error:
        raise MalformedError("FEDERATION_FILE", f"{path}: expected JSON, got {error.reason}") from error
    return FederationFile(
        path=path,
        agreement=_resolve(path, found.agreement.path),
        root=found.agreement.root,
        read_urls={parse_node_name(each.node): each.read_url for each in found.nodes},
        profiles={
            parse_agency_id(each.agency): _resolve(path, each.profile)
            for each in found.clients
            if each.profile is not None
        },
    )


def _resolve(file: Path, text: str) -> Path:
    beside = file.parent / text
    return beside if beside.exists() else Path(text)


if TYPE_CHECKING:
    from federation.cli.show import JsonOut
    from federation.node.home.files import AgencyProfile
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Act, ClientProfile, Rpc, Ruling

CLIENT_VARIABLE: Final = "BRIDGEHEAD_CLIENT"
OFFICER_VARIABLE: Final = "BRIDGEHEAD_OFFICER"
KEY_VARIABLE: Final = "BRIDGEHEAD_KEY"
SWITCH_SECONDS: Final = 0.0002
"""How long one thread keeps the interpreter. The loop gives it up at each signature and each read; with Python's 5 ms
the log's writer would then hold it for 5 ms every time, and a message would take twenty instead of three."""
_WHO: Final = "Who asks, and why"
_AGENCIES_SHOWN: Final = 6
T = TypeVar("T")


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"


class Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


A = TypeVar("A")


class News(Protocol):
    """A piece of news of a stream; `token` is its place, empty for what has none."""

    @property
    def token(self) -> str: ...


N = TypeVar("N", bound=News)
P = TypeVar("P", bound="Page")
Q = TypeVar("Q")

NodeHome = Annotated[Path, typer.Option("--home", help="The node's home.")]
FormOption = Annotated[Form, typer.Option("-o", "--output", help="text for people, json for programs.")]
ClientOption = Annotated[
    Path | None,
    typer.Option("--client", help=f"The agency's profile.toml (or {CLIENT_VARIABLE}).", rich_help_panel=_WHO),
]
HomeOption = Annotated[
    Path,
    typer.Option("--home", help="With --agency: a folder with federation.json or a node's home.", rich_help_panel=_WHO),
]
AgencyOption = Annotated[
    str | None,
    typer.Option(
        "--agency",
        help="Such as zhejiang/330822/service-hall.",
        rich_help_panel=_WHO,
        autocompletion=complete_agency,
    ),
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.5, max=600, help="Seconds.", rich_help_panel=_WHO)]
OfficerOption = Annotated[
    str | None,
    typer.Option("--officer", envvar=OFFICER_VARIABLE, help="Your pseudonym (that of your key).", rich_help_panel=_WHO),
]
OwnKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key", envvar=KEY_VARIABLE, help="Your own key (本人密钥), when not beside the profile.", rich_help_panel=_WHO
    ),
]
_PurposeOption = Annotated[
    str | None,
    typer.Option(
        "--purpose", help="Such as permit.check or lookup.missing_person (that of the step).", rich_help_panel=_WHO
    ),
]
FunctionOption = Annotated[
    str | None, typer.Option("--function", help="F01 to F26 (that of the purpose).", rich_help_panel=_WHO)
]
RequestOption = Annotated[
    str | None, typer.Option("--request-id", help="A UUID: the same one is done once.", rich_help_panel=_WHO)
]
FullOption = Annotated[
    bool, typer.Option("--full", help="Do not mask citizen numbers, days of birth and private telephones.")
]
PageSize = Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many at once.")]
PageToken = Annotated[str, typer.Option("--page-token", help="Where the page before ended.")]
IdentityOption = Annotated[
    bool, typer.Option("--identity-checked", help="I have checked that it is the person who asks (已核对本人).")
]


class Paging(Struct, frozen=True):
    size: int
    token: str
    everything: bool


def open_paging(
    *,
    page_size: PageSize = 100,
    page_token: PageToken = "",
    everything: Annotated[bool, typer.Option("--all", help="Every page.")] = False,
) -> Paging:
    return Paging(page_size, page_token, everything)


class Desk(Struct, frozen=True, kw_only=True):
    """One agency's desk: its profile, who sits there with which own key, why, and under which request id."""

    profile: AgencyProfile
    request_id: str
    officer: str = ""
    key: Path | None = None
    purpose: str | None = None
    function: str | None = None
    usual: tuple[str, str] = ("", "")
    timeout_seconds: float = 30.0
    form: Form = Form.TEXT
    doubts: tuple[str, ...] = ()
    """Said of what was typed, before it was sent."""

    def act(self, purpose: str = "", function: str = "") -> Act:
        """Returns who acts and what for: as given, as the step says, or as usual; an unknown purpose is refused."""
        from federation.wire.rpc import Act

        officer = self.named_officer()
        return Act(
            request_id=self.request_id,
            purpose=self.purpose or purpose or self.usual[0],
            function=self.function or function or self.usual[1],
            officer=officer,
        )

    def named_officer(self) -> str:
        """Returns who sits here: as given, else as the profile remembers; nobody acts in nobody's name."""
        if not self.officer:
            raise typer.BadParameter(
                "未写明何人：先建一次本人密钥 | nobody is named; make your own key once: "
                "bridgehead lookup key new --officer NAME"
            )
        return self.officer

    def own_key(self, officer: str = "") -> Signer:
        """Loads the own key of who sits here; KEY_MISSING, KEY_FILE_MODE, PRIVATE_KEY."""
        from federation.node.home.files import load_ed25519, officer_key_path

        return load_ed25519(self.key or officer_key_path(self.profile.officers, officer or self.named_officer()))

    def sign(self, signed: bytes) -> str:
        """Returns the signature of who sits here, in base64; raises as `own_key`."""
        return format_base64(self.own_key().sign(signed))

    def ask(self, question: Callable[[AgencyClient], Awaitable[T]], *, changes: bool = True) -> T:
        """Asks the agency's own node, over one connection.

        Raises UnavailableError: when the question `changes` something, its `request_id` is the one to repeat it with.
        BridgeheadError: as the node answered.
        """
        try:
            return asyncio.run(
                ask_node(self.profile, question, sign=self.own_key, timeout_seconds=self.timeout_seconds)
            )
        except UnavailableError as error:
            if changes:
                error.facts.setdefault("request_id", self.request_id)
            raise

    def watch(self, rpc: Rpc[str, N], after: str, show_news: Callable[[N], None], *, count: int | None) -> None:
        """Shows each piece of news of a stream, until Ctrl-C or so many, across lost connections and without a gap.

        As JSON each is one object a line; else `show_news` shows it.
        """
        left = count

        def notify(news: N) -> bool:
            nonlocal left
            ruling: Ruling | None = getattr(news, "decision", None)
            if ruling is not None:
                self.refuse(ruling)
            if self.form is Form.JSON:
                print(show.json_line(news), flush=True)
            else:
                show_news(news)
                sys.stdout.flush()
            left = left - 1 if left is not None else None
            return left != 0

        self.follow(rpc, str, after, notify)

    def follow(self, rpc: Rpc[Q, N], ask: Callable[[str], Q], after: str, notify: Callable[[N], bool]) -> None:
        """Tells each piece of news as `watching.follow` does, until `notify` says that it is enough, or Ctrl-C."""
        from federation.cli.watching import follow

        try:
            asyncio.run(follow(self, rpc, ask, after, notify))
        except KeyboardInterrupt:
            show.say("已停止 | stopped")

    def call(self, rpc: Rpc[Q, A], question: Q, *, act: Act | None = None, changes: bool = True) -> A:
        """Asks the agency's own node one question, as `ask`; for what is usual unless another act is given."""
        given = act or self.act()
        return self.ask(lambda client: client.call(rpc, given, question), changes=changes)

    def read(self, rpc: Rpc[Q, P], query: Q, paging: Paging, *, act: Act | None = None, items: str = "lines") -> P:
        """Reads one page of a list, or every page as one, in which `items` are all of them; as `call`."""
        given = act or self.act()

        async def read(client: AgencyClient) -> P:
            return await read_pages(lambda asked: client.call(rpc, given, asked), query, paging, items=items)

        return self.ask(read, changes=False)

    def show(  # what an answer comes to, in one place
        self,
        answer: object,
        lines: Iterable[str] = (),
        *,
        data: Mapping[str, JsonOut] | None = None,
        full: bool = False,
        notes: Iterable[str] = (),
        steps: Iterable[str] = (),
        code: int = 0,
    ) -> None:
        """Shows an answer in the form that was asked for and ends the command; policy's no is shown as such, code 1.

        `lines` are for a person; `data` goes over the answer's own fields as JSON; `notes` are talk for a person,
        `steps` what to do next, `next` in JSON. Raises typer.Exit: for another code than 0.
        """
        ruling: Ruling | None = getattr(answer, "decision", None)
        refused = ruling is not None and not ruling.allowed
        steps = tuple(steps) or (_steps_after(ruling) if ruling is not None and refused else ())
        if self.form is Form.JSON:
            data = {**self._head(), **show.object_of(answer, full=full), **(data or {})}
        said_of = show.decision_lines(ruling) if ruling is not None and refused else lines
        show_in(self.form, data, said_of, notes=() if refused else notes, steps=steps)
        end(max(code, 1) if refused else code)

    def show_page(
        self,
        page: Page,
        lines: Iterable[str] = (),
        *,
        items: str = "lines",
        noun: str = "in all",
        data: Mapping[str, JsonOut] | None = None,
        full: bool = False,
    ) -> None:
        """Shows a page of a list: how many are on it, or in all, and where the next page begins; ends as `show`."""
        count, more = len(getattr(page, items)), more_notes(page.next_page_token)
        counted = f"本页 {count} 条 | {count} on this page" if more else f"共 {count} 条 | {count} {noun}"
        self.show(page, lines, data=data, full=full, notes=(counted, *more))

    def refuse(self, ruling: Ruling, *, steps: Sequence[str] = ()) -> None:
        """Shows policy's no alone and what to do next, and ends the command with 1."""
        data: JsonOut = {**self._head(), "decision": show.to_json(ruling)}
        show_in(self.form, data, show.decision_lines(ruling), steps=steps or _steps_after(ruling))
        end(1)

    def _head(self) -> dict[str, JsonOut]:
        return {"request_id": self.request_id, **({"doubts": list(self.doubts)} if self.doubts else {})}


def _steps_after(ruling: Ruling) -> Sequence[str]:
    from federation.cli.next_step import find_refusal_steps

    return find_refusal_steps(ruling.policies)


def more_notes(next_page_token: str) -> Sequence[str]:
    return (f"还有：加 --page-token {next_page_token} 或 --all | there are more",) if next_page_token else ()


def show_in(
    form: Form, data: JsonOut, lines: Iterable[str], *, notes: Iterable[str] = (), steps: Iterable[str] = ()
) -> None:
    """Shows data to a program, lines to a person and notes on stderr; to both what to do next, `next` in JSON."""
    following = [said(step) for step in steps]
    if form is Form.JSON:
        show.show_json({**data, "next": following} if following and isinstance(data, Mapping) else data)
        return
    show.show_lines(lines)
    for note in notes:
        show.say(note)
    for step in following:
        show.say_step(step)


def show_value(name: str, text: str, form: Form) -> None:
    """Prints the one value that a command answers with: bare for a person or a pipe, named in an object as JSON."""
    show_in(form, {name: text}, [text])


def now() -> datetime:
    return datetime.now(UTC)


def end(code: int) -> None:
    if code:
        raise typer.Exit(code)


async def read_pages(call: Callable[[Q], Awaitable[P]], query: Q, paging: Paging, *, items: str) -> P:
    """Reads a page, or every page as one.

    A node that looked at many records of which the caller may read none answers an empty page that goes on: what comes
    behind it is read, so that an empty page is the end.
    """
    page = await call(replace(query, page_size=paging.size, page_token=paging.token))
    while page.next_page_token and (paging.everything or not getattr(page, items)):
        following = replace(query, page_size=paging.size, page_token=page.next_page_token)
        more = await call(following)
        found = (*getattr(page, items), *getattr(more, items))
        page = replace(page, **{items: found, "next_page_token": more.next_page_token})
    return page


def read_line(text: str) -> str:
    """Returns what was typed, or the next line of stdin for `-`, so that it need not stand in the shell's history."""
    return (sys.stdin.readline() if text == "-" else text).strip()


def paper_digest(path: Path) -> str:
    """The SHA-256 (hex) of a paper, which itself does not leave the office (FILE_MISSING)."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFoundError("FILE_MISSING", f"expected a paper at {path}") from error


def run_loop(main: Coroutine[None, None, T]) -> T:
    """Runs a coroutine to its end: on uvloop where it is installed, on the standard loop elsewhere."""
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def client_profile(profile: AgencyProfile) -> ClientProfile:
    from federation.wire.rpc import ClientProfile, TlsFiles

    return ClientProfile(
        agency=profile.agency,
        address=profile.agency_addr,
        tls=TlsFiles(certificate=profile.cert, key=profile.key),
        authority=profile.ca,
        server_name=profile.server_name,
    )


def sign_nothing(officer: str) -> None:
    """The key of a program that asks only what nobody signs."""
    del officer


async def ask_node(
    profile: AgencyProfile,
    question: Callable[[AgencyClient], Awaitable[T]],
    *,
    sign: Callable[[str], Signer | None] = sign_nothing,
    timeout_seconds: float,
) -> T:
    from federation.wire.client import AgencyClient

    client = AgencyClient(client_profile(profile), sign=sign, timeout_seconds=timeout_seconds)
    try:
        return await question(client)
    finally:
        await client.close()


def find_profile(client: Path | None, home: Path, agency: str | None) -> AgencyProfile:
    """Finds the profile that the options, or else the environment, name.

    Raises typer.BadParameter: when nothing names one. NotFoundError: AGENCY_PROFILE naming the agencies that there are;
    FEDERATION_FILE; FILE_MISSING. MalformedError: as `load_profile` and `load_federation_file`.
    """
    from federation.node.home.files import load_profile

    if client is None and agency is not None:
        client = _profile_in(home, agency)
    if client is None and os.environ.get(CLIENT_VARIABLE):
        client = Path(os.environ[CLIENT_VARIABLE])
    if client is None:
        raise typer.BadParameter(
            f"未写明单位：--client FILE、{CLIENT_VARIABLE}，或者 --agency（和 --home）"
            f" | no agency named: give --client FILE, set {CLIENT_VARIABLE}, or give --agency (with --home)"
        )
    return load_profile(client / "profile.toml" if client.is_dir() else client)


def profiles_in(home: Path) -> dict[str, Path]:
    """The profiles by agency, of a folder's federation.json or of a node's home; FEDERATION_FILE when it is neither."""
    from federation.cli.options import FEDERATION_FILE, load_federation_file
    from federation.node.home.files import PROFILE_FILE, load_profile

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
    officer: OfficerOption = None,
    key: OwnKeyOption = None,
    purpose: _PurposeOption = None,
    function: FunctionOption = None,
    request_id: RequestOption = None,
    timeout: TimeoutOption = 30.0,
    form: FormOption = Form.TEXT,
) -> Desk:
    """Opens a desk with the options that every command of an agency shares (REQUEST_ID)."""
    profile = find_profile(client, home, agency)
    return Desk(
        profile=profile,
        officer=officer or profile.current_officer(),
        key=key,
        request_id=read_request_id(request_id) if request_id else str(uuid.uuid4()),
        purpose=purpose,
        function=function,
        timeout_seconds=timeout,
        form=form,
    )


_SHARED: Final[Mapping[str, Callable[..., object]]] = {"desk": open_desk, "paging": open_paging}


def command(
    app: typer.Typer,
    name: str,
    *,
    usual: tuple[str, str] = ("", ""),
    without: str = "",
    **shared: Callable[..., object],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds a command whose parameters `desk` and `paging`, if it has them, stand for the options that make them.

    The desk acts for the `usual` purpose and function unless it is told otherwise. `shared` parameters stand for
    options in the same way; an option `without` which the command does is left at its default.
    """

    def decorate(run: Callable[..., None]) -> Callable[..., None]:
        app.command(name)(Gathered(run, {**_SHARED, **shared}, without=without, usual=usual))
        return run

    return decorate


def commands_for(purpose: str, function: str) -> Callable[..., Callable[[Callable[..., None]], Callable[..., None]]]:
    """Returns `command` with this purpose and function as the defaults of every command that it adds."""
    return partial(command, usual=(purpose, function))


def read_request_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise MalformedError("REQUEST_ID", f"expected --request-id to be a UUID, got {text!r:.40}") from error


def _profile_in(home: Path, agency: str) -> Path:
    from federation.protocol.ids import parse_agency_id

    wanted, known = str(parse_agency_id(identifier(agency))), profiles_in(home)
    if wanted not in known:
        near = [name for name in known if name.startswith(wanted.partition("/")[0])] or list(known)
        names = ", ".join(near[:_AGENCIES_SHOWN]) + (", ..." if len(near) > _AGENCIES_SHOWN else "")
        raise NotFoundError("AGENCY_PROFILE", f"{home} has no profile of {wanted}; it has {names or 'none'}")
    return known[wanted]
