"""Alerts of two provinces at their nodes: raised, claimed by one desk, stamped, handed over, ended, the same on both."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from federation.domain.alert import AlertState
from federation.domain.cap import Status
from federation.domain.case_items import CaseItem
from federation.node.alerts import steps
from federation.node.alerts.lists import NAMES
from federation.node.alerts.sharing import ALERTS_SHARED
from federation.node.joint import entries
from federation.protocol.errors import BridgeheadError, MalformedError, RuleError, UnavailableError
from federation.wire.agency.alerts import AlertQuery, AlertRaising, AlertWatch
from tests.node.alerts.border_desks import (
    CHANGSHAN,
    EMERGENCY,
    YUSHAN,
    YUSHAN_TOWN,
    BorderDesks,
    border_desks,
    one_by_one,
)
from tests.node.rig import JIANGXI, ZHEJIANG


def same(border: BorderDesks) -> None:
    one, other = border.alert(ZHEJIANG), border.alert(JIANGXI)
    assert one == other


def names_of(border: BorderDesks) -> list[str]:
    return [found.cap_id for found in NAMES.each(border.rig[ZHEJIANG].database)]


async def test_alert_is_on_the_neighbours_board_and_one_desk_has_it(tmp_path: Path) -> None:
    """Raised here, seen there silently; the neighbour claims, is receipted, and stamps; both fold the same."""
    async with border_desks(tmp_path) as border:
        raised = await border.raises()
        assert raised.decision.allowed, raised.decision
        assert raised.line is not None
        assert raised.line.rings
        assert (raised.line.areas, raised.line.area_names) == (("330822.circle.qiuchuan",), ("球川圈",))
        claimed = await border.does(YUSHAN, "claim")
        assert claimed.line is not None, claimed.decision
        assert (claimed.line.holder, claimed.line.local) == (YUSHAN, False)
        with pytest.raises(RuleError) as caught:
            await border.does(CHANGSHAN, "claim")
        assert caught.value.facts["why"] == "HELD_BY_OTHER"
        await border.does(YUSHAN, "stamp", stage="contacted")
        await border.does(YUSHAN, "stamp", stage="arrived")
        await border.does(YUSHAN, "close", result="handled")
        await border.settled()
        same(border)
        assert border.alert(ZHEJIANG).state is AlertState.CLOSED


async def test_ladder_climbs_to_the_second_while_nobody_claims(tmp_path: Path) -> None:
    """At 40, 60 and 120 s the arbiter's node writes each step once, and both nodes ring who is due."""
    async with border_desks(tmp_path) as border:
        await border.raises()
        for seconds, rung in ((39, set()), (1, {40}), (20, {40, 60}), (60, {40, 60, 120})):
            border.rig.clock.advance(seconds=seconds)
            for name in (ZHEJIANG, JIANGXI):
                await entries.settle_due(ALERTS_SHARED, border.rig[name])
            await border.settled()
            assert border.alert(ZHEJIANG).rungs == border.alert(JIANGXI).rungs == rung
        line = (await border.view(YUSHAN)).line
        assert line is not None
        assert YUSHAN in line.rings
        assert {"accepted"} == {stage.stage.value for stage in line.stages if stage.late}
        same(border)


async def test_claim_lapses_and_the_desk_that_asked_second_is_told_who_has_it(tmp_path: Path) -> None:
    """Three minutes without contact open the alert again; its stamp stays."""
    async with border_desks(tmp_path) as border:
        await border.raises()
        await border.does(CHANGSHAN, "claim")
        border.rig.clock.advance(seconds=181)
        await entries.settle_due(ALERTS_SHARED, border.rig[ZHEJIANG])
        await border.settled()
        alert = border.alert(JIANGXI)
        assert (alert.state, alert.hold) == (AlertState.OPEN, None)
        assert AlertState.ACCEPTED in alert.stamps
        claimed = await border.does(YUSHAN, "claim")
        assert claimed.line is not None
        assert claimed.line.holder == YUSHAN


async def test_claim_holds_by_the_own_node_while_the_arbiter_is_silent(tmp_path: Path) -> None:
    """Both claim with the link cut: healing says who leads, the other helps, and neither acceptance is lost."""
    async with border_desks(tmp_path) as border:
        await border.raises()
        await border.settled()
        for way in ((ZHEJIANG, JIANGXI), (JIANGXI, ZHEJIANG)):
            border.rig.faults(*way).cut = True
        border.rig[JIANGXI].contacts.failed(ZHEJIANG, UnavailableError("PEER_DOWN", "the link is cut"))
        there = await border.does(YUSHAN, "claim")
        assert there.line is not None
        assert (there.line.holder, there.line.local) == (YUSHAN, True)
        with pytest.raises(RuleError) as caught:
            await border.does(YUSHAN_TOWN, "claim")
        assert caught.value.facts["why"] == "HELD_BY_OTHER"
        here = await border.does(CHANGSHAN, "claim")
        assert here.line is not None
        assert here.line.holder == CHANGSHAN
        for way in ((ZHEJIANG, JIANGXI), (JIANGXI, ZHEJIANG)):
            border.rig.faults(*way).cut = False
        border.rig[JIANGXI].contacts.answered(ZHEJIANG)
        await border.settled()
        alert = border.alert(ZHEJIANG)
        assert alert.hold is not None
        assert {alert.hold.desk, *alert.helpers} == {YUSHAN, CHANGSHAN}
        same(border)


async def test_who_takes_over_at_another_node_acts_at_once(tmp_path: Path) -> None:
    """The acceptance is answered once the arbiter has receipted it: the next act of that desk is the holder's."""
    async with border_desks(tmp_path) as border:
        await border.raises()
        await border.does(CHANGSHAN, "claim")
        await border.does(CHANGSHAN, "stamp", stage="contacted")
        await border.does(CHANGSHAN, "hand_over", to=YUSHAN)
        taken = await border.does(YUSHAN, "accept_hand_over")
        assert taken.line is not None
        assert taken.line.holder == YUSHAN
        await border.does(YUSHAN, "stamp", stage="arrived")
        await border.settled()
        same(border)


async def test_exercise_is_on_no_list_and_no_stream_of_real_alerts(tmp_path: Path) -> None:
    """It has its own identifier, list and feed; a link between the two is refused."""
    async with border_desks(tmp_path) as border:
        real = await border.raises()
        drill = await border.raises(status="Exercise")
        assert real.line is not None
        assert drill.line is not None
        assert drill.line.cap_id[12:14] == "EX"
        listed = await steps.list_alerts(border.errand(CHANGSHAN), AlertQuery())
        assert [line.record for line in listed.lines] == [real.line.record]
        drills = await steps.list_alerts(border.errand(CHANGSHAN), AlertQuery(status=Status.EXERCISE))
        assert [line.record for line in drills.lines] == [drill.line.record]
        with pytest.raises(RuleError):
            await border.does(CHANGSHAN, "link", other=real.line.record, status="Actual")
        watched = steps.watch_alerts(border.errand(CHANGSHAN), AlertWatch(topic="desk:*"))
        async with aclosing(one_by_one(watched)) as stream:
            assert (await anext(stream)).line.record == real.line.record
            assert (await anext(stream)).line is None


async def test_colour_needs_its_issuer_and_a_kind_that_has_one(tmp_path: Path) -> None:
    """A dispute has none by law; a volunteer, a desk without the kind and a text with a number are refused."""
    async with border_desks(tmp_path) as border:
        for fields, reason in (
            ({"level": "red"}, "LEVEL_NONE"),
            ({"kind": "letters"}, "ALERT_KIND_UNKNOWN"),
        ):
            with pytest.raises(BridgeheadError) as caught:
                await border.raises(**fields)
            assert caught.value.reason == reason
        with pytest.raises(MalformedError) as personal:
            await border.raises(CHANGSHAN, CaseItem(kind="fact", fields={"text": "报警人13805700000"}))
        assert personal.value.reason == "TEXT_PERSONAL"


async def test_only_who_issued_a_colour_lowers_or_lifts_it(tmp_path: Path) -> None:
    """突发事件应对法 70: at the desk, too; what a county may not give is shown as proposed, whatever it is said to be."""
    issued = {"issued_by": "330822 常山县人民政府", "document": "常政发〔2026〕1号"}
    async with border_desks(tmp_path) as border:
        above = await border.raises(EMERGENCY, kind="flood", level="red", **issued)
        assert above.line is not None
        assert not above.line.issued
        raised = await border.raises(EMERGENCY, kind="flood", level="yellow", **issued)
        assert raised.line is not None
        assert raised.line.issued
        for act, fields in (
            ("update", {"level": "blue", "issued_by": "330800 衢州市人民政府"}),
            ("cancel", {"why": "lifted"}),
            ("cancel", {"why": "other"}),
            ("cancel", {"why": "lifted", "issued_by": "330800 衢州市人民政府"}),
        ):
            with pytest.raises(RuleError) as refused:
                await border.does(EMERGENCY, act, kind="flood", **fields)
            assert refused.value.reason == "LEVEL_ISSUER"
        lowered = await border.does(EMERGENCY, "update", kind="flood", level="blue")
        assert lowered.line is not None
        assert (lowered.line.level, lowered.line.issued) == ("blue", True)
        await border.does(EMERGENCY, "cancel", kind="flood", why="lifted", **issued)
        assert border.alert(ZHEJIANG).state is AlertState.CANCELLED


async def test_repeat_of_a_request_is_the_same_entry(tmp_path: Path) -> None:
    """Whatever the node filled in since: the time it expires, the identifier, who holds it."""
    async with border_desks(tmp_path) as border:
        asked = AlertRaising(fields={"desk": CHANGSHAN, "kind": "dispute"})
        key = "01936000-0000-7000-8000-000000000001"
        first = await steps.raise_alert(border.errand(CHANGSHAN, request_id=key), asked)
        border.rig.clock.advance(seconds=5)
        again = await steps.raise_alert(border.errand(CHANGSHAN, request_id=key), asked)
        assert first.entry is not None
        assert again.entry is not None
        assert again.entry.name == first.entry.name
        assert len(names_of(border)) == 2  # what was reserved, and the entry that has it


async def test_refused_raise_uses_up_no_identifier(tmp_path: Path) -> None:
    """Policy is asked first; an office whose function does not give it the kind takes no name of its desk."""
    async with border_desks(tmp_path) as border:
        asked = AlertRaising(fields={"desk": CHANGSHAN, "kind": "dispute"})
        refused = await steps.raise_alert(border.errand(CHANGSHAN, kind="forest.fire"), asked)
        assert not refused.decision.allowed
        assert names_of(border) == []


async def test_acceptance_waits_for_the_arbiters_word(tmp_path: Path) -> None:
    """Who accepts a hand-over at another node has the alert when the call returns, and may go on at once."""
    async with border_desks(tmp_path) as border:
        await border.raises()
        await border.does(CHANGSHAN, "claim")
        await border.does(CHANGSHAN, "stamp", stage="contacted")
        await border.does(CHANGSHAN, "hand_over", to=YUSHAN)
        accepted = await border.does(YUSHAN, "accept_hand_over")
        assert accepted.line is not None
        assert accepted.line.holder == YUSHAN
        arrived = await border.does(YUSHAN, "stamp", stage="arrived")
        assert arrived.entry is not None
        assert arrived.entry.without_effect == ""
