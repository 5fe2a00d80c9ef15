"""Broken glass at a node: the notice in the transaction that opens the case, the leader's list, stream and review.

No such case opens without notice and flag; the leader named reviews, by their own key. Source: misuse control M10.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from functools import partial
from heapq import nsmallest
from operator import itemgetter
from typing import Final

from federation.domain.lookups_case import LookupCase
from federation.domain.oversight import (
    BreakGlass,
    Finding,
    FlagKind,
    ReadingKind,
    break_glass_flag,
    is_overdue,
    notice_of,
    raised_at,
    review_bytes,
    verify_break_glass_allowed,
)
from federation.domain.oversight import review_break_glass as reviewed_by
from federation.node.exchange.errand import Errand, on, streaming
from federation.node.node import Node
from federation.node.officers import LeaderAct, or_logged, signed_by, verify_own_key
from federation.node.oversight.flags import FLAGS, put_flags
from federation.node.oversight.readings import note_reading
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import AgencyId, NodeName
from federation.store.collection import Collection, item_collection, page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency import oversight as wire
from federation.wire.agency.oversight import News, NoticePage, NoticeState, ReviewQuestion
from federation.wire.rpc import PageQuery

NOTICES: Final[Collection[BreakGlass]] = item_collection(
    BreakGlass,
    kind="lookup-notice",
    id=lambda notice: f"{notice.agency}/{notice.case_id}",
    replica=False,
    version=lambda notice: 1 if notice.finding is Finding.OPEN else 2,
    status=lambda notice: str(notice.finding),
    division=lambda notice: notice.agency.county,
    due=lambda notice: notice.due if notice.finding is Finding.OPEN else None,
)
"""By case; what waits for its review is due."""
_REVIEWED: Final = "reviewed/"


def begin_notice(errand: Errand, case: LookupCase) -> BreakGlass:
    """Returns the notice of a glass about to be broken; refuses BREAK_GLASS_OVERDUE, BREAK_GLASS_LEADER."""
    node = errand.node
    verify_break_glass_allowed(list_open(node.database, case.opened_by), today=node.today())
    return notice_of(case, errand.act.officer, calendar=errand.in_force.calendar)


def put_notice(transaction: GroupTransaction, notice: BreakGlass, *, owner: NodeName) -> None:
    """Stores the notice with its flag, in the transaction that opens the case."""
    NOTICES.put(transaction, notice, owner=owner)
    raised = raised_at(break_glass_flag(notice), time=notice.opened, agency=notice.agency)
    put_flags(transaction, [raised], owner=owner)


def list_open(source: Source, agency: AgencyId) -> Sequence[BreakGlass]:
    waiting = NOTICES.each_due(source, before=date.max, division=agency.county)
    return [notice for notice in waiting if notice.agency == agency and notice.finding is Finding.OPEN]


@on(wire.LIST_NOTICES)
async def list_notices(errand: Errand, query: PageQuery) -> NoticePage:
    """Returns the office's notices: those that wait, by the day of review, then the reviewed; refuses PAGE_TOKEN."""
    await note_reading(errand, step=ReadingKind.NOTICES)
    source, caller, limit = errand.node.database, errand.caller, query.page_size
    listed = partial(_listed, source, caller, limit)
    name = f"{NOTICES.kind}/{caller}"
    page = await asyncio.to_thread(page_behind, source.keys, name, listed, limit=limit, token=query.page_token)
    notices = tuple(_state_of(errand.node, notice) for notice in page.values)
    return NoticePage(notices=notices, next_page_token=page.next_token)


@on(wire.REVIEW_BREAK_GLASS)
async def review_break_glass(errand: Errand, question: ReviewQuestion) -> NoticeState:
    """Closes a notice with what its leader found; after that the agency may break glass again.

    Refuses BREAK_GLASS_* (UNKNOWN, and as the domain does), OFFICER_KEY, SIGNATURE_FORM, VERSION_CONFLICT.
    """
    act = signed_by(errand, question.signature, case_id=question.case_id)
    reviewed = await or_logged(errand, _review(errand.node, act, finding=question.finding, words=question.words))
    return _state_of(errand.node, reviewed)


@streaming(wire.WATCH_NOTICES)
async def watch_notices(errand: Errand, after: str) -> AsyncIterator[News]:
    """Yields the open notices (or those behind `after`), then notices and flags as they come, until the node stops."""
    await note_reading(errand, step=ReadingKind.WATCH, what=after)
    node, desk = errand.node, errand.caller
    start, seen = int(after) if after else FLAGS.count(node.database, str(desk)), set[str]()
    for notice in () if after else list_open(node.database, desk):
        seen.add(notice.case_id)
        yield News(token="", notice=_state_of(node, notice))
    async for number, raised in FLAGS.follow(node, str(desk), after=start):
        case_id = raised.case_id
        if raised.kind is not FlagKind.BREAK_GLASS:
            yield News(token=str(number), flag=raised)
        elif case_id in seen:
            seen.discard(case_id)
        elif (known := NOTICES.find(node.database, f"{desk}/{case_id}")) is not None:
            yield News(token=str(number), notice=_state_of(node, known))


async def _review(node: Node, act: LeaderAct, *, finding: Finding, words: str) -> BreakGlass:
    notice = NOTICES.find(node.database, f"{act.agency}/{act.case_id}")
    if notice is None:
        raise NotFoundError("BREAK_GLASS_UNKNOWN", f"this agency broke no glass under {act.case_id!r:.50}")
    reviewed = reviewed_by(notice, act.leader, finding=finding, words=words)
    signed = review_bytes(act.case_id, act.agency, finding=finding, words=reviewed.words)
    verify_own_key(node.database, act, signed)
    await node.sequencer.commit(lambda tx: NOTICES.put(tx, reviewed, owner=node.name))
    return reviewed


def _listed(source: Source, agency: AgencyId, limit: int, place: str) -> Iterator[tuple[str, BreakGlass]]:
    """The open notices by the day of their review, behind them the reviewed, newest number up."""
    under = f"{agency}/"
    if not place.startswith(_REVIEWED):
        waiting = ((_place_of(notice), notice) for notice in list_open(source, agency))
        yield from nsmallest(limit + 1, (each for each in waiting if each[0] > place), key=itemgetter(0))
    reviewed = under + place.removeprefix(_REVIEWED) if place.startswith(_REVIEWED) else ""
    for notice in NOTICES.each(source, under=under, after=reviewed, newest_first=True):
        if notice.finding is not Finding.OPEN:
            yield f"{_REVIEWED}{notice.case_id}", notice


def _place_of(notice: BreakGlass) -> str:
    return f"{notice.due.isoformat()}/{notice.case_id}"


def _state_of(node: Node, notice: BreakGlass) -> NoticeState:
    return NoticeState(notice=notice, overdue=is_overdue(notice, today=node.today()))
