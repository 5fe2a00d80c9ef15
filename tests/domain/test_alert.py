"""An alert of several provinces: one desk holds it, no stamp is lost, and every member sees the same alert.

The interleavings are those that duty desks know.
"""

from __future__ import annotations

from datetime import timedelta

from federation.domain.alert import AlertState
from federation.domain.alert_acts import ALERT_ACTS, ALERT_REASONS
from federation.domain.joint import Entry
from federation.protocol.ids import format_time
from tests.domain.alert_ridge import (
    AGENCIES,
    CHANGSHAN,
    EMERGENCY,
    LEADER,
    NIGHT,
    PUCHENG,
    QIUCHUAN,
    YUSHAN,
    F,
    J,
    Ridge,
    Z,
)

OTHER = "jiangxi/01936000-0000-7000-8000-000000000002"


def held() -> Ridge:
    """Claimed by the desk that raised it, 20 s after."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(20).does(QIUCHUAN, "claim")
    return ridge


# ---- straight on ----------------------------------------------------------------------------------------------------


def test_straight_on() -> None:
    """An alert is claimed, reached and closed, each stage in its time."""
    ridge = held()
    ridge.later(60).does(QIUCHUAN, "stamp", stage="contacted")
    ridge.later(400).does(QIUCHUAN, "stamp", stage="arrived")
    assert ridge.agreed().state is AlertState.ARRIVED

    ridge.later(60).does(QIUCHUAN, "close", result="handled")

    alert = ridge.agreed()
    assert (alert.state, alert.hold, len(alert.without_effect)) == (AlertState.CLOSED, None, 0)
    assert [alert.attained(stage) for stage in ("accepted", "contacted", "arrived")] == [True, True, True]
    assert alert.stamps["arrived"].measured - alert.dispatched == timedelta(seconds=480)


def test_late_stamp() -> None:
    """A stamp at the limit is in time; a millisecond later it is late, and counts."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(60.001).does(QIUCHUAN, "claim")
    assert ridge.agreed().attained("accepted") is False

    ridge = Ridge()
    ridge.raises()
    ridge.later(60).does(QIUCHUAN, "claim")
    assert ridge.agreed().attained("accepted") is True


def test_remote_area() -> None:
    """Arrival in remote areas has thirty minutes, unless a town is among them."""
    for areas, due in ((("tri.qixi",), 30), (("tri.qixi", "330822.circle.qiuchuan"), 10), ((), 10)):
        ridge = Ridge()
        ridge.raises(area=areas)
        assert ridge.agreed().due("arrived") == NIGHT + timedelta(minutes=due)


def test_stages_in_order() -> None:
    """Who arrived without having been in contact says why."""
    ridge = held()
    early = ridge.later(30).does(QIUCHUAN, "stamp", stage="arrived")
    assert ridge.refusal(early) == "STAMP_OUT_OF_ORDER"
    ridge.later(1).does(QIUCHUAN, "stamp", stage="arrived", reason="found on the way")
    assert ridge.agreed().stage is AlertState.ARRIVED


def test_first_stamp() -> None:
    """The first stamp of a stage counts and the next one stays as a note."""
    ridge = held()
    ridge.later(30).does(QIUCHUAN, "stamp", stage="contacted")
    ridge.later(30).does(QIUCHUAN, "stamp", stage="contacted")
    alert = ridge.agreed()
    assert alert.stamps["contacted"].at == NIGHT + timedelta(seconds=50)
    assert [stamp.at for stamp in alert.later] == [NIGHT + timedelta(seconds=80)]


def test_holder_only() -> None:
    """Nobody but the holder stamps, gives back, hands over or closes."""
    ridge = held()
    ridge.meet()
    tried = [
        ridge.does(CHANGSHAN, "stamp", stage="contacted"),
        ridge.does(CHANGSHAN, "release", reason="not ours"),
        ridge.does(CHANGSHAN, "hand_over", to=YUSHAN),
        ridge.does(CHANGSHAN, "close", result="handled"),
    ]
    assert {ridge.refusal(entry) for entry in tried} == {"NOT_HOLDER"}


def test_close_without_arrival() -> None:
    """Who closes without arrival says that it was solved by phone, and why."""
    ridge = held()
    assert ridge.refusal(ridge.does(QIUCHUAN, "close", result="handled")) == "CLOSE_UNARRIVED"
    assert ridge.refusal(ridge.does(QIUCHUAN, "close", result="handled", by_phone="yes")) == "CLOSE_UNARRIVED"
    ridge.does(QIUCHUAN, "close", result="handled", by_phone="yes", reason="both sides calmed down")
    assert ridge.agreed().state is AlertState.CLOSED


def test_desk_that_may_not() -> None:
    """A desk without the kind, or of another agency than it says, has no effect."""
    ridge = Ridge()
    ridge.raises()
    assert ridge.refusal(ridge.does(LEADER, "claim")) == "DESK_NOT_FOR_KIND"
    false = ridge.does(QIUCHUAN, "claim", agency=AGENCIES[CHANGSHAN])
    assert ridge.refusal(false) == "DESK_NOT_OF_AGENCY"


# ---- holding and handing over ---------------------------------------------------------------------------------------


def test_two_claims() -> None:
    """Two desks claim at once: the first in the arbiter's log holds. Both claims stay visible, the second without effect, and its desk is told who holds."""
    ridge = Ridge()
    ridge.raises()
    jiangxi = ridge.later(30).does(YUSHAN, "claim")
    fujian = ridge.later(0.05).does(PUCHENG, "claim")
    assert ridge.at(J).hold is None  # not before the arbiter has it

    ridge.receipts(fujian)
    ridge.receipts(jiangxi)

    alert = ridge.agreed()
    assert alert.hold is not None
    assert (alert.hold.desk, [entry.head.fields["desk"] for entry in alert.lost]) == (PUCHENG, [YUSHAN])
    assert ridge.refusal(ridge.does(YUSHAN, "claim")) == "HELD_BY_OTHER"


def test_two_local_claims() -> None:
    """Two local claims meet: the order says who leads. The other helps, its stamps stay, the earlier acceptance is the one that is measured."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(10).does(YUSHAN, "claim", local="yes")
    ridge.later(5).does(PUCHENG, "claim", local="yes")
    ridge.later(60).does(YUSHAN, "stamp", stage="contacted")
    ridge.does(PUCHENG, "stamp", stage="contacted")

    alert = ridge.agreed()
    assert alert.hold is not None
    assert alert.helpers == {YUSHAN, PUCHENG} - {alert.hold.desk}
    assert alert.stamps["accepted"].at == NIGHT + timedelta(seconds=10)
    assert alert.stamps["accepted"].early is (alert.hold.desk != YUSHAN)
    assert {stamp.desk for stamp in (*alert.stamps.values(), *alert.later)} == {YUSHAN, PUCHENG}
    assert len(alert.stamps) + len(alert.later) == 4


def test_hand_over_after_lapse() -> None:
    """A hand-over whose lease lapsed is not accepted: a third desk claimed meanwhile, and holds."""
    ridge = held()
    claim = ridge.nodes[Z].order[-1]
    offer = ridge.later(150).does(QIUCHUAN, "hand_over", to=YUSHAN)
    ridge.later(30).does(QIUCHUAN, "lapse", by=Z, about=claim.name, due=format_time(ridge.now))
    ridge.does(CHANGSHAN, "claim")
    ridge.meet()
    accepted = ridge.later(1).does(YUSHAN, "accept_hand_over", about=offer.name)

    alert = ridge.agreed()
    assert alert.hold is not None
    assert (alert.hold.desk, ridge.refusal(accepted)) == (CHANGSHAN, "HAND_OVER_LAPSED")


def test_hand_over_withdrawn() -> None:
    """A hand-over is withdrawn while it is accepted: it is as whichever the arbiter has first; nobody is ever a second holder."""
    for first in ("accept", "withdraw"):
        ridge = held()
        offer = ridge.later(5).does(QIUCHUAN, "hand_over", to=YUSHAN)
        ridge.meet()
        accepted = ridge.later(5).does(YUSHAN, "accept_hand_over", about=offer.name)
        if first == "accept":
            ridge.receipts(accepted)
        withdrawn = ridge.later(1).does(QIUCHUAN, "withdraw_hand_over", about=offer.name)
        if first == "withdraw":
            ridge.receipts(accepted)
        alert = ridge.agreed()
        assert alert.hold is not None
        expected = YUSHAN if first == "accept" else QIUCHUAN
        assert alert.hold.desk == expected
        if first == "accept":
            assert ridge.refusal(withdrawn) == "NOT_HOLDER"


def test_hand_over() -> None:
    """先接后移: who hears acts first, T0 and its stamps stay; the holder answers until another has accepted."""
    ridge = held()
    ridge.later(30).does(QIUCHUAN, "stamp", stage="contacted")
    offer = ridge.later(5).does(QIUCHUAN, "hand_over", to=YUSHAN)
    ridge.meet()
    ridge.receipts(ridge.later(90).does(YUSHAN, "accept_hand_over", about=offer.name))
    alert = ridge.agreed()
    assert alert.hold is not None
    assert (alert.hold.desk, alert.stamps["accepted"].desk, alert.dispatched) == (YUSHAN, QIUCHUAN, NIGHT)

    late = held()
    offer = late.later(5).does(QIUCHUAN, "hand_over", to=YUSHAN)
    late.meet()
    late.receipts(late.later(90.001).does(YUSHAN, "accept_hand_over", about=offer.name))
    alert = late.agreed()
    assert alert.hold is not None
    assert (alert.hold.desk, alert.offer) == (QIUCHUAN, None)


def test_named_desk() -> None:
    """Only the named desk accepts or rejects, and a rejection leaves the holder."""
    ridge = held()
    offer = ridge.later(5).does(QIUCHUAN, "hand_over", to=YUSHAN)
    ridge.meet()
    for act, more in (("accept_hand_over", {}), ("reject_hand_over", {"reason": "no crew"})):
        assert ridge.refusal(ridge.does(CHANGSHAN, act, about=offer.name, **more)) == "NOT_OFFERED"
    ridge.does(YUSHAN, "reject_hand_over", about=offer.name, reason="no crew here tonight")
    alert = ridge.agreed()
    assert alert.hold is not None
    assert (alert.hold.desk, alert.offer) == (QIUCHUAN, None)


def test_lease() -> None:
    """A lease lapses when it is over and no earlier; every act of the holder prolongs it; stamps stay."""
    ridge = held()
    claim = ridge.nodes[Z].order[-1]
    due = ridge.now + timedelta(minutes=3)
    early = ridge.later(179).does(QIUCHUAN, "lapse", by=Z, about=claim.name, due=format_time(due))
    assert ridge.refusal(early) == "NOT_DUE"
    ridge.does(QIUCHUAN, "stamp", stage="contacted")
    old = ridge.later(2).does(QIUCHUAN, "lapse", by=Z, about=claim.name, due=format_time(due))
    assert ridge.refusal(old) == "NOT_DUE"
    due = NIGHT + timedelta(seconds=199, minutes=15)
    ridge.later(900).does(QIUCHUAN, "lapse", by=Z, about=claim.name, due=format_time(due))

    alert = ridge.agreed()
    assert (alert.state, alert.hold, sorted(alert.stamps)) == (AlertState.OPEN, None, ["accepted", "contacted"])


def test_lease_of_another_node() -> None:
    """The lease runs from the receipt of the arbiter, the stamp says when its own node had it."""
    ridge = Ridge()
    ridge.raises()
    claim = ridge.later(10).does(YUSHAN, "claim")
    ridge.later(7).receipts(claim)
    alert = ridge.agreed()
    assert alert.hold is not None
    assert alert.hold.due == ridge.now + timedelta(minutes=3)
    assert alert.stamps["accepted"].at == NIGHT + timedelta(seconds=10)

    contacted = ridge.later(60).does(YUSHAN, "stamp", stage="contacted")
    assert ridge.at(J).hold == alert.hold  # not before the arbiter has it
    ridge.later(3).receipts(contacted)
    alert = ridge.agreed()
    assert alert.hold is not None
    assert alert.hold.due == ridge.now + timedelta(minutes=15)


def test_what_time_brings() -> None:
    """The arbiter's node writes what time brings, or the holder's; each thing once, for its very time."""
    ridge = held()
    ridge.meet()
    due = format_time(NIGHT + timedelta(minutes=3))
    foreign = ridge.later(200).does(PUCHENG, "overdue", by=F, stage="contacted", due=due)
    assert ridge.refusal(foreign) == "ARBITER_ONLY"
    ridge.does(QIUCHUAN, "overdue", by=Z, stage="contacted", due=due)
    again = ridge.does(QIUCHUAN, "overdue", by=Z, stage="contacted", due=due)
    assert ridge.refusal(again) == "DONE_ALREADY"
    assert ridge.refusal(ridge.does(QIUCHUAN, "overdue", by=Z, stage="arrived", due=due)) == "NOT_DUE"


def test_ladder() -> None:
    """The ladder is climbed while nobody claims, each rung once and not before its time."""
    ridge = Ridge()
    ridge.raises()

    def rung(seconds: int) -> Entry:
        due = format_time(NIGHT + timedelta(seconds=seconds))
        return ridge.does(QIUCHUAN, "escalate", by=Z, rung=seconds, due=due)

    assert ridge.refusal(rung(40)) == "NOT_DUE"
    ridge.later(40)
    rung(40)
    assert ridge.refusal(rung(40)) == "DONE_ALREADY"
    ridge.later(30).does(CHANGSHAN, "claim")
    rung(60)
    ridge.later(60)
    assert ridge.refusal(rung(120)) == "NOT_DUE"
    assert ridge.agreed().rungs == {40, 60}


# ---- content and ends -----------------------------------------------------------------------------------------------


def test_cancel_before_alert() -> None:
    """A cancel and updates before their alert wait and show nothing; then it is ended at once, and the content is never a mix."""
    ridge = Ridge()
    first = ridge.does(QIUCHUAN, "raise", status="Actual", kind="dispute", agreement=1, **ridge.content())
    second = ridge.later(10).does(QIUCHUAN, "update", about=first.name, **ridge.content(area_m2=2))
    third = ridge.later(10).does(QIUCHUAN, "update", about=second.name, **ridge.content(area_m2=5))
    ridge.later(10).does(QIUCHUAN, "cancel", cap_id="33082211100000_20260404021545_0", why="false_alarm")
    for entry in reversed(ridge.nodes[Z].order):
        assert ridge.at(J).raised is None
        ridge.nodes[J].add(entry)
    alert = ridge.at(J)
    assert (alert.state, alert.content) == (AlertState.CANCELLED, third)


def test_two_updates() -> None:
    """Raiser and holder update at once: one content stands, the other one is a conflict."""
    ridge = Ridge()
    raised = ridge.raises()
    ridge.receipts(ridge.later(10).does(YUSHAN, "claim"))
    ridge.meet()
    one = ridge.later(5).does(QIUCHUAN, "update", about=raised.name, **ridge.content(area_m2=2))
    two = ridge.does(YUSHAN, "update", about=raised.name, **ridge.content(area_m2=3))
    content = ridge.agreed().content
    assert content in (one, two)
    assert sorted(map(ridge.refusal, (one, two))) == ["", "UPDATE_CONFLICT"]


def test_arrival_after_close() -> None:
    """An arrival synced after the alert was closed by phone: the stage is set and marked, the close stays."""
    ridge = held()
    ridge.later(30).does(QIUCHUAN, "stamp", stage="contacted")
    ridge.later(30).does(QIUCHUAN, "close", result="handled", by_phone="yes", reason="solved by phone")
    assert ridge.refusal(ridge.does(QIUCHUAN, "stamp", stage="arrived")) == "ALERT_ENDED"
    made = format_time(NIGHT + timedelta(seconds=300))
    ridge.later(1800).does(QIUCHUAN, "stamp", stage="arrived", made=made, device="pad-3")

    alert = ridge.agreed()
    assert (alert.state, alert.stage) == (AlertState.CLOSED, AlertState.ARRIVED)
    assert (alert.stamps["arrived"].made is not None, alert.attained("arrived")) == (True, True)


def test_claim_before_expiry() -> None:
    """A claim that the arbiter had before the end of validity: what is held does not expire; what nobody holds does, at its very time."""
    ridge = Ridge()
    ridge.raises()
    due = NIGHT + timedelta(hours=24)
    ridge.later(86_398)
    ridge.receipts(ridge.does(YUSHAN, "claim"))
    expired = ridge.later(2).does(QIUCHUAN, "expire", by=Z, due=format_time(due))
    assert (ridge.refusal(expired), ridge.agreed().state) == ("STILL_HELD", AlertState.ACCEPTED)

    ridge = Ridge()
    ridge.raises()
    early = ridge.later(86_399).does(QIUCHUAN, "expire", by=Z, due=format_time(due))
    assert ridge.refusal(early) == "NOT_DUE"
    ridge.later(1).does(QIUCHUAN, "expire", by=Z, due=format_time(due))
    claim = ridge.later(1).does(QIUCHUAN, "claim")
    assert (ridge.agreed().state, ridge.refusal(claim)) == (AlertState.EXPIRED, "ALERT_ENDED")


def test_cancel() -> None:
    """Only the raiser or its leader cancels, once; stamps stay."""
    said = {"cap_id": "33082211100000_20260404021545_0", "why": "false_alarm"}
    ridge = held()
    ridge.meet()
    assert ridge.refusal(ridge.does(YUSHAN, "cancel", **said)) == "NOT_RAISER"
    ridge.does(LEADER, "cancel", **said)
    assert ridge.agreed().state is AlertState.CANCELLED
    assert sorted(ridge.agreed().stamps) == ["accepted"]
    assert ridge.refusal(ridge.does(QIUCHUAN, "cancel", **said)) == "ALERT_ENDED"


def test_trigger() -> None:
    """The province is told once of a fire, at the very number, by what the content that stands says."""
    ridge = Ridge()
    raised = ridge.raises(EMERGENCY, kind="forest.fire", dead=2, area_m2=999_999)
    told = {number: ridge.does(EMERGENCY, "trigger", by=Z, number=number) for number in (2, 3)}
    assert {ridge.refusal(entry) for entry in told.values()} == {"NO_TRIGGER"}
    ridge.does(EMERGENCY, "update", about=raised.name, **ridge.content(dead=3, area_m2=1_000_000))
    for number in (2, 3):
        ridge.does(EMERGENCY, "trigger", by=Z, number=number)
    assert ridge.refusal(ridge.does(EMERGENCY, "trigger", by=Z, number=3)) == "DONE_ALREADY"
    assert ridge.refusal(ridge.later(86_399).does(EMERGENCY, "trigger", by=Z, number=5)) == "NO_TRIGGER"
    ridge.later(1).does(EMERGENCY, "trigger", by=Z, number=5)
    assert ridge.agreed().triggered == {2, 3, 5}

    quarrel = Ridge()
    quarrel.raises(dead=3)
    assert quarrel.refusal(quarrel.does(QIUCHUAN, "trigger", by=Z, number=3)) == "NO_TRIGGER"


def test_link() -> None:
    """An exercise is never linked to a real alert; a link is taken back by whoever could make it."""
    ridge = held()
    assert ridge.refusal(ridge.does(QIUCHUAN, "link", other=OTHER, status="Exercise")) == "LINK_STATUS"
    ridge.does(QIUCHUAN, "link", other=OTHER, status="Actual")
    assert ridge.agreed().links == {OTHER: {QIUCHUAN}}
    ridge.does(QIUCHUAN, "unlink", other=OTHER)
    assert ridge.agreed().links == {}


def test_form() -> None:
    """What is cited is there; a field or an act that nobody knows has no effect."""
    ridge = held()
    assert ridge.refusal(ridge.does(QIUCHUAN, "withdraw_hand_over", about="0" * 64)) == "CITES_NOTHING"
    assert ridge.refusal(ridge.does(QIUCHUAN, "note", colour="red")) == "ALERT_FORM"
    assert ridge.refusal(ridge.does(QIUCHUAN, "move", to="close")) == "ALERT_UNKNOWN_ACT"


def test_words() -> None:
    """Every reason and every act has its words in both languages."""
    assert all(zh and en for zh, en in ALERT_REASONS.values())
    assert all(each.zh and each.en for each in ALERT_ACTS.values())
