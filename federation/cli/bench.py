"""`bridgehead bench`: how fast the whole thing is here, as ratios to a calibration, which alone may be quoted."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer

from federation.cli.options import Form, FormOption, run_loop
from federation.cli.show import JsonOut, align, show_json, show_lines
from federation.cli.words import WORDS, halves, said, word_of

app = typer.Typer(invoke_without_command=True, help="Measure this machine: rates beside their calibrations.")

SecondsOption = Annotated[float, typer.Option(min=0.5, max=120, help="How long each rate is measured.")]
HEADINGS = (
    "操作|operation", "并发|in flight", "每秒|rate/s", "p50 ms", "p95 ms", "p99 ms", "比值|ratio",
    "基准每秒|calibration/s", "基准|calibration",
)  # fmt: skip
COST_HEADINGS = (
    "命令|command", "处理器秒|CPU s", "与基准之比|to calibration", "折算秒|reference s", "上限|ceiling s", "超出|over",
)  # fmt: skip
MEMORY = "内存|memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    rate_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    operation: str
    in_flight: int
    timing: Timing
    calibration: str
    calibration_rate_per_second: float
    rss_mib: dict[str, float]

    @property
    def ratio(self) -> float:
        return self.timing.rate_per_second / self.calibration_rate_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a node or of a program: what it is, how much, in which unit.

    Words are pairs, as those of a measurement are; the names of an answer in JSON are their English.
    """

    of: str
    what: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCost:
    """The processor time of one command here, of its calibration, and what it comes to where its ceiling was set."""

    command: str
    seconds: float
    calibration_seconds: float
    reference_seconds: float
    ceiling_seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.calibration_seconds

    @property
    def over(self) -> bool:
        return self.reference_seconds > self.ceiling_seconds


T = TypeVar("T")
Run: TypeAlias = Callable[[Path], Coroutine[None, None, Sequence[Measurement]]]


@app.callback()
def bench(
    context: typer.Context,
    seconds: SecondsOption = 5.0,
    records: Annotated[int, typer.Option(min=1000, max=1_000_000, help="Permits of the bulk sync.")] = 20_000,
    output: FormOption = Form.TEXT,
) -> None:
    """Measure exchanges, bulk sync and log appends, everything on, each beside its calibration."""
    if context.invoked_subcommand is None:
        from federation.cli.bench_runs import measure_exchanges

        _measure(lambda folder: measure_exchanges(folder, seconds=seconds, records=records), output)


@app.command()
def lookup(seconds: SecondsOption = 5.0, output: FormOption = Form.TEXT) -> None:
    """Measure look-ups of a person in another province that hit, beside a bare echo over two hops."""
    from federation.cli.bench_runs import measure_lookups

    _measure(lambda folder: measure_lookups(folder, seconds=seconds), output)


@app.command()
def store(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    lookups: Annotated[int, typer.Option(min=1, max=10_000_000, help="Living look-ups of two provinces.")] = 10_000,
    leaves: Annotated[int, typer.Option(min=0, max=100_000_000, help="Leaves of each of their logs.")] = 100_000,
) -> None:
    """Make a large store for 'bench duties': 100,000 look-ups and a million leaves take a quarter of an hour."""
    from federation.cli.bench_store import fill_store
    from federation.cli.node import configure_log

    configure_log(quiet=True)
    run_loop(fill_store(folder, lookups=lookups, leaves=leaves))


@app.command()
def duties(
    folder: Annotated[Path, typer.Argument(help="What 'bench store' made.")],
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long look-ups are asked.")] = 60.0,
    output: FormOption = Form.TEXT,
) -> None:
    """Measure what a round of each duty costs there, a node's memory under look-ups, and the auditor's."""
    from federation.cli.bench_at_rest import measure_duties
    from federation.cli.bench_store import load_federation
    from federation.cli.node import configure_log

    configure_log(quiet=True)
    show_figures(run_loop(measure_duties(load_federation(folder), seconds=seconds)), output)


@app.command()
def idle(
    minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="How long four nodes rest.")] = 5.0,
    output: FormOption = Form.TEXT,
) -> None:
    """Measure four nodes with nothing to do: share of a core, memory, lines in the log, age of the head."""
    from federation.cli.bench_at_rest import measure_idle

    show_figures(_run(lambda folder: measure_idle(folder, minutes=minutes)), output)


@app.command()
def case(
    seconds: SecondsOption = 5.0,
    entries: Annotated[
        list[int], typer.Option(min=1, max=20_000, help="Entries of a case that is folded; several may be named.")
    ] = [10, 100, 1_000, 10_000],  # noqa: B006 - read only
    in_flight: Annotated[
        list[int], typer.Option(min=1, max=256, help="Entries in flight at once; several may be named.")
    ] = [1, 64],  # noqa: B006 - read only
    cases: Annotated[int, typer.Option(min=1, max=10_000_000, help="Cases in the list of what is due.")] = 100_000,
    policies: Annotated[Path, typer.Option("--policies", help="The policy files of the fold.")] = Path("policies"),
    output: FormOption = Form.TEXT,
) -> None:
    """Measure joint cases: the fold of their entries, entries across two nodes, and the list of what is due."""
    from federation.cli.bench_case import measure_folds
    from federation.cli.bench_case_runs import measure_cases
    from federation.node.home.files import read_policies

    figures = measure_folds(read_policies(policies), entries)
    due, measured = _run(lambda folder: measure_cases(folder, seconds=seconds, levels=in_flight, cases=cases))
    _show_both((*figures, *due), measured, output)


@app.command()
def alert(
    screens: Annotated[int, typer.Option(min=1, max=600, help="Open streams at the neighbour's node.")] = 500,
    alerts: Annotated[int, typer.Option(min=1, max=10_000, help="Alerts raised, one behind the other.")] = 50,
    day: Annotated[int, typer.Option(min=0, max=10_000, help="Instead: alerts of an invented day, done at once.")] = 0,
    rate: Annotated[int, typer.Option(min=0, max=1_000, help="Instead: so many alerts a second, without waiting.")] = 0,
    seconds: SecondsOption = 60,
    output: FormOption = Form.TEXT,
) -> None:
    """Measure how soon an alert is on many screens of the neighbour, beside a bare fan-out to as many streams."""
    from federation.cli.bench_alert import measure_alerts, measure_day, measure_flood

    if rate:
        show_figures(_run(lambda folder: measure_flood(folder, screens=screens, rate=rate, seconds=seconds)), output)
        return
    if day:
        show_figures(_run(lambda folder: measure_day(folder, alerts=day)), output)
        return
    _show_both(*_run(lambda folder: measure_alerts(folder, screens=screens, alerts=alerts)), output)


@app.command()
def commands(
    home: Annotated[Path | None, typer.Option("--home", help="A folder with federation.json; else made anew.")] = None,
    runs: Annotated[int, typer.Option(min=1, max=1_000, help="Of so many runs the least counts.")] = 6,
    output: FormOption = Form.TEXT,
) -> None:
    """Measure the processor time of each ordinary command, beside a bare Python, and whether it is over its ceiling."""
    from federation.cli.bench_at_rest import measure_commands, measure_commands_at

    if home is None:
        show_costs(_run(lambda folder: measure_commands(folder, runs=runs)), output)
    else:
        show_costs(measure_commands_at(home.absolute(), runs=runs), output)


@app.command(hidden=True)
def echo(home: Annotated[Path, typer.Option("--home")]) -> None:
    """Serve bare echoes for the calibration."""
    from federation.cli.bench_runs import serve_echo

    run_loop(serve_echo(home, lambda port: print(port, flush=True)))


def _measure(run: Run, output: Form) -> None:
    show_measurements(_run(run), output)


def _run(run: Callable[[Path], Coroutine[None, None, T]]) -> T:
    """Measures in a folder that is gone afterwards."""
    from federation.cli.node import configure_log

    configure_log(quiet=True)
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as folder:
        gc.freeze()  # as `node serve` does, for the node in this process
        return run_loop(run(Path(folder)))


def _show_both(figures: Sequence[Figure], measured: Sequence[Measurement], output: Form) -> None:
    if output is Form.JSON:
        show_json({
            "figures": [figure_object(each) for each in figures],
            "measurements": [measurement_object(each) for each in measured],
        })  # fmt: skip
        return
    show_figures(figures, output)
    show_measurements(measured, output)


def show_figures(found: Sequence[Figure], output: Form) -> None:
    if output is Form.JSON:
        show_json([figure_object(figure) for figure in found])
        return
    rows = [(word_of("NodeName", each.of), each.what, f"{each.value:,.2f}", each.unit) for each in found]
    _show_rows([("对象|of", "内容|what", "数值|value", "单位|unit"), *rows])


def show_costs(found: Sequence[CommandCost], output: Form) -> None:
    if output is Form.JSON:
        names = ("seconds", "calibration_seconds", "ratio", "reference_seconds", "ceiling_seconds")
        show_json([
            {"command": each.command, **{name: round(getattr(each, name), 3) for name in names}, "over": each.over}
            for each in found
        ])  # fmt: skip
        return
    rows = [
        (
            each.command,
            *(f"{value:.2f}" for value in (each.seconds, each.ratio, each.reference_seconds, each.ceiling_seconds)),
            "超出|over" if each.over else "-",
        )
        for each in found
    ]
    _show_rows([COST_HEADINGS, *rows])


def english(text: str) -> str:
    """The English of a pair, which is its name in JSON."""
    found = halves(text)
    return text if found is None else found[1]


def figure_object(found: Figure) -> dict[str, JsonOut]:
    return {name: english(getattr(found, name)) for name in ("of", "what", "unit")} | {"value": round(found.value, 3)}


def show_measurements(found: Sequence[Measurement], output: Form) -> None:
    if output is Form.JSON:
        show_json([measurement_object(measurement) for measurement in found])
        return
    _show_rows([HEADINGS, *map(measurement_row, found)])
    for name in found[0].rss_mib:
        most = f"{max(each.rss_mib.get(name, 0) for each in found):.0f} MiB"
        print(said(f"{WORDS['NodeName'][name]}节点内存最多 {most} | memory of node {name} at most: {most}"))


def _show_rows(rows: Sequence[Sequence[str]]) -> None:
    show_lines(align([[said(cell) for cell in row] for row in rows]))


def measurement_row(found: Measurement) -> tuple[str, ...]:
    timing = found.timing
    return (
        found.operation,
        str(found.in_flight),
        f"{timing.rate_per_second:,.0f}",
        *(f"{millis:.2f}" for millis in (timing.p50_ms, timing.p95_ms, timing.p99_ms)),
        f"{found.ratio:.2f}",
        f"{found.calibration_rate_per_second:,.0f}",
        found.calibration,
    )


def measurement_object(found: Measurement) -> dict[str, JsonOut]:
    times = {name: round(getattr(found.timing, name), 3) for name in ("p50_ms", "p95_ms", "p99_ms")}
    return {
        "operation": english(found.operation),
        "in_flight": found.in_flight,
        "rate_per_second": round(found.timing.rate_per_second, 1),
        **times,
        "calibration": english(found.calibration),
        "calibration_rate_per_second": round(found.calibration_rate_per_second, 1),
        "ratio": round(found.ratio, 3),
        "rss_mib": found.rss_mib,
    }
