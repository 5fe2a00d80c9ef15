"""Permits: each RPC handed to one function of the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import grpc

from federation.domain.permit import PermitApplication, PermitUrn, RevokeReason, parse_permit_urn
from federation.protocol.ids import AgencyId
from federation.v1 import permit_service_pb2, permit_service_pb2_grpc
from federation.wire.convert import act_from_pb
from federation.wire.convert_permit import (
    application_from_pb,
    chunk_from_pb,
    imported_to_pb,
    mode_from_pb,
    page_to_pb,
    permit_answer_to_pb,
    query_from_pb,
    reading_to_pb,
    recognition_answer_to_pb,
    revoke_reason_from_pb,
)
from federation.wire.identity import calling_agency
from federation.wire.services.shape import verify_shape
from federation.wire.values import (
    Act,
    ImportChunk,
    ImportedRow,
    PermitAnswer,
    PermitPage,
    PermitQuery,
    PermitRecognition,
    RecognitionAnswer,
)

OnePermit = Callable[[AgencyId, Act, PermitUrn], Awaitable[PermitAnswer]]
"""One step with one permit: the agency that calls, who acts and why, the permit."""


class RevokePermit(Protocol):
    """Revokes a permit: the agency that calls, who acts and why, the permit, the reason in law."""

    async def __call__(self, caller: AgencyId, act: Act, urn: PermitUrn, *, reason: RevokeReason) -> PermitAnswer:
        """Returns the permit in its last version, or the refusal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitFunctions:
    """What the node does for each RPC. A refusal by policy is in the answer; anything else that fails is raised."""

    register: Callable[[AgencyId, Act, PermitApplication], Awaitable[PermitAnswer]]
    endorse: OnePermit
    suspend: OnePermit
    restore: OnePermit
    revoke: RevokePermit
    recognise: Callable[[AgencyId, Act, PermitRecognition], Awaitable[RecognitionAnswer]]
    get: OnePermit
    list: Callable[[AgencyId, Act, PermitQuery], Awaitable[PermitPage]]
    import_chunk: Callable[[AgencyId, Act, ImportChunk], Awaitable[tuple[ImportedRow, ...]]]


class PermitService(permit_service_pb2_grpc.PermitServiceServicer):
    """`federation.v1.PermitService` over the node's functions."""

    def __init__(self, functions: PermitFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def RegisterPermit(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.RegisterPermitRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.RegisterPermitResponse:
        """Issues a permit."""
        del context
        verify_shape(request)
        application = application_from_pb(request.application)
        answer = await self._functions.register(calling_agency(), act_from_pb(request.act), application)
        return permit_answer_to_pb(permit_service_pb2.RegisterPermitResponse, answer)

    async def EndorsePermit(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.EndorsePermitRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.EndorsePermitResponse:
        """Endorses (签注) a permit."""
        del context
        verify_shape(request)
        urn = parse_permit_urn(request.urn)
        answer = await self._functions.endorse(calling_agency(), act_from_pb(request.act), urn)
        return permit_answer_to_pb(permit_service_pb2.EndorsePermitResponse, answer)

    async def SuspendPermit(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.SuspendPermitRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.SuspendPermitResponse:
        """Records that a permit stopped working."""
        del context
        verify_shape(request)
        urn = parse_permit_urn(request.urn)
        answer = await self._functions.suspend(calling_agency(), act_from_pb(request.act), urn)
        return permit_answer_to_pb(permit_service_pb2.SuspendPermitResponse, answer)

    async def RestorePermit(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.RestorePermitRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.RestorePermitResponse:
        """Restores a suspended permit."""
        del context
        verify_shape(request)
        urn = parse_permit_urn(request.urn)
        answer = await self._functions.restore(calling_agency(), act_from_pb(request.act), urn)
        return permit_answer_to_pb(permit_service_pb2.RestorePermitResponse, answer)

    async def GetPermit(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.GetPermitRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.GetPermitResponse:
        """Reads one permit."""
        del context
        verify_shape(request)
        urn = parse_permit_urn(request.urn)
        answer = await self._functions.get(calling_agency(), act_from_pb(request.act), urn)
        return reading_to_pb(answer)

    async def RevokePermit(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.RevokePermitRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.RevokePermitResponse:
        """Revokes (注销) a permit."""
        del context
        verify_shape(request)
        urn, reason = parse_permit_urn(request.urn), revoke_reason_from_pb(request.reason)
        answer = await self._functions.revoke(calling_agency(), act_from_pb(request.act), urn, reason=reason)
        return permit_answer_to_pb(permit_service_pb2.RevokePermitResponse, answer)

    async def RecognisePermit(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.RecognisePermitRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.RecognisePermitResponse:
        """Recognises another province's permit."""
        del context
        verify_shape(request)
        recognise = PermitRecognition(
            urn=parse_permit_urn(request.urn), mode=mode_from_pb(request.mode), citizen_number=request.citizen_number
        )
        answer = await self._functions.recognise(calling_agency(), act_from_pb(request.act), recognise)
        return recognition_answer_to_pb(answer)

    async def ListPermits(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.ListPermitsRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.ListPermitsResponse:
        """Lists permits."""
        del context
        verify_shape(request)
        page = await self._functions.list(calling_agency(), act_from_pb(request.act), query_from_pb(request))
        return page_to_pb(page)

    async def ImportPermits(  # noqa: N802 - the name of the RPC
        self, request: permit_service_pb2.ImportPermitsRequest, context: grpc.ServicerContext
    ) -> permit_service_pb2.ImportPermitsResponse:
        """Takes one chunk of an import."""
        del context
        verify_shape(request)
        rows = await self._functions.import_chunk(calling_agency(), act_from_pb(request.act), chunk_from_pb(request))
        return imported_to_pb(rows)
