"""Leads between the forces of two provinces: handed over by who found one, accepted or declined by who is competent.

A lead is named by the message that handed it over. Each side keeps it under its own office, which sees what it handed
over and what it got; the answer lies beside it, and dies with the message that brought it.
Source: 公安机关办理刑事案件程序规定 articles 175, 347, 349; clock `police.handover`.
"""

from __future__ import annotations

from typing import Final

from federation.domain import leads
from federation.domain.leads import HandedLead, Lead, LeadAnswer, lead_request
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import Judgement, Received, Rows, item_kind
from federation.node.exchange.replies import POLICE, find_response, replies, take_reply
from federation.node.exchange.resend import Missed, resent_alone
from federation.node.exchange.send import Draft, Sent
from federation.node.node import Node
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import encode, replace
from federation.protocol.ids import MessageId, truncate_to_millisecond
from federation.protocol.statement import Recipient
from federation.store.collection import item_collection
from federation.store.database import Source
from federation.store.records import Record
from federation.wire.agency import leads as wire
from federation.wire.agency.leads import LeadLine, LeadOutcome, LeadPage, LeadStanding, LeadStep
from federation.wire.rpc import PageQuery

WAIT_SECONDS = 8.0
"""How long the finder's call waits for the other side to have it; the answer is in the list."""

LEADS: Final = item_collection(HandedLead, kind="lead", id=lambda kept: f"{kept.office}/{kept.lead_id}", replica=True)
"""By office, in the order in which they were handed over."""
ANSWERS: Final = item_collection(LeadAnswer, kind="lead-answer", id=lambda answer: answer.lead_id, replica=True)


@on(wire.HAND_OVER_LEAD)
async def hand_over(errand: Errand, lead: Lead) -> LeadOutcome:
    """Hands a lead over to the force that it belongs to, and waits a moment for the other side to have it.

    Refuses COUNTY_ELSEWHERE, LEAD_UNKNOWN (erased since), and as `verify_lead` and `Errand.send_once`.
    """
    node, in_force, now = errand.node, errand.in_force, truncate_to_millisecond(errand.node.now())
    leads.verify_lead(lead, now=now)
    force = in_force.office_of(lead.county, (POLICE,))
    question = lead_request("hand_over", errand.agency, force.node, occasion=errand.occasion)
    ruling = await errand.ask(question, to=force.node)
    if not ruling.allowed:
        return LeadOutcome(decision=ruling)

    def rows(sent: Sent) -> tuple[Record, ...]:
        kept = HandedLead(
            lead_id=sent.id, lead=lead, finder=errand.caller, force=force, office=errand.caller, created=now,
            deadline=in_force.start_clock(leads.LEAD_CLOCK, lead.found), digest=sent.digest,
        )  # fmt: skip
        return (LEADS.record(kept, owner=node.name),)

    to, cause = Recipient(node=force.node, agency=force), errand.cause(leads.LEAD_BASIS)
    draft = LEAD.draft(lead, to=to, cause=cause, decision=ruling, asked=(question,), rows=rows)
    handed = _find(errand, await errand.send_once(errand.asked(LEAD.name, encode(lead).decode()), draft))
    await replies(node, [handed.digest], seconds=WAIT_SECONDS, received=True)
    return LeadOutcome(decision=ruling, line=_line(node, handed))


def _find(errand: Errand, lead_id: MessageId) -> HandedLead:
    handed = LEADS.find(errand.node.database, f"{errand.caller}/{lead_id}")
    if handed is None:
        raise NotFoundError("LEAD_UNKNOWN", "this office has no such lead, or it was erased since")
    return handed


def _judge_lead(received: Received[Lead]) -> Judgement:
    node, in_force, statement = received.node, received.in_force, received.statement
    lead = leads.verify_lead(received.item, now=statement.created)
    force = in_force.office_of(lead.county, (POLICE,))
    if force.node != node.name:
        raise RuleError("LEAD_ELSEWHERE", "expected a lead of a county of this province")
    kept = HandedLead(
        lead_id=statement.id, lead=lead, finder=statement.sender.agency, force=force, office=force,
        created=statement.created, deadline=in_force.start_clock(leads.LEAD_CLOCK, lead.found), digest=received.digest,
    )  # fmt: skip
    question = lead_request("hand_over", received.sender, node.name, occasion=received.occasion)
    return received.judge(question, rows=Rows(records=(LEADS.record(kept, owner=statement.sender.node),)))


@on(wire.ANSWER_LEAD)
async def answer(errand: Errand, step: LeadStep) -> LeadOutcome:
    """Accepts or declines a lead, once; the office that found it is told.

    Refuses LEAD_ANSWERED, LEAD_UNKNOWN (another office's), and as `verify_answer` and `Errand.send_once`.
    """
    node, now, handed = errand.node, truncate_to_millisecond(errand.node.now()), _find(errand, step.lead_id)
    said = LeadAnswer(lead_id=step.lead_id, accepted=step.accepted, reason=step.reason, time=now)
    leads.verify_answer(said)
    addressed = handed.force == errand.caller
    question = lead_request("answer", errand.agency, node.name, occasion=errand.occasion, addressed=addressed)
    ruling = await errand.ask(question)
    if not ruling.allowed:
        return LeadOutcome(decision=ruling)

    def verify_unanswered(source: Source) -> None:
        if ANSWERS.find(source, step.lead_id) is not None:
            raise RuleError("LEAD_ANSWERED", "the lead was accepted or declined already")

    draft = ANSWER.draft(
        said, to=Recipient(node=handed.finder.node, agency=handed.finder),
        cause=errand.cause(leads.LEAD_BASIS, in_reply_to=handed.digest), decision=ruling, asked=(question,),
        rows=lambda _: (ANSWERS.record(said, owner=node.name),),
    )  # fmt: skip
    asked = errand.asked(ANSWER.name, f"{step.lead_id} {step.accepted} {step.reason}")
    await errand.send_once(asked, draft, verify=verify_unanswered)
    return LeadOutcome(decision=ruling, line=_line(node, handed))


def _judge_answer(received: Received[LeadAnswer]) -> Judgement:
    """Takes in what the competent force says of a lead of ours; the first answer stands."""
    said, sender = leads.verify_answer(received.item), received.statement.sender
    if said.lead_id != received.cited.id:
        raise MalformedError("REPLY_UNASKED", "expected an answer that names the lead that it cites")
    return take_reply(received, records=(ANSWERS.record(said, owner=sender.node),))


@on(wire.LIST_LEADS)
async def list_leads(errand: Errand, query: PageQuery) -> LeadPage:
    """Lists what the office handed over and what it got, newest first."""
    node, under = errand.node, f"{errand.caller}/"
    ruling = await errand.ask(lead_request("read", errand.agency, node.name, occasion=errand.occasion))
    if not ruling.allowed:
        return LeadPage(decision=ruling)
    page = LEADS.page(node.database, limit=query.page_size, token=query.page_token, under=under, newest_first=True)
    lines = tuple(_line(node, handed) for handed in page.values)
    return LeadPage(decision=ruling, lines=lines, next_page_token=page.next_token)


def _line(node: Node, handed: HandedLead) -> LeadLine:
    said = ANSWERS.find(node.database, handed.lead_id)
    if said is not None:
        standing = LeadStanding.ACCEPTED if said.accepted else LeadStanding.DECLINED
        return LeadLine(handed=handed, standing=standing, answer=said)
    line = LeadLine(handed=handed, standing=LeadStanding.WAITING, overdue=node.now() >= handed.deadline.due)
    if handed.office == handed.force:
        return line
    response = find_response(node, handed.digest)
    if response.refused:
        return replace(line, standing=LeadStanding.REFUSED, policies=response.refused)
    undelivered = response.rejected or (response.expired and not response.received)
    return replace(line, standing=LeadStanding.UNDELIVERED) if undelivered else line


def _resent(missed: Missed) -> Draft:
    """The lead goes on under its new name, with the deadline that it had."""
    name = f"{missed.statement.sender.agency}/{missed.message.id}"
    if (handed := LEADS.find(missed.source, name)) is None:
        return missed.again()
    LEADS.erase(missed.source, name)
    return missed.again(
        rows=lambda sent: (LEADS.record(replace(handed, lead_id=sent.id, digest=sent.digest), owner=missed.node.name),)
    )


LEAD: Final = item_kind(
    Lead, name="police.lead", media_type="application/vnd.bridgehead.police-lead.v1+json", judge=_judge_lead,
    answers=(), keep=leads.LEAD_RULE, erasable_by=None, resend=_resent,
)  # fmt: skip
ANSWER: Final = item_kind(
    LeadAnswer, name="police.lead.answer", media_type="application/vnd.bridgehead.police-lead-answer.v1+json",
    judge=_judge_answer, answers=(LEAD.name,), keep=leads.LEAD_RULE, erasable_by=None, resend=resent_alone,
)  # fmt: skip
