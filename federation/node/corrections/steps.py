"""The life of a correction: filed at any node, opened by the owner, extended, denied or granted at the owner's desk.

Each step is one transaction with its answer; a repeat under its request id is the same step. What could not be granted
is refused by that rule at once, signed and logged. What is granted is the permit's next version: entitled provinces get
it, and who else holds the old one, or was given the field, is told that it is outdated. Sources: PIPL articles 20, 46,
50; clock `share.correct`; DESIGN sections 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from federation.domain.corrections import (
    ANSWER_BODY,
    ANSWER_CLOCK,
    CLOCK,
    CORRECTION_BASIS,
    CORRECTION_FUNCTION,
    CORRECTION_PURPOSE,
    DECIDING_OFFICES,
    REQUEST_BODY,
    Correction,
    CorrectionAnswer,
    CorrectionRequest,
    amend_permit,
    decide_request,
    deny_correction,
    extend_correction,
    file_request,
    grant_correction,
    open_correction,
    verify_admissible,
    verify_answer_follows,
    verify_answered_in_time,
    verify_correction_request,
    verify_open,
)
from federation.domain.division import province_of
from federation.domain.permits import Permit, urn_division, verify_only_one
from federation.domain.retention import CORRECTION
from federation.node.corrections.lines import (
    ANSWERS,
    CORRECTIONS,
    FILED,
    Filed,
    filed_line,
    filed_records,
    own_line,
    put_correction,
    running_rule,
    verify_filed_once,
)
from federation.node.corrections.notices import Step, copy_notices, lookup_notices, verify_holder
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import REPLY_TAKEN, Judgement, Received, Rows, item_kind, refused_by_rule
from federation.node.exchange.resend import Missed, resent_alone
from federation.node.exchange.send import Cause, Draft, Sent
from federation.node.node import Node, received_key
from federation.node.officers import logged, or_logged
from federation.node.permits_sharing import draft_sharing, find_of_person, find_own_permit, write_own_permits
from federation.protocol.errors import MalformedError, NotFoundError, RuleError, UnavailableError
from federation.protocol.form import Item, Positive, decode, encode, replace
from federation.protocol.ids import NodeName, truncate_to_millisecond
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient, Sender
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import has_body
from federation.store.records import Record
from federation.wire.agency import corrections as wire
from federation.wire.agency.corrections import (
    CorrectionExtension,
    CorrectionFiling,
    CorrectionLine,
    CorrectionOutcome,
    CorrectionStanding,
    CorrectionStep,
)
from federation.wire.rpc import Act, Ruling

REQUEST_KIND: Final = "correction.request"
ANSWER_KIND: Final = "correction.answer"
WAIT_SECONDS = 8.0
"""How long the clerk's call waits for the owner to open the correction; later answers are in the list."""
_UNANSWERED = frozenset({CorrectionStanding.WAITING, CorrectionStanding.OPEN})


class StepTaken(Item, frozen=True, kw_only=True):
    WHAT = "correction-step"

    correction_id: str
    version: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """The change of one step at the owner's desk: the correction, and the permit when it is granted."""

    correction: Correction = field(kw_only=False)
    before: Permit | None = None
    permit: Permit | None = None


@on(wire.FILE_CORRECTION)
async def file_correction(errand: Errand, filing: CorrectionFiling) -> CorrectionOutcome:
    """Files a correction for a person whose identity was checked; the clerk's own policy decides first.

    Refuses as `verify_correction_request`, `verify_admissible` and `verify_filed_once`; PERMIT_UNKNOWN,
    CORRECTION_UNKNOWN (erased since), REQUEST_ID_REUSED, AGREEMENT_EXPIRED.
    """
    node, realm = errand.node, errand.in_force.agreement.realm
    request = _request_of(filing, errand.act)
    asked = errand.asked(REQUEST_KIND, encode(request).decode())
    verify_correction_request(request, realm)
    owner = province_of(urn_division(request.urn))
    if owner is None or owner not in errand.in_force.agreement.members:
        raise NotFoundError("PERMIT_UNKNOWN", f"no province of the federation issued {request.urn}")
    question = file_request(errand.agency, owner, occasion=errand.occasion, identity_checked=request.identity_checked)
    ruling = await errand.ask(question, to=owner)
    if not ruling.allowed:
        return CorrectionOutcome(decision=ruling)
    if errand.remembered(asked, StepTaken) is None:
        opened: Correction | None = None
        drafts: list[Draft] = []
        if owner == node.name:
            opened = await or_logged(errand, _opened_here(errand, request))
        else:
            drafts.append(_request_draft(errand, request, owner=owner, decided=(question, ruling)))

        def write(transaction: GroupTransaction) -> StepTaken:
            verify_filed_once(transaction, node, request)
            if opened is not None:
                put_correction(transaction, opened, owner=node.name)
            return StepTaken(correction_id=request.correction_id, version=1)

        await or_logged(errand, errand.once(asked, StepTaken, write, drafts=drafts))
    return CorrectionOutcome(decision=ruling, correction=await _line(node, request.correction_id))


async def _opened_here(errand: Errand, request: CorrectionRequest) -> Correction:
    node = errand.node
    permit, now = find_own_permit(node.database, request.urn), node.now()
    verify_admissible(request, permit, filed_by=errand.caller, realm=errand.in_force.agreement.realm)
    deadline = errand.in_force.start_clock(CLOCK, now)
    return open_correction(request, filed_by=errand.caller, cited="", deadline=deadline, now=now)


def _request_of(filing: CorrectionFiling, act: Act) -> CorrectionRequest:
    return CorrectionRequest(
        correction_id=act.request_id,
        urn=filing.urn,
        field=filing.field,
        value=filing.value,
        words=filing.words,
        papers=tuple(sorted(set(filing.papers))),
        citizen_number=filing.citizen_number,
        identity_checked=filing.identity_checked,
    )


def _request_draft(
    errand: Errand, request: CorrectionRequest, *, owner: NodeName, decided: tuple[PolicyRequest, Decision]
) -> Draft:
    question, decision = decided
    time = truncate_to_millisecond(errand.node.now())

    def rows(sent: Sent) -> Sequence[Record]:
        filed = Filed(
            request=request, agency=errand.caller, time=time, owner=owner, message_id=sent.id, digest=sent.digest
        )
        return filed_records(filed, owner=errand.node.name)

    cause, to = errand.cause(CORRECTION_BASIS), Recipient(node=owner)
    return REQUEST.draft(request, to=to, cause=cause, decision=decision, asked=(question,), rows=rows)


def _number(permit: Permit) -> str:
    return permit.holder.citizen_number


async def _line(node: Node, correction_id: str) -> CorrectionLine:
    own = CORRECTIONS.find(node.database, correction_id)
    if own is not None:
        return own_line(own, owner=node.name, now=node.now(), to_decide=False)
    filed = FILED.find(node.database, correction_id)
    if filed is None:
        raise NotFoundError("CORRECTION_UNKNOWN", f"correction {correction_id} was erased since")

    def settled() -> CorrectionLine | None:
        line = filed_line(node, filed)
        return line if line.standing not in _UNANSWERED or line.answer_time is not None else None

    keys = (filed.digest, received_key(filed.digest))
    return await node.waiters.until(settled, *keys, seconds=WAIT_SECONDS) or filed_line(node, filed)


def _judge_request(received: Received[CorrectionRequest]) -> Judgement:
    """Opens what policy allows, with its deadline; the answer that says so cites the request."""
    node, request = received.node, received.item
    checked = request.identity_checked
    question = file_request(received.sender, node.name, occasion=received.occasion, identity_checked=checked)
    judged = received.judge(question)
    if not judged.decision.allowed:
        return judged
    try:
        correction = _opened(received)
    except RuleError as error:
        return refused_by_rule(error, question)
    desk = received.in_force.office_of(urn_division(request.urn), DECIDING_OFFICES)
    draft = _answer_draft(correction, sender=Sender(node=node.name, agency=desk), decision=judged.decision)
    return replace(judged, rows=Rows(records=(CORRECTIONS.record(correction, owner=node.name),), drafts=(draft,)))


def _opened(received: Received[CorrectionRequest]) -> Correction:
    """The correction that the request opens; RuleError says why it could not be granted, or CORRECTION_ID_USED."""
    node, request = received.node, received.item
    realm, filed_by = received.statement.realm, received.statement.sender.agency
    verify_correction_request(request, realm)
    known = CORRECTIONS.find(node.database, request.correction_id)
    if known is not None and known.cited != received.digest:
        raise RuleError("CORRECTION_ID_USED", "the id was used for another correction")
    permit = find_own_permit(node.database, request.urn)
    open_to_them = permit if permit is not None and not permit.sealed else None
    verify_admissible(request, open_to_them, filed_by=filed_by, realm=realm)
    now = node.now()
    deadline = received.in_force.start_clock(CLOCK, now)
    return open_correction(request, filed_by=filed_by, cited=received.digest, deadline=deadline, now=now)


def _answer_draft(
    correction: Correction, *, sender: Sender, decision: Decision, asked: tuple[PolicyRequest, ...] = ()
) -> Draft:
    """The owner's newest answer; `asked` is what policy was asked about this step, at first about the request."""
    cause = Cause(
        sender=sender,
        purpose=CORRECTION_PURPOSE,
        function=CORRECTION_FUNCTION,
        basis=CORRECTION_BASIS,
        in_reply_to=correction.cited,
    )
    to = Recipient(node=correction.filed_by.node, agency=correction.filed_by)
    return ANSWER.draft(correction.standing, to=to, cause=cause, decision=decision, asked=asked)


def _judge_answer(received: Received[CorrectionAnswer]) -> Judgement:
    """Takes in the owner's answer to what we filed (else REPLY_UNASKED); what was erased meanwhile is not kept.

    Refuses as `verify_holder` and `verify_answer_follows`.
    """
    answer, cited, source = received.item, received.cited, received.node.database
    filed = FILED.find(source, answer.correction_id)
    if filed is None and not has_body(source, cited.id):
        raise RuleError("CORRECTION_ERASED", "the correction that this answers was erased")
    if filed is None or filed.digest != cited.digest:
        raise MalformedError("REPLY_UNASKED", "expected an answer that cites a correction that we filed there")
    verify_holder(received, [urn_division(filed.request.urn)])
    verify_answer_follows(ANSWERS.find(source, answer.correction_id), answer)
    updates = partial(_newest_answer, answer, filed.owner)
    return Judgement(decision=REPLY_TAKEN, rows=Rows(updates=updates, wakes=(filed.digest,)))


def _newest_answer(answer: CorrectionAnswer, owner: NodeName, source: Source) -> tuple[Record, ...]:
    """The answer to keep, beside one that was judged at the same moment; else UnavailableError CORRECTION_STEP."""
    try:
        verify_answer_follows(ANSWERS.find(source, answer.correction_id), answer)
    except RuleError as error:
        raise UnavailableError(
            error.reason, "another answer came at this moment; send it again to be judged"
        ) from error
    return (ANSWERS.record(answer, owner=owner),)


@on(wire.EXTEND_CORRECTION)
async def extend(errand: Errand, step: CorrectionExtension) -> CorrectionOutcome:
    """Takes up to ten working days more, once, before the time is over; the filing office is told why.

    Raises CORRECTION_UNKNOWN, CORRECTION_NOT_OURS, REQUEST_ID_REUSED, VERSION_CONFLICT, and as `extend_correction`.
    """

    def extended(correction: Correction) -> _Change:
        running = correction.standing.deadline
        extended = extend_correction(
            correction,
            running_rule(errand.in_force, running),
            by=step.days,
            calendar=errand.in_force.calendar,
            words=step.words,
            now=errand.node.now(),
        )
        answer_by = errand.in_force.start_clock(ANSWER_CLOCK, running.started)
        return _Change(verify_answered_in_time(extended, answer_by))

    return await _take_step(errand, "extend", step, extended)


@on(wire.DENY_CORRECTION)
async def deny(errand: Errand, step: CorrectionStep) -> CorrectionOutcome:
    """Denies with reasons; refuses CORRECTION_UNKNOWN, _NOT_OURS, _ENDED, _WORDS, and conflicts as `extend`."""

    def denied(correction: Correction) -> _Change:
        return _Change(deny_correction(correction, words=step.words, now=errand.node.now()))

    return await _take_step(errand, "deny", step, denied)


@on(wire.GRANT_CORRECTION)
async def grant(errand: Errand, step: CorrectionStep) -> CorrectionOutcome:
    """Grants: the permit's next version to every holder, with the answer; refuses as `deny` and `amend_permit`."""
    node = errand.node

    def granted(correction: Correction) -> _Change:
        request = verify_open(correction).request
        before = find_own_permit(node.database, request.urn)
        if before is None:
            raise NotFoundError("PERMIT_UNKNOWN", f"this node holds no permit {request.urn} any more")
        permit = amend_permit(before, request.field, request.value, realm=errand.in_force.agreement.realm)
        done = grant_correction(correction, permit_version=permit.version, words=step.words, now=node.now())
        return _Change(done, before=before, permit=permit)

    return await _take_step(errand, "grant", step, granted)


async def _take_step(
    errand: Errand, name: str, step: CorrectionStep, following: Callable[[Correction], _Change]
) -> CorrectionOutcome:
    node = errand.node
    correction, question, ruling = await _open_own(errand, step.correction_id)
    if not ruling.allowed:
        return CorrectionOutcome(decision=ruling)
    if correction is None:
        raise await logged(errand, _no_correction(errand, step.correction_id))
    days = step.days if isinstance(step, CorrectionExtension) else 0
    asked = errand.asked(f"correction.{name}", f"{step.correction_id} {days} {step.words}")
    if errand.remembered(asked, StepTaken) is None:
        change = following(correction)
        correction = change.correction

        def write(transaction: GroupTransaction) -> StepTaken:
            if change.permit is not None:
                if change.before is None or _number(change.before) != _number(change.permit):
                    verify_only_one(change.permit, find_of_person(transaction, _number(change.permit), node=node))
                write_own_permits(transaction, [change.permit], node=node, before=change.permit.version - 1)
            put_correction(transaction, change.correction, owner=node.name)
            return StepTaken(correction_id=step.correction_id, version=change.correction.standing.version)

        await errand.once(asked, StepTaken, write, drafts=_step_drafts(errand, change, question, ruling))
    line = own_line(correction, owner=node.name, now=node.now(), to_decide=True)
    return CorrectionOutcome(decision=ruling, correction=line)


async def _open_own(errand: Errand, correction_id: str) -> tuple[Correction | None, PolicyRequest, Ruling]:
    """The correction, if policy lets this office decide it; else None, and its word on those of the office's county.

    So a no does not tell whether there is a correction of another county. It is logged.
    """
    node = errand.node
    decide = partial(decide_request, errand.agency, node.name, occasion=errand.occasion)
    found = CORRECTIONS.find(node.database, correction_id)
    if found is not None:
        question = decide(county=urn_division(found.request.urn))
        if (ruling := errand.rule(question)).allowed:
            return found, question, ruling
    question = decide(county=errand.caller.county)
    return None, question, await errand.ask(question)


def _no_correction(errand: Errand, correction_id: str) -> RuleError | NotFoundError:
    """The same no for one that is not there and for another county's; whoever filed it is told whose it is."""
    source = errand.node.database
    filed, own = FILED.find(source, correction_id), CORRECTIONS.find(source, correction_id)
    owner = str(filed.owner) if filed is not None and filed.agency == errand.caller else ""
    if own is not None and own.filed_by == errand.caller:
        owner = urn_division(own.request.urn)
    if owner:
        return RuleError("CORRECTION_NOT_OURS", f"{owner} owns the record and decides; a copy is never edited")
    return NotFoundError("CORRECTION_UNKNOWN", f"this office has no correction {correction_id!r:.60} to decide")


def _step_drafts(errand: Errand, change: _Change, question: PolicyRequest, ruling: Ruling) -> list[Draft]:
    """The new version to who is entitled, a notice to who holds the old one and is not, the answer to who filed it."""
    node, correction, permit = errand.node, change.correction, change.permit
    drafts: list[Draft] = []
    sender = Sender(node=node.name, agency=errand.caller, officer=errand.act.officer)
    step = Step(sender=sender, question=question, decision=ruling)
    if permit is not None and change.before is not None:
        drafts = draft_sharing(errand, [permit])
        drafts += copy_notices(node, permit, entitled={draft.recipient.node for draft in drafts}, step=step)
        drafts += lookup_notices(node, change.before.holder.citizen_number, field=correction.request.field, step=step)
    if correction.cited:
        drafts.append(_answer_draft(correction, sender=sender, decision=ruling, asked=(question,)))
    return drafts


def _resent_request(missed: Missed) -> Draft:
    """The request goes on under the statement that its owner is to answer now."""
    filed = FILED.find(missed.source, decode(CorrectionRequest, missed.body.items[0]).correction_id)
    return missed.again(rows=partial(_filed_anew, filed)) if filed is not None else missed.again()


def _filed_anew(filed: Filed, sent: Sent) -> Sequence[Record]:
    anew = replace(filed, message_id=sent.id, digest=sent.digest, resent=filed.resent + 1)
    return (FILED.record(anew, owner=anew.agency.node),)


REQUEST: Final = item_kind(
    CorrectionRequest,
    name=REQUEST_KIND,
    media_type=REQUEST_BODY,
    judge=_judge_request,
    answers=(),
    keep=CORRECTION,
    erasable_by=None,
    resend=_resent_request,
)
ANSWER: Final = item_kind(
    CorrectionAnswer,
    name=ANSWER_KIND,
    media_type=ANSWER_BODY,
    judge=_judge_answer,
    answers=(REQUEST_KIND,),
    keep=CORRECTION,
    erasable_by=None,
    resend=resent_alone,
)
