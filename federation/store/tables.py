"""The tables, one class each, and the Core `Table` behind it. Imported by this floor only.

Rules kept: only types that SQLite and PostgreSQL share; times are whole milliseconds since 1970 UTC; a personal field
is a sealed column or a blind index, so plain columns hold identifiers, digests, codes and states only; rows are never
handed upwards. Source: DESIGN section 6.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_millis(time: datetime) -> int:
    """Counts whole milliseconds since 1970 UTC, as stored."""
    return (time - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    """The aware UTC time of a stored count of milliseconds."""
    return _EPOCH + millis * _MILLISECOND


class StoreRow(SQLModel, registry=registry(metadata=METADATA)):
    """What all rows share: metadata of their own, apart from any other SQLModel in the process."""


class LogHeadRow(StoreRow, table=True):
    """The one head of the log: the lock of all writers. `epoch` grows with each committed group."""

    __tablename__ = "log_head"
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    epoch: int = Field(sa_column=Column(BIG, nullable=False))
    size: int = Field(sa_column=Column(BIG, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    edge: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LogLeafRow(StoreRow, table=True):
    """One entry of the log; (kind, subject) makes appends idempotent."""

    __tablename__ = "log_leaf"
    __table_args__ = (UniqueConstraint("subject", "kind"),)
    leaf_index: int = Field(sa_column=Column(BIG, primary_key=True, autoincrement=False))
    kind: str = Field(sa_column=Column(TEXT, nullable=False))
    subject: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    entry: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LogTileRow(StoreRow, table=True):
    """A full tile: 256 hashes, and their root, which is one hash of the tile above."""

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
    """A named number that only grows: pair numbering, tallies, serials."""

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
    """What a message handed over, salt and items sealed as one under a key of its own; deleted by an erasure."""

    __tablename__ = "message_body"
    message_id: str = Field(sa_column=Column(TEXT, primary_key=True))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class BodyKeyRow(StoreRow, table=True):
    """The key of one body, sealed; apart from it, so that no page ever holds both. Deleted by an erasure."""

    __tablename__ = "body_key"
    message_id: str = Field(sa_column=Column(TEXT, primary_key=True))
    sealed_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class OutboxRow(StoreRow, table=True):
    """One message on its way to a peer, and in the end its receipt."""

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
    """The newest version of a record or of a replica; content sealed, subject only as a blind index.

    `message_id`: the message that it came of and dies with, null for what is our own or stays under a rule of its own.
    """

    __tablename__ = "record"
    __table_args__ = (
        Index(None, "kind", "subject_index"),
        Index(None, "replica", "kind", "division", "due_date"),
        Index(None, "message_id", sqlite_where=_CAME, postgresql_where=_CAME),
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
    """The last head of another log that this node cosigned."""

    __tablename__ = "witness_head"
    origin: str = Field(sa_column=Column(TEXT, primary_key=True))
    size: int = Field(sa_column=Column(BIG, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    time_millis: int = Field(sa_column=Column(BIG, nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ContradictionRow(StoreRow, table=True):
    """A log-signed checkpoint that contradicts what was cosigned: perhaps proof of a fork."""

    __tablename__ = "contradiction"
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    origin: str = Field(sa_column=Column(TEXT, nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
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
CONTRADICTION = METADATA.tables["contradiction"]
