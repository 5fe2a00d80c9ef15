"""The demo's four provinces on loopback: homes, one agreement, four processes, and `federation.json` to find them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from federation.cli.options import FEDERATION_FILE, client_profile
from federation.node.home.agreement import pinned_root
from federation.node.home.draft import DraftStatus, draft_agreement, publish_draft, sign_draft
from federation.node.home.files import OFFICERS, client_folder, create_profile_key, load_profile, remember_officer
from federation.node.home.setup import NewHome, create_home
from federation.node.home_store import lay_administrator
from federation.protocol.errors import ConflictError, NotFoundError, UnavailableError
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.protocol.keys import format_public_key
from federation.protocol.trust import Agreement
from federation.protocol.trust.metadata import root_digest
from federation.wire.rpc import ClientProfile

PROVINCES = ("zhejiang", "jiangxi", "fujian", "anhui")
SIGNERS = ("zhejiang", "jiangxi", "fujian")
CLERK, ADMINISTRATOR = "clerk", "administrator"
"""Whom every agency's profile remembers, so that a kept demo can be used at once, and who registers them."""
STOP_SECONDS = 10.0
START_SECONDS = 60.0
PORTS = range(20_000, 32_000)
DEMO_SETTINGS: Mapping[str, float | bool] = {
    "delivery_pause_seconds": 1.0,
    "witness_seconds": 0.5,
    "agreement_seconds": 1.0,
    "reflection": False,
}


@dataclass(kw_only=True)
class DemoFederation:
    folder: Path
    homes: dict[NodeName, NewHome] = field(default_factory=dict)
    processes: dict[NodeName, subprocess.Popen[bytes]] = field(default_factory=dict)
    agreement: Agreement | None = None

    def profile(self, agency: str) -> ClientProfile:
        return profile_of(self.folder, parse_agency_id(agency))

    def agencies(self, node: NodeName, kind: str) -> list[AgencyId]:
        return [agency.id for agency in self.homes[node].sheet.agencies if agency.id.kind == kind]


def repository_folder(name: str) -> Path:
    """`nodes/` or `policies/` beside the package (DEMO_FILES outside a checkout of the repository)."""
    folder = Path(__file__).parents[3] / name
    if not folder.is_dir():
        raise NotFoundError("DEMO_FILES", f"expected {folder}: the demo runs in a checkout of the repository")
    return folder


def set_up(
    folder: Path,
    *,
    now: datetime,
    overrides: Mapping[str, str | float | bool] = DEMO_SETTINGS,
    ports: Sequence[int] | None = None,
) -> DemoFederation:
    """Makes four homes with keys and CAs of their own, over an earlier demo's; DEMO_RUNNING while one runs."""
    if running_pids(folder):
        message = f"a demo runs in {folder}: end it with 'bridgehead demo stop --home {folder}'"
        raise ConflictError("DEMO_RUNNING", message)
    for name in (*PROVINCES, "draft"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (FEDERATION_FILE, "audit-heads.json"):
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    federation = DemoFederation(folder=folder.absolute())
    ports = ports or free_ports(3 * len(PROVINCES))
    for number, name in enumerate(PROVINCES):
        peer, agency, read = ports[3 * number : 3 * number + 3]
        settings = {"peer_port": peer, "agency_port": agency, "read_port": read, **overrides}
        home = create_home(federation.folder / name, repository_folder("nodes") / name, now=now, overrides=settings)
        federation.homes[NodeName(name)] = home
    return federation


def give_keys(federation: DemoFederation) -> None:
    """Makes own keys beside the profile of every agency; the nodes enrol the administrators' as they start."""
    for home in federation.homes.values():
        for agency in home.sheet.agencies:
            folder = own_keys(federation, agency.id)
            public = create_profile_key(folder, ADMINISTRATOR)
            lay_administrator(home.home, agency.id, ADMINISTRATOR, key=format_public_key(public))
            create_profile_key(folder, CLERK)
            remember_officer(folder, CLERK)


def own_keys(federation: DemoFederation, agency: AgencyId) -> Path:
    return client_folder(federation.homes[agency.node].home, agency) / OFFICERS


def make_federation(
    folder: Path,
    *,
    now: datetime,
    overrides: Mapping[str, str | float | bool],
    ports: Sequence[int] | None = None,
    nodes: Path | None = None,
) -> DemoFederation:
    """Makes four homes under one agreement that three of the four signed: `set_up`, `draft`, `sign`, `publish`.

    `nodes` are the sheets of the provinces, where not those of this repository.
    """
    federation = set_up(folder, now=now, overrides=overrides, ports=ports)
    out = draft(federation, now=now, nodes=nodes)
    for province in SIGNERS:
        sign(federation, out, province, now=now)
    publish(federation, out, now=now)
    return federation


def draft(federation: DemoFederation, *, now: datetime, nodes: Path | None = None) -> Path:
    out = federation.folder / "draft"
    bundles = [home.bundle for home in federation.homes.values()]
    nodes, policies = nodes or repository_folder("nodes"), repository_folder("policies")
    draft_agreement(out, bundles, nodes=nodes, policies=policies, previous=None, now=now)
    return out


def sign(federation: DemoFederation, out: Path, province: str, *, now: datetime) -> DraftStatus:
    return sign_draft(out, federation.homes[NodeName(province)].home, now=now)


def publish(federation: DemoFederation, out: Path, *, now: datetime) -> Agreement:
    federation.agreement = publish_draft(out, [home.home for home in federation.homes.values()], now=now)
    return federation.agreement


def start_node(federation: DemoFederation, node: NodeName, *, island: str | None = None) -> None:
    """Starts one node's process; `island` vouches for its history when the others are not started."""
    vouched = [] if island is None else ["--island", island]
    home = federation.homes[node].home
    with open(home / "node.log", "ab", opener=_privately) as log:
        federation.processes[node] = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "federation.cli.main", "node", "serve", "--home", str(home), *vouched],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3])])},
        )


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def wait_ready(federation: DemoFederation, nodes: Sequence[NodeName]) -> None:
    """Waits until every node says that it is well (NODE_NOT_STARTED with the place of its log)."""
    end = time.monotonic() + START_SECONDS
    for node in nodes:
        settings = federation.homes[node].settings
        url = f"http://{settings.host}:{settings.read_port}/healthz"
        while not _is_healthy(url):
            if federation.processes[node].poll() is not None or time.monotonic() > end:
                log = federation.homes[node].home / "node.log"
                raise UnavailableError("NODE_NOT_STARTED", f"node {node} did not start; its log is {log}")
            time.sleep(0.05)


def kill_node(federation: DemoFederation, node: NodeName) -> int:
    """Kills one node outright (SIGKILL), as a power cut would; returns the id of the process that died."""
    process = federation.processes[node]
    process.kill()
    process.wait()
    return process.pid


def stop_nodes(federation: DemoFederation) -> None:
    for process in federation.processes.values():
        process.terminate()
    for process in federation.processes.values():
        stop_process(process)


def stop_process(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def write_federation_file(federation: DemoFederation) -> Path:
    """Writes `federation.json`, so that any program finds the nodes, their logs and the agencies' profiles."""
    agreement = federation.agreement
    if agreement is None:
        raise NotFoundError("AGREEMENT_MISSING", "expected a published agreement")
    first = federation.homes[NodeName(PROVINCES[0])].home
    value = {
        "federation": agreement.federation,
        "realm": agreement.realm.value,
        "agreement": {
            "path": str(first / "agreement" / "current"),
            "version": agreement.version,
            "root": root_digest(pinned_root(first)),
        },
        "nodes": [_node_entry(federation, agreement, node) for node in federation.homes],
        "clients": [
            {"agency": str(agency.id), "profile": str(client_folder(home.home, agency.id) / "profile.toml")}
            for home in federation.homes.values()
            for agency in home.sheet.agencies
        ],
    }
    path = federation.folder / FEDERATION_FILE
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path


def running_pids(folder: Path) -> dict[str, int]:
    try:
        value = json.loads((folder / FEDERATION_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    found = {str(node["node"]): int(node["pid"]) for node in value.get("nodes", []) if node.get("pid")}
    return {name: pid for name, pid in found.items() if _is_our_node(pid)}


def stop_pids(pids: Mapping[str, int]) -> None:
    for pid in pids.values():
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    for pid in pids.values():
        while _is_our_node(pid) and time.monotonic() < end:
            time.sleep(0.05)
        if _is_our_node(pid):
            os.kill(pid, signal.SIGKILL)


def profile_of(folder: Path, agency: AgencyId) -> ClientProfile:
    return client_profile(load_profile(client_folder(folder / agency.node, agency) / "profile.toml"))


def _node_entry(federation: DemoFederation, agreement: Agreement, node: NodeName) -> dict[str, str | int | None]:
    home, member = federation.homes[node], agreement.members[node]
    process = federation.processes.get(node)
    return {
        "node": node,
        "agency_addr": f"{home.settings.host}:{home.settings.agency_port}",
        "peer_addr": member.peer_addr,
        "read_url": member.read_url,
        "origin": member.log_vkey.split("+", 1)[0],
        "log_vkey": member.log_vkey,
        "witness_vkey": member.witness_vkey,
        "home": str(home.home),
        "pid": process.pid if process is not None and process.poll() is None else None,
    }


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past a proxy of the environment, which does not know our loopback address."""


def _is_our_node(pid: int) -> bool:
    """True when that process is a node of ours: process ids are used again, and a stranger's must not be stopped."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"federation.cli.main" in command and b"serve" in command


def _is_healthy(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError), _DIRECT.open(url, timeout=1) as answer:
        return bool(answer.status == 200)
    return False


def free_ports(count: int, *, among: Sequence[int] = PORTS) -> list[int]:
    """Ports of the loopback address that nobody listens on now (PORTS_TAKEN).

    Below 32768, since above it the system hands out ports to outgoing connections; drawn from the system's randomness,
    so that two programs with one seed do not meet.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(among, len(among)):
        if len(found) == count:
            return found
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    raise UnavailableError("PORTS_TAKEN", f"expected {count} free ports between {min(among)} and {max(among)}")
