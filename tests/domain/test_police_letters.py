"""办案协作函: of each kind the straight letter, the wrong one, and what two forces did while they were apart."""

from datetime import date

import pytest

from federation.domain.case_figures import count_cases
from federation.domain.joint_case import fold, step
from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

DESKS = {
    "ask": "jiangxi/361123/police",
    "help": "zhejiang/330822/police",
    "hall": "zhejiang/330822/service-hall",
    "other": "zhejiang/330824/police",
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
    said = {"kind": kind, "case_kind": "criminal", "number": "玉公协〔2126〕7号", **said}
    case.does("ask", "fill_letter", items=("letter",), **said)
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


def confirm(case, outcome="done"):
    case.does("ask", "confirm_result")
    case.does("ask", "record_use", use="filing")
    case.does("ask", "close", outcome=outcome)
    assert case.case.outcome == outcome


def record(case, desk="help", **said):
    case.does(desk, "file_record", manifest=digest("r"), pages=3, items=("record",), **{"signed": "yes", **said})


def evidence(case):
    case.does("help", "confirm_paper")
    piece = {"manifest": digest("e"), "integrity": digest("v"), "sealed": "yes"}
    filed = case.does("help", "file_evidence", items=("evidence",), **piece)
    case.does("ask", "check_integrity", about=filed.name, integrity=digest("v"))


def remote(case):
    case.does("help", "check_identity", result="match")
    record(case, "ask")
    case.does("ask", "file_recording", manifest=digest("video"), whole="yes", items=("recording",))
    case.does("help", "send_original", what="record")


HELD = {"held_at": "2026-11-23T01:20:00.000Z"}
WORK = {
    "check": ({}, lambda case: None, {"result": "done", "identity": "match", "age": "adult", "record": "none"}),
    "interrogate": (HELD, record, {"result": "done"}),
    "interview": ({}, record, {"result": "done"}),
    "serve": (
        {"serve_by": "2026-11-30"},
        lambda case: case.does("help", "record_service", result="served", items=("document",)),
        {"result": "done"},
    ),
    "evidence": ({}, evidence, {"result": "done"}),
    "remote": (HELD, remote, {"result": "done"}),
}
"""Of each kind what the letter says, the work on it, and the result."""
CLOCKS = {
    "check": {"police.check": 7},
    "interrogate": {"police.interrogate": 24},
    "interview": {"letter.task": 15},
    "serve": {"letter.serve": 7, "letter.serve_by": 0},
    "evidence": {"letter.task": 15},
    "remote": {"letter.task": 15, "police.interrogate": 24},
}
NEEDED = {
    "check": {"identity_answered", "result_filed"},
    "interrogate": {"records_signed", "result_filed"},
    "interview": {"records_signed", "result_filed"},
    "serve": {"served_or_tried", "result_filed"},
    "evidence": {"paper_confirmed", "evidence_sealed", "integrity_matches", "result_filed"},
    "remote": {"identity_checked_before", "recording_filed", "records_signed", "original_sent", "result_filed"},
}


def executing(kind, **said):
    case = letter(kind, **{**WORK[kind][0], **said})
    take_up(case, "o-2", "o-3")
    return case


@pytest.mark.parametrize("kind", WORK)
def test_straight_letter_is_accepted_answered_in_its_time_confirmed_and_closed(kind):
    """Complete, accepted, worked by two officers, answered on the fourth day; its own clocks run and stop, no other."""
    case = executing(kind)
    running = {key: clock.rule.amount for key, clock in case.case.clocks.items() if clock.runs}
    assert running == CLOCKS[kind]
    _, work, result = WORK[kind]
    work(case)
    case.day(4).does("help", "file_result", beyond="no", items=("record",), **result)
    assert not any(case.case.clocks[key].runs for key in CLOCKS[kind])
    case.cannot("ask", "close", "OUTCOME_NOT_HERE", outcome="done")
    case.does("help", "move", to="answered")
    case.cannot("ask", "close", "CONDITION_MISSING", "result_confirmed", outcome="done")
    confirm(case)


@pytest.mark.parametrize("kind", WORK)
def test_wrong_letter_without_a_paper_is_returned_and_without_its_work_not_answered(kind):
    """The gap is named, the letter resent; a bare word is no result, and only the asker ends what cannot be done."""
    said, _, _ = WORK[kind]
    papers = rules_of(f"police-letter-{kind}").procedure.papers
    case = letter(kind, papers=papers[:-1], **said)
    case.does("help", "accept_letter")
    case.cannot("help", "move", "CONDITION_MISSING", "papers_match_kind", to="assigned")
    case.cannot("help", "close", "CONDITION_MISSING", "papers_missing", outcome="returned")
    case.does("help", "return_letter", missing=papers[-1:])
    case.cannot("help", "move", "REASON_MISSING", to="drafted")
    case.does("help", "move", to="drafted", reason=f"协作手续不全，缺少{papers[-1]}，请补齐后重新发函。")
    attach(case, papers[-1])
    case.does("ask", "move", to="intake")
    case.does("help", "receive_letter")
    take_up(case, "o-2", "o-3")
    assert set(case.case.missing(case.rules.procedure.stages["executing"].leave)) == NEEDED[kind]
    case.cannot("ask", "file_result", "ROLE_NOT_HERE", result="done", beyond="no")
    case.cannot("ask", "recall_letter", "ACT_NOT_HERE", why="已到案")
    case.does("help", "report_impossible", tried="两次上门未见到本人")
    case.cannot("help", "close", "CONDITION_MISSING", "result_confirmed", outcome="impossible")
    case.does("ask", "confirm_result")
    case.does("ask", "close", outcome="impossible")


@pytest.mark.parametrize("kind", WORK)
def test_apart_the_result_and_the_coming_over_are_both_kept_and_one_order_decides(kind):
    """One force files its result while the other's officers arrive: in either order nothing is lost, all fold the same."""
    case = executing(kind)
    _, work, said = WORK[kind]
    work(case)
    result = case.make("help", "file_result", beyond="no", **said)
    came = case.make("ask", "come_over", why="办案民警已到达")
    closed = case.make("ask", "close", outcome="taken_over")
    for order in ((result, came, closed), (came, result, closed)):
        after = fold(case.rules, (*case.entries, *order))
        assert after.outcome == "taken_over"
        assert {"file_result", "come_over"} <= after.done.keys()
    late = step(step(step(case.case, came), closed), result)
    assert late.outcome == "taken_over"
    assert [(entry.name, why.reason) for entry, why in late.without_effect][-1] == (result.name, "CASE_CLOSED")


def test_what_goes_beyond_a_letter_is_a_figure_of_its_own():
    """刑程 355: it moves who answers for it, and must be nought."""
    counts = []
    for beyond in ("no", "yes"):
        case = executing("interview")
        record(case)
        case.does("help", "file_result", result="done", beyond=beyond)
        case.does("help", "move", to="answered")
        confirm(case)
        counts.append({each.name: each.value for each in count_cases([case.case], since=date(2026, 11, 1))}["beyond"])
    assert counts == ["0", "1"]


def test_recusal_is_decided_within_two_days_by_another_than_who_it_is_about():
    """行程 21: the head decides; until then the work goes on, and whoever is barred does nothing more."""
    case = executing("interview")
    asked = case.does("ask", "request_recusal", who=f"{UNIT}#o-2", tie="kin")
    assert case.case.clocks["police.recuse"].rule.amount == 2
    case.cannot("help", "decide_recusal", "NOT_THEIRS_TO_DECIDE", officer="o-2", about=asked.name, result="stays")
    case.does("help", "decide_recusal", officer="head-1", about=asked.name, result="barred")
    assert not case.case.clocks["police.recuse"].runs
    case.cannot("help", "report_progress", "OFFICER_RECUSED", officer="o-2")


def test_check_in_a_remote_area_has_fifteen_days_and_in_an_administrative_case_seven_of_ours():
    """The other row of the same article, and it alone; 行程 117 gives no number."""
    case = letter("check", remote_area="yes")
    assert case.case.clocks.keys() == {"letter.intake", "police.check.remote"}
    clock = case.case.clocks["police.check.remote"]
    assert (clock.deadline.last_day - clock.started.date()).days == 15
    administrative = letter("check", case_kind="administrative")
    assert administrative.case.clocks.keys() == {"letter.intake", "letter.admin"}
    assert administrative.case.clocks["letter.admin"].rule.verified == "programme"


def test_of_a_minor_no_record_is_answered_not_even_that_there_is_none():
    """刑诉 286: a sealed record is told to no letter of this kind."""
    case = executing("check", minor="yes")
    said = {"result": "done", "beyond": "no", "identity": "match", "age": "minor"}
    for word in ("none", "some"):
        case.cannot("help", "file_result", "RECORD_SEALED", record=word, **said)
    case.does("help", "file_result", **said)


def test_questioning_counts_from_the_holding_however_often_the_letter_is_sent():
    """Held 09:20, the hour not counted: due next day 10:00, whenever the letter became whole."""
    case = letter("interrogate", papers=("letter", "police_id", "detention_notice"), **HELD)
    clock = case.case.clocks["police.interrogate"]
    assert format_time(clock.due) == "2026-11-24T02:00:00.000Z"
    case.does("help", "return_letter", missing=("filing_decision",))
    case.does("help", "move", to="drafted", reason="协作手续不全，缺少《立案决定书》，请补齐后重新发函。")
    attach(case, "filing_decision")
    case.does("ask", "move", to="intake")
    case.does("help", "receive_letter")
    take_up(case, "o-2", "o-3")
    assert case.case.clocks["police.interrogate"].due == clock.due


@pytest.mark.parametrize("kind", ["interrogate", "interview"])
def test_wrong_questioning_of_a_minor_alone_is_not_done(kind):
    """未保法 110: a fit adult where a minor is heard; 刑程 202: two officers who question."""
    case = letter(kind, minor="yes", **WORK[kind][0])
    take_up(case, "o-2")
    record(case, minor="yes", adult_present="no")
    case.does("help", "file_result", result="done", beyond="no")
    alone = ("two_officers",) if kind == "interrogate" else ()
    case.cannot("help", "move", "CONDITION_MISSING", *alone, "adult_present", to="answered")


def test_remote_questioning_checks_the_identity_before_anything_is_recorded():
    """行程 120: identity first, a recording without a gap, the original sent; a suspect who is free has no 24 hours."""
    case = letter("remote")
    take_up(case, "o-2", "o-3")
    assert "police.interrogate" not in case.case.clocks
    record(case, "ask")
    case.does("help", "check_identity", result="match")
    case.does("ask", "file_recording", manifest=digest("video"), whole="no")
    case.does("help", "file_result", result="done", beyond="no")
    case.cannot(
        "help",
        "move",
        "CONDITION_MISSING",
        "identity_checked_before",
        "recording_filed",
        "original_sent",
        to="answered",
    )


def test_an_attempt_of_service_is_a_result_and_of_evidence_the_value_is_compared():
    """行程 36; 刑程 66: the value received is the value sent."""
    served = executing("serve")
    served.does("help", "record_service", result="tried", items=("document",))
    served.does("help", "file_result", result="partly", beyond="no")
    served.does("help", "move", to="answered")
    confirm(served, "partly")
    taken = executing("evidence")
    evidence(taken)
    piece = next(found.entry.name for found in taken.case.done["file_evidence"])
    taken.does("ask", "check_integrity", about=piece, integrity=digest("other"))
    taken.does("help", "file_result", result="done", beyond="no")
    taken.cannot("help", "move", "CONDITION_MISSING", "integrity_matches", to="answered")


def test_administrative_interview_has_its_own_papers_and_only_police_take_part():
    """行程 121: an outline in place of the filing decision; a service hall is no part of a letter between forces."""
    case = letter("interview", papers=("letter", "police_id", "outline"), case_kind="administrative")
    case.cannot("ask", "invite", "ROLE_NOT_THEIRS", agency="zhejiang/330822/service-hall", role="unit")
    take_up(case)
    criminal = letter("interview", papers=("letter", "police_id", "outline"))
    criminal.does("help", "accept_letter")
    criminal.cannot("help", "move", "CONDITION_MISSING", "papers_match_kind", to="assigned")


def test_letter_is_recalled_until_its_work_begins():
    """Who asked withdraws it, with a reason; the asked force cannot."""
    case = letter("check")
    case.cannot("help", "recall_letter", "ROLE_NOT_HERE", why="不需要")
    case.cannot("ask", "close", "CONDITION_MISSING", "letter_recalled", outcome="withdrawn")
    case.does("ask", "recall_letter", why="嫌疑人已到案")
    case.does("ask", "close", outcome="withdrawn")


def notice(**said):
    case = CaseBuilder(rules_of("police-letter-notice"), DESKS, RECORD)
    case.does("ask", "open", procedure="police-letter-notice", agreement=1, role="requesting", division="361123")
    case.does("ask", "invite", agency=UNIT, role="intake")
    case.does("help", "join")
    said = {"kind": "notice", "case_kind": "criminal", "number": "玉公通〔2126〕1号", "visit": "2026-11-23", **said}
    case.does("ask", "fill_letter", items=("letter",), **said)
    for paper in case.rules.procedure.papers:
        attach(case, paper)
    case.does("ask", "sign_letter", officer="leader-1")
    return case


def test_straight_notice_of_own_work_is_told_on_the_day_of_the_visit():
    """Told the same day, received, and what was done is noted; nothing was asked of the local force."""
    case = notice()
    clock = case.case.clocks["letter.notice"]
    assert (str(clock.deadline.last_day), clock.on_breach) == ("2026-11-23", "report")
    case.does("ask", "move", to="told")
    case.does("help", "receive_letter")
    assert not case.case.clocks["letter.notice"].runs
    case.does("ask", "file_result", result="done", beyond="no")
    case.does("ask", "close", outcome="told")


def test_wrong_notice_without_its_day_is_not_sent_and_one_that_nobody_received_is_late():
    """A visit has a day; the lead's node writes that the day passed without a receipt."""
    case = CaseBuilder(rules_of("police-letter-notice"), DESKS, RECORD)
    case.does("ask", "open", procedure="police-letter-notice", agreement=1, role="requesting", division="361123")
    case.does("ask", "fill_letter", kind="notice", case_kind="criminal", number="1", items=("letter",))
    case.cannot("ask", "move", "CONDITION_MISSING", "papers_complete", "leader_signed", "visit_dated", to="told")
    late = notice()
    late.does("ask", "move", to="told")
    late.cannot("ask", "receive_letter", "ROLE_NOT_HERE")
    late.day(2).does("ask", "file_result", result="done", beyond="no")
    late.cannot("ask", "close", "CONDITION_MISSING", "papers_match_kind", outcome="told")
    due = format_time(late.case.clocks["letter.notice"].due)
    late.does(None, "overdue", clock="letter.notice", due=due)
    assert late.case.clocks["letter.notice"].late


def test_apart_a_notice_and_its_return_are_told_by_their_order():
    """The local force returns it for a paper while its sender closes: whichever is first, both stay visible."""
    case = notice()
    case.does("ask", "move", to="told")
    case.does("help", "receive_letter")
    case.does("ask", "file_result", result="done", beyond="no")
    returned = case.make("help", "return_letter", missing=("police_id",))
    closed = case.make("ask", "close", outcome="told")
    first = fold(case.rules, (*case.entries, closed, returned))
    assert (first.outcome, first.without_effect[-1][1].reason) == ("told", "CASE_CLOSED")
    second = fold(case.rules, (*case.entries, returned, closed))
    assert second.outcome is None
    assert second.without_effect[-1][1].missing == ("papers_match_kind",)


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
    case.cannot("help", "move", "CONDITION_MISSING", "dispute_raised", to="disputed", reason_="管辖")
    handed = case.does("ask", "hand_lead", agency=UNIT, measure="taken", items=("lead",))
    case.does("help", "decline_lead", about=handed.name, why="案发地不在本县")
    case.does("help", "move", to="disputed", reason="管辖")
    text = case.does("ask", "propose_settlement", manifest=digest("text"))
    case.does("ask", "accept_settlement", about=text.name)
    case.cannot("ask", "move", "CONDITION_MISSING", "dispute_ended", to="lead_handover")
    case.does("help", "accept_settlement", about=text.name)
    case.does("ask", "move", to="lead_handover")


def test_wrong_a_lead_is_taken_by_whom_it_was_handed_to_and_by_nobody_else():
    """The finder takes nothing of its own, and another force nothing that was not handed to it."""
    case = lead()
    case.does("ask", "invite", agency="zhejiang/330824/police", role="competent")
    case.does("other", "join")
    handed = case.does("ask", "hand_lead", agency=UNIT, measure="none", items=("lead",))
    case.cannot("ask", "accept_lead", "ROLE_NOT_HERE", about=handed.name)
    case.cannot("other", "accept_lead", "NOT_HANDED_TO_THEM", about=handed.name)
    case.cannot("help", "accept_lead", "CITES_NOTHING", about=case.entries[0].name)
    case.does("help", "accept_lead", about=handed.name)
    case.cannot("help", "accept_lead", "DONE_ALREADY", about=handed.name)


def test_apart_a_lead_that_is_accepted_and_disputed_waits_for_the_settlement():
    """One force accepts while the finder raises a dispute: both stand, and the dispute is settled before it is moved."""
    case = lead()
    handed = case.does("ask", "hand_lead", agency=UNIT, measure="none", items=("lead",))
    accepted = case.make("help", "accept_lead", about=handed.name)
    raised = case.make("ask", "raise_dispute", what="并案")
    moved = case.make("ask", "move", to="disputed", reason="并案")
    for order in ((accepted, raised, moved), (raised, accepted, moved)):
        after = fold(case.rules, (*case.entries, *order))
        assert after.stage == "disputed"
        assert {"accept_lead", "raise_dispute"} <= after.done.keys()
    late = fold(case.rules, (*case.entries, raised, moved, accepted))
    assert late.without_effect[-1][1].reason == "ACT_NOT_HERE"


@pytest.mark.parametrize("kind", WORK)
def test_every_kind_asks_for_letter_and_police_id_and_shows_nothing_beyond_its_unit(kind):
    """刑程 347: letter and a copy of the police ID come with every request; no class of it goes to others."""
    procedure = rules_of(f"police-letter-{kind}").procedure
    assert {"letter", "police_id"} <= set(procedure.papers)
    assert not procedure.official
    for name in procedure.classes:
        assert not procedure.seen(name, ["competent"], "B") or name == "lead"
