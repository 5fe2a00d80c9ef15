"""The words that a person meets, and the language in which they are said.

A sentence of the house is a pair, `中文 | English` or `中文|English`; `said` is the one place that chooses a half, by
`BRIDGEHEAD_LANG`: `zh`, `en` or `both`, which is usual. What code says in English only has its Chinese in the tables of
`chinese/`: `reasons.toml` by the reason of an error, `findings.toml` by the code of an audit's finding, `help.toml` by
the English sentence of a help screen; `examples.toml` has lines to type, by command. A table is read when it is
needed. Every field and every word of an enum is here in Chinese; its English is the protocol's word unless `_ENGLISH`
says it plainer. Sources: 居住证暂行条例 articles 2, 4, 9, 10, 12, 13; 机动车登记规定 and GA/T 16.7;
市场主体登记管理条例; the columns of county registers.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar
from unicodedata import combining, east_asian_width

from federation.protocol.unseen import UNSEEN, late

# ---- the language


LANGUAGE_VARIABLE: Final = "BRIDGEHEAD_LANG"
TALK: Final = ContextVar("TALK", default=True)
"""False where a program asked: stderr is then one error as JSON, or nothing."""
TABLES: Final = Path(__file__).parent / "chinese"
HAN: Final = late("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_GLOSS: Final = late(r" ?\([^()]*[\u3400-\u9fff][^()]*\)")
"""A Chinese word in brackets behind the English one."""
_TYPED: Final = re.compile(r": ((?:bridgehead [a-z]|--[a-z]).*)$")
"""What is to be typed, at the end of an English half."""
_DATA: Final = late(r"[0-9'\"/@{\u3400-\u9fff]|--")
"""What a sentence with something particular in it has: a number, what was quoted, an id, a name, an option."""


class Language(StrEnum):
    CHINESE = "zh"
    ENGLISH = "en"
    BOTH = "both"


def is_language(text: str) -> bool:
    return text in {"", *Language}


def language() -> Language:
    """The language asked for; both where the environment says nothing, or nothing known (which `main` refuses)."""
    asked = os.environ.get(LANGUAGE_VARIABLE, "")
    return Language(asked) if asked and is_language(asked) else Language.BOTH


def halves(text: str) -> tuple[str, str] | None:
    """The Chinese and the English of a pair; None for what is no pair, or has more than one bar in it.

    What is to be typed may stand behind the English alone: it ends the Chinese too.
    """
    for bar in (" | ", "|"):
        if text.count(bar) == 1:
            chinese, english = text.split(bar)
            return (_with_typed(chinese, english), english) if HAN.search(chinese) else None
    return None


def _with_typed(chinese: str, english: str) -> str:
    typed = _TYPED.search(english)
    if typed is None or all(word in chinese for word in typeable(typed[1])):
        return chinese
    return f"{chinese}：{typed[1]}"


def typeable(text: str) -> set[str]:
    """The commands, without their `bridgehead`, and the options that a sentence names."""
    return set(re.findall(r"(?<=bridgehead )[a-z][a-z-]+(?: [a-z][a-z-]+)*|--[a-z][a-z-]+", text))


def said(text: str) -> str:
    """A pair in the language that is asked for; what is no pair is said whole, so that nothing is lost.

    In both languages `中文 | English` stays as it is, and of `中文|English` the bar is left out.
    """
    found, asked = halves(text), language()
    if found is None:
        return text
    if asked is Language.BOTH:
        return text if " | " in text else " ".join(found)
    margin = text[: len(text) - len(text.lstrip())]
    return found[0] if asked is Language.CHINESE else margin + found[1]


def short(text: str) -> str:
    """One half of a pair where there is no room for two: the Chinese unless English is asked for."""
    found = halves(text)
    return text if found is None else one_of(*found)


def one_of(chinese: str, english: str) -> str:
    """The same for two names of a thing; the English where there is no Chinese."""
    return english if language() is Language.ENGLISH else chinese or english


_NARROW: Final = {"（": " (", "）": ")", "，": ", ", "：": ": ", "；": "; ", "、": ", "}
_WIDE_SIGNS: Final = ((" (", "（"), ("(", "（"), (")", "）"), (", ", "，"), (": ", "："), ("; ", "；"))


def punctuated(text: str) -> str:
    """Our own words with the signs of the language that is asked for, GB/T 15834 or English; in both, as written."""
    if language() is Language.ENGLISH:
        return "".join(_NARROW.get(sign, sign) for sign in text)
    if language() is Language.CHINESE:
        for narrow, wide in _WIDE_SIGNS:
            text = text.replace(narrow, wide)
    return text


def sentences(chinese: str, english: str) -> tuple[str, ...]:
    """The sentence in each language that is asked for, for lines below each other."""
    asked = language()
    return (chinese,) * (asked is not Language.ENGLISH) + (english,) * (asked is not Language.CHINESE)


def enclosed(text: object) -> str:
    """A text in brackets: full-width ones, but in English."""
    return f"{punctuated('（')}{text}{punctuated('）')}"


def listed(names: Iterable[str]) -> str:
    """Names in a row, with `、` between them; in English with a comma."""
    return punctuated("、").join(names)


def titled(text: str) -> str:
    """A word before what it names, with the colon of the language: `拒绝：`, `refused: `; in both, `拒绝 refused: `."""
    return f"{said(text)}{punctuated(': ')}"


def pair(chinese: str, english: str) -> str:
    """Two names of a thing, in the language that is asked for; the English alone where there is no Chinese."""
    return english if chinese.isascii() else said(f"{chinese}|{english}")


# ---- errors


@cache
def reasons() -> Mapping[str, str | Sequence[str]]:
    return _table("reasons")


@cache
def _table(name: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads((TABLES / f"{name}.toml").read_text(encoding="utf-8"))


def error_halves(message: str, reason: str) -> tuple[str, str]:
    """The Chinese and the English sentence of an error.

    The table has the Chinese of a reason: a sentence, or several lines. A line `中文 {} | English {}` is taken when it
    is the English that was said, with what stands in the gaps; a third part is the English of another program, which
    the second says in our words.
    """
    lines = _lines(reason, "reasons")
    return halves(message) or _found(message, lines) or (_sentence(lines), message)


def error_text(message: str, reason: str, *, table: str = "reasons") -> str:
    """An error in the language that is asked for; what is particular in it is given in English if nowhere else."""
    lines = _lines(reason, table)
    pair = halves(message) or _found(message, lines)
    if pair is None and language() is Language.CHINESE:
        return f"{_sentence(lines)}（{message}）" if _DATA.search(message) else _sentence(lines)
    return said(" | ".join(pair or (_sentence(lines), message)))


def _found(message: str, lines: Sequence[str]) -> tuple[str, str] | None:
    """The pair that the lines of a reason give for a message, or for each part of it: `this: ...; that: ...`."""
    parts = [_fitting(part, lines) for part in message.split("; ")] if ": " in message else [None]
    if all(parts) and len(parts) > 1:
        return "；".join(part[0] for part in parts if part), "; ".join(part[1] for part in parts if part)
    return _fitting(message, lines)


def _fitting(message: str, lines: Sequence[str]) -> tuple[str, str] | None:
    for line in lines:
        chinese, *english = line.split(" | ")
        if english and (gaps := re.fullmatch(gap_pattern(english[-1]), message, re.DOTALL)):
            return chinese.format(*map(Gap, gaps.groups())), english[0].format(*gaps.groups())
    return None


class Gap(str):
    """The text of a gap of the English; `{:field}` and `{:PermitStatus}` say it in words where there are any.

    `{:names}` is a list with `、`; `{:fields}` has the word beside each of its names, `{:error}` the Chinese of an
    error told with its reason, `{:typed}` what is typed: 席位 for `DESK`.
    """

    __slots__ = ()

    def __format__(self, kind: str) -> str:
        if kind == "names":
            return "、".join(each.strip() for each in self.split(","))
        if kind == "fields":
            return "、".join(f"{LABELS.get(each, '')} {each}".strip() for each in self.split(", "))
        if kind == "error" and (found := re.fullmatch(r"(.*) (\[([A-Z_]+)\])", self, re.DOTALL)):
            return f"{error_halves(found[1], found[3])[0]} {found[2]}"
        if kind == "typed":
            return chinese_help(self.strip("'").upper()) or str(self)
        names = LABELS if kind == "field" else WORDS.get(kind, {})
        return names.get(self.strip("'\"").removeprefix("act."), str(self))


def gap_pattern(english: str) -> str:
    return re.escape(english).replace(r"\{\}", "(.*?)")


def _sentence(lines: Sequence[str]) -> str:
    return next((line for line in lines if " | " not in line), "未能办理")


def _lines(reason: str, table: str) -> Sequence[str]:
    lines: str | Sequence[str] = _table(table).get(reason, ())
    return [lines] if isinstance(lines, str) else lines


# ---- help


def chinese_help(english: str) -> str:
    """The Chinese of a paragraph of a help screen, nothing where the table has none."""
    return str(_table("help").get(english, ""))


def examples(command: str) -> Sequence[str]:
    """Lines that one may type, by a command's words."""
    found: Sequence[str] = _table("examples").get(command, ())
    return found


def choose(chinese: str, english: str, *, word: bool = False) -> str:
    """A paragraph of a help screen in the language that is asked for; English where it has no Chinese.

    A Chinese gloss in brackets goes where the whole is said. A `word` has no bar in it.
    """
    asked = language()
    if not chinese or asked is Language.ENGLISH:
        return _GLOSS.sub("", english) if asked is Language.ENGLISH else english
    return said(f"{chinese}{'|' if word else ' | '}{_GLOSS.sub('', english)}")


_WIDE: Final = {sign + 0xFEE0: sign for sign in range(0x21, 0x7F)} | {0x3000: 0x20}
"""The full-width form of each printable sign of ASCII (Unicode, Halfwidth and Fullwidth Forms)."""


def half_width(typed: str) -> str:
    """A word typed with the input method on, `３３０８２２`: in plain signs where all of it then is, else as it is.

    What begins with a full-width hyphen stays a text, and becomes no option.
    """
    narrow = typed.translate(_WIDE)
    return narrow if narrow.isascii() and (not narrow.startswith("-") or typed.startswith("-")) else typed


# ---- words

_Word = TypeVar("_Word", bound=StrEnum)

_NOT_SEEN: Final = late(f"[{UNSEEN}]")
_HYPHENS: Final = late("[\u2010-\u2015\u2212\u30fc]")
_GAPS: Final = re.compile(r"[\s-]")
_QUOTED: Final = re.compile(r'="((?:[^"]|"")*)"')
LOOK_ALIKE: Final = "含形近字、兼容字、部首或自造字，请核对 | a look-alike, compatibility or private character"

PERMIT_FIELDS: Final[Mapping[str, str]] = {
    "urn": "居住证编号",
    "version": "版本",
    "status": "状态",
    "holder_name": "姓名",
    "sex": "性别",
    "ethnicity": "民族",
    "birth_date": "出生日期",
    "citizen_number": "公民身份号码",
    "photo_digest": "照片摘要",
    "household_division": "户籍地",
    "household_address": "户籍地址",
    "residence_division": "居住地",
    "residence_address": "居住地址",
    "work_division": "工作地",
    "issuer": "签发机关",
    "ground": "居住事由",
    "residence_since": "居住起始日",
    "apply_date": "申请日期",
    "accept_date": "受理日期",
    "issue_date": "签发日期",
    "counted_from": "年限起算日",
    "endorsed_until": "签注有效至",
    "papers": "提交材料",
    "guardian": "监护人代办",
    "sealed": "封存",
}
"""By field of a permit or of an application for one, in the order in which a card shows them."""

VEHICLE_FIELDS: Final[Mapping[str, str]] = {
    "plate": "号牌号码",
    "plate_class": "号牌种类",
    "brand_model": "品牌型号",
    "colour": "车身颜色",
    "status": "状态",
    "registered_division": "登记地",
    "first_registered": "初次登记日期",
    "keeper": "所有人",
    "permit": "居住证编号",
    "sealed": "封存",
}

ENTERPRISE_FIELDS: Final[Mapping[str, str]] = {
    "uscc": "统一社会信用代码",
    "name": "名称",
    "division": "登记地",
    "status": "登记状态",
    "registered_on": "登记日期",
    "legal_form": "组织形式",
    "legal_representative": "法定代表人",
    "representative_number": "法定代表人公民身份号码",
}

RECORD_FIELDS: Final[Mapping[str, str]] = {**ENTERPRISE_FIELDS, **VEHICLE_FIELDS, **PERMIT_FIELDS}
"""Every field that a look-up can release, of whatever kind of record; a permit's word goes first."""

LABELS: Final[Mapping[str, str]] = {
    **RECORD_FIELDS,
    "agency": "单位",
    "asker": "单位",
    "body": "内容",
    "case_id": "案件",
    "confirmation": "确认",
    "copy_time": "副本时间",
    "correction_id": "更正编号",
    "counted_days": "计入天数",
    "due": "期限",
    "kind": "类",
    "leader": "领导",
    "left": "剩余",
    "lookup_id": "查询号",
    "mark": "标记",
    "message_id": "消息",
    "node": "省",
    "officer": "经办人",
    "opened": "开启",
    "ordered": "通知",
    "outcome": "结果",
    "person": "所问",
    "purpose": "用途",
    "read": "读取",
    "reason": "理由",
    "receipt": "回执",
    "recipient": "接收省",
    "recognised": "互认",
    "request_id": "编号",
    "seq": "序号",
    "service": "可办事项",
    "state": "状态",
    "step": "步骤",
    "time": "时间",
    "urgency": "时限",
    "what": "内容",
    "words": "意见",
}

WORDS: Final[dict[str, Mapping[str, str]]] = {
    "PermitStatus": {
        "valid": "有效",
        "endorsement_open": "有效，可以签注",
        "suspended": "已中止使用功能",
        "revoked": "已注销",
        "replaced": "已换发",
    },
    "Sex": {"male": "男", "female": "女"},
    "Ground": {"job": "合法稳定就业", "dwelling": "合法稳定住所", "study": "连续就读"},
    "DoubtKind": {
        "look_alike": "形近字",
        "birth_date": "出生日期",
        "sex": "性别",
        "number": "号码",
        "division": "区划",
        "issuer": "签发机关",
    },
    "RevokeReason": {
        "left": "已离开",
        "household_moved": "户口已迁入",
        "deceased": "死亡",
        "fraud": "骗领",
        "own_request": "本人申请",
    },
    "RecognitionMode": {"card": "按证互认", "time": "按居住时间互认"},
    "RecognitionOutcome": {"recognised_full": "全部互认", "recognised_part": "部分互认", "refused": "不予互认"},
    "Confirmation": {
        "provisional": "暂定，待签发省确认",
        "confirmed": "签发省已确认",
        "contradicted": "签发省的记录已变更，不符",
    },
    "RecognitionReason": {
        "card_valid": "居住证有效",
        "services_limited": "协议只开放部分服务",
        "half_year_reached": "居住已满半年",
        "time_credited": "居住未满半年，天数已计入",
        "mode_not_agreed": "协议未启用这种互认方式",
        "no_services_agreed": "协议未开放任何服务",
        "not_yet_issued": "签发日期未到",
        "no_time": "没有可以计入的居住时间",
        "permit_suspended": "居住证已中止使用功能",
        "permit_revoked": "居住证已注销",
        "permit_replaced": "居住证已换发",
    },
    "Entitlement": {
        "service.education": "义务教育",
        "service.employment": "基本公共就业服务",
        "service.health": "基本公共卫生服务和计划生育服务",
        "service.culture": "公共文化体育服务",
        "service.legal_aid": "法律援助和其他法律服务",
        "service.other": "国家规定的其他基本公共服务",
        "convenience.exit_entry": "办理出入境证件",
        "convenience.identity_card": "换领、补领居民身份证",
        "convenience.vehicle_registration": "机动车登记",
        "convenience.driving_licence": "申领机动车驾驶证",
        "convenience.vocational": "报名参加职业资格考试、申请授予职业资格",
        "convenience.birth_service": "办理生育服务登记和其他计划生育证明材料",
        "convenience.other": "国家规定的其他便利",
    },
    "PlateClass": {
        "large_car": "大型汽车",
        "small_car": "小型汽车",
        "embassy_car": "使馆汽车",
        "consulate_car": "领馆汽车",
        "motorcycle": "普通摩托车",
        "moped": "轻便摩托车",
        "embassy_motorcycle": "使馆摩托车",
        "consulate_motorcycle": "领馆摩托车",
        "low_speed": "低速车",
        "trailer": "挂车",
        "school_car": "教练汽车",
        "school_motorcycle": "教练摩托车",
        "trial_car": "试验汽车",
        "trial_motorcycle": "试验摩托车",
        "temporary": "临时行驶车",
        "police_car": "警用汽车",
        "police_motorcycle": "警用摩托车",
        "hong_kong": "香港入出境车",
        "macau": "澳门入出境车",
        "new_energy_large": "大型新能源汽车",
        "new_energy_small": "小型新能源汽车",
    },
    "VehicleStatus": {
        "normal": "正常",
        "transferred": "转出",
        "stolen": "被盗抢",
        "suspended": "停驶",
        "deregistered": "注销",
    },
    "EnterpriseStatus": {
        "active": "存续",
        "dormant": "歇业",
        "transferred": "迁出",
        "revoked": "吊销",
        "deregistered": "注销",
    },
    "NodeName": {"zhejiang": "浙江", "jiangxi": "江西", "fujian": "福建", "anhui": "安徽"},
    "Step": {
        "lookup.case": "案件",
        "lookup.search": "查询",
        "lookup.fetch": "调取",
        "case.entry": "联办案件",
        "case.disclosure": "联办案件另行提供",
        "alert.entry": "警情通报",
        "alert.disclosure": "警情另行提供",
        "alert.document": "调取照片或材料",
        "corrections.today": "核验外出凭证",
        "permit.sync": "可查阅居住证副本",
        "permit.recognition": "居住证互认",
    },
    "Outcome": {
        "hit": "命中",
        "no_hit": "未命中",
        "refused": "拒绝",
        "unreachable": "无法到达",
        "expired": "已过期",
        "waiting": "待对方受理岗答复",
        "case_opened": "已通报立案",
        "case_closed": "已通报结案",
    },
    "IntakeStatus": {"waiting": "待答复", "answered": "已答复", "refused": "已拒绝", "expired": "已过期"},
    "Urgency": {"urgent": "紧急", "routine": "一般"},
    "Realm": {"demo": "演示", "live": "正式"},
    "Freshness": {"fresh": "有效", "lapsed": "续期已过", "expired": "已过期"},
    "Finding": {"open": "待审查", "justified": "属实必要", "unjustified": "不当"},
    "SampleFinding": {"lawful": "合规", "doubtful": "存疑"},
    "ErasureState": {"ordered": "已通知", "receipted": "已回执", "overdue": "逾期"},
}
"""By enum, by word of the protocol: the Chinese word. A feature's file adds the words that only it shows."""

SHORT_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "Ground": {
        "就业": "job", "稳定就业": "job", "合法就业": "job",
        "住所": "dwelling", "稳定住所": "dwelling", "合法住所": "dwelling", "就读": "study",
    },
    "Paper": {
        "身份证": "identity_card", "照片": "photo", "住址证明": "residence_proof", "居住证明": "residence_proof",
        "就业证明": "ground_proof", "住所证明": "ground_proof", "就读证明": "ground_proof",
        "监护人身份证": "guardian_identity",
    },
    "PlateClass": {"小汽车": "small_car", "摩托车": "motorcycle", "教练车": "school_car"},
    "Sex": {"男性": "male", "女性": "female", "m": "male", "f": "female"},
}  # fmt: skip
"""By enum: what a desk writes instead of the word, where only one can be meant."""
_ENGLISH: Final[Mapping[str, str]] = {
    "Outcome.no_hit": "no hit",
    "Outcome.waiting": "waiting for their desk",
    "Outcome.case_opened": "case opened",
    "Outcome.case_closed": "case closed",
    "Step.lookup.case": "case",
    "Step.lookup.search": "search",
    "Step.lookup.fetch": "fetch",
    "Step.alert.entry": "told in an alert",
    "Step.alert.disclosure": "told more of an alert later",
    "Step.alert.document": "a picture or paper of an alert was fetched",
    "Step.permit.sync": "may read a copy of the permit",
    "Step.permit.recognition": "recognition of the permit",
}
AWAITED: Final = "等待答复|waiting"
"""In the place of an outcome that has not come yet."""
OVERDUE: Final = "逾期|overdue"


def overdue_mark() -> str:
    return f"  ** {said('逾期|OVERDUE')} **"


def label(name: str) -> str:
    return pair(LABELS.get(name, ""), name)


def word(value: StrEnum) -> str:
    """A word of an enum in the language that is asked for, or in both: `命中 hit`."""
    return word_of(type(value).__name__, value.value)


def word_of(enum: str, text: str) -> str:
    """The same for a word that came as text: `浙江 zhejiang`; the text alone where it is no word of that enum."""
    return pair(*word_halves(enum, text))


def word_halves(enum: str, text: str) -> tuple[str, str]:
    return WORDS[enum].get(text, ""), _ENGLISH.get(f"{enum}.{text}", text)


def find_word(enum: type[_Word], text: str) -> _Word | None:
    """Finds a word of an enum in either language, or as a desk shortens it."""
    given = _narrow(text)
    short = SHORT_WORDS.get(enum.__name__, {}).get(given)
    chinese = WORDS[enum.__name__]
    return next((each for each in enum if given in {each, _narrow(chinese[each])} or short == each), None)


def _narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().lower()


# ---- what a desk means


def cell_text(given: str) -> str:
    """A text without what a spreadsheet puts around it: `="…"`, an apostrophe in front, space at the ends."""
    text = given.strip()
    if quoted := _QUOTED.fullmatch(text):
        text = quoted[1].replace('""', '"').strip()
    return text[1:].strip() if text.startswith("'") and "'" not in text[1:] else text


def plain(given: str) -> str:
    """A word, a day or a code in plain signs: wide ones narrowed, every hyphen one, without what nobody sees."""
    return _HYPHENS.sub("-", _NOT_SEEN.sub("", unicodedata.normalize("NFKC", cell_text(given)))).strip()


def condensed(given: str) -> str:
    """A number or code as it is written: plain, in capitals, without spaces and hyphens."""
    return _GAPS.sub("", plain(given)).upper()


def cells(text: str) -> int:
    """The columns of a terminal that the text takes."""
    return sum(0 if combining(sign) else 1 + (east_asian_width(sign) in "WF") for sign in text)
