"""The review of the sample: by somebody else, once, with words, within five working days."""

from datetime import UTC, date, datetime

import pytest

from federation.domain.oversight import (
    SampleFinding,
    SampleItem,
    SampleReview,
    due_of,
    review_sample,
    sample_review_bytes,
)
from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import parse_agency_id

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
ITEM = SampleItem(
    lookup_id="l-1",
    case_id="CASE-1",
    officer="officer-1",
    time=NOW,
    purpose="lookup.identity_check",
    person="361123**********11",
    due=date(2026, 11, 30),
    overdue=False,
)
REVIEW = SampleReview(
    lookup_id="l-1", reviewer="officer-9", time=NOW, finding=SampleFinding.LAWFUL, words="the letter names him"
)


def test_review_by_somebody_else_with_words_stands():
    """It comes out of the store as it went in."""
    assert decode(SampleReview, encode(review_sample(ITEM, REVIEW))) == REVIEW


@pytest.mark.parametrize(
    ("item", "review", "reason"),
    [
        (ITEM, replace(REVIEW, reviewer="officer-1"), "REVIEW_SELF"),
        (replace(ITEM, review=REVIEW), REVIEW, "REVIEW_DONE"),
        (ITEM, replace(REVIEW, words="  "), "REVIEW_WORDS_MISSING"),
        (ITEM, replace(REVIEW, words="x" * 501), "REVIEW_WORDS"),
    ],
)
def test_review_of_oneself_or_twice_or_without_words_is_refused(item, review, reason):
    """Nobody waves their own look-up through."""
    with pytest.raises(BridgeheadError) as caught:
        review_sample(item, review)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        (datetime(2026, 11, 23, 8, tzinfo=UTC), date(2026, 11, 30)),
        (datetime(2026, 2, 12, 8, tzinfo=UTC), date(2026, 2, 26)),
        (datetime(2039, 11, 23, 8, tzinfo=UTC), date(2039, 11, 30)),
    ],
    ids=["a week", "a Saturday that is worked, then nine free days", "no table: seven days"],
)
def test_review_is_due_after_five_working_days(calendar, asked, due):
    """Days count in China, holidays are skipped."""
    assert due_of(asked, calendar) == due


def test_review_of_another_form_is_malformed():
    """What the store holds is checked as it is read."""
    with pytest.raises(MalformedError) as caught:
        decode(SampleReview, encode(REVIEW).replace(b"lawful", b"fine"))
    assert caught.value.reason == "REVIEW_FORM"


def test_review_bytes_are_of_one_finding():
    """A signature for lawful is none for doubtful."""
    agency = parse_agency_id("jiangxi/361123/police")
    made = {sample_review_bytes(agency, "l-1", finding=finding, words="w") for finding in SampleFinding}
    assert len(made) == 2
