"""The second request: asking once more for an answer that a person at the other side's desk owes us.

It is a signed statement that cites the request; one a request is sent, by the officer or by the node at half of the
clock. At the desk it puts the request at the top of the inbox. Source: Nlets second requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from federation.domain.intake import SECOND_BODY, IntakeStatus, decode_second, encode_second
from federation.domain.lookups import reply_lifetime
from federation.domain.retention import PROVISION
from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Judgement, Kind, Received, Rows, allowed_by_rule
from federation.node.exchange.replies import find_reply, one_item_body, statement_of
from federation.node.exchange.send import Cause, Draft, make_ready, record_message
from federation.node.exchange.trust import InForce
from federation.node.log.decisions import SECOND_RULE
from federation.node.lookups import records
from federation.node.lookups.intake.entries import entry_record, find_entry
from federation.node.lookups.kinds import FETCH_KIND, SEARCH_KIND, SECOND_KIND
from federation.node.node import Node
from federation.protocol.canonical_json import decode_canonical, read_text
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import MessageId, parse_message_id, truncate_to_millisecond
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.statement import Recipient, Statement
from federation.protocol.trust import verify_in_force
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, find_body, find_by_digest, find_message
from federation.store.outbox import find_outbox
from federation.store.records import Record, find_record, put_records
from federation.wire.agency.intake import Reminder

SECOND = "lookup-second"
_BY_RULE = allowed_by_rule(SECOND_RULE, "对已提出请求的再次催问", "A second request for an answer that is owed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A request of ours that the other side has, and has not replied to."""

    message: StoredMessage
    statement: Statement
    lookup_id: MessageId


async def remind(errand: Errand, lookup_id: str) -> tuple[Reminder, ...]:
    """Asks every province a second time that owes an answer to a look-up of this agency; a repeat asks nobody again.

    Raises:
        MalformedError: MESSAGE_ID. NotFoundError: LOOKUP_UNKNOWN.
        RuleError: NOTHING_OWED when every province has answered, refused, or let the time pass.
    """
    node = errand.node
    wanted = parse_message_id(lookup_id)
    asked = [line for line, _ in records.list_asked(node.database, errand.caller) if line.lookup_id == wanted]
    if not asked:
        raise NotFoundError("LOOKUP_UNKNOWN", f"this agency asked no look-up {wanted}")
    found = (find_owed(node, line.digest, lookup_id=wanted) for line in asked)
    owed = [each for each in found if each is not None]
    if not owed:
        raise RuleError("NOTHING_OWED", f"nobody owes an answer to look-up {wanted}; see 'bridgehead lookup history'")
    times = await send_seconds(node, owed)
    return tuple(
        Reminder(node=each.message.pair.recipient, step=each.message.kind, time=time, due=each.statement.expires)
        for each, time in zip(owed, times, strict=True)
    )


def find_owed(node: Node, digest: str, *, lookup_id: MessageId) -> Owed | None:
    """The request with that digest while the other side owes a reply to it; None when it does not, or no longer."""
    message = find_by_digest(node.database, "sent", digest) if digest else None
    if message is None or not is_owed(node, message):
        return None
    statement = statement_of(message)
    return Owed(message=message, statement=statement, lookup_id=lookup_id) if node.now() <= statement.expires else None


def is_owed(node: Node, message: StoredMessage) -> bool:
    """Whether the other side took in a search or a fetch of ours and has not replied."""
    if message.kind not in (SEARCH_KIND, FETCH_KIND):
        return False
    row = find_outbox(node.database, message.id)
    leaf = decode_leaf(row.receipt_leaf) if row is not None and row.receipt_leaf is not None else None
    taken = leaf is not None and leaf.verdict is Verdict.ALLOWED
    return taken and find_reply(node.database, message.digest) is None


def lookup_of(node: Node, message: StoredMessage) -> MessageId | None:
    """The look-up that a question of ours belongs to; None when its body was erased."""
    body = find_body(node.database, message.id)
    if body is None:
        return None
    return parse_message_id(
        read_text(decode_canonical(body.items[0], what=message.kind), "lookup_id", what=message.kind)
    )


async def send_seconds(node: Node, owed: Sequence[Owed]) -> Sequence[datetime]:
    """Sends one second request for each that had none yet; returns when each was asked the second time.

    Raises:
        StaleError: AGREEMENT_EXPIRED when nothing new may be said under the agreement.
    """
    in_force, now = node.trust.in_force, truncate_to_millisecond(node.now())
    verify_in_force(in_force.agreement, now)
    ready = [make_ready(node, _draft(each, now=now, in_force=in_force)) for each in owed]

    def record(transaction: GroupTransaction) -> list[datetime]:
        times: list[datetime] = []
        for each, message in zip(owed, ready, strict=True):
            sent = find_second(transaction, each.message.digest)
            if sent is None:
                _put_second(transaction, each, message.id, node=node)
                record_message(node, transaction, message, in_force=in_force)
            times.append(sent or now)
        return times

    times = (await node.sequencer.commit(record)).value
    for each in owed:
        node.wake_delivery(each.message.pair.recipient)
    return times


def find_second(source: Source, digest: str) -> datetime | None:
    """When the request with that digest was asked a second time; None when it was not."""
    record = find_record(source, SECOND, digest, replica=True)
    sent = find_message(source, "sent", MessageId(record.content.decode())) if record is not None else None
    return sent.created if sent is not None else None


def _judge_second(received: Received[MessageId]) -> Judgement:
    """Takes in that another province asks a second time: its request goes to the top of the inbox, if it still waits.

    Raises:
        MalformedError: SECOND_UNASKED when it cites no request of that node to us.
        RuleError: SECOND_OTHER for the request of another agency.
    """
    node, statement = received.node, received.statement
    cited = statement.in_reply_to
    request = find_by_digest(node.database, "received", cited) if cited is not None else None
    if request is None or request.pair.sender != statement.sender.node:
        raise MalformedError("SECOND_UNASKED", "expected a second request that cites a request of that node to us")
    if statement_of(request).sender.agency != statement.sender.agency:
        raise RuleError("SECOND_OTHER", "the first request was another agency's")
    kept = find_entry(node.database, request.id)
    if kept is None or kept.entry.status is not IntakeStatus.WAITING or kept.entry.second is not None:
        return Judgement(decision=_BY_RULE)
    # an act at the desk at the same moment makes the same version and comes first: there is nothing to ask again then
    entry = replace(kept.entry, second=truncate_to_millisecond(node.now()))
    record = entry_record(entry, owner=node.name, replaces=kept.version)
    return Judgement(decision=_BY_RULE, rows=Rows(records=(record,), left_by=request.id))


def _draft(owed: Owed, *, now: datetime, in_force: InForce) -> Draft:
    statement = owed.statement
    return Draft(
        kind=SECOND_KIND,
        recipient=Recipient(node=owed.message.pair.recipient),
        cause=Cause(
            sender=statement.sender,
            purpose=statement.purpose,
            function=statement.function,
            basis=statement.basis,
            case=statement.case,
            in_reply_to=owed.message.digest,
        ),
        body=one_item_body(SECOND_BODY, encode_second(owed.lookup_id)),
        decision=_BY_RULE,
        lifetime=reply_lifetime(statement.expires, now, in_force.agreement.clock_tolerance),
    )


def _put_second(transaction: GroupTransaction, owed: Owed, message_id: MessageId, *, node: Node) -> None:
    record = Record(
        id=owed.message.digest,
        kind=SECOND,
        owner=node.name,
        version=1,
        replica=True,
        status="sent",
        division="",
        content=message_id.encode(),
    )
    put_records(transaction, [record])


SECOND_REQUEST = Kind(
    name=SECOND_KIND,
    media_type=SECOND_BODY,
    encode=encode_second,
    decode=lambda content, _: decode_second(content),
    many=False,
    judge=_judge_second,
    answers=(),
    keep=PROVISION,
    resend=None,
)
