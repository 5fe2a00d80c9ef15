"""One step of an officer on its way to the provinces: a search, a fetch, or the opening or closing of a case.

Everything that a step leaves is one transaction: the statements that went out, the counts, the flags, the lines of the
history, the refusals of our own side, and what a repeat of the request is answered with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from federation.domain.lookups import Outcome, Selector, Urgency, deadline_of
from federation.domain.lookups_case import LookupCase, is_open
from federation.domain.lookups_policy import LookupOccasion, basis_of
from federation.domain.oversight import AskedLine
from federation.domain.registers import DossierKind
from federation.node.exchange.errand import Errand, put_refusal
from federation.node.exchange.send import Cause, Draft, Ready, make_ready, record_message
from federation.node.lookups import records
from federation.node.lookups.asking.counting import count
from federation.node.lookups.asking.kept import Kept, KeptLine, find_kept, put_kept
from federation.node.lookups.asking.refusals import given_refusal, put_given_refusal, rule_refusal
from federation.node.lookups.kinds import SEARCH_KIND
from federation.node.oversight.flags import desk_key, judge_search, put_flags
from federation.node.oversight.sample import pick
from federation.protocol.body import Body
from federation.protocol.ids import NodeName, format_message_id, truncate_to_millisecond
from federation.protocol.policy import PolicyRequest
from federation.protocol.statement import Recipient, Sender
from federation.protocol.trust import verify_in_force
from federation.store.exchange_log import GroupTransaction
from federation.store.records import next_serial
from federation.wire.values import Ruling

WAIT_SECONDS = 8.0
"""How long a caller waits for answers that policy gives by itself; later ones are found in the history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing to say: its kind, its one item, and how urgent it is; None lets it travel as long as the agreement."""

    kind: str
    body_type: str
    content: bytes
    urgency: Urgency | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What our own side says of asking one province; `request` is what policy was asked, None for a rule's own no."""

    node: NodeName
    ruling: Ruling
    request: PolicyRequest | None

    @property
    def allowed(self) -> bool:
        """Whether it may leave."""
        return self.ruling.allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an officer does: what is said, in which case, about whom (sealed), for which fields of what kind of record.

    `asked` tells a repeat of the request from another question. `lookup_id` is empty for a case, `case` None when it is
    unknown. `outcome` is what a step without a reply comes to with its
    receipt; `closes` is the case's, when it is one.
    """

    asked: str
    said: Said
    lookup_id: str
    case_id: str
    case: LookupCase | None
    about: Selector | None = None
    dossier: DossierKind = DossierKind.PERMIT
    fields: frozenset[str] = frozenset()
    outcome: Outcome | None = None
    closes: datetime | None = None


def _no_rows(transaction: GroupTransaction) -> None:
    """Most steps write no rows of their own."""
    del transaction


async def take_step(
    errand: Errand,
    step: Step,
    questions: Sequence[Question],
    *,
    rows: Callable[[GroupTransaction], None] = _no_rows,
) -> Kept:
    """Sends what may leave, logs what may not, and remembers both in one transaction; a repeat adds nothing.

    Args:
        errand: who acts.
        step: what they do.
        questions: one for each province; a quota may still refuse them all.
        rows: writes what belongs to the step, when anything leaves.

    Raises:
        ConflictError: REQUEST_ID_REUSED for another question under an id that was used.
        StaleError: AGREEMENT_EXPIRED when nothing new may be said under the agreement.
    """
    node, request_id = errand.node, errand.act.request_id
    ready = {each.node: make_ready(node, _draft(errand, step, each)) for each in questions if each.allowed}
    if ready:
        verify_in_force(errand.in_force.agreement, node.now())
    now, entry_id = node.now(), format_message_id(node.now(), os.urandom(10))

    def record(transaction: GroupTransaction) -> Kept:
        # A repeat shows itself by its id: the transaction is then run again, carefully.
        known = find_kept(transaction, request_id, asked=step.asked) if transaction.careful else None
        if known is not None:
            return known
        ruled = _within_quota(transaction, errand, step, questions)
        lines = [_record_question(transaction, errand, each, ready.get(each.node)) for each in ruled]
        serial = next_serial(transaction, "lookup-step")
        asked = [_asked_of(errand, step, line, time=now, serial=serial) for line in lines]
        if any(line.digest for line in lines):
            rows(transaction)
            _flag(transaction, errand, step, asked)
        refused = [each for each in ruled if not each.allowed]
        if refused:
            requests = [each.request for each in refused if each.request is not None]
            put_refusal(transaction, errand, [each.ruling for each in refused], asked=requests)
            entry = given_refusal(errand, step=step.said.kind, case_id=step.case_id, case=step.case, fields=step.fields)
            put_given_refusal(transaction, errand, entry_id=entry_id, about=step.about, entry=entry)
        subject = step.about.value if step.about is not None else None
        for each in asked:
            records.put_asked(transaction, each, subject=subject, owner=node.name)
        kept = Kept(asked=step.asked, lookup_id=step.lookup_id, lines=tuple(lines), closes=step.closes)
        put_kept(transaction, request_id, kept, owner=node.name)
        return kept

    kept = (await node.sequencer.commit(record)).value
    for line in kept.lines:
        if line.digest:
            node.wake_delivery(line.node)
    node.waiters.tell(desk_key(errand.caller))
    return kept


def occasion_of(
    errand: Errand, case: LookupCase | None, *, step_up: bool = False, urgency: Urgency = Urgency.ROUTINE
) -> LookupOccasion:
    """What this node knows of its own case, put as policy asks for it; an unknown case is open for nothing."""
    realm, act = errand.in_force.agreement.realm, errand.act
    return LookupOccasion(
        purpose=act.purpose,
        function=act.function,
        realm=realm,
        node_realm=realm,
        case_open=case is not None and is_open(case, errand.node.now()),
        purpose_in_case=case is not None and act.purpose in case.purposes,
        county_in_case=case is not None and errand.caller.county in case.counties,
        step_up=step_up,
        urgency=urgency,
    )


def _draft(errand: Errand, step: Step, question: Question) -> Draft:
    """The statement of one step, by the officer who acts, as policy allowed it."""
    now, said, act = errand.node.now(), step.said, errand.act
    return Draft(
        kind=said.kind,
        recipient=Recipient(node=question.node),
        cause=Cause(
            sender=Sender(node=errand.node.name, agency=errand.caller, officer=act.officer),
            purpose=act.purpose,
            function=act.function,
            basis=basis_of(act.purpose),
            case=step.case_id,
        ),
        body=Body(type=said.body_type, salt=os.urandom(32), items=(said.content,)),
        decision=question.ruling,
        lifetime=deadline_of(said.urgency, now) - now if said.urgency is not None else None,
        asked=(question.request,) if question.request is not None else (),
    )


def _within_quota(
    transaction: GroupTransaction, errand: Errand, step: Step, questions: Sequence[Question]
) -> Sequence[Question]:
    """Counts a search that leaves; one too many is refused as a whole, whatever policy says of single provinces."""
    if step.said.kind != SEARCH_KIND or step.about is None or not any(each.allowed for each in questions):
        return questions
    over = count(transaction, errand, case_id=step.case_id, selector=step.about)
    if over is None:
        return questions
    no = rule_refusal(errand, over)
    return [replace(each, ruling=no, request=None) for each in questions]


def _record_question(
    transaction: GroupTransaction, errand: Errand, question: Question, ready: Ready | None
) -> KeptLine:
    line = KeptLine(node=question.node, ruling=question.ruling)
    if ready is None or not question.allowed:
        return line
    digest = record_message(errand.node, transaction, ready, in_force=errand.in_force)
    return replace(line, digest=digest, message_id=ready.id)


def _asked_of(errand: Errand, step: Step, line: KeptLine, *, time: datetime, serial: int) -> records.Asked:
    return records.Asked(
        time=time,
        agency=errand.caller,
        officer=errand.act.officer,
        serial=serial,
        lookup_id=step.lookup_id,
        case_id=step.case_id,
        node=line.node,
        step=step.said.kind,
        digest=line.digest,
        message_id=line.message_id,
        desk=errand.desk,
        kind=step.dossier,
        outcome=step.outcome if line.digest else Outcome.REFUSED,
    )


def _flag(transaction: GroupTransaction, errand: Errand, step: Step, asked: Sequence[records.Asked]) -> None:
    """Looks at a search beside the officer's own of just before, and draws it for review, in the same transaction."""
    if step.said.kind != SEARCH_KIND or step.about is None:
        return
    line = AskedLine(
        time=truncate_to_millisecond(asked[0].time),
        officer=errand.act.officer,
        agency=str(errand.caller),
        lookup_id=step.lookup_id,
        case_id=step.case_id,
        desk=errand.desk,
    )
    raised = judge_search(transaction, errand.in_force, line, agency=errand.caller, selector=step.about)
    put_flags(transaction, raised, owner=errand.node.name)
    pick(transaction, errand, line, about=step.about.value)
