"""`bridgehead report`: figures counted from alerts and joint cases (统计报告), and those that an office hands in.

A report is counted by the own node and signed by it; of another province no number below five is in it. With
`--hand-over FILE` it is written for the other side, with the entries that each figure counts; `report unite` verifies
two such files under the agreement, makes one report of them and names the entries by which they differ (exit code 1).
"""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from federation.cli.alert_words import choose
from federation.cli.audited import Sought, find_federation, open_sought
from federation.cli.figures_svg import report_svg
from federation.cli.figures_text import (
    FINDINGS,
    STAGES,
    difference_names,
    report_csv,
    report_lines,
    sample_csv,
    sample_lines,
    word_in,
)
from federation.cli.next_step import NEXT_STEPS
from federation.cli.options import Desk, Form, commands_for, end
from federation.cli.options import command as plain_command
from federation.cli.show import object_of, say, show_json, show_lines
from federation.cli.tree import identifier
from federation.domain.figures_report import (
    REPORT_FUNCTION,
    REPORT_PURPOSE,
    Report,
    ReportKind,
    open_report,
    read_report,
    unite_reports,
)
from federation.protocol.errors import NotFoundError
from federation.protocol.form import Row, decode, load_toml, parse_toml, replace
from federation.wire.agency import figures as wire
from federation.wire.agency.figures import Delivery, FigureRow, RecheckQuestion, ReportQuery

app = typer.Typer(name="report", no_args_is_help=True, help="Figures and reports (统计报告).")


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    SVG = "svg"


PeriodOption = Annotated[
    str, typer.Option("--period", help="A period (统计期): 2026Q2, 2026-06 or 2026; the running quarter if none.")
]
LeavesOption = Annotated[bool, typer.Option("--leaves", help="Name the entries that each figure counts.")]
OutputOption = Annotated[
    Output, typer.Option("-o", "--output", help="text for people, json and csv for programs, svg for its charts.")
]
HandOverOption = Annotated[
    Path | None, typer.Option("--hand-over", help="Write the signed report for the other side into this file.")
]
CountyOption = Annotated[
    list[str] | None,
    typer.Option("--county", metavar="CODE", help="A county (six digits); else all of the province."),
]
NEXT_STEPS.update({
    "FIGURES_COUNTY": "写本省的县，毗邻两县写两个区划代码 | name counties of your province; of a pair, both codes",
    "FIGURES_DIFFER": "两份报告须同类、同期、同县：重新出具 | make both reports of one kind, period and counties",
    "FIGURES_LARGE": "缩短统计期：--period，或不加 --leaves | a shorter --period, or without --leaves",
    "FIGURES_LEAVES": "请对方重新出具：--hand-over | have it made anew with --hand-over",
    "FIGURES_MANY": "缩短统计期：--period | a shorter period: --period",
    "FIGURES_MISSING": "协议尚无指标表：待新版本协议生效 | the agreement has no figures yet: wait for its next version",
    "FIGURES_PERIOD": "改写统计期，如 2026Q2：--period | write the period such as 2026Q2: --period",
    "FIGURE_COUNTED": "该指标不必报送 | leave that figure out: nobody delivers it",
    "FIGURE_OWNER": "请负责单位报送 | have the office that owns it deliver it",
    "FIGURE_PARTS": "核对分子分母 | check numerator and denominator",
    "FIGURE_UNKNOWN": "核对指标编号 | check the figure's id",
    "PROCEDURE_SENSITIVE": "由参加的单位统计：bridgehead case figures | who takes part counts: bridgehead case figures",
    "RECHECK_DONE": "换一个未复核的时点 | choose one that nobody has looked at: bridgehead report response --sample",
    "RECHECK_OWN": "请其他单位复核 | have another office look at it",
    "RECHECK_SAMPLE": "查看抽中的时点：report response --sample | see the sample: report response --sample",
    "RECHECK_WORDS": "写明存疑或者不实之处：--words | say what is doubtful or wrong: --words",
    "REPORT_PACKED": "请对方重新出具：--hand-over | have it made anew with --hand-over",
})  # fmt: skip


class Shown(Struct, frozen=True, kw_only=True):
    """The period of a report, and the form in which it is shown."""

    period: str
    leaves: bool
    output: Output
    sample: bool = False


def open_shown(
    period: PeriodOption = "", leaves: LeavesOption = False, output: OutputOption = Output.TEXT
) -> Shown:  # fmt: skip
    return Shown(period=period, leaves=leaves, output=output)


command = partial(commands_for(REPORT_PURPOSE, REPORT_FUNCTION), without="form", shown=open_shown)


@command(app, "quarter")
def quarter(desk: Desk, shown: Shown, counties: CountyOption = None, hand_over: HandOverOption = None) -> None:
    """Report (季度报告) every figure, under the six joint mechanisms (六联)."""
    _read(desk, shown, _query(ReportKind.QUARTER, counties), hand_over)


@command(app, "pair")
def pair(
    desk: Desk,
    shown: Shown,
    one: Annotated[str, typer.Argument(metavar="COUNTY", help="Six digits (GB/T 2260).")],
    other: Annotated[str, typer.Argument(metavar="COUNTY", help="The county over the border.")],
    hand_over: HandOverOption = None,
) -> None:
    """Report (毗邻两县) on two counties that touch, as far as this node knows both."""
    _read(desk, shown, _query(ReportKind.PAIR, [one, other]), hand_over)


@command(app, "county")
def county(
    desk: Desk, shown: Shown, code: Annotated[str, typer.Argument(metavar="COUNTY", help="Six digits (GB/T 2260).")]
) -> None:  # fmt: skip
    """Report (县域) on one county of the province."""
    _read(desk, shown, _query(ReportKind.COUNTY, [code]))


@command(app, "procedure")
def procedure(
    desk: Desk,
    shown: Shown,
    name: Annotated[str, typer.Argument(metavar="PROCEDURE", help="Such as vehicle-business.")],
    counties: CountyOption = None,
) -> None:
    """Report (程序) on the joint cases of one procedure: how many were closed, in how many days."""
    _read(desk, shown, _query(ReportKind.PROCEDURE, counties, procedure=name))


@command(app, "response")
def response(
    desk: Desk,
    shown: Shown,
    counties: CountyOption = None,
    sample: Annotated[bool, typer.Option("--sample", help="Only the stamps to be looked at again (抽查).")] = False,
) -> None:
    """Report (1-3-10) how fast desks accepted, made contact and arrived, with every late stage."""
    _read(desk, replace(shown, sample=sample), _query(ReportKind.RESPONSE, counties))


@command(app, "exercise")
def exercise(desk: Desk, shown: Shown, counties: CountyOption = None) -> None:
    """Report (演练) the same times of exercises, which no other report counts."""
    _read(desk, shown, _query(ReportKind.EXERCISE, counties))


def _query(kind: ReportKind, counties: list[str] | None, *, procedure: str = "") -> ReportQuery:
    return ReportQuery(kind=kind, counties=tuple(counties or ()), procedure=procedure)


def _read(desk: Desk, shown: Shown, query: ReportQuery, hand_over: Path | None = None) -> None:
    """Asks for a report and shows it, or writes it for the other side."""
    query = replace(query, period=shown.period, leaves=shown.leaves, handed_over=hand_over is not None)
    answer = desk.call(wire.READ_REPORT, query, changes=False)
    if not answer.decision.allowed:
        replace(desk, form=Form.JSON if shown.output is Output.JSON else Form.TEXT).refuse(answer.decision)
    _, content = read_report(answer.signed)
    if hand_over is not None:
        hand_over.write_bytes(answer.signed)
        say(f"已写入 {hand_over}，可交对方节点核对 | written to {hand_over}, for the other side to compare")
    _show(decode(Report, content), shown)


def _show(report: Report, shown: Shown) -> None:
    match shown.output:
        case Output.JSON:
            show_json(object_of(report))
        case Output.CSV:
            sys.stdout.write(sample_csv(report) if shown.sample else report_csv(report))
        case Output.SVG:
            sys.stdout.write(report_svg(report))
        case Output.TEXT:
            show_lines(sample_lines(report) if shown.sample else report_lines(report, leaves=shown.leaves))


@plain_command(app, "recheck", usual=(REPORT_PURPOSE, REPORT_FUNCTION))
def recheck(
    desk: Desk,
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="The record, as the sample names it."), identifier],
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="签收 accepted, 联系 contacted or 到场 arrived.")],
    found: Annotated[str, typer.Option("--found", help="属实 confirmed, 存疑 doubtful or 不实 wrong.")],
    words: Annotated[str, typer.Option("--words", help="What is doubtful or wrong; nobody is named.")] = "",
) -> None:
    """Say (复核) what your office found of another one's stamp that chance picked (`report response --sample`)."""
    question = RecheckQuestion(
        alert=alert, stage=choose(stage, STAGES, "STAGE"), finding=choose(found, FINDINGS, "--found"), words=words
    )
    outcome = desk.call(wire.RECHECK_STAMP, question)
    desk.show(outcome, [f"{alert}  {word_in(STAGES, question.stage)}  {word_in(FINDINGS, question.finding)}"])


@plain_command(app, "unite", sought=open_sought)
def unite(
    sought: Sought,
    one: Annotated[Path, typer.Argument(metavar="FILE", help="A report that one node handed over.")],
    other: Annotated[Path, typer.Argument(metavar="FILE", help="The other node's, of the same counties and period.")],
    output: OutputOption = Output.TEXT,
) -> None:
    """Unite (合并核对) two nodes' reports, and name the entries by which they differ."""
    from federation.protocol.trust import message_keys_at

    agreement = find_federation(sought).agreement
    found = []
    for path in (one, other):
        signed = _file(path)
        cut = decode(Report, read_report(signed)[1]).cut
        keys = {node: message_keys_at(agreement, node, cut) for node in agreement.members}
        found.append(open_report(signed, keys))
    report = unite_reports(*found)
    _show(report, open_shown(output=output))
    names = difference_names(report.differences)
    if names:
        say(f"两节点所记相差 {len(names)} 条记录 | the nodes differ by {len(names)} entries")
    end(1 if names else 0)


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError("FILE_MISSING", f"expected a file at {path}") from error


class DeliveryFile(Row, frozen=True, kw_only=True):
    figure: tuple[FigureRow, ...]


@plain_command(app, "deliver", usual=(REPORT_PURPOSE, REPORT_FUNCTION))
def deliver(
    desk: Desk,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A TOML file: [[figure]] id, place, period, value, words.")
    ],
) -> None:
    """Hand in (报送) the figures that your office counts by itself; they are shown as you wrote them."""
    file = load_toml(DeliveryFile, parse_toml(_file(path).decode(errors="replace"), what="figures"), what="figures")
    outcome = desk.call(wire.DELIVER_FIGURES, Delivery(figures=file.figure))
    lines = [
        f"{row.id} {row.place} {row.period}  {digest}"
        for row, digest in zip(file.figure, outcome.digests, strict=False)
    ]
    desk.show(outcome, lines, notes=(f"已报送 {len(lines)} 项 | {len(lines)} figures were handed in",))
