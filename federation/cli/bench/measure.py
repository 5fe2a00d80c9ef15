"""Measuring: a rate and its quantiles, beside a calibration of the same run; shown as a row or as an object."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.cli.options import Form
from federation.cli.show import JsonOut, show_json, show_table

MIB = 1024 * 1024
HEADINGS = ("operation", "in flight", "rate/s", "p50 ms", "p95 ms", "p99 ms", "ratio", "calibration/s", "calibration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How many a second, and how long one took: milliseconds at the 50th, 95th and 99th percentile."""

    rate_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One line of the bench. The ratio is of the rates; resident memory is of each node under this load."""

    operation: str
    in_flight: int
    timing: Timing
    calibration: str
    calibration_rate_per_second: float
    rss_mib: dict[str, float]

    @property
    def ratio(self) -> float:
        """The rate as a share of the calibration's."""
        return self.timing.rate_per_second / self.calibration_rate_per_second


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
    """The rate and the quantiles of single times (seconds) within a span (seconds)."""
    ordered = sorted(times)

    def quantile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000

    return Timing(
        rate_per_second=len(ordered) / spent, p50_ms=quantile(0.5), p95_ms=quantile(0.95), p99_ms=quantile(0.99)
    )


def rate_only(count: int, spent: float) -> Timing:
    """A timing of one long piece of work: every quantile is the share of one item."""
    each = spent / count * 1000
    return Timing(rate_per_second=count / spent, p50_ms=each, p95_ms=each, p99_ms=each)


def resident_mib(pid: int) -> float:
    """The resident memory of a process (Linux), in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / MIB


def show_measurements(found: Sequence[Measurement], output: Form) -> None:
    """Prints what was measured; as text with the most memory that each node took."""
    if output is Form.JSON:
        show_json([measurement_object(measurement) for measurement in found])
        return
    show_table(HEADINGS, [measurement_row(measurement) for measurement in found])
    for name in found[0].rss_mib:
        print(f"memory of node {name} at most: {max(each.rss_mib.get(name, 0) for each in found):.0f} MiB")


def measurement_row(found: Measurement) -> tuple[str, ...]:
    """The cells of one measurement, in the order of the headings."""
    timing = found.timing
    return (
        found.operation,
        str(found.in_flight),
        f"{timing.rate_per_second:,.0f}",
        f"{timing.p50_ms:.2f}",
        f"{timing.p95_ms:.2f}",
        f"{timing.p99_ms:.2f}",
        f"{found.ratio:.2f}",
        f"{found.calibration_rate_per_second:,.0f}",
        found.calibration,
    )


def measurement_object(found: Measurement) -> dict[str, JsonOut]:
    """The JSON object of one measurement: rates a second, times in milliseconds, memory in MiB."""
    times = {name: round(getattr(found.timing, name), 3) for name in ("p50_ms", "p95_ms", "p99_ms")}
    return {
        "operation": found.operation,
        "in_flight": found.in_flight,
        "rate_per_second": round(found.timing.rate_per_second, 1),
        **times,
        "calibration": found.calibration,
        "calibration_rate_per_second": round(found.calibration_rate_per_second, 1),
        "ratio": round(found.ratio, 3),
        "rss_mib": found.rss_mib,
    }
