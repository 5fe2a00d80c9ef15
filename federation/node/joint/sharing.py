"""The rules by which one family of joint records is shared: who takes part, who is shown what, what time brings.

`taking` and `entries` do the same for every family and ask these questions of its `Sharing`; a new family is
a subclass. Source: DESIGN section 5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from federation.domain.case_items import AT_HOME, Part
from federation.domain.joint import Entry, FieldValue, Head
from federation.domain.permits_policy import AgencyFacts, Occasion
from federation.node.joint.records import Family, Held, Moment, StoredEntry, StoredRecord, parts_of
from federation.node.node import InForce, Node
from federation.protocol.body import Handed
from federation.protocol.form import Item
from federation.protocol.ids import AgencyId, NodeName, RecordId
from federation.protocol.policy import PolicyRequest
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """The office for which a node writes what time brings, what policy reads of it, and purpose and function."""

    agency: AgencyId
    seat: Item
    why: tuple[str, str]


class Sharing(ABC, Generic[S]):
    """The questions of `taking` and `entries`; a state is the fold of a record, None while it cannot be folded."""

    family: Family[S]
    look_keys: tuple[str, ...] = ()
    """The keys of `waiters` that are told when a record may be due at another second; none where days are enough."""

    def moved(self, node: Node) -> Iterable[RecordId]:
        """Returns the records that the agreement in force moves by itself, whatever their own moment is: none."""
        del node
        return ()

    def shown_fields(self, head: Head) -> Mapping[str, FieldValue]:
        """Returns the fields of a head as an office is shown them."""
        return head.fields

    @abstractmethod
    def is_over(self, state: S) -> bool:
        """Returns True once nothing is written with a record but by the duty: it has ended."""

    def is_exercise(self, state: S | None, head: Head) -> bool:
        """Returns True for an entry of an exercise; refuses while nobody can tell. No family but one has any."""
        del state, head
        return False

    @abstractmethod
    def seat(self, in_force: InForce, state: S | None, head: Head, *, occasion: Occasion) -> Item:
        """Returns the facts of who acts that policy reads, before the act."""

    @abstractmethod
    def asked(self, held: Held[S], entry: Entry, *, seat: Item) -> Item | None:
        """Returns the seat under which an entry is taken in although policy refuses the one it has; None for none."""

    @abstractmethod
    def question(
        self, agency: AgencyFacts, seat: Item | str, act: str, *, home: NodeName, occasion: Occasion
    ) -> PolicyRequest:
        """Asks policy whether the office may do this act; an encoded seat is that of an entry of ours."""

    @abstractmethod
    def may_stand_open(self, state: S | None, kind: str, part: Part, *, at_home: bool) -> bool:
        """Returns True unless a place that another node opened here is given to no office of this province."""

    @abstractmethod
    def provinces(self, node: Node, in_force: InForce, state: S) -> set[NodeName]:
        """Returns the other provinces of the agreement that take part, or are asked to."""

    @abstractmethod
    def left(self, in_force: InForce, held: Held[S], part: set[NodeName]) -> Mapping[NodeName, set[str]]:
        """Returns the entries of which provinces that are not among `part` any more are still handed the heads."""

    @abstractmethod
    def opened(
        self, in_force: InForce, state: S, kept: StoredEntry, *, parts: Sequence[Part], to: NodeName
    ) -> tuple[set[int], list[PolicyRequest]]:
        """Returns the places of an entry that offices of a province may see, and the questions that said yes to it."""

    @abstractmethod
    def served(
        self, in_force: InForce, state: S, kept: StoredEntry, *, parts: Sequence[Part], to: NodeName
    ) -> Collection[int]:
        """Returns the places of an entry of ours whose documents a province may have now, of those it was handed."""

    @abstractmethod
    def seen(
        self, in_force: InForce, state: S, kept: StoredEntry, *, parts: Sequence[Part | None], reader: AgencyId
    ) -> Collection[int]:
        """Returns the places of another office's entry that an office of ours may see."""

    def shown_parts(
        self, node: Node, in_force: InForce, held: Held[S], *, kept: StoredEntry, reader: AgencyId
    ) -> dict[int, Part]:
        """Returns the open places of an entry that an office of ours may see; its own alone while no state is here."""
        head, state, parts = kept.head, held.state, parts_of(self.family, node, node.database, kept=kept)
        if reader == head.agency:
            return parts
        if state is None:
            return {}
        listed = [parts.get(at) for at in range(1, len(head.items) + 1)]
        places = self.seen(in_force, state, kept, parts=listed, reader=reader)
        return {at: part for at, part in parts.items() if at in places and head.items[at - 1] not in AT_HOME}

    @abstractmethod
    def shown_by(self, state: S) -> object:
        """Returns all of a state that decides who is handed what: while it is the same, nobody is owed more."""

    @abstractmethod
    def due(self, node: Node, state: S) -> Iterator[tuple[str, Mapping[str, FieldValue]]]:
        """Yields the acts that time brings now and that this node writes, with their fields."""

    @abstractmethod
    def author(self, node: Node, state: S) -> Author | None:
        """Returns the office for which this node writes what time brings; None when it is not this node's to write."""

    @abstractmethod
    def basis(self, state: S) -> str:
        """Returns the law in whose name entries are handed on."""

    @abstractmethod
    def settled(self, node: Node, row: StoredRecord, now: Moment[S]) -> StoredRecord:
        """Returns the row of a settled record with its retention, its end, and when a duty looks at it next."""

    @abstractmethod
    def lines(self, node: Node, transaction: GroupTransaction, now: Moment[S], *, row: StoredRecord, step: int
              ) -> Iterator[Record]:  # fmt: skip
        """Yields what the lists and feeds of our own offices say of it; `row` is that before it was settled."""

    @abstractmethod
    def wakes(self, node: Node, now: Moment[S]) -> Iterable[str]:
        """Returns the keys of `waiters` to tell once that is durable."""

    def rows_with(self, source: Source, kept: StoredEntry, *, replica: bool = True) -> tuple[Record, ...]:
        """Returns what is written with an entry that came, beside it. May raise RuleError."""
        del source, kept, replica
        return ()

    def put_handed(
        self,
        node: Node,
        transaction: GroupTransaction,
        state: S,
        *,
        entries: Iterable[tuple[StoredEntry, Handed | None]],
    ) -> None:
        """Writes what follows for people from entries of ours, once their messages stand in the transaction."""

    def put_served(
        self, node: Node, transaction: GroupTransaction, *, state: S, kept: StoredEntry, item: int, to: NodeName
    ) -> None:
        """Writes what follows for people from a document of an entry of ours that goes to a province."""

    def put_settled(self, node: Node, transaction: GroupTransaction, held: Held[S], *, state: S) -> None:
        """Writes what else follows from the state of a settled record."""
