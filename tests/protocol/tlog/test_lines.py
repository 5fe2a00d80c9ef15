"""The strict small pieces: decimals, base64, hashes, text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.ids import (
    MAX_DECIMAL,
    format_base64,
    format_decimal,
    parse_base64,
    parse_decimal,
    parse_hash,
    parse_text,
    require_text,
    split_lines,
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+1",
        "-1",
        "01",
        "00",
        "1_0",
        " 1",
        "1 ",
        "1\n",
        "0x1",
        "1.0",
        "\u0661",
        "\uff11",
        "9223372036854775808",
        "1" * 5000,
    ],
)
def test_parse_decimal_other_form_is_refused(text):
    """Only `0` or ASCII digits without a leading zero, below 2^63, are a decimal (rule 2)."""
    with pytest.raises(MalformedError) as caught:
        parse_decimal(text, "a size")

    assert caught.value.reason == "DECIMAL"


@given(st.integers(0, MAX_DECIMAL))
def test_decimal_round_trips(number):
    """Every number in range reads back as itself."""
    assert parse_decimal(format_decimal(number, "a size"), "a size") == number


@pytest.mark.parametrize("number", [-1, MAX_DECIMAL + 1])
def test_format_decimal_out_of_range_is_refused(number):
    """Nothing is written that would not be read."""
    with pytest.raises(MalformedError):
        format_decimal(number, "a size")


@pytest.mark.parametrize(
    "text",
    ["AA", "AA=", "AB==", "AAB=", "A A==", "AA==\n", "AA==AA==", "====", "-_==", "AA\u00e9=", "A", "AAAA="],
)
def test_parse_base64_not_canonical_is_refused(text):
    """Non-zero pad bits, missing padding, spaces and other alphabets are refused (rule 3)."""
    with pytest.raises(MalformedError) as caught:
        parse_base64(text, "a hash")

    assert caught.value.reason == "BASE64"


@given(st.binary())
def test_base64_round_trips(blob):
    """All bytes read back as themselves."""
    assert parse_base64(format_base64(blob), "bytes") == blob


@given(st.text(alphabet="AB+/=g", max_size=9))
def test_parse_base64_accepts_only_what_it_would_write(text):
    """What is accepted is the one way to write it."""
    try:
        blob = parse_base64(text, "bytes")
    except MalformedError:
        return
    assert format_base64(blob) == text


@pytest.mark.parametrize("size", [0, 31, 33])
def test_parse_hash_wrong_length_is_refused(size):
    """A hash has 32 bytes."""
    with pytest.raises(MalformedError) as caught:
        parse_hash(format_base64(bytes(size)), "a root")

    assert caught.value.reason == "HASH_SIZE"


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"a",
        b"a\r\n",
        b"a\tb\n",
        b"\x00\n",
        b"a\x0bb\n",
        b"a\x0cb\n",
        b"a\x1fb\n",
        b"\xff\n",
        b"\xed\xa0\x80\n",
        b"\xc0\x8a\n",
    ],
    ids=["empty", "no-LF", "CR", "tab", "NUL", "VT", "FF", "US", "no-UTF-8", "surrogate", "overlong"],
)
def test_parse_text_forbidden_byte_is_refused(blob):
    """Text is UTF-8, ends in LF and has no other byte below 0x20 (rules 1 and 4)."""
    with pytest.raises(MalformedError) as caught:
        parse_text(blob, 100)

    assert caught.value.reason == "TEXT"


def test_parse_text_over_the_limit_is_refused_before_decoding():
    """The size is judged first."""
    with pytest.raises(MalformedError) as caught:
        parse_text(b"\xff" * 101, 100)

    assert caught.value.reason == "TEXT_SIZE"


def test_require_text_lone_surrogate_is_refused():
    """What UTF-8 cannot carry is no text of a note."""
    with pytest.raises(MalformedError):
        require_text("\ud800\n")


def test_split_lines_keeps_other_line_ends_inside_a_line():
    """U+0085 and U+2028 do not end a line (rule 1)."""
    assert split_lines("a\u0085b\u2028c\nd\n") == ["a\u0085b\u2028c", "d"]


def test_split_lines_without_last_line_feed_is_refused():
    """A missing final LF is an error (rule 4)."""
    with pytest.raises(MalformedError):
        split_lines("a\nb")
