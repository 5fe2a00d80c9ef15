"""What a job of a group is handed: reads that see its own writes, and the only way to write.

Rules kept: rows are gathered and written in bulk, new ones before changes, before the first read that could miss them;
counters and the growing tree are copies until the group is committed.
Trusts: `exchange_log`, which begins and ends it. Source: DESIGN section 3 (sequencing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, Date, Executable, Insert, Table, bindparam, select, update

from federation.protocol.errors import ConflictError, CorruptError, MalformedError
from federation.protocol.ids import Pair
from federation.protocol.tlog.tiles import MAX_ENTRY_BYTES
from federation.store.crypto_column import DataKeys
from federation.store.database import NewRow, RowKey, StoredRow, read_row
from federation.store.log.reader import encode_subject, read_leaf
from federation.store.log.tree import GrowingTree, Head
from federation.store.tables import COUNTER, LOG_CHECKPOINT, LOG_HEAD, LOG_LEAF, LOG_TILE, to_millis

NewTuple: TypeAlias = tuple[Any, ...]
"""The values of a row in the order of its columns, as SQLite's driver takes them."""

_MAX_COUNTERS = 4096
_COUNTER = select(COUNTER.c.value).where(COUNTER.c.name == bindparam("name"))
_SET_COUNTER = update(COUNTER).where(COUNTER.c.name == bindparam("at")).values(value=bindparam("to"))
_SET_HEAD = (
    update(LOG_HEAD)
    .where(LOG_HEAD.c.id == 1, LOG_HEAD.c.epoch == bindparam("expected"))
    .values(epoch=bindparam("next"), size=bindparam("new_size"), root=bindparam("new_root"), edge=bindparam("new_edge"))
)


class GroupTransaction:
    """What a job is handed: reads that see its own writes, and the only way to write.

    Rows are gathered and written in bulk, before the first read that could miss them and at the end. With `careful`,
    what must be unique is looked up before it is written, so that the job at fault gets a `ConflictError`.
    Belongs to one thread, and to nobody once the group is committed.
    """

    def __init__(
        self, connection: Connection, *, keys: DataKeys, tree: GrowingTree, counters: Mapping[str, int]
    ) -> None:
        self.keys = keys
        self.careful = False
        self._connection = connection
        self._tree = tree
        self._first = tree.size
        self._leaves: dict[tuple[str, bytes], int] = {}
        self._entries: list[bytes] = []
        self._rows: dict[Table, dict[RowKey, NewRow]] = {}
        self._changes: dict[Executable, list[NewRow]] = {}
        self._claims: set[tuple[str | int, ...]] = set()
        self._counters = dict(counters)
        self._new_counters: set[str] = set()
        self._changed_counters: set[str] = set()
        self._written_leaves = 0
        self.is_changed = False
        self.has_erased = False
        self.message_id: str | None = None

    @property
    def size(self) -> int:
        """Leaves of the log, those of this transaction included."""
        return self._tree.size

    @property
    def entries(self) -> Sequence[bytes]:
        """The entries appended in this transaction, in order."""
        return self._entries

    def append_leaf(self, kind: str, subject: str, entry: bytes) -> int:
        """Appends a leaf, once for each (kind, subject): a repeat returns the stored index, whatever its entry says.

        Raises:
            MalformedError: LEAF_SUBJECT when the subject is not 64 lower-case hex digits, ENTRY_SIZE over 65,535 bytes.
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
            value = self._connection.execute(_COUNTER, {"name": name}).scalar()
            if value is None:
                self._new_counters.add(name)
                value = 0
            self._counters[name] = value
        return value

    def set_counter(self, name: str, value: int) -> None:
        """Sets a named counter that `find_counter` has read."""
        self._counters[name] = value
        self._changed_counters.add(name)
        self.is_changed = True

    def note_erased(self) -> None:
        """Marks the transaction as one after which what was deleted must go off the disk."""
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
        """Marks something unique as used by this transaction.

        Raises:
            ConflictError: ROW_CLAIMED when an earlier job of the group did; that job is run again alone.
        """
        if name in self._claims:
            raise ConflictError("ROW_CLAIMED", "expected a name that no other job of the group uses")
        self._claims.add(name)

    def insert_row(self, table: Table, key: RowKey, row: NewRow) -> None:
        """Adds a new row, named by its primary key.

        Raises:
            ConflictError: ROW_CLAIMED as in `claim`.
        """
        rows = self._rows.setdefault(table, {})
        if key in rows:
            raise ConflictError("ROW_CLAIMED", "expected a row that no other job of the group writes")
        rows[key] = row
        self.is_changed = True

    def change_rows(self, statement: Executable, *parameters: NewRow) -> None:
        """Adds one execution of a prepared statement for each set of parameters, after all new rows."""
        self._changes.setdefault(statement, []).extend(parameters)
        self.is_changed = True

    def find_row(self, table: Table, *key: str | int | bool) -> StoredRow | None:
        """The row with that primary key as this transaction sees it."""
        row = self._rows.get(table, {}).get(key)
        if row is not None and not self._changes:
            return row
        if row is not None or self._changes:
            self._flush()
        return read_row(self._connection, table, key)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The connection, with all that was gathered written."""
        self._flush()
        yield self._connection

    @contextmanager
    def reading_rows(self, table: Table, named: Callable[[RowKey], bool]) -> Iterator[Connection]:
        """The connection, with the rows of that table written whose primary key is such a one.

        What was gathered by other jobs of the group about other things can wait, and is written in bulk.
        """
        if self._changes or any(named(key) for key in self._rows.get(table, ())):
            self._flush()
        yield self._connection

    def write_end(self, epoch: int, now: datetime) -> Head:
        """Writes what is left: rows, counters, the record of what will be signed, and the head."""
        self._flush()
        self._write_counters()
        head = self._tree.head()
        if self._leaves:
            row = {"size": head.size, "root": head.root, "time_millis": to_millis(now)}
            _insert(self._connection, LOG_CHECKPOINT, [row])
        values = {"expected": epoch, "next": epoch + 1, "new_size": head.size, "new_root": head.root}
        if self._connection.execute(_SET_HEAD, {**values, "new_edge": head.edge}).rowcount != 1:
            raise CorruptError("LOG_HEAD", "the head changed under its lock")
        return head

    def counters(self) -> dict[str, int]:
        """The counters as they are when this is committed; those that have no row are left out."""
        if len(self._counters) > _MAX_COUNTERS:
            return {}
        absent = self._new_counters - self._changed_counters
        return {name: value for name, value in self._counters.items() if name not in absent}

    def _flush(self) -> None:
        self._write_leaves()
        for table, rows in self._rows.items():
            if rows:
                _insert(self._connection, table, list(rows.values()))
        self._rows.clear()
        changes, self._changes = self._changes, {}
        for statement, parameters in changes.items():
            self._connection.execute(statement, parameters)

    def _write_leaves(self) -> None:
        written = self._written_leaves
        if len(self._entries) > written:
            rows = [
                {"leaf_index": index, "kind": kind, "subject": subject, "entry": self._entries[index - self._first]}
                for (kind, subject), index in islice(self._leaves.items(), written, None)
            ]
            _insert(self._connection, LOG_LEAF, rows)
            self._written_leaves = len(self._entries)
        if self._tree.full_tiles:
            tiles = [
                {"level": tile.level, "n": tile.n, "root": tile.root, "hashes": tile.hashes}
                for tile in self._tree.full_tiles
            ]
            _insert(self._connection, LOG_TILE, tiles)
            self._tree.full_tiles.clear()

    def _write_counters(self) -> None:
        new = self._changed_counters & self._new_counters
        old = self._changed_counters - self._new_counters
        if new:
            rows = [{"name": name, "value": self._counters[name]} for name in sorted(new)]
            _insert(self._connection, COUNTER, rows)
        if old:
            self._connection.execute(_SET_COUNTER, [{"at": name, "to": self._counters[name]} for name in sorted(old)])


_INSERTS: dict[str, Insert] = {}
_SQLITE_INSERTS: dict[str, tuple[str, Callable[[NewRow], NewTuple]]] = {}


def _insert(connection: Connection, table: Table, rows: Sequence[NewRow]) -> None:
    """Inserts rows that all have every column, by the shortest way that the driver has."""
    if connection.dialect.name != "sqlite":
        statement = _INSERTS.get(table.name)
        if statement is None:
            statement = _INSERTS.setdefault(table.name, table.insert())
        connection.execute(statement, rows)
        return
    prepared = _SQLITE_INSERTS.get(table.name)
    if prepared is None:
        prepared = _SQLITE_INSERTS.setdefault(table.name, _sqlite_insert(table))
    text, read = prepared
    connection.exec_driver_sql(text, list(map(read, rows)))


def _sqlite_insert(table: Table) -> tuple[str, Callable[[NewRow], NewTuple]]:
    """Plain text and tuples: going through SQLAlchemy's parameters takes longer than the insert itself."""
    names = [column.name for column in table.columns]
    text = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608  # our own names
    read: Callable[[NewRow], NewTuple] = itemgetter(*names)
    dates = [at for at, column in enumerate(table.columns) if isinstance(column.type, Date)]
    if not dates:
        return text, read

    def read_with_dates(row: NewRow) -> NewTuple:
        values = list(read(row))
        for at in dates:
            values[at] = values[at] and values[at].isoformat()
        return tuple(values)

    return text, read_with_dates
