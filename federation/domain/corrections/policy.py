"""The questions about corrections that policy is asked: may this office file one, may this office decide one?

Rules kept: no question names a person, a permit or a correction. The answers are in `policies/corrections.cedar`.
Source: PIPL articles 46, 50; 政务数据共享条例 (one owner per record).
"""

from __future__ import annotations

from typing import Final

from federation.domain.lookup_policy import DossierFacts, dossier_entity
from federation.domain.permit_policy import AgencyFacts, Occasion, ask
from federation.domain.rules.function_register import FunctionCode
from federation.protocol.ids import NodeName
from federation.protocol.policy.request import PolicyRequest

CORRECTION_PURPOSE: Final = "subject.correct"
"""The purpose of a correction."""
CORRECTION_FUNCTION: Final = FunctionCode("F01")
"""Its function: that under which the records it is about are kept together."""
CORRECTION_BASIS: Final = "个人信息保护法第四十六条"
"""The article that a statement with this purpose cites."""
CORRECTION_KIND: Final = "correction"
"""The kind of dossier that a correction belongs to."""


def file_request(
    agency: AgencyFacts, province: NodeName, *, occasion: Occasion, identity_checked: bool
) -> PolicyRequest:
    """May the agency file a correction with that province for a person? Asked by both provinces.

    `identity_checked` is the clerk's word, signed by the sending province.
    """
    dossier = DossierFacts(province=province, kind=CORRECTION_KIND)
    return ask(
        "correction.request", agency, dossier_entity(dossier), occasion=occasion, identityChecked=identity_checked
    )


def decide_request(agency: AgencyFacts, province: NodeName, *, occasion: Occasion, county: str) -> PolicyRequest:
    """May the agency extend, grant or deny corrections of permits that this county issued?"""
    dossier = DossierFacts(province=province, kind=CORRECTION_KIND, issuing_division=county)
    return ask("correction.decide", agency, dossier_entity(dossier), occasion=occasion)


def notice_request(agency: AgencyFacts, owner: NodeName, *, occasion: Occasion) -> PolicyRequest:
    """May the agency say that copies of a permit which that province issued are outdated?"""
    dossier = DossierFacts(province=owner, kind=CORRECTION_KIND)
    return ask("correction.notice", agency, dossier_entity(dossier), occasion=occasion)
