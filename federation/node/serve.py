"""The only place that builds a node: opens its home and store, checks its history, opens its three ports, runs it.

Order on start: settings, keys, agreement, store (migrations), the read side, boot check against the home and the
witnesses, `boot` and `agreement` leaves, the other ports, delivery, duties. The read side is first so that nodes which
start together confirm each other. Without enough witnesses the ports open, nothing is written (LOG_UNCONFIRMED), and
they are asked until enough have answered; a node whose history is refuted stays up to say so, and signs nothing. Order
on stop: health says so, ports drain, delivery ends its calls, what was turned away is told, the writer finishes its
queue, the store closes. Killed anywhere in between, nothing that was receipted is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from federation.node.documents_pull import keep_documents
from federation.node.endings import keep_endings
from federation.node.exchange.deliver import Delivery
from federation.node.exchange.peers import Peers, keep_contact
from federation.node.features import KINDS, RENEWED
from federation.node.home.agreement import load_home_agreement
from federation.node.home.certificates import SideFiles, find_side
from federation.node.home.config import NodeSettings, load_settings
from federation.node.home.files import load_revoked, require_private
from federation.node.home.keyring import Keyring, load_keyring
from federation.node.home.setup import write_bundle
from federation.node.home_store import find_home_files
from federation.node.intake.clock import keep_clocks
from federation.node.joint.entries import keep_settled
from federation.node.joint.shared import SHARED
from federation.node.log.boot import AskCosigned, BootFinding, OwnLog, agreement_leaf, boot_leaf, check_boot, leaf_entry
from federation.node.log.check import check_start, where_from
from federation.node.log.cosigning import Cosigning
from federation.node.log.own_head import own_head_file
from federation.node.log.sequence import LogKey, Sequencer
from federation.node.log.witness import Witness
from federation.node.node import Contacts, KnownHeads, MessageKeys, Node, Refusals, Trust, Waiters
from federation.node.officer_keys import Occurrence
from federation.node.ports import agency_bindings, peer_bindings, read_functions
from federation.node.refusals import keep_refusal_digests, tell_or_wait
from federation.node.retention import keep_retention
from federation.node.status import node_status
from federation.node.upkeep import keep_agreement, keep_sources
from federation.protocol.errors import BridgeheadError, CorruptError, MalformedError, RuleError
from federation.protocol.ids import NodeName, parse_node_name
from federation.protocol.tlog.note import format_vkey
from federation.protocol.tlog.witness import Cosigner
from federation.protocol.trust import find_agency, find_party
from federation.store.database import open_database
from federation.wire.gatekeeper import Gate
from federation.wire.limits import MAX_CONNECTIONS
from federation.wire.metrics import metrics_app
from federation.wire.read_client import WitnessClients
from federation.wire.read_http import ReadFunctions, RunningHttp, read_app, serve_http
from federation.wire.rpc import Side, TlsFiles
from federation.wire.rpc_connections import RpcConnections
from federation.wire.server import Listener, RunningServer, start_server

_log = structlog.get_logger()

_MOST_TOLD = 20
DESCRIPTORS = 2 * MAX_CONNECTIONS + 1024
"""What two full gRPC ports take, and the read side, the store and the calls to peers."""
BOOT_PAUSE_SECONDS = 0.25
"""How long a node that is not confirmed waits before it asks again."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def no_crash(step: str) -> None:
    del step


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A node that listens; `opened` is set once its history is confirmed and it writes."""

    node: Node
    opened: asyncio.Event
    delivery: Delivery
    peers: Peers
    peer_server: RunningServer
    agency_server: RunningServer
    http: RunningHttp


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A node before it listens: everything that needs no port."""

    node: Node
    delivery: Delivery
    log: OwnLog
    witness: Witness
    cosigning: Cosigning
    witness_clients: WitnessClients


async def serve(home: Path, *, now: Callable[[], datetime] = utc_now, island: str | None = None) -> None:
    """Runs the node of that home until SIGTERM or SIGINT; raises why it did not start."""
    take_descriptors()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running_node(home, now=now, island=island) as running:
        _log.info("node.started", node=running.node.name, tree_size=running.node.sequencer.head.size)
        await stop.wait()
        _log.info("node.stopping", node=running.node.name)


def take_descriptors() -> None:
    """Takes what full ports need of descriptors; a service is often started with 1,024, which strangers can use up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < DESCRIPTORS:
        _log.warning("descriptors.few", expected=DESCRIPTORS, got=allowed)


@contextlib.asynccontextmanager
async def running_node(
    home: Path,
    *,
    now: Callable[[], datetime] = utc_now,
    crash_point: Callable[[str], None] = no_crash,
    island: str | None = None,
) -> AsyncIterator[Running]:
    """Runs a node; `island` says who vouches for its history, and why, where too few witnesses answer."""
    settings = load_settings(home)
    require_private(home)
    keyring = load_keyring(home)
    trust = Trust(load_home_agreement(home, now=now()), KINDS.values())
    _check_home(settings, keyring, trust)
    _renew_bundle(home, now=now())
    parts = build_node(settings, keyring, trust, home=home, now=now, crash_point=crash_point)
    try:
        parts.node.sequencer.hold("the history of this node's log is not confirmed yet; try again with the same id")
        async with _open_ports(parts, home, island=island) as running:
            yield running
    finally:
        await asyncio.to_thread(parts.node.sequencer.close)
        parts.node.database.close()
        parts.witness_clients.close()


def build_node(
    settings: NodeSettings,
    keyring: Keyring,
    trust: Trust,
    *,
    home: Path,
    now: Callable[[], datetime],
    crash_point: Callable[[str], None] = no_crash,
) -> Parts:
    """Builds the node out of its settings, keys and agreement; nothing listens or sends yet."""
    keys = MessageKeys(keyring, trust, now=now)
    database = open_database(settings.database, keys=keyring.columns, folder=home)
    sequencer = Sequencer(
        database,
        LogKey(vkey=keyring.log.vkey, sign=keyring.log.sign),
        now=now,
        window_seconds=settings.group_window_ms / 1000,
        limit=settings.group_limit,
        crash_point=crash_point,
    )
    heads = KnownHeads()
    delivery = Delivery(database=database, sequencer=sequencer, trust=trust, heads=heads, settings=settings, now=now)
    node = Node(
        name=parse_node_name(settings.node),
        settings=settings,
        keys=keys,
        database=database,
        sequencer=sequencer,
        trust=trust,
        heads=heads,
        waiters=Waiters(),
        wake_delivery=delivery.wake,
        now=now,
        kinds=KINDS,
        refusals=Refusals(settings.refusals_a_minute),
        bad_rows=delivery.bad_rows,
        contacts=delivery.contacts,
    )
    clients = WitnessClients()
    cosigner = Cosigner(vkey=keyring.witness.vkey, sign=keyring.witness.sign)
    log = OwnLog(node=node.name, database=database, head_file=own_head_file(home, keyring.log.vkey))
    return Parts(
        node=node,
        delivery=delivery,
        log=log,
        witness=Witness(
            database=database, trust=trust, cosigner=cosigner, now=now, trouble=lambda: _log_trouble(sequencer)
        ),
        cosigning=Cosigning(log=log, sequencer=sequencer, trust=trust, cosigner=cosigner, clients=clients, now=now),
        witness_clients=clients,
    )


def _log_trouble(sequencer: Sequencer) -> str | None:
    """The reason not to rely on this node's memory: its own log is not confirmed, or stopped; else None."""
    failure = sequencer.failure
    return f"the log stopped: {failure.reason}" if failure is not None else sequencer.held


def _check_home(settings: NodeSettings, keyring: Keyring, trust: Trust) -> None:
    agreement = trust.in_force.agreement
    found = (settings.federation, settings.realm, settings.node)
    expected = (agreement.federation, agreement.realm.value, keyring.identity.node)
    if found != expected:
        raise MalformedError("SETTINGS", f"node.toml says {found}, keys and agreement say {expected}")
    member = agreement.members.get(keyring.identity.node)
    if member is None:
        raise RuleError("EXPELLED", f"agreement {agreement.version} names {keyring.identity.node} no more")
    if member.log_vkey != format_vkey(keyring.log.vkey):
        raise RuleError(
            "LOG_NOT_AGREED",
            f"expected the agreement to name the log {keyring.log.vkey.name}, got {member.log_vkey:.80}",
        )


async def boot_node(parts: Parts, *, ask: AskCosigned, island: str | None = None) -> BootFinding:
    """Logs that the node signs from here on, and under which agreement, when its history is confirmed.

    Writes nothing while too few witnesses confirmed it, unless an operator vouches for it. Refuses as `check_boot`.
    """
    node = parts.node
    agreement, now = node.trust.in_force.agreement, node.now()
    finding = await check_boot(parts.log, agreement, ask=ask, now=now)
    vouched = None if finding.is_enough else island
    if not finding.is_enough and vouched is None:
        return finding
    if vouched is not None:
        _log.warning("boot.island", island=vouched, finding=str(finding))
    elif finding.silent:
        _log.warning("boot.silent", silent=list(finding.silent), confirmed=list(finding.confirmed))
    if node.today().year not in node.trust.in_force.calendar.years:
        _log.warning("calendar.year_missing", year=node.today().year, counted="weekdays")
    leaves = (
        agreement_leaf(agreement, now=now),
        boot_leaf(agreement, size=node.sequencer.head.size, finding=finding, now=now, island=vouched),
    )
    entries = [leaf_entry(leaf) for leaf in leaves]
    await node.sequencer.open(lambda tx: [tx.append_leaf(*entry) for entry in entries])
    return finding


def _renew_bundle(home: Path, *, now: datetime) -> None:
    """Writes the home's bundle anew: settings and member sheet may have been edited since; that it cannot is told."""
    try:
        write_bundle(home, now=now)
    except (BridgeheadError, OSError) as error:
        _log.warning("bundle.stale", reason=getattr(error, "reason", "FILE"))


async def _take_in_files(node: Node, home: Path) -> None:
    """Takes administrators that were laid into the home, and an earlier version's planted records, into the store."""
    at = Occurrence(agreement=node.trust.in_force.agreement, now=node.now())
    take_in = await asyncio.to_thread(find_home_files, home, node.name, at=at)
    if take_in is not None:
        _log.info("home.files", taken_in=(await node.sequencer.commit(take_in)).value)


@contextlib.asynccontextmanager
async def _open_ports(parts: Parts, home: Path, *, island: str | None) -> AsyncIterator[Running]:
    node, settings = parts.node, parts.node.settings
    peer_files, agency_files = find_side(home, "peer"), find_side(home, "agency")
    authority = agency_files.authority.read_text(encoding="utf-8")

    listening = asyncio.Event()
    functions = read_functions(node, witness=parts.witness, cosigning=parts.cosigning, is_listening=listening.is_set)
    async with contextlib.AsyncExitStack() as stack:  # whatever was opened is closed, the newest first
        http = await _serve_reads(node, functions, stack)
        await _serve_metrics(parts, home, stack)
        await _ask_once(parts, island=island)
        peers = Peers(node, parts.delivery, tls=TlsFiles(certificate=peer_files.certificate, key=peer_files.key))
        stack.push_async_callback(peers.close)
        await peers.follow()
        stack.push_async_callback(tell_or_wait, node)  # what was turned away until the ports closed
        stack.push_async_callback(parts.delivery.close)
        servers: list[RunningServer] = []
        stack.push_async_callback(_stop_servers, servers, settings.drain_seconds)
        peer_server = await start_server(
            peer_bindings(node, home),
            gate=_peer_gate(node, parts.delivery.contacts),
            listener=_listener(settings, settings.peer_port, peer_files, roots=partial(_peer_roots, node)),
        )
        servers.append(peer_server)
        agency_server = await start_server(
            agency_bindings(node, home, delivery=parts.delivery, cosigning=parts.cosigning),
            gate=_agency_gate(node, home, authority),
            listener=_listener(settings, settings.agency_port, agency_files, roots=lambda: authority),
        )
        servers.append(agency_server)
        running = Running(
            node=node,
            opened=asyncio.Event(),
            delivery=parts.delivery,
            peers=peers,
            peer_server=peer_server,
            agency_server=agency_server,
            http=http,
        )
        sides = {peer_server.port: Side.PEER, agency_server.port: Side.AGENCY}
        duties = [
            start_duty(node, RpcConnections(sides, each=settings.connections_a_source).keep(), name="connections"),
            start_duty(node, keep_agreement(node, home, peers), name="agreement"),
            start_duty(node, keep_endings(node, home), name="endings"),
            start_duty(node, keep_contact(parts.delivery.contacts, peers.clients), name="contact"),
        ]
        stack.push_async_callback(_end_duties, duties)
        stack.callback(node.waiters.end)
        if node.sequencer.held is None:
            await _begin(parts, home, running, duties)
        elif node.sequencer.failure is None:
            duties.append(start_duty(node, _wait_confirmed(parts, home, running, duties), name="boot"))
        for server in servers:
            await server.set_serving(serving=True)
        listening.set()
        yield running


def _peer_roots(node: Node) -> str:
    """The authorities of who may call: members, and former ones, which are told that they are."""
    agreement = node.trust.in_force.agreement
    former = [each.tls_ca for each in agreement.former.values() if each.tls_ca]
    return "\n".join([*(member.tls_ca for member in agreement.members.values()), *former])


async def _serve_reads(node: Node, functions: ReadFunctions, stack: contextlib.AsyncExitStack) -> RunningHttp:
    settings, named = node.settings, set[str]()
    http = await serve_http(
        read_app(functions),
        host=settings.host,
        port=settings.read_port,
        drain_seconds=settings.drain_seconds,
        is_named=named.__contains__,
    )
    stack.push_async_callback(http.stop)
    stack.push_async_callback(_end_duties, [start_duty(node, keep_sources(node, named), name="sources")])
    return http


async def _serve_metrics(parts: Parts, home: Path, stack: contextlib.AsyncExitStack) -> None:
    settings = parts.node.settings
    if not settings.metrics_port:
        return
    read = partial(node_status, parts.node, home, delivery=parts.delivery, cosigning=parts.cosigning)
    app = metrics_app(lambda: asyncio.to_thread(read), parts.node.now)
    served = await serve_http(app, host=settings.metrics_host, port=settings.metrics_port, drain_seconds=0)
    stack.push_async_callback(served.stop)


async def _begin(parts: Parts, home: Path, running: Running, duties: list[asyncio.Task[None]]) -> None:
    """Starts what writes: delivery and the duties of a confirmed node."""
    node = parts.node
    await _take_in_files(node, home)
    await _check_rows(node)
    parts.delivery.start(running.peers.clients, renewed=RENEWED, notify=node.waiters.tell)
    duties += [
        start_duty(node, parts.cosigning.run(node.settings.witness_seconds), name="cosigning"),
        start_duty(node, keep_retention(node), name="retention"),
        start_duty(node, keep_refusal_digests(node), name="refusals"),
        start_duty(node, keep_clocks(node), name="intake"),
        start_duty(node, keep_documents(node, running.peers.clients), name="documents"),
        *(start_duty(node, keep_settled(each, node), name=each.family.duty) for each in SHARED),
    ]
    running.opened.set()


def start_duty(node: Node, duty: Coroutine[None, None, None], *, name: str) -> asyncio.Task[None]:
    """Starts what a node does for as long as it runs; one that dies is told by its health and its status."""

    def note_end(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            node.dead_duties.append(name)
            _log.critical("duty.died", duty=name, exc_info=error)

    task = asyncio.create_task(duty, name=name)
    task.add_done_callback(note_end)
    return task


async def _check_rows(node: Node) -> None:
    """Compares a sample of the rows with the log; what differs is told in the log and by `node status`."""
    try:
        found = await asyncio.to_thread(check_start, node.database, node.trust.in_force.agreement)
    except Exception:  # noqa: BLE001 - a node that tells the others of its state is worth more than one that is down
        _log.exception("rows.unread")
        node.database.row_findings = 1
        return
    node.database.row_findings = len(found)
    for finding in found[:_MOST_TOLD]:
        where = where_from(node.database, finding)
        _log.critical("rows.differ", what=finding.what, row_kind=finding.kind, row=finding.name, leaf=where)


async def _wait_confirmed(parts: Parts, home: Path, running: Running, duties: list[asyncio.Task[None]]) -> None:
    """Asks the witnesses until enough have confirmed our history; one that has another stops the log for good."""
    sequencer = parts.node.sequencer
    while sequencer.held is not None and sequencer.failure is None:
        await asyncio.sleep(BOOT_PAUSE_SECONDS)
        try:
            await _ask_once(parts)
        except Exception:  # noqa: BLE001 - a node that stops asking would be held for ever
            _log.exception("boot.failed")
    if sequencer.failure is None:
        _log.info("boot.confirmed")
        await _begin(parts, home, running, duties)


async def _ask_once(parts: Parts, *, island: str | None = None) -> None:
    """One round of `boot_node`: opens the log, says why it is held, or stops it for good."""
    sequencer = parts.node.sequencer
    try:
        finding = str(await boot_node(parts, ask=parts.witness_clients.ask, island=island))
    except CorruptError as error:
        sequencer.stop(error)
        return
    except BridgeheadError as error:
        finding = str(error)
    if sequencer.held is not None and sequencer.held != finding:
        _log.warning("boot.unconfirmed", finding=finding)
        sequencer.hold(finding)


async def _stop_servers(servers: Sequence[RunningServer], drain_seconds: float) -> None:
    await asyncio.gather(*(server.stop(drain_seconds) for server in servers))


async def _end_duties(duties: Sequence[asyncio.Task[None]]) -> None:
    for duty in duties:
        duty.cancel()
    await asyncio.gather(*duties, return_exceptions=True)


def _listener(settings: NodeSettings, port: int, files: SideFiles, *, roots: Callable[[], str]) -> Listener:
    return Listener(
        address=f"[{settings.host}]:{port}" if ":" in settings.host else f"{settings.host}:{port}",
        tls=TlsFiles(certificate=files.certificate, key=files.key),
        roots=roots,
        reflection=settings.reflection,
    )


def _peer_gate(node: Node, contacts: Contacts) -> Gate:
    def ca_of(name: NodeName) -> str | None:
        party = find_party(node.trust.in_force.agreement, name)
        return party.tls_ca if party else None

    def revoked(name: NodeName, serial: str) -> bool:
        return not expelled(name) and serial in node.trust.in_force.member(name).revoked_serials

    def expelled(name: NodeName) -> bool:
        return name in node.trust.in_force.agreement.former

    return Gate(
        side=Side.PEER,
        federation=node.trust.in_force.agreement.federation,
        node=node.name,
        ca_of=ca_of,
        revoked=revoked,
        agreed=lambda _: False,
        expelled=expelled,
        now=node.now,
        heard=contacts.heard,
        slow_seconds=node.settings.slow_reader_seconds,
    )


def _agency_gate(node: Node, home: Path, authority: str) -> Gate:
    return Gate(
        side=Side.AGENCY,
        federation=node.trust.in_force.agreement.federation,
        node=node.name,
        ca_of=lambda name: authority if name == node.name else None,
        revoked=lambda _name, serial: serial in load_revoked(home),
        agreed=lambda agency: find_agency(node.trust.in_force.agreement, agency) is not None,
        now=node.now,
        slow_seconds=node.settings.slow_reader_seconds,
    )
