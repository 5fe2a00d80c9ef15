"""Time as the law counts it: working days with make-up days, and deadlines by the rows of the clock table.

The first day is never counted (minutes run from the order's stamp); a year without a table is an error; an unpublished
table says `official = false`, and so does every deadline of it. A deadline keeps the versions that made it; an
extension is asked in time and counts from the same start. What is not `law_read` is shown as not verified. Sources: the
State Council's yearly holiday notice (调休); the instrument and article of each row of `policies/clocks.toml`; Civil
Code arts 201-204; Criminal and Civil Procedure Law (a last day on a statutory holiday moves to the next day).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Final

from msgspec import Struct

from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import Count, Item, Row, Time, load_toml, parse_toml

CALENDAR_FILE: Final = "policies/calendar.toml"
_ONE_DAY: Final = timedelta(days=1)


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


class Calendar(Struct, frozen=True, kw_only=True):
    """The tables of some years under one version, which goes into every deadline computed with them."""

    version: str
    years: Mapping[int, CalendarYear]


class _CalendarFile(Row, frozen=True, kw_only=True):
    version: str
    year: tuple[CalendarYear, ...] = ()


@lru_cache(maxsize=4)  # one text is read again by each draft, signature and version of an agreement
def parse_calendar(text: str) -> Calendar:
    """Parses `calendar.toml`; refuses TOML_*, CALENDAR_YEAR_TWICE, and a day that cannot be so (CALENDAR_DATE)."""
    file = load_toml(_CalendarFile, parse_toml(text, what="calendar"), what="calendar")
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


# ---- clocks

CLOCKS_FILE: Final = "policies/clocks.toml"
CHINA_TIME: Final = timezone(timedelta(hours=8))
"""China has one time zone without summer time: all law days are counted in it."""


class ClockKind(StrEnum):
    """The unit of a clock; working days are those of the 调休 table."""

    MINUTES = "minutes"
    HOURS = "hours"
    WORKING_DAYS = "working_days"
    DAYS = "days"
    MONTHS = "months"


class Verified(StrEnum):
    """The article was read (`law_read`), is believed (`unread`), or is a `programme` rule and no law."""

    LAW_READ = "law_read"
    UNREAD = "unread"
    PROGRAMME = "programme"


class Direction(StrEnum):
    """A clock counts on from its start, or back from an event (apply so many days ahead)."""

    AFTER = "after"
    BEFORE = "before"


class Bound(StrEnum):
    """A deadline is late after its time; a floor (7 working days for a review) bars the next step before it."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"


class Breach(StrEnum):
    """The consequence of a time that is over."""

    REPORT = "report"
    ESCALATE = "escalate"
    REMIND = "remind"
    SEARCH = "search"
    SUSPEND = "suspend"
    EXPIRE = "expire"
    ENFORCE = "enforce"
    CLOSE = "close"


class ClockRule(Row, frozen=True, kw_only=True, rename={"clock_id": "id"}):
    """One row of the clock table. `extension_most`: how much longer, in the clock's unit; 0 for not at all.

    `due_from`: the day is one that the matter itself sets (`agreement`), and the amount comes after it, 0 for that day.
    `planned`: nothing of this version reads the row yet.
    """

    clock_id: str
    version: Count = 1
    kind: ClockKind
    amount: Count
    direction: Direction = Direction.AFTER
    bound: Bound = Bound.AT_MOST
    due_from: str = ""
    zh: str = ""
    en: str = ""
    starts_on: str
    stops_on: str
    roll: Roll = Roll.NONE
    extension_most: Count = 0
    extension_consent_of: str = ""
    extension_notify: str = ""
    law_bound: Count | None = None
    pause_reasons: tuple[str, ...] = ()
    instrument: str
    article: str = ""
    text_state: str = ""
    verified: Verified
    effective_from: date
    on_breach: Breach
    planned: bool = False


class ClockTable(Struct, frozen=True, kw_only=True):
    """The rules by id, each in versions with different first days; `official` once the provinces published them."""

    version: str
    official: bool
    rules: Mapping[str, tuple[ClockRule, ...]]


class Deadline(Item, frozen=True, kw_only=True):
    """`due` is the first late instant, `last_day` the last in time (China); `official` if every calendar year was."""

    BLANK: ClassVar[frozenset[str]] = frozenset({"last_day"})

    clock_id: str
    rule_version: Count
    calendar_version: str
    started: Time
    due: Time
    last_day: date | None
    extended_by: Count
    official: bool
    verified: Verified


def compute_deadline(rule: ClockRule, start: datetime, *, calendar: Calendar) -> Deadline:
    """Computes when a clock that starts at `start` (aware) runs out; CALENDAR_YEAR_MISSING without a table."""
    return _deadline(rule, start, calendar, extra=0)


def extend_deadline(deadline: Deadline, rule: ClockRule, *, by: int, asked: datetime, calendar: Calendar) -> Deadline:
    """Extends a deadline once, from the same start; refuses CLOCK_RULE_OTHER, EXTENSION_USED, TOO_LONG, TOO_LATE."""
    if (rule.clock_id, rule.version) != (deadline.clock_id, deadline.rule_version):
        raise RuleError("CLOCK_RULE_OTHER", f"expected {deadline.clock_id} version {deadline.rule_version}")
    if not rule.extension_most:
        raise RuleError("EXTENSION_NOT_ALLOWED", f"{_cite(rule)} allows no extension of {rule.clock_id}")
    if deadline.extended_by:
        raise RuleError("EXTENSION_USED", f"{rule.clock_id} was extended before")
    if not 0 < by <= rule.extension_most:
        unit = rule.kind.replace("_", " ")
        raise RuleError("EXTENSION_TOO_LONG", f"expected 1 to {rule.extension_most} {unit}, got {by}")
    if asked >= deadline.due:
        raise RuleError("EXTENSION_TOO_LATE", f"expected the request before the time of {rule.clock_id} was over")
    return _deadline(rule, deadline.started, calendar, extra=by)


def load_rule(table: ClockTable, clock_id: str, *, on: date) -> ClockRule:
    """Returns the newest version of a rule in effect on a day; NotFoundError CLOCK_UNKNOWN when there is none."""
    in_effect = [rule for rule in table.rules.get(clock_id, ()) if rule.effective_from <= on]
    if not in_effect:
        raise NotFoundError("CLOCK_UNKNOWN", f"no clock {clock_id!r:.60} is in effect on {on}")
    return max(in_effect, key=lambda rule: (rule.effective_from, rule.version))


def china_day(instant: datetime) -> date:
    return instant.astimezone(CHINA_TIME).date()


def _deadline(rule: ClockRule, start: datetime, calendar: Calendar, *, extra: int) -> Deadline:
    last_day: date | None = None
    amount = rule.amount + extra
    if rule.kind is ClockKind.MINUTES:
        due = start + timedelta(minutes=amount)
    elif rule.kind is ClockKind.HOURS:
        due = _next_hour(start) + timedelta(hours=amount)
    else:
        last_day = _last_day(rule, china_day(start), calendar, amount)
        due = datetime.combine(last_day + timedelta(days=1), time(), CHINA_TIME)
    return Deadline(
        clock_id=rule.clock_id,
        rule_version=rule.version,
        calendar_version=calendar.version,
        started=start.astimezone(UTC),
        due=due.astimezone(UTC),
        last_day=last_day,
        extended_by=extra,
        official=not _needs_table(rule) or is_official(calendar, china_day(start), last=china_day(due)),
        verified=rule.verified,
    )


def _last_day(rule: ClockRule, start: date, calendar: Calendar, amount: int) -> date:
    signed = -amount if rule.direction is Direction.BEFORE else amount
    if rule.kind is ClockKind.WORKING_DAYS:
        return add_working_days(calendar, start, count=signed)
    day = start + timedelta(days=signed) if rule.kind is ClockKind.DAYS else add_months(start, signed)
    return roll_forward(calendar, day, roll=rule.roll)


def _next_hour(start: datetime) -> datetime:
    return start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _needs_table(rule: ClockRule) -> bool:
    return rule.kind is ClockKind.WORKING_DAYS or (
        rule.kind in {ClockKind.DAYS, ClockKind.MONTHS} and rule.roll is not Roll.NONE
    )


def _cite(rule: ClockRule) -> str:
    return f"{rule.instrument} {rule.article}".strip()


class _File(Row, frozen=True, kw_only=True):
    version: str
    official: bool
    clock: tuple[ClockRule, ...] = ()


def _spread(table: dict[str, Any]) -> dict[str, Any]:
    """The file with each row of a group written out: what stands at the head of a group counts for all its rows."""
    groups, rows = table.pop("group", []), table.get("clock", [])
    if not all(isinstance(part, list) for part in (groups, rows)):
        raise MalformedError("TOML_TYPE", "clocks: expected [[group]] and [[clock]]")
    for group in groups:
        if not isinstance(group, dict) or not isinstance(grouped := group.pop("clock", None), list):
            raise MalformedError("TOML_TYPE", "clocks: expected each group to have a list of clocks")
        rows = [*rows, *({**group, **row} if isinstance(row, dict) else row for row in grouped)]
    return {**table, "clock": rows}


@lru_cache(maxsize=4)  # one text is read again by each draft, signature and version of an agreement
def parse_clocks(text: str) -> ClockTable:
    """Parses `clocks.toml`; refuses TOML_*, CLOCK_TWICE, CLOCK_AMOUNT, CLOCK_DIRECTION of what cannot go back."""
    file = load_toml(_File, _spread(parse_toml(text, what="clocks")), what="clocks")
    rules: dict[str, tuple[ClockRule, ...]] = {}
    for rule in map(_verify_rule, file.clock):
        earlier = rules.get(rule.clock_id, ())
        if any(rule.version == other.version for other in earlier):
            raise MalformedError("CLOCK_TWICE", f"{rule.clock_id} version {rule.version} stands there twice")
        rules[rule.clock_id] = (*earlier, rule)
    return ClockTable(version=file.version, official=file.official, rules=MappingProxyType(rules))


def _verify_rule(rule: ClockRule) -> ClockRule:
    if rule.amount == 0 and not rule.due_from:
        raise MalformedError("CLOCK_AMOUNT", f"{rule.clock_id}: expected an amount from 1 on")
    if rule.direction is Direction.BEFORE and rule.kind in {ClockKind.MINUTES, ClockKind.HOURS}:
        raise MalformedError("CLOCK_DIRECTION", f"{rule.clock_id}: only days and months are counted back")
    return rule
