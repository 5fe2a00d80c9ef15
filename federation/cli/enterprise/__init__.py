"""Enterprises of the own county: the command."""

from federation.cli.enterprise.command import app

__all__ = ["app"]
