"""The intake desk at work: what waits there, and a person's release or refusal.

Rules kept: one office answers for the province, and policy says so (`lookup.answer`); what is released is weighed again
with what is known now, by the rules of an answer that the node gives by itself; fields leave with the own signature of
the officer only; reply, end of the entry and what the person may later be told are one transaction. A repeat of the
same act changes nothing.
Source: 公安机关办理刑事案件程序规定 article 347.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from federation.domain.lookup.intake import IntakeEntry, IntakeStatus, refuse_bytes, release_bytes, verify_waiting
from federation.domain.lookup.refusal import REFUSAL_BODY, Refusal, encode_refusal, parse_words
from federation.domain.lookup_policy import DossierFacts, answer_request
from federation.domain.permit_policy import Occasion
from federation.node.exchange.errand import Errand, begin_errand, record_refusal, rule
from federation.node.exchange.judge import Incoming
from federation.node.exchange.replies import Answering, intake_office, one_item_body, record_reply
from federation.node.lookups.answering.fetch import release_fetch, remember_fetch, weigh_fetch
from federation.node.lookups.answering.search import answer_search, remember_search, weigh_search
from federation.node.lookups.intake.entries import KeptEntry, find_entry, load_entry, load_incoming, put_entry
from federation.node.lookups.intake.own_signature import find_key_refusal, put_signature
from federation.node.lookups.kinds import ANSWER_KIND, FETCH_KIND, REFUSAL_KIND, RELEASE_KIND, SEARCH_KIND
from federation.node.node import Node
from federation.protocol.body import Body
from federation.protocol.errors import ConflictError, MalformedError
from federation.protocol.ids import AgencyId
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest
from federation.store.exchange_log import GroupTransaction
from federation.wire.lookups.intake.values import IntakeAnswer, RefuseQuestion, ReleaseQuestion
from federation.wire.values import Act, Ruling, ruling_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What would be replied: what policy was asked for it and said, and how the body is made, with its rows."""

    kind: str
    asked: tuple[PolicyRequest, ...]
    decision: Decision
    write: Callable[[GroupTransaction], Body]
    hit: bool | None = None
    sign: Callable[[GroupTransaction], object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """One act at the desk: who acts, on which entry, on which request, and that policy lets this office answer."""

    errand: Errand
    kept: KeptEntry
    incoming: Incoming
    asked: PolicyRequest
    ruling: Ruling

    @property
    def is_fetch(self) -> bool:
        """Whether fields would leave the province."""
        return self.kept.entry.step == FETCH_KIND


async def release(node: Node, question: ReleaseQuestion, *, caller: AgencyId, act: Act) -> IntakeAnswer:
    """Answers a request that waits: hit or no hit, or the fields asked for, or fewer, which the officer signs for.

    Raises:
        NotFoundError: INTAKE_UNKNOWN. RuleError: INTAKE_ANSWERED, INTAKE_REFUSED, INTAKE_EXPIRED.
        MalformedError: LOOKUP_FIELD for a field that was not asked for; HANDLE_UNKNOWN when the record is gone.
        ConflictError: VERSION_CONFLICT when another act came at the same moment.
    """
    errand = begin_errand(node, caller, act)
    desk = await _open_desk(errand, question.request_id, ended=IntakeStatus.ANSWERED)
    if isinstance(desk, IntakeAnswer):
        return desk
    signed = release_bytes(caller, act.officer, request_id=question.request_id, fields=question.fields)
    refused = await _refuse_unsigned(desk, signed=signed, signature=question.signature, required=desk.is_fetch)
    if refused is not None:
        return refused
    reply = _weigh(desk, question.fields)
    if not reply.decision.allowed:
        ruling = ruling_of(reply.decision, agreement_version=errand.in_force.agreement.version)
        await record_refusal(errand, ruling, asked=reply.asked)
        return IntakeAnswer(decision=ruling, request_id=question.request_id)
    reply = replace(reply, sign=_signing(desk, question.signature))
    return await _end(desk, reply, status=IntakeStatus.ANSWERED)


async def refuse(node: Node, question: RefuseQuestion, *, caller: AgencyId, act: Act) -> IntakeAnswer:
    """Refuses a request that waits, with a reason and a sentence; no field goes out, not even hit or no hit.

    Raises:
        MalformedError: REFUSAL_WORDS. NotFoundError: INTAKE_UNKNOWN.
        RuleError: INTAKE_ANSWERED, INTAKE_REFUSED, INTAKE_EXPIRED. ConflictError: VERSION_CONFLICT.
    """
    words = parse_words(question.words)
    errand = begin_errand(node, caller, act)
    desk = await _open_desk(errand, question.request_id, ended=IntakeStatus.REFUSED)
    if isinstance(desk, IntakeAnswer):
        return desk
    signed = refuse_bytes(
        caller, act.officer, request_id=question.request_id, reason=question.reason.value, words=words
    )
    unsigned = await _refuse_unsigned(desk, signed=signed, signature=question.signature, required=False)
    if unsigned is not None:
        return unsigned
    refusal = Refusal(lookup_id=desk.kept.entry.lookup_id, reason=question.reason, words=words)

    def write(transaction: GroupTransaction) -> Body:
        _remember_refused(node, transaction, desk)
        return one_item_body(REFUSAL_BODY, encode_refusal(refusal))

    sign = _signing(desk, question.signature)
    reply = _Reply(kind=REFUSAL_KIND, asked=(), decision=desk.ruling, write=write, sign=sign)
    return await _end(desk, reply, status=IntakeStatus.REFUSED)


async def _refuse_unsigned(desk: _Desk, *, signed: bytes, signature: str | None, required: bool) -> IntakeAnswer | None:
    """The answer when the officer's own signature is missing or wrong, logged; the request waits on."""
    ruling = find_key_refusal(desk.errand, signed=signed, signature=signature, required=required)
    if ruling is None:
        return None
    await record_refusal(desk.errand, ruling, asked=())
    return IntakeAnswer(decision=ruling, request_id=desk.kept.entry.request_id)


def _signing(desk: _Desk, signature: str | None) -> Callable[[GroupTransaction], object] | None:
    if signature is None:
        return None
    request_id = desk.kept.entry.request_id
    return lambda tx: put_signature(tx, desk.errand, request_id=request_id, signature=signature)


async def _open_desk(errand: Errand, request_id: str, *, ended: IntakeStatus) -> _Desk | IntakeAnswer:
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
        return IntakeAnswer(decision=ruling, request_id=request_id)
    if _is_repeat(errand, entry, ended):
        return _answer_of(entry, ruling)
    return _Desk(errand=errand, kept=kept, incoming=load_incoming(node.database, entry), asked=asked, ruling=ruling)


def _question(errand: Errand, entry: IntakeEntry, *, intake: bool) -> PolicyRequest:
    realm = errand.in_force.agreement.realm
    occasion = Occasion(purpose=entry.purpose, function=entry.function, realm=realm, node_realm=realm)
    in_time = entry.status is not IntakeStatus.EXPIRED and (bool(entry.act_id) or errand.node.now() <= entry.due)
    dossier = DossierFacts(province=errand.node.name)
    return answer_request(errand.agency, dossier, occasion=occasion, intake=intake, in_time=in_time)


def _is_repeat(errand: Errand, entry: IntakeEntry, ended: IntakeStatus) -> bool:
    return (entry.act_id, entry.status) == (errand.act.request_id, ended)


def _answer_of(entry: IntakeEntry, ruling: Ruling) -> IntakeAnswer:
    """The answer to an act, from what it left: a repeat of the act gets the same."""
    return IntakeAnswer(
        decision=ruling, request_id=entry.request_id, status=entry.status, hit=entry.hit, fields=entry.released
    )


def _weigh(desk: _Desk, fields: frozenset[str]) -> _Reply:
    """Weighs the request again, with what is known now."""
    errand, incoming = desk.errand, desk.incoming
    node = errand.node
    if desk.kept.entry.step == SEARCH_KIND:
        if fields:
            raise MalformedError("LOOKUP_FIELD", "a search is answered with hit or no hit; expected no field")
        search = weigh_search(node, incoming, errand.in_force)
        return _Reply(
            kind=ANSWER_KIND,
            asked=(search.asked,),
            decision=search.decision,
            write=lambda tx: answer_search(node, tx, incoming, weighed=search),
            hit=bool(search.hits),
        )
    fetch = weigh_fetch(node, incoming, errand.in_force)
    if not fields <= fetch.item.fields:
        raise MalformedError("LOOKUP_FIELD", f"expected fields that were asked for: {sorted(fetch.item.fields)}")
    if fields:
        fetch = replace(fetch, decision=replace(fetch.decision, fields=fetch.decision.fields & fields))
    return _Reply(
        kind=RELEASE_KIND,
        asked=fetch.asked,
        decision=fetch.decision,
        write=lambda tx: release_fetch(node, tx, incoming, weighed=fetch),
    )


async def _end(desk: _Desk, reply: _Reply, *, status: IntakeStatus) -> IntakeAnswer:
    """Sends the reply and ends the entry in one transaction; of two acts at once the first one counts."""
    errand, kept = desk.errand, desk.kept
    node, act = errand.node, errand.act
    released = reply.decision.fields if status is IntakeStatus.ANSWERED else frozenset[str]()
    policies = tuple(sorted({*reply.decision.policies, *desk.ruling.policies}))

    def record(transaction: GroupTransaction) -> IntakeEntry:
        answering = Answering(
            kind=reply.kind,
            body=reply.write(transaction),
            decision=replace(reply.decision, policies=policies),
            officer=act.officer,
            asked=(desk.asked, *reply.asked),
        )
        ended = replace(
            kept.entry,
            status=status,
            answered_by=act.officer,
            act_id=act.request_id,
            reply_id=record_reply(node, transaction, desk.incoming, answering=answering),
            hit=reply.hit,
            released=released,
        )
        put_entry(transaction, ended, owner=node.name, replaces=kept.version)
        if reply.sign is not None:
            reply.sign(transaction)
        return ended

    try:
        ended = (await node.sequencer.commit(record)).value
    except ConflictError:
        now = find_entry(node.database, kept.entry.request_id)
        if now is None or not _is_repeat(errand, now.entry, status):
            raise
        return _answer_of(now.entry, desk.ruling)
    node.wake_delivery(kept.entry.asker.node)
    return _answer_of(ended, desk.ruling)


def _remember_refused(node: Node, transaction: GroupTransaction, desk: _Desk) -> None:
    """Keeps for the person that somebody was turned away, when there is a record of the person at all."""
    in_force, incoming = desk.errand.in_force, desk.incoming
    if desk.kept.entry.step == SEARCH_KIND:
        weighed = weigh_search(node, incoming, in_force)
        remember_search(node, transaction, incoming, weighed=weighed, verdict=Verdict.REFUSED)
        return
    try:
        fetch = weigh_fetch(node, incoming, in_force)
    except MalformedError:  # the record is gone: nobody is left to be told
        return
    remember_fetch(node, transaction, incoming, weighed=fetch, verdict=Verdict.REFUSED)
