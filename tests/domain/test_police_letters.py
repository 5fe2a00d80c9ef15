"""办案协作函: a check, a questioning with a paper missing, and what two forces did while they were apart."""

import pytest

from federation.domain.joint_case import fold, step
from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

DESKS = {
    "ask": "jiangxi/361123/police",
    "help": "zhejiang/330822/police",
    "hall": "zhejiang/330822/service-hall",
    "third": "anhui/341022/police",
}
RECORD = "jiangxi/01936000-0000-7000-8000-000000000002"
UNIT = "zhejiang/330822/police"


def letter(kind, papers=None, **said):
    """A letter of Yushan's police to Changshan's, with its papers, signed by a leader and received."""
    case = CaseBuilder(rules_of(f"police-letter-{kind}"), DESKS, RECORD)
    case.does("ask", "open", procedure=f"police-letter-{kind}", agreement=1, role="requesting", division="361123")
    case.does("ask", "invite", agency=UNIT, role="intake")
    case.does("ask", "invite", agency=UNIT, role="unit")
    case.does("help", "join")
    case.does(
        "ask", "fill_letter", kind=kind, case_kind="criminal", number="玉公协〔2126〕7号", items=("letter",), **said
    )
    for paper in case.rules.procedure.papers if papers is None else papers:
        attach(case, paper)
    case.cannot("ask", "move", "CONDITION_MISSING", "leader_signed", to="intake")
    case.does("ask", "sign_letter", officer="leader-1")
    case.does("ask", "move", to="intake")
    case.does("help", "receive_letter")
    return case


def attach(case, paper):
    case.does("ask", "attach_paper", paper_kind=paper, manifest=digest(paper), items=("document",))


def take_up(case, *officers):
    case.does("help", "accept_letter")
    case.does("help", "move", to="assigned")
    case.does("help", "assign_unit", unit=UNIT, who=tuple(f"{UNIT}#{name}" for name in officers or ("o-2",)))
    case.does("help", "move", to="executing")


def confirm(case):
    case.does("ask", "confirm_result")
    case.does("ask", "record_use", use="filing")
    case.does("ask", "close", outcome="done")
    assert case.case.outcome == "done"


def test_straight_check_is_answered_on_the_fourth_day_and_confirmed():
    """Complete, accepted at once, seven days from receipt; the answer is confirmed with its use."""
    case = letter("check")
    take_up(case)
    clock = case.case.clocks["police.check"]
    assert (clock.deadline.last_day - clock.started.date()).days == 7
    assert "police.check.remote" not in case.case.clocks
    case.day(4).does("help", "file_result", result="match", beyond="no", items=("record",))
    assert case.case.clocks["police.check"].stopped is not None
    case.cannot("ask", "close", "OUTCOME_NOT_HERE", outcome="done")
    case.does("help", "move", to="answered")
    case.cannot("ask", "close", "CONDITION_MISSING", "result_confirmed", outcome="done")
    confirm(case)


def test_check_in_a_remote_area_has_fifteen_days():
    """The other row of the same article, and it alone."""
    case = letter("check", remote_area="yes")
    assert "police.check" not in case.case.clocks
    clock = case.case.clocks["police.check.remote"]
    assert (clock.deadline.last_day - clock.started.date()).days == 15


def test_wrong_questioning_without_its_paper_is_returned_and_the_clock_runs_from_the_holding():
    """Held 09:20, letter without the filing decision: returned naming it, resent; 24 h count from the holding."""
    held = letter("interrogate", papers=("letter", "police_id", "detention_notice"), held_at="2026-11-23T01:20:00.000Z")
    clock = held.case.clocks["police.interrogate"]
    assert format_time(clock.due) == "2026-11-24T02:00:00.000Z"
    held.cannot("help", "move", "CONDITION_MISSING", "papers_match_kind", to="assigned")
    held.does("help", "return_letter", missing=("filing_decision",))
    held.cannot("help", "move", "REASON_MISSING", to="drafted")
    held.does("help", "move", to="drafted", reason="协作手续不全，缺少《立案决定书》，请补齐后重新发函。")
    attach(held, "filing_decision")
    held.does("ask", "move", to="intake")
    held.does("help", "receive_letter")
    take_up(held, "o-2", "o-3")
    assert held.case.clocks["police.interrogate"].due == clock.due
    held.cannot("ask", "file_record", "ROLE_NOT_HERE", manifest=digest("r"), pages=3, signed="yes")
    held.does("help", "file_record", manifest=digest("r"), pages=3, signed="refused", items=("record",))
    held.does("help", "file_result", result="done", beyond="no")
    held.does("help", "move", to="answered")
    confirm(held)


def test_wrong_questioning_by_one_officer_or_of_a_minor_alone_is_not_done():
    """Two officers, and a fit adult where a minor is heard."""
    case = letter("interrogate", held_at="2026-11-23T01:20:00.000Z", minor="yes")
    take_up(case, "o-2")
    case.does("help", "file_record", manifest=digest("r"), pages=1, signed="yes", minor="yes", adult_present="no")
    case.does("help", "file_result", result="done", beyond="no")
    case.cannot("help", "move", "CONDITION_MISSING", "two_officers", "adult_present", to="answered")


def test_letter_without_all_its_papers_ends_returned_with_a_list():
    """An end of its own: nobody is asked to wait for a letter that never becomes whole."""
    case = letter("serve", papers=("letter",))
    case.cannot("help", "close", "CONDITION_MISSING", "papers_missing", outcome="returned")
    case.does("help", "return_letter", missing=("police_id", "document", "receipt_form"))
    case.does("help", "close", outcome="returned")


def test_service_is_tried_or_done_and_evidence_keeps_its_integrity_value():
    """An attempt is a result; of evidence the value received is compared with the value sent."""
    served = letter("serve")
    take_up(served)
    served.does("help", "file_result", result="done", beyond="no")
    served.cannot("help", "move", "CONDITION_MISSING", "served_or_tried", to="answered")
    served.does("help", "record_service", result="tried", items=("document",))
    served.does("help", "move", to="answered")
    confirm(served)

    taken = letter("evidence")
    take_up(taken)
    taken.does("help", "confirm_paper")
    piece = taken.does(
        "help", "file_evidence", manifest=digest("e"), integrity=digest("v"), sealed="yes", items=("evidence",)
    )
    taken.does("help", "file_result", result="done", beyond="no")
    taken.does("ask", "check_integrity", about=piece.name, integrity=digest("other"))
    taken.cannot("help", "move", "CONDITION_MISSING", "integrity_matches", to="answered")
    taken.does("ask", "check_integrity", about=piece.name, integrity=digest("v"))
    taken.does("help", "move", to="answered")


def test_interview_of_an_adult_and_only_police_take_part():
    """A service hall is no part of a letter between forces."""
    case = letter("interview")
    case.cannot("ask", "invite", "ROLE_NOT_THEIRS", agency="zhejiang/330822/service-hall", role="unit")
    take_up(case)
    case.does("help", "file_record", manifest=digest("r"), pages=2, signed="yes", items=("record",))
    case.does("help", "file_result", result="done", beyond="no")
    case.does("help", "move", to="answered")
    confirm(case)


def test_apart_the_record_and_the_coming_over_are_both_kept_and_one_order_decides():
    """Changshan files its record while Yushan's officers arrive: whichever order, nothing is lost and all fold the same."""
    case = letter("interrogate", held_at="2026-11-23T01:20:00.000Z")
    take_up(case, "o-2", "o-3")
    before, number = case.case, len(case.entries)
    record = case.make("help", "file_record", manifest=digest("r"), pages=3, signed="yes")
    came = case.make("ask", "come_over", why="办案民警已到达")
    closed = case.make("ask", "close", outcome="taken_over")
    for order in ((record, came, closed), (came, record, closed)):
        after = fold(case.rules, (*case.entries, *order))
        assert after.outcome == "taken_over"
        assert {"file_record", "come_over"} <= after.done.keys()
    late = step(step(step(before, came), closed), record)
    assert late.outcome == "taken_over"
    assert [(entry.name, why.reason) for entry, why in late.without_effect][-1] == (record.name, "CASE_CLOSED")
    assert len(case.entries) == number


def lead():
    case = CaseBuilder(rules_of("police-letter-lead"), DESKS, RECORD)
    case.does("ask", "open", procedure="police-letter-lead", agreement=1, role="finder", division="361123")
    case.does("ask", "invite", agency=UNIT, role="competent")
    case.does("help", "join")
    case.does("ask", "found_lead", offence="theft", items=("lead",))
    case.does("ask", "move", to="lead_handover")
    return case


def test_lead_is_handed_over_within_a_day_and_its_reporter_told():
    """24 hours to hand over, three days to tell; done once it is taken."""
    case = lead()
    assert {"police.handover"} <= case.case.clocks.keys()
    handed = case.does("ask", "hand_lead", agency=UNIT, measure="none", items=("lead",))
    assert case.case.clocks["police.handover"].stopped is not None
    case.does("help", "accept_lead", about=handed.name)
    case.cannot("ask", "close", "CONDITION_MISSING", "reporter_told", outcome="moved")
    case.does("ask", "tell_reporter")
    case.does("ask", "close", outcome="moved")


def test_declined_lead_is_disputed_until_both_accept_one_text():
    """Nobody accepts the own proposal; after the settlement the lead goes its way."""
    case = lead()
    handed = case.does("ask", "hand_lead", agency=UNIT, measure="taken", items=("lead",))
    case.does("help", "decline_lead", about=handed.name, why="案发地不在本县")
    case.cannot("help", "move", "CONDITION_MISSING", "dispute_raised", to="disputed", reason_="管辖")
    case.does("help", "raise_dispute", what="案发地")
    case.does("help", "move", to="disputed", reason="管辖")
    text = case.does("ask", "propose_settlement", manifest=digest("text"))
    case.does("ask", "accept_settlement", about=text.name)
    case.cannot("ask", "move", "CONDITION_MISSING", "dispute_ended", to="lead_handover")
    case.does("help", "accept_settlement", about=text.name)
    case.does("ask", "move", to="lead_handover")


@pytest.mark.parametrize("kind", ["check", "interrogate", "interview", "serve", "evidence"])
def test_every_kind_asks_for_letter_and_police_id_and_shows_nothing_beyond_its_unit(kind):
    """刑程 347: letter and a copy of the police ID come with every request; no class of it goes to others."""
    procedure = rules_of(f"police-letter-{kind}").procedure
    assert {"letter", "police_id"} <= set(procedure.papers)
    assert not procedure.official
    for name in procedure.classes:
        assert not procedure.seen(name, ["competent"], "B") or name == "lead"
