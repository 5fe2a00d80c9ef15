"""A real node of Jiangxi that attacks are tried on, and the connections of those who try: a member, an agency, a stranger."""

from __future__ import annotations

import resource
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from federation.cli.demo.provinces import stop_nodes, wait_ready
from federation.node.home.certificates import find_side
from federation.node.home.files import client_folder
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.wire.client import AgencyClient
from federation.wire.rpc import TlsFiles
from tests.attacks.raw_http2 import RawHttp2, connected
from tests.scenarios.provinces import ISLAND, Federation, make_federation, start_node

JIANGXI = NodeName("jiangxi")
MEMBER_ADDRESS = "127.0.0.9"
"""Where the agreement says that members are; the node itself listens at another address."""
POLICE = parse_agency_id("jiangxi/361123/police")


@dataclass(frozen=True)
class Attacked:
    """The node under attack."""

    federation: Federation

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.federation.made.processes[JIANGXI]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def peer_port(self) -> int:
        return self.federation.homes[JIANGXI].settings.peer_port

    @property
    def agency_port(self) -> int:
        return self.federation.homes[JIANGXI].settings.agency_port

    @property
    def read_port(self) -> int:
        return self.federation.homes[JIANGXI].settings.read_port

    @property
    def log(self) -> Path:
        return self.federation.home("jiangxi") / "node.log"

    @contextmanager
    def member(self, name: str = "zhejiang", *, window: int = 65_535, source: str = "127.0.0.1") -> Iterator[RawHttp2]:
        """A node of another province on the peer port."""
        files = find_side(self.federation.home(name), "peer")
        tls = TlsFiles(certificate=files.certificate, key=files.key)
        authority = find_side(self.federation.home("jiangxi"), "peer").authority
        with connected(self.peer_port, tls, authority, window=window, source=source) as made:
            yield made

    @contextmanager
    def agency(
        self, agency: AgencyId = POLICE, *, window: int = 65_535, source: str = "127.0.0.1"
    ) -> Iterator[RawHttp2]:
        """An office of Jiangxi on the agency port."""
        folder = client_folder(self.federation.home("jiangxi"), agency)
        tls = TlsFiles(certificate=folder / "client.crt", key=folder / "client.key")
        with connected(self.agency_port, tls, folder / "ca.crt", window=window, source=source) as made:
            yield made

    @asynccontextmanager
    async def client(self, agency: str) -> AsyncIterator[AgencyClient]:
        """An office of Jiangxi that keeps to the rules, whose officers sign."""
        profile = replace(self.federation.profile(agency), address=f"127.0.0.1:{self.agency_port}")
        made = AgencyClient(profile, sign=partial(self.federation.key, agency=parse_agency_id(agency)))
        try:
            yield made
        finally:
            await made.close()

    def stranger(self, port: int, *, source: str = "127.0.0.1", seconds: float = 60) -> socket.socket:
        """A bare connection from an address of the loopback net."""
        return socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0))

    def health(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.read_port}/healthz", timeout=60) as answer:
            return int(answer.status)

    def read(self, path: str, *, source: str) -> int:
        """The status that the read side answers to a caller at that address."""
        connection = HTTPConnection("127.0.0.1", self.read_port, timeout=60, source_address=(source, 0))
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def until_descriptors(self, most: int) -> None:
        """Waits until the node holds no more than that many descriptors."""
        end = time.monotonic() + 60
        while self.descriptors() > most:
            assert time.monotonic() < end, f"{self.descriptors()} descriptors"
            time.sleep(0.05)

    def until_answers(self, name: str, path: str) -> None:
        """Waits until a member that connects now is answered: a port counts a closed connection a moment later."""
        end = time.monotonic() + 60
        while True:
            try:
                with self.member(name) as member:
                    assert member.answers(path)
                    return
            except OSError:
                assert time.monotonic() < end, f"{name} cannot connect"
                time.sleep(0.05)

    def until_logged(self, text: str) -> None:
        """Waits until the node's log has the text: a call is over to its caller a moment before it is logged."""
        end = time.monotonic() + 60
        while text not in self.log.read_text(encoding="utf-8"):
            assert time.monotonic() < end, f"{text} is not in {self.log}"
            time.sleep(0.05)


@contextmanager
def attacked_node(folder: Path, **settings: float) -> Iterator[Attacked]:
    federation = make_federation(
        folder, witness_seconds=600, agreement_seconds=600, advertise=MEMBER_ADDRESS, **settings
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))  # as a service is started
    try:
        start_node(federation.made, JIANGXI, island=ISLAND)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        wait_ready(federation.made, [JIANGXI])
        yield Attacked(federation)
    finally:
        stop_nodes(federation.made)
