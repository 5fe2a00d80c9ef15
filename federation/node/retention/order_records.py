"""Orders to erase as records of the store: ours with their receipts, and those that came before their message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from federation.domain.retention.erasure import ErasureOutcome, ReceiptItem
from federation.domain.rules.retention import PROVISION
from federation.protocol.canonical_json import JsonValue, decode_canonical, encode_canonical, read_integer, read_text
from federation.protocol.ids import (
    AgencyId,
    MessageId,
    NodeName,
    format_time,
    parse_agency_id,
    parse_message_id,
    parse_node_name,
    parse_time,
)
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, list_records, put_records

ORDER: Final = "erasure-order"
AHEAD: Final = "erasure-ahead"
_AHEAD_COUNT: Final = "erasure/ahead"
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order of ours, by its own statement's digest; what the receipt says once it came.

    `said_again`: it expired on its way, and another statement took its place.
    """

    digest: str
    message_id: MessageId
    message: str
    kind: str
    recipient: NodeName
    agency: AgencyId
    ordered: datetime
    due: datetime
    receipted: datetime | None = None
    outcome: ErasureOutcome | None = None
    leaf_index: int | None = None
    leaf_digest: str | None = None
    said_again: bool = False


def put_order(transaction: GroupTransaction, order: Order, *, owner: NodeName) -> None:
    """Stores an order, or that it was answered; kept as replicas are, in one row."""
    fields: dict[str, JsonValue] = {
        "message_id": order.message_id,
        "message": order.message,
        "kind": order.kind,
        "recipient": order.recipient,
        "agency": str(order.agency),
        "ordered": format_time(order.ordered),
        "due": format_time(order.due),
        "said_again": order.said_again,
    }
    if order.receipted is not None and order.outcome is not None:
        fields |= {"receipted": format_time(order.receipted), "outcome": order.outcome.value}
    if order.leaf_index is not None and order.leaf_digest is not None:
        fields |= {"leaf_index": order.leaf_index, "leaf_digest": order.leaf_digest}
    record = Record(
        id=order.digest,
        kind=ORDER,
        owner=owner,
        version=1 + order.said_again + 2 * (order.receipted is not None),
        replica=True,
        status="ordered" if order.receipted is None else "receipted",
        division=order.agency.county,
        due_date=order.due.date() if order.receipted is None else None,
        content=encode_canonical(fields),
        kept_under=PROVISION,
    )
    put_records(transaction, [record])


def find_order(source: Source, digest: str) -> Order | None:
    """The order of ours whose statement has that digest."""
    record = find_record(source, ORDER, digest, replica=True)
    return _read(record) if record is not None else None


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


def list_orders(source: Source) -> Sequence[Order]:
    """Every order of this province, newest first; of one that was said again, the last statement."""
    orders: list[Order] = []
    after = ""
    while found := list_records(source, ORDER, after_id=after, limit=_PAGE, replica=True):
        orders += [order for order in map(_read, found) if not order.said_again]
        after = found[-1].id
    return sorted(orders, key=lambda order: (order.ordered, order.digest), reverse=True)


def put_ahead(transaction: GroupTransaction, message: str, *, sender: NodeName) -> None:
    """Remembers that a message of that province which never came is to be destroyed when it does."""
    name = f"{sender}/{message}"
    record = Record(
        id=name, kind=AHEAD, owner=sender, version=1, replica=True, status="ordered", division="", content=b"{}",
        kept_under=PROVISION,
    )  # fmt: skip
    if put_records(transaction, [record]):
        transaction.count_up(_AHEAD_COUNT)


def is_ordered_ahead(transaction: GroupTransaction, message: str, *, sender: NodeName) -> bool:
    """Whether the sender of a message ordered it erased before it came; costs no look-up when none ever was."""
    if not transaction.find_counter(_AHEAD_COUNT):
        return False
    return find_record(transaction, AHEAD, f"{sender}/{message}", replica=True) is not None


def _read(record: Record) -> Order:
    value = decode_canonical(record.content, what=ORDER)
    return Order(
        digest=record.id,
        message_id=parse_message_id(read_text(value, "message_id", what=ORDER)),
        message=read_text(value, "message", what=ORDER),
        kind=read_text(value, "kind", what=ORDER),
        recipient=parse_node_name(read_text(value, "recipient", what=ORDER)),
        agency=parse_agency_id(read_text(value, "agency", what=ORDER)),
        said_again=value.get("said_again") is True,
        ordered=parse_time(read_text(value, "ordered", what=ORDER)),
        due=parse_time(read_text(value, "due", what=ORDER)),
        receipted=parse_time(read_text(value, "receipted", what=ORDER)) if "receipted" in value else None,
        outcome=ErasureOutcome(read_text(value, "outcome", what=ORDER)) if "outcome" in value else None,
        leaf_index=read_integer(value, "leaf_index", what=ORDER) if "leaf_index" in value else None,
        leaf_digest=read_text(value, "leaf_digest", what=ORDER) if "leaf_digest" in value else None,
    )
