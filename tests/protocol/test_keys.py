"""Message keys: forms, admission, signatures, and the published vectors."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError, MalformedError, UntrustedError
from federation.protocol.keys import (
    _D,
    _L,
    _P,
    Ed25519Signer,
    P256Signer,
    PublicKey,
    Suite,
    _add,
    _is_neutral,
    _multiply,
    _recover_x,
    admit_ed25519,
    admit_public_key,
    format_public_key,
    parse_public_key,
    verify_signature,
)
from tests.vectors.published import load_signatures

LOW_ORDER = bytes([1]) + bytes(31)


def pkcs8(curve=None, value=12345):
    key = ec.derive_private_key(value, curve or ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


ED25519 = Ed25519Signer(bytes(range(32)))
P256 = P256Signer(pkcs8())
SIGNERS = pytest.mark.parametrize("signer", [ED25519, P256], ids=["ed25519", "ecdsa-p256"])


def refused(call, *args):
    with pytest.raises(BridgeheadError) as caught:
        call(*args)
    return caught.value.reason


def point_key(x, y):
    return (y | (x & 1) << 255).to_bytes(32, "little")


@pytest.mark.parametrize(
    ("name", "suite", "count"),
    [("ed25519", Suite.ED25519, 151), ("ecdsa_p256_sha256", Suite.ECDSA_P256, 484)],
)
def test_verify_signature_of_every_wycheproof_case_agrees(name, suite, count):
    """Valid verifies and invalid is refused, with no exception."""
    wrong, seen = [], 0
    for case in load_signatures(name):
        seen += 1
        try:
            verify_signature(admit_public_key(PublicKey(suite, case.key)), case.message, case.signature)
        except UntrustedError as error:
            got = error.reason
        else:
            got = "valid"
        if got != ("valid" if case.valid else "SIGNATURE"):
            wrong.append((case.number, got))

    assert (wrong, seen) == ([], count)


@SIGNERS
@given(message=st.binary(max_size=200))
def test_verify_signature_of_a_signed_message_passes(signer, message):
    """What a signer signs verifies under its own key, and signing again gives the same bytes."""
    signature = signer.sign(message)

    verify_signature(signer.public_key, message, signature)
    assert signer.sign(message) == signature


@SIGNERS
def test_verify_signature_of_anything_else_refuses(signer):
    """Another message, a flipped bit, a cut or a longer signature, no signature: refused with one reason."""
    signature = signer.sign(b"message")
    others = [signature[:-1], signature + b"\x00", b"", b"\x00" * 64, b"0" * 500]
    for position in range(len(signature)):
        flipped = bytearray(signature)
        flipped[position] ^= 1 << position % 8
        others.append(bytes(flipped))

    assert refused(verify_signature, signer.public_key, b"Message", signature) == "SIGNATURE"
    assert {refused(verify_signature, signer.public_key, b"message", other) for other in others} == {"SIGNATURE"}


def test_verify_signature_with_s_not_below_the_group_order_refuses():
    """S + L satisfies the equation of Ed25519 but would be a second signature of one message (RFC 8032 5.1.7)."""
    signature = ED25519.sign(b"message")
    s = int.from_bytes(signature[32:], "little")

    verify_signature(ED25519.public_key, b"message", signature)
    for larger in (s + _L, s + 2 * _L, s + 7 * _L):
        other = signature[:32] + larger.to_bytes(32, "little")
        assert refused(verify_signature, ED25519.public_key, b"message", other) == "SIGNATURE"


def test_verify_signature_in_another_der_form_refuses():
    """BER lengths, padded numbers and bytes after the end are other forms of one signature."""
    signature = P256.sign(b"message")
    r, s = decode_dss_signature(signature)
    r_bytes = r.to_bytes(r.bit_length() // 8 + 1)
    s_bytes = s.to_bytes(s.bit_length() // 8 + 1)

    def der(r_value, s_value, length=lambda size: bytes([size])):
        inner = b"\x02" + bytes([len(r_value)]) + r_value + b"\x02" + bytes([len(s_value)]) + s_value
        return b"\x30" + length(len(inner)) + inner

    assert der(r_bytes, s_bytes) == signature
    for other in (
        der(b"\x00" + r_bytes, s_bytes),
        der(r_bytes, b"\x00" + s_bytes),
        der(r_bytes, s_bytes, lambda size: bytes([0x81, size])),
        signature + b"\x00",
        r.to_bytes(32) + s.to_bytes(32),
    ):
        assert refused(verify_signature, P256.public_key, b"message", other) == "SIGNATURE"


def test_verify_signature_of_ecdsa_accepts_the_negative_s():
    """(r, n - s) is a valid ECDSA signature by FIPS 186-5: nothing may be named by its signature bytes."""
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = decode_dss_signature(P256.sign(b"message"))

    verify_signature(P256.public_key, b"message", encode_dss_signature(r, n - s))


@pytest.mark.parametrize("message", [b"", b"a", b"any message at all"])
def test_key_of_low_order_verifies_every_message_elsewhere_and_is_refused_here(message):
    """Why keys are admitted: with the key 01 00..00 one signature fits every message for `cryptography`."""
    signature = bytes([1]) + bytes(63)
    key = PublicKey(Suite.ED25519, LOW_ORDER)

    Ed25519PublicKey.from_public_bytes(LOW_ORDER).verify(signature, message)
    assert refused(admit_public_key, key) == "KEY_LOW_ORDER"
    assert refused(verify_signature, key, message, signature) == "KEY_LOW_ORDER"


@pytest.mark.parametrize("sign_bit", [0, 0x80])
@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        ("00" * 32, "KEY_LOW_ORDER"),
        ("01" + "00" * 31, "KEY_LOW_ORDER"),
        ("ec" + "ff" * 30 + "7f", "KEY_LOW_ORDER"),
        ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "KEY_LOW_ORDER"),
        ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "KEY_LOW_ORDER"),
        ("ed" + "ff" * 30 + "7f", "KEY_NOT_CANONICAL"),
        ("ee" + "ff" * 30 + "7f", "KEY_NOT_CANONICAL"),
        ("ff" * 31 + "7f", "KEY_NOT_CANONICAL"),
        ("02" + "00" * 31, "KEY_OFF_CURVE"),
        ("07" + "00" * 31, "KEY_OFF_CURVE"),
    ],
)
def test_admit_ed25519_of_a_weak_key_refuses(encoded, reason, sign_bit):
    """Low order, non-canonical and off-curve encodings are refused with either sign."""
    key = bytearray.fromhex(encoded)
    key[31] |= sign_bit

    assert refused(admit_ed25519, bytes(key)) == reason


def test_low_order_list_is_the_eight_torsion_points():
    """The listed y are those of the points of order 1, 2, 4 and 8, computed from a point with torsion."""
    found = set()
    for y in range(2, 40):
        x = _recover_x(y, odd=False)
        if x is not None:
            torsion = _multiply(_L, (x, y, 1, x * y % _P))
            for times in range(8):
                x_, y_, z, _ = _multiply(times, torsion)
                found.add(point_key(x_ * pow(z, -1, _P) % _P, y_ * pow(z, -1, _P) % _P))

    assert len(found) == 8
    assert {refused(admit_ed25519, key) for key in found} == {"KEY_LOW_ORDER"}


@given(st.binary(min_size=32, max_size=32))
def test_admit_ed25519_of_a_derived_key_returns_it_and_with_torsion_refuses(seed):
    """Every honestly derived key is admitted; the same key plus a point of order 2 is not."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    encoded = int.from_bytes(key, "little")
    y, odd = encoded & (1 << 255) - 1, bool(encoded >> 255)
    x = _recover_x(y, odd=odd)

    assert admit_ed25519(key) == key
    assert (-x * x + y * y - 1 - _D * x * x * y * y) % _P == 0
    assert refused(admit_ed25519, point_key(_P - x, _P - y)) == "KEY_TORSION"


@given(st.binary(min_size=32, max_size=32))
def test_admit_ed25519_of_any_bytes_admits_points_of_prime_order_only(key):
    """Whatever 32 bytes come in, what is admitted is a point that [L] takes to the neutral one."""
    try:
        admit_ed25519(key)
    except UntrustedError:
        return
    encoded = int.from_bytes(key, "little")
    y = encoded & (1 << 255) - 1
    x = _recover_x(y, odd=bool(encoded >> 255))
    assert point_key(x, y) == key
    assert _is_neutral(_add(_multiply(_L - 1, (x, y, 1, x * y % _P)), (x, y, 1, x * y % _P)))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_admit_of_another_key_size_refuses(size):
    """An Ed25519 key has 32 bytes; a P-256 key 91."""
    assert refused(admit_public_key, PublicKey(Suite.ED25519, bytes(size))) == "KEY_SIZE"
    assert refused(admit_public_key, PublicKey(Suite.ECDSA_P256, bytes(size))) == "KEY_SIZE"


@pytest.mark.parametrize("value", [1, 2, 12345, 2**200 + 1])
def test_admit_p256_of_a_derived_key_returns_it(value):
    """Every honestly derived P-256 key is admitted."""
    key = P256Signer(pkcs8(value=value)).public_key

    assert admit_public_key(key) is key


def test_admit_p256_of_another_form_or_point_refuses():
    """Compressed points, other headers, coordinates above the prime and points off the curve are refused."""
    spki = P256.public_key.key
    public_key = ec.derive_private_key(12345, ec.SECP256R1()).public_key()
    compressed = public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)

    def reason(key):
        return refused(admit_public_key, PublicKey(Suite.ECDSA_P256, key))

    assert reason(spki[:-65] + compressed) == "KEY_SIZE"
    assert reason(b"\x31" + spki[1:]) == "KEY_FORM"
    assert reason(spki[:-65] + b"\x02" + spki[-64:]) == "KEY_FORM"
    assert reason(spki[:-65] + b"\x06" + spki[-64:]) == "KEY_FORM"
    assert reason(spki[:-1] + bytes([spki[-1] ^ 1])) == "KEY_OFF_CURVE"
    assert reason(spki[:-64] + bytes(64)) == "KEY_OFF_CURVE"
    assert reason(spki[:-64] + b"\xff" * 32 + spki[-32:]) == "KEY_NOT_CANONICAL"
    assert reason(spki[:-32] + b"\xff" * 32) == "KEY_NOT_CANONICAL"


@SIGNERS
def test_parse_public_key_reads_back_what_format_writes(signer):
    """A key has one written form: suite, colon, canonical base64."""
    text = format_public_key(signer.public_key)

    assert parse_public_key(text) == signer.public_key
    assert text.startswith(signer.public_key.suite.value + ":")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "KEY_FORM"),
        ("ed25519", "KEY_FORM"),
        ("rsa:AAAA", "KEY_SUITE"),
        ("ED25519:AAAA", "KEY_SUITE"),
        (":AAAA", "KEY_SUITE"),
        ("ed25519:AAA", "BASE64"),
        ("ed25519:AAB=", "BASE64"),
        ("ed25519:AAA=\n", "BASE64"),
        ("ed25519:é", "BASE64"),
    ],
)
def test_parse_public_key_of_another_form_refuses(text, reason):
    """Unknown suites and non-canonical base64 are refused."""
    assert refused(parse_public_key, text) == reason


def test_key_id_depends_on_suite_and_key():
    """A key id is SHA-256 of suite, colon and key: the same bytes under another suite are another key."""
    assert ED25519.public_key.key_id == "f694f4a6d8bd6ced22e09cf0d3ea87177675f3c6dd6224a793360dbb7288c105"
    assert PublicKey(Suite.ECDSA_P256, ED25519.public_key.key).key_id != ED25519.public_key.key_id


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_ed25519_signer_of_another_seed_size_refuses(seed):
    """An Ed25519 private key has 32 bytes."""
    assert refused(Ed25519Signer, seed) == "PRIVATE_KEY"


def test_p256_signer_of_another_key_refuses():
    """Garbage, other curves, other kinds of keys and encrypted keys are refused."""
    ed25519 = Ed25519PrivateKey.from_private_bytes(bytes(32))
    formats = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8)
    encrypted = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(
        *formats, serialization.BestAvailableEncryption(b"secret")
    )

    for blob in (
        b"",
        b"x" * 50,
        pkcs8(ec.SECP384R1()),
        ed25519.private_bytes(*formats, serialization.NoEncryption()),
        encrypted,
    ):
        assert refused(P256Signer, blob) == "PRIVATE_KEY"


@SIGNERS
def test_signer_does_not_show_its_private_key(signer):
    """Neither `repr` nor the attributes open to a caller hold the private key."""
    assert repr(signer).startswith("<federation.protocol.keys.")
    assert not hasattr(signer, "__dict__")


def test_p256_signature_verifies_elsewhere():
    """Our ECDSA is ordinary ECDSA with SHA-256."""
    public_key = ec.derive_private_key(12345, ec.SECP256R1()).public_key()

    public_key.verify(P256.sign(b"message"), b"message", ec.ECDSA(SHA256()))


def test_admission_errors_are_of_two_classes():
    """A wrong form is the sender's to mend; a weak key is not to be trusted."""
    with pytest.raises(MalformedError):
        admit_public_key(PublicKey(Suite.ED25519, b""))
    with pytest.raises(UntrustedError):
        admit_public_key(PublicKey(Suite.ED25519, LOW_ORDER))
