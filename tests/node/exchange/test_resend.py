"""A province that was away for longer than a statement lives still learns what it must destroy."""

from __future__ import annotations

import asyncio
from pathlib import Path

from federation.node.erasure import ORDER_KIND, RECEIPT_KIND, list_erasures, order_erasure
from federation.node.exchange.errand import begin_errand
from federation.node.retention import destroy_ended
from federation.store.messages import find_body, find_outbox_state
from federation.wire.agency.erasure import ErasureQuery, ErasureQuestion, ErasureState
from tests.node.retention.released import Border, released
from tests.node.rig import JIANGXI, POLICE, ZHEJIANG, act

ACT = act("erasure.order", "F01")


async def expire(found: Border, sender, recipient) -> None:
    """The line is cut for longer than a statement lives, and the sender notices."""
    found.rig.clock.advance(seconds=found.rig.agreement.statement_lifetime.total_seconds() + 60)
    found.rig[sender].wake_delivery(recipient)
    await found.rig.drain()
    found.rig.faults(sender, recipient).cut = False


async def test_order_that_expired_is_said_again_and_keeps_its_day(tmp_path: Path) -> None:
    """One line in the list, from the day of the first order; the copy dies in the end."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        release, node = found.sent(ZHEJIANG, "lookup.release")[0], found.rig[ZHEJIANG]
        found.rig.faults(ZHEJIANG, JIANGXI).cut = True
        ordered = found.rig.clock()
        question = ErasureQuestion(message_id=release.id, words="误发 in error")
        await order_erasure(begin_errand(node, POLICE, ACT), question)
        await expire(found, ZHEJIANG, JIANGXI)
        assert find_outbox_state(node.database, found.sent(ZHEJIANG, ORDER_KIND)[0].id) == "expired"

        await destroy_ended(node)
        await found.rig.drain()
        await destroy_ended(node)

        assert find_body(found.rig[JIANGXI].database, release.id) is None
        (line,) = (await list_erasures(begin_errand(node, POLICE, ACT), ErasureQuery())).lines
        assert (line.state, line.ordered, line.was_held) == (ErasureState.RECEIPTED, ordered, True)
        assert len(found.sent(ZHEJIANG, ORDER_KIND)) == 2
        await found.verify()


async def test_receipt_that_expired_is_said_again(tmp_path: Path) -> None:
    """The giver destroys its own copy, however late it hears."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        found.rig.clock.advance(hours=24, seconds=1)
        found.rig.faults(JIANGXI, ZHEJIANG).cut = True
        await destroy_ended(found.rig[JIANGXI])
        await expire(found, JIANGXI, ZHEJIANG)
        assert find_body(found.rig[ZHEJIANG].database, release.id) is not None

        await destroy_ended(found.rig[JIANGXI])
        await asyncio.wait_for(found.rig.drain(), 30)

        assert find_body(found.rig[ZHEJIANG].database, release.id) is None
        assert len(found.sent(JIANGXI, RECEIPT_KIND)) == 4
        await destroy_ended(found.rig[JIANGXI])
        assert len(found.sent(JIANGXI, RECEIPT_KIND)) == 4
        await found.verify()
