"""A store restored from a backup: the log is retired as evidence, and the node goes on under a new one once it is agreed."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.cli.agreement_changes import describe_changes
from federation.node.exchange.send import send
from federation.node.home.agreement import load_home_agreement, read_agreement_files
from federation.node.home.draft import complete_bundles, draft_agreement, publish_draft, read_both, sign_draft
from federation.node.home.keyring import load_keyring
from federation.node.home.setup import BUNDLE_FILE
from federation.node.log.boot import ISLAND as BY_WORD
from federation.node.log.own_head import own_head_file
from federation.node.log.restart import LOST_NUMBERS, ask_heads, restart_log
from federation.node.serve import Running, running_node
from federation.node.upkeep import take_from_home
from federation.protocol.errors import BridgeheadError, RuleError
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import LOG_RESTARTED, decode_leaf
from federation.protocol.tlog.note import verify_checkpoint
from federation.store.log_reader import load_entries
from federation.store.messages import count_pending, list_messages
from federation.store.witness_state import find_witness_state
from federation.wire.read_client import WitnessClients
from tests.node.rig import JIANGXI, ZHEJIANG, draft
from tests.scenarios.provinces import ISLAND, NODES, POLICIES, Federation, make_federation

VOUCHED = "省厅值班员 王某：两省断电 two provinces are without power"
OUT = Pair(ZHEJIANG, JIANGXI)


def now() -> datetime:
    return datetime.now(UTC)


async def exchange(running: Running, home: Path, count: int) -> None:
    """Sends so many messages to Jiangxi, and waits until each is receipted and the home knows the head."""
    await running.opened.wait()
    await send(running.node, [draft() for _ in range(count)], rows=lambda _tx: None)
    vkey = running.node.sequencer.vkey
    head_file = own_head_file(home, vkey)
    async with asyncio.timeout(60):
        while count_pending(running.node.database):
            await asyncio.sleep(0.02)
        while (note := head_file.read()) is None or verify_checkpoint(
            note, vkey
        ).size < running.node.sequencer.head.size:
            await asyncio.sleep(0.02)


def agree(federation: Federation, folder: Path, home: Path) -> None:
    """The next agreement with this home's bundle, signed by three, in force in two homes."""
    bundles = complete_bundles([(home / BUNDLE_FILE).read_bytes()], read_agreement_files(home), now=now())
    draft_agreement(
        folder, bundles, nodes=NODES, policies=POLICIES, previous=read_agreement_files(home), now=now()
    )  # fmt: skip
    assert any(VOUCHED in line and "TOO FEW" in line for line in describe_changes(*read_both(folder, home)))
    for name in ("zhejiang", "fujian", "anhui"):
        sign_draft(folder, federation.home(name), now=now())
    publish_draft(folder, [home, federation.home("jiangxi")], now=now())


def copy_store(home: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in home.glob("node.db*"):
        shutil.copy2(path, folder / path.name)


async def cosigned(witness: Running, origin: str) -> None:
    """Returns once the other node has cosigned a head of that log."""
    async with asyncio.timeout(60):
        while find_witness_state(witness.node.database, origin) is None:
            await asyncio.sleep(0.05)


async def test_rolled_back_log_is_retired_and_the_node_goes_on(tmp_path: Path) -> None:
    """Nothing is signed twice: another key and origin, other numbers; the old heads stay, and the agreement says it."""
    federation = make_federation(tmp_path / "all")
    home, backup = federation.home("zhejiang"), tmp_path / "backup"
    old = load_keyring(home).log.vkey
    with pytest.raises(RuleError) as healthy:
        restart_log(home, why="nothing happened", now=now())
    assert healthy.value.reason == "LOG_HEALTHY"

    async with running_node(federation.home("jiangxi"), island=ISLAND) as jiangxi:
        async with running_node(home, island=ISLAND) as running:
            await exchange(running, home, 2)
        copy_store(home, backup)
        async with running_node(home, island=ISLAND) as running:
            await exchange(running, home, 3)
            await cosigned(jiangxi, old.name)
            signed = own_head_file(home, old).read()
        for path in home.glob("node.db*"):
            path.unlink()
        copy_store(backup, home)
        async with running_node(home, island=ISLAND) as running:
            assert running.node.sequencer.failure.reason == "LOG_ROLLED_BACK"

        clients = WitnessClients(timeout_seconds=60)
        shown = await ask_heads(home, ask=clients.ask, now=now())
        clients.close()
        assert (set(shown.heads), shown.never, shown.needed) == ({"jiangxi"}, (), 2)
        for word in ("", " ", "x" * 101, "a\nb"):
            with pytest.raises(RuleError) as alone:
                restart_log(home, why="磁盘损坏，自备份恢复", now=now(), shown=shown, vouched=word)
            assert alone.value.reason == "RESTART_UNWITNESSED"
        assert not (home / "retired").exists()
        retired = restart_log(home, why="磁盘损坏，自备份恢复", now=now(), shown=shown, vouched=VOUCHED)

        evidence = home / "retired" / old.name.replace("/", "_")
        assert (evidence / old.name.replace("/", "_")).read_bytes() == signed
        assert json.loads((evidence / "retired.json").read_bytes())["why"] == "磁盘损坏，自备份恢复"
        assert json.loads((evidence / "retired.json").read_bytes())["vouched"] == retired.vouched == VOUCHED
        assert (evidence / f"shown-by-{next(iter(shown.heads))}".replace("/", "_")).is_file()
        assert retired.signed >= verify_checkpoint(signed, old).size > retired.size
        assert not (home / "keys" / "log.key").exists()
        assert load_keyring(home).log.vkey.name == f"{old.name}-1"
        with pytest.raises(BridgeheadError) as early:
            async with running_node(home, island=ISLAND):
                pass
        assert early.value.reason == "LOG_NOT_AGREED"

        agree(federation, tmp_path / "draft", home)
        await take_from_home(jiangxi.node, federation.home("jiangxi"))
        async with running_node(home, island=ISLAND) as running:
            await exchange(running, home, 1)
            database, size = running.node.database, running.node.sequencer.head.size
            numbers = [each.seq for each in list_messages(database, "sent", pair=OUT, after_seq=0, limit=99)]
            leaves = [decode_leaf(entry) for entry in load_entries(database, 0, size)]
            assert running.node.sequencer.vkey.name == f"{old.name}-1"

    assert numbers == [1, 2, 2 + LOST_NUMBERS + 1]
    assert [leaf.reason for leaf in leaves].count(LOG_RESTARTED) == 1
    assert [leaf.reason for leaf in leaves[retired.size :][:2]] == [LOG_RESTARTED, BY_WORD]
    (kept,) = load_home_agreement(home, now=now()).members[NodeName("zhejiang")].retired_logs
    assert kept == retired
    with pytest.raises(RuleError) as again:
        restart_log(home, why="once more", now=now())
    assert again.value.reason == "LOG_HEALTHY"
