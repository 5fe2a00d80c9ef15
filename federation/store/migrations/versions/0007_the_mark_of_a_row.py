"""The leaf that a record came with, and the digest that binds its columns; rows that are there get theirs at the start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("record", sa.Column("leaf_index", BIG, nullable=True))
    op.add_column("record", sa.Column("digest", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("record", "digest")
    op.drop_column("record", "leaf_index")
    op.execute("DELETE FROM counter WHERE name LIKE 'rows%' OR name LIKE 'tally/%'")
