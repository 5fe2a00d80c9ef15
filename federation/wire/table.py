"""Every RPC of the house, in one table. Who may call it, where, and how is in its line."""

from __future__ import annotations

from typing import Any, Final

from federation.wire import peer
from federation.wire.agency import (
    audit,
    corrections,
    erasure,
    intake,
    lookups,
    node,
    oversight,
    permits,
    registers,
    reports,
)
from federation.wire.rpc import Rpc

RPCS: Final[tuple[Rpc[Any, Any], ...]] = (
    *peer.RPCS,
    *node.RPCS,
    *permits.RPCS,
    *registers.RPCS,
    *lookups.RPCS,
    *intake.RPCS,
    *oversight.RPCS,
    *reports.RPCS,
    *corrections.RPCS,
    *erasure.RPCS,
    *audit.RPCS,
)
