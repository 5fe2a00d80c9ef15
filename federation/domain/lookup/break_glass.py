"""Break-glass: a look-up case without a cooperation letter, for two hours, answered for afterwards.

Rules kept: the duty leader is noticed at once; the review is due on the next working day; while one of an agency's
reviews is overdue, that agency breaks no more glass; only the leader named at the time reviews, and never their own.
Without a table of the year the review is due on the next day, which is sooner and never later.
Source: misuse control M10; 公安机关办理刑事案件程序规定 article 350 (urgent requests, the letter following).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from federation.domain.lookup.case import (
    BREAK_GLASS_PREFIX,
    BREAK_GLASS_TIME,
    NO_LETTER,
    CaseTerms,
    LookupCase,
    is_break_glass,
    open_case,
)
from federation.domain.lookup.review import verify_words
from federation.domain.lookup.watch import CHINA, Flag, FlagKind
from federation.domain.rules.calendar import Calendar, add_working_days
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.errors import RuleError
from federation.protocol.form import Item, Time, always, decode, encode, replace
from federation.protocol.ids import AgencyId


class Finding(StrEnum):
    """What the leader found: none yet, that it had to be done, or that it had not."""

    OPEN = "open"
    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


class BreakGlass(Item, frozen=True, kw_only=True):
    """One breaking of the glass, as its leader is noticed of it; the review is due by the end of `due`.

    `words` are the leader's, with the finding.
    """

    WHAT: ClassVar[str] = "break-glass notice"
    REASON: ClassVar[str] = "BREAK_GLASS_FORM"

    case_id: str
    agency: AgencyId
    officer: str
    leader: str
    opened: Time
    due: date
    finding: Finding = always(Finding.OPEN)
    words: str = always("")


def open_break_glass(case_id: str, terms: CaseTerms, *, opened_by: AgencyId, now: datetime) -> LookupCase:
    """Opens a case of two hours; the letter and the days of the terms count for nothing.

    Raises:
        RuleError: BREAK_GLASS_NUMBER for a number of another form; otherwise as `open_case`.
        MalformedError: as `open_case`.
    """
    if not is_break_glass(case_id):
        raise RuleError("BREAK_GLASS_NUMBER", f"expected a number that begins with {BREAK_GLASS_PREFIX}")
    case = open_case(case_id, replace(terms, letter=NO_LETTER, days=1), opened_by=opened_by, now=now)
    return replace(case, closes=case.opens + BREAK_GLASS_TIME)


def notice_of(case: LookupCase, officer: str, *, calendar: Calendar) -> BreakGlass:
    """What the duty leader is noticed of, in the same moment.

    Raises:
        RuleError: BREAK_GLASS_LEADER when the officer would review themselves.
    """
    if case.leader == officer:
        raise RuleError("BREAK_GLASS_LEADER", "expected another leader than the officer who breaks the glass")
    return BreakGlass(
        case_id=case.case_id,
        agency=case.opened_by,
        officer=officer,
        leader=case.leader,
        opened=case.opens,
        due=_due(case.opens.astimezone(CHINA).date(), calendar),
    )


def verify_break_glass_allowed(notices: Iterable[BreakGlass], *, today: date) -> None:
    """Returns when none of the agency's reviews is overdue.

    Raises:
        RuleError: BREAK_GLASS_OVERDUE.
    """
    overdue = sorted(notice.case_id for notice in notices if is_overdue(notice, today=today))
    if overdue:
        raise RuleError(
            "BREAK_GLASS_OVERDUE",
            f"expected every review to be done in time, {overdue[0]} is overdue; its leader reviews it first, "
            "or the case is opened with a cooperation letter",
        )


def order_of(notice: BreakGlass, *, today: date) -> tuple[int, int, str]:
    """Where a notice stands in a list: overdue first, then by the day of its review, then the reviewed, newest up."""
    if notice.finding is not Finding.OPEN:
        return 2, -int(notice.opened.timestamp()), notice.case_id
    return 0 if is_overdue(notice, today=today) else 1, notice.due.toordinal(), notice.case_id


def is_overdue(notice: BreakGlass, *, today: date) -> bool:
    """Whether the day of the review has passed (in China) without one."""
    return notice.finding is Finding.OPEN and today > notice.due


def review_break_glass(notice: BreakGlass, reviewer: str, *, finding: Finding, words: str = "") -> BreakGlass:
    """Closes a notice with what its leader found.

    Raises:
        RuleError: BREAK_GLASS_REVIEWER for anybody but the leader named, BREAK_GLASS_REVIEWED when it was done before,
            BREAK_GLASS_FINDING when it finds nothing, BREAK_GLASS_WORDS when it finds it unjustified without a word.
        MalformedError: REVIEW_WORDS as `verify_words`.
    """
    if reviewer != notice.leader:
        raise RuleError("BREAK_GLASS_REVIEWER", f"expected the leader named in {notice.case_id} to review it")
    if notice.finding is not Finding.OPEN:
        raise RuleError("BREAK_GLASS_REVIEWED", f"{notice.case_id} was found {notice.finding} already")
    if finding is Finding.OPEN:
        raise RuleError("BREAK_GLASS_FINDING", "expected the finding justified or unjustified")
    if finding is Finding.UNJUSTIFIED and not words.strip():
        raise RuleError("BREAK_GLASS_WORDS", "expected the reviewer's words: what was unjustified, and what follows")
    return replace(notice, finding=finding, words=verify_words(words))


def review_bytes(case_id: str, agency: AgencyId, *, finding: Finding, words: str = "") -> bytes:
    """The exact bytes that the leader's own key signs to close a notice."""
    return encode_canonical(
        {
            "step": "lookup.break_glass.review",
            "case_id": case_id,
            "agency": str(agency),
            "finding": str(finding),
            "words": words,
        }
    )


def break_glass_flag(notice: BreakGlass) -> Flag:
    """The flag that every breaking of the glass raises, justified or not."""
    return Flag(
        kind=FlagKind.BREAK_GLASS,
        officer=notice.officer,
        lookup_id=notice.case_id,
        case_id=notice.case_id,
        sentence_zh=f"无协作函紧急查询 {notice.case_id},值班领导须于 {notice.due} 前审查",
        sentence_en=f"glass broken for {notice.case_id} without a letter; its leader reviews it by {notice.due}",
    )


def encode_break_glass(notice: BreakGlass) -> bytes:
    """Encodes a notice into its one canonical form."""
    return encode(notice)


def decode_break_glass(encoded: bytes) -> BreakGlass:
    """Decodes a notice out of the store.

    Raises:
        MalformedError: JSON_* for the form; BREAK_GLASS_FORM, AGENCY_ID and TIME for a field of another form.
    """
    return decode(BreakGlass, encoded)


def _due(opened: date, calendar: Calendar) -> date:
    try:
        return add_working_days(calendar, opened, count=1)
    except RuleError:
        return opened + timedelta(days=1)
