"""What an agency's client calls about look-ups and a person's report, over its one channel."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from federation.v1 import lookup_service_pb2, lookup_service_pb2_grpc, subject_service_pb2_grpc
from federation.wire import convert
from federation.wire.lookups import convert as convert_lookup
from federation.wire.lookups import subject
from federation.wire.lookups.values import (
    CaseAnswer,
    CaseQuestion,
    FetchQuestion,
    FetchResult,
    LookupPage,
    LookupQuery,
    LookupQuestion,
    ReportPage,
    ReportQuestion,
    SearchResult,
)
from federation.wire.status import finished
from federation.wire.values import Act


class LookupCalls:
    """`federation.v1.LookupService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def open_case(self, act: Act, question: CaseQuestion) -> CaseAnswer:
        """Opens a case."""
        request = convert_lookup.case_question_to_pb(act, question)
        call = self._stub().OpenCase(request, timeout=self._timeout_seconds)
        return convert_lookup.case_answer_from_pb(await finished(call))

    async def close_case(self, act: Act, case_id: str) -> CaseAnswer:
        """Closes a case."""
        request = lookup_service_pb2.CloseCaseRequest(act=convert.act_to_pb(act), case_id=case_id)
        call = self._stub().CloseCase(request, timeout=self._timeout_seconds)
        return convert_lookup.case_answer_from_pb(await finished(call))

    async def search(self, act: Act, question: LookupQuestion) -> SearchResult:
        """Asks provinces whether they know a person."""
        request = convert_lookup.lookup_question_to_pb(act, question)
        call = self._stub().Search(request, timeout=self._timeout_seconds)
        return convert_lookup.search_result_from_pb(await finished(call))

    async def fetch(self, act: Act, question: FetchQuestion) -> FetchResult:
        """Asks one province for named fields of one hit."""
        request = convert_lookup.fetch_question_to_pb(act, question)
        call = self._stub().Fetch(request, timeout=self._timeout_seconds)
        return convert_lookup.fetch_result_from_pb(await finished(call))

    async def list_lookups(self, act: Act, query: LookupQuery) -> LookupPage:
        """Reads one page of the agency's own look-ups."""
        request = convert_lookup.lookup_query_to_pb(act, query)
        call = self._stub().ListLookups(request, timeout=self._timeout_seconds)
        return convert_lookup.lookup_page_from_pb(await finished(call))

    def _stub(self) -> lookup_service_pb2_grpc.LookupServiceAsyncStub:
        return lookup_service_pb2_grpc.LookupServiceStub(self._channel())


class SubjectCalls:
    """`federation.v1.SubjectService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def get_report(self, act: Act, question: ReportQuestion) -> ReportPage:
        """Asks every province who asked about a person; the first page waits for their answers."""
        request = subject.report_question_to_pb(act, question)
        call = subject_service_pb2_grpc.SubjectServiceStub(self._channel()).GetReport(
            request, timeout=self._timeout_seconds
        )
        return subject.report_page_from_pb(await finished(call))
