"""Waiters: calls of this process that wait until a reply or a receipt is durable here.

Told by `receive` when a reply is taken in and by delivery when a message has left the queue, both after the commit. A
receipt that says yes ends nothing for who waits for a reply, and is told under a key of its own. The
store is the truth: a waiter that hears nothing looks there now and then, so that what another process on the same
database received is found too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_SECONDS = 1.0
"""How often a waiter that hears nothing looks at the store."""


def received_key(digest: str) -> str:
    """The key that is told when a statement of ours has left the queue, whatever became of it."""
    return f"received/{digest}"


class Waiters:
    """Waiters by key: the digest of a statement of ours, notified with its reply or when none will come."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.ended = False

    def tell(self, key: str) -> None:
        """Wakes everybody who waits for that key."""
        for event in self._waiting.get(key, ()):
            event.set()

    def end(self) -> None:
        """Says that this process stops, and wakes everybody, so that streams end by themselves."""
        self.ended = True
        for key in list(self._waiting):
            self.tell(key)

    async def wait(self, *keys: str, seconds: float = LOOK_SECONDS) -> None:
        """Waits for one of the keys to be told, at most so long; who asks looks at the store afterwards."""
        event = asyncio.Event()
        for key in keys:
            self._waiting.setdefault(key, set()).add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    async def until(self, look: Callable[[], T | None], *keys: str, seconds: float, fresh: bool = False) -> T | None:
        """Returns what `look` finds in the store, as soon as it finds something; None when it found nothing in time.

        Looks first, when one of the keys is told, and now and then. `fresh`: there is nothing to be found yet.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if fresh:
            await self.wait(*keys, seconds=min(seconds, LOOK_SECONDS))
        while (found := look()) is None and (left := end - loop.time()) > 0:
            await self.wait(*keys, seconds=min(left, LOOK_SECONDS))
        return found
