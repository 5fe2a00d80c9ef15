"""A question of another province and the reply to it: one item each way, drafted where the question is received.

The reply is numbered, signed and logged in the transaction that receives its question, and cites it; a reply that comes
in must cite a question of ours to that very node.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from federation.node.judgement import Incoming, Judgement
from federation.node.log.rules import REPLY_RULE
from federation.node.lookups import records
from federation.node.node import Node
from federation.node.send import Cause, Draft, make_ready, record_message
from federation.node.trust import InForce
from federation.protocol.body import Body
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.protocol.statement import Recipient, Sender
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import find_by_digest

ANSWER_LIFETIME = timedelta(hours=1)
"""An answer that cannot be delivered within the routine hour is of no use: it expires on both sides."""
POLICE = "police"


def reply_to(
    node: Node, transaction: GroupTransaction, incoming: Incoming, *, kind: str, body: Body, decision: Decision
) -> None:
    """Drafts, numbers, signs, logs and queues the reply to a question, under the question's own purpose and case."""
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


def take_reply(node: Node, incoming: Incoming, *, ends: datetime | None = None, handle: str | None = None) -> Judgement:
    """Takes a reply in, if it is one: it must cite a request that we sent to that very node.

    `ends` is until when what it tells of a person may be kept; None when it tells nothing of one. The `handle` of a hit
    is kept with the request that it came of.

    Raises:
        MalformedError: REPLY_UNASKED.
    """
    statement, cited = incoming.statement, incoming.statement.in_reply_to
    request = find_by_digest(node.database, "sent", cited) if cited is not None else None
    if request is None or request.pair.recipient != statement.sender.node or cited is None:
        raise MalformedError("REPLY_UNASKED", "expected a reply that cites a request of ours to that node")
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
        after=lambda: node.arrivals.tell(cited),
    )


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


def _intake(in_force: InForce, node: NodeName) -> AgencyId:
    """The one office that answers for a province (article 347): its first police office by name."""
    offices = sorted(agency for agency in in_force.member(node).agencies if agency.kind == POLICE)
    if not offices:
        raise UntrustedError("NO_INTAKE", f"the agreement names no police office of {node}")
    return offices[0]
