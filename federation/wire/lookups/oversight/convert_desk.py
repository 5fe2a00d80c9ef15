"""Protobuf to values and back for the review sample and for what a leader's desk is told. As `wire.lookups.convert`."""

from __future__ import annotations

from federation.domain.lookup.reading import KeptReading, ReadingKind
from federation.domain.lookup.review import SampleFinding, SampleItem, SampleReview
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.v1 import oversight_service_pb2
from federation.wire.convert import act_to_pb, read_word, time_from_pb, time_to_pb
from federation.wire.lookups.oversight.convert import (
    day_from_pb,
    flag_from_pb,
    flag_to_pb,
    notice_from_pb,
    notice_to_pb,
    page_size_of,
)
from federation.wire.lookups.oversight.values import (
    News,
    ReadingPage,
    ReadingQuery,
    SamplePage,
    SampleQuery,
    SampleReviewQuestion,
)
from federation.wire.values import Act

_READING_KINDS = {word: oversight_service_pb2.ReadingKind.Value(f"READING_KIND_{word.name}") for word in ReadingKind}
_FINDINGS = {word: oversight_service_pb2.SampleFinding.Value(f"SAMPLE_FINDING_{word.name}") for word in SampleFinding}


def sample_query_to_pb(act: Act, query: SampleQuery) -> oversight_service_pb2.ListSampleRequest:
    """The request for a page of the sample."""
    return oversight_service_pb2.ListSampleRequest(
        act=act_to_pb(act),
        with_reviewed=query.with_reviewed,
        page_size=query.page_size,
        page_token=query.page_token,
    )


def sample_query_from_pb(request: oversight_service_pb2.ListSampleRequest) -> SampleQuery:
    """The page that is asked for, its size clamped."""
    return SampleQuery(
        with_reviewed=request.with_reviewed,
        page_size=page_size_of(request.page_size),
        page_token=request.page_token,
    )


def sample_page_to_pb(page: SamplePage) -> oversight_service_pb2.ListSampleResponse:
    """The response that carries a page of the sample."""
    return oversight_service_pb2.ListSampleResponse(
        items=[sample_item_to_pb(item) for item in page.items], next_page_token=page.next_page_token
    )


def sample_page_from_pb(found: oversight_service_pb2.ListSampleResponse) -> SamplePage:
    """A page of the sample.

    Raises:
        MalformedError: DATE, ENUM_VALUE.
    """
    return SamplePage(
        items=tuple(sample_item_from_pb(item) for item in found.items), next_page_token=found.next_page_token
    )


def reading_query_to_pb(act: Act, query: ReadingQuery) -> oversight_service_pb2.ListReadingsRequest:
    """The request for a page of readings."""
    return oversight_service_pb2.ListReadingsRequest(
        act=act_to_pb(act),
        case_id=query.case_id,
        officer=query.officer,
        signature=query.signature,
        page_size=query.page_size,
        page_token=query.page_token,
    )


def reading_query_from_pb(request: oversight_service_pb2.ListReadingsRequest) -> ReadingQuery:
    """The readings that are asked for, the size of the page clamped."""
    return ReadingQuery(
        case_id=request.case_id if request.HasField("case_id") else None,
        officer=request.officer if request.HasField("officer") else None,
        signature=request.signature if request.HasField("signature") else None,
        page_size=page_size_of(request.page_size),
        page_token=request.page_token,
    )


def reading_page_to_pb(page: ReadingPage) -> oversight_service_pb2.ListReadingsResponse:
    """The response that carries a page of readings."""
    return oversight_service_pb2.ListReadingsResponse(
        readings=[_reading_to_pb(reading) for reading in page.readings], next_page_token=page.next_page_token
    )


def reading_page_from_pb(found: oversight_service_pb2.ListReadingsResponse) -> ReadingPage:
    """A page of readings.

    Raises:
        MalformedError: ENUM_VALUE, AGENCY_ID.
    """
    return ReadingPage(
        readings=tuple(_reading_from_pb(reading) for reading in found.readings), next_page_token=found.next_page_token
    )


def _reading_to_pb(reading: KeptReading) -> oversight_service_pb2.KeptReading:
    return oversight_service_pb2.KeptReading(
        time=time_to_pb(reading.time),
        agency=str(reading.agency),
        officer=reading.officer,
        kind=_READING_KINDS[reading.kind],
        about=reading.about,
        lookup_id=reading.lookup_id,
        case_id=reading.case_id,
        node=reading.node,
        fields=sorted(reading.fields),
    )


def _reading_from_pb(found: oversight_service_pb2.KeptReading) -> KeptReading:
    return KeptReading(
        time=time_from_pb(found.time),
        agency=parse_agency_id(found.agency),
        officer=found.officer,
        kind=read_word(_READING_KINDS, found.kind),
        about=found.about,
        lookup_id=found.lookup_id,
        case_id=found.case_id,
        node=found.node,
        fields=frozenset(found.fields),
    )


def sample_item_to_pb(item: SampleItem) -> oversight_service_pb2.SampleItem:
    """A look-up of the sample as it goes over the wire."""
    return oversight_service_pb2.SampleItem(
        lookup_id=item.lookup_id,
        case_id=item.case_id,
        officer=item.officer,
        time=time_to_pb(item.time),
        purpose=item.purpose,
        person=item.person,
        due_date=item.due.isoformat(),
        overdue=item.overdue,
        review=_review_to_pb(item.review) if item.review is not None else None,
    )


def sample_item_from_pb(found: oversight_service_pb2.SampleItem) -> SampleItem:
    """A look-up of the sample.

    Raises:
        MalformedError: DATE, ENUM_VALUE.
    """
    return SampleItem(
        lookup_id=found.lookup_id,
        case_id=found.case_id,
        officer=found.officer,
        time=time_from_pb(found.time),
        purpose=found.purpose,
        person=found.person,
        due=day_from_pb(found.due_date, "due_date"),
        overdue=found.overdue,
        review=_review_from_pb(found.lookup_id, found.review) if found.HasField("review") else None,
    )


def sample_review_to_pb(act: Act, question: SampleReviewQuestion) -> oversight_service_pb2.RecordReviewRequest:
    """The request to review a look-up."""
    return oversight_service_pb2.RecordReviewRequest(
        act=act_to_pb(act),
        lookup_id=question.lookup_id,
        finding=_FINDINGS[question.finding],
        words=question.words,
        signature=question.signature,
    )


def sample_review_from_pb(request: oversight_service_pb2.RecordReviewRequest) -> SampleReviewQuestion:
    """What was found of a look-up."""
    return SampleReviewQuestion(
        lookup_id=request.lookup_id,
        finding=read_word(_FINDINGS, request.finding),
        words=request.words,
        signature=request.signature,
    )


def news_to_pb(news: News) -> oversight_service_pb2.WatchNoticesResponse:
    """One piece of news as it goes over the wire."""
    return oversight_service_pb2.WatchNoticesResponse(
        token=news.token,
        notice=notice_to_pb(news.notice) if news.notice is not None else None,
        flag=flag_to_pb(news.flag) if news.flag is not None else None,
    )


def news_from_pb(found: oversight_service_pb2.WatchNoticesResponse, agency: AgencyId) -> News:
    """One piece of news for that agency.

    Raises:
        MalformedError: NEWS_EMPTY when it is none; DATE, ENUM_VALUE, AGENCY_ID.
    """
    match found.WhichOneof("news"):
        case "notice":
            return News(token=found.token, notice=notice_from_pb(found.notice, agency))
        case "flag":
            return News(token=found.token, flag=flag_from_pb(found.flag))
        case _:
            raise MalformedError("NEWS_EMPTY", "expected a notice or a flag")


def _review_to_pb(review: SampleReview) -> oversight_service_pb2.SampleReview:
    return oversight_service_pb2.SampleReview(
        reviewer=review.reviewer,
        time=time_to_pb(review.time),
        finding=_FINDINGS[review.finding],
        words=review.words,
    )


def _review_from_pb(lookup_id: str, found: oversight_service_pb2.SampleReview) -> SampleReview:
    return SampleReview(
        lookup_id=lookup_id,
        reviewer=found.reviewer,
        time=time_from_pb(found.time),
        finding=read_word(_FINDINGS, found.finding),
        words=found.words,
    )
