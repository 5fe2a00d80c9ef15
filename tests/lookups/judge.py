"""The judge of a month of attempts: the rules of the package, in the order in which a node applies them.

It knows the attempts and nothing of what was planted. An attempt comes out refused, flagged, or neither.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from federation.domain.clock import Calendar, china_day
from federation.domain.lookups import Handle, parse_selector, verify_handle
from federation.domain.lookups_case import CaseTerms, LookupCase, LookupCounts, Quotas, is_open, verify_quota
from federation.domain.oversight import (
    BURST_WINDOW,
    AskedLine,
    BreakGlass,
    Finding,
    find_misuse,
    notice_of,
    open_break_glass,
    review_break_glass,
    verify_break_glass_allowed,
)
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError
from federation.protocol.ids import AgencyId, Realm


class Verdict(StrEnum):
    """What became of an attempt. `noticed` is a glass broken as the rules have it: its leader is told, by design."""

    PASSED = "passed"
    NOTICED = "noticed"
    FLAGGED = "flagged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """An attempt as the judge needs it."""

    attempt_id: str
    time: datetime
    agency: AgencyId
    officer: str
    desk: str
    case_id: str
    selector: str
    handle: Handle | None
    glass: bool


class Judge:
    """A node's memory of one month, and its rules."""

    def __init__(
        self,
        cases: Mapping[str, LookupCase],
        *,
        honey: frozenset[str],
        reviewed: Mapping[str, date],
        signed: Mapping[str, int],
        calendar: Calendar,
    ) -> None:
        """`signed` are the cases that reach further, by how many persons signed for them."""
        self._signed = signed
        self._cases, self._honey, self._reviewed, self._calendar = cases, honey, reviewed, calendar
        self._recent: deque[AskedLine] = deque()
        self._of_day: defaultdict[tuple[AgencyId, str, date], int] = defaultdict(int)
        self._of_case: defaultdict[str, list[str]] = defaultdict(list)
        self._notices: defaultdict[AgencyId, list[BreakGlass]] = defaultdict(list)

    def judge(self, asking: Asking) -> Verdict:
        """What becomes of the next attempt in time."""
        try:
            if asking.glass:
                self._break_glass(asking)
                return Verdict.NOTICED
            if asking.handle is not None:
                verify_handle(
                    asking.handle, case_id=asking.case_id, asker=asking.agency, officer=asking.officer, now=asking.time
                )
                return Verdict.PASSED
            self._search(asking)
        except BridgeheadError:
            return Verdict.REFUSED
        line = AskedLine(
            time=asking.time, officer=asking.officer, agency=str(asking.agency), lookup_id=asking.attempt_id,
            case_id=asking.case_id, desk=asking.desk,
        )  # fmt: skip
        self._recent.append(line)
        while self._recent[0].time <= asking.time - BURST_WINDOW:
            self._recent.popleft()
        flagged = find_misuse(self._recent, asking.time, self._calendar) or asking.selector in self._honey
        return Verdict.FLAGGED if flagged else Verdict.PASSED

    def _search(self, asking: Asking) -> None:
        selector = parse_selector(asking.selector, Realm.DEMO)
        case = self._cases.get(asking.case_id)
        if case is None or case.opened_by != asking.agency:
            raise NotFoundError("CASE_UNKNOWN", "no such case")
        if not is_open(case, asking.time):
            raise RuleError("CASE_TERM_OVER", "the case binds nothing at that time")
        day = (asking.agency, asking.officer, china_day(asking.time))
        persons = self._of_case[asking.case_id]
        counts = LookupCounts(
            officer_today=self._of_day[day] + 1,
            case_total=len(persons) + 1,
            case_persons=len({*persons, selector.value}),
        )
        signers = self._signed.get(asking.case_id, 0)
        verify_quota(counts, Quotas(), countersigned=signers >= 1, bulk=signers >= 2)
        self._of_day[day] += 1
        persons.append(selector.value)

    def _break_glass(self, asking: Asking) -> None:
        today = china_day(asking.time)
        notices = [self._as_reviewed(notice, today) for notice in self._notices[asking.agency]]
        verify_break_glass_allowed(notices)
        terms = CaseTerms(
            letter="", counties=frozenset({"330822"}), purposes=frozenset({"lookup.missing_person"}), days=0,
            leader="leader-1",
        )  # fmt: skip
        case = open_break_glass(asking.case_id, terms, opened_by=asking.agency, now=asking.time)
        self._notices[asking.agency].append(notice_of(case, asking.officer, calendar=self._calendar))

    def _as_reviewed(self, notice: BreakGlass, today: date) -> BreakGlass:
        day = self._reviewed.get(notice.case_id)
        if day is None or day > today:
            return notice
        return review_break_glass(notice, notice.leader, finding=Finding.JUSTIFIED)
