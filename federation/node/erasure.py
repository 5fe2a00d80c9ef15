"""Orders to erase: what this province sent is destroyed here and ordered destroyed there, and the other way round.

Our own destruction, the signed order and its line are one transaction; so are, at the one who obeys, rows, body, salt,
key and leaf; the receipt leaves once they are off the disk. Only the office that sent a record, or a counter of the
county that issued it, has it erased, by the word of both sides; a question or an answer never is. A receipt is taken in
only about a message that we sent to that very node, with a proof of its leaf; the giver then destroys its own copy, if
it ordered that or if its end has come by the giver's own clock. A record of provision is not erased before its time, at
either side. Source: DESIGN section 5, PIPL article 47, 网络数据安全管理条例 article 12.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import msgspec
import structlog

from federation.domain.erasure import (
    ERASURE_BASIS,
    ERASURE_FUNCTION,
    ERASURE_PURPOSE,
    ORDER_BODY,
    ORDERS_ALONE,
    RECEIPT_BODY,
    ErasureGrounds,
    ErasureOutcome,
    OrderFacts,
    OrderItem,
    ReceiptItem,
    decode_receipt_item,
    order_bytes,
    order_request,
    verify_receipt_item,
    verify_words,
)
from federation.domain.retention import ORDER, PROVISION, answer_due, has_floor, kept_until
from federation.node.ends import find_end
from federation.node.exchange.erase import destroy_message, sent_by_it
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import (
    Destroyed,
    Erasure,
    Judgement,
    Kind,
    Received,
    Rows,
    allowed_by_rule,
    item_kind,
)
from federation.node.exchange.replies import statement_of
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import ENDS, Cause, Draft, End, Prepared, Sent, prepare, record_message
from federation.node.log.decisions import OWN_ERASURE_RULE, REPLY_RULE
from federation.node.node import InForce, Node
from federation.node.officers import LeaderAct, or_logged, verify_another_person, verify_own_key
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    CorruptError,
    MalformedError,
    NotFoundError,
    RuleError,
)
from federation.protocol.form import Count, Digest, Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, format_time, truncate_to_millisecond
from federation.protocol.leaf import LeafKind, Verdict, decode_leaf
from federation.protocol.policy import Decision, Grounds, PolicyRequest
from federation.protocol.statement import Recipient, Sender, Statement
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import verify_in_force
from federation.store.collection import Collection, item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction, find_entry, find_leaf
from federation.store.messages import StoredMessage, find_by_digest, find_message, has_body
from federation.store.records import Record, put_records
from federation.wire.agency import erasure as wire
from federation.wire.agency.erasure import (
    ErasureAnswer,
    ErasureLine,
    ErasureQuestion,
    ErasureState,
)
from federation.wire.rpc import Ruling

_log = structlog.get_logger()
_AT_ONCE: Final = 64
ORDER_KIND: Final = "erasure.order"
RECEIPT_KIND: Final = "erasure.receipt"


class Order(Item, frozen=True, kw_only=True):
    """One order of ours, by its statement's digest, and its receipt. `resent`: it expired, another took its place."""

    WHAT = "erasure-order"

    digest: Digest | None = None
    message_id: MessageId
    message: Digest
    kind: str
    recipient: NodeName
    agency: AgencyId
    ordered: Time
    due: Time
    receipted: Time | None = None
    outcome: ErasureOutcome | None = None
    leaf_index: Count | None = None
    leaf_digest: Digest | None = None
    resent: bool = msgspec.field(default_factory=lambda: False, name="said_again")


ORDERS: Final[Collection[Order]] = Collection(
    kind="erasure-order",
    encode=lambda order: encode(replace(order, digest=None)),
    decode=lambda record: replace(decode(Order, record.content), digest=record.id),
    id=lambda order: order.digest or "",
    replica=True,
    version=lambda order: 1 + order.resent + 2 * (order.receipted is not None),
    status=lambda order: "ordered" if order.receipted is None else "receipted",
    division=lambda order: order.agency.county,
    due=lambda order: order.due.date() if order.receipted is None else None,
    subject=lambda order: order.message,
    kept_under=PROVISION,
)
"""Kept under the digest of the order's statement, in one row; found by the digest of the message to erase, too."""

ORDER_LINES: Final[Collection[str]] = Collection(
    kind="erasure-order-line",
    encode=lambda _: b"",
    decode=lambda record: record.id.rpartition("/")[2],
    id=lambda line: line,
    replica=True,
    kept_under=PROVISION,
)
"""The digests of the orders, in the order of their times."""


def order_records(order: Order, *, owner: NodeName) -> tuple[Record, ...]:
    record = ORDERS.record(order, owner=owner)
    if order.receipted is not None or order.resent:
        return (record,)
    return (record, ORDER_LINES.record(f"{format_time(order.ordered)}/{order.digest}", owner=owner))


def answered(order: Order, receipt: ReceiptItem, *, now: datetime) -> Order:
    """The order with its receipt; the first one counts."""
    if order.receipted is not None:
        return order
    held = receipt.outcome is ErasureOutcome.ERASED
    return replace(
        order,
        receipted=now,
        outcome=receipt.outcome,
        leaf_index=receipt.index if held else None,
        leaf_digest=receipt.leaf_digest,
    )


def newest_of(source: Source, order: Order) -> Order:
    """The order itself, or the one that took its place when it was sent again."""
    if not order.resent:
        return order
    return next((each for each in ORDERS.by_subject(source, order.message) if not each.resent), order)


class _Ordered(Item, frozen=True, kw_only=True):
    """The remembered answer to an order: policy's word, and the digest of the order's statement."""

    ruling: Ruling
    digest: str


@on(wire.ORDER_ERASURE)
async def order_erasure(errand: Errand, question: ErasureQuestion) -> ErasureAnswer:
    """Destroys what a message of this province handed over, and orders its recipient to do the same.

    A repeat gets the first ruling, and the order's line as it stands now. Refuses ERASURE_WORDS, MESSAGE_UNKNOWN,
    ERASURE_DONE when it was erased before or handed over nothing, ERASURE_SECOND without a second person beyond so many
    orders of the office a day, SAME_PERSON, OFFICER_KEY, REQUEST_ID_REUSED, AGREEMENT_EXPIRED.
    """
    node = errand.node
    words = verify_words(question.words)
    asked = errand.asked(ORDER_KIND, f"{question.message_id} {words}")
    known = errand.remembered(asked, _Ordered)
    if known is not None:
        return _repeated_answer(node, known.answer)
    message = _find_either(node, question.message_id)
    other = message.pair.recipient if message.direction == "sent" else message.pair.sender
    facts = _facts_of(node, errand.in_force, message, office=errand.caller, by_sender=message.direction == "sent")
    request = order_request(errand.agency, other, occasion=errand.occasion, facts=facts)
    ruling = await errand.ask(request)
    if not ruling.allowed:
        return ErasureAnswer(decision=ruling)
    verify_in_force(errand.in_force.agreement, node.now())
    ready = prepare(node, _draft_of(errand, message, words, request, decision=ruling))
    done = await or_logged(errand, _order_once(errand, asked, question, message, ready, ruling))
    node.wake_delivery(other)
    return _repeated_answer(node, done)


async def _order_once(
    errand: Errand, asked: str, question: ErasureQuestion, message: StoredMessage, ready: Prepared, ruling: Ruling
) -> _Ordered:
    node, ordered = errand.node, truncate_to_millisecond(errand.node.now())
    has_second = _verify_second(errand, question)

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
        digest = record_message(node, transaction, ready, in_force=errand.in_force)
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
        put_records(transaction, order_records(order, owner=node.name))
        return _Ordered(ruling=ruling, digest=digest)

    try:
        return await errand.once(asked, _Ordered, write)
    except ConflictError:
        first = errand.remembered(asked, _Ordered)  # a repeat at the same moment came first
        if first is None:
            raise
        return first.answer


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


def _facts_of(
    node: Node, in_force: InForce, message: StoredMessage, *, office: AgencyId, by_sender: bool
) -> OrderFacts:
    return OrderFacts(
        by_sender=by_sender,
        under_floor=is_under_floor(node, in_force, message),
        own_office=may_order(node, message, office),
        hands_over=hands_over_record(node, message),
    )


def hands_over_record(node: Node, message: StoredMessage) -> bool:
    kind = node.kinds.get(message.kind)
    return kind is not None and kind.erasable_by is not None


def may_order(node: Node, message: StoredMessage, office: AgencyId) -> bool:
    """True for the office whose record the message handed over; of what hands over none, for the one that sent it."""
    kind = node.kinds.get(message.kind)
    erasable_by = (kind.erasable_by if kind is not None else None) or sent_by_it
    return erasable_by(node.database, office, message)


def load_order(source: Source, digest: str) -> Order:
    order = ORDERS.find(source, digest)
    if order is None:
        raise CorruptError("ERASURE_RECORD", "expected the order that a line of the list names")
    return order


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
        facts = OrderFacts(by_sender=not ours, under_floor=False, own_office=True, hands_over=True)
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


def is_under_floor(node: Node, in_force: InForce, message: StoredMessage) -> bool:
    """True for a record of provision that must still be kept, and for a message of an unknown kind."""
    kind, rules = node.kinds.get(message.kind), in_force.retention
    rule_id = kind.keep if kind is not None else PROVISION
    return has_floor(rules, rule_id) and node.now() < kept_until(rules, rule_id, message.created)


def _find_either(node: Node, message_id: MessageId) -> StoredMessage:
    message = find_message(node.database, "sent", message_id) or find_message(node.database, "received", message_id)
    if message is None:
        raise NotFoundError("MESSAGE_UNKNOWN", f"no message {message_id} was sent or received here")
    return message


def _draft_of(
    errand: Errand, message: StoredMessage, words: str, request: PolicyRequest, *, decision: Decision
) -> Draft:
    item = OrderItem(message_id=message.id, message=message.digest, words=words)
    pair = message.pair
    to = Recipient(node=pair.recipient if pair.sender == errand.node.name else pair.sender)
    return ORDERED.draft(item, to=to, cause=errand.cause(ERASURE_BASIS), decision=decision, asked=(request,))


def line_of(order: Order, *, now: datetime) -> ErasureLine:
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
    count = 0
    while owed := list(islice(OWED.each(node.database), _AT_ONCE)):
        if not await asyncio.to_thread(_is_scrubbed, node):
            return count
        in_force = node.trust.in_force
        verify_in_force(in_force.agreement, node.now())
        ready = [(each, await asyncio.to_thread(_prepare_receipt, node, in_force, each)) for each in owed]
        peers = (await node.sequencer.commit(partial(_record_receipts, node, in_force, ready))).value
        for peer in peers:
            node.wake_delivery(peer)
        count += len(ready)
    return count


def _is_scrubbed(node: Node) -> bool:
    """True once nothing that was deleted lies on the disk."""
    if node.database.is_scrub_due:
        node.database.scrub()
    return not node.database.is_scrub_due


def _prepare_receipt(node: Node, in_force: InForce, owed: Owed) -> Prepared:
    cited = find_by_digest(node.database, "received", owed.cites)
    if cited is None:
        raise CorruptError("ERASURE_RECORD", "expected the message that a receipt is owed for")
    ordered = owed.cites != owed.message
    item = ReceiptItem(
        message=owed.message,
        outcome=ErasureOutcome.ERASED if owed.is_held else ErasureOutcome.NOT_HELD,
        order=owed.cites if ordered else None,
    )
    item = _proved(node, item) if owed.is_held else item
    decision = _decision_on(node, cited) if ordered else _OWN
    draft = receipt_draft(node, statement_of(cited), item, cites=owed.cites, decision=decision, in_force=in_force)
    return prepare(node, draft)


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


def _record_receipts(
    node: Node, in_force: InForce, ready: Sequence[tuple[Owed, Prepared]], transaction: GroupTransaction
) -> set[NodeName]:
    peers: set[NodeName] = set()
    for owed, prepared in ready:
        if OWED.erase(transaction, OWED.id(owed)):  # or another process of this node was here first
            record_message(node, transaction, prepared, in_force=in_force)
            peers.add(prepared.draft.recipient.node)
    return peers


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


RECEIPT = Kind(
    name=RECEIPT_KIND,
    media_type=RECEIPT_BODY,
    encode=encode,
    decode=lambda content, _: decode_receipt_item(content),
    many=False,
    judge=_judge_receipt,
    answers=(),
    keep=PROVISION,
    erasable_by=None,
    resend=_resent_receipt,
)
