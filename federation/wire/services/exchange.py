"""Submissions of the other provinces, handed to the function that receives them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import grpc

from federation.protocol.ids import NodeName
from federation.protocol.receipt import Answer, Submission
from federation.v1 import exchange_service_pb2, exchange_service_pb2_grpc
from federation.wire.convert import answers_to_pb, submissions_from_pb
from federation.wire.identity import calling_node
from federation.wire.services.shape import verify_shape

Submit = Callable[[NodeName, Sequence[Submission]], Awaitable[Sequence[Answer]]]
"""Answers each submission of a peer by itself, in order; never raises for one of them."""


class ExchangeService(exchange_service_pb2_grpc.ExchangeServiceServicer):
    """`federation.v1.ExchangeService` over one function."""

    def __init__(self, *, submit: Submit) -> None:
        """Keeps the function that receives."""
        self._submit = submit

    async def Submit(  # noqa: N802 - the name of the RPC
        self, request: exchange_service_pb2.SubmitRequest, context: grpc.ServicerContext
    ) -> exchange_service_pb2.SubmitResponse:
        """Answers each submission by itself."""
        del context
        verify_shape(request)
        return answers_to_pb(await self._submit(calling_node(), submissions_from_pb(request)))
