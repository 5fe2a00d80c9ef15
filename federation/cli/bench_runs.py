"""The runs of the bench: two provinces with everything on, and beside each figure what the parts alone would do.

The sender's node runs in this process, the receiver's in its own, over mutual TLS on loopback, each with SQLite in
full sync. An officer and a case are used up to what they may ask, then the next take over; an office may ask all day.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import count, islice
from math import ceil
from pathlib import Path

from federation.cli.bench import Measurement, Timing
from federation.cli.demo.provinces import DemoFederation, make_federation, start_node, stop_process, wait_ready
from federation.cli.demo.stage import case_question, lookup_act, permit_act
from federation.cli.demo.synthetic import synthetic_applications, synthetic_permits
from federation.cli.show import say
from federation.domain.citizen_number import age_on
from federation.domain.division import province_of
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.domain.lookups_case import Quotas
from federation.domain.officers import KeyStanding, OfficerKey
from federation.domain.permits import Permit
from federation.domain.permits_policy import PermitPurpose
from federation.node.exchange.errand import Errand, begin_errand
from federation.node.exchange.send import send
from federation.node.home.agreement import load_home_agreement
from federation.node.home.certificates import find_side
from federation.node.home_store import write_home_store
from federation.node.officer_keys import Occurrence, register_key
from federation.node.permits_sharing import MAX_ITEMS_A_MESSAGE, draft_sharing, put_own_permits
from federation.node.serve import Running, running_node, utc_now
from federation.protocol.errors import BridgeheadError, RuleError, UnavailableError
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.keys import Ed25519Signer, PublicKey, Signer, format_public_key, verify_signature
from federation.protocol.leaf import LeafKind
from federation.store.calibrate import commit_rows
from federation.store.database import Database, open_database
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.wire.agency.lookups import OPEN_CASE, SEARCH, LookupQuestion
from federation.wire.agency.node import GET_STATUS
from federation.wire.agency.permits import IMPORT_PERMITS, ImportChunk, PermitImport
from federation.wire.client import AgencyClient
from federation.wire.echo import EchoClient, EchoServer
from federation.wire.rpc import Nothing, TlsFiles

SENDER, RECEIVER = NodeName("zhejiang"), NodeName("jiangxi")
ECHO_BYTES = 300
BARE_ECHO = "单纯 gRPC 回显|bare grpc echo"
GROUP = 256
ADULT = 18
PEOPLE = 60_000

LEVELS = {1: f"{SENDER}/330822/police", 16: f"{SENDER}/330824/police", 64: f"{SENDER}/330881/police"}
"""How many are in flight, and which border office asks then: an office's own history is counted at each look-up."""
AUDITOR = f"{SENDER}/330000/audit"
COUNTY = "361123"
HALL = f"{RECEIVER}/{COUNTY}/service-hall"
SOUGHT = 100
WARM_SEARCHES = 600
PATIENCE_SECONDS = 30.0
OPENERS = 8
HOPS = 2
LIMITS = Quotas()


# ---- measuring


async def measure(call: Callable[[], Awaitable[object]], *, in_flight: int, seconds: float) -> Timing:
    """Keeps that many calls in flight for about that long; the calls begun within the time are counted."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def lane() -> None:
        while (began := time.perf_counter()) < end:
            await call()
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return timing_of(times, time.perf_counter() - began)


def timing_of(times: list[float], spent: float) -> Timing:
    ordered = sorted(times)
    p50, p95, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 for share in (0.5, 0.95, 0.99))
    return Timing(rate_per_second=len(ordered) / spent, p50_ms=p50, p95_ms=p95, p99_ms=p99)


def rate_only(number: int, spent: float) -> Timing:
    """A timing of one long piece of work: every quantile is the share of one item."""
    each = spent / number * 1000
    return Timing(rate_per_second=number / spent, p50_ms=each, p95_ms=each, p99_ms=each)


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * 4096 / (1024 * 1024), 1)


def alone(operation: str, in_flight: int, timing: Timing) -> Measurement:
    return Measurement(
        operation=operation,
        in_flight=in_flight,
        timing=timing,
        calibration="自身|itself",
        calibration_rate_per_second=timing.rate_per_second,
        rss_mib={},
    )


# ---- the bench


async def measure_exchanges(folder: Path, *, seconds: float, records: int) -> Sequence[Measurement]:
    found: list[Measurement] = []
    async with ready_bench(folder) as bench, echo_client(bench) as client:
        for in_flight in (1, 64):
            say(f"单纯回显，{in_flight} 路并发 | bare echo, {in_flight} in flight")
            bare = await calibrate_echo(client, in_flight=in_flight, seconds=seconds)
            say(f"交换，{in_flight} 路并发 | exchange, {in_flight} in flight")
            found.append(await run_exchange(bench, bare, in_flight=in_flight, seconds=seconds))
            found.append(alone(BARE_ECHO, in_flight, bare))
        say(f"同步 {records} 条居住证记录 | sync of {records} permit records")
        found.append(await run_sync(bench, records=records))
        say("追加存证日志 | log append")
        found.append(run_append(folder, bench, seconds=seconds))
        say("单独签名与单条提交 | signing and single commits alone")
        found.append(alone("签名并验证|sign and verify", 1, calibrate_signing(bench, seconds=min(2.0, seconds))))
        commits = calibrate_commits(folder, bench, seconds=min(2.0, seconds))
        found.append(alone("单纯提交存储|bare store commit", 1, rate_only(round(commits), 1.0)))
    return found


async def measure_lookups(folder: Path, *, seconds: float) -> Sequence[Measurement]:
    found: list[Measurement] = []
    async with ready_bench(folder, people=0) as bench, echo_client(bench) as client:
        numbers = await register_people(bench.federation, bench.running.node.today())
        for in_flight, police in LEVELS.items():
            say(f"经 {HOPS} 段的单纯回显，{in_flight} 路并发 | bare echo over {HOPS} hops, {in_flight} in flight")
            bare = await calibrate_echo(client, in_flight=in_flight, seconds=seconds, hops=HOPS)
            say(f"查询，{in_flight} 路并发 | look-up, {in_flight} in flight")
            async with open_desk(bench.federation, numbers, police=police) as desk:
                found.append(await run_search(bench, desk, bare, in_flight=in_flight, seconds=seconds))
            found.append(alone(f"单纯 gRPC 回显，{HOPS} 段相继|bare grpc echo, {HOPS} in sequence", in_flight, bare))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    federation: DemoFederation
    running: Running
    errand: Errand
    permits: Iterator[Permit]
    receiver_pid: int

    def memory(self) -> dict[str, float]:
        return {SENDER: resident_mib(os.getpid()), RECEIVER: resident_mib(self.receiver_pid)}


UNCOUNTED = {
    "lookups_a_desk_day": 10_000_000,
    "lookups_an_office_day": 10_000_000,
    "cases_an_office_day": 100_000,
    "answers_per_office_day": 10_000_000,
}
"""One office asks more in a minute of the bench than one asks, and the owner of records answers it, in a day."""
ISLAND = "a bench of two nodes: the other provinces are not started"


@asynccontextmanager
async def nodes_apart(
    folder: Path, started: Sequence[NodeName] = (RECEIVER, SENDER), *, nodes: Path | None = None, pause: float = 0.5
) -> AsyncIterator[DemoFederation]:
    """Makes the federation, starts these nodes, each in a process of its own, and stops them in the end.

    `pause`: the seconds until a province that does not answer is tried again.
    """
    settings = {"delivery_pause_seconds": pause, "witness_seconds": 1.0, **UNCOUNTED}
    federation = make_federation(folder, now=utc_now(), overrides=settings, nodes=nodes)
    try:
        for node in started:
            start_node(federation, node, island=ISLAND)
        await asyncio.to_thread(wait_ready, federation, started)
        yield federation
    finally:
        for process in federation.processes.values():  # the calls of this process end meanwhile
            await asyncio.to_thread(stop_process, process)


@asynccontextmanager
async def ready_bench(folder: Path, *, people: int = PEOPLE) -> AsyncIterator[Bench]:
    """Makes so many people to write about, starts the receiver's node apart and the sender's in this process."""
    async with (
        nodes_apart(folder, [RECEIVER]) as federation,
        running_node(federation.homes[SENDER].home, island=ISLAND) as running,
    ):
        act = permit_act(PermitPurpose.ADMINISTRATION, officer="bench")
        yield Bench(
            federation=federation,
            running=running,
            errand=begin_errand(running.node, parse_agency_id("zhejiang/330822/police"), act),
            permits=iter(list(islice(_shared_permits(running.node.today()), people))),  # made before it is timed
            receiver_pid=federation.processes[RECEIVER].pid,
        )


async def run_exchange(bench: Bench, echo: Timing, *, in_flight: int, seconds: float) -> Measurement:
    """One signed message a call: decided, numbered, logged, delivered, stored, decided, receipted, settled."""
    node, delivery = bench.running.node, bench.running.delivery

    async def exchange() -> None:
        permit = next(bench.permits)
        drafts = draft_sharing(bench.errand, [permit])
        done = await send(node, drafts, rows=lambda tx: put_own_permits(tx, [permit], owner=node.name, before=0))
        for message_id in done.value[1]:
            state = await delivery.wait_settled(message_id)
            if state != "settled":
                raise UnavailableError("BENCH_UNSETTLED", f"expected a settled message, got one that is {state}")

    return await beside_echo(bench, "交换|exchange", exchange, echo=echo, in_flight=in_flight, seconds=seconds)


async def beside_echo(
    bench: Bench,
    operation: str,
    call: Callable[[], Awaitable[object]],
    *,
    echo: Timing,
    in_flight: int,
    seconds: float,
) -> Measurement:
    """Measures a call that crosses once, after a little warming, beside the bare echo of the same run."""
    await measure(call, in_flight=in_flight, seconds=min(1.0, seconds / 3))
    timing = await measure(call, in_flight=in_flight, seconds=seconds)
    return Measurement(
        operation=operation,
        in_flight=in_flight,
        timing=timing,
        calibration=(
            f"同样双向 TLS 上 {ECHO_BYTES} 字节的单纯 gRPC 回显，{in_flight} 路并发"
            f"|bare grpc echo of {ECHO_BYTES} bytes over the same mutual TLS, {in_flight} in flight"
        ),
        calibration_rate_per_second=echo.rate_per_second,
        rss_mib=bench.memory(),
    )


async def run_sync(bench: Bench, *, records: int) -> Measurement:
    """Permits brought in bulk to an entitled province, after registering: records a second until the last receipt."""
    node, delivery = bench.running.node, bench.running.delivery
    batches = [[next(bench.permits) for _ in range(MAX_ITEMS_A_MESSAGE)] for _ in range(records // MAX_ITEMS_A_MESSAGE)]
    for batch in batches:
        await node.sequencer.commit(partial(put_own_permits, permits=batch, owner=node.name, before=0))
    began = time.perf_counter()
    waiting: list[asyncio.Task[str]] = []
    for batch in batches:
        done = await send(node, draft_sharing(bench.errand, batch), rows=lambda _transaction: None)
        waiting.extend(asyncio.create_task(delivery.wait_settled(message_id)) for message_id in done.value[1])
    states = await asyncio.gather(*waiting)
    spent = time.perf_counter() - began
    if set(states) != {"settled"}:
        raise UnavailableError("BENCH_UNSETTLED", f"expected settled messages, got {sorted(set(states))}")
    count = len(batches) * MAX_ITEMS_A_MESSAGE
    bare = await asyncio.to_thread(
        commit_rows, node.database, rows_a_commit=MAX_ITEMS_A_MESSAGE, row_bytes=700, seconds=1.0
    )
    return Measurement(
        operation="同步居住证记录|sync of permit records",
        in_flight=1,
        timing=rate_only(count, spent),
        calibration=(
            "单纯插入 700 字节的行，每次提交 1,000 行，全同步"
            "|bare insert of rows of 700 bytes, 1,000 a commit, full sync"
        ),
        calibration_rate_per_second=bare,
        rss_mib=bench.memory(),
    )


def run_append(folder: Path, bench: Bench, *, seconds: float) -> Measurement:
    """Leaves appended in groups, without a network."""
    database = _scratch(folder, bench)
    entry = os.urandom(300)
    times: list[float] = []
    number, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        jobs = [_append(number + position, entry) for position in range(GROUP)]
        start = time.perf_counter()
        commit_group(database, jobs, now=utc_now())
        times.append(time.perf_counter() - start)
        number += GROUP
    spent = time.perf_counter() - began
    bare = commit_rows(database, rows_a_commit=GROUP, row_bytes=len(entry), seconds=min(2.0, seconds))
    database.close()
    return Measurement(
        operation="追加存证日志|log append",
        in_flight=GROUP,
        timing=rate_only(number, spent),
        calibration=(
            f"单纯插入 300 字节的行，每次提交 {GROUP} 行，全同步"
            f"|bare insert of rows of 300 bytes, {GROUP} a commit, full sync"
        ),
        calibration_rate_per_second=bare,
        rss_mib={SENDER: resident_mib(os.getpid())},
    )


@asynccontextmanager
async def echo_client(bench: Bench) -> AsyncIterator[EchoClient]:
    """A bare echo between this process and one of its own, over the same certificates."""
    home = bench.federation.homes[RECEIVER].home
    own = find_side(bench.federation.homes[SENDER].home, "peer")
    command = [sys.executable, "-m", "federation.cli.main", "bench", "echo", "--home", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)  # noqa: ASYNC220, S603
    assert process.stdout is not None
    try:
        port = int(await asyncio.to_thread(process.stdout.readline))
        client = EchoClient(
            f"127.0.0.1:{port}",
            tls=TlsFiles(certificate=own.certificate, key=own.key),
            authority=find_side(home, "peer").authority.read_text(encoding="utf-8"),
            server_name=f"{RECEIVER}.{bench.running.node.trust.in_force.agreement.federation}",
        )
        try:
            yield client
        finally:
            await client.close()
    finally:
        stop_process(process)


async def calibrate_echo(client: EchoClient, *, in_flight: int, seconds: float, hops: int = 1) -> Timing:
    """Bare echoes a second; with more hops, so many echoes in sequence count as one."""
    payload = os.urandom(ECHO_BYTES)

    async def echo() -> None:
        for _ in range(hops):
            await client.echo(payload, timeout_seconds=10)

    await measure(echo, in_flight=in_flight, seconds=0.5)
    return await measure(echo, in_flight=in_flight, seconds=seconds)


async def serve_echo(home: Path, tell_port: Callable[[int], None]) -> None:
    files = find_side(home, "peer")
    roots = "\n".join(member.tls_ca for member in load_home_agreement(home, now=utc_now()).members.values())
    server = EchoServer(TlsFiles(certificate=files.certificate, key=files.key), roots)
    await server.start()
    tell_port(server.port)
    await asyncio.Event().wait()


def calibrate_signing(bench: Bench, *, seconds: float) -> Timing:
    """One signature made and one verified, a second."""
    signer, message = bench.running.node.signer, os.urandom(ECHO_BYTES)
    times: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        verify_signature(signer.public_key, message, signer.sign(message))
        times.append(time.perf_counter() - start)
    return timing_of(times, time.perf_counter() - began)


def calibrate_commits(folder: Path, bench: Bench, *, seconds: float) -> float:
    """Bare single-row commits a second, full sync."""
    database = _scratch(folder, bench)
    try:
        return commit_rows(database, rows_a_commit=1, row_bytes=ECHO_BYTES, seconds=seconds)
    finally:
        database.close()


def _scratch(folder: Path, bench: Bench) -> Database:
    name = f"scratch-{time.monotonic_ns()}.db"
    return open_database(f"sqlite:///{name}", keys=bench.running.node.database.keys, folder=folder)


def _append(number: int, entry: bytes) -> Callable[[GroupTransaction], int]:
    subject = hashlib.sha256(number.to_bytes(8)).hexdigest()
    return lambda transaction: transaction.append_leaf(LeafKind.SENT, subject, entry)


def _shared_permits(today: date) -> Iterator[Permit]:
    """Permits issued in Zhejiang to people whose household is in Jiangxi: each goes to that one province."""
    for found in synthetic_permits(SENDER, 100_000_000, seed=7, today=today):
        shared = province_of(found.holder.household_division) == RECEIVER and not found.sealed
        works_there = found.work_division is None or province_of(found.work_division) in (SENDER, RECEIVER)
        if shared and works_there and found.version == 1 and age_on(found.holder.birth_date, today) >= ADULT:
            yield found


# ---- look-ups


ASKER, LEADER = (Ed25519Signer(name.encode().ljust(32, b".")) for name in ("bench", "bench-leader"))
"""The own keys of those who ask, and of who leads: one key for all that ask, since only their names are counted."""


def own_key(officer: str) -> Signer:
    return LEADER if officer == "bench-leader" else ASKER


def register_officers(
    federation: DemoFederation, agency: str, officers: Sequence[str], *, key: PublicKey | None = None
) -> None:
    """Registers the own keys of a bench's officers, or the one given, at their node, beside the running one."""
    office = parse_agency_id(agency)

    home, now = federation.homes[office.node].home, utc_now()
    at = Occurrence(agreement=load_home_agreement(home, now=now), now=now)

    def register(transaction: GroupTransaction) -> None:
        for officer in officers:
            public = format_public_key(key or own_key(officer).public_key)
            own = OfficerKey(agency=office, officer=officer, version=0, standing=KeyStanding.REGISTERED, key=public)
            register_key(transaction, own, at=at)

    write_home_store(home, register, now=now)


class Desk:
    """A police office that asks about one known person after another; its history grows while it is measured."""

    def __init__(
        self,
        police: AgencyClient,
        auditor: AgencyClient,
        register: Callable[[Sequence[str]], None],
        *,
        county: str,
        numbers: Sequence[str],
    ) -> None:
        self._register = register
        self._police = police
        self._auditor = auditor
        self._numbers = numbers
        self._series = f"BENCH-{county}-{int(time.time())}"  # of its own, though the store is used again
        self._cases: list[str] = []
        self._turns = count()

    async def make_room(self, searches: int) -> None:
        """Opens cases for that many more searches, and waits until the other province knows them."""
        more = range(len(self._cases), len(self._cases) + ceil(searches / LIMITS.per_case))
        missing = [f"{self._series}-{number:06d}" for number in more]
        await asyncio.to_thread(self._register, [f"{self._series}-{number}" for number in more])
        waiting = iter(missing)

        async def opener() -> None:
            for case_id in waiting:
                await self._open(case_id)

        await asyncio.gather(*(opener() for _ in range(OPENERS)))
        end = time.monotonic() + PATIENCE_SECONDS
        while any(peer.waiting_count for peer in (await self._auditor.call(GET_STATUS, None, Nothing())).peers):
            if time.monotonic() > end:
                raise UnavailableError("BENCH_UNSETTLED", "the other province does not receipt the cases")
            await asyncio.sleep(0.02)
        self._cases.extend(missing)

    async def search(self) -> None:
        """One search, from the client's call until the answer, which is a hit (BENCH_CASES, BENCH_NO_HIT)."""
        number, turn = divmod(next(self._turns), LIMITS.per_case)
        if number >= len(self._cases):
            raise RuleError("BENCH_CASES", f"expected at most {len(self._cases) * LIMITS.per_case} searches")
        person = number * LIMITS.persons_per_case + turn % LIMITS.persons_per_case
        question = LookupQuestion(
            case_id=self._cases[number],
            selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self._numbers[person % len(self._numbers)]),
            provinces=(RECEIVER,),
        )
        result = await self._police.call(SEARCH, lookup_act(officer=f"{self._series}-{number}"), question)
        if [answer.outcome for answer in result.answers] != [Outcome.HIT]:
            raise RuleError("BENCH_NO_HIT", f"expected one hit, got {result.answers}")

    async def _open(self, case_id: str) -> None:
        act, letter = lookup_act(officer="bench-leader"), f"常公协〔2026〕{case_id}"
        question = case_question(act, case_id, COUNTY, leader="bench-leader", letter=letter)
        answer = await self._police.call(OPEN_CASE, act, question)
        if not answer.decision.allowed:
            raise RuleError("BENCH_REFUSED", f"expected an open case: {answer.decision.title_en}")


async def register_people(federation: DemoFederation, today: date) -> Sequence[str]:
    register_officers(federation, HALL, ["bench"])
    hall = AgencyClient(federation.profile(HALL), sign=own_key, timeout_seconds=30)
    try:
        rows = tuple(islice(_people(today), SOUGHT))
        chunk = ImportChunk(import_id=str(uuid.uuid4()), chunk=1, rows=rows)
        for done in await hall.call(IMPORT_PERMITS, permit_act(PermitPurpose.ADMINISTRATION, officer="bench"), chunk):
            if isinstance(done, BridgeheadError):
                raise done
        return [row.application.holder.citizen_number for row in rows]
    finally:
        await hall.close()


@asynccontextmanager
async def open_desk(federation: DemoFederation, numbers: Sequence[str], *, police: str) -> AsyncIterator[Desk]:
    officers, auditor = (
        AgencyClient(federation.profile(name), sign=own_key, timeout_seconds=30) for name in (police, AUDITOR)
    )
    register_officers(federation, police, ["bench-leader"])
    try:
        register = partial(register_officers, federation, police)
        yield Desk(officers, auditor, register, county=parse_agency_id(police).county, numbers=numbers)
    finally:
        await asyncio.gather(officers.close(), auditor.close())


async def run_search(bench: Bench, desk: Desk, echo: Timing, *, in_flight: int, seconds: float) -> Measurement:
    """Searches that hit: how many a second and how long each took, client to answer."""
    await desk.make_room(WARM_SEARCHES)
    warm = await measure(desk.search, in_flight=in_flight, seconds=min(1.0, seconds))
    await desk.make_room(ceil(2 * warm.rate_per_second * seconds) + in_flight)
    timing = await measure(desk.search, in_flight=in_flight, seconds=seconds)
    return search_measurement(timing, echo, in_flight=in_flight, rss_mib=bench.memory())


def search_measurement(timing: Timing, echo: Timing, *, in_flight: int, rss_mib: dict[str, float]) -> Measurement:
    return Measurement(
        operation="查询（命中）|look-up (search, hit)",
        in_flight=in_flight,
        timing=timing,
        calibration=(
            f"{HOPS} 次 {ECHO_BYTES} 字节的单纯 gRPC 回显相继（客户端、甲、乙），{in_flight} 路并发"
            f"|{HOPS} bare grpc echoes of {ECHO_BYTES} bytes in sequence (client, A, B), {in_flight} in flight"
        ),
        calibration_rate_per_second=echo.rate_per_second,
        rss_mib=rss_mib,
    )


def _people(today: date) -> Iterator[PermitImport]:
    """Adults who live in Yushan and whom no third province is told of: only two nodes run."""
    issued = today - timedelta(days=30)
    for found in synthetic_applications(RECEIVER, 1_000_000, seed=11, today=issued):
        told_at_home = province_of(found.holder.household_division) in (None, RECEIVER) and found.work_division is None
        if found.residence_division == COUNTY and told_at_home and not found.sealed and not found.guardian:
            yield PermitImport(application=found, issue_date=issued)
