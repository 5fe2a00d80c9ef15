"""`bridgehead subject report`: what every province gave about one person, at any node (本人查阅).

The agency is named, never an officer or another person; a province that has not answered is named, so that silence is
not taken for "nothing". The exit code is 1 when refused and 3 when a province has not answered yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Desk, IdentityOption, Paging, command, more_notes, read_line
from federation.cli.show import local_time, object_of
from federation.cli.words import RECORD_FIELDS, condensed, enclosed, label, said, titled, word, word_of
from federation.domain.lookups import Outcome
from federation.domain.lookups_case import SUBJECT_FUNCTION, SUBJECT_PURPOSE
from federation.domain.reports import ReportLine, purpose_words
from federation.protocol.leaf import Verdict
from federation.wire.agency import reports as wire

if TYPE_CHECKING:
    from federation.cli.show import JsonOut

app = typer.Typer(
    name="subject", no_args_is_help=True, help="For the person (本人): who asked about me; my record is wrong."
)


@app.callback()
def subject() -> None:
    """For the person (本人): who asked about me, from every province; corrections of a record, to its owner."""


@command(app, "report", usual=(SUBJECT_PURPOSE, SUBJECT_FUNCTION))
def report(
    desk: Desk,
    paging: Paging,
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help="The person's citizen number; - reads it from stdin.")
    ],
    checked: IdentityOption = False,
) -> None:
    """Tell (查阅) a person who asked about them: agency, time, purpose, fields, basis; newest first."""
    question = wire.ReportQuestion(citizen_number=condensed(read_line(number)), identity_checked=checked)
    page = desk.read(wire.GET_REPORT, question, paging)
    notes = more_notes(page.next_page_token)
    desk.show(page, report_lines(page), data=report_object(page), notes=notes, code=report_code(page))


def report_code(page: wire.ReportPage) -> int:
    """The exit code: 1 when refused by a province, 3 when a province has not answered, else 0."""
    found = {province.outcome for province in page.provinces}
    if Outcome.REFUSED in found:
        return 1
    return 0 if found <= {Outcome.HIT} else 3


def report_lines(page: wire.ReportPage) -> Iterator[str]:
    for line in page.lines:
        yield from _entry_lines(line)
    if not page.lines:
        yield "没有可告知的记录 | nothing that may be told now"
    if page.withheld_count and page.next_shown is not None:
        yield (
            f"暂缓告知 {page.withheld_count} 条，最早于 {page.next_shown.isoformat()} 告知 | "
            f"{page.withheld_count} withheld for now, the first will be shown on {page.next_shown.isoformat()}"
        )
    for province in page.provinces:
        name, older = word_of("NodeName", province.node), province.older_count
        if province.outcome is not Outcome.HIT:
            yield f"{name}: {word(province.outcome)}"
        if older:
            yield f"{name}: 另有更早的 {older} 条 | {older} older"


def report_object(page: wire.ReportPage) -> dict[str, JsonOut]:
    """Returns what JSON says plainer than the answer itself: the purposes in words, and which province has answered."""
    provinces: list[JsonOut] = [
        object_of(each) | ({"outcome": "answered"} if each.outcome is Outcome.HIT else {}) for each in page.provinces
    ]
    return {"lines": [_entry_object(line) for line in page.lines], "provinces": provinces}


def _entry_lines(line: ReportLine) -> Iterator[str]:
    purpose_zh, purpose_en = purpose_words(line.purpose)
    given = said("拒绝|refused") if line.verdict is Verdict.REFUSED else said("提供|given")
    step, province = word_of("Step", line.step), word_of("NodeName", line.given_by)
    asker = f"{line.asker_name}{enclosed(line.asker)}" if line.asker_name else str(line.asker)
    yield f"{local_time(line.time)}  {asker}  {step}  {given}  {province}"
    if _is_refused_at_home(line):
        yield said("  被本省拒绝，未向任何人提供 | asked and was refused by its own province; nothing was told")
    yield f"  {titled('目的|purpose')}{said(f'{purpose_zh} | {purpose_en}')}"
    if line.fields:
        named = (label(name) for name in RECORD_FIELDS if name in line.fields)
        of_items = sorted(line.fields - RECORD_FIELDS.keys())
        yield f"  {titled('字段|fields')}{', '.join((*named, *of_items))}"
    if line.basis:
        yield f"  {titled('依据|basis')}{line.basis}"


def _entry_object(line: ReportLine) -> JsonOut:
    purpose_zh, purpose_en = purpose_words(line.purpose)
    words: dict[str, JsonOut] = {
        "purpose_zh": purpose_zh,
        "purpose_en": purpose_en,
        "refused_at_home": _is_refused_at_home(line),
    }
    return object_of(line) | words


def _is_refused_at_home(line: ReportLine) -> bool:
    """True when the asking agency's own province said no: the question never reached anybody who knows the person."""
    return line.verdict is Verdict.REFUSED and line.asker.node == line.given_by
