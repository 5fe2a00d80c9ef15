"""The connections of the gRPC ports: a bound for each source, over which the newest are cut.

gRPC has no hook for a connection that it accepts, so a node looks at its own descriptors every other second: a socket
whose own end is a gRPC port is a connection of that port, and its other end is the source. Rules kept: the oldest
connections of a source stay; of other sources none is touched; none is looked at while all descriptors together are no
more than the bound. Nor can gRPC end a stream that its caller does not read: its connection is cut, too (`hang_up`). A
connection is cut by a shutdown, which gRPC takes for a caller that went away.
Source: proc(5), /proc/pid/fd.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote

import prometheus_client
import structlog

from federation.wire.gatekeeper import REGISTRY
from federation.wire.limits import source_of
from federation.wire.rpc import Side

LOOK_SECONDS: Final = 2.0
CLOSER_SECONDS: Final = 0.25
"""How soon it is looked again after something was cut: who opens many at once goes on to do so."""
TELL_SECONDS: Final = 60.0
MOST_TOLD: Final = 16
DESCRIPTORS: Final = Path("/proc/self/fd")

Place: TypeAlias = "tuple[Side, str]"

_log = structlog.get_logger()
_CUT = prometheus_client.Counter(
    "bridgehead_connections_cut", "Connections cut, of sources over their bound", ("side",), registry=REGISTRY
)


class RpcConnections:
    """The connections of a node's gRPC ports, which `sides` tells by their numbers; `each` is the bound of a source."""

    def __init__(self, sides: Mapping[int, Side], *, each: int) -> None:
        self._sides = sides
        self._each = each
        self._places: dict[int, Place | None] = {}  # of each socket, by its inode; in the order of the first look
        self._untold: Counter[str] = Counter()
        self._quiet_until = float("-inf")
        for side in sides.values():
            _CUT.labels(side.value)  # or the first ones cut would be no increase

    async def keep(self) -> None:
        """Cuts what is over the bound for as long as the node runs; says so once where descriptors are not shown."""
        if not DESCRIPTORS.is_dir():
            _log.warning("connections.unbounded", expected=str(DESCRIPTORS))
            return
        while True:
            try:
                cut = self.cut()
            except OSError as error:  # no descriptor is left to look with
                cut = Counter({f"errno {error.errno}": 1})
            self.tell(cut, now=time.monotonic())
            await asyncio.sleep(CLOSER_SECONDS if cut else LOOK_SECONDS)

    def cut(self) -> Counter[str]:
        """Looks once; cuts the newest connections of each source over its bound and returns how many of whom."""
        names = os.listdir(DESCRIPTORS)  # noqa: PTH208 - an idle node does no more than this
        if len(names) <= self._each:
            return Counter()
        numbers = sorted(map(int, names))
        sockets = {inode: number for number in numbers if (inode := _socket_inode(number)) is not None}
        known = {inode: place for inode, place in self._places.items() if inode in sockets}
        new = {inode: self._place(number, inode) for inode, number in sockets.items() if inode not in known}
        self._places = known | new  # of new ones the lowest number first: a kernel gives out the lowest that is free
        connections: dict[Place, list[int]] = defaultdict(list)
        for inode, place in self._places.items():
            if place is not None:
                connections[place].append(inode)
        found: Counter[str] = Counter()
        for place, inodes in connections.items():
            for inode in inodes[self._each :]:
                if _shut(sockets[inode], inode):
                    found[f"{place[0].value} {place[1]}"] += 1
                    _CUT.labels(place[0].value).inc()
                self._places[inode] = None
        return found

    def tell(self, cut: Counter[str], *, now: float) -> None:
        """Logs who was cut, a minute's worth in one line; the sources that it names are few."""
        self._untold += cut
        if not self._untold or now < self._quiet_until:
            return
        self._quiet_until = now + TELL_SECONDS
        _log.warning("connections.cut", sources=dict(self._untold.most_common(MOST_TOLD)), count=self._untold.total())
        self._untold.clear()

    def _place(self, number: int, inode: int) -> Place | None:
        """Returns the port and source of a connection to one of the ports; None for any other socket."""
        pinned = _pin(number, inode)
        if pinned is None:
            return None
        with pinned, suppress(OSError):
            if pinned.family in {socket.AF_INET, socket.AF_INET6}:
                side = self._sides.get(pinned.getsockname()[1])
                return None if side is None else (side, source_of(pinned.getpeername()[0]))
        return None


def hang_up(caller: str) -> bool:
    """Cuts the connection whose other end gRPC calls so (`ipv4:ADDRESS:PORT`); False when there is none."""
    host, _, port = unquote(caller.partition(":")[2]).rpartition(":")
    with suppress(OSError):  # no descriptors are shown here
        for number in map(int, os.listdir(DESCRIPTORS)):  # noqa: PTH208 - as above
            inode = _socket_inode(number)
            if inode is not None and _is_of(number, inode, (host.strip("[]"), int(port))):
                return _shut(number, inode)
    return False


def _is_of(number: int, inode: int, caller: tuple[str, int]) -> bool:
    pinned = _pin(number, inode)
    if pinned is None:
        return False
    with pinned, suppress(OSError):
        if pinned.family in {socket.AF_INET, socket.AF_INET6}:
            host, port = pinned.getpeername()[:2]
            return (host.removeprefix("::ffff:"), port) == caller
    return False


def _socket_inode(number: int) -> int | None:
    with suppress(OSError):
        found = os.fstat(number)
        return found.st_ino if stat.S_ISSOCK(found.st_mode) else None
    return None


def _shut(number: int, inode: int) -> bool:
    pinned = _pin(number, inode)
    if pinned is None:
        return False
    with pinned, suppress(OSError):
        pinned.shutdown(socket.SHUT_RDWR)
        return True
    return False


def _pin(number: int, inode: int) -> socket.socket | None:
    """Returns the socket under a number of our own; None when the number stands for something else by now."""
    try:
        pinned = os.dup(number)
    except OSError as error:
        if error.errno == errno.EBADF:
            return None
        raise
    if _socket_inode(pinned) is None:
        return None  # left open: closing any descriptor of a database gives up SQLite's locks on that file
    found = socket.socket(fileno=pinned)
    if _socket_inode(pinned) == inode:
        return found
    found.close()
    return None
