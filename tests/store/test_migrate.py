"""Migrations on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from federation.protocol.errors import CorruptError
from federation.store import migrate
from federation.store.blobs import find_blob
from federation.store.database import Database
from federation.store.exchange_log import load_head
from federation.store.row_check import check_records, one_state
from federation.store.tables import METADATA
from tests.store.samples import grow, run
from tests.store.test_blobs import blob_of, put


def test_check_after_upgrade_finds_no_difference(database: Database) -> None:
    """The migrations lead to exactly the tables that the code declares."""
    with database.writing() as connection:
        migrate.check(connection)


def test_check_with_a_column_missing_objects(database: Database) -> None:
    """The check would notice a migration that was forgotten."""
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE outbox DROP COLUMN last_error"))
        with pytest.raises(CorruptError) as caught:
            migrate.check(connection)
    assert caught.value.reason == "STORE_VERSION"


def test_downgrade_to_base_and_upgrade_gives_an_empty_store(database: Database) -> None:
    """The way back runs, leaves nothing of ours, and the way forth runs again."""
    grow(database, range(3))

    with database.writing() as connection:
        migrate.downgrade(connection, database.body_keys, "base")
        assert not set(inspect(connection).get_table_names()) & set(METADATA.tables)
        migrate.upgrade(connection, database.body_keys)
        migrate.check(connection)

    assert load_head(database).size == 0


def test_revisions_are_those_of_the_scripts(database: Database) -> None:
    """The constants that spare the import of Alembic name what is in the folder."""
    with database.writing() as connection:
        scripts = ScriptDirectory.from_config(migrate.alembic_config(connection))
        assert scripts.get_heads() == [migrate.HEAD_REVISION] == [migrate.find_revision(connection)]
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migrate.REVISIONS)


def test_open_of_a_newer_store_is_refused(url: str, open_store: Callable[[str], Database]) -> None:
    """A store that a newer program has migrated is not touched."""
    database = open_store(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(CorruptError) as caught:
        open_store(url)
    assert caught.value.reason == "STORE_VERSION"


def test_open_again_keeps_what_is_there(url: str, open_store: Callable[[str], Database]) -> None:
    """Opening a migrated store changes nothing."""
    grow(open_store(url), range(5))

    assert load_head(open_store(url)).size == 5


def test_blobs_from_before_their_sums_are_taken_in(url: str, open_store: Callable[[str], Database]) -> None:
    """Each opens as before, bound to all its columns, and no check names one; the way back leaves them readable, too."""
    database = open_store(url)
    run(database, put(blob_of(1)))
    for _ in range(2):
        with database.writing() as connection:
            migrate.downgrade(connection, database.body_keys, "0012")
            migrate.upgrade(connection, database.body_keys)
        found = find_blob(database, blob_of(1).id)
        assert found is not None
        assert found.content == blob_of(1).content
        with one_state(database) as connection:
            assert list(check_records(connection, database.keys)) == []
