"""What the engine holds whatever the procedure: floors, the regimes of recusal, days that the parties set, tasks."""

from datetime import timedelta

import pytest

from federation.domain.clock import CLOCKS_FILE
from federation.domain.procedure import PROCEDURES
from federation.protocol.ids import format_time
from tests.domain.case_builder import FILES, CaseBuilder, rules_of
from tests.domain.test_dispute_mediation import DESKS, MEDIATORS, TEXT, agree, assign, choose, investigate, register

DISPUTE = f"{PROCEDURES}dispute-mediation.toml"


def altered(path, old, new, *, count=1):
    text = FILES[path].decode()
    assert old in text
    return {**FILES, path: text.replace(old, new, count).encode()}


def opened(files=FILES):
    case = CaseBuilder(rules_of("dispute-mediation", files), DESKS)
    case.does(
        "town", "open", procedure="dispute-mediation", agreement=1, role="town", division="330822", stage="registration"
    )
    register(case)
    return case


@pytest.fixture
def floored():
    """A case of a clock table in which the time to investigate is a least one."""
    row = 'id = "dispute.investigate",'
    case = opened(altered(CLOCKS_FILE, row, f'{row} bound = "at_least",'))
    choose(case, assign(case))
    case.does("body", "add_fact", fact="f1", agreed="both", source="site_visit")
    case.does("body", "close_facts")
    return case


def test_a_floor_holds_its_stage_until_it_was_written_that_it_is_over(floored):
    """A least time is no deadline: it is never late, and nothing goes on before it."""
    due = floored.case.clocks["dispute.investigate"].due
    floored.cannot("body", "move", "FLOOR_RUNS", "dispute.investigate", to="mediation")
    floored.day(30).cannot("body", "move", "FLOOR_RUNS", to="mediation")  # a member's own clock says nothing
    floored.cannot(None, "overdue", "CLOCK_NOT_OVER", clock="dispute.investigate", due=format_time(due))
    floored.cannot("town", "floor_over", "LEAD_NODE_ONLY", clock="dispute.investigate", due=format_time(due))
    floored.does(None, "floor_over", clock="dispute.investigate", due=format_time(due))
    floored.does("body", "move", to="mediation")


def test_a_floor_is_not_over_a_moment_early_and_holds_no_remedy(floored):
    """What happened before its end does not end it; a return and a withdrawal are not held."""
    due = floored.case.clocks["dispute.investigate"].due
    floored.cannot(
        None,
        "floor_over",
        "CLOCK_NOT_OVER",
        clock="dispute.investigate",
        due=format_time(due),
        at=due - timedelta(milliseconds=1),
    )
    floored.does("body", "move", to="assignment", reason="更换调解员")
    floored.does("town", "withdraw", on_behalf="p1")
    floored.does("town", "close", outcome="withdrawn")


def test_where_a_tie_suspends_work_rests_until_it_is_decided():
    """投诉办法 19: mediation rests while a request for recusal is undecided; what every stage allows goes on."""
    case = opened(altered(DISPUTE, "disclosed", "suspends", count=9))
    choose(case, assign(case))
    asked = case.does("peer", "request_recusal", who=MEDIATORS[0])
    case.cannot("body", "add_fact", "RECUSAL_UNDECIDED", fact="f1", agreed="both", source="site_visit")
    case.does("town", "note", items=("note",))
    case.does("body", "decide_recusal", about=asked.name, result="stays", officer="m-0")
    case.does("body", "add_fact", fact="f1", agreed="both", source="site_visit")


def test_where_the_head_decides_work_goes_on_until_then_and_no_party_waives():
    """处罚法 43: investigation goes on; acceptance by the parties is no decision."""
    case = opened(altered(DISPUTE, "disclosed", "decided", count=9))
    choose(case, assign(case))
    asked = case.does("peer", "request_recusal", who=MEDIATORS[0])
    investigating = case.does("body", "add_fact", fact="f1", agreed="both", source="site_visit", officer="m-1")
    assert investigating.name in case.case.named
    case.cannot("town", "accept_tie", "NOTHING_TO_ANSWER", about=asked.name, on_behalf="p1")
    assert case.case.missing(["recusal_clear"])
    case.does("body", "decide_recusal", about=asked.name, result="barred", officer="m-0")
    case.cannot("body", "decide_recusal", "DONE_ALREADY", about=asked.name, result="stays", officer="m-0")
    case.cannot("body", "add_fact", "OFFICER_RECUSED", fact="f2", agreed="A", source="site_visit", officer="m-1")


def test_a_day_that_the_parties_set_is_a_clock_for_each_obligation():
    """`due_from`: each obligation has its own day, and its own end; it is of a party, and is performed, that is there."""
    case = opened()
    choose(case, assign(case))
    investigate(case)
    agree(case)
    case.does("body", "add_obligation", agreement=TEXT, obligation="o2", party="p2", what="act", due="2027-02-01")
    first, second = case.case.clocks["agreement.due:o1"], case.case.clocks["agreement.due:o2"]
    assert (first.deadline.last_day.isoformat(), second.deadline.last_day.isoformat()) == ("2027-01-20", "2027-02-01")
    owed = {"agreement": TEXT, "obligation": "o3", "what": "act", "due": "2027-02-01"}
    case.cannot("body", "add_obligation", "PARTY_UNKNOWN", "party", party="p9", **owed)
    case.does("town", "move", to="performance")
    case.cannot("village", "record_performance", "CITES_NOTHING", "obligation", obligation="o9", day="2027-01-30")
    case.now = first.due
    case.does(None, "overdue", clock="agreement.due:o1", due=format_time(first.due))
    case.does("village", "record_performance", obligation="o2", day="2027-01-30")
    assert not case.case.clocks["agreement.due:o2"].runs
    assert case.case.clocks["agreement.due:o1"].late
    assert case.case.clocks["enforce.apply:o1"].runs


def test_a_year_without_a_calendar_gives_a_clock_without_a_day():
    """Nobody can write that such a time is over, and nothing fails for it."""
    case = opened()
    choose(case, assign(case))
    case.now = case.now.replace(year=2090)
    investigate(case)
    agree(case)
    clock = case.case.clocks["med.confirm"]
    assert (clock.deadline, clock.due) == (None, None)
    case.cannot(None, "overdue", "CLOCK_NOT_OVER", clock="med.confirm", due=format_time(case.now))


def test_ties_are_limited_and_of_members_only():
    """Each is looked at before every entry: nobody makes them without end."""
    case = opened()
    assign(case)
    case.cannot("peer", "request_recusal", "NOT_A_MEMBER", who="fujian/350722/police#o-1")
    for number in range(100):
        case.does("peer", "request_recusal", who=f"{DESKS['body']}#x-{number}")
    case.cannot("peer", "request_recusal", "TIES_FULL", who=MEDIATORS[0])


def test_there_is_one_owner_and_who_gives_the_matter_back_makes_room():
    """An owner that declined, left or was removed owns nothing; mediators whose office left are none."""
    case = opened()
    assign(case)
    case.does("town", "invite", agency=DESKS["court"], role="court")
    case.does("court", "join")
    assert not case.case.missing(["owner_named", "mediator_named"])
    case.does("peer_body", "leave", cut=("jiangxi:9",))
    assert case.case.missing(["owner_named", "mediator_named"]) == ("mediator_named",)
    routing = opened()
    routing.does("town", "accept")
    routing.does("town", "move", to="routing")
    routing.does("town", "name_owner", agency=DESKS["town"])
    routing.cannot("town", "name_owner", "DONE_ALREADY", agency=DESKS["town"])
    routing.does("town", "decline_task", why="不属本镇")
    assert routing.case.missing(["owner_named"])
    routing.does("town", "name_owner", agency=DESKS["town"])


def test_a_move_from_a_stage_that_was_left_meanwhile_goes_nowhere():
    """Two sides moved it while apart: the second says from where, and does not move it twice."""
    case = opened()
    case.does("town", "accept")
    second = case.make("town", "move", to="routing", from_="acceptance")
    case.does("town", "move", to="routing", from_="acceptance")
    case.add(second)
    assert case.case.without_effect[-1][1].reason == "STAGE_LEFT"


def test_who_only_looks_on_is_no_side():
    """`each side` is of those who do something: a third province that watches signs nothing."""
    watching = (
        """{ id = "procuratorate", zh = "检察机关", en = "procuratorate", kinds = ["procuratorate"], side = "any" },"""
    )
    files = altered(DISPUTE, "role = [", f"role = [\n  {watching}")
    case = CaseBuilder(rules_of("dispute-mediation", files), DESKS | {"watch": "fujian/350722/procuratorate"})
    case.does(
        "town", "open", procedure="dispute-mediation", agreement=1, role="town", division="330822", stage="registration"
    )
    case.does("town", "invite", agency="fujian/350722/procuratorate", role="procuratorate")
    case.does("watch", "join")
    register(case)
    choose(case, assign(case))
    assert case.case.sides == {"zhejiang", "jiangxi"}
