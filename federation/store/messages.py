"""Messages sent and received, exactly as they were, the bodies that they handed over, and what is on its way to whom.

Rules kept: one row for each (direction, id) and for each (direction, pair, number); the envelope is stored as its very
bytes; a body is one sealed value, salt and items together, under a random key of its own, which lies in another file:
erasing destroys all three, and no copy of the sealed value opens any more; replies are sealed. How many messages
of a pair there are and how far they go is counted as they come, not by reading them all. A message is queued in the
transaction that logged it, and leaves the queue only settled (with its receipt), rejected, or when its time is over; a
receipt is never overwritten, and one that comes after expiry still settles. What must arrive however late is asked
about after its time (`unheard`) until the peer has answered that it never had it (`missed`).
Trusts: the callers' checks, also of receipts; nothing here judges a message. Source: DESIGN sections 3, 4 and 6.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, or_, select, update

from federation.protocol.body import Body, Handed, pack_body, unpack_body
from federation.protocol.errors import BridgeheadError, ConflictError, CorruptError, NotFoundError, UnavailableError
from federation.protocol.ids import MessageId, NodeName, Pair
from federation.protocol.receipt import Receipt
from federation.store.columns import DataKeys, from_millis, seal, seal_apart, to_millis, unseal, unseal_apart
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import encode_subject
from federation.store.prepared import NewRow, StoredRow, change_rows, read_first, read_rows, read_value, spelled
from federation.store.tables import LOG_LEAF, MESSAGE, MESSAGE_BODY, OUTBOX

Direction: TypeAlias = Literal["sent", "received"]
_BODY_COLUMN = "message_body.content"
_REPLY_COLUMN = "message.reply"

_OF_PAIR = select(MESSAGE).where(MESSAGE.c.direction == bindparam("direction"), MESSAGE.c.pair == bindparam("of_pair"))
_BY_SEQ = _OF_PAIR.where(MESSAGE.c.seq == bindparam("at_seq"))
_AFTER = _OF_PAIR.where(MESSAGE.c.seq > bindparam("after")).order_by(MESSAGE.c.seq).limit(bindparam("most"))
# By its leaf alone, and the direction is looked at here: given the direction too, SQLite walks all of that direction.
_BY_LEAF = select(MESSAGE).where(MESSAGE.c.leaf_index == bindparam("at_leaf"))
_BY_SUBJECT = (
    select(MESSAGE)
    .join(LOG_LEAF, LOG_LEAF.c.leaf_index == MESSAGE.c.leaf_index)
    .where(LOG_LEAF.c.subject == bindparam("subject"))
)
# In the order of their leaves, so that a reader goes on where it stopped; whether a body is left is looked up for each.
_KEY_ID = select(MESSAGE_BODY.c.key_id).where(MESSAGE_BODY.c.message_id == bindparam("of_message"))
_ERASE = delete(MESSAGE_BODY).where(MESSAGE_BODY.c.message_id == bindparam("of_message"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """`digest` is the statement's, in hex, and the subject of its leaf; `reply` is what answered it, if bytes did."""

    id: MessageId
    digest: str
    direction: Direction
    pair: Pair
    seq: int
    kind: str
    verdict: str
    leaf_index: int
    envelope: bytes
    reply: bytes | None
    created: datetime


@dataclass(frozen=True, slots=True)
class PairState:
    """The number of stored messages of an ordered pair, and the highest sequence number; equal means no gap."""

    count: int
    highest: int


def put_message(transaction: GroupTransaction, message: StoredMessage) -> None:
    """Stores a message. Raises ConflictError MESSAGE_ID_REUSED, SEQUENCE_REUSED."""
    direction, pair = message.direction, str(message.pair)
    if transaction.careful:
        if transaction.find_row(MESSAGE, direction, message.id) is not None:
            raise ConflictError("MESSAGE_ID_REUSED", f"expected a new id, got {message.id}", seq=message.seq)
        if find_by_seq(transaction, direction, message.pair, seq=message.seq) is not None:
            raise ConflictError("SEQUENCE_REUSED", f"number {message.seq} of {pair} is another message's", pair=pair)
    transaction.claim("message", direction, pair, message.seq)
    transaction.insert_row(MESSAGE, (direction, message.id), _to_row(message, transaction.keys))
    count, highest = _tally_names(direction, message.pair)
    transaction.count_up(count)
    if transaction.find_counter(highest) < message.seq:
        transaction.set_counter(highest, message.seq)


def find_message(source: Source, direction: Direction, message_id: MessageId) -> StoredMessage | None:
    row = source.find_row(MESSAGE, direction, message_id)
    return None if row is None else _from_row(row, source.keys)


def load_message(source: Source, direction: Direction, message_id: MessageId) -> StoredMessage:
    """The message with that id. Raises NotFoundError: MESSAGE_UNKNOWN when there is none."""
    message = find_message(source, direction, message_id)
    if message is None:
        raise NotFoundError("MESSAGE_UNKNOWN", f"no message {message_id} was {direction} here")
    return message


def find_by_seq(source: Source, direction: Direction, pair: Pair, *, seq: int) -> StoredMessage | None:
    return _find(source, _BY_SEQ, {"direction": direction, "of_pair": str(pair), "at_seq": seq})


def find_by_leaf(source: Source, direction: Direction, leaf_index: int) -> StoredMessage | None:
    found = _find(source, _BY_LEAF, {"at_leaf": leaf_index})
    return found if found is not None and found.direction == direction else None


def find_by_digest(source: Source, direction: Direction, digest: str) -> StoredMessage | None:
    """The message whose statement has that digest (hex), found through its leaf; None without one (LEAF_SUBJECT)."""
    with source.reading() as connection:
        rows = read_rows(connection, _BY_SUBJECT, {"subject": encode_subject(digest)})
    found = (row for row in rows if row["direction"] == direction and row["digest"] == digest)
    row = next(found, None)
    return None if row is None else _from_row(row, source.keys)


def list_messages(
    source: Source, direction: Direction, *, pair: Pair, after_seq: int, limit: int, kinds: Collection[str] = ()
) -> list[StoredMessage]:
    """The messages of an ordered pair above `after_seq`, in order, at most `limit`, of all kinds or of those named."""
    names = {"direction": direction, "of_pair": str(pair), "after": after_seq, "most": limit}
    statement = _AFTER.where(MESSAGE.c.kind.in_(sorted(kinds))) if kinds else _AFTER
    with source.reading() as connection:
        return [_from_row(row, source.keys) for row in connection.execute(statement, names).mappings()]


def pair_state(source: Source, direction: Direction, pair: Pair) -> PairState:
    count, highest = (source.find_counter(name) for name in _tally_names(direction, pair))
    return PairState(count, highest)


def put_body(transaction: GroupTransaction, message_id: MessageId, body: Handed) -> None:
    """Stores what a message handed over, sealed as one value under a key of its own (MESSAGE_ID_REUSED)."""
    if transaction.careful and transaction.find_row(MESSAGE_BODY, message_id) is not None:
        raise ConflictError("MESSAGE_ID_REUSED", f"the body of message {message_id} is already stored")
    key_id, key = transaction.take_body_key()
    content = seal_apart(key, _BODY_COLUMN, pack_body(body), row_key=message_id)
    row = {"message_id": message_id, "key_id": key_id, "content": content}
    transaction.insert_row(MESSAGE_BODY, (message_id,), row)


def load_body(source: Source, message_id: MessageId) -> Body:
    """The body of a message, salt included. Raises NotFoundError BODY; CorruptError BODY_KEY_MISSING, SEALED_VALUE."""
    body = find_body(source, message_id)
    if body is None:
        raise NotFoundError("BODY", f"message {message_id} has no body, or it was erased")
    return body


def find_body(source: Source, message_id: MessageId) -> Body | None:
    """The whole body of a message, salt included; None when it had none or it was erased (as `find_handed`)."""
    handed = find_handed(source, message_id)
    if handed is None or isinstance(handed, Body):
        return handed
    raise CorruptError("BODY_FORM", f"expected message {message_id} to have handed over a whole body")


def find_handed(source: Source, message_id: MessageId) -> Handed | None:
    """The body of a message as it was handed over, whole or in part (BODY_KEY_MISSING, SEALED_VALUE, BODY_FORM)."""
    row = source.find_row(MESSAGE_BODY, message_id)
    return None if row is None else _open_body(source, row, source.body_keys.find([row["key_id"]]))


def has_body(source: Source, message_id: MessageId) -> bool:
    """True while a body is there, even one that can not be read."""
    return _find_key_id(source, message_id) is not None


def erase_body(transaction: GroupTransaction, message_id: MessageId) -> bool:
    """Deletes a body and its salt for good, and has its key destroyed after the commit; says whether there was one.

    SQLite overwrites the deleted bytes in its file, and `Database.scrub` takes the key out of the other file and
    empties the logs of recent writes (WAL) of both: an older copy of the database opens with nothing that is left.
    """
    key_id = _find_key_id(transaction, message_id)
    if key_id is None:
        return False
    with transaction.reading() as connection:
        change_rows(connection, _ERASE, [{"of_message": message_id}])
    transaction.note_erased(key_id)
    return True


def _find_key_id(source: Source, message_id: MessageId) -> int | None:
    with source.reading_rows(MESSAGE_BODY, lambda key: key[0] == message_id) as connection:
        key_id: int | None = read_value(connection, _KEY_ID, {"of_message": message_id})
    return key_id


def _open_body(source: Source, row: StoredRow, keys: Mapping[int, bytes]) -> Handed | None:
    """A sealed body, opened; None where there is none, or was one a moment ago (BODY_KEY_MISSING, SEALED_VALUE)."""
    message_id, key = MessageId(row["message_id"]), keys.get(row["key_id"])
    if key is None:
        if row["content"] is None or not has_body(source, message_id):
            return None
        raise CorruptError("BODY_KEY_MISSING", f"the body of message {message_id} can not be read: its key is gone")
    return open_body(key, message_id, row["content"])


def open_body(key: bytes, message_id: str, content: bytes) -> Handed:
    """Opens a sealed body with its key (SEALED_VALUE, BODY_FORM)."""
    return unpack_body(unseal_apart(key, _BODY_COLUMN, content, row_key=message_id))


def _find(source: Source, statement: Select[Any], names: NewRow) -> StoredMessage | None:
    with source.reading() as connection:
        row = read_first(connection, statement, names)
    return None if row is None else _from_row(row, source.keys)


def _tally_names(direction: Direction, pair: Pair) -> tuple[str, str]:
    return f"count/{direction}/{pair}", f"highest/{direction}/{pair}"


def _to_row(message: StoredMessage, keys: DataKeys) -> NewRow:
    reply = message.reply
    if reply is not None:
        reply = seal(keys, _REPLY_COLUMN, reply, row_key=f"{message.direction}/{message.id}")
    return {
        "direction": message.direction,
        "id": message.id,
        "digest": message.digest,
        "pair": str(message.pair),
        "seq": message.seq,
        "kind": message.kind,
        "verdict": message.verdict,
        "leaf_index": message.leaf_index,
        "created_millis": to_millis(message.created),
        "envelope": message.envelope,
        "reply": reply,
    }


def _from_row(row: StoredRow, keys: DataKeys) -> StoredMessage:
    sender, _, recipient = row["pair"].partition(">")
    reply = row["reply"]
    if reply is not None:
        reply = unseal(keys, _REPLY_COLUMN, reply, row_key=f"{row['direction']}/{row['id']}")
    return StoredMessage(
        id=MessageId(row["id"]),
        digest=row["digest"],
        direction=row["direction"],
        pair=Pair(NodeName(sender), NodeName(recipient)),
        seq=row["seq"],
        kind=row["kind"],
        verdict=row["verdict"],
        leaf_index=row["leaf_index"],
        envelope=row["envelope"],
        reply=reply,
        created=from_millis(row["created_millis"]),
    )


OutboxState: TypeAlias = Literal["pending", "settled", "unheard", "missed", "expired", "rejected"]
"""Where a message is: on its way, receipted, too old to send, or refused by the peer as malformed or in conflict.

`unheard` is too old and must be said anew, once the peer has answered whether it had it; `missed`: it never had.
"""

_MAX_ERROR = 500
_AT_ONCE = 200
_EVER = 2**62  # later than any time in milliseconds

_PENDING = (
    select(
        OUTBOX.c.message_id,
        OUTBOX.c.seq,
        (func.length(MESSAGE.c.envelope) + func.coalesce(func.length(MESSAGE_BODY.c.content), 0)).label("size_bytes"),
    )
    .join(MESSAGE, (MESSAGE.c.id == OUTBOX.c.message_id) & (MESSAGE.c.direction == "sent"))
    .outerjoin(MESSAGE_BODY, MESSAGE_BODY.c.message_id == OUTBOX.c.message_id)
    .where(
        OUTBOX.c.state == bindparam("in_state"),
        OUTBOX.c.peer == bindparam("to_peer"),
        OUTBOX.c.seq > bindparam("after"),
        OUTBOX.c.expires_millis < bindparam("until"),
    )
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
        MESSAGE_BODY.c.key_id,
        MESSAGE_BODY.c.content,
    )
    .join(MESSAGE, (MESSAGE.c.id == OUTBOX.c.message_id) & (MESSAGE.c.direction == "sent"))
    .outerjoin(MESSAGE_BODY, MESSAGE_BODY.c.message_id == OUTBOX.c.message_id)
    .where(
        OUTBOX.c.state == bindparam("in_state"),
        OUTBOX.c.peer == bindparam("to_peer"),
        OUTBOX.c.seq > bindparam("after"),
        OUTBOX.c.seq <= bindparam("last"),
        OUTBOX.c.expires_millis < bindparam("until"),
    )
    .order_by(OUTBOX.c.seq)
)
_IN_STATE = (
    select(OUTBOX.c.message_id, OUTBOX.c.seq)
    .where(
        OUTBOX.c.state == bindparam("in_state"),
        OUTBOX.c.peer == bindparam("to_peer"),
        OUTBOX.c.seq > bindparam("after"),
    )
    .order_by(OUTBOX.c.seq)
    .limit(bindparam("most"))
)
_NEXT_PEER = select(func.min(OUTBOX.c.peer)).where(
    OUTBOX.c.state == bindparam("in_state"), OUTBOX.c.peer > bindparam("after")
)
_COUNT = (
    select(OUTBOX.c.peer, func.count())
    .where(OUTBOX.c.state.in_(bindparam("in_states", expanding=True)))
    .group_by(OUTBOX.c.peer)
)
_UNHEARD: tuple[OutboxState, ...] = ("unheard", "missed")
_FIRST = (
    select(OUTBOX.c.peer, func.min(OUTBOX.c.seq).label("seq"))
    .where(OUTBOX.c.state == "pending")
    .group_by(OUTBOX.c.peer)
    .subquery()
)
_OLDEST = (
    select(OUTBOX.c.peer, MESSAGE.c.created_millis)
    .join(_FIRST, (OUTBOX.c.peer == _FIRST.c.peer) & (OUTBOX.c.seq == _FIRST.c.seq))
    .join(MESSAGE, (MESSAGE.c.id == OUTBOX.c.message_id) & (MESSAGE.c.direction == "sent"))
    .where(OUTBOX.c.state == "pending")
)


def _is_one_of(*states: OutboxState) -> ColumnElement[bool]:
    return or_(*(OUTBOX.c.state == state for state in states))  # a list of values can not be executed for many rows


_OF_MESSAGE = OUTBOX.c.message_id == bindparam("of_message")
_SETTLE = (
    update(OUTBOX)
    .where(_OF_MESSAGE, _is_one_of("pending", "expired", *_UNHEARD))
    .values(state="settled", receipt_leaf=bindparam("leaf"), receipt_proof=bindparam("proof"), last_error=None)
)
_END = (
    update(OUTBOX)
    .where(_OF_MESSAGE, _is_one_of("pending", *_UNHEARD))
    .values(state=bindparam("new_state"), last_error=bindparam("error"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
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
    """A message to send; one with a `fault` has a body that can not be read, and is not to be sent."""

    id: MessageId
    seq: int
    digest: str
    envelope: bytes
    body: Handed | None
    expires: datetime
    is_unheard: bool = False
    fault: str = ""


def put_outbox(
    transaction: GroupTransaction, *, message_id: MessageId, peer: NodeName, seq: int, expires: datetime
) -> None:
    """Queues a message for a peer. Raises ConflictError: MESSAGE_ID_REUSED when it is queued already."""
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
    large it is, so that it can not block the queue, and one that can not be read comes with its fault.
    """
    names = {"in_state": "pending", "to_peer": peer, "after": after_seq, "until": _EVER}
    return _load_queued(source, names, limit=limit, max_bytes=max_bytes)


def load_unheard(
    source: Source, peer: NodeName, *, expired_before: datetime, after_seq: int, limit: int, max_bytes: int
) -> list[PendingMessage]:
    """The messages to a peer that expired before then and must be said anew unless it had them; as `load_pending`."""
    names = {"in_state": "unheard", "to_peer": peer, "after": after_seq, "until": to_millis(expired_before)}
    return _load_queued(source, names, limit=limit, max_bytes=max_bytes)


def _load_queued(source: Source, names: NewRow, *, limit: int, max_bytes: int) -> list[PendingMessage]:
    with source.reading() as connection, spelled(connection):
        last = total = 0
        for row in read_rows(connection, _PENDING, {**names, "most": limit}):
            total += row["size_bytes"]
            if last and total > max_bytes:
                break
            last = row["seq"]
        rows = read_rows(connection, _CONTENT, {**names, "last": last}) if last else []
    is_unheard = names["in_state"] == "unheard"
    ids = [row["key_id"] for row in rows if row["content"] is not None]
    keys = source.body_keys.find(ids) if ids else {}
    return [_pending_from_row(row, source, keys, is_unheard=is_unheard) for row in rows]


def settle_outbox(transaction: GroupTransaction, receipts: Sequence[tuple[MessageId, Receipt]]) -> None:
    """Takes receipted messages off the queue, an expired one too; what is settled or rejected stays as it is."""
    rows = [
        ((message_id,), {"of_message": message_id, "leaf": receipt.leaf, "proof": receipt.proof})
        for message_id, receipt in receipts
    ]
    if rows:
        transaction.change_rows(_SETTLE, OUTBOX, rows)


def reject_outbox(transaction: GroupTransaction, message_id: MessageId, reason: str) -> None:
    """Takes a message off the queue that the peer will never judge; only while it has not ended."""
    row = {"of_message": message_id, "new_state": "rejected", "error": reason[:_MAX_ERROR]}
    transaction.change_rows(_END, OUTBOX, [((message_id,), row)])


def expire_outbox(transaction: GroupTransaction, message_id: MessageId, *, state: OutboxState = "expired") -> None:
    """Takes a message off the queue that is too old to send; only while it has not ended.

    `unheard`: it must be said anew unless the peer had it; `missed`: the peer answered that it never had it.
    """
    row = {"of_message": message_id, "new_state": state, "error": None}
    transaction.change_rows(_END, OUTBOX, [((message_id,), row)])


def find_outbox(source: Source, message_id: MessageId) -> OutboxRow | None:
    row = source.find_row(OUTBOX, message_id)
    return None if row is None else _outbox_from_row(row)


def find_outbox_state(source: Source, message_id: MessageId) -> OutboxState | None:
    row = find_outbox(source, message_id)
    return None if row is None else row.state


def count_pending(source: Source) -> Mapping[NodeName, int]:
    """Returns how many messages wait for each peer; a peer without any is left out."""
    return _count(source, ("pending",))


def count_unheard(source: Source) -> Mapping[NodeName, int]:
    """Returns how many messages to each peer expired and must be said anew; a peer without any is left out."""
    return _count(source, _UNHEARD)


def _count(source: Source, states: Sequence[OutboxState]) -> Mapping[NodeName, int]:
    with source.reading() as connection, spelled(connection):
        return {NodeName(peer): count for peer, count in connection.execute(_COUNT, {"in_states": states})}


def count_expired(source: Source) -> Mapping[NodeName, int]:
    """Counts the messages of each peer that expired before it receipted them, said anew since or not."""
    return _count(source, ("expired", *_UNHEARD))


def oldest_pending(source: Source) -> Mapping[NodeName, datetime]:
    """Returns when the longest waiting message of each peer was written; a peer without any is left out."""
    with source.reading() as connection, spelled(connection):
        rows = read_rows(connection, _OLDEST)
        read = [row for row in rows if isinstance(row["created_millis"], int)]  # another type is no time
        return {NodeName(row["peer"]): from_millis(row["created_millis"]) for row in read}


def each_queued(source: Source, state: OutboxState, *, to: Callable[[NodeName], bool]) -> Iterator[MessageId]:
    """The messages in that state to those peers, in order, peer by peer; of the others nothing is read."""
    peer = ""
    while True:
        with source.reading() as connection, spelled(connection):
            peer = connection.execute(_NEXT_PEER, {"in_state": state, "after": peer}).scalar() or ""
        if not peer:
            return
        after = 0 if to(NodeName(peer)) else None
        while after is not None:
            names = {"in_state": state, "to_peer": peer, "after": after, "most": _AT_ONCE}
            with source.reading() as connection, spelled(connection):
                rows = read_rows(connection, _IN_STATE, names)
            yield from (MessageId(row["message_id"]) for row in rows)
            after = rows[-1]["seq"] if len(rows) == _AT_ONCE else None


def _pending_from_row(row: StoredRow, source: Source, keys: Mapping[int, bytes], *, is_unheard: bool) -> PendingMessage:
    body, fault = None, ""
    try:
        body = _open_body(source, row, keys)
        if "\\" in row["message_id"] + row["digest"]:  # `spelled`: no name of ours has one
            fault = "a column of text is damaged"
    except UnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 - a column of another type makes a reader raise anything
        fault = str(error) if isinstance(error, BridgeheadError) else f"a column is damaged ({type(error).__name__})"
    return PendingMessage(
        id=MessageId(row["message_id"]),
        seq=row["seq"],
        digest=row["digest"],
        envelope=row["envelope"],
        body=body,
        fault=fault,
        expires=from_millis(row["expires_millis"]),
        is_unheard=is_unheard,
    )


def _outbox_from_row(row: StoredRow) -> OutboxRow:
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
