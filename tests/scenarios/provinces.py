"""The federation that tests run in: the four homes and the agreement that `bridgehead demo` makes, on ports of this worker."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from federation.cli.demo import provinces as demo
from federation.domain.officers import KeyStanding, OfficerKey
from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import load_settings
from federation.node.home.setup import NewHome, override_settings
from federation.node.home_store import write_home_store
from federation.node.officer_keys import Occurrence, register_key
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.protocol.keys import Ed25519Signer, format_public_key
from federation.wire.client import AgencyClient
from federation.wire.rpc import ClientProfile
from tests.forked import Forked
from tests.ports import are_free, free_ports

REPOSITORY = Path(__file__).parents[2]
NODES = REPOSITORY / "nodes"
POLICIES = REPOSITORY / "policies"
ALL = demo.PROVINCES
ISLAND = "a test: not all provinces are started"
"""Who vouches for the history of a node that starts without the others."""


def officer_seed(agency: AgencyId, officer: str) -> bytes:
    return hashlib.sha256(f"{agency}/{officer}".encode()).digest()


def officer_pem(agency: AgencyId, officer: str) -> bytes:
    """The file of an officer's own key."""
    private = Ed25519PrivateKey.from_private_bytes(officer_seed(agency, officer))
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def own_key(agency: AgencyId, officer: str, key: str) -> OfficerKey:
    return OfficerKey(agency=agency, officer=officer, version=0, standing=KeyStanding.REGISTERED, key=key)


def plant_officer_key(home: Path, agency: AgencyId, officer: str, *, key: str) -> None:
    """Plants an officer's key in a home's store, in the place of one that is there."""
    now = datetime.now(UTC)
    at = Occurrence(agreement=load_home_agreement(home, now=now), now=now)
    write_home_store(home, lambda tx: register_key(tx, own_key(agency, officer, key), at=at, replaces=True), now=now)


FORKING = SimpleNamespace(**{**vars(subprocess), "Popen": Forked})
"""To stand where the demo starts its nodes."""


def start_node(made: demo.DemoFederation, node: NodeName, *, island: str | None = None) -> None:
    """Starts a node as the demo does, out of a process that has imported it already."""
    with patch.object(demo, "subprocess", FORKING):
        demo.start_node(made, node, island=island)


@dataclass(frozen=True)
class Federation:
    """Four homes that share one agreement."""

    made: demo.DemoFederation
    _registered: set[tuple[AgencyId, str]] = field(default_factory=set)

    @property
    def homes(self) -> dict[NodeName, NewHome]:
        return self.made.homes

    def home(self, node: str) -> Path:
        return self.homes[NodeName(node)].home

    def profile(self, agency: str | AgencyId) -> ClientProfile:
        return self.made.profile(str(agency))

    def key(self, officer: str, *, agency: AgencyId) -> Ed25519Signer:
        """The own key of an officer, the same in every test; registered at their node when they act first."""
        key = Ed25519Signer(officer_seed(agency, officer))
        if (agency, officer) not in self._registered:
            self.register(officer, agency=agency, key=key)
        return key

    def register(self, officer: str, *, agency: AgencyId, key: Ed25519Signer) -> None:
        """Plants a key in the store of the home, beside the running node."""
        plant_officer_key(self.home(agency.node), agency, officer, key=format_public_key(key.public_key))
        self._registered.add((agency, officer))

    @contextlib.asynccontextmanager
    async def client(self, agency: str) -> AsyncIterator[AgencyClient]:
        client = AgencyClient(self.profile(agency), sign=partial(self.key, agency=parse_agency_id(agency)))
        try:
            yield client
        finally:
            await client.close()


def make_federation(folder: Path, *, now: datetime | None = None, **settings: str | float | bool) -> Federation:
    """Makes four homes and their agreement; nodes run, if at all, in this process or where the test starts them.

    A process makes one once and copies it, but where what was agreed on differs: at another time, under another address,
    or on other ports, since the nodes of an earlier copy run.
    """
    overrides = {"witness_seconds": 0.2, "delivery_pause_seconds": 0.5, "agreement_seconds": 0.2, **settings}
    if now is not None or "advertise" in settings:
        return Federation(_make(folder, now=now or datetime.now(UTC), overrides=overrides))
    made = next((each for each in _ORIGINALS if _is_idle(each)), None)
    if made is None:
        made = _make(Path(_FOLDER.name) / str(len(_ORIGINALS)), now=datetime.now(UTC), overrides={})
        _ORIGINALS.append(made)
    return Federation(_copy(made, folder, overrides))


_FOLDER = tempfile.TemporaryDirectory(prefix="bridgehead-homes-")
_ORIGINALS: list[demo.DemoFederation] = []


def _make(folder: Path, *, now: datetime, overrides: Mapping[str, str | float | bool]) -> demo.DemoFederation:
    return demo.make_federation(folder, now=now, overrides=overrides, ports=free_ports(3 * len(ALL)))


def _is_idle(made: demo.DemoFederation) -> bool:
    """True when nobody listens where its nodes would."""
    found = [home.settings for home in made.homes.values()]
    return are_free([port for each in found for port in (each.peer_port, each.agency_port, each.read_port)])


def _copy(made: demo.DemoFederation, folder: Path, overrides: Mapping[str, str | float | bool]) -> demo.DemoFederation:
    copy = demo.DemoFederation(folder=folder.absolute(), agreement=made.agreement)
    shutil.copytree(made.folder, copy.folder, symlinks=True, dirs_exist_ok=True)
    for name, home in made.homes.items():
        path = copy.folder / name
        text = (path / "node.toml").read_text(encoding="utf-8")
        (path / "node.toml").write_text(override_settings(text, overrides), encoding="utf-8")
        copy.homes[name] = replace(home, home=path, settings=load_settings(path))
    return copy
