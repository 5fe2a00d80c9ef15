"""Real TLS servers on loopback: jiangxi's two ports, with zhejiang and fujian as the other members."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc

from federation.protocol.ids import AgencyId, NodeName
from federation.wire.client import AgencyClient
from federation.wire.gatekeeper import Gate
from federation.wire.peer import PeerClient
from federation.wire.rpc import ClientProfile, Side
from federation.wire.server import Listener, RunningServer, start_server
from tests.wire.calls import POLICE, Functions
from tests.wire.certificates import FEDERATION, Authority, Issued

JIANGXI, ZHEJIANG, FUJIAN = NodeName("jiangxi"), NodeName("zhejiang"), NodeName("fujian")


@dataclass
class House:
    """What a test may turn: who is revoked, which CAs count, what the functions do."""

    folder: Path
    authorities: dict[NodeName, Authority]
    functions: Functions
    revoked: set[tuple[str, str]] = field(default_factory=set)
    retired: set[AgencyId] = field(default_factory=set)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    reflection: bool = False
    slow_seconds: float = 60

    def gate(self, side: Side) -> Gate:
        return Gate(
            side=side,
            federation=FEDERATION,
            node=JIANGXI,
            ca_of=lambda node: self.authorities[node].pem if node in self.authorities else None,
            revoked=lambda node, serial: (node, serial) in self.revoked,
            agreed=lambda agency: agency not in self.retired,
            now=lambda: self.now(),  # noqa: PLW0108 - a test may replace it later
            slow_seconds=self.slow_seconds,
        )

    def listener(self, side: Side) -> Listener:
        tls = self.authorities[JIANGXI].node("jiangxi").write(self.folder, f"jiangxi-{side}")
        roots = (lambda: self.authorities[JIANGXI].pem) if side is Side.AGENCY else self.roots
        return Listener(address="localhost:0", tls=tls, roots=roots, reflection=self.reflection)

    def roots(self) -> str:
        return "".join(authority.pem for authority in self.authorities.values())

    def peer_port(self):
        return self._port(Side.PEER)

    def agency_port(self):
        return self._port(Side.AGENCY)

    @contextlib.asynccontextmanager
    async def _port(self, side: Side) -> AsyncIterator[RunningServer]:
        bindings = self.functions.bindings(side)
        server = await start_server(bindings, gate=self.gate(side), listener=self.listener(side))
        try:
            yield server
        finally:
            await server.stop(0)

    @contextlib.asynccontextmanager
    async def peer_client(self, port: int, issued: Issued, *, name: str = "client") -> AsyncIterator[PeerClient]:
        client = PeerClient(
            f"localhost:{port}",
            tls=issued.write(self.folder, name),
            authority=lambda: self.authorities[JIANGXI].pem,
            server_name=f"jiangxi.{FEDERATION}",
        )
        try:
            yield client
        finally:
            await client.close()

    @contextlib.asynccontextmanager
    async def agency_client(self, port: int, issued: Issued) -> AsyncIterator[AgencyClient]:
        authority = self.folder / "ca.pem"
        authority.write_text(self.authorities[JIANGXI].pem)
        profile = ClientProfile(
            agency=POLICE,
            address=f"localhost:{port}",
            tls=issued.write(self.folder, "agency"),
            authority=authority,
            server_name=f"jiangxi.{FEDERATION}",
        )
        client = AgencyClient(profile, timeout_seconds=60)
        try:
            yield client
        finally:
            await client.close()

    @contextlib.asynccontextmanager
    async def raw_channel(self, port: int, issued: Issued | None) -> AsyncIterator[grpc.aio.Channel]:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self.authorities[JIANGXI].pem.encode(),
            private_key=issued.key if issued else None,
            certificate_chain=issued.certificate if issued else None,
        )
        options = (
            ("grpc.ssl_target_name_override", f"jiangxi.{FEDERATION}"),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
        )
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options=options) as channel:
            yield channel
