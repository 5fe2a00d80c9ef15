"""The end of a message, by this node's own clock and by what its own store says of the case.

Retention destroys what has ended, and a deletion receipt that nobody ordered touches nothing else. Source: DESIGN
section 5, misuse control M9, `policies/retention.toml`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from federation.domain.erasure import ErasureGrounds
from federation.domain.lookups import AnswerItem, ReleaseItem
from federation.domain.lookups_case import LookupCase, is_open
from federation.domain.retention import QUESTION, RELEASE, destroyed_after
from federation.node.exchange.replies import find_reply, statement_of
from federation.node.exchange.send import answered_by
from federation.node.joint.ends import end_of_case
from federation.node.joint.records import family_of
from federation.node.lookups.records import find_case
from federation.node.node import InForce, Node
from federation.protocol.errors import CorruptError, MalformedError
from federation.protocol.statement import Statement
from federation.store.messages import StoredMessage, find_body


def find_end(
    node: Node, in_force: InForce, message: StoredMessage, *, now: datetime
) -> ErasureGrounds | datetime | None:
    """Returns why a message has ended; else when to look again, None when no time and no case will end it."""
    statement, keep = statement_of(message), node.kinds[message.kind].keep
    if family_of(message.kind) is not None:
        return end_of_case(in_force, node.database, message, now=now)
    lifetime = destroyed_after(in_force.retention, keep)
    if lifetime is not None:
        ends = statement.created + lifetime
        return ErasureGrounds.EXPIRED if now >= ends else ends
    if keep == RELEASE:
        return _end_of_release(node, message, statement, now=now)
    if keep != QUESTION:
        return None
    if now <= (until := answered_by(statement, in_force)):
        return until
    asker = statement.sender.agency
    case = find_case(node.database, asker, statement.case, announced=asker.node != node.name)
    return case.closes if case is not None and is_open(case, now) else ErasureGrounds.CASE_CLOSED


def grounds_of(ends: datetime, case: LookupCase | None, now: datetime) -> ErasureGrounds | None:
    """Returns why what was given until then for a case has ended; None while it has not."""
    if case is None or not is_open(case, now):
        return ErasureGrounds.CASE_CLOSED
    return ErasureGrounds.EXPIRED if now >= ends else None


def _end_of_release(
    node: Node, message: StoredMessage, statement: Statement, *, now: datetime
) -> ErasureGrounds | datetime | None:
    """The end of an answer or a release, at the asker by what it took in, at the giver by what it gave."""
    if message.direction == "received":
        reply = find_reply(node.database, statement.in_reply_to or "")
        ends = reply.ends if reply is not None and reply.message_id == message.id else None
    else:
        ends = _given_until(node, message, statement)
    if ends is None:
        return None
    case = find_case(node.database, statement.recipient.agency, statement.case, announced=message.direction == "sent")
    return grounds_of(ends, case, now) or (ends if case is None else min(ends, case.closes))


def _given_until(node: Node, message: StoredMessage, statement: Statement) -> datetime | None:
    """The end of what we gave, as its body says; of one that cannot be read, its case alone ends it."""
    try:
        body = find_body(node.database, message.id)
        item = node.kinds[message.kind].decode(body.items[0], statement) if body is not None else None
    except (CorruptError, MalformedError) as error:
        node.bad_rows.note("retention", f"sent {message.id}", error)
        return datetime.max.replace(tzinfo=UTC)
    return item.expires if isinstance(item, (AnswerItem, ReleaseItem)) else None
