"""The message leaves of one ordered pair on one side, packed in 125 bytes each: a log of millions fits in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from struct import Struct
from typing import NamedTuple

_RECORD = Struct(">QQQI?32s32s32s")
_NO_DIGEST = bytes(32)
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
    __slots__ = ("_ordered", "_packed", "_seqs")

    def __init__(self) -> None:
        self._packed = bytearray()
        self._seqs = array("Q")
        self._ordered = True

    def __len__(self) -> int:
        return len(self._seqs)

    def append(self, record: MessageRecord) -> None:
        if self._seqs and record.seq < self._seqs[-1]:
            self._ordered = False
        self._packed += _RECORD.pack(*record)
        self._seqs.append(record.seq)

    def in_order(self) -> Iterator[MessageRecord]:
        """Yields the records by number; those of one number in the order in which they were logged."""
        seqs = self._seqs
        positions = range(len(seqs)) if self._ordered else sorted(range(len(seqs)), key=seqs.__getitem__)
        for position in positions:
            yield MessageRecord(*_RECORD.unpack_from(self._packed, position * _RECORD.size))


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
