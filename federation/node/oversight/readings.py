"""The watchers watched: whoever reads is noted before they read, and who read what is listed for an inspector.

The leaf is a digest; who read what is sealed beside it, by province and by case, newest last. Source: M12.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar, Final

from federation.domain.oversight import AUDIT_OFFICE, ReadingKind, StoredReading, decode_reading, readings_bytes
from federation.node.exchange.errand import Errand, on
from federation.node.log.boot import leaf_entry, plain_leaf
from federation.node.officers import signed_by, verify_own_key
from federation.node.oversight.leaders import own_case
from federation.protocol.errors import RuleError
from federation.protocol.form import Item, Time, encode
from federation.protocol.ids import AgencyId, NodeName, format_time, truncate_to_millisecond
from federation.protocol.leaf import LeafKind
from federation.store.collection import page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, each_in_range, find_record, ids_under, put_records
from federation.wire.agency.oversight import LIST_READINGS, ReadingPage, ReadingQuery

READING: Final = "lookup-reading"
READ_AT, READ_IN = "reading-at", "reading-in"


class _Read(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = READING

    time: Time
    agency: AgencyId
    officer: str
    request: str
    step: ReadingKind
    what: str


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
    """Returns who read what, newest first: all of the province for an audit office, one case for its leader.

    Refuses READINGS_READER, CASE_UNKNOWN, OFFICER_KEY, SIGNATURE_FORM, PAGE_TOKEN.
    """
    case = _verify_inspector(errand, query)
    narrowed = " ".join(word for word in (query.case_id, query.officer) if word)
    await note_reading(errand, step=ReadingKind.READINGS, what=narrowed)

    def wanted(reading: StoredReading) -> bool:
        return query.case_id in (None, reading.case_id) and query.officer in (None, reading.officer)

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


def _verify_inspector(errand: Errand, query: ReadingQuery) -> str:
    """Returns which readings the caller may see: all (empty) for an audit office, one case for its leader."""
    act = signed_by(errand, query.signature or "", case_id=query.case_id or "")
    if act.agency.kind == AUDIT_OFFICE:
        return ""
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
