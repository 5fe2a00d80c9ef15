"""The leaf: what one exchange, or one event that matters, leaves in an exchange log. Digests only, no personal data.

Canonical JSON under 1 kB, so that peers may mirror the log and learn nothing. Source: DESIGN section 4.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from federation.protocol.errors import MalformedError
from federation.protocol.form import Count, Digest, Item, Time, always, decode, encode
from federation.protocol.ids import FederationName, Pair, Realm, typed
from federation.protocol.statement import Statement

MAX_LEAF_BYTES = 1024
NOT_ANSWERED = "NOT_ANSWERED"
"""The reason of an `expired` leaf about a request that was delivered and that no one answered: lawful on both sides."""
LOG_RESTARTED = "LOG_RESTARTED"
"""The reason of the `boot` leaf that stands where a log that was retired ended."""
VERSION: Literal[1] = 1


class LeafKind(StrEnum):
    SENT = "sent"
    RECEIVED = "received"
    REFUSED = "refused"
    EXPIRED = "expired"
    AGREEMENT = "agreement"
    BOOT = "boot"
    DISCREPANCY = "discrepancy"
    ERASURE = "erasure"
    PAIR_DIGEST = "pair-digest"
    READING = "reading"
    OFFICER_KEY = "officer-key"
    DUTY = "duty"
    FIGURE = "figure"


class Verdict(StrEnum):
    """Policy's verdict: by it a message leaf is `received` or `refused`."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class Leaf(Item, frozen=True, kw_only=True, rename={"agreement_version": "agreement"}):
    """One entry of an exchange log.

    `subject` is the digest that makes an append idempotent with `kind`: the statement's (SHA-256 of its DSSE
    pre-authentication encoding) for messages, the event's own for the rest. Digests are lower-case hex.
    """

    WHAT: ClassVar[str] = "leaf"
    REASON: ClassVar[str] = "LEAF_FIELD"

    v: Annotated[Literal[1], typed("1", reason="LEAF_VERSION")] = always(VERSION)
    federation: FederationName
    realm: Realm
    kind: LeafKind
    subject: Digest
    time: Time
    agreement_version: Count
    signatures: Digest | None = None
    pair: Pair | None = None
    seq: Count | None = None
    commitment: Digest | None = None
    verdict: Verdict | None = None
    policies: Annotated[tuple[str, ...], typed("a list of policy ids", type_reason="LEAF_FIELD")] = ()
    reason: str | None = None
    peer_checkpoint: Digest | None = None


def leaf_about(
    statement: Statement,
    digest: str,
    kind: LeafKind,
    *,
    agreement_version: int,
    time: datetime,
    **more: Any,  # noqa: ANN401
) -> Leaf:
    """The leaf about a message, by the digest of its statement; `more` is what its kind says besides."""
    return Leaf(
        federation=statement.federation,
        realm=statement.realm,
        kind=kind,
        subject=digest,
        pair=statement.pair,
        seq=statement.seq,
        agreement_version=agreement_version,
        time=time,
        **more,
    )


def encode_leaf(leaf: Leaf) -> bytes:
    """Returns the one canonical form of a leaf; refuses more than 1 kB (LEAF_SIZE)."""
    encoded = encode(leaf)
    if len(encoded) > MAX_LEAF_BYTES:
        raise MalformedError("LEAF_SIZE", f"expected at most {MAX_LEAF_BYTES} bytes, got {len(encoded)}")
    return encoded


def decode_leaf(encoded: bytes) -> Leaf:
    """Decodes the exact bytes of a leaf; refuses LEAF_SIZE, LEAF_VERSION, LEAF_FIELD, JSON_* and as `ids` does."""
    if len(encoded) > MAX_LEAF_BYTES:
        raise MalformedError("LEAF_SIZE", f"expected at most {MAX_LEAF_BYTES} bytes, got {len(encoded)}")
    return decode(Leaf, encoded)
