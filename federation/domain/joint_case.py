"""A joint case: the fold of its entries under the procedure that it was opened under.

Rules kept, each at its number in `advance`: an entry that the state before it does not allow changes nothing and stays
visible with its reason; a case goes from stage to stage only where the conditions of both hold; time enters only
through what the node of the lead agency writes. Pure: the same entries in the same order give every
member the same case.
Sources: the procedure and the clocks of the agreement that the case pins; DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import reduce
from types import MappingProxyType
from typing import Final

from federation.domain.acts import ACTS, EVERYWHERE, FieldValue
from federation.domain.joint import Entry, Head, NoEffect, office_of
from federation.domain.joint_clocks import CLOCK_ACTS, mark_clock, run_clocks
from federation.domain.joint_mandates import GRANT, cannot_grant
from federation.domain.joint_state import TASK_ACTS, Case, Done, Grown, judged_ties, officer_of, stepped, with_things
from federation.domain.joint_trace import home_of
from federation.domain.procedure import TIERS, Rules
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, parse_agency_id

LEAD: Final = "lead"
OWNER: Final = "owner"
PARTY: Final = "party"
CLAIM: Final = "claim"
OBLIGATION: Final = "obligation"
CLOCKS_DIFFER: Final = timedelta(hours=1)
"""The most by which an agreement may let two clocks differ."""
MAX_TIES: Final = 100
"""The most ties of a case: each of them is looked at before every entry."""
_OWN_TASK: Final = frozenset({"accept_task", "decline_task", "report_progress", "report_result", "ask_more_time"})
TIE_ACTS: Final = frozenset({"declare_tie", "accept_tie", "request_recusal", "decide_recusal"})


def fold(rules: Rules, order: Iterable[Entry]) -> Case:
    """The case that entries make in their order; none of them can stop it."""
    return reduce(step, order, Case(rules=rules))


def step(case: Case, entry: Entry, barred: str | None = None) -> Case:
    """The case after one more entry, without effect where the record says so (`barred`) or the state before it."""
    return stepped(case, entry, advance(case, entry) if barred is None else NoEffect(reason=barred))


def advance(case: Case, entry: Entry) -> Case | NoEffect:
    """Takes one entry: the case after it, or why it is without effect.

    1. A case is opened once, and nothing but what is allowed then has effect after it was closed; nothing happened
       before what it stands on.
    2. The act is one of the stage, or one that every stage allows.
    3. Its fields and classes of items are those of the act; what it cites had effect.
    4. Its author takes part, in a role that may do it; what time does is written by the lead's node alone.
    5. No officer with an upheld tie acts, and nobody where a tie stops the work.
    6. What may be done only once was not done.
    7. The gate of the act is open.
    8. The rule of the act itself: whom it invites, which clock it stops, where the case goes.
    9. It takes effect, and clocks start and stop.
    """
    case = replace(case, moment=entry.head.at)
    return (
        (_not_now(case, entry.head) or _dated_before(case, entry.head))  # 1
        or _not_here(case, entry.head)  # 2
        or _not_formed(case, entry.head)  # 3
        or _not_theirs(case, entry)  # 4
        or recused(case, entry.head.act, officer_of(entry.head))  # 5
        or repeated(case, entry.head.act, entry.head.fields)  # 6
        or unmet(case, case.procedure.gates.get(entry.head.act, ()))  # 7
        or _ruled_out(case, entry)  # 8
        or _taken(case, entry)  # 9
    )


def _not_now(case: Case, head: Head) -> NoEffect | None:
    if (head.act == "open") != (not case.stage):
        return NoEffect(reason="NOT_OPENED" if not case.stage else "OPENED_ALREADY")
    closed = case.outcome is not None and head.act in ACTS and not ACTS[head.act].when_closed
    return NoEffect(reason="CASE_CLOSED") if closed else None


def _dated_before(case: Case, head: Head) -> NoEffect | None:
    """Times move clocks and end what is kept: no author writes them back beyond what two clocks may differ."""
    latest = head.at + CLOCKS_DIFFER
    before = any(name in case.named and case.named[name].head.at > latest for name in head.parents)
    return NoEffect(reason="DATED_BEFORE") if before else None


def _not_here(case: Case, head: Head) -> NoEffect | None:
    if head.act not in ACTS:
        return NoEffect(reason="ACT_UNKNOWN")
    if head.act == "open" or head.act in EVERYWHERE or head.act in case.procedure.stages[case.stage].acts:
        return None
    return NoEffect(reason="ACT_NOT_HERE")


def _not_formed(case: Case, head: Head) -> NoEffect | None:
    wrong = ACTS[head.act].fault(head.fields, head.items)
    if wrong is not None:
        return NoEffect(reason="ACT_FORM", missing=(wrong,))
    about = head.fields.get("about")
    if about is None:
        return None
    cited, answers = case.named.get(str(about)), ACTS[head.act].answers
    return NoEffect(reason="CITES_NOTHING") if cited is None or (answers and cited.head.act not in answers) else None


def _not_theirs(case: Case, entry: Entry) -> NoEffect | None:
    head, act = entry.head, ACTS[entry.head.act]
    if act.by_node:
        is_lead = case.lead is not None and entry.author == case.lead.node and head.officer is None
        return None if is_lead else NoEffect(reason="LEAD_NODE_ONLY")
    if head.officer is None:
        return NoEffect(reason="OFFICER_MISSING")
    if act.name == "open":
        return None
    if "on_behalf" in head.fields:
        party = _find_party(case, head.fields["on_behalf"])
        if party is None or (party.fields["side"] == "A") != (head.agency.node == case.home):
            return NoEffect(reason="PARTY_UNKNOWN" if party is None else "PARTY_OF_OTHER_SIDE")
    return not_for(case, head.agency, act.name, for_party="on_behalf" in head.fields)


def not_for(case: Case, agency: AgencyId, act: str, *, for_party: bool) -> NoEffect | None:
    """None when an agency may do an act in this stage by its roles, else the reason."""
    if agency not in case.members:
        may_answer = act in ("join", "decline") and agency in case.invited
        return None if may_answer else NoEffect(reason="NOT_A_MEMBER")
    roles, stage = case.roles(agency), case.procedure.stages[case.stage]
    if act in ("move", "close"):  # no party moves a case
        may = roles & {*stage.by.get(act, stage.who), LEAD, OWNER}
    elif act in stage.acts:
        may = (roles | ({PARTY} if for_party else set())) & {*stage.by.get(act, stage.who)}
    else:
        may = roles
    return None if may else NoEffect(reason="ROLE_NOT_HERE")


def recused(case: Case, act: str, officer: str) -> NoEffect | None:
    """None when no tie keeps an officer (`agency#officer`) from an act, else the reason."""
    if any(tie.barred and tie.who == officer for tie in case.ties):
        return NoEffect(reason="OFFICER_RECUSED")
    if act not in EVERYWHERE and any(tie.suspends for tie in case.ties):
        return NoEffect(reason="RECUSAL_UNDECIDED")
    return None


def repeated(case: Case, name: str, fields: Mapping[str, FieldValue]) -> NoEffect | None:
    """None when an act with these fields may be done, else that it was done, and may be only once."""
    before = case.only.get(_same(name, fields))
    freed = max((found.at for found in case.newest(*ACTS[name].freed_by)), default=-1)
    return NoEffect(reason="DONE_ALREADY") if before is not None and before.at > freed else None


def _same(name: str, fields: Mapping[str, FieldValue]) -> tuple[object, ...]:
    """The act and the fields that make another one of it the same."""
    return (name, *(fields.get(each) for each in ACTS[name].once or ()))


def unmet(case: Case, names: Iterable[str]) -> NoEffect | None:
    """None when all of these conditions hold, else those that do not."""
    missing = case.missing(names)
    return NoEffect(reason="CONDITION_MISSING", missing=missing) if missing else None


def _ruled_out(case: Case, entry: Entry) -> NoEffect | None:
    rule = _RULES.get(entry.head.act)
    refused = None if rule is None else rule(case, entry)
    return refused or answers_nothing(case, entry.head.act) or _names_nothing(case, entry.head)


def answers_nothing(case: Case, name: str) -> NoEffect | None:
    """None when there is something that an act answers, or when it stands by itself, else the reason."""
    answers = ACTS[name].answers
    there = not answers or any(each in case.done for each in answers)
    return None if there else NoEffect(reason="NOTHING_TO_ANSWER")


def _names_nothing(case: Case, head: Head) -> NoEffect | None:
    """None when the party of an act was entered, and the claim or obligation of an answer by what it answers."""
    for said in ("party", "payer") if head.act != "add_party" else ():
        if said in head.fields and _find_party(case, head.fields[said]) is None:
            return NoEffect(reason="PARTY_UNKNOWN", missing=(said,))
    for thing in (CLAIM, OBLIGATION):
        makers = [each for each in ACTS[head.act].answers if thing in ACTS[each].known]
        if thing not in head.fields or not makers:
            continue
        named = head.fields[thing]
        if thing == CLAIM:
            there = not case.claims.get(named, frozenset()).isdisjoint(makers)
        else:
            there = any(each.head.fields.get(thing) == named for make in makers for each in case.done.get(make, ()))
        if not there:
            return NoEffect(reason="CITES_NOTHING", missing=(thing,))
    return None


def _cannot_open(case: Case, entry: Entry) -> NoEffect | None:
    head, procedure = entry.head, case.procedure
    stage = procedure.stages.get(str(head.fields.get("stage", procedure.stage[0].id)))
    role = procedure.roles.get(str(head.fields["role"]))
    if head.fields["procedure"] != procedure.name or stage is None or not stage.entry:
        return NoEffect(reason="NO_ENTRY_STAGE")
    if role is None or role.side == "B" or head.agency.kind not in role.kinds:
        return NoEffect(reason="ROLE_NOT_THEIRS")
    if home_of(str(head.fields.get("code", ""))) not in (None, head.agency.node):
        return NoEffect(reason="CODE_ELSEWHERE")  # a code leads its citizen to the province that gave it
    opened = _taken(case, entry)
    return unmet(opened, stage.enter)


def cannot_move(case: Case, to: str, *, reason: bool) -> NoEffect | None:
    """None when a case can go on to a stage now, else the reason. A return needs one of its own and skips `leave`."""
    stage = case.procedure.stages[case.stage]
    if to not in stage.next or to not in case.procedure.stages:
        return NoEffect(reason="NOT_NEXT")
    enter = case.procedure.stages[to].enter
    if case.procedure.is_return(case.stage, to):
        return unmet(case, enter) or (None if reason else NoEffect(reason="REASON_MISSING"))
    return unmet(case, dict.fromkeys((*stage.leave, *enter))) or _held(case)


def cannot_close(case: Case, outcome: str, *, reason: bool) -> NoEffect | None:
    """None when a case can end so now, else the reason. An end without conditions of its own needs one, too."""
    end = next((end for end in case.procedure.ends_of(case.stage) if end.id == outcome), None)
    if end is None:
        return NoEffect(reason="OUTCOME_NOT_HERE")
    last = case.procedure.stage[-1]
    needs = (*last.leave, *end.needs) if end.stage == last.id else end.needs
    held = unmet(case, dict.fromkeys(needs)) or (_held(case) if end.stage == last.id else None)
    return held or (None if needs or reason else NoEffect(reason="REASON_MISSING"))


def _held(case: Case) -> NoEffect | None:
    """The floors of the stage that still run."""
    runs = tuple(key for key, clock in case.clocks.items() if clock.name in case.timed_here and clock.holds)
    return NoEffect(reason="FLOOR_RUNS", missing=runs) if runs else None


def _cannot_amend(case: Case, entry: Entry) -> NoEffect | None:
    """A party is completed by the province that entered it, which alone has its papers."""
    named = entry.head.fields["party"]
    entered = next((each for each in case.done.get("add_party", ()) if each.head.fields["party"] == named), None)
    if entered is None:
        return NoEffect(reason="PARTY_UNKNOWN", missing=("party",))
    return None if entered.entry.author == entry.author else NoEffect(reason="PARTY_OF_OTHER_SIDE")


def _cannot_invite(case: Case, entry: Entry) -> NoEffect | None:
    by, agency, named = entry.head.agency, _named(entry.head), str(entry.head.fields["role"])
    role = case.procedure.roles.get(named)
    if by != case.lead and by.node != agency.node:
        return NoEffect(reason="NOT_THEIRS_TO_INVITE")
    if role is None or agency.kind not in role.kinds:
        return NoEffect(reason="ROLE_NOT_THEIRS")
    if role.side != "any" and (role.side == "A") != (agency.node == case.home):
        return NoEffect(reason="ROLE_OF_OTHER_SIDE")
    provinces = {case.home, agency.node, *(each.node for each in (*case.members, *case.invited))}
    if len(provinces) > (case.procedure.provinces or len(provinces)):
        return NoEffect(reason="PROVINCE_TOO_MANY")
    return NoEffect(reason="DONE_ALREADY") if named in case.roles(agency) else None


def _cannot_answer(case: Case, entry: Entry) -> NoEffect | None:
    return None if entry.head.agency in case.invited else NoEffect(reason="NOT_INVITED")


def _cannot_leave(case: Case, entry: Entry) -> NoEffect | None:
    return NoEffect(reason="LEAD_STAYS") if entry.head.agency == case.lead else None


def _cannot_name(case: Case, entry: Entry) -> NoEffect | None:
    """The office that is removed, is handed the lead or owns the matter is a member, and who says so may."""
    head, agency = entry.head, _named(entry.head)
    if agency not in case.members:
        return NoEffect(reason="NOT_A_MEMBER")
    if head.act == "remove" and agency == case.lead:
        return NoEffect(reason="LEAD_STAYS")
    if head.act == "hand_over" and agency == case.lead:
        return NoEffect(reason="DONE_ALREADY")
    if head.act == "name_owner" and any(OWNER in roles for roles in case.members.values()):
        return NoEffect(reason="DONE_ALREADY")
    if head.agency == case.lead or head.act == "name_owner":
        return None
    of_own_province = head.act == "remove" and head.agency.node == agency.node
    return None if of_own_province else NoEffect(reason="LEAD_ONLY")


def _cannot_propose(case: Case, entry: Entry) -> NoEffect | None:
    who = entry.head.fields["who"]
    offices = {office_of(each) for each in who} if isinstance(who, tuple) else set[AgencyId]()
    return None if offices <= case.members.keys() else NoEffect(reason="NOT_A_MEMBER")


def _cannot_ask(case: Case, entry: Entry) -> NoEffect | None:
    """None when the office that is asked is a member or was invited: nobody else is told, or answers."""
    asked = entry.head.fields.get("agency")
    there = asked is None or parse_agency_id(str(asked)) in {*case.members, *case.invited}
    return None if there else NoEffect(reason="NOT_A_MEMBER", missing=("agency",))


def _cannot_sign(case: Case, entry: Entry) -> NoEffect | None:
    """人民调解法 29: a party's signature says whose it is; for the mediators one signs who was named."""
    said, proposed = entry.head.fields, case.standing("propose_mediators")
    if said["as"] == PARTY and "on_behalf" not in said:
        return NoEffect(reason="ACT_FORM", missing=("on_behalf",))
    who = () if proposed is None else proposed.head.fields["who"]
    is_other = said["as"] == "mediator" and isinstance(who, tuple) and officer_of(entry.head) not in who
    return NoEffect(reason="MEDIATOR_OTHER") if is_other else None


def _cannot_confirm(case: Case, entry: Entry) -> NoEffect | None:
    """民诉解释 355: what a court has not taken in it may decline, and confirms it not."""
    taken = entry.head.fields["result"] != "confirmed" or "accept_application" in case.done
    return None if taken else NoEffect(reason="CONDITION_MISSING", missing=("application_taken",))


def _cannot_verify(case: Case, entry: Entry) -> NoEffect | None:
    """A sum above the claimed one is a slip or wants its reason: nobody is awarded more than they asked for unsaid."""
    said = entry.head.fields
    made = (found.head.fields for found in case.done.get("add_claim", ()))
    claimed = [each.get("sum") for each in made if each["claim"] == said["claim"]]
    found, asked = said.get("sum"), claimed[-1] if claimed else None
    is_above = isinstance(found, int) and isinstance(asked, int) and found > asked
    return NoEffect(reason="SUM_ABOVE_CLAIM", missing=("reason",)) if is_above and "reason" not in said else None


def _cannot_end_duty(case: Case, entry: Entry) -> NoEffect | None:
    """A payment is performed once its sum was paid, and an obligation broken once its last day is over."""
    said = entry.head.fields
    owed = case.obligations.get(said["obligation"])
    if owed is None:
        return None
    if entry.head.act == "report_breach":
        runs = str(said["day"]) <= str(owed.fields.get("due", ""))
        return NoEffect(reason="CLOCK_NOT_OVER", missing=("due",)) if runs else None
    due = owed.fields.get("sum", 0)
    short = isinstance(due, int) and case.paid.get(str(said["obligation"]), 0) < due
    return NoEffect(reason="NOT_PAID", missing=("sum",)) if short else None


def _cannot_speak_for(case: Case, entry: Entry) -> NoEffect | None:
    """An office hands on, or tells a guardian's word about, what its own province wrote."""
    is_own = case.named[str(entry.head.fields["about"])].entry.author == entry.author
    return None if is_own else NoEffect(reason="OTHER_PROVINCES_ENTRY")


def _cannot_hand_on(case: Case, entry: Entry) -> NoEffect | None:
    if _named(entry.head) not in case.members:
        return NoEffect(reason="NOT_A_MEMBER")
    return _cannot_speak_for(case, entry)


def _cannot_tie(case: Case, entry: Entry) -> NoEffect | None:
    if office_of(str(entry.head.fields["who"])) not in case.members:
        return NoEffect(reason="NOT_A_MEMBER")
    return NoEffect(reason="TIES_FULL") if len(case.ties) >= MAX_TIES else None


def _cannot_decide(case: Case, entry: Entry) -> NoEffect | None:
    """The head of the officer's office, or the lead, decides on a tie; nobody on their own."""
    head = entry.head
    who = str(case.named[str(head.fields["about"])].head.fields["who"])
    may = may_decide_on(case, who, agency=head.agency, officer=officer_of(head))
    return None if may else NoEffect(reason="NOT_THEIRS_TO_DECIDE")


def _cannot_accept_tie(case: Case, entry: Entry) -> NoEffect | None:
    """在线调解规则 13: parties go on knowingly with a mediator; of an officer the head decides alone."""
    about = entry.head.fields["about"]
    there = any(tie.stands and tie.waivable for tie in case.ties if tie.name == about)
    return None if there else NoEffect(reason="NOTHING_TO_ANSWER")


def may_decide_on(case: Case, who: str, *, agency: AgencyId, officer: str) -> bool:
    return agency in (case.lead, office_of(who)) and who != officer


def _cannot_change_tier(case: Case, entry: Entry) -> NoEffect | None:
    up = TIERS.index(str(entry.head.fields["tier"])) - TIERS.index(case.tier)
    return None if (up > 0 if entry.head.act == "raise" else up < 0) else NoEffect(reason="TIER_NOT_SO")


def _cannot_mark(case: Case, entry: Entry) -> NoEffect | None:
    marked = mark_clock(case.clocks, entry.head, case.rules)
    return marked if isinstance(marked, NoEffect) else None


def _cannot_do_task(case: Case, entry: Entry) -> NoEffect | None:
    """A task is its owner's: nobody is bound by what they did not take, and who did it does not verify it."""
    head, name = entry.head, entry.head.fields.get("task")
    if name is None:
        return None
    if head.act == "grant_time" and str(name) in case.tasks:
        asked = case.named[str(head.fields["about"])].head
        if asked.fields["task"] != name:
            return NoEffect(reason="CITES_NOTHING")
    return not_for_task(case, str(name), head.act, agency=head.agency, officer=officer_of(head))


def not_for_task(case: Case, name: str, act: str, *, agency: AgencyId, officer: str) -> NoEffect | None:
    """None when an agency's officer (`agency#officer`) may do an act about a task, whatever the stage; else why not."""
    task = case.tasks.get(name)
    if task is None:
        return NoEffect(reason="TASK_UNKNOWN")
    is_owner = str(agency) == task.owner
    if act in _OWN_TASK:
        return None if is_owner else NoEffect(reason="NOT_THEIR_TASK")
    if act == "grant_time":
        return NoEffect(reason="NOT_THEIRS_TO_DECIDE") if is_owner else None
    if act == "drop_task":
        agreed = {each.entry.author for each in case.done.get("consent_drop", ()) if each.head.fields["task"] == name}
        return None if case.sides <= agreed | {agency.node} else NoEffect(reason="CONSENT_MISSING")
    if act != "verify":
        return None
    reported = task.done.get("report_result")
    if reported is None:
        return NoEffect(reason="NOT_REPORTED")
    is_own = is_owner or officer_of(reported.head) == officer
    return NoEffect(reason="VERIFIES_OWN_WORK") if is_own else None


def _cannot_take_lead(case: Case, entry: Entry) -> NoEffect | None:
    """刑程 175: the force to which it was handed takes a lead or declines it."""
    handed = case.named[str(entry.head.fields["about"])].head
    return None if handed.fields["agency"] == str(entry.head.agency) else NoEffect(reason="NOT_HANDED_TO_THEM")


def _cannot_serve(case: Case, entry: Entry) -> NoEffect | None:
    """民诉 90: whoever is served electronically agreed to it before."""
    said = entry.head.fields
    agreed = {found.head.fields["on_behalf"] for found in case.done.get("consent_e_service", ())}
    if said.get("form") != "electronic" or said.get("party") in agreed:
        return None
    return NoEffect(reason="CONDITION_MISSING", missing=("e_service_consented",))


def _cannot_tell_record(case: Case, entry: Entry) -> NoEffect | None:
    """刑诉 286: of a minor nothing is said of a record, not even that there is none."""
    letter = case.last("fill_letter")
    of_minor = letter is not None and letter.head.fields.get("minor") == "yes"
    says_of_record = entry.head.fields.get("record") in ("none", "some")
    return NoEffect(reason="RECORD_SEALED") if of_minor and says_of_record else None


def _cannot_go(case: Case, entry: Entry) -> NoEffect | None:
    said = entry.head.fields
    if said.get("from", case.stage) != case.stage:
        return NoEffect(reason="STAGE_LEFT")
    if entry.head.act == "move":
        return cannot_move(case, str(said["to"]), reason="reason" in said)
    return cannot_close(case, str(said["outcome"]), reason="reason" in said)


_RULES: Final[Mapping[str, Callable[[Case, Entry], NoEffect | None]]] = MappingProxyType(
    {
        "open": _cannot_open,
        "move": _cannot_go,
        "close": _cannot_go,
        "amend_party": _cannot_amend,
        "invite": _cannot_invite,
        "join": _cannot_answer,
        "decline": _cannot_answer,
        "leave": _cannot_leave,
        "remove": _cannot_name,
        "hand_over": _cannot_name,
        "name_owner": _cannot_name,
        "propose_mediators": _cannot_propose,
        "disclose_item": _cannot_hand_on,
        "guardian_agrees": _cannot_speak_for,
        "guardian_withdraws": _cannot_speak_for,
        "declare_tie": _cannot_tie,
        "request_recusal": _cannot_tie,
        "accept_tie": _cannot_accept_tie,
        "decide_recusal": _cannot_decide,
        GRANT: cannot_grant,
        **dict.fromkeys(("accept_lead", "decline_lead"), _cannot_take_lead),
        "serve": _cannot_serve,
        "sign": _cannot_sign,
        "decide_confirmation": _cannot_confirm,
        **dict.fromkeys(("ask_ledger", "ask_peer", "ask_help"), _cannot_ask),
        **dict.fromkeys(("record_performance", "report_breach"), _cannot_end_duty),
        "verify_claim": _cannot_verify,
        "file_result": _cannot_tell_record,
        "raise": _cannot_change_tier,
        "lower": _cannot_change_tier,
        **dict.fromkeys(CLOCK_ACTS, _cannot_mark),
        **dict.fromkeys(TASK_ACTS, _cannot_do_task),
    }
)
"""What an act itself demands, beyond what is demanded of every act."""


def _taken(case: Case, entry: Entry) -> Case:
    """The case with an entry that has effect."""
    act, agency, done = entry.head.act, entry.head.agency, Done(case.at, entry)
    taken = replace(
        case,
        at=case.at + 1,
        done={**case.done, act: case.done[act].plus(done) if act in case.done else Grown((done,))},
        named=case.named.plus(entry.name, done),
        only=case.only if ACTS[act].once is None else case.only.plus(_same(act, entry.head.fields), done),
        acted=case.acted if agency in case.acted else case.acted | {agency},
    )
    after = _changed(with_things(taken, done), entry)
    if act in TIE_ACTS or (after.ties and (after.members is not case.members or after.parties is not case.parties)):
        after = replace(after, ties=judged_ties(after))
    return run_clocks(after, entry, entered=after.stage if after.entered == case.at else "")


def _changed(case: Case, entry: Entry) -> Case:
    change = _CHANGES.get(entry.head.act)
    return case if change is None else change(case, entry.head)


def _opened(case: Case, head: Head) -> Case:
    stage = str(head.fields.get("stage", case.procedure.stage[0].id))
    members = {head.agency: frozenset((LEAD, str(head.fields["role"])))}
    code = str(head.fields.get("code", head.record))
    return _entered(replace(case, code=code, home=head.agency.node, lead=head.agency, members=members), stage)


def _invited(case: Case, head: Head) -> Case:
    asked = case.invited.get(_named(head), frozenset()) | {str(head.fields["role"])}
    return replace(case, invited={**case.invited, _named(head): asked})


def _joined(case: Case, head: Head) -> Case:
    roles = case.roles(head.agency) | case.invited[head.agency]
    return _declined(replace(case, members={**case.members, head.agency: roles}), head)


def _declined(case: Case, head: Head) -> Case:
    return replace(case, invited={each: roles for each, roles in case.invited.items() if each != head.agency})


def _left(case: Case, head: Head) -> Case:
    gone = head.agency if head.act == "leave" else _named(head)
    return replace(case, members={each: roles for each, roles in case.members.items() if each != gone})


def _named_one(case: Case, head: Head) -> Case:
    """The one member that has a role, and the lead where it is that."""
    agency, role = _named(head), LEAD if head.act == "hand_over" else OWNER
    members = {each: roles - {role} for each, roles in case.members.items()}
    lead = agency if role == LEAD else case.lead
    return replace(case, lead=lead, members={**members, agency: members[agency] | {role}})


def _given_back(case: Case, head: Head) -> Case:
    """An owner that gives the matter back owns it no more; a task that is declined changes no role."""
    if "task" in head.fields:
        return case
    return replace(case, members={**case.members, head.agency: case.roles(head.agency) - {OWNER}})


def _marked(case: Case, head: Head) -> Case:
    clock = mark_clock(case.clocks, head, case.rules)
    return case if isinstance(clock, NoEffect) else replace(case, clocks={**case.clocks, clock.key: clock})


_CHANGES: Final[Mapping[str, Callable[[Case, Head], Case]]] = MappingProxyType(
    {
        "open": _opened,
        "move": lambda case, head: _entered(case, str(head.fields["to"])),
        "close": lambda case, head: replace(case, outcome=str(head.fields["outcome"])),
        "invite": _invited,
        "join": _joined,
        "decline": _declined,
        "leave": _left,
        "remove": _left,
        "hand_over": _named_one,
        "name_owner": _named_one,
        "decline_task": _given_back,
        "raise": lambda case, head: replace(case, tier=str(head.fields["tier"])),
        "lower": lambda case, head: replace(case, tier=str(head.fields["tier"])),
        **dict.fromkeys(CLOCK_ACTS, _marked),
    }
)
"""What an act changes beside being done."""


def _entered(case: Case, stage: str) -> Case:
    """A stage is entered at its lowest tier, or higher where the case has been raised."""
    tier = max(case.procedure.stages[stage].tier[0], case.tier or TIERS[0], key=TIERS.index)
    return replace(case, stage=stage, entered=case.at - 1, tier=tier)


def _find_party(case: Case, tag: object) -> Head | None:
    return next((found.head for found in case.done.get("add_party", ()) if found.head.fields["party"] == tag), None)


def _named(head: Head) -> AgencyId:
    return parse_agency_id(str(head.fields["agency"]))
