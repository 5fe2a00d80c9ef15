"""The rules of our profile of CAP 1.2 on one message, and where a message stands beside those that are known already.

Rules kept: what is unclear is refused, never guessed; an import is a proposal until an officer raises it; a message
acts on one live record of its own sender and never across Actual and Exercise; what refers to the unknown waits; what
was cancelled before it came rings no bell. Sources: CAP 1.2; `policies/alerts.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Final

from msgspec import Struct

from federation.domain.alert_kinds import AlertKind, AlertTable, Colours, is_issued
from federation.domain.cap import (
    CHINESE,
    ENGLISH,
    EXERCISE_MARK,
    GEOCODES,
    IDENTIFIER,
    KIND_CODE,
    Block,
    CapFault,
    CapMessage,
    MsgType,
    Reference,
    Resource,
    Scope,
    Status,
    circle_faults,
    entered_at,
    fault,
    polygon_faults,
)
from federation.domain.personal import PATTERNS, find_personal
from federation.protocol.errors import BridgeheadError
from federation.protocol.unseen import find_unseen, written

MAX_AREAS, MAX_SHAPES, MAX_NAMED, MAX_VALID = 16, 16, 32, timedelta(days=30)
USUAL_VALID: Final = timedelta(days=7)
MIME_TYPES: Final = frozenset(
    {"application/pdf", "application/ofd", "image/jpeg", "image/png", "text/plain", "text/csv", "application/geo+json"}
)
END_REASONS: Final = ("解除", "误报")
_LEEWAY: Final = timedelta(seconds=60)
_YEARS: Final = range(2000, 2100)
_NAME: Final = re.compile(r"[^\s,<&]{1,128}")
HAN: Final = re.compile("[\u3400-\u9fff\U00020000-\U000323af]")
_SHA1: Final = re.compile(r"[0-9a-fA-F]{40}", re.ASCII)
_MOBILE: Final = re.compile(r"(?<![0-9])1[3-9](?:[ -]?[0-9]){9}(?![0-9])", re.ASCII)
_HAS_INFO: Final = frozenset({MsgType.ALERT, MsgType.UPDATE})


def message_faults(message: CapMessage, *, export: bool = False) -> Iterator[CapFault]:
    """The faults of a message by our profile; `export` adds what is refused of our own messages alone."""
    yield from _head_faults(message)
    yield from _reach_faults(message, export=export)
    yield from _reference_faults(message)
    if message.info is not None:
        yield from _block_faults(message, message.info, export=export)
    elif message.msg_type in _HAS_INFO:
        yield fault("INFO", "info", "在首报和续报中不得缺少", "must be there in an Alert or Update")
    yield from _text_faults(message)


def _head_faults(message: CapMessage) -> Iterator[CapFault]:
    for name, text in (("identifier", message.identifier), ("sender", message.sender)):
        if not _NAME.fullmatch(text) or find_unseen(text):
            yield fault(
                "NAME",
                name,
                "须为1至128个字符，不得含空白、逗号、“<”或“&”",
                "must be 1 to 128 characters without space, comma, < or &",
            )
    if message.sent.year not in _YEARS:
        yield fault("TIME", "sent", "的年份须在2000至2099", "must be of a year from 2000 to 2099")
    entered = entered_at(message.identifier)
    if IDENTIFIER.fullmatch(message.identifier) and (entered is None or abs(message.sent - entered) > _LEEWAY):
        yield fault(
            "IDENTIFIER_TIME",
            "identifier",
            "中的时间与发送时间相差超过60秒",
            "holds a time more than 60 seconds from the sending",
            warning=True,
        )
    if message.msg_type is MsgType.ERROR and not message.note:
        yield fault("NOTE", "note", "在差错报文中须说明原因", "must say why in an Error")
    if message.msg_type is MsgType.CANCEL and not message.note:
        yield fault("NOTE", "note", "宜说明撤销原因", "should say why it is cancelled", warning=True)


def _reach_faults(message: CapMessage, *, export: bool) -> Iterator[CapFault]:
    if message.scope is Scope.RESTRICTED and not message.restriction:
        yield fault("RESTRICTION", "restriction", "在限制发布时不得缺少", "must be there when the scope is Restricted")
    if message.scope is Scope.PRIVATE and not message.addresses:
        yield fault("ADDRESSES", "addresses", "在定向发布时不得缺少", "must be there when the scope is Private")
    if not export:
        return
    if message.restriction and message.scope is not Scope.RESTRICTED:
        yield fault("RESTRICTION", "restriction", "只随限制发布", "stands with the scope Restricted alone")
    if message.addresses and message.scope is not Scope.PRIVATE:
        yield fault("ADDRESSES", "addresses", "只随定向发布", "stand with the scope Private alone")
    info = message.info
    if message.scope is Scope.PUBLIC and not (info and info.parameter("issued_by") and info.parameter("document")):
        yield fault(
            "PUBLIC", "scope", "为公开时须注明发布单位和文号", "may be Public with an issuer and a document alone"
        )


def _reference_faults(message: CapMessage) -> Iterator[CapFault]:
    if message.msg_type is MsgType.ALERT:
        if message.references:
            yield fault("REFERENCES", "references", "不得出现在首报中", "must not stand in an Alert")
    elif not message.references:
        yield fault(
            "REFERENCES",
            "references",
            "须写明所续报、撤销或者答复的报文",
            "must name the messages that it updates, cancels or answers",
        )
    own = message.named
    if message.msg_type in (MsgType.UPDATE, MsgType.CANCEL) and any(
        each.sender != message.sender for each in message.references
    ):
        yield fault("REFERENCES_SENDER", "references", "只能是本发送方的报文", "must be messages of the same sender")
    if any((each.sender, each.identifier) == (own.sender, own.identifier) for each in message.references):
        yield fault("REFERENCES_ITSELF", "references", "不得引用报文自身", "must not be the message itself")


def _block_faults(message: CapMessage, info: Block, *, export: bool) -> Iterator[CapFault]:
    yield from _time_faults(message, info)
    for name, there in (("category", info.categories), ("responseType", info.responses)):
        if not there or len(set(there)) != len(there):
            yield fault("VALUES", name, "须有取值且不重复", "must have values, each once")
    yield from _wording_faults(info, exercise=export and message.status is Status.EXERCISE)
    yield from _area_faults(info)
    yield from _parameter_faults(info, export=export)
    yield from _resource_faults(info.resources)


def _wording_faults(info: Block, *, exercise: bool) -> Iterator[CapFault]:
    if [wording.language for wording in info.wordings] not in ([CHINESE], [CHINESE, ENGLISH]):
        yield fault("LANGUAGE", "language", "须为一段 zh-CN，可另有一段 en", "must be zh-CN once, and perhaps en once")
    for wording in info.wordings:
        said = (wording.event, wording.sender_name, wording.headline, wording.description)
        for name, text in zip(("event", "senderName", "headline", "description"), said, strict=True):
            if not text:
                yield fault("MISSING", name, "不得为空", "must not be empty")
        if not all(wording.areas):
            yield fault("MISSING", "areaDesc", "不得为空", "must not be empty")
        if not all(wording.resources):
            yield fault("MISSING", "resourceDesc", "不得为空", "must not be empty")
        if len(wording.areas) != len(info.areas) or len(wording.resources) != len(info.resources):
            yield fault("INFO_DIFFERS", "info", "各语言的区域和附件须一致", "must name the same areas and resources")
        if wording.language == CHINESE and not HAN.search(wording.event):
            yield fault("EVENT", "event", "须用中文", "must be Chinese")
        if exercise and wording.language == CHINESE and not wording.headline.startswith(EXERCISE_MARK):
            yield fault("EXERCISE", "headline", f"须以{EXERCISE_MARK}开头", f"must begin with {EXERCISE_MARK}")


def _resource_faults(resources: tuple[Resource, ...]) -> Iterator[CapFault]:
    for resource in resources:
        if resource.mime_type not in MIME_TYPES:
            yield fault("MIME", "mimeType", "不在可收的类型之中", f"must be one of {', '.join(sorted(MIME_TYPES))}")
        if resource.digest and not _SHA1.fullmatch(resource.digest):
            yield fault("DIGEST", "digest", "须为40位十六进制的SHA-1值", "must be a SHA-1 of 40 hex digits")
    if len(resources) > MAX_NAMED:
        yield fault("MANY", "resource", f"不得多于{MAX_NAMED}个", f"must be {MAX_NAMED} at most")


def _time_faults(message: CapMessage, info: Block) -> Iterator[CapFault]:
    begins = info.effective or message.sent
    if info.expires <= message.sent or info.expires <= begins:
        yield fault(
            "EXPIRES", "expires", "须晚于发送时间和生效时间", "must be after the sending and the time of effect"
        )
    elif info.expires - message.sent > (MAX_VALID if info.kind else USUAL_VALID):
        days = (MAX_VALID if info.kind else USUAL_VALID).days
        yield fault("EXPIRES_LATE", "expires", f"不得晚于发送后{days}日", f"must be within {days} days of the sending")


def _area_faults(info: Block) -> Iterator[CapFault]:
    if not 1 <= len(info.areas) <= MAX_AREAS:
        yield fault("AREAS", "area", f"须有1至{MAX_AREAS}个", f"must be there, 1 to {MAX_AREAS}")
    shapes = [shape for area in info.areas for shape in (*area.polygons, *area.circles)]
    if len(shapes) > MAX_SHAPES:
        yield fault(
            "MANY", "polygon", f"和圆形区域合计不得多于{MAX_SHAPES}个", f"and circles must be {MAX_SHAPES} at most"
        )
        return
    for area in info.areas:
        if not area.geocodes:
            yield fault("GEOCODE", "geocode", "在每个区域中不得缺少", "must be there in each area")
        for code in area.geocodes:
            lengths = GEOCODES.get(code.name)
            if (
                lengths is None
                or len(code.value) not in lengths
                or not (code.value.isascii() and code.value.isdecimal())
            ):
                yield fault(
                    "GEOCODE",
                    "geocode",
                    "须为 GB/T 2260 的6位或者 GB/T 10114 的9、12位数字",
                    "must be six digits of GB/T 2260, or 9 or 12 of GB/T 10114",
                )
        yield from chain.from_iterable(map(polygon_faults, area.polygons))
        yield from chain.from_iterable(map(circle_faults, area.circles))
    datum = info.parameter("datum")
    if datum not in ("", "WGS84"):
        yield fault("DATUM", "parameter", " datum 只能是 WGS84", "named datum must be WGS84")
    if shapes and not datum:
        yield fault(
            "DATUM",
            "parameter",
            " datum 缺失：坐标系未注明",
            "named datum is missing: the coordinates may be of another system",
            warning=True,
        )


def _parameter_faults(info: Block, *, export: bool) -> Iterator[CapFault]:
    for field, pairs in (("parameter", info.parameters), ("eventCode", info.event_codes)):
        names = [pair.name for pair in pairs]
        if len(pairs) > MAX_NAMED or len(set(names)) != len(names):
            yield fault(
                "NAMED", field, f"不得多于{MAX_NAMED}个或者重名", f"must be {MAX_NAMED} at most, each name once"
            )
    if not info.kind:
        said = ("缺少类别：由值守员选择", f"names no kind ({KIND_CODE}): the officer chooses one")
        yield fault("KIND", "eventCode", *said, warning=not export)
    if info.parameter("end_reason") not in ("", *END_REASONS):
        yield fault(
            "END_REASON", "parameter", " end_reason 只能是解除或者误报", "named end_reason must be 解除 or 误报"
        )


def _text_faults(message: CapMessage) -> Iterator[CapFault]:
    for name, text, most in texts_of(message):
        if (unseen := find_unseen(text)) is not None:
            yield fault("UNSEEN", name, f"含不可见字符 {unseen}", f"holds the unseen character {unseen}")
        elif written(text.strip()) != text:
            yield fault("TEXT", name, "首尾不得有空白，须为NFC写法", "must be NFC without space at its ends")
        if len(text) > most:
            yield fault("LONG", name, f"不得超过{most}个字符", f"must be {most} characters at most")
        for pattern in find_personal(text, may=("phone",) if name == "contact" else _may(message, text)):
            zh, en = PATTERNS[pattern]
            yield fault("PERSONAL", name, f"疑含{zh}，请删除后再报", f"seems to hold {en}: take it out")
        if name == "contact" and _MOBILE.search(text):
            yield fault(
                "PERSONAL", name, "须为席位电话，不得是私人手机", "must be a desk's telephone, never a private one"
            )


def texts_of(message: CapMessage) -> Iterator[tuple[str, str, int]]:
    """Every text of a message with its field and how long it may be."""
    yield from (("source", message.source, 200), ("note", message.note, 200), ("restriction", message.restriction, 200))
    yield from (("addresses", address, 100) for address in message.addresses)
    yield from (("incidents", incident, 100) for incident in message.incidents)
    if (info := message.info) is None:
        return
    yield ("contact", info.contact, 100)
    yield from (("parameter", text, 500) for pair in info.parameters[:MAX_NAMED] for text in (pair.name, pair.value))
    yield from (("eventCode", text, 100) for pair in info.event_codes[:MAX_NAMED] for text in (pair.name, pair.value))
    for wording in info.wordings:
        chinese = wording.language == CHINESE  # the event and the headline of our language are short
        yield from (
            ("event", wording.event, 20 if chinese else 60),
            ("headline", wording.headline, 40 if chinese else 120),
        )
        yield from (("senderName", wording.sender_name, 100), ("description", wording.description, 2000))
        yield ("instruction", wording.instruction, 2000)
        yield from (("areaDesc", text, 200) for text in wording.areas)
        yield from (("resourceDesc", text, 200) for text in wording.resources)


def _may(message: CapMessage, text: str) -> tuple[str, ...]:
    """A plate may stand in the field `plate` of an alert, and nowhere else; who is shown it the table of kinds says."""
    return ("plate",) if message.info is not None and message.info.parameter("plate") == text else ()


# ---- beside the table of kinds


def kind_faults(message: CapMessage, table: AlertTable) -> Iterator[CapFault]:
    """The faults of a message by the agreed table: its kind, colour, priority, expiry, and fields that never cross."""
    info = message.info
    if info is None or not info.kind:
        return
    kind = table.kinds.get(info.kind)
    if kind is None:
        yield fault("KIND", "eventCode", "没有这一警情类别", "names no kind of alert")
        return
    yield from _level_faults(info, kind, table)
    if (priority := info.parameter("priority")) and priority not in table.priorities:
        yield fault(
            "PRIORITY", "parameter", " priority 只能是特急、紧急、一般", "priority must be '特急', '紧急' or '一般'"
        )
    if info.expires - message.sent > timedelta(minutes=kind.expires_most):
        yield fault("EXPIRES_LATE", "expires", "超过该类别的最长时间", "is later than the kind allows")
    for pair in info.parameters:
        if pair.name in table.facts and pair.name not in kind.crosses:
            said = f"{pair.name} never crosses with the kind"
            yield fault("NEVER_CROSSES", "parameter", f" {pair.name} 不得随该类别通报", said)


def _level_faults(info: Block, kind: AlertKind, table: AlertTable) -> Iterator[CapFault]:
    level = info.parameter("level")
    if not level:
        if kind.colours is Colours.NONE and kind.severity is not info.severity:
            said = (f"与该类别不一致，应为{kind.severity}", f"should be {kind.severity} for the kind")
            yield fault("SEVERITY", "severity", *said, warning=True)
        return
    try:
        issued = is_issued(
            table, kind, level, issued_by=info.parameter("issued_by"), document=info.parameter("document")
        )
    except BridgeheadError as error:
        zh, _, en = error.message.partition(" | ")
        yield CapFault(reason=f"CAP_{error.reason}", field="parameter", zh=zh, en=en)
        return
    if not issued:
        said = (
            "为建议：预警级别须注明有权的发布单位和文号",
            "is a proposal: it needs an issuer who may, and a document",
        )
        yield fault("PROPOSED", "parameter", f" level {said[0]}", f"level {said[1]}", warning=True)
    if table.severity_of(kind, level) is not info.severity:
        yield fault("LEVEL_SEVERITY", "severity", "与预警级别不一致", "does not agree with the level")


# ---- beside what is known


class Standing(StrEnum):
    """The standing of a message. Only NEW rings a bell."""

    NEW = "new"
    REPEATED = "repeated"
    WAITING = "waiting"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Known(Struct, frozen=True, kw_only=True):
    """A message that is here already: of which record, of what bytes, whether it is live."""

    named: Reference
    digest: str
    record: str
    status: Status
    msg_type: MsgType
    live: bool
    references: tuple[Reference, ...] = ()


class Placed(Struct, frozen=True, kw_only=True):
    """The outcome for a message: its standing, the live record that it acts on, and what is against it."""

    standing: Standing
    record: str = ""
    faults: tuple[CapFault, ...] = ()

    @property
    def refused(self) -> bool:
        return any(not each.warning for each in self.faults)


def place_message(message: CapMessage, digest: str, known: Iterable[Known], *, now: datetime) -> Placed:
    """Places a message, of those bytes, beside the known ones; the same whatever their order.

    The same name with the same bytes is a repeat; with other bytes or another time it is refused with both digests.
    """
    there = tuple(known)
    for each in there:
        if (each.named.sender, each.named.identifier) == (message.sender, message.identifier):
            if (each.digest, each.named.sent) == (digest, message.sent):
                return Placed(standing=Standing.REPEATED, record=each.record)
            both = f"{each.digest[:16]}…, {digest[:16]}…"
            found = fault(
                "IDENTIFIER_USED",
                "identifier",
                f"已用于另一报文（{both}）；更改须用续报",
                f"is that of another message ({both}); a change is an Update",
            )
            return Placed(standing=Standing.NEW, faults=(found,))
    named = {_key(each.named): each for each in there}
    cited = [named[_key(each)] for each in message.references if _key(each) in named]
    if any(each.status is not message.status for each in cited):
        found = fault(
            "STATUS", "references", "不得跨越真实警情与演练、测试", "must not cross between Actual, Exercise and Test"
        )
        return Placed(standing=Standing.NEW, faults=(found,))
    if len(cited) < len(message.references):
        return Placed(standing=Standing.WAITING)
    return _stand(message, cited, there, now=now)


def _stand(message: CapMessage, cited: list[Known], there: tuple[Known, ...], *, now: datetime) -> Placed:
    live = sorted({each.record for each in cited if each.live})
    faults: tuple[CapFault, ...] = ()
    if len(live) > 1:
        found = fault(
            "RECORDS", "references", "属于两起以上警情，须逐起处理", "are of more than one live alert: one at a time"
        )
        return Placed(standing=Standing.NEW, faults=(found,))
    if live and any(not each.live for each in cited):
        faults = (
            fault(
                "CANCELLED",
                "references",
                "中有已撤销的报文，仅对未撤销的处理",
                "name cancelled messages, too: it acts on the live one",
                warning=True,
            ),
        )
    own = _key(message.named)
    ended = any(each.msg_type is MsgType.CANCEL and own in map(_key, each.references) for each in there)
    if ended or (cited and not live and message.msg_type in _HAS_INFO):
        return Placed(standing=Standing.CANCELLED, record=live[0] if live else "", faults=faults)
    expired = message.info is not None and message.info.expires <= now
    return Placed(standing=Standing.EXPIRED if expired else Standing.NEW, record=live[0] if live else "", faults=faults)


def _key(reference: Reference) -> tuple[str, str, datetime]:
    return (reference.sender, reference.identifier, reference.sent)
