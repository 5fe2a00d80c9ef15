"""How this province answers when another asks: by its own policy, with no more than hit or no hit first.

What policy allows is answered in the same transaction that receives it: the reply is numbered, signed and logged there,
and cites the request. A hit is an opaque handle, never a field; several records of one person are one hit. A fetch is
judged anew: the case, the handle, the officer's own signature, every field.
Source: DESIGN section 3 (asking), 公安机关办理刑事案件程序规定 articles 346 to 353.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from datetime import date, timedelta

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
from federation.node.node import Node
from federation.node.permits.records import PERMIT, find_own_permit
from federation.node.permits.ruling import agency_facts
from federation.node.send import Cause, Draft, make_ready, record_message
from federation.node.trust import InForce
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds, decide
from federation.protocol.statement import Recipient, Sender, Statement
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_by_digest
from federation.store.records import find_by_subject

CASE_BODY = "application/vnd.bridgehead.lookup-case.v1+json"
CASE_KIND, SEARCH_KIND, ANSWER_KIND = "lookup.case", "lookup.search", "lookup.answer"
FETCH_KIND, RELEASE_KIND = "lookup.fetch", "lookup.release"
ANSWER_LIFETIME = timedelta(hours=1)
"""An answer that cannot be delivered within the routine hour is of no use: it expires on both sides."""
POLICE = "police"


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
    case = decode_case(_only_item(incoming.body))
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
        decision=decide(in_force.policies, request),
        apply=lambda tx: records.put_case(tx, case, owner=owner, told=True),
    )


def _judge_search(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement = incoming.statement
    item = decode_search_item(_only_item(incoming.body), in_force.agreement.realm)
    asker = statement.sender.agency
    case = records.find_case(node.database, asker.node, item.case_id, told=True)
    sender, today = agency_facts(in_force, asker), node.today()
    occasion = occasion_of(statement, case=case, counties=frozenset({asker.county}), node=node)
    decision = decide(in_force.policies, search_request(sender, DossierFacts(province=node.name), occasion=occasion))

    def is_answered(permit: Permit) -> bool:
        """A record that policy keeps from this asker is no hit: a refusal would tell that it exists."""
        counties = frozenset({asker.county, permit.residence_division})
        about = occasion_of(statement, case=case, counties=counties, node=node)
        request = search_request(sender, _dossier(node.name, permit, today), occasion=about)
        return decide(in_force.policies, request).allowed

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
        body = _body(ANSWER_BODY, encode_answer_item(answer))
        _reply(node, transaction, incoming, kind=ANSWER_KIND, body=body, decision=decision)

    return Judgement(decision=decision, apply=apply, after=lambda: node.wake_delivery(asker.node))


def _judge_fetch(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement = incoming.statement
    item, asker = decode_fetch_item(_only_item(incoming.body)), statement.sender.agency
    case = records.find_case(node.database, asker.node, statement.case or "", told=True)
    try:
        handle = _valid_handle(node, item, statement)
    except RuleError as error:
        return Judgement(decision=refused_by_rule(error), apply=_write_nothing)
    permit = find_own_permit(node.database, parse_permit_urn(handle.urn))
    if permit is None:
        raise MalformedError("HANDLE_UNKNOWN", "the handle stands for a record that is no longer here")
    counties = frozenset({asker.county, permit.residence_division})
    occasion = occasion_of(statement, case=case, counties=counties, node=node, step_up=_is_signed(item))
    dossier = _dossier(node.name, permit, node.today())
    request = fetch_request(agency_facts(in_force, asker), dossier, occasion=occasion, fields=item.fields)
    decision = decide(in_force.policies, request)

    def apply(transaction: GroupTransaction) -> None:
        fields = decision.fields & item.fields
        release = ReleaseItem(
            lookup_id=item.lookup_id,
            handle=item.handle,
            fields=release_fields(project_permit(permit, fields), fields),
            expires=handle.expires,
        )
        body = _body(RELEASE_BODY, encode_release_item(release))
        _reply(node, transaction, incoming, kind=RELEASE_KIND, body=body, decision=decision)

    return Judgement(decision=decision, apply=apply, after=lambda: node.wake_delivery(asker.node))


def _judge_answer(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    del in_force
    content = _only_item(incoming.body)
    decode_answer_item(content)
    return _take_reply(node, incoming, content)


def _judge_release(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    content = _only_item(incoming.body)
    decode_release_item(content, in_force.agreement.realm)
    return _take_reply(node, incoming, content)


def _take_reply(node: Node, incoming: Incoming, content: bytes) -> Judgement:
    """Takes a reply in, if it is one: it must cite a request that we sent to that very node."""
    statement, cited = incoming.statement, incoming.statement.in_reply_to
    request = find_by_digest(node.database, "sent", cited) if cited is not None else None
    if request is None or request.pair.recipient != statement.sender.node or cited is None:
        raise MalformedError("REPLY_UNASKED", "expected a reply that cites a request of ours to that node")
    return Judgement(
        decision=Decision(
            verdict=Verdict.ALLOWED,
            policies=("reply-to-own-request",),
            fields=frozenset(),
            reason=Grounds.PERMITTED,
            title_zh="对本省请求的答复",
            title_en="A reply to a request of ours",
        ),
        apply=lambda tx: records.put_reply(tx, cited, content, owner=statement.sender.node),
        after=lambda: node.arrivals.tell(cited),
    )


def _reply(
    node: Node, transaction: GroupTransaction, incoming: Incoming, *, kind: str, body: Body, decision: Decision
) -> None:
    statement, in_force = incoming.statement, node.trust.in_force
    cause = Cause(
        sender=Sender(node=node.name, agency=_intake(in_force, node.name)),
        purpose=statement.purpose,
        function=statement.function,
        basis=statement.basis,
        case=statement.case,
        in_reply_to=incoming.digest,
    )
    draft = Draft(
        kind=kind,
        recipient=Recipient(node=statement.sender.node, agency=statement.sender.agency),
        cause=cause,
        body=body,
        decision=decision,
        lifetime=ANSWER_LIFETIME,
    )
    record_message(node, transaction, make_ready(node, draft), in_force=in_force)


def _intake(in_force: InForce, node: NodeName) -> AgencyId:
    """The one office that answers for a province (article 347): its first police office by name."""
    offices = sorted(agency for agency in in_force.member(node).agencies if agency.kind == POLICE)
    if not offices:
        raise UntrustedError("NO_INTAKE", f"the agreement names no police office of {node}")
    return offices[0]


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


def _valid_handle(node: Node, item: FetchItem, statement: Statement) -> Handle:
    handle = records.find_handle(node.database, item.handle)
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


def _only_item(body: Body) -> bytes:
    if len(body.items) != 1:
        raise MalformedError("BODY_ITEMS", f"expected one item, got {len(body.items)}")
    return body.items[0]


def _body(media_type: str, content: bytes) -> Body:
    return Body(type=media_type, salt=os.urandom(32), items=(content,))


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
