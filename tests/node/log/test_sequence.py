"""The one writer: durable before answered, signed before released, stopped for good once the log contradicts itself."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.node.log.sequence import MAX_QUEUED, Committed, LogKey, Sequencer, _Waiting
from federation.protocol.errors import BridgeheadError, CorruptError, RuleError, UnavailableError
from federation.protocol.tlog.note import verify_checkpoint
from federation.store.database import Database, open_database
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import check_log, load_checkpoints, load_head, load_root
from tests.node.rig import JIANGXI, START, ZHEJIANG, Rig, kit

KEYRING = kit().keyrings[ZHEJIANG]
KEY = LogKey(vkey=KEYRING.log.vkey, sign=KEYRING.log.sign)


@pytest.fixture
def database(tmp_path: Path):
    path = tmp_path / "node.db"
    path.write_bytes(kit().empty_store)
    path.chmod(0o600)
    opened = open_database(f"sqlite:///{path}", keys=KEYRING.columns)
    yield opened
    opened.close()


def sequencer(database: Database, **options) -> Sequencer:
    return Sequencer(database, KEY, now=lambda: START, **options)


def append(name: object):
    subject = hashlib.sha256(repr(name).encode()).hexdigest()
    return lambda transaction: transaction.append_leaf("boot", subject, repr(name).encode())


class Gate:
    """Holds the writer before its first commit, so that a group of known size gathers behind it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if step == "before-rows" and not self.entered.is_set():
            self.entered.set()
            assert self.open.wait(30)


async def behind_a_gate(writer: Sequencer, gate: Gate, jobs) -> list[Committed[object] | BridgeheadError]:
    """Queues the jobs while the writer is held in its first commit: they come as one group."""
    first = asyncio.create_task(writer.commit(append("first")))
    assert await asyncio.to_thread(gate.entered.wait, 30)
    tasks = [asyncio.create_task(writer.commit(job)) for job in jobs]
    await asyncio.sleep(0)
    gate.open.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_commit_answers_with_value_and_a_head_that_is_durable_and_signed(database: Database) -> None:
    """The head is the store's, and its note is by the log's key."""
    writer = sequencer(database)
    committed = await writer.commit(append(1))
    writer.close()

    checkpoint = verify_checkpoint(committed.head.note, KEY.vkey)
    assert committed.value == 0
    assert (checkpoint.size, checkpoint.root) == (1, load_head(database).root)
    assert writer.head == committed.head


async def test_commit_together_makes_one_group_and_one_checkpoint(database: Database) -> None:
    """What waits while a group is written goes into the next one, under one signature."""
    gate = Gate()
    writer = sequencer(database, crash_point=gate)
    answers = await behind_a_gate(writer, gate, [append(number) for number in range(50)])
    writer.close()

    assert [answer.value for answer in answers] == list(range(1, 51))
    assert {answer.head.size for answer in answers} == {51}
    assert [row.size for row in load_checkpoints(database, 0, 10)] == [1, 51]
    assert all(answer.first for answer in answers)


async def test_commit_beside_a_failing_job_is_not_said_to_be_under_the_first_head(database: Database) -> None:
    """A group in parts has several heads: no receipt may be given under the last one."""
    gate = Gate()
    writer = sequencer(database, crash_point=gate)

    def late(transaction: GroupTransaction) -> int:
        transaction.claim("one")
        return append("late")(transaction)

    answers = await behind_a_gate(writer, gate, [append("a"), late, late, append("b")])
    writer.close()

    sizes = [row.size for row in load_checkpoints(database, 0, 10)]
    assert not any(isinstance(answer, BridgeheadError) for answer in answers)
    assert len(sizes) == len(set(sizes))
    assert all(not answer.first for answer in answers) == (len(sizes) > 2)
    check_log(database)


async def test_commit_of_a_failing_job_raises_its_error_and_takes_nobody_along(database: Database) -> None:
    """Each job has its own outcome."""
    gate = Gate()
    writer = sequencer(database, crash_point=gate)

    def refuse(transaction: GroupTransaction) -> None:
        append("refused")(transaction)
        raise RuleError("CASE_CLOSED", "expected an open case")

    answers = await behind_a_gate(writer, gate, [append("a"), refuse, append("b")])
    writer.close()

    assert isinstance(answers[1], RuleError)
    assert load_head(database).size == 3
    check_log(database)


async def test_commit_that_reads_only_leaves_the_head_as_it_is(database: Database) -> None:
    """Nothing is signed for what did not grow."""
    writer = sequencer(database)
    before = writer.head
    committed = await writer.commit(lambda transaction: transaction.size)
    writer.close()

    assert (committed.value, committed.head) == (0, before)


async def test_head_signed_again_after_a_restart_is_the_same_bytes(database: Database) -> None:
    """A node that died between commit and signature signs what it would have signed."""
    writer = sequencer(database)
    committed = await writer.commit(append(1))
    writer.close()

    again = sequencer(database)
    again.close()
    assert again.head == committed.head


async def test_job_that_stumbles_over_a_row_takes_nobody_with_it(database: Database) -> None:
    """Whatever it raises: it alone has failed, with a reason, and what it wrote is undone."""
    writer = sequencer(database)

    def stumble(transaction: GroupTransaction) -> None:
        append(7)(transaction)
        raise TypeError("a column of another type")

    jobs = [append(1), stumble, append(2)]
    outcomes = await asyncio.gather(*(writer.commit(job) for job in jobs), return_exceptions=True)
    writer.close()

    assert [getattr(each, "reason", "") for each in outcomes] == ["", "JOB_FAILED", ""]
    assert load_head(database).size == 2


@pytest.mark.parametrize("step", ["before-rows", "before-commit"])
async def test_crash_before_the_commit_releases_nothing(database: Database, step: str) -> None:
    """No value, no head: nothing had happened."""
    writer = sequencer(database, crash_point=_raise_at(step))
    before = writer.head
    with pytest.raises(UnavailableError) as caught:
        await writer.commit(append(1))
    writer.close()

    assert caught.value.reason == "WRITER_FAILED"
    assert writer.head == before
    assert load_head(database).size == 0


@pytest.mark.parametrize("step", ["after-commit", "after-sign"])
async def test_crash_after_the_commit_releases_no_head(database: Database, step: str) -> None:
    """It is durable, but nobody was told; the next start signs it."""
    writer = sequencer(database, crash_point=_raise_at(step))
    with pytest.raises(UnavailableError):
        await writer.commit(append(1))
    writer.close()

    assert writer.head.size == 0
    again = sequencer(database)
    again.close()
    assert again.head.size == 1
    check_log(database)


def _raise_at(wanted: str):
    def crash_point(step: str) -> None:
        if step == wanted:
            raise OSError(step)

    return crash_point


async def test_writer_that_met_corruption_stops_for_good_with_what_was_queued(database: Database) -> None:
    """A log that contradicts itself is not signed any further, and a human must look."""
    gate = Gate()
    writer = sequencer(database, crash_point=gate, limit=1)

    def damage(step: str) -> None:
        gate(step)
        if step == "before-commit" and len(gate.steps) > 4:
            raise CorruptError("LOG_HEAD", "the store went back")

    writer._crash_point = damage
    answers = await behind_a_gate(writer, gate, [append(number) for number in range(3)])

    assert all(isinstance(answer, CorruptError) for answer in answers)
    assert writer.failure is not None
    with pytest.raises(CorruptError) as caught:
        await writer.commit(append("more"))
    assert caught.value.reason == "LOG_STOPPED"
    assert load_head(database).size == writer.head.size == 1
    writer.close()


async def test_store_that_went_back_while_in_use_stops_the_writer(rig: Rig) -> None:
    """Rows of the head set back under a running node: it refuses to go on."""
    writer = rig[ZHEJIANG].sequencer
    await writer.commit(append(1))
    await writer.commit(append(2))
    with rig[ZHEJIANG].database.writing() as connection:
        connection.execute(text("UPDATE log_head SET epoch = epoch - 1, size = 1"))

    with pytest.raises(CorruptError):
        await writer.commit(append(3))
    with pytest.raises(CorruptError) as caught:
        await writer.commit(append(4))
    assert caught.value.reason == "LOG_STOPPED"


async def test_close_finishes_what_is_queued_and_refuses_what_comes_later(database: Database) -> None:
    """Nobody is left waiting for an answer that never comes."""
    gate = Gate()
    writer = sequencer(database, crash_point=gate)
    first = asyncio.create_task(writer.commit(append("first")))
    assert await asyncio.to_thread(gate.entered.wait, 30)
    queued = asyncio.create_task(writer.commit(append("queued")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(writer.close))
    gate.open.set()

    assert (await first).value == 0
    assert (await queued).value == 1
    await closing
    with pytest.raises(UnavailableError) as caught:
        await writer.commit(append("late"))
    assert caught.value.reason == "WRITER_CLOSED"
    writer.close()


async def test_commit_beyond_the_queue_is_told_to_come_back(database: Database) -> None:
    """Backpressure, never a silent drop."""
    gate = Gate()
    writer = sequencer(database, crash_point=gate)
    first = asyncio.create_task(writer.commit(append("first")))
    assert await asyncio.to_thread(gate.entered.wait, 30)
    while writer._queue.qsize() < MAX_QUEUED:
        writer._queue.put_nowait(writer._queue.queue[0] if writer._queue.qsize() else _nobody(first))
    with pytest.raises(UnavailableError) as caught:
        await writer.commit(append("one too many"))
    assert caught.value.reason == "WRITER_BUSY"
    with writer._queue.mutex:
        writer._queue.queue.clear()
    gate.open.set()
    await first
    writer.close()


def _nobody(task: asyncio.Task[Committed[int]]):
    loop = task.get_loop()
    return _Waiting(lambda _tx: None, loop.create_future(), loop)


async def test_cancelled_caller_does_not_undo_the_commit(rig: Rig) -> None:
    """Who goes away takes his answer, not the job."""
    writer = rig[JIANGXI].sequencer
    task = asyncio.create_task(writer.commit(append(1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await writer.commit(append(2))

    assert load_root(rig[JIANGXI].database, 2) == writer.head.root
