"""The questions about retention that policy is asked: reading a release again, and ordering what was sent erased.

Rules kept: as `lookup_policy`; no question names a person, a case or a record. The answers are in
`policies/erasure.cedar`. Trusts the caller for the flags. Sources: misuse control M9; PIPL articles 19 and 47;
网络数据安全管理条例 article 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.domain.lookup_policy import DossierFacts, dossier_entity
from federation.domain.permit_policy import AgencyFacts, Occasion, ask
from federation.domain.rules.function_register import FunctionCode
from federation.protocol.ids import NodeName
from federation.protocol.policy.request import PolicyRequest

ERASURE_PURPOSE: Final = "erasure.order"
"""The purpose of an order to erase, and of the receipt that answers it."""
ERASURE_FUNCTION: Final = FunctionCode("F01")
"""Its function: that under which records are shared."""
ERASURE_BASIS: Final = "个人信息保护法第四十七条"
"""The article that orders and deletion receipts cite."""

RELEASE_KIND: Final = "release"
"""The kind of dossier that is read again: what was released to an officer."""
MESSAGE_KIND: Final = "message"
"""The kind of dossier that an order to erase is about: what one message handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFacts:
    """What the reader's own node knows of a release.

    `case_open`: its case is within its term and not closed. `release_live`: it has not expired and was not erased.
    `same_officer`: who reads is the officer who fetched.
    """

    case_open: bool
    release_live: bool
    same_officer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """What the deciding node knows of a message that is ordered erased.

    `by_sender`: the province that orders is the one that sent it. `under_floor`: it is itself a record of provision,
    which must be kept longer.
    """

    by_sender: bool
    under_floor: bool


def reading_request(
    agency: AgencyFacts, province: NodeName, *, occasion: Occasion, facts: ReadingFacts
) -> PolicyRequest:
    """May the agency read again what that province released to one of its officers?"""
    return ask(
        "lookup.read",
        agency,
        dossier_entity(DossierFacts(province=province, kind=RELEASE_KIND)),
        occasion=occasion,
        caseOpen=facts.case_open,
        releaseLive=facts.release_live,
        sameOfficer=facts.same_officer,
    )


def order_request(agency: AgencyFacts, province: NodeName, *, occasion: Occasion, facts: OrderFacts) -> PolicyRequest:
    """May the agency order that province to erase what a message handed over to it?"""
    resource = dossier_entity(DossierFacts(province=province, kind=MESSAGE_KIND))
    return ask(
        "erasure.order", agency, resource, occasion=occasion, bySender=facts.by_sender, underFloor=facts.under_floor
    )
