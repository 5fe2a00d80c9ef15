"""The tables, one class each.

Rules kept: only types that SQLite and PostgreSQL share; plain columns hold identifiers, digests, codes and states only,
personal fields are sealed (`columns`); rows are never handed upwards. Source: DESIGN section 6.
"""

from __future__ import annotations

from datetime import date

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
_AWAITED = text("due_millis IS NOT NULL")


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
    """The body of a message, salt and items sealed as one under a key that lies elsewhere; deleted by an erasure."""

    __tablename__ = "message_body"
    __table_args__ = (Index(None, "key_id", unique=True),)
    message_id: str = Field(sa_column=Column(TEXT, primary_key=True))
    key_id: int = Field(sa_column=Column(BIG, nullable=False))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class BlobRow(StoreRow, table=True):
    """A blob, too large for a row: its chunks lie in a file, sealed like `content` under a key that lies elsewhere.

    `owner` is what it dies with, a message or an entry, empty before; `charged` is whose room it takes.
    """

    __tablename__ = "blob"
    __table_args__ = (Index(None, "key_id", unique=True), Index(None, "owner", "begun_millis"))
    id: str = Field(sa_column=Column(TEXT, primary_key=True))
    owner: str = Field(sa_column=Column(TEXT, nullable=False))
    charged: str = Field(sa_column=Column(TEXT, nullable=False))
    key_id: int = Field(sa_column=Column(BIG, nullable=False))
    size_bytes: int = Field(sa_column=Column(BIG, nullable=False))
    begun_millis: int = Field(sa_column=Column(BIG, nullable=False))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DeadBodyKeyRow(StoreRow, table=True):
    """The key of a body or a blob that was erased, until a scrub has destroyed it."""

    __tablename__ = "dead_body_key"
    key_id: int = Field(sa_column=Column(BIG, primary_key=True, autoincrement=False))


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
    `leaf_index` is the newest leaf when it was written, `digest` binds all columns (`columns`); null until marked.
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
    leaf_index: int | None = Field(sa_column=Column(BIG, nullable=True))
    digest: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))


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
BLOB = METADATA.tables["blob"]
DEAD_BODY_KEY = METADATA.tables["dead_body_key"]
OUTBOX = METADATA.tables["outbox"]
RECORD = METADATA.tables["record"]
RECORD_VERSION = METADATA.tables["record_version"]
WITNESS_HEAD = METADATA.tables["witness_head"]
LOG_FORK = METADATA.tables["log_fork"]
