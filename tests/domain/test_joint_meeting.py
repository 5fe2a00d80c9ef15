"""联席会议: nine resolutions of four sides, an office that checks itself, and two texts of one meeting."""

from datetime import datetime

import pytest

from federation.domain.joint_case import fold
from federation.domain.joint_offers import task_acts
from federation.node.joint.shown import tasks
from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

RULES = rules_of("joint-meeting")
DESKS = {
    "chair": "zhejiang/330824/governance",
    "yushan": "jiangxi/361123/governance",
    "pucheng": "fujian/350722/governance",
    "xiuning": "anhui/341022/governance",
    "office": "zhejiang/330824/office",
}
OWN = ("accept_task", "decline_task", "report_progress", "report_result", "ask_more_time", "consent_drop")
SIDES = ("chair", "yushan", "pucheng", "xiuning")
TEXT = digest("minutes")


@pytest.fixture
def meeting():
    """Called twelve working days ahead; every side takes part."""
    case = CaseBuilder(RULES, DESKS)
    case.does("chair", "open", procedure="joint-meeting", agreement=1, role="chair", division="330824")
    case.does("chair", "call", day="2026-12-16", form="place")
    for desk, role in (("yushan", "member"), ("pucheng", "member"), ("xiuning", "member"), ("office", "verifier")):
        case.does("chair", "invite", agency=str(case.desks[desk]), role=role)
        case.does(desk, "join")
    return case


def hold(case, owners):
    """Agenda, meeting, one resolution for each owner."""
    case.does("chair", "move", to="agenda")
    case.does("yushan", "propose_item", item="patrol", items=("agenda",))
    case.does("chair", "move", to="held")
    case.does("chair", "record_presence", present=tuple(str(case.desks[side]) for side in SIDES))
    for number, owner in enumerate(owners, start=1):
        task = {"task": f"t{number}", "owner": str(case.desks[owner]), "due": "2027-01-15", "tag": "joint_build"}
        case.does("chair", "record_item", items=("resolution",), **task)
    case.does("chair", "move", to="minutes")
    case.does("chair", "issue_minutes", minutes=TEXT)


def sign(case, *sides):
    for side in sides:
        case.does(side, "sign_minutes", minutes=TEXT)


def test_straight_nine_resolutions_of_four_sides_are_all_verified(meeting):
    """Signed by all, taken by their owners, checked by another agency, closed."""
    owners = [SIDES[number % 4] for number in range(9)]
    hold(meeting, owners)
    sign(meeting, *SIDES)
    meeting.does("chair", "move", to="working")
    assert len(meeting.case.tasks) == 9
    assert meeting.case.clocks["task.due:t1"].runs
    for number, owner in enumerate(owners, start=1):
        meeting.does(owner, "accept_task", task=f"t{number}")
        meeting.does(owner, "report_result", task=f"t{number}", manifest=digest(number))
    assert not meeting.case.clocks["task.due:t1"].runs
    meeting.does("chair", "move", to="verification")
    for number in range(1, 10):
        meeting.does("office", "verify", task=f"t{number}", officer="v-1")
    meeting.does("chair", "move", to="closed")
    meeting.does("chair", "close", outcome="done")


def test_each_task_says_what_an_officer_may_do_about_it_now(meeting):
    """The owner accepts and reports, another office verifies, who did it does not; all of it follows from the acts."""

    def may(desk, officer="o-1"):
        return task_acts(meeting.case, "t1", meeting.desks[desk], officer=officer)

    hold(meeting, ("yushan",))
    assert may("yushan") == ()
    sign(meeting, *SIDES)
    meeting.does("chair", "move", to="working")
    assert may("yushan") == OWN
    assert may("pucheng") == ("consent_drop",)
    assert "grant_time" not in may("chair")
    asked = meeting.does("yushan", "ask_more_time", task="t1", due="2027-02-15")
    assert "grant_time" in may("chair")
    meeting.does("chair", "grant_time", about=asked.name, task="t1", due="2027-02-15")
    assert "grant_time" not in may("chair")
    meeting.does("yushan", "accept_task", task="t1")
    meeting.does("yushan", "report_result", task="t1", manifest=digest("r"))
    meeting.does("chair", "move", to="verification")
    assert may("office", "v-1") == ("verify", "return_task")
    assert may("yushan") == ()
    listed = tasks(meeting.case, meeting.desks["office"], "v-1")
    assert [(each.name, each.state, each.due, each.offers) for each in listed] == [
        ("t1", "report_result", "2027-02-15", ("verify", "return_task"))
    ]


def test_meeting_called_late_is_late_from_the_first_moment(meeting):
    """Ten working days before the meeting; the members heard of it in time here."""
    clock = meeting.case.clocks["meeting.call"]
    assert str(clock.deadline.last_day) == "2026-12-02"
    assert clock.stopped is not None
    assert meeting.case.clocks["meeting.papers"].runs


def test_wrong_the_owner_checks_nothing_of_its_own_and_who_declines_is_not_bound(meeting):
    """Reporting is not verifying; Anhui declines and is shown so; what is open stays open."""
    hold(meeting, ("yushan", "xiuning"))
    meeting.cannot("chair", "move", "CONDITION_MISSING", "minutes_signed_by_all", to="working")
    sign(meeting, *SIDES)
    meeting.does("chair", "move", to="working")
    meeting.cannot("yushan", "accept_task", "NOT_THEIR_TASK", task="t2")
    meeting.does("xiuning", "decline_task", task="t2", why="不属本县")
    meeting.does("yushan", "accept_task", task="t1")
    meeting.does("yushan", "report_result", task="t1", manifest=digest("r"))
    meeting.does("chair", "move", to="verification")
    meeting.cannot("yushan", "verify", "ROLE_NOT_HERE", task="t1", officer="v-1")
    meeting.does("chair", "invite", agency=str(meeting.desks["yushan"]), role="verifier")
    meeting.does("yushan", "join")
    meeting.cannot("yushan", "verify", "VERIFIES_OWN_WORK", task="t1", officer="v-1")
    meeting.does("office", "verify", task="t1", officer="o-1")
    meeting.does("chair", "move", to="closed")
    meeting.cannot("chair", "close", "CONDITION_MISSING", "every_item_verified", outcome="done")
    meeting.does("chair", "close", outcome="closed_part")
    assert meeting.case.tasks["t2"].state == "decline_task"


def test_overdue_is_written_once_however_often_it_is_said(meeting):
    """The lead's node says it; a repeat is without effect and changes nothing."""
    hold(meeting, ("yushan",))
    sign(meeting, *SIDES)
    meeting.does("chair", "move", to="working")
    clock = meeting.case.clocks["task.due:t1"]
    due = format_time(clock.due)
    meeting.cannot(None, "overdue", "CLOCK_NOT_OVER", clock="task.due:t1", due=due)
    meeting.now = datetime.fromisoformat(due)
    meeting.does(None, "overdue", clock="task.due:t1", due=due)
    meeting.cannot(None, "overdue", "DONE_ALREADY", clock="task.due:t1", due=due)


def test_more_time_is_asked_by_the_owner_and_granted_by_another_and_the_clock_follows(meeting):
    """Asking changes no day; the chair's word does, for that task, and nobody grants it to the own office."""
    hold(meeting, ("yushan", "chair"))
    sign(meeting, *SIDES)
    meeting.does("chair", "move", to="working")
    before = meeting.case.clocks["task.due:t1"]
    asked = meeting.does("yushan", "ask_more_time", task="t1", due="2027-03-01")
    assert meeting.case.clocks["task.due:t1"] == before
    assert meeting.case.tasks["t1"].due == "2027-01-15"
    meeting.cannot("yushan", "grant_time", "ROLE_NOT_HERE", about=asked.name, task="t1", due="2027-03-01")
    meeting.cannot("chair", "grant_time", "CITES_NOTHING", about=asked.name, task="t2", due="2027-03-01")
    own = meeting.does("chair", "ask_more_time", task="t2", due="2027-03-01")
    meeting.cannot("chair", "grant_time", "NOT_THEIRS_TO_DECIDE", about=own.name, task="t2", due="2027-03-01")
    meeting.now = before.due
    meeting.does(None, "overdue", clock="task.due:t1", due=format_time(before.due))
    meeting.does("chair", "grant_time", about=asked.name, task="t1", due="2027-02-10")
    after = meeting.case.clocks["task.due:t1"]
    assert (str(after.deadline.last_day), after.late, meeting.case.tasks["t1"].due) == (
        "2027-02-10",
        False,
        "2027-02-10",
    )
    assert str(meeting.case.clocks["task.due:t2"].deadline.last_day) == "2027-01-15"
    meeting.cannot("chair", "grant_time", "DONE_ALREADY", about=asked.name, task="t1", due="2027-04-01")


def test_resolution_is_dropped_with_the_word_of_every_side_and_of_none_less(meeting):
    """Nobody ends another county's resolution: three of four is not all."""
    hold(meeting, ("yushan",))
    sign(meeting, *SIDES)
    meeting.does("chair", "move", to="working")
    for side in SIDES[1:3]:
        meeting.does(side, "consent_drop", task="t1")
    meeting.cannot("chair", "drop_task", "CONSENT_MISSING", task="t1")
    assert meeting.case.tasks["t1"].state == "open"
    assert meeting.case.clocks["task.due:t1"].runs
    meeting.does("xiuning", "consent_drop", task="t1")
    meeting.does("chair", "drop_task", task="t1")
    assert meeting.case.tasks["t1"].state == "drop_task"
    assert not meeting.case.clocks["task.due:t1"].runs


def test_side_that_no_resolution_binds_may_be_away_and_signs_nothing(meeting):
    """Three of four meet and bind themselves; the fourth is named by no resolution of theirs, or the meeting waits."""
    meeting.does("chair", "move", to="agenda")
    meeting.does("yushan", "propose_item", item="patrol")
    meeting.does("chair", "move", to="held")
    meeting.does("chair", "record_presence", present=tuple(str(meeting.desks[side]) for side in SIDES[:3]))
    task = {"due": "2027-01-15", "tag": "joint_build", "items": ("resolution",)}
    meeting.does("chair", "record_item", task="t1", owner=str(meeting.desks["yushan"]), **task)
    meeting.does("chair", "move", to="minutes")
    meeting.does("chair", "issue_minutes", minutes=TEXT)
    sign(meeting, *SIDES[:3])
    meeting.does("chair", "record_item", task="t2", owner=str(meeting.desks["xiuning"]), **task)
    meeting.cannot("chair", "move", "CONDITION_MISSING", "quorum_met", to="working")


def test_meeting_without_a_side_or_with_an_open_objection_does_not_go_on(meeting):
    """Every side that is bound is present; an objection is settled first."""
    meeting.does("chair", "move", to="agenda")
    meeting.does("yushan", "propose_item", item="patrol")
    objected = meeting.does("xiuning", "object_item", item="patrol", why="材料未送达")
    meeting.cannot("chair", "move", "CONDITION_MISSING", "agenda_settled", to="held")
    meeting.does("chair", "settle_item", about=objected.name)
    meeting.does("chair", "move", to="held")
    meeting.does("chair", "record_presence", present=tuple(str(meeting.desks[side]) for side in SIDES[:3]))
    meeting.cannot("chair", "move", "CONDITION_MISSING", "quorum_met", to="minutes")


def test_apart_two_texts_are_signed_and_the_chair_issues_one_again(meeting):
    """Two digests are no minutes, in whichever order they come; one text signed by all is."""
    hold(meeting, ("yushan",))
    sign(meeting, "chair", "pucheng", "xiuning")
    other = meeting.make("yushan", "sign_minutes", minutes=digest("another text"))
    assert fold(RULES, (*meeting.entries, other)).missing(("minutes_signed_by_all",))
    meeting.add(other)
    meeting.does("chair", "issue_minutes", minutes=digest("third text"))
    meeting.cannot("chair", "move", "CONDITION_MISSING", "minutes_signed_by_all", to="working")
    for side in SIDES:
        meeting.does(side, "sign_minutes", minutes=digest("third text"))
    meeting.does("chair", "move", to="working")


def test_no_class_of_it_is_about_persons():
    """Agenda, resolutions and papers alone."""
    assert RULES.procedure.classes.keys() == {"agenda", "resolution", "document"}
