"""外出凭证: how a token is printed and typed, where and when it says yes, and when it says yes no more."""

from __future__ import annotations

import os
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_37_36

from federation.domain.joint_trace import check_sign
from federation.domain.leave import SECRET, living_token, make_token, parse_token, today_request, token_digest
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, Realm, format_time, parse_agency_id
from tests.domain.test_corrections_leave import DESKS, GRANT, away, crossing, digest

TOKEN = make_token("350723", bytes(range(SECRET)))
SCHOOL = {"counties": ("361124",), "weekdays": ("mon", "tue", "wed", "thu", "fri")}
HOME, VISITED = parse_agency_id(DESKS["home"]), parse_agency_id(DESKS["visited"])
SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TUESDAY, SUNDAY = date(2026, 12, 1), date(2026, 12, 6)


@settings(max_examples=40)
@given(st.text(SIGNS, min_size=1, max_size=40))
def test_last_sign_is_that_of_the_standard(text):
    """ISO 7064 MOD 37,36, as another program has it; of digits alone MOD 11,10."""
    assert check_sign(text, SIGNS) == mod_37_36.calc_check_digit(text)


@settings(max_examples=40)
@given(st.binary(min_size=SECRET, max_size=SECRET))
def test_token_is_read_as_it_was_printed(drawn):
    """In groups of four, of 135 bits; O is read as 0, I and L as 1, since nobody sees which was meant."""
    printed = make_token("350723", drawn)
    plain = printed.replace("-", "")
    assert [len(group) for group in printed.split("-")] == [6, 4, 4, 4, 4, 4, 4, 4]
    assert parse_token(plain) == parse_token(plain.replace("0", "O").replace("1", "L")) == plain
    assert len({token_digest(make_token("350723", os.urandom(SECRET))) for _ in range(3)}) == 3


@pytest.mark.parametrize("at", [0, 5, 6, 20, 32, 33])
def test_mistyped_token_is_told_at_once(at):
    """One wrong sign, two that changed places, one missing: nobody is asked."""
    plain = TOKEN.replace("-", "")
    other = "2" if plain[at] != "2" else "3"
    swapped = plain[:6] + plain[7] + plain[6] + plain[8:]
    for wrong in (plain[:at] + other + plain[at + 1 :], swapped, plain[:-1], plain + "0", plain.lower(), ""):
        with pytest.raises(MalformedError, match="34 signs") as caught:
            parse_token(wrong)
        assert caught.value.reason == "TOKEN_FORM"


def living(case):
    return living_token(case.case, step=1, person="")


def answers(token, *, county="361124", day=TUESDAY, office=HOME):
    """What policy is asked of a token: that the county is named, and that it is in force on the day."""
    agency = AgencyFacts(id=AgencyId(VISITED.node, county, "corrections"), functions=frozenset({"F13"}))
    occasion = Occasion(purpose="corrections.today", function="F13", realm=Realm.DEMO, node_realm=Realm.DEMO)
    asked = dict(today_request(agency, token, office=office, today=day, occasion=occasion).context)
    return asked["named"], asked["inForce"]


def test_recurring_crossing_is_for_its_county_and_its_weekdays_within_its_six_months():
    """Tuesday is, Sunday is none; another county, a day before or after, and no token at all have no yes."""
    case = crossing()
    case.cannot("office", "issue_token", "ROLE_NOT_HERE", token=digest("t"), **SCHOOL)
    case.does("home", "issue_token", token=digest("t"), **SCHOOL)
    token = living(case)
    assert (token.first, token.last) == (date(2026, 12, 1), date(2027, 5, 27))
    assert answers(token) == (True, True)
    assert answers(token, day=SUNDAY) == (True, False)
    assert answers(token, county="361123") == (False, True)
    assert answers(token, day=date(2026, 11, 30)) == answers(token, day=date(2027, 5, 28)) == (True, False)
    assert answers(token, office=parse_agency_id("fujian/350722/corrections")) == answers(None) == (False, False)


def test_no_token_before_the_permit_and_only_the_newest_lives():
    """A recurring permit is issued first; who lost a token is issued another, and the lost one is dead."""
    case = crossing()
    assert living(case) is None
    case.does("home", "issue_token", token=digest("lost"), **SCHOOL)
    case.does("home", "issue_token", token=digest("new"), counties=("361124",))
    token = living(case)
    assert (token.token, token.weekdays) == (digest("new"), ())
    assert answers(token, day=SUNDAY) == (True, True)


def test_permit_of_more_than_six_months_says_yes_for_six():
    """The clock of recurring crossings ends it, whatever day the grant says."""
    case = crossing(until="2028-01-01")
    case.does("home", "issue_token", token=digest("t"), **SCHOOL)
    assert living(case).last == date(2027, 5, 27)


def test_revocation_counts_from_the_day_on_which_the_person_was_told():
    """Revoked alone changes nothing; told on the 25th the last day is the 24th; nothing before is undone."""
    case = crossing()
    case.does("home", "issue_token", token=digest("t"), **SCHOOL)
    case.day(30).does("home", "revoke_permit", number="1", day="2026-12-21")
    assert living(case).last == date(2027, 5, 27)
    case.does("home", "tell_person", what="ended", day="2026-12-25")
    token = living(case)
    assert token.last == date(2026, 12, 24)
    assert answers(token, day=date(2026, 12, 24)) == (True, True)
    assert answers(token, day=date(2026, 12, 25)) == (True, False)
    case.does("home", "close", outcome="revoked")
    assert living(case) is None


def test_token_is_dead_once_its_time_is_over():
    """Of a leave and of recurring crossings, from the entry on by which the node writes so."""
    for case, clock in ((away(), "corr.leave.due"), (crossing(), "corr.leave.recurring")):
        case.does("home", "issue_token", token=digest("t"), counties=("361124",))
        assert living(case) is not None
        case.now = due = case.case.clocks[clock].due
        case.does(None, "overdue", clock=clock, due=format_time(due))
        assert living(case) is None


def test_leave_has_a_token_until_its_person_is_back():
    """Every day from its first to its last, longer where longer was granted; who reported back has none."""
    case = away()
    case.cannot("office", "issue_token", "ROLE_NOT_HERE", token=digest("t"), counties=("361124",))
    case.does("home", "issue_token", token=digest("t"), counties=("361124", "330822"))
    assert answers(living(case), day=date(2026, 12, 5), county="330822") == (True, True)
    assert answers(living(case), day=date(2026, 12, 6)) == (True, False)
    case.does("office", "ask_longer", days=10, taken=0)
    case.does("office", "move", to="deciding", reason="延长")
    case.does("home", "grant_leave", **{**GRANT, "until": "2026-12-10"})
    assert answers(living(case), day=date(2026, 12, 10)) == (True, True)
    case.does("home", "move", to="away")
    case.does("office", "report_back", day="2026-12-05")
    assert living(case) is None
