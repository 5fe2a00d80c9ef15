"""Who waits is woken by what they wait for, all of them, and hears nothing of the others."""

from __future__ import annotations

import asyncio

from federation.node.node import Waiters, received_key


async def turns() -> None:
    """Lets every task that is ready go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_tell_wakes_everybody_who_waits_for_that_key() -> None:
    """Two repeats of one request wait for one reply."""
    waiters = Waiters()
    waiting = [asyncio.create_task(waiters.wait("a", seconds=60)) for _ in range(2)]
    other = asyncio.create_task(waiters.wait("b", seconds=60))
    await asyncio.sleep(0)

    waiters.tell("a")

    await asyncio.wait_for(asyncio.gather(*waiting), 30)  # by themselves they would wait for twice as long
    assert not other.done()
    other.cancel()


async def test_wait_that_ends_leaves_the_others_waiting() -> None:
    """One gives up; the other is still woken."""
    waiters = Waiters()
    long = asyncio.create_task(waiters.wait("a", seconds=60))
    await asyncio.sleep(0)
    await waiters.wait("a", seconds=0)

    waiters.tell("a")

    await asyncio.wait_for(long, 30)  # by itself it would wait for twice as long


async def test_tell_before_anybody_waits_is_forgotten() -> None:
    """The store is the truth: who comes later looks there first."""
    waiters = Waiters()
    waiters.tell("a")
    late = asyncio.create_task(waiters.wait("a", seconds=60))
    await turns()

    assert not late.done()
    waiters.tell("a")
    await asyncio.wait_for(late, 30)


async def test_wait_for_several_keys_ends_with_the_first_told_and_leaves_none_behind() -> None:
    """A receipt or a reply, whichever is told; another statement's receipt wakes nobody."""
    waiters = Waiters()
    either = asyncio.create_task(waiters.wait("a", received_key("a"), seconds=60))
    await turns()
    waiters.tell(received_key("b"))
    await turns()
    assert not either.done()

    waiters.tell(received_key("a"))
    await asyncio.wait_for(either, 30)

    again = asyncio.create_task(waiters.wait("a", seconds=60))
    await turns()
    waiters.tell(received_key("a"))
    await turns()
    assert not again.done()
    waiters.tell("a")
    await asyncio.wait_for(again, 30)
