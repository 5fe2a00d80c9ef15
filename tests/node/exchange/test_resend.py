"""A province that was away for longer than a statement lives still learns what it must destroy."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from federation.node.erasure import ORDER_KIND, order_erasure
from federation.node.erasure_lists import list_erasures
from federation.node.erasure_receipts import RECEIPT_KIND
from federation.node.exchange.errand import begin_errand
from federation.node.retention import destroy_ended
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.store.messages import find_body, find_outbox_state
from federation.wire.agency.erasure import ErasureQuery, ErasureQuestion, ErasureState
from tests.node.retention.released import released
from tests.node.rig import JIANGXI, POLICE, ZHEJIANG, Rig, act

ACT = act("erasure.order", "F01")


async def expire(rig: Rig, sender: NodeName, recipient: NodeName, *, days: int = 4) -> None:
    """The line is cut for longer than a statement lives, and the sender notices; agreements are renewed meanwhile."""
    rig.clock.advance(days=days)
    until = rig.clock() + timedelta(days=days)
    rig.put_in_force(replace(rig.agreement, fresh_until_time=until, expires_time=until))
    rig[sender].wake_delivery(recipient)
    await rig.drain()


async def test_order_that_expired_is_said_again_and_keeps_its_day(tmp_path: Path) -> None:
    """One line in the list, from the day of the first order; the copy dies in the end."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        release, node = found.sent(ZHEJIANG, "lookup.release")[0], found.rig[ZHEJIANG]
        found.rig.faults(ZHEJIANG, JIANGXI).cut = True
        ordered = found.rig.clock()
        question = ErasureQuestion(message_id=release.id, words="误发 in error")
        await order_erasure(begin_errand(node, POLICE, ACT), question)
        await expire(found.rig, ZHEJIANG, JIANGXI)
        assert find_outbox_state(node.database, found.sent(ZHEJIANG, ORDER_KIND)[0].id) == "unheard"
        await found.rig.restore(ZHEJIANG, JIANGXI)
        assert find_outbox_state(node.database, found.sent(ZHEJIANG, ORDER_KIND)[0].id) == "missed"

        await destroy_ended(node)
        await found.rig.drain()
        await destroy_ended(node)

        assert find_body(found.rig[JIANGXI].database, release.id) is None
        (line,) = (await list_erasures(begin_errand(node, POLICE, ACT), ErasureQuery())).lines
        assert (line.state, line.ordered, line.was_held) == (ErasureState.RECEIPTED, ordered, True)
        assert len(found.sent(ZHEJIANG, ORDER_KIND)) == 2
        await found.verify()


async def test_what_a_province_missed_is_not_said_anew_once_it_was_expelled(tmp_path: Path) -> None:
    """Nothing is sent to who is no member; it waits until that is back."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        release, node = found.sent(ZHEJIANG, "lookup.release")[0], found.rig[ZHEJIANG]
        found.rig.faults(ZHEJIANG, JIANGXI).cut = True
        question = ErasureQuestion(message_id=release.id, words="误发 in error")
        await order_erasure(begin_errand(node, POLICE, ACT), question)
        await expire(found.rig, ZHEJIANG, JIANGXI)
        await found.rig.restore(ZHEJIANG, JIANGXI)
        found.rig.expel(JIANGXI, at=ZHEJIANG)

        await destroy_ended(node)

        (order,) = found.sent(ZHEJIANG, ORDER_KIND)
        assert find_outbox_state(node.database, order.id) == "missed"


async def test_receipt_that_expired_is_said_again(tmp_path: Path) -> None:
    """The giver destroys its own copy, however late it hears."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        found.rig.clock.advance(hours=24, seconds=1)
        found.rig.faults(JIANGXI, ZHEJIANG).cut = True
        await destroy_ended(found.rig[JIANGXI])
        await expire(found.rig, JIANGXI, ZHEJIANG)
        await found.rig.restore(JIANGXI, ZHEJIANG)
        assert find_body(found.rig[ZHEJIANG].database, release.id) is not None

        await destroy_ended(found.rig[JIANGXI])
        await asyncio.wait_for(found.rig.drain(), 60)

        assert find_body(found.rig[ZHEJIANG].database, release.id) is None
        assert len(found.sent(JIANGXI, RECEIPT_KIND)) == 4
        await destroy_ended(found.rig[JIANGXI])
        assert len(found.sent(JIANGXI, RECEIPT_KIND)) == 4
        await found.verify()
