"""Delivery: brings what is queued to each peer, whatever dies in between.

For each peer one lane: up to `delivery_calls` Submit calls in flight, each carrying what queued meanwhile. The same
bytes and id go out on every try, so that a repeat gets the same receipt. A message leaves the queue when its receipt
was verified here, when the receiver cannot judge its bytes, or when it expired; a human sees the last two. What must
arrive is sent once more after its time, only to be answered: with the receipt of a peer that had it, or with the no of
one that never did, and then it is said anew (`resend`). After a call that failed the lane rests, then goes on with one
call at a time. A call that could not be read is halved until the message at fault is alone; that one waits, and holds
up nobody.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from federation.node.home.config import NodeSettings
from federation.node.log.bad_rows import BadRows
from federation.node.log.sequence import Sequencer
from federation.node.node import Contacts, KnownHeads, Trust, received_key
from federation.protocol.envelope import Envelope, parse_envelope
from federation.protocol.errors import (
    BridgeheadError,
    ConflictError,
    CorruptError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    UntrustedError,
)
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, NodeName, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, Verdict, encode_leaf, leaf_about
from federation.protocol.receipt import Answer, Receipt, Submission, submission_of, verify_receipt
from federation.protocol.statement import Statement, decode_statement
from federation.protocol.tlog.note import Vkey, parse_vkey, strip_note
from federation.protocol.tlog.proof import parse_proof
from federation.protocol.trust import withheld
from federation.protocol.trust.agreement import SUSPENDED
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import (
    PendingMessage,
    expire_outbox,
    find_outbox_state,
    load_pending,
    load_unheard,
    reject_outbox,
    settle_outbox,
)
from federation.store.witness_state import keep_fork

_log = structlog.get_logger()

MAX_CALL_BYTES = 4 * 1024 * 1024
FIRST_PAUSE_SECONDS = 0.05
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,62}", re.ASCII)
LOOK_AGAIN_SECONDS = 0.5
MAX_REMEMBERED = 10_000
"""How many ended messages are known without a look at the store, for who asks just after the end."""


_ILLEGIBLE = "its envelope cannot be read: run bridgehead node check"


def _nobody(digest: str) -> None:
    del digest


class Peer(Protocol):
    """The other province, as delivery sees it: a gRPC client, or a node in the same process for scenarios."""

    async def submit(self, submissions: Sequence[Submission], *, timeout_seconds: float) -> Sequence[Answer]:
        """Answers each submission by itself, in order; an error means that nothing is known about any of them."""
        ...


@dataclass(slots=True)
class _Lane:
    """One peer's delivery between calls; `limit`: messages in the next call; `put_off`, `rejected`: why, last time."""

    limit: int
    task: asyncio.Task[None] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: set[MessageId] = field(default_factory=set)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    after_seq: int = 0
    unheard_seq: int = 0
    failures: int = 0
    resting: bool = False
    put_off: dict[MessageId, str] = field(default_factory=dict)
    rejected: str | None = None
    error: str | None = None
    receipt_time: datetime | None = None


@dataclass(slots=True)
class _Ended:
    """The messages of one call that ended with it: receipted, never to be judged, or never had."""

    settled: list[tuple[PendingMessage, Receipt]] = field(default_factory=list)
    rejected: list[tuple[PendingMessage, str]] = field(default_factory=list)
    missed: list[MessageId] = field(default_factory=list)


def _is_legible(message: PendingMessage) -> bool:
    """False for an envelope that is damaged here: no leaf can be written about it."""
    try:
        decode_statement(parse_envelope(message.envelope).payload)
    except (BridgeheadError, TypeError):
        return False
    return True


def _is_final_no(message: PendingMessage, answer: Answer) -> bool:
    """True when the receiver can never judge these bytes; after their time, when it says that it never had them."""
    if message.is_unheard:
        return isinstance(answer, BridgeheadError) and not isinstance(answer, UnavailableError)
    return isinstance(answer, (MalformedError, ConflictError))


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
        self.bad_rows = BadRows()
        self._database = database
        self._sequencer = sequencer
        self._trust = trust
        self._heads = heads
        self._settings = settings
        self._now = now
        self.contacts = Contacts(now)
        self._notify: Callable[[str], None] = _nobody
        self._renewed: Collection[str] = ()
        self._lanes: dict[NodeName, _Lane] = {}
        self._is_started = False
        self._waiting: dict[MessageId, asyncio.Future[str]] = {}
        self._finished: dict[MessageId, str] = {}

    def start(
        self, peers: Mapping[NodeName, Peer], *, renewed: Collection[str], notify: Callable[[str], None] = _nobody
    ) -> None:
        """Starts a lane for each peer; what was queued before a restart goes first.

        `renewed` are the kinds that are said anew when they expired. `notify` gets the `received_key` of each statement
        that durably left the queue, its digest too if no reply will come.
        """
        self._notify, self._renewed, self._is_started = notify, renewed, True
        for name, peer in peers.items():
            self.join(name, peer)

    def join(self, name: NodeName, peer: Peer) -> None:
        """Starts the lane to a province; before the start there is none, which begins with all."""
        if self._is_started:
            lane = self._lanes[name] = _Lane(limit=self._settings.delivery_batch)
            lane.wake.set()
            lane.task = asyncio.create_task(self._run(name, peer, lane), name=f"deliver-{name}")

    async def leave(self, name: NodeName) -> None:
        """Stops the lane to a province as `close` does."""
        lane = self._lanes.pop(name, None)
        if lane is not None:
            await self._end([lane])

    def wake(self, peer: NodeName) -> None:
        """Tells a lane that something was queued; a peer that is no member has no lane and nothing happens."""
        lane = self._lanes.get(peer)
        if lane is not None:
            lane.wake.set()

    def last_error(self, peer: NodeName) -> str | None:
        """Returns the reason why the newest call failed, or a message waits or was rejected; None when all is well."""
        lane = self._lanes.get(peer)
        if lane is None:
            return None
        return lane.error or next(iter(lane.put_off.values()), lane.rejected)

    def last_receipt(self, peer: NodeName) -> datetime | None:
        """Returns the time of the last verified receipt of that peer since the start."""
        lane = self._lanes.get(peer)
        return lane.receipt_time if lane else None

    async def wait_settled(self, message_id: MessageId) -> str:
        """Waits until a message is `settled`, `rejected` or `expired`. Refuses MESSAGE_UNKNOWN if never queued."""
        if (finished := self._finished.get(message_id)) is not None:
            return finished
        future = self._waiting.setdefault(message_id, asyncio.get_running_loop().create_future())
        while True:
            done, _ = await asyncio.wait([future], timeout=LOOK_AGAIN_SECONDS)
            if done:
                return future.result()
            # Not one of those that were just sent: it ended before this process began, or it still waits for its peer.
            state = find_outbox_state(self._database, message_id)
            if state is None:
                self._waiting.pop(message_id, None)
                raise NotFoundError("MESSAGE_UNKNOWN", f"no message {message_id} was queued here")
            if state != "pending":
                self._remember(message_id, "expired" if state in ("unheard", "missed") else state)

    async def close(self) -> None:
        """Lets the calls in flight end (their receipts are still verified and settled), then stops the lanes."""
        await self._end(list(self._lanes.values()))

    async def _end(self, lanes: Sequence[_Lane]) -> None:
        tasks = [lane.task for lane in lanes if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        calls = [call for lane in lanes for call in lane.calls]
        if calls:
            _done, late = await asyncio.wait(calls, timeout=self._settings.drain_seconds)
            for call in late:  # the peer has the message or not; the next start asks again
                call.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, name: NodeName, peer: Peer, lane: _Lane) -> None:
        while True:
            if lane.resting:
                await self._rest(lane)
            elif len(lane.calls) >= (1 if lane.failures else self._settings.delivery_calls):
                await asyncio.wait(lane.calls, return_when=asyncio.FIRST_COMPLETED)
            else:
                lane.wake.clear()
                if batch := self._next_batch(name, lane):
                    call = asyncio.create_task(self._call(name, peer, lane, batch))
                    lane.calls.add(call)
                    call.add_done_callback(lane.calls.discard)
                    await asyncio.sleep(0)
                elif not lane.resting:
                    await lane.wake.wait()

    async def _rest(self, lane: _Lane) -> None:
        """Backs off with jitter; a wake-up does not shorten it, or a busy sender would hammer a dead peer."""
        ceiling = min(self._settings.delivery_pause_seconds, FIRST_PAUSE_SECONDS * 2 ** min(lane.failures, 16))
        await asyncio.sleep(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        lane.resting = False
        lane.after_seq = lane.unheard_seq = 0

    def _next_batch(self, name: NodeName, lane: _Lane) -> list[PendingMessage]:
        while True:
            try:
                found = self._load_next(name, lane)
            except BridgeheadError as error:
                self._note_failure(name, lane, error)
                return []
            except Exception:  # noqa: BLE001 - a lane that ends would leave this peer without messages for ever
                _log.exception("delivery.unread", peer=name)
                self._note_failure(name, lane, CorruptError("STORE_FAULT", "what is queued cannot be read"))
                return []
            if not found:
                return []
            batch = [message for message in found if message.id not in lane.in_flight]
            if batch:
                lane.in_flight.update(message.id for message in batch)
                return batch

    def _load_next(self, name: NodeName, lane: _Lane) -> list[PendingMessage]:
        """The messages that are queued; when none is, those to be said anew, once a slow clock is sure of it too."""
        most, limit = MAX_CALL_BYTES, lane.limit
        found = load_pending(self._database, name, after_seq=lane.after_seq, limit=limit, max_bytes=most)
        if found:
            lane.after_seq = found[-1].seq
            return found
        before = self._now() - 2 * self._trust.in_force.agreement.clock_tolerance
        after = lane.unheard_seq
        found = load_unheard(self._database, name, expired_before=before, after_seq=after, limit=limit, max_bytes=most)
        if found:
            lane.unheard_seq = found[-1].seq
        return found

    async def _call(self, name: NodeName, peer: Peer, lane: _Lane, batch: Sequence[PendingMessage]) -> None:
        deferred: list[MessageId] = []
        try:
            fresh = self._readable(lane, await self._drop_expired(lane, batch))
            if fresh:
                submissions = [submission_of(message.envelope, message.body) for message in fresh]
                answers = await self._submit(name, peer, submissions)
                deferred = await self._settle(name, lane, batch=fresh, answers=answers)
            deferred += [each.id for each in batch if each.id in lane.put_off and each.id not in deferred]
            lane.failures = 0
            lane.limit = min(self._settings.delivery_batch, 2 * lane.limit)
        except BridgeheadError as error:
            deferred = self._note_failed_call(name, lane, error, batch=batch)
        except Exception as error:  # noqa: BLE001 - a lane that dies would hold its messages for ever
            _log.exception("delivery.failed", peer=name)
            failed = CorruptError("DELIVERY_FAILED", f"a call to {name} failed: {type(error).__name__}")
            deferred = self._note_failed_call(name, lane, failed, batch=batch)
        lane.in_flight.difference_update(message.id for message in batch if message.id not in deferred)
        lane.unheard_seq = 0  # what expired just now is asked about next
        if deferred:
            pause = self._settings.delivery_pause_seconds
            asyncio.get_running_loop().call_later(pause, self._release, lane, deferred)
        lane.wake.set()

    def _readable(self, lane: _Lane, batch: Sequence[PendingMessage]) -> list[PendingMessage]:
        """The messages that can be sent; the others are told and put off, and hold up nobody."""
        for message in batch:
            if message.fault:
                lane.put_off[message.id] = message.fault
                self.bad_rows.note("delivery", f"sent {message.id}", CorruptError("MESSAGE_DAMAGED", message.fault))
        return [message for message in batch if not message.fault]

    async def _submit(self, name: NodeName, peer: Peer, submissions: Sequence[Submission]) -> Sequence[Answer]:
        """Submits; to a member that is suspended, or from one, nothing leaves: it waits as for one that is down."""
        if withheld(self._trust.in_force.agreement, name, NodeName(self._settings.node)) == SUSPENDED:
            raise UnavailableError(SUSPENDED, "nothing is exchanged for now: kept until the suspension is lifted")
        try:
            answers = await peer.submit(submissions, timeout_seconds=self._settings.delivery_timeout_seconds)
        except BridgeheadError as error:
            self.contacts.failed(name, error)
            raise
        self.contacts.answered(name)
        return answers

    def _note_failed_call(
        self, name: NodeName, lane: _Lane, error: BridgeheadError, *, batch: Sequence[PendingMessage]
    ) -> list[MessageId]:
        """Remembers why a whole call failed; returns the message that is at fault, once it went alone."""
        self._note_failure(name, lane, error)
        if isinstance(error, (UnavailableError, UntrustedError)):
            return []  # the way is at fault, not what went on it
        lane.limit = max(1, len(batch) // 2)
        if len(batch) > 1:
            return []
        lane.put_off[batch[0].id] = str(error)
        return [batch[0].id]

    def _note_failure(self, name: NodeName, lane: _Lane, error: BridgeheadError) -> None:
        if lane.failures == 0:
            _log.warning("peer.unreachable", peer=name, reason=error.reason)
        lane.failures, lane.error, lane.resting = lane.failures + 1, str(error), True

    def _release(self, lane: _Lane, deferred: Sequence[MessageId]) -> None:
        lane.in_flight.difference_update(deferred)
        lane.after_seq = lane.unheard_seq = 0
        lane.wake.set()

    async def _drop_expired(self, lane: _Lane, batch: Sequence[PendingMessage]) -> list[PendingMessage]:
        now = truncate_to_millisecond(self._now())
        old = [message for message in batch if message.expires < now and not message.is_unheard]
        expired = [message for message in old if _is_legible(message)]
        if expired:
            await self._sequencer.commit(lambda tx: self._expire(tx, expired, now))
        for message in expired:
            self._finish(lane, message, "expired")
        left = [replace(message, fault=_ILLEGIBLE) for message in old if message not in expired]
        return [message for message in batch if message.expires >= now or message.is_unheard] + left

    def _expire(self, transaction: GroupTransaction, messages: Sequence[PendingMessage], now: datetime) -> None:
        for message in messages:
            envelope = parse_envelope(message.envelope)
            statement = decode_statement(envelope.payload)
            leaf = self._leaf_of(envelope, statement, LeafKind.EXPIRED, now=now)
            transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
            expire_outbox(transaction, message.id, state="unheard" if statement.kind in self._renewed else "expired")

    def _leaf_of(
        self, envelope: Envelope, statement: Statement, kind: LeafKind, *, now: datetime, reason: str | None = None
    ) -> Leaf:
        """The leaf about a message that ends without a receipt."""
        version = self._trust.in_force.agreement.version
        return leaf_about(statement, envelope.digest, kind, agreement_version=version, time=now, reason=reason)

    async def _settle(
        self, name: NodeName, lane: _Lane, *, batch: Sequence[PendingMessage], answers: Sequence[Answer]
    ) -> list[MessageId]:
        """Verifies each receipt and takes what is final off the queue in one commit; returns what to try again later.

        What the receiver cannot ever judge is rejected with a `discrepancy` leaf, or our log would promise for ever
        what never comes. Anything else stays queued, and does not hold up the others.
        """
        if len(answers) != len(batch):
            raise MalformedError("ANSWER_COUNT", f"expected {len(batch)} answers, got {len(answers)}")
        vkey = parse_vkey(self._trust.in_force.member(name).log_vkey)
        ended, refused, deferred = _Ended(), set[MessageId](), list[MessageId]()
        lane.error = None
        for message, answer in zip(batch, answers, strict=True):
            if _is_final_no(message, answer) and _is_legible(message):
                self._note_no(name, lane, message, answer, ended=ended)
                continue
            try:
                verdict, receipt = self._verified(name, message, answer, vkey)
                ended.settled.append((message, receipt))
                if verdict is Verdict.REFUSED:
                    refused.add(message.id)
            except BridgeheadError as error:
                deferred.append(message.id)
                lane.put_off[message.id] = str(error)
                _log.warning("delivery.deferred", message_id=message.id, peer=name, reason=error.reason)
        if ended.settled or ended.rejected or ended.missed:
            await self._sequencer.commit(partial(self._take_off, ended=ended))
        if ended.settled:
            lane.receipt_time = self._now()
        for message, _receipt in ended.settled:
            self._finish(lane, message, "settled", answered=message.id not in refused)
        for message, _reason in ended.rejected:
            self._finish(lane, message, "rejected")
        return deferred

    def _note_no(self, name: NodeName, lane: _Lane, message: PendingMessage, answer: Answer, *, ended: _Ended) -> None:
        if message.is_unheard:
            ended.missed.append(message.id)  # it would have given the receipt of what it has, whatever expired since
            return
        found = answer.reason if isinstance(answer, BridgeheadError) else ""
        reason = found if _REASON.fullmatch(found) else "REASON_MALFORMED"
        ended.rejected.append((message, reason))
        lane.rejected = f"message {message.id} was rejected: {reason}"
        _log.error("delivery.rejected", message_id=message.id, peer=name, reason=reason)

    def _take_off(self, transaction: GroupTransaction, *, ended: _Ended) -> None:
        for message_id in ended.missed:
            expire_outbox(transaction, message_id, state="missed")
        settle_outbox(transaction, [(message.id, receipt) for message, receipt in ended.settled])
        now = truncate_to_millisecond(self._now())
        for message, reason in ended.rejected:
            envelope = parse_envelope(message.envelope)
            statement = decode_statement(envelope.payload)
            leaf = self._leaf_of(envelope, statement, LeafKind.DISCREPANCY, now=now, reason=reason)
            transaction.append_leaf(leaf.kind.value, leaf.subject, encode_leaf(leaf))
            reject_outbox(transaction, message.id, reason)

    def _verified(
        self, name: NodeName, message: PendingMessage, answer: Answer, vkey: Vkey
    ) -> tuple[Verdict | None, Receipt]:
        if isinstance(answer, BridgeheadError):
            raise answer
        verified = verify_receipt(answer, statement_digest=message.digest, log_vkey=vkey)
        if verified.leaf.seq != message.seq:
            raise UntrustedError(
                "RECEIPT_SEQUENCE", f"expected number {message.seq}, the leaf says {verified.leaf.seq}"
            )
        head = parse_proof(answer.proof).checkpoint
        try:
            self._heads.observe(name, verified.checkpoint, head)
        except UntrustedError:
            size = verified.checkpoint.size
            _log.critical("log.forked", peer=name, size=size)
            notes = (strip_note(self._heads.note(name), [vkey]), strip_note(head, [vkey]))
            keep_fork(self._database, vkey.name, size=size, notes=notes, now=self._now())
            raise
        return verified.leaf.verdict, answer

    def _finish(self, lane: _Lane, message: PendingMessage, state: str, *, answered: bool = False) -> None:
        """Tells who waits; who waits for a reply only when none will come, unless the receipt says yes."""
        lane.put_off.pop(message.id, None)
        self._remember(message.id, state)
        self._notify(received_key(message.digest))
        if not answered:
            self._notify(message.digest)

    def _remember(self, message_id: MessageId, state: str) -> None:
        self._finished[message_id] = state
        if len(self._finished) > MAX_REMEMBERED:
            del self._finished[next(iter(self._finished))]
        future = self._waiting.pop(message_id, None)
        if future is not None and not future.done():
            future.set_result(state)
