"""Corrections as records of the store: the owner's own, what owners answered us, and what our offices filed elsewhere.

Rules kept: what names a person is in sealed columns; a correction is found by its id, its permit's county while it
runs, or the blind index of the holder's number. An answer is kept as a replica, so that the newest stays whatever the
order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from federation.domain.corrections import (
    Correction,
    CorrectionAnswer,
    CorrectionRequest,
    CorrectionState,
)
from federation.domain.permits import urn_division
from federation.protocol.form import Digest, Item, Time, decode, encode
from federation.protocol.ids import AgencyId, MessageId, NodeName, format_time
from federation.store.collection import Collection
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record


class Filed(Item, frozen=True, kw_only=True):
    """A request that an office of ours filed with another province: `digest` is its statement's, which answers cite."""

    WHAT = "correction-filed"

    request: CorrectionRequest
    agency: AgencyId
    time: Time
    owner: NodeName
    message_id: MessageId
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """That an office of ours filed a correction, with its own desk or elsewhere."""

    time: str
    agency: str
    correction_id: str


CORRECTIONS: Final[Collection[Correction]] = Collection(
    kind="correction",
    encode=encode,
    decode=lambda record: decode(Correction, record.content),
    id=lambda correction: correction.request.correction_id,
    replica=False,
    version=lambda correction: correction.standing.version,
    status=lambda correction: correction.standing.state.value,
    division=lambda correction: urn_division(correction.request.urn),
    due=lambda correction: (
        correction.standing.deadline.last_day if correction.standing.state is CorrectionState.OPEN else None
    ),
    subject=lambda correction: correction.request.citizen_number,
)
"""Those that this province decides; due while they run."""
ANSWERS: Final[Collection[CorrectionAnswer]] = Collection(
    kind="correction",
    encode=encode,
    decode=lambda record: decode(CorrectionAnswer, record.content),
    id=lambda answer: answer.correction_id,
    replica=True,
    version=lambda answer: answer.version,
    status=lambda answer: answer.state.value,
)
"""The newest that the owner said of each that we filed there."""
FILED: Final[Collection[Filed]] = Collection(
    kind="correction-filed",
    encode=encode,
    decode=lambda record: decode(Filed, record.content),
    id=lambda filed: filed.request.correction_id,
    replica=False,
    status=lambda _: "filed",
    division=lambda filed: filed.agency.county,
    subject=lambda filed: filed.request.citizen_number,
)
LINES: Final[Collection[Line]] = Collection(
    kind="correction-line",
    encode=lambda _: b"",
    decode=lambda record: Line(
        time=record.id.partition("/")[0], agency=record.subject or "", correction_id=record.id.rpartition("/")[2]
    ),
    id=lambda line: f"{line.time}/{line.correction_id}",
    replica=True,
    subject=lambda line: line.agency,
)
"""What our offices filed, in the order of time, and found by the office."""


def put_correction(transaction: GroupTransaction, correction: Correction, *, owner: NodeName) -> None:
    """Stores the next version of a correction of our own.

    Raises:
        ConflictError: VERSION_CONFLICT when somebody else took a step meanwhile.
    """
    CORRECTIONS.put(transaction, correction, owner=owner)
    if correction.standing.version == 1 and correction.filed_by.node == owner:
        LINES.put(transaction, _line_of(correction), owner=owner)


def filed_records(filed: Filed, *, owner: NodeName) -> tuple[Record, Record]:
    """What an office of ours filed with another province, and the line of it."""
    line = Line(time=format_time(filed.time), agency=str(filed.agency), correction_id=filed.request.correction_id)
    return FILED.record(filed, owner=owner), LINES.record(line, owner=owner)


def erase_opened(transaction: GroupTransaction, line: Line) -> bool:
    """Deletes a correction that was opened at our own desk, with its line; says whether there was one."""
    LINES.erase(transaction, LINES.id(line))
    return CORRECTIONS.erase(transaction, line.correction_id)


def _line_of(correction: Correction) -> Line:
    opened: datetime = correction.standing.deadline.started
    return Line(
        time=format_time(opened), agency=str(correction.filed_by), correction_id=correction.request.correction_id
    )
