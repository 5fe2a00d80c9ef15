"""The retention table: floors by the calendar, who must answer by when, and what a wrong table is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.retention import (
    ORDER,
    PROVISION,
    QUESTION,
    RELEASE,
    REPORT,
    USE,
    DestroyOn,
    answer_due,
    destroyed_after,
    find_rule,
    floor_passed_before,
    kept_until,
    parse_retention,
    verify_floor_passed,
)
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace

TEXT = (Path(__file__).parents[2] / "policies" / "retention.toml").read_text()
RULES = parse_retention(TEXT)
GIVEN = datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_parse_retention_reads_the_agreed_table() -> None:
    """What the law sets is there: three years for provision, destruction when a release or its case ends."""
    assert find_rule(RULES, PROVISION).keep_months == 36
    assert find_rule(RULES, PROVISION).official
    assert find_rule(RULES, USE).keep_months == 36
    assert find_rule(RULES, RELEASE).destroy_on is DestroyOn.EXPIRED_OR_CASE_CLOSED
    assert find_rule(RULES, ORDER).within_days == 3
    assert find_rule(RULES, QUESTION).destroy_on is DestroyOn.CASE_AND_ANSWER_ENDED
    assert destroyed_after(RULES, REPORT) == timedelta(days=7)


def test_what_the_provinces_did_not_agree_on_is_not_destroyed() -> None:
    """An agreement from before the rule destroys no report by it, and nothing of a rule without such days."""
    older = replace(RULES, rules={PROVISION: find_rule(RULES, PROVISION)})

    assert destroyed_after(older, REPORT) is None
    assert destroyed_after(older, PROVISION) is None


@pytest.mark.parametrize(
    ("start", "until"),
    [
        (datetime(2026, 11, 23, 8, tzinfo=UTC), datetime(2029, 11, 23, 8, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2031, 2, 28, tzinfo=UTC)),
        (datetime(2026, 12, 31, tzinfo=UTC), datetime(2029, 12, 31, tzinfo=UTC)),
    ],
    ids=["same day", "leap day", "end of the year"],
)
def test_kept_until_counts_calendar_months(start: datetime, until: datetime) -> None:
    """Thirty-six months end on the same day, or on the last of a shorter month."""
    assert kept_until(RULES, PROVISION, start) == until


def test_verify_floor_passed_on_the_day_and_not_a_moment_before() -> None:
    """A purge before its time is refused by rule, and told until when."""
    until = kept_until(RULES, PROVISION, GIVEN)

    verify_floor_passed(RULES, PROVISION, GIVEN, now=until)
    with pytest.raises(RuleError, match="2029-11-23") as caught:
        verify_floor_passed(RULES, PROVISION, GIVEN, now=until - timedelta(milliseconds=1))
    assert caught.value.reason == "RETENTION_FLOOR"
    assert "网络数据安全管理条例" in caught.value.message


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_floor_passed_before_is_a_moment_whose_floor_has_passed(now: datetime) -> None:
    """What the duty purges by itself is never under the floor."""
    verify_floor_passed(RULES, PROVISION, floor_passed_before(RULES, PROVISION, now), now=now)


def test_answer_due_counts_days() -> None:
    """The deletion receipt is due after the days that the table gives."""
    assert answer_due(RULES, ORDER, GIVEN) == GIVEN + timedelta(days=3)


def test_rule_without_what_is_asked_of_it_is_not_there() -> None:
    """A ceiling has no floor, a floor no days to answer, and an unknown rule nothing."""
    for ask in (
        lambda: kept_until(RULES, RELEASE, GIVEN),
        lambda: floor_passed_before(RULES, RELEASE, GIVEN),
        lambda: answer_due(RULES, PROVISION, GIVEN),
        lambda: find_rule(RULES, "unknown"),
    ):
        with pytest.raises(NotFoundError, match="RETENTION_RULE"):
            ask()


@pytest.mark.parametrize(
    ("find", "put", "reason"),
    [
        ("keep_months = 6", "keep_months = -6", "TOML_TYPE"),
        ("keep_months = 6", "keep_month = 6", "TOML_UNKNOWN_NAME"),
        ('counts_from = "written"', "", "RETENTION_RULE"),
        ('id = "use"', 'id = "provision"', "RETENTION_RULE"),
        ("within_days = 3", "", "RETENTION_RULE"),
        ("destroy_after_days = 7", "", "RETENTION_RULE"),
        ('counts_from = "asked"', "", "RETENTION_RULE"),
        ('destroy_on = "purpose_reached"', 'destroy_on = "sometime"', "TOML_CHOICE"),
        ("[[rule]]", "[[rule]", "TOML_SYNTAX"),
    ],
)
def test_parse_retention_of_a_wrong_table_is_refused_as_a_whole(find: str, put: str, reason: str) -> None:
    """A typo is never a rule that nobody keeps."""
    assert find in TEXT

    with pytest.raises(MalformedError) as caught:
        parse_retention(TEXT.replace(find, put, 1))
    assert caught.value.reason == reason
