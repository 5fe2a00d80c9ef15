"""The registers of vehicles (机动车登记) and enterprises (经营主体登记): their names, fields and stored bytes.

A record's name says its kind, county and serial only; a keeper (所有人) is a citizen number or a USCC; of a legal
representative a look-up learns the name, nobody the number. No error, no `repr` and no question to policy shows a
plate, a USCC or a person.
Sources: 道路交通安全法 8; 机动车登记规定; 市场主体登记管理条例 5, 8, 9; GB 32100; 居住证暂行条例 4, 13.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from msgspec import Struct

from federation.domain.citizen_number import is_citizen_number, verify_citizen_number
from federation.domain.lookups_case import DossierFacts, dossier_entity
from federation.domain.permits import PERMIT_FIELDS, PermitUrn, parse_permit_urn
from federation.domain.permits_policy import AgencyFacts, FunctionCode, Occasion, ask
from federation.domain.plates import PlateClass, parse_plate, verify_plate_class
from federation.domain.uscc import verify_uscc
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import Item, always, decode, texts_of
from federation.protocol.ids import Realm
from federation.protocol.policy.engine import PolicyRequest

MAX_TEXT: Final = 100
_DIVISION: Final = re.compile(r"[0-9]{6}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def verify_text(name: str, text: str) -> str:
    """Returns 1 to 100 characters without control characters or space around; refuses others (REGISTER_TEXT)."""
    if not 0 < len(text) <= MAX_TEXT or _CONTROL.search(text) or text != text.strip():
        raise MalformedError("REGISTER_TEXT", f"expected {name!r} to be 1 to {MAX_TEXT} characters", field=name)
    return text


def verify_division(name: str, text: str) -> str:
    """Returns the six digits of a county (GB/T 2260); refuses others (REGISTER_DIVISION)."""
    if not _DIVISION.fullmatch(text):
        raise MalformedError("REGISTER_DIVISION", f"expected {name!r} to be six digits", field=name)
    return text


# ---- vehicles


class VehicleStatus(StrEnum):
    """正常, 转出, 被盗抢, 停驶, 注销."""

    NORMAL = "normal"
    TRANSFERRED = "transferred"
    STOLEN = "stolen"
    SUSPENDED = "suspended"
    DEREGISTERED = "deregistered"


class Vehicle(Item, frozen=True, kw_only=True):
    """The facts of one vehicle as they stand; `permit` is the residence permit that its registration rested on."""

    WHAT: ClassVar[str] = "stored vehicle"

    plate: str
    plate_class: PlateClass
    brand_model: str
    colour: str
    status: VehicleStatus
    registered_division: str
    first_registered: date
    keeper: str
    permit: PermitUrn | None = None
    sealed: bool = always(False)

    def __repr__(self) -> str:
        return f"Vehicle({self.plate_class}, {self.registered_division})"


def verify_vehicle(vehicle: Vehicle, realm: Realm, *, today: date) -> Vehicle:
    """Returns a vehicle that the realm may hold; refuses as each field does, and REGISTERED_LATER than today."""
    parse_plate(vehicle.plate, realm)
    verify_plate_class(vehicle.plate, vehicle.plate_class)
    verify_text("brand_model", vehicle.brand_model)
    verify_text("colour", vehicle.colour)
    verify_division("registered_division", vehicle.registered_division)
    verify_keeper(vehicle.keeper, realm)
    if vehicle.permit is not None:
        parse_permit_urn(vehicle.permit)
    if vehicle.first_registered > today:
        raise RuleError("REGISTERED_LATER", f"expected a first registration up to {today}")
    return vehicle


def verify_keeper(keeper: str, realm: Realm) -> str:
    """Returns a citizen number or a USCC that this realm may hold; refuses others (KEEPER_FORM, as those do)."""
    if len(keeper) != 18 or not keeper.isascii():
        raise MalformedError("KEEPER_FORM", "expected the keeper as a citizen number or a USCC", field="keeper")
    return verify_citizen_number(keeper, realm) if is_citizen_number(keeper, realm) else verify_uscc(keeper, realm)


def decode_vehicle(encoded: bytes) -> Vehicle:
    """Decodes a stored vehicle; anything else is corrupt (CorruptError VEHICLE_RECORD)."""
    try:
        return decode(Vehicle, encoded)
    except MalformedError as error:
        raise CorruptError("VEHICLE_RECORD", "a stored vehicle cannot be read back") from error


# ---- enterprises


class EnterpriseStatus(StrEnum):
    """存续, 歇业, 迁出, 吊销, 注销."""

    ACTIVE = "active"
    DORMANT = "dormant"
    TRANSFERRED = "transferred"
    REVOKED = "revoked"
    DEREGISTERED = "deregistered"


class Enterprise(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "stored enterprise"

    uscc: str
    name: str
    division: str
    status: EnterpriseStatus
    registered_on: date
    legal_form: str
    legal_representative: str
    representative_number: str

    def __repr__(self) -> str:
        return f"Enterprise({self.legal_form}, {self.division})"


def verify_enterprise(enterprise: Enterprise, realm: Realm, *, today: date) -> Enterprise:
    """Returns an enterprise that the realm may hold; refuses as each field does, and REGISTERED_LATER than today."""
    verify_uscc(enterprise.uscc, realm)
    verify_text("name", enterprise.name)
    verify_division("division", enterprise.division)
    verify_text("legal_form", enterprise.legal_form)
    verify_text("legal_representative", enterprise.legal_representative)
    verify_citizen_number(enterprise.representative_number, realm)
    if enterprise.registered_on > today:
        raise RuleError("REGISTERED_LATER", f"expected a registration up to {today}")
    return enterprise


def decode_enterprise(encoded: bytes) -> Enterprise:
    """Decodes a stored enterprise; anything else is corrupt (CorruptError ENTERPRISE_RECORD)."""
    try:
        return decode(Enterprise, encoded)
    except MalformedError as error:
        raise CorruptError("ENTERPRISE_RECORD", "a stored enterprise cannot be read back") from error


# ---- names and fields

VEHICLE_FIELDS: Final = tuple(name for name in Vehicle.__struct_fields__ if name != "sealed")
ENTERPRISE_FIELDS: Final = Enterprise.__struct_fields__
_OWN_URN: Final = re.compile(r"urn:(?P<kind>vehicle|enterprise):[0-9]{6}:[0-9]{6,12}", re.ASCII)


class DossierKind(StrEnum):
    """The kinds of record that a look-up finds, as policy names them (`resource.kind`)."""

    PERMIT = "permit"
    VEHICLE = "vehicle"
    ENTERPRISE = "enterprise"


DOSSIER_FIELDS: Final[Mapping[DossierKind, frozenset[str]]] = MappingProxyType(
    {
        DossierKind.PERMIT: frozenset(PERMIT_FIELDS),
        DossierKind.VEHICLE: frozenset(VEHICLE_FIELDS),
        DossierKind.ENTERPRISE: frozenset(ENTERPRISE_FIELDS),
    }
)
"""The fields of each kind: a fetch names fields of one kind only."""
REPRESENTATIVE_FIELDS: Final = frozenset({"legal_representative", "representative_number"})
"""The fields of an enterprise that are a person's: whoever gets one, that person is told."""


class DossierRef(Struct, frozen=True, kw_only=True):
    """The name of one record: its kind, and its URN in the register of that kind."""

    kind: DossierKind
    id: str


def vehicle_texts(vehicle: Vehicle) -> Mapping[str, str]:
    return texts_of(vehicle, VEHICLE_FIELDS)


def enterprise_texts(enterprise: Enterprise) -> Mapping[str, str]:
    return texts_of(enterprise, ENTERPRISE_FIELDS)


def format_dossier_urn(kind: DossierKind, division: str, *, serial: int) -> str:
    return parse_dossier_urn(f"urn:{kind}:{division}:{serial:06d}").id


def dossier_division(ref: DossierRef) -> str:
    """The county that a record's name says keeps it."""
    return ref.id.split(":")[2]


def parse_dossier_urn(text: str) -> DossierRef:
    """Parses `urn:<vehicle|enterprise>:<county>:<serial>` or a permit's name; refuses DOSSIER_URN, PERMIT_URN."""
    found = _OWN_URN.fullmatch(text)
    if found is not None:
        return DossierRef(kind=DossierKind(found["kind"]), id=text)
    if text.startswith("urn:permit:"):
        return DossierRef(kind=DossierKind.PERMIT, id=parse_permit_urn(text))
    raise MalformedError("DOSSIER_URN", f"expected a record such as urn:vehicle:330822:000123, got {text!r:.60}")


# ---- what policy is asked

REGISTER_PURPOSE: Final[Mapping[DossierKind, str]] = MappingProxyType(
    {DossierKind.VEHICLE: "vehicle.administration", DossierKind.ENTERPRISE: "enterprise.administration"}
)

REGISTER_FUNCTION: Final[Mapping[DossierKind, FunctionCode]] = MappingProxyType(
    {DossierKind.VEHICLE: FunctionCode("F07"), DossierKind.ENTERPRISE: FunctionCode("F16")}
)
"""The joint function of each purpose: vehicle items across provinces (车管), checks of enterprises (经营主体核查)."""


class RegisterAct(StrEnum):
    KEEP = "register.keep"
    READ = "register.read"


def register_request(
    act: RegisterAct, agency: AgencyFacts, dossier: DossierFacts, *, occasion: Occasion
) -> PolicyRequest:
    """Asks whether the agency may keep (register, change, import) or read this record of its own province."""
    return ask(act.value, agency, dossier_entity(dossier), occasion=occasion)
