"""What came of one statement of ours: its reply, a refusal, or nothing in time; looked up in the store, waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from federation.domain.lookup.asking import Outcome
from federation.domain.lookup.refusal import REFUSAL_BODY, Refusal, decode_refusal, refusal_titles
from federation.node.exchange.waiters import LOOK_SECONDS, received_key
from federation.node.log.decisions import refusal_rule
from federation.node.lookups import records
from federation.node.lookups.asking.refusals import rule_titles
from federation.node.node import Node
from federation.protocol.errors import RuleError
from federation.protocol.ids import MessageId
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.policy import Decision, Grounds
from federation.store.messages import find_body
from federation.store.outbox import find_outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """The reply, or who refused and why, or that it expired; none of them while it is awaited.

    `answered`: that it was replied to, even when the reply has been erased since. `received`: the other side has our
    statement, and will reply if it is a question; until `due`, after which it has expired.
    """

    reply: bytes | None = None
    answered: records.Reply | None = None
    refusal: Decision | None = None
    expired: bool = False
    received: bool = False
    due: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is awaited."""
        return self.answered is not None or self.refusal is not None or self.expired


def find_outcome(node: Node, digest: str, *, message_id: str) -> Came:
    """What the store holds of a statement now; a late reply still counts after it has expired."""
    answered = records.find_reply_line(node.database, digest)
    if answered is not None:
        body = find_body(node.database, answered.message_id)
        if body is not None and body.type == REFUSAL_BODY:
            return Came(refusal=_desk_decision(decode_refusal(body.items[0])), answered=answered, received=True)
        return Came(reply=body.items[0] if body is not None else None, answered=answered, received=True)
    row = find_outbox(node.database, MessageId(message_id))
    if row is None:
        return Came()
    if row.receipt_leaf is not None:
        leaf = decode_leaf(row.receipt_leaf)
        if leaf.verdict is Verdict.REFUSED:
            return Came(refusal=_decision_of(node, leaf.policies), received=True)
    elif row.state == "rejected":
        return Came(refusal=_rejection(row.last_error or "UNKNOWN"))
    return Came(expired=row.expires < node.now(), received=row.receipt_leaf is not None, due=row.expires)


async def wait_outcome(
    node: Node, digest: str, *, message_id: str, seconds: float, by_desk: bool = False, fresh: bool = False
) -> Came:
    """Waits until nothing more is awaited, at most so long; what comes later is found in the store.

    When a person must answer (`by_desk`) it is enough that the other side has it. A `fresh` statement was committed a
    moment ago: there is nothing to be found yet.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    keys = (digest, received_key(digest)) if by_desk else (digest,)
    if fresh:
        await node.waiters.wait(*keys, seconds=min(seconds, LOOK_SECONDS))
    while True:
        came = find_outcome(node, digest, message_id=message_id)
        if came.ended or (by_desk and came.received) or loop.time() >= end:
            return came
        await node.waiters.wait(*keys)


def silent_outcome(came: Came) -> Outcome:
    """What it is when there is neither reply nor refusal: expired, waiting for a person who has it, or out of reach."""
    if came.expired:
        return Outcome.EXPIRED
    return Outcome.WAITING if came.received else Outcome.UNREACHABLE


def waits_until(came: Came) -> datetime | None:
    """Until when the other side's desk may answer; None when nothing is waited for there."""
    return came.due if silent_outcome(came) is Outcome.WAITING else None


async def wait_received(node: Node, digest: str, *, message_id: str, seconds: float) -> None:
    """Waits until the other side has it or never will, at most so long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        came = find_outcome(node, digest, message_id=message_id)
        if came.received or came.ended:
            return
        await node.waiters.wait(received_key(digest))


def _desk_decision(refusal: Refusal) -> Decision:
    """A refusal by a person at the other side's desk: the reason, and that person's own words."""
    title_zh, title_en = refusal_titles(refusal)
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(f"desk-{refusal.reason.value.replace('_', '-')}",),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=title_zh,
        title_en=title_en,
    )


def _decision_of(node: Node, policies: Sequence[str]) -> Decision:
    """The other side's refusal in our words: its leaf names the policies or the rule, and we hold their text."""
    book = node.trust.in_force.policies.policies
    policy_titles = {name: (book[name].title_zh, book[name].title_en) for name in policies if name in book}
    titles = [found for name in policies if (found := policy_titles.get(name) or rule_titles(name)) is not None]
    return Decision(
        verdict=Verdict.REFUSED,
        policies=tuple(policies),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh=";".join(title_zh for title_zh, _ in titles),
        title_en="; ".join(title_en for _, title_en in titles),
    )


def _rejection(reason: str) -> Decision:
    """A statement that the other side can never judge is refused too, and nobody waits for it."""
    return Decision(
        verdict=Verdict.REFUSED,
        policies=(refusal_rule(RuleError(reason, "the other node could not judge it")),),
        fields=frozenset(),
        reason=Grounds.FORBIDDEN,
        title_zh="对方节点无法受理这条消息",
        title_en=f"The other node could not judge this message: {reason}",
    )
