"""Nodes that write entries of one record, well or badly, for the tests of joint records."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from federation.domain.joint import Entry, Head, read_entry
from federation.domain.joint_record import Place, Record
from federation.protocol.form import encode
from federation.protocol.ids import NodeName, RecordId, parse_agency_id

RECORD = RecordId("zhejiang/0193587f-0a00-7000-8000-000000000000")
AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
COUNTIES = {"zhejiang": "330822", "jiangxi": "361123", "fujian": "350702", "anhui": "341003"}
NODES = tuple(map(NodeName, COUNTIES))
ZHEJIANG, JIANGXI, FUJIAN, ANHUI = NODES


def write(author: NodeName, place: Place, *, act: str = "note", salt: str = "", **fields) -> Entry:
    """An entry of a node at a place, named by its bytes and a salt."""
    county = COUNTIES.get(author, "330822")
    head = Head(
        record=RECORD, n=place.n, parents=place.parents, height=place.height, at=AT,
        agency=parse_agency_id(f"{author}/{county}/court"), officer="o-1", act=act, fields=fields, items=(),
    )  # fmt: skip
    name = sha256(encode(head) + salt.encode()).hexdigest()
    return read_entry(encode(head), name=name, author=author)


def place(n: int, *parents: Entry) -> Place:
    """Where an entry stands that cites those parents."""
    height = max((parent.head.height + 1 for parent in parents), default=0)
    return Place(n=n, parents=frozenset(parent.name for parent in parents), height=height)


def act(record: Record, author: NodeName, **written) -> Entry:
    """The next entry of a node that holds a record, added to it."""
    entry = write(author, record.place_for(author), **written)
    record.add(entry)
    return entry


def seen(record: Record) -> tuple:
    """All that a record says of its entries."""
    order = tuple(entry.name for entry in record.order)
    pending = tuple((found.entry.name, found.names) for found in record.pending)
    return order, dict(record.barred), pending, record.gaps, record.findings
