# ruff: noqa: INP001  # Alembic loads this file by its path
"""Runs migrations on the connection that `federation.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from federation.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
