"""Typed reading of the agreed TOML files."""

import contextlib
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.rules.toml_fields import (
    expect_keys,
    parse_toml,
    read_choice,
    read_date,
    read_number,
    read_string,
    read_strings,
)
from federation.protocol.errors import MalformedError


class Colour(StrEnum):
    RED = "red"


@given(text=st.text(max_size=60))
def test_parse_toml_raises_nothing_but_malformed(text):
    """Any text is a table or malformed."""
    with contextlib.suppress(MalformedError):
        assert isinstance(parse_toml(text, what="test"), dict)


def test_parse_toml_of_another_syntax_is_refused():
    """The error names the file."""
    with pytest.raises(MalformedError) as caught:
        parse_toml("a = ", what="clocks")
    assert caught.value.reason == "TOML_SYNTAX"
    assert "clocks" in caught.value.message


def test_readers_give_the_value_or_the_default():
    """A default stands for an absent value, never for a wrong one."""
    table = parse_toml('a = "x"\nb = 3\nc = ["y"]\nd = 2026-01-01\ne = "red"', what="test")
    assert read_string(table, "a", what="test") == "x"
    assert read_string(table, "z", what="test", default="w") == "w"
    assert read_number(table, "b", what="test") == 3
    assert read_number(table, "z", what="test", default=4) == 4
    assert read_strings(table, "c", what="test") == ("y",)
    assert read_strings(table, "z", what="test") == ()
    assert read_date(table, "d", what="test").isoformat() == "2026-01-01"
    assert read_choice(table, "e", Colour, what="test") is Colour.RED
    with pytest.raises(MalformedError):
        read_string(table, "b", what="test", default="w")
    with pytest.raises(MalformedError):
        read_choice(table, "a", Colour, what="test")


def test_expect_keys_names_the_stranger():
    """A misspelt name is refused and not ignored."""
    with pytest.raises(MalformedError) as caught:
        expect_keys({"amuont": 1}, frozenset({"amount"}), what="clock x")
    assert "amuont" in caught.value.message
    assert "clock x" in caught.value.message
