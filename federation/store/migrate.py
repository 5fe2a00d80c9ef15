"""Migrations: gives a new store its tables, and brings those of an older one to the newest form when it is opened.

Rules kept: the whole way runs in the caller's one transaction (DDL is transactional on both databases), and on
PostgreSQL under an advisory lock, so that two node processes starting together migrate once; a store that a newer
program has migrated is refused, never guessed at, and so is one from before the first release.
Source: alembic.sqlalchemy.org, PostgreSQL manual 13.3.5 (advisory locks).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text

from federation.protocol.errors import CorruptError
from federation.protocol.tlog.merkle import EMPTY_ROOT
from federation.store.tables import LOG_HEAD, METADATA

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS: Final = ("0013",)
SCRIPTS: Final = Path(__file__).parent / "migrations"
_VERSION: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_LOCK: Final = 0x62726964676568  # any number that all our processes share


def lock(connection: Connection) -> None:
    """Keeps other processes that open the store waiting until the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def upgrade(connection: Connection) -> None:
    """Brings a store to the newest tables, under `lock`; one query when there is nothing to do (STORE_VERSION)."""
    revision = find_revision(connection)
    if revision is None:
        for metadata in (METADATA, _VERSION.metadata):
            metadata.create_all(connection)
        connection.execute(LOG_HEAD.insert(), {"id": 1, "epoch": 0, "size": 0, "root": EMPTY_ROOT, "edge": b""})
        connection.execute(_VERSION.insert(), {"version_num": REVISIONS[-1]})
    elif revision not in REVISIONS:
        raise CorruptError("STORE_VERSION", f"expected a store of revision {' or '.join(REVISIONS)}, got {revision}")
    elif revision != REVISIONS[-1]:
        from alembic import command  # noqa: PLC0415  # 0.1 s of imports that a store of today does not need

        command.upgrade(alembic_config(connection), "head")


def find_revision(connection: Connection) -> str | None:
    """The revision of a store; None for one without tables."""
    is_there = inspect(connection).has_table(_VERSION.name)
    return connection.execute(select(_VERSION.c.version_num)).scalar() if is_there else None


def alembic_config(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
