"""The node's state, told by the function that knows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc

from federation.protocol.ids import AgencyId
from federation.v1 import node_service_pb2, node_service_pb2_grpc
from federation.wire.convert import status_to_pb
from federation.wire.identity import calling_agency
from federation.wire.services.shape import verify_shape
from federation.wire.values import NodeStatus

GetStatus = Callable[[AgencyId], Awaitable[NodeStatus]]


class NodeService(node_service_pb2_grpc.NodeServiceServicer):
    """`federation.v1.NodeService` over one function."""

    def __init__(self, *, get_status: GetStatus) -> None:
        """Keeps the function that tells the state."""
        self._get_status = get_status

    async def GetStatus(  # noqa: N802 - the name of the RPC
        self, request: node_service_pb2.GetStatusRequest, context: grpc.ServicerContext
    ) -> node_service_pb2.GetStatusResponse:
        """Reads the state of the node and of its peers."""
        del context
        verify_shape(request)
        return status_to_pb(await self._get_status(calling_agency()))
