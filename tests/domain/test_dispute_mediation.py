"""矛盾纠纷联调: the straight case, the wrong one, and what two sides did while they were apart."""

import pytest

from federation.domain.conditions import CONDITIONS
from federation.domain.joint_case import fold
from federation.node.joint.shown import missing
from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

RULES = rules_of("dispute-mediation")
DESKS = {
    "town": "zhejiang/330822/town",
    "village": "zhejiang/330822/village",
    "body": "zhejiang/330822/mediation-body",
    "court": "zhejiang/330822/court",
    "peer": "jiangxi/361123/governance",
    "peer_body": "jiangxi/361123/mediation-body",
    "peer_court": "jiangxi/361123/court",
    "police": "zhejiang/330822/police",
}
MEDIATORS = ("zhejiang/330822/mediation-body#m-1", "jiangxi/361123/mediation-body#m-2")
TEXT = digest("agreement")


@pytest.fixture
def matter():
    """A quarrel about a path between 球川 and 双明, opened by a town."""
    case = CaseBuilder(RULES, DESKS)
    case.does(
        "town",
        "open",
        procedure="dispute-mediation",
        agreement=1,
        role="town",
        division="330822",
        stage="registration",
        source="walk_in",
    )
    return case


def invite(case, desk, role, by="town"):
    case.does(by, "invite", agency=str(case.desks[desk]), role=role)
    case.does(desk, "join")


def register(case):
    case.does(
        "town",
        "register",
        tags=("joint_mediate",),
        kind="path",
        division="330822",
        line="on_the_line",
        items=("place",),
    )
    case.does("town", "add_party", party="p1", side="A", role="applicant", county="330822", items=("party", "contact"))
    case.does("town", "add_party", party="p2", side="B", role="respondent", county="361123", items=("party",))
    case.does("town", "check_duplicates", hits=0)
    case.does("town", "move", to="acceptance")


def assign(case, who=MEDIATORS):
    case.day(1).does("town", "accept")
    case.does("town", "move", to="routing")
    case.does("town", "name_owner", agency=str(case.desks["town"]))
    for desk, role in (("peer", "peer"), ("body", "body"), ("peer_body", "body"), ("village", "village")):
        invite(case, desk, role)
    case.does("town", "move", to="assignment")
    return case.does("body", "propose_mediators", who=who)


def choose(case, proposed):
    case.does("town", "choose_mediator", about=proposed.name, on_behalf="p1")
    case.does("peer", "choose_mediator", about=proposed.name, on_behalf="p2")
    case.does("town", "sign_recusal_check", about=proposed.name, result="clear")
    case.does("peer", "sign_recusal_check", about=proposed.name, result="clear")
    case.does("town", "move", to="investigation")


def investigate(case):
    case.does("body", "add_fact", fact="f1", agreed="both", source="site_visit", items=("fact",))
    case.does("body", "close_facts")
    case.does("body", "move", to="mediation")


def agree(case):
    case.does("body", "hear", officer="m-1", parties=("p1", "p2"), form="place", items=("session",))
    case.does("body", "move", to="agreement")
    case.does("body", "draft", agreement=TEXT, form="written", items=("agreement",))
    case.does(
        "body",
        "add_obligation",
        agreement=TEXT,
        obligation="o1",
        party="p2",
        what="payment",
        due="2027-01-20",
        sum=300_000,
    )
    case.does("town", "sign", agreement=TEXT, as_="party", on_behalf="p1")
    case.does("peer", "sign", agreement=TEXT, as_="party", on_behalf="p2")
    case.does("body", "sign", agreement=TEXT, as_="mediator", officer="m-1")
    case.does("body", "sign", agreement=TEXT, as_="body")


def confirmation(case):
    invite(case, "court", "court")
    case.does("town", "name_court", court=str(case.desks["court"]))
    case.does("town", "move", to="confirmation")


def archive(case, outcome):
    case.does("village", "record_visit", satisfied="yes", relapse="no")
    case.does("town", "move", to="archive")
    case.does("town", "archive", manifest=digest("file"), whole="yes")
    case.does("town", "set_retention", rule="case.civil", destroy_by="2029-01-20")
    case.does("town", "close", outcome=outcome)


@pytest.fixture
def agreed(matter):
    """The same, twelve days later: the agreement is signed by all."""
    register(matter)
    choose(matter, assign(matter))
    investigate(matter)
    matter.day(11)
    agree(matter)
    return matter


def lacks(case, name):
    return [zh for zh, _ in CONDITIONS[name].fact.lacks(case.case)]


def test_who_has_not_signed_and_which_act_is_missing_are_named(matter):
    """Of a condition that fails: the party, the side, the body, the claim, or the acts of which one is to be done."""
    register(matter)
    assert lacks(matter, "acceptance_answered") == ["受理 accept 或 不予受理 refuse 或 告知救济途径 signpost"]
    proposed = assign(matter)
    assert lacks(matter, "mediator_accepted") == ["当事人 p1", "当事人 p2"]
    matter.does("town", "choose_mediator", about=proposed.name, on_behalf="p1")
    assert lacks(matter, "mediator_accepted") == ["当事人 p2"]
    matter.does("peer", "choose_mediator", about=proposed.name, on_behalf="p2")
    matter.does("town", "sign_recusal_check", about=proposed.name, result="clear")
    assert lacks(matter, "recusal_signed_by_both") == ["jiangxi"]
    matter.does("peer", "sign_recusal_check", about=proposed.name, result="clear")
    matter.does("town", "move", to="investigation")
    investigate(matter)
    assert lacks(matter, "agreement_effective") == ["起草协议 draft"]
    matter.does("body", "hear", officer="m-1", parties=("p1", "p2"), form="place", items=("session",))
    matter.does("body", "move", to="agreement")
    matter.does("body", "draft", agreement=TEXT, form="written", items=("agreement",))
    matter.does("town", "sign", agreement=TEXT, as_="party", on_behalf="p1")
    matter.does("body", "sign", agreement=TEXT, as_="body")
    assert lacks(matter, "agreement_effective") == ["当事人 p2", "调解员"]
    assert lacks(matter, "file_complete") == ["归档 archive whole=yes"]


def test_party_is_completed_and_corrected_by_the_province_that_entered_it(matter):
    """The first entry stays; side and role do not change; the other side corrects nobody of this one, nor anybody a stranger."""
    register(matter)
    matter.does("town", "amend_party", party="p1", county="330824", items=("party", "contact"))
    assert matter.case.parties["p1"].fields["county"] == "330824"
    assert matter.case.parties["p1"].fields["side"] == "A"
    assert len(matter.case.done["add_party"]) == 2
    matter.cannot("town", "amend_party", "PARTY_UNKNOWN", "party", party="p9")
    matter.cannot("town", "amend_party", "ACT_FORM", "side", party="p1", side="B")
    invite(matter, "peer", "peer")
    matter.cannot("peer", "amend_party", "PARTY_OF_OTHER_SIDE", party="p1")
    matter.cannot("village", "amend_party", "NOT_A_MEMBER", party="p1")


def test_each_lack_is_told_once_with_what_is_missing(matter):
    """Two conditions in the same words are one lack to who reads them; a field stands for itself."""
    told = missing(matter.case, ("case_settled", "file_complete", "performed_or_route_opened", "sum"))

    assert [each.zh for each in told] == ["已履行或者已转入其他途径", "卷宗齐全，尚缺：归档 archive whole=yes", "sum"]
    assert told[1].en == "every stage has its papers; still: archive the file archive whole=yes"


def test_a_path_dispute_is_settled_confirmed_performed_and_visited(agreed):
    """Straight: registered Monday, two mediators, agreement on day 12, confirmed, performed, closed."""
    assert agreed.case.clocks["med.confirm"].due.isoformat() == "2027-01-04T16:00:00+00:00"  # 30 days, then a weekend
    confirmation(agreed)
    agreed.day(8)
    agreed.does("town", "apply_confirmation", court=str(agreed.desks["court"]), on_behalf="p1")
    agreed.cannot("court", "decide_confirmation", "CONDITION_MISSING", "both_applied", result="confirmed", number="1号")
    agreed.does("peer", "apply_confirmation", court=str(agreed.desks["court"]), on_behalf="p2")
    agreed.does("court", "accept_application", number="(2026)浙0822民特1号", filed="2026-12-13")
    assert not agreed.case.clocks["med.confirm"].runs
    agreed.does("court", "decide_confirmation", result="confirmed", number="(2026)浙0822民特1号")
    agreed.does("town", "move", to="performance")
    agreed.day(30).does("village", "record_payment", obligation="o1", sum=300_000, day="2027-01-15")
    agreed.cannot("town", "move", "CONDITION_MISSING", "performed_or_route_opened", to="follow_up")
    agreed.does("village", "record_performance", obligation="o1", day="2027-01-15")
    agreed.does("village", "move", to="follow_up")
    agreed.cannot("town", "close", "OUTCOME_NOT_HERE", outcome="settled_confirmed")
    archive(agreed, "settled_confirmed")
    assert agreed.case.outcome == "settled_confirmed"
    assert not any(clock.runs for clock in agreed.case.clocks.values())
    assert fold(RULES, agreed.entries) == agreed.case


def test_what_was_paid_in_part_is_not_performed(agreed):
    """Negative: a mark of performance does not outweigh the sums, and stops no clock."""
    agreed.does("town", "move", to="performance")
    agreed.does("village", "record_payment", obligation="o1", sum=299_999, day="2027-01-15")
    agreed.cannot("village", "record_performance", "NOT_PAID", obligation="o1", day="2027-01-15")
    assert agreed.case.clocks["agreement.due:o1"].runs
    agreed.cannot("village", "move", "CONDITION_MISSING", "performed_or_route_opened", to="follow_up")
    agreed.does("town", "report_breach", obligation="o1", day="2027-01-21")
    agreed.does("town", "open_route", route="suit")
    agreed.does("town", "move", to="follow_up")
    archive(agreed, "to_suit")


def test_a_mediator_who_is_kin_is_replaced_and_a_refusal_leaves_one_end(matter):
    """Wrong: the respondent's cousin is proposed; replaced; then the respondent refuses."""
    register(matter)
    first = assign(matter)
    tie = matter.does("peer_body", "declare_tie", who=MEDIATORS[1], tie="kin", items=("tie",))
    matter.does("town", "choose_mediator", about=first.name, on_behalf="p1")
    matter.does("peer", "choose_mediator", about=first.name, on_behalf="p2")
    matter.cannot("town", "move", "CONDITION_MISSING", "recusal_clear", "recusal_signed_by_both", to="investigation")
    matter.does("town", "accept_tie", about=tie.name, on_behalf="p1")
    assert matter.case.missing(["recusal_clear"])  # the other party has not
    matter.does("body", "replace_mediator", about=first.name, why="近亲属")
    matter.cannot("town", "move", "CONDITION_MISSING", "mediator_named", to="investigation")
    choose(matter, matter.does("body", "propose_mediators", who=MEDIATORS[:1]))
    investigate(matter)
    matter.does("peer", "refuse_mediation", on_behalf="p2")
    matter.cannot("body", "hear", "CONDITION_MISSING", "voluntary", parties=("p1",), form="place")
    matter.cannot("body", "move", "CONDITION_MISSING", "voluntary", to="agreement")
    matter.cannot("town", "close", "CONDITION_MISSING", "route_signposted", outcome="refused_by_party")
    matter.does("town", "signpost", remedy="suit", body="常山县人民法院")
    matter.cannot("town", "close", "CONDITION_MISSING", "both_heard", outcome="failed")
    matter.does("town", "close", outcome="refused_by_party")
    matter.cannot("town", "move", "CASE_CLOSED", to="agreement")
    matter.does("town", "note", items=("note",))


def test_a_tie_that_both_parties_accept_knowingly_is_none(matter):
    """在线调解规则 13: disclosed and accepted by all, mediation goes on."""
    register(matter)
    proposed = assign(matter)
    tie = matter.does("peer_body", "declare_tie", who=MEDIATORS[1], tie="clan", items=("tie",))
    matter.does("town", "accept_tie", about=tie.name, on_behalf="p1")
    matter.does("peer", "accept_tie", about=tie.name, on_behalf="p2")
    choose(matter, proposed)
    assert matter.case.stage == "investigation"


def test_an_upheld_tie_bars_the_officer_and_nobody_decides_on_themselves(matter):
    """民诉 47: decided by the head, no waiver; the officer does nothing more in this case."""
    register(matter)
    assign(matter)
    asked = matter.does("peer", "request_recusal", who=MEDIATORS[0])
    matter.cannot("body", "decide_recusal", "NOT_THEIRS_TO_DECIDE", about=asked.name, result="stays", officer="m-1")
    matter.cannot("peer", "decide_recusal", "NOT_THEIRS_TO_DECIDE", about=asked.name, result="barred")
    matter.does("body", "decide_recusal", about=asked.name, result="barred", officer="m-0")
    matter.cannot("body", "note", "OFFICER_RECUSED", officer="m-1")
    assert matter.case.missing(["recusal_clear"])


def test_after_thirty_days_the_court_is_closed_and_a_suit_is_not(agreed):
    """A variant of the wrong case: the application comes on day 31."""
    confirmation(agreed)
    due = agreed.case.clocks["med.confirm"].due
    agreed.cannot(None, "overdue", "CLOCK_NOT_OVER", clock="med.confirm", due=format_time(due))
    agreed.day(31)
    agreed.cannot("town", "overdue", "LEAD_NODE_ONLY", clock="med.confirm", due=format_time(due))
    agreed.does(None, "overdue", clock="med.confirm", due=format_time(due))
    agreed.cannot(None, "overdue", "DONE_ALREADY", clock="med.confirm", due=format_time(due))
    agreed.cannot(
        "town",
        "apply_confirmation",
        "CONDITION_MISSING",
        "confirmation_in_time",
        on_behalf="p1",
        court=str(agreed.desks["court"]),
    )
    agreed.does("town", "move", to="performance")
    agreed.day(60).does("town", "report_breach", obligation="o1", day="2027-02-01")
    agreed.does("town", "open_route", route="suit")
    agreed.does("town", "move", to="follow_up")
    archive(agreed, "to_suit")


def test_where_nobody_was_chosen_in_time_the_court_names_a_mediator():
    """在线调解规则 10: two working days to choose, then three for the court; only what a court referred."""
    case = CaseBuilder(RULES, DESKS)
    opening = {"procedure": "dispute-mediation", "agreement": 1, "role": "town", "division": "330822"}
    case.does("town", "open", stage="registration", source="court", **opening)
    register(case)
    case.does("town", "accept")
    case.does("town", "move", to="routing")
    case.does("town", "name_owner", agency=str(case.desks["town"]))
    for desk, role in (("peer", "peer"), ("body", "body"), ("court", "court")):
        invite(case, desk, role)
    case.does("town", "move", to="assignment")
    case.does("town", "agree_mediation", on_behalf="p1")
    choice = case.case.clocks["odr.choose"]
    assert "odr.appoint" not in case.case.clocks
    case.now = choice.due
    case.does(None, "overdue", clock="odr.choose", due=format_time(choice.due))
    assert case.case.clocks["odr.appoint"].rule.amount == 3
    case.does("court", "propose_mediators", who=MEDIATORS[:1])


def test_a_fact_that_one_side_says_is_not_shown_to_the_other():
    """在线调解规则 18: agreed facts are; what was conceded to reach an agreement is used nowhere later."""
    seen = RULES.procedure.seen
    assert "text" in seen("fact", ["peer"], "B", agreed=True)
    assert seen("fact", ["peer"], "B", agreed=False) == frozenset()
    assert "text" in seen("fact", ["mediator"], "B", agreed=False)
    assert "text" in seen("fact", ["peer"], "A", agreed=False)


@pytest.mark.parametrize("first", ["body", "peer_body"])
def test_of_two_proposals_made_apart_the_first_in_order_counts(matter, first):
    """Partition: both bodies name mediators; the other stays visible."""
    register(matter)
    other = {"body": "peer_body", "peer_body": "body"}[first]
    matter.does("town", "accept")
    matter.does("town", "move", to="routing")
    matter.does("town", "name_owner", agency=str(matter.desks["town"]))
    for desk, role in (("peer", "peer"), ("body", "body"), ("peer_body", "body")):
        invite(matter, desk, role)
    matter.does("town", "move", to="assignment")
    apart = {desk: matter.make(desk, "propose_mediators", who=MEDIATORS[:1]) for desk in (first, other)}
    for desk in (first, other):
        matter.add(apart[desk])
    assert matter.case.standing("propose_mediators").entry is apart[first]
    [(entry, why)] = matter.case.without_effect
    assert (entry, why.reason) == (apart[other], "DONE_ALREADY")


def test_two_courts_wait_until_both_sides_signed_which_was_first(agreed):
    """Partition: each court gets an application on the same day (民诉解释 352)."""
    confirmation(agreed)
    invite(agreed, "peer_court", "court", by="peer")
    for court in ("court", "peer_court"):
        for desk, party in (("town", "p1"), ("peer", "p2")):
            agreed.does(desk, "apply_confirmation", court=str(agreed.desks[court]), on_behalf=party)
        agreed.does(court, "accept_application", number=f"{court} 1号", filed="2026-12-13")
    agreed.cannot(
        "court", "decide_confirmation", "CONDITION_MISSING", "court_competent", result="confirmed", number="1号"
    )
    filing = {"body": str(agreed.desks["peer_court"]), "filed": "2026-12-13", "number": "1号"}
    agreed.does("town", "sign_first_filed", **filing)
    agreed.does("peer", "sign_first_filed", **{**filing, "number": "2号"})
    assert agreed.case.missing(["first_filed_named"])
    agreed.does("peer", "sign_first_filed", **filing)
    assert not agreed.case.missing(["first_filed_named", "court_competent"])
    agreed.does("peer_court", "decide_confirmation", result="refused", number="1号")
    agreed.does("town", "move", to="mediation", reason="法院不予确认")
    assert agreed.case.missing(["both_heard"])  # heard anew


def test_a_party_withdraws_at_any_time_through_an_agency_of_its_side(matter):
    """调解法 3: nothing of ours holds up a remedy."""
    register(matter)
    matter.cannot("town", "withdraw", "PARTY_OF_OTHER_SIDE", on_behalf="p2")
    matter.cannot("town", "close", "CONDITION_MISSING", "withdrawal_recorded", outcome="withdrawn")
    matter.does("town", "withdraw", on_behalf="p1")
    matter.does("town", "close", outcome="withdrawn")
