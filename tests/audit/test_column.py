"""Packed records: what goes in comes out, in the order of the numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.audit.column import MessageColumn, MessageRecord, once, pack_digest, side_by_side

DIGESTS = st.binary(min_size=32, max_size=32)
RECORDS = st.builds(
    MessageRecord,
    seq=st.integers(1, 30),
    log_index=st.integers(0, 2**63),
    time_ms=st.integers(0, 2**53),
    agreement_version=st.integers(0, 2**31),
    refused=st.booleans(),
    subject=DIGESTS,
    commitment=DIGESTS,
    signatures=DIGESTS,
)


def column_of(records: list[MessageRecord]) -> MessageColumn:
    column = MessageColumn()
    for record in records:
        column.append(record)
    return column


@given(st.lists(RECORDS))
def test_column_gives_its_records_back_by_number(records: list[MessageRecord]) -> None:
    """Nothing is lost by packing, and equal numbers keep the order of the log."""
    column = column_of(records)

    assert list(column.in_order()) == sorted(records, key=lambda record: record.seq)
    assert len(column) == len(records)


@given(st.lists(RECORDS), st.lists(RECORDS))
def test_two_columns_side_by_side_meet_number_by_number(one: list[MessageRecord], other: list[MessageRecord]) -> None:
    """Every number of either side comes exactly once, with both records where both have it."""
    repeated: list[MessageRecord] = []
    left = once(column_of(one).in_order(), repeated.append)
    right = once(column_of(other).in_order(), repeated.append)

    met = list(side_by_side(left, right))

    numbers = [(ours or theirs).seq for ours, theirs in met]  # type: ignore[union-attr]
    assert numbers == sorted({record.seq for record in (*one, *other)})
    for ours, theirs in met:
        assert ours is None or theirs is None or ours.seq == theirs.seq
    assert 2 * sum(a is not None and b is not None for a, b in met) + sum(a is None or b is None for a, b in met) + len(
        repeated
    ) == len(one) + len(other)


def test_absent_digest_is_32_zero_bytes() -> None:
    """Absent on both sides is equal; no hash is all zeros."""
    assert pack_digest(None) == bytes(32)
