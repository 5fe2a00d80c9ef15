"""How this province answers when another asks: by its own policy, with no more than hit or no hit first.

What policy allows is answered in the same transaction that receives it: the reply is numbered, signed and logged there,
and cites the request. A hit is an opaque handle, never a field; several records of one person are one hit. A fetch is
judged anew: the case, the handle, the officer's own signature, every field. What a person must answer waits at the
intake desk, and is weighed again when that person answers.
Source: DESIGN section 3 (asking), 公安机关办理刑事案件程序规定 articles 346 to 353.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from federation.domain.lookups import (
    DOSSIER_OF,
    HANDLE_RANDOM_BYTES,
    SEARCH_BODY,
    AnswerItem,
    Handle,
    SearchItem,
    decode_search_item,
    format_handle,
    handle_expires,
)
from federation.domain.lookups_case import LookupCase
from federation.domain.lookups_policy import (
    DossierFacts,
    search_request,
)
from federation.domain.retention import QUESTION
from federation.node.disclosures import given_of, given_record
from federation.node.exchange.judge import NO_ROWS, Judgement, Kind, Numbered, Received, Rows
from federation.node.exchange.replies import reply_draft
from federation.node.lookups import records
from federation.node.lookups.answering.dossiers import FoundDossier, dossier_of, find_own
from federation.node.lookups.answering.occasion import occasion_of
from federation.node.lookups.answering.told import ANSWER
from federation.node.lookups.intake.entries import entry_of, entry_record
from federation.node.lookups.kinds import SEARCH_KIND
from federation.node.oversight.flags import desk_for, desk_key, flag_records, judge_hit
from federation.protocol.form import encode
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest, decide
from federation.store.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedSearch:
    """A search as policy and the store see it now: what is asked, what policy says, which records it may hear of.

    `asked` is the question that decides, `asked_of_records` those about single records, which show in the answer only.
    `hidden` are the records that policy keeps from this asker, who hears of no hit; the person hears who tried.
    """

    item: SearchItem
    case: LookupCase | None
    asked: PolicyRequest
    asked_of_records: tuple[PolicyRequest, ...]
    decision: Decision
    hits: tuple[FoundDossier, ...]
    hidden: tuple[FoundDossier, ...]
    by_desk: bool


def weigh_search(received: Received[SearchItem]) -> WeighedSearch:
    """Puts a search to policy: without a record, then for each record found.

    A person answers when policy says so of the search, or of a record that it finds.
    """
    node, statement, item = received.node, received.statement, received.item
    asker, policies = statement.sender.agency, received.in_force.policies
    case = records.find_case(node.database, asker.node, item.case_id, told=True)
    sender, today = received.sender, node.today()
    occasion = occasion_of(statement, case=case, counties=frozenset({asker.county}), node=node)
    nothing_yet = DossierFacts(province=node.name, kind=DOSSIER_OF[item.selector.kind].value)
    request = search_request(sender, nothing_yet, occasion=occasion)
    decision = decide(policies, request)
    about: list[tuple[FoundDossier, PolicyRequest]] = []
    for found in find_own(node, item.selector) if decision.allowed else ():
        counties = frozenset({asker.county, found.division})
        of_record = occasion_of(statement, case=case, counties=counties, node=node)
        about.append((found, search_request(sender, dossier_of(node.name, found, today), occasion=of_record)))
    decisions = [(found, decide(policies, question)) for found, question in about]
    return WeighedSearch(
        item=item,
        case=case,
        asked=request,
        asked_of_records=tuple(question for _, question in about),
        decision=decision,
        # a record that policy keeps from this asker is no hit: a refusal would tell that it exists
        hits=tuple(found for found, said in decisions if said.allowed),
        hidden=tuple(found for found, said in decisions if not said.allowed),
        by_desk=decision.by_desk or any(said.by_desk for _, said in decisions),
    )


def _judge_search(received: Received[SearchItem]) -> Judgement:
    """Judges a search; what policy allows is answered in the transaction that receives it, or waits for a person."""
    weighed, node, rows = weigh_search(received), received.node, NO_ROWS
    if weighed.by_desk:
        entry = entry_of(
            received, lookup_id=weighed.item.lookup_id, person=weighed.item.selector.value, fields=frozenset()
        )
        rows = Rows(records=(entry_record(entry, owner=node.name),))
    elif weighed.decision.allowed:
        answer, rows = answer_search(received, weighed)
        rows = replace(rows, drafts=(reply_draft(received, ANSWER, answer, decision=weighed.decision),))
    desks = tuple(desk_key(desk_for(node, found.division)) for found in weighed.hits)
    return Judgement(
        asked=(weighed.asked,),
        asked_of_records=weighed.asked_of_records,
        decision=weighed.decision,
        rows=replace(rows, wakes=desks),
    )


def answer_search(received: Received[SearchItem], weighed: WeighedSearch) -> tuple[AnswerItem, Rows]:
    """The answer to a search, hit or no hit; a hit leaves its handle and what the person may later be told."""
    statement, node, item, case = received.statement, received.node, weighed.item, weighed.case
    if not weighed.hits or case is None:
        verdict = Verdict.REFUSED if weighed.hidden and not weighed.hits else None
        told = disclosed_search(received, weighed, verdict=verdict) if verdict is not None else ()
        return AnswerItem(lookup_id=item.lookup_id, hit=False), Rows(records=told)
    handle = Handle(
        handle=format_handle(secrets.token_bytes(HANDLE_RANDOM_BYTES)),
        lookup_id=item.lookup_id,
        case_id=case.case_id,
        asker=statement.sender.agency,
        officer=statement.sender.officer or "",
        dossier=weighed.hits[0].ref,
        expires=handle_expires(case, node.now()),
    )
    flags: list[Numbered] = []
    for found in weighed.hits:
        raised = judge_hit(node.database, replace(handle, dossier=found.ref), node.now())
        flags += flag_records(raised, owner=node.name, desk=desk_for(node, found.division))
    told = disclosed_search(received, weighed, verdict=Verdict.ALLOWED)
    rows = Rows(records=(records.handle_record(handle, owner=node.name), *told), numbered=tuple(flags))
    return AnswerItem(lookup_id=item.lookup_id, hit=True, handle=handle.handle, expires=handle.expires), rows


def disclosed_search(received: Received[SearchItem], weighed: WeighedSearch, *, verdict: Verdict) -> tuple[Record, ...]:
    """For the person's report: somebody was told of them, or turned away; nothing when no record is theirs."""
    found = weighed.hits or weighed.hidden
    subject = found[0].subject(frozenset()) if found else None
    if subject is None:
        return ()
    node, statement = received.node, received.statement
    given = given_of(statement, case=weighed.case, verdict=verdict, fields=frozenset(), now=node.now())
    return (given_record(given, message_id=statement.id, subject=subject, owner=node.name),)


SEARCH = Kind(
    name=SEARCH_KIND,
    media_type=SEARCH_BODY,
    encode=encode,
    decode=lambda content, statement: decode_search_item(content, statement.realm),
    many=False,
    judge=_judge_search,
    answers=(),
    keep=QUESTION,
    resend=None,
)
