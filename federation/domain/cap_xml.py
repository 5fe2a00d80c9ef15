"""XML as CAP uses it: parsed from strangers without trust, held against the schema, written in one form.

Rules kept: at most 256 kB before anything is parsed; UTF-8 or UTF-16, any other encoding is refused by its name; a
DOCTYPE is refused where it begins, so that no entity is ever declared; the parser knows no addresses and fetches
nothing; comments and instructions are dropped, and text runs on across them; depth and elements are bounded. Names are
compared with their namespace. The bytes of a `Signature` stay in the file. Sources: CAP 1.2 schema (OASIS), XML 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final
from xml.parsers import expat

from federation.domain.alert_kinds import AlertTable
from federation.domain.cap import CODE, Area, Block, CapFault, CapMessage, Named, Reference, Wording, fault
from federation.domain.cap_rules import kind_faults, message_faults
from federation.domain.clock import CHINA_TIME
from federation.protocol.errors import MalformedError

CAP: Final = "urn:oasis:names:tc:emergency:cap:1.2"
SIGNATURES: Final = "http://www.w3.org/2000/09/xmldsig#"
MAX_BYTES: Final = 256 * 1024
MAX_DEPTH, MAX_ELEMENTS = 16, 4_000
SPACE: Final = " \t\n\r"
_INSTANCES: Final = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(slots=True)
class Element:
    """One element: its namespace and name, its own text, its children."""

    space: str
    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> list[Element]:
        return [child for child in self.children if child.name == name]

    def get(self, name: str) -> str:
        """The text of the first child of that name, "" without one."""
        return next((child.text for child in self.children if child.name == name), "")


# ---- bytes to elements


_DECLARED: Final = re.compile(rb"""\A<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([A-Za-z][A-Za-z0-9._-]{0,40})["']""")
_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


def decode_text(encoded: bytes) -> tuple[str, str]:
    """The text of a file, and in which encoding it was; refuses CAP_SIZE, CAP_ENCODING of all but UTF-8 and UTF-16."""
    if len(encoded) > MAX_BYTES:
        raise _refusal("SIZE", f"不得超过{MAX_BYTES // 1024}KB", f"must be {MAX_BYTES // 1024} kB at most")
    encoding = next((name for mark, name in _MARKS if encoded.startswith(mark)), "utf-8")
    declared = _DECLARED.match(encoded)
    said = declared[1].decode("ascii").upper() if declared else ""
    if encoding in ("utf-8", "utf-8-sig") and said not in ("", "UTF-8"):
        raise _refusal("ENCODING", f"的编码是 {said}：请先转换为 UTF-8", f"is in {said}: convert it to UTF-8 first")
    try:
        return encoded.decode(encoding), "UTF-16" if "16" in encoding else "UTF-8"
    except UnicodeDecodeError as error:
        raise _refusal("ENCODING", "须为 UTF-8 或者 UTF-16 编码", "must be in UTF-8 or UTF-16") from error


def _refusal(reason: str, zh: str, en: str) -> MalformedError:
    found = fault(reason, "alert", zh, en)
    return MalformedError(found.reason, f"{found.zh} | {found.en}", field="alert")


class _Builder:
    """Makes elements of what the parser tells, within bounds."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.open: list[Element] = []
        self.root: Element | None = None
        self.elements = 0
        self.signed = 0  # how deep within a signature

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        self.elements += 1
        if len(self.open) >= MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise _refusal(
                "NESTED",
                f"嵌套不得超过{MAX_DEPTH}层、元素不得超过{MAX_ELEMENTS}个",
                f"must be {MAX_DEPTH} deep and of {MAX_ELEMENTS} elements at most",
            )
        self.signed += bool(self.signed) or space == SIGNATURES
        if not self.signed and any(name.rpartition(" ")[0] != _INSTANCES for name in attributes):
            raise _refusal("ATTRIBUTE", "的元素不得有属性", "must have no attributes")
        made = Element(space=space, name=local)
        if self.open:
            self.open[-1].children.append(made)
        else:
            self.root = made
        self.open.append(made)

    def end(self, _name: str) -> None:
        self.open.pop()
        self.signed -= bool(self.signed)

    def text(self, text: str) -> None:
        self.open[-1].text += text

    def declaration(self, version: str, encoding: str | None, _standalone: int) -> None:
        if version != "1.0":
            raise _refusal("XML", "须为 XML 1.0", "must be XML 1.0")
        if (encoding or self.encoding).upper() != self.encoding:
            raise _refusal("ENCODING", "的编码与所声明的不同", "is in another encoding than it says")

    def doctype(self, *_declared: object) -> None:
        raise _refusal("DOCTYPE", "不得含有 DOCTYPE", "must have no DOCTYPE")


def parse_xml(encoded: bytes) -> Element:
    """Parses one file; refuses CAP_SIZE, CAP_ENCODING, CAP_DOCTYPE, CAP_NESTED, CAP_ATTRIBUTE, CAP_XML."""
    text, encoding = decode_text(encoded)
    builder = _Builder(encoding)
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    parser.buffer_text = True
    parser.XmlDeclHandler = builder.declaration
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise _refusal(
            "XML", f"不是完整的XML（第{error.lineno}行）", f"is no complete XML (line {error.lineno})"
        ) from error
    if builder.root is None:
        raise _refusal("XML", "不是完整的XML", "is no complete XML")
    return builder.root


# ---- what the schema of OASIS says


_SCHEMA: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alert": "identifier sender sent status msgType source? scope restriction? addresses? code* note? references? "
        "incidents? info*",
        "info": "language? category+ event responseType* urgency severity certainty audience? eventCode* effective? "
        "onset? expires? senderName? headline? description? instruction? web? contact? parameter* resource* area*",
        "resource": "resourceDesc mimeType size? uri? derefUri? digest?",
        "area": "areaDesc polygon* circle* geocode* altitude? ceiling?",
        **dict.fromkeys(("eventCode", "parameter", "geocode"), "valueName value"),
    }
)
"""The parts of each element in their order: once, perhaps (?), often (*), at least once (+). All others are text."""


def schema_faults(element: Element) -> Iterator[CapFault]:
    """Order, number and names of what stands in an element of CAP; nothing but space between them."""
    parts = {part.rstrip("?*+"): part for part in _SCHEMA.get(element.name, "").split()}
    places, times, at = list(parts), dict.fromkeys(parts, 0), 0
    if parts and element.text.strip(SPACE):
        yield fault("TEXT_BETWEEN", element.name, "的各项之间不得有文字", "must have no text between its parts")
    for child in element.children:
        if child.space != CAP or child.name not in parts:
            yield fault(
                "UNKNOWN", element.name, "含有本格式没有的元素", "holds an element that the format does not have"
            )
            continue
        place = places.index(child.name)
        if place < at:
            yield fault("ORDER", child.name, "的位置不对", "stands in another place than the format has it")
        at = max(at, place)
        times[child.name] += 1
        if times[child.name] == 2 and parts[child.name][-1] not in "*+":
            yield fault("REPEATED", child.name, "只能有一个", "may stand once")
        yield from schema_faults(child)
    for name, part in parts.items():
        if not times[name] and part[-1] not in "?*":
            yield fault("MISSING", name, "不得缺少", "must be there")


# ---- a message to bytes


_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def format_cap_time(instant: datetime) -> str:
    """A moment as CAP writes it, in the time of China."""
    return instant.astimezone(CHINA_TIME).isoformat(timespec="seconds")


def format_reference(reference: Reference) -> str:
    return f"{reference.sender},{reference.identifier},{format_cap_time(reference.sent)}"


def export_cap(message: CapMessage, *, table: AlertTable | None = None) -> bytes:
    """Returns the one XML of a message: valid by the schema of OASIS, and equal when it is read back.

    Refuses what our profile does not let out (the reason of the first fault), with its sentence.
    """
    found = [*message_faults(message, export=True), *(kind_faults(message, table) if table else ())]
    refused = next((each for each in found if not each.warning), None)
    if refused is None and (message.sent.microsecond or any(each.microsecond for each in _times(message))):
        refused = fault("TIME", "sent", "和其他时间的秒须为整数", "and all other times must be in whole seconds")
    if refused is not None:
        raise MalformedError(refused.reason, f"{refused.zh} | {refused.en}", field=refused.field)
    body = "".join(_write(name, value) for name, value in _alert_parts(message))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns="{CAP}">\n{body}</alert>\n'.encode()


def _times(message: CapMessage) -> Iterator[datetime]:
    yield from (reference.sent for reference in message.references)
    if message.info is not None:
        yield from filter(None, (message.info.effective, message.info.onset, message.info.expires))


_Parts = Iterable[tuple[str, "str | _Parts"]]


def _write(name: str, value: str | _Parts, depth: int = 1) -> str:
    """One element on lines of its own; nothing for an empty text."""
    indent = "  " * depth
    if isinstance(value, str):
        return f"{indent}<{name}>{value.translate(_ESCAPES)}</{name}>\n" if value else ""
    inner = "".join(_write(each, within, depth + 1) for each, within in value)
    return f"{indent}<{name}>\n{inner}{indent}</{name}>\n"


def _alert_parts(message: CapMessage) -> _Parts:
    yield from (("identifier", message.identifier), ("sender", message.sender), ("sent", format_cap_time(message.sent)))
    yield from (
        ("status", message.status),
        ("msgType", message.msg_type),
        ("source", message.source),
        ("scope", message.scope),
    )
    yield from (
        ("restriction", message.restriction),
        ("addresses", _quoted(message.addresses)),
        ("code", CODE),
        ("note", message.note),
    )
    yield from (
        ("references", " ".join(map(format_reference, message.references))),
        ("incidents", _quoted(message.incidents)),
    )
    if message.info is not None:
        yield from (("info", _block_parts(message.info, wording)) for wording in message.info.wordings)


def _block_parts(info: Block, wording: Wording) -> _Parts:
    yield ("language", wording.language)
    yield from (("category", each) for each in info.categories)
    yield ("event", wording.event)
    yield from (("responseType", each) for each in info.responses)
    yield from (("urgency", info.urgency), ("severity", info.severity), ("certainty", info.certainty))
    yield from _named("eventCode", info.event_codes)
    for name, instant in (("effective", info.effective), ("onset", info.onset), ("expires", info.expires)):
        yield (name, format_cap_time(instant) if instant else "")
    yield from (
        ("senderName", wording.sender_name),
        ("headline", wording.headline),
        ("description", wording.description),
    )
    yield from (("instruction", wording.instruction), ("contact", info.contact))
    yield from _named("parameter", info.parameters)
    for resource, description in zip(info.resources, wording.resources, strict=True):
        size = "" if resource.size is None else str(resource.size)
        yield (
            "resource",
            (
                ("resourceDesc", description),
                ("mimeType", resource.mime_type),
                ("size", size),
                ("digest", resource.digest),
            ),
        )
    for area, description in zip(info.areas, wording.areas, strict=True):
        yield ("area", _area_parts(area, description))


def _area_parts(area: Area, description: str) -> _Parts:
    yield ("areaDesc", description)
    yield from (("polygon", each) for each in area.polygons)
    yield from (("circle", each) for each in area.circles)
    yield from _named("geocode", area.geocodes)


def _named(name: str, pairs: Iterable[Named]) -> _Parts:
    return ((name, (("valueName", pair.name), ("value", pair.value))) for pair in pairs)


def _quoted(words: Iterable[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)
