"""Kinds of message, and the judgement of one that came: the decision, and what is written, as values.

`node.features.KINDS` is the only list of kinds. Items are decoded and counted here, once, before the kind's judge sees
them; a rule that a judge raises is the refused decision. `receive` writes the `Rows` in its one transaction.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import structlog

from federation.domain.erasure import ErasureGrounds
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.node.exchange.resend import Missed
from federation.node.exchange.send import Cause, Draft, Sent, exchange_withheld, no_rows
from federation.node.log.decisions import REPLY_RULE, Questions, rule_name
from federation.node.node import InForce, Node, agency_facts
from federation.protocol.body import Body, Handed
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError, UnavailableError
from federation.protocol.form import Item, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds, PolicyRequest, decide, join_decisions
from federation.protocol.statement import Recipient, Statement
from federation.protocol.trust import withheld
from federation.protocol.trust.agreement import EXERCISE_ONLY, SUSPENDED
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import Direction, StoredMessage, find_by_digest
from federation.store.records import Record, find_record, next_serial, put_records

_log = structlog.get_logger()
I = TypeVar("I")  # noqa: E741 - the item of a kind
J = TypeVar("J", bound=Item)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Received(Generic[I]):
    """A verified message, its items decoded, the open ones of a partial body.

    `digest` is what a reply cites, `request` the message of ours that it cites.
    """

    node: Node
    in_force: InForce
    statement: Statement
    digest: str
    body: Handed
    items: tuple[I, ...]
    request: StoredMessage | None

    @property
    def item(self) -> I:
        return self.items[0]

    @property
    def sender(self) -> AgencyFacts:
        return agency_facts(self.in_force, self.statement.sender.agency)

    @property
    def occasion(self) -> Occasion:
        return self.in_force.occasion(self.statement.purpose, self.statement.function)

    @property
    def cited(self) -> StoredMessage:
        """The request of ours that this message answers. Raises MalformedError: REPLY_UNASKED."""
        if self.request is None:
            raise MalformedError("REPLY_UNASKED", "expected a reply that cites a request of ours to that node")
        return self.request

    def judge(self, *asked: PolicyRequest, rows: Rows | None = None, refused: Rows | None = None) -> Judgement:
        """Returns what our policy says to all of these questions together, with the rows of a yes and of a no."""
        decisions = [decide(self.in_force.policies, question) for question in asked]
        decision = decisions[0] if len(decisions) == 1 else join_decisions(decisions)
        return Judgement(decision=decision, asked=asked, rows=rows or NO_ROWS, refused=refused or NO_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A record that gets the next number of a series behind its id, unless `mark` was written before."""

    series: str
    mark: Record
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """The `erasure` leaf of a message: its exact entry and its place in this log."""

    entry: bytes
    index: int


def owes_nothing(destroyed: Destroyed | None) -> tuple[Record, ...]:
    del destroyed
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One message to destroy, from the peer or to it; `owes` makes the records of the receipt that is owed for it.

    `office` is who ordered it: what comes after its order is destroyed if that office may have it erased.
    """

    message: str
    direction: Direction
    peer: NodeName
    grounds: ErasureGrounds
    office: AgencyId | None = None
    owes: Callable[[Destroyed | None], tuple[Record, ...]] = owes_nothing


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter that goes up by one and never above `most`; who would pass it is refused by the rule `reason`."""

    name: str
    most: int
    reason: str = field(kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All that a judgement writes and destroys, and the keys of `waiters` to notify once it is durable.

    `records` of our own are new ones, left by the judged message or by `left_by`; `updates` reads the store and returns
    the records that follow from it; `drafts` are the replies; `then` is a step of its own once all this is durable,
    which a round of a duty makes good should this process die before it.
    """

    records: tuple[Record, ...] = ()
    left_by: MessageId | None = None
    numbered: tuple[Numbered, ...] = ()
    counted: tuple[Counted, ...] = ()
    updates: Callable[[GroupTransaction], tuple[Record, ...]] | None = None
    drafts: tuple[Draft, ...] = ()
    erases: tuple[Erasure, ...] = ()
    wakes: tuple[str, ...] = ()
    then: Callable[[Node], Awaitable[object]] | None = None


NO_ROWS = Rows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The decision on a message; `rows` are written when it allows, `refused` when not.

    The answers to `asked` make the decision, those to `asked_of_records` show in the reply only; all are kept.
    """

    decision: Decision
    rows: Rows = NO_ROWS
    refused: Rows = NO_ROWS
    asked: tuple[PolicyRequest, ...] = ()
    asked_of_records: tuple[PolicyRequest, ...] = ()

    @property
    def questions(self) -> Questions:
        return Questions(deciding=self.asked, of_records=self.asked_of_records)

    @property
    def written(self) -> Rows:
        return self.rows if self.decision.allowed else self.refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[I]):
    """A kind of message. Nothing has a default: what a kind leaves behind and who may answer it is said, not forgotten.

    name: as the statement has it, `correction.request`.
    media_type: of its body.
    encode, decode: an item as bytes and back; decoding is told the statement that brought it.
    many: whether a body carries any number of items, or exactly one.
    partial: whether each recipient is handed some places of one body, or the whole body.
    judge: what a received message means here; a `RuleError` refuses it by that rule.
    answers: the kinds of ours that it replies to; a message that cites none of them is malformed. Empty for a question.
    keep: the row of `policies/retention.toml` under which it is kept or ends.
    erasable_by: whether an office may order erased what such a message handed over; None where it hands over no record,
        but asks or answers.
    resend: what is said anew of one that expired on its way and that the peer never had (None: nothing is left to
        say); None for a kind that ends with its time.
    is_exercise: whether a message belongs to an exercise, which alone is taken from or as a province that was admitted
        just now; None, the one default, for a kind of which none does.
    """

    name: str
    media_type: str
    encode: Callable[[I], bytes]
    decode: Callable[[bytes, Statement], I]
    many: bool
    partial: bool
    judge: Callable[[Received[I]], Judgement]
    answers: tuple[str, ...]
    keep: str
    erasable_by: Callable[[Source, AgencyId, StoredMessage], bool] | None
    resend: Callable[[Missed], Draft | None] | None
    is_exercise: Callable[[Received[I]], bool] | None = None

    def draft(
        self,
        *items: I,
        to: Recipient,
        cause: Cause,
        decision: Decision,
        asked: tuple[PolicyRequest, ...] = (),
        rows: Callable[[Sent], Sequence[Record]] = no_rows,
    ) -> Draft:
        """A message of this kind that `decision` lets out, with its body under a fresh salt."""
        body = Body(type=self.media_type, salt=os.urandom(32), items=tuple(map(self.encode, items)))
        return Draft(kind=self.name, recipient=to, cause=cause, body=body, decision=decision, asked=asked, rows=rows)


def item_kind(
    item: type[J],
    *,
    judge: Callable[[Received[J]], Judgement],
    read: Callable[[bytes, Statement], J] | None = None,
    **rest: Any,  # noqa: ANN401
) -> Kind[J]:
    """A kind whose body is one item of a class, which says all of its form where `read` refuses no more.

    `rest` is what else `Kind` has.
    """
    return Kind(
        encode=encode,
        decode=read or (lambda content, _: decode(item, content)),
        many=False,
        partial=False,
        judge=judge,
        **rest,
    )


def put_rows(transaction: GroupTransaction, rows: Rows, *, message_id: MessageId | None) -> None:
    """Writes the records of a judgement as what that message leaves; replies and erasures are the caller's."""
    with transaction.carrying(rows.left_by or message_id):
        put_records(transaction, rows.records, expect_version=0)
        for numbered in rows.numbered:
            if find_record(transaction, numbered.mark.kind, numbered.mark.id, replica=numbered.mark.replica) is None:
                serial = next_serial(transaction, numbered.series)
                record = replace(numbered.record, id=f"{numbered.record.id}{serial:012}")
                put_records(transaction, [numbered.mark, record])
        if rows.updates is not None:
            put_records(transaction, rows.updates(transaction))
    for counted in rows.counted:
        if transaction.count_up(counted.name) > counted.most:
            raise UnavailableError(counted.reason, "others were counted at this moment; send it again to be judged")


def wake(node: Node, rows: Rows) -> None:
    """Tells whoever waits for what was written, and brings the replies on their way, once it is durable."""
    for draft in rows.drafts:
        node.wake_delivery(draft.recipient.node)
    for key in rows.wakes:
        node.waiters.tell(key)


async def follow(node: Node, rows: Rows) -> None:
    """Wakes who waits, and takes the step that follows, once all this is durable: a step that fails undoes nothing.

    So it is told in the log, and whoever sent or asked has the answer that is true; a round of a duty makes it good.
    """
    wake(node, rows)
    if rows.then is not None:
        try:
            await rows.then(node)
        except BridgeheadError as error:
            _log.warning("message.unfollowed", reason=error.reason)
        except Exception:  # noqa: BLE001 - an error would say that nothing was written
            _log.exception("message.unfollowed")


def judge(node: Node, statement: Statement, body: Handed | None, *, digest: str, in_force: InForce) -> Judgement:
    """Judges a verified message; what a judge does not find is a logged no like that of a rule.

    Refuses BODY_TYPE, BODY_ITEMS, REPLY_UNASKED, as the decoder; UnavailableError MESSAGE_KIND for an unknown kind: the
    message waits for our upgrade until it expires.
    """
    kind = node.kinds.get(statement.kind)
    if kind is None:
        raise UnavailableError("MESSAGE_KIND", f"expected one of {', '.join(node.kinds)}, got {statement.kind!r}")
    if body is None or body.type != kind.media_type:
        raise MalformedError("BODY_TYPE", f"expected a body of type {kind.media_type}")
    received = open_received(node, statement, body, digest=digest, in_force=in_force)
    try:
        _verify_exercise(kind, received)
        return kind.judge(received)
    except (RuleError, NotFoundError) as error:
        return refused_by_rule(error)


def _verify_exercise(kind: Kind[Any], received: Received[Any]) -> None:
    """Refuses what is no exercise while the agreement lets nothing else pass between the two (EXERCISE_ONLY)."""
    agreement, sender = received.in_force.agreement, received.statement.sender.node
    why = withheld(agreement, sender, received.node.name)
    if why and not (kind.is_exercise is not None and kind.is_exercise(received)):
        raise exchange_withheld(why, sender, received.node.name)


def open_received(node: Node, statement: Statement, body: Handed, *, digest: str, in_force: InForce) -> Received[Any]:
    """Decodes a message's items and finds the request that it answers. Refuses BODY_ITEMS, REPLY_UNASKED."""
    kind = node.kinds[statement.kind]
    if not kind.many and len(body.items) != 1:
        raise MalformedError("BODY_ITEMS", f"expected one item, got {len(body.items)}")
    return Received(
        node=node,
        in_force=in_force,
        statement=statement,
        digest=digest,
        body=body,
        items=tuple(kind.decode(item, statement) for item in body.items),
        request=_load_cited(node, statement, of=kind.answers) if kind.answers else None,
    )


def _load_cited(node: Node, statement: Statement, *, of: tuple[str, ...]) -> StoredMessage:
    """The request of ours that a reply cites: of one of those kinds, and it went to that very node."""
    cited = statement.in_reply_to
    request = find_by_digest(node.database, "sent", cited) if cited is not None else None
    if request is None or request.pair.recipient != statement.sender.node or request.kind not in of:
        raise MalformedError("REPLY_UNASKED", "expected a reply that cites a request of ours to that node")
    return request


def allowed_by_rule(rule: str, title_zh: str, title_en: str) -> Decision:
    """A yes that a rule of the exchange gives without asking policy; the leaf names the rule."""
    return Decision(
        verdict=Verdict.ALLOWED,
        policies=(rule,),
        fields=frozenset(),
        reason=Grounds.PERMITTED,
        title_zh=title_zh,
        title_en=title_en,
    )


REPLY_TAKEN = allowed_by_rule(REPLY_RULE, "对本省请求的答复", "A reply to a request of ours")
"""What takes in an answer to a request of ours: it was our own policy that let the request out."""


_WITHHELD: Final[Mapping[str, tuple[str, str]]] = {
    rule_name(SUSPENDED): ("一方已中止，暂不收发", "One of the two is suspended: nothing passes for now"),
    rule_name(EXERCISE_ONLY): (
        "对方或本方尚在演练期，只收发演练",
        "One of the two is in exercises alone so far",
    ),
}


def rule_decision(error: RuleError | NotFoundError, titles: Mapping[str, tuple[str, str]] | None = None) -> Decision:
    """The no of a rule as a decision, logged and receipted like policy's; `titles` are the words of rules by name."""
    name = rule_name(error.reason)
    title_zh, title_en = {**_WITHHELD, **(titles or {})}.get(name, (error.message, error.message))
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(name,),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=title_zh,
        title_en=title_en,
    )


def refused_by_rule(error: RuleError | NotFoundError, *asked: PolicyRequest) -> Judgement:
    """A message that a rule refuses; nothing is written with it but its leaf, and what policy was asked before."""
    return Judgement(decision=rule_decision(error), asked=asked)
