"""The check of the rows on both databases: what was written is found whole, what was changed or is gone is named."""

from __future__ import annotations

import pytest

from federation.protocol.form import replace
from federation.store.database import Database
from federation.store.records import erase_record, put_records
from federation.store.row_check import RowFinding, adopt_rows, check_records, check_sample, one_state
from tests.store.samples import append, record_of, run


@pytest.fixture
def filled(database: Database) -> Database:
    """A leaf, then twenty records of our own and five copies; one has a second version, one was erased."""
    run(database, append(1))
    run(database, lambda tx: put_records(tx, [record_of(number) for number in range(20)]))
    run(database, append(2))
    run(database, lambda tx: put_records(tx, [record_of(number, replica=True) for number in range(5)]))
    run(database, lambda tx: put_records(tx, [record_of(3, version=2)], expect_version=1))
    run(database, lambda tx: erase_record(tx, record_of(4).kind, record_of(4).id, replica=False))
    return database


def findings(database: Database) -> list[RowFinding]:
    with one_state(database) as connection:
        return list(check_records(connection, database.keys))


def write(database: Database, statement: str) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_check_records_of_what_was_written_finds_nothing(filled: Database) -> None:
    """Nor with another leaf, another version, another erasure."""
    assert findings(filled) == []
    run(filled, append(3))
    run(filled, lambda tx: put_records(tx, [replace(record_of(5, version=2), status="revoked")], expect_version=1))
    assert findings(filled) == []
    with one_state(filled) as connection:
        assert check_sample(connection, filled.keys) == []


def test_check_records_names_what_was_changed(filled: Database) -> None:
    """One plain column of one row."""
    record = record_of(7)
    write(filled, f"UPDATE record SET status = 'other' WHERE id = '{record.id}' AND replica = false")

    assert findings(filled) == [RowFinding("changed", record.kind, record.id, 0)]


def test_check_records_tells_what_is_missing_by_kind_and_leaf(filled: Database) -> None:
    """A single row by its leaf; several by how many."""
    record = record_of(0)
    write(filled, f"DELETE FROM record WHERE id = '{record.id}' AND replica = true")
    assert findings(filled) == [RowFinding("missing", record.kind, leaf_index=1)]

    write(filled, "DELETE FROM record WHERE replica = true")
    assert findings(filled) == [RowFinding("missing", record.kind, leaf_index=0, count=5)]


def test_rows_of_an_earlier_version_are_marked_once(filled: Database) -> None:
    """After the first start a row without a mark is one that somebody put there."""
    write(filled, "UPDATE record SET digest = NULL, leaf_index = NULL")
    write(filled, "DELETE FROM counter WHERE name >= 'rows' AND name < 'tallz'")
    filled.counters.clear()
    assert {finding.what for finding in findings(filled)} == {"extra", "older"}

    while run(filled, adopt_rows):
        continue
    assert findings(filled) == []

    record = record_of(8)
    write(filled, f"UPDATE record SET digest = NULL WHERE id = '{record.id}' AND replica = false")
    assert run(filled, adopt_rows) == 0
    assert RowFinding("extra", record.kind, record.id) in findings(filled)
