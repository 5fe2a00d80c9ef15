"""The numbers of a report that are never printed: small ones of the other side, and what would tell them.

Rules kept: who reads knows the numbers of the own counties, and every total and difference that is printed; none of
them leads to a number below 5 of another county, zero among them. A hidden figure has nothing left but its place. How
many of a share are not in it is the figure itself, and is not hidden; leaves name entries, and who holds those can
count them.
Source: the provinces' own rule for small numbers (`official = false`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from federation.domain.figures import Figure, Group, Mark, digest_of
from federation.domain.response import LEAST_SHOWN, Hidden, NoComparison
from federation.protocol.form import replace

_MAIN: Final = ("numerator", "denominator")
_BESIDE: Final = ("base", "missing", "excused", "late", "doubtful", "own", "heap")
_Sums = Sequence[tuple[int, ...]]
"""Sums that a reader can make: the place of the total, then those of its parts."""


def hide_figures(figures: Sequence[Figure], *, own: Collection[str]) -> tuple[Figure, ...]:
    """The figures of a report as who belongs to the counties `own` may see them, in the same order.

    Who reads knows the numbers of the own counties; of the others, none below 5 is left, nor what would tell it: a
    number that one figure hides stands beside no other figure of the same place either.
    """
    found = list(figures)
    places: dict[tuple[str, str], list[int]] = {}
    for place, figure in enumerate(figures):
        places.setdefault((figure.id, figure.group.duty_class), []).append(place)
    tables = [_Table([figures[place] for place in each], own) for each in places.values()]
    lost: set[tuple[Group, int]] = set()
    while True:
        hidden = [table.hide(lost) for table in tables]
        more = {number for table, gone in zip(tables, hidden, strict=True) for number in table.telling(gone)}
        if more <= lost:
            break
        lost |= more
    for table, gone, each in zip(tables, hidden, places.values(), strict=True):
        beside = table.beside(gone)
        for at, place in enumerate(each):
            names = tuple(name for name in _BESIDE if at in beside[name] and getattr(table.rows[at], name) is not None)
            found[place] = _without(table.rows[at], gone.get(at), names)
    return tuple(found)


class _Table:
    """The figures of one definition and duty class, and the sums that a reader can make of them."""

    def __init__(self, rows: Sequence[Figure], own: Collection[str]) -> None:
        self.rows = rows
        self.sums = tuple(_sums([row.group for row in rows]))
        foreign = any(row.group.county and row.group.county not in own for row in rows)
        self.unknown = {
            at for at, row in enumerate(rows) if (row.group.county not in own if row.group.county else foreign)
        }
        self.columns = [[getattr(row, name) for row in rows] for name in _MAIN]

    def of(self, at: int) -> set[tuple[Group, int]]:
        """The numbers of a cell by its place, whatever its duty class."""
        place = replace(self.rows[at].group, duty_class="")
        return {(place, count) for column in self.columns if (count := column[at]) is not None}

    def telling(self, hidden: Mapping[int, Hidden]) -> set[tuple[Group, int]]:
        """The hidden numbers that would tell a small one, by place: in the column and sum in which one is hidden."""
        found: set[tuple[Group, int]] = set()
        for column in self.columns:
            secret = {at for at in hidden if (count := column[at]) is not None and count < LEAST_SHOWN}
            small, size = set(secret), -1
            while size != len(secret):
                size = len(secret)
                beside = {at for each in self.sums if secret & set(each) for at in each}
                secret |= {at for at in beside if hidden.get(at) is Hidden.BESIDE}
            found |= {
                (replace(self.rows[at].group, duty_class=""), count)
                for at in secret - small
                if (count := column[at]) is not None
            }
        return found

    def hide(self, lost: Collection[tuple[Group, int]]) -> Mapping[int, Hidden]:
        """The hidden cells, those with a number that is lost elsewhere among them; such places go first."""
        known = {at: Hidden.BESIDE for at in self.unknown if any(number in lost for number in self.of(at))}
        groups = {group for group, _ in lost}
        first = {at for at in self.unknown if replace(self.rows[at].group, duty_class="") in groups}
        return hide_cells(self.columns, self.sums, unknown=self.unknown, hidden=known, first=first)

    def beside(self, hidden: Mapping[int, Hidden]) -> Mapping[str, Collection[int]]:
        """For each number beside the value, the cells that have none."""
        return {
            name: hide_cells(
                [[getattr(row, name) for row in self.rows]], self.sums, unknown=self.unknown, hidden=hidden
            )
            for name in _BESIDE
        }


def _without(figure: Figure, hidden: Hidden | None, lost: tuple[str, ...]) -> Figure:
    if hidden is not None:
        return Figure(
            id=figure.id, version=figure.version, source=figure.source, form=figure.form, group=figure.group,
            why=hidden.value,
        )  # fmt: skip
    if not lost:
        return figure
    leaves = tuple(replace(leaf, marks=tuple(set(leaf.marks) & {Mark.MISSING})) for leaf in figure.leaves)
    figure = replace(figure, hidden=lost, leaves=leaves, **dict.fromkeys(lost))
    if "base" not in lost:
        return figure
    return replace(figure, value="", why=NoComparison.BASE_SMALL.value, base_leaves=(), digest=digest_of(leaves))


def _sums(groups: Sequence[Group]) -> Iterator[tuple[int, ...]]:
    """Every group that others of the table add up to: over counties, over areas, over kinds."""
    place = {group: at for at, group in enumerate(groups)}
    for name in ("county", "area", "kind"):
        parts: dict[Group, list[int]] = {}
        for group in groups:
            if getattr(group, name):
                parts.setdefault(replace(group, **{name: ""}), []).append(place[group])
        yield from ((place[total], *found) for total, found in parts.items() if total in place)


def hide_cells(
    columns: Sequence[Sequence[int | None]],
    sums: _Sums,
    *,
    unknown: Collection[int],
    hidden: Mapping[int, Hidden] | None = None,
    first: Collection[int] = (),
) -> Mapping[int, Hidden]:
    """The cells of a table that are hidden, by place: the small ones that are not known, and what would tell them.

    `first` are those that go before others.

    In every sum where one is hidden another one is, too, and what the hidden parts add up to is itself not small
    unless the total is hidden.
    """
    found = dict(hidden or {})
    for column in columns:
        small = (at for at in unknown if (count := column[at]) is not None and count < LEAST_SHOWN)
        found.update((at, Hidden.SMALL) for at in small)
    todo = True
    while todo:
        todo = False
        for column in columns:
            for each in sums:
                if (more := _one_more(column, each, set(unknown) - found.keys(), found, first=first)) is not None:
                    found[more], todo = Hidden.BESIDE, True
    return found


def _one_more(
    column: Sequence[int | None], places: tuple[int, ...], free: Collection[int], found: Collection[int], *,
    first: Collection[int],
) -> int | None:  # fmt: skip
    """A further cell of a sum that must be hidden: the smallest part, or the total where no more than one is left.

    `free` are the cells that may be hidden and are not yet.
    """
    total, *parts = places
    gone = [at for at in places if at in found]
    if not gone or any(column[at] is None for at in places):
        return None
    tells = total not in found and sum(column[at] or 0 for at in gone) < LEAST_SHOWN
    if len(gone) > 1 and not tells:
        return None
    rest = sorted((at not in first, column[at] or 0, at) for at in parts if at in free)
    if rest and not (total in free and len(rest) == 1):
        return rest[0][2]
    return total if total in free else None
