"""An invented year at the border: sixty alerts a day times the season, and the answers of its quarters.

Rules kept: the same seed and day give the same kinds, so that a year is counted without being told, and told day by day
with the same counts. The way of counting changes once, so that one quarter has nothing to be compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Final

from federation.cli.demo.border_day import MIX, BorderDay, season
from federation.cli.demo.border_plants import border_day
from federation.domain.alert_rules import AgreedAlerts

ALERTS_A_DAY: Final = 60
COUNTED_ANEW: Final = date(2025, 4, 1)
"""The first day of the newer way of counting."""
ECOLOGY: Final = ("forest.fire", "forest.risk", "forest.poaching", "fishing.illegal", "water.pollution")


def days_of(year: int) -> Iterator[date]:
    first = date(year, 1, 1)
    return (first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days))


def kinds_of(seed: int, day: date) -> tuple[str, ...]:
    """The kinds of a day's alerts, in the order in which they are raised."""
    random = Random(f"border year:{seed}:{day}")  # noqa: S311  # an invented year needs repeatable dice
    kinds = {kind: part for of_class in MIX.values() for kind, part in of_class.items()}
    expected = {kind: ALERTS_A_DAY * part * season(kind, day) / 100 for kind, part in kinds.items()}
    found = [kind for kind, number in expected.items() for _ in range(_about(random, number))]
    random.shuffle(found)
    return tuple(found)


def day_of_year(seed: int, day: date, *, rules: AgreedAlerts) -> BorderDay:
    """A day of the year with all its deeds; the exercises stand on top."""
    kinds = kinds_of(seed, day)
    return border_day(seed, day=day, rules=rules, count=len(kinds), kinds=kinds)


def quarter_counts(seed: int, year: int) -> Mapping[tuple[int, str], int]:
    """The answers: alerts by quarter and kind."""
    return Counter((quarter_of(day), kind) for day in days_of(year) for kind in kinds_of(seed, day))


def yearly_changes(seed: int, year: int, kinds: tuple[str, ...]) -> Mapping[int, Fraction | None]:
    """The answers: by how many percent each quarter differs from the year before; None where it is counted anew."""
    now, before = quarter_counts(seed, year), quarter_counts(seed, year - 1)
    sums = {
        quarter: [sum(counts[quarter, kind] for kind in kinds) for counts in (now, before)] for quarter in (1, 2, 3, 4)
    }
    return {
        quarter: Fraction(100 * (this - last), last)
        if definition_of(year, quarter) == definition_of(year - 1, quarter)
        else None
        for quarter, (this, last) in sums.items()
    }


def definition_of(year: int, quarter: int) -> int:
    """The version of the way of counting that a quarter begins with."""
    return 1 if date(year, 3 * quarter - 2, 1) < COUNTED_ANEW else 2


def quarter_of(day: date) -> int:
    return (day.month + 2) // 3


def _about(random: Random, expected: float) -> int:
    """A whole number, as expected on average: a fair draw of so many chances in twice as many."""
    chances = max(1, round(2 * expected))
    return sum(random.random() < expected / chances for _ in range(chances))
