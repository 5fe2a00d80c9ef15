"""Whatever the line and the processes do, both sides end with the same records and logs that verify.

Hypothesis drives three provinces on one clock: permits are issued and changed, requests and answers are lost, repeated
and turned around, processes die at any step of a commit. In the end the line is healed and everything is checked.
"""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from federation.domain.permits import PermitUrn, decode_permit, project_permit
from federation.domain.permits_policy import Occasion, PermitPurpose, permit_facts, replicate_request
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.send import send
from federation.node.permits_sharing import PERMIT, draft_sharing, find_own_permit, put_own_permits
from federation.protocol.form import encode, replace
from federation.protocol.ids import NodeName, Pair, parse_agency_id
from federation.protocol.policy import decide
from federation.store.messages import pair_state
from federation.store.records import find_record, list_records
from tests.node.machine import Provinces
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, act, application
from tests.scenarios.check_federation import check_federation
from tests.store.samples import missing_numbers

HALLS = {
    ZHEJIANG: parse_agency_id("zhejiang/330822/service-hall"),
    JIANGXI: parse_agency_id("jiangxi/361123/service-hall"),
    FUJIAN: parse_agency_id("fujian/350782/service-hall"),
}
HOMES = {
    ZHEJIANG: ("330822", "361123", "350782"),
    JIANGXI: ("361123", "330822", "350782"),
    FUJIAN: ("350782", "361104", "330881"),
}
"""Each county of residence, a household on the other side, and a place of work on the third."""

provinces = st.sampled_from(sorted(HALLS))
pairs = st.permutations(sorted(HALLS)).map(lambda names: (names[0], names[1]))


class Border(Provinces):
    """Three provinces that issue permits and share them."""

    NAMES = tuple(HALLS)

    def prepare(self) -> None:
        self.permits: list[tuple[NodeName, PermitUrn]] = []
        self.applicants = 0

    # ---- what provinces do ---------------------------------------------------------------------------------------------

    @rule(at=provinces, works=st.booleans(), repeat=st.integers(1, 2))
    def register(self, at: NodeName, works: bool, repeat: int) -> None:
        """Somebody from the other side registers; some work on the third side, which is entitled too."""
        residence, household, work = HOMES[at]
        applicant = replace(
            application(residence, household, nth=self.applicants), work_division=work if works else None
        )
        self.applicants += 1
        asked = act()
        for _ in range(repeat):
            answer = self.wait(at, permits.register(begin_errand(self.rig[at], HALLS[at], asked), applicant))
            if answer is not None and answer.permit is not None and (at, answer.permit.urn) not in self.permits:
                self.permits.append((at, answer.permit.urn))

    @precondition(lambda self: self.permits)
    @rule(dice=st.integers(0, 1000), count=st.integers(1, 3))
    def change(self, dice: int, count: int) -> None:
        """The owner corrects a permit, several times in a row."""
        at, urn = self.permits[dice % len(self.permits)]
        for turn in range(count):
            self.wait(at, self._corrected(at, urn, f"{dice}-{turn}"))

    @rule(hours=st.integers(1, 3))
    def time_passes(self, hours: int) -> None:
        """Not long enough for a statement to expire."""
        self.rig.clock.advance(hours=hours / 10)

    # ---- what the line does --------------------------------------------------------------------------------------------

    @rule(way=pairs, drop=st.integers(0, 2), lose=st.integers(0, 2), repeat=st.integers(0, 2), reverse=st.booleans())
    def spoil(self, way: tuple[NodeName, NodeName], drop: int, lose: int, repeat: int, reverse: bool) -> None:
        """The line between two nodes will misbehave in the next real delivery."""
        faults = self.rig.faults(*way)
        faults.drop_requests, faults.drop_answers, faults.repeat, faults.reverse = drop, lose, repeat, reverse

    # ---- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def own_records_have_contiguous_versions_and_copies_are_never_ahead(self) -> None:
        if not hasattr(self, "rig"):
            return
        for at, urn in self.permits:
            own = find_record(self.rig[at].database, PERMIT, urn, replica=False)
            assert own is not None
            for name in HALLS:
                copy = find_record(self.rig[name].database, PERMIT, urn, replica=True) if name != at else None
                assert copy is None or copy.version <= own.version

    async def check(self) -> None:
        self.rig.start_delivery()
        await asyncio.wait_for(self.rig.drain(), 60)
        await check_federation(self.stores(), self.rig.agreement, now=self.rig.clock())
        self._require_same_records()

    def _require_same_records(self) -> None:
        """Each entitled province has the newest version with exactly its fields; the others have nothing."""
        expected: dict[NodeName, dict[str, bytes]] = {name: {} for name in HALLS}
        for at in HALLS:
            for record in list_records(self.rig[at].database, PERMIT, after_id="", limit=1000, replica=False):
                for name, item in self._shares_of(at, record.content).items():
                    expected[name][record.id] = item
        for name, copies in expected.items():
            found = list_records(self.rig[name].database, PERMIT, after_id="", limit=1000, replica=True)
            assert {record.id: record.content for record in found} == copies
        for one, other in self.rig.links:
            sent = pair_state(self.rig[one].database, "sent", Pair(one, other))
            received = pair_state(self.rig[other].database, "received", Pair(one, other))
            assert sent == received
            assert missing_numbers(self.rig[other].database, "received", pair=Pair(one, other)) == []

    def _shares_of(self, at: NodeName, content: bytes) -> dict[NodeName, bytes]:
        in_force, permit = self.rig[at].trust.in_force, decode_permit(content)
        realm = in_force.agreement.realm
        why = Occasion(purpose=PermitPurpose.SHARING, function="F01", realm=realm, node_realm=realm)
        facts = permit_facts(permit, today=self.rig[at].today())
        shares: dict[NodeName, bytes] = {}
        for name in HALLS:
            decision = decide(in_force.policies, replicate_request(name, facts, occasion=why))
            if name != at and decision.allowed:
                shares[name] = encode(project_permit(permit, decision.fields))
        return shares

    async def _corrected(self, at: NodeName, urn: PermitUrn, address: str) -> None:
        node = self.rig[at]
        before = find_own_permit(node.database, urn)
        assert before is not None
        permit = replace(before, version=before.version + 1, residence_address=f"示例路{address}号")
        errand = begin_errand(node, HALLS[at], act())
        await send(
            node,
            draft_sharing(errand, [permit]),
            rows=lambda tx: put_own_permits(tx, [permit], owner=at, before=before.version),
        )


TestBorder = Border.TestCase
TestBorder.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
