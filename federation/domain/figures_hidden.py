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
_BESIDE: Final = ("base", "missing", "excused", "late", "doubtful")
_Sums = Sequence[tuple[int, ...]]
"""Sums that a reader can make: the place of the total, then those of its parts."""


def hide_figures(figures: Sequence[Figure], *, own: Collection[str]) -> tuple[Figure, ...]:
    """The figures of a report as who belongs to the counties `own` may see them, in the same order.

    Who reads knows the numbers of the own counties; of the others, none below 5 is left, nor what would tell it.
    """
    found = list(figures)
    tables: dict[tuple[str, str], list[int]] = {}
    for place, figure in enumerate(figures):
        tables.setdefault((figure.id, figure.group.duty_class), []).append(place)
    for places in tables.values():
        rows = [figures[place] for place in places]
        sums = tuple(_sums([row.group for row in rows]))
        foreign = any(row.group.county and row.group.county not in own for row in rows)
        unknown = {at for at, row in enumerate(rows) if (row.group.county not in own if row.group.county else foreign)}
        columns = [[getattr(row, name) for row in rows] for name in _MAIN]
        hidden = hide_cells(columns, sums, unknown=unknown)
        beside = {
            name: hide_cells([[getattr(row, name) for row in rows]], sums, unknown=unknown, hidden=hidden)
            for name in _BESIDE
        }
        for at, place in enumerate(places):
            lost = tuple(name for name in _BESIDE if at in beside[name] and getattr(rows[at], name) is not None)
            found[place] = _without(rows[at], hidden.get(at), lost)
    return tuple(found)


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
) -> Mapping[int, Hidden]:
    """The cells of a table that are hidden, by place: the small ones that are not known, and what would tell them.

    In every sum where one is hidden another one is, too, and what the hidden parts add up to is itself not small
    unless the total is hidden.
    """
    found = dict(hidden or {})
    for column in columns:
        small = (at for at in unknown if (count := column[at]) is not None and count < LEAST_SHOWN)
        found.update((at, found.get(at, Hidden.SMALL)) for at in small)
    todo = True
    while todo:
        todo = False
        for column in columns:
            for each in sums:
                if (more := _one_more(column, each, unknown, found)) is not None:
                    found[more], todo = Hidden.BESIDE, True
    return found


def _one_more(
    column: Sequence[int | None], places: tuple[int, ...], unknown: Collection[int], found: Collection[int]
) -> int | None:
    """A further cell of a sum that must be hidden: the smallest part, or the total where no more than one is left."""
    total, *parts = places
    gone = [at for at in places if at in found]
    if not gone or any(column[at] is None for at in places):
        return None
    tells = total not in found and sum(column[at] or 0 for at in gone) < LEAST_SHOWN
    if len(gone) > 1 and not tells:
        return None
    rest = sorted((column[at] or 0, at) for at in parts if at in unknown and at not in found)
    can_hide_total = total in unknown and total not in found
    if rest and not (can_hide_total and len(rest) == 1):
        return rest[0][1]
    return total if can_hide_total else None
