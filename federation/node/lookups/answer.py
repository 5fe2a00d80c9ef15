"""Answering: a question of another province is judged by our policy and answered; its answers to ours are taken in.

What policy allows is answered in the transaction that receives the question: the reply is numbered, signed and logged
there. A hit is an opaque handle, never a field; several records of one person are one hit. A fetch is judged anew:
case, handle, officer's signature, every field. What a person must answer waits at the desk, and is evaluated again by
these functions then. Source: DESIGN section 3 (asking), 公安机关办理刑事案件程序规定 articles 346 to 353.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from federation.domain.citizen_number import age_on, is_citizen_number
from federation.domain.intake import REFUSAL_BODY, IntakeEntry, IntakeStatus, Refusal
from federation.domain.lookups import (
    ANSWER_BODY,
    DOSSIER_OF,
    FETCH_BODY,
    HANDLE_RANDOM_BYTES,
    LOOKUP_CLOCKS,
    RELEASE_BODY,
    SEARCH_BODY,
    AnswerItem,
    FetchItem,
    Handle,
    ReleaseItem,
    SearchItem,
    Selector,
    SelectorKind,
    Urgency,
    decode_answer_item,
    decode_fetch_item,
    decode_release_item,
    decode_search_item,
    format_handle,
    handle_expires,
    no_handle,
    release_fields,
    urgency_of,
    verify_handle,
    verify_step_up,
)
from federation.domain.lookups_case import (
    DossierFacts,
    LookupCase,
    LookupOccasion,
    fetch_request,
    is_joint_code,
    lookup_occasion,
    search_request,
)
from federation.domain.permits import Permit, decode_permit, parse_permit_urn, shown_permit
from federation.domain.permits_policy import CHILD_AGE
from federation.domain.registers import (
    DOSSIER_FIELDS,
    REPRESENTATIVE_FIELDS,
    DossierKind,
    DossierRef,
    Enterprise,
    Vehicle,
    enterprise_texts,
    parse_dossier_urn,
    vehicle_texts,
)
from federation.domain.retention import PROVISION, QUESTION, RELEASE
from federation.node.disclosures import disclosure_of, disclosure_record
from federation.node.exchange.judge import NO_ROWS, Judgement, Kind, Numbered, Received, Rows, item_kind, rule_decision
from federation.node.exchange.replies import reply_draft, statement_of, take_reply, verify_reply
from federation.node.joint.mandates import as_it_stands
from federation.node.lookups import records
from federation.node.node import Node
from federation.node.officer_keys import is_pinned
from federation.node.officers import verify_counts
from federation.node.oversight.flags import desk_for, desk_key, flag_records, judge_hit
from federation.node.permits_sharing import PERMIT, find_own_permit
from federation.node.registers import ENTERPRISES, VEHICLES, Registered, find_registered, list_registered
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.form import Item, replace
from federation.protocol.ids import MessageId, NodeName
from federation.protocol.keys import Suite, format_public_key
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest, decide
from federation.store.records import Record, find_by_subject


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDossier:
    """A record of ours that a question found, kept by `division`; `person` and `person_fields` say whom it tells of."""

    ref: DossierRef
    division: str
    sealed: bool
    born: date | None
    texts: Mapping[str, str]
    person: str | None
    person_fields: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"FoundDossier({self.ref.kind}, {self.division})"

    def subject(self, fields: frozenset[str]) -> str | None:
        """The citizen number of the person who is told that these fields were asked for; None when nobody is."""
        personal = self.person_fields is None or bool(fields & self.person_fields)
        return self.person if personal else None

    def release(self, fields: frozenset[str]) -> Mapping[str, str]:
        """The named fields as text; what the record does not have is left out, what was not named, too."""
        return MappingProxyType({name: text for name, text in self.texts.items() if name in fields})


def find_own(node: Node, selector: Selector) -> list[FoundDossier]:
    """Our own records that a question names, newest permit first; copies of other provinces answer no look-up."""
    if selector.kind is SelectorKind.PLATE:
        return [_of_vehicle(node, kept) for kept in list_registered(node.database, VEHICLES, selector.value)]
    if selector.kind is SelectorKind.USCC:
        return [_of_enterprise(node, kept) for kept in list_registered(node.database, ENTERPRISES, selector.value)]
    if selector.kind is SelectorKind.PERMIT:
        found = find_own_permit(node.database, parse_permit_urn(selector.value))
        return [_of_permit(found, node.today())] if found is not None else []
    permits = sorted(_permits_of(node, selector.value), key=lambda permit: permit.issue_date, reverse=True)
    return [_of_permit(permit, node.today()) for permit in permits]


def find_dossier(node: Node, ref: DossierRef) -> FoundDossier | None:
    """The record of ours that a handle stands for, as it is now; None when it is no longer here."""
    if ref.kind is DossierKind.VEHICLE:
        vehicle = find_registered(node.database, VEHICLES, ref.id)
        return _of_vehicle(node, vehicle) if vehicle is not None else None
    if ref.kind is DossierKind.ENTERPRISE:
        enterprise = find_registered(node.database, ENTERPRISES, ref.id)
        return _of_enterprise(node, enterprise) if enterprise is not None else None
    permit = find_own_permit(node.database, parse_permit_urn(ref.id))
    return _of_permit(permit, node.today()) if permit is not None else None


def dossier_of(province: NodeName, found: FoundDossier, today: date) -> DossierFacts:
    return DossierFacts(
        province=province,
        kind=found.ref.kind.value,
        issuing_division=found.division,
        sealed=found.sealed,
        minor=found.born is not None and age_on(found.born, today) < CHILD_AGE,
    )


def _of_permit(permit: Permit, today: date) -> FoundDossier:
    fields = DOSSIER_FIELDS[DossierKind.PERMIT]
    return FoundDossier(
        ref=DossierRef(kind=DossierKind.PERMIT, id=permit.urn),
        division=permit.residence_division,
        sealed=permit.sealed,
        born=permit.holder.birth_date,
        texts=release_fields(shown_permit(permit, fields, today=today), fields),
        person=permit.holder.citizen_number,
    )


def _of_vehicle(node: Node, kept: Registered[Vehicle]) -> FoundDossier:
    vehicle = kept.facts
    person = vehicle.keeper if is_citizen_number(vehicle.keeper, node.trust.in_force.agreement.realm) else None
    return FoundDossier(
        ref=DossierRef(kind=DossierKind.VEHICLE, id=kept.id),
        division=vehicle.registered_division,
        sealed=vehicle.sealed or _is_sealed(node, person),
        born=_born(person),
        texts=vehicle_texts(vehicle),
        person=person,
    )


def _of_enterprise(node: Node, kept: Registered[Enterprise]) -> FoundDossier:
    enterprise = kept.facts
    return FoundDossier(
        ref=DossierRef(kind=DossierKind.ENTERPRISE, id=kept.id),
        division=enterprise.division,
        sealed=_is_sealed(node, enterprise.representative_number),
        born=_born(enterprise.representative_number),
        texts=enterprise_texts(enterprise),
        person=enterprise.representative_number,
        person_fields=REPRESENTATIVE_FIELDS,
    )


def _permits_of(node: Node, citizen_number: str) -> list[Permit]:
    stored = find_by_subject(node.database, PERMIT, citizen_number)
    return [decode_permit(record.content) for record in stored if not record.replica]


def _is_sealed(node: Node, person: str | None) -> bool:
    return person is not None and any(permit.sealed for permit in _permits_of(node, person))


def _born(person: str | None) -> date | None:
    return None if person is None else date(int(person[6:10]), int(person[10:12]), int(person[12:14]))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evaluation:
    """A question as policy and the store see it now, and what would be replied to it (None: refused).

    `asked` are the questions that decide, `asked_of_records` those about single records, which show in the answer only.
    `by_desk`: a person must answer. `rows` go with the reply, `refused` with a no. `person` is a number, or the record
    behind the handle.
    """

    decision: Decision
    asked: tuple[PolicyRequest, ...]
    asked_of_records: tuple[PolicyRequest, ...] = ()
    by_desk: bool = False
    kind: Kind[Any]
    reply: Item | None = None
    rows: Rows = NO_ROWS
    refused: Rows = NO_ROWS
    person: str = ""

    @property
    def hit(self) -> bool | None:
        return self.reply.hit if isinstance(self.reply, AnswerItem) else None


def evaluate(received: Received[Any], *, only: frozenset[str] = frozenset()) -> Evaluation:
    """Evaluates a waiting question again, for the fields `only`; refuses LOOKUP_FIELD."""
    if received.statement.kind == FETCH.name:
        return _evaluate_fetch(received, only=only)
    if only:
        raise MalformedError("LOOKUP_FIELD", "a search is answered with hit or no hit; expected no field")
    return _evaluate_search(received)


def _judge_question(received: Received[SearchItem] | Received[FetchItem], evaluation: Evaluation) -> Judgement:
    """Judges a question: what policy allows is answered at once, or waits for a person."""
    rows = NO_ROWS
    if evaluation.by_desk:
        item = received.item
        fields = item.fields if isinstance(item, FetchItem) else frozenset[str]()
        entry = _entry_of(received, lookup_id=item.lookup_id, person=evaluation.person, fields=fields)
        rows = Rows(records=(records.entry_record(entry, owner=received.node.name),))
    elif evaluation.reply is not None:
        draft = reply_draft(received, evaluation.kind, evaluation.reply, decision=evaluation.decision)
        rows = replace(evaluation.rows, drafts=(draft,))
    return Judgement(
        decision=evaluation.decision,
        asked=evaluation.asked,
        asked_of_records=evaluation.asked_of_records,
        rows=rows,
        refused=evaluation.refused,
    )


def _urgency_of(received: Received[Any]) -> Urgency:
    asked = received.statement.created
    urgent = received.in_force.time_of(LOOKUP_CLOCKS[Urgency.URGENT], asked)
    return urgency_of(asked, received.statement.expires, urgent=urgent)


def _entry_of(received: Received[Any], *, lookup_id: MessageId, person: str, fields: frozenset[str]) -> IntakeEntry:
    """A question that begins to wait for a person: until its own statement ends."""
    statement = received.statement
    return IntakeEntry(
        request_id=statement.id,
        digest=received.digest,
        seq=statement.seq,
        status=IntakeStatus.WAITING,
        lookup_id=lookup_id,
        step=statement.kind,
        asker=statement.sender.agency,
        officer=statement.sender.officer or "",
        case_id=statement.case or "",
        purpose=statement.purpose,
        function=statement.function,
        urgency=_urgency_of(received),
        person=person,
        fields=fields,
        created=statement.created,
        due=statement.expires,
    )


def _judge_search(received: Received[SearchItem]) -> Judgement:
    """Judges a search that policy allows by what was answered before, to this office and in this case."""
    evaluation = _evaluate_search(received)
    if not evaluation.decision.allowed:
        return _judge_question(received, evaluation)
    counts = records.answered_counts(received.node, received.statement, received.item.selector)
    try:
        records.verify_countable(received.node.database, counts)
    except RuleError as error:
        return _judge_question(received, replace(evaluation, decision=rule_decision(error), asked=()))
    judged = _judge_question(received, evaluation)
    return replace(judged, rows=replace(judged.rows, counted=tuple(counts)))


def _evaluate_search(received: Received[SearchItem]) -> Evaluation:
    """Puts a search to policy: without a record, then for each record found.

    What policy keeps from this asker is no hit, since a refusal would tell that it exists; the person hears who tried.
    """
    node, item, policies = received.node, received.item, received.in_force.policies
    try:
        verify_counts(node.database, received.statement.sender)
    except RuleError as error:
        return Evaluation(decision=rule_decision(error), asked=(), kind=ANSWER)
    case = _find_case(received, item.case_id)
    nothing_yet = DossierFacts(province=node.name, kind=DOSSIER_OF[item.selector.kind].value)
    request = search_request(received.sender, nothing_yet, occasion=_occasion_of(received, case))
    decision = decide(policies, request)
    about: list[tuple[FoundDossier, PolicyRequest]] = []
    for found in find_own(node, item.selector) if decision.allowed else ():
        occasion, dossier = _occasion_of(received, case, found), dossier_of(node.name, found, node.today())
        about.append((found, search_request(received.sender, dossier, occasion=occasion)))
    decisions = [(found, decide(policies, question)) for found, question in about]
    hits = [found for found, said in decisions if said.allowed]
    hidden = [found for found, said in decisions if not said.allowed]
    refused = Rows(records=_disclosed(received, (hits or hidden)[:1], case, verdict=Verdict.REFUSED))
    answer, rows = AnswerItem(lookup_id=item.lookup_id, hit=False), NO_ROWS if hits else refused
    if hits and case is not None:
        answer, rows = _hit(received, case, hits)
    return Evaluation(
        decision=decision,
        asked=(request,),
        asked_of_records=tuple(question for _, question in about),
        by_desk=decision.by_desk or any(said.by_desk for _, said in decisions),
        kind=ANSWER,
        reply=answer if decision.allowed else None,
        rows=rows,
        refused=refused,
        person=item.selector.value,
    )


def _hit(received: Received[SearchItem], case: LookupCase, hits: Sequence[FoundDossier]) -> tuple[AnswerItem, Rows]:
    """A hit leaves its handle, its flags at the desks of its counties, and what the person may later be told."""
    node, sender = received.node, received.statement.sender
    handle = Handle(
        handle=format_handle(secrets.token_bytes(HANDLE_RANDOM_BYTES)),
        lookup_id=received.item.lookup_id,
        case_id=case.case_id,
        asker=sender.agency,
        officer=sender.officer or "",
        dossier=hits[0].ref.id,
        expires=handle_expires(case, node.now()),
    )
    flags: list[Numbered] = []
    desks = [desk_for(node, found.division) for found in hits]
    for found, desk in zip(hits, desks, strict=True):
        raised = judge_hit(node.database, replace(handle, dossier=found.ref.id), node.now())
        flags += flag_records(raised, owner=node.name, desk=desk)
    disclosed = _disclosed(received, hits[:1], case, verdict=Verdict.ALLOWED)
    rows = Rows(
        records=(records.HANDLES.record(handle, owner=node.name), *disclosed),
        numbered=tuple(flags),
        wakes=tuple(map(desk_key, desks)),
    )
    return AnswerItem(lookup_id=handle.lookup_id, hit=True, handle=handle.handle, expires=handle.expires), rows


def _judge_fetch(received: Received[FetchItem]) -> Judgement:
    return _judge_question(received, _evaluate_fetch(received))


def _evaluate_fetch(received: Received[FetchItem], *, only: frozenset[str] = frozenset()) -> Evaluation:
    """Puts a fetch to the rules of its handle and to policy: the case, the officer's signature, every field."""
    node, item = received.node, received.item
    if not only <= item.fields:
        raise MalformedError("LOOKUP_FIELD", f"expected fields that were asked for: {sorted(item.fields)}")
    case = _find_case(received, received.statement.case or "")
    handle = records.HANDLES.find(node.database, item.handle)
    found = find_dossier(node, parse_dossier_urn(handle.dossier)) if handle is not None else None
    held = [found] if found is not None else []
    refused = Rows(records=_disclosed(received, held, case, verdict=Verdict.REFUSED, fields=item.fields))
    try:
        verify_counts(node.database, received.statement.sender, key=f"{Suite.ED25519}:{item.officer_key}")
        handle, found = _verify_handle(received, handle, found)
    except RuleError as error:
        return Evaluation(decision=rule_decision(error), asked=(), kind=RELEASED, refused=refused)
    occasion, dossier = _occasion_of(received, case, found), dossier_of(node.name, found, node.today())
    occasion = replace(occasion, step_up=_is_signed(received, item))
    request = fetch_request(received.sender, dossier, occasion=occasion, fields=item.fields)
    decision = decide(received.in_force.policies, request)
    if only:
        decision = replace(decision, fields=decision.fields & only)
    fields = decision.fields & item.fields
    release = ReleaseItem(
        lookup_id=item.lookup_id, handle=item.handle, fields=found.release(fields), expires=handle.expires
    )
    disclosed = _disclosed(received, held, case, verdict=Verdict.ALLOWED, fields=fields)
    return Evaluation(
        decision=decision,
        asked=(request,),
        by_desk=decision.by_desk,
        kind=RELEASED,
        reply=release if decision.allowed else None,
        rows=Rows(records=disclosed),
        refused=refused,
        person=handle.dossier,
    )


def _find_case(received: Received[Any], case_id: str) -> LookupCase | None:
    node, office = received.node, received.statement.sender.agency
    case = records.find_case(node.database, office, case_id, announced=True)
    return as_it_stands(node, case) if case is not None and is_joint_code(case_id) else case


def _occasion_of(received: Received[Any], case: LookupCase | None, found: FoundDossier | None = None) -> LookupOccasion:
    """The occasion of a question with what this node knows of its case."""
    statement = received.statement
    return lookup_occasion(
        received.occasion,
        case,
        asker=statement.sender.agency,
        now=received.node.now(),
        division=found.division if found is not None else None,
        urgency=_urgency_of(received),
    )


def _disclosed(
    received: Received[Any],
    found: Sequence[FoundDossier],
    case: LookupCase | None,
    *,
    verdict: Verdict,
    fields: frozenset[str] = frozenset(),
) -> tuple[Record, ...]:
    """For the person's report: what was given of them or refused; nothing when the record tells of nobody."""
    subject = found[0].subject(fields) if found else None
    if subject is None:
        return ()
    node, statement = received.node, received.statement
    disclosure = disclosure_of(statement, case=case, verdict=verdict, fields=fields, now=node.now())
    return (disclosure_record(disclosure, message_id=statement.id, subject=subject, owner=node.name),)


def _verify_handle(
    received: Received[FetchItem], handle: Handle | None, found: FoundDossier | None
) -> tuple[Handle, FoundDossier]:
    """A handle that lives, and its record; HANDLE_UNKNOWN whether it was never given to them or its record is gone."""
    if handle is None or found is None:
        raise no_handle()
    statement = received.statement
    verify_handle(
        handle,
        case_id=statement.case or "",
        asker=statement.sender.agency,
        officer=statement.sender.officer or "",
        now=received.node.now(),
    )
    return handle, found


def _is_signed(received: Received[FetchItem], item: FetchItem) -> bool:
    """True when the key that signed the fetch is the one that the asking officer's province told us."""
    sender = received.statement.sender
    try:
        key = format_public_key(verify_step_up(item))
    except (UntrustedError, MalformedError):
        return False
    return sender.agency is not None and is_pinned(received.node.database, sender.agency, sender.officer, key=key)


def _judge_answer(received: Received[AnswerItem]) -> Judgement:
    """Takes in the reply to a search of ours; REPLY_UNASKED for another look-up, else as `_find_question`."""
    answer, question = received.item, _find_question(received)
    _verify_same(answer.lookup_id, question.lookup_id)
    owner = received.statement.sender.node
    held = (records.held_record(answer.handle, received.cited.digest, owner=owner),) if answer.handle else ()
    return _take_reply(received, question, ends=answer.expires, rows=held)


def _judge_release(received: Received[ReleaseItem]) -> Judgement:
    """Takes in released fields; refuses REPLY_UNASKED, and more fields than asked for (REPLY_BEYOND) as a whole."""
    release, question = received.item, _find_question(received)
    _verify_same((release.lookup_id, release.handle), (question.lookup_id, question.handle))
    if not release.fields.keys() <= question.fields:
        raise RuleError("REPLY_BEYOND", "expected the fields that were asked for and no others")
    return _take_reply(received, question, ends=release.expires)


def _judge_refusal(received: Received[Refusal]) -> Judgement:
    """Takes in that a person at the other side's desk refused, the reply to a search or a fetch of ours."""
    question = _find_question(received)
    _verify_same(received.item.lookup_id, question.lookup_id)
    return _take_reply(received, question)


def _find_question(received: Received[Any]) -> records.Question:
    """The question of ours that an office which may answer answers in time, for the first time.

    Refuses REPLY_OFFICE, REPLY_TOO_LATE, REPLY_TWICE, and REPLY_QUESTION_GONE when nothing says what was asked.
    """
    tolerance = received.in_force.agreement.clock_tolerance
    if received.node.now() > statement_of(received.cited).expires + tolerance:
        raise RuleError("REPLY_TOO_LATE", "the request that this answers has expired; ask again")
    question = records.QUESTIONS.find(received.node.database, received.cited.digest)
    if question is None or question.answered:
        verify_reply(received)
        raise RuleError("REPLY_QUESTION_GONE", "nothing here says what was asked; ask again")
    return question


def _take_reply(
    received: Received[Any],
    question: records.Question,
    *,
    ends: datetime | None = None,
    rows: tuple[Record, ...] = (),
) -> Judgement:
    """Takes in a reply; of what was asked nothing stays beside the question itself."""
    answered = records.Question(digest=question.digest, until=question.until)
    spent = records.QUESTIONS.record(answered, owner=received.node.name)
    return take_reply(received, ends=ends, records=(*rows, spent))


def _verify_same(replied: object, asked: object) -> None:
    if replied != asked:
        raise MalformedError("REPLY_UNASKED", "expected a reply to the very look-up that it cites")


SEARCH = item_kind(
    SearchItem,
    name="lookup.search",
    media_type=SEARCH_BODY,
    read=lambda content, statement: decode_search_item(content, statement.realm),
    judge=_judge_search,
    answers=(),
    keep=QUESTION,
    erasable_by=None,
    resend=None,
)
FETCH = item_kind(
    FetchItem,
    name="lookup.fetch",
    media_type=FETCH_BODY,
    read=lambda content, _: decode_fetch_item(content),
    judge=_judge_fetch,
    answers=(),
    keep=QUESTION,
    erasable_by=None,
    resend=None,
)
ANSWER = item_kind(
    AnswerItem,
    name="lookup.answer",
    media_type=ANSWER_BODY,
    read=lambda content, _: decode_answer_item(content),
    judge=_judge_answer,
    answers=(SEARCH.name,),
    keep=RELEASE,
    erasable_by=records.sent_or_kept_by,
    resend=None,
)
RELEASED = item_kind(
    ReleaseItem,
    name="lookup.release",
    media_type=RELEASE_BODY,
    read=lambda content, statement: decode_release_item(content, statement.realm),
    judge=_judge_release,
    answers=(FETCH.name,),
    keep=RELEASE,
    erasable_by=records.sent_or_kept_by,
    resend=None,
)
REFUSAL = item_kind(
    Refusal,
    name="lookup.refusal",
    media_type=REFUSAL_BODY,
    judge=_judge_refusal,
    answers=(SEARCH.name, FETCH.name),
    keep=PROVISION,
    erasable_by=None,
    resend=None,
)
