"""A feed: what is raised under a topic, numbered in the transaction that writes it, and followed as it comes.

The store is the queue, read page by page: a slow reader holds up nobody and misses nothing. The number is the token to
go on from. Waiters wake after the commit; a look now and then finds what another process wrote. Source: M10.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Generic, TypeVar

from federation.node.exchange.judge import Numbered
from federation.node.node import Node
from federation.store.collection import Page, page_behind
from federation.store.database import Source
from federation.store.records import Record, Unread, each_in_range, ids_under, last_serial, passing_over

T = TypeVar("T")
PAGE: Final = 50
"""So many entries lie in memory for one stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed(Generic[T]):
    """The entries of one kind of record. A topic is who or what they are for: a desk, a case, a province."""

    kind: str
    series: str
    read: Callable[[bytes], T]

    def entry(self, topic: str, record: Record, *, mark: Record) -> Numbered:
        """Returns the record as the next entry of a topic; none when `mark` was written before."""
        return Numbered(series=self.key(topic), mark=mark, record=replace(record, kind=self.kind, id=f"{topic}/"))

    def key(self, topic: str) -> str:
        """Returns the key of `waiters` that is told once an entry of the topic is durable."""
        return f"{self.series}/{topic}"

    def count(self, source: Source, topic: str) -> int:
        """Returns how many entries a topic ever had; the newest has that number."""
        return last_serial(source, self.key(topic))

    def after(
        self, source: Source, topic: str, number: int, *, unread: Unread | None = None
    ) -> Sequence[tuple[int, T]]:
        """Returns the entries behind that number with theirs, oldest first, one page of them.

        One that cannot be read is told to `unread`, where it is given, and its number is left out.
        """
        ids = replace(ids_under(f"{topic}/"), after=f"{topic}/{number:012}")
        found = each_in_range(source, self.kind, ids, replica=False, at_once=PAGE, unread=unread)
        return list(islice(passing_over(found, self._read, name=lambda record: record.id, unread=unread), PAGE))

    def page(self, source: Source, topic: str, *, limit: int, token: str, wanted: Callable[[T], bool]) -> Page[T]:
        """A page of the wanted entries of a topic, newest first. Raises MalformedError: PAGE_TOKEN."""

        def listed(place: str) -> Iterator[tuple[str, T]]:
            ids = ids_under(f"{topic}/", newest_first=True, before=place)
            for record in each_in_range(source, self.kind, ids, replica=False):
                entry = self.read(record.content)
                if wanted(entry):
                    yield record.id.rpartition("/")[2], entry

        return page_behind(source.keys, self.key(topic), listed, limit=limit, token=token)

    async def follow(self, node: Node, topic: str, *, after: int) -> AsyncIterator[tuple[int, T]]:
        """Yields the entries behind that number, then each as it comes; ends when the node stops."""
        last = after
        while not node.waiters.ended:
            found = self.after(node.database, topic, last, unread=node.bad_rows.of("watch"))
            for number, entry in found:
                last = number
                yield number, entry
            if not found:
                await node.waiters.wait(self.key(topic))

    def _read(self, record: Record) -> tuple[int, T]:
        return int(record.id.rpartition("/")[2]), self.read(record.content)
