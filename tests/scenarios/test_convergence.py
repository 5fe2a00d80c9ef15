"""Whatever the line and the processes do, both sides end with the same records and logs that verify.

Hypothesis drives three provinces on one clock: permits are issued and changed, requests and answers are lost, repeated
and turned around, processes die at any step of a commit. In the end the line is healed and everything is checked.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from federation.domain.permits import PermitUrn, decode_permit, project_permit
from federation.domain.permits_policy import Occasion, PermitPurpose, permit_facts, replicate_request
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.receive import receive
from federation.node.exchange.send import send
from federation.node.permits_sharing import PERMIT, draft_sharing, find_own_permit, put_own_permits
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import encode, replace
from federation.protocol.ids import NodeName, Pair, parse_agency_id
from federation.protocol.policy import decide
from federation.protocol.receipt import Receipt, Submission
from federation.store.messages import PendingMessage, load_pending, missing_numbers, pair_state, settle_outbox
from federation.store.records import find_record, list_records
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, Rig, act, application
from tests.scenarios.check_federation import NodeStore, check_federation

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

STEPS = ("before-rows", "before-commit", "after-commit", "after-sign")
provinces = st.sampled_from(sorted(HALLS))
pairs = st.permutations(sorted(HALLS)).map(lambda names: (names[0], names[1]))


class Border(RuleBasedStateMachine):
    """Three provinces; every rule leaves the event loop idle, so that a run can be repeated."""

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(processors=[_drop])  # the deaths are meant: their tracebacks would fill the run
        self.folder = tempfile.TemporaryDirectory(prefix="bridgehead-border-")
        self.loop = asyncio.new_event_loop()
        self.permits: list[tuple[NodeName, PermitUrn]] = []
        self.receipts: dict[tuple[NodeName, bytes], Receipt] = {}

    @initialize()
    def begin(self) -> None:
        self.rig = self.loop.run_until_complete(_make_rig(Path(self.folder.name)))

    # ---- what provinces do ---------------------------------------------------------------------------------------------

    @rule(at=provinces, works=st.booleans(), repeat=st.integers(1, 2))
    def register(self, at: NodeName, works: bool, repeat: int) -> None:
        """Somebody from the other side registers; some work on the third side, which is entitled too."""
        residence, household, work = HOMES[at]
        applicant = replace(application(residence, household), work_division=work if works else None)
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

    @rule(
        way=pairs,
        order=st.randoms(use_true_random=False),
        take=st.integers(1, 8),
        lost=st.booleans(),
        twice=st.booleans(),
    )
    def carry(self, way: tuple[NodeName, NodeName], order, take: int, lost: bool, twice: bool) -> None:
        """Some of what is queued arrives: in any order, once or twice, and the sender learns of it or not."""
        sender, recipient = way
        pending = load_pending(self.rig[sender].database, recipient, after_seq=0, limit=50, max_bytes=1 << 30)
        order.shuffle(pending)
        chosen = pending[:take] * (2 if twice else 1)
        answers = self.loop.run_until_complete(self._hand_over(sender, recipient, chosen))
        if self._died(recipient) or lost or not pending:
            return
        lane_settled = [(m, a) for m, a in zip(chosen, answers, strict=True) if isinstance(a, Receipt)]
        self.wait(sender, self._settle(sender, lane_settled))

    @rule(way=pairs, drop=st.integers(0, 2), lose=st.integers(0, 2), repeat=st.integers(0, 2), reverse=st.booleans())
    def spoil(self, way: tuple[NodeName, NodeName], drop: int, lose: int, repeat: int, reverse: bool) -> None:
        """The line between two nodes will misbehave in the next real delivery."""
        faults = self.rig.faults(*way)
        faults.drop_requests, faults.drop_answers, faults.repeat, faults.reverse = drop, lose, repeat, reverse

    # ---- what processes do ---------------------------------------------------------------------------------------------

    @rule(at=provinces, step=st.sampled_from(STEPS))
    def doom(self, at: NodeName, step: str) -> None:
        """The next commit of that node kills it at that step."""
        self.rig.hosts[at].die_at = step

    @rule(at=provinces)
    def restart(self, at: NodeName) -> None:
        """Killed between two commits, and started again."""
        self.loop.run_until_complete(self._reopen(at))

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

    def teardown(self) -> None:
        try:
            if hasattr(self, "rig"):
                self.loop.run_until_complete(self._heal_and_check())
        finally:
            self.loop.close()
            self.folder.cleanup()
            structlog.reset_defaults()

    async def _heal_and_check(self) -> None:
        rig = self.rig
        try:
            for host in rig.hosts.values():
                host.die_at = None
                if not host.alive:
                    await self._reopen_host(host.name)
            rig.start_delivery()
            await asyncio.wait_for(rig.drain(), 60)
            kept = [NodeStore(name, host.node.database, host.keyring.log) for name, host in rig.hosts.items()]
            await check_federation(kept, rig.agreement, now=rig.clock())
            self._require_same_records()
        finally:
            await rig.close()

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
            assert missing_numbers(self.rig[other].database, "received", pair=Pair(one, other), limit=9) == []

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

    # ---- steps ---------------------------------------------------------------------------------------------------------

    def wait(self, at: NodeName, doing):
        """Runs something at a node; when the node died of it, it is started again."""
        try:
            return self.loop.run_until_complete(doing)
        except BridgeheadError:
            assert not self.rig.hosts[at].alive
            return None
        finally:
            self._died(at)

    def _died(self, at: NodeName) -> bool:
        died = not self.rig.hosts[at].alive
        if died:
            self.loop.run_until_complete(self._reopen_host(at))
        return died

    async def _reopen(self, at: NodeName) -> None:
        await self.rig.hosts[at].crash()
        self.rig.hosts[at].open()

    async def _reopen_host(self, at: NodeName) -> None:
        await self.rig.hosts[at].close()
        self.rig.hosts[at].open()

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

    async def _hand_over(self, sender: NodeName, recipient: NodeName, chosen: list[PendingMessage]):
        async def one(message: PendingMessage):
            submission = Submission(envelope=message.envelope, body=message.body)
            try:
                receipt = await receive(self.rig[recipient], submission, peer=sender)
            except BridgeheadError as error:
                if self.rig.hosts[recipient].alive:
                    raise
                return error
            if not self.rig.hosts[recipient].alive:
                return None  # it died before its answer left
            known = self.receipts.setdefault((recipient, message.envelope), receipt)
            assert receipt == known, "a repeat got another receipt than the first"
            return receipt

        return await asyncio.gather(*(one(message) for message in chosen))

    async def _settle(self, sender: NodeName, settled: list[tuple[PendingMessage, Receipt]]) -> None:
        rows = [(message.id, receipt) for message, receipt in settled]
        await self.rig[sender].sequencer.commit(lambda tx: settle_outbox(tx, rows))


def _drop(_logger, _name, _event):
    raise structlog.DropEvent


async def _make_rig(folder: Path) -> Rig:
    return Rig(folder, HALLS)


TestBorder = Border.TestCase
TestBorder.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
