"""The connections of the HTTP read side: few for each source, a time for each request, and room for new ones.

Rules kept: a request's head is here, and its answer taken, within a time; of one address at most some connections are
open; when all are taken, the one that has waited longest for a request makes room, so that connections that say nothing
keep nobody out. Whom the agreement names, and our own host, whose health check is always heard, have some connections
each beyond those of all: whatever strangers do, these are neither taken nor cut.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from federation.wire.limits import source_of

HEAD_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0
CONNECTIONS_EACH: Final = 64
CONNECTIONS_OF_ALL: Final = 256
CONNECTIONS_KEPT: Final = 16
"""For our own host, and for each address that the agreement names, beyond those of all."""


class Connections:
    """The open connections of one port; those that wait for a request, the longest first.

    `is_named` tells an address of a member or witness of the agreement.
    """

    def __init__(self, is_named: Callable[[str], bool]) -> None:
        self.is_named = is_named
        self._kept: Counter[str] = Counter()
        self._of_all: Counter[str] = Counter()
        self.waiting: dict[TimedProtocol, None] = {}

    def enter(self, source: str, *, named: bool) -> Counter[str] | None:
        """Counts a new connection and returns where; None when there is no room for it."""
        if named and self._kept[source] < CONNECTIONS_KEPT:
            self._kept[source] += 1
            return self._kept
        if self._of_all[source] >= CONNECTIONS_EACH:
            return None
        if self._of_all.total() >= CONNECTIONS_OF_ALL:
            longest = next((each for each in self.waiting if each.place is self._of_all), None)
            if longest is None:
                return None
            longest.end()
        self._of_all[source] += 1
        return self._of_all


class TimedProtocol(H11Protocol):
    """One connection: a time for the head of each request, then one until its answer has been taken."""

    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:  # noqa: ANN401  # uvicorn's
        super().__init__(*arguments, **named)
        self._all = connections
        self._source = ""
        self.place: Counter[str] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        host, own = (self.client or ("",))[0], (self.server or ("",))[0]
        self._source = source_of(host)
        self.place = self._all.enter(self._source, named=host == own or self._all.is_named(self._source))
        if self.place is None:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self in self._all.waiting and self.cycle is not None and not self.cycle.response_complete:
            del self._all.waiting[self]
            self._restart(ANSWER_SECONDS)

    def on_response_complete(self) -> None:
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.end()
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """Cuts the connection and makes its place free."""
        self._all.waiting.pop(self, None)
        if self.place is not None:
            self.place -= Counter({self._source: 1})  # what comes to nothing is forgotten
            self.place = None
        self.transport.abort()

    def _wait(self) -> None:
        if self.place is not None:
            self._all.waiting[self] = None
            self._restart(HEAD_SECONDS)

    def _restart(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.end)
