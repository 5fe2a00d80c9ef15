"""The newest checkpoint of each other node that this node has verified.

Its digest goes into statements and leaves as `peer_checkpoint`: proof that they were written no earlier than that.
Two heads of one size with different roots are proof that the log was forked: they are kept and never overwritten.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from federation.protocol.errors import UntrustedError
from federation.protocol.ids import NodeName
from federation.protocol.tlog.checkpoint import Checkpoint, format_checkpoint


@dataclass(frozen=True, slots=True)
class _Known:
    checkpoint: Checkpoint
    digest: str


class KnownHeads:
    """Remembers one head a peer; it only moves forward."""

    def __init__(self) -> None:
        """Starts knowing nothing; the first receipt of each peer teaches it."""
        self._known: dict[NodeName, _Known] = {}

    def digest(self, peer: NodeName) -> str | None:
        """The digest (hex) of the newest checkpoint text of that peer, or None before the first."""
        known = self._known.get(peer)
        return known.digest if known else None

    def checkpoint(self, peer: NodeName) -> Checkpoint | None:
        """The newest verified checkpoint of that peer, or None before the first."""
        known = self._known.get(peer)
        return known.checkpoint if known else None

    def observe(self, peer: NodeName, checkpoint: Checkpoint) -> None:
        """Takes note of a verified checkpoint.

        Raises:
            UntrustedError: LOG_FORKED when the same size came with another root before.
        """
        known = self._known.get(peer)
        if known is not None:
            if checkpoint.size < known.checkpoint.size:
                return
            if checkpoint.size == known.checkpoint.size:
                if checkpoint.root != known.checkpoint.root:
                    raise UntrustedError(
                        "LOG_FORKED", f"{peer} signed two different heads of size {checkpoint.size}", node=peer
                    )
                return
        text = format_checkpoint(checkpoint)
        self._known[peer] = _Known(checkpoint, hashlib.sha256(text.encode()).hexdigest())
