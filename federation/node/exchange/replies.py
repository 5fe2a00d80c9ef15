"""A question of another province and the reply to it: drafted where the question is received, taken in once.

A reply is committed with its question's receipt, and cites it; the first one to a question of ours stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

from federation.domain.lookups import Outcome, reply_lifetime
from federation.domain.retention import USE
from federation.node.exchange.judge import REPLY_TAKEN, Judgement, Kind, Received, Rows
from federation.node.exchange.send import Cause, Draft, Sent
from federation.node.node import InForce, Node, received_key
from federation.protocol.body import Body
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import MalformedError, RuleError, UnavailableError
from federation.protocol.form import Item, Time, decode, encode, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, truncate_to_millisecond
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.policy import Decision, PolicyRequest
from federation.protocol.statement import Recipient, Sender, Statement, decode_statement
from federation.store.collection import Collection
from federation.store.database import Source
from federation.store.messages import StoredMessage, find_body, find_by_digest, find_outbox
from federation.store.records import Record

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
    """Drafts the reply to a question, under its purpose and case; it travels no longer than the question is waited for.

    The office of ours that the question names answers, else the one for the whole province.
    `officer` is None when the node answers by itself; `asked` is empty when the question's own inputs to policy count.
    """
    node, statement, in_force = received.node, received.statement, received.in_force
    asked_office = statement.recipient.agency
    office = intake_office(in_force, node.name) if asked_office is None else asked_office
    sender = Sender(node=node.name, agency=office, officer=officer)
    cause = Cause.of(statement, sender, in_reply_to=received.digest)
    to = Recipient(node=statement.sender.node, agency=statement.sender.agency)
    draft = kind.draft(item, to=to, cause=cause, decision=decision, asked=asked)
    lifetime = reply_lifetime(statement.expires, node.now(), in_force.agreement.clock_tolerance)
    return replace(draft, lifetime=lifetime)


def take_reply(received: Received[Any], *, ends: datetime | None = None, records: tuple[Record, ...] = ()) -> Judgement:
    """Takes in the first reply to a request of ours, and `records` with it. Refuses REPLY_OFFICE, REPLY_TWICE.

    `ends` is until when what it tells of a person may be kept; None when it tells nothing of one.
    """
    verify_reply(received)
    statement, cited = received.statement, received.cited.digest
    ends = None if ends is None else truncate_to_millisecond(ends)
    reply = REPLIES.record(Reply(request=cited, message_id=statement.id, ends=ends), owner=statement.sender.node)
    updates = partial(_first_reply, reply, statement.id)
    return Judgement(decision=REPLY_TAKEN, rows=Rows(records=records, updates=updates, wakes=(cited,)))


def verify_reply(received: Received[Any]) -> None:
    """Refuses a reply of another office than was asked (REPLY_OFFICE), and a second one (REPLY_TWICE).

    Where no office was named, a police office answers for its province.
    """
    office, asked = received.statement.sender.agency, statement_of(received.cited).recipient.agency
    if office.kind != POLICE if asked is None else office != asked:
        raise RuleError("REPLY_OFFICE", "expected the office that was asked, or a police office for its province")
    first = find_reply(received.node.database, received.cited.digest)
    if first is not None and first.message_id != received.statement.id:
        raise RuleError("REPLY_TWICE", "the request that this answers was answered before")


def _first_reply(reply: Record, message_id: MessageId, source: Source) -> tuple[Record, ...]:
    """The record of a reply, unless another one was judged at the same moment (UnavailableError REPLY_TWICE)."""
    first = find_reply(source, reply.id)
    if first is not None and first.message_id != message_id:
        raise UnavailableError("REPLY_TWICE", "another reply came at this moment; send it again to be judged")
    return (reply,)


class Reply(Item, frozen=True, kw_only=True, rename={"message_id": "message"}):
    """The message that replied to a request of ours; `ends`: kept until then, None when it tells of no person."""

    WHAT: ClassVar[str] = "lookup-reply"

    request: str = ""
    message_id: MessageId
    ends: Time | None = None
    erased: Time | None = None


REPLIES: Final[Collection[Reply]] = Collection(
    kind=Reply.WHAT,
    encode=lambda reply: encode(replace(reply, request="")),
    decode=lambda record: replace(decode(Reply, record.content), request=record.id),
    id=lambda reply: reply.request,
    replica=True,
    version=lambda reply: 1 if reply.erased is None else 2,
    status=lambda reply: "came" if reply.erased is None else "erased",
    due=lambda reply: reply.ends.date() if reply.ends is not None and reply.erased is None else None,
    kept_under=USE,
)
"""Which message replied to each of our requests, by the request's digest, and its erasure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The state of a statement of ours: replied to, refused, rejected, expired, or on its way.

    `body` is None once the reply was erased; `refused` names the policies or rule as the receipt does; `rejected` is
    why it can never be judged; `received` with a question awaits a reply until `due`, after which it has `expired`.
    `leafed`: the time of the other side's leaf.
    """

    reply: Reply | None = None
    body: Body | None = None
    refused: tuple[str, ...] = ()
    rejected: str = ""
    expired: bool = False
    received: bool = False
    due: datetime | None = None
    leafed: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.reply is not None or bool(self.refused) or bool(self.rejected) or self.expired

    def __repr__(self) -> str:
        return f"Response(ended={self.ended}, received={self.received})"


def outcome_of(response: Response) -> Outcome:
    """One province's answer to a question that is answered or refused."""
    if response.body is not None:
        return Outcome.HIT
    if response.refused:
        return Outcome.REFUSED
    return Outcome.EXPIRED if response.expired else Outcome.UNREACHABLE


def find_response(node: Node, digest: str) -> Response:
    """Returns the state of a statement of ours as the store has it now; a late reply still counts after expiry."""
    reply = find_reply(node.database, digest)
    if reply is not None:
        return Response(reply=reply, body=find_body(node.database, reply.message_id), received=True)
    message = find_by_digest(node.database, "sent", digest)
    return Response() if message is None else find_delivery(node, message.id)


def find_delivery(node: Node, message_id: MessageId) -> Response:
    """Returns the state of a message of ours to which no reply can come, as the store has it now."""
    row = find_outbox(node.database, message_id)
    if row is None:
        return Response()
    if row.receipt_leaf is None and row.state == "rejected":
        return Response(rejected=row.last_error or "UNKNOWN")
    leaf = decode_leaf(row.receipt_leaf) if row.receipt_leaf is not None else None
    if leaf is not None and leaf.verdict is Verdict.REFUSED:
        return Response(refused=leaf.policies, received=True)
    is_over = row.expires < node.now() or (row.state == "expired" and leaf is None)
    leafed = None if leaf is None else leaf.time
    return Response(expired=is_over, received=leaf is not None, due=row.expires, leafed=leafed)


async def replies(
    node: Node, digests: Iterable[str], *, seconds: float, received: bool = False, fresh: bool = False
) -> list[Response]:
    """Waits, at most so long, until nothing more is awaited of these statements; `fresh` ones have nothing to find yet.

    With `received` it is enough that the other side has it, as when a person must answer there.
    """

    async def one(digest: str) -> Response:
        def look() -> Response | None:
            found = find_response(node, digest)
            return found if found.ended or (received and found.received) else None

        keys = (digest, received_key(digest)) if received else (digest,)
        found = await node.waiters.until(look, *keys, seconds=seconds, fresh=fresh)
        return found or find_response(node, digest)

    return await asyncio.gather(*map(one, digests))


async def delivered(node: Node, sent: Iterable[Sent], *, seconds: float) -> None:
    """Waits, at most so long, until the other side has each of these messages, or never will."""

    async def one(message: Sent) -> None:
        def look() -> bool | None:
            found = find_delivery(node, message.id)
            return found.ended or found.received or None

        await node.waiters.until(look, message.digest, received_key(message.digest), seconds=seconds)

    await asyncio.gather(*map(one, sent))


def find_reply(source: Source, digest: str) -> Reply | None:
    """That a reply to one of our requests has come, by which message, and what became of it."""
    return REPLIES.find(source, digest)


def find_reply_item(source: Source, digest: str) -> bytes | None:
    """Returns the item that replied to a request, out of its message's body; None until it came and once erased."""
    reply = find_reply(source, digest)
    body = find_body(source, reply.message_id) if reply is not None else None
    return body.items[0] if body is not None else None


def statement_of(message: StoredMessage) -> Statement:
    return decode_statement(parse_envelope(message.envelope).payload)


def only_item(body: Body) -> bytes:
    """The one item of a body. Raises MalformedError: BODY_ITEMS."""
    if len(body.items) != 1:
        raise MalformedError("BODY_ITEMS", f"expected one item, got {len(body.items)}")
    return body.items[0]


def intake_office(in_force: InForce, node: NodeName) -> AgencyId:
    """The one office that answers for a province (article 347): its first police office by name."""
    return in_force.office(node, (POLICE,))
