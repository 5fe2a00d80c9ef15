"""Every RPC of the house: each line of `wire/agency/` and of `wire/peer.py`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

from federation.wire import agency, peer
from federation.wire.rpc import Rpc

_MODULES: Final = (peer, *(import_module(f"{agency.__name__}.{found.name}") for found in iter_modules(agency.__path__)))
RPCS: Final[tuple[Rpc[Any, Any], ...]] = tuple(
    line for module in _MODULES for line in vars(module).values() if isinstance(line, Rpc)
)
