"""The intake desk: each RPC handed to one function of the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from federation.protocol.ids import AgencyId
from federation.v1 import intake_service_pb2, intake_service_pb2_grpc
from federation.wire.convert import act_from_pb
from federation.wire.identity import calling_agency
from federation.wire.lookups.intake import convert
from federation.wire.lookups.intake.values import (
    IntakeAnswer,
    IntakePage,
    IntakeQuery,
    RefuseQuestion,
    ReleaseQuestion,
    SecondRequest,
)
from federation.wire.services.shape import verify_shape
from federation.wire.values import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeFunctions:
    """What the node does for each RPC; `second` is handed the id of the look-up."""

    list: Callable[[AgencyId, Act, IntakeQuery], Awaitable[IntakePage]]
    release: Callable[[AgencyId, Act, ReleaseQuestion], Awaitable[IntakeAnswer]]
    refuse: Callable[[AgencyId, Act, RefuseQuestion], Awaitable[IntakeAnswer]]
    second: Callable[[AgencyId, Act, str], Awaitable[tuple[SecondRequest, ...]]]


class IntakeService(intake_service_pb2_grpc.IntakeServiceServicer):
    """`federation.v1.IntakeService` over the node's functions."""

    def __init__(self, functions: IntakeFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def ListIntake(  # noqa: N802 - the name of the RPC
        self, request: intake_service_pb2.ListIntakeRequest, context: grpc.ServicerContext
    ) -> intake_service_pb2.ListIntakeResponse:
        """Lists what waits for a person."""
        del context
        verify_shape(request)
        query = convert.intake_query_from_pb(request)
        return convert.intake_page_to_pb(await self._functions.list(calling_agency(), act_from_pb(request.act), query))

    async def ReleaseIntake(  # noqa: N802 - the name of the RPC
        self, request: intake_service_pb2.ReleaseIntakeRequest, context: grpc.ServicerContext
    ) -> intake_service_pb2.ReleaseIntakeResponse:
        """Answers a request."""
        del context
        verify_shape(request)
        question = convert.release_question_from_pb(request)
        answer = await self._functions.release(calling_agency(), act_from_pb(request.act), question)
        return convert.release_answer_to_pb(answer)

    async def RefuseIntake(  # noqa: N802 - the name of the RPC
        self, request: intake_service_pb2.RefuseIntakeRequest, context: grpc.ServicerContext
    ) -> intake_service_pb2.RefuseIntakeResponse:
        """Refuses a request."""
        del context
        verify_shape(request)
        question = convert.refuse_question_from_pb(request)
        answer = await self._functions.refuse(calling_agency(), act_from_pb(request.act), question)
        return convert.refuse_answer_to_pb(answer)

    async def SendSecond(  # noqa: N802 - the name of the RPC
        self, request: intake_service_pb2.SendSecondRequest, context: grpc.ServicerContext
    ) -> intake_service_pb2.SendSecondResponse:
        """Asks a second time for the answer to a look-up."""
        del context
        verify_shape(request)
        seconds = await self._functions.second(calling_agency(), act_from_pb(request.act), request.lookup_id)
        return convert.seconds_to_pb(seconds)
