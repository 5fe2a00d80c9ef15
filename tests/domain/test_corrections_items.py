"""Tests of what crosses a border about a correction: one canonical form each, read strictly."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.clock import Deadline, Verified
from federation.domain.corrections import (
    CorrectionAnswer,
    CorrectionNotice,
    CorrectionRequest,
    CorrectionState,
    decode_correction_notice,
    verify_correction_request,
)
from federation.protocol.errors import MalformedError
from federation.protocol.form import decode, encode, replace
from federation.protocol.ids import Realm
from tests.seen import SEEN

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
REQUEST = CorrectionRequest(
    correction_id="01890a5d-ac96-774b-bcce-b302099a8057",
    urn="urn:permit:330822:2025:000123",
    field="holder_name",
    value="徐谷语",
    words="户口簿上是语言的语",
    papers=("ab" * 32, "cd" * 32),
    citizen_number="361123219003070012",
    identity_checked=True,
)
ANSWER = CorrectionAnswer(
    correction_id=REQUEST.correction_id,
    version=2,
    state=CorrectionState.OPEN,
    time=NOW,
    deadline=Deadline(
        clock_id="share.correct",
        rule_version=1,
        calendar_version="2026.1",
        started=NOW,
        due=NOW,
        last_day=date(2026, 12, 7),
        extended_by=10,
        official=True,
        verified=Verified.UNREAD,
    ),
    words="等待户籍地答复",
)
COPY = CorrectionNotice(time=NOW, urn=REQUEST.urn, version=3)
TOLD = CorrectionNotice(time=NOW, field="holder_name")


def test_items_survive_the_border():
    """What is decoded is equal to what was encoded."""
    assert decode(CorrectionRequest, encode(REQUEST)) == REQUEST
    assert decode(CorrectionAnswer, encode(ANSWER)) == ANSWER
    for notice in (COPY, TOLD):
        assert decode_correction_notice(encode(notice)) == notice


@given(value=st.text(SEEN, max_size=40), words=st.text(SEEN, max_size=40), checked=st.booleans())
def test_request_of_any_text_survives_the_border(value, words, checked):
    """The form carries any text; whether it may stand there is judged afterwards."""
    request = replace(REQUEST, value=value, words=words, identity_checked=checked)

    assert decode(CorrectionRequest, encode(request)) == request


def test_notice_carries_no_value_of_the_person():
    """A province that is not entitled any more learns that its copy is old, and nothing new."""
    for notice in (COPY, TOLD):
        encoded = encode(notice).decode()
        assert REQUEST.value not in encoded
        assert REQUEST.citizen_number not in encoded


@pytest.mark.parametrize(
    ("find", "put"),
    [
        (b'"version":2', b'"version":0'),
        (b'"state":"open"', b'"state":"lost"'),
        (b'"words"', b'"wordz"'),
        (b'"official":true', b'"official":1'),
        (b'"2026-12-07"', b'"2026-12-7"'),
        (b'"2026-12-07"', b'"20261207"'),
        (b'"verified":"unread"', b'"verified":"sure"'),
        (b"01890a5d", b"01890A5D"),
    ],
)
def test_answer_of_another_form_is_malformed(find, put):
    """An answer is read strictly: nothing of it is kept else."""
    encoded = encode(ANSWER)
    assert find in encoded

    with pytest.raises(MalformedError):
        decode(CorrectionAnswer, encoded.replace(find, put))


@pytest.mark.parametrize(
    ("find", "put"),
    [
        (b'"identity_checked":true', b'"identity_checked":"yes"'),
        (b'"papers":[', b'"papers":[1,'),
        (b'"urn":"urn', b'"urn":"uri'),
        (b'"field"', b'"fields"'),
    ],
)
def test_request_of_another_form_is_malformed(find, put):
    """A request is read strictly."""
    encoded = encode(REQUEST)
    assert find in encoded

    with pytest.raises(MalformedError):
        decode(CorrectionRequest, encoded.replace(find, put))


@pytest.mark.parametrize(
    ("encoded", "find", "put"),
    [
        (encode(COPY), b'"version":3', b'"version":0'),
        (encode(COPY), b'"version":3', b'"version":3,"value":"x"'),
        (encode(TOLD), b'"holder_name"', b'"Holder Name"'),
    ],
)
def test_notice_of_another_form_is_malformed(encoded, find, put):
    """A notice is read strictly, and has no room for a value."""
    assert find in encoded

    with pytest.raises(MalformedError):
        decode_correction_notice(encoded.replace(find, put))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"correction_id": "1"}, "CORRECTION_ID"),
        ({"correction_id": REQUEST.correction_id.upper()}, "CORRECTION_ID"),
        ({"words": ""}, "CORRECTION_WORDS"),
        ({"words": "户" * 501}, "CORRECTION_WORDS"),
        ({"words": "a\u202eb"}, "CORRECTION_WORDS"),
        ({"papers": ("ab",)}, "CORRECTION_PAPERS"),
        ({"papers": ("cd" * 32, "ab" * 32)}, "CORRECTION_PAPERS"),
        ({"papers": ("ab" * 32, "ab" * 32)}, "CORRECTION_PAPERS"),
        ({"citizen_number": "361123219003070013"}, "CITIZEN_NUMBER_CHECKSUM"),
        ({"value": ""}, "CORRECTION_VALUE"),
    ],
)
def test_verify_correction_request_of_another_form_is_malformed(change, reason):
    """Every part of a request has its form."""
    assert verify_correction_request(REQUEST, Realm.DEMO) is REQUEST
    with pytest.raises(MalformedError, match=reason):
        verify_correction_request(replace(REQUEST, **change), Realm.DEMO)
