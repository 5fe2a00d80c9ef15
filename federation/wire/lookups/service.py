"""Look-ups: each RPC handed to one function of the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from federation.protocol.ids import AgencyId
from federation.v1 import lookup_service_pb2, lookup_service_pb2_grpc
from federation.wire.convert import act_from_pb
from federation.wire.identity import calling_agency
from federation.wire.lookups.convert import (
    case_answer_to_pb,
    case_question_from_pb,
    fetch_question_from_pb,
    fetch_result_to_pb,
    lookup_page_to_pb,
    lookup_query_from_pb,
    lookup_question_from_pb,
    search_result_to_pb,
)
from federation.wire.lookups.values import (
    CaseAnswer,
    CaseQuestion,
    FetchQuestion,
    FetchResult,
    LookupPage,
    LookupQuery,
    LookupQuestion,
    SearchResult,
)
from federation.wire.services.shape import verify_shape
from federation.wire.values import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupFunctions:
    """What the node does for each RPC: the agency that calls, who acts and why, the question.

    `close_case` is handed the number of the case. A refusal by policy is in the answer; anything else that fails is
    raised.
    """

    open_case: Callable[[AgencyId, Act, CaseQuestion], Awaitable[CaseAnswer]]
    close_case: Callable[[AgencyId, Act, str], Awaitable[CaseAnswer]]
    search: Callable[[AgencyId, Act, LookupQuestion], Awaitable[SearchResult]]
    fetch: Callable[[AgencyId, Act, FetchQuestion], Awaitable[FetchResult]]
    list: Callable[[AgencyId, Act, LookupQuery], Awaitable[LookupPage]]


class LookupService(lookup_service_pb2_grpc.LookupServiceServicer):
    """`federation.v1.LookupService` over the node's functions."""

    def __init__(self, functions: LookupFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def OpenCase(  # noqa: N802 - the name of the RPC
        self, request: lookup_service_pb2.OpenCaseRequest, context: grpc.ServicerContext
    ) -> lookup_service_pb2.OpenCaseResponse:
        """Opens a case."""
        del context
        verify_shape(request)
        question = case_question_from_pb(request)
        answer = await self._functions.open_case(calling_agency(), act_from_pb(request.act), question)
        return case_answer_to_pb(lookup_service_pb2.OpenCaseResponse, answer)

    async def CloseCase(  # noqa: N802 - the name of the RPC
        self, request: lookup_service_pb2.CloseCaseRequest, context: grpc.ServicerContext
    ) -> lookup_service_pb2.CloseCaseResponse:
        """Closes a case."""
        del context
        verify_shape(request)
        answer = await self._functions.close_case(calling_agency(), act_from_pb(request.act), request.case_id)
        return case_answer_to_pb(lookup_service_pb2.CloseCaseResponse, answer)

    async def Search(  # noqa: N802 - the name of the RPC
        self, request: lookup_service_pb2.SearchRequest, context: grpc.ServicerContext
    ) -> lookup_service_pb2.SearchResponse:
        """Asks whether provinces know a person."""
        del context
        verify_shape(request)
        question = lookup_question_from_pb(request)
        result = await self._functions.search(calling_agency(), act_from_pb(request.act), question)
        return search_result_to_pb(result)

    async def Fetch(  # noqa: N802 - the name of the RPC
        self, request: lookup_service_pb2.FetchRequest, context: grpc.ServicerContext
    ) -> lookup_service_pb2.FetchResponse:
        """Asks one province for named fields of one hit."""
        del context
        verify_shape(request)
        question = fetch_question_from_pb(request)
        result = await self._functions.fetch(calling_agency(), act_from_pb(request.act), question)
        return fetch_result_to_pb(result)

    async def ListLookups(  # noqa: N802 - the name of the RPC
        self, request: lookup_service_pb2.ListLookupsRequest, context: grpc.ServicerContext
    ) -> lookup_service_pb2.ListLookupsResponse:
        """Lists the agency's own look-ups."""
        del context
        verify_shape(request)
        query = lookup_query_from_pb(request)
        page = await self._functions.list(calling_agency(), act_from_pb(request.act), query)
        return lookup_page_to_pb(page)
