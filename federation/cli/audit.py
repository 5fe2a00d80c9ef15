"""`bridgehead audit` and `bridgehead log`, as a stranger. Exit 0 verified, 1 contradicted or absent, 3 unreachable."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import uuid4

import typer

from federation.cli.options import (
    FEDERATION_FILE,
    FederationFile,
    FederationOption,
    FolderOption,
    Form,
    FormOption,
    client_profile,
    command,
    end,
    load_federation_agreement,
    load_federation_file,
    now,
    run_loop,
)
from federation.cli.show import pick, progress, say, show_json
from federation.protocol.errors import MalformedError, NotFoundError
from federation.protocol.ids import NodeName, parse_node_name

if TYPE_CHECKING:
    from federation.audit.fetch import LogSource, ProvenEntry
    from federation.audit.report import Report
    from federation.audit.run import ListMessages, OnRead, Options, Outcome
    from federation.node.home.files import AgencyProfile
    from federation.protocol.tlog.note import Vkey
    from federation.protocol.trust import Agreement
    from federation.wire.agency.audit import MessagePage, MessageQuery
    from federation.wire.client import AgencyClient
    from federation.wire.rpc import Act

T = TypeVar("T")
REMEMBERED_FILE = "audit-heads.json"
WITNESS_SECONDS = 5.0
"""How long a log that grew just now may wait for its witnesses."""

app = typer.Typer(no_args_is_help=True, help="Check the exchange logs, as a stranger would.")
logs = typer.Typer(no_args_is_help=True, help="Read one exchange log: its head, an entry, a proof.")

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
    home: FolderOption = Path(".demo"),
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
    from federation.audit.report import format_report, report_object
    from federation.audit.run import Options, load_remembered, save_remembered
    from federation.node.home.files import load_profile
    from federation.wire.rpc import Act

    file = load_federation_file(federation or home / FEDERATION_FILE)
    state_path = file.path.with_name(REMEMBERED_FILE) if state is None else state
    age = None if in_flight is None else timedelta(minutes=in_flight)
    asked = _AuditPlan(
        file=file,
        agreement=load_federation_agreement(file, now()),
        profiles=tuple(load_profile(given) for given in _profile_paths(file, profile)),
        act=Act(request_id=str(uuid4()), purpose="audit.exchange", function=function, officer=officer),
        options=Options(tiles=tiles, leaves=not roots_only, in_flight_age=age, witness_seconds=WITNESS_SECONDS),
        remembered=load_remembered(state_path),
    )
    if not asked.profiles:
        say("no profile of an audit agency: envelopes and receipts are not audited")
    outcome = _show_progress(asked)
    save_remembered(state_path, outcome.remembered)
    if output is Form.JSON:
        show_json(report_object(outcome.report))
    else:
        print(format_report(outcome.report), end="")
    end(_exit_code(outcome.report))


@dataclass(frozen=True, slots=True, kw_only=True)
class _AuditPlan:
    file: FederationFile
    agreement: Agreement
    profiles: tuple[AgencyProfile, ...]
    act: Act
    options: Options
    remembered: dict[str, bytes]


def _show_progress(asked: _AuditPlan) -> Outcome:
    progress_of: dict[NodeName, tuple[int, int]] = {}
    with progress("reading the logs", None) as bar:

        def on_read(node: NodeName, read: int, size: int) -> None:
            progress_of[node] = (read, size)
            done, total = (sum(counts) for counts in zip(*progress_of.values(), strict=True))
            bar.update(bar.task_ids[0], completed=done, total=total)

        return run_loop(_audit(asked, on_read))


async def _audit(asked: _AuditPlan, on_read: OnRead) -> Outcome:
    from federation.audit.run import Audit, audit_federation
    from federation.wire.client import AgencyClient
    from federation.wire.read_client import ReadClient

    async with AsyncExitStack() as stack:
        sources: dict[NodeName, LogSource] = {}
        for node, member in asked.agreement.members.items():
            reader = ReadClient(asked.file.read_urls.get(node, member.read_url))
            stack.callback(reader.close)
            sources[node] = reader
        listers: dict[NodeName, ListMessages] = {}
        for profile in asked.profiles:
            client = AgencyClient(client_profile(profile))
            stack.push_async_callback(client.close)
            listers[_audited_node(profile, asked.agreement)] = _lister(client, asked.act)
        audit = Audit(
            agreement=asked.agreement,
            sources=sources,
            listers=listers,
            remembered=asked.remembered,
            options=asked.options,
            now=now,
        )
        return await audit_federation(audit, on_read=on_read)


def _lister(client: AgencyClient, act: Act) -> ListMessages:
    from federation.wire.agency.audit import LIST_MESSAGES

    async def list_messages(query: MessageQuery) -> MessagePage:
        return await client.call(LIST_MESSAGES, act, query)

    return list_messages


def _profile_paths(file: FederationFile, given: Sequence[Path] | None) -> Sequence[Path]:
    return given or [path for agency, path in file.profiles.items() if agency.kind == "audit"]


def _audited_node(profile: AgencyProfile, agreement: Agreement) -> NodeName:
    node = parse_node_name(profile.node)
    if node not in agreement.members:
        raise MalformedError("PROFILE", f"expected the profile of a member's agency, got one of {node}")
    return node


def _exit_code(report: Report) -> int:
    if report.passed:
        return 0
    return 3 if report.unreachable and not report.errors else 1


# ---- one log

NodeOption = Annotated[str | None, typer.Option("--node", help="The node whose log it is.")]
UrlOption = Annotated[str | None, typer.Option("--read-url", help="Where the log is read, e.g. http://127.0.0.1:7103.")]
VkeyOption = Annotated[str | None, typer.Option("--vkey", help="The log's key [default: as the agreement has it].")]
IndexArgument = Annotated[int, typer.Argument(min=0, help="The entry's index in the log, from 0.")]


@dataclass(frozen=True, slots=True)
class Log:
    read_url: str
    vkey: Vkey


@logs.callback()
def log() -> None:
    """Read one exchange log: its head, an entry, a proof."""


def find_log(
    *,
    node: NodeOption = None,
    read_url: UrlOption = None,
    vkey: VkeyOption = None,
    home: FolderOption = Path(".demo"),
    federation: FederationOption = None,
) -> Log:
    """The log that the options name: the address from anywhere, the key from options or agreement (LOG_UNKNOWN)."""
    from federation.protocol.tlog.note import parse_vkey

    if read_url is not None and vkey is not None:
        return Log(read_url, parse_vkey(vkey))
    if node is None and read_url is None:
        raise typer.BadParameter("name the log by --node, or by --read-url and --vkey")
    known = load_federation_file(federation or home / FEDERATION_FILE)
    agreement = load_federation_agreement(known, now())
    for name, member in agreement.members.items():
        url = known.read_urls.get(name, member.read_url)
        if name == node or (node is None and url == read_url):
            return Log(read_url or url, parse_vkey(vkey or member.log_vkey))
    raise NotFoundError("LOG_UNKNOWN", f"the agreement names no log of {node or read_url}")


@command(logs, "checkpoint", found=find_log)
def checkpoint(found: Log, output: FormOption = Form.TEXT) -> None:
    """Print the log's signed head, verbatim, after its signature verified."""
    from federation.audit.fetch import fetch_head

    note, head = _read(found, lambda source: fetch_head(source, found.vkey))
    if output is Form.JSON:
        facts = pick(head, "origin", "size", "root")
        show_json({**facts, "checkpoint": note.decode()})
    else:
        sys.stdout.write(note.decode())


@command(logs, "proof", found=find_log)
def proof(found: Log, index: IndexArgument, output: FormOption = Form.TEXT) -> None:
    """Print the .tlog-proof of an entry: built from the log's tiles, and verified."""
    from federation.protocol.tlog.proof import TlogProof, format_proof

    proven = _read_entry(found, index)
    blob = format_proof(TlogProof(index=proven.index, hashes=proven.hashes, checkpoint=proven.note))
    if output is Form.JSON:
        show_json({"index": proven.index, "proof": blob.decode()})
    else:
        sys.stdout.write(blob.decode())


@command(logs, "leaf", found=find_log)
def leaf(
    found: Log,
    index: IndexArgument,
    raw: Annotated[bool, typer.Option("--raw", help="The exact bytes that are hashed, without a line feed.")] = False,
    output: FormOption = Form.JSON,
) -> None:
    """Print an entry, after its proof verified: a leaf is JSON by itself."""
    del output
    from federation.protocol.leaf import decode_leaf

    entry = _read_entry(found, index).entry
    decode_leaf(entry)
    if raw:
        sys.stdout.write(entry.decode())
    else:
        show_json(json.loads(entry))


def _read_entry(found: Log, index: int) -> ProvenEntry:
    from federation.audit.fetch import fetch_proven

    return _read(found, lambda source: fetch_proven(source, found.vkey, index))


def _read(found: Log, ask: Callable[[LogSource], Awaitable[T]]) -> T:
    from federation.wire.read_client import ReadClient

    async def reading() -> T:
        client = ReadClient(found.read_url)
        try:
            return await ask(client)
        finally:
            client.close()

    return run_loop(reading())
