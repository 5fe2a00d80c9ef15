"""外出请假与经常性活动: who decides by the days, the leave that ends in time or late, six months of crossings, one province."""

import pytest

from federation.domain.case_items import CLASSES
from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

RULES = rules_of("corrections-leave")
RECORD = "fujian/01936000-0000-7000-8000-000000000002"
DESKS = {
    "home": "fujian/350723/corrections",
    "office": "fujian/350723/justice-office",
    "superior": "fujian/350700/corrections",
    "prosecutor": "fujian/350723/procuratorate",
    "visited": "jiangxi/361124/corrections",
}


def asked(days, *, taken=0, form="once"):
    """The papers are there, and the days are said."""
    case = CaseBuilder(RULES, DESKS, RECORD)
    case.does("home", "open", procedure="corrections-leave", agreement=1, role="home", division="350723")
    for desk in ("office", "superior"):
        case.does("home", "invite", agency=DESKS[desk], role=desk)
        case.does(desk, "join")
    items = ("corr_person", "corr_reason", "corr_route")
    case.does("office", "file_application", starts="2026-12-01", items=items)
    for kind in ("application", "proof"):
        case.does("office", "attach_paper", paper_kind=kind, manifest=digest(kind))
    case.does("office", "choose_form", form=form, days=days, taken=taken)
    case.does("office", "move", to="deciding")
    return case


GRANT = {"number": "1", "begins": "2026-12-01", "until": "2026-12-05"}


def away():
    case = asked(5)
    case.does("office", "grant_short", **GRANT)
    case.does("office", "move", to="away")
    case.day(8).does("office", "depart", day="2026-12-01")
    return case


def running(case):
    return {name for name, clock in case.case.clocks.items() if clock.runs}


@pytest.mark.parametrize(
    ("days", "taken", "level"),
    [(7, 0, "office"), (7, 23, "office"), (8, 0, "home"), (30, 0, "home"), (7, 25, "superior"), (31, 0, "superior")],
)
def test_who_decides_follows_from_the_days_and_from_those_of_two_months(days, taken, level):
    """Seven days the justice office, thirty the county, beyond that, or summed beyond that, the body above."""
    case = asked(days, taken=taken)
    if level == "office":
        case.does("office", "grant_short", **GRANT)
        return
    case.cannot("office", "grant_short", "CONDITION_MISSING", "office_may_decide", **GRANT)
    case.cannot("office", "grant_leave", "ROLE_NOT_HERE", **GRANT)
    if level == "superior":
        case.cannot("home", "grant_leave", "CONDITION_MISSING", "home_may_decide", **GRANT)
        case.does("home", "ask_superior", number="1", day="2026-11-24")
        case.does("superior", "file_superior_decision", manifest=digest("decision"))
    case.does("home", "grant_leave", **GRANT)
    if level == "superior":
        case.cannot("home", "move", "CONDITION_MISSING", "long_leave_told", to="away")
        case.does("home", "tell_procuratorate", number="1", day="2026-11-24")
    case.does("home", "move", to="away")


def test_leave_that_ends_in_time_is_closed_as_returned():
    """Its own last day runs beside the seven days of the justice office, and not the thirty of the county."""
    case = away()
    assert running(case) == {"corr.leave.due", "corr.leave.short"}
    assert f"{case.case.clocks['corr.leave.due'].deadline.last_day}" == "2026-12-05"
    case.cannot("office", "close", "CONDITION_MISSING", "returned_in_time", outcome="returned")
    case.does("office", "report_back", day="2026-12-05")
    assert running(case) == set()
    case.does("office", "close", outcome="returned")


def test_leave_that_is_over_is_searched_and_never_closed_as_returned():
    """The node of the county writes that it is over; then the two hours to begin the search run."""
    case = away()
    case.cannot("home", "move", "CONDITION_MISSING", "term_over", to="late")
    due = case.case.clocks["corr.leave.due"].due
    case.now = due
    case.does(None, "overdue", clock="corr.leave.due", due=format_time(due))
    case.cannot("home", "close", "CONDITION_MISSING", "returned_in_time", outcome="returned")
    case.does("home", "move", to="late")
    assert "corr.search.begin" in running(case)
    case.does("office", "search_step", how="phone")
    assert "corr.search.begin" not in running(case)
    case.does("office", "found", day="2026-12-06")
    case.cannot("home", "close", "CONDITION_MISSING", "procuratorate_told", outcome="late")
    case.does("home", "tell_procuratorate", number="1", day="2026-12-06")
    case.does("home", "close", outcome="late")


def test_longer_leave_goes_up_where_its_days_say_so():
    """A leave of five days that becomes ten is the county's to decide, and has its own last day."""
    case = away()
    case.does("office", "ask_longer", days=10, taken=0)
    case.does("office", "move", to="deciding", reason="延长")
    case.cannot("office", "grant_short", "CONDITION_MISSING", "office_may_decide", **GRANT)
    case.does("home", "grant_leave", **{**GRANT, "until": "2026-12-10"})
    case.does("home", "move", to="away")
    assert f"{case.case.clocks['corr.leave.due'].deadline.last_day}" == "2026-12-10"


def crossing(until="2027-05-27"):
    case = asked(180, form="recurring")
    case.does("home", "grant_recurring", **{**GRANT, "until": until})
    case.does("home", "move", to="recurring")
    case.does("home", "issue_permit", number="外出证1号", day="2026-11-27")
    return case


def test_recurring_crossings_run_six_months_and_are_applied_for_anew():
    """The county decides; a renewal is a record of its own; nothing expires before the node wrote it."""
    case = crossing()
    clock = case.case.clocks["corr.leave.recurring"]
    assert f"{clock.deadline.last_day}" == "2027-05-27"
    case.cannot("home", "close", "CONDITION_MISSING", "term_over", outcome="expired")
    case.does("home", "renew_permit", other="fujian/01936000-0000-7000-8000-000000000003")
    case.does("home", "close", outcome="renewed")
    case = asked(180, form="recurring")
    case.cannot("home", "grant_leave", "CONDITION_MISSING", "home_may_decide", **GRANT)


def test_revocation_counts_once_the_person_was_told():
    """Nothing is back-dated: it ends with the day on which the person was told."""
    case = crossing()
    case.day(30).does("home", "revoke_permit", number="1", day="2026-12-24")
    case.cannot("home", "close", "CONDITION_MISSING", "permit_revoked", outcome="revoked")
    case.does("home", "tell_person", what="ended", day="2026-12-25")
    case.does("home", "close", outcome="revoked")


def test_refusal_has_a_listed_reason_and_its_remedy():
    """Told in writing, with where to complain; no leave after the person took the application back."""
    case = asked(5)
    case.cannot("office", "refuse_leave", "ACT_FORM", "why", number="1", day="2026-11-24", why="not_today")
    case.does("office", "refuse_leave", number="1", day="2026-11-24", why="not_listed")
    case.cannot("home", "close", "CONDITION_MISSING", "refusal_told", "route_signposted", outcome="refused")
    case.does("office", "tell_person", what="refused", day="2026-11-24")
    case.does("office", "signpost", remedy="complaint", body="光泽县人民检察院")
    case.does("home", "close", outcome="refused")
    case = asked(5)
    case.does("office", "person_withdraws", day="2026-11-24")
    case.cannot("office", "grant_short", "CONDITION_MISSING", "not_withdrawn", **GRANT)
    case.does("home", "close", outcome="withdrawn")


def test_it_is_a_record_of_one_province_and_its_route_is_given_to_nobody_else():
    """The place of the stay is asked by letter and takes no part; no role of the other side, and no class for it."""
    case = asked(5)
    case.cannot("home", "invite", "ROLE_OF_OTHER_SIDE", agency=DESKS["visited"], role="home")
    procedure = RULES.procedure
    assert (procedure.provinces, {role.side for role in procedure.role}) == (1, {"A"})
    for name in CLASSES:
        assert procedure.seen_by_any(name, "B") <= procedure.seen_by_any(name, "A")
        assert procedure.seen(name, ["procuratorate"], "A") == frozenset()
    assert procedure.lookups == ()
    assert not any(stage.trace_zh for stage in procedure.stage)
