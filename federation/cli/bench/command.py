"""`bridgehead bench`: how fast the whole thing is on this machine, everything switched on, as ratios.

Absolute figures belong to the machine; the ratio to a calibration of the same run is what may be quoted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Form, FormOption
from federation.cli.show import say

if TYPE_CHECKING:
    from federation.cli.bench.measure import Measurement, Timing

app = typer.Typer(invoke_without_command=True, help="Measure this machine: rates beside their calibrations.")


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
    from federation.cli.bench.measure import show_measurements
    from federation.cli.node import configure_log
    from federation.cli.options import run_loop

    configure_log(quiet=True)
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as folder:
        found = run_loop(_bench(Path(folder), seconds=seconds, records=records))
    show_measurements(found, output)


@app.command()
def lookup(
    seconds: Annotated[float, typer.Option(min=0.5, max=120, help="How long each rate is measured.")] = 5.0,
    output: FormOption = Form.TEXT,
) -> None:
    """Measure look-ups of a person in another province that hit, beside a bare echo over two hops."""
    from federation.cli.bench.measure import show_measurements
    from federation.cli.node import configure_log
    from federation.cli.options import run_loop

    configure_log(quiet=True)
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as folder:
        found = run_loop(_bench_lookup(Path(folder), seconds=seconds))
    show_measurements(found, output)


@app.command(hidden=True)
def echo(home: Annotated[Path, typer.Option("--home")]) -> None:
    """Serve bare echoes for the calibration."""
    from federation.cli.bench.runs import serve_echo
    from federation.cli.options import run_loop

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


async def _bench_lookup(folder: Path, *, seconds: float) -> Sequence[Measurement]:
    from federation.cli.bench import lookup_runs, runs

    found: list[Measurement] = []
    hops = lookup_runs.HOPS
    async with runs.ready_bench(folder, people=0) as ready, runs.echo_client(ready) as client:
        numbers = await lookup_runs.register_people(ready)
        for in_flight, police in lookup_runs.LEVELS.items():
            say(f"bare echo over {hops} hops, {in_flight} in flight")
            bare = await runs.calibrate_echo(client, in_flight=in_flight, seconds=seconds, hops=hops)
            say(f"look-up, {in_flight} in flight")
            async with lookup_runs.open_desk(ready, numbers, police=police) as desk:
                found.append(await lookup_runs.run_search(ready, desk, bare, in_flight=in_flight, seconds=seconds))
            found.append(_alone(f"bare grpc echo, {hops} in sequence", in_flight, bare))
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
