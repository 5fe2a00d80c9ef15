"""审计发现与整改: the unit is heard for ten days, what stays is put right by its day, and the auditor verifies it."""

from datetime import timedelta

import pytest

from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

DESKS = {
    "auditor": "zhejiang/330000/audit",
    "observer": "jiangxi/360000/audit",
    "unit": "zhejiang/330822/police",
}


@pytest.fixture
def opened():
    """The audit office of Zhejiang found a look-up without its letter at Changshan's police; Jiangxi's takes part."""
    case = CaseBuilder(rules_of("audit-finding"), DESKS)
    case.does("auditor", "open", procedure="audit-finding", agreement=1, role="auditor", division="330000")
    case.does("auditor", "add_fact", fact="f1", agreed="A", source="paper", items=("fact",))
    case.does("auditor", "close_facts")
    return case


@pytest.fixture
def issued(opened):
    """What was found is with the unit, which has ten days from now."""
    opened.does("auditor", "invite", agency=DESKS["unit"], role="unit")
    opened.does("unit", "join")
    tell_observer(opened)
    opened.does("auditor", "move", to="comment")
    return opened


@pytest.fixture
def ordered(issued):
    """The unit agreed, and is to put it right by 20 December."""
    issued.does("unit", "comment", result="agrees")
    issued.does("auditor", "record_item", task="t1", owner=DESKS["unit"], due="2026-12-20", items=("resolution",))
    issued.does("auditor", "move", to="rectify")
    return issued


def tell_observer(case):
    """The node of Jiangxi receipted the invitation, which the lead's node writes by itself."""
    invited = case.does("auditor", "invite", agency=DESKS["observer"], role="observer")
    case.does(None, "told", about=invited.name, agency=DESKS["observer"])


def last_day(case, clock):
    return case.case.clocks[clock].deadline.last_day.isoformat()


def test_finding_is_issued_once_the_unit_and_another_province_have_it(opened):
    """No clock runs against a unit that was not told, and no node alone keeps the record."""
    opened.cannot("auditor", "move", "CONDITION_MISSING", "unit_takes_part", "peer_told", to="comment")
    opened.does("auditor", "invite", agency=DESKS["unit"], role="unit")
    opened.does("unit", "join")
    opened.cannot("auditor", "move", "CONDITION_MISSING", "peer_told", to="comment")
    tell_observer(opened)
    opened.does("auditor", "move", to="comment")
    assert last_day(opened, "audit.comment") == "2026-12-03"


def test_nothing_is_ordered_before_the_unit_was_heard_or_its_ten_days_are_over(issued):
    """Neither the auditor nor the observer comments for it; silence counts once the node wrote that the time is over."""
    issued.does("auditor", "record_item", task="t1", owner=DESKS["unit"], due="2026-12-20", items=("resolution",))
    issued.cannot("auditor", "move", "CONDITION_MISSING", "comment_given", to="rectify")
    issued.cannot("auditor", "comment", "ROLE_NOT_HERE", result="agrees")
    issued.does("observer", "join")
    issued.cannot("observer", "comment", "ROLE_NOT_HERE", result="agrees")
    due = issued.case.clocks["audit.comment"].deadline.due
    issued.cannot(None, "overdue", "CLOCK_NOT_OVER", clock="audit.comment", due=format_time(due))
    issued.now = due + timedelta(minutes=1)
    issued.does(None, "overdue", clock="audit.comment", due=format_time(due))
    issued.does("auditor", "move", to="rectify")


def test_comment_stops_the_ten_days_and_may_end_the_finding(issued):
    """What the unit shows to be right is withdrawn; before it said anything it is not."""
    issued.cannot("auditor", "close", "CONDITION_MISSING", "comment_given", outcome="withdrawn")
    issued.does("unit", "comment", result="disputes", why="协作函附后")
    assert not issued.case.clocks["audit.comment"].runs
    issued.cannot("unit", "close", "ROLE_NOT_HERE", outcome="withdrawn")
    issued.does("auditor", "close", outcome="withdrawn")


def test_rectification_needs_its_day_and_is_late_after_it(ordered):
    """The auditor sets the day, may give more time when asked; overdue is an entry of the lead's node."""
    assert last_day(ordered, "audit.rectify:t1") == "2026-12-20"
    ordered.does("unit", "accept_task", task="t1")
    asked = ordered.does("unit", "ask_more_time", task="t1", due="2026-12-25")
    ordered.cannot("unit", "grant_time", "ROLE_NOT_HERE", about=asked.name, task="t1", due="2026-12-25")
    ordered.does("auditor", "grant_time", about=asked.name, task="t1", due="2026-12-25")
    assert last_day(ordered, "audit.rectify:t1") == "2026-12-25"
    due = ordered.case.clocks["audit.rectify:t1"].deadline.due
    ordered.now = due + timedelta(minutes=1)
    ordered.does(None, "overdue", clock="audit.rectify:t1", due=format_time(due))
    assert ordered.case.clocks["audit.rectify:t1"].late


def test_no_rectification_without_a_day(issued):
    """A task without its day does not enter the stage."""
    issued.does("unit", "comment", result="agrees")
    issued.does("auditor", "record_item", task="t1", owner=DESKS["unit"], items=("resolution",))
    issued.cannot("auditor", "move", "CONDITION_MISSING", "due_set", to="rectify")


def test_auditor_verifies_and_sends_back_and_the_unit_never_closes_it(ordered):
    """What is not put right goes back; once it is verified the finding ends."""
    ordered.does("unit", "accept_task", task="t1")
    ordered.cannot("unit", "move", "CONDITION_MISSING", "result_filed", to="check")
    ordered.does("unit", "report_result", task="t1", manifest=digest("papers"), items=("document",))
    ordered.does("unit", "move", to="check")
    ordered.cannot("unit", "verify", "ROLE_NOT_HERE", task="t1")
    ordered.cannot("auditor", "close", "CONDITION_MISSING", "every_item_verified", outcome="rectified")
    ordered.does("auditor", "return_task", task="t1", why="没有附件")
    ordered.does("auditor", "move", to="rectify", reason="没有附件")
    ordered.does("unit", "report_result", task="t1", manifest=digest("more"), items=("document",))
    ordered.does("unit", "move", to="check")
    ordered.does("auditor", "verify", task="t1")
    ordered.does("auditor", "close", outcome="rectified")


def test_finding_is_handed_over_with_the_way_named(issued):
    """From wherever it stands, to the authority competent, and not without saying which."""
    issued.cannot("auditor", "close", "CONDITION_MISSING", "route_signposted", outcome="handed_over")
    issued.does("auditor", "signpost", remedy="other", body="纪检监察机关")
    issued.does("auditor", "close", outcome="handed_over")
