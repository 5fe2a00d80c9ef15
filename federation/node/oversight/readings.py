"""The watchers watched: whoever reads is noted before they read, and who read what is listed for an inspector.

The leaf is a digest; who read what is sealed beside it, by province and by case, newest last. Source: M12.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from federation.domain.lookups_case import LOOKUP_FUNCTION
from federation.domain.oversight import (
    AUDIT_OFFICE,
    Mandate,
    ReadingKind,
    StoredReading,
    decode_reading,
    inspection_request,
    mandate_bytes,
    readings_bytes,
    verify_mandate,
)
from federation.node.exchange.errand import Errand, on
from federation.node.log.boot import leaf_entry
from federation.node.node import plain_leaf
from federation.node.officers import LeaderAct, or_logged, signed_by, verify_another_person, verify_own_key
from federation.node.oversight.leaders import own_case
from federation.protocol.errors import RuleError
from federation.protocol.form import Item, Time, decode, encode
from federation.protocol.ids import AgencyId, NodeName, format_time, truncate_to_millisecond
from federation.protocol.leaf import LeafKind
from federation.protocol.statement import Statement
from federation.store.collection import page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, each_in_range, find_record, ids_under, put_records
from federation.wire.agency.oversight import LIST_READINGS, ReadingPage, ReadingQuery
from federation.wire.rpc import INSPECTORS

READING: Final = "lookup-reading"
READ_AT, READ_IN = "reading-at", "reading-in"
_WHOLE_PROVINCE: Final = "0000"
"""How the code of a province ends (GB/T 2260)."""


class _Read(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = READING

    time: Time
    agency: AgencyId
    officer: str
    request: str
    step: ReadingKind
    what: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """The part of a node's records that an inspector is shown: of the mandate, and to a county only its own."""

    mandate: Mandate | None
    county: str = ""

    @property
    def document(self) -> str:
        found = self.mandate
        return f"{found.document} {found.first} {found.second}" if found is not None else ""

    def has_message(self, statement: Statement, node: NodeName) -> bool:
        by, to = statement.sender.agency, statement.recipient.agency
        own = by if statement.sender.node == node else to
        in_county = not self.county or (own is not None and own.county == self.county)
        return in_county and (
            self.mandate is None
            or self.mandate.covers(
                statement.created,
                case_id=statement.case,
                officer=statement.sender.officer,
                function=statement.function,
            )
        )

    def has_reading(self, reading: StoredReading) -> bool:
        function = LOOKUP_FUNCTION if reading.lookup_id else None
        return self.county in ("", reading.agency.county) and (
            self.mandate is None
            or self.mandate.covers(reading.time, case_id=reading.case_id, officer=reading.officer, function=function)
        )


async def begin_inspection(errand: Errand, encoded: bytes) -> Inspection:
    """Returns the part that the caller may inspect: policy allows it, and both persons of a mandate signed it.

    Refuses MANDATE, OFFICER_KEY, SAME_PERSON, SIGNATURE_FORM, JSON_*, and INSPECTION by policy; each no is logged.
    """
    mandate = decode(Mandate, encoded) if encoded else None
    if mandate is not None:
        await or_logged(errand, _verify_mandate(errand, mandate))
    request = inspection_request(errand.agency, errand.node.name, occasion=errand.occasion, mandate=mandate)
    ruling = await errand.ask(request)
    if not ruling.allowed:
        zh, en = ruling.explanation_zh.split("\n"), ruling.explanation_en.split("\n")
        raise RuleError("INSPECTION", f"{'；'.join(zh)} | {'; '.join(en)}")
    caller = errand.caller
    is_local = caller.kind != AUDIT_OFFICE and not caller.county.endswith(_WHOLE_PROVINCE)
    return Inspection(mandate, caller.county if is_local else "")


async def _verify_mandate(errand: Errand, mandate: Mandate) -> None:
    source, persons = errand.node.database, (mandate.first, mandate.second)
    verify_mandate(mandate, errand.caller, now=errand.node.now())
    if errand.act.officer not in persons:
        raise RuleError("MANDATE", f"expected one of {persons[0]} and {persons[1]} to read by their mandate")
    acts = [
        LeaderAct(agency=errand.caller, leader=leader, case_id="", signature=signature)
        for leader, signature in zip(persons, mandate.signatures, strict=True)
    ]
    for act in acts:
        verify_own_key(source, act, mandate_bytes(mandate))
    verify_another_person(source, acts[0], persons)


async def note_reading(errand: Errand, *, step: ReadingKind, what: str = "") -> None:
    """Notes durably that the errand's officer is about to read; refuses NOT_AN_AGENCY."""
    node, act, caller, agreement = errand.node, errand.act, errand.caller, errand.in_force.agreement
    errand.in_force.agency(caller)
    now = truncate_to_millisecond(node.now())
    content = encode(_Read(time=now, agency=caller, officer=act.officer, request=act.request_id, step=step, what=what))
    subject = hashlib.sha256(content).hexdigest()
    entry = leaf_entry(plain_leaf(agreement, LeafKind.READING, subject, now=now))
    record = Record(
        id=f"{caller}/{format_time(now)}/{subject[:16]}",
        kind=READING,
        owner=node.name,
        version=1,
        replica=False,
        status=step.value,
        division=caller.county,
        due_date=now.date(),
        content=content,
    )
    line = StoredReading(time=now, agency=caller, officer=act.officer, kind=step, about=what)

    def write(transaction: GroupTransaction) -> None:
        transaction.append_leaf(*entry)
        put_records(transaction, [record])
        put_reading_line(transaction, line, name=subject[:16], owner=node.name)

    await node.sequencer.commit(write)


def put_reading_line(transaction: GroupTransaction, reading: StoredReading, *, name: str, owner: NodeName) -> None:
    """Writes the line of a reading, once under its name; of released fields, one of their case too."""
    place = f"{format_time(reading.time)}/{name}"
    lines = [_line(READ_AT, place, reading, content=encode(reading), owner=owner)]
    if reading.case_id:
        in_case = f"{reading.agency}/{reading.case_id}/{place}"
        lines.append(_line(READ_IN, in_case, reading, content=b"", owner=owner))
    put_records(transaction, lines)


@on(LIST_READINGS)
async def list_readings(errand: Errand, query: ReadingQuery) -> ReadingPage:
    """Returns who read what, newest first: for an inspector what they may see, one case for its leader.

    Refuses as `begin_inspection`, READINGS_READER, CASE_UNKNOWN, OFFICER_KEY, SIGNATURE_FORM, PAGE_TOKEN.
    """
    shown, case = Inspection(None), ""
    if errand.caller.kind in INSPECTORS:
        shown = await begin_inspection(errand, query.mandate)
    else:
        case = _verify_leader(errand, query)
    narrowed = " ".join(word for word in (query.case_id, query.officer, shown.document) if word)
    await note_reading(errand, step=ReadingKind.READINGS, what=narrowed)

    def wanted(reading: StoredReading) -> bool:
        named = query.case_id in (None, reading.case_id) and query.officer in (None, reading.officer)
        return named and shown.has_reading(reading)

    source = errand.node.database
    page = await asyncio.to_thread(
        page_behind,
        source.keys,
        f"{READ_AT}/{case}",
        partial(_each_reading, source, case, wanted),
        limit=query.page_size,
        token=query.page_token,
    )
    return ReadingPage(readings=page.values, next_page_token=page.next_token)


def _each_reading(
    source: Source, case: str, wanted: Callable[[StoredReading], bool], before: str
) -> Iterator[tuple[str, StoredReading]]:
    """The readings of the province or a case (`<agency>/<case>/`), newest first, behind the place `before`."""
    kind = READ_IN if case else READ_AT
    for record in each_in_range(source, kind, ids_under(case, newest_first=True, before=before), replica=True):
        place = record.id.removeprefix(case)
        line = record if kind == READ_AT else find_record(source, READ_AT, place, replica=True)
        reading = decode_reading(line.content) if line is not None else None
        if reading is not None and wanted(reading):
            yield place, reading


def _verify_leader(errand: Errand, query: ReadingQuery) -> str:
    """Returns the place of the readings that a case's leader may see."""
    act = signed_by(errand, query.signature or "", case_id=query.case_id or "")
    if not act.case_id or own_case(errand.node, act).leader != act.leader:
        raise RuleError("READINGS_READER", "expected an audit office, or the leader of the named case (--case)")
    verify_own_key(errand.node.database, act, readings_bytes(act.agency, act.case_id, reader=act.leader))
    return f"{act.agency}/{act.case_id}/"


def _line(kind: str, key: str, reading: StoredReading, *, content: bytes, owner: NodeName) -> Record:
    return Record(
        id=key,
        kind=kind,
        owner=owner,
        version=1,
        replica=True,
        status=reading.kind.value,
        division=reading.agency.county,
        content=content,
    )
