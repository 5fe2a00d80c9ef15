"""Values in columns: times, sealed personal fields, blind indexes; and what binds the columns of a record together.

Rules kept: times are whole milliseconds since 1970 UTC. A sealed value opens only in the column and row it was written
for (both are authenticated beside it) and names its key, so that keys are rotated without rewriting rows; what must be
destroyable for good has a random key of its own, kept apart from it; every blind index has a key of its own, derived
from one index key, and is never made over a field with few possible values.

A record's row carries the newest leaf of the log when it was written, and a digest under the index key over every plain
column and the sealed content: a changed value shows. The weights of all living rows are summed, for each kind and block
of leaves and for the whole, and the whole is marked under the head of the log: a row that was deleted, or put back with
all that was summed then, shows too, and about where.
Trusts: the keys it is given. Who can write to the store can delete or restore sealed values, never make, change or move
one; who can read it learns equality of indexed values only.
Source: DESIGN section 6, NIST SP 800-38D (96-bit random nonces: at most 2^32 values a key), RFC 2104 (HMAC).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from federation.protocol.errors import CorruptError, MalformedError

if TYPE_CHECKING:
    from federation.store.database import Head, StoredRow
    from federation.store.exchange_log import GroupTransaction

VERSION = 1
"""First byte of each sealed value: AES-256-GCM with a 12-byte nonce."""

OWN_KEY_VERSION = 2
"""First byte of each value sealed under a key of its own: AES-256-GCM with a 12-byte nonce, no key id."""

INDEX_BYTES = 16
"""Length of a blind index: half a SHA-256, enough against chance, too little to be an oracle of more than equality."""

_HEADER = 3  # version byte and a two-byte key id
_NONCE = 12
_TAG = 16
_MAX_KEY_ID = 0xFFFF
KEY_BYTES = 32

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

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


def to_millis(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    return _EPOCH + millis * _MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKeys:
    """The keys of one store: the one that seals now, older ones that still open, and the one behind all indexes.

    `key` and each of `older` are 32 bytes, named by an id from 0 to 65535. Printing one shows the ids only. Raises
    MalformedError: DATA_KEYS for a key of another length or an id out of range.
    """

    key_id: int
    key: bytes = field(repr=False)
    index_key: bytes = field(repr=False)
    older: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    _ciphers: dict[int, AESGCM] = field(init=False, repr=False, compare=False, default_factory=dict)
    _index_keys: dict[str, bytes] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.index_key) != 32:
            raise MalformedError("DATA_KEYS", f"expected an index key of 32 bytes, got {len(self.index_key)}")
        for key_id, key in {**self.older, self.key_id: self.key}.items():
            if not 0 <= key_id <= _MAX_KEY_ID or len(key) != 32:
                raise MalformedError("DATA_KEYS", f"expected 32 bytes under an id of two bytes, got {len(key)}")
            self._ciphers[key_id] = AESGCM(key)


def seal(keys: DataKeys, column: str, plaintext: bytes, *, row_key: str) -> bytes:
    """Seals a value for one column (`table.column`) of one row; each call gives other bytes."""
    nonce = os.urandom(_NONCE)
    sealed = keys._ciphers[keys.key_id].encrypt(nonce, plaintext, _bound_to(column, row_key))  # noqa: SLF001  # this module is the class
    return VERSION.to_bytes(1) + keys.key_id.to_bytes(2) + nonce + sealed


def unseal(keys: DataKeys, column: str, sealed: bytes, *, row_key: str) -> bytes:
    """Opens what `seal` gave for the same column and row. Raises CorruptError SEALED_VALUE."""
    cipher = keys._ciphers.get(int.from_bytes(sealed[1:_HEADER]))  # noqa: SLF001  # this module is the class
    if len(sealed) < _HEADER + _NONCE + _TAG or sealed[0] != VERSION or cipher is None:
        raise CorruptError("SEALED_VALUE", f"expected a value of {column} sealed with a key of ours", column=column)
    try:
        return cipher.decrypt(
            sealed[_HEADER : _HEADER + _NONCE], sealed[_HEADER + _NONCE :], _bound_to(column, row_key)
        )
    except InvalidTag as error:
        raise CorruptError("SEALED_VALUE", f"a value of {column} was changed or moved", column=column) from error


def seal_apart(key: bytes, column: str, plaintext: bytes, *, row_key: str) -> bytes:
    """Seals a value of one row under a key of its own, which can be destroyed apart."""
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, plaintext, _bound_to(column, row_key))
    return OWN_KEY_VERSION.to_bytes(1) + nonce + sealed


def unseal_apart(key: bytes, column: str, sealed: bytes, *, row_key: str) -> bytes:
    """Opens what `seal_apart` gave for the same key, column and row (SEALED_VALUE)."""
    if len(sealed) < 1 + _NONCE + _TAG or sealed[0] != OWN_KEY_VERSION or len(key) != KEY_BYTES:
        raise CorruptError("SEALED_VALUE", f"expected a value of {column} sealed under its own key", column=column)
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bound_to(column, row_key))
    except InvalidTag as error:
        raise CorruptError("SEALED_VALUE", f"a value of {column} was changed or moved", column=column) from error


def blind_index(keys: DataKeys, column: str, normalised: str) -> bytes:
    """Computes the 16 bytes under which an exact, already normalised value of that column is found again."""
    column_key = keys._index_keys.get(column)  # noqa: SLF001  # this module is the class
    if column_key is None:
        column_key = hmac.digest(keys.index_key, column.encode(), "sha256")
        keys._index_keys[column] = column_key  # noqa: SLF001
    return hmac.digest(column_key, normalised.encode(), "sha256")[:INDEX_BYTES]


def _bound_to(column: str, row_key: str) -> bytes:
    """The authenticated data: column names hold no NUL, so no two (column, row) pairs give the same bytes."""
    return f"{column}\0{row_key}".encode()


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
    """The mark of a stored row; None for one of an earlier version that was not taken in yet, or that is no mark."""
    digest, leaf_index = row["digest"], row["leaf_index"]
    if not isinstance(digest, bytes) or not isinstance(leaf_index, int):
        return None
    return Mark(bool(row["replica"]), row["kind"], leaf_index, digest)


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
