"""A question of another province and the reply to it: drafted where the question is received, taken in once.

A reply is numbered, signed and logged in the transaction that receives its question, and cites it. One that comes in
cites a question of ours to that very node; the first one stands.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, TypeVar

from federation.domain.lookup.asking import reply_lifetime
from federation.node.exchange.judge import REPLY_TAKEN, Judgement, Kind, Received, Rows
from federation.node.exchange.send import Cause, Draft
from federation.node.exchange.trust import InForce
from federation.node.lookups import records
from federation.protocol.body import Body
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import MalformedError, RuleError, UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient, Sender, Statement, decode_statement
from federation.store.messages import StoredMessage

POLICE = "police"
I = TypeVar("I")  # noqa: E741 - the item of a kind


def reply_draft(
    received: Received[Any],
    kind: Kind[I],
    item: I,
    *,
    decision: Decision,
    officer: str | None = None,
    asked: tuple[PolicyRequest, ...] = (),
) -> Draft:
    """Drafts the reply to a question, under the question's own purpose and case.

    It travels no longer than its question is waited for.

    Args:
        received: the question.
        kind: the kind of the reply.
        item: what is replied.
        decision: what lets the reply out.
        officer: the person at the desk, None when the node answers by itself.
        asked: what was put to policy for this very reply; empty when the question's own are.
    """
    node, statement, in_force = received.node, received.statement, received.in_force
    return Draft(
        kind=kind.name,
        recipient=Recipient(node=statement.sender.node, agency=statement.sender.agency),
        cause=Cause(
            sender=Sender(node=node.name, agency=intake_office(in_force, node.name), officer=officer),
            purpose=statement.purpose,
            function=statement.function,
            basis=statement.basis,
            case=statement.case,
            in_reply_to=received.digest,
        ),
        body=one_item_body(kind.media_type, kind.encode(item)),
        decision=decision,
        lifetime=reply_lifetime(statement.expires, node.now(), in_force.agreement.clock_tolerance),
        asked=asked,
    )


def take_reply(received: Received[Any], *, ends: datetime | None = None, handle: str | None = None) -> Judgement:
    """Takes in the reply to a request of ours. The first one stands: another one is refused and not kept.

    `ends` is until when what it tells of a person may be kept; None when it tells nothing of one. The `handle` of a hit
    is kept with the request that it came of.

    Raises:
        RuleError: REPLY_TWICE.
    """
    statement, cited = received.statement, received.cited.digest
    first = records.find_reply_line(received.node.database, cited)
    if first is not None and first.message_id != statement.id:
        raise RuleError("REPLY_TWICE", "the request that this answers was answered before")
    owner = statement.sender.node
    kept = [records.reply_record(records.Reply(request=cited, message_id=statement.id, ends=ends), owner=owner)]
    if handle is not None:
        kept.append(records.held_record(handle, cited, owner=owner))
    return Judgement(decision=REPLY_TAKEN, rows=Rows(records=tuple(kept), wakes=(cited,)))


def take_lookup_reply(received: Received[Any], *, ends: datetime | None = None, handle: str | None = None) -> Judgement:
    """Takes in the reply to a look-up, in its time, from an office that answers for its province.

    One that comes after we gave the request up is refused and not kept: both sides say that the request expired.

    Raises:
        RuleError: REPLY_OFFICE, REPLY_TOO_LATE, REPLY_TWICE.
    """
    if received.statement.sender.agency.kind != POLICE:
        raise RuleError("REPLY_OFFICE", "expected a police office to answer for its province")
    tolerance = received.in_force.agreement.clock_tolerance
    if received.node.now() > statement_of(received.cited).expires + tolerance:
        raise RuleError("REPLY_TOO_LATE", "the request that this answers has expired; ask again")
    return take_reply(received, ends=ends, handle=handle)


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
