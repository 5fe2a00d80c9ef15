"""A node that comes back from a backup while nobody is there to tell it: the others catch what it repeats."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from federation.node.exchange.receive import receive
from federation.node.exchange.send import send
from federation.node.serve import boot_node
from federation.protocol.errors import ConflictError, CorruptError, UnavailableError
from federation.protocol.ids import Pair
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.protocol.receipt import Submission
from federation.store.log_reader import load_entries
from federation.store.messages import find_outbox, list_messages, load_pending
from federation.store.witness_state import list_forks
from tests.node.rig import JIANGXI, ZHEJIANG, Rig, draft, running_rig

OUT = Pair(ZHEJIANG, JIANGXI)


async def sent(rig: Rig, count: int) -> list[str]:
    ids = []
    for _ in range(count):
        ids += (await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)).value[1]
    return ids


async def set_back(rig: Rig) -> None:
    """Three messages after the backup was taken, Zhejiang's store is the backup again."""
    host = rig.hosts[ZHEJIANG]
    await sent(rig, 2)
    await host.close()
    shutil.copyfile(host.path, rig.folder / "backup.db")
    host.open()
    await sent(rig, 3)
    host.start_delivery()
    await rig.drain()
    await rig.cosigning().offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    shutil.copyfile(rig.folder / "backup.db", host.path)
    shutil.rmtree(host.home)
    host.open()


async def test_restored_backup_does_not_start_when_one_peer_remembers(tmp_path: Path) -> None:
    """One witness that is up is enough: the node refuses to sign a second history."""
    async with running_rig(tmp_path) as rig:
        await set_back(rig)
        with pytest.raises(CorruptError) as caught:
            await boot_node(rig.hosts[ZHEJIANG].parts, ask=rig.ask_cosigned)
        assert caught.value.reason == "LOG_ROLLED_BACK"


async def test_restored_backup_that_started_alone_is_caught_by_its_numbers_and_its_log(tmp_path: Path) -> None:
    """Its peers were down when it started: what it says twice is refused, recorded, and its log is never cosigned."""
    async with running_rig(tmp_path) as rig:
        await set_back(rig)

        async def nobody(_read_url: str, _origin: str) -> bytes:
            raise UnavailableError("PEER_DOWN", "down")

        await boot_node(rig.hosts[ZHEJIANG].parts, ask=nobody, island="a test: everybody else is down")
        (again,) = await sent(rig, 1)
        (message,) = [
            each
            for each in load_pending(rig[ZHEJIANG].database, JIANGXI, after_seq=2, limit=9, max_bytes=1 << 30)
            if each.id == again
        ]
        with pytest.raises(ConflictError) as caught:
            await receive(rig[JIANGXI], Submission(envelope=message.envelope, body=message.body), peer=ZHEJIANG)
        assert caught.value.reason == "SEQUENCE_REUSED"

        rig.hosts[ZHEJIANG].start_delivery()
        assert await rig.hosts[ZHEJIANG].parts.delivery.wait_settled(again) == "rejected"

        size = rig[JIANGXI].sequencer.head.size
        leaves = [decode_leaf(entry) for entry in load_entries(rig[JIANGXI].database, 0, size)]
        assert [leaf.kind for leaf in leaves].count(LeafKind.DISCREPANCY) == 1
        row = find_outbox(rig[ZHEJIANG].database, again)
        assert row is not None
        assert row.last_error == "SEQUENCE_REUSED"
        received = list_messages(rig[JIANGXI].database, "received", pair=OUT, after_seq=0, limit=9)
        assert [each.seq for each in received] == [1, 2, 3, 4, 5]


async def test_log_of_a_restored_backup_is_never_cosigned_again_and_stops(tmp_path: Path) -> None:
    """However far it grows: a witness holds the longer, older truth, shows it, and the writer signs no more."""
    async with running_rig(tmp_path) as rig:
        await set_back(rig)
        await sent(rig, 6)
        node = rig[ZHEJIANG]
        cosigning = rig.cosigning()
        await cosigning.offer(node.sequencer.head)

        assert cosigning.cosigned_size(JIANGXI) == 0
        assert node.sequencer.failure is not None
        assert node.sequencer.failure.reason == "LOG_FORKED"
        with pytest.raises(CorruptError, match="LOG_STOPPED"):
            await sent(rig, 1)
        assert list_forks(rig[JIANGXI].database, node.sequencer.vkey.name) == []
