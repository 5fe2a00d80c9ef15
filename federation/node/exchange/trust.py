"""The agreement in force and its parsed policies, replaced together.

A new version is verified by `protocol.trust` against the one in force before it gets here; readers take one snapshot
for one exchange, so that an exchange is judged under a single version from its first step to its last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from federation.domain.calendar import Calendar, parse_calendar
from federation.domain.clock import ClockTable, Deadline, china_day, compute_deadline, load_rule, parse_clocks
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.domain.retention import RETENTION_FILE, RetentionRules, parse_retention
from federation.protocol.errors import NotFoundError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.policy import PolicyBook, load_policy_book
from federation.protocol.trust import Agency, Agreement, Member, find_agency

CALENDAR_FILE: Final = "policies/calendar.toml"
CLOCKS_FILE: Final = "policies/clocks.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One agreement version, and the policies, the calendar and the table of retention that it carries."""

    agreement: Agreement
    policies: PolicyBook
    calendar: Calendar
    retention: RetentionRules

    def member(self, node: NodeName) -> Member:
        """The member of that name.

        Raises:
            UntrustedError: NOT_A_MEMBER when the agreement does not name it.
        """
        found = self.agreement.members.get(node)
        if found is None:
            raise UntrustedError("NOT_A_MEMBER", f"the agreement names no node {node!r:.40}")
        return found

    def agency(self, agency: AgencyId) -> Agency:
        """The agency of that name.

        Raises:
            UntrustedError: NOT_AN_AGENCY when the agreement does not name it.
        """
        found = find_agency(self.agreement, agency)
        if found is None:
            raise UntrustedError("NOT_AN_AGENCY", f"the agreement names no agency {agency}")
        return found

    def occasion(self, purpose: str, function: str) -> Occasion:
        """Why something is asked of policy, in the realm of this node, which is that of every message it takes in."""
        realm = self.agreement.realm
        return Occasion(purpose=purpose, function=function, realm=realm, node_realm=realm)

    @property
    def clocks(self) -> ClockTable:
        """The clock table that the agreement carries.

        Raises:
            NotFoundError: CLOCK_FILE when it carries none.
        """
        found = self.agreement.files.get(CLOCKS_FILE)
        if found is None:
            raise NotFoundError("CLOCK_FILE", f"expected the agreement to hold {CLOCKS_FILE}")
        return _parse_clocks(found)

    def start_clock(self, clock_id: str, start: datetime) -> Deadline:
        """The deadline of a clock that starts then.

        Raises:
            RuleError: CALENDAR_YEAR_MISSING.
            NotFoundError: CLOCK_UNKNOWN, CLOCK_FILE when the agreement has no such clock.
        """
        return compute_deadline(load_rule(self.clocks, clock_id, on=china_day(start)), start, calendar=self.calendar)


@lru_cache(maxsize=4)
def _parse_clocks(content: bytes) -> ClockTable:
    return parse_clocks(content.decode())


def agency_facts(in_force: InForce, agency: AgencyId) -> AgencyFacts:
    """Facts of an agency for policy, as the agreement has them.

    Raises:
        UntrustedError: NOT_AN_AGENCY when the agreement does not name it.
    """
    return AgencyFacts(id=agency, functions=in_force.agency(agency).functions)


class Trust:
    """Holds the agreement in force; one writer replaces it, readers take a snapshot."""

    def __init__(self, agreement: Agreement) -> None:
        """Parses what the agreement carries; one whose policies or calendar do not parse is refused."""
        self._in_force = _read(agreement, load_policy_book(agreement.files))

    @property
    def in_force(self) -> InForce:
        """The version under which an exchange that starts now is judged."""
        return self._in_force

    def replace(self, agreement: Agreement) -> None:
        """Puts a newer, already verified version in force, policies and all.

        Raises:
            NotFoundError: CALENDAR_MISSING, RETENTION_RULE.
            MalformedError: as `load_policy_book`, `parse_calendar` and `parse_retention`.
        """
        policies = self._in_force.policies
        if agreement.digest != self._in_force.agreement.digest:
            policies = load_policy_book(agreement.files)
        self._in_force = _read(agreement, policies)


def _read(agreement: Agreement, policies: PolicyBook) -> InForce:
    content = agreement.files.get(CALENDAR_FILE)
    if content is None:
        raise NotFoundError("CALENDAR_MISSING", f"expected the agreement to hold {CALENDAR_FILE}: working days count")
    retention = agreement.files.get(RETENTION_FILE)
    if retention is None:
        raise NotFoundError("RETENTION_RULE", f"expected the agreement to hold {RETENTION_FILE}: what is kept must end")
    return InForce(
        agreement=agreement,
        policies=policies,
        calendar=parse_calendar(content.decode()),
        retention=parse_retention(retention.decode()),
    )
