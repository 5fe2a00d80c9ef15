"""The lines of who read what, in two orders: of the whole province by time, and of each case by time.

A line is written in the transaction of its reading, sealed; a list reads a range of ids and no history.
Source: misuse control M12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from federation.domain.oversight import (
    AUDIT_OFFICE,
    KeptReading,
    decode_reading,
    encode_reading,
    readings_bytes,
)
from federation.node.lookups.watch.leaders import own_case
from federation.node.node import Node
from federation.node.officers import LeaderAct, verify_own_key
from federation.protocol.errors import RuleError
from federation.protocol.ids import NodeName, format_time
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, ids_under, list_range, put_records

READ_AT, READ_IN = "reading-at", "reading-in"
_PAGE: Final = 500


def put_reading_line(transaction: GroupTransaction, reading: KeptReading, *, name: str, owner: NodeName) -> None:
    """Writes the line of a reading, once under its name; of released fields, one of their case too."""
    place = f"{format_time(reading.time)}/{name}"
    lines = [_line(READ_AT, place, reading, content=encode_reading(reading), owner=owner)]
    if reading.case_id:
        lines.append(_line(READ_IN, f"{_case_prefix(reading)}{place}", reading, content=b"", owner=owner))
    put_records(transaction, lines)


def list_reading_lines(
    source: Source, *, case: str, before: str, limit: int, wanted: Callable[[KeptReading], bool]
) -> Sequence[tuple[str, KeptReading]]:
    """The readings of the province or of one case (`<agency>/<case>/`), newest first, each with its place.

    `before` is the place behind which the page begins, empty for the first.
    """
    kind = READ_IN if case else READ_AT
    ids = ids_under(case, newest_first=True, before=before)
    lines: list[tuple[str, KeptReading]] = []
    while len(lines) < limit and (found := list_range(source, kind, ids, limit=_PAGE, replica=True)):
        for record in found:
            place = record.id.removeprefix(case)
            line = record if kind == READ_AT else find_record(source, READ_AT, place, replica=True)
            reading = decode_reading(line.content) if line is not None else None
            if reading is not None and wanted(reading):
                lines.append((place, reading))
        ids = replace(ids, before=found[-1].id)
    return lines[:limit]


def verify_inspector(node: Node, act: LeaderAct) -> str:
    """Returns which readings the one who acts may see: all of the province (empty), or those of one case.

    An audit office sees every one; in a police office the leader of the named case sees those in it, signing for it.

    Raises:
        RuleError: READINGS_READER. NotFoundError: CASE_UNKNOWN.
        UntrustedError: OFFICER_KEY; MalformedError: SIGNATURE_FORM.
    """
    if act.agency.kind == AUDIT_OFFICE:
        return ""
    if not act.case_id or own_case(node, act).leader != act.leader:
        raise RuleError("READINGS_READER", "expected an audit office, or the leader of the named case (--case)")
    verify_own_key(node.database, act, readings_bytes(act.agency, act.case_id, reader=act.leader))
    return f"{act.agency}/{act.case_id}/"


def _case_prefix(reading: KeptReading) -> str:
    return f"{reading.agency}/{reading.case_id}/"


def _line(kind: str, key: str, reading: KeptReading, *, content: bytes, owner: NodeName) -> Record:
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
