"""The permit on the wire: exactly the projected fields, in one spelling, of the right realm."""

import json
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.cli.demo.synthetic import synthetic_permits
from federation.domain.citizen_number import format_citizen_number
from federation.domain.division import NODES
from federation.domain.permits import (
    ALWAYS_FIELDS,
    PERMIT_FIELDS,
    PermitItem,
    PermitStatus,
    decode_permit_item,
    keep_fields,
    project_permit,
)
from federation.protocol.errors import MalformedError
from federation.protocol.form import encode, encode_canonical, replace
from federation.protocol.ids import Realm
from tests.seen import SEEN

EVERY = frozenset(PERMIT_FIELDS)
SUBSETS = st.frozensets(st.sampled_from(PERMIT_FIELDS))


def value_of(permit, fields=EVERY):
    return json.loads(encode(project_permit(permit, fields)))


def refuse(encoded, realm=Realm.DEMO):
    with pytest.raises(MalformedError) as caught:
        decode_permit_item(encoded, realm)
    return caught.value


def test_permit_fields_name_the_item(permit):
    """Every field name is one of the item's own, and a full permit fills them all."""
    assert tuple(sorted(PermitItem.__struct_fields__)) == tuple(sorted(PERMIT_FIELDS))
    assert set(value_of(permit)) == EVERY


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=SUBSETS)
def test_project_permit_gives_exactly_the_named_fields(permit, fields):
    """What was not granted is not in the bytes; the four that every replica needs always are."""
    assert set(value_of(permit, fields)) == fields | ALWAYS_FIELDS


def test_project_permit_refuses_an_unknown_field(permit):
    """A policy that names a field which does not exist is a mistake, not an empty projection."""
    with pytest.raises(MalformedError) as caught:
        project_permit(permit, frozenset({"urn", "religion"}))
    assert caught.value.reason == "PERMIT_FIELD"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(had=SUBSETS, kept=SUBSETS)
def test_keep_fields_never_adds_and_drops_all_others(permit, had, kept):
    """A copy keeps what it had and may keep; the four that every replica needs stay."""
    assert keep_fields(project_permit(permit, had), kept) == project_permit(permit, had & kept)


@pytest.mark.parametrize("node", NODES)
def test_decode_inverts_encode_for_synthetic_permits(node):
    """Decoding gives the same item, encoding again the same bytes, for every projection."""
    for number, permit in enumerate(synthetic_permits(node, 100, seed=3, today=date(2026, 11, 23))):
        fields = frozenset(PERMIT_FIELDS[number % 5 :: 1 + number % 3])
        item = project_permit(permit, fields)
        encoded = encode(item)
        assert decode_permit_item(encoded, Realm.DEMO) == item
        assert encoded == encode_canonical(json.loads(encoded))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=SUBSETS,
    name=st.text(SEEN, min_size=1, max_size=200),
    day=st.dates(),
    version=st.integers(1, 2**53 - 1),
)
def test_decode_inverts_encode_for_any_text_and_date(permit, fields, name, day, version):
    """Rare characters, quotation marks and backslashes survive; so does every date."""
    holder = replace(permit.holder, name=name)
    item = project_permit(replace(permit, holder=holder, version=version, counted_from=day), fields)
    assert decode_permit_item(encode(item), Realm.DEMO) == item


@pytest.mark.parametrize("name", sorted(ALWAYS_FIELDS))
def test_decode_without_a_needed_name_is_refused(permit, name):
    """No replica can be kept without these four."""
    value = value_of(permit)
    del value[name]
    assert refuse(encode_canonical(value)).reason == "PERMIT_FIELD"


@pytest.mark.parametrize(
    ("name", "wrong", "reason"),
    [
        ("religion", "none", "PERMIT_FIELD"),
        ("urn", "urn:permit:1", "PERMIT_URN"),
        ("urn", 7, "PERMIT_VALUE"),
        ("version", 0, "PERMIT_VALUE"),
        ("version", True, "PERMIT_VALUE"),
        ("version", "1", "PERMIT_VALUE"),
        ("version", -1, "PERMIT_VALUE"),
        ("status", "endorsement_open", "PERMIT_VALUE"),
        ("status", "lost", "PERMIT_VALUE"),
        ("status", ["valid"], "PERMIT_VALUE"),
        ("residence_division", "33082", "PERMIT_VALUE"),
        ("residence_division", "33082２", "PERMIT_VALUE"),
        ("household_division", 361123, "PERMIT_VALUE"),
        ("holder_name", "", "PERMIT_VALUE"),
        ("holder_name", None, "PERMIT_VALUE"),
        ("holder_name", {"family": "徐"}, "PERMIT_VALUE"),
        ("holder_name", "徐\n谷雨", "PERMIT_VALUE"),
        ("holder_name", "徐\x7f", "PERMIT_VALUE"),
        ("residence_address", "路" * 201, "PERMIT_VALUE"),
        ("sex", "M", "PERMIT_VALUE"),
        ("ground", "marriage", "PERMIT_VALUE"),
        ("birth_date", "2190-02-30", "PERMIT_VALUE"),
        ("birth_date", "21900307", "PERMIT_VALUE"),
        ("birth_date", "2190-W10-1", "PERMIT_VALUE"),
        ("issue_date", "２０２5-03-07", "PERMIT_VALUE"),
        ("counted_from", 20250307, "PERMIT_VALUE"),
        ("photo_digest", "AB" * 32, "PERMIT_VALUE"),
        ("photo_digest", "ab" * 31, "PERMIT_VALUE"),
        ("citizen_number", "361123219003070013", "CITIZEN_NUMBER_CHECKSUM"),
        ("citizen_number", "36112321900307001", "CITIZEN_NUMBER_LENGTH"),
        ("birth_date", "1990-03-07", "REAL_NUMBER_IN_DEMO"),
    ],
)
def test_decode_wrong_value_is_refused(permit, name, wrong, reason):
    """Each field has one form; a null is no absence; the realm guards the birth date, too."""
    encoded = encode_canonical(value_of(permit) | {name: wrong})
    assert refuse(encoded).reason == reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"version":1', b'"version":1.0', "JSON_FLOAT"),
        (b'"version":1', b'"version":1,"version":1', "JSON_DUPLICATE_NAME"),
        (b'"version":1', b'"version": 1', "JSON_NOT_CANONICAL"),
        (b'"sex":"male"', b'"sex":"m\\u0061le"', "JSON_NOT_CANONICAL"),
        (b'"version":1', b'"version":01', "JSON_SYNTAX"),
        (b'"version":1', b'"version":1}', "JSON_SYNTAX"),
        (b'"version":1', b'"version":99999999999999999999', "JSON_NUMBER"),
        (b'"version":1', b'"version":NaN', "JSON_FLOAT"),
        ("汉".encode(), b"\xff", "JSON_UTF8"),
        ("汉".encode(), b"\\ud800", "JSON_UTF8"),
    ],
)
def test_decode_other_spelling_is_refused(permit, old, new, reason):
    """One value, one byte string: floats, repeats, blanks, escapes and bad UTF-8 are refused."""
    encoded = encode(project_permit(permit, EVERY))
    assert old in encoded
    assert refuse(encoded.replace(old, new)).reason == reason


def test_decode_names_in_another_order_is_refused(permit):
    """Names are sorted."""
    value = value_of(permit)
    shuffled = dict(reversed(value.items()))
    encoded = json.dumps(shuffled, ensure_ascii=False, separators=(",", ":")).encode()
    assert refuse(encoded).reason == "JSON_NOT_CANONICAL"


def test_decode_too_long_is_refused_before_parsing():
    """Four kilobytes are four times what a permit needs."""
    assert refuse(b"[" * 5000).reason == "ITEM_TOO_LONG"


def test_decode_real_number_in_demo_is_refused_without_showing_it(permit):
    """A number of today never enters the demo realm, and no message repeats it."""
    number = format_citizen_number("361123", date(2001, 3, 7), sequence=1)
    value = value_of(permit, frozenset({"holder_name"})) | {"citizen_number": number}
    error = refuse(encode_canonical(value))
    assert error.reason == "REAL_NUMBER_IN_DEMO"
    assert number not in str(error)
    assert decode_permit_item(encode_canonical(value), Realm.LIVE).citizen_number == number


def test_decode_demo_number_in_live_is_refused(permit):
    """Synthetic people never enter the live realm."""
    assert refuse(encode(project_permit(permit, EVERY)), Realm.LIVE).reason == "CITIZEN_NUMBER_FUTURE"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(place=st.integers(0, 700), byte=st.integers(0, 255))
def test_decode_one_changed_byte_is_refused_or_another_item(permit, place, byte):
    """One changed byte is either refused as malformed, or decodes to what encodes to exactly these bytes."""
    encoded = bytearray(encode(project_permit(permit, EVERY)))
    encoded[place % len(encoded)] = byte
    try:
        item = decode_permit_item(bytes(encoded), Realm.DEMO)
    except MalformedError:
        return
    assert encode(item) == bytes(encoded)


@given(encoded=st.binary(max_size=200))
def test_decode_any_bytes_raises_nothing_but_malformed(encoded):
    """No other error leaks from any bytes."""
    with pytest.raises(MalformedError):
        decode_permit_item(encoded, Realm.DEMO)


def test_item_hides_its_holder_and_keeps_the_stored_status(permit):
    """The text of an item names nobody; what is sent is the stored status."""
    item = project_permit(permit, EVERY)
    assert permit.holder.name not in repr(item)
    assert item.status is PermitStatus.VALID
