"""The statement: every field strict, no form but one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError
from federation.protocol.form import decode_canonical, encode_canonical, replace
from federation.protocol.ids import AgencyId, MessageId, NodeName, Pair, Realm
from federation.protocol.statement import (
    MAX_STATEMENT_BYTES,
    AgreementRef,
    BodyRef,
    Recipient,
    Sender,
    Statement,
    decode_statement,
    encode_statement,
)

ZHEJIANG, JIANGXI = NodeName("zhejiang"), NodeName("jiangxi")
DIGEST = "0123456789abcdef" * 4
SMALL = Statement(
    federation="bridgehead.example",
    realm=Realm.DEMO,
    id=MessageId("0193587f-0a00-7000-8000-000000000000"),
    kind="permit.sync",
    sender=Sender(node=ZHEJIANG, agency=AgencyId(ZHEJIANG, "330822", "police")),
    recipient=Recipient(node=JIANGXI),
    seq=1,
    purpose="permit.replicate",
    function="F01",
    basis="居住证暂行条例 第十二条",
    created=datetime(2026, 11, 23, 8, tzinfo=UTC),
    expires=datetime(2026, 11, 24, 8, tzinfo=UTC),
    agreement=AgreementRef(version=3, digest=DIGEST),
)
FULL = replace(
    SMALL,
    sender=replace(SMALL.sender, officer="o-7Kx_1"),
    recipient=Recipient(node=JIANGXI, agency=AgencyId(JIANGXI, "361123", "police")),
    case="case-2026-0007",
    in_reply_to=DIGEST[::-1],
    body=BodyRef(type="application/vnd.bridgehead.permits.v1+json", items=2, size_bytes=700, commitment=DIGEST),
    peer_checkpoint=DIGEST,
)
PRINTABLE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(str.isprintable)


def changed(**fields):
    """The full statement's bytes with some fields set to other values (None removes one)."""
    value = decode_canonical(encode_statement(FULL), what="x") | fields
    return encode_canonical({name: field for name, field in value.items() if field is not None})


def refused(encoded):
    with pytest.raises(MalformedError) as caught:
        decode_statement(encoded)
    return caught.value.reason


@pytest.mark.parametrize("statement", [SMALL, FULL], ids=["required fields", "all fields"])
def test_decode_reads_back_what_encode_writes(statement):
    """A statement has one form, and nothing in it is lost."""
    encoded = encode_statement(statement)

    assert decode_statement(encoded) == statement
    assert encode_statement(decode_statement(encoded)) == encoded


@given(basis=PRINTABLE, case=st.none() | PRINTABLE, seq=st.integers(1, 2**53 - 1), realm=st.sampled_from(Realm))
def test_decode_of_any_allowed_fields_reads_them_back(basis, case, seq, realm):
    """Whatever the fields hold within their rules comes back as it was."""
    statement = replace(FULL, basis=basis, case=case, seq=seq, realm=realm)

    assert decode_statement(encode_statement(statement)) == statement


def test_pair_is_sender_and_recipient():
    """The numbering belongs to the ordered pair of nodes."""
    assert FULL.pair == Pair(ZHEJIANG, JIANGXI)


def test_encoding_is_the_documented_one():
    """The bytes are sorted JSON without spaces: what others must produce."""
    assert encode_statement(SMALL).decode() == (
        '{"agreement":{"digest":"' + DIGEST + '","version":3},"basis":"居住证暂行条例 第十二条",'
        '"created":"2026-11-23T08:00:00.000Z","expires":"2026-11-24T08:00:00.000Z","federation":"bridgehead.example",'
        '"from":{"agency":"zhejiang/330822/police","node":"zhejiang"},"function":"F01",'
        '"id":"0193587f-0a00-7000-8000-000000000000","kind":"permit.sync","purpose":"permit.replicate","realm":"demo",'
        '"seq":1,"to":{"node":"jiangxi"},"v":1}'
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"v": 2}, "STATEMENT_VERSION"),
        ({"v": "1"}, "JSON_TYPE"),
        ({"v": None}, "JSON_MISSING_NAME"),
        ({"note": "x"}, "JSON_UNKNOWN_NAME"),
        ({"federation": "Bridgehead"}, "FEDERATION_NAME"),
        ({"realm": "test"}, "STATEMENT_FIELD"),
        ({"id": "0193587f-0a00-4000-8000-000000000000"}, "MESSAGE_ID"),
        ({"kind": "Permit"}, "STATEMENT_FIELD"),
        ({"kind": "a" * 64}, "STATEMENT_FIELD"),
        ({"purpose": ""}, "STATEMENT_FIELD"),
        ({"function": "F1"}, "STATEMENT_FIELD"),
        ({"basis": ""}, "STATEMENT_FIELD"),
        ({"basis": "x" * 201}, "STATEMENT_FIELD"),
        ({"basis": "a\nb"}, "STATEMENT_FIELD"),
        ({"case": ""}, "STATEMENT_FIELD"),
        ({"seq": 0}, "STATEMENT_FIELD"),
        ({"seq": True}, "JSON_TYPE"),
        ({"created": "2026-11-23"}, "TIME"),
        ({"expires": "2026-11-23"}, "TIME"),
        ({"in_reply_to": "ab"}, "JSON_DIGEST"),
        ({"peer_checkpoint": "ab"}, "JSON_DIGEST"),
        ({"from": "zhejiang"}, "JSON_TYPE"),
        ({"from": {"node": "zhejiang"}}, "JSON_MISSING_NAME"),
        ({"from": {"agency": "zhejiang/330822/police", "node": "zhejiang", "x": 1}}, "JSON_UNKNOWN_NAME"),
        ({"from": {"agency": "zhejiang/330822/police", "node": "zhejiang", "officer": "张三"}}, "STATEMENT_FIELD"),
        ({"from": {"agency": "zhejiang/330822/police", "node": "fujian"}}, "STATEMENT_FIELD"),
        ({"to": {"agency": "jiangxi/361123/police"}}, "JSON_MISSING_NAME"),
        ({"to": {"agency": "jiangxi/361123/police", "node": "fujian"}}, "STATEMENT_FIELD"),
        ({"to": {"agency": "jiangxi", "node": "jiangxi"}}, "AGENCY_ID"),
        ({"agreement": {"digest": DIGEST, "version": 0}}, "STATEMENT_FIELD"),
        ({"agreement": {"digest": "", "version": 1}}, "JSON_DIGEST"),
        ({"agreement": {"version": 1}}, "JSON_MISSING_NAME"),
        ({"body": {"bytes": 1, "commitment": DIGEST, "items": 0, "type": "a/b"}}, "STATEMENT_FIELD"),
        ({"body": {"bytes": -1, "commitment": DIGEST, "items": 1, "type": "a/b"}}, "JSON_TYPE"),
        ({"body": {"bytes": 1, "commitment": "", "items": 1, "type": "a/b"}}, "JSON_DIGEST"),
        ({"body": {"bytes": 1, "commitment": DIGEST, "items": 1, "type": ""}}, "STATEMENT_FIELD"),
        ({"body": {"commitment": DIGEST, "items": 1, "type": "a/b"}}, "JSON_MISSING_NAME"),
    ],
    ids=repr,
)
def test_decode_of_a_bad_field_refuses_with_its_reason(fields, reason):
    """Each field has one form, and each refusal its own stable reason."""
    assert refused(changed(**fields)) == reason


def test_decode_above_the_size_limit_refuses_before_parsing():
    """Over-size is refused first, whatever the bytes are."""
    assert refused(b"x" * (MAX_STATEMENT_BYTES + 1)) == "STATEMENT_SIZE"
    assert refused(b"x" * MAX_STATEMENT_BYTES) == "JSON_SYNTAX"


@given(st.integers(0, len(encode_statement(FULL)) - 1), st.integers(0, 7))
def test_decode_of_a_flipped_bit_refuses_or_says_something_else(position, bit):
    """A changed byte never decodes to the same statement, and never raises anything but our error."""
    encoded = bytearray(encode_statement(FULL))
    encoded[position] ^= 1 << bit

    try:
        statement = decode_statement(bytes(encoded))
    except MalformedError:
        return
    assert statement != FULL
    assert encode_statement(statement) == bytes(encoded)
