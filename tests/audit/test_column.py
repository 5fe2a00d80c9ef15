"""Packed records: what goes in comes out, in the order of the numbers."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from federation.audit.column import MessageColumn, MessageRecord, Numbers, once, pack_digest, side_by_side

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


def test_long_column_lies_in_a_file_and_is_read_by_two_at_once() -> None:
    """A thousand records are more than stays in memory; readers that take turns see all of it, and so does one more."""
    records = [
        MessageRecord(seq, seq, 0, 1, refused=False, subject=bytes(32), commitment=bytes(32), signatures=bytes(32))
        for seq in (*range(1, 600), *range(1000, 599, -1))
    ]
    column = column_of(records[:-1])
    assert next(column.in_order()).seq == 1
    column.append(records[-1])

    met = list(side_by_side(column.in_order(), column.in_order()))

    assert column._file._rolled
    assert [ours.seq for ours, theirs in met if ours == theirs] == list(range(1, 1001))


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(0, 2**64 - 1))
def test_numbers_are_a_set(numbers: list[int], other: int) -> None:
    """In whatever order they came, and however often."""
    found = Numbers(array("Q", numbers))

    assert found == set(numbers)
    assert len(found) == len(set(numbers))
    assert all(number in found for number in numbers)
    assert (other in found) is (other in numbers)
