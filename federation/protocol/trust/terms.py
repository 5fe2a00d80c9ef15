"""The terms: the few numbers and choices that all members share, the target `agreement.json`.

Rules kept: canonical JSON, exact set of names, every span within bounds that keep the protocol sane.
Trusts nothing: the bytes count only once the targets file that names their hash is verified (`agreement`).
Source: DESIGN section 4 (agreement); domain.md 2.13 (recognition modes).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from federation.protocol.fields import between, checked, told
from federation.protocol.form import Item, always, decode, encode
from federation.protocol.ids import FederationName, Realm

TERMS_PATH: Final = "agreement.json"
RECOGNITION_MODES: Final = frozenset({"card", "time"})
"""`card`: the other side's valid permit stands as it is; `time`: time registered there counts here."""

_DAY_SECONDS: Final = 86_400


def _are_modes(modes: frozenset[str]) -> bool:
    return bool(modes) and modes <= RECOGNITION_MODES


class Terms(Item, frozen=True, kw_only=True):
    """What all members share: name and realm, spans of time, modes of recognition.

    `clock_tolerance` is how far two clocks may differ, `statement_lifetime` how long a statement lives, `lapse_grace`
    how long the exchange goes on after the freshness signature lapsed.
    """

    WHAT: ClassVar[str] = TERMS_PATH
    REASON: ClassVar[str] = "AGREEMENT_TERMS"

    v: Annotated[Literal[1], told("1")] = always(1)
    federation: FederationName
    realm: Realm
    clock_tolerance_seconds: Annotated[int, between(1, 3600)]
    statement_lifetime_seconds: Annotated[int, between(60, 30 * _DAY_SECONDS)]
    lapse_grace_seconds: Annotated[int, between(0, 60 * _DAY_SECONDS)]
    recognition_modes: Annotated[
        frozenset[str],
        checked(_are_modes, form=f"a sorted list out of {sorted(RECOGNITION_MODES)}", type_reason="AGREEMENT_TERMS"),
    ]

    @property
    def clock_tolerance(self) -> timedelta:
        return timedelta(seconds=self.clock_tolerance_seconds)

    @property
    def statement_lifetime(self) -> timedelta:
        return timedelta(seconds=self.statement_lifetime_seconds)

    @property
    def lapse_grace(self) -> timedelta:
        return timedelta(seconds=self.lapse_grace_seconds)


def encode_terms(terms: Terms) -> bytes:
    return encode(terms)


def decode_terms(encoded: bytes) -> Terms:
    """Decodes the exact bytes of `agreement.json`; refuses JSON_*, FEDERATION_NAME, AGREEMENT_TERMS."""
    return decode(Terms, encoded)
