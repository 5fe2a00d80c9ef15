"""A question of another province and the reply to it: one item each way, drafted where the question is received.

The reply is numbered, signed and logged in the transaction that receives its question, and cites it; a reply that comes
in must cite a question of ours to that very node.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

from federation.domain.lookup.asking import reply_lifetime
from federation.node.exchange.judge import Incoming, Judgement
from federation.node.exchange.send import Cause, Draft, make_ready, record_message
from federation.node.exchange.trust import InForce
from federation.node.log.decisions import REPLY_RULE
from federation.node.lookups import records
from federation.node.lookups.answering.occasion import refused_by_rule, write_nothing
from federation.node.node import Node
from federation.protocol.body import Body
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import AgencyId, MessageId, NodeName
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds, PolicyRequest
from federation.protocol.statement import Recipient, Sender, Statement, decode_statement
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_by_digest

POLICE = "police"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What is replied: kind, body, and the decision behind it; `officer` is the person at the desk, if one answers.

    `asked` are the questions that were put to policy for this very reply; none when the request's own are.
    """

    kind: str
    body: Body
    decision: Decision
    officer: str | None = None
    asked: tuple[PolicyRequest, ...] = ()


def reply_to(
    node: Node, transaction: GroupTransaction, incoming: Incoming, *, kind: str, body: Body, decision: Decision
) -> None:
    """Drafts, numbers, signs, logs and queues the reply that the node gives by itself."""
    record_reply(node, transaction, incoming, answering=Answering(kind=kind, body=body, decision=decision))


def record_reply(node: Node, transaction: GroupTransaction, incoming: Incoming, *, answering: Answering) -> MessageId:
    """Drafts, numbers, signs, logs and queues the reply to a question, under the question's own purpose and case.

    It travels no longer than its question is waited for. Returns its id.
    """
    statement, in_force = incoming.statement, node.trust.in_force
    cause = Cause(
        sender=Sender(node=node.name, agency=intake_office(in_force, node.name), officer=answering.officer),
        purpose=statement.purpose,
        function=statement.function,
        basis=statement.basis,
        case=statement.case,
        in_reply_to=incoming.digest,
    )
    draft = Draft(
        kind=answering.kind,
        recipient=Recipient(node=statement.sender.node, agency=statement.sender.agency),
        cause=cause,
        body=answering.body,
        decision=answering.decision,
        lifetime=reply_lifetime(statement.expires, node.now(), in_force.agreement.clock_tolerance),
        asked=answering.asked,
    )
    ready = make_ready(node, draft)
    record_message(node, transaction, ready, in_force=in_force)
    return ready.id


def load_cited(node: Node, incoming: Incoming, *, of: frozenset[str]) -> StoredMessage:
    """The request of ours that a reply cites: of one of those kinds, and it went to that very node.

    Raises:
        MalformedError: REPLY_UNASKED.
    """
    statement, cited = incoming.statement, incoming.statement.in_reply_to
    request = find_by_digest(node.database, "sent", cited) if cited is not None else None
    if request is None or request.pair.recipient != statement.sender.node or request.kind not in of:
        raise MalformedError("REPLY_UNASKED", "expected a reply that cites a request of ours to that node")
    return request


def take_reply(node: Node, incoming: Incoming, *, to: str) -> Judgement:
    """Takes a reply in, if it is one to a request of that kind.

    Raises:
        MalformedError: as `load_cited`.
    """
    return _reply_to(node, incoming, load_cited(node, incoming, of=frozenset({to})))


def _reply_to(
    node: Node,
    incoming: Incoming,
    request: StoredMessage,
    *,
    ends: datetime | None = None,
    handle: str | None = None,
) -> Judgement:
    """Writes down the reply to a request. The first one stands: another one is refused and not kept.

    `ends` is until when what it tells of a person may be kept; None when it tells nothing of one. The `handle` of a hit
    is kept with the request that it came of.
    """
    statement, cited = incoming.statement, request.digest
    first = records.find_reply_line(node.database, cited)
    if first is not None and first.message_id != statement.id:
        return _refused(RuleError("REPLY_TWICE", "the request that this answers was answered before"))
    reply = records.Reply(request=cited, message_id=statement.id, ends=ends)

    def apply(transaction: GroupTransaction) -> None:
        records.put_reply(transaction, reply, owner=statement.sender.node)
        if handle is not None:
            records.put_held(transaction, handle, cited, owner=statement.sender.node)

    return Judgement(
        decision=Decision(
            verdict=Verdict.ALLOWED,
            policies=(REPLY_RULE,),
            fields=frozenset(),
            reason=Grounds.PERMITTED,
            title_zh="对本省请求的答复",
            title_en="A reply to a request of ours",
        ),
        apply=apply,
        after=lambda: node.waiters.tell(cited),
    )


def take_lookup_reply(
    node: Node,
    incoming: Incoming,
    request: StoredMessage,
    *,
    ends: datetime | None = None,
    handle: str | None = None,
) -> Judgement:
    """Takes in the reply to a look-up, in its time, from an office that answers for its province.

    One that comes after we gave the request up is refused and not kept: both sides say that the request expired.
    """
    tolerance = node.trust.in_force.agreement.clock_tolerance
    if incoming.statement.sender.agency.kind != POLICE:
        return _refused(RuleError("REPLY_OFFICE", "expected a police office to answer for its province"))
    if node.now() > statement_of(request).expires + tolerance:
        return _refused(RuleError("REPLY_TOO_LATE", "the request that this answers has expired; ask again"))
    return _reply_to(node, incoming, request, ends=ends, handle=handle)


def _refused(error: RuleError) -> Judgement:
    return Judgement(decision=refused_by_rule(error), apply=write_nothing)


def statement_of(message: StoredMessage) -> Statement:
    """The statement of a message of our own store."""
    return decode_statement(parse_envelope(message.envelope).payload)


def only_item(body: Body) -> bytes:
    """The one item of a body.

    Raises:
        MalformedError: BODY_ITEMS.
    """
    if len(body.items) != 1:
        raise MalformedError("BODY_ITEMS", f"expected one item, got {len(body.items)}")
    return body.items[0]


def one_item_body(media_type: str, content: bytes) -> Body:
    """A body of one item under a fresh salt."""
    return Body(type=media_type, salt=os.urandom(32), items=(content,))


def intake_office(in_force: InForce, node: NodeName) -> AgencyId:
    """The one office that answers for a province (article 347): its first police office by name."""
    offices = sorted(agency for agency in in_force.member(node).agencies if agency.kind == POLICE)
    if not offices:
        raise UntrustedError("NO_INTAKE", f"the agreement names no police office of {node}")
    return offices[0]
