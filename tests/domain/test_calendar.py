"""Working days, roll-forward and months: the golden days that both sides of a border must agree on."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.clock import (
    Roll,
    add_months,
    add_working_days,
    is_holiday,
    is_official,
    is_working_day,
    parse_calendar,
    roll_forward,
)
from federation.protocol.errors import MalformedError, RuleError

DAYS = st.dates(date(1900, 1, 1), date(2290, 12, 31))


@pytest.mark.parametrize("day", ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"])
def test_make_up_days_of_2026_are_worked(calendar, day):
    """The six make-up days of 2026 fall on weekends and are working days."""
    made_up = date.fromisoformat(day)
    assert made_up.weekday() >= 5
    assert is_working_day(calendar, made_up)


def test_table_of_2026_counts_its_days(calendar):
    """The published table has 33 holiday dates, and the year 365 days less weekends and holidays plus make-up days."""
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    assert sum(is_holiday(calendar, day) for day in days) == 33
    assert sum(is_working_day(calendar, day) for day in days) == 248


@pytest.mark.parametrize(
    ("start", "count", "last"),
    [
        ("2026-02-13", 1, "2026-02-14"),
        ("2026-02-14", 1, "2026-02-24"),
        ("2026-02-13", 2, "2026-02-24"),
        ("2026-09-30", 1, "2026-10-08"),
        ("2026-10-09", 1, "2026-10-10"),
        ("2026-12-30", 3, "2027-01-05"),
        ("2026-11-23", 0, "2026-11-23"),
        ("2026-11-21", 1, "2026-11-23"),
    ],
)
def test_add_working_days_golden(calendar, start, count, last):
    """Saturday 2026-02-14 is worked, the Spring Festival is not; New Year crosses into the unofficial table."""
    assert add_working_days(calendar, date.fromisoformat(start), count=count) == date.fromisoformat(last)


def test_add_working_days_into_a_year_without_table_is_refused(calendar):
    """A missing year is an error, never a guess."""
    with pytest.raises(RuleError) as caught:
        add_working_days(calendar, date(2027, 12, 30), count=5)
    assert caught.value.reason == "CALENDAR_YEAR_MISSING"
    assert caught.value.facts == {"year": 2028}


@pytest.mark.parametrize(
    ("day", "roll", "moved"),
    [
        ("2026-10-01", Roll.HOLIDAY, "2026-10-08"),
        ("2026-10-01", Roll.NONE, "2026-10-01"),
        ("2026-11-21", Roll.HOLIDAY, "2026-11-21"),
        ("2026-11-21", Roll.WEEKEND, "2026-11-23"),
        ("2026-10-10", Roll.WEEKEND, "2026-10-10"),
        ("2026-11-23", Roll.WEEKEND, "2026-11-23"),
    ],
)
def test_roll_forward_golden(calendar, day, roll, moved):
    """A holiday moves the last day; weekends move it only where the rule says so; make-up Saturdays do not."""
    assert roll_forward(calendar, date.fromisoformat(day), roll=roll) == date.fromisoformat(moved)


def test_roll_none_needs_no_table(calendar):
    """A rule that never rolls works in every year."""
    assert roll_forward(calendar, date(2040, 1, 1), roll=Roll.NONE) == date(2040, 1, 1)


def test_is_official_is_false_when_a_year_was_not_published(calendar):
    """2027 is a sketch until the State Council publishes it."""
    assert is_official(calendar, date(2026, 1, 1), last=date(2026, 12, 31))
    assert not is_official(calendar, date(2026, 12, 31), last=date(2027, 1, 4))
    assert not is_official(calendar, date(2028, 1, 1), last=date(2028, 1, 2))


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2026-08-31", 6, "2027-02-28"),
        ("2026-03-31", -1, "2026-02-28"),
        ("2026-01-15", -1, "2025-12-15"),
        ("2026-12-31", 1, "2027-01-31"),
        ("2026-10-31", 1, "2026-11-30"),
    ],
)
def test_add_months_golden(day, months, result):
    """The same day number, or the month's last day."""
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(result)


@given(day=DAYS, months=st.integers(-1200, 1200))
def test_add_months_keeps_the_day_number_or_takes_the_last(day, months):
    """The month is exact; the day is the same or the last of its month."""
    moved = add_months(day, months)
    assert moved.year * 12 + moved.month == day.year * 12 + day.month + months
    assert moved.day == day.day or (moved.day < day.day and (moved + timedelta(days=1)).day == 1)


def test_add_months_out_of_range_is_a_rule_error():
    """No other error leaks when the years run out."""
    with pytest.raises(RuleError) as caught:
        add_months(date(9999, 12, 1), 1)
    assert caught.value.reason == "CALENDAR_RANGE"


YEAR = 'version = "1"\n[[year]]\nyear = 2026\nofficial = true\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version = ", "TOML_SYNTAX"),
        ('version = "1"\nvercion = "2"', "TOML_UNKNOWN_NAME"),
        ("version = 1", "TOML_TYPE"),
        (YEAR + "holidays = []", "TOML_TYPE"),
        (YEAR + 'holidays = ["2026-01-01"]\nmake_up_days = []', "TOML_TYPE"),
        (YEAR + "holidays = [2026-01-01T00:00:00Z]\nmake_up_days = []", "TOML_TYPE"),
        (YEAR + "holidays = [2026-01-01, 2026-01-01]\nmake_up_days = []", "TOML_REPEATED"),
        (YEAR + "holidays = [2025-12-31]\nmake_up_days = []", "CALENDAR_DATE"),
        (YEAR + "holidays = []\nmake_up_days = [2026-11-23]", "CALENDAR_DATE"),
        (YEAR + "holidays = [2026-11-21]\nmake_up_days = [2026-11-21]", "CALENDAR_DATE"),
        (
            YEAR + "holidays = []\nmake_up_days = []\n" + YEAR[14:] + "holidays = []\nmake_up_days = []",
            "CALENDAR_YEAR_TWICE",
        ),
    ],
)
def test_parse_calendar_refuses_a_wrong_table(text, reason):
    """Each fault of the file has its own reason."""
    with pytest.raises(MalformedError) as caught:
        parse_calendar(text)
    assert caught.value.reason == reason
