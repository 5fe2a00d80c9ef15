"""Good messages in wrong hands: replayed elsewhere, handed in by others, with another body."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.node.exchange.receive import receive
from federation.node.exchange.send import send
from federation.protocol.body import open_places
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName
from federation.protocol.receipt import Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.messages import load_body
from tests.node.rig import (
    FUJIAN,
    JIANGXI,
    YUSHAN_POLICE,
    ZHEJIANG,
    Rig,
    draft,
    kit,
    received,
    running_rig,
    sign,
    statement,
    submission,
    sync_body,
    sync_item,
)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running_rig(tmp_path, (ZHEJIANG, JIANGXI, FUJIAN)) as made:
        yield made


@pytest.mark.parametrize(("peer", "reason"), [(JIANGXI, "SIGNER_UNKNOWN"), (ZHEJIANG, "NOT_FOR_US")])
async def test_message_for_jiangxi_is_nothing_to_fujian(rig: Rig, peer: NodeName, reason: str) -> None:
    """A message that Jiangxi received cannot be passed on as if it were for Fujian, by neither of the two."""
    sent = submission(rig)
    await receive(rig[JIANGXI], sent, peer=ZHEJIANG)

    with pytest.raises(UntrustedError) as caught:
        await receive(rig[FUJIAN], sent, peer=peer)

    assert caught.value.reason == reason
    assert rig[FUJIAN].sequencer.head.size == 0


async def test_receipt_is_not_given_to_who_is_not_the_sender(rig: Rig) -> None:
    """Fujian overheard the message: it learns nothing by handing it in again."""
    sent = submission(rig)
    await receive(rig[JIANGXI], sent, peer=ZHEJIANG)

    with pytest.raises(UntrustedError):
        await receive(rig[JIANGXI], sent, peer=FUJIAN)


async def test_envelope_with_the_body_of_another_message_refused(rig: Rig) -> None:
    """Both messages are good and of one sender: the bodies still cannot be exchanged."""
    one, two = submission(rig, sync_body(sync_item(1)), seq=1), submission(rig, sync_body(sync_item(2)), seq=2)

    for sent in (replace(one, body=two.body), replace(two, body=one.body)):
        with pytest.raises(UntrustedError) as caught:
            await receive(rig[JIANGXI], sent, peer=ZHEJIANG)
        assert caught.value.reason == "BODY_COMMITMENT"
    assert rig[JIANGXI].sequencer.head.size == 0


async def test_kind_that_is_handed_over_whole_refuses_some_places_of_it(rig: Rig) -> None:
    """A permit of which the sender shows some items only, and swears to the rest, is not taken in; nor are both."""
    body = sync_body(sync_item(1), sync_item(2))
    sent, part = submission(rig, body), open_places(body, (0,))

    for other in (replace(sent, body=None, partial=part), replace(sent, partial=part)):
        with pytest.raises(MalformedError) as caught:
            await receive(rig[JIANGXI], other, peer=ZHEJIANG)
        assert caught.value.reason == "BODY_PARTIAL"
    assert rig[JIANGXI].sequencer.head.size == 0


async def test_repeat_with_another_body_changes_nothing_that_is_stored(rig: Rig) -> None:
    """The first body is the one that was receipted; a repeat with another one is answered or refused, never stored."""
    sent = submission(rig)
    first = await receive(rig[JIANGXI], sent, peer=ZHEJIANG)
    try:
        again = await receive(rig[JIANGXI], replace(sent, body=sync_body(sync_item(9))), peer=ZHEJIANG)
        assert again == first
    except BridgeheadError:
        pass

    (message,) = received(rig[JIANGXI])
    assert load_body(rig[JIANGXI].database, message.id) == sent.body
    assert rig[JIANGXI].sequencer.head.size == 1


async def test_same_statement_to_two_nodes_under_one_number_shows_in_both(rig: Rig) -> None:
    """A sender that addresses the same number to both has two pairs: neither takes the other's."""
    body = sync_body()
    for_fujian = Submission(envelope=sign(statement(rig, body, recipient=Recipient(node=FUJIAN))), body=body)
    with pytest.raises(UntrustedError) as caught:
        await receive(rig[JIANGXI], for_fujian, peer=ZHEJIANG)
    assert caught.value.reason == "NOT_FOR_US"


async def test_id_of_a_message_we_sent_comes_back_as_another_message(rig: Rig) -> None:
    """Our own id in another's message is another's lie: it is refused where a body of that id is stored already."""
    (message_id,) = (await send(rig[ZHEJIANG], [draft()], rows=lambda _tx: None)).value[1]
    before = load_body(rig[ZHEJIANG].database, message_id)
    body = sync_body(sync_item(residence="361123", household="330822"))
    made = statement(
        rig, body, id=message_id, sender=Sender(node=JIANGXI, agency=YUSHAN_POLICE), recipient=Recipient(node=ZHEJIANG)
    )
    with pytest.raises(ConflictError):
        await receive(
            rig[ZHEJIANG], Submission(envelope=sign(made, kit().keyrings[JIANGXI].message), body=body), peer=JIANGXI
        )
    assert load_body(rig[ZHEJIANG].database, message_id) == before
