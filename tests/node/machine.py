"""Provinces on one clock that Hypothesis drives: what is queued is carried by hand, and processes die in any commit.

What they do is a machine of its own; every rule leaves the event loop idle, so that a run can be repeated.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, ClassVar

import structlog
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from federation.node.exchange.receive import receive
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName
from federation.protocol.receipt import Answer, Receipt, submission_of
from federation.store.messages import PendingMessage, load_pending, settle_outbox
from tests.node.rig import Rig
from tests.scenarios.check_federation import NodeStore

STEPS = ("before-rows", "before-commit", "after-commit", "after-sign")
Way = tuple[NodeName, NodeName]
dice = st.integers(0, 999)
"""A number that says which of some things, whatever their count."""


class Provinces(RuleBasedStateMachine):
    """Some provinces, and the line between them as a test says."""

    NAMES: ClassVar[tuple[NodeName, ...]]

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(processors=[_drop])  # the deaths are meant: their tracebacks would fill the run
        self.folder = tempfile.TemporaryDirectory(prefix="bridgehead-provinces-")
        self.loop = asyncio.new_event_loop()
        self.ways = list(permutations(self.NAMES, 2))
        self.receipts: dict[tuple[NodeName, bytes], Receipt] = {}

    @initialize()
    def begin(self) -> None:
        self.rig = self.loop.run_until_complete(_make_rig(Path(self.folder.name), self.NAMES))
        self.prepare()

    def prepare(self) -> None:
        """What is there before the first step."""

    async def check(self) -> None:
        """What holds in the end, every process running and nothing healed yet."""
        raise NotImplementedError

    # ---- what the line does --------------------------------------------------------------------------------------------

    @rule(
        way=dice,
        order=st.randoms(use_true_random=False),
        take=st.integers(1, 8),
        lost=st.booleans(),
        twice=st.booleans(),
    )
    def carry(self, way: int, order: Any, take: int, lost: bool, twice: bool) -> None:
        """Some of what is queued arrives: in any order, once or twice, and the sender learns of it or not."""
        sender, recipient = self.ways[way % len(self.ways)]
        pending = self.queued(sender, recipient)
        order.shuffle(pending)
        self.hand(sender, recipient, pending[:take] * (2 if twice else 1), lost=lost)

    def queued(self, sender: NodeName, recipient: NodeName) -> list[PendingMessage]:
        return load_pending(self.rig[sender].database, recipient, after_seq=0, limit=500, max_bytes=1 << 30)

    def hand(
        self, sender: NodeName, recipient: NodeName, chosen: Sequence[PendingMessage], *, lost: bool = False
    ) -> None:
        """Hands messages over, and their receipts back unless they are lost."""
        answers = self.loop.run_until_complete(self.handed(sender, recipient, chosen))
        if not self._died(recipient) and not lost and chosen:
            self.wait(sender, self.settled(sender, chosen, answers))

    async def handed(
        self, sender: NodeName, recipient: NodeName, chosen: Sequence[PendingMessage]
    ) -> list[Answer | None]:
        async def one(message: PendingMessage) -> Answer | None:
            try:
                receipt = await receive(self.rig[recipient], submission_of(message.envelope, message.body), peer=sender)
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

    async def settled(
        self, sender: NodeName, chosen: Sequence[PendingMessage], answers: Sequence[Answer | None]
    ) -> None:
        rows = [(each.id, found) for each, found in zip(chosen, answers, strict=True) if isinstance(found, Receipt)]
        await self.rig[sender].sequencer.commit(lambda tx: settle_outbox(tx, rows))

    # ---- what processes do ---------------------------------------------------------------------------------------------

    @rule(at=dice, step=st.sampled_from(STEPS))
    def doom(self, at: int, step: str) -> None:
        """The next commit of that node kills it at that step."""
        self.rig.hosts[self.NAMES[at % len(self.NAMES)]].die_at = step

    @rule(at=dice)
    def restart(self, at: int) -> None:
        """Killed between two commits, and started again."""
        self.loop.run_until_complete(self._reopen(self.NAMES[at % len(self.NAMES)], crash=True))

    def wait(self, at: NodeName, doing: Any) -> Any:
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
            self.loop.run_until_complete(self._reopen(at))
        return died

    async def _reopen(self, at: NodeName, *, crash: bool = False) -> None:
        host = self.rig.hosts[at]
        await (host.crash() if crash else host.close())
        host.open()

    # ---- the end -------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if hasattr(self, "rig"):
                self.loop.run_until_complete(self._check())
        finally:
            self.loop.close()
            self.folder.cleanup()
            structlog.reset_defaults()

    async def _check(self) -> None:
        try:
            for name, host in self.rig.hosts.items():
                host.die_at = None
                if not host.alive:
                    await self._reopen(name)
            await self.check()
        finally:
            await self.rig.close()

    def stores(self) -> list[NodeStore]:
        return [NodeStore(name, host.node.database, host.keyring.log) for name, host in self.rig.hosts.items()]


def _drop(_logger: object, _name: str, _event: object) -> None:
    raise structlog.DropEvent


async def _make_rig(folder: Path, names: Sequence[NodeName]) -> Rig:
    return Rig(folder, names)
