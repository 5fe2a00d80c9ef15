"""An act of one of our own agencies: asking our own policy, doing it once, and keeping a record of every no.

A refusal is a value: it goes back to the clerk with the deciding policy in words, and into our log as a `refused` leaf,
which holds a digest, never who or what.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.domain.retention import USE
from federation.node.exchange.judge import rule_decision
from federation.node.exchange.send import Cause, Draft, Prepared, exchange_withheld, prepare, record_message
from federation.node.log.decisions import Questions, decision_records
from federation.node.node import InForce, Node, agency_facts, plain_leaf
from federation.protocol.errors import ConflictError, RuleError
from federation.protocol.form import Item, decode, encode, encode_canonical
from federation.protocol.ids import AgencyId, MessageId, NodeName
from federation.protocol.leaf import LeafKind, Verdict, encode_leaf
from federation.protocol.policy import PolicyRequest, decide
from federation.protocol.policy.explain import explain
from federation.protocol.statement import Sender
from federation.protocol.trust import verify_in_force, withheld
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, put_records
from federation.wire.rpc import Act, Q, Rpc, Ruling, SignedAct, ruling_of

REQUEST: Final = "request"
A = TypeVar("A", bound=Item)
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered(Generic[A]):
    """The remembered answer to a request; one that grows, such as an import's, has a new version each time."""

    answer: A
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """An act of one agency's desk (`desk`: the certificate's serial), judged under one version of the agreement.

    `signed` is what the officer's own key signed, verified before the step began (`officers.verify_signed`), which
    `is_signed` says.
    """

    node: Node
    in_force: InForce
    caller: AgencyId
    act: Act
    desk: str = ""
    signed: SignedAct | None = None
    is_signed: bool = False

    @property
    def agency(self) -> AgencyFacts:
        """Facts of the caller for policy. Raises UntrustedError: NOT_AN_AGENCY when the agreement does not name it."""
        return agency_facts(self.in_force, self.caller)

    @property
    def occasion(self) -> Occasion:
        return self.in_force.occasion(self.act.purpose, self.act.function)

    def cause(self, basis: str, *, case: str | None = None, in_reply_to: str | None = None) -> Cause:
        """The cause of a message of this act: its officer, purpose and function, and that legal basis."""
        return Cause(
            sender=Sender(node=self.node.name, agency=self.caller, officer=self.act.officer),
            purpose=self.act.purpose,
            function=self.act.function,
            basis=basis,
            case=case,
            in_reply_to=in_reply_to,
        )

    def rule(self, question: PolicyRequest, *, to: NodeName | None = None) -> Ruling:
        """Decides a question; a refusal comes with what would make it lawful, clause by clause, and is not logged.

        What would go `to` a province with which the agreement lets not everything pass is refused by rule.
        """
        policies, version = self.in_force.policies, self.in_force.agreement.version
        try:
            self.verify_passes(to or self.node.name)
        except RuleError as no:
            return ruling_of(rule_decision(no), agreement_version=version)
        decision = decide(policies, question)
        if decision.allowed:
            return ruling_of(decision, agreement_version=version)
        explanation = explain(policies, question)
        return ruling_of(
            decision,
            agreement_version=version,
            explanation_zh="\n".join(explanation.remedy_zh),
            explanation_en="\n".join(explanation.remedy_en),
        )

    def verify_passes(self, to: NodeName) -> None:
        """Refuses what would go to a province with which the agreement lets not everything pass.

        MEMBER_SUSPENDED, EXERCISE_ONLY.
        """
        own = self.node.name
        if to != own and (why := withheld(self.in_force.agreement, own, to)):
            raise exchange_withheld(why, own, to)

    async def ask(self, question: PolicyRequest, *, to: NodeName | None = None) -> Ruling:
        """Decides a question as `rule` does, and logs a refusal."""
        ruling = self.rule(question, to=to)
        if not ruling.allowed:
            await self.refuse(ruling, asked=[question])
        return ruling

    async def refuse(self, *rulings: Ruling, asked: Sequence[PolicyRequest]) -> None:
        """Appends the `refused` leaf of this act once, and what policy was asked beside it (a rule asks nothing)."""
        await self.node.sequencer.commit(lambda tx: put_refusal(tx, self, rulings, asked=asked))

    def asked(self, step: str, what: str) -> str:
        """The digest (hex) of who asks for what, the id apart: by it a repeat is told from another request."""
        act = self.act
        named = {
            "agency": str(self.caller),
            "officer": act.officer,
            "step": step,
            "what": what,
            "purpose": act.purpose,
            "function": act.function,
        }
        return hashlib.sha256(encode_canonical(named)).hexdigest()

    def remembered(self, asked: str, answer: type[A], *, key: str = "") -> Remembered[A] | None:
        """Returns the remembered answer to this request; None when it is new. Refuses REQUEST_ID_REUSED."""
        return _find_remembered(self.node.database, key or self.act.request_id, asked, answer)

    async def once(
        self,
        asked: str,
        answer: type[A],
        write: Callable[[GroupTransaction], A],
        *,
        drafts: Sequence[Draft | Prepared] = (),
        key: str = "",
        after: Remembered[A] | None = None,
    ) -> A:
        """Writes rows, messages and what the request came to in one transaction, then wakes the delivery.

        Of two repeats at once one writes, and both get its answer. `asked` (as `asked` returns it) binds the answer to
        caller and content; `write` may run again, so it depends on the transaction alone; `key` is the idempotency key
        where it is not the request id; `after` is the remembered answer that this one goes on from. Refuses
        AGREEMENT_EXPIRED, REQUEST_ID_REUSED, and what `write` raises; after any error nothing was written, and after an
        UnavailableError the request may be sent again.
        """
        node, in_force, name = self.node, self.in_force, key or self.act.request_id
        before = after.version if after is not None else 0
        if drafts:
            verify_in_force(in_force.agreement, node.now())
        ready = [draft if isinstance(draft, Prepared) else prepare(node, draft) for draft in drafts]

        def record(transaction: GroupTransaction) -> A:
            # a repeat shows itself by its id: the transaction is then run again, carefully
            first = _find_remembered(transaction, name, asked, answer) if transaction.careful else None
            if first is not None and first.version != before:
                return first.answer
            made = write(transaction)
            content = asked.encode() + b"\n" + encode(made)
            row = Record(
                id=name, kind=REQUEST, owner=node.name, version=before + 1, replica=False, status="done", division="",
                content=content, kept_under=USE,
            )  # fmt: skip
            put_records(transaction, [row], expect_version=before)
            for message in ready:
                record_message(node, transaction, message, in_force=in_force)
            return made

        try:
            made = (await node.sequencer.commit(record)).value
        except (ConflictError, RuleError):
            done = self.remembered(asked, answer, key=key)
            if done is None or done.version == before:
                raise
            return done.answer  # a repeat at the same moment met what the first one wrote
        for message in ready:
            node.wake_delivery(message.draft.recipient.node)
        return made

    async def send_once(
        self, asked: str, draft: Draft, *, verify: Callable[[GroupTransaction], None] = lambda _: None
    ) -> MessageId:
        """Sends a message once and returns its id, whatever is repeated.

        `verify` looks at the store in the transaction that sends, and raises when the step may not be taken any more.
        """
        known, ready = self.remembered(asked, MessageSent), prepare(self.node, draft)

        def write(transaction: GroupTransaction) -> MessageSent:
            verify(transaction)
            return MessageSent(message_id=ready.id)

        if known is not None:
            return known.answer.message_id
        return (await self.once(asked, MessageSent, write, drafts=(ready,))).message_id


class MessageSent(Item, frozen=True, kw_only=True):
    """The answer of a step whose outcome lies in the records that its message left."""

    WHAT = "message sent"

    message_id: MessageId


def _find_remembered(source: Source, key: str, asked: str, answer: type[A]) -> Remembered[A] | None:
    record = find_record(source, REQUEST, key, replica=False)
    if record is None:
        return None
    known, _, content = record.content.partition(b"\n")
    if known != asked.encode():
        raise ConflictError("REQUEST_ID_REUSED", f"request {key} asked for something else before")
    return Remembered(answer=decode(answer, content), version=record.version)


Step: TypeAlias = Callable[[Errand, Q], R]
Marked: TypeAlias = tuple[Rpc[Any, Any], Step[Any, Any]]
STEPS: Final[list[Marked]] = []
"""The steps of the features that were imported; `node.features` imports them all."""


def on(rpc: Rpc[Q, R]) -> Callable[[Step[Q, Coroutine[Any, Any, R]]], Step[Q, Coroutine[Any, Any, R]]]:
    """Marks the step that answers an RPC, judged under the agreement in force when it was asked."""

    def mark(step: Step[Q, Coroutine[Any, Any, R]]) -> Step[Q, Coroutine[Any, Any, R]]:
        STEPS.append((rpc, step))
        return step

    return mark


def streaming(rpc: Rpc[Q, R]) -> Callable[[Step[Q, AsyncIterator[R]]], Step[Q, AsyncIterator[R]]]:
    def mark(step: Step[Q, AsyncIterator[R]]) -> Step[Q, AsyncIterator[R]]:
        STEPS.append((rpc, step))
        return step

    return mark


def joining(rpc: Rpc[Q, R]) -> Callable[[Step[Q, AsyncIterator[Sequence[R]]]], Step[Q, AsyncIterator[Sequence[R]]]]:
    """As `streaming`, for a stream that sends what there is to say at a moment as one message (`Rpc.joined`)."""

    def mark(step: Step[Q, AsyncIterator[Sequence[R]]]) -> Step[Q, AsyncIterator[Sequence[R]]]:
        STEPS.append((rpc, step))
        return step

    return mark


def begin_errand(node: Node, caller: AgencyId, act: Act, *, desk: str = "", signed: SignedAct | None = None) -> Errand:
    """Takes the agreement in force now for all of this errand (REFUSED_TOO_OFTEN)."""
    node.refusals.verify(str(caller))
    return Errand(node=node, in_force=node.trust.in_force, caller=caller, act=act, desk=desk, signed=signed)


def put_refusal(
    transaction: GroupTransaction, errand: Errand, rulings: Sequence[Ruling], *, asked: Sequence[PolicyRequest]
) -> None:
    """As `Errand.refuse`, in the caller's transaction; several refusals of one request are one leaf."""
    agreement, act = errand.in_force.agreement, errand.act
    named = {"agency": str(errand.caller), "request": act.request_id, "purpose": act.purpose, "function": act.function}
    policies = tuple(sorted({policy for ruling in rulings for policy in ruling.policies}))
    subject, now = hashlib.sha256(encode_canonical(named)).hexdigest(), errand.node.now()
    leaf = plain_leaf(agreement, LeafKind.REFUSED, subject, now=now, verdict=Verdict.REFUSED, policies=policies)
    transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
    errand.node.refusals.note(str(errand.caller))
    if errand.is_signed:
        errand.node.refusals.note_officer(str(errand.caller), act.officer)
    kept = decision_records(leaf, Questions(deciding=asked), book=errand.in_force.policies, owner=errand.node.name)
    put_records(transaction, kept)
