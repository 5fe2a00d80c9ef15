"""Readings of released fields: each is recorded, shown under a watermark, and found again by its code.

Rules kept: the record is durable before a field is shown; the code is an HMAC of this node's own key over the reading,
so that it is looked up and computed again when it is traced; a record holds no value of a field.
Source: misuse controls M9 and M12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.erasure import Watermark, format_code, parse_code, reading_text
from federation.domain.oversight import KeptReading, ReadingKind
from federation.node.exchange.errand import Errand
from federation.node.log.decisions import Questions, decision_records
from federation.node.oversight.readings import put_reading_line
from federation.protocol.canonical_json import JsonValue, decode_canonical, encode_canonical, read_text
from federation.protocol.errors import CorruptError, NotFoundError
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    format_time,
    parse_agency_id,
    parse_node_name,
    parse_time,
    truncate_to_millisecond,
)
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.protocol.policy import PolicyRequest
from federation.store.crypto_column import DataKeys, blind_index
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_record, put_records
from federation.wire.values import Ruling

READING: Final = "lookup-reading"
_CODE_COLUMN: Final = "lookup-reading.code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Who read which fields of what was released, and when; `request` is the digest of the fetch."""

    agency: AgencyId
    officer: str
    time: datetime
    lookup_id: str
    case_id: str
    node: NodeName
    request: str
    fields: frozenset[str]


def begin_reading(
    errand: Errand, *, request: str, lookup_id: str, case_id: str, node: NodeName, fields: Iterable[str]
) -> Reading:
    """The reading that the errand's officer does now, of what came of one fetch (`request`, its digest)."""
    return Reading(
        agency=errand.caller,
        officer=errand.act.officer,
        time=truncate_to_millisecond(errand.node.now()),
        lookup_id=lookup_id,
        case_id=case_id,
        node=node,
        request=request,
        fields=frozenset(fields),
    )


def reading_digest(reading: Reading) -> str:
    """The digest (hex) of a reading, the subject of its leaf: it says nothing to who does not know all of it."""
    return hashlib.sha256(_text(reading).encode()).hexdigest()


def mark_reading(keys: DataKeys, reading: Reading) -> Watermark:
    """The watermark of a reading; the same reading has the same."""
    code = format_code(blind_index(keys, _CODE_COLUMN, _text(reading)))
    return Watermark(agency=reading.agency, officer=reading.officer, time=reading.time, code=code)


def put_reading(transaction: GroupTransaction, reading: Reading, *, owner: NodeName) -> Watermark:
    """Records a reading and returns what stands over it; kept as replicas are, since it never has a second version."""
    mark = mark_reading(transaction.keys, reading)
    fields: dict[str, JsonValue] = {
        "agency": str(reading.agency),
        "officer": reading.officer,
        "time": format_time(reading.time),
        "lookup_id": reading.lookup_id,
        "case_id": reading.case_id,
        "node": reading.node,
        "request": reading.request,
        "fields": sorted(reading.fields),
    }
    record = Record(
        id=mark.code,
        kind=READING,
        owner=owner,
        version=1,
        replica=True,
        status="read",
        division=reading.agency.county,
        due_date=reading.time.date(),
        content=encode_canonical(fields),
    )
    put_records(transaction, [record])
    put_reading_line(transaction, _line_of(reading), name=mark.code, owner=owner)
    return mark


async def log_reading(errand: Errand, reading: Reading, *, ruling: Ruling, asked: Sequence[PolicyRequest]) -> Watermark:
    """Records a reading with its leaf, and what policy was asked about it; durable when this returns the watermark."""
    node, agreement = errand.node, errand.in_force.agreement
    leaf = Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=LeafKind.READING,
        subject=reading_digest(reading),
        policies=ruling.policies,
        agreement_version=agreement.version,
        time=reading.time,
    )
    decisions = decision_records(leaf, Questions(deciding=asked), book=errand.in_force.policies, owner=node.name)

    def record(transaction: GroupTransaction) -> Watermark:
        transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
        put_records(transaction, decisions)
        return put_reading(transaction, reading, owner=node.name)

    return (await node.sequencer.commit(record)).value


def load_reading(source: Source, code: str) -> tuple[Reading, Watermark]:
    """The reading that a code stands for, as it was read off a photo.

    Raises:
        MalformedError: WATERMARK_CODE for another form.
        NotFoundError: READING_UNKNOWN when this node made no such code.
        CorruptError: READING_CODE when the record does not give the code under which it lies.
    """
    wanted = parse_code(code)
    record = find_record(source, READING, wanted, replica=True)
    if record is None:
        raise NotFoundError("READING_UNKNOWN", f"this node showed nothing under the code {wanted}")
    reading = _read(record.content)
    mark = mark_reading(source.keys, reading)
    if mark.code != wanted:
        raise CorruptError("READING_CODE", f"the reading kept under {wanted} is another one")
    return reading, mark


def _line_of(reading: Reading) -> KeptReading:
    return KeptReading(
        time=reading.time,
        agency=reading.agency,
        officer=reading.officer,
        kind=ReadingKind.RELEASED,
        lookup_id=reading.lookup_id,
        case_id=reading.case_id,
        node=reading.node,
        fields=reading.fields,
    )


def _text(reading: Reading) -> str:
    return reading_text(
        agency=reading.agency, officer=reading.officer, time=reading.time, request_digest=reading.request
    )


def _read(content: bytes) -> Reading:
    value = decode_canonical(content, what=READING)
    names = value["fields"]
    return Reading(
        agency=parse_agency_id(read_text(value, "agency", what=READING)),
        officer=read_text(value, "officer", what=READING),
        time=parse_time(read_text(value, "time", what=READING)),
        lookup_id=read_text(value, "lookup_id", what=READING),
        case_id=read_text(value, "case_id", what=READING),
        node=parse_node_name(read_text(value, "node", what=READING)),
        request=read_text(value, "request", what=READING),
        fields=frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset(),
    )
