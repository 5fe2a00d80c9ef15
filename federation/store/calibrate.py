"""Measures the database alone on this machine: rows a second in bare transactions, for `bridgehead bench`."""

from __future__ import annotations

import os
import time

from sqlalchemy import Column, LargeBinary, MetaData, Table, text

from federation.store.database import Database
from federation.store.tables import BIG

_BARE = Table("bench_bare", MetaData(), Column("id", BIG, primary_key=True), Column("content", LargeBinary))


def commit_rows(database: Database, *, rows_a_commit: int, row_bytes: int, seconds: float) -> float:
    """Inserts rows of random bytes for about that long, durable after every commit; returns rows a second."""
    with database.writing() as connection:
        connection.execute(text("DROP TABLE IF EXISTS bench_bare"))
        _BARE.create(connection)
    content = os.urandom(row_bytes)
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        with database.writing() as connection:
            rows = [{"id": done + number, "content": content} for number in range(rows_a_commit)]
            connection.execute(_BARE.insert(), rows)
        done += rows_a_commit
    with database.writing() as connection:
        _BARE.drop(connection)
    return done / spent
