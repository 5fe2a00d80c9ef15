"""A node as a process of its own, which speaks to the test through its pipes and kills itself when told to.

    receive <home> <step> <nth>   answers submissions: one line of JSON in, one line out
    send <home> <step> <nth>      sends up to `MESSAGES` messages to Jiangxi; each call goes out as one line, comes back as one
    serve <home> <step> <nth>     runs the whole node, ports and all; says `ready`, ends when its input ends
    burst <home> <step> <nth>     runs the whole node and sends up to `nth` messages to Jiangxi; says `done` when all are settled

`<step>` is a crash point of the writer, or `before-reply`; at its `<nth>` time the process is gone (SIGKILL).
The store is where BRIDGEHEAD_DATABASE says.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
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


def format_submissions(submissions: Sequence[Submission]) -> str:
    return json.dumps([
        {
            "envelope": b64encode(each.envelope).decode(),
            "type": each.body.type if each.body else "",
            "salt": b64encode(each.body.salt).decode() if each.body else "",
            "items": [b64encode(item).decode() for item in each.body.items] if each.body else [],
        }
        for each in submissions
    ])  # fmt: skip


def parse_submissions(line: str) -> list[Submission]:
    return [
        Submission(
            envelope=b64decode(each["envelope"]),
            body=Body(type=each["type"], salt=b64decode(each["salt"]), items=tuple(map(b64decode, each["items"])))
            if each["items"]
            else None,
        )
        for each in json.loads(line)
    ]


def format_answers(answers: Sequence[Answer]) -> str:
    return json.dumps([
        {"leaf": b64encode(each.leaf).decode(), "proof": b64encode(each.proof).decode()}
        if isinstance(each, Receipt)
        else {"error": each.reason}
        for each in answers
    ])  # fmt: skip


def parse_answers(line: str) -> list[Answer]:
    return [
        Receipt(leaf=b64decode(each["leaf"]), proof=b64decode(each["proof"]))
        if "leaf" in each
        else UnavailableError(each["error"], "the other side said so")
        for each in json.loads(line)
    ]


async def answer(node: Node, submissions: Sequence[Submission]) -> list[Answer]:
    async def one(submission: Submission) -> Answer:
        try:
            return await receive(node, submission, peer=ZHEJIANG)
        except BridgeheadError as error:
            return error

    return await asyncio.gather(*map(one, submissions))


class PipePeer:
    """The other province at the far end of our pipes."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def submit(self, submissions: Sequence[Submission], *, timeout_seconds: float) -> list[Answer]:
        async with self._turn:
            print(format_submissions(submissions), flush=True)
            line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            raise UnavailableError("PIPE_CLOSED", "the test is over")
        return parse_answers(line)


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


async def _receive(home: Path, death: Death) -> None:
    parts = open_node(home, crash_point=death)
    while line := await asyncio.to_thread(sys.stdin.readline):
        answers = await answer(parts.node, parse_submissions(line))
        death("before-reply")
        print(format_answers(answers), flush=True)
    close_node(parts)


async def _send(home: Path, death: Death) -> None:
    items = [b64decode(line) for line in os.environ["SCENARIO_ITEMS"].split()]
    parts = open_node(home, crash_point=death)
    parts.delivery.start({JIANGXI: PipePeer()}, renewed=())
    await send_rest(parts.node, MESSAGES, lambda number: items[number - 1], at_once=3)
    while count_pending(parts.node.database):
        await asyncio.sleep(0.005)
    await parts.delivery.close()
    close_node(parts)


async def _serve(home: Path, death: Death) -> None:
    async with running_node(home, crash_point=death, island=ISLAND):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def _burst(home: Path, death: Death) -> None:
    items = [b64decode(line) for line in os.environ["SCENARIO_ITEMS"].split()]
    async with running_node(home, island=ISLAND) as running:
        print("ready", flush=True)
        await send_rest(running.node, death.left, lambda number: items[number % len(items)], at_once=200)
        while count_pending(running.node.database):
            await asyncio.sleep(0.05)
        print("done", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    command, home_, step_, nth_ = sys.argv[1:]
    run = {"receive": _receive, "send": _send, "serve": _serve, "burst": _burst}[command]
    asyncio.run(run(Path(home_), Death(step_, int(nth_))))
