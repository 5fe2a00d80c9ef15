"""A feed: what is said under a topic, numbered in the transaction that writes it, and followed as it comes.

The store is the queue: all who follow a topic read its newest entries together, once, and who is behind them reads
page by page, so that a slow reader holds up nobody, misses nothing and takes no memory; one whom the gate hung up on
goes on behind its token. A token is sealed for its topic and outlives the process. Waiters wake after the commit; a
look now and then finds what another process wrote.
Source: M10.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, takewhile
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from federation.node.exchange.errand import Errand
from federation.node.exchange.judge import Numbered
from federation.node.node import LOOK_SECONDS, Node
from federation.node.officers import find_officer_key
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName
from federation.store.collection import Page, open_token, page_behind, seal_token
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record, Unread, each_in_range, ids_under, last_serial, next_serial, passing_over

T = TypeVar("T")
BEGINNING: Final = "0"
"""The token that goes on behind nothing, of any topic."""
PAGE: Final = 50
"""So many entries are read at once for a stream that is behind those that lie in memory."""
KEPT: Final = 500
"""So many of a topic lie there for all its streams: ten seconds of a flood. Who is behind them reads alone."""
AT_ONCE: Final = 20
"""So many entries are told at once to a stream that takes several: those of a busy moment, far below the limit."""
GATHER_SECONDS: Final = 0.35
"""For so long after several came together such a stream gathers what comes: one that comes alone is told at once."""
IDLE_SECONDS: Final = 30.0
"""How often a stream that hears nothing looks, where no other process writes to the store."""
KEY_SECONDS: Final = 1.0
"""For so long, and for one entry, all streams of an officer go by one look at whether their key is registered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed(Generic[T]):
    """An entry with its number, and the token to go on behind it.

    `made` is what was made of it for those who follow, by all that it depends on: once, however many are sent it.
    """

    number: int
    token: str
    entry: T
    made: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)


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

        Ends when the node stops and when the officer's key is registered no more.
        """
        async for found in self.follow_beating(errand, topic, after=after, at_once=1):
            for each in found:
                yield each

    async def follow_beating(
        self, errand: Errand, topic: str, *, after: int, seconds: float = IDLE_SECONDS, at_once: int = AT_ONCE
    ) -> AsyncIterator[Sequence[Followed[T]]]:
        """As `follow`, what is there at once together, at most so many; none whenever nothing came for so long."""
        node, last = errand.node, after
        idle = min(seconds, LOOK_SECONDS if node.database.is_postgresql else IDLE_SECONDS)
        beat = monotonic() + seconds
        with _tail(self, node, topic) as tail:
            while not node.waiters.ended:
                last, found = tail.behind(last, idle=idle)
                coming = iter(self._newest(found))
                while some := list(islice(coming, at_once)):
                    caller, officer, number = errand.caller, errand.act.officer, some[-1].number
                    if errand.is_signed and not tail.is_registered(caller, officer, number=number):
                        return
                    last = number
                    yield some
                if found:
                    beat = monotonic() + seconds
                    await asyncio.sleep(GATHER_SECONDS if at_once > 1 and len(found) > 1 else 0)
                    continue
                await node.waiters.wait(self.key(topic), seconds=idle)
                if monotonic() >= beat:
                    beat = monotonic() + seconds
                    yield ()

    def followed(self, source: Source, topic: str, number: int, *, unread: Unread) -> list[Followed[T]]:
        """Returns what `after` does, each with its token."""
        found = self.after(source, topic, number, unread=unread)
        return [Followed(number=at, token=self.token(source, topic, at), entry=entry) for at, entry in found]

    def _newest(self, found: Sequence[Followed[T]]) -> Sequence[Followed[T]]:
        if self.about is None:
            return found
        last = {self.about(each.entry): each.number for each in found}
        return [each for each in found if last[self.about(each.entry)] == each.number]

    def _read(self, record: Record) -> tuple[int, T]:
        return int(record.id.rpartition("/")[2]), self.read(record.content)


class _Tail(Generic[T]):
    """The newest entries of a topic, read once for all who follow it: every one behind the number `floor`."""

    def __init__(self, feed: Feed[T], node: Node, topic: str) -> None:
        self._feed, self._topic, self._source = feed, topic, node.database
        self._unread = node.bad_rows.of("watch")
        self._heard = node.waiters.listen(feed.key(topic))
        self._floor = self._last = max(0, feed.count(self._source, topic) - PAGE)
        self._newest = deque[Followed[T]]()
        self._looked = 0.0
        self._keys: dict[tuple[AgencyId, str], tuple[int, float, bool]] = {}
        self.followers = 0

    def behind(self, number: int, *, idle: float) -> tuple[int, Sequence[Followed[T]]]:
        """Returns entries behind a number, and from where there are none unread before them."""
        if self._heard.is_set() or not self._looked or monotonic() - self._looked >= idle:
            self._look()
        if number < self._floor:
            found = self._feed.followed(self._source, self._topic, number, unread=self._unread)
            return (number, found) if found else (self._floor, list(self._newest))
        if number >= self._last:
            return number, ()
        return number, list(takewhile(lambda each: each.number > number, reversed(self._newest)))[::-1]

    def is_registered(self, agency: AgencyId, officer: str, *, number: int) -> bool:
        """True while an officer's key is registered: looked at once an entry for all their streams at work on it."""
        found = self._keys.get((agency, officer))
        if found is None or found[0] != number or monotonic() >= found[1]:
            known = find_officer_key(self._source, agency, officer) is not None
            if len(self._keys) >= _MAX_KEYS:
                self._keys.clear()
            found = self._keys[agency, officer] = number, monotonic() + KEY_SECONDS, known
        return found[2]

    def leave(self, node: Node) -> None:
        node.waiters.leave(self._feed.key(self._topic), event=self._heard)

    def _look(self) -> None:
        self._heard.clear()
        self._looked = monotonic()
        count = self._feed.count(self._source, self._topic)
        if count - KEPT > self._last:
            self._newest.clear()
            self._floor = self._last = count - KEPT
        while self._last < count:
            found = self._feed.followed(self._source, self._topic, self._last, unread=self._unread)
            self._newest.extend(found)
            self._last = found[-1].number if found else count
        while len(self._newest) > KEPT:
            self._floor = self._newest.popleft().number


_MAX_KEYS: Final = 1024


@contextmanager
def _tail(feed: Feed[T], node: Node, topic: str) -> Iterator[_Tail[T]]:
    """The one tail of a topic while anybody follows it."""
    key, shared = feed.key(topic), node.waiters.shared
    tail: _Tail[T] = shared.get(key) or _Tail(feed, node, topic)
    shared[key] = tail
    tail.followers += 1
    try:
        yield tail
    finally:
        tail.followers -= 1
        if not tail.followers:
            del shared[key]
            tail.leave(node)
