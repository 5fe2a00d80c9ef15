"""The small forms that both registers share: texts, days, counties, and which of two numbers 18 characters are.

Rules kept: 17 digits and a digit or X are a citizen number, unless they can be a USCC only; no
message of an error shows a value.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from federation.domain.citizen_number import verify_number_form
from federation.domain.uscc import parse_uscc
from federation.protocol.errors import MalformedError

MAX_TEXT: Final = 100
"""The longest text that a record of a register holds in one field."""

_DIGITS: Final = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_DIVISION: Final = re.compile(r"[0-9]{6}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def is_citizen_number(text: str) -> bool:
    """Whether 18 characters are meant as a citizen number and not as a USCC, which may consist of digits, too."""
    if not _DIGITS.fullmatch(text):
        return False
    try:
        verify_number_form(text)
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except (MalformedError, ValueError):
        return not _is_uscc(text)
    return True


def verify_text(name: str, text: str) -> str:
    """Returns a text of 1 to 100 characters without control characters.

    Raises:
        MalformedError: REGISTER_TEXT.
    """
    if not 0 < len(text) <= MAX_TEXT or _CONTROL.search(text) or text != text.strip():
        raise MalformedError("REGISTER_TEXT", f"expected {name!r} to be 1 to {MAX_TEXT} characters", field=name)
    return text


def verify_division(name: str, text: str) -> str:
    """Returns the six digits of a county (GB/T 2260).

    Raises:
        MalformedError: REGISTER_DIVISION.
    """
    if not _DIVISION.fullmatch(text):
        raise MalformedError("REGISTER_DIVISION", f"expected {name!r} to be six digits", field=name)
    return text


def parse_day(name: str, text: str) -> date:
    """Parses a day in its one written form, such as 2026-01-05.

    Raises:
        MalformedError: REGISTER_DAY.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("REGISTER_DAY", f"expected {name!r} to be a day such as 2026-01-05", field=name) from error
    if day.isoformat() != text:
        raise MalformedError("REGISTER_DAY", f"expected {name!r} to be a day such as 2026-01-05", field=name)
    return day


def _is_uscc(text: str) -> bool:
    try:
        parse_uscc(text)
    except MalformedError:
        return False
    return True
