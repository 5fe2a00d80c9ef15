"""A bare echo, and a bare fan-out to streams, over the same mutual TLS: no gate, no policy, no log, for the bench."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import grpc

from federation.wire.rpc import TlsFiles
from federation.wire.tls import WatchedTls, channel_credentials, load_tls_pair, server_credentials

_ECHO, _TELL, _FOLLOW = (f"/federation.bench/{name}" for name in ("Echo", "Tell", "Follow"))


class EchoServer:
    def __init__(self, tls: TlsFiles, roots: str) -> None:
        self._server = grpc.aio.server()
        self._following: set[asyncio.Queue[bytes]] = set()
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Echo": grpc.unary_unary_rpc_method_handler(_echo),
            "Tell": grpc.unary_unary_rpc_method_handler(self._tell),
            "Follow": grpc.unary_stream_rpc_method_handler(self._follow),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("federation.bench", handlers),))
        self.port = self._server.add_secure_port("127.0.0.1:0", server_credentials(WatchedTls(tls), lambda: roots))

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    async def _tell(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        for queue in self._following:
            queue.put_nowait(request)
        return await _echo(request, context)

    async def _follow(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        del context
        queue = asyncio.Queue[bytes]()
        self._following.add(queue)
        try:
            yield request
            while True:
                yield await queue.get()
        finally:
            self._following.discard(queue)


class EchoClient:
    def __init__(self, address: str, *, tls: TlsFiles, authority: str, server_name: str) -> None:
        options = (("grpc.ssl_target_name_override", server_name), ("grpc.enable_http_proxy", 0))
        credentials = channel_credentials(load_tls_pair(tls), authority)
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)
        self._call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_ECHO)
        self._tells: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_TELL)
        self._follows: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(_FOLLOW)

    async def echo(self, payload: bytes, *, timeout_seconds: float) -> bytes:
        return await self._call(payload, timeout=timeout_seconds)

    async def tell(self, payload: bytes, *, timeout_seconds: float) -> None:
        """Has the server send these bytes to all that follow."""
        await self._tells(payload, timeout=timeout_seconds)

    async def follow(self) -> AsyncGenerator[bytes, None]:
        """Yields one empty answer once it follows, then what is told."""
        async for answer in self._follows(b""):
            yield answer

    async def close(self) -> None:
        await self._channel.close()


async def _echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    del context
    return request
