"""A refusal at the desk, and the second request: exact forms, and no field of a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.intake import (
    REASON_WORDS,
    Refusal,
    RefusalReason,
    Reminder,
    parse_reason,
    parse_words,
    refusal_titles,
)
from federation.protocol.errors import MalformedError
from federation.protocol.form import decode, encode, encode_canonical
from federation.protocol.ids import parse_message_id

LOOKUP = parse_message_id("01a2076b-4400-7291-b85e-b162f6ac09ad")
WORDS = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=200)


@given(st.sampled_from(RefusalReason), WORDS)
def test_refusal_is_decoded_as_it_was_encoded(reason, words):
    """One form, whatever the words."""
    refusal = Refusal(lookup_id=LOOKUP, reason=reason, words=words)

    assert decode(Refusal, encode(refusal)) == refusal


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reason": "curious"}, "REFUSAL_REASON"),
        ({"words": ""}, "REFUSAL_WORDS"),
        ({"words": " x"}, "REFUSAL_WORDS"),
        ({"words": "a\nb"}, "REFUSAL_WORDS"),
        ({"words": "x" * 201}, "REFUSAL_WORDS"),
        ({"lookup_id": "7"}, "MESSAGE_ID"),
        ({"hit": False}, "JSON_UNKNOWN_NAME"),
        ({"words": 7}, "JSON_TYPE"),
    ],
)
def test_refusal_of_another_form_is_refused(changes, reason):
    """A refusal tells nothing besides, not even hit or no hit."""
    value = {"lookup_id": LOOKUP, "reason": "too_broad", "words": "x", **changes}

    with pytest.raises(MalformedError) as caught:
        decode(Refusal, encode_canonical(value))

    assert caught.value.reason == reason


def test_refusal_titles_hold_the_desks_own_words_in_both_languages():
    """The asker reads why, in words."""
    for reason, (zh, en) in REASON_WORDS.items():
        told = refusal_titles(Refusal(lookup_id=LOOKUP, reason=reason, words="请缩小范围"))
        assert (zh in told[0], en in told[1]) == (True, True)
        assert all("请缩小范围" in title for title in told)


def test_parse_words_and_reason_take_what_a_person_types():
    """Blanks around are no part of the sentence; an unknown reason names the known ones."""
    assert parse_words("  案情不清 ") == "案情不清"
    assert parse_reason("too_broad") is RefusalReason.TOO_BROAD
    with pytest.raises(MalformedError, match="not_competent, case_unclear, too_broad, other"):
        parse_reason("busy")


def test_second_request_is_decoded_as_it_was_encoded():
    """It names its look-up and nothing else."""
    assert decode(Reminder, encode(Reminder(lookup_id=LOOKUP))).lookup_id == LOOKUP
    with pytest.raises(MalformedError):
        decode(Reminder, encode_canonical({"lookup_id": LOOKUP, "number": "x"}))
