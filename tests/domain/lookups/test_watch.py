"""The watch over look-ups: what raises a flag, what does not, and the sample."""

from datetime import UTC, datetime, timedelta

import pytest

from federation.domain.clock import Calendar
from federation.domain.oversight import AskedLine, FlagKind, find_misuse, honey_flag, is_off_hours, is_sampled
from federation.protocol.form import replace

NIGHT = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
"""Two in the morning at the border."""
NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)

LINE = AskedLine(
    time=NIGHT, officer="officer-7", agency="jiangxi/361123/police", lookup_id="0", case_id="CASE-1", desk="a1"
)


def burst(start: datetime, count: int, minutes: int = 2) -> list[AskedLine]:
    return [
        replace(LINE, time=start + timedelta(minutes=minutes * number), lookup_id=str(number))
        for number in range(count)
    ]


WEEKENDS = Calendar(version="none", years={})
"""A calendar without a table: Saturdays and Sundays are free."""


def kinds(lines: list[AskedLine], calendar=WEEKENDS) -> list[FlagKind]:
    return [flag.kind for flag in find_misuse(lines, lines[-1].time, calendar)]


def test_watch_burst_at_night_is_flagged_in_both_languages():
    """Five look-ups within half an hour at two in the morning are looked at; nobody asked about is named."""
    flags = find_misuse(burst(NIGHT, 5), burst(NIGHT, 5)[-1].time, WEEKENDS)

    assert [flag.kind for flag in flags] == [FlagKind.OFF_HOURS_BURST]
    assert flags[0].officer == "officer-7"
    assert "5 次" in flags[0].sentence_zh
    assert "5 look-ups" in flags[0].sentence_en


@pytest.mark.parametrize(
    "lines",
    [burst(NIGHT, 4), burst(NOON, 12), burst(NIGHT, 12, minutes=10)],
    ids=["four at night", "twelve at noon", "one every ten minutes"],
)
def test_watch_lawful_pace_is_not_flagged(lines):
    """Fewer than five, by day, or spread over the night."""
    assert kinds(lines) == []


def test_watch_one_look_up_in_many_provinces_is_one(now):
    """A fan-out writes a line for each province; that is no burst."""
    del now
    lines = [replace(LINE, time=NIGHT + timedelta(seconds=number)) for number in range(9)]
    assert kinds(lines) == []


def test_watch_two_desks_within_minutes_are_flagged():
    """One officer, two certificates, three minutes."""
    second = replace(LINE, time=NOON + timedelta(minutes=3), lookup_id="1", desk="b2")
    assert kinds([replace(LINE, time=NOON), second]) == [FlagKind.TWO_DESKS]


def test_watch_two_cases_at_once_are_flagged_without_desks():
    """Where certificates do not tell desks apart, two cases within seconds do."""
    first = replace(LINE, time=NOON, desk="")
    second = replace(first, time=NOON + timedelta(seconds=2), lookup_id="1", case_id="CASE-2")
    assert kinds([first, second]) == [FlagKind.TWO_DESKS]


@pytest.mark.parametrize(
    "change",
    [
        {"time": NOON + timedelta(minutes=12), "desk": "b2"},
        {"time": NOON + timedelta(minutes=3)},
        {"time": NOON + timedelta(minutes=3), "desk": "b2", "officer": "officer-8"},
        {"time": NOON + timedelta(minutes=3), "desk": "b2", "agency": "jiangxi/361124/police"},
        {"time": NOON + timedelta(seconds=30), "case_id": "CASE-2"},
    ],
    ids=["walked over", "same desk", "another officer", "another office", "typed the next case"],
)
def test_watch_one_person_at_one_desk_is_not_flagged(change):
    """What one person can do by themselves raises nothing."""
    assert kinds([replace(LINE, time=NOON), replace(LINE, lookup_id="1", **change)]) == []


def test_watch_judges_the_newest_look_up_only():
    """What was flagged before is not flagged again by the next quiet look-up; later lines are not seen."""
    lines = burst(NIGHT, 5)
    quiet = replace(LINE, time=NOON + timedelta(days=1), lookup_id="9")
    assert kinds([*lines, quiet]) == []
    assert find_misuse(lines, NIGHT, WEEKENDS) == ()


@pytest.mark.parametrize(
    ("moment", "off"),
    [
        (datetime(2026, 11, 23, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 22, 23, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 23, 12, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 28, 4, 0, tzinfo=UTC), True),
        (datetime(2026, 10, 10, 4, 0, tzinfo=UTC), False),
        (datetime(2026, 10, 1, 4, 0, tzinfo=UTC), True),
        (datetime(2039, 11, 23, 4, 0, tzinfo=UTC), False),
    ],
    ids=["08:00", "07:59", "20:00", "Saturday", "make-up Saturday", "holiday", "a year without a table"],
)
def test_watch_off_hours_follow_the_calendar(calendar, moment, off):
    """Hours and days are those of China, with holidays and make-up days."""
    assert is_off_hours(moment, calendar) is off


def test_watch_make_up_saturday_is_free_without_its_table():
    """Without a table a weekend is a weekend."""
    assert is_off_hours(datetime(2026, 10, 10, 4, 0, tzinfo=UTC), WEEKENDS)


def test_honey_flag_names_look_up_and_officer_alone():
    """The flag of a planted record says who asked and nothing of the record."""
    flag = honey_flag(LINE)
    assert (flag.kind, flag.officer, flag.lookup_id) == (FlagKind.HONEY, "officer-7", "0")
    assert flag.case_id == "CASE-1"


def test_sample_is_two_percent_and_the_same_for_ever():
    """About one in fifty, decided by id and key alone."""
    ids = [f"lookup-{number}" for number in range(20_000)]
    first = {one for one in ids if is_sampled(one, b"k" * 32)}
    assert 300 <= len(first) <= 500
    assert first == {one for one in ids if is_sampled(one, b"k" * 32)}
    assert first != {one for one in ids if is_sampled(one, b"j" * 32)}
