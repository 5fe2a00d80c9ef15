"""What a message about a correction means here: a request to us as the owner, an owner's answer to us.

What policy allows is opened in the transaction that receives it, with its deadline, and the answer that says so cites
the request. A request that could not be granted as things stand is refused by that rule at once, signed and logged as
any other refusal. Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from federation.domain.corrections.correction import Correction, open_correction, verify_admissible
from federation.domain.corrections.items import (
    ANSWER_BODY,
    REQUEST_BODY,
    CorrectionRequest,
    decode_correction_answer,
    decode_correction_request,
    encode_correction_answer,
    verify_correction_request,
)
from federation.domain.corrections.policy import CORRECTION_BASIS, CORRECTION_FUNCTION, CORRECTION_PURPOSE, file_request
from federation.domain.corrections.words import rule_words
from federation.domain.permit import urn_division
from federation.domain.permit_policy import Occasion
from federation.node.exchange.errand import agency_facts
from federation.node.exchange.judge import Incoming, Judgement
from federation.node.exchange.replies import one_item_body, only_item
from federation.node.exchange.send import Cause, Draft, make_ready, record_message
from federation.node.exchange.trust import InForce
from federation.node.log.decisions import REPLY_RULE, refusal_rule
from federation.node.node import Node
from federation.node.permits.records import find_own_permit
from federation.node.subjects.corrections.clock import start_clock
from federation.node.subjects.corrections.filing import REQUEST_KIND
from federation.node.subjects.corrections.records import find_correction, find_filed, put_answer, put_correction
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds, PolicyRequest, decide
from federation.protocol.statement import Recipient, Sender
from federation.store.exchange_log import GroupTransaction

ANSWER_KIND = "correction.answer"
_DESKS = ("service-hall", "police")
TAKEN = Decision(
    verdict=Verdict.ALLOWED,
    policies=(REPLY_RULE,),
    fields=frozenset(),
    reason=Grounds.PERMITTED,
    title_zh="对本省请求的答复",
    title_en="A reply to a request of ours",
)
"""What takes in an answer to a request of ours: it was our own policy that let the request out."""


def _judge_request(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement, realm = incoming.statement, in_force.agreement.realm
    request = decode_correction_request(only_item(incoming.body))
    sender = agency_facts(in_force, statement.sender.agency)
    occasion = Occasion(purpose=statement.purpose, function=statement.function, realm=statement.realm, node_realm=realm)
    question = file_request(sender, node.name, occasion=occasion, identity_checked=request.identity_checked)
    decision = decide(in_force.policies, question)
    if not decision.allowed:
        return Judgement(asked=(question,), decision=decision, apply=_write_nothing)
    try:
        correction = _opened(node, incoming, request, in_force=in_force)
    except RuleError as error:
        return Judgement(asked=(question,), decision=_refused_by_rule(error), apply=_write_nothing)

    def apply(transaction: GroupTransaction) -> None:
        put_correction(transaction, correction, owner=node.name)
        desk = _desk_of(in_force, node.name, urn_division(request.urn))
        draft = answer_draft(correction, sender=Sender(node=node.name, agency=desk), decision=decision)
        record_message(node, transaction, make_ready(node, draft), in_force=in_force)

    wake = partial(node.wake_delivery, statement.sender.node)
    return Judgement(asked=(question,), decision=decision, apply=apply, after=wake)


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
        body=one_item_body(ANSWER_BODY, encode_correction_answer(correction.standing)),
        decision=decision,
        asked=asked,
    )


def _opened(node: Node, incoming: Incoming, request: CorrectionRequest, *, in_force: InForce) -> Correction:
    """The correction that the request opens.

    Raises:
        RuleError: why it could not be granted as things stand, or CORRECTION_ID_USED.
        MalformedError: what the filing province should not have let out.
    """
    realm, filed_by = in_force.agreement.realm, incoming.statement.sender.agency
    verify_correction_request(request, realm)
    known = find_correction(node.database, request.correction_id)
    if known is not None and known.cited != incoming.digest:
        raise RuleError("CORRECTION_ID_USED", "the id was used for another correction")
    permit = find_own_permit(node.database, request.urn)
    open_to_them = permit if permit is not None and not permit.sealed else None
    verify_admissible(request, open_to_them, filed_by=filed_by, realm=realm)
    now = node.now()
    deadline = start_clock(in_force, now)
    return open_correction(request, filed_by=filed_by, cited=incoming.digest, deadline=deadline, now=now)


def _judge_answer(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Takes in what the owner says of a correction that we filed there.

    Raises:
        MalformedError: REPLY_UNASKED when it answers nothing that we filed with that province.
    """
    del in_force
    statement = incoming.statement
    answer, owner = decode_correction_answer(only_item(incoming.body)), statement.sender.node
    filed = find_filed(node.database, answer.correction_id)
    if filed is None or filed.owner != owner or filed.digest != statement.in_reply_to:
        raise MalformedError("REPLY_UNASKED", "expected an answer that cites a correction that we filed there")
    return Judgement(
        decision=TAKEN,
        apply=lambda tx: put_answer(tx, answer, owner=owner),
        after=partial(node.waiters.tell, filed.digest),
    )


def _refused_by_rule(error: RuleError) -> Decision:
    """A refusal by a rule of corrections, as a decision that is logged and receipted like policy's."""
    name = refusal_rule(error)
    title_zh, title_en = rule_words(name) or (error.message, error.message)
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(name,),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=title_zh,
        title_en=title_en,
    )


def _desk_of(in_force: InForce, node: NodeName, county: str) -> AgencyId:
    """The office that answers for a county: its first service hall or police by name, else the province's first."""
    offices = sorted((agency for agency in in_force.member(node).agencies if agency.kind in _DESKS), key=str)
    here = [agency for agency in offices if agency.county == county]
    if not offices:
        raise UntrustedError("NO_INTAKE", f"the agreement names no service hall or police office of {node}")
    return (here or offices)[0]


def _write_nothing(transaction: GroupTransaction) -> None:
    """A refusal leaves no rows but its leaf."""
    del transaction


CORRECTIONS: Mapping[str, tuple[str, Callable[[Node, Incoming, InForce], Judgement]]] = {
    REQUEST_KIND: (REQUEST_BODY, _judge_request),
    ANSWER_KIND: (ANSWER_BODY, _judge_answer),
}
"""The kinds of message of a correction: body type and judge."""
