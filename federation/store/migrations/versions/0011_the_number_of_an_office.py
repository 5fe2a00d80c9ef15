"""A case is named by its office and its number; until here, the number was the province's.

What does not open, or names no office, stays as it is, and is found no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from federation.protocol.errors import CorruptError
from federation.store.columns import DataKeys, Mark, digest_row, mark_of, seal, unseal
from federation.store.exchange_log import note_apart

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KIND = "lookup-case"
KEYS = {"record": ("replica", "kind", "id"), "record_version": ("kind", "id", "version")}
TRUTHS = ("replica", "sealed")


def upgrade() -> None:
    _rename(lambda name, case: f"{case['opened_by']}/{name.partition('/')[2]}")


def downgrade() -> None:
    _rename(lambda name, _: f"{name.partition('/')[0]}/{name.rpartition('/')[2]}")


def _rename(named: Callable[[str, dict[str, Any]], str]) -> None:
    connection, keys = op.get_bind(), context.config.attributes["body_keys"].keys
    added: list[Mark] = []
    removed: list[Mark] = []
    for table, key in KEYS.items():
        where = " AND ".join(f"{name} = :{name}" for name in key)
        rename = sa.text(f"UPDATE {table} SET id = :to, content = :content, digest = :digest WHERE {where}")  # noqa: S608 - our own names
        for row, renamed in _renamed(connection, keys, table, named):
            values = {"to": renamed["id"], "content": renamed["content"], "digest": renamed["digest"]}
            connection.execute(rename, {**{name: row[name] for name in key}, **values})
            removed += filter(None, [mark_of(row)])
            added += filter(None, [mark_of(renamed)])
    if added:
        note_apart(connection, keys, added=added, removed=removed)


def _renamed(
    connection: sa.Connection, keys: DataKeys, table: str, named: Callable[[str, dict[str, Any]], str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    of_kind = sa.text(f"SELECT * FROM {table} WHERE kind = :kind")  # noqa: S608 - our own names
    for found in connection.execute(of_kind, {"kind": KIND}).mappings().all():
        row = {**found, **{name: bool(found[name]) for name in TRUTHS if name in found}}
        with suppress(CorruptError, ValueError, KeyError, TypeError):
            plain = unseal(keys, "record.content", row["content"], row_key=f"{KIND}/{row['id']}/{row['version']}")
            to = named(row["id"], json.loads(plain[2 + int.from_bytes(plain[:2]) :]))
            content = seal(keys, "record.content", plain, row_key=f"{KIND}/{to}/{row['version']}")
            renamed = {**row, "id": to, "content": content}
            yield row, {**renamed, "digest": digest_row(keys, renamed) if row["digest"] is not None else None}
