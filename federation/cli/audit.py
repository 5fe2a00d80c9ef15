"""`bridgehead audit` and `bridgehead log`, as a stranger. Exit 0 verified, 1 contradicted or absent, 3 unreachable."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar
from uuid import uuid4

import typer
from msgspec import Struct, field

from federation.cli.audited import KnownFederation, Sought, find_federation, known_of, open_sought
from federation.cli.options import (
    Desk,
    Form,
    FormOption,
    NodeHome,
    client_profile,
    command,
    end,
    now,
    run_loop,
    show_in,
)
from federation.cli.show import CHINA, JsonOut, object_of, pick, progress, say, show_json, show_lines
from federation.cli.tree import identifier
from federation.cli.words import said
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_node_name

if TYPE_CHECKING:
    from federation.audit.evidence import EvidenceFile, EvidenceWriter
    from federation.audit.fetch import LogSource, ProvenEntry
    from federation.audit.leaves import Window
    from federation.audit.report import Report
    from federation.audit.run import ListMessages, OnRead, Options, Outcome
    from federation.domain.oversight import Mandate
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

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Heads verified last time; without it audit-heads.json beside what names the federation.",
    ),
]
InFlightOption = Annotated[
    float | None,
    typer.Option("--in-flight", min=0, help="Minutes a message may be unanswered; without it a statement's lifetime."),
]


@app.callback()
def audit() -> None:
    """Check the exchange logs, as a stranger would."""


AllOption = Annotated[bool, typer.Option("--all", help="Every finding; else the first error, and how many more.")]
EvidenceOption = Annotated[
    Path | None, typer.Option("--evidence", help="A bundle of 'audit export': no node is asked for anything.")
]
MandatesOption = Annotated[
    list[Path] | None, typer.Option("--mandate", help="The mandate of an office, signed by both: 'audit mandate'.")
]
DigestOption = Annotated[
    str | None, typer.Option("--digest", help="With --evidence: the digest of the bundle as it stands in the papers.")
]


@command(app, "verify", sought=open_sought)
def verify(
    sought: Sought,
    output: FormOption = Form.TEXT,
    everything: AllOption = False,
    evidence: EvidenceOption = None,
    digest: DigestOption = None,
    state: StateOption = None,
    in_flight: InFlightOption = None,
    tiles: Annotated[bool, typer.Option(help="Compare the logs' tiles with their entries.")] = True,
    roots_only: Annotated[bool, typer.Option("--roots-only", help="Verify the trees, read no leaf.")] = False,
    function: Annotated[str, typer.Option(help="The joint function that is audited.")] = "F01",
    officer: Annotated[str, typer.Option(help="The auditor's pseudonym.")] = "auditor",
) -> None:
    """Verify every log against its signed heads, and each side's account of every message against the other's.

    Name the federation: by its agreement, by a profile and the first root, or by a federation.json.
    """
    from federation.audit.run import Options, load_remembered, save_remembered
    from federation.wire.rpc import Act

    if evidence is not None:
        remembered = {} if state is None else load_remembered(state)
        _end_with(_verify_evidence(evidence, sought, digest, remembered), output, everything)
    known = find_federation(sought, confirmed=True)
    state_path = sought.named_by.with_name(REMEMBERED_FILE) if state is None else state
    age = None if in_flight is None else timedelta(minutes=in_flight)
    asked = _AuditPlan(
        known=known,
        act=Act(request_id=str(uuid4()), purpose="audit.exchange", function=function, officer=officer),
        options=Options(tiles=tiles, leaves=not roots_only, in_flight_age=age, witness_seconds=WITNESS_SECONDS),
        remembered=load_remembered(state_path),
    )
    if not known.profiles:
        say("未指明审计单位，信封与回执未审 | no profile of an audit agency: envelopes and receipts are not audited")
    outcome = _show_progress(asked)
    save_remembered(state_path, outcome.remembered)
    _end_with(outcome.report, output, everything)


@command(app, "export", sought=open_sought)
def export(
    sought: Sought,
    out: Annotated[Path, typer.Argument(help="A new file, such as evidence.zip.")],
    mandates: MandatesOption = None,
    output: FormOption = Form.TEXT,
    everything: AllOption = False,
) -> None:
    """Verify every log, and keep all that was read as one zip, an evidence bundle (证据包): verified without a node.

    The envelopes and receipts of an office's node go into it by a mandate of two persons; without one, the logs alone.
    Its digest goes into the papers: verify --evidence FILE --digest DIGEST.
    """
    from federation.audit.evidence import Evidence, EvidenceWriter
    from federation.audit.run import Options
    from federation.node.home.agreement import pack_archive
    from federation.wire.rpc import Act

    shown = {found.agency: found for found in map(_load_mandate, mandates or ())}
    known = find_federation(sought, confirmed=True)
    known = replace(known, profiles=tuple(each for each in known.profiles if each.agency in shown))
    for agency in shown.keys() - {each.agency for each in known.profiles}:
        raise typer.BadParameter(f"授权所属单位的配置：{agency} --profile | name the profile of {agency}: --profile")
    window = _window(tuple(shown.values()))
    writer = EvidenceWriter(out)
    try:
        asked = _AuditPlan(
            known=known,
            act=Act(request_id=str(uuid4()), purpose="audit.exchange", function="F01", officer="auditor"),
            options=Options(witness_seconds=WITNESS_SECONDS, window=window, mandates=tuple(shown.values())),
            remembered={},
            writer=writer,
            mandates=shown,
        )
        report = _show_progress(asked).report
        said = Evidence(
            federation=report.federation,
            made=report.time,
            window=window,
            mandates=tuple(shown.values()),
            listed=frozenset(NodeName(each.node) for each in known.profiles),
            silent=dict(report.unreachable),
        )
        digest = writer.finish(said, pack_archive(known.files))
    except BaseException:
        out.unlink()
        raise
    finally:
        writer.close()
    _say_digest(out, digest)
    _end_with(report, output, everything, facts={"evidence": str(out), "digest": digest})


BundleArgument = Annotated[Path, typer.Argument(metavar="EVIDENCE", help="A bundle of 'audit export'.")]
OfEachOption = Annotated[int, typer.Option("--of-each", min=1, max=100, help="So many of each office and purpose.")]


@command(app, "sample", sought=open_sought)
def sample(
    sought: Sought,
    bundle: BundleArgument,
    of_each: OfEachOption = 3,
    sheet: Annotated[Path | None, typer.Option("--sheet", help="A new file for a person: .csv or .xlsx.")] = None,
    filled: Annotated[Path | None, typer.Option("--found", help="The sheet as it was filled in.")] = None,
    digest: DigestOption = None,
    output: FormOption = Form.TEXT,
) -> None:
    """Draw (抽样) messages of a bundle to be held against the paper files; nobody chooses them, all draw the same.

    --sheet writes what to look for; --found reads what was found. Exit 1 while something is open or does not match.
    """
    from federation.audit.sample import PaperFinding, compare, draw
    from federation.cli.audit_report import read_sheet, sample_lines, write_sheet

    file, agreement = _open_unchanged(bundle, sought, digest)
    drawn = draw(file, agreement, of_each=of_each)
    if filled is not None:
        drawn = compare(drawn, read_sheet(filled))
    if sheet is not None:
        write_sheet(sheet, drawn)
    show_in(output, {"messages": [object_of(one) for one in drawn]}, sample_lines(drawn))
    if filled is not None:
        counts = Counter(one.found for one in drawn)
        open_, bad = counts[None], len(drawn) - counts[PaperFinding.MATCHES] - counts[None]
        say(f"核对 {len(drawn)} 条：不符 {bad} 条，未填 {open_} 条 | {len(drawn)} checked: {bad} differ, {open_} open")
        end(1 if bad or open_ else 0)


@command(app, "figures", sought=open_sought)
def figures(
    sought: Sought, bundle: BundleArgument, digest: DigestOption = None, output: FormOption = Form.TEXT
) -> None:
    """Count (统计) the messages of a bundle by officer and purpose: off hours, without a case, under a broken glass.

    And what was refused to own offices in its window, by the policy or rule that refused, as in a case that is closed.
    """
    from federation.audit.sample import count, count_refusals
    from federation.cli.audit_report import figure_lines

    file, agreement = _open_unchanged(bundle, sought, digest)
    officers, purposes = count(file, agreement)
    refused = dict(run_loop(count_refusals(file, agreement)))
    tallies = {"officers": [object_of(one) for one in officers], "purposes": [object_of(one) for one in purposes]}
    show_in(output, {**tallies, "refused": {**refused}}, figure_lines(officers, purposes, refused))


def _open_unchanged(path: Path, sought: Sought, digest: str | None) -> tuple[EvidenceFile, Agreement]:
    """A bundle in which every file is as it was exported (EVIDENCE_CHANGED); signatures are for `verify --evidence`."""
    from federation.audit.evidence import AGREEMENT, open_evidence

    file = open_evidence(path)
    known = known_of(file.read(AGREEMENT), path, sought.root)
    file.verify_files(digest)
    if file.findings:
        raise RuleError("EVIDENCE_CHANGED", file.findings[0].sentence)
    return file, known.agreement


@command(app, "mandate", usual=("audit.exchange", "F01"))
def mandate(
    desk: Desk,
    file: Annotated[Path, typer.Argument(help="The file of the mandate, such as mandate.json.")],
    document: Annotated[str, typer.Option("--document", help="The document, such as 浙审〔2026〕12号.")] = "",
    second: Annotated[str, typer.Option("--second", help="The pseudonym of the second person, who signs then.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")] = None,
    case_id: Annotated[str, typer.Option("--case", help="Only of this case."), identifier] = "",
    of: Annotated[str, typer.Option("--of", help="Only of this officer.")] = "",
    only: Annotated[str, typer.Option("--only", help="Only of this function, such as F03.")] = "",
) -> None:
    """Sign (取证授权) a mandate to read for evidence: its first person writes the file, the second signs the same one.

    It holds for 30 days. A procuratorate's is for one case, one officer or one function.
    """
    from federation.domain.oversight import Mandate, mandate_bytes, verify_mandate
    from federation.protocol.form import encode
    from federation.protocol.form import replace as changed
    from federation.protocol.keys import format_public_key

    own = format_public_key(desk.own_key().public_key)
    if file.exists():
        found = _load_mandate(file)
        if desk.named_officer() != found.second:
            raise RuleError("MANDATE", f"expected {found.second} to sign the mandate as its second person")
        signatures = (*found.signatures[:1], desk.sign(mandate_bytes(found)))
        found = changed(found, signatures=signatures, keys=(*found.keys[:1], own))
        verify_mandate(found, desk.profile.agency, now=now())
    elif document and second and first and last:
        found = Mandate(
            agency=desk.profile.agency, document=document, first=desk.named_officer(), second=second, made=now(),
            start=first.replace(tzinfo=CHINA), end=last.replace(tzinfo=CHINA) + timedelta(days=1),
            case_id=case_id, officer=of, function=only,
        )  # fmt: skip
        found = changed(found, signatures=(desk.sign(mandate_bytes(found)),), keys=(own,))
    else:
        raise typer.BadParameter(
            "新授权须写明 --document、--from、--to、--second | a new mandate needs --document, --from, --to, --second"
        )
    file.write_bytes(encode(found))
    awaited = (
        said("已由两人签署|signed by both") if found.signatures[1:] else said("待第二人签署|awaits the second person")
    )
    desk.show(found, (f"{found.document}  {found.first}, {found.second}  {awaited}",))


def _load_mandate(path: Path) -> Mandate:
    """Reads a mandate (FILE_MISSING, JSON_*)."""
    from federation.domain.oversight import Mandate
    from federation.node.home.files import read_json
    from federation.protocol.form import decode

    return decode(Mandate, read_json(path))


def _window(mandates: Sequence[Mandate]) -> Window | None:
    """The window that all the mandates have in common; None without any."""
    from federation.audit.leaves import Window

    if not mandates:
        return None
    start, end = max(each.start for each in mandates), min(each.end for each in mandates)
    return Window(start=start, end=end, begun=now(), narrowed=any(each.narrowed for each in mandates))


def _verify_evidence(path: Path, sought: Sought, digest: str | None, remembered: dict[str, bytes]) -> Report:
    from federation.audit.evidence import AGREEMENT, open_evidence

    file = open_evidence(path)
    known = known_of(file.read(AGREEMENT), path, sought.root)
    _say_digest(path, file.verify_files(digest))
    return run_loop(file.audit(known.agreement, remembered=remembered))


def _say_digest(path: Path, digest: str) -> None:
    say(f"{path} 的完整性校验值 {digest} | the digest of {path}: {digest}")


def _end_with(report: Report, output: Form, everything: bool, facts: Mapping[str, JsonOut] | None = None) -> NoReturn:
    from federation.audit.report import report_object
    from federation.cli.audit_report import report_lines

    if output is Form.JSON:
        show_json({**report_object(report, everything=everything), **(facts or {})})
    else:
        show_lines(report_lines(report, everything=everything))
    raise typer.Exit(_exit_code(report))


class _AuditPlan(Struct, frozen=True, kw_only=True):
    known: KnownFederation
    act: Act
    options: Options
    remembered: dict[str, bytes]
    writer: EvidenceWriter | None = None
    mandates: Mapping[AgencyId, Mandate] = field(default_factory=dict)


def _show_progress(asked: _AuditPlan) -> Outcome:
    progress_of: dict[NodeName, tuple[int, int]] = {}
    with progress(said("正在读取日志|reading the logs"), None) as bar:

        def on_read(node: NodeName, read: int, size: int) -> None:
            progress_of[node] = (read, size)
            done, total = (sum(counts) for counts in zip(*progress_of.values(), strict=True))
            bar.update(bar.task_ids[0], completed=done, total=total)

        return run_loop(_audit(asked, on_read))


async def _audit(asked: _AuditPlan, on_read: OnRead) -> Outcome:
    from federation.audit.run import Audit, audit_federation
    from federation.wire.client import AgencyClient
    from federation.wire.read_client import ReadClient

    known = asked.known
    async with AsyncExitStack() as stack:
        sources: dict[NodeName, LogSource] = {}
        for node in known.agreement.members:
            reader = ReadClient(known.read_url(node))
            stack.callback(reader.close)
            sources[node] = reader
        listers: dict[NodeName, ListMessages] = {}
        for profile in known.profiles:
            if profile.node in known.agreement.former:
                continue  # it answers for its past no more, which the report says
            client = AgencyClient(client_profile(profile))
            stack.push_async_callback(client.close)
            node = _audited_node(profile, known.agreement)
            listers[node] = _lister(client, asked, known.silent.get(node), asked.mandates.get(profile.agency))
        audit = Audit(
            agreement=known.agreement,
            sources=sources,
            listers=listers,
            remembered=asked.remembered,
            options=asked.options,
            now=now,
        )
        return await audit_federation(asked.writer.record(audit) if asked.writer else audit, on_read=on_read)


def _lister(
    client: AgencyClient, asked: _AuditPlan, silent: BridgeheadError | None, mandate: Mandate | None
) -> ListMessages:
    from federation.protocol.form import encode
    from federation.wire.agency.audit import LIST_MESSAGES

    act = asked.act if mandate is None else replace(asked.act, officer=mandate.first)
    shown = b"" if mandate is None else encode(mandate)

    async def list_messages(query: MessageQuery) -> MessagePage:
        if silent is not None:  # which agreement it stands under is not known: nothing of it is compared
            raise silent
        return await client.call(LIST_MESSAGES, act, replace(query, mandate=shown))

    return list_messages


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
VkeyOption = Annotated[str | None, typer.Option("--vkey", help="The log's key; without it as the agreement has it.")]
IndexArgument = Annotated[int, typer.Argument(min=0, help="The entry's index in the log, from 0.")]


class NamedLog(Struct, frozen=True):
    """A log as the command line names it."""

    node: str | None
    read_url: str | None
    vkey: str | None


class Log(Struct, frozen=True):
    read_url: str
    vkey: Vkey


@logs.callback()
def log() -> None:
    """Read one exchange log: its head, an entry, a proof."""


def name_log(*, node: NodeOption = None, read_url: UrlOption = None, vkey: VkeyOption = None) -> NamedLog:
    """The log as the options name it, by its node or by its address."""
    if node is None and read_url is None:
        raise typer.BadParameter(
            "写明日志：--node，或者 --read-url 和 --vkey | name the log by --node, or by --read-url and --vkey"
        )
    return NamedLog(node, read_url, vkey)


def _find_log(named: NamedLog, sought: Sought) -> Log:
    """The log that is named: the address from anywhere, the key from options or agreement (LOG_UNKNOWN)."""
    from federation.protocol.tlog.note import parse_vkey

    if named.read_url is not None and named.vkey is not None:
        return Log(named.read_url, parse_vkey(named.vkey))
    known = find_federation(sought)
    for name, member in known.agreement.members.items():
        url = known.read_url(name)
        if name == named.node or (named.node is None and url == named.read_url):
            return Log(named.read_url or url, parse_vkey(named.vkey or member.log_vkey))
    raise NotFoundError("LOG_UNKNOWN", f"the agreement names no log of {named.node or named.read_url}")


@command(logs, "checkpoint", named=name_log, sought=open_sought)
def checkpoint(named: NamedLog, sought: Sought, output: FormOption = Form.TEXT) -> None:
    """Print the log's signed head, verbatim, after its signature verified."""
    from federation.audit.fetch import fetch_head

    found = _find_log(named, sought)
    note, head = _read(found, lambda source: fetch_head(source, found.vkey))
    say(f"树头的签名验证通过：条目 {head.size} 条 | the tree head's signature verifies: {head.size} entries")
    if output is Form.JSON:
        facts = pick(head, "origin", "size", "root")
        show_json({**facts, "checkpoint": note.decode()})
    else:
        sys.stdout.write(note.decode())


@command(logs, "proof", named=name_log, sought=open_sought)
def proof(named: NamedLog, sought: Sought, index: IndexArgument, output: FormOption = Form.TEXT) -> None:
    """Print the .tlog-proof of an entry: built from the log's tiles, and verified."""
    from federation.protocol.tlog.proof import TlogProof, format_proof

    proven = _read_entry(_find_log(named, sought), index)
    _say_proven(index)
    blob = format_proof(TlogProof(index=proven.index, hashes=proven.hashes, checkpoint=proven.note))
    if output is Form.JSON:
        show_json({"index": proven.index, "proof": blob.decode()})
    else:
        sys.stdout.write(blob.decode())


@command(logs, "leaf", named=name_log, sought=open_sought)
def leaf(
    named: NamedLog,
    sought: Sought,
    index: IndexArgument,
    raw: Annotated[bool, typer.Option("--raw", help="The exact bytes that are hashed, without a line feed.")] = False,
    output: FormOption = Form.JSON,
) -> None:
    """Print an entry, after its proof verified: a leaf is JSON by itself."""
    del output
    from federation.protocol.leaf import decode_leaf

    entry = _read_entry(_find_log(named, sought), index).entry
    decode_leaf(entry)
    _say_proven(index)
    if raw:
        sys.stdout.write(entry.decode())
    else:
        show_json(json.loads(entry))


@logs.command("restart")
def restart(
    home: NodeHome,
    why: Annotated[str, typer.Option("--why", help="What happened, in one sentence: kept with the evidence.")],
    unwitnessed: Annotated[
        str,
        typer.Option(
            "--unwitnessed",
            metavar="WHO-AND-WHY",
            help="Vouch for how far the log had signed where too few witnesses say so: what it signed beyond what this "
            "home knows is lost, and nobody is told that it is. Becomes a leaf, and stands in the next agreement.",
        ),
    ] = "",
    form: FormOption = Form.TEXT,
) -> None:
    """Retire this home's log, whose history was rolled back, and begin a new one; the node must be stopped.

    The witnesses are asked how far it had signed: as many as confirm a start must answer.
    """
    from federation.node.home.setup import BUNDLE_FILE
    from federation.node.log.restart import RETIRED_FOLDER, ask_heads, restart_log
    from federation.wire.read_client import WitnessClients

    clients = WitnessClients(timeout_seconds=5)
    shown = asyncio.run(ask_heads(home, ask=clients.ask, now=now()))
    clients.close()
    ended = restart_log(home, why=why, now=now(), shown=shown, vouched=unwitnessed)
    evidence, origin = str(home / RETIRED_FOLDER), ended.vkey.partition("+")[0]
    facts: dict[str, JsonOut] = {"retired": origin, "size": ended.size, "signed": ended.signed, "root": ended.root}
    lines = (
        f"{said('停用|retired')}   {origin}",
        said(f"条目 {ended.size} 条，已签到 {ended.signed} 条 | {ended.size} entries, {ended.signed} signed"),
        f"{said('见证|shown by')}  {', '.join(shown.heads) or said('无|nobody')}",
        *([f"{said('担保|vouched')}   {ended.vouched}"] if ended.vouched else []),
        f"{said('证据|evidence')}  {evidence}",
    )
    named = {"shown_by": list(shown.heads), "never_cosigned": list(shown.never), "vouched": ended.vouched}
    show_in(form, {**facts, **named, "evidence": evidence}, lines)
    say(f"下一步：把 {home / BUNDLE_FILE} 写入下一份协议 | Next: have the next agreement name the new log:")
    say(f"bridgehead agreement draft --out DRAFT --after {home} --bundle {home / BUNDLE_FILE}")


def _say_proven(index: int) -> None:
    say(f"条目 {index} 的包含证明验证通过 | the inclusion proof of entry {index} verifies")


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
