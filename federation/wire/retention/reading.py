"""Reading a look-up again and tracing a watermark: each RPC handed to one function, its values to protobuf and back.

Rules kept: as `convert`. Source: misuse controls M9 and M12.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from federation.protocol.ids import AgencyId, parse_node_name
from federation.v1 import reading_service_pb2, reading_service_pb2_grpc
from federation.wire.convert import act_from_pb, act_to_pb, optional_time_to_pb, read_word, time_from_pb, time_to_pb
from federation.wire.convert_permit import ruling_from_pb, ruling_to_pb
from federation.wire.identity import calling_agency
from federation.wire.lookups.convert import OUTCOMES
from federation.wire.retention.values import LookupResult, ReadStep, TracedReading
from federation.wire.retention.watermark import watermark_from_pb, watermark_to_pb
from federation.wire.services.shape import verify_shape
from federation.wire.status import finished
from federation.wire.values import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFunctions:
    """What the node does for each RPC: the agency that calls, who acts and why, the look-up's id or the code."""

    read: Callable[[AgencyId, Act, str], Awaitable[LookupResult]]
    trace: Callable[[AgencyId, Act, str], Awaitable[TracedReading]]


class ReadingService(reading_service_pb2_grpc.ReadingServiceServicer):
    """`federation.v1.ReadingService` over the functions of the node."""

    def __init__(self, functions: ReadingFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def ReadLookup(  # noqa: N802 - the name of the RPC
        self, request: reading_service_pb2.ReadLookupRequest, context: grpc.ServicerContext
    ) -> reading_service_pb2.ReadLookupResponse:
        """Reads what came of a look-up."""
        del context
        verify_shape(request)
        return result_to_pb(await self._functions.read(calling_agency(), act_from_pb(request.act), request.lookup_id))

    async def TraceReading(  # noqa: N802 - the name of the RPC
        self, request: reading_service_pb2.TraceReadingRequest, context: grpc.ServicerContext
    ) -> reading_service_pb2.TraceReadingResponse:
        """Finds the reading behind a code."""
        del context
        verify_shape(request)
        return traced_to_pb(await self._functions.trace(calling_agency(), act_from_pb(request.act), request.code))


class ReadingCalls:
    """`federation.v1.ReadingService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def read_lookup(self, act: Act, lookup_id: str) -> LookupResult:
        """Reads what came of one look-up."""
        request = reading_service_pb2.ReadLookupRequest(act=act_to_pb(act), lookup_id=lookup_id)
        return result_from_pb(await finished(self._stub().ReadLookup(request, timeout=self._timeout_seconds)))

    async def trace_reading(self, act: Act, code: str) -> TracedReading:
        """Finds the reading that a watermark's code stands for."""
        request = reading_service_pb2.TraceReadingRequest(act=act_to_pb(act), code=code)
        return traced_from_pb(await finished(self._stub().TraceReading(request, timeout=self._timeout_seconds)))

    def _stub(self) -> reading_service_pb2_grpc.ReadingServiceAsyncStub:
        return reading_service_pb2_grpc.ReadingServiceStub(self._channel())


def result_to_pb(result: LookupResult) -> reading_service_pb2.ReadLookupResponse:
    """The response that carries what came of a look-up."""
    return reading_service_pb2.ReadLookupResponse(
        lookup_id=result.lookup_id, case_id=result.case_id, steps=[_step_to_pb(step) for step in result.steps]
    )


def result_from_pb(found: reading_service_pb2.ReadLookupResponse) -> LookupResult:
    """What came of a look-up.

    Raises:
        MalformedError: ENUM_VALUE, NODE_NAME and AGENCY_ID for an unknown word.
    """
    return LookupResult(
        lookup_id=found.lookup_id, case_id=found.case_id, steps=tuple(_step_from_pb(step) for step in found.steps)
    )


def traced_to_pb(traced: TracedReading) -> reading_service_pb2.TraceReadingResponse:
    """The response that carries a traced reading."""
    return reading_service_pb2.TraceReadingResponse(
        watermark=watermark_to_pb(traced.watermark),
        lookup_id=traced.lookup_id,
        case_id=traced.case_id,
        node=traced.node,
        fields=sorted(traced.fields),
        fetch_digest=traced.fetch_digest,
    )


def traced_from_pb(found: reading_service_pb2.TraceReadingResponse) -> TracedReading:
    """A traced reading.

    Raises:
        MalformedError: NODE_NAME and AGENCY_ID for an unknown word.
    """
    return TracedReading(
        watermark=watermark_from_pb(found.watermark),
        lookup_id=found.lookup_id,
        case_id=found.case_id,
        node=parse_node_name(found.node),
        fields=frozenset(found.fields),
        fetch_digest=found.fetch_digest,
    )


def _step_to_pb(step: ReadStep) -> reading_service_pb2.ReadStep:
    return reading_service_pb2.ReadStep(
        node=step.node,
        step=step.step,
        ask_time=time_to_pb(step.asked),
        outcome=None if step.outcome is None else OUTCOMES[step.outcome],
        handle=step.handle,
        expire_time=optional_time_to_pb(step.expires),
        erase_time=optional_time_to_pb(step.erased),
        decision=None if step.decision is None else ruling_to_pb(step.decision),
        fields=step.fields,
        watermark=None if step.watermark is None else watermark_to_pb(step.watermark),
        policies=step.policies,
        title_zh=step.title_zh,
        title_en=step.title_en,
    )


def _step_from_pb(found: reading_service_pb2.ReadStep) -> ReadStep:
    return ReadStep(
        node=parse_node_name(found.node),
        step=found.step,
        asked=time_from_pb(found.ask_time),
        outcome=read_word(OUTCOMES, found.outcome) if found.HasField("outcome") else None,
        handle=found.handle if found.HasField("handle") else None,
        expires=time_from_pb(found.expire_time) if found.HasField("expire_time") else None,
        erased=time_from_pb(found.erase_time) if found.HasField("erase_time") else None,
        decision=ruling_from_pb(found.decision) if found.HasField("decision") else None,
        fields=dict(found.fields),
        watermark=watermark_from_pb(found.watermark) if found.HasField("watermark") else None,
        policies=tuple(found.policies),
        title_zh=found.title_zh,
        title_en=found.title_en,
    )
