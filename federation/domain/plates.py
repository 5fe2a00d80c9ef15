"""Number plates (机动车号牌): the written form of each kind, its class, what people type, what is wrong with a text.

Rules kept: a plate is written like `浙H·I0001`; a text that is none is refused in words, never shown. No serial holds I
or O, so a plate with one is invented: the demo realm takes only those, the live realm none. Plates of the army, the
armed police, rescue services and tractors, and those of before 1994, are told as not of this register. A class that the
form excludes is refused. Other spellings are taken at a desk only (`normalise_plate`).
Sources: GA 36-2018 (forms; new energy with A to C, E and G to K beside D and F); GA/T 16.7 (号牌种类代码), to be
checked against the standard before the live realm.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm
from federation.protocol.unseen import late

PLATE_PROVINCES: Final = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"
NEVER_ISSUED: Final = frozenset("IO")
"""Letters that no serial holds, since they look like digits: the mark of an invented plate."""


class PlateClass(StrEnum):
    """The class of a plate (号牌种类); `PLATE_CLASS_CODES` has the numbers of GA/T 16.7."""

    LARGE_CAR = "large_car"
    SMALL_CAR = "small_car"
    EMBASSY_CAR = "embassy_car"
    CONSULATE_CAR = "consulate_car"
    MOTORCYCLE = "motorcycle"
    MOPED = "moped"
    EMBASSY_MOTORCYCLE = "embassy_motorcycle"
    CONSULATE_MOTORCYCLE = "consulate_motorcycle"
    LOW_SPEED = "low_speed"
    TRAILER = "trailer"
    SCHOOL_CAR = "school_car"
    SCHOOL_MOTORCYCLE = "school_motorcycle"
    TRIAL_CAR = "trial_car"
    TRIAL_MOTORCYCLE = "trial_motorcycle"
    TEMPORARY = "temporary"
    POLICE_CAR = "police_car"
    POLICE_MOTORCYCLE = "police_motorcycle"
    HONG_KONG = "hong_kong"
    MACAU = "macau"
    NEW_ENERGY_LARGE = "new_energy_large"
    NEW_ENERGY_SMALL = "new_energy_small"


_NUMBERS: Final = "01 02 03 04 07 08 09 10 13 15 16 17 18 19 22 23 24 26 27 51 52"
PLATE_CLASS_CODES: Final[Mapping[PlateClass, str]] = MappingProxyType(
    dict(zip(PlateClass, _NUMBERS.split(), strict=True))
)
"""The class as GA/T 16.7 numbers it."""

_HEAD: Final = rf"[{PLATE_PROVINCES}][A-HJ-NP-Z]·"
_FOUR: Final = "[0-9A-Z]{4}"
_DIGIT: Final = "[0-9IO]"  # an invented plate has a letter that was never issued where a digit stands
_ENERGY: Final = "[A-HJK]"
_FORMS: Final[Mapping[re.Pattern[str], tuple[PlateClass, ...]]] = MappingProxyType(
    {
        late(pattern): tuple(classes)
        for pattern, *classes in (
            (rf"{_HEAD}[0-9A-Z]{{5}}", PlateClass.SMALL_CAR, PlateClass.LARGE_CAR, PlateClass.MOTORCYCLE,
             PlateClass.MOPED, PlateClass.LOW_SPEED),
            (rf"{_HEAD}{_ENERGY}[0-9A-Z]{_DIGIT}{{4}}", PlateClass.NEW_ENERGY_SMALL),
            (rf"{_HEAD}{_DIGIT}{{5}}{_ENERGY}", PlateClass.NEW_ENERGY_LARGE),
            (rf"{_HEAD}{_FOUR}挂", PlateClass.TRAILER),
            (rf"{_HEAD}{_FOUR}学", PlateClass.SCHOOL_CAR, PlateClass.SCHOOL_MOTORCYCLE),
            (rf"{_HEAD}{_FOUR}警", PlateClass.POLICE_CAR, PlateClass.POLICE_MOTORCYCLE),
            (rf"{_HEAD}{_FOUR}领", PlateClass.CONSULATE_CAR, PlateClass.CONSULATE_MOTORCYCLE),
            (rf"使{_DIGIT}{{3}}·{_DIGIT}{{3}}", PlateClass.EMBASSY_CAR, PlateClass.EMBASSY_MOTORCYCLE),
            (rf"粤Z·{_FOUR}港", PlateClass.HONG_KONG),
            (rf"粤Z·{_FOUR}澳", PlateClass.MACAU),
            (rf"{_HEAD}{_FOUR}试", PlateClass.TRIAL_CAR, PlateClass.TRIAL_MOTORCYCLE, PlateClass.TEMPORARY),
            (rf"{_HEAD}{_FOUR}超", PlateClass.TEMPORARY),
        )
    }
)  # fmt: skip
"""Each written form with the classes that a plate of it can be of, the usual one first."""
PLATE_SIGNS: Final = "挂学警领港澳试超"
"""The characters that end a serial."""

_SEPARATORS: Final = re.compile(r"[\s·.\-•・‧∙\u2010-\u2015\u2212]")
_ELSEWHERE: Final[Mapping[re.Pattern[str], tuple[str, str]]] = MappingProxyType(
    {
        late(pattern): sentence
        for pattern, sentence in (
            (r"WJ[\w]*[0-9]", ("武警号牌不在本登记之列", "plates of the armed police are not in this register")),
            (r"(?:[VKHBSLJNGC][A-Y]|[军海空北沈兰济南广成][A-Z])[0-9]{5}",
             ("军队号牌不在本登记之列", "plates of the army are not in this register")),
            (r"\w{2}[0-9A-Z]{4}应急", ("应急号牌不在本登记之列", "plates of rescue services are not in this register")),
            (rf"[{PLATE_PROVINCES}][\u4e00-\u9fff]?[0-9]{{2}}[0-9A-Z]{{5}}",
             ("省份简称后是两位数字：旧式号牌或拖拉机号牌，不在本登记之列",
              "two digits behind the province: a plate of before 1994 or a tractor's, not in this register")),
            (rf"[{PLATE_PROVINCES}]O[0-9A-Z]{{5}}",
             ("字母O的公安旧号牌已停用", "the old police plates with the letter O are no longer in use")),
        )
    }
)  # fmt: skip
"""What is a plate and not one of this register, with the words for it."""
_LIKE: Final = re.compile(rf"(?:[{PLATE_PROVINCES}][A-Z0-9]|使[0-9])")


def parse_plate(text: str, realm: Realm) -> str:
    """Parses `浙H·I0001`, the one form; refuses PLATE_FORM, REAL_PLATE_IN_DEMO, and PLATE_NEVER_ISSUED in live."""
    if not _classes(text):
        raise MalformedError("PLATE_FORM", " | ".join(_find_fault(text)), field="plate")
    invented = bool(NEVER_ISSUED & set(text))
    if realm is Realm.DEMO and not invented:
        zh, en = "演示环境只收序号含I或O的虚构号牌", "the demo realm takes plates with an I or O in the serial only"
        raise MalformedError("REAL_PLATE_IN_DEMO", f"{zh} | {en}")
    if realm is Realm.LIVE and invented:
        raise MalformedError("PLATE_NEVER_ISSUED", "号牌序号不用字母I、O | no serial of a plate holds an I or an O")
    return text


def usual_class(plate: str) -> PlateClass:
    """Returns the class that most plates of that form are of; of what is no plate a small car's."""
    return next(iter(_classes(plate)), PlateClass.SMALL_CAR)


def verify_plate_class(plate: str, plate_class: PlateClass) -> PlateClass:
    """Returns the class when a plate of that form can be of it; refuses others (PLATE_CLASS)."""
    fitting = _classes(plate)
    if plate_class not in fitting:
        names = ", ".join(f"{each} ({PLATE_CLASS_CODES[each]})" for each in fitting)
        message = f"号牌种类与号牌不符，应为 {names} | a plate of this form is of the class {names}"
        raise MalformedError("PLATE_CLASS", message, field="plate_class")
    return plate_class


def normalise_plate(typed: str) -> str:
    """Writes a plate as people type it in its one form (at a desk only); what is no plate comes back as typed."""
    text = _plain(typed)
    place = 4 if text[:1] == "使" else 2
    written = f"{text[:place]}·{text[place:]}"
    return written if _classes(written) else typed


def looks_like_plate(typed: str) -> bool:
    """True when a text is meant as a plate, whatever is wrong with it."""
    text = _plain(typed)
    return bool(_LIKE.match(text)) or _elsewhere(text) is not None


def _classes(plate: str) -> tuple[PlateClass, ...]:
    return next((classes for form, classes in _FORMS.items() if form.fullmatch(plate)), ())


def _plain(typed: str) -> str:
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", typed)).upper()


def _elsewhere(plain: str) -> tuple[str, str] | None:
    return next((sentence for form, sentence in _ELSEWHERE.items() if form.fullmatch(plain)), None)


def _find_fault(text: str) -> tuple[str, str]:
    """Returns the fault of a text that is no plate, in Chinese and English, without showing it."""
    plain = _plain(text)
    if (sentence := _elsewhere(plain)) is not None:
        return sentence
    if normalise_plate(text) != text:
        return "号牌应写作 浙H·I0001：大写字母、半角、间隔号", "expected the written form 浙H·I0001: capitals, the dot"
    if plain[:1] == "使":
        return "使馆号牌应为“使”加6位数字", "expected 使 and six digits"
    if plain[:1] not in PLATE_PROVINCES or not plain:
        return "首字应为省份简称，如 浙H·I0001", "expected a province's character first, as in 浙H·I0001"
    if not re.fullmatch("[A-HJ-NP-Z]", plain[1:2]):
        return (
            "省份简称后应为发牌机关字母（不用I、O）",
            "expected an office's letter behind the province, no I or O",
        )
    return _find_serial_fault(plain[2:])


def _find_serial_fault(serial: str) -> tuple[str, str]:
    if serial[-1:] in ("港", "澳"):
        return "港、澳号牌应为粤Z加4位", "expected 粤Z and four characters before 港 or 澳"
    body = serial[:-1] if serial[-1:] in PLATE_SIGNS else serial
    if not re.fullmatch("[0-9A-Z]*", body):
        signs = "、".join(PLATE_SIGNS)
        return f"序号应为字母或数字，末位可为{signs}", f"expected letters and digits, at the end perhaps {PLATE_SIGNS}"
    if len(serial) == 6 and body == serial:
        return (
            "6位序号是新能源号牌：小型车首位、大型车末位为A至H、J、K，其余为数字（小型车第二位可为字母）",
            "six are new energy: A to H, J or K first (small, a letter may follow) or last (large), and digits",
        )
    return f"序号应为5位（新能源6位），现为{len(serial)}位", f"expected a serial of 5 or 6, got {len(serial)}"
