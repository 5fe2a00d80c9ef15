"""Leads between the forces of two provinces: handed over, accepted or declined."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federation.domain.leads import HandedLead, Lead, LeadAnswer
from federation.protocol.ids import MessageId
from federation.wire.rpc import POLICE, WRITES, PageQuery, Rpc, Ruling


class LeadStanding(StrEnum):
    """The status of a lead, seen from here: `refused` by the other side, `undelivered` in its time."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REFUSED = "refused"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadStep:
    lead_id: MessageId
    accepted: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadLine:
    """One lead as an office sees it; `overdue` when nobody took it in time; `policies` did not let it in."""

    handed: HandedLead
    standing: LeadStanding
    overdue: bool = False
    answer: LeadAnswer | None = None
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadOutcome:
    decision: Ruling
    line: LeadLine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadPage:
    decision: Ruling
    lines: tuple[LeadLine, ...] = ()
    next_page_token: str = ""


HAND_OVER_LEAD: Final = Rpc("LeadService/HandOverLead", Lead, LeadOutcome, kinds=POLICE, floor_seconds=WRITES)
ANSWER_LEAD: Final = Rpc("LeadService/AnswerLead", LeadStep, LeadOutcome, kinds=POLICE, floor_seconds=WRITES)
LIST_LEADS: Final = Rpc("LeadService/ListLeads", PageQuery, LeadPage, kinds=POLICE)
