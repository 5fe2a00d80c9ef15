"""Readings as an inspector sees them: who read what, when, of which look-up, which fields; never a person or a value.

Rules kept: the inspector is an audit office, or the leader of the case, who signs with their own registered key.
Trusts nothing it decodes. Source: misuse control M12 (the watchers are watched).
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

from federation.protocol.canonical_json import encode_canonical
from federation.protocol.errors import CorruptError, MalformedError
from federation.protocol.form import Item, Time, always, decode, encode
from federation.protocol.ids import AgencyId

AUDIT_OFFICE: Final = "audit"
"""The kind of office that inspects every reading of its province."""


class ReadingKind(StrEnum):
    """What was read: released fields, or one of the lists of the watch."""

    RELEASED = "released"
    NOTICES = "notices"
    FLAGS = "flags"
    DIGEST = "digest"
    SAMPLE = "sample"
    WATCH = "watch"
    READINGS = "readings"


class KeptReading(Item, frozen=True, kw_only=True):
    """One reading. `about`: what a list was narrowed to, such as an officer and a day.

    `lookup_id`, `case_id`, `node` (which province released) and `fields` (their names) are of released fields only.
    """

    WHAT: ClassVar[str] = "kept reading"
    REASON: ClassVar[str] = "READING_KIND"

    time: Time
    agency: AgencyId
    officer: str
    kind: ReadingKind
    about: str = always("")
    lookup_id: str = always("")
    case_id: str = always("")
    node: str = always("")
    fields: frozenset[str] = always(frozenset())


def encode_reading(reading: KeptReading) -> bytes:
    """Encodes a reading into its one canonical form."""
    return encode(reading)


def decode_reading(encoded: bytes) -> KeptReading:
    """Decodes a reading of our own store.

    Raises:
        CorruptError: READING_KIND; MalformedError: JSON_* and AGENCY_ID for its form.
    """
    try:
        return decode(KeptReading, encoded)
    except MalformedError as error:
        if error.reason == KeptReading.REASON:
            raise CorruptError(error.reason, error.message) from error
        raise


def readings_bytes(agency: AgencyId, case_id: str, *, reader: str) -> bytes:
    """The exact bytes that a leader's own key signs to see who read what in their case."""
    return encode_canonical({"step": "lookup.readings", "agency": str(agency), "case_id": case_id, "reader": reader})
