"""What the exchange log names by digest, read by the function that holds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc

from federation.protocol.ids import AgencyId
from federation.v1 import audit_service_pb2, audit_service_pb2_grpc
from federation.wire.convert import act_from_pb, message_page_to_pb, message_query_from_pb
from federation.wire.identity import calling_agency
from federation.wire.services.shape import verify_shape
from federation.wire.values import Act, MessagePage, MessageQuery

ListMessages = Callable[[AgencyId, Act, MessageQuery], Awaitable[MessagePage]]


class AuditService(audit_service_pb2_grpc.AuditServiceServicer):
    """`federation.v1.AuditService` over one function."""

    def __init__(self, *, list_messages: ListMessages) -> None:
        """Keeps the function that reads messages."""
        self._list_messages = list_messages

    async def ListMessages(  # noqa: N802 - the name of the RPC
        self, request: audit_service_pb2.ListMessagesRequest, context: grpc.ServicerContext
    ) -> audit_service_pb2.ListMessagesResponse:
        """Lists the messages exchanged with one peer."""
        del context
        verify_shape(request)
        query = message_query_from_pb(request)
        return message_page_to_pb(await self._list_messages(calling_agency(), act_from_pb(request.act), query))
