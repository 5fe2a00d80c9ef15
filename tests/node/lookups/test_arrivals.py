"""Who waits is woken by what they wait for, all of them, and hears nothing of the others."""

from __future__ import annotations

import asyncio

from federation.node.lookups.arrivals import Arrivals, received_key


async def turns() -> None:
    """Lets every task that is ready go on."""
    for _ in range(5):
        await asyncio.sleep(0)


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

    await asyncio.wait_for(long, 30)  # by itself it would wait for twice as long


async def test_tell_before_anybody_waits_is_forgotten() -> None:
    """The store is the truth: who comes later looks there first."""
    arrivals = Arrivals()
    arrivals.tell("a")
    late = asyncio.create_task(arrivals.wait("a", seconds=60))
    await turns()

    assert not late.done()
    arrivals.tell("a")
    await asyncio.wait_for(late, 30)


async def test_wait_for_several_keys_ends_with_the_first_told_and_leaves_none_behind() -> None:
    """A receipt or a reply, whichever is told; another statement's receipt wakes nobody."""
    arrivals = Arrivals()
    either = asyncio.create_task(arrivals.wait("a", received_key("a"), seconds=60))
    await turns()
    arrivals.tell(received_key("b"))
    await turns()
    assert not either.done()

    arrivals.tell(received_key("a"))
    await asyncio.wait_for(either, 30)

    again = asyncio.create_task(arrivals.wait("a", seconds=60))
    await turns()
    arrivals.tell(received_key("a"))
    await turns()
    assert not again.done()
    arrivals.tell("a")
    await asyncio.wait_for(again, 30)
