"""The federation that tests run in: the four homes and the agreement that `bridgehead demo` makes, on ports of this worker."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federation.cli.demo import provinces as demo
from federation.node.home.setup import NewHome
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.client import AgencyClient
from federation.wire.rpc import ClientProfile
from tests.ports import free_ports

REPOSITORY = Path(__file__).parents[2]
NODES = REPOSITORY / "nodes"
POLICIES = REPOSITORY / "policies"
ALL = demo.PROVINCES
ISLAND = "a test: not all provinces are started"
"""Who vouches for the history of a node that starts without the others."""


@dataclass(frozen=True)
class Federation:
    """Four homes that share one agreement."""

    made: demo.DemoFederation

    @property
    def homes(self) -> dict[NodeName, NewHome]:
        return self.made.homes

    def home(self, node: str) -> Path:
        return self.homes[NodeName(node)].home

    def profile(self, agency: str | AgencyId) -> ClientProfile:
        return self.made.profile(str(agency))

    @contextlib.asynccontextmanager
    async def client(self, agency: str) -> AsyncIterator[AgencyClient]:
        client = AgencyClient(self.profile(agency))
        try:
            yield client
        finally:
            await client.close()


def make_federation(folder: Path, *, now: datetime | None = None, **settings: str | float | bool) -> Federation:
    """Makes four homes and their agreement; nodes run, if at all, in this process or where the test starts them."""
    overrides = {"witness_seconds": 0.2, "delivery_pause_seconds": 0.5, "agreement_seconds": 0.2, **settings}
    made = demo.make_federation(
        folder, now=now or datetime.now(UTC), overrides=overrides, ports=free_ports(3 * len(ALL))
    )
    return Federation(made)
