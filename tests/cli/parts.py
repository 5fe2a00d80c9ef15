"""Every part of the command line, loaded: a feature's file adds its own words and next steps when it is used."""

from __future__ import annotations

from importlib import import_module

from federation.cli.main import PARTS, WITHIN


def load_parts() -> None:
    for where in (
        *(where for where, _ in PARTS.values()),
        *(each for some in WITHIN.values() for each in some.values()),
    ):
        import_module(f"federation.cli.{where.rpartition('.')[0]}")
