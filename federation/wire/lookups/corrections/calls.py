"""What an agency's client calls about corrections, over its one channel."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from federation.v1 import correction_service_pb2, correction_service_pb2_grpc
from federation.wire.convert import act_to_pb
from federation.wire.lookups.corrections import convert
from federation.wire.lookups.corrections.values import (
    CorrectionFiling,
    CorrectionOutcome,
    CorrectionPage,
    CorrectionQuery,
    CorrectionStep,
)
from federation.wire.status import finished
from federation.wire.values import Act


class CorrectionCalls:
    """`federation.v1.CorrectionService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def file(self, act: Act, filing: CorrectionFiling) -> CorrectionOutcome:
        """Files a correction for a person."""
        request = convert.filing_to_pb(act, filing)
        call = self._stub().FileCorrection(request, timeout=self._timeout_seconds)
        return convert.outcome_from_pb(await finished(call))

    async def list(self, act: Act, query: CorrectionQuery) -> CorrectionPage:
        """Reads one page of what the agency decides and what it filed."""
        request = convert.query_to_pb(act, query)
        call = self._stub().ListCorrections(request, timeout=self._timeout_seconds)
        return convert.page_from_pb(await finished(call))

    async def grant(self, act: Act, step: CorrectionStep) -> CorrectionOutcome:
        """Grants a correction."""
        request = correction_service_pb2.GrantCorrectionRequest(
            act=act_to_pb(act), correction_id=step.correction_id, words=step.words
        )
        call = self._stub().GrantCorrection(request, timeout=self._timeout_seconds)
        return convert.outcome_from_pb(await finished(call))

    async def deny(self, act: Act, step: CorrectionStep) -> CorrectionOutcome:
        """Denies a correction."""
        request = correction_service_pb2.DenyCorrectionRequest(
            act=act_to_pb(act), correction_id=step.correction_id, words=step.words
        )
        call = self._stub().DenyCorrection(request, timeout=self._timeout_seconds)
        return convert.outcome_from_pb(await finished(call))

    async def extend(self, act: Act, step: CorrectionStep) -> CorrectionOutcome:
        """Takes more time for a correction."""
        request = correction_service_pb2.ExtendCorrectionRequest(
            act=act_to_pb(act), correction_id=step.correction_id, words=step.words, days=step.days
        )
        call = self._stub().ExtendCorrection(request, timeout=self._timeout_seconds)
        return convert.outcome_from_pb(await finished(call))

    def _stub(self) -> correction_service_pb2_grpc.CorrectionServiceAsyncStub:
        return correction_service_pb2_grpc.CorrectionServiceStub(self._channel())
