"""The person's view: the commands, and what they show."""

from federation.cli.subject import corrections
from federation.cli.subject.command import app

__all__ = ["app", "corrections"]
