"""What 1-3-10 counts and leaves out, what is listed for a person to look at, and which numbers are never printed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from federation.domain.alert import Alert, AlertState
from federation.domain.response import Flag, Flagged, LeftOut, NoComparison, Period, attain, flags, year_on_year
from tests.domain.alert_ridge import CHANGSHAN, LEADER, NIGHT, QIUCHUAN, YUSHAN, Ridge

DAY = Period(begin=NIGHT - timedelta(hours=1), end=NIGHT + timedelta(hours=23), cut=NIGHT + timedelta(days=2))
TIMES = (20, 80, 400)


def lived(number: int, times: tuple[float, ...] = TIMES, **more: str) -> Ridge:
    """An alert whose desk reached the stages so many seconds after T0, as many as are given."""
    ridge = Ridge(number)
    ridge.raises(**more)
    acts = (("claim", {}), ("stamp", {"stage": "contacted"}), ("stamp", {"stage": "arrived"}))
    for at, (act, fields) in zip(times, acts, strict=False):
        ridge.now = NIGHT + timedelta(seconds=at)
        ridge.does(QIUCHUAN, act, **fields)
    return ridge


def seen(*ridges: Ridge) -> list[Alert]:
    return [ridge.agreed() for ridge in ridges]


def arrived(*ridges: Ridge, **more: object) -> object:
    return attain(seen(*ridges), AlertState.ARRIVED, DAY, measured={"dispute"}.__contains__, **more)


def test_attainment() -> None:
    """In time is what took no longer than the limit; who never came is late and stands behind all others."""
    times = [600, 600.001, *range(100, 280, 10)]
    found = arrived(*(lived(n, (20, 80, at)) for n, at in enumerate(times)), lived(99, (20, 80)))
    assert (len(found.alerts), found.in_time, found.missing) == (21, 19, 1)
    assert found.share == Fraction(19, 21)
    assert found.percentile(50) == timedelta(seconds=200)
    assert (found.percentile(90), found.percentile(100)) == (timedelta(seconds=600), None)
    assert [at for at, is_heaped in enumerate(found.heaped) if is_heaped] == [0]


def test_few() -> None:
    """Of fewer than five there are no percentiles, of fewer than twenty no share."""
    four = arrived(*map(lived, range(4)))
    assert (four.percentile(50), four.share, four.in_time) == (None, None, 4)
    assert arrived(*map(lived, range(5))).percentile(50) == timedelta(seconds=400)


def test_left_out() -> None:
    """An exercise, a kind without the clocks, another day, what was cancelled in time, what is not due yet."""
    cancelled, late = lived(4, (20,)), lived(5, (20,))
    said = {"cap_id": "33082211100000_20260404021545_0", "why": "false_alarm"}
    cancelled.later(500).does(QIUCHUAN, "cancel", **said)
    late.now = NIGHT + timedelta(seconds=601)
    late.does(QIUCHUAN, "cancel", **said)
    ridges = [lived(0, status="Exercise"), lived(1, kind="help"), cancelled, late]
    found = arrived(*ridges)
    assert {reason: len(records) for reason, records in found.left_out.items()} == {
        LeftOut.EXERCISE: 1,
        LeftOut.NOT_MEASURED: 1,
        LeftOut.CANCELLED: 1,
    }
    assert (len(found.alerts), found.in_time) == (1, 0)

    period = Period(begin=DAY.begin, end=NIGHT, cut=DAY.cut)
    other = attain(seen(lived(6)), AlertState.ARRIVED, period, measured=bool)
    assert set(other.left_out) == {LeftOut.OTHER_PERIOD}
    early = Period(begin=DAY.begin, end=DAY.end, cut=NIGHT + timedelta(seconds=600))
    assert set(attain(seen(lived(7)), AlertState.ARRIVED, early, measured=bool).left_out) == {LeftOut.NOT_DUE_YET}


def test_duplicates() -> None:
    """One of two alerts that are linked from both sides counts, the earlier; one link alone changes nothing."""
    one, two = lived(1), lived(2)
    one.does(QIUCHUAN, "link", other=two.record, status="Actual")
    assert len(arrived(one, two).alerts) == 2
    two.does(QIUCHUAN, "link", other=one.record, status="Actual")
    found = arrived(one, two)
    assert ([str(each.first.record) for each in found.alerts], found.left_out) == (
        [one.record],
        {LeftOut.DUPLICATE: (two.record,)},
    )


def test_doubtful_clock() -> None:
    """An entry that the arbiter had more than a minute before it was made, or a record that its node names."""
    for skew, counted in ((60, 1), (61, 0)):
        ridge = Ridge()
        ridge.raises()
        ridge.later(skew)
        claim = ridge.does(YUSHAN, "claim")
        ridge.later(-skew).receipts(claim)
        assert len(arrived(ridge).alerts) == counted
    assert list(arrived(lived(3), doubtful={lived(3).record}).left_out) == [LeftOut.CLOCK_DOUBTFUL]


@pytest.mark.parametrize("skew", [90, -90])
def test_clock_a_minute_and_a_half_off(skew: int) -> None:
    """An alert flows on while the holder's clock is off, its times are doubtful: none counts, none is listed as late."""
    ridge = Ridge()
    ridge.raises()
    for act, fields in (("claim", {}), ("stamp", {"stage": "contacted"}), ("stamp", {"stage": "arrived"})):
        ridge.later(60 + skew)
        entry = ridge.does(YUSHAN, act, **fields)
        ridge.later(1 - skew).receipts(entry)
        ridge.meet()
    (alert,) = seen(ridge)
    assert (alert.state, len(alert.without_effect)) == (AlertState.ARRIVED, 0)
    found = arrived(ridge)
    assert (found.alerts, found.times, list(found.left_out)) == ((), (), [LeftOut.CLOCK_DOUBTFUL])
    assert flags([alert]) == ()


def test_entered_late_and_excused() -> None:
    """A stamp of a device without a link counts by its own time and is told apart; a late one may have a reason."""
    ridge, late = lived(1, (20, 80)), lived(2, (20, 80))
    ridge.later(3000).does(QIUCHUAN, "stamp", stage="arrived", made="2026-04-03T18:20:00.000Z", device="pad-3")
    late.now = NIGHT + timedelta(seconds=700)
    late.does(QIUCHUAN, "stamp", stage="arrived", late="road")
    found = arrived(ridge, late)
    assert (found.in_time, found.entered_late, found.excused) == (1, 1, 1)


@pytest.mark.parametrize(
    ("times", "flag"),
    [
        ((20, 25, 45), Flag.ARRIVED_AT_ONCE),
        ((20,), Flag.CLAIM_ALONE),
        ((20, 200, 400), Flag.LATE_WITHOUT_REASON),
        ((20, 80, 400), None),
    ],
)
def test_flags(times: tuple[float, ...], flag: Flag | None) -> None:
    """What the stamps of one alert may hide is listed, and nothing else."""
    assert [each.flag for each in flags(seen(lived(1, times)))] == ([] if flag is None else [flag])


def test_closed_without_stamps() -> None:
    """An alert that was closed by telephone with neither contact nor arrival is listed; one with contact is not."""
    silent, called = lived(1, (20,)), lived(2, (20, 80))
    for ridge in (silent, called):
        ridge.later(60).does(QIUCHUAN, "close", result="handled", by_phone="yes", reason="双方电话和解")
    assert [each.records for each in flags(seen(silent, called)) if each.flag is Flag.CLOSED_UNSTAMPED] == [
        (silent.record,)
    ]


@pytest.mark.parametrize(("reason", "refused"), [("", "LATE_UNSAID"), ("堵车了", "LATE_UNSAID"), ("车辆故障换车", "")])
def test_another_reason_is_said_in_words(reason: str, refused: str) -> None:
    """Where no word of the list says why a stage is late, five characters at least do."""
    ridge = lived(1, (20, 80))
    ridge.now = NIGHT + timedelta(seconds=700)
    said = {"reason": reason} if reason else {}
    assert ridge.refusal(ridge.does(QIUCHUAN, "stamp", stage="arrived", late="other", **said)) == refused


@pytest.mark.parametrize(
    ("desk", "stage", "refused"),
    [
        (LEADER, "arrived", ""),
        (LEADER, "contacted", "NOT_LATE"),
        (CHANGSHAN, "arrived", "NOT_LEADER"),
        (YUSHAN, "arrived", "NOT_LEADER"),
    ],
)
def test_a_late_stage_is_excused_by_the_leader_over_the_desk_and_stays_late(
    desk: str, stage: str, refused: str
) -> None:
    """Once, and by nobody else; what was in time needs no excuse; attainment is the same with it and without."""
    ridge = lived(1, (20, 80, 700))
    ridge.meet()
    entry = ridge.later(60).does(desk, "excuse", stage=stage, why="danger")
    assert ridge.refusal(entry) == refused
    assert arrived(ridge).in_time == 0
    again = ridge.later(1).does(LEADER, "excuse", stage="arrived", why="caller")
    assert ridge.refusal(again) == ("" if refused else "DONE_ALREADY")


def test_many_stamps() -> None:
    """More than three stamps of one officer within ten seconds; three are what one can make."""
    assert flags(seen(*(lived(n, (20, 80 + n, 400 + 60 * n)) for n in range(3)))) == ()
    found = flags(seen(*(lived(n, (20 + 2 * n, 80 + 20 * n, 400 + 20 * n)) for n in range(4))))
    assert found == (Flagged(Flag.MANY_STAMPS, tuple(sorted(Ridge(n).record for n in range(4))), "o-1"),)


def test_raised_again() -> None:
    """A false alarm that is raised again at once is listed as a pair, unless somebody linked the two."""
    one, two = Ridge(1), Ridge(2)
    one.raises()
    one.later(55).does(QIUCHUAN, "cancel", cap_id="33082211100000_20260404021545_0", why="false_alarm")
    two.later(70).raises()
    assert Flagged(Flag.RAISED_AGAIN, (one.record, two.record)) in flags(seen(one, two))
    one.does(QIUCHUAN, "link", other=two.record, status="Actual")
    two.does(QIUCHUAN, "link", other=one.record, status="Actual")
    assert flags(seen(one, two)) == ()


@pytest.mark.parametrize(
    ("now", "before", "same", "expected"),
    [
        (72, 100, True, Decimal("-28.0")),
        (1045, 1000, True, Decimal("4.5")),
        (21, 16, True, Decimal("31.2")),  # 31.25, half to even
        (5, 4, True, NoComparison.BASE_SMALL),
        (5, 0, True, NoComparison.BASE_ZERO),
        (72, 100, False, NoComparison.OTHER_DEFINITION),
    ],
)
def test_year_on_year(now: int, before: int, same: bool, expected: object) -> None:
    """The change in percent, and why there is none."""
    assert year_on_year(now, before, same_definition=same) == expected


def test_claims_of_two_are_listed() -> None:
    """Two desks that claimed without knowing of each other."""
    ridge = Ridge()
    ridge.raises()
    ridge.later(10).does(YUSHAN, "claim", local="yes")
    ridge.does(CHANGSHAN, "claim", local="yes")
    assert Flag.CONFLICT in {each.flag for each in flags(seen(ridge))}
