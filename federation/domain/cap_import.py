"""A CAP file of a stranger as a message of ours, with everything that is to be said against it.

Rules kept: what the schema refuses is refused, then our rules (`cap_rules`) are held; what is unclear is refused with
its field in words; what is taken otherwise than it stands (zones of time, a Public scope) is a warning. Times keep
their original beside them. Nothing becomes an alert by itself: an import is a proposal for an officer. Source: CAP 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar

from msgspec import Struct, field

from federation.domain.alert_kinds import AlertTable, Category, Certainty, Response, Severity, Urgency
from federation.domain.cap import (
    CHINESE,
    ENGLISH,
    EXERCISE_MARK,
    RESTRICTION,
    Area,
    Block,
    CapFault,
    CapMessage,
    MsgType,
    Named,
    Reference,
    Resource,
    Scope,
    Status,
    Wording,
    fault,
    format_degrees,
    format_point,
    parse_degrees,
    parse_point,
    parse_polygon,
)
from federation.domain.cap_rules import HAN, kind_faults, message_faults
from federation.domain.cap_xml import CAP, SIGNATURES, SPACE, Element, format_cap_time, parse_xml, schema_faults
from federation.domain.clock import CHINA_TIME
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.unseen import written

MAX_FAULTS: Final = 20
_OLDER_CAP: Final = "urn:oasis:names:tc:emergency:cap:1.1"
_E = TypeVar("_E", bound=StrEnum)
_WRITTEN_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[-+]([0-9]{2}):([0-5][0-9])", re.ASCII
)
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_FORBIDDEN: Final = ("audience", "web")
_LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("zh", "zh-cn", "zh-hans", "zh-hans-cn"), CHINESE),
        **dict.fromkeys(("en", "en-us", "en-gb"), ENGLISH),
    }
)
_TOKENS: Final = re.compile(r'"([^"]*)"|([^\s"]+)')


class CapImport(Struct, frozen=True, kw_only=True):
    """The message unless something refuses it, everything found, times that were written otherwise.

    It is a proposal: an officer looks at it, and at the warnings, before it becomes an alert.
    """

    message: CapMessage | None
    faults: tuple[CapFault, ...]
    original_times: Mapping[str, str] = field(default_factory=dict)
    signed: bool = False

    @property
    def refusals(self) -> tuple[CapFault, ...]:
        return tuple(each for each in self.faults if not each.warning)


def import_cap(encoded: bytes, *, table: AlertTable | None = None) -> CapImport:
    """Reads one file; raises nothing. With the table of kinds, kind, colour and fields are held against it, too."""
    try:
        root = parse_xml(encoded)
    except MalformedError as error:
        zh, _, en = error.message.partition(" | ")
        return CapImport(message=None, faults=(CapFault(reason=error.reason, field="alert", zh=zh, en=en),))
    faults, signed = _root_faults(root)
    if faults:
        return CapImport(message=None, faults=tuple(faults[:MAX_FAULTS]), signed=signed)
    reader = _Reader(root)
    message = reader.message()
    if message is not None and not reader.refused:
        reader.faults += [*message_faults(message), *(kind_faults(message, table) if table else ())]
    if signed:
        reader.faults.append(
            fault(
                "SIGNATURE",
                "Signature",
                "未经验证，以本网信封为准",
                "is not verified: trust comes from our envelope",
                warning=True,
            )
        )
    found = tuple(dict.fromkeys(reader.faults))
    found = (*(each for each in found if not each.warning), *(each for each in found if each.warning))[:MAX_FAULTS]
    kept = None if any(not each.warning for each in found) else message
    return CapImport(message=kept, faults=found, original_times=MappingProxyType(reader.original_times), signed=signed)


def _root_faults(root: Element) -> tuple[list[CapFault], bool]:
    if (root.space, root.name) != (CAP, "alert"):
        older = root.space == _OLDER_CAP
        zh, en = (
            ("是 CAP 1.1", "is CAP 1.1") if older else ("的命名空间不是 CAP 1.2", "is not of the namespace of CAP 1.2")
        )
        return [fault("VERSION", "alert", f"{zh}，只接收 CAP 1.2", f"{en}: only CAP 1.2 is taken")], False
    signatures = [child for child in root.children if child.space == SIGNATURES]
    kept = [child for child in root.children if child.space != SIGNATURES]
    if signatures and root.children[-len(signatures) :] != signatures:
        return [fault("ORDER", "Signature", "须在报文末尾", "must stand at the end")], True
    root.children = kept
    return list(schema_faults(root)), bool(signatures)


class _Reader:
    """Makes a message of elements that are in their places, and gathers what is against it."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.faults: list[CapFault] = []
        self.original_times: dict[str, str] = {}

    @property
    def refused(self) -> bool:
        return any(not each.warning for each in self.faults)

    def refuse(self, reason: str, name: str, *said: str) -> None:
        self.faults.append(fault(reason, name, *said))

    def warn(self, reason: str, name: str, *said: str) -> None:
        self.faults.append(fault(reason, name, *said, warning=True))

    def message(self) -> CapMessage | None:
        """The message; None where something that every message has cannot be read."""
        root, status = self.root, self.root.get("status")
        if status in ("Draft", "System"):
            self.refuse("STATUS", "status", f"为 {status} 的报文不予接收", f"{status} is not taken")
        found = (
            self.time(root, "sent"),
            self.word(root, "status", Status),
            self.word(root, "msgType", MsgType),
            self.word(root, "scope", Scope),
        )
        sent, state, kind, scope = found
        blocks = [self.block(each) for each in root.all("info")]
        restriction, addresses = _plain(root.get("restriction")), self.tokens("addresses")
        if sent is None or state is None or kind is None or scope is None:
            return None
        if scope is Scope.PUBLIC:
            self.warn(
                "PUBLIC",
                "scope",
                "为公开：按限制发布收入，不再公开转发",
                "is Public: taken in as Restricted, and never passed on as Public",
            )
            scope, restriction = Scope.RESTRICTED, restriction or RESTRICTION
        if scope is not Scope.RESTRICTED and restriction:
            self.warn("RESTRICTION", "restriction", "只随限制发布，未采用", "stands with Restricted alone: left out")
        if scope is not Scope.PRIVATE and addresses:
            self.warn("ADDRESSES", "addresses", "只随定向发布，未采用", "stand with Private alone: left out")
        message = CapMessage(
            identifier=root.get("identifier"),
            sender=root.get("sender"),
            sent=sent,
            status=state,
            msg_type=kind,
            source=_plain(root.get("source")),
            scope=scope,
            restriction=restriction if scope is Scope.RESTRICTED else "",
            addresses=addresses if scope is Scope.PRIVATE else (),
            note=_plain(root.get("note")),
            references=self.references(kind),
            incidents=self.tokens("incidents"),
            info=self.one([each for each in blocks if each is not None]),
        )
        return self.marked(message)

    def marked(self, message: CapMessage) -> CapMessage:
        """An exercise whose headline says so."""
        info = message.info
        if message.status is not Status.EXERCISE or info is None:
            return message
        wordings = tuple(
            wording
            if wording.language != CHINESE or wording.headline.startswith(EXERCISE_MARK)
            else replace(wording, headline=EXERCISE_MARK + wording.headline)
            for wording in info.wordings
        )
        if wordings != info.wordings:
            self.warn(
                "EXERCISE",
                "headline",
                f"未注明演练，已加{EXERCISE_MARK}",
                f"did not say that it is an exercise: {EXERCISE_MARK} was added",
            )
        return replace(message, info=replace(info, wordings=wordings))

    def word(self, parent: Element, name: str, words: type[_E]) -> _E | None:
        found = parent.get(name)
        if found in {each.value for each in words}:
            return words(found)
        if not any(each.field == name for each in self.faults):
            values = ", ".join(words)
            self.refuse("VALUE", name, f"须为以下取值之一：{values.replace(', ', '、')}", f"must be one of {values}")
        return None

    def words(self, parent: Element, name: str, words: type[_E]) -> tuple[_E, ...]:
        single = (Element(space=CAP, name=name, children=[child]) for child in parent.all(name))
        return tuple(word for each in single if (word := self.word(each, name, words)) is not None)

    def time(self, parent: Element, name: str) -> datetime | None:
        if not parent.all(name):
            return None
        found = parent.get(name).strip(SPACE)
        instant = _parse_time(found)
        if instant is None:
            form = "2026-04-04T10:16:22+08:00"
            self.refuse("TIME", name, f"须写作 {form}，秒为整数", f"must be written {form}, in whole seconds")
        elif format_cap_time(instant) != found:
            self.original_times[name] = found
            self.warn(
                "TIME_ZONE", name, "已换算为北京时间，原值保留", "was converted to +08:00; what was written is kept"
            )
        return instant

    def tokens(self, name: str) -> tuple[str, ...]:
        """Words parted by space, those with space in them within double quotes."""
        text = self.root.get(name)
        found = tuple(_plain(quoted or plain) for quoted, plain in _TOKENS.findall(text))
        if _TOKENS.sub("", text).strip(SPACE) or len(found) > 100:
            self.refuse(
                "TOKENS",
                name,
                "须以空格分隔，含空格的用双引号",
                "must be parted by space, those with space in double quotes, 100 at most",
            )
        return tuple(each for each in found if each)

    def references(self, kind: MsgType) -> tuple[Reference, ...]:
        elements = self.root.all("references")
        triples = elements[0].text.split() if elements else []
        if elements and not triples and kind is MsgType.ALERT:
            self.warn("REFERENCES", "references", "为空，已忽略", "is empty, and left out")
        found: list[Reference] = []
        for triple in triples[:101]:
            sender, _, rest = triple.partition(",")
            identifier, _, sent = rest.rpartition(",")
            instant = (
                self.time(
                    Element(space=CAP, name="references", children=[Element(space=CAP, name="sent", text=sent)]), "sent"
                )
                if sender and identifier
                else None
            )
            if instant is None or len(found) == 100:
                self.refuse(
                    "REFERENCES",
                    "references",
                    "须为以空格分隔的“发送方,编号,时间”，最多100个",
                    "must be 'sender,identifier,sent' parted by space, 100 at most",
                )
                break
            found.append(Reference(sender=sender, identifier=identifier, sent=instant))
        return tuple(dict.fromkeys(found))

    def one(self, blocks: list[Block]) -> Block | None:
        """The one value of all blocks, the Chinese one first; they may differ in their wording only."""
        if not blocks:
            return None
        if any(replace(each, wordings=()) != replace(blocks[0], wordings=()) for each in blocks):
            self.refuse("INFO_DIFFERS", "info", "各语言只能文字不同", "may differ in its wording only")
        wordings = sorted((each.wordings[0] for each in blocks), key=lambda wording: wording.language != CHINESE)
        return replace(blocks[0], wordings=tuple(wordings))

    def block(self, element: Element) -> Block | None:
        for name in _FORBIDDEN:
            if element.all(name):
                self.refuse("FORBIDDEN", name, "不得出现", "must not be there")
        urgency, severity = self.word(element, "urgency", Urgency), self.word(element, "severity", Severity)
        certainty, expires = self.word(element, "certainty", Certainty), self.time(element, "expires")
        categories, responses = self.words(element, "category", Category), self.words(element, "responseType", Response)
        effective, onset = self.time(element, "effective"), self.time(element, "onset")
        if not element.all("expires"):
            self.refuse("MISSING", "expires", "不得缺少", "must be there")
        resources = tuple(map(self.resource, element.all("resource")))
        areas = tuple(map(self.area, element.all("area")))
        wording = self.wording(element)
        if urgency is None or severity is None or certainty is None or expires is None:
            return None
        return Block(
            categories=categories,
            responses=responses,
            urgency=urgency,
            severity=severity,
            certainty=certainty,
            event_codes=_pairs(element, "eventCode"),
            effective=effective,
            onset=onset,
            expires=expires,
            contact=_plain(element.get("contact")),
            parameters=_pairs(element, "parameter"),
            resources=resources,
            areas=areas,
            wordings=(wording,),
        )

    def wording(self, element: Element) -> Wording:
        said = element.get("language").strip(SPACE)
        language = _LANGUAGES.get(said.lower(), "")
        chinese = HAN.search(element.get("headline") + element.get("description") + element.get("event"))
        if not element.all("language") and chinese:
            language = CHINESE
            self.warn("LANGUAGE", "language", "未注明，按中文处理", "is not named: taken for Chinese")
        elif not language:
            self.refuse("LANGUAGE", "language", "须为 zh-CN 或者 en", "must be zh-CN or en")
        return Wording(
            language=language or said,
            event=_plain(element.get("event")),
            sender_name=_plain(element.get("senderName")),
            headline=_plain(element.get("headline")),
            description=_plain(element.get("description")),
            instruction=_plain(element.get("instruction")),
            areas=tuple(_plain(area.get("areaDesc")) for area in element.all("area")),
            resources=tuple(_plain(resource.get("resourceDesc")) for resource in element.all("resource")),
        )

    def resource(self, element: Element) -> Resource:
        for name in ("uri", "derefUri"):
            if element.all(name):
                self.refuse(
                    "FORBIDDEN",
                    name,
                    "不得出现：附件按文书另行调取",
                    "must not be there: bytes are pulled as documents",
                )
        size = self.number(element, "size")
        if size is not None and (size < 0 or "." in element.get("size")):
            self.refuse("SIZE_OF_RESOURCE", "size", "须为0以上的整数", "must be an integer from 0 on")
            size = None
        return Resource(
            mime_type=element.get("mimeType").strip(SPACE),
            size=None if size is None else size // 1_000_000,
            digest=element.get("digest").strip(SPACE),
        )

    def area(self, element: Element) -> Area:
        altitude, ceiling = self.number(element, "altitude"), self.number(element, "ceiling")
        if ceiling is not None and (altitude is None or ceiling < altitude):
            self.refuse(
                "CEILING", "ceiling", "须与高度同时出现且不低于高度", "must stand with an altitude and not be below it"
            )
        elif altitude is not None:
            self.warn("ALTITUDE", "altitude", "未采用", "is left out")
        return Area(
            polygons=tuple(_one_spelling_of_polygon(each.text) for each in element.all("polygon")),
            circles=tuple(_one_spelling_of_circle(each.text) for each in element.all("circle")),
            geocodes=_pairs(element, "geocode"),
        )

    def number(self, element: Element, name: str) -> int | None:
        """A number in millionths; None without one."""
        if not element.all(name):
            return None
        found = element.get(name).strip(SPACE)
        if not _NUMBER.fullmatch(found):
            self.refuse("NUMBER", name, "须为数字", "must be a number")
            return None
        whole, _, decimals = found.lstrip("+-").partition(".")
        return (-1 if found.startswith("-") else 1) * (int(whole) * 1_000_000 + int(decimals.ljust(6, "0")))


def _parse_time(text: str) -> datetime | None:
    """A moment in the time of China; None for what the schema or a calendar does not have."""
    matched = _WRITTEN_TIME.fullmatch(text)
    if matched is None or timedelta(hours=int(matched[1]), minutes=int(matched[2])) > timedelta(hours=14):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(CHINA_TIME)
    except (ValueError, OverflowError):
        return None


def _plain(text: str) -> str:
    """A text in the one form of the house, without space at its ends."""
    return written(text.strip())


def _pairs(element: Element, name: str) -> tuple[Named, ...]:
    return tuple(
        Named(name=_plain(each.get("valueName")), value=_plain(each.get("value"))) for each in element.all(name)
    )


def _one_spelling_of_polygon(text: str) -> str:
    """The points as numbers are written here; what is no polygon stays, to be refused by its rule."""
    points = parse_polygon(text)
    return text.strip(SPACE) if points is None else " ".join(map(format_point, points))


def _one_spelling_of_circle(text: str) -> str:
    centre, *radius = text.split(maxsplit=2)[:3] or [""]
    point, kilometres = parse_point(centre), parse_degrees(radius[0]) if len(radius) == 1 else None
    return (
        text.strip(SPACE)
        if point is None or kilometres is None
        else f"{format_point(point)} {format_degrees(kilometres)}"
    )
