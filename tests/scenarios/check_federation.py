"""The check at the end of every scenario: all stores, logs, messages and receipts of a federation against each other.

Every log is computed again from its entries, every envelope and receipt verified, each pair of logs compared by the
audit's own rules; then what the audit cannot see, the stores themselves: the same envelopes and bodies on both sides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from pathlib import Path

from federation.audit.report import Code, Report
from federation.audit.run import Audit, audit_federation
from federation.cli.audit_report import report_lines
from federation.node.home.config import load_settings
from federation.node.home.keyring import NoteKey, load_keyring
from federation.node.joint.records import find_head
from federation.node.log.check import check_store
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import NodeName, Pair
from federation.protocol.leaf import LeafKind
from federation.protocol.receipt import Receipt
from federation.protocol.tlog.note import Checkpoint, sign_checkpoint
from federation.protocol.tlog.tiles import ENTRIES, Tile
from federation.protocol.trust import Agreement
from federation.store.database import Database, open_database
from federation.store.log_reader import check_log, find_leaf, load_entry_bundle, load_head, load_tile
from federation.store.messages import StoredMessage, find_handed, find_outbox, list_messages
from federation.store.witness_state import find_witness_state
from federation.wire.agency.audit import Direction, LoggedMessage, MessagePage, MessageQuery

PAGE = 1000
USUAL = frozenset({Code.COSIGNED_BY_FEW, Code.BOOT_UNCONFIRMED, Code.EXPIRED_RECEIVED})
"""Warnings that a scenario without witnesses, or with a clock that runs, may end with."""


@dataclass(frozen=True)
class NodeStore:
    """What is left of a node: its store, and the log's key that signs the head which the store has."""

    name: NodeName
    database: Database
    log: NoteKey

    async def checkpoint(self) -> bytes:
        head = load_head(self.database)
        checkpoint = Checkpoint(origin=self.log.vkey.name, size=head.size, root=head.root)
        return sign_checkpoint(checkpoint, self.log.vkey, sign=self.log.sign)

    async def load(self, tile: Tile) -> bytes:
        if tile.level == ENTRIES:
            return load_entry_bundle(self.database, tile.index, tile.width)
        return load_tile(self.database, tile.level, tile.index, width=tile.width)

    async def cosigned(self, origin: str) -> bytes:
        state = find_witness_state(self.database, origin)
        if state is None:
            raise NotFoundError("NEVER_COSIGNED", "nothing was cosigned")
        return state.note

    def lister(self) -> Callable[[MessageQuery], Awaitable[MessagePage]]:
        async def list_page(query: MessageQuery) -> MessagePage:
            sent = query.direction is Direction.SENT
            pair = Pair(self.name, query.peer) if sent else Pair(query.peer, self.name)
            found = list_messages(
                self.database, query.direction.value, pair=pair, after_seq=query.after_seq, limit=query.page_size
            )
            messages = tuple(self._logged(message, sent=sent) for message in found)
            return MessagePage(
                messages=messages, next_after_seq=found[-1].seq if len(found) == query.page_size else None
            )

        return list_page

    def _logged(self, message: StoredMessage, *, sent: bool) -> LoggedMessage:
        row = find_outbox(self.database, message.id) if sent else None
        receipt = Receipt(leaf=row.receipt_leaf, proof=row.receipt_proof) if row and row.receipt_leaf else None
        head = find_head(self.database, message)
        return LoggedMessage(
            seq=message.seq, envelope=message.envelope, log_index=message.leaf_index, receipt=receipt, head=head
        )


async def check_federation(
    kept: Sequence[NodeStore],
    agreement: Agreement,
    *,
    now: datetime,
    settled: bool = True,
    allowed: Collection[Code] = USUAL,
) -> Report:
    """Checks everything; with `settled`, also that nothing is on its way any more and every message has its receipt."""
    for each in kept:
        check_log(each.database)
        found = check_store(each.database, agreement).findings
        assert found == (), (each.name, found)
    report = await audit(kept, agreement, now=now)
    told = "\n".join(report_lines(report))
    assert report.passed, told
    assert {finding.code for finding in report.findings} <= set(allowed), told
    for sender, recipient in permutations(kept, 2):
        _check_pair(sender, recipient, settled=settled)
    if settled:
        lines = [line for line in report.pairs if line.sent]
        assert all(line.in_flight == 0 for line in lines), told
        assert all(line.receipts == line.received + line.refused for line in lines), told
    return report


async def audit(kept: Sequence[NodeStore], agreement: Agreement, *, now: datetime) -> Report:
    """What an auditor with the listings of all these nodes finds."""
    asked = Audit(
        agreement=agreement,
        sources={each.name: each for each in kept},
        listers={each.name: each.lister() for each in kept},
        now=lambda: now,
    )
    return (await audit_federation(asked)).report


def _check_pair(sender: NodeStore, recipient: NodeStore, *, settled: bool) -> None:
    """What the receiver has is byte for byte what the sender sent; nothing is missing below what was settled."""
    pair = Pair(sender.name, recipient.name)
    sent = {message.id: message for message in _every(sender.database, "sent", pair)}
    received = {message.id: message for message in _every(recipient.database, "received", pair)}
    assert received.keys() <= sent.keys(), f"{pair}: received what was never sent"
    for message_id, theirs in received.items():
        ours = sent[message_id]
        assert (ours.envelope, ours.digest, ours.seq) == (theirs.envelope, theirs.digest, theirs.seq), (
            f"{pair} {ours.seq}"
        )
        if theirs.verdict == "allowed" and ours.kind:
            _check_bodies(sender, recipient, ours)
    for message_id, ours in sent.items():
        row = find_outbox(sender.database, message_id)
        assert row is not None, f"{pair} {ours.seq}: never queued"
        if row.state == "settled":
            assert message_id in received, f"{pair} {ours.seq}: settled, and never received"
        elif settled:
            assert row.state in ("expired", "rejected"), f"{pair} {ours.seq}: {row.state} {row.last_error}"


def _check_bodies(sender: NodeStore, recipient: NodeStore, message: StoredMessage) -> None:
    """Each side holds the body, the same one, or its log says that it was erased there."""
    held = {each.name: find_handed(each.database, message.id) for each in (sender, recipient)}
    for each in (sender, recipient):
        erased = find_leaf(each.database, LeafKind.ERASURE, message.digest) is not None
        assert (held[each.name] is None) is erased, f"{each.name}: {message.kind} {message.seq}: {erased=}"
    assert len({body for body in held.values() if body is not None}) <= 1, f"{message.pair} {message.seq}"


def _every(database: Database, direction: str, pair: Pair) -> list[StoredMessage]:
    found: list[StoredMessage] = []
    while page := list_messages(database, direction, pair=pair, after_seq=found[-1].seq if found else 0, limit=PAGE):
        found += page
    return found


@contextmanager
def kept_homes(
    homes: Mapping[NodeName, Path], databases: Mapping[NodeName, str] | None = None
) -> Iterator[list[NodeStore]]:
    """Opens what stopped nodes left: their stores (at other URLs than their settings say, when given) and log keys."""
    kept: list[NodeStore] = []
    try:
        for name, home in homes.items():
            keyring = load_keyring(home)
            url = (databases or {}).get(name) or load_settings(home).database
            kept.append(NodeStore(name, open_database(url, keys=keyring.columns, folder=home), keyring.log))
        yield kept
    finally:
        for each in kept:
            each.database.close()
