"""Rows that a duty cannot read or end are told and passed over until its next round, while the others go on.

Every duty of a node goes over rows through here, so that one damaged row never stops it for all the others. What the
store or the log cannot do at all still ends the round.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from federation.protocol.errors import BridgeheadError, UnavailableError
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Unread, passing_over
from federation.wire.limits import PostLimit

if TYPE_CHECKING:
    from federation.node.node import Node

_log = structlog.get_logger()
T = TypeVar("T")
V = TypeVar("V")
LINES_A_MINUTE: Final = 6
"""So many lines one duty writes to the log, however many rows are damaged."""
SHOWN_SECONDS: Final = 24 * 3600.0
"""A row that was not met again for so long is no warning any more: it was mended, or is gone."""
_SAID_AGAIN_SECONDS: Final = 3600.0
_MOST: Final = 1000
_AT_ONCE: Final = 64

Job = Callable[[GroupTransaction], T]


class BadRows:
    """The rows that duties met and passed over, as `node status` counts them."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._met: dict[tuple[str, str], tuple[float, float]] = {}  # when it was met last, and told last
        self._lines = PostLimit(LINES_A_MINUTE, clock=clock)

    def of(self, duty: str) -> Unread:
        """Returns the one whom that duty tells."""
        return partial(self.note, duty)

    def note(self, duty: str, row: str, error: Exception) -> None:
        """Counts a row; the first time, and then once an hour, it is a line in the log, at most so many a minute."""
        now = self._clock()
        _, said = self._met.pop((duty, row), (0.0, -_SAID_AGAIN_SECONDS))
        if now - said >= _SAID_AGAIN_SECONDS and self._lines.allows(duty):
            said = now
            reason = error.reason if isinstance(error, BridgeheadError) else type(error).__name__
            _log.error("row.passed_over", duty=duty, row=row, reason=reason)
        self._met[duty, row] = (now, said)
        if len(self._met) > _MOST:
            del self._met[next(iter(self._met))]

    def count(self) -> int:
        """Returns how many rows were passed over within the last day."""
        since = self._clock() - SHOWN_SECONDS
        return sum(met >= since for met, _ in list(self._met.values()))  # other threads note meanwhile


def looked_at(
    node: Node, duty: str, values: Iterable[V], *, look: Callable[[V], T], name: Callable[[V], str]
) -> Iterator[T]:
    """Yields what a look at each gives, and passes over a value that cannot be read. Raises UnavailableError."""
    return passing_over(values, look, name=name, unread=node.bad_rows.of(duty))


async def commit_each(node: Node, duty: str, jobs: Sequence[tuple[str, Job[T]]]) -> list[T]:
    """Commits named jobs, those of a batch together; returns what those gave that could be done, in their order.

    Raises what keeps all of them from being written: UnavailableError, LOG_STOPPED.
    """
    done: list[T] = []
    for start in range(0, len(jobs), _AT_ONCE):
        batch = jobs[start : start + _AT_ONCE]
        outcomes = await asyncio.gather(*(node.sequencer.commit(job) for _, job in batch), return_exceptions=True)
        for (name, _), outcome in zip(batch, outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                done.append(outcome.value)
            elif isinstance(outcome, Exception) and not ends_round(node, outcome):
                node.bad_rows.note(duty, name, outcome)
            else:
                raise outcome
    return done


def ends_round(node: Node, error: Exception) -> bool:
    """True when what failed is the store or the log itself, and not one row."""
    return isinstance(error, UnavailableError) or node.sequencer.failure is not None
