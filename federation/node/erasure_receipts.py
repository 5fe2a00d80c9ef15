"""Deletion receipts: sent once what was erased is off the disk, and taken in with a proof of the very leaf.

A receipt is taken in only about a message that we sent to that very node; the giver then destroys its own copy, if it
ordered that or if its end has come by the giver's own clock. A record of provision is not erased before its time.
Source: DESIGN section 5.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import structlog

from federation.domain.erasure import (
    ERASURE_BASIS,
    ERASURE_FUNCTION,
    ERASURE_PURPOSE,
    RECEIPT_BODY,
    ErasureGrounds,
    ErasureOutcome,
    ReceiptItem,
    decode_receipt_item,
    verify_receipt_item,
)
from federation.domain.retention import PROVISION
from federation.node.ends import find_end
from federation.node.erasure_lists import ORDERS, answered, is_under_floor, order_records
from federation.node.exchange.judge import Erasure, Judgement, Received, Rows, allowed_by_rule, item_kind
from federation.node.exchange.replies import statement_of
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import ENDS, Cause, Draft, End, Prepared, prepare, record_message
from federation.node.log.bad_rows import commit_each, looked_at
from federation.node.log.decisions import OWN_ERASURE_RULE, REPLY_RULE
from federation.node.node import InForce, Node
from federation.protocol.errors import BridgeheadError, CorruptError, MalformedError, RuleError
from federation.protocol.form import Digest, Item, encode, replace
from federation.protocol.ids import AgencyId, NodeName, truncate_to_millisecond
from federation.protocol.leaf import LeafKind, Verdict, decode_leaf
from federation.protocol.policy import Decision, Grounds
from federation.protocol.statement import Recipient, Sender, Statement
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import verify_in_force
from federation.store.collection import Collection, item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import find_entry, find_leaf
from federation.store.messages import StoredMessage, find_by_digest, has_body
from federation.store.records import Record

_log = structlog.get_logger()
_AT_ONCE: Final = 64
_DUTY: Final = "receipts"
RECEIPT_KIND: Final = "erasure.receipt"
_OWN = allowed_by_rule(
    OWN_ERASURE_RULE, "本省已销毁到期信息的回执", "The receipt of what this province destroyed when it ended"
)
_TAKEN = allowed_by_rule(REPLY_RULE, "对方销毁本省所发信息的回执", "The receipt that what we sent was destroyed")


class Owed(Item, frozen=True, kw_only=True):
    """That a receipt is owed for `message` to the sender of what is cited: an order, or the message itself."""

    WHAT = "erasure-receipt-owed"

    cites: Digest
    message: Digest
    is_held: bool


OWED: Final[Collection[Owed]] = item_collection(
    Owed, kind="erasure-receipt-owed", id=lambda owed: owed.cites, replica=True, kept_under=PROVISION
)
"""One row from the erasure until its receipt is sent, which is when what was erased is off the disk."""


def owe_receipt(node: Node, transaction: GroupTransaction, message: StoredMessage) -> None:
    """Writes down that the sender of a message is owed the receipt of what this node destroyed by itself."""
    OWED.put(transaction, Owed(cites=message.digest, message=message.digest, is_held=True), owner=node.name)


async def send_receipts(node: Node) -> int:
    """Sends the receipts that are owed, once what was erased is off the disk; returns how many.

    While a reader holds the log of recent writes back, none is sent: a receipt would be false. Whatever keeps it from
    being sent, the next round of retention looks again; nothing is raised for it.
    """
    try:
        return await _send_owed(node)
    except BridgeheadError as error:
        _log.warning("erasure.receipts_waiting", reason=error.reason)
        return 0


async def _send_owed(node: Node) -> int:
    count, waiting = 0, OWED.each_readable(node.database, node.bad_rows.of(_DUTY))
    while owed := await asyncio.to_thread(lambda: list(islice(waiting, _AT_ONCE))):
        if not await asyncio.to_thread(_is_scrubbed, node):
            return count
        in_force = node.trust.in_force
        verify_in_force(in_force.agreement, node.now())
        found = looked_at(
            node, _DUTY, owed, look=partial(_prepare_receipt, node, in_force), name=lambda each: each.cites
        )
        ready = [each for each in await asyncio.to_thread(list, found) if each is not None]
        jobs = [(each[0].cites, partial(_record_receipt, node, in_force, *each)) for each in ready]
        for peer in set(await commit_each(node, _DUTY, jobs)):
            node.wake_delivery(peer)
        count += len(ready)
    return count


def _is_scrubbed(node: Node) -> bool:
    """True once nothing that was deleted lies on the disk."""
    if node.database.is_scrub_due:
        node.database.scrub()
    return not node.database.is_scrub_due


def _prepare_receipt(node: Node, in_force: InForce, owed: Owed) -> tuple[Owed, Prepared] | None:
    """The receipt that is owed; None while its province is no member: it waits until that is back."""
    cited = find_by_digest(node.database, "received", owed.cites)
    if cited is None:
        raise CorruptError("ERASURE_RECORD", "expected the message that a receipt is owed for")
    if not in_force.has(cited.pair.sender):
        return None
    ordered = owed.cites != owed.message
    item = ReceiptItem(
        message=owed.message,
        outcome=ErasureOutcome.ERASED if owed.is_held else ErasureOutcome.NOT_HELD,
        order=owed.cites if ordered else None,
    )
    item = _proved(node, item) if owed.is_held else item
    decision = _decision_on(node, cited) if ordered else _OWN
    draft = receipt_draft(node, statement_of(cited), item, cites=owed.cites, decision=decision, in_force=in_force)
    return owed, prepare(node, draft)


def _proved(node: Node, item: ReceiptItem) -> ReceiptItem:
    """The receipt with our `erasure` leaf, and the proof that it stands in our log."""
    index = find_leaf(node.database, LeafKind.ERASURE, item.message)
    if index is None:
        raise CorruptError("ERASURE_RECORD", "expected the erasure leaf of what a receipt is owed for")
    proved = node.sequencer.prove(index)
    return replace(item, entry=proved.leaf.decode(), index=index, proof=proved.proof.decode())


def _decision_on(node: Node, order: StoredMessage) -> Decision:
    """The yes by which an order was obeyed: what lets its receipt out."""
    received = find_entry(node.database, LeafKind.RECEIVED, order.digest)
    policies = decode_leaf(received[1]).policies if received is not None else ()
    return Decision(
        verdict=Verdict.ALLOWED,
        policies=policies,
        fields=frozenset(),
        reason=Grounds.PERMITTED,
        title_zh="",
        title_en="",
    )


def _record_receipt(
    node: Node, in_force: InForce, owed: Owed, prepared: Prepared, transaction: GroupTransaction
) -> NodeName:
    if OWED.erase(transaction, OWED.id(owed)):  # or another process of this node was here first
        record_message(node, transaction, prepared, in_force=in_force)
    return prepared.draft.recipient.node


def receipt_draft(
    node: Node, cited: Statement, item: ReceiptItem, *, cites: str, decision: Decision, in_force: InForce
) -> Draft:
    """The receipt as a message to the sender of the cited statement, whose digest is `cites`."""
    cause = Cause(
        sender=Sender(node=node.name, agency=_office(in_force, node.name, cited.recipient.agency)),
        purpose=ERASURE_PURPOSE,
        function=ERASURE_FUNCTION,
        basis=ERASURE_BASIS,
        in_reply_to=cites,
    )
    to = Recipient(node=cited.sender.node, agency=cited.sender.agency)
    return RECEIPT.draft(item, to=to, cause=cause, decision=decision)


def _judge_receipt(received: Received[ReceiptItem]) -> Judgement:
    """Takes in a deletion receipt; our own copy dies when we ordered it, or when its end has come by our own clock.

    Refuses RECEIPT_UNASKED and as `verify_receipt_item`; by rule RECEIPT_FLOOR for a record of provision, and
    RECEIPT_NOT_DUE for what no order and no end has ended.
    """
    node, in_force, statement, item = received.node, received.in_force, received.statement, received.item
    message = find_by_digest(node.database, "sent", item.message)
    if (
        message is None
        or message.pair.recipient != statement.sender.node
        or statement.in_reply_to != (item.order or item.message)
    ):
        raise MalformedError("RECEIPT_UNASKED", "expected the receipt of something that we sent to that node")
    order = ORDERS.find(node.database, item.order) if item.order is not None else None
    if item.order is not None and (order is None or order.message != item.message):
        raise MalformedError("RECEIPT_UNASKED", "expected the receipt of an order of ours about that very message")
    body = statement_of(message).body
    verify_receipt_item(
        item,
        federation=in_force.agreement.federation,
        pair=message.pair,
        commitment=body.commitment if body is not None else None,
        log_vkey=parse_vkey(in_force.member(statement.sender.node).log_vkey),
    )
    own = Erasure(message=item.message, direction="sent", peer=message.pair.recipient, grounds=ErasureGrounds.RECEIPTED)
    if order is not None:
        updates = partial(_answered, item, truncate_to_millisecond(node.now()), node.name)
        return Judgement(decision=_TAKEN, rows=Rows(updates=updates, erases=(own,)))
    return Judgement(decision=_TAKEN, rows=_ended_rows(received, message, own))


def _ended_rows(received: Received[ReceiptItem], message: StoredMessage, own: Erasure) -> Rows:
    """The rows of a receipt that nobody ordered: our copy dies with it, or by our own clock, whichever is later."""
    node, statement = received.node, statement_of(message)
    if is_under_floor(node, received.in_force, message):
        raise RuleError("RECEIPT_FLOOR", "a record of provision is kept, whatever the other side destroyed")
    end = find_end(node, received.in_force, message, now=node.now())
    if isinstance(end, ErasureGrounds):
        return Rows(erases=(own,))
    if received.item.outcome is not ErasureOutcome.ERASED or end is None:
        if not has_body(node.database, message.id):
            return Rows()
        raise RuleError("RECEIPT_NOT_DUE", "nobody ordered it, and by our own clock it has not ended")
    case = f"{statement.recipient.node}/{statement.case}" if statement.case else ""
    look = End(direction="sent", message_id=message.id, time=end, case=case)
    return Rows(records=(ENDS.record(look, owner=node.name),), left_by=message.id)


def _answered(item: ReceiptItem, now: datetime, owner: NodeName, source: Source) -> tuple[Record, ...]:
    """The order that a receipt answers, as it stands at that moment; none when the giver was told unasked."""
    order = ORDERS.find(source, item.order) if item.order is not None else None
    return order_records(answered(order, item, now=now), owner=owner) if order is not None else ()


def _office(in_force: InForce, node: NodeName, addressed: AgencyId | None) -> AgencyId:
    """The office that answers: the one that was written to, else the first of this province by name."""
    return addressed if addressed is not None else min(in_force.member(node).agencies)


def _resent_receipt(missed: Missed) -> Draft:
    """The receipt with a fresh proof: the log may have got another key since."""
    item = decode_receipt_item(missed.body.items[0])
    return missed.again(encode(_proved(missed.node, item) if item.entry else item))


RECEIPT = item_kind(
    ReceiptItem,
    name=RECEIPT_KIND,
    media_type=RECEIPT_BODY,
    read=lambda content, _: decode_receipt_item(content),
    judge=_judge_receipt,
    answers=(),
    keep=PROVISION,
    erasable_by=None,
    resend=_resent_receipt,
)
