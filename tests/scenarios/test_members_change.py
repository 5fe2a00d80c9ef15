"""A province leaves and comes back while the others run: each node reaches who is agreed, without a restart."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from federation.node.exchange.send import send
from federation.node.home.agreement import read_agreement_files
from federation.node.home.draft import draft_agreement, publish_draft, sign_draft
from federation.node.home.setup import member_bundle
from federation.node.joint.records import CASES
from federation.node.node import Node
from federation.node.serve import running_node, utc_now
from federation.protocol.ids import NodeName
from tests.node.joint.desks import PEER, TOWN, Desks
from tests.node.rig import ZHEJIANG, draft
from tests.scenarios.provinces import ALL, ISLAND, NODES, POLICIES, Federation, make_federation

ANHUI, FUJIAN, JIANGXI = NodeName("anhui"), NodeName("fujian"), NodeName("jiangxi")


def publish(federation: Federation, members: tuple[str, ...], *, out: Path) -> None:
    """The next version with these members, signed by three, in the homes of all who are members."""
    bundles = [member_bundle(federation.home(name), now=utc_now()) for name in members]
    previous = read_agreement_files(federation.home(ALL[0]))
    draft_agreement(out, bundles, nodes=NODES, policies=POLICIES, previous=previous, now=utc_now())
    for name in ALL[:3]:
        sign_draft(out, federation.home(name), now=utc_now())
    publish_draft(out, [federation.home(name) for name in members], now=utc_now())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_province_that_leaves_is_dropped_and_one_that_joins_is_reached(tmp_path: Path) -> None:
    """The client and its channel go with the member, and what was queued ends; once it is one again, it is reached."""
    federation = make_federation(tmp_path, agreement_seconds=0.05)
    async with contextlib.AsyncExitStack() as stack:
        running, _ = [
            await stack.enter_async_context(running_node(federation.home(name), island=ISLAND))
            for name in (ALL[0], ANHUI)
        ]
        peers, dropped = running.peers.clients, running.peers.clients[ANHUI]
        assert set(peers) == {JIANGXI, FUJIAN, ANHUI}

        publish(federation, tuple(name for name in ALL if name != ANHUI), out=tmp_path / "without")
        await until(lambda: set(peers) == {JIANGXI, FUJIAN})
        assert dropped._channel._closed
        (message_id,) = (await send(running.node, [draft(recipient=ANHUI)], rows=lambda _tx: None)).value[1]

        async with asyncio.timeout(60):
            assert await running.delivery.wait_settled(message_id) == "expired"

        publish(federation, ALL, out=tmp_path / "with")
        await until(lambda: ANHUI in peers)
        (message_id,) = (await send(running.node, [draft(recipient=ANHUI)], rows=lambda _tx: None)).value[1]
        running.node.wake_delivery(ANHUI)
        async with asyncio.timeout(60):
            assert await running.delivery.wait_settled(message_id) == "settled"
        assert peers[ANHUI] is not dropped


async def test_case_reaches_who_joined_after_its_agreement_was_replaced(tmp_path: Path) -> None:
    """It holds no earlier version: the one that the case pins is fetched from a member, and verified by its roots."""
    federation = make_federation(tmp_path, agreement_seconds=0.05, delivery_pause_seconds=0.05)
    async with contextlib.AsyncExitStack() as stack:

        async def start(name: NodeName) -> Node:
            return (await stack.enter_async_context(running_node(federation.home(name), island=ISLAND))).node

        case = Desks({ZHEJIANG: await start(ZHEJIANG)})
        await case.open()
        publish(federation, ALL, out=tmp_path / "next")
        for folder in (federation.home(JIANGXI) / "agreement" / "versions").glob("1.*"):
            shutil.rmtree(folder)
        case.rig[JIANGXI] = await start(JIANGXI)
        await until(lambda: case.rig[ZHEJIANG].trust.in_force.agreement.version == 2)

        await case.does(TOWN, "invite", agency=str(PEER), role="peer")
        await until(lambda: case.record in {line.record for line in CASES.each(case.rig[JIANGXI].database)})
        await case.does(PEER, "join")

        folded = case.held(JIANGXI).state
        assert folded is not None
        assert (folded.stage, folded.members.keys()) == ("registration", {TOWN, PEER})
