"""An enterprise's record: what is taken, what is stored, what shows a person."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.registers import ENTERPRISE_FIELDS, decode_enterprise, enterprise_texts, verify_enterprise
from federation.protocol.errors import CorruptError, MalformedError, RuleError
from federation.protocol.form import encode, replace
from federation.protocol.ids import Realm

TODAY = date(2026, 11, 23)


def test_stored_enterprise_comes_back_equal(enterprise):
    """Every fact is stored and read back, and has its text."""
    assert verify_enterprise(enterprise, Realm.DEMO, today=TODAY) is enterprise
    assert decode_enterprise(encode(enterprise)) == enterprise
    assert set(enterprise_texts(enterprise)) == set(ENTERPRISE_FIELDS)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"uscc": "N2330822MF00000019"}, "REAL_USCC_IN_DEMO"),
        ({"uscc": "12361123DEM0000018"}, "USCC_CHECKSUM"),
        ({"name": " "}, "REGISTER_TEXT"),
        ({"division": "常山县"}, "REGISTER_DIVISION"),
        ({"legal_form": ""}, "REGISTER_TEXT"),
        ({"legal_representative": "x" * 101}, "REGISTER_TEXT"),
        ({"representative_number": "361123219003070013"}, "CITIZEN_NUMBER_CHECKSUM"),
    ],
)
def test_verify_refuses_what_no_enterprise_of_the_realm_has(enterprise, changes, reason):
    """Each fault has its own reason, and none shows the person."""
    with pytest.raises(MalformedError) as caught:
        verify_enterprise(replace(enterprise, **changes), Realm.DEMO, today=TODAY)
    assert caught.value.reason == reason
    assert enterprise.representative_number not in str(caught.value)
    assert enterprise.uscc not in str(caught.value)


def test_verify_refuses_a_registration_of_tomorrow(enterprise):
    """No enterprise was registered after today."""
    with pytest.raises(RuleError, match="REGISTERED_LATER"):
        verify_enterprise(replace(enterprise, registered_on=date(2026, 11, 24)), Realm.DEMO, today=TODAY)


@given(content=st.binary(max_size=60))
def test_other_stored_bytes_are_corrupt(content):
    """Bytes that we did not write are for a human to look at."""
    with pytest.raises(CorruptError, match="ENTERPRISE_RECORD"):
        decode_enterprise(content)


def test_repr_shows_no_person(enterprise):
    """A log line or a traceback names nobody."""
    assert enterprise.legal_representative not in repr(enterprise)
    assert enterprise.uscc not in repr(enterprise)
