"""Alerts on many screens for the bench: from the call that raises one until each screen of the neighbour has it.

The raising province's node runs in this process, as do the screens; the neighbour's in its own, over mutual TLS.
Beside it, in the same run, a bare server tells as many bytes to as many streams. And an invented day of the border is
done over the calls that desks have, many alerts at once, until both nodes hold the same entries of each.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from functools import lru_cache
from itertools import chain, cycle
from pathlib import Path
from typing import Any, Final

from federation.cli.bench import MEMORY, Figure, Measurement, Timing
from federation.cli.bench_runs import (
    COUNTY,
    PATIENCE_SECONDS,
    RECEIVER,
    SENDER,
    Bench,
    alone,
    echo_client,
    nodes_apart,
    own_key,
    ready_bench,
    register_officers,
    resident_mib,
    timing_of,
)
from federation.cli.demo.border_plants import border_day
from federation.cli.demo.border_replay import Question, Replay
from federation.cli.demo.border_story import Deed
from federation.cli.demo.provinces import DemoFederation, repository_folder
from federation.cli.show import say
from federation.domain.alert_rules import AgreedAlerts, read_alert_rules
from federation.domain.cap import Status
from federation.domain.case_items import CaseItem
from federation.domain.duty import DUTY_SHEET
from federation.node.joint.records import ALERT, load_held
from federation.protocol.errors import RuleError, UnavailableError
from federation.protocol.ids import AgencyId, parse_agency_id, parse_record_id
from federation.wire.agency.alerts import (
    ACT_IN_ALERT,
    LIST_ALERT_ENTRIES,
    LIST_ALERTS,
    RAISE_ALERT,
    WATCH_ALERTS,
    AlertOutcome,
    AlertQuery,
    AlertRaising,
    AlertWatch,
)
from federation.wire.agency.cases import EntryQuery
from federation.wire.client import AgencyClient
from federation.wire.rpc import A, Act, Q, Rpc

RAISER: Final = f"{SENDER}/330822/emergency"
SCREENS: Final = (
    f"{RECEIVER}/{COUNTY}/emergency",
    f"{RECEIVER}/361130/emergency",
)
"""The neighbour's offices whose desks a flood that both counties have before them is told to."""
OFFICER: Final = "bench"
ALERTS: Final = "起|alerts"
WARM: Final = 3
_SAID: Final = {
    "desk": "330822.emergency", "kind": "flood", "area": "330822.circle.qiuchuan",
    "division": f"330822111,{COUNTY},361130",
}  # fmt: skip
_FACT: Final = CaseItem(kind="fact", fields={"text": "水位上涨，上游水库将于一小时后泄洪"})


async def measure_alerts(folder: Path, *, screens: int, alerts: int) -> tuple[Sequence[Figure], Sequence[Measurement]]:
    """Raises so many alerts, one behind the other, for so many screens; then tells as many bytes to bare streams."""
    async with ready_bench(folder, people=0) as bench:
        say(f"{len(SCREENS)} 个单位的 {screens} 块屏幕 | {screens} screens of {len(SCREENS)} offices")
        figures, timing, size = await _raise_to_screens(bench, screens=screens, alerts=alerts)
        say(f"单纯分发到 {screens} 个流 | bare fan-out to {screens} streams")
        bare = await _tell_streams(bench, streams=screens, times=alerts, size=size)
    english = f"bare fan-out of {size} bytes to {screens} streams over the same mutual TLS"
    what = f"同样双向 TLS，{size} 字节单纯分发到 {screens} 个流|{english}"
    rss: dict[str, float] = {RECEIVER: figures[0].value}
    measured = Measurement(
        operation="警情到邻省每块屏幕|alert on each screen of the neighbour", in_flight=screens, timing=timing,
        calibration=what, calibration_rate_per_second=bare.rate_per_second, rss_mib=rss,
    )  # fmt: skip
    return figures, (measured, alone("单纯分发|bare fan-out", screens, bare))


class Arrivals:
    """The seconds from a sending until each of many streams had what is awaited."""

    def __init__(self, streams: int) -> None:
        self._streams = streams
        self._whole = asyncio.Event()
        self._began = 0.0
        self._times: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.all: list[float] = []

    def follow(self, stream: AsyncGenerator[bytes, None], is_wanted: Callable[[bytes], bool]) -> None:
        self._tasks.append(asyncio.ensure_future(self._read(stream, is_wanted)))

    async def _read(self, stream: AsyncGenerator[bytes, None], is_wanted: Callable[[bytes], bool]) -> None:
        async with aclosing(stream):
            async for found in stream:
                if is_wanted(found):
                    self._times.append(time.perf_counter() - self._began)
                    if len(self._times) >= self._streams:
                        self._whole.set()
        raise UnavailableError("BENCH_UNSETTLED", "a stream ended")

    async def of(self, send: Callable[[], Awaitable[object]]) -> None:
        """Sends, and waits until every stream has it once (BENCH_UNSETTLED)."""
        self._whole.clear()
        self._times, self._began = [], time.perf_counter()
        sending = asyncio.ensure_future(send())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._whole.wait()
                await sending
        except TimeoutError as error:
            failed = next((task.exception() for task in self._tasks if task.done() and not task.cancelled()), None)
            said = f"{len(self._times)} of {self._streams} streams have it"
            raise UnavailableError("BENCH_UNSETTLED", said) from (failed or error)
        self.all += self._times

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _raise_to_screens(bench: Bench, *, screens: int, alerts: int) -> tuple[list[Figure], Timing, int]:
    """The time of each arrival on a screen, what a screen costs the neighbour's node, and the size of the news."""
    before = resident_mib(bench.receiver_pid)
    arrivals, sizes = Arrivals(screens), list[int]()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(arrivals.end)
        offices = [await _client(bench.federation, stack, office) for office in SCREENS]
        raiser = await _client(bench.federation, stack, RAISER)
        for number in range(screens):
            office = offices[number % len(offices)]
            stream = office.watch_encoded(WATCH_ALERTS, _act(), AlertWatch(topic="desk:*"))
            if not _read(await anext(stream)).news[0].token:  # it is alive before the next one begins
                raise RuleError("BENCH_REFUSED", "expected a stream")
            arrivals.follow(stream, lambda found: _is_raised(found, sizes))
        for _ in range(WARM):
            await arrivals.of(lambda: _raise(raiser))
        arrivals.all.clear()
        began = time.perf_counter()
        for _ in range(alerts):
            await arrivals.of(lambda: _raise(raiser))
        timing = timing_of(arrivals.all, time.perf_counter() - began)
        after = resident_mib(bench.receiver_pid)
    figures = [
        Figure(
            of=f"江西节点，{screens} 块屏幕|node {RECEIVER} with {screens} screens",
            what=MEMORY,
            value=after,
            unit="MiB",
        ),
        Figure(of="每块屏幕|a screen", what=MEMORY, value=(after - before) * 1024 / screens, unit="KiB"),
    ]
    return figures, timing, max(sizes)


async def _tell_streams(bench: Bench, *, streams: int, times: int, size: int) -> Timing:
    arrivals, payload = Arrivals(streams), bytes(size)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(echo_client(bench))]
        stack.push_async_callback(arrivals.end)
        for number in range(streams):
            stream = clients[number % len(clients)].follow()
            await anext(stream)
            arrivals.follow(stream, bool)
        for _ in range(WARM):
            await arrivals.of(lambda: clients[0].tell(payload, timeout_seconds=10))
        arrivals.all.clear()
        began = time.perf_counter()
        for _ in range(times):
            await arrivals.of(lambda: clients[0].tell(payload, timeout_seconds=10))
        return timing_of(arrivals.all, time.perf_counter() - began)


def _read(found: bytes) -> Any:  # noqa: ANN401 - a message of the proto files, which costs less than a value of ours
    return WATCH_ALERTS.response.FromString(found)


def _is_raised(found: bytes, sizes: list[int]) -> bool:
    is_raised = any(news.act == "raise" for news in _read(found).news)
    if is_raised:
        sizes[:] = [len(found)]
    return is_raised


async def _raise(raiser: AgencyClient, **said: str) -> str:
    outcome = await raiser.call(RAISE_ALERT, _act(), AlertRaising(fields={**_SAID, **said}, items=(_FACT,)))
    if outcome.line is None:
        raise RuleError("BENCH_REFUSED", f"expected an alert: {outcome.decision.title_en}")
    return outcome.line.record


async def _client(
    federation: DemoFederation, stack: AsyncExitStack, office: str, *, officers: Sequence[str] = (OFFICER,)
) -> AgencyClient:
    await asyncio.to_thread(register_officers, federation, office, officers)
    client = AgencyClient(federation.profile(office), sign=own_key, timeout_seconds=30)
    stack.push_async_callback(client.close)
    return client


def _act() -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose="alert.emergency", function="F18", officer=OFFICER)


# ---- a busy minute

LANES: Final = 16
"""So many alerts are worked at once."""
SLOW_SHARE: Final = 25
"""Of so many screens one is slow: it takes an answer, and nothing for a while."""
SLOW_SECONDS: Final = 2.0


@lru_cache(maxsize=1024)
def _raised_in(found: bytes) -> tuple[str, ...]:
    """The alerts that an answer tells of as raised: the screens of an office are often told the same."""
    return tuple(news.line.record for news in _read(found).news if news.act == "raise")


SEATS: Final = tuple(f"330822.seat{number}" for number in range(7))
"""The desks of a busy control room: ten names a second are there for the messages of one (GB/T 35965.1)."""


WATCHED: Final = (SCREENS[0], f"{RECEIVER}/{COUNTY}/police")
"""The offices that are told, of a county whose other neighbours are at the two nodes that run."""
_TOLD: Final = {"division": f"330822111,{COUNTY}", "kind": "fire.hazard", "ticked": "on_the_line"}
"""Of a kind that is told and that nobody has to claim: no entries that time brings come between."""


def _with_seats(folder: Path) -> Path:
    """The sheets of the provinces, with these desks."""
    shutil.copytree(repository_folder("nodes"), folder)
    with (folder / SENDER / DUTY_SHEET).open("a", encoding="utf-8") as sheet:
        for number, desk in enumerate(SEATS, start=2):
            print(f"""
[[desk]]
id = "{desk}"
agency = "{RAISER}"
number = "{number:03}"
hours = "00:00-24:00"
kinds = ["fire.hazard"]
leader = "330822.leader"
phone = "100-0000-{number:04}"
""", file=sheet)  # fmt: skip
    return folder


class Screen:
    """The alerts that one screen was told of, in their order, each with the moment at which it came."""

    def __init__(self, *, slow: bool, raised: asyncio.Event) -> None:
        self.slow, self.raised = slow, raised
        self.told = list[tuple[str, float]]()
        self.answers = 0

    async def read(self, stream: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(stream):
            async for found in stream:
                now = time.perf_counter()
                self.answers += 1
                self.told += [(record, now) for record in _raised_in(found)]
                if self.slow:  # until no more are raised: then it reads what lies there
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.raised.wait(), SLOW_SECONDS)


async def measure_flood(folder: Path, *, screens: int, rate: int, seconds: float) -> Sequence[Figure]:
    """Raises alerts by the clock, whatever becomes of those before; each screen has all, in one order (BENCH_LOST).

    A time is from the moment at which the clock wanted the alert raised.
    """
    total = max(1, int(rate * seconds))
    ended = asyncio.Event()
    shown = [Screen(raised=ended, slow=number % SLOW_SHARE == SLOW_SHARE - 1) for number in range(screens)]
    nodes = await asyncio.to_thread(_with_seats, folder / "sheets")
    async with nodes_apart(folder / "provinces", nodes=nodes, pause=5.0) as federation, AsyncExitStack() as stack:
        tasks = await _open_screens(federation, stack, shown)
        raiser = await _client(federation, stack, RAISER)
        warm = [await _raise(raiser, desk=desk, **_TOLD) for desk in SEATS]
        began, places = time.perf_counter() + 1, asyncio.Semaphore(LANES * len(SEATS))

        async def send(at: float, desk: str) -> str:
            await asyncio.sleep(at - time.perf_counter())
            async with places:
                return await _raise(raiser, desk=desk, **_TOLD)

        due = [began + number / rate for number in range(total)]
        raised = dict(zip(await asyncio.gather(*map(send, due, cycle(SEATS))), due, strict=True))
        spent, memory = time.perf_counter() - began, resident_mib(federation.processes[RECEIVER].pid)
        ended.set()
        end = time.monotonic() + PATIENCE_SECONDS
        while any(len(screen.told) < total + len(warm) for screen in shown):
            if time.monotonic() > end or any(task.done() for task in tasks):
                raise UnavailableError("BENCH_LOST", f"a screen has {min(len(each.told) for each in shown)} of {total}")
            await asyncio.sleep(0.05)
    orders = {tuple(record for record, _ in screen.told) for screen in shown}
    if len(orders) > 1 or not raised.keys() < set(*orders):
        raise UnavailableError("BENCH_LOST", "the screens were not told the same in the same order")
    quick = [screen for screen in shown if not screen.slow]
    times = [came - raised[record] for screen in quick for record, came in screen.told if record in raised]
    return _flood_figures(timing_of(times, spent), shown, raised=total / spent, memory=memory)


async def _open_screens(
    federation: DemoFederation, stack: AsyncExitStack, shown: Sequence[Screen]
) -> Sequence[asyncio.Task[None]]:
    """Opens a stream for each, alive before the next one begins; they are read until the stack is left."""
    offices = [await _client(federation, stack, office) for office in WATCHED]
    tasks = list[asyncio.Task[None]]()

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    stack.push_async_callback(end)
    for number, screen in enumerate(shown):
        look = _look(parse_agency_id(WATCHED[number % len(offices)]))
        stream = offices[number % len(offices)].watch_encoded(WATCH_ALERTS, look, AlertWatch(topic="desk:*"))
        await anext(stream)
        tasks.append(asyncio.create_task(screen.read(stream)))
    return tasks


def _flood_figures(timing: Timing, shown: Sequence[Screen], *, raised: float, memory: float) -> Sequence[Figure]:
    slow = sum(screen.slow for screen in shown)
    of = f"{len(shown)} 块屏幕上的警情，其中 {slow} 块慢|alerts on {len(shown)} screens, {slow} of them slow"
    answers = sum(screen.answers for screen in shown) / len(shown)
    found = {"p50": timing.p50_ms, "p95": timing.p95_ms, "p99": timing.p99_ms}
    return [
        Figure(of=of, what="首报|raised", value=raised, unit="1/s"),
        Figure(of=of, what="告知其余屏幕|told to the others", value=timing.rate_per_second, unit="1/s"),
        *(
            Figure(of=of, what=f"到其余屏幕，{what}|on the other screens, {what}", value=ms, unit="ms")
            for what, ms in found.items()
        ),
        Figure(of=of, what="每次答复|in an answer", value=len(shown[0].told) / answers, unit=ALERTS),
        Figure(of=f"江西节点|node {RECEIVER}", what=MEMORY, value=memory, unit="MiB"),
    ]


# ---- a day of the border

_SEED: Final = 1


async def measure_day(folder: Path, *, alerts: int) -> Sequence[Figure]:
    """Does a day of so many alerts as fast as it goes; both nodes hold the same of it in the end (BENCH_LOST)."""
    async with ready_bench(folder, people=0) as bench, AsyncExitStack() as stack:
        node = bench.running.node
        rules = read_alert_rules(node.trust.in_force.agreement.files)
        day = border_day(_SEED, day=node.today(), rules=rules, count=alerts)
        stories = [story for story in _stories(day.deeds) if _nodes_of(rules, story) <= {SENDER, RECEIVER}]
        desks = await _open_desks(bench, stack, rules, chain.from_iterable(stories))

        def call(deed: Deed, kind: str, question: Question) -> Awaitable[AlertOutcome]:
            purpose, function = rules.why(kind)
            act = Act(request_id=str(uuid.uuid4()), purpose=purpose, function=function, officer=deed.officer)
            rpc: Rpc[Any, AlertOutcome] = RAISE_ALERT if isinstance(question, AlertRaising) else ACT_IN_ALERT
            return desks[rules.agency_of(deed.desk)].call(rpc, act, question)

        replay, waiting = Replay(call=call), iter(stories)

        async def lane() -> None:
            for story in waiting:
                await replay.do_all(story)

        began = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(LANES)))
        spent = time.perf_counter() - began
        shared = await _both_hold(bench, desks, replay)
    of = f"两省一天 {len(stories):,} 起警情|a day of {len(stories):,} alerts of two provinces"
    return [
        Figure(of=of, what="已办操作|acts done", value=len(replay.entries), unit="条|entries"),
        Figure(
            of=of,
            what="当时情形不允许的操作|acts that the alerts as they stood refused",
            value=len(replay.refused),
            unit="次|acts",
        ),
        Figure(of=of, what="每秒操作|acts a second", value=len(replay.entries) / spent, unit="1/s"),
        Figure(of=of, what="两节点记载一致的警情|alerts that both nodes hold alike", value=shared, unit=ALERTS),
    ]


def _stories(deeds: Iterable[Deed]) -> Iterable[list[Deed]]:
    found: dict[int, list[Deed]] = {}
    for deed in deeds:
        found.setdefault(deed.number, []).append(deed)
    return found.values()


def _nodes_of(rules: AgreedAlerts, story: Iterable[Deed]) -> set[str]:
    agencies = (rules.agency_of(deed.desk) for deed in story)
    return {"" if agency is None else agency.node for agency in agencies}


async def _open_desks(
    bench: Bench, stack: AsyncExitStack, rules: AgreedAlerts, deeds: Iterable[Deed]
) -> dict[AgencyId | None, AgencyClient]:
    """A client for each office that does something, with the keys of its officers."""
    officers: dict[AgencyId, set[str]] = {}
    for deed in deeds:
        agency = rules.agency_of(deed.desk)
        if agency is not None:
            officers.setdefault(agency, {OFFICER}).add(deed.officer)
    found: dict[AgencyId | None, AgencyClient] = {}
    for agency, names in officers.items():
        found[agency] = await _client(bench.federation, stack, str(agency), officers=sorted(names))
    return found


async def _both_hold(bench: Bench, desks: Mapping[AgencyId | None, AgencyClient], replay: Replay) -> int:
    """Waits until the nodes hold the same of each alert that both are told of; how many these are (BENCH_LOST)."""
    node, theirs = bench.running.node, dict[str, tuple[AgencyClient, AgencyId]]()
    end = time.monotonic() + PATIENCE_SECONDS

    for agency, desk in desks.items():
        if agency is not None and agency.node == RECEIVER:
            for status in (Status.ACTUAL, Status.EXERCISE):
                page = await _ask_again(bench, desk, agency, LIST_ALERTS, AlertQuery(status=status, page_size=1_000))
                theirs.update({line.record: (desk, agency) for line in page.lines})

    async def named(record: str) -> set[str]:
        page = await _ask_again(bench, *theirs[record], LIST_ALERT_ENTRIES, EntryQuery(case=record, page_size=1_000))
        return {line.name for line in page.lines}

    shared = 0
    for record in theirs:
        while (ours := set(load_held(ALERT, node, parse_record_id(record)).kept)) and ours != await named(record):
            if time.monotonic() > end:
                raise UnavailableError("BENCH_LOST", f"the nodes do not hold the same of {record}")
            await asyncio.sleep(0.05)
        shared += bool(ours)
    for (number, key), name in replay.entries.items():
        record = replay.records[number]
        held = load_held(ALERT, node, parse_record_id(record)).kept
        if name not in held and (record not in theirs or name not in await named(record)):
            raise UnavailableError("BENCH_LOST", f"the entry {key} of {record} was acknowledged, and is nowhere")
    return shared


async def _ask_again(bench: Bench, desk: AgencyClient, agency: AgencyId, rpc: Rpc[Q, A], question: Q) -> A:
    """The answer of the receiver's node, which may be busy or have lost a connection as on any day (BENCH_LOST)."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await desk.call(rpc, _look(agency), question)
        except UnavailableError as error:
            if bench.federation.processes[RECEIVER].poll() is not None or time.monotonic() > end:
                raise UnavailableError("BENCH_LOST", f"node {RECEIVER} does not answer: {error}") from error
        await asyncio.sleep(0.2)


_FUNCTIONS: Final = {"police": "F08", "emergency": "F18"}


def _look(agency: AgencyId) -> Act:
    function = _FUNCTIONS.get(agency.kind, "F12")
    return Act(request_id=str(uuid.uuid4()), purpose="alert.duty", function=function, officer=OFFICER)
