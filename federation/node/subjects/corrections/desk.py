"""The owner's desk: what it takes to extend, deny and grant a correction, each step in one transaction with its answer.

Own policy decides first (an office of the issuing county), then the domain's rule. A step that is repeated under its
request id is the same step. Sources: PIPL articles 46, 50; clock `share.correct`.
"""

from __future__ import annotations

from collections.abc import Callable

from federation.domain.corrections import (
    ANSWER_CLOCK,
    Correction,
    decide_request,
    deny_correction,
    extend_correction,
    verify_answered_in_time,
)
from federation.domain.permits import urn_division
from federation.node.exchange.errand import Errand, asked_digest, record_refusal, rule
from federation.node.exchange.send import Draft, send
from federation.node.node import Node
from federation.node.permits.records import Done, find_request, put_request
from federation.node.subjects.corrections.clock import running_rule, start_clock
from federation.node.subjects.corrections.judges import answer_draft
from federation.node.subjects.corrections.lines import own_line
from federation.node.subjects.corrections.records import CORRECTIONS, FILED, put_correction
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.policy import PolicyRequest
from federation.protocol.statement import Sender
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.corrections import CorrectionExtension, CorrectionOutcome, CorrectionStep
from federation.wire.values import Ruling


async def extend(errand: Errand, step: CorrectionExtension) -> CorrectionOutcome:
    """Takes up to ten working days more, once, before the time is over; the filing office is told why.

    Raises:
        NotFoundError: CORRECTION_UNKNOWN. RuleError: CORRECTION_NOT_OURS, as `extend_correction` and
            `verify_answered_in_time`.
        ConflictError: REQUEST_ID_REUSED; VERSION_CONFLICT when another desk took a step meanwhile.
    """

    def extended(correction: Correction) -> Correction:
        running = correction.standing.deadline
        extended = extend_correction(
            correction,
            running_rule(errand.in_force, running),
            by=step.days,
            calendar=errand.in_force.calendar,
            words=step.words,
            now=errand.node.now(),
        )
        answer_by = start_clock(errand.in_force, running.started, clock=ANSWER_CLOCK)
        return verify_answered_in_time(extended, answer_by)

    return await _take_step(errand, "extend", step, following=extended)


async def deny(errand: Errand, step: CorrectionStep) -> CorrectionOutcome:
    """Denies a correction with reasons.

    Raises:
        NotFoundError: CORRECTION_UNKNOWN. RuleError: CORRECTION_NOT_OURS, CORRECTION_ENDED.
        MalformedError: CORRECTION_WORDS. ConflictError: as `extend`.
    """

    def denied(correction: Correction) -> Correction:
        return deny_correction(correction, words=step.words, now=errand.node.now())

    return await _take_step(errand, "deny", step, following=denied)


async def _take_step(
    errand: Errand, name: str, step: CorrectionStep, *, following: Callable[[Correction], Correction]
) -> CorrectionOutcome:
    """Takes a step that changes the correction and nothing else."""
    node, act = errand.node, errand.act
    correction = load_correction(node, step.correction_id)
    question = decide_question(errand, correction)
    ruling = rule(errand, question)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[question])
        return CorrectionOutcome(decision=ruling)
    asked = step_digest(errand, name, step)
    if find_request(node.database, act.request_id, asked=asked) is None:
        correction = following(correction)
        done = Done(asked=asked, urn=correction.request.urn, version=correction.standing.version)

        def rows(transaction: GroupTransaction) -> None:
            put_request(transaction, act.request_id, done, owner=node.name)
            put_correction(transaction, correction, owner=node.name)

        await send(node, answer_drafts(errand, correction, ruling), rows=rows)
    line = own_line(correction, owner=node.name, now=node.now(), to_decide=True)
    return CorrectionOutcome(decision=ruling, correction=line)


def load_correction(node: Node, correction_id: str) -> Correction:
    """A correction of our own.

    Raises:
        NotFoundError: CORRECTION_UNKNOWN. RuleError: CORRECTION_NOT_OURS for one that another province decides.
    """
    found = CORRECTIONS.find(node.database, correction_id)
    if found is not None:
        return found
    filed = FILED.find(node.database, correction_id)
    if filed is not None:
        raise RuleError("CORRECTION_NOT_OURS", f"{filed.owner} owns the record and decides; a copy is never edited")
    raise NotFoundError("CORRECTION_UNKNOWN", f"this node has no correction {correction_id!r:.60}")


def decide_question(errand: Errand, correction: Correction) -> PolicyRequest:
    """May this office decide that correction?"""
    county = urn_division(correction.request.urn)
    return decide_request(errand.agency, errand.node.name, occasion=errand.occasion, county=county)


def step_digest(errand: Errand, name: str, step: CorrectionStep) -> str:
    """By what a repeat of a step is told from another one."""
    days = step.days if isinstance(step, CorrectionExtension) else 0
    return asked_digest(errand, f"correction.{name}", f"{step.correction_id} {days} {step.words}")


def answer_drafts(errand: Errand, correction: Correction, ruling: Ruling) -> list[Draft]:
    """The answer to the office that filed it, when that is another province's."""
    if not correction.cited:
        return []
    question = decide_question(errand, correction)
    sender = Sender(node=errand.node.name, agency=errand.caller, officer=errand.act.officer)
    return [answer_draft(correction, sender=sender, decision=ruling, asked=(question,))]
