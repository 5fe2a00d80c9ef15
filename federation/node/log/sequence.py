"""The one writer of a node's exchange log.

One thread commits a group of queued jobs in one transaction, signs one checkpoint for it, and only then answers: no
receipt for what is not durable, no checkpoint before its commit. Size and root are recorded in the transaction, and
Ed25519 is deterministic: a node that died before signing signs the same bytes later. Source: DESIGN section 3.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import structlog

from federation.protocol.errors import BridgeheadError, CorruptError, UnavailableError
from federation.protocol.receipt import Receipt, verify_receipt
from federation.protocol.tlog.note import Checkpoint, Vkey, sign_checkpoint
from federation.protocol.tlog.proof import TlogProof, format_proof
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.store.log_reader import covering_checkpoint, inclusion_proof, load_entries, load_head

T = TypeVar("T")
_log = structlog.get_logger()

MAX_QUEUED = 20_000
"""Jobs that may wait for the writer; beyond it callers are told to come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The newest durable head of the log, and its signed checkpoint."""

    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """A job's result, and a signed head that covers everything it wrote.

    `first`: no earlier recorded head covers it; a receipt is given under that one only, or a repeat would get another.
    """

    value: T
    head: SignedHead
    first: bool = True


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: Callable[[GroupTransaction], object]
    future: asyncio.Future[Committed[object]]
    loop: asyncio.AbstractEventLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKey:
    vkey: Vkey
    sign: Callable[[bytes], bytes]


class Sequencer:
    """Queues jobs for the one writer thread and answers each with its value and the head that covers it."""

    def __init__(
        self,
        database: Database,
        key: LogKey,
        *,
        now: Callable[[], datetime],
        window_seconds: float = 0.003,
        limit: int = 256,
        crash_point: Callable[[str], None] = lambda _step: None,
    ) -> None:
        """Signs the stored head again (the same bytes as before a crash) and starts the writer thread."""
        self._database = database
        self._key = key
        self._now = now
        self._window_seconds = window_seconds
        self._limit = limit
        self._crash_point = crash_point
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MAX_QUEUED)
        self._door = threading.Lock()
        self._closed = False
        self._failure: CorruptError | None = None
        self._held: str | None = None
        head = load_head(database)
        self._head = self.sign(head.size, head.root)
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def head(self) -> SignedHead:
        return self._head

    @property
    def vkey(self) -> Vkey:
        return self._key.vkey

    @property
    def failure(self) -> CorruptError | None:
        return self._failure

    @property
    def held(self) -> str | None:
        """The reason that nothing is written now; None while our history is confirmed and undisputed."""
        return self._held

    def hold(self, why: str) -> None:
        """Refuses every job (LOG_UNCONFIRMED) until `open` or `release`."""
        self._held = why

    def release(self) -> None:
        """Ends a `hold` of a log whose history was confirmed before it."""
        self._held = None

    def stop(self, failure: CorruptError) -> None:
        """Writes and signs nothing any more; the first failure stays."""
        with self._door:
            if self._failure is None:
                self._failure = failure
                _log.critical("log.stopped", reason=failure.reason)

    async def open(self, job: Callable[[GroupTransaction], T]) -> Committed[T]:
        """Ends `hold` with a job that comes before every other; refuses as `commit`."""
        return await self._queue_up(job, opens=True)

    async def commit(self, job: Callable[[GroupTransaction], T]) -> Committed[T]:
        """Runs a job in the next group; returns only when it is durable and its checkpoint is signed.

        Refuses WRITER_BUSY, WRITER_CLOSED, STORE_FULL, STORE_BUSY, LOG_STOPPED, LOG_UNCONFIRMED; what the job raises
        leaves the others alone.
        """
        return await self._queue_up(job)

    async def _queue_up(self, job: Callable[[GroupTransaction], T], *, opens: bool = False) -> Committed[T]:
        if self._failure is not None:
            raise CorruptError("LOG_STOPPED", f"the log stopped: {self._failure.message}")
        if self._held is not None and not opens:
            raise UnavailableError("LOG_UNCONFIRMED", self._held)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Committed[T]] = loop.create_future()
        with self._door:
            if self._closed:
                raise UnavailableError("WRITER_CLOSED", "this node is stopping; try again with the same id")
            try:
                self._queue.put_nowait(_Waiting(job, future, loop))  # type: ignore[arg-type]
            except queue.Full as error:
                raise UnavailableError(
                    "WRITER_BUSY", "the log's writer is behind; try again with the same id"
                ) from error
            if opens:
                self._held = None
        return await asyncio.shield(future)

    def sign(self, size: int, root: bytes) -> SignedHead:
        """Signs a head that the store has recorded; the same head always gives the same bytes."""
        checkpoint = Checkpoint(origin=self._key.vkey.name, size=size, root=root)
        return SignedHead(size=size, root=root, note=sign_checkpoint(checkpoint, self._key.vkey, sign=self._key.sign))

    def prove(self, index: int) -> Receipt:
        """The leaf at that index, whatever it says, with its proof under the first head that covers it (LOG_RANGE)."""
        row, entry = covering_checkpoint(self._database, index), load_entries(self._database, index, 1)[0]
        return self._proved(entry, index=index, head=self.sign(row.size, row.root))

    def _proved(self, entry: bytes, *, index: int, head: SignedHead) -> Receipt:
        hashes = inclusion_proof(self._database, index, head.size)
        return Receipt(leaf=entry, proof=format_proof(TlogProof(index=index, hashes=hashes, checkpoint=head.note)))

    def receipt(self, statement_digest: str, entry: bytes, *, index: int, head: SignedHead) -> Receipt:
        """Builds the receipt of a leaf under that head, whose signature it needs alone. Refuses RECEIPT_INVALID."""
        receipt = self._proved(entry, index=index, head=head)
        try:
            verify_receipt(receipt, statement_digest=statement_digest, log_vkey=self.vkey)
        except BridgeheadError as error:
            raise CorruptError("RECEIPT_INVALID", "our own receipt does not verify") from error
        return receipt

    def first_receipt(self, statement_digest: str, index: int) -> Receipt:
        """Builds the receipt that was given first, byte for byte. Refuses RECEIPT_INVALID."""
        row = covering_checkpoint(self._database, index)
        entry = load_entries(self._database, index, 1)[0]
        return self.receipt(statement_digest, entry, index=index, head=self.sign(row.size, row.root))

    def close(self) -> None:
        """Finishes what is queued, then ends the writer thread; what comes later is refused, never left waiting."""
        with self._door:
            closing = not self._closed
            self._closed = True
        if closing:
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        company = False
        while (first := self._queue.get()) is not None:
            group = [first]
            last = self._gather(group, wait=company)
            company = len(group) > 1
            self._commit(group)
            if last:
                return

    def _gather(self, group: list[_Waiting], *, wait: bool) -> bool:
        """Adds what is queued; waits a short window only when messages come together. True when told to end."""
        end = time.monotonic() + self._window_seconds
        while len(group) < self._limit:
            try:
                left = end - time.monotonic()
                waiting = self._queue.get(timeout=left) if wait and left > 0 else self._queue.get_nowait()
            except queue.Empty:
                return False
            if waiting is None:
                return True
            group.append(waiting)
        return False

    def _commit(self, group: Sequence[_Waiting]) -> None:
        if self._failure is not None:  # what was queued before the log stopped must not be signed either
            self._answer(group, [self._failure] * len(group), first=False)
            return
        commits = 0

        def crash_point(step: str) -> None:
            nonlocal commits
            commits += step == "after-commit"
            self._crash_point(step)

        try:
            result = commit_group(
                self._database, [waiting.job for waiting in group], now=self._now(), crash_point=crash_point
            )
            if result.head.size != self._head.size:
                head = self.sign(result.head.size, result.head.root)
                self._crash_point("after-sign")
                self._head = head
            outcomes: Sequence[object] = result.outcomes
            for failed in (each for each in outcomes if isinstance(each, CorruptError)):
                _log.debug("job.failed", reason=failed.reason, exc_info=failed)
        except CorruptError as error:
            self.stop(error)
            outcomes = [error] * len(group)
        except BridgeheadError as error:
            outcomes = [error] * len(group)
        except Exception as error:  # noqa: BLE001 - a writer that dies silently would hang every caller
            _log.exception("log.failed")
            broken = UnavailableError("WRITER_FAILED", f"the log's writer failed: {type(error).__name__}")
            outcomes = [broken] * len(group)
        self._answer(group, outcomes, first=commits <= 1)

    def _answer(self, group: Sequence[_Waiting], outcomes: Sequence[object], *, first: bool) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Committed[object]], object]]] = {}
        for waiting, outcome in zip(group, outcomes, strict=True):
            if not isinstance(outcome, BridgeheadError):
                outcome = Committed(outcome, self._head, first)  # noqa: PLW2901 - the same outcome, with its head
            by_loop.setdefault(waiting.loop, []).append((waiting.future, outcome))
        for loop, answers in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: Sequence[tuple[asyncio.Future[Committed[object]], object]]) -> None:
    for future, outcome in answers:
        if future.done():
            continue
        if isinstance(outcome, BridgeheadError):
            future.set_exception(outcome)
        elif isinstance(outcome, Committed):
            future.set_result(outcome)
