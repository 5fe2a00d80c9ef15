"""Deadlines: the golden cases of the clock table, and how a clock may be changed."""

from datetime import UTC, date, datetime, timedelta

import pytest

from federation.domain.clock import (
    CHINA_TIME,
    Bound,
    ClockKind,
    Direction,
    Roll,
    Verified,
    compute_deadline,
    extend_deadline,
    load_rule,
    parse_clocks,
)
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace

TODAY = date(2026, 11, 23)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def deadline_of(clocks, calendar, clock_id, start):
    return compute_deadline(load_rule(clocks, clock_id, on=TODAY), at(start), calendar=calendar)


@pytest.mark.parametrize(
    ("clock_id", "start", "last_day"),
    [
        ("share.reply.open", "2026-02-13T02:00", "2026-02-14"),
        ("share.reply.open", "2026-02-14T02:00", "2026-02-24"),
        ("share.reply.cond", "2026-12-25T02:00", "2027-01-11"),
        ("permit.issue", "2026-09-16T02:00", "2026-10-08"),
        ("permit.issue", "2026-11-06T02:00", "2026-11-21"),
        ("police.check", "2026-09-24T02:00", "2026-10-08"),
        ("corr.move.answer", "2026-09-26T02:00", "2026-10-01"),
        ("meeting.call", "2026-10-12T02:00", "2026-09-21"),
        ("court.small", "2026-08-31T02:00", "2026-11-02"),
        ("corr.leave.recurring", "2026-08-31T02:00", "2027-02-28"),
        ("corr.leave.apply", "2026-11-23T02:00", "2026-11-20"),
        ("permit.endorse", "2026-03-31T02:00", "2026-02-28"),
    ],
)
def test_compute_deadline_golden_days(clocks, calendar, clock_id, start, last_day):
    """Make-up Saturdays, the National Day, New Year and the month's last day; working days back, too."""
    found = deadline_of(clocks, calendar, clock_id, start)
    assert found.last_day == date.fromisoformat(last_day)
    assert found.due == datetime.combine(found.last_day, datetime.min.time(), UTC) + timedelta(hours=16)


def test_compute_deadline_counts_days_in_china(clocks, calendar):
    """17:00 UTC is already the next day in China, and the first day is not counted."""
    assert deadline_of(clocks, calendar, "police.check", "2026-11-01T15:59").last_day == date(2026, 11, 8)
    assert deadline_of(clocks, calendar, "police.check", "2026-11-01T16:00").last_day == date(2026, 11, 9)


@pytest.mark.parametrize(
    ("clock_id", "start", "due"),
    [
        ("alert.accept", "2026-11-23T08:00:30", "2026-11-23T08:01:30"),
        ("alert.arrive", "2026-12-31T15:55:00", "2026-12-31T16:05:00"),
        ("police.interrogate", "2026-11-23T08:20:00", "2026-11-24T09:00:00"),
    ],
)
def test_compute_deadline_of_minutes_and_hours(clocks, calendar, clock_id, start, due):
    """Minutes run from the stamp; for hours the hour of the start is not counted."""
    found = deadline_of(clocks, calendar, clock_id, start)
    assert found.due == at(due)
    assert found.last_day is None


def test_compute_deadline_is_the_same_on_two_nodes_with_other_clocks(clocks, calendar):
    """Both nodes count from the stamp: 90 s between their own clocks show as time left, not as another deadline."""
    found = deadline_of(clocks, calendar, "alert.contact", "2026-11-23T08:00:00")
    here, there = at("2026-11-23T08:02:00"), at("2026-11-23T08:03:30")
    assert found.due - here == timedelta(seconds=60)
    assert found.due - there == timedelta(seconds=-30)
    assert deadline_of(clocks, calendar, "alert.contact", "2026-11-23T08:00:00") == found


def test_compute_deadline_says_what_it_rests_on(clocks, calendar):
    """Rule and calendar version, whether the law was read, and whether the calendar was published."""
    inside = deadline_of(clocks, calendar, "share.reply.cond", "2026-11-23T02:00")
    across = deadline_of(clocks, calendar, "share.reply.cond", "2026-12-25T02:00")
    assert (inside.rule_version, inside.calendar_version, inside.verified) == (1, "2026.1", Verified.UNREAD)
    assert (inside.official, across.official) == (True, False)
    assert deadline_of(clocks, calendar, "corr.move.answer", "2026-12-30T02:00").official


def test_compute_deadline_into_a_missing_year_is_refused(clocks, calendar):
    """No table, no working-day deadline; a clock without roll does not need one."""
    with pytest.raises(RuleError) as caught:
        deadline_of(clocks, calendar, "share.deliver", "2027-12-20T02:00")
    assert caught.value.reason == "CALENDAR_YEAR_MISSING"
    assert deadline_of(clocks, calendar, "corr.move.answer", "2027-12-30T02:00").last_day == date(2028, 1, 4)


def test_extend_deadline_asked_on_the_last_day_counts_from_the_same_start(clocks, calendar):
    """Ten more working days make twenty from the start, when asked before the last day is over."""
    rule = load_rule(clocks, "share.reply.cond", on=TODAY)
    first = compute_deadline(rule, at("2026-11-02T02:00"), calendar=calendar)
    assert first.last_day == date(2026, 11, 16)
    asked = first.due - timedelta(milliseconds=1)
    longer = extend_deadline(first, rule, by=10, asked=asked, calendar=calendar)
    assert (longer.last_day, longer.extended_by, longer.started) == (date(2026, 11, 30), 10, first.started)


@pytest.mark.parametrize(
    ("clock_id", "by", "late", "reason"),
    [
        ("share.reply.cond", 10, True, "EXTENSION_TOO_LATE"),
        ("share.reply.cond", 11, False, "EXTENSION_TOO_LONG"),
        ("share.reply.cond", 0, False, "EXTENSION_TOO_LONG"),
        ("share.deliver", 1, False, "EXTENSION_NOT_ALLOWED"),
    ],
)
def test_extend_deadline_beyond_the_rule_is_refused(clocks, calendar, clock_id, by, late, reason):
    """An extension needs a rule that allows it, within its bound, before the time is over."""
    rule = load_rule(clocks, clock_id, on=TODAY)
    first = compute_deadline(rule, at("2026-11-02T02:00"), calendar=calendar)
    asked = first.due if late else first.started
    with pytest.raises(RuleError) as caught:
        extend_deadline(first, rule, by=by, asked=asked, calendar=calendar)
    assert caught.value.reason == reason


def test_extend_deadline_twice_is_refused(clocks, calendar):
    """One extension only."""
    rule = load_rule(clocks, "share.reply.cond", on=TODAY)
    first = compute_deadline(rule, at("2026-11-02T02:00"), calendar=calendar)
    longer = extend_deadline(first, rule, by=1, asked=first.started, calendar=calendar)
    with pytest.raises(RuleError) as caught:
        extend_deadline(longer, rule, by=1, asked=first.started, calendar=calendar)
    assert caught.value.reason == "EXTENSION_USED"


def test_extend_deadline_with_a_later_rule_is_refused(clocks, calendar):
    """A rule change moves no running deadline."""
    rule = load_rule(clocks, "share.reply.cond", on=TODAY)
    first = compute_deadline(rule, at("2026-11-02T02:00"), calendar=calendar)
    with pytest.raises(RuleError) as caught:
        extend_deadline(first, replace(rule, version=2), by=1, asked=first.started, calendar=calendar)
    assert caught.value.reason == "CLOCK_RULE_OTHER"


def test_load_rule_takes_the_newest_version_in_effect(clocks):
    """The first day decides, not the order in the file."""
    text = ROW + ROW.replace("version = 1", "version = 2").replace("2026-01-01", "2027-01-01").split("\n", 2)[2]
    table = parse_clocks(text)
    assert load_rule(table, "x", on=date(2026, 6, 1)).version == 1
    assert load_rule(table, "x", on=date(2027, 1, 1)).version == 2
    with pytest.raises(NotFoundError):
        load_rule(table, "x", on=date(2025, 12, 31))
    with pytest.raises(NotFoundError):
        load_rule(clocks, "unheard.of", on=TODAY)


def test_clock_table_holds_what_the_programme_and_the_law_say(clocks):
    """A few rows as the reference table has them; nothing of it is published as a whole."""
    rules = {clock_id: versions[-1] for clock_id, versions in clocks.rules.items()}
    assert not clocks.official
    assert [rules[f"alert.{stage}"].amount for stage in ("accept", "contact", "arrive")] == [1, 3, 10]
    assert (rules["permit.issue"].amount, rules["permit.issue"].law_bound) == (15, 30)
    assert (rules["police.check"].roll, rules["police.check"].starts_on) == (Roll.HOLIDAY, "letter.received.near")
    assert (rules["police.interrogate"].roll, rules["police.interrogate"].starts_on) == (Roll.NONE, "suspect.held")
    assert {rule.bound for name, rule in rules.items() if ".floor" in name or "notice" in name} >= {Bound.AT_LEAST}
    assert rules["petition.finish"].extension_most == 30
    assert rules["corr.leave.recurring"].kind is ClockKind.MONTHS
    assert rules["permit.endorse"].direction is Direction.BEFORE
    assert {rule.verified for rule in rules.values()} == set(Verified)


def test_parse_clocks_spreads_the_head_of_a_group_over_its_rows():
    """A row of a group is the row that is written out; what the row says itself counts before the head."""
    head, rows = ROW.split("[[clock]]\n")
    lines = [line for line in rows.splitlines() if not line.startswith(("instrument", "verified"))]
    text = f'{head}[[group]]\ninstrument = "law"\nverified = "programme"\nclock = [\n  {{ {", ".join(lines)}, verified = "unread" }},\n]\n'
    assert parse_clocks(text) == parse_clocks(ROW)


@pytest.mark.parametrize(
    "text", ["group = 1", "group = [1]", "[[group]]", "[[group]]\nclock = 1", "[[group]]\nclock = [1]"]
)
def test_parse_clocks_refuses_a_group_of_another_form(text):
    """A group without rows, or with what is no row, is a fault and never an empty table."""
    with pytest.raises(MalformedError) as caught:
        parse_clocks(f'version = "1"\nofficial = false\n{text}\n')
    assert caught.value.reason == "TOML_TYPE"


ROW = """version = "1"
official = false
[[clock]]
id = "x"
version = 1
kind = "days"
amount = 5
starts_on = "a"
stops_on = "b"
instrument = "law"
verified = "unread"
effective_from = 2026-01-01
on_breach = "report"
"""


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("amount = 5", "amount = 0", "CLOCK_AMOUNT"),
        ("amount = 5", "amount = 5.0", "TOML_TYPE"),
        ("amount = 5", "amount = true", "TOML_TYPE"),
        ("amount = 5", "amount = -5", "TOML_TYPE"),
        ("amount = 5", 'amount = 5\nbound = "about"', "TOML_CHOICE"),
        ('kind = "days"', 'kind = "weeks"', "TOML_CHOICE"),
        ('kind = "days"', 'kind = "minutes"\ndirection = "before"', "CLOCK_DIRECTION"),
        ('on_breach = "report"', 'on_breach = "panic"', "TOML_CHOICE"),
        ("version = 1", "version = 1\nurgent = true", "TOML_UNKNOWN_NAME"),
        ('id = "x"', "", "TOML_TYPE"),
        ("official = false", "", "TOML_TYPE"),
        ("[[clock]]", "[clock]", "TOML_TYPE"),
    ],
)
def test_parse_clocks_refuses_a_wrong_row(old, new, reason):
    """Each fault of the file has its own reason."""
    with pytest.raises(MalformedError) as caught:
        parse_clocks(ROW.replace(old, new))
    assert caught.value.reason == reason


def test_a_floor_and_a_day_that_the_matter_sets_are_rows(calendar):
    """A floor counts as a deadline does; a clock whose day comes from the matter may add nothing to it."""
    floor = parse_clocks(ROW.replace("amount = 5", 'amount = 5\nbound = "at_least"')).rules["x"][0]
    assert floor.bound is Bound.AT_LEAST
    own = parse_clocks(ROW.replace("amount = 5", 'amount = 0\ndue_from = "agreement"')).rules["x"][0]
    due = compute_deadline(own, datetime(2026, 11, 23, tzinfo=CHINA_TIME), calendar=calendar)
    assert due.last_day == date(2026, 11, 23)
    assert parse_clocks(ROW).rules["x"][0].bound is Bound.AT_MOST


def test_parse_clocks_refuses_the_same_version_twice():
    """An id and version name one row."""
    with pytest.raises(MalformedError) as caught:
        parse_clocks(ROW + ROW.split("\n", 2)[2])
    assert caught.value.reason == "CLOCK_TWICE"
