"""A real node process is killed at every step of a commit, while it receives and while it sends, and started again.

No receipt was given that is not in the log, no message is lost, none is applied twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.domain.permits import decode_permit_item
from federation.node.home.agreement import load_home_agreement
from federation.node.serve import Parts, utc_now
from federation.protocol.ids import NodeName, Realm
from federation.protocol.receipt import Answer, Receipt, Submission
from federation.protocol.trust import Agreement
from federation.store.log_reader import load_entries, load_head
from federation.store.messages import count_pending, list_messages, load_body, load_pending, pair_state
from federation.store.records import find_record
from tests.node.rig import sync_item
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.node_process import (
    JIANGXI,
    MESSAGES,
    OUT,
    ROWS,
    ZHEJIANG,
    NodeProcess,
    Order,
    answer,
    close_node,
    heard,
    open_node,
    send_rest,
    start_process,
    told,
)
from tests.scenarios.provinces import Federation, make_federation

WRITER_STEPS = ("before-rows", "before-commit", "after-commit", "after-sign")


def item(number: int) -> bytes:
    return sync_item(number)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """Four homes under one agreement; each test has stores of its own."""
    return make_federation(tmp_path_factory.mktemp("crash"), delivery_batch=5)


@dataclass
class Scene:
    """Two homes, their stores of this test, and the process that is to die."""

    federation: Federation
    folder: Path

    def url(self, name: NodeName) -> str:
        return f"sqlite:///{self.folder}/{name}.db"

    @contextlib.contextmanager
    def here(self, name: NodeName) -> Iterator[None]:
        """Within, a node that is built in this process has its store of this test."""
        os.environ["BRIDGEHEAD_DATABASE"] = self.url(name)
        try:
            yield
        finally:
            del os.environ["BRIDGEHEAD_DATABASE"]

    def start(self, command: str, name: NodeName, step: str, nth: int) -> NodeProcess:
        items = tuple(item(number) for number in range(1, MESSAGES + 1))
        home, url = self.federation.home(name), self.url(name)
        return start_process(Order(command=command, home=home, step=step, nth=nth, items=items, database=url))

    def open(self, name: NodeName) -> Parts:
        with self.here(name):
            return open_node(self.federation.home(name))

    async def check(self, *, settled: bool) -> None:
        homes = {name: self.federation.home(name) for name in (ZHEJIANG, JIANGXI)}
        with kept_homes(homes, {name: self.url(name) for name in homes}) as kept:
            agreement = open_agreement(self.federation)
            await check_federation(kept, agreement, now=utc_now(), settled=settled)


def open_agreement(federation: Federation) -> Agreement:
    return load_home_agreement(federation.home("zhejiang"), now=utc_now())


@pytest.fixture
def scene(federation: Federation, tmp_path: Path) -> Scene:
    return Scene(federation, tmp_path)


def ask(process: NodeProcess, submissions: list[Submission]) -> list[Answer] | None:
    """One call to the process; None when it died of it."""
    try:
        process.line.send(submissions)
        return heard(process.line.recv())
    except (EOFError, OSError):
        return None


async def queued(scene: Scene) -> list[Submission]:
    """What Zhejiang has queued for Jiangxi."""
    parts = scene.open(ZHEJIANG)
    await send_rest(parts.node, MESSAGES, item, at_once=3)
    pending = load_pending(parts.node.database, JIANGXI, after_seq=0, limit=100, max_bytes=1 << 30)
    await asyncio.to_thread(close_node, parts)
    return [Submission(envelope=each.envelope, body=each.body) for each in pending]


@pytest.mark.parametrize("step", [*WRITER_STEPS, "before-reply"])
async def test_receiver_killed_at_a_step_gave_no_receipt_that_its_log_does_not_hold(scene: Scene, step: str) -> None:
    """What was receipted is in the log after the restart, under the same receipt; the rest is taken once."""
    submissions = await queued(scene)
    calls = [submissions[start : start + 4] for start in range(0, MESSAGES, 4)]
    process = scene.start("receive", JIANGXI, step, 2)
    before: list[Answer] = []
    for call in calls:
        answers = await asyncio.to_thread(ask, process, call)
        if answers is None:
            break
        before += answers
    assert await process.finish() == -signal.SIGKILL

    parts = scene.open(JIANGXI)
    held = load_head(parts.node.database).size
    stored = [message.envelope for message in list_messages(
        parts.node.database, "received", pair=OUT, after_seq=0, limit=100
    )]  # fmt: skip
    assert len(stored) == held
    assert [each.envelope for each in submissions[: len(before)]] == stored[: len(before)]
    again = await answer(parts.node, submissions)
    once_more = await answer(parts.node, list(reversed(submissions)))

    assert all(isinstance(each, Receipt) for each in before + again)
    assert again[: len(before)] == before
    assert once_more == again[::-1]
    assert load_head(parts.node.database).size == MESSAGES
    assert sorted(each.leaf for each in again) == sorted(load_entries(parts.node.database, 0, MESSAGES))
    for message, sent in zip(
        list_messages(parts.node.database, "received", pair=OUT, after_seq=0, limit=100), submissions, strict=True
    ):
        assert load_body(parts.node.database, message.id) == sent.body
    await asyncio.to_thread(close_node, parts)
    await scene.check(settled=False)


@pytest.mark.parametrize(
    ("step", "nth"), [*((step, nth) for step in WRITER_STEPS[:3] for nth in (2, 5)), ("after-sign", 3)]
)
async def test_sender_killed_at_a_step_loses_nothing_and_applies_nothing_twice(
    scene: Scene, step: str, nth: int
) -> None:
    """Killed in the commit of a message or of a receipt: rows and messages agree, everything arrives once."""
    receiver = scene.open(JIANGXI)
    process = scene.start("send", ZHEJIANG, step, nth)
    with contextlib.suppress(EOFError, OSError):
        while True:
            submissions = await asyncio.to_thread(process.line.recv)
            process.line.send(told(await answer(receiver.node, submissions)))
    assert await process.finish() == -signal.SIGKILL

    sender = scene.open(ZHEJIANG)
    highest = pair_state(sender.node.database, "sent", OUT).highest
    assert sender.node.database.find_counter(ROWS) == highest
    received = pair_state(receiver.node.database, "received", OUT)
    assert received.highest <= highest
    await _go_on(sender, receiver)

    record = find_record(receiver.node.database, "permit", _urn(), replica=True)
    assert record is not None
    assert record.version == MESSAGES
    assert sender.node.database.find_counter(ROWS) == MESSAGES
    for parts in (sender, receiver):
        await asyncio.to_thread(close_node, parts)
    await scene.check(settled=True)


def _urn() -> str:
    return decode_permit_item(item(1), Realm.DEMO).urn


async def _go_on(sender: Parts, receiver: Parts) -> None:
    """Sends the rest and delivers everything, in this process."""

    class Here:
        async def submit(self, submissions, *, timeout_seconds: float):
            return await answer(receiver.node, submissions)

    sender.delivery.start({JIANGXI: Here()}, renewed=())
    await send_rest(sender.node, MESSAGES, item, at_once=3)
    while count_pending(sender.node.database):
        await asyncio.sleep(0.001)
    await sender.delivery.close()
