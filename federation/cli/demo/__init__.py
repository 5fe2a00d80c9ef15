"""The demo: its command, its four provinces, its scenes."""

from federation.cli.demo.command import app

__all__ = ["app"]
