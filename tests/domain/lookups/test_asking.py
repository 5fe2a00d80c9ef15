"""Question, answer, fetch and release: one exact person, strict forms, and nothing that shows a person by accident."""

import json
from datetime import UTC, date, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.citizen_number import format_citizen_number
from federation.domain.lookups import (
    DOSSIER_OF,
    AnswerItem,
    FetchItem,
    Outcome,
    ReleaseItem,
    SearchItem,
    Selector,
    SelectorKind,
    decode_answer_item,
    decode_fetch_item,
    decode_release_item,
    decode_search_item,
    format_handle,
    kind_of,
    parse_selector,
    release_fields,
    step_up_bytes,
    verify_fields,
    verify_selector,
    verify_step_up,
)
from federation.domain.permits import PERMIT_FIELDS, project_permit
from federation.domain.registers import DossierKind
from federation.domain.uscc import is_possible_uscc
from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.form import encode, encode_canonical, replace
from federation.protocol.ids import Realm, format_base64, format_message_id

NUMBER = "361123219003070012"
PERMIT = "urn:permit:330822:2026:000123"
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
ID = format_message_id(NOW, bytes(10))
HANDLE = format_handle(bytes(24))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SEARCH = SearchItem(
    lookup_id=ID, selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER), case_id="YS-2026-0042"
)
HIT = AnswerItem(lookup_id=ID, hit=True, handle=HANDLE, expires=NOW)
MISS = AnswerItem(lookup_id=ID, hit=False)
RELEASE = ReleaseItem(
    lookup_id=ID, handle=HANDLE, fields={"holder_name": "徐谷雨", "birth_date": "2190-03-07"}, expires=NOW
)


def signed(fetch, key=KEY):
    return replace(fetch, officer_signature=format_base64(key.sign(step_up_bytes(fetch))))


FETCH = signed(
    FetchItem(
        lookup_id=ID,
        handle=HANDLE,
        fields=frozenset({"holder_name", "sex"}),
        officer_key=format_base64(KEY.public_key().public_bytes_raw()),
        officer_signature="",
    )
)


def changed(encoded, **fields):
    return encode_canonical({**json.loads(encoded), **fields})


def refused(error, decode, *arguments):
    with pytest.raises(error) as caught:
        decode(*arguments)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "kind"), [(NUMBER, SelectorKind.CITIZEN_NUMBER), (PERMIT, SelectorKind.PERMIT)], ids=["number", "permit"]
)
def test_parse_selector_takes_one_exact_person(text, kind):
    """A citizen number or a permit, exactly as written."""
    assert parse_selector(text, Realm.DEMO) == Selector(kind=kind, value=text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3611232190030700*", "LOOKUP_WILDCARD"),
        ("361123%", "LOOKUP_WILDCARD"),
        ("36112321900307001?", "LOOKUP_WILDCARD"),
        ("36112321900307001？", "LOOKUP_WILDCARD"),
        ("urn:permit:330822:2026:*", "LOOKUP_WILDCARD"),
        ("徐谷雨", "LOOKUP_FORM"),
        ("Xu Guyu", "LOOKUP_FORM"),
        ("", "LOOKUP_FORM"),
        (f"{NUMBER},{NUMBER}", "LOOKUP_FORM"),
        (f"{NUMBER} {NUMBER}", "LOOKUP_FORM"),
        (f"{NUMBER}\n", "LOOKUP_FORM"),
        (f" {NUMBER}", "LOOKUP_FORM"),
        (NUMBER[:6], "LOOKUP_FORM"),
        (NUMBER[:17], "LOOKUP_FORM"),
        (f"{PERMIT},{PERMIT}", "PERMIT_URN"),
        (NUMBER[:17] + "3", "CITIZEN_NUMBER_CHECKSUM"),
    ],
)
def test_parse_selector_refuses_names_wildcards_and_lists(text, reason):
    """Nobody is looked up by name, by part of a number, or together with others."""
    assert refused(MalformedError, parse_selector, text, Realm.DEMO) == reason


def test_parse_selector_keeps_demo_people_out_of_the_live_realm():
    """A birth year of 2190 can only be a synthetic person."""
    assert refused(MalformedError, parse_selector, NUMBER, Realm.LIVE) == "CITIZEN_NUMBER_FUTURE"


@given(st.text(max_size=40))
def test_parse_selector_never_takes_other_text_and_never_shows_it(text):
    """Any text is refused with a reason of its own; the message does not repeat a name or a number."""
    with pytest.raises(MalformedError) as caught:
        parse_selector("徐" + text, Realm.DEMO)
    assert "徐" not in str(caught.value)


def both_ways(division, born):
    """Digits that have every check of a citizen number and of a USCC: 18, put together at run time."""
    numbers = (format_citizen_number(division, born, sequence=sequence) for sequence in range(1000))
    return next(number for number in numbers if is_possible_uscc(number))


@pytest.mark.parametrize("realm", [None, Realm.LIVE])
def test_digits_that_may_be_both_are_not_guessed(realm):
    """Who asks says which, and is taken at their word; nothing is asked before."""
    digits = both_ways("331121", date(1990, 3, 7))
    assert refused(MalformedError, kind_of, digits, realm) == "LOOKUP_AMBIGUOUS"
    for kind in (SelectorKind.CITIZEN_NUMBER, SelectorKind.USCC):
        selector = Selector(kind=kind, value=digits)
        assert verify_selector(selector, Realm.LIVE) == selector
    assert refused(MalformedError, verify_selector, Selector(kind=SelectorKind.PLATE, value=digits), Realm.LIVE)


def test_digits_are_told_apart_by_what_can_exist_in_the_realm():
    """In the demo no code is of digits alone; in the live realm nobody was born in 2190, nor tomorrow."""
    demo, tomorrow = both_ways("331121", date(2190, 3, 7)), both_ways("331121", date(2026, 11, 24))
    assert kind_of(demo, Realm.DEMO) is SelectorKind.CITIZEN_NUMBER
    assert kind_of(demo, Realm.LIVE) is SelectorKind.USCC
    assert refused(MalformedError, kind_of, demo) == "LOOKUP_AMBIGUOUS"
    assert kind_of(tomorrow, Realm.LIVE, today=date(2026, 11, 23)) is SelectorKind.USCC
    assert refused(MalformedError, kind_of, tomorrow, Realm.LIVE) == "LOOKUP_AMBIGUOUS"


@given(number=st.integers(0, 999), realm=st.sampled_from([None, *Realm]))
def test_number_of_the_border_is_a_citizen_number_in_either_realm(number, realm):
    """Of 36 and of most of 33 no authority has such a class or division."""
    for division in ("361123", "330822", "350722"):
        text = format_citizen_number(division, date(1990, 3, 7), sequence=number)
        assert kind_of(text, realm) is SelectorKind.CITIZEN_NUMBER


def test_verify_selector_of_the_other_kind_is_refused():
    """The kind says what the value is."""
    selector = Selector(kind=SelectorKind.PERMIT, value=NUMBER)
    assert refused(MalformedError, verify_selector, selector, Realm.DEMO) == "LOOKUP_FORM"
    assert verify_selector(SEARCH.selector, Realm.DEMO) == SEARCH.selector


def test_search_item_survives_encoding():
    """Decoding gives what was encoded."""
    assert decode_search_item(encode(SEARCH), Realm.DEMO) == SEARCH


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"selector": {"kind": "name", "value": "徐谷雨"}}, "LOOKUP_FORM"),
        ({"selector": {"kind": "permit", "value": NUMBER}}, "LOOKUP_FORM"),
        ({"selector": {"kind": 1, "value": NUMBER}}, "LOOKUP_FORM"),
        ({"selector": {"kind": "citizen_number", "value": [NUMBER]}}, "JSON_TYPE"),
        ({"selector": [SEARCH.selector.value]}, "JSON_TYPE"),
        ({"selector": {"kind": "citizen_number", "value": "*"}}, "LOOKUP_WILDCARD"),
        ({"selector": {"kind": "citizen_number", "value": NUMBER, "name": "x"}}, "JSON_UNKNOWN_NAME"),
        ({"case_id": "x"}, "CASE_ID"),
        ({"lookup_id": "1"}, "MESSAGE_ID"),
        ({"fields": []}, "JSON_UNKNOWN_NAME"),
    ],
)
def test_search_item_of_another_form_is_refused(fields, reason):
    """A question of another province has one form."""
    encoded = changed(encode(SEARCH), **fields)
    assert refused(MalformedError, decode_search_item, encoded, Realm.DEMO) == reason


@pytest.mark.parametrize("item", [HIT, MISS], ids=["hit", "miss"])
def test_answer_item_survives_encoding(item):
    """Decoding gives what was encoded."""
    assert decode_answer_item(encode(item)) == item


def test_answer_item_holds_no_field_of_a_person():
    """A hit is an id, a handle and a time; a miss is an id."""
    assert json.loads(encode(HIT)).keys() == {"lookup_id", "hit", "handle", "expires"}
    assert json.loads(encode(MISS)).keys() == {"lookup_id", "hit"}


@pytest.mark.parametrize(
    ("item", "fields", "reason"),
    [
        (HIT, {"hit": False}, "JSON_UNKNOWN_NAME"),
        (MISS, {"hit": True}, "JSON_MISSING_NAME"),
        (HIT, {"hit": "yes"}, "JSON_TYPE"),
        (HIT, {"holder_name": "徐谷雨"}, "JSON_UNKNOWN_NAME"),
        (HIT, {"handle": "short"}, "HANDLE_FORM"),
        (HIT, {"expires": "tomorrow"}, "TIME"),
    ],
)
def test_answer_item_of_another_form_is_refused(item, fields, reason):
    """A miss with a handle, a hit without one, or any field more is refused."""
    assert refused(MalformedError, decode_answer_item, changed(encode(item), **fields)) == reason


def test_fetch_item_survives_encoding():
    """Decoding gives what was encoded, and the signature still holds."""
    fetch = decode_fetch_item(encode(FETCH))
    assert fetch == FETCH
    assert verify_step_up(fetch).key == KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"fields": []}, "LOOKUP_FIELD"),
        ({"fields": ["*"]}, "LOOKUP_FIELD"),
        ({"fields": ["sex", "holder_name"]}, "JSON_TYPE"),
        ({"fields": ["sex", "sex"]}, "JSON_TYPE"),
        ({"fields": "sex"}, "JSON_TYPE"),
        ({"handle": ""}, "HANDLE_FORM"),
        ({"officer_key": "x"}, "BASE64"),
        ({"officer_key": format_base64(bytes(31))}, "STEP_UP_FORM"),
        ({"officer_signature": ""}, "STEP_UP_FORM"),
        ({"officer_signature": None}, "JSON_TYPE"),
    ],
)
def test_fetch_item_of_another_form_is_refused(fields, reason):
    """No fetch without named fields of a permit, or without the form of a signature."""
    assert refused(MalformedError, decode_fetch_item, changed(encode(FETCH), **fields)) == reason


@pytest.mark.parametrize(
    "change",
    [
        {"fields": frozenset({"holder_name", "sex", "residence_address"})},
        {"handle": format_handle(b"1" * 24)},
        {"officer_key": format_base64(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw())},
    ],
    ids=["more fields", "another handle", "another key"],
)
def test_step_up_of_something_else_is_refused(change):
    """The officer's key signs this handle, these fields and itself."""
    with pytest.raises(UntrustedError):
        verify_step_up(replace(FETCH, **change))


def test_step_up_of_another_officers_key_is_refused():
    """A colleague's signature is not the officer's."""
    colleague = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(UntrustedError):
        verify_step_up(signed(FETCH, colleague))


def test_step_up_bytes_do_not_depend_on_signature_and_id():
    """The desk signs before the node numbers the message."""
    other = format_message_id(NOW, b"1" * 10)
    assert step_up_bytes(replace(FETCH, officer_signature="", lookup_id=other)) == step_up_bytes(FETCH)


def test_release_item_survives_encoding():
    """Decoding gives what was encoded."""
    assert decode_release_item(encode(RELEASE), Realm.DEMO) == RELEASE


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "LOOKUP_FIELD"),
        ({"criminal_record": "none"}, "LOOKUP_FIELD"),
        ({"sex": ""}, "LOOKUP_VALUE"),
        ({"issuer": "a\x00b"}, "LOOKUP_VALUE"),
        ({"issuer": "x" * 201}, "LOOKUP_VALUE"),
        ({"sex": 1}, "JSON_TYPE"),
        ({"birth_date": "21900307"}, "LOOKUP_VALUE"),
        ({"birth_date": "2190-02-30"}, "LOOKUP_VALUE"),
        ({"birth_date": "1990-03-07"}, "REAL_NUMBER_IN_DEMO"),
        ({"citizen_number": NUMBER[:17] + "3"}, "CITIZEN_NUMBER_CHECKSUM"),
    ],
)
def test_release_item_of_another_form_is_refused(fields, reason):
    """Only fields of a permit, only in their form, and no real person in the demo realm."""
    encoded = changed(encode(RELEASE), fields=fields)
    assert refused(MalformedError, decode_release_item, encoded, Realm.DEMO) == reason


def test_release_fields_are_those_named_and_no_others(permit):
    """What was not named stays, even what a permit item always holds; what the permit lacks is left out."""
    item = project_permit(replace(permit, work_division=None), frozenset(PERMIT_FIELDS))
    fields = frozenset({"holder_name", "issue_date", "status", "work_division"})
    assert release_fields(item, fields) == {
        "holder_name": "徐谷雨",
        "issue_date": "2025-08-12",
        "status": "valid",
    }


def test_release_of_every_field_of_a_permit_is_taken(permit):
    """Whatever a permit holds passes the form of a release."""
    fields = release_fields(project_permit(permit, frozenset(PERMIT_FIELDS)), frozenset(PERMIT_FIELDS))
    release = replace(RELEASE, fields=fields)
    assert decode_release_item(encode(release), Realm.DEMO).fields == fields


def test_verify_fields_that_no_permit_has_is_refused():
    """There is no field for everything."""
    assert verify_fields(frozenset({"sex"})) == {"sex"}
    assert refused(MalformedError, verify_fields, frozenset({"all"})) == "LOOKUP_FIELD"


def test_outcomes_are_six_honest_ones_for_a_question_and_two_for_a_case():
    """One of them for each province asked, or told of a case."""
    told = {"case_opened", "case_closed"}
    assert set(Outcome) - told == {"hit", "no_hit", "refused", "unreachable", "expired", "waiting"}


@pytest.mark.parametrize("item", [SEARCH, HIT, FETCH, RELEASE], ids=["search", "answer", "fetch", "release"])
def test_repr_shows_no_person_and_no_handle(item):
    """A log line or a traceback names nobody and opens nothing."""
    assert not any(secret in repr(item) for secret in (NUMBER, HANDLE, "徐谷雨", "2190"))


PLATE, USCC = "浙H·I0001", "12361123DEM0000017"


@pytest.mark.parametrize(("text", "kind"), [(PLATE, SelectorKind.PLATE), (USCC, SelectorKind.USCC)])
def test_plate_and_uscc_are_selectors_of_their_own_kind(text, kind):
    """A vehicle and an enterprise are looked up by one exact code, and the question comes back as it was sent."""
    selector = Selector(kind=kind, value=text)
    assert parse_selector(text, Realm.DEMO) == selector
    item = replace(SEARCH, selector=selector)
    assert decode_search_item(encode(item), Realm.DEMO) == item
    assert text not in repr(selector)


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (SelectorKind.PLATE, "浙HI0001", "PLATE_FORM"),
        (SelectorKind.PLATE, "浙h·I0001", "PLATE_FORM"),
        (SelectorKind.PLATE, "浙H·I00*1", "LOOKUP_WILDCARD"),
        (SelectorKind.PLATE, "浙H·I0001,浙H·I0002", "PLATE_FORM"),
        (SelectorKind.PLATE, USCC, "LOOKUP_FORM"),
        (SelectorKind.USCC, "12361123DEM0000018", "USCC_CHECKSUM"),
        (SelectorKind.USCC, "12361123dem0000017", "LOOKUP_FORM"),
        (SelectorKind.USCC, "N2330822MF00000019", "REAL_USCC_IN_DEMO"),
        (SelectorKind.USCC, PLATE, "LOOKUP_FORM"),
        (SelectorKind.CITIZEN_NUMBER, USCC, "LOOKUP_FORM"),
    ],
)
def test_other_forms_of_plate_and_uscc_are_refused(kind, text, reason):
    """Nothing is normalised on the wire: a code has one written form, and the error does not show it."""
    with pytest.raises(MalformedError) as caught:
        verify_selector(Selector(kind=kind, value=text), Realm.DEMO)
    assert caught.value.reason == reason
    assert text not in str(caught.value)


def test_real_plate_is_no_selector_of_the_demo():
    """Only plates that were never issued are looked up in the demo realm."""
    plate = PLATE.replace("I", "1")
    with pytest.raises(MalformedError, match="REAL_PLATE_IN_DEMO"):
        parse_selector(plate, Realm.DEMO)
    assert parse_selector(plate, Realm.LIVE).kind is SelectorKind.PLATE


def test_every_selector_finds_one_kind_of_record():
    """A citizen number finds permits and never vehicles."""
    assert set(DOSSIER_OF) == set(SelectorKind)
    assert DOSSIER_OF[SelectorKind.CITIZEN_NUMBER] is DossierKind.PERMIT


@pytest.mark.parametrize("fields", [{"plate_class", "keeper"}, {"status"}, {"name", "legal_representative"}])
def test_fields_of_one_kind_may_be_named(fields):
    """A fetch names fields of a permit, of a vehicle or of an enterprise."""
    assert verify_fields(frozenset(fields)) == fields


@pytest.mark.parametrize("fields", [{"keeper", "holder_name"}, {"name", "colour"}, {"uscc", "plate"}])
def test_fields_of_two_kinds_are_refused(fields):
    """No record has them all."""
    with pytest.raises(MalformedError, match="LOOKUP_FIELD"):
        verify_fields(frozenset(fields))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"keeper": "N2330822MF00000019"}, "REAL_USCC_IN_DEMO"),
        ({"keeper": "361123219003070013"}, "CITIZEN_NUMBER_CHECKSUM"),
        ({"keeper": "浙"}, "KEEPER_FORM"),
        ({"plate": PLATE.replace("I", "1")}, "REAL_PLATE_IN_DEMO"),
        ({"uscc": "N2330822MF00000019"}, "REAL_USCC_IN_DEMO"),
        ({"representative_number": "361123219003070013"}, "CITIZEN_NUMBER_CHECKSUM"),
        ({"keeper": NUMBER, "holder_name": "徐谷雨"}, "LOOKUP_FIELD"),
    ],
)
def test_release_with_a_number_of_another_realm_or_form_is_refused(fields, reason):
    """The realm guard holds for every number in a release, whatever kind of record it comes from."""
    encoded = encode(replace(RELEASE, fields=fields))
    with pytest.raises(MalformedError) as caught:
        decode_release_item(encoded, Realm.DEMO)
    assert caught.value.reason == reason


def test_release_of_a_vehicle_and_of_an_enterprise_comes_back():
    """Keeper as a person or an organisation; a representative by name."""
    for fields in ({"keeper": NUMBER, "colour": "白"}, {"keeper": USCC}, {"legal_representative": "徐谷雨"}):
        release = replace(RELEASE, fields=fields)
        assert decode_release_item(encode(release), Realm.DEMO) == release
