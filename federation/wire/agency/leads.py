"""Leads between the forces of two provinces: handed over, accepted or declined."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

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


class LeadStep(Struct, frozen=True, kw_only=True):
    lead_id: MessageId
    accepted: bool
    reason: str | None = None


class LeadLine(Struct, frozen=True, kw_only=True):
    """One lead as an office sees it; `overdue` when nobody took it in time; `policies` did not let it in."""

    handed: HandedLead
    standing: LeadStanding
    overdue: bool = False
    answer: LeadAnswer | None = None
    policies: tuple[str, ...] = ()


class LeadOutcome(Struct, frozen=True, kw_only=True):
    decision: Ruling
    line: LeadLine | None = None


class LeadPage(Struct, frozen=True, kw_only=True):
    decision: Ruling
    lines: tuple[LeadLine, ...] = ()
    next_page_token: str = ""


HAND_OVER_LEAD: Final = Rpc("LeadService/HandOverLead", Lead, LeadOutcome, kinds=POLICE, floor_seconds=WRITES)
ANSWER_LEAD: Final = Rpc("LeadService/AnswerLead", LeadStep, LeadOutcome, kinds=POLICE, floor_seconds=WRITES)
LIST_LEADS: Final = Rpc("LeadService/ListLeads", PageQuery, LeadPage, kinds=POLICE)
