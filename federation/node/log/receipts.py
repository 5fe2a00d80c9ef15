"""Receipts of this node's own log: built under a signed checkpoint, and verified by ourselves before they leave.

A receipt needs no signature of its own: the checkpoint's is the one. It says *stored and decided*.
"""

from __future__ import annotations

from federation.node.log.sequence import SignedHead
from federation.node.node import Node
from federation.protocol.errors import BridgeheadError, CorruptError
from federation.protocol.receipt import Receipt, verify_receipt
from federation.protocol.tlog.proof import TlogProof, format_proof
from federation.store.exchange_log import covering_checkpoint, inclusion_proof, load_entries
from federation.store.messages import StoredMessage


def build_receipt(node: Node, statement_digest: str, entry: bytes, *, index: int, head: SignedHead) -> Receipt:
    """Builds the receipt of the leaf `entry` at `index` under that head, and verifies it.

    Raises:
        CorruptError: RECEIPT_INVALID when our own receipt does not verify: the node must not answer.
    """
    hashes = inclusion_proof(node.database, index, head.size)
    receipt = Receipt(leaf=entry, proof=format_proof(TlogProof(index=index, hashes=hashes, checkpoint=head.note)))
    try:
        verify_receipt(receipt, statement_digest=statement_digest, log_vkey=node.sequencer.vkey)
    except BridgeheadError as error:
        raise CorruptError("RECEIPT_INVALID", "our own receipt does not verify") from error
    return receipt


def stored_receipt(node: Node, message: StoredMessage) -> Receipt:
    """The receipt that was given first for a message, byte for byte: the head that first covered its leaf."""
    row = covering_checkpoint(node.database, message.leaf_index)
    entry = load_entries(node.database, message.leaf_index, 1)[0]
    head = node.sequencer.sign(row.size, row.root)
    return build_receipt(node, message.digest, entry, index=message.leaf_index, head=head)
