"""Whatever the links do: one alert for all, one holder or none, no stamp lost and none rewritten, no race with two winners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.alert import MAX_ENTRIES, Alert, AlertState, Stamp, step
from federation.domain.alert_due import each_due, next_due
from federation.domain.joint import Entry
from federation.domain.joint_record import Fold, Record
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from tests.domain.alert_ridge import (
    AGENCIES,
    CHANGSHAN,
    NIGHT,
    PUCHENG,
    QIUCHUAN,
    RULES,
    XIUNING,
    YUSHAN,
    A,
    F,
    J,
    Ridge,
    Z,
)

EXAMPLES = 100
SHUFFLES = 1_000
CANCEL = {"cap_id": "33082211100000_20260404021545_0", "why": "lifted"}
START = Alert(rules=RULES)

_DESKS = (QIUCHUAN, YUSHAN, QIUCHUAN, YUSHAN, PUCHENG, XIUNING, CHANGSHAN)
_NODES = (Z, J, F, A)
_STAGES = ("contacted", "arrived")
_ANSWERS = ("accept_hand_over", "accept_hand_over", "reject_hand_over", "withdraw_hand_over")
_LINKS = ((Z, J), (J, F), (F, A), (Z, A), _NODES, _NODES)
_OFTEN = (
    ("claim", _DESKS, (True, False)), ("stamp", _DESKS, _STAGES), ("holder stamps", _NODES, _STAGES),
    ("meet", _LINKS, (None,)),
)  # fmt: skip
_STEPS = (
    *(3 * _OFTEN), ("holder hands over", _NODES, _DESKS), ("answer", (None,), _ANSWERS), ("release", _DESKS, (None,)),
    ("time", (None,), range(1, 300)), ("alone", _NODES, (None,)),
)  # fmt: skip
_LAST = (("close", _DESKS, (None,)), ("cancel", _DESKS, (None,)), ("claim", _DESKS, (True,)))


def steps(random: Random) -> Iterator[tuple[str, object, object]]:
    """What desks and links do, and seldom an end before the last of it."""
    for kind, who, what in (*random.choices(_STEPS, k=35), *random.choices(_LAST, k=1), *random.choices(_STEPS, k=5)):
        yield kind, random.choice(who), random.choice(what)


def node_of(desk: str) -> NodeName:
    return NodeName(AGENCIES[desk].partition("/")[0])


def brings(ridge: Ridge, node: NodeName, *, arbiter_away: bool = False) -> None:
    """A node writes what time brings."""
    for act, fields in list(each_due(ridge.at(node), node=node, now=ridge.now, arbiter_away=arbiter_away)):
        ridge.does(QIUCHUAN, act, by=node, **fields)
    following = next_due(ridge.at(node), node=node, arbiter_away=arbiter_away)
    assert following is None or following > ridge.now  # nothing is asked for again and again


def play(ridge: Ridge, kind: str, who: object, what: object) -> None:
    if kind == "time":
        ridge.later(what)
    elif kind == "meet":
        ridge.meet(*who)
        brings(ridge, Z)
    elif kind == "alone":
        brings(ridge, who, arbiter_away=True)
    elif kind == "claim":
        ridge.does(who, "claim", **({"local": "yes"} if what else {}))
    elif kind == "stamp":
        ridge.does(who, "stamp", stage=what, reason="seen at once")
    elif kind == "holder stamps":
        hold = ridge.at(who).hold
        if hold is not None:
            ridge.does(hold.desk, "stamp", stage=what, reason="seen at once")
    elif kind == "holder hands over":
        hold = ridge.at(who).hold
        if hold is not None:
            ridge.does(hold.desk, "hand_over", to=what)
    elif kind == "answer":
        offers = [offer for node in _NODES if (offer := ridge.at(node).offer) is not None]
        if offers and offers[0].name in {entry.name for entry in ridge.nodes[node_of(offers[0].to)].order}:
            reason = {"reason": "no crew"} if what.startswith("reject") else {}
            ridge.does(offers[0].to, what, about=offers[0].name, **reason)
    elif kind == "release":
        ridge.does(who, "release", reason="not ours")
    elif kind == "close":
        ridge.does(who, "close", result="handled", by_phone="yes", reason="solved")
    else:
        ridge.does(who, "cancel", **CANCEL)


def all_stamps(alert: Alert) -> Counter[Stamp]:
    return Counter(replace(stamp, early=False) for stamp in (*alert.stamps.values(), *alert.later))


def states(record: Record) -> list[Alert]:
    found, barred = [START], record.barred
    for entry in record.order:
        found.append(step(found[-1], entry, barred.get(entry.name)))
    return found


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**40))
def test_links_come_and_go(seed: int) -> None:
    """All see one alert, with one holder or none; every stamp stays as it was made; nobody holds by accident."""
    ridge, random = Ridge(), Random(seed)
    ridge.raises()
    for each in steps(random):
        ridge.later(1)
        play(ridge, *each)
    ridge.meet()
    brings(ridge, Z)
    alert = ridge.agreed()
    entries = list(ridge.nodes[Z].order)
    random.shuffle(entries)
    assert Fold(Record(ridge.record, entries), start=START, step=step).state == alert

    for before, after in pairwise(states(ridge.nodes[Z])):
        assert not all_stamps(before) - all_stamps(after)  # none lost, none rewritten
        assert after.raised is None or after.dispatched == NIGHT
        held = before.hold is not None and after.hold is not None and before.hold.desk != after.hold.desk
        assert not held or after.named[after.hold.by].head.act == "accept_hand_over"
        assert (after.hold is None) or (after.ended is None and after.hold.desk in after.held)
        if after.hold is not None and after.named[after.hold.by].head.act == "claim":
            claim = after.named[after.hold.by].head
            assert (after.hold.desk, claim.at) in {(stamp.desk, stamp.at) for stamp in all_stamps(after)}
    kept = [done.head for done in alert.named.values() if done.head.act == "stamp"]
    made = [stamp for stamp in all_stamps(alert).elements() if stamp.stage is not AlertState.ACCEPTED]
    assert sorted((stamp.at, stamp.desk) for stamp in made) == sorted((head.at, head.fields["desk"]) for head in kept)
    came_second = {entry.name for entry in (*alert.lost, *alert.asked)}
    claims = [done.head for name, done in alert.named.items() if done.head.act == "claim" and name not in came_second]
    accepted = {(stamp.desk, stamp.at) for stamp in all_stamps(alert)}
    assert all((head.fields["desk"], head.at) in accepted for head in claims)
    told = [entry.head for entry in ridge.nodes[Z].order if entry.name in alert.named]
    for act, what in (("overdue", "stage"), ("escalate", "rung")):
        once = Counter(head.fields[what] for head in told if head.act == act)
        assert set(once.values()) <= {1}


def test_claim_that_the_arbiter_receipted_helps_where_a_local_one_comes_first() -> None:
    """Two provinces claim by the arbiter, or apart from it: whoever is first in the order, no stamp of either is lost."""
    first = set()
    for seconds in range(1, 13):
        ridge = Ridge()
        ridge.raises()
        ridge.later(seconds)
        for _ in range(seconds % 4):  # what it wrote before places its claim later in the order
            ridge.does(YUSHAN, "note")
        ridge.does(YUSHAN, "claim", local="yes")
        claim = ridge.does(PUCHENG, "claim")
        ridge.receipts(claim)
        ridge.meet(Z, F)
        ridge.later(5)
        stamp = ridge.does(PUCHENG, "stamp", stage="contacted")
        ridge.meet()
        alert = Fold(ridge.nodes[Z], start=START, step=step).state
        assert alert.hold is not None
        assert {alert.hold.desk, *alert.helpers} == {YUSHAN, PUCHENG}
        assert stamp.name in alert.named
        first.add(alert.hold.desk)
    assert first == {YUSHAN, PUCHENG}


def test_cancel_and_update_before_alert() -> None:
    """A cancel and updates that arrive before their alert, in a thousand orders: nothing shows before, then one result."""
    ridge = Ridge()
    first = ridge.does(QIUCHUAN, "raise", status="Actual", kind="dispute", agreement=1, **ridge.content())
    second = ridge.later(10).does(QIUCHUAN, "update", about=first.name, **ridge.content(area_m2=2))
    third = ridge.later(10).does(QIUCHUAN, "update", about=second.name, **ridge.content(area_m2=5))
    claim = ridge.does(CHANGSHAN, "claim")
    cancel = ridge.later(10).does(QIUCHUAN, "cancel", **CANCEL)
    entries, random = list(ridge.nodes[Z].order), Random(11)
    for _ in range(SHUFFLES):
        random.shuffle(entries)
        there = Fold(Record(ridge.record), start=START, step=step)
        for place, entry in enumerate(entries):
            there.add(entry)
            seen = there.state
            assert (seen.raised is not None) == (first in entries[: place + 1])
            assert seen.content in (None, first, second, third)
        assert (seen.state, seen.content, seen.ended and seen.ended.by) == (AlertState.CANCELLED, third, cancel.name)
        assert (seen == ridge.at(Z), claim.name in seen.named) == (True, True)


@pytest.mark.parametrize("lapses", [-0.001, 0, 0.001])
@pytest.mark.parametrize("crossing", ["third desk claims", "nobody else claims"])
def test_hand_over_races_with_lapse(lapses: float, crossing: str) -> None:
    """A hand-over is accepted around the moment of the lapse: never two holders, and nobody's alert is open to all."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(20).does(QIUCHUAN, "claim")
    offer = ridge.later(120).does(QIUCHUAN, "hand_over", to=YUSHAN)
    ridge.meet()
    due = ridge.at(Z).hold.due
    accepted = ridge.later(30).does(YUSHAN, "accept_hand_over", about=offer.name)  # on its way while the lease runs out
    ridge.now = due + timedelta(seconds=lapses)
    brings(ridge, Z)
    if crossing.startswith("third"):
        ridge.does(CHANGSHAN, "claim")
    ridge.meet()
    brings(ridge, Z)

    alert = ridge.agreed()
    if lapses < 0:
        assert alert.hold is not None
        assert (alert.hold.desk, alert.hold.by) == (YUSHAN, accepted.name)
    elif crossing.startswith("third"):
        assert alert.hold is not None
        assert (alert.hold.desk, ridge.refusal(accepted)) == (CHANGSHAN, "")
    else:
        assert (alert.hold, alert.state) == (None, AlertState.OPEN)
    holders = [state.hold.desk for state in states(ridge.nodes[Z]) if state.hold is not None]
    assert holders[0] == QIUCHUAN


def test_shift_change_before_lapse() -> None:
    """A shift changes while the lease runs out in 20 s: the desk holds on; an offer renews nothing, the new officer does."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(20).does(QIUCHUAN, "claim")
    ridge.later(160)
    due = ridge.at(Z).hold.due
    assert due - ridge.now == timedelta(seconds=20)
    ridge.does(QIUCHUAN, "hand_over", to=YUSHAN)
    assert ridge.at(Z).hold.due == due
    taken: Entry = ridge.later(10).does(QIUCHUAN, "note", officer="o-2")
    alert = ridge.agreed()
    assert alert.hold is not None
    assert (alert.hold.desk, alert.hold.due) == (QIUCHUAN, ridge.now + timedelta(minutes=3))
    assert alert.named[taken.name].head.officer == "o-2"


def test_arbiter_is_gone_for_good() -> None:
    """The arbiter dies after the receipt of the claim: the holder's node tells what time brings, once, and the alert goes on."""
    ridge = Ridge()
    ridge.raises()
    ridge.receipts(ridge.later(70).does(YUSHAN, "claim"))
    ridge.meet()
    for seconds in (60, 60, 60, 400, 400):
        ridge.later(seconds)
        for node in (J, F, A):
            brings(ridge, node, arbiter_away=True)
        ridge.meet(J, F, A)
    ridge.does(YUSHAN, "claim", local="yes")
    ridge.later(60).does(YUSHAN, "stamp", stage="contacted")
    ridge.later(60).does(YUSHAN, "stamp", stage="arrived")
    brings(ridge, J, arbiter_away=True)
    ridge.meet(J, F, A)

    alert = ridge.at(F)
    told = Counter(entry.head.act for entry in ridge.nodes[F].order if entry.head.officer is None and entry.author == J)
    assert told == {"escalate": 2, "overdue": 3, "lapse": 1}
    assert (alert.state, alert.hold and alert.hold.desk) == (AlertState.ARRIVED, YUSHAN)
    assert sorted(alert.overdue) == ["accepted", "arrived", "contacted"]
    assert alert == ridge.at(J) == ridge.at(A)


def test_nobody_fills_an_alert_up_for_the_others() -> None:
    """A desk that writes without end has no effect any more, and nobody else's claim or stamp waits for that."""
    ridge = Ridge()
    ridge.raises()
    notes = [ridge.does(YUSHAN, "note") for _ in range(MAX_ENTRIES + 1)]
    assert (ridge.refusal(notes[-2]), ridge.refusal(notes[-1])) == ("", "ALERT_FULL")
    ridge.later(20).does(QIUCHUAN, "claim")
    ridge.later(20).does(QIUCHUAN, "stamp", stage="contacted")
    alert = ridge.agreed()
    assert (alert.state, alert.hold and alert.hold.desk) == (AlertState.CONTACTED, QIUCHUAN)
