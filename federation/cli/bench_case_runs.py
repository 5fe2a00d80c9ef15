"""Joint cases of two provinces for the bench: entries a second beside a bare echo, and what is due among many cases.

An entry is written by the office that opened the case, in this process, and counts once the node of the other province,
whose office joined, has receipted it; its note stays at home, a hidden place of the body that crosses. Many cases are
in hand, one entry at a time in each. For the list of what is due the lines of cases are written in bulk: the list reads
nothing else.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from federation.cli.bench import Figure, Measurement, Timing
from federation.cli.bench_runs import (
    BARE_ECHO,
    COUNTY,
    OPENERS,
    PATIENCE_SECONDS,
    RECEIVER,
    SENDER,
    Bench,
    alone,
    beside_echo,
    calibrate_echo,
    echo_client,
    own_key,
    ready_bench,
    register_officers,
    timing_of,
)
from federation.cli.cases import USUAL
from federation.cli.show import say
from federation.domain.case_items import CaseItem
from federation.domain.joint_policy import CaseLine
from federation.domain.joint_trace import format_case_code
from federation.node.exchange.errand import begin_errand
from federation.node.joint.records import CASES
from federation.node.joint.steps import act_in_case, open_case
from federation.protocol.errors import RuleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, RecordId, format_message_id, parse_agency_id
from federation.store.exchange_log import GroupTransaction
from federation.store.records import put_records
from federation.wire.agency.cases import (
    ACT_IN_CASE,
    LIST_CASES,
    LIST_DUE_CASES,
    CaseOpening,
    CaseOutcome,
    CaseStep,
    DeliveryState,
    DueQuery,
)
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act, PageQuery

DIVISION: Final = "330822"
OURS: Final = parse_agency_id(f"{SENDER}/{DIVISION}/town")
THEIRS: Final = parse_agency_id(f"{RECEIVER}/{COUNTY}/governance")
OFFICER: Final = "bench"
LINES_A_COMMIT: Final = 1_000
ASKED: Final = 20
LISTS: Final = ((3, 100), (366, 1_000))
"""What `case due` asks for by itself, and the most that it may ask for: within how many days, how many cases."""
_OPENING: Final = CaseOpening(
    procedure="dispute-mediation", role="town", division=DIVISION,
    fields={"stage": "registration", "source": "walk_in"},
)  # fmt: skip
_NOTE: Final = CaseItem(kind="note", fields={"text": "双方约定下周再谈，村委会到场，道路先行通行"})


async def measure_cases(
    folder: Path, *, seconds: float, levels: Sequence[int], cases: int
) -> tuple[Sequence[Figure], Sequence[Measurement]]:
    """Measures a list of what is due among so many cases, and entries beside echoes of the same run."""
    found: list[Measurement] = []
    async with ready_bench(folder, people=0) as bench, echo_client(bench) as client:
        say(f"两省立案 {max(levels)} 件 | opening {max(levels)} cases of two provinces")
        codes = await _open_cases(bench, max(levels))
        for in_flight in levels:
            say(f"单纯回显，{in_flight} 路并发 | bare echo, {in_flight} in flight")
            bare = await calibrate_echo(client, in_flight=in_flight, seconds=seconds)
            say(f"案件记录，{in_flight} 路并发 | entries of cases, {in_flight} in flight")
            found.append(await run_entries(bench, codes, bare, in_flight=in_flight, seconds=seconds))
            found.append(alone(BARE_ECHO, in_flight, bare))
        say(f"一个单位的清单有 {cases} 件 | {cases} cases in the lists of an office")
        await _fill_list(bench, cases)
        figures = await time_due(bench, cases)
    return figures, found


async def run_entries(
    bench: Bench, codes: Sequence[str], echo: Timing, *, in_flight: int, seconds: float
) -> Measurement:
    """One entry a call: allowed by the case as it stands, decided, logged, delivered, taken in, folded, receipted."""
    idle: asyncio.Queue[str] = asyncio.Queue()
    for code in codes:
        idle.put_nowait(code)

    async def write() -> None:
        code = idle.get_nowait()
        await _do(bench, CaseStep(case=code, name="note", items=(_NOTE,)))
        idle.put_nowait(code)

    return await beside_echo(
        bench, "联办案件记录|entry of a joint case", write, echo=echo, in_flight=in_flight, seconds=seconds
    )


async def time_due(bench: Bench, cases: int) -> Sequence[Figure]:
    """The RPC of `case due`, from the client's call until its answer."""
    client = await _client(bench, OURS)
    found: list[Figure] = []
    try:
        for days, most in LISTS:
            query = DueQuery(before=bench.running.node.now() + timedelta(days=days), page_size=most)
            times: list[float] = []
            lines = 0
            for _ in range(ASKED):
                began = time.perf_counter()
                lines = len((await client.call(LIST_DUE_CASES, _act(), query)).lines)
                times.append(time.perf_counter() - began)
            of = (
                f"{days} 日内到期，{cases:,} 件中的 {lines:,} 行"
                f"|case due within {days} days, {lines:,} lines of {cases:,} cases"
            )
            timing = timing_of(times, sum(times))
            found += [
                Figure(of=of, what="答复，中位数|answered, median", value=timing.p50_ms, unit="ms"),
                Figure(
                    of=of,
                    what=f"答复，{ASKED} 次中最慢|answered, slowest of {ASKED}",
                    value=max(times) * 1000,
                    unit="ms",
                ),
            ]
    finally:
        await client.close()
    return found


async def _open_cases(bench: Bench, number: int) -> Sequence[str]:
    """Opens so many cases, which an office of the other province joins; their codes."""
    codes: list[str] = []
    waiting = iter(range(number))

    async def opener() -> None:
        for _ in waiting:
            errand = begin_errand(bench.running.node, OURS, _act())
            line = _done(await open_case(errand, _OPENING)).line
            assert line is not None
            await _do(bench, CaseStep(case=line.code, name="invite", fields={"agency": str(THEIRS), "role": "peer"}))
            codes.append(line.code)

    await asyncio.gather(*(opener() for _ in range(OPENERS)))
    peer = await _client(bench, THEIRS)
    try:
        await _wait_listed(peer, number)
        invited = iter(codes)

        async def joiner() -> None:
            for code in invited:
                _done(await peer.call(ACT_IN_CASE, _act(), CaseStep(case=code, name="join")))

        await asyncio.gather(*(joiner() for _ in range(OPENERS)))
    finally:
        await peer.close()
    return codes


async def _wait_listed(peer: AgencyClient, number: int) -> None:
    """Waits until the other province's office has so many cases in its list."""
    end = time.monotonic() + PATIENCE_SECONDS
    while len((await peer.call(LIST_CASES, _act(), PageQuery(page_size=1_000))).lines) < number:
        if time.monotonic() > end:
            raise UnavailableError("BENCH_UNSETTLED", "the other province does not list the cases")
        await asyncio.sleep(0.02)


async def _do(bench: Bench, step: CaseStep) -> None:
    """Does one act of our office, and waits until the other province has it where one takes part."""
    _done(await act_in_case(begin_errand(bench.running.node, OURS, _act()), step))


def _done(outcome: CaseOutcome) -> CaseOutcome:
    """Refuses an act that was not allowed (BENCH_REFUSED), or whose entry is not received yet (BENCH_UNSETTLED)."""
    if outcome.entry is None:
        raise RuleError("BENCH_REFUSED", f"expected an entry: {outcome.decision.title_en}")
    states = {each.state for each in outcome.entry.deliveries}
    if not states <= {DeliveryState.RECEIVED}:
        raise UnavailableError("BENCH_UNSETTLED", f"expected a received entry, got {sorted(states)}")
    return outcome


async def _fill_list(bench: Bench, cases: int) -> None:
    """Puts cases like the first one of our office into its list until it has so many, due over a year."""
    node = bench.running.node
    first, *more = CASES.each(node.database, under=f"{OURS}/")
    now, here = node.now(), 1 + len(more)
    for start in range(here, cases, LINES_A_COMMIT):
        numbers = range(start, min(start + LINES_A_COMMIT, cases))
        await node.sequencer.commit(partial(_put_lines, [_like(first, number, now=now) for number in numbers]))


def _like(line: CaseLine, number: int, *, now: datetime) -> CaseLine:
    opened = now - timedelta(seconds=number)
    return replace(
        line,
        record=RecordId(f"{SENDER}/{format_message_id(opened, number.to_bytes(10))}"),
        code=format_case_code(DIVISION, opened.year, number),
        opened=opened,
        changed=opened,
        due=now + timedelta(minutes=7919 * number % (365 * 24 * 60)),
    )


def _put_lines(lines: Iterable[CaseLine], transaction: GroupTransaction) -> None:
    put_records(transaction, [CASES.record(line, owner=SENDER) for line in lines])


async def _client(bench: Bench, office: AgencyId) -> AgencyClient:
    await asyncio.to_thread(register_officers, bench.federation, str(office), [OFFICER])
    return AgencyClient(bench.federation.profile(str(office)), sign=own_key, timeout_seconds=30)


def _act() -> Act:
    purpose, function = USUAL
    return Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer=OFFICER)
