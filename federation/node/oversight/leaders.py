"""Countersignatures that let a case reach further: more persons by its leader, more look-ups by two persons.

Who signs does not ask in the case; two names with one key are one person. Source: misuse control M4.
"""

from __future__ import annotations

from typing import ClassVar

from federation.domain.lookups_case import (
    BulkRelease,
    LookupCase,
    bulk_bytes,
    countersign_bytes,
    sign_bulk,
    verify_countersigner,
)
from federation.node.exchange.errand import Errand, on
from federation.node.lookups import records
from federation.node.node import Node
from federation.node.officers import LeaderAct, or_logged, signed_by, verify_another_person, verify_own_key
from federation.protocol.errors import NotFoundError
from federation.protocol.form import Item, Time, decode, encode
from federation.protocol.ids import AgencyId
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_versions, put_records
from federation.wire.agency.oversight import COUNTERSIGN_CASE, Countersigned, CountersignQuestion

COUNTERSIGN, BULK = "lookup-countersign", "lookup-countersign-bulk"


class _Signature(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = COUNTERSIGN

    leader: str
    time: Time
    signature: str


@on(COUNTERSIGN_CASE)
async def countersign(errand: Errand, question: CountersignQuestion) -> Countersigned:
    """Lets a case reach more persons, or adds one of two signatures for more look-ups; once more is no harm.

    Refuses CASE_UNKNOWN, COUNTERSIGN_LEADER, COUNTERSIGN_SELF, SAME_PERSON, OFFICER_KEY, SIGNATURE_FORM, BULK_*.
    """
    act = signed_by(errand, question.signature, case_id=question.case_id)
    sign = _sign_bulk if question.bulk else _sign_case
    return await or_logged(errand, sign(errand.node, act))


async def _sign_case(node: Node, act: LeaderAct) -> Countersigned:
    case = own_case(node, act)
    verify_own_key(node.database, act, countersign_bytes(act.case_id, act.agency))

    def sign(transaction: GroupTransaction) -> None:
        askers = _askers(transaction, case)
        verify_countersigner(case, act.leader, askers=askers)
        verify_another_person(transaction, act, askers)
        put_records(transaction, [_signed(node, act, COUNTERSIGN, version=1, status="signed")])

    await node.sequencer.commit(sign)
    return Countersigned(case_id=act.case_id, signers=(act.leader,), complete=True)


async def _sign_bulk(node: Node, act: LeaderAct) -> Countersigned:
    case = own_case(node, act)
    verify_own_key(node.database, act, bulk_bytes(act.case_id, act.agency))

    def sign(transaction: GroupTransaction) -> BulkRelease:
        askers, known = _askers(transaction, case), find_bulk(transaction, act.agency, act.case_id)
        if known is not None and known.complete and act.leader in known.signers:
            return known
        release = sign_bulk(case, known, act.leader, askers=askers)
        verify_another_person(transaction, act, (*askers, *release.signers))
        status = "signed" if release.complete else "waiting"
        record = _signed(node, act, BULK, version=len(release.signers), status=status)
        put_records(transaction, [record], expect_version=record.version - 1)
        return release

    release = (await node.sequencer.commit(sign)).value
    return Countersigned(case_id=act.case_id, signers=release.signers, complete=release.complete)


def own_case(node: Node, act: LeaderAct) -> LookupCase:
    """Returns the case that somebody of the agency acts in; NotFoundError CASE_UNKNOWN, also for another agency's."""
    case = records.find_case(node.database, act.agency, act.case_id, announced=False)
    if case is None:
        raise NotFoundError("CASE_UNKNOWN", f"this agency opened no case {act.case_id!r:.50}")
    return case


def is_countersigned(source: Source, agency: AgencyId, case_id: str, *, officer: str = "") -> bool:
    """True when the leader let the case reach more persons, for an officer who is not the leader who signed."""
    record = find_record(source, COUNTERSIGN, f"{agency}/{case_id}", replica=False)
    return record is not None and decode(_Signature, record.content).leader != officer


def find_bulk(source: Source, agency: AgencyId, case_id: str) -> BulkRelease | None:
    """Returns who signed for more look-ups in a case; None when nobody has."""
    name = f"{agency}/{case_id}"
    signers = tuple(decode(_Signature, record.content).leader for record in list_versions(source, BULK, name))
    return BulkRelease(case_id=case_id, agency=agency, signers=signers) if signers else None


def is_bulk(source: Source, agency: AgencyId, case_id: str, *, officer: str) -> bool:
    """True when two persons let the case ask more than its quota, for an officer who is neither of them."""
    release = find_bulk(source, agency, case_id)
    return release is not None and release.complete and officer not in release.signers


def _askers(source: Source, case: LookupCase) -> frozenset[str]:
    """Whoever's question left; an opened case is no question, and what our own side refused went nowhere."""
    asked = records.each_asked(source, case.opened_by, case_id=case.case_id)
    return frozenset(line.officer for _, line in asked if line.digest and line.lookup_id)


def _signed(node: Node, act: LeaderAct, kind: str, *, version: int, status: str) -> Record:
    signed = _Signature(leader=act.leader, time=node.now(), signature=act.signature)
    return Record(
        id=f"{act.agency}/{act.case_id}",
        kind=kind,
        owner=node.name,
        version=version,
        replica=False,
        status=status,
        division=act.agency.county,
        content=encode(signed),
    )
