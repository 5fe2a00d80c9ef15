"""Joint cases at two nodes: one record for both, each seeing what it may; late, apart, refused, joined later."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from federation.domain.acts import ACTS
from federation.domain.joint_state import Case
from federation.node.exchange.errand import begin_errand
from federation.node.joint import acting, entries, lists, taking
from federation.node.joint.acting import read_fields
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.records import CASE, CASES
from federation.node.joint.steps import list_entries
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_agency_id
from federation.wire.agency.cases import EntryPage, EntryQuery
from tests.node.joint.desks import (
    BODY,
    CONTACT,
    NOTE,
    OFFICES,
    PARTY,
    PEER,
    PEER_BODY,
    STRANGER,
    TOWN,
    VILLAGE,
    Desks,
    desks,
    digest,
    with_offices,
)
from tests.node.rig import FUJIAN, JIANGXI, ZHEJIANG, act


def same(case: Desks) -> Case:
    """The case, which must be the same at both nodes."""
    one, other = case.held(ZHEJIANG).state, case.held(JIANGXI).state
    assert one is not None
    assert other is not None
    assert [entry.name for entry in case.held(ZHEJIANG).record.order] == [
        entry.name for entry in case.held(JIANGXI).record.order
    ]
    assert (one.stage, one.members, one.outcome, one.clocks) == (
        other.stage,
        other.members,
        other.outcome,
        other.clocks,
    )
    return one


async def register(case: Desks) -> None:
    await case.does(TOWN, "register", tags="joint_mediate", kind="path", division="330822", line="on_the_line")
    await case.does(TOWN, "add_party", PARTY, CONTACT, party="p1", side="A", role="applicant", county="330822")
    await case.does(TOWN, "add_party", party="p2", side="B", role="respondent", county="361123")
    await case.does(TOWN, "check_duplicates", hits="0")


async def test_case_is_opened_joined_and_the_same_at_both_nodes(tmp_path: Path) -> None:
    """Who joins late is sent by the author what it wrote before, and both fold the same case."""
    async with desks(tmp_path) as case:
        opened = await case.open()
        assert opened.line is not None
        assert opened.line.code.startswith("3308222026")
        await register(case)
        await case.invites(PEER, "peer")

        folded = same(case)
        assert folded.stage == "registration"
        assert folded.members.keys() == {TOWN, PEER}
        view = await case.view(PEER)
        assert view.line is not None
        assert view.line.code == opened.line.code
        assert view.notices == ()
        assert case.lines(PEER) == {opened.line.record: "registration"}


async def test_member_sees_the_fields_that_its_role_is_given_and_no_other(tmp_path: Path) -> None:
    """The counterpart is shown name, county and last four characters; the contact and the note stay closed."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        await case.does(TOWN, "note", NOTE)
        await case.invites(PEER, "peer")

        party = next(line for line in await case.entries(PEER) if line.act == "add_party")
        assert {item.kind: dict(item.fields) for item in party.items if item.fields} == {
            "party": {"name": "林甲", "county": "330822", "last4": "0011"}
        }
        assert {item.kind: item.closed for item in party.items if item.closed} == {"party": 1, "contact": 1}
        note = next(line for line in await case.entries(PEER) if line.act == "note")
        assert [(item.kind, item.closed) for item in note.items] == [("note", 1)]
        own = next(line for line in await case.entries(TOWN) if line.act == "note")
        assert own.items == (NOTE,)


async def test_what_both_sides_did_while_apart_is_folded_alike(tmp_path: Path) -> None:
    """With the line cut both go on; when it is back both hold all, in one order, and nothing was lost."""
    async with desks(tmp_path, wait=0.05) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        case.rig.faults(ZHEJIANG, JIANGXI).cut = case.rig.faults(JIANGXI, ZHEJIANG).cut = True
        mine = await case.does(TOWN, "move", to="acceptance")
        theirs = await case.does(PEER, "signpost", remedy="court", body="玉山县人民法院")
        assert [sent.state for sent in (*mine.deliveries, *theirs.deliveries)] == ["waiting", "waiting"]
        case.rig.faults(ZHEJIANG, JIANGXI).cut = case.rig.faults(JIANGXI, ZHEJIANG).cut = False
        await case.settled()

        folded = same(case)
        assert folded.stage == "acceptance"
        assert folded.done["signpost"][0].entry.name == theirs.name
        assert folded.without_effect == ()


async def test_act_that_the_case_does_not_allow_is_not_written_and_says_what_is_missing(tmp_path: Path) -> None:
    """The clerk is told the conditions, each with its rule; nothing is written."""
    async with desks(tmp_path) as case:
        await case.open()
        before = len(case.held(ZHEJIANG).kept)

        with pytest.raises(RuleError) as caught:
            await case.tries(TOWN, "move", to="acceptance")

        assert caught.value.reason == "CASE_ACT"
        assert "parties_named" in caught.value.message
        assert len(case.held(ZHEJIANG).kept) == before


def test_day_of_what_happened_is_no_day_to_come() -> None:
    """Wages first asked for next month, or a suit filed tomorrow, are slips of the hand; today is as good as any."""
    today = date(2026, 12, 1)
    fields = {"claim": "c1", "party": "p1", "kind": "wage"}
    for day in ("2026-12-01", "2025-01-31"):
        assert read_fields(ACTS, "add_claim", {**fields, "first_asked": day}, today=today)["first_asked"] == day
    for name, field in (("add_claim", "first_asked"), ("record_payment", "day"), ("file_suit", "filed")):
        with pytest.raises(MalformedError, match="a day that has come"):
            read_fields(ACTS, name, {field: "2026-12-02"}, today=today)
    assert read_fields(ACTS, "add_obligation", {"due": "2026-12-02"}, today=today)


async def test_case_of_others_is_not_there(tmp_path: Path) -> None:
    """An office that takes no part gets the logged no that a case which never was gets."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        view = await case.view(STRANGER)
        act = await case.tries(STRANGER, "note")

        assert (view.decision.allowed, view.line) == (False, None)
        assert (act.decision.allowed, act.line) == (False, None)
        case.case = "33082220260000019"
        assert (await case.view(STRANGER)).decision.policies == view.decision.policies


async def test_repeat_of_an_act_is_the_same_entry(tmp_path: Path) -> None:
    """The same request id gives the same entry, however often it is sent."""
    async with desks(tmp_path) as case:
        await case.open()
        key = "6f0c4a1e-1f3b-4a55-9a38-0c8f7f6b1d2a"
        one = await case.tries(TOWN, "check_duplicates", request_id=key, hits="0")
        two = await case.tries(TOWN, "check_duplicates", request_id=key, hits="0")

        assert one.entry is not None
        assert two.entry is not None
        assert one.entry.name == two.entry.name
        assert len(case.held(ZHEJIANG).kept) == 2


async def test_member_whose_role_sees_more_is_handed_the_places_again(tmp_path: Path) -> None:
    """A mediation body that joins is shown what the counterpart of its province was not, under the same commitment."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        before = next(line for line in await case.entries(PEER) if line.act == "add_party")
        peer_body = STRANGER.__class__(STRANGER.node, STRANGER.county, "mediation-body")
        await case.invites(peer_body, "mediator")

        after = next(line for line in await case.entries(peer_body) if line.act == "add_party")
        assert after.name == before.name
        assert sum(item.closed for item in after.items) < sum(item.closed for item in before.items)
        again = next(line for line in await case.entries(PEER) if line.act == "add_party")
        assert again.items == before.items
        same(case)


async def test_entry_that_was_handed_on_is_looked_at_again_only_when_others_may_see_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one more entry costs does not grow with the case; a new member, role or agreement has all looked at."""
    looked: list[str] = []
    look_at = entries._owed_to

    def counted(*about: Any, **rest: Any) -> object:
        looked.append(about[1].head.act)
        return look_at(*about, **rest)

    monkeypatch.setattr(entries, "_owed_to", counted)
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        looked.clear()
        for _ in range(3):
            await case.does(TOWN, "note", NOTE)
        every = len(case.held(ZHEJIANG).own)
        assert looked == ["note"] * 3
        looked.clear()
        case.rig[ZHEJIANG].folds.clear()  # as after a restart
        await entries.settle(CASES_SHARED, case.rig[ZHEJIANG], case.record)
        await entries.settle(CASES_SHARED, case.rig[ZHEJIANG], case.record)
        assert len(looked) == every
        looked.clear()
        case.rig.put_in_force(replace(case.rig.agreement, version=case.rig.agreement.version + 1))
        await entries.settle(CASES_SHARED, case.rig[ZHEJIANG], case.record)
        assert len(looked) == every
        looked.clear()
        await case.invites(PEER_BODY, "mediator")
        assert looked.count("add_party") >= 4


async def test_entry_is_settled_in_the_transaction_that_brings_it(tmp_path: Path) -> None:
    """One commit of its author and one of who is handed it, beside that of the receipt; another settling adds nothing."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        for caller, other in ((TOWN, PEER), (PEER, TOWN)):
            await case.does(caller, "note", NOTE)
            ours, theirs = (case.rig[office.node] for office in (caller, other))
            before = ours.database.epoch, theirs.database.epoch
            line = await case.does(caller, "note", NOTE)
            after = ours.database.epoch, theirs.database.epoch
            assert (after[0] - before[0], after[1] - before[1]) == (2, 1)
            assert [sent.state for sent in line.deliveries] == ["received"]
            for node in (ours, theirs):
                row, now = CASE.records.find(node.database, case.record), case.held(node.name)
                assert row is not None
                assert (row.entries, row.look) == (len(now.kept), lists.next_look(node, now.state))
                [listed] = CASES.each(node.database)
                assert listed == next(lists.case_lines(node, now.moment, step=row.step))
        same(case)
        await case.settled()


@pytest.mark.parametrize("dies", [ZHEJIANG, JIANGXI])
async def test_entry_that_was_committed_survives_the_death_of_either_side(tmp_path: Path, dies: NodeName) -> None:
    """The process dies right after the commit: what it wrote is handed on, taken in and listed once after its start."""
    async with desks(tmp_path, wait=0.05) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        await case.does(TOWN, "note", NOTE)
        await case.settled()
        asked, host = str(uuid4()), case.rig.hosts[dies]
        host.die_at = "after-commit"
        if dies == ZHEJIANG:
            with pytest.raises(BridgeheadError):
                await case.tries(TOWN, "note", NOTE, request_id=asked)
        else:
            outcome = await case.tries(TOWN, "note", NOTE, request_id=asked)
            assert outcome.entry is not None
            assert [sent.state for sent in outcome.entry.deliveries] == ["waiting"]
        await host.crash()
        host.open()
        host.start_delivery()
        await case.settled()

        repeated = await case.tries(TOWN, "note", NOTE, request_id=asked)
        assert repeated.entry is not None
        assert [sent.state for sent in repeated.entry.deliveries] == ["received"]
        assert [found.entry.name for found in same(case).done["note"]][1:] == [repeated.entry.name]
        for node in (case.rig[ZHEJIANG], case.rig[JIANGXI]):
            row = CASE.records.find(node.database, case.record)
            assert row is not None
            assert row.look == lists.next_look(node, case.held(node.name).state)


async def test_office_that_left_acts_no_more_and_keeps_what_it_read(tmp_path: Path) -> None:
    """Leaving is an entry like any other; after it nothing of that office counts, and nothing more is sent to it."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        await case.does(PEER, "leave")
        await case.settled()
        later = await case.tries(PEER, "note")
        await case.does(TOWN, "note")
        await case.settled()

        assert not later.decision.allowed
        assert (await case.view(PEER)).decision.allowed
        assert len(case.held(JIANGXI).kept) == len(case.held(ZHEJIANG).kept) - 1


async def test_two_offices_of_one_province_share_its_record(tmp_path: Path) -> None:
    """A village and a mediation body of the lead's province join without any message."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        for office, role in ((VILLAGE, "village"), (BODY, "body")):
            await case.does(TOWN, "invite", agency=str(office), role=role)
            await case.does(office, "join")

        assert {TOWN, VILLAGE, BODY} == case.held(ZHEJIANG).state.members.keys()
        assert case.held(JIANGXI).kept == {}
        assert digest("x")


async def test_entries_are_listed_page_by_page_and_no_made_up_token_is_taken(tmp_path: Path) -> None:
    """Pages together are the whole; a number, another office's token and nonsense are refused, not taken for a start."""
    async with desks(tmp_path) as case:
        await case.open()
        await register(case)
        await case.invites(VILLAGE, "village")

        async def page(caller: AgencyId, token: str) -> EntryPage:
            errand = begin_errand(case.rig[caller.node], caller, act(*case.why))
            return await list_entries(errand, EntryQuery(case=case.case, page_size=3, page_token=token))

        found, token = [], ""
        while page_found := await page(TOWN, token):
            found += page_found.lines
            if not (token := page_found.next_page_token):
                break
        assert found == list(await case.entries(TOWN))
        assert len(found) > 3
        for made_up in ("²", "3", "x" * 40, (await page(VILLAGE, "")).next_page_token):
            with pytest.raises(MalformedError, match="token"):
                await page(TOWN, made_up)


async def test_act_that_stands_is_answered_so_when_handing_it_on_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the office nor the other node is told that an entry failed which is durable; the duty hands it on later."""

    def breaks(*_: object) -> None:
        raise NotFoundError("CLOCK_FILE", "broken for the while")

    async with desks(tmp_path, wait=0.05) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        way = case.rig.faults(JIANGXI, ZHEJIANG)
        for each in (taking, acting):
            monkeypatch.setattr(each, "settled_with", lambda *_, **__: None)
        with monkeypatch.context() as broken:
            broken.setattr(entries, "_write_due", breaks)
            line = await case.does(PEER, "signpost", remedy="court", body="玉山县人民法院")
            with pytest.raises(NotFoundError):
                await entries.settle(CASES_SHARED, case.rig[JIANGXI], case.record)
            assert line.deliveries == ()
        way.hold = asyncio.Event()
        await entries.settle_due(CASES_SHARED, case.rig[JIANGXI])
        with monkeypatch.context() as broken:
            broken.setattr(entries, "_write_due", breaks)
            way.hold.set()
            await case.rig.drain()
            sent = next(line for line in await case.entries(PEER) if line.act == "signpost")
            assert [each.state for each in sent.deliveries] == ["received"]
        await case.settled()
        assert same(case).done["signpost"][0].entry.name == line.name


async def test_member_that_joins_late_is_handed_what_one_that_left_wrote(tmp_path: Path) -> None:
    """By that one, whose node is told of the invitation and of nothing more than heads."""
    far = parse_agency_id("fujian/350782/mediation-body")
    async with desks(tmp_path, (ZHEJIANG, JIANGXI, FUJIAN)) as case:
        case.rig.put_in_force(with_offices(case.rig.agreement, (*OFFICES, far)))
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        await case.does(PEER, "signpost", remedy="court", body="玉山县人民法院")
        await case.settled()
        await case.does(PEER, "leave")
        await case.settled()
        await case.does(TOWN, "add_party", PARTY, party="p3", side="A", role="guardian", county="330822")
        await case.settled()
        assert len(case.held(JIANGXI).kept) == len(case.held(ZHEJIANG).kept) - 1

        await case.invites(far, "mediator")

        late, lead = case.held(FUJIAN), case.held(ZHEJIANG)
        assert (late.record.pending, late.state) == ((), lead.state)
        assert PEER not in lead.state.members
        told = [line for line in await case.entries(PEER) if line.fields.get("party") == "p3"]
        assert [item.closed for line in told for item in line.items] == [len(PARTY.fields)]


async def test_act_of_an_officer_who_was_barred_meanwhile_is_taken_in_and_folded(tmp_path: Path) -> None:
    """Refused at the one that knew, what the others build on it would wait there for ever."""
    async with desks(tmp_path, wait=0.05) as case:
        await case.open()
        await register(case)
        await case.invites(PEER, "peer")
        case.rig.faults(ZHEJIANG, JIANGXI).cut = case.rig.faults(JIANGXI, ZHEJIANG).cut = True
        tie = await case.does(TOWN, "declare_tie", who=f"{PEER}#officer-7", tie="kin")
        barred = await case.tries(TOWN, "decide_recusal", officer="officer-8", about=tie.name, result="barred")
        assert barred.entry is not None
        for _ in range(3):
            await case.does(PEER, "signpost", remedy="court", body="玉山县人民法院")
        case.rig.faults(ZHEJIANG, JIANGXI).cut = case.rig.faults(JIANGXI, ZHEJIANG).cut = False
        await case.settled()

        folded = same(case)
        assert case.held(ZHEJIANG).record.pending == ()
        assert {why.reason for _, why in folded.without_effect} == {"OFFICER_RECUSED"}
        assert (await case.view(TOWN)).notices == ()
