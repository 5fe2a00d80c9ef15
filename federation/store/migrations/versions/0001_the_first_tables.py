"""The first tables: log, counters, messages and bodies, outbox, records, witness heads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
EMPTY_ROOT = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def upgrade() -> None:
    op.create_table(
        "contradiction",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("time_millis", BIG, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_contradiction")),
    )
    op.create_table(
        "counter",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "log_checkpoint",
        sa.Column("size", BIG, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("time_millis", BIG, nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoint")),
    )
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", BIG, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_head")),
    )
    op.create_table(
        "log_leaf",
        sa.Column("leaf_index", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_log_leaf")),
        sa.UniqueConstraint("subject", "kind", name=op.f("uq_log_leaf_subject_kind")),
    )
    op.create_table(
        "log_tile",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", BIG, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "n", name=op.f("pk_log_tile")),
    )
    op.create_table(
        "message",
        sa.Column("direction", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("pair", TEXT, nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("verdict", TEXT, nullable=False),
        sa.Column("leaf_index", BIG, nullable=False),
        sa.Column("created_millis", BIG, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("direction", "id", name=op.f("pk_message")),
        sa.UniqueConstraint("direction", "pair", "seq", name=op.f("uq_message_direction_pair_seq")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_leaf_index"), ["leaf_index"], unique=False)

    op.create_table(
        "message_body",
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_message_body")),
    )
    op.create_table(
        "outbox",
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_millis", BIG, nullable=False),
        sa.Column("last_error", TEXT, nullable=True),
        sa.Column("receipt_leaf", sa.LargeBinary(), nullable=True),
        sa.Column("receipt_proof", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_state_peer_seq"), ["state", "peer", "seq"], unique=False)

    op.create_table(
        "record",
        sa.Column("replica", sa.Boolean(), autoincrement=False, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("division", TEXT, nullable=False),
        sa.Column("household_division", TEXT, nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("subject_index", sa.LargeBinary(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("replica", "kind", "id", name=op.f("pk_record")),
    )
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_record_kind_subject_index"), ["kind", "subject_index"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_record_replica_kind_division_due_date"),
            ["replica", "kind", "division", "due_date"],
            unique=False,
        )

    op.create_table(
        "record_version",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version", BIG, autoincrement=False, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("division", TEXT, nullable=False),
        sa.Column("household_division", TEXT, nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "version", name=op.f("pk_record_version")),
    )
    op.create_table(
        "witness_head",
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("time_millis", BIG, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_witness_head")),
    )
    head = sa.table("log_head", *map(sa.column, ("id", "epoch", "size", "root", "edge")))
    op.bulk_insert(head, [{"id": 1, "epoch": 0, "size": 0, "root": EMPTY_ROOT, "edge": b""}])


def downgrade() -> None:
    op.drop_table("witness_head")
    op.drop_table("record_version")
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_record_replica_kind_division_due_date"))
        batch_op.drop_index(batch_op.f("ix_record_kind_subject_index"))

    op.drop_table("record")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_state_peer_seq"))

    op.drop_table("outbox")
    op.drop_table("message_body")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_message_leaf_index"))

    op.drop_table("message")
    op.drop_table("log_tile")
    op.drop_table("log_leaf")
    op.drop_table("log_head")
    op.drop_table("log_checkpoint")
    op.drop_table("counter")
    op.drop_table("contradiction")
