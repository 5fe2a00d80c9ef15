"""What an operator is told: log, agreement, peers, and everything that needs a look."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from federation.node.exchange.send import send
from federation.node.serve import start_duty
from federation.node.status import disk_warnings, node_status
from federation.protocol.errors import CorruptError
from federation.protocol.form import replace
from federation.store.witness_state import keep_fork
from federation.wire.agency.node import NodeStatus, PeerState
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, ZHEJIANG, Rig, draft


def status(rig: Rig) -> NodeStatus:
    parts = rig.hosts[ZHEJIANG].parts
    assert parts is not None
    return node_status(parts.node, rig.hosts[ZHEJIANG].home, delivery=parts.delivery, cosigning=parts.cosigning)


def peer(rig: Rig) -> PeerState:
    return next(each for each in status(rig).peers if each.node == JIANGXI)


async def test_status_of_a_node_at_rest_warns_of_nothing(rig: Rig) -> None:
    """Name, realm, agreement, head; every other member is a peer."""
    found = status(rig)

    assert (found.node, found.realm, found.agreement_version) == (ZHEJIANG, "demo", rig.agreement.version)
    assert (found.agreement_digest, found.agreement_freshness) == (rig.agreement.digest, "fresh")
    assert (found.tree_size, found.checkpoint) == (0, rig[ZHEJIANG].sequencer.head.note)
    assert {each.node for each in found.peers} == {JIANGXI, FUJIAN, ANHUI}
    assert found.warnings == ()


async def test_status_and_health_tell_of_a_duty_that_died(rig: Rig) -> None:
    """Whatever it died of; one that ended because the node stops is none."""

    async def duty(*, dies: bool) -> None:
        if dies:
            raise AttributeError
        await asyncio.Event().wait()

    stopped = start_duty(rig[ZHEJIANG], duty(dies=False), name="stopped")
    stopped.cancel()
    await asyncio.wait([stopped, start_duty(rig[ZHEJIANG], duty(dies=True), name="boot")])

    assert len(status(rig).troubles) == 1
    assert "boot" in status(rig).troubles[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE log_leaf SET entry = X'20' WHERE leaf_index = 0", "LOG_EDGE"),
        ("DELETE FROM log_leaf WHERE leaf_index = 1", "LOG_ENTRY"),
        ("UPDATE log_head SET size = size - 1", "LOG_HEAD"),
        ("DELETE FROM log_head", "LOG_HEAD"),
        ("UPDATE log_head SET root = zeroblob(32)", "LOG_HEAD"),
    ],
)
async def test_status_tells_of_a_log_that_was_changed_on_the_disk(rig: Rig, change: str, reason: str) -> None:
    """An entry changed or gone, a head set back, gone or another: a trouble, so that `node status` ends with 1."""
    await send(rig[ZHEJIANG], [draft(), draft()], rows=lambda _tx: None)
    assert status(rig).troubles == ()

    with rig[ZHEJIANG].database.writing() as connection:
        connection.exec_driver_sql(change)

    (trouble,) = status(rig).troubles
    assert reason in trouble


async def test_status_counts_what_waits_and_tells_who_cannot_be_reached(rig: Rig) -> None:
    """A peer that is down: how much waits for it, and why; once it is back, when it last receipted."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.cut = True
    await send(rig[ZHEJIANG], [draft(), draft()], rows=lambda _tx: None)
    rig.start_delivery()
    while not line.carried:
        await asyncio.sleep(0)
    while peer(rig).reachable:
        await asyncio.sleep(0)

    assert peer(rig).waiting_count == 2
    assert peer(rig).last_receipt_time is None
    assert any("PEER_CUT" in warning for warning in status(rig).warnings)

    line.cut = False
    await rig.drain()
    while peer(rig).last_receipt_time is None:
        await asyncio.sleep(0)
    assert peer(rig).reachable
    assert (peer(rig).waiting_count, peer(rig).last_receipt_time) == (0, rig.clock())
    assert status(rig).warnings == ()


async def test_status_warns_when_a_message_is_put_off_although_the_peer_is_reached(rig: Rig) -> None:
    """One message that waits is no dead peer."""
    newer = replace(rig.agreement, version=2, digest="ab" * 32)
    rig.put_in_force(newer, ZHEJIANG)
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    rig.start_delivery()
    while not status(rig).warnings:
        await asyncio.sleep(0)

    assert peer(rig).reachable
    assert "AGREEMENT_BEHIND" in status(rig).warnings[0]


async def test_status_warns_of_a_lapsed_and_of_an_expired_agreement(rig: Rig) -> None:
    """Lapsed: it goes on, and until when. Expired: what stopped, and what helps."""
    lapsed = replace(rig.agreement, fresh_until_time=rig.clock() - timedelta(hours=1))
    rig.put_in_force(lapsed)
    (warning,) = status(rig).warnings
    assert status(rig).agreement_freshness == "lapsed"
    assert (lapsed.fresh_until_time + lapsed.lapse_grace).isoformat() in warning

    rig.put_in_force(replace(lapsed, expires_time=rig.clock()))
    assert status(rig).agreement_freshness == "expired"
    assert "expired" in status(rig).warnings[0]


async def test_status_shows_contact_queue_and_clock(rig: Rig) -> None:
    """Who was never reached is not reached; how old the queue is; whose clock is off, in a warning when it is much."""
    assert (peer(rig).reachable, peer(rig).last_contact_time, peer(rig).clock_offset_millis) == (False, None, None)

    contacts = rig.hosts[ZHEJIANG].parts.delivery.contacts
    contacts.answered(JIANGXI, offset=timedelta(milliseconds=-40))
    written = rig.clock()
    await send(rig[ZHEJIANG], [draft(), draft()], rows=lambda _tx: None)
    rig.clock.advance(hours=2)

    found = peer(rig)
    assert (found.reachable, found.last_contact_time, found.clock_offset_millis) == (True, written, -40)
    assert (found.waiting_count, found.oldest_waiting_time, found.expired_count) == (2, written, 0)
    assert status(rig).warnings == ()

    contacts.answered(JIANGXI, offset=rig.agreement.clock_tolerance)
    (warning,) = status(rig).warnings
    assert warning.startswith("jiangxi 的时钟与本节点相差 +")


async def test_status_counts_what_expired_on_the_way(rig: Rig) -> None:
    """A message that its time ran out for is counted, although nobody waits for it any more."""
    line = rig.faults(ZHEJIANG, JIANGXI)
    line.cut = True
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    rig.clock.advance(days=40)
    rig.start_delivery()
    while peer(rig).waiting_count:
        await asyncio.sleep(0)

    assert peer(rig).expired_count == 1
    assert peer(rig).oldest_waiting_time is None


async def test_status_shows_what_ends_the_disk_and_the_cosignatures_of_the_newest_head(rig: Rig) -> None:
    """The certificates by day; the disk of the home; whose line is on the head that is served now."""
    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    parts = rig.hosts[ZHEJIANG].parts
    await parts.cosigning.offer(parts.node.sequencer.head)

    found = status(rig)
    assert [line.name for line in found.endings] == ["agreement"]
    assert 0 < found.disk_free_bytes <= found.disk_size_bytes
    assert [line.on_newest_head for line in found.witnesses] == [True, False, False, False]
    assert found.intake_waiting == 0

    await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)
    assert not any(line.on_newest_head for line in status(rig).witnesses)


def test_disk_that_is_nearly_full_is_warned_of() -> None:
    """Below a GiB, with what is left."""
    assert disk_warnings(2 << 30) == []
    assert "100 MiB" in disk_warnings(100 << 20)[0]


async def test_status_warns_of_a_forked_log_and_of_a_stopped_one(rig: Rig) -> None:
    """Both need a human at once."""
    vkey = rig[JIANGXI].sequencer.vkey
    keep_fork(rig[ZHEJIANG].database, vkey.name, size=1, notes=(b"one", b"two"), now=rig.clock())
    rig[ZHEJIANG].sequencer.stop(CorruptError("LOG_HEAD", "the store went back"))

    assert [warning for warning in status(rig).warnings if "jiangxi: its log signed two histories" in warning]
    assert [trouble for trouble in status(rig).troubles if "the log stopped" in trouble]
