"""How a bench is shown: one row a measurement for people, one object a measurement for programs, the same figures."""

from __future__ import annotations

from collections.abc import Sequence

from federation.cli.bench.measure import Measurement
from federation.cli.options import Form
from federation.cli.show import JsonOut, show_json, show_table

HEADINGS = ("operation", "in flight", "rate/s", "p50 ms", "p95 ms", "p99 ms", "ratio", "calibration/s", "calibration")


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
    timing = found.timing
    return {
        "operation": found.operation,
        "in_flight": found.in_flight,
        "rate_per_second": round(timing.rate_per_second, 1),
        "p50_ms": round(timing.p50_ms, 3),
        "p95_ms": round(timing.p95_ms, 3),
        "p99_ms": round(timing.p99_ms, 3),
        "calibration": found.calibration,
        "calibration_rate_per_second": round(found.calibration_rate_per_second, 1),
        "ratio": round(found.ratio, 3),
        "rss_mib": found.rss_mib,
    }
