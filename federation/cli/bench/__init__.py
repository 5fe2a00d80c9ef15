"""The bench: its command, what it runs, what it compares with."""

from federation.cli.bench.command import app

__all__ = ["app"]
