"""The check of the rows on both databases: what was written is found whole, what was changed or is gone is named."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from federation.protocol.form import replace
from federation.protocol.tlog.witness import WitnessState
from federation.store import row_check
from federation.store.columns import weigh_counter
from federation.store.database import Database
from federation.store.records import erase_record, put_records
from federation.store.row_check import RowFinding, check_records, check_sample, one_state
from federation.store.tables import COUNTER
from federation.store.witness_state import advance_witness_state, keep_fork
from tests.store.samples import NOW, append, record_of, run


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


def sample(database: Database) -> list[RowFinding]:
    with one_state(database) as connection:
        return check_sample(connection, database.keys)


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


def test_row_without_a_mark_is_one_that_somebody_put_there(filled: Database) -> None:
    """Each row is marked as it is written, and nothing marks one afterwards, whatever counters are gone too."""
    record = record_of(8)
    write(filled, f"UPDATE record SET digest = NULL WHERE id = '{record.id}' AND replica = false")
    assert RowFinding("extra", record.kind, record.id) in findings(filled)


def test_check_records_names_a_version_that_was_changed_or_is_missing(filled: Database) -> None:
    """What a former number and the signers of a bulk release are read from."""
    record, kind = record_of(19), f"{record_of(19).kind}-version"
    write(filled, f"UPDATE record_version SET status = 'other' WHERE id = '{record.id}' AND version = 1")
    assert findings(filled) == [RowFinding("changed", kind, record.id, 0)]
    with one_state(filled) as connection:
        assert RowFinding("changed", kind, record.id, 0) in check_sample(connection, filled.keys)

    write(filled, f"DELETE FROM record_version WHERE id = '{record.id}'")
    assert findings(filled) == [RowFinding("missing", kind, leaf_index=0)]


def test_check_records_tells_of_sums_that_went_with_their_rows(filled: Database) -> None:
    """All rows of a kind and block, and the counters that summed them."""
    write(filled, "DELETE FROM record WHERE replica = true")
    write(filled, "DELETE FROM counter WHERE name >= 'rows/1' AND name < 'rows/2'")
    write(filled, "DELETE FROM counter WHERE name >= 'tally/1' AND name < 'tally/2'")

    assert [(finding.what, finding.kind) for finding in findings(filled)] == [("changed", "sums")]


@pytest.mark.parametrize("change", ["DELETE FROM counter WHERE", "UPDATE counter SET value = 0 WHERE"])
def test_check_records_tells_of_a_counter_that_was_set_back_or_is_gone(filled: Database, change: str) -> None:
    """What a quota or a number is counted with; what a node writes itself is no finding."""
    for number in range(3):
        run(filled, lambda tx, name=f"answered/{number}": tx.count_up(name))
    run(filled, lambda tx: tx.count_up("answered/1"))
    assert findings(filled) == []

    write(filled, f"{change} name = 'answered/1'")
    assert [(finding.what, finding.kind) for finding in findings(filled)] == [("changed", "counters")]


def test_start_weighs_a_bounded_number_of_counters(filled: Database, monkeypatch) -> None:
    """However many a history has left; sums are added by the database, and one that was changed is found there, too."""
    weighed: list[str] = []

    def weigh(keys, name: str, value: object) -> int:
        weighed.append(name)
        return weigh_counter(keys, name, value)

    run(filled, lambda tx: [tx.count_up(f"quota/{number}") for number in range(50)])
    monkeypatch.setattr(row_check, "weigh_counter", weigh)
    monkeypatch.setattr(row_check, "MOST_COUNTERS", 10)
    write(filled, "UPDATE counter SET value = 0 WHERE name = 'quota/7'")

    assert sample(filled) == []
    assert len(weighed) == 11
    assert findings(filled) == [RowFinding("changed", "counters", leaf_index=1)]

    write(
        filled,
        "UPDATE counter SET value = value + 1 WHERE name = (SELECT min(name) FROM counter WHERE name > 'rows/' AND name < 'rows0')",
    )
    assert sample(filled) == [RowFinding("changed", "sums", leaf_index=1)]


def test_sums_that_were_set_back_stay_found_whatever_is_written_after(filled: Database) -> None:
    """A start writes before it looks: what it marks anew would look whole."""
    with filled.reading() as connection:
        older = connection.execute(select(COUNTER)).all()
    run(filled, lambda tx: put_records(tx, [record_of(30)]))
    run(filled, append(3))
    write(filled, "DELETE FROM counter")
    write(filled, f"DELETE FROM record WHERE id = '{record_of(30).id}'")
    write(filled, f"DELETE FROM record_version WHERE id = '{record_of(30).id}'")
    with filled.writing() as connection:
        connection.execute(COUNTER.insert(), [row._asdict() for row in older])
    filled.tree = None  # as after a restart

    for number in (4, 5):
        run(filled, append(number))
        assert ("older", "sums") in {(finding.what, finding.kind) for finding in findings(filled)}


def test_rows_of_a_witness_are_summed(filled: Database) -> None:
    """One without its sums is one that somebody put there; another leaf and another head find nothing."""
    state = WitnessState(size=5, root=b"a" * 32, cosign_time=NOW)
    advance_witness_state(filled, "a.example/log", last=None, state=state, note=b"5")
    keep_fork(filled, "a.example/log", size=5, notes=(b"one", b"two"), now=NOW)
    assert findings(filled) == []
    run(filled, append(3))
    advance_witness_state(filled, "a.example/log", last=state, state=replace(state, size=9), note=b"9")
    assert findings(filled) == []

    write(filled, "INSERT INTO witness_head SELECT 'b.example/log', size, root, time_millis, note FROM witness_head")
    assert findings(filled) == [RowFinding("extra", "witness-head")]


def test_mark_that_did_not_fit_is_not_made_to_fit_by_a_witness(filled: Database) -> None:
    """Nor by the group that comes after, though it reads the sums anew."""
    write(filled, "UPDATE counter SET value = value + 1 WHERE name = 'rows-total'")
    state = WitnessState(size=5, root=b"a" * 32, cosign_time=NOW)
    advance_witness_state(filled, "a.example/log", last=None, state=state, note=b"5")
    run(filled, append(3))

    assert RowFinding("older", "sums", leaf_index=2) in findings(filled)
