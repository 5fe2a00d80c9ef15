"""The code of a watermark: short, unmistakable, and read off a photo."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.erasure import format_code, parse_code, reading_text
from federation.protocol.errors import MalformedError
from federation.protocol.ids import parse_agency_id


@given(st.binary(min_size=8, max_size=32))
def test_format_code_is_read_back_as_a_person_types_it(mac: bytes) -> None:
    """Any HMAC gives a code that survives small letters, spaces and the usual mistakes."""
    code = format_code(mac)

    assert parse_code(code) == code
    assert parse_code(code.lower().replace("-", " ")) == code
    assert parse_code(code.replace("0", "O").replace("1", "l")) == code


def test_format_code_takes_the_first_sixty_bits() -> None:
    """Sixty bits: nobody meets another's code by chance, and nobody types more."""
    assert format_code(bytes(8)) == "0000-0000-0000"
    assert format_code(b"\xff" * 8) == "ZZZZ-ZZZZ-ZZZZ"
    assert format_code(b"\xff" * 7 + b"\xf0") == format_code(b"\xff" * 8)


@pytest.mark.parametrize("text", ["", "7Q2M-X9TR", "7Q2M-X9TR-04K", "7Q2M-X9TR-04KU", "7Q2M-X9TR-04KD-0000", "浙-"])
def test_parse_code_of_another_form_is_malformed(text: str) -> None:
    """U is no letter of the alphabet, and twelve is the number."""
    with pytest.raises(MalformedError, match="WATERMARK_CODE"):
        parse_code(text)


def test_format_code_of_too_few_bytes_is_malformed() -> None:
    """A short HMAC would be guessed."""
    with pytest.raises(MalformedError, match="WATERMARK_CODE"):
        format_code(b"1234567")


def test_reading_text_differs_in_each_part() -> None:
    """Office, officer, time and fetch each make another code."""
    names = {
        "agency": parse_agency_id("jiangxi/361123/police"),
        "officer": "officer-7",
        "time": datetime(2026, 11, 23, 8, tzinfo=UTC),
        "request_digest": "ab" * 32,
    }
    others = {
        "agency": parse_agency_id("jiangxi/361104/police"),
        "officer": "officer-8",
        "time": datetime(2026, 11, 23, 8, 0, 0, 1000, tzinfo=UTC),
        "request_digest": "cd" * 32,
    }
    texts = [reading_text(**names), *(reading_text(**{**names, name: other}) for name, other in others.items())]

    assert len({hashlib.sha256(text.encode()).digest() for text in texts}) == 5
