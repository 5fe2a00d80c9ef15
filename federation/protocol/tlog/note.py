"""Signed notes: a text, an empty line, signature lines; the verifier keys ("vkeys") behind them; and checkpoints.

Rules kept: parsed strictly (see `ids`), at most 64 lines and 256 KiB; a line is known only when name *and* key id
are; one known line that fails rejects the whole note, and so does the lack of any known line; a vkey whose id is not
the one computed from its name and key is refused. The key id is four bytes and no security: the public key is.
A checkpoint is the signed head of a log: three lines exactly (origin, size, root), extension lines refused (no monitor
can audit them and a post-quantum cosignature does not cover them); the log's key name equals the origin; its own line
is Ed25519 (0x01); the empty tree has the root SHA-256 of nothing.
Trusts the vkeys it is given; refusing weak public keys belongs to their admission. Signs 0x01, reads any type.
Source: C2SP signed-note.md and tlog-checkpoint.md at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9; RFC 8032.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import (
    format_base64,
    format_decimal,
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_text,
    require_hash,
    require_text,
    split_lines,
)
from federation.protocol.tlog.merkle import EMPTY_ROOT

MAX_NOTE_BYTES = 256 * 1024
"""The largest note read. Four post-quantum lines are about 13 kB."""

MAX_LINES = 64
_KEY_ID_BYTES = 4
_ED25519_SIGNATURE_BYTES = 64
_HEX8 = re.compile(r"[0-9a-f]{8}", re.ASCII)
_LINE = re.compile(r"\u2014 ([^ ]+) ([^ ]+)")
_NOT_IN_NAMES = re.compile(r"[\s\x00-\x1f+\ud800-\udfff]")


class KeyKind(IntEnum):
    ED25519 = 0x01
    ECDSA = 0x02
    COSIGNATURE = 0x04
    TREE_HEAD = 0x05
    COSIGNATURE_MLDSA44 = 0x06


PUBLIC_KEY_BYTES: dict[int, int] = {KeyKind.ED25519: 32, KeyKind.COSIGNATURE: 32, KeyKind.COSIGNATURE_MLDSA44: 1312}
"""Length of the public key for the kinds that this package verifies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vkey:
    """A verifier key: who signs under which name with which kind of key."""

    name: str
    kind: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that a signature line names; computed, never taken from elsewhere."""
        if self.kind == KeyKind.ECDSA:
            return sha256(self.public_key).digest()[:_KEY_ID_BYTES]
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return format_vkey(self)


class NoteSignature(Struct, frozen=True, kw_only=True):
    """One signature line; `payload` is what follows the key id: the signature, for cosignatures after its time."""

    name: str
    key_id: bytes
    payload: bytes


class Note(Struct, frozen=True, kw_only=True):
    """A note as read, nothing verified. `text` keeps its final LF."""

    text: str
    signatures: tuple[NoteSignature, ...]


class VerifiedLine(Struct, frozen=True, kw_only=True):
    vkey: Vkey
    signature: NoteSignature


class VerifiedNote(Struct, frozen=True, kw_only=True):
    """A note that at least one known key signed; `lines` holds all known lines, every one verified."""

    text: str
    lines: tuple[VerifiedLine, ...]


Sign: TypeAlias = Callable[[bytes], bytes]
"""Signs a message; the private key stays wherever it is, in a file or in an HSM."""

LineCheck: TypeAlias = Callable[[Vkey, str, NoteSignature], None]
"""Raises `UntrustedError` unless the line is a signature of the text by that key."""


def parse_vkey(text: str) -> Vkey:
    """Parses `name+HEX8+base64(kind || public key)`; refuses VKEY, KEY_NAME, BASE64, and another key id (VKEY_ID)."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not _HEX8.fullmatch(parts[1]):
        raise MalformedError("VKEY", f"expected a vkey as name+8 hex digits+base64, got {text!r:.80}")
    blob = parse_base64(parts[2], "a vkey's key")
    if len(blob) < 2:
        raise MalformedError("VKEY", f"expected a type byte and a public key, got {len(blob)} bytes")
    vkey = _require_vkey(Vkey(name=parts[0], kind=blob[0], public_key=blob[1:]))
    if vkey.key_id.hex() != parts[1]:
        raise MalformedError("VKEY_ID", f"expected key id {vkey.key_id.hex()} for this name and key, got {parts[1]}")
    return vkey


def format_vkey(vkey: Vkey) -> str:
    """Formats a verifier key; refuses what `parse_vkey` would not read back (KEY_NAME, VKEY)."""
    _require_vkey(vkey)
    return f"{vkey.name}+{vkey.key_id.hex()}+{format_base64(bytes([vkey.kind]) + vkey.public_key)}"


def parse_note(blob: bytes) -> Note:
    """Parses a note, nothing verified; the *last* empty line parts text from signatures. Refuses another form."""
    whole = parse_text(blob, MAX_NOTE_BYTES)
    text, gap, lines = whole.rpartition("\n\n")
    if not gap or not lines:
        raise MalformedError("NOTE", "expected text, an empty line and signature lines, got no such end")
    return Note(text=text + "\n", signatures=parse_signature_lines(lines))


def format_note(note: Note) -> bytes:
    """Formats a signed note; refuses what `parse_note` would not read back (TEXT, NOTE, KEY_NAME, NOTE_LINE)."""
    lines = format_signature_lines(note.signatures)
    return f"{require_text(note.text)}\n{lines}".encode()


def parse_signature_lines(text: str) -> tuple[NoteSignature, ...]:
    """Parses a note's end or a witness's answer; refuses TEXT, NOTE (over 64 lines), NOTE_LINE, KEY_NAME, BASE64."""
    lines = split_lines(text)
    if len(lines) > MAX_LINES:
        raise MalformedError("NOTE", f"expected at most {MAX_LINES} signature lines, got {len(lines)}")
    return tuple(_parse_line(line) for line in lines)


def format_signature_lines(signatures: Iterable[NoteSignature]) -> str:
    """Formats 1 to 64 signature lines, each with its LF; refuses others (NOTE, KEY_NAME, NOTE_LINE)."""
    lines = [_format_line(signature) for signature in signatures]
    if not 1 <= len(lines) <= MAX_LINES:
        raise MalformedError("NOTE", f"expected 1 to {MAX_LINES} signature lines, got {len(lines)}")
    return "".join(lines)


def sign_note_line(text: str, vkey: Vkey, *, sign: Sign) -> NoteSignature:
    """Signs a note's text with an Ed25519 key (kind 0x01); refuses TEXT, VKEY_KIND, SIGNATURE_SIZE."""
    if vkey.kind != KeyKind.ED25519:
        raise MalformedError("VKEY_KIND", f"expected a vkey of kind 1 to sign a note, got {vkey.kind}")
    signature = sign(require_text(text).encode())
    if len(signature) != _ED25519_SIGNATURE_BYTES:
        raise MalformedError("SIGNATURE_SIZE", f"expected a signature of 64 bytes, got {len(signature)}")
    return NoteSignature(name=vkey.name, key_id=vkey.key_id, payload=signature)


def check_note_line(vkey: Vkey, text: str, signature: NoteSignature) -> None:
    """Refuses a line that is no Ed25519 signature (0x01) of the text by that key (SIGNATURE, VKEY_KIND)."""
    if vkey.kind != KeyKind.ED25519:
        raise UntrustedError("VKEY_KIND", f"expected a key of kind 1, got {vkey.kind} for {vkey.name!r:.80}")
    check_ed25519(vkey, text.encode(), signature.payload)


def check_ed25519(vkey: Vkey, message: bytes, signature: bytes) -> None:
    """Refuses a bare signature that the vkey's public key did not make (RFC 8032; SIGNATURE)."""
    try:
        Ed25519PublicKey.from_public_bytes(vkey.public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise UntrustedError("SIGNATURE", f"expected a signature by {vkey.name!r:.80} that verifies") from error


def verify_note(blob: bytes, vkeys: Iterable[Vkey], *, check: LineCheck = check_note_line) -> VerifiedNote:
    """Verifies the known lines, ignoring others; refuses one that fails (SIGNATURE), none known (NOTE_UNSIGNED)."""
    note = parse_note(blob)
    lines = verify_lines(note.text, note.signatures, vkeys=vkeys, check=check)
    if not lines:
        raise UntrustedError("NOTE_UNSIGNED", f"expected a line by a known key, got {len(note.signatures)} others")
    return VerifiedNote(text=note.text, lines=lines)


def strip_note(blob: bytes, vkeys: Iterable[Vkey], *, check: LineCheck = check_note_line) -> bytes:
    """Returns the note with its verified lines by known keys alone; refuses as `verify_note`."""
    found = verify_note(blob, vkeys, check=check)
    return format_note(Note(text=found.text, signatures=tuple(line.signature for line in found.lines)))


def verify_lines(
    text: str, signatures: Iterable[NoteSignature], *, vkeys: Iterable[Vkey], check: LineCheck = check_note_line
) -> tuple[VerifiedLine, ...]:
    """Returns the known lines over a text, perhaps none; refuses one that fails (SIGNATURE), VKEY_AMBIGUOUS."""
    known = _index(vkeys)
    verified = []
    for signature in signatures:
        vkey = known.get((signature.name, signature.key_id))
        if vkey is not None:
            check(vkey, text, signature)
            verified.append(VerifiedLine(vkey=vkey, signature=signature))
    return tuple(verified)


def _index(vkeys: Iterable[Vkey]) -> dict[tuple[str, bytes], Vkey]:
    known: dict[tuple[str, bytes], Vkey] = {}
    for vkey in vkeys:
        if known.setdefault((vkey.name, vkey.key_id), vkey) != vkey:
            raise MalformedError("VKEY_AMBIGUOUS", f"expected one key for each name and id, got two for {vkey.name!r}")
    return known


def _parse_line(line: str) -> NoteSignature:
    match = _LINE.fullmatch(line)
    if match is None:
        raise MalformedError("NOTE_LINE", f"expected a dash, a key name and base64, got {line!r:.80}")
    blob = parse_base64(match[2], "a signature line")
    if len(blob) <= _KEY_ID_BYTES:
        raise MalformedError("NOTE_LINE", f"expected a key id of 4 bytes and a signature, got {len(blob)} bytes")
    return NoteSignature(name=_require_name(match[1]), key_id=blob[:_KEY_ID_BYTES], payload=blob[_KEY_ID_BYTES:])


def _format_line(signature: NoteSignature) -> str:
    if len(signature.key_id) != _KEY_ID_BYTES or not signature.payload:
        raise MalformedError("NOTE_LINE", "expected a key id of 4 bytes and a signature that is not empty")
    blob = format_base64(signature.key_id + signature.payload)
    return f"\u2014 {_require_name(signature.name)} {blob}\n"


def _require_name(name: str) -> str:
    if not name or _NOT_IN_NAMES.search(name):
        raise MalformedError("KEY_NAME", f"expected a key name without spaces and plus signs, got {name!r:.80}")
    return name


def _require_vkey(vkey: Vkey) -> Vkey:
    _require_name(vkey.name)
    if not 0 <= vkey.kind <= 0xFF or not vkey.public_key:
        raise MalformedError("VKEY", f"expected a type byte and a public key, got type {vkey.kind}")
    expected = PUBLIC_KEY_BYTES.get(vkey.kind)
    if expected is not None and len(vkey.public_key) != expected:
        raise MalformedError("VKEY", f"expected a key of {expected} bytes, got {len(vkey.public_key)}")
    return vkey


class Checkpoint(Struct, frozen=True, kw_only=True):
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
