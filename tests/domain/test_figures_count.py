"""Which alerts and cases each figure counts, in which groups, and what an exercise, a duplicate or a missing entry does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from federation.domain.alert import Alert, AlertState
from federation.domain.figures import Counts, Figure, Group, Source, digest_of, unite
from federation.domain.figures_count import Counting, Tally, figures_of
from federation.domain.functions import parse_functions
from federation.domain.response import Period
from federation.protocol.form import replace
from tests.domain.alert_ridge import CHANGSHAN, NIGHT, POLICE, QIUCHUAN, RULES, Ridge
from tests.domain.test_figures import FILES, TABLE
from tests.domain.test_response import lived, seen
from tests.domain.test_vehicle_business import begin, renewed

QUARTER = Period(begin=NIGHT - timedelta(days=3), end=NIGHT + timedelta(days=88), cut=NIGHT + timedelta(days=90))
LAST_YEAR = Period(begin=QUARTER.begin - timedelta(days=365), end=QUARTER.end - timedelta(days=365), cut=QUARTER.cut)
THERE = ("361123108",)
REGISTER = parse_functions(FILES["policies/functions.toml"].decode())


def counting(alerts: Iterable[Alert] = (), **more: object) -> Counting:
    found: dict[str, object] = {
        "table": TABLE, "duty": RULES.duty, "register": REGISTER, "measured": {"dispute", "help"}.__contains__,
        "counties": ("330822", "361123"), "period": QUARTER, "base": LAST_YEAR, "alerts": tuple(alerts), **more,
    }  # fmt: skip
    return Counting(**found)  # type: ignore[arg-type]


def figures(name: str, alerts: Iterable[Alert] = (), **more: object) -> dict[Group, Figure]:
    return {each.group: each for each in figures_of(counting(alerts, **more), TABLE.load(name))}


def total(name: str, alerts: Iterable[Alert] = (), **more: object) -> Figure:
    """The figure over all counties; of 1-3-10, that of towns."""
    found = figures(name, alerts, **more)
    return found.get(Group()) or found[Group(duty_class="town")]


def a_year_ago(alert: Alert) -> Alert:
    assert alert.raised is not None
    head = replace(alert.raised.head, at=alert.dispatched - timedelta(days=365), record=f"{alert.first.record}0")
    entry = replace(alert.raised, head=head, name=alert.raised.name[::-1])
    return replace(alert, raised=entry, content=entry, stamps={})


def test_every_word_is_counted() -> None:
    """Each word of the table has its counting, each own figure of the table is one; others are never counted."""
    for each in TABLE.figure:
        found = figures_of(counting(), each)
        assert bool(found) == (each.source is Source.OWN), each.id
        assert all(figure.why == "planned" for figure in found if each.planned)
    assert {each.count for each in TABLE.figure} - {None} == set(Counts)


def test_attainment_by_county_area_and_kind() -> None:
    """The stages of towns, in every group; each county has its leaves: the raise and the stamp of each alert."""
    ridges = [*(lived(n) for n in range(4)), lived(4, (20, 80, 700)), lived(5, kind="help", division=THERE)]
    found = figures("response.attain.10", seen(*ridges))
    here, there = Group(duty_class="town", county="330822"), Group(duty_class="town", county="361123")
    assert [(found[each].numerator, found[each].denominator) for each in (here, there)] == [(4, 5), (1, 1)]
    assert (found[Group(duty_class="town")].numerator, found[Group(duty_class="town")].denominator) == (5, 6)
    assert found[replace(here, area="330822.circle.qiuchuan")].denominator == 5
    assert found[replace(there, kind="help")].denominator == 1
    assert found[replace(here, kind="help")].denominator == 0  # the grid is whole
    assert (found[here].p50_ms, found[here].missing) == (400_000, 0)
    leaves = found[here].leaves
    assert {name for leaf in leaves for name in leaf.entries} <= {
        entry.name for ridge in ridges for node in ridge.nodes.values() for entry in node.order
    }
    assert [len(leaf.entries) for leaf in leaves] == [2] * 5
    assert found[here].digest == digest_of(leaves)
    assert found[replace(here, area="330822.circle.qiuchuan")].leaves == ()


def test_the_way_stands_beside_and_is_never_counted_against_a_desk() -> None:
    """What was late from T0 and in time from the receipt is in a column of its own; the value stays as it was."""
    ridges = [*(lived(n) for n in range(4)), lived(4, (20, 80, 605)), lived(5, (20, 80, 700))]
    alerts, county = seen(*ridges), Group(duty_class="town", county="330822")
    got = {ridge.record: NIGHT + timedelta(seconds=at) for ridge, at in zip(ridges, (0, 1, 2, 3, 10), strict=False)}
    plain = figures("response.attain.10", alerts)[county]
    found = figures("response.attain.10", alerts, received=got)[county]
    assert (plain.own, plain.transit_ms) == (None, None)
    assert (found.numerator, found.own, found.transit_ms) == (4, 5, 2_000)
    assert replace(found, own=None, transit_ms=None) == plain
    early = dict.fromkeys(got, NIGHT - timedelta(seconds=9))  # the other node's clock is behind
    assert figures("response.attain.10", alerts, received=early)[county].transit_ms == 0
    few = figures("response.attain.10", alerts, received=dict(list(got.items())[:4]))[county]
    assert few.transit_ms is None


def test_intervals_and_the_heap_stand_beside_without_a_limit() -> None:
    """The time from stage to stage of alerts with both stamps, and how many came in the last seconds of the limit."""
    ridges = [*(lived(n, (20, 80 + n, 400)) for n in range(5)), lived(5, (20, 80, 595)), lived(6, (20,))]
    alerts, county = seen(*ridges), Group(duty_class="town", county="330822")
    contact, arrive = (figures(f"response.interval.{name}", alerts)[county] for name in ("contact", "arrive"))
    assert (contact.numerator, contact.value, contact.denominator) == (6, "61000", None)
    assert (arrive.numerator, arrive.value) == (6, "318000")
    assert [len(leaf.entries) for leaf in arrive.leaves] == [3] * 6
    heaps = [figures(f"response.attain.{name}", alerts)[county].heap for name in ("1", "10")]
    assert heaps == [0, 1]


def test_remote_areas_are_apart() -> None:
    """A remote area has figures of its own, which no town is added to."""
    remote = lived(1, (20, 80, 1500), area=("tri.qixi",), division=("330824",))
    found = figures("response.attain.10", seen(remote, lived(2)), counties=("330822", "330824"))
    assert (found[Group(duty_class="remote")].numerator, found[Group(duty_class="remote")].denominator) == (1, 1)
    assert found[Group(duty_class="town")].denominator == 1


def test_exercises_are_only_exercises() -> None:
    """An exercise day beside the real day shares no row, count or line; tests are counted nowhere."""
    real, drill, test = lived(1), lived(2, status="Exercise"), lived(3, status="Test")
    alerts = seen(real, drill, test)
    assert total("exercise.n", alerts).numerator == 1
    for name in ("alert.n", "response.attain.1", "response.attain.10", "late_sync.share", "false.share", "phone.share"):
        assert total(name, alerts) == total(name, seen(real)), name
        exercised = total(name, alerts, status="Exercise")
        assert exercised == total(name, seen(drill), status="Exercise"), name
        mine = {name for leaf in exercised.leaves for name in leaf.entries}
        assert not mine & {entry.name for entry in real.nodes["zhejiang"].order}


def test_duplicates_linked_and_refused() -> None:
    """A crash called in on both sides counts once when both links stand, twice when one was refused."""
    one, two = lived(1), lived(2, division=THERE)
    one.does(QIUCHUAN, "link", other=two.record, status="Actual")
    assert (total("alert.n", seen(one, two)).numerator, total("links.n", seen(one, two)).numerator) == (2, 0)
    two.does(QIUCHUAN, "link", other=one.record, status="Actual")
    assert (total("alert.n", seen(one, two)).numerator, total("links.n", seen(one, two)).numerator) == (1, 1)
    assert total("response.attain.10", seen(one, two)).denominator == 1


def test_a_node_that_misses_entries_is_named() -> None:
    """One node lacks two alerts and the stamp of a third: the union counts all, and the three entries are named."""
    ridges = [lived(n) for n in range(25)]
    alerts = seen(*ridges)
    county, stage = Group(duty_class="town", county="330822"), AlertState.ARRIVED
    unstamped = replace(
        alerts[2],
        stamps={name: stamp for name, stamp in alerts[2].stamps.items() if name != stage},
        named={name: done for name, done in alerts[2].named.items() if done.head.fields.get("stage") != stage},
    )
    one, other = (
        figures("response.attain.10", found)[county] for found in (alerts, [unstamped, *alerts[3:]])
    )  # fmt: skip
    figure, difference = unite(TABLE.load("response.attain.10"), one, other)
    assert figure == replace(one, doubtful=None, excused=None, late=None, heap=None)
    assert difference is not None
    of = {leaf.name: leaf for leaf in one.leaves}
    gone = [of[alerts[n].raised.name] for n in range(3)]  # type: ignore[union-attr]
    assert set(difference.only_one) == {*gone[0].entries, *gone[1].entries, gone[2].entries[1]}
    assert not difference.only_other


def test_year_on_year() -> None:
    """The same period of last year is the base, as long as the definition is the same since."""
    now, then = seen(*(lived(n) for n in range(6))), [a_year_ago(each) for each in seen(*(lived(n) for n in range(8)))]
    found = total("alert.yoy", [*now, *then])
    assert (found.numerator, found.base, found.value) == (6, 8, "-25.0")
    newer = replace(TABLE.load("alert.yoy"), version=2, since=NIGHT.date())
    changed = next(each for each in figures_of(counting([*now, *then]), newer) if each.group == Group())
    assert (changed.value, changed.why, changed.base) == ("", "other_definition", None)


def test_border_disputes() -> None:
    """Disputes of an area beside the other county count, those of other kinds and places do not."""
    ridges = [lived(1), lived(2, kind="help"), lived(3, division=("330822100",)), lived(4, division=THERE)]
    assert total("border.dispute_yoy", seen(*ridges)).numerator == 2
    assert total("eco.incidents_yoy", seen(*ridges)).numerator == 0


def test_hand_overs_false_alarms_and_phone() -> None:
    """A hand-over counts when it was accepted; a false alarm by its cancelling, a phone call by its closing."""
    ridge, false = Ridge(1), Ridge(2)
    ridge.raises()
    ridge.later(20).does(QIUCHUAN, "claim")
    offer = ridge.later(5).does(QIUCHUAN, "hand_over", to=CHANGSHAN)
    assert total("handover.n", seen(ridge)).numerator == 0
    ridge.later(30).does(CHANGSHAN, "accept_hand_over", about=offer.name)
    ridge.later(30).does(CHANGSHAN, "close", result="handled", by_phone="yes", reason="电话里说明了情况")
    false.raises()
    false.later(55).does(QIUCHUAN, "cancel", cap_id="33082211100000_20260404021545_0", why="false_alarm")
    alerts = seen(ridge, false)
    assert [(leaf.ms, leaf.entries[1]) for leaf in figures("handover.p50", alerts)[Group(county="330822")].leaves] == [
        (30_000, offer.name)
    ]
    assert [
        (total(name, alerts).numerator, total(name, alerts).denominator) for name in ("false.share", "phone.share")
    ] == [
        (1, 2),
        (1, 1),
    ]


def test_entered_late_and_contact() -> None:
    """Stamps of a device without a link are told apart."""
    ridge = lived(1, (20, 80), kind="dispute")
    ridge.later(3000).does(QIUCHUAN, "stamp", stage="arrived", made="2026-04-03T18:20:00.000Z", device="pad-3")
    found = total("late_sync.share", seen(ridge))
    assert (found.numerator, found.denominator) == (1, 3)
    assert total("response.attain.10", seen(ridge)).late == 1


def test_a_fraud_warning_is_timed_to_the_request_to_stop_payment() -> None:
    """The stamp of its own counts, and no contact; it stands in no figure of 1-3-10, which other kinds cannot stamp."""
    ridges = [Ridge(number) for number in range(5)]
    for number, ridge in enumerate(ridges):
        ridge.raises(POLICE, kind="fraud.telecom")
        ridge.later(20).does(POLICE, "claim")
        ridge.later(30).does(POLICE, "stamp", stage="contacted")
        ridge.later(100 + number).does(POLICE, "stamp", stage="stop_asked")
    found = total("fraud.stop_p50", seen(*ridges))
    assert (found.numerator, found.value) == (5, "152000")
    assert total("response.attain.1", seen(*ridges)).denominator == 0
    dispute = lived(9)
    entry = dispute.does(QIUCHUAN, "stamp", stage="stop_asked")
    assert dispute.refusal(entry) == "STAMP_NOT_OF_KIND"


def test_doubtful_clocks_stand_beside() -> None:
    """An alert whose clock is doubtful is in no share, and its number stands beside the one it is missing in."""
    alerts = seen(lived(1), lived(2))
    found = figures("response.attain.1", alerts, doubtful={lived(2).record})
    county = found[Group(duty_class="town", county="330822")]
    assert (county.denominator, county.doubtful) == (1, 1)


def test_cases() -> None:
    """Items done, their days and the cases closed, by the county where each was opened and by procedure."""
    first, second = renewed(1, applicant="peer"), renewed(2, applicant="own")
    open_one = begin("renew", "other", record="zhejiang/01936000-0000-7000-8000-000000000005")
    cases = tuple(each.case for each in (first, second, open_one))
    opened = cases[0].last("open")
    assert opened is not None
    county, at = str(opened.head.fields["division"])[:6], opened.head.at
    period = Period(begin=at - timedelta(days=30), end=at + timedelta(days=60), cut=at + timedelta(days=61))
    more = {"cases": cases, "counties": (county,), "period": period}
    closings = {case.last("close").entry.name for case in cases[:2]}  # type: ignore[union-attr]
    items = figures("vehicle.items", **more)[Group(county=county)]
    assert (items.value, {leaf.name for leaf in items.leaves}) == ("2", closings)
    assert figures("procedure.closed", **more)[Group(county=county, kind="vehicle-business")].value == "2"
    days = figures("item.mean_days", **more)[Group(county=county)]
    assert (days.numerator, days.value) == (2, "0.0")
    assert figures("dispute.resolved_rate", **more)[Group(county=county)].why == "none"


def test_numbers_that_offices_keep() -> None:
    """Patrols and problems are the counties' own numbers; a county that was not asked for is not added."""
    tallies = {
        Counts.PATROLS: (Tally(county="330822", part=40, whole=40), Tally(county="330824", part=9, whole=9)),
        Counts.PROBLEMS: (Tally(county="330822", part=85, whole=85),),
    }
    assert total("eco.patrols", tallies=tallies).value == "40"
    fixed = total("eco.problems_fixed", tallies=tallies)
    assert (fixed.value, fixed.numerator, fixed.denominator) == ("100.0", 85, 85)
    assert [(each.value, each.why) for each in figures("volunteers", tallies=tallies).values()] == [("", "none")]


def test_register() -> None:
    """The joint functions with a name and a basis, of all that are registered."""
    found = total("register.functions")
    assert (found.numerator, found.denominator) == (26, 26)


@pytest.mark.parametrize("place", [(), ("361123108",)])
def test_an_alert_lies_where_its_first_division_lies(place: tuple[str, ...]) -> None:
    """Also where another county's desk raised it; without an area it lies in none."""
    alert = lived(1, division=(*place, "330822111")).agreed()
    group = counting([alert]).group_of(alert)
    assert group.county == ("361123" if place else "330822")
    nowhere = lived(2, division=("330824999",)).agreed()
    assert counting([nowhere]).group_of(nowhere).area == "-"
