"""What a message about a correction means here: a request to us as the owner, an owner's answer to us.

What policy allows is opened in the transaction that receives it, with its deadline, and the answer that says so cites
the request. A request that could not be granted as things stand is refused by that rule at once, signed and logged as
any other refusal. Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

from dataclasses import replace

from federation.domain.corrections import (
    ANSWER_BODY,
    CORRECTION_BASIS,
    CORRECTION_FUNCTION,
    CORRECTION_PURPOSE,
    REQUEST_BODY,
    Correction,
    CorrectionAnswer,
    CorrectionRequest,
    file_request,
    open_correction,
    verify_admissible,
    verify_correction_request,
)
from federation.domain.permits import urn_division
from federation.domain.retention import CORRECTION
from federation.node.exchange.judge import REPLY_TAKEN, Judgement, Kind, Received, Rows, refused_by_rule, resent_alone
from federation.node.exchange.replies import one_item_body
from federation.node.exchange.send import Cause, Draft
from federation.node.exchange.trust import InForce
from federation.node.permits.records import find_own_permit
from federation.node.subjects.corrections.clock import start_clock
from federation.node.subjects.corrections.filing import REQUEST_KIND
from federation.node.subjects.corrections.records import (
    ANSWERS,
    CORRECTIONS,
    FILED,
)
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.form import decode, encode
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import find_body

ANSWER_KIND = "correction.answer"
_DESKS = ("service-hall", "police")


def _judge_request(received: Received[CorrectionRequest]) -> Judgement:
    node, request = received.node, received.item
    question = file_request(
        received.sender, node.name, occasion=received.occasion, identity_checked=request.identity_checked
    )
    judged = received.judge(question)
    if not judged.decision.allowed:
        return judged
    try:
        correction = _opened(received)
    except RuleError as error:
        return refused_by_rule(error, question)
    desk = _desk_of(received.in_force, node.name, urn_division(request.urn))
    draft = answer_draft(correction, sender=Sender(node=node.name, agency=desk), decision=judged.decision)
    return replace(judged, rows=Rows(records=(CORRECTIONS.record(correction, owner=node.name),), drafts=(draft,)))


def answer_draft(
    correction: Correction, *, sender: Sender, decision: Decision, asked: tuple[PolicyRequest, ...] = ()
) -> Draft:
    """What the owner says now of a correction that another province filed, to the office that filed it.

    `asked` is what policy was asked about this step; the first answer stands on what was asked about the request.
    """
    return Draft(
        kind=ANSWER_KIND,
        recipient=Recipient(node=correction.filed_by.node, agency=correction.filed_by),
        cause=Cause(
            sender=sender,
            purpose=CORRECTION_PURPOSE,
            function=CORRECTION_FUNCTION,
            basis=CORRECTION_BASIS,
            in_reply_to=correction.cited,
        ),
        body=one_item_body(ANSWER_BODY, encode(correction.standing)),
        decision=decision,
        asked=asked,
    )


def _opened(received: Received[CorrectionRequest]) -> Correction:
    """The correction that the request opens.

    Raises:
        RuleError: why it could not be granted as things stand, or CORRECTION_ID_USED.
        MalformedError: what the filing province should not have let out.
    """
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
    deadline = start_clock(received.in_force, now)
    return open_correction(request, filed_by=filed_by, cited=received.digest, deadline=deadline, now=now)


def _judge_answer(received: Received[CorrectionAnswer]) -> Judgement:
    """Takes in what the owner says of a correction that we filed there.

    An answer to what was erased meanwhile is refused and not kept.

    Raises:
        MalformedError: REPLY_UNASKED when it answers nothing that we filed with that province.
    """
    answer, cited = received.item, received.cited
    filed = FILED.find(received.node.database, answer.correction_id)
    if filed is None and find_body(received.node.database, cited.id) is None:
        raise RuleError("CORRECTION_ERASED", "the correction that this answers was erased")
    if filed is None or filed.digest != cited.digest:
        raise MalformedError("REPLY_UNASKED", "expected an answer that cites a correction that we filed there")
    rows = Rows(records=(ANSWERS.record(answer, owner=filed.owner),), wakes=(filed.digest,))
    return Judgement(decision=REPLY_TAKEN, rows=rows)


def _desk_of(in_force: InForce, node: NodeName, county: str) -> AgencyId:
    """The office that answers for a county: its first service hall or police by name, else the province's first."""
    offices = sorted((agency for agency in in_force.member(node).agencies if agency.kind in _DESKS), key=str)
    here = [agency for agency in offices if agency.county == county]
    if not offices:
        raise UntrustedError("NO_INTAKE", f"the agreement names no service hall or police office of {node}")
    return (here or offices)[0]


REQUEST = Kind(
    name=REQUEST_KIND,
    media_type=REQUEST_BODY,
    encode=encode,
    decode=lambda content, _: decode(CorrectionRequest, content),
    many=False,
    judge=_judge_request,
    answers=(),
    keep=CORRECTION,
    resend=None,
)
ANSWER = Kind(
    name=ANSWER_KIND,
    media_type=ANSWER_BODY,
    encode=encode,
    decode=lambda content, _: decode(CorrectionAnswer, content),
    many=False,
    judge=_judge_answer,
    answers=(REQUEST_KIND,),
    keep=CORRECTION,
    resend=resent_alone,
)
