"""Retiring a log whose signed history its store no longer has: the node begins anew under a new origin.

The tree goes on: its first entries are what is left of the old log, which every old head up to there still covers. The
key and the origin are new, and the numbers of the messages leave a gap, so that none that was lost is used twice. The
old key is destroyed; what it signed stays in the home as evidence, and the next agreement says where it ended.

    <home>/retired/<origin, / as _>/   the heads of the old log, its vkey, and why and where it ended

Rules kept: a log that nothing contradicts is not retired; how far it had signed is not taken from the home alone: as
many witnesses as confirm a start have said what they cosigned, or an operator vouches for it, in a leaf and in the next
agreement; nothing is changed before the evidence is durable; one rename (`home.json`) is the step to the new log.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from federation.node.home.agreement import load_home_agreement
from federation.node.home.files import make_private_folder, write_public
from federation.node.home.keyring import begin_log, load_keyring, settle_log
from federation.node.home.setup import write_bundle
from federation.node.home_store import open_home_store
from federation.node.log.boot import ISLAND, AskCosigned, leaf_entry, witnessed_by
from federation.node.log.own_head import DISPUTED, FOLDER, own_head_file, require_prefix
from federation.node.node import plain_leaf
from federation.protocol.errors import BridgeheadError, CorruptError, RuleError
from federation.protocol.form import JsonValue, encode_canonical
from federation.protocol.ids import NodeName, Pair, format_time, truncate_to_millisecond
from federation.protocol.leaf import LOG_RESTARTED, LeafKind
from federation.protocol.tlog.cosignature import verify_cosigned
from federation.protocol.tlog.note import Checkpoint, Vkey, format_vkey, verify_checkpoint
from federation.protocol.tlog.witness import NEVER_COSIGNED
from federation.protocol.trust import Agreement
from federation.protocol.trust.members import RetiredLog, is_vouched
from federation.protocol.trust.witnesses import enough_to_start, log_policy, log_witnesses
from federation.store.database import Database
from federation.store.exchange_log import GroupTransaction, commit_group
from federation.store.log_reader import load_head

RETIRED_FOLDER: Final = "retired"
LOST_NUMBERS: Final = 1_000_000
"""How many numbers of each pair are left out: far more than a backup is ever behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The newest head of a log that each witness cosigned, who says that it never did, and how many must say so."""

    heads: Mapping[str, bytes] = field(default_factory=dict)
    never: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    needed: int = 1

    @property
    def is_enough(self) -> bool:
        """True when no head with a quorum can be missing."""
        return len(self.heads) + len(self.never) >= self.needed


NOBODY: Final = Shown()


async def ask_heads(home: Path, *, ask: AskCosigned, now: datetime) -> Shown:
    """Asks each witness for the newest head of this home's log that it cosigned; what does not verify is silence."""
    agreement, keyring = load_home_agreement(home, now=now), load_keyring(home)
    node, vkey, not_after = keyring.identity.node, keyring.log.vkey, now + agreement.clock_tolerance
    witnesses = log_witnesses(agreement, node)
    remembered = witnessed_by(own_head_file(home, vkey), witnesses)
    heads: dict[str, bytes] = {}
    never: list[str] = []
    for witness in witnesses:
        try:
            note = await ask(witness.url, vkey.name)
            if verify_cosigned(note, vkey, witnesses=[witness.vkey], not_after=not_after).cosignatures:
                heads[witness.name] = note
        except BridgeheadError as error:
            if error.reason == NEVER_COSIGNED and witness.name not in remembered:
                never.append(witness.name)
    silent = tuple(each.name for each in witnesses if each.name not in heads and each.name not in never)
    return Shown(heads=heads, never=tuple(never), silent=silent, needed=enough_to_start(log_policy(agreement, node)))


def restart_log(home: Path, *, why: str, now: datetime, shown: Shown = NOBODY, vouched: str = "") -> RetiredLog:
    """Retires the log of a home whose node is stopped; returns where it ended, and how far it had signed.

    `vouched` says who stands in for the witnesses, and why, where too few have `shown` what they cosigned. Refuses
    LOG_HEALTHY when nothing contradicts the store, RESTART_UNWITNESSED, AGREEMENT_MISSING, and as the home's parts do.
    """
    now = truncate_to_millisecond(now)
    keyring, agreement = load_keyring(home), load_home_agreement(home, now=now)
    node, vkey = keyring.identity.node, keyring.log.vkey
    with open_home_store(home) as database:
        signed = _signed_heads(home, vkey, shown.heads)
        contradiction = _find_contradiction(database, signed, vkey)
        vouched = "" if shown.is_enough else _require_word(shown, vouched)
        head = load_head(database)
        newest = max((each.size for each in signed.values()), default=0)
        retired = RetiredLog(
            vkey=format_vkey(vkey), size=head.size, signed=max(newest, head.size), root=head.root.hex(), retired=now,
            vouched=vouched,
        )  # fmt: skip
        _keep_evidence(home, vkey, retired, shown.heads, {"why": why, "contradiction": contradiction})
        _mark(database, agreement, node, retired, why=why, now=now)
    begin_log(home, retired)
    settle_log(home)
    write_bundle(home, now=now)
    return retired


def _require_word(shown: Shown, vouched: str) -> str:
    word = vouched.strip()
    if not word or not is_vouched(word):
        known = len(shown.heads) + len(shown.never)
        raise RuleError(
            "RESTART_UNWITNESSED",
            f"expected {shown.needed} witnesses to say how far this log had signed, got {known}; no answer from "
            f"{', '.join(shown.silent) or 'anybody'}: what it signed beyond what the home knows would be lost unsaid. "
            "Or up to 100 printable characters of who vouches for it, and why",
        )
    return word


def _signed_heads(home: Path, vkey: Vkey, shown: Mapping[str, bytes]) -> dict[str, Checkpoint]:
    head_file = own_head_file(home, vkey)
    notes = {"this home": head_file.read(), "a witness that was asked earlier": head_file.read(DISPUTED), **shown}
    return {teller: verify_checkpoint(note, vkey) for teller, note in notes.items() if note is not None}


def _find_contradiction(database: Database, signed: Mapping[str, Checkpoint], vkey: Vkey) -> str:
    for teller, head in signed.items():
        try:
            require_prefix(database, head, told_by=teller)
        except CorruptError as error:
            return str(error)
    raise RuleError("LOG_HEALTHY", f"expected a signed head that the store contradicts; none is known of {vkey.name}")


def _keep_evidence(
    home: Path, vkey: Vkey, retired: RetiredLog, shown: Mapping[str, bytes], named: dict[str, str]
) -> None:
    folder = home / RETIRED_FOLDER / vkey.name.replace("/", "_")
    make_private_folder(folder)
    for path in sorted((home / FOLDER).glob(f"{own_head_file(home, vkey).path.name}*")):
        shutil.copy2(path, folder / path.name)
    for witness, note in shown.items():
        write_public(folder / f"shown-by-{witness.replace('/', '_')}", note)
    facts: dict[str, JsonValue] = {
        **named,
        "vkey": retired.vkey,
        "size": retired.size,
        "signed": retired.signed,
        "root": retired.root,
        "retired": format_time(retired.retired),
        "vouched": retired.vouched,
    }
    write_public(folder / "retired.json", encode_canonical(facts))


def _mark(
    database: Database, agreement: Agreement, node: NodeName, retired: RetiredLog, *, why: str, now: datetime
) -> None:
    """Appends the leaf that says so, one for an operator's word, and leaves out the numbers of the lost messages."""
    named: dict[str, JsonValue] = {"retired": retired.vkey, "size": retired.size, "time": format_time(now), "why": why}
    reasons = {LOG_RESTARTED: named}
    if retired.vouched:
        reasons[ISLAND] = {**named, "island": retired.vouched}
    subjects = {reason: sha256(encode_canonical(facts)).hexdigest() for reason, facts in reasons.items()}
    leaves = [plain_leaf(agreement, LeafKind.BOOT, subjects[each], now=now, reason=each) for each in reasons]

    def job(transaction: GroupTransaction) -> None:
        for leaf in leaves:
            transaction.append_leaf(*leaf_entry(leaf))
        for peer in agreement.members:
            name = f"seq/{Pair(node, peer)}" if peer != node else None
            if name is not None:
                transaction.set_counter(name, transaction.find_counter(name) + LOST_NUMBERS)

    (outcome,) = commit_group(database, [job], now=now).outcomes
    if isinstance(outcome, BridgeheadError):
        raise outcome
