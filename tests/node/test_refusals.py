"""Refusals a minute: beyond them nothing is judged or logged one by one, and one leaf says how much that was."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.log.replay import replay_log
from federation.node.node import OFFICER_PART, Node, Refusals
from federation.node.permits import list_permits
from federation.node.refusals import RULE, tell_refusals
from federation.protocol.errors import BridgeheadError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf
from federation.protocol.receipt import Receipt, Submission
from federation.store.log_reader import load_entries
from federation.wire.agency.permits import PermitQuery
from tests.node.rig import HALL, JIANGXI, POLICE, ZHEJIANG, act, running_rig, sign, statement, submission, sync_body

MOST = 20


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_caller_that_was_refused_too_often_waits_and_others_do_not():
    """A bucket a caller, filled again within a minute; what is turned away is counted once."""
    clock = Clock()
    refusals = Refusals(3, clock=clock)
    for _ in range(3):
        refusals.verify("zhejiang")
        refusals.note("zhejiang")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="REFUSED_TOO_OFTEN"):
            refusals.verify("zhejiang")
    refusals.verify("fujian")
    clock.seconds = 20.0
    refusals.verify("zhejiang")
    untold = refusals.untold()
    assert untold == {"zhejiang": 2}
    refusals.note("fujian")
    refusals.take_off(untold)
    assert refusals.untold() == {}


def leaves(node: Node) -> list[Leaf]:
    return [decode_leaf(entry) for entry in load_entries(node.database, 0, node.sequencer.head.size)]


@pytest.mark.attack("a member whose messages are refused without end", held_by="refusals a minute (node/refusals)")
async def test_refused_messages_of_a_member_leave_a_bounded_number_of_leaves(tmp_path: Path) -> None:
    """What is beyond is not judged; the same message is taken in as ever once the bucket has filled again."""
    async with running_rig(tmp_path, refusals_a_minute=MOST) as rig:
        clock = Clock()
        node = rig[JIANGXI]
        node.refusals._buckets._clock = clock
        for seq in range(1, MOST + 1):
            receipt = await receive(node, submission(rig, seq=seq, purpose="permit.unknown"), peer=ZHEJIANG)
            assert isinstance(receipt, Receipt)
        beyond = submission(rig, seq=MOST + 1, purpose="permit.unknown")
        honest = submission(rig, seq=MOST + 2)
        for each in (*[beyond] * 50, honest):
            with pytest.raises(UnavailableError, match="REFUSED_TOO_OFTEN"):
                await receive(node, each, peer=ZHEJIANG)
        await tell_refusals(node)
        await tell_refusals(node)

        found = leaves(node)
        told = [leaf for leaf in found if leaf.policies == (RULE,)]
        assert [leaf.reason for leaf in told] == ["REFUSED_TOO_OFTEN 51"]
        assert sum(leaf.verdict is Verdict.REFUSED for leaf in found) == MOST + 1
        assert replay_log(node.database, lambda _version, _digest: node.trust.in_force.policies).is_whole

        clock.seconds = 60.0
        assert isinstance(await receive(node, honest, peer=ZHEJIANG), Receipt)
        assert leaves(node)[-1].kind is LeafKind.RECEIVED


@pytest.mark.attack(
    "a member that uses an id or a number again without end", held_by="refusals a minute (node/refusals)"
)
@pytest.mark.parametrize("reused", ["id", "seq"])
async def test_conflicts_of_a_member_leave_a_bounded_number_of_leaves(tmp_path: Path, reused: str) -> None:
    """Each is evidence, and a leaf for ever: beyond the bound one leaf says how many there were."""
    async with running_rig(tmp_path, refusals_a_minute=MOST) as rig:
        node, body = rig[JIANGXI], sync_body()
        node.refusals._buckets._clock = Clock()
        first = statement(rig, body, seq=1)
        await receive(node, Submission(envelope=sign(first), body=body), peer=ZHEJIANG)
        reasons: Counter[str] = Counter()
        for number in range(MOST + 10):
            other = replace(first, basis=f"{first.basis} {number}")
            other = other if reused == "id" else replace(other, id=statement(rig, body, seq=1).id)
            with pytest.raises(BridgeheadError) as caught:
                await receive(node, Submission(envelope=sign(other), body=body), peer=ZHEJIANG)
            reasons[caught.value.reason] += 1
        await tell_refusals(node)

        reason = "MESSAGE_ID_REUSED" if reused == "id" else "SEQUENCE_REUSED"
        assert reasons == {reason: MOST, "REFUSED_TOO_OFTEN": 10}
        assert Counter(leaf.kind for leaf in leaves(node)) == {
            LeafKind.RECEIVED: 1, LeafKind.DISCREPANCY: MOST, LeafKind.REFUSED: 1
        }  # fmt: skip


@pytest.mark.attack("an agency that asks for what it may not, without end", held_by="refusals a minute (node/refusals)")
async def test_refused_acts_of_an_agency_end_at_the_same_bound(tmp_path: Path) -> None:
    """Every act of the office waits, an allowed one too; another office goes on."""
    async with running_rig(tmp_path, refusals_a_minute=MOST) as rig:
        node = rig[ZHEJIANG]
        node.refusals._buckets._clock = Clock()
        for _ in range(MOST):
            page = await list_permits(begin_errand(node, HALL, act("permit.unknown")), PermitQuery())
            assert not page.decision.allowed
        size = node.sequencer.head.size
        with pytest.raises(UnavailableError, match="REFUSED_TOO_OFTEN"):
            begin_errand(node, HALL, act())
        begin_errand(node, POLICE, act())
        assert node.sequencer.head.size == size


async def test_refused_acts_of_one_officer_stop_the_officer_before_the_office(tmp_path: Path) -> None:
    """What the officer's own key signed counts for the officer; who only writes the name takes nothing from them."""
    async with running_rig(tmp_path, refusals_a_minute=MOST) as rig:
        node = rig[ZHEJIANG]
        node.refusals._buckets._clock = node.refusals._officers._clock = Clock()
        refused = begin_errand(node, HALL, act("permit.unknown"))
        await list_permits(refused, PermitQuery())
        for number in range(MOST // OFFICER_PART):
            node.refusals.verify_officer(HALL, refused.act.officer)
            request = act("permit.unknown", request_id=f"00000000-0000-4000-8000-{number:012}")
            await list_permits(replace(begin_errand(node, HALL, request), is_signed=True), PermitQuery())
        with pytest.raises(UnavailableError, match="REFUSED_TOO_OFTEN"):
            node.refusals.verify_officer(HALL, refused.act.officer)
        node.refusals.verify_officer(HALL, "another")
        begin_errand(node, HALL, act())
