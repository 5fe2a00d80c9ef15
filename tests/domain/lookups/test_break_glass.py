"""Break-glass: two hours without a letter, a notice at once, a review by the next working day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from federation.domain.lookups_case import decode_case, is_open, open_case
from federation.domain.oversight import (
    BreakGlass,
    Finding,
    break_glass_flag,
    notice_of,
    open_break_glass,
    review_break_glass,
    verify_break_glass_allowed,
)
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import parse_agency_id

POLICE = parse_agency_id("jiangxi/361123/police")
NUMBER = "BREAK-GLASS-2026-001"


def without_letter(terms):
    return replace(terms, letter="", days=0)


@pytest.fixture
def notice(terms, now, calendar) -> BreakGlass:
    """Opened on Monday 2026-11-23 in China."""
    case = open_break_glass(NUMBER, without_letter(terms), opened_by=POLICE, now=now)
    return notice_of(case, "officer-8", calendar=calendar)


def test_break_glass_opens_two_hours_without_a_letter(terms, now):
    """Two hours from now on, as both sides hold it."""
    case = open_break_glass(NUMBER, without_letter(terms), opened_by=POLICE, now=now)

    assert case.closes - case.opens == timedelta(hours=2)
    assert is_open(case, now + timedelta(minutes=119))
    assert not is_open(case, now + timedelta(hours=2))
    assert decode_case(encode(case)) == case


@pytest.mark.parametrize("given", [{"letter": "玉公协〔2026〕1号"}, {"days": 1}, {"letter": "BREAK-GLASS"}])
def test_break_glass_with_a_letter_or_days_is_refused(terms, now, given):
    """What contradicts it is not ignored in silence."""
    with pytest.raises(RuleError, match="BREAK_GLASS_TERMS"):
        open_break_glass(NUMBER, replace(without_letter(terms), **given), opened_by=POLICE, now=now)


def test_case_with_empty_letter_is_refused(terms, now):
    """An ordinary case has a cooperation letter."""
    with pytest.raises(MalformedError) as caught:
        open_case("YS-2026-0042", replace(terms, letter=""), opened_by=POLICE, now=now)
    assert caught.value.reason == "CASE_LETTER"


def test_break_glass_under_an_ordinary_number_is_refused(terms, now):
    """The number tells both sides that there is no letter."""
    with pytest.raises(RuleError) as caught:
        open_break_glass("YS-2026-0042", terms, opened_by=POLICE, now=now)
    assert caught.value.reason == "BREAK_GLASS_NUMBER"


def test_break_glass_number_does_not_carry_an_ordinary_case(terms, now):
    """Nobody opens ninety days under a number of two hours, nor two hours' letter under another number."""
    with pytest.raises(MalformedError):
        open_case(NUMBER, terms, opened_by=POLICE, now=now)
    with pytest.raises(MalformedError):
        open_case("YS-2026-0042", replace(terms, letter="BREAK-GLASS"), opened_by=POLICE, now=now)


def test_break_glass_case_of_more_than_two_hours_is_refused_by_the_answering_side(terms, now):
    """The other province does not take the asker's word for the term."""
    case = open_break_glass(NUMBER, without_letter(terms), opened_by=POLICE, now=now)
    longer = replace(case, closes=case.closes + timedelta(minutes=1))
    with pytest.raises(RuleError) as caught:
        decode_case(encode(longer))
    assert caught.value.reason == "CASE_TERM"


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        (datetime(2026, 11, 23, 8, tzinfo=UTC), date(2026, 11, 24)),
        (datetime(2026, 11, 27, 8, tzinfo=UTC), date(2026, 11, 30)),
        (datetime(2026, 11, 26, 17, tzinfo=UTC), date(2026, 11, 30)),
        (datetime(2026, 9, 30, 8, tzinfo=UTC), date(2026, 10, 8)),
        (datetime(2039, 11, 25, 8, tzinfo=UTC), date(2039, 11, 26)),
    ],
    ids=["Monday", "Friday", "already Friday in China", "before the October week", "no table: the next day"],
)
def test_break_glass_review_is_due_on_the_next_working_day(terms, calendar, opened, due):
    """The day counts in China, holidays are skipped, and a missing table makes it sooner, not later."""
    case = open_break_glass(NUMBER, without_letter(terms), opened_by=POLICE, now=opened)
    assert notice_of(case, "officer-8", calendar=calendar).due == due


def test_break_glass_of_the_leader_is_refused(terms, now, calendar):
    """Nobody reviews themselves: the fixture's leader is officer-7."""
    case = open_break_glass(NUMBER, without_letter(terms), opened_by=POLICE, now=now)
    with pytest.raises(RuleError) as caught:
        notice_of(case, "officer-7", calendar=calendar)
    assert caught.value.reason == "BREAK_GLASS_LEADER"


def test_break_glass_is_blocked_until_the_one_before_is_reviewed(notice):
    """From the very moment it is broken, not only once its review is overdue."""
    verify_break_glass_allowed([])
    with pytest.raises(RuleError) as caught:
        verify_break_glass_allowed([notice])
    assert caught.value.reason == "BREAK_GLASS_UNREVIEWED"
    assert NUMBER in caught.value.message


@pytest.mark.parametrize("finding", [Finding.JUSTIFIED, Finding.UNJUSTIFIED])
def test_break_glass_review_by_the_leader_lifts_the_block(notice, finding):
    """A review late is a review."""
    reviewed = review_break_glass(notice, "officer-7", finding=finding, words=" nobody was missing ")
    verify_break_glass_allowed([reviewed])
    assert decode(BreakGlass, encode(reviewed)) == reviewed


@pytest.mark.parametrize(
    ("reviewer", "before", "finding", "reason"),
    [
        ("officer-8", Finding.OPEN, Finding.JUSTIFIED, "BREAK_GLASS_REVIEWER"),
        ("officer-7", Finding.JUSTIFIED, Finding.UNJUSTIFIED, "BREAK_GLASS_REVIEWED"),
        ("officer-7", Finding.OPEN, Finding.OPEN, "BREAK_GLASS_FINDING"),
    ],
)
def test_break_glass_review_by_another_or_twice_or_of_nothing_is_refused(notice, reviewer, before, finding, reason):
    """One review, by the leader, with a finding."""
    with pytest.raises(RuleError) as caught:
        review_break_glass(replace(notice, finding=before), reviewer, finding=finding)
    assert caught.value.reason == reason


def test_break_glass_flag_names_the_due_day(notice):
    """Every breaking of the glass is flagged, with the day of the review."""
    flag = break_glass_flag(notice)
    assert flag.officer == "officer-8"
    assert "2026-11-24" in flag.sentence_zh


@pytest.mark.parametrize(
    ("field", "value"), [(b'"2026-11-24"', b'"tomorrow"'), (b'"finding":"open"', b'"finding":"fine"')]
)
def test_break_glass_notice_of_another_form_is_malformed(notice, field, value):
    """What the store holds is checked as it is read."""
    encoded = encode(notice)
    assert field in encoded
    with pytest.raises(MalformedError) as caught:
        decode(BreakGlass, encoded.replace(field, value))
    assert caught.value.reason == "BREAK_GLASS_FORM"


def test_break_glass_found_unjustified_without_words_is_refused(notice):
    """Who says that it had not to be done says why; a justified one may stand without."""
    for words in ("", "  "):
        with pytest.raises(RuleError) as caught:
            review_break_glass(notice, "officer-7", finding=Finding.UNJUSTIFIED, words=words)
        assert caught.value.reason == "BREAK_GLASS_WORDS"
    assert review_break_glass(notice, "officer-7", finding=Finding.JUSTIFIED).words == ""
    for words in ("x" * 501, "two\nlines"):
        with pytest.raises(MalformedError) as malformed:
            review_break_glass(notice, "officer-7", finding=Finding.JUSTIFIED, words=words)
        assert malformed.value.reason == "REVIEW_WORDS"
