"""Destroying what one message handed over: its rows, then body, salt and key, with the leaf that says so.

Rules kept: all of it is one transaction; a message is erased once, and a repeat finds the first leaf; the message
itself, its leaves and its receipt stay, so that every log verifies as before; what is still queued is withdrawn with an
`expired` leaf, since a message without its body can not be sent. The leaf holds digests and a code, never words.
Source: transparency-log reference section 18, DESIGN section 4 (body commitment).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from federation.domain.lookup.asking import decode_answer_item
from federation.domain.permit_item import decode_permit_item
from federation.domain.recognition import decode_recognition_item
from federation.domain.retention.erasure import ErasureGrounds
from federation.node.lookups import records
from federation.node.lookups.kinds import ANSWER_KIND, RELEASE_KIND
from federation.node.node import Node
from federation.node.permits.recognition import RECOGNITION_KIND, told_record
from federation.node.permits.records import PERMIT
from federation.node.permits.sharing import SYNC_KIND
from federation.node.subjects.report import REPORT_KIND
from federation.protocol.body import Body
from federation.protocol.envelope import parse_envelope
from federation.protocol.ids import truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.protocol.statement import Statement, decode_statement
from federation.store.exchange_log import GroupTransaction, find_entry
from federation.store.messages import StoredMessage, erase_body, find_body
from federation.store.outbox import expire_outbox, find_outbox_state
from federation.store.records import erase_record, find_record

WITHDRAWN: Final = "WITHDRAWN"
"""Why a queued message whose body was erased left the queue."""
_HANDLE_CONTEXT: Final = b"bridgehead/erased-handle/v1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """The `erasure` leaf of a message: its exact entry and its place in this log."""

    entry: bytes
    index: int


def destroy_message(
    node: Node, transaction: GroupTransaction, message: StoredMessage, *, grounds: ErasureGrounds
) -> Destroyed | None:
    """Destroys what a message handed over, once; None when there is nothing to destroy and never was.

    A message that was sent loses its body only: the rows it was made of are our own. One that was received loses the
    rows that came of it, too.
    """
    known = find_entry(transaction, LeafKind.ERASURE, message.digest)
    if known is not None:
        return Destroyed(index=known[0], entry=known[1])
    body = find_body(transaction, message.id)
    if body is None:
        return None
    statement = decode_statement(parse_envelope(message.envelope).payload)
    if message.direction == "received":
        _erase_rows(node, transaction, statement, body)
    else:
        _withdraw(node, transaction, message, statement)
    erase_body(transaction, message.id)
    leaf = _leaf_of(node, message, statement, LeafKind.ERASURE, reason=grounds.value)
    entry = encode_leaf(leaf)
    return Destroyed(entry=entry, index=transaction.append_leaf(leaf.kind.value, leaf.subject, entry))


def destroy_handle(node: Node, transaction: GroupTransaction, handle: str, *, grounds: ErasureGrounds) -> bool:
    """Destroys what a handle of ours stood for, with a leaf about the handle's digest; False when it was gone."""
    if not erase_record(transaction, records.HANDLE, handle, replica=False):
        return False
    agreement = node.trust.in_force.agreement
    leaf = Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=LeafKind.ERASURE,
        subject=handle_digest(handle),
        reason=grounds.value,
        agreement_version=agreement.version,
        time=truncate_to_millisecond(node.now()),
    )
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    return True


def handle_digest(handle: str) -> str:
    """The subject (hex) of the `erasure` leaf of a handle: 24 random bytes behind it, so that nobody guesses it."""
    return hashlib.sha256(_HANDLE_CONTEXT + handle.encode()).hexdigest()


def _leaf_of(node: Node, message: StoredMessage, statement: Statement, kind: LeafKind, *, reason: str) -> Leaf:
    return Leaf(
        federation=statement.federation,
        realm=statement.realm,
        kind=kind,
        subject=message.digest,
        pair=statement.pair,
        seq=statement.seq,
        commitment=statement.body.commitment if statement.body and kind is LeafKind.ERASURE else None,
        reason=reason,
        agreement_version=node.trust.in_force.agreement.version,
        time=truncate_to_millisecond(node.now()),
    )


def _withdraw(node: Node, transaction: GroupTransaction, message: StoredMessage, statement: Statement) -> None:
    """Takes a message off the queue that can not be sent without its body."""
    if find_outbox_state(transaction, message.id) != "pending":
        return
    leaf = _leaf_of(node, message, statement, LeafKind.EXPIRED, reason=WITHDRAWN)
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    expire_outbox(transaction, message.id)


def _erase_rows(node: Node, transaction: GroupTransaction, statement: Statement, body: Body) -> None:
    erase = _ROWS.get(statement.kind)
    if erase is not None:
        erase(node, transaction, statement, body)


def _erase_copies(node: Node, transaction: GroupTransaction, statement: Statement, body: Body) -> None:
    """Copies of permits, but only those that are still what this message brought: a newer one came otherwise."""
    del node
    for content in body.items:
        item = decode_permit_item(content, statement.realm)
        copy = find_record(transaction, PERMIT, item.urn, replica=True)
        if copy is not None and copy.version == item.version:
            erase_record(transaction, PERMIT, item.urn, replica=True)


def _erase_told(node: Node, transaction: GroupTransaction, statement: Statement, body: Body) -> None:
    """What another province decided about a permit of ours."""
    del node
    for content in body.items:
        record = told_record(decode_recognition_item(content, statement.realm), content, owner=statement.sender.node)
        erase_record(transaction, record.kind, record.id, replica=True)


def _end_reply(node: Node, transaction: GroupTransaction, statement: Statement, body: Body) -> None:
    """The reply lay in the body alone; that it came, and when it was erased, stays. A handle of it opens no more."""
    if statement.kind == ANSWER_KIND:
        handle = decode_answer_item(body.items[0]).handle
        erase_record(transaction, records.HELD, f"{statement.sender.node}/{handle}", replica=True)
    reply = records.find_reply_line(transaction, statement.in_reply_to or "")
    if reply is not None and reply.message_id == statement.id and reply.erased is None:
        erased = replace(reply, erased=truncate_to_millisecond(node.now()))
        records.put_reply(transaction, erased, owner=statement.sender.node)


_ROWS: Mapping[str, Callable[[Node, GroupTransaction, Statement, Body], None]] = {
    SYNC_KIND: _erase_copies,
    RECOGNITION_KIND: _erase_told,
    ANSWER_KIND: _end_reply,
    RELEASE_KIND: _end_reply,
    REPORT_KIND: _end_reply,
}
