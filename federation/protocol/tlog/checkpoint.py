"""Checkpoints: the signed head of an exchange log, as origin, size and root.

Rules kept: three lines exactly, extension lines refused (no monitor can audit them and a post-quantum cosignature does
not cover them); the log's key name equals the origin; the log's own line is Ed25519 (0x01); the empty tree has the root
SHA-256 of nothing. Trusts the log's vkey it is given.
Source: C2SP tlog-checkpoint.md, C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.tlog.lines import (
    format_base64,
    format_decimal,
    parse_decimal,
    parse_hash,
    require_hash,
    require_text,
    split_lines,
)
from federation.protocol.tlog.merkle import EMPTY_ROOT
from federation.protocol.tlog.note import Note, Sign, Vkey, format_note, sign_note_line, verify_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of one log: `size` leaves under `root`. Nothing about it is verified yet."""

    origin: str
    size: int
    root: bytes


def parse_checkpoint(text: str) -> Checkpoint:
    """Parses a checkpoint's text; refuses other lines (CHECKPOINT, TEXT, DECIMAL, BASE64, HASH_SIZE)."""
    lines = split_lines(require_text(text))
    if len(lines) != 3 or not lines[0]:
        raise MalformedError("CHECKPOINT", f"expected origin, size and root on three lines, got {len(lines)} lines")
    origin, size, root = lines
    return Checkpoint(origin=origin, size=parse_decimal(size, "the tree size"), root=parse_hash(root, "the root"))


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Formats a checkpoint's text; refuses what `parse_checkpoint` would not read back."""
    if not checkpoint.origin or "\n" in checkpoint.origin:
        raise MalformedError("CHECKPOINT", f"expected an origin of one line, got {checkpoint.origin!r:.80}")
    root = format_base64(require_hash(checkpoint.root, "the root"))
    return require_text(f"{checkpoint.origin}\n{format_decimal(checkpoint.size, 'the tree size')}\n{root}\n")


def sign_checkpoint(checkpoint: Checkpoint, log: Vkey, *, sign: Sign) -> bytes:
    """Signs a checkpoint with the log's own line; refuses ORIGIN, VKEY_KIND.

    The caller guarantees what no format can: no two checkpoints are ever signed that no consistency proof joins.
    """
    if log.name != checkpoint.origin:
        raise MalformedError("ORIGIN", f"expected a key named {checkpoint.origin!r:.80}, got {log.name!r:.80}")
    text = format_checkpoint(checkpoint)
    return format_note(Note(text=text, signatures=(sign_note_line(text, log, sign=sign),)))


def verify_checkpoint(blob: bytes, log: Vkey) -> Checkpoint:
    """Verifies the log's own line, ignoring others; refuses NOTE_UNSIGNED, SIGNATURE, ORIGIN, EMPTY_ROOT."""
    checkpoint = parse_checkpoint(verify_note(blob, [log]).text)
    return require_origin(checkpoint, log.name)


def require_origin(checkpoint: Checkpoint, origin: str) -> Checkpoint:
    """Returns the checkpoint when it is about that log (ORIGIN) and, if empty, has the empty root (EMPTY_ROOT)."""
    if checkpoint.origin != origin:
        raise UntrustedError("ORIGIN", f"expected the log {origin!r:.80}, got {checkpoint.origin!r:.80}")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise UntrustedError("EMPTY_ROOT", "expected the root of the empty tree for size 0, got another")
    return checkpoint
