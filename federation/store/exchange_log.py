"""The exchange log's one write door: a group of jobs, their rows and their leaves, in one transaction.

Rules kept: the head row is the lock, on SQLite with the whole database (`BEGIN IMMEDIATE`); what a process remembers of
the tree is used only when the row's epoch says that nobody wrote since; the record of what will be signed is written
with the leaves it covers; a leaf is appended once for each (kind, subject). A group runs without looking before it
writes and lets the unique constraints object; only then it is run again looking first, and who still fails fails alone.
Trusts: jobs to be functions of their transaction, since they may run more than once.
Source: DESIGN section 3 (sequencing), transparency-log reference sections 15 and 19.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from federation.protocol.errors import BridgeheadError, CorruptError
from federation.store.database import Database
from federation.store.log.reader import (
    CheckpointRow,
    check_log,
    consistency_proof,
    covering_checkpoint,
    find_entry,
    find_leaf,
    inclusion_proof,
    load_checkpoints,
    load_entries,
    load_entry_bundle,
    load_head,
    load_root,
    load_tile,
    load_tree,
    read_head,
)
from federation.store.log.transaction import GroupTransaction
from federation.store.log.tree import GrowingTree, Head

__all__ = [
    "CheckpointRow",
    "GroupResult",
    "GroupTransaction",
    "Head",
    "check_log",
    "commit_group",
    "consistency_proof",
    "covering_checkpoint",
    "find_entry",
    "find_leaf",
    "inclusion_proof",
    "load_checkpoints",
    "load_entries",
    "load_entry_bundle",
    "load_head",
    "load_root",
    "load_tile",
]

T = TypeVar("T")

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult(Generic[T]):
    """The durable head after a group, and for each job, in order, what it returned or the error that it raised."""

    head: Head
    outcomes: tuple[T | BridgeheadError, ...]


def commit_group(
    database: Database,
    jobs: Sequence[Callable[[GroupTransaction], T]],
    *,
    now: datetime,
    crash_point: Callable[[str], None] = lambda _step: None,
) -> GroupResult[T]:
    """Runs the jobs and commits all that they wrote at once; returns when it is durable.

    A job that raises a `BridgeheadError` is taken out and run again alone, after the others are committed: it takes
    nobody with it, and what it wrote is undone unless it succeeds alone. Jobs may therefore run several times.

    Args:
        database: the store.
        jobs: functions of the transaction, without other effects.
        now: the time recorded with the checkpoint.
        crash_point: called with `before-rows`, `before-commit` and `after-commit`, for tests that kill the process.

    Raises:
        UnavailableError: STORE_BUSY, STORE_FULL, STORE_DOWN; nothing of this group was written.
        CorruptError: LOG_HEAD, LOG_EDGE, STORE_FAULT, STORE_DAMAGED when the store contradicts itself.
    """
    group = _Group(database, now, crash_point)
    outcomes: dict[int, T | BridgeheadError] = {}
    waiting = list(range(len(jobs)))
    aside: list[int] = []
    careful = False
    for _ in range(_ATTEMPTS):
        if not waiting:
            break
        results = group.run([jobs[position] for position in waiting], careful=careful)
        if results is None:
            careful = True
            continue
        failed = [at for at, result in zip(waiting, results, strict=True) if isinstance(result, BridgeheadError)]
        if not failed or len(waiting) == 1:
            outcomes.update(zip(waiting, results, strict=True))
            waiting = []
        aside += failed if waiting else []
        waiting = [position for position in waiting if position not in failed]
    for position in sorted([*aside, *waiting]):
        outcomes[position] = _run_alone(group, jobs[position])
    return GroupResult(head=group.head(), outcomes=tuple(outcomes[position] for position in range(len(jobs))))


def _run_alone(group: _Group, job: Callable[[GroupTransaction], T]) -> T | BridgeheadError:
    """Runs one job by itself; what the store then refuses is this job's own outcome."""
    try:
        results = group.run([job], careful=True)
    except BridgeheadError as error:
        return error
    if results is None:
        return CorruptError("STORE_FAULT", "expected a row that no other has taken; looking first did not find it")
    return results[0]


class _UndoneError(Exception):
    """Leaves a transaction so that it is rolled back; never leaves this module."""


@contextmanager
def _objections() -> Iterator[None]:
    """Turns the objection of a unique constraint into the undoing of the transaction."""
    try:
        yield
    except IntegrityError as error:
        raise _UndoneError from error


class _Group:
    """The transactions of one call of `commit_group`."""

    def __init__(self, database: Database, now: datetime, crash_point: Callable[[str], None]) -> None:
        self._database = database
        self._now = now
        self._crash_point = crash_point
        self._head: Head | None = None

    def head(self) -> Head:
        """The head after the last transaction, whether it was committed or not."""
        return self._head or load_head(self._database)

    def run(
        self, jobs: Sequence[Callable[[GroupTransaction], T]], *, careful: bool
    ) -> list[T | BridgeheadError] | None:
        """Runs jobs in one transaction, committed when none raised; None when a unique constraint objected."""
        results: list[T | BridgeheadError] = []
        database = self._database
        try:
            with database.writing() as connection:
                epoch, head, tree = _lock_head(database, connection)
                self._head = head
                transaction = GroupTransaction(connection, keys=database.keys, tree=tree, counters=database.counters)
                transaction.careful = careful
                with _objections():
                    results += [_run_job(job, transaction) for job in jobs]
                    _require_success(transaction, results)
                    self._crash_point("before-rows")
                    written = transaction.write_end(epoch, self._now)
                self._crash_point("before-commit")
        except _UndoneError as undone:
            return None if isinstance(undone.__cause__, IntegrityError) else results
        self._crash_point("after-commit")
        self._head = written
        _remember(database, transaction, tree, epoch + 1)
        _scrub(database, is_due=transaction.has_erased)
        return results


def _require_success(transaction: GroupTransaction, results: Sequence[object]) -> None:
    """Undoes a transaction in which a job failed, and one that wrote nothing."""
    if not transaction.is_changed or any(isinstance(result, BridgeheadError) for result in results):
        raise _UndoneError


def _run_job(job: Callable[[GroupTransaction], T], transaction: GroupTransaction) -> T | BridgeheadError:
    """Runs a job; after one failed, the others still run, to learn at once who else would."""
    try:
        return job(transaction)
    except BridgeheadError as error:
        return error


def _lock_head(database: Database, connection: Connection) -> tuple[int, Head, GrowingTree]:
    """Takes the lock; gives the epoch, the head and a tree to grow, loaded again when another process wrote since.

    Raises:
        CorruptError: LOG_HEAD when the store is older than what this process committed.
    """
    epoch, head = read_head(connection, lock=database.is_postgresql)
    known = database.tree
    if known is not None and epoch == database.epoch and known.head() == head:
        return epoch, head, known.copy()
    if known is not None and (epoch <= database.epoch or head.size < known.size):
        raise CorruptError("LOG_HEAD", f"the store went back to size {head.size} from {known.size} while in use")
    tree = load_tree(connection, head)
    database.recent.remember(tree.edge_nodes())
    database.tree, database.epoch, database.counters = tree, epoch, {}
    return epoch, head, tree.copy()


def _scrub(database: Database, *, is_due: bool) -> None:
    """Brings off the disk what was erased, before anybody is told of it; what a reader holds back stays due."""
    database.is_scrub_due |= is_due
    if database.is_scrub_due and not database.is_postgresql:
        with suppress(BridgeheadError):
            database.scrub()


def _remember(database: Database, transaction: GroupTransaction, tree: GrowingTree, epoch: int) -> None:
    """Keeps in memory what is now durable."""
    database.recent.remember(tree.completed)
    entries = transaction.entries
    database.recent.remember_entries(tree.size - len(entries), entries)
    tree.completed.clear()
    database.tree, database.epoch, database.counters = tree, epoch, transaction.counters()
