"""The case of a look-up: its form, its term, and that nothing of it changes but its closing."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.lookups_case import (
    CaseTerms,
    case_provinces,
    close_case,
    decode_case,
    is_open,
    open_case,
    parse_case_id,
    verify_case_follows,
)
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import encode, encode_canonical, replace
from federation.protocol.ids import parse_agency_id

POLICE = parse_agency_id("jiangxi/361123/police")
DAY = timedelta(days=1)
START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def changed(case, **fields):
    return encode_canonical({**json.loads(encode(case)), **fields})


def test_open_case_runs_for_its_term(case, now):
    """A case runs from its opening on and before its end."""
    assert (case.version, case.closed, case.closes) == (1, False, now + 30 * DAY)
    assert [is_open(case, time) for time in (now - DAY, now, case.closes - DAY, case.closes)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("days", [-1, 0, 91])
def test_open_case_with_a_term_outside_the_limit_is_refused(terms, now, days):
    """At most 90 days, at least one."""
    with pytest.raises(RuleError) as caught:
        open_case("YS-2026-0042", replace(terms, days=days), opened_by=POLICE, now=now)
    assert caught.value.reason == "CASE_TERM"


def test_open_case_of_ninety_days_is_taken(terms, now):
    """The longest term itself is within the limit, here and on the other side."""
    case = open_case("YS-2026-0042", replace(terms, days=90), opened_by=POLICE, now=now)
    assert decode_case(encode(case)) == case


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("letter", "", "CASE_LETTER"),
        ("letter", "a\nb", "CASE_LETTER"),
        ("letter", "x" * 101, "CASE_LETTER"),
        ("counties", frozenset(), "CASE_COUNTY"),
        ("counties", frozenset({"3308"}), "CASE_COUNTY"),
        ("purposes", frozenset(), "CASE_PURPOSE"),
        ("purposes", frozenset({"Lookup"}), "CASE_PURPOSE"),
        ("leader", "张三", "CASE_LEADER"),
    ],
)
def test_case_field_of_another_form_is_refused_on_both_sides(terms, case, now, field, value, reason):
    """What cannot be opened cannot be received, either."""
    with pytest.raises(MalformedError) as opened:
        open_case("YS-2026-0042", replace(terms, **{field: value}), opened_by=POLICE, now=now)
    with pytest.raises(MalformedError) as received:
        decode_case(encode(replace(case, **{field: value})))
    assert (opened.value.reason, received.value.reason) == (reason, reason)


def test_case_names_the_provinces_of_its_counties(case):
    """The provinces are told that the case names, and no others."""
    assert case_provinces(replace(case, counties=frozenset({"330822", "330881", "341003"}))) == {"zhejiang", "anhui"}


def test_case_with_a_county_of_no_member_is_refused(terms, now):
    """Beijing is no member."""
    with pytest.raises(RuleError) as caught:
        open_case("YS-2026-0042", replace(terms, counties=frozenset({"110101"})), opened_by=POLICE, now=now)
    assert caught.value.reason == "CASE_COUNTY_UNKNOWN"


@pytest.mark.parametrize(
    ("days", "end"), [(3, START + 3 * DAY), (40, START + 30 * DAY), (-1, START)], ids=["running", "over", "clock back"]
)
def test_close_case_ends_its_term(case, now, days, end):
    """A case ends when it is closed, never later than its term and never before it began."""
    closed = close_case(case, now + days * DAY)
    assert (closed.closed, closed.version, closed.closes) == (True, 2, end)
    assert not is_open(closed, now)
    assert decode_case(encode(closed)) == closed


def test_close_case_twice_is_refused(case, now):
    """A closed case stays closed."""
    with pytest.raises(RuleError) as caught:
        close_case(close_case(case, now), now)
    assert caught.value.reason == "CASE_CLOSED"


@pytest.mark.parametrize("days", [-1, 30])
def test_case_is_not_open_outside_its_term(case, now, days):
    """Before it begins and from its end on, a case binds nothing; within, it does."""
    assert is_open(case, now)
    assert not is_open(case, now + days * DAY)


def test_case_follows_opened_then_closed_and_each_once_more(case, now):
    """Opened, closed, and each of the two repeated: taken."""
    closed = close_case(case, now + DAY)
    steps = [(None, case), (case, case), (case, closed), (closed, closed)]
    assert [verify_case_follows(known, received) for known, received in steps] == [case, case, closed, closed]


def test_case_that_does_not_follow_is_refused(case, now):
    """Closed first, opened again, widened, prolonged or handed to somebody else: refused."""
    closed = close_case(case, now + DAY)
    for known, received in [
        (None, closed),
        (closed, case),
        (case, replace(case, counties=case.counties | {"350703"})),
        (case, replace(case, closes=case.closes + DAY)),
        (case, replace(closed, closes=case.closes + DAY)),
        (case, replace(closed, purposes=frozenset({"lookup.missing_person"}))),
        (case, replace(closed, opened_by=parse_agency_id("fujian/350703/police"))),
        (closed, replace(closed, closes=case.opens)),
    ]:
        with pytest.raises(RuleError) as caught:
            verify_case_follows(known, received)
        assert caught.value.reason == "CASE_STEP"


@pytest.mark.parametrize("text", ["YS-1", "0042", "A" * 40])
def test_case_id_of_the_form_is_taken(text):
    """4 to 40 capital letters, digits and hyphens, no hyphen first."""
    assert parse_case_id(text) == text


@pytest.mark.parametrize("text", ["", "YS1", "-YS1", "ys-2026", "A" * 41, "YS 2026", "YS-2026\n", "案-2026"])
def test_case_id_of_another_form_is_refused(text):
    """Everything else is no case number."""
    with pytest.raises(MalformedError) as caught:
        parse_case_id(text)
    assert caught.value.reason == "CASE_ID"


@given(
    counties=st.frozensets(st.sampled_from(["330822", "330881", "341003", "350703"]), min_size=1),
    purposes=st.frozensets(st.from_regex(r"lookup\.[a-z_]{1,20}", fullmatch=True), min_size=1, max_size=5),
    days=st.integers(1, 90),
    micros=st.integers(0, 999_999),
)
def test_case_survives_encoding(counties, purposes, days, micros):
    """Decoding gives what was encoded, opened and closed."""
    terms = CaseTerms(letter="函1", counties=counties, purposes=purposes, days=days, leader="o_1")
    case = open_case("YS-2026-0042", terms, opened_by=POLICE, now=START.replace(microsecond=micros))
    closed = close_case(case, case.opens + DAY / 3)
    assert (decode_case(encode(case)), decode_case(encode(closed))) == (case, closed)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"closed": 1}, "JSON_TYPE"),
        ({"counties": ["330881", "330822"]}, "JSON_TYPE"),
        ({"counties": ["330822", "330822"]}, "JSON_TYPE"),
        ({"counties": "330822"}, "JSON_TYPE"),
        ({"counties": [330822]}, "JSON_TYPE"),
        ({"purposes": None}, "JSON_TYPE"),
        ({"extra": 1}, "JSON_UNKNOWN_NAME"),
        ({"version": 2}, "CASE_VERSION"),
        ({"closed": True}, "CASE_VERSION"),
        ({"case_id": "x"}, "CASE_ID"),
        ({"opened_by": "jiangxi"}, "AGENCY_ID"),
        ({"opens": "2026-11-23"}, "TIME"),
    ],
)
def test_decode_case_of_another_form_is_refused(case, fields, reason):
    """One strict form and no other."""
    with pytest.raises(MalformedError) as caught:
        decode_case(changed(case, **fields))
    assert caught.value.reason == reason


@pytest.mark.parametrize("closes", ["2026-11-23T08:00:00.000Z", "2026-11-22T08:00:00.000Z", "2027-02-21T08:00:00.001Z"])
def test_decode_case_with_a_term_outside_the_limit_is_refused(case, closes):
    """Another province cannot open a case for longer, or for no time at all."""
    with pytest.raises(RuleError) as caught:
        decode_case(changed(case, closes=closes))
    assert caught.value.reason == "CASE_TERM"


def test_decode_case_without_a_name_is_refused(case):
    """Every field is always there."""
    value = json.loads(encode(case))
    del value["leader"]
    with pytest.raises(MalformedError) as caught:
        decode_case(encode_canonical(value))
    assert caught.value.reason == "JSON_MISSING_NAME"
