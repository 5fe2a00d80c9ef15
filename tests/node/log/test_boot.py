"""The check before anything is signed: a store that is older than what was cosigned does not start."""

from __future__ import annotations

import shutil

import pytest

from federation.node.exchange.send import send
from federation.node.log.boot import BootFinding, agreement_leaf, boot_leaf, check_boot
from federation.node.log.witness import Cosigning
from federation.node.serve import boot_node
from federation.protocol.errors import CorruptError, NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.leaf import LeafKind, decode_leaf, encode_leaf
from federation.store.exchange_log import load_entries
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, START, ZHEJIANG, Rig, draft, kit


def cosigning(rig: Rig, name: NodeName = ZHEJIANG) -> Cosigning:
    node = rig[name]
    return Cosigning(
        name=name, database=node.database, sequencer=node.sequencer, trust=node.trust, post=rig.post_checkpoint,
        now=rig.clock,
    )  # fmt: skip


async def grow(rig: Rig, count: int = 1) -> None:
    for _ in range(count):
        await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)


async def check(rig: Rig) -> BootFinding:
    node = rig[ZHEJIANG]
    return await check_boot(
        node.database, rig.agreement, own=ZHEJIANG, log_vkey=node.sequencer.vkey, ask=rig.ask_cosigned, now=rig.clock()
    )


async def test_boot_of_a_new_log_that_nobody_cosigned_starts(four: Rig) -> None:
    """Silence is no contradiction: a peer that is down, or never saw the log, does not hold up the start."""
    assert await check(four) == BootFinding(confirmed=(), silent=(ANHUI, FUJIAN, JIANGXI))


async def test_boot_after_cosigning_is_confirmed_by_all(four: Rig) -> None:
    """Our tree extends what the peers saw last."""
    await grow(four)
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)
    await grow(four, 3)

    assert await check(four) == BootFinding(confirmed=(ANHUI, FUJIAN, JIANGXI), silent=())


async def test_boot_with_some_peers_down_goes_by_the_others(four: Rig) -> None:
    """One witness is enough to know."""
    await grow(four)
    await cosigning(four).offer(four[ZHEJIANG].sequencer.head)
    await four.hosts[FUJIAN].crash()

    assert await check(four) == BootFinding(confirmed=(ANHUI, JIANGXI), silent=(FUJIAN,))


async def test_boot_with_a_store_from_a_backup_refused(rig: Rig) -> None:
    """A restored backup would sign a second history: the node does not start, and says what to do."""
    host = rig.hosts[ZHEJIANG]
    await grow(rig, 2)
    await host.close()
    shutil.copyfile(host.path, host.path.with_suffix(".backup"))
    host.open()
    await grow(rig, 3)
    await cosigning(rig).offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    shutil.copyfile(host.path.with_suffix(".backup"), host.path)
    host.open()

    with pytest.raises(CorruptError) as caught:
        await boot_node(host.parts, ask=rig.ask_cosigned)

    assert caught.value.reason == "LOG_ROLLED_BACK"
    assert "jiangxi cosigned 5 entries" in caught.value.message
    assert rig[ZHEJIANG].sequencer.head.size == 2


async def test_boot_with_another_history_of_the_same_length_refused(rig: Rig) -> None:
    """A fork of the log is caught by its root."""
    host = rig.hosts[ZHEJIANG]
    await host.close()
    shutil.copyfile(host.path, host.path.with_suffix(".backup"))
    host.open()
    await grow(rig, 2)
    await cosigning(rig).offer(rig[ZHEJIANG].sequencer.head)
    await host.close()
    shutil.copyfile(host.path.with_suffix(".backup"), host.path)
    host.open()
    await grow(rig, 4)

    with pytest.raises(CorruptError) as caught:
        await check(rig)

    assert caught.value.reason == "LOG_FORKED"


async def test_boot_note_by_another_witness_confirms_nothing(rig: Rig) -> None:
    """Only what the peer itself cosigned counts; a note without its line, or no note at all, is silence."""
    await grow(rig)

    async def plain(_read_url: str, _origin: str) -> bytes:
        return rig[ZHEJIANG].sequencer.head.note

    async def garbage(_read_url: str, _origin: str) -> bytes:
        return b"hello\n"

    node = rig[ZHEJIANG]
    for ask in (plain, garbage):
        finding = await check_boot(
            node.database, rig.agreement, own=ZHEJIANG, log_vkey=node.sequencer.vkey, ask=ask, now=rig.clock()
        )
        assert finding.confirmed == ()
        assert len(finding.silent) == 3


async def test_boot_node_logs_agreement_and_boot_with_who_confirmed(rig: Rig) -> None:
    """From here on this process signs; the agreement in force stands once, however often the node starts."""
    for _ in range(2):
        await boot_node(rig.hosts[ZHEJIANG].parts, ask=rig.ask_cosigned)
        rig.clock.advance(seconds=1)

    entries = load_entries(rig[ZHEJIANG].database, 0, rig[ZHEJIANG].sequencer.head.size)
    kinds = [decode_leaf(entry).kind for entry in entries]
    assert kinds == [LeafKind.AGREEMENT, LeafKind.BOOT, LeafKind.BOOT]
    assert decode_leaf(entries[0]).subject == rig.agreement.digest


def test_boot_leaf_differs_by_who_confirmed() -> None:
    """The leaf commits to the finding."""
    agreement = kit().agreement
    some = BootFinding(confirmed=(JIANGXI,), silent=(FUJIAN, ANHUI))
    none = BootFinding(confirmed=(), silent=(JIANGXI, FUJIAN, ANHUI))
    leaves = [boot_leaf(agreement, size=1, finding=finding, now=START) for finding in (some, none)]

    assert leaves[0].subject != leaves[1].subject
    assert replace(leaves[0], subject=leaves[1].subject) == leaves[1]
    assert encode_leaf(agreement_leaf(agreement, now=START))


async def test_boot_peer_that_never_cosigned_answers_not_found(rig: Rig) -> None:
    """A peer without memory of our log is silent, not wrong."""

    async def never(_read_url: str, _origin: str) -> bytes:
        raise NotFoundError("NEVER_COSIGNED", "no")

    node = rig[ZHEJIANG]
    finding = await check_boot(
        node.database, rig.agreement, own=ZHEJIANG, log_vkey=node.sequencer.vkey, ask=never, now=rig.clock()
    )
    assert finding.confirmed == ()
