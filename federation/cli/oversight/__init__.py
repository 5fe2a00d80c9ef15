"""The watch over look-ups: the command, what it shows, what leaders sign."""

from federation.cli.oversight.command import app

__all__ = ["app"]
