"""Message keys: which suites there are, how a public key is written, admitted and used, and what signs.

Rules kept: a signature is verified only under a key that was admitted (`admit_public_key`, once a key and process);
one encoding a key; ECDSA signatures are DER in its one canonical form; Ed25519 signatures have S below the group order.
(r, n - s) of an ECDSA signature verifies as (r, s) does, as FIPS 186-5 says: nothing here is named by its signature.
Trusts `cryptography` (OpenSSL) for the signature equations, not for its choice of keys and encodings.
Sources: RFC 8032, FIPS 186-5, RFC 5480 (SPKI), RFC 6979 (no random number when signing),
"Taming the many EdDSAs" (2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Protocol, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import format_base64, parse_base64

SEED_BYTES = 32
_P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P256_SPKI_BYTES = len(_P256_PREFIX) + 64

# Ed25519: the field's prime, the group's order, the curve's constant (RFC 8032 5.1)
_ED25519_BYTES = 32
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_SIGN_BIT = 1 << 255
_LOW_ORDER_Y = frozenset(
    (
        0,
        1,
        _P - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    )
)

_Point: TypeAlias = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T: x = X/Z, y = Y/Z, xy = T/Z
_NEUTRAL: _Point = (0, 1, 1, 0)
_ECDSA = ec.ECDSA(SHA256())
_ECDSA_DETERMINISTIC = ec.ECDSA(SHA256(), deterministic_signing=True)
_Verify: TypeAlias = Callable[[bytes, bytes], None]  # (signature, message), raises InvalidSignature


class Suite(StrEnum):
    """The signature suite of a statement: part of the signed payload type, so no one can swap it."""

    ED25519 = "ed25519"
    ECDSA_P256 = "ecdsa-p256-sha256"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key with the only suite it may be used for: 32 raw bytes (Ed25519) or SPKI DER (P-256)."""

    suite: Suite
    key: bytes

    @property
    def key_id(self) -> str:
        """64 hex digits: SHA-256 of the suite, a colon and the key. A hint for finding the key, never trusted."""
        return sha256(f"{self.suite.value}:".encode() + self.key).hexdigest()


del PublicKey.__dataclass_fields__  # an item writes it as text and not as an object


class Signer(Protocol):
    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """Signs the exact bytes: 64 bytes for Ed25519, canonical DER for ECDSA."""
        ...


class Ed25519Signer:
    __slots__ = ("_private_key", "_public_key")

    def __init__(self, seed: bytes) -> None:
        """Takes the 32-byte private key of RFC 8032; refuses another length (PRIVATE_KEY)."""
        if len(seed) != SEED_BYTES:
            raise MalformedError("PRIVATE_KEY", f"expected an Ed25519 seed of {SEED_BYTES} bytes, got {len(seed)}")
        self._private_key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public_key = PublicKey(Suite.ED25519, self._private_key.public_key().public_bytes_raw())

    @property
    def public_key(self) -> PublicKey:
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Signs the exact bytes (RFC 8032 5.1.6): 64 bytes, always the same for the same message."""
        return self._private_key.sign(message)


class P256Signer:
    __slots__ = ("_private_key", "_public_key")

    def __init__(self, pkcs8: bytes) -> None:
        """Takes an unencrypted PKCS #8 P-256 key in DER; refuses any other (PRIVATE_KEY)."""
        try:
            private_key = load_der_private_key(pkcs8, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise MalformedError("PRIVATE_KEY", "expected an unencrypted PKCS #8 private key in DER") from error
        if not isinstance(private_key, ec.EllipticCurvePrivateKey) or not isinstance(private_key.curve, ec.SECP256R1):
            raise MalformedError("PRIVATE_KEY", "expected a private key of the curve P-256")
        self._private_key = private_key
        spki = private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._public_key = PublicKey(Suite.ECDSA_P256, spki)

    @property
    def public_key(self) -> PublicKey:
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Signs the exact bytes: DER, always the same for the same message (RFC 6979)."""
        return self._private_key.sign(message, _ECDSA_DETERMINISTIC)


def parse_public_key(text: str) -> PublicKey:
    """Parses `<suite>:<base64>`, not admitted yet; refuses another form (KEY_FORM, KEY_SUITE, BASE64)."""
    name, colon, encoded = text.partition(":")
    if not colon:
        raise MalformedError("KEY_FORM", f"expected a key such as 'ed25519:<base64>', got {text!r:.40}")
    try:
        suite = Suite(name)
    except ValueError as error:
        raise MalformedError("KEY_SUITE", f"expected one of {[*map(str, Suite)]}, got {name!r:.40}") from error
    return PublicKey(suite, parse_base64(encoded, "a public key"))


def format_public_key(public_key: PublicKey) -> str:
    return f"{public_key.suite.value}:{format_base64(public_key.key)}"


def admit_public_key(public_key: PublicKey) -> PublicKey:
    """Returns a key whose signatures bind their owner; refuses others (KEY_*). For every load of an agreement."""
    _admitted_verify(public_key)
    return public_key


def verify_signature(public_key: PublicKey, message: bytes, signature: bytes) -> None:
    """Refuses a signature that does not hold over the exact bytes or is not canonical (SIGNATURE), and weak keys."""
    try:
        _admitted_verify(public_key)(signature, message)
    except InvalidSignature as error:
        raise UntrustedError("SIGNATURE", f"expected a signature by the key {public_key.key_id[:16]}") from error


@lru_cache(maxsize=1024)
def _admitted_verify(public_key: PublicKey) -> _Verify:
    """Admits a key and readies it; kept, because both cost more than a verification."""
    if public_key.suite is Suite.ED25519:
        return Ed25519PublicKey.from_public_bytes(admit_ed25519(public_key.key)).verify
    return _p256_verify(*_admit_p256(public_key.key))


def admit_ed25519(key: bytes) -> bytes:
    """Returns the key when it generates the prime-order group and is the one encoding of its point.

    OpenSSL leaves this out. With a key of low order one signature fits many messages, so its owner can later deny or
    swap what was signed: under `01 00..00` the signature `01 00..00 || 00..00` verifies for *every* message. Public
    values only, so it need not run in constant time (about 2 ms a key).
    """
    if len(key) != _ED25519_BYTES:
        raise MalformedError("KEY_SIZE", f"expected an Ed25519 public key of {_ED25519_BYTES} bytes, got {len(key)}")
    encoded = int.from_bytes(key, "little")
    y = encoded & (_SIGN_BIT - 1)
    if y >= _P:
        raise UntrustedError("KEY_NOT_CANONICAL", "expected an Ed25519 public key with y below 2^255 - 19")
    if y in _LOW_ORDER_Y:
        raise UntrustedError("KEY_LOW_ORDER", "expected an Ed25519 public key of prime order, got one of order 1 to 8")
    x = _recover_x(y, odd=bool(encoded & _SIGN_BIT))
    if x is None:
        raise UntrustedError("KEY_OFF_CURVE", "expected an Ed25519 public key that is a point of the curve")
    if not _is_neutral(_multiply(_L, (x, y, 1, x * y % _P))):
        raise UntrustedError("KEY_TORSION", "expected an Ed25519 public key of prime order, got one with torsion")
    return key


def _recover_x(y: int, *, odd: bool) -> int | None:
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    square = v * x * x % _P
    if square == -u % _P:
        x = x * _SQRT_MINUS_1 % _P
    elif square != u:
        return None
    return _P - x if bool(x & 1) != odd else x


def _multiply(scalar: int, point: _Point) -> _Point:
    result = _NEUTRAL
    for bit in f"{scalar:b}":
        result = _add(result, result)
        if bit == "1":
            result = _add(result, point)
    return result


def _add(left: _Point, right: _Point) -> _Point:
    """Adds two points by the complete formulas of RFC 8032 5.1.4."""
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _is_neutral(point: _Point) -> bool:
    x, y, z, _ = point
    return x % _P == 0 and (y - z) % _P == 0


def _admit_p256(key: bytes) -> tuple[int, int]:
    """The point of a key. P-256 has no small subgroup: to be on the curve, and not at infinity, is enough."""
    if len(key) != _P256_SPKI_BYTES:
        raise MalformedError("KEY_SIZE", f"expected a P-256 public key of {_P256_SPKI_BYTES} bytes, got {len(key)}")
    if not key.startswith(_P256_PREFIX):
        raise MalformedError("KEY_FORM", "expected SPKI DER of the named curve P-256 with an uncompressed point")
    x, y = int.from_bytes(key[-64:-32]), int.from_bytes(key[-32:])
    if x >= _P256_PRIME or y >= _P256_PRIME:
        raise UntrustedError("KEY_NOT_CANONICAL", "expected P-256 coordinates below the field's prime")
    if (y * y - x * x * x + 3 * x - _P256_B) % _P256_PRIME:
        raise UntrustedError("KEY_OFF_CURVE", "expected a P-256 public key that is a point of the curve")
    return x, y


def _p256_verify(x: int, y: int) -> _Verify:
    public_key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def verify(signature: bytes, message: bytes) -> None:
        _require_canonical_der(signature)
        public_key.verify(signature, message, _ECDSA)

    return verify


def _require_canonical_der(signature: bytes) -> None:
    """Refuses what `cryptography` would read but not write: a second form of one signature."""
    try:
        canonical: bytes | None = encode_dss_signature(*decode_dss_signature(signature))
    except ValueError:
        canonical = None
    if canonical != signature:
        raise InvalidSignature
