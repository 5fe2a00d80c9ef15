"""Tests of `protocol.trust.members`: the bounds of what all members share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError
from federation.protocol.form import decode_canonical, encode_canonical
from federation.protocol.ids import Realm
from federation.protocol.trust.members import Terms, decode_terms, encode_terms
from tests.protocol.trust.four import TERMS


@given(
    st.builds(
        Terms,
        federation=st.just("bridgehead.example"),
        realm=st.sampled_from(Realm),
        clock_tolerance_seconds=st.integers(1, 3600),
        statement_lifetime_seconds=st.integers(60, 30 * 86_400),
        lapse_grace_seconds=st.integers(0, 60 * 86_400),
        recognition_modes=st.sampled_from([frozenset({"card"}), frozenset({"time"}), frozenset({"card", "time"})]),
    )
)
def test_decode_terms_gives_back_what_was_encoded(terms):
    """Encoding and decoding are inverse."""
    assert decode_terms(encode_terms(terms)) == terms


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"federation": "Bridgehead"},
        {"realm": "test"},
        {"clock_tolerance_seconds": 0},
        {"clock_tolerance_seconds": 3601},
        {"statement_lifetime_seconds": 59},
        {"lapse_grace_seconds": -1},
        {"lapse_grace_seconds": 60 * 86_400 + 1},
        {"recognition_modes": []},
        {"recognition_modes": "card"},
        {"recognition_modes": ["time", "card"]},
        {"recognition_modes": ["card", "card"]},
        {"recognition_modes": ["card", 1]},
        {"recognition_modes": ["point"]},
        {"more": 1},
    ],
)
def test_decode_terms_out_of_bounds_refused(change):
    """A signed file out of bounds is refused as well: a tolerance of a year would switch freshness off."""
    value = {**decode_canonical(encode_terms(TERMS), what="test"), **change}

    with pytest.raises(BridgeheadError):
        decode_terms(encode_canonical(value))
