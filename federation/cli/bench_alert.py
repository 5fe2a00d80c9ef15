"""Alerts on many screens for the bench: from the call that raises one until each screen of the neighbour has it.

The raising province's node runs in this process, as do the screens; the neighbour's in its own, over mutual TLS.
Beside it, in the same run, a bare server tells as many bytes to as many streams.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from federation.cli.bench import Figure, Measurement, Timing
from federation.cli.bench_runs import (
    COUNTY,
    RECEIVER,
    SENDER,
    Bench,
    alone,
    echo_client,
    own_key,
    ready_bench,
    register_officers,
    resident_mib,
    timing_of,
)
from federation.cli.show import say
from federation.domain.case_items import CaseItem
from federation.protocol.errors import RuleError, UnavailableError
from federation.wire.agency.alerts import RAISE_ALERT, WATCH_ALERTS, AlertRaising, AlertWatch
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act

RAISER: Final = f"{SENDER}/330822/emergency"
SCREENS: Final = (
    f"{RECEIVER}/{COUNTY}/emergency",
    f"{RECEIVER}/361130/emergency",
)
"""The neighbour's offices whose desks a flood that both counties have before them is told to."""
OFFICER: Final = "bench"
WARM: Final = 3
_SAID: Final = {
    "desk": "330822.emergency", "kind": "flood", "area": "330822.circle.qiuchuan",
    "division": f"330822111,{COUNTY},361130",
}  # fmt: skip
_FACT: Final = CaseItem(kind="fact", fields={"text": "水位上涨，上游水库将于一小时后泄洪"})


async def measure_alerts(folder: Path, *, screens: int, alerts: int) -> tuple[Sequence[Figure], Sequence[Measurement]]:
    """Raises so many alerts, one behind the other, for so many screens; then tells as many bytes to bare streams."""
    async with ready_bench(folder, people=0) as bench:
        say(f"{screens} screens of {len(SCREENS)} offices")
        figures, timing, size = await _raise_to_screens(bench, screens=screens, alerts=alerts)
        say(f"bare fan-out to {screens} streams")
        bare = await _tell_streams(bench, streams=screens, times=alerts, size=size)
    what = f"bare fan-out of {size} bytes to {screens} streams over the same mutual TLS"
    rss: dict[str, float] = {RECEIVER: figures[0].value}
    measured = Measurement(
        operation="alert on each screen of the neighbour", in_flight=screens, timing=timing, calibration=what,
        calibration_rate_per_second=bare.rate_per_second, rss_mib=rss,
    )  # fmt: skip
    return figures, (measured, alone("bare fan-out", screens, bare))


class Arrivals:
    """The seconds from a sending until each of many streams had what is awaited."""

    def __init__(self, streams: int) -> None:
        self._streams = streams
        self._whole = asyncio.Event()
        self._began = 0.0
        self._times: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.all: list[float] = []

    def follow(self, stream: AsyncIterator[bytes], is_wanted: Callable[[bytes], bool]) -> None:
        self._tasks.append(asyncio.ensure_future(self._read(stream, is_wanted)))

    async def _read(self, stream: AsyncIterator[bytes], is_wanted: Callable[[bytes], bool]) -> None:
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
            async with asyncio.timeout(10):
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
        offices = [await _client(bench, stack, office) for office in SCREENS]
        raiser = await _client(bench, stack, RAISER)
        for number in range(screens):
            office = offices[number % len(offices)]
            stream = office.watch_encoded(WATCH_ALERTS, _act(), AlertWatch(topic="desk:*"))
            if not _read(await anext(stream)).token:  # it is alive before the next one begins
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
        Figure(of=f"node {RECEIVER} with {screens} screens", what="memory", value=after, unit="MiB"),
        Figure(of="a screen", what="memory", value=(after - before) * 1024 / screens, unit="KiB"),
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
    is_raised = bool(_read(found).act == "raise")
    if is_raised:
        sizes[:] = [len(found)]
    return is_raised


async def _raise(raiser: AgencyClient) -> None:
    outcome = await raiser.call(RAISE_ALERT, _act(), AlertRaising(fields=_SAID, items=(_FACT,)))
    if outcome.line is None:
        raise RuleError("BENCH_REFUSED", f"expected an alert: {outcome.decision.title_en}")


async def _client(bench: Bench, stack: AsyncExitStack, office: str) -> AgencyClient:
    await asyncio.to_thread(register_officers, bench.federation, office, [OFFICER])
    client = AgencyClient(bench.federation.profile(office), sign=own_key, timeout_seconds=30)
    stack.push_async_callback(client.close)
    return client


def _act() -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose="alert.emergency", function="F18", officer=OFFICER)
