"""Jiangxi takes a message in: the receipt verified, or the refusal that leaves nothing behind."""

from __future__ import annotations

import pytest

from federation.node.exchange.receive import receive
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import NodeName
from federation.protocol.keys import Ed25519Signer
from federation.protocol.leaf import Leaf
from federation.protocol.receipt import Receipt, Submission, verify_receipt
from tests.node.rig import JIANGXI, ZHEJIANG, Rig, received

SEALED = Ed25519Signer(bytes(range(32)))


async def take(rig: Rig, sent: Submission, *, peer: NodeName = ZHEJIANG) -> Receipt:
    """What Jiangxi answers to a submission that came over the named node's line."""
    return await receive(rig[JIANGXI], sent, peer=peer)


async def refused(rig: Rig, sent: Submission, error: type[BridgeheadError], reason: str, **names: NodeName) -> None:
    """Nothing is stored of it: no leaf, no message, no number."""
    before = rig[JIANGXI].sequencer.head
    with pytest.raises(error) as caught:
        await take(rig, sent, **names)
    assert caught.value.reason == reason
    assert rig[JIANGXI].sequencer.head == before
    assert received(rig[JIANGXI]) == []


def verified(rig: Rig, sent: Submission, receipt: Receipt) -> Leaf:
    """The leaf that a receipt of Jiangxi proves for this very submission."""
    digest = parse_envelope(sent.envelope).digest
    return verify_receipt(receipt, statement_digest=digest, log_vkey=rig[JIANGXI].sequencer.vkey).leaf
