"""The terms: the few numbers and choices that all members share, the target `agreement.json`.

Rules kept: canonical JSON, exact set of names, every span within bounds that keep the protocol sane.
Trusts nothing: the bytes count only once the targets file that names their hash is verified (`agreement`).
Source: DESIGN section 4 (agreement); domain.md 2.13 (recognition modes).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_integer,
    read_text,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm, parse_federation_name

TERMS_PATH = "agreement.json"
VERSION = 1
RECOGNITION_MODES = frozenset({"card", "time"})
"""`card`: the other side's valid permit stands as it is; `time`: time registered there counts here."""

_NAMES = (
    "v", "federation", "realm", "clock_tolerance_seconds", "statement_lifetime_seconds", "lapse_grace_seconds",
    "recognition_modes",
)  # fmt: skip
_BOUNDS_SECONDS = {
    "clock_tolerance_seconds": (1, 3600),
    "statement_lifetime_seconds": (60, 30 * 86_400),
    "lapse_grace_seconds": (0, 60 * 86_400),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all members share: name and realm, spans of time, modes of recognition.

    `clock_tolerance` is how far two clocks may differ, `statement_lifetime` how long a statement lives, `lapse_grace`
    how long the exchange goes on after the freshness signature lapsed.
    """

    federation: str
    realm: Realm
    clock_tolerance: timedelta
    statement_lifetime: timedelta
    lapse_grace: timedelta
    recognition_modes: frozenset[str]


def encode_terms(terms: Terms) -> bytes:
    """Encodes the terms into their one canonical form."""
    return encode_canonical(
        {
            "v": VERSION,
            "federation": terms.federation,
            "realm": terms.realm.value,
            "clock_tolerance_seconds": int(terms.clock_tolerance.total_seconds()),
            "statement_lifetime_seconds": int(terms.statement_lifetime.total_seconds()),
            "lapse_grace_seconds": int(terms.lapse_grace.total_seconds()),
            "recognition_modes": sorted(terms.recognition_modes),
        }
    )


def decode_terms(encoded: bytes) -> Terms:
    """Decodes the exact bytes of `agreement.json`.

    Raises:
        MalformedError: JSON_* for its form, FEDERATION_NAME, AGREEMENT_TERMS for a version, realm, span or mode that
            is not among those allowed.
    """
    value = decode_canonical(encoded, what=TERMS_PATH)
    expect_names(value, _NAMES, what=TERMS_PATH)
    if read_integer(value, "v", what=TERMS_PATH) != VERSION:
        raise MalformedError("AGREEMENT_TERMS", f"{TERMS_PATH}: expected version {VERSION}", field="v")
    return Terms(
        federation=parse_federation_name(read_text(value, "federation", what=TERMS_PATH)),
        realm=_read_realm(value),
        clock_tolerance=_read_span(value, "clock_tolerance_seconds"),
        statement_lifetime=_read_span(value, "statement_lifetime_seconds"),
        lapse_grace=_read_span(value, "lapse_grace_seconds"),
        recognition_modes=_read_modes(value),
    )


def _read_realm(value: dict[str, JsonValue]) -> Realm:
    try:
        return Realm(read_text(value, "realm", what=TERMS_PATH))
    except ValueError as error:
        raise MalformedError(
            "AGREEMENT_TERMS", f"{TERMS_PATH}: expected 'realm' to be 'demo' or 'live'", field="realm"
        ) from error


def _read_span(value: dict[str, JsonValue], name: str) -> timedelta:
    low, high = _BOUNDS_SECONDS[name]
    seconds = read_integer(value, name, what=TERMS_PATH)
    if not low <= seconds <= high:
        raise MalformedError(
            "AGREEMENT_TERMS", f"{TERMS_PATH}: expected {name!r} from {low} to {high}, got {seconds}", field=name
        )
    return timedelta(seconds=seconds)


def _read_modes(value: dict[str, JsonValue]) -> frozenset[str]:
    found = value["recognition_modes"]
    modes = [mode for mode in found if isinstance(mode, str)] if isinstance(found, list) else []
    if not modes or modes != found or sorted(set(modes)) != modes or not RECOGNITION_MODES.issuperset(modes):
        raise MalformedError(
            "AGREEMENT_TERMS",
            f"{TERMS_PATH}: expected 'recognition_modes' to be a sorted list out of {sorted(RECOGNITION_MODES)}",
            field="recognition_modes",
        )
    return frozenset(modes)
