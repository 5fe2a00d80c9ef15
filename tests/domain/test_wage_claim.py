"""欠薪联处: six workers paid by an order on their agreement, an order asked in the wrong place, and a route that splits."""

import pytest

from federation.domain.joint_case import fold
from federation.protocol.ids import format_time
from tests.domain.case_builder import CaseBuilder, digest, rules_of

RULES = rules_of("wage-claim")
DESKS = {
    "centre": "jiangxi/361123/governance",
    "body": "jiangxi/361123/mediation-body",
    "home_court": "jiangxi/361123/court",
    "labour": "zhejiang/330822/labour",
    "court": "zhejiang/330822/court",
    "arbitration": "zhejiang/330822/arbitration",
    "peer": "zhejiang/330822/governance",
}
RECORD = "jiangxi/01936000-0000-7000-8000-000000000003"
FIRM = "firm"
MEDIATOR = ("jiangxi/361123/mediation-body#m-1",)
TEXT, ORDER = digest("agreement"), digest("order")
SUM = 1_250_000


def workers(number):
    return [f"p{each}" for each in range(1, number + 1)]


def claim(number=6, firm_county="330822", work="330822"):
    """Workers of Yushan against a firm: registered, and verified by the labour bureau of the employer's county."""
    case = CaseBuilder(RULES, DESKS, RECORD)
    case.does("centre", "open", procedure="wage-claim", agreement=1, role="centre", division="361123", source="walk_in")
    roles = {
        "body": "body",
        "labour": "labour_peer",
        "court": "court",
        "home_court": "court",
        "peer": "peer",
        "arbitration": "arbitration",
    }
    for desk, role in roles.items():
        case.does("centre", "invite", agency=str(case.desks[desk]), role=role)
        case.does(desk, "join")
    case.does("centre", "register", tags=("joint_mediate",), kind="wage", division=work, line="B")
    for tag in workers(number):
        case.does("centre", "add_party", party=tag, side="A", role="applicant", county="361123", items=("party",))
        case.does(
            "centre",
            "add_claim",
            claim=f"c-{tag}",
            party=tag,
            kind="wage",
            sum=SUM,
            first_asked="2026-11-02",
            items=("claim",),
        )
    case.does("centre", "add_party", party=FIRM, side="B", role="respondent", county=firm_county, items=("party",))
    case.cannot("centre", "move", "CONDITION_MISSING", "duplicate_checked", to="ledger_check")
    case.does("centre", "check_duplicates", hits=0)
    case.does("centre", "move", to="ledger_check")
    case.does("centre", "ask_ledger", agency=str(case.desks["labour"]))
    return case


def verify(case, number=6, days=3):
    case.day(days)
    for tag in workers(number):
        case.does("labour", "verify_claim", claim=f"c-{tag}", sum=SUM)
    case.does("labour", "name_payer", payer=FIRM, basis="contractor")
    case.does("centre", "move", to="route")


def choose(case, route, number=6, only=None):
    case.does("centre", "advise_routes", routes=("mediation", "payment_order", "arbitration"))
    for tag in only or workers(number):
        case.does("centre", "choose_route", route=route, on_behalf=tag)


def settle(case, number=6):
    """Mediated, written, signed and sealed; each sum due on a day."""
    everybody = (*workers(number), FIRM)
    case.does("body", "propose_mediators", who=MEDIATOR)
    case.does("body", "hear", parties=everybody, form="online", items=("session",))
    case.does("body", "draft", agreement=TEXT, form="written", payments_only="yes", items=("agreement",))
    for tag in workers(number):
        case.does(
            "body",
            "add_obligation",
            agreement=TEXT,
            obligation=f"o-{tag}",
            party=FIRM,
            what="payment",
            due="2026-12-10",
            sum=SUM,
        )
        case.does("centre", "sign", agreement=TEXT, as_="party", on_behalf=tag)
    case.does("peer", "sign", agreement=TEXT, as_="party", on_behalf=FIRM)
    case.does("body", "sign", agreement=TEXT, as_="mediator", officer="m-1")
    case.does("body", "sign", agreement=TEXT, as_="body")


def pay(case, names):
    for name in names:
        case.does("court", "record_payment", obligation=name, sum=SUM, day="2027-01-04")
        case.does("court", "record_performance", obligation=name, day="2027-01-04")


def put_away(case, outcome):
    case.does("centre", "record_visit", satisfied="yes", relapse="no")
    case.does("centre", "archive", manifest=digest("file"), whole="yes")
    case.does("centre", "set_retention", rule="case.wage", destroy_by="2030-01-31")
    case.does("centre", "close", outcome=outcome)
    assert case.case.outcome == outcome


def state_routes(case, **said):
    case.does(
        "centre", "check_routes", **{"certain": "yes", "other_debt": "no", "preserved": "no", "servable": "yes", **said}
    )


def test_straight_six_workers_are_paid_by_an_order_on_their_agreement():
    """Verified on day 3, agreed, unpaid on its day, ordered by the firm's court, paid on day 14 after service."""
    case = claim()
    assert case.case.clocks["wage.verify"].runs
    verify(case)
    choose(case, "mediation")
    case.does("centre", "move", to="mediation")
    assert case.case.clocks["labour.mediate"].rule.amount == 15
    settle(case)
    case.does("body", "move", to="performance")
    assert not case.case.clocks["labour.mediate"].runs
    case.day(20).cannot("labour", "report_breach", "CLOCK_NOT_OVER", obligation="o-p1", day="2026-12-10")
    case.does("labour", "report_breach", obligation="o-p1", day="2026-12-11")
    case.does("centre", "open_route", route="payment_order", body=str(case.desks["court"]))
    state_routes(case, employed="yes", in_time="yes")
    case.does("centre", "name_court", court=str(case.desks["court"]))
    case.does("centre", "move", to="payment_order", reason="到期未付")
    case.does("centre", "apply_order", court=str(case.desks["court"]), on_behalf="p1")
    case.day(2).does("court", "accept_order", number="(2126)浙0822民督1号", filed="2026-12-16")
    case.does("court", "issue_order", agreement=ORDER, number="(2126)浙0822民督1号", sum=6 * SUM, issued="2026-12-18")
    case.does(
        "court",
        "add_obligation",
        agreement=ORDER,
        obligation="all",
        party=FIRM,
        what="payment",
        due="2027-01-05",
        sum=SUM,
    )
    assert case.case.clocks["payorder.serve"].runs
    case.does("court", "serve", what="order", day="2026-12-21")
    assert not case.case.clocks["payorder.serve"].runs
    assert str(case.case.clocks["payorder.pay_or_object"].deadline.last_day) == "2027-01-05"
    case.day(14).does("court", "end_order", result="paid", day="2027-01-04")
    case.does("court", "move", to="performance")
    pay(case, ["all"])
    case.does("centre", "move", to="archive")
    put_away(case, "paid_full")


def test_wrong_an_order_is_the_debtors_courts_alone():
    """民诉解释 23: a firm of Yushan is ordered by Yushan's court, wherever the work was done or is asked."""
    case = claim(1, firm_county="361123", work="330822")
    verify(case, 1)
    choose(case, "payment_order", 1)
    state_routes(case)
    case.does("centre", "name_court", court=str(case.desks["court"]))
    case.cannot("centre", "move", "CONDITION_MISSING", "court_competent", to="payment_order")
    case.does("centre", "name_court", court=str(case.desks["home_court"]))
    case.does("centre", "move", to="payment_order")


@pytest.mark.parametrize(("agreed", "route"), [(True, "small_claim"), (False, "arbitration")])
def test_wrong_an_order_that_is_not_served_lapses_and_the_next_route_depends_on_the_agreement(agreed, route):
    """With a wage agreement one sues on it; without one arbitration comes first (劳动解释一 13)."""
    case = claim(1)
    verify(case, 1)
    choose(case, "payment_order", 1)
    state_routes(case, civil="yes" if agreed else "no", small="yes", employed="yes", in_time="yes")
    case.does("centre", "name_court", court=str(case.desks["court"]))
    case.does("centre", "move", to="payment_order")
    case.does("centre", "apply_order", court=str(case.desks["court"]), on_behalf="p1")
    case.does("court", "accept_order", number="督2", filed="2026-11-27")
    case.does("court", "issue_order", agreement=ORDER, number="督2", sum=SUM, issued="2026-11-30")
    clock = case.case.clocks["payorder.serve"]
    case.now = clock.due
    case.does(None, "overdue", clock="payorder.serve", due=format_time(clock.due))
    case.does("court", "end_order", result="lapsed", day="2026-12-31")
    other = "arbitration" if agreed else "small_claim"
    if not agreed:
        case.cannot("centre", "move", "CONDITION_MISSING", "ordinary_civil_claim", to=other)
    case.cannot("court", "move", "CONDITION_MISSING", f"chose_{route}", to=route)
    case.does("court", "open_route", route=route)
    case.does("court", "move", to=route)


def test_wrong_assets_are_not_asked_about_without_the_prefectures_approval():
    """工资条例 40: the question does not leave before number and signer are on file."""
    case = claim(1)
    case.cannot("labour", "ask_assets", "CONDITION_MISSING", "prefecture_approval_on_file", what="bank")
    case.does("labour", "file_approval", number="衢人社〔2126〕3号", signed_by="head", manifest=digest("approval"))
    case.does("labour", "ask_assets", what="bank")


def test_silence_of_the_employers_side_bars_no_route():
    """When the three working days are over the route is open, verified or not."""
    case = claim(1)
    case.cannot("centre", "move", "CONDITION_MISSING", "verification_answered", to="route")
    clock = case.case.clocks["wage.verify"]
    case.now = clock.due
    case.does(None, "overdue", clock="wage.verify", due=format_time(clock.due))
    case.does("court", "name_payer", payer=FIRM, basis="contractor")
    case.does("centre", "move", to="route")


def test_apart_two_choose_arbitration_and_the_confirmation_is_not_for_them():
    """Four of six apply together: without the two there is no common application, in whichever order they come."""
    case = claim()
    verify(case)
    choose(case, "mediation")
    case.does("centre", "move", to="mediation")
    settle(case)
    case.does("body", "name_court", court=str(case.desks["home_court"]))
    case.does("centre", "move", to="confirmation")
    for tag in (*workers(4), FIRM):
        desk = "peer" if tag == FIRM else "centre"
        case.does(desk, "apply_confirmation", court=str(case.desks["home_court"]), on_behalf=tag)
    decided = case.make("home_court", "decide_confirmation", result="confirmed", number="确1")
    note = case.make("peer", "note")
    for order in ((decided, note), (note, decided)):
        after = fold(RULES, (*case.entries, *order))
        assert [(entry.name, why.reason, why.missing) for entry, why in after.without_effect][-1] == (
            decided.name, "CONDITION_MISSING", ("both_applied",),
        )  # fmt: skip


def test_workers_who_choose_another_route_are_split_off():
    """One route at a time: with two routes chosen nothing goes on until the others are a case of their own."""
    case = claim(2)
    verify(case, 2)
    choose(case, "mediation", only=("p1",))
    case.does("centre", "choose_route", route="arbitration", on_behalf="p2")
    case.cannot("centre", "move", "CONDITION_MISSING", "route_chosen", to="mediation")
    case.does("centre", "split", claims=("c-p2",), other="jiangxi/01936000-0000-7000-8000-000000000009")
    assert case.case.parties.keys() == {"p1", FIRM}
    assert case.case.claims.keys() == {"c-p1"}
    case.does("centre", "move", to="mediation")


def test_arbitration_has_its_own_clocks_and_stands_at_the_place_of_work():
    """Five days to accept, 45 to award; who awards is the commission where the work was done."""
    case = claim(1)
    verify(case, 1)
    choose(case, "arbitration", 1)
    state_routes(case, employed="yes", in_time="yes")
    case.does("centre", "name_court", court=str(case.desks["home_court"]))
    case.cannot("centre", "move", "CONDITION_MISSING", "court_competent", to="arbitration")
    case.does("centre", "name_court", court=str(case.desks["arbitration"]))
    case.does("centre", "move", to="arbitration")
    case.does("centre", "apply_arbitration", court=str(case.desks["arbitration"]), on_behalf="p1")
    case.cannot("arbitration", "pass_answer", "NOTHING_TO_ANSWER")
    case.does("arbitration", "accept_arbitration", number="劳仲1", filed="2026-12-01")
    case.does("arbitration", "serve", what="claim", day="2026-12-03")
    case.does("peer", "answer", on_behalf=FIRM)
    assert case.case.clocks["labour.arb.pass"].runs
    case.does("arbitration", "pass_answer")
    assert not case.case.clocks["labour.arb.pass"].runs
    assert case.case.clocks["labour.arb.award"].rule.amount == 45
    case.does("arbitration", "award", agreement=ORDER, number="劳仲1", sum=SUM)
    case.does(
        "arbitration",
        "add_obligation",
        agreement=ORDER,
        obligation="all",
        party=FIRM,
        what="payment",
        due="2027-01-20",
        sum=SUM,
    )
    assert not case.case.clocks["labour.arb.award"].runs
    case.does("arbitration", "serve", what="award", day="2026-12-21")
    assert case.case.clocks["labour.arb.annul"].rule.amount == 30
    case.does("peer", "ask_annulment", court=str(case.desks["court"]), on_behalf=FIRM)
    assert not case.case.clocks["labour.arb.annul"].runs
    case.does("arbitration", "move", to="performance")
    pay(case, ["all"])
    case.does("centre", "move", to="archive")
    put_away(case, "awarded")


def test_apart_arbitration_asked_in_both_places_stays_at_the_place_of_work():
    """Work in Changshan, the firm's seat in Yushan: each alone may have it; asked in both, the place of work has it."""
    case = claim(1, firm_county="361123", work="330822")
    verify(case, 1)
    choose(case, "arbitration", 1)
    state_routes(case, employed="yes", in_time="yes")
    seat, work = "jiangxi/361123/arbitration", str(case.desks["arbitration"])
    case.does("centre", "name_court", court=work)
    case.does("centre", "move", to="arbitration")
    here = case.make("centre", "apply_arbitration", court=work, on_behalf="p1")
    there = case.make("peer", "apply_arbitration", court=seat, on_behalf=FIRM)
    elsewhere = case.make("peer", "apply_arbitration", court="jiangxi/361103/arbitration", on_behalf=FIRM)
    for order in ((here, there), (there, here)):
        assert not fold(RULES, (*case.entries, *order)).missing(("court_competent",))
    assert fold(RULES, (*case.entries, there, elsewhere)).missing(("court_competent",))


def test_accounts_and_the_pay_of_others_reach_no_centre():
    """Of a claim a centre sees kind and sum; an account goes to courts and its owner alone."""
    procedure = RULES.procedure
    assert procedure.seen("claim", ["centre"], "A") == {"kind", "amount"}
    assert procedure.seen("claim", ["peer"], "B") == {"kind", "amount"}
    assert procedure.seen("account", ["labour_peer"], "B") == frozenset()
    assert "last4" in procedure.seen("account", ["court"], "B")


def owe(case, desk, text, sum_=SUM):
    case.does(
        desk, "add_obligation", agreement=text, obligation="all", party=FIRM, what="payment", due="2027-01-20", sum=sum_
    )


def test_arbitration_that_does_not_answer_in_time_opens_the_way_to_the_court():
    """仲裁法（劳） 29, 43: five days without an answer, and one may sue at once; the wait is no bar."""
    case = claim(1)
    verify(case, 1)
    choose(case, "arbitration", 1)
    state_routes(case, employed="yes", in_time="yes", civil="yes", small="yes")
    case.does("centre", "name_court", court=str(case.desks["arbitration"]))
    case.does("centre", "move", to="arbitration")
    case.does("centre", "apply_arbitration", court=str(case.desks["arbitration"]), on_behalf="p1")
    case.does("arbitration", "open_route", route="small_claim")
    case.cannot("arbitration", "move", "CONDITION_MISSING", "arbitration_answered", to="small_claim")
    clock = case.case.clocks["labour.arb.accept"]
    case.now = clock.due
    case.does(None, "overdue", clock="labour.arb.accept", due=format_time(clock.due))
    case.does("centre", "move", to="small_claim")
    assert case.case.clocks["court.file"].runs


def test_small_claim_is_filed_served_judged_and_paid():
    """Filed within seven days, judged within two months; electronic service asks for the consent of who is served."""
    case = claim(1)
    verify(case, 1)
    choose(case, "small_claim", 1)
    state_routes(case, civil="yes", small="yes")
    case.does("centre", "name_court", court=str(case.desks["court"]))
    case.does("centre", "move", to="small_claim")
    case.cannot("court", "judge", "NOTHING_TO_ANSWER", agreement=ORDER, number="民初1", sum=SUM)
    case.does("court", "file_suit", number="(2126)浙0822演民初1号", filed="2026-11-27")
    assert case.case.clocks["court.small"].rule.amount == 2
    paper = {"what": "claim", "day": "2026-11-28", "party": FIRM}
    case.cannot("court", "serve", "CONDITION_MISSING", "e_service_consented", form="electronic", **paper)
    case.does("centre", "consent_e_service", on_behalf="p1", items=("contact",))
    case.cannot("court", "serve", "CONDITION_MISSING", "e_service_consented", form="electronic", **paper)
    case.does("court", "serve", form="paper", **paper)
    case.does("peer", "consent_e_service", on_behalf=FIRM, items=("contact",))
    case.does("court", "serve", form="electronic", **paper)
    case.cannot("court", "move", "CONDITION_MISSING", "judged", to="performance")
    case.does("court", "judge", agreement=ORDER, number="(2126)浙0822演民初1号", sum=SUM)
    owe(case, "court", ORDER)
    case.does("court", "move", to="performance")
    pay(case, ["all"])
    case.does("centre", "move", to="archive")
    put_away(case, "judged")


def test_order_of_the_labour_bureau_is_paid_or_enforced():
    """工资条例 41, 42: the bureau's order is a title of its own; what it orders and is not paid goes to the court."""
    case = claim(1)
    case.day(3).does("labour", "verify_claim", claim="c-p1", sum=SUM)
    case.does("labour", "name_payer", payer=FIRM, basis="contractor")
    order = {"payer": FIRM, "sum": SUM, "due": "2026-12-10", "number": "常人社监令〔2126〕1号"}
    case.cannot("centre", "order_payment", "ROLE_NOT_HERE", agreement=ORDER, **order)
    case.does("labour", "order_payment", agreement=ORDER, **order)
    owe(case, "labour", ORDER)
    case.does("centre", "move", to="route")
    choose(case, "labour_order", 1)
    case.does("centre", "move", to="performance")
    case.cannot("centre", "move", "CONDITION_MISSING", "performed_or_route_opened", to="enforcement")
    case.does("labour", "report_breach", obligation="all", day="2027-01-21")
    case.does("centre", "open_route", route="enforcement", body=str(case.desks["court"]))
    case.does("centre", "move", to="enforcement")
    case.does("centre", "apply_enforcement", court=str(case.desks["court"]), on_behalf="p1")
    case.cannot("court", "move", "CONDITION_MISSING", "case_settled", to="archive")
    pay(case, ["all"])
    case.does("court", "move", to="archive")
    put_away(case, "paid_full")


def test_agreement_on_payments_is_confirmed_by_the_court_of_the_bodys_seat_and_performed():
    """劳动解释一 52: on payments only, by both together, and then paid."""
    case = claim(1)
    verify(case, 1)
    choose(case, "mediation", 1)
    case.does("centre", "move", to="mediation")
    settle(case, 1)
    case.does("body", "name_court", court=str(case.desks["home_court"]))
    case.does("centre", "move", to="confirmation")
    for desk, party in (("centre", "p1"), ("peer", FIRM)):
        case.does(desk, "apply_confirmation", court=str(case.desks["home_court"]), on_behalf=party)
    confirmed = {"result": "confirmed", "number": "确1"}
    case.cannot("home_court", "decide_confirmation", "CONDITION_MISSING", "application_taken", **confirmed)
    case.does("home_court", "accept_application", number="确1", filed="2026-11-27")
    case.does("home_court", "decide_confirmation", **confirmed)
    case.does("centre", "move", to="performance")
    pay(case, ["o-p1"])
    case.does("centre", "move", to="archive")
    put_away(case, "paid_full")


def test_an_order_that_was_objected_to_fixes_no_sum_and_the_objector_may_refuse_a_suit():
    """民诉 228, 民诉解释 438: the order ends; seven days to say no to a suit; nothing is performed on it."""
    case = claim(1)
    verify(case, 1)
    choose(case, "payment_order", 1)
    state_routes(case, civil="yes", small="yes")
    case.does("centre", "name_court", court=str(case.desks["court"]))
    case.does("centre", "move", to="payment_order")
    case.does("centre", "apply_order", court=str(case.desks["court"]), on_behalf="p1")
    case.cannot("peer", "object", "CITES_NOTHING", about=case.entries[-1].name, on_behalf=FIRM)
    case.does("court", "accept_order", number="督3", filed="2026-11-27")
    order = case.does("court", "issue_order", agreement=ORDER, number="督3", sum=SUM, issued="2026-11-30")
    case.does("peer", "object", about=order.name, on_behalf=FIRM)
    case.does("court", "end_order", result="objected", day="2026-12-09")
    assert case.case.clocks["payorder.refuse_suit"].rule.amount == 7
    case.cannot("court", "move", "CONDITION_MISSING", "amount_fixed", to="performance")
    case.does("centre", "refuse_suit", on_behalf="p1")
    assert not case.case.clocks["payorder.refuse_suit"].runs


def test_apart_a_split_and_a_confirmation_count_by_their_order():
    """Two of six are split off while a court confirms for all: before it, it is for the four; after it, for nobody."""
    case = claim()
    verify(case)
    choose(case, "mediation")
    case.does("centre", "move", to="mediation")
    settle(case)
    case.does("body", "name_court", court=str(case.desks["home_court"]))
    case.does("centre", "move", to="confirmation")
    for tag in (*workers(4), FIRM):
        desk = "peer" if tag == FIRM else "centre"
        case.does(desk, "apply_confirmation", court=str(case.desks["home_court"]), on_behalf=tag)
    case.does("home_court", "accept_application", number="确1", filed="2026-11-27")
    decided = case.make("home_court", "decide_confirmation", result="confirmed", number="确1")
    split = case.make("centre", "split", claims=("c-p5", "c-p6"), other="jiangxi/01936000-0000-7000-8000-000000000009")
    assert "decide_confirmation" not in fold(RULES, (*case.entries, decided, split)).done
    after = fold(RULES, (*case.entries, split, decided))
    assert after.done["decide_confirmation"]
    assert after.parties.keys() == {*workers(4), FIRM}


def test_claim_that_an_entry_is_about_was_entered():
    """A claim that nobody entered is a slip of the pen: nothing is done about it."""
    case = claim(number=1)
    case.day(3)
    case.cannot("labour", "verify_claim", "CITES_NOTHING", "claim", claim="c-p9", sum=SUM)
    case.does("labour", "verify_claim", claim="c-p1", sum=SUM)


def test_sum_above_the_claimed_one_wants_its_reason():
    """More than was asked for is a slip until somebody says why; less is the office's finding, and says itself."""
    case = claim(number=3)
    case.day(3)
    case.cannot("labour", "verify_claim", "SUM_ABOVE_CLAIM", "reason", claim="c-p1", sum=SUM + 1)
    case.does("labour", "verify_claim", claim="c-p1", sum=SUM + 1, reason="台账另有加班工资")
    case.does("labour", "verify_claim", claim="c-p2", sum=SUM - 1)
    case.does("labour", "verify_claim", claim="c-p3")
    case.cannot("labour", "name_payer", "ACT_FORM", "basis", payer=FIRM, basis="somebody")


def test_what_is_told_to_nobody_or_of_nobody_has_no_effect():
    """Wrong: a ledger asked of a stranger, a payer nobody entered, a hearing without a mediator, nobody's signature."""
    case = claim(1)
    case.cannot("centre", "ask_ledger", "NOT_A_MEMBER", "agency", agency="zhejiang/330881/labour")
    case.does("centre", "invite", agency="jiangxi/361123/labour", role="labour")
    case.does("centre", "ask_ledger", agency="jiangxi/361123/labour")
    case.cannot("labour", "name_payer", "PARTY_UNKNOWN", "payer", payer="boss", basis="contractor")
    verify(case, 1)
    choose(case, "mediation", 1)
    case.does("centre", "move", to="mediation")
    heard = {"parties": ("p1", FIRM), "form": "online"}
    case.cannot("body", "hear", "CONDITION_MISSING", "mediator_named", **heard)
    settle(case, 1)
    case.cannot("body", "sign", "ACT_FORM", "on_behalf", agreement=TEXT, as_="party")
    case.cannot("body", "sign", "MEDIATOR_OTHER", agreement=TEXT, as_="mediator", officer="m-2", seal=TEXT)
