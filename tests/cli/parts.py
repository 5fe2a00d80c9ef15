"""Every file of the command line, loaded: each adds its own words and next steps when it is used."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from federation import cli


def load_parts() -> None:
    for module in iter_modules(cli.__path__, f"{cli.__name__}."):
        import_module(module.name)
