"""Where three provinces meet and no link is up: each desk goes on, and healing makes one alert of it, told to all."""

from __future__ import annotations

import asyncio
from itertools import permutations
from pathlib import Path

import pytest

from federation.domain.alert import Alert, AlertState
from federation.node.alerts import steps
from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.joint import entries
from federation.protocol.errors import UnavailableError
from federation.protocol.ids import NodeName
from tests.node.alerts.border_desks import BorderDesks, border_desks
from tests.node.rig import ANHUI, JIANGXI, ZHEJIANG

NODES = (ZHEJIANG, JIANGXI, ANHUI)
KAIHUA, WUYUAN, XIUNING = "330824.police", "361130.police", "341022.police"
KIND = "forest.poaching"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an answer that cannot come."""
    monkeypatch.setattr(steps, "WAIT_SECONDS", 0.02)
    monkeypatch.setattr(steps, "RECEIPT_SECONDS", 0.02)


def cut(border: BorderDesks, *nodes: NodeName) -> None:
    """No link between these nodes is up, and each knows it."""
    for one, other in permutations(nodes, 2):
        border.rig.faults(one, other).cut = True
        border.rig[one].contacts.failed(other, UnavailableError("PEER_DOWN", "the link is cut"))


async def heal(border: BorderDesks, *nodes: NodeName) -> Alert:
    """All links are up again: the alert that all of them see."""
    for one, other in permutations(nodes, 2):
        border.rig.faults(one, other).cut = False
        border.rig[one].contacts.answered(other)
    await border.settled()
    found = [border.alert(node) for node in nodes]
    assert found[1:] == found[:-1]
    return found[0]


async def raised(border: BorderDesks) -> None:
    await border.raises(KAIHUA, kind=KIND, area="tri.qixi", division="330824")
    await border.settled()
    assert {border.alert(node).status for node in NODES} == {"Actual"}


async def test_three_claims_at_the_tri_point(tmp_path: Path) -> None:
    """Three desks claim and get there with all links down for half an hour: one leads, two help, nothing is lost."""
    async with border_desks(tmp_path, NODES) as border:
        await raised(border)
        cut(border, *NODES)
        for desk in (KAIHUA, WUYUAN, XIUNING):
            border.rig.clock.advance(seconds=10)
            claimed = await border.does(desk, "claim", kind=KIND)
            assert claimed.line is not None, claimed.decision
            assert (claimed.line.holder, claimed.line.local) == (desk, desk != KAIHUA)
            await border.does(desk, "stamp", kind=KIND, stage="contacted")
        border.rig.clock.advance(minutes=25)
        await border.does(XIUNING, "stamp", kind=KIND, stage="arrived")
        border.rig.clock.advance(minutes=5)

        alert = await heal(border, *NODES)
        assert alert.hold is not None
        assert {alert.hold.desk, *alert.helpers} == {KAIHUA, WUYUAN, XIUNING}
        assert (alert.state, alert.stamps["arrived"].desk) == (AlertState.ARRIVED, XIUNING)
        stamps = [*alert.stamps.values(), *alert.later]
        assert sorted((stamp.stage, stamp.desk) for stamp in stamps) == sorted(
            [(stage, desk) for desk in (KAIHUA, WUYUAN, XIUNING) for stage in ("accepted", "contacted")]
            + [("arrived", XIUNING)]
        )
        for desk in (KAIHUA, WUYUAN, XIUNING):
            line = (await border.view(desk, kind=KIND)).line
            assert line is not None
            assert (line.holder, set(line.helpers)) == (alert.hold.desk, set(alert.helpers))


async def test_arbiter_is_gone_for_good(tmp_path: Path) -> None:
    """The node that raised it never answers again: the holder's node tells what is late, once, and the work goes on."""
    async with border_desks(tmp_path, NODES) as border:
        await raised(border)
        border.rig.clock.advance(seconds=20)
        await border.does(WUYUAN, "claim", kind=KIND)
        await border.settled()
        for node in (JIANGXI, ANHUI):
            cut(border, ZHEJIANG, node)
        border.rig.clock.advance(seconds=170)
        for _ in range(2):
            await told(border)
        await border.does(WUYUAN, "stamp", kind=KIND, stage="contacted")
        border.rig.clock.advance(minutes=40)
        for _ in range(2):
            await told(border)
        alert = border.alert(JIANGXI)
        assert alert == border.alert(ANHUI)
        late = [done.entry for done in alert.named.values() if done.head.act == "overdue"]
        assert [(entry.author, entry.head.fields["stage"]) for entry in late] == [
            (JIANGXI, "contacted"), (JIANGXI, "arrived"),
        ]  # fmt: skip
        assert (alert.hold and alert.hold.desk, alert.state) == (WUYUAN, AlertState.CONTACTED)


async def told(border: BorderDesks) -> None:
    """The two nodes that still answer write what time brings, until each has what the other wrote."""
    for _ in range(2_000):
        for node in (JIANGXI, ANHUI):
            await entries.settle(ALERTS_SHARED, border.rig[node], border.record)
        if border.alert(JIANGXI) == border.alert(ANHUI):
            return
        await asyncio.sleep(0.001)
    raise AssertionError("expected two nodes with one alert")
