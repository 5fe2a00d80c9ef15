"""A dispute between Changshan and Yushan at two nodes of one process: desks that act in it, for the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from federation.domain.case_items import CaseItem
from federation.node.exchange.errand import begin_errand
from federation.node.joint import entries, steps
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.records import CASE, CASES, Held, load_held
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, RecordId, parse_agency_id, parse_record_id
from federation.protocol.trust import Agreement
from federation.protocol.trust.members import Agency
from federation.store.messages import count_pending
from federation.wire.agency.cases import CaseOpening, CaseOutcome, CaseStep, CaseView, EntryLine, EntryQuery
from tests.node.rig import JIANGXI, ZHEJIANG, Rig, act, running_rig
from tests.policies.case_table import ROOT

WHY = ("dispute.mediation", "F09")
TOWN, VILLAGE, BODY, COURT = (
    parse_agency_id(f"zhejiang/330822/{kind}") for kind in ("town", "village", "mediation-body", "court")
)
PEER, PEER_BODY = (parse_agency_id(f"jiangxi/361123/{kind}") for kind in ("governance", "mediation-body"))
STRANGER = parse_agency_id("jiangxi/361123/village")
OFFICES = (TOWN, VILLAGE, BODY, COURT, PEER, PEER_BODY, STRANGER)
OPENING = CaseOpening(
    procedure="dispute-mediation", role="town", division="330822", fields={"stage": "registration", "source": "walk_in"}
)
PARTY = CaseItem(kind="party", fields={"side": "A", "name": "林甲", "county": "330822", "last4": "0011"})
CONTACT = CaseItem(kind="contact", fields={"phone": "0570-5012345"})
NOTE = CaseItem(kind="note", fields={"text": "双方情绪激动"})


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def with_agencies(agreement: Agreement, offices: Iterable[AgencyId], functions: Iterable[str]) -> Agreement:
    """The agreement with offices that hold these functions, beside those that it names."""
    members = dict(agreement.members)
    for office in offices:
        if office.node in members:
            added = {office: Agency(name=str(office), functions=frozenset(functions))}
            member = members[office.node]
            members[office.node] = replace(member, agencies={**member.agencies, **added})
    return replace(agreement, members=members)


def with_offices(agreement: Agreement, offices: Iterable[AgencyId] = OFFICES) -> Agreement:
    """The agreement with offices that mediate, and with the procedures of this repository."""
    files = {
        f"policies/{path.relative_to(ROOT / 'policies').as_posix()}": path.read_bytes()
        for path in (ROOT / "policies").rglob("*")
        if path.is_file() and "cases" not in path.parent.name
    }
    agreement = with_agencies(agreement, offices, ("F01", "F09", "F10", "F23"))
    return replace(agreement, files={**agreement.files, **files})


@dataclass
class Desks:
    """Two provinces that deliver, and one case."""

    rig: Rig
    case: str = ""
    why: tuple[str, str] = WHY
    outcomes: list[CaseOutcome] = field(default_factory=list)

    @property
    def record(self) -> RecordId:
        line = self.outcomes[0].line
        assert line is not None
        return parse_record_id(line.record)

    async def open(self, caller: AgencyId = TOWN, *, request_id: str | None = None, **changes: object) -> CaseOutcome:
        errand = begin_errand(self.rig[caller.node], caller, act(*self.why, request_id=request_id))
        outcome = await steps.open_case(errand, replace(OPENING, **changes))
        if outcome.line is not None and not self.case:
            self.case = outcome.line.code
        self.outcomes.append(outcome)
        return outcome

    async def tries(
        self,
        caller: AgencyId,
        name: str,
        *items: CaseItem,
        officer: str = "officer-7",
        request_id: str | None = None,
        **fields: str,
    ) -> CaseOutcome:
        asked = replace(act(*self.why, request_id=request_id), officer=officer)
        errand = begin_errand(self.rig[caller.node], caller, asked)
        plain = {key.rstrip("_"): value for key, value in fields.items()}
        return await steps.act_in_case(errand, CaseStep(case=self.case, name=name, fields=plain, items=items))

    async def does(self, caller: AgencyId, name: str, *items: CaseItem, **fields: str) -> EntryLine:
        """The desk does it, and it has effect."""
        outcome = await self.tries(caller, name, *items, **fields)
        assert outcome.decision.allowed, outcome.decision
        assert outcome.entry is not None
        assert outcome.entry.without_effect == ""
        return outcome.entry

    async def view(self, caller: AgencyId) -> CaseView:
        return await steps.read_case(begin_errand(self.rig[caller.node], caller, act(*self.why)), self.case)

    async def entries(self, caller: AgencyId) -> tuple[EntryLine, ...]:
        errand = begin_errand(self.rig[caller.node], caller, act(*self.why))
        return (await steps.list_entries(errand, EntryQuery(case=self.case))).lines

    def held(self, node: NodeName) -> Held:
        return load_held(CASE, self.rig[node], self.record)

    def lines(self, caller: AgencyId) -> Mapping[str, str]:
        """The stage of each case in the list of an office."""
        found = CASES.each(self.rig[caller.node].database, under=f"{caller}/")
        return {line.record: line.stage for line in found}

    async def settled(self) -> None:
        """Waits until nothing is queued, and every node has settled what it holds, as a look at all of it shows."""
        for _ in range(4):
            await self.rig.drain()
            for name in self.rig.hosts:
                await entries.settle(CASES_SHARED, self.rig[name], self.record)
        assert not any(count_pending(self.rig[name].database) for name in self.rig.hosts)
        for name in self.rig.hosts:
            node = self.rig[name]
            known = node.folds.pop((CASE.name, self.record), None)
            assert not list(entries.owed(CASES_SHARED, node, self.held(name)))
            if known is not None:
                node.folds[CASE.name, self.record] = known

    async def invites(self, office: AgencyId, role: str) -> None:
        await self.does(TOWN, "invite", agency=str(office), role=role)
        await self.settled()
        await self.does(office, "join")
        await self.settled()


@asynccontextmanager
async def desks(
    folder: Path, names: tuple[NodeName, ...] = (ZHEJIANG, JIANGXI), *, wait: float = 5.0
) -> AsyncIterator[Desks]:
    before = steps.WAIT_SECONDS
    async with running_rig(folder, names) as rig:
        rig.put_in_force(with_offices(rig.agreement))
        rig.start_delivery()
        steps.WAIT_SECONDS = wait  # type: ignore[misc]  # of this test alone
        try:
            yield Desks(rig)
        finally:
            steps.WAIT_SECONDS = before  # type: ignore[misc]
