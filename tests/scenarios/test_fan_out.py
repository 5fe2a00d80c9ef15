"""One question to four provinces of which one is dead, one slow, one refuses and one answers: four honest results.

Real nodes, TLS and sockets. The slow one takes the connection and what is said on it, which reaches its node only once
the asker has been answered. The four provinces leave three to ask: the dead one is a fifth member that the asker's agreement
names, at an address where nobody listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.node.home.certificates import find_side
from federation.node.node import Node
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.wire.agency.lookups import SEARCH, LookupQuestion
from federation.wire.peer import PeerClient
from federation.wire.rpc import Act, TlsFiles
from tests.scenarios import test_lookup
from tests.scenarios.provinces import Federation, make_federation
from tests.scenarios.test_lookup import Border, act, border

HUBEI = NodeName("hubei")
CASE = "CASE-2026-0001"


class SlowDoor:
    """Stands at the address of a node and takes every connection; while it is shut, what comes in waits inside."""

    def __init__(self, port: int, *, behind: int) -> None:
        self._port, self._behind = port, behind
        self._tasks: set[asyncio.Task[None]] = set()
        self.held = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    def shut(self) -> None:
        self.held.clear()
        self.open.clear()

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[SlowDoor]:
        server = await asyncio.start_server(self._take, "127.0.0.1", self._port)
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError), contextlib.closing(writer):
            inner, outer = await asyncio.open_connection("127.0.0.1", self._behind)
            with contextlib.closing(outer):
                await asyncio.gather(self._pour(reader, outer), self._pour(inner, writer))

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while blob := await reader.read(65536):
            if not self.open.is_set():
                self.held.set()
                await self.open.wait()
            writer.write(blob)
            await writer.drain()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def behind_a_door(federation: Federation, name: str) -> SlowDoor:
    """Moves a node's own port elsewhere; the agreement still names the old one, where the door stands."""
    path = federation.home(name) / "node.toml"
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("peer_port")]
    port, behind = int(line.split("=")[1]), closed_port()
    path.write_text(path.read_text().replace(line, f"peer_port = {behind}"))
    return SlowDoor(port, behind=behind)


def add_dead_province(node: Node, home: Path) -> PeerClient:
    """Names a fifth member, no witness of anybody's, to one node; returns the client by which that node would reach it."""
    agreement = node.trust.in_force.agreement
    member = replace(
        agreement.members[NodeName("anhui")],
        node=HUBEI,
        peer_addr=f"127.0.0.1:{closed_port()}",
        read_url=f"http://127.0.0.1:{closed_port()}",
    )
    files = {name: content for name, content in agreement.files.items() if not name.startswith("tlog-policy/")}
    node.trust.replace(replace(agreement, members={**agreement.members, HUBEI: member}, files=files))
    files = find_side(home, "peer")
    return PeerClient(
        member.peer_addr,
        tls=TlsFiles(certificate=files.certificate, key=files.key),
        authority=lambda: member.tls_ca,
        server_name=f"{HUBEI}.{agreement.federation}",
    )


async def ask_all(found: Border, request: Act) -> dict[str, Outcome]:
    question = LookupQuestion(
        case_id=CASE,
        selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=found.application.holder.citizen_number),
        provinces=tuple(NodeName(name) for name in ("anhui", "fujian", "hubei", "zhejiang")),
    )
    result = await found.police.call(SEARCH, request, question)
    return {answer.node: answer.outcome for answer in result.answers}


async def test_fan_out_with_one_dead_one_slow_one_refusing_one_answering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each result says what it is, none waits for another; what the slow one says afterwards is told afterwards."""
    doors: list[SlowDoor] = []

    def made(folder: Path) -> Federation:
        federation = make_federation(folder)
        doors.append(behind_a_door(federation, "fujian"))
        return federation

    monkeypatch.setattr(test_lookup, "make_federation", made)
    async with contextlib.AsyncExitStack() as stack:
        found = await stack.enter_async_context(border(tmp_path))
        (slow,) = doors
        await stack.enter_async_context(slow.standing())
        jiangxi = found.running["jiangxi"]
        dead = add_dead_province(jiangxi.node, found.federation.home("jiangxi"))
        stack.push_async_callback(dead.close)
        jiangxi.delivery.start({HUBEI: dead}, renewed=(), notify=jiangxi.node.waiters.tell)
        await found.open_case(counties=("330822", "350722"))
        slow.shut()
        request = act()

        outcomes = await ask_all(found, request)

        assert slow.held.is_set(), "the slow one took what was said to it"
        assert outcomes == {
            "zhejiang": Outcome.HIT, "anhui": Outcome.REFUSED, "fujian": Outcome.UNREACHABLE,
            "hubei": Outcome.UNREACHABLE,
        }  # fmt: skip
        slow.open.set()
        async with asyncio.timeout(60):
            while (later := await ask_all(found, request))["fujian"] is Outcome.UNREACHABLE:
                pass  # the same request waits again for what is missing, and asks nobody twice
        assert later == {**outcomes, "fujian": Outcome.NO_HIT}
        await jiangxi.delivery.close()
