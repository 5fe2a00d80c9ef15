"""Patterns in a text that look like a person: citizen numbers, telephone numbers, plates, bank accounts.

Rules kept: what was found is never returned or shown, only the name of its pattern; wide digits, and blanks, dots or
hyphens between digits, hide nothing. It may find one where there is none: whoever writes says it otherwise.
Source: PIPL 6, 28.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Final

from federation.domain.citizen_number import names_by_number
from federation.domain.plates import PLATE_PROVINCES, PLATE_SIGNS
from federation.domain.uscc import is_uscc
from federation.protocol.errors import MalformedError

PATTERNS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "citizen_number": ("公民身份号码", "a citizen number"),
        "phone": ("手机号码", "a telephone number of eleven digits"),
        "plate": ("机动车号牌", "a plate"),
        "account": ("银行账号", "a bank account"),
    }
)
"""Each pattern in Chinese and English."""

_NAME_OF_MESSAGE: Final = re.compile(r"(?<![0-9])[0-9]{12}[0-9A-Z]{2}_[0-9]{14}_[0-9](?![0-9])", re.ASCII)
"""GB/T 35965.1: digits that name nobody, and would be read as a citizen number."""
_PHONE: Final = re.compile(r"(?<![0-9])(?:\+?86[ .·-]?)?1(?:[ .·-]?[0-9]){10}(?![0-9])", re.ASCII)
_ACCOUNT: Final = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){15,18}(?![0-9])", re.ASCII)
_PLATE: Final = re.compile(rf"[{PLATE_PROVINCES}][A-Z][\s·.•・‧∙-]?(?:[0-9A-Z][\s·.-]?){{4}}[0-9A-Z{PLATE_SIGNS}]")


def find_personal(text: str, *, may: Container[str] = ()) -> tuple[str, ...]:
    """Returns the names of the patterns (`PATTERNS`) that a text holds, without those that it may hold."""
    plain = _NAME_OF_MESSAGE.sub(" ", unicodedata.normalize("NFKC", text).upper())
    found = {
        "citizen_number": names_by_number(plain),
        "phone": _PHONE.search(plain) is not None,
        "plate": _PLATE.search(plain) is not None,
        "account": any(not is_uscc(each[0]) and not names_by_number(each[0]) for each in _ACCOUNT.finditer(plain)),
    }
    return tuple(name for name, there in found.items() if there and name not in may)


def verify_impersonal(text: str, *, field: str, may: Container[str] = ()) -> None:
    """Refuses a text that holds one of the patterns but those that it may, and says which (TEXT_PERSONAL)."""
    found = find_personal(text, may=may)
    if found:
        zh, en = "、".join(PATTERNS[name][0] for name in found), ", ".join(PATTERNS[name][1] for name in found)
        raise MalformedError(
            "TEXT_PERSONAL", f"内容疑含{zh}，请删除后再报 | it seems to hold {en}: take it out", field=field
        )
