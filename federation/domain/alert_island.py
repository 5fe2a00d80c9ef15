"""A file of claims and stamps that an officer signed while the own node was away, chained by digest, to be handed in.

Rules kept: each line is signed by the officer's own key and names the digest of the line before it, so that a line
which is altered, left out, moved or added refuses the whole file; one officer of one office writes a file; what was
handed in is closed by a line that says when, and takes no more. Each line is one request of its own id, made of its
digest: to hand a file in twice does nothing twice. Lines that are cut off the end leave no trace.
Trusts nothing of a file. Source: DESIGN section 5: stamps are made where they happen, synced later, never rewritten.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from hashlib import sha256
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from federation.domain.alert_acts import ALERT_ACTS
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, UntrustedError
from federation.protocol.form import Digest, Item, Time, decode, encode, encode_canonical, replace, to_object
from federation.protocol.ids import AgencyId, OfficerId, between, format_base64, format_time, matching, parse_base64
from federation.protocol.keys import PublicKey, Signer, verify_signature

MAX_LINES: Final = 500
MAX_LINE_BYTES: Final = 4_096
MAX_BYTES: Final = MAX_LINES * MAX_LINE_BYTES
HAND_IN: Final = "hand_in"
_TYPE: Final = "application/vnd.bridgehead.island-stamp.v1+json"
FIRST: Final = "0" * 64
"""Stands for the line before the first one."""


class IslandStamp(Item, frozen=True, kw_only=True):
    """A claim or a stamp as an officer made it at `at`, in the fields of its act; or the end of a file (`hand_in`)."""

    WHAT: ClassVar[str] = "line of a local file"
    REASON: ClassVar[str] = "ISLAND_FORM"

    n: Annotated[int, between(1, MAX_LINES)]
    before: Digest
    at: Time
    agency: AgencyId
    officer: OfficerId
    act: Annotated[str, matching("claim|stamp|hand_in", form="claim, stamp or hand_in")]
    alert: str = ""
    fields: dict[str, str]


class _Line(Item, frozen=True, kw_only=True):
    WHAT: ClassVar[str] = "line of a local file"
    REASON: ClassVar[str] = "ISLAND_FORM"

    stamp: IslandStamp
    signature: str


class Written(Struct, frozen=True, kw_only=True):
    """A line that was verified, with the SHA-256 of its bytes."""

    stamp: IslandStamp
    digest: str

    @property
    def request_id(self) -> str:
        """The id under which the line is handed in, however often."""
        return str(uuid.UUID(bytes=bytes.fromhex(self.digest)[:16], version=4))

    def handed_in(self, at: datetime) -> dict[str, str]:
        """The fields of the act as it is handed in: when it was made, and when the file was handed in (补录)."""
        return {**self.stamp.fields, "made": format_time(self.stamp.at), "synced": format_time(at)}


class Island(Struct, frozen=True, kw_only=True):
    """A file that was verified whole: its claims and stamps in order, and when it was handed in, if it was."""

    lines: tuple[Written, ...] = ()
    closed: Written | None = None

    @property
    def last(self) -> Written | None:
        return self.closed or (self.lines[-1] if self.lines else None)


def read_island(content: bytes, key: PublicKey) -> Island:
    """Verifies a file of the officer whose key it is. Refuses ISLAND_FORM, ISLAND_CHAIN, ISLAND_SIGNATURE, ISLAND_SIZE.

    A last line without its end was never written whole, and is left out.
    """
    if len(content) > MAX_BYTES:
        raise MalformedError("ISLAND_SIZE", f"expected a local file of at most {MAX_BYTES} bytes, got {len(content)}")
    if content and b"\n" not in content:
        raise MalformedError("ISLAND_FORM", "expected a local file with at least one line that was written whole")
    lines = list[Written]()
    for encoded in content.split(b"\n")[:-1]:
        before = lines[-1] if lines else None
        if before is not None and before.stamp.act == HAND_IN:
            raise _broken(before.stamp.n + 1, "nothing stands behind the line that closes a file")
        lines.append(_verified(encoded, before, key))
    closed = lines.pop() if lines and lines[-1].stamp.act == HAND_IN else None
    return Island(lines=tuple(lines), closed=closed)


def _verified(encoded: bytes, before: Written | None, key: PublicKey) -> Written:
    number = before.stamp.n + 1 if before is not None else 1
    try:
        line = decode(_Line, encoded)
        signature = parse_base64(line.signature, "a signature")
    except BridgeheadError as error:
        raise MalformedError("ISLAND_FORM", f"line {number} of the local file: {error.message}", line=number) from error
    stamp = line.stamp
    if (stamp.n, stamp.before) != (number, before.digest if before is not None else FIRST):
        raise _broken(number, "it does not follow the line before it")
    if before is not None and (stamp.agency, stamp.officer) != (before.stamp.agency, before.stamp.officer):
        raise _broken(number, "another officer wrote it")
    if stamp.act != HAND_IN and ALERT_ACTS[stamp.act].fault(stamp.fields, ()) is not None:
        raise MalformedError("ISLAND_FORM", f"line {number} of the local file: not as its act is written", line=number)
    try:
        verify_signature(key, _signed(stamp), signature)
    except UntrustedError as error:
        raise UntrustedError(
            "ISLAND_SIGNATURE", f"line {number} of the local file is not signed by this key"
        ) from error
    return Written(stamp=stamp, digest=sha256(encoded).hexdigest())


def _broken(number: int, why: str) -> UntrustedError:
    return UntrustedError("ISLAND_CHAIN", f"line {number} of the local file: {why}", line=number)


def write_line(island: Island, stamp: IslandStamp, signer: Signer) -> bytes:
    """A stamp as the next line of a file, whatever place it says, with its end.

    Refuses ISLAND_CLOSED, ISLAND_FULL, ISLAND_OTHER, ISLAND_FORM. One more line has room for the end of the file.
    """
    last = island.last
    if island.closed is not None:
        raise ConflictError("ISLAND_CLOSED", "the local file was handed in: name another one")
    if len(island.lines) >= MAX_LINES - (stamp.act != HAND_IN):
        raise ConflictError("ISLAND_FULL", f"a local file has at most {MAX_LINES} lines: name another one")
    if last is not None and (last.stamp.agency, last.stamp.officer) != (stamp.agency, stamp.officer):
        raise ConflictError("ISLAND_OTHER", "another officer keeps this local file: name another one")
    wrong = ALERT_ACTS[stamp.act].fault(stamp.fields, ()) if stamp.act != HAND_IN else None
    if wrong is not None:
        raise MalformedError("ISLAND_FORM", f"expected the fields of {stamp.act}: {wrong}", field=wrong)
    stamp = replace(stamp, n=last.stamp.n + 1 if last else 1, before=last.digest if last else FIRST)
    line = encode(_Line(stamp=stamp, signature=format_base64(signer.sign(_signed(stamp)))))
    if len(line) >= MAX_LINE_BYTES:
        raise MalformedError("ISLAND_FORM", f"expected a line of at most {MAX_LINE_BYTES} bytes: say it shorter")
    return line + b"\n"


def _signed(stamp: IslandStamp) -> bytes:
    return encode_canonical({"type": _TYPE, **to_object(stamp)})
