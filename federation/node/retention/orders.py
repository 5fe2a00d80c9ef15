"""Orders to erase: what this province sent is destroyed here and ordered destroyed there, and the other way round.

Ordering: our own destruction, the signed order and the line of it are one transaction. Obeying: the rows that came of
the message, its body, salt and key, the leaf and the deletion receipt are one transaction. A record of provision is not
erased before its time, at either side. Source: DESIGN section 5 (withdrawal), PIPL article 47,
网络数据安全管理条例 article 12.
"""

from __future__ import annotations

import os
from datetime import datetime

from federation.domain.erasure import (
    ERASURE_BASIS,
    ORDER_BODY,
    ErasureGrounds,
    ErasureOutcome,
    OrderFacts,
    OrderItem,
    order_request,
    verify_words,
)
from federation.domain.retention import ORDER, PROVISION, answer_due
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Destroyed, Erasure, Judgement, Kind, Received, Rows
from federation.node.exchange.send import Cause, Draft, Sent, make_ready, record_message
from federation.node.node import Node
from federation.node.retention.order_records import ORDER_LINES, ORDERS, Order, newest_of, order_records
from federation.node.retention.receipts import item_of, receipt_draft
from federation.node.retention.rules import ORDER_KIND, is_under_floor, rules_of
from federation.protocol.body import Body
from federation.protocol.errors import ConflictError, CorruptError, NotFoundError
from federation.protocol.form import Item, decode, encode, replace
from federation.protocol.ids import MessageId, NodeName, Pair, truncate_to_millisecond
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient, Sender
from federation.protocol.trust import verify_in_force
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_body, find_by_digest, find_message, list_messages
from federation.store.records import Record, put_records
from federation.wire.agency.erasure import (
    ErasureAnswer,
    ErasureLine,
    ErasurePage,
    ErasureQuery,
    ErasureQuestion,
    ErasureState,
    SentMessage,
    SentPage,
    SentQuery,
)
from federation.wire.values import Ruling


class _Ordered(Item, frozen=True, kw_only=True):
    """What an order came to, remembered under its request: policy's word, and the digest of the order's statement."""

    ruling: Ruling
    digest: str


async def order_erasure(errand: Errand, question: ErasureQuestion) -> ErasureAnswer:
    """Destroys what a message of this province handed over, and orders its recipient to do the same.

    A repeat under the same request id gets the first ruling, and the line of that order as it stands now.

    Raises:
        MalformedError: ERASURE_WORDS.
        NotFoundError: MESSAGE_UNKNOWN when no message of that id was ever sent or received here.
        ConflictError: ERASURE_DONE when it was erased before, or handed over nothing; REQUEST_ID_REUSED when another
            erasure was ordered under the same id.
        StaleError: AGREEMENT_EXPIRED when nothing new may be said under the agreement.
    """
    node = errand.node
    words = verify_words(question.words)
    asked = errand.asked(ORDER_KIND, f"{question.message_id} {words}")
    known = errand.remembered(asked, _Ordered)
    if known is not None:
        return _answer_again(node, known.answer)
    message = _find_either(node, question.message_id)
    by_sender = message.direction == "sent"
    other = message.pair.recipient if by_sender else message.pair.sender
    facts = OrderFacts(by_sender=by_sender, under_floor=is_under_floor(node, errand.in_force, message))
    request = order_request(errand.agency, other, occasion=errand.occasion, facts=facts)
    ruling = await errand.ask(request)
    if not ruling.allowed:
        return ErasureAnswer(decision=ruling)
    verify_in_force(errand.in_force.agreement, node.now())
    ready = make_ready(node, _draft_of(errand, message, words, request, decision=ruling))
    ordered = truncate_to_millisecond(node.now())

    def write(transaction: GroupTransaction) -> _Ordered:
        before = transaction.size
        destroyed = destroy_message(node, transaction, message, grounds=ErasureGrounds.ORDERED)
        if destroyed is None or destroyed.index < before:
            raise ConflictError("ERASURE_DONE", f"message {message.id} was erased before, or handed over nothing")
        digest = record_message(node, transaction, ready, in_force=errand.in_force)
        order = Order(
            digest=digest,
            message_id=message.id,
            message=message.digest,
            kind=message.kind,
            recipient=other,
            agency=errand.caller,
            ordered=ordered,
            due=answer_due(rules_of(errand.in_force), ORDER, ordered),
        )
        put_records(transaction, order_records(order, owner=node.name))
        return _Ordered(ruling=ruling, digest=digest)

    try:
        done = await errand.once(asked, _Ordered, write)
    except ConflictError:
        first = errand.remembered(asked, _Ordered)  # a repeat at the same moment came first
        if first is None:
            raise
        done = first.answer
    node.wake_delivery(other)
    return _answer_again(node, done)


async def list_sent(errand: Errand, query: SentQuery) -> SentPage:
    """What this province sent to another one, by number: where a message to erase is found. It names no person.

    Raises:
        UntrustedError: NOT_A_MEMBER for a province that the agreement does not name.
    """
    node = errand.node
    errand.in_force.member(query.recipient)
    pair = Pair(node.name, query.recipient)
    found = list_messages(node.database, "sent", pair=pair, after_seq=query.after_seq, limit=query.page_size)
    messages = tuple(
        SentMessage(
            message_id=message.id,
            seq=message.seq,
            kind=message.kind,
            created=message.created,
            is_held=find_body(node.database, message.id) is not None,
        )
        for message in found
    )
    return SentPage(messages=messages, next_after_seq=found[-1].seq if len(found) == query.page_size else None)


async def list_erasures(errand: Errand, query: ErasureQuery) -> ErasurePage:
    """The orders of this province, newest first, with what became of them; of one that was sent again, the last.

    Raises:
        MalformedError: PAGE_TOKEN.
    """
    node = errand.node
    page = ORDER_LINES.page(
        node.database,
        limit=query.page_size,
        token=query.page_token,
        newest_first=True,
        wanted=lambda digest: not _load_order(node.database, digest).resent,
    )
    lines = tuple(_line_of(_load_order(node.database, digest), now=node.now()) for digest in page.values)
    return ErasurePage(lines=lines, next_page_token=page.next_token)


def _load_order(source: Source, digest: str) -> Order:
    order = ORDERS.find(source, digest)
    if order is None:
        raise CorruptError("ERASURE_RECORD", "expected the order that a line of the list names")
    return order


def _judge_order(received: Received[OrderItem]) -> Judgement:
    """Judges an order of another province, and obeys it when policy allows: the receipt is on its way at once.

    What never came is remembered, so that it is destroyed should it come later.
    """
    node, in_force, item = received.node, received.in_force, received.item
    message = find_by_digest(node.database, "received", item.message)
    sender = received.statement.sender.node
    ours = find_by_digest(node.database, "sent", item.message) is not None
    facts = OrderFacts(
        by_sender=not ours and (message is None or message.pair.sender == sender),
        under_floor=message is not None and is_under_floor(node, in_force, message),
    )
    request = order_request(received.sender, node.name, occasion=received.occasion, facts=facts)
    judged = received.judge(request)

    def receipt(destroyed: Destroyed | None) -> Draft:
        told = item_of(item.message, destroyed, order=received.digest)
        return receipt_draft(
            node, received.statement, told, cites=received.digest, decision=judged.decision, in_force=in_force
        )

    erasure = Erasure(
        message=item.message, direction="received", peer=sender, grounds=ErasureGrounds.ORDERED, receipt=receipt
    )
    return replace(judged, rows=Rows(erases=(erasure,)))


def _answer_again(node: Node, done: _Ordered) -> ErasureAnswer:
    """What an order came to; of one that was sent again since, the line of its last statement."""
    order = newest_of(node.database, _load_order(node.database, done.digest))
    return ErasureAnswer(decision=done.ruling, line=_line_of(order, now=node.now()))


def _find_either(node: Node, message_id: MessageId) -> StoredMessage:
    message = find_message(node.database, "sent", message_id) or find_message(node.database, "received", message_id)
    if message is None:
        raise NotFoundError("MESSAGE_UNKNOWN", f"no message {message_id} was sent or received here")
    return message


def _draft_of(
    errand: Errand, message: StoredMessage, words: str, request: PolicyRequest, *, decision: Decision
) -> Draft:
    item = OrderItem(message_id=message.id, message=message.digest, words=words)
    return Draft(
        kind=ORDER_KIND,
        recipient=Recipient(node=_other(errand.node.name, message)),
        cause=Cause(
            sender=Sender(node=errand.node.name, agency=errand.caller, officer=errand.act.officer),
            purpose=errand.act.purpose,
            function=errand.act.function,
            basis=ERASURE_BASIS,
        ),
        body=Body(type=ORDER_BODY, salt=os.urandom(32), items=(encode(item),)),
        decision=decision,
        asked=(request,),
    )


def _other(own: NodeName, message: StoredMessage) -> NodeName:
    return message.pair.recipient if message.pair.sender == own else message.pair.sender


def _line_of(order: Order, *, now: datetime) -> ErasureLine:
    if order.receipted is not None:
        state = ErasureState.RECEIPTED
    else:
        state = ErasureState.OVERDUE if now > order.due else ErasureState.ORDERED
    return ErasureLine(
        message_id=order.message_id,
        message_digest=order.message,
        kind=order.kind,
        recipient=order.recipient,
        state=state,
        ordered=order.ordered,
        due=order.due,
        order_digest=order.digest or "",
        receipted=order.receipted,
        was_held=order.outcome is ErasureOutcome.ERASED,
        leaf_index=order.leaf_index,
        leaf_digest=order.leaf_digest,
    )


def _resent(source: Source, expired: str, sent: Sent) -> tuple[Record, ...]:
    """The order goes on under the statement that took the place of the one that expired."""
    order = ORDERS.find(source, expired)
    if order is None:
        return ()
    followed = (replace(order, digest=sent.digest), replace(order, resent=True))
    return tuple(record for each in followed for record in order_records(each, owner=order.agency.node))


ORDERED = Kind(
    name=ORDER_KIND,
    media_type=ORDER_BODY,
    encode=encode,
    decode=lambda content, _: decode(OrderItem, content),
    many=False,
    judge=_judge_order,
    answers=(),
    keep=PROVISION,
    resend=_resent,
)
