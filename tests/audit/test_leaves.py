"""The leaves of one log in order: what each may say, numbers and times."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.audit.leaves import LeafReader, Rules, broken_rules, rules_of
from federation.audit.report import Code, Findings
from federation.protocol.form import replace
from federation.protocol.ids import Pair, Realm
from federation.protocol.leaf import Leaf, LeafKind, Verdict, encode_leaf
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
        SENT, RECEIVED, REFUSED, OWN_REFUSAL, EXPIRED, BOOT, replace(BOOT, kind=LeafKind.READING),
        replace(BOOT, kind=LeafKind.DUTY), ERASURE, replace(ERASURE, pair=BACK), OWN_ERASURE,
    ],
    ids=[
        "sent", "received", "refused", "own refusal", "expired", "boot", "reading", "duty", "erasure", "their erasure",
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
        (replace(BOOT, kind=LeafKind.DUTY, pair=SENT.pair), Code.LEAF_UNLAWFUL),
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
        "reading with pair", "duty with pair", "erasure without body", "own erasure with number", "erasure without reason",
        "erasure of others' message", "discrepancy",
    ],
)  # fmt: skip
def test_unlawful_leaf_breaks_exactly_one_rule(leaf: Leaf, code: Code) -> None:
    """Each rule by itself."""
    assert codes(leaf) == [code]


FORMER = replace(RULES, members=RULES.members - {JIANGXI}, former={JIANGXI: 1}, agreement_version=2)


@pytest.mark.parametrize(
    "leaf",
    [SENT, RECEIVED, REFUSED, replace(EXPIRED, agreement_version=2), replace(ERASURE, pair=BACK, agreement_version=2)],
    ids=["sent", "received", "refused", "expired later", "erased later"],
)
def test_leaf_of_a_former_member_up_to_its_end_is_lawful(leaf: Leaf) -> None:
    """Who was expelled was a member before, and what it left ends in its time."""
    assert codes(leaf, FORMER) == []


@pytest.mark.parametrize("leaf", [SENT, RECEIVED, REFUSED], ids=["sent", "received", "refused"])
def test_message_of_a_former_member_after_its_end_is_unlawful(leaf: Leaf) -> None:
    """Nothing goes to it or comes from it under an agreement that does not name it."""
    assert codes(replace(leaf, agreement_version=2), FORMER) == [Code.LEAF_UNLAWFUL]


def test_rules_let_a_message_fly_for_the_life_of_a_statement() -> None:
    """What has not expired at its sender may still arrive, clocks being what they are."""
    assert RULES.in_flight_age == timedelta(hours=1, seconds=60)
    agreement = Provinces().agreement
    assert rules_of(agreement, NOW, in_flight_age=timedelta(0)).in_flight_age == timedelta(0)


def test_message_of_a_former_member_that_is_dated_back_is_unlawful() -> None:
    """Once a log knows that a province has left, it takes part in nothing, whatever agreement a leaf cites."""
    rules, later = replace(FORMER, now=NOW + timedelta(hours=1)), NOW + timedelta(minutes=10)
    known = replace(BOOT, agreement_version=2)

    assert read(replace(RECEIVED, seq=1), known, replace(RECEIVED, seq=2), rules=rules) == []
    assert read(known, replace(RECEIVED, time=later), rules=rules) == [(Code.LEAF_UNLAWFUL, 1)]
    assert read(known, replace(EXPIRED, time=later), rules=rules) == []


def read(*leaves, rules: Rules = RULES) -> list[tuple[Code, int | None]]:
    findings = Findings(ZHEJIANG)
    reader = LeafReader(ZHEJIANG, rules, findings)
    for index, leaf in enumerate(leaves):
        reader.read(encode_leaf(leaf), index)
    return [(finding.code, finding.index) for finding in findings.all()]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1, 2, 3), []),
        ((2, 3), [(Code.SEQUENCE_GAP, 0)]),
        ((1, 3, 4), [(Code.SEQUENCE_GAP, 1)]),
        ((1, 2, 2), [(Code.SEQUENCE_REPEATED, 2)]),
        ((1, 3, 2, 4), [(Code.SEQUENCE_GAP, 1), (Code.SEQUENCE_REPEATED, 2)]),
    ],
)
def test_numbers_count_from_1_without_gap_or_repeat(numbers, expected) -> None:
    """The sender numbers the messages of an ordered pair one by one."""
    assert read(*(replace(SENT, seq=seq) for seq in numbers)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, []), (60, []), (61, [(Code.TIME_BACKWARDS, 1)])], ids=["same", "within", "beyond"]
)
def test_times_go_back_by_the_tolerance_at_most(seconds, expected) -> None:
    """A clock may be set; an entry may not be older than what stands before it."""
    assert read(SENT, replace(SENT, seq=2, time=NOW - timedelta(seconds=seconds))) == expected


def test_slow_slide_backwards_is_measured_from_the_latest_time() -> None:
    """Many small steps back are one large one."""
    leaves = [replace(SENT, seq=step + 1, time=NOW - timedelta(seconds=40 * step)) for step in range(3)]

    assert read(*leaves) == [(Code.TIME_BACKWARDS, 2)]


OURS = replace(SENT, commitment="ef" * 32)
THEIRS = replace(RECEIVED, commitment="ef" * 32)
OF_THEIRS = replace(ERASURE, pair=BACK)


def check(*leaves) -> list[tuple[Code, int | None]]:
    findings = Findings(ZHEJIANG)
    reader = LeafReader(ZHEJIANG, RULES, findings)
    for index, leaf in enumerate(leaves):
        reader.read(encode_leaf(leaf), index)
    reader.check_erasures()
    return [(finding.code, finding.index) for finding in findings.all()]


@pytest.mark.parametrize(
    "leaves",
    [(OURS, ERASURE), (THEIRS, OF_THEIRS), (OURS, THEIRS, OF_THEIRS, ERASURE), (OURS, OWN_ERASURE), (OURS,)],
    ids=["sent", "received", "both", "of a handle", "none"],
)
def test_erasure_of_a_message_of_this_log_is_lawful(leaves) -> None:
    """What was sent or received before may be erased, in whatever order."""
    assert check(*leaves) == []


@pytest.mark.parametrize(
    ("leaves", "index"),
    [
        ((ERASURE,), 0),
        ((ERASURE, OURS), 0),
        ((OURS, OF_THEIRS), 1),
        ((OURS, replace(ERASURE, seq=2)), 1),
        ((OURS, replace(ERASURE, subject="12" * 32)), 1),
        ((OURS, replace(ERASURE, commitment="12" * 32)), 1),
        ((OURS, ERASURE, replace(ERASURE, subject="12" * 32)), 2),
    ],
    ids=["of nothing", "before it", "of the other way", "other number", "other digest", "other body", "twice"],
)
def test_erasure_of_something_else_is_found(leaves, index) -> None:
    """An erasure that no message stands behind is an error, and says where."""
    assert check(*leaves) == [(Code.ERASURE_UNFOUNDED, index)]
