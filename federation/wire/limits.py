"""A caller's limits at a port: calls, streams and bytes at work at once, and posts or other acts in a minute.

Each caller has a share and a bucket of its own, so that none takes from another. A call is at work until its answer has
left, or its caller went away: who asks and does not read holds its own share, with a stream for a minute. Beyond it,
and beyond what the port does for all, a call is OVERLOADED, and may be made again. The number of buckets is bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from federation.protocol.errors import UnavailableError

if TYPE_CHECKING:
    import grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

CALLS_EACH: Final = 128
"""Twice what a province at full speed has in flight."""
STREAMS_EACH: Final = 8
WATCHES_EACH: Final = 256
"""Screens of one office's desks, its towns' and bridges' among them, that follow alerts: beside its calls."""
READS_EACH: Final = 2
"""Requests of a caller that come in at once: each may be as large as a message may be before its size is known."""
BYTES_EACH: Final = 8 * 1024 * 1024
"""Of all the questions and answers of a caller; whatever is alone may be as large as a message may be."""
CALLS_OF_ALL: Final = 1024
CALLS_KEPT: Final = 4
"""What a caller may have at work whatever the others do."""
MAX_CONNECTIONS: Final = 512
"""The most connections of one gRPC port, handshakes included: beyond them a new one is closed as it comes."""
SLOW_SECONDS: Final = 60.0
SLOW_BYTES: Final = 256 * 1024
"""For so long a stream waits until what it wrote is taken, and as long again for each part of so many bytes."""
POSTS_A_MINUTE: Final = 1200
"""Three peers behind one address that offer a head five times a second stay below it."""
MAX_SOURCES: Final = 4096


@dataclass(slots=True)
class Share:
    """The calls, streams and bytes of one caller at work now; `reading` is held while a request of theirs comes in.

    `calls` are all, `watches` those of them that a screen holds open.
    """

    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS_EACH))

    calls: int = 0
    streams: int = 0
    watches: int = 0
    held_bytes: int = 0


class Shares:
    """The shares of the callers of one port."""

    def __init__(self) -> None:
        self._of: dict[str, Share] = {}
        self._calls = 0

    def enter(self, caller: str, *, stream: bool, watch: bool = False) -> PlaceTaken:
        """Takes a place in the caller's share, to be given back (OVERLOADED)."""
        share = self._of.setdefault(caller, Share())
        asked = share.calls - share.watches
        if (asked >= CALLS_EACH and not watch) or (self._calls >= CALLS_OF_ALL and share.calls >= CALLS_KEPT):
            raise UnavailableError("OVERLOADED", f"{share.calls} calls of {caller} are at work: wait for their answers")
        if share.watches >= WATCHES_EACH if watch else stream and share.streams >= STREAMS_EACH:
            is_open = share.watches if watch else share.streams
            raise UnavailableError("OVERLOADED", f"{is_open} streams of {caller} are open: close one")
        place = PlaceTaken(self, caller, share, is_stream=stream and not watch, is_watch=watch)
        self._count(place, 1)
        return place

    def give_back(self, place: PlaceTaken) -> None:
        place.share.held_bytes -= place.held_bytes
        self._count(place, -1)
        if not place.share.calls:
            self._of.pop(place.caller, None)

    def _count(self, place: PlaceTaken, by: int) -> None:
        share = place.share
        share.calls += by
        share.streams += by * place.is_stream
        share.watches += by * place.is_watch
        self._calls += by


class PlaceTaken:
    """The place of one call."""

    __slots__ = ("_shares", "caller", "held_bytes", "is_stream", "is_watch", "share")

    def __init__(self, shares: Shares, caller: str, share: Share, *, is_stream: bool, is_watch: bool) -> None:
        self._shares = shares
        self.caller = caller
        self.share = share
        self.is_stream = is_stream
        self.is_watch = is_watch
        self.held_bytes = 0

    def hold(self, size: int) -> None:
        """Counts a question or an answer until the call is over (OVERLOADED)."""
        if self.share.held_bytes and self.share.held_bytes + size > BYTES_EACH:
            sentence = f"{self.share.held_bytes} bytes of {self.caller} are at work: read the answers that wait"
            raise UnavailableError("OVERLOADED", sentence)
        self.share.held_bytes += size
        self.held_bytes += size

    def leave(self, context: object) -> None:
        """Gives the place back; called with the ended call."""
        del context
        self._shares.give_back(self)


@asynccontextmanager
async def within(seconds: float, reason: str, sentence: str) -> AsyncIterator[None]:
    """Ends what takes longer; raises UnavailableError with the reason."""
    try:
        async with asyncio.timeout(seconds) as timeout:
            yield
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise UnavailableError(reason, sentence) from error


class Ending:
    """Work that may be ended from outside it, with an error; the first that is given counts."""

    def __init__(self) -> None:
        self._timeout = asyncio.timeout(None)
        self._error: Exception | None = None

    def end(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, raised, where)
        except TimeoutError:
            if self._error is None:
                raise
            raise self._error from None


@contextmanager
def taken(
    ending: Ending, context: Context, message: object, *, seconds: float, untold: Callable[[], None]
) -> Iterator[None]:
    """Gives a reader so long to take a message of a stream, and as long again for every `SLOW_BYTES` (SLOW_READER).

    `untold` is done where the reader soon after does not take that, either.
    """
    loop, size = asyncio.get_running_loop(), len(message) if isinstance(message, bytes) else 0

    def end() -> None:
        ending.end(
            UnavailableError(
                "SLOW_READER", "what came was not read for a while: call again, behind the last that was read"
            )
        )
        timer = loop.call_later(seconds / 12, untold)
        context.add_done_callback(lambda _: timer.cancel())  # type: ignore[arg-type]  # once the status has left

    slow = loop.call_later(seconds * (1 + size / SLOW_BYTES), end)
    try:
        yield
    finally:
        slow.cancel()


class PostLimit:
    def __init__(self, a_minute: int = POSTS_A_MINUTE, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._full = float(a_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, host: str) -> bool:
        """Takes one post out of the source's bucket; False when it is empty. An IPv6 source is its /64."""
        source, now = source_of(host), self._clock()
        left = self._left(source, now)
        self._buckets.pop(source, None)
        is_allowed = left >= 1
        self._buckets[source] = (left - 1 if is_allowed else left, now)
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        return is_allowed

    def is_empty(self, host: str) -> bool:
        """Looks into the bucket and takes nothing."""
        return self._left(source_of(host), self._clock()) < 1

    def _left(self, source: str, now: float) -> float:
        left, since = self._buckets.get(source, (self._full, now))
        return min(self._full, left + (now - since) * self._full / 60)


@lru_cache(maxsize=MAX_SOURCES)
def source_of(host: str) -> str:
    """Returns what counts as one source: an IPv4 address, also one that came over IPv6, or a /64 of IPv6."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return host
