"""The node's table of steps: every RPC of the house is answered by one, and only one of a pair asks for its digest."""

from pathlib import Path

import pytest

from federation.node.features import STEPS
from federation.node.ports import agency_bindings, peer_bindings
from federation.protocol.errors import RuleError, UntrustedError
from federation.protocol.ids import NodeName, Pair
from federation.wire.agency.audit import LIST_MESSAGES
from federation.wire.agency.erasure import RUN_RETENTION
from federation.wire.agency.node import GET_STATUS
from federation.wire.gatekeeper import Caller
from federation.wire.peer import DIGEST_RANGE, FETCH_AGREEMENT, RangeQuestion
from federation.wire.rpc import Side
from tests.node.rig import FUJIAN, JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, running_rig
from tests.wire.calls import AWAITED
from tests.wire.table import RPCS


async def test_every_rpc_is_answered_by_one_step(tmp_path: Path) -> None:
    """What the table offers and what a node answers are the same, on each port, but for what it is still to learn."""
    async with running_rig(tmp_path) as rig:
        node = rig[JIANGXI]
        peer = [binding.rpc for binding in peer_bindings(node, tmp_path)]
        agency = [rpc for rpc, _ in STEPS] + [RUN_RETENTION, LIST_MESSAGES, GET_STATUS, FETCH_AGREEMENT, *AWAITED]

    def offered(side: Side) -> list[str]:
        return sorted(rpc.name for rpc in RPCS if side in rpc.sides)

    assert sorted(rpc.name for rpc in peer) == offered(Side.PEER)
    assert sorted(rpc.name for rpc in agency) == offered(Side.AGENCY)


async def test_digest_range_of_a_strangers_pair_is_refused(tmp_path: Path) -> None:
    """Who is not one of the pair learns nothing about it; who is one is answered."""
    question = RangeQuestion(pair=Pair(ZHEJIANG, JIANGXI), from_seq=1, to_seq=5)
    async with running_rig(tmp_path) as rig:
        node = rig[JIANGXI]
        (binding,) = [each for each in peer_bindings(node, tmp_path) if each.rpc is DIGEST_RANGE]

        def caller(name: NodeName) -> Caller:
            return Caller(identity=name, node=name, serial="1", not_before=node.now(), not_after=node.now())

        with pytest.raises(UntrustedError, match="PAIR_DENIED"):
            await binding.answer(caller(FUJIAN), None, question)
        assert (await binding.answer(caller(ZHEJIANG), None, question)).count == 0


async def test_every_door_of_an_agency_refuses_a_purpose_that_nobody_registered_and_logs_nothing(
    tmp_path: Path,
) -> None:
    """No step begins, whatever is asked, and what stood there as a purpose is neither logged nor said again."""
    async with running_rig(tmp_path) as rig:
        node = rig[JIANGXI]
        size, now = node.sequencer.head.size, node.now()
        caller = Caller(identity=YUSHAN_POLICE, node=JIANGXI, serial="1", not_before=now, not_after=now)
        doors = agency_bindings(node, tmp_path, delivery=None, cosigning=None)  # type: ignore[arg-type]  # unused
        for binding in doors:
            if binding.rpc in (GET_STATUS, FETCH_AGREEMENT):  # nobody acts in these
                continue
            with pytest.raises(RuleError, match="PURPOSE_UNKNOWN") as refused:
                answer = binding.answer(caller, act("lookup.debt_collection", "F03"), None)
                await (anext(answer) if binding.rpc.stream else answer)
            assert "debt" not in str(refused.value)

        assert node.sequencer.head.size == size
        assert not any(b"debt_collection" in path.read_bytes() for path in tmp_path.rglob("*.db*"))


async def test_purposes_are_those_registered_and_those_of_the_agreement(tmp_path: Path) -> None:
    """Of the table, of a procedure, of a kind of alert; nothing else, and no purpose is none."""
    async with running_rig(tmp_path) as rig:
        in_force = rig[JIANGXI].trust.in_force

        for purpose in ("lookup.missing_person", "wage.claim", "alert.forest_fire", "subject.access"):
            in_force.verify_purpose(purpose)
        for purpose in ("", "lookup.debt_collection", "lookup", "LOOKUP.MISSING_PERSON"):
            with pytest.raises(RuleError, match="PURPOSE_UNKNOWN"):
                in_force.verify_purpose(purpose)
