"""The leader's review of a broken glass: what they found, by their own key; unjustified ends the case and its handles.

Finding, end and news of the end are one transaction; who holds a handle of the case gets nothing for it any more.
Source: misuse control M10.
"""

from __future__ import annotations

from federation.domain.lookups_case import close_case
from federation.domain.oversight import BreakGlass, Finding, review_bytes
from federation.domain.oversight import review_break_glass as reviewed_by
from federation.node.exchange.errand import Errand, on
from federation.node.lookups import records
from federation.node.lookups.cases import end_unasked
from federation.node.officers import LeaderAct, is_same_person, lost_key, or_logged, signed_by, verify_own_key
from federation.node.oversight.break_glass import NOTICES, state_of
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.oversight import REVIEW_BREAK_GLASS, NoticeState, ReviewQuestion


@on(REVIEW_BREAK_GLASS)
async def review_break_glass(errand: Errand, question: ReviewQuestion) -> NoticeState:
    """Closes a notice with what its leader found; after that the agency may break glass again.

    Where the leader's key was withdrawn, another person than who broke the glass reviews in their place.

    Refuses BREAK_GLASS_* (UNKNOWN, and as the domain does), OFFICER_KEY, SIGNATURE_FORM, VERSION_CONFLICT.
    """
    act = signed_by(errand, question.signature, case_id=question.case_id)
    reviewed = await or_logged(errand, _review(errand, act, question))
    return state_of(errand.node, reviewed)


async def _review(errand: Errand, act: LeaderAct, question: ReviewQuestion) -> BreakGlass:
    node = errand.node
    notice = NOTICES.find(node.database, f"{act.agency}/{act.case_id}")
    if notice is None:
        raise NotFoundError("BREAK_GLASS_UNKNOWN", f"this agency broke no glass under {act.case_id!r:.50}")
    officer_asked = is_same_person(node.database, act.agency, act.leader, other=notice.officer)
    if lost_key(node.database, act.agency, notice.leader) and not officer_asked:
        notice = replace(notice, leader=act.leader)
    reviewed = reviewed_by(notice, act.leader, finding=question.finding, words=question.words)
    signed = review_bytes(act.case_id, act.agency, finding=question.finding, words=reviewed.words)
    verify_own_key(node.database, act, signed)

    def write(transaction: GroupTransaction) -> None:
        NOTICES.put(transaction, reviewed, owner=node.name)

    case = records.find_case(node.database, act.agency, act.case_id, announced=False)
    if reviewed.finding is Finding.UNJUSTIFIED and case is not None and not case.closed:
        await end_unasked(errand, close_case(case, node.now()), write)
    else:
        await node.sequencer.commit(write)
    return reviewed
