"""The person's view: the command, and what it shows."""

from federation.cli.subject.command import app

__all__ = ["app"]
