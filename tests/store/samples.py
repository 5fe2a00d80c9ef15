"""Synthetic leaves, messages, bodies and records for tests of the store, and the tree computed the slow way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import select

from federation.protocol.body import Body
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import MessageId, NodeName, Pair, format_message_id
from federation.store.columns import DataKeys
from federation.store.database import Database, Source
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.store.messages import (
    Direction,
    StoredMessage,
    has_body,
    list_messages,
    load_message,
    pair_state,
    put_body,
    put_message,
    put_outbox,
)
from federation.store.records import Record
from federation.store.tables import MESSAGE

T = TypeVar("T")

KEYS = DataKeys(key_id=1, key=bytes(range(32)), index_key=bytes(range(32, 64)))
NOW = datetime(2126, 11, 23, 8, 0, tzinfo=UTC)
ZHEJIANG, JIANGXI, FUJIAN = NodeName("zhejiang"), NodeName("jiangxi"), NodeName("fujian")
OUT, BACK = Pair(ZHEJIANG, JIANGXI), Pair(JIANGXI, ZHEJIANG)
SECRET_NAME = "欧阳测试人"
SECRET_NUMBER = "330822212603070011"


def digest_of(name: object) -> str:
    """A digest in hex, the same for the same name."""
    return hashlib.sha256(str(name).encode()).hexdigest()


def message_id_of(number: int) -> MessageId:
    """A UUIDv7, the same for the same number."""
    return format_message_id(NOW + timedelta(seconds=number), hashlib.sha256(str(number).encode()).digest()[:10])


def entry_of(name: object) -> bytes:
    """A log entry, the same for the same name."""
    return f'{{"subject":"{digest_of(name)}"}}'.encode()


def append(name: object, kind: str = "sent") -> Callable[[GroupTransaction], int]:
    """A job that appends one leaf."""
    return lambda transaction: transaction.append_leaf(kind, digest_of(name), entry_of(name))


def run(database: Database, job: Callable[[GroupTransaction], T]) -> T:
    """Commits one job and returns what it returned, or raises what it raised."""
    outcome = commit_group(database, [job], now=NOW).outcomes[0]
    if isinstance(outcome, BridgeheadError):
        raise outcome
    return outcome


def grow(database: Database, names: Sequence[object]) -> None:
    """Commits one group of leaves."""
    commit_group(database, [append(name) for name in names], now=NOW)


def message_of(
    number: int, *, seq: int | None = None, leaf_index: int = 0, direction: Direction = "sent", pair: Pair = OUT
) -> StoredMessage:
    """A message, the same for the same arguments."""
    return StoredMessage(
        id=message_id_of(number),
        digest=digest_of(number),
        direction=direction,
        pair=pair,
        seq=number if seq is None else seq,
        kind="permit.sync",
        verdict="allowed",
        leaf_index=leaf_index,
        envelope=f"envelope {number}".encode(),
        reply=None,
        created=NOW + timedelta(milliseconds=number),
    )


def body_of(number: int) -> Body:
    """A body that names the secret person."""
    item = f"{SECRET_NAME} {SECRET_NUMBER} {number}".encode()
    return Body(type="application/json", salt=hashlib.sha256(item).digest(), items=(item, b"second"))


def send(number: int) -> Callable[[GroupTransaction], int]:
    """A job as the sending path does it: number, leaf, message, body and outbox row."""

    def job(transaction: GroupTransaction) -> int:
        seq = transaction.next_seq(OUT)
        index = transaction.append_leaf("sent", digest_of(number), entry_of(number))
        put_message(transaction, message_of(number, seq=seq, leaf_index=index))
        put_body(transaction, message_id_of(number), body_of(number))
        put_outbox(
            transaction, message_id=message_id_of(number), peer=JIANGXI, seq=seq, expires=NOW + timedelta(hours=1)
        )
        return seq

    return job


def record_of(number: int, *, version: int = 1, replica: bool = False, subject: str | None = SECRET_NUMBER) -> Record:
    """A record about the secret person."""
    return Record(
        id=f"urn:bridgehead:permit:zhejiang:{number:06}",
        kind="permit",
        owner=JIANGXI if replica else ZHEJIANG,
        version=version,
        replica=replica,
        status="active",
        division="330822",
        household_division="361123",
        due_date=NOW.date() + timedelta(days=number),
        subject=subject,
        content=f"{SECRET_NAME} {SECRET_NUMBER} version {version}".encode(),
    )


def slow_root(hashes: Sequence[bytes]) -> bytes:
    """The root by the recursive definition of RFC 6962 2.1, sharing no code with the tree under test."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + slow_root(hashes[:split]) + slow_root(hashes[split:])).digest()


def slow_leaf(entry: bytes) -> bytes:
    """A leaf's hash by its definition."""
    return hashlib.sha256(b"\x00" + entry).digest()


def missing_numbers(source: Source, direction: Direction, *, pair: Pair) -> list[int]:
    """The numbers below the highest that are not stored, in order."""
    highest = pair_state(source, direction, pair).highest
    stored = {each.seq for each in list_messages(source, direction, pair=pair, after_seq=0, limit=highest + 1)}
    return [seq for seq in range(1, highest) if seq not in stored]


def list_held(source: Source, kinds: Collection[str]) -> list[StoredMessage]:
    """The messages of those kinds, of either direction, whose body is still here, in the order of their leaves."""
    named = select(MESSAGE.c.direction, MESSAGE.c.id).where(MESSAGE.c.kind.in_(kinds)).order_by(MESSAGE.c.leaf_index)
    with source.reading() as connection:
        found = connection.execute(named).all()
    return [load_message(source, direction, each) for direction, each in found if has_body(source, each)]
