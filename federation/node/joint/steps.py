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
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import ClassVar, Final

from federation.domain.acts import ACTS, COMMON, Field
from federation.domain.case_figures import count_cases
from federation.domain.case_items import Places, split
from federation.domain.clock import china_day
from federation.domain.joint import Entry, FieldValue
from federation.domain.joint_case import advance
from federation.domain.joint_mandates import GRANT
from federation.domain.joint_offers import REASONS
from federation.domain.joint_policy import (
    CaseLine,
    Seat,
    Standing,
    act_request,
    read_request,
    seat_of,
    standing_of,
)
from federation.domain.joint_record import Record as JointRecord
from federation.domain.joint_sight import DISCLOSE
from federation.domain.joint_state import Case
from federation.domain.joint_trace import format_case_code
from federation.domain.procedure import Rules, procedure_names, read_rules
from federation.node.documents import file_documents
from federation.node.exchange.errand import Errand, on, streaming
from federation.node.exchange.judge import Rows, follow
from federation.node.exchange.replies import delivered
from federation.node.exchange.send import Sent
from federation.node.joint import shown
from federation.node.joint.case_sharing import CASES_SHARED
from federation.node.joint.disclose import refused_to
from federation.node.joint.entries import Settled, note_settled, put_settled, settle, settle_moved, settled_with
from federation.node.joint.lists import case_lines
from federation.node.joint.records import CASE, CASES, CHANGES, Held, StoredEntry, each_sent, keep_rules, load_held
from federation.node.joint.writing import Said, Written, head_of, written
from federation.node.lookups.cases import count_opened
from federation.node.node import Node, agency_facts
from federation.node.officers import or_logged
from federation.protocol.errors import MalformedError, RuleError, UnavailableError
from federation.protocol.form import Digest, Item, encode, replace
from federation.protocol.ids import RecordId, format_message_id, parse_record_id, record_node
from federation.protocol.policy import decide
from federation.protocol.trust import verify_in_force
from federation.store.collection import page_behind
from federation.store.exchange_log import GroupTransaction
from federation.store.records import next_serial, put_records
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
    EntryLine,
    EntryPage,
    EntryQuery,
    FigureLine,
    FigureQuery,
    ProcedureLine,
    ProcedureLists,
)
from federation.wire.rpc import PageQuery, Ruling

WAIT_SECONDS: Final = 5.0
"""How long an act waits for the other provinces to have its entry; the list of entries says who has it later."""
MAX_COUNTED: Final = 1000
"""The most closed cases that are counted for one question."""
_NUMBERS: Final = frozenset({"number", "fen"})
_DUTY: Final = "cases"


class CaseWritten(Item, frozen=True, kw_only=True):
    """The answer to an act: the record, and the name of the entry."""

    WHAT: ClassVar[str] = "case written"

    record: RecordId
    name: Digest


@on(wire.OPEN_CASE)
async def open_case(errand: Errand, asked: CaseOpening) -> CaseOutcome:
    """Opens a case under a procedure of the agreement in force. Refuses PROCEDURE_UNKNOWN, and as `act_in_case`."""
    node, in_force = errand.node, errand.in_force
    rules = read_rules(in_force.agreement.files, asked.procedure)
    record = RecordId(f"{node.name}/{format_message_id(node.now(), os.urandom(10))}")
    fields: dict[str, FieldValue] = {
        **_read_fields("open", asked.fields),
        "procedure": asked.procedure,
        "agreement": in_force.agreement.version,
        "role": asked.role,
        "division": asked.division,
        "code": format_case_code(errand.caller.county, node.today().year, 0),
    }
    places = split(asked.items, realm=in_force.agreement.realm)
    said = Said(agency=errand.caller, officer=errand.act.officer, act="open", fields=fields, places=places)
    what = encode(_Asked(case=asked.procedure, act="open", fields=_plain(fields), items=_hexed(places))).decode()
    return await _write(
        errand, Held(family=CASE, record=JointRecord(record), node=node.name), said, start=Case(rules=rules), what=what
    )


@on(wire.ACT_IN_CASE)
async def act_in_case(errand: Errand, asked: CaseStep) -> CaseOutcome:
    """Does one act in a case.

    Refuses CASE_ACT where the case as it stands does not allow it, naming what is missing; CASE_FIELD; CASE_MOVED (send
    it again); and as `split`, `place_for` and `refused_to`.
    """
    held = _find(errand, asked.case)
    case = None if held is None else held.state
    if held is None or case is None:
        ruling = await _refused_as_stranger(errand, act=asked.name)
        return CaseOutcome(decision=ruling)
    if asked.name == "open":
        raise RuleError("CASE_ACT", "expected an act in the case; it is open")
    places = split(asked.items, realm=errand.in_force.agreement.realm)
    fields = _read_fields(asked.name, asked.fields)
    said = Said(agency=errand.caller, officer=errand.act.officer, act=asked.name, fields=fields, places=places)
    what = encode(_Asked(case=held.id, act=asked.name, fields=_plain(fields), items=_hexed(places))).decode()
    return await _write(errand, held, said, start=case, what=what)


class _Asked(Item, frozen=True, kw_only=True):
    """The content of a request, by which a repeat is told from another one."""

    case: str
    act: str
    fields: dict[str, str]
    items: tuple[str, ...]


def _hexed(places: Places) -> tuple[str, ...]:
    return tuple(item.hex() for item in places.items)


def _plain(fields: Mapping[str, FieldValue]) -> dict[str, str]:
    return {name: shown.text_of(value) for name, value in fields.items()}


async def _write(errand: Errand, held: Held[Case], said: Said, *, start: Case, what: str) -> CaseOutcome:
    """Writes one entry, once."""
    node = errand.node
    verify_in_force(errand.in_force.agreement, node.now())
    bound = errand.asked(f"case.{said.act}", what)
    known = errand.remembered(bound, CaseWritten)
    if known is not None:
        standing = standing_of(start, errand.caller)
        home, name = record_node(held.id), start.procedure.name
        ruling = errand.rule(read_request(errand.agency, standing, home=home, procedure=name, occasion=errand.occasion))
        return await _written(errand, known.answer, said, ruling)
    head = head_of(node, held, said)
    seat = seat_of(start, head, occasion=errand.occasion)
    question = act_request(errand.agency, seat, said.act, home=record_node(held.id), occasion=errand.occasion)
    ruling = await errand.ask(question)
    if not ruling.allowed:
        return CaseOutcome(decision=ruling)
    why = (errand.act.purpose, errand.act.function)
    entry = written(node, held, head, places=said.places, seat=encode(seat).decode(), why=why)
    _verify_allowed(start, entry.kept.entry)
    if said.act == DISCLOSE and (refused := await refused_to(errand, held, entry.kept.entry)) is not None:
        return CaseOutcome(decision=refused)
    settled = settled_with(CASES_SHARED, node, held, kept=entry.kept, body=entry.body)
    put = partial(_put, errand, held, said, entry, settled)
    writing = asyncio.ensure_future(errand.once(bound, CaseWritten, put))
    if settled is not None:  # also when who asked has gone meanwhile
        writing.add_done_callback(partial(_note_written, node, entry.kept, settled))
    answer = await or_logged(errand, asyncio.shield(writing))
    return await _written(errand, answer, said, ruling)


def _note_written(node: Node, kept: StoredEntry, settled: Settled[Case], writing: asyncio.Future[CaseWritten]) -> None:
    if not writing.cancelled() and writing.exception() is None and writing.result().name == kept.name:
        note_settled(CASES_SHARED, node, kept=kept, settled=settled)


async def _written(errand: Errand, answer: CaseWritten, said: Said, ruling: Ruling) -> CaseOutcome:
    """Hands an entry on, waits a little for the others to have it, and shows it."""
    node, in_force = errand.node, errand.in_force
    record = parse_record_id(answer.record)
    await follow(node, Rows(then=partial(settle_moved, CASES_SHARED, record=record)))
    sent = list(each_sent(CASE, node.database, record, name=answer.name))
    messages = [Sent(id=each.message_id, digest=each.digest) for each in sent]
    await delivered(node, messages, seconds=WAIT_SECONDS)
    if said.act == "invite":
        # that the other side's node has it is an entry of its own
        await follow(node, Rows(then=partial(settle, CASES_SHARED, record=record)))
    now = load_held(CASE, node, record)
    line = next((each for each in case_lines(node, now.moment, step=1) if each.office == errand.caller), None)
    entry = shown.entry_line(node, in_force, now, kept=now.kept[answer.name], reader=errand.caller, sent=sent)
    return CaseOutcome(decision=ruling, line=line, entry=entry)


def _put(
    errand: Errand,
    held: Held[Case],
    said: Said,
    entry: Written,
    settled: Settled[Case] | None,
    transaction: GroupTransaction,
) -> CaseWritten:
    """Writes the entry in the transaction that remembers the answer, one that opens with its number (CASE_MOVED)."""
    node, kept = errand.node, entry.kept
    if said.act == "open":
        county, year = said.agency.county, node.today().year
        code = format_case_code(county, year, next_serial(transaction, f"case/{county}/{year}"))
        keep_rules(node, errand.in_force.agreement, transaction)
        head, why = replace(kept.head, fields={**kept.head.fields, "code": code}), (kept.purpose, kept.function)
        entry = written(node, held, head, places=said.places, seat=kept.seat, why=why)
    if not put_settled(CASES_SHARED, node, transaction, entry=entry, settled=settled):
        raise UnavailableError("CASE_MOVED", "another entry came at this moment; send it again")
    put_records(transaction, CASES_SHARED.rows_with(transaction, entry.kept, replica=False))
    if said.act == GRANT:
        count_opened(node, transaction, said.agency)
    file_documents(transaction, said.places, entry=entry.kept.name, agency=said.agency)
    return CaseWritten(record=held.id, name=entry.kept.name)


def _verify_allowed(case: Case, entry: Entry) -> None:
    """Refuses an act that would be without effect (CASE_ACT)."""
    found = advance(case, entry)
    if isinstance(found, Case):
        return
    lacks = "; ".join(f"{each.zh} {each.en} ({each.name}; {each.rule})" for each in shown.missing(found.missing))
    zh, en = REASONS.get(found.reason, ("", ""))
    raise RuleError("CASE_ACT", f"{zh} {en} ({found.reason}){': ' if lacks else ''}{lacks}", why=found.reason)


def _read_fields(act: str, given: Mapping[str, str]) -> dict[str, FieldValue]:
    """The fields of an act as its table types them. Refuses CASE_FIELD, CASE_ACT."""
    if act not in ACTS:
        raise RuleError("CASE_ACT", "expected an act that the provinces agreed on", why="ACT_UNKNOWN")
    types = {field.name: field for field in (*COMMON, *ACTS[act].fields)}
    found: dict[str, FieldValue] = {}
    for name, text in given.items():
        field = types.get(name)
        if field is None:
            raise MalformedError("CASE_FIELD", f"{act}: expected one of {', '.join(types)}, got {name!r}", field=name)
        if field.type in _NUMBERS and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise MalformedError("CASE_FIELD", f"{act}: expected {name!r} to be a plain number", field=name)
        value = tuple(text.split(shown.LIST_SIGN)) if field.is_list else int(text) if field.type in _NUMBERS else text
        if not field.takes(value):
            raise MalformedError("CASE_FIELD", f"{act}: expected {name!r} to be {_form_of(field)}", field=name)
        found[name] = value
    return found


_FORMS: Final = {
    "agency": "an agency: province/county/kind",
    "day": "a day: YYYY-MM-DD",
    "officer": "an officer: province/county/kind#pseudonym",
}


def _form_of(field: Field) -> str:
    return " or ".join(sorted(field.words)) if field.words else _FORMS.get(field.type, field.type)


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

    def listed(place: str) -> Iterator[tuple[str, EntryLine]]:
        start = int(place or 0)
        for number, entry in enumerate(held.record.entries_from(start), start=start + 1):
            kept = held.kept[entry.name]
            yield str(number), shown.entry_line(errand.node, errand.in_force, held, kept=kept, reader=errand.caller)

    name, keys = f"case-entries/{held.id}/{errand.caller}", errand.node.database.keys
    page = page_behind(keys, name, listed, limit=query.page_size, token=query.page_token)
    return EntryPage(decision=ruling, lines=page.values, next_page_token=page.next_token)


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

    Each is told as it stands then, when policy lets the office read it then. Refuses WATCH_TOKEN, WATCH_SLOW.
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
    """Counts the closed cases of the office that were worked under a procedure. Refuses CASES_MANY."""
    ruling = await _list_ruling(errand)
    if not ruling.allowed:
        return CaseFigures(decision=ruling)
    lines = CASES.each(errand.node.database, under=f"{errand.caller}/")
    closed = (line for line in lines if line.procedure == query.procedure and line.outcome)
    wanted = (line.record for line in closed if line.changed >= query.since)
    records = list(islice(wanted, MAX_COUNTED + 1))
    if len(records) > MAX_COUNTED:
        raise RuleError("CASES_MANY", f"expected at most {MAX_COUNTED} closed cases to be counted at once")
    cases = []
    for record in records:
        cases.append(load_held(CASE, errand.node, parse_record_id(record)).state)
        await asyncio.sleep(0)  # each is folded by itself, and others are served in between
    found = count_cases((case for case in cases if case is not None), since=china_day(query.since))
    return CaseFigures(
        decision=ruling,
        lines=tuple(
            FigureLine(name=each.name, zh=each.zh, en=each.en, value=each.value, entries=each.entries) for each in found
        ),
    )


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
