"""Whoever has the database, or an older copy, and the key of its columns reads nothing of what was erased with a receipt."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from federation.node import permits
from federation.node.erasure import order_erasure
from federation.node.erasure_receipts import RECEIPT_KIND
from federation.node.exchange.errand import begin_errand
from federation.node.permits_sharing import SYNC
from federation.node.retention import destroy_ended
from federation.protocol.body import Body
from federation.protocol.errors import CorruptError
from federation.protocol.ids import NodeName, Pair
from federation.store.database import open_to_read
from federation.store.messages import StoredMessage, find_body, list_messages
from federation.wire.agency.erasure import ErasureQuestion
from tests.node.rig import HALL, JIANGXI, ZHEJIANG, Rig, act, application, kit, running_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A permit of Zhejiang that Jiangxi has a copy of, at rest."""
    async with running_rig(tmp_path) as made:
        made.start_delivery()
        await permits.register(begin_errand(made[ZHEJIANG], HALL, act()), application())
        await made.drain()
        yield made


def messages(rig: Rig, sender: NodeName, recipient: NodeName, kind: str) -> list[StoredMessage]:
    pair = Pair(sender, recipient)
    return list_messages(rig[sender].database, "sent", pair=pair, after_seq=0, limit=99, kinds=(kind,))


def kept(rig: Rig, name: NodeName, message: StoredMessage) -> tuple[bytes, bytes]:
    """The sealed body and its sealed key, as that side's files have them: with the column's key they open."""
    with closing(sqlite3.connect(rig.hosts[name].path)) as connection:
        statement = "SELECT content, key_id FROM message_body WHERE message_id = ?"
        body, key_id = connection.execute(statement, (message.id,)).fetchone()
    with closing(sqlite3.connect(key_file(rig, name))) as connection:
        (key,) = connection.execute("SELECT sealed_key FROM body_key WHERE id = ?", (key_id,)).fetchone()
    return body, key


def key_file(rig: Rig, name: NodeName) -> Path:
    return rig.hosts[name].path.with_name(f"{name}.body_keys.db")


def on_disk(path: Path) -> list[Path]:
    """A file, and the log of recent writes beside it."""
    return [each for each in (path, path.with_name(f"{path.name}-wal")) if each.exists()]


def files(rig: Rig, name: NodeName) -> bytes:
    """Every byte on the disk, of the database and of the keys."""
    return b"".join(each.read_bytes() for path in (rig.hosts[name].path, key_file(rig, name)) for each in on_disk(path))


def copy(path: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for each in on_disk(path):
        shutil.copyfile(each, folder / each.name)


def read_copy(rig: Rig, name: NodeName, message: StoredMessage, *, database: Path, keys: Path) -> Body | None:
    """What the node's own program and keys of columns read out of a copied database with a copied file of keys."""
    with tempfile.TemporaryDirectory(dir=rig.folder) as place:
        copy(database / f"{name}.db", Path(place))
        copy(keys / f"{name}.body_keys.db", Path(place))
        columns = kit().keyrings[name].columns
        with closing(open_to_read(f"sqlite:///{place}/{name}.db", keys=columns)) as opened:
            return find_body(opened, message.id)


async def order(rig: Rig, message: StoredMessage) -> None:
    question = ErasureQuestion(message_id=message.id, words="误发 sent by mistake")
    answer = await order_erasure(begin_errand(rig[ZHEJIANG], HALL, act("erasure.order", "F01")), question)
    assert answer.decision.allowed


async def test_after_the_receipt_neither_side_has_a_byte_of_body_or_key(rig: Rig) -> None:
    """In the raw files of both, the log of recent writes included."""
    (shared,) = messages(rig, ZHEJIANG, JIANGXI, SYNC.name)
    parts = {name: kept(rig, name, shared) for name in (ZHEJIANG, JIANGXI)}
    assert all(part in files(rig, name) for name, each in parts.items() for part in each)

    await order(rig, shared)
    await rig.drain()

    assert len(messages(rig, JIANGXI, ZHEJIANG, RECEIPT_KIND)) == 1
    for name, (body, key) in parts.items():
        assert body not in files(rig, name)
        assert key not in files(rig, name)


async def test_older_copy_of_the_database_opens_nothing_with_the_keys_that_are_left(rig: Rig, tmp_path: Path) -> None:
    """A backup of before the erasure, on both sides; only with the keys of then it gives the body."""
    (shared,) = messages(rig, ZHEJIANG, JIANGXI, SYNC.name)
    before, after = tmp_path / "before", tmp_path / "after"
    for name in (ZHEJIANG, JIANGXI):
        copy(rig.hosts[name].path, before)
        copy(key_file(rig, name), before)

    await order(rig, shared)
    await rig.drain()

    assert len(messages(rig, JIANGXI, ZHEJIANG, RECEIPT_KIND)) == 1
    for name in (ZHEJIANG, JIANGXI):
        copy(rig.hosts[name].path, after)
        copy(key_file(rig, name), after)
        assert read_copy(rig, name, shared, database=before, keys=before) is not None
        with pytest.raises(CorruptError, match="BODY_KEY_MISSING"):
            read_copy(rig, name, shared, database=before, keys=after)
        assert read_copy(rig, name, shared, database=after, keys=before) is None, "the body itself is gone"


@pytest.mark.parametrize("table", ["message_body", "body_key"])
async def test_no_receipt_while_a_reader_keeps_what_was_erased_on_the_disk(rig: Rig, table: str) -> None:
    """The receipt would be false: it waits for the reader, and leaves in the next round."""
    (shared,) = messages(rig, ZHEJIANG, JIANGXI, SYNC.name)
    body, key = kept(rig, JIANGXI, shared)
    path = rig.hosts[JIANGXI].path if table == "message_body" else key_file(rig, JIANGXI)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute(f"SELECT count(*) FROM {table}").fetchone()

        await order(rig, shared)
        await rig.drain()
        await destroy_ended(rig[JIANGXI])

        assert messages(rig, JIANGXI, ZHEJIANG, RECEIPT_KIND) == []
        reader.execute("COMMIT")

    await destroy_ended(rig[JIANGXI])
    await rig.drain()

    assert len(messages(rig, JIANGXI, ZHEJIANG, RECEIPT_KIND)) == 1
    assert body not in files(rig, JIANGXI)
    assert key not in files(rig, JIANGXI)
