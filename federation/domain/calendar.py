"""Working days with make-up days, holiday roll-forward, and month arithmetic: how the law counts days.

The first day is never counted; a year without a table is an error; an unpublished table says `official = false`, and
so does every deadline of it. Sources: the State Council's yearly holiday notice (调休); Civil Code arts 201-203;
Criminal and Civil Procedure Law (a last day on a statutory holiday moves to the next day).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Count, Row, load_toml, parse_toml

CALENDAR_FILE: Final = "policies/calendar.toml"
_ONE_DAY = timedelta(days=1)
_WHAT = "calendar"


class Roll(StrEnum):
    NONE = "none"
    HOLIDAY = "holiday"
    WEEKEND = "weekend"


class CalendarYear(Row, frozen=True, kw_only=True):
    """One year's table: the holiday dates and the weekend days that are worked instead."""

    year: Count
    official: bool
    source: str = ""
    holidays: frozenset[date]
    make_up_days: frozenset[date]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """The tables of some years under one version, which goes into every deadline computed with them."""

    version: str
    years: Mapping[int, CalendarYear]


class _File(Row, frozen=True, kw_only=True):
    version: str
    year: tuple[CalendarYear, ...] = ()


@lru_cache(maxsize=4)  # one text is read again by each draft, signature and version of an agreement
def parse_calendar(text: str) -> Calendar:
    """Parses `calendar.toml`; refuses TOML_*, CALENDAR_YEAR_TWICE, and a day that cannot be so (CALENDAR_DATE)."""
    file = load_toml(_File, parse_toml(text, what=_WHAT), what=_WHAT)
    years: dict[int, CalendarYear] = {}
    for year in file.year:
        if year.year in years:
            raise MalformedError("CALENDAR_YEAR_TWICE", f"expected each year once, got {year.year} twice")
        years[year.year] = _verify_days(year)
    return Calendar(version=file.version, years=MappingProxyType(years))


def _verify_days(year: CalendarYear) -> CalendarYear:
    strangers = [day for day in year.holidays | year.make_up_days if day.year != year.year]
    weekdays = [day for day in year.make_up_days if day.weekday() < 5]
    wrong = sorted(strangers + weekdays + list(year.holidays & year.make_up_days))
    if wrong:
        raise MalformedError("CALENDAR_DATE", f"calendar of {year.year}: {wrong[0]} cannot stand where it does")
    return year


def is_holiday(calendar: Calendar, day: date) -> bool:
    """True when the day is one of the holiday dates; an ordinary weekend is none. Refuses CALENDAR_YEAR_MISSING."""
    return day in _year_of(calendar, day).holidays


def is_working_day(calendar: Calendar, day: date) -> bool:
    """True when offices work: weekdays but holidays, and make-up days. Refuses CALENDAR_YEAR_MISSING."""
    year = _year_of(calendar, day)
    return day in year.make_up_days or (day.weekday() < 5 and day not in year.holidays)


def add_working_days(calendar: Calendar, start: date, *, count: int) -> date:
    """Returns the last of `count` working days after `start`, not counted; before it, if less than 0.

    Refuses CALENDAR_YEAR_MISSING.
    """
    day, step = start, _ONE_DAY if count > 0 else -_ONE_DAY
    left = abs(count)
    while left > 0:
        day += step
        left -= is_working_day(calendar, day)
    return day


def roll_forward(calendar: Calendar, day: date, *, roll: Roll) -> date:
    """Moves a free last day to the next that is not; `none` needs no table. Refuses CALENDAR_YEAR_MISSING."""
    if roll is Roll.HOLIDAY:
        while is_holiday(calendar, day):
            day += _ONE_DAY
    elif roll is Roll.WEEKEND:
        while not is_working_day(calendar, day):
            day += _ONE_DAY
    return day


def is_official(calendar: Calendar, first: date, *, last: date) -> bool:
    years = (calendar.years.get(year) for year in range(first.year, last.year + 1))
    return all(year is not None and year.official for year in years)


def add_months(day: date, months: int) -> date:
    """The same day number so many months later (or earlier), or that month's last day when there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for number in (day.day, 30, 29, 28):
        if number <= day.day:
            try:
                return date(year, month + 1, number)
            except ValueError:
                continue
    raise RuleError("CALENDAR_RANGE", f"no date {months} months from {day}")


def _year_of(calendar: Calendar, day: date) -> CalendarYear:
    year = calendar.years.get(day.year)
    if year is None:
        raise RuleError(
            "CALENDAR_YEAR_MISSING", f"the calendar {calendar.version} has no table for {day.year}", year=day.year
        )
    return year
