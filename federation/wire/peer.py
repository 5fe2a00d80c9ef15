"""What one province asks another: to take messages, to compare what both logged; its agreement by `agency.node`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from federation.protocol.body import Body
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Pair
from federation.protocol.receipt import Answer, Submission
from federation.wire.pb import Codec, declare
from federation.wire.rpc import PEER, WRITES, Rpc

declare(Body, names={"type": "media_type"})


def _root(root: bytes) -> bytes:
    if len(root) != 32:
        raise MalformedError("DIGEST_ROOT", f"expected a root of 32 bytes, got {len(root)}")
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeQuestion:
    """A range of one ordered pair, both ends included; the caller is one of the pair."""

    pair: Pair
    from_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDigest:
    """A range of one ordered pair as a node logged it; `highest` is 0 when nothing was."""

    count: int
    root: Annotated[bytes, Codec(None, _root)]
    highest: int


SUBMIT: Final = Rpc(
    name="ExchangeService/Submit",
    question=tuple[Submission, ...],
    answer=tuple[Answer, ...],
    sides=PEER,
    floor_seconds=WRITES,
    counted=len,
)
"""Each submission is answered by itself, in order."""
DIGEST_RANGE: Final = Rpc(
    name="ReconciliationService/DigestRange", question=RangeQuestion, answer=PairDigest, sides=PEER
)

RPCS: Final = (SUBMIT, DIGEST_RANGE)
