"""Corrections: each RPC handed to one function of the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from federation.protocol.ids import AgencyId
from federation.v1 import correction_service_pb2, correction_service_pb2_grpc
from federation.wire.convert import act_from_pb
from federation.wire.identity import calling_agency
from federation.wire.lookups.corrections.convert import (
    filing_from_pb,
    outcome_to_pb,
    page_to_pb,
    query_from_pb,
    step_from_pb,
)
from federation.wire.lookups.corrections.values import (
    CorrectionFiling,
    CorrectionOutcome,
    CorrectionPage,
    CorrectionQuery,
    CorrectionStep,
)
from federation.wire.services.shape import verify_shape
from federation.wire.values import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionFunctions:
    """What the node does for each RPC: the agency that calls, who acts and why, the question.

    A refusal by policy is in the answer; anything else that fails is raised.
    """

    file: Callable[[AgencyId, Act, CorrectionFiling], Awaitable[CorrectionOutcome]]
    list: Callable[[AgencyId, Act, CorrectionQuery], Awaitable[CorrectionPage]]
    grant: Callable[[AgencyId, Act, CorrectionStep], Awaitable[CorrectionOutcome]]
    deny: Callable[[AgencyId, Act, CorrectionStep], Awaitable[CorrectionOutcome]]
    extend: Callable[[AgencyId, Act, CorrectionStep], Awaitable[CorrectionOutcome]]


class CorrectionService(correction_service_pb2_grpc.CorrectionServiceServicer):
    """`federation.v1.CorrectionService` over the node's functions."""

    def __init__(self, functions: CorrectionFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def FileCorrection(  # noqa: N802 - the name of the RPC
        self, request: correction_service_pb2.FileCorrectionRequest, context: grpc.ServicerContext
    ) -> correction_service_pb2.FileCorrectionResponse:
        """Files a correction for a person."""
        del context
        verify_shape(request)
        filing = filing_from_pb(request)
        outcome = await self._functions.file(calling_agency(), act_from_pb(request.act), filing)
        return outcome_to_pb(correction_service_pb2.FileCorrectionResponse, outcome)

    async def ListCorrections(  # noqa: N802 - the name of the RPC
        self, request: correction_service_pb2.ListCorrectionsRequest, context: grpc.ServicerContext
    ) -> correction_service_pb2.ListCorrectionsResponse:
        """Lists what the caller decides and what it filed."""
        del context
        verify_shape(request)
        query = query_from_pb(request)
        return page_to_pb(await self._functions.list(calling_agency(), act_from_pb(request.act), query))

    async def GrantCorrection(  # noqa: N802 - the name of the RPC
        self, request: correction_service_pb2.GrantCorrectionRequest, context: grpc.ServicerContext
    ) -> correction_service_pb2.GrantCorrectionResponse:
        """Grants a correction."""
        del context
        verify_shape(request)
        outcome = await self._functions.grant(calling_agency(), act_from_pb(request.act), step_from_pb(request))
        return outcome_to_pb(correction_service_pb2.GrantCorrectionResponse, outcome)

    async def DenyCorrection(  # noqa: N802 - the name of the RPC
        self, request: correction_service_pb2.DenyCorrectionRequest, context: grpc.ServicerContext
    ) -> correction_service_pb2.DenyCorrectionResponse:
        """Denies a correction."""
        del context
        verify_shape(request)
        outcome = await self._functions.deny(calling_agency(), act_from_pb(request.act), step_from_pb(request))
        return outcome_to_pb(correction_service_pb2.DenyCorrectionResponse, outcome)

    async def ExtendCorrection(  # noqa: N802 - the name of the RPC
        self, request: correction_service_pb2.ExtendCorrectionRequest, context: grpc.ServicerContext
    ) -> correction_service_pb2.ExtendCorrectionResponse:
        """Takes more time for a correction."""
        del context
        verify_shape(request)
        outcome = await self._functions.extend(calling_agency(), act_from_pb(request.act), step_from_pb(request))
        return outcome_to_pb(correction_service_pb2.ExtendCorrectionResponse, outcome)
