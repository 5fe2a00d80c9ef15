"""The vocabulary of conditions: what may be asked of a case before it goes on, each with the rule it stands on.

Rules kept: a condition is named in the affirmative and is a pure function of the folded case; a procedure lists names,
all of which must hold, and has no "or", no "not" and no expression; time enters a condition only through entries that
the lead's node wrote. "Each side" means one entry of every node that takes part, and at least two take part.
Sources: the article beside each row; [P] is a proposal of the federation, law being silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from federation.domain import conditions_desk
from federation.domain.facts import (
    Fact,
    after,
    answered,
    by_each_side,
    clock_not_over,
    clock_over,
    done,
    each_claim,
    for_each_party,
    here,
    never_says,
    not_after,
    says,
    stated,
    these,
)
from federation.domain.joint import office_of
from federation.protocol.ids import parse_agency_id

if TYPE_CHECKING:
    from federation.domain.joint_state import Case


class Condition(Struct, frozen=True, kw_only=True):
    name: str
    zh: str
    en: str
    rule: str
    fact: Fact

    def holds(self, case: Case) -> bool:
        return self.fact.holds(case)


# ---- what is too much for a row


def _parties_named(case: Case) -> bool:
    """Somebody on each side of the quarrel."""
    return {"applicant", "respondent"} <= {head.fields["role"] for head in case.parties.values()}


def _voluntary(case: Case) -> bool:
    """人民调解法 17, 23: a clear refusal by one party forbids mediation, until that party agrees again."""
    newest: dict[object, str] = {}
    for found in sorted((*case.done.get("refuse_mediation", ()), *case.done.get("agree_mediation", ()))):
        newest[found.head.fields["on_behalf"]] = found.head.act
    return "refuse_mediation" not in newest.values()


def _mediator_named(case: Case) -> bool:
    """人民调解法 19: mediators are named and not replaced, and the office of each still takes part."""
    proposed = case.standing("propose_mediators")
    who = () if proposed is None else proposed.head.fields["who"]
    return bool(who) and isinstance(who, tuple) and all(office_of(each) in case.members for each in who)


def _mediator_accepted(case: Case) -> bool:
    """人民调解法 19, 23: chosen or accepted by each party, and the newest word of none is an objection."""
    proposed = case.standing("propose_mediators")
    if proposed is None:
        return False
    return bool(case.parties) and not _without_mediator(case)


def _without_mediator(case: Case) -> list[object]:
    """The parties who have not accepted the mediators that are proposed."""
    proposed = case.standing("propose_mediators")
    said: dict[object, str] = {}
    for found in sorted((*case.done.get("choose_mediator", ()), *case.done.get("object_mediator", ()))):
        if proposed is not None and found.head.fields["about"] == proposed.entry.name:
            said[found.head.fields["on_behalf"]] = found.head.act
    return [party for party in case.parties if said.get(party) != "choose_mediator"]


def _recusal_clear(case: Case) -> bool:
    """No tie of anybody who acts now is undecided or upheld: see `Case.ties`."""
    standing = {tie.who for tie in case.ties if tie.stands}
    return not standing or standing.isdisjoint(case.acting)


def _facts_filed(case: Case) -> bool:
    """At least one fact, and the list closed after the newest."""
    fact, closed = case.last("add_fact"), case.last("close_facts")
    return fact is not None and closed is not None and closed.at > fact.at


def _evidence_listed(case: Case) -> bool:
    """Each fact, as it was filed last, has its source."""
    newest = {found.head.fields["fact"]: found.head for found in case.done.get("add_fact", ())}
    return bool(newest) and all("source" in head.fields for head in newest.values())


def _agreement_effective(case: Case) -> bool:
    """人民调解法 28-30: written, each party and a mediator sign the newest text and a body seals it; oral, recorded."""
    drafted = case.last("draft")
    if drafted is None:
        return False
    if drafted.head.fields["form"] == "written" and len(case.done.get("sign", ())) < len(case.parties) + 2:
        return False  # a mediator, a body and each party
    text = drafted.head.fields["agreement"]
    if drafted.head.fields["form"] == "oral":
        noted = case.last("note_oral")
        return noted is not None and noted.head.fields["agreement"] == text and _names_all(case, noted.head.fields)
    return bool(case.parties) and not _unsigned(case, text)


def _unsigned(case: Case, text: object) -> list[tuple[str, str]]:
    """Those of each party, a mediator and the body that seals it who have not signed a text yet."""
    signed = {
        (found.head.fields["as"], found.head.fields.get("on_behalf"))
        for found in case.done.get("sign", ())
        if found.head.fields["agreement"] == text
    }
    capacities = {capacity for capacity, _ in signed}
    open_ = these((party for party in case.parties if ("party", party) not in signed), "当事人 ", "party ")
    return [*open_, *(words for capacity, words in _SIGNS.items() if capacity not in capacities)]


_SIGNS: Final = {"mediator": ("调解员", "a mediator"), "body": ("调解组织", "the body")}


def _agreement_lacks(case: Case) -> list[tuple[str, str]]:
    drafted = case.last("draft")
    if drafted is None:
        return [("起草协议 draft", "draft the agreement: draft")]
    if drafted.head.fields["form"] == "oral":
        return [("记录口头协议 note_oral", "record the oral agreement: note_oral")]
    return _unsigned(case, drafted.head.fields["agreement"])


def _names_all(case: Case, fields: Mapping[str, object]) -> bool:
    parties = fields["parties"]
    return bool(case.parties) and isinstance(parties, tuple) and case.parties.keys() <= set(parties)


def _obligations_dated(case: Case) -> bool:
    """民诉解释 358(5): unclear content is refused. Each obligation of the newest text has who, what and due."""
    owed = case.obligations
    return bool(owed) and all(
        "due" in head.fields and (head.fields["what"] == "act" or "sum" in head.fields) for head in owed.values()
    )


def _performed(case: Case) -> bool:
    """Every obligation is met, and what was to be paid was paid."""
    owed = case.obligations
    met = {found.head.fields["obligation"] for found in case.done.get("record_performance", ())}
    paid = case.paid
    return bool(owed) and all(
        name in met and _sum(head.fields.get("sum", 0)) <= paid.get(str(name), 0) for name, head in owed.items()
    )


def _sum(value: object) -> int:
    return value if isinstance(value, int) else 0


def _court_competent(case: Case) -> bool:
    """民诉 205, 民诉解释 352: one court, and one that the rule gives.

    The court that invited the body; else of a party's domicile, the place of the thing, or the seat of a body that
    mediates. Of several asked, the one that filed first by its own papers.
    """
    route = _route(case)
    if route in _OWN_PLACES:
        return _route_competent(case, route)
    asked = {str(found.head.fields["court"]) for found in case.done.get("apply_confirmation", ())}
    named = case.last("name_court")
    if not asked and named is not None:
        asked = {str(named.head.fields["court"])}
    if len(asked) > 1:
        first = case.first_filed
        asked = {first[0]} if first is not None and first[0] in asked else set()
    return len(asked) == 1 and parse_agency_id(asked.pop()).county in _competent_counties(case)


_OWN_PLACES: Final = frozenset({"payment_order", "arbitration", "small_claim"})
"""The routes of a wage claim with a place of their own."""


def _route(case: Case) -> str:
    """The route that was chosen, or opened, last; the choice of who was split off since is another case's."""
    chosen = (each for each in case.done.get("choose_route", ()) if each.head.fields["on_behalf"] in case.parties)
    taken = max((*chosen, *case.newest("open_route")), default=None)
    return "" if taken is None else str(taken.head.fields["route"])


def _takes_route(route: str, case: Case) -> bool:
    return _route(case) == route


def _route_competent(case: Case, route: str) -> bool:
    """民诉 24, 民诉解释 23, 仲裁法（劳） 21: a payment order, the debtor's home alone; else that, or the place of work.

    Where arbitration is asked in both, the place of work has it.
    """
    asked = [
        str(found.head.fields["court"])
        for found in sorted(case.newest("name_court", "apply_order", "apply_arbitration"))
    ]
    arbitration = {str(found.head.fields["court"]) for found in case.done.get("apply_arbitration", ())}
    debtor = {head.fields.get("county") for head in case.parties.values() if head.fields["role"] == "respondent"}
    work = {
        str(found.head.fields["division"])[:6] for found in case.newest("register") if "division" in found.head.fields
    }
    if route == "arbitration" and len(arbitration) > 1:
        return any(parse_agency_id(each).county in work for each in arbitration)
    places = debtor if route == "payment_order" else debtor | work
    return bool(asked) and parse_agency_id(asked[-1]).county in places


def _competent_counties(case: Case) -> set[str]:
    opened, mediators = case.last("open"), case.standing("propose_mediators")
    if opened is not None and opened.head.fields.get("source") == "court":
        return {opened.head.agency.county}
    places = [head.fields.get("county") for head in case.parties.values()]
    places += [found.head.fields["division"] for found in case.newest("open", "register")]
    who = None if mediators is None else mediators.head.fields["who"]
    bodies = [office_of(each) for each in (who if isinstance(who, tuple) else ())]
    return {str(place)[:6] for place in places if place is not None} | {body.county for body in bodies}


def _police_mediates_again(case: Case) -> bool:
    """行程 183: one more mediation by the police, within seven working days."""
    mediators, ended = case.standing("propose_mediators"), case.last("end_mediation")
    who = None if mediators is None else mediators.head.fields["who"]
    by_police = any("/police#" in each for each in (who if isinstance(who, tuple) else ()))
    return by_police and ended is not None and ended.head.fields["result"] == "again"


# ---- wages


def _applicants(case: Case) -> set[object]:
    return {tag for tag, head in case.parties.items() if head.fields["role"] == "applicant"}


def _claims_listed(case: Case) -> bool:
    """Each claimant has at least one claim."""
    claimants = _applicants(case)
    return bool(claimants) and claimants <= _claiming(case)


def _claiming(case: Case) -> set[object]:
    return {found.head.fields["party"] for found in case.done.get("add_claim", ())}


def _limitation_noted(case: Case) -> bool:
    """仲裁法（劳） 27: the year is interrupted by asking; the day of the first claim stands with each."""
    claims = case.done.get("add_claim", ())
    return bool(claims) and all("first_asked" in found.head.fields for found in claims)


def _route_chosen(case: Case) -> bool:
    """Each claimant signed for a route, and all for one: who chooses another is split off."""
    chosen: dict[object, object] = {
        found.head.fields["on_behalf"]: found.head.fields["route"] for found in case.done.get("choose_route", ())
    }
    claimants = _applicants(case)
    return bool(claimants) and claimants <= chosen.keys() and len({chosen[tag] for tag in claimants}) == 1


_ROUTES: Final = (("mediation", "调解"), ("confirmation", "司法确认"), ("payment_order", "支付令"),
                  ("arbitration", "仲裁"), ("small_claim", "小额诉讼"))  # fmt: skip
_PERFORMED: Final = Fact(_performed, (frozenset({"add_obligation"}), frozenset({"record_performance"})))
_REFERRED: Final = says("open", "source", "court")
_ROWS: Final = (
    # intake
    ("trigger_recorded", "已记录触发事项", "a contract, project or event is on file", "[P]",
        says("open", "trigger") | done("record_trigger")),
    ("review_or_waiver", "已审查、评估或者注明不需审查", "reviewed, assessed, or waived with its reason", "[P]",
        done("file_review", "file_assessment", "waive_review")),
    ("source_named", "线索来源已登记", "patrol, visit, risk push or call is named", "[P]",
        says("open", "source") | done("name_source")),
    ("finding_recorded", "排查结果已记录", "a finding is on file, nothing found too", "[P]", done("record_finding")),
    ("parties_named", "当事人已登记", "an applicant and a respondent are named", "[P]",
        Fact(_parties_named, (frozenset({"add_party"}),))),
    ("place_named", "地点已登记", "division and side of the line are named", "[P]", done("register")),
    ("tags_set", "六联标签已选", "at least one tag of the six joint fields", "[P]", says("register", "tags")),
    ("duplicate_checked", "已查重并逐一处理", "searched, and each hit merged or set apart", "[P]",
        done("check_duplicates") & answered("merge_offer", "merge_accept", "set_apart")),
    ("merged_elsewhere", "已并入他案", "merged into another case", "[P]", done("merge_accept")),
    ("acceptance_answered", "已告知是否受理", "accepted, or refused with reason and signpost",
        "人民调解法26；在线调解规则9",
        done("accept") | (done("refuse") & after("refuse", "signpost"))),
    ("case_accepted", "已受理", "accepted", "人民调解法26", done("accept") & not_after("accept", "refuse")),
    ("not_accepted", "已告知不予受理并引导", "refused, and told where to go", "人民调解法26",
        after("refuse", "signpost") & not_after("refuse", "accept")),
    ("referred_by_court", "法院委派或者委托", "a court referred it", "在线调解规则12", _REFERRED),
    ("referral_accepted", "委派（委托）已接受", "what a court referred was accepted", "在线调解规则12、24",
        _REFERRED & done("accept")),
    ("referral_agreed", "当事人同意在线调解", "parties agreed to mediate what a court referred", "在线调解规则10",
        _REFERRED & done("agree_mediation")),
    ("choice_left_to_court", "当事人逾期未选定，由法院指定", "nobody was chosen in time, so the court names one",
        "在线调解规则10", _REFERRED & clock_over("odr.choose")),
    ("respondent_named", "被申请人已登记", "the respondent is named", "[P]",
        Fact(lambda case: any(head.fields["role"] == "respondent" for head in case.parties.values()),
             (frozenset({"add_party"}),))),
    ("claims_listed", "每名申请人均有诉求", "each claimant has at least one claim", "[P]",
        Fact(_claims_listed, (frozenset({"add_party"}), frozenset({"add_claim"})),
             lacks=lambda case: these(_applicants(case) - _claiming(case), "当事人 ", "party "))),
    ("limitation_noted", "首次主张日期已记录", "the day of the first claim is recorded", "仲裁法（劳）27",
        Fact(_limitation_noted, (frozenset({"add_claim"}),))),
    # who acts
    ("owner_named", "承办单位已确定", "one owner is named", "[P]",
        Fact(lambda case: any("owner" in roles for roles in case.members.values()), (frozenset({"name_owner"}),))),
    ("peer_told", "对方节点已签收或者已参与", "the other side's node receipted it, or takes part", "[P]",
        Fact(lambda case: len(case.sides) > 1 or bool(case.done.get("told")), (frozenset({"join", "told"}),))),
    ("first_filed_named", "双方确认同一最先立案", "both sides signed the same first filing", "民诉36；民诉解释352",
        Fact(lambda case: case.first_filed is not None, (frozenset({"sign_first_filed"}),))),
    ("court_competent", "受理法院有管辖权", "the court asked is one that the rule gives", "民诉205；民诉解释352",
        Fact(_court_competent, (frozenset({"name_court", "apply_confirmation"}),))),
    ("police_informed", "已报公安机关并签收", "the report to the police was receipted", "[P]",
        done("report_police") & Fact(
            lambda case: any(found.entry.name in case.receipted for found in case.done.get("report_police", ())),
            (frozenset({"told"}),))),
    # mediation
    ("voluntary", "当事人自愿", "no party has refused", "人民调解法17、23", Fact(_voluntary)),
    ("mediable", "属于可以调解的纠纷", "this kind of quarrel may be mediated", "行程178、179",
        never_says("classify", "mediable", "no")),
    ("mediator_named", "调解员已指派", "mediators are named", "人民调解法19",
        Fact(_mediator_named, (frozenset({"propose_mediators"}),))),
    ("mediator_accepted", "当事人接受调解员", "each party chose or accepted them", "人民调解法19、23",
        Fact(_mediator_accepted, (frozenset({"propose_mediators"}), frozenset({"choose_mediator"})),
             lacks=lambda case: these(_without_mediator(case), "当事人 ", "party "))),
    ("recusal_clear", "无须回避", "no undecided or upheld tie of who acts now", "在线调解规则13；民诉47；处罚法43",
        Fact(_recusal_clear)),
    ("recusal_signed_by_both", "双方已签署回避核查", "both sides signed the check", "[P]",
        by_each_side("sign_recusal_check", since="propose_mediators", word=("result", "clear"))),
    ("facts_filed", "事实清单已核定", "facts are filed and the list is closed", "[P]",
        Fact(_facts_filed, (frozenset({"add_fact"}), frozenset({"close_facts"})))),
    ("evidence_listed", "每项事实均有来源", "each fact has its source", "[P]",
        Fact(_evidence_listed, (frozenset({"add_fact"}),))),
    ("both_heard", "已听取各方意见", "each party was heard", "人民调解法22", for_each_party("hear", here=True)),
    ("refusal_recorded", "一方拒绝已记录", "a party's refusal is on file", "人民调解法17",
        done("refuse_mediation") & Fact(lambda case: not _voluntary(case))),
    ("mediation_ended", "调解已终止", "the mediation was ended with its reason", "人民调解法26", here("end_mediation")),
    ("police_mediates_again", "公安机关再次调解", "the police will mediate once more", "行程183",
        Fact(_police_mediates_again, (frozenset({"end_mediation"}),))),
    ("route_signposted", "已告知救济途径", "remedies, body and last day were told", "人民调解法26", here("signpost")),
    ("agreement_effective", "协议已生效", "signatures and seal are complete, or oral and recorded", "人民调解法28-30",
        Fact(_agreement_effective, (frozenset({"draft"}), frozenset({"sign", "note_oral"})), lacks=_agreement_lacks)),
    ("written_agreement", "协议为书面", "the form is written", "人民调解法28", says("draft", "form", "written")),
    ("obligations_dated", "义务内容明确", "each obligation has who, what and due", "民诉解释358（5）",
        Fact(_obligations_dated, (frozenset({"draft"}), frozenset({"add_obligation"})))),
    ("title_undisputed", "无权属争议", "no open quarrel about land or forest title", "森林法22；水法56",
        never_says("classify", "title_disputed", "yes")),
    # court routes
    ("confirmable", "可以申请司法确认", "no excluded subject", "民诉解释355、358",
        never_says("classify", "excluded", "status", "title", "ip", "not_court")),
    ("both_applied", "双方共同申请", "both parties applied", "民诉205",
        for_each_party("apply_confirmation", since="draft")),
    ("application_taken", "法院已收案", "the court took the application", "民诉解释355", done("accept_application")),
    ("confirmation_in_time", "仍在申请期限内", "the thirty days are not over", "民诉205",
        clock_not_over("med.confirm")),
    ("confirmation_settled", "司法确认已有结果", "confirmed, refused, withdrawn, waived or out of time",
        "民诉205-206；民诉解释357",
        after("draft", "decide_confirmation", "waive_confirmation", "withdraw") | clock_over("med.confirm")),
    ("confirmed", "法院已确认", "the court confirmed", "民诉206", says("decide_confirmation", "result", "confirmed")),
    ("verification_answered", "各项诉求均已核实或者答复", "each claim verified or disputed, or the time for it is over",
        "[P]", each_claim("verify_claim", "dispute_claim", "withdraw_claim") | clock_over("wage.verify")),
    ("claims_answered", "各项诉求均已答复", "each claim verified, disputed or withdrawn", "个保法50",
        each_claim("verify_claim", "dispute_claim", "withdraw_claim")),
    ("claims_verified", "诉求均已核实", "every claim is verified or withdrawn", "[P]",
        each_claim("verify_claim", "withdraw_claim")),
    ("payer_named", "支付主体已认定", "who pays first is named", "工资条例29、30、36", done("name_payer")),
    ("route_advice_given", "已告知各途径", "the open routes were shown", "[P]", done("advise_routes")),
    ("route_chosen", "途径已由申请人选定", "each claimant signed for the same route", "[P]",
        Fact(_route_chosen, (frozenset({"choose_route"}),))),
    *((f"chose_{route}", f"选择{zh}", f"{route.replace('_', ' ')} was chosen last", "[P]",
       Fact(partial(_takes_route, route), (frozenset({"choose_route", "open_route"}),))) for route, zh in _ROUTES),
    ("payment_only", "协议仅涉及给付", "all obligations are payments", "劳动解释一52", says("draft", "payments_only",
        "yes")),
    ("debt_due_and_certain", "债权到期且数额确定", "sum fixed and due", "民诉225", stated("check_routes", "certain",
        "yes")),
    ("no_other_debt", "双方无其他债务纠纷", "no other debt between them", "民诉225",
        stated("check_routes", "other_debt", "no")),
    ("no_presuit_preservation", "未申请诉前保全", "no preservation before suit", "民诉解释427",
        stated("check_routes", "preserved", "no")),
    ("servable", "支付令能够送达", "the debtor can be served", "民诉225", stated("check_routes", "servable", "yes")),
    ("labour_relation", "存在劳动关系", "a labour relation is claimed", "仲裁法（劳）2", stated("check_routes",
        "employed", "yes")),
    ("within_limitation", "未超过仲裁时效", "within the year, or still employed", "仲裁法（劳）27",
        stated("check_routes", "in_time", "yes")),
    ("ordinary_civil_claim", "属普通民事债权", "an ordinary claim", "劳动解释一2、15、51", stated("check_routes",
        "civil", "yes")),
    ("small_sum", "符合小额标准", "at or below the province's figure", "民诉165", stated("check_routes", "small",
        "yes")),
    ("order_settled", "支付令程序已终结", "paid, final, objected, lapsed or withdrawn", "民诉227-228；民诉解释430",
        after("apply_order", "end_order")),
    ("order_final", "支付令已生效", "no objection came in time", "民诉227", says("end_order", "result", "final")),
    ("order_objected", "对方提出异议", "the debtor objected", "民诉228", says("end_order", "result", "objected")),
    ("order_lapsed", "支付令失效", "the order could not be served in time", "民诉解释430", says("end_order", "result",
        "lapsed")),
    ("arbitration_answered", "已裁决，或者逾期未受理、未裁决", "awarded, or not accepted or not awarded in its time",
        "仲裁法（劳）29、43", done("award") | clock_over("labour.arb.accept", "labour.arb.award")),
    ("award_made", "已裁决", "the award was made", "仲裁法（劳）47、50", done("award")),
    ("judged", "已判决", "the court judged", "民诉165", done("judge")),
    ("amount_fixed", "应付金额已确定", "one sum by agreement, order, award or judgment", "[P]",
        done("order_payment", "award", "judge")
            | (done("issue_order") & never_says("end_order", "result", "objected", "lapsed", "withdrawn"))
            | Fact(_agreement_effective, (frozenset({"draft"}), frozenset({"sign", "note_oral"})))),
    ("title_enforceable", "有执行依据且未逾期", "an enforceable title, not over 24 months", "民诉250",
        (done("order_payment", "award", "judge") | says("decide_confirmation", "result", "confirmed")
            | says("end_order", "result", "final")) & clock_not_over("enforce.apply")),
    ("e_service_consented", "同意电子送达", "electronic service was agreed to", "民诉90", done("consent_e_service")),
    ("prefecture_approval_on_file", "设区的市级批准在卷", "approval of the prefecture is on file", "工资条例40",
        done("file_approval")),
    ("waiver_signed", "余额放弃已签字", "the creditor signed for the rest", "[P]", done("waive_rest")),
    # performance and ends
    ("performed", "义务已全部履行", "all obligations are met", "人民调解法31", _PERFORMED),
    ("breach_reported", "未履行已报告", "a day is over and its obligation unmet", "人民调解法31-32",
        done("report_breach")),
    ("suit_opened", "已转诉讼", "a suit was opened", "人民调解法32", says("open_route", "route", "suit")),
    ("case_settled", "已履行或者已转入其他途径", "performed, or a next route opened", "[P]",
        _PERFORMED | here("open_route")),
    ("performed_or_route_opened", "已履行或者已转入其他途径", "performed, or a next route begun", "人民调解法31-33",
        _PERFORMED | here("open_route")),
    ("visit_recorded", "已回访", "satisfaction and relapse are recorded", "[P]", done("record_visit")),
    ("nothing_found", "排查无异常", "nothing was found", "[P]", says("record_finding", "finding", "nothing")),
    ("file_complete", "卷宗齐全", "every stage has its papers", "人民调解法27", says("archive", "whole", "yes")),
    ("retention_set", "保存期限已定", "rule and last day of keeping are set", "个人信息保护法19",
        done("set_retention")),
    ("withdrawal_recorded", "撤回已记录", "a party's withdrawal is on file", "人民调解法3", done("withdraw")),
)  # fmt: skip

CONDITIONS: Final[Mapping[str, Condition]] = MappingProxyType(
    {
        name: Condition(name=name, zh=zh, en=en, rule=rule, fact=fact)
        for name, zh, en, rule, fact in (*_ROWS, *conditions_desk.ROWS)
    }
)
