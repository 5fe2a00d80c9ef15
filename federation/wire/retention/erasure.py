"""Orders to erase and their receipts: each RPC handed to one function of the node, its values to protobuf and back.

Rules kept: as `convert`. Source: DESIGN section 5 (withdrawal), PIPL article 47.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from federation.protocol.ids import AgencyId, parse_message_id, parse_node_name
from federation.v1 import erasure_service_pb2, erasure_service_pb2_grpc
from federation.wire.convert import (
    DEFAULT_PAGE,
    act_from_pb,
    act_to_pb,
    optional_time_to_pb,
    read_word,
    time_from_pb,
    time_to_pb,
)
from federation.wire.convert_permit import ruling_from_pb, ruling_to_pb
from federation.wire.identity import calling_agency
from federation.wire.retention.values import (
    ErasureAnswer,
    ErasureLine,
    ErasurePage,
    ErasureQuery,
    ErasureQuestion,
    ErasureState,
    RetentionRound,
    SentMessage,
    SentPage,
    SentQuery,
)
from federation.wire.services.shape import verify_shape
from federation.wire.status import finished
from federation.wire.values import Act

MAX_ERASURES_PAGE = 1000
_STATES = {word: erasure_service_pb2.ErasureState.Value(f"ERASURE_STATE_{word.name}") for word in ErasureState}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureFunctions:
    """What the node does for each RPC: the agency that calls, who acts and why, the question."""

    order: Callable[[AgencyId, Act, ErasureQuestion], Awaitable[ErasureAnswer]]
    sent: Callable[[AgencyId, Act, SentQuery], Awaitable[SentPage]]
    list: Callable[[AgencyId, Act, ErasureQuery], Awaitable[ErasurePage]]
    run: Callable[[AgencyId, Act], Awaitable[RetentionRound]]


class ErasureService(erasure_service_pb2_grpc.ErasureServiceServicer):
    """`federation.v1.ErasureService` over the functions of the node."""

    def __init__(self, functions: ErasureFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def OrderErasure(  # noqa: N802 - the name of the RPC
        self, request: erasure_service_pb2.OrderErasureRequest, context: grpc.ServicerContext
    ) -> erasure_service_pb2.OrderErasureResponse:
        """Destroys what a message handed over, and orders its recipient to."""
        del context
        verify_shape(request)
        question = ErasureQuestion(message_id=parse_message_id(request.message_id), words=request.words)
        answer = await self._functions.order(calling_agency(), act_from_pb(request.act), question)
        return answer_to_pb(answer)

    async def ListSent(  # noqa: N802 - the name of the RPC
        self, request: erasure_service_pb2.ListSentRequest, context: grpc.ServicerContext
    ) -> erasure_service_pb2.ListSentResponse:
        """Lists what was sent to a province."""
        del context
        verify_shape(request)
        query = SentQuery(
            recipient=parse_node_name(request.recipient),
            after_seq=request.after_seq,
            page_size=min(request.page_size or DEFAULT_PAGE, MAX_ERASURES_PAGE),
        )
        return sent_to_pb(await self._functions.sent(calling_agency(), act_from_pb(request.act), query))

    async def ListErasures(  # noqa: N802 - the name of the RPC
        self, request: erasure_service_pb2.ListErasuresRequest, context: grpc.ServicerContext
    ) -> erasure_service_pb2.ListErasuresResponse:
        """Lists the orders of this province."""
        del context
        verify_shape(request)
        size = min(request.page_size or DEFAULT_PAGE, MAX_ERASURES_PAGE)
        query = ErasureQuery(page_size=size, page_token=request.page_token)
        return page_to_pb(await self._functions.list(calling_agency(), act_from_pb(request.act), query))

    async def RunRetention(  # noqa: N802 - the name of the RPC
        self, request: erasure_service_pb2.RunRetentionRequest, context: grpc.ServicerContext
    ) -> erasure_service_pb2.RunRetentionResponse:
        """Destroys now what has ended."""
        del context
        verify_shape(request)
        done = await self._functions.run(calling_agency(), act_from_pb(request.act))
        return erasure_service_pb2.RunRetentionResponse(
            releases=done.releases,
            answers=done.answers,
            handles=done.handles,
            purged=done.purged,
            questions=done.questions,
            reports=done.reports,
            corrections=done.corrections,
        )


class ErasureCalls:
    """`federation.v1.ErasureService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def order_erasure(self, act: Act, question: ErasureQuestion) -> ErasureAnswer:
        """Orders what a message handed over erased."""
        request = erasure_service_pb2.OrderErasureRequest(
            act=act_to_pb(act), message_id=question.message_id, words=question.words
        )
        return answer_from_pb(await finished(self._stub().OrderErasure(request, timeout=self._timeout_seconds)))

    async def list_sent(self, act: Act, query: SentQuery) -> SentPage:
        """Reads one page of what was sent to a province."""
        request = erasure_service_pb2.ListSentRequest(
            act=act_to_pb(act), recipient=query.recipient, after_seq=query.after_seq, page_size=query.page_size
        )
        return sent_from_pb(await finished(self._stub().ListSent(request, timeout=self._timeout_seconds)))

    async def list_erasures(self, act: Act, query: ErasureQuery) -> ErasurePage:
        """Reads one page of orders."""
        request = erasure_service_pb2.ListErasuresRequest(
            act=act_to_pb(act), page_size=query.page_size, page_token=query.page_token
        )
        return page_from_pb(await finished(self._stub().ListErasures(request, timeout=self._timeout_seconds)))

    async def run_retention(self, act: Act) -> RetentionRound:
        """Has the node destroy now what has ended."""
        request = erasure_service_pb2.RunRetentionRequest(act=act_to_pb(act))
        found = await finished(self._stub().RunRetention(request, timeout=self._timeout_seconds))
        return RetentionRound(
            releases=found.releases,
            answers=found.answers,
            handles=found.handles,
            purged=found.purged,
            questions=found.questions,
            reports=found.reports,
            corrections=found.corrections,
        )

    def _stub(self) -> erasure_service_pb2_grpc.ErasureServiceAsyncStub:
        return erasure_service_pb2_grpc.ErasureServiceStub(self._channel())


def answer_to_pb(answer: ErasureAnswer) -> erasure_service_pb2.OrderErasureResponse:
    """The response that carries what became of an order."""
    return erasure_service_pb2.OrderErasureResponse(
        decision=ruling_to_pb(answer.decision), line=None if answer.line is None else _line_to_pb(answer.line)
    )


def answer_from_pb(found: erasure_service_pb2.OrderErasureResponse) -> ErasureAnswer:
    """What became of an order.

    Raises:
        MalformedError: ENUM_VALUE, NODE_NAME and MESSAGE_ID for an unknown word.
    """
    return ErasureAnswer(
        decision=ruling_from_pb(found.decision), line=_line_from_pb(found.line) if found.HasField("line") else None
    )


def sent_to_pb(page: SentPage) -> erasure_service_pb2.ListSentResponse:
    """The response that carries a page of what was sent."""
    messages = [
        erasure_service_pb2.SentMessage(
            message_id=message.message_id,
            seq=message.seq,
            kind=message.kind,
            create_time=time_to_pb(message.created),
            is_held=message.is_held,
        )
        for message in page.messages
    ]
    return erasure_service_pb2.ListSentResponse(messages=messages, next_after_seq=page.next_after_seq)


def sent_from_pb(found: erasure_service_pb2.ListSentResponse) -> SentPage:
    """A page of what was sent.

    Raises:
        MalformedError: MESSAGE_ID.
    """
    messages = tuple(
        SentMessage(
            message_id=parse_message_id(message.message_id),
            seq=message.seq,
            kind=message.kind,
            created=time_from_pb(message.create_time),
            is_held=message.is_held,
        )
        for message in found.messages
    )
    following = found.next_after_seq if found.HasField("next_after_seq") else None
    return SentPage(messages=messages, next_after_seq=following)


def page_to_pb(page: ErasurePage) -> erasure_service_pb2.ListErasuresResponse:
    """The response that carries a page of orders."""
    return erasure_service_pb2.ListErasuresResponse(
        lines=[_line_to_pb(line) for line in page.lines], next_page_token=page.next_page_token
    )


def page_from_pb(found: erasure_service_pb2.ListErasuresResponse) -> ErasurePage:
    """A page of orders.

    Raises:
        MalformedError: ENUM_VALUE, NODE_NAME and MESSAGE_ID for an unknown word.
    """
    return ErasurePage(lines=tuple(_line_from_pb(line) for line in found.lines), next_page_token=found.next_page_token)


def _line_to_pb(line: ErasureLine) -> erasure_service_pb2.ErasureLine:
    return erasure_service_pb2.ErasureLine(
        message_id=line.message_id,
        message_digest=line.message_digest,
        kind=line.kind,
        recipient=line.recipient,
        state=_STATES[line.state],
        order_time=time_to_pb(line.ordered),
        due_time=time_to_pb(line.due),
        order_digest=line.order_digest,
        receipt_time=optional_time_to_pb(line.receipted),
        was_held=line.was_held,
        leaf_index=line.leaf_index,
        leaf_digest=line.leaf_digest,
    )


def _line_from_pb(found: erasure_service_pb2.ErasureLine) -> ErasureLine:
    return ErasureLine(
        message_id=parse_message_id(found.message_id),
        message_digest=found.message_digest,
        kind=found.kind,
        recipient=parse_node_name(found.recipient),
        state=read_word(_STATES, found.state),
        ordered=time_from_pb(found.order_time),
        due=time_from_pb(found.due_time),
        order_digest=found.order_digest,
        receipted=time_from_pb(found.receipt_time) if found.HasField("receipt_time") else None,
        was_held=found.was_held,
        leaf_index=found.leaf_index if found.HasField("leaf_index") else None,
        leaf_digest=found.leaf_digest if found.HasField("leaf_digest") else None,
    )
