"""`bridgehead audit`: checking every log of the federation as a stranger would, and saying PASS or FAIL.

Exit codes: 0 everything verified, 1 something is contradicted, 3 a node could not be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from federation.audit.remembered import load_remembered, save_remembered
from federation.audit.report import Report, format_report, report_object
from federation.audit.run import Audit, ListMessages, OnRead, Options, Outcome, audit_federation
from federation.cli.federation_file import (
    FederationFile,
    FederationOption,
    HomeOption,
    find_federation_file,
    load_federation_agreement,
    load_federation_file,
)
from federation.cli.output import Form, FormOption, progress, say, show_json
from federation.node.home.tls_files import AgencyProfile, load_profile
from federation.protocol.errors import MalformedError
from federation.protocol.ids import NodeName, parse_node_name
from federation.protocol.trust import Agreement
from federation.wire.client import AgencyClient
from federation.wire.read_client import ReadClient
from federation.wire.values import Act, ClientProfile, MessagePage, MessageQuery, TlsFiles

AUDIT_KIND = "audit"
PURPOSE = "audit.exchange"
REMEMBERED_FILE = "audit-heads.json"

app = typer.Typer(no_args_is_help=True, help="Check the exchange logs, as a stranger would.")

ProfileOption = Annotated[
    list[Path] | None,
    typer.Option("--profile", help="Connection profile of an audit agency; those of the federation file otherwise."),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help=f"Remembered heads [default: {REMEMBERED_FILE} beside the federation file]."),
]
InFlightOption = Annotated[
    float | None,
    typer.Option("--in-flight", min=0, help="Minutes a message may be unanswered [default: a statement's lifetime]."),
]


@app.callback()
def audit() -> None:
    """Check the exchange logs, as a stranger would."""


@app.command()
def verify(
    home: HomeOption = Path(".demo"),
    federation: FederationOption = None,
    profile: ProfileOption = None,
    output: FormOption = Form.TEXT,
    state: StateOption = None,
    in_flight: InFlightOption = None,
    tiles: Annotated[bool, typer.Option(help="Compare the logs' tiles with their entries.")] = True,
    roots_only: Annotated[bool, typer.Option("--roots-only", help="Verify the trees, read no leaf.")] = False,
    function: Annotated[str, typer.Option(help="The joint function that is audited.")] = "F01",
    officer: Annotated[str, typer.Option(help="The auditor's pseudonym.")] = "auditor",
) -> None:
    """Verify every log against its signed heads, and each side's account of every message against the other's."""
    path = find_federation_file(home, federation)
    file = load_federation_file(path)
    agreement = load_federation_agreement(file, _now())
    state_path = path.with_name(REMEMBERED_FILE) if state is None else state
    profiles = [load_profile(given) for given in _profile_paths(file, profile)]
    options = Options(
        tiles=tiles, leaves=not roots_only, in_flight_age=None if in_flight is None else timedelta(minutes=in_flight)
    )
    act = Act(request_id=str(uuid4()), purpose=PURPOSE, function=function, officer=officer)
    with progress("reading the logs", None) as bar:
        told: dict[NodeName, tuple[int, int]] = {}

        def on_read(node: NodeName, read: int, size: int) -> None:
            told[node] = (read, size)
            done, total = (sum(counts) for counts in zip(*told.values(), strict=True))
            bar.update(bar.task_ids[0], completed=done, total=total)

        outcome = asyncio.run(
            _audit(file, agreement, profiles, act=act, options=options, remembered=state_path, on_read=on_read)
        )
    save_remembered(state_path, outcome.remembered)
    if not profiles:
        say("no profile of an audit agency: envelopes and receipts were not audited")
    if output is Form.JSON:
        show_json(report_object(outcome.report))
    else:
        print(format_report(outcome.report), end="")
    raise typer.Exit(_exit_code(outcome.report))


async def _audit(
    file: FederationFile,
    agreement: Agreement,
    profiles: Sequence[AgencyProfile],
    *,
    act: Act,
    options: Options,
    remembered: Path,
    on_read: OnRead,
) -> Outcome:
    async with AsyncExitStack() as stack:
        sources: dict[NodeName, ReadClient] = {}
        for node, member in agreement.members.items():
            sources[node] = ReadClient(file.read_urls.get(node, member.read_url))
            stack.callback(sources[node].close)
        listers: dict[NodeName, ListMessages] = {}
        for profile in profiles:
            client = AgencyClient(_client_profile(profile))
            stack.push_async_callback(client.close)
            listers[_audited_node(profile, agreement)] = _lister(client, act)
        return await audit_federation(
            Audit(
                agreement=agreement,
                sources=sources,
                listers=listers,
                remembered=load_remembered(remembered),
                options=options,
                now=_now,
            ),
            on_read=on_read,
        )


def _lister(client: AgencyClient, act: Act) -> ListMessages:
    async def list_messages(query: MessageQuery) -> MessagePage:
        return await client.list_messages(act, query)

    return list_messages


def _profile_paths(file: FederationFile, given: Sequence[Path] | None) -> Sequence[Path]:
    return given or [path for agency, path in file.profiles.items() if agency.kind == AUDIT_KIND]


def _audited_node(profile: AgencyProfile, agreement: Agreement) -> NodeName:
    node = parse_node_name(profile.node)
    if node not in agreement.members:
        raise MalformedError("PROFILE", f"expected the profile of a member's agency, got one of {node}")
    return node


def _client_profile(profile: AgencyProfile) -> ClientProfile:
    return ClientProfile(
        address=profile.agency_addr,
        tls=TlsFiles(certificate=profile.cert, key=profile.key),
        authority=profile.ca,
        server_name=profile.server_name,
    )


def _exit_code(report: Report) -> int:
    if report.passed:
        return 0
    return 3 if report.unreachable and not report.errors else 1


def _now() -> datetime:
    return datetime.now(UTC)
