"""The keys of bodies, in a file of their own: a copy of the database opens no body, a copy of this file holds none.

Rules kept: keys are random and made ahead, `POOL` in one durable commit, so that each lies on the disk before the body
that it seals and no message waits for a write of its own; a key seals one body; what is destroyed is overwritten
(`secure_delete`) and goes out of the file's log of recent writes. The upper half of each key's id is the file's own
number, which the database learns with its first body: another file is refused, and a lost one is never made anew in
silence. Trusts: the one writer of a database to take keys; the lock on the folder that each process that writes holds.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy import Connection, Table, bindparam, inspect, select

from federation.protocol.errors import CorruptError, NotFoundError
from federation.store.columns import KEY_BYTES, DataKeys, seal, unseal
from federation.store.tables import DEAD_BODY_KEY, MESSAGE_BODY

if TYPE_CHECKING:
    from federation.store.database import Connections, Database

BodyKey: TypeAlias = tuple[int, bytes]
"""A key's id, by which a body names it, and the key."""

POOL: Final = 128
KEY_FILE: Final = "body-key-file"
"""The counter by which a database knows the number of the file that holds its keys; 0 before the first body."""

_COLUMN: Final = "body_key.sealed_key"
_FILE_BITS: Final = 32
_PAGE: Final = 5_000
_TABLES: Final = (
    "CREATE TABLE body_key (id INTEGER PRIMARY KEY AUTOINCREMENT, sealed_key BLOB NOT NULL)",
    "CREATE TABLE pool (first_id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL)",
)
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'body_key'"


class BodyKeys:
    """The keys of one store. `find` may be called from any thread; keys are taken by the one writer alone."""

    def __init__(self, connections: Connections, keys: DataKeys, *, file: Path | None) -> None:
        """Takes the connections to a file that may not be there yet; None for one in memory."""
        self.file = file
        self.number = 0
        self._connections = connections
        self.keys = keys
        self._pool: deque[BodyKey] = deque()
        self._own_pools: deque[int] = deque()
        self._left_until = 0
        self._folder: int | None = None

    def open(self, named: int) -> None:
        """Opens the file to write; an empty one becomes a new one, whatever the database names (BODY_KEYS_OTHER)."""
        is_new = self.file is None or self.file.stat().st_size == 0
        with self._connections.writing() as connection:
            if not inspect(connection).has_table("body_key"):
                for statement in _TABLES:
                    connection.exec_driver_sql(statement)
                first = secrets.randbelow(2**30) + 1 << _FILE_BITS
                connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES ('body_key', ?)", (first,))
            self.number = _last(connection) >> _FILE_BITS
        if not is_new:
            self.require_named(named)
        self._join_writers()

    def open_to_read(self, named: int) -> None:
        """Opens the file beside whoever writes; nothing is made (BODY_KEYS_MISSING, BODY_KEYS_OTHER)."""
        self.require_there(named)
        if self.file is not None and not self.file.exists():
            return
        with self._connections.reading() as connection:
            self.number = _last(connection) >> _FILE_BITS
        self.require_named(named)

    def require_there(self, named: int) -> None:
        """Refuses NotFoundError BODY_KEYS_MISSING: a file that the database names is never made anew in silence.

        Where the keys are lost for good, an operator puts an empty file there.
        """
        if named and self.file is not None and not self.file.exists():
            raise NotFoundError("BODY_KEYS_MISSING", f"expected the keys of this store's bodies at {self.file}")

    def require_named(self, named: int) -> None:
        """Refuses BODY_KEYS_OTHER: the database names another file as that of its keys."""
        if named not in (0, self.number):
            raise CorruptError("BODY_KEYS_OTHER", f"expected the keys of this store's bodies, got others: {self.file}")

    def take(self) -> BodyKey:
        """A key that no body has, and that is on the disk."""
        if not self._pool:
            self._fill()
        return self._pool.popleft()

    def put_back(self, taken: Sequence[BodyKey]) -> None:
        """Gives back keys whose bodies were not written."""
        self._pool.extendleft(reversed(taken))

    def find(self, ids: Iterable[int]) -> dict[int, bytes]:
        """The keys with these ids; one that was destroyed, or never was, is left out (SEALED_VALUE)."""
        statement = "SELECT sealed_key FROM body_key WHERE id = ?"
        with self._connections.reading() as connection:
            rows = [(key_id, connection.exec_driver_sql(statement, (key_id,)).scalar()) for key_id in ids]
        return {
            key_id: unseal(self.keys, _COLUMN, sealed, row_key=str(key_id))
            for key_id, sealed in rows
            if sealed is not None
        }

    def add(self, made: Sequence[bytes]) -> list[int]:
        """Stores keys that bodies have already; returns their ids once that is durable."""
        with self._connections.writing() as connection:
            return self._insert(connection, made)

    def destroy(self, ids: Sequence[int]) -> bool:
        """Destroys keys for good; True once no copy is left in the file or in its log of recent writes."""
        if ids:
            with self._connections.writing() as connection:
                connection.exec_driver_sql("DELETE FROM body_key WHERE id = ?", [(key_id,) for key_id in ids])
        return self._connections.empty_log()

    def destroy_leftovers(self, database: Database) -> int:
        """Destroys what no body names and no living process made: once a process, if it was the first to start.

        To be called when the database is known to be the newest one: from an older one, bodies that were written since
        look as if they were not there.
        """
        until, count = self._left_until, 0
        if until:
            for ids in self.each_unnamed(database, until=until):
                count += len(ids)
                if not self.destroy(ids):
                    database.note_erased()
            with self._connections.writing() as connection:
                connection.exec_driver_sql("DELETE FROM pool WHERE last_id <= ?", (until,))
            self._left_until = 0
        return count

    def each_unnamed(self, database: Database, *, until: int | None = None) -> Iterator[list[int]]:
        """The ids, page by page, of keys that no body names; with `until` up to there, else those outside all pools."""
        if not self.number:
            return
        after = 0
        with self._connections.reading() as connection:
            last = _last(connection) if until is None else until
            pools = [] if until else connection.exec_driver_sql("SELECT first_id, last_id FROM pool").all()
        while ids := self._ids(after, last):
            found = set(ids) - _named(database, MESSAGE_BODY, ids) - _named(database, DEAD_BODY_KEY, ids)
            strays = [each for each in found if not any(first <= each <= end for first, end in pools)]
            if strays and (left := set(strays) & set(self._ids(after, ids[-1]))):  # others were erased meanwhile
                yield sorted(left)
            after = ids[-1]

    def close(self) -> None:
        self._connections.close()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _fill(self) -> None:
        made = [secrets.token_bytes(KEY_BYTES) for _ in range(POOL)]
        with self._connections.writing() as connection:
            ids = self._insert(connection, made)
            connection.exec_driver_sql("INSERT INTO pool VALUES (?, ?)", (ids[0], ids[-1]))
            if len(self._own_pools) > 1:  # those of the pool before may be in a transaction that is not committed yet
                connection.exec_driver_sql("DELETE FROM pool WHERE first_id = ?", (self._own_pools[0],))
        if len(self._own_pools) > 1:
            self._own_pools.popleft()
        self._own_pools.append(ids[0])
        self._pool.extend(zip(ids, made, strict=True))

    def _insert(self, connection: Connection, made: Sequence[bytes]) -> list[int]:
        first = _last(connection) + 1
        ids = list(range(first, first + len(made)))
        rows = [
            (key_id, seal(self.keys, _COLUMN, key, row_key=str(key_id))) for key_id, key in zip(ids, made, strict=True)
        ]
        if rows:
            connection.exec_driver_sql("INSERT INTO body_key (id, sealed_key) VALUES (?, ?)", rows)
        return ids

    def _ids(self, after: int, last: int) -> list[int]:
        statement = "SELECT id FROM body_key WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        with self._connections.reading() as connection:
            return list(connection.exec_driver_sql(statement, (after, last, _PAGE)).scalars())

    def _join_writers(self) -> None:
        """Holds the folder's lock with all who write here; who finds nobody there knows that the pools are left over.

        Between the two locks another may be first, too: neither has made a key yet.
        """
        if self.file is None:
            return
        self._folder = os.open(self.file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            with self._connections.reading() as connection:
                self._left_until = _last(connection)
        fcntl.flock(self._folder, fcntl.LOCK_SH)


def _last(connection: Connection) -> int:
    """The highest id that was ever given."""
    return int(connection.exec_driver_sql(_LAST).scalar_one())


def _named(database: Database, table: Table, ids: Sequence[int]) -> set[int]:
    statement = select(table.c.key_id).where(table.c.key_id >= bindparam("low"), table.c.key_id <= bindparam("high"))
    with database.reading() as connection:
        return set(connection.execute(statement, {"low": ids[0], "high": ids[-1]}).scalars())
