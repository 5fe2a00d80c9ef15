"""Readings as an inspector sees them: who read what, when, of which look-up, which fields; never a person or a value.

Rules kept: the inspector is an audit office, or the leader of the case, who signs with their own registered key.
Trusts nothing it decodes. Source: misuse control M12 (the watchers are watched).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from federation.protocol.canonical_json import decode_canonical, encode_canonical, read_text
from federation.protocol.errors import CorruptError
from federation.protocol.ids import AgencyId, format_time, parse_agency_id, parse_time

AUDIT_OFFICE: Final = "audit"
"""The kind of office that inspects every reading of its province."""
_WHAT: Final = "kept reading"


class ReadingKind(StrEnum):
    """What was read: released fields, or one of the lists of the watch."""

    RELEASED = "released"
    NOTICES = "notices"
    FLAGS = "flags"
    DIGEST = "digest"
    SAMPLE = "sample"
    WATCH = "watch"
    READINGS = "readings"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReading:
    """One reading. `about`: what a list was narrowed to, such as an officer and a day.

    `lookup_id`, `case_id`, `node` (which province released) and `fields` (their names) are of released fields only.
    """

    time: datetime
    agency: AgencyId
    officer: str
    kind: ReadingKind
    about: str = ""
    lookup_id: str = ""
    case_id: str = ""
    node: str = ""
    fields: frozenset[str] = frozenset()


def encode_reading(reading: KeptReading) -> bytes:
    """Encodes a reading into its one canonical form."""
    return encode_canonical(
        {
            "time": format_time(reading.time),
            "agency": str(reading.agency),
            "officer": reading.officer,
            "kind": reading.kind.value,
            "about": reading.about,
            "lookup_id": reading.lookup_id,
            "case_id": reading.case_id,
            "node": reading.node,
            "fields": sorted(reading.fields),
        }
    )


def decode_reading(encoded: bytes) -> KeptReading:
    """Decodes a reading of our own store.

    Raises:
        CorruptError: READING_KIND; MalformedError: JSON_* and AGENCY_ID for its form.
    """
    value = decode_canonical(encoded, what=_WHAT)
    kind = next((word for word in ReadingKind if word.value == value.get("kind")), None)
    if kind is None:
        raise CorruptError("READING_KIND", f"{_WHAT}: expected one of {[word.value for word in ReadingKind]}")
    names = value.get("fields")
    return KeptReading(
        time=parse_time(read_text(value, "time", what=_WHAT)),
        agency=parse_agency_id(read_text(value, "agency", what=_WHAT)),
        officer=read_text(value, "officer", what=_WHAT),
        kind=kind,
        about=read_text(value, "about", what=_WHAT),
        lookup_id=read_text(value, "lookup_id", what=_WHAT),
        case_id=read_text(value, "case_id", what=_WHAT),
        node=read_text(value, "node", what=_WHAT),
        fields=frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset(),
    )


def readings_bytes(agency: AgencyId, case_id: str, *, reader: str) -> bytes:
    """The exact bytes that a leader's own key signs to see who read what in their case."""
    return encode_canonical({"step": "lookup.readings", "agency": str(agency), "case_id": case_id, "reader": reader})
