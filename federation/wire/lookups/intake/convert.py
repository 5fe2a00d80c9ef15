"""The intake desk: protobuf to values and back.

Rules kept: as `convert_permit`; a person is masked before it comes here, and a sentence is the domain's to judge.
"""

from __future__ import annotations

from typing import TypeVar

from federation.domain.lookup.asking import Urgency
from federation.domain.lookup.intake import IntakeStatus
from federation.domain.lookup.refusal import RefusalReason
from federation.protocol.ids import parse_agency_id, parse_node_name
from federation.v1 import intake_service_pb2, lookup_service_pb2
from federation.wire.convert import DEFAULT_PAGE, act_to_pb, optional_time_to_pb, read_word, time_from_pb, time_to_pb
from federation.wire.convert_permit import ruling_from_pb, ruling_to_pb
from federation.wire.lookups.intake.values import (
    IntakeAnswer,
    IntakeLine,
    IntakePage,
    IntakeQuery,
    RefuseQuestion,
    ReleaseQuestion,
    SecondRequest,
)
from federation.wire.values import Act

MAX_INTAKE_PAGE = 1000

_Answer = TypeVar("_Answer", intake_service_pb2.ReleaseIntakeResponse, intake_service_pb2.RefuseIntakeResponse)
"""The responses that hold a decision and how a request ended."""

_STATUSES = {word: intake_service_pb2.IntakeStatus.Value(f"INTAKE_STATUS_{word.name}") for word in IntakeStatus}
_REASONS = {word: intake_service_pb2.RefusalReason.Value(f"REFUSAL_REASON_{word.name}") for word in RefusalReason}
_URGENCIES = {word: lookup_service_pb2.Urgency.Value(f"URGENCY_{word.name}") for word in Urgency}


def intake_query_to_pb(act: Act, query: IntakeQuery) -> intake_service_pb2.ListIntakeRequest:
    """The request for a page of the inbox."""
    return intake_service_pb2.ListIntakeRequest(
        act=act_to_pb(act), ended=query.ended, page_size=query.page_size, page_token=query.page_token
    )


def intake_query_from_pb(request: intake_service_pb2.ListIntakeRequest) -> IntakeQuery:
    """The page of the inbox that is asked for, its size clamped."""
    return IntakeQuery(
        ended=request.ended,
        page_size=min(request.page_size or DEFAULT_PAGE, MAX_INTAKE_PAGE),
        page_token=request.page_token,
    )


def intake_page_to_pb(page: IntakePage) -> intake_service_pb2.ListIntakeResponse:
    """The response that carries a page of the inbox."""
    return intake_service_pb2.ListIntakeResponse(
        lines=[_line_to_pb(line) for line in page.lines],
        next_page_token=page.next_page_token,
        read_time=time_to_pb(page.now),
    )


def intake_page_from_pb(found: intake_service_pb2.ListIntakeResponse) -> IntakePage:
    """A page of the inbox.

    Raises:
        MalformedError: ENUM_VALUE for a word that this version does not know; AGENCY_ID.
    """
    return IntakePage(
        now=time_from_pb(found.read_time),
        lines=tuple(_line_from_pb(line) for line in found.lines),
        next_page_token=found.next_page_token,
    )


def release_question_to_pb(act: Act, question: ReleaseQuestion) -> intake_service_pb2.ReleaseIntakeRequest:
    """The request to answer."""
    return intake_service_pb2.ReleaseIntakeRequest(
        act=act_to_pb(act),
        request_id=question.request_id,
        fields=sorted(question.fields),
        signature=question.signature,
    )


def release_question_from_pb(request: intake_service_pb2.ReleaseIntakeRequest) -> ReleaseQuestion:
    """What is to be answered."""
    return ReleaseQuestion(
        request_id=request.request_id,
        fields=frozenset(request.fields),
        signature=request.signature if request.HasField("signature") else None,
    )


def refuse_question_to_pb(act: Act, question: RefuseQuestion) -> intake_service_pb2.RefuseIntakeRequest:
    """The request to refuse."""
    return intake_service_pb2.RefuseIntakeRequest(
        act=act_to_pb(act),
        request_id=question.request_id,
        reason=_REASONS[question.reason],
        words=question.words,
        signature=question.signature,
    )


def refuse_question_from_pb(request: intake_service_pb2.RefuseIntakeRequest) -> RefuseQuestion:
    """What is to be refused.

    Raises:
        MalformedError: ENUM_VALUE for a reason that this version does not know.
    """
    return RefuseQuestion(
        request_id=request.request_id,
        reason=read_word(_REASONS, request.reason),
        words=request.words,
        signature=request.signature if request.HasField("signature") else None,
    )


def release_answer_to_pb(answer: IntakeAnswer) -> intake_service_pb2.ReleaseIntakeResponse:
    """The response that says how a request was answered."""
    found = _answer_to_pb(intake_service_pb2.ReleaseIntakeResponse, answer)
    if answer.hit is not None:
        found.hit = answer.hit
    found.fields.extend(sorted(answer.fields))
    return found


def release_answer_from_pb(found: intake_service_pb2.ReleaseIntakeResponse) -> IntakeAnswer:
    """How a request was answered."""
    return IntakeAnswer(
        decision=ruling_from_pb(found.decision),
        request_id=found.request_id,
        status=read_word(_STATUSES, found.status) if found.HasField("status") else None,
        hit=found.hit if found.HasField("hit") else None,
        fields=frozenset(found.fields),
    )


def refuse_answer_to_pb(answer: IntakeAnswer) -> intake_service_pb2.RefuseIntakeResponse:
    """The response that says that a request was refused."""
    return _answer_to_pb(intake_service_pb2.RefuseIntakeResponse, answer)


def refuse_answer_from_pb(found: intake_service_pb2.RefuseIntakeResponse) -> IntakeAnswer:
    """That a request was refused."""
    return IntakeAnswer(
        decision=ruling_from_pb(found.decision),
        request_id=found.request_id,
        status=read_word(_STATUSES, found.status) if found.HasField("status") else None,
    )


def seconds_to_pb(seconds: tuple[SecondRequest, ...]) -> intake_service_pb2.SendSecondResponse:
    """The response that says who was asked a second time."""
    return intake_service_pb2.SendSecondResponse(
        seconds=[
            intake_service_pb2.SecondAsked(
                node=second.node,
                step=second.step,
                second_time=time_to_pb(second.time),
                due_time=time_to_pb(second.due),
            )
            for second in seconds
        ]
    )


def seconds_from_pb(found: intake_service_pb2.SendSecondResponse) -> tuple[SecondRequest, ...]:
    """Who was asked a second time.

    Raises:
        MalformedError: NODE_NAME for a province that is none.
    """
    return tuple(
        SecondRequest(
            node=parse_node_name(second.node),
            step=second.step,
            time=time_from_pb(second.second_time),
            due=time_from_pb(second.due_time),
        )
        for second in found.seconds
    )


def _answer_to_pb(response: type[_Answer], answer: IntakeAnswer) -> _Answer:
    status = None if answer.status is None else _STATUSES[answer.status]
    return response(decision=ruling_to_pb(answer.decision), request_id=answer.request_id, status=status)


def _line_to_pb(line: IntakeLine) -> intake_service_pb2.IntakeLine:
    return intake_service_pb2.IntakeLine(
        request_id=line.request_id,
        status=_STATUSES[line.status],
        step=line.step,
        asker=str(line.asker),
        officer=line.officer,
        case_id=line.case_id,
        purpose=line.purpose,
        urgency=_URGENCIES[line.urgency],
        person=line.person,
        fields=sorted(line.fields),
        create_time=time_to_pb(line.created),
        due_time=time_to_pb(line.due),
        second_time=optional_time_to_pb(line.second),
        escalate_time=optional_time_to_pb(line.escalated),
        answered_by=line.answered_by,
        came_late=line.came_late,
    )


def _line_from_pb(found: intake_service_pb2.IntakeLine) -> IntakeLine:
    return IntakeLine(
        request_id=found.request_id,
        status=read_word(_STATUSES, found.status),
        step=found.step,
        asker=parse_agency_id(found.asker),
        officer=found.officer,
        case_id=found.case_id,
        purpose=found.purpose,
        urgency=read_word(_URGENCIES, found.urgency),
        person=found.person,
        fields=frozenset(found.fields),
        created=time_from_pb(found.create_time),
        due=time_from_pb(found.due_time),
        second=time_from_pb(found.second_time) if found.HasField("second_time") else None,
        escalated=time_from_pb(found.escalate_time) if found.HasField("escalate_time") else None,
        answered_by=found.answered_by,
        came_late=found.came_late,
    )
