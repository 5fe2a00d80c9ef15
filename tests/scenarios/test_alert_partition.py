"""Fires where three provinces meet, by real nodes whose lines are cut: one leader and named helpers when they are mended.

Then the province that raised one dies for good, and the holder's node tells what time brings, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from federation.cli.demo.provinces import kill_node, stop_nodes, wait_ready
from federation.domain.alert_line import AlertLine
from federation.domain.case_items import CaseItem
from federation.node.home.agreement import load_home_agreement
from federation.node.home.setup import override_settings
from federation.node.serve import utc_now
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency.alerts import (
    ACT_IN_ALERT,
    LIST_ALERT_ENTRIES,
    LIST_ALERTS,
    RAISE_ALERT,
    READ_ALERT,
    AlertQuery,
    AlertRaising,
    AlertStep,
    AlertView,
)
from federation.wire.agency.cases import EntryLine, EntryQuery
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.ports import free_ports
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.provinces import ISLAND, Federation, make_federation, start_node

ZHEJIANG, JIANGXI, ANHUI = NODES = tuple(NodeName(name) for name in ("zhejiang", "jiangxi", "anhui"))
KAIHUA, WUYUAN, XIUNING = "330824.emergency", "361130.emergency", "341022.emergency"
OFFICES = {
    KAIHUA: "zhejiang/330824/emergency", WUYUAN: "jiangxi/361130/emergency", XIUNING: "anhui/341022/emergency",
    "330824.leader": "zhejiang/330824/governance", "361130.leader": "jiangxi/361130/governance",
    "341022.leader": "anhui/341022/governance",
}  # fmt: skip
LEADERS = tuple(name for name in OFFICES if name.endswith(".leader"))
SCENE = {"kind": "forest.fire", "area": "tri.qixi", "division": "330824"}
PATIENCE = 60.0


@dataclass
class Line:
    """The way in to a node: a relay at the port that the agreement names, which can be cut and mended."""

    port: int
    behind: int
    server: asyncio.Server | None = None
    ends: set[asyncio.StreamWriter] = field(default_factory=set)

    async def mend(self) -> None:
        self.server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    def cut(self) -> None:
        if self.server is not None:
            self.server.close()
        for end in self.ends:
            end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.behind)
        except OSError:
            writer.transport.abort()
            return
        self.ends |= {writer, back}
        await asyncio.gather(_pump(reader, back), _pump(there, writer), return_exceptions=True)
        self.ends -= {writer, back}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.transport.abort()


@dataclass
class Ridge:
    """The desks where three provinces meet, a client for each, and the lines between their nodes."""

    federation: Federation
    desks: dict[str, AgencyClient]
    lines: tuple[Line, ...]

    async def raises(self) -> str:
        fact = CaseItem(kind="fact", fields={"text": "齐溪林区见明火"})
        asked = AlertRaising(fields={"desk": KAIHUA, **SCENE}, items=(fact,))
        outcome = await self.desks[KAIHUA].call(RAISE_ALERT, why(), asked)
        assert outcome.line is not None, outcome.decision
        record = str(outcome.line.record)
        for desk in (WUYUAN, XIUNING):
            await self.seen(desk, record, lambda line: line is not None)
        return record

    async def does(self, desk: str, record: str, name: str, **fields: str) -> AlertLine:
        step = AlertStep(alert=record, name=name, fields={"desk": desk, **fields})
        outcome = await self.desks[desk].call(ACT_IN_ALERT, why(), step)
        assert outcome.entry is not None, outcome.decision
        assert outcome.entry.without_effect == "", outcome.entry
        assert outcome.line is not None
        return outcome.line

    async def view(self, desk: str, record: str) -> AlertView:
        return await self.desks[desk].call(READ_ALERT, why(), record)

    async def seen(self, desk: str, record: str, fits) -> AlertLine:
        """Waits until a desk reads an alert at its own node as it is to stand."""
        async with asyncio.timeout(PATIENCE):
            while not fits(line := (await self.view(desk, record)).line):
                await asyncio.sleep(0.05)
        assert line is not None
        return line

    async def entries(self, desk: str, record: str) -> tuple[EntryLine, ...]:
        query = EntryQuery(case=record, page_size=1000)
        return (await self.desks[desk].call(LIST_ALERT_ENTRIES, why(), query)).lines

    async def agreed(self, record: str) -> tuple[EntryLine, ...]:
        """Waits until the three nodes have the same entries in one order, and returns them."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [await self.entries(desk, record) for desk in (KAIHUA, WUYUAN, XIUNING)]
                if len({tuple((line.name, line.without_effect) for line in lines) for lines in found}) == 1:
                    return found[0]
                await asyncio.sleep(0.05)


def why() -> Act:
    return Act(request_id=str(uuid.uuid4()), purpose="alert.forest_fire", function="F19", officer="officer-1")


@contextlib.asynccontextmanager
async def ridge(folder: Path) -> AsyncIterator[Ridge]:
    federation = make_federation(folder)
    lines = []
    known = [home.settings for home in federation.homes.values()]
    taken = {port for each in known for port in (each.peer_port, each.agency_port, each.read_port)}
    free = [port for port in free_ports(len(NODES) + len(taken)) if port not in taken]
    for name, behind in zip(NODES, free, strict=False):
        port, path = federation.homes[name].settings.peer_port, federation.home(name) / "node.toml"
        moved = {"peer_port": behind, "advertise_peer": f"127.0.0.1:{port}"}
        path.write_text(override_settings(path.read_text("utf-8"), moved), "utf-8")
        lines.append(Line(port, behind))
        await lines[-1].mend()
    try:
        for name in NODES:
            start_node(federation.made, name, island=ISLAND)
        await asyncio.to_thread(wait_ready, federation.made, NODES)
        async with contextlib.AsyncExitStack() as stack:
            desks = {
                name: await stack.enter_async_context(federation.client(office)) for name, office in OFFICES.items()
            }
            yield Ridge(federation, desks, tuple(lines))
    finally:
        stop_nodes(federation.made)
        for line in lines:
            line.cut()


async def test_lines_are_cut_and_then_the_arbiter_dies(tmp_path: Path) -> None:
    """Claims on two sides and on three: one leads, the others are named, all are told. Without the arbiter the holder goes on, and every log holds."""
    async with ridge(tmp_path) as there:
        two, three, last = [await there.raises() for _ in range(3)]
        assert (await there.does(WUYUAN, last, "claim")).local is False
        for line in there.lines:
            line.cut()
        sides = {two: {WUYUAN, XIUNING}, three: {KAIHUA, WUYUAN, XIUNING}}
        await asyncio.gather(*(alone(there, desk, record) for record, desks in sides.items() for desk in desks))
        for line in there.lines:
            await line.mend()
        for record, desks in sides.items():
            await one_leads(there, record, desks)

        kill_node(there.federation.made, ZHEJIANG)
        await there.does(WUYUAN, last, "stamp", stage="contacted")
        await there.does(WUYUAN, last, "update", dead="3")
        await there.seen(XIUNING, last, lambda line: line.holder == WUYUAN)
        async with asyncio.timeout(PATIENCE):
            while "trigger" not in (acts := Counter(line.act for line in await there.entries(XIUNING, last))):
                await asyncio.sleep(0.1)
        assert acts["trigger"] == 1
        written = next(line for line in await there.entries(XIUNING, last) if line.act == "trigger")
        assert parse_agency_id(str(written.agency)).node == JIANGXI
        await there.does(WUYUAN, last, "stamp", stage="arrived")
        await there.does(WUYUAN, last, "close", result="handled")
        await there.seen(XIUNING, last, lambda line: line.state.value == "closed")

    agreement = load_home_agreement(there.federation.home(JIANGXI), now=utc_now())
    with kept_homes({name: there.federation.home(name) for name in NODES}) as kept:
        await check_federation(kept, agreement, now=utc_now(), settled=False)


async def alone(there: Ridge, desk: str, record: str) -> None:
    """A desk claims and makes contact while its node reaches no other one."""
    claimed = await there.does(desk, record, "claim")
    assert (claimed.holder, claimed.local, claimed.helpers) == (desk, desk != KAIHUA, ())
    await there.does(desk, record, "stamp", stage="contacted")


async def one_leads(there: Ridge, record: str, desks: set[str]) -> None:
    """One of the desks holds the alert at all nodes, the others help by name, each stamp is kept, the leaders see it."""
    line = await there.seen(KAIHUA, record, lambda line: {line.holder, *line.helpers} == desks)
    await there.agreed(record)
    for desk in (KAIHUA, WUYUAN, XIUNING):
        view = await there.view(desk, record)
        assert view.line is not None
        assert (view.line.holder, view.line.helpers) == (line.holder, line.helpers), desk
        counted = [(stage.stage.value, stage.desk) for stage in view.line.stages if stage.at is not None]
        stamps = Counter([*counted, *((stamp.stage.value, stamp.desk) for stamp in view.later)])
        assert stamps == Counter((stage, desk) for stage in ("accepted", "contacted") for desk in desks)
    for leader in LEADERS:
        page = await there.desks[leader].call(LIST_ALERTS, why(), AlertQuery(desk=leader))
        (found,) = (each for each in page.lines if each.record == record)
        assert (found.holder, found.helpers) == (line.holder, line.helpers), leader
