"""The code of a joint case (一案一码), and what who has it is told: lines of the case's stages, nothing of a person.

The first six digits are the county of the office that opened the case, so that any counter knows which province to ask.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from federation.domain.citizen_number import names_by_number
from federation.domain.division import province_of
from federation.protocol.errors import MalformedError
from federation.protocol.form import Item, Time, decode
from federation.protocol.ids import NodeName, checked, matching

MAX_LINES: Final = 200
_DIGITS: Final = "0123456789"
TRACES_A_DAY: Final = 500
"""The most codes that one office asks for on a day, here and at the answering node: they can be counted through."""


def format_case_code(county: str, year: int, serial: int) -> str:
    """The code of a case: county, year, serial, and a check digit by ISO 7064 MOD 11,10 (CASE_CODE)."""
    digits = f"{county[:6]}{year:04}{serial:06}"
    if len(digits) != 16:
        raise MalformedError("CASE_CODE", "expected a county of six digits, a year, and a serial below a million")
    return digits + check_sign(digits, _DIGITS)


def parse_case_code(text: str) -> str:
    """Returns a code as it was given to the citizen; refuses one that was mistyped (CASE_CODE)."""
    if not (len(text) == 17 and text.isascii() and text.isdigit() and text[16] == check_sign(text[:16], _DIGITS)):
        raise MalformedError("CASE_CODE", "expected 17 digits of which the last fits the others", field="code")
    return text


def check_sign(text: str, signs: str) -> str:
    """The check character of a text of these signs, by ISO 7064 MOD n+1,n, where n is how many signs there are."""
    rest = most = len(signs)
    for sign in text:
        rest = ((rest + signs.index(sign)) % most or most) * 2 % (most + 1)
    return signs[(most + 1 - rest) % most]


def home_of(code: str) -> NodeName | None:
    """The province that opened the case of a code; None outside the four."""
    return province_of(code)


_Code = Annotated[str, matching("[0-9]{17}", form="a code of 17 digits", reason="CASE_CODE")]
_Told = Annotated[str, matching(r"[^\x00-\x1f\x7f]{1,500}", form="1 to 500 characters without control characters")]


class TraceLine(Item, frozen=True, kw_only=True):
    """One line that a citizen may be told."""

    WHAT: ClassVar[str] = "trace line"

    time: Time
    zh: _Told
    en: _Told


def _are_few(lines: tuple[TraceLine, ...]) -> bool:
    return len(lines) <= MAX_LINES


class CaseQuestion(Item, frozen=True, kw_only=True):
    """The question of a counter: how far is the case of this code?"""

    WHAT: ClassVar[str] = "case question"

    code: _Code


class CaseProgress(Item, frozen=True, kw_only=True):
    """The answer; without lines for a code that nobody has, and for one that is told to nobody."""

    WHAT: ClassVar[str] = "case progress"

    lines: Annotated[tuple[TraceLine, ...], checked(_are_few, form="at most 200 lines")]


def decode_progress(encoded: bytes) -> CaseProgress:
    """Decodes another province's answer. Refuses JSON_*, TRACE_NAMES_PERSON."""
    progress = decode(CaseProgress, encoded)
    if any(names_by_number(text) for line in progress.lines for text in (line.zh, line.en)):
        raise MalformedError("TRACE_NAMES_PERSON", "a line of a case's progress holds a citizen number")
    return progress
