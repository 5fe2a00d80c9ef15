"""变更执行地: the move with its four copies, the no-show that is found, the refusal, and the person's will in either order."""

import pytest

from federation.domain.acts import ACTS
from federation.domain.joint_case import fold
from federation.domain.joint_sight import stages_that_open
from federation.domain.procedure_check import find_faults
from federation.protocol.form import replace
from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

RULES = rules_of("corrections-move")
RECORD = "fujian/01936000-0000-7000-8000-000000000001"
DESKS = {
    "origin": "fujian/350723/corrections",
    "office": "fujian/350723/justice-office",
    "prosecutor": "fujian/350723/procuratorate",
    "detention": "fujian/350723/detention",
    "destination": "jiangxi/361124/corrections",
    "third": "anhui/341022/corrections",
}
COPIES = {"origin": ("decider", "procuratorate", "police"), "destination": ("procuratorate", "police")}


def invites(case, desk, role):
    case.does("origin", "invite", agency=str(case.desks[desk]), role=role)
    case.does(desk, "join")


def applied(custody="no"):
    """Guangze, three months ahead, with the opinion of the justice office."""
    case = CaseBuilder(RULES, DESKS, RECORD)
    case.does("origin", "open", procedure="corrections-move", agreement=1, role="origin", division="350723")
    invites(case, "office", "origin_office")
    case.does("office", "file_application", starts="2027-02-01", custody=custody, items=("corr_person", "corr_reason"))
    for kind in ("application", "proof"):
        case.does("office", "attach_paper", paper_kind=kind, manifest=digest(kind))
    case.does("office", "office_opinion", opinion="agree")
    return case


def asked():
    """Yanshan has the letter on the third day."""
    case = applied()
    case.does("origin", "move", to="consulting")
    invites(case, "destination", "destination")
    case.day(3).does("origin", "send_consult", number="光社矫函〔2026〕1号", day="2026-11-26")
    case.does("origin", "move", to="checking")
    case.does("destination", "receive", what="consult", received=format_time(case.now))
    return case


def granted():
    """Agreed on the fifth day, decided on the next one."""
    case = asked()
    case.does("destination", "visit", day="2026-11-27")
    case.does("destination", "file_check", items=("corr_check",))
    case.day(2).does("destination", "agree", number="铅社矫函〔2026〕1号")
    case.does("destination", "move", to="deciding")
    case.day(1).does("origin", "decide_move", number="光社矫变〔2026〕1号", day="2026-11-29")
    case.does("origin", "move", to="handing_over")
    return case


def copies(case, desk):
    for to in COPIES[desk]:
        case.does(desk, "copy_to", to=to, number=f"抄送{to}", day=f"{case.now:%Y-%m-%d}", items=("corr_copy",))


def handed_over():
    case = granted()
    case.does("origin", "tell_person", what="granted", day="2026-11-29")
    case.does(
        "origin", "send_file", manifest=digest("file"), number="1", day="2026-11-29", items=("corr_terms", "corr_file")
    )
    copies(case, "origin")
    case.does("origin", "move", to="receiving")
    case.day(1).does("destination", "receive", what="file", received=format_time(case.now))
    case.does("destination", "receipt_file", manifest=digest("file"), number="1", day="2026-11-30")
    copies(case, "destination")
    return case


def running(case):
    return {name for name, clock in case.case.clocks.items() if clock.runs}


def test_straight_from_guangze_to_yanshan_each_clock_of_its_step_and_four_copies():
    """Applied, consulted on day 3, agreed on day 5, decided, told, file, receipt, reported in on day 4 after."""
    case = applied()
    assert running(case) == {"corr.move.consult"}  # a month ahead: the application itself was in time
    case = asked()
    assert running(case) == {"corr.move.answer"}
    case = granted()
    assert running(case) == {"corr.move.file"}
    case.cannot("origin", "move", "CONDITION_MISSING", "person_told", "file_sent", "origin_copies_sent", to="receiving")
    case = handed_over()
    assert running(case) == {"corr.move.report_in"}
    rule = case.case.clocks["corr.move.report_in"].rule
    assert (rule.kind, rule.amount, rule.verified) == ("days", 7, "unread")
    case.cannot("destination", "close", "CONDITION_MISSING", "person_reported", outcome="moved")
    case.day(3).does("destination", "register_person", day="2026-12-03")
    case.does("destination", "announce", day="2026-12-03")
    case.does("destination", "close", outcome="moved")
    assert running(case) == set()


@pytest.mark.parametrize("missing", COPIES["origin"])
def test_a_copy_that_is_missing_holds_the_case_and_the_other_side_cannot_send_it(missing):
    """Decider, procuratorate and police of the old place are told by the old place."""
    case = granted()
    case.does("origin", "tell_person", what="granted", day="2026-11-29")
    case.does("origin", "send_file", manifest=digest("file"), number="1", day="2026-11-29")
    for to in set(COPIES["origin"]) - {missing}:
        case.does("origin", "copy_to", to=to, number="1", day="2026-11-29")
    case.cannot("destination", "copy_to", "ROLE_NOT_HERE", to=missing, number="1", day="2026-11-29")
    case.cannot("origin", "move", "CONDITION_MISSING", "origin_copies_sent", to="receiving")


def test_no_show_is_searched_found_and_given_a_new_day():
    """Day 8 without a report: raised at once, the procuratorate is told, found, told anew, reports."""
    case = handed_over()
    case.day(7)
    case.cannot("origin", "no_show", "ROLE_NOT_HERE", day="2026-12-07")
    case.does("destination", "no_show", day="2026-12-07")
    assert {"corr.search.begin"} == running(case)
    assert case.case.clocks["corr.search.begin"].rule.amount == 120
    case.does("destination", "move", to="searching", reason="逾期未报到")
    case.does("origin", "search_step", how="phone")
    assert running(case) == set()
    case.does("destination", "ask_police_help", number="请协查1号", day="2026-12-07")
    case.does("origin", "found", day="2026-12-08", report_by="2026-12-15")
    case.cannot("origin", "move", "CONDITION_MISSING", "procuratorate_told", to="receiving")
    case.does("origin", "tell_procuratorate", number="通报1号", day="2026-12-08")
    case.does("origin", "tell_person", what="again", day="2026-12-08", report_by="2026-12-15")
    assert running(case) == {"corr.move.report_in"}
    case.does("origin", "move", to="receiving")
    case.day(2).does("destination", "register_person", day="2026-12-09")
    case.does("destination", "close", outcome="moved")


def test_who_is_not_found_stays_with_the_old_place():
    """The case ends as searched only with the violation filed and the procuratorate told."""
    case = handed_over()
    case.day(7).does("destination", "no_show", day="2026-12-07")
    case.does("destination", "move", to="searching", reason="逾期未报到")
    case.does("origin", "file_violation", number="提请1号", day="2026-12-20")
    case.cannot("origin", "close", "CONDITION_MISSING", "procuratorate_told", outcome="searched")
    case.does("origin", "tell_procuratorate", number="通报1号", day="2026-12-20")
    case.does("origin", "close", outcome="searched")


def test_refusal_names_a_listed_reason_and_is_told_with_where_to_complain():
    """No move against the receiving county without the body above; the file never opens."""
    case = asked()
    case.does("destination", "disagree", number="1", why="no_dwelling")
    case.does("destination", "move", to="deciding")
    case.cannot("origin", "decide_move", "CONDITION_MISSING", "move_agreed", number="1", day="2026-11-28")
    case.cannot("origin", "refuse_move", "ACT_FORM", "why", number="1", day="2026-11-28", why="he_is_bad")
    case.does("origin", "refuse_move", number="1", day="2026-11-28", why="destination_disagrees")
    assert running(case) == {"corr.move.refuse"}
    case.does("origin", "move", to="telling")
    case.does("origin", "tell_person", what="refused", day="2026-11-28")
    assert running(case) == set()
    case.cannot("origin", "close", "CONDITION_MISSING", "route_signposted", outcome="refused")
    case.does("origin", "signpost", remedy="complaint", body="光泽县人民检察院")
    case.does("origin", "close", outcome="refused")
    assert stages_that_open(case.case) == {"consulting"}


def test_the_body_above_settles_what_the_receiving_county_declined():
    """Its decision is filed, and the move may be granted after all."""
    case = asked()
    case.does("destination", "disagree", number="1", why="not_true")
    case.does("destination", "move", to="deciding")
    case.cannot("origin", "move", "CONDITION_MISSING", "superior_asked", to="disputed", reason_="协商不成")
    case.does("origin", "ask_superior", number="1", day="2026-11-28")
    case.does("origin", "move", to="disputed", reason="协商不成")
    case.does("origin", "file_superior_decision", manifest=digest("decision"))
    case.does("origin", "move", to="deciding")
    case.does("origin", "decide_move", number="1", day="2026-11-28")


def test_the_persons_will_counts_on_whichever_side_of_the_answer_it_comes():
    """Two provinces that wrote apart fold alike: agreed first or withdrawn first, it is not granted, and ends."""
    for first in ("agree", "person_withdraws"):
        case = asked()
        before = list(case.entries)
        agree = case.make("destination", "agree", number="1")
        gone = case.make("origin", "person_withdraws", day="2026-11-28")
        both = [agree, gone] if first == "agree" else [gone, agree]
        case.case = fold(RULES, [*before, *both])
        case.entries = [*before, *both]
        assert not case.case.without_effect
        case.does("destination", "move", to="deciding")
        case.cannot("origin", "decide_move", "CONDITION_MISSING", "not_withdrawn", number="1", day="2026-11-28")
        case.does("origin", "close", outcome="withdrawn")
    case = granted()
    case.cannot("origin", "person_withdraws", "ACT_NOT_HERE", day="2026-11-30")
    case.cannot("origin", "close", "CONDITION_MISSING", "person_withdrew", outcome="withdrawn")


def test_late_answer_is_escalated_by_the_node_of_the_old_place_and_blocks_nobody():
    """The link may be down: the board says late, and the answer still counts when it comes."""
    case = asked()
    due = case.case.clocks["corr.move.answer"].due
    case.now = due
    case.does(None, "overdue", clock="corr.move.answer", due=format_time(due))
    case.does(None, "escalate", clock="corr.move.answer", due=format_time(due))
    case.does("destination", "agree", number="1")
    assert not case.case.clocks["corr.move.answer"].runs


def test_custody_is_handed_over_where_there_is_custody():
    """Of who serves custody outside the case waits for it; of anybody else it does not."""
    case = applied(custody="yes")
    assert case.case.missing(("custody_settled",)) == ("custody_settled",)
    assert applied().case.missing(("custody_settled",)) == ()


def test_nobody_of_a_third_province_takes_part_and_no_office_but_the_corrections_body_moves_it():
    """Members are these two nodes; the justice office files and does not decide."""
    case = asked()
    case.cannot("origin", "invite", "PROVINCE_TOO_MANY", agency=DESKS["third"], role="superior")
    case.does("origin", "invite", agency=DESKS["prosecutor"], role="procuratorate")
    case.cannot("office", "move", "ROLE_NOT_HERE", to="deciding")
    case.cannot("origin", "agree", "ROLE_NOT_HERE", number="1")
    case.cannot("prosecutor", "note", "NOT_A_MEMBER")


SEEN = [  # class, role, before the question, once asked, from the hand-over on
    ("corr_person", "destination", 0, 8, 8),
    ("corr_terms", "destination", 0, 2, 5),
    ("corr_file", "destination", 0, 0, 4),
    ("corr_person", "procuratorate", 0, 0, 8),
    ("corr_terms", "procuratorate", 0, 0, 5),
    ("corr_check", "procuratorate", 0, 0, 0),
    ("corr_file", "procuratorate", 0, 0, 2),
    ("corr_person", "custody", 0, 0, 0),
    ("corr_check", "origin", 2, 2, 2),
    ("corr_person", "origin", 8, 8, 8),
]


@pytest.mark.parametrize(("cls", "role", "first", "asked_", "handed"), SEEN)
def test_a_class_opens_to_a_role_from_its_stage_on(cls, role, first, asked_, handed):
    """So many fields of the class before the question, since it, and from the hand-over on."""
    stages = ((), ("consulting",), ("consulting", "handing_over"))
    side = "A" if role == "origin" else "B"
    counts = [len(RULES.procedure.seen(cls, [role], side, entered=entered)) for entered in stages]
    assert counts == [first, asked_, handed]


def test_heads_have_no_place_for_a_sentence_a_name_or_a_track_and_nothing_may_be_looked_up():
    """Numbers, days and words of closed lists; no purpose of look-ups, no trace line, no class for positions."""
    new = {"file_application", "office_opinion", "send_consult", "agree", "disagree", "decide_move", "refuse_move",
           "tell_person", "send_file", "copy_to", "no_show", "found"}  # fmt: skip
    named = {field.name for act in new for field in ACTS[act].fields}
    assert named.isdisjoint({"name", "kind", "sentence", "address", "place", "position", "party"})
    assert RULES.procedure.lookups == ()
    assert "grant_lookup" not in RULES.procedure.acts
    assert not any(stage.trace_zh or stage.trace_en for stage in RULES.procedure.stage)
    assert not {name for cls in RULES.procedure.classes for name in RULES.procedure.seen(cls, ["origin"], "A")} & {
        "point"
    }


def test_a_stage_that_opens_more_must_be_one_of_the_procedure():
    """A misspelt stage would open nothing, for ever."""
    wrong = replace(RULES.procedure, since={"consultng": RULES.procedure.since["consulting"]})
    assert [(found.what, found.name) for found in find_faults(wrong, RULES.clocks)] == [("STAGE_UNKNOWN", "consultng")]
    assert find_faults(RULES.procedure, RULES.clocks) == []
