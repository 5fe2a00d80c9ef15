"""What a leaf may say in the log of one node."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from federation.audit.findings import Code
from federation.audit.rules import Rules, broken_rules, rules_of
from federation.protocol.ids import Pair, Realm
from federation.protocol.leaf import Leaf, LeafKind, Verdict
from tests.audit.provinces import ANHUI, FEDERATION, FUJIAN, JIANGXI, NOW, ZHEJIANG, Provinces

RULES = rules_of(Provinces(ZHEJIANG, JIANGXI, FUJIAN).agreement, NOW)
SENT = Leaf(
    federation=FEDERATION,
    realm=Realm.DEMO,
    kind=LeafKind.SENT,
    subject="ab" * 32,
    time=NOW,
    agreement_version=1,
    signatures="cd" * 32,
    pair=Pair(ZHEJIANG, JIANGXI),
    seq=1,
    verdict=Verdict.ALLOWED,
)
BACK = Pair(JIANGXI, ZHEJIANG)
RECEIVED = replace(SENT, kind=LeafKind.RECEIVED, pair=BACK)
REFUSED = replace(RECEIVED, kind=LeafKind.REFUSED, verdict=Verdict.REFUSED)
EXPIRED = replace(SENT, kind=LeafKind.EXPIRED, verdict=None, signatures=None)
OWN_REFUSAL = replace(REFUSED, pair=None, seq=None, signatures=None)
ERASURE = replace(EXPIRED, kind=LeafKind.ERASURE, commitment="ef" * 32, reason="ERASED_EXPIRED")
OWN_ERASURE = replace(ERASURE, pair=None, seq=None, commitment=None)
BOOT = replace(EXPIRED, kind=LeafKind.BOOT, pair=None, seq=None)


def codes(leaf: Leaf, rules: Rules = RULES) -> list[Code]:
    return [code for code, _ in broken_rules(leaf, ZHEJIANG, rules)]


@pytest.mark.parametrize(
    "leaf",
    [
        SENT, RECEIVED, REFUSED, OWN_REFUSAL, EXPIRED, BOOT, replace(BOOT, kind=LeafKind.READING), ERASURE,
        replace(ERASURE, pair=BACK), OWN_ERASURE,
    ],
    ids=[
        "sent", "received", "refused", "own refusal", "expired", "boot", "reading", "erasure", "their erasure",
        "own erasure",
    ],
)  # fmt: skip
def test_lawful_leaf_breaks_no_rule(leaf: Leaf) -> None:
    """The leaves that a node writes are lawful."""
    assert codes(leaf) == []


@pytest.mark.parametrize(
    ("leaf", "code"),
    [
        (replace(SENT, federation="other.example"), Code.LEAF_FOREIGN),
        (replace(SENT, realm=Realm.LIVE), Code.LEAF_FOREIGN),
        (replace(SENT, time=NOW + timedelta(minutes=2)), Code.TIME_FUTURE),
        (replace(SENT, agreement_version=2), Code.AGREEMENT_UNKNOWN),
        (replace(SENT, pair=BACK), Code.LEAF_UNLAWFUL),
        (replace(RECEIVED, pair=SENT.pair), Code.LEAF_UNLAWFUL),
        (replace(SENT, pair=Pair(ZHEJIANG, ANHUI)), Code.LEAF_UNLAWFUL),
        (replace(BOOT, kind=LeafKind.PAIR_DIGEST, pair=Pair(FUJIAN, JIANGXI)), Code.LEAF_UNLAWFUL),
        (replace(SENT, verdict=Verdict.REFUSED), Code.LEAF_UNLAWFUL),
        (replace(RECEIVED, verdict=None), Code.LEAF_UNLAWFUL),
        (replace(REFUSED, verdict=Verdict.ALLOWED), Code.LEAF_UNLAWFUL),
        (replace(EXPIRED, verdict=Verdict.ALLOWED), Code.LEAF_UNLAWFUL),
        (replace(SENT, signatures=None), Code.LEAF_UNLAWFUL),
        (replace(SENT, pair=None), Code.LEAF_UNLAWFUL),
        (replace(SENT, seq=None), Code.LEAF_UNLAWFUL),
        (replace(SENT, seq=0), Code.LEAF_UNLAWFUL),
        (replace(OWN_REFUSAL, verdict=Verdict.ALLOWED), Code.LEAF_UNLAWFUL),
        (replace(REFUSED, pair=None, seq=None), Code.LEAF_UNLAWFUL),
        (replace(BOOT, pair=SENT.pair), Code.LEAF_UNLAWFUL),
        (replace(BOOT, kind=LeafKind.READING, pair=SENT.pair), Code.LEAF_UNLAWFUL),
        (replace(ERASURE, commitment=None), Code.LEAF_UNLAWFUL),
        (replace(OWN_ERASURE, seq=3), Code.LEAF_UNLAWFUL),
        (replace(ERASURE, reason=None), Code.LEAF_UNLAWFUL),
        (replace(ERASURE, pair=Pair(FUJIAN, JIANGXI)), Code.LEAF_UNLAWFUL),
        (replace(EXPIRED, kind=LeafKind.DISCREPANCY, reason="SEQUENCE_REUSED"), Code.DISCREPANCY_LOGGED),
    ],
    ids=[
        "other federation", "other realm", "from the future", "unknown agreement", "sent by the other",
        "received by the other", "no member", "pair without this node", "sent though refused",
        "received without verdict", "refused though allowed", "expired with verdict", "unsigned", "no pair", "no number",
        "number zero", "own refusal that allows", "refused message without pair", "event with pair",
        "reading with pair", "erasure without body", "own erasure with number", "erasure without reason",
        "erasure of others' message", "discrepancy",
    ],
)  # fmt: skip
def test_unlawful_leaf_breaks_exactly_one_rule(leaf: Leaf, code: Code) -> None:
    """Each rule by itself (transparency-log reference section 14)."""
    assert codes(leaf) == [code]


def test_rules_let_a_message_fly_for_the_life_of_a_statement() -> None:
    """What has not expired at its sender may still arrive, clocks being what they are."""
    assert RULES.in_flight_age == timedelta(hours=1, seconds=60)
    agreement = Provinces().agreement
    assert rules_of(agreement, NOW, in_flight_age=timedelta(0)).in_flight_age == timedelta(0)
