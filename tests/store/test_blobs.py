"""Blobs: chunks in a file under a key of their own, what they die with, and the room that they take."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.protocol.errors import BridgeheadError, ConflictError, CorruptError, NotFoundError, UnavailableError
from federation.protocol.form import replace
from federation.store.blobs import (
    LEAST_BYTES,
    Blob,
    BlobFile,
    Room,
    blobs_of,
    blobs_of_nobody,
    change_blob,
    erase_blob,
    erase_blobs_of,
    find_blob,
    put_blob,
    room_taken,
)
from federation.store.columns import BLOBS, POOL
from federation.store.database import Database, open_database
from federation.store.exchange_log import GroupTransaction
from tests.store.samples import KEYS, NOW, digest_of, run

CHUNK, BESIDE = 4096, 32
SIZE = 2 * CHUNK + 100
ROOM = Room(each=10 * LEAST_BYTES, all=20 * LEAST_BYTES)
CHUNKS = [bytes(BESIDE) + bytes([number]) * length for number, length in enumerate((CHUNK, CHUNK, 100))]


def blob_of(number: int = 1, *, owner: str = "", charged: str = "zhejiang/330822/court", size: int = SIZE) -> Blob:
    """An invented blob."""
    begun = NOW + timedelta(seconds=number)
    return Blob(id=f"{number:032}", owner=owner, charged=charged, size_bytes=size, begun=begun, content=b"manifest")


def put(blob: Blob, room: Room = ROOM) -> Callable[[GroupTransaction], None]:
    """The job that writes a blob's row."""
    return lambda transaction: put_blob(transaction, blob, room=room)


def file_of(database: Database, number: int = 1) -> BlobFile:
    """The file of an invented blob."""
    return BlobFile(database, f"{number:032}", size=SIZE, chunk_size=CHUNK, beside=BESIDE)


def filled(database: Database, number: int = 1, owner: str = "") -> tuple[BlobFile, Path]:
    """A whole blob, and where it lies."""
    run(database, put(blob_of(number, owner=owner)))
    file = file_of(database, number)
    for at, chunk in enumerate(CHUNKS):
        file.append(at, chunk, bytes.fromhex(digest_of(at)))
    found = find_blob(database, f"{number:032}")
    assert found is not None
    return file, database.body_keys.sealed_file(found.key_id)


def test_chunks_are_read_as_they_were_written(database: Database) -> None:
    """In order, each once; a repeat changes nothing; the row opens again with what was put."""
    file, path = filled(database)

    assert [file.read(number) for number in range(3)] == CHUNKS
    assert file.append(1, b"other", bytes(32)) == 3 == file.count()
    assert file.hashes() == [bytes.fromhex(digest_of(number)) for number in range(3)]
    assert path.stat().st_size == file.whole_bytes
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    found = find_blob(database, blob_of().id)
    assert found is not None
    assert replace(found, key_id=0) == blob_of()
    with file.open() as content:
        assert content.read() == b"".join(chunk[BESIDE:] for chunk in CHUNKS)
        content.seek(CHUNK - 1)
        assert content.read(2) == b"\x00\x01"


def test_a_chunk_comes_in_its_turn(database: Database) -> None:
    """A gap is refused with what is expected next; what is not here yet is not found."""
    run(database, put(blob_of()))
    file = file_of(database)

    with pytest.raises(ConflictError) as caught:
        file.append(1, CHUNKS[1], bytes(32))
    assert (caught.value.reason, caught.value.facts) == ("BLOB_ORDER", {"count": 0})
    with pytest.raises(NotFoundError):
        file.read(0)
    assert file.count() == 0


@pytest.mark.parametrize("cut_to", [0, 10, 4096, 4189])
def test_a_chunk_that_was_cut_short_is_written_anew(database: Database, cut_to: int) -> None:
    """A crash in the middle of a write leaves the chunks before it, and the next goes over it."""
    file, path = filled(database)
    slot = 32 + 29 + BESIDE + CHUNK
    os.truncate(path, slot + cut_to)

    assert file.mend() == 1 + (cut_to == slot)
    for number in range(file.count(), 3):
        file.append(number, CHUNKS[number], bytes(32))
    assert [file.read(number) for number in range(3)] == CHUNKS


def test_a_last_chunk_that_does_not_open_is_taken_off(database: Database) -> None:
    """Length that was on the disk before its bytes were is no chunk."""
    file, path = filled(database)
    with path.open("r+b") as written:
        written.seek(-5, os.SEEK_END)
        written.write(b"\x00\x01\x02\x03\x04")

    assert file.mend() == 2 == file.count()


def test_a_chunk_opens_at_its_place_in_its_blob_only(database: Database) -> None:
    """Who can write to the folder moves no chunk within a blob or to another, and changes none."""
    file, path = filled(database)
    other, path_of_other = filled(database, 2)
    slot = 32 + 29 + BESIDE + CHUNK
    content = path.read_bytes()

    path.write_bytes(content[slot : 2 * slot] + content[:slot] + content[2 * slot :])
    path_of_other.write_bytes(content)
    for moved in (file, other):
        with pytest.raises(CorruptError) as caught:
            moved.read(0)
        assert caught.value.reason == "SEALED_VALUE"


def test_no_byte_of_a_chunk_lies_open(database: Database) -> None:
    """Neither the file nor the row shows what was put."""
    _, path = filled(database)
    assert b"\x01" * 64 not in path.read_bytes()
    with database.reading() as connection:
        assert b"manifest" not in connection.execute(text("SELECT content FROM blob")).scalar_one()


def test_erasing_destroys_the_key_and_then_the_file(database: Database) -> None:
    """After the commit and a scrub no copy of the file opens; what is another's stays; the room is free again."""
    _, path = filled(database, owner="message-1")
    kept, path_of_kept = filled(database, 2, owner="message-2")
    copy = path.read_bytes()
    key_id = int(path.name)

    assert run(database, lambda transaction: erase_blobs_of(transaction, "message-1")) == 1
    database.scrub()

    assert not path.exists()
    assert copy
    assert database.body_keys.find([key_id]) == {}
    assert find_blob(database, blob_of().id) is None
    assert (kept.count(), path_of_kept.exists()) == (3, True)
    assert room_taken(database, blob_of().charged) == Room(each=LEAST_BYTES, all=LEAST_BYTES)
    assert not run(database, lambda transaction: erase_blob(transaction, blob_of().id))


def test_a_file_that_a_crash_left_goes_with_the_next_scrub(url: str, open_store: Callable[[str], Database]) -> None:
    """Between the commit and the scrub a process may die: who opens the store next finishes it."""
    database = open_store(url)
    _, path = filled(database)
    with database.writing() as connection:  # as the commit of an erasure leaves it
        connection.execute(text("INSERT INTO dead_body_key SELECT key_id FROM blob"))
        connection.execute(text("DELETE FROM blob"))
    database.close()

    open_store(url).scrub()
    assert not path.exists()


def test_a_key_that_a_blob_names_is_no_leftover(url: str, tmp_path: Path) -> None:
    """A start destroys what no row names, and no key of a blob."""
    database = open_database(url, keys=KEYS, folder=tmp_path)
    filled(database)
    database.close()
    again = open_database(url, keys=KEYS, folder=tmp_path)
    try:
        assert again.body_keys.destroy_leftovers(again) == POOL - 1
        assert file_of(again).read(0) == CHUNKS[0]
    finally:
        again.close()


def test_the_owner_of_a_blob_is_bound_to_it(database: Database) -> None:
    """A blob that was begun is given to what carries it; nobody who can write makes it another's."""
    run(database, put(blob_of()))
    assert blobs_of_nobody(database, before=NOW + timedelta(hours=1), limit=5) == (blob_of().id,)
    assert blobs_of_nobody(database, before=NOW, limit=5) == ()

    given = replace(blob_of(), owner="entry/1", content=b"more")
    run(database, lambda transaction: change_blob(transaction, given))
    assert [replace(each, key_id=0) for each in blobs_of(database, "entry/1")] == [given]
    assert blobs_of_nobody(database, before=NOW + timedelta(hours=1), limit=5) == ()

    with database.writing() as connection:
        connection.execute(text("UPDATE blob SET owner = 'entry/2'"))
    with pytest.raises(CorruptError):
        find_blob(database, given.id)


def test_room_is_bounded_for_each_and_for_all(database: Database) -> None:
    """A small blob takes the least; who is over a bound is refused, others go on until all is taken."""
    room = Room(each=2 * LEAST_BYTES, all=3 * LEAST_BYTES)
    for number in (1, 2):
        run(database, put(blob_of(number), room))
    for number, charged in ((3, "zhejiang/330822/court"), (4, "jiangxi")):
        other = put(blob_of(number, charged=charged, size=(number - 3) * 2 * LEAST_BYTES), room)
        with pytest.raises(UnavailableError) as caught:
            run(database, other)
        assert caught.value.reason == "BLOBS_FULL"
    run(database, put(blob_of(5, charged="jiangxi"), room))
    assert room_taken(database, "jiangxi") == Room(each=LEAST_BYTES, all=3 * LEAST_BYTES)


def test_a_blob_is_put_once(database: Database) -> None:
    """The same id twice is another's."""
    run(database, put(blob_of()))
    with pytest.raises(ConflictError) as caught:
        run(database, put(blob_of()))
    assert caught.value.reason == "BLOB_ID_REUSED"


def test_a_store_in_memory_keeps_no_blob() -> None:
    """There is no folder for it."""
    database = open_database("sqlite://", keys=KEYS)
    try:
        run(database, put(blob_of()))
        with pytest.raises(BridgeheadError) as caught:
            file_of(database)
        assert caught.value.reason == "BLOBS_NOWHERE"
    finally:
        database.close()


def test_a_full_disk_is_told(database: Database) -> None:
    """A folder that cannot be written is no room."""
    run(database, put(blob_of()))
    (Path(database.body_keys.sealed_file(1)).parent.parent / BLOBS).write_text("a file in its place")
    with pytest.raises(UnavailableError) as caught:
        file_of(database).append(0, CHUNKS[0], bytes(32))
    assert caught.value.reason == "STORE_FULL"
