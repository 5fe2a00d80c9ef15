"""The forms of fields in words, by the pattern that the proto files give them: nobody is told a regular expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_DIGEST: Final = "64 lower-case hex digits"
_PERIOD: Final = "a period such as 2026Q2, 2026-06 or 2026"
_DESK: Final = "a desk such as 330822.governance"
_PROCEDURE: Final = "the name of a procedure: lower-case letters, digits and hyphens"
_WORD: Final = "a word of lower-case letters"
_SIX: Final = "six digits"

FORMS: Final[Mapping[str, str]] = {
    "^(2[0-9]{3}(Q[1-4]|-[0-9]{2})?)?$": _PERIOD,
    "^([0-9]{6}([0-9]{3})?([.][a-z0-9]{1,20}){1,3})?$": _DESK,
    "^([0-9]{6})?$": _SIX,
    "^([0-9a-f]{64})?$": _DIGEST,
    "^([a-z][a-z0-9-]{0,39})?$": _PROCEDURE,
    "^(confirmed|doubtful|wrong)$": "one of confirmed, doubtful, wrong",
    "^(exercise:)?(desk|area|record):[0-9a-z*./_-]{1,100}$": "a desk, an area or a record to be watched",
    "^(quarter|pair|county|procedure|response|exercise)$": (
        "one of quarter, pair, county, procedure, response, exercise"
    ),
    "^2[0-9]{3}(Q[1-4]|-[0-9]{2})?$": _PERIOD,
    "^F[0-9]{2}$": "a function such as F01",
    "^[0-9A-Z]{18}$": "18 digits and capital letters",
    "^[0-9A-Za-z+/]{43}=$": "a key in base64",
    "^[0-9A-Za-z+/]{86}==$": "a signature in base64",
    "^[0-9A-Za-z_-]{32}$": "a handle of 32 letters, digits, - and _",
    "^[0-9]{17}$": "17 digits",
    "^[0-9]{17}[0-9X]$": "a citizen number: 17 digits, and a digit or X",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "a day such as 2026-01-05",
    "^[0-9]{6}$": _SIX,
    "^[0-9]{6}([0-9]{3}([0-9]{3})?)?$": "6, 9 or 12 digits",
    "^[0-9]{6}([0-9]{3})?([.][a-z0-9]{1,20}){1,3}$": _DESK,
    "^[0-9a-f-]{36}$": "a UUID in lower case",
    "^[0-9a-f]{32}$": "32 lower-case hex digits",
    "^[0-9a-f]{64}$": _DIGEST,
    "^[A-Z0-9][A-Z0-9-]{3,39}$": "a case such as YS-2026-0042",
    "^[A-Za-z0-9_-]{0,200}$": "the token of the news before",
    "^[A-Za-z0-9_-]{0,64}$": "a pseudonym of 1 to 64 letters, digits, - and _",
    "^[A-Za-z0-9_-]{1,64}$": "a pseudonym of 1 to 64 letters, digits, - and _",
    "^[a-z]-[a-z0-9]{6}$": "a pseudonym such as v-7kq2mx",
    "^[a-z][a-z0-9-]{0,39}$": _PROCEDURE,
    "^[a-z][a-z0-9]{1,30}$": "a province such as zhejiang",
    "^[a-z][a-z0-9]{1,30}>[a-z][a-z0-9]{1,30}$": "a pair of provinces such as zhejiang>jiangxi",
    "^[a-z][a-z0-9_.-]{0,62}$": "a purpose such as permit.check",
    "^[a-z][a-z0-9_]{0,31}$": _WORD,
    "^[a-z][a-z0-9_]{0,62}$": "the name of a field",
    "^ed25519:[0-9A-Za-z+/]{43}=$": "a key such as ed25519 and base64",
    "^urn:permit:[0-9]{6}:[0-9]{4}:[0-9A-Z]{1,20}$": "a permit such as urn:permit:330822:2026:000123",
}


def in_words(rule: str) -> str:
    """A rule as the validator says it, with the form in words in place of a pattern."""
    said, mark, pattern = rule.partition("`")
    return f"must be {FORMS.get(pattern.rstrip('`'), 'written in its form')}" if mark else said
