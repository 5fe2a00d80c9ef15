"""The checkpoint that this node cosigned last for each other log, and the proofs that a log was forked.

Rules kept: a state is replaced only by comparison with the one it was decided on, in one durable step, so that two
requests at once can not both be cosigned; it never goes back, and never to another root of the same size; a proof of a
fork is two heads of one size that the log signed, one row for each size and at most 16 for each log: more would prove
nothing more. Rows are summed and marked like records (`columns`), in their own transaction; where they are not those
that were written, nothing is cosigned. Trusts: the caller, who verified both heads (`protocol.tlog.witness`).
Source: C2SP tlog-witness (the last cosigned checkpoint must be durable before the answer leaves).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, Table, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from federation.protocol.errors import ConflictError, CorruptError
from federation.protocol.tlog.witness import WitnessState
from federation.store.columns import OF_WITNESS, DataKeys, Mark, from_millis, mark_plain_row, to_millis
from federation.store.database import Database, Source
from federation.store.exchange_log import note_apart
from federation.store.log_reader import read_head
from federation.store.prepared import StoredRow, change_rows, read_row, read_rows
from federation.store.row_check import check_witnessed
from federation.store.tables import LOG_FORK, WITNESS_HEAD

_SWAP = (
    update(WITNESS_HEAD)
    .where(
        WITNESS_HEAD.c.origin == bindparam("of_origin"),
        WITNESS_HEAD.c.size == bindparam("old_size"),
        WITNESS_HEAD.c.root == bindparam("old_root"),
        WITNESS_HEAD.c.time_millis == bindparam("old_time"),
    )
    .values(
        size=bindparam("new_size"),
        root=bindparam("new_root"),
        time_millis=bindparam("new_time"),
        note=bindparam("new_note"),
    )
)
_OF_ORIGIN = select(LOG_FORK).where(LOG_FORK.c.origin == bindparam("of_origin")).order_by(LOG_FORK.c.size)
_KNOWN = select(func.count(), func.count().filter(LOG_FORK.c.size == bindparam("of_size"))).where(
    LOG_FORK.c.origin == bindparam("of_origin")
)
MAX_FORKS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedHead(WitnessState):
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Two checkpoints of one size with different roots, each with the log's own line: a log signed two histories."""

    size: int
    notes: tuple[bytes, bytes]
    time: datetime


def find_witness_state(source: Source, origin: str, *, origin_hash: str | None = None) -> CosignedHead | None:
    """Returns the head cosigned last for an origin; None without one, or when the origin's SHA-256 (hex) is another."""
    if origin_hash is not None and sha256(origin.encode()).hexdigest() != origin_hash:
        return None
    row = source.find_row(WITNESS_HEAD, origin)
    return None if row is None else _from_row(row)


def require_witness_rows(database: Database) -> None:
    """Refuses CorruptError WITNESS_ROWS: what this node remembers as a witness is not what it wrote."""
    with database.reading() as connection:
        _require_own(connection, database.keys)


def _require_own(connection: Connection, keys: DataKeys) -> None:
    if found := check_witnessed(connection, keys):
        raise CorruptError(
            "WITNESS_ROWS", f"rows of this witness are not those that it wrote ({found[0].kind} {found[0].what})"
        )


def _mark(keys: DataKeys, table: Table, row: StoredRow) -> Mark:
    return mark_plain_row(keys, table, row, of=OF_WITNESS)


def advance_witness_state(
    database: Database, origin: str, *, last: WitnessState | None, state: WitnessState, note: bytes
) -> None:
    """Replaces the state `last` that was decided on (None: the first) by the new one; durable when it returns.

    Raises ConflictError: WITNESS_RACE when another request moved it: decide again. WITNESS_BACK when the new state is
    smaller, earlier, or another root of the same size, which no decision may ask for. CorruptError WITNESS_ROWS when
    somebody else changed what this node remembers as a witness: it may have cosigned more than it knows.
    """
    _require_forward(last, state)
    moment = to_millis(state.cosign_time)
    row = {"origin": origin, "size": state.size, "root": state.root, "time_millis": moment, "note": note}
    with _locking(database) as connection:
        _require_own(connection, database.keys)
        before = read_row(connection, WITNESS_HEAD, (origin,))
        if last is not None:
            old = {"old_size": last.size, "old_root": last.root, "old_time": to_millis(last.cosign_time)}
            new = {f"new_{name.removesuffix('_millis')}": value for name, value in row.items()}
            moved = change_rows(connection, _SWAP, [{"of_origin": origin, **old, **new}]) == 1
        else:
            try:
                connection.execute(insert(WITNESS_HEAD), row)
                moved = True
            except IntegrityError:
                moved = False
        if not moved:
            raise ConflictError("WITNESS_RACE", f"expected the state of {origin} to be as it was read")
        removed = [] if before is None else [_mark(database.keys, WITNESS_HEAD, before)]
        note_apart(connection, database.keys, added=[_mark(database.keys, WITNESS_HEAD, row)], removed=removed)


def keep_fork(database: Database, origin: str, *, size: int, notes: tuple[bytes, bytes], now: datetime) -> bool:
    """Keeps two heads of one size; False when that size, or enough of them, is kept already."""
    row = {
        "origin": origin,
        "size": size,
        "first_note": notes[0],
        "second_note": notes[1],
        "time_millis": to_millis(now),
    }
    try:
        with _locking(database) as connection:
            kept, same = connection.execute(_KNOWN, {"of_origin": origin, "of_size": size}).one()
            if same or kept >= MAX_FORKS:
                return False
            connection.execute(insert(LOG_FORK), row)
            note_apart(connection, database.keys, added=[_mark(database.keys, LOG_FORK, row)])
    except IntegrityError:
        return False
    return True


def list_forks(source: Source, origin: str) -> list[Fork]:
    with source.reading() as connection:
        rows = read_rows(connection, _OF_ORIGIN, {"of_origin": origin})
    return [
        Fork(size=row["size"], notes=(row["first_note"], row["second_note"]), time=from_millis(row["time_millis"]))
        for row in rows
    ]


@contextmanager
def _locking(database: Database) -> Iterator[Connection]:
    """A transaction that no group of the log runs beside, so that both leave one mark."""
    with database.writing() as connection:
        read_head(connection, lock=database.is_postgresql)
        yield connection


def _require_forward(last: WitnessState | None, state: WitnessState) -> None:
    if last is None:
        return
    forked = state.size == last.size and state.root != last.root
    if state.size < last.size or forked or state.cosign_time < last.cosign_time:
        raise ConflictError("WITNESS_BACK", f"expected a state after size {last.size}, got size {state.size}")


def _from_row(row: StoredRow) -> CosignedHead:
    return CosignedHead(
        size=row["size"], root=row["root"], cosign_time=from_millis(row["time_millis"]), note=row["note"]
    )
