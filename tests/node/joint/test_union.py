"""Four nodes work one case while the line loses, repeats, delays and divides, and processes die: one case for all of them.

Real stores, logs and signatures. In the end all is carried: every node that takes part holds the same entries and shows
the same case, what each may see apart, and the auditor finds the four logs whole and accuses nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from federation.audit.report import Code
from federation.domain.case_items import CaseItem
from federation.domain.joint_offers import offered
from federation.domain.joint_state import Case
from federation.node.joint import entries, steps
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.records import CASE, Held, load_held
from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, format_message_id, parse_agency_id
from federation.wire.agency.cases import CaseView, EntryLine
from tests.domain.case_builder import rules_of
from tests.node.joint.desks import BODY, CONTACT, NOTE, PARTY, PEER, PEER_BODY, TOWN, Desks, with_offices
from tests.node.machine import Provinces, dice
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, START, ZHEJIANG
from tests.scenarios.check_federation import USUAL, check_federation

NODES = (ZHEJIANG, JIANGXI, FUJIAN, ANHUI)
FAR_BODY, FAR_COURT = parse_agency_id("fujian/350782/mediation-body"), parse_agency_id("anhui/341003/court")
OFFICES = (TOWN, BODY, PEER, PEER_BODY, FAR_BODY, FAR_COURT)
ROLES = {BODY: "body", PEER: "peer", PEER_BODY: "mediator", FAR_BODY: "mediator", FAR_COURT: "court"}
OFFICER = "officer-7"
NOTHING = Case(rules=rules_of("dispute-mediation"))
"""What a node knows of a case that it was handed nothing of."""
Doing = tuple[str, dict[str, str], tuple[CaseItem, ...]]
REGISTERED: tuple[Doing, ...] = (
    ("register", {"tags": "joint_mediate", "kind": "path", "division": "330822", "line": "on_the_line"}, ()),
    ("add_party", {"party": "p1", "side": "A", "role": "applicant", "county": "330822"}, (PARTY, CONTACT)),
    ("add_party", {"party": "p2", "side": "B", "role": "respondent", "county": "361123"}, (PARTY,)),
    ("check_duplicates", {"hits": "0"}, ()),
)  # fmt: skip
ACTS: tuple[Doing, ...] = (
    ("note", {}, (NOTE,)),
    ("signpost", {"remedy": "court", "body": "玉山县人民法院"}, ()),
    ("add_party", {"party": "p3", "side": "B", "role": "guardian", "county": "361123"}, (PARTY, CONTACT)),
    ("move", {"to": "acceptance"}, ()),
    ("accept", {}, ()),
    ("move", {"to": "routing"}, ()),
    ("move", {"to": "registration", "reason": "补充登记"}, ()),
    ("raise", {"tier": "J", "reason": "跨省"}, ()),
    ("withdraw", {"on_behalf": "p1"}, ()),
    ("close", {"outcome": "withdrawn"}, ()),
    ("declare_tie", {"tie": "kin"}, ()),
)  # fmt: skip


class Union(Provinces):
    """A case that Changshan opens, and offices of all four provinces that come, act and go."""

    NAMES = NODES

    def prepare(self) -> None:
        self._before = steps.WAIT_SECONDS, steps.format_message_id
        steps.WAIT_SECONDS = 0.0  # type: ignore[misc]  # nothing is carried while an office waits
        # the tie-break of a run that is repeated is the same
        steps.format_message_id = lambda now, _: format_message_id(now, bytes(10))
        rig = self.rig
        later = START + timedelta(days=1000)
        rig.agreement = replace(with_offices(rig.agreement, OFFICES), expires_time=later, fresh_until_time=later)
        rig.put_in_force(rig.agreement)
        self.case = Desks(rig)
        self.loop.run_until_complete(self._begun())

    async def _begun(self) -> None:
        """Opened and registered; two provinces have joined, a third is asked and was told nothing yet."""
        case = self.case
        await case.open()
        for name, fields, items in REGISTERED:
            await case.does(TOWN, name, *items, **fields)
        for office in (PEER, FAR_BODY):
            await case.does(TOWN, "invite", agency=str(office), role=ROLES[office])
            await self.carried_all()
            await case.does(office, "join")
            await self.carried_all()
        await case.does(TOWN, "invite", agency=str(FAR_COURT), role=ROLES[FAR_COURT])

    def act(self, office: AgencyId, name: str, *items: CaseItem, **fields: str) -> None:
        """An office does something at its node, if the case that it sees there allows it."""
        self.wait(office.node, _allowed(self.case.tries(office, name, *items, **fields)))

    def seen(self, office: AgencyId) -> Case:
        """The case as the node of an office has it."""
        return load_held(CASE, self.rig[office.node], self.case.record).state or NOTHING

    def one_of(self, offices: Iterable[AgencyId], number: int) -> AgencyId | None:
        found = sorted(offices, key=str)
        return found[number % len(found)] if found else None

    def members(self) -> list[AgencyId]:
        """The offices that take part as far as their own nodes know."""
        return [office for office in OFFICES if office in self.seen(office).members]

    # ---- what offices do -----------------------------------------------------------------------------------------------

    @rule(who=dice, what=dice, named=dice)
    def work(self, who: int, what: int, named: int) -> None:
        """An act that the case allows as the office sees it."""
        office = self.one_of(self.members(), who)
        if office is None:
            return
        case = self.seen(office)
        possible = {offer.act for offer in offered(case, office, OFFICER, now=self.rig.clock()) if offer.open}
        doing = [each for each in ACTS if each[0] in possible]
        name, fields, items = doing[what % len(doing)] if doing else ACTS[what % len(ACTS)]
        if name == "declare_tie":
            fields = {**fields, "who": f"{self.one_of(case.members, named)}#{OFFICER}"}
        self.act(office, name, *items, **fields)

    @rule(who=dice, joins=st.integers(0, 4))
    def answer(self, who: int, joins: int) -> None:
        """Who is asked, and hears of it, joins or declines."""
        asked = {each for office in OFFICES for each in self.seen(office).invited}
        if (office := self.one_of(asked, who)) is not None:
            for sender in (name for name in NODES if name != office.node):
                self.hand(sender, office.node, self.queued(sender, office.node))
            self.act(office, "join" if joins else "decline")

    @rule(who=dice, other=dice)
    def invite(self, who: int, other: int) -> None:
        by = self.one_of(self.members(), who)
        if by is not None and (office := self.one_of(ROLES.keys() - self.seen(by).members.keys(), other)) is not None:
            self.act(by, "invite", agency=str(office), role=ROLES[office])

    @rule(who=dice, other=dice, how=st.sampled_from(("leave", "remove", "hand_over")))
    def go(self, who: int, other: int, how: str) -> None:
        """A member leaves, is taken out, or is handed the lead."""
        by = self.one_of(self.members(), who)
        if by is not None:
            named = {} if how == "leave" else {"agency": str(self.one_of(self.seen(by).members, other))}
            self.act(by, how, **named)

    @rule(who=dice, barred=st.booleans())
    def recuse(self, who: int, barred: bool) -> None:
        """The head of an office decides on a tie: the officer who does all that is done here is barred, or stays."""
        by = self.one_of(self.members(), who)
        declared = self.seen(by).done.get("declare_tie", ()) if by is not None else ()
        if by is not None and declared:
            result = {"about": declared[-1].entry.name, "result": "barred" if barred else "stays"}
            self.wait(by.node, _allowed(self.case.tries(by, "decide_recusal", officer="officer-8", **result)))

    @rule(way=dice)
    def reach(self, way: int) -> None:
        """Two provinces hear of each other again."""
        for sender, recipient in (self.ways[way % len(self.ways)], self.ways[way % len(self.ways)][::-1]):
            self.hand(sender, recipient, self.queued(sender, recipient))

    @rule(minutes=st.integers(1, 5))
    def time_passes(self, minutes: int) -> None:
        """Not long enough for a statement to expire."""
        self.rig.clock.advance(minutes=minutes)

    @precondition(lambda self: not any(self.queued(*way) for way in self.ways))
    @rule(days=st.integers(1, 4))
    def days_pass(self, days: int) -> None:
        """Long enough for the clocks of the case; nothing is under way that would expire."""
        self.rig.clock.advance(days=days)
        for name in NODES:
            self.wait(name, entries.settle_due(CASES_SHARED, self.rig[name]))

    # ---- the end -------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        super().teardown()
        steps.WAIT_SECONDS, steps.format_message_id = self._before  # type: ignore[misc]

    async def check(self) -> None:
        await self.carried_all()
        rig = self.rig
        held = {name: load_held(CASE, rig[name], self.case.record) for name in NODES}
        case = next(
            found for name in NODES if (found := held[name].state) and any(a.node == name for a in found.members)
        )
        assert case.lead is not None
        for name in {agency.node for agency in (*case.members, *case.invited)}:
            assert_same(held[name], held[case.lead.node])
        for name in NODES:
            assert_same(_afresh(self.rig[name], self.case), held[name])
        await self.assert_same_views(case)
        allowed = USUAL | {Code.RECORD_BEYOND_CUT}  # who was removed did not know it yet
        await check_federation(self.stores(), rig.agreement, now=rig.clock(), allowed=allowed)

    async def carried_all(self, rounds: int = 40) -> None:
        """Carries all that is queued, until every node has settled all that it holds."""
        for _ in range(rounds):
            steps_before = self._rows()
            for sender, recipient in self.ways:
                pending = self.queued(sender, recipient)
                await self.settled(sender, pending, await self.handed(sender, recipient, pending))
            for name in NODES:
                await entries.settle_due(CASES_SHARED, self.rig[name])
            if not any(self.queued(*way) for way in self.ways) and self._rows() == steps_before:
                return
        raise AssertionError("what is queued never came to an end")

    def _rows(self) -> list[tuple[str, int]]:
        return [(row.record, row.entries) for name in NODES for row in CASE.records.each(self.rig[name].database)]

    async def assert_same_views(self, case: Case) -> None:
        """Every member is shown the same case: what its own office may do, and which items it sees, apart."""
        views, lines = [], []
        for office in sorted(case.members, key=str):
            views.append(_shared(await self.case.view(office)))
            lines.append([_shared_line(line) for line in await self.case.entries(office)])
        assert all(view == views[0] for view in views), views
        assert all(each == lines[0] for each in lines), lines


def _shared(view: CaseView) -> CaseView:
    """What of a view is not its reader's own; nothing may be waited for in the end."""
    assert view.line is not None
    assert not [notice.en for notice in view.notices if "wait" in notice.en]
    line = replace(view.line, office=TOWN, step=1, standing="member", roles=())
    return replace(view, line=line, offers=(), notices=())


def _shared_line(line: EntryLine) -> EntryLine:
    return replace(line, items=(), arrived=line.at, deliveries=())


def assert_same(one: Held, other: Held) -> None:
    assert [entry.name for entry in one.record.order] == [entry.name for entry in other.record.order]
    assert (one.record.pending, one.record.findings) == (other.record.pending, other.record.findings)
    assert one.state == other.state
    assert dict(one.record.barred) == dict(other.record.barred)


def _afresh(node: Any, case: Desks) -> Held:
    """The record as a process that starts now folds it."""
    node.folds.clear()
    return load_held(CASE, node, case.record)


async def _allowed(doing: Awaitable[object]) -> None:
    """Does it, if the case as it stands allows it, and the author's own entries."""
    try:
        await doing
    except RuleError as error:
        if error.reason not in ("CASE_ACT", "RECORD_LINE_ENDED"):
            raise


TestUnion = Union.TestCase
TestUnion.settings = settings(
    max_examples=settings.default.max_examples // 16,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
