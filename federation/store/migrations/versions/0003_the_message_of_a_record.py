"""The message that a record came of, so that it dies with it. Of records that are there, an intake entry names its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
TABLES = ("record", "record_version")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("message_id", TEXT, nullable=True))
        came = sa.text("message_id IS NOT NULL")
        name = op.f(f"ix_{table}_message_id")
        op.create_index(name, table, ["message_id"], sqlite_where=came, postgresql_where=came)
    op.execute("UPDATE record SET message_id = id WHERE kind = 'lookup-intake' AND status = 'waiting'")


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(op.f(f"ix_{table}_message_id"), table_name=table)
        op.drop_column(table, "message_id")
