"""Deadlines: the rows of the agreed clock table, and what they make of a start.

Rules kept: four kinds of clock, minutes and hours and working days and calendar days; the start day or hour is not
counted (for minutes the stamp of the order is the start); a deadline keeps the rule version and the calendar
version that produced it, so a later change moves no running deadline; an extension is asked before the time is over
and counts from the same start; a province may only make a clock shorter, or as long as the law itself allows.
`verified` tells whether the article was read: what is not `law_read` is shown as "not legally verified" or as a
target. Sources: the instrument and article of each row of `policies/clocks.toml`; counting rules of Civil Code arts
201-204.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.domain.rules.calendar import Calendar, Roll, add_months, add_working_days, is_official, roll_forward
from federation.domain.rules.toml_fields import (
    TomlTable,
    expect_keys,
    parse_toml,
    read_choice,
    read_date,
    read_flag,
    read_number,
    read_string,
    read_strings,
    read_tables,
)
from federation.protocol.errors import MalformedError, NotFoundError, RuleError

CHINA_TIME: Final = timezone(timedelta(hours=8))
"""China has one time zone without summer time: all law days are counted in it."""


class ClockKind(StrEnum):
    """How a clock counts: minutes, hours, working days (the 调休 table), calendar days, calendar months."""

    MINUTES = "minutes"
    HOURS = "hours"
    WORKING_DAYS = "working_days"
    DAYS = "days"
    MONTHS = "months"


class Verified(StrEnum):
    """Whether the article was read (`law_read`), is believed (`unread`), or is a `programme` rule and no law."""

    LAW_READ = "law_read"
    UNREAD = "unread"
    PROGRAMME = "programme"


class Direction(StrEnum):
    """Whether the clock counts on from its start, or back from an event (apply so many days ahead)."""

    AFTER = "after"
    BEFORE = "before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """How much longer, in the unit of the clock, with whose consent, and who must be told."""

    most: int
    consent_of: str
    notify: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRule:
    """One row of the clock table. `law_bound` is the longest that the law lets a province make it."""

    clock_id: str
    version: int
    kind: ClockKind
    amount: int
    direction: Direction
    starts_on: str
    stops_on: str
    roll: Roll
    extension: Extension | None
    law_bound: int
    pause_reasons: tuple[str, ...]
    instrument: str
    article: str
    text_state: str
    verified: Verified
    effective_from: date
    on_breach: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTable:
    """The clock rules of one agreement version; each id may have several versions with different first days.

    `official` is false until the provinces have published the table.
    """

    version: str
    official: bool
    rules: Mapping[str, tuple[ClockRule, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A computed deadline: `due` is the first instant that is late.

    `last_day` is the last day in time, in China, when days are counted. `official` is false when a calendar year on the
    way was not published yet.
    """

    clock_id: str
    rule_version: int
    calendar_version: str
    started: datetime
    due: datetime
    last_day: date | None
    extended_by: int
    official: bool
    verified: Verified


def compute_deadline(rule: ClockRule, start: datetime, *, calendar: Calendar) -> Deadline:
    """Computes when a clock that starts at `start` (aware) runs out.

    Raises:
        RuleError: CALENDAR_YEAR_MISSING when days must be judged in a year without a table.
    """
    return _deadline(rule, start, calendar, extra=0)


def extend_deadline(deadline: Deadline, rule: ClockRule, *, by: int, asked: datetime, calendar: Calendar) -> Deadline:
    """Extends a running deadline once, by so many units of its clock, counted from the same start.

    Raises:
        RuleError: CLOCK_RULE_OTHER (not the rule and version that made the deadline), EXTENSION_NOT_ALLOWED,
            EXTENSION_USED, EXTENSION_TOO_LONG, EXTENSION_TOO_LATE when asked at or after `due`.
    """
    if (rule.clock_id, rule.version) != (deadline.clock_id, deadline.rule_version):
        raise RuleError("CLOCK_RULE_OTHER", f"expected {deadline.clock_id} version {deadline.rule_version}")
    if rule.extension is None:
        raise RuleError("EXTENSION_NOT_ALLOWED", f"{_cite(rule)} allows no extension of {rule.clock_id}")
    if deadline.extended_by:
        raise RuleError("EXTENSION_USED", f"{rule.clock_id} was extended before")
    if not 0 < by <= rule.extension.most:
        raise RuleError("EXTENSION_TOO_LONG", f"expected 1 to {rule.extension.most} {rule.kind}, got {by}")
    if asked >= deadline.due:
        raise RuleError("EXTENSION_TOO_LATE", f"expected the request before the time of {rule.clock_id} was over")
    return _deadline(rule, deadline.started, calendar, extra=by)


def time_left(deadline: Deadline, now: datetime) -> timedelta:
    """How much time is left; negative once the deadline is missed."""
    return deadline.due - now


def shorten_rule(rule: ClockRule, amount: int) -> ClockRule:
    """A province's own amount for a clock: shorter than agreed, or up to the bound that the law itself gives.

    Raises:
        RuleError: CLOCK_OVERRIDE_LOOSER when it is longer than both, or zero.
    """
    if not 0 < amount <= max(rule.amount, rule.law_bound):
        raise RuleError(
            "CLOCK_OVERRIDE_LOOSER", f"{_cite(rule)}: {rule.clock_id} may be 1 to {rule.law_bound}, got {amount}"
        )
    return replace(rule, amount=amount)


def load_rule(table: ClockTable, clock_id: str, *, on: date) -> ClockRule:
    """Loads the newest version of a clock rule that is in effect on a day.

    Raises:
        NotFoundError: CLOCK_UNKNOWN.
    """
    in_effect = [rule for rule in table.rules.get(clock_id, ()) if rule.effective_from <= on]
    if not in_effect:
        raise NotFoundError("CLOCK_UNKNOWN", f"no clock {clock_id!r:.60} is in effect on {on}")
    return max(in_effect, key=lambda rule: (rule.effective_from, rule.version))


def china_day(instant: datetime) -> date:
    """The day in China on which an aware instant falls."""
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
        return add_working_days(calendar, start, count=amount)
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


_WHAT: Final = "clocks"
_RULE_KEYS: Final = frozenset(
    {
        "id", "version", "kind", "amount", "direction", "starts_on", "stops_on", "roll", "extension_most",
        "extension_consent_of", "extension_notify", "law_bound", "pause_reasons", "instrument", "article", "text_state",
        "verified", "effective_from", "on_breach",
    }
)  # fmt: skip


def parse_clocks(text: str) -> ClockTable:
    """Parses `clocks.toml`.

    Raises:
        MalformedError: TOML_* for the form; CLOCK_TWICE when an id and version stand there twice; CLOCK_AMOUNT for an
            amount of 0; CLOCK_DIRECTION when working days or a time of day are counted backwards.
    """
    table = parse_toml(text, what=_WHAT)
    expect_keys(table, frozenset({"version", "official", "clock"}), what=_WHAT)
    rules: dict[str, tuple[ClockRule, ...]] = {}
    for row in read_tables(table, "clock", what=_WHAT):
        rule = _parse_rule(row)
        earlier = rules.get(rule.clock_id, ())
        if any(rule.version == other.version for other in earlier):
            raise MalformedError("CLOCK_TWICE", f"{rule.clock_id} version {rule.version} stands there twice")
        rules[rule.clock_id] = (*earlier, rule)
    return ClockTable(
        version=read_string(table, "version", what=_WHAT),
        official=read_flag(table, "official", what=_WHAT),
        rules=MappingProxyType(rules),
    )


def _parse_rule(row: TomlTable) -> ClockRule:
    clock_id = read_string(row, "id", what=_WHAT)
    what = f"clock {clock_id:.60}"
    expect_keys(row, _RULE_KEYS, what=what)
    amount = read_number(row, "amount", what=what)
    rule = ClockRule(
        clock_id=clock_id,
        version=read_number(row, "version", what=what, default=1),
        kind=read_choice(row, "kind", ClockKind, what=what),
        amount=amount,
        direction=read_choice(row, "direction", Direction, what=what, default=Direction.AFTER),
        starts_on=read_string(row, "starts_on", what=what),
        stops_on=read_string(row, "stops_on", what=what),
        roll=read_choice(row, "roll", Roll, what=what, default=Roll.NONE),
        extension=_parse_extension(row, what),
        law_bound=read_number(row, "law_bound", what=what, default=amount),
        pause_reasons=read_strings(row, "pause_reasons", what=what),
        instrument=read_string(row, "instrument", what=what),
        article=read_string(row, "article", what=what, default=""),
        text_state=read_string(row, "text_state", what=what, default=""),
        verified=read_choice(row, "verified", Verified, what=what),
        effective_from=read_date(row, "effective_from", what=what),
        on_breach=read_string(row, "on_breach", what=what),
    )
    return _verify_rule(rule)


def _parse_extension(row: TomlTable, what: str) -> Extension | None:
    most = read_number(row, "extension_most", what=what, default=0)
    if most == 0:
        return None
    return Extension(
        most=most,
        consent_of=read_string(row, "extension_consent_of", what=what, default=""),
        notify=read_string(row, "extension_notify", what=what, default=""),
    )


def _verify_rule(rule: ClockRule) -> ClockRule:
    if rule.amount == 0:
        raise MalformedError("CLOCK_AMOUNT", f"{rule.clock_id}: expected an amount from 1 on")
    if rule.direction is Direction.BEFORE and rule.kind not in {ClockKind.DAYS, ClockKind.MONTHS}:
        raise MalformedError("CLOCK_DIRECTION", f"{rule.clock_id}: only calendar days and months are counted back")
    return rule
