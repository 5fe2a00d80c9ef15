"""Offers: the acts that may be done in a joint case now, what is missing for the rest, and every reason in words.

Rules kept: an offer is judged by the same functions as an entry (`joint_case`), with the fields left open: what is
offered may still fail by what is written into it, what is not offered would be without effect.
Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from federation.domain.acts import ACTS, EVERYWHERE
from federation.domain.joint import NoEffect
from federation.domain.joint_case import (
    OWNER,
    answers_nothing,
    cannot_close,
    cannot_move,
    may_decide_on,
    not_for,
    not_for_task,
    recused,
    repeated,
    unmet,
)
from federation.domain.joint_state import TASK_ACTS, Case
from federation.domain.procedure import END, TIERS
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId


class Offer(Struct, frozen=True, kw_only=True):
    """An act, for `move` and `close` with the stage or the end; `refused` is None when it may be done now."""

    act: str
    to: str = ""
    refused: NoEffect | None = None

    @property
    def open(self) -> bool:
        return self.refused is None


def offered(case: Case, agency: AgencyId, officer: str, *, now: datetime) -> tuple[Offer, ...]:
    """Everything that the present stage knows, in its order: the stage's own acts, where the case may go, the rest."""
    case = replace(case, moment=now)
    if not case.stage:
        return ()
    stage = case.procedure.stages[case.stage]
    own = [act for act in stage.acts if act not in EVERYWHERE]
    rest = [act for act in ACTS if act in EVERYWHERE and act not in ("move", "close") and not ACTS[act].by_node]
    found = [Offer(act=act, refused=_refused(case, agency, officer, act)) for act in own]
    for act, to, refused in _ways(case):
        found.append(Offer(act=act, to=to, refused=_refused(case, agency, officer, act) or refused))
    return (*found, *(Offer(act=act, refused=_refused(case, agency, officer, act)) for act in rest))


def _ways(case: Case) -> Iterator[tuple[str, str, NoEffect | None]]:
    for to in case.procedure.stages[case.stage].next:
        if to != END:
            yield "move", to, cannot_move(case, to, reason=True)
    for end in case.procedure.ends_of(case.stage):
        yield "close", end.id, cannot_close(case, end.id, reason=True)


def task_acts(case: Case, name: str, agency: AgencyId, *, officer: str) -> tuple[str, ...]:
    """The acts about one task that an officer of an agency may do now."""
    who, here = f"{agency}#{officer}", case.procedure.stages[case.stage].acts
    has_asked = case.tasks[name].asked is not None
    return tuple(
        act
        for act in TASK_ACTS
        if act in here
        and (has_asked or act != "grant_time")
        and _refused(case, agency, officer, act) is None
        and not_for_task(case, name, act, agency=agency, officer=who) is None
    )


def _refused(case: Case, agency: AgencyId, officer: str, act: str) -> NoEffect | None:
    if case.closed and not ACTS[act].when_closed:
        return NoEffect(reason="CASE_CLOSED")
    side = "A" if agency.node == case.home else "B"
    has_party = any(head.fields["side"] == side for head in case.parties.values())
    if ACTS[act].of_party and not has_party:
        return NoEffect(reason="PARTY_UNKNOWN")
    return (
        not_for(case, agency, act, for_party=has_party)
        or _without_object(case, agency, f"{agency}#{officer}", act)
        or recused(case, act, f"{agency}#{officer}")
        or (repeated(case, act, {}) if ACTS[act].once == () else None)
        or unmet(case, case.procedure.gates.get(act, ()))
    )


def _without_object(case: Case, agency: AgencyId, officer: str, act: str) -> NoEffect | None:
    """None when there is something that an act could be about, else that there is nothing."""
    reason = _unable(case, agency, officer, act=act)
    if reason:
        return NoEffect(reason=reason)
    asked = (found for each in ACTS[act].answers for found in case.done.get(each, ()))
    if ACTS[act].once == ("about",) and all(repeated(case, act, {"about": found.entry.name}) for found in asked):
        return NoEffect(reason="NOTHING_TO_ANSWER")
    return answers_nothing(case, act)


def _unable(case: Case, agency: AgencyId, officer: str, *, act: str) -> str:
    """The reason why an act has nothing of this office's to be about; empty where it has, or is about no such thing."""
    running = [clock for clock in case.clocks.values() if clock.runs]
    leads, office = agency == case.lead, str(agency)
    has_task = any(task.owner == office for task in case.tasks.values())
    handed = {found.head.fields["agency"] for found in case.done.get("hand_lead", ())}
    rules = {
        "accept_tie": (any(tie.stands and tie.waivable for tie in case.ties), "NOTHING_TO_ANSWER"),
        "decide_recusal": (
            not case.ties or any(may_decide_on(case, tie.who, agency=agency, officer=officer) for tie in case.ties),
            "NOT_THEIRS_TO_DECIDE",
        ),
        "resume": (any(clock.resting for clock in running), "CLOCK_NOT_RESTING"),
        "suspend": (any(clock.may_rest for clock in running), "CLOCK_DOES_NOT_REST"),
        "extend": (any(clock.may_grow for clock in running), "EXTENSION_NOT_ALLOWED"),
        "raise": (case.tier != TIERS[-1], "TIER_NOT_SO"),
        "lower": (case.tier != TIERS[0], "TIER_NOT_SO"),
        "remove": (leads and len(case.members) > 1, "LEAD_ONLY"),
        "hand_over": (leads and len(case.members) > 1, "LEAD_ONLY"),
        "leave": (not leads, "LEAD_STAYS"),
        **dict.fromkeys(("join", "decline"), (agency in case.invited, "NOT_INVITED")),
        "name_owner": (all(OWNER not in roles for roles in case.members.values()), "DONE_ALREADY"),
        "decline_task": (has_task or OWNER in case.roles(agency), "NOT_THEIR_TASK"),
        **dict.fromkeys(("accept_task", "report_result", "ask_more_time"), (has_task, "NOT_THEIR_TASK")),
        **dict.fromkeys(("accept_lead", "decline_lead"), (not handed or office in handed, "NOT_HANDED_TO_THEM")),
    }
    able, reason = rules.get(act, (True, ""))
    return "" if able else reason


REASONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "NOT_OPENED": ("尚未开案", "the case has not been opened"),
        "OPENED_ALREADY": ("已开案", "the case was opened before"),
        "CODE_ELSEWHERE": ("一案一码是别省的编号", "its code is one of another province"),
        "CASE_CLOSED": ("案件已办结", "the case is closed"),
        "DATED_BEFORE": ("记载的时间早于所依据的记录", "it is dated before what it stands on"),
        "ACT_UNKNOWN": ("没有这一办理动作", "there is no such act"),
        "ACT_NOT_HERE": ("本环节不办理此事项", "it is no act of this stage"),
        "ACT_FORM": ("内容不符合要求", "a field is missing, or is not of its form"),
        "CITES_NOTHING": ("引用的记录不存在或者未生效", "what it cites is not there, or had no effect"),
        "LEAD_NODE_ONLY": ("只能由牵头方节点自动记录", "only the node of the lead agency writes it"),
        "OFFICER_MISSING": ("须由经办人办理", "it wants an officer"),
        "NOT_A_MEMBER": ("该单位未参与本案", "the agency takes no part in the case"),
        "NOT_INVITED": ("未受邀请", "the agency was not invited"),
        "PARTY_UNKNOWN": ("没有这一当事人", "there is no such party"),
        "PARTY_OF_OTHER_SIDE": ("应由当事人一方的单位代为办理", "an agency of the party's own side acts for it"),
        "ROLE_NOT_HERE": ("该单位的角色在本环节不办理此事项", "the agency's role does not do it in this stage"),
        "ROLE_NOT_THEIRS": ("该类单位不能担任此角色", "agencies of this kind do not take that role"),
        "ROLE_OF_OTHER_SIDE": ("该角色属于另一方", "that role is one of the other side"),
        "PROVINCE_TOO_MANY": ("本程序不得再有其他省的单位参与", "the procedure takes no office of a further province"),
        "NOT_THEIRS_TO_INVITE": ("应由牵头单位或者同省单位邀请", "the lead invites, or a member of the same province"),
        "OTHER_PROVINCES_ENTRY": (
            "只能由写入该记录的省办理",
            "only an office of the province that wrote that entry does it",
        ),
        "TIES_FULL": ("申明或者申请过多", "too many ties were declared or alleged"),
        "OFFICER_RECUSED": ("经办人已决定回避", "the officer was recused"),
        "RECUSAL_UNDECIDED": ("回避申请尚未决定，暂停办理", "work rests until a tie is decided"),
        "NOTHING_TO_ANSWER": ("没有可以答复或者办理的事项", "there is nothing that it could answer"),
        "NOT_HANDED_TO_THEM": ("线索不是移交给该单位的", "the lead was handed to another office"),
        "RECORD_SEALED": ("未成年人犯罪记录封存，不得答复", "records of minors are sealed: nothing is said of them"),
        "NOT_THEIRS_TO_DECIDE": (
            "应由本单位负责人或者牵头单位决定，本人不得决定",
            "the head of the office decides, nobody on their own",
        ),
        "DONE_ALREADY": ("已办理，此后的同类记录不生效", "it was done before; only the first counts"),
        "CONDITION_MISSING": ("条件尚未具备", "conditions are missing"),
        "STAGE_LEFT": ("案件已不在该环节", "the case has left that stage"),
        "NOT_NEXT": ("不能从本环节转入该环节", "that stage does not follow this one"),
        "NO_ENTRY_STAGE": ("不能从该环节开案", "no case is opened in that stage"),
        "REASON_MISSING": ("须说明理由", "it wants a reason"),
        "FLOOR_RUNS": ("法定最短期间未满", "a least time that law gives is not over"),
        "OUTCOME_NOT_HERE": ("本环节没有这一办理结果", "the case cannot end so from this stage"),
        "LOOKUP_PURPOSE": ("核查用途不在本程序所列之内", "a purpose that the procedure does not name for look-ups"),
        "LOOKUP_COUNTY": ("核查范围须为参与单位所在的县", "a county in which no member of the case sits"),
        "LOOKUP_TERM": ("核查期限须为一日至九十日", "a term of look-ups is 1 to 90 days"),
        "LOOKUP_LEADER": ("须由负责人本人批准", "the leader who answers for the look-ups grants them"),
        "LOOKUP_LETTER": ("本案没有这一份协作函", "the letter is none of the case"),
        "LOOKUP_DISPUTED": ("管辖争议期间不得核查", "no look-ups while jurisdiction is disputed"),
        "LEAD_ONLY": ("只能由牵头单位办理", "only the lead agency does it"),
        "LEAD_STAYS": ("牵头单位须先移交牵头", "the lead hands the lead over first"),
        "TIER_NOT_SO": ("层级不变", "that is no higher or lower tier"),
        "SUM_ABOVE_CLAIM": ("核实金额高于诉求金额，须写明理由", "a sum above the claimed one wants a reason"),
        "TASK_UNKNOWN": ("没有这一任务", "there is no such task"),
        "NOT_THEIR_TASK": ("不是该单位的任务", "it is another agency's task"),
        "CONSENT_MISSING": ("尚未经各方同意", "not every side has agreed to it"),
        "MEDIATOR_OTHER": ("须由指派的调解员本人签署", "a mediator who was named signs it"),
        "NOT_PAID": ("应付款项尚未付清", "what was to be paid is not all paid"),
        "NOT_REPORTED": ("尚未反馈办理结果", "no result was reported"),
        "VERIFIES_OWN_WORK": ("承办人和承办单位不得自行核查", "who did it does not verify it"),
        "CLOCK_NOT_RUNNING": ("该期限未在计算", "that clock does not run"),
        "CLOCK_NOT_OVER": ("期限未满，或者日期不符", "the time is not over, or another one is meant"),
        "CLOCK_DOES_NOT_REST": ("该事由不中止计时", "that is no reason for which this clock rests"),
        "CLOCK_NOT_RESTING": ("计时未中止", "the clock does not rest"),
        "EXTENSION_NOT_ALLOWED": ("该期限不得延长", "that time cannot be extended"),
        "EXTENSION_USED": ("该期限已延长过", "that time was extended before"),
        "EXTENSION_TOO_LONG": ("延长超过上限", "that is longer than an extension may be"),
        "EXTENSION_TOO_LATE": ("期限届满后不得延长", "an extension is asked for before the time is over"),
        "CLOCK_RULE_OTHER": ("期限规则不符", "another rule of the clock table is meant"),
        "height": ("记录的层次不实", "its place among the entries is false"),
        "old_parents": ("引用了旧记录", "it stands on older entries than its node held"),
        "forked": ("同一节点同一编号有两份记录", "its node wrote two entries of one number"),
        "behind": ("同一节点的前一记录不计", "an entry of its node before it does not count"),
    }
)
"""Every reason for which an entry is without effect, in Chinese and English."""
