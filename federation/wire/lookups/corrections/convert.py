"""Corrections to protobuf and back: as `convert_permit`, the one place that touches these pb fields.

Rules kept: a deadline keeps the rule and the calendar that made it; what the owner has not said stays absent.
"""

from __future__ import annotations

from datetime import date
from typing import TypeAlias, TypeVar

from federation.domain.permit import parse_permit_urn
from federation.domain.rules.clock import Deadline, Verified
from federation.protocol.errors import MalformedError
from federation.protocol.ids import parse_agency_id, parse_node_name
from federation.v1 import correction_service_pb2
from federation.wire.convert import (
    DEFAULT_PAGE,
    act_to_pb,
    optional_time_to_pb,
    read_word,
    time_from_pb,
    time_to_pb,
)
from federation.wire.convert_permit import ruling_from_pb, ruling_to_pb
from federation.wire.lookups.corrections.values import (
    CorrectionFiling,
    CorrectionLine,
    CorrectionOutcome,
    CorrectionPage,
    CorrectionQuery,
    CorrectionStanding,
    CorrectionStep,
    NoticeLine,
)
from federation.wire.values import Act

MAX_CORRECTIONS_PAGE = 1000

_STANDINGS = {
    word: correction_service_pb2.CorrectionStanding.Value(f"CORRECTION_STANDING_{word.name}")
    for word in CorrectionStanding
}
_VERIFIED = {word: word.value for word in Verified}

_Response = TypeVar(
    "_Response",
    correction_service_pb2.FileCorrectionResponse,
    correction_service_pb2.GrantCorrectionResponse,
    correction_service_pb2.DenyCorrectionResponse,
    correction_service_pb2.ExtendCorrectionResponse,
)
_StepRequest: TypeAlias = (
    correction_service_pb2.GrantCorrectionRequest
    | correction_service_pb2.DenyCorrectionRequest
    | correction_service_pb2.ExtendCorrectionRequest
)


def filing_to_pb(act: Act, filing: CorrectionFiling) -> correction_service_pb2.FileCorrectionRequest:
    """The request that files a correction."""
    return correction_service_pb2.FileCorrectionRequest(
        act=act_to_pb(act),
        urn=filing.urn,
        field=filing.field,
        value=filing.value,
        words=filing.words,
        papers=filing.papers,
        citizen_number=filing.citizen_number,
        identity_checked=filing.identity_checked,
    )


def filing_from_pb(request: correction_service_pb2.FileCorrectionRequest) -> CorrectionFiling:
    """What is filed."""
    return CorrectionFiling(
        urn=parse_permit_urn(request.urn),
        field=request.field,
        value=request.value,
        words=request.words,
        papers=tuple(request.papers),
        citizen_number=request.citizen_number,
        identity_checked=request.identity_checked,
    )


def step_from_pb(request: _StepRequest) -> CorrectionStep:
    """A step of the owner's desk."""
    days = request.days if isinstance(request, correction_service_pb2.ExtendCorrectionRequest) else 0
    return CorrectionStep(correction_id=request.correction_id, words=request.words, days=days)


def query_to_pb(act: Act, query: CorrectionQuery) -> correction_service_pb2.ListCorrectionsRequest:
    """The request for a page of corrections."""
    return correction_service_pb2.ListCorrectionsRequest(
        act=act_to_pb(act),
        everything=query.everything,
        citizen_number=query.citizen_number or None,
        page_size=query.page_size,
        page_token=query.page_token,
    )


def query_from_pb(request: correction_service_pb2.ListCorrectionsRequest) -> CorrectionQuery:
    """Which corrections to list, the size of the page clamped."""
    return CorrectionQuery(
        everything=request.everything,
        citizen_number=request.citizen_number,
        page_size=min(request.page_size or DEFAULT_PAGE, MAX_CORRECTIONS_PAGE),
        page_token=request.page_token,
    )


def outcome_to_pb(response: type[_Response], outcome: CorrectionOutcome) -> _Response:
    """The response that carries what came of a step."""
    line = None if outcome.line is None else _line_to_pb(outcome.line)
    return response(decision=ruling_to_pb(outcome.decision), correction=line)


def outcome_from_pb(found: _Response) -> CorrectionOutcome:
    """What came of a step.

    Raises:
        MalformedError: DATE, ENUM_VALUE, NODE_NAME, AGENCY_ID and PERMIT_URN for a field of another form.
    """
    line = _line_from_pb(found.correction) if found.HasField("correction") else None
    return CorrectionOutcome(decision=ruling_from_pb(found.decision), line=line)


def page_to_pb(page: CorrectionPage) -> correction_service_pb2.ListCorrectionsResponse:
    """The response that carries a page of corrections."""
    return correction_service_pb2.ListCorrectionsResponse(
        decision=ruling_to_pb(page.decision),
        corrections=[_line_to_pb(line) for line in page.lines],
        notices=[
            correction_service_pb2.CorrectionNotice(
                time=time_to_pb(notice.time),
                owner=notice.owner,
                urn=notice.urn,
                version=notice.version,
                field=notice.field,
                case_id=notice.case_id,
            )
            for notice in page.notices
        ],
        next_page_token=page.next_page_token,
    )


def page_from_pb(found: correction_service_pb2.ListCorrectionsResponse) -> CorrectionPage:
    """A page of corrections.

    Raises:
        MalformedError: as `outcome_from_pb`.
    """
    return CorrectionPage(
        decision=ruling_from_pb(found.decision),
        lines=tuple(_line_from_pb(line) for line in found.corrections),
        notices=tuple(
            NoticeLine(
                time=time_from_pb(notice.time),
                owner=parse_node_name(notice.owner),
                urn=parse_permit_urn(notice.urn) if notice.HasField("urn") else None,
                version=notice.version,
                field=notice.field,
                case_id=notice.case_id,
            )
            for notice in found.notices
        ),
        next_page_token=found.next_page_token,
    )


def _line_to_pb(line: CorrectionLine) -> correction_service_pb2.Correction:
    return correction_service_pb2.Correction(
        correction_id=line.correction_id,
        urn=line.urn,
        field=line.field,
        value=line.value,
        words=line.words,
        papers=line.papers,
        citizen_number=line.citizen_number,
        filed_by=str(line.filed_by),
        filed_time=time_to_pb(line.filed_time),
        owner=line.owner,
        standing=_STANDINGS[line.standing],
        to_decide=line.to_decide,
        overdue=line.overdue,
        deadline=None if line.deadline is None else _deadline_to_pb(line.deadline),
        answer=line.answer,
        answer_time=optional_time_to_pb(line.answer_time),
        permit_version=line.permit_version,
        policies=line.policies,
        title_zh=line.title_zh,
        title_en=line.title_en,
    )


def _line_from_pb(found: correction_service_pb2.Correction) -> CorrectionLine:
    return CorrectionLine(
        correction_id=found.correction_id,
        urn=parse_permit_urn(found.urn),
        field=found.field,
        value=found.value,
        words=found.words,
        papers=tuple(found.papers),
        citizen_number=found.citizen_number,
        filed_by=parse_agency_id(found.filed_by),
        filed_time=time_from_pb(found.filed_time),
        owner=parse_node_name(found.owner),
        standing=read_word(_STANDINGS, found.standing),
        to_decide=found.to_decide,
        overdue=found.overdue,
        deadline=_deadline_from_pb(found.deadline) if found.HasField("deadline") else None,
        answer=found.answer,
        answer_time=time_from_pb(found.answer_time) if found.HasField("answer_time") else None,
        permit_version=found.permit_version,
        policies=tuple(found.policies),
        title_zh=found.title_zh,
        title_en=found.title_en,
    )


def _deadline_to_pb(deadline: Deadline) -> correction_service_pb2.Deadline:
    return correction_service_pb2.Deadline(
        clock_id=deadline.clock_id,
        rule_version=deadline.rule_version,
        calendar_version=deadline.calendar_version,
        start_time=time_to_pb(deadline.started),
        due_time=time_to_pb(deadline.due),
        last_date=None if deadline.last_day is None else deadline.last_day.isoformat(),
        extended_by=deadline.extended_by,
        official=deadline.official,
        verified=deadline.verified.value,
    )


def _deadline_from_pb(found: correction_service_pb2.Deadline) -> Deadline:
    return Deadline(
        clock_id=found.clock_id,
        rule_version=found.rule_version,
        calendar_version=found.calendar_version,
        started=time_from_pb(found.start_time),
        due=time_from_pb(found.due_time),
        last_day=_day_from_pb(found.last_date) if found.HasField("last_date") else None,
        extended_by=found.extended_by,
        official=found.official,
        verified=read_word(_VERIFIED, found.verified),
    )


def _day_from_pb(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("DATE", "expected a day such as 2026-01-01", field="last_date") from error
