"""Our own log before its witnesses: each new head gets our own line, then those of the others; an idle one stays fresh.

Rules kept: our own witness key signs only what extends the head in the home, which is durable first; what a witness
says of a size is where a proof starts, never what it cosigned; what stops the writer is a head that our own log key
signed and that is not of our history, shown by the witness that refuses us. A refusal without that proof is told, and
no more: else one silent line or one hostile witness could stop a province. When so many refuse that the others cannot
give the agreed quorum, the writer is held until fewer do. Source: C2SP tlog-witness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from federation.node.log import boot
from federation.node.log.boot import OwnLog, confirm, witnessed_by
from federation.node.log.own_head import WITNESSED, require_prefix
from federation.node.log.sequence import Sequencer, SignedHead
from federation.node.node import Trust
from federation.protocol.errors import BridgeheadError, CorruptError, UntrustedError
from federation.protocol.tlog.cosignature import Cosignature, cosignature_time, sign_cosignature
from federation.protocol.tlog.note import format_signature_lines, parse_note, verify_checkpoint
from federation.protocol.tlog.quorum import Policy, satisfied_names
from federation.protocol.tlog.witness import (
    AddCheckpoint,
    Cosigner,
    Status,
    format_add_checkpoint,
    parse_size,
    verify_answer,
)
from federation.protocol.trust import Agreement
from federation.protocol.trust.witnesses import LogWitness, log_policy, log_witnesses
from federation.store.log_reader import consistency_proof

_log = structlog.get_logger()

MAX_TRIES: Final = 3
HEARTBEAT: Final = timedelta(minutes=9)
"""The age at which the lines of an idle log are asked for again, so that a head is never older than ten minutes."""


class Witnesses(Protocol):
    """The way to the witnesses, each below its URL (`wire.read_client.WitnessClients`)."""

    async def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Posts an `add-checkpoint` body; returns status and body, or raises UnavailableError."""
        ...

    async def ask(self, url: str, origin: str) -> bytes:
        """Reads what it cosigned last of an origin; NotFoundError when it never did."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """One witness of our log: the size that it cosigned last and when, or why it refuses."""

    name: str
    size: int = 0
    time: datetime | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """The newest head that was offered: how many witnesses cosigned it, and whether that is the agreed quorum."""

    size: int
    lines: int
    witnesses: int
    is_met: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreed:
    agreement: Agreement
    policy: Policy
    others: tuple[LogWitness, ...]


class Cosigning:
    """Offers this log's newest checkpoint to its witnesses, and keeps the cosignatures it got."""

    def __init__(
        self,
        *,
        log: OwnLog,
        sequencer: Sequencer,
        trust: Trust,
        cosigner: Cosigner,
        clients: Witnesses,
        now: Callable[[], datetime],
    ) -> None:
        self._own = log
        self._name: str = log.node
        self._sequencer = sequencer
        self._trust = trust
        self._cosigner = cosigner
        self._clients = clients
        self._now = now
        self._starts: dict[str, int] = {}
        self._cosigned: dict[str, WitnessState] = {}
        self._refusals: dict[str, str] = {}
        self._is_holding = False
        self._lines: dict[str, Cosignature] = {}
        self._recorded: frozenset[str] | None = None
        self._offered: SignedHead | None = None
        self._quorum: Quorum | None = None
        self._known: _Agreed | None = None

    def cosigned_size(self, witness: str) -> int:
        """The size of the newest head that a witness cosigned for us since the start; verified, never only told."""
        state = self._cosigned.get(witness)
        return state.size if state else 0

    def witnesses(self) -> tuple[WitnessState, ...]:
        """Every witness of our log, ourselves first."""
        names = [self._name, *(witness.name for witness in self._agreed().others)]
        found = (self._cosigned.get(name, WitnessState(name=name)) for name in names)
        return tuple(
            WitnessState(name=state.name, size=state.size, time=state.time, trouble=self._refusals.get(state.name))
            for state in found
        )

    def on_newest_head(self) -> frozenset[str]:
        """The witnesses whose line is on the newest head."""
        offered = self._offered
        is_newest = offered is not None and offered.note == self._sequencer.head.note
        return frozenset(self._lines) if is_newest else frozenset()

    @property
    def quorum(self) -> Quorum | None:
        """Of the newest head that was offered to all; None before the first."""
        return self._quorum

    def disputes(self) -> tuple[str, ...]:
        """Sentences about who refuses to cosign our log, without having proved anything."""
        return tuple(f"{name} disputes this log: {why}" for name, why in sorted(self._refusals.items()))

    @property
    def is_holding(self) -> bool:
        """True while so many dispute the log that the others cannot give the agreed quorum: nothing is written."""
        return self._is_holding

    def checkpoint(self) -> bytes:
        """The newest signed head, with the cosignatures that are on exactly this head."""
        head = self._sequencer.head
        offered, lines = self._offered, list(self._lines.values())
        if offered is None or offered.note != head.note or not lines:
            return head.note
        return head.note + format_signature_lines(line.signature for line in lines).encode()

    async def run(self, every_seconds: float) -> None:
        """Once a tick: offers a head that is new, that somebody lacks, or whose lines grow old."""
        while True:
            await asyncio.sleep(every_seconds)
            is_unconfirmed = self._sequencer.held is not None and not self._is_holding
            if is_unconfirmed or self._sequencer.failure is not None:
                continue
            head = self._sequencer.head
            if head.size and self._is_due(head):
                try:
                    await self.offer(head)
                except Exception:  # noqa: BLE001 - a duty that ends would leave the log without witnesses for ever
                    _log.exception("checkpoint.failed")

    def _agreed(self) -> _Agreed:
        agreement = self._trust.in_force.agreement
        if self._known is None or self._known.agreement is not agreement:
            node = self._own.node
            policy, others = log_policy(agreement, node), log_witnesses(agreement, node)
            self._known = _Agreed(agreement=agreement, policy=policy, others=others)
        return self._known

    def _is_due(self, head: SignedHead) -> bool:
        if self._offered is None or self._offered.note != head.note:
            return True
        names = (self._name, *(witness.name for witness in self._agreed().others))
        return any(self._lacks(name) for name in names)

    def _lacks(self, name: str) -> bool:
        """True when the head that is offered has no line of that witness, or an old one."""
        line = self._lines.get(name)
        return line is None or line.cosign_time <= self._now() - HEARTBEAT

    async def offer(self, head: SignedHead) -> None:
        """Signs one head as its own witness, then offers it to the others; who is down is asked at the next tick."""
        if self._offered is None or self._offered.note != head.note:
            self._offered, self._lines = head, {}
        if self._lacks(self._name):
            try:
                own = await asyncio.to_thread(self._cosign, head)
            except CorruptError as error:
                self._sequencer.stop(error)
                return
            if own is not None:
                self._take(self._name, own, head)
        others = self._agreed().others
        await asyncio.gather(*(self._ask_in_time(witness, head) for witness in others if self._lacks(witness.name)))
        self._hold_or_release()
        if self._offered.note == head.note:
            self._quorum = quorum_of(self._agreed().policy, head.size, self._lines)
            await asyncio.to_thread(self._record, head, others)

    def _hold_or_release(self) -> None:
        """Holds the writer while the witnesses that do not dispute are too few for the quorum; one alone never does."""
        policy, others = self._agreed().policy, {witness.name for witness in self._agreed().others}
        disputing = sorted(others & self._refusals.keys())
        keys = {each.vkey.public_key for each in policy.witnesses if each.name not in disputing}
        is_lost = len(disputing) > 1 and policy.quorum not in satisfied_names(policy, keys)
        if is_lost and self._sequencer.held is None:
            self._is_holding = True
            self._sequencer.hold(f"{', '.join(disputing)} dispute this node's log; try again with the same id")
            _log.critical("log.held", disputing=disputing)
        elif self._is_holding and not is_lost:
            self._is_holding = False
            self._sequencer.release()
            _log.warning("log.released", disputing=disputing)

    def _record(self, head: SignedHead, witnesses: Sequence[LogWitness]) -> None:
        """Keeps in the home who has cosigned, when somebody new has: who forgets it is found at the next start."""
        lines = dict(self._lines)
        if self._recorded is None:
            self._recorded = witnessed_by(self._own.head_file, witnesses)
        if lines.keys() - {self._name} > self._recorded:
            signed = format_signature_lines(line.signature for line in lines.values())
            self._own.head_file.write(head.note + signed.encode(), WITNESSED)
            self._recorded = frozenset(lines.keys() - {self._name})

    def _cosign(self, head: SignedHead) -> Cosignature | None:
        """Our own line, once the head is durable in the home; None when another process of this log is ahead."""
        vkey, cosigner = self._own.head_file.vkey, self._cosigner
        time = self._now().replace(microsecond=0)
        last = self._own.head_file.read()
        if last is not None:
            checkpoint = verify_checkpoint(last, vkey)
            require_prefix(self._own.database, checkpoint, told_by="this node itself")
            if checkpoint.size > head.size:
                return None
            seen = [cosignature_time(line) for line in parse_note(last).signatures if line.name == cosigner.vkey.name]
            time = max([time, *seen])
        line = sign_cosignature(parse_note(head.note).text, cosigner.vkey, cosign_time=time, sign=cosigner.sign)
        self._own.head_file.write(head.note + format_signature_lines([line]).encode())
        return Cosignature(vkey=cosigner.vkey, signature=line, cosign_time=time)

    async def _ask_in_time(self, witness: LogWitness, head: SignedHead) -> None:
        try:
            async with asyncio.timeout(boot.ANSWER_SECONDS):
                await self._ask(witness, head)
        except TimeoutError:
            _log.debug("checkpoint.uncosigned", witness=witness.name, reason="TIMEOUT")
        except Exception as error:  # noqa: BLE001 - what one witness answers keeps no line of the others away
            _log.debug("checkpoint.uncosigned", witness=witness.name, reason=type(error).__name__)

    async def _ask(self, witness: LogWitness, head: SignedHead) -> None:
        try:
            for _ in range(MAX_TRIES):
                old = self._starts.get(witness.name, 0)
                if old > head.size:  # another process of this log offered a newer head
                    self._starts.pop(witness.name)
                    old = 0
                proof = await asyncio.to_thread(self._proof, old, head.size)
                body = format_add_checkpoint(AddCheckpoint(old_size=old, proof=proof, note=head.note))
                status, answer = await self._clients.post(witness.url, body)
                if status == Status.OTHER_SIZE and (known := parse_size(answer)) <= head.size:
                    self._starts[witness.name] = known  # only a place to start a proof from
                    continue
                if status in (Status.OTHER_SIZE, Status.INCONSISTENT):
                    await self._settle_dispute(witness, status)
                    return
                if status != Status.COSIGNED:
                    raise UntrustedError("COSIGN_REFUSED", f"witness {witness.name} answered {status}")
                text = parse_note(head.note).text
                tolerance = self._trust.in_force.agreement.clock_tolerance
                lines = verify_answer(answer, text, vkeys=[witness.vkey], not_after=self._now() + tolerance)
                self._starts[witness.name] = head.size
                self._take(witness.name, lines[0], head)
                return
        except BridgeheadError as error:
            _log.debug("checkpoint.uncosigned", witness=witness.name, reason=error.reason)

    def _proof(self, old: int, size: int) -> tuple[bytes, ...]:
        return tuple(consistency_proof(self._own.database, old, size)) if 0 < old < size else ()

    def _take(self, name: str, line: Cosignature, head: SignedHead) -> None:
        self._cosigned[name] = WitnessState(name=name, size=head.size, time=line.cosign_time)
        self._refusals.pop(name, None)
        if self._offered is not None and self._offered.note == head.note:
            self._lines[name] = line

    async def _settle_dispute(self, witness: LogWitness, status: int) -> None:
        """Asks who refuses us for the head it holds: one of our key that is not of our history stops the writer."""
        not_after = self._now() + self._trust.in_force.agreement.clock_tolerance
        try:
            note = await self._clients.ask(witness.url, self._own.origin)
            await asyncio.to_thread(confirm, self._own, witness, note, not_after=not_after)
        except CorruptError as error:
            self._refusals[witness.name] = error.message
            self._sequencer.stop(error)
            return
        except BridgeheadError as error:
            why = f"it answered {int(status)} and shows no head that explains it ({error.reason})"
        else:
            if status == Status.OTHER_SIZE:  # it cosigned a newer head of ours meanwhile
                self._refusals.pop(witness.name, None)
                return
            why = f"it answered {int(status)}, although the head it holds is of our history"
        if witness.name not in self._refusals:
            _log.critical("log.disputed", witness=witness.name, why=why)
        self._refusals[witness.name] = why


def quorum_of(policy: Policy, size: int, lines: Mapping[str, Cosignature]) -> Quorum:
    """Counts the verified lines on a head against a policy, by distinct key."""
    keys = frozenset(line.vkey.public_key for line in lines.values())
    missing = tuple(witness.name for witness in policy.witnesses if witness.vkey.public_key not in keys)
    return Quorum(
        size=size,
        lines=len(policy.witnesses) - len(missing),
        witnesses=len(policy.witnesses),
        is_met=policy.quorum in satisfied_names(policy, keys),
        missing=missing,
    )
