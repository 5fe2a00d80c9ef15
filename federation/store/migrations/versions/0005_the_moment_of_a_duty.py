"""The moment at which a duty looks at a record next. What earlier versions found by its day is looked at once, at once.

A search or fetch of ours whose answer may still come is handed to the clocks, which read where they stood before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEX = "ix_record_kind_division_due_millis"


def upgrade() -> None:
    op.add_column("record", sa.Column("due_millis", BIG, nullable=True))
    awaited = sa.text("due_millis IS NOT NULL")
    op.create_index(
        op.f(INDEX), "record", ["kind", "division", "due_millis"], sqlite_where=awaited, postgresql_where=awaited
    )
    op.execute("UPDATE record SET due_millis = 0 WHERE kind IN ('message-end', 'lookup-handle') AND due_date IS NOT NULL")
    op.execute("UPDATE record SET due_millis = 0 WHERE kind = 'lookup-intake' AND status = 'waiting'")
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    seconds = "EXTRACT(EPOCH FROM due_date)" if is_postgresql else "strftime('%s', due_date)"
    op.execute(
        f"UPDATE record SET due_millis = CAST({seconds} AS BIGINT) * 1000, division = '' "
        "WHERE kind = 'lookup-asked' AND due_date IS NOT NULL"
    )
    op.execute(
        "UPDATE record SET division = 'clock', message_id = NULL WHERE kind = 'message-end' AND version = 1 AND EXISTS ("
        "SELECT 1 FROM message WHERE direction = 'sent' AND record.id = 'sent/' || message.id "
        "AND message.kind IN ('lookup.search', 'lookup.fetch'))"
    )
    op.execute("DELETE FROM counter WHERE name LIKE 'asked-clock/%'")


def downgrade() -> None:
    op.drop_index(op.f(INDEX), table_name="record")
    op.drop_column("record", "due_millis")
