"""What the bench runs: two provinces with everything on, and beside each figure what the parts alone would do.

The sender's node runs in this process, the receiver's in one of its own, over real mutual TLS on loopback, each with
its SQLite store in full sync. Nothing is switched off.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from federation.cli.bench.measure import Measurement, Timing, measure, rate_only, resident_mib, timing_of
from federation.cli.demo.provinces import DemoFederation, make_federation, start_node, wait_ready
from federation.cli.demo.synthetic import synthetic_permits
from federation.domain.citizen_number import age_on
from federation.domain.division import province_of
from federation.domain.permits import Permit
from federation.domain.permits_policy import FUNCTION_OF, PermitPurpose
from federation.node.exchange.errand import Errand, begin_errand
from federation.node.exchange.send import send
from federation.node.home.agreement import load_home_agreement
from federation.node.home.certificates import find_side
from federation.node.permits_sharing import MAX_ITEMS_A_MESSAGE, draft_sharing, put_own_permits
from federation.node.serve import Running, running_node, utc_now
from federation.protocol.errors import UnavailableError
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.keys import verify_signature
from federation.protocol.leaf import LeafKind
from federation.store.calibrate import commit_rows
from federation.store.database import Database, open_database
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.wire.echo import EchoClient, EchoServer
from federation.wire.values import Act, TlsFiles

SENDER, RECEIVER = NodeName("zhejiang"), NodeName("jiangxi")
ECHO_BYTES = 300
GROUP = 256
ADULT = 18
PEOPLE = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Two provinces ready to exchange: the sender's running node, the receiver's process, people to write about."""

    federation: DemoFederation
    running: Running
    errand: Errand
    permits: Iterator[Permit]
    receiver_pid: int

    def memory(self) -> dict[str, float]:
        """The resident memory of both nodes; the sender's holds the bench itself too."""
        return {SENDER: round(resident_mib(os.getpid()), 1), RECEIVER: round(resident_mib(self.receiver_pid), 1)}


@asynccontextmanager
async def ready_bench(folder: Path, *, people: int = PEOPLE) -> AsyncIterator[Bench]:
    """Makes the federation and so many people to write about, starts both nodes, and stops them in the end."""
    settings = {"delivery_pause_seconds": 0.5, "witness_seconds": 1.0}
    federation = make_federation(folder, now=utc_now(), overrides=settings)
    start_node(federation, RECEIVER)
    process = federation.processes[RECEIVER]
    try:
        await asyncio.to_thread(wait_ready, federation, [RECEIVER])
        async with running_node(federation.homes[SENDER].home) as running:
            node = running.node
            act = Act(
                request_id="00000000-0000-7000-8000-000000000000",
                purpose=PermitPurpose.ADMINISTRATION,
                function=FUNCTION_OF[PermitPurpose.ADMINISTRATION],
                officer="bench",
            )
            errand = begin_errand(node, parse_agency_id("zhejiang/330822/police"), act)
            permits = iter(list(islice(_shared_permits(node.today()), people)))  # made before, not while it is timed
            yield Bench(
                federation=federation, running=running, errand=errand, permits=permits, receiver_pid=process.pid
            )
    finally:
        _stop(process)


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

    await measure(exchange, in_flight=in_flight, seconds=min(1.0, seconds / 3))
    timing = await measure(exchange, in_flight=in_flight, seconds=seconds)
    return Measurement(
        operation="exchange",
        in_flight=in_flight,
        timing=timing,
        calibration=f"bare grpc echo of {ECHO_BYTES} bytes over the same mutual TLS, {in_flight} in flight",
        calibration_rate_per_second=echo.rate_per_second,
        rss_mib=bench.memory(),
    )


async def run_sync(bench: Bench, *, records: int) -> Measurement:
    """Permits that the owner holds brought to an entitled province in bulk: records a second until the last receipt.

    Each record is decided by the owner's policy, projected, committed to, signed for in messages of 1,000, delivered,
    decided again, sealed and stored; registering them at the owner is not part of it.
    """
    node, delivery = bench.running.node, bench.running.delivery
    batches = [[next(bench.permits) for _ in range(MAX_ITEMS_A_MESSAGE)] for _ in range(records // MAX_ITEMS_A_MESSAGE)]
    for batch in batches:
        await node.sequencer.commit(_writer(batch, node.name))
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
        operation="sync of permit records",
        in_flight=1,
        timing=rate_only(count, spent),
        calibration="bare insert of rows of 700 bytes, 1,000 a commit, full sync",
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
        operation="log append",
        in_flight=GROUP,
        timing=rate_only(number, spent),
        calibration=f"bare insert of rows of 300 bytes, {GROUP} a commit, full sync",
        calibration_rate_per_second=bare,
        rss_mib={SENDER: round(resident_mib(os.getpid()), 1)},
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
        _stop(process)


async def calibrate_echo(client: EchoClient, *, in_flight: int, seconds: float, hops: int = 1) -> Timing:
    """Bare echoes a second; with more hops, so many echoes in sequence count as one."""
    payload = os.urandom(ECHO_BYTES)

    async def echo() -> None:
        for _ in range(hops):
            await client.echo(payload, timeout_seconds=10)

    await measure(echo, in_flight=in_flight, seconds=0.5)
    return await measure(echo, in_flight=in_flight, seconds=seconds)


async def serve_echo(home: Path, tell_port: Callable[[int], None]) -> None:
    """Serves bare echoes with a node's peer certificate until the process is stopped."""
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
    path = folder / f"scratch-{time.monotonic_ns()}.db"
    return open_database(f"sqlite:///{path.absolute()}", keys=bench.running.node.database.keys)


def _append(number: int, entry: bytes) -> Callable[[GroupTransaction], int]:
    subject = hashlib.sha256(number.to_bytes(8)).hexdigest()
    return lambda transaction: transaction.append_leaf(LeafKind.SENT, subject, entry)


def _writer(permits: Sequence[Permit], owner: NodeName) -> Callable[[GroupTransaction], None]:
    return lambda transaction: put_own_permits(transaction, permits, owner=owner, before=0)


def _shared_permits(today: date) -> Iterator[Permit]:
    """Permits issued in Zhejiang to people whose household is in Jiangxi: each goes to that one province."""
    for found in synthetic_permits(SENDER, 100_000_000, seed=7, today=today):
        shared = province_of(found.holder.household_division) == RECEIVER and not found.sealed
        works_there = found.work_division is None or province_of(found.work_division) in (SENDER, RECEIVER)
        if shared and works_there and found.version == 1 and age_on(found.holder.birth_date, today) >= ADULT:
            yield found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
