"""The intake desk: what waits there for a person of this province, and that person's release or refusal.

One office answers for the province (`lookup.answer`); a person is shown masked; releases are evaluated again with
what is known now. Fields leave only with the officer's own signature, since offices share certificates; a search or a
refusal may go without, but a wrong one is refused. Reply, end of entry, signature and disclosure are one transaction.
Source: 公安机关办理刑事案件程序规定 article 347; misuse controls M1 and M12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from operator import itemgetter
from typing import Any, Final

from federation.domain.intake import (
    IntakeEntry,
    IntakeStatus,
    Refusal,
    mask_person,
    parse_words,
    place_of,
    refuse_bytes,
    release_bytes,
    verify_waiting,
)
from federation.domain.lookups_case import LOOKUP_FUNCTION, DossierFacts, LookupPurpose, answer_request
from federation.node.exchange.errand import Errand, on
from federation.node.exchange.judge import NO_ROWS, Received, Rows, open_received, put_rows, wake
from federation.node.exchange.replies import intake_office, reply_draft, statement_of
from federation.node.exchange.send import prepare, record_message
from federation.node.lookups.answer import FETCH, REFUSAL, Evaluation, evaluate
from federation.node.lookups.records import ENTRIES, StoredEntry, list_waiting, put_entry, rule_refusal
from federation.node.node import Node
from federation.node.officers import find_officer_key, signed_by, verify_own_key
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError, UntrustedError
from federation.protocol.form import encode_canonical, replace
from federation.protocol.ids import MessageId
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.policy import PolicyRequest
from federation.store.collection import page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_message, find_outbox, load_body
from federation.store.records import Record, put_records
from federation.wire.agency import intake as wire
from federation.wire.agency.intake import (
    IntakeLine,
    IntakePage,
    IntakeQuery,
    IntakeRelease,
    RefuseQuestion,
    ReleaseQuestion,
)
from federation.wire.rpc import Ruling, ruling_of

SIGNATURE: Final = "intake-signature"
_ENDED: Final = "ended/"


@on(wire.LIST_INTAKE)
async def list_intake(errand: Errand, query: IntakeQuery) -> IntakePage:
    """Requests that wait, by urgency and time left, and ended ones if asked for; refuses NOT_INTAKE, PAGE_TOKEN."""
    node = errand.node
    intake = intake_office(errand.in_force, node.name)
    if errand.caller != intake:
        raise UntrustedError(
            "NOT_INTAKE", f"{intake} answers for {node.name}; expected it to call, got {errand.caller}"
        )
    page = page_behind(
        node.database.keys,
        f"{ENTRIES.kind}/{query.ended}",
        partial(_listed, node.database, query),
        limit=query.page_size,
        token=query.page_token,
    )
    lines = tuple(_line_of(node, entry) for entry in page.values)
    return IntakePage(read_time=node.now(), lines=lines, next_page_token=page.next_token)


def _listed(source: Source, query: IntakeQuery, place: str) -> Iterator[tuple[str, IntakeEntry]]:
    """Those that wait, by what needs a person most; behind them the ended ones, newest first."""
    if not place.startswith(_ENDED):
        waiting = ((place_of(entry), entry) for entry in list_waiting(source))
        yield from nsmallest(query.page_size + 1, (each for each in waiting if each[0] > place), key=itemgetter(0))
    if query.ended:
        ended = place.removeprefix(_ENDED) if place.startswith(_ENDED) else ""
        for stored in ENTRIES.each(source, after=ended, newest_first=True):
            if stored.entry.status is not IntakeStatus.WAITING:
                yield f"{_ENDED}{stored.entry.request_id}", stored.entry


def _line_of(node: Node, entry: IntakeEntry) -> IntakeLine:
    return IntakeLine(
        request_id=entry.request_id,
        status=entry.status,
        step=entry.step,
        asker=entry.asker,
        officer=entry.officer,
        case_id=entry.case_id,
        purpose=entry.purpose,
        urgency=entry.urgency,
        person=mask_person(entry.person),
        fields=entry.fields,
        created=entry.created,
        due=entry.due,
        reminded=entry.reminded,
        escalated=entry.escalated,
        answered_by=entry.answered_by,
        came_late=_came_late(node, entry),
    )


def _came_late(node: Node, entry: IntakeEntry) -> bool:
    """True when the other side did not take the answer any more, or never got it."""
    row = find_outbox(node.database, MessageId(entry.reply_id)) if entry.reply_id else None
    if row is None:
        return False
    refused = row.receipt_leaf is not None and decode_leaf(row.receipt_leaf).verdict is Verdict.REFUSED
    return refused or row.state == "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """One act at the desk: who acts, on which entry, on which request, and that policy lets this office answer."""

    errand: Errand
    stored: StoredEntry
    received: Received[Any]
    asked: PolicyRequest
    ruling: Ruling


@on(wire.RELEASE_INTAKE)
async def release(errand: Errand, question: ReleaseQuestion) -> IntakeRelease:
    """Answers a request: hit or no hit, or fields asked for, or fewer, which the officer signs for.

    Refuses INTAKE_UNKNOWN, _ANSWERED, _REFUSED, _EXPIRED, LOOKUP_FIELD, HANDLE_UNKNOWN, VERSION_CONFLICT.
    """
    desk = await _open_desk(errand, question.request_id, ended=IntakeStatus.ANSWERED)
    if isinstance(desk, IntakeRelease):
        return desk
    signed = release_bytes(errand.caller, errand.act.officer, request_id=question.request_id, fields=question.fields)
    is_fetch = desk.stored.entry.step == FETCH.name
    unsigned = await _refuse_unsigned(desk, signed=signed, signature=question.signature, required=is_fetch)
    if unsigned is not None:
        return unsigned
    evaluation = evaluate(desk.received, only=question.fields)
    if evaluation.reply is None:
        ruling = ruling_of(evaluation.decision, agreement_version=errand.in_force.agreement.version)
        await errand.refuse(ruling, asked=evaluation.asked)
        return IntakeRelease(decision=ruling, request_id=question.request_id)
    return await _end(desk, evaluation, status=IntakeStatus.ANSWERED, signature=question.signature)


@on(wire.REFUSE_INTAKE)
async def refuse(errand: Errand, question: RefuseQuestion) -> IntakeRelease:
    """Refuses a request with a reason and a sentence, not even hit or no hit; REFUSAL_WORDS, and as `release`."""
    words = parse_words(question.words)
    desk = await _open_desk(errand, question.request_id, ended=IntakeStatus.REFUSED)
    if isinstance(desk, IntakeRelease):
        return desk
    signed = refuse_bytes(
        errand.caller, errand.act.officer, request_id=question.request_id, reason=question.reason.value, words=words
    )
    unsigned = await _refuse_unsigned(desk, signed=signed, signature=question.signature, required=False)
    if unsigned is not None:
        return unsigned
    refusal = Refusal(lookup_id=desk.stored.entry.lookup_id, reason=question.reason, words=words)
    reply = Evaluation(decision=desk.ruling, asked=(), kind=REFUSAL, reply=refusal, rows=_turned_away(desk.received))
    return await _end(desk, reply, status=IntakeStatus.REFUSED, signature=question.signature)


async def _open_desk(errand: Errand, request_id: str, *, ended: IntakeStatus) -> _Desk | IntakeRelease:
    """The request with policy's word on who may answer it; an answer when there is nothing more to do.

    Another office gets the same logged no whether the request is there or not: it is asked of the desk alone.
    """
    node = errand.node
    is_intake = intake_office(errand.in_force, node.name) == errand.caller
    if not is_intake and not (ruling := await errand.ask(_question(errand, None, intake=False))).allowed:
        return IntakeRelease(decision=ruling, request_id=request_id)
    stored = ENTRIES.find(node.database, request_id)
    if stored is None:
        raise NotFoundError("INTAKE_UNKNOWN", f"no request {request_id!r:.50} waits or waited at this desk")
    entry = stored.entry
    if not _is_repeat(errand, entry, ended):
        verify_waiting(entry, node.now())
    question = _question(errand, entry, intake=is_intake)
    ruling = await errand.ask(question)
    if not ruling.allowed:
        return IntakeRelease(decision=ruling, request_id=request_id)
    if _is_repeat(errand, entry, ended):
        return _answer_of(entry, ruling)
    message = find_message(node.database, "received", entry.request_id)
    if message is None:
        raise NotFoundError("INTAKE_UNKNOWN", f"the message of request {entry.request_id} is not in the store")
    statement, body = statement_of(message), load_body(node.database, message.id)
    received = open_received(node, statement, body, digest=message.digest, in_force=errand.in_force)
    return _Desk(errand=errand, stored=stored, received=received, asked=question, ruling=ruling)


def _question(errand: Errand, entry: IntakeEntry | None, *, intake: bool) -> PolicyRequest:
    """Asks about a request; None: about any at this desk, for the first purpose of look-ups and in time."""
    in_time = True
    occasion = replace(errand.occasion, purpose=LookupPurpose.CRIMINAL_INVESTIGATION.value, function=LOOKUP_FUNCTION)
    if entry is not None:
        in_time = entry.status is not IntakeStatus.EXPIRED and (bool(entry.act_id) or errand.node.now() <= entry.due)
        occasion = replace(occasion, purpose=entry.purpose, function=entry.function)
    dossier = DossierFacts(province=errand.node.name)
    return answer_request(errand.agency, dossier, occasion=occasion, intake=intake, in_time=in_time)


def _is_repeat(errand: Errand, entry: IntakeEntry, ended: IntakeStatus) -> bool:
    return (entry.act_id, entry.status) == (errand.act.request_id, ended)


def _answer_of(entry: IntakeEntry, ruling: Ruling) -> IntakeRelease:
    return IntakeRelease(
        decision=ruling, request_id=entry.request_id, status=entry.status, hit=entry.hit, fields=entry.released
    )


async def _refuse_unsigned(
    desk: _Desk, *, signed: bytes, signature: str | None, required: bool
) -> IntakeRelease | None:
    """The answer when the officer's own signature is missing or wrong, logged; the request waits on."""
    errand = desk.errand
    no: RuleError | None = None
    if signature is None:
        message = "expected the officer's own signature where fields leave: give --key FILE"
        no = RuleError("OFFICER_KEY", message) if required else None
    else:
        try:
            verify_own_key(errand.node.database, signed_by(errand, signature), signed)
        except (UntrustedError, MalformedError) as error:
            no = RuleError("OFFICER_KEY", error.message)
    if no is None:
        return None
    ruling = rule_refusal(errand, no)
    await errand.refuse(ruling, asked=())
    return IntakeRelease(decision=ruling, request_id=desk.stored.entry.request_id)


def _turned_away(received: Received[Any]) -> Rows:
    """For the person's report: somebody was turned away, when there is a record of the person at all."""
    try:
        return evaluate(received).refused
    except MalformedError:  # the record is gone: nobody is left to be told
        return NO_ROWS


async def _end(desk: _Desk, evaluation: Evaluation, *, status: IntakeStatus, signature: str | None) -> IntakeRelease:
    """Sends the reply and ends the entry in one transaction; of two acts at once the first one counts."""
    errand, entry, node = desk.errand, desk.stored.entry, desk.errand.node
    policies = tuple(sorted({*evaluation.decision.policies, *desk.ruling.policies}))
    draft = reply_draft(
        desk.received,
        evaluation.kind,
        evaluation.reply,
        decision=replace(evaluation.decision, policies=policies),
        officer=errand.act.officer,
        asked=(desk.asked, *evaluation.asked),
    )
    ready = prepare(node, draft)
    ended = replace(
        entry,
        status=status,
        answered_by=errand.act.officer,
        act_id=errand.act.request_id,
        reply_id=ready.id,
        hit=evaluation.hit,
        released=evaluation.decision.fields if status is IntakeStatus.ANSWERED else frozenset[str](),
    )

    def record(transaction: GroupTransaction) -> None:
        put_rows(transaction, evaluation.rows, message_id=entry.request_id)
        record_message(node, transaction, ready, in_force=errand.in_force)
        put_entry(transaction, ended, owner=node.name, replaces=desk.stored.version)
        if signature is not None:
            put_records(transaction, [_signature_record(transaction, errand, entry, signature)])

    try:
        await node.sequencer.commit(record)
    except ConflictError:
        now = ENTRIES.find(node.database, entry.request_id)
        if now is None or not _is_repeat(errand, now.entry, status):
            raise
        return _answer_of(now.entry, desk.ruling)
    wake(node, evaluation.rows)
    node.wake_delivery(entry.asker.node)
    return _answer_of(ended, desk.ruling)


def _signature_record(transaction: GroupTransaction, errand: Errand, entry: IntakeEntry, signature: str) -> Record:
    """The record of who signed for the end of a request, and of the key that was registered then."""
    signed = {
        "agency": str(errand.caller),
        "officer": errand.act.officer,
        "key": find_officer_key(transaction, errand.caller, errand.act.officer) or "",
        "signature": signature,
    }
    return Record(
        id=entry.request_id,
        kind=SIGNATURE,
        owner=errand.node.name,
        version=1,
        replica=True,
        status="signed",
        division=errand.caller.county,
        content=encode_canonical(signed),
    )
