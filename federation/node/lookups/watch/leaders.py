"""What a case's leader answers for: the countersignature for more persons, and the review of a broken glass.

Rules kept: a leader acts by their own registered key, since a certificate is an office's; nobody countersigns or
reviews what they asked themselves. Source: misuse controls M4 and M10.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.domain.lookup.break_glass import (
    BreakGlass,
    Finding,
    break_glass_flag,
    decode_break_glass,
    encode_break_glass,
    notice_of,
    review_break_glass,
    review_bytes,
    verify_break_glass_allowed,
)
from federation.domain.lookup.case import LookupCase
from federation.domain.lookup.misuse import countersign_bytes, verify_countersigner
from federation.node.lookups import records
from federation.node.lookups.officers import find_officer_key
from federation.node.lookups.watch.flags import RaisedFlag, find_calendar, put_flags
from federation.node.node import Node
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.errors import MalformedError, NotFoundError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName, format_time
from federation.protocol.keys import parse_public_key, verify_signature
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_records, put_records

NOTICE, COUNTERSIGN = "lookup-notice", "lookup-countersign"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderAct:
    """What a leader signed: who, for which agency and case, and the signature of their own key (base64)."""

    agency: AgencyId
    leader: str
    case_id: str
    signature: str


async def countersign_case(node: Node, act: LeaderAct, *, home: Path) -> None:
    """Lets a case of the agency reach more persons than the limit; once more is no harm.

    Raises:
        NotFoundError: CASE_UNKNOWN.
        RuleError: COUNTERSIGN_LEADER, COUNTERSIGN_SELF.
        UntrustedError: OFFICER_KEY, SIGNATURE; MalformedError: SIGNATURE_FORM.
    """
    case = records.find_case(node.database, node.name, act.case_id, told=False)
    if case is None or case.opened_by != act.agency:
        raise NotFoundError("CASE_UNKNOWN", f"this agency opened no case {act.case_id!r:.50}")
    asked = records.list_asked(node.database, act.agency, since=case.opens)
    askers = {line.officer for line, _ in asked if line.case_id == act.case_id}
    verify_countersigner(case, act.leader, askers=askers)
    _verify_leader(home, act, countersign_bytes(act.case_id, act.agency))
    content = encode_canonical(
        {"leader": act.leader, "time": format_time(node.now()), "signature": act.signature},
    )
    record = Record(
        id=f"{act.agency}/{act.case_id}",
        kind=COUNTERSIGN,
        owner=node.name,
        version=1,
        replica=False,
        status="signed",
        division=act.agency.county,
        content=content,
    )
    await node.sequencer.commit(lambda tx: put_records(tx, [record]))


def is_countersigned(source: Source, agency: AgencyId, case_id: str) -> bool:
    """Whether the leader let the case reach more persons."""
    return find_record(source, COUNTERSIGN, f"{agency}/{case_id}", replica=False) is not None


def begin_notice(node: Node, case: LookupCase, officer: str, *, home: Path) -> BreakGlass:
    """The notice of a glass about to be broken.

    Raises:
        RuleError: BREAK_GLASS_OVERDUE, BREAK_GLASS_LEADER.
    """
    verify_break_glass_allowed(list_notices(node.database, case.opened_by), today=node.today())
    return notice_of(case, officer, calendar=find_calendar(home))


def put_notice(transaction: GroupTransaction, notice: BreakGlass, *, owner: NodeName) -> None:
    """Stores the notice with its flag, in the transaction that opens the case."""
    put_records(transaction, [_to_record(notice, owner, version=1)], expect_version=0)
    raised = RaisedFlag(time=notice.opened, agency=notice.agency, flag=break_glass_flag(notice))
    put_flags(transaction, [raised], owner=owner)


def list_notices(source: Source, agency: AgencyId) -> Sequence[BreakGlass]:
    """Every breaking of the glass by an agency, by case number, reviewed or not."""
    prefix = f"{agency}/"
    found = list_records(source, NOTICE, after_id=prefix, limit=records.MAX_LINES, replica=False)
    return [decode_break_glass(record.content) for record in found if record.id.startswith(prefix)]


async def review(node: Node, act: LeaderAct, *, finding: Finding, home: Path) -> BreakGlass:
    """Closes a notice with what its leader found; after that the agency may break glass again.

    Raises:
        NotFoundError: BREAK_GLASS_UNKNOWN.
        RuleError: BREAK_GLASS_REVIEWER, BREAK_GLASS_REVIEWED, BREAK_GLASS_FINDING.
        UntrustedError: OFFICER_KEY, SIGNATURE; MalformedError: SIGNATURE_FORM.
        ConflictError: VERSION_CONFLICT when it was reviewed at the same moment.
    """
    record = find_record(node.database, NOTICE, f"{act.agency}/{act.case_id}", replica=False)
    if record is None:
        raise NotFoundError("BREAK_GLASS_UNKNOWN", f"this agency broke no glass under {act.case_id!r:.50}")
    reviewed = review_break_glass(decode_break_glass(record.content), act.leader, finding=finding)
    _verify_leader(home, act, review_bytes(reviewed))
    await node.sequencer.commit(
        lambda tx: put_records(
            tx, [_to_record(reviewed, node.name, version=record.version + 1)], expect_version=record.version
        )
    )
    return reviewed


def _verify_leader(home: Path, act: LeaderAct, signed: bytes) -> None:
    registered = find_officer_key(home, act.agency, act.leader)
    if registered is None:
        raise UntrustedError("OFFICER_KEY", f"expected a key registered for the leader {act.leader!r:.70}")
    try:
        signature = base64.b64decode(act.signature, validate=True)
    except binascii.Error as error:
        raise MalformedError("SIGNATURE_FORM", "expected the leader's signature in base64") from error
    verify_signature(parse_public_key(registered), signed, signature)


def _to_record(notice: BreakGlass, owner: NodeName, *, version: int) -> Record:
    return Record(
        id=f"{notice.agency}/{notice.case_id}",
        kind=NOTICE,
        owner=owner,
        version=version,
        replica=False,
        status=str(notice.finding),
        division=notice.agency.county,
        due_date=notice.due,
        content=encode_break_glass(notice),
    )
