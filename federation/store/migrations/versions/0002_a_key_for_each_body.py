"""A key for each body, in a table of its own. Bodies that are there already stay under the key of the column."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "body_key",
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_body_key")),
    )


def downgrade() -> None:
    """Gives up the bodies that were sealed under these keys, for good."""
    op.execute("DELETE FROM message_body WHERE message_id IN (SELECT message_id FROM body_key)")
    op.drop_table("body_key")
