"""Orders to erase: what this province sent is destroyed here and ordered destroyed there, and the other way round.

Our own destruction, the signed order and its line are one transaction; so are, at the one who obeys, rows, body, salt,
key and leaf, and that a receipt is owed. Only the office that sent a record, or a counter of the county that issued it,
has it erased, by the word of both sides; a question or an answer never is, nor a record of provision before its time.
Source: DESIGN section 5, PIPL article 47, 网络数据安全管理条例 article 12.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from federation.domain.erasure import (
    ERASURE_BASIS,
    ERASURE_FUNCTION,
    ORDER_BODY,
    ORDERS_ALONE,
    ErasureGrounds,
    OrderFacts,
    OrderItem,
    order_bytes,
    order_request,
    verify_words,
)
from federation.domain.retention import ORDER, PROVISION, answer_due
from federation.node.erasure_lists import (
    ORDERS,
    Order,
    hands_over_record,
    is_under_floor,
    line_of,
    load_order,
    may_order,
    newest_of,
    order_records,
)
from federation.node.erasure_receipts import OWED, Owed, send_receipts
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Destroyed, Erasure, Judgement, Received, Rows, item_kind
from federation.node.exchange.replies import statement_of
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import Draft, Prepared, Sent, prepare, record_message
from federation.node.joint.ends import end_entry, hands_over_items, messages_of_entry
from federation.node.joint.shared import settle_anew
from federation.node.node import InForce, Node
from federation.node.officers import LeaderAct, or_logged, verify_another_person, verify_own_key
from federation.protocol.errors import ConflictError, NotFoundError, RuleError
from federation.protocol.form import Item, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, truncate_to_millisecond
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_by_digest, find_message, load_message
from federation.store.records import Record, put_records
from federation.wire.agency import erasure as wire
from federation.wire.agency.erasure import ErasureAnswer, ErasureQuestion
from federation.wire.rpc import Ruling

ORDER_KIND: Final = "erasure.order"
_NOT_OURS: Final = OrderFacts(by_sender=True, under_floor=False, own_office=False, hands_over=True, is_entry=False)


class _Ordered(Item, frozen=True, kw_only=True):
    """The remembered answer to an order: policy's word, and the digest of the order's statement."""

    ruling: Ruling
    digest: str


@on(wire.ORDER_ERASURE)
async def order_erasure(errand: Errand, question: ErasureQuestion) -> ErasureAnswer:
    """Destroys what a message of this province handed over, and orders its recipient to do the same.

    What an entry of a joint case handed over is destroyed with all that was handed over of it, to whichever province,
    and with the items of our own. A message that is not there gets the logged no of one that is not the office's. A
    repeat gets the first ruling, and the order's line as it stands now. Refuses ERASURE_WORDS, ERASURE_DONE when it was
    erased before or handed over nothing, ERASURE_SECOND without a second person beyond so many orders of the office a
    day, SAME_PERSON, OFFICER_KEY, REQUEST_ID_REUSED, AGREEMENT_EXPIRED; MESSAGE_UNKNOWN under policies that do not ask
    whose it is.
    """
    node = errand.node
    words = verify_words(question.words)
    asked = errand.asked(ORDER_KIND, f"{question.message_id} {words}")
    known = errand.remembered(asked, _Ordered)
    if known is not None:
        return _repeated_answer(node, known.answer)
    message = _find_own(node, question.message_id, errand.caller)
    other, facts = (node.name, _NOT_OURS) if message is None else _facts_here(errand, message)
    request = order_request(errand.agency, other, occasion=errand.occasion, facts=facts)
    ruling = await errand.ask(request)
    if not ruling.allowed:
        return ErasureAnswer(decision=ruling)
    if message is None:
        raise NotFoundError("MESSAGE_UNKNOWN", f"this office handed over no message {question.message_id}")
    verify_in_force(errand.in_force.agreement, node.now())
    ready = prepare(node, _draft_of(errand, message, words, request, decision=ruling))
    done = await or_logged(errand, _order_once(errand, asked, question, message, ready, ruling))
    for name in {other, *(each.to for each in messages_of_entry(node.database, message))}:
        node.wake_delivery(name)
    await settle_anew(node, statement_of(message))  # a head that was withdrawn with its items is owed again
    return _repeated_answer(node, done)


async def _order_once(
    errand: Errand, asked: str, question: ErasureQuestion, message: StoredMessage, ready: Prepared, ruling: Ruling
) -> _Ordered:
    node = errand.node
    has_second = _verify_second(errand, question)
    beside = tuple(_beside(errand, message, question.words, ruling))

    def write(transaction: GroupTransaction) -> _Ordered:
        given = transaction.count_up(f"erasure-orders/{errand.caller}/{node.today()}")
        if given > ORDERS_ALONE and not has_second:
            raise RuleError(
                "ERASURE_SECOND", f"expected a second person to sign: {ORDERS_ALONE} orders a day need one key each"
            )
        before = transaction.size
        destroyed = destroy_message(node, transaction, message, grounds=ErasureGrounds.ORDERED)
        if destroyed is None or destroyed.index < before:
            raise ConflictError("ERASURE_DONE", f"message {message.id} was erased before, or handed over nothing")
        end_entry(node, transaction, message, grounds=ErasureGrounds.ORDERED)
        for each, prepared in beside:
            destroy_message(node, transaction, each, grounds=ErasureGrounds.ORDERED)
            _put_order(errand, transaction, each, prepared)
        return _Ordered(ruling=ruling, digest=_put_order(errand, transaction, message, ready))

    try:
        return await errand.once(asked, _Ordered, write)
    except ConflictError:
        first = errand.remembered(asked, _Ordered)  # a repeat at the same moment came first
        if first is None:
            raise
        return first.answer


def _beside(
    errand: Errand, message: StoredMessage, words: str, ruling: Decision
) -> Iterator[tuple[StoredMessage, Prepared]]:
    """The other messages that handed over the same entry of a joint case, each with the order about it."""
    node = errand.node
    for sent in messages_of_entry(node.database, message):
        each = load_message(node.database, "sent", sent.message_id)
        if each.id != message.id and errand.in_force.has(sent.to) and hands_over_items(node.database, each.id):
            _, facts = _facts_here(errand, each)
            request = order_request(errand.agency, sent.to, occasion=errand.occasion, facts=facts)
            yield each, prepare(node, _draft_of(errand, each, verify_words(words), request, decision=ruling))


def _put_order(errand: Errand, transaction: GroupTransaction, message: StoredMessage, ready: Prepared) -> str:
    ordered = truncate_to_millisecond(errand.node.now())
    digest = record_message(errand.node, transaction, ready, in_force=errand.in_force)
    order = Order(
        digest=digest,
        message_id=message.id,
        message=message.digest,
        kind=message.kind,
        recipient=ready.draft.recipient.node,
        agency=errand.caller,
        ordered=ordered,
        due=answer_due(errand.in_force.retention, ORDER, ordered),
    )
    put_records(transaction, order_records(order, owner=errand.node.name))
    return digest


def _verify_second(errand: Errand, question: ErasureQuestion) -> bool:
    """True when a second person signed the order. Refuses SAME_PERSON, OFFICER_KEY, SIGNATURE_FORM."""
    if question.second_officer is None or question.second_signature is None:
        return False
    source, first = errand.node.database, errand.act.officer
    second = LeaderAct(
        agency=errand.caller, leader=question.second_officer, case_id="", signature=question.second_signature
    )
    if second.leader == first:
        raise RuleError("SAME_PERSON", f"expected two persons, {first} signs alone")
    signed = order_bytes(errand.caller, question.message_id, officer=first, words=question.words)
    verify_own_key(source, second, signed)
    verify_another_person(source, second, (first,))
    return True


def _facts_here(errand: Errand, message: StoredMessage) -> tuple[NodeName, OrderFacts]:
    """The province on the other side, and what policy is told of a message of this office."""
    is_sent = message.direction == "sent"
    facts = _facts_of(errand.node, errand.in_force, message, office=errand.caller, by_sender=is_sent)
    return message.pair.recipient if is_sent else message.pair.sender, facts


def _facts_of(
    node: Node, in_force: InForce, message: StoredMessage, *, office: AgencyId, by_sender: bool
) -> OrderFacts:
    kind = node.kinds.get(message.kind)
    return OrderFacts(
        by_sender=by_sender,
        under_floor=is_under_floor(node, in_force, message),
        own_office=may_order(node, message, office),
        hands_over=hands_over_record(node, message),
        is_entry=kind is not None and kind.partial,
    )


def _judge_order(received: Received[OrderItem]) -> Judgement:
    """Judges an order of another province, and obeys it if policy allows; what never came is destroyed as it comes."""
    node, in_force, item = received.node, received.in_force, received.item
    message = find_by_digest(node.database, "received", item.message)
    sender = received.statement.sender.node
    ours = find_by_digest(node.database, "sent", item.message) is not None
    office = received.statement.sender.agency
    if message is not None:
        by_sender = not ours and message.pair.sender == sender
        facts = _facts_of(node, in_force, message, office=office, by_sender=by_sender)
    else:  # what has not come is looked at when it comes: nothing is destroyed by then
        is_entry = received.statement.function != ERASURE_FUNCTION
        facts = OrderFacts(
            by_sender=not ours, under_floor=False, own_office=True, hands_over=True, is_entry=is_entry
        )  # fmt: skip
    request = order_request(received.sender, node.name, occasion=received.occasion, facts=facts)
    judged = received.judge(request)

    def owes(destroyed: Destroyed | None) -> tuple[Record, ...]:
        owed = Owed(cites=received.digest, message=item.message, is_held=destroyed is not None)
        return (OWED.record(owed, owner=node.name),)

    erasure = Erasure(
        message=item.message,
        direction="received",
        peer=sender,
        grounds=ErasureGrounds.ORDERED,
        office=office,
        owes=owes,
    )
    return replace(judged, rows=Rows(erases=(erasure,), then=send_receipts))


def _repeated_answer(node: Node, done: _Ordered) -> ErasureAnswer:
    """Returns the answer to an order; of one that was resent since, the line of its last statement."""
    order = newest_of(node.database, load_order(node.database, done.digest))
    return ErasureAnswer(decision=done.ruling, line=line_of(order, now=node.now()))


def _find_own(node: Node, message_id: MessageId, office: AgencyId) -> StoredMessage | None:
    """The message with that id that the office may order erased as far as it is the office's; else None."""
    message = find_message(node.database, "sent", message_id) or find_message(node.database, "received", message_id)
    return message if message is not None and may_order(node, message, office) else None


def _draft_of(
    errand: Errand, message: StoredMessage, words: str, request: PolicyRequest, *, decision: Decision
) -> Draft:
    item = OrderItem(message_id=message.id, message=message.digest, words=words)
    pair = message.pair
    to = Recipient(node=pair.recipient if pair.sender == errand.node.name else pair.sender)
    return ORDERED.draft(item, to=to, cause=errand.cause(ERASURE_BASIS), decision=decision, asked=(request,))


def _resent(missed: Missed) -> Draft:
    """The order goes on under the statement that took the place of the one that expired."""
    order = ORDERS.find(missed.source, missed.message.digest)
    return missed.again(rows=partial(_goes_on, order)) if order is not None else missed.again()


def _goes_on(order: Order, sent: Sent) -> tuple[Record, ...]:
    followed = (replace(order, digest=sent.digest), replace(order, resent=True))
    return tuple(record for each in followed for record in order_records(each, owner=order.agency.node))


ORDERED = item_kind(
    OrderItem,
    name=ORDER_KIND,
    media_type=ORDER_BODY,
    judge=_judge_order,
    answers=(),
    keep=PROVISION,
    erasable_by=None,
    resend=_resent,
)
