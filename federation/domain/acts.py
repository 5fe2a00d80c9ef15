"""The vocabulary of acts: what an entry of a joint case may do, and which facts its head then holds.

Rules kept: a procedure names acts and never defines them; what the fold of a case reads stands in heads, as words,
numbers, days, sums in fen, digests, offices, so that members who see different items fold the same; an act that may be
done only once says with which others, and what makes room for it again. A field is written `name:type`, with `!` where
it must be there, `[]` for a list and `a|b` for a choice of words.
Sources: the articles beside each condition (`conditions`); the stages of each procedure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from federation.domain.joint import CUT
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import parse_agency_id, parse_record_id, parse_time

FieldValue: TypeAlias = "str | int | tuple[str, ...]"
_Takes: TypeAlias = Callable[[str], object]


def _form(pattern: str) -> _Takes:
    return re.compile(pattern, re.ASCII).fullmatch


def _is_officer(text: str) -> bool:
    """`agency#officer`: a pseudonym means something within its office only."""
    agency, hash_sign, officer = text.partition("#")
    return bool(hash_sign and parse_agency_id(agency) and re.fullmatch("[A-Za-z0-9_-]{1,64}", officer, re.ASCII))


TYPES: Final[Mapping[str, _Takes]] = MappingProxyType(
    {
        "word": _form("[a-z][a-z0-9_-]{0,31}"),
        "clock": _form("[a-z][a-z0-9._-]{0,63}(:[a-z][a-z0-9_-]{0,31})?"),
        "purpose": _form("[a-z][a-z0-9_]{0,30}([.][a-z][a-z0-9_]{0,30})+"),
        "text": bool,
        "day": lambda text: len(text) == 10 and date.fromisoformat(text),
        "past": lambda text: len(text) == 10 and date.fromisoformat(text),
        "time": parse_time,
        "digest": _form("[0-9a-f]{64}"),
        "entry": _form("[0-9a-f]{64}"),
        "record": parse_record_id,
        "agency": parse_agency_id,
        "officer": _is_officer,
        "division": _form("[0-9]{6}([0-9]{3}([0-9]{3})?)?"),
        "code": _form("[0-9]{17}"),
        "desk": _form("[0-9]{6}([0-9]{3})?([.][a-z0-9]{1,20}){1,3}"),
        "area": _form("[a-z0-9]{3,9}([.][a-z0-9-]{1,40}){1,3}"),
        "alert": _form("[a-z]{2,20}([.][a-z]{2,20}){0,2}"),
        "cap_id": _form("[0-9]{12}[0-9A-Z]{2}_[0-9]{14}_[0-9]"),
        "cut": _form("[a-z][a-z0-9]{1,30}:[0-9]{1,5}"),
    }
)
"""The types that are written as text, and which texts they take. `number` and `fen` are integers from 0 on.

A `past` is a day on which something happened: whoever writes it is held to no day to come by the own node.
"""


class Field(Struct, frozen=True, kw_only=True):
    name: str
    type: str
    required: bool = False
    is_list: bool = False
    words: frozenset[str] = frozenset()

    def takes(self, value: FieldValue) -> bool:
        if self.type in ("number", "fen"):
            return isinstance(value, int)
        texts = value if self.is_list else (value,)
        return isinstance(texts, tuple) and all(isinstance(text, str) and self._takes_text(text) for text in texts)

    def _takes_text(self, text: str) -> bool:
        if self.words:
            return text in self.words
        try:
            return bool(TYPES[self.type](text))
        except (BridgeheadError, ValueError):
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act. `items`: the classes that it may carry.

    `once`: while one act with the same values of these fields stands, another is without effect; None where it may be
    repeated. `freed_by`: acts after which it no longer stands. `answers`: the acts that it answers, of which one must
    be there, and which alone `about` may cite; none where it stands by itself. `by_node`: only what the node of the
    lead agency writes by itself, as time goes by. `of_party`: done by an agency on behalf of a party. `when_closed`:
    has effect in a closed case, too.
    """

    name: str
    zh: str
    en: str
    fields: tuple[Field, ...] = ()
    items: frozenset[str] = frozenset()
    once: tuple[str, ...] | None = None
    freed_by: frozenset[str] = frozenset()
    answers: frozenset[str] = frozenset()
    by_node: bool = False
    of_party: bool = False
    when_closed: bool = False
    known: Mapping[str, Field] = field(default_factory=dict, repr=False)
    """Its fields and those of every act, by name."""

    def fault(self, fields: Mapping[str, FieldValue], items: tuple[str, ...]) -> str | None:
        """The first field or class of items that the act does not take, or lacks; None when all is as it should be."""
        wrong = [name for name, value in fields.items() if name not in self.known or not self.known[name].takes(value)]
        missing = [each.name for each in self.fields if each.required and each.name not in fields]
        if self.of_party and "on_behalf" not in fields:
            missing.append("on_behalf")
        return next(iter((*sorted(wrong), *missing, *sorted(set(items) - self.items))), None)


def read_fields(written: str) -> Iterator[Field]:
    """Reads fields as the tables of acts write them: `party:word! side:A|B! sum:fen tags:word[]`."""
    for part in written.split():
        name, _, form = part.partition(":")
        kind = form.rstrip("!").removesuffix("[]")
        words = frozenset(kind.split("|")) if "|" in kind else frozenset[str]()
        yield Field(name=name, type="word" if words else kind, required="!" in form, is_list="[]" in form, words=words)


COMMON: Final = tuple(read_fields("on_behalf:word paper:digest reason:text"))
"""What every act may say: for which party it is done, on which paper, and why."""


def act(name: str, words: str, fields: str = "", **also: str | bool | None) -> Act:
    """One row of the table: `受理|accept` in both languages; `also` is what `Act` says, names in one text."""
    zh, _, en = words.partition("|")
    once, more = also.pop("once", None), {key: bool(value) for key, value in also.items() if isinstance(value, bool)}
    own = tuple(read_fields(fields))
    return Act(
        name=name,
        zh=zh,
        en=en,
        fields=own,
        known={each.name: each for each in (*COMMON, *own)},
        once=tuple(once.split()) if isinstance(once, str) else None,
        items=frozenset(str(also.get("items", "")).split()),
        freed_by=frozenset(str(also.get("freed_by", "")).split()),
        answers=frozenset(str(also.get("answers", "")).split()),
        **more,
    )


_CASE: Final = (
    act("open", "开案|open the case",
        "procedure:word! agreement:number! role:word! division:division! stage:word code:code received:time "
        "trigger:contract|project|event source:patrol|visit|risk_push|call|letter|court|petition|walk_in",
        items="place document"),
    act("move", "转入下一环节|go on to a stage", "to:word! from:word"),
    act("close", "结案|close the case", "outcome:word!"),
    act("invite", "邀请参与|invite an agency", "agency:agency! role:word!"),
    act("join", "同意参与|join the case", items="document"),
    act("decline", "谢绝参与|decline to join"),
    act("leave", "退出|leave the case", f"{CUT}:cut[]!"),
    act("remove", "移出|remove an agency", f"agency:agency! {CUT}:cut[]!"),
    act("hand_over", "移交牵头|hand the lead over", f"agency:agency! {CUT}:cut[]"),
    act("told", "已送达对方节点|the other side's node receipted it", "about:entry! agency:agency!", by_node=True),
    act("overdue", "已逾期|a time is over", "clock:clock! due:time!", by_node=True),
    act("escalate", "提请督办|escalate", "clock:clock! due:time!", by_node=True),
    act("floor_over", "最短期间已满|a least time is over", "clock:clock! due:time!", by_node=True),
    act("note", "备注|keep a note", items="note", when_closed=True),
    act("amend_party", "补正当事人|complete or correct a party", "party:word! county:division minor:yes|yes",
        items="party contact document"),
    act("add_document", "补充材料|add a paper", "manifest:digest kind:word", items="document", when_closed=True),
    act("disclose_item", "另行提供|hand fields of an item to a member",
        "about:entry! item:number! fields:word[]! agency:agency!", once="about item fields agency", when_closed=True),
    act("guardian_agrees", "监护人同意提供|the guardian agrees that a child's items are handed on",
        "about:entry! guardian:parent|relative|agency! paper:digest!", items="document", when_closed=True),
    act("guardian_withdraws", "监护人撤回同意|the guardian takes the consent back", "about:entry!", when_closed=True),
    act("declare_tie", "申明利害关系|declare a tie", "who:officer! tie:kin|interest|other|earlier|clan|firm!",
        items="tie"),
    act("accept_tie", "知情并接受|accept a declared tie", "about:entry!", of_party=True,
        answers="declare_tie request_recusal"),
    act("request_recusal", "申请回避|ask for recusal", "who:officer! tie:kin|interest|other|earlier|clan|firm",
        items="tie"),
    act("decide_recusal", "决定是否回避|decide on recusal", "about:entry! result:barred|stays!", once="about",
        answers="declare_tie request_recusal"),
    act("extend", "延长期限|extend a time", "clock:clock! by:number! reason:text!"),
    act("suspend", "中止计时|stop a clock for a listed reason", "clock:clock! why:word!"),
    act("resume", "恢复计时|let a clock run on", "clock:clock!"),
    act("raise", "提级办理|raise to a higher tier", "tier:V|T|C|J! reason:text!"),
    act("lower", "下沉办理|lower to a lower tier", "tier:V|T|C|J! reason:text!"),
    act("report_police", "报告公安机关|report to the police", "agency:agency!", items="document"),
    act("signpost", "告知救济途径|tell the remedies", "remedy:word! body:text! last_day:day"),
    act("withdraw", "当事人撤回|a party withdraws", of_party=True, items="document"),
    act("sign_first_filed", "确认最先立案|sign which filing was first", "body:agency! filed:past! number:text!",
        answers="accept accept_application accept_order accept_arbitration file_suit"),
)  # fmt: skip
"""What any case may do: opening and ending, who takes part, time, ties, and what nothing may hold up."""

_MATTER: Final = (
    act("record_trigger", "记录触发事项|record what set it off", "trigger:contract|project|event! manifest:digest",
        items="document"),
    act("file_review", "报送审查意见|file a legal review",
        "manifest:digest! result:lawful|lawful_if_changed|unlawful|beyond_power!", items="document"),
    act("file_assessment", "报送风险评估|file a risk assessment", "manifest:digest! level:low|middle|high!",
        items="document"),
    act("waive_review", "不需审查|waive the review", "why:text!"),
    act("name_source", "登记线索来源|name the source",
        "source:patrol|visit|risk_push|call|letter|court|petition|walk_in!"),
    act("record_finding", "记录排查结果|record a finding", "finding:dispute|risk|nothing!", items="place document"),
    act("register", "登记|register the matter",
        "tags:word[]! kind:word division:division! line:A|B|on_the_line|unsettled! received:time",
        once="", items="place document"),
    act("add_party", "登记当事人|enter a party",
        "party:word! side:A|B! role:applicant|respondent|agent|guardian|third! of:word county:division minor:yes|no",
        once="party", items="party contact document"),
    act("check_duplicates", "查重|look for the same matter elsewhere", "hits:number!"),
    act("merge_offer", "提出并案|offer to merge", "other:record!", once="other"),
    act("merge_accept", "同意并案|merge into the other case", "about:entry!", once="about", answers="merge_offer"),
    act("set_apart", "确认另案|find that it is another matter", "about:entry!", once="about", answers="merge_offer"),
    act("accept", "受理|accept", "manifest:digest type:word", once="", freed_by="refuse apply_in", items="document"),
    act("refuse", "不予受理|refuse", "why:text!", once="", freed_by="accept", items="document"),
    act("classify", "认定纠纷类型|say what kind of quarrel it is",
        "kind:word! mediable:yes|no! title_disputed:yes|no excluded:none|status|title|ip|not_court"),
    act("name_owner", "确定承办单位|name the owner", "agency:agency!"),
    act("decline_task", "谢绝任务|decline a task, or to own the matter", "why:text! task:word"),
)  # fmt: skip

_MEDIATION: Final = (
    act("propose_mediators", "提名调解员|propose mediators", "who:officer[]!", once="", freed_by="replace_mediator"),
    act("choose_mediator", "选定或者接受调解员|accept a mediator", "about:entry!", of_party=True,
        answers="propose_mediators"),
    act("object_mediator", "不接受调解员|object to a mediator", "about:entry!", of_party=True,
        answers="propose_mediators"),
    act("sign_recusal_check", "签署回避核查|sign the recusal check", "about:entry! result:clear|tie!",
        answers="propose_mediators"),
    act("replace_mediator", "更换调解员|replace the mediators", "about:entry! why:text!", once="about",
        answers="propose_mediators"),
    act("agree_mediation", "同意调解|agree to mediation", of_party=True),
    act("refuse_mediation", "拒绝调解|refuse mediation", of_party=True, items="document"),
    act("add_fact", "登记事实|file a fact", "fact:word! agreed:both|A|B! source:word", items="fact document"),
    act("close_facts", "事实清单核定|close the list of facts", answers="add_fact"),
    act("add_claim", "登记诉求|enter a claim",
        "claim:word! party:word! kind:word sum:fen basis:word first_asked:past",
        once="claim", items="claim account document"),
    act("verify_claim", "核实诉求|verify a claim", "claim:word! sum:fen", items="document", answers="add_claim"),
    act("dispute_claim", "对诉求提出异议|dispute a claim", "claim:word! why:text!", items="document",
        answers="add_claim"),
    act("withdraw_claim", "撤回诉求|withdraw a claim", "claim:word!", of_party=True, answers="add_claim"),
    act("ask_peer", "请对方协助|ask the other side", "question:text! agency:agency", items="document"),
    act("answer_peer", "答复协助请求|answer the other side", "about:entry! result:word", items="document",
        answers="ask_peer"),
    act("hear", "听取意见|hear parties", "parties:word[]! form:place|online!", items="session document"),
    act("propose", "提出调解方案|propose a settlement", "proposal:digest!", items="document"),
    act("end_mediation", "终止调解|end the mediation", "result:failed|late|again!"),
    act("draft", "起草协议|draft the agreement",
        "agreement:digest! form:written|oral! payments_only:yes|no", items="agreement document"),
    act("add_obligation", "列明义务|enter an obligation",
        "agreement:digest! obligation:word! party:word! what:payment|act! due:day sum:fen",
        once="agreement obligation", answers="draft order_payment issue_order award judge"),
    act("sign", "签署协议|sign the agreement", "agreement:digest! as:party|mediator|body! seal:digest",
        once="agreement as on_behalf seal", items="document", answers="draft"),
    act("note_oral", "记录口头协议|record an oral agreement", "agreement:digest! parties:word[]!", items="session",
        answers="draft"),
)  # fmt: skip

_COURT: Final = (
    act("name_court", "选定法院|name the court", "court:agency!"),
    act("apply_confirmation", "申请司法确认|apply for confirmation", "court:agency!",
        once="court on_behalf", freed_by="decide_confirmation", of_party=True, items="document", answers="draft"),
    act("accept_application", "法院收案|the court takes the application", "number:text! filed:past!",
        once="number", items="document", answers="apply_confirmation"),
    act("ask_papers", "要求补正|ask for papers", "missing:text!", items="document", answers="apply_confirmation"),
    act("decide_confirmation", "裁定|decide on confirmation",
        "result:confirmed|refused! number:text! ground:word", once="", freed_by="apply_confirmation",
        items="decision document", answers="apply_confirmation"),
    act("waive_confirmation", "不申请司法确认|waive confirmation", of_party=True, answers="draft"),
)  # fmt: skip

_END: Final = (
    act("record_payment", "登记付款|record a payment", "obligation:word! sum:fen! day:past! proof:digest",
        items="document", answers="add_obligation"),
    act("record_performance", "确认已履行|record performance", "obligation:word! day:past!", once="obligation",
        freed_by="draft", items="document", answers="add_obligation"),
    act("remind", "督促履行|remind", "obligation:word!", answers="add_obligation"),
    act("report_breach", "报告未履行|report a breach", "obligation:word! day:past!", items="document",
        answers="add_obligation"),
    act("open_route", "转入其他途径|open the next route",
        "route:enforcement|suit|payment_order|arbitration|small_claim! body:agency", items="document"),
    act("record_visit", "回访|record a visit", "satisfied:yes|no! relapse:yes|no!"),
    act("archive", "归档|archive the file", "manifest:digest! whole:yes|no!"),
    act("set_retention", "确定保存期限|set the retention", "rule:clock! destroy_by:day!"),
    act("assess", "评估|assess the work", "grade:good|fair|poor!"),
)  # fmt: skip

_ROUTES: Final = (
    act("split", "分案处理|split claims off to a case of their own", "claims:word[]! other:record!", once="other",
        answers="add_claim"),
    act("ask_ledger", "调取工资台账|ask for the wage ledger", "agency:agency!", items="document"),
    act("name_payer", "认定支付主体|name who pays first",
        "payer:word! basis:employer|subcontractor|contractor|owner|lender!"),
    act("order_payment", "责令支付|order the payment",
        "agreement:digest! payer:word! sum:fen! due:day! number:text!", once="number", items="decision document"),
    act("advise_routes", "告知可选途径|show the routes that are open", "routes:word[]!"),
    act("choose_route", "选择途径|choose a route",
        "route:mediation|confirmation|payment_order|arbitration|small_claim|labour_order!", of_party=True,
        items="document"),
    act("check_routes", "核对受理条件|state what the routes ask",
        "certain:yes|no other_debt:yes|no preserved:yes|no servable:yes|no employed:yes|no in_time:yes|no "
        "civil:yes|no small:yes|no"),
    act("waive_rest", "放弃余额|waive what is left", "claim:word!", of_party=True, items="document",
        answers="add_claim"),
    act("consent_e_service", "同意电子送达|agree to electronic service", of_party=True, items="contact"),
    act("file_approval", "报送批准文件|file an approval",
        "number:text! signed_by:word! manifest:digest!", items="document"),
    act("ask_assets", "查询财产|ask about assets", "what:bank|house|vehicle!", items="document"),
    act("ask_advance", "申请先予执行|ask for advance payment", "sum:fen!", of_party=True, items="document"),
    act("apply_order", "申请支付令|apply for a payment order", "court:agency!",
        once="court on_behalf", freed_by="end_order", of_party=True, items="document"),
    act("accept_order", "受理支付令申请|the court takes the application for an order",
        "number:text! filed:past!", once="number", answers="apply_order"),
    act("issue_order", "发出支付令|issue the payment order", "agreement:digest! number:text! sum:fen! issued:past!",
        once="number", items="decision document", answers="apply_order"),
    act("serve", "送达|serve a paper",
        "what:order|claim|award|judgment|decision|letter! day:past! tried:yes|no form:paper|electronic party:word",
        items="document"),
    act("object", "提出书面异议|object in writing", "about:entry!", of_party=True, items="document",
        answers="issue_order"),
    act("end_order", "支付令终结|end the payment order", "result:paid|final|objected|lapsed|withdrawn! day:past!",
        answers="apply_order"),
    act("refuse_suit", "不同意转入诉讼|object to a suit", of_party=True, answers="end_order"),
    act("apply_arbitration", "申请仲裁|apply for arbitration", "court:agency!", once="court on_behalf", of_party=True,
        items="document"),
    act("accept_arbitration", "仲裁受理|the commission accepts", "number:text! filed:past!", once="number",
        answers="apply_arbitration"),
    act("answer", "答辩|answer the claim", of_party=True, items="document", answers="accept_arbitration"),
    act("pass_answer", "转送答辩|pass the answer on", answers="answer"),
    act("ask_annulment", "申请撤销裁决|ask to annul the award", "court:agency!", of_party=True, items="document",
        answers="award"),
    act("award", "裁决|award",
        "agreement:digest! number:text! sum:fen! served:past", once="number", items="decision document",
        answers="accept_arbitration"),
    act("file_suit", "立案|file the suit", "number:text! filed:past!", once="number", items="document"),
    act("ask_help", "请求协助送达、调查|ask a court to serve or inquire", "agency:agency! what:serve|inquire|enforce!",
        items="document"),
    act("answer_help", "协助完毕|answer the request for help", "about:entry! result:word!", items="document",
        answers="ask_help"),
    act("judge", "判决|judge",
        "agreement:digest! number:text! sum:fen! served:past", once="number", items="decision document",
        answers="file_suit"),
    act("apply_enforcement", "申请执行|apply for enforcement", "court:agency!", of_party=True, items="document"),
)  # fmt: skip

_DESK: Final = (
    act("take_papers", "收件|take papers in",
        "type:registration|change|move|transfer|inspection|papers|plates|correct|renew|licence_change|moved|reissue|"
        "cancel! papers:word[]! small:yes|no special:yes|no what:colour|other at:home|new_place|stands_here|other! "
        "applicant:own|peer permit:yes|no "
        "received:time repeat_of:record",
        items="document applicant vehicle licence"),
    act("tell_missing", "一次性告知补正|tell everything that is missing, at once", "missing:word[]!"),
    act("add_papers", "补正材料|hand in what was missing", "papers:word[]!", items="document"),
    act("ask_precheck", "发起预核查|ask for the check beforehand", "question:word!"),
    act("answer_precheck", "答复预核查|answer the check",
        "about:entry! result:clear|blocked! blocks:open_violation|open_accident|sealed_or_seized|scrap_due|customs|"
        "licence_withheld|not_now|mortgaged|pledged[]", once="about", answers="ask_precheck"),
    act("join_application", "共同申请|join the application", "as:mortgagee|pledgee|owner!", items="document"),
    act("file_inspection", "提交查验记录|file the inspection",
        "manifest:digest! passed:yes|no!", items="inspection document"),
    act("waive_inspection", "免予查验|waive the inspection", "why:text!"),
    act("forward", "转递登记地|forward to the home office", "agency:agency!", items="document"),
    act("review", "复核|review", "result:passed|wrong!"),
    act("issue", "核发|issue", "paper_kind:word! number:digest! temporary:yes|no"),
    act("send_back", "退回|send back", "why:text!"),
    act("move_out", "转出档案|send the file out", "manifest:digest! window:day", items="document"),
    act("apply_in", "申请转入|apply at the new place", "papers:word[]!", items="document"),
    act("hand_out", "发放|hand the paper over", "paper_kind:word!", answers="issue"),
    act("take_old", "收回旧证|take the old paper back", "paper_kind:word! lost:yes|no"),
)  # fmt: skip

_LETTER: Final = (
    act("fill_letter", "拟函|draft the letter",
        "kind:check|interrogate|interview|identify|serve|evidence|remote|notice|lead! "
        "case_kind:criminal|administrative! number:text! held_at:time serve_by:day visit:day remote_area:yes|no "
        "minor:yes|no urgent:yes|no",
        items="letter person outline"),
    act("attach_paper", "附手续|attach a paper", "paper_kind:word! manifest:digest!", items="document"),
    act("sign_letter", "领导签发|sign the letter", answers="fill_letter"),
    act("recall_letter", "撤回协作函|recall the letter", "why:text!", answers="fill_letter"),
    act("receive_letter", "收函|receive the letter", "received:time"),
    act("accept_letter", "接受协作|accept the letter", once="", freed_by="return_letter", answers="receive_letter"),
    act("return_letter", "退回补正|return the letter, naming every gap", "missing:word[]!", answers="receive_letter"),
    act("redirect", "告知主管单位|tell which office it is for", "agency:agency", answers="receive_letter"),
    act("assign_unit", "交办|assign the unit", "unit:agency! who:officer[]!"),
    act("report_progress", "反馈进展|report progress", "task:word"),
    act("check_identity", "核实身份|check the identity", "result:match|differs|unknown!"),
    act("file_record", "提交笔录|file a record",
        "manifest:digest! pages:number! signed:yes|refused! minor:yes|no adult_present:yes|no",
        items="record document"),
    act("file_recording", "提交录音录像|file the recording",
        "manifest:digest! whole:yes|no!", items="recording document"),
    act("send_original", "寄送原件|send the original", "what:word!"),
    act("file_evidence", "提交证据|file evidence",
        "manifest:digest! integrity:digest sealed:yes|no!", items="evidence document"),
    act("check_integrity", "核对完整性校验值|check the integrity value", "about:entry! integrity:digest!",
        answers="file_evidence"),
    act("confirm_paper", "确认协作手续|the case unit confirms the request", "manifest:digest", items="document"),
    act("record_service", "记录送达|record the service", "result:served|tried!", items="document"),
    act("file_result", "反馈结果|file the result",
        "result:word! beyond:yes|no! identity:match|differs|unknown age:adult|minor record:none|some",
        items="record document person"),
    act("ask_supplement", "请求补充|ask for one more thing", "question:text!", answers="file_result report_impossible"),
    act("report_impossible", "报告无法办理|report that it cannot be done", "tried:text!"),
    act("come_over", "办案单位自行办理|the requesting officers took over", "why:text"),
    act("confirm_result", "确认结果|confirm the result", answers="file_result report_impossible"),
    act("record_use", "记录用途|note what it was used for", "use:word!", answers="file_result report_impossible"),
    act("allow_telling", "可以告知本人|say that the person may be told", once="", when_closed=True),
    act("found_lead", "发现线索|file a lead outside the matter", "offence:word!", items="lead"),
    act("hand_lead", "移交线索|hand the lead over", "agency:agency! measure:taken|none!", items="lead document",
        answers="found_lead"),
    act("accept_lead", "接受线索|take the lead", "about:entry!", once="about", answers="hand_lead"),
    act("decline_lead", "不接受线索|decline the lead", "about:entry! why:text!", once="about", answers="hand_lead"),
    act("tell_reporter", "告知报案人|tell who reported it", answers="found_lead"),
    act("raise_dispute", "提出管辖争议|raise a dispute", "what:text!"),
    act("propose_settlement", "提出协商意见|propose a settlement of the dispute", "manifest:digest!", items="document"),
    act("accept_settlement", "同意协商意见|accept the proposal", "about:entry!", answers="propose_settlement"),
    act("file_superior_decision", "报送上级决定|file the superior's decision",
        "manifest:digest! decides:word", items="document"),
    act("grant_lookup", "批准随案核查|grant look-ups",
        "purposes:purpose[]! counties:division[]! days:number! leader:officer! letter:digest!"),
    act("end_lookup", "终止随案核查|end the look-ups", "about:entry!", once="about", answers="grant_lookup"),
)  # fmt: skip

_MEETING: Final = (
    act("call", "召集|call the meeting", "day:day! form:place|online! seq:number"),
    act("propose_item", "提出议题|propose an item", "item:word!", once="item", items="agenda document"),
    act("withdraw_item", "撤回议题|withdraw an item", "item:word!", answers="propose_item"),
    act("object_item", "对议题提出异议|object to an item", "item:word! why:text!", answers="propose_item"),
    act("settle_item", "异议已处理|settle an objection", "about:entry!", once="about", answers="object_item"),
    act("record_presence", "登记到会|record who is present", "present:agency[]!"),
    act("record_item", "形成议定事项|record a resolution", "task:word! owner:agency! due:day tag:word", once="task",
        items="resolution"),
    act("adjourn", "休会|adjourn", "day:day!"),
    act("issue_minutes", "印发纪要|issue the minutes", "minutes:digest!", items="document"),
    act("sign_minutes", "签认纪要|sign the minutes", "minutes:digest!", answers="issue_minutes"),
    act("object_minutes", "对纪要提出异议|object to the minutes", "minutes:digest! why:text!", answers="issue_minutes"),
    act("accept_task", "认领任务|accept a task", "task:word!", answers="record_item"),
    act("report_result", "反馈办理结果|report the result of a task", "task:word! manifest:digest!", items="document",
        answers="record_item"),
    act("ask_more_time", "申请延期|ask for more time", "task:word! due:day!", answers="record_item"),
    act("grant_time", "同意延期|give more time", "about:entry! task:word! due:day!", once="about",
        answers="ask_more_time"),
    act("verify", "核查|verify a task", "task:word!", items="document", answers="report_result"),
    act("return_task", "退回整改|return a task", "task:word! why:text!", answers="report_result"),
    act("carry_over", "结转|carry a task over", "task:word!", answers="record_item"),
    act("consent_drop", "同意撤销事项|agree that a task is dropped", "task:word!", answers="record_item"),
    act("drop_task", "撤销事项|drop a task", "task:word!", answers="record_item"),
    act("reopen", "重启|reopen a task", "task:word! why:text!", answers="record_item"),
    act("comment", "反馈意见|comment on what an audit found", "result:agrees|disputes! why:text", items="document",
        answers="add_fact"),
)  # fmt: skip

_GROUNDS: Final = "no_dwelling|not_true|proof_missing|order_conflict|violation_pending|term_nearly_over"
_CORRECTIONS: Final = (
    act("file_application", "登记申请|file the person's application", "starts:day! custody:yes|no received:time",
        items="corr_person corr_terms corr_reason corr_route document"),
    act("office_opinion", "司法所意见|give the justice office's opinion", "opinion:agree|disagree!",
        answers="file_application"),
    act("person_withdraws", "本人撤回申请|the person takes the application back", "day:day!",
        answers="file_application"),
    act("send_consult", "征求意见|ask the receiving county", "number:text! day:day!", items="document",
        answers="file_application"),
    act("receive", "签收|say when something arrived", "what:consult|file|custody! received:time!"),
    act("visit", "实地核实|visit the dwelling", "day:day!", answers="send_consult"),
    act("file_check", "报送核实情况|file what was found", items="corr_check", answers="send_consult"),
    act("agree", "同意接收|agree to receive the person", "number:text!", once="", freed_by="disagree send_consult",
        answers="send_consult"),
    act("disagree", "不同意接收|do not agree to receive the person", f"number:text! why:{_GROUNDS}!", once="",
        freed_by="agree send_consult", answers="send_consult"),
    act("ask_superior", "报请上级协调|ask the body above", "number:text! day:day!",
        answers="agree disagree choose_form"),
    act("decide_move", "准予变更|grant the move", "number:text! day:day!", once="", answers="agree disagree"),
    act("refuse_move", "不予变更|refuse the move",
        f"number:text! day:day! why:{_GROUNDS}|destination_disagrees|withdrawn!", once="", answers="file_application"),
    act("recall_move", "撤销变更|recall the move", "number:text! day:day!", answers="decide_move"),
    act("tell_person", "告知本人|tell the person in writing",
        "what:granted|refused|again|ended! day:day! report_by:day",
        answers="decide_move refuse_move grant_short grant_leave grant_recurring refuse_leave revoke_permit "
        "order_back"),
    act("send_file", "移交档案|send the file", "manifest:digest! number:text! day:day!",
        items="corr_terms corr_file document", answers="decide_move"),
    act("copy_to", "抄送|send a copy", "to:decider|procuratorate|police! number:text! day:day!", items="corr_copy",
        answers="decide_move"),
    act("hand_custody", "移交收押执行材料|hand the papers of custody over", "number:text! day:day!", items="corr_file",
        answers="decide_move"),
    act("answer_custody", "答复收押执行交接|answer the hand-over of custody", "result:taken|returned! day:day!",
        answers="hand_custody"),
    act("receipt_file", "送回回执|send the receipt of the file back", "manifest:digest! number:text! day:day!",
        answers="send_file"),
    act("register_person", "报到登记|register the person who reports in", "day:day!", answers="decide_move"),
    act("announce", "入矫宣告|announce the corrections", "day:day!", answers="register_person"),
    act("no_show", "未按时报到|the person did not report in", "day:day!", answers="decide_move"),
    act("search_step", "组织查找|search for the person", "how:phone|visit|relatives|work!"),
    act("ask_police_help", "请公安机关协助查找|ask the police to help search", "number:text! day:day!"),
    act("tell_procuratorate", "通报人民检察院|tell the procuratorate", "number:text! day:day!"),
    act("found", "已找到|the person was found", "day:day! report_by:day"),
    act("file_violation", "报送违规处理|file the violation", "number:text! day:day!"),
    act("choose_form", "确定外出种类和天数|say which leave it is, and how long",
        "form:once|recurring! days:number! taken:number!", answers="file_application"),
    act("grant_short", "司法所批准外出|the justice office grants the leave", "number:text! begins:day! until:day!",
        answers="choose_form"),
    act("grant_leave", "批准外出|grant the leave", "number:text! begins:day! until:day!", answers="choose_form"),
    act("grant_recurring", "批准经常性活动|grant recurring crossings", "number:text! begins:day! until:day!",
        answers="choose_form"),
    act("refuse_leave", "不予批准外出|refuse the leave",
        "number:text! day:day! why:not_listed|not_true|proof_missing|order_conflict|violation_pending!",
        answers="choose_form"),
    act("depart", "报告离开|report the departure", "day:day!", answers="grant_short grant_leave"),
    act("arrive", "报告到达|report the arrival", "day:day!", answers="depart"),
    act("ask_longer", "申请延长外出|ask for a longer leave", "days:number! taken:number!", answers="depart"),
    act("ask_assist", "请外出地协助|ask the place of the stay to assist", "number:text! day:day! division:division!",
        answers="grant_short grant_leave grant_recurring"),
    act("order_back", "责令返回|order the person back", "number:text! day:day!", answers="grant_short grant_leave"),
    act("report_back", "销假|report the return", "day:day!", answers="grant_short grant_leave"),
    act("issue_permit", "发放外出凭证|issue the permit of recurring crossings", "number:text! day:day!",
        answers="grant_recurring"),
    act("issue_token", "发放查验码|issue the token that its bearer shows",
        "token:digest! counties:division[]! weekdays:mon|tue|wed|thu|fri|sat|sun[]",
        answers="grant_short grant_leave issue_permit"),
    act("revoke_permit", "撤销外出凭证|revoke the permit", "number:text! day:day!", answers="issue_permit"),
    act("renew_permit", "续批，另立新案|renew it, by a new application of its own", "other:record!", once="other",
        answers="issue_permit"),
)  # fmt: skip
"""Heads say no kind of sentence, no reason and no name (社区矫正法 63): dates, numbers and words of closed lists."""

_TABLES: Final = (_CASE, _MATTER, _MEDIATION, _COURT, _END, _ROUTES, _DESK, _LETTER, _MEETING, _CORRECTIONS)
ACTS: Final[Mapping[str, Act]] = MappingProxyType({each.name: each for table in _TABLES for each in table})

EVERYWHERE: Final = frozenset(each.name for each in _CASE) - {"open"}
"""What every stage allows: nothing here may hold up a remedy that law gives (人民调解法第三条)."""
