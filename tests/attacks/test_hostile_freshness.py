"""One stolen freshness key signs an end in the year 9921, versions without end, or what no parser likes, and serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, MetaFile

from federation.node.exchange.peers import Peers
from federation.node.home.agreement import read_agreement_files, refresh, write_repository
from federation.node.home.certificates import find_side
from federation.node.home.keyring import load_keyring
from federation.node.serve import Running, running_node, utc_now
from federation.node.upkeep import keep_agreement, take_from_peers
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.trust import AgreementFiles, sign_metadata
from federation.wire.peer import PeerClient
from federation.wire.rpc import TlsFiles
from tests.scenarios.provinces import ISLAND, Federation, make_federation

ANHUI, JIANGXI = NodeName("anhui"), NodeName("jiangxi")


@dataclass
class Scene:
    federation: Federation
    hostile: Running
    honest: Running
    clients: dict[NodeName, PeerClient]
    tls: TlsFiles

    @property
    def home(self) -> Path:
        return self.federation.home("zhejiang")

    def serve(self, files: AgreementFiles) -> None:
        """Anhui hands these files to whoever asks for the agreement."""
        write_repository(self.federation.home("anhui") / "agreement" / "current", files)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Anhui and Zhejiang run; Zhejiang asks Anhui over its own connection."""
    federation = make_federation(tmp_path, agreement_seconds=3600.0)
    async with (
        running_node(federation.home("anhui"), island=ISLAND) as hostile,
        running_node(federation.home("zhejiang"), island=ISLAND) as honest,
    ):
        member, side = honest.node.trust.in_force.member(ANHUI), find_side(federation.home("zhejiang"), "peer")
        tls = TlsFiles(certificate=side.certificate, key=side.key)
        client = PeerClient(
            member.peer_addr,
            tls=tls,
            authority=lambda: member.tls_ca,
            server_name="anhui.bridgehead.example",
        )
        yield Scene(federation, hostile, honest, {ANHUI: client}, tls)
        await client.close()


def signed(scene: Scene, *, expires: datetime | None = None, version: int | None = None) -> AgreementFiles:
    """The agreement in force under a snapshot and a timestamp of Anhui's key, changed as asked for."""
    made = 0
    files, key = read_agreement_files(scene.home), load_keyring(scene.federation.home("anhui")).freshness
    parts: dict[str, bytes] = {}
    for name in ("snapshot", "timestamp"):
        metadata = Metadata.from_bytes(getattr(files, name))
        if name == "timestamp":
            metadata.signed.snapshot_meta = MetaFile.from_data(made, parts["snapshot"], ["sha256"])
        made = metadata.signed.version = version or metadata.signed.version + 1
        metadata.signed.expires = expires or metadata.signed.expires
        metadata.signatures.clear()
        parts[name] = sign_metadata(metadata.to_bytes(), key)
    return replace(files, **parts)


async def test_honest_refresh_of_the_same_peer_is_taken(scene: Scene) -> None:
    """The form of the attack without its poison."""
    before = scene.honest.node.trust.in_force.agreement
    scene.serve(signed(scene))

    await take_from_peers(scene.honest.node, scene.home, scene.clients)

    assert scene.honest.node.trust.in_force.agreement.timestamp_version == before.timestamp_version + 1


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param({"expires": datetime(9921, 1, 1, tzinfo=UTC)}, id="the year 9921"),
        pytest.param({"expires": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}, id="the last second"),
        pytest.param({"expires": utc_now() + timedelta(days=40)}, id="forty days"),
        pytest.param({"version": 10**300}, id="301 digits"),
        pytest.param({"version": 2**53 - 1}, id="nothing above"),
        pytest.param({"version": int(utc_now().timestamp()) + 40 * 86_400}, id="forty days of counting"),
    ],
)
async def test_freshness_is_bounded_by_the_clock(scene: Scene, poison: dict) -> None:
    """Nothing changes here, and the honest nodes still refresh afterwards."""
    before, files = scene.honest.node.trust.in_force.agreement, read_agreement_files(scene.home)
    scene.serve(signed(scene, **poison))

    await take_from_peers(scene.honest.node, scene.home, scene.clients)

    assert scene.honest.node.trust.in_force.agreement == before
    assert read_agreement_files(scene.home) == files
    refreshed = refresh(scene.home, load_keyring(scene.home), utc_now() + timedelta(hours=1))
    assert refreshed.timestamp_version > before.timestamp_version


async def test_no_peer_ends_a_round(scene: Scene) -> None:
    """A peer that breaks the reading in a way nobody thought of costs the others nothing, round after round."""
    asked: list[str] = []
    twice = asyncio.Event()

    class Peer:
        def __init__(self, name: str, error: Exception) -> None:
            self.name, self.error = name, error

        async def fetch_agreement(self, known_version: int = 0, *, timeout_seconds: float) -> AgreementFiles:
            asked.append(self.name)
            if len(asked) >= 6:
                twice.set()
            raise self.error

    errors = {"first": OSError("name too long"), "second": MalformedError("NO", "no"), "third": OverflowError()}
    settings = scene.honest.node.settings.model_copy(update={"agreement_seconds": 0.05, "agreement_fetch_rounds": 1})
    node = replace(scene.honest.node, settings=settings)
    peers = Peers(node, scene.honest.delivery, tls=scene.tls)
    peers.clients.update({name: Peer(name, error) for name, error in errors.items()})
    duty = asyncio.create_task(keep_agreement(node, scene.home, peers))
    async with asyncio.timeout(60):
        await twice.wait()
    duty.cancel()

    assert asked[:6] == [*errors, *errors]
