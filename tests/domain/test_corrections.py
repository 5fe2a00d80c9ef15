"""Tests of a correction at the owner's desk: admitted, opened with its deadline, extended once, ended for good."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from federation.domain.clock import compute_deadline, load_rule
from federation.domain.corrections import (
    ANSWER_CLOCK,
    CLOCK,
    Correction,
    CorrectionRequest,
    CorrectionState,
    deny_correction,
    extend_correction,
    grant_correction,
    holds_record,
    is_overdue,
    open_correction,
    verify_admissible,
    verify_answer_follows,
    verify_answered_in_time,
)
from federation.domain.permits import urn_division
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import Realm, parse_agency_id

NOW = datetime(2026, 9, 21, 2, 0, tzinfo=UTC)
YUSHAN = parse_agency_id("jiangxi/361123/service-hall")
REQUEST = CorrectionRequest(
    correction_id="01890a5d-ac96-774b-bcce-b302099a8057",
    urn="urn:permit:330822:2025:000123",
    field="holder_name",
    value="徐谷语",
    words="户口簿上是语言的语",
    citizen_number="361123219003070012",
    identity_checked=True,
)


@pytest.fixture
def rule(clocks):
    return load_rule(clocks, CLOCK, on=NOW.date())


@pytest.fixture
def opened(rule, calendar):
    deadline = compute_deadline(rule, NOW, calendar=calendar)
    return open_correction(REQUEST, filed_by=YUSHAN, cited="ab" * 32, deadline=deadline, now=NOW)


def test_open_correction_is_due_after_ten_working_days(opened):
    """Order 809: ten working days, over the holidays of autumn, with the rule and the calendar that made it."""
    deadline = opened.standing.deadline

    # 22-24 and 28-30 September, 8, 9, 10 (worked) and 12 October
    assert deadline.last_day == date(2026, 10, 12)
    assert (deadline.rule_version, deadline.calendar_version, deadline.official) == (1, "2026.1", True)
    assert not is_overdue(opened.standing, deadline.due - timedelta(milliseconds=1))
    assert is_overdue(opened.standing, deadline.due)


def test_extend_correction_once_before_the_time_is_over(opened, rule, calendar):
    """At most ten working days more, counted from the same start, once, and with words for the applicant."""
    extended = extend_correction(opened, rule, by=10, calendar=calendar, words="等待户籍地答复", now=NOW)

    assert extended.standing.deadline.last_day == date(2026, 10, 26)
    assert (extended.standing.version, extended.standing.words) == (2, "等待户籍地答复")
    for reason, change in (
        ("EXTENSION_USED", {"correction": extended}),
        ("EXTENSION_TOO_LONG", {"by": 11}),
        ("EXTENSION_TOO_LATE", {"now": opened.standing.deadline.due}),
    ):
        given = {"correction": opened, "by": 1, "now": NOW, **change}
        with pytest.raises(RuleError, match=reason):
            extend_correction(given["correction"], rule, by=given["by"], calendar=calendar, words="a", now=given["now"])
    with pytest.raises(MalformedError, match="CORRECTION_WORDS"):
        extend_correction(opened, rule, by=1, calendar=calendar, words=" ", now=NOW)


def test_extension_past_the_persons_answer_is_refused(opened, rule, calendar, clocks):
    """Every request of a person is answered within thirty days: over the holidays of autumn ten days are too many."""
    answer_by = compute_deadline(load_rule(clocks, ANSWER_CLOCK, on=NOW.date()), NOW, calendar=calendar)
    assert answer_by.last_day == date(2026, 10, 21)
    short = extend_correction(opened, rule, by=7, calendar=calendar, words="a", now=NOW)
    assert verify_answered_in_time(short, answer_by) is short
    long = extend_correction(opened, rule, by=8, calendar=calendar, words="a", now=NOW)
    with pytest.raises(RuleError, match="EXTENSION_PAST_ANSWER"):
        verify_answered_in_time(long, answer_by)


def test_grant_and_deny_end_a_correction_for_good(opened, rule, calendar):
    """What was granted or denied is neither granted, denied nor extended again; it is never overdue."""
    granted = grant_correction(opened, permit_version=2, words="", now=NOW)
    denied = deny_correction(opened, words="与户口簿不符", now=NOW)

    assert (granted.standing.state, granted.standing.permit_version) == (CorrectionState.GRANTED, 2)
    assert (denied.standing.state, denied.standing.version) == (CorrectionState.DENIED, 2)
    for ended in (granted, denied):
        assert not is_overdue(ended.standing, NOW + timedelta(days=400))
        for step in (
            lambda ended=ended: grant_correction(ended, permit_version=3, words="", now=NOW),
            lambda ended=ended: deny_correction(ended, words="a", now=NOW),
            lambda ended=ended: extend_correction(ended, rule, by=1, calendar=calendar, words="a", now=NOW),
        ):
            with pytest.raises(RuleError, match="CORRECTION_ENDED"):
                step()


def test_deny_without_reasons_is_malformed(opened):
    """PIPL article 50: a refusal gives its reasons."""
    with pytest.raises(MalformedError, match="CORRECTION_WORDS"):
        deny_correction(opened, words="", now=NOW)


def test_correction_survives_its_storage(opened):
    """What is stored is read back equal, and its text names nobody."""
    assert decode(Correction, encode(opened)) == opened
    assert REQUEST.citizen_number not in repr(opened)
    assert REQUEST.value not in repr(opened)


def test_verify_admissible_of_another_persons_permit_tells_nothing(permit):
    """No such permit and another person's permit are the same to who asks."""
    assert verify_admissible(REQUEST, permit, filed_by=YUSHAN, realm=Realm.DEMO) is permit
    other = replace(REQUEST, citizen_number="361123219003070039")
    told = set()
    for request, found in ((REQUEST, None), (other, permit)):
        with pytest.raises(RuleError, match="PERMIT_UNKNOWN") as caught:
            verify_admissible(request, found, filed_by=YUSHAN, realm=Realm.DEMO)
        told.add(caught.value.message)
    assert len(told) == 1


def test_verify_admissible_refuses_at_once_what_could_not_be_granted(permit):
    """The applicant does not wait ten days for what is clear from the start."""
    changshan = parse_agency_id("zhejiang/330822/service-hall")
    for request, filed_by, reason in (
        (replace(REQUEST, value="徐谷雨"), YUSHAN, "SAME_VALUE"),
        (replace(REQUEST, field="status"), YUSHAN, "FIELD_NOT_CORRECTABLE"),
        (REQUEST, changshan, "IDENTITY_UNPROVEN"),
    ):
        with pytest.raises(RuleError, match=reason):
            verify_admissible(request, permit, filed_by=filed_by, realm=Realm.DEMO)
    with_paper = replace(REQUEST, papers=("cd" * 32,))
    assert verify_admissible(with_paper, permit, filed_by=changshan, realm=Realm.DEMO) is permit


@pytest.mark.parametrize(
    ("office", "holds"),
    [
        ("zhejiang/330822/service-hall", True),
        ("zhejiang/330822/police", True),
        ("zhejiang/330822/court", False),
        ("zhejiang/330824/police", False),
        ("jiangxi/361123/service-hall", False),
    ],
)
def test_record_is_held_by_the_issuing_counties_desks(office, holds):
    """Who decides about a permit: service hall and police of the county that issued it."""
    assert holds_record(parse_agency_id(office), urn_division(REQUEST.urn)) is holds


def test_answers_follow_each_other_in_any_order_of_arrival(opened, rule, calendar):
    """Opened, extended, denied: each stands beside the newest one known, whichever came first."""
    extended = extend_correction(opened, rule, by=5, calendar=calendar, words="等待户籍地答复", now=NOW)
    denied = deny_correction(extended, words="与户口簿不符", now=NOW)
    said = [each.standing for each in (opened, extended, denied)]

    for known in (None, *said):
        for answer in said:
            assert verify_answer_follows(known, answer) is answer
    early = deny_correction(opened, words="与户口簿不符", now=NOW).standing
    for known, answer in ((early, said[1]), (said[1], early), (early, said[2]), (said[2], early)):
        with pytest.raises(RuleError, match="CORRECTION_STEP"):
            verify_answer_follows(known, answer)
