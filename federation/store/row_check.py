"""The check of the rows: every record against its digest, all that are there against the sums of what must be there.

What the witness remembers, its last heads and the proofs of a fork, and the rows of blobs are held against sums of the
same kind.
Reads one state of the store, beside a node that works on it. Trusts the index key, which makes digests and sums.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.types import NullType

from federation.store.columns import (
    BLOCK,
    COUNTED,
    MARK,
    OF_BLOB,
    OF_VERSION,
    OF_WITNESS,
    SUMS,
    TALLIES,
    TOTAL,
    UNSUMMED,
    DataKeys,
    Mark,
    add,
    digest_row,
    fits_head,
    mark_of,
    mark_plain_row,
    split_tally,
    weigh,
    weigh_counter,
)
from federation.store.database import Database
from federation.store.log_reader import read_head
from federation.store.prepared import StoredRow, spelled
from federation.store.tables import BLOB, COUNTER, LOG_FORK, RECORD, RECORD_VERSION, WITNESS_HEAD

_PAGE: Final = 500
_NEWEST: Final = 8
_NO_SUM: Final = -1
_OF_VERSION: Final = "-version"
# As the database has them: a value of another type is for the check to name, not for a reader to stumble over.
_AS_STORED = {
    table: select(*(type_coerce(column, NullType()).label(column.name) for column in table.c))
    for table in (RECORD, RECORD_VERSION, WITNESS_HEAD, LOG_FORK, BLOB)
}
_PLAIN_TABLES: Final = {OF_WITNESS: (WITNESS_HEAD, LOG_FORK), OF_BLOB: (BLOB,)}
"""The tables whose rows carry no mark of their own, by what sums them."""
_Found = dict[str, tuple[int, int]]  # the weight and the tally of what is there, for each kind and block of leaves


def _begins(prefix: str) -> ColumnElement[bool]:
    return and_(COUNTER.c.name >= prefix, COUNTER.c.name < prefix[:-1] + chr(ord(prefix[-1]) + 1))


_HALF: Final = 30
"""A sum has 60 bits: so many of them are added apart, or the database would overflow."""
_MARKED = select(COUNTER).where(COUNTER.c.name.in_((MARK, TOTAL, COUNTED)))
_TOTAL = select(
    func.sum(COUNTER.c.value.op(">>")(literal_column(str(_HALF)))), func.sum(COUNTER.c.value.op("&")((1 << _HALF) - 1))
).where(_begins(SUMS))
_SUMMED = select(COUNTER).where(not_(or_(*map(_begins, UNSUMMED))))
MOST_COUNTERS: Final = 4096
"""So many counters a start weighs, in about 30 ms of CPU; beyond it they are the whole check's alone."""
_TRUTHS: Final = ("replica", "sealed")


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
        try:
            with spelled(connection):
                yield connection
        finally:
            connection.exec_driver_sql("COMMIT")


def check_records(connection: Connection, keys: DataKeys) -> Iterator[RowFinding]:
    """Every record of a store against its digest, and all of them against the sums."""
    found: _Found = {}
    for row in chain(_each(connection, RECORD), _each(connection, RECORD_VERSION)):
        finding = check_row(keys, row)
        if finding is not None:
            yield finding
        if (mark := mark_of(row)) is not None:
            _count(keys, found, mark)
    _count_plain(connection, keys, found, OF_WITNESS)
    _count_plain(connection, keys, found, OF_BLOB)
    yield from _differing_sums(connection, found)
    yield from check_total(connection, keys)


def check_witnessed(connection: Connection, keys: DataKeys) -> list[RowFinding]:
    """Compares what this node remembers as a witness with its sums."""
    found: _Found = {}
    _count_plain(connection, keys, found, OF_WITNESS)
    return list(_differing_sums(connection, found, f"{OF_WITNESS}/"))


def _count(keys: DataKeys, found: _Found, mark: Mark) -> None:
    weight, tally = found.get(mark.block, (0, 0))
    found[mark.block] = (add(weight, weigh(keys, mark)), tally + mark.tally)


def _count_plain(connection: Connection, keys: DataKeys, found: _Found, of: str) -> None:
    """Counts the rows of blobs page by page, in one state; those of the witness are few, and read in any connection."""
    paged = {"yield_per": _PAGE} if of == OF_BLOB else {}
    for table in _PLAIN_TABLES[of]:
        for row in connection.execute(_AS_STORED[table].execution_options(**paged)).mappings():
            _count(keys, found, mark_plain_row(keys, table, row, of=of))


def _differing_sums(connection: Connection, found: _Found, under: str = "") -> Iterator[RowFinding]:
    sums = _load_counters(connection, SUMS, under)
    differing = [block for block in found.keys() | sums.keys() if found.get(block, (0, 0))[0] != sums.get(block, 0)]
    tallies = _load_counters(connection, TALLIES, under) if differing else {}
    for block in sorted(differing):
        yield _compare(block, found.get(block, (0, 0))[1], tallies.get(block, 0))


def check_total(connection: Connection, keys: DataKeys, *, most: int | None = None) -> Iterator[RowFinding]:
    """Compares the sums and the counters with what was marked beside the newest head of the log.

    Where there are more than `most` counters, these are not compared: each must be weighed under the key.
    """
    marked = {row.name: _value_of(row) for row in connection.execute(_MARKED)}
    head = read_head(connection)[1]
    last = head.size - 1 if head.size else None
    if not fits_head(keys, marked, head):
        yield RowFinding("older", "sums", leaf_index=last)
    high, low = connection.execute(_TOTAL).one()
    if add(int(high or 0) << _HALF, int(low or 0)) != marked.get(TOTAL, 0):
        yield RowFinding("changed", "sums", leaf_index=last)
    counted = count = 0
    for row in connection.execute(_SUMMED.limit(None if most is None else most + 1).execution_options(yield_per=_PAGE)):
        counted, count = add(counted, weigh_counter(keys, row.name, _value_of(row))), count + 1
    if counted != marked.get(COUNTED, 0) and (most is None or count <= most):
        yield RowFinding("changed", "counters", leaf_index=last)


def check_row(keys: DataKeys, row: StoredRow) -> RowFinding | None:
    """A record that is not the one that was written there: changed, or put there by somebody else."""
    kind, name = f"{row['kind']}{'' if 'replica' in row else _OF_VERSION}", str(row["id"])
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
    """The newest records and versions of every kind, as many at a place that nobody can foresee, and the witness's."""
    found = [*check_witnessed(connection, keys), *check_total(connection, keys, most=MOST_COUNTERS)]
    for table, which in (
        *((RECORD, RECORD.c.replica == replica) for replica in (False, True)),
        (RECORD_VERSION, true()),
    ):
        kind, seen = "", {""}
        while (kind := _next_kind(connection, table, which, kind)) not in seen:  # once, whatever is written there
            seen.add(kind)
            of_kind = _AS_STORED[table].where(which, table.c.kind == kind)
            place = random.choice("0123456789abcdefjz")  # noqa: S311 - a sample, no secret
            for statement in (
                of_kind.order_by(table.c.id.desc()),
                of_kind.where(table.c.id > place).order_by(table.c.id),
            ):
                rows = connection.execute(statement.limit(_NEWEST)).mappings().all()
                found += [one for one in (check_row(keys, _with_truths(row)) for row in rows) if one is not None]
    return list(dict.fromkeys(found))


def _each(connection: Connection, table: Table) -> Iterator[StoredRow]:
    statement = _AS_STORED[table].order_by(*table.primary_key).execution_options(yield_per=_PAGE)
    return map(_with_truths, connection.execute(statement).mappings())


def _with_truths(row: StoredRow) -> StoredRow:
    return {**row, **{name: bool(row[name]) for name in _TRUTHS if row.get(name) in (0, 1)}}


def _next_kind(connection: Connection, table: Table, which: ColumnElement[bool], after: str) -> str:
    statement = select(table.c.kind).where(which, table.c.kind > after)
    return connection.execute(statement.order_by(table.c.kind).limit(1)).scalar() or ""


def _load_counters(connection: Connection, prefix: str, under: str = "") -> dict[str, int]:
    """The counters under a prefix, without it; a value that is no number as one that no sum has."""
    found = connection.execute(_counters_under(prefix + under))
    return {row.name.removeprefix(prefix): _value_of(row) for row in found}


@cache
def _counters_under(prefix: str) -> Select[Any]:
    return select(COUNTER).where(_begins(prefix))


def _value_of(row: Row[Any]) -> int:
    return row.value if isinstance(row.value, int) else _NO_SUM


def _compare(block: str, there: int, expected: int) -> RowFinding:
    """The finding where the sums of a kind and a block of leaves differ."""
    of, _, place = block.partition("/")
    kind, _, number = place.rpartition("/")
    kind += _OF_VERSION if of == OF_VERSION else ""
    if not number.isdecimal():
        return RowFinding("extra", "counter", block)
    (count, places), (due, all_places) = split_tally(there), split_tally(expected)
    first = int(number) * BLOCK
    missing = due - count
    one = first + all_places - places if missing == 1 else first - all_places + places if missing == -1 else first
    leaf = first if missing == 0 else one
    what = "changed" if missing == 0 else "missing" if missing > 0 else "extra"
    return RowFinding(what, kind, leaf_index=None if of in _PLAIN_TABLES else leaf, count=abs(missing) or due)
