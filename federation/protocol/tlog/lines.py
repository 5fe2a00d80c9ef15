"""The strict small pieces of every text format of the log: lines, decimals, base64, hashes.

Rules kept: lines end in LF and nothing else (`str.splitlines` also splits on U+0085, U+2028, VT and FF); a value is
accepted only when writing it again gives the same characters; every failure is a `MalformedError`.
Trusts nothing. Source: what C2SP signed-note, tlog-checkpoint and tlog-proof have in common, C2SP/C2SP at 5ba5ee83.
"""

from __future__ import annotations

import base64
import binascii
import re

from federation.protocol.errors import MalformedError

HASH_SIZE = 32
"""Bytes of a SHA-256 hash, the only one that a tile may hold."""

MAX_DECIMAL = (1 << 63) - 1
"""The largest size, index or time, in whatever unit, that any of these formats may carry."""

MAX_PROOF_HASHES = 63
"""The most hashes that a proof in a tree of less than 2^63 leaves can need."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


def parse_decimal(text: str, what: str) -> int:
    """Parses an ASCII decimal below 2^63 without sign, spaces or leading zeros; refuses others (DECIMAL)."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_DECIMAL:
        raise MalformedError("DECIMAL", f"expected {what} as a plain decimal below 2^63, got {text!r:.40}")
    return int(text)


def format_decimal(number: int, what: str) -> str:
    """Formats a number that `parse_decimal` accepts; refuses others (DECIMAL)."""
    if not 0 <= number <= MAX_DECIMAL:
        raise MalformedError("DECIMAL", f"expected {what} between 0 and 2^63 - 1, got {number}")
    return str(number)


def parse_base64(text: str, what: str) -> bytes:
    """Parses RFC 4648 section 4 base64 with padding, in its one canonical form; refuses others (BASE64)."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("BASE64", f"expected {what} in base64, got {text!r:.60}") from error
    if format_base64(decoded) != text:
        raise MalformedError("BASE64", f"expected {what} in canonical base64, got {text!r:.60}")
    return decoded


def format_base64(blob: bytes) -> str:
    return base64.b64encode(blob).decode("ascii")


def parse_hash(text: str, what: str) -> bytes:
    """Parses the base64 of one 32-byte hash; refuses others (BASE64, HASH_SIZE)."""
    return require_hash(parse_base64(text, what), what)


def require_hash(blob: bytes, what: str) -> bytes:
    """Returns the bytes when they are 32; refuses others (HASH_SIZE)."""
    if len(blob) != HASH_SIZE:
        raise MalformedError("HASH_SIZE", f"expected {what} of 32 bytes, got {len(blob)}", bytes=len(blob))
    return blob


def require_text(text: str) -> str:
    """Returns text a note may hold: ends in LF, no other control byte, valid UTF-8; refuses others (TEXT)."""
    if not text.endswith("\n"):
        raise MalformedError("TEXT", "expected text that ends in a line feed, got another end")
    if control := _CONTROL.search(text):
        raise MalformedError("TEXT", f"expected no control byte but LF, got {control.group()!r}")
    if _SURROGATE.search(text):
        raise MalformedError("TEXT", "expected characters that UTF-8 can carry, got a lone surrogate")
    return text


def parse_text(blob: bytes, limit_bytes: int) -> str:
    """Decodes strict UTF-8 as `require_text` wants it (TEXT), of at most `limit_bytes` (TEXT_SIZE)."""
    if len(blob) > limit_bytes:
        raise MalformedError("TEXT_SIZE", f"expected at most {limit_bytes} bytes, got {len(blob)}", bytes=len(blob))
    try:
        return require_text(blob.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedError("TEXT", f"expected valid UTF-8, got another byte at {error.start}") from error


def split_lines(text: str) -> list[str]:
    """Splits text into lines without their LF, on LF only; refuses a last line without one (TEXT)."""
    if not text.endswith("\n"):
        raise MalformedError("TEXT", "expected text that ends in a line feed, got another end")
    return text[:-1].split("\n")
