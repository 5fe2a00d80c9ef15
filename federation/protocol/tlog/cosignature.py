"""Cosignatures: a witness's timed line on another log's checkpoint, Ed25519 (0x04) or ML-DSA-44 (0x06).

A cosignature means: as of that time, this is the largest consistent tree the cosigner has seen for this origin. Rules
kept: 0x04 signs a header, the time and the checkpoint's text, *not* the cosigner's name, so each cosigner has a key of
its own; 0x06 signs the binary form with name, time, origin, size and root; a line from after the time the verifier
allows rejects the note; keys are counted, never lines. Trusts the vkeys it is given. Source: C2SP tlog-cosignature.md,
C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9; FIPS 204 (pure, empty context).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from msgspec import Struct

from federation.protocol.errors import MalformedError, StaleError, UntrustedError
from federation.protocol.tlog.note import (
    Checkpoint,
    KeyKind,
    NoteSignature,
    Sign,
    VerifiedLine,
    Vkey,
    check_ed25519,
    check_note_line,
    format_checkpoint,
    parse_checkpoint,
    parse_note,
    require_origin,
    verify_lines,
)

_TIME_BYTES = 8
_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST_SECOND = 253_402_300_799  # the end of the year 9999: later times have no datetime, and no meaning here
_SIGNATURE_BYTES: dict[int, int] = {KeyKind.COSIGNATURE: 64, KeyKind.COSIGNATURE_MLDSA44: 2420}


class Cosignature(Struct, frozen=True, kw_only=True):
    vkey: Vkey
    signature: NoteSignature
    cosign_time: datetime


class CosignedCheckpoint(Struct, frozen=True, kw_only=True):
    """A checkpoint whose log line verified, with every known cosignature on it, each verified."""

    checkpoint: Checkpoint
    log: Vkey
    cosignatures: tuple[Cosignature, ...]

    @property
    def cosigner_keys(self) -> frozenset[bytes]:
        """The distinct public keys that cosigned: what a quorum counts."""
        return frozenset(line.vkey.public_key for line in self.cosignatures)


def format_cosignature_message(text: str, cosign_time: datetime) -> bytes:
    return f"cosignature/v1\ntime {_seconds(cosign_time)}\n{text}".encode()


def encode_subtree_message(checkpoint: Checkpoint, cosigner: str, *, cosign_time: datetime) -> bytes:
    """Encodes what a 0x06 cosignature signs; refuses a name that does not fit one length byte (COSIGNED_NAME)."""
    format_checkpoint(checkpoint)  # refuses what no field below could carry
    return b"".join((
        b"subtree/v1\n\x00",
        _encode_name(cosigner),
        _seconds(cosign_time).to_bytes(8),
        _encode_name(checkpoint.origin),
        (0).to_bytes(8),
        checkpoint.size.to_bytes(8),
        checkpoint.root,
    ))  # fmt: skip


def sign_cosignature(text: str, vkey: Vkey, *, cosign_time: datetime, sign: Sign) -> NoteSignature:
    """Signs a text as its cosigner, to the whole second; refuses VKEY_KIND, COSIGNATURE_TIME, SIGNATURE_SIZE."""
    message = _message(vkey, text, cosign_time)
    signature = sign(message)
    if len(signature) != _SIGNATURE_BYTES[vkey.kind]:
        raise MalformedError("SIGNATURE_SIZE", f"expected a signature of another length, got {len(signature)} bytes")
    payload = _seconds(cosign_time).to_bytes(_TIME_BYTES) + signature
    return NoteSignature(name=vkey.name, key_id=vkey.key_id, payload=payload)


def cosignature_time(signature: NoteSignature) -> datetime:
    """Reads the time a line states, true once it has verified; refuses none or beyond 9999 (COSIGNATURE_TIME)."""
    seconds = int.from_bytes(signature.payload[:_TIME_BYTES])
    if len(signature.payload) <= _TIME_BYTES or seconds > _LAST_SECOND:
        raise UntrustedError("COSIGNATURE_TIME", f"expected a time before the year 10000, got {seconds} seconds")
    return datetime.fromtimestamp(seconds, UTC)


def check_line(vkey: Vkey, text: str, signature: NoteSignature) -> None:
    """Refuses a line of kind 0x01, 0x04 or 0x06 that does not hold (SIGNATURE, COSIGNATURE_TIME), and other kinds."""
    if vkey.kind not in _SIGNATURE_BYTES:
        check_note_line(vkey, text, signature)
        return
    cosign_time = cosignature_time(signature)
    message = _message(vkey, text, cosign_time)
    bare = signature.payload[_TIME_BYTES:]
    if vkey.kind == KeyKind.COSIGNATURE:
        check_ed25519(vkey, message, bare)
    elif cosign_time == _EPOCH:  # a post-quantum line without a time does not say that the tree is the newest
        raise UntrustedError("COSIGNATURE_TIME", f"expected a time from the witness {vkey.name!r:.80}, got none")
    else:
        _check_mldsa44(vkey, message, bare)


def verify_cosigned(blob: bytes, log: Vkey, *, witnesses: Iterable[Vkey], not_after: datetime) -> CosignedCheckpoint:
    """Verifies a signed checkpoint: the log's line, then every line by a known witness.

    The log's name is the origin expected; `not_after` is the verifier's clock plus the tolerance. Refuses another form,
    NOTE_UNSIGNED, SIGNATURE, ORIGIN, EMPTY_ROOT, COSIGNATURE_TIME, and a later line (StaleError COSIGNATURE_FUTURE).
    """
    note = parse_note(blob)
    checkpoint = require_origin(parse_checkpoint(note.text), log.name)
    if not verify_lines(note.text, note.signatures, vkeys=[log]):
        raise UntrustedError("NOTE_UNSIGNED", f"expected a line by the log {log.name!r:.80}, got none")
    lines = verify_cosignatures(note.text, note.signatures, witnesses=witnesses, not_after=not_after)
    return CosignedCheckpoint(checkpoint=checkpoint, log=log, cosignatures=lines)


def verify_cosignatures(
    text: str, signatures: Iterable[NoteSignature], *, witnesses: Iterable[Vkey], not_after: datetime
) -> tuple[Cosignature, ...]:
    """Returns the known witnesses' lines in order, perhaps none; refuses as `verify_cosigned`, and VKEY_KIND."""
    known = tuple(witnesses)
    for vkey in known:
        _require_cosigner(vkey)
    lines = verify_lines(text, signatures, vkeys=known, check=check_line)
    return tuple(_timed(line, not_after) for line in lines)


def _timed(line: VerifiedLine, not_after: datetime) -> Cosignature:
    cosign_time = cosignature_time(line.signature)
    if cosign_time > not_after:
        raise StaleError(
            "COSIGNATURE_FUTURE",
            f"expected a cosignature not after {not_after.isoformat()}, got {cosign_time.isoformat()}",
            cosigner=line.vkey.name,
        )
    return Cosignature(vkey=line.vkey, signature=line.signature, cosign_time=cosign_time)


def _message(vkey: Vkey, text: str, cosign_time: datetime) -> bytes:
    _require_cosigner(vkey)
    checkpoint = parse_checkpoint(text)
    if vkey.kind == KeyKind.COSIGNATURE:
        return format_cosignature_message(text, cosign_time)
    return encode_subtree_message(checkpoint, vkey.name, cosign_time=cosign_time)


def _require_cosigner(vkey: Vkey) -> None:
    if vkey.kind not in _SIGNATURE_BYTES:
        raise MalformedError("VKEY_KIND", f"expected a cosigner's key of kind 4 or 6, got {vkey.kind}")


def _check_mldsa44(vkey: Vkey, message: bytes, signature: bytes) -> None:
    try:
        MLDSA44PublicKey.from_public_bytes(vkey.public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise UntrustedError("SIGNATURE", f"expected a signature by {vkey.name!r:.80} that verifies") from error


def _encode_name(name: str) -> bytes:
    encoded = name.encode()
    if not 1 <= len(encoded) <= 0xFF:
        raise MalformedError("COSIGNED_NAME", f"expected a name of 1 to 255 bytes, got {len(encoded)}")
    return bytes([len(encoded)]) + encoded


def _seconds(time: datetime) -> int:
    seconds = int(time.timestamp() // 1)
    if seconds < 0:
        raise MalformedError("COSIGNATURE_TIME", f"expected a time after 1970, got {time.isoformat()}")
    return seconds
