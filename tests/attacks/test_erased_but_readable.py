"""Whoever has the database file and the key of its columns, after an erasure that was receipted, reads nothing of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from federation.node import permits
from federation.node.erasure import RECEIPT_KIND, order_erasure
from federation.node.exchange.errand import begin_errand
from federation.node.permits_sharing import SYNC
from federation.node.retention import destroy_ended
from federation.protocol.ids import NodeName, Pair
from federation.store.messages import StoredMessage, list_messages
from federation.wire.agency.erasure import ErasureQuestion
from tests.node.rig import HALL, JIANGXI, ZHEJIANG, Rig, act, application, running_rig


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
    """The sealed body and its sealed key, as that side's file has them: with the column's key they open."""
    with closing(sqlite3.connect(rig.hosts[name].path)) as connection:
        return tuple(
            connection.execute(f"SELECT {column} FROM {table} WHERE message_id = ?", (message.id,)).fetchone()[0]
            for table, column in (("message_body", "content"), ("body_key", "sealed_key"))
        )


def files(rig: Rig, name: NodeName) -> bytes:
    """Every byte on the disk: the file, and the log of recent writes beside it."""
    path = rig.hosts[name].path
    return b"".join(each.read_bytes() for each in (path, path.with_name(f"{path.name}-wal")) if each.exists())


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


async def test_no_receipt_while_a_reader_keeps_what_was_erased_on_the_disk(rig: Rig) -> None:
    """The receipt would be false: it waits for the reader, and leaves in the next round."""
    (shared,) = messages(rig, ZHEJIANG, JIANGXI, SYNC.name)
    body, key = kept(rig, JIANGXI, shared)
    with closing(sqlite3.connect(rig.hosts[JIANGXI].path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM message_body").fetchone()

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
