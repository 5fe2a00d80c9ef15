"""Every RPC of the house, in one table."""

from __future__ import annotations

from typing import Any, Final

from federation.wire.agency import registers
from federation.wire.rpc import Rpc

RPCS: Final[tuple[Rpc[Any, Any], ...]] = (*registers.RPCS,)
