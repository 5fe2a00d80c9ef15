"""How this province answers when another asks: by its own policy, with no more than hit or no hit first.

What policy allows is answered in the same transaction that receives it: the reply is numbered, signed and logged there,
and cites the request. A hit is an opaque handle, never a field; several records of one person are one hit. A fetch is
judged anew: the case, the handle, the officer's own signature, every field.
Source: DESIGN section 3 (asking), 公安机关办理刑事案件程序规定 articles 346 to 353.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial

from federation.domain.citizen_number import age_on
from federation.domain.lookup.asking import (
    ANSWER_BODY,
    FETCH_BODY,
    RELEASE_BODY,
    SEARCH_BODY,
    AnswerItem,
    FetchItem,
    ReleaseItem,
    Selector,
    SelectorKind,
    decode_answer_item,
    decode_fetch_item,
    decode_release_item,
    decode_search_item,
    encode_answer_item,
    encode_release_item,
    release_fields,
    verify_step_up,
)
from federation.domain.lookup.case import LookupCase, decode_case, is_open, verify_case_follows
from federation.domain.lookup.handle import (
    HANDLE_RANDOM_BYTES,
    Handle,
    format_handle,
    handle_expires,
    verify_handle,
)
from federation.domain.lookup_policy import (
    DossierFacts,
    LookupOccasion,
    case_request,
    fetch_request,
    search_request,
)
from federation.domain.permit import Permit, parse_permit_urn
from federation.domain.permit_item import project_permit
from federation.domain.permit_policy import CHILD_AGE, Occasion
from federation.domain.permit_record import decode_permit
from federation.node.judgement import Incoming, Judgement
from federation.node.lookups import records
from federation.node.lookups.given import given_of, put_given
from federation.node.lookups.replies import one_item_body, only_item, reply_to, take_reply
from federation.node.node import Node
from federation.node.permits.records import PERMIT, find_own_permit
from federation.node.permits.ruling import agency_facts
from federation.node.trust import InForce
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import NodeName
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds, decide
from federation.protocol.statement import Statement
from federation.store.exchange_log import GroupTransaction
from federation.store.records import find_by_subject

CASE_BODY = "application/vnd.bridgehead.lookup-case.v1+json"
CASE_KIND, SEARCH_KIND, ANSWER_KIND = "lookup.case", "lookup.search", "lookup.answer"
FETCH_KIND, RELEASE_KIND = "lookup.fetch", "lookup.release"


def occasion_of(
    statement: Statement, *, case: LookupCase | None, counties: frozenset[str], node: Node, step_up: bool = False
) -> LookupOccasion:
    """What this node knows of a request's case, put as policy asks for it; an unknown case is not open."""
    agreement = node.trust.in_force.agreement
    return LookupOccasion(
        purpose=statement.purpose,
        function=statement.function,
        realm=statement.realm,
        node_realm=agreement.realm,
        case_open=case is not None and is_open(case, node.now()),
        purpose_in_case=case is not None and statement.purpose in case.purposes,
        county_in_case=case is not None and counties <= case.counties,
        step_up=step_up,
    )


def refused_by_rule(error: RuleError) -> Decision:
    """A refusal by a rule of the look-up itself, as a decision that is logged and receipted like policy's."""
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(f"rule-{error.reason.lower().replace('_', '-')}",),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh="查询凭据无效:换人、换案或过期",
        title_en=error.message,
    )


def _judge_case(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement = incoming.statement
    case = decode_case(only_item(incoming.body))
    if case.opened_by != statement.sender.agency or case.case_id != statement.case:
        raise MalformedError("CASE_OTHER", "expected a case of the sending agency, named as the statement names it")
    owner, realm = statement.sender.node, in_force.agreement.realm
    try:
        verify_case_follows(records.find_case(node.database, owner, case.case_id, told=True), case)
    except RuleError as error:
        return Judgement(decision=refused_by_rule(error), apply=_write_nothing)
    occasion = Occasion(purpose=statement.purpose, function=statement.function, realm=statement.realm, node_realm=realm)
    sender = agency_facts(in_force, statement.sender.agency)
    request = case_request(sender, node.name, occasion=occasion, purposes=case.purposes)
    return Judgement(
        asked=(request,),
        decision=decide(in_force.policies, request),
        apply=lambda tx: records.put_case(tx, case, owner=owner, told=True),
    )


def _judge_search(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement = incoming.statement
    item = decode_search_item(only_item(incoming.body), in_force.agreement.realm)
    asker = statement.sender.agency
    case = records.find_case(node.database, asker.node, item.case_id, told=True)
    sender, today = agency_facts(in_force, asker), node.today()
    occasion = occasion_of(statement, case=case, counties=frozenset({asker.county}), node=node)
    asked = [search_request(sender, DossierFacts(province=node.name), occasion=occasion)]
    decision = decide(in_force.policies, asked[0])

    def is_answered(permit: Permit) -> bool:
        """A record that policy keeps from this asker is no hit: a refusal would tell that it exists."""
        counties = frozenset({asker.county, permit.residence_division})
        about = occasion_of(statement, case=case, counties=counties, node=node)
        asked.append(search_request(sender, _dossier(node.name, permit, today), occasion=about))
        return decide(in_force.policies, asked[-1]).allowed

    hits = [permit for permit in _find(node, item.selector) if is_answered(permit)] if decision.allowed else []

    def apply(transaction: GroupTransaction) -> None:
        answer = AnswerItem(lookup_id=item.lookup_id, hit=False)
        if hits and case is not None:
            handle = Handle(
                handle=format_handle(secrets.token_bytes(HANDLE_RANDOM_BYTES)),
                lookup_id=item.lookup_id,
                case_id=case.case_id,
                asker=asker,
                officer=statement.sender.officer or "",
                urn=hits[0].urn,
                expires=handle_expires(case, node.now()),
            )
            records.put_handle(transaction, handle, owner=node.name)
            answer = AnswerItem(lookup_id=item.lookup_id, hit=True, handle=handle.handle, expires=handle.expires)
            given = given_of(statement, case=case, verdict=Verdict.ALLOWED, fields=frozenset(), now=node.now())
            subject = hits[0].holder.citizen_number
            put_given(transaction, given, message_id=statement.id, subject=subject, owner=node.name)
        body = one_item_body(ANSWER_BODY, encode_answer_item(answer))
        reply_to(node, transaction, incoming, kind=ANSWER_KIND, body=body, decision=decision)

    wake = partial(node.wake_delivery, asker.node)
    return Judgement(asked=tuple(asked), decision=decision, apply=apply, after=wake)


def _judge_fetch(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement = incoming.statement
    item, asker = decode_fetch_item(only_item(incoming.body)), statement.sender.agency
    case = records.find_case(node.database, asker.node, statement.case or "", told=True)
    handle = records.find_handle(node.database, item.handle)
    permit = find_own_permit(node.database, parse_permit_urn(handle.urn)) if handle is not None else None

    def remember(transaction: GroupTransaction, verdict: Verdict, fields: frozenset[str]) -> None:
        if permit is not None:
            given = given_of(statement, case=case, verdict=verdict, fields=fields, now=node.now())
            subject = permit.holder.citizen_number
            put_given(transaction, given, message_id=statement.id, subject=subject, owner=node.name)

    def refused(transaction: GroupTransaction) -> None:
        remember(transaction, Verdict.REFUSED, item.fields)

    try:
        handle = _valid_handle(node, handle, statement)
    except RuleError as error:
        return Judgement(decision=refused_by_rule(error), apply=_write_nothing, refused=refused)
    if permit is None:
        raise MalformedError("HANDLE_UNKNOWN", "the handle stands for a record that is no longer here")
    counties = frozenset({asker.county, permit.residence_division})
    occasion = occasion_of(statement, case=case, counties=counties, node=node, step_up=_is_signed(item))
    dossier = _dossier(node.name, permit, node.today())
    request = fetch_request(agency_facts(in_force, asker), dossier, occasion=occasion, fields=item.fields)
    decision = decide(in_force.policies, request)
    fields, expires = decision.fields & item.fields, handle.expires

    def apply(transaction: GroupTransaction) -> None:
        values = release_fields(project_permit(permit, fields), fields)
        release = ReleaseItem(lookup_id=item.lookup_id, handle=item.handle, fields=values, expires=expires)
        body = one_item_body(RELEASE_BODY, encode_release_item(release))
        reply_to(node, transaction, incoming, kind=RELEASE_KIND, body=body, decision=decision)
        remember(transaction, Verdict.ALLOWED, fields)

    wake = partial(node.wake_delivery, asker.node)
    return Judgement(asked=(request,), decision=decision, apply=apply, refused=refused, after=wake)


def _judge_answer(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    del in_force
    content = only_item(incoming.body)
    decode_answer_item(content)
    return take_reply(node, incoming, content)


def _judge_release(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    content = only_item(incoming.body)
    decode_release_item(content, in_force.agreement.realm)
    return take_reply(node, incoming, content)


def _find(node: Node, selector: Selector) -> list[Permit]:
    """Our own permits of one person, newest first; copies of other provinces answer no look-up."""
    if selector.kind is SelectorKind.PERMIT:
        found = find_own_permit(node.database, parse_permit_urn(selector.value))
        return [found] if found is not None else []
    stored = find_by_subject(node.database, PERMIT, selector.value)
    permits = [decode_permit(record.content) for record in stored if not record.replica]
    return sorted(permits, key=lambda permit: permit.issue_date, reverse=True)


def _dossier(province: NodeName, permit: Permit, today: date) -> DossierFacts:
    return DossierFacts(
        province=province,
        issuing_division=permit.residence_division,
        sealed=permit.sealed,
        minor=age_on(permit.holder.birth_date, today) < CHILD_AGE,
    )


def _valid_handle(node: Node, handle: Handle | None, statement: Statement) -> Handle:
    if handle is None:
        raise RuleError("HANDLE_UNKNOWN", "this province gave out no such handle; search again")
    return verify_handle(
        handle,
        case_id=statement.case or "",
        asker=statement.sender.agency,
        officer=statement.sender.officer or "",
        now=node.now(),
    )


def _is_signed(item: FetchItem) -> bool:
    try:
        verify_step_up(item)
    except (UntrustedError, MalformedError):
        return False
    return True


def _write_nothing(transaction: GroupTransaction) -> None:
    del transaction


ANSWERING: Mapping[str, tuple[str, Callable[[Node, Incoming, InForce], Judgement]]] = {
    CASE_KIND: (CASE_BODY, _judge_case),
    SEARCH_KIND: (SEARCH_BODY, _judge_search),
    ANSWER_KIND: (ANSWER_BODY, _judge_answer),
    FETCH_KIND: (FETCH_BODY, _judge_fetch),
    RELEASE_KIND: (RELEASE_BODY, _judge_release),
}
"""The kinds of message of a look-up: body type and judge."""
