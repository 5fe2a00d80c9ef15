"""How measurements are shown: rows for people and objects for programs say the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from federation.cli import bench_at_rest
from federation.cli.bench import (
    COST_HEADINGS,
    HEADINGS,
    CommandCost,
    Figure,
    Timing,
    english,
    measurement_object,
    measurement_row,
    show_costs,
    show_figures,
    show_measurements,
)
from federation.cli.bench_at_rest import DUTIES, cpu_seconds
from federation.cli.bench_case import fold_each, fold_set, make_entries, measure_folds
from federation.cli.bench_runs import RECEIVER, search_measurement
from federation.cli.bench_store import fill_store, load_federation, open_parts
from federation.cli.demo import provinces
from federation.cli.main import main
from federation.cli.options import Form
from federation.cli.words import said
from federation.domain.procedure import read_rules
from federation.node.exchange.send import AWAITED, ENDS
from federation.node.home.files import read_policies
from federation.node.lookups.records import HANDLES
from federation.node.serve import utc_now
from federation.protocol.form import replace
from federation.store.log_reader import check_log
from federation.store.messages import count_pending
from tests.cli.command_line import HALL, ServedNodes, run
from tests.ports import free_ports
from tests.scenarios.provinces import FORKING

TOWN = "zhejiang/330822/town"
ECHO = Timing(rate_per_second=2000.0, p50_ms=0.5, p95_ms=0.8, p99_ms=1.0)
SEARCH = Timing(rate_per_second=100.0, p50_ms=10.0, p95_ms=12.5, p99_ms=20.125)
MEASURED = search_measurement(SEARCH, ECHO, in_flight=16, rss_mib={"zhejiang": 150.0, "jiangxi": 120.5})


def test_search_measurement_names_the_two_hops_it_is_compared_with() -> None:
    """The ratio is of a search to two echoes in sequence, and the line says so."""
    assert MEASURED.ratio == pytest.approx(0.05)
    shown = measurement_object(MEASURED)
    assert shown["operation"] == "look-up (search, hit)"
    assert shown["calibration"] == "2 bare grpc echoes of 300 bytes in sequence (client, A, B), 16 in flight"


def test_measurement_row_has_a_cell_for_each_heading() -> None:
    """Rates are whole, times have two decimals, and the ratio stands before its calibration."""
    row = measurement_row(MEASURED)

    assert len(row) == len(HEADINGS)
    assert row[:8] == (MEASURED.operation, "16", "100", "10.00", "12.50", "20.12", "0.05", "2,000")


def test_measurement_object_has_the_names_of_every_bench_line() -> None:
    """A look-up's line has the same names as an exchange's: one reader serves both."""
    assert measurement_object(MEASURED) == {
        "operation": "look-up (search, hit)",
        "in_flight": 16,
        "rate_per_second": 100.0,
        "p50_ms": 10.0,
        "p95_ms": 12.5,
        "p99_ms": 20.125,
        "calibration": english(MEASURED.calibration),
        "calibration_rate_per_second": 2000.0,
        "ratio": 0.05,
        "rss_mib": {"zhejiang": 150.0, "jiangxi": 120.5},
    }


def test_show_measurements_as_json_is_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is the list and nothing else on stdout."""
    show_measurements([MEASURED, MEASURED], Form.JSON)

    assert json.loads(capsys.readouterr().out) == [measurement_object(MEASURED)] * 2


def test_show_measurements_as_text_ends_with_the_memory_of_each_node(capsys: pytest.CaptureFixture[str]) -> None:
    """People read the most memory that a node took under the table."""
    show_measurements([MEASURED], Form.TEXT)

    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "浙江节点内存最多 150 MiB | memory of node zhejiang at most: 150 MiB",
        "江西节点内存最多 120 MiB | memory of node jiangxi at most: 120 MiB",
    ]


COST = CommandCost(
    command="permit list", seconds=0.3, calibration_seconds=0.1, reference_seconds=0.27, ceiling_seconds=0.35
)


def test_show_costs_says_the_same_to_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """One command a line, as here, to its calibration, as on the reference machine; over its ceiling only when it is."""
    dear = replace(COST, command="--help", ceiling_seconds=0.15)

    show_costs([COST, dear], Form.JSON)
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        "command": "permit list", "seconds": 0.3, "calibration_seconds": 0.1, "ratio": 3.0, "reference_seconds": 0.27,
        "ceiling_seconds": 0.35, "over": False,
    }  # fmt: skip
    assert second["over"]
    show_costs([COST, dear], Form.TEXT)
    heading, cheap, over = capsys.readouterr().out.splitlines()
    assert all(said(name) in heading for name in COST_HEADINGS)
    assert cheap.split() == ["permit", "list", "0.30", "3.00", "0.27", "0.35", "-"]
    assert over.endswith("超出 over")


def test_bench_commands_asks_a_served_node_and_leaves_out_what_it_cannot_show(
    nodes: ServedNodes, monkeypatch: pytest.MonkeyPatch
):
    """Each command is a process of its own that answers; one that needs a permit has one, or is not measured."""
    lines = {
        "permit list": HALL,
        "permit show {permit}": HALL,
        "case list": TOWN,
        "case show {case}": TOWN,
        "--help": "",
    }
    monkeypatch.setattr(bench_at_rest, "ORDINARY", lines)
    monkeypatch.setattr(bench_at_rest, "_NAMED", {name: bench_at_rest._NAMED[name] for name in ("permit", "case")})
    nodes.ask(HALL, "permit", "register", "--synthetic", "--seed", "4711")
    nodes.key(TOWN, "clerk")

    found = run("bench", "commands", "--home", nodes.folder, "--runs", "1", "-o", "json").json

    assert {"permit list", "permit show", "case list", "--help"} <= {line["command"] for line in found}
    assert all(line["seconds"] > 0 and line["calibration_seconds"] > 0 for line in found)
    monkeypatch.setattr(bench_at_rest, "ORDINARY", {**lines, "permit nothing": HALL})
    assert "BENCH_COMMAND" in run("bench", "commands", "--home", nodes.folder, "--runs", "1", code=3).err


def test_show_figures_says_the_same_to_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """One figure a line: of what, what, how much, in which unit."""
    figure = Figure(of="zhejiang", what="占一个核|of one core", value=0.5677, unit="%")

    show_figures([figure], Form.JSON)
    assert json.loads(capsys.readouterr().out) == [
        {"of": "zhejiang", "what": "of one core", "value": 0.568, "unit": "%"}
    ]
    show_figures([figure], Form.TEXT)
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        "浙江",
        "zhejiang",
        "占一个核",
        "of",
        "one",
        "core",
        "0.57",
        "%",
    ]


def test_cpu_seconds_of_a_process_is_its_own() -> None:
    """The system counts this process too, and knows none of that number any more after it ended."""
    assert cpu_seconds(os.getpid()) > 0
    with pytest.raises(OSError, match="No such file"):
        cpu_seconds(2**22 + 1)


async def test_store_of_the_bench_lives_and_has_nothing_due(tmp_path: Path) -> None:
    """Both logs verify whole and reach the length asked for, every look-up is alive, and no duty finds an act."""
    folder = tmp_path / "store"
    await fill_store(folder, lookups=30, leaves=90)

    async with open_parts(load_federation(folder)) as both:
        for parts in both:
            database, later = parts.node.database, utc_now().replace(year=9000)
            unread = parts.node.bad_rows.of("test")
            assert parts.node.sequencer.head.size >= 90
            check_log(database)
            assert not count_pending(database)
            for duty in DUTIES.values():
                await duty(parts.node)
            if parts.node.name == RECEIVER:
                assert len(list(HANDLES.each_due_by(database, later, unread))) == 30
            else:
                assert len(list(ENDS.each_due_by(database, later, unread, division=AWAITED))) == 30
            assert len(list(ENDS.each_due_by(database, later, unread))) == 30


def test_bench_of_a_case_folds_a_case_that_all_of_its_entries_made():
    """What is measured is a fold in which every entry has effect, and one by one it ends where the whole set does."""
    policies = read_policies(Path(__file__).parents[2] / "policies")
    rules, entries = read_rules(policies, "dispute-mediation"), make_entries(40)
    case = fold_set(rules, entries[::-1])

    assert (case.at, len(case.members), case.without_effect) == (40, 3, ())
    assert fold_each(rules, entries) == case
    figures = measure_folds(policies, [10])
    assert {english(figure.of) for figure in figures} == {"case of 10 entries"}
    assert all(figure.value > 0 and figure.unit == "ms" for figure in figures)


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that begin out of a process that has imported them already, on ports that no other worker takes."""
    monkeypatch.setattr(provinces, "subprocess", FORKING)
    monkeypatch.setattr(provinces, "free_ports", free_ports)


@pytest.mark.usefixtures("forking")
def test_bench_alert_measures_each_screen_beside_a_bare_fan_out(capsys: pytest.CaptureFixture[str]):
    """Two nodes start; every screen of two offices has every alert, and as many bytes go to as many bare streams."""
    assert main(["bench", "alert", "--screens", "4", "--alerts", "2", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    alert, bare = found["measurements"]
    assert (alert["in_flight"], bare["operation"]) == (4, "bare fan-out")
    assert alert["calibration_rate_per_second"] == bare["rate_per_second"]
    assert [(figure["what"], figure["unit"]) for figure in found["figures"]] == [("memory", "MiB"), ("memory", "KiB")]


@pytest.mark.usefixtures("forking")
def test_bench_alert_raises_by_the_clock_and_each_screen_has_all_in_one_order(capsys: pytest.CaptureFixture[str]):
    """Nothing is lost of a busy moment; what would be lost, or told in two orders, is no figure but a refusal."""
    assert main(["bench", "alert", "--screens", "4", "--rate", "6", "--seconds", "1", "-o", "json"]) == 0
    found = {figure["what"]: figure["value"] for figure in json.loads(capsys.readouterr().out)}
    assert set(found) == {
        "raised", "told to the others", "on the other screens, p50", "on the other screens, p95",
        "on the other screens, p99", "in an answer", "memory",
    }  # fmt: skip
    assert 0 < found["on the other screens, p50"] <= found["on the other screens, p99"]


@pytest.mark.usefixtures("forking")
def test_bench_alert_does_a_day_of_which_nothing_is_lost(capsys: pytest.CaptureFixture[str]):
    """Each act that was acknowledged is held; what two provinces share of the day they hold alike."""
    assert main(["bench", "alert", "--day", "4", "-o", "json"]) == 0
    done, *_, shared = json.loads(capsys.readouterr().out)
    assert done["value"] >= 1
    assert shared["what"] == "alerts that both nodes hold alike"


@pytest.mark.usefixtures("forking")
def test_bench_case_measures_entries_of_two_nodes_and_the_list_of_what_is_due(capsys: pytest.CaptureFixture[str]):
    """Two nodes start, an entry is beside its echo, and the list is of the cases that the bench put there."""
    policies = Path(__file__).parents[2] / "policies"
    few = ["--seconds", "0.5", "--entries", "10", "--in-flight", "2", "--cases", "9"]

    assert main(["bench", "case", *few, "--policies", str(policies), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    entry, bare = found["measurements"]
    assert (entry["operation"], entry["in_flight"], bare["operation"]) == ("entry of a joint case", 2, "bare grpc echo")
    assert entry["calibration_rate_per_second"] == bare["rate_per_second"]
    assert entry["rate_per_second"] > 0
    assert found["figures"][0]["of"] == "case of 10 entries"
    assert found["figures"][-1]["of"] == "case due within 366 days, 9 lines of 9 cases"
