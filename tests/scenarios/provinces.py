"""Whole federations for the scenarios: real homes, real TLS, real stores, each node in this process or its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from federation.node.home.certificates import client_folder, load_profile
from federation.node.home.draft import draft_agreement, publish_draft, sign_draft
from federation.node.home.setup import NewHome, create_home
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.wire.client import AgencyClient
from federation.wire.values import ClientProfile, TlsFiles
from tests.ports import free_ports

REPOSITORY = Path(__file__).parents[2]
NODES = REPOSITORY / "nodes"
POLICIES = REPOSITORY / "policies"
ALL = ("zhejiang", "jiangxi", "fujian", "anhui")


@dataclass
class Federation:
    """Four homes that share one agreement."""

    folder: Path
    homes: dict[NodeName, NewHome] = field(default_factory=dict)

    def home(self, node: str) -> Path:
        return self.homes[NodeName(node)].home

    def profile(self, agency: str | AgencyId) -> ClientProfile:
        found = parse_agency_id(str(agency))
        profile = load_profile(client_folder(self.home(found.node), found) / "profile.toml")
        return ClientProfile(
            address=profile.agency_addr,
            tls=TlsFiles(certificate=profile.cert, key=profile.key),
            authority=profile.ca,
            server_name=profile.server_name,
        )

    @contextlib.asynccontextmanager
    async def client(self, agency: str) -> AsyncIterator[AgencyClient]:
        client = AgencyClient(self.profile(agency))
        try:
            yield client
        finally:
            await client.close()


def make_federation(
    folder: Path,
    *,
    signers: Sequence[str] = ("zhejiang", "jiangxi", "fujian"),
    policies: Path = POLICIES,
    **settings: str | float | bool,
) -> Federation:
    """Makes four homes, drafts the agreement, has three sign, publishes it into all four."""
    federation = Federation(folder)
    now = datetime.now(UTC)
    ports = free_ports(3 * len(ALL))
    for number, name in enumerate(ALL):
        peer, agency, read = ports[3 * number : 3 * number + 3]
        overrides = {
            "peer_port": peer, "agency_port": agency, "read_port": read, "witness_seconds": 0.2,
            "delivery_pause_seconds": 0.5, "agreement_seconds": 0.2, **settings,
        }  # fmt: skip
        home = create_home(folder / name, NODES / name, now=now, overrides=overrides)
        federation.homes[NodeName(name)] = home
    draft = folder / "draft"
    bundles = [home.bundle for home in federation.homes.values()]
    draft_agreement(draft, bundles, nodes=NODES, policies=policies, previous=None, now=now)
    for name in signers:
        sign_draft(draft, federation.home(name))
    publish_draft(draft, [home.home for home in federation.homes.values()], now=now)
    return federation
