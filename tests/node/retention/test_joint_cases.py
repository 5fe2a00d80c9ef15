"""The end of what a joint case handed over: ordered by the office that filed it, or by time; whatever came first."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.case_items import CaseItem
from federation.node.erasure import order_erasure
from federation.node.erasure_lists import list_erasures, list_sent
from federation.node.exchange.errand import begin_errand
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.entries import settle_due
from federation.node.joint.records import CASE, each_sent, load_held, parts_of
from federation.node.log.check import check_store
from federation.node.retention import destroy_ended
from federation.protocol.ids import AgencyId, NodeName, RecordId
from federation.wire.agency.cases import EntryLine
from federation.wire.agency.erasure import ErasureLine, ErasureQuery, ErasureQuestion, ErasureState, SentQuery
from tests.node.joint.desks import PARTY, PEER, STRANGER, TOWN, Desks, desks
from tests.node.joint.test_documents import filed, files, read, refused
from tests.node.joint.test_mandates import carried_out
from tests.node.rig import JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG, act

ORDER = act("erasure.order", "F09")
BY_TOWN = {"party": "p1", "side": "A", "role": "applicant", "county": "330822"}


def open_fields(case: Desks, at: NodeName, name: str) -> set[str]:
    """The fields of an entry that stand open at a node."""
    node = case.rig[at]
    held = load_held(CASE, node, case.record)
    return {part.field for part in parts_of(CASE, node, node.database, kept=held.kept[name]).values()}


async def order(case: Desks, entry: EntryLine, *, to: NodeName = JIANGXI, caller: AgencyId = TOWN) -> None:
    """The office orders erased what an entry of its own handed over to a province."""
    node = case.rig[caller.node]
    sent = next(each for each in each_sent(CASE, node.database, case.record, name=entry.name) if each.to == to)
    question = ErasureQuestion(message_id=sent.message_id, words="当事人请求删除 asked for by the person")
    asked = act("erasure.order", "F09")
    assert (await order_erasure(begin_errand(node, caller, asked), question)).decision.allowed


async def lines(case: Desks, caller: AgencyId = TOWN) -> list[ErasureLine]:
    errand = begin_errand(case.rig[caller.node], caller, ORDER)
    return list((await list_erasures(errand, ErasureQuery())).lines)


def require_whole(case: Desks) -> None:
    """Both nodes hold the same entries in one order, and every row is one that was written."""
    records = [load_held(CASE, case.rig[name], case.record).record for name in (ZHEJIANG, JIANGXI)]
    assert [each.order for each in records[:1]] == [each.order for each in records[1:]]
    assert not any(each.pending or each.gaps for each in records)
    for name in (ZHEJIANG, JIANGXI):
        assert check_store(case.rig[name].database, case.rig.agreement).findings == ()


@pytest.mark.parametrize("when", ["it was delivered", "it is on its way", "it expired on its way"])
async def test_office_has_erased_what_it_entered_whenever(tmp_path: Path, when: str) -> None:
    """The items die at both sides and are given to nobody who comes later; the head goes on its way; the receipt says so."""
    async with desks(tmp_path, wait=0.1) as case:
        await case.open()
        await case.invites(PEER, "peer")
        case.rig.faults(ZHEJIANG, JIANGXI).cut = when != "it was delivered"
        entry = await case.does(TOWN, "add_party", PARTY, **BY_TOWN)
        if when == "it was delivered":
            await case.settled()
            assert open_fields(case, JIANGXI, entry.name) == {"name", "county", "last4"}
        if when == "it expired on its way":
            case.rig.clock.advance(days=3, seconds=1)
            case.rig[ZHEJIANG].wake_delivery(JIANGXI)

        await order(case, entry)
        assert open_fields(case, ZHEJIANG, entry.name) == set()
        await case.rig.restore(ZHEJIANG, JIANGXI)
        await case.settled()
        await case.invites(STRANGER, "village")

        assert open_fields(case, JIANGXI, entry.name) == set()
        (line,) = await lines(case)
        assert (line.state, line.was_held) == (ErasureState.RECEIPTED, when == "it was delivered")
        assert (await case.view(TOWN)).notices == (await case.view(PEER)).notices == ()
        require_whole(case)


async def test_another_office_and_another_function_order_nothing(tmp_path: Path) -> None:
    """The list of what an office may order has its own entries alone; so has policy."""
    async with desks(tmp_path) as case:
        await case.open()
        await case.invites(PEER, "peer")
        entry = await case.does(TOWN, "add_party", PARTY, **BY_TOWN)
        node = case.rig[ZHEJIANG]
        (sent,) = each_sent(CASE, node.database, case.record, name=entry.name)
        for caller, why in ((POLICE, ORDER), (TOWN, act("erasure.order", "F10"))):
            question = ErasureQuestion(message_id=sent.message_id, words="x")
            assert not (await order_erasure(begin_errand(node, caller, why), question)).decision.allowed
        listed = await list_sent(begin_errand(node, TOWN, ORDER), SentQuery(recipient=JIANGXI))
        assert sent.message_id in {each.message_id for each in listed.messages}
        assert not (await list_sent(begin_errand(node, POLICE, ORDER), SentQuery(recipient=JIANGXI))).messages
        assert open_fields(case, JIANGXI, entry.name) == {"name", "county", "last4"}


@pytest.mark.parametrize("pulled", [True, False], ids=["after it was pulled", "before it was pulled"])
async def test_document_is_gone_at_both_sides_with_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulled: bool
) -> None:
    """Its bytes too, and nobody pulls it any more."""
    async with filed(tmp_path, monkeypatch) as (case, entry):
        if pulled:
            await read(case, PEER, entry)
            assert files(case) == 2
        await order(case, entry)
        await case.settled()

        assert files(case) == 0
        for office in (TOWN, PEER):
            assert await refused(case, office, entry) == "DOCUMENT_NOT_OPEN"
        assert [line.state for line in await lines(case)] == [ErasureState.RECEIPTED]


@pytest.mark.parametrize("away", [False, True], ids=["both are there", "one is away until after the end"])
async def test_items_of_a_letter_end_seven_days_after_the_case_at_both_sides(tmp_path: Path, away: bool) -> None:
    """Not when the messages grow old; who was away hears that the case is closed, and nothing of the items."""
    letter = CaseItem(kind="letter", fields={"number": "玉公协〔2126〕7号", "kind": "check"})
    async with desks(tmp_path, wait=0.1) as found:
        case = await carried_out(found, letter=letter)
        record: RecordId = case.record
        (entry,) = [
            kept for kept in load_held(CASE, case.rig[JIANGXI], record).kept.values() if kept.head.act == "fill_letter"
        ]
        assert open_fields(case, ZHEJIANG, entry.name) == {"number", "kind"}
        await case.does(POLICE, "report_impossible", tried="三次")
        await case.settled()
        await case.does(YUSHAN_POLICE, "confirm_result")
        await case.settled()
        case.rig.faults(JIANGXI, ZHEJIANG).cut = away
        await case.does(YUSHAN_POLICE, "close", outcome="impossible")
        if not away:
            await case.settled()
        case.rig.clock.advance(days=6)
        case.rig.put_in_force(case.rig.agreement)
        for name in (JIANGXI, ZHEJIANG):
            await settle_due(CASES_SHARED, case.rig[name])
            await destroy_ended(case.rig[name])
        assert open_fields(case, JIANGXI, entry.name) == {"number", "kind"}

        case.rig.clock.advance(days=1, seconds=1)
        await settle_due(CASES_SHARED, case.rig[JIANGXI])
        await destroy_ended(case.rig[JIANGXI])
        assert open_fields(case, JIANGXI, entry.name) == set()
        if away:
            await case.rig.restore(JIANGXI, ZHEJIANG)
            await destroy_ended(case.rig[JIANGXI])  # says anew what was never had
        for _ in range(2):
            await case.rig.drain()
            for name in (ZHEJIANG, JIANGXI):
                await settle_due(CASES_SHARED, case.rig[name])
                await destroy_ended(case.rig[name])
        await case.rig.drain()

        folded = load_held(CASE, case.rig[ZHEJIANG], record).state
        assert folded is not None
        assert folded.outcome == "impossible"
        assert open_fields(case, ZHEJIANG, entry.name) == set()
        require_whole(case)
