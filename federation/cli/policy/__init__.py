"""Policies at the command line: checked, explained, replayed."""

from federation.cli.policy.command import app

__all__ = ["app"]
