"""Deriving again from the log what a person's report, a status, a flag and a quota stand on, and naming what differs.

1 every leaf about a message has that very message, 2 with its body, and the key of that body, unless it was erased,
refused or never had one, 3 and what became of it in the queue is what the log or a receipt says; 4 every record has the
digest that was written with it, and none is missing or more; 5 no key is without a body; 6 every document has its row,
and every whole one its bytes; 7 the tree of all entries is the one that is stored. Nothing is written. Trusts the keys.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from federation.node.documents import find_faults
from federation.node.home.agreement import load_home_agreement
from federation.node.home.config import load_settings
from federation.node.home.keyring import load_keyring
from federation.protocol.envelope import parse_envelope
from federation.protocol.errors import BridgeheadError, CorruptError, UnavailableError, UntrustedError
from federation.protocol.leaf import Leaf, LeafKind, decode_leaf
from federation.protocol.receipt import Receipt, verify_receipt
from federation.protocol.statement import decode_statement
from federation.protocol.tlog.note import parse_vkey
from federation.protocol.trust import Agreement, find_party
from federation.protocol.trust.members import log_vkeys
from federation.store.database import Database, open_to_read
from federation.store.log_reader import check_log, find_leaf, load_entries, load_head
from federation.store.messages import (
    Direction,
    OutboxRow,
    StoredMessage,
    find_by_digest,
    find_handed,
    find_outbox,
    has_body,
)
from federation.store.row_check import RowFinding, check_records, check_sample, one_state

_PAGE: Final = 256
_SAMPLE: Final = 64
_MESSAGES: Final[Mapping[LeafKind, Direction]] = {
    LeafKind.SENT: "sent",
    LeafKind.RECEIVED: "received",
    LeafKind.REFUSED: "received",
}
_ENDED_BY: Final = {
    "expired": LeafKind.EXPIRED, "unheard": LeafKind.EXPIRED, "missed": LeafKind.EXPIRED,
    "rejected": LeafKind.DISCREPANCY,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCheck:
    """The findings of a check, each with the leaf that it is about, and how many leaves were read."""

    leaves: int
    findings: tuple[RowFinding, ...]


def check_home(home: Path) -> RowCheck:
    """Checks the whole store of a home, whose node may be running. Refuses HOME_MISSING, STORE_*, AGREEMENT_*."""
    settings = load_settings(home)
    database = open_to_read(settings.database, keys=load_keyring(home).columns, folder=home)
    try:
        return check_store(database, _agreement_of(home))
    finally:
        database.close()


def _agreement_of(home: Path) -> Agreement | None:
    """The agreement in force; None before the first, when nothing can have been sent."""
    try:
        return load_home_agreement(home, now=datetime.now(UTC))
    except BridgeheadError as error:
        if error.reason != "AGREEMENT_MISSING":
            raise
        return None


def check_store(database: Database, agreement: Agreement | None) -> RowCheck:
    """Checks every leaf's message, every record and every document of a store."""
    with one_state(database) as connection:
        records = tuple(check_records(connection, database.keys))
    size = load_head(database).size
    strays = sum(map(len, database.body_keys.each_unnamed(database)))
    keys = (RowFinding("extra", "body-key", count=strays),) if strays else ()
    messages = check_messages(database, agreement, range(size))
    tree = _findings(RowFinding("changed", "log-leaf"), _tree_fault(database))
    return RowCheck(leaves=size, findings=(*tree, *messages, *records, *keys, *find_faults(database)))


def _tree_fault(database: Database) -> Iterator[RowFinding]:
    """The first that does not fit when the tree is computed again from every entry, named by its reason."""
    try:
        check_log(database)
    except CorruptError as error:
        yield RowFinding("changed", "log-leaf", error.reason)


def check_start(database: Database, agreement: Agreement | None) -> tuple[RowFinding, ...]:
    """A sample of the same, for a start: the newest of everything, and as much from places that nobody can foresee."""
    size = load_head(database).size
    old = random.sample(range(size), min(size, _SAMPLE))
    indexes = sorted({*old, *range(max(0, size - _SAMPLE), size)})
    with one_state(database) as connection:
        records = check_sample(connection, database.keys)
    return (*check_messages(database, agreement, indexes), *records)


def check_messages(database: Database, agreement: Agreement | None, indexes: Iterable[int]) -> Iterator[RowFinding]:
    """The messages of these leaves: that they are there, are the very ones, and became what the log says."""
    for index, entry in _entries(database, indexes):
        leaf = _decode(entry)
        if leaf is None:
            yield RowFinding("changed", "log-leaf", leaf_index=index)
        elif leaf.kind in _MESSAGES and leaf.pair is not None and (found := _look(database, agreement, index, leaf)):
            # A node at work was perhaps in between: what stands twice is said.
            yield from set(found) & set(_look(database, agreement, index, leaf))


def _look(database: Database, agreement: Agreement | None, index: int, leaf: Leaf) -> list[RowFinding]:
    found: list[StoredMessage] = []
    findings = _findings(RowFinding("changed", "message", leaf.subject, index), _missing(database, index, leaf, found))
    if not found:
        return findings
    (message,) = found
    looks: dict[str, Iterator[RowFinding]] = {
        "message": _differing(index, leaf, message),
        "message-body": _differing_body(database, index, leaf, message),
        "outbox": _differing_outbox(database, agreement, index, message) if leaf.kind is LeafKind.SENT else iter(()),
    }
    for kind, look in looks.items():
        findings += _findings(RowFinding("changed", kind, message.id, index), look)
    return findings


def _missing(database: Database, index: int, leaf: Leaf, found: list[StoredMessage]) -> Iterator[RowFinding]:
    message = find_by_digest(database, _MESSAGES[leaf.kind], leaf.subject)
    if message is None:
        yield RowFinding("missing", "message", leaf.subject, index)
    else:
        found.append(message)


def _findings(unreadable: RowFinding, look: Iterable[RowFinding]) -> list[RowFinding]:
    """Takes the findings of a look; of a row that cannot be read, that it was changed."""
    try:
        return list(look)
    except UnavailableError:  # of the store, not of the row
        raise
    except Exception:  # noqa: BLE001 - a column of another type makes a reader raise anything
        return [unreadable]


def _entries(database: Database, indexes: Iterable[int]) -> Iterator[tuple[int, bytes | None]]:
    """The leaves with these places, many at once where they follow each other; None for one that cannot be read."""
    if not isinstance(indexes, range):
        yield from ((index, _read_entry(database, index)) for index in indexes)
        return
    for start in range(indexes.start, indexes.stop, _PAGE):
        page = range(start, min(start + _PAGE, indexes.stop))
        try:
            yield from enumerate(load_entries(database, start, len(page)), start)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - one of them: which, shows when they are read alone
            yield from _entries(database, list(page))


def _read_entry(database: Database, index: int) -> bytes | None:
    try:
        return load_entries(database, index, 1)[0]
    except UnavailableError:
        raise
    except Exception:  # noqa: BLE001 - as `_findings`
        return None


def _decode(entry: bytes | None) -> Leaf | None:
    try:
        return decode_leaf(entry) if isinstance(entry, bytes) else None
    except BridgeheadError:
        return None


def _differing(index: int, leaf: Leaf, message: StoredMessage) -> Iterator[RowFinding]:
    envelope = parse_envelope(message.envelope)
    statement = decode_statement(envelope.payload)
    said = (envelope.digest, statement.id, statement.kind, statement.pair, statement.seq, statement.created)
    kept = (message.digest, message.id, message.kind, message.pair, message.seq, message.created)
    verdict = leaf.verdict.value if leaf.verdict is not None else ""
    if said != kept or (leaf.subject, index, verdict) != (message.digest, message.leaf_index, message.verdict):
        yield RowFinding("changed", "message", message.id, index)


def _differing_body(database: Database, index: int, leaf: Leaf, message: StoredMessage) -> Iterator[RowFinding]:
    statement = decode_statement(parse_envelope(message.envelope).payload)
    is_kept = statement.body is not None and leaf.kind is not LeafKind.REFUSED
    is_erased = find_leaf(database, LeafKind.ERASURE, message.digest) is not None
    is_there = has_body(database, message.id)
    if is_there is not (is_kept and not is_erased):
        yield RowFinding("extra" if is_there else "missing", "message-body", message.id, index)
    try:
        find_handed(database, message.id)
    except CorruptError as error:
        if error.reason != "BODY_KEY_MISSING":
            raise
        yield RowFinding("missing", "body-key", message.id, index)


def _differing_outbox(
    database: Database, agreement: Agreement | None, index: int, message: StoredMessage
) -> Iterator[RowFinding]:
    """A status in the queue stands on a receipt about that message, or on a leaf of our own."""
    row = find_outbox(database, message.id)
    if row is None:
        yield RowFinding("missing", "outbox", message.id, index)
        return
    statement = decode_statement(parse_envelope(message.envelope).payload)
    founded = (row.peer, row.seq, row.expires) == (message.pair.recipient, message.seq, statement.expires)
    if row.state == "settled":
        founded = founded and _is_receipted(agreement, row, message)
    else:
        ended = _ENDED_BY.get(row.state)
        founded = founded and row.receipt_leaf is None and row.receipt_proof is None
        founded = founded and (ended is None or find_leaf(database, ended, message.digest) is not None)
    if not founded:
        yield RowFinding("changed", "outbox", message.id, index)


def _is_receipted(agreement: Agreement | None, row: OutboxRow, message: StoredMessage) -> bool:
    """Returns True for a receipt under a log of the peer, a former member's too.

    Of one whose keys the agreement keeps no more it is enough that the receipt is about this message.
    """
    if row.receipt_leaf is None or row.receipt_proof is None or agreement is None:
        return False
    party = find_party(agreement, row.peer)
    if party is None:
        return decode_leaf(row.receipt_leaf).subject == message.digest
    receipt = Receipt(leaf=row.receipt_leaf, proof=row.receipt_proof)
    for vkey in log_vkeys(party):
        with suppress(UntrustedError):
            verified = verify_receipt(receipt, statement_digest=message.digest, log_vkey=parse_vkey(vkey))
            return verified.leaf.seq == message.seq
    return False


def where_from(database: Database, finding: RowFinding) -> str:
    """The leaf that a finding is about, in words: its kind, and the message where it is about one."""
    if finding.leaf_index is None:
        return "no leaf"
    leaf = _decode(_read_entry(database, finding.leaf_index))
    if leaf is None:
        return f"leaf {finding.leaf_index}, which cannot be read"
    about = f" {leaf.pair} {leaf.seq}" if leaf.pair is not None else ""
    return f"leaf {finding.leaf_index} ({leaf.kind.value}{about})"
