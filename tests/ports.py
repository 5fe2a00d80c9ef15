"""Ports for the nodes of tests: two workers of one run never choose the same ones."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable

from federation.cli.demo.provinces import PORTS
from federation.cli.demo.provinces import free_ports as choose_ports

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_ports(count: int) -> list[int]:
    """Ports of this worker's share that nobody listens on now."""
    return choose_ports(count, among=PORTS[_WORKER::_WORKERS])


def are_free(ports: Iterable[int]) -> bool:
    """True when nobody listens on any of them now."""
    with contextlib.suppress(OSError):
        for port in ports:
            socket.create_server(("127.0.0.1", port)).close()
        return True
    return False
