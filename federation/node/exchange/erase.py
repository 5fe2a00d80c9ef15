"""Destroying what one message handed over: its rows, then body, salt and key, with the leaf that says so.

Rules kept: one transaction; a message is erased once, and a repeat finds the first leaf; the message, its leaves and
its receipt stay, so that every log verifies as before; what is still queued is withdrawn with an `expired` leaf; what
is ordered erased before it comes is destroyed as it comes. The leaf holds digests and a code. Source: DESIGN section 4.
"""

from __future__ import annotations

from typing import Final

from federation.domain.erasure import ErasureGrounds
from federation.domain.retention import PROVISION
from federation.node.exchange.judge import Destroyed, Erasure
from federation.node.exchange.replies import REPLIES, find_reply, statement_of
from federation.node.node import Node
from federation.protocol.envelope import parse_envelope
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf, leaf_about
from federation.protocol.statement import Statement, decode_statement
from federation.store.blobs import erase_blobs_of
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import find_entry
from federation.store.messages import (
    OutboxState,
    StoredMessage,
    erase_body,
    expire_outbox,
    find_by_digest,
    find_outbox_state,
    has_body,
)
from federation.store.records import Record, erase_records_of, find_record, put_records

WITHDRAWN: Final = "WITHDRAWN"
"""Why a queued message whose body was erased left the queue."""
AHEAD: Final = "erasure-ahead"
ORDERED_AHEAD: Final = "erasure/ahead"
"""The counter of what was ordered erased before it came; nothing is looked for while it is 0."""


def erase(node: Node, transaction: GroupTransaction, erasure: Erasure) -> None:
    """Destroys the message, now or as it comes, and writes down the receipt that is owed for it."""
    message = find_by_digest(transaction, erasure.direction, erasure.message)
    destroyed = None
    if message is not None:
        destroyed = destroy_message(node, transaction, message, grounds=erasure.grounds)
    elif erasure.direction == "received" and erasure.office is not None:
        _put_ahead(transaction, erasure.message, sender=erasure.peer, office=erasure.office)
    put_records(transaction, erasure.owes(destroyed))


def ordered_ahead(node: Node, transaction: GroupTransaction, message: StoredMessage) -> tuple[Erasure, ...]:
    """The erasure of a message that an office which may ordered before it came."""
    sender = message.pair.sender
    ordered = find_record(transaction, AHEAD, f"{sender}/{message.digest}", replica=True)
    erasable_by = node.kinds[message.kind].erasable_by
    if ordered is None or not ordered.content or erasable_by is None:
        return ()
    if not erasable_by(transaction, parse_agency_id(ordered.content.decode()), message):
        return ()
    return (Erasure(message=message.digest, direction="received", peer=sender, grounds=ErasureGrounds.ORDERED),)


def sent_by_it(source: Source, office: AgencyId, message: StoredMessage) -> bool:
    """For a kind whose record is its sender's alone to have erased."""
    del source
    return statement_of(message).sender.agency == office


def destroy_message(
    node: Node, transaction: GroupTransaction, message: StoredMessage, *, grounds: ErasureGrounds
) -> Destroyed | None:
    """Destroys what a message handed over, and its records unless newer or kept; None when there never was any."""
    known = find_entry(transaction, LeafKind.ERASURE, message.digest)
    if known is not None:
        return Destroyed(index=known[0], entry=known[1])
    if not has_body(transaction, message.id):
        return None
    statement = decode_statement(parse_envelope(message.envelope).payload)
    erase_records_of(transaction, message.id)
    if message.direction == "received":
        _end_reply(node, transaction, statement)
    else:
        end_queued(node, transaction, message, reason=WITHDRAWN, state="expired")
    erase_body(transaction, message.id)
    erase_blobs_of(transaction, message.id)
    leaf = _leaf_of(node, message, statement, LeafKind.ERASURE, reason=grounds.value)
    entry = encode_leaf(leaf)
    return Destroyed(entry=entry, index=transaction.append_leaf(leaf.kind.value, leaf.subject, entry))


def _leaf_of(node: Node, message: StoredMessage, statement: Statement, kind: LeafKind, *, reason: str) -> Leaf:
    return leaf_about(
        statement,
        message.digest,
        kind,
        agreement_version=node.trust.in_force.agreement.version,
        time=truncate_to_millisecond(node.now()),
        commitment=statement.body.commitment if statement.body and kind is LeafKind.ERASURE else None,
        reason=reason,
    )


def end_queued(
    node: Node, transaction: GroupTransaction, message: StoredMessage, *, reason: str, state: OutboxState
) -> None:
    """Takes a message off the queue before its time, with the leaf that says so unless there is one.

    `state` is what becomes of it: `unheard` when it is said anew later, `expired` when it is not.
    """
    before = find_outbox_state(transaction, message.id)
    if before == "pending":
        leaf = _leaf_of(node, message, statement_of(message), LeafKind.EXPIRED, reason=reason)
        transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    if before in ("pending", "unheard", "missed"):
        expire_outbox(transaction, message.id, state=state)


def _end_reply(node: Node, transaction: GroupTransaction, statement: Statement) -> None:
    """That a request of ours was replied to, and when the reply was erased, stays."""
    reply = find_reply(transaction, statement.in_reply_to or "")
    if reply is not None and reply.message_id == statement.id and reply.erased is None:
        erased = replace(reply, erased=truncate_to_millisecond(node.now()))
        put_records(transaction, [REPLIES.record(erased, owner=statement.sender.node)])


def _put_ahead(transaction: GroupTransaction, message: str, *, sender: NodeName, office: AgencyId) -> None:
    record = Record(
        id=f"{sender}/{message}", kind=AHEAD, owner=sender, version=1, replica=True, status="ordered", division="",
        content=str(office).encode(), kept_under=PROVISION,
    )  # fmt: skip
    if put_records(transaction, [record]):
        transaction.count_up(ORDERED_AHEAD)
