"""A vehicle or an enterprise from plain texts: options of a command, a row of a file. One reader for all.

Rules kept: English names of columns and words, or their Chinese ones; days as 2026-01-05 or 2026/1/5; a plate as people
type it; the x of a number as a capital letter. A row that is wrong is told by its field, never with its value. Form
only: what the law, the realm and policy say is the node's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from federation.cli.permits.rows import Columns
from federation.cli.registers import words
from federation.domain.dossiers.dossier import DossierKind
from federation.domain.dossiers.enterprise import Enterprise, parse_enterprise, verify_enterprise
from federation.domain.dossiers.plate import normalise_plate
from federation.domain.dossiers.vehicle import Vehicle, parse_vehicle, verify_vehicle
from federation.protocol.errors import MalformedError
from federation.wire.agency.registers import REGISTER_ENTERPRISES, REGISTER_VEHICLES, RegisteredRow

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from federation.protocol.ids import Realm
    from federation.wire.client import AgencyClient
    from federation.wire.values import Act

Fact = TypeVar("Fact", Vehicle, Enterprise)
_Word = TypeVar("_Word", bound=StrEnum)
_DAY: Final = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})", re.ASCII)
_YES: Final = frozenset({"true", "yes", "1", "是", "y"})
_NO: Final = frozenset({"false", "no", "0", "否", "n", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterForm(Generic[Fact]):
    """One of the two registers at a desk: its columns, how a row is read and judged here, and how rows are sent."""

    kind: DossierKind
    columns: Columns
    parse: Callable[[Mapping[str, str]], Fact]
    judge: Callable[[Fact, Realm, date], Fact]
    send: Callable[[AgencyClient, Act, Sequence[Fact]], Awaitable[tuple[RegisteredRow, ...]]]


def parse_vehicle_row(texts: Mapping[str, str]) -> Vehicle:
    """Parses a vehicle from texts by field name.

    Raises:
        MalformedError: REGISTER_FIELD, REGISTER_DAY, PERMIT_URN naming the field.
    """
    found = _stripped(texts)
    found["plate"] = normalise_plate(found.get("plate", ""))
    found["plate_class"] = _word(found, "plate_class", words.CLASSES, usual="small_car")
    found["status"] = _word(found, "status", words.VEHICLE_STATUSES, usual="normal")
    found["first_registered"] = _day(found, "first_registered")
    found["keeper"] = found.get("keeper", "").upper()
    return parse_vehicle(found, sealed=_yes(found, "sealed"))


def parse_enterprise_row(texts: Mapping[str, str]) -> Enterprise:
    """Parses an enterprise from texts by field name.

    Raises:
        MalformedError: REGISTER_FIELD, REGISTER_DAY naming the field.
    """
    found = _stripped(texts)
    found["uscc"] = found.get("uscc", "").upper()
    found["status"] = _word(found, "status", words.ENTERPRISE_STATUSES, usual="active")
    found["registered_on"] = _day(found, "registered_on")
    found["representative_number"] = found.get("representative_number", "").upper()
    return parse_enterprise(found)


def _stripped(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text.strip() for name, text in texts.items() if text.strip()}


def _word(texts: Mapping[str, str], name: str, known: Mapping[_Word, str], *, usual: str) -> str:
    text = texts.get(name, usual)
    found = next((word.value for word, chinese in known.items() if text in {word.value, chinese}), None)
    if found is None:
        raise MalformedError("REGISTER_FIELD", f"expected {name!r} to be one of {', '.join(known)}", field=name)
    return found


def _day(texts: Mapping[str, str], name: str) -> str:
    match = _DAY.fullmatch(texts.get(name, ""))
    if match is None:
        raise MalformedError("REGISTER_DAY", f"expected {name!r} to be a day such as 2026-01-05", field=name)
    return f"{match[1]}-{int(match[2]):02d}-{int(match[3]):02d}"


def _yes(texts: Mapping[str, str], name: str) -> bool:
    text = texts.get(name, "").lower()
    if text not in _YES | _NO:
        raise MalformedError("REGISTER_FIELD", f"expected {name!r} to be true or false", field=name)
    return text in _YES


def _columns(labels: Mapping[str, str], *, optional: frozenset[str]) -> Columns:
    known = {**{label: name for name, label in labels.items()}, **{name: name for name in labels}}
    return Columns(
        names=tuple(labels), optional=optional, field_of=lambda name: known.get(name.strip().strip("\ufeff"))
    )


VEHICLES: Final = RegisterForm(
    kind=DossierKind.VEHICLE,
    columns=_columns(words.VEHICLE_COLUMNS, optional=frozenset({"plate_class", "status", "permit", "sealed"})),
    parse=parse_vehicle_row,
    judge=lambda vehicle, realm, today: verify_vehicle(vehicle, realm, today=today),
    send=lambda client, act, rows: client.call(REGISTER_VEHICLES, act, tuple(rows)),
)
ENTERPRISES: Final = RegisterForm(
    kind=DossierKind.ENTERPRISE,
    columns=_columns(words.ENTERPRISE_COLUMNS, optional=frozenset({"status"})),
    parse=parse_enterprise_row,
    judge=lambda enterprise, realm, today: verify_enterprise(enterprise, realm, today=today),
    send=lambda client, act, rows: client.call(REGISTER_ENTERPRISES, act, tuple(rows)),
)
