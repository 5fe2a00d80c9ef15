"""The bond of each record to its row and to the log: a digest in the row, and sums of what must be there.

A row carries the newest leaf of the log when it was written, and a digest under the index key over every plain column
and the sealed content: a changed value shows. The weights of all living rows are summed, for each kind and block of
leaves and for the whole, and the whole is marked under the head of the log: a row that was deleted, or put back with
all that was summed then, shows too, and about where. Trusts the index key: who has it can make all of this anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import msgspec

from federation.store.database import Head, StoredRow
from federation.store.tables import DataKeys, blind_index

if TYPE_CHECKING:
    from federation.store.exchange_log import GroupTransaction

BLOCK: Final = 64
"""So many leaves share the sums of a kind: of a single row that is missing among them, the leaf is known."""
TOTAL: Final = "rows-total"
MARK: Final = "rows-mark"
SUMS: Final = "rows/"
TALLIES: Final = "tally/"
_ONE: Final = 1 << 32  # a tally counts rows above, and below sums their places in the block
_MODULUS: Final = 1 << 60  # a counter has 63 bits
_PLAIN: Final = itemgetter(
    "replica", "kind", "id", "owner", "version", "status", "division", "household_division", "due_date", "sealed",
    "message_id", "due_millis", "leaf_index",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A row as the sums of its kind have it."""

    replica: bool
    kind: str
    leaf_index: int
    digest: bytes

    @property
    def block(self) -> str:
        return f"{self.replica:d}/{self.kind}/{self.leaf_index // BLOCK}"

    @property
    def tally(self) -> int:
        return _ONE + self.leaf_index % BLOCK


def digest_row(keys: DataKeys, row: StoredRow) -> bytes:
    """Computes the 16 bytes that bind every column of a record's row together."""
    subject = row["subject_index"]
    sealed = (None if subject is None else bytes(subject), hashlib.sha256(row["content"]).digest())
    # JSON has one spelling of a word, whether it is written as a member of an enumeration or read as text.
    return blind_index(keys, "record.digest", msgspec.json.encode((_PLAIN(row), sealed)).decode())


def mark_of(row: StoredRow) -> Mark | None:
    """The mark of a stored row; None for one of an earlier version that was not taken in yet."""
    if row["digest"] is None or row["leaf_index"] is None:
        return None
    return Mark(bool(row["replica"]), row["kind"], row["leaf_index"], bytes(row["digest"]))


def weigh(keys: DataKeys, mark: Mark) -> int:
    """Computes what nobody without the key can: the weight of a row in the sums."""
    return int.from_bytes(blind_index(keys, "record.sum", mark.digest.hex())[:8]) % _MODULUS


def add(weights: int, more: int) -> int:
    return (weights + more) % _MODULUS


def split_tally(tally: int) -> tuple[int, int]:
    """Returns the number of rows, and the sum of the places of their leaves in the block."""
    return tally // _ONE, tally % _ONE


def note_rows(transaction: GroupTransaction, *, added: list[Mark], removed: list[Mark]) -> None:
    """Brings the sums up to what a transaction writes and deletes."""
    changes: dict[str, tuple[int, int]] = {}
    for sign, marks in ((1, added), (-1, removed)):
        for mark in marks:
            weight, tally = changes.get(mark.block, (0, 0))
            changes[mark.block] = (weight + sign * weigh(transaction.keys, mark), tally + sign * mark.tally)
    for block, (weight, tally) in changes.items():
        for name in (SUMS + block, TOTAL):
            transaction.set_counter(name, add(transaction.find_counter(name), weight))
        transaction.set_counter(TALLIES + block, transaction.find_counter(TALLIES + block) + tally)


def mark_head(keys: DataKeys, total: int, head: Head) -> int:
    """Computes the mark of all rows beside a head of the log, never 0."""
    text = f"{total}/{head.size}/{head.root.hex()}"
    return 1 + int.from_bytes(blind_index(keys, "record.mark", text)[:8]) % (_MODULUS - 1)
