"""The lists of erasure: the messages that an office may order erased, and the orders of its county, nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from federation.domain.oversight import AUDIT_OFFICE
from federation.node.erasure import ORDER_LINES, hands_over_record, line_of, load_order, may_order
from federation.node.exchange.errand import Errand, on
from federation.node.node import Node
from federation.protocol.ids import Pair
from federation.store.messages import StoredMessage, has_body, list_messages
from federation.wire.agency import erasure as wire
from federation.wire.agency.erasure import ErasurePage, ErasureQuery, SentMessage, SentPage, SentQuery

MAX_LOOKED_AT: Final = 1000
"""So many messages one page of what was sent is looked for in."""
_AT_ONCE: Final = 100


@on(wire.LIST_SENT)
async def list_sent(errand: Errand, query: SentQuery) -> SentPage:
    """Lists what the office may order erased of what was sent to a province, by number. Refuses NOT_A_MEMBER."""
    node, after, messages = errand.node, query.after_seq, list[SentMessage]()
    errand.in_force.member(query.recipient)
    pair = Pair(node.name, query.recipient)
    for looked_at, message in enumerate(_each_sent(node, pair, after)):
        if len(messages) == query.page_size or looked_at == MAX_LOOKED_AT:
            return SentPage(messages=tuple(messages), next_after_seq=after)
        after = message.seq
        if hands_over_record(node, message) and may_order(node, message, errand.caller):
            held = has_body(node.database, message.id)
            messages.append(
                SentMessage(
                    message_id=message.id, seq=message.seq, kind=message.kind, created=message.created, is_held=held
                )
            )
    return SentPage(messages=tuple(messages))


def _each_sent(node: Node, pair: Pair, after: int) -> Iterator[StoredMessage]:
    while found := list_messages(node.database, "sent", pair=pair, after_seq=after, limit=_AT_ONCE):
        yield from found
        after = found[-1].seq


@on(wire.LIST_ERASURES)
async def list_erasures(errand: Errand, query: ErasureQuery) -> ErasurePage:
    """The orders of the caller's county, of all for an audit office, newest first; of one sent again, the last.

    Refuses PAGE_TOKEN.
    """
    node, caller = errand.node, errand.caller

    def wanted(digest: str) -> bool:
        order = load_order(node.database, digest)
        return not order.resent and (caller.kind == AUDIT_OFFICE or order.agency.county == caller.county)

    page = ORDER_LINES.page(
        node.database, limit=query.page_size, token=query.page_token, newest_first=True, wanted=wanted
    )
    lines = tuple(line_of(load_order(node.database, digest), now=node.now()) for digest in page.values)
    return ErasurePage(lines=lines, next_page_token=page.next_token)
