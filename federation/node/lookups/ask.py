"""Asking: an officer of this province asks the others, bound to an open case, with one result for each province.

Own policy decides first, for each province; quotas are counted as it is asked; each question is a signed statement that
dies with its urgency. Source: DESIGN section 3 (asking), misuse controls M1 to M4 and M11.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final

from federation.domain.lookups import (
    DOSSIER_OF,
    LOOKUP_CLOCKS,
    FetchItem,
    Outcome,
    SearchItem,
    Selector,
    SelectorKind,
    Urgency,
    decode_answer_item,
    verify_selector,
)
from federation.domain.lookups_case import (
    DossierFacts,
    LookupCase,
    basis_of,
    case_provinces,
    is_joint_code,
    is_open,
    lookup_occasion,
    purpose_in,
    search_request,
)
from federation.domain.oversight import AskedLine
from federation.domain.registers import DossierKind
from federation.domain.reports import DEFERRED_PURPOSE, Disclosure
from federation.node.disclosures import disclosure_record
from federation.node.exchange.errand import Errand, on, put_refusal
from federation.node.exchange.judge import Kind
from federation.node.exchange.replies import Response, find_response, replies
from federation.node.exchange.send import SETTLE, Draft, Prepared, Sent, prepare, record_message
from federation.node.joint.mandates import as_it_stands
from federation.node.lookups import records
from federation.node.lookups.answer import SEARCH
from federation.node.lookups.records import count, refusal_of, rule_refusal
from federation.node.node import Node
from federation.node.officers import find_key, find_officer_key, has_lost
from federation.node.oversight.flags import desk_key, judge_load, judge_search, put_flags
from federation.node.oversight.sample import pick
from federation.protocol.errors import RuleError
from federation.protocol.form import Item, Time, replace
from federation.protocol.ids import MessageId, NodeName, format_message_id, truncate_to_millisecond
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient
from federation.protocol.trust import verify_in_force
from federation.store.collection import page_behind
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, next_serial, put_records
from federation.wire.agency import lookups as wire
from federation.wire.agency.lookups import (
    LookupLine,
    LookupPage,
    LookupQuery,
    LookupQuestion,
    ProvinceAnswer,
    SearchResult,
)
from federation.wire.rpc import Ruling

WAIT_SECONDS: Final = 8.0
"""How long a caller waits for answers that policy gives by itself; later ones are found in the history."""


@on(wire.SEARCH)
async def search(errand: Errand, question: LookupQuestion) -> SearchResult:
    """Asks provinces for a record of one person or thing: those that the case names, unless others are named.

    A repeat gets the same look-up, waits for what is missing, and is not counted again. Raises as `verify_selector`;
    ConflictError REQUEST_ID_REUSED; NotFoundError NOT_A_MEMBER.
    """
    selector, urgency = question.selector, question.urgency
    verify_selector(selector, errand.in_force.agreement.realm)
    case = find_own_case(errand, question.case_id)
    errand = for_case(errand, case)
    lookup_id = format_message_id(errand.node.now(), os.urandom(10))
    what = f"{question.case_id} {selector.kind} {selector.value} {','.join(question.provinces)} {urgency}"
    step = Step(
        asked=errand.asked(SEARCH.name, what),
        kind=SEARCH,
        item=SearchItem(lookup_id=lookup_id, selector=selector, case_id=question.case_id),
        urgency=urgency,
        lookup_id=lookup_id,
        case_id=question.case_id,
        case=case,
        about=selector,
        dossier=DOSSIER_OF[selector.kind],
    )
    occasion = lookup_occasion(errand.occasion, case, asker=errand.caller, now=errand.node.now(), urgency=urgency)
    asking: list[Asking] = []
    for name in _provinces(errand, question, case):
        errand.in_force.member(name)
        dossier = DossierFacts(province=name, kind=step.dossier.value)
        request = search_request(errand.agency, dossier, occasion=occasion)
        asking.append(Asking(node=name, ruling=errand.rule(request, to=name), request=request))
    taken = await take_step(errand, step, asking)
    fresh = taken.lookup_id == lookup_id
    answers = await asyncio.gather(*(_answer(errand.node, line, fresh=fresh) for line in taken.lines))
    return SearchResult(lookup_id=taken.lookup_id, answers=tuple(answers))


def _provinces(errand: Errand, question: LookupQuestion, case: LookupCase | None) -> Sequence[NodeName]:
    """Those asked for, else those that the case names; under an unknown case all, so that each no is told."""
    if question.provinces:
        return tuple(dict.fromkeys(question.provinces))
    named = case_provinces(case) if case is not None else frozenset(errand.in_force.agreement.members)
    return sorted(named - {errand.node.name})


async def _answer(node: Node, line: Line, *, fresh: bool) -> ProvinceAnswer:
    decision: Decision = line.ruling
    if decision.allowed:
        (response,) = await replies(node, [line.digest], seconds=WAIT_SECONDS, received=decision.by_desk, fresh=fresh)
        refusal = refusal_of(node, response)
        if refusal is None and response.body is not None:
            item = decode_answer_item(response.body.items[0])
            outcome = Outcome.HIT if item.hit else Outcome.NO_HIT
            return ProvinceAnswer(node=line.node, outcome=outcome, handle=item.handle, expires=item.expires)
        if refusal is None:
            return ProvinceAnswer(node=line.node, outcome=silent_outcome(response), expires=waits_until(response))
        decision = refusal
    return ProvinceAnswer(
        node=line.node,
        outcome=Outcome.REFUSED,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
        explanation_zh=line.ruling.explanation_zh,
        explanation_en=line.ruling.explanation_en,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Our own decision on asking one province; `request` is the question put to policy, None where a rule refused."""

    node: NodeName
    ruling: Ruling
    request: PolicyRequest | None

    @property
    def allowed(self) -> bool:
        return self.ruling.allowed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Step:
    """One step of an officer: what is said, in which case (None: unknown), about whom (sealed), for which fields.

    `asked` tells a repeat from another question. Without an `urgency` it travels as long as the agreement lets it.
    `outcome` is what a step without a reply comes to; `lookup_id` is empty for a case, `closes`: a case.
    """

    asked: str
    kind: Kind[Any]
    item: Any
    urgency: Urgency | None
    lookup_id: str
    case_id: str
    case: LookupCase | None
    about: Selector | None = None
    dossier: DossierKind = DossierKind.PERMIT
    fields: frozenset[str] = frozenset()
    outcome: Outcome | None = None
    closes: datetime | None = None


class Line(Item, frozen=True, kw_only=True):
    """Our own decision on asking one province, and the statement that went there; none when it was refused."""

    node: NodeName
    ruling: Ruling
    digest: str
    message_id: str


class StepTaken(Item, frozen=True, kw_only=True):
    """The remembered answer to a step; the answers of other provinces are read from the store."""

    WHAT: ClassVar[str] = "remembered step"

    lookup_id: str
    lines: tuple[Line, ...]
    closes: Time | None = None


async def take_step(
    errand: Errand, step: Step, asking: Sequence[Asking], *, rows: Callable[[GroupTransaction], None] = lambda _: None
) -> StepTaken:
    """Sends what may leave, logs what may not, and remembers both in one transaction; a repeat adds nothing.

    `rows` writes what belongs to the step when anything leaves. Raises ConflictError REQUEST_ID_REUSED for another
    question under a used id; StaleError AGREEMENT_EXPIRED.
    """
    node = errand.node
    ready = {each.node: prepare(node, _draft(errand, step, each)) for each in asking if each.allowed}
    if ready:
        verify_in_force(errand.in_force.agreement, node.now())
    now, entry_id = node.now(), format_message_id(node.now(), os.urandom(10))

    def write(transaction: GroupTransaction) -> StepTaken:
        ruled = _within_rules(transaction, errand, step, asking)
        lines = tuple(_send(transaction, errand, each, ready.get(each.node)) for each in ruled)
        if any(line.digest for line in lines):
            rows(transaction)
            _flag(transaction, errand, step, now=now)
        refused = [each for each in ruled if not each.allowed]
        if refused:
            requests = [each.request for each in refused if each.request is not None]
            put_refusal(transaction, errand, [each.ruling for each in refused], asked=requests)
            put_records(transaction, _disclosed(errand, step, entry_id))
        _put_history(transaction, errand, step, lines, now=now)
        return StepTaken(lookup_id=step.lookup_id, lines=lines, closes=step.closes)

    taken = await errand.once(step.asked, StepTaken, write)
    for line in taken.lines:
        if line.digest:
            node.wake_delivery(line.node)
    node.waiters.tell(desk_key(errand.caller))
    return taken


def _draft(errand: Errand, step: Step, asking: Asking) -> Draft:
    draft = step.kind.draft(
        step.item,
        to=Recipient(node=asking.node),
        cause=errand.cause(basis_of(errand.act.purpose), case=step.case_id),
        decision=asking.ruling,
        asked=(asking.request,) if asking.request is not None else (),
        rows=partial(_question_records, errand, step),
    )
    if step.urgency is None:
        return draft
    time = errand.in_force.time_of(LOOKUP_CLOCKS[step.urgency], errand.node.now())
    return replace(draft, lifetime=time, awaited=True)


def _question_records(errand: Errand, step: Step, sent: Sent) -> Sequence[Record]:
    """The record by which the reply to a search or a fetch will be judged; none for the news of a case."""
    item = step.item
    if step.urgency is None or not isinstance(item, SearchItem | FetchItem):
        return ()
    now, in_force = errand.node.now(), errand.in_force
    waited = in_force.time_of(LOOKUP_CLOCKS[step.urgency], now) + in_force.agreement.clock_tolerance + SETTLE
    asked = records.Question(
        digest=sent.digest,
        until=truncate_to_millisecond(now + waited),
        lookup_id=item.lookup_id,
        handle=item.handle if isinstance(item, FetchItem) else "",
        fields=item.fields if isinstance(item, FetchItem) else frozenset(),
    )
    return (records.QUESTIONS.record(asked, owner=errand.node.name),)


def _within_rules(
    transaction: GroupTransaction, errand: Errand, step: Step, asking: Sequence[Asking]
) -> Sequence[Asking]:
    """Counts a search that leaves; one too many is refused as a whole, whatever policy says of single provinces.

    Who leads the case neither searches nor fetches in it, under whatever name their key is registered; nobody does once
    its leader's key is withdrawn.
    """
    if not step.lookup_id or not any(each.allowed for each in asking):
        return asking
    over = _led_by(transaction, errand, step.case)
    if over is None and step.kind is SEARCH and step.about is not None:
        over = count(transaction, errand, case_id=step.case_id, selector=step.about)
    if over is None:
        return asking
    no = rule_refusal(errand, over)
    return [replace(each, ruling=no, request=None) for each in asking]


def _led_by(source: Source, errand: Errand, case: LookupCase | None) -> RuleError | None:
    """The no to a leader who asks in the case that they answer for, and to all once nobody answers for it any more."""
    if case is None:
        return None
    leader = find_key(source, errand.caller, case.leader)
    if has_lost(leader):
        return RuleError("CASE_LEADER_GONE", f"the key of {case.leader}, who leads {case.case_id}, was withdrawn")
    own = find_officer_key(source, errand.caller, errand.act.officer)
    if errand.act.officer != case.leader and (leader is None or own != leader.content.decode()):
        return None
    return RuleError("CASE_LEADER_ASKS", f"expected another person than the leader of {case.case_id} to ask")


def _send(transaction: GroupTransaction, errand: Errand, asking: Asking, ready: Prepared | None) -> Line:
    if ready is None or not asking.allowed:
        return Line(node=asking.node, ruling=asking.ruling, digest="", message_id="")
    digest = record_message(errand.node, transaction, ready, in_force=errand.in_force)
    return Line(node=asking.node, ruling=asking.ruling, digest=digest, message_id=ready.id)


def _flag(transaction: GroupTransaction, errand: Errand, step: Step, *, now: datetime) -> None:
    """Looks at a search beside the officer's own of just before, and draws it for review, in the same transaction."""
    if step.kind is not SEARCH or step.about is None:
        return
    line = AskedLine(
        time=truncate_to_millisecond(now),
        officer=errand.act.officer,
        agency=str(errand.caller),
        lookup_id=step.lookup_id,
        case_id=step.case_id,
        desk=errand.desk,
    )
    raised = judge_search(
        transaction, errand.in_force, line, agency=errand.caller, selector=step.about, step=step.kind.name
    )
    raised = (*raised, *judge_load(transaction, errand.in_force, line))
    put_flags(transaction, raised, owner=errand.node.name)
    pick(transaction, errand, line, about=step.about.value)


def _disclosed(errand: Errand, step: Step, entry_id: MessageId) -> Sequence[Record]:
    """For the person's report, once a request: an officer of ours was refused; not where a foreign permit was named."""
    if step.about is None or step.about.kind is not SelectorKind.CITIZEN_NUMBER:
        return ()
    act, now, case = errand.act, truncate_to_millisecond(errand.node.now()), step.case
    waits = case is not None and act.purpose == DEFERRED_PURPOSE and act.purpose in case.purposes and is_open(case, now)
    disclosure = Disclosure(
        time=now,
        asker=errand.caller,
        purpose=act.purpose,
        function=act.function,
        basis=basis_of(act.purpose),
        case_id=step.case_id,
        step=step.kind.name,
        verdict=Verdict.REFUSED,
        fields=step.fields,
        deferred_until=case.closes if waits and case is not None else None,
    )
    return [disclosure_record(disclosure, message_id=entry_id, subject=step.about.value, owner=errand.node.name)]


def _put_history(
    transaction: GroupTransaction, errand: Errand, step: Step, lines: Sequence[Line], *, now: datetime
) -> None:
    serial = next_serial(transaction, "lookup-step")
    subject = step.about.value if step.about is not None else None
    for line in lines:
        outcome = step.outcome if line.digest else Outcome.REFUSED
        asked = records.Asked(
            time=now,
            agency=errand.caller,
            officer=errand.act.officer,
            serial=serial,
            lookup_id=step.lookup_id,
            case_id=step.case_id,
            node=line.node,
            step=step.kind.name,
            digest=line.digest,
            message_id=line.message_id,
            desk=errand.desk,
            kind=step.dossier,
            outcome=outcome,
        )
        records.put_asked(transaction, asked, subject=subject, owner=errand.node.name)


def for_case(errand: Errand, case: LookupCase | None) -> Errand:
    """The errand for the purpose that counts in the case."""
    return replace(errand, act=replace(errand.act, purpose=purpose_in(case, errand.act.purpose)))


def find_own_case(errand: Errand, case_id: str) -> LookupCase | None:
    """The newest version of a case that the calling agency opened; None also for a case of another agency."""
    case = records.find_case(errand.node.database, errand.caller, case_id, announced=False)
    return as_it_stands(errand.node, case) if case is not None and is_joint_code(case_id) else case


@on(wire.LIST_LOOKUPS)
async def list_lookups(errand: Errand, query: LookupQuery) -> LookupPage:
    """Lists the steps of this agency's officers and their outcomes, newest first; refuses PAGE_TOKEN."""
    source, caller = errand.node.database, errand.caller
    page = page_behind(
        source.keys,
        f"lookups/{caller}/{query.case_id}/{query.officer}",
        partial(records.each_asked, source, caller, case_id=query.case_id, officer=query.officer),
        limit=query.page_size,
        token=query.page_token,
    )
    lines = tuple(
        LookupLine(
            lookup_id=asked.lookup_id,
            time=asked.time,
            officer=asked.officer,
            case_id=asked.case_id,
            node=asked.node,
            step=asked.step,
            outcome=outcome_of(errand.node, asked),
        )
        for asked in page.values
    )
    return LookupPage(lines=lines, next_page_token=page.next_token)


def outcome_of(node: Node, asked: records.Asked) -> Outcome | None:
    if not asked.digest:
        return Outcome.REFUSED
    response = find_response(node, asked.digest)
    if refusal_of(node, response) is not None:
        return Outcome.REFUSED
    if response.reply is not None:  # a reply that tells nothing of anybody has no end
        return Outcome.NO_HIT if response.reply.ends is None else Outcome.HIT
    if asked.outcome is not None and response.received:
        return asked.outcome
    if response.expired:
        return Outcome.EXPIRED
    return Outcome.WAITING if response.received else None


def silent_outcome(response: Response) -> Outcome:
    """The outcome without reply or refusal: expired, waiting for a person who has it, or out of reach."""
    if response.expired:
        return Outcome.EXPIRED
    return Outcome.WAITING if response.received else Outcome.UNREACHABLE


def waits_until(response: Response) -> datetime | None:
    """Until when the other side's desk may answer; None when nothing is waited for there."""
    return response.due if silent_outcome(response) is Outcome.WAITING else None
