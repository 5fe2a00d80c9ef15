"""The unified social credit code: 18 characters that name an organisation.

Rules kept: the alphabet is 0-9 and A-Z without I, O, S, V, Z; the last character is a modulo 31 check; the registration
authority and its class are published ones, N (rural collective economic organisations) included; the division is of a
province that exists, or the State's; all faults are told at once and no message of an error shows a code.
Sources: GB 32100-2015 and its amendment of 2016, classes as extended since; GB 11714-1997 (organisation codes).
Synthetic organisations have a body `DEM0...`, which is no allocated series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from federation.domain.division import PROVINCE_CODES
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm

_LENGTH: Final = 18
_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}
_WEIGHTS: Final = tuple(pow(3, place, 31) for place in range(17))

_CLASSES: Final = (
    "1 机构编制 1机关 2事业单位 3群众团体 9其他|2 外交 1外国常驻新闻机构 9其他|"
    "3 司法行政 1律师执业机构 2公证处 3基层法律服务所 4司法鉴定机构 5仲裁委员会 9其他|4 文化 1外国在华文化中心 9其他|"
    "5 民政 1社会团体 2民办非企业单位 3基金会 9其他|6 旅游 1外国旅游部门代表机构 2港澳台旅游部门代表机构 9其他|"
    "7 宗教 1宗教活动场所 2宗教院校 9其他|8 工会 1基层工会 9其他|9 市场监管 1企业 2个体工商户 3农民专业合作社 9其他|"
    "A 军队编制 1军队事业单位 9其他|"
    "N 农业农村 1组级集体经济组织 2村级集体经济组织 3乡镇级集体经济组织 9其他|Y 其他 1其他"
)
USCC_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {row[0] + kind[0]: f"{row.split()[1]}·{kind[1:]}" for row in _CLASSES.split("|") for kind in row.split()[2:]}
)
"""Who registers, and what is registered, by the first two characters."""
_NATIONAL: Final = "100000"
"""The division of what a body of the State registers."""
_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)


class Uscc(Struct, frozen=True, kw_only=True):
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
    _refuse(_find_form_faults(body))
    return body + _check_character(body)


def parse_uscc(text: str) -> Uscc:
    """Parses 18 characters, upper case, no blanks; refuses others by their first fault, with all of them in words.

    USCC_LENGTH, USCC_FORM, USCC_CLASS, USCC_DIVISION, USCC_CHECKSUM.
    """
    _refuse(_find_faults(text))
    return Uscc(value=text, authority=text[0], kind=text[1], division=text[2:8], organisation=text[8:17])


def is_uscc(text: str) -> bool:
    """True when `parse_uscc` refuses nothing."""
    return not _find_faults(text)


def is_possible_uscc(text: str, realm: Realm | None = None) -> bool:
    """True when an organisation of the realm, or of either, may have this code; digits alone must fit GB 11714, too.

    An organisation code has a check character of its own. It is asked for where a code may be a citizen number only:
    codes that lack it were given out.
    """
    if not is_uscc(text) or (realm and parse_uscc(text).is_synthetic() is not (realm is Realm.DEMO)):
        return False
    digits = text[8:16]
    if not digits.isdigit():
        return True
    total = sum(int(digit) * weight for digit, weight in zip(digits, _ORGANISATION_WEIGHTS, strict=True))
    return text[16] == "0123456789X0"[11 - total % 11]


def verify_uscc(text: str, realm: Realm) -> str:
    """Returns a code of that realm; refuses as `parse_uscc`, REAL_USCC_IN_DEMO, DEMO_USCC_IN_LIVE."""
    synthetic = parse_uscc(text).is_synthetic()
    if realm is Realm.DEMO and not synthetic:
        zh, en = "演示环境只收DEM0系列的虚构代码", "the demo realm takes organisation codes of the series DEM0 only"
        raise MalformedError("REAL_USCC_IN_DEMO", f"{zh} | {en}")
    if realm is Realm.LIVE and synthetic:
        raise MalformedError(
            "DEMO_USCC_IN_LIVE", "DEM0系列是虚构代码 | organisation codes of the series DEM0 are invented ones"
        )
    return text


def _find_faults(text: str) -> list[tuple[str, str, str]]:
    if len(text) != _LENGTH:
        zh, en = f"统一社会信用代码应为18位，现为{len(text)}位", f"expected 18 characters, got {len(text)}"
        return [("USCC_LENGTH", zh, en)]
    faults = _find_form_faults(text)
    if not faults and _check_character(text[:17]) != text[17]:
        zh, en = "校验码（第18位）与前17位不符", "the last character, a check, does not fit the others"
        faults.append(("USCC_CHECKSUM", zh, en))
    return faults


def _find_form_faults(text: str) -> list[tuple[str, str, str]]:
    faults = []
    wrong = [str(place) for place, sign in enumerate(text, start=1) if sign not in _VALUE]
    if wrong:
        zh = f"第{'、'.join(wrong)}位应为数字或大写字母（不用I、O、S、V、Z）"
        faults.append(("USCC_FORM", zh, f"expected 0-9, A-Z without I, O, S, V, Z at {', '.join(wrong)}"))
    if text[:2] not in USCC_CLASSES:
        zh, en = "前两位不是登记管理部门及机构类别代码", "the first two are no authority with a class of its own"
        faults.append(("USCC_CLASS", zh, en))
    division = text[2:8]
    if not (division.isascii() and division.isdigit()):
        faults.append(("USCC_FORM", "第3至8位应为数字", "expected digits at 3 to 8"))
    elif division != _NATIONAL and division[:2] not in PROVINCE_CODES:
        faults.append(("USCC_DIVISION", "第3、4位不是任何省份的代码", "characters 3 and 4 are no province's"))
    return faults


def _refuse(faults: Sequence[tuple[str, str, str]]) -> None:
    if faults:
        zh, en = "；".join(fault[1] for fault in faults), "; ".join(fault[2] for fault in faults)
        raise MalformedError(faults[0][0], f"{zh} | {en}")


def _check_character(body: str) -> str:
    total = sum(_VALUE[character] * weight for character, weight in zip(body, _WEIGHTS, strict=True))
    return _ALPHABET[-total % 31]
