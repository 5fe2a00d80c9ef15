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
from functools import partial

from federation.domain.lookup.asking import (
    ANSWER_BODY,
    DOSSIER_OF,
    AnswerItem,
    SearchItem,
    decode_search_item,
    encode_answer_item,
)
from federation.domain.lookup.case import LookupCase
from federation.domain.lookup.handle import (
    HANDLE_RANDOM_BYTES,
    Handle,
    format_handle,
    handle_expires,
)
from federation.domain.lookup_policy import (
    DossierFacts,
    search_request,
)
from federation.node.disclosures import given_of, put_given
from federation.node.exchange.errand import agency_facts
from federation.node.exchange.judge import Incoming, Judgement
from federation.node.exchange.replies import one_item_body, only_item, reply_to
from federation.node.exchange.trust import InForce
from federation.node.lookups import records
from federation.node.lookups.answering.dossiers import FoundDossier, dossier_of, find_own
from federation.node.lookups.answering.occasion import occasion_of
from federation.node.lookups.intake.entries import entry_of, put_entry
from federation.node.lookups.kinds import ANSWER_KIND
from federation.node.lookups.watch.flags import desk_for, judge_hit, put_flags
from federation.node.lookups.watch.stream import tell_desk
from federation.node.node import Node
from federation.protocol.body import Body
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, PolicyRequest, decide
from federation.store.exchange_log import GroupTransaction


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


def weigh_search(node: Node, incoming: Incoming, in_force: InForce) -> WeighedSearch:
    """Puts a search to policy: without a record, then for each record found.

    A person answers when policy says so of the search, or of a record that it finds.

    Raises:
        MalformedError: as `decode_search_item`.
    """
    statement = incoming.statement
    item = decode_search_item(only_item(incoming.body), in_force.agreement.realm)
    asker = statement.sender.agency
    case = records.find_case(node.database, asker.node, item.case_id, told=True)
    sender, today = agency_facts(in_force, asker), node.today()
    occasion = occasion_of(statement, case=case, counties=frozenset({asker.county}), node=node)
    nothing_yet = DossierFacts(province=node.name, kind=DOSSIER_OF[item.selector.kind].value)
    request = search_request(sender, nothing_yet, occasion=occasion)
    decision = decide(in_force.policies, request)
    about: list[tuple[FoundDossier, PolicyRequest]] = []
    for found in find_own(node, item.selector) if decision.allowed else ():
        counties = frozenset({asker.county, found.division})
        of_record = occasion_of(statement, case=case, counties=counties, node=node)
        about.append((found, search_request(sender, dossier_of(node.name, found, today), occasion=of_record)))
    decisions = [(found, decide(in_force.policies, question)) for found, question in about]
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


def judge_search(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Judges a search; what policy allows is answered in the transaction that receives it, or waits for a person.

    Raises:
        MalformedError: as `decode_search_item`.
    """
    weighed = weigh_search(node, incoming, in_force)
    item = weighed.item

    def apply(transaction: GroupTransaction) -> None:
        if weighed.by_desk:
            entry = entry_of(incoming, lookup_id=item.lookup_id, person=item.selector.value, fields=frozenset())
            put_entry(transaction, entry, owner=node.name)
            return
        body = answer_search(node, transaction, incoming, weighed=weighed)
        reply_to(node, transaction, incoming, kind=ANSWER_KIND, body=body, decision=weighed.decision)

    return Judgement(
        asked=(weighed.asked,),
        asked_of_records=weighed.asked_of_records,
        decision=weighed.decision,
        apply=apply,
        after=partial(_wake, node, incoming, weighed),
    )


def _wake(node: Node, incoming: Incoming, weighed: WeighedSearch) -> None:
    """Brings the answer on its way, and the leaders of the counties whose records were met to their desks."""
    node.wake_delivery(incoming.statement.sender.node)
    for found in weighed.hits:
        tell_desk(node, desk_for(node, found.division))


def answer_search(node: Node, transaction: GroupTransaction, incoming: Incoming, *, weighed: WeighedSearch) -> Body:
    """The answer to a search, hit or no hit; a hit leaves its handle and what the person may later be told."""
    statement, item, case = incoming.statement, weighed.item, weighed.case
    answer = AnswerItem(lookup_id=item.lookup_id, hit=False)
    if weighed.hits and case is not None:
        handle = Handle(
            handle=format_handle(secrets.token_bytes(HANDLE_RANDOM_BYTES)),
            lookup_id=item.lookup_id,
            case_id=case.case_id,
            asker=statement.sender.agency,
            officer=statement.sender.officer or "",
            dossier=weighed.hits[0].ref,
            expires=handle_expires(case, node.now()),
        )
        records.put_handle(transaction, handle, owner=node.name)
        for found in weighed.hits:
            raised = judge_hit(transaction, replace(handle, dossier=found.ref), node.now())
            put_flags(transaction, raised, owner=node.name, desk=desk_for(node, found.division))
        answer = AnswerItem(lookup_id=item.lookup_id, hit=True, handle=handle.handle, expires=handle.expires)
        remember_search(node, transaction, incoming, weighed=weighed, verdict=Verdict.ALLOWED)
    elif weighed.hidden:
        remember_search(node, transaction, incoming, weighed=weighed, verdict=Verdict.REFUSED)
    return one_item_body(ANSWER_BODY, encode_answer_item(answer))


def remember_search(
    node: Node, transaction: GroupTransaction, incoming: Incoming, *, weighed: WeighedSearch, verdict: Verdict
) -> None:
    """Keeps for the person that somebody was told of them, or turned away; nothing when no record is theirs."""
    found = weighed.hits or weighed.hidden
    subject = found[0].subject(frozenset()) if found else None
    if subject is not None:
        statement = incoming.statement
        given = given_of(statement, case=weighed.case, verdict=verdict, fields=frozenset(), now=node.now())
        put_given(transaction, given, message_id=statement.id, subject=subject, owner=node.name)
