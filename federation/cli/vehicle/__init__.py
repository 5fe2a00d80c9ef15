"""Vehicles of the own county: the command."""

from federation.cli.vehicle.command import app

__all__ = ["app"]
