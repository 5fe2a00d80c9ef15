"""Delivery: brings what is queued to each peer, whatever dies in between.

For each peer one lane: up to `delivery_calls` Submit calls in flight, each carrying what queued meanwhile. The same
bytes and the same id go out on every try, so the receiver answers a repeat with the same receipt. A message leaves the
queue only when a receipt of the receiver's log was verified here, when the receiver cannot judge its bytes, or when it
expired; the last two are states a human sees, never a silent loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from federation.node.home.config import NodeSettings
from federation.node.log.heads import KnownHeads
from federation.node.log.sequence import Sequencer
from federation.node.trust import Trust
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.ids import MessageId, NodeName, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.protocol.receipt import Answer, Receipt, Submission, verify_receipt
from federation.protocol.statement import decode_statement
from federation.protocol.tlog.note import Vkey, parse_vkey
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction
from federation.store.outbox import (
    PendingMessage,
    expire_outbox,
    find_outbox_state,
    load_pending,
    reject_outbox,
    settle_outbox,
)

_log = structlog.get_logger()

MAX_CALL_BYTES = 4 * 1024 * 1024
FIRST_PAUSE_SECONDS = 0.05


class Peer(Protocol):
    """The other province, as delivery sees it: a gRPC client, or a node in the same process for scenarios."""

    async def submit(self, submissions: Sequence[Submission], *, timeout_seconds: float) -> Sequence[Answer]:
        """Answers each submission by itself, in order.

        Raises:
            BridgeheadError: the call as a whole failed; nothing is known about any submission.
        """
        ...


@dataclass(slots=True)
class _Lane:
    """What one peer's delivery remembers between calls; the store holds all that must survive."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: set[MessageId] = field(default_factory=set)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    after_seq: int = 0
    failures: int = 0
    error: str | None = None
    receipt_time: datetime | None = None


class Delivery:
    """The lanes to all the peers, and who waits for which message to be settled."""

    def __init__(
        self,
        *,
        database: Database,
        sequencer: Sequencer,
        trust: Trust,
        heads: KnownHeads,
        settings: NodeSettings,
        now: Callable[[], datetime],
    ) -> None:
        """Keeps what delivery uses; `start` begins to send."""
        self._database = database
        self._sequencer = sequencer
        self._trust = trust
        self._heads = heads
        self._settings = settings
        self._now = now
        self._lanes: dict[NodeName, _Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[MessageId, asyncio.Future[str]] = {}

    def start(self, peers: Mapping[NodeName, Peer]) -> None:
        """Starts a lane for each peer; what was queued before a restart goes first."""
        for name, peer in peers.items():
            lane = self._lanes[name] = _Lane()
            lane.wake.set()
            self._tasks.append(asyncio.create_task(self._run(name, peer, lane), name=f"deliver-{name}"))

    def wake(self, peer: NodeName) -> None:
        """Tells a lane that something was queued; a peer that is no member has no lane and nothing happens."""
        lane = self._lanes.get(peer)
        if lane is not None:
            lane.wake.set()

    def last_error(self, peer: NodeName) -> str | None:
        """Why the newest call to that peer failed, or None when it did not."""
        lane = self._lanes.get(peer)
        return lane.error if lane else None

    def last_receipt(self, peer: NodeName) -> datetime | None:
        """When a receipt of that peer was last verified here since the start."""
        lane = self._lanes.get(peer)
        return lane.receipt_time if lane else None

    async def wait_settled(self, message_id: MessageId) -> str:
        """Waits until a message has left the queue; returns `settled`, `rejected` or `expired`.

        Raises:
            NotFoundError: MESSAGE_UNKNOWN when it was never queued.
        """
        future = self._waiting.setdefault(message_id, asyncio.get_running_loop().create_future())
        state = find_outbox_state(self._database, message_id)
        if state is None:
            del self._waiting[message_id]
            raise NotFoundError("MESSAGE_UNKNOWN", f"no message {message_id} was queued here")
        if state != "pending":
            self._finish(message_id, state)
        return await future

    async def close(self) -> None:
        """Lets the calls in flight end (their receipts are still verified and settled), then stops the lanes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        calls = [call for lane in self._lanes.values() for call in lane.calls]
        if calls:
            await asyncio.wait(calls, timeout=self._settings.drain_seconds)

    async def _run(self, name: NodeName, peer: Peer, lane: _Lane) -> None:
        while True:
            if len(lane.calls) >= self._settings.delivery_calls:
                await asyncio.wait(lane.calls, return_when=asyncio.FIRST_COMPLETED)
                continue
            lane.wake.clear()
            batch = self._next_batch(name, lane)
            if batch:
                call = asyncio.create_task(self._call(name, peer, lane, batch))
                lane.calls.add(call)
                call.add_done_callback(lane.calls.discard)
                await asyncio.sleep(0)
            elif lane.failures:
                await self._pause(lane)
            else:
                await lane.wake.wait()

    async def _pause(self, lane: _Lane) -> None:
        """Backs off with jitter; a wake-up does not shorten it, or a busy sender would hammer a dead peer."""
        ceiling = min(self._settings.delivery_pause_seconds, FIRST_PAUSE_SECONDS * 2 ** min(lane.failures, 16))
        await asyncio.sleep(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        lane.after_seq = 0

    def _next_batch(self, name: NodeName, lane: _Lane) -> list[PendingMessage]:
        if lane.failures and (lane.calls or lane.after_seq):
            return []  # after a failed call: one call at a time, from the oldest, once the pause is over
        while True:
            try:
                found = load_pending(
                    self._database,
                    name,
                    after_seq=lane.after_seq,
                    limit=self._settings.delivery_batch,
                    max_bytes=MAX_CALL_BYTES,
                )
            except UnavailableError as error:
                lane.failures, lane.error = lane.failures + 1, error.reason
                return []
            if not found:
                return []
            lane.after_seq = found[-1].seq
            batch = [message for message in found if message.id not in lane.in_flight]
            if batch:
                lane.in_flight.update(message.id for message in batch)
                return batch

    async def _call(self, name: NodeName, peer: Peer, lane: _Lane, batch: Sequence[PendingMessage]) -> None:
        deferred: list[MessageId] = []
        try:
            fresh = await self._drop_expired(batch)
            if fresh:
                submissions = [Submission(envelope=message.envelope, body=message.body) for message in fresh]
                answers = await peer.submit(submissions, timeout_seconds=self._settings.delivery_timeout_seconds)
                deferred = await self._settle(name, lane, batch=fresh, answers=answers)
            lane.failures = 0
        except BridgeheadError as error:
            self._note_failure(name, lane, error)
        except Exception as error:  # noqa: BLE001 - a lane that dies would hold its messages for ever
            _log.exception("delivery.failed", peer=name)
            self._note_failure(name, lane, UnavailableError("DELIVERY_FAILED", type(error).__name__))
        lane.in_flight.difference_update(message.id for message in batch if message.id not in deferred)
        if deferred:
            pause = self._settings.delivery_pause_seconds
            asyncio.get_running_loop().call_later(pause, self._release, lane, deferred)
        lane.wake.set()

    def _note_failure(self, name: NodeName, lane: _Lane, error: BridgeheadError) -> None:
        if lane.failures == 0:
            _log.warning("peer.unreachable", peer=name, reason=error.reason)
        lane.failures, lane.error = lane.failures + 1, str(error)

    def _release(self, lane: _Lane, deferred: Sequence[MessageId]) -> None:
        lane.in_flight.difference_update(deferred)
        lane.after_seq = 0
        lane.wake.set()

    async def _drop_expired(self, batch: Sequence[PendingMessage]) -> list[PendingMessage]:
        now = truncate_to_millisecond(self._now())
        expired = [message for message in batch if message.expires < now]
        for message in expired:
            await self._sequencer.commit(lambda tx, message=message: self._expire(tx, message, now))  # type: ignore[misc]
            self._finish(message.id, "expired")
        return [message for message in batch if message.expires >= now]

    def _expire(self, transaction: GroupTransaction, message: PendingMessage, now: datetime) -> None:
        envelope = parse_envelope(message.envelope)
        statement = decode_statement(envelope.payload)
        leaf = Leaf(
            federation=statement.federation,
            realm=statement.realm,
            kind=LeafKind.EXPIRED,
            subject=envelope.digest,
            pair=statement.pair,
            seq=statement.seq,
            agreement_version=self._trust.in_force.agreement.version,
            time=now,
        )
        transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
        expire_outbox(transaction, message.id)

    async def _settle(
        self, name: NodeName, lane: _Lane, *, batch: Sequence[PendingMessage], answers: Sequence[Answer]
    ) -> list[MessageId]:
        """Verifies each receipt and takes what is final off the queue in one commit; returns what to try again later.

        What the receiver cannot ever judge (malformed, or in conflict with another message) is rejected. Anything else
        may pass, an unknown key when the receiver has caught up with the agreement: such a message stays queued, and
        does not hold up the others.
        """
        if len(answers) != len(batch):
            raise MalformedError("ANSWER_COUNT", f"expected {len(batch)} answers, got {len(answers)}")
        vkey = parse_vkey(self._trust.in_force.member(name).log_vkey)
        settled: list[tuple[MessageId, Receipt]] = []
        rejected: list[tuple[MessageId, str]] = []
        deferred: list[MessageId] = []
        lane.error = None
        for message, answer in zip(batch, answers, strict=True):
            try:
                settled.append((message.id, self._verified(name, message, answer, vkey)))
            except (MalformedError, ConflictError) as error:
                rejected.append((message.id, error.reason))
                lane.error = str(error)
                _log.error("delivery.rejected", message_id=message.id, peer=name, reason=error.reason)
            except BridgeheadError as error:
                deferred.append(message.id)
                lane.error = str(error)
                _log.warning("delivery.deferred", message_id=message.id, peer=name, reason=error.reason)
        if settled or rejected:
            await self._sequencer.commit(partial(_take_off, settled=settled, rejected=rejected))
        if settled:
            lane.receipt_time = self._now()
        for message_id, _receipt in settled:
            self._finish(message_id, "settled")
        for message_id, _reason in rejected:
            self._finish(message_id, "rejected")
        return deferred

    def _verified(self, name: NodeName, message: PendingMessage, answer: Answer, vkey: Vkey) -> Receipt:
        if isinstance(answer, BridgeheadError):
            raise answer
        verified = verify_receipt(answer, statement_digest=message.digest, log_vkey=vkey)
        if verified.leaf.seq != message.seq:
            raise UntrustedError(
                "RECEIPT_SEQUENCE", f"expected number {message.seq}, the leaf says {verified.leaf.seq}"
            )
        self._heads.observe(name, verified.checkpoint)
        return answer

    def _finish(self, message_id: MessageId, state: str) -> None:
        future = self._waiting.pop(message_id, None)
        if future is not None and not future.done():
            with contextlib.suppress(RuntimeError):
                future.set_result(state)


def _take_off(
    transaction: GroupTransaction,
    *,
    settled: Sequence[tuple[MessageId, Receipt]],
    rejected: Sequence[tuple[MessageId, str]],
) -> None:
    settle_outbox(transaction, settled)
    for message_id, reason in rejected:
        reject_outbox(transaction, message_id, reason)
