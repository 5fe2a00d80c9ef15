"""An officer's day, for the officer to check: "you asked about these seven; was all of this you?".

Rules kept: one line a look-up, however many provinces it went to; a person is masked so that who asked knows them again
and nobody else can ask with it. Source: misuse control M6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from federation.domain.lookup.asking import Outcome
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.ids import AgencyId, NodeName

_LONG: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLine:
    """One look-up of the day; `person` is masked, an outcome is None while the answer is awaited."""

    lookup_id: str
    case_id: str
    time: datetime
    person: str
    outcomes: Mapping[NodeName, Outcome | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The look-ups of one officer on one day in China, in the order of time."""

    officer: str
    day: date
    lines: tuple[DigestLine, ...] = ()


def mask_selector(value: str) -> str:
    """Masks what somebody was looked up by: of a long number the first six and last two characters stay.

    Of a name such as `urn:permit:330822:2026:000123` all stays but the serial, of which the last two do.
    """
    head, colon, serial = value.rpartition(":")
    if colon:
        return f"{head}:{_mask(serial, first=0, last=2)}"
    return _mask(value, first=6, last=2) if len(value) >= _LONG else _mask(value, first=2, last=1)


def digest_bytes(agency: AgencyId, officer: str, *, day: date, reader: str) -> bytes:
    """The exact bytes that a leader's own key signs to read the day of somebody else."""
    return encode_canonical(
        {
            "step": "lookup.digest",
            "agency": str(agency),
            "officer": officer,
            "day": day.isoformat(),
            "reader": reader,
        }
    )


def _mask(text: str, *, first: int, last: int) -> str:
    if len(text) <= first + last:
        return "*" * max(len(text), 1)
    return f"{text[:first]}{'*' * (len(text) - first - last)}{text[-last:]}"
