"""Protobuf to values and back for look-ups.

Rules kept: as `convert_permit`; what a selector holds is the domain's to judge (`asking.verify_selector`), for only the
node knows its realm. Source: DESIGN section 3 "Asking".
"""

from __future__ import annotations

from typing import TypeVar

from federation.domain.lookup.asking import Outcome, Selector, SelectorKind, Urgency
from federation.protocol.ids import parse_node_name
from federation.v1 import lookup_service_pb2
from federation.wire.convert import DEFAULT_PAGE, act_to_pb, optional_time_to_pb, read_word, time_from_pb, time_to_pb
from federation.wire.convert_permit import ruling_from_pb, ruling_to_pb
from federation.wire.lookups.values import (
    CaseAnswer,
    CaseQuestion,
    FetchQuestion,
    FetchResult,
    LookupLine,
    LookupPage,
    LookupQuery,
    LookupQuestion,
    ProvinceAnswer,
    SearchResult,
)
from federation.wire.retention.watermark import watermark_from_pb, watermark_to_pb
from federation.wire.values import Act

MAX_LOOKUPS_PAGE = 1000

_CaseResponse = TypeVar("_CaseResponse", lookup_service_pb2.OpenCaseResponse, lookup_service_pb2.CloseCaseResponse)
"""The responses that hold a decision and a case."""

_KINDS = {word: lookup_service_pb2.SelectorKind.Value(f"SELECTOR_KIND_{word.name}") for word in SelectorKind}
_URGENCIES = {word: lookup_service_pb2.Urgency.Value(f"URGENCY_{word.name}") for word in Urgency}
OUTCOMES = {word: lookup_service_pb2.LookupOutcome.Value(f"LOOKUP_OUTCOME_{word.name}") for word in Outcome}
"""Every outcome by its number on the wire."""


def case_question_to_pb(act: Act, question: CaseQuestion) -> lookup_service_pb2.OpenCaseRequest:
    """The request to open a case."""
    return lookup_service_pb2.OpenCaseRequest(
        act=act_to_pb(act),
        case_id=question.case_id,
        letter=question.letter,
        counties=sorted(question.counties),
        purposes=sorted(question.purposes),
        days=question.days,
        leader=question.leader,
    )


def case_question_from_pb(request: lookup_service_pb2.OpenCaseRequest) -> CaseQuestion:
    """The case that is to be opened."""
    return CaseQuestion(
        case_id=request.case_id,
        letter=request.letter,
        counties=frozenset(request.counties),
        purposes=frozenset(request.purposes),
        days=request.days,
        leader=request.leader,
    )


def case_answer_to_pb(response: type[_CaseResponse], answer: CaseAnswer) -> _CaseResponse:
    """The response of that RPC with the outcome of its step."""
    return response(
        decision=ruling_to_pb(answer.decision), case_id=answer.case_id, close_time=optional_time_to_pb(answer.closes)
    )


def case_answer_from_pb(found: _CaseResponse) -> CaseAnswer:
    """The outcome of opening or closing a case."""
    return CaseAnswer(
        decision=ruling_from_pb(found.decision),
        case_id=found.case_id,
        closes=time_from_pb(found.close_time) if found.HasField("close_time") else None,
    )


def lookup_question_to_pb(act: Act, question: LookupQuestion) -> lookup_service_pb2.SearchRequest:
    """The request for a search."""
    selector = lookup_service_pb2.Selector(kind=_KINDS[question.selector.kind], value=question.selector.value)
    return lookup_service_pb2.SearchRequest(
        act=act_to_pb(act),
        case_id=question.case_id,
        selector=selector,
        provinces=question.provinces,
        urgency=_URGENCIES[question.urgency],
    )


def lookup_question_from_pb(request: lookup_service_pb2.SearchRequest) -> LookupQuestion:
    """Whom to ask for. The realm of a number is the node's to check.

    Raises:
        MalformedError: NODE_NAME for a province that is none; ENUM_VALUE for an unknown word.
    """
    selector = Selector(kind=read_word(_KINDS, request.selector.kind), value=request.selector.value)
    return LookupQuestion(
        case_id=request.case_id,
        selector=selector,
        provinces=tuple(parse_node_name(name) for name in request.provinces),
        urgency=read_word(_URGENCIES, request.urgency),
    )


def search_result_to_pb(result: SearchResult) -> lookup_service_pb2.SearchResponse:
    """The response that carries what each province answered."""
    return lookup_service_pb2.SearchResponse(
        lookup_id=result.lookup_id, answers=[_province_answer_to_pb(answer) for answer in result.answers]
    )


def search_result_from_pb(found: lookup_service_pb2.SearchResponse) -> SearchResult:
    """What each province answered.

    Raises:
        MalformedError: ENUM_VALUE for an outcome that this version does not know.
    """
    return SearchResult(
        lookup_id=found.lookup_id, answers=tuple(_province_answer_from_pb(answer) for answer in found.answers)
    )


def _province_answer_to_pb(answer: ProvinceAnswer) -> lookup_service_pb2.ProvinceAnswer:
    return lookup_service_pb2.ProvinceAnswer(
        node=answer.node,
        outcome=OUTCOMES[answer.outcome],
        handle=answer.handle,
        expire_time=optional_time_to_pb(answer.expires),
        policies=answer.policies,
        title_zh=answer.title_zh,
        title_en=answer.title_en,
        explanation_zh=answer.explanation_zh,
        explanation_en=answer.explanation_en,
    )


def _province_answer_from_pb(found: lookup_service_pb2.ProvinceAnswer) -> ProvinceAnswer:
    return ProvinceAnswer(
        node=parse_node_name(found.node),
        outcome=read_word(OUTCOMES, found.outcome),
        handle=found.handle if found.HasField("handle") else None,
        expires=time_from_pb(found.expire_time) if found.HasField("expire_time") else None,
        policies=tuple(found.policies),
        title_zh=found.title_zh,
        title_en=found.title_en,
        explanation_zh=found.explanation_zh,
        explanation_en=found.explanation_en,
    )


def fetch_question_to_pb(act: Act, question: FetchQuestion) -> lookup_service_pb2.FetchRequest:
    """The request for fields of one hit."""
    return lookup_service_pb2.FetchRequest(
        act=act_to_pb(act),
        case_id=question.case_id,
        node=question.node,
        handle=question.handle,
        fields=sorted(question.fields),
        officer_key=question.officer_key,
        officer_signature=question.officer_signature,
    )


def fetch_question_from_pb(request: lookup_service_pb2.FetchRequest) -> FetchQuestion:
    """Which fields of which hit are wanted.

    Raises:
        MalformedError: NODE_NAME for a province that is none.
    """
    return FetchQuestion(
        case_id=request.case_id,
        node=parse_node_name(request.node),
        handle=request.handle,
        fields=frozenset(request.fields),
        officer_key=request.officer_key,
        officer_signature=request.officer_signature,
    )


def fetch_result_to_pb(result: FetchResult) -> lookup_service_pb2.FetchResponse:
    """The response that carries the released fields."""
    return lookup_service_pb2.FetchResponse(
        decision=None if result.decision is None else ruling_to_pb(result.decision),
        outcome=OUTCOMES[result.outcome],
        fields=result.fields,
        expire_time=optional_time_to_pb(result.expires),
        policies=result.policies,
        title_zh=result.title_zh,
        title_en=result.title_en,
        watermark=None if result.watermark is None else watermark_to_pb(result.watermark),
    )


def fetch_result_from_pb(found: lookup_service_pb2.FetchResponse) -> FetchResult:
    """The released fields of one hit.

    Raises:
        MalformedError: ENUM_VALUE for an outcome that this version does not know.
    """
    return FetchResult(
        decision=ruling_from_pb(found.decision) if found.HasField("decision") else None,
        outcome=read_word(OUTCOMES, found.outcome),
        fields=dict(found.fields),
        expires=time_from_pb(found.expire_time) if found.HasField("expire_time") else None,
        policies=tuple(found.policies),
        title_zh=found.title_zh,
        title_en=found.title_en,
        watermark=watermark_from_pb(found.watermark) if found.HasField("watermark") else None,
    )


def lookup_query_to_pb(act: Act, query: LookupQuery) -> lookup_service_pb2.ListLookupsRequest:
    """The request for a page of look-ups."""
    return lookup_service_pb2.ListLookupsRequest(
        act=act_to_pb(act),
        case_id=query.case_id,
        officer=query.officer,
        page_size=query.page_size,
        page_token=query.page_token,
    )


def lookup_query_from_pb(request: lookup_service_pb2.ListLookupsRequest) -> LookupQuery:
    """The page of look-ups that is asked for, its size clamped."""
    return LookupQuery(
        case_id=request.case_id if request.HasField("case_id") else None,
        officer=request.officer if request.HasField("officer") else None,
        page_size=min(request.page_size or DEFAULT_PAGE, MAX_LOOKUPS_PAGE),
        page_token=request.page_token,
    )


def lookup_page_to_pb(page: LookupPage) -> lookup_service_pb2.ListLookupsResponse:
    """The response that carries a page of look-ups."""
    return lookup_service_pb2.ListLookupsResponse(
        lines=[_line_to_pb(line) for line in page.lines], next_page_token=page.next_page_token
    )


def lookup_page_from_pb(found: lookup_service_pb2.ListLookupsResponse) -> LookupPage:
    """A page of look-ups.

    Raises:
        MalformedError: ENUM_VALUE for an outcome that this version does not know.
    """
    return LookupPage(lines=tuple(_line_from_pb(line) for line in found.lines), next_page_token=found.next_page_token)


def _line_to_pb(line: LookupLine) -> lookup_service_pb2.LookupLine:
    return lookup_service_pb2.LookupLine(
        lookup_id=line.lookup_id,
        time=time_to_pb(line.time),
        officer=line.officer,
        case_id=line.case_id,
        node=line.node,
        step=line.step,
        outcome=None if line.outcome is None else OUTCOMES[line.outcome],
    )


def _line_from_pb(found: lookup_service_pb2.LookupLine) -> LookupLine:
    return LookupLine(
        lookup_id=found.lookup_id,
        time=time_from_pb(found.time),
        officer=found.officer,
        case_id=found.case_id,
        node=parse_node_name(found.node),
        step=found.step,
        outcome=read_word(OUTCOMES, found.outcome) if found.HasField("outcome") else None,
    )
