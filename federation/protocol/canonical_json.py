"""Strict JSON: one value, one byte string.

Rules kept: UTF-8; names sorted; no insignificant space; no floats; integers within 2^53; no duplicate and no unknown
names; decoding and encoding again gives the same bytes, or the bytes are refused. For our ASCII names this is the
RFC 8785 form.
Trusts nothing: every byte string may come from a hostile peer. Source: RFC 8259, RFC 8785, DESIGN section 4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeAlias

from federation.protocol.errors import MalformedError

JsonValue: TypeAlias = "str | int | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""What canonical JSON may hold. There are no floats: they have more than one written form."""

MAX_INTEGER = 2**53 - 1
_HEX32 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def encode_canonical(value: Mapping[str, JsonValue]) -> bytes:
    """Returns the one canonical form of an object; refuses lone surrogates, which UTF-8 cannot carry (JSON_UTF8)."""
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError as error:
        raise MalformedError("JSON_UTF8", "expected characters that UTF-8 can carry, got a lone surrogate") from error


def decode_canonical(encoded: bytes, *, what: str) -> dict[str, JsonValue]:
    """Decodes one canonical JSON object, named by `what` in errors; refuses any other spelling (JSON_*)."""
    try:
        text = encoded.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("JSON_UTF8", f"{what}: expected UTF-8") from error
    try:
        value = _DECODER.decode(text)
        again = encode_canonical(value) if isinstance(value, dict) else b""
    except (json.JSONDecodeError, RecursionError) as error:
        raise MalformedError("JSON_SYNTAX", f"{what}: expected one JSON object and nothing after it") from error
    if not isinstance(value, dict):
        raise MalformedError("JSON_OBJECT", f"{what}: expected a JSON object")
    if again != encoded:
        raise MalformedError("JSON_NOT_CANONICAL", f"{what}: expected sorted names and no insignificant space")
    return value


def expect_names(
    value: Mapping[str, JsonValue], required: Iterable[str], optional: Iterable[str] = (), *, what: str
) -> None:
    """Refuses an object that lacks a required name (JSON_MISSING_NAME) or has another one (JSON_UNKNOWN_NAME)."""
    required_names = frozenset(required)
    missing = sorted(required_names - value.keys())
    if missing:
        raise MalformedError("JSON_MISSING_NAME", f"{what}: expected the name {missing[0]!r}", field=missing[0])
    unknown = sorted(value.keys() - required_names - frozenset(optional))
    if unknown:
        raise MalformedError("JSON_UNKNOWN_NAME", f"{what}: did not expect the name {unknown[0]!r:.60}")


def read_text(value: Mapping[str, JsonValue], name: str, *, what: str) -> str:
    """Returns a string field; refuses any other (JSON_TYPE)."""
    found = value.get(name)
    if not isinstance(found, str):
        raise MalformedError("JSON_TYPE", f"{what}: expected {name!r} to be a string", field=name)
    return found


def read_integer(value: Mapping[str, JsonValue], name: str, *, what: str) -> int:
    """Returns an integer from 0 to 2^53 - 1; refuses any other, booleans too (JSON_TYPE)."""
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= MAX_INTEGER:
        raise MalformedError("JSON_TYPE", f"{what}: expected {name!r} to be an integer from 0 to 2^53-1", field=name)
    return found


def read_object(value: Mapping[str, JsonValue], name: str, *, what: str) -> dict[str, JsonValue]:
    """Returns an object field; refuses any other (JSON_TYPE)."""
    found = value.get(name)
    if not isinstance(found, dict):
        raise MalformedError("JSON_TYPE", f"{what}: expected {name!r} to be an object", field=name)
    return found


def read_digest(value: Mapping[str, JsonValue], name: str, *, what: str) -> str:
    """Returns a SHA-256 digest of 64 lower-case hex digits; refuses another form (JSON_DIGEST) or type (JSON_TYPE)."""
    found = read_text(value, name, what=what)
    if not _HEX32.fullmatch(found):
        raise MalformedError("JSON_DIGEST", f"{what}: expected {name!r} to be 64 lower-case hex digits", field=name)
    return found


def _pairs_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("JSON_DUPLICATE_NAME", "expected each name once in a JSON object")
    return found


def _refuse_float(text: str) -> NoReturn:
    raise MalformedError("JSON_FLOAT", f"expected an integer, got {text!r:.30}")


def _parse_integer(text: str) -> int:
    if len(text) > 17 or not -MAX_INTEGER <= int(text) <= MAX_INTEGER:
        raise MalformedError("JSON_NUMBER", "expected an integer within 2^53")
    return int(text)


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs_once, parse_float=_refuse_float, parse_constant=_refuse_float, parse_int=_parse_integer
)
