"""The intake desk at work: what waits there, and a person's release or refusal.

Rules kept: one office answers for the province, and policy says so (`lookup.answer`); what is released is weighed again
with what is known now, by the rules of an answer that the node gives by itself; fields leave with the own signature of
the officer only; reply, end of the entry and what the person may later be told are one transaction. A repeat of the
same act changes nothing.
Source: 公安机关办理刑事案件程序规定 article 347.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from federation.domain.intake import (
    IntakeEntry,
    IntakeStatus,
    Refusal,
    parse_words,
    refuse_bytes,
    release_bytes,
    verify_waiting,
)
from federation.domain.lookups import AnswerItem, ReleaseItem
from federation.domain.lookups_policy import DossierFacts, answer_request
from federation.domain.permits_policy import Occasion
from federation.node.exchange.errand import Errand, record_refusal, rule
from federation.node.exchange.judge import NO_ROWS, Kind, Received, Rows, put_rows
from federation.node.exchange.replies import intake_office, reply_draft
from federation.node.exchange.send import make_ready, record_message
from federation.node.lookups.answering.fetch import disclosed_fetch, release_fetch, weigh_fetch
from federation.node.lookups.answering.search import answer_search, disclosed_search, weigh_search
from federation.node.lookups.answering.told import ANSWER, REFUSAL, RELEASED
from federation.node.lookups.intake.entries import KeptEntry, find_entry, load_entry, load_received, put_entry
from federation.node.lookups.intake.own_signature import find_key_refusal, put_signature
from federation.node.lookups.kinds import FETCH_KIND, SEARCH_KIND
from federation.protocol.errors import ConflictError, MalformedError
from federation.protocol.form import replace
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.intake import IntakeRelease, RefuseQuestion, ReleaseQuestion
from federation.wire.values import Ruling, ruling_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What would be replied: what policy was asked for it and said, and the rows that go with it."""

    kind: Kind[Any]
    item: AnswerItem | ReleaseItem | Refusal | None
    rows: Rows
    asked: tuple[PolicyRequest, ...]
    decision: Decision
    hit: bool | None = None
    sign: Callable[[GroupTransaction], object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """One act at the desk: who acts, on which entry, on which request, and that policy lets this office answer."""

    errand: Errand
    kept: KeptEntry
    received: Received[Any]
    asked: PolicyRequest
    ruling: Ruling

    @property
    def is_fetch(self) -> bool:
        """Whether fields would leave the province."""
        return self.kept.entry.step == FETCH_KIND


async def release(errand: Errand, question: ReleaseQuestion) -> IntakeRelease:
    """Answers a request that waits: hit or no hit, or the fields asked for, or fewer, which the officer signs for.

    Raises:
        NotFoundError: INTAKE_UNKNOWN. RuleError: INTAKE_ANSWERED, INTAKE_REFUSED, INTAKE_EXPIRED.
        MalformedError: LOOKUP_FIELD for a field that was not asked for; HANDLE_UNKNOWN when the record is gone.
        ConflictError: VERSION_CONFLICT when another act came at the same moment.
    """
    desk = await _open_desk(errand, question.request_id, ended=IntakeStatus.ANSWERED)
    if isinstance(desk, IntakeRelease):
        return desk
    signed = release_bytes(errand.caller, errand.act.officer, request_id=question.request_id, fields=question.fields)
    refused = await _refuse_unsigned(desk, signed=signed, signature=question.signature, required=desk.is_fetch)
    if refused is not None:
        return refused
    reply = _weigh(desk, question.fields)
    if not reply.decision.allowed:
        ruling = ruling_of(reply.decision, agreement_version=errand.in_force.agreement.version)
        await record_refusal(errand, ruling, asked=reply.asked)
        return IntakeRelease(decision=ruling, request_id=question.request_id)
    reply = replace(reply, sign=_signing(desk, question.signature))
    return await _end(desk, reply, status=IntakeStatus.ANSWERED)


async def refuse(errand: Errand, question: RefuseQuestion) -> IntakeRelease:
    """Refuses a request that waits, with a reason and a sentence; no field goes out, not even hit or no hit.

    Raises:
        MalformedError: REFUSAL_WORDS. NotFoundError: INTAKE_UNKNOWN.
        RuleError: INTAKE_ANSWERED, INTAKE_REFUSED, INTAKE_EXPIRED. ConflictError: VERSION_CONFLICT.
    """
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
    refusal = Refusal(lookup_id=desk.kept.entry.lookup_id, reason=question.reason, words=words)

    sign = _signing(desk, question.signature)
    reply = _Reply(kind=REFUSAL, item=refusal, rows=_refused_rows(desk), asked=(), decision=desk.ruling, sign=sign)
    return await _end(desk, reply, status=IntakeStatus.REFUSED)


async def _refuse_unsigned(
    desk: _Desk, *, signed: bytes, signature: str | None, required: bool
) -> IntakeRelease | None:
    """The answer when the officer's own signature is missing or wrong, logged; the request waits on."""
    ruling = find_key_refusal(desk.errand, signed=signed, signature=signature, required=required)
    if ruling is None:
        return None
    await record_refusal(desk.errand, ruling, asked=())
    return IntakeRelease(decision=ruling, request_id=desk.kept.entry.request_id)


def _signing(desk: _Desk, signature: str | None) -> Callable[[GroupTransaction], object] | None:
    if signature is None:
        return None
    request_id = desk.kept.entry.request_id
    return lambda tx: put_signature(tx, desk.errand, request_id=request_id, signature=signature)


async def _open_desk(errand: Errand, request_id: str, *, ended: IntakeStatus) -> _Desk | IntakeRelease:
    """The request with policy's word on who may answer it; an answer when there is nothing more to do."""
    node = errand.node
    kept = load_entry(node.database, request_id)
    entry = kept.entry
    is_intake = intake_office(errand.in_force, node.name) == errand.caller
    if is_intake and not _is_repeat(errand, entry, ended):
        verify_waiting(entry, node.now())
    asked = _question(errand, entry, intake=is_intake)
    ruling = rule(errand, asked)
    if not ruling.allowed:
        await record_refusal(errand, ruling, asked=[asked])
        return IntakeRelease(decision=ruling, request_id=request_id)
    if _is_repeat(errand, entry, ended):
        return _answer_of(entry, ruling)
    received = load_received(node, errand.in_force, entry)
    return _Desk(errand=errand, kept=kept, received=received, asked=asked, ruling=ruling)


def _question(errand: Errand, entry: IntakeEntry, *, intake: bool) -> PolicyRequest:
    realm = errand.in_force.agreement.realm
    occasion = Occasion(purpose=entry.purpose, function=entry.function, realm=realm, node_realm=realm)
    in_time = entry.status is not IntakeStatus.EXPIRED and (bool(entry.act_id) or errand.node.now() <= entry.due)
    dossier = DossierFacts(province=errand.node.name)
    return answer_request(errand.agency, dossier, occasion=occasion, intake=intake, in_time=in_time)


def _is_repeat(errand: Errand, entry: IntakeEntry, ended: IntakeStatus) -> bool:
    return (entry.act_id, entry.status) == (errand.act.request_id, ended)


def _answer_of(entry: IntakeEntry, ruling: Ruling) -> IntakeRelease:
    """The answer to an act, from what it left: a repeat of the act gets the same."""
    return IntakeRelease(
        decision=ruling, request_id=entry.request_id, status=entry.status, hit=entry.hit, fields=entry.released
    )


def _weigh(desk: _Desk, fields: frozenset[str]) -> _Reply:
    """Weighs the request again, with what is known now."""
    received = desk.received
    if desk.kept.entry.step == SEARCH_KIND:
        if fields:
            raise MalformedError("LOOKUP_FIELD", "a search is answered with hit or no hit; expected no field")
        search = weigh_search(received)
        answer, rows = answer_search(received, search)
        return _Reply(
            kind=ANSWER,
            item=answer,
            rows=rows,
            asked=(search.asked,),
            decision=search.decision,
            hit=bool(search.hits),
        )
    fetch = weigh_fetch(received)
    if not fields <= fetch.item.fields:
        raise MalformedError("LOOKUP_FIELD", f"expected fields that were asked for: {sorted(fetch.item.fields)}")
    if fields:
        fetch = replace(fetch, decision=replace(fetch.decision, fields=fetch.decision.fields & fields))
    if not fetch.decision.allowed:
        return _Reply(kind=RELEASED, item=None, rows=NO_ROWS, asked=fetch.asked, decision=fetch.decision)
    release, rows = release_fetch(received, fetch)
    return _Reply(kind=RELEASED, item=release, rows=rows, asked=fetch.asked, decision=fetch.decision)


async def _end(desk: _Desk, reply: _Reply, *, status: IntakeStatus) -> IntakeRelease:
    """Sends the reply and ends the entry in one transaction; of two acts at once the first one counts."""
    errand, kept = desk.errand, desk.kept
    node, act = errand.node, errand.act
    released = reply.decision.fields if status is IntakeStatus.ANSWERED else frozenset[str]()
    policies = tuple(sorted({*reply.decision.policies, *desk.ruling.policies}))
    draft = reply_draft(
        desk.received,
        reply.kind,
        reply.item,
        decision=replace(reply.decision, policies=policies),
        officer=act.officer,
        asked=(desk.asked, *reply.asked),
    )
    ready = make_ready(node, draft)
    ended = replace(
        kept.entry,
        status=status,
        answered_by=act.officer,
        act_id=act.request_id,
        reply_id=ready.id,
        hit=reply.hit,
        released=released,
    )

    def record(transaction: GroupTransaction) -> None:
        put_rows(transaction, reply.rows, message_id=kept.entry.request_id)
        record_message(node, transaction, ready, in_force=errand.in_force)
        put_entry(transaction, ended, owner=node.name, replaces=kept.version)
        if reply.sign is not None:
            reply.sign(transaction)

    try:
        await node.sequencer.commit(record)
    except ConflictError:
        now = find_entry(node.database, kept.entry.request_id)
        if now is None or not _is_repeat(errand, now.entry, status):
            raise
        return _answer_of(now.entry, desk.ruling)
    node.wake_delivery(kept.entry.asker.node)
    return _answer_of(ended, desk.ruling)


def _refused_rows(desk: _Desk) -> Rows:
    """For the person's report: somebody was turned away, when there is a record of the person at all."""
    received = desk.received
    if desk.kept.entry.step == SEARCH_KIND:
        return Rows(records=disclosed_search(received, weigh_search(received), verdict=Verdict.REFUSED))
    try:
        fetch = weigh_fetch(received)
    except MalformedError:  # the record is gone: nobody is left to be told
        return NO_ROWS
    return Rows(records=disclosed_fetch(received, fetch, verdict=Verdict.REFUSED))
