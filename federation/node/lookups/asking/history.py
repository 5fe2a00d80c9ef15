"""What the officers of an agency asked, and what came of it."""

from __future__ import annotations

from federation.domain.lookup.asking import (
    Outcome,
    decode_answer_item,
)
from federation.node.lookups import records
from federation.node.lookups.kinds import SEARCH_KIND
from federation.node.node import Node
from federation.protocol.ids import (
    AgencyId,
)
from federation.protocol.leaf import Verdict, decode_leaf
from federation.store.messages import find_by_digest
from federation.store.outbox import find_outbox
from federation.wire.lookups.values import LookupLine, LookupPage, LookupQuery
from federation.wire.values import Act


async def list_lookups(node: Node, query: LookupQuery, *, caller: AgencyId, act: Act) -> LookupPage:
    """What the officers of this agency asked, newest first."""
    del act
    found = [asked for asked, _ in records.list_asked(node.database, caller)]
    wanted = [asked for asked in reversed(found) if query.case_id in (None, asked.case_id)]
    start = int(query.page_token) if query.page_token.isdigit() else 0
    page = wanted[start : start + query.page_size]
    lines = tuple(
        LookupLine(
            lookup_id=asked.lookup_id,
            time=asked.time,
            case_id=asked.case_id,
            node=asked.node,
            step=asked.step,
            outcome=outcome_of(node, asked),
        )
        for asked in page
    )
    rest = start + len(page) < len(wanted)
    return LookupPage(lines=lines, next_page_token=str(start + len(page)) if rest else "")


def outcome_of(node: Node, asked: records.Asked) -> Outcome | None:
    """What came of one question; None while its answer is awaited."""
    content = records.find_reply(node.database, asked.digest)
    if content is None:
        message = find_by_digest(node.database, "sent", asked.digest)
        row = find_outbox(node.database, message.id) if message is not None else None
        if row is not None and row.receipt_leaf is not None:
            return Outcome.REFUSED if decode_leaf(row.receipt_leaf).verdict is Verdict.REFUSED else None
        return Outcome.EXPIRED if row is not None and row.state == "expired" else None
    if asked.step == SEARCH_KIND:
        return Outcome.HIT if decode_answer_item(content).hit else Outcome.NO_HIT
    return Outcome.HIT
