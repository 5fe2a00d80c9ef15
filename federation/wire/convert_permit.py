"""Protobuf to values and back for permits.

Rules kept: days are `YYYY-MM-DD`, in this one form; an enum and its member have the same name on both sides; a field
that was not released stays absent; an unknown word is malformed. Source: DESIGN section 5, 居住证暂行条例 article 4.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from enum import StrEnum
from typing import TypeVar

from federation.domain.citizen_number import Sex
from federation.domain.permit import (
    Ground,
    Holder,
    Paper,
    PermitApplication,
    PermitStatus,
    RevokeReason,
    parse_permit_urn,
)
from federation.domain.permit_item import PermitItem
from federation.domain.recognition import (
    Entitlement,
    Recognition,
    RecognitionMode,
    RecognitionOutcome,
    RecognitionReason,
)
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.ids import parse_agency_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy.book import Decision, Grounds
from federation.v1 import permit_pb2, permit_service_pb2
from federation.wire.convert import DEFAULT_PAGE, act_to_pb, failure_from_pb, failure_to_pb, read_word
from federation.wire.values import (
    Act,
    ImportChunk,
    ImportedRow,
    PermitAnswer,
    PermitImport,
    PermitPage,
    PermitQuery,
    RecognitionAnswer,
    RecognitionLink,
    Ruling,
    ruling_of,
)

MAX_PERMITS_PAGE = 1000

_Word = TypeVar("_Word", bound=StrEnum)
_PermitResponse = TypeVar(
    "_PermitResponse",
    permit_service_pb2.RegisterPermitResponse,
    permit_service_pb2.EndorsePermitResponse,
    permit_service_pb2.SuspendPermitResponse,
    permit_service_pb2.RestorePermitResponse,
    permit_service_pb2.RevokePermitResponse,
    permit_service_pb2.GetPermitResponse,
)
"""The responses that hold a decision and a permit."""

_SEXES = {word: permit_pb2.Sex.Value(f"SEX_{word.name}") for word in Sex}
_GROUNDS = {word: permit_pb2.Ground.Value(f"GROUND_{word.name}") for word in Ground}
_PAPERS = {word: permit_pb2.Paper.Value(f"PAPER_{word.name}") for word in Paper}
_STATUSES = {word: permit_pb2.PermitStatus.Value(f"PERMIT_STATUS_{word.name}") for word in PermitStatus}
_VERDICTS = {word: permit_pb2.Verdict.Value(f"VERDICT_{word.name}") for word in Verdict}
_REVOKE_REASONS = {word: permit_pb2.RevokeReason.Value(f"REVOKE_REASON_{word.name}") for word in RevokeReason}
_MODES = {word: permit_pb2.RecognitionMode.Value(f"RECOGNITION_MODE_{word.name}") for word in RecognitionMode}
_OUTCOMES = {
    word: permit_pb2.RecognitionOutcome.Value(f"RECOGNITION_OUTCOME_{word.name}") for word in RecognitionOutcome
}


def application_to_pb(application: PermitApplication) -> permit_pb2.PermitApplication:
    """What a person applies with, as a message."""
    holder = application.holder
    return permit_pb2.PermitApplication(
        holder_name=holder.name,
        sex=_SEXES[holder.sex],
        ethnicity=holder.ethnicity,
        birth_date=holder.birth_date.isoformat(),
        citizen_number=holder.citizen_number,
        photo_digest=None if holder.photo_digest is None else bytes.fromhex(holder.photo_digest),
        household_division=holder.household_division,
        household_address=holder.household_address,
        residence_division=application.residence_division,
        residence_address=application.residence_address,
        work_division=application.work_division,
        issuer=application.issuer,
        ground=_GROUNDS[application.ground],
        residence_since=application.residence_since.isoformat(),
        apply_date=application.apply_date.isoformat(),
        accept_date=application.accept_date.isoformat(),
        papers=[_PAPERS[paper] for paper in sorted(application.papers)],
        guardian=application.guardian,
        sealed=application.sealed,
    )


def application_from_pb(found: permit_pb2.PermitApplication) -> PermitApplication:
    """What a person applies with.

    Raises:
        MalformedError: DATE naming the field, when it is no day of the calendar.
    """
    holder = Holder(
        name=found.holder_name,
        sex=read_word(_SEXES, found.sex),
        ethnicity=found.ethnicity,
        birth_date=_date_from_pb(found.birth_date, "birth_date"),
        citizen_number=found.citizen_number,
        photo_digest=found.photo_digest.hex() if found.HasField("photo_digest") else None,
        household_division=found.household_division,
        household_address=found.household_address,
    )
    return PermitApplication(
        holder=holder,
        residence_division=found.residence_division,
        residence_address=found.residence_address,
        work_division=found.work_division if found.HasField("work_division") else None,
        issuer=found.issuer,
        ground=read_word(_GROUNDS, found.ground),
        residence_since=_date_from_pb(found.residence_since, "residence_since"),
        apply_date=_date_from_pb(found.apply_date, "apply_date"),
        accept_date=_date_from_pb(found.accept_date, "accept_date"),
        papers=frozenset(read_word(_PAPERS, paper) for paper in found.papers),
        guardian=found.guardian,
        sealed=found.sealed,
    )


def permit_to_pb(item: PermitItem) -> permit_pb2.Permit:
    """The released fields of a permit, as a message."""
    return permit_pb2.Permit(
        urn=item.urn,
        version=item.version,
        status=_STATUSES[item.status],
        residence_division=item.residence_division,
        issuer=item.issuer,
        residence_address=item.residence_address,
        household_division=item.household_division,
        household_address=item.household_address,
        holder_name=item.holder_name,
        sex=None if item.sex is None else _SEXES[item.sex],
        ethnicity=item.ethnicity,
        birth_date=_date_to_pb(item.birth_date),
        citizen_number=item.citizen_number,
        photo_digest=None if item.photo_digest is None else bytes.fromhex(item.photo_digest),
        ground=None if item.ground is None else _GROUNDS[item.ground],
        residence_since=_date_to_pb(item.residence_since),
        issue_date=_date_to_pb(item.issue_date),
        counted_from=_date_to_pb(item.counted_from),
        endorsed_until=_date_to_pb(item.endorsed_until),
        work_division=item.work_division,
    )


def permit_from_pb(found: permit_pb2.Permit) -> PermitItem:
    """The released fields of a permit.

    Raises:
        MalformedError: PERMIT_URN, DATE, or ENUM_VALUE for a word that this version does not know.
    """
    has = found.HasField
    return PermitItem(
        urn=parse_permit_urn(found.urn),
        version=found.version,
        status=read_word(_STATUSES, found.status),
        residence_division=found.residence_division,
        issuer=found.issuer if has("issuer") else None,
        residence_address=found.residence_address if has("residence_address") else None,
        household_division=found.household_division if has("household_division") else None,
        household_address=found.household_address if has("household_address") else None,
        holder_name=found.holder_name if has("holder_name") else None,
        sex=read_word(_SEXES, found.sex) if has("sex") else None,
        ethnicity=found.ethnicity if has("ethnicity") else None,
        birth_date=_date_from_pb(found.birth_date, "birth_date") if has("birth_date") else None,
        citizen_number=found.citizen_number if has("citizen_number") else None,
        photo_digest=found.photo_digest.hex() if has("photo_digest") else None,
        ground=read_word(_GROUNDS, found.ground) if has("ground") else None,
        residence_since=_date_from_pb(found.residence_since, "residence_since") if has("residence_since") else None,
        issue_date=_date_from_pb(found.issue_date, "issue_date") if has("issue_date") else None,
        counted_from=_date_from_pb(found.counted_from, "counted_from") if has("counted_from") else None,
        endorsed_until=_date_from_pb(found.endorsed_until, "endorsed_until") if has("endorsed_until") else None,
        work_division=found.work_division if has("work_division") else None,
    )


def ruling_to_pb(ruling: Ruling) -> permit_pb2.Decision:
    """What policy said, as a message."""
    return permit_pb2.Decision(
        verdict=_VERDICTS[ruling.verdict],
        policies=ruling.policies,
        title_zh=ruling.title_zh,
        title_en=ruling.title_en,
        reason=ruling.reason.value,
        fields=sorted(ruling.fields),
        agreement_version=ruling.agreement_version,
        explanation_zh=ruling.explanation_zh,
        explanation_en=ruling.explanation_en,
    )


def ruling_from_pb(found: permit_pb2.Decision) -> Ruling:
    """What policy said.

    Raises:
        MalformedError: ENUM_VALUE for a verdict or reason that this version does not know.
    """
    decision = Decision(
        verdict=read_word(_VERDICTS, found.verdict),
        policies=tuple(found.policies),
        fields=frozenset(found.fields),
        reason=_parse_word(found.reason, Grounds),
        title_zh=found.title_zh,
        title_en=found.title_en,
    )
    return ruling_of(
        decision,
        agreement_version=found.agreement_version,
        explanation_zh=found.explanation_zh,
        explanation_en=found.explanation_en,
    )


def permit_answer_to_pb(response: type[_PermitResponse], answer: PermitAnswer) -> _PermitResponse:
    """The response of that RPC with the outcome of its step."""
    permit = None if answer.permit is None else permit_to_pb(answer.permit)
    return response(decision=ruling_to_pb(answer.decision), permit=permit)


def permit_answer_from_pb(found: _PermitResponse) -> PermitAnswer:
    """The outcome of a step with one permit."""
    permit = permit_from_pb(found.permit) if found.HasField("permit") else None
    return PermitAnswer(decision=ruling_from_pb(found.decision), permit=permit)


def reading_to_pb(answer: PermitAnswer) -> permit_service_pb2.GetPermitResponse:
    """A reading of one permit, with the recognitions of it."""
    response = permit_answer_to_pb(permit_service_pb2.GetPermitResponse, answer)
    response.recognitions.extend(
        permit_pb2.RecognitionLink(
            mode=_MODES[link.mode],
            outcome=_OUTCOMES[link.outcome],
            reason=link.reason,
            agency=str(link.agency),
            decide_date=link.decided_on.isoformat(),
        )
        for link in answer.recognitions
    )
    response.outdated_by_version = answer.outdated_by
    return response


def reading_from_pb(found: permit_service_pb2.GetPermitResponse) -> PermitAnswer:
    """A reading of one permit, with the recognitions of it."""
    links = tuple(
        RecognitionLink(
            mode=read_word(_MODES, link.mode),
            outcome=read_word(_OUTCOMES, link.outcome),
            reason=link.reason,
            agency=parse_agency_id(link.agency),
            decided_on=_date_from_pb(link.decide_date, "decide_date"),
        )
        for link in found.recognitions
    )
    return replace(permit_answer_from_pb(found), recognitions=links, outdated_by=found.outdated_by_version)


def revoke_reason_to_pb(reason: RevokeReason) -> permit_pb2.RevokeReason.ValueType:
    """Why a permit is revoked, as its number."""
    return _REVOKE_REASONS[reason]


def revoke_reason_from_pb(found: permit_pb2.RevokeReason.ValueType) -> RevokeReason:
    """Why a permit is revoked."""
    return read_word(_REVOKE_REASONS, found)


def mode_to_pb(mode: RecognitionMode) -> permit_pb2.RecognitionMode.ValueType:
    """Which kind of recognition, as its number."""
    return _MODES[mode]


def mode_from_pb(found: permit_pb2.RecognitionMode.ValueType) -> RecognitionMode:
    """Which kind of recognition."""
    return read_word(_MODES, found)


def recognition_to_pb(recognition: Recognition) -> permit_pb2.Recognition:
    """What a recognition came to, as a message."""
    return permit_pb2.Recognition(
        outcome=_OUTCOMES[recognition.outcome],
        reason=recognition.reason.value,
        services=[service.value for service in recognition.services],
        counted_days=recognition.counted_days,
    )


def recognition_from_pb(found: permit_pb2.Recognition) -> Recognition:
    """What a recognition came to.

    Raises:
        MalformedError: ENUM_VALUE for a word that this version does not know.
    """
    return Recognition(
        outcome=read_word(_OUTCOMES, found.outcome),
        reason=_parse_word(found.reason, RecognitionReason),
        services=tuple(_parse_word(service, Entitlement) for service in found.services),
        counted_days=found.counted_days,
    )


def recognition_answer_to_pb(answer: RecognitionAnswer) -> permit_service_pb2.RecognisePermitResponse:
    """The response that carries the outcome of a recognition."""
    return permit_service_pb2.RecognisePermitResponse(
        decision=ruling_to_pb(answer.decision),
        recognition=None if answer.recognition is None else recognition_to_pb(answer.recognition),
        permit=None if answer.permit is None else permit_to_pb(answer.permit),
    )


def recognition_answer_from_pb(found: permit_service_pb2.RecognisePermitResponse) -> RecognitionAnswer:
    """The outcome of a recognition."""
    return RecognitionAnswer(
        decision=ruling_from_pb(found.decision),
        recognition=recognition_from_pb(found.recognition) if found.HasField("recognition") else None,
        permit=permit_from_pb(found.permit) if found.HasField("permit") else None,
    )


def query_to_pb(act: Act, query: PermitQuery) -> permit_service_pb2.ListPermitsRequest:
    """The request for a page of permits."""
    status = None if query.status is None else _STATUSES[query.status]
    return permit_service_pb2.ListPermitsRequest(
        act=act_to_pb(act),
        residence_division=query.residence_division,
        status=status,
        page_size=query.page_size,
        page_token=query.page_token,
    )


def query_from_pb(request: permit_service_pb2.ListPermitsRequest) -> PermitQuery:
    """The page of permits that is asked for, its size clamped."""
    status = request.status if request.HasField("status") else None
    return PermitQuery(
        residence_division=request.residence_division if request.HasField("residence_division") else None,
        status=None if status is None else read_word(_STATUSES, status),
        page_size=min(request.page_size or DEFAULT_PAGE, MAX_PERMITS_PAGE),
        page_token=request.page_token,
    )


def page_to_pb(page: PermitPage) -> permit_service_pb2.ListPermitsResponse:
    """The response that carries a page of permits."""
    return permit_service_pb2.ListPermitsResponse(
        decision=ruling_to_pb(page.decision),
        permits=[permit_to_pb(permit) for permit in page.permits],
        next_page_token=page.next_page_token,
    )


def page_from_pb(found: permit_service_pb2.ListPermitsResponse) -> PermitPage:
    """A page of permits."""
    return PermitPage(
        decision=ruling_from_pb(found.decision),
        permits=tuple(permit_from_pb(permit) for permit in found.permits),
        next_page_token=found.next_page_token,
    )


def chunk_to_pb(act: Act, chunk: ImportChunk) -> permit_service_pb2.ImportPermitsRequest:
    """The request that carries one chunk of an import."""
    return permit_service_pb2.ImportPermitsRequest(
        act=act_to_pb(act),
        import_id=chunk.import_id,
        chunk=chunk.chunk,
        rows=[
            permit_service_pb2.PermitImport(
                application=application_to_pb(row.application), issue_date=_date_to_pb(row.issue_date), urn=row.urn
            )
            for row in chunk.rows
        ],
    )


def chunk_from_pb(request: permit_service_pb2.ImportPermitsRequest) -> ImportChunk:
    """One chunk of an import."""
    return ImportChunk(
        import_id=request.import_id,
        chunk=request.chunk,
        rows=tuple(_import_from_pb(row) for row in request.rows),
    )


def _import_from_pb(row: permit_service_pb2.PermitImport) -> PermitImport:
    return PermitImport(
        application=application_from_pb(row.application),
        issue_date=_date_from_pb(row.issue_date, "issue_date") if row.HasField("issue_date") else None,
        urn=parse_permit_urn(row.urn) if row.HasField("urn") else None,
    )


def imported_to_pb(rows: tuple[ImportedRow, ...]) -> permit_service_pb2.ImportPermitsResponse:
    """The response that carries what each row came to."""
    return permit_service_pb2.ImportPermitsResponse(rows=[_imported_row_to_pb(row) for row in rows])


def imported_from_pb(found: permit_service_pb2.ImportPermitsResponse, *, expected: int) -> tuple[ImportedRow, ...]:
    """What each row came to, in the order of the request.

    Raises:
        MalformedError: ANSWER_COUNT when there is not one for each; ANSWER when one says nothing.
    """
    if len(found.rows) != expected:
        raise MalformedError("ANSWER_COUNT", f"expected {expected} answers, got {len(found.rows)}")
    return tuple(_imported_row_from_pb(row) for row in found.rows)


def _imported_row_to_pb(row: ImportedRow) -> permit_service_pb2.ImportedPermit:
    match row:
        case BridgeheadError():
            return permit_service_pb2.ImportedPermit(failure=failure_to_pb(row))
        case Ruling():
            return permit_service_pb2.ImportedPermit(refusal=ruling_to_pb(row))
        case _:
            return permit_service_pb2.ImportedPermit(urn=row)


def _imported_row_from_pb(row: permit_service_pb2.ImportedPermit) -> ImportedRow:
    match row.WhichOneof("outcome"):
        case "urn":
            return parse_permit_urn(row.urn)
        case "refusal":
            return ruling_from_pb(row.refusal)
        case "failure":
            return failure_from_pb(row.failure)
        case _:
            raise MalformedError("ANSWER", "expected a name, a refusal or a failure, got none")


def _date_to_pb(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date_from_pb(text: str, field: str) -> date:
    """Reads a day; its form (`YYYY-MM-DD`) is a shape rule, so only impossible days are left to refuse."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MalformedError("DATE", f"expected {field!r} to be a day of the calendar", field=field) from error


def _parse_word(text: str, words: type[_Word]) -> _Word:
    try:
        return words(text)
    except ValueError as error:
        raise MalformedError("ENUM_VALUE", f"expected a known {words.__name__}, got {text!r:.40}") from error
