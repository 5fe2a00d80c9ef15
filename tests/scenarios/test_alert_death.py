"""A node is killed outright amid a burst of stamps at many desks, and started again: what it acknowledged is on both sides.

`BRIDGEHEAD_ALERT_STAMPS=2000 BRIDGEHEAD_ALERT_KILLS=4 BRIDGEHEAD_ALERT_STREAMS=200` makes a longer burst of it.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path

from federation.cli.demo.provinces import kill_node, stop_nodes, wait_ready
from federation.domain.case_items import CaseItem
from federation.node.alerts.lists import CHANGES
from federation.node.home.agreement import load_home_agreement
from federation.node.serve import utc_now
from federation.protocol.errors import UnavailableError
from federation.protocol.ids import NodeName
from federation.wire.agency.alerts import (
    ACT_IN_ALERT,
    LIST_ALERT_ENTRIES,
    LIST_ALERTS,
    RAISE_ALERT,
    WATCH_ALERTS,
    AlertOutcome,
    AlertQuery,
    AlertRaising,
    AlertStep,
    AlertWatch,
)
from federation.wire.agency.cases import EntryQuery
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.node.alerts.border_desks import assert_feeds_whole
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.provinces import ISLAND, Federation, make_federation, start_node

ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
CHANGSHAN, YUSHAN = "zhejiang/330822/governance", "jiangxi/361123/governance"
_WHOLE = int(os.environ.get("BRIDGEHEAD_ALERT_STAMPS", "160"))
ALERTS = max(8, -(-_WHOLE // 200))  # one alert takes 250 entries of a province
STAMPS = _WHOLE // ALERTS
KILLS = int(os.environ.get("BRIDGEHEAD_ALERT_KILLS", "2"))
"""Alerts that are worked at once, notes in each of them, and how often the node dies meanwhile."""
STREAMS = int(os.environ.get("BRIDGEHEAD_ALERT_STREAMS", "40"))
"""So often the neighbour's screen lets go of its stream after two events, and goes on behind its token."""
PATIENCE = 60.0
_FACT = CaseItem(kind="fact", fields={"text": "两村村民因界址争执"})
_SAID = {
    "desk": "330822.governance", "kind": "dispute", "area": "330822.circle.qiuchuan", "division": "330822111",
    "ticked": "both_sides",
}  # fmt: skip


def why(request_id: str = "") -> Act:
    return Act(
        request_id=request_id or str(uuid.uuid4()), purpose="alert.incident", function="F12", officer="officer-1"
    )


@dataclass
class Burst:
    """A desk that works many alerts at once, and goes on with the same request whenever its node did not answer."""

    desk: AgencyClient
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    done: int = 0
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def raises(self) -> str:
        outcome = await self._until_answered(RAISE_ALERT, AlertRaising(fields=_SAID, items=(_FACT,)))
        assert outcome.line is not None
        self._note(outcome)
        return outcome.line.record

    async def works(self, record: str) -> None:
        await self._does(record, "claim")
        await self._does(record, "stamp", stage="contacted")
        for _ in range(STAMPS):
            await self._does(record, "note")

    async def _does(self, record: str, name: str, **fields: str) -> None:
        step = AlertStep(alert=record, name=name, fields={"desk": _SAID["desk"], **fields})
        self._note(await self._until_answered(ACT_IN_ALERT, step))

    async def _until_answered(self, rpc, question) -> AlertOutcome:
        act = why()
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    outcome = await self.desk.call(rpc, act, question, timeout_seconds=60)
                except UnavailableError:
                    await asyncio.sleep(0.05)
                    continue
                assert outcome.decision.allowed, outcome.decision
                return outcome

    def _note(self, outcome: AlertOutcome) -> None:
        assert outcome.line is not None
        assert outcome.entry is not None
        self.acknowledged.setdefault(outcome.line.record, []).append(outcome.entry.name)
        self.done += 1
        self.told.set()

    async def reached(self, number: int) -> None:
        """Waits until so many acts are acknowledged."""
        async with asyncio.timeout(PATIENCE):
            while self.done < number:
                self.told.clear()
                await self.told.wait()


@dataclass
class Screen:
    """A screen of the neighbour that goes on behind its last token whenever its stream ends."""

    desk: AgencyClient
    place: str = "0"
    steps: dict[str, int] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    streams: int = 0

    async def follows(self, *, most: int) -> None:
        """Takes so much news, or all that there is, and lets go of the stream."""
        self.streams += 1
        now = {line.record: line.step for line in (await self.desk.call(LIST_ALERTS, why(), AlertQuery())).lines}
        if self.steps == now:
            return
        async with aclosing(self.desk.watch(WATCH_ALERTS, why(), AlertWatch(topic="desk:*", after=self.place))) as news:
            async for each in news:
                if each.line is not None and each.act:
                    self.steps[each.line.record] = each.line.step
                    self.tokens.append(each.token)
                    self.place = each.token
                    most -= 1
                    if not most or self.steps == now:
                        return


async def names(desk: AgencyClient, record: str) -> list[str]:
    page = await desk.call(LIST_ALERT_ENTRIES, why(), EntryQuery(case=record, page_size=1000))
    return [line.name for line in page.lines if line.officer is not None]


async def both_have(own: AgencyClient, other: AgencyClient, burst: Burst) -> None:
    """Waits until both sides have every entry that was acknowledged, and the same ones."""
    async with asyncio.timeout(PATIENCE):
        for record, acknowledged in burst.acknowledged.items():
            while sorted(await names(own, record)) != sorted(await names(other, record)):
                await asyncio.sleep(0.05)
            assert sorted(await names(own, record)) == sorted(acknowledged), record


async def test_node_killed_amid_a_burst_of_stamps_loses_no_acknowledged_one(tmp_path: Path) -> None:
    """Each is on both sides once; an unanswered one enters once by its retry; the neighbour's screen has no gap."""
    federation: Federation = make_federation(tmp_path, intake_seconds=0.2)
    try:
        for name in (ZHEJIANG, JIANGXI):
            start_node(federation.made, name, island=ISLAND)
        wait_ready(federation.made, (ZHEJIANG, JIANGXI))
        async with AsyncExitStack() as stack:
            own, other = [await stack.enter_async_context(federation.client(office)) for office in (CHANGSHAN, YUSHAN)]
            burst, screen = Burst(own), Screen(other)
            records = [await burst.raises() for _ in range(ALERTS)]
            working = asyncio.gather(*(burst.works(record) for record in records))
            whole = ALERTS * (STAMPS + 3)
            for killed in range(1, KILLS + 1):
                await burst.reached(ALERTS + killed * (whole - ALERTS) // (KILLS + 2))
                kill_node(federation.made, ZHEJIANG)
                start_node(federation.made, ZHEJIANG, island=ISLAND)
                await asyncio.to_thread(wait_ready, federation.made, (ZHEJIANG,))
            await working
            assert burst.done == whole
            await both_have(own, other, burst)

            while screen.streams < STREAMS:
                await screen.follows(most=2)
            while len(screen.steps) < ALERTS:
                await screen.follows(most=1000)
            assert set(screen.steps) == set(records)
    finally:
        stop_nodes(federation.made)

    agreement = load_home_agreement(federation.home("zhejiang"), now=utc_now())
    with kept_homes({name: federation.home(name) for name in (ZHEJIANG, JIANGXI)}) as kept:
        await check_federation(kept, agreement, now=utc_now())
        for store in kept:
            assert_feeds_whole(store.database)
        database = next(store.database for store in kept if store.name == JIANGXI)
        seen = [CHANGES.place(database, "Actual", token) for token in screen.tokens]
        assert seen == list(range(1, len(seen) + 1)), "let go and resumed, the screen had each of them, in order"
