"""The check before a node signs anything: does our own tree extend what was cosigned of it?

A log restored from a backup would sign a second history. So the newest head in the home and the newest heads that the
witnesses cosigned must be of our history, and enough witnesses must have said so that none is missed which a quorum
cosigned: silence is no answer, an answer that cannot be read is a refusal. The operator may stand in for those who do
not answer, never for one that contradicts.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from federation.node.log.own_head import DISPUTED, WITNESSED, OwnHeadFile, require_prefix
from federation.node.node import plain_leaf
from federation.protocol.errors import BridgeheadError, CorruptError, NotFoundError, UnavailableError, UntrustedError
from federation.protocol.form import JsonValue, encode_canonical
from federation.protocol.ids import NodeName, format_time
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import parse_note, verify_checkpoint
from federation.protocol.tlog.witness import NEVER_COSIGNED
from federation.protocol.trust import Agreement
from federation.protocol.trust.witnesses import LogWitness, enough_to_start, log_policy, log_witnesses
from federation.store.database import Database

AskCosigned = Callable[[str, str], Awaitable[bytes]]
"""Reads the last checkpoint of an origin that the witness below a URL cosigned; NEVER_COSIGNED when it never did."""

ANSWER_SECONDS: Final = 5.0
"""How long one witness may take in a round, whatever its client allows: who takes longer is silent."""

ISLAND: Final = "ISLAND"
"""The reason of a `boot` leaf whose history an operator vouched for instead of the witnesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFinding:
    """The witnesses by their answer: confirmed, never cosigned, silent, or unreadable and why."""

    needed: int
    confirmed: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_enough(self) -> bool:
        return len(self.confirmed) + len(self.never) >= self.needed and not self.unreadable

    def __str__(self) -> str:
        known = len(self.confirmed) + len(self.never)
        parts = [f"{known} of {self.needed} witnesses confirmed the history of this log"]
        if self.silent:
            parts.append(f"no answer from {', '.join(self.silent)}")
        parts += [f"{name} cannot be read: {why}" for name, why in self.unreadable.items()]
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLog:
    """Our own log, as it is asked about: whose it is, where it is stored, what the home knows of it."""

    node: NodeName
    database: Database
    head_file: OwnHeadFile

    @property
    def origin(self) -> str:
        return self.head_file.vkey.name


async def check_boot(log: OwnLog, agreement: Agreement, *, ask: AskCosigned, now: datetime) -> BootFinding:
    """Looks into the home, asks every witness at once, and compares. Refuses LOG_ROLLED_BACK, LOG_FORKED, HEAD_FILE."""
    await asyncio.to_thread(_check_home, log)
    witnesses = log_witnesses(agreement, log.node)
    answers = await asyncio.gather(*(_ask(witness, log.origin, ask) for witness in witnesses))
    not_after = now + agreement.clock_tolerance
    remembered = await asyncio.to_thread(witnessed_by, log.head_file, witnesses)
    found: dict[str, list[str]] = {"confirmed": [], "never": [], "silent": []}
    unreadable: dict[str, str] = {}
    for witness, answer in zip(witnesses, answers, strict=True):
        try:
            if isinstance(answer, bytes):
                await asyncio.to_thread(confirm, log, witness, answer, not_after=not_after)
                found["confirmed"].append(witness.name)
            elif isinstance(answer, UnavailableError) or _is_not_served(witness, agreement, answer):
                found["silent"].append(witness.name)
            elif answer.reason != NEVER_COSIGNED:
                raise answer
            elif witness.name in remembered:
                raise UntrustedError("COSIGNED_FORGOTTEN", "it cosigned this log, and says that it never did")
            else:
                found["never"].append(witness.name)
        except CorruptError:
            raise
        except BridgeheadError as error:
            unreadable[witness.name] = error.reason
    lists = {name: tuple(names) for name, names in found.items()}
    return BootFinding(needed=enough_to_start(log_policy(agreement, log.node)), unreadable=unreadable, **lists)


def confirm(log: OwnLog, witness: LogWitness, note: bytes, *, not_after: datetime) -> None:
    """Verifies that a head which a witness cosigned is of our history.

    Refuses LOG_ROLLED_BACK and LOG_FORKED (CorruptError: our own key signed the head, which is kept in the home), and
    what is no head of ours with that witness's line, which proves nothing.
    """
    vkey = log.head_file.vkey
    cosigned = verify_cosigned(note, vkey, witnesses=[witness.vkey], not_after=not_after)
    if not cosigned.cosignatures:
        raise UntrustedError("NOTE_UNSIGNED", f"expected a line by {witness.name}, got none")
    try:
        require_prefix(log.database, cosigned.checkpoint, told_by=witness.name)
    except CorruptError:
        log.head_file.write(note, DISPUTED)
        raise


def _check_home(log: OwnLog) -> None:
    for suffix, told_by in (("", "this home itself"), (DISPUTED, "a witness that was asked earlier")):
        note = log.head_file.read(suffix)
        if note is not None:
            require_prefix(log.database, verify_checkpoint(note, log.head_file.vkey), told_by=told_by)
    log.head_file.settle()


def witnessed_by(head_file: OwnHeadFile, witnesses: Iterable[LogWitness]) -> frozenset[str]:
    """Returns those of them who cosigned our log as far as the home knows."""
    note = head_file.read(WITNESSED)
    if note is None:
        return frozenset()
    lines = {(line.name, line.key_id) for line in parse_note(note).signatures}
    return frozenset(each.name for each in witnesses if (each.vkey.name, each.vkey.key_id) in lines)


def _is_not_served(witness: LogWitness, agreement: Agreement, answer: BridgeheadError) -> bool:
    """True when a third party has no such page: it need not have one, and has said nothing."""
    return isinstance(answer, NotFoundError) and witness.name not in agreement.members


async def _ask(witness: LogWitness, origin: str, ask: AskCosigned) -> bytes | BridgeheadError:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask(witness.url, origin)
    except TimeoutError:
        return UnavailableError("READ_FAILED", f"no answer of {witness.name} in time")
    except BridgeheadError as error:
        return error


def boot_leaf(
    agreement: Agreement, *, size: int, finding: BootFinding, now: datetime, island: str | None = None
) -> Leaf:
    """Returns the leaf that says: from here on this process signs; `island`: who vouched for it instead, and why."""
    named: dict[str, JsonValue] = {"confirmed": sorted(finding.confirmed), "size": size, "time": format_time(now)}
    if island is not None:
        named["island"] = island
    subject = hashlib.sha256(encode_canonical(named)).hexdigest()
    return plain_leaf(agreement, LeafKind.BOOT, subject, now=now, reason=None if island is None else ISLAND)


def agreement_leaf(agreement: Agreement, *, now: datetime) -> Leaf:
    """Returns the leaf that says: this agreement version came into force here."""
    return plain_leaf(agreement, LeafKind.AGREEMENT, agreement.digest, now=now)


def leaf_entry(leaf: Leaf) -> tuple[str, str, bytes]:
    return leaf.kind.value, leaf.subject, encode_leaf(leaf)
