"""Broken glass at a node: the notice in the transaction that opens the case, the leader's list, stream and review.

No such case opens without notice and flag, nor while one waits for its review; the leader named has a registered key
and reviews by it, and what they find unjustified ends with its handles. Source: misuse control M10.
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
    verify_break_glass_allowed,
)
from federation.node.exchange.errand import Errand, on, streaming
from federation.node.node import Node
from federation.node.officers import find_officer_key
from federation.node.oversight.flags import FLAGS, put_flags
from federation.node.oversight.readings import note_reading
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId, NodeName
from federation.store.collection import Collection, item_collection, page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency import oversight as wire
from federation.wire.agency.oversight import News, NoticePage, NoticeState
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
    """Returns the notice of a glass about to be broken. Refuses BREAK_GLASS_LEADER, BREAK_GLASS_LEADER_KEY."""
    notice, source = notice_of(case, errand.act.officer, calendar=errand.in_force.calendar), errand.node.database
    key = find_officer_key(source, errand.caller, notice.leader)
    if key is None:
        raise RuleError("BREAK_GLASS_LEADER_KEY", f"expected a leader of {errand.caller} with a registered key")
    if key == find_officer_key(source, errand.caller, notice.officer):
        raise RuleError("BREAK_GLASS_LEADER", "expected a leader with another key than the officer's own")
    return notice


def put_notice(transaction: GroupTransaction, notice: BreakGlass, *, owner: NodeName) -> None:
    """Stores the notice with its flag, in the transaction that opens the case. Refuses BREAK_GLASS_UNREVIEWED."""
    verify_break_glass_allowed(list_open(transaction, notice.agency))
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
    notices = tuple(state_of(errand.node, notice) for notice in page.values)
    return NoticePage(notices=notices, next_page_token=page.next_token)


@streaming(wire.WATCH_NOTICES)
async def watch_notices(errand: Errand, after: str) -> AsyncIterator[News]:
    """Yields the open notices (or those behind `after`), then notices and flags as they come, until the node stops."""
    await note_reading(errand, step=ReadingKind.WATCH, what=after)
    node, desk = errand.node, errand.caller
    source, seen = node.database, set[str]()
    start = FLAGS.place(source, str(desk), after) if after else FLAGS.count(source, str(desk))
    for notice in () if after else list_open(node.database, desk):
        seen.add(notice.case_id)
        yield News(token="", notice=state_of(node, notice))
    async for each in FLAGS.follow(errand, str(desk), after=start):
        raised, case_id = each.entry, each.entry.case_id
        if raised.kind is not FlagKind.BREAK_GLASS:
            yield News(token=each.token, flag=raised)
        elif case_id in seen:
            seen.discard(case_id)
        elif (known := NOTICES.find(node.database, f"{desk}/{case_id}")) is not None:
            yield News(token=each.token, notice=state_of(node, known))


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


def state_of(node: Node, notice: BreakGlass) -> NoticeState:
    return NoticeState(notice=notice, overdue=is_overdue(notice, today=node.today()))
