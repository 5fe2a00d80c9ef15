"""Which 32 bytes are an honest Ed25519 public key: the arithmetic that signature libraries leave out.

With a key of low order one signature fits many messages, so its owner can later deny or swap what was signed. OpenSSL
accepts such keys: under `01 00..00` the signature `01 00..00 || 00..00` verifies for *every* message. So a key is
checked here once, before any signature is checked under it.
Rules kept, in this order: 32 bytes; y below p; not one of the points of order 1, 2, 4 or 8; on the curve, in the one
encoding of its point; [L]A is the neutral point, so no part of small order hides in it.
Trusts nothing. Handles public values only, so it need not run in constant time (about 2 ms a key).
Source: RFC 8032 5.1, transparency-log reference section 12, "Taming the many EdDSAs" (2020).
"""

from __future__ import annotations

from typing import TypeAlias

from federation.protocol.errors import MalformedError, UntrustedError

KEY_BYTES = 32
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


def admit_ed25519(key: bytes) -> bytes:
    """Returns the key when it generates the prime-order group and is the one encoding of its point.

    Raises:
        MalformedError: KEY_SIZE when it is not 32 bytes.
        UntrustedError: KEY_NOT_CANONICAL when y is not below p, KEY_LOW_ORDER for a point of order up to 8,
            KEY_OFF_CURVE when there is no such point, KEY_TORSION when it has a part of small order.
    """
    if len(key) != KEY_BYTES:
        raise MalformedError("KEY_SIZE", f"expected an Ed25519 public key of {KEY_BYTES} bytes, got {len(key)}")
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
    """Solves x^2 = (y^2 - 1) / (d y^2 + 1) by RFC 8032 5.1.3. x = 0 does not occur: its y are of low order."""
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
