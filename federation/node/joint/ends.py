"""The end of what a joint record handed over: some time after it was closed, as its own rule of retention says.

While a record is open nothing of it ends. Then each node destroys what it was handed, and the items of its own entries:
heads and hashes stay, so that the record folds as before and a member that joins late is still given its line.
Source: `policies/retention.toml`; 个人信息保护法 articles 19 and 47.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeVar

from federation.domain.erasure import ErasureGrounds
from federation.domain.retention import CIVIL, destroyed_after
from federation.node.documents import owner_of
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.replies import statement_of
from federation.node.joint.records import Family, Held, OwnBody, SentEntry, StoredRecord, each_sent, family_of
from federation.node.lookups.records import CASES_CLOSED
from federation.node.node import InForce, Node, plain_leaf
from federation.protocol.body import Body, Handed, PartialBody, open_places
from federation.protocol.ids import MessageId
from federation.protocol.leaf import LeafKind, encode_leaf
from federation.store.blobs import erase_blobs_of
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_handed, find_outbox_state, load_message

ON_ITS_WAY: Final = ("pending", "unheard", "missed")
S = TypeVar("S")
LOOK: Final = timedelta(days=30)
"""A message of a case that is open is looked at again after that time."""


def end_of_case(
    in_force: InForce, source: Source, message: StoredMessage, *, now: datetime
) -> ErasureGrounds | datetime | None:
    """The reason why what a message handed over has ended; else when to look again, None when no rule says so.

    A head that is on its way alone goes on: what stands on it would wait for ever.
    """
    statement = statement_of(message)
    family = family_of(statement.kind)
    row = None if family is None else family.records.find(source, statement.case or "")
    if row is None or row.closed is None:
        return now + LOOK
    ends = items_end(in_force, row)
    if ends is None or now < ends:
        return ends
    is_on_its_way = message.direction == "sent" and find_outbox_state(source, message.id) in ON_ITS_WAY
    return now + LOOK if is_on_its_way and _is_head(find_handed(source, message.id)) else ErasureGrounds.EXPIRED


def items_end(in_force: InForce, row: StoredRecord) -> datetime | None:
    """The moment at which the items of a case end; None while it is open, or where no rule says when."""
    lifetime = destroyed_after(in_force.retention, row.retention or CIVIL)
    return None if row.closed is None or lifetime is None else row.closed + lifetime


def end_items(node: Node, transaction: GroupTransaction, held: Held[S]) -> bool:
    """Destroys the items of our entries in a case that has ended, and has retention end what was handed over of it.

    True when heads are owed again, since what was on its way with items was withdrawn.
    """
    again = False
    for kept in held.own:
        close_items(held.family, node, transaction, name=kept.name, grounds=ErasureGrounds.EXPIRED)
        for sent in list(each_sent(held.family, transaction, held.id, name=kept.name)):
            again |= withdraw(held.family, node, transaction, sent=sent, grounds=ErasureGrounds.EXPIRED)
    for author in {kept.author for kept in held.kept.values()}:
        CASES_CLOSED.put(transaction, f"{author}/{held.id}", owner=node.name)
    return again


def end_entry(node: Node, transaction: GroupTransaction, message: StoredMessage, *, grounds: ErasureGrounds) -> None:
    """Destroys the items of the entry of ours which a message handed over, wherever they are; none for another kind."""
    statement = statement_of(message)
    family = family_of(statement.kind)
    if family is None or statement.body is None:
        return
    for sent in messages_of_entry(transaction, message):
        withdraw(family, node, transaction, sent=sent, grounds=grounds)
    close_items(family, node, transaction, name=statement.body.commitment, grounds=grounds)


def withdraw(
    family: Family[S], node: Node, transaction: GroupTransaction, *, sent: SentEntry, grounds: ErasureGrounds
) -> bool:
    """Destroys a message with items that is on its way, or was; True when its head is owed again."""
    state, body = find_outbox_state(transaction, sent.message_id), find_handed(transaction, sent.message_id)
    if _is_head(body) or (state not in ON_ITS_WAY and (state, body) != ("expired", None)):
        return False
    if body is not None:
        destroy_message(node, transaction, load_message(transaction, "sent", sent.message_id), grounds=grounds)
    return family.sent.erase(transaction, family.sent.id(sent))


def messages_of_entry(source: Source, message: StoredMessage) -> tuple[SentEntry, ...]:
    """All that handed over the entry of ours which a message handed over, or places of it; none for another kind."""
    statement = statement_of(message)
    family = family_of(statement.kind)
    if family is None or message.direction != "sent" or statement.case is None or statement.body is None:
        return ()
    return tuple(each_sent(family, source, statement.case, name=statement.body.commitment))


def hands_over_items(source: Source, message_id: MessageId) -> bool:
    """True for a message of an entry that hands over more than its head, and was not destroyed."""
    body = find_handed(source, message_id)
    return body is not None and not _is_head(body)


def _is_head(body: Handed | None) -> bool:
    return isinstance(body, PartialBody) and len(body.opened) == 1


def close_items(
    family: Family[S], node: Node, transaction: GroupTransaction, *, name: str, grounds: ErasureGrounds
) -> bool:
    """Destroys the items of an entry of ours, with the leaf that says so. False when they were gone."""
    own = family.own.find(transaction, name)
    if own is None or not isinstance(own.body, Body) or len(own.body.items) == 1:
        return False
    closed = OwnBody(name=name, body=open_places(own.body, (0,)), version=own.version + 1)
    family.own.put(transaction, closed, owner=node.name)
    erase_blobs_of(transaction, owner_of(name))
    transaction.note_erased()
    agreement = node.trust.in_force.agreement
    leaf = plain_leaf(agreement, LeafKind.ERASURE, name, now=node.now(), reason=grounds.value)
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    return True
