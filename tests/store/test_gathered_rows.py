"""Rows that a group has gathered and not yet written are read where they belong, among those that are stored."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction
from federation.store.records import IdRange, Record, erase_record, list_range, put_records
from tests.store.samples import record_of, run

IDS = ("a", "a/1", "ab", "b", "é", "桥", "\U00020000", "z")
EDGES = st.sampled_from(["", *IDS, "\U0010ffff"])
RANGES = st.builds(IdRange, after=EDGES, before=EDGES, newest_first=st.booleans())
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "erase", "read"]), st.sampled_from(IDS), st.booleans(), st.booleans()
    ),
    max_size=12,
)
STORED = ("a", "b", "桥")


def put(transaction: GroupTransaction, record_id: str, *, replica: bool, kind: str, versions: dict[str, int]) -> Record:
    """Writes the next version of a record."""
    name = f"{kind}/{record_id}/{replica}"
    versions[name] = versions.get(name, 0) + 1
    record = replace(record_of(1, version=versions[name], replica=replica), id=record_id, kind=kind)
    put_records(transaction, [record])
    return record


@pytest.fixture
def filled(database: Database) -> Database:
    def fill(transaction: GroupTransaction) -> None:
        for record_id in STORED:
            for replica in (False, True):
                put(transaction, record_id, replica=replica, kind="permit", versions={})

    run(database, fill)
    return database


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, ids=RANGES, limit=st.integers(1, 9), replica=st.booleans())
def test_range_read_before_and_after_writing_is_one(
    filled: Database, steps: list[tuple[str, str, bool, bool]], ids: IdRange, limit: int, replica: bool
) -> None:
    """Whatever was put, replaced and erased in the group: what was gathered shows as if it were written already."""

    def job(transaction: GroupTransaction) -> None:
        versions = {f"permit/{record_id}/{copy}": 1 for record_id in STORED for copy in (False, True)}
        for act, record_id, copy, other in steps:
            kind = "other" if other else "permit"
            if act == "put":
                put(transaction, record_id, replica=copy, kind=kind, versions=versions)
            elif act == "erase":
                erase_record(transaction, kind, record_id, replica=copy)
                versions.pop(f"{kind}/{record_id}/{copy}", None)
            else:
                list_range(transaction, kind, ids, limit=limit, replica=copy)
        laid_over = list_range(transaction, "permit", ids, limit=limit, replica=replica)
        with transaction.reading():  # writes all that was gathered
            pass
        assert laid_over == list_range(transaction, "permit", ids, limit=limit, replica=replica)
        raise RuleError("UNDONE", "the next example begins where this one did")

    with pytest.raises(RuleError, match="UNDONE"):
        run(filled, job)


def test_new_rows_are_read_without_being_written(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that reads its officer's own steps leaves its rows to be written with those of its group."""
    written: list[object] = []
    flush = GroupTransaction._flush
    monkeypatch.setattr(GroupTransaction, "_flush", lambda self: written.append(1) or flush(self))

    def job(transaction: GroupTransaction) -> tuple[list[str], int]:
        put(transaction, "c", replica=True, kind="permit", versions={})
        found = list_range(transaction, "permit", IdRange(after="a", before="z"), limit=9, replica=True)
        return [record.id for record in found], len(written)

    assert run(filled, job) == (["b", "c"], 0)


def test_changed_row_is_written_before_its_range_is_read(filled: Database) -> None:
    """A version that replaces a stored one is not laid over: it is read where it stands."""

    def job(transaction: GroupTransaction) -> list[int]:
        put(transaction, "b", replica=True, kind="permit", versions={"permit/b/True": 6})
        return [each.version for each in list_range(
            transaction, "permit", IdRange(after="a", before="c"), limit=9, replica=True
        )]  # fmt: skip

    assert run(filled, job) == [7]
