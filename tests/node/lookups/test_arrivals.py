"""Who waits is woken by what they wait for, all of them, and hears nothing of the others."""

from __future__ import annotations

import asyncio

from federation.node.lookups.arrivals import Arrivals


async def test_tell_wakes_everybody_who_waits_for_that_key() -> None:
    """Two repeats of one request wait for one reply."""
    arrivals = Arrivals()
    waiting = [asyncio.create_task(arrivals.wait("a", seconds=60)) for _ in range(2)]
    other = asyncio.create_task(arrivals.wait("b", seconds=60))
    await asyncio.sleep(0)

    arrivals.tell("a")

    await asyncio.gather(*waiting)
    assert not other.done()
    other.cancel()


async def test_wait_that_ends_leaves_the_others_waiting() -> None:
    """One gives up; the other is still woken."""
    arrivals = Arrivals()
    long = asyncio.create_task(arrivals.wait("a", seconds=60))
    await asyncio.sleep(0)
    await arrivals.wait("a", seconds=0)

    arrivals.tell("a")

    await long


async def test_tell_before_anybody_waits_is_forgotten() -> None:
    """The store is the truth: who comes later looks there first."""
    arrivals = Arrivals()
    arrivals.tell("a")

    await arrivals.wait("a", seconds=0)
