"""The leaves of one log in order: numbers and times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from federation.audit.findings import Code, Findings
from federation.audit.leaf_reader import LeafReader
from federation.protocol.leaf import encode_leaf
from tests.audit.provinces import NOW, ZHEJIANG
from tests.audit.test_rules import BACK, ERASURE, OWN_ERASURE, RECEIVED, RULES, SENT


def read(*leaves) -> list[tuple[Code, int | None]]:
    findings = Findings(ZHEJIANG)
    reader = LeafReader(ZHEJIANG, RULES, findings)
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
