"""Blobs, too large for a row: in chunks, each sealed by itself, in one file under a key of its own.

Rules kept: a blob has a row before it has a file, and the row says what it dies with: erasing it destroys the key, like
that of a body, and the scrub unlinks the file once the key is gone, so that a copy of the file opens with nothing.
Chunks are written in order, each durable before it counts; one that was cut short is written anew. A chunk opens at its
own place in its own blob only, a row only with the plain columns that it was written with; rows are summed and marked
like records (`columns`). The room that blobs take is counted as it is promised, for each who is charged and for
all. Nothing here holds more than one chunk.
Trusts the caller for what a chunk is. Who can write to the folder can delete or restore chunks, never make, change or
move one. Source: DESIGN section 6.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, select, update

from federation.protocol.errors import ConflictError, CorruptError, NotFoundError, UnavailableError
from federation.protocol.ids import HASH_SIZE
from federation.store.columns import (
    BLOBS,
    OF_BLOB,
    Mark,
    from_millis,
    mark_plain_row,
    note_rows,
    seal_apart,
    to_millis,
    unseal_apart,
)
from federation.store.database import Database, Source
from federation.store.exchange_log import GroupTransaction
from federation.store.prepared import StoredRow, change_rows, read_first, read_rows, spelled
from federation.store.tables import BLOB

LEAST_BYTES: Final = 64 * 1024
"""What the smallest blob is counted as, so that small ones are bounded, too."""
_COLUMN: Final = "blob.content"
_CHUNK: Final = "blob.chunk"
_SEALED: Final = 29  # version, nonce and tag of a sealed chunk
_OF = select(BLOB).where(BLOB.c.owner == bindparam("of_owner")).order_by(BLOB.c.begun_millis)
_BEFORE = _OF.where(BLOB.c.begun_millis < bindparam("before")).limit(bindparam("most"))
_HAS = select(BLOB.c.id).where(BLOB.c.id == bindparam("of_blob"))
_IDS = select(BLOB.c.id).where(BLOB.c.id > bindparam("after")).order_by(BLOB.c.id).limit(500)
_OWN = (
    update(BLOB)
    .where(BLOB.c.id == bindparam("of_blob"))
    .values(owner=bindparam("new_owner"), content=bindparam("new_content"))
)
_ERASE = delete(BLOB).where(BLOB.c.id == bindparam("of_blob"))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Blob:
    """A blob but for its chunks; `owner` is what it dies with, empty before; `charged` has its room taken."""

    id: str
    owner: str
    charged: str
    size_bytes: int
    begun: datetime
    content: bytes
    key_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The bytes of blobs for each who is charged, and for all of the node."""

    each: int
    all: int


def put_blob(transaction: GroupTransaction, blob: Blob, *, room: Room) -> None:
    """Writes a new blob under a key of its own. Refuses BLOBS_FULL, ConflictError BLOB_ID_REUSED."""
    if transaction.careful and transaction.find_row(BLOB, blob.id) is not None:
        raise ConflictError("BLOB_ID_REUSED", f"the blob {blob.id} is there already")
    _count(transaction, blob.charged, blob.size_bytes, room=room)
    key_id, key = transaction.take_body_key()
    row = {
        "id": blob.id,
        "owner": blob.owner,
        "charged": blob.charged,
        "key_id": key_id,
        "size_bytes": blob.size_bytes,
        "begun_millis": to_millis(blob.begun),
    }
    row["content"] = _seal(key, row, blob.content)
    note_rows(transaction, added=[_mark(transaction, row)], removed=[])
    transaction.insert_row(BLOB, (blob.id,), row)


def find_blob(source: Source, blob_id: str) -> Blob | None:
    row = source.find_row(BLOB, blob_id)
    return None if row is None else _from_row(source, row)


def blobs_of(source: Source, owner: str) -> tuple[Blob, ...]:
    """Returns those that die with that message or entry."""
    with source.reading() as connection:
        rows = read_rows(connection, _OF, {"of_owner": owner})
    return tuple(_from_row(source, row) for row in rows)


def has_blob(source: Source, blob_id: str) -> bool:
    with source.reading() as connection:
        return read_first(connection, _HAS, {"of_blob": blob_id}) is not None


def each_blob(source: Source) -> Iterator[str]:
    """The ids of all blobs, read as asked for."""
    after = ""
    while True:
        with source.reading() as connection, spelled(connection):
            rows = read_rows(connection, _IDS, {"after": after})
        yield from (str(row["id"]) for row in rows)
        if not rows:
            return
        after = rows[-1]["id"]


def stray_files(database: Database) -> list[int]:
    """The keys of files of this store that no blob names, nor one that was erased a moment ago."""
    file = database.body_keys.file
    if file is None:
        return []
    names = (each.name for each in (file.parent / BLOBS).glob("*") if each.name.isdecimal())
    found = sorted(int(name) for name in names if database.body_keys.made(int(name)))
    return [key_id for key_id in found if not database.named_keys(key_id, key_id)]


def blobs_of_nobody(source: Source, *, before: datetime, limit: int) -> tuple[str, ...]:
    """The ids of those that nothing carries and that were begun before then, the oldest first."""
    with source.reading() as connection:
        names = {"of_owner": "", "before": to_millis(before), "most": limit}
        return tuple(row["id"] for row in read_rows(connection, _BEFORE, names))


def change_blob(transaction: GroupTransaction, blob: Blob) -> None:
    """Writes what a blob holds beside its chunks, and what it dies with. Raises NotFoundError: BLOB."""
    before, (_, key) = transaction.find_row(BLOB, blob.id) or {}, _key_of(transaction, blob.id)
    row = {**before, "owner": blob.owner}
    row["content"] = _seal(key, row, blob.content)
    note_rows(transaction, added=[_mark(transaction, row)], removed=[_mark(transaction, before)])
    changed = {"of_blob": blob.id, "new_owner": blob.owner, "new_content": row["content"]}
    transaction.change_rows(_OWN, BLOB, [((blob.id,), changed)])


def erase_blob(transaction: GroupTransaction, blob_id: str) -> bool:
    """Deletes a blob for good, its key and then its file after the commit; says whether there was one."""
    row = transaction.find_row(BLOB, blob_id)
    if row is None:
        return False
    with transaction.reading() as connection:
        change_rows(connection, _ERASE, [{"of_blob": blob_id}])
    _count(transaction, row["charged"], row["size_bytes"], room=None)
    note_rows(transaction, added=[], removed=[_mark(transaction, row)])
    transaction.note_erased(row["key_id"])
    return True


def erase_blobs_of(transaction: GroupTransaction, owner: str) -> int:
    """Deletes what dies with that message or entry; returns how many."""
    with transaction.reading_rows(BLOB, lambda _: True) as connection:
        found = [row["id"] for row in read_rows(connection, _OF, {"of_owner": owner})]
    return sum(erase_blob(transaction, blob_id) for blob_id in found)


def room_taken(source: Source, charged: str) -> Room:
    """The bytes that are promised by now: to that one, and to all."""
    each, everything = _names(charged)
    return Room(each=source.find_counter(each), all=source.find_counter(everything))


class BlobFile:
    """The chunks of one blob. Its methods block; they may be called from any thread and process."""

    def __init__(self, database: Database, blob_id: str, *, size: int, chunk_size: int, beside: int) -> None:
        """Finds the key. `size` is of all chunks, each of `chunk_size` but the last, with `beside` bytes more to each.

        Raises NotFoundError: BLOB. CorruptError: BODY_KEY_MISSING.
        """
        self._id, self._database = blob_id, database
        key_id, self._key = _key_of(database, blob_id)
        self._path = database.body_keys.sealed_file(key_id)
        self._size, self._beside = size, beside
        self._chunk_size = chunk_size
        self._slot = HASH_SIZE + _SEALED + beside + chunk_size
        self.chunks = -(-size // chunk_size)

    @property
    def whole_bytes(self) -> int:
        return self._size + self.chunks * (self._slot - self._chunk_size)

    def count(self) -> int:
        """Returns how many chunks, from the first on, are here."""
        try:
            return self._count(self._path.stat().st_size)
        except FileNotFoundError:
            return 0

    def append(self, number: int, chunk: bytes, chunk_hash: bytes) -> int:
        """Writes the next chunk, durable; one that is here stays. Returns the count (BLOB, BLOB_ORDER, STORE_FULL)."""
        with _translated():
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._require_there()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                count = self._count(os.fstat(descriptor).st_size)
                if number > count:
                    raise ConflictError("BLOB_ORDER", f"expected chunk {count} next, got {number}", count=count)
                if number < count:
                    return count
                sealed = seal_apart(self._key, _CHUNK, chunk, row_key=f"{self._id}/{number}")
                os.ftruncate(descriptor, number * self._slot)
                written = os.pwritev(descriptor, (chunk_hash, sealed), number * self._slot)
                if written != HASH_SIZE + len(sealed):
                    os.ftruncate(descriptor, number * self._slot)
                    raise UnavailableError("STORE_FULL", "the disk is full")
                os.fsync(descriptor)
                return number + 1
            finally:
                os.close(descriptor)

    def read(self, number: int) -> bytes:
        """One chunk. Raises NotFoundError: BLOB_CHUNK when it is not here. CorruptError: SEALED_VALUE."""
        length = min(self._chunk_size, self._size - number * self._chunk_size) + self._beside + _SEALED
        sealed = self._at(number * self._slot + HASH_SIZE, length)
        if len(sealed) != length:
            raise NotFoundError("BLOB_CHUNK", f"chunk {number} is not here")
        return unseal_apart(self._key, _CHUNK, sealed, row_key=f"{self._id}/{number}")

    def hashes(self) -> list[bytes]:
        """The hashes of all chunks that are here, in order."""
        count = self.count()
        if not count:
            return []
        with self._path.open("rb", buffering=0) as file:
            return [os.pread(file.fileno(), HASH_SIZE, number * self._slot) for number in range(count)]

    def mend(self) -> int:
        """Takes a last chunk off that a crash left unreadable; returns the count."""
        count = self.count()
        try:
            if count:
                self.read(count - 1)
        except CorruptError:
            with _translated():
                os.truncate(self._path, (count - 1) * self._slot)
            return count - 1
        return count

    def open(self) -> io.BufferedReader:
        """The content as one file to read and to seek in, without what lies beside each chunk."""
        return io.BufferedReader(_Content(self, self._size, self._chunk_size, beside=self._beside))

    def _require_there(self) -> None:
        """Leaves no file behind of a blob that was erased: it is looked for once its file is there (BLOB)."""
        if self._database.find_row(BLOB, self._id) is None:
            self._path.unlink(missing_ok=True)
            raise NotFoundError("BLOB", "expected a blob that is here: it was erased")

    def _count(self, file_bytes: int) -> int:
        return self.chunks if file_bytes >= self.whole_bytes else file_bytes // self._slot

    def _at(self, offset: int, length: int) -> bytes:
        try:
            with self._path.open("rb", buffering=0) as file:
                return os.pread(file.fileno(), length, offset)
        except FileNotFoundError:
            return b""


class _Content(io.RawIOBase):
    def __init__(self, file: BlobFile, size: int, chunk_size: int, *, beside: int) -> None:
        self._file, self._size, self._chunk_size, self._beside = file, size, chunk_size, beside
        self._position = 0
        self._known = (-1, b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # what is read into here
        number, within = divmod(self._position, self._chunk_size)
        if self._position >= self._size:
            return 0
        if self._known[0] != number:
            self._known = (number, self._file.read(number))
        found = memoryview(self._known[1])[self._beside + within :][: len(buffer)]
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)


def _count(transaction: GroupTransaction, charged: str, size_bytes: int, *, room: Room | None) -> None:
    """Takes room, or gives it back where there is no bound to keep."""
    size = max(size_bytes, LEAST_BYTES)
    bounds = (None, None) if room is None else (room.each, room.all)
    for name, bound in zip(_names(charged), bounds, strict=True):
        taken = transaction.find_counter(name)
        if bound is not None and taken + size > bound:
            raise UnavailableError("BLOBS_FULL", f"{taken} of {bound} bytes are taken: wait until some have ended")
        transaction.set_counter(name, taken + size if bound is not None else taken - size)


def _names(charged: str) -> tuple[str, str]:
    return f"blobs/of/{charged}", "blobs/all"


def _mark(source: Source, row: StoredRow) -> Mark:
    return mark_plain_row(source.keys, BLOB, row, of=OF_BLOB)


def _seal(key: bytes, row: StoredRow, content: bytes) -> bytes:
    return seal_apart(key, _COLUMN, content, row_key=_bound_to(row))


def _bound_to(row: StoredRow) -> str:
    """Binds what is sealed to all the plain columns of its row: one that is changed opens no more."""
    return "\n".join(str(row[name]) for name in ("id", "owner", "charged", "size_bytes", "begun_millis"))


def _key_of(source: Source, blob_id: str) -> tuple[int, bytes]:
    row = source.find_row(BLOB, blob_id)
    if row is None:
        raise NotFoundError("BLOB", "expected a blob that is here: it was erased, or never was")
    key = source.body_keys.find([row["key_id"]]).get(row["key_id"])
    if key is None:
        raise CorruptError("BODY_KEY_MISSING", f"the blob {blob_id} can not be read: its key is gone")
    return row["key_id"], key


def _from_row(source: Source, row: StoredRow) -> Blob:
    key = source.body_keys.find([row["key_id"]]).get(row["key_id"])
    if key is None:
        raise CorruptError("BODY_KEY_MISSING", f"the blob {row['id']} can not be read: its key is gone")
    return Blob(
        id=row["id"],
        owner=row["owner"],
        charged=row["charged"],
        size_bytes=row["size_bytes"],
        begun=from_millis(row["begun_millis"]),
        content=unseal_apart(key, _COLUMN, row["content"], row_key=_bound_to(row)),
        key_id=row["key_id"],
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError("STORE_FULL", f"the file of a blob can not be written: {error.strerror}") from error
