"""A busy day at the border, lived through: the four nodes see the same alerts, the figures are the answers to the unit.

What is planted is found by what the product has for it, all of it and nothing else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta
from random import Random

import pytest

from federation.cli.demo.border_day import BUSY, HOURS, NEIGHBOURS, Attained, BorderDay, begin_of
from federation.cli.demo.border_plants import border_day
from federation.domain.alert import Alert, AlertState, step
from federation.domain.alert_links import Offered, offers_of_link
from federation.domain.figures import Group
from federation.domain.figures_count import Counting, figures_of
from federation.domain.figures_report import Head, Report, ReportKind, report_of
from federation.domain.functions import parse_functions
from federation.domain.joint_record import FindingKind, Fold, Record
from federation.domain.response import Flag, Period, attain, duplicates_of, flags, is_doubtful
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from tests.domain.alert_ridge import RULES
from tests.domain.border_life import START, Life, refusals
from tests.domain.test_figures import FILES, TABLE

DAY = date(2026, 4, 4)
WITHDRAWN = {"x-1"}
REGISTER = parse_functions(FILES["policies/functions.toml"].decode())
Found = dict[str, set[tuple[int, ...]]]


@pytest.fixture(scope="module")
def day() -> BorderDay:
    return border_day(7, day=DAY, rules=RULES)


@pytest.fixture(scope="module")
def lives(day: BorderDay) -> dict[int, Life]:
    """Each alert of the day, by its number."""
    deeds = defaultdict(list)
    for deed in day.deeds:
        if not refusals(deed, WITHDRAWN):
            deeds[deed.number].append(deed)
    nodes = {number: NodeName(str(RULES.agency_of(found[0].desk)).partition("/")[0]) for number, found in deeds.items()}
    return {number: Life(number, found, nodes) for number, found in deeds.items()}


@pytest.fixture(scope="module")
def alerts(lives: dict[int, Life]) -> list[Alert]:
    return [life.alert for life in lives.values()]


def number_of(record: str) -> int:
    return int(record[-12:])


def test_same_seed() -> None:
    """A seed gives one day, another seed another one."""
    small = [border_day(seed, day=DAY, rules=RULES, count=40) for seed in (1, 1, 2)]
    assert (small[0] == small[1], small[0] == small[2], small[0].planted) == (True, False, {})


def test_shape(day: BorderDay) -> None:
    """Two thousand alerts as the hours of a day have them, few in any minute, half of them about people who quarrel or ask for help."""
    raised = [deed for deed in day.deeds if deed.act == "raise" and deed.key == "raise"]
    assert (day.alerts, day.exercises, len(raised)) == (2000, 100, 2100)
    hours = Counter((deed.at - begin_of(DAY)) // timedelta(hours=1) for deed in raised)
    assert all(abs(hours[hour] - 1.05 * count) < 5 * count**0.5 + 10 for hour, count in enumerate(HOURS))
    minutes = Counter((deed.at - begin_of(DAY)) // timedelta(minutes=1) for deed in raised)
    assert sum(count > 9 for count in minutes.values()) <= 2
    assert 0.5 < (day.kinds["dispute"] + day.kinds["help"]) / day.alerts < 0.65
    assert all(
        refused == ({deed.refused} - {""})
        for deed in day.deeds
        if (refused := refusals(deed, WITHDRAWN)) or deed.refused
    )


def test_four_nodes(lives: dict[int, Life]) -> None:
    """Whatever order the entries of an alert came in, every node sees the same alert."""
    shuffle = Random(1).shuffle
    for life in lives.values():
        for _ in range(3):
            entries = list(life.net.order)
            shuffle(entries)
            assert Fold(Record(life.net.id, entries), start=START, step=step).state == life.alert


def test_attainment(day: BorderDay, alerts: list[Alert]) -> None:
    """Every stage of every class has the numbers of the answers, to the unit."""
    begin = begin_of(DAY)
    period = Period(begin=begin, end=begin + timedelta(days=1), cut=begin + timedelta(days=3))
    towns = [alert for alert in alerts if not alert.areas]
    remote = [alert for alert in alerts if alert.areas]
    for name, expected in day.attained.items():
        stage, _, duty_class = name.partition(" ")
        mine = towns if duty_class == "town" else remote
        found = attain(mine, AlertState(stage), period, measured=lambda kind: RULES.table.kinds[kind].measured)
        counted = Attained(
            alerts=len(found.alerts), in_time=found.in_time, missing=found.missing, excused=found.excused,
            entered_late=found.entered_late,
            left_out={reason.value: len(records) for reason, records in found.left_out.items()},
        )  # fmt: skip
        assert counted == expected, name


def counting(alerts: list[Alert], status: str = "Actual") -> Counting:
    begin = begin_of(DAY)
    return Counting(
        table=TABLE, duty=RULES.duty, register=REGISTER, measured=lambda kind: RULES.table.kinds[kind].measured,
        counties=(BUSY, *NEIGHBOURS), alerts=tuple(alerts), status=status,
        period=Period(begin=begin, end=begin + timedelta(days=1), cut=begin + timedelta(days=3)),
    )  # fmt: skip


def test_figures(day: BorderDay, alerts: list[Alert]) -> None:
    """The printed figures are those of the answers; those of towns and of remote areas are never added."""
    counties = {alert.first.agency.county for alert in alerts}
    counted = replace(counting(alerts), counties=tuple(sorted(counties)))
    for stage, minutes in (("accepted", 1), ("contacted", 3), ("arrived", 10)):
        shown = {each.group: each for each in figures_of(counted, TABLE.load(f"response.attain.{minutes}"))}
        for duty_class in ("town", "remote"):
            figure, expected = shown[Group(duty_class=duty_class)], day.attained[f"{stage} {duty_class}"]
            assert (figure.denominator, figure.numerator) == (expected.alerts, expected.in_time)
            assert (figure.missing, figure.excused) == (expected.missing, expected.excused)
            assert (figure.late, figure.doubtful or 0) == (
                expected.entered_late, expected.left_out.get("clock_doubtful", 0),
            )  # fmt: skip
    (over,) = (each for each in figures_of(counted, TABLE.load("handover.n")) if each.group == Group())
    assert over.numerator == day.handed_over


def test_exercises_beside_the_real_day(alerts: list[Alert]) -> None:
    """Exercises share no number, breach, list or chart with the real alerts; each has its report."""
    some = alerts[:300]
    real = [alert for alert in some if alert.status == "Actual"]

    def reported(alerts: list[Alert], kind: ReportKind = ReportKind.RESPONSE, status: str = "Actual") -> Report:
        head = Head(kind=kind, node=NodeName("zhejiang"), period="2026-04", agreement=1, own=(BUSY, *NEIGHBOURS))
        return report_of(counting(alerts, status), head)

    def without_exercises(report: Report) -> Report:
        return replace(report, figures=tuple(each for each in report.figures if each.id != "exercise.n"))

    assert 5 < len(some) - len(real) < 60
    assert without_exercises(reported(some)) == without_exercises(reported(real))
    drills = reported(some, ReportKind.EXERCISE, "Exercise")
    number = next(each for each in drills.figures if each.id == "exercise.n" and each.group == Group())
    assert number.numerator == len(some) - len(real)
    records = {alert.first.record for alert in real}
    listed = {record for each in drills.listed for record in each.records}
    assert not records & (listed | {each.record for each in drills.breaches})


def found_by_product(lives: dict[int, Life], alerts: list[Alert]) -> Found:
    """What the functions of the product find in the day, by the name under which it was planted."""
    found: Found = defaultdict(set)
    points = {name: point for life in lives.values() for name, point in life.points.items()}
    names = {
        Flag.LATE_WITHOUT_REASON: "late_without_reason", Flag.ARRIVED_ELSEWHERE: "elsewhere",
        Flag.RAISED_AGAIN: "raised_again", Flag.MANY_STAMPS: "stamper", Flag.CONFLICT: "conflict",
    }  # fmt: skip
    for flagged in flags(alerts, points):
        numbers = tuple(map(number_of, flagged.records))
        found[names.get(flagged.flag, flagged.flag.value)].add(numbers)
    offers = {(number_of(each.one), number_of(each.other)): each.why for each in offers_of_link(alerts, points)}
    found["offered"] = {pair for pair, why in offers.items() if why is Offered.SAME_EVENT}
    found["repeat offered"] = {pair for pair, why in offers.items() if why is Offered.RAISED_AGAIN}
    doubled = duplicates_of(alerts)
    for number, life in lives.items():
        alert = life.alert
        if alert.first.record in doubled:
            found["linked"].add((min(map(number_of, alert.links)), number))
        if is_doubtful(alert):
            found["clock"].add((number,))
        found["trigger"] |= {(trigger, number) for trigger in alert.triggered}
        for entry, why in alert.without_effect:
            if why.reason == "STAMP_OUT_OF_ORDER":
                found["early_arrival"].add((number,))
            if entry.head.fields.get("status", alert.status) != alert.status:
                found["turned_real"].add((number,))
        waited, gaps, findings = life.far_away()
        found["cancel_first"] |= {(number,) for act in waited if act == "cancel"}
        found["update_first"] |= {(number,) for act in waited if act == "update"}
        found["gap"] |= {(number,) for _ in gaps}
        found["fork"] |= {(number,) for each in findings if each.kind is FindingKind.FORK}
        assert {each.kind for each in findings} <= {FindingKind.FORK}
    return found


def test_planted_is_found(day: BorderDay, lives: dict[int, Life], alerts: list[Alert]) -> None:
    """Precision and recall are one for every class: what was planted is found, and nothing else."""
    found = found_by_product(lives, alerts)
    expected = {name: set(planted) for name, planted in day.planted.items()}
    expected["offered"] = expected.pop("unlinked") | expected.pop("half_linked")
    expected["repeat offered"] = expected["raised_again"]
    attempts = {
        "LEVEL_NONE": "colour",
        "PERSONAL_DATA": "personal",
        "SWAPPED": "swapped",
        "OFFICER_KEY": "withdrawn_key",
    }
    for deed in day.deeds:
        for reason in refusals(deed, WITHDRAWN):
            found[attempts[reason]].add((deed.number,))
    score = {
        name: (len(found[name] & planted) / len(found[name] or {0}), len(found[name] & planted) / len(planted))
        for name, planted in expected.items()
    }
    assert score == dict.fromkeys(expected, (1.0, 1.0))
    assert {name for name, what in found.items() if what} == expected.keys()


def test_nothing_else_goes_wrong(day: BorderDay, lives: dict[int, Life]) -> None:
    """Of what is not planted each entry has effect, no claim lapses, and each alert ends with its desk's word."""
    planted = {number for name, rows in day.planted.items() for row in rows for number in row[name == "trigger" :]}
    for number in lives.keys() - planted:
        alert = lives[number].alert
        assert (list(alert.without_effect), alert.state in (AlertState.CLOSED, AlertState.CANCELLED)) == ([], True)
        assert "lapse" not in {entry.head.act for entry in lives[number].net.order}
