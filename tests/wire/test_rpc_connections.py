"""The connections of one source to a gRPC port: the newest over the bound are cut, and nothing else is touched."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from federation.wire import rpc_connections
from federation.wire.rpc import Side
from federation.wire.rpc_connections import TELL_SECONDS, RpcConnections, _pin

EACH = 16


class Port:
    """A listener that takes what comes; `callers` and `taken` are the two ends, the oldest first."""

    def __init__(self, opened: ExitStack, *, both_families: bool = False) -> None:
        self._opened = opened
        self._listener = opened.enter_context(
            socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
            if both_families
            else socket.create_server(("127.0.0.1", 0), backlog=256)
        )
        self.number: int = self._listener.getsockname()[1]
        self.callers: list[socket.socket] = []

    def call(self, count: int, *, source: str = "127.0.0.1") -> list[socket.socket]:
        made = []
        for _ in range(count):
            host = "::1" if ":" in source else "127.0.0.1"
            made.append(self._opened.enter_context(socket.create_connection((host, self.number), 10, (source, 0))))
            self._opened.enter_context(self._listener.accept()[0])
        self.callers += made
        return made


def is_open(caller: socket.socket) -> bool:
    """Whether the other end still holds the connection: a shutdown reaches a caller on the same host at once."""
    caller.setblocking(False)
    try:
        return caller.recv(1) != b""
    except BlockingIOError:
        return True


@contextmanager
def a_port(*, both_families: bool = False) -> Iterator[tuple[Port, RpcConnections]]:
    with ExitStack() as opened:
        port = Port(opened, both_families=both_families)
        yield port, RpcConnections({port.number: Side.PEER}, each=EACH)


def test_newest_connections_of_a_source_over_its_bound_are_cut():
    """The oldest stay, a second source and a second look cut nothing more."""
    with a_port() as (port, connections):
        older, other = port.call(EACH), port.call(EACH, source="127.0.0.2")
        newer = port.call(5)

        assert connections.cut() == Counter({"peer 127.0.0.1": 5})
        assert connections.cut() == Counter()
        assert not any(map(is_open, newer))
        assert all(map(is_open, [*older, *other]))


def test_connection_that_was_seen_before_is_older_than_one_with_a_lower_number():
    """Numbers are given out again: who comes under a low one is not older for that."""
    with a_port() as (port, connections), ExitStack() as first:
        low = [first.enter_context(Path(os.devnull).open()) for _ in range(20)]
        older = port.call(EACH)
        assert connections.cut() == Counter()
        for each in low:
            each.close()
        newer = port.call(8)

        assert connections.cut() == Counter({"peer 127.0.0.1": 8})
        assert all(map(is_open, older))
        assert not any(map(is_open, newer))


def test_fewer_than_the_bound_and_connections_of_other_ports_are_left_alone():
    """However many others the process holds, its own calls to a port included."""
    with a_port() as (port, connections), ExitStack() as opened:
        another = Port(opened)
        another.call(2 * EACH)
        port.call(EACH)

        assert connections.cut() == Counter()
        assert all(map(is_open, [*port.callers, *another.callers]))


def test_address_is_one_source_over_both_families_and_a_net_of_ipv6_is_one():
    """An IPv4 address that came over IPv6 counts as itself; ::1 is of another source."""
    with a_port(both_families=True) as (port, connections):
        port.call(EACH + 1)
        port.call(EACH + 2, source="::1")

        assert connections.cut() == Counter({"peer 127.0.0.1": 1, "peer ::/64": 2})


def test_nothing_is_looked_at_while_descriptors_are_few():
    """An idle node counts them and no more."""
    with ExitStack() as opened:
        port = Port(opened)
        connections = RpcConnections({port.number: Side.PEER}, each=10_000)
        port.call(EACH)

        assert connections.cut() == Counter()
        assert connections._places == {}


def test_number_that_stands_for_a_database_by_now_keeps_its_locks(tmp_path: Path):
    """Closing any descriptor of a file gives up the locks that this process has on it, which are SQLite's."""
    path = tmp_path / "node.db"
    probe = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with path.open("w") as locked:
        fcntl.lockf(locked, fcntl.LOCK_EX)
        assert _pin(locked.fileno(), os.fstat(locked.fileno()).st_ino) is None

        assert subprocess.run([sys.executable, "-c", probe, str(path)], check=False, capture_output=True).returncode
    assert subprocess.run([sys.executable, "-c", probe, str(path)], check=False).returncode == 0


def test_number_that_stands_for_another_socket_by_now_is_not_cut():
    """The inode tells which one was meant."""
    with socket.socket() as one, socket.socket() as another:
        inode = os.fstat(one.fileno()).st_ino
        assert _pin(another.fileno(), inode) is None
        pinned = _pin(one.fileno(), inode)
        assert pinned is not None
        pinned.close()


def test_sources_that_were_cut_are_told_once_a_minute():
    """One line, with who and how many; what was cut since the last one is in the next."""
    connections = RpcConnections({}, each=EACH)
    with capture_logs() as logs:
        for second in (0.0, 1.0, TELL_SECONDS - 1):
            connections.tell(Counter({"peer 192.0.2.1": 3}), now=second)
        connections.tell(Counter(), now=TELL_SECONDS)
        connections.tell(Counter(), now=3 * TELL_SECONDS)

    assert [(each["event"], each["count"], each["sources"]) for each in logs] == [
        ("connections.cut", 3, {"peer 192.0.2.1": 3}),
        ("connections.cut", 6, {"peer 192.0.2.1": 6}),
    ]


async def test_machine_that_shows_no_descriptors_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """There is no bound for a source there; the duty ends with a warning."""
    monkeypatch.setattr(rpc_connections, "DESCRIPTORS", tmp_path / "absent")
    with capture_logs() as logs:
        await RpcConnections({}, each=EACH).keep()

    assert [(each["event"], each["log_level"]) for each in logs] == [("connections.unbounded", "warning")]
