"""What is too large for a row lies in a file; a row names its key, and what it dies with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "blob",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("charged", TEXT, nullable=False),
        sa.Column("key_id", BIG, nullable=False),
        sa.Column("size_bytes", BIG, nullable=False),
        sa.Column("begun_millis", BIG, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob")),
    )
    op.create_index(op.f("ix_blob_key_id"), "blob", ["key_id"], unique=True)
    op.create_index(op.f("ix_blob_owner_begun_millis"), "blob", ["owner", "begun_millis"])


def downgrade() -> None:
    op.drop_table("blob")
