"""Duty desks of the border counties at nodes of one process, by the duty sheets of this repository, for the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from federation.domain.alert import Alert
from federation.domain.alert_rules import read_alert_rules
from federation.domain.cap import Status
from federation.domain.case_items import CaseItem
from federation.domain.duty import read_duty
from federation.node.alerts import steps
from federation.node.alerts.lists import CHANGES
from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.exchange.errand import Errand, begin_errand
from federation.node.feed import PAGE
from federation.node.home.draft import read_duty_sheets
from federation.node.joint import entries
from federation.node.joint.records import ALERT, Held, load_held
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, RecordId, parse_agency_id, parse_record_id
from federation.protocol.trust import Agreement
from federation.protocol.trust.members import Agency
from federation.store.database import Source
from federation.store.messages import count_pending
from federation.wire.agency.alerts import AlertNews, AlertOutcome, AlertRaising, AlertStep, AlertView
from tests.node.joint.desks import with_offices
from tests.node.rig import JIANGXI, ZHEJIANG, Rig, act, running_rig
from tests.policies.case_table import ROOT

QIUCHUAN, CHANGSHAN, LEADER = "330822111.town", "330822.governance", "330822.leader"
EMERGENCY, POLICE, YUSHAN, YUSHAN_EMERGENCY = (
    "330822.emergency",
    "330822.police",
    "361123.governance",
    "361123.emergency",
)
YUSHAN_TOWN = "361123108.town"
SHEETS = read_duty_sheets(ROOT / "nodes")
DUTY = read_duty(SHEETS)
FUNCTIONS = frozenset({"F06", "F08", "F12", "F18", "F19", "F20", "F21"})
SCENE = {"area": "330822.circle.qiuchuan", "division": "330822111"}


def with_desks(agreement: Agreement) -> Agreement:
    """The agreement with the offices of the duty sheets, and the tables of this repository."""
    tables = with_offices(agreement)
    agencies = {desk.agency for desk in DUTY.desks.values()}
    members = {
        name: replace(
            member,
            agencies={
                **{each: Agency(name=str(each), functions=FUNCTIONS) for each in agencies if each.node == name},
                **{
                    each: replace(known, functions=known.functions | FUNCTIONS)
                    for each, known in member.agencies.items()
                },
            },
        )
        for name, member in tables.members.items()
    }
    return replace(tables, members=members, files={**tables.files, **SHEETS})


class BorderDesks:
    """Nodes that deliver, and the desks that act at their own one."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.record = RecordId("")
        self.rules = read_alert_rules(rig.agreement.files)

    def errand(
        self, desk: str, *, kind: str = "dispute", officer: str = "officer-7", request_id: str | None = None
    ) -> Errand:
        agency = self.rules.agency_of(desk) or parse_agency_id(desk)
        asked = replace(act(*self.rules.why(kind), request_id=request_id), officer=officer)
        return begin_errand(self.rig[agency.node], agency, asked)

    async def raises(
        self, desk: str = CHANGSHAN, *items: CaseItem, kind: str = "dispute", **fields: str
    ) -> AlertOutcome:
        said = {"desk": desk, "kind": kind, **SCENE, "ticked": "both_sides", **fields}
        texts = items or (CaseItem(kind="fact", fields={"text": "两村村民因界址争执"}),)
        outcome = await steps.raise_alert(self.errand(desk, kind=kind), AlertRaising(fields=said, items=texts))
        if outcome.line is not None:
            self.record = parse_record_id(outcome.line.record)
        return outcome

    async def does(
        self,
        desk: str,
        name: str,
        *items: CaseItem,
        kind: str = "dispute",
        request_id: str | None = None,
        **fields: str,
    ) -> AlertOutcome:
        officer = fields.pop("officer", "officer-7")
        errand = self.errand(desk, kind=kind, officer=officer, request_id=request_id)
        step = AlertStep(alert=self.record, name=name, fields={"desk": desk, **fields}, items=items)
        return await steps.act_in_alert(errand, step)

    async def view(self, desk: str, *, kind: str = "dispute") -> AlertView:
        return await steps.read_alert(self.errand(desk, kind=kind), self.record)

    def held(self, node: NodeName) -> Held[Alert]:
        return load_held(ALERT, self.rig[node], self.record)

    def alert(self, node: NodeName) -> Alert:
        found = self.held(node).state
        assert found is not None
        return found

    async def settled(self) -> None:
        """Waits until nothing is queued, and every node has settled what it holds."""
        for _ in range(4):
            await self.rig.drain()
            for name in self.rig.hosts:
                if self.rig[name].database is not None:
                    await entries.settle(ALERTS_SHARED, self.rig[name], self.record)
        assert not any(count_pending(self.rig[name].database) for name in self.rig.hosts)


async def one_by_one(stream: AsyncIterator[Sequence[AlertNews]]) -> AsyncIterator[AlertNews]:
    async for found in stream:
        for each in found:
            yield each


def assert_feeds_whole(source: Source) -> None:
    """The news of each status has the numbers from 1 on, each once."""
    for status in Status:
        count = CHANGES.count(source, status.value)
        pages = (CHANGES.after(source, status.value, at) for at in range(0, count, PAGE))
        numbers = [number for page in pages for number, _ in page]
        assert numbers == list(range(1, count + 1)), f"the counter of {status} has a hole"


@asynccontextmanager
async def border_desks(folder: Path, names: tuple[NodeName, ...] = (ZHEJIANG, JIANGXI)) -> AsyncIterator[BorderDesks]:
    """Nodes of these provinces that deliver, on the duty sheets of this repository."""
    async with running_rig(folder, names) as rig:
        rig.put_in_force(with_desks(rig.agreement))
        rig.start_delivery()
        yield BorderDesks(rig)
