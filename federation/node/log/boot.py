"""The check before a node signs anything: does our own tree extend what the peers last cosigned?

A log restored from a backup would sign a second history: such a node refuses to start, and the way out is a new origin.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from federation.protocol.errors import BridgeheadError, CorruptError
from federation.protocol.form import JsonValue, encode_canonical
from federation.protocol.ids import NodeName, format_time, truncate_to_millisecond
from federation.protocol.leaf import Leaf, LeafKind, encode_leaf
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import Vkey, parse_vkey
from federation.protocol.trust import Agreement, Member
from federation.store.database import Database
from federation.store.exchange_log import load_head, load_root

_log = structlog.get_logger()

AskCosigned = Callable[[str, str], Awaitable[bytes]]
"""Reads the last checkpoint of an origin that the witness at a read URL cosigned; raises when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFinding:
    """The peers that confirmed our history, and those that could not be asked or had nothing."""

    confirmed: tuple[NodeName, ...]
    silent: tuple[NodeName, ...]


async def check_boot(
    database: Database, agreement: Agreement, *, own: NodeName, log_vkey: Vkey, ask: AskCosigned, now: datetime
) -> BootFinding:
    """Asks every peer at once and compares. Raises CorruptError: LOG_ROLLED_BACK, LOG_FORKED."""
    peers = {name: member for name, member in agreement.members.items() if name != own}
    notes = await _ask_all(peers, log_vkey.name, ask)
    size = load_head(database).size
    confirmed: list[NodeName] = []
    for name, note in notes.items():
        witness = parse_vkey(peers[name].witness_vkey)
        try:
            cosigned = verify_cosigned(note, log_vkey, witnesses=[witness], not_after=now + agreement.clock_tolerance)
        except BridgeheadError as error:
            _log.warning("boot.unverified", peer=name, reason=error.reason)
            continue
        if not cosigned.cosignatures:
            continue
        checkpoint = cosigned.checkpoint
        if checkpoint.size > size:
            raise CorruptError(
                "LOG_ROLLED_BACK",
                f"{name} cosigned {checkpoint.size} entries of this log, only {size} are here: the store is older than "
                "what was signed. Restore the newer store, or retire this log's origin; never sign a second history",
            )
        if load_root(database, checkpoint.size) != checkpoint.root:
            raise CorruptError("LOG_FORKED", f"{name} cosigned another history of this log at size {checkpoint.size}")
        confirmed.append(name)
    return BootFinding(confirmed=tuple(confirmed), silent=tuple(name for name in peers if name not in confirmed))


def boot_leaf(agreement: Agreement, *, size: int, finding: BootFinding, now: datetime) -> Leaf:
    """Returns the leaf that says: from here on this process signs."""
    named: dict[str, JsonValue] = {"confirmed": sorted(finding.confirmed), "size": size, "time": format_time(now)}
    return plain_leaf(agreement, LeafKind.BOOT, hashlib.sha256(encode_canonical(named)).hexdigest(), now=now)


def agreement_leaf(agreement: Agreement, *, now: datetime) -> Leaf:
    """Returns the leaf that says: this agreement version came into force here."""
    return plain_leaf(agreement, LeafKind.AGREEMENT, agreement.digest, now=now)


def leaf_entry(leaf: Leaf) -> tuple[str, str, bytes]:
    return leaf.kind.value, leaf.subject, encode_leaf(leaf)


def plain_leaf(agreement: Agreement, kind: LeafKind, subject: str, *, now: datetime) -> Leaf:
    return Leaf(
        federation=agreement.federation,
        realm=agreement.realm,
        kind=kind,
        subject=subject,
        agreement_version=agreement.version,
        time=truncate_to_millisecond(now),
    )


async def _ask_all(peers: Mapping[NodeName, Member], origin: str, ask: AskCosigned) -> dict[NodeName, bytes]:
    async def one(name: NodeName, read_url: str) -> tuple[NodeName, bytes | None]:
        try:
            return name, await ask(read_url, origin)
        except BridgeheadError:
            return name, None

    answers = await asyncio.gather(*(one(name, member.read_url) for name, member in peers.items()))
    return {name: note for name, note in answers if note is not None}
