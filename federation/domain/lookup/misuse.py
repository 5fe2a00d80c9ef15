"""Limits on how much one officer and one case may ask, as pure checks over counts.

Rules kept: what is counted includes the look-up that is being decided; the case leader's countersignature lifts the
number of persons, two persons' signatures lift the number of look-ups, nobody lifts the limit above; who signs has not
asked in the case; every refusal says what to do.
Source: misuse controls M4; the published cases of exported registers behind them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from federation.domain.lookup.case import LookupCase
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """How many look-ups an officer may make in a day and a case in all, and about how many different persons.

    `per_case_bulk` is the limit of a case for which two persons signed, and that of everybody.
    """

    per_officer_day: int = 50
    per_case: int = 30
    persons_per_case: int = 10
    per_case_bulk: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupCounts:
    """How many there would be with this look-up: by the officer today, in the case, different persons in the case."""

    officer_today: int
    case_total: int
    case_persons: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRelease:
    """Who signed for more look-ups in a case than its quota, in the order of signing: it takes two persons."""

    case_id: str
    agency: AgencyId
    signers: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether both have signed."""
        return len(self.signers) == 2


def verify_quota(counts: LookupCounts, quotas: Quotas, *, countersigned: bool, bulk: bool = False) -> None:
    """Returns when one more look-up is within the limits.

    Args:
        counts: including the look-up that is being decided.
        quotas: the limits in force.
        countersigned: whether the case leader signed for more persons.
        bulk: whether the leader and a second person signed for more look-ups, and so for more persons.

    Raises:
        RuleError: QUOTA_OFFICER, QUOTA_CASE_LIMIT, QUOTA_CASE or QUOTA_PERSONS.
    """
    if counts.officer_today > quotas.per_officer_day:
        raise RuleError(
            "QUOTA_OFFICER",
            f"expected at most {quotas.per_officer_day} look-ups of one officer a day, this is number "
            f"{counts.officer_today}; go on tomorrow, or another officer of the case asks",
        )
    if counts.case_total > quotas.per_case_bulk:
        raise RuleError(
            "QUOTA_CASE_LIMIT",
            f"expected at most {quotas.per_case_bulk} look-ups in one case whoever signs, this is number "
            f"{counts.case_total}; close the case and open another one under a new cooperation letter",
        )
    if counts.case_total > quotas.per_case and not bulk:
        raise RuleError(
            "QUOTA_CASE",
            f"expected at most {quotas.per_case} look-ups in one case, this is number {counts.case_total}; two persons "
            "sign for more: the case leader and a second officer, neither of whom asks in the case",
        )
    if counts.case_persons > quotas.persons_per_case and not (countersigned or bulk):
        raise RuleError(
            "QUOTA_PERSONS",
            f"expected at most {quotas.persons_per_case} persons in one case, this is number {counts.case_persons}; "
            "ask the case leader to countersign",
        )


def countersign_bytes(case_id: str, agency: AgencyId) -> bytes:
    """The exact bytes that a leader's own key signs to let a case reach further persons."""
    return encode_canonical({"step": "lookup.countersign", "case_id": case_id, "agency": str(agency)})


def bulk_bytes(case_id: str, agency: AgencyId) -> bytes:
    """The exact bytes that each of two persons signs with their own key to lift the quota of a case."""
    return encode_canonical({"step": "lookup.countersign.bulk", "case_id": case_id, "agency": str(agency)})


def sign_bulk(case: LookupCase, known: BulkRelease | None, signer: str, *, askers: Collection[str]) -> BulkRelease:
    """Adds a signer: the leader and a second officer of the same office, in either order, neither of whom asked.

    Raises:
        RuleError: COUNTERSIGN_SELF for one who asked in the case, BULK_SECOND_PERSON when they signed already,
            BULK_LEADER when neither of two is the leader, BULK_SIGNED when two others have signed.
    """
    if signer in askers:
        raise RuleError("COUNTERSIGN_SELF", f"expected somebody who did not ask in case {case.case_id} themselves")
    if known is None:
        return BulkRelease(case_id=case.case_id, agency=case.opened_by, signers=(signer,))
    if signer in known.signers:
        raise RuleError(
            "BULK_SECOND_PERSON",
            f"{signer} has signed for {case.case_id} already"
            + ("" if known.complete else "; it waits for a second person"),
        )
    if known.complete:
        raise RuleError("BULK_SIGNED", f"two persons have signed for {case.case_id} already")
    if case.leader not in (*known.signers, signer):
        raise RuleError("BULK_LEADER", f"expected the leader of case {case.case_id} to be one of the two")
    return replace(known, signers=(*known.signers, signer))


def verify_countersigner(case: LookupCase, signer: str, *, askers: Collection[str]) -> None:
    """Returns when this officer may countersign the case: its leader, and nobody who asked in it.

    Raises:
        RuleError: COUNTERSIGN_LEADER or COUNTERSIGN_SELF.
    """
    if signer != case.leader:
        raise RuleError("COUNTERSIGN_LEADER", f"expected the leader of case {case.case_id} to countersign")
    if signer in askers:
        raise RuleError("COUNTERSIGN_SELF", "expected a second person: the leader asked in this case themselves")
