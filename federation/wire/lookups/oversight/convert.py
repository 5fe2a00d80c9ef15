"""Protobuf to values and back for the watch over look-ups. Rules kept: as `wire.lookups.convert`."""

from __future__ import annotations

from datetime import date

from federation.domain.lookup.break_glass import BreakGlass, Finding
from federation.domain.lookup.digest import Digest, DigestLine
from federation.domain.lookup.watch import Flag, FlagKind, RaisedFlag
from federation.protocol.errors import MalformedError
from federation.protocol.ids import AgencyId, parse_agency_id, parse_node_name
from federation.v1 import oversight_service_pb2
from federation.wire.convert import DEFAULT_PAGE, act_to_pb, read_word, time_from_pb, time_to_pb
from federation.wire.lookups.convert import OUTCOMES
from federation.wire.lookups.oversight.values import (
    Countersigned,
    CountersignQuestion,
    DigestQuestion,
    FlagPage,
    FlagQuery,
    NoticePage,
    NoticeState,
    PageQuery,
    ReviewQuestion,
)
from federation.wire.values import Act

MAX_OVERSIGHT_PAGE = 1000

_FINDINGS = {
    word: oversight_service_pb2.BreakGlassFinding.Value(f"BREAK_GLASS_FINDING_{word.name}") for word in Finding
}
_FLAG_KINDS = {word: oversight_service_pb2.FlagKind.Value(f"FLAG_KIND_{word.name}") for word in FlagKind}


def countersign_to_pb(act: Act, question: CountersignQuestion) -> oversight_service_pb2.CountersignCaseRequest:
    """The request to let a case reach further."""
    return oversight_service_pb2.CountersignCaseRequest(
        act=act_to_pb(act), case_id=question.case_id, signature=question.signature, bulk=question.bulk
    )


def countersign_from_pb(request: oversight_service_pb2.CountersignCaseRequest) -> CountersignQuestion:
    """The case that is to reach further, and the signature for it."""
    return CountersignQuestion(case_id=request.case_id, signature=request.signature, bulk=request.bulk)


def countersigned_to_pb(answer: Countersigned) -> oversight_service_pb2.CountersignCaseResponse:
    """The response with who signed."""
    return oversight_service_pb2.CountersignCaseResponse(
        case_id=answer.case_id, signers=answer.signers, complete=answer.complete
    )


def countersigned_from_pb(found: oversight_service_pb2.CountersignCaseResponse) -> Countersigned:
    """Who signed so far."""
    return Countersigned(case_id=found.case_id, signers=tuple(found.signers), complete=found.complete)


def notices_query_to_pb(act: Act, query: PageQuery) -> oversight_service_pb2.ListNoticesRequest:
    """The request for a page of notices."""
    return oversight_service_pb2.ListNoticesRequest(
        act=act_to_pb(act), page_size=query.page_size, page_token=query.page_token
    )


def notices_query_from_pb(request: oversight_service_pb2.ListNoticesRequest) -> PageQuery:
    """The page that is asked for, its size clamped."""
    return PageQuery(page_size=page_size_of(request.page_size), page_token=request.page_token)


def notice_page_to_pb(page: NoticePage) -> oversight_service_pb2.ListNoticesResponse:
    """The response that carries a page of notices."""
    return oversight_service_pb2.ListNoticesResponse(
        notices=[notice_to_pb(one) for one in page.notices], next_page_token=page.next_page_token
    )


def notice_page_from_pb(found: oversight_service_pb2.ListNoticesResponse, agency: AgencyId) -> NoticePage:
    """A page of that agency's notices.

    Raises:
        MalformedError: DATE, ENUM_VALUE.
    """
    return NoticePage(
        notices=tuple(notice_from_pb(one, agency) for one in found.notices), next_page_token=found.next_page_token
    )


def notice_to_pb(state: NoticeState) -> oversight_service_pb2.Notice:
    """A notice as it goes over the wire."""
    notice = state.notice
    return oversight_service_pb2.Notice(
        case_id=notice.case_id,
        officer=notice.officer,
        leader=notice.leader,
        open_time=time_to_pb(notice.opened),
        due_date=notice.due.isoformat(),
        overdue=state.overdue,
        finding=_FINDINGS[notice.finding],
        words=notice.words,
    )


def notice_from_pb(found: oversight_service_pb2.Notice, agency: AgencyId) -> NoticeState:
    """A notice of that agency.

    Raises:
        MalformedError: DATE, ENUM_VALUE.
    """
    notice = BreakGlass(
        case_id=found.case_id,
        agency=agency,
        officer=found.officer,
        leader=found.leader,
        opened=time_from_pb(found.open_time),
        due=day_from_pb(found.due_date, "due_date"),
        finding=read_word(_FINDINGS, found.finding),
        words=found.words,
    )
    return NoticeState(notice=notice, overdue=found.overdue)


def review_to_pb(act: Act, question: ReviewQuestion) -> oversight_service_pb2.ReviewBreakGlassRequest:
    """The request to close a notice."""
    return oversight_service_pb2.ReviewBreakGlassRequest(
        act=act_to_pb(act),
        case_id=question.case_id,
        finding=_FINDINGS[question.finding],
        words=question.words,
        signature=question.signature,
    )


def review_from_pb(request: oversight_service_pb2.ReviewBreakGlassRequest) -> ReviewQuestion:
    """What was found of a case without a letter."""
    return ReviewQuestion(
        case_id=request.case_id,
        finding=read_word(_FINDINGS, request.finding),
        words=request.words,
        signature=request.signature,
    )


def flag_query_to_pb(act: Act, query: FlagQuery) -> oversight_service_pb2.ListFlagsRequest:
    """The request for a page of flags."""
    return oversight_service_pb2.ListFlagsRequest(
        act=act_to_pb(act),
        officer=query.officer,
        kind=_FLAG_KINDS[query.kind] if query.kind is not None else None,
        case_id=query.case_id,
        page_size=query.page_size,
        page_token=query.page_token,
    )


def flag_query_from_pb(request: oversight_service_pb2.ListFlagsRequest) -> FlagQuery:
    """The flags that are asked for, the size of the page clamped."""
    return FlagQuery(
        officer=request.officer if request.HasField("officer") else None,
        kind=read_word(_FLAG_KINDS, request.kind) if request.HasField("kind") else None,
        case_id=request.case_id if request.HasField("case_id") else None,
        page_size=page_size_of(request.page_size),
        page_token=request.page_token,
    )


def flag_page_to_pb(page: FlagPage) -> oversight_service_pb2.ListFlagsResponse:
    """The response that carries a page of flags."""
    return oversight_service_pb2.ListFlagsResponse(
        flags=[flag_to_pb(one) for one in page.flags], next_page_token=page.next_page_token
    )


def flag_page_from_pb(found: oversight_service_pb2.ListFlagsResponse) -> FlagPage:
    """A page of flags.

    Raises:
        MalformedError: ENUM_VALUE, AGENCY_ID.
    """
    return FlagPage(flags=tuple(flag_from_pb(one) for one in found.flags), next_page_token=found.next_page_token)


def flag_to_pb(raised: RaisedFlag) -> oversight_service_pb2.Flag:
    """A flag as it goes over the wire."""
    return oversight_service_pb2.Flag(
        time=time_to_pb(raised.time),
        kind=_FLAG_KINDS[raised.flag.kind],
        agency=str(raised.agency),
        officer=raised.flag.officer,
        case_id=raised.flag.case_id,
        lookup_id=raised.flag.lookup_id,
        sentence_zh=raised.flag.sentence_zh,
        sentence_en=raised.flag.sentence_en,
    )


def flag_from_pb(found: oversight_service_pb2.Flag) -> RaisedFlag:
    """A flag.

    Raises:
        MalformedError: ENUM_VALUE, AGENCY_ID.
    """
    flag = Flag(
        kind=read_word(_FLAG_KINDS, found.kind),
        officer=found.officer,
        case_id=found.case_id,
        lookup_id=found.lookup_id,
        sentence_zh=found.sentence_zh,
        sentence_en=found.sentence_en,
    )
    return RaisedFlag(time=time_from_pb(found.time), agency=parse_agency_id(found.agency), flag=flag)


def digest_question_to_pb(act: Act, question: DigestQuestion) -> oversight_service_pb2.GetDailyDigestRequest:
    """The request for an officer's day."""
    return oversight_service_pb2.GetDailyDigestRequest(
        act=act_to_pb(act),
        officer=question.officer,
        day=question.day.isoformat() if question.day is not None else None,
        signature=question.signature,
    )


def digest_question_from_pb(request: oversight_service_pb2.GetDailyDigestRequest) -> DigestQuestion:
    """Whose day is asked for.

    Raises:
        MalformedError: DATE.
    """
    return DigestQuestion(
        officer=request.officer if request.HasField("officer") else None,
        day=day_from_pb(request.day, "day") if request.HasField("day") else None,
        signature=request.signature if request.HasField("signature") else None,
    )


def digest_to_pb(digest: Digest) -> oversight_service_pb2.GetDailyDigestResponse:
    """The response that carries an officer's day."""
    return oversight_service_pb2.GetDailyDigestResponse(
        officer=digest.officer, day=digest.day.isoformat(), lines=[_digest_line_to_pb(line) for line in digest.lines]
    )


def digest_from_pb(found: oversight_service_pb2.GetDailyDigestResponse) -> Digest:
    """An officer's day.

    Raises:
        MalformedError: DATE, ENUM_VALUE, NODE_NAME.
    """
    return Digest(
        officer=found.officer,
        day=day_from_pb(found.day, "day"),
        lines=tuple(_digest_line_from_pb(line) for line in found.lines),
    )


def page_size_of(asked: int) -> int:
    """The size of a page: 100 when none was named, at most 1,000."""
    return min(asked or DEFAULT_PAGE, MAX_OVERSIGHT_PAGE)


def day_from_pb(text: str, field: str) -> date:
    """A day of the wire.

    Raises:
        MalformedError: DATE.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("DATE", "expected a day such as 2026-01-01", field=field) from error


def _digest_line_to_pb(line: DigestLine) -> oversight_service_pb2.DigestLine:
    outcomes = [
        oversight_service_pb2.DigestOutcome(node=node, outcome=None if outcome is None else OUTCOMES[outcome])
        for node, outcome in line.outcomes.items()
    ]
    return oversight_service_pb2.DigestLine(
        lookup_id=line.lookup_id,
        time=time_to_pb(line.time),
        case_id=line.case_id,
        person=line.person,
        outcomes=outcomes,
    )


def _digest_line_from_pb(found: oversight_service_pb2.DigestLine) -> DigestLine:
    return DigestLine(
        lookup_id=found.lookup_id,
        time=time_from_pb(found.time),
        case_id=found.case_id,
        person=found.person,
        outcomes={
            parse_node_name(one.node): read_word(OUTCOMES, one.outcome) if one.HasField("outcome") else None
            for one in found.outcomes
        },
    )
