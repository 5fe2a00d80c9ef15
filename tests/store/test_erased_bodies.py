"""Bodies under keys of their own: what erasing destroys, what a copy still opens, what scrubbing takes off the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.protocol.errors import CorruptError, NotFoundError
from federation.store import migrate
from federation.store.columns import seal
from federation.store.database import Database
from federation.store.exchange_log import commit_group
from federation.store.messages import (
    _encode_body,  # the form that bodies had before they had keys of their own
    erase_body,
    find_body,
    list_held,
    load_body,
    load_pending,
    open_body,
    put_body,
)
from tests.store.samples import JIANGXI, KEYS, NOW, body_of, message_id_of, run, send


def _stored(database: Database, table: str, column: str, number: int = 1) -> bytes:
    with database.reading() as connection:
        statement = f"SELECT {column} FROM {table} WHERE message_id = :id"
        return bytes(connection.execute(text(statement), {"id": message_id_of(number)}).scalar_one())


def test_body_opens_with_its_own_key_only(database: Database) -> None:
    """A copy of the sealed value, as a backup holds it, opens with no key of the column."""
    run(database, send(1))
    content = _stored(database, "message_body", "content")

    with pytest.raises(CorruptError, match="SEALED_VALUE"):
        open_body(KEYS, message_id_of(1), content, sealed_key=None)
    assert open_body(
        KEYS, message_id_of(1), content, sealed_key=_stored(database, "body_key", "sealed_key")
    ) == body_of(1)


def test_bodies_of_two_messages_have_different_keys(database: Database) -> None:
    """The key of one body opens no other."""
    commit_group(database, [send(1), send(2)], now=NOW)

    with pytest.raises(CorruptError, match="SEALED_VALUE"):
        open_body(
            KEYS,
            message_id_of(1),
            _stored(database, "message_body", "content", 1),
            sealed_key=_stored(database, "body_key", "sealed_key", 2),
        )


def test_erase_body_destroys_its_key_too(database: Database) -> None:
    """Once erased, a copy of the sealed value opens with nothing that is left in the store."""
    run(database, send(1))
    copy = _stored(database, "message_body", "content")

    run(database, lambda tx: erase_body(tx, message_id_of(1)))

    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM body_key")).scalar_one() == 0
    with database.writing() as connection:
        put_back = "INSERT INTO message_body (message_id, content) VALUES (:id, :copy)"
        connection.execute(text(put_back), {"id": message_id_of(1), "copy": copy})
    with pytest.raises(CorruptError, match="SEALED_VALUE"):
        load_body(database, message_id_of(1))


def test_find_body_of_an_erased_message_is_none(database: Database) -> None:
    """Erased, or never there, is no fault of the store."""
    run(database, send(1))
    assert find_body(database, message_id_of(1)) == body_of(1)

    run(database, lambda tx: erase_body(tx, message_id_of(1)))

    assert find_body(database, message_id_of(1)) is None
    with pytest.raises(NotFoundError, match="BODY"):
        load_body(database, message_id_of(1))


def test_body_from_before_keys_of_their_own_still_opens_and_is_delivered(database: Database) -> None:
    """A store that grew under the first tables keeps its bodies readable."""
    run(database, send(1))
    with database.writing() as connection:
        content = seal(KEYS, "message_body.content", _encode_body(body_of(1)), row_key=message_id_of(1))
        connection.execute(text("UPDATE message_body SET content = :content"), {"content": content})
        connection.execute(text("DELETE FROM body_key"))

    assert load_body(database, message_id_of(1)) == body_of(1)
    assert load_pending(database, JIANGXI, after_seq=0, limit=1, max_bytes=1)[0].body == body_of(1)
    assert run(database, lambda tx: erase_body(tx, message_id_of(1))) is True


def test_upgrade_from_the_first_tables_keeps_bodies(database: Database) -> None:
    """The migration adds the table of keys beside what is there; the way back gives up what only they open."""
    run(database, lambda tx: put_body(tx, message_id_of(1), body_of(1)))
    with database.writing() as connection:
        old = seal(KEYS, "message_body.content", _encode_body(body_of(2)), row_key=message_id_of(2))
        insert = "INSERT INTO message_body (message_id, content) VALUES (:id, :content)"
        connection.execute(text(insert), {"id": message_id_of(2), "content": old})

    with database.writing() as connection:
        migrate.downgrade(connection, "0001")
        migrate.upgrade(connection)

    assert find_body(database, message_id_of(1)) is None
    assert load_body(database, message_id_of(2)) == body_of(2)


def test_scrub_leaves_neither_key_nor_body_in_the_files(
    sqlite_path: Path, open_store: Callable[[str], Database]
) -> None:
    """After an erasure and a scrub the very bytes are gone from the file and from its write-ahead log."""
    database = open_store(f"sqlite:///{sqlite_path}")
    run(database, send(1))
    traces = [_stored(database, "message_body", "content"), _stored(database, "body_key", "sealed_key")]
    assert all(trace in _files(sqlite_path) for trace in traces)

    run(database, lambda tx: erase_body(tx, message_id_of(1)))
    database.scrub()

    assert not any(trace[3:] in _files(sqlite_path) for trace in traces)


def test_scrub_runs_on_each_database_and_changes_nothing_else(database: Database) -> None:
    """What is not erased is there as before."""
    run(database, send(1))

    database.scrub()

    assert load_body(database, message_id_of(1)) == body_of(1)


def _files(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


def test_list_held_gives_messages_whose_body_is_here_in_the_order_of_their_leaves(database: Database) -> None:
    """Behind a leaf, of the kinds named, page by page; what was erased is left out."""
    for number in (3, 1, 2, 4):
        run(database, send(number))
    run(database, lambda tx: erase_body(tx, message_id_of(1)))

    found = list_held(database, ("permit.sync",), after_leaf=-1, limit=9)

    assert [message.id for message in found] == [message_id_of(3), message_id_of(2), message_id_of(4)]
    first = list_held(database, ("permit.sync",), after_leaf=-1, limit=1)
    assert list_held(database, ("permit.sync",), after_leaf=first[0].leaf_index, limit=9) == found[1:]
    assert list_held(database, ("lookup.search",), after_leaf=-1, limit=9) == []
