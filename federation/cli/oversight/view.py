"""How the watch is shown: in lines for a leader, as JSON for a program. Nobody who was asked about is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from federation.cli.lookup.view import OUTCOMES, PROVINCES
from federation.cli.permits import view
from federation.domain.lookup.break_glass import Finding
from federation.domain.lookup.reading import ReadingKind
from federation.domain.lookup.review import SampleFinding
from federation.domain.lookup.watch import FlagKind
from federation.protocol.ids import format_time

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.domain.lookup.digest import Digest, DigestLine
    from federation.domain.lookup.reading import KeptReading
    from federation.domain.lookup.review import SampleItem
    from federation.domain.lookup.watch import RaisedFlag
    from federation.wire.lookups.oversight.values import (
        Countersigned,
        FlagPage,
        News,
        NoticePage,
        NoticeState,
        ReadingPage,
        SamplePage,
    )

FINDINGS: Final[Mapping[Finding, str]] = MappingProxyType(
    {Finding.OPEN: "待审查 open", Finding.JUSTIFIED: "属实必要 justified", Finding.UNJUSTIFIED: "不当 unjustified"}
)
KINDS: Final[Mapping[FlagKind, str]] = MappingProxyType(
    {
        FlagKind.OFF_HOURS_BURST: "非工作时间连续查询 off_hours_burst",
        FlagKind.TWO_DESKS: "一人两处 two_desks",
        FlagKind.HONEY: "诱饵记录 honey",
        FlagKind.BREAK_GLASS: "紧急查询 break_glass",
        FlagKind.UNANSWERED: "久未答复 unanswered",
    }
)
SAMPLE_FINDINGS: Final[Mapping[SampleFinding, str]] = MappingProxyType(
    {SampleFinding.LAWFUL: "合规 lawful", SampleFinding.DOUBTFUL: "存疑 doubtful"}
)
READ: Final[Mapping[ReadingKind, str]] = MappingProxyType(
    {
        ReadingKind.RELEASED: "提供字段 released",
        ReadingKind.NOTICES: "紧急查询 notices",
        ReadingKind.FLAGS: "预警 flags",
        ReadingKind.DIGEST: "每日回执 digest",
        ReadingKind.SAMPLE: "抽查 sample",
        ReadingKind.WATCH: "值班提醒 watch",
        ReadingKind.READINGS: "查阅留痕 readings",
    }
)
_WAITING: Final = "等待答复 waiting"


def countersigned_lines(answer: Countersigned) -> Iterable[str]:
    """Who signed for a case, and whose signature is still missing."""
    names = ", ".join(answer.signers)
    if answer.complete:
        yield f"案件 case {answer.case_id} 已会签 countersigned: {names}"
    else:
        yield f"案件 case {answer.case_id} 已签 signed: {names}; 待第二人签字 a second person's signature is awaited"


def countersigned_object(answer: Countersigned) -> dict[str, JsonOut]:
    """Who signed for a case, as JSON."""
    return {"case_id": answer.case_id, "signers": list(answer.signers), "complete": answer.complete}


def notice_lines(notices: Sequence[NoticeState]) -> Iterable[str]:
    """The notices, one a line, in the order in which they are to be looked at."""
    heads = ("案件 case", "开启 opened", "警员 officer", "领导 leader", "期限 due", "状态 state", "意见 words")
    rows = [
        (
            one.notice.case_id,
            local(one.notice.opened),
            one.notice.officer,
            one.notice.leader,
            one.notice.due.isoformat(),
            "逾期 overdue" if one.overdue else FINDINGS[one.notice.finding],
            one.notice.words,
        )
        for one in notices
    ]
    return columns([heads, *rows])


def notice_object(state: NoticeState) -> dict[str, JsonOut]:
    """A notice, as JSON."""
    notice = state.notice
    return {
        "case_id": notice.case_id,
        "officer": notice.officer,
        "leader": notice.leader,
        "opened": format_time(notice.opened),
        "due": notice.due.isoformat(),
        "overdue": state.overdue,
        "finding": notice.finding.value,
        "words": notice.words,
    }


def notices_object(page: NoticePage) -> dict[str, JsonOut]:
    """A page of notices, as JSON."""
    return {"notices": [notice_object(one) for one in page.notices], "next_page_token": page.next_page_token}


def flag_lines(flags: Sequence[RaisedFlag]) -> Iterable[str]:
    """The flags, newest first: one line each and the sentence of each language below."""
    for one in flags:
        yield f"{local(one.time)}  {KINDS[one.flag.kind]}  {one.agency}  {one.flag.officer}  {one.flag.case_id}"
        yield f"  {one.flag.sentence_zh} | {one.flag.sentence_en}  ({one.flag.lookup_id})"


def flag_object(raised: RaisedFlag) -> dict[str, JsonOut]:
    """A flag, as JSON."""
    return {
        "time": format_time(raised.time),
        "kind": raised.flag.kind.value,
        "agency": str(raised.agency),
        "officer": raised.flag.officer,
        "case_id": raised.flag.case_id,
        "lookup_id": raised.flag.lookup_id,
        "sentence_zh": raised.flag.sentence_zh,
        "sentence_en": raised.flag.sentence_en,
    }


def flags_object(page: FlagPage) -> dict[str, JsonOut]:
    """A page of flags, as JSON."""
    return {"flags": [flag_object(one) for one in page.flags], "next_page_token": page.next_page_token}


def digest_lines(digest: Digest) -> Iterable[str]:
    """An officer's day, for the officer to check."""
    count = len(digest.lines)
    yield f"{digest.day} {digest.officer}:当日查询 {count} 次,如非本人操作请立即报告"
    yield f"{digest.day} {digest.officer}: you asked about these {count}; report at once what was not you"
    rows = [
        (
            f"{line.time.astimezone(view.CHINA):%H:%M}",
            line.case_id,
            line.person,
            _outcomes(line),
            line.lookup_id,
        )
        for line in digest.lines
    ]
    if rows:
        yield from columns(rows)


def digest_object(digest: Digest) -> dict[str, JsonOut]:
    """An officer's day, as JSON."""
    lines: JsonOut = [
        {
            "lookup_id": line.lookup_id,
            "time": format_time(line.time),
            "case_id": line.case_id,
            "person": line.person,
            "outcomes": {node: outcome.value if outcome else None for node, outcome in line.outcomes.items()},
        }
        for line in digest.lines
    ]
    return {"officer": digest.officer, "day": digest.day.isoformat(), "lookups": lines}


def sample_lines(items: Sequence[SampleItem]) -> Iterable[str]:
    """The look-ups that chance picked, one a line, oldest first."""
    heads = (
        "查询号 lookup",
        "时间 time",
        "警员 officer",
        "案件 case",
        "用途 purpose",
        "对象 person",
        "期限 due",
        "状态 state",
    )
    rows = [
        (
            item.lookup_id,
            local(item.time),
            item.officer,
            item.case_id,
            item.purpose,
            item.person,
            item.due.isoformat(),
            _state_of(item),
        )
        for item in items
    ]
    return columns([heads, *rows])


def sample_object(item: SampleItem) -> dict[str, JsonOut]:
    """A look-up of the sample, as JSON."""
    review: JsonOut = None
    if item.review is not None:
        review = {
            "reviewer": item.review.reviewer,
            "time": format_time(item.review.time),
            "finding": item.review.finding.value,
            "words": item.review.words,
        }
    return {
        "lookup_id": item.lookup_id,
        "case_id": item.case_id,
        "officer": item.officer,
        "time": format_time(item.time),
        "purpose": item.purpose,
        "person": item.person,
        "due": item.due.isoformat(),
        "overdue": item.overdue,
        "review": review,
    }


def samples_object(page: SamplePage) -> dict[str, JsonOut]:
    """A page of the sample, as JSON."""
    return {"sample": [sample_object(item) for item in page.items], "next_page_token": page.next_page_token}


def reading_lines(readings: Sequence[KeptReading]) -> Iterable[str]:
    """Who read what, one a line, newest first; the names of fields, never a value."""
    heads = ("时间 time", "单位 agency", "人员 officer", "读取 read", "案件 case", "查询号 lookup", "内容 what")
    rows = [
        (
            local(one.time),
            str(one.agency),
            one.officer,
            READ[one.kind],
            one.case_id,
            one.lookup_id,
            f"{one.node}: {', '.join(sorted(one.fields))}" if one.fields else one.about,
        )
        for one in readings
    ]
    return columns([heads, *rows])


def readings_object(page: ReadingPage) -> dict[str, JsonOut]:
    """A page of readings, as JSON."""
    readings: JsonOut = [
        {
            "time": format_time(one.time),
            "agency": str(one.agency),
            "officer": one.officer,
            "kind": one.kind.value,
            "about": one.about,
            "lookup_id": one.lookup_id,
            "case_id": one.case_id,
            "node": one.node,
            "fields": sorted(one.fields),
        }
        for one in page.readings
    ]
    return {"readings": readings, "next_page_token": page.next_page_token}


def news_lines(news: News) -> Iterable[str]:
    """One piece of news: a notice with its day of review, or a flag."""
    if news.notice is not None:
        notice = news.notice.notice
        state = "逾期 overdue" if news.notice.overdue else FINDINGS[notice.finding]
        yield (
            f"{local(notice.opened)}  {KINDS[FlagKind.BREAK_GLASS]}  {notice.case_id}  {notice.officer}  "
            f"领导 leader {notice.leader}  期限 due {notice.due}  {state}"
        )
    if news.flag is not None:
        yield from flag_lines([news.flag])


def news_object(news: News) -> dict[str, JsonOut]:
    """One piece of news, as JSON."""
    return {
        "token": news.token,
        "notice": notice_object(news.notice) if news.notice is not None else None,
        "flag": flag_object(news.flag) if news.flag is not None else None,
    }


def _state_of(item: SampleItem) -> str:
    if item.review is not None:
        return f"{SAMPLE_FINDINGS[item.review.finding]}  {item.review.reviewer}: {item.review.words}"
    return "逾期 overdue" if item.overdue else "待复核 waiting"


def columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows in columns; a Chinese character is two wide."""
    widths = [max(view.width_of(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(view.pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def local(time: datetime) -> str:
    """A moment in China."""
    return time.astimezone(view.CHINA).isoformat(sep=" ", timespec="seconds")


def _outcomes(line: DigestLine) -> str:
    found = line.outcomes.items()
    return ", ".join(
        f"{PROVINCES.get(node, node)} {OUTCOMES[outcome] if outcome is not None else _WAITING}"
        for node, outcome in found
    )
