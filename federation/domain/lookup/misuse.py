"""Limits on how much one officer and one case may ask, as pure checks over counts.

Rules kept: what is counted includes the look-up that is being decided; only the number of persons can be lifted, by
the case leader's countersignature; every refusal says what to do.
Source: misuse controls M4; the published cases of exported registers behind them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from federation.domain.lookup.case import LookupCase
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """How many look-ups an officer may make in a day and a case in all, and about how many different persons."""

    per_officer_day: int = 50
    per_case: int = 30
    persons_per_case: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupCounts:
    """How many there would be with this look-up: by the officer today, in the case, different persons in the case."""

    officer_today: int
    case_total: int
    case_persons: int


def verify_quota(counts: LookupCounts, quotas: Quotas, *, countersigned: bool) -> None:
    """Returns when one more look-up is within the limits.

    Args:
        counts: including the look-up that is being decided.
        quotas: the limits in force.
        countersigned: whether the case leader signed for more persons.

    Raises:
        RuleError: QUOTA_OFFICER, QUOTA_CASE or QUOTA_PERSONS.
    """
    if counts.officer_today > quotas.per_officer_day:
        raise RuleError(
            "QUOTA_OFFICER",
            f"expected at most {quotas.per_officer_day} look-ups of one officer a day, this is number "
            f"{counts.officer_today}; go on tomorrow, or another officer of the case asks",
        )
    if counts.case_total > quotas.per_case:
        raise RuleError(
            "QUOTA_CASE",
            f"expected at most {quotas.per_case} look-ups in one case, this is number {counts.case_total}; "
            "close the case and open another one under a new cooperation letter",
        )
    if counts.case_persons > quotas.persons_per_case and not countersigned:
        raise RuleError(
            "QUOTA_PERSONS",
            f"expected at most {quotas.persons_per_case} persons in one case, this is number {counts.case_persons}; "
            "ask the case leader to countersign",
        )


def countersign_bytes(case_id: str, agency: AgencyId) -> bytes:
    """The exact bytes that a leader's own key signs to let a case reach further persons."""
    return encode_canonical({"step": "lookup.countersign", "case_id": case_id, "agency": str(agency)})


def verify_countersigner(case: LookupCase, signer: str, *, askers: Collection[str]) -> None:
    """Returns when this officer may countersign the case: its leader, and nobody who asked in it.

    Raises:
        RuleError: COUNTERSIGN_LEADER or COUNTERSIGN_SELF.
    """
    if signer != case.leader:
        raise RuleError("COUNTERSIGN_LEADER", f"expected the leader of case {case.case_id} to countersign")
    if signer in askers:
        raise RuleError("COUNTERSIGN_SELF", "expected a second person: the leader asked in this case themselves")
