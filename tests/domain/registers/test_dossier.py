"""What names a record, and which of two numbers eighteen characters are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.citizen_number import check_character, is_citizen_number
from federation.domain.registers import (
    DOSSIER_FIELDS,
    REPRESENTATIVE_FIELDS,
    DossierKind,
    DossierRef,
    format_dossier_urn,
    parse_dossier_urn,
)
from federation.domain.uscc import format_uscc
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("urn:vehicle:330822:000001", DossierKind.VEHICLE),
        ("urn:enterprise:361123:123456789012", DossierKind.ENTERPRISE),
        ("urn:permit:330822:2026:000123", DossierKind.PERMIT),
    ],
)
def test_name_of_a_record_says_its_kind(text, kind):
    """The kind is part of the name."""
    assert parse_dossier_urn(text) == DossierRef(kind=kind, id=text)


@pytest.mark.parametrize(
    "text",
    ["", "urn:vehicle:33082:000001", "urn:vehicle:330822:1", "urn:given:330822:000001", "urn:permit:330822:2026:",
     "urn:vehicle:330822:000001\n", "urn:vehicle:330822:00000१"],
)  # fmt: skip
def test_other_names_are_refused(text):
    """What stands in a stored handle is one of ours."""
    with pytest.raises(MalformedError) as caught:
        parse_dossier_urn(text)
    assert caught.value.reason in {"DOSSIER_URN", "PERMIT_URN"}


@given(serial=st.integers(1, 10**12 - 1), kind=st.sampled_from([DossierKind.VEHICLE, DossierKind.ENTERPRISE]))
def test_formatted_name_parses_back(serial, kind):
    """Serials have at least six digits."""
    assert parse_dossier_urn(format_dossier_urn(kind, "330822", serial=serial)).kind is kind


def test_fields_of_the_kinds():
    """Every kind has its fields; the person behind an enterprise is among its own."""
    assert set(DOSSIER_FIELDS) == set(DossierKind)
    assert DOSSIER_FIELDS[DossierKind.ENTERPRISE] >= REPRESENTATIVE_FIELDS
    assert "keeper" in DOSSIER_FIELDS[DossierKind.VEHICLE]


def test_digits_are_a_citizen_number_unless_they_can_be_a_uscc_only():
    """A USCC may consist of digits; a citizen number with a wrong check character stays one, to be told so."""
    assert is_citizen_number("361123219003070012")
    assert is_citizen_number("361123219003070013")
    assert not is_citizen_number("12361123DEM0000017")
    assert not is_citizen_number("徐谷雨")
    codes = [format_uscc("91", "330822", organisation=f"{number:09d}") for number in range(700_000_000, 700_000_200)]
    digits = [code for code in codes if code[:17].isdigit() and code[17] in "0123456789X"]
    assert digits
    assert not any(map(is_citizen_number, digits)), "no province begins with 91"
    schools = [format_uscc("12", "330822", organisation=f"{number:09d}") for number in range(30_701_000, 30_703_000)]
    both = [code for code in schools if code[:17].isdigit() and code[17] == check_character(code[:17])]
    assert any(is_citizen_number(code, Realm.DEMO) for code in both)
    assert not any(is_citizen_number(code, Realm.LIVE) for code in both), "nobody alive was born in 2200"
