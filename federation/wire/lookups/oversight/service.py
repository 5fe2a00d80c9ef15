"""The watch over look-ups: each RPC handed to one function of the node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc

from federation.domain.lookup.digest import Digest
from federation.domain.lookup.review import SampleItem
from federation.protocol.ids import AgencyId
from federation.v1 import oversight_service_pb2, oversight_service_pb2_grpc
from federation.wire.convert import act_from_pb
from federation.wire.identity import calling_agency
from federation.wire.lookups.oversight import convert, convert_desk
from federation.wire.lookups.oversight.values import (
    Countersigned,
    CountersignQuestion,
    DigestQuestion,
    FlagPage,
    FlagQuery,
    News,
    NoticePage,
    NoticeState,
    PageQuery,
    ReadingPage,
    ReadingQuery,
    ReviewQuestion,
    SamplePage,
    SampleQuery,
    SampleReviewQuestion,
)
from federation.wire.services.shape import verify_shape
from federation.wire.values import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class OversightFunctions:
    """What the node does for each RPC: the agency that calls, who acts, the question.

    `watch` is handed the token to go on behind, empty for a first call; it ends when the node stops.
    """

    countersign: Callable[[AgencyId, Act, CountersignQuestion], Awaitable[Countersigned]]
    notices: Callable[[AgencyId, Act, PageQuery], Awaitable[NoticePage]]
    review: Callable[[AgencyId, Act, ReviewQuestion], Awaitable[NoticeState]]
    flags: Callable[[AgencyId, Act, FlagQuery], Awaitable[FlagPage]]
    digest: Callable[[AgencyId, Act, DigestQuestion], Awaitable[Digest]]
    sample: Callable[[AgencyId, Act, SampleQuery], Awaitable[SamplePage]]
    review_sample: Callable[[AgencyId, Act, SampleReviewQuestion], Awaitable[SampleItem]]
    watch: Callable[[AgencyId, Act, str], AsyncIterator[News]]
    readings: Callable[[AgencyId, Act, ReadingQuery], Awaitable[ReadingPage]]


class OversightService(oversight_service_pb2_grpc.OversightServiceServicer):
    """`federation.v1.OversightService` over the node's functions."""

    def __init__(self, functions: OversightFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def CountersignCase(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.CountersignCaseRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.CountersignCaseResponse:
        """Lets a case reach further."""
        del context
        verify_shape(request)
        question = convert.countersign_from_pb(request)
        answer = await self._functions.countersign(calling_agency(), act_from_pb(request.act), question)
        return convert.countersigned_to_pb(answer)

    async def ListNotices(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.ListNoticesRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.ListNoticesResponse:
        """Lists the cases without a letter."""
        del context
        verify_shape(request)
        query = convert.notices_query_from_pb(request)
        return convert.notice_page_to_pb(
            await self._functions.notices(calling_agency(), act_from_pb(request.act), query)
        )

    async def ReviewBreakGlass(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.ReviewBreakGlassRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.ReviewBreakGlassResponse:
        """Closes a notice."""
        del context
        verify_shape(request)
        question = convert.review_from_pb(request)
        state = await self._functions.review(calling_agency(), act_from_pb(request.act), question)
        return oversight_service_pb2.ReviewBreakGlassResponse(notice=convert.notice_to_pb(state))

    async def ListFlags(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.ListFlagsRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.ListFlagsResponse:
        """Lists flags."""
        del context
        verify_shape(request)
        query = convert.flag_query_from_pb(request)
        return convert.flag_page_to_pb(await self._functions.flags(calling_agency(), act_from_pb(request.act), query))

    async def GetDailyDigest(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.GetDailyDigestRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.GetDailyDigestResponse:
        """Reads an officer's day."""
        del context
        verify_shape(request)
        question = convert.digest_question_from_pb(request)
        return convert.digest_to_pb(await self._functions.digest(calling_agency(), act_from_pb(request.act), question))

    async def ListSample(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.ListSampleRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.ListSampleResponse:
        """Lists the sample."""
        del context
        verify_shape(request)
        query = convert_desk.sample_query_from_pb(request)
        page = await self._functions.sample(calling_agency(), act_from_pb(request.act), query)
        return convert_desk.sample_page_to_pb(page)

    async def RecordReview(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.RecordReviewRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.RecordReviewResponse:
        """Reviews a look-up of the sample."""
        del context
        verify_shape(request)
        question = convert_desk.sample_review_from_pb(request)
        item = await self._functions.review_sample(calling_agency(), act_from_pb(request.act), question)
        return oversight_service_pb2.RecordReviewResponse(item=convert_desk.sample_item_to_pb(item))

    async def ListReadings(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.ListReadingsRequest, context: grpc.ServicerContext
    ) -> oversight_service_pb2.ListReadingsResponse:
        """Lists who read what."""
        del context
        verify_shape(request)
        query = convert_desk.reading_query_from_pb(request)
        page = await self._functions.readings(calling_agency(), act_from_pb(request.act), query)
        return convert_desk.reading_page_to_pb(page)

    async def WatchNotices(  # noqa: N802 - the name of the RPC
        self, request: oversight_service_pb2.WatchNoticesRequest, context: grpc.ServicerContext
    ) -> AsyncIterator[oversight_service_pb2.WatchNoticesResponse]:
        """Tells of each notice and flag; the next is read once the one before has left."""
        del context
        verify_shape(request)
        async for news in self._functions.watch(calling_agency(), act_from_pb(request.act), request.after):
            yield convert_desk.news_to_pb(news)
