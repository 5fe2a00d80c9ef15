"""What may be one event is offered as a link, near in place and time and alike in kind; people alone make it one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.domain.alert import Alert
from federation.domain.alert_links import MAX_OFFERS, Offered, metres_between, offers_of_link
from federation.domain.response import Flag, Flagged, Period, attain, flags
from tests.domain.alert_ridge import CHANGSHAN, NIGHT, QIUCHUAN, Ridge

HERE = (28_900_000, 118_500_000)
KILOMETRE = 8_993  # of latitude, in millionths of a degree
PAIR = "pair.qiuchuan-shuangming"
TRAFFIC = {"kind": "traffic.minor", "division": ("330822",)}


def raised(number: int, after: float = 0, desk: str = CHANGSHAN, **fields: object) -> Ridge:
    ridge = Ridge(number).later(after)
    ridge.raises(desk, **fields)
    return ridge


def offered(one: Ridge, two: Ridge, *, apart: int | None = None) -> list[tuple[Offered, int, int | None]]:
    alerts = [one.agreed(), two.agreed()]
    places = (HERE, (HERE[0] + (apart or 0), HERE[1]))
    points = {} if apart is None else {a.raised.name: p for a, p in zip(alerts, places, strict=True) if a.raised}
    return [(each.why, each.seconds, each.metres) for each in offers_of_link(alerts, points)]


@pytest.mark.parametrize(
    ("after", "apart", "kind", "found"),
    [
        (180, KILOMETRE // 5, "traffic.accident", True),
        (900, KILOMETRE // 2, "traffic.minor", True),
        (901, KILOMETRE // 5, "traffic.minor", False),
        (180, KILOMETRE * 51 // 100, "traffic.minor", False),
        (180, KILOMETRE // 5, "help", False),
    ],
)
def test_crash_of_both_sides(after: int, apart: int, kind: str, found: bool) -> None:
    """One crash, called in on both sides: within 500 m, 15 min and a family of kinds it is offered as one."""
    one, two = raised(1, **TRAFFIC), raised(2, after, **(TRAFFIC | {"kind": kind}))
    metres = round(apart * 0.111195)
    assert offered(one, two, apart=apart) == ([(Offered.SAME_EVENT, after, metres)] if found else [])


def test_places_that_are_not_known() -> None:
    """Without both places an area or a town that both name is near; a county is not."""
    assert offered(raised(1, **TRAFFIC), raised(2, 60, **TRAFFIC)) == []
    in_pair = TRAFFIC | {"area": (PAIR,)}
    assert offered(raised(1, **in_pair), raised(2, 60, **in_pair)) == [(Offered.SAME_EVENT, 60, None)]
    in_town = TRAFFIC | {"division": ("330822111",)}
    assert offered(raised(1, **in_town), raised(2, 60, **in_town)) == [(Offered.SAME_EVENT, 60, None)]


def test_nobody_links() -> None:
    """Two records that nobody links count twice; linked from both sides they count once and are offered no more."""
    one, two = raised(1, desk=QIUCHUAN), raised(2, 60, desk=QIUCHUAN)
    day = Period(begin=NIGHT, end=NIGHT + timedelta(hours=1), cut=NIGHT + timedelta(days=1))

    def counted() -> tuple[int, int]:
        alerts: list[Alert] = [one.agreed(), two.agreed()]
        shown = attain(alerts, "accepted", day, measured={"dispute"}.__contains__)
        return len(shown.alerts), len(offered(one, two))

    assert counted() == (2, 1)
    one.does(QIUCHUAN, "link", other=two.record, status="Actual")
    assert counted() == (2, 1)
    two.does(QIUCHUAN, "link", other=one.record, status="Actual")
    assert counted() == (1, 0)


def test_exercise_is_no_event() -> None:
    """An exercise beside a real alert is never offered as one event."""
    said = {"desk": QIUCHUAN}
    assert offered(raised(1, **said), raised(2, 60, **said, status="Exercise")) == []


def test_false_alarm_raised_again() -> None:
    """Cancelled at 55 s and raised again at 70 s: offered as a repeat, both counted as they are, and listed."""
    one = raised(1, desk=QIUCHUAN)
    one.later(55).does(QIUCHUAN, "cancel", cap_id="33082211100000_20260404021545_0", why="false_alarm")
    between, two = raised(3, 62, desk=QIUCHUAN, division=("330822112",)), raised(2, 70, desk=QIUCHUAN)
    assert offered(one, two) == [(Offered.RAISED_AGAIN, 70, None)]
    assert offered(one, raised(4, 55 + 300, desk=QIUCHUAN)) == []
    found = flags([each.agreed() for each in (one, between, two)])
    assert found == (Flagged(Flag.RAISED_AGAIN, (one.record, two.record)),)


def test_many_offers() -> None:
    """A hundred calls about one event are not five thousand offers."""
    alerts = [raised(number, desk=QIUCHUAN).agreed() for number in range(MAX_OFFERS + 5)]
    offers = list(offers_of_link(alerts))
    assert max(sum(each.one == alert.first.record for each in offers) for alert in alerts) == MAX_OFFERS


def test_metres() -> None:
    """A hundredth of a degree is some 1,112 m to the north, and less to the east."""
    assert round(metres_between(HERE, (HERE[0] + 10_000, HERE[1]))) == 1112
    assert round(metres_between(HERE, (HERE[0], HERE[1] + 10_000))) == 973


def test_arrived_elsewhere() -> None:
    """An arrival more than 300 m from the place of the alert is listed."""
    ridge = raised(1, desk=QIUCHUAN)
    ridge.later(20).does(QIUCHUAN, "claim")
    ridge.later(60).does(QIUCHUAN, "stamp", stage="contacted")
    there = ridge.later(300).does(QIUCHUAN, "stamp", stage="arrived")
    alert = ridge.agreed()
    for metres, found in ((299, ()), (302, (Flagged(Flag.ARRIVED_ELSEWHERE, (ridge.record,), "o-1"),))):
        points = {
            str(alert.raised and alert.raised.name): HERE,
            there.name: (HERE[0] + KILOMETRE * metres // 1000, HERE[1]),
        }
        assert flags([alert], points) == found
