"""The connections of the HTTP read side: few for each source, a time for each request, and room for new ones.

Rules kept: a request's head is here, and its answer taken, within a time; of one address at most some connections are
open; when all are taken, the one that has waited longest for a request makes room, so that connections that say nothing
keep nobody out; the last ones are for our own host alone, whose health check is always heard.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from federation.wire.post_limit import source_of

HEAD_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0
CONNECTIONS_EACH: Final = 64
CONNECTIONS_OF_ALL: Final = 256
CONNECTIONS_KEPT: Final = 16
"""For our own host, beyond those of all."""


class Connections:
    """The open connections of one port; those that wait for a request, the longest first."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()
        self.waiting: dict[TimedProtocol, None] = {}

    def enter(self, source: str, *, own_host: bool) -> bool:
        """Counts a new connection; False when there is no room for it."""
        if not own_host and self._of[source] >= CONNECTIONS_EACH:
            return False
        if self._of.total() >= CONNECTIONS_OF_ALL + (CONNECTIONS_KEPT if own_host else 0):
            longest = next(iter(self.waiting), None)
            if longest is None:
                return False
            longest.end()
        self._of[source] += 1
        return True

    def leave(self, source: str) -> None:
        self._of[source] -= 1
        if self._of[source] <= 0:
            del self._of[source]


class TimedProtocol(H11Protocol):
    """One connection: a time for the head of each request, then one until its answer has been taken."""

    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:  # noqa: ANN401  # uvicorn's
        super().__init__(*arguments, **named)
        self._all = connections
        self._source: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        host, own = (self.client or ("",))[0], (self.server or ("",))[0]
        source = source_of(host)
        if not self._all.enter(source, own_host=host == own):
            transport.abort()
            return
        self._source = source
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
        if self._source is not None:
            self._all.leave(self._source)
            self._source = None
        self.transport.abort()

    def _wait(self) -> None:
        if self._source is not None:
            self._all.waiting[self] = None
            self._restart(HEAD_SECONDS)

    def _restart(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.end)
