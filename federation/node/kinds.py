"""What a message of each kind means here: which policy question it raises, and which rows it writes when allowed.

Pure apart from reads of the store; the writing happens in `receive`'s one transaction. An item that is not of its form
makes the whole message malformed: nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from federation.domain.corrections.items import NOTICE_BODY
from federation.domain.division import province_of
from federation.domain.permit import urn_division
from federation.domain.permit_item import PermitItem, decode_permit_item
from federation.domain.permit_policy import (
    AgencyFacts,
    Occasion,
    accept_request,
    item_facts,
    permit_facts,
    recognise_request,
)
from federation.domain.recognition import decode_recognition_item
from federation.domain.retention.erasure import ORDER_BODY, RECEIPT_BODY
from federation.node.exchange.errand import agency_facts
from federation.node.exchange.judge import Incoming, Judgement
from federation.node.exchange.trust import InForce
from federation.node.lookups.answering.judges import ANSWERING
from federation.node.node import Node
from federation.node.permits.recognition import RECOGNITION_BODY, RECOGNITION_KIND, told_record
from federation.node.permits.records import copy_record, find_own_permit
from federation.node.permits.sharing import SYNC_BODY, SYNC_KIND
from federation.node.retention.orders import judge_order
from federation.node.retention.receipts import judge_receipt
from federation.node.retention.rules import ORDER_KIND, RECEIPT_KIND
from federation.node.subjects.corrections.judges import CORRECTIONS
from federation.node.subjects.corrections.notices import NOTICE_KIND, judge_notice
from federation.node.subjects.report import SUBJECT
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError, NotFoundError, UnavailableError
from federation.protocol.policy import decide, join_decisions
from federation.protocol.statement import Statement
from federation.store.records import put_records


def judge(node: Node, statement: Statement, body: Body | None, *, digest: str, in_force: InForce) -> Judgement:
    """Judges a message whose signature, sender, freshness and body have been verified.

    Raises:
        UnavailableError: MESSAGE_KIND for a kind that this node does not know: a newer node may speak it, and the
            message waits for our upgrade until it expires.
        MalformedError: BODY_TYPE for another kind of body, and
            the reasons of the items' decoders.
        NotFoundError: PERMIT_UNKNOWN when it is about a permit that we never issued.
    """
    known = KINDS.get(statement.kind)
    if known is None:
        raise UnavailableError("MESSAGE_KIND", f"expected one of {', '.join(KINDS)}, got {statement.kind!r}")
    body_type, judge_kind = known
    if body is None or body.type != body_type:
        raise MalformedError("BODY_TYPE", f"expected a body of type {body_type}")
    return judge_kind(node, Incoming(statement=statement, body=body, digest=digest), in_force)


def _judge_sync(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement, body = incoming.statement, incoming.body
    realm, today = in_force.agreement.realm, node.today()
    sender, occasion = _sender(statement, in_force), _occasion(statement, in_force)
    items = [decode_permit_item(item, realm) for item in body.items]
    for item in items:
        _require_issuer(item, statement)
    facts = dict.fromkeys(item_facts(item, today=today) for item in items)
    asked = tuple(accept_request(sender, fact, occasion=occasion, recipient=node.name) for fact in facts)
    owner = statement.sender.node
    pairs: list[tuple[PermitItem, bytes]] = list(zip(items, body.items, strict=True))
    return Judgement(
        asked=asked,
        decision=join_decisions([decide(in_force.policies, request) for request in asked]),
        apply=lambda tx: put_records(tx, [copy_record(item, content, owner=owner) for item, content in pairs]),
    )


def _judge_recognition(node: Node, incoming: Incoming, in_force: InForce) -> Judgement:
    statement, body = incoming.statement, incoming.body
    if len(body.items) != 1:
        raise MalformedError("BODY_ITEMS", f"expected one recognition, got {len(body.items)} items")
    item = decode_recognition_item(body.items[0], in_force.agreement.realm)
    permit = find_own_permit(node.database, item.urn)
    if permit is None or permit.holder.citizen_number != item.citizen_number:
        raise NotFoundError("PERMIT_UNKNOWN", f"this node issued no permit {item.urn} to that holder")
    if item.agency != statement.sender.agency:
        raise MalformedError("RECOGNITION_AGENCY", "expected the recognising agency to be the sender")
    request = recognise_request(
        _sender(statement, in_force),
        permit_facts(permit, today=node.today()),
        occasion=_occasion(statement, in_force),
        mode=item.mode,
        agreed_modes=in_force.agreement.recognition_modes,
    )
    record = told_record(item, body.items[0], owner=statement.sender.node)
    decision = decide(in_force.policies, request)
    return Judgement(asked=(request,), decision=decision, apply=lambda tx: put_records(tx, [record]))


def _require_issuer(item: PermitItem, statement: Statement) -> None:
    """Policy judges the county that the item claims; a copy is kept under the permit's name, which must say the same.

    Else a province could write over the copies of another's permits: it would claim a county of its own beside a name
    that another province gave.
    """
    if province_of(urn_division(item.urn)) != statement.sender.node:
        raise MalformedError("PERMIT_OWNER", f"{item.urn} was not issued in {statement.sender.node}")


def _sender(statement: Statement, in_force: InForce) -> AgencyFacts:
    return agency_facts(in_force, statement.sender.agency)


def _occasion(statement: Statement, in_force: InForce) -> Occasion:
    return Occasion(
        purpose=statement.purpose,
        function=statement.function,
        realm=statement.realm,
        node_realm=in_force.agreement.realm,
    )


_Judge = Callable[[Node, Incoming, InForce], Judgement]
KINDS: Mapping[str, tuple[str, _Judge]] = {
    SYNC_KIND: (SYNC_BODY, _judge_sync),
    RECOGNITION_KIND: (RECOGNITION_BODY, _judge_recognition),
    **ANSWERING,
    **SUBJECT,
    **CORRECTIONS,
    NOTICE_KIND: (NOTICE_BODY, judge_notice),
    ORDER_KIND: (ORDER_BODY, judge_order),
    RECEIPT_KIND: (RECEIPT_BODY, judge_receipt),
}
"""Every kind of message that a node takes in: the type of its body, and who judges it."""
