"""Reports as lines, as CSV and as SVG: the row of a figure, what is hidden, what a program would take for code."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from federation.cli.figures_svg import report_svg
from federation.cli.figures_text import cell_text, report_csv, report_lines, sample_csv, sample_lines, span_text
from federation.domain.figures_report import Delivered, Report, ReportKind, Sampled, unite_reports
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from tests.cli.command_line import run
from tests.domain.alert_ridge import NIGHT
from tests.domain.test_figures_count import THERE
from tests.domain.test_figures_report import both, report
from tests.domain.test_response import lived, seen

FORMULA = "=cmd|' /C calc'!A0<script>\u202e"


def quarter(*, neighbours: int = 3, kind: ReportKind = ReportKind.PAIR) -> Report:
    police = parse_agency_id("zhejiang/330822/police")
    handed = Delivered(
        id="wagon.rate", place="330822", period="2026Q2", value="89.85", words=FORMULA, by=police, numerator=389,
        denominator=449,
    )  # fmt: skip
    ridges = [lived(n, (20, 80, 400 + 20 * n)) for n in range(20)]
    there = [lived(n, (20, 80, 400), division=THERE) for n in range(50, 50 + neighbours)]
    return report(seen(*ridges, *there), kind, delivered=(handed,))


@pytest.fixture(scope="module")
def shown() -> Report:
    return quarter()


def test_a_figure_is_one_row(shown: Report) -> None:
    """Place, period and name; then the value with its counts, last year, percentiles, who never came; then the source."""
    lines = list(report_lines(shown))
    row = next(line for line in lines if line.startswith("  常山县 · 2026Q2 · 到场达标率（城镇"))
    assert row == (
        "  常山县 · 2026Q2 · 到场达标率（城镇 towns）  11 / 20 = 55.0 %  上年 —  p50 9分40秒  p90 12分20秒  未到 0  限前10秒 1  "
        "[自行统计 own response.attain.10 v1]"
    )
    assert "超时清单 | late stages, of the own counties" in lines
    assert "突发事件联处 | responding to incidents together" in lines


def test_the_way_is_a_column_of_its_own() -> None:
    """In lines, CSV and SVG the way and who kept time after it stand beside attainment, and beside a late stage."""
    ridges = [lived(n, (20, 80, 400 + 20 * n)) for n in range(20)]
    received = {ridge.record: NIGHT + timedelta(seconds=90) for ridge in ridges}
    found = report(seen(*ridges), received=received)
    lines = list(report_lines(found))
    row = next(line for line in lines if line.startswith("  常山县 · 2026Q2 · 到场达标率（城镇"))
    assert "11 / 20 = 55.0 %" in row
    assert "席位自身 from receipt 15 / 20  传输 transit p50 1分30秒  [" in row
    assert sum("1分30秒" in line and "到场 arrived" in line for line in lines) == 9
    rows = list(csv.DictReader(io.StringIO(report_csv(found).removeprefix("\ufeff"))))
    [cells] = [
        each
        for each in rows
        if each["figure"] == "response.attain.10" and each["county"] == "330822" and not each["area"]
    ]
    assert (cells["own"], cells["transit_ms"]) == ("15", "90000")
    assert "传输 1分30秒" in report_svg(found)


def test_the_sample_is_a_list_of_its_own() -> None:
    """Each sampled stamp is one row, in lines and in CSV: what was found, by whom, or that it waits."""
    row = Sampled(
        record="zhejiang/01936000-0000-7000-8000-000000000001", entry="5" * 64, stage="arrived", at=NIGHT,
        desk="330822.governance", officer="o-1",
    )  # fmt: skip
    seen_again = replace(row, stage="accepted", finding="wrong", words=FORMULA, by="zhejiang/330822/police")
    found = replace(report(()), sample=(row, seen_again))
    lines = list(sample_lines(found))
    assert any("到场 arrived" in line and "待复核 waits" in line for line in lines)
    assert any("不实 wrong" in line and "zhejiang/330822/police" in line for line in lines)
    cells = list(csv.reader(io.StringIO(sample_csv(found).removeprefix("\ufeff"))))
    assert [each[0] for each in cells[1:]] == ["到场 arrived", "签收 accepted"]
    assert f"'{FORMULA}" in cells[2]


def test_published_stands_beside_computed(shown: Report) -> None:
    """The press's 89.85 and the 86.64 of its own parts, with the words of who handed it in; the police's as delivered."""
    row = next(line for line in report_lines(shown) if "民情直通车办结率" in line)
    assert "89.85 %  按其分子分母计算 computed of its parts 86.64 %" in row
    assert "[报送 delivered zhejiang/330822/police wagon.rate v1]" in row


def test_hidden_in_every_form(shown: Report) -> None:
    """Three alerts of the neighbour are "<5" in lines, without a number in CSV, hatched in SVG, and named as hidden."""
    lines = list(report_lines(shown))
    assert any(line.startswith("  玉山县 · 2026Q2 · 警情数  <5") for line in lines)
    rows = list(csv.DictReader(io.StringIO(report_csv(shown).removeprefix("\ufeff"))))
    [row] = [each for each in rows if each["figure"] == "alert.n" and each["county"] == "361123" and not each["area"]]
    assert (row["value"], row["why"], row["numerator"], row["digest"]) == ("", "small", "", "")
    assert "url(#hidden)" in report_svg(shown)
    assert next(line for line in lines if line.startswith("未列数字")) != "未列数字 | hidden cells: 0"


def test_nothing_is_taken_for_code(shown: Report) -> None:
    """A formula is text in CSV, markup and signs that nobody sees are written out in lines and SVG."""
    text, table = "\n".join(report_lines(shown)), report_csv(shown)
    assert "\u202e" not in text
    assert "\\u202e" in text
    cells = [cell for row in csv.reader(io.StringIO(table)) for cell in row]
    assert f"'{FORMULA}" in cells
    assert not any(cell.startswith("=") for cell in cells)
    drawn = report_svg(replace(shown, period=FORMULA))
    assert "<script" not in drawn
    assert "\u202e" not in drawn
    root = ET.fromstring(drawn)  # our own file
    assert root.find("{*}title") is not None
    assert root.find("{*}desc") is not None
    assert not any("href" in name or name.startswith("on") for each in root.iter() for name in each.attrib)


@pytest.mark.parametrize(
    ("value", "cell"),
    [("=1+1", "'=1+1"), ("+1", "'+1"), ("@x", "'@x"), ("-27.83", "-27.83"), ("-2+3", "'-2+3"), (" =1", "' =1"),
     ("\t1", "'\t1"), (">2700", ">2700"), (7, "7"), (None, "")],
)  # fmt: skip
def test_cells(value: object, cell: str) -> None:
    """What a spreadsheet would compute gets a quote before it; plain numbers stay numbers."""
    assert cell_text(value) == cell


def test_a_time_is_rounded_up() -> None:
    """What was late by a little never prints as in time."""
    assert [span_text(ms) for ms in (60_400, 60_000, 59_001, 451_000)] == ["1分1秒", "1分0秒", "1分0秒", "7分31秒"]


def test_charts(shown: Report) -> None:
    """Every panel is there, each begins at zero, and each number is written; without anything there is a title alone."""
    drawn = report_svg(shown)
    for name in ("到场达标率", "各类警情", "到场用时分布", "每周警情", "时段分布"):
        assert name in drawn or name == "各类警情"  # one kind alone is no stack
    assert 'class="limit"' in drawn
    assert "没有" not in drawn
    empty = report_svg(report(()))
    assert "时段分布" not in empty
    ET.fromstring(empty)  # our own file


def test_an_exercise_says_so() -> None:
    """The report of an exercise has it in its title, in lines and in SVG."""
    found = report(seen(lived(1, status="Exercise")), ReportKind.EXERCISE, status="Exercise")
    assert next(iter(report_lines(found))).startswith("【演练】")
    assert "【演练】" in report_svg(found)


def test_leaves_and_differences() -> None:
    """With leaves each figure names its entries; two nodes' reports name those that only one of them has."""
    alerts = seen(*(lived(n) for n in range(25)), *(lived(n, division=THERE) for n in range(30, 36)))
    one, other = both(alerts, alerts[1:])
    raised = alerts[0].raised
    assert raised is not None
    assert any(raised.name in line for line in report_lines(one, leaves=True))
    assert not any(raised.name in line for line in report_lines(one))
    lines = "\n".join(report_lines(unite_reports(one, other)))
    assert "两节点所记不同 | entries by which the nodes differ" in lines
    assert f"仅见于 only at 浙江 zhejiang: {raised.name}" in lines
    assert "两节点所记一致" in "\n".join(report_lines(unite_reports(one, one)))


# ---- at running nodes ---

CENTRE, POLICE, TOWN = "zhejiang/330822/governance", "zhejiang/330822/police", "zhejiang/330822/town"
YUSHAN = "jiangxi/361123/governance"
ROWS = """
[[figure]]
id = "crime.incidents_yoy"
place = "330822"
period = "2026Q1"
value = "-31.43"
words = "自开通以来 有效刑事警情"
"""


def test_report_in_every_form(nodes, tmp_path):
    """Text for people, JSON and CSV for programs, SVG; what the police delivered stands in its period as they wrote it."""
    path = tmp_path / "figures.toml"
    path.write_text(ROWS, encoding="utf-8")
    handed = nodes.ask(POLICE, "report", "deliver", path)
    assert "已报送 1 项" in handed.err
    asked = ("report", "county", "330822", "--period", "2026Q1")
    text = nodes.ask(CENTRE, *asked).out
    assert "常山县 · 2026Q1 · 有效刑事警情同比  -31.43 %" in text
    assert "[报送 delivered zhejiang/330822/police crime.incidents_yoy v1]" in text
    found = nodes.ask(CENTRE, *asked, "-o", "json").json
    assert (found["kind"], found["period"], found["nodes"]) == ("county", "2026Q1", ["zhejiang"])
    assert nodes.ask(CENTRE, *asked, "-o", "csv").out.startswith("\ufeffjoint,figure,version")
    assert nodes.ask(CENTRE, *asked, "-o", "svg").out.startswith("<svg")
    for more in (("quarter",), ("response",), ("exercise",), ("procedure", "vehicle-business")):
        assert nodes.ask(CENTRE, "report", *more, "--period", "2026").out.count("2026")


def test_report_that_may_not_be_read(nodes):
    """A town reads none; the refusal is an answer in the form that was asked for."""
    assert "拒绝" in nodes.ask(TOWN, "report", "quarter", code=1).out
    refused = nodes.ask(TOWN, "report", "quarter", "-o", "json", code=1).json
    assert refused["decision"]["policies"]
    assert nodes.ask(CENTRE, "report", "county", "361123", code=1).err


def test_sample_at_a_node(nodes):
    """The sample is read alone, in each form; what nobody picked is not looked at again, and the words are demanded."""
    asked = ("report", "response", "--sample", "--period", "2026Q1")
    assert "抽查时点 | stamps to be looked at again" in nodes.ask(CENTRE, *asked).out
    assert nodes.ask(CENTRE, *asked, "-o", "json").json["sample"] == []
    assert nodes.ask(CENTRE, *asked, "-o", "csv").out.startswith("\ufeff时点 stage")
    record = "zhejiang/01936000-0000-7000-8000-000000000001"
    found = nodes.ask(POLICE, "report", "recheck", record, "到场", "--found", "属实", code=1)
    assert "RECHECK_SAMPLE" in found.err
    assert nodes.ask(POLICE, "report", "recheck", record, "到场", "--found", "好", code=2).err


def test_two_nodes_reports_are_united(nodes, tmp_path):
    """Each side hands its signed file over; a stranger to both verifies them and finds that they do not differ."""
    ours, theirs = tmp_path / "zhejiang.json", tmp_path / "jiangxi.json"
    asked = ("report", "pair", "330822", "361123", "--period", "2026Q1", "--hand-over")
    nodes.ask(CENTRE, *asked, ours)
    nodes.ask(YUSHAN, *asked, theirs)
    united = run("report", "unite", ours, theirs, "--home", nodes.folder)
    assert "两节点所记一致 | both nodes counted the same entries" in united.out
    broken = tmp_path / "broken.json"
    broken.write_bytes(ours.read_bytes().replace(b'"signature":"', b'"signature":"AAAA', 1))
    assert run("report", "unite", broken, theirs, "--home", nodes.folder, code=1).err
