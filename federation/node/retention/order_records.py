"""Orders to erase as records of the store: ours with their receipts."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from federation.domain.erasure import ErasureOutcome, ReceiptItem
from federation.domain.retention import PROVISION
from federation.protocol.form import Count, Digest, Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, format_time
from federation.store.collection import Collection
from federation.store.database import Source
from federation.store.records import Record


class Order(Item, frozen=True, kw_only=True):
    """One order of ours, by its own statement's digest; what the receipt says once it came.

    `resent`: it expired on its way, and another statement took its place.
    """

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
    """An order, or that it was answered, with its line in the list."""
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
