"""Proofs of logging (`.tlog-proof`): a leaf's index, its inclusion path and the signed checkpoint above it.

A receipt and every leaf in an evidence file have this form. Rules kept: verified in one order: the leaf hash is the
caller's, then origin and log line, then cosignatures against the policy, then inclusion; `extra` is not authenticated
and nothing here reads it; nothing may follow the last byte. Trusts the policy and the origin it is given. Source: C2SP
tlog-proof.md (draft), C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import (
    MAX_PROOF_HASHES,
    format_base64,
    format_decimal,
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_text,
    require_hash,
)
from federation.protocol.tlog.cosignature import CosignedCheckpoint, verify_cosigned
from federation.protocol.tlog.merkle import verify_inclusion
from federation.protocol.tlog.note import MAX_NOTE_BYTES, parse_note
from federation.protocol.tlog.quorum import Policy, find_log, verify_quorum

MAX_PROOF_BYTES = MAX_NOTE_BYTES + 64 * 1024
"""The largest proof read: a note, the path, and room for `extra`."""

_HEADER = "c2sp.org/tlog-proof@v1"


class TlogProof(Struct, frozen=True, kw_only=True):
    """A proof as read, nothing verified; `checkpoint` is the signed note, byte for byte."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


class VerifiedProof(Struct, frozen=True, kw_only=True):
    """The leaf stands at `index` of the log, under a checkpoint that met the policy's quorum."""

    index: int
    leaf_hash: bytes
    cosigned: CosignedCheckpoint


def parse_proof(blob: bytes) -> TlogProof:
    """Parses a `.tlog-proof`, nothing verified; refuses another form (PROOF, PROOF_LENGTH, as its parts do)."""
    head, gap, note = parse_text(blob, MAX_PROOF_BYTES).partition("\n\n")
    lines = head.split("\n")
    if not gap or lines.pop(0) != _HEADER:
        raise MalformedError("PROOF", f"expected the line {_HEADER}, a proof, an empty line and a checkpoint")
    extra = parse_base64(lines.pop(0)[6:], "extra") if lines and lines[0].startswith("extra ") else None
    if extra == b"":
        raise MalformedError("PROOF", "expected no extra line when there is nothing in it")
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("PROOF", "expected a line with the index, got none")
    index = parse_decimal(lines.pop(0)[6:], "the index")
    checkpoint = note.encode()
    parse_note(checkpoint)
    return TlogProof(index=index, hashes=parse_hash_lines(lines), checkpoint=checkpoint, extra=extra)


def format_proof(proof: TlogProof) -> bytes:
    parse_note(proof.checkpoint)
    if proof.extra == b"":
        raise MalformedError("PROOF", "expected no extra at all instead of an empty one")
    extra = "" if proof.extra is None else f"extra {format_base64(proof.extra)}\n"
    head = f"{_HEADER}\n{extra}index {format_decimal(proof.index, 'the index')}\n{format_hash_lines(proof.hashes)}\n"
    return head.encode() + proof.checkpoint


def parse_hash_lines(lines: Iterable[str]) -> tuple[bytes, ...]:
    """Parses base64 hashes, a line each without LF; refuses over 63 (PROOF_LENGTH), BASE64, HASH_SIZE."""
    return _require_count(tuple(parse_hash(line, "a proof hash") for line in lines))


def format_hash_lines(hashes: Iterable[bytes]) -> str:
    """Formats hashes as base64, a line each with its LF; refuses over 63 (PROOF_LENGTH), HASH_SIZE."""
    checked = _require_count(tuple(hashes))
    return "".join(format_base64(require_hash(blob, "a proof hash")) + "\n" for blob in checked)


def verify_proof(blob: bytes, leaf_hash: bytes, *, origin: str, policy: Policy, not_after: datetime) -> VerifiedProof:
    """Verifies that a leaf is in the log of that origin, under a checkpoint which enough witnesses cosigned.

    In this order: the policy accepts the origin and the log's line verifies (LOG_UNKNOWN, ORIGIN, NOTE_UNSIGNED); every
    known witness's line does, none later than `not_after` (SIGNATURE, COSIGNATURE_TIME, COSIGNATURE_FUTURE); distinct
    keys meet the quorum (QUORUM); the proof leads to the root (INCLUSION). `leaf_hash` is the caller's.
    """
    proof = parse_proof(blob)
    log = find_log(policy, origin)
    if log is None:
        raise UntrustedError("LOG_UNKNOWN", f"expected a log of the policy, got {origin!r:.80}")
    cosigned = verify_cosigned(proof.checkpoint, log, witnesses=policy.witness_vkeys, not_after=not_after)
    verify_quorum(policy, cosigned.cosigner_keys)
    head = cosigned.checkpoint
    verify_inclusion(leaf_hash, proof.index, size=head.size, proof=proof.hashes, root=head.root)
    return VerifiedProof(index=proof.index, leaf_hash=leaf_hash, cosigned=cosigned)


def _require_count(hashes: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if len(hashes) > MAX_PROOF_HASHES:
        raise MalformedError("PROOF_LENGTH", f"expected at most {MAX_PROOF_HASHES} proof hashes, got {len(hashes)}")
    return hashes
