"""How an officer of this province asks the others: bound to an open case, minimal, with one honest result a province.

Own policy decides first, for each province; quotas are counted before anything leaves; each question is a signed
statement that dies with its urgency. What comes back is hit, no hit, refused (by which policy), unreachable or expired.
Source: DESIGN section 3 (asking), misuse controls M1 to M4.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from federation.domain.lookup.asking import (
    FETCH_BODY,
    SEARCH_BODY,
    FetchItem,
    Outcome,
    SearchItem,
    Selector,
    Urgency,
    decode_answer_item,
    decode_release_item,
    encode_fetch_item,
    encode_search_item,
    verify_fields,
    verify_selector,
    verify_step_up,
)
from federation.domain.lookup.case import (
    LookupCase,
    is_open,
    verify_open,
)
from federation.domain.lookup.misuse import LookupCounts, Quotas, verify_quota
from federation.domain.lookup.watch import AskedLine
from federation.domain.lookup_policy import (
    DossierFacts,
    LookupOccasion,
    fetch_request,
    search_request,
)
from federation.node.lookups import records
from federation.node.lookups.answering import FETCH_KIND, SEARCH_KIND
from federation.node.lookups.cases import LOOK_SECONDS, Said, draft_of, own_case
from federation.node.lookups.flags import RaisedFlag, judge_search, put_flags
from federation.node.lookups.leaders import is_countersigned
from federation.node.lookups.officers import find_officer_key
from federation.node.node import CHINA, Node
from federation.node.permits.ruling import Errand, begin_errand, record_refusal, rule
from federation.node.send import Draft, make_ready, record_message
from federation.protocol.errors import NotFoundError, UntrustedError
from federation.protocol.ids import (
    AgencyId,
    MessageId,
    NodeName,
    format_message_id,
    parse_message_id,
    truncate_to_millisecond,
)
from federation.protocol.keys import format_public_key
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.policy import Decision, Grounds
from federation.protocol.trust import verify_in_force
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_by_digest
from federation.store.outbox import find_outbox
from federation.wire.identity import calling_desk
from federation.wire.values import (
    Act,
    FetchQuestion,
    FetchResult,
    LookupLine,
    LookupPage,
    LookupQuery,
    LookupQuestion,
    ProvinceAnswer,
    Ruling,
    SearchResult,
)

WAIT_SECONDS = 8.0
"""How long a caller waits for answers that policy gives by itself; later ones are found in the history."""
QUOTAS = Quotas()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What is remembered of a question: which look-up, in which case, about whom (sealed), from which desk."""

    lookup_id: str
    case: LookupCase
    selector: Selector | None
    desk: str
    home: Path


async def search(node: Node, question: LookupQuestion, *, home: Path, caller: AgencyId, act: Act) -> SearchResult:
    """Asks one, several or all provinces whether they hold a permit of one person.

    Raises:
        MalformedError: as `verify_selector`.
        NotFoundError: CASE_UNKNOWN; RuleError: CASE_*, QUOTA_*.
    """
    errand = begin_errand(node, caller, act)
    verify_selector(question.selector, errand.in_force.agreement.realm)
    case = verify_open(own_case(errand, question.case_id), node.now())
    provinces = question.provinces or tuple(sorted(errand.in_force.agreement.members.keys() - {node.name}))
    for name in provinces:
        errand.in_force.member(name)
    lookup_id = format_message_id(node.now(), os.urandom(10))
    item = SearchItem(lookup_id=lookup_id, selector=question.selector, case_id=case.case_id)
    line = _Line(
        lookup_id=lookup_id,
        case=case,
        selector=question.selector,
        desk=calling_desk(),
        home=home,
    )
    answers = await asyncio.gather(
        *(_ask_one(errand, name, line=line, item=item, urgency=question.urgency) for name in provinces)
    )
    return SearchResult(lookup_id=lookup_id, answers=tuple(answers))


async def fetch(node: Node, question: FetchQuestion, *, home: Path, caller: AgencyId, act: Act) -> FetchResult:
    """Asks for named fields of one hit; the officer's own key signs, the certificate alone is not enough.

    Raises:
        MalformedError: LOOKUP_FIELD, HANDLE_FORM, STEP_UP_FORM.
        UntrustedError: OFFICER_KEY when the key is not the one registered for this officer, or did not sign.
        NotFoundError: CASE_UNKNOWN; RuleError: CASE_*.
    """
    errand = begin_errand(node, caller, act)
    case = verify_open(own_case(errand, question.case_id), node.now())
    item = FetchItem(
        lookup_id=_lookup_of(errand, question.handle),
        handle=question.handle,
        fields=verify_fields(question.fields),
        officer_key=question.officer_key,
        officer_signature=question.officer_signature,
    )
    _verify_officer(home, errand, item)
    dossier = DossierFacts(province=question.node)
    occasion = _occasion(errand, case, step_up=True)
    request = fetch_request(errand.agency, dossier, occasion=occasion, fields=item.fields)
    ruling = rule(errand, request)
    if not ruling.decision.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return _fetch_refused(ruling.decision, ruling=ruling)
    said = Said(kind=FETCH_KIND, body_type=FETCH_BODY, content=encode_fetch_item(item), urgency=Urgency.ROUTINE)
    draft = replace(draft_of(errand, question.node, said, case=case, decision=ruling.decision), asked=(request,))
    line = _Line(lookup_id=item.lookup_id, case=case, selector=None, desk=calling_desk(), home=home)
    digest, state = await _send_and_wait(errand, draft, line)
    if isinstance(state, Decision):
        return _fetch_refused(state, ruling=ruling)
    content = records.find_reply(node.database, digest)
    if state is not None or content is None:
        return FetchResult(outcome=state or Outcome.EXPIRED, ruling=ruling)
    release = decode_release_item(content, errand.in_force.agreement.realm)
    return FetchResult(outcome=Outcome.HIT, ruling=ruling, fields=release.fields, expires=release.expires)


async def list_lookups(node: Node, query: LookupQuery, *, caller: AgencyId, act: Act) -> LookupPage:
    """What the officers of this agency asked, newest first."""
    del act
    found = [asked for asked, _ in records.list_asked(node.database, caller)]
    wanted = [asked for asked in reversed(found) if query.case_id in (None, asked.case_id)]
    start = int(query.page_token) if query.page_token.isdigit() else 0
    page = wanted[start : start + query.page_size]
    lines = tuple(
        LookupLine(
            lookup_id=asked.lookup_id,
            time=asked.time,
            case_id=asked.case_id,
            node=asked.node,
            step=asked.step,
            outcome=_outcome_of(node, asked),
        )
        for asked in page
    )
    rest = start + len(page) < len(wanted)
    return LookupPage(lines=lines, next_page_token=str(start + len(page)) if rest else "")


async def _ask_one(
    errand: Errand, name: NodeName, *, line: _Line, item: SearchItem, urgency: Urgency
) -> ProvinceAnswer:
    occasion = _occasion(errand, line.case, urgency=urgency)
    request = search_request(errand.agency, DossierFacts(province=name), occasion=occasion)
    ruling = rule(errand, request)
    if not ruling.decision.allowed:
        await record_refusal(errand, ruling, asked=[request])
        return _refused(name, ruling.decision)
    said = Said(kind=SEARCH_KIND, body_type=SEARCH_BODY, content=encode_search_item(item), urgency=urgency)
    draft = replace(draft_of(errand, name, said, case=line.case, decision=ruling.decision), asked=(request,))
    digest, state = await _send_and_wait(errand, draft, line)
    if isinstance(state, Decision):
        return _refused(name, state)
    reply = records.find_reply(errand.node.database, digest)
    if state is not None or reply is None:
        return ProvinceAnswer(node=name, outcome=state or Outcome.EXPIRED)
    answer = decode_answer_item(reply)
    outcome = Outcome.HIT if answer.hit else Outcome.NO_HIT
    return ProvinceAnswer(node=name, outcome=outcome, handle=answer.handle, expires=answer.expires)


async def _send_and_wait(errand: Errand, draft: Draft, line: _Line) -> tuple[str, Decision | Outcome | None]:
    """Sends one question, and remembers in the same transaction that it was asked.

    Returns:
        Its digest, and the refusal or failure that ended it; None when its reply is here.
    """
    node, in_force = errand.node, errand.in_force
    verify_in_force(in_force.agreement, node.now())
    ready, time = make_ready(node, draft), node.now()

    def record(transaction: GroupTransaction) -> str:
        digest = record_message(node, transaction, ready, in_force=in_force)
        asked = records.Asked(
            time=time,
            agency=errand.caller,
            officer=errand.act.officer,
            lookup_id=line.lookup_id,
            case_id=line.case.case_id,
            node=draft.recipient.node,
            step=draft.kind,
            digest=digest,
            desk=line.desk,
        )
        if line.selector is not None:
            _count(transaction, errand, line, line.selector)
            put_flags(transaction, _flags_of(transaction, asked, line, line.selector), owner=node.name)
        subject = line.selector.value if line.selector is not None else None
        records.put_asked(transaction, asked, subject=subject, owner=node.name)
        return digest

    digest = (await node.sequencer.commit(record)).value
    node.wake_delivery(draft.recipient.node)
    return digest, await _wait(node, digest, message_id=ready.id)


async def _wait(node: Node, digest: str, *, message_id: MessageId) -> Decision | Outcome | None:
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_SECONDS
    while True:
        if records.find_reply(node.database, digest) is not None:
            return None
        row = find_outbox(node.database, message_id)
        leaf = decode_leaf(row.receipt_leaf) if row is not None and row.receipt_leaf is not None else None
        if leaf is not None and leaf.verdict is Verdict.REFUSED:
            return _decision_of(node, leaf.policies)
        if row is not None and row.state == "expired":
            return Outcome.EXPIRED
        if loop.time() >= end:
            return Outcome.EXPIRED if leaf is not None else Outcome.UNREACHABLE
        await node.arrivals.wait(digest, seconds=LOOK_SECONDS)


def _decision_of(node: Node, policies: Sequence[str]) -> Decision:
    """The other side's refusal in our words: its leaf names the policies, and our agreement holds their text."""
    book = node.trust.in_force.policies.policies
    known = [book[name] for name in policies if name in book]
    return Decision(
        verdict=Verdict.REFUSED,
        policies=tuple(policies),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=";".join(policy.title_zh for policy in known),
        title_en="; ".join(policy.title_en for policy in known),
    )


def _occasion(
    errand: Errand, case: LookupCase, *, step_up: bool = False, urgency: Urgency = Urgency.ROUTINE
) -> LookupOccasion:
    realm, act = errand.in_force.agreement.realm, errand.act
    return LookupOccasion(
        purpose=act.purpose,
        function=act.function,
        realm=realm,
        node_realm=realm,
        case_open=is_open(case, errand.node.now()),
        purpose_in_case=act.purpose in case.purposes,
        county_in_case=errand.caller.county in case.counties,
        step_up=step_up,
        urgency=urgency,
    )


def _count(source: Source, errand: Errand, line: _Line, selector: Selector) -> None:
    """Counts what was asked before, in the transaction that asks: no two at the same moment share the last place.

    Different persons of a case are told apart by what is sealed with each line. A look-up that was let in for one
    province is let in for all.
    """
    asked = records.list_asked(source, errand.caller, since=line.case.opens - timedelta(days=1))
    searches = [(before, subject) for before, subject in asked if before.step == SEARCH_KIND]
    if any(before.lookup_id == line.lookup_id for before, _ in searches):
        return
    today = errand.node.today()
    lookups_today = {
        before.lookup_id
        for before, _ in searches
        if before.officer == errand.act.officer and before.time.astimezone(CHINA).date() == today
    }
    in_case = [(before, subject) for before, subject in searches if before.case_id == line.case.case_id]
    counts = LookupCounts(
        officer_today=len(lookups_today) + 1,
        case_total=len({before.lookup_id for before, _ in in_case}) + 1,
        case_persons=len({subject for _, subject in in_case} | {selector.value}),
    )
    verify_quota(counts, QUOTAS, countersigned=is_countersigned(source, errand.caller, line.case.case_id))


def _flags_of(source: Source, asked: records.Asked, line: _Line, selector: Selector) -> tuple[RaisedFlag, ...]:
    """What is odd about a search beside those before it."""
    watched = AskedLine(
        time=truncate_to_millisecond(asked.time),
        officer=asked.officer,
        agency=str(asked.agency),
        lookup_id=asked.lookup_id,
        case_id=asked.case_id,
        desk=asked.desk,
    )
    return judge_search(source, line.home, watched, agency=asked.agency, selector=selector)


def _verify_officer(home: Path, errand: Errand, item: FetchItem) -> None:
    """The officer's own key signs each fetch: it is registered at home, by the officer's pseudonym."""
    key = verify_step_up(item)
    registered = find_officer_key(home, errand.caller, errand.act.officer)
    if registered is None or format_public_key(key) != registered:
        raise UntrustedError(
            "OFFICER_KEY",
            f"expected the key that {errand.caller} registered for officer {errand.act.officer!r:.70}; "
            "register it with 'bridgehead lookup key register'",
        )


def _lookup_of(errand: Errand, handle: str) -> MessageId:
    """The search that a handle came of: nobody fetches with a handle that their own agency did not get."""
    for asked, _ in reversed(records.list_asked(errand.node.database, errand.caller)):
        content = records.find_reply(errand.node.database, asked.digest) if asked.step == SEARCH_KIND else None
        if content is not None and decode_answer_item(content).handle == handle:
            return parse_message_id(asked.lookup_id)
    raise NotFoundError("HANDLE_UNKNOWN", "this agency got no such handle; search first")


def _outcome_of(node: Node, asked: records.Asked) -> Outcome | None:
    content = records.find_reply(node.database, asked.digest)
    if content is None:
        message = find_by_digest(node.database, "sent", asked.digest)
        row = find_outbox(node.database, message.id) if message is not None else None
        if row is not None and row.receipt_leaf is not None:
            return Outcome.REFUSED if decode_leaf(row.receipt_leaf).verdict is Verdict.REFUSED else None
        return Outcome.EXPIRED if row is not None and row.state == "expired" else None
    if asked.step == SEARCH_KIND:
        return Outcome.HIT if decode_answer_item(content).hit else Outcome.NO_HIT
    return Outcome.HIT


def _refused(name: NodeName, decision: Decision) -> ProvinceAnswer:
    return ProvinceAnswer(
        node=name,
        outcome=Outcome.REFUSED,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
    )


def _fetch_refused(decision: Decision, *, ruling: Ruling) -> FetchResult:
    return FetchResult(
        outcome=Outcome.REFUSED,
        ruling=ruling,
        policies=decision.policies,
        title_zh=decision.title_zh,
        title_en=decision.title_en,
    )
