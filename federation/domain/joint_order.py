"""The order of the entries of a joint record, and the line of each author: see `joint_record` for the rules.

A height is that of the graph of parents, never what a head claims. An entry that cuts is one more parent of what comes
after it; where two entries cut each other's, the first by height and tie-break does, and the other one's cut does not
reach what then precedes it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Final

from federation.domain.joint import Entry, cuts
from federation.protocol.ids import NodeName

MAX_FORKS: Final = 4
"""The numbers of one author that may be used twice before its line ends."""
MAX_CUTS: Final = 16
"""The entries of one author, first ones first, that cut."""
_TIE_BREAK: Final = "bridgehead/entry-order/v1"
_SEVERAL: Final = ""

Key = tuple[int, bytes, str]
Cut = tuple[str, Mapping[NodeName, int]]


class Barred(StrEnum):
    """The reason for which an entry has no effect, whatever the state before it."""

    HEIGHT = "height"
    """Its height is not 1 more than its highest parent's."""
    OLD_PARENTS = "old_parents"
    """It does not cite its author's own entry before it."""
    FORKED = "forked"
    """Its author wrote another entry of the same number, and this one does not count."""
    BEHIND = "behind"
    """It follows an entry of its author that does not count."""


class Causal:
    """The entries whose ancestors are here, with their heights and who cites them."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.heights: dict[str, int] = {}
        self.ties: dict[str, bytes] = {}
        self.cited_by: dict[str, list[str]] = {}
        self.numbers: dict[NodeName, dict[int, list[str]]] = {}

    def append(self, entry: Entry) -> None:
        """Adds an entry whose parents are here."""
        name, parents = entry.name, entry.head.parents
        self.entries[name] = entry
        self.heights[name] = max((self.heights[parent] + 1 for parent in parents), default=0)
        tie = f"{_TIE_BREAK}\n{entry.head.record}\n{entry.author}\n{entry.head.n}"
        self.ties[name] = sha256(tie.encode()).digest()
        self.cited_by[name] = []
        for parent in parents:
            self.cited_by[parent].append(name)
        self.numbers.setdefault(entry.author, {}).setdefault(entry.head.n, []).append(name)

    def ancestors(self, names: Iterable[str], after: Mapping[str, list[str]]) -> set[str]:
        """The entries of those names and all that come before them, `after` being further parents of some."""
        found, ahead = set[str](), list(names)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += (*self.entries[name].head.parents, *after.get(name, ()))
        return found

    def descendants(self, names: Iterable[str]) -> set[str]:
        """The entries of those names and all that stand on them."""
        found, ahead = set[str](), list(names)
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += self.cited_by[name]
        return found

    def above(self, node: NodeName, n: int) -> Iterator[str]:
        """The entries of a node with a number above that one."""
        return (name for number, names in self.numbers.get(node, {}).items() if number > n for name in names)


class Dispute:
    """The entries that one author wrote under one number, and which of them another author's entry alone stands on.

    It is settled when it has seen all that stands on them; `add` says of a later entry when it must be settled again.
    """

    def __init__(self, author: NodeName) -> None:
        self._author = author
        self.acknowledged: set[str] = set()
        self._under: dict[str, str] = {}

    def add(self, entry: Entry, *, is_version: bool) -> bool:
        """Adds an entry whose parents were added; True when it makes another number of versions acknowledged."""
        if len(self.acknowledged) > 1:
            return False
        under = {self._under[parent] for parent in entry.head.parents if parent in self._under}
        if is_version:
            under.add(entry.name)
        if under:
            self._under[entry.name] = only = under.pop() if len(under) == 1 else _SEVERAL
            if only != _SEVERAL and only not in self.acknowledged and entry.author != self._author:
                self.acknowledged.add(only)
                return True
        return False


class Order:
    """Keys in order, lines, and what is barred; `insert` says from which place on they are others than before."""

    def __init__(self, causal: Causal) -> None:
        self._causal = causal
        self.keys: list[Key] = []
        self.lines: dict[NodeName, list[str]] = {}
        self.barred: dict[str, Barred] = {}
        self._heights: dict[str, int] = {}  # with the cuts as parents
        self._cuts: list[Cut] = []
        self._disputes: dict[tuple[NodeName, int], Dispute] = {}

    def insert(self, released: Iterable[str]) -> int | None:
        """Places entries that the graph has just got; returns the first place that is another one, None without any."""
        first = None
        for name in released:
            place = self._place(name)
            if place is None:  # it may change what counts of others
                place = self._settle_again()
                return place if first is None else min(first, place)
            first = place if first is None else min(first, place)
        return first

    def is_followed_by(self, entry: Entry) -> bool:
        """True when an entry that is not here would be the last one, would count, and would change nothing else."""
        causal, head = self._causal, entry.head
        if self.barred or self._disputes or cuts(head) or any(_reaches(cut, entry) for _, cut in self._cuts):
            return False
        if not self.keys or not head.parents <= causal.entries.keys():
            return False
        line = self.lines.get(entry.author, [])
        height = 1 + max(causal.heights[parent] for parent in head.parents) if head.parents else 0
        is_next = head.n == len(line) + 1 and (not line or line[-1] in head.parents) and head.height == height
        return is_next and max(self._heights[parent] for parent in head.parents) >= self.keys[-1][0]

    def settle(self) -> None:
        """Orders all that the graph holds, from nothing but the graph."""
        causal = self._causal
        self._disputes = {}
        self.lines = {author: self._line(author) for author in causal.numbers}
        standing = {name for line in self.lines.values() for name in line}
        self.barred = {name: self._reason(name) for name in causal.entries if name not in standing}
        self._cuts = sorted(self._find_cuts(), key=lambda cut: self._key(cut[0], causal.heights[cut[0]]))
        self._heights = self._raise_heights(self.deferred())
        self.keys = sorted(self._key(name, height) for name, height in self._heights.items())

    def line_length(self, node: NodeName) -> int:
        return len(self.lines.get(node, ()))

    def deferred(self) -> dict[str, list[str]]:
        """The entries beyond a cut that they did not know, with those that cut them."""
        causal, after = self._causal, dict[str, list[str]]()
        for name, cut in self._cuts:
            beyond = {above for node, n in cut.items() for above in causal.above(node, n)}
            if beyond := beyond - causal.descendants([name]):
                for each in beyond - causal.ancestors([name], after):
                    after.setdefault(each, []).append(name)
        return after

    def _place(self, name: str) -> int | None:
        """Places an entry that no other one here stands on; None when more than itself must be looked at."""
        entry = self._causal.entries[name]
        line, n = self.lines.setdefault(entry.author, []), entry.head.n
        follows = self._follows(name, line)
        disputed = self._disputes.get((entry.author, n)) if follows else None
        if any(each.add(entry, is_version=each is disputed) for each in self._disputes.values()):
            return None
        if not follows or disputed:
            self.barred[name] = self._reason(name)
        elif n <= len(line) or not self._begin_cut(name):
            return None
        else:
            line.append(name)
        before = [*entry.head.parents, *(cutting for cutting, cut in self._cuts if _reaches(cut, entry))]
        height = max((self._heights[each] + 1 for each in before if each != name), default=0)
        self._heights[name] = height
        key = self._key(name, height)
        insort(self.keys, key)
        return bisect_left(self.keys, key)

    def _begin_cut(self, name: str) -> bool:
        """Adds the cut of an entry; False when something that is here comes after it now."""
        author, cut = self._causal.entries[name].author, cuts(self._causal.entries[name].head)
        if cut and sum(self._causal.entries[each].author == author for each, _ in self._cuts) < MAX_CUTS:
            if any(above != name for node, n in cut.items() for above in self._causal.above(node, n)):
                return False
            self._cuts.append((name, cut))
        return True

    def _settle_again(self) -> int:
        keys, barred = self.keys, self.barred
        self.settle()
        for place, (old, new) in enumerate(zip(keys, self.keys, strict=False)):
            if old != new or barred.get(old[2]) != self.barred.get(old[2]):
                return place
        return min(len(keys), len(self.keys))

    def _line(self, author: NodeName) -> list[str]:
        """The entries of an author that count, as far as they are one line."""
        line: list[str] = []
        forks = 0
        while True:
            versions = self._causal.numbers[author].get(len(line) + 1, ())
            found = [name for name in versions if self._follows(name, line)]
            if len(found) > 1:
                forks += 1
                acknowledged = self._acknowledged(found)
                found = acknowledged if forks <= MAX_FORKS else []
            if len(found) != 1:
                return line
            line += found

    def _follows(self, name: str, line: list[str]) -> bool:
        """True when an entry has its true height and cites the entry before it in its author's line."""
        head = self._causal.entries[name].head
        if head.height != self._causal.heights[name] or head.n > len(line) + 1:
            return False
        return head.n == 1 or line[head.n - 2] in head.parents

    def _acknowledged(self, versions: list[str]) -> list[str]:
        """Of some entries of one number, those which another author's entry stands on, and on no other of them."""
        entries, first = self._causal.entries, self._causal.entries[versions[0]]
        dispute = self._disputes[first.author, first.head.n] = Dispute(first.author)
        for name in sorted(self._causal.descendants(versions), key=self._causal.heights.__getitem__):
            dispute.add(entries[name], is_version=name in versions)
        return sorted(dispute.acknowledged)

    def _reason(self, name: str) -> Barred:
        entries, entry = self._causal.entries, self._causal.entries[name]
        head, line = entry.head, self.lines[entry.author]
        if head.height != self._causal.heights[name]:
            return Barred.HEIGHT
        before = ((entries[parent].author, entries[parent].head.n) for parent in head.parents)
        if head.n > 1 and (entry.author, head.n - 1) not in before:
            return Barred.OLD_PARENTS
        return Barred.FORKED if self._follows(name, line) else Barred.BEHIND

    def _find_cuts(self) -> Iterator[Cut]:
        for line in self.lines.values():
            found = [(name, cut) for name in line if (cut := cuts(self._causal.entries[name].head))]
            yield from found[:MAX_CUTS]

    def _raise_heights(self, after: Mapping[str, list[str]]) -> dict[str, int]:
        """The heights of the graph in which an entry comes after those that cut it, too."""
        causal = self._causal
        if not after:
            return dict(causal.heights)
        before = {name: {*entry.head.parents, *after.get(name, ())} for name, entry in causal.entries.items()}
        behind: dict[str, list[str]] = {name: [*cited] for name, cited in causal.cited_by.items()}
        for name, cutting in after.items():
            for each in cutting:
                behind[each].append(name)
        open_parents = Counter({name: len(found) for name, found in before.items()})
        ready, heights = [name for name, found in before.items() if not found], dict[str, int]()
        for name in ready:  # grows while it is read
            heights[name] = max((heights[each] + 1 for each in before[name]), default=0)
            for each in behind[name]:
                open_parents[each] -= 1
                if not open_parents[each]:
                    ready.append(each)
        return heights

    def _key(self, name: str, height: int) -> Key:
        return height, self._causal.ties[name], name


def _reaches(cut: Mapping[NodeName, int], entry: Entry) -> bool:
    return entry.head.n > cut.get(entry.author, entry.head.n)
