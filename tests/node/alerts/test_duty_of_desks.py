"""Duty and alerts together at their nodes: a change of shift, a desk that is gone, a duty sheet that changes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain import duty_roster as book
from federation.domain.alert import AlertState
from federation.domain.alert_rules import excuse_of
from federation.domain.alert_told import told_of
from federation.domain.case_items import CaseItem
from federation.node import duty
from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.joint import entries
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import format_time
from federation.protocol.keys import format_public_key
from federation.protocol.leaf import LeafKind
from federation.protocol.trust import Agreement
from federation.store.log_reader import find_leaf
from federation.wire.agency import duty as wire
from tests.node.alerts.border_desks import (
    CHANGSHAN,
    EMERGENCY,
    LEADER,
    POLICE,
    QIUCHUAN,
    YUSHAN,
    BorderDesks,
    border_desks,
)
from tests.node.rig import JIANGXI, ZHEJIANG, register_key
from tests.node.test_duty import CENTRE, KEYS, OFFICE, A, B, Shift

MOMENT = timedelta(milliseconds=1)
SHEET = "policies/duty/zhejiang.toml"
CIRCLE = '[[area]]\nid = "330822.circle.qiuchuan"\nname = "球川圈"\ntype = "circle"\ncounty = ["330822"]\nclass = '


def following(agreement: Agreement, *changed: tuple[str, str]) -> Agreement:
    """The next version, in which the sheet of Zhejiang says something else."""
    text = agreement.files[SHEET].decode()
    for before, after in changed:
        assert before in text, before
        text = text.replace(before, after)
    files = {**agreement.files, SHEET: text.encode()}
    return replace(agreement, version=agreement.version + 1, digest="cd" * 32, files=files)


async def put_in_force(border: BorderDesks, *changed: tuple[str, str]) -> None:
    """Both nodes have the next version, and their duty has had its round."""
    border.rig.put_in_force(following(border.rig[ZHEJIANG].trust.in_force.agreement, *changed))
    for name in border.rig.hosts:
        await entries.settle_due(ALERTS_SHARED, border.rig[name], is_new=True)
    await border.settled()


async def test_shift_changes_with_four_open_alerts_and_no_lease_is_lost(tmp_path: Path) -> None:
    """Scenario 15: three are held, one is overdue; both officers sign that list, and the desk goes on holding."""
    async with border_desks(tmp_path) as border:
        found = Shift(border.rig)
        for officer, key in KEYS.items():
            await register_key(found.node, OFFICE, officer, key=format_public_key(key.public_key))
        await found.on(A)
        records = []
        for number in range(4):
            await border.raises(QIUCHUAN)
            records.append(border.record)
            if number:
                await border.does(QIUCHUAN, "claim", officer=A)
        border.rig.clock.advance(seconds=70)
        for border.record in records:
            await border.settled()
        before = [border_alert(border, record) for record in records]

        await found.on(B)
        entry = await found.draft(A, B, "十点前回访王家坞")
        assert entry.alerts[0].record == records[0]
        assert {each.record for each in entry.alerts} == set(records)
        assert [each.overdue for each in entry.alerts] == [("accepted",), (), (), ()]
        assert [each.holder for each in entry.alerts] == ["", QIUCHUAN, QIUCHUAN, QIUCHUAN]
        await found.sign(entry, A)
        line = await found.sign(entry, B)

        assert book.verify_hand_over(line) == entry
        assert find_leaf(found.node.database, LeafKind.DUTY, book.digest_of(line)) is not None
        assert [border_alert(border, record) for record in records] == before
        border.record = records[1]
        await border.does(QIUCHUAN, "stamp", stage="contacted", officer=B)
        stamped = border.alert(ZHEJIANG).stamps["contacted"]
        assert (stamped.desk, stamped.officer) == (QIUCHUAN, B)


def border_alert(border: BorderDesks, record):
    border.record = record
    alert = border.alert(ZHEJIANG)
    return alert.state, alert.hold, dict(alert.stamps)


async def test_desk_with_nobody_on_is_passed_over_at_once(tmp_path: Path) -> None:
    """By an entry that says so; where no desk of the first step has anybody on, the next one rings without delay.

    A desk that keeps no book rings: silence is no empty desk.
    """
    async with border_desks(tmp_path) as border:
        found = Shift(border.rig)
        await found.on(A)
        await found.off(A)
        raised = await border.raises(CHANGSHAN)
        await border.settled()
        assert raised.line is not None
        alert = border.alert(ZHEJIANG)
        assert alert.skipped == {QIUCHUAN}
        assert told_of(alert).ringing(alert)[0] == CHANGSHAN

        empty = await duty.sign_on(found.errand("centre-1", CENTRE), wire.SigningOn(desk=CHANGSHAN))
        assert empty.line is not None
        await duty.sign_off(found.errand("centre-1", CENTRE), CHANGSHAN)
        await border.raises(CHANGSHAN)
        await border.settled()
        alert = border.alert(ZHEJIANG)
        assert alert.skipped == {QIUCHUAN, CHANGSHAN}
        assert (alert.rungs, set(told_of(alert).ringing(alert)) >= {POLICE, YUSHAN}) == (frozenset(), True)
        assert alert == border.alert(JIANGXI)


async def test_deputy_claims_once_the_desk_it_stands_in_for_is_empty(tmp_path: Path) -> None:
    """Not before: a desk that has somebody on is not passed over. Then it works to the end, seen so on both sides."""
    async with border_desks(tmp_path) as border:
        found = Shift(border.rig)
        await register_key(found.node, CENTRE, "centre-1", key=format_public_key(KEYS[A].public_key))
        await duty.sign_on(found.errand("centre-1", CENTRE), wire.SigningOn(desk=CHANGSHAN))
        await border.raises(CHANGSHAN)
        await border.settled()
        assert await refused(border, POLICE, "claim") == "DEPUTY_NOT_YET"
        offer = next(each for each in (await border.view(POLICE)).offers if each.act == "claim")
        assert (offer.possible, offer.reason) == (False, "DEPUTY_NOT_YET")
        await duty.sign_off(found.errand("centre-1", CENTRE), CHANGSHAN)
        await border.settled()

        assert border.alert(ZHEJIANG).skipped == {CHANGSHAN}
        await border.does(POLICE, "claim")
        await border.does(POLICE, "stamp", stage="contacted")
        await border.does(POLICE, "note", CaseItem(kind="fact", fields={"text": "已到界桩"}))
        await border.does(POLICE, "close", result="handled", by_phone="yes", reason="双方和解")
        await border.settled()
        alert = border.alert(JIANGXI)
        assert (alert.state, alert.stamps["accepted"].desk, alert) == ("closed", POLICE, border.alert(ZHEJIANG))


async def test_deputies_step_lets_them_claim_and_nobody_else(tmp_path: Path) -> None:
    """After a minute without a claim; a desk that neither has the kind nor stands in for one never does."""
    async with border_desks(tmp_path) as border:
        await border.raises(CHANGSHAN, kind="road.closed", expires=format_time(border.rig.clock() + timedelta(hours=2)))
        border.rig.clock.advance(seconds=59)
        await border.settled()
        assert await refused(border, EMERGENCY, "claim", kind="road.closed") == "DEPUTY_NOT_YET"
        border.rig.clock.advance(seconds=1)
        await border.settled()
        untold = await border.does(QIUCHUAN, "claim", kind="road.closed")
        assert not untold.decision.allowed
        assert await refused(border, EMERGENCY, "hand_over", kind="road.closed", to=POLICE) == "NOT_HOLDER"
        claimed = await border.does(EMERGENCY, "claim", kind="road.closed")
        assert claimed.line is not None
        assert claimed.line.holder == EMERGENCY
        assert await refused(border, POLICE, "claim", kind="road.closed") == "HELD_BY_OTHER"
        assert await refused(border, EMERGENCY, "hand_over", kind="road.closed", to=POLICE) == "DESK_NOT_FOR_KIND"


async def refused(border: BorderDesks, desk: str, act: str, *, kind: str = "dispute", **fields: str) -> str:
    """The reason for which a desk may not do an act now."""
    with pytest.raises(RuleError) as caught:
        await border.does(desk, act, kind=kind, **fields)
    return str(caught.value.facts["why"])


async def test_desk_that_is_off_the_sheets_while_it_holds_lets_go_at_once(tmp_path: Path) -> None:
    """Scenario 16: its lease ends, the alert rings again, its stamps stay; another desk goes on, the same on both sides."""
    async with border_desks(tmp_path) as border:
        await border.raises(CHANGSHAN)
        await border.does(QIUCHUAN, "claim")
        await border.does(QIUCHUAN, "stamp", stage="contacted")

        await put_in_force(
            border, (f'id = "{QIUCHUAN}"', 'id = "330822112.town"'), (f'"{QIUCHUAN}"', '"330822112.town"')
        )

        alert = border.alert(ZHEJIANG)
        assert (alert.state, alert.hold, set(alert.stamps)) == (AlertState.OPEN, None, {"accepted", "contacted"})
        assert alert == border.alert(JIANGXI)
        with pytest.raises(MalformedError, match="DUTY_DESK"):
            await border.does(QIUCHUAN, "claim")
        claimed = await border.does(CHANGSHAN, "claim")
        assert claimed.line is not None
        assert (claimed.line.holder, claimed.line.state) == (CHANGSHAN, AlertState.CONTACTED)


async def test_sheet_that_changes_leaves_running_alerts_as_they_are(tmp_path: Path) -> None:
    """Scenario 20: the one that was raised before keeps its desk and its ten minutes, the next has the new table."""
    async with border_desks(tmp_path) as border:
        await border.raises(QIUCHUAN)
        await border.does(QIUCHUAN, "claim")
        await put_in_force(
            border, (f'{CIRCLE}"town"', f'{CIRCLE}"remote"'),
            (f'desks = ["{QIUCHUAN}", "{CHANGSHAN}"]', f'desks = ["{CHANGSHAN}"]'),
        )  # fmt: skip

        await border.does(QIUCHUAN, "stamp", stage="contacted")
        running = border.alert(ZHEJIANG)
        assert running.hold is not None
        assert (running.hold.desk, running.due("arrived") - running.dispatched) == (QIUCHUAN, timedelta(minutes=10))
        raised = await border.raises(CHANGSHAN)
        newer = border.alert(ZHEJIANG)
        assert newer.due("arrived") - newer.dispatched == timedelta(minutes=30)
        assert raised.line is not None
        assert QIUCHUAN not in raised.line.rings
        assert raised.line.rings[0] == CHANGSHAN


async def test_leader_excuses_a_late_stage_and_nobody_else_does(tmp_path: Path) -> None:
    """It is offered to the post that leads the desk, once the stage is late; a deputy and the other side are refused."""
    async with border_desks(tmp_path) as border:
        await border.raises(CHANGSHAN)
        border.rig.clock.advance(seconds=90)
        await border.does(CHANGSHAN, "claim")
        await border.settled()
        (offer,) = [each for each in (await border.view(CHANGSHAN)).offers if each.act == "excuse"]
        assert offer.possible
        for desk, stage, why in ((POLICE, "accepted", "NOT_LEADER"), (LEADER, "arrived", "NOT_LATE")):
            with pytest.raises(RuleError) as caught:
                await border.does(desk, "excuse", stage=stage, why="danger")
            assert caught.value.facts["why"] == why
        outcome = await border.does(LEADER, "excuse", stage="accepted", why="danger")
        assert outcome.decision.allowed
        await border.settled()
        assert excuse_of(border.alert(JIANGXI), "accepted") is not None


async def test_a_fraud_warning_shows_clocks_of_its_own(tmp_path: Path) -> None:
    """The list has its two stages alone; the stamp of the request to stop payment counts, one of another kind is refused."""
    async with border_desks(tmp_path) as border:
        await border.raises(POLICE, kind="fraud.telecom")
        await border.does(POLICE, "claim", kind="fraud.telecom")
        outcome = await border.does(POLICE, "stamp", kind="fraud.telecom", stage="stop_asked")
        assert outcome.line is not None
        assert [(each.stage, each.at is None) for each in outcome.line.stages] == [
            ("stop_asked", False), ("visited", True)
        ]  # fmt: skip
        await border.raises(CHANGSHAN)
        await border.does(CHANGSHAN, "claim")
        with pytest.raises(RuleError) as caught:
            await border.does(CHANGSHAN, "stamp", stage="visited")
        assert caught.value.facts["why"] == "STAMP_NOT_OF_KIND"


async def test_node_reminds_of_the_hourly_update(tmp_path: Path) -> None:
    """Nothing a moment before the hour; one reminder at it, at both nodes, and the next one an hour later."""
    async with border_desks(tmp_path) as border:
        await border.raises(EMERGENCY, kind="flood", ticked="both_sides")
        told = []
        for ahead in (timedelta(hours=1) - MOMENT, MOMENT, timedelta(hours=1)):
            border.rig.clock.time += ahead
            await border.settled()
            made = border.alert(ZHEJIANG).named.values()
            told.append(sum(done.head.act == "remind" for done in made))
        assert told == [0, 1, 2]
        assert border.alert(JIANGXI) == border.alert(ZHEJIANG)
