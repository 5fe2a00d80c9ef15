"""A vehicle's record: what is taken, what is stored, what shows a person."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.plates import PlateClass
from federation.domain.registers import (
    VEHICLE_FIELDS,
    Vehicle,
    VehicleStatus,
    decode_vehicle,
    vehicle_texts,
    verify_keeper,
    verify_vehicle,
)
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import encode, replace
from federation.protocol.ids import Realm
from tests.seen import SEEN

TODAY = date(2026, 11, 23)


def test_verify_takes_a_person_or_an_organisation_as_keeper(vehicle):
    """A keeper is a citizen number or a USCC."""
    assert verify_vehicle(vehicle, Realm.DEMO, today=TODAY) is vehicle
    company = replace(vehicle, keeper=synthetic_uscc("330822", 7).value, permit=None)
    assert verify_vehicle(company, Realm.DEMO, today=TODAY) is company


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plate": "浙H·I0042".replace("I", "1")}, "REAL_PLATE_IN_DEMO"),
        ({"plate": "浙HI0001"}, "PLATE_FORM"),
        ({"plate_class": PlateClass.TRAILER}, "PLATE_CLASS"),
        ({"brand_model": ""}, "REGISTER_TEXT"),
        ({"colour": "白\n"}, "REGISTER_TEXT"),
        ({"registered_division": "3308"}, "REGISTER_DIVISION"),
        ({"keeper": "徐谷雨"}, "KEEPER_FORM"),
        ({"keeper": "361123219003070013"}, "CITIZEN_NUMBER_CHECKSUM"),
        ({"keeper": "N2330822MF00000019"}, "REAL_USCC_IN_DEMO"),
        ({"permit": "urn:permit:33:1"}, "PERMIT_URN"),
    ],
)
def test_verify_refuses_what_no_vehicle_of_the_realm_has(vehicle, changes, reason):
    """Each fault has its own reason, and none shows plate or keeper."""
    with pytest.raises(MalformedError) as caught:
        verify_vehicle(replace(vehicle, **changes), Realm.DEMO, today=TODAY)
    assert caught.value.reason == reason
    assert vehicle.keeper not in str(caught.value)
    assert vehicle.plate not in str(caught.value)


def test_verify_refuses_a_registration_of_tomorrow(vehicle):
    """No vehicle was registered after today."""
    with pytest.raises(RuleError, match="REGISTERED_LATER"):
        verify_vehicle(replace(vehicle, first_registered=date(2026, 11, 24)), Realm.DEMO, today=TODAY)


def test_keeper_of_another_realm_is_refused():
    """Invented numbers do not enter the live realm."""
    for keeper in ("361123219003070012", synthetic_uscc("330822", 7).value):
        with pytest.raises(MalformedError):
            verify_keeper(keeper, Realm.LIVE)


words = st.text(SEEN.filter(lambda sign: " " < sign <= "\u9fff" and sign.isprintable()), min_size=1)


@given(
    brand=words, colour=words, status=st.sampled_from(VehicleStatus), plate_class=st.sampled_from(PlateClass),
    day=st.dates(), sealed=st.booleans(), permit=st.sampled_from([None, "urn:permit:330822:2026:000123"]),
)  # fmt: skip
def test_stored_vehicle_comes_back_equal(brand, colour, status, plate_class, day, sealed, permit):
    """Every fact is stored and read back, and has its text."""
    vehicle = Vehicle(
        plate="浙H·I0042", plate_class=plate_class, brand_model=brand, colour=colour, status=status,
        registered_division="330822", first_registered=day, keeper="361123219003070012", permit=permit, sealed=sealed,
    )  # fmt: skip
    assert decode_vehicle(encode(vehicle)) == vehicle
    assert set(vehicle_texts(vehicle)) <= set(VEHICLE_FIELDS)


@given(content=st.binary(max_size=60))
def test_other_stored_bytes_are_corrupt(content):
    """Bytes that we did not write are for a human to look at."""
    with pytest.raises(CorruptError, match="VEHICLE_RECORD"):
        decode_vehicle(content)


@pytest.mark.parametrize("word", ["plate_class", "status", "first_registered", "sealed"])
def test_stored_vehicle_with_another_word_is_corrupt(vehicle, word):
    """A class, status, day or flag that we do not know is none of ours."""
    encoded = encode(vehicle)
    for now in (b'"small_car"', b'"normal"', b'"2024-03-05"', b"false"):
        with pytest.raises(CorruptError):
            decode_vehicle(encoded.replace(now, b'"x"'))
    with pytest.raises(CorruptError):
        decode_vehicle(encoded.replace(f'"{word}"'.encode(), b'"other"'))


def test_repr_shows_neither_plate_nor_keeper(vehicle):
    """A log line or a traceback names nobody."""
    assert vehicle.plate not in repr(vehicle)
    assert vehicle.keeper not in repr(vehicle)
