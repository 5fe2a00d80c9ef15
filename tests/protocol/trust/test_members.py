"""Tests of `protocol.trust.members`: each field of a member entry, by one entry that bends it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError, MalformedError, UntrustedError
from federation.protocol.form import decode_canonical, encode_canonical, replace
from federation.protocol.keys import format_public_key
from federation.protocol.tlog.note import KeyKind
from federation.protocol.trust import MessageKey
from federation.protocol.trust.members import MAX_MESSAGE_KEYS, Membership, decode_members, encode_members, public_keys
from tests.protocol.trust.four import ANHUI, FEDERATION, NODES, NOW, ZHEJIANG, authority, member, signer, vkey

MEMBERS = {node: member(node) for node in NODES}


def test_decode_members_gives_back_what_was_encoded():
    """Encoding and decoding are inverse, with validity, revocations and agencies."""
    key = MessageKey(key=signer(ANHUI, "next").public_key, valid_from=NOW, valid_until=NOW + timedelta(days=1))
    anhui = MEMBERS[ANHUI]
    changed = replace(anhui, message_keys=(*anhui.message_keys, key), revoked_serials=frozenset({"1f", "ab"}))
    membership = Membership(members={**MEMBERS, ANHUI: changed}, former={})

    assert decode_members(encode_members(membership), federation=FEDERATION) == membership


def test_public_keys_lists_every_signing_key():
    """Message keys, log key and witness key."""
    assert len(list(public_keys(MEMBERS[ANHUI]))) == 3


def _entry():
    return decode_canonical(encode_members(Membership(members={ANHUI: MEMBERS[ANHUI]}, former={})), what="test")[
        "members"
    ]["anhui"]


def _decode(entry, *, version=1):
    encoded = encode_canonical({"v": version, "members": {"anhui": entry}})
    return decode_members(encoded, federation=FEDERATION)


def _key(**changes):
    return {
        "key": format_public_key(signer(ANHUI, "message").public_key),
        "valid_from": "2026-11-23T08:00:00.000Z",
        **changes,
    }


def _leaf_pem():
    """A certificate that says it is no authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 2, NOW, NOW + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


AGENCY = "anhui/341022/police"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"name": ""}, "AGREEMENT_MEMBERS", id="no name"),
        pytest.param({"name": "a\nb"}, "AGREEMENT_MEMBERS", id="name of two lines"),
        pytest.param({"peer_addr": "127.0.0.1"}, "AGREEMENT_MEMBERS", id="address without port"),
        pytest.param({"peer_addr": "a" * 250 + ":1"}, "AGREEMENT_MEMBERS", id="long address"),
        pytest.param({"read_url": "ftp://a"}, "AGREEMENT_MEMBERS", id="url of another scheme"),
        pytest.param({"read_url": "http://a/?q"}, "AGREEMENT_MEMBERS", id="url with a query"),
        pytest.param({"message_keys": []}, "AGREEMENT_MEMBERS", id="no message key"),
        pytest.param({"message_keys": "k"}, "AGREEMENT_MEMBERS", id="keys no list"),
        pytest.param({"message_keys": ["k"]}, "AGREEMENT_MEMBERS", id="key no object"),
        pytest.param({"message_keys": [_key()] * (MAX_MESSAGE_KEYS + 1)}, "AGREEMENT_MEMBERS", id="too many keys"),
        pytest.param({"message_keys": [_key(use="all")]}, "JSON_UNKNOWN_NAME", id="unknown name in a key"),
        pytest.param(
            {"message_keys": [_key(valid_until="2026-11-22T08:00:00.000Z")]}, "AGREEMENT_MEMBERS", id="ends first"
        ),
        pytest.param({"message_keys": [_key(valid_until="tomorrow")]}, "TIME", id="no time"),
        pytest.param({"log_vkey": "x"}, "VKEY", id="no vkey"),
        pytest.param({"log_vkey": MEMBERS[ANHUI].witness_vkey}, "AGREEMENT_MEMBERS", id="vkey of another type"),
        pytest.param({"log_vkey": MEMBERS[ZHEJIANG].log_vkey}, "AGREEMENT_KEY", id="another node's log name"),
        pytest.param({"witness_vkey": MEMBERS[ZHEJIANG].witness_vkey}, "AGREEMENT_KEY", id="another node's witness"),
        pytest.param(
            {"log_vkey": vkey(ANHUI, "log", KeyKind.ED25519, f"anhui.{FEDERATION}/exchange/20xx")},
            "AGREEMENT_KEY",
            id="log name without a year",
        ),
        pytest.param({"tls_ca": "no PEM"}, "AGREEMENT_MEMBERS", id="authority no PEM"),
        pytest.param({"tls_ca": _leaf_pem()}, "AGREEMENT_MEMBERS", id="authority that is a leaf"),
        pytest.param({"revoked_serials": ["0a"]}, "AGREEMENT_MEMBERS", id="serial with a leading zero"),
        pytest.param({"revoked_serials": ["b", "a"]}, "AGREEMENT_MEMBERS", id="serials not sorted"),
        pytest.param({"revoked_serials": [1]}, "AGREEMENT_MEMBERS", id="serial a number"),
        pytest.param({"revoked_serials": "a"}, "AGREEMENT_MEMBERS", id="serials no list"),
        pytest.param(
            {"agencies": {"zhejiang/330822/police": {"name": "x", "functions": []}}},
            "AGREEMENT_MEMBERS",
            id="another node's agency",
        ),
        pytest.param({"agencies": {"anhui/1/police": {"name": "x", "functions": []}}}, "AGENCY_ID", id="no agency id"),
        pytest.param({"agencies": {AGENCY: {"name": "x"}}}, "JSON_MISSING_NAME", id="agency without functions"),
        pytest.param({"agencies": {AGENCY: {"name": "x", "functions": ["F1"]}}}, "AGREEMENT_MEMBERS", id="no function"),
        pytest.param(
            {"agencies": {AGENCY: {"name": "x", "functions": ["F02", "F02"]}}}, "AGREEMENT_MEMBERS", id="function twice"
        ),
        pytest.param({"more": 1}, "JSON_UNKNOWN_NAME", id="unknown name"),
    ],
)
def test_decode_members_with_a_bent_field_refused(change, reason):
    """Every field is checked when a version is loaded, though it was signed."""
    with pytest.raises(BridgeheadError) as refusal:
        _decode({**_entry(), **change})

    assert refusal.value.reason == reason


def test_decode_members_of_another_version_refused():
    """A newer format is not guessed at."""
    with pytest.raises(MalformedError) as refusal:
        _decode(_entry(), version=2)

    assert refusal.value.reason == "AGREEMENT_MEMBERS"


@given(st.sampled_from(["log_vkey", "witness_vkey"]), st.sampled_from([0, 1, 2**255 - 20]))
def test_decode_members_with_a_low_order_note_key_refused(field, y):
    """Low-order keys are refused as log and witness keys as well."""
    from federation.protocol.tlog.note import Vkey, format_vkey, parse_vkey

    old = parse_vkey(_entry()[field])
    weak = format_vkey(Vkey(name=old.name, kind=old.kind, public_key=y.to_bytes(32, "little")))

    with pytest.raises(UntrustedError):
        _decode({**_entry(), field: weak})


def test_decode_members_accepts_a_chain_of_authorities():
    """More than one certificate may stand there, while one authority follows another."""
    chain = authority(ANHUI) + authority("anhui next")

    assert _decode({**_entry(), "tls_ca": chain}).members[ANHUI].tls_ca == chain
