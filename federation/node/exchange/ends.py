"""When what a message handed over is looked at, since it may have ended by then: one row a message, read by its day.

The row says when to look and not that it has ended, which is for retention to say. It dies with the message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from federation.domain.retention import DestroyOn, RetentionRule
from federation.node.node import InForce, Node
from federation.protocol.ids import MessageId
from federation.protocol.statement import Statement
from federation.store.collection import Collection
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """That a message is looked at on a day; `case` is its own, with the node of the agency that opened it."""

    direction: Direction
    message_id: MessageId
    day: date
    case: str = ""
    looks: int = 1


ENDS: Final[Collection[End]] = Collection(
    kind="message-end",
    encode=lambda _: b"",
    decode=lambda record: End(
        direction="sent" if record.id.startswith("sent/") else "received",
        message_id=MessageId(record.id.partition("/")[2]),
        day=record.due_date or date.max,
        case=record.subject or "",
        looks=record.version,
    ),
    id=lambda end: f"{end.direction}/{end.message_id}",
    replica=True,
    version=lambda end: end.looks,
    due=lambda end: end.day,
    subject=lambda end: end.case or None,
)


def put_end(
    node: Node, transaction: GroupTransaction, statement: Statement, *, direction: Direction, in_force: InForce
) -> None:
    """Writes down when a message is looked at first; nothing for a kind that no day and no case ends."""
    kind = node.kinds.get(statement.kind)
    rule = in_force.retention.rules.get(kind.keep) if kind is not None else None
    day = _first_look(rule, statement, direction) if rule is not None else None
    if day is None:
        return
    asker = statement.recipient.node if rule is not None and _ends_at_asker(rule) else statement.sender.node
    case = f"{asker}/{statement.case}" if statement.case else ""
    end = End(direction=direction, message_id=statement.id, day=day, case=case)
    with transaction.carrying(statement.id):
        ENDS.put(transaction, end, owner=node.name)


def look_again(transaction: GroupTransaction, end: End, day: date, *, node: Node) -> None:
    """Puts the next look off to a later day."""
    ENDS.put(transaction, replace(end, day=day, looks=end.looks + 1), owner=node.name)


def _first_look(rule: RetentionRule, statement: Statement, direction: Direction) -> date | None:
    if rule.destroy_after_days is not None:
        return (statement.created + timedelta(days=rule.destroy_after_days)).date()
    if rule.destroy_on is DestroyOn.CASE_AND_ANSWER_ENDED:
        return statement.expires.date()
    if _ends_at_asker(rule) and direction == "received":
        return statement.created.date()
    return None


def _ends_at_asker(rule: RetentionRule) -> bool:
    """True for the answer to a question: its asker destroys it, and sends the giver a receipt."""
    return rule.destroy_on is DestroyOn.EXPIRED_OR_CASE_CLOSED
