"""The unified social credit code: 18 characters that name an organisation.

Rules kept: the alphabet is 0-9 and A-Z without I, O, S, V, Z; the last character is a modulo 31 check; the
registration authority is one of the published classes, class N (rural collective economic organisations) included; no
message of an error shows a code.
Source: GB 32100-2015, classes as extended since. Synthetic organisations have a body `DEM0...`, which is no
allocated series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm

_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}
_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))

AUTHORITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1": "机构编制", "2": "外交", "3": "司法行政", "4": "文化", "5": "民政", "6": "旅游", "7": "宗教",
        "8": "工会", "9": "市场监管", "A": "军队编制", "N": "农业农村", "Y": "其他",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Uscc:
    """A unified social credit code that passed every check, taken apart."""

    value: str
    authority: str
    kind: str
    division: str
    organisation: str

    def is_synthetic(self) -> bool:
        """True when the organisation code is of the invented series `DEM0`."""
        return self.organisation.startswith("DEM0")


def format_uscc(authority_and_kind: str, division: str, *, organisation: str) -> str:
    """Formats a code of 2 class, 6 division and 9 organisation characters; refuses as `parse_uscc`."""
    body = authority_and_kind + division + organisation
    if len(body) != 17:
        raise MalformedError("USCC_LENGTH", f"expected parts of 2, 6 and 9 characters, got {len(body)} in all")
    _verify_form(body)
    return body + _check_character(body)


def parse_uscc(text: str) -> Uscc:
    """Parses 18 characters, upper case, no blanks; refuses USCC_LENGTH, USCC_FORM, USCC_CLASS, USCC_CHECKSUM."""
    if len(text) != 18:
        raise MalformedError("USCC_LENGTH", f"expected a social credit code of 18 characters, got {len(text)}")
    _verify_form(text)
    if _check_character(text[:17]) != text[17]:
        raise MalformedError("USCC_CHECKSUM", "the check character of the social credit code does not fit")
    return Uscc(value=text, authority=text[0], kind=text[1], division=text[2:8], organisation=text[8:17])


def verify_uscc(text: str, realm: Realm) -> str:
    """Returns a code of that realm; refuses as `parse_uscc`, REAL_USCC_IN_DEMO, DEMO_USCC_IN_LIVE."""
    synthetic = parse_uscc(text).is_synthetic()
    if realm is Realm.DEMO and not synthetic:
        raise MalformedError("REAL_USCC_IN_DEMO", "the demo realm takes organisation codes of the series DEM0 only")
    if realm is Realm.LIVE and synthetic:
        raise MalformedError("DEMO_USCC_IN_LIVE", "organisation codes of the series DEM0 are invented ones")
    return text


def _verify_form(text: str) -> None:
    division = text[2:8]
    if any(character not in _VALUE for character in text) or not division.isdigit():
        raise MalformedError("USCC_FORM", "expected 0-9, A-Z without IOSVZ, and a division of digits")
    if text[0] not in AUTHORITIES:
        raise MalformedError("USCC_CLASS", f"expected a class of {''.join(AUTHORITIES)}, got {text[0]!r}")


def _check_character(body: str) -> str:
    total = sum(_VALUE[character] * weight for character, weight in zip(body, _WEIGHTS, strict=True))
    return _ALPHABET[-total % 31]
