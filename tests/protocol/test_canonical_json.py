"""Strict JSON: one value, one byte string."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.form import (
    MAX_INTEGER,
    Count,
    Digest,
    Item,
    decode_canonical,
    encode_canonical,
    expect_names,
    from_object,
    read_object,
    read_text,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)


def refused(call, *args, **kwargs):
    with pytest.raises(MalformedError) as caught:
        call(*args, **kwargs)
    return caught.value.reason


@given(OBJECTS)
def test_decode_reads_back_what_encode_writes(value):
    """Encoding is a bijection between values and their canonical bytes."""
    encoded = encode_canonical(value)

    assert decode_canonical(encoded, what="x") == value
    assert encode_canonical(decode_canonical(encoded, what="x")) == encoded


@given(OBJECTS, st.sampled_from([{"indent": 1}, {"separators": (", ", ":")}, {"separators": (",", ": ")}]))
def test_decode_of_another_spacing_refuses(value, style):
    """The same value in other bytes is refused."""
    other = json.dumps(value, ensure_ascii=False, sort_keys=True, **style).encode()

    if other != encode_canonical(value):
        assert refused(decode_canonical, other, what="x") == "JSON_NOT_CANONICAL"


@given(st.binary(max_size=60) | TEXT.map(str.encode))
def test_decode_of_any_bytes_raises_only_our_errors(encoded):
    """No ValueError leaves the decoder, whatever comes in."""
    try:
        value = decode_canonical(encoded, what="x")
    except MalformedError:
        return
    assert encode_canonical(value) == encoded


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b'{"a":"\xff"}', "JSON_UTF8"),
        (b'{"a":"\\ud800"}', "JSON_UTF8"),
        (b"", "JSON_SYNTAX"),
        (b'{"a":1}x', "JSON_SYNTAX"),
        (b'{"a":1}{"a":1}', "JSON_SYNTAX"),
        (b'{"a":"\x01"}', "JSON_SYNTAX"),
        (b'\xef\xbb\xbf{"a":1}', "JSON_SYNTAX"),
        (b"{'a':1}", "JSON_SYNTAX"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "JSON_SYNTAX"),
        (b'{"a":01}', "JSON_SYNTAX"),
        (b'{"a":1.0}', "JSON_FLOAT"),
        (b'{"a":1e3}', "JSON_FLOAT"),
        (b'{"a":NaN}', "JSON_FLOAT"),
        (b'{"a":-Infinity}', "JSON_FLOAT"),
        (b'{"a":9007199254740992}', "JSON_NUMBER"),
        (b'{"a":-9007199254740992}', "JSON_NUMBER"),
        (b'{"a":' + b"9" * 5000 + b"}", "JSON_NUMBER"),
        (b'{"a":1,"a":1}', "JSON_DUPLICATE_NAME"),
        (b'{"a":{"b":1,"b":2}}', "JSON_DUPLICATE_NAME"),
        (b"[]", "JSON_OBJECT"),
        (b"null", "JSON_OBJECT"),
        (b'"a"', "JSON_OBJECT"),
        (b'{"b":1,"a":1}', "JSON_NOT_CANONICAL"),
        (b'{"a": 1}', "JSON_NOT_CANONICAL"),
        (b'{"a":1}\n', "JSON_NOT_CANONICAL"),
        (b'{"a":-0}', "JSON_NOT_CANONICAL"),
        (b'{"a":"\\u0041"}', "JSON_NOT_CANONICAL"),
        (b'{"a":"\\/"}', "JSON_NOT_CANONICAL"),
        (b'{"a":"\\u6865"}', "JSON_NOT_CANONICAL"),
    ],
    ids=repr,
)
def test_decode_of_another_form_refuses_with_its_reason(encoded, reason):
    """Each rule of the form has its own stable reason."""
    assert refused(decode_canonical, encoded, what="x") == reason


def test_encode_of_a_lone_surrogate_refuses():
    """A lone surrogate has no UTF-8 form."""
    assert refused(encode_canonical, {"a": "\ud800"}) == "JSON_UTF8"


def test_expect_names_allows_required_and_optional_only():
    """The set of names is exact: none is missing, none is unknown."""
    expect_names({"a": 1, "b": 2}, ("a",), ("b",), what="x")
    expect_names({"a": 1}, ("a",), ("b",), what="x")

    assert refused(expect_names, {"b": 1}, ("a",), ("b",), what="x") == "JSON_MISSING_NAME"
    assert refused(expect_names, {"a": 1, "c": 1}, ("a",), ("b",), what="x") == "JSON_UNKNOWN_NAME"


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (read_text, ["", "桥"], [1, None, True, [], {}]),
        (read_object, [{}, {"b": 1}], ["", None, [], 1]),
    ],
)
def test_read_of_a_field_returns_its_type_or_refuses(read, good, bad):
    """A field has one type: null is no string."""
    for value in good:
        assert read({"a": value}, "a", what="x") == value
    for value in bad:
        assert refused(read, {"a": value}, "a", what="x") == "JSON_TYPE"


def test_read_of_an_absent_field_refuses():
    """Absent is not null."""
    for read in (read_text, read_object):
        assert refused(read, {}, "a", what="x") == "JSON_TYPE"


class Counted(Item, frozen=True, kw_only=True):
    count: Count


class Digested(Item, frozen=True, kw_only=True):
    digest: Digest


@pytest.mark.parametrize("number", [0, 1, MAX_INTEGER])
def test_a_count_is_read_as_it_is_written(number):
    """From nothing to the largest integer that every reader of JSON keeps exactly."""
    assert from_object(Counted, {"count": number}).count == number


@pytest.mark.parametrize("other", ["1", None, True, False, -1, MAX_INTEGER + 1])
def test_a_count_of_another_type_refuses(other):
    """A boolean is no integer."""
    assert refused(from_object, Counted, {"count": other}) == "JSON_TYPE"


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", "０" * 64])
def test_a_digest_of_another_form_refuses(text):
    """A digest is exactly 64 lower-case ASCII hex digits."""
    assert refused(from_object, Digested, {"digest": text}) == "JSON_DIGEST"
