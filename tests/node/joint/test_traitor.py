"""A member that writes against the rules of a record, by its own key and store, while the others work on as in the union.

It forks its numbers, cites old entries, lies about heights, acts behind its removal, hands some what it keeps from others.
Every honest node finds it and names it, nothing that it gained so has effect, and the others come to one case.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from federation.audit.report import Code
from federation.domain.joint_policy import Seat, Standing
from federation.domain.joint_record import Finding, FindingKind
from federation.domain.joint_state import Case
from federation.node.joint import entries
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.records import CASE, Held, load_held
from federation.node.joint.writing import NO_PLACES, Said, Written, head_of, put_written, written
from federation.node.log.check import check_store
from federation.protocol.errors import RuleError
from federation.protocol.form import encode, replace
from federation.store.exchange_log import GroupTransaction
from tests.node.joint.desks import PEER, TOWN, WHY
from tests.node.joint.test_union import FAR_BODY, NODES, Union
from tests.node.machine import dice
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG
from tests.scenarios.check_federation import audit

HONEST = tuple(name for name in NODES if name != FUJIAN)
HOW = ("fork", "again", "old", "height", "after")
NO_EFFECT = ("old", "height")
"""Ways that leave an entry without effect whatever else happens; of a fork one may count, if others built on it."""
NAMED = {Code.RECORD_FORKED, Code.RECORD_OLD_PARENTS, Code.RECORD_HEIGHT, Code.RECORD_UNCITED}


def made(node: Any, held: Held, how: str, number: int) -> list[Written]:
    """The next entries of a node that keeps to no rule, before they are stored."""
    fields = {"remedy": "court", "body": f"第{number}号"}
    head = head_of(node, held, Said(agency=FAR_BODY, officer="officer-7", act="signpost", fields=fields))
    order = [entry for entry in held.record.order if entry.name not in held.record.barred]
    own = [entry for entry in order if entry.author == node.name]
    if how == "old":  # not on its own newest entry
        before = [entry for entry in order if entry.name != own[-1].name] if own else order
        cited = before[number % len(before)]
        head = replace(head, parents=frozenset({cited.name}), height=cited.head.height + 1)
    elif how == "height":
        head = replace(head, height=head.height + 1 + number % 9)
    elif how == "again":  # what others have is written anew
        old = own[number % len(own)].head
        head = replace(head, n=old.n, parents=old.parents, height=old.height)
    heads = [head, replace(head, fields={**fields, "body": "另一说法"})] if how == "fork" else [head]
    seat = Seat(standing=Standing.MEMBER, role="mediator", stage="registration", procedure="dispute-mediation")
    new = [written(node, held, each, places=NO_PLACES, seat=encode(seat).decode(), why=WHY) for each in heads]
    return [replace(each, kept=replace(each.kept, arrival=each.kept.arrival + at)) for at, each in enumerate(new)]


def put(node: Any, new: list[Written], transaction: GroupTransaction) -> bool:
    """Stores them, unless the record moved since they were made."""
    for each in new:
        row = put_written(CASE, node, transaction, entry=each)
        if row is None:
            return False
        CASE.records.put(transaction, row, owner=node.name)
    return True


class Traitor(Union):
    """The union, in which Fujian's node is its operator's tool."""

    def prepare(self) -> None:
        super().prepare()
        self.written: list[tuple[str, str]] = []

    @rule(how=st.sampled_from(HOW), number=dice)
    def betray(self, how: str, number: int) -> None:
        """Writes an entry or two that no honest node would, and hands them on as the line lets it."""
        self.wait(FUJIAN, self._betrayed(how, number))

    async def _betrayed(self, how: str, number: int) -> None:
        node = self.rig[FUJIAN]
        held = load_held(CASE, node, self.case.record)
        try:
            new = made(node, held, how, number)
        except RuleError:  # its line has ended: nothing that it writes counts any more
            return
        if (await node.sequencer.commit(partial(put, node, new))).value:
            self.written += [(how, each.kept.name) for each in new]
            await entries.settle(CASES_SHARED, node, self.case.record)

    async def check(self) -> None:
        await self.carried_all()
        held = {name: load_held(CASE, self.rig[name], self.case.record) for name in NODES}
        cases = (found for name in HONEST if (found := held[name].state) and any(a.node == name for a in found.members))
        members = next((case.members for case in cases), {})  # none once each of them left or was removed
        part = sorted({agency.node for agency in members} - {FUJIAN})
        for name in part:
            assert _effect(held[name]) == _effect(held[part[0]])
            assert {each.author for each in _broken_rules(held[name])} <= {FUJIAN}
            self._check_effects(held[name])
        kept = self.stores()
        for each in kept:
            if each.name != FUJIAN:
                assert check_store(each.database, self.rig.agreement).findings == ()
        report = await audit(kept, self.rig.agreement, now=self.rig.clock())
        named = [finding for finding in report.findings if finding.code in NAMED]
        assert {finding.node for finding in named} <= {FUJIAN}, named
        assert bool(named) >= any(_broken_rules(held[name]) for name in part)

    def _check_effects(self, held: Held) -> None:
        case = held.state
        assert case is not None
        taking = case.named.keys()
        here = [(how, name) for how, name in self.written if name in held.kept]
        assert not [each for each in here if each[0] in NO_EFFECT and each[1] in taking]
        numbers = [case.named[name].head.n for name in taking if case.named[name].entry.author == FUJIAN]
        assert len(numbers) == len(set(numbers))


def _effect(held: Held) -> Case:
    """The case, without what has no effect: one may have refused such an entry of the traitor, which nobody builds on."""
    assert held.state is not None
    return replace(held.state, without_effect=())


def _broken_rules(held: Held) -> list[Finding]:
    """What an author did against the rules knowing it: who was removed meanwhile may not have known."""
    return [each for each in held.record.findings if each.kind is not FindingKind.BEYOND_CUT]


TestTraitor = Traitor.TestCase
TestTraitor.settings = settings(
    max_examples=settings.default.max_examples // 16,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_member_that_keeps_an_entry_from_one_is_named_there() -> None:
    """What another built on it waits and says for whom; the rest goes on, and all is one once it is handed over."""
    union = Traitor()
    union.begin()
    try:
        union.act(FAR_BODY, "signpost", remedy="court", body="武夷山市人民法院")
        kept_back = {message.id for message in union.queued(FUJIAN, JIANGXI)}
        union.hand(FUJIAN, ZHEJIANG, union.queued(FUJIAN, ZHEJIANG))
        union.act(TOWN, "signpost", remedy="court", body="常山县人民法院")
        union.act(FAR_BODY, "raise", tier="J", reason="跨省")
        union.hand(ZHEJIANG, JIANGXI, union.queued(ZHEJIANG, JIANGXI))
        union.hand(FUJIAN, JIANGXI, [each for each in union.queued(FUJIAN, JIANGXI) if each.id not in kept_back])
        union.act(PEER, "signpost", remedy="court", body="玉山县人民法院")

        held, view = union.case.held(JIANGXI), union.loop.run_until_complete(union.case.view(PEER))
        assert held.state is not None
        assert [found.entry.author for found in held.state.done["signpost"]] == [JIANGXI]
        assert {found.entry.author for found in held.record.pending} == {FUJIAN, ZHEJIANG}
        assert "waiting for entry 2 of fujian" in [notice.en for notice in view.notices]
    finally:
        union.teardown()
