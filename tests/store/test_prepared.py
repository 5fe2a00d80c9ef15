"""Prepared statements give what SQLAlchemy gives, to the type; kept connections are nobody's else and whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Delete, Insert, Select, Table, Update, bindparam, func, select
from sqlalchemy.exc import OperationalError

from federation.store import blobs, exchange_log, log_reader, messages, records, witness_state
from federation.store import database as database_module
from federation.store.database import Database
from federation.store.prepared import _prepare, change_rows, insert_rows, read_first, read_row, read_rows, read_value
from federation.store.tables import COUNTER, LOG_HEAD, MESSAGE, METADATA
from tests.store.samples import JIANGXI, OUT

ANY = b"\x00\xff\x80 \xe6\xa1\xa5"
GIVEN: dict[str, Any] = {
    "is_replica": False, "of_kind": "permit", "of_id": "桥-2", "of_division": "330822", "of_subject": ANY * 2,
    "after": "", "before": "\U0010ffff", "day": date.min, "by": 2**40, "since": -1, "most": 3, "of_message": "桥-2",
    "direction": "sent", "of_pair": "zhejiang>jiangxi", "at_seq": 2, "at_leaf": 2, "subject": ANY * 2, "kind": "桥-2",
    "start": 1, "end": 9, "level": 2, "n": 2, "name": "桥-2", "of_origin": "桥-2", "in_state": "pending",
    "to_peer": "jiangxi", "until": 2**62, "last": 9, "at": "桥-2", "to": 7, "expected": 0, "next": 1, "new_size": 3,
    "new_root": ANY, "new_edge": b"", "new_time": 5, "new_note": ANY, "old_size": 2, "old_root": ANY * 2,
    "old_time": 2, "at_peer": "",
    "of_owner": "桥-2", "of_blob": "桥-2", "leaf": ANY, "proof": None, "new_state": "rejected", "error": None, "dead": 1, "key_id": 99,
    "new_owner": "fujian", "new_version": 8, "new_status": "ended", "new_division": "361123",
    "new_household_division": None, "new_due_date": date(2126, 2, 28), "new_sealed": True, "new_subject_index": None,
    "new_content": ANY, "new_message_id": None, "new_due_millis": None, "new_leaf_index": None, "new_digest": ANY,
    "ids": ["桥-1", "桥-3", 'a"b', "none"],
}  # fmt: skip
BY_TYPE: dict[str, dict[type, Any]] = {"after": {int: 0}, "before": {int: 99, date: date(2126, 3, 1)}}
"""What a name stands for where its column is of another type."""

NO_ROW = {"_MISSED", "_SUMS", "_KEY_FILE", "_NAME_KEY_FILE"}
"""Statements with a name or a state of their own, which no row of the sample has."""

OF_POSTGRESQL = {"_VERSIONS_ANY"}


def values_of(table: Table, at: int) -> dict[str, Any]:
    """A row of a table: each type of column, each column that may be null with and without a value."""
    by_type = {bytes: ANY * at, bool: bool(at % 2), date: date(2126, 2, at), int: at, str: f"桥-{at}"}
    fixed = {"division": "330822", "direction": "sent", "pair": "zhejiang>jiangxi", "state": "pending",
             "peer": "jiangxi", "replica": at > 4, "seq": at + at // 3, "level": 2}  # fmt: skip
    if "content" in table.columns:
        fixed["kind"] = "permit"
    return {
        column.name: fixed.get(
            column.name, None if column.nullable and at % 3 == 0 else by_type[column.type.python_type]
        )
        for column in table.columns
    }


def can_be_prepared(statement: Any) -> bool:
    """False for the few whose parameters are lists or whose columns have no name: they go the whole way."""
    with suppress(TypeError):
        return _prepare(statement) is not None
    return False


def statements(kinds: tuple[type, ...]) -> Iterator[Any]:
    for module in (blobs, database_module, exchange_log, log_reader, messages, records, witness_state):
        for name, statement in vars(module).items():
            if isinstance(statement, kinds) and name not in OF_POSTGRESQL and can_be_prepared(statement):
                yield pytest.param(name, statement, id=f"{module.__name__.rpartition('.')[2]}.{name}")


@pytest.fixture
def filled(sqlite_path: Path, open_store: Callable[[str], Database]) -> Database:
    database = open_store(f"sqlite:///{sqlite_path}")
    with database.writing() as connection:
        for table in METADATA.sorted_tables:
            if table is not LOG_HEAD:
                insert_rows(connection, table, [values_of(table, at) for at in range(1, 7)])
    return database


def given_for(statement: Any) -> dict[str, Any]:
    binds = [bind for bind in statement.compile().binds.values() if bind.required]
    return {bind.key: BY_TYPE.get(bind.key, {}).get(bind.type.python_type, GIVEN[bind.key]) for bind in binds}


def all_rows(connection: Connection) -> list[Any]:
    """Every row of every table as it lies there, with the type that SQLite gave each value."""
    found = []
    for table in METADATA.sorted_tables:
        columns = ", ".join(f"{column.name}, typeof({column.name})" for column in table.columns)
        found += map(
            tuple, connection.exec_driver_sql(f"SELECT '{table.name}', {columns} FROM {table.name} ORDER BY rowid")
        )
    return found


def exactly(rows: Any) -> list[list[tuple[str, type, Any]]]:
    return [[(name, type(value), value) for name, value in row.items()] for row in rows]


@pytest.mark.parametrize(("name", "statement"), [*statements((Select,))])
def test_rows_that_are_read_are_those_of_sqlalchemy(filled: Database, name: str, statement: Select[Any]) -> None:
    """Every select of the floor: the same rows in the same order, each value of the same type."""
    names = given_for(statement)

    with filled.reading() as connection:
        whole_way = connection.execute(statement, names).mappings().all()

        assert len(whole_way) > 0 or name in NO_ROW
        assert exactly(read_rows(connection, statement, names)) == exactly(whole_way)
        assert exactly([read_first(connection, statement, names) or {}]) == exactly([*whole_way, {}][:1])
        assert read_value(connection, statement, names) == connection.execute(statement, names).scalar()


@pytest.mark.parametrize(("name", "statement"), [*statements((Update, Delete, Insert))])
def test_rows_that_are_changed_are_those_of_sqlalchemy(filled: Database, name: str, statement: Any) -> None:
    """Every change of the floor leaves the same bytes in every table, and says as many rows."""
    names = given_for(statement)
    found = []

    for run in (
        lambda connection: change_rows(connection, statement, [names]),
        lambda connection: connection.execute(statement, names).rowcount,
    ):
        with pytest.raises(LookupError), filled.writing() as connection:
            found.append((run(connection), all_rows(connection)))
            raise LookupError  # undone
    with filled.reading() as connection:
        before = all_rows(connection)

    assert found[0] == found[1]
    assert found[0][1] != before or name in NO_ROW


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=str)
def test_inserted_rows_and_rows_by_key_are_those_of_sqlalchemy(filled: Database, table: Table) -> None:
    """Each table, with NULL, bytes that are no text, truths and days."""
    new = [values_of(table, at) for at in range(11, 17)]
    found = []

    for insert in (
        lambda connection: insert_rows(connection, table, new),
        lambda connection: connection.execute(table.insert(), new),
    ):
        with pytest.raises(LookupError), filled.writing() as connection:
            insert(connection)
            key = tuple(new[0][column.name] for column in table.primary_key.columns)
            named = {column.name: value for column, value in zip(table.primary_key.columns, key, strict=True)}
            whole_way = connection.execute(select(table).filter_by(**named)).mappings().one()
            row = read_row(connection, table, key)
            assert row is not None
            assert exactly([row]) == exactly([whole_way])
            found.append(all_rows(connection))
            raise LookupError

    assert found[0] == found[1]


def test_key_that_no_row_has_gives_none(filled: Database) -> None:
    """Absence is None, no error."""
    with filled.reading() as connection:
        assert read_row(connection, MESSAGE, ("sent", "none")) is None
        assert (
            read_first(connection, select(COUNTER).where(COUNTER.c.name == bindparam("name")), {"name": "no"}) is None
        )


@pytest.mark.parametrize(
    "statement",
    [
        select(COUNTER).where(COUNTER.c.name.in_(bindparam("names", expanding=True))),
        select(func.count()).select_from(COUNTER),
    ],
)
def test_statement_without_one_text_or_names_is_refused(filled: Database, statement: Select[Any]) -> None:
    """Nothing else would run it as it was meant."""
    with filled.reading() as connection, pytest.raises(TypeError, match="expected a statement"):
        read_rows(connection, statement, {"names": ["a"]})


def test_connection_that_failed_is_not_kept(filled: Database) -> None:
    """The next reader gets one that nothing happened to, and never one in use."""
    kept = filled._reader
    with filled.reading() as connection:
        first = connection
    with filled.reading() as connection:
        assert connection is first
        with filled.reading() as beside:
            assert beside is not first

    with pytest.raises(OperationalError), kept.borrowed() as connection:
        connection.exec_driver_sql("SELECT nothing FROM nowhere")

    assert connection.closed
    assert not any(each.closed for each in kept._spare)


def test_closed_database_keeps_no_connection(filled: Database) -> None:
    """Nor one that was in use meanwhile."""
    with filled.reading() as connection:
        filled.close()

    assert connection.closed
    assert filled._reader._spare == filled._writer._spare == []


def test_statement_is_prepared_once_whatever_it_is_asked(filled: Database) -> None:
    """One that is made anew for each call would be written anew, too, and push out the others."""

    def ask(at: int) -> None:
        records.find_by_subject(filled, "permit", f"subject {at}", limit=at or None)
        records.list_range(filled, "permit", records.ids_under(str(at)), limit=at, replica=False)
        records.list_versions(filled, "permit", f"id {at}")
        messages.load_pending(filled, JIANGXI, after_seq=at + 99, limit=at, max_bytes=at)
        messages.pair_state(filled, "sent", OUT)
        log_reader.load_checkpoints(filled, at, at)

    ask(0)
    before = _prepare.cache_info().misses
    for at in range(1, 4):
        ask(at)

    assert _prepare.cache_info().misses == before
