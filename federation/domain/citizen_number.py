"""The citizen number: 18 characters that name a person, with place, birth date, sex and a check character.

Rules kept: wrong length, form or check character, a province that does not exist or an impossible date is refused, all
of it at once and in words; a county that is unknown here, or that the person cannot have been numbered in, is a doubt
for a person to look at, never a refusal, because the code follows the registration and not the birth. The realm guard
holds: the demo realm takes only birth years 2100-2299 (birth year + 200), the live realm takes none of them. No message
of an error shows the number. Sources: GB 11643-1999; ISO 7064 MOD 11-2 (check character); GB/T 2260 (division codes).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

from federation.domain.division import PROVINCE_CODES, find_division_doubt
from federation.domain.uscc import is_uscc
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import Realm

DEMO_SHIFT_YEARS: Final = 200

_FIRST_DEMO_YEAR: Final = 2100
_LAST_DEMO_YEAR: Final = 2299
_FIRST_LIVE_YEAR: Final = 1870  # nobody who was older could be given a number in 1984, when numbering began
_ONLY_DEMO: Final = "演示环境只收2100至2299年出生的虚构人员 | the demo realm takes birth years 2100 to 2299 only"
_LENGTH: Final = 18
_OLD_LENGTH: Final = 15
_CHECK: Final = "0123456789X"
_FORM: Final = re.compile("[0-9]{17}[0-9X]", re.ASCII)
_IN_A_TEXT: Final = re.compile(
    "[1-8][0-9]{5}(1[89]|2[0-2])[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]", re.ASCII
)
_BETWEEN_DIGITS: Final = re.compile(r"(?<=[0-9])[\s._-]+(?=[0-9X])")
_DEMO: Final = Realm.DEMO  # looking a member up on an enumeration costs more than the check itself


class Sex(StrEnum):
    """The sex as the card prints it; odd sequence numbers are male, even ones female (GB 11643)."""

    MALE = "male"
    FEMALE = "female"


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


def verify_citizen_number(text: str, realm: Realm, *, today: date | None = None) -> str:
    """Returns a number that the realm may hold; refuses others by their first fault, with all of them in words.

    CITIZEN_NUMBER_LENGTH, FORM, CHECKSUM, PROVINCE and DATE are what GB 11643 does not allow; REAL_NUMBER_IN_DEMO,
    FUTURE (in the live realm also after `today`) and YEAR are who cannot be of this realm.
    """
    faults = _find_faults(text, realm, today)
    if faults:
        zh, en = "；".join(fault.zh for fault in faults), "; ".join(fault.en for fault in faults)
        raise MalformedError(faults[0].reason, f"{zh} | {en}")
    return text


def is_possible_number(text: str, realm: Realm | None = None, *, today: date | None = None) -> bool:
    """True when somebody of the realm, or of either, may have this number."""
    return not all(_find_faults(text, each, today) for each in ((realm,) if realm else Realm))


def is_citizen_number(text: str, realm: Realm | None = None) -> bool:
    """True when 18 characters are meant as a citizen number: digits that somebody may have, or that are no USCC."""
    return bool(_FORM.fullmatch(text)) and (is_possible_number(text, realm) or not is_uscc(text))


def find_number_doubt(number: str) -> str | None:
    """Returns what a person should look at, Chinese and English, in a number that is not refused for its form."""
    return find_division_doubt(number[:6], born=int(number[6:10])) if number[:2] in PROVINCE_CODES else None


class _Fault(NamedTuple):
    reason: str
    zh: str
    en: str


def _find_faults(text: str, realm: Realm, today: date | None) -> list[_Fault]:
    if len(text) != _LENGTH:
        old = ("，15位号码2013年起停用", ", those of 15 ended in 2013") if len(text) == _OLD_LENGTH else ("", "")
        zh, en = f"公民身份号码应为18位，现为{len(text)}位{old[0]}", f"expected 18 characters, got {len(text)}{old[1]}"
        return [_Fault("CITIZEN_NUMBER_LENGTH", zh, en)]
    faults = []
    if not _digits(text[:17]) or text[17] not in _CHECK:
        digits = [*([_CHECK[:10]] * 17), _CHECK]
        wrong = [str(place) for place, sign in enumerate(text, start=1) if sign not in digits[place - 1]]
        zh, en = f"第{'、'.join(wrong)}位应为数字", f"expected a digit at {', '.join(wrong)}"
        faults.append(_Fault("CITIZEN_NUMBER_FORM", f"{zh}（末位可为X）", f"{en} (or X at the end)"))
    elif check_character(text[:17]) != text[17]:
        zh, en = "校验码（第18位）与前17位不符", "the last character, a check, does not fit the others"
        faults.append(_Fault("CITIZEN_NUMBER_CHECKSUM", zh, en))
    if _digits(text[:2]) and text[:2] not in PROVINCE_CODES:
        zh, en = "前两位不是任何省份的代码", "the first two digits are no province's"
        if text[0] == "9":
            zh, en = f"{zh}（外国人永久居留身份证另有号码）", f"{en} (a foreigner's card has a number of its own)"
        faults.append(_Fault("CITIZEN_NUMBER_PROVINCE", zh, en))
    if _digits(text[6:14]):
        try:
            verify_birth_realm(_birth_date(text), realm, today=today)
        except MalformedError as error:
            faults.append(_Fault(error.reason, *error.message.split(" | ")))
    return faults


def verify_birth_realm(birth_date: date, realm: Realm, *, today: date | None = None) -> date:
    """Returns a birth date of that realm; refuses REAL_NUMBER_IN_DEMO, CITIZEN_NUMBER_FUTURE and YEAR."""
    year = birth_date.year
    if realm is _DEMO:
        if year < _FIRST_DEMO_YEAR:
            raise MalformedError("REAL_NUMBER_IN_DEMO", _ONLY_DEMO)
        if year > _LAST_DEMO_YEAR:
            raise MalformedError("CITIZEN_NUMBER_FUTURE", _ONLY_DEMO)
        return birth_date
    if year >= _FIRST_DEMO_YEAR or (today is not None and birth_date > today):
        raise MalformedError("CITIZEN_NUMBER_FUTURE", "出生日期尚未到来 | the day of birth is yet to come")
    if year < _FIRST_LIVE_YEAR:
        zh, en = f"出生年份早于{_FIRST_LIVE_YEAR}年", f"the birth year is before {_FIRST_LIVE_YEAR}"
        raise MalformedError("CITIZEN_NUMBER_YEAR", f"{zh} | {en}")
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
        raise MalformedError("CITIZEN_NUMBER_DATE", "第7至14位不是日历中的日期 | digits 7 to 14 are no day") from error
