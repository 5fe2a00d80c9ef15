"""A collection: how values of one class are kept as records, found again, listed page by page, and found when due.

Rules kept: a page goes on behind the last record of the page before, so that none is shown twice or passed over while
new ones come; the token of a page is sealed, says nothing to who holds it, and opens for its own list alone.
Source: DESIGN section 6.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from federation.protocol.errors import CorruptError, MalformedError
from federation.protocol.form import Item, decode, encode, replace
from federation.protocol.ids import NodeName
from federation.store.columns import DataKeys, seal, unseal
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import (
    DueRange,
    Record,
    Unread,
    count_due,
    each_due_by,
    each_in_range,
    erase_record,
    find_by_subject,
    find_record,
    find_version,
    ids_under,
    list_due,
    list_records,
    passing_over,
    put_records,
)

V = TypeVar("V")
I = TypeVar("I", bound=Item)  # noqa: E741 - an item
_AT_ONCE: Final = 200
_COLUMN: Final = "page.token"


def _first(value: object) -> int:
    del value
    return 1


def _nothing(value: object) -> str:
    del value
    return ""


def _absent(value: object) -> None:
    del value


@dataclass(frozen=True, slots=True)
class Page(Generic[V]):
    values: tuple[V, ...]
    next_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection(Generic[V]):
    """Values of one class as records of one kind: their bytes, their names, and what they are found by.

    `replica` keeps the newest version only, in one row; else every version is kept. `decode` is given the record, for
    what its bytes do not repeat. What is `due` is found by that day while it is not None, in each division apart; what
    a duty looks at is found in the same way by its `due_time`, so that a round reads nothing else.
    `kept_under` is the rule of retention by which values outlive the message that they came of.
    """

    kind: str
    encode: Callable[[V], bytes]
    decode: Callable[[Record], V]
    id: Callable[[V], str]
    replica: bool
    version: Callable[[V], int] = _first
    status: Callable[[V], str] = _nothing
    division: Callable[[V], str] = _nothing
    due: Callable[[V], date | None] = _absent
    due_time: Callable[[V], datetime | None] = _absent
    subject: Callable[[V], str | None] = _absent
    kept_under: str = ""

    def record(self, value: V, *, owner: NodeName) -> Record:
        return Record(
            id=self.id(value),
            kind=self.kind,
            owner=owner,
            version=self.version(value),
            replica=self.replica,
            status=self.status(value),
            division=self.division(value),
            due_date=self.due(value),
            due_time=self.due_time(value),
            subject=self.subject(value),
            content=self.encode(value),
            kept_under=self.kept_under,
        )

    def put(self, transaction: GroupTransaction, value: V, *, owner: NodeName) -> bool:
        """Stores the next version of a value of our own, or a version of a replica unless a newer one is there.

        Returns whether it was new. Raises ConflictError VERSION_CONFLICT.
        """
        expected = None if self.replica else self.version(value) - 1
        return put_records(transaction, [self.record(value, owner=owner)], expect_version=expected) > 0

    def find(self, source: Source, value_id: str) -> V | None:
        record = find_record(source, self.kind, value_id, replica=self.replica)
        return self.decode(record) if record is not None else None

    def has(self, source: Source, value_id: str) -> bool:
        """Returns whether a value is there, without reading it."""
        return find_version(source, self.kind, value_id, replica=self.replica) > 0

    def by_subject(self, source: Source, subject: str, *, unread: Unread | None = None) -> list[V]:
        found = find_by_subject(source, self.kind, subject, unread=unread)
        return list(self._decoded((record for record in found if record.replica is self.replica), unread))

    def each(self, source: Source, *, under: str = "", after: str = "", newest_first: bool = False) -> Iterator[V]:
        """The values whose ids begin with `under`, behind `after`, in the order of their ids, read as asked for."""
        yield from (self.decode(record) for record in self._records(source, under, after, newest_first=newest_first))

    def each_readable(self, source: Source, unread: Unread, *, before: str = "") -> Iterator[V]:
        """The values whose ids stand below `before`, or all, by id, read as asked for; the others are told."""
        ids = ids_under("", before=before)
        found = each_in_range(source, self.kind, ids, replica=self.replica, at_once=_AT_ONCE, unread=unread)
        yield from self._decoded(found, unread)

    def page(
        self,
        source: Source,
        *,
        limit: int,
        token: str = "",
        under: str = "",
        newest_first: bool = False,
        wanted: Callable[[V], bool] = lambda _: True,
    ) -> Page[V]:
        """The wanted values whose ids begin with `under`, in the order of their ids, behind the page before.

        Raises MalformedError: PAGE_TOKEN for a token that this list did not give.
        """
        name = f"{self.kind}/{under}/{'down' if newest_first else 'up'}"

        def listed(place: str) -> Iterator[tuple[str, V]]:
            found = self._records(source, under, place, newest_first=newest_first, at_once=limit + 1)
            values = ((record.id, self.decode(record)) for record in found)
            return (each for each in values if wanted(each[1]))

        return page_behind(source.keys, name, listed, limit=limit, token=token)

    def each_in(self, source: Source, division: str, *, after: str = "") -> Iterator[V]:
        """The values of a division behind `after`, by id, read as they are asked for."""
        while found := list_records(
            source, self.kind, after_id=after, limit=_AT_ONCE, replica=self.replica, division=division
        ):
            yield from map(self.decode, found)
            after = found[-1].id

    def each_due(self, source: Source, *, before: date, division: str = "") -> Iterator[V]:
        """The values of a division that are due before that day, the earliest first, read as they are asked for."""
        days = DueRange(before=before)
        while found := list_due(source, self.kind, days, division=division, limit=_AT_ONCE, replica=self.replica):
            yield from map(self.decode, found)
            days = DueRange(before=before, day=found[-1].due_date or before, after=found[-1].id)

    def count_due(self, source: Source, *, before: date, division: str = "") -> int:
        return count_due(source, self.kind, before, division=division, replica=self.replica)

    def each_due_by(self, source: Source, by: datetime, unread: Unread, *, division: str = "") -> Iterator[V]:
        """The values of a division that are looked at by that moment, earliest first; what cannot be read is told."""
        found = each_due_by(source, self.kind, by, division=division, replica=self.replica, unread=unread)
        yield from self._decoded(found, unread)

    def erase(self, transaction: GroupTransaction, value_id: str) -> bool:
        return erase_record(transaction, self.kind, value_id, replica=self.replica)

    def _decoded(self, records: Iterable[Record], unread: Unread | None) -> Iterator[V]:
        return passing_over(records, self.decode, name=lambda record: f"{self.kind} {record.id}", unread=unread)

    def _records(
        self, source: Source, under: str, after: str, *, newest_first: bool, at_once: int = _AT_ONCE
    ) -> Iterator[Record]:
        ids = ids_under(under, newest_first=newest_first)
        if after:
            ids = replace(ids, before=after) if newest_first else replace(ids, after=after)
        return each_in_range(source, self.kind, ids, replica=self.replica, at_once=at_once)


def item_collection(item: type[I], **how: Any) -> Collection[I]:  # noqa: ANN401 - the fields of `Collection`
    """A collection of items, which are kept as they are written; `how` is the rest of it."""
    return Collection(encode=encode, decode=lambda record: decode(item, record.content), **how)


def page_behind(
    keys: DataKeys, name: str, listed: Callable[[str], Iterable[tuple[str, V]]], *, limit: int, token: str
) -> Page[V]:
    """A page of what is `listed` behind a place, each value with its own; it is read no further than the page goes.

    Raises MalformedError: PAGE_TOKEN for a token that this list did not give.
    """
    found = list(islice(listed(open_token(keys, name, token) if token else ""), limit + 1))
    next_token = seal_token(keys, name, found[limit - 1][0]) if len(found) > limit else ""
    return Page(tuple(value for _, value in found[:limit]), next_token)


def seal_token(keys: DataKeys, name: str, place: str) -> str:
    return base64.urlsafe_b64encode(seal(keys, _COLUMN, place.encode(), row_key=name)).decode().rstrip("=")


def open_token(keys: DataKeys, name: str, token: str) -> str:
    """The place that a token goes on behind. Raises MalformedError PAGE_TOKEN."""
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars="-_", validate=True)
        return unseal(keys, _COLUMN, sealed, row_key=name).decode()
    except (binascii.Error, ValueError, CorruptError) as error:
        raise MalformedError("PAGE_TOKEN", "expected the token of the page before", field="page_token") from error
