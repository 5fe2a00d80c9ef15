"""Values in columns: times, sealed personal fields, blind indexes; what binds a record's columns; the keys of bodies.

Rules kept: times are whole milliseconds since 1970 UTC. A sealed value opens only in the column and row it was written
for (both are authenticated beside it) and names its key, so that keys are rotated without rewriting rows; what must be
destroyable for good has a random key of its own, kept apart from it; every blind index has a key of its own, derived
from one index key, and is never made over a field with few possible values.

A record's row carries the newest leaf of the log when it was written, and a digest under the index key over every plain
column and the sealed content: a changed value shows. The weights of all living rows are summed, for each kind and block
of leaves and for the whole, and the whole is marked under the head of the log: a row that was deleted, or put back with
all that was summed then, shows too, and about where. What a witness remembers is summed with them.

The keys of bodies lie in a file of their own: a copy of the database opens no body, a copy of this file holds none.
They are random and made ahead, `POOL` in one durable commit, so that each lies on the disk before the body that it
seals and no message waits for a write of its own; a key seals one body; what is destroyed is overwritten
(`secure_delete`) and goes out of the file's log of recent writes. The upper half of each key's id is the file's own
number, which the database learns with its first body: another file is refused, and a lost one is never made anew.
Trusts: the keys it is given; the one writer of a database to take keys of bodies, and the lock on the folder that each
process that writes holds. Who can write to the store can delete or restore sealed values, never make, change or move
one; who can read it learns equality of indexed values only.
Source: DESIGN section 6, NIST SP 800-38D (96-bit random nonces: at most 2^32 values a key), RFC 2104 (HMAC).
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from federation.protocol.errors import CorruptError, MalformedError, NotFoundError, UnavailableError

if TYPE_CHECKING:  # who only shows keys loads no SQL
    from sqlalchemy import Connection, Table

    from federation.store.database import Connections, Database, Head
    from federation.store.exchange_log import GroupTransaction
    from federation.store.prepared import StoredRow

VERSION = 1
"""First byte of each sealed value: AES-256-GCM with a 12-byte nonce."""

OWN_KEY_VERSION = 2
"""First byte of each value sealed under a key of its own: AES-256-GCM with a 12-byte nonce, no key id."""

INDEX_BYTES = 16
"""Length of a blind index: half a SHA-256, enough against chance, too little to be an oracle of more than equality."""

_HEADER = 3  # version byte and a two-byte key id
_NONCE = 12
_TAG = 16
_MAX_KEY_ID = 0xFFFF
KEY_BYTES = 32

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

BLOCK: Final = 64
"""So many leaves share the sums of a kind: of a single row that is missing among them, the leaf is known."""
TOTAL: Final = "rows-total"
MARK: Final = "rows-mark"
SUMS: Final = "rows/"
TALLIES: Final = "tally/"
COUNTED: Final = "rows-counters"
OF_VERSION: Final = "v"
OF_WITNESS: Final = "w"
OF_BLOB: Final = "b"
_ONE: Final = 1 << 32  # a tally counts rows above, and below sums their places in the block
_MODULUS: Final = 1 << 60  # a counter has 63 bits
UNSUMMED: Final = ("rows", TALLIES, "body-key-file")  # what sums, and what names a file that has its own number
_VERSION_PLAIN: Final = itemgetter(
    "kind", "id", "owner", "version", "status", "division", "household_division", "due_date", "sealed", "message_id",
    "leaf_index",
)  # fmt: skip
_PLAIN: Final = itemgetter(
    "replica", "kind", "id", "owner", "version", "status", "division", "household_division", "due_date", "sealed",
    "message_id", "due_millis", "leaf_index",
)  # fmt: skip


def to_millis(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    return _EPOCH + millis * _MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKeys:
    """The keys of one store: the one that seals now, older ones that still open, and the one behind all indexes.

    `key` and each of `older` are 32 bytes, named by an id from 0 to 65535. Printing one shows the ids only. Raises
    MalformedError: DATA_KEYS for a key of another length or an id out of range.
    """

    key_id: int
    key: bytes = field(repr=False)
    index_key: bytes = field(repr=False)
    older: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    _ciphers: dict[int, AESGCM] = field(init=False, repr=False, compare=False, default_factory=dict)
    _index_keys: dict[str, bytes] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.index_key) != 32:
            raise MalformedError("DATA_KEYS", f"expected an index key of 32 bytes, got {len(self.index_key)}")
        for key_id, key in {**self.older, self.key_id: self.key}.items():
            if not 0 <= key_id <= _MAX_KEY_ID or len(key) != 32:
                raise MalformedError("DATA_KEYS", f"expected 32 bytes under an id of two bytes, got {len(key)}")
            self._ciphers[key_id] = AESGCM(key)


def seal(keys: DataKeys, column: str, plaintext: bytes, *, row_key: str) -> bytes:
    """Seals a value for one column (`table.column`) of one row; each call gives other bytes."""
    nonce = os.urandom(_NONCE)
    sealed = keys._ciphers[keys.key_id].encrypt(nonce, plaintext, _bound_to(column, row_key))  # noqa: SLF001  # this module is the class
    return VERSION.to_bytes(1) + keys.key_id.to_bytes(2) + nonce + sealed


def unseal(keys: DataKeys, column: str, sealed: bytes, *, row_key: str) -> bytes:
    """Opens what `seal` gave for the same column and row. Raises CorruptError SEALED_VALUE."""
    cipher = keys._ciphers.get(int.from_bytes(sealed[1:_HEADER]))  # noqa: SLF001  # this module is the class
    if len(sealed) < _HEADER + _NONCE + _TAG or sealed[0] != VERSION or cipher is None:
        raise CorruptError("SEALED_VALUE", f"expected a value of {column} sealed with a key of ours", column=column)
    try:
        return cipher.decrypt(
            sealed[_HEADER : _HEADER + _NONCE], sealed[_HEADER + _NONCE :], _bound_to(column, row_key)
        )
    except InvalidTag as error:
        raise CorruptError("SEALED_VALUE", f"a value of {column} was changed or moved", column=column) from error


def seal_apart(key: bytes, column: str, plaintext: bytes, *, row_key: str) -> bytes:
    """Seals a value of one row under a key of its own, which can be destroyed apart."""
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, plaintext, _bound_to(column, row_key))
    return OWN_KEY_VERSION.to_bytes(1) + nonce + sealed


def unseal_apart(key: bytes, column: str, sealed: bytes, *, row_key: str) -> bytes:
    """Opens what `seal_apart` gave for the same key, column and row (SEALED_VALUE)."""
    if len(sealed) < 1 + _NONCE + _TAG or sealed[0] != OWN_KEY_VERSION or len(key) != KEY_BYTES:
        raise CorruptError("SEALED_VALUE", f"expected a value of {column} sealed under its own key", column=column)
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bound_to(column, row_key))
    except InvalidTag as error:
        raise CorruptError("SEALED_VALUE", f"a value of {column} was changed or moved", column=column) from error


def blind_index(keys: DataKeys, column: str, normalised: str) -> bytes:
    """Computes the 16 bytes under which an exact, already normalised value of that column is found again."""
    column_key = keys._index_keys.get(column)  # noqa: SLF001  # this module is the class
    if column_key is None:
        column_key = hmac.digest(keys.index_key, column.encode(), "sha256")
        keys._index_keys[column] = column_key  # noqa: SLF001
    return hmac.digest(column_key, normalised.encode(), "sha256")[:INDEX_BYTES]


def _bound_to(column: str, row_key: str) -> bytes:
    """The authenticated data: column names hold no NUL, so no two (column, row) pairs give the same bytes."""
    return f"{column}\0{row_key}".encode()


@dataclass(frozen=True, slots=True)
class Mark:
    """A row as the sums of its kind have it; `of` is 0 for a record of our own, 1 for a copy, v for a version.

    It is w for a row of the witness and b for one of a blob, which came with no leaf.
    """

    of: str
    kind: str
    leaf_index: int
    digest: bytes

    @property
    def block(self) -> str:
        return f"{self.of}/{self.kind}/{self.leaf_index // BLOCK}"

    @property
    def tally(self) -> int:
        return _ONE + self.leaf_index % BLOCK


def digest_row(keys: DataKeys, row: StoredRow) -> bytes:
    """Computes the 16 bytes that bind every column of a record's row, or of a version's, together."""
    content = hashlib.sha256(row["content"]).digest()
    # JSON has one spelling of a word, whether it is written as a member of an enumeration or read as text.
    if "replica" not in row:
        return blind_index(keys, "record_version.digest", msgspec.json.encode((_VERSION_PLAIN(row), content)).decode())
    subject = row["subject_index"]
    sealed = (None if subject is None else bytes(subject), content)
    return blind_index(keys, "record.digest", msgspec.json.encode((_PLAIN(row), sealed)).decode())


def mark_of(row: StoredRow) -> Mark | None:
    """The mark of a stored row; None for one that has none."""
    digest, leaf_index = row["digest"], row["leaf_index"]
    if not isinstance(digest, bytes) or not isinstance(leaf_index, int):
        return None
    return Mark(f"{bool(row['replica']):d}" if "replica" in row else OF_VERSION, row["kind"], leaf_index, digest)


def mark_plain_row(keys: DataKeys, table: Table, row: StoredRow, *, of: str) -> Mark:
    values = repr([row[column.name] for column in table.columns])  # spells a text otherwise than the same bytes
    digest = blind_index(keys, f"{table.name}.digest", values)
    return Mark(of, table.name.replace("_", "-"), 0, digest)


def weigh(keys: DataKeys, mark: Mark) -> int:
    """Computes what nobody without the key can: the weight of a row in the sums."""
    return int.from_bytes(blind_index(keys, "record.sum", mark.digest.hex())[:8]) % _MODULUS


def add(weights: int, more: int) -> int:
    return (weights + more) % _MODULUS


def split_tally(tally: int) -> tuple[int, int]:
    """Returns the number of rows, and the sum of the places of their leaves in the block."""
    return tally // _ONE, tally % _ONE


def change_sums(
    keys: DataKeys, counter: Callable[[str], int], *, added: Iterable[Mark], removed: Iterable[Mark] = ()
) -> dict[str, int]:
    """Returns the sums and tallies that change by these rows, with their new values."""
    changed: dict[str, int] = {}
    for sign, marks in ((1, added), (-1, removed)):
        for mark in marks:
            weight = sign * weigh(keys, mark)
            for name in (SUMS + mark.block, TOTAL):
                changed[name] = add(changed[name] if name in changed else counter(name), weight)
            tally = TALLIES + mark.block
            changed[tally] = (changed[tally] if tally in changed else counter(tally)) + sign * mark.tally
    return changed


def note_rows(transaction: GroupTransaction, *, added: Sequence[Mark], removed: Sequence[Mark]) -> None:
    """Brings the sums up to what a transaction writes and deletes."""
    for name, value in change_sums(transaction.keys, transaction.find_counter, added=added, removed=removed).items():
        transaction.set_counter(name, value)


def is_summed(name: str) -> bool:
    """Returns True for a counter that quotas, flags and numbers stand on, so that `COUNTED` sums it."""
    return not name.startswith(UNSUMMED)


def weigh_counter(keys: DataKeys, name: str, value: object) -> int:
    return int.from_bytes(blind_index(keys, "counter.sum", f"{name}={value}")[:8]) % _MODULUS


def mark_head(keys: DataKeys, counters: Callable[[str], int], head: Head) -> int:
    """Computes the mark of all rows and counters beside a head of the log, never 0."""
    text = f"{counters(TOTAL)}/{counters(COUNTED)}/{head.size}/{head.root.hex()}"
    return 1 + int.from_bytes(blind_index(keys, "record.mark", text)[:8]) % (_MODULUS - 1)


def fits_head(keys: DataKeys, counters: Mapping[str, int], head: Head) -> bool:
    """Returns True when the sums of all rows and counters are those that were marked with that head."""
    return not head.size or counters.get(MARK) == mark_head(keys, lambda name: counters.get(name, 0), head)


BodyKey: TypeAlias = tuple[int, bytes]
"""A key's id, by which a body names it, and the key."""

POOL: Final = 128
KEY_FILE: Final = "body-key-file"
"""The counter by which a database knows the number of the file that holds its keys; 0 before the first body."""

BLOBS: Final = "blobs"
"""The folder, beside the keys, of what is too large for a row; a file is named by the key that it is sealed under."""

_KEY_COLUMN: Final = "body_key.sealed_key"
_NUMBER_BITS: Final = 32
_KEY_PAGE: Final = 5_000
_KEY_TABLES: Final = (
    "CREATE TABLE body_key (id INTEGER PRIMARY KEY AUTOINCREMENT, sealed_key BLOB NOT NULL)",
    "CREATE TABLE pool (first_id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL)",
)
_KEY_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'body_key'"
_LAST_KEY = "SELECT seq FROM sqlite_sequence WHERE name = 'body_key'"


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
            if connection.exec_driver_sql(_KEY_TABLE).first() is None:
                for statement in _KEY_TABLES:
                    connection.exec_driver_sql(statement)
                first = secrets.randbelow(2**30) + 1 << _NUMBER_BITS
                connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES ('body_key', ?)", (first,))
            self.number = _last_key(connection) >> _NUMBER_BITS
        if not is_new:
            self.require_named(named)
        self._join_writers()

    def open_to_read(self, named: int) -> None:
        """Opens the file beside whoever writes; nothing is made (BODY_KEYS_MISSING, BODY_KEYS_OTHER)."""
        self.require_there(named)
        if self.file is not None and not self.file.exists():
            return
        with self._connections.reading() as connection:
            self.number = _last_key(connection) >> _NUMBER_BITS
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
        statement = "SELECT id, sealed_key FROM body_key WHERE id = ?"
        with self._connections.reading() as connection:
            driver: Any = connection.connection.driver_connection  # always SQLite's, and the short way to it
            rows = [row for key_id in ids for row in driver.execute(statement, (key_id,)).fetchall()]
        return {key_id: unseal(self.keys, _KEY_COLUMN, sealed, row_key=str(key_id)) for key_id, sealed in rows}

    def add(self, made: Sequence[bytes]) -> list[int]:
        """Stores keys that bodies have already; returns their ids once that is durable."""
        with self._connections.writing() as connection:
            return self._insert(connection, made)

    def destroy(self, ids: Sequence[int]) -> bool:
        """Destroys keys for good, then the files that are sealed under them (STORE_FULL).

        True once no copy of a key is left in the file or in its log of recent writes.
        """
        if ids:
            with self._connections.writing() as connection:
                connection.exec_driver_sql("DELETE FROM body_key WHERE id = ?", [(key_id,) for key_id in ids])
        is_off = self._connections.empty_log()
        if self.file is not None:
            for key_id in ids:
                _unlink(self.sealed_file(key_id))
        return is_off

    def made(self, key_id: int) -> bool:
        """True for the id of a key of this very file, destroyed or not."""
        return key_id >> _NUMBER_BITS == self.number

    def sealed_file(self, key_id: int) -> Path:
        """The place of a blob that is sealed under that key. Raises UnavailableError: BLOBS_NOWHERE in memory."""
        if self.file is None:
            raise UnavailableError("BLOBS_NOWHERE", "a store in memory keeps no blobs")
        return self.file.parent / BLOBS / str(key_id)

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
            last = _last_key(connection) if until is None else until
            pools = [] if until else connection.exec_driver_sql("SELECT first_id, last_id FROM pool").all()
        while ids := self._ids(after, last):
            found = set(ids) - database.named_keys(ids[0], ids[-1])
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
        first = _last_key(connection) + 1
        ids = list(range(first, first + len(made)))
        rows = [
            (key_id, seal(self.keys, _KEY_COLUMN, key, row_key=str(key_id)))
            for key_id, key in zip(ids, made, strict=True)
        ]
        if rows:
            connection.exec_driver_sql("INSERT INTO body_key (id, sealed_key) VALUES (?, ?)", rows)
        return ids

    def _ids(self, after: int, last: int) -> list[int]:
        statement = "SELECT id FROM body_key WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
        with self._connections.reading() as connection:
            return list(connection.exec_driver_sql(statement, (after, last, _KEY_PAGE)).scalars())

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
                self._left_until = _last_key(connection)
        fcntl.flock(self._folder, fcntl.LOCK_SH)


def _unlink(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError("STORE_FULL", f"the file {file.name} of a blob can not be removed") from error


def _last_key(connection: Connection) -> int:
    """The highest id that was ever given."""
    return int(connection.exec_driver_sql(_LAST_KEY).scalar_one())
