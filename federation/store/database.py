"""The database: SQLite (embedded) or PostgreSQL, one writing connection, reading connections beside it.

Rules kept: SQLite runs in WAL mode with `synchronous=FULL`, writers begin with `BEGIN IMMEDIATE` (two deferred writers
can read the same "next index"); readers are in autocommit and cannot write; deleted content is overwritten
(`secure_delete`); no error of a driver leaves this floor, and no parameter is ever put in a message.
Trusts: the disk to keep what it acknowledged. Source: sqlite.org/wal.html and /pragma.html, PostgreSQL manual
appendix A (error codes), DESIGN section 6.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    make_url,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool, StaticPool

from federation.protocol.errors import (
    BridgeheadError,
    CorruptError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.tlog.merkle import CompactRange, Node, hash_leaf
from federation.protocol.tlog.tiles import TILE_HEIGHT, TILE_WIDTH
from federation.store import migrate
from federation.store.columns import KEY_FILE, BodyKeys, DataKeys
from federation.store.prepared import RowKey, SpareConnections, StoredRow, change_rows, read_row, read_rows
from federation.store.tables import BLOB, COUNTER, DEAD_BODY_KEY, MESSAGE_BODY

RECENT_NODES = 1024
"""Nodes kept of each level: every receipt of the last 1,024 leaves is proved without a read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    size: int
    root: bytes
    edge: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTile:
    level: int
    n: int
    root: bytes
    hashes: bytes


class RecentNodes:
    """A bounded map of committed nodes and entries. Written by the one writer, read by any thread."""

    __slots__ = ("_entries", "_levels")

    def __init__(self) -> None:
        self._levels: list[dict[int, bytes]] = [{} for _ in range(64)]
        self._entries: dict[int, bytes] = {}

    def find_entry(self, index: int) -> bytes | None:
        """The entry at that index, or None when it is too old or was written by another process."""
        return self._entries.get(index)

    def remember_entries(self, start: int, entries: Iterable[bytes]) -> None:
        """Adds committed entries; the oldest make room."""
        for index, entry in enumerate(entries, start):
            self._entries[index] = entry
            if len(self._entries) > RECENT_NODES:
                del self._entries[next(iter(self._entries))]

    def find(self, node: Node) -> bytes | None:
        """The node's hash, or None when it is too old or was written by another process."""
        return self._levels[node[0]].get(node[1])

    def remember(self, nodes: Iterable[tuple[int, int, bytes]]) -> None:
        """Adds nodes of committed leaves; the oldest of a level makes room."""
        for level, index, node_hash in nodes:
            row = self._levels[level]
            row[index] = node_hash
            if len(row) > RECENT_NODES:
                del row[next(iter(row))]


@dataclass(slots=True)
class GrowingTree:
    """The right edge and the open tile of each level; `completed` and `full_tiles` are what grew since the copy."""

    edge: CompactRange = field(default_factory=CompactRange)
    open_tiles: list[list[bytes]] = field(default_factory=lambda: [[]])
    completed: list[tuple[int, int, bytes]] = field(default_factory=list)
    full_tiles: list[FullTile] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.edge.size

    def copy(self) -> GrowingTree:
        return GrowingTree(self.edge.copy(), [row.copy() for row in self.open_tiles])

    def append(self, entry: bytes) -> int:
        index = self.edge.size
        nodes = self.edge.append(hash_leaf(entry))
        self.completed += nodes
        self.open_tiles[0].append(nodes[0][2])
        for level, position, node_hash in nodes[TILE_HEIGHT::TILE_HEIGHT]:
            self._close_tile(level // TILE_HEIGHT, position, node_hash)
        return index

    def head(self) -> Head:
        return Head(size=self.edge.size, root=self.edge.root(), edge=self.edge.encode())

    def edge_nodes(self) -> list[tuple[int, int, bytes]]:
        size = self.edge.size
        levels = [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
        return [(level, (size >> level) - 1, node) for level, node in zip(levels, self.edge.hashes, strict=True)]

    def require_agreement(self) -> None:
        """Compares the edge with the one that the open tiles give. Raises CorruptError LOG_EDGE."""
        hashes: list[bytes] = []
        for row in reversed(self.open_tiles):
            edge = CompactRange()
            for node_hash in row:
                edge.append(node_hash)
            hashes += edge.hashes
        if tuple(hashes) != self.edge.hashes:
            raise CorruptError("LOG_EDGE", f"stored entries and tiles do not lead to the head of size {self.size}")

    def _close_tile(self, level: int, position: int, root: bytes) -> None:
        """Moves the full tile below `level` out, and its root into the open tile of `level`."""
        below = self.open_tiles[level - 1]
        if len(below) != TILE_WIDTH:
            raise CorruptError("LOG_TILE", f"expected {TILE_WIDTH} hashes in an open tile, got {len(below)}")
        self.full_tiles.append(FullTile(level=level - 1, n=position, root=root, hashes=b"".join(below)))
        below.clear()
        if len(self.open_tiles) == level:
            self.open_tiles.append([])
        self.open_tiles[level].append(root)


_LOCK_SECONDS = 10
_WRITER_POOL: dict[str, Any] = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "hide_parameters": True}
_READER_POOL: dict[str, Any] = {
    "poolclass": QueuePool, "pool_size": 8, "max_overflow": 8, "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True, "hide_parameters": True,
}  # fmt: skip
_SPARE_READERS = 8  # half of a pool, so that who waits for a connection gets one of the others
_WAL_PAGES = 8_192  # 32 MiB: leaf subjects are random, so many groups touch the same pages before they move
_WRITER_CACHE_KIB = 32_768
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_POSTGRES_BUSY = ("55P03", "40001", "40P01", "57014")
_KEY_FILE = select(COUNTER.c.value).where(COUNTER.c.name == KEY_FILE)
_NAME_KEY_FILE = update(COUNTER).where(COUNTER.c.name == KEY_FILE).values(value=bindparam("to"))
_DEAD_KEYS = select(DEAD_BODY_KEY.c.key_id)
_FORGET_KEY = delete(DEAD_BODY_KEY).where(DEAD_BODY_KEY.c.key_id == bindparam("dead"))


class Source(Protocol):
    """The database as committed, or a transaction with its own writes."""

    @property
    def keys(self) -> DataKeys: ...

    @property
    def body_keys(self) -> BodyKeys: ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees everything written so far through this source."""

    def reading_rows(self, table: Table, named: Callable[[RowKey], bool]) -> AbstractContextManager[Connection]:
        """A connection that sees every row of that table with such a primary key written so far through this source."""

    def gathered_rows(self, table: Table, named: Callable[[RowKey], bool]) -> Sequence[StoredRow]:
        """The rows of that table with such a primary key that only this source knows; its connections see the rest."""

    def find_row(self, table: Table, *key: str | int | bool) -> StoredRow | None: ...

    def find_counter(self, name: str) -> int: ...


class Connections:
    """One writing connection to a database, and many that read. Every method may be called from any thread."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        """Takes two engines; the same one twice when all connections are one (SQLite in memory)."""
        self._writer = SpareConnections(writer, most=0 if reader is writer else 1)
        self._reader = self._writer if reader is writer else SpareConnections(reader, most=_SPARE_READERS)
        self._lock = threading.RLock()
        self._open: Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Sees what is committed; raises STORE_BUSY, STORE_FULL, STORE_DOWN, STORE_DAMAGED, STORE_FAULT."""
        with _translated():
            if self._reader is not self._writer:
                with self._reader.borrowed() as connection:
                    yield connection
                return
            with self._lock:
                if self._open is not None:
                    yield self._open
                    return
                with self._reader.borrowed() as connection:
                    yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The one writing connection, in a transaction, rolled back on any exception; raises what `reading` does."""
        with self._lock, _translated():
            if self._open is not None:
                raise CorruptError("STORE_FAULT", "expected one transaction at a time, got one inside another")
            try:
                with self._writer.borrowed() as connection, connection.begin():
                    self._open = connection
                    yield connection
            finally:
                self._open = None

    def empty_log(self) -> bool:
        """Brings SQLite's log of recent writes into the file; False while another connection still reads of it."""
        with self._lock, _translated(), self._writer.borrowed() as connection:
            cursor = connection.connection.cursor()
            try:
                cursor.execute("PRAGMA busy_timeout=0")  # a writer must not wait here for whoever reads
                (busy, *_) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy
            finally:
                cursor.execute(f"PRAGMA busy_timeout={_LOCK_SECONDS * 1000}")

    def close(self) -> None:
        with self._lock:
            self._reader.close()
            self._writer.close()


class Database(Connections):
    """One open store. Every method may be called from any thread.

    `recent`, `tree`, `counters` and `epoch` are what the last committed group left in memory; they belong to
    `exchange_log`, which checks them against the head row before each use. `is_scrub_due`: something was deleted that
    may still lie on the disk; so it is after a start, since a process may have died in between.
    """

    def __init__(self, engines: tuple[Engine, Engine], *, keys: DataKeys, body_keys: BodyKeys) -> None:
        super().__init__(*engines)
        self.keys = keys
        self.body_keys = body_keys
        self.recent = RecentNodes()
        self.tree: GrowingTree | None = None
        self.counters: dict[str, int] = {}
        self.epoch = -1
        self.is_scrub_due = True
        self._erasures = 0
        self.is_marked = True  # the sums of the rows fitted the head when it was read
        self.row_findings = 0  # rows of the sample at the start that were not those that were written

    @property
    def is_postgresql(self) -> bool:
        """True when several processes may write, so that the head row must be locked by name."""
        return self._writer.engine.dialect.name == "postgresql"

    def reading_rows(self, table: Table, named: Callable[[RowKey], bool]) -> AbstractContextManager[Connection]:
        """A connection that sees what is committed; raises what `reading` does."""
        del table, named
        return self.reading()

    def gathered_rows(self, table: Table, named: Callable[[RowKey], bool]) -> Sequence[StoredRow]:
        del table, named
        return ()

    def find_row(self, table: Table, *key: str | int | bool) -> StoredRow | None:
        with self.reading() as connection:
            return read_row(connection, table, key)

    def named_keys(self, low: int, high: int) -> set[int]:
        """The ids, of those in a range, of keys that a body or blob names, or named before it was erased."""
        naming = (MESSAGE_BODY.c.key_id, BLOB.c.key_id, DEAD_BODY_KEY.c.key_id)
        with self.reading() as connection:
            statement = union_all(*(select(key_id).where(key_id.between(low, high)) for key_id in naming))
            return set(connection.execute(statement).scalars())

    def find_counter(self, name: str) -> int:
        row = self.find_row(COUNTER, name)
        return 0 if row is None else int(row["value"])

    def scrub(self) -> None:
        """Brings what was deleted off the disk: keys of erased bodies are destroyed, logs of recent writes emptied.

        What another connection still reads is left for the next time, and stays due. On PostgreSQL the place of a dead
        row is free to be written over, and its write-ahead log has a clock of its own. Raises what `reading` does, and
        BODY_KEYS_OTHER.
        """
        seen = self._erasures
        is_off = self._destroy_dead_keys()
        if self.is_postgresql:
            with _translated(), self._reader.borrowed() as connection:
                connection.exec_driver_sql("VACUUM message_body, blob, record, record_version")
        else:
            is_off = self.empty_log() and is_off
        with self._lock:
            self.is_scrub_due = not is_off or self._erasures != seen

    def note_erased(self) -> None:
        """Makes a scrub due: something was deleted just now, perhaps while one was going on."""
        with self._lock:
            self._erasures += 1
            self.is_scrub_due = True

    def _destroy_dead_keys(self) -> bool:
        """Destroys the keys of what was erased, then forgets their ids; True once they are off the disk."""
        self.body_keys.require_named(self.find_counter(KEY_FILE))
        with self.reading() as connection:
            dead = [row["key_id"] for row in read_rows(connection, _DEAD_KEYS)]
        is_off = self.body_keys.destroy(dead)
        if dead:
            with self.writing() as connection:
                change_rows(connection, _FORGET_KEY, [{"dead": key_id} for key_id in dead])
        return is_off

    def close(self) -> None:
        super().close()
        self.body_keys.close()


def open_database(url: str, *, keys: DataKeys, folder: Path | None = None) -> Database:
    """Opens a store with the file of its bodies' keys, and migrates it to the newest tables.

    `url` is `sqlite:///path`, `sqlite://` (in memory, for tests), or `postgresql+psycopg://...`; a relative path lies
    in `folder`, whatever that folder's name, and so do the keys of a store on PostgreSQL; those of a SQLite file lie
    beside it. Raises MalformedError STORE_URL; UntrustedError STORE_MODE when others may open a file; UnavailableError
    STORE_BUSY, STORE_FULL, STORE_DOWN; NotFoundError BODY_KEYS_MISSING; CorruptError BODY_KEYS_OTHER, STORE_DAMAGED,
    STORE_FAULT, or STORE_VERSION when a newer program has migrated it, or it is from before the first release.
    """
    parsed = _parse_url(url, folder)
    if (file := _sqlite_file(parsed)) is not None:
        _make_private(file)
    database = _database(parsed, keys=keys, folder=folder)
    try:
        with database.writing() as connection:
            migrate.lock(connection)
            _open_body_keys(database.body_keys, connection)
            migrate.upgrade(connection)
    except BridgeheadError:
        database.close()
        raise
    return database


def _open_body_keys(body_keys: BodyKeys, connection: Connection) -> None:
    named = _named_key_file(connection)
    body_keys.require_there(named)
    if body_keys.file is not None:
        _make_private(body_keys.file)
    body_keys.open(named)
    if named not in (0, body_keys.number):
        connection.execute(_NAME_KEY_FILE, {"to": body_keys.number})


def open_to_read(url: str, *, keys: DataKeys, folder: Path | None = None) -> Database:
    """Opens a store that is there already, beside the node that works on it; nothing is migrated, nothing written.

    Raises MalformedError STORE_URL; NotFoundError STORE_MISSING, BODY_KEYS_MISSING; UnavailableError STORE_BUSY,
    STORE_FULL, STORE_DOWN; CorruptError BODY_KEYS_OTHER, STORE_DAMAGED, STORE_FAULT, STORE_VERSION.
    """
    parsed = _parse_url(url, folder)
    file = _sqlite_file(parsed)
    if file is not None and not file.is_file():  # opening it would make it
        raise NotFoundError("STORE_MISSING", f"expected a store at {file}: did this node ever run?")
    database = _database(parsed, keys=keys, folder=folder, is_read_only=True)
    try:
        with database.reading() as connection:
            revision = migrate.find_revision(connection)
            named = _named_key_file(connection)
        if revision != migrate.REVISIONS[-1]:
            raise CorruptError(
                "STORE_VERSION", f"expected a store of {migrate.REVISIONS[-1]}, got {revision or 'none'}"
            )
        database.body_keys.open_to_read(named)
    except BridgeheadError:
        database.close()
        raise
    return database


def _database(parsed: URL, *, keys: DataKeys, folder: Path | None, is_read_only: bool = False) -> Database:
    key_url = _key_url(parsed, folder)
    opened = [_engines(each) for each in (parsed, key_url)]
    if is_read_only:
        for writer, reader in opened:
            if writer is not reader:
                writer.dispose()
        opened = [(reader, reader) for _, reader in opened]
    body_keys = BodyKeys(Connections(*opened[1]), keys, file=_sqlite_file(key_url))
    return Database(opened[0], keys=keys, body_keys=body_keys)


def _key_url(parsed: URL, folder: Path | None) -> URL:
    """The URL of a store's keys: `node.body_keys.db` beside `node.db`; for PostgreSQL, in the home of its node."""
    if parsed.drivername == "sqlite":
        file = _sqlite_file(parsed)
        return parsed if file is None else parsed.set(database=str(file.with_name(f"{file.stem}.body_keys.db")))
    if folder is None:
        raise MalformedError("STORE_URL", "expected the folder in which the keys of a store on PostgreSQL lie")
    return URL.create("sqlite", database=str(folder.absolute() / "node.body_keys.db"))


def _named_key_file(connection: Connection) -> int:
    """The number of the file that holds the keys of the bodies here; 0 before the first body."""
    if migrate.find_revision(connection) is None:
        return 0
    return int(connection.execute(_KEY_FILE).scalar() or 0)


def _parse_url(url: str, folder: Path | None) -> URL:
    """Reads the URL of a setting; the folder is joined to its parts, never to its text."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise MalformedError("STORE_URL", "expected a URL such as 'sqlite:///node.db'") from error
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise MalformedError("STORE_URL", f"expected sqlite or postgresql+psycopg, got {parsed.drivername:.40}")
    if parsed.drivername == "sqlite" and "?" in url:
        raise MalformedError("STORE_URL", "expected the path of a SQLite file and no query: write a ? in it as %3F")
    if folder is not None and (file := _sqlite_file(parsed)) is not None:
        return parsed.set(database=str(folder.absolute() / file))
    return parsed


def _sqlite_file(url: URL) -> Path | None:
    """The file that a SQLite URL names; None in memory and for PostgreSQL."""
    named = url.drivername == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if named else None


def _make_private(file: Path) -> None:
    """Makes the file with mode 0600, which SQLite gives to those beside it, or refuses one that others may open."""
    mode = 0
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:  # never opened here: closing it would end the locks of this process on it
        mode = file.stat().st_mode & 0o777
    except OSError:
        return  # SQLite says why
    if mode & 0o077:
        raise UntrustedError("STORE_MODE", f"expected mode 0600 of {file}, got {mode:04o}: run 'chmod 600 {file}'")


def _engines(url: URL) -> tuple[Engine, Engine]:
    return _sqlite_engines(url) if url.drivername == "sqlite" else _postgresql_engines(url)


def _sqlite_engines(url: URL) -> tuple[Engine, Engine]:
    if _sqlite_file(url) is None:
        only = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True)
        _on_connect(only, "secure_delete=ON")
        _begin_immediate(only)
        return only, only
    arguments: dict[str, bool | int] = {"check_same_thread": False, "timeout": _LOCK_SECONDS}
    writer = create_engine(url, connect_args=arguments, **_WRITER_POOL)
    reader = create_engine(url, connect_args=arguments, **_READER_POOL)
    _on_connect(
        writer,
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        f"cache_size=-{_WRITER_CACHE_KIB}",
        f"wal_autocheckpoint={_WAL_PAGES}",
    )
    _begin_immediate(writer)
    _on_connect(reader, "query_only=ON")
    return writer, reader


def _on_connect(engine: Engine, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing on its own: we say when, and how
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql_engines(url: URL) -> tuple[Engine, Engine]:
    # Everything is looked up by key; a plan prepared while a table was small would go on scanning it when it is large.
    options = f"-c lock_timeout={_LOCK_SECONDS * 1000} -c enable_seqscan=off"
    arguments = {"connect_timeout": _LOCK_SECONDS, "options": options}
    # After waiting for the head row, statements see what the other committed.
    # A server that was restarted has closed what lies in the pools: each connection is tried before it is used.
    how: dict[str, Any] = {"connect_args": arguments, "pool_pre_ping": True}
    writer = create_engine(url, isolation_level="READ COMMITTED", **how, **_WRITER_POOL)
    return writer, create_engine(url, **how, **_READER_POOL)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise translate_error(error) from error
    except sqlite3.Error as error:
        raise _translate_sqlite(error) from error


def translate_error(error: SQLAlchemyError) -> BridgeheadError:
    """Names a database error by what the caller can do; the driver's words stay in the chained cause."""
    if isinstance(error, PoolTimeoutError):
        return UnavailableError("STORE_BUSY", "all connections of the store are in use")
    if isinstance(error, DisconnectionError):
        return UnavailableError("STORE_DOWN", "the connection to the store was lost")
    if isinstance(error, DBAPIError):
        origin = error.orig
        return _translate_sqlite(origin) if isinstance(origin, sqlite3.Error) else _translate_postgresql(error)
    return CorruptError("STORE_FAULT", f"the store refused a statement ({type(error).__name__})")


def _translate_sqlite(error: sqlite3.Error) -> BridgeheadError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE_BUSY:
        return UnavailableError("STORE_BUSY", f"the store was locked by another process for {_LOCK_SECONDS} s")
    if code in _SQLITE_FULL:
        return UnavailableError("STORE_FULL", "the store can not be written: disk full, read-only or missing folder")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CorruptError("STORE_DAMAGED", "the store's file is damaged")
    return _unexpected(error)


def _translate_postgresql(error: DBAPIError) -> BridgeheadError:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in _POSTGRES_BUSY:
        return UnavailableError("STORE_BUSY", f"the log was locked by another process for {_LOCK_SECONDS} s")
    if state.startswith("53"):
        return UnavailableError("STORE_FULL", f"the store is out of disk, memory or connections (SQLSTATE {state})")
    if error.connection_invalidated or state[:2] in ("08", "57", "28", "3D") or not state:
        return UnavailableError("STORE_DOWN", f"the store can not be reached (SQLSTATE {state or 'none'})")
    if state.startswith("XX"):
        return CorruptError("STORE_DAMAGED", f"the store reports damage (SQLSTATE {state})")
    return _unexpected(error)


def _unexpected(error: Exception) -> BridgeheadError:
    return CorruptError("STORE_FAULT", f"the store contradicts itself or its tables ({type(error).__name__})")
