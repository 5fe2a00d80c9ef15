"""How fields of vehicles and enterprises are shown, in lines for a clerk and as JSON for a program.

Rules kept: numbers of persons are masked in both forms unless all of it is asked for, wherever they stand: as a keeper,
as the number of a representative; a keeper that is an organisation is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

from federation.cli.permits import view
from federation.cli.permits import words as permit_words
from federation.cli.registers import words
from federation.domain.division import format_division_path
from federation.domain.dossiers.dossier import DOSSIER_FIELDS, DossierKind, parse_dossier_urn
from federation.domain.dossiers.texts import is_citizen_number

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.wire.agency.registers import KeptRecord

_NUMBERS: Final = ("citizen_number", "keeper", "representative_number")
_DIVISIONS: Final = frozenset({"registered_division", "division"})
_CLASSES: Final = {word.value: chinese for word, chinese in words.CLASSES.items()}
_STATUSES: Final = {
    DossierKind.PERMIT: {word.value: chinese for word, chinese in permit_words.STATUSES.items()},
    DossierKind.VEHICLE: {word.value: chinese for word, chinese in words.VEHICLE_STATUSES.items()},
    DossierKind.ENTERPRISE: {word.value: chinese for word, chinese in words.ENTERPRISE_STATUSES.items()},
}
_LABEL, _NAME = 24, 24


def mask_fields(fields: Mapping[str, str], *, full: bool) -> dict[str, str]:
    """Fields of any kind of record in the order of a card or licence, persons masked unless all is asked for."""
    found = {name: fields[name] for name in words.FIELDS if name in fields}
    if full:
        return found
    for name in _NUMBERS:
        if name in found and is_citizen_number(found[name]):
            found[name] = view.mask_number(found[name])
    if "birth_date" in found:
        found["birth_date"] = view.mask_day(date.fromisoformat(found["birth_date"]))
    return found


def field_lines(fields: Mapping[str, str], *, full: bool, kind: DossierKind | None = None) -> Iterable[str]:
    """Fields for a clerk, one a line: Chinese label, name, value with what that means.

    Without a kind it is whichever has these fields; a status that kinds name differently is then shown as it stands.
    """
    kinds = (
        (kind,) if kind is not None else tuple(each for each in DOSSIER_FIELDS if fields.keys() <= DOSSIER_FIELDS[each])
    )
    for name, value in mask_fields(fields, full=full).items():
        yield _field_line(name, value, kinds=kinds)


def record_lines(record: KeptRecord, *, full: bool) -> Iterable[str]:
    """One record for a clerk: its name and version, then its fields."""
    yield f"{record.version.id}  第 {record.version.version} 版 version {record.version.version}"
    yield from field_lines(record.fields, full=full, kind=parse_dossier_urn(record.version.id).kind)


def record_object(record: KeptRecord, *, full: bool) -> dict[str, JsonOut]:
    """One record as JSON."""
    fields = mask_fields(record.fields, full=full)
    return {"id": record.version.id, "version": record.version.version, "fields": fields}


def _field_line(name: str, value: str, *, kinds: tuple[DossierKind, ...]) -> str:
    if name in permit_words.FIELDS and name != "status":
        return view.field_line(name, value)
    told = f"{value} {format_division_path(value)}".rstrip() if name in _DIVISIONS else value
    if name == "status":
        meant = {_STATUSES[kind][value] for kind in kinds if value in _STATUSES[kind]}
        told = f"{meant.pop()} {value}" if len(meant) == 1 else value
    if name == "plate_class":
        told = f"{_CLASSES[value]} {value}" if value in _CLASSES else value
    return f"{view.pad(words.FIELDS[name], _LABEL)}{view.pad(name, _NAME)}{told}"
