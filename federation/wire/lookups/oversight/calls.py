"""What an agency's client calls about the watch over its look-ups, over its one channel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import grpc

from federation.domain.lookup.digest import Digest
from federation.domain.lookup.review import SampleItem
from federation.protocol.ids import AgencyId
from federation.v1 import oversight_service_pb2, oversight_service_pb2_grpc
from federation.wire.convert import act_to_pb
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
from federation.wire.status import error_of_call, finished
from federation.wire.values import Act


class OversightCalls:
    """`federation.v1.OversightService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def countersign(self, act: Act, question: CountersignQuestion) -> Countersigned:
        """Lets a case reach further."""
        call = self._stub().CountersignCase(convert.countersign_to_pb(act, question), timeout=self._timeout_seconds)
        return convert.countersigned_from_pb(await finished(call))

    async def list_notices(self, act: Act, query: PageQuery, *, agency: AgencyId) -> NoticePage:
        """Reads one page of the notices of that agency, which is the client's own."""
        call = self._stub().ListNotices(convert.notices_query_to_pb(act, query), timeout=self._timeout_seconds)
        return convert.notice_page_from_pb(await finished(call), agency)

    async def review(self, act: Act, question: ReviewQuestion, *, agency: AgencyId) -> NoticeState:
        """Closes a notice of that agency, which is the client's own."""
        call = self._stub().ReviewBreakGlass(convert.review_to_pb(act, question), timeout=self._timeout_seconds)
        return convert.notice_from_pb((await finished(call)).notice, agency)

    async def list_flags(self, act: Act, query: FlagQuery) -> FlagPage:
        """Reads one page of flags."""
        call = self._stub().ListFlags(convert.flag_query_to_pb(act, query), timeout=self._timeout_seconds)
        return convert.flag_page_from_pb(await finished(call))

    async def get_digest(self, act: Act, question: DigestQuestion) -> Digest:
        """Reads an officer's day."""
        call = self._stub().GetDailyDigest(convert.digest_question_to_pb(act, question), timeout=self._timeout_seconds)
        return convert.digest_from_pb(await finished(call))

    async def list_sample(self, act: Act, query: SampleQuery) -> SamplePage:
        """Reads one page of the sample."""
        call = self._stub().ListSample(convert_desk.sample_query_to_pb(act, query), timeout=self._timeout_seconds)
        return convert_desk.sample_page_from_pb(await finished(call))

    async def review_sample(self, act: Act, question: SampleReviewQuestion) -> SampleItem:
        """Reviews a look-up of the sample."""
        request = convert_desk.sample_review_to_pb(act, question)
        call = self._stub().RecordReview(request, timeout=self._timeout_seconds)
        return convert_desk.sample_item_from_pb((await finished(call)).item)

    async def list_readings(self, act: Act, query: ReadingQuery) -> ReadingPage:
        """Reads one page of who read what."""
        request = convert_desk.reading_query_to_pb(act, query)
        return convert_desk.reading_page_from_pb(
            await finished(self._stub().ListReadings(request, timeout=self._timeout_seconds))
        )

    async def watch(self, act: Act, after: str = "", *, agency: AgencyId) -> AsyncGenerator[News, None]:
        """Tells of each notice and flag of that agency, which is the client's own; it ends when the node stops."""
        request = oversight_service_pb2.WatchNoticesRequest(act=act_to_pb(act), after=after)
        call = self._stub().WatchNotices(request)
        try:
            async for found in call:
                yield convert_desk.news_from_pb(found, agency)
        except grpc.aio.AioRpcError as error:
            raise error_of_call(error) from error
        finally:
            call.cancel()

    def _stub(self) -> oversight_service_pb2_grpc.OversightServiceAsyncStub:
        return oversight_service_pb2_grpc.OversightServiceStub(self._channel())
