"""The review of the look-ups that chance picks: by somebody else, with a finding and words, within five working days.

Rules kept: nobody reviews what they asked; one review a look-up; words are never empty, so that nothing is waved
through. Without a table of the year the review is due after seven days.
Source: misuse control M7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from federation.domain.lookup.watch import CHINA
from federation.domain.rules.calendar import Calendar, add_working_days
from federation.protocol.canonical_json import encode_canonical
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Item, Time, decode, encode
from federation.protocol.ids import AgencyId

REVIEW_DAYS: Final = 5
"""Working days in which a look-up of the sample is reviewed."""

MAX_WORDS: Final = 500


class SampleFinding(StrEnum):
    """What the reviewer found: that the look-up was lawful, or that it is to be looked into."""

    LAWFUL = "lawful"
    DOUBTFUL = "doubtful"


class SampleReview(Item, frozen=True, kw_only=True):
    """Who reviewed a look-up, when, and what they found."""

    WHAT: ClassVar[str] = "sample review"
    REASON: ClassVar[str] = "REVIEW_FORM"

    lookup_id: str
    reviewer: str
    time: Time
    finding: SampleFinding
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleItem:
    """One look-up that chance picked: `due` is the last day of its review; `overdue` once that has passed without.

    `person` is masked.
    """

    lookup_id: str
    case_id: str
    officer: str
    time: datetime
    purpose: str
    person: str
    due: date
    overdue: bool
    review: SampleReview | None = None


def due_of(asked: datetime, calendar: Calendar) -> date:
    """The last day of the review of a look-up that was asked then."""
    day = asked.astimezone(CHINA).date()
    try:
        return add_working_days(calendar, day, count=REVIEW_DAYS)
    except RuleError:
        return day + timedelta(days=7)


def verify_words(words: str) -> str:
    """Returns a reviewer's words, without the space around them.

    Raises:
        MalformedError: REVIEW_WORDS when they are longer than 500 characters or not printable.
    """
    text = words.strip()
    if len(text) > MAX_WORDS or not text.isprintable():
        raise MalformedError("REVIEW_WORDS", f"expected at most {MAX_WORDS} printable characters on one line")
    return text


def review_sample(item: SampleItem, review: SampleReview) -> SampleReview:
    """Returns the review of a look-up when it may stand.

    Raises:
        RuleError: REVIEW_SELF when the reviewer asked it, REVIEW_DONE when it was reviewed, REVIEW_WORDS_MISSING.
        MalformedError: REVIEW_WORDS.
    """
    if review.reviewer == item.officer:
        raise RuleError("REVIEW_SELF", "expected another officer to review it than the one who asked")
    if item.review is not None:
        raise RuleError("REVIEW_DONE", f"{item.review.reviewer} found it {item.review.finding} already")
    if not verify_words(review.words):
        raise RuleError("REVIEW_WORDS_MISSING", "expected the reviewer's words: what was checked, and against what")
    return review


def sample_review_bytes(agency: AgencyId, lookup_id: str, *, finding: SampleFinding, words: str) -> bytes:
    """The exact bytes that a reviewer's own key signs."""
    return encode_canonical(
        {
            "step": "lookup.sample.review",
            "agency": str(agency),
            "lookup_id": lookup_id,
            "finding": str(finding),
            "words": words,
        }
    )


def encode_sample_review(review: SampleReview) -> bytes:
    """Encodes a review into its one canonical form."""
    return encode(review)


def decode_sample_review(encoded: bytes) -> SampleReview:
    """Decodes a review out of the store.

    Raises:
        MalformedError: JSON_* for the form; REVIEW_FORM for an unknown finding, TIME.
    """
    return decode(SampleReview, encoded)
