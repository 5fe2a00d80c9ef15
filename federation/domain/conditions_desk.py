"""Conditions of desks, letters between forces and meetings; `conditions` holds the others, and says how they are read.

Sources: the article beside each row; [P] is a proposal of the federation, law being silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from federation.domain.facts import (
    Fact,
    after,
    by_another,
    clock_over,
    done,
    each_task,
    here,
    never_says,
    not_after,
    says,
)
from federation.protocol.ids import NodeName, parse_agency_id

if TYPE_CHECKING:
    from federation.domain.joint_state import Case


def _papers_complete(case: Case) -> bool:
    """Every kind that the procedure lists is there, and nothing was found missing since the newest."""
    there: set[object] = set()
    newest = -1
    for act in ("take_papers", "add_papers", "apply_in", "attach_paper"):
        for found in case.done.get(act, ()):
            papers = found.head.fields.get("papers", (found.head.fields.get("paper_kind"),))
            there.update(papers if isinstance(papers, tuple) else ())
            newest = max(newest, found.at)
    named = max((found.at for found in case.newest("tell_missing", "return_letter")), default=-1)
    return newest > named and set(_papers_asked(case)) <= there


def _papers_asked(case: Case) -> tuple[str, ...]:
    """The papers of the procedure; of a letter in an administrative case those of its own, where it has such."""
    administrative = says("fill_letter", "case_kind", "administrative").holds(case)
    return (administrative and case.procedure.papers_administrative) or case.procedure.papers


def _papers_missing(case: Case) -> bool:
    named = max((found.at for found in case.newest("tell_missing", "return_letter")), default=-1)
    return named > max((found.at for found in case.newest("take_papers", "add_papers", "attach_paper")), default=-1)


def _leader_signed(case: Case) -> bool:
    """A leader other than the author of the newest letter signed it."""
    filled, signed = case.last("fill_letter"), case.last("sign_letter")
    if filled is None or signed is None or signed.at < filled.at:
        return False
    return signed.head.agency == filled.head.agency and signed.head.officer != filled.head.officer


def _clear_fresh(case: Case) -> bool:
    """[P]: the newest check beforehand was clear, and at most 24 hours before the act that stands on it."""
    found = case.last("answer_precheck")
    if found is None or found.head.fields["result"] != "clear" or case.moment is None:
        return False
    return timedelta() <= case.moment - found.head.at <= timedelta(hours=24)


def _home_issued(case: Case) -> bool:
    """The office of the other side issued the paper."""
    return any(found.entry.author != case.home for found in case.done.get("issue", ()))


def _two_officers(case: Case) -> bool:
    """刑程 202, 处罚法 42: at least two officers are named."""
    assigned = case.last("assign_unit")
    who = None if assigned is None else assigned.head.fields["who"]
    return isinstance(who, tuple) and len(set(who)) > 1


def _records_signed(case: Case) -> bool:
    """刑程 206, 行程 77, 120: each record is signed, or says that signing was refused."""
    records = case.done.get("file_record", ())
    return bool(records) and all(found.head.fields["signed"] in ("yes", "refused") for found in records)


def _adult_present(case: Case) -> bool:
    """未保法 110: a guardian or a fit adult; true where no minor was heard."""
    records = [found.head.fields for found in case.done.get("file_record", ())]
    return all(said.get("minor") != "yes" or said.get("adult_present") == "yes" for said in records)


def _identity_checked_before(case: Case) -> bool:
    """行程 120: before anything is recorded."""
    checked, records = case.done.get("check_identity"), case.done.get("file_record", ())
    return checked is not None and all(checked[0].at < found.at for found in records)


def _integrity_matches(case: Case) -> bool:
    """刑程 66: the value sent is the value received, of each piece of evidence."""
    sent = {found.entry.name: found.head.fields.get("integrity") for found in case.done.get("file_evidence", ())}
    seen = {
        found.head.fields["about"]: found.head.fields["integrity"] for found in case.done.get("check_integrity", ())
    }
    return bool(sent) and all(value is None or seen.get(name) == value for name, value in sent.items())


def _application_here(case: Case) -> bool:
    """Nothing was sent out, or the owner has applied at the new place since (登规 18, 27)."""
    return not case.done.get("move_out") or after("move_out", "apply_in").holds(case)


def _dispute_settled(case: Case) -> bool:
    """刑程 356: both sides accepted one text; who proposed it accepted it by that."""
    proposed = case.last("propose_settlement")
    accepted = case.last("accept_settlement")
    if proposed is None or accepted is None or accepted.head.fields["about"] != proposed.entry.name:
        return False
    return accepted.entry.author != proposed.entry.author


_PLACES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "registration": ("home new_place", "home new_place"),
        "change": ("home", "home"),
        "move": ("home", "new_place"),
        "transfer": ("home", "home new_place"),
        "inspection": ("home stands_here", "home stands_here"),
        **dict.fromkeys(("papers", "plates", "correct", "cancel"), ("home", "home")),
        "moved": ("new_place", "new_place"),
        **dict.fromkeys(("renew", "licence_change", "reissue"), ("home new_place stands_here other",) * 2),
    }
)
"""Where each type of business is done: for others, and for small cars and motorcycles (登规 10-54, 驾规 63-69)."""


_NEW_PAPER: Final = frozenset({"papers", "plates", "correct", "renew", "licence_change", "moved", "reissue"})
"""The types at which an old paper is taken back, or found to be lost (驾规 68)."""


def _takes(*types: str) -> Fact:
    return says("take_papers", "type", *types)


def _parties_joint(case: Case) -> bool:
    """登规 26, 32: mortgage and pledge bar nothing, but who holds one applies, too; true where there is none."""
    checked = case.last("answer_precheck")
    blocks = () if checked is None else checked.head.fields.get("blocks", ())
    held = isinstance(blocks, tuple) and {"mortgaged", "pledged"} & set(blocks)
    return not held or bool(case.done.get("join_application"))


def _place_competent(case: Case) -> bool:
    """The table of types says that the place where the papers were taken in may do it.

    The colour of a small car is changed where it stands, too (登规 17); no office of a county has to do with hazardous
    goods, school buses and coaches from medium size on (登规 2).
    """
    taken = case.last("take_papers")
    if taken is None:
        return False
    said = taken.head.fields
    is_small = said.get("small") == "yes"
    is_colour = said["type"] == "change" and is_small and said.get("what") == "colour"
    places = _PLACES[str(said["type"])][is_small].split() + ["stands_here"] * is_colour
    return said["at"] in places and said.get("special") != "yes"


# ---- meetings


def _call_receipted(case: Case) -> bool:
    """Each side that was called takes part or receipted the call."""
    called = {str(found.head.fields["agency"]) for found in case.done.get("invite", ())}
    heard = {str(agency) for agency in case.members} | {
        str(found.head.fields["agency"]) for found in case.done.get("told", ())
    }
    return bool(called) and called <= heard


def _agenda_settled(case: Case) -> bool:
    """No objection is open: its item was withdrawn, or it was settled."""
    gone = {found.head.fields["item"] for found in case.done.get("withdraw_item", ())}
    settled = {found.head.fields["about"] for found in case.done.get("settle_item", ())}
    items = {found.head.fields["item"] for found in case.done.get("propose_item", ())}
    return bool(items - gone) and all(
        found.head.fields["item"] in gone or found.entry.name in settled for found in case.done.get("object_item", ())
    )


def _sides_present(case: Case) -> set[NodeName]:
    present = case.last("record_presence")
    who = () if present is None else present.head.fields["present"]
    return {parse_agency_id(each).node for each in who} if isinstance(who, tuple) else set()


def _quorum_met(case: Case) -> bool:
    """Every side that a resolution binds is present; before there is one, every side that takes part."""
    bound = {parse_agency_id(task.owner).node for task in case.tasks.values()} or case.sides
    present = _sides_present(case)
    return len(present) > 1 and bound <= present


def _minutes_signed_by_all(case: Case) -> bool:
    """One digest, that of the minutes issued last, signed last by every side that was present."""
    issued = case.last("issue_minutes")
    signed = {found.entry.author: found.head.fields["minutes"] for found in case.done.get("sign_minutes", ())}
    text = None if issued is None else issued.head.fields["minutes"]
    sides = _sides_present(case) & case.sides
    return text is not None and len(sides) > 1 and all(signed.get(side) == text for side in sides)


# ---- community corrections


def _copies_sent(case: Case, *, own: bool) -> bool:
    """矫正法 27(2): since the decision each side told whom it must; the old place, who decided on corrections, too."""
    decided = case.last("decide_move")
    copied = {
        found.head.fields["to"]
        for found in case.done.get("copy_to", ())
        if decided is not None and found.at > decided.at and (found.entry.author == case.home) == own
    }
    return copied >= ({"decider", "procuratorate", "police"} if own else {"procuratorate", "police"})


MOST_OF_OFFICE: Final = 7
MOST_OF_HOME: Final = 30
"""矫办 27: the days of a leave up to which the justice office, or the county, decides; of all in two months as well."""


def _asked_days(case: Case) -> tuple[int, int]:
    """The days of the leave that is asked for, and those with what was taken in any two months."""
    asked = max(case.newest("choose_form", "ask_longer"), default=None)
    days, taken = (0, 0) if asked is None else (asked.head.fields["days"], asked.head.fields["taken"])
    return (days, days + taken) if isinstance(days, int) and isinstance(taken, int) else (0, 0)


def _level(case: Case) -> str:
    """The level that decides on a leave (矫办 27); the county decides on recurring crossings (矫办 29)."""
    days, summed = _asked_days(case)
    if days <= MOST_OF_OFFICE and summed <= MOST_OF_HOME:
        return "office"
    return "home" if max(days, summed) <= MOST_OF_HOME else "superior"


_ONCE: Final = says("choose_form", "form", "once")
_LONG: Final = _ONCE & Fact(lambda case: _level(case) == "superior")
_BY_SUPERIOR: Final = after("ask_superior", "file_superior_decision")
_DEPARTED: Final = done("depart")
_COPY: Final = (frozenset({"decide_move"}), frozenset({"copy_to"}))
_LICENCE: Final = _takes("renew", "licence_change", "moved", "reissue", "cancel")
_CRIMINAL: Final = done("receive_letter") & says("fill_letter", "case_kind", "criminal")
_ENDED: Final = ("verify", "carry_over", "drop_task", "decline_task")
ROWS: Final = (
    # papers
    ("papers_complete", "材料齐全", "nothing that is asked for is missing", "刑程347；登规3；驾规3",
        Fact(_papers_complete, (frozenset({"take_papers", "attach_paper"}),))),
    ("papers_missing", "已一次性告知补正", "every gap was named at once", "登规3；驾规3；刑程347",
        Fact(_papers_missing, (frozenset({"tell_missing", "return_letter"}),))),
    ("papers_match_kind", "手续与协作种类相符", "the papers of the kind are there", "刑程347",
        done("receive_letter") & Fact(_papers_complete, (frozenset({"attach_paper"}),))),
    # who acts
    ("unit_named", "承办部门已确定", "one unit and its officers are named", "刑程348", done("assign_unit")),
    ("two_officers", "两名以上执法人员", "at least two officers are named", "刑程202；处罚法42",
        Fact(_two_officers, (frozenset({"assign_unit"}),))),
    ("leader_signed", "负责人已签发", "a leader other than the author signed", "刑程347",
        Fact(_leader_signed, (frozenset({"fill_letter"}), frozenset({"sign_letter"})))),
    ("not_this_force", "不属本单位管辖", "another office or county", "刑程348", done("redirect")),
    ("requester_came", "办案单位自行办理", "the requesting officers took over", "刑程351", done("come_over")),
    ("place_competent", "可以在本地办理", "it may be done here", "登规；驾规",
        Fact(_place_competent, (frozenset({"take_papers"}),))),
    ("place_not_competent", "须由登记地办理", "only the home office may do it", "登规；驾规",
        done("take_papers") & Fact(lambda case: not _place_competent(case))),
    ("home_must_review", "须由登记地复核", "it is decided at home", "登规；驾规",
        done("take_papers") & Fact(lambda case: not _place_competent(case))),
    ("members_told", "各方已知悉", "each side receipted the call", "[P]",
        Fact(_call_receipted, (frozenset({"invite"}), frozenset({"join", "told"})))),
    ("dispute_raised", "已提出管辖争议", "a side said what it disputes, or declined a lead", "刑程22、175",
        done("raise_dispute", "decline_lead")),
    ("dispute_settled", "争议已协商一致", "both sides accepted one text", "刑程356",
        Fact(_dispute_settled, (frozenset({"propose_settlement"}), frozenset({"accept_settlement"})))),
    ("dispute_ended", "争议已解决", "settled between the two, or decided above", "刑程22、356",
        Fact(_dispute_settled, (frozenset({"propose_settlement"}), frozenset({"accept_settlement"})))
            | done("file_superior_decision")),
    ("superior_decided", "上级已决定", "the superior's decision is on file", "刑程22、356",
        done("file_superior_decision")),
    # letters and desks
    ("letter_accepted", "已接受协作", "the letter was accepted", "刑程347",
        done("accept_letter") & not_after("accept_letter", "return_letter")),
    ("records_signed", "笔录已签名", "each record signed, or refusal noted", "刑程206；行程77、120",
        Fact(_records_signed, (frozenset({"file_record"}),))),
    ("adult_present", "合适成年人到场", "a fit adult, where a minor is heard", "未保法110", Fact(_adult_present)),
    ("identity_checked_before", "事先核实身份", "the identity was checked first", "行程120",
        Fact(_identity_checked_before, (frozenset({"check_identity"}),))),
    ("recording_filed", "录音录像完整", "the recording is whole", "刑程352；行程120", says("file_recording", "whole",
        "yes")),
    ("original_sent", "原件已寄送", "the original was sent", "行程120", done("send_original")),
    ("served_or_tried", "已送达或者有送达记录", "served, or the attempt recorded", "行程36", done("record_service")),
    ("paper_confirmed", "办案单位已确认手续", "the case unit confirmed the request", "行程121", done("confirm_paper")),
    ("evidence_sealed", "证据清单笔录齐全", "list and record of the evidence", "刑程66", says("file_evidence", "sealed",
        "yes")),
    ("integrity_matches", "完整性校验一致", "the value received is the value sent", "刑程66",
        Fact(_integrity_matches, (frozenset({"file_evidence"}), frozenset({"file_evidence", "check_integrity"})))),
    ("result_filed", "结果已反馈", "the result is there", "刑程353", done("file_result") | each_task("report_result",
        *_ENDED)),
    ("letter_near", "一般地区的刑事协作函", "a letter of a criminal case, due in the ordinary time", "刑程353",
        _CRIMINAL & never_says("fill_letter", "remote_area", "yes")),
    ("letter_remote", "边远地区的刑事协作函", "a letter of a criminal case to a very remote area", "刑程353",
        _CRIMINAL & says("fill_letter", "remote_area", "yes")),
    ("letter_administrative", "行政案件的协作函", "a letter of an administrative case", "行程117",
        done("receive_letter") & says("fill_letter", "case_kind", "administrative")),
    ("letter_recalled", "协作函已撤回", "the asker recalled the letter", "[P]", done("recall_letter")),
    ("suspect_held", "已羁押", "the suspect is held, and since when", "刑程351", says("fill_letter", "held_at")),
    ("service_dated", "送达期限已定", "the asker named the last day of the service", "行程36",
        says("fill_letter", "serve_by")),
    ("identity_answered", "身份已答复", "the identity matches, differs or is unknown", "刑程353",
        says("file_result", "identity")),
    ("visit_dated", "前往日期已定", "the day on which officers come over", "刑程346", says("fill_letter", "visit")),
    ("result_partial", "部分办结", "done in part", "[P]", says("file_result", "result", "partly")),
    ("result_confirmed", "请求方已确认", "the asker accepted it", "[P]", after("file_result",
        "confirm_result") | after("report_impossible", "confirm_result")),
    ("use_recorded", "用途已记录", "what it was used for is noted", "[P]", done("record_use")),
    ("reported_impossible", "已报告无法办理", "it cannot be done, and what was tried", "[P]",
        done("report_impossible")),
    ("supplement_asked", "请求补充", "one more thing is asked for", "[P]", here("ask_supplement")),
    ("within_letter", "未超出协作范围", "within the kind asked for", "刑程355", says("file_result", "beyond", "no")),
    ("beyond_letter", "超出协作范围", "beyond the kind asked for", "刑程355；行程122", says("file_result", "beyond",
        "yes")),
    ("lead_found", "发现案外线索", "a lead outside the matter was filed", "刑程175", done("found_lead")),
    ("lead_accepted", "线索已被接受", "the competent force took it", "刑程175", done("accept_lead")),
    ("lead_declined", "线索未被接受", "declined, with the reason", "刑程175", done("decline_lead")),
    ("urgent_measure_taken", "紧急措施已采取", "taken first, or none was needed", "刑程175；行程62", says("hand_lead",
        "measure")),
    ("reporter_told", "已告知报案人", "who reported it was told", "刑程175、184", done("tell_reporter")),
    ("clear_fresh", "预核查在二十四小时内", "a clear check, at most 24 hours old", "[P]",
        Fact(_clear_fresh, (frozenset({"answer_precheck"}),))),
    ("applicant_must_act", "待申请人补正或者处理", "papers are missing, or something blocks it", "登规3、18；驾规3",
        Fact(_papers_missing, (frozenset({"tell_missing"}),)) | says("answer_precheck", "result", "blocked")),
    ("blocked", "预核查未通过", "something blocks it", "登规18、25、29", says("answer_precheck", "result", "blocked")),
    ("parties_joint", "抵押权人等共同申请", "the mortgagee or pledgee applies, too", "登规26、32",
        Fact(_parties_joint)),
    ("inspection_done", "已查验合格", "inspected and passed", "登规14", says("file_inspection", "passed", "yes")),
    ("inspection_waived", "免予查验", "no inspection is needed", "登规14", done("waive_inspection")),
    ("inspection_settled", "已查验合格或者免予查验", "inspected and passed, or none is needed", "登规14",
        says("file_inspection", "passed", "yes") | done("waive_inspection") | _LICENCE),
    *((f"accepted_{kind}", f"已受理（{kind}）", f"accepted: {kind.replace('_', ' ')}", "登规；驾规",
       _takes(kind) & done("accept") & not_after("accept", "refuse")) for kind in _PLACES),
    ("accepted_licence", "已受理驾驶证业务", "business of a licence was accepted", "驾规68、69",
        _LICENCE & done("accept") & not_after("accept", "refuse")),
    ("request_refused", "不予办理", "refused, with the reason", "登规；驾规；矫办30",
        (done("refuse") & not_after("refuse", "accept")) | done("refuse_move")),
    ("home_issued", "登记地已核发", "the home office issued it", "登规；驾规",
        Fact(_home_issued, (frozenset({"issue"}),))),
    ("paper_issued", "已核发", "the paper was issued, and is no temporary one", "登规；驾规",
        done("issue") & never_says("issue", "temporary", "yes") & not_after("issue", "apply_in")),
    ("application_here", "可以在本地办理下一步", "nothing was sent out, or applied for at the new place", "登规18、27",
        Fact(_application_here)),
    ("sent_back", "已退回", "it was sent back", "[P]", here("send_back", "return_task")),
    ("move_out_done", "档案已转出", "the old place sent the file", "登规18、27", done("move_out")),
    ("applied_in", "已申请转入", "applied at the new place", "登规18、27", done("apply_in")),
    ("handed_over", "已发放", "the applicant has the paper", "登规；驾规", done("hand_out")),
    ("old_taken", "旧证已收回", "the old paper was taken back", "驾规68", done("take_old")),
    ("old_settled", "旧证已收回或者无旧证", "the old paper was taken back, or there is none", "驾规68",
        done("take_old") | Fact(lambda case: not _takes(*_NEW_PAPER).holds(case))),
    ("term_over", "本环节期限已满", "the time of the stage is over", "[P]",
        Fact(lambda case: any(clock.late and clock.name in case.timed_here for clock in case.clocks.values()),
             (frozenset({"overdue"}),))),
    # community corrections
    ("application_filed", "申请已登记", "the person's application is on file", "矫办30", done("file_application")),
    ("office_opinion_filed", "司法所已提出意见", "the justice office gave its opinion", "矫办30",
        after("file_application", "office_opinion")),
    ("question_sent", "已发函征求意见", "the receiving county was asked", "矫办30",
        after("file_application", "send_consult")),
    ("answer_filed", "新执行地已答复", "the receiving county answered", "矫办30",
        after("send_consult", "agree", "disagree")),
    ("move_agreed", "新执行地同意接收，或者上级已决定", "the receiving county agreed, or the body above decided",
        "矫办30",
        (after("send_consult", "agree") & not_after("agree", "disagree")) | after("ask_superior",
        "file_superior_decision")),
    ("superior_asked", "已报请上级协调", "the body above was asked", "矫办30", here("ask_superior")),
    ("not_withdrawn", "本人未撤回申请", "the person did not take the application back", "[P]",
        not_after("file_application", "person_withdraws")),
    ("person_withdrew", "本人已撤回申请", "the person took the application back", "[P]",
        after("file_application", "person_withdraws")),
    ("request_granted", "准予变更", "the move was granted", "矫办31", done("decide_move")),
    ("move_recalled", "变更已撤销", "the move was recalled", "[P]", after("decide_move", "recall_move")),
    ("person_told", "已书面告知本人", "the person was told in writing", "矫办30、31",
        after("decide_move", "tell_person") | after("refuse_move", "tell_person")),
    ("file_sent", "档案已移交", "the file was sent", "矫办31", after("decide_move", "send_file")),
    ("origin_copies_sent", "原执行地已抄送", "the old place told decider, procuratorate and police", "矫正法27",
        Fact(partial(_copies_sent, own=True), _COPY)),
    ("destination_copies_sent", "新执行地已抄送", "the new place told procuratorate and police", "矫正法27",
        Fact(partial(_copies_sent, own=False), _COPY)),
    ("custody_settled", "收押执行已交接或者不需交接", "custody was handed over, or there is none", "矫办31",
        never_says("file_application", "custody", "yes") | done("hand_custody")),
    ("receipt_sent", "回执已送回", "the receipt of the file was sent back", "矫办31", after("send_file",
        "receipt_file")),
    ("person_reported", "本人已报到", "the person reported in", "矫办31",
        after("decide_move", "register_person") & not_after("register_person", "no_show")),
    ("person_missed", "未按时报到", "the person did not report in", "矫办31；矫正法30",
        done("no_show") & not_after("no_show", "found", "register_person")),
    ("person_found", "已找到本人", "the person was found", "矫正法30", here("found")),
    ("procuratorate_told", "已通报人民检察院", "the procuratorate was told", "矫正法30", here("tell_procuratorate")),
    ("violation_filed", "违规处理已报送", "the violation was filed", "矫正法28、30", here("file_violation")),
    ("level_settled", "外出种类和天数已确定", "the kind and the days are said, and so who decides", "矫办27、29",
        after("file_application", "choose_form")),
    ("office_may_decide", "七日以内，可以由司法所批准", "at most seven days: the justice office may decide", "矫办27",
        _ONCE & Fact(lambda case: _level(case) == "office")),
    ("home_may_decide", "三十日以内，或者上级已同意", "at most thirty days, or the body above agreed", "矫办27",
        (_ONCE & Fact(lambda case: _level(case) != "superior")) | _BY_SUPERIOR),
    ("recurring_chosen", "申请经常性活动", "recurring crossings are asked for", "矫办29",
        says("choose_form", "form", "recurring")),
    ("leave_granted", "已批准外出", "the leave was granted", "矫办27",
        here("grant_short", "grant_leave")),
    ("recurring_granted", "已批准经常性活动", "recurring crossings were granted", "矫办29", here("grant_recurring")),
    ("leave_refused", "不予批准外出", "the leave was refused", "矫办27", here("refuse_leave")),
    ("refusal_told", "已书面告知不予批准", "the refusal was told in writing", "矫办27",
        after("refuse_leave", "tell_person")),
    ("long_leave_told", "超过三十日的已通报人民检察院", "of a leave beyond thirty days the procuratorate was told",
        "矫办27",
        Fact(lambda case: not _LONG.holds(case)) | here("tell_procuratorate")),
    ("short_begun", "短期外出已开始", "a leave that the justice office granted has begun", "矫办27",
        done("grant_short") & _DEPARTED & not_after("grant_short", "grant_leave")),
    ("each_begun", "三十日以内的外出已开始", "a leave that the county granted has begun", "矫办27",
        after("grant_leave", "depart") & Fact(lambda case: not _LONG.holds(case))),
    ("returned_in_time", "按期销假", "the person reported back in time", "矫办28", here("report_back") & Fact(
        lambda case: not any(clock.late for clock in case.clocks.values() if clock.name == "corr.leave.due"))),
    ("late_settled", "已找到，或者违规处理已报送", "found, or the violation was filed", "矫正法28、30",
        here("found", "file_violation")),
    ("permit_revoked", "外出凭证已撤销并告知", "the permit was revoked, and the person told", "矫办29",
        after("revoke_permit", "tell_person")),
    ("renewal_filed", "已另立续批申请", "the renewal is a new application", "矫办29", here("renew_permit")),
    # meetings
    ("agenda_settled", "议题已确定", "no objection is open", "[P]",
        Fact(_agenda_settled, (frozenset({"propose_item"}),))),
    ("quorum_met", "各方到会", "every side is present", "[P]", Fact(_quorum_met, (frozenset({"record_presence"}),))),
    ("minutes_signed_by_all", "纪要各方签认", "one text, signed by every side", "[P]",
        Fact(_minutes_signed_by_all, (frozenset({"issue_minutes"}), frozenset({"sign_minutes"})))),
    ("owner_accepted", "责任单位已认领", "each owner accepted or declined its task", "[P]",
        Fact(lambda case: bool(case.tasks) and all(
            {"accept_task", *_ENDED} & task.done.keys() for task in case.tasks.values()),
            (frozenset({"record_item"}), frozenset({"accept_task", "decline_task"})))),
    ("due_set", "办结期限已定", "each resolution has a day", "[P]",
        Fact(lambda case: bool(case.tasks) and all(task.due for task in case.tasks.values()),
             (frozenset({"record_item"}),))),
    ("verified_by_another", "已由他人核查", "checked by another officer of another agency", "[P]",
        each_task(*_ENDED) | by_another("verify_claim", "add_claim")),
    ("every_item_verified", "事项全部核查销号", "every task was verified", "[P]", each_task("verify")),
    ("item_carried", "有事项结转", "a task is carried over", "[P]", done("carry_over")),
    ("every_item_ended", "事项全部办结", "no task is open", "[P]", each_task(*_ENDED)),
    # audits
    ("unit_takes_part", "被审计单位已参与", "the audited unit takes part", "审计法44",
        Fact(lambda case: any("unit" in roles for roles in case.members.values()), (frozenset({"join"}),))),
    ("comment_given", "已反馈意见或者逾期未反馈", "the unit commented, or the ten days are over", "审计法44",
        done("comment") | clock_over("audit.comment")),
)  # fmt: skip
"""Name, Chinese, English, rule and fact of each."""
