"""A correction at the owner's desk: opened by a request, extended at most once, granted or denied, with its deadline.

Rules kept: each step is a new version; the deadline keeps the rule and the calendar that made it; what is granted or
denied stays so. A correction that was let lie is overdue and still open: the duty to answer does not end with the time.
Sources: PIPL articles 46, 50; clocks `share.correct` and `subject.answer` of `policies/clocks.toml`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from federation.domain.corrections.fields import amend_permit, verify_proven
from federation.domain.corrections.items import (
    CorrectionAnswer,
    CorrectionRequest,
    CorrectionState,
    verify_words,
)
from federation.domain.permit import Permit
from federation.domain.rules.calendar import Calendar
from federation.domain.rules.clock import ClockRule, Deadline, extend_deadline
from federation.protocol.errors import RuleError
from federation.protocol.form import (
    Item,
    decode,
    encode,
    replace,
)
from federation.protocol.ids import AgencyId, Realm, truncate_to_millisecond

CLOCK: Final = "share.correct"
"""The clock of a correction: from its reception to its answer."""

ANSWER_CLOCK: Final = "subject.answer"
"""The clock of every request of a person: no extension outlasts it."""


class Correction(Item, frozen=True, kw_only=True):
    """A request, who filed it, where it stands; `cited` is the digest of its statement, empty when filed here."""

    WHAT: ClassVar[str] = "stored correction"

    request: CorrectionRequest
    filed_by: AgencyId
    cited: str
    standing: CorrectionAnswer


def verify_admissible(request: CorrectionRequest, permit: Permit | None, *, filed_by: AgencyId, realm: Realm) -> Permit:
    """Checks that the request could be granted as things stand, and returns the permit that it is about.

    A permit that is not there, is another person's, or is sealed for the filing province is the same to who asks.

    Raises:
        RuleError: PERMIT_UNKNOWN, IDENTITY_UNPROVEN, and as `amend_permit`.
        MalformedError: as `amend_permit`.
    """
    if permit is None or permit.holder.citizen_number != request.citizen_number:
        raise RuleError("PERMIT_UNKNOWN", "this province issued no such permit to that person")
    amend_permit(permit, request.field, request.value, realm=realm)
    verify_proven(
        request.field,
        household_division=permit.holder.household_division,
        filed_in=filed_by.county,
        papers=len(request.papers),
    )
    return permit


def open_correction(
    request: CorrectionRequest, *, filed_by: AgencyId, cited: str, deadline: Deadline, now: datetime
) -> Correction:
    """Opens a correction; the deadline counts from the day of its reception."""
    standing = CorrectionAnswer(
        correction_id=request.correction_id,
        version=1,
        state=CorrectionState.OPEN,
        time=truncate_to_millisecond(now),
        deadline=deadline,
    )
    return Correction(request=request, filed_by=filed_by, cited=cited, standing=standing)


def extend_correction(
    correction: Correction, rule: ClockRule, *, by: int, calendar: Calendar, words: str, now: datetime
) -> Correction:
    """Takes more time, once, before the time is over; the applicant is told why.

    Raises:
        RuleError: CORRECTION_ENDED; as `extend_deadline`.
        MalformedError: CORRECTION_WORDS.
    """
    verify_open(correction)
    deadline = extend_deadline(correction.standing.deadline, rule, by=by, asked=now, calendar=calendar)
    return _next(correction, replace(correction.standing, deadline=deadline, words=verify_words(words)), now)


def verify_answered_in_time(correction: Correction, answer_by: Deadline) -> Correction:
    """Returns the correction when its time ends within that in which the person must be answered at all.

    Raises:
        RuleError: EXTENSION_PAST_ANSWER.
    """
    if correction.standing.deadline.due > answer_by.due:
        raise RuleError(
            "EXTENSION_PAST_ANSWER",
            f"the person is answered by {answer_by.last_day} ({answer_by.clock_id}): expected fewer days",
        )
    return correction


def grant_correction(correction: Correction, *, permit_version: int, words: str, now: datetime) -> Correction:
    """Grants it: the permit has the corrected field from that version on.

    Raises:
        RuleError: CORRECTION_ENDED. MalformedError: CORRECTION_WORDS.
    """
    verify_open(correction)
    standing = replace(
        correction.standing,
        state=CorrectionState.GRANTED,
        words=verify_words(words, empty=True),
        permit_version=permit_version,
    )
    return _next(correction, standing, now)


def deny_correction(correction: Correction, *, words: str, now: datetime) -> Correction:
    """Denies it, with reasons (article 50).

    Raises:
        RuleError: CORRECTION_ENDED. MalformedError: CORRECTION_WORDS.
    """
    verify_open(correction)
    standing = replace(correction.standing, state=CorrectionState.DENIED, words=verify_words(words))
    return _next(correction, standing, now)


def verify_open(correction: Correction) -> Correction:
    """Returns the correction when it has not been granted or denied.

    Raises:
        RuleError: CORRECTION_ENDED.
    """
    state = correction.standing.state
    if state is not CorrectionState.OPEN:
        raise RuleError("CORRECTION_ENDED", f"the correction was {state} already; a new request may be filed")
    return correction


def is_overdue(standing: CorrectionAnswer, now: datetime) -> bool:
    """Whether the owner has let the time pass without an answer."""
    return standing.state is CorrectionState.OPEN and now >= standing.deadline.due


def encode_correction(correction: Correction) -> bytes:
    """Encodes a correction as the owner stores it."""
    return encode(correction)


def decode_correction(encoded: bytes) -> Correction:
    """Decodes a stored correction.

    Raises:
        MalformedError: JSON_* and the reasons of its parts when the store holds something else.
    """
    return decode(Correction, encoded)


def _next(correction: Correction, standing: CorrectionAnswer, now: datetime) -> Correction:
    following = replace(standing, version=correction.standing.version + 1, time=truncate_to_millisecond(now))
    return replace(correction, standing=following)
