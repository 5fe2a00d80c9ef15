"""Receipts: what the receiver answers to a submission, and how the sender makes sure of it.

A receipt is the receiver's leaf and its proof under a checkpoint that the receiver's log signed: it means *stored and
decided*. It needs no signature of its own; a refusal by policy is a receipt too.
Rules kept: the leaf is canonical, about our statement, and says `received` or `refused`; the proof holds the one form
of C2SP tlog-proof; the log's own line must verify. Witness lines are not needed here: the audit asks for them.
Trusts the log vkey, which the agreement gives. Source: DESIGN section 3.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct

from federation.protocol.body import Body, Handed, PartialBody
from federation.protocol.errors import BridgeheadError, MalformedError, UntrustedError
from federation.protocol.leaf import Leaf, LeafKind, Verdict, decode_leaf
from federation.protocol.tlog.merkle import hash_leaf, verify_inclusion
from federation.protocol.tlog.note import Checkpoint, Vkey, verify_checkpoint
from federation.protocol.tlog.proof import TlogProof, parse_proof

_VERDICTS = {LeafKind.RECEIVED: Verdict.ALLOWED, LeafKind.REFUSED: Verdict.REFUSED}


class Submission(Struct, frozen=True, kw_only=True):
    """One message on its way to another node: the encoded envelope, and the body where the statement has one.

    `body` is whole, `partial` has some places of it: each kind of message travels in one of both ways.
    """

    envelope: bytes
    body: Body | None = None
    partial: PartialBody | None = None


def submission_of(envelope: bytes, handed: Handed | None) -> Submission:
    if isinstance(handed, PartialBody):
        return Submission(envelope=envelope, partial=handed)
    return Submission(envelope=envelope, body=handed)


class Receipt(Struct, frozen=True, kw_only=True):
    """The receiver's leaf, byte for byte, and its `.tlog-proof`. Nothing is verified yet."""

    leaf: bytes
    proof: bytes


class VerifiedReceipt(Struct, frozen=True, kw_only=True):
    """The decoded leaf stands at `index` of the receiver's log under a checkpoint that this log signed."""

    leaf: Leaf
    index: int
    checkpoint: Checkpoint


Answer: TypeAlias = Receipt | BridgeheadError
"""What one submission gets: a receipt, or the error why it could not be judged."""


def verify_receipt(receipt: Receipt, *, statement_digest: str, log_vkey: Vkey) -> VerifiedReceipt:
    """Verifies that the receiver stored and decided the statement with that digest (hex).

    1 the leaf is canonical (RECEIPT_LEAF, `cause` says why); 2 it is about our statement (RECEIPT_SUBJECT); 3 it says
    `received` or `refused`, and the verdict agrees (RECEIPT_KIND); 4 the proof (RECEIPT_PROOF) has a checkpoint signed
    by the log that the agreement names (RECEIPT_CHECKPOINT); 5 the leaf is included under it (RECEIPT_INCLUSION).
    """
    leaf = _decode_leaf(receipt.leaf)  # 1
    if leaf.subject != statement_digest:  # 2
        raise UntrustedError("RECEIPT_SUBJECT", f"expected a leaf about {statement_digest:.16}, got {leaf.subject:.16}")
    if leaf.kind not in _VERDICTS or leaf.verdict is not _VERDICTS[leaf.kind]:  # 3
        got = f"{leaf.kind} with verdict {leaf.verdict}"
        raise UntrustedError("RECEIPT_KIND", f"expected a leaf 'received' (allowed) or 'refused' (refused), got {got}")
    index, checkpoint = verify_logged(receipt, log_vkey)  # 4, 5
    return VerifiedReceipt(leaf=leaf, index=index, checkpoint=checkpoint)


def verify_logged(receipt: Receipt, log_vkey: Vkey) -> tuple[int, Checkpoint]:
    """Verifies that a leaf, whatever it says, stands in a log, and where: 4 and 5 of `verify_receipt`."""
    proof = _parse_proof(receipt.proof)
    try:
        checkpoint = _verified_checkpoint(proof.checkpoint, log_vkey)
    except BridgeheadError as error:
        raise UntrustedError(
            "RECEIPT_CHECKPOINT", f"expected a checkpoint signed by {log_vkey.name!r:.80}", cause=error.reason
        ) from error
    _verify_inclusion(receipt.leaf, proof, checkpoint)
    return proof.index, checkpoint


@lru_cache(maxsize=64)
def _verified_checkpoint(note: bytes, log_vkey: Vkey) -> Checkpoint:
    """Verifies a checkpoint once for all receipts of one group; only what verified is kept."""
    return verify_checkpoint(note, log_vkey)


def _decode_leaf(encoded: bytes) -> Leaf:
    try:
        return decode_leaf(encoded)
    except MalformedError as error:
        raise MalformedError("RECEIPT_LEAF", f"not a leaf: {error.message}", cause=error.reason) from error


def _parse_proof(blob: bytes) -> TlogProof:
    try:
        return parse_proof(blob)
    except MalformedError as error:
        raise MalformedError("RECEIPT_PROOF", f"not a proof: {error.message}", cause=error.reason) from error


def _verify_inclusion(leaf: bytes, proof: TlogProof, checkpoint: Checkpoint) -> None:
    try:
        verify_inclusion(hash_leaf(leaf), proof.index, size=checkpoint.size, proof=proof.hashes, root=checkpoint.root)
    except BridgeheadError as error:
        raise UntrustedError("RECEIPT_INCLUSION", f"not in the log: {error.message}", cause=error.reason) from error
