"""How corrections are shown: what was asked, where it stands, until when and by which clock; in lines and as JSON.

Rules kept: citizen numbers and days of birth are masked unless the clerk asks for all of it; what is overdue says so; a
deadline by a clock or a calendar that is not confirmed says so; a refusal is in words, in both languages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from federation.cli.lookup.view import PROVINCES
from federation.cli.permits import view, words
from federation.domain.rules.clock import Verified
from federation.protocol.ids import format_time
from federation.wire.lookups.corrections.values import CorrectionStanding

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.domain.rules.clock import Deadline
    from federation.wire.lookups.corrections.values import (
        CorrectionLine,
        CorrectionOutcome,
        CorrectionPage,
        NoticeLine,
    )

STANDINGS: Final[Mapping[CorrectionStanding, str]] = MappingProxyType(
    {
        CorrectionStanding.WAITING: "等待受理 waiting",
        CorrectionStanding.OPEN: "办理中 open",
        CorrectionStanding.GRANTED: "准予更正 granted",
        CorrectionStanding.DENIED: "不予更正 denied",
        CorrectionStanding.REFUSED: "未受理 refused",
        CorrectionStanding.UNDELIVERED: "未送达 undelivered",
    }
)
_LATE: Final = frozenset({CorrectionStanding.WAITING, CorrectionStanding.UNDELIVERED})


def filing_code(outcome: CorrectionOutcome) -> int:
    """The exit code of filing: 1 when refused here or by the owner, 3 when the owner has not answered, else 0."""
    line = outcome.line
    if line is None or line.standing is CorrectionStanding.REFUSED:
        return 1
    return 3 if line.standing in _LATE else 0


def outcome_lines(outcome: CorrectionOutcome, *, full: bool) -> Iterable[str]:
    """What came of filing or of a step, in lines for a clerk."""
    if outcome.line is None:
        yield from view.ruling_lines(outcome.decision)
        return
    yield from _lines(outcome.line, full=full)


def outcome_object(outcome: CorrectionOutcome, *, full: bool) -> dict[str, JsonOut]:
    """The same as JSON."""
    line = outcome.line
    return {
        "decision": view.ruling_object(outcome.decision),
        "correction": _object(line, full=full) if line is not None else None,
    }


def page_lines(page: CorrectionPage, *, full: bool) -> Iterable[str]:
    """A page of corrections in lines for a clerk."""
    if not page.decision.allowed:
        yield from view.ruling_lines(page.decision)
        return
    for line in page.lines:
        yield from _lines(line, full=full)
    if not page.lines:
        yield "没有更正 | no corrections"
    else:
        late = sum(line.overdue for line in page.lines)
        yield f"共 {len(page.lines)} 件,逾期 {late} 件 | {len(page.lines)} in all, {late} overdue"
    for notice in page.notices:
        yield _notice_line(notice)


def page_object(page: CorrectionPage, *, full: bool) -> dict[str, JsonOut]:
    """A page of corrections as JSON."""
    lines: JsonOut = [_object(line, full=full) for line in page.lines]
    notices: JsonOut = [
        {
            "time": format_time(notice.time),
            "owner": notice.owner,
            "urn": notice.urn,
            "version": notice.version or None,
            "field": notice.field or None,
            "case": notice.case_id or None,
        }
        for notice in page.notices
    ]
    return {
        "decision": view.ruling_object(page.decision),
        "corrections": lines,
        "overdue": sum(line.overdue for line in page.lines),
        "notices": notices,
        "next_page_token": page.next_page_token,
    }


def _lines(line: CorrectionLine, *, full: bool) -> Iterable[str]:
    late = "  ** 逾期 OVERDUE **" if line.overdue else ""
    desk = "  待本单位决定 to decide here" if line.to_decide and line.standing is CorrectionStanding.OPEN else ""
    yield f"{line.correction_id}  {STANDINGS[line.standing]}{late}{desk}"
    yield f"  更正 field: {words.FIELDS.get(line.field, '')} {line.field} -> {_shown(line, full=full)}"
    number = line.citizen_number if full else view.mask_number(line.citizen_number)
    yield f"  居住证 permit: {line.urn}  本人 person: {number}"
    yield f"  申请 filed: {_when(line.filed_time)}  {line.filed_by}  {line.words}"
    if line.papers:
        yield f"  材料 papers: {', '.join(digest[:16] for digest in line.papers)} (SHA-256)"
    yield f"  决定 decides: {_province(line.owner)}"
    if line.deadline is not None and line.standing is CorrectionStanding.OPEN:
        yield f"  期限 due: {_due(line.deadline)}"
    if line.answer:
        yield f"  答复 answer: {line.answer}"
    if line.permit_version:
        yield f"  居住证版本 permit version: {line.permit_version}"
    if line.policies:
        yield f"  理由 because: {line.title_zh} | {line.title_en} ({', '.join(line.policies)})"


def _object(line: CorrectionLine, *, full: bool) -> dict[str, JsonOut]:
    deadline = line.deadline
    return {
        "correction_id": line.correction_id,
        "standing": line.standing.value,
        "overdue": line.overdue,
        "to_decide": line.to_decide,
        "urn": line.urn,
        "field": line.field,
        "value": _shown(line, full=full),
        "words": line.words,
        "papers": list(line.papers),
        "citizen_number": line.citizen_number if full else view.mask_number(line.citizen_number),
        "filed_by": str(line.filed_by),
        "filed": format_time(line.filed_time),
        "owner": line.owner,
        "deadline": _deadline_object(deadline) if deadline is not None else None,
        "answer": line.answer,
        "answered": format_time(line.answer_time) if line.answer_time is not None else None,
        "permit_version": line.permit_version or None,
        "policies": list(line.policies),
        "title_zh": line.title_zh,
        "title_en": line.title_en,
    }


def _deadline_object(deadline: Deadline) -> dict[str, JsonOut]:
    return {
        "clock": deadline.clock_id,
        "rule_version": deadline.rule_version,
        "calendar_version": deadline.calendar_version,
        "due": format_time(deadline.due),
        "last_day": deadline.last_day.isoformat() if deadline.last_day is not None else None,
        "extended_by": deadline.extended_by,
        "official": deadline.official,
        "verified": deadline.verified.value,
    }


def _due(deadline: Deadline) -> str:
    day = deadline.last_day.isoformat() if deadline.last_day is not None else _when(deadline.due)
    told = [f"{deadline.clock_id} v{deadline.rule_version}", f"日历 calendar {deadline.calendar_version}"]
    if deadline.extended_by:
        told.append(f"已延 extended by {deadline.extended_by}")
    if deadline.verified is not Verified.LAW_READ:
        told.append("未经法律核对 not legally verified")
    if not deadline.official:
        told.append("日历未公布 calendar not published")
    return f"{day} ({'; '.join(told)})"


def _notice_line(notice: NoticeLine) -> str:
    who, when = _province(notice.owner), _when(notice.time)
    if notice.urn is not None:
        return (
            f"{when}  {who}: {notice.urn} 第 {notice.version} 版以前的副本已过时 | "
            f"copies before version {notice.version} are outdated"
        )
    label = words.FIELDS.get(notice.field, "")
    return (
        f"{when}  {who}: 案件 {notice.case_id} 所取 {label} {notice.field} 已更正 | was corrected since: fetch it again"
    )


def _shown(line: CorrectionLine, *, full: bool) -> str:
    """The wanted value; a number and a day of birth are masked as in a permit."""
    if full or line.field not in ("citizen_number", "birth_date"):
        return line.value
    if line.field == "citizen_number":
        return view.mask_number(line.value)
    return view.mask_day(date.fromisoformat(line.value))


def _when(time: datetime) -> str:
    return time.astimezone(view.CHINA).isoformat(sep=" ", timespec="minutes")[:16]


def _province(node: str) -> str:
    return f"{PROVINCES.get(node, '')} {node}".lstrip()
