"""The questions about look-ups across the border that policy is asked, built from plain facts.

Rules kept: no question names a person, a case or a record, so equal questions are equal values; the asking node and the
node asked put the same question, each with what it knows itself. The answers are in `policies/lookups.cedar`, the
vocabulary in `policies/schema.cedarschema`; both change together.
Trusts the caller for the flags of `LookupOccasion`: they tell what its own copy of the case and the officer's signature
say. Sources: 公安机关办理刑事案件程序规定 articles 346 to 356; 人民警察法 articles 6, 21; PIPL articles 6, 28, 34.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.domain.functions import FunctionCode
from federation.domain.permits_policy import AgencyFacts, Occasion, ask, county_ref
from federation.protocol.ids import NodeName
from federation.protocol.policy.request import Attributes, Entity, EntityRef, PolicyRequest, PolicyValue

LOOKUP_FUNCTION: Final = FunctionCode("F03")
"""The joint function of every look-up, as the policy `deny-lookup-function` has it."""

SUBJECT_PURPOSE: Final = "subject.access"
SUBJECT_FUNCTION: Final = FunctionCode("F01")
SUBJECT_BASIS: Final = "个人信息保护法第四十五条"
DISCLOSURE_KIND: Final = "given"

_DOSSIER: Final = EntityRef("Dossier", "dossier")


class LookupPurpose(StrEnum):
    CRIMINAL_INVESTIGATION = "lookup.criminal_investigation"
    MISSING_PERSON = "lookup.missing_person"
    IDENTITY_CHECK = "lookup.identity_check"


LOOKUP_BASIS: Final[Mapping[LookupPurpose, str]] = MappingProxyType(
    {
        LookupPurpose.CRIMINAL_INVESTIGATION: "公安机关办理刑事案件程序规定第三百五十三条",
        LookupPurpose.MISSING_PERSON: "人民警察法第二十一条",
        LookupPurpose.IDENTITY_CHECK: "居民身份证法第十五条",
    }
)
_POLICE_BASIS: Final = "人民警察法第六条"


def basis_of(purpose: str) -> str:
    """Returns the article that a look-up cites; of an unknown purpose, the police's duty as such."""
    known = {str(word): basis for word, basis in LOOKUP_BASIS.items()}
    return known.get(purpose, _POLICE_BASIS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierFacts:
    """What policy may know of what is looked for: the province asked, the kind, and the record once one is found.

    `issuing_division` is a six-digit code, None as long as nothing is found. `minor` means under 14 today; `sealed`
    records answer no look-up. The asking province, which knows no record, leaves them as they are.
    """

    province: NodeName
    kind: str = "permit"
    issuing_division: str | None = None
    sealed: bool = False
    minor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupOccasion(Occasion):
    """An occasion, and what the deciding node found out about the case.

    `case_open`: its copy of the case is within its term and not closed. `purpose_in_case`: the case names the purpose.
    `county_in_case`: the case names every county known so far: the asker's and, once a record is found, the issuing
    one. `step_up`: the officer's own key signed this fetch and the signature verified; it plays no part in a search.
    `urgency` is `urgent` or `routine`.
    """

    case_open: bool
    purpose_in_case: bool
    county_in_case: bool
    step_up: bool = False
    urgency: str = "routine"


def case_request(
    agency: AgencyFacts, province: NodeName, *, occasion: Occasion, purposes: frozenset[str]
) -> PolicyRequest:
    """May the agency open or close a case that allows these purposes with that province?"""
    return ask(
        "lookup.case", agency, dossier_entity(DossierFacts(province=province)), occasion=occasion, purposes=purposes
    )


def search_request(agency: AgencyFacts, dossier: DossierFacts, *, occasion: LookupOccasion) -> PolicyRequest:
    """May the agency learn whether a record exists?

    The province asked puts the question without a record first, then for the record it finds: refused then means no
    hit, since a refusal would tell that the record exists.
    """
    return ask("lookup.search", agency, dossier_entity(dossier), occasion=occasion, **_case_facts(occasion))


def fetch_request(
    agency: AgencyFacts, dossier: DossierFacts, *, occasion: LookupOccasion, fields: frozenset[str]
) -> PolicyRequest:
    """May the agency have these fields of the record it hit? All of them or none: one field too many refuses all."""
    facts = {**_case_facts(occasion), "stepUp": occasion.step_up, "fields": fields}
    return ask("lookup.fetch", agency, dossier_entity(dossier), occasion=occasion, **facts)


def answer_request(
    agency: AgencyFacts, dossier: DossierFacts, *, occasion: Occasion, intake: bool, in_time: bool
) -> PolicyRequest:
    """May the agency release or refuse at the desk? `intake`: it answers for its province; `in_time`: time is left."""
    return ask("lookup.answer", agency, dossier_entity(dossier), occasion=occasion, intake=intake, inTime=in_time)


def report_request(
    agency: AgencyFacts, dossier: DossierFacts, *, occasion: Occasion, identity_checked: bool
) -> PolicyRequest:
    """May the agency have a person's own report (PIPL 20, 45)? `identity_checked` is the clerk's signed word."""
    return ask("subject.report", agency, dossier_entity(dossier), occasion=occasion, identityChecked=identity_checked)


def _case_facts(occasion: LookupOccasion) -> Mapping[str, PolicyValue]:
    return {
        "caseOpen": occasion.case_open,
        "purposeInCase": occasion.purpose_in_case,
        "countyInCase": occasion.county_in_case,
        "urgency": str(occasion.urgency),
    }


def dossier_entity(dossier: DossierFacts) -> Entity:
    """The record as policy sees it: never its own name, nor whom it is about."""
    division = dossier.issuing_division
    issuing: Attributes = () if division is None else (("issuingCounty", county_ref(division)),)
    return Entity(
        _DOSSIER,
        (
            ("province", EntityRef("Province", dossier.province)),
            ("kind", dossier.kind),
            *issuing,
            ("sealed", dossier.sealed),
            ("minor", dossier.minor),
        ),
    )
