"""Look-ups granted in a letter's case: within its bounds alone, by who answers for them, and ended with the stage."""

from datetime import UTC, datetime, timedelta

import pytest

from federation.domain.joint_mandates import mandates
from federation.domain.lookups_case import is_joint_code
from federation.protocol.form import replace
from tests.domain.case_builder import digest
from tests.domain.test_police_letters import UNIT, letter, take_up

ASKER = "jiangxi/361123/police"
TERMS = {
    "purposes": ("lookup.identity_check",),
    "counties": ("330822",),
    "days": 30,
    "leader": f"{ASKER}#leader-1",
    "letter": digest("letter"),
}


@pytest.fixture
def case():
    """A check that is being carried out, under a code."""
    found = letter("check")
    take_up(found)
    found.case = replace(found.case, code="36112320260000001")
    return found


def grant(case):
    return case.does("ask", "grant_lookup", officer="leader-1", **TERMS)


def the_one(case):
    return mandates(case.case)[case.desks["ask"]]


def test_grant_is_a_look_up_case_of_the_same_form(case):
    """Its number is the code; the leader leads it; the counties are those named and the asker's own."""
    entry = grant(case)
    made = the_one(case)
    assert (made.case_id, made.leader, made.letter) == (case.case.code, "leader-1", TERMS["letter"])
    assert made.counties == {"330822", "361123"}
    assert made.closes - made.opens == timedelta(days=30)
    assert made.opens == entry.head.at
    assert not made.closed
    assert is_joint_code(made.case_id)
    assert not is_joint_code("CASE-2026-0001")


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("LOOKUP_PURPOSE", {"purposes": ("lookup.missing_person",)}),
        ("LOOKUP_PURPOSE", {"purposes": ()}),
        ("LOOKUP_COUNTY", {"counties": ("330822", "341022")}),
        ("LOOKUP_COUNTY", {"counties": ()}),
        ("LOOKUP_TERM", {"days": 91}),
        ("LOOKUP_TERM", {"days": 0}),
        ("LOOKUP_LEADER", {"leader": f"{ASKER}#leader-2"}),
        ("LOOKUP_LEADER", {"leader": f"{UNIT}#leader-1"}),
        ("LOOKUP_LETTER", {"letter": digest("police_id")}),
        ("ACT_FORM", {"purposes": ("identity_check",)}),
    ],
)
def test_wrong_grant_is_without_effect(case, reason, change):
    """Beyond the procedure's purposes, the members' counties, 90 days, the own key, or the letters of the case."""
    case.cannot("ask", "grant_lookup", reason, officer="leader-1", **{**TERMS, **change})
    assert not mandates(case.case)


def test_wrong_grant_of_the_last_year_of_time_stops_nobody(case):
    """A head may say any moment; none from which a term cannot be counted."""
    late = datetime(9999, 12, 31, tzinfo=UTC)
    case.cannot("ask", "grant_lookup", "LOOKUP_TERM", officer="leader-1", at=late, **TERMS)


def test_office_is_granted_look_ups_once_in_a_case(case):
    """A term is never extended, and what ended is not begun again; the other side has a grant of its own."""
    entry = grant(case)
    case.cannot("ask", "grant_lookup", "DONE_ALREADY", officer="leader-1", **TERMS)
    case.does("ask", "end_lookup", about=entry.name)
    case.cannot("ask", "grant_lookup", "DONE_ALREADY", officer="leader-1", **TERMS)
    assert the_one(case).closed
    case.does("help", "grant_lookup", officer="leader-5", **{**TERMS, "leader": f"{UNIT}#leader-5"})
    assert len(mandates(case.case)) == 2
    assert not mandates(case.case)[case.desks["help"]].closed


def leave_stage(case):
    case.does("help", "file_result", result="match", beyond="no", identity="match")
    assert not the_one(case).closed
    case.does("help", "move", to="answered")


@pytest.mark.parametrize(
    "end",
    [
        leave_stage,
        lambda case: case.does("help", "raise_dispute", what="管辖"),
        lambda case: case.does("help", "leave", cut=("zhejiang:9",)),
        lambda case: (
            case.does("help", "report_impossible", tried="三次"),
            case.does("ask", "confirm_result"),
            case.does("ask", "close", outcome="impossible"),
        ),
    ],
    ids=["stage", "dispute", "member", "close"],
)
def test_wrong_to_look_up_after_the_case_ended_it(case, end):
    """At the moment of the entry that ended it, and for good."""
    grant(case)
    case.day(2)
    end(case)
    made = the_one(case)
    assert made.closed
    assert made.closes == case.entries[-1].head.at
    assert made.version == 2


def test_no_look_ups_while_jurisdiction_is_disputed(case):
    """A dispute that was raised in the stage keeps them back, whether the case went on to it or not."""
    case.does("help", "raise_dispute", what="管辖")
    case.cannot("ask", "grant_lookup", "LOOKUP_DISPUTED", officer="leader-1", **TERMS)
