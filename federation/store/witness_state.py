"""The checkpoint that this node cosigned last for each other log, and the proofs that a log was forked.

Rules kept: a state is replaced only by comparison with the one it was decided on, in one durable step, so that two
requests at once can not both be cosigned; it never goes back, and never to another root of the same size; a proof of a
fork is two heads of one size that the log signed, one row for each size and at most 16 for each log: more would prove
nothing more. Trusts: the caller, who verified both heads (`protocol.tlog.witness`).
Source: C2SP tlog-witness (the last cosigned checkpoint must be durable before the answer leaves).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from federation.protocol.errors import ConflictError
from federation.protocol.tlog.witness import WitnessState
from federation.store.columns import from_millis, to_millis
from federation.store.database import Database, Source, StoredRow
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


def advance_witness_state(
    database: Database, origin: str, *, last: WitnessState | None, state: WitnessState, note: bytes
) -> None:
    """Replaces the state `last` that was decided on (None: the first) by the new one; durable when it returns.

    Raises ConflictError: WITNESS_RACE when another request moved it: decide again. WITNESS_BACK when the new state is
    smaller, earlier, or another root of the same size, which no decision may ask for.
    """
    _require_forward(last, state)
    new = {"new_size": state.size, "new_root": state.root, "new_time": to_millis(state.cosign_time), "new_note": note}
    with database.writing() as connection:
        if last is not None:
            old = {"old_size": last.size, "old_root": last.root, "old_time": to_millis(last.cosign_time)}
            moved = connection.execute(_SWAP, {"of_origin": origin, **old, **new}).rowcount == 1
        else:
            row = {"origin": origin, "size": state.size, "root": state.root, "note": note}
            try:
                connection.execute(insert(WITNESS_HEAD), {**row, "time_millis": to_millis(state.cosign_time)})
                moved = True
            except IntegrityError:
                moved = False
        if not moved:
            raise ConflictError("WITNESS_RACE", f"expected the state of {origin} to be as it was read")


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
        with database.writing() as connection:
            kept, same = connection.execute(_KNOWN, {"of_origin": origin, "of_size": size}).one()
            if same or kept >= MAX_FORKS:
                return False
            connection.execute(insert(LOG_FORK), row)
    except IntegrityError:
        return False
    return True


def list_forks(source: Source, origin: str) -> list[Fork]:
    with source.reading() as connection:
        rows = connection.execute(_OF_ORIGIN, {"of_origin": origin})
        return [
            Fork(size=row.size, notes=(row.first_note, row.second_note), time=from_millis(row.time_millis))
            for row in rows
        ]


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
