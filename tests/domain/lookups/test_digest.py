"""An officer's day: what is shown of whom they asked about."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.oversight import digest_bytes, mask_selector
from federation.protocol.ids import parse_agency_id

POLICE = parse_agency_id("jiangxi/361123/police")


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("361123219003070011", "361123**********11"),
        ("urn:permit:330822:2226:000123", "urn:permit:330822:2226:****23"),
        ("urn:permit:330822:2226:12", "urn:permit:330822:2226:**"),
        ("浙H·I0001", "浙H*****1"),
        ("", "*"),
    ],
)
def test_mask_keeps_enough_to_know_it_again(value, masked):
    """County and last two of a citizen number; all but the serial of a permit's name."""
    assert mask_selector(value) == masked


@given(st.text(alphabet="0123456789X", min_size=18, max_size=18))
def test_mask_never_gives_a_citizen_number_away(number):
    """Ten characters of eighteen are gone, whatever they are."""
    assert mask_selector(number).count("*") == 10
    assert number not in mask_selector(number)


def test_digest_bytes_are_of_one_reader_officer_and_day():
    """A leader's signature for one day opens no other, and is of no use to another reader."""
    made = {
        digest_bytes(POLICE, officer, day=day, reader=reader)
        for officer in ("officer-1", "officer-2")
        for day in (date(2026, 11, 23), date(2026, 11, 24))
        for reader in ("leader-1", "leader-2")
    }
    assert len(made) == 8
