"""GB 32100: alphabet, classes, check character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc as published

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.uscc import format_uscc, is_possible_uscc, parse_uscc
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm


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
        ("94361123DEM0000017", "USCC_CLASS"),
        ("12991123DEM0000017", "USCC_DIVISION"),
        ("12003082DEM0000017", "USCC_DIVISION"),
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


def test_code_of_the_state_is_accepted():
    """What a body of the State registers has the division 100000."""
    assert parse_uscc(format_uscc("11", "100000", organisation="000000015")).division == "100000"


def test_all_faults_are_told_at_once_in_words_and_without_the_code():
    """Whoever compares the licence once finds all of them."""
    with pytest.raises(MalformedError) as caught:
        parse_uscc("0236A12OdEM0000017")
    chinese, _, english = caught.value.message.partition(" | ")
    assert caught.value.reason == "USCC_FORM"
    assert all(each in chinese for each in ("第8、9位", "前两位", "第3至8位应为数字"))
    assert english.isascii()


@given(first=st.integers(10_000_000, 99_999_999), realm=st.sampled_from([None, *Realm]))
def test_digits_alone_can_be_a_code_when_their_own_check_fits(first, realm):
    """GB 11714: an organisation code has a check digit of its own; no invented code is of digits."""
    total = sum(int(digit) * weight for digit, weight in zip(str(first), (3, 7, 9, 10, 5, 8, 4, 2), strict=True))
    fitting = "0123456789X0"[11 - total % 11]
    for last in "0123456789X":
        code = format_uscc("11", "330822", organisation=f"{first}{last}")
        assert is_possible_uscc(code, realm) is (last == fitting and realm is not Realm.DEMO)


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
