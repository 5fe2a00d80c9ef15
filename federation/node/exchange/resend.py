"""Resending: a message that a province must get, however long it was away, is sent again when it expired on its way.

What must be destroyed, or told as destroyed, does not lapse, nor does the owner's answer to a correction. The same
words go out under a new statement, once for each that expired; an order keeps its day; the newest answer to a
correction counts, in whatever order they arrive. What was erased or withdrawn is not said again. Source: PIPL article
47, DESIGN section 3.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Final

from federation.node.exchange.send import Cause, Draft, Sent, prepare, record_message
from federation.node.log.decisions import find_decision
from federation.node.node import InForce, Node
from federation.protocol.envelope import parse_envelope
from federation.protocol.form import replace
from federation.protocol.leaf import LeafKind, Verdict, decode_leaf
from federation.protocol.policy import Decision, Grounds
from federation.protocol.statement import decode_statement
from federation.store.exchange_log import GroupTransaction, find_entry
from federation.store.messages import StoredMessage, find_body, list_expired, load_body, load_message
from federation.store.records import Record, find_record, put_records

RESENT: Final = "erasure-again"


async def resend_expired(node: Node, *, in_force: InForce) -> int:
    """Sends again what expired before the other side had it, and returns how many there were."""
    count = 0
    for message_id in list_expired(node.database, [kind.name for kind in node.kinds.values() if kind.resend]):
        if find_record(node.database, RESENT, message_id, replica=True) is not None:
            continue
        if find_body(node.database, message_id) is None:
            continue
        message = load_message(node.database, "sent", message_id)
        count += (await node.sequencer.commit(partial(_resend, node, in_force, message))).value
        node.wake_delivery(message.pair.recipient)
    return count


def _resend(node: Node, in_force: InForce, message: StoredMessage, transaction: GroupTransaction) -> bool:
    if find_record(transaction, RESENT, message.id, replica=True) is not None:
        return False  # another process of this node was here first
    ready = prepare(node, _draft(node, message))
    sent = Sent(id=ready.id, digest=record_message(node, transaction, ready, in_force=in_force))
    resent = node.kinds[message.kind].resend
    done = Record(
        id=message.id, kind=RESENT, owner=node.name, version=1, replica=True, status="again", division="", content=b"{}"
    )
    put_records(transaction, [done, *(resent(transaction, message.digest, sent) if resent is not None else ())])
    return True


def _draft(node: Node, message: StoredMessage) -> Draft:
    """The same words to the same office, as the same policies let them out."""
    statement = decode_statement(parse_envelope(message.envelope).payload)
    sent, stored = (
        find_entry(node.database, LeafKind.SENT, message.digest),
        find_decision(node.database, message.digest),
    )
    return Draft(
        kind=message.kind,
        recipient=statement.recipient,
        cause=Cause(
            sender=statement.sender,
            purpose=statement.purpose,
            function=statement.function,
            basis=statement.basis,
            in_reply_to=statement.in_reply_to,
        ),
        body=replace(load_body(node.database, message.id), salt=os.urandom(32)),
        decision=Decision(
            verdict=Verdict.ALLOWED,
            policies=decode_leaf(sent[1]).policies if sent is not None else (),
            fields=frozenset(),
            reason=Grounds.PERMITTED,
            title_zh="",
            title_en="",
        ),
        asked=tuple(asked.request for asked in stored.asked) if stored is not None else (),
    )
