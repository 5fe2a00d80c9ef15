"""The message leaves of one ordered pair on one side, packed in a temporary file: memory holds none of them.

Each is 125 bytes there; short columns never leave the memory. A log of millions is compared in a few megabytes, at the
price of so much room in the folder for temporary files (`TMPDIR`).
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from itertools import pairwise
from struct import Struct
from tempfile import SpooledTemporaryFile
from typing import NamedTuple
from weakref import finalize

_RECORD = Struct(">QQQI?32s32s32s")
_NO_DIGEST = bytes(32)
_IN_MEMORY = 64 * 1024
_AT_ONCE = 512
_PLACE_BITS = 40
_PLACE_MASK = (1 << _PLACE_BITS) - 1
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


class MessageRecord(NamedTuple):
    """The facts of one message that both sides must agree on. Digests are raw; an absent one is 32 zero bytes."""

    seq: int
    log_index: int
    time_ms: int
    agreement_version: int
    refused: bool
    subject: bytes
    commitment: bytes
    signatures: bytes


class MessageColumn:
    """Packed records, written in the order of a log and read in that of their numbers, as often as one likes."""

    __slots__ = ("__weakref__", "_at_end", "_count", "_file", "_last", "_ordered")

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - it lives as long as the column
        finalize(self, self._file.close)
        self._count = self._last = 0
        self._ordered = self._at_end = True

    def __len__(self) -> int:
        return self._count

    def append(self, record: MessageRecord) -> None:
        self._ordered = self._ordered and record.seq >= self._last
        self._last = record.seq
        if not self._at_end:
            self._file.seek(0, os.SEEK_END)
            self._at_end = True
        self._file.write(_RECORD.pack(*record))
        self._count += 1

    def in_order(self) -> Iterator[MessageRecord]:
        """Yields the records by number; those of one number in the order in which they were logged."""
        if self._ordered:
            yield from self._as_written()
            return
        # one number of 96 bits each, not a pair: what sorts a million of them stays small
        places = sorted((record.seq << _PLACE_BITS) + at for at, record in enumerate(self._as_written()))
        for place in places:
            self._at_end = False
            self._file.seek((place & _PLACE_MASK) * _RECORD.size)
            yield MessageRecord(*_RECORD.unpack(self._file.read(_RECORD.size)))

    def _as_written(self) -> Iterator[MessageRecord]:
        size = _AT_ONCE * _RECORD.size
        for start in range(0, self._count * _RECORD.size, size):
            self._at_end = False
            self._file.seek(start)  # each time: two readers of one column take turns
            yield from map(MessageRecord._make, _RECORD.iter_unpack(self._file.read(size)))


class Numbers(AbstractSet[int]):
    """A set of numbers, eight bytes each; made once of what comes in any order, then only asked."""

    __slots__ = ("_sorted",)

    def __init__(self, numbers: array[int]) -> None:
        distinct = all(one < other for one, other in pairwise(numbers))
        self._sorted = numbers if distinct else array("Q", sorted(set(numbers)))

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        at = bisect_left(self._sorted, number)
        return at < len(self._sorted) and self._sorted[at] == number

    def __iter__(self) -> Iterator[int]:
        return iter(self._sorted)

    def __len__(self) -> int:
        return len(self._sorted)


def pack_digest(digest: str | None) -> bytes:
    """Returns the raw form of a hex digest, as records hold it."""
    return _NO_DIGEST if digest is None else bytes.fromhex(digest)


def pack_time(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def once(records: Iterable[MessageRecord], on_repeat: Callable[[MessageRecord], None]) -> Iterator[MessageRecord]:
    last = 0
    for record in records:
        if record.seq == last:
            on_repeat(record)
        else:
            last = record.seq
            yield record


def side_by_side(
    left: Iterator[MessageRecord], right: Iterator[MessageRecord]
) -> Iterator[tuple[MessageRecord | None, MessageRecord | None]]:
    """Joins two columns, each in order and each number once: both records of a number, or the one and None."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.seq < other.seq):
            yield one, None
            one = next(left, None)
        elif one is None or other.seq < one.seq:
            yield None, other
            other = next(right, None)
        else:
            yield one, other
            one, other = next(left, None), next(right, None)
