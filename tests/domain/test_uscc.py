"""GB 32100: alphabet, classes, check character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc as published

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.uscc import format_uscc, parse_uscc
from federation.protocol.errors import MalformedError


def test_parse_synthetic_vector_takes_it_apart():
    """The published synthetic vector of Yushan passes and is known as synthetic."""
    parsed = parse_uscc("12361123DEM0000017")
    assert (parsed.authority, parsed.kind, parsed.division, parsed.organisation) == ("1", "2", "361123", "DEM000001")
    assert parsed.is_synthetic()


def test_parse_class_n_is_accepted():
    """Rural collective economic organisations register under class N."""
    parsed = parse_uscc("N2330822MF00000019")
    assert parsed.authority == "N"
    assert not parsed.is_synthetic()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12361123DEM000001", "USCC_LENGTH"),
        ("12361123DEM00000170", "USCC_LENGTH"),
        ("12361123DEM0000018", "USCC_CHECKSUM"),
        ("12361123DEMO000017", "USCC_FORM"),
        ("12361123dem0000017", "USCC_FORM"),
        ("1236112ADEM0000017", "USCC_FORM"),
        ("02361123DEM0000017", "USCC_CLASS"),
    ],
)
def test_parse_other_form_is_refused(text, reason):
    """Each fault has its own reason."""
    with pytest.raises(MalformedError) as caught:
        parse_uscc(text)
    assert caught.value.reason == reason


@given(organisation=st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=9, max_size=9), kind=st.sampled_from("1239"))
def test_format_agrees_with_stdnum(organisation, kind):
    """What is formatted parses back, and python-stdnum agrees with the check character."""
    code = format_uscc("9" + kind, "330822", organisation=organisation)
    assert parse_uscc(code).value == code
    assert published.is_valid(code)


def test_format_refuses_parts_of_another_length():
    """Seventeen characters are needed before the check character."""
    with pytest.raises(MalformedError):
        format_uscc("91", "330822", organisation="DEM0")


@given(text=st.text(max_size=20))
def test_parse_any_text_raises_nothing_but_malformed(text):
    """No other error leaks from any text."""
    with pytest.raises(MalformedError):
        parse_uscc(text)


def test_synthetic_uscc_is_of_the_invented_series():
    """Synthetic enterprises carry `DEM0`."""
    assert synthetic_uscc("330822", 7).is_synthetic()
