"""The person's report: one RPC, handed to one function of the node, and its values to protobuf and back.

Rules kept: as `convert_permit`; the realm of the number is the node's to check. The words of a purpose go along for
clients of other make; ours reads them from the domain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date

import grpc

from federation.domain.lookup.report import ReportLine, purpose_words
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, parse_agency_id, parse_node_name
from federation.protocol.leaf import Verdict
from federation.v1 import subject_service_pb2, subject_service_pb2_grpc
from federation.wire.convert import DEFAULT_PAGE, act_from_pb, act_to_pb, read_word, time_from_pb, time_to_pb
from federation.wire.convert_permit import ruling_from_pb, ruling_to_pb
from federation.wire.identity import calling_agency
from federation.wire.lookups.convert import OUTCOMES
from federation.wire.lookups.values import ProvinceReport, ReportPage, ReportQuestion
from federation.wire.services.shape import verify_shape
from federation.wire.values import Act

MAX_REPORT_PAGE = 1000

GetReport = Callable[[AgencyId, Act, ReportQuestion], Awaitable[ReportPage]]


class SubjectService(subject_service_pb2_grpc.SubjectServiceServicer):
    """`federation.v1.SubjectService` over one function."""

    def __init__(self, *, get_report: GetReport) -> None:
        """Keeps the function that asks every province."""
        self._get_report = get_report

    async def GetReport(  # noqa: N802 - the name of the RPC
        self, request: subject_service_pb2.GetReportRequest, context: grpc.ServicerContext
    ) -> subject_service_pb2.GetReportResponse:
        """Tells a person who asked about them."""
        del context
        verify_shape(request)
        question = report_question_from_pb(request)
        return report_page_to_pb(await self._get_report(calling_agency(), act_from_pb(request.act), question))


def report_question_to_pb(act: Act, question: ReportQuestion) -> subject_service_pb2.GetReportRequest:
    """The request for a page of a person's report."""
    return subject_service_pb2.GetReportRequest(
        act=act_to_pb(act),
        citizen_number=question.citizen_number,
        identity_checked=question.identity_checked,
        page_size=question.page_size,
        page_token=question.page_token,
    )


def report_question_from_pb(request: subject_service_pb2.GetReportRequest) -> ReportQuestion:
    """Whose report is asked for, the size of its page clamped."""
    return ReportQuestion(
        citizen_number=request.citizen_number,
        identity_checked=request.identity_checked,
        page_size=min(request.page_size or DEFAULT_PAGE, MAX_REPORT_PAGE),
        page_token=request.page_token,
    )


def report_page_to_pb(page: ReportPage) -> subject_service_pb2.GetReportResponse:
    """The response that carries a page of a person's report."""
    return subject_service_pb2.GetReportResponse(
        decision=ruling_to_pb(page.decision),
        lines=[_line_to_pb(line) for line in page.lines],
        withheld_count=page.withheld_count,
        next_shown_date=None if page.next_shown is None else page.next_shown.isoformat(),
        provinces=[
            subject_service_pb2.ProvinceReport(
                node=province.node,
                outcome=OUTCOMES[province.outcome],
                withheld_count=province.withheld_count,
                older_count=province.older_count,
            )
            for province in page.provinces
        ],
        next_page_token=page.next_page_token,
    )


def report_page_from_pb(found: subject_service_pb2.GetReportResponse) -> ReportPage:
    """A page of a person's report.

    Raises:
        MalformedError: DATE for a day of another form; ENUM_VALUE, NODE_NAME and AGENCY_ID for an unknown word.
    """
    return ReportPage(
        decision=ruling_from_pb(found.decision),
        lines=tuple(_line_from_pb(line) for line in found.lines),
        withheld_count=found.withheld_count,
        next_shown=_day_from_pb(found.next_shown_date) if found.HasField("next_shown_date") else None,
        provinces=tuple(
            ProvinceReport(
                node=parse_node_name(province.node),
                outcome=read_word(OUTCOMES, province.outcome),
                withheld_count=province.withheld_count,
                older_count=province.older_count,
            )
            for province in found.provinces
        ),
        next_page_token=found.next_page_token,
    )


def _line_to_pb(line: ReportLine) -> subject_service_pb2.ReportLine:
    purpose_zh, purpose_en = purpose_words(line.purpose)
    return subject_service_pb2.ReportLine(
        time=time_to_pb(line.time),
        given_by=line.given_by,
        asker=str(line.asker),
        purpose=line.purpose,
        purpose_zh=purpose_zh,
        purpose_en=purpose_en,
        function=line.function,
        basis=line.basis,
        step=line.step,
        refused=line.verdict is Verdict.REFUSED,
        fields=sorted(line.fields),
    )


def _line_from_pb(found: subject_service_pb2.ReportLine) -> ReportLine:
    return ReportLine(
        time=time_from_pb(found.time),
        given_by=parse_node_name(found.given_by),
        asker=parse_agency_id(found.asker),
        purpose=found.purpose,
        function=found.function,
        basis=found.basis,
        step=found.step,
        verdict=Verdict.REFUSED if found.refused else Verdict.ALLOWED,
        fields=frozenset(found.fields),
    )


def _day_from_pb(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("DATE", "expected a day such as 2026-01-01", field="next_shown_date") from error
