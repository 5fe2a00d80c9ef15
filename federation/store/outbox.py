"""The outbox: what is on its way to each peer, and the receipt that ended it.

Rules kept: a message is queued in the transaction that logged it, and leaves the queue only settled (with its receipt),
expired or rejected; a receipt is never overwritten, and one that comes after expiry still settles.
Trusts: the caller to have verified a receipt. Source: DESIGN section 3 (delivery).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import bindparam, func, or_, select, update

from federation.protocol.body import Body
from federation.protocol.errors import ConflictError
from federation.protocol.ids import MessageId, NodeName
from federation.protocol.receipt import Receipt
from federation.store.database import NewRow, Source, StoredRow
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import open_body
from federation.store.tables import BODY_KEY, MESSAGE, MESSAGE_BODY, OUTBOX, from_millis, to_millis

OutboxState: TypeAlias = Literal["pending", "settled", "expired", "rejected"]
"""Where a message is: on its way, receipted, too old to send, or refused by the peer as malformed or in conflict."""

_MAX_ERROR = 500

_PENDING = (
    select(
        OUTBOX.c.message_id,
        OUTBOX.c.seq,
        (func.length(MESSAGE.c.envelope) + func.coalesce(func.length(MESSAGE_BODY.c.content), 0)).label("size_bytes"),
    )
    .join(MESSAGE, (MESSAGE.c.id == OUTBOX.c.message_id) & (MESSAGE.c.direction == "sent"))
    .outerjoin(MESSAGE_BODY, MESSAGE_BODY.c.message_id == OUTBOX.c.message_id)
    .where(OUTBOX.c.state == "pending", OUTBOX.c.peer == bindparam("to_peer"), OUTBOX.c.seq > bindparam("after"))
    .order_by(OUTBOX.c.seq)
    .limit(bindparam("most"))
)
_CONTENT = (
    select(
        OUTBOX.c.message_id,
        OUTBOX.c.seq,
        OUTBOX.c.expires_millis,
        MESSAGE.c.digest,
        MESSAGE.c.envelope,
        MESSAGE_BODY.c.content,
        BODY_KEY.c.sealed_key,
    )
    .join(MESSAGE, (MESSAGE.c.id == OUTBOX.c.message_id) & (MESSAGE.c.direction == "sent"))
    .outerjoin(MESSAGE_BODY, MESSAGE_BODY.c.message_id == OUTBOX.c.message_id)
    .outerjoin(BODY_KEY, BODY_KEY.c.message_id == OUTBOX.c.message_id)
    .where(
        OUTBOX.c.state == "pending",
        OUTBOX.c.peer == bindparam("to_peer"),
        OUTBOX.c.seq > bindparam("after"),
        OUTBOX.c.seq <= bindparam("last"),
    )
    .order_by(OUTBOX.c.seq)
)
_EXPIRED = (
    select(OUTBOX.c.message_id)
    .join(MESSAGE, (MESSAGE.c.id == OUTBOX.c.message_id) & (MESSAGE.c.direction == "sent"))
    .where(OUTBOX.c.state == "expired", MESSAGE.c.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(OUTBOX.c.peer, OUTBOX.c.seq)
)
_COUNT = select(OUTBOX.c.peer, func.count()).where(OUTBOX.c.state == "pending").group_by(OUTBOX.c.peer)
_OF_MESSAGE = OUTBOX.c.message_id == bindparam("of_message")
_SETTLE = (
    update(OUTBOX)
    .where(_OF_MESSAGE, or_(OUTBOX.c.state == "pending", OUTBOX.c.state == "expired"))
    .values(state="settled", receipt_leaf=bindparam("leaf"), receipt_proof=bindparam("proof"), last_error=None)
)
_END = (
    update(OUTBOX)
    .where(_OF_MESSAGE, OUTBOX.c.state == "pending")
    .values(state=bindparam("new_state"), last_error=bindparam("error"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """The state of one message on its way; the receipt is there when it is settled."""

    message_id: MessageId
    peer: NodeName
    seq: int
    state: OutboxState
    receipt_leaf: bytes | None
    receipt_proof: bytes | None
    last_error: str | None
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingMessage:
    """All that delivery needs of one message; the body is None when it has none."""

    id: MessageId
    seq: int
    digest: str
    envelope: bytes
    body: Body | None
    expires: datetime


def put_outbox(
    transaction: GroupTransaction, *, message_id: MessageId, peer: NodeName, seq: int, expires: datetime
) -> None:
    """Queues a message for a peer.

    Raises:
        ConflictError: MESSAGE_ID_REUSED when it is queued already.
    """
    if transaction.careful and transaction.find_row(OUTBOX, message_id) is not None:
        raise ConflictError("MESSAGE_ID_REUSED", f"message {message_id} was queued before")
    row: NewRow = {
        "message_id": message_id,
        "peer": peer,
        "seq": seq,
        "state": "pending",
        "attempts": 0,
        "expires_millis": to_millis(expires),
        "last_error": None,
        "receipt_leaf": None,
        "receipt_proof": None,
    }
    transaction.insert_row(OUTBOX, (message_id,), row)


def load_pending(source: Source, peer: NodeName, *, after_seq: int, limit: int, max_bytes: int) -> list[PendingMessage]:
    """The messages waiting for a peer with numbers above `after_seq`, in order.

    At most `limit`, and together at most about `max_bytes` of envelopes and bodies; the first always comes, however
    large it is, so that it can not block the queue.

    Raises:
        CorruptError: SEALED_VALUE when a body can not be opened.
    """
    names = {"to_peer": peer, "after": after_seq}
    with source.reading() as connection:
        last = total = 0
        for row in connection.execute(_PENDING, {**names, "most": limit}):
            total += row.size_bytes
            if last and total > max_bytes:
                break
            last = row.seq
        rows = connection.execute(_CONTENT, {**names, "last": last}).mappings().all() if last else []
    return [_pending_from_row(row, source) for row in rows]


def settle_outbox(transaction: GroupTransaction, receipts: Sequence[tuple[MessageId, Receipt]]) -> None:
    """Takes receipted messages off the queue, an expired one too; what is settled or rejected stays as it is."""
    rows = [
        {"of_message": message_id, "leaf": receipt.leaf, "proof": receipt.proof} for message_id, receipt in receipts
    ]
    if rows:
        transaction.change_rows(_SETTLE, *rows)


def reject_outbox(transaction: GroupTransaction, message_id: MessageId, reason: str) -> None:
    """Takes a message off the queue that the peer will never judge; only while it is pending."""
    row = {"of_message": message_id, "new_state": "rejected", "error": reason[:_MAX_ERROR]}
    transaction.change_rows(_END, row)


def expire_outbox(transaction: GroupTransaction, message_id: MessageId) -> None:
    """Takes a message off the queue that is too old to send; only while it is pending."""
    transaction.change_rows(_END, {"of_message": message_id, "new_state": "expired", "error": None})


def find_outbox(source: Source, message_id: MessageId) -> OutboxRow | None:
    """The outbox row of a message, None when it was never queued here."""
    row = source.find_row(OUTBOX, message_id)
    return None if row is None else _from_row(row)


def find_outbox_state(source: Source, message_id: MessageId) -> OutboxState | None:
    """The state of a message on its way, None when it was never queued here."""
    row = find_outbox(source, message_id)
    return None if row is None else row.state


def count_pending(source: Source) -> Mapping[NodeName, int]:
    """How many messages wait for each peer; a peer without any is left out."""
    with source.reading() as connection:
        return {NodeName(peer): count for peer, count in connection.execute(_COUNT)}


def list_expired(source: Source, kinds: Sequence[str]) -> list[MessageId]:
    """The messages of those kinds that expired before their peer receipted them, in order, peer by peer."""
    with source.reading() as connection:
        found = connection.execute(_EXPIRED, {"kinds": list(kinds)}).scalars()
        return [MessageId(message_id) for message_id in found]


def _pending_from_row(row: StoredRow, source: Source) -> PendingMessage:
    content, message_id = row["content"], row["message_id"]
    return PendingMessage(
        id=MessageId(message_id),
        seq=row["seq"],
        digest=row["digest"],
        envelope=row["envelope"],
        body=None if content is None else open_body(source.keys, message_id, content, sealed_key=row["sealed_key"]),
        expires=from_millis(row["expires_millis"]),
    )


def _from_row(row: StoredRow) -> OutboxRow:
    return OutboxRow(
        message_id=MessageId(row["message_id"]),
        peer=NodeName(row["peer"]),
        seq=row["seq"],
        state=row["state"],
        receipt_leaf=row["receipt_leaf"],
        receipt_proof=row["receipt_proof"],
        last_error=row["last_error"],
        expires=from_millis(row["expires_millis"]),
    )
