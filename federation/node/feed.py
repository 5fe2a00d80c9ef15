"""A feed: what is said under a topic, numbered in the transaction that writes it, and followed as it comes.

The store is the queue, read page by page: a slow reader holds up nobody, misses nothing and takes no memory; one that
was very long at an entry is told to go on behind its token, by a call that is verified anew. A token is sealed for its
topic and outlives the process. Waiters wake after the commit; a look now and then finds what another process wrote.
Source: M10.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from time import monotonic
from typing import Final, Generic, TypeVar

from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Numbered
from federation.node.node import LOOK_SECONDS
from federation.node.officers import find_officer_key
from federation.protocol.errors import MalformedError, UnavailableError
from federation.protocol.ids import NodeName
from federation.store.collection import Page, open_token, page_behind, seal_token
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import (
    Record,
    Unread,
    each_in_range,
    ids_under,
    last_serial,
    next_serial,
    passing_over,
)

T = TypeVar("T")
V = TypeVar("V")
BEGINNING: Final = "0"
"""The token that goes on behind nothing, of any topic."""
PAGE: Final = 50
"""So many entries lie in memory for one stream."""
SLOW_SECONDS: Final = 60.0
"""A reader that is at one entry for longer calls again."""
IDLE_SECONDS: Final = 30.0
"""How often a stream that hears nothing looks, where no other process writes to the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed(Generic[T]):
    """An entry with its number, and the token to go on behind it."""

    number: int
    token: str
    entry: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed(Generic[T]):
    """The entries of one kind of record. A topic is who or what they are for: a desk, a case, a province."""

    kind: str
    series: str
    read: Callable[[bytes], T]
    about: Callable[[T], object] | None = None
    """What an entry is about, where only how that stands now matters: of several in a page the newest is told."""

    def entry(self, topic: str, record: Record, *, mark: Record) -> Numbered:
        """Returns the record as the next entry of a topic; none when `mark` was written before."""
        return Numbered(series=self.key(topic), mark=mark, record=replace(record, kind=self.kind, id=f"{topic}/"))

    def next(
        self, transaction: GroupTransaction, topic: str, content: bytes, *, owner: NodeName, kept_under: str
    ) -> Record:
        """Takes the next number of a topic, and returns the row of an entry that has it."""
        number = next_serial(transaction, self.key(topic))
        return Record(
            id=f"{topic}/{number:012}", kind=self.kind, owner=owner, version=1, replica=False, status="", division="",
            content=content, kept_under=kept_under,
        )  # fmt: skip

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

    def token(self, source: Source, topic: str, number: int) -> str:
        return seal_token(source.keys, f"{self.key(topic)}/watch", str(number))

    def place(self, source: Source, topic: str, token: str) -> int:
        """The number that a token of this topic goes on behind. Raises MalformedError: WATCH_TOKEN."""
        try:
            return 0 if token == BEGINNING else int(open_token(source.keys, f"{self.key(topic)}/watch", token))
        except MalformedError as error:
            raise MalformedError("WATCH_TOKEN", "expected a token that this watch gave", field="after") from error

    async def follow(self, errand: Errand, topic: str, *, after: int) -> AsyncIterator[Followed[T]]:
        """Yields the entries behind that number, then each as it comes.

        Ends when the node stops and when the officer's key is registered no more. Refuses WATCH_SLOW.
        """
        node, last = errand.node, after
        source, idle = node.database, LOOK_SECONDS if node.database.is_postgresql else IDLE_SECONDS
        while not node.waiters.ended:
            found = self.after(source, topic, last, unread=node.bad_rows.of("watch"))
            for number, entry in self._newest(found):
                if errand.is_signed and find_officer_key(source, errand.caller, errand.act.officer) is None:
                    return
                last, since = number, monotonic()
                yield Followed(number=number, token=self.token(source, topic, number), entry=entry)
                if monotonic() - since > SLOW_SECONDS:
                    raise UnavailableError("WATCH_SLOW", "the reader was slow: go on behind the last token")
            if not found:
                await node.waiters.wait(self.key(topic), seconds=idle)

    def _newest(self, found: Sequence[tuple[int, T]]) -> Sequence[tuple[int, T]]:
        if self.about is None:
            return found
        last = {self.about(entry): number for number, entry in found}
        return [(number, entry) for number, entry in found if last[self.about(entry)] == number]

    def _read(self, record: Record) -> tuple[int, T]:
        return int(record.id.rpartition("/")[2]), self.read(record.content)


async def beats(stream: AsyncIterator[V], *, seconds: float) -> AsyncIterator[V | None]:
    """Yields what a stream does, and None whenever it was silent for so long; ends with it."""
    coming = asyncio.ensure_future(anext(stream))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=seconds)
            if not done:
                yield None
                continue
            try:
                found = coming.result()
            except StopAsyncIteration:
                return
            yield found
            coming = asyncio.ensure_future(anext(stream))
    finally:
        coming.cancel()
