"""Look-ups across the border: the command, what it shows, the officer's own key."""

from federation.cli.lookup.command import app

__all__ = ["app"]
