"""Starting and stopping a whole node: what is opened is closed again, also when the start fails halfway."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from federation.cli.demo.provinces import free_ports
from federation.node.home.config import load_settings
from federation.node.home_store import open_home_store
from federation.node.refusals import RULE
from federation.node.serve import DESCRIPTORS, running_node
from federation.protocol.errors import BridgeheadError, MalformedError, UnavailableError
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import load_entries, load_head
from tests.scenarios.provinces import ISLAND, Federation, make_federation


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return make_federation(tmp_path_factory.mktemp("serve"))


def ports(federation: Federation) -> list[int]:
    settings = load_settings(federation.home("zhejiang"))
    return [settings.peer_port, settings.agency_port, settings.read_port]


def free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def own_store(federation: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store of this test, of which the home knows nothing yet."""
    shutil.rmtree(federation.home("zhejiang") / "heads", ignore_errors=True)
    monkeypatch.setenv("BRIDGEHEAD_DATABASE", f"sqlite:///{tmp_path}/node.db")
    return


async def test_running_node_logs_its_boot_listens_and_frees_its_ports(federation: Federation, own_store: None) -> None:
    """From the first leaf on the process is accountable; after the block nobody listens."""
    async with running_node(federation.home("zhejiang"), island=ISLAND) as running:
        size = running.node.sequencer.head.size
        kinds = [decode_leaf(entry).kind for entry in load_entries(running.node.database, 0, size)]
        assert not any(map(free, ports(federation)))

    assert kinds == [LeafKind.AGREEMENT, LeafKind.BOOT]
    assert all(map(free, ports(federation)))


@pytest.mark.parametrize("island", [ISLAND, None], ids=["writes", "is not confirmed"])
async def test_what_was_turned_away_is_told_before_the_node_stops(
    federation: Federation, own_store: None, monkeypatch: pytest.MonkeyPatch, island: str | None
) -> None:
    """One leaf a caller with their number; a node that may not write yet stops as well."""
    monkeypatch.setenv("BRIDGEHEAD_REFUSALS_A_MINUTE", "1")
    async with running_node(federation.home("zhejiang"), island=island) as running:
        refusals = running.node.refusals
        for caller, times in (("jiangxi", 2), ("zhejiang/330822/police", 1)):
            refusals.note(caller)
            for _ in range(times):
                with pytest.raises(UnavailableError, match="REFUSED_TOO_OFTEN"):
                    refusals.verify(caller)

    with open_home_store(federation.home("zhejiang")) as database:
        leaves = [decode_leaf(entry) for entry in load_entries(database, 0, load_head(database).size)]
    told = [leaf.reason for leaf in leaves if leaf.policies == (RULE,)]
    assert told == (["REFUSED_TOO_OFTEN 2", "REFUSED_TOO_OFTEN 1"] if island else [])


@pytest.mark.parametrize(("hard", "got"), [(DESCRIPTORS - 500, DESCRIPTORS - 500), (4 * DESCRIPTORS, DESCRIPTORS)])
def test_node_takes_the_descriptors_that_it_needs_and_tells_when_it_gets_fewer(hard: int, got: int) -> None:
    """A service manager starts it with 1,024; where the system allows too few in all, full ports would use them up."""
    script = f"""
import resource
from federation.node.serve import take_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, {hard}))
take_descriptors()
print("took", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert f"took {got}" in told
    assert ("descriptors.few" in told) == (got < DESCRIPTORS)


async def test_metrics_are_on_a_port_of_their_own_where_it_is_named(
    federation: Federation, own_store: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read side, which is for everybody, has none; the named port has those of this node."""
    (port,) = free_ports(1)
    monkeypatch.setenv("BRIDGEHEAD_METRICS_PORT", str(port))
    async with running_node(federation.home("zhejiang"), island=ISLAND):
        with pytest.raises(HTTPError, match="404"):
            await asyncio.to_thread(urlopen, f"http://127.0.0.1:{ports(federation)[2]}/metrics", timeout=60)
        with await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            text = answer.read().decode()

    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert [sample.value for sample in found["bridgehead_log_entries"].samples] == [2.0]
    assert {sample.labels["peer"] for sample in found["bridgehead_outbox_messages"].samples} == {
        "anhui", "fujian", "jiangxi",
    }  # fmt: skip
    assert free(port)


@pytest.mark.parametrize("taken", [0, 1, 2], ids=["peer port", "agency port", "read port"])
async def test_running_node_whose_port_is_taken_does_not_start_and_leaves_nothing_open(
    federation: Federation, own_store: None, taken: int
) -> None:
    """A port in use is an error of the house; the ports that were open already are closed again."""
    wanted = ports(federation)
    with socket.create_server(("127.0.0.1", wanted[taken])):
        with pytest.raises(BridgeheadError):
            async with running_node(federation.home("zhejiang"), island=ISLAND):
                pass
        assert all(free(port) for port in wanted if port != wanted[taken])


async def test_running_node_in_another_nodes_home_refused(
    federation: Federation, own_store: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings, keys and agreement must be of one node."""
    monkeypatch.setenv("BRIDGEHEAD_NODE", "jiangxi")
    with pytest.raises(MalformedError) as caught:
        async with running_node(federation.home("zhejiang"), island=ISLAND):
            pass
    assert caught.value.reason == "SETTINGS"
