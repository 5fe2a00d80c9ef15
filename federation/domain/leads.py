"""Leads that belong to another province's force (线索移交): what crosses, what may not, what policy is asked.

Rules kept: a lead has no field for a source or an informer, and no text of it names a person by number; its time runs
from when its finder found that it belongs elsewhere to when the competent force takes it; who declines says why.
Sources: 公安机关办理刑事案件程序规定 articles 173, 175, 184, 349; 公安机关办理行政案件程序规定 articles 61 to 63.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final

from federation.domain.citizen_number import names_by_number
from federation.domain.clock import Deadline
from federation.domain.lookups_case import DossierFacts, dossier_entity
from federation.domain.permits_policy import AgencyFacts, FunctionCode, Occasion, ask
from federation.protocol.errors import RuleError
from federation.protocol.form import County, Digest, Item, Text, Time, always
from federation.protocol.ids import AgencyId, MessageId, NodeName, checked, matching
from federation.protocol.policy.engine import PolicyRequest, PolicyValue

LEAD_PURPOSE: Final = "police.handover"
LEAD_FUNCTION: Final = FunctionCode("F05")
LEAD_BASIS: Final = "公安机关办理刑事案件程序规定第一百七十五条；公安机关办理行政案件程序规定第六十一条"
LEAD_CLOCK: Final = "police.handover"
LEAD_RULE: Final = "police.lead"
_Papers = Annotated[frozenset[Digest], checked(lambda found: len(found) <= 8, form="up to 8 digests in order")]


class Lead(Item, frozen=True, kw_only=True):
    """A lead that another force is competent for: the offence (案由), place and time, the facts.

    `found` is when the office found that it belongs elsewhere. `measure` is the urgent measure that was taken first,
    None when none was needed. `notice` is the SHA-256 of the 移送案件通知书, `papers` are those of others.
    """

    WHAT: ClassVar[str] = "lead"

    offence: Text
    county: County
    place: Text
    time: Time
    found: Time
    facts: Annotated[str, matching(r"[^\x00-\x1f\x7f]{1,2000}", form="1 to 2000 characters without control characters")]
    measure: Text | None = None
    notice: Digest
    papers: _Papers = always(frozenset())


class LeadAnswer(Item, frozen=True, kw_only=True):
    """The competent force's answer to the lead that the message `lead_id` handed over."""

    WHAT: ClassVar[str] = "lead answer"

    lead_id: MessageId
    accepted: bool
    reason: Text | None = None
    time: Time


class HandedLead(Item, frozen=True, kw_only=True):
    """A lead as one side keeps it for its own `office`; `digest` is that of the statement, which the answer cites."""

    lead_id: MessageId
    lead: Lead
    finder: AgencyId
    force: AgencyId
    office: AgencyId
    created: Time
    deadline: Deadline
    digest: Digest


def verify_lead(lead: Lead, *, now: datetime) -> Lead:
    """Returns the lead when its times are in order and nothing in it names a person by number.

    Raises:
        RuleError: LEAD_TIME, LEAD_NAMES_PERSON.
    """
    if not lead.time <= lead.found <= now:
        raise RuleError("LEAD_TIME", "expected that it happened, then was found, then is handed over")
    _verify_unnamed(lead.offence, lead.place, lead.facts, lead.measure or "")
    return lead


def verify_answer(answer: LeadAnswer) -> LeadAnswer:
    """Returns the answer when it has a reason where it declines, and names nobody by number.

    Raises:
        RuleError: LEAD_REASON, LEAD_NAMES_PERSON.
    """
    if answer.accepted == (answer.reason is not None):
        raise RuleError("LEAD_REASON", "expected a reason where the lead is declined, and only there")
    _verify_unnamed(answer.reason or "")
    return answer


def _verify_unnamed(*texts: str) -> None:
    if any(map(names_by_number, texts)):
        raise RuleError("LEAD_NAMES_PERSON", "expected no person's number: who it is about is said by a letter")


def lead_request(
    action: str, agency: AgencyFacts, province: NodeName, *, occasion: Occasion, **facts: PolicyValue
) -> PolicyRequest:
    """Asks whether the agency may do this with leads for a province: `hand_over`, asked by both; `answer`; `read`."""
    dossier = dossier_entity(DossierFacts(province=province, kind="lead"))
    return ask(f"lead.{action}", agency, dossier, occasion=occasion, **facts)
