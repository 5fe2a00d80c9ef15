"""A proof of a fork is two heads of one size. What was kept before was one head each, which proves nothing alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.drop_table("contradiction")
    op.create_table(
        "log_fork",
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("size", BIG, autoincrement=False, nullable=False),
        sa.Column("first_note", sa.LargeBinary(), nullable=False),
        sa.Column("second_note", sa.LargeBinary(), nullable=False),
        sa.Column("time_millis", BIG, nullable=False),
        sa.PrimaryKeyConstraint("origin", "size", name=op.f("pk_log_fork")),
    )


def downgrade() -> None:
    op.drop_table("log_fork")
    op.create_table(
        "contradiction",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("time_millis", BIG, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_contradiction")),
    )
