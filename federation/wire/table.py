"""Every RPC of the house, in one table. Who may call it, where, and how is in its line."""

from __future__ import annotations

from typing import Any, Final

from federation.wire import peer
from federation.wire.agency import (
    audit,
    corrections,
    erasure,
    intake,
    leads,
    lookups,
    node,
    oversight,
    permits,
    registers,
    reports,
)
from federation.wire.rpc import Rpc

_MODULES: Final = (
    peer, node, permits, registers, lookups, intake, oversight, reports, corrections, leads, erasure, audit,
)  # fmt: skip
RPCS: Final[tuple[Rpc[Any, Any], ...]] = tuple(
    line for module in _MODULES for line in vars(module).values() if isinstance(line, Rpc)
)
