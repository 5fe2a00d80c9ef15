"""Delivery tells who waits: the end of a message is heard at once, whatever end it is, and after the commit."""

from __future__ import annotations

from federation.node.exchange.send import send
from federation.node.node import received_key
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import Pair
from federation.store.messages import find_message, find_outbox_state, list_messages
from tests.node.exchange.test_deliver import delivery, outcomes, queue
from tests.node.rig import JIANGXI, ZHEJIANG, Rig, cause, draft

OUT = Pair(ZHEJIANG, JIANGXI)


class Listener:
    """Keeps each key that delivery tells, with the states that the queue had in the store at that moment."""

    def __init__(self, rig: Rig) -> None:
        self.database = rig[ZHEJIANG].database
        self.states: dict[str, set[str | None]] = {}
        delivery(rig).start({JIANGXI: rig.links[ZHEJIANG, JIANGXI]}, renewed=(), notify=self._hear)

    def _hear(self, key: str) -> None:
        sent = list_messages(self.database, "sent", pair=OUT, after_seq=0, limit=9)
        digest = key.rpartition("/")[2]
        (message,) = (each for each in sent if each.digest == digest)
        self.states.setdefault(key, set()).add(find_outbox_state(self.database, message.id))


def digest_of(rig: Rig, message_id) -> str:
    message = find_message(rig[ZHEJIANG].database, "sent", message_id)
    assert message is not None
    return message.digest


async def test_deliver_tells_of_each_message_once_its_receipt_is_durable(rig: Rig) -> None:
    """A receipt that says yes ends nothing for who waits for the reply: only the receipt's own key is told."""
    ids = await queue(rig, 3)
    listener = Listener(rig)

    assert await outcomes(rig, ids) == {"settled"}

    assert listener.states == {received_key(digest_of(rig, each)): {"settled"} for each in ids}


async def test_deliver_tells_who_waits_for_a_reply_of_a_refusal(rig: Rig) -> None:
    """The receipt says no: no reply will come, and nobody waits for one until his time is out."""
    refused = replace(draft(), cause=cause(purpose="permit.check", function="F03"))
    (message_id,) = (await send(rig[ZHEJIANG], [refused], rows=lambda _tx: None)).value[1]
    listener = Listener(rig)

    assert await delivery(rig).wait_settled(message_id) == "settled"

    digest = digest_of(rig, message_id)
    assert listener.states == {received_key(digest): {"settled"}, digest: {"settled"}}


async def test_deliver_tells_who_waits_for_a_reply_of_a_rejection(rig: Rig) -> None:
    """The other side cannot judge it, and never will."""
    rig.faults(ZHEJIANG, JIANGXI).alter = lambda answers: [MalformedError("MESSAGE_KIND", "no such kind")]
    (message_id,) = await queue(rig)
    listener = Listener(rig)

    assert await delivery(rig).wait_settled(message_id) == "rejected"

    digest = digest_of(rig, message_id)
    assert listener.states == {received_key(digest): {"rejected"}, digest: {"rejected"}}


async def test_deliver_tells_who_waits_for_a_reply_of_a_message_that_expired(rig: Rig) -> None:
    """Nobody waits for what was never sent."""
    (message_id,) = await queue(rig)
    rig.clock.advance(days=3, seconds=1)
    listener = Listener(rig)

    assert await delivery(rig).wait_settled(message_id) == "expired"

    digest = digest_of(rig, message_id)
    assert listener.states == {received_key(digest): {"expired"}, digest: {"expired"}}
