"""The questions about residence permits that policy is asked, built from plain facts.

Rules kept: no question names a person or a permit, so equal cases are equal questions; a county's earlier code counts
as today's; a province outside the federation goes by the first two digits of its codes and is nobody's home. The
answers are in `policies/permits.cedar`, the vocabulary in `policies/schema.cedarschema`; both change together.
Sources: 居住证暂行条例 articles 7 to 13; PIPL articles 6, 28, 34.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Final, NewType

from msgspec import Struct

from federation.domain.citizen_number import age_on
from federation.domain.division import border_counties, code_today, province_of
from federation.domain.permits import Permit, PermitItem, PermitStatus, status_on
from federation.protocol.ids import AgencyId, NodeName, Realm, matching
from federation.protocol.policy.engine import Attributes, Entity, EntityRef, PolicyRequest, PolicyValue

CHILD_AGE: Final = 14
"""Below this age everything about a person is sensitive (PIPL article 28)."""

_PERMIT: Final = EntityRef("Permit", "permit")
_BORDER: Final = EntityRef("Zone", "border")


FunctionCode = NewType(
    "FunctionCode", Annotated[str, matching("(?!F00)F[0-9]{2}", form="a function such as F01", reason="FUNCTION_CODE")]
)
"""One of the joint functions of `policies/functions.toml`, to which each purpose points."""


class PermitPurpose(StrEnum):
    """A lawful use of a permit record; each belongs to one joint function (`FUNCTION_OF`)."""

    ADMINISTRATION = "permit.administration"
    SHARING = "permit.sharing"
    RECOGNITION = "permit.recognition"
    SERVICE = "permit.service"
    CHECK = "permit.check"


FUNCTION_OF: Final[Mapping[PermitPurpose, FunctionCode]] = MappingProxyType(
    {
        PermitPurpose.ADMINISTRATION: FunctionCode("F02"),
        PermitPurpose.SHARING: FunctionCode("F01"),
        PermitPurpose.RECOGNITION: FunctionCode("F01"),
        PermitPurpose.SERVICE: FunctionCode("F01"),
        PermitPurpose.CHECK: FunctionCode("F03"),
    }
)
"""The joint function each purpose belongs to, as the policy `deny-purpose-of-no-function` has it."""

LEGAL_BASIS: Final[Mapping[PermitPurpose, str]] = MappingProxyType(
    {
        PermitPurpose.ADMINISTRATION: "居住证暂行条例第八条、第十条",
        PermitPurpose.SHARING: "居住证暂行条例第七条",
        PermitPurpose.RECOGNITION: "居住证暂行条例第七条",
        PermitPurpose.SERVICE: "居住证暂行条例第十二条、第十三条",
        PermitPurpose.CHECK: "居住证暂行条例第七条",
    }
)


class PermitChange(StrEnum):
    REGISTER = "permit.register"
    ENDORSE = "permit.endorse"
    SUSPEND = "permit.suspend"
    RESTORE = "permit.restore"
    REVOKE = "permit.revoke"
    IMPORT = "permit.import"


class AgencyFacts(Struct, frozen=True, kw_only=True):
    """An agency, and the joint functions that the agreement gives it (`F01` and so on)."""

    id: AgencyId
    functions: frozenset[str]


class PermitFacts(Struct, frozen=True, kw_only=True):
    """The attributes of a permit that policy reads; a division is None where unknown, `minor` means under 14 today."""

    issuing_division: str
    household_division: str | None
    work_division: str | None = None
    status: PermitStatus
    sealed: bool = False
    minor: bool = False


class Occasion(Struct, frozen=True, kw_only=True):
    """The purpose and function of an act, its realm, and the realm of the node that decides."""

    purpose: str
    function: str
    realm: Realm
    node_realm: Realm


def permit_facts(permit: Permit, *, today: date) -> PermitFacts:
    """Returns what policy may know of a permit of our own on a day."""
    return PermitFacts(
        issuing_division=permit.residence_division,
        household_division=permit.holder.household_division,
        work_division=permit.work_division,
        status=status_on(permit, today),
        sealed=permit.sealed,
        minor=age_on(permit.holder.birth_date, today) < CHILD_AGE,
    )


def item_facts(item: PermitItem, *, today: date) -> PermitFacts:
    """Returns the facts of another province's permit; one without birth date and number counts as a child's."""
    born = item.birth_date
    if born is None and item.citizen_number is not None:
        digits = item.citizen_number[6:14]
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    return PermitFacts(
        issuing_division=item.residence_division,
        household_division=item.household_division,
        work_division=item.work_division,
        status=status_on(item, today),
        minor=born is None or age_on(born, today) < CHILD_AGE,
    )


def change_request(
    change: PermitChange, agency: AgencyFacts, *, permit: PermitFacts, occasion: Occasion
) -> PolicyRequest:
    """Asks whether the agency may register, endorse, suspend, restore, revoke or import this permit."""
    return ask(change.value, agency, _permit_entity(permit), occasion=occasion)


def read_request(
    agency: AgencyFacts, permit: PermitFacts, *, occasion: Occasion, fields: frozenset[str] | None = None
) -> PolicyRequest:
    """Asks whether the agency may read this permit. With `fields`, those alone; without, whatever policy gives."""
    wanted: Mapping[str, PolicyValue] = {} if fields is None else {"fields": fields}
    return ask("permit.read", agency, _permit_entity(permit), occasion=occasion, **wanted)


def recognise_request(
    agency: AgencyFacts, permit: PermitFacts, *, occasion: Occasion, mode: str, agreed_modes: frozenset[str]
) -> PolicyRequest:
    """Asks whether the agency may recognise this permit. Its own node asks, and the issuing node when told."""
    return ask(
        "permit.recognise", agency, _permit_entity(permit), occasion=occasion, mode=mode, agreedModes=agreed_modes
    )


def replicate_request(recipient: NodeName, permit: PermitFacts, *, occasion: Occasion) -> PolicyRequest:
    """Asks whether a copy may go to that province. The decision's `fields` are those that go."""
    return PolicyRequest(
        principal=Entity(EntityRef("Province", recipient)),
        action="permit.replicate",
        resource=_permit_entity(permit),
        context=_context(occasion),
    )


def accept_request(
    sender: AgencyFacts, permit: PermitFacts, *, occasion: Occasion, recipient: NodeName
) -> PolicyRequest:
    """Asks whether we, the recipient, may take in a copy that this agency sent."""
    return ask(
        "permit.accept", sender, _permit_entity(permit), occasion=occasion, recipient=EntityRef("Province", recipient)
    )


def ask(
    action: str, agency: AgencyFacts, resource: Entity, *, occasion: Occasion, **facts: PolicyValue
) -> PolicyRequest:
    """Builds the policy question; `facts` are the action's context beside the occasion, named as in the schema."""
    principal, county = agency_entities(agency)
    context = (*_context(occasion), *facts.items())
    return PolicyRequest(principal=principal, action=action, resource=resource, context=context, others=(county,))


def _context(occasion: Occasion) -> Attributes:
    return (
        ("purpose", occasion.purpose),
        ("function", occasion.function),
        ("realm", occasion.realm.value),
        ("nodeRealm", occasion.node_realm.value),
    )


@lru_cache(maxsize=1024)
def agency_entities(agency: AgencyFacts) -> tuple[Entity, Entity]:
    """The agency as a principal, and the county it sits in, for the `others` of a request."""
    county, province = county_ref(agency.id.county), EntityRef("Province", agency.id.node)
    zones = (_BORDER,) if county.id in border_counties(agency.id.node) else ()
    office = Entity(
        EntityRef("Agency", str(agency.id)),
        (("province", province), ("county", county), ("kind", agency.id.kind), ("functions", agency.functions)),
        (county,),
    )
    return office, Entity(county, (), (province, *zones))


@lru_cache(maxsize=4096)
def _permit_entity(permit: PermitFacts) -> Entity:
    return Entity(
        _PERMIT,
        (
            *_place("issuing", permit.issuing_division),
            *_place("household", permit.household_division),
            *_place("work", permit.work_division),
            ("status", permit.status.value),
            ("sealed", permit.sealed),
            ("minor", permit.minor),
        ),
    )


def _place(role: str, division: str | None) -> Attributes:
    if division is None:
        return ()
    province = EntityRef("Province", province_of(division) or division[:2])
    return ((f"{role}Province", province), (f"{role}County", county_ref(division)))


def county_ref(code: str) -> EntityRef:
    """The county's name in policy: its code in force today, or the code as it stands when no table has it."""
    return EntityRef("County", code_today(code))
