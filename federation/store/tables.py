"""The tables, one class each, and how a personal field is stored: sealed columns and blind indexes.

Rules kept: only types that SQLite and PostgreSQL share; times are whole milliseconds since 1970 UTC; plain columns hold
identifiers, digests, codes and states only; rows are never handed upwards. A sealed value opens only in the column and
row it was written for (both are authenticated beside it) and names its key, so that keys are rotated without rewriting
rows; what must be destroyable for good has a random key of its own, kept apart from it; every blind index has a key of
its own, derived from one index key, and is never made over a field with few possible values.
Trusts: the keys it is given. Who can write to the store can delete or restore sealed values, never make, change or move
one; who can read it learns equality of indexed values only.
Source: DESIGN section 6, NIST SP 800-38D (96-bit random nonces: at most 2^32 values a key), RFC 2104 (HMAC).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from federation.protocol.errors import CorruptError, MalformedError

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
_KEY = 32


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


def seal_apart(column: str, plaintext: bytes, *, row_key: str) -> tuple[bytes, bytes]:
    """Seals a value of one row under a random key of its own; gives both, so that the key can be destroyed apart."""
    random = os.urandom(_KEY + _NONCE)
    key, nonce = random[:_KEY], random[_KEY:]
    sealed = AESGCM(key).encrypt(nonce, plaintext, _bound_to(column, row_key))
    return OWN_KEY_VERSION.to_bytes(1) + nonce + sealed, key


def unseal_apart(key: bytes, column: str, sealed: bytes, *, row_key: str) -> bytes:
    """Opens what `seal_apart` gave for the same column and row, with the key that it gave (SEALED_VALUE)."""
    if len(sealed) < 1 + _NONCE + _TAG or not has_own_key(sealed) or len(key) != _KEY:
        raise CorruptError("SEALED_VALUE", f"expected a value of {column} sealed under its own key", column=column)
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bound_to(column, row_key))
    except InvalidTag as error:
        raise CorruptError("SEALED_VALUE", f"a value of {column} was changed or moved", column=column) from error


def has_own_key(sealed: bytes) -> bool:
    """True when a value was sealed by `seal_apart`; else it is of `seal`."""
    return sealed[:1] == OWN_KEY_VERSION.to_bytes(1)


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


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BIG = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits on both; `INTEGER` on SQLite, where only that spelling makes a primary key the row's own address."""

TEXT = String().with_variant(String(collation="C"), "postgresql")
"""Text without a limit (only one of the two would enforce it), in byte order on both."""

_CAME = text("message_id IS NOT NULL")
_AWAITED = text("due_millis IS NOT NULL")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_millis(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    return _EPOCH + millis * _MILLISECOND


class StoreRow(SQLModel, registry=registry(metadata=METADATA)):
    """The base of all rows: metadata of their own, apart from any other SQLModel in the process."""


class LogHeadRow(StoreRow, table=True):
    """The one head of the log: the lock of all writers. `epoch` grows with each committed group."""

    __tablename__ = "log_head"
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    epoch: int = Field(sa_column=Column(BIG, nullable=False))
    size: int = Field(sa_column=Column(BIG, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    edge: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LogLeafRow(StoreRow, table=True):
    __tablename__ = "log_leaf"
    __table_args__ = (UniqueConstraint("subject", "kind"),)
    leaf_index: int = Field(sa_column=Column(BIG, primary_key=True, autoincrement=False))
    kind: str = Field(sa_column=Column(TEXT, nullable=False))
    subject: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    entry: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LogTileRow(StoreRow, table=True):
    __tablename__ = "log_tile"
    level: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=Column(BIG, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hashes: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LogCheckpointRow(StoreRow, table=True):
    """The record of what is signed: one row a group that grew the log."""

    __tablename__ = "log_checkpoint"
    size: int = Field(sa_column=Column(BIG, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    time_millis: int = Field(sa_column=Column(BIG, nullable=False))


class CounterRow(StoreRow, table=True):
    __tablename__ = "counter"
    name: str = Field(sa_column=Column(TEXT, primary_key=True))
    value: int = Field(sa_column=Column(BIG, nullable=False))


class MessageRow(StoreRow, table=True):
    """One message sent or received, with the exact envelope; the reply is sealed."""

    __tablename__ = "message"
    __table_args__ = (UniqueConstraint("direction", "pair", "seq"), Index(None, "leaf_index"))
    direction: str = Field(sa_column=Column(TEXT, primary_key=True))
    id: str = Field(sa_column=Column(TEXT, primary_key=True))
    digest: str = Field(sa_column=Column(TEXT, nullable=False))
    pair: str = Field(sa_column=Column(TEXT, nullable=False))
    seq: int = Field(sa_column=Column(BIG, nullable=False))
    kind: str = Field(sa_column=Column(TEXT, nullable=False))
    verdict: str = Field(sa_column=Column(TEXT, nullable=False))
    leaf_index: int = Field(sa_column=Column(BIG, nullable=False))
    created_millis: int = Field(sa_column=Column(BIG, nullable=False))
    envelope: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    reply: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))


class MessageBodyRow(StoreRow, table=True):
    """The body of a message, salt and items sealed as one under a key of its own; deleted by an erasure."""

    __tablename__ = "message_body"
    message_id: str = Field(sa_column=Column(TEXT, primary_key=True))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class BodyKeyRow(StoreRow, table=True):
    __tablename__ = "body_key"
    message_id: str = Field(sa_column=Column(TEXT, primary_key=True))
    sealed_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class OutboxRow(StoreRow, table=True):
    __tablename__ = "outbox"
    __table_args__ = (Index(None, "state", "peer", "seq"),)
    message_id: str = Field(sa_column=Column(TEXT, primary_key=True))
    peer: str = Field(sa_column=Column(TEXT, nullable=False))
    seq: int = Field(sa_column=Column(BIG, nullable=False))
    state: str = Field(sa_column=Column(TEXT, nullable=False))
    attempts: int = Field(sa_column=Column(Integer, nullable=False))
    expires_millis: int = Field(sa_column=Column(BIG, nullable=False))
    last_error: str | None = Field(sa_column=Column(TEXT, nullable=True))
    receipt_leaf: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    receipt_proof: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))


class RecordRow(StoreRow, table=True):
    """The newest version of a record or replica; `message_id` is what it dies with, null for what is our own.

    `due_date` is a day that a desk selects by; `due_millis` the moment at which a duty of the node looks at it next.
    `leaf_index` is the newest leaf when it was written, `digest` binds all columns (`row_marks`); null until marked.
    """

    __tablename__ = "record"
    __table_args__ = (
        Index(None, "kind", "subject_index"),
        Index(None, "replica", "kind", "division", "due_date"),
        Index(None, "message_id", sqlite_where=_CAME, postgresql_where=_CAME),
        Index(None, "kind", "division", "due_millis", sqlite_where=_AWAITED, postgresql_where=_AWAITED),
    )
    replica: bool = Field(sa_column=Column(Boolean, primary_key=True, autoincrement=False))
    kind: str = Field(sa_column=Column(TEXT, primary_key=True))
    id: str = Field(sa_column=Column(TEXT, primary_key=True))
    owner: str = Field(sa_column=Column(TEXT, nullable=False))
    version: int = Field(sa_column=Column(BIG, nullable=False))
    status: str = Field(sa_column=Column(TEXT, nullable=False))
    division: str = Field(sa_column=Column(TEXT, nullable=False))
    household_division: str | None = Field(sa_column=Column(TEXT, nullable=True))
    due_date: date | None = Field(sa_column=Column(Date, nullable=True))
    sealed: bool = Field(sa_column=Column(Boolean, nullable=False))
    subject_index: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    message_id: str | None = Field(sa_column=Column(TEXT, nullable=True))
    due_millis: int | None = Field(sa_column=Column(BIG, nullable=True))
    leaf_index: int | None = Field(sa_column=Column(BIG, nullable=True))
    digest: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))


class RecordVersionRow(StoreRow, table=True):
    """Every version of a record of our own, sealed as it was."""

    __tablename__ = "record_version"
    __table_args__ = (Index(None, "message_id", sqlite_where=_CAME, postgresql_where=_CAME),)
    kind: str = Field(sa_column=Column(TEXT, primary_key=True))
    id: str = Field(sa_column=Column(TEXT, primary_key=True))
    version: int = Field(sa_column=Column(BIG, primary_key=True, autoincrement=False))
    status: str = Field(sa_column=Column(TEXT, nullable=False))
    division: str = Field(sa_column=Column(TEXT, nullable=False))
    household_division: str | None = Field(sa_column=Column(TEXT, nullable=True))
    due_date: date | None = Field(sa_column=Column(Date, nullable=True))
    sealed: bool = Field(sa_column=Column(Boolean, nullable=False))
    owner: str = Field(sa_column=Column(TEXT, nullable=False))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    message_id: str | None = Field(sa_column=Column(TEXT, nullable=True))


class WitnessHeadRow(StoreRow, table=True):
    __tablename__ = "witness_head"
    origin: str = Field(sa_column=Column(TEXT, primary_key=True))
    size: int = Field(sa_column=Column(BIG, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    time_millis: int = Field(sa_column=Column(BIG, nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LogForkRow(StoreRow, table=True):
    """Two heads of one size that a log signed, with different roots."""

    __tablename__ = "log_fork"
    origin: str = Field(sa_column=Column(TEXT, primary_key=True))
    size: int = Field(sa_column=Column(BIG, primary_key=True, autoincrement=False))
    first_note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    second_note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    time_millis: int = Field(sa_column=Column(BIG, nullable=False))


LOG_HEAD = METADATA.tables["log_head"]
LOG_LEAF = METADATA.tables["log_leaf"]
LOG_TILE = METADATA.tables["log_tile"]
LOG_CHECKPOINT = METADATA.tables["log_checkpoint"]
COUNTER = METADATA.tables["counter"]
MESSAGE = METADATA.tables["message"]
MESSAGE_BODY = METADATA.tables["message_body"]
BODY_KEY = METADATA.tables["body_key"]
OUTBOX = METADATA.tables["outbox"]
RECORD = METADATA.tables["record"]
RECORD_VERSION = METADATA.tables["record_version"]
WITNESS_HEAD = METADATA.tables["witness_head"]
LOG_FORK = METADATA.tables["log_fork"]
