"""Bodies under keys in another file: what erasing destroys, what each file gives alone, what a scrub takes off the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.protocol.errors import CorruptError, NotFoundError, UntrustedError
from federation.store.columns import POOL
from federation.store.database import Database, open_database, open_to_read
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.store.messages import erase_body, find_body, has_body, load_body, load_pending, open_body
from tests.store.samples import JIANGXI, KEYS, NOW, body_of, message_id_of, run, send

Open = Callable[[str], Database]


def _row(database: Database, number: int = 1) -> tuple[int, bytes]:
    """The id of a body's key, and the sealed body."""
    with database.reading() as connection:
        statement = text("SELECT key_id, content FROM message_body WHERE message_id = :id")
        key_id, content = connection.execute(statement, {"id": message_id_of(number)}).one()
    return key_id, bytes(content)


def _erase(number: int) -> Callable[[GroupTransaction], bool]:
    return lambda transaction: erase_body(transaction, message_id_of(number))


def _key_ids(database: Database) -> list[int]:
    """The ids in the file of the keys."""
    with closing(sqlite3.connect(database.body_keys.file)) as connection:
        return [key_id for (key_id,) in connection.execute("SELECT id FROM body_key")]


def _unnamed(database: Database) -> int:
    """How many keys are there, outside the pools, that no body names."""
    return sum(map(len, database.body_keys.each_unnamed(database)))


def _files(path: Path) -> bytes:
    """All that the two files, and what lies beside them, hold."""
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.stem}.*"))


def test_body_opens_with_its_own_key_only(database: Database) -> None:
    """The key of one body opens no other."""
    commit_group(database, [send(1), send(2)], now=NOW)
    (first, content), (second, _) = _row(database, 1), _row(database, 2)
    keys = database.body_keys.find([first, second])

    assert open_body(keys[first], message_id_of(1), content) == body_of(1)
    with pytest.raises(CorruptError, match="SEALED_VALUE"):
        open_body(keys[second], message_id_of(1), content)


def test_no_key_lies_in_the_database(sqlite_path: Path, open_store: Open) -> None:
    """What the column's keys open in the file of the keys is nowhere in that of the bodies, and the other way round."""
    database = open_store(f"sqlite:///{sqlite_path}")
    run(database, send(1))
    key_id, content = _row(database)
    database.close()
    key_file = sqlite_path.with_name("node.body_keys.db")
    with closing(sqlite3.connect(key_file)) as connection:
        (sealed,) = connection.execute("SELECT sealed_key FROM body_key WHERE id = ?", (key_id,)).fetchone()

    assert sealed in key_file.read_bytes()
    assert sealed not in sqlite_path.read_bytes()
    assert content in sqlite_path.read_bytes()
    assert content not in key_file.read_bytes()


def test_erased_body_opens_with_nothing_that_is_left(database: Database) -> None:
    """An older copy of the sealed body, put back in its place, has no key any more, and no scrub forgot one."""
    run(database, send(1))
    key_id, copy = _row(database)

    run(database, _erase(1))
    database.scrub()

    assert key_id not in _key_ids(database)
    with database.writing() as connection:
        assert connection.execute(text("SELECT count(*) FROM dead_body_key")).scalar_one() == 0
        put_back = "INSERT INTO message_body (message_id, key_id, content) VALUES (:id, :key_id, :copy)"
        connection.execute(text(put_back), {"id": message_id_of(1), "key_id": key_id, "copy": copy})
    with pytest.raises(CorruptError, match="BODY_KEY_MISSING"):
        load_body(database, message_id_of(1))
    (pending,) = load_pending(database, JIANGXI, after_seq=0, limit=1, max_bytes=1)
    assert pending.body is None
    assert "BODY_KEY_MISSING" in pending.fault
    assert has_body(database, message_id_of(1))
    assert run(database, _erase(1)), "what can not be read can be erased"


def test_find_body_of_an_erased_message_is_none(database: Database) -> None:
    """Erased, or never there, is no fault of the store."""
    run(database, send(1))
    assert find_body(database, message_id_of(1)) == body_of(1)

    assert run(database, _erase(1)) is True

    assert find_body(database, message_id_of(1)) is None
    assert not has_body(database, message_id_of(1))
    assert run(database, _erase(1)) is False
    with pytest.raises(NotFoundError, match="BODY"):
        load_body(database, message_id_of(1))


def test_body_that_is_erased_between_its_row_and_its_key_is_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that was overtaken is told what is true now, and no fault."""
    run(database, send(1))
    find = database.body_keys.find

    def overtaken(ids: list[int]) -> dict[int, bytes]:
        run(database, _erase(1))
        database.scrub()
        return find(ids)

    monkeypatch.setattr(database.body_keys, "find", overtaken)

    assert find_body(database, message_id_of(1)) is None


def test_keys_are_made_ahead_and_each_is_used_once(database: Database) -> None:
    """More bodies than a pool holds, in one group and in many; what a failed group took is given back."""
    commit_group(database, [send(number) for number in range(1, POOL + 3)], now=NOW)
    assert commit_group(database, [send(1), send(POOL + 3)], now=NOW).outcomes[1] == POOL + 3
    run(database, send(POOL + 4))

    with database.reading() as connection:
        ids = list(connection.execute(text("SELECT key_id FROM message_body ORDER BY message_id")).scalars())
    assert ids == list(range(ids[0], ids[0] + POOL + 4))
    assert len(_key_ids(database)) == 2 * POOL
    assert _unnamed(database) == 0


def test_keys_that_a_stopped_process_left_are_destroyed_by_the_next(url: str, open_store: Open) -> None:
    """Its pool, once; never those of a body, nor those of whoever works beside it."""
    first = open_store(url)
    run(first, send(1))
    beside = open_store(url)
    assert beside.body_keys.destroy_leftovers(beside) == 0, "the first is still at work"
    first.close()
    beside.close()

    next_one = open_store(url)
    run(next_one, send(2))

    assert next_one.body_keys.destroy_leftovers(next_one) == POOL - 1
    assert next_one.body_keys.destroy_leftovers(next_one) == 0
    assert load_body(next_one, message_id_of(1)) == body_of(1)
    run(next_one, send(3))
    assert [load_body(next_one, message_id_of(number)) for number in (2, 3)] == [body_of(2), body_of(3)]
    assert len(_key_ids(next_one)) == POOL + 1
    assert _unnamed(next_one) == 0


def test_key_of_an_erased_body_that_came_back_from_a_backup_is_named_and_destroyed(
    sqlite_path: Path, open_store: Open
) -> None:
    """An older copy of the file of keys beside today's database: a check names the key, the next process destroys it."""
    url, key_file = f"sqlite:///{sqlite_path}", sqlite_path.with_name("node.body_keys.db")
    database = open_store(url)
    commit_group(database, [send(number) for number in range(1, POOL * 2 + 2)], now=NOW)
    key_id, _ = _row(database)
    database.close()
    older = key_file.read_bytes()
    database = open_store(url)
    run(database, _erase(1))
    assert key_id not in _key_ids(database)
    database.close()
    key_file.write_bytes(older)

    database = open_store(url)
    beside = open_to_read(url, keys=KEYS)

    assert list(beside.body_keys.each_unnamed(beside)) == [[key_id]]
    beside.close()
    database.body_keys.destroy_leftovers(database)
    assert key_id not in _key_ids(database)
    assert load_body(database, message_id_of(2)) == body_of(2)


def test_scrub_that_died_after_the_keys_is_done_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids of dead keys stay until they are destroyed; a repeat destroys nothing else."""
    commit_group(database, [send(1), send(2)], now=NOW)
    with monkeypatch.context() as patched:
        patched.setattr(database.body_keys, "destroy", lambda _ids: False)
        run(database, lambda tx: erase_body(tx, message_id_of(1)))
    key_id, _ = _row(database, 2)
    with database.writing() as connection:  # as if it had died before it forgot the id
        connection.execute(text("DELETE FROM dead_body_key"))
        connection.execute(text("INSERT INTO dead_body_key (key_id) VALUES (:id)"), {"id": key_id - 1})

    database.scrub()

    assert not database.is_scrub_due
    assert key_id - 1 not in _key_ids(database)
    assert load_body(database, message_id_of(2)) == body_of(2)


def test_scrub_stays_due_while_a_reader_holds_the_log_of_the_keys(sqlite_path: Path, open_store: Open) -> None:
    """What another process still reads of the file of keys is not off the disk."""
    database = open_store(f"sqlite:///{sqlite_path}")
    run(database, send(1))
    with closing(sqlite3.connect(sqlite_path.with_name("node.body_keys.db"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM body_key").fetchone()
        run(database, _erase(1))
        assert database.is_scrub_due
        reader.execute("COMMIT")

    database.scrub()

    assert not database.is_scrub_due


def test_lost_file_of_keys_is_never_made_anew_in_silence(url: str, open_store: Open) -> None:
    """Neither by a node nor by whoever looks; an empty file says that the keys are lost, and the store goes on."""
    database = open_store(url)
    key_file = database.body_keys.file
    run(database, send(1))
    database.close()
    key_file.unlink()

    for open_one in (open_store, lambda address: open_to_read(address, keys=KEYS, folder=key_file.parent)):
        with pytest.raises(NotFoundError) as caught:
            open_one(url)
        assert caught.value.reason == "BODY_KEYS_MISSING"
        assert not key_file.exists()

    key_file.touch(mode=0o600)
    database = open_store(url)
    with pytest.raises(CorruptError, match="BODY_KEY_MISSING"):
        load_body(database, message_id_of(1))
    run(database, send(2))
    assert load_body(database, message_id_of(2)) == body_of(2)
    database.close()
    assert load_body(open_store(url), message_id_of(2)) == body_of(2)


def test_file_of_keys_of_another_store_is_refused(url: str, open_store: Open, tmp_path: Path) -> None:
    """At the start, and by a process that opened it before the first body named the right one."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    early = open_database(url, keys=KEYS, folder=elsewhere) if "postgresql" in url else None
    database = open_store(url)
    run(database, send(1))
    if early is not None:
        for job in (send(2), _erase(1)):
            with pytest.raises(CorruptError, match="BODY_KEYS_OTHER"):
                run(early, job)
        run(database, _erase(1))
        with pytest.raises(CorruptError, match="BODY_KEYS_OTHER"):
            early.scrub()
        early.close()
    database.close()
    other = open_store(f"sqlite:///{elsewhere}/node.db")
    other_file = other.body_keys.file
    other.close()
    database.body_keys.file.write_bytes(other_file.read_bytes())

    with pytest.raises(CorruptError) as caught:
        open_store(url)
    assert caught.value.reason == "BODY_KEYS_OTHER"


def test_file_of_keys_is_for_its_owner_alone(url: str, open_store: Open) -> None:
    """One that others may read is refused, as the store is."""
    database = open_store(url)
    database.close()
    database.body_keys.file.chmod(0o640)

    with pytest.raises(UntrustedError) as caught:
        open_store(url)
    assert caught.value.reason == "STORE_MODE"


def test_scrub_leaves_neither_key_nor_body_in_the_files(sqlite_path: Path, open_store: Open) -> None:
    """After an erasure and a scrub the very bytes are gone from both files and from their write-ahead logs."""
    database = open_store(f"sqlite:///{sqlite_path}")
    run(database, send(1))
    key_id, content = _row(database)
    with closing(sqlite3.connect(database.body_keys.file)) as connection:
        (sealed,) = connection.execute("SELECT sealed_key FROM body_key WHERE id = ?", (key_id,)).fetchone()
    assert all(trace in _files(sqlite_path) for trace in (content, sealed))

    run(database, _erase(1))
    database.scrub()

    assert not any(trace[3:] in _files(sqlite_path) for trace in (content, sealed))


def test_scrub_runs_on_each_database_and_changes_nothing_else(database: Database) -> None:
    """What is not erased is there as before."""
    run(database, send(1))

    database.scrub()

    assert load_body(database, message_id_of(1)) == body_of(1)
