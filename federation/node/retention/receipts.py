"""Deletion receipts: the recipient tells the giver that it destroyed what was handed over, and shows its leaf.

The giver then destroys its own copy; neither side has body, salt or key any more. A receipt is taken in only when it is
about a message that we sent to that very node. Source: DESIGN section 5 (withdrawal), PIPL article 47.
"""

from __future__ import annotations

import os
from datetime import datetime
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
    verify_receipt_item,
)
from federation.domain.retention import PROVISION
from federation.node.exchange.judge import (
    Destroyed,
    Erasure,
    Judgement,
    Kind,
    Received,
    Rows,
    allowed_by_rule,
    resent_alone,
)
from federation.node.exchange.replies import statement_of
from federation.node.exchange.send import Cause, Draft, make_ready, record_message
from federation.node.exchange.trust import InForce
from federation.node.log.decisions import OWN_ERASURE_RULE, REPLY_RULE
from federation.node.node import Node
from federation.node.retention.order_records import ORDERS, answered, order_records
from federation.node.retention.rules import RECEIPT_KIND
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, NodeName, truncate_to_millisecond
from federation.protocol.policy import Decision
from federation.protocol.statement import Recipient, Sender, Statement
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_by_digest
from federation.store.records import Record

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
        body=Body(type=RECEIPT_BODY, salt=os.urandom(32), items=(encode(item),)),
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
    own = Erasure(message=item.message, direction="sent", peer=message.pair.recipient, grounds=ErasureGrounds.RECEIPTED)
    updates = partial(_answered, item, truncate_to_millisecond(node.now()), node.name)
    return Judgement(decision=_TAKEN, rows=Rows(updates=updates, erases=(own,)))


def _answered(item: ReceiptItem, now: datetime, owner: NodeName, source: Source) -> tuple[Record, ...]:
    """The order that a receipt answers, as it stands at that moment; none when the giver was told unasked."""
    order = ORDERS.find(source, item.order) if item.order is not None else None
    return order_records(answered(order, item, now=now), owner=owner) if order is not None else ()


def _office(in_force: InForce, node: NodeName, addressed: AgencyId | None) -> AgencyId:
    """The office that answers: the one that was written to, else the first of this province by name."""
    return addressed if addressed is not None else min(in_force.member(node).agencies)


RECEIPT = Kind(
    name=RECEIPT_KIND,
    media_type=RECEIPT_BODY,
    encode=encode,
    decode=lambda content, _: decode_receipt_item(content),
    many=False,
    judge=_judge_receipt,
    answers=(),
    keep=PROVISION,
    resend=resent_alone,
)
