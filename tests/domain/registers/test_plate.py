"""Plates: one written form, what people type, classes by form, and the realm guard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli.demo.synthetic import synthetic_plate
from federation.domain.registers import (
    PLATE_CLASS_CODES,
    PLATE_PROVINCES,
    PlateClass,
    normalise_plate,
    parse_plate,
    verify_plate_class,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm

PLATE = "浙H·I0001"


@st.composite
def plates(draw):
    serial = draw(st.text("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=4, max_size=4))
    place = draw(st.integers(0, 4))
    return (
        draw(st.sampled_from(PLATE_PROVINCES))
        + draw(st.sampled_from("ABCDEFGHJKLMNPQRSTUVWXYZ"))
        + "·"
        + serial[:place]
        + draw(st.sampled_from("IO"))
        + serial[place:]
    )


@given(plate=plates())
def test_parse_takes_every_invented_plate_and_the_live_realm_none(plate):
    """An I or O in the serial was never issued: the demo realm takes it, the live realm does not."""
    assert parse_plate(plate, Realm.DEMO) == plate
    with pytest.raises(MalformedError, match="PLATE_NEVER_ISSUED"):
        parse_plate(plate, Realm.LIVE)


def test_parse_of_an_issuable_plate_is_for_the_live_realm_only():
    """Real plates never enter the demo."""
    plate = PLATE.replace("I", "1")
    assert parse_plate(plate, Realm.LIVE) == plate
    with pytest.raises(MalformedError, match="REAL_PLATE_IN_DEMO"):
        parse_plate(plate, Realm.DEMO)


@pytest.mark.parametrize(
    "text",
    [
        "浙HI0001", "浙H-I0001", "浙h·I0001", "浙H·i0001", "浙H·I001", "浙H·I000001", "浙I·I0001", "A H·I0001", "",
        "浙H·I0001 ", "浙H·I00*1", "浙H·XI0001", "浙H·I000学1", "某H·I0001",
    ],
)  # fmt: skip
def test_parse_other_form_is_refused_and_not_shown(text):
    """One written form; the message never shows what was given."""
    with pytest.raises(MalformedError) as caught:
        parse_plate(text, Realm.DEMO)
    assert caught.value.reason == "PLATE_FORM"
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "typed",
    [
        PLATE,
        "浙HI0001",
        "浙h·i0001",
        "浙H-I0001",
        "浙H I0001",
        "浙H.I0001",
        "浙H・I0001",
        "浙Ｈ·Ｉ００01",
        "浙h i 0001",
    ],
)
def test_normalise_brings_what_people_type_into_the_written_form(typed):
    """Full width, lower case, any dot, hyphen or blank: at a desk they mean the same plate."""
    assert normalise_plate(typed) == PLATE


@given(text=st.text(max_size=20))
def test_normalise_guesses_nothing(text):
    """What is no plate comes back as it was typed; what comes back once stays so."""
    once = normalise_plate(text)
    assert normalise_plate(once) == once
    with pytest.raises(MalformedError):
        parse_plate("x" + once, Realm.DEMO)


@pytest.mark.parametrize(
    ("plate", "fitting"),
    [
        ("浙H·I0001", {"large_car", "small_car", "motorcycle", "moped"}),
        ("浙H·I001挂", {"trailer"}),
        ("浙H·I001学", {"school_car"}),
        ("浙H·DI0001", {"new_energy_small"}),
        ("浙H·I0001D", {"new_energy_large"}),
    ],
)
def test_class_fits_the_form_of_its_plate(plate, fitting):
    """Trailers, school cars and new energy show their class; the others share one form."""
    parse_plate(plate, Realm.DEMO)
    for plate_class in PlateClass:
        if plate_class in fitting:
            assert verify_plate_class(plate, plate_class) is plate_class
        else:
            with pytest.raises(MalformedError, match="PLATE_CLASS"):
                verify_plate_class(plate, plate_class)


def test_every_class_has_its_number_in_the_standard():
    """GA/T 16.7: two digits each, no two alike."""
    assert set(PLATE_CLASS_CODES) == set(PlateClass)
    assert len(set(PLATE_CLASS_CODES.values())) == len(PlateClass)


def test_synthetic_plate_is_of_the_written_form():
    """The invented plates of the demo are taken by it."""
    assert parse_plate(synthetic_plate("浙H", 1), Realm.DEMO) == PLATE
