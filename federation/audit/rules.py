"""The rules of one audit: what a leaf may say in the log of one node, as the agreement has it.

A leaf that decodes may still be unlawful: a `sent` leaf about another node's message, a `received` leaf that refuses.
Trusts the agreement. Source: transparency-log reference section 14, DESIGN sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.audit.findings import Code
from federation.protocol.ids import NodeName, Realm
from federation.protocol.leaf import NOT_ANSWERED, Leaf, LeafKind, Verdict
from federation.protocol.trust import Agreement

_VERDICTS = {LeafKind.SENT: Verdict.ALLOWED, LeafKind.RECEIVED: Verdict.ALLOWED, LeafKind.REFUSED: Verdict.REFUSED}
_OUTGOING = frozenset({LeafKind.SENT, LeafKind.EXPIRED})
_INCOMING = frozenset({LeafKind.RECEIVED, LeafKind.REFUSED})
_NO_MESSAGE = (None, None, None, None)
_EVENTS_WITHOUT_PAIR = frozenset({LeafKind.AGREEMENT, LeafKind.BOOT, LeafKind.READING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an audit holds the logs against. `in_flight_age` is how old a message may be without an answer."""

    federation: str
    realm: Realm
    members: frozenset[NodeName]
    agreement_version: int
    clock_tolerance: timedelta
    in_flight_age: timedelta
    now: datetime


def rules_of(agreement: Agreement, now: datetime, *, in_flight_age: timedelta | None = None) -> Rules:
    """Takes the rules out of a verified agreement; a message may be in flight for the life of a statement."""
    return Rules(
        federation=agreement.federation,
        realm=agreement.realm,
        members=frozenset(agreement.members),
        agreement_version=agreement.version,
        clock_tolerance=agreement.clock_tolerance,
        in_flight_age=agreement.statement_lifetime + agreement.clock_tolerance
        if in_flight_age is None
        else in_flight_age,
        now=now,
    )


def broken_rules(leaf: Leaf, node: NodeName, rules: Rules) -> Iterator[tuple[Code, str]]:
    """Gives every rule that a leaf breaks by what it says itself, as code and sentence."""
    if leaf.federation != rules.federation or leaf.realm != rules.realm:
        yield Code.LEAF_FOREIGN, f"expected {rules.federation}/{rules.realm}, got {leaf.federation}/{leaf.realm}"
    if leaf.time > rules.now + rules.clock_tolerance:
        yield Code.TIME_FUTURE, f"expected a time before {rules.now.isoformat()}, got {leaf.time.isoformat()}"
    if leaf.agreement_version > rules.agreement_version:
        known = rules.agreement_version
        yield Code.AGREEMENT_UNKNOWN, f"it cites agreement {leaf.agreement_version}; this audit knows {known}"
    for sentence in _unlawful(leaf, node, rules):
        yield Code.LEAF_UNLAWFUL, f"a '{leaf.kind}' leaf: {sentence}"
    if leaf.kind is LeafKind.DISCREPANCY:
        yield Code.DISCREPANCY_LOGGED, f"the node itself recorded a discrepancy: {leaf.reason or 'no reason given'}"


def _unlawful(leaf: Leaf, node: NodeName, rules: Rules) -> Iterator[str]:
    pair = leaf.pair
    if pair is not None and not {pair.sender, pair.recipient} <= rules.members:
        yield f"expected two members of the agreement, got {pair}"
    if pair is not None and node not in (pair.sender, pair.recipient):
        yield f"expected a pair with {node} in it, got {pair}"
    if leaf.kind is LeafKind.REFUSED and (pair, leaf.seq, leaf.signatures, leaf.commitment) == _NO_MESSAGE:
        yield from _wrong_verdict(leaf)  # a request of one of the node's own agencies: nothing crossed a border
    elif leaf.kind in _OUTGOING | _INCOMING:
        yield from _unlawful_message(leaf, node)
    elif leaf.kind in _EVENTS_WITHOUT_PAIR and pair is not None:
        yield f"expected no pair, got {pair}"
    elif leaf.kind is LeafKind.ERASURE:
        yield from _unlawful_erasure(leaf)
    if leaf.kind not in _VERDICTS and leaf.verdict is not None:
        yield f"expected no verdict, got {leaf.verdict}"


def _unlawful_message(leaf: Leaf, node: NodeName) -> Iterator[str]:
    pair = leaf.pair
    if pair is None or not leaf.seq:
        yield "expected a pair and a number from 1"
        return
    side = pair.sender if leaf.kind in _OUTGOING else pair.recipient
    if side != node and not is_unanswered(leaf):
        yield f"expected it in the log of {side}, found it in that of {node}"
    yield from _wrong_verdict(leaf)
    if leaf.kind in _VERDICTS and leaf.signatures is None:
        yield "expected the digest of the signatures"


def _unlawful_erasure(leaf: Leaf) -> Iterator[str]:
    """It is about a message, by pair, number and body, or about something of the node's own, by its digest alone."""
    named = (leaf.pair is not None, bool(leaf.seq), leaf.commitment is not None)
    if any(named) and not all(named):
        yield "expected a pair, a number from 1 and the commitment to what was erased, or none of them"
    if leaf.reason is None:
        yield "expected the reason code of the erasure"


def is_unanswered(leaf: Leaf) -> bool:
    """Whether a leaf says that a request which was delivered found no answer in its time."""
    return leaf.kind is LeafKind.EXPIRED and leaf.reason == NOT_ANSWERED


def _wrong_verdict(leaf: Leaf) -> Iterator[str]:
    if leaf.kind in _VERDICTS and leaf.verdict is not _VERDICTS[leaf.kind]:
        yield f"expected the verdict {_VERDICTS[leaf.kind]}, got {leaf.verdict}"
