"""An alert of four provinces with partitions, loss, doubles and deaths: in the end the same everywhere, with one holder.

Desks claim, stamp, give back, hand over, cancel and close on what their own node holds; every act that a node answered
is in every record afterwards, one whose node died of it is there once by its retry, and every stamp either counts or is
kept beside the one that does.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from federation.domain.alert import Alert
from federation.domain.alert_told import provinces_of, told_of
from federation.node.alerts import steps
from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.joint import entries
from federation.node.joint.records import ALERT, Held, load_held
from federation.protocol.errors import RuleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, format_message_id
from federation.wire.agency.alerts import AlertOutcome
from tests.node.alerts.border_desks import BorderDesks, assert_feeds_whole, with_desks
from tests.node.machine import Provinces, dice
from tests.node.rig import ANHUI, FUJIAN, JIANGXI, START, ZHEJIANG
from tests.scenarios.check_federation import USUAL, check_federation

NODES = (ZHEJIANG, JIANGXI, FUJIAN, ANHUI)
FIRE = "forest.fire"
KAIHUA, XIUNING, WUYUAN, PUCHENG = (f"{county}.emergency" for county in ("330824", "341022", "361130", "350722"))
DESKS = (KAIHUA, XIUNING, WUYUAN, PUCHENG)
REFUSALS = ("ALERT_ACT", "RECORD_LINE_ENDED", "CASE_FIELD", "CASE_MOVED")


class Ridge(Provinces):
    """A fire on the ridge of three provinces that Kaihua raises, and a desk of a fourth one that it may be handed to."""

    NAMES = NODES

    def prepare(self) -> None:
        self._before = steps.WAIT_SECONDS, steps.RECEIPT_SECONDS, steps.format_message_id
        steps.WAIT_SECONDS = steps.RECEIPT_SECONDS = 0.0  # type: ignore[misc]  # nothing is carried while a desk waits
        steps.format_message_id = lambda now, _: format_message_id(now, bytes(10))
        rig, later = self.rig, START + timedelta(days=1000)
        rig.agreement = replace(with_desks(rig.agreement), expires_time=later, fresh_until_time=later)
        rig.put_in_force(rig.agreement)
        self.border = BorderDesks(rig)
        self.answered: set[str] = set()
        self.numbers = count(1)
        self.loop.run_until_complete(self._begun())

    async def _begun(self) -> None:
        await self.border.raises(KAIHUA, kind=FIRE, area="tri.qixi", division="330824", ticked="province_line")
        await self.carried_all()

    def seen(self, desk: str) -> Alert | None:
        return load_held(ALERT, self.rig[self.node_of(desk)], self.border.record).state

    def node_of(self, desk: str) -> NodeName:
        agency = self.border.rules.agency_of(desk)
        assert agency is not None
        return agency.node

    # ---- what desks do -------------------------------------------------------------------------------------------------

    @rule(doings=st.lists(st.tuples(dice, dice, dice), min_size=1, max_size=6))
    def work(self, doings: list[tuple[int, int, int]]) -> None:
        """Desks act one after the other, each on the alert as its own node sees it."""
        for who, what, to in doings:
            self._work(DESKS[who % len(DESKS)], what, to)

    def _work(self, desk: str, what: int, to: int) -> None:
        alert = self.seen(desk)
        if alert is None or alert.raised is None:
            return
        name = _acts(alert, desk)[what % len(_acts(alert, desk))]
        fields = {
            "release": {"reason": "力量占用"}, "reject_hand_over": {"reason": "力量占用"}, "cancel": {"why": "false_alarm"},
            "close": {"result": "handled", "by_phone": "yes", "reason": "电话办结"},
            "hand_over": {"to": DESKS[to % len(DESKS)]}, "update": {"area_m2": str(100 + to)},
        }.get(name, {})  # fmt: skip
        if name in ("contacted", "arrived"):
            name, fields = "stamp", {"stage": name}
        node, again, before = self.node_of(desk), str(uuid.uuid4()), self._entered(desk, name)
        for _ in range(2):  # the node that died of it is started again, and asked again
            doing = self.border.does(desk, name, kind=FIRE, request_id=again, **fields)
            answer = self.wait(node, self._done(doing))
            if answer is not None:
                break
        assert answer is not None
        entered = self._entered(desk, name) - before
        most = 2 if name == "claim" else 1  # a claim that waits in vain is made once more by the own node's word
        assert (answer in entered and len(entered) <= most) if answer else not entered, (name, answer, entered)

    def _entered(self, desk: str, name: str) -> set[str]:
        """The acts of that name by a desk, as its own node has them."""
        kept = load_held(ALERT, self.rig[self.node_of(desk)], self.border.record).kept.values()
        heads = ((each.name, each.head) for each in kept if each.head.act == name and each.head.officer is not None)
        return {entry for entry, head in heads if head.fields.get("desk") == desk}

    async def _done(self, doing: Awaitable[AlertOutcome]) -> str:
        """The name of the entry that was answered; empty for a refusal."""
        try:
            outcome = await doing
        except (RuleError, UnavailableError) as error:
            if error.reason not in REFUSALS:
                raise
            return ""
        if outcome.entry is None:
            return ""
        self.answered.add(outcome.entry.name)
        return outcome.entry.name

    @rule(at=dice, silent=st.booleans())
    def contact(self, at: int, silent: bool) -> None:
        """A node finds that the arbiter does not answer, or that it does again."""
        contacts = self.rig[NODES[at % len(NODES)]].contacts
        if silent:
            contacts.failed(ZHEJIANG, UnavailableError("PEER_DOWN", "the link is cut"))
        else:
            contacts.answered(ZHEJIANG)

    @rule(way=dice)
    def reach(self, way: int) -> None:
        """Two provinces hear of each other again."""
        for sender, recipient in (self.ways[way % len(self.ways)], self.ways[way % len(self.ways)][::-1]):
            self.hand(sender, recipient, self.queued(sender, recipient))

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.rig.clock.advance(seconds=seconds)
        for name in NODES:
            self.wait(name, entries.settle_due(ALERTS_SHARED, self.rig[name]))

    # ---- the end -------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        super().teardown()
        steps.WAIT_SECONDS, steps.RECEIPT_SECONDS, steps.format_message_id = self._before  # type: ignore[misc]

    async def check(self) -> None:
        for name in NODES:
            self.rig[name].contacts.answered(ZHEJIANG)
        await self.carried_all()
        held = {name: load_held(ALERT, self.rig[name], self.border.record) for name in NODES}
        alert = held[ZHEJIANG].state
        assert alert is not None
        for name in provinces_of(alert, told_of(alert).desks):
            assert_same(held[name], held[ZHEJIANG])
            self.rig[name].folds.clear()
            assert_same(load_held(ALERT, self.rig[name], self.border.record), held[ZHEJIANG])
        assert self.answered <= held[ZHEJIANG].kept.keys()
        assert alert.hold is None or alert.ended is None
        kept = {(each.stage, each.desk, each.at) for each in (*alert.stamps.values(), *alert.later)}
        made = [done.head for done in alert.named.values() if done.head.act == "stamp"]
        assert {(head.fields["stage"], head.fields["desk"], head.at) for head in made} <= kept
        for name in NODES:
            assert_feeds_whole(self.rig[name].database)
        await check_federation(self.stores(), self.rig.agreement, now=self.rig.clock(), allowed=USUAL)

    async def carried_all(self, rounds: int = 60) -> None:
        """Carries all that is queued, until every node has settled all that it holds."""
        for _ in range(rounds):
            before = self._rows()
            for sender, recipient in self.ways:
                pending = self.queued(sender, recipient)
                await self.settled(sender, pending, await self.handed(sender, recipient, pending))
            for name in NODES:
                await entries.settle_due(ALERTS_SHARED, self.rig[name])
            await asyncio.sleep(0)
            if not any(self.queued(*way) for way in self.ways) and self._rows() == before:
                return
        raise AssertionError("what is queued never came to an end")

    def _rows(self) -> list[tuple[str, int]]:
        return [(row.record, row.entries) for name in NODES for row in ALERT.records.each(self.rig[name].database)]


def _acts(alert: Alert, desk: str) -> tuple[str, ...]:
    """The acts that make sense for a desk, those that end the alert once each."""
    always = ("note", "claim", "cancel") if desk == KAIHUA else ("note", "claim", "claim")
    if alert.hold is not None and alert.hold.desk == desk:
        offered = ("withdraw_hand_over",) if alert.offer is not None else ()
        stamps = ("contacted", "contacted", "arrived", "arrived")
        return (*stamps, "hand_over", "hand_over", "release", "update", "close", *offered)
    if alert.offer is not None and alert.offer.to == desk:
        return ("accept_hand_over", "accept_hand_over", "reject_hand_over")
    return ("claim",) if alert.hold is None and not alert.asked else always


def assert_same(one: Held[Alert], other: Held[Alert]) -> None:
    assert [entry.name for entry in one.record.order] == [entry.name for entry in other.record.order]
    assert (one.record.pending, one.record.findings) == (other.record.pending, other.record.findings)
    assert one.state == other.state


TestRidge = Ridge.TestCase
TestRidge.settings = settings(
    max_examples=settings.default.max_examples // 16, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)  # fmt: skip
