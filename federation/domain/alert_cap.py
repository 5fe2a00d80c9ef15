"""An alert as the CAP messages that carry it out of the house, and a stranger's message as what an officer may raise.

Rules kept: raise, update and cancel are the messages of an alert, each under its own name and all of the sender that
raised it, since CAP lets nobody else update or cancel; an update or a cancel names every message before it. What leaves
is Restricted, with the facts that the kind lets cross and no other. What comes in is proposed field by field; what its
file does not say, such as an area of the duty table, the officer says. Source: CAP 1.2; GB/T 35965.1-2018.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct, field

from federation.domain.alert import Alert
from federation.domain.alert_kinds import AlertKind, AlertTable, load_kind
from federation.domain.cap import (
    CHINESE,
    EXERCISE_MARK,
    GEOCODES,
    KIND_CODE,
    RESTRICTION,
    Area,
    Block,
    CapMessage,
    MsgType,
    Named,
    Reference,
    Scope,
    Status,
    Wording,
    format_sender,
)
from federation.domain.case_items import CLASSES, CaseItem
from federation.domain.division import format_division_path
from federation.domain.joint import Entry
from federation.protocol.errors import NotFoundError
from federation.protocol.form import encode_canonical
from federation.protocol.ids import FederationName, format_time, parse_time

MESSAGES: Final[Mapping[str, MsgType]] = {
    "raise": MsgType.ALERT,
    "update": MsgType.UPDATE,
    "cancel": MsgType.CANCEL,
}
"""The acts that are messages."""
NO_MESSAGE: Final = "该记录不是报文。 | This entry is no message: name a raise, an update or a cancel."
_ENDS: Final = {"lifted": "解除预警", "false_alarm": "误报", "duplicate": "重复报送", "other": "其他原因"}
_HEADLINE: Final = 40
_DESCRIBED: Final = 2000
_PLACED: Final = 200
_PHONE: Final = re.compile("[0-9+][0-9+ -]{3,18}[0-9]", re.ASCII)


class CapWords(Struct, frozen=True, kw_only=True):
    """The tables and words that a message is written with; `office` is the name of the one whose message it is."""

    table: AlertTable
    federation: FederationName
    office: str
    area_names: Mapping[str, str] = field(default_factory=dict)


def messages_of(alert: Alert) -> tuple[Entry, ...]:
    """The entries of an alert that are messages and have effect, in their order."""
    done = sorted(alert.named.values(), key=lambda each: each.at)
    return tuple(each.entry for each in done if each.entry.head.act in MESSAGES)


def message_of(alert: Alert, entry: Entry, items: Iterable[CaseItem], *, words: CapWords) -> CapMessage:
    """One message of an alert, with its texts as far as they are given. Refuses CAP_NO_MESSAGE, as `load_kind` does."""
    messages = messages_of(alert)
    if entry not in messages:
        raise NotFoundError("CAP_NO_MESSAGE", NO_MESSAGE)
    head, filed = entry.head, tuple(items)
    kind = load_kind(words.table, alert.kind)
    ends = head.act == "cancel"
    return CapMessage(
        identifier=str(head.fields["cap_id"]), sender=_sender(alert, words), sent=_whole(head.at),
        status=Status(alert.status), msg_type=MESSAGES[head.act], scope=Scope.RESTRICTED, restriction=RESTRICTION,
        note=_ENDS[str(head.fields["why"])] if ends else "",
        references=tuple(_reference(alert, each, words) for each in messages[: messages.index(entry)]),
        info=None if ends else _block(alert, entry, filed, kind=kind, words=words),
    )  # fmt: skip


def _sender(alert: Alert, words: CapWords) -> str:
    return format_sender(alert.first.agency, words.federation)


def _reference(alert: Alert, entry: Entry, words: CapWords) -> Reference:
    head = entry.head
    return Reference(sender=_sender(alert, words), identifier=str(head.fields["cap_id"]), sent=_whole(head.at))


def _whole(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _block(alert: Alert, entry: Entry, items: tuple[CaseItem, ...], *, kind: AlertKind, words: CapWords) -> Block:
    said, table = entry.head.fields, words.table
    level, point = str(said.get("level", "")), _text(items, "place", "point")
    where = _where(said, items, words)
    return Block(
        categories=kind.category, responses=kind.response, urgency=kind.urgency,
        severity=table.severity_of(kind, level), certainty=kind.certainty,
        event_codes=(Named(name=KIND_CODE, value=kind.id),), expires=_whole(parse_time(str(said["expires"]))),
        contact=_text(items, "contact", "phone"),
        parameters=tuple(_parameters(said, items, kind, words)),
        areas=(Area(circles=(f"{point} 0",) if point else (), geocodes=tuple(map(_geocode, _list(said, "division")))),),
        wordings=(
            Wording(
                language=CHINESE, event=kind.event_texts[0], sender_name=words.office,
                headline=_headline(alert, said, kind, where=where, table=table),
                description=(_text(items, "fact", "text") or kind.zh)[:_DESCRIBED], areas=(where,),
            ),
        ),
    )  # fmt: skip


def _parameters(
    said: Mapping[str, object], items: tuple[CaseItem, ...], kind: AlertKind, words: CapWords
) -> Iterator[Named]:
    table, level = words.table, str(said.get("level", ""))
    found = {
        "level": table.levels[level].zh if level else "",
        "issued_by": str(said.get("issued_by", "")),
        "document": str(said.get("document", "")),
        "priority": table.priorities[str(said["priority"])].zh,
        "datum": "WGS84" if _text(items, "place", "point") else "",
    }
    for item in items:
        if item.kind == "detail":
            found |= {name: value for name, value in sorted(item.fields.items()) if name in kind.crosses}
    yield from (Named(name=name, value=value) for name, value in found.items() if value)


def _headline(alert: Alert, said: Mapping[str, object], kind: AlertKind, *, where: str, table: AlertTable) -> str:
    level = str(said.get("level", ""))
    weight = f"{table.levels[level].zh}色" if level else table.priorities[str(said["priority"])].zh
    mark = EXERCISE_MARK if alert.status == Status.EXERCISE else ""
    room = _HEADLINE - len(mark) - len(kind.zh) - len(weight)
    return f"{mark}{where[:room]}{kind.zh}{weight}"


def _where(said: Mapping[str, object], items: tuple[CaseItem, ...], words: CapWords) -> str:
    """The place in words: as somebody wrote it, else the areas, else the divisions."""
    areas = [words.area_names.get(area, area) for area in _list(said, "area")]
    divisions = [format_division_path(code) or code for code in _list(said, "division")]
    return (_text(items, "place", "village") or "、".join(areas or divisions))[:_PLACED]


def _list(said: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = said.get(name, ())
    return found if isinstance(found, tuple) else ()


def _text(items: tuple[CaseItem, ...], kind: str, name: str) -> str:
    return next((item.fields[name] for item in items if item.kind == kind and name in item.fields), "")


def _geocode(code: str) -> Named:
    return Named(name=next(name for name, lengths in GEOCODES.items() if len(code) in lengths), value=code)


# ---- a stranger's message


def source_of(message: CapMessage) -> str:
    """The digest of the name of a message, by which a raise says which one it took, and nothing of its sender."""
    return hashlib.sha256(encode_canonical({"sender": message.sender, "identifier": message.identifier})).hexdigest()


def raising_of(message: CapMessage, table: AlertTable) -> tuple[dict[str, str], tuple[CaseItem, ...]]:
    """The fields and items of a raise as a message has them; what it does not say is not there."""
    info = message.info
    if info is None:
        return {}, ()
    level, priority = (info.parameter(name) for name in ("level", "priority"))
    said = {
        "status": message.status.value, "kind": info.kind, "origin": "cap", "source": source_of(message),
        "expires": format_time(info.expires),
        "level": table.levels[level].id if level in table.levels else "",
        "priority": table.priorities[priority].id if priority in table.priorities else "",
        "issued_by": info.parameter("issued_by"), "document": info.parameter("document"),
        "division": ",".join(dict.fromkeys(code.value for area in info.areas for code in area.geocodes)),
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}, tuple(_items(info, table))


def _items(info: Block, table: AlertTable) -> Iterator[CaseItem]:
    wording = next(each for each in info.wordings if each.language == CHINESE)
    text = "\n".join(each for each in (wording.description, wording.instruction) if each)
    yield CaseItem(kind="fact", fields={"text": text[:_DESCRIBED]})
    place = {"village": "、".join(wording.areas)[:_PLACED]}
    circle = next((circle for area in info.areas for circle in area.circles), "")
    yield CaseItem(kind="place", fields=place | ({"point": circle.partition(" ")[0]} if circle else {}))
    if (phone := _PHONE.search(info.contact)) is not None:
        yield CaseItem(kind="contact", fields={"phone": phone[0]})
    crosses = table.kinds[info.kind].crosses if info.kind in table.kinds else ()
    details = {each.name: each.value for each in info.parameters if each.name in {*crosses} & CLASSES["detail"].keys()}
    if details:
        yield CaseItem(kind="detail", fields=details)
