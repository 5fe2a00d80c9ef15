"""The handle of a hit: for whom it works, and how long."""

from datetime import timedelta

import pytest

from federation.domain.lookups import Handle, format_handle, handle_expires, no_handle, parse_handle, verify_handle
from federation.domain.lookups_case import close_case
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.ids import format_message_id, parse_agency_id

POLICE = parse_agency_id("jiangxi/361123/police")


@pytest.fixture
def handle(case, now):
    return Handle(
        handle=format_handle(bytes(range(24))),
        lookup_id=format_message_id(now, bytes(10)),
        case_id=case.case_id,
        asker=POLICE,
        officer="officer-7",
        dossier="urn:permit:330822:2026:000123",
        expires=handle_expires(case, now),
    )


def test_handle_works_for_its_asker_case_and_time(handle, case, now):
    """The officer who searched may fetch until the last moment before the end."""
    last = handle.expires - timedelta(milliseconds=1)
    for time in (now, last):
        assert verify_handle(handle, case_id=case.case_id, asker=POLICE, officer="officer-7", now=time) is handle


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        ({"asker": parse_agency_id("fujian/350722/police")}, "HANDLE_UNKNOWN"),
        ({"asker": parse_agency_id("jiangxi/361123/court")}, "HANDLE_UNKNOWN"),
        ({"officer": "officer-8"}, "HANDLE_ASKER"),
        ({"case_id": "YS-2026-0043"}, "HANDLE_CASE"),
        ({"hours": 24}, "HANDLE_EXPIRED"),
    ],
)
def test_handle_in_other_hands_is_refused(handle, case, now, use, reason):
    """Another officer or case, or too late: refused, without the handle; for another agency as if there were none."""
    given = {"case_id": case.case_id, "asker": POLICE, "officer": "officer-7", "hours": 0, **use}
    time = now + timedelta(hours=given.pop("hours"))
    with pytest.raises(RuleError) as caught:
        verify_handle(handle, **given, now=time)
    assert caught.value.reason == reason
    assert handle.handle not in str(caught.value)
    if reason == "HANDLE_UNKNOWN":
        assert str(no_handle()) == str(caught.value)


def test_handle_lives_a_day_and_never_longer_than_its_case(case, now):
    """The sooner of 24 hours and the end of the case."""
    day = timedelta(hours=24)
    late = case.closes - timedelta(hours=1)
    assert handle_expires(case, now) == now + day
    assert handle_expires(case, late) == case.closes
    assert handle_expires(close_case(case, now + day), now + day / 2) == now + day


def test_format_handle_is_parsed_again():
    """24 random bytes make 32 characters that need no escape in an address."""
    text = format_handle(b"\xff" * 24)
    assert (parse_handle(text), len(text)) == (text, 32)


def test_no_handle_begins_like_an_option():
    """Bytes that base64url would begin with `-` make another letter; a handle that was given out before is still one."""
    made = format_handle(b"\xfb" * 24)

    assert made == parse_handle(made) == f"A_v7{'-_v7' * 7}"
    assert parse_handle("-_v7" * 8)


@pytest.mark.parametrize("size", [0, 16, 23, 25])
def test_format_handle_of_other_bytes_is_refused(size):
    """Fewer bytes could be guessed, more would be another form."""
    with pytest.raises(MalformedError) as caught:
        format_handle(bytes(size))
    assert caught.value.reason == "HANDLE_FORM"


@pytest.mark.parametrize("text", ["", "A" * 31, "A" * 33, "A" * 31 + "=", "A" * 32 + "\n", "A" * 31 + "+"])
def test_parse_handle_of_another_form_is_refused(text):
    """One alphabet and one length."""
    with pytest.raises(MalformedError) as caught:
        parse_handle(text)
    assert caught.value.reason == "HANDLE_FORM"


def test_handle_repr_shows_neither_handle_nor_permit(handle):
    """Who reads a log line can neither fetch nor name anybody."""
    assert handle.handle not in repr(handle)
    assert handle.dossier not in repr(handle)
