"""Digests of ranges, computed by the function that knows the log."""

from __future__ import annotations

from typing import Protocol

import grpc

from federation.protocol.errors import UntrustedError
from federation.protocol.ids import NodeName, Pair, parse_pair
from federation.v1 import reconciliation_service_pb2, reconciliation_service_pb2_grpc
from federation.wire.convert import digest_to_pb
from federation.wire.identity import calling_node
from federation.wire.services.shape import verify_shape
from federation.wire.values import PairDigest


class DigestRange(Protocol):
    """Computes the digest of a pair's range, both ends included; the caller is one of the pair."""

    async def __call__(self, caller: NodeName, pair: Pair, *, from_seq: int, to_seq: int) -> PairDigest:
        """Returns how many there are, their root, and the highest number of the pair."""
        ...


class ReconciliationService(reconciliation_service_pb2_grpc.ReconciliationServiceServicer):
    """`federation.v1.ReconciliationService` over one function."""

    def __init__(self, *, digest_range: DigestRange) -> None:
        """Keeps the function that computes digests."""
        self._digest_range = digest_range

    async def DigestRange(  # noqa: N802 - the name of the RPC
        self, request: reconciliation_service_pb2.DigestRangeRequest, context: grpc.ServicerContext
    ) -> reconciliation_service_pb2.DigestRangeResponse:
        """Computes the digest of a range of a pair that the caller is one of."""
        del context
        verify_shape(request)
        caller, pair = calling_node(), parse_pair(request.pair)
        if caller not in (pair.sender, pair.recipient):
            raise UntrustedError("PAIR_DENIED", f"{caller} is not one of {pair}")
        return digest_to_pb(await self._digest_range(caller, pair, from_seq=request.from_seq, to_seq=request.to_seq))
