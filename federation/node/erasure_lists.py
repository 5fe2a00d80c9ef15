"""Orders to erase that were given, how they are kept, and the lists of them and of what may be ordered.

An office sees the messages that it may order erased, and the orders of its county, nobody else's. An order is kept in
one row with its receipt, for as long as a record of provision is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from federation.domain.erasure import ErasureOutcome, ReceiptItem
from federation.domain.oversight import AUDIT_OFFICE
from federation.domain.retention import PROVISION, has_floor, kept_until
from federation.node.exchange.erase import sent_by_it
from federation.node.exchange.errand import Errand, on
from federation.node.node import InForce, Node
from federation.protocol.errors import CorruptError, UntrustedError
from federation.protocol.form import Count, Digest, Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, Pair, format_time
from federation.protocol.trust import find_party
from federation.store.collection import Collection
from federation.store.database import Source
from federation.store.messages import StoredMessage, has_body, list_messages
from federation.store.records import Record
from federation.wire.agency import erasure as wire
from federation.wire.agency.erasure import (
    ErasureLine,
    ErasurePage,
    ErasureQuery,
    ErasureState,
    SentMessage,
    SentPage,
    SentQuery,
)

MAX_LOOKED_AT: Final = 1000
"""So many messages one page of what was sent is looked for in."""
_AT_ONCE: Final = 100


class Order(Item, frozen=True, kw_only=True):
    """One order of ours, by its statement's digest, and its receipt. `resent`: it expired, another took its place."""

    WHAT = "erasure-order"

    digest: Digest | None = None
    message_id: MessageId
    message: Digest
    kind: str
    recipient: NodeName
    agency: AgencyId
    ordered: Time
    due: Time
    receipted: Time | None = None
    outcome: ErasureOutcome | None = None
    leaf_index: Count | None = None
    leaf_digest: Digest | None = None
    resent: bool = msgspec.field(default_factory=lambda: False, name="said_again")


ORDERS: Final[Collection[Order]] = Collection(
    kind="erasure-order",
    encode=lambda order: encode(replace(order, digest=None)),
    decode=lambda record: replace(decode(Order, record.content), digest=record.id),
    id=lambda order: order.digest or "",
    replica=True,
    version=lambda order: 1 + order.resent + 2 * (order.receipted is not None),
    status=lambda order: "ordered" if order.receipted is None else "receipted",
    division=lambda order: order.agency.county,
    due=lambda order: order.due.date() if order.receipted is None else None,
    subject=lambda order: order.message,
    kept_under=PROVISION,
)
"""Kept under the digest of the order's statement, in one row; found by the digest of the message to erase, too."""

ORDER_LINES: Final[Collection[str]] = Collection(
    kind="erasure-order-line",
    encode=lambda _: b"",
    decode=lambda record: record.id.rpartition("/")[2],
    id=lambda line: line,
    replica=True,
    kept_under=PROVISION,
)
"""The digests of the orders, in the order of their times."""


def order_records(order: Order, *, owner: NodeName) -> tuple[Record, ...]:
    record = ORDERS.record(order, owner=owner)
    if order.receipted is not None or order.resent:
        return (record,)
    return (record, ORDER_LINES.record(f"{format_time(order.ordered)}/{order.digest}", owner=owner))


def answered(order: Order, receipt: ReceiptItem, *, now: datetime) -> Order:
    """The order with its receipt; the first one counts."""
    if order.receipted is not None:
        return order
    held = receipt.outcome is ErasureOutcome.ERASED
    return replace(
        order,
        receipted=now,
        outcome=receipt.outcome,
        leaf_index=receipt.index if held else None,
        leaf_digest=receipt.leaf_digest,
    )


def newest_of(source: Source, order: Order) -> Order:
    """The order itself, or the one that took its place when it was sent again."""
    if not order.resent:
        return order
    return next((each for each in ORDERS.by_subject(source, order.message) if not each.resent), order)


def load_order(source: Source, digest: str) -> Order:
    order = ORDERS.find(source, digest)
    if order is None:
        raise CorruptError("ERASURE_RECORD", "expected the order that a line of the list names")
    return order


def hands_over_record(node: Node, message: StoredMessage) -> bool:
    kind = node.kinds.get(message.kind)
    return kind is not None and kind.erasable_by is not None


def may_order(node: Node, message: StoredMessage, office: AgencyId) -> bool:
    """True for the office whose record the message handed over; of what hands over none, for the one that sent it."""
    kind = node.kinds.get(message.kind)
    erasable_by = (kind.erasable_by if kind is not None else None) or sent_by_it
    return erasable_by(node.database, office, message)


def is_under_floor(node: Node, in_force: InForce, message: StoredMessage) -> bool:
    """True for a record of provision that must still be kept, and for a message of an unknown kind."""
    kind, rules = node.kinds.get(message.kind), in_force.retention
    rule_id = kind.keep if kind is not None else PROVISION
    return has_floor(rules, rule_id) and node.now() < kept_until(rules, rule_id, message.created)


def line_of(order: Order, *, now: datetime) -> ErasureLine:
    if order.receipted is not None:
        state = ErasureState.RECEIPTED
    else:
        state = ErasureState.OVERDUE if now > order.due else ErasureState.ORDERED
    return ErasureLine(
        message_id=order.message_id,
        message_digest=order.message,
        kind=order.kind,
        recipient=order.recipient,
        state=state,
        ordered=order.ordered,
        due=order.due,
        order_digest=order.digest or "",
        receipted=order.receipted,
        was_held=order.outcome is ErasureOutcome.ERASED,
        leaf_index=order.leaf_index,
        leaf_digest=order.leaf_digest,
    )


@on(wire.LIST_SENT)
async def list_sent(errand: Errand, query: SentQuery) -> SentPage:
    """Lists what the office may order erased of what was sent to a province, by number. Refuses NOT_A_MEMBER."""
    node, after, messages = errand.node, query.after_seq, list[SentMessage]()
    if find_party(errand.in_force.agreement, query.recipient) is None:
        raise UntrustedError("NOT_A_MEMBER", f"the agreement names no node {query.recipient!r:.40}")
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
