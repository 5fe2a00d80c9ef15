"""Plates: one written form, what people type, classes by form, and the realm guard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli.demo.synthetic import synthetic_plate
from federation.domain.plates import (
    PLATE_CLASS_CODES,
    PLATE_PROVINCES,
    PlateClass,
    looks_like_plate,
    normalise_plate,
    parse_plate,
    usual_class,
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
        "浙hi0001",
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


ORDINARY = {"large_car", "small_car", "motorcycle", "moped", "low_speed"}


@pytest.mark.parametrize(
    ("plate", "fitting"),
    [
        ("浙H·I0001", ORDINARY),
        ("浙H·I001挂", {"trailer"}),
        ("浙H·I001学", {"school_car", "school_motorcycle"}),
        ("浙H·I001警", {"police_car", "police_motorcycle"}),
        ("沪A·I001领", {"consulate_car", "consulate_motorcycle"}),
        ("使I01·001", {"embassy_car", "embassy_motorcycle"}),
        ("粤Z·I001港", {"hong_kong"}),
        ("粤Z·I001澳", {"macau"}),
        ("浙H·I001试", {"trial_car", "trial_motorcycle", "temporary"}),
        ("浙H·I001超", {"temporary"}),
        *((f"浙H·{letter}I0001", {"new_energy_small"}) for letter in "ABCDEFGHJK"),
        ("浙H·DA0I01", {"new_energy_small"}),
        *((f"浙H·I0001{letter}", {"new_energy_large"}) for letter in "ABCDEFGHJK"),
    ],
)
def test_class_fits_the_form_of_its_plate(plate, fitting):
    """GA 36: what ends a serial or makes it six long shows the class; the rest share one form. The first is the usual."""
    parse_plate(plate, Realm.DEMO)
    assert usual_class(plate) in fitting
    for plate_class in PlateClass:
        if plate_class in fitting:
            assert verify_plate_class(plate, plate_class) is plate_class
        else:
            with pytest.raises(MalformedError, match="PLATE_CLASS") as caught:
                verify_plate_class(plate, plate_class)
            assert all(each in caught.value.message for each in fitting)
            assert plate not in caught.value.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("浙H·I001", "现为4位"),
        ("浙H·I000001", "现为7位"),
        ("浙I·I0001", "发牌机关字母"),
        ("浙1·I0001", "发牌机关字母"),
        ("浙H·LI0001", "新能源"),
        ("浙H·DI000A", "新能源"),
        ("浙H·0I001L", "新能源"),
        ("浙H·DABI01", "新能源"),
        ("浙H·I001港", "粤Z"),
        ("粤Z·I01港", "粤Z"),
        ("浙H·I00东1", "字母或数字"),
        ("使I01·0012", "6位数字"),
        ("浙h·I0001", "大写字母"),
        ("浙HI0001", "大写字母"),
        ("WJ浙I0001", "武警"),
        ("WJ31·12345", "武警"),
        ("VA·12345", "军队"),
        ("军A·12345", "军队"),
        ("空K12345", "军队"),
        ("浙X·0001应急", "应急"),
        ("浙31·12345", "旧式"),
        ("浙江31-12345", "旧式"),
        ("浙O·12345", "停用"),
        ("某H·I0001", "省份简称"),
        ("", "省份简称"),
    ],
)
def test_what_is_wrong_with_a_plate_is_said_in_words(text, told):
    """The army's and others' are told as not of this register; the text itself is not shown."""
    with pytest.raises(MalformedError, match="PLATE_FORM") as caught:
        parse_plate(text, Realm.DEMO)
    chinese, _, english = caught.value.message.partition(" | ")
    assert told in chinese
    assert english
    assert not text or text not in caught.value.message


@pytest.mark.parametrize(
    "text", ["浙H·I0001", "浙h i00", "浙31-12345", "粤ZI234港", "使014578", "ＷＪ浙12345", "VA12345", "浙O12345"]
)
def test_text_that_is_meant_as_a_plate_is_taken_for_one(text):
    """So that a look-up says what is wrong with it."""
    assert looks_like_plate(text)


@pytest.mark.parametrize(
    "text", ["", "宁静", "云谷雨", "徐谷雨", "361123219003070012", "12361123DEM0000017", "使用", "HZ-1", "V"]
)
def test_name_or_number_is_no_plate(text):
    """A surname may be a province's character; behind that of a plate stands a letter or a digit."""
    assert not looks_like_plate(text)


def test_every_class_has_its_number_in_the_standard():
    """GA/T 16.7: two digits each, no two alike."""
    assert set(PLATE_CLASS_CODES) == set(PlateClass)
    assert len(set(PLATE_CLASS_CODES.values())) == len(PlateClass)


def test_synthetic_plate_is_of_the_written_form():
    """The invented plates of the demo are taken by it."""
    assert parse_plate(synthetic_plate("浙H", 1), Realm.DEMO) == PLATE
