"""The mark of each version of a record, and sums of all counters; rows from before marks get theirs here, and only here.

What a store with marks has without one stays without: somebody put it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from federation.store.columns import (
    COUNTED,
    MARK,
    TALLIES,
    TOTAL,
    DataKeys,
    Mark,
    add,
    change_sums,
    digest_row,
    is_summed,
    mark_head,
    mark_of,
    weigh_counter,
)
from federation.store.log_reader import read_head

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEYS = {"record": ("replica", "kind", "id"), "record_version": ("kind", "id", "version")}
PAGE = 500


def upgrade() -> None:
    op.add_column("record_version", sa.Column("leaf_index", BIG, nullable=True))
    op.add_column("record_version", sa.Column("digest", sa.LargeBinary(), nullable=True))
    connection, keys = op.get_bind(), context.config.attributes["body_keys"].keys
    head = read_head(connection)[1]
    counters = {row.name: row.value for row in connection.execute(sa.text("SELECT name, value FROM counter"))}
    if not head.size and not counters:
        return
    is_marked = TOTAL in counters or MARK in counters
    for table in ("record_version",) if is_marked else ("record", "record_version"):
        _add_marks(counters, keys, _mark_rows(connection, keys, table, max(0, head.size - 1)))
    counters[COUNTED] = 0
    for name in filter(is_summed, counters):
        counters[COUNTED] = add(counters[COUNTED], weigh_counter(keys, name, counters[name]))
    counters[MARK] = mark_head(keys, lambda name: counters.get(name, 0), head)
    connection.execute(sa.text("DELETE FROM counter WHERE name LIKE 'rows%' OR name LIKE 'tally/%'"))
    sums = [{"name": name, "value": value} for name, value in counters.items() if name.startswith(("rows", TALLIES))]
    connection.execute(sa.text("INSERT INTO counter (name, value) VALUES (:name, :value)"), sums)


def _mark_rows(connection: sa.Connection, keys: DataKeys, table: str, leaf: int) -> Iterator[Mark]:
    """Marks each row that has no mark with that leaf, by primary key, a page at once; gives the marks."""
    key = KEYS[table]
    names, after = ", ".join(key), ", ".join(f":{name}" for name in key)
    first = sa.text(f"SELECT * FROM {table} WHERE digest IS NULL ORDER BY {names} LIMIT {PAGE}")  # noqa: S608 - our own names
    following = sa.text(
        f"SELECT * FROM {table} WHERE digest IS NULL AND ({names}) > ({after}) ORDER BY {names} LIMIT {PAGE}"  # noqa: S608
    )
    where = " AND ".join(f"{name} = :{name}" for name in key)
    mark = sa.text(f"UPDATE {table} SET leaf_index = :leaf_index, digest = :digest WHERE {where}")  # noqa: S608
    rows = connection.execute(first).mappings().all()
    while rows:
        marked = [_marked(keys, found, leaf) for found in rows]
        connection.execute(mark, [{name: row[name] for name in (*key, "leaf_index", "digest")} for row in marked])
        yield from filter(None, map(mark_of, marked))
        rows = connection.execute(following, {name: rows[-1][name] for name in key}).mappings().all()


def _marked(keys: DataKeys, found: sa.RowMapping, leaf: int) -> dict[str, Any]:
    row = {**found, "sealed": bool(found["sealed"]), "leaf_index": leaf}
    if "replica" in row:
        row["replica"] = bool(row["replica"])
    return {**row, "digest": digest_row(keys, row)}


def _add_marks(counters: dict[str, int], keys: DataKeys, marks: Iterable[Mark]) -> None:
    counters.update(change_sums(keys, lambda name: counters.get(name, 0), added=marks))


def downgrade() -> None:
    op.drop_column("record_version", "digest")
    op.drop_column("record_version", "leaf_index")
    op.execute("DELETE FROM counter WHERE name LIKE 'rows%' OR name LIKE 'tally/%'")
    op.execute("UPDATE record SET digest = NULL, leaf_index = NULL")
