"""What was on its way to a province that an agreement leaves out ends there; admitted again, it is told what it must know."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from federation.audit.leaves import broken_rules, rules_of
from federation.domain.lookups import Selector, SelectorKind
from federation.node.erasure import ORDER_KIND, order_erasure
from federation.node.exchange.errand import begin_errand
from federation.node.exchange.former import NOT_A_MEMBER, end_for_former
from federation.node.exchange.replies import find_response
from federation.node.log.check import check_store
from federation.node.lookups import ask as asking
from federation.node.node import Node
from federation.node.retention import destroy_ended
from federation.node.status import unheard_warnings
from federation.protocol.form import replace
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.store.log_reader import find_entry
from federation.store.messages import StoredMessage, count_pending, find_body, find_outbox_state
from federation.wire.agency.erasure import ErasureQuestion
from federation.wire.agency.lookups import LookupQuestion
from tests.node.retention.released import CASE, NUMBER, Border, released
from tests.node.rig import JIANGXI, POLICE, ZHEJIANG, act


async def ordered(found: Border) -> StoredMessage:
    """An order of Zhejiang to destroy its release, which Jiangxi cannot be told."""
    await found.rig.drain()
    found.rig.faults(ZHEJIANG, JIANGXI).cut = True
    question = ErasureQuestion(message_id=found.sent(ZHEJIANG, "lookup.release")[0].id, words="误发 in error")
    await order_erasure(begin_errand(found.rig[ZHEJIANG], POLICE, act("erasure.order", "F01")), question)
    return found.sent(ZHEJIANG, ORDER_KIND)[0]


def ending(node: Node, message: StoredMessage) -> Leaf:
    entry = find_entry(node.database, LeafKind.EXPIRED, message.digest)
    assert entry is not None
    return decode_leaf(entry[1])


def said(found: Border) -> list[str]:
    return [line for line in unheard_warnings(found.rig[ZHEJIANG]) if "已除名" in line]


async def test_order_to_an_expelled_province_ends_and_is_said_anew_when_it_is_back(tmp_path: Path) -> None:
    """The queue is empty at once, with a leaf; the status says what waits; the copy dies in the end, years later."""
    async with released(tmp_path) as found:
        order, node, rig = await ordered(found), found.rig[ZHEJIANG], found.rig
        assert (await end_for_former(node), count_pending(node.database)) == (0, {JIANGXI: 1})
        before = rig.expel(JIANGXI, at=ZHEJIANG)

        assert (await end_for_former(node), await end_for_former(node)) == (1, 0)

        leaf = ending(node, order)
        assert (leaf.reason, leaf.seq, leaf.agreement_version) == (NOT_A_MEMBER, order.seq, before.version + 1)
        assert (count_pending(node.database), find_outbox_state(node.database, order.id)) == ({}, "unheard")
        (sentence,) = said(found)
        assert sentence.endswith("said anew once it is admitted again: 1")
        assert check_store(node.database, node.trust.in_force.agreement).findings == ()
        assert list(broken_rules(leaf, ZHEJIANG, rules_of(node.trust.in_force.agreement, rig.clock()))) == []

        rig.clock.advance(days=400)
        until = rig.clock() + timedelta(days=30)
        rig.put_in_force(replace(before, version=before.version + 2, fresh_until_time=until, expires_time=until))
        assert await end_for_former(node) == 0
        await rig.restore(ZHEJIANG, JIANGXI)
        await destroy_ended(node)
        await rig.drain()

        assert find_outbox_state(node.database, order.id) == "expired"
        assert len(found.sent(ZHEJIANG, ORDER_KIND)) == 2
        release = found.sent(ZHEJIANG, "lookup.release")[0]
        assert find_body(rig[JIANGXI].database, release.id) is None
        assert said(found) == []


async def test_question_to_an_expelled_province_ends_for_good_and_its_asker_is_told(
    tmp_path: Path, monkeypatch
) -> None:
    """Who still needs the answer asks again; nothing is asked on anybody's behalf years later."""
    async with released(tmp_path) as found:
        await found.rig.drain()
        rig, node = found.rig, found.rig[JIANGXI]
        rig.faults(JIANGXI, ZHEJIANG).cut = True
        monkeypatch.setattr(asking, "WAIT_SECONDS", 0.01)
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER)
        question = LookupQuestion(case_id=CASE, selector=selector, provinces=(ZHEJIANG,))
        await asking.search(begin_errand(node, **found.police()), question)
        search = found.sent(JIANGXI, "lookup.search")[-1]
        assert not find_response(node, search.digest).ended
        before = rig.expel(ZHEJIANG, at=JIANGXI)

        assert await end_for_former(node) == 1

        assert find_outbox_state(node.database, search.id) == "expired"
        assert find_response(node, search.digest).expired
        rig.put_in_force(replace(before, version=before.version + 2), JIANGXI)
        rig.faults(JIANGXI, ZHEJIANG).cut = False
        await destroy_ended(node)
        await rig.drain()
        assert [each.id for each in found.sent(JIANGXI, "lookup.search")][-1] == search.id
        assert check_store(node.database, node.trust.in_force.agreement).findings == ()


async def test_nothing_waits_for_who_is_no_former_member_any_more(tmp_path: Path) -> None:
    """Years later the agreement names it no more: it will never be asked, and the status stops saying so."""
    async with released(tmp_path) as found:
        order, node, rig = await ordered(found), found.rig[ZHEJIANG], found.rig
        rig.expel(JIANGXI, at=ZHEJIANG)
        await end_for_former(node)
        assert said(found)

        rig.put_in_force(replace(node.trust.in_force.agreement, former={}, version=9), ZHEJIANG)

        assert (await end_for_former(node), await end_for_former(node)) == (1, 0)
        assert find_outbox_state(node.database, order.id) == "expired"
        assert said(found) == []


async def test_nothing_ends_while_the_log_is_not_confirmed(tmp_path: Path) -> None:
    """No leaf may be written; the next round does it."""
    async with released(tmp_path) as found:
        await ordered(found)
        node = found.rig[ZHEJIANG]
        found.rig.expel(JIANGXI, at=ZHEJIANG)
        node.sequencer.hold("not confirmed")
        assert await end_for_former(node) == 0
        node.sequencer.release()
        assert await end_for_former(node) == 1
