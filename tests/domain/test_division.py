"""Codes, borders, and who lies in which province."""

import pytest
from stdnum import numdb

from federation.domain.division import (
    ANHUI,
    BORDER_PAIRS,
    DIVISIONS,
    FUJIAN,
    JIANGXI,
    NODES,
    ZHEJIANG,
    border_counties,
    find_division,
    format_division_path,
    neighbours_of,
    province_of,
)

CURRENT = sorted(code for code, division in DIVISIONS.items() if division.today == code)


@pytest.mark.parametrize(
    ("code", "node"),
    [("330822", ZHEJIANG), ("361123", JIANGXI), ("350722", FUJIAN), ("341022", ANHUI), ("411723", None)],
)
def test_province_of_reads_the_first_two_digits(code, node):
    """33, 36, 35 and 34 are ours, everything else is nobody's."""
    assert province_of(code) == node


def test_border_pairs_cross_a_province_border_once_each():
    """Thirty pairs, all between two provinces, none listed twice."""
    assert len(BORDER_PAIRS) == 30
    assert len({frozenset((pair.one, pair.other)) for pair in BORDER_PAIRS}) == 30
    assert all(province_of(pair.one) != province_of(pair.other) for pair in BORDER_PAIRS)
    assert all(pair.one in CURRENT and pair.other in CURRENT and pair.km > 0 for pair in BORDER_PAIRS)


def test_neighbours_of_changshan_is_yushan_only():
    """Of the six counties of 衢州 three touch another province."""
    assert neighbours_of("330822") == ("361123",)
    assert [neighbours_of(code) for code in ("330802", "330803", "330825")] == [(), (), ()]
    assert neighbours_of("330881") == ("350722", "361103", "361123")


def test_border_counties_are_of_their_province():
    """Each node has border counties, all its own."""
    for node in NODES:
        counties = border_counties(node)
        assert counties == tuple(sorted(set(counties)))
        assert counties
        assert all(province_of(code) == node for code in counties)


@pytest.mark.parametrize(
    ("code", "year", "assigned"),
    [
        ("362323", 1990, True),
        ("362323", 2001, False),
        ("361123", 1990, False),
        ("330822", 1985, True),
        ("330802", 1, True),
    ],
)
def test_assigned_in_knows_the_years_of_a_code(code, year, assigned):
    """Years are inclusive; an open end is always."""
    division = find_division(code)
    assert division is not None
    assert division.assigned_in(year) is assigned


def test_earlier_codes_lead_to_a_current_one():
    """Every earlier code names the code of today, in the same province."""
    earlier = [division for division in DIVISIONS.values() if division.code != division.today]
    assert len(earlier) > 20
    for division in earlier:
        today = DIVISIONS[division.today]
        assert today.until is None
        assert division.until is not None
        assert province_of(today.code) == province_of(division.code)


@pytest.mark.parametrize("code", CURRENT)
def test_current_codes_agree_with_stdnum(code):
    """python-stdnum's table of places knows every current code by the same name."""
    counties = [props["county"] for _, props in numdb.get("cn/loc").info(code) if "county" in props]
    assert counties
    assert DIVISIONS[code].name in counties[0]


def test_format_division_path_names_province_city_and_county():
    """An address begins with all three; a code unknown here gives nothing."""
    assert format_division_path("361123") == "江西省上饶市玉山县"
    assert format_division_path("411723") == ""


def test_find_division_unknown_is_none():
    """The table covers the border only."""
    assert find_division("411723") is None
