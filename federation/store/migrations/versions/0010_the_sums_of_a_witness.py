"""Sums of what this node remembers as a witness; its rows are taken in here, and only here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from federation.store.columns import OF_WITNESS, Mark, mark_plain_row
from federation.store.exchange_log import note_apart

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG, BYTES, TEXT = sa.BigInteger(), sa.LargeBinary(), sa.String()
TABLES = (
    sa.table("witness_head", sa.column("origin", TEXT), sa.column("size", BIG), sa.column("root", BYTES),
             sa.column("time_millis", BIG), sa.column("note", BYTES)),
    sa.table("log_fork", sa.column("origin", TEXT), sa.column("size", BIG), sa.column("first_note", BYTES),
             sa.column("second_note", BYTES), sa.column("time_millis", BIG)),
)  # fmt: skip


def upgrade() -> None:
    if marks := _marks():
        note_apart(op.get_bind(), context.config.attributes["body_keys"].keys, added=marks)


def downgrade() -> None:
    if marks := _marks():
        note_apart(op.get_bind(), context.config.attributes["body_keys"].keys, added=(), removed=marks)
    op.execute("DELETE FROM counter WHERE name LIKE 'rows/w/%' OR name LIKE 'tally/w/%'")


def _marks() -> list[Mark]:
    keys = context.config.attributes["body_keys"].keys
    return [
        mark_plain_row(keys, table, row, of=OF_WITNESS)
        for table in TABLES
        for row in op.get_bind().execute(sa.select(table)).mappings()
    ]
