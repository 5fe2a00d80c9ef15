"""The finding of a check of the agreed tables: a fault in one word, its Chinese and English, and where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct


class Finding(Struct, frozen=True, kw_only=True):
    """A fault in one word, where it is, and about which name."""

    what: str
    where: str
    name: str = ""

    def __str__(self) -> str:
        zh, en = WORDS.get(self.what, ("无法读取", "it cannot be read"))
        return f"{self.where}{f': {self.name}' if self.name else ''} · {zh} · {en} [{self.what}]"


WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "TWICE": ("名称重复", "the name stands twice"),
        "RESERVED": ("该名称另有含义", "the name has a meaning of its own"),
        "ROLE_UNKNOWN": ("没有这一角色", "no such role"),
        "ROLE_NOT_HERE": ("该角色不在本环节", "that role is not of the stage"),
        "ACT_UNKNOWN": ("没有这一办理动作", "no such act"),
        "ACT_NOT_HERE": ("流程中没有这一动作", "no act of the procedure, or of the stage"),
        "CONDITION_UNKNOWN": ("没有这一条件", "no such condition"),
        "STAGE_UNKNOWN": ("没有这一环节", "no such stage"),
        "FIELD_UNKNOWN": ("没有这一字段", "no such field"),
        "NO_ENTRY": ("没有可以开案的环节", "no stage in which a case is opened"),
        "UNREACHABLE": ("任何途径都到不了该环节", "no way leads to the stage"),
        "DEAD_END": ("从该环节无法办结", "no way leads from the stage to an end"),
        "NEXT_ITSELF": ("环节不能转入自身", "the stage follows itself"),
        "END_NOWHERE": ("可以办结，但没有办理结果", "it may end there, and no outcome says how"),
        "OUTCOME_NOT_HERE": ("有办理结果，但不能办结", "an outcome of a stage that has no end"),
        "NOTHING_DONE": ("该环节无人或者无事可办", "nobody does anything in the stage"),
        "TIER_ORDER": ("层级应从低到高", "tiers go from the lower to the higher"),
        "CANNOT_HOLD": ("此前没有动作能使该条件成立", "no act that is done before can make the condition true"),
        "CLOCK_NOT_HERE": ("条件所看的期限不在本流程", "the condition reads a clock that no stage has"),
        "EVENT_NEVER": ("没有动作引起该事件", "nothing brings the event about"),
        "EVENT_UNREAD": ("没有期限使用该事件", "no clock reads the event"),
        "CLOCK_UNKNOWN": ("期限表没有这一行", "no row of the clock table"),
        "CLOCK_NEVER_STARTS": ("期限起算的事件不在本流程", "the event on which it starts is none of the procedure"),
        "CLOCK_NEVER_STOPS": ("期限停止的事件不在本流程", "the event on which it stops is none of the procedure"),
        "CLOCK_OTHER": ("起算事件或者逾期后果与期限表不同", "start or breach differ from the row of the clock table"),
        "CLASS_UNKNOWN": ("没有这一类信息", "no such class of items"),
        "CLASS_NEVER": ("该类信息不得提供给任何一方", "items of that class cross to nobody"),
        "CLASS_UNCARRIED": ("没有动作附带该类信息", "no act carries items of that class"),
        "CLASS_UNSEEN": ("该类信息没有提供给任何人", "nobody is given anything of that class"),
        "RETENTION_UNKNOWN": ("保存期限表没有这一行", "no row of the table of retention"),
        "FUNCTION_UNKNOWN": ("没有这一职能", "no such function"),
        "AGENCY_KIND": ("没有这类单位", "no such kind of agency"),
        "HEADING_UNKNOWN": ("没有这一联或者跨", "none of the joint mechanisms, nor of those across the border"),
        "PROCEDURE_UNKNOWN": ("没有这一程序", "no such procedure"),
        "COUNTED": (
            "自行统计的须写明统计什么，其余不得写",
            "what it counts is said of own figures that are not planned, and of those alone",
        ),
        "OWNED": ("报送的指标须写明报送单位种类", "a delivered figure, and no other, says which offices own it"),
        "LOOKUP_PURPOSES": (
            "随案核查的用途未列明，或者不可用",
            "look-ups, and no purpose of theirs is named",
        ),
        "WORDS": ("缺少中文或者英文", "Chinese or English is missing"),
        "TRACE_UNKNOWN": ("进度说明中的占位不可用", "a trace line stands for something that is not known"),
        "PRIORITY_UNKNOWN": ("没有这一紧急程度", "no such priority"),
        "REFUSED_KIND": ("该类别列在不得通报之中", "the kind is among those refused"),
        "COLOUR_FAMILY": ("该类事件依法不设预警颜色级别", "law has no colour levels for kinds of that family"),
        "NO_SEVERITY": ("没有颜色级别的类别须注明严重程度", "a kind without colours needs a severity"),
        "NO_DESK": ("没有席位", "no desk"),
        "EXPIRES": ("有效时间超过最长时间", "it is valid longer than the longest"),
        "TRIGGER_EMPTY": ("触发条件为空", "the trigger has no condition"),
        "DESK_ELSEWHERE": ("席位的单位不属于本省", "the desk's office is of another province"),
        "DESK_UNKNOWN": ("没有这一席位", "no such desk"),
        "AREA_UNKNOWN": ("没有这一区域", "no such area"),
        "KIND_UNKNOWN": ("没有这一警情类别", "no such kind of alert"),
        "COUNTY_NOT_HERE": ("该县不在本区域", "the county is not of the area"),
        "VOLUNTEER_COUNTY": (
            "志愿队伍编号须以本省有席位的县开头",
            "a group of volunteers is named by a county of this sheet",
        ),
        "VOLUNTEER_ACT": ("志愿者不得为席位签收或者登记", "volunteers do not claim or stamp for a desk"),
        "NUMBER_TWICE": ("同一单位两个席位同号", "two desks of an office have that number"),
        "FALLS_TO": (
            "非全天席位须转交本县全天值守的席位",
            "a desk that closes falls to one of its county that never does",
        ),
        "DEPUTY_CIRCLE": ("代理席位循环", "a circle of deputies"),
        "KIND_NO_DESK": ("没有席位承担该类警情", "no desk has that kind of alert"),
        "AREA_NO_DESK": (
            "区域内该县没有可及的全天席位",
            "no desk that never closes is in reach of the area in that county",
        ),
        "AREA_DIFFERS": ("共有区域在对方表中缺失或者不同", "the other side lists the shared area otherwise, or not"),
        "QUARTER_DAY": ("类别自某季度首日起变更", "a class changes on the first day of a quarter"),
        "ONE_SIDED": ("只有一方写明相邻", "only one side names the other as its neighbour"),
        "NO_BORDER": ("两县不在省际边界表中", "the counties are none of the border table"),
        "NO_LOWEST_GRADE": ("最低等级不得有条件", "the lowest grade comes first and has no condition"),
    }
)
"""Every fault in Chinese and English; the reasons of files that do not parse say it themselves."""


class ProcedureCheck(Struct, frozen=True, kw_only=True):
    """Of a procedure, or of another agreed table with as many rows as it has stages."""

    name: str
    stages: int
    findings: tuple[Finding, ...]


def not_in(names: Iterable[str], known: Iterable[str], *, what: str, where: str) -> Iterator[Finding]:
    """A fault for each name, once, that is not among those known."""
    there = set(known)
    return (Finding(what=what, where=where, name=name) for name in dict.fromkeys(names) if name not in there)
