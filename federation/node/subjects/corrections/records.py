"""Corrections as records of the store: the owner's own, what owners answered us, and what our offices filed elsewhere.

Rules kept: what names a person is in sealed columns; a correction is found by its id, its permit's county, or the blind
index of the holder's number. An answer is kept as a replica, so that the newest stays whatever the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.domain.corrections import (
    Correction,
    CorrectionAnswer,
    CorrectionRequest,
    decode_correction,
    decode_correction_answer,
    encode_correction,
    encode_correction_answer,
)
from federation.domain.permits import urn_division
from federation.protocol.canonical_json import (
    decode_canonical,
    encode_canonical,
    read_object,
    read_text,
)
from federation.protocol.form import from_object, to_object
from federation.protocol.ids import (
    AgencyId,
    MessageId,
    NodeName,
    format_time,
    parse_agency_id,
    parse_message_id,
    parse_time,
)
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, find_by_subject, find_record, list_records, put_records

CORRECTION, FILED = "correction", "correction-filed"
_PAGE = 1000
_LONGEST = timedelta(days=100)
"""No correction runs longer than so, extended and over holidays: one whose end is later was opened later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A request that an office of ours filed with another province: `digest` is its statement's, which answers cite."""

    request: CorrectionRequest
    agency: AgencyId
    time: datetime
    owner: NodeName
    message_id: MessageId
    digest: str


def put_correction(transaction: GroupTransaction, correction: Correction, *, owner: NodeName) -> None:
    """Stores the next version of a correction of our own.

    Raises:
        ConflictError: VERSION_CONFLICT when somebody else took a step meanwhile.
    """
    version = correction.standing.version
    put_records(transaction, [correction_record(correction, owner=owner)], expect_version=version - 1)


def correction_record(correction: Correction, *, owner: NodeName) -> Record:
    """A version of a correction of our own."""
    request, standing = correction.request, correction.standing
    return Record(
        id=request.correction_id,
        kind=CORRECTION,
        owner=owner,
        version=standing.version,
        replica=False,
        status=standing.state.value,
        division=urn_division(request.urn),
        due_date=standing.deadline.last_day,
        subject=request.citizen_number,
        content=encode_correction(correction),
    )


def find_correction(source: Source, correction_id: str) -> Correction | None:
    """A correction of our own."""
    record = find_record(source, CORRECTION, correction_id, replica=False)
    return decode_correction(record.content) if record is not None else None


def answer_record(answer: CorrectionAnswer, *, owner: NodeName) -> Record:
    """What the owner says of a correction that we filed there; an older version is passed over."""
    return Record(
        id=answer.correction_id,
        kind=CORRECTION,
        owner=owner,
        version=answer.version,
        replica=True,
        status=answer.state.value,
        division="",
        due_date=answer.deadline.last_day,
        content=encode_correction_answer(answer),
    )


def find_answer(source: Source, correction_id: str) -> CorrectionAnswer | None:
    """The newest that the owner said of a correction that we filed there."""
    record = find_record(source, CORRECTION, correction_id, replica=True)
    return decode_correction_answer(record.content) if record is not None else None


def filed_record(filed: Filed, *, owner: NodeName) -> Record:
    """What an office of ours filed with another province, as a record."""
    content = encode_canonical(
        {
            "request": to_object(filed.request),
            "agency": str(filed.agency),
            "time": format_time(filed.time),
            "owner": filed.owner,
            "message_id": filed.message_id,
            "digest": filed.digest,
        }
    )
    return Record(
        id=filed.request.correction_id,
        kind=FILED,
        owner=owner,
        version=1,
        replica=False,
        status="filed",
        division=filed.agency.county,
        subject=filed.request.citizen_number,
        content=content,
    )


def find_filed(source: Source, correction_id: str) -> Filed | None:
    """What an office of ours filed under that id."""
    record = find_record(source, FILED, correction_id, replica=False)
    return _read_filed(record.content) if record is not None else None


def list_corrections(source: Source, *, citizen_number: str) -> Iterator[Correction]:
    """Every correction of our own, or those about one person."""
    for record in _every(source, CORRECTION, citizen_number):
        yield decode_correction(record.content)


def list_opened_before(source: Source, before: datetime) -> list[str]:
    """The ids of the corrections of our own that were opened before that moment."""
    ids: list[str] = []
    after = ""
    while page := list_records(
        source, CORRECTION, after_id=after, limit=_PAGE, replica=False, due_before=before.date() + _LONGEST
    ):
        ids += [record.id for record in page if decode_correction(record.content).standing.deadline.started < before]
        after = page[-1].id
    return ids


def list_filed(source: Source, *, citizen_number: str) -> Iterator[Filed]:
    """Everything that our offices filed elsewhere, or for one person."""
    for record in _every(source, FILED, citizen_number):
        yield _read_filed(record.content)


def _every(source: Source, kind: str, citizen_number: str) -> Iterator[Record]:
    if citizen_number:
        yield from (record for record in find_by_subject(source, kind, citizen_number) if not record.replica)
        return
    after = ""
    while page := list_records(source, kind, after_id=after, limit=_PAGE, replica=False):
        yield from page
        after = page[-1].id


def _read_filed(content: bytes) -> Filed:
    value = decode_canonical(content, what=FILED)
    return Filed(
        request=from_object(CorrectionRequest, read_object(value, "request", what=FILED)),
        agency=parse_agency_id(read_text(value, "agency", what=FILED)),
        time=parse_time(read_text(value, "time", what=FILED)),
        owner=NodeName(read_text(value, "owner", what=FILED)),
        message_id=parse_message_id(read_text(value, "message_id", what=FILED)),
        digest=read_text(value, "digest", what=FILED),
    )
