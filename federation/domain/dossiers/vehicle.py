"""A vehicle as the police of its county register it (机动车登记), and its record in stored bytes.

Rules kept: plate and class belong together; the keeper (所有人) is a person by citizen number or an organisation by
USCC, of this realm; no vehicle was registered after today. It never leaves its province as a whole: a look-up releases
named fields. No message of an error and no `repr` shows plate or keeper.
Sources: 道路交通安全法 article 8; 机动车登记规定; 居住证暂行条例 article 13 (a convenience of the permit).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import ClassVar

from federation.domain.citizen_number import verify_citizen_number
from federation.domain.dossiers.plate import PlateClass, parse_plate, verify_plate_class
from federation.domain.dossiers.texts import is_citizen_number, parse_day, verify_division, verify_text
from federation.domain.permit import PermitUrn, parse_permit_urn
from federation.domain.uscc import verify_uscc
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import (
    Item,
    always,
    decode,
    encode,
)
from federation.protocol.ids import Realm


class VehicleStatus(StrEnum):
    """Where a vehicle stands: 正常, 转出, 被盗抢, 停驶, 注销."""

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
        """Hides plate and keeper."""
        return f"Vehicle({self.plate_class}, {self.registered_division})"


def verify_vehicle(vehicle: Vehicle, realm: Realm, *, today: date) -> Vehicle:
    """Returns the vehicle when every fact has its form and the realm may hold it.

    Raises:
        MalformedError: PLATE_*, REAL_PLATE_IN_DEMO, KEEPER_FORM, CITIZEN_NUMBER_*, REAL_NUMBER_IN_DEMO, USCC_*,
            REAL_USCC_IN_DEMO, REGISTER_TEXT, REGISTER_DIVISION, PERMIT_URN.
        RuleError: REGISTERED_LATER when the first registration lies after today.
    """
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
    """Returns the keeper: a citizen number or a USCC that this realm may hold.

    Raises:
        MalformedError: KEEPER_FORM, and the reasons of `verify_citizen_number` and `verify_uscc`.
    """
    if len(keeper) != 18 or not keeper.isascii():
        raise MalformedError("KEEPER_FORM", "expected the keeper as a citizen number or a USCC", field="keeper")
    return verify_citizen_number(keeper, realm) if is_citizen_number(keeper) else verify_uscc(keeper, realm)


def vehicle_texts(vehicle: Vehicle) -> Mapping[str, str]:
    """Every field of a vehicle as text, by the names of `VEHICLE_FIELDS`; what it lacks is left out."""
    texts = {
        "plate": vehicle.plate,
        "plate_class": vehicle.plate_class.value,
        "brand_model": vehicle.brand_model,
        "colour": vehicle.colour,
        "status": vehicle.status.value,
        "registered_division": vehicle.registered_division,
        "first_registered": vehicle.first_registered.isoformat(),
        "keeper": vehicle.keeper,
    }
    return texts if vehicle.permit is None else {**texts, "permit": vehicle.permit}


def parse_vehicle(texts: Mapping[str, str], *, sealed: bool = False) -> Vehicle:
    """A vehicle from texts by the names of `VEHICLE_FIELDS`; their values are `verify_vehicle`'s to judge.

    Raises:
        MalformedError: REGISTER_FIELD for a missing field or an unknown word, REGISTER_DAY, PERMIT_URN.
    """
    permit = texts.get("permit")
    try:
        return Vehicle(
            plate=texts["plate"],
            plate_class=PlateClass(texts["plate_class"]),
            brand_model=texts["brand_model"],
            colour=texts["colour"],
            status=VehicleStatus(texts["status"]),
            registered_division=texts["registered_division"],
            first_registered=parse_day("first_registered", texts["first_registered"]),
            keeper=texts["keeper"],
            permit=parse_permit_urn(permit) if permit else None,
            sealed=sealed,
        )
    except KeyError as error:
        raise MalformedError("REGISTER_FIELD", f"expected the field {error}") from error
    except ValueError as error:
        told = f"expected a class of {', '.join(PlateClass)} and a status of {', '.join(VehicleStatus)}"
        raise MalformedError("REGISTER_FIELD", told) from error


def encode_vehicle(vehicle: Vehicle) -> bytes:
    """Encodes a vehicle with every fact; `decode_vehicle` gives an equal value back."""
    return encode(vehicle)


def decode_vehicle(encoded: bytes) -> Vehicle:
    """Decodes what `encode_vehicle` wrote.

    Raises:
        CorruptError: VEHICLE_RECORD when the stored bytes are anything else: a human must look.
    """
    try:
        return decode(Vehicle, encoded)
    except MalformedError as error:
        raise CorruptError("VEHICLE_RECORD", "a stored vehicle cannot be read back") from error
