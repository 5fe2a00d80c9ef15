"""A node in its duty as witness: it cosigns the others' checkpoints and remembers them.

Reading and writing the last cosigned size is one atomic step, durable before the answer leaves. What is kept and served
is the log's verified line and our own; two verified heads of one size are kept, as proof of a fork. A node whose own
history is not confirmed does not witness: its memory of the others may be as old as its log. Nor does one whose memory
somebody else changed. Source: C2SP tlog-witness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from federation.node.node import Trust
from federation.protocol.errors import ConflictError, CorruptError, MalformedError
from federation.protocol.tlog.note import Vkey, format_signature_lines, parse_note, parse_vkey
from federation.protocol.tlog.witness import (
    Cosigner,
    Status,
    WitnessAnswer,
    decide_add_checkpoint,
    parse_add_checkpoint,
    refuse_malformed,
)
from federation.store.database import Database
from federation.store.witness_state import (
    CosignedHead,
    advance_witness_state,
    find_witness_state,
    keep_fork,
    require_witness_rows,
)

_log = structlog.get_logger()

MAX_TRIES: Final = 3
REPEAT: Final = timedelta(minutes=1)
"""Within it the same head gets the same line again: who repeats a public checkpoint makes us write nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Answers `add-checkpoint` for the logs that the agreement names; `trouble` says why it does not, if so."""

    database: Database
    trust: Trust
    cosigner: Cosigner
    now: Callable[[], datetime]
    trouble: Callable[[], str | None] = lambda: None

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Runs the table of tlog-witness; a 200 is durable before it is returned."""
        if trouble := self.trouble():
            return WitnessAnswer(status=Status.NOT_NOW, body=f"{trouble}\n".encode())
        try:
            request = parse_add_checkpoint(body)
        except MalformedError as error:
            return refuse_malformed(error)
        origin = request.checkpoint.origin
        for _ in range(MAX_TRIES):
            last = find_witness_state(self.database, origin)
            answer = decide_add_checkpoint(
                request, logs=self._logs(), last=last, now=self.now(), cosigners=[self.cosigner]
            )
            if answer.evidence is not None and last is not None:
                self._keep_fork(origin, last, answer.evidence)
            if answer.state is None or answer.note is None:
                return answer
            if last is not None and last.size == answer.state.size and (again := self._own_line(last)) is not None:
                return again
            try:
                advance_witness_state(self.database, origin, last=last, state=answer.state, note=answer.note)
            except ConflictError:
                continue  # another request moved the state between our read and our write: decide again
            except CorruptError as error:
                _log.critical("witness.stopped", reason=error.reason, told=error.message)
                return WitnessAnswer(status=Status.NOT_NOW, body=f"{error.message}\n".encode())
            return answer
        return WitnessAnswer(status=Status.NOT_NOW, body=b"busy, try again\n")

    def last_cosigned(self, origin_hash: str) -> bytes | None:
        """Returns the last cosigned checkpoint of the origin with that hex SHA-256: the log's line and ours.

        Refuses CorruptError WITNESS_ROWS: that nothing was cosigned is said only by who remembers all.
        """
        require_witness_rows(self.database)
        for origin in self._logs():
            state = find_witness_state(self.database, origin, origin_hash=origin_hash)
            if state is not None:
                return state.note
        return None

    def _own_line(self, last: CosignedHead) -> WitnessAnswer | None:
        """The line that we gave for this head, when that was a moment ago."""
        if self.now() - last.cosign_time >= REPEAT:
            return None
        vkey = self.cosigner.vkey
        try:
            kept = parse_note(last.note).signatures
        except MalformedError:  # an earlier version kept the lines of strangers too
            return None
        lines = [line for line in kept if (line.name, line.key_id) == (vkey.name, vkey.key_id)]
        if not lines:
            return None
        return WitnessAnswer(status=Status.COSIGNED, body=format_signature_lines(lines).encode())

    def _keep_fork(self, origin: str, last: CosignedHead, evidence: bytes) -> None:
        if keep_fork(self.database, origin, size=last.size, notes=(last.note, evidence), now=self.now()):
            _log.critical("log.forked", origin=origin, size=last.size)

    def _logs(self) -> Mapping[str, tuple[Vkey, ...]]:
        members = self.trust.in_force.agreement.members.values()
        vkeys = [parse_vkey(member.log_vkey) for member in members]
        return {vkey.name: (vkey,) for vkey in vkeys}
