"""Those who are told of an alert: over the line only where its kind says so, and what its kind asks for holds."""

from __future__ import annotations

import pytest

from federation.domain.alert import fold
from federation.domain.alert_told import provinces_of, told_of
from tests.domain.alert_ridge import CHANGSHAN, EMERGENCY, RULES, F, J, Ridge, Z

HERE, OVER, OVER_FURTHER = ("330822111",), ("361123108",), ("350722100",)
"""A town at home, one over the line, one over another line that the county does not touch."""


def told(kind: str, desk: str, **fields: str | tuple[str, ...]) -> frozenset[str]:
    ridge = Ridge()
    ridge.raises(desk, kind=kind, **fields)
    alert = fold(RULES, ridge.nodes[Z].order)
    return provinces_of(alert, told_of(alert).desks)


@pytest.mark.parametrize(
    ("kind", "desk", "ticked", "crosses"),
    [
        ("perimeter.event", CHANGSHAN, (), False),
        ("perimeter.event", CHANGSHAN, ("confirmed",), True),
        ("weather", EMERGENCY, (), False),
        ("dispute", CHANGSHAN, (), True),
        ("forest.fire", EMERGENCY, (), True),
    ],
)
def test_place_over_the_line_tells_who_is_there_what_the_kind_lets_cross(
    kind: str, desk: str, ticked: tuple[str, ...], crosses: bool
) -> None:
    """A sensor's event stays at home until a person confirmed it; a forecast is for the own county alone."""
    provinces = told(kind, desk, division=OVER, ticked=ticked)

    assert Z in provinces
    assert (J in provinces) is crosses


@pytest.mark.parametrize(
    ("before", "later", "crosses"),
    [
        ((OVER_FURTHER,), (), {F, J, Z}),
        (((),), OVER_FURTHER, {F, J, Z}),
        ((OVER_FURTHER, ()), (), {J, Z}),
    ],
)
def test_a_stamp_tells_the_neighbour_of_what_stands_when_a_person_confirms_it(
    before: tuple[tuple[str, ...], ...], later: tuple[str, ...], crosses: set[str]
) -> None:
    """The stamp says what the box says, also of a later message; a place that was replaced before stays at home."""
    ridge = Ridge()
    first, *corrected = before
    said = ridge.raises(CHANGSHAN, kind="perimeter.event", division=first or HERE)
    ridge.later(30).does(CHANGSHAN, "claim")
    for place in corrected:
        said = ridge.does(CHANGSHAN, "update", about=said.name, **ridge.content(division=place or HERE))
    alert = fold(RULES, ridge.nodes[Z].order)
    assert provinces_of(alert, told_of(alert).desks) == {Z}
    ridge.later(30).does(CHANGSHAN, "stamp", stage="confirmed")
    if later:
        ridge.does(CHANGSHAN, "update", about=said.name, **ridge.content(division=later))
    alert = fold(RULES, ridge.nodes[Z].order)
    assert provinces_of(alert, told_of(alert).desks) == crosses


def test_place_at_home_tells_the_neighbour_under_the_condition_of_the_kind() -> None:
    """A dispute of the own side alone is not told over the line; one with parties on both sides is."""
    assert J not in told("dispute", CHANGSHAN, division=("330822111",))
    assert J in told("dispute", CHANGSHAN, division=("330822111",), ticked=("both_sides",))
