"""What time brings of an alert is due at its very moment, once, by the node that may write it, and always has effect."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from federation.domain.alert import AlertState
from federation.domain.alert_due import each_due, next_due
from federation.domain.joint import Entry
from federation.domain.response import is_doubtful
from federation.protocol.ids import NodeName, format_time
from tests.domain.alert_ridge import CHANGSHAN, EMERGENCY, NIGHT, POLICE, QIUCHUAN, RULES, YUSHAN, J, Ridge, Z

MOMENT = timedelta(milliseconds=1)


def due(ridge: Ridge, node: NodeName = Z, *, arbiter_away: bool = False) -> list[str]:
    found = each_due(ridge.at(node), node=node, now=ridge.now, arbiter_away=arbiter_away)
    return [" ".join((act, *(str(fields[name]) for name in ("stage", "rung", "number") if name in fields)))
            for act, fields in found]  # fmt: skip


def upcoming(ridge: Ridge, node: NodeName = Z, *, arbiter_away: bool = False) -> datetime | None:
    return next_due(ridge.at(node), node=node, arbiter_away=arbiter_away)


def writes(ridge: Ridge, node: NodeName = Z, *, arbiter_away: bool = False) -> list[Entry]:
    """The node writes all that is due, and nothing of it is without effect."""
    asked = each_due(ridge.at(node), node=node, now=ridge.now, arbiter_away=arbiter_away)
    made = [ridge.does(QIUCHUAN, act, by=node, **fields) for act, fields in asked]
    assert {ridge.refusal(entry) for entry in made} <= {""}
    return made


def test_nobody_answers() -> None:
    """The ladder rings at 40, 60, 120, 300 and 600 s, each stage is overdue at its time, then the alert expires."""
    ridge = Ridge()
    ridge.raises()
    told: dict[float, list[str]] = {}
    while (moment := upcoming(ridge)) is not None:
        ridge.now = moment - MOMENT
        assert due(ridge) == []
        ridge.now = moment
        told[(moment - NIGHT).total_seconds()] = due(ridge)
        writes(ridge)
    assert told == {
        40: ["escalate 40"],
        60: ["escalate 60", "overdue accepted"],
        120: ["escalate 120"],
        180: ["overdue contacted"],
        300: ["escalate 300"],
        600: ["escalate 600", "overdue arrived"],
        86_400: ["expire"],
    }
    assert ridge.agreed().state is AlertState.EXPIRED


def test_a_fraud_warning_has_clocks_of_its_own() -> None:
    """Payment is to be stopped within ten minutes and the person visited within sixty; of 1-3-10 nothing is due."""
    ridge = Ridge()
    ridge.raises(POLICE, kind="fraud.telecom")
    ridge.later(30).does(POLICE, "claim")
    ridge.later(400).does(POLICE, "stamp", stage="stop_asked")
    ridge.now = NIGHT + timedelta(seconds=600)
    assert [each for each in due(ridge) if each.startswith("overdue")] == []
    ridge.now = NIGHT + timedelta(minutes=60)
    assert "overdue visited" in due(ridge)
    assert not any(stage in each for each in due(ridge) for stage in ("accepted", "contacted", "arrived", "stop_asked"))
    alert = ridge.agreed()
    assert (alert.attained("stop_asked"), alert.attained("visited")) == (True, None)


def test_water_is_sampled_within_four_hours() -> None:
    """The sample is late after 240 minutes and not before; one in time is not, and a fraud warning has none."""
    late, taken = Ridge(1), Ridge(2)
    for ridge in (late, taken):
        ridge.raises(EMERGENCY, kind="water.pollution")
        ridge.later(30).does(EMERGENCY, "claim")
    taken.later(600).does(EMERGENCY, "stamp", stage="sampled")
    late.now = NIGHT + timedelta(minutes=240) - MOMENT
    assert "overdue sampled" not in due(late)
    late.now = taken.now = NIGHT + timedelta(minutes=240)
    assert ("overdue sampled" in due(late), "overdue sampled" in due(taken)) == (True, False)
    assert taken.agreed().attained("sampled")
    fraud = Ridge(3)
    fraud.raises(POLICE, kind="fraud.telecom")
    fraud.does(POLICE, "claim")
    assert fraud.refusal(fraud.does(POLICE, "stamp", stage="sampled")) == "STAMP_NOT_OF_KIND"


@pytest.mark.parametrize("act", ["", "stamp", "box", "raise", "cancel", "close"])
def test_a_sensor_event_is_confirmed_or_rejected_within_five_minutes(act: str) -> None:
    """Stamp and box ticked are one word; who calls it false, or closes it, owes none; silence is late."""
    ridge = Ridge()
    raised = ridge.raises(CHANGSHAN, kind="perimeter.event", ticked=("confirmed",) if act == "raise" else ())
    ridge.later(30).does(CHANGSHAN, "claim")
    ridge.later(120)
    match act:
        case "stamp":
            ridge.does(CHANGSHAN, "stamp", stage="confirmed")
        case "box":
            ridge.does(CHANGSHAN, "update", about=raised.name, **ridge.content(ticked=("confirmed",)))
        case "cancel":
            ridge.does(CHANGSHAN, "cancel", cap_id="33082211100000_20260404021500_1", why="false_alarm")
        case "close":
            ridge.does(CHANGSHAN, "close", result="no_fault_found", by_phone="yes", reason="a deer")
    ridge.now = NIGHT + timedelta(minutes=5)
    assert ("overdue confirmed" in due(ridge)) is (act == "")
    assert ridge.agreed().attained("confirmed") is (True if act in ("stamp", "box", "raise") else None)
    assert not is_doubtful(ridge.agreed())


def test_node_that_was_down() -> None:
    """A node that was down for an hour writes all at once, first the receipt of the claim that waited."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(50).does(YUSHAN, "claim")
    ridge.meet()
    assert upcoming(ridge) == NIGHT
    ridge.later(3550)
    assert due(ridge) == ["receipt", "escalate 40", "overdue contacted", "overdue arrived"]
    writes(ridge)
    assert upcoming(ridge) == ridge.now + RULES.lease("accepted", (), ridge.now)


def test_claim_before_expiry() -> None:
    """A claim that waits at the end of validity is receipted, and what is held does not expire until it lapses."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(86_399).does(YUSHAN, "claim")
    ridge.meet()
    ridge.later(2)
    assert "expire" not in due(ridge)
    writes(ridge)
    ridge.later(180)
    assert due(ridge) == ["lapse", "expire"]


def test_kinds_without_clocks() -> None:
    """What is merely taken note of climbs no ladder and is never overdue; a kind with one clock is overdue by it."""
    ridge = Ridge()
    ridge.raises(EMERGENCY, kind="forest.risk")
    assert upcoming(ridge) == NIGHT + timedelta(hours=24)
    entry = ridge.later(700).does(EMERGENCY, "overdue", by=Z, stage="accepted", due="2026-04-03T18:16:00.000Z")
    assert ridge.refusal(entry) == "NOT_DUE"

    ridge = Ridge()
    ridge.raises(EMERGENCY, kind="flood")
    ridge.later(700)
    assert [each for each in due(ridge) if each.startswith("overdue")] == ["overdue contacted"]
    assert "escalate 600" in due(ridge)


def test_fire_that_burns() -> None:
    """A fire is told to the province when what is said of it holds, and when it has burnt for a day."""
    ridge = Ridge()
    ridge.raises(EMERGENCY, kind="forest.fire", dead=3, expires=format_time(NIGHT + timedelta(hours=48)))
    assert (upcoming(ridge), due(ridge)) == (NIGHT, ["trigger 3"])
    ridge.later(600)
    writes(ridge)
    assert upcoming(ridge) == NIGHT + timedelta(hours=24)
    ridge.now = NIGHT + timedelta(hours=24) - MOMENT
    assert due(ridge) == []
    ridge.later(0.001)
    assert due(ridge) == ["overdue flame_out", "trigger 5"]


def test_fire_whose_flame_is_out() -> None:
    """It is late no more and not told as one that burns for a day, though the alert is open: somebody watches the place."""
    ridge = Ridge()
    ridge.raises(EMERGENCY, kind="forest.fire", expires=format_time(NIGHT + timedelta(hours=48)))
    ridge.later(30).does(EMERGENCY, "claim")
    ridge.later(3600).does(EMERGENCY, "stamp", stage="flame_out")
    ridge.now = NIGHT + timedelta(hours=25)
    assert not {"overdue flame_out", "trigger 5"} & {*due(ridge)}
    assert ridge.refusal(ridge.does(EMERGENCY, "trigger", by=Z, number=5)) == "NO_TRIGGER"


def held_by_yushan() -> Ridge:
    """Claimed 10 s after T0 by a desk of another node, which the arbiter receipted."""
    ridge = Ridge()
    ridge.raises()
    ridge.receipts(ridge.later(10).does(YUSHAN, "claim"))
    ridge.meet()
    return ridge


def test_arbiter_dies() -> None:
    """The holder's node writes what is due while the arbiter is away, no other one, and the arbiter nothing twice."""
    ridge = held_by_yushan()
    ridge.later(180)
    assert due(ridge, J) == []  # the arbiter is there
    assert (upcoming(ridge, J), upcoming(ridge, NodeName("fujian"), arbiter_away=True)) == (None, None)
    assert due(ridge, J, arbiter_away=True) == ["overdue contacted", "lapse"]

    made = each_due(ridge.at(J), node=J, now=ridge.now, arbiter_away=True)
    for act, fields in list(made):
        ridge.does(YUSHAN, act, by=J, **fields)
    both = due(ridge)  # the arbiter was there after all, behind a broken link
    writes_at_once = [ridge.does(QIUCHUAN, "overdue", by=Z, stage="contacted", due="2026-04-03T18:18:00.000Z")]
    assert both == ["overdue contacted", "lapse"]
    alert = ridge.agreed()
    assert sorted(alert.overdue) == ["contacted"]
    assert len([each for each, _ in alert.without_effect if each.head.act == "overdue"]) == len(writes_at_once)
    assert due(ridge) == []


@pytest.mark.parametrize(("act", "kept"), [("stamp", True), ("hand_over", False)])
def test_holder_acts_without_arbiter(act: str, kept: bool) -> None:
    """A holder that acts while no receipt can renew its lease is not taken for silent; an offer renews nothing."""
    ridge = held_by_yushan()
    said = {"stage": "contacted"} if act == "stamp" else {"to": QIUCHUAN}
    ridge.later(100).does(YUSHAN, act, **said)
    ridge.later(80)
    assert ("lapse" in due(ridge, J, arbiter_away=True)) is not kept
    ridge.later(820)
    assert due(ridge, J, arbiter_away=True)[-1] == "lapse"


def test_ended() -> None:
    """Of what has ended nothing is due but the receipts of what came late."""
    ridge = held_by_yushan()
    ridge.later(1).does(QIUCHUAN, "cancel", cap_id="33082211100000_20260404021545_0", why="false_alarm")
    assert upcoming(ridge) is None
    ridge.later(9000).does(YUSHAN, "stamp", stage="contacted", made="2026-04-03T18:16:00.000Z", device="pad-3")
    ridge.meet()
    assert due(ridge) == ["receipt"]


HOUR = timedelta(minutes=60)


def reminders(ridge: Ridge) -> list[str]:
    return [each for each in due(ridge) if each == "remind"]


@pytest.mark.parametrize(("desk", "kind"), [(POLICE, "help.missing"), (EMERGENCY, "flood"), (CHANGSHAN, "road.closed")])
def test_update_is_asked_for_every_hour(desk: str, kind: str) -> None:
    """An hour after what was said last a reminder is due, once, and the next one an hour after it was written."""
    ridge = Ridge()
    ridge.raises(desk, kind=kind)
    ridge.now = NIGHT + HOUR - MOMENT
    assert reminders(ridge) == []
    writes(ridge)
    assert upcoming(ridge) == NIGHT + HOUR
    ridge.now = NIGHT + HOUR
    assert due(ridge) == ["remind"]
    writes(ridge)
    late = ridge.does(desk, "remind", by=Z, due=format_time(NIGHT + HOUR))
    assert (ridge.refusal(late), due(ridge), upcoming(ridge)) == ("NOT_DUE", [], NIGHT + 2 * HOUR)
    ridge.now = NIGHT + 5 * HOUR  # the node was down: it asks once, not for each hour
    assert reminders(ridge) == ["remind"]
    writes(ridge)
    assert (due(ridge), upcoming(ridge)) == ([], NIGHT + 6 * HOUR)
    ridge.now = NIGHT + timedelta(hours=24)
    writes(ridge)
    assert (ridge.agreed().state, upcoming(ridge)) == (AlertState.EXPIRED, None)


def test_update_in_time_moves_the_reminder() -> None:
    """Updated at 59 minutes, the next one is due an hour later; of a reminder that was written, too."""
    ridge = Ridge()
    said = ridge.raises(POLICE, kind="help.missing")
    for minutes in (59, 59 + 90):
        ridge.now = NIGHT + timedelta(minutes=minutes)
        writes(ridge)
        said = ridge.does(POLICE, "update", about=said.name, **ridge.content())
        assert ridge.refusal(said) == ""
        ridge.now += HOUR - MOMENT
        assert reminders(ridge) == []
        ridge.now += MOMENT
        assert reminders(ridge) == ["remind"]


def test_nobody_is_reminded_of_what_has_ended_or_has_no_such_clock() -> None:
    """A closed alert and a quarrel want no update, and a reminder about them is without effect."""
    ridge = Ridge()
    ridge.raises(POLICE, kind="help.missing")
    ridge.later(10).does(POLICE, "claim")
    assert ridge.refusal(ridge.later(60).does(POLICE, "close", result="handled", by_phone="yes", reason="已找到")) == ""
    ridge.now = NIGHT + HOUR
    assert (due(ridge), upcoming(ridge)) == ([], None)
    told = ridge.does(POLICE, "remind", by=Z, due=format_time(NIGHT + HOUR))
    assert ridge.refusal(told) == "ALERT_ENDED"

    ridge = Ridge()
    ridge.raises()
    ridge.now = NIGHT + HOUR
    assert reminders(ridge) == []
    assert ridge.refusal(ridge.does(QIUCHUAN, "remind", by=Z, due=format_time(NIGHT + HOUR))) == "NOT_DUE"


def test_only_the_arbiters_node_or_the_holders_reminds() -> None:
    """A node without a part in the alert reminds nobody; before its time nobody does."""
    ridge = Ridge()
    ridge.raises(POLICE, kind="help.missing")
    early = ridge.later(3599).does(POLICE, "remind", by=Z, due=format_time(NIGHT + HOUR))
    foreign = ridge.later(1).does(YUSHAN, "remind", by=J, due=format_time(NIGHT + HOUR))
    ridge.meet()
    assert (ridge.refusal(early), ridge.refusal(foreign)) == ("NOT_DUE", "ARBITER_ONLY")
