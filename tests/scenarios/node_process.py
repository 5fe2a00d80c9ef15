"""A node as a process of its own, which speaks to the test over a line of objects and kills itself when told to.

    receive   answers submissions: a list of them comes in, the answers go out
    send      sends up to `MESSAGES` messages to Jiangxi; each call goes out as one list, its answers come back as one
    serve     runs the whole node, ports and all; says `ready`, ends when the line does
    burst     runs the whole node and sends up to `nth` messages to Jiangxi; says `done` when all are settled

At the `nth` time of a crash point of the writer, or of `before-reply`, the process is gone (SIGKILL). Processes are forked
from a server that has loaded the node once and holds nothing open: to load it anew costs more than most of these do.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import structlog

from federation.node.exchange.receive import receive
from federation.node.exchange.send import Cause, Draft, send
from federation.node.features import KINDS
from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import load_settings
from federation.node.home.keyring import load_keyring
from federation.node.node import Node, Trust
from federation.node.permits_sharing import SYNC
from federation.node.serve import Parts, build_node, no_crash, running_node, utc_now
from federation.protocol.body import Body
from federation.protocol.errors import BridgeheadError, UnavailableError
from federation.protocol.ids import NodeName, Pair, parse_agency_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision
from federation.protocol.receipt import Answer, Receipt, Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import count_pending, pair_state

ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
ISLAND = "a test: not all provinces are started"
OUT = Pair(ZHEJIANG, JIANGXI)
MESSAGES = 12
ROWS = "scenario/rows"

ALLOWED = Decision(
    verdict=Verdict.ALLOWED, policies=("share-with-household",), fields=frozenset(), reason="", title_zh="", title_en=""
)


def open_node(home: Path, *, crash_point: Callable[[str], None] = no_crash) -> Parts:
    """Builds the node of a home without its ports."""
    keyring = load_keyring(home)
    trust = Trust(load_home_agreement(home, now=utc_now()), KINDS.values())
    return build_node(load_settings(home), keyring, trust, home=home, now=utc_now, crash_point=crash_point)


def close_node(parts: Parts) -> None:
    parts.node.sequencer.close()
    parts.node.database.close()
    parts.witness_clients.close()


def sync_draft(items: Sequence[bytes]) -> Draft:
    """A message of Changshan's service hall that brings these permits to Jiangxi."""
    hall = parse_agency_id("zhejiang/330822/service-hall")
    cause = Cause(
        sender=Sender(node=ZHEJIANG, agency=hall),
        purpose="permit.sharing",
        function="F01",
        basis="居住证暂行条例第七条",
    )
    body = Body(type=SYNC.media_type, salt=os.urandom(32), items=tuple(items))
    return Draft(kind=SYNC.name, recipient=Recipient(node=JIANGXI), cause=cause, body=body, decision=ALLOWED)


async def send_rest(node: Node, total: int, item: Callable[[int], bytes], *, at_once: int = 1) -> None:
    """Sends what is missing to `total` messages, and counts a row for each in the same transaction."""
    while (done := pair_state(node.database, "sent", OUT).highest) < total:
        numbers = range(done + 1, min(total, done + at_once) + 1)

        def rows(transaction, numbers=numbers) -> None:
            for _ in numbers:
                transaction.count_up(ROWS)

        await send(node, [sync_draft([item(number)]) for number in numbers], rows=rows)


def told(answers: Sequence[Answer]) -> list[Receipt | str]:
    """Answers as they go over the line: an error by its reason."""
    return [each if isinstance(each, Receipt) else each.reason for each in answers]


def heard(answers: Sequence[Receipt | str]) -> list[Answer]:
    return [UnavailableError(each, "the other side said so") if isinstance(each, str) else each for each in answers]


async def answer(node: Node, submissions: Sequence[Submission]) -> list[Answer]:
    async def one(submission: Submission) -> Answer:
        try:
            return await receive(node, submission, peer=ZHEJIANG)
        except BridgeheadError as error:
            return error

    return await asyncio.gather(*map(one, submissions))


class LinePeer:
    """The other province at the far end of our line."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._turn = asyncio.Lock()

    async def submit(self, submissions: Sequence[Submission], *, timeout_seconds: float) -> list[Answer]:
        async with self._turn:
            self._line.send(list(submissions))
            try:
                return heard(await asyncio.to_thread(self._line.recv))
            except EOFError:
                raise UnavailableError("LINE_CLOSED", "the test is over") from None


class Death:
    """Kills the process when a step comes for the nth time."""

    def __init__(self, step: str, nth: int) -> None:
        self._step = step
        self.left = nth

    def __call__(self, step: str) -> None:
        if step == self._step:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a process is to do at which home; `database` is its store, where that is not the one of the settings."""

    command: str
    home: Path
    step: str
    nth: int
    items: tuple[bytes, ...] = ()
    database: str = ""


@dataclass(frozen=True)
class NodeProcess:
    """A process that was started, and our end of its line."""

    process: ForkServerProcess
    line: Connection

    async def said(self, word: str) -> None:
        assert await asyncio.to_thread(self.line.recv) == word

    async def finish(self) -> int | None:
        """Ends the line; the exit code once the process is over."""
        self.line.close()
        return await self.ended()

    async def ended(self) -> int | None:
        await asyncio.to_thread(self.process.join, 60)
        return self.process.exitcode


def start_process(order: Order) -> NodeProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(order, theirs), daemon=True)
    process.start()
    theirs.close()
    return NodeProcess(process, ours)


def _run(order: Order, line: Connection) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if order.database:
        os.environ["BRIDGEHEAD_DATABASE"] = order.database
    run = {"receive": _receive, "send": _send, "serve": _serve, "burst": _burst}[order.command]
    asyncio.run(run(order, line))


async def _next(line: Connection) -> list[Submission] | None:
    """What the test says next; None once it has nothing more to say."""
    try:
        return await asyncio.to_thread(line.recv)
    except EOFError:
        return None


async def _receive(order: Order, line: Connection) -> None:
    death = Death(order.step, order.nth)
    parts = open_node(order.home, crash_point=death)
    while submissions := await _next(line):
        answers = await answer(parts.node, submissions)
        death("before-reply")
        line.send(told(answers))
    close_node(parts)


async def _send(order: Order, line: Connection) -> None:
    parts = open_node(order.home, crash_point=Death(order.step, order.nth))
    parts.delivery.start({JIANGXI: LinePeer(line)}, renewed=())
    await send_rest(parts.node, MESSAGES, lambda number: order.items[number - 1], at_once=3)
    while count_pending(parts.node.database):
        await asyncio.sleep(0.005)
    await parts.delivery.close()
    close_node(parts)


async def _serve(order: Order, line: Connection) -> None:
    async with running_node(order.home, crash_point=Death(order.step, order.nth), island=ISLAND):
        line.send("ready")
        await _next(line)


async def _burst(order: Order, line: Connection) -> None:
    items = order.items
    async with running_node(order.home, island=ISLAND) as running:
        line.send("ready")
        await send_rest(running.node, order.nth, lambda number: items[number % len(items)], at_once=200)
        while count_pending(running.node.database):
            await asyncio.sleep(0.05)
        line.send("done")
        await _next(line)
