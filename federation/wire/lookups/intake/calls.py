"""What an agency's client calls at the intake desk, over its one channel."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from federation.v1 import intake_service_pb2, intake_service_pb2_grpc
from federation.wire.convert import act_to_pb
from federation.wire.lookups.intake import convert
from federation.wire.lookups.intake.values import (
    IntakeAnswer,
    IntakePage,
    IntakeQuery,
    RefuseQuestion,
    ReleaseQuestion,
    SecondRequest,
)
from federation.wire.status import finished
from federation.wire.values import Act


class IntakeCalls:
    """`federation.v1.IntakeService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def list_intake(self, act: Act, query: IntakeQuery) -> IntakePage:
        """Reads one page of the inbox."""
        call = self._stub().ListIntake(convert.intake_query_to_pb(act, query), timeout=self._timeout_seconds)
        return convert.intake_page_from_pb(await finished(call))

    async def release(self, act: Act, question: ReleaseQuestion) -> IntakeAnswer:
        """Answers a request."""
        call = self._stub().ReleaseIntake(convert.release_question_to_pb(act, question), timeout=self._timeout_seconds)
        return convert.release_answer_from_pb(await finished(call))

    async def refuse(self, act: Act, question: RefuseQuestion) -> IntakeAnswer:
        """Refuses a request."""
        call = self._stub().RefuseIntake(convert.refuse_question_to_pb(act, question), timeout=self._timeout_seconds)
        return convert.refuse_answer_from_pb(await finished(call))

    async def send_second(self, act: Act, lookup_id: str) -> tuple[SecondRequest, ...]:
        """Asks a second time for the answer to a look-up."""
        request = intake_service_pb2.SendSecondRequest(act=act_to_pb(act), lookup_id=lookup_id)
        call = self._stub().SendSecond(request, timeout=self._timeout_seconds)
        return convert.seconds_from_pb(await finished(call))

    def _stub(self) -> intake_service_pb2_grpc.IntakeServiceAsyncStub:
        return intake_service_pb2_grpc.IntakeServiceStub(self._channel())
