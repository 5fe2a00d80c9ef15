"""Identifiers: one small type each, `parse_` refuses what `format_` would not write."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError, MalformedError
from federation.protocol.ids import (
    AgencyId,
    NodeName,
    Pair,
    agency_spiffe_id,
    format_message_id,
    format_time,
    node_spiffe_id,
    parse_agency_id,
    parse_federation_name,
    parse_message_id,
    parse_node_name,
    parse_pair,
    parse_record_id,
    parse_spiffe_id,
    parse_time,
    record_node,
    truncate_to_millisecond,
)

AGENCY = AgencyId(NodeName("zhejiang"), "330822", "police")
NODE_NAMES = st.from_regex(r"\A[a-z][a-z0-9]{1,30}\Z")
TIMES = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))


def refused(parse, text):
    with pytest.raises(MalformedError) as caught:
        parse(text)
    return caught.value.reason


@given(NODE_NAMES)
def test_parse_node_name_of_the_form_returns_it(name):
    """A node's name is 2 to 31 lower-case letters and digits, letter first."""
    assert parse_node_name(name) == name


@pytest.mark.parametrize("text", ["", "a", "Zhejiang", "1a", "zhe-jiang", "zhejiang\n", "浙江", "a" * 32, "é" * 3])
def test_parse_node_name_of_another_form_refuses(text):
    """Nothing else is a node's name."""
    assert refused(parse_node_name, text) == "NODE_NAME"


def test_parse_agency_id_returns_its_parts():
    """An agency is province/county/kind, and is written the same way again."""
    assert parse_agency_id("zhejiang/330822/police") == AGENCY
    assert str(AGENCY) == "zhejiang/330822/police"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("zhejiang/330822", "AGENCY_ID"),
        ("zhejiang/330822/police/desk", "AGENCY_ID"),
        ("zhejiang/33082/police", "AGENCY_ID"),
        ("zhejiang/33082２/police", "AGENCY_ID"),
        ("zhejiang/330822/Police", "AGENCY_ID"),
        ("Zhejiang/330822/police", "NODE_NAME"),
    ],
)
def test_parse_agency_id_of_another_form_refuses(text, reason):
    """A missing part, a foreign digit or a capital letter is refused."""
    assert refused(parse_agency_id, text) == reason


@given(NODE_NAMES, NODE_NAMES)
def test_parse_pair_reads_back_what_it_writes(sender, recipient):
    """A pair has two different sides, in order."""
    text = str(Pair(NodeName(sender), NodeName(recipient)))

    if sender == recipient:
        assert refused(parse_pair, text) == "PAIR"
    else:
        assert parse_pair(text) == Pair(NodeName(sender), NodeName(recipient))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("zhejiang", "PAIR"), ("", "PAIR"), ("zhejiang>jiangxi>fujian", "NODE_NAME"), (">zz", "NODE_NAME")],
)
def test_parse_pair_of_another_form_refuses(text, reason):
    """One arrow, two names."""
    assert refused(parse_pair, text) == reason


@pytest.mark.parametrize("text", ["bridgehead.example", "a", "a-b.c1"])
def test_parse_federation_name_of_a_dns_name_returns_it(text):
    """The federation's name is a lower-case DNS name."""
    assert parse_federation_name(text) == text


@pytest.mark.parametrize("text", ["", ".", "a.", "-a", "a-.b", "A.b", "a b", "a" * 121, "a\n"])
def test_parse_federation_name_of_another_form_refuses(text):
    """No capitals, empty labels or hyphens at an edge, and at most 120 characters."""
    assert refused(parse_federation_name, text) == "FEDERATION_NAME"


@given(TIMES, st.binary(min_size=10, max_size=16))
def test_format_message_id_carries_time_and_random_bits(now, random):
    """A message id is a UUIDv7: 48 bits of milliseconds, version 7, variant 10, 74 random bits (RFC 9562 5.7)."""
    text = parse_message_id(format_message_id(now, random))
    value = int(text.replace("-", ""), 16)

    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value >> 80) == truncate_to_millisecond(now)
    bits = int.from_bytes(random[:10])
    assert (value >> 64 & 0xFFF, value & (1 << 62) - 1) == (bits >> 62 & 0xFFF, bits & (1 << 62) - 1)


def test_format_message_id_from_too_few_random_bytes_refuses():
    """Nine random bytes could give the same id twice."""
    with pytest.raises(MalformedError) as caught:
        format_message_id(datetime(2026, 11, 23, tzinfo=UTC), bytes(9))
    assert caught.value.reason == "MESSAGE_ID"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0193587f-0a00-4000-8000-000000000000",
        "0193587f-0a00-7000-c000-000000000000",
        "0193587F-0A00-7000-8000-000000000000",
        "0193587f0a0070008000000000000000",
        "{0193587f-0a00-7000-8000-000000000000}",
    ],
)
def test_parse_message_id_of_another_form_refuses(text):
    """Other versions, variants, capitals and braces are not our message ids."""
    assert refused(parse_message_id, text) == "MESSAGE_ID"


@given(TIMES)
def test_parse_time_reads_back_what_format_writes(time):
    """A time keeps its milliseconds and is always written in UTC."""
    elsewhere = time.astimezone(timezone(timedelta(hours=8)))

    assert format_time(elsewhere) == format_time(time)
    assert parse_time(format_time(time)) == truncate_to_millisecond(elsewhere)
    assert parse_time(format_time(time)).tzinfo is UTC
    assert format_time(truncate_to_millisecond(time)) == format_time(time)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23T08:00:00Z",
        "2026-11-23T08:00:00.0000Z",
        "2026-11-23 08:00:00.000Z",
        "2026-11-23T08:00:00.000+00:00",
        "2026-11-23T08:00:00.000z",
        "2026-02-30T08:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "2026-11-23T24:00:00.000Z",
        "2026-11-23T08:60:00.000Z",
        "2026-11-23T08:00:60.000Z",
        "2026-11-23T08:00:00.000Z\n",
    ],
)
def test_parse_time_of_another_form_refuses(text):
    """One written form, real dates only; hour 24 and second 60 would be written differently."""
    assert refused(parse_time, text) == "TIME"


def test_parse_spiffe_id_reads_nodes_and_agencies():
    """The URI SAN names a node or an agency of our own trust domain."""
    federation = "bridgehead.example"

    assert parse_spiffe_id(federation, node_spiffe_id(federation, AGENCY.node)) == "zhejiang"
    assert parse_spiffe_id(federation, agency_spiffe_id(federation, AGENCY)) == AGENCY


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("spiffe://other.example/zhejiang", "SPIFFE_ID"),
        ("https://bridgehead.example/zhejiang", "SPIFFE_ID"),
        ("spiffe://bridgehead.example", "SPIFFE_ID"),
        ("spiffe://bridgehead.example/", "NODE_NAME"),
        ("spiffe://bridgehead.example/zhejiang/", "AGENCY_ID"),
        ("spiffe://bridgehead.example/zhejiang?x=1", "NODE_NAME"),
    ],
)
def test_parse_spiffe_id_of_another_form_refuses(uri, reason):
    """Another trust domain, scheme or a query is refused."""
    assert refused(lambda text: parse_spiffe_id("bridgehead.example", text), uri) == reason


@given(st.text(max_size=60))
def test_parsers_of_any_text_raise_only_our_errors(text):
    """No ValueError leaves a parser, whatever comes in."""
    for parse in (
        parse_node_name, parse_agency_id, parse_pair, parse_federation_name, parse_message_id, parse_time,
        lambda uri: parse_spiffe_id("b.example", uri), lambda rest: parse_spiffe_id("b.example", "spiffe://b.example/" + rest),
    ):  # fmt: skip
        try:
            parse(text)
        except BridgeheadError:
            continue


def test_record_is_named_by_its_node_and_a_message():
    """Who reads the name of a joint record knows where it was opened."""
    text = "zhejiang/0193587f-0a00-7000-8000-000000000000"

    assert record_node(parse_record_id(text)) == "zhejiang"
    for other in (
        "zhejiang",
        f"zhejiang/330822/police/{text[9:]}",
        text.upper(),
        f"{text}\n",
        text.replace("-7", "-4"),
    ):
        assert refused(parse_record_id, other) == "RECORD_ID"
