"""The witness's answer to `add-checkpoint`, as one pure function that runs the table of tlog-witness top to bottom.

Rules kept: the rows stand in the order in which they are checked; a witness never goes back, never cosigns two roots
of one size, never dates a line before its own previous one for that origin. What is kept and served of a checkpoint is
its text, the log's verified line and the witness's own: whoever posts may add lines, and they go nowhere. Evidence is
a second verified head of one size with another root (row 8), since only that is proof without anybody's word; a proof
that does not fit (row 9) may be of the poster's making. Two things are the caller's: reading the old state and writing
the new one are *one* atomic step, and the new state is durable *before* the answer leaves. Trusts the log keys that
the agreement gives.
Source: C2SP tlog-witness.md, C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256

from msgspec import Struct

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import format_decimal, parse_decimal, parse_text
from federation.protocol.tlog.cosignature import Cosignature, sign_cosignature, verify_cosignatures
from federation.protocol.tlog.merkle import EMPTY_ROOT, verify_consistency
from federation.protocol.tlog.note import (
    Checkpoint,
    Note,
    NoteSignature,
    Sign,
    Vkey,
    format_note,
    format_signature_lines,
    parse_checkpoint,
    parse_note,
    parse_signature_lines,
    verify_lines,
)
from federation.protocol.tlog.proof import format_hash_lines, parse_hash_lines

MAX_REQUEST_BYTES = 128 * 1024
"""The largest request read: sixteen post-quantum lines and 63 hashes fit."""

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"

NEVER_COSIGNED = "NEVER_COSIGNED"
"""The reason of a node that has cosigned no checkpoint of a log; a bare 404 may be of whatever stands there."""


class Status(IntEnum):
    COSIGNED = 200
    MALFORMED = 400
    NOT_SIGNED = 403
    UNKNOWN_LOG = 404
    OTHER_SIZE = 409
    INCONSISTENT = 422
    NOT_NOW = 503


class AddCheckpoint(Struct, frozen=True, kw_only=True):
    """A request as read: the size that the log believes we cosigned last, the proof from there, its checkpoint."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    @property
    def checkpoint(self) -> Checkpoint:
        return parse_checkpoint(parse_note(self.note).text)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    size: int
    root: bytes
    cosign_time: datetime


class Cosigner(Struct, frozen=True, kw_only=True):
    vkey: Vkey
    sign: Sign


class WitnessAnswer(Struct, frozen=True, kw_only=True):
    """`state` with its `note` must be durable before the answer leaves.

    `note` is the checkpoint with the log's line and ours. `evidence` is a head of the size cosigned before, signed by
    the log as well, with another root: its text and the log's line.
    """

    status: Status
    body: bytes
    content_type: str = TEXT
    state: WitnessState | None = None
    note: bytes | None = None
    evidence: bytes | None = None


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Parses a request and the checkpoint in it; a refusal is row 1 of the table (`refuse_malformed`)."""
    head, gap, note = parse_text(body, MAX_REQUEST_BYTES).partition("\n\n")
    first, *lines = head.split("\n")
    if not gap or not first.startswith("old "):
        raise MalformedError("ADD_CHECKPOINT", "expected an old size, proof lines, an empty line and a checkpoint")
    request = AddCheckpoint(
        old_size=parse_decimal(first[4:], "the old size"), proof=parse_hash_lines(lines), note=note.encode()
    )
    parse_checkpoint(parse_note(request.note).text)
    return request


def format_add_checkpoint(request: AddCheckpoint) -> bytes:
    parse_checkpoint(parse_note(request.note).text)
    head = f"old {format_decimal(request.old_size, 'the old size')}\n{format_hash_lines(request.proof)}\n"
    return head.encode() + request.note


def refuse_malformed(error: MalformedError) -> WitnessAnswer:
    """Returns row 1: 400 for a body that is not of the agreed form."""
    return _refuse(Status.MALFORMED, error.message)


def decide_add_checkpoint(
    request: AddCheckpoint,
    *,
    logs: Mapping[str, Collection[Vkey]],
    last: WitnessState | None,
    now: datetime,
    cosigners: Sequence[Cosigner],
) -> WitnessAnswer:
    """Decides on a parsed request, row by row; signs only when every row has passed.

    2 the origin is known (404); 3 a trusted key of it signed, none failed (403); 4 the old size is not above the new
    (400); 5 it is the size cosigned last (409 with that size); 6 size 0 has the empty root, 7 no proof comes from size
    0, 8 an equal size has an equal root, 9 the proof joins the two (422); then the clock must not stand before our own
    last line (503, ours); 10 cosigned (200). `last` is what was cosigned last for this origin, None if never; a line is
    made with each of the cosigners. Refuses COSIGNERS (none), VKEY_KIND, SIGNATURE_SIZE.
    """
    note, checkpoint = parse_note(request.note), request.checkpoint
    old_size = last.size if last else 0
    trusted = logs.get(checkpoint.origin)
    if trusted is None:
        return _refuse(Status.UNKNOWN_LOG, "this witness does not know the log")
    signed = _log_lines(note, trusted)
    if not signed:
        return _refuse(Status.NOT_SIGNED, "expected a line by a key of this log, and none that fails")
    if request.old_size > checkpoint.size:
        return _refuse(Status.MALFORMED, "expected an old size not above the checkpoint's")
    if request.old_size != old_size:
        return WitnessAnswer(status=Status.OTHER_SIZE, body=b"%d\n" % old_size, content_type=SIZE)
    if contradiction := _find_contradiction(request, checkpoint, last):
        is_fork = last is not None and last.size == checkpoint.size > 0 and last.root != checkpoint.root
        evidence = format_note(Note(text=note.text, signatures=signed)) if is_fork else None
        return _refuse(Status.INCONSISTENT, contradiction, evidence=evidence)
    if last and now.replace(microsecond=0) < last.cosign_time:
        return _refuse(Status.NOT_NOW, "the clock of this witness stands before its last cosignature")
    return _cosign(Note(text=note.text, signatures=signed), checkpoint, now, cosigners)


def verify_answer(body: bytes, text: str, *, vkeys: Iterable[Vkey], not_after: datetime) -> tuple[Cosignature, ...]:
    """Verifies a 200 answer over the text sent; refuses SIGNATURE, NOTE_UNSIGNED, COSIGNATURE_TIME, _FUTURE."""
    signatures = parse_signature_lines(parse_text(body, MAX_REQUEST_BYTES))
    lines = verify_cosignatures(text, signatures, witnesses=vkeys, not_after=not_after)
    if not lines:
        raise UntrustedError("NOTE_UNSIGNED", f"expected a line by the witness, got {len(signatures)} others")
    return lines


def parse_size(body: bytes) -> int:
    """Parses a 409 answer: the size the witness cosigned last, where a proof may start (TEXT, TEXT_SIZE, DECIMAL)."""
    return parse_decimal(parse_text(body, 32)[:-1], "the witness's size")


def monitoring_path(origin: str) -> str:
    """The path of the last cosigned checkpoint under the monitoring prefix: hex SHA-256 of the origin, `checkpoint`."""
    return f"{sha256(origin.encode()).hexdigest()}/checkpoint"


def _log_lines(note: Note, trusted: Collection[Vkey]) -> tuple[NoteSignature, ...]:
    """The verified lines of the log, one a key; none when there is none, or a known one fails."""
    try:
        lines = verify_lines(note.text, note.signatures, vkeys=trusted)
    except UntrustedError:
        return ()
    return tuple({line.vkey.public_key: line.signature for line in lines}.values())


def _find_contradiction(request: AddCheckpoint, checkpoint: Checkpoint, last: WitnessState | None) -> str | None:
    """Rows 6 to 9: returns how the checkpoint contradicts what was cosigned, None when it does not."""
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        return "expected the root of the empty tree for size 0"
    if request.old_size == 0 and request.proof:
        return "expected no proof from size 0"
    old_root = last.root if last else EMPTY_ROOT
    if request.old_size == checkpoint.size and checkpoint.root != old_root:
        return "expected the root that was cosigned for this size"
    try:
        verify_consistency(
            request.old_size, checkpoint.size, old_root=old_root, new_root=checkpoint.root, proof=request.proof
        )
    except UntrustedError as error:
        return error.message
    return None


def _cosign(note: Note, checkpoint: Checkpoint, now: datetime, cosigners: Sequence[Cosigner]) -> WitnessAnswer:
    cosign_time = now.astimezone(UTC).replace(microsecond=0)
    if not cosigners:
        raise MalformedError("COSIGNERS", "expected at least one key to cosign with, got none")
    lines = [sign_cosignature(note.text, key.vkey, cosign_time=cosign_time, sign=key.sign) for key in cosigners]
    return WitnessAnswer(
        status=Status.COSIGNED,
        body=format_signature_lines(lines).encode(),
        state=WitnessState(size=checkpoint.size, root=checkpoint.root, cosign_time=cosign_time),
        note=format_note(Note(text=note.text, signatures=(*note.signatures, *lines))),
    )


def _refuse(status: Status, sentence: str, *, evidence: bytes | None = None) -> WitnessAnswer:
    return WitnessAnswer(status=status, body=f"{sentence}\n".encode(), evidence=evidence)
