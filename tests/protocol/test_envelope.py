"""The envelope: one form, one signature, the same bytes for everybody's tools."""

import json
from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from federation.protocol.envelope import (
    MAX_ENVELOPE_BYTES,
    parse_envelope,
    payload_type_of,
    pre_authentication_encoding,
    sign_envelope,
    verify_envelope,
)
from federation.protocol.errors import BridgeheadError, MalformedError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.keys import Ed25519Signer, P256Signer, PublicKey, Suite

ED25519_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256_KEY = ec.derive_private_key(12345, ec.SECP256R1())
ED25519 = Ed25519Signer(bytes(range(32)))
P256 = P256Signer(
    P256_KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)
KEYS = (ED25519.public_key, P256.public_key)
SIGNERS = pytest.mark.parametrize("signer", [ED25519, P256], ids=["ed25519", "ecdsa-p256"])
STATEMENT = '{"basis":"居住证暂行条例","v":1}'.encode()


def refused(error, call, *args):
    with pytest.raises(error) as caught:
        call(*args)
    return caught.value.reason


def receive(encoded, keys=KEYS):
    return verify_envelope(parse_envelope(encoded), keys)


def other_key(signer):
    """Our public key as securesystemslib holds it, under our key id."""
    key = signer.public_key
    if key.suite is Suite.ED25519:
        return SSlibKey(key.key_id, "ed25519", "ed25519", {"public": key.key.hex()})
    pem = P256_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SSlibKey(key.key_id, "ecdsa", "ecdsa-sha2-nistp256", {"public": pem.decode()})


@SIGNERS
@given(statement=st.binary(min_size=1, max_size=300))
def test_verify_of_a_signed_envelope_returns_the_signed_bytes(signer, statement):
    """What was signed comes out byte for byte, with the digests of its definition."""
    encoded = sign_envelope(statement, signer)
    envelope = parse_envelope(encoded)

    assert verify_envelope(envelope, KEYS) == statement
    assert envelope.encoded == encoded
    assert envelope.suite is signer.public_key.suite
    kind = f"application/vnd.bridgehead.statement.v1+json;suite={envelope.suite}"
    assert envelope.digest == sha256(f"DSSEv1 {len(kind)} {kind} {len(statement)} ".encode() + statement).hexdigest()
    block = json.dumps(json.loads(encoded)["signatures"], separators=(",", ":"), sort_keys=True)
    assert envelope.signatures_digest == sha256(block.encode()).hexdigest()


def test_pre_authentication_encoding_of_the_dsse_vector_is_the_published_one():
    """The test vector of DSSE v1 `protocol.md`."""
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")

    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_sign_envelope_of_the_sample_is_stable():
    """A golden value: other implementations must get it too."""
    encoded = sign_envelope(STATEMENT, ED25519)

    assert parse_envelope(encoded).digest == "abb7968d9de530e1388d1e6854e4081eb4f4e5028c8a31f5281d8e64f9df87f9"
    assert sha256(encoded).hexdigest() == "f365811c1a1f3e38151aab2068b6f482df97b0b2d01013ad5b37d612745cfbe6"


@SIGNERS
@given(statement=st.binary(min_size=1, max_size=200))
def test_envelope_of_ours_verifies_with_securesystemslib(signer, statement):
    """Other people's tools verify what we sign."""
    envelope = OtherEnvelope.from_dict(json.loads(sign_envelope(statement, signer)))

    assert envelope.payload == statement
    assert envelope.pae() == pre_authentication_encoding(payload_type_of(signer.public_key.suite), statement)
    assert list(envelope.verify([other_key(signer)], 1)) == [signer.public_key.key_id]
    envelope.payload += b"x"
    with pytest.raises(VerificationError):
        envelope.verify([other_key(signer)], 1)


@pytest.mark.parametrize(
    ("signer", "private_key"), [(ED25519, ED25519_KEY), (P256, P256_KEY)], ids=["ed25519", "ecdsa"]
)
def test_envelope_of_securesystemslib_verifies_with_ours(signer, private_key):
    """We verify what other people's tools sign, once it is in our one form."""
    envelope = OtherEnvelope(STATEMENT, payload_type_of(signer.public_key.suite), {})
    envelope.sign(CryptoSigner(private_key, other_key(signer)))
    encoded = json.dumps(envelope.to_dict(), separators=(",", ":"), sort_keys=True).encode()

    assert receive(encoded) == STATEMENT


@SIGNERS
def test_envelope_with_any_flipped_bit_is_refused(signer):
    """No bit of an envelope can change, signature block and key id included."""
    encoded = sign_envelope(STATEMENT, signer)

    for position in range(len(encoded)):
        for bit in range(8):
            flipped = bytearray(encoded)
            flipped[position] ^= 1 << bit
            refused(BridgeheadError, receive, bytes(flipped))


@SIGNERS
def test_envelope_cut_or_longer_anywhere_is_refused(signer):
    """Nothing is missing and nothing follows."""
    encoded = sign_envelope(STATEMENT, signer)

    for position in range(len(encoded)):
        assert refused(MalformedError, receive, encoded[:position]) == "ENVELOPE_FORM"
        refused(BridgeheadError, receive, encoded[:position] + encoded[position + 1 :])
        refused(BridgeheadError, receive, encoded[:position] + b"A" + encoded[position:])
    for end in (b"\n", b" ", b"\x00", b"{}"):
        assert refused(MalformedError, receive, encoded + end) == "ENVELOPE_FORM"


def test_parse_envelope_of_another_form_refuses():
    """Other orders, spaces, names, escapes, and none or two signatures are other forms of one envelope."""
    value = json.loads(sign_envelope(STATEMENT, ED25519))
    one = value["signatures"][0]

    def dumps(changed, **style):
        return json.dumps(changed, **{"separators": (",", ":"), "sort_keys": True, **style}).encode()

    assert receive(dumps(value)) == STATEMENT
    for other in (
        dumps(value, separators=(", ", ":")),
        dumps(value, indent=0),
        dumps(dict(reversed(value.items())), sort_keys=False),
        dumps(value | {"x": 1}),
        dumps(value | {"signatures": []}),
        dumps(value | {"signatures": [one, one]}),
        dumps(value | {"signatures": [one | {"x": 1}]}),
        dumps(value | {"signatures": [{"sig": one["sig"]}]}),
        dumps(value | {"signatures": [one | {"keyid": one["keyid"].upper()}]}),
        dumps(value | {"payload": ""}),
        dumps(value | {"payloadType": ""}),
        dumps(value | {"payloadType": value["payloadType"] + '"'}),
        dumps(value | {"payload": value["payload"].replace("/", "_")[:-1] + "-"}),
        dumps(value).replace(b"application/", b"application\\/"),
        dumps(value).replace(b'{"payload":', b'{"payload":"AAAA","payload":'),
        b"[]",
        b"null",
    ):
        assert refused(MalformedError, parse_envelope, other) == "ENVELOPE_FORM"


@pytest.mark.parametrize("payload", ["QQ", "QR==", "QUJ=", "QUI", "QUJD=", "QQ=", "A", "AA==="])
def test_parse_envelope_of_non_canonical_base64_refuses(payload):
    """Missing padding and pad bits that are not zero would be a second form of the same bytes."""
    encoded = sign_envelope(b"A", ED25519)
    other = encoded.replace(b'"payload":"QQ=="', b'"payload":"%b"' % payload.encode())

    assert other != encoded
    assert refused(MalformedError, parse_envelope, other) in ("ENVELOPE_BASE64", "ENVELOPE_FORM")


@pytest.mark.parametrize(
    "payload_type",
    [
        "application/json",
        "application/vnd.bridgehead.statement.v2+json;suite=ed25519",
        "application/vnd.bridgehead.statement.v1+json;suite=sm2-sm3",
        "application/vnd.bridgehead.statement.v1+json; suite=ed25519",
        "application/vnd.bridgehead.statement.v1+json",
    ],
)
def test_parse_envelope_of_another_payload_type_refuses(payload_type):
    """Another type, version or suite is refused before any signature is looked at."""
    value = json.loads(sign_envelope(STATEMENT, ED25519)) | {"payloadType": payload_type}
    encoded = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()

    assert refused(MalformedError, parse_envelope, encoded) in ("ENVELOPE_TYPE", "ENVELOPE_FORM")


def test_envelope_above_the_size_limit_is_refused():
    """Over-size is refused before parsing, and never written."""
    assert refused(MalformedError, parse_envelope, b"x" * (MAX_ENVELOPE_BYTES + 1)) == "ENVELOPE_SIZE"
    assert refused(MalformedError, sign_envelope, b"x" * MAX_ENVELOPE_BYTES, ED25519) == "ENVELOPE_SIZE"
    assert refused(MalformedError, sign_envelope, b"", ED25519) == "ENVELOPE_PAYLOAD"


@SIGNERS
def test_verify_envelope_without_the_signers_key_refuses(signer):
    """Only keys that the agreement gives the sender count, whatever the envelope says."""
    envelope = parse_envelope(sign_envelope(STATEMENT, signer))
    others = [key for key in KEYS if key != signer.public_key]

    assert refused(UntrustedError, verify_envelope, envelope, others) == "SIGNER_UNKNOWN"
    assert refused(UntrustedError, verify_envelope, envelope, ()) == "SIGNER_UNKNOWN"


def test_verify_envelope_under_a_key_of_the_other_suite_refuses():
    """The suite is in the signed bytes: an Ed25519 key verifies no envelope that says ECDSA, and the reverse."""
    for signer, other in ((ED25519, P256), (P256, ED25519)):
        encoded = sign_envelope(STATEMENT, signer)
        claimed = encoded.replace(signer.public_key.suite.value.encode(), other.public_key.suite.value.encode())
        assert refused(UntrustedError, receive, claimed) == "SIGNER_SUITE"
        renamed = claimed.replace(signer.public_key.key_id.encode(), other.public_key.key_id.encode())
        assert refused(UntrustedError, receive, renamed) == "SIGNATURE"


def test_verify_envelope_signed_by_another_key_refuses():
    """A key id is a hint: the signature must be by the key that has it."""
    stranger = Ed25519Signer(bytes(32))
    encoded = sign_envelope(STATEMENT, stranger)
    claimed = encoded.replace(stranger.public_key.key_id.encode(), ED25519.public_key.key_id.encode())

    assert refused(UntrustedError, receive, claimed) == "SIGNATURE"


def test_verify_envelope_with_another_number_of_signatures_refuses():
    """Exactly one signature, even in a value that no parser gave."""
    envelope = parse_envelope(sign_envelope(STATEMENT, ED25519))

    for signatures in ((), envelope.signatures * 2):
        assert refused(UntrustedError, verify_envelope, replace(envelope, signatures=signatures), KEYS) == "SIGNATURE"


def test_verify_envelope_of_a_weak_key_refuses():
    """A key of low order is refused even if it had come into the agreement: one signature would fit all messages."""
    weak = PublicKey(Suite.ED25519, bytes([1]) + bytes(31))
    encoded = sign_envelope(STATEMENT, ED25519)
    sig = json.loads(encoded)["signatures"][0]["sig"].encode()
    forged = encoded.replace(sig, b64encode(bytes([1]) + bytes(63)))
    forged = forged.replace(ED25519.public_key.key_id.encode(), weak.key_id.encode())

    assert refused(UntrustedError, receive, forged, [weak]) == "KEY_LOW_ORDER"


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_parse_envelope_of_any_bytes_raises_only_our_errors(encoded):
    """No ValueError leaves the parser, whatever comes in."""
    assert refused(MalformedError, parse_envelope, encoded) == "ENVELOPE_FORM"
