"""Whatever is lost, repeated or late: in the end neither side holds what was erased, and every log verifies.

Hypothesis drives two provinces on one clock: people are looked up, cases close, time passes, messages are ordered
erased, requests and answers are lost and repeated. In the end the line is healed and everything is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from datetime import timedelta
from pathlib import Path

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from federation.domain.lookups import Outcome
from federation.domain.retention import QUESTION, REPORT
from federation.node import reports as subject
from federation.node.erasure import order_erasure
from federation.node.erasure_lists import ORDERS
from federation.node.exchange.errand import begin_errand
from federation.node.features import KINDS
from federation.node.retention import destroy_ended
from federation.protocol.errors import ConflictError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.leaf import LeafKind
from federation.store.log_reader import find_leaf
from federation.store.messages import StoredMessage, find_body
from federation.wire.agency.erasure import ErasureQuestion
from federation.wire.agency.reports import ReportQuestion
from tests.node.retention.released import NUMBER, Border, border
from tests.node.rig import JIANGXI, NODES, POLICE, YUSHAN_HALL, YUSHAN_POLICE, ZHEJIANG, act
from tests.store.samples import list_held

SIDES = (ZHEJIANG, JIANGXI)
HANDED = {ZHEJIANG: ("lookup.release", "lookup.answer"), JIANGXI: ("lookup.search", "lookup.fetch")}
MOST_HOURS = 40
"""An agreement that nobody re-signs lapses: the rig's clock stays below that."""


class Erasing(RuleBasedStateMachine):
    """Two provinces of four; every rule leaves nothing queued but what the line lost."""

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(processors=[_drop])
        self.folder = tempfile.TemporaryDirectory(prefix="bridgehead-erasing-")
        self.loop = asyncio.new_event_loop()
        self.stack = contextlib.AsyncExitStack()
        self.cases = 1
        self.is_open = True
        self.hours = 0

    @initialize()
    def begin(self) -> None:
        self.found: Border = self.run(self.stack.enter_async_context(border(Path(self.folder.name))))
        rig = self.found.rig
        fresh = rig.agreement.fresh_until_time + timedelta(days=60)
        rig.put_in_force(replace(rig.agreement, fresh_until_time=fresh, expires_time=fresh))

    def run(self, doing):
        return self.loop.run_until_complete(doing)

    @property
    def case(self) -> str:
        return f"CASE-2026-{self.cases:04}"

    # ---- what officers and provinces do ------------------------------------------------------------------------------

    @precondition(lambda self: self.is_open)
    @rule(fetches=st.integers(0, 2))
    def look_up(self, fetches: int) -> None:
        """A search that hits, and its fields fetched, not at all, once or twice."""
        self.heal()
        self.run(self.found.search(self.case))
        for _ in range(fetches):
            assert self.run(self.found.fetch(self.case)).outcome is Outcome.HIT

    @rule()
    def turn_case(self) -> None:
        """The case is closed, or a new one opened."""
        self.heal()
        if self.is_open:
            self.run(self.found.close_case(self.case))
        else:
            self.cases += 1
            self.run(self.found.open_case(self.case))
        self.is_open = not self.is_open

    @rule()
    def report(self) -> None:
        """The person asks at a counter of the asking province who asked about them; all four answer."""
        self.heal()
        question = ReportQuestion(citizen_number=NUMBER, identity_checked=True)
        given = act("subject.access", "F01")
        page = self.run(subject.report(begin_errand(self.found.rig[JIANGXI], YUSHAN_HALL, given), question))
        assert {province.outcome for province in page.provinces} == {Outcome.HIT}
        self.heal()

    @precondition(lambda self: self.hours < MOST_HOURS)
    @rule(hours=st.sampled_from((1, 8, 12)))
    def time_passes(self, hours: int) -> None:
        """Releases and handles live a day; what is queued arrives first."""
        self.heal()
        self.hours += hours
        self.found.rig.clock.advance(hours=hours)

    @rule(at=st.sampled_from(SIDES))
    def round(self, at: NodeName) -> None:
        """A node looks for what has ended."""
        self.run(destroy_ended(self.found.rig[at]))

    @rule(at=st.sampled_from(SIDES), dice=st.integers(0, 1000))
    def order(self, at: NodeName, dice: int) -> None:
        """An office has something erased that it sent, perhaps while it is on its way, perhaps once more."""
        messages = [message for kind in HANDED[at] for message in self.found.sent(at, kind)]
        if not messages:
            return
        question = ErasureQuestion(message_id=messages[dice % len(messages)].id, words="误发 in error")
        caller = POLICE if at == ZHEJIANG else YUSHAN_POLICE
        with contextlib.suppress(ConflictError, RuleError):  # it was erased before, or too many were ordered that day
            self.run(order_erasure(begin_errand(self.found.rig[at], caller, act("erasure.order", "F01")), question))

    # ---- what the line does ------------------------------------------------------------------------------------------

    @rule(
        sender=st.sampled_from(SIDES),
        cut=st.booleans(),
        drop=st.integers(0, 2),
        lose=st.integers(0, 2),
        repeat=st.integers(0, 2),
    )
    def spoil(self, sender: NodeName, cut: bool, drop: int, lose: int, repeat: int) -> None:
        """Requests or answers will be lost, or come twice, until the line is healed."""
        faults = self.found.rig.faults(sender, JIANGXI if sender == ZHEJIANG else ZHEJIANG)
        faults.cut, faults.drop_requests, faults.drop_answers, faults.repeat = cut, drop, lose, repeat

    def heal(self) -> None:
        """The line is whole again, and all that waited arrives."""
        for one, other in ((ZHEJIANG, JIANGXI), (JIANGXI, ZHEJIANG)):
            faults = self.found.rig.faults(one, other)
            faults.cut, faults.drop_requests, faults.drop_answers = False, 0, 0
        self.run(asyncio.wait_for(self.found.rig.drain(), 60))

    # ---- what holds in the end ---------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if hasattr(self, "found"):
                self._check()
        finally:
            self.run(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()
            structlog.reset_defaults()

    def _check(self) -> None:
        self.heal()
        if self.is_open:
            self.run(self.found.close_case(self.case))
        self.heal()
        self.found.rig.clock.advance(days=8)  # nobody waits for an answer, or reads a report, any more
        for _ in range(2):
            for at in NODES:
                self.run(destroy_ended(self.found.rig[at]))
            self.heal()
        for kind in HANDED[ZHEJIANG]:
            for message in self.found.sent(ZHEJIANG, kind):
                if self._was_decided(message):
                    self._require_gone(message)
        for message in self._sent(JIANGXI):
            self._require_gone(message)
        for at in NODES:
            kinds = {name for name, kind in KINDS.items() if kind.keep in (QUESTION, REPORT)}
            assert list_held(self.found.rig[at].database, kinds) == []
        for at in SIDES:
            for order in (each for each in ORDERS.each(self.found.rig[at].database) if not each.resent):
                assert order.receipted is not None
                self._require_gone(next(each for each in self._sent(at) if each.id == order.message_id))
        self.run(self.found.verify())

    def _sent(self, at: NodeName) -> list[StoredMessage]:
        return [message for kind in HANDED[at] for message in self.found.sent(at, kind)]

    def _was_decided(self, message: StoredMessage) -> bool:
        """Whether it ever came to the asker: a reply that was withdrawn on its way has nothing to erase there."""
        return find_leaf(self.found.rig[JIANGXI].database, LeafKind.RECEIVED, message.digest) is not None

    def _require_gone(self, message: StoredMessage) -> None:
        for at in SIDES:
            assert find_body(self.found.rig[at].database, message.id) is None, f"{at}: {message.kind}"


def _drop(_logger, _name, _event):
    raise structlog.DropEvent


TestErasing = Erasing.TestCase
TestErasing.settings = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
