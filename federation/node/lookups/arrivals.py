"""Who waits in this process for which answer: an agency's question, until the other province's reply is durable here.

The store is the truth: a waiter that hears nothing looks there now and then, so that an answer which another process on
the same database received is found too.
"""

from __future__ import annotations

import asyncio


class Arrivals:
    """One event a key; told by `receive` after the commit."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._events: dict[str, asyncio.Event] = {}

    def tell(self, key: str) -> None:
        """Wakes whoever waits for that key."""
        event = self._events.get(key)
        if event is not None:
            event.set()

    async def wait(self, key: str, *, seconds: float) -> None:
        """Waits for the key to be told, at most so long."""
        event = self._events.setdefault(key, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            self._events.pop(key, None)
