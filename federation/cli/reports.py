"""`bridgehead subject report`: what every province gave about one person, at any node (本人查阅).

The agency is named, never an officer or another person; a province that has not answered is named, so that silence is
not taken for "nothing". The exit code is 1 when refused and 3 when a province has not answered yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from federation.cli.options import Desk, IdentityOption, Paging, command, more_notes, read_line
from federation.cli.show import CHINA, OF_ITEM, local_minute, local_time, mask_number, object_of, of_item
from federation.cli.words import RECORD_FIELDS, condensed, enclosed, label, punctuated, said, titled, word, word_of
from federation.domain.leave import TODAY_PURPOSE
from federation.domain.lookups import Outcome
from federation.domain.lookups_case import SUBJECT_FUNCTION, SUBJECT_PURPOSE
from federation.domain.reports import ReportLine, purpose_words
from federation.protocol.leaf import Verdict
from federation.wire.agency import reports as wire

if TYPE_CHECKING:
    from federation.cli.show import JsonOut

CORRECTION_RIGHT: Final = (
    "记录有误的，可以在本窗口申请更正，应于三十日内答复并说明理由（个人信息保护法第四十六、五十条） | "
    "A record that is wrong: ask for its correction here; answered within 30 days, with reasons (PIPL articles 46, 50)"
)
COMPLAINT_RIGHT: Final = (
    "认为处理违法的，可以在本窗口投诉，应于三十日内答复；不服的要求复查或者起诉（个人信息保护法第五十、六十五条） | "
    "What you hold unlawful: complain here, answered within 30 days; then ask for a review above, or go to court "
    "(PIPL articles 50, 65)"
)
IDENTITY_STEP: Final = "核对本人证件后加 --identity-checked | check the person's card, then add --identity-checked"

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
    head = head_lines(page, question.citizen_number, now=datetime.now(CHINA))
    lines = (*head, *report_lines(page), said(CORRECTION_RIGHT), said(COMPLAINT_RIGHT))
    notes = more_notes(page.next_page_token)
    steps = () if checked else (IDENTITY_STEP,)
    desk.show(page, lines, data=report_object(page), notes=notes, steps=steps, code=report_code(page))


def report_code(page: wire.ReportPage) -> int:
    """The exit code: 1 when refused by a province, 3 when a province has not answered, else 0."""
    found = {province.outcome for province in page.provinces}
    if Outcome.REFUSED in found:
        return 1
    return 0 if found <= {Outcome.HIT} else 3


def head_lines(page: wire.ReportPage, number: str, *, now: datetime) -> Iterator[str]:
    """The head of the paper that is handed out: of whom it is, of when, and which provinces have answered."""
    person, time = mask_number(number), local_minute(now)
    yield said(f"本人查阅 {person}，{time} | Report to {person}, {time}")
    answered = [each.node for each in page.provinces if each.outcome is Outcome.HIT]
    names = "、".join(word_of("NodeName", name) for name in answered)
    yield f"{titled('已答复的省|provinces that answered')}{punctuated(names)}"


def report_lines(page: wire.ReportPage) -> Iterator[str]:
    """The entries, newest first; then what is withheld, who has not answered, and what there is of more age."""
    for line in page.lines:
        yield from _entry_lines(line)
    silent = [each for each in page.provinces if each.outcome is not Outcome.HIT]
    if not page.lines and not silent:
        yield said("没有可告知的记录 | nothing that may be told now")
    elif not page.lines:
        yield said("已答复的省没有可告知的记录 | nothing that may be told now by the provinces that answered")
    if page.withheld_count and page.next_shown is not None:
        day = page.next_shown.isoformat()
        chinese = f"暂缓告知 {page.withheld_count} 条，最早于 {day} 告知"
        yield said(f"{chinese} | {page.withheld_count} withheld for now, the first will be shown on {day}")
    for province in silent:
        name, outcome = word_of("NodeName", province.node), word(province.outcome)
        gap = said("其记录不在以上所列，请另日再查|its entries are not among these: ask again another day")
        yield punctuated(f"{name}: {outcome}; {gap}")
    for province in page.provinces:
        if older := province.older_count:
            yield punctuated(f"{word_of('NodeName', province.node)}: {said(f'另有更早的 {older} 条 | {older} older')}")


def report_object(page: wire.ReportPage) -> dict[str, JsonOut]:
    """Returns what JSON says plainer than the answer itself: the purposes in words, and which province has answered."""
    provinces: list[JsonOut] = [
        object_of(each) | ({"outcome": "answered"} if each.outcome is Outcome.HIT else {}) for each in page.provinces
    ]
    return {"lines": [_entry_object(line) for line in page.lines], "provinces": provinces}


def _entry_lines(line: ReportLine) -> Iterator[str]:
    given = said("拒绝|refused") if line.verdict is Verdict.REFUSED else said("提供|given")
    step, province = word_of("Step", line.step), word_of("NodeName", line.given_by)
    asker = f"{line.asker_name}{enclosed(line.asker)}" if line.asker_name else str(line.asker)
    yield f"{local_time(line.time)}  {asker}  {step}  {given}  {province}"
    if _is_refused_at_home(line):
        yield said("  被本省拒绝，未向任何人提供 | asked and was refused by its own province; nothing was told")
    yield f"  {titled('目的|purpose')}{said(' | '.join(purpose_words(line.purpose)))}"
    if line.step == TODAY_PURPOSE:
        yield f"  {_check_sentence(line)}"
    elif line.fields:
        named = [label(name) for name in RECORD_FIELDS if name in line.fields]
        of_items = [_item_field(name) for name in sorted(line.fields - RECORD_FIELDS.keys())]
        yield f"  {titled('字段|fields')}{punctuated('、'.join((*named, *of_items)))}"
    if line.basis:
        yield f"  {titled('依据|basis')}{line.basis}"


def _check_sentence(line: ReportLine) -> str:
    """That a token was checked, and the one word that was told."""
    day, asker, yes = line.time.astimezone(CHINA), line.asker_name or str(line.asker), "yes" in line.fields
    chinese, english = ("是", "yes") if yes else ("否", "no")
    when = f"{day.year}年{day.month}月{day.day}日"
    return said(
        f"{when}，{asker}核验了您的外出凭证，得到的答复仅为‘{chinese}’。 | "
        f"On {day.date()}, {asker} checked your token of leave; all that it was told is ‘{english}’."
    )


def _item_field(name: str) -> str:
    """A field of an item of a case or an alert, `person.name`, in words as far as there are any."""
    kind, _, field = name.partition(".")
    chinese, meant = OF_ITEM.get(kind), of_item(kind, field)[0]
    return said(f"{chinese}的{meant}|{name}") if chinese and field else name


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
