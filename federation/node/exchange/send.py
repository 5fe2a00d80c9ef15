"""Sending: a message is decided, numbered, encoded once, signed, logged and queued in one transaction.

The bytes are made inside that transaction: the number of the ordered pair may neither be skipped nor used twice. One
row a message says when it is looked at next: by the clocks while its answer is awaited, then by retention, whether what
it handed over has ended. It dies with the message.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from federation.domain.lookups import reminder_due
from federation.domain.retention import DestroyOn, RetentionRule
from federation.node.log.decisions import Questions, decision_records
from federation.node.log.sequence import Committed
from federation.node.node import InForce, Node
from federation.protocol.body import Body, Handed, commit_body, verify_partial
from federation.protocol.envelope import Envelope, parse_envelope, sign_envelope
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, NodeName, Pair, format_message_id, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, Verdict, encode_leaf, leaf_about
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import AgreementRef, BodyRef, Recipient, Sender, Statement, encode_statement
from federation.protocol.trust import verify_in_force
from federation.protocol.trust.agreement import SUSPENDED
from federation.store.collection import Collection
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import Direction, StoredMessage, has_body, put_body, put_message, put_outbox
from federation.store.records import Record, put_records

AWAITED: Final = "awaited"
"""The division of the rows that the clocks look at; retention has the others."""
SETTLE: Final = timedelta(seconds=5)
"""What was judged in its last moment is written before its request is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """That a message is looked at then; `case` is its own, with the node of the agency that opened it.

    `awaited`: by the clocks, since its answer is awaited here; until they let go of it, it outlives the message.
    """

    direction: Direction
    message_id: MessageId
    time: datetime
    case: str = ""
    looks: int = 1
    awaited: bool = False


ENDS: Final[Collection[End]] = Collection(
    kind="message-end",
    encode=lambda _: b"",
    decode=lambda record: End(
        direction="sent" if record.id.startswith("sent/") else "received",
        message_id=MessageId(record.id.partition("/")[2]),
        time=record.due_time or datetime.max.replace(tzinfo=UTC),
        case=record.subject or "",
        looks=record.version,
        awaited=record.division == AWAITED,
    ),
    id=lambda end: f"{end.direction}/{end.message_id}",
    replica=True,
    version=lambda end: end.looks,
    division=lambda end: AWAITED if end.awaited else "",
    due_time=lambda end: end.time,
    subject=lambda end: end.case or None,
)


def put_end(
    node: Node,
    transaction: GroupTransaction,
    statement: Statement,
    *,
    direction: Direction,
    in_force: InForce,
    awaited: bool = False,
) -> None:
    """Writes down when a message is looked at first; nothing for a rule that no time and no case ends.

    Refuses RETENTION_RULE for a kind of which the agreement does not say how it ends: it would be kept for ever.
    """
    kind = node.kinds.get(statement.kind)
    rule = in_force.retention.rules.get(kind.keep) if kind is not None else None
    if rule is None:
        raise NotFoundError("RETENTION_RULE", f"the agreement does not say how a {statement.kind:.60} ends")
    time = _first_look(rule, statement, direction, in_force)
    if time is None:
        return
    asker = statement.recipient.node if _ends_at_asker(rule) else statement.sender.node
    case = f"{asker}/{statement.case}" if statement.case else ""
    if awaited:
        time = reminder_due(statement.created, statement.expires)
    end = End(direction=direction, message_id=statement.id, time=time, case=case, awaited=awaited)
    with transaction.carrying(None if awaited else statement.id):
        ENDS.put(transaction, end, owner=node.name)


def look_later(transaction: GroupTransaction, end: End, time: datetime, *, node: Node) -> None:
    """Puts the next look off, unless the message is gone or another process has done so."""
    if ENDS.find(transaction, ENDS.id(end)) is not None:
        ENDS.put(transaction, replace(end, time=time, looks=end.looks + 1), owner=node.name)


def let_go(transaction: GroupTransaction, end: End, *, node: Node, now: datetime) -> None:
    """Hands a message whose answer is no longer awaited to retention, which looks at it now."""
    if not has_body(transaction, end.message_id):  # destroyed meanwhile, with nothing left to end
        ENDS.erase(transaction, ENDS.id(end))
        return
    with transaction.carrying(end.message_id):
        look_later(transaction, replace(end, awaited=False), now, node=node)


def answered_by(statement: Statement, in_force: InForce) -> datetime:
    """Returns until when an answer that was given in time may still be taken in."""
    return statement.expires + in_force.agreement.clock_tolerance + SETTLE


def _first_look(rule: RetentionRule, statement: Statement, direction: Direction, in_force: InForce) -> datetime | None:
    if rule.destroy_after_days is not None:
        return statement.created + timedelta(days=rule.destroy_after_days)
    if rule.destroy_on is DestroyOn.CASE_AND_ANSWER_ENDED:
        return answered_by(statement, in_force)
    if _ends_at_asker(rule) and direction == "received":
        return statement.created
    return None


def _ends_at_asker(rule: RetentionRule) -> bool:
    """True for the answer to a question: its asker destroys it, and sends the giver a receipt."""
    return rule.destroy_on is DestroyOn.EXPIRED_OR_CASE_CLOSED


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The cause of a message: who asked for it, and the purpose, function and legal basis it stands on."""

    sender: Sender
    purpose: str
    function: str
    basis: str
    case: str | None = None
    in_reply_to: str | None = None

    @classmethod
    def of(cls, statement: Statement, sender: Sender, *, in_reply_to: str | None) -> Cause:
        """The cause of another statement, as that of this sender."""
        return cls(
            sender=sender,
            purpose=statement.purpose,
            function=statement.function,
            basis=statement.basis,
            case=statement.case,
            in_reply_to=in_reply_to,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The names of a message that was sent: its id, and the digest of its statement, which a reply cites."""

    id: MessageId
    digest: str


def no_rows(sent: Sent) -> Sequence[Record]:
    del sent
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message that our outgoing policy lets out (`decision`), before it has a number.

    `lifetime` None takes the agreement's, which is the most. `asked` is kept beside the leaf. `rows` makes the records
    that it leaves here, in the transaction that sends it, and erased with it. `awaited`: clocks watch for its answer.
    `ref` is what the statements say of the body that a partial one is of; a whole body is committed to as it is sent.
    """

    kind: str
    recipient: Recipient
    cause: Cause
    body: Handed | None
    decision: Decision
    lifetime: timedelta | None = None
    asked: tuple[PolicyRequest, ...] = ()
    rows: Callable[[Sent], Sequence[Record]] = no_rows
    awaited: bool = False
    ref: BodyRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A draft with its id and its body committed to: all that can be done outside the writer's transaction."""

    draft: Draft
    id: MessageId
    body: BodyRef | None


def exchange_withheld(why: str, *nodes: NodeName) -> RuleError:
    """The no of a rule to what the agreement lets not pass between two members (`withheld`)."""
    pair = " and ".join(nodes)
    said = "nothing for now" if why == SUSPENDED else "exercises alone, until the provinces agree on all"
    return RuleError(why, f"between {pair} the agreement lets pass {said}")


async def send(
    node: Node, drafts: Sequence[Draft], *, rows: Callable[[GroupTransaction], T]
) -> Committed[tuple[T, tuple[MessageId, ...]]]:
    """Commits domain rows and the messages about them in one transaction, then wakes the delivery.

    `rows` may run again, so it depends on the transaction alone. Returns what it returned and the ids of the messages,
    now durable. Refuses AGREEMENT_EXPIRED, and as `rows` and the store; nothing was written then.
    """
    in_force = node.trust.in_force
    if drafts:
        verify_in_force(in_force.agreement, node.now())
    ready = [prepare(node, draft) for draft in drafts]

    def record(transaction: GroupTransaction) -> tuple[T, tuple[MessageId, ...]]:
        value = rows(transaction)
        for message in ready:
            record_message(node, transaction, message, in_force=in_force)
        return value, tuple(message.id for message in ready)

    committed = await node.sequencer.commit(record)
    for message in ready:
        node.wake_delivery(message.draft.recipient.node)
    return committed


def prepare(node: Node, draft: Draft) -> Prepared:
    """Gives a draft its id, for ever, and commits to its body (BODY_PARTIAL, and as `verify_partial`)."""
    body = commit_body(draft.body) if isinstance(draft.body, Body) else draft.ref
    if draft.body is not None and not isinstance(draft.body, Body):
        if draft.ref is None:
            raise MalformedError("BODY_PARTIAL", "expected a partial body with what the statement says of the whole")
        verify_partial(draft.body, draft.ref)
    return Prepared(draft=draft, id=format_message_id(node.now(), os.urandom(10)), body=body)


def record_message(node: Node, transaction: GroupTransaction, ready: Prepared, *, in_force: InForce) -> str:
    """Numbers, encodes, signs, logs and queues one message; returns its digest. The caller wakes the delivery."""
    draft = ready.draft
    pair = Pair(node.name, draft.recipient.node)
    statement = _statement_of(node, ready, seq=transaction.next_seq(pair), in_force=in_force)
    envelope = parse_envelope(sign_envelope(encode_statement(statement), node.signer))
    leaf = _leaf_of(statement, envelope, draft.decision)
    index = transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    put_message(
        transaction,
        StoredMessage(
            id=ready.id,
            digest=envelope.digest,
            direction="sent",
            pair=pair,
            seq=statement.seq,
            kind=draft.kind,
            verdict=draft.decision.verdict.value,
            leaf_index=index,
            envelope=envelope.encoded,
            reply=None,
            created=statement.created,
        ),
    )
    put_records(
        transaction, decision_records(leaf, Questions(deciding=draft.asked), book=in_force.policies, owner=node.name)
    )
    rows = draft.rows(Sent(id=ready.id, digest=envelope.digest))
    if rows:
        with transaction.carrying(ready.id):
            put_records(transaction, rows)
    if draft.body is not None:
        put_body(transaction, ready.id, draft.body)
        put_end(node, transaction, statement, direction="sent", in_force=in_force, awaited=draft.awaited)
    put_outbox(transaction, message_id=ready.id, peer=pair.recipient, seq=statement.seq, expires=statement.expires)
    return envelope.digest


def _statement_of(node: Node, ready: Prepared, *, seq: int, in_force: InForce) -> Statement:
    draft, agreement = ready.draft, in_force.agreement
    created = truncate_to_millisecond(node.now())
    return Statement(
        federation=agreement.federation,
        realm=agreement.realm,
        id=ready.id,
        kind=draft.kind,
        sender=draft.cause.sender,
        recipient=draft.recipient,
        seq=seq,
        purpose=draft.cause.purpose,
        function=draft.cause.function,
        basis=draft.cause.basis,
        case=draft.cause.case,
        in_reply_to=draft.cause.in_reply_to,
        created=created,
        expires=created + min(draft.lifetime or agreement.statement_lifetime, agreement.statement_lifetime),
        agreement=AgreementRef(version=agreement.version, digest=agreement.digest),
        body=ready.body,
        peer_checkpoint=node.heads.digest(draft.recipient.node),
    )


def _leaf_of(statement: Statement, envelope: Envelope, decision: Decision) -> Leaf:
    return leaf_about(
        statement,
        envelope.digest,
        LeafKind.SENT,
        agreement_version=statement.agreement.version,
        time=statement.created,
        signatures=envelope.signatures_digest,
        commitment=statement.body.commitment if statement.body else None,
        verdict=Verdict(decision.verdict),
        policies=decision.policies,
        peer_checkpoint=statement.peer_checkpoint,
    )
