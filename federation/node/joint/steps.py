"""The steps of a province's offices in joint cases: open one, act in it, read it, list what is due.

An act is one entry, written in the transaction that answers the call, on all that this node holds; then it is handed to
every province that takes part, at once or as soon as its node answers. What the case as it stands does not allow is
not written at all, and the caller is told what is missing; what a concurrent act of another province made void stays
visible without effect. A case that an office takes no part in is not there for it: the same logged no.
Source: DESIGN sections 3 and 5.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from itertools import islice
from typing import Final

from federation.domain.acts import ACTS
from federation.domain.case_figures import count_cases
from federation.domain.case_items import split
from federation.domain.clock import china_day
from federation.domain.joint import Entry, FieldValue
from federation.domain.joint_case import advance
from federation.domain.joint_mandates import GRANT
from federation.domain.joint_offers import REASONS
from federation.domain.joint_policy import CaseLine, Seat, Standing, act_request, read_request, standing_of
from federation.domain.joint_record import Record as JointRecord
from federation.domain.joint_sight import DISCLOSE
from federation.domain.joint_state import Case
from federation.domain.joint_trace import format_case_code
from federation.domain.procedure import Procedure, Rules, procedure_names, read_rules
from federation.node.exchange.errand import Errand, on, streaming
from federation.node.exchange.judge import Rows, follow
from federation.node.joint import shown
from federation.node.joint.acting import Doing, handed_on, read_fields, refusal, write_entry
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.disclose import refused_to
from federation.node.joint.entries import settle
from federation.node.joint.lists import case_lines
from federation.node.joint.records import CASE, CASES, CHANGES, Held, keep_rules, load_held
from federation.node.joint.writing import Said, Written, written
from federation.node.lookups.cases import count_opened
from federation.node.node import agency_facts
from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    RecordId,
    format_message_id,
    parse_agency_id,
    parse_record_id,
    record_node,
)
from federation.protocol.policy import decide
from federation.store.exchange_log import GroupTransaction
from federation.store.records import next_serial
from federation.wire.agency import cases as wire
from federation.wire.agency.cases import (
    CaseFigures,
    CaseNews,
    CaseOpening,
    CaseOutcome,
    CasePage,
    CaseStep,
    CaseView,
    DuePage,
    DueQuery,
    EntryPage,
    EntryQuery,
    FigureQuery,
    ProcedureLine,
    ProcedureLists,
)
from federation.wire.rpc import PageQuery, Ruling

WAIT_SECONDS: Final = 5.0
"""How long an act waits for the other provinces to have its entry; the list of entries says who has it later."""
MAX_COUNTED: Final = 1000
"""The most closed cases that are counted for one question."""
_DUTY: Final = "cases"


@on(wire.OPEN_CASE)
async def open_case(errand: Errand, asked: CaseOpening) -> CaseOutcome:
    """Opens a case under a procedure of the agreement in force. Refuses PROCEDURE_UNKNOWN, and as `act_in_case`."""
    node, in_force = errand.node, errand.in_force
    rules = read_rules(in_force.agreement.files, asked.procedure)
    _verify_role(rules.procedure, errand.caller, asked.role, home=node.name)
    record = RecordId(f"{node.name}/{format_message_id(node.now(), os.urandom(10))}")
    fields: dict[str, FieldValue] = {
        **read_fields(ACTS, "open", asked.fields, today=node.today()),
        "procedure": asked.procedure,
        "agreement": in_force.agreement.version,
        "role": asked.role,
        "division": asked.division,
        "code": format_case_code(errand.caller.county, node.today().year, 0),
    }
    places = split(asked.items, realm=in_force.agreement.realm)
    said = Said(agency=errand.caller, officer=errand.act.officer, act="open", fields=fields, places=places)
    held = Held(family=CASE, record=JointRecord(record), node=node.name)
    doing = _doing(errand, held, Case(rules=rules), said, about=asked.procedure)
    return await _do(errand, replace(doing, finish=partial(_numbered, errand, held, said)))


@on(wire.ACT_IN_CASE)
async def act_in_case(errand: Errand, asked: CaseStep) -> CaseOutcome:
    """Does one act in a case.

    Refuses CASE_ACT where the case as it stands does not allow it, naming what is missing; CASE_FIELD; CASE_MOVED (send
    it again); NOT_A_MEMBER, NOT_AN_AGENCY for an invitation to nobody; and as `split`, `place_for` and `refused_to`.
    """
    held = _find(errand, asked.case)
    case = None if held is None else held.state
    if held is None or case is None:
        ruling = await _refused_as_stranger(errand, act=asked.name)
        return CaseOutcome(decision=ruling)
    if asked.name == "open":
        raise RuleError("CASE_ACT", "expected an act in the case; it is open")
    places = split(asked.items, realm=errand.in_force.agreement.realm)
    fields = read_fields(ACTS, asked.name, asked.fields, today=errand.node.today())
    if asked.name == "invite" and "agency" in fields:  # nobody would ever answer for an office with a wrong digit
        office = parse_agency_id(str(fields["agency"]))
        errand.in_force.agency(office)
        errand.verify_passes(office.node)
        _verify_role(case.procedure, office, str(fields.get("role", "")), home=record_node(held.id))
    said = Said(agency=errand.caller, officer=errand.act.officer, act=asked.name, fields=fields, places=places)
    return await _do(errand, _doing(errand, held, case, said, about=held.id))


def _verify_role(procedure: Procedure, office: AgencyId, role: str, *, home: NodeName) -> None:
    """Refuses a role that an office of that kind and side has not in the procedure, and names those that it has."""
    sides = ("any", "A" if office.node == home else "B")
    may = [each for each in procedure.role if office.kind in each.kinds and each.side in sides]
    if any(each.id == role for each in may):
        return
    zh, en = "、".join(f"{each.id} {each.zh}" for each in may), ", ".join(each.id for each in may)
    raise RuleError(
        "CASE_ROLE", f"{office} 可担任的角色：{zh or '无'} | the roles that {office} may have: {en or 'none'}"
    )


def _doing(errand: Errand, held: Held[Case], case: Case, said: Said, *, about: str) -> Doing[Case]:
    standing, home, name = standing_of(case, errand.caller), record_node(held.id), case.procedure.name

    def count(transaction: GroupTransaction) -> None:
        if said.act == GRANT:
            count_opened(errand.node, transaction, said.agency)

    return Doing(
        sharing=CASES_SHARED, held=held, state=case, said=said, about=about, asked=said.fields,
        again=read_request(errand.agency, standing, home=home, procedure=name, occasion=errand.occasion),
        verify=_verify_allowed,
        look=partial(refused_to, errand, held) if said.act == DISCLOSE else None, beside=count,
    )  # fmt: skip


async def _do(errand: Errand, doing: Doing[Case]) -> CaseOutcome:
    """Writes an entry, waits a little for the others to have it, and shows it."""
    ruling, answer = await write_entry(errand, doing)
    if answer is None:
        return CaseOutcome(decision=ruling)
    node, record = errand.node, parse_record_id(answer.record)
    sent = await handed_on(node, CASES_SHARED, answer, seconds=WAIT_SECONDS)
    if doing.said.act == "invite":
        # that the other side's node has it is an entry of its own
        await follow(node, Rows(then=partial(settle, CASES_SHARED, record=record)))
    now = load_held(CASE, node, record)
    line = next((each for each in case_lines(node, now.moment, step=1) if each.office == errand.caller), None)
    entry = shown.entry_line(errand, CASES_SHARED, now, kept=now.kept[answer.name], sent=sent)
    return CaseOutcome(decision=ruling, line=line, entry=entry)


def _numbered(errand: Errand, held: Held[Case], said: Said, transaction: GroupTransaction, entry: Written) -> Written:
    """The opening with the number of its case, in the transaction that takes it."""
    node, kept, county = errand.node, entry.kept, said.agency.county
    year = node.today().year
    code = format_case_code(county, year, next_serial(transaction, f"case/{county}/{year}"))
    keep_rules(node, errand.in_force.agreement, transaction)
    head, why = replace(kept.head, fields={**kept.head.fields, "code": code}), (kept.purpose, kept.function)
    return written(node, held, head, places=said.places, seat=kept.seat, why=why)


def _verify_allowed(case: Case, entry: Entry) -> None:
    """Refuses an act that would be without effect (CASE_ACT)."""
    found = advance(case, entry)
    if isinstance(found, Case):
        return
    lacks = [
        (f"{each.zh}（{each.rule}）", f"{each.en} ({each.name}; {each.rule})") if each.rule else (each.zh, each.en)
        for each in shown.missing(case, found.missing)
    ]
    raise refusal("CASE_ACT", found, REASONS, lacks=lacks)


# ---- reading -------------------------------------------------------------------------------------------------------


@on(wire.READ_CASE)
async def read_case(errand: Errand, name: str) -> CaseView:
    """Shows a case, what it waits for, and what the office may do in it now."""
    held, ruling = await readable(errand, name)
    if held is None:
        return CaseView(decision=ruling)
    case, node = held.state, errand.node
    line = CASES.find(node.database, f"{errand.caller}/{held.id}")
    said = shown.first_notices(node, held)
    if case is None:
        return CaseView(decision=ruling, line=line, notices=said)
    return CaseView(
        decision=ruling, line=line, members=shown.members(case), clocks=shown.clocks(case),
        offers=shown.offers(case, errand.caller, errand.act.officer, now=node.now()), notices=said,
        trace=shown.trace(held), stages=shown.stages(case), tasks=shown.tasks(case, errand.caller, errand.act.officer),
    )  # fmt: skip


@on(wire.LIST_ENTRIES)
async def list_entries(errand: Errand, query: EntryQuery) -> EntryPage:
    """Lists the entries of a case in their order (PAGE_TOKEN)."""
    held, ruling = await readable(errand, query.case)
    if held is None:
        return EntryPage(decision=ruling)
    return shown.entry_page(errand, CASES_SHARED, held, query=query, ruling=ruling)


@on(wire.LIST_CASES)
async def list_cases(errand: Errand, query: PageQuery) -> CasePage:
    """Lists the cases that the office takes part in or took part in."""
    ruling = await _list_ruling(errand)
    if not ruling.allowed:
        return CasePage(decision=ruling)
    page = CASES.page(errand.node.database, limit=query.page_size, token=query.page_token, under=f"{errand.caller}/")
    return CasePage(decision=ruling, lines=page.values, next_page_token=page.next_token)


@streaming(wire.WATCH_CASES)
async def watch_cases(errand: Errand, after: str) -> AsyncIterator[CaseNews]:
    """Yields the open cases of the office, or those behind `after`, then each as it changes, until the node stops.

    Each is told as it stands then, when policy lets the office read it then. Refuses WATCH_TOKEN.
    """
    node, caller = errand.node, errand.caller
    ruling = await _list_ruling(errand)
    if not ruling.allowed:
        yield CaseNews(decision=ruling)
        return
    source, topic = node.database, str(caller)
    start = CHANGES.place(source, topic, after) if after else CHANGES.count(source, topic)
    for line in () if after else CASES.each(source, under=f"{caller}/"):
        if not line.outcome and _may_read(errand, line):
            yield CaseNews(line=line)
    async for each in CHANGES.follow(errand, topic, after=start):
        now = CASES.find(source, f"{caller}/{each.entry.record}")
        if now is not None and _may_read(errand, now):
            yield CaseNews(token=each.token, line=now)


def _may_read(errand: Errand, line: CaseLine) -> bool:
    """True when policy, as it stands now, lets the office read a case of its list."""
    in_force, home = errand.node.trust.in_force, record_node(parse_record_id(line.record))
    occasion = in_force.occasion(errand.act.purpose, errand.act.function)
    facts = agency_facts(in_force, errand.caller)
    asked = read_request(facts, line.standing, home=home, procedure=line.procedure, occasion=occasion)
    return decide(in_force.policies, asked).allowed


@on(wire.LIST_DUE_CASES)
async def list_due(errand: Errand, query: DueQuery) -> DuePage:
    """Lists the cases of the office in which something is due by a moment: one read of an index, whatever there is."""
    ruling = await _list_ruling(errand)
    if not ruling.allowed:
        return DuePage(decision=ruling)
    unread = errand.node.bad_rows.of(_DUTY)
    due = CASES.each_due_by(errand.node.database, query.before, unread, division=str(errand.caller))
    found = list(islice(due, query.page_size + 1))
    return DuePage(decision=ruling, lines=tuple(found[: query.page_size]), more=len(found) > query.page_size)


@on(wire.COUNT_CASES)
async def count_closed(errand: Errand, query: FigureQuery) -> CaseFigures:
    """Counts the office's closed cases worked under a procedure. Refuses CASES_MANY, PROCEDURE_UNKNOWN."""
    ruling = await _list_ruling(errand)
    if not ruling.allowed:
        return CaseFigures(decision=ruling)
    lines = CASES.each(errand.node.database, under=f"{errand.caller}/")
    closed = (line for line in lines if line.procedure == query.procedure and line.outcome)
    wanted = (line.record for line in closed if line.changed >= query.since)
    records = list(islice(wanted, MAX_COUNTED + 1))
    if len(records) > MAX_COUNTED:
        raise RuleError("CASES_MANY", f"expected at most {MAX_COUNTED} closed cases to be counted at once")
    if not records:
        read_rules(
            errand.in_force.agreement.files, query.procedure
        )  # that there is none is no figure of a strange name
    cases = []
    for record in records:
        cases.append(load_held(CASE, errand.node, parse_record_id(record)).state)
        await asyncio.sleep(0)  # each is folded by itself, and others are served in between
    found = count_cases((case for case in cases if case is not None), since=china_day(query.since))
    return CaseFigures(decision=ruling, lines=found)


@on(wire.READ_PROCEDURE)
async def read_procedure(errand: Errand, name: str) -> ProcedureLists:
    """Reads what the agreement in force says of a procedure; the names of all when none is named."""
    files = errand.in_force.agreement.files
    if not name:
        return ProcedureLists(names=tuple(procedure_names(files)))
    return _lists(read_rules(files, name))


def _lists(rules: Rules) -> ProcedureLists:
    procedure = rules.procedure
    named = {"duty": procedure.duties, "task": procedure.tasks, "guarantee": procedure.guarantees}
    lines = [
        ProcedureLine(list=word, who=line.who, zh=line.zh, en=line.en)
        for word, found in named.items()
        for line in found
    ]
    stages = [ProcedureLine(list="stage", who=each.id, zh=each.zh, en=each.en) for each in procedure.stage]
    used = {line.who for line in lines}.union(*(each.who for each in procedure.stage))
    known = {each.id: (each.zh, each.en) for each in procedure.role}
    known |= {role: words for role, words in shown.BUILT_IN.items() if role in used}
    roles = [ProcedureLine(list="role", who=role, zh=zh, en=en) for role, (zh, en) in known.items()]
    return ProcedureLists(
        names=(procedure.name,), title_zh=procedure.title_zh, title_en=procedure.title_en, purpose=procedure.purpose,
        function=procedure.function, source=procedure.source, official=procedure.official,
        lines=(*lines, *stages, *roles),
    )  # fmt: skip


async def _list_ruling(errand: Errand) -> Ruling:
    home = errand.node.name
    return await errand.ask(
        read_request(errand.agency, Standing.MEMBER, home=home, procedure="", occasion=errand.occasion)
    )


async def readable(errand: Errand, name: str) -> tuple[Held[Case] | None, Ruling]:
    """The case of that name when the office may read it; without one, the logged no of a stranger."""
    held = _find(errand, name)
    if held is None:
        return None, await _refused_as_stranger(errand, act="")
    case = held.state
    standing = Standing.WAITING if case is None else standing_of(case, errand.caller)
    procedure = "" if case is None else case.procedure.name
    question = read_request(
        errand.agency, standing, home=record_node(held.id), procedure=procedure, occasion=errand.occasion
    )
    ruling = await errand.ask(question)
    return (held if ruling.allowed else None), ruling


async def _refused_as_stranger(errand: Errand, *, act: str) -> Ruling:
    """A case that is not there, and one that the office takes no part in, get the same logged no."""
    home = errand.node.name
    if act:
        seat = Seat(standing=Standing.STRANGER)
        return await errand.ask(act_request(errand.agency, seat, "note", home=home, occasion=errand.occasion))
    return await errand.ask(
        read_request(errand.agency, Standing.STRANGER, home=home, procedure="", occasion=errand.occasion)
    )


def _find(errand: Errand, name: str) -> Held[Case] | None:
    """The case by its code or record, as far as the office has a line of it."""
    node = errand.node
    lines: list[CaseLine | None] = list(CASES.by_subject(node.database, name))
    if "/" in name:
        lines = [CASES.find(node.database, f"{errand.caller}/{parse_record_id(name)}")]
    mine = next((line for line in lines if line is not None and line.office == errand.caller), None)
    return None if mine is None else load_held(CASE, node, parse_record_id(mine.record))
