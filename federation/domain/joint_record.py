"""The record that a set of entries is: their order, which of them count, and what the record waits for.

Rules kept: the same set gives the same record, in whatever order, however often, however late its entries came. What
stands on an entry that is not here waits. The rest is ordered by height and a tie-break that no author can choose by
trying salts. Each author has one line: its entries 1, 2, 3, each of which cites the one before; what is beside the line
has no effect, stays visible and is a finding. Of two entries with one number the line takes the one that another
author's entry stands on and not on the other, so that nobody takes back what others built on by writing it again; when
that tells none or both, the line ends there. What a node wrote beyond the cut that an entry names for it, unknown to
that entry, comes after it. What a peer can make grow has a limit.
Trusts that `read_entry` made each entry. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Generic, TypeAlias, TypeVar

from msgspec import Struct

from federation.domain.joint import MAX_ENTRIES, MAX_OF_AUTHOR, MAX_PARENTS, Entry
from federation.domain.joint_order import Barred, Causal, Order
from federation.protocol.errors import RuleError, UnavailableError
from federation.protocol.ids import NodeName, RecordId, record_node

MAX_BESIDE: Final = 1_000
"""The most entries of one author that are not in its line: they wait, or have no effect."""

_SPACING: Final = 64
_REMEMBERED: Final = 16
"""A fold keeps the last states at multiples of the spacing: a late entry seldom stands before them."""

_S = TypeVar("_S")
Step: TypeAlias = Callable[[_S, Entry, Barred | None], _S]


class FindingKind(StrEnum):
    """Two entries of one number; two as `Barred`; an entry beyond a cut that it did not know, with what cuts it."""

    FORK = "fork"
    HEIGHT = "height"
    OLD_PARENTS = "old_parents"
    BEYOND_CUT = "beyond_cut"


_FOUND: Final = {Barred.HEIGHT: FindingKind.HEIGHT, Barred.OLD_PARENTS: FindingKind.OLD_PARENTS}


class Finding(Struct, frozen=True, order=True):
    """Something that an author did against the rules of a record; `names` are the entries that show it."""

    author: NodeName
    n: int
    kind: FindingKind
    names: tuple[str, ...]


class Pending(Struct, frozen=True, kw_only=True):
    """An entry that waits for others that it cites and that are not here; without names for what they wait for."""

    entry: Entry
    names: tuple[str, ...]


class Place(Struct, frozen=True, kw_only=True):
    """The place of the next entry of a node: its number, its parents, its height."""

    n: int
    parents: frozenset[str]
    height: int


class Record:
    """The entries of one record that are here. It grows by `add`; all else it says follows from the set."""

    def __init__(self, record: RecordId, entries: Iterable[Entry] = ()) -> None:
        """Takes entries in any order, as `add` does, and orders them once."""
        self.id = record
        self._held: dict[str, Entry] = {}
        self._versions: dict[tuple[NodeName, int], list[str]] = {}
        self._of_author: Counter[NodeName] = Counter()
        self._missing: dict[str, set[str]] = {}
        self._waiting: dict[str, list[str]] = defaultdict(list)
        self._causal = Causal()
        self._order = Order(self._causal)
        for entry in entries:
            self._keep(entry)
        self._order.settle()

    def add(self, entry: Entry, *, stored: bool = False) -> int | None:
        """Takes an entry, in any order and however often; one that was `stored` has had room before.

        Returns the first place of the order that is another one than before: its former length when what is new merely
        follows, None when nothing changed. Refuses as `verify_room`.
        """
        if entry.name in self._held:
            return None
        if not stored:
            self.verify_room(entry)
        return self._order.insert(self._keep(entry))

    def verify_room(self, entry: Entry) -> None:
        """Refuses an entry of another record, or for which there is no room now; one that is here needs none.

        Raises:
            RuleError: ENTRY_RECORD.
            UnavailableError: RECORD_FULL, RECORD_PENDING_FULL.
        """
        if entry.head.record != self.id:
            raise RuleError("ENTRY_RECORD", "expected an entry of this record")
        if entry.name in self._held:
            return
        if len(self._held) >= MAX_ENTRIES or self._of_author[entry.author] >= MAX_OF_AUTHOR:
            sentence = f"expected at most {MAX_ENTRIES} entries in a record, {MAX_OF_AUTHOR} of one node"
            raise UnavailableError("RECORD_FULL", sentence)
        if any(self._held[name].author != entry.author for name in self._waiting.get(entry.name, ())):
            return  # another author stands on it: who refused it would never see that author's entry
        if self._of_author[entry.author] - self._order.line_length(entry.author) >= MAX_BESIDE:
            sentence = f"expected at most {MAX_BESIDE} entries of {entry.author} that wait or do not count"
            raise UnavailableError("RECORD_PENDING_FULL", sentence)

    def is_followed_by(self, entry: Entry) -> bool:
        """True when an entry would be the last one of the order, would count, and would change nothing before it.

        So what it makes of the record can be told, and written with it, before it is here.
        """
        return not self._missing and self._order.is_followed_by(entry)

    @property
    def order(self) -> tuple[Entry, ...]:
        """The entries all of whose ancestors are here, in their order, those without effect among them."""
        return tuple(self.entries_from(0))

    def entries_from(self, place: int) -> Iterator[Entry]:
        """The entries of the order from a place on."""
        return (self._held[name] for *_, name in self._order.keys[place:])

    @property
    def barred(self) -> Mapping[str, Barred]:
        """Of the entries in the order, by name, those without effect whatever the state."""
        return MappingProxyType(self._order.barred)

    @property
    def pending(self) -> tuple[Pending, ...]:
        """The entries that wait for others, by author and number."""
        found = sorted(self._missing, key=lambda name: (self._held[name].author, self._held[name].head.n, name))
        return tuple(map(self._pending, found))

    @property
    def gaps(self) -> tuple[str, ...]:
        """The entries of which only a later one of the same author is here, as `node:n`."""
        highest = Counter[NodeName]()
        for author, n in self._versions:
            highest[author] = max(highest[author], n)
        numbers = ((author, n) for author in sorted(highest) for n in range(1, highest[author]))
        return tuple(f"{author}:{n}" for author, n in numbers if (author, n) not in self._versions)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that an author did against the rules, by author and number."""
        found = [
            Finding(author, n, FindingKind.FORK, tuple(sorted(names)))
            for (author, n), names in self._versions.items()
            if len(names) > 1
        ]
        barred = [(name, _FOUND[reason], (name,)) for name, reason in self._order.barred.items() if reason in _FOUND]
        beyond = [(name, FindingKind.BEYOND_CUT, (name, *sorted(by))) for name, by in self._order.deferred().items()]
        for name, kind, names in (*barred, *beyond):
            found.append(Finding(self._held[name].author, self._held[name].head.n, kind, names))
        return tuple(sorted(found))

    def place_for(self, node: NodeName) -> Place:
        """The place of a node's next entry: on its own newest one, and on the newest of each other author that counts.

        Raises:
            RuleError: RECORD_NOT_OPENED, RECORD_LINE_ENDED, RECORD_FULL.
        """
        n, own = self._order.line_length(node) + 1, self._order.lines.get(node, [])[-1:]
        others = [line[-1] for author, line in self._order.lines.items() if line and author != node]
        heights = self._causal.heights
        newest = sorted(others, key=lambda name: (-heights[name], name))
        parents = frozenset([*own, *newest][:MAX_PARENTS])
        if (node, n) in self._versions:
            raise RuleError("RECORD_LINE_ENDED", f"expected no entry {n} of {node}, which follows none that counts")
        if n > MAX_OF_AUTHOR:
            raise RuleError("RECORD_FULL", f"expected at most {MAX_OF_AUTHOR} entries of {node}")
        if not parents and node != record_node(self.id):
            raise RuleError("RECORD_NOT_OPENED", "expected the entry that opened the record to be here")
        return Place(n=n, parents=parents, height=max((heights[name] + 1 for name in parents), default=0))

    def line_of(self, node: NodeName) -> Iterator[tuple[Entry, frozenset[str]]]:
        """A node's entries that count, in order, each with the names of what it is the first of them to stand on."""
        entries, stood_on = self._causal.entries, set[str]()
        for name in self._order.lines.get(node, ()):
            new, ahead = set[str](), [*entries[name].head.parents]
            while ahead:
                if (each := ahead.pop()) not in stood_on:
                    stood_on.add(each)
                    new.add(each)
                    ahead += entries[each].head.parents
            yield entries[name], frozenset(new)

    def stands_on(self, entry: Entry, names: Iterable[str]) -> bool:
        """True when an entry, which need not be here itself, has one of those among its ancestors."""
        parents = [name for name in entry.head.parents if name in self._causal.entries]
        return not self._causal.ancestors(parents, {}).isdisjoint(names)

    def up_to(self, names: Iterable[str]) -> set[str]:
        """The names of those entries, which are in the order, and of all that they stand on."""
        return self._causal.ancestors(names, {})

    def lacks(self, entry: Entry) -> bool:
        """True when something that an entry stands on is not here, or waits itself."""
        return any(parent not in self._causal.entries for parent in entry.head.parents)

    def _keep(self, entry: Entry) -> list[str]:
        """Keeps an entry; returns the names of those whose ancestors are all here now, ancestors first."""
        name = entry.name
        self._held[name] = entry
        self._versions.setdefault((entry.author, entry.head.n), []).append(name)
        self._of_author[entry.author] += 1
        missing = {parent for parent in entry.head.parents if parent not in self._causal.entries}
        for parent in missing:
            self._waiting[parent].append(name)
        if missing:
            self._missing[name] = missing
            return []
        released = [name]
        for each in released:  # grows while it is read
            self._causal.append(self._held[each])
            for waiting in self._waiting.pop(each, ()):
                self._missing[waiting].discard(each)
                if not self._missing[waiting]:
                    del self._missing[waiting]
                    released.append(waiting)
        return released

    def _pending(self, name: str) -> Pending:
        return Pending(entry=self._held[name], names=tuple(sorted(self._missing[name] - self._held.keys())))


class Fold(Generic[_S]):
    """The state that the entries of a record lead to: folded once, then entry by entry as far as the order allows."""

    def __init__(self, record: Record, *, start: _S, step: Step[_S]) -> None:
        """`step` is given each entry in order, and the reason when it has no effect whatever the state."""
        self.record = record
        self._step = step
        self._before: list[tuple[int, _S]] = [(0, start)]
        self._now = (0, start)

    def add(self, entry: Entry, *, stored: bool = False) -> int | None:
        """As `Record.add`."""
        place = self.record.add(entry, stored=stored)
        if place is not None and place < self._now[0]:
            while self._before[-1][0] > place:
                self._before.pop()
            self._now = self._before[-1]
        return place

    @property
    def state(self) -> _S:
        """The state after all entries of the order."""
        place, state = self._now
        barred = self.record.barred
        for entry in self.record.entries_from(place):
            state, place = self._step(state, entry, barred.get(entry.name)), place + 1
            if place % _SPACING == 0:
                self._before.append((place, state))
                del self._before[1:-_REMEMBERED]
        self._now = place, state
        return state
