"""The plate of a vehicle: its one written form, its class, and the realm guard.

Rules kept: the written form is like `浙H·I0001`: province, letter of the office, dot, five characters;
six with a D or F for new energy; four and a last character for trailers (挂) and school cars (学). Serials hold no I
and no O, so a plate with one was never issued: the demo realm takes only those, the live realm none.
What people type is brought into that form at a desk only (`normalise_plate`); what crosses a border or is stored is
refused in any other. No message of an error shows a plate. Sources: GA 36, GA/T 16.7 (号牌种类), domain notes 6.4.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm

PLATE_PROVINCES: Final = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"

NEVER_ISSUED: Final = frozenset("IO")
"""Letters that no serial holds, since they look like digits: the mark of an invented plate."""

_PLATE: Final = re.compile(
    rf"[{PLATE_PROVINCES}][A-HJ-NP-Z]·(?:[0-9A-Z]{{5}}|[0-9A-Z]{{4}}[挂学]|[DF][0-9A-Z]{{5}}|[0-9A-Z]{{5}}[DF])"
)
_SEPARATORS: Final = re.compile(r"[\s·.\-•・‧∙]")


class PlateClass(StrEnum):
    """The class of a plate (号牌种类); `PLATE_CLASS_CODES` has the numbers of GA/T 16.7."""

    LARGE_CAR = "large_car"
    SMALL_CAR = "small_car"
    MOTORCYCLE = "motorcycle"
    MOPED = "moped"
    TRAILER = "trailer"
    SCHOOL_CAR = "school_car"
    NEW_ENERGY_LARGE = "new_energy_large"
    NEW_ENERGY_SMALL = "new_energy_small"


PLATE_CLASS_CODES: Final[Mapping[PlateClass, str]] = MappingProxyType(
    {
        PlateClass.LARGE_CAR: "01", PlateClass.SMALL_CAR: "02", PlateClass.MOTORCYCLE: "07", PlateClass.MOPED: "08",
        PlateClass.TRAILER: "15", PlateClass.SCHOOL_CAR: "16", PlateClass.NEW_ENERGY_LARGE: "51",
        PlateClass.NEW_ENERGY_SMALL: "52",
    }
)  # fmt: skip
"""The class as GA/T 16.7 numbers it; to be checked against the standard before the live realm."""


def parse_plate(text: str, realm: Realm) -> str:
    """Parses `浙H·I0001`, the one form; refuses PLATE_FORM, REAL_PLATE_IN_DEMO, and PLATE_NEVER_ISSUED in live."""
    if not _PLATE.fullmatch(text):
        raise MalformedError("PLATE_FORM", "expected a plate such as 浙H·I0001: province, letter, dot, serial")
    invented = bool(NEVER_ISSUED & set(_serial(text)))
    if realm is Realm.DEMO and not invented:
        raise MalformedError("REAL_PLATE_IN_DEMO", "the demo realm takes plates with an I or O in the serial only")
    if realm is Realm.LIVE and invented:
        raise MalformedError("PLATE_NEVER_ISSUED", "no serial of a plate holds an I or an O")
    return text


def verify_plate_class(plate: str, plate_class: PlateClass) -> PlateClass:
    """Returns the class when a plate of that form can be of it; refuses others (PLATE_CLASS)."""
    shown = _form_class(_serial(plate))
    if shown is not plate_class and (shown is not None or plate_class in _OF_FORM):
        raise MalformedError("PLATE_CLASS", f"expected a plate whose form is that of a {plate_class} plate")
    return plate_class


def normalise_plate(typed: str) -> str:
    """Writes a plate as people type it in its one form (at a desk only); what is no plate comes back as typed."""
    text = _SEPARATORS.sub("", unicodedata.normalize("NFKC", typed)).upper()
    written = f"{text[:2]}·{text[2:]}"
    return written if _PLATE.fullmatch(written) else typed


_OF_FORM: Final = frozenset(
    {PlateClass.TRAILER, PlateClass.SCHOOL_CAR, PlateClass.NEW_ENERGY_LARGE, PlateClass.NEW_ENERGY_SMALL}
)


def _form_class(serial: str) -> PlateClass | None:
    if serial[-1] == "挂":
        return PlateClass.TRAILER
    if serial[-1] == "学":
        return PlateClass.SCHOOL_CAR
    if len(serial) == 6:
        return PlateClass.NEW_ENERGY_SMALL if serial[0] in "DF" else PlateClass.NEW_ENERGY_LARGE
    return None


def _serial(plate: str) -> str:
    return plate[3:]
