"""A year at the border has its seasons, its days have the kinds of its count, and one quarter has no year before it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal

import pytest

from federation.cli.demo.border_year import (
    ECOLOGY,
    day_of_year,
    days_of,
    definition_of,
    kinds_of,
    quarter_counts,
    yearly_changes,
)
from federation.domain.response import NoComparison, year_on_year
from tests.domain.alert_ridge import RULES

SEED, YEAR = 5, 2026


@pytest.fixture(scope="module")
def counts() -> list[Counter[tuple[int, str]]]:
    """By quarter and kind, of the year and of the one before."""
    return [Counter(quarter_counts(SEED, year)) for year in (YEAR, YEAR - 1)]


def test_seasons() -> None:
    """Fires at 清明, floods and typhoons in summer, crowded roads in spring and October, quarrels about pay in winter."""
    months = Counter((day.month, kind) for day in days_of(YEAR) for kind in kinds_of(SEED, day))
    graves = Counter(kind for day in (4, 5, 6) for kind in kinds_of(SEED, date(YEAR, 4, day)))
    assert graves["forest.fire"] / 3 > 2 * months[3, "forest.fire"] / 31 > 3 * months[8, "forest.fire"] / 31
    assert months[6, "flood"] + months[7, "flood"] > 2 * (months[1, "flood"] + months[2, "flood"])
    assert months[8, "weather"] > months[4, "weather"]
    assert months[10, "traffic.minor"] > 1.5 * months[9, "traffic.minor"]
    assert months[1, "dispute"] > 1.3 * months[6, "dispute"]
    assert 58 * 365 < months.total() < 90 * 365


def test_day_of_year() -> None:
    """A day is told with the kinds that the year counts."""
    day = date(YEAR, 4, 5)
    assert day_of_year(SEED, day, rules=RULES).kinds == Counter(kinds_of(SEED, day))


@pytest.mark.parametrize("kinds", [("dispute",), ECOLOGY])
def test_year_before(counts: list[Counter[tuple[int, str]]], kinds: tuple[str, ...]) -> None:
    """Each quarter is compared as the answers say, and once not at all, since it was counted otherwise."""
    answers = yearly_changes(SEED, YEAR, kinds)
    for quarter, expected in answers.items():
        now, before = (sum(year[quarter, kind] for kind in kinds) for year in counts)
        same = definition_of(YEAR, quarter) == definition_of(YEAR - 1, quarter)
        found = year_on_year(now, before, same_definition=same)
        if expected is None:
            assert found is NoComparison.OTHER_DEFINITION
        else:
            assert found == round(Decimal(expected.numerator) / Decimal(expected.denominator), 1)
    assert [quarter for quarter, answer in answers.items() if answer is None] == [1]
