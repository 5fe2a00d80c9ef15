"""Records and replicas."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.protocol.errors import ConflictError, CorruptError, RuleError
from federation.protocol.form import replace
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.store.records import (
    Record,
    erase_record,
    erase_records_of,
    find_by_subject,
    find_record,
    ids_under,
    list_range,
    list_records,
    list_versions,
    next_serial,
    put_records,
)
from tests.store.samples import NOW, SECRET_NAME, SECRET_NUMBER, record_of, run, send


def put(database: Database, *records: Record, expect_version: int | None = None) -> int:
    """Stores records in a group of their own."""
    return run(database, lambda tx: put_records(tx, records, expect_version=expect_version))


def find(database: Database, record: Record) -> Record | None:
    """What is stored under a record's names."""
    return find_record(database, record.kind, record.id, replica=record.replica)


@pytest.mark.parametrize(
    "record",
    [
        record_of(1),
        record_of(1, replica=True),
        record_of(1, subject=None),
        replace(record_of(1), household_division=None, due_date=None, sealed=True, content=b"\x00\xff"),
        replace(record_of(1), content=b"", subject=None),
    ],
    ids=["own", "replica", "no subject", "optional fields absent", "empty content"],
)
def test_put_records_comes_back_equal(database: Database, record: Record) -> None:
    """Every field comes back, the sealed ones too."""
    assert put(database, record) == 1
    assert find(database, record) == record


def test_own_record_and_replica_of_one_id_are_two(database: Database) -> None:
    """A replica never takes the place of a record of ours."""
    put(database, record_of(1), record_of(1, version=5, replica=True))

    assert find(database, record_of(1)).version == 1
    assert find(database, record_of(1, replica=True)).version == 5


@pytest.mark.parametrize("replica", [False, True])
def test_versions_only_grow(database: Database, replica: bool) -> None:
    """An older or equal version is skipped silently, whatever it says."""
    put(database, record_of(1, version=3, replica=replica))

    older = replace(record_of(1, version=2, replica=replica), status="revoked")
    assert put(database, older) == 0
    assert put(database, replace(older, version=3)) == 0
    assert find(database, older) == record_of(1, version=3, replica=replica)
    assert put(database, replace(older, version=4)) == 1
    assert find(database, older).status == "revoked"


def test_several_versions_in_one_call_leave_the_newest(database: Database) -> None:
    """A batch may carry the history of a record, oldest first."""
    versions = [record_of(1, version=version) for version in (1, 2, 3, 2)]

    assert put(database, *versions, record_of(2)) == 4
    assert find(database, versions[0]).version == 3
    assert [record.version for record in list_versions(database, "permit", versions[0].id)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("stored", "expected", "new"), [(0, 1, 2), (1, 0, 2), (2, 1, 2), (1, 1, 1), (3, 3, 2)],
    ids=["not there yet", "there already", "moved on", "not newer", "older"],
)  # fmt: skip
def test_expect_version_other_than_stored_is_a_conflict(
    database: Database, stored: int, expected: int, new: int
) -> None:
    """Two officers who edit one record: the second one learns it."""
    if stored:
        put(database, record_of(1, version=stored))

    with pytest.raises(ConflictError) as caught:
        put(database, replace(record_of(1, version=new), status="revoked"), expect_version=expected)
    assert caught.value.reason == "VERSION_CONFLICT"
    assert (find(database, record_of(1)) or record_of(1)).status == "active"


def test_expect_version_as_stored_is_written(database: Database) -> None:
    """0 says that there must be none yet."""
    assert put(database, record_of(1), expect_version=0) == 1
    assert put(database, record_of(1, version=2), expect_version=1) == 1


def test_history_of_ours_is_kept_and_of_replicas_not(database: Database) -> None:
    """Every version of ours can be read again as it was; a replica's past is its owner's."""
    for version in (1, 2, 3):
        put(database, record_of(1, version=version), record_of(2, version=version, replica=True))

    history = list_versions(database, "permit", record_of(1).id)
    assert history == [record_of(1, version=version) for version in (1, 2, 3)]
    assert list_versions(database, "permit", record_of(2).id) == []


def test_find_by_subject_is_exact(database: Database) -> None:
    """Only the whole number finds, and only records of that kind."""
    other = "330822212603070038"
    put(database, record_of(2, replica=True), record_of(1), record_of(3, subject=other), record_of(4, subject=None))
    put(database, replace(record_of(5), kind="case"))

    assert find_by_subject(database, "permit", SECRET_NUMBER) == [record_of(1), record_of(2, replica=True)]
    assert find_by_subject(database, "permit", other) == [record_of(3, subject=other)]
    assert find_by_subject(database, "permit", SECRET_NUMBER[:-1]) == []
    assert find_by_subject(database, "permit", "") == []


def test_list_records_pages_by_id(database: Database) -> None:
    """Pages follow each other without overlap, in byte order on both databases."""
    put(database, *(record_of(number) for number in range(10)), record_of(50, replica=True))
    put(
        database, replace(record_of(1), id="URN:B"), replace(record_of(1), id="urn:bridgehead:permit:zhejiang:000003-x")
    )

    pages: list[str] = []
    after = ""
    while page := list_records(database, "permit", after_id=after, limit=4, replica=False):
        pages += [record.id for record in page]
        after = page[-1].id

    assert len(pages) == 12
    assert pages == sorted(pages)


def test_list_records_narrows(database: Database) -> None:
    """By division, status and due date, each alone and together."""
    put(database, *(record_of(number) for number in range(6)))
    put(database, replace(record_of(6), division="330881"), replace(record_of(7), status="revoked"))
    put(database, replace(record_of(8), due_date=None))

    def ids(**where: object) -> list[int]:
        found = list_records(database, "permit", after_id="", limit=100, replica=False, **where)
        return [int(record.id[-6:]) for record in found]

    assert ids() == list(range(9))
    assert ids(division="330881") == [6]
    assert ids(status="revoked") == [7]
    assert ids(due_before=NOW.date() + timedelta(days=2)) == [0, 1]
    assert ids(division="330822", status="active", due_before=NOW.date() + timedelta(days=99)) == list(range(6))
    assert ids(division=None, status=None, due_before=None) == list(range(9))


def test_erase_record_removes_its_history_too(database: Database) -> None:
    """After an erasure order nothing of the record is left; other records stay."""
    put(database, record_of(1), record_of(1, version=2), record_of(2), record_of(1, replica=True))

    assert run(database, lambda tx: erase_record(tx, "permit", record_of(1).id, replica=False)) is True
    assert run(database, lambda tx: erase_record(tx, "permit", record_of(1).id, replica=False)) is False

    assert find(database, record_of(1)) is None
    assert list_versions(database, "permit", record_of(1).id) == []
    assert find(database, record_of(2)) is not None
    assert run(database, lambda tx: erase_record(tx, "permit", record_of(1).id, replica=True)) is True


def leave(message: str, *records: Record) -> Callable[[GroupTransaction], int]:
    """Writes records while that message is received or sent."""

    def job(transaction: GroupTransaction) -> int:
        with transaction.carrying(message):
            return put_records(transaction, records)

    return job


def test_records_of_a_message_die_with_it_and_no_others(database: Database) -> None:
    """History included; what another message left, our own, and what a rule of retention keeps stay."""
    kept = replace(record_of(3), kept_under="provision")
    run(database, leave("m-1", record_of(1), record_of(2, replica=True), kept))
    commit_group(database, [leave("m-2", record_of(4)), lambda tx: put_records(tx, [record_of(5)])], now=NOW)

    assert run(database, lambda tx: erase_records_of(tx, "m-1")) == 2
    assert run(database, lambda tx: erase_records_of(tx, "m-1")) == 0

    assert [find(database, record) for record in (record_of(1), record_of(2, replica=True))] == [None, None]
    assert list_versions(database, "permit", record_of(1).id) == []
    assert None not in [find(database, record_of(number)) for number in (3, 4, 5)]


def test_version_of_our_own_making_dies_with_the_message_that_the_record_came_of(database: Database) -> None:
    """A step of ours adds to what the message brought: the record is still about that."""
    run(database, leave("m-1", record_of(1)))
    put(database, record_of(1, version=2), expect_version=1)

    assert run(database, lambda tx: erase_records_of(tx, "m-1")) == 1

    assert find(database, record_of(1)) is None
    assert list_versions(database, "permit", record_of(1).id) == []


@pytest.mark.parametrize("replica", [False, True])
def test_record_that_a_newer_message_replaced_dies_with_the_newer_one(database: Database, replica: bool) -> None:
    """Of the message before, the version that it brought is gone from the history alone."""
    newer = record_of(1, version=2, replica=replica)
    run(database, leave("m-1", record_of(1, replica=replica)))
    run(database, leave("m-2", newer))

    assert run(database, lambda tx: erase_records_of(tx, "m-1")) == 0
    assert find(database, newer) == newer
    assert list_versions(database, "permit", newer.id) == ([] if replica else [newer])
    assert run(database, lambda tx: erase_records_of(tx, "m-2")) == 1
    assert find(database, newer) is None


def test_record_that_comes_under_a_rule_of_retention_outlives_its_message(database: Database) -> None:
    """What has ended and tells of nobody any more is kept for its own sake."""
    run(database, leave("m-1", record_of(1, replica=True)))
    put(database, replace(record_of(1, version=2, replica=True), kept_under="provision"))

    assert run(database, lambda tx: erase_records_of(tx, "m-1")) == 0
    assert find(database, record_of(1, replica=True)) is not None


def test_next_serial_counts_each_name_apart(database: Database) -> None:
    """Serials are contiguous for each name, and a group that failed gives its numbers back."""

    def refuse(transaction: GroupTransaction) -> int:
        next_serial(transaction, "a")
        raise RuleError("NO", "expected otherwise")

    jobs = [lambda tx: next_serial(tx, "a"), lambda tx: next_serial(tx, "b"), refuse, lambda tx: next_serial(tx, "a")]
    outcomes = commit_group(database, jobs, now=NOW).outcomes

    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == [1, 1, 2]
    assert run(database, lambda tx: next_serial(tx, "a")) == 3


def test_serials_survive_reopening(url: str, open_store: Callable[[str], Database]) -> None:
    """A number is never given twice."""
    assert run(open_store(url), lambda tx: next_serial(tx, "a")) == 1
    assert run(open_store(url), lambda tx: next_serial(tx, "a")) == 2


def test_records_in_bulk(database: Database) -> None:
    """Thousands in one group, then half of them again with a new version."""
    records = [record_of(number, replica=True) for number in range(3000)]
    assert put(database, *records) == 3000

    newer = [replace(record, version=2) for record in records[:1500]] + records[1500:]
    assert put(database, *newer) == 1500
    assert len(list_records(database, "permit", after_id="", limit=9999, replica=True)) == 3000
    assert find(database, records[0]).version == 2


def test_content_of_an_older_version_put_back_is_corrupt(database: Database) -> None:
    """One who can write to the store can not turn a record back."""
    put(database, record_of(1))
    put(database, record_of(1, version=2))
    with database.writing() as connection:
        old = "UPDATE record SET content = (SELECT content FROM record_version WHERE version = 1)"
        connection.execute(text(old))

    with pytest.raises(CorruptError) as caught:
        find(database, record_of(1))
    assert caught.value.reason == "SEALED_VALUE"


def test_no_personal_field_is_in_the_files(sqlite_path: Path, open_store: Callable[[str], Database]) -> None:
    """Name and citizen number, of bodies and of records, are nowhere in the bytes on disk, in any encoding we write."""
    database = open_store(f"sqlite:///{sqlite_path}")
    put(database, record_of(1), record_of(2, replica=True))
    put(database, record_of(1, version=2))
    run(database, send(1))

    files = list(sqlite_path.parent.iterdir())
    stored = b"".join(path.read_bytes() for path in files)

    assert {path.name for path in files} >= {"node.db", "node.db-wal"}
    assert b"urn:bridgehead:permit" in stored
    for secret in (SECRET_NAME, SECRET_NUMBER, SECRET_NUMBER[6:14]):
        assert secret.encode() not in stored
        assert secret.encode("utf-16-le") not in stored
        assert secret.encode().hex().encode() not in stored


def test_erased_bytes_are_overwritten(sqlite_path: Path, open_store: Callable[[str], Database]) -> None:
    """What was erased is not left in free pages of the file."""
    database = open_store(f"sqlite:///{sqlite_path}")
    put(database, record_of(1, replica=True))
    with database.reading() as connection:
        content = connection.execute(text("SELECT content FROM record")).scalar_one()
    run(database, lambda tx: erase_record(tx, "permit", record_of(1).id, replica=True))
    database.close()

    assert content not in b"".join(path.read_bytes() for path in sqlite_path.parent.iterdir())


def test_list_range_reads_one_prefix_from_either_end(database: Database) -> None:
    """Ids under a prefix, in byte order or newest first, and on from where a page ended; neighbours stay out."""
    ids = ["a", "a/", "a/1", "a/2", "a/3", "a0", "b/1"]
    put(database, *(replace(record_of(1), id=name) for name in ids))
    kind = record_of(1).kind

    def listed(limit: int = 10, **where: object) -> list[str]:
        found = list_range(database, kind, ids_under("a/", **where), limit=limit, replica=False)
        return [record.id for record in found]

    assert listed() == ["a/1", "a/2", "a/3"]
    assert listed(newest_first=True) == ["a/3", "a/2", "a/1"]
    assert listed(2, newest_first=True) == ["a/3", "a/2"]
    assert listed(newest_first=True, before="2") == ["a/1"]
    assert list_range(database, kind, ids_under("a/"), limit=10, replica=True) == []


def test_list_range_in_a_group_sees_what_the_group_wrote(database: Database) -> None:
    """A job sees the rows of that range written before it in the group, and a change of one; others can wait."""
    put(database, replace(record_of(1), id="a/1"))

    def listed(transaction: GroupTransaction) -> list[tuple[str, int]]:
        found = list_range(transaction, record_of(1).kind, ids_under("a/"), limit=10, replica=False)
        return [(record.id, record.version) for record in found]

    def job(transaction: GroupTransaction) -> list[list[tuple[str, int]]]:
        put_records(transaction, [replace(record_of(1), id="b/1")])
        seen = [listed(transaction)]
        put_records(transaction, [replace(record_of(1), id="a/2")])
        seen.append(listed(transaction))
        put_records(transaction, [replace(record_of(1), id="a/1", version=2)])
        return [*seen, listed(transaction)]

    assert run(database, job) == [
        [("a/1", 1)],
        [("a/1", 1), ("a/2", 1)],
        [("a/1", 2), ("a/2", 1)],
    ]
