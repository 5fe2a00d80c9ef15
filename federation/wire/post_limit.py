"""The posts, or other acts, of one source in a minute: a bucket a source, and a bounded number of buckets."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

POSTS_A_MINUTE: Final = 1200
"""Three peers behind one address that offer a head five times a second stay below it."""
MAX_SOURCES: Final = 4096


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
