"""Delivery tells who waits: the end of a message is heard at once, whatever end it is."""

from __future__ import annotations

import asyncio

from federation.protocol.ids import Pair
from federation.store.messages import list_messages
from federation.store.outbox import find_outbox_state
from tests.node.exchange.test_deliver import queue
from tests.node.rig import JIANGXI, ZHEJIANG, Rig

OUT = Pair(ZHEJIANG, JIANGXI)


async def test_deliver_tells_who_waits_what_has_left_the_queue(rig: Rig) -> None:
    """Each statement by its digest, once its end is durable; so that a refusal wakes its waiter at once."""
    ids = await queue(rig, 3)
    digests = [
        message.digest for message in list_messages(rig[ZHEJIANG].database, "sent", pair=OUT, after_seq=0, limit=9)
    ]
    waiting = [asyncio.create_task(rig[ZHEJIANG].waiters.wait(digest, seconds=60)) for digest in digests]
    await asyncio.sleep(0)
    rig.start_delivery()

    await asyncio.gather(*waiting)

    assert {find_outbox_state(rig[ZHEJIANG].database, message_id) for message_id in ids} == {"settled"}


async def test_deliver_message_that_expired_tells_who_waits(rig: Rig) -> None:
    """Nobody waits for what was never sent."""
    await queue(rig)
    (message,) = list_messages(rig[ZHEJIANG].database, "sent", pair=OUT, after_seq=0, limit=9)
    waiting = asyncio.create_task(rig[ZHEJIANG].waiters.wait(message.digest, seconds=60))
    rig.clock.advance(days=3, seconds=1)
    await asyncio.sleep(0)
    rig.start_delivery()

    await waiting

    assert find_outbox_state(rig[ZHEJIANG].database, message.id) == "expired"
