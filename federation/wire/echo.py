"""A bare echo over the same mutual TLS, for `bridgehead bench` to compare with: no gate, no policy, no log."""

from __future__ import annotations

import grpc

from federation.wire.rpc import TlsFiles
from federation.wire.tls import WatchedTls, channel_credentials, load_tls_pair, server_credentials

_METHOD = "/federation.bench/Echo"


class EchoServer:
    def __init__(self, tls: TlsFiles, roots: str) -> None:
        self._server = grpc.aio.server()
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_echo)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("federation.bench", {"Echo": handler}),)
        )
        self.port = self._server.add_secure_port("127.0.0.1:0", server_credentials(WatchedTls(tls), lambda: roots))

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)


class EchoClient:
    def __init__(self, address: str, *, tls: TlsFiles, authority: str, server_name: str) -> None:
        options = (("grpc.ssl_target_name_override", server_name), ("grpc.enable_http_proxy", 0))
        credentials = channel_credentials(load_tls_pair(tls), authority)
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)
        self._call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_METHOD)

    async def echo(self, payload: bytes, *, timeout_seconds: float) -> bytes:
        return await self._call(payload, timeout=timeout_seconds)

    async def close(self) -> None:
        await self._channel.close()


async def _echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    del context
    return request
