"""A node in its duty as witness: it cosigns the others' checkpoints, asks them to cosign its own, remembers theirs.

Reading and writing the last cosigned size is one atomic step, durable before the answer leaves; two heads of one size
with different roots are kept, as proof of a fork. Source: C2SP tlog-witness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from federation.node.log.sequence import Sequencer, SignedHead
from federation.node.node import Trust
from federation.protocol.errors import BridgeheadError, ConflictError, MalformedError, UntrustedError
from federation.protocol.ids import NodeName
from federation.protocol.tlog.cosignature import Cosignature
from federation.protocol.tlog.note import Vkey, format_signature_lines, parse_note, parse_vkey
from federation.protocol.tlog.witness import (
    AddCheckpoint,
    Cosigner,
    Status,
    WitnessAnswer,
    decide_add_checkpoint,
    format_add_checkpoint,
    parse_add_checkpoint,
    parse_size,
    refuse_malformed,
    verify_answer,
)
from federation.store.database import Database
from federation.store.exchange_log import consistency_proof
from federation.store.witness_state import advance_witness_state, find_witness_state, keep_contradiction

_log = structlog.get_logger()

MAX_TRIES = 3


Post = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]
"""Posts an `add-checkpoint` body to the witness at a read URL; returns status and body, or raises UnavailableError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Answers `add-checkpoint` for the logs that the agreement names."""

    database: Database
    trust: Trust
    cosigner: Cosigner
    now: Callable[[], datetime]

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Runs the table of tlog-witness; a 200 is durable before it is returned."""
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
            if answer.evidence is not None:
                _log.error("log.contradicted", origin=origin)
                keep_contradiction(self.database, origin, answer.evidence, now=self.now())
            if answer.state is None:
                return answer
            try:
                note = request.note + answer.body
                advance_witness_state(self.database, origin, last=last, state=answer.state, note=note)
            except ConflictError:
                continue  # another request moved the state between our read and our write: decide again
            return answer
        return WitnessAnswer(status=Status.CLOCK_BEHIND, body=b"busy, try again\n")

    def last_cosigned(self, origin_hash: str) -> bytes | None:
        """Returns the last cosigned checkpoint of the origin with that hex SHA-256, its signature lines on it."""
        for origin in self._logs():
            state = find_witness_state(self.database, origin, origin_hash=origin_hash)
            if state is not None:
                return state.note
        return None

    def _logs(self) -> Mapping[str, tuple[Vkey, ...]]:
        members = self.trust.in_force.agreement.members.values()
        vkeys = [parse_vkey(member.log_vkey) for member in members]
        return {vkey.name: (vkey,) for vkey in vkeys}


class Cosigning:
    """Offers this log's newest checkpoint to the peers, and keeps the cosignatures it got."""

    def __init__(
        self,
        *,
        name: NodeName,
        database: Database,
        sequencer: Sequencer,
        trust: Trust,
        post: Post,
        now: Callable[[], datetime],
    ) -> None:
        self._name = name
        self._database = database
        self._sequencer = sequencer
        self._trust = trust
        self._post = post
        self._now = now
        self._sizes: dict[NodeName, int] = {}
        self._lines: dict[NodeName, Cosignature] = {}
        self._offered: SignedHead | None = None

    def cosigned_size(self, peer: NodeName) -> int:
        return self._sizes.get(peer, 0)

    def checkpoint(self) -> bytes:
        """The newest signed head, with the cosignatures that are on exactly this head."""
        head = self._sequencer.head
        offered = self._offered
        if offered is None or offered.note != head.note or not self._lines:
            return head.note
        lines = [cosignature.signature for cosignature in self._lines.values()]
        return head.note + format_signature_lines(lines).encode()

    async def run(self, every_seconds: float) -> None:
        """Once a tick, if the log grew: offers the head to all the peers at once."""
        while True:
            await asyncio.sleep(every_seconds)
            head = self._sequencer.head
            if head.size and (self._offered is None or head.size != self._offered.size or self._behind(head)):
                try:
                    await self.offer(head)
                except Exception:  # noqa: BLE001 - a duty that ends would leave the log without witnesses for ever
                    _log.exception("checkpoint.failed")

    async def offer(self, head: SignedHead) -> None:
        """Offers one head to every peer; a peer that is down is asked again at the next tick."""
        if self._offered is None or self._offered.note != head.note:
            self._offered, self._lines = head, {}
        members = self._trust.in_force.agreement.members
        peers = [member for name, member in members.items() if name != self._name]
        await asyncio.gather(*(self._ask(peer.node, peer.read_url, peer.witness_vkey, head) for peer in peers))

    def _behind(self, head: SignedHead) -> bool:
        members = self._trust.in_force.agreement.members
        return any(self._sizes.get(name, 0) < head.size for name in members if name != self._name)

    async def _ask(self, peer: NodeName, read_url: str, vkey: str, head: SignedHead) -> None:
        try:
            for _ in range(MAX_TRIES):
                old = self._sizes.get(peer, 0)
                proof = consistency_proof(self._database, old, head.size) if 0 < old < head.size else ()
                body = format_add_checkpoint(AddCheckpoint(old_size=old, proof=tuple(proof), note=head.note))
                status, answer = await self._post(read_url, body)
                if status == Status.OTHER_SIZE:
                    known = parse_size(answer)
                    if known > head.size:
                        return  # it has seen a newer head of ours meanwhile
                    self._sizes[peer] = known  # only a place to start a proof from
                    continue
                if status == Status.INCONSISTENT:
                    _log.critical("log.disputed", peer=peer, size=head.size)
                if status != Status.COSIGNED:
                    raise UntrustedError("COSIGN_REFUSED", f"witness {peer} answered {status}")
                text = parse_note(head.note).text
                tolerance = self._trust.in_force.agreement.clock_tolerance
                lines = verify_answer(answer, text, vkeys=[parse_vkey(vkey)], not_after=self._now() + tolerance)
                self._sizes[peer] = head.size
                if self._offered is not None and self._offered.note == head.note:
                    self._lines[peer] = lines[0]
                return
        except BridgeheadError as error:
            _log.debug("checkpoint.uncosigned", peer=peer, reason=error.reason)
