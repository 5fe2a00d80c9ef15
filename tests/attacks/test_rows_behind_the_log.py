"""Whoever can write to the database file deletes or changes rows that a report, a flag or a status stands on."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from federation.domain.oversight import FlagKind, RaisedFlag
from federation.node.log.check import check_start, check_store, where_from
from federation.node.oversight.flags import put_flags
from federation.node.retention import destroy_ended
from federation.protocol.ids import NodeName
from federation.store.database import RecentNodes
from federation.store.row_check import RowFinding
from tests.node.joint.desks import PEER
from tests.node.joint.test_documents import filed, read
from tests.node.retention.released import CASE, OFFICER, Border, released
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG, Rig

Writes = Callable[[sqlite3.Connection], object]


@pytest.fixture
async def found(tmp_path: Path) -> AsyncIterator[Border]:
    """A search that hit, a release, its reading, and a flag at the asker."""
    async with released(tmp_path) as border:
        flag = RaisedFlag(
            kind=next(iter(FlagKind)), officer=OFFICER, lookup_id=border.lookup_id, case_id=CASE, sentence_zh="一", sentence_en="one",
            time=border.rig.clock(), agency=YUSHAN_POLICE,
        )  # fmt: skip
        await border.rig[JIANGXI].sequencer.commit(lambda tx: put_flags(tx, [flag], owner=JIANGXI))
        await border.rig.drain()
        yield border


def write(rig: Rig, name: NodeName, job: Writes) -> None:
    """What an administrator of the machine does with any tool, in the real file."""
    with closing(sqlite3.connect(rig.hosts[name].path)) as connection:
        job(connection)
        connection.commit()


def deletes(table: str, where: str) -> Writes:
    return lambda connection: connection.execute(f"DELETE FROM {table} WHERE {where}")


def named(rig: Rig, name: NodeName) -> set[tuple[str, str]]:
    findings = check_store(rig[name].database, rig.agreement).findings
    assert all(where_from(rig[name].database, finding) for finding in findings)
    return {(finding.what, finding.kind) for finding in findings}


async def test_store_of_an_honest_node_has_no_finding(found: Border) -> None:
    """Nor has one after everything that ended was destroyed."""
    for _ in range(2):
        for name in (ZHEJIANG, JIANGXI):
            assert check_store(found.rig[name].database, found.rig.agreement).findings == ()
            assert check_start(found.rig[name].database, found.rig.agreement) == ()
        found.rig.clock.advance(hours=25)
        for name in (JIANGXI, ZHEJIANG):
            await destroy_ended(found.rig[name])
            await found.rig.drain()


@pytest.mark.parametrize(
    ("name", "table", "where", "finding"),
    [
        (ZHEJIANG, "record", "kind = 'lookup-given'", ("missing", "lookup-given")),
        (JIANGXI, "record", "kind = 'lookup-flag'", ("missing", "lookup-flag")),
        (JIANGXI, "record", "kind = 'reading-at'", ("missing", "reading-at")),
        (JIANGXI, "record", "kind = 'lookup-asked'", ("missing", "lookup-asked")),
        (ZHEJIANG, "record_version", "1", ("missing", "lookup-given-version")),
        (
            ZHEJIANG,
            "counter",
            "name NOT LIKE 'rows%' AND name NOT LIKE 'tally/%' AND name NOT LIKE 'seq/%'",
            ("changed", "counters"),
        ),
        (ZHEJIANG, "message_body", "1", ("missing", "message-body")),
        (ZHEJIANG, "message", "kind = 'lookup.release'", ("missing", "message")),
        (ZHEJIANG, "outbox", "1", ("missing", "outbox")),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_row_that_was_deleted_is_named(
    found: Border, name: NodeName, table: str, where: str, finding: tuple[str, str]
) -> None:
    """What the report, the flag, the reading, the quota, the evidence and the status stand on."""
    write(found.rig, name, deletes(table, where))

    assert finding in named(found.rig, name)


async def test_one_row_that_was_deleted_is_named_with_its_leaf(found: Border) -> None:
    """Of a single one the leaf is known: who asked then is told again by the message of that leaf."""
    rig = found.rig
    with closing(sqlite3.connect(rig.hosts[ZHEJIANG].path)) as connection:
        leaf = connection.execute("SELECT max(leaf_index) FROM record WHERE kind = 'lookup-given'").fetchone()[0]
    write(rig, ZHEJIANG, deletes("record", f"kind = 'lookup-given' AND leaf_index = {leaf}"))

    assert check_store(rig[ZHEJIANG].database, rig.agreement).findings == (
        RowFinding("missing", "lookup-given", leaf_index=leaf),
    )


@pytest.mark.parametrize(
    "change",
    ["status = 'refused'", "division = '330000'", "owner = 'anhui'", "subject_index = NULL", "kind = 'lookup-gave'",
     "id = id || 'x'", "message_id = 'x'", "digest = x'00'", "leaf_index = 0", "due_date = '2200-01-01'"],
)  # fmt: skip
async def test_plain_column_that_was_changed_is_named(found: Border, change: str) -> None:
    """A refusal for a yes, another county, a row that its person does not find any more."""
    write(found.rig, ZHEJIANG, lambda it: it.execute(f"UPDATE record SET {change} WHERE kind = 'lookup-given'"))

    assert {kind for _, kind in named(found.rig, ZHEJIANG)} & {"lookup-given", "lookup-gave"}
    assert check_start(found.rig[ZHEJIANG].database, found.rig.agreement)


@pytest.mark.parametrize(
    ("table", "change", "finding"),
    [
        ("record", "content = 'x'", ("changed", "lookup-given")),
        ("record", "leaf_index = 'x'", ("changed", "lookup-given")),
        ("record", "leaf_index = 999999", ("changed", "lookup-given")),
        ("record", "digest = 'x'", ("changed", "lookup-given")),
        ("record", "due_date = 'x'", ("changed", "lookup-given")),
        ("record", "sealed = 'x'", ("changed", "lookup-given")),
        ("record", "replica = 2", ("changed", "lookup-given")),
        ("record", "kind = x'ff', id = CAST(x'ff' AS TEXT)", ("missing", "lookup-given")),
        ("record", "owner = CAST(x'ff' AS TEXT)", ("changed", "lookup-given")),
        ("outbox", "receipt_leaf = CAST(receipt_leaf AS TEXT)", ("changed", "outbox")),
        ("outbox", "receipt_proof = 'x', expires_millis = 'x'", ("changed", "outbox")),
        ("outbox", "state = CAST(x'ff' AS TEXT)", ("changed", "outbox")),
        ("message", "envelope = CAST(envelope AS TEXT)", ("changed", "message")),
        ("message", "pair = 'x'", ("changed", "message")),
        ("message", "created_millis = 'x'", ("changed", "message")),
        ("message_body", "content = 'x'", ("changed", "message-body")),
        ("log_leaf", "entry = 'x'", ("changed", "log-leaf")),
        ("counter", "value = 'x'", ("extra", "lookup-given")),
    ],
)  # fmt: skip
async def test_column_of_another_type_is_named(
    found: Border, table: str, change: str, finding: tuple[str, str]
) -> None:
    """What no reader can read breaks neither the check nor the start: it is a finding like any other."""
    database = found.rig[ZHEJIANG].database
    wheres = {
        "record": "kind = 'lookup-given' AND id = (SELECT max(id) FROM record WHERE kind = 'lookup-given')",
        "counter": "name LIKE 'rows/0/lookup-given/%' OR name LIKE 'tally/0/lookup-given/%'",
        "log_leaf": "leaf_index = (SELECT max(leaf_index) FROM message WHERE direction = 'sent')",
    }  # fmt: skip
    write(found.rig, ZHEJIANG, lambda it: it.execute(f"UPDATE {table} SET {change} WHERE {wheres.get(table, '1')}"))
    database.recent = RecentNodes()  # as after a restart

    assert finding in named(found.rig, ZHEJIANG)
    assert all(where_from(database, each) for each in check_start(database, found.rig.agreement))


async def test_row_that_somebody_put_there_is_named(found: Border) -> None:
    """A copy under another name, with the digest of the first."""
    columns = (
        "owner, version, status, division, household_division, due_date, sealed, subject_index, content, message_id, "
        "due_millis, leaf_index, digest"
    )
    copied = f"SELECT replica, kind, 'a' || id, {columns} FROM record WHERE kind = 'lookup-given'"
    copy = f"INSERT INTO record (replica, kind, id, {columns}) {copied}"
    write(found.rig, ZHEJIANG, lambda it: it.execute(copy))

    assert named(found.rig, ZHEJIANG) >= {("changed", "lookup-given"), ("extra", "lookup-given")}


async def test_body_without_its_key_and_key_without_its_body_are_named(found: Border) -> None:
    """A key that somebody took out of its file; one that an older copy of that file brought back."""
    path = found.rig.hosts[ZHEJIANG].path
    with closing(sqlite3.connect(path)) as connection:
        first, last = connection.execute("SELECT min(key_id), max(key_id) FROM message_body").fetchone()
    with closing(sqlite3.connect(path.with_name("zhejiang.body_keys.db"))) as connection:
        connection.execute("DELETE FROM body_key WHERE id = ?", (last,))
        connection.execute("INSERT INTO body_key SELECT id - 1000, sealed_key FROM body_key WHERE id = ?", (first,))
        connection.commit()

    assert named(found.rig, ZHEJIANG) == {("missing", "body-key"), ("extra", "body-key")}
    assert ("missing", "body-key") in {
        (one.what, one.kind) for one in check_start(found.rig[ZHEJIANG].database, found.rig.agreement)
    }


async def test_rows_that_were_set_back_with_their_sums_are_found(found: Border) -> None:
    """All records and sums of an hour ago, beside the log of today."""
    rig, tables = found.rig, ("record", "counter")
    path = rig.hosts[JIANGXI].path
    with closing(sqlite3.connect(path)) as connection:
        older = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    await found.search()
    await rig.drain()

    def set_back(connection: sqlite3.Connection) -> None:
        for name, rows in older.items():
            connection.execute(f"DELETE FROM {name}")
            places = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {name} VALUES ({places})", rows)

    write(rig, JIANGXI, set_back)

    assert ("older", "sums") in named(rig, JIANGXI)
    assert any(finding.what == "older" for finding in check_start(rig[JIANGXI].database, rig.agreement))


async def test_status_in_the_queue_that_no_receipt_bears_out_is_named(found: Border) -> None:
    """Settled without a receipt, expired without a leaf; of a former member, too."""
    columns = "peer, seq, state, expires_millis, receipt_leaf, receipt_proof"
    with closing(sqlite3.connect(found.rig.hosts[ZHEJIANG].path)) as connection:
        rows = connection.execute(f"SELECT {columns}, message_id FROM outbox").fetchall()
    back = f"UPDATE outbox SET ({columns}) = (?, ?, ?, ?, ?, ?) WHERE message_id = ?"
    for change in (
        "receipt_leaf = NULL", "state = 'expired'", "receipt_proof = x'00'", "peer = 'anhui'", "expires_millis = 0",
        "state = 'pending'", "receipt_leaf = CAST(replace(receipt_leaf, 'allowed', 'refused') AS BLOB)",
    ):  # fmt: skip
        write(found.rig, ZHEJIANG, lambda it, to=change: it.execute(f"UPDATE outbox SET {to}"))
        assert ("changed", "outbox") in named(found.rig, ZHEJIANG), change
        write(found.rig, ZHEJIANG, lambda it: it.executemany(back, rows))
    assert named(found.rig, ZHEJIANG) == set()

    found.rig.expel(JIANGXI, at=ZHEJIANG)
    node = found.rig[ZHEJIANG]
    assert check_store(node.database, node.trust.in_force.agreement).findings == ()
    write(found.rig, ZHEJIANG, lambda it: it.execute("UPDATE outbox SET receipt_proof = x'00' WHERE peer = 'jiangxi'"))
    changed = check_store(node.database, node.trust.in_force.agreement).findings
    assert {(finding.what, finding.kind) for finding in changed} == {("changed", "outbox")}


ROWS = [
    ("UPDATE blob SET charged = 'x'", ("changed", "blob")),
    ("UPDATE blob SET size_bytes = 1", ("changed", "blob")),
    ("UPDATE blob SET begun_millis = begun_millis + 1", ("changed", "blob")),
    ("UPDATE blob SET content = 7", ("changed", "blob")),
    ("UPDATE blob SET owner = CAST(x'ff' AS TEXT)", ("changed", "blob")),
    ("UPDATE blob SET key_id = key_id + 4096", ("missing", "body-key")),
    ("DELETE FROM blob", ("missing", "blob")),
    ("INSERT INTO blob SELECT 'a' || id, owner, charged, key_id + 1, size_bytes, begun_millis, content FROM blob",
     ("extra", "blob")),
]  # fmt: skip
FILES: list[tuple[Callable[[Path], object], tuple[str, str]]] = [
    (lambda file: file.write_bytes(file.read_bytes()[:-1]), ("changed", "blob-file")),
    (lambda file: file.write_bytes(file.read_bytes()[:200] + b"x" + file.read_bytes()[201:]), ("changed", "blob-file")),
    (lambda file: file.write_bytes(b"x" * 32 + file.read_bytes()[32:]), ("changed", "blob-file")),
    (lambda file: file.unlink(), ("missing", "blob-file")),
    (lambda file: file.with_name(str(int(file.name) + 4096)).write_bytes(b"x"), ("extra", "blob-file")),
]


async def test_row_and_file_of_a_document_that_somebody_changed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob's room, owner, time and content, its row gone or more, its bytes changed, gone or more: by its name."""
    async with filed(tmp_path, monkeypatch) as (case, entry):
        assert await read(case, PEER, entry)
        rig, path = case.rig, case.rig.hosts[ZHEJIANG].path
        with closing(sqlite3.connect(path)) as connection:
            (row,) = connection.execute("SELECT * FROM blob").fetchall()
        file = path.parent / "blobs" / str(row[3])
        content = file.read_bytes()
        for node in (ZHEJIANG, JIANGXI):
            assert check_store(rig[node].database, rig.agreement).findings == ()
        for change, finding in (*ROWS, *FILES):
            write(rig, ZHEJIANG, lambda it, to=change: it.execute(to) if isinstance(to, str) else to(file))
            found = check_store(rig[ZHEJIANG].database, rig.agreement).findings
            assert finding in {(one.what, one.kind) for one in found}, (change, found)
            if finding[0] != "extra" and "DELETE" not in str(change):
                assert row[0] in {one.name for one in found}, found
            write(rig, ZHEJIANG, lambda it: it.execute("DELETE FROM blob"))
            write(rig, ZHEJIANG, lambda it: it.execute("INSERT INTO blob VALUES (?, ?, ?, ?, ?, ?, ?)", row))
            for each in path.parent.glob("blobs/*"):
                if abs(int(each.name) - row[3]) == 4096:
                    each.unlink()
            file.write_bytes(content)
        assert check_store(rig[ZHEJIANG].database, rig.agreement).findings == ()
