"""What another province tells us: a case that names us, and the replies to our own questions."""

from __future__ import annotations

from federation.domain.lookup.asking import (
    decode_answer_item,
    decode_fetch_item,
    decode_release_item,
    decode_search_item,
)
from federation.domain.lookup.case import decode_case, verify_case_follows
from federation.domain.lookup.refusal import decode_refusal
from federation.domain.lookup_policy import (
    case_request,
)
from federation.domain.permit_policy import Occasion
from federation.node.exchange.errand import agency_facts
from federation.node.exchange.judge import Incoming, Judgement
from federation.node.exchange.replies import load_cited, only_item, take_lookup_reply
from federation.node.exchange.trust import InForce
from federation.node.lookups import records
from federation.node.lookups.answering.occasion import refused_by_rule, write_nothing
from federation.node.lookups.kinds import FETCH_KIND, SEARCH_KIND
from federation.node.node import Node
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.policy import decide
from federation.store.messages import find_body

_SEARCH, _FETCH = frozenset({SEARCH_KIND}), frozenset({FETCH_KIND})


def judge_case(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Judges the opening or the closing of a case.

    Raises:
        MalformedError: CASE_OTHER, and as `decode_case`.
    """
    statement = incoming.statement
    case = decode_case(only_item(incoming.body))
    if case.opened_by != statement.sender.agency or case.case_id != statement.case:
        raise MalformedError("CASE_OTHER", "expected a case of the sending agency, named as the statement names it")
    owner, realm = statement.sender.node, in_force.agreement.realm
    try:
        verify_case_follows(records.find_case(node.database, owner, case.case_id, told=True), case)
    except RuleError as error:
        return Judgement(decision=refused_by_rule(error), apply=write_nothing)
    occasion = Occasion(purpose=statement.purpose, function=statement.function, realm=statement.realm, node_realm=realm)
    sender = agency_facts(in_force, statement.sender.agency)
    request = case_request(sender, node.name, occasion=occasion, purposes=case.purposes)
    return Judgement(
        asked=(request,),
        decision=decide(in_force.policies, request),
        apply=lambda tx: records.put_case(tx, case, owner=owner, told=True),
    )


def judge_answer(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Takes in hit or no hit, the reply to a search of ours.

    Raises:
        MalformedError: REPLY_UNASKED when it answers no search, or another look-up than the one it cites.
    """
    answer = decode_answer_item(only_item(incoming.body))
    request = load_cited(node, incoming, of=_SEARCH)
    body = find_body(node.database, request.id)  # None when it has been erased since
    if body is not None:
        _verify_same(answer.lookup_id, decode_search_item(only_item(body), in_force.agreement.realm).lookup_id)
    return take_lookup_reply(node, incoming, request, ends=answer.expires, handle=answer.handle)


def judge_release(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Takes in the fields that were released to us, the reply to a fetch of ours.

    A province that hands over more than was asked for is refused, and nothing of it is kept.

    Raises:
        MalformedError: REPLY_UNASKED when it answers no fetch, or another look-up or handle than the one it cites.
    """
    release = decode_release_item(only_item(incoming.body), in_force.agreement.realm)
    request = load_cited(node, incoming, of=_FETCH)
    body = find_body(node.database, request.id)
    if body is not None:
        asked = decode_fetch_item(only_item(body))
        _verify_same((release.lookup_id, release.handle), (asked.lookup_id, asked.handle))
        if not release.fields.keys() <= asked.fields:
            beyond = RuleError("REPLY_BEYOND", "expected the fields that were asked for and no others")
            return Judgement(decision=refused_by_rule(beyond), apply=write_nothing)
    return take_lookup_reply(node, incoming, request, ends=release.expires)


def judge_refusal(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    """Takes in that a person at the other side's desk refused, the reply to a search or a fetch of ours."""
    del in_force
    decode_refusal(only_item(incoming.body))
    return take_lookup_reply(node, incoming, load_cited(node, incoming, of=_SEARCH | _FETCH))


def _verify_same(told: object, asked: object) -> None:
    if told != asked:
        raise MalformedError("REPLY_UNASKED", "expected a reply to the very look-up that it cites")
