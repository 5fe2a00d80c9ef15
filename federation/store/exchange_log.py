"""The exchange log's one write door: a group of jobs, their rows and their leaves, in one transaction.

Rules kept: the head row is the lock, on SQLite with the whole database (`BEGIN IMMEDIATE`); what a process remembers
of the tree is used only when the row's epoch says that nobody wrote since; the record of what will be signed is
written with the leaves it covers; a leaf is appended once for each (kind, subject). A group runs without looking
before it writes and lets the unique constraints object; only then it is run again looking first, and who still fails
fails alone. A job sees its own writes: rows are gathered and written in bulk, new ones before changes, before the
first read that could miss them; counters and the growing tree are copies until the group is committed. Trusts: jobs to
be functions of their transaction, since they may run more than once. Source: DESIGN section 3 (sequencing).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Generic, TypeVar

from sqlalchemy import Connection, Table, bindparam, or_, select, text, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from federation.protocol.errors import BridgeheadError, ConflictError, CorruptError, MalformedError
from federation.protocol.ids import Pair
from federation.protocol.tlog.tiles import MAX_ENTRY_BYTES
from federation.store.columns import (
    COUNTED,
    KEY_FILE,
    MARK,
    TOTAL,
    BodyKey,
    BodyKeys,
    DataKeys,
    Mark,
    add,
    change_sums,
    fits_head,
    is_summed,
    mark_head,
    to_millis,
    weigh_counter,
)
from federation.store.database import Database, GrowingTree, Head
from federation.store.log_reader import encode_subject, load_head, load_tree, read_head, read_leaf
from federation.store.prepared import (
    Change,
    NewRow,
    RowKey,
    StoredRow,
    change_rows,
    insert_rows,
    read_row,
    read_rows,
    read_value,
)
from federation.store.tables import COUNTER, DEAD_BODY_KEY, LOG_CHECKPOINT, LOG_HEAD, LOG_LEAF, LOG_TILE

_MAX_COUNTERS = 4096
_COUNTER = select(COUNTER.c.value).where(COUNTER.c.name == bindparam("name"))
_SUMS = select(COUNTER.c.name, COUNTER.c.value).where(or_(*(COUNTER.c.name == name for name in (MARK, TOTAL, COUNTED))))
_SET_COUNTER = update(COUNTER).where(COUNTER.c.name == bindparam("at")).values(value=bindparam("to"))
_PUT_COUNTER = text(
    "INSERT INTO counter (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_ADD_DEAD_KEY = DEAD_BODY_KEY.insert()
_SET_HEAD = (
    update(LOG_HEAD)
    .where(LOG_HEAD.c.id == 1, LOG_HEAD.c.epoch == bindparam("expected"))
    .values(epoch=bindparam("next"), size=bindparam("new_size"), root=bindparam("new_root"), edge=bindparam("new_edge"))
)


class GroupTransaction:
    """The transaction of one job: reads that see its own writes, and the only way to write.

    Rows are gathered and written in bulk, before the first read that could miss them and at the end. With `careful`,
    what must be unique is looked up before it is written, so that the job at fault gets a `ConflictError`.
    Belongs to one thread, and to nobody once the group is committed.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        keys: DataKeys,
        body_keys: BodyKeys,
        tree: GrowingTree,
        counters: Mapping[str, int],
    ) -> None:
        self.keys = keys
        self.body_keys = body_keys
        self.taken_keys: list[BodyKey] = []
        self.careful = False
        self._connection = connection
        self._tree = tree
        self._first = tree.size
        self._leaves: dict[tuple[str, bytes], int] = {}
        self._entries: list[bytes] = []
        self._rows: dict[Table, dict[RowKey, NewRow]] = {}
        self._changes: dict[Change, list[NewRow]] = {}
        self._changed: dict[Table, set[RowKey]] = {}
        self._claims: set[tuple[str | int, ...]] = set()
        self._counters = dict(counters)
        self._new_counters: set[str] = set()
        self._changed_counters: dict[str, int] = {}
        self._written_leaves = 0
        self.is_marked = True
        self.is_changed = False
        self.has_erased = False
        self.message_id: str | None = None

    @property
    def size(self) -> int:
        return self._tree.size

    @property
    def entries(self) -> Sequence[bytes]:
        return self._entries

    def append_leaf(self, kind: str, subject: str, entry: bytes) -> int:
        """Appends a leaf, once for each (kind, subject): a repeat returns the stored index, whatever its entry says.

        Raises MalformedError LEAF_SUBJECT, ENTRY_SIZE.
        """
        name = (kind, encode_subject(subject))
        if not 0 < len(entry) <= MAX_ENTRY_BYTES:
            raise MalformedError("ENTRY_SIZE", f"expected an entry of 1 to {MAX_ENTRY_BYTES} bytes, got {len(entry)}")
        index = self._leaves.get(name)
        if index is None and self.careful:
            index = read_leaf(self._connection, *name)
        if index is None:
            index = self._leaves[name] = self._tree.append(entry)
            self._entries.append(entry)
            self.is_changed = True
        return index

    def next_seq(self, pair: Pair) -> int:
        """Takes the next number of an ordered pair: 1, 2, 3 ... without a gap, for the sender's side."""
        return self.count_up(f"seq/{pair}")

    def count_up(self, name: str) -> int:
        """Adds one to a named counter and returns it; the first is 1. A group that fails gives its numbers back."""
        value = self.find_counter(name) + 1
        self.set_counter(name, value)
        return value

    def find_counter(self, name: str) -> int:
        """The value of a named counter, 0 when it was never set."""
        value = self._counters.get(name)
        if value is None:
            value = read_value(self._connection, _COUNTER, {"name": name})
            if value is None:
                self._new_counters.add(name)
                value = 0
            self._counters[name] = value
        return value

    def set_counter(self, name: str, value: int) -> None:
        """Sets a named counter that `find_counter` has read."""
        self._changed_counters.setdefault(name, self._counters[name])
        self._counters[name] = value
        self.is_changed = True

    def take_body_key(self) -> BodyKey:
        """A key for one body; the first names the file of the keys for good (BODY_KEYS_OTHER)."""
        named = self.find_counter(KEY_FILE)
        self.body_keys.require_named(named)
        if not named:
            self.set_counter(KEY_FILE, self.body_keys.number)
        self.taken_keys.append(self.body_keys.take())
        return self.taken_keys[-1]

    def note_erased(self, *dead_keys: int) -> None:
        """Has what was deleted brought off the disk after the transaction, and these keys of bodies destroyed.

        Raises CorruptError BODY_KEYS_OTHER: no other file's keys would be.
        """
        if dead_keys:
            self.body_keys.require_named(self.find_counter(KEY_FILE))
            rows = [((key_id,), {"key_id": key_id}) for key_id in dead_keys]
            self.change_rows(_ADD_DEAD_KEY, DEAD_BODY_KEY, rows)
        self.is_changed = self.has_erased = True

    @contextmanager
    def carrying(self, message_id: str | None) -> Iterator[None]:
        """Marks the records that are written meanwhile as what that message leaves: they die with it. None: our own."""
        before, self.message_id = self.message_id, message_id
        try:
            yield
        finally:
            self.message_id = before

    def claim(self, *name: str | int) -> None:
        """Marks something unique as used by this transaction. Raises ConflictError ROW_CLAIMED."""
        if name in self._claims:
            raise ConflictError("ROW_CLAIMED", "expected a name that no other job of the group uses")
        self._claims.add(name)

    def insert_row(self, table: Table, key: RowKey, row: NewRow) -> None:
        """Adds a new row, named by its primary key. Raises ConflictError: ROW_CLAIMED as in `claim`."""
        rows = self._rows.setdefault(table, {})
        if key in rows:
            raise ConflictError("ROW_CLAIMED", "expected a row that no other job of the group writes")
        rows[key] = row
        self.is_changed = True

    def change_rows(self, statement: Change, table: Table, changes: Sequence[tuple[RowKey, NewRow]]) -> None:
        """Adds one execution of a prepared statement for each row's key and parameters, after all new rows."""
        self._changes.setdefault(statement, []).extend(parameters for _, parameters in changes)
        self._changed.setdefault(table, set()).update(key for key, _ in changes)
        self.is_changed = True

    def find_row(self, table: Table, *key: str | int | bool) -> StoredRow | None:
        """The row with that primary key as this transaction sees it."""
        if key in self._changed.get(table, ()):
            self._flush()
        row = self._rows.get(table, {}).get(key)
        return row if row is not None else read_row(self._connection, table, key)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection, with all that was gathered written."""
        self._flush()
        yield self._connection

    @contextmanager
    def reading_rows(self, table: Table, named: Callable[[RowKey], bool]) -> Iterator[Connection]:
        """The connection; what was gathered is written first if it has a row of that table with such a primary key."""
        if any(named(key) for key in chain(self._rows.get(table, ()), self._changed.get(table, ()))):
            self._flush()
        yield self._connection

    def gathered_rows(self, table: Table, named: Callable[[RowKey], bool]) -> Sequence[StoredRow]:
        """The rows of that table with such a primary key that are not written yet; none once one of them is changed."""
        if any(map(named, self._changed.get(table, ()))):
            self._flush()
        return [row for key, row in self._rows.get(table, {}).items() if named(key)]

    def write_end(self, epoch: int, now: datetime) -> Head:
        """Writes what is left: rows, counters, the record of what will be signed, and the head."""
        self._flush()
        head = self._tree.head()
        self._sum_counters()
        self.find_counter(MARK)
        if self.is_marked:
            self.set_counter(MARK, mark_head(self.keys, self.find_counter, head))
        self._write_counters()
        if self._leaves:
            row = {"size": head.size, "root": head.root, "time_millis": to_millis(now)}
            insert_rows(self._connection, LOG_CHECKPOINT, [row])
        values = {"expected": epoch, "next": epoch + 1, "new_size": head.size, "new_root": head.root}
        if change_rows(self._connection, _SET_HEAD, [{**values, "new_edge": head.edge}]) != 1:
            raise CorruptError("LOG_HEAD", "the head changed under its lock")
        return head

    def counters(self) -> dict[str, int]:
        if len(self._counters) > _MAX_COUNTERS:
            return {}
        absent = self._new_counters - self._changed_counters.keys()
        return {name: value for name, value in self._counters.items() if name not in absent}

    def _flush(self) -> None:
        self._write_leaves()
        for table, rows in self._rows.items():
            if rows:
                insert_rows(self._connection, table, list(rows.values()))
        self._rows.clear()
        changes, self._changes, self._changed = self._changes, {}, {}
        for statement, parameters in changes.items():
            change_rows(self._connection, statement, parameters)

    def _write_leaves(self) -> None:
        written = self._written_leaves
        if len(self._entries) > written:
            rows = [
                {"leaf_index": index, "kind": kind, "subject": subject, "entry": self._entries[index - self._first]}
                for (kind, subject), index in islice(self._leaves.items(), written, None)
            ]
            insert_rows(self._connection, LOG_LEAF, rows)
            self._written_leaves = len(self._entries)
        if self._tree.full_tiles:
            tiles = [
                {"level": tile.level, "n": tile.n, "root": tile.root, "hashes": tile.hashes}
                for tile in self._tree.full_tiles
            ]
            insert_rows(self._connection, LOG_TILE, tiles)
            self._tree.full_tiles.clear()

    def _sum_counters(self) -> None:
        """Brings the sum of all counters up to those that changed."""
        total = self.find_counter(COUNTED)
        for name, before in filter(lambda item: is_summed(item[0]), self._changed_counters.items()):
            total = add(total, weigh_counter(self.keys, name, self._counters[name]))
            if name not in self._new_counters:
                total = add(total, -weigh_counter(self.keys, name, before))
        self.set_counter(COUNTED, total)

    def _write_counters(self) -> None:
        new = self._changed_counters.keys() & self._new_counters
        old = self._changed_counters.keys() - self._new_counters
        if new:
            rows = [{"name": name, "value": self._counters[name]} for name in sorted(new)]
            insert_rows(self._connection, COUNTER, rows)
        if old:
            rows = [{"at": name, "to": self._counters[name]} for name in sorted(old)]
            change_rows(self._connection, _SET_COUNTER, rows)


def note_apart(connection: Connection, keys: DataKeys, *, added: Iterable[Mark], removed: Iterable[Mark] = ()) -> None:
    """Brings the sums and the mark up to rows that no group writes, in a transaction that holds the head's lock.

    A mark that does not fit is never made anew.
    """

    def find(name: str) -> int:
        return read_value(connection, _COUNTER, {"name": name}) or 0

    sums = {name: find(name) for name in (MARK, TOTAL, COUNTED)}
    changed = change_sums(keys, find, added=added, removed=removed)
    head = read_head(connection)[1]
    if fits_head(keys, sums, head):
        changed[MARK] = mark_head(keys, {**sums, **changed}.__getitem__, head)
    connection.execute(_PUT_COUNTER, [{"name": name, "value": value} for name, value in changed.items()])


T = TypeVar("T")
_ATTEMPTS = 3
_OBJECTIONS = (IntegrityError, sqlite3.IntegrityError)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult(Generic[T]):
    """The durable head after a group, and for each job, in order, what it returned or the error that it raised."""

    head: Head
    outcomes: tuple[T | BridgeheadError, ...]


def commit_group(
    database: Database,
    jobs: Sequence[Callable[[GroupTransaction], T]],
    *,
    now: datetime,
    crash_point: Callable[[str], None] = lambda _step: None,
) -> GroupResult[T]:
    """Runs the jobs and commits all that they wrote at once; returns when it is durable.

    A job that raises is taken out and run again alone, after the others are committed: it takes nobody with it, and
    what it wrote is undone unless it succeeds alone (JOB_FAILED, for what is no `BridgeheadError`). Jobs may therefore
    run several times.
    `crash_point` is called with `before-rows`, `before-commit` and `after-commit`, for tests that kill the process.
    Raises UnavailableError STORE_BUSY, STORE_FULL, STORE_DOWN, and nothing of this group was written; CorruptError
    LOG_HEAD, LOG_EDGE, STORE_FAULT, STORE_DAMAGED when the store contradicts itself.
    """
    group = _Group(database, now, crash_point)
    outcomes: dict[int, T | BridgeheadError] = {}
    waiting = list(range(len(jobs)))
    aside: list[int] = []
    careful = False
    for _ in range(_ATTEMPTS):
        if not waiting:
            break
        results = group.run([jobs[position] for position in waiting], careful=careful)
        if results is None:
            careful = True
            continue
        failed = [at for at, result in zip(waiting, results, strict=True) if isinstance(result, BridgeheadError)]
        if not failed or len(waiting) == 1:
            outcomes.update(zip(waiting, results, strict=True))
            waiting = []
        aside += failed if waiting else []
        waiting = [position for position in waiting if position not in failed]
    for position in sorted([*aside, *waiting]):
        outcomes[position] = _run_alone(group, jobs[position])
    return GroupResult(head=group.head(), outcomes=tuple(outcomes[position] for position in range(len(jobs))))


def _run_alone(group: _Group, job: Callable[[GroupTransaction], T]) -> T | BridgeheadError:
    try:
        results = group.run([job], careful=True)
    except BridgeheadError as error:
        return error
    if results is None:
        return CorruptError("STORE_FAULT", "expected a row that no other has taken; looking first did not find it")
    return results[0]


class _UndoneError(Exception):
    """Leaves a transaction so that it is rolled back; never leaves this module."""


@contextmanager
def _objections() -> Iterator[None]:
    try:
        yield
    except _OBJECTIONS as error:
        raise _UndoneError from error


class _Group:
    def __init__(self, database: Database, now: datetime, crash_point: Callable[[str], None]) -> None:
        self._database = database
        self._now = now
        self._crash_point = crash_point
        self._head: Head | None = None

    def head(self) -> Head:
        return self._head or load_head(self._database)

    def run(
        self, jobs: Sequence[Callable[[GroupTransaction], T]], *, careful: bool
    ) -> list[T | BridgeheadError] | None:
        """Runs jobs in one transaction, committed when none raised; None when a unique constraint objected."""
        results: list[T | BridgeheadError] = []
        database = self._database
        try:
            with database.writing() as connection:
                epoch, head, tree = _lock_head(database, connection)
                self._head = head
                transaction = GroupTransaction(
                    connection,
                    keys=database.keys,
                    body_keys=database.body_keys,
                    tree=tree,
                    counters=database.counters,
                )
                transaction.careful, transaction.is_marked = careful, database.is_marked
                with _objections():
                    results += [_run_job(job, transaction) for job in jobs]
                    _require_success(transaction, results)
                    self._crash_point("before-rows")
                    written = transaction.write_end(epoch, self._now)
                self._crash_point("before-commit")
        except _UndoneError as undone:
            database.body_keys.put_back(transaction.taken_keys)
            return None if isinstance(undone.__cause__, _OBJECTIONS) else results
        self._crash_point("after-commit")
        self._head = written
        _remember(database, transaction, tree, epoch + 1)
        _scrub(database, is_due=transaction.has_erased)
        return results


def _require_success(transaction: GroupTransaction, results: Sequence[object]) -> None:
    if not transaction.is_changed or any(isinstance(result, BridgeheadError) for result in results):
        raise _UndoneError


def _run_job(job: Callable[[GroupTransaction], T], transaction: GroupTransaction) -> T | BridgeheadError:
    """Runs a job; after one failed, the others still run, to learn at once who else would."""
    try:
        return job(transaction)
    except BridgeheadError as error:
        return error
    except SQLAlchemyError:
        raise
    except Exception as error:  # a row of another type makes a reader raise anything: it is this job's
        if hasattr(error, "sqlite_errorcode"):  # SQLite's own word, not its driver's about a value
            raise
        broken = CorruptError("JOB_FAILED", f"what it read cannot be read as expected ({type(error).__name__})")
        broken.__cause__ = error
        return broken


def _lock_head(database: Database, connection: Connection) -> tuple[int, Head, GrowingTree]:
    """Takes the lock; gives epoch, head and tree, loaded again when another process wrote since (LOG_HEAD)."""
    epoch, head = read_head(connection, lock=database.is_postgresql)
    known = database.tree
    if known is not None and epoch == database.epoch and known.head() == head:
        _read_sums(database, connection, head)
        return epoch, head, known.copy()
    if known is not None and (epoch <= database.epoch or head.size < known.size):
        raise CorruptError("LOG_HEAD", f"the store went back to size {head.size} from {known.size} while in use")
    tree = load_tree(connection, head)
    database.recent.remember(tree.edge_nodes())
    database.tree, database.epoch, database.counters = tree, epoch, {}
    _read_sums(database, connection, head)
    return epoch, head, tree.copy()


def _read_sums(database: Database, connection: Connection, head: Head) -> None:
    """Reads what the duty of witness changes between two groups; what does not fit is marked no more, as if it did."""
    sums = {row["name"]: row["value"] for row in read_rows(connection, _SUMS)}
    database.is_marked = fits_head(database.keys, sums, head)
    database.counters = {**database.counters, **sums}


def _scrub(database: Database, *, is_due: bool) -> None:
    """Brings off the disk what was erased, before anybody is told of it; what a reader holds back stays due."""
    if is_due:
        database.note_erased()
    if database.is_scrub_due and not database.is_postgresql:
        with suppress(BridgeheadError):
            database.scrub()


def _remember(database: Database, transaction: GroupTransaction, tree: GrowingTree, epoch: int) -> None:
    database.recent.remember(tree.completed)
    entries = transaction.entries
    database.recent.remember_entries(tree.size - len(entries), entries)
    tree.completed.clear()
    database.tree, database.epoch, database.counters = tree, epoch, transaction.counters()
