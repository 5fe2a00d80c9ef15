"""车驾管通办: every type of the table, a block and a wait, and a check that has grown old behind a broken link."""

from datetime import date, timedelta

import pytest

from federation.domain.case_figures import REPORTED, count_cases
from federation.protocol.ids import format_time, parse_agency_id
from tests.domain.case_builder import RECORD, CaseBuilder, rules_of

RULES = rules_of("vehicle-business")
DESKS = {
    "hall": "zhejiang/330822/service-hall",
    "office": "zhejiang/330822/police",
    "home": "jiangxi/361123/police",
}
PAPERS = ("application", "identity")
LIMITS = {
    "registration": ("vehicle.registration", "home", 2),
    "change": ("vehicle.change", "home", 1),
    "transfer": ("vehicle.transfer", "home", 1),
    "inspection": ("vehicle.inspection", "stands_here", 1),
    "papers": ("vehicle.papers", "home", 1),
    "plates": ("vehicle.plates", "home", 15),
    "correct": ("vehicle.correct", "home", 5),
    "move": ("vehicle.move.out", "home", 3),
    "renew": ("licence.issue", "other", 1),
    "licence_change": ("licence.issue", "other", 1),
    "moved": ("licence.issue", "new_place", 1),
    "reissue": ("licence.issue", "other", 1),
    "cancel": ("licence.issue", "home", 1),
}
"""The clock of each type, a place that may do it, and its working days."""


def begin(kind, at, papers=PAPERS, record=RECORD, **said):
    case = CaseBuilder(RULES, DESKS, record)
    case.does("hall", "open", procedure="vehicle-business", agreement=1, role="counter", division="330822")
    for desk, role in (("office", "office"), ("home", "home")):
        case.does("hall", "invite", agency=str(case.desks[desk]), role=role)
        case.does(desk, "join")
    case.does("hall", "take_papers", type=kind, papers=papers, at_=at, items=("applicant",), **said)
    return case


def check(case, result="clear", **said):
    asked = case.does("hall", "ask_precheck", question="may_do")
    case.does("home", "answer_precheck", about=asked.name, result=result, **said)


def accept(case):
    check(case)
    case.does("hall", "move", to="accepted")
    case.does("hall", "accept")
    if case.case.missing(("inspection_settled",)):  # a licence is no car
        case.does("office", "waive_inspection", why="免检")


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_each_type_has_its_clock_and_no_other(kind):
    """The row of the type starts at acceptance, beside the target of three days."""
    clock, at, days = LIMITS[kind]
    case = begin(kind, at)
    case.does("hall", "move", to="prechecked")
    accept(case)
    started = {
        name for name in case.case.clocks if name.startswith(("vehicle.", "licence.")) and name != "vehicle.precheck"
    }
    assert started == {clock}
    rule = case.case.clocks[clock].rule
    assert (rule.kind, rule.amount) == ("working_days", days)
    assert case.case.clocks["item.mean"].rule.amount == 3


def test_straight_a_licence_is_renewed_at_the_other_sides_counter_on_one_day():
    """Clear, accepted, old licence taken, issued; the home office was asked and knows."""
    case = begin("renew", "other", applicant="peer", permit="yes")
    case.does("hall", "move", to="prechecked")
    accept(case)
    case.does("hall", "move", to="issued")
    case.does("office", "issue", paper_kind="licence", number="a" * 64)
    case.does("hall", "hand_out", paper_kind="licence")
    case.cannot("hall", "close", "CONDITION_MISSING", "old_settled", outcome="issued")
    case.does("hall", "take_old", paper_kind="licence")
    case.does("hall", "close", outcome="issued")
    assert not case.case.clocks["licence.issue"].runs


def test_wrong_an_open_violation_waits_for_the_applicant_and_no_clock_has_begun():
    """Blocked before acceptance: nothing runs against the office; cleared, it is accepted."""
    case = begin("transfer", "new_place", small="yes")
    case.does("hall", "move", to="prechecked")
    check(case, "blocked", blocks=("open_violation",))
    case.cannot("hall", "move", "CONDITION_MISSING", "clear_fresh", to="accepted")
    case.does("hall", "move", to="waiting_applicant", reason="违法未处理")
    assert "vehicle.transfer" not in case.case.clocks
    case.does("hall", "add_papers", papers=("receipt",))
    case.does("hall", "move", to="prechecked")
    accept(case)
    assert case.case.clocks["vehicle.transfer"].rule.amount == 1


def test_wrong_missing_papers_are_told_and_a_large_car_is_forwarded_home():
    """What is missing is named; what may not be done here is forwarded, and ends there."""
    case = begin("transfer", "new_place", papers=("application",))
    case.cannot("hall", "move", "CONDITION_MISSING", "papers_complete", "place_competent", to="prechecked")
    case.does("hall", "tell_missing", missing=("identity",))
    case.does("hall", "move", to="waiting_applicant")
    case.does("hall", "add_papers", papers=("identity",))
    case.cannot("hall", "move", "CONDITION_MISSING", "place_competent", to="prechecked")
    case.does("hall", "move", to="forwarded")
    check(case)
    case.cannot("hall", "issue", "ROLE_NOT_HERE", paper_kind="register", number="a" * 64)
    case.does("home", "issue", paper_kind="register", number="a" * 64)
    case.does("hall", "close", outcome="forwarded")


def test_mortgaged_car_is_transferred_when_the_mortgagee_applies_too():
    """A mortgage bars nothing by itself (登规 26)."""
    case = begin("transfer", "home")
    case.does("hall", "move", to="prechecked")
    check(case, blocks=("mortgaged",))
    case.cannot("hall", "move", "CONDITION_MISSING", "parties_joint", to="accepted")
    case.does("hall", "join_application", as_="mortgagee")
    case.does("hall", "move", to="accepted")


def moved_out():
    """Out within three working days, thirty days on the way; the lead's node says when they are over."""
    case = begin("move", "home")
    case.does("hall", "move", to="prechecked")
    accept(case)
    case.does("hall", "move", to="issued")
    case.does("office", "issue", paper_kind="temporary_plate", number="a" * 64, temporary="yes")
    case.does("office", "move_out", manifest="b" * 64)
    case.does("hall", "move", to="moving", reason="转出")
    window = case.case.clocks["vehicle.move.window"]
    assert (window.deadline.last_day - window.started.date()).days == 30
    return case


def test_moving_out_opens_thirty_days_and_lapses_without_an_application():
    """Nothing is lapsed before the lead's node says that the thirty days are over."""
    case = moved_out()
    case.cannot("hall", "close", "CONDITION_MISSING", "term_over", outcome="lapsed")
    clock = case.case.clocks["vehicle.move.window"]
    case.now = clock.due
    case.does(None, "overdue", clock="vehicle.move.window", due=format_time(clock.due))
    case.does("hall", "close", outcome="lapsed")


def test_car_that_moved_out_is_moved_in_within_three_working_days_and_a_temporary_plate_ends_nothing():
    """Out 3, on the way 30, in 3: accepted anew at the new place, and issued there."""
    case = moved_out()
    case.cannot("hall", "move", "CONDITION_MISSING", "application_here", to="accepted", reason_="转入")
    case.day(10).does("hall", "apply_in", papers=("application",))
    assert not case.case.clocks["vehicle.move.window"].runs
    assert case.case.clocks["vehicle.move.in"].rule.amount == 3
    case.does("hall", "move", to="accepted", reason="转入")
    check(case)
    case.does("hall", "accept")
    case.does("office", "file_inspection", manifest="c" * 64, passed="yes", items=("inspection",))
    case.does("hall", "move", to="issued")
    case.does("hall", "hand_out", paper_kind="plates")
    case.cannot("hall", "close", "CONDITION_MISSING", "paper_issued", outcome="issued")
    case.does("office", "issue", paper_kind="plates", number="d" * 64)
    assert not case.case.clocks["vehicle.move.in"].runs
    case.does("hall", "close", outcome="issued")


@pytest.mark.parametrize(
    ("said", "may"),
    [
        ({"kind": "move", "at": "new_place", "small": "yes"}, True),
        ({"kind": "move", "at": "home", "small": "yes"}, False),
        ({"kind": "move", "at": "home", "small": "no"}, True),
        ({"kind": "transfer", "at": "new_place", "small": "yes"}, True),
        ({"kind": "transfer", "at": "new_place", "small": "no"}, False),
        ({"kind": "change", "at": "stands_here", "small": "yes", "what": "colour"}, True),
        ({"kind": "change", "at": "stands_here", "small": "yes", "what": "other"}, False),
        ({"kind": "change", "at": "stands_here", "small": "no", "what": "colour"}, False),
        ({"kind": "inspection", "at": "stands_here"}, True),
        ({"kind": "inspection", "at": "stands_here", "special": "yes"}, False),
        ({"kind": "plates", "at": "other"}, False),
        ({"kind": "reissue", "at": "other"}, True),
        ({"kind": "moved", "at": "other"}, False),
        ({"kind": "cancel", "at": "other"}, False),
    ],
)
def test_table_of_types_says_where_each_is_done(said, may):
    """登规 2, 10-54, 驾规 63-69: what may not be done here is forwarded home."""
    case = begin(**said)
    assert case.case.missing(("place_competent",)) == (() if may else ("place_competent",))
    assert bool(case.case.missing(("home_must_review",))) == may


def test_check_crosses_as_one_of_its_blocks_and_never_as_stolen():
    """A stolen car is 暂不能办理 at the counter; any other word is no answer."""
    case = begin("transfer", "home")
    case.does("hall", "move", to="prechecked")
    asked = case.does("hall", "ask_precheck", question="may_do")
    for word in ("stolen", "three_tickets"):
        case.cannot("home", "answer_precheck", "ACT_FORM", "blocks", about=asked.name, result="blocked", blocks=(word,))
    case.does("home", "answer_precheck", about=asked.name, result="blocked", blocks=("not_now",))


def test_apart_a_clear_answer_older_than_a_day_is_asked_again_before_issuing():
    """The link was down for 26 hours; home has marked the car sealed meanwhile: no issue, the statutory day runs on."""
    case = begin("renew", "other")
    case.does("hall", "move", to="prechecked")
    accept(case)
    case.does("hall", "move", to="issued")
    case.now += timedelta(hours=26)
    case.cannot("office", "issue", "CONDITION_MISSING", "clear_fresh", paper_kind="licence", number="a" * 64)
    assert case.case.clocks["licence.issue"].runs
    check(case, "blocked", blocks=("sealed_or_seized",))
    case.cannot("office", "issue", "CONDITION_MISSING", "clear_fresh", paper_kind="licence", number="a" * 64)


def renewed(number, **said):
    """A licence renewed across the border, or withdrawn before it was."""
    case = begin("renew", "other", record=f"zhejiang/01936000-0000-7000-8000-{number:012}", **said)
    case.does("hall", "move", to="prechecked")
    accept(case)
    case.does("hall", "move", to="issued")
    case.does("office", "issue", paper_kind="licence", number="a" * 64)
    case.does("hall", "hand_out", paper_kind="licence")
    case.does("hall", "take_old", paper_kind="licence")
    case.does("hall", "close", outcome="issued")
    return case


def numbers(cases, since=date(2026, 11, 1)):
    return {figure.name: figure.value for figure in count_cases(cases, since=since)}


def test_figure_counts_an_application_once_and_what_came_to_nothing_beside_it():
    """Two applications and a repeat are two items; a withdrawal and the press's own number are never among them."""
    first, second = renewed(1, applicant="peer"), renewed(2, applicant="own")
    repeat = renewed(3, repeat_of=first.record)
    given_up = begin("renew", "other", record="zhejiang/01936000-0000-7000-8000-000000000004")
    given_up.does("hall", "close", outcome="withdrawn", reason="本人撤回")
    running = begin("renew", "other", record="zhejiang/01936000-0000-7000-8000-000000000005")
    cases = [each.case for each in (first, second, repeat, given_up, running)]

    assert numbers(cases) == {
        "items": "2", "type.renew": "2", "applicant.own": "1", "applicant.peer": "1",
        "direction.zhejiang.jiangxi": "2", "repeats": "1", "prechecks": "3", "reported": "164",
        "closed": "4", "end.issued": "3", "end.withdrawn": "1", "late": "0",
        "days.mean": "0.0", "days.median": "0.0", "days.p95": "0.0",
    }  # fmt: skip
    assert numbers(reversed(cases)) == numbers(cases)
    assert numbers(cases, since=date(2026, 12, 1)) == {}
    assert REPORTED == 164


def test_every_figure_names_the_entries_that_it_counts_and_is_counted_again_from_them():
    """Who holds the closing entries of two items finds the same two; a number that is nobody's names none."""
    cases = [renewed(number).case for number in (1, 2)]
    found = {figure.name: figure for figure in count_cases(cases, since=date(2026, 11, 1))}
    closings = {case.last("close").entry.name: case for case in cases}
    assert set(found["items"].entries) == closings.keys()
    again = count_cases([closings[name] for name in found["items"].entries], since=date(2026, 11, 1))
    assert next(figure for figure in again if figure.name == "items") == found["items"]
    assert found["reported"].entries == ()


def test_figure_leaves_out_what_lies_within_one_province():
    """Counter and home office of one province are no business across the border."""
    case = CaseBuilder(RULES, {**DESKS, "home": "zhejiang/330824/police"})
    case.does("hall", "open", procedure="vehicle-business", agreement=1, role="counter", division="330822")
    case.does("hall", "invite", agency="zhejiang/330824/police", role="home")
    case.does("home", "join")
    case.does("hall", "close", outcome="withdrawn", reason="本人撤回")
    assert numbers([case.case])["items"] == "0"


def test_days_of_other_procedures_run_from_the_opening_to_the_close():
    """A case that was late says so; what is open counts nowhere."""
    case = CaseBuilder(rules_of("joint-meeting"), {"chair": "zhejiang/330824/governance"})
    case.does("chair", "open", procedure="joint-meeting", agreement=1, role="chair", division="330824")
    assert numbers([case.case]) == {}
    case.does("chair", "call", day="2026-12-16", form="place")
    case.does("chair", "invite", agency="jiangxi/361123/governance", role="member")
    case.desks["peer"] = parse_agency_id("jiangxi/361123/governance")
    case.does("peer", "join")
    case.does("chair", "move", to="agenda")
    case.day(3).does("chair", "close", outcome="called_off", reason="改期")
    assert numbers([case.case]) == {
        "closed": "1", "end.called_off": "1", "late": "0", "days.mean": "3.0", "days.median": "3.0", "days.p95": "3.0",
    }  # fmt: skip
