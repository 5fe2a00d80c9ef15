"""The end of what was on its way to a province, when an agreement leaves it out: as what expires ends.

Decided for a member, it is not brought to who is none: an `expired` leaf (NOT_A_MEMBER), and the queue is empty. What a
province must have however late stays known: admitted again, it is asked whether it had it, once its time is over, and
what it never had is said anew as policy of that day has it. A question is asked again by whoever still needs the
answer. Once the agreement names it no more among the former members, nothing waits for it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import chain, islice
from typing import Final

import structlog

from federation.node.exchange.erase import end_queued
from federation.node.log.bad_rows import commit_each
from federation.node.node import InForce, Node, received_key
from federation.protocol.ids import MessageId, NodeName
from federation.protocol.trust import find_party
from federation.store.exchange_log import GroupTransaction
from federation.store.messages import StoredMessage, each_queued, load_message

_log = structlog.get_logger()
NOT_A_MEMBER: Final = "NOT_A_MEMBER"
"""Why a queued message left the queue when its recipient was expelled."""
_AT_ONCE: Final = 256


async def end_for_former(node: Node) -> int:
    """Ends what is queued for who is no member; returns how many messages. While nothing may be written, it waits."""
    if node.sequencer.held is not None or node.sequencer.failure is not None:
        return 0
    in_force, count = node.trust.in_force, 0

    def is_gone(peer: NodeName) -> bool:
        return find_party(in_force.agreement, peer) is None

    queued = chain(
        each_queued(node.database, "pending", to=lambda peer: not in_force.has(peer)),
        each_queued(node.database, "unheard", to=is_gone),
        each_queued(node.database, "missed", to=is_gone),
    )
    while found := await asyncio.to_thread(lambda: list(islice(queued, _AT_ONCE))):
        jobs = [(f"sent {each}", partial(_end, node, in_force, each)) for each in found]
        for message in await commit_each(node, "former", jobs):
            count += 1
            for key in (message.digest, received_key(message.digest)):
                node.waiters.tell(key)
    if count:
        _log.warning("outbox.ended_for_former", messages=count)
    return count


def _end(node: Node, in_force: InForce, message_id: MessageId, transaction: GroupTransaction) -> StoredMessage:
    message = load_message(transaction, "sent", message_id)
    is_renewed = node.kinds[message.kind].resend is not None and find_party(in_force.agreement, message.pair.recipient)
    end_queued(node, transaction, message, reason=NOT_A_MEMBER, state="unheard" if is_renewed else "expired")
    return message
