"""The rules of a correction as deciding policies: their names in a leaf, and what they say in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "rule-permit-unknown": (
            "本省没有向此人签发过该居住证",
            "this province issued no such permit to that person",
        ),
        "rule-identity-unproven": (
            "身份信息归户籍地:请在户籍县申请,或附材料摘要",
            "the household place owns the identity: file it in the household county, or name a paper by its digest",
        ),
        "rule-field-not-correctable": ("该项不能申请更正", "this field is not corrected by request"),
        "rule-same-value": ("记录已是所申请的内容", "the record says so already"),
        "rule-permit-ended": ("居住证已注销或已换发", "the permit was revoked or replaced"),
        "rule-household-not-left": ("户籍地不能是居住县", "the household is outside the county of residence"),
        "rule-residence-too-short": ("受理时居住未满半年", "half a year of residence was not reached at acceptance"),
        "rule-permit-dates": ("日期先后不符", "the days are out of order"),
        "rule-number-disagrees": (
            "与公民身份号码不符:请先更正号码",
            "the citizen number says otherwise: correct the number first",
        ),
        "rule-correction-id-used": ("申请编号已用于另一申请", "the id was used for another correction"),
        "rule-correction-erased": ("所答复的更正申请已删除", "the correction that this answers was erased"),
        "rule-calendar-year-missing": ("日历缺少所需年份", "the calendar has no table for a year that is needed"),
    }
)


def rule_words(name: str) -> tuple[str, str] | None:
    """What a rule of corrections says, Chinese and English; None for a name that is none of them."""
    return _WORDS.get(name)
