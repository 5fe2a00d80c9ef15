"""The leaf: what one exchange, or one event that matters, leaves in an exchange log. Digests only, no personal data.

Canonical JSON under 1 kB, so that peers may mirror the log without learning who asked whom about what.
Source: transparency-log reference section 14, DESIGN section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from federation.protocol.canonical_json import (
    JsonValue,
    decode_canonical,
    encode_canonical,
    expect_names,
    read_digest,
    read_integer,
    read_text,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Pair, Realm, format_time, parse_federation_name, parse_pair, parse_time

MAX_LEAF_BYTES = 1024
NOT_ANSWERED = "NOT_ANSWERED"
"""The reason of an `expired` leaf about a request that was delivered and that no one answered: lawful on both sides."""
VERSION = 1


class LeafKind(StrEnum):
    """What happened. The first four are about messages, the others about the node itself."""

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


class Verdict(StrEnum):
    """What policy said: by it a message leaf is `received` or `refused`."""

    ALLOWED = "allowed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One entry of an exchange log.

    `subject` is the digest that makes an append idempotent with `kind`: the statement's (SHA-256 of its DSSE
    pre-authentication encoding) for messages, the event's own for the rest. Digests are lower-case hex.
    """

    federation: str
    realm: Realm
    kind: LeafKind
    subject: str
    time: datetime
    agreement_version: int
    signatures: str | None = None
    pair: Pair | None = None
    seq: int | None = None
    commitment: str | None = None
    verdict: Verdict | None = None
    policies: tuple[str, ...] = ()
    reason: str | None = None
    peer_checkpoint: str | None = None


_REQUIRED = ("v", "federation", "realm", "kind", "subject", "time", "agreement")
_OPTIONAL = ("signatures", "pair", "seq", "commitment", "verdict", "policies", "reason", "peer_checkpoint")


def encode_leaf(leaf: Leaf) -> bytes:
    """Encodes a leaf into its one canonical form.

    Raises:
        MalformedError: LEAF_SIZE when it would be longer than 1 kB.
    """
    value: dict[str, JsonValue] = {
        "v": VERSION,
        "federation": leaf.federation,
        "realm": leaf.realm.value,
        "kind": leaf.kind.value,
        "subject": leaf.subject,
        "time": format_time(leaf.time),
        "agreement": leaf.agreement_version,
    }
    optional: tuple[tuple[str, JsonValue], ...] = (
        ("signatures", leaf.signatures),
        ("pair", str(leaf.pair) if leaf.pair else None),
        ("seq", leaf.seq),
        ("commitment", leaf.commitment),
        ("verdict", leaf.verdict.value if leaf.verdict else None),
        ("policies", list(leaf.policies) or None),
        ("reason", leaf.reason),
        ("peer_checkpoint", leaf.peer_checkpoint),
    )
    value.update((name, field) for name, field in optional if field is not None)
    encoded = encode_canonical(value)
    if len(encoded) > MAX_LEAF_BYTES:
        raise MalformedError("LEAF_SIZE", f"expected at most {MAX_LEAF_BYTES} bytes, got {len(encoded)}")
    return encoded


def decode_leaf(encoded: bytes) -> Leaf:
    """Decodes the exact bytes of a leaf; encoding it again gives the same bytes.

    Raises:
        MalformedError: LEAF_SIZE, LEAF_VERSION, LEAF_FIELD, JSON_* and the reasons of `ids`.
    """
    if len(encoded) > MAX_LEAF_BYTES:
        raise MalformedError("LEAF_SIZE", f"expected at most {MAX_LEAF_BYTES} bytes, got {len(encoded)}")
    value = decode_canonical(encoded, what="leaf")
    expect_names(value, _REQUIRED, _OPTIONAL, what="leaf")
    if read_integer(value, "v", what="leaf") != VERSION:
        raise MalformedError("LEAF_VERSION", f"expected leaf version {VERSION}")
    try:
        realm, kind = Realm(read_text(value, "realm", what="leaf")), LeafKind(read_text(value, "kind", what="leaf"))
        verdict = Verdict(read_text(value, "verdict", what="leaf")) if "verdict" in value else None
    except ValueError as error:
        raise MalformedError("LEAF_FIELD", "expected a known realm, kind and verdict") from error
    return Leaf(
        federation=parse_federation_name(read_text(value, "federation", what="leaf")),
        realm=realm,
        kind=kind,
        subject=read_digest(value, "subject", what="leaf"),
        time=parse_time(read_text(value, "time", what="leaf")),
        agreement_version=read_integer(value, "agreement", what="leaf"),
        signatures=_optional_digest(value, "signatures"),
        pair=parse_pair(read_text(value, "pair", what="leaf")) if "pair" in value else None,
        seq=read_integer(value, "seq", what="leaf") if "seq" in value else None,
        commitment=_optional_digest(value, "commitment"),
        verdict=verdict,
        policies=_read_policies(value),
        reason=read_text(value, "reason", what="leaf") if "reason" in value else None,
        peer_checkpoint=_optional_digest(value, "peer_checkpoint"),
    )


def _optional_digest(value: dict[str, JsonValue], name: str) -> str | None:
    return read_digest(value, name, what="leaf") if name in value else None


def _read_policies(value: dict[str, JsonValue]) -> tuple[str, ...]:
    if "policies" not in value:
        return ()
    found = value["policies"]
    if not isinstance(found, list) or not found:
        raise MalformedError("LEAF_FIELD", "expected 'policies' to be a list of policy ids", field="policies")
    names = [name for name in found if isinstance(name, str)]
    if len(names) != len(found):
        raise MalformedError("LEAF_FIELD", "expected 'policies' to be a list of policy ids", field="policies")
    return tuple(names)
