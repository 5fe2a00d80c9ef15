"""A stored reading: what an inspector is shown, and what a leader signs to be shown it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.oversight import ReadingKind, StoredReading, decode_reading, readings_bytes
from federation.protocol.errors import CorruptError, MalformedError
from federation.protocol.form import encode
from federation.protocol.ids import parse_agency_id

POLICE = parse_agency_id("jiangxi/361123/police")
OTHER = parse_agency_id("jiangxi/361102/police")
WORDS = st.text(alphabet="abcdefghij-0123456789", max_size=20)


@given(st.sampled_from(ReadingKind), WORDS, WORDS, st.frozensets(WORDS.filter(bool), max_size=4))
def test_decode_reading_gives_what_was_encoded(kind, officer, about, fields):
    """Every kind, with and without fields."""
    reading = StoredReading(
        time=datetime(2026, 11, 23, 8, tzinfo=UTC), agency=POLICE, officer=officer, kind=kind, about=about,
        lookup_id="l-1", case_id="CASE-2026-0001", node="zhejiang", fields=fields,
    )  # fmt: skip
    assert decode_reading(encode(reading)) == reading


@pytest.mark.parametrize(
    ("found", "instead", "error"),
    [
        (b'"flags"', b'"gossip"', CorruptError),
        (b'"officer":', b'"person":', MalformedError),
        (b"{", b"", MalformedError),
    ],
)
def test_decode_reading_of_another_form_is_an_error(found, instead, error):
    """A kind that nobody wrote, a missing name, no JSON at all."""
    encoded = encode(
        StoredReading(time=datetime(2026, 11, 23, tzinfo=UTC), agency=POLICE, officer="o-1", kind=ReadingKind.FLAGS)
    )
    with pytest.raises(error):
        decode_reading(encoded.replace(found, instead))


def test_readings_bytes_are_of_one_agency_case_and_reader():
    """A leader's signature for one case opens no other, and is of no use to another reader or office."""
    made = {
        readings_bytes(agency, case_id, reader=reader)
        for agency in (POLICE, OTHER)
        for case_id in ("CASE-2026-0001", "CASE-2026-0002")
        for reader in ("leader-1", "leader-2")
    }
    assert len(made) == 8
