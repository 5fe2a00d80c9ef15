"""The citizen number: 18 characters that name a person, with place, birth date, sex and a check character.

Rules kept: wrong length, form, check character or an impossible date is refused; a division code that was not
assigned in the birth year, or is unknown here, is a warning for a person to look at, never a refusal, because the
code follows the registration and not the birth. The realm guard holds: the demo realm takes only birth years
2100-2299 (birth year + 200), the live realm takes none of them. No message of an error shows the number. Sources:
GB 11643-1999; ISO 7064 MOD 11-2 (check character); GB/T 2260 (division codes).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from federation.domain.division import find_division
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import Realm

DEMO_SHIFT_YEARS: Final = 200

_FIRST_DEMO_YEAR: Final = 2100
_LAST_DEMO_YEAR: Final = 2299
_FIRST_LIVE_YEAR: Final = 1870  # nobody who was older could be given a number in 1984, when numbering began
_CHECK: Final = "0123456789X"
_IN_A_TEXT: Final = re.compile(
    "[1-8][0-9]{5}(1[89]|2[0-2])[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]", re.ASCII
)
_BETWEEN_DIGITS: Final = re.compile(r"(?<=[0-9])[\s._-]+(?=[0-9X])")
_DEMO: Final = Realm.DEMO  # looking a member up on an enumeration costs more than the check itself


class Sex(StrEnum):
    """The sex as the card prints it; odd sequence numbers are male, even ones female (GB 11643)."""

    MALE = "male"
    FEMALE = "female"


class NumberWarning(StrEnum):
    """A doubt for a person to look at; none refuses a number."""

    DIVISION_UNKNOWN = "division_unknown"
    DIVISION_NOT_IN_BIRTH_YEAR = "division_not_in_birth_year"


@dataclass(frozen=True, slots=True, kw_only=True)
class CitizenNumber:
    """A citizen number that passed every check, taken apart."""

    value: str
    division: str
    birth_date: date
    sex: Sex
    warnings: tuple[NumberWarning, ...] = ()

    def __repr__(self) -> str:
        return f"CitizenNumber({self.value[:6]}************)"


def names_by_number(text: str) -> bool:
    """True when a text holds a citizen number, also in wide digits or with blanks or hyphens between them."""
    plain = unicodedata.normalize("NFKC", text).upper()
    return _IN_A_TEXT.search(_BETWEEN_DIGITS.sub("", plain)) is not None


def check_character(first_seventeen: str) -> str:
    """The ISO 7064 MOD 11-2 check character of 17 digits: each weight is twice the next, and 13 is 2 modulo 11."""
    return _CHECK[(1 - 2 * int(first_seventeen, 13)) % 11]


def format_citizen_number(division: str, birth_date: date, *, sequence: int) -> str:
    """Formats a number with its check character; `sequence` is 0 to 999, odd for a man (CITIZEN_NUMBER_FORM)."""
    if len(division) != 6 or not _digits(division) or not 0 <= sequence <= 999:
        raise MalformedError("CITIZEN_NUMBER_FORM", "expected a division of six digits and a sequence of 0 to 999")
    body = f"{division}{birth_date.isoformat().replace('-', '')}{sequence:03d}"
    return body + check_character(body)


def parse_citizen_number(text: str, realm: Realm, *, today: date | None = None) -> CitizenNumber:
    """Parses a number exactly as printed and says what looks odd about its division code.

    Refuses what GB 11643 does not allow (CITIZEN_NUMBER_LENGTH, FORM, CHECKSUM, DATE), the birth year of a real person
    in the demo realm (REAL_NUMBER_IN_DEMO), and who cannot be born yet or any more (CITIZEN_NUMBER_FUTURE, also after
    `today`; YEAR).
    """
    verify_number_form(text)
    birth_date = verify_birth_realm(_birth_date(text), realm, today=today)
    division = text[:6]
    return CitizenNumber(
        value=text,
        division=division,
        birth_date=birth_date,
        sex=Sex.MALE if int(text[16]) % 2 else Sex.FEMALE,
        warnings=_warnings(division, birth_date.year),
    )


def verify_citizen_number(text: str, realm: Realm) -> str:
    """Returns the number when `parse_citizen_number` would take it; a third of the work, for bulk exchange."""
    verify_number_form(text)
    verify_birth_realm(_birth_date(text), realm)
    return text


def verify_number_form(text: str) -> str:
    """Returns a number of the right length, characters and check character; the date is not looked at."""
    if len(text) != 18:
        raise MalformedError("CITIZEN_NUMBER_LENGTH", f"expected a citizen number of 18 characters, got {len(text)}")
    if not _digits(text[:17]) or text[17] not in _CHECK:
        raise MalformedError("CITIZEN_NUMBER_FORM", "expected 17 digits and a digit or X, got another character")
    if check_character(text[:17]) != text[17]:
        raise MalformedError("CITIZEN_NUMBER_CHECKSUM", "the check character of the citizen number does not fit")
    return text


def verify_birth_realm(birth_date: date, realm: Realm, *, today: date | None = None) -> date:
    """Returns a birth date of that realm; refuses REAL_NUMBER_IN_DEMO, CITIZEN_NUMBER_FUTURE and YEAR."""
    year = birth_date.year
    if realm is _DEMO:
        if year < _FIRST_DEMO_YEAR:
            raise MalformedError("REAL_NUMBER_IN_DEMO", f"the demo realm takes birth years 2100 to 2299, got {year}")
        if year > _LAST_DEMO_YEAR:
            raise MalformedError("CITIZEN_NUMBER_FUTURE", f"the demo realm takes birth years 2100 to 2299, got {year}")
        return birth_date
    if year >= _FIRST_DEMO_YEAR or (today is not None and birth_date > today):
        raise MalformedError("CITIZEN_NUMBER_FUTURE", f"expected a birth date in the past, got one of {year}")
    if year < _FIRST_LIVE_YEAR:
        raise MalformedError("CITIZEN_NUMBER_YEAR", f"expected a birth year from {_FIRST_LIVE_YEAR} on, got {year}")
    return birth_date


def true_birth_date(birth_date: date) -> date:
    """The date to compute ages from: a synthetic one 200 years earlier (it always exists), a real one as it is."""
    if birth_date.year < _FIRST_DEMO_YEAR:
        return birth_date
    return birth_date.replace(year=birth_date.year - DEMO_SHIFT_YEARS)


def demo_birth_date(birth_date: date) -> date:
    """Returns the date 200 years later; 29 February 2000 has no image (RuleError NO_DEMO_IMAGE)."""
    try:
        return birth_date.replace(year=birth_date.year + DEMO_SHIFT_YEARS)
    except ValueError as error:
        raise RuleError("NO_DEMO_IMAGE", f"{birth_date} has no image 200 years later; take another day") from error


def age_on(birth_date: date, today: date) -> int:
    """The age in full years; synthetic dates are moved back. A 29 February counts from 1 March in common years."""
    born = true_birth_date(birth_date)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _birth_date(text: str) -> date:
    try:
        return date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError as error:
        raise MalformedError("CITIZEN_NUMBER_DATE", "the citizen number holds an impossible birth date") from error


def _warnings(division: str, birth_year: int) -> tuple[NumberWarning, ...]:
    known = find_division(division)
    if known is None:
        return (NumberWarning.DIVISION_UNKNOWN,)
    return () if known.assigned_in(birth_year) else (NumberWarning.DIVISION_NOT_IN_BIRTH_YEAR,)
