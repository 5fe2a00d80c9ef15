"""Handshakes that fail while something is closed: `python -m tests.wire.failing_handshakes channels|servers ROUNDS`.

`channels`: one server that lives, and channels that are closed before, during and after their handshake failed. `servers`:
a server that is stopped at the moment at which the other side breaks a handshake off. A crash of the gRPC library ends
the process; it is run as a process of its own for that reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

from federation.wire.client import RenewedChannel
from federation.wire.tls import WatchedTls, server_credentials
from tests.wire.certificates import Authority

AT_ONCE = 16
MOST_SECONDS = 0.016
"""A handshake on loopback takes about so long at most."""


class Scene:
    """A CA, a server's certificate, and clients that expect another name in it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority("stress")
        self.tls = self.authority.node("stress").write(folder, "node")

    @contextlib.asynccontextmanager
    async def server(self) -> AsyncIterator[int]:
        server = grpc.aio.server()
        roots = self.authority.pem
        port = server.add_secure_port("localhost:0", server_credentials(WatchedTls(self.tls), lambda: roots))
        await server.start()
        try:
            yield port
        finally:
            await server.stop(0)

    async def fail(self, port: int, *, close_after: float | None = None) -> None:
        """Calls and closes; after so many seconds whatever became of the call, or when it has failed."""
        kept = RenewedChannel(
            f"localhost:{port}", tls=self.tls, authority=lambda: self.authority.pem, server_name="elsewhere.example"
        )
        call = asyncio.ensure_future(self._call(kept))
        if close_after is not None:
            await asyncio.wait([call], timeout=close_after)
            await kept.close()
        await call
        await kept.close()

    async def _call(self, kept: RenewedChannel) -> None:
        try:
            await kept.current().unary_unary("/stress.Service/Call")(b"", timeout=10)
        except (grpc.aio.AioRpcError, asyncio.CancelledError, grpc.aio.UsageError):
            return
        raise AssertionError("a server of another name was trusted")


async def run(what: str, rounds: int, folder: Path) -> None:
    scene = Scene(folder)
    if what == "servers":
        for _ in range(rounds):
            async with scene.server() as port:
                await scene.fail(port)
        return
    async with scene.server() as port:
        for _ in range(rounds):
            waits = [None, *(MOST_SECONDS * number / AT_ONCE for number in range(AT_ONCE))]
            await asyncio.gather(*(scene.fail(port, close_after=each) for each in waits))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(sys.argv[1], int(sys.argv[2]), Path(name)))
