"""The further items of an entry of a joint case, field by field: what may stand in them, and how they are read again.

Rules kept: every field of an item is a place of its own in the body, under its own salt, so that a member is given
exactly the fields that policy and the procedure let it have and holds the salted hash of each other one; the head says
the class of each place and nothing else of it. Classes and fields are a closed table; a person's number stands in the
field that is for it, in the form and realm of the node, and in no text. Sources: PIPL articles 6 and 19, DESIGN
sections 4 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.citizen_number import names_by_number, verify_citizen_number
from federation.domain.uscc import verify_uscc
from federation.protocol.errors import MalformedError
from federation.protocol.form import Item, decode, encode
from federation.protocol.ids import Realm, between, matching
from federation.protocol.unseen import verify_seen, verify_written

MAX_PLACES: Final = 64
"""The most fields of the items of one entry."""

_Word = Annotated[str, matching("[a-z][a-z0-9_]{0,31}", form="a word of lower-case letters")]
_LINE, _TEXT = "line", "text"
_NUMBER: Final = "number"
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = MappingProxyType({
    _LINE: (re.compile(r"[^\x00-\x1f\x7f]{1,200}"), "1 to 200 characters in one line"),
    _TEXT: (re.compile(r"[^\x00-\x09\x0b-\x1f\x7f]{1,2000}"), "1 to 2000 characters"),
    _NUMBER: (re.compile("[0-9]{17}[0-9X]|[0-9A-Z]{18}", re.ASCII), "a citizen number, or a USCC"),
    "tag": (re.compile("[a-z][a-z0-9]{0,15}", re.ASCII), "a tag such as p1"),
    "word": (re.compile("[a-z][a-z0-9_-]{0,31}", re.ASCII), "a word of lower-case letters"),
    "side": (re.compile("A|B|line|unsettled"), "one of A, B, line, unsettled"),
    "yes": (re.compile("yes|no"), "one of yes, no"),
    "last4": (re.compile("[0-9A-Z]{4}", re.ASCII), "the last 4 characters"),
    "county": (re.compile("[0-9]{6}([0-9]{6})?", re.ASCII), "a division of 6 or 12 digits"),
    "phone": (re.compile("[0-9+ -]{5,20}", re.ASCII), "a telephone number"),
    "fen": (re.compile("0|[1-9][0-9]{0,14}", re.ASCII), "a sum in whole fen"),
    "count": (re.compile("0|[1-9][0-9]{0,14}", re.ASCII), "a plain number"),
    "day": (re.compile("[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", re.ASCII), "a day such as 2026-11-23"),
    "digest": (re.compile("[0-9a-f]{64}", re.ASCII), "64 lower-case hex digits"),
    "point": (re.compile(r"-?[0-9]{1,2}\.[0-9]{1,6},-?[0-9]{1,3}\.[0-9]{1,6}", re.ASCII), "latitude,longitude"),
})  # fmt: skip

_PLAIN: Final[Mapping[str, str]] = MappingProxyType({
    "party": "tag:tag side:side role:word name:line id_kind:word number:number county:county last4:last4 minor:yes "
    "sealed:yes",
    "contact": "tag:tag phone:phone address:line e_service:yes e_service_day:day",
    "claim": "tag:tag kind:word amount:fen period:line basis:line paid:fen left:fen state:word verified_by:line",
    "fact": "text:text source:line agreed:word day:day",
    "document": "name:line media_type:line size:count chunk_size:count root:digest",
    "session": "day:day place:line online:yes roles:line minutes:text recording:digest",
    "agreement": "form:word obligations:text signatures:line seal:digest effective:day",
    "decision": "kind:word number:line article:line result:line served_on:day remedy:line remedy_until:day",
    "place": "division:county village:line side:side point:point",
    "tie": "person:tag kind:word disclosed_on:day accepted_by:line",
    "account": "bank:word last4:last4",
    "letter": "number:line date:day kind:word case_kind:word basis:line",
    "person": "name:line sex:word birth_date:day number:number address:line phone:phone sealed:yes",
    "outline": "text:text",
    "record": "pages:count signatures:line root:digest",
    "recording": "length:count root:digest",
    "evidence": "kind:word holder:line list:text method:line integrity:digest",
    "lead": "offence:word place:line time:line facts:text",
    "applicant": "name:line number:number phone:phone sealed:yes",
    "vehicle": "plate:line vin:line brand:line keeper:line",
    "licence": "number:number class:line valid_until:day",
    "inspection": "passed:yes day:day root:digest",
    "corr_person": "name:line sex:word birth_date:day number:number address:line new_address:line phone:phone "
    "sealed:yes",
    "corr_terms": "kind:line begins:day ends:day order:yes positioning_until:day",
    "corr_reason": "kind:line text:text proofs:line",
    "corr_route": "county:county town:line purpose:line weekdays:line hours:line frequency:line",
    "corr_check": "dwelling:yes guardian:line opinion:word reason:text",
    "corr_file": "judgment:line execution_notice:line list:text root:digest",
    "corr_copy": "to:line number:line day:day",
    "agenda": "title:line text:text",
    "resolution": "text:text owner:line partners:line due:day tag:word",
    "detail": "place:line time:line people:count violence:yes both_sides:yes need:line sex:word age_band:line "
    "clothing:line last_seen:line cars:line insurer:yes injured:count dangerous_goods:yes lanes:line road:line "
    "section:line detour:line until:line kind_of_incident:line direction:line vehicle_type:line vehicle_colour:line "
    "plate:line victim_tag:tag bank:word account_last_four:last4 request_number:line trapped:yes hazard_class:line "
    "compartment:line wind:line crews:line water_source:line area_m2:count seen:line reach:line method:line flow:line "
    "substance:line readings:line intake_closed:yes firm:line gauge:line water_level:line rise:line release:line "
    "to_move:count state:line event_type:line confidence:line digest:digest as_issued:text",
    "note": "text:text",
    "informer": "text:text",
    "health": "text:text",
})  # fmt: skip
CLASSES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {name: MappingProxyType(dict(field.split(":") for field in fields.split())) for name, fields in _PLAIN.items()}
)
"""The classes of items, the fields of each, and the form of each field."""
AT_HOME: Final = frozenset({"note", "informer", "health"})
"""The classes that leave the author's province for nobody, whatever a procedure says."""
SHOWS_CHILD: Final = frozenset({"party", "contact", "person", "applicant", "corr_person"})
"""The classes that tell who a person is: of a child under 14 they wait for the guardian's consent (PIPL article 31)."""


class Part(Item, frozen=True, kw_only=True):
    """One field of the thing numbered `item` within an entry; its class stands in the head."""

    WHAT: ClassVar[str] = "case item"

    item: Annotated[int, between(1, MAX_PLACES)]
    field: _Word
    value: Annotated[str, matching(r"[^\x00-\x09\x0b-\x1f\x7f]{1,2000}", form="1 to 2000 characters")]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CaseItem:
    """One thing of an entry as an agency files it and as one is shown it: `closed` fields are others' alone."""

    kind: str
    fields: Mapping[str, str]
    closed: int = 0


class Places(Struct, frozen=True, kw_only=True):
    """The items of an entry as places of its body behind the head: the class of each, its field, its bytes."""

    classes: tuple[str, ...]
    fields: tuple[str, ...]
    items: tuple[bytes, ...]


def split(items: Iterable[CaseItem], *, realm: Realm) -> Places:
    """Returns the places of these items, field by field. Refuses CASE_ITEM_CLASS, CASE_ITEM_FIELD, CASE_ITEM_MANY."""
    found = [
        (item.kind, name, Part(item=number, field=name, value=item.fields[name]))
        for number, item in enumerate(items, start=1)
        for name in _fields_of(item)
    ]
    if len(found) > MAX_PLACES:
        raise MalformedError("CASE_ITEM_MANY", f"expected at most {MAX_PLACES} fields in all, got {len(found)}")
    for kind, _, part in found:
        verify_written(part.value.replace("\n", " "), field=part.field)
        _verify(part, kind, realm=realm)
    return Places(
        classes=tuple(kind for kind, _, _ in found),
        fields=tuple(name for _, name, _ in found),
        items=tuple(encode(part) for _, _, part in found),
    )


def read_part(encoded: bytes, kind: str, *, realm: Realm) -> Part:
    """Returns one place of another node's entry. Refuses what `Part` does, CASE_ITEM_CLASS, _FIELD and TEXT_UNSEEN."""
    verify_seen(encoded, what=Part.WHAT)
    part = decode(Part, encoded)
    _verify(part, kind, realm=realm)
    return part


def join(classes: Sequence[str], places: Mapping[int, Part]) -> tuple[CaseItem, ...]:
    """Puts the open places of an entry together again; what is closed is counted, by class where nothing is open."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    closed: dict[str, int] = {}
    for at, kind in enumerate(classes, start=1):
        part = places.get(at)
        if part is None:
            closed[kind] = closed.get(kind, 0) + 1
        else:
            found.setdefault((kind, part.item), {})[part.field] = part.value
    made = [CaseItem(kind=kind, fields=fields) for (kind, _), fields in found.items()]
    return (*made, *(CaseItem(kind=kind, fields={}, closed=count) for kind, count in closed.items()))


def _fields_of(item: CaseItem) -> tuple[str, ...]:
    """The fields of an item in the order of the table."""
    known = CLASSES.get(item.kind)
    if known is None:
        raise MalformedError("CASE_ITEM_CLASS", f"expected one of {', '.join(CLASSES)}, got {item.kind!r:.40}")
    if unknown := sorted(item.fields.keys() - known.keys()):
        raise MalformedError(
            "CASE_ITEM_FIELD", f"{item.kind}: expected only {', '.join(known)}, got {unknown[0]!r:.40}", field=item.kind
        )
    if not item.fields:
        raise MalformedError("CASE_ITEM_FIELD", f"{item.kind}: expected at least one field", field=item.kind)
    return tuple(name for name in known if name in item.fields)


def _verify(part: Part, kind: str, *, realm: Realm) -> None:
    form = CLASSES.get(kind, {}).get(part.field)
    if form is None:
        reason = "CASE_ITEM_FIELD" if kind in CLASSES else "CASE_ITEM_CLASS"
        raise MalformedError(
            reason, f"expected a field of the class {kind!r:.40}, got {part.field!r}", field=part.field
        )
    pattern, words = _FORMS[form]
    if not pattern.fullmatch(part.value):
        raise MalformedError("CASE_ITEM_FIELD", f"{kind}: expected {part.field!r} to be {words}", field=part.field)
    if form == _NUMBER:
        verify_number = verify_citizen_number if part.value[:17].isdigit() else verify_uscc
        verify_number(part.value, realm)
    elif form in (_LINE, _TEXT) and names_by_number(part.value):
        raise MalformedError(
            "CASE_ITEM_NAMES_PERSON", f"{kind}: expected no person's number in {part.field!r}", field=part.field
        )
