"""Erasing what was handed over: the command and what it shows."""

from federation.cli.erasure.command import app

__all__ = ["app"]
