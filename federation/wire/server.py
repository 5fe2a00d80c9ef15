"""The two gRPC ports of a node: one for the other provinces, one for its own agencies. Separate sockets, separate CAs.

Rules kept: every RPC passes the `Gatekeeper`; a message over 8 MiB, or a packed one, is refused before it is parsed;
health says what is, NOT_SERVING until the node says otherwise and while it drains; reflection answers only in
demonstrations.
Source: DESIGN section 7, gRPC health checking protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from msgspec import Struct

from federation.protocol.errors import UnavailableError
from federation.wire.gatekeeper import Binding, Gate, Gatekeeper, generic_handlers
from federation.wire.limits import MAX_CONNECTIONS
from federation.wire.rpc import MESSAGE_OPTIONS, TlsFiles
from federation.wire.rpc_connections import hang_up
from federation.wire.tls import WatchedTls, server_credentials

_OPTIONS = (
    *MESSAGE_OPTIONS,
    ("grpc.http2.bdp_probe", 0),  # or each stream that nobody reads yet takes in megabytes
    ("grpc.http2.lookahead_bytes", 128 * 1024),
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.max_connection_idle_ms", 600_000),
    ("grpc.so_reuseport", 0),  # or a second node on the same port would share its calls
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 3),
)


class Listener(Struct, frozen=True, kw_only=True):
    address: str
    tls: TlsFiles
    roots: Callable[[], str]
    reflection: bool = False


class RunningServer:
    def __init__(self, server: grpc.aio.Server, *, port: int, names: Sequence[str]) -> None:
        self.port = port
        self._server = server
        self._names = ("", *names)
        self._health = health.aio.HealthServicer()

    async def start(self) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        await self.set_serving(serving=False)
        await self._server.start()

    async def set_serving(self, *, serving: bool) -> None:
        """Tells health what is: not serving while the store migrates or the log is broken."""
        states = health_pb2.HealthCheckResponse
        for name in self._names:
            await self._health.set(name, states.SERVING if serving else states.NOT_SERVING)

    async def stop(self, drain_seconds: float) -> None:
        """Says NOT_SERVING, refuses new calls, and lets those at work end within the time given."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(drain_seconds)


async def start_server(bindings: Sequence[Binding], *, gate: Gate, listener: Listener) -> RunningServer:
    """Opens a port that offers these RPCs and no other.

    Raises UnavailableError: PORT_TAKEN when nothing can listen there. NotFoundError, MalformedError: as `WatchedTls`.
    """
    offered = {binding.rpc.path: binding.rpc for binding in bindings}
    server = grpc.aio.server(interceptors=(Gatekeeper(gate, offered, hang_up=hang_up),), options=_OPTIONS)
    server.add_generic_rpc_handlers(generic_handlers(bindings))
    names = sorted({binding.rpc.service for binding in bindings})
    if listener.reflection:
        # An extra, installed for demonstrations only.
        from grpc_reflection.v1alpha import reflection  # noqa: PLC0415

        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME, health.SERVICE_NAME], server)
    credentials = server_credentials(WatchedTls(listener.tls), listener.roots)
    try:
        port = server.add_secure_port(listener.address, credentials)
    except RuntimeError as error:
        raise UnavailableError("PORT_TAKEN", f"cannot listen on {listener.address}") from error
    running = RunningServer(server, port=port, names=names)
    await running.start()
    return running
