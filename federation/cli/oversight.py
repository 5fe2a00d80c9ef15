"""`bridgehead oversight`: what the leaders of a police office sign, review and are told of (监督).

Whoever acts signs with their own registered key, which the profile remembers; the node is given the signature only.
Nobody who was asked about is named. Every reading is recorded at the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.cli.options import Desk, Paging, commands_for
from federation.cli.show import CHINA, align, china_today, local_time, show_lines, table
from federation.cli.tree import identifier
from federation.cli.words import AWAITED, OVERDUE, WORDS, listed, said, sentences, titled, word, word_of
from federation.domain.lookups_case import LOOKUP_FUNCTION, bulk_bytes, countersign_bytes, parse_case_id
from federation.domain.oversight import (
    Digest,
    DigestLine,
    Finding,
    FlagKind,
    SampleFinding,
    SampleItem,
    digest_bytes,
    readings_bytes,
    review_bytes,
    sample_review_bytes,
    verify_words,
)
from federation.node.home.files import read_json
from federation.protocol.form import replace
from federation.protocol.ids import parse_message_id
from federation.wire.agency import oversight as wire
from federation.wire.rpc import POLICE, PageQuery

if TYPE_CHECKING:
    from federation.domain.oversight import RaisedFlag, StoredReading

app = typer.Typer(name="oversight", no_args_is_help=True, help="The watch over look-ups (监督).")
command = commands_for("lookup.oversight", LOOKUP_FUNCTION)


CaseArgument = Annotated[
    str, typer.Argument(metavar="CASE", help="The case's number, such as CS-2026-0041."), identifier
]
DayOption = Annotated[str | None, typer.Option("--day", help="YYYY-MM-DD in China; today.")]


@command(app, "countersign")
def countersign(
    desk: Desk,
    case_id: CaseArgument,
    bulk: Annotated[
        bool, typer.Option("--bulk", help="For look-ups beyond the case's quota; the leader and a second person sign.")
    ] = False,
) -> None:
    """Countersign (会签) a case, so that it may reach more persons, or more look-ups with --bulk."""
    signed = (bulk_bytes if bulk else countersign_bytes)(parse_case_id(case_id), desk.profile.agency)
    question = wire.CountersignQuestion(case_id=case_id, signature=desk.sign(signed), bulk=bulk)
    answer = desk.call(wire.COUNTERSIGN_CASE, question)
    names = ", ".join(answer.signers)
    if answer.complete:
        desk.show(answer, (f"{said('案件|case')} {case_id} {titled('已会签|countersigned')}{names}",))
        return
    awaited = said("待第二人签字|a second person's signature is awaited")
    line = f"{said('案件|case')} {case_id} {titled('已签|signed')}{names}; {awaited}"
    again = f"bridgehead oversight countersign {case_id} --bulk"
    desk.show(answer, (line,), notes=(f"请第二人执行 | next, a second person: {again}",))


@command(app, "notices")
def notices(desk: Desk, paging: Paging) -> None:
    """List (紧急查询) the cases opened without a letter and their reviews: overdue ones first."""
    page = desk.read(wire.LIST_NOTICES, PageQuery(), paging, items="notices")
    desk.show_page(page, notice_lines(page.notices), items="notices")


class Judged(StrEnum):
    """The findings that a leader chooses between: a review that is open has none."""

    JUSTIFIED = Finding.JUSTIFIED
    UNJUSTIFIED = Finding.UNJUSTIFIED


WORDS["FlagKind"] = {
    "off_hours_burst": "非工作时间连续查询", "two_desks": "一人两处", "honey": "诱饵记录", "break_glass": "紧急查询",
    "unanswered": "久未答复", "desk_burst": "同证书频查", "office_burst": "单位频查", "key_changed": "本人密钥变更",
}  # fmt: skip
WORDS["ReadingKind"] = {
    "released": "提供字段", "notices": "紧急查询", "flags": "预警", "digest": "每日回执", "sample": "抽查",
    "watch": "值班提醒", "readings": "查阅留痕", "keys": "本人密钥名册",
    "messages": "交换记录",
}  # fmt: skip
WORDS["Judged"] = {each.value: WORDS["Finding"][each.value] for each in Judged}


@command(app, "review")
def review(
    desk: Desk,
    case_id: CaseArgument,
    judged: Annotated[Judged, typer.Option("--finding", help="justified or unjustified.")],
    words: Annotated[str, typer.Option("--words", help="Why; an unjustified case is not closed without.")] = "",
) -> None:
    """Review (审查) a case that was opened without a letter; its leader does, by the next working day.

    Until then the office breaks no other glass; what is unjustified is closed at once, everywhere.
    """
    text, finding = verify_words(words), Finding(judged)
    signed = review_bytes(parse_case_id(case_id), desk.profile.agency, finding=finding, words=text)
    question = wire.ReviewQuestion(case_id=case_id, finding=finding, words=text, signature=desk.sign(signed))
    state = desk.call(wire.REVIEW_BREAK_GLASS, question)
    ended = (
        f"案件 {case_id} 已在各省关闭，凭据全部失效 | the case is closed in every province, and its handles with it",
    )
    desk.show(state, notice_lines([state]), notes=ended if finding is Finding.UNJUSTIFIED else ())


@command(app, "flags")
def flags(
    desk: Desk,
    paging: Paging,
    by: Annotated[str | None, typer.Option("--by", help="Only of this officer's look-ups.")] = None,
    kind: Annotated[FlagKind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    case_id: Annotated[str | None, typer.Option("--case", help="Only of this case."), identifier] = None,
) -> None:
    """List (预警) what the watch flagged, newest first."""
    query = wire.FlagQuery(officer=by, kind=kind, case_id=case_id)
    page = desk.read(wire.LIST_FLAGS, query, paging, items="flags")
    desk.show_page(page, flag_lines(page.flags), items="flags")


@command(app, "digest")
def digest(
    desk: Desk,
    of: Annotated[str | None, typer.Option("--of", help="Whose day, when it is not your own.")] = None,
    day: DayOption = None,
) -> None:
    """Read (每日回执) the look-ups of a day: "you asked about these"."""
    question = wire.DigestQuestion(officer=of, day=_day(day))
    if of is not None and of != desk.officer:
        found = question.day or china_today()
        signed = digest_bytes(desk.profile.agency, of, day=found, reader=desk.named_officer())
        question = wire.DigestQuestion(officer=of, day=found, signature=desk.sign(signed))
    answer = desk.call(wire.GET_DAILY_DIGEST, question, changes=False)
    desk.show(answer, digest_lines(answer))


@command(app, "sample")
def sample(
    desk: Desk,
    paging: Paging,
    with_reviewed: Annotated[bool, typer.Option("--reviewed", help="The reviewed ones too.")] = False,
) -> None:
    """List (抽查) the look-ups that chance picked for review by somebody else, oldest first."""
    page = desk.read(wire.LIST_SAMPLE, wire.SampleQuery(with_reviewed=with_reviewed), paging, items="items")
    desk.show_page(page, sample_lines(page.items), items="items")


@command(app, "reviewed")
def reviewed(
    desk: Desk,
    lookup_id: Annotated[str, typer.Argument(metavar="LOOKUP_ID", help="As `oversight sample` shows it."), identifier],
    finding: Annotated[SampleFinding, typer.Option("--finding", help="lawful or doubtful.")],
    words: Annotated[str, typer.Option("--words", help="What was checked, and against what.")],
) -> None:
    """Record (复核) that you reviewed a look-up of the sample; nobody reviews their own."""
    text, known = verify_words(words), parse_message_id(lookup_id)
    signed = sample_review_bytes(desk.profile.agency, known, finding=finding, words=text)
    question = wire.SampleReviewQuestion(lookup_id=known, finding=finding, words=text, signature=desk.sign(signed))
    item = desk.call(wire.RECORD_REVIEW, question)
    desk.show(item, sample_lines([item]))


@command(app, "readings")
def readings(
    desk: Desk,
    paging: Paging,
    case_id: Annotated[
        str | None, typer.Option("--case", help="Only in this case; a leader names it."), identifier
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Only by this officer.")] = None,
    mandate: Annotated[
        Path | None, typer.Option("--mandate", help="The mandate of an office, signed by both: 'audit mandate'.")
    ] = None,
) -> None:
    """List (查阅留痕) who read what, newest first: for audit offices; for a case's leader with --case.

    A procuratorate reads by a mandate of two persons.
    """
    query = wire.ReadingQuery(case_id=case_id, officer=by, mandate=read_json(mandate) if mandate else b"")
    if case_id is not None and desk.profile.agency.kind in POLICE:
        signed = readings_bytes(desk.profile.agency, parse_case_id(case_id), reader=desk.named_officer())
        query = replace(query, signature=desk.sign(signed))
    page = desk.read(wire.LIST_READINGS, query, paging, items="readings")
    desk.show_page(page, reading_lines(page.readings), items="readings")


@command(app, "watch")
def watch(
    desk: Desk,
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many.")] = None,
    after: Annotated[str, typer.Option("--after", help="The last token that was told: go on behind it.")] = "",
) -> None:
    """Be told (值班提醒) of each notice and flag at once, until Ctrl-C; open notices first. JSON: one object a line."""
    desk.watch(wire.WATCH_NOTICES, after, lambda news: show_lines(news_lines(news)), count=count)


def notice_lines(states: Sequence[wire.NoticeState]) -> Iterator[str]:
    return table(
        states,
        ("case_id", lambda one: one.notice.case_id),
        ("opened", lambda one: local_time(one.notice.opened)),
        ("officer", lambda one: one.notice.officer),
        ("leader", lambda one: one.notice.leader),
        ("due", lambda one: one.notice.due.isoformat()),
        ("state", _notice_state),
        ("words", lambda one: one.notice.words),
    )


def flag_lines(raised: Iterable[RaisedFlag]) -> Iterator[str]:
    for one in raised:
        yield f"{local_time(one.time)}  {word(one.kind)}  {one.agency}  {one.officer}  {one.case_id}"
        yield f"  {said(f'{one.sentence_zh} | {one.sentence_en}')}  ({one.lookup_id})"


def digest_lines(found: Digest) -> Iterator[str]:
    count, who = len(found.lines), f"{found.day} {found.officer}"
    yield from sentences(
        f"{who}：当日查询 {count} 次，如非本人操作请立即报告",
        f"{who}: you asked about these {count}; report at once what was not you",
    )
    if found.lines:
        yield from align(
            [
                (f"{line.time.astimezone(CHINA):%H:%M}", line.case_id, line.person, _outcomes(line), line.lookup_id)
                for line in found.lines
            ]
        )


def sample_lines(items: Sequence[SampleItem]) -> Iterator[str]:

    def state(item: SampleItem) -> str:
        if item.review is not None:
            return f"{word(item.review.finding)}  {item.review.reviewer}: {item.review.words}"
        return said(OVERDUE if item.overdue else "待复核|waiting")

    return table(items, "lookup_id", "time", "officer", "case_id", "purpose", "person", "due", ("state", state))


def reading_lines(found: Sequence[StoredReading]) -> Iterator[str]:

    def what(one: StoredReading) -> str:
        return f"{one.node}: {', '.join(sorted(one.fields))}" if one.fields else one.about

    return table(
        found, "time", "agency", "officer", ("read", lambda one: word(one.kind)), "case_id", "lookup_id", ("what", what)
    )


def news_lines(news: wire.News) -> Iterator[str]:
    if news.notice is not None:
        notice = news.notice.notice
        yield (
            f"{local_time(notice.opened)}  {word(FlagKind.BREAK_GLASS)}  {notice.case_id}  {notice.officer}  "
            f"{said('领导|leader')} {notice.leader}  {said('期限|due')} {notice.due}  {_notice_state(news.notice)}"
        )
    if news.flag is not None:
        yield from flag_lines([news.flag])


def _notice_state(state: wire.NoticeState) -> str:
    return said(OVERDUE) if state.overdue else word(state.notice.finding)


def _outcomes(line: DigestLine) -> str:
    return listed(
        f"{word_of('NodeName', node).partition(' ')[0]} {word(outcome) if outcome is not None else said(AWAITED)}"
        for node, outcome in line.outcomes.items()
    )


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"--day 应写作 2026-04-04 的样式：{text!r:.20} | expected --day as 2026-04-04, got {text!r:.20}"
        ) from error
