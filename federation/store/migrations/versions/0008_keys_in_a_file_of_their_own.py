"""The keys of bodies leave the database for a file of their own; bodies from before they had keys get some on the way.

What does not open with what is there stays as it is, and unreadable as it was.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import context, op

from federation.protocol.errors import CorruptError
from federation.store.columns import KEY_FILE, BodyKeys
from federation.store.columns import KEY_BYTES, OWN_KEY_VERSION, DataKeys, seal_apart, unseal

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMN = "message_body.content"
PAGE = 500
NEXT = sa.text(
    "SELECT message_body.message_id, content, sealed_key FROM message_body "
    "LEFT JOIN body_key ON body_key.message_id = message_body.message_id "
    "WHERE message_body.message_id > :after ORDER BY message_body.message_id LIMIT :most"
)
NAME = sa.text("UPDATE message_body SET key_id = :key_id, content = :content WHERE message_id = :message_id")
NAME_FILE = sa.text("INSERT INTO counter (name, value) VALUES (:name, :value)")


def upgrade() -> None:
    op.create_table(
        "dead_body_key",
        sa.Column("key_id", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_dead_body_key")),
    )
    op.add_column("message_body", sa.Column("key_id", BIG, nullable=False, server_default="0"))
    body_keys: BodyKeys = context.config.attributes["body_keys"]
    connection, after = op.get_bind(), ""
    while rows := connection.execute(NEXT, {"after": after, "most": PAGE}).all():
        after = rows[-1].message_id
        found = [_key_and_content(body_keys.keys, row) for row in rows]
        ids = body_keys.add([key for key, _ in found])
        named = zip(rows, ids, found, strict=True)
        values = [{"message_id": row.message_id, "key_id": i, "content": content} for row, i, (_, content) in named]
        connection.execute(NAME, values)
    if after:
        connection.execute(NAME_FILE, {"name": KEY_FILE, "value": body_keys.number})
    op.create_index(op.f("ix_message_body_key_id"), "message_body", ["key_id"], unique=True)
    op.drop_table("body_key")


def _key_and_content(keys: DataKeys, row: sa.Row[tuple[str, bytes, bytes | None]]) -> tuple[bytes, bytes]:
    """The key of a body and its sealed value; a new key where there is none, or none that opens."""
    message_id, content, sealed_key = row
    try:
        if content[0] == OWN_KEY_VERSION:
            return unseal(keys, "body_key.sealed_key", sealed_key or b"", row_key=message_id), content
        body = unseal(keys, COLUMN, content, row_key=message_id)
    except CorruptError:
        return secrets.token_bytes(KEY_BYTES), content
    key = secrets.token_bytes(KEY_BYTES)
    return key, seal_apart(key, COLUMN, body, row_key=message_id)


def downgrade() -> None:
    """Gives up all bodies, for good: their keys stay where older tables do not look."""
    op.execute("DELETE FROM message_body")
    op.execute(f"DELETE FROM counter WHERE name = '{KEY_FILE}'")  # noqa: S608 - our own name
    op.drop_index(op.f("ix_message_body_key_id"), "message_body")
    op.drop_column("message_body", "key_id")
    op.drop_table("dead_body_key")
    op.create_table(
        "body_key",
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_body_key")),
    )
