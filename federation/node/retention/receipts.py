"""Deletion receipts: the recipient tells the giver that it destroyed what was handed over, and shows its leaf.

The giver then destroys its own copy; neither side has body, salt or key any more. A receipt is taken in only when it is
about a message that we sent to that very node. Source: DESIGN section 5 (withdrawal), PIPL article 47.
"""

from __future__ import annotations

import os
from functools import partial

from federation.domain.erasure import (
    ERASURE_BASIS,
    ERASURE_FUNCTION,
    ERASURE_PURPOSE,
    RECEIPT_BODY,
    ErasureGrounds,
    ErasureOutcome,
    ReceiptItem,
    decode_receipt_item,
    encode_receipt_item,
    verify_receipt_item,
)
from federation.domain.retention import PROVISION
from federation.node.exchange.judge import Judgement, Kind, Received, Rows, allowed_by_rule
from federation.node.exchange.replies import statement_of
from federation.node.exchange.send import Cause, Draft, make_ready, record_message
from federation.node.exchange.trust import InForce
from federation.node.log.decisions import OWN_ERASURE_RULE, REPLY_RULE
from federation.node.node import Node
from federation.node.retention.destroy import Destroyed, destroy_message
from federation.node.retention.order_records import ORDERS, answered, put_order
from federation.node.retention.rules import RECEIPT_KIND
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, NodeName, truncate_to_millisecond
from federation.protocol.policy import Decision
from federation.protocol.statement import Recipient, Sender, Statement
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_by_digest

_OWN = allowed_by_rule(
    OWN_ERASURE_RULE, "本省已销毁到期信息的回执", "The receipt of what this province destroyed when it ended"
)
_TAKEN = allowed_by_rule(REPLY_RULE, "对方销毁本省所发信息的回执", "The receipt that what we sent was destroyed")


def item_of(message: str, destroyed: Destroyed | None, *, order: str | None = None) -> ReceiptItem:
    """What a receipt says of a message: with its leaf, or that nothing was held."""
    if destroyed is None:
        return ReceiptItem(message=message, outcome=ErasureOutcome.NOT_HELD, order=order)
    return ReceiptItem(
        message=message,
        outcome=ErasureOutcome.ERASED,
        order=order,
        entry=destroyed.entry.decode(),
        index=destroyed.index,
    )


def record_own_receipt(
    node: Node, transaction: GroupTransaction, message: StoredMessage, *, destroyed: Destroyed, in_force: InForce
) -> None:
    """Drafts, numbers, signs, logs and queues the receipt of what this node destroyed by itself."""
    statement = statement_of(message)
    draft = receipt_draft(
        node, statement, item_of(message.digest, destroyed), cites=message.digest, decision=_OWN, in_force=in_force
    )
    record_message(node, transaction, make_ready(node, draft), in_force=in_force)


def receipt_draft(
    node: Node, cited: Statement, item: ReceiptItem, *, cites: str, decision: Decision, in_force: InForce
) -> Draft:
    """The receipt as a message to the sender of the cited statement, whose digest is `cites`."""
    return Draft(
        kind=RECEIPT_KIND,
        recipient=Recipient(node=cited.sender.node, agency=cited.sender.agency),
        cause=Cause(
            sender=Sender(node=node.name, agency=_office(in_force, node.name, cited.recipient.agency)),
            purpose=ERASURE_PURPOSE,
            function=ERASURE_FUNCTION,
            basis=ERASURE_BASIS,
            in_reply_to=cites,
        ),
        body=Body(type=RECEIPT_BODY, salt=os.urandom(32), items=(encode_receipt_item(item),)),
        decision=decision,
    )


def _judge_receipt(received: Received[ReceiptItem]) -> Judgement:
    """Takes in a deletion receipt: the order is answered, and our own copy of what was handed over dies.

    Raises:
        MalformedError: RECEIPT_UNASKED when it is about nothing that we sent to that node.
        UntrustedError: ERASURE_LEAF when its leaf is about something else.
    """
    node, statement, item = received.node, received.statement, received.item
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
        federation=received.in_force.agreement.federation,
        pair=message.pair,
        commitment=body.commitment if body is not None else None,
    )
    return Judgement(decision=_TAKEN, rows=Rows(write=partial(_take_in, node, message, item)))


def _take_in(node: Node, message: StoredMessage, item: ReceiptItem, transaction: GroupTransaction) -> None:
    order = ORDERS.find(transaction, item.order) if item.order is not None else None
    if order is not None:
        put_order(transaction, answered(order, item, now=truncate_to_millisecond(node.now())), owner=node.name)
    destroy_message(node, transaction, message, grounds=ErasureGrounds.RECEIPTED)


def _office(in_force: InForce, node: NodeName, addressed: AgencyId | None) -> AgencyId:
    """The office that answers: the one that was written to, else the first of this province by name."""
    return addressed if addressed is not None else min(in_force.member(node).agencies)


RECEIPT = Kind(
    name=RECEIPT_KIND,
    media_type=RECEIPT_BODY,
    encode=encode_receipt_item,
    decode=lambda content, _: decode_receipt_item(content),
    many=False,
    judge=_judge_receipt,
    answers=(),
    keep=PROVISION,
    resend=True,
)
