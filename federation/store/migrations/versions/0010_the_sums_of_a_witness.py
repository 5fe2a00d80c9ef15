"""Sums of what this node remembers as a witness; its rows are taken in here, and only here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from federation.store.columns import MARK, OF_WITNESS, SUMS, TALLIES, TOTAL, add, change_sums, fits_head, mark_head
from federation.store.columns import mark_witness_row
from federation.store.log_reader import read_head

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SET = sa.text(
    "INSERT INTO counter (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
BIG, BYTES = sa.BigInteger(), sa.LargeBinary()
TABLES = (
    sa.table("witness_head", *(sa.column(n, t) for n, t in (
        ("origin", sa.String()), ("size", BIG), ("root", BYTES), ("time_millis", BIG), ("note", BYTES)))),
    sa.table("log_fork", *(sa.column(n, t) for n, t in (
        ("origin", sa.String()), ("size", BIG), ("first_note", BYTES), ("second_note", BYTES), ("time_millis", BIG)))),
)  # fmt: skip


def upgrade() -> None:
    keys = context.config.attributes["body_keys"].keys
    counters = _load_counters()
    rows = [(table, row) for table in TABLES for row in op.get_bind().execute(sa.select(table)).mappings()]
    marks = [mark_witness_row(keys, table, row) for table, row in rows]
    _change(counters, change_sums(keys, lambda name: counters.get(name, 0), added=marks))


def downgrade() -> None:
    counters = _load_counters()
    sums = {name: value for name, value in counters.items() if name.startswith(f"{SUMS}{OF_WITNESS}/")}
    _change(counters, {TOTAL: add(counters.get(TOTAL, 0), -sum(sums.values()))} if sums else {})
    op.execute(f"DELETE FROM counter WHERE name LIKE '{SUMS}{OF_WITNESS}/%' OR name LIKE '{TALLIES}{OF_WITNESS}/%'")


def _load_counters() -> dict[str, int]:
    return {row.name: row.value for row in op.get_bind().execute(sa.text("SELECT name, value FROM counter"))}


def _change(counters: dict[str, int], changed: dict[str, int]) -> None:
    """Sets what changed, and the mark where it fitted before."""
    keys = context.config.attributes["body_keys"].keys
    head = read_head(op.get_bind())[1]
    if changed and fits_head(keys, counters, head):
        changed[MARK] = mark_head(keys, lambda name: changed.get(name, counters.get(name, 0)), head)
    if changed:
        op.get_bind().execute(SET, [{"name": name, "value": value} for name, value in changed.items()])
