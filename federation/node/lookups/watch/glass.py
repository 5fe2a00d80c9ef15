"""Broken glass at a node: the notice in the transaction that opens the case, the leader's list, the leader's review.

Rules kept: no case without a letter opens without its notice and flag; the leader named at the time reviews, by
their own registered key; the review is kept as a version of the notice. Source: misuse control M10.
"""

from __future__ import annotations

from collections.abc import Sequence

from federation.domain.lookups_case import LookupCase
from federation.domain.oversight import (
    BreakGlass,
    Finding,
    RaisedFlag,
    break_glass_flag,
    decode_break_glass,
    encode_break_glass,
    notice_of,
    review_break_glass,
    review_bytes,
    verify_break_glass_allowed,
)
from federation.node.exchange.errand import Errand
from federation.node.lookups import records
from federation.node.lookups.watch.flags import put_flags
from federation.node.node import Node
from federation.node.officers import LeaderAct, verify_own_key
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import AgencyId, NodeName
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_records, put_records

NOTICE = "lookup-notice"


def begin_notice(errand: Errand, case: LookupCase) -> BreakGlass:
    """The notice of a glass about to be broken.

    Raises:
        RuleError: BREAK_GLASS_OVERDUE, BREAK_GLASS_LEADER.
    """
    node = errand.node
    verify_break_glass_allowed(list_notices(node.database, case.opened_by), today=node.today())
    return notice_of(case, errand.act.officer, calendar=errand.in_force.calendar)


def put_notice(transaction: GroupTransaction, notice: BreakGlass, *, owner: NodeName) -> None:
    """Stores the notice with its flag, in the transaction that opens the case."""
    put_records(transaction, [_to_record(notice, owner, version=1)], expect_version=0)
    raised = RaisedFlag(time=notice.opened, agency=notice.agency, flag=break_glass_flag(notice))
    put_flags(transaction, [raised], owner=owner)


def find_notice(source: Source, agency: AgencyId, case_id: str) -> BreakGlass | None:
    """The notice of that case, None when the agency broke no glass under it."""
    record = find_record(source, NOTICE, f"{agency}/{case_id}", replica=False)
    return decode_break_glass(record.content) if record is not None else None


def list_notices(source: Source, agency: AgencyId) -> Sequence[BreakGlass]:
    """Every breaking of the glass by an agency, by case number, reviewed or not."""
    prefix = after = f"{agency}/"
    notices: list[BreakGlass] = []
    while True:
        found = list_records(source, NOTICE, after_id=after, limit=records.MAX_LINES, replica=False)
        ours = [record for record in found if record.id.startswith(prefix)]
        notices += [decode_break_glass(record.content) for record in ours]
        if len(ours) < records.MAX_LINES:
            return notices
        after = ours[-1].id


async def review(node: Node, act: LeaderAct, *, finding: Finding, words: str = "") -> BreakGlass:
    """Closes a notice with what its leader found; after that the agency may break glass again.

    Raises:
        NotFoundError: BREAK_GLASS_UNKNOWN.
        RuleError: BREAK_GLASS_REVIEWER, BREAK_GLASS_REVIEWED, BREAK_GLASS_FINDING, BREAK_GLASS_WORDS.
        UntrustedError: OFFICER_KEY; MalformedError: SIGNATURE_FORM, REVIEW_WORDS.
        ConflictError: VERSION_CONFLICT when it was reviewed at the same moment.
    """
    record = find_record(node.database, NOTICE, f"{act.agency}/{act.case_id}", replica=False)
    if record is None:
        raise NotFoundError("BREAK_GLASS_UNKNOWN", f"this agency broke no glass under {act.case_id!r:.50}")
    reviewed = review_break_glass(decode_break_glass(record.content), act.leader, finding=finding, words=words)
    verify_own_key(node.database, act, review_bytes(act.case_id, act.agency, finding=finding, words=reviewed.words))
    await node.sequencer.commit(
        lambda tx: put_records(
            tx, [_to_record(reviewed, node.name, version=record.version + 1)], expect_version=record.version
        )
    )
    return reviewed


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
