"""Sums of the rows of blobs, whose sealed content is bound to all their plain columns; those that are there are taken in."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import context, op

from federation.store.columns import OF_BLOB, Mark, mark_plain_row, seal_apart, unseal_apart
from federation.store.exchange_log import note_apart

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG, BYTES, TEXT = sa.BigInteger(), sa.LargeBinary(), sa.String()
BLOB = sa.table(
    "blob", sa.column("id", TEXT), sa.column("owner", TEXT), sa.column("charged", TEXT), sa.column("key_id", BIG),
    sa.column("size_bytes", BIG), sa.column("begun_millis", BIG), sa.column("content", BYTES),
)  # fmt: skip
COLUMN = "blob.content"
Bound = Callable[[sa.RowMapping], str]


def upgrade() -> None:
    _seal_again(_by_owner, _by_all)
    if marks := _marks():
        note_apart(op.get_bind(), context.config.attributes["body_keys"].keys, added=marks)


def downgrade() -> None:
    if marks := _marks():
        note_apart(op.get_bind(), context.config.attributes["body_keys"].keys, added=(), removed=marks)
    op.execute("DELETE FROM counter WHERE name LIKE 'rows/b/%' OR name LIKE 'tally/b/%'")
    _seal_again(_by_all, _by_owner)


def _by_owner(row: sa.RowMapping) -> str:
    return f"{row['id']}/{row['owner']}"


def _by_all(row: sa.RowMapping) -> str:
    return "\n".join(str(row[name]) for name in ("id", "owner", "charged", "size_bytes", "begun_millis"))


def _seal_again(old: Bound, new: Bound) -> None:
    connection, body_keys = op.get_bind(), context.config.attributes["body_keys"]
    for row in connection.execute(sa.select(BLOB)).mappings().all():
        key = body_keys.find([row["key_id"]]).get(row["key_id"])
        if key is not None:  # without it nobody reads the row either way
            content = unseal_apart(key, COLUMN, row["content"], row_key=old(row))
            sealed = seal_apart(key, COLUMN, content, row_key=new(row))
            connection.execute(sa.update(BLOB).where(BLOB.c.id == row["id"]).values(content=sealed))


def _marks() -> list[Mark]:
    keys = context.config.attributes["body_keys"].keys
    rows = op.get_bind().execute(sa.select(BLOB)).mappings()
    return [mark_plain_row(keys, BLOB, row, of=OF_BLOB) for row in rows]
