"""`bridgehead bench`: how fast the whole thing is on this machine, everything switched on, as ratios.

Absolute figures belong to the machine; the ratio to a calibration of the same run is what may be quoted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.output import Form, FormOption, say, show_json, show_table

if TYPE_CHECKING:
    from federation.cli.bench.measure import Measurement, Timing

app = typer.Typer(invoke_without_command=True, help="Measure this machine: rates beside their calibrations.")

HEADINGS = ("operation", "in flight", "rate/s", "p50 ms", "p95 ms", "p99 ms", "ratio", "calibration/s", "calibration")


@app.callback()
def bench(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=0.5, max=120, help="How long each rate is measured.")] = 5.0,
    records: Annotated[int, typer.Option(min=1000, max=1_000_000, help="Permits of the bulk sync.")] = 20_000,
    output: FormOption = Form.TEXT,
) -> None:
    """Measure exchanges, bulk sync and log appends, everything on, each beside its calibration."""
    if context.invoked_subcommand is not None:
        return
    from federation.cli.event_loop import run_loop
    from federation.cli.node import configure_log

    configure_log(quiet=True)
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as folder:
        found = run_loop(_bench(Path(folder), seconds=seconds, records=records))
    if output is Form.JSON:
        show_json([_object(measurement) for measurement in found])
        return
    show_table(HEADINGS, [_row(measurement) for measurement in found])
    for name in found[0].rss_mib:
        print(f"memory of node {name} at most: {max(each.rss_mib.get(name, 0) for each in found):.0f} MiB")


@app.command(hidden=True)
def echo(home: Annotated[Path, typer.Option("--home")]) -> None:
    """Serve bare echoes for the calibration."""
    from federation.cli.bench.runs import serve_echo
    from federation.cli.event_loop import run_loop

    run_loop(serve_echo(home, lambda port: print(port, flush=True)))


async def _bench(folder: Path, *, seconds: float, records: int) -> Sequence[Measurement]:
    from federation.cli.bench import runs
    from federation.cli.bench.measure import rate_only

    found: list[Measurement] = []
    async with runs.ready_bench(folder) as ready, runs.echo_client(ready) as client:
        for in_flight in (1, 64):
            say(f"bare echo, {in_flight} in flight")
            bare = await runs.calibrate_echo(client, in_flight=in_flight, seconds=seconds)
            say(f"exchange, {in_flight} in flight")
            found.append(await runs.run_exchange(ready, bare, in_flight=in_flight, seconds=seconds))
            found.append(_alone("bare grpc echo", in_flight, bare))
        say(f"sync of {records} permit records")
        found.append(await runs.run_sync(ready, records=records))
        say("log append")
        found.append(runs.run_append(folder, ready, seconds=seconds))
        say("signing and single commits alone")
        found.append(_alone("sign and verify", 1, runs.calibrate_signing(ready, seconds=min(2.0, seconds))))
        commits = runs.calibrate_commits(folder, ready, seconds=min(2.0, seconds))
        found.append(_alone("bare store commit", 1, rate_only(round(commits), 1.0)))
    return found


def _alone(operation: str, in_flight: int, timing: Timing) -> Measurement:
    from federation.cli.bench.measure import Measurement

    return Measurement(
        operation=operation,
        in_flight=in_flight,
        timing=timing,
        calibration="itself",
        calibration_rate_per_second=timing.rate_per_second,
        rss_mib={},
    )


def _row(found: Measurement) -> tuple[str, ...]:
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


def _object(found: Measurement) -> dict[str, str | int | float | dict[str, float]]:
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
