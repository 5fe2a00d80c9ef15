"""The check of the rows: every record against its digest, all that are there against the sums of what must be there.

Reads one state of the store, beside a node that works on it. Trusts the index key, which makes digests and sums.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select, type_coerce, update
from sqlalchemy.types import NullType

from federation.store.columns import (
    BLOCK,
    MARK,
    SUMS,
    TALLIES,
    TOTAL,
    DataKeys,
    Mark,
    add,
    digest_row,
    mark_head,
    mark_of,
    note_rows,
    split_tally,
    weigh,
)
from federation.store.database import Database, StoredRow
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import read_head
from federation.store.tables import COUNTER, RECORD

_PAGE: Final = 500
_NEWEST: Final = 8
_NO_SUM: Final = -1
_ADOPTED: Final = "rows-adopted"
_KEY = (RECORD.c.replica, RECORD.c.kind, RECORD.c.id)
# As the database has them: a value of another type is for the check to name, not for a reader to stumble over.
_AS_STORED = tuple(type_coerce(column, NullType()).label(column.name) for column in RECORD.c)
_TRUTHS: Final = ("replica", "sealed")
_COUNTERS = select(COUNTER).where(COUNTER.c.name >= bindparam("low"), COUNTER.c.name < bindparam("high"))
_UNMARKED = select(RECORD).where(RECORD.c.digest.is_(None)).limit(_PAGE)
_ADOPT = (
    update(RECORD)
    .where(*(column == bindparam(f"at{i}") for i, column in enumerate(_KEY)))
    .values(leaf_index=bindparam("new_leaf"), digest=bindparam("new_digest"))
)


@dataclass(frozen=True, slots=True)
class RowFinding:
    """One thing that the rows and what binds them do not agree on; `leaf_index` is None where it is not known.

    `what`: changed, extra, missing, or older (the sums themselves were set back). `name` is the record's id; of rows
    that are missing it is empty, and `count` says how many of that kind and those leaves there are.
    """

    what: str
    kind: str
    name: str = ""
    leaf_index: int | None = None
    count: int = 1


@contextmanager
def one_state(database: Database) -> Iterator[Connection]:
    """A connection on which everything that is read belongs to one moment, bytes that are no text spelled out."""
    with database.reading() as connection:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ" if database.is_postgresql else "BEGIN")
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.text_factory = _spell
        try:
            yield connection
        finally:
            connection.exec_driver_sql("COMMIT")
            if isinstance(driver, sqlite3.Connection):
                driver.text_factory = str


def _spell(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def check_records(connection: Connection, keys: DataKeys) -> Iterator[RowFinding]:
    """Every record of a store against its digest, and all of them against the sums."""
    found: dict[str, tuple[int, int]] = {}
    total = 0
    for row in _each(connection):
        finding = check_row(keys, row)
        if finding is not None:
            yield finding
        if (mark := mark_of(row)) is not None:
            weight, (before, tally) = weigh(keys, mark), found.get(mark.block, (0, 0))
            found[mark.block], total = (add(before, weight), tally + mark.tally), add(total, weight)
    sums, tallies = _load_counters(connection, SUMS), _load_counters(connection, TALLIES)
    for block in sorted(found.keys() | sums.keys()):
        weight, tally = found.get(block, (0, 0))
        if weight != sums.get(block, 0):
            yield _compare(block, tally, tallies.get(block, 0))
    yield from check_total(connection, keys)


def check_total(connection: Connection, keys: DataKeys) -> Iterator[RowFinding]:
    """Compares the sums with what was marked beside the newest head of the log."""
    counters = _load_counters(connection, "rows-")
    head = read_head(connection)[1]
    marked = counters.get(MARK, 0)
    if head.size and marked != mark_head(keys, counters.get(TOTAL, 0), head):
        yield RowFinding("older", "sums", leaf_index=head.size - 1)


def check_row(keys: DataKeys, row: StoredRow) -> RowFinding | None:
    """A record that is not the one that was written there: changed, or put there by somebody else."""
    kind, name = str(row["kind"]), str(row["id"])
    if row["digest"] is None or row["leaf_index"] is None:
        return RowFinding("extra", kind, name)
    mark = mark_of(row)
    try:
        if mark is not None and digest_row(keys, row) == mark.digest:
            return None
    except (TypeError, ValueError):  # a value of a type that no writer of ours gives its column
        pass
    return RowFinding("changed", kind, name, None if mark is None else mark.leaf_index)


def check_sample(connection: Connection, keys: DataKeys) -> list[RowFinding]:
    """The newest records of every kind, and as many at a place that nobody can foresee."""
    found: list[RowFinding] = list(check_total(connection, keys))
    for replica in (False, True):
        kind = ""
        seen = {kind}
        while (kind := _next_kind(connection, kind, replica=replica)) not in seen:  # once, whatever is written there
            seen.add(kind)
            of_kind = select(*_AS_STORED).where(RECORD.c.replica == replica, RECORD.c.kind == kind)
            place = random.choice("0123456789abcdefjz")  # noqa: S311 - a sample, no secret
            for statement in (
                of_kind.order_by(RECORD.c.id.desc()),
                of_kind.where(RECORD.c.id > place).order_by(RECORD.c.id),
            ):
                rows = connection.execute(statement.limit(_NEWEST)).mappings().all()
                found += [one for one in (check_row(keys, _with_truths(row)) for row in rows) if one is not None]
    return list(dict.fromkeys(found))


def adopt_rows(transaction: GroupTransaction) -> int:
    """Marks rows of an earlier version, so many at once; returns how many. When none is left, none ever is again."""
    if transaction.find_counter(_ADOPTED):
        return 0
    with transaction.reading() as connection:
        rows = connection.execute(_UNMARKED).mappings().all()
    if not rows:
        transaction.set_counter(_ADOPTED, 1)
        return 0
    leaf = max(0, transaction.size - 1)
    marked = [dict(row, leaf_index=leaf) for row in rows]
    added: list[Mark] = []
    changes = []
    for row in marked:
        digest = digest_row(transaction.keys, row)
        added.append(Mark(bool(row["replica"]), row["kind"], leaf, digest))
        named = {f"at{i}": row[column.name] for i, column in enumerate(_KEY)}
        key = tuple(row[column.name] for column in _KEY)
        changes.append((key, {**named, "new_leaf": leaf, "new_digest": digest}))
    note_rows(transaction, added=added, removed=[])
    transaction.change_rows(_ADOPT, RECORD, changes)
    return len(rows)


def _each(connection: Connection) -> Iterator[StoredRow]:
    rows = connection.execute(select(*_AS_STORED).order_by(*_KEY).execution_options(yield_per=_PAGE))
    return map(_with_truths, rows.mappings())


def _with_truths(row: StoredRow) -> StoredRow:
    return {**row, **{name: bool(row[name]) for name in _TRUTHS if row[name] in (0, 1)}}


def _next_kind(connection: Connection, after: str, *, replica: bool) -> str:
    statement = select(RECORD.c.kind).where(RECORD.c.replica == replica, RECORD.c.kind > after)
    return connection.execute(statement.order_by(RECORD.c.kind).limit(1)).scalar() or ""


def _load_counters(connection: Connection, prefix: str) -> dict[str, int]:
    """The counters under a prefix; a value that is no number as one that no sum has."""
    names = {"low": prefix, "high": prefix[:-1] + chr(ord(prefix[-1]) + 1)}
    return {
        row.name.removeprefix(prefix) if prefix.endswith("/") else row.name: (
            row.value if isinstance(row.value, int) else _NO_SUM
        )
        for row in connection.execute(_COUNTERS, names)
    }


def _compare(block: str, there: int, expected: int) -> RowFinding:
    """The finding where the sums of a kind and a block of leaves differ."""
    kind, _, number = block.partition("/")[2].rpartition("/")
    if not number.isdecimal():
        return RowFinding("extra", "counter", block)
    (count, places), (due, all_places) = split_tally(there), split_tally(expected)
    first = int(number) * BLOCK
    missing = due - count
    one = first + all_places - places if missing == 1 else first - all_places + places if missing == -1 else first
    if missing == 0:
        return RowFinding("changed", kind, leaf_index=first, count=due)
    return RowFinding("missing" if missing > 0 else "extra", kind, leaf_index=one, count=abs(missing))
