"""The clocks of what a person must answer: asked again, escalated, expired on both sides, and nothing after that."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.intake import IntakeStatus
from federation.domain.lookups import Outcome, Urgency
from federation.domain.oversight import FlagKind
from federation.node.intake.clock import check_desk, check_pending
from federation.node.lookups import ask as asking
from federation.node.node import Node
from federation.protocol.errors import RuleError
from federation.protocol.ids import AgencyId, Pair
from federation.protocol.leaf import NOT_ANSWERED, Leaf, LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.store.messages import list_messages
from tests.node.intake.border import XINZHOU, Border, border
from tests.node.lookups.office import flags_at
from tests.node.rig import JIANGXI, YUSHAN_POLICE, ZHEJIANG
from tests.scenarios.check_federation import NodeStore, check_federation


async def tend(found: Border) -> None:
    """One round of the duty at both nodes."""
    for node in (found.answering, found.asking):
        await check_desk(node)
        await check_pending(node)
        await found.rig.drain()


def unanswered(node: Node) -> list[Leaf]:
    """The leaves that say that nobody answered."""
    leaves = [decode_leaf(entry) for entry in load_entries(node.database, 0, node.sequencer.head.size)]
    found = [leaf for leaf in leaves if leaf.kind is LeafKind.EXPIRED and leaf.reason == NOT_ANSWERED]
    return sorted(found, key=lambda leaf: leaf.seq or 0)


def flags(node: Node, desk: AgencyId) -> list[FlagKind]:
    return [raised.kind for raised in flags_at(node, desk)]


async def audit(found: Border) -> None:
    """Both logs against each other, with every envelope, an hour and a half later: nothing is wrong."""
    found.rig.clock.advance(hours=1, minutes=30)
    kept = [NodeStore(host.name, host.node.database, host.keyring.log) for host in found.rig.hosts.values()]
    await check_federation(kept, found.rig.agreement, now=found.rig.clock())


async def test_second_request_goes_out_by_itself_at_half_of_the_clock(tmp_path: Path) -> None:
    """Once, however often the duty looks; not before, and not for what is answered."""
    async with border(tmp_path) as found:
        await found.search()
        found.rig.clock.advance(minutes=29)
        await tend(found)
        assert (await found.inbox())[0].reminded is None

        found.rig.clock.advance(minutes=1)
        for _ in range(3):
            await tend(found)

        (line,) = await found.inbox()
        assert line.reminded == found.rig.clock()
        sent = list_messages(found.asking.database, "sent", pair=Pair(JIANGXI, ZHEJIANG), after_seq=0, limit=99)
        assert [message.kind for message in sent].count("lookup.second") == 1
        await found.release(line.request_id)
        await audit(found)


async def test_request_at_three_quarters_is_escalated_and_both_offices_are_flagged(tmp_path: Path) -> None:
    """The office that answers and the one that asks each have a flag, once."""
    async with border(tmp_path) as found:
        await found.search(urgency=Urgency.URGENT)
        found.rig.clock.advance(minutes=7, seconds=29)
        await tend(found)
        assert flags(found.answering, found.office) == []

        found.rig.clock.advance(seconds=1)
        for _ in range(2):
            await tend(found)

        (line,) = await found.inbox()
        assert line.escalated == found.rig.clock()
        assert flags(found.answering, found.office) == [FlagKind.UNANSWERED]
        assert flags(found.asking, XINZHOU) == [FlagKind.UNANSWERED]


async def test_second_request_that_stays_unanswered_escalates_sooner(tmp_path: Path) -> None:
    """A quarter of the clock after it was asked again."""
    async with border(tmp_path) as found:
        await found.search()
        await found.remind((await found.history())[0].lookup_id)
        found.rig.clock.advance(minutes=15)
        await tend(found)

        assert (await found.inbox())[0].escalated == found.rig.clock()


async def test_province_that_was_expelled_owes_no_answer(tmp_path: Path) -> None:
    """It is asked no second time: nothing is sent to who is no member."""
    async with border(tmp_path) as found:
        await found.search()
        found.rig.expel(ZHEJIANG, at=JIANGXI)

        with pytest.raises(RuleError) as refusal:
            await found.remind((await found.history())[0].lookup_id)

        assert refusal.value.reason == "NOTHING_OWED"


async def test_request_that_no_one_answered_ends_as_expired_on_both_sides(tmp_path: Path) -> None:
    """A leaf in each log about the same request, for search and fetch; the history says expired; the audit is clean."""
    async with border(tmp_path) as found:
        await found.search()
        hit = await found.search(caller=YUSHAN_POLICE)
        await found.fetch(hit.handle or "", "residence_address")
        found.rig.clock.advance(hours=1, seconds=1)
        await tend(found)
        assert [line.status for line in await found.inbox(ended=True)] == [IntakeStatus.EXPIRED] * 2
        assert len(unanswered(found.answering)) == 2
        assert unanswered(found.asking) == []  # an answer of the last second may still be on its way

        found.rig.clock.advance(seconds=66)
        for _ in range(2):
            await tend(found)

        theirs, ours = unanswered(found.answering), unanswered(found.asking)
        assert [(leaf.subject, leaf.pair, leaf.seq) for leaf in theirs] == [
            (leaf.subject, leaf.pair, leaf.seq) for leaf in ours
        ]
        assert len(ours) == 2
        assert [line.outcome for line in await found.history()] == [Outcome.EXPIRED]
        with pytest.raises(RuleError, match="INTAKE_EXPIRED"):
            await found.release((await found.inbox(ended=True))[0].request_id)
        await audit(found)


async def test_answered_request_leaves_no_mark_of_the_clock(tmp_path: Path) -> None:
    """Hit, no hit or refused in time: neither log says that it expired."""
    async with border(tmp_path) as found:
        await found.search(caller=YUSHAN_POLICE)
        await found.search()
        await found.refuse(await found.waiting())
        found.rig.clock.advance(hours=2)
        await tend(found)

        assert unanswered(found.answering) == unanswered(found.asking) == []
        await audit(found)


async def test_reply_that_comes_too_late_is_refused_and_the_desk_sees_it(tmp_path: Path) -> None:
    """Its body is not kept; the asker's history says expired; the answering side sees that it came too late."""
    async with border(tmp_path) as found:
        await found.search()
        line = found.rig.faults(ZHEJIANG, JIANGXI)
        line.cut = True
        request = await found.waiting()
        found.rig.clock.advance(minutes=59, seconds=59)
        released = await found.release(request, drain=False)
        assert released.status is IntakeStatus.ANSWERED
        found.rig.clock.advance(seconds=61, milliseconds=1)
        line.cut = False
        await found.rig.drain()

        assert [one.outcome for one in await found.history()] == [Outcome.EXPIRED]
        (ended,) = await found.inbox(ended=True)
        assert (ended.status, ended.came_late) == (IntakeStatus.ANSWERED, True)
        found.rig.clock.advance(seconds=10)
        await tend(found)
        assert len(unanswered(found.asking)) == 1
        assert unanswered(found.answering) == []


async def test_clock_goes_on_after_a_node_starts_again(tmp_path: Path) -> None:
    """A node that starts again finds what waits in its store: it remembers nothing else."""
    async with border(tmp_path) as found:
        await found.search(caller=YUSHAN_POLICE)
        await check_pending(found.asking)
        await found.search()
        found.rig.clock.advance(hours=2)
        host = found.rig.hosts[JIANGXI]
        await host.crash()
        host.open()
        host.start_delivery()

        await tend(found)

        assert len(unanswered(found.asking)) == len(unanswered(found.answering)) == 1


async def test_request_that_was_never_delivered_is_not_called_unanswered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It expired on its way: one leaf of the sender, without that reason."""
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.0)
    async with border(tmp_path) as found:
        found.rig.faults(JIANGXI, ZHEJIANG).cut = True
        assert (await found.search()).outcome is Outcome.UNREACHABLE
        found.rig.clock.advance(hours=2)
        await check_pending(found.asking)
        found.rig.faults(JIANGXI, ZHEJIANG).cut = False
        await found.rig.drain()
        await tend(found)

        assert unanswered(found.asking) == unanswered(found.answering) == []
        assert [one.outcome for one in await found.history()] == [Outcome.EXPIRED]
