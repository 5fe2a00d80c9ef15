"""An alert as CAP 1.2 carries it: the message, the names of messages, the rules of our profile, what it refers to.

Rules kept: the OASIS schema lets through an empty name, a Cancel that cancels nothing, an open polygon, an end in the
past: every rule here is one that it does not have. Blocks of information differ in their wording only, so that there
is one `Block` with a `Wording` for each language. Places and times are kept in one spelling. What looks like a person
is refused and not shown. A fault names its field in words, in Chinese and English. Trust comes from our envelope alone.
Sources: CAP 1.2 (OASIS, 2010); GB/T 35965.1-2018 (names of 31 characters); 突发事件应对法 63, 64.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar, Final

from msgspec import Struct

from federation.domain.alert_kinds import Category, Certainty, Response, Severity, Urgency
from federation.domain.clock import CHINA_TIME
from federation.protocol.errors import MalformedError, UnavailableError
from federation.protocol.form import Count, Item, Time
from federation.protocol.ids import AgencyId, FederationName

RESTRICTION: Final = "仅限联防值守席位"
CODE: Final = "bridgehead:1"
KIND_CODE: Final = "bridgehead:kind"
CHINESE, ENGLISH = "zh-CN", "en"
EXERCISE_MARK: Final = "【演练】"
MAX_POINTS: Final = 100
GEOCODES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType({"GB/T 2260": (6,), "GB/T 10114": (9, 12)})
"""The names of codes of places, and how many digits they have."""


class Status(StrEnum):
    """Draft and System are none that cross."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    TEST = "Test"


class MsgType(StrEnum):
    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
    ACK = "Ack"
    ERROR = "Error"


class Scope(StrEnum):
    PUBLIC = "Public"
    RESTRICTED = "Restricted"
    PRIVATE = "Private"


class Named(Item, frozen=True, kw_only=True):
    """A value with its name: a parameter, a code of the event or of a place."""

    name: str
    value: str


class Reference(Item, frozen=True, kw_only=True):
    """The triple that names one message."""

    sender: str
    identifier: str
    sent: Time


class Resource(Item, frozen=True, kw_only=True):
    """A document that is pulled by its SHA-256 elsewhere; `digest` is the SHA-1 of the standard."""

    mime_type: str
    size: Count | None = None
    digest: str = ""


class Area(Item, frozen=True, kw_only=True):
    """Polygons and circles in the one spelling of `format_point`, WGS 84; codes of places."""

    polygons: tuple[str, ...] = ()
    circles: tuple[str, ...] = ()
    geocodes: tuple[Named, ...] = ()


class Wording(Item, frozen=True, kw_only=True):
    """The words of one block in its language; `areas` and `resources` are the descriptions of those of `Block`."""

    language: str
    event: str
    sender_name: str
    headline: str
    description: str
    instruction: str = ""
    areas: tuple[str, ...]
    resources: tuple[str, ...] = ()


class Block(Item, frozen=True, kw_only=True):
    categories: tuple[Category, ...]
    responses: tuple[Response, ...]
    urgency: Urgency
    severity: Severity
    certainty: Certainty
    event_codes: tuple[Named, ...] = ()
    effective: Time | None = None
    onset: Time | None = None
    expires: Time
    contact: str = ""
    parameters: tuple[Named, ...] = ()
    resources: tuple[Resource, ...] = ()
    areas: tuple[Area, ...]
    wordings: tuple[Wording, ...]

    @property
    def kind(self) -> str:
        """The kind by its id, or "" where a stranger sent it and an officer must choose."""
        return next((code.value for code in self.event_codes if code.name == KIND_CODE), "")

    def parameter(self, name: str) -> str:
        return next((each.value for each in self.parameters if each.name == name), "")


class CapMessage(Item, frozen=True, kw_only=True):
    """One message. `restriction` is said with Restricted alone, `addresses` (ids of desks) with Private alone."""

    WHAT: ClassVar[str] = "CAP message"

    identifier: str
    sender: str
    sent: Time
    status: Status
    msg_type: MsgType
    source: str = ""
    scope: Scope
    restriction: str = ""
    addresses: tuple[str, ...] = ()
    note: str = ""
    references: tuple[Reference, ...] = ()
    incidents: tuple[str, ...] = ()
    info: Block | None = None

    @property
    def named(self) -> Reference:
        return Reference(sender=self.sender, identifier=self.identifier, sent=self.sent)


# ---- faults


class CapFault(Struct, frozen=True, kw_only=True):
    """A fault of a field, in both languages; a warning lets the message stand."""

    reason: str
    field: str
    zh: str
    en: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.zh} | {self.en} [{self.reason}]"


_WORDS: Final = (
    "alert 警情报文 the alert|identifier 报文编号 the identifier|sender 发送方 the sender|"
    "sent 发送时间 the time of sending|status 报文状态 the status|msgType 报文类型 the type|"
    "source 来源 the source|scope 发布范围 the scope|restriction 范围限制 the restriction|"
    "addresses 接收席位 the addresses|code 特征码 the code|note 备注 the note|"
    "references 引用的报文 the references|incidents 关联事件 the incidents|"
    "info 警情内容 the block of information|language 语言 the language|category 类别 the category|"
    "event 事件名称 the event|responseType 响应方式 the response|urgency 紧迫程度 the urgency|"
    "severity 严重程度 the severity|certainty 确定程度 the certainty|audience 受众 the audience|"
    "eventCode 事件代码 the code of the event|effective 生效时间 the time of effect|onset 开始时间 the onset|"
    "expires 失效时间 the expiry|senderName 发送单位名称 the name of the sender|headline 标题 the headline|"
    "description 描述 the description|instruction 处置建议 the instruction|web 网址 the web address|"
    "contact 联系方式 the contact|parameter 参数 the parameter|resource 附件 the resource|"
    "resourceDesc 附件说明 the description of a resource|mimeType 附件类型 the media type|"
    "size 附件大小 the size|uri 附件地址 the address of a resource|derefUri 附件内容 the content of a resource|"
    "digest 附件摘要 the digest|area 影响区域 the area|areaDesc 区域说明 the description of the area|"
    "polygon 多边形 the polygon|circle 圆形区域 the circle|geocode 区划代码 the code of the place|"
    "altitude 高度 the altitude|ceiling 最大高度 the ceiling|valueName 取值名称 the name of a value|"
    "value 取值 the value|Signature 签名 the signature"
)
FIELDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {name: (zh, en) for name, zh, en in (row.split(" ", 2) for row in _WORDS.split("|"))}
)
"""Each field of CAP in words."""


def fault(reason: str, field: str, *said: str, warning: bool = False) -> CapFault:
    """A fault whose two sentences, Chinese and English, begin with the field in words and its name in CAP."""
    zh, en = said
    words = FIELDS[field]
    sentence = f"{words[1][:1].upper()}{words[1][1:]} ({field}) {en}."
    return CapFault(
        reason=f"CAP_{reason}", field=field, zh=f"{words[0]}（{field}）{zh}。", en=sentence, warning=warning
    )


# ---- names


IDENTIFIER: Final = re.compile(r"[0-9]{12}[0-9A-Z]{2}_([0-9]{14})_[0-9]", re.ASCII)


class Unit(Struct, frozen=True, kw_only=True):
    """Six digits of the division, three of the body, three of the desk that enters a message, two of an extension."""

    division: str
    body: str
    desk: str = "000"
    extension: str = "00"

    def __str__(self) -> str:
        return f"{self.division}{self.body}{self.desk}{self.extension}"


def allocate_identifier(unit: Unit, at: datetime, *, is_used: Callable[[str], bool]) -> tuple[str, datetime]:
    """Returns the first free name of a unit from that second on, and the second that it is of.

    Ten fit in a second: the eleventh is of the next one, until which the caller waits. Refuses a unit that is not of
    its form (CAP_UNIT), and when the names of a whole minute are used (CAP_IDENTIFIERS).
    """
    first = at.astimezone(CHINA_TIME).replace(microsecond=0)
    for second in range(60):
        entered = first + timedelta(seconds=second)
        for index in range(10):
            name = f"{unit}_{entered:%Y%m%d%H%M%S}_{index}"
            if not IDENTIFIER.fullmatch(name):
                raise MalformedError("CAP_UNIT", "expected 6 digits of a division, 3, 3, and 2 digits or capitals")
            if not is_used(name):
                return name, entered
    raise UnavailableError("CAP_IDENTIFIERS", "本席位一分钟内的编号已用完。 | The desk used up the names of a minute.")


def entered_at(identifier: str) -> datetime | None:
    """The moment in a name of our form; None for a stranger's, and for one whose moment does not exist."""
    matched = IDENTIFIER.fullmatch(identifier)
    try:
        return datetime.strptime(f"{matched[1]}+0800", "%Y%m%d%H%M%S%z") if matched else None
    except ValueError:
        return None


def format_sender(agency: AgencyId, federation: FederationName) -> str:
    return f"{agency.county}.{agency.kind}@{agency.node}.{federation}"


# ---- places


_DEGREES: Final = re.compile(r"(-?)(?:([0-9]{1,3})(?:\.([0-9]{0,6}))?|\.([0-9]{1,6}))", re.ASCII)
_LATITUDES, _LONGITUDES = (23_000_000, 35_000_000), (113_000_000, 123_000_000)
Point = tuple[int, int]
"""Latitude and longitude in millionths of a degree."""


def parse_degrees(text: str) -> int | None:
    """Millionths of what is written with at most six decimals; None for anything else."""
    matched = _DEGREES.fullmatch(text)
    if matched is None:
        return None
    sign, whole, decimals, alone = matched.groups()
    return (-1 if sign else 1) * (int(whole or 0) * 1_000_000 + int((decimals or alone or "").ljust(6, "0")))


def format_degrees(millionths: int) -> str:
    whole, decimals = divmod(abs(millionths), 1_000_000)
    return f"{'-' if millionths < 0 else ''}{whole}.{decimals:06d}".rstrip("0").rstrip(".")


def format_point(point: Point) -> str:
    return f"{format_degrees(point[0])},{format_degrees(point[1])}"


def parse_point(text: str) -> Point | None:
    latitude, comma, longitude = text.partition(",")
    found = parse_degrees(latitude), parse_degrees(longitude)
    return (found[0], found[1]) if comma and found[0] is not None and found[1] is not None else None


def parse_polygon(text: str) -> list[Point] | None:
    """The points of a polygon; None where one of at most a hundred is none."""
    written_points = text.split(maxsplit=MAX_POINTS)
    points = [parse_point(each) for each in written_points]
    return [point for point in points if point is not None] if points and None not in points else None


def polygon_faults(text: str) -> Iterator[CapFault]:
    points = parse_polygon(text)
    if points is None:
        yield fault(
            "POLYGON",
            "polygon",
            f"须为最多{MAX_POINTS}个“纬度,经度”，小数最多六位",
            "must be pairs 'lat,lon', at most 100, of six decimals",
        )
    elif len(points) < 4 or points[0] != points[-1]:
        yield fault(
            "POLYGON_OPEN",
            "polygon",
            "至少四个点，首尾须为同一点",
            "must have four points or more, the first one again at its end",
        )
    elif not all(map(_is_here, points)):
        yield _swapped("polygon")
    elif _crosses(points):
        yield fault("POLYGON_CROSSES", "polygon", "的边不得相交或者重复", "must not cross or touch itself")


def circle_faults(text: str) -> Iterator[CapFault]:
    centre, _, radius = text.partition(" ")
    point, kilometres = parse_point(centre), parse_degrees(radius)
    if point is None or kilometres is None or not 0 <= kilometres <= 200_000_000:
        yield fault(
            "CIRCLE", "circle", "须写作“纬度,经度 半径”，半径为0至200公里", "must be 'lat,lon km' with 0 to 200 km"
        )
    elif not _is_here(point):
        yield _swapped("circle")


def _swapped(field: str) -> CapFault:
    return fault(
        "SWAPPED",
        field,
        "坐标疑似经纬颠倒：纬度须在23至35，经度须在113至123",
        "seems to have latitude and longitude swapped: expected 23 to 35 and 113 to 123",
    )


def _is_here(point: Point) -> bool:
    return _LATITUDES[0] <= point[0] <= _LATITUDES[1] and _LONGITUDES[0] <= point[1] <= _LONGITUDES[1]


def _crosses(ring: list[Point]) -> bool:
    """True when two edges meet elsewhere than where one follows the other; repeated points and spikes, too."""
    edges = list(pairwise(ring))
    if any(start == end for start, end in edges):
        return True
    for number, (a, b) in enumerate(edges):
        for other in range(number + 1, len(edges)):
            c, d = edges[other]
            follows = other == number + 1 or (number == 0 and other == len(edges) - 1)
            if follows:
                shared, one, two = (b, a, d) if other == number + 1 else (a, b, c)
                if _turn(one, shared, two) == 0 and _between(one, shared, two):
                    return True
            elif _meet(a, b, c, d):
                return True
    return False


def _turn(a: Point, b: Point, c: Point) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _between(one: Point, shared: Point, two: Point) -> bool:
    """True when both go the same way from the point that they share."""
    return (one[0] - shared[0]) * (two[0] - shared[0]) + (one[1] - shared[1]) * (two[1] - shared[1]) > 0


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    for axis in (0, 1):
        if max(a[axis], b[axis]) < min(c[axis], d[axis]) or max(c[axis], d[axis]) < min(a[axis], b[axis]):
            return False
    turns = (_turn(a, b, c), _turn(a, b, d)), (_turn(c, d, a), _turn(c, d, b))
    return all(min(pair) <= 0 <= max(pair) for pair in turns)
