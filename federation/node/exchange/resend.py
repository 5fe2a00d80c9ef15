"""Resending: what a province must get, however long it was away, is said anew when it expired on its way.

Records that are shared, notices, corrections and leads, what must be destroyed or is told as destroyed: none of it is
lost for having waited. Said anew is only what the peer answered that it never had, once for each message that expired,
in its newest form (`Kind.resend`): another statement, number and leaf beside the `expired` one. What was erased or
withdrawn, and what a newer message says, is not said again. Source: PIPL article 47, DESIGN section 3.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from federation.node.exchange.send import Cause, Draft, Sent, no_rows, prepare, record_message
from federation.node.log.bad_rows import commit_each
from federation.node.log.decisions import find_decision
from federation.node.node import InForce, Node
from federation.protocol.body import Body, Handed
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import CorruptError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, NodeName
from federation.protocol.leaf import LeafKind, Verdict, decode_leaf
from federation.protocol.policy import Decision, Grounds, PolicyRequest
from federation.protocol.statement import Recipient, Sender, Statement, decode_statement
from federation.protocol.trust import find_agency
from federation.store.exchange_log import GroupTransaction
from federation.store.log_reader import find_entry
from federation.store.messages import (
    StoredMessage,
    count_unheard,
    each_queued,
    expire_outbox,
    find_handed,
    find_outbox_state,
    load_message,
)
from federation.store.records import Record

_BATCH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Missed:
    """A message of ours that the peer never had, in the transaction (`source`) that says it anew."""

    node: Node
    in_force: InForce
    source: GroupTransaction
    message: StoredMessage
    statement: Statement
    body: Handed

    @property
    def cause(self) -> Cause:
        """The cause of the first statement; an office that the agreement names no more is stood in for by another."""
        statement, sender = self.statement, self.statement.sender
        if find_agency(self.in_force.agreement, sender.agency) is None:
            office = self.in_force.office(self.node.name, (sender.agency.kind,), county=sender.agency.county)
            sender = Sender(node=self.node.name, agency=office)
        return Cause.of(statement, sender, in_reply_to=statement.in_reply_to)

    def again(self, *items: bytes, rows: Callable[[Sent], Sequence[Record]] = no_rows) -> Draft:
        """The same words to the same office, or other `items`, as the same policies let them out.

        Of a partial body it is the same places, under the same commitment.
        """
        sent = find_entry(self.source, LeafKind.SENT, self.message.digest)
        to = self.statement.recipient
        gone = to.agency is not None and find_agency(self.in_force.agreement, to.agency) is None
        return Draft(
            kind=self.message.kind,
            recipient=Recipient(node=to.node) if gone else to,
            cause=self.cause,
            body=replace(self.body, salt=os.urandom(32), items=items or self.body.items)
            if isinstance(self.body, Body)
            else self.body,
            ref=self.statement.body,
            decision=Decision(
                verdict=Verdict.ALLOWED,
                policies=decode_leaf(sent[1]).policies if sent is not None else (),
                fields=frozenset(),
                reason=Grounds.PERMITTED,
                title_zh="",
                title_en="",
            ),
            asked=self._asked(),
            rows=rows,
        )

    def _asked(self) -> tuple[PolicyRequest, ...]:
        stored = find_decision(self.source, self.message.digest)
        return tuple(asked.request for asked in stored.asked) if stored is not None else ()


def resent_alone(missed: Missed) -> Draft:
    """For a kind that says the same words again, and leaves nothing else to be changed."""
    return missed.again()


async def resend_missed(node: Node, *, in_force: InForce) -> int:
    """Says anew what the other side never had, and returns how many messages there were; to members only.

    What has expired and was not asked about yet is asked by delivery, which is woken for it.
    """
    count, missed = 0, each_queued(node.database, "missed", to=in_force.has)
    while found := await asyncio.to_thread(lambda: list(islice(missed, _BATCH))):
        jobs = [(f"sent {each}", partial(_resend_missed, node, in_force, each)) for each in found]
        recipients = [each for each in await commit_each(node, "resend", jobs) if each is not None]
        count += len(recipients)
        for recipient in set(recipients):
            node.wake_delivery(recipient)
    for peer in count_unheard(node.database):
        node.wake_delivery(peer)
    return count


def _resend_missed(
    node: Node, in_force: InForce, message_id: MessageId, transaction: GroupTransaction
) -> NodeName | None:
    if find_outbox_state(transaction, message_id) != "missed":
        return None  # another process of this node was here first
    expire_outbox(transaction, message_id)
    message, body = load_message(transaction, "sent", message_id), find_handed(transaction, message_id)
    is_said = body is not None and _resend(node, in_force, transaction, message, body)
    return message.pair.recipient if is_said else None


def _resend(node: Node, in_force: InForce, transaction: GroupTransaction, message: StoredMessage, body: Handed) -> bool:
    """Says one message anew; False when nothing of it is left to be said."""
    resend = node.kinds[message.kind].resend
    if resend is None:
        raise CorruptError("OUTBOX_STATE", f"expected a kind that is said anew, got {message.kind}")
    statement = decode_statement(parse_envelope(message.envelope).payload)
    draft = resend(
        Missed(node=node, in_force=in_force, source=transaction, message=message, statement=statement, body=body)
    )
    if draft is None:
        return False
    record_message(node, transaction, prepare(node, draft), in_force=in_force)
    return True
