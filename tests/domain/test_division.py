"""Codes, borders, and who lies in which province."""

import re

import pytest
from stdnum import numdb

from federation.domain.division import (
    ANHUI,
    BORDER_PAIRS,
    DIVISIONS,
    FUJIAN,
    JIANGXI,
    NODES,
    PROVINCES,
    ZHEJIANG,
    border_counties,
    find_division,
    find_division_doubt,
    format_division_path,
    neighbours_of,
    province_of,
)

NEWER = {"330113", "330114"}
"""Districts of 2021 that the library does not have yet."""
LACKING = {"332501", "332502", "332522", "332523", "332524", "332525", "332526", "332527", "332528", "332529"}
"""The prefecture of 丽水 from 1982 to 2000, whose table the library lacks."""
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
    assert len(earlier) > 100
    for division in earlier:
        today = DIVISIONS[division.today]
        assert today.until is None
        assert division.until is not None
        assert province_of(today.code) == province_of(division.code)


def counties_of(code):
    """The lives of a code as the library has them, as `[1985-2001]衢县` or as a name alone."""
    found = numdb.get("cn/loc").info(code)
    return found[-1][1].get("county", "").split(",") if len(found) > 1 else []


def test_current_codes_agree_with_stdnum():
    """python-stdnum's table of places knows every current code by the same name, but the newest."""
    assert {code for code in CURRENT if not "".join(counties_of(code)[-1:]).endswith(DIVISIONS[code].name)} == NEWER


def test_every_county_that_stdnum_knows_today_is_in_the_table():
    """An independent list of the four provinces: what it has and we lack would be a doubt without a reason."""
    places = [
        f"{first}{second:02d}{third:02d}" for first in PROVINCES for second in range(1, 19) for third in range(1, 90)
    ]
    today = {code for code in places for each in counties_of(code)[-1:] if re.fullmatch(r"(\[[0-9]*-\])?.+", each)}
    towns = {
        code for code in today if counties_of(code)[-1].endswith(("市辖区", "]县")) or counties_of(code)[-1] == "县"
    }
    ended = {code for code in today if re.match(r"\[[0-9]*-[0-9]+\]", counties_of(code)[-1])}

    assert today - towns - ended == set(CURRENT) - NEWER


def test_earlier_codes_agree_with_stdnum():
    """It knows each earlier code by the same name and until the same year, where it has its prefecture at all."""
    earlier = {code: division for code, division in DIVISIONS.items() if division.until is not None}
    wrong = {
        code
        for code, division in earlier.items()
        if not any(each.endswith(f"-{division.until}]{division.name}") for each in counties_of(code))
    }

    assert wrong == LACKING


@pytest.mark.parametrize(
    ("code", "born", "doubt"),
    [
        ("330822", None, None),
        ("362323", None, "362323是玉山县2000年以前的代码，现为361123 玉山县"),
        ("361121", None, "361121是上饶县2019年以前的代码，现为361104 广信区"),
        ("332529", None, "332529是景宁畲族自治县2000年以前的代码，现为331127 景宁畲族自治县"),
        ("330800", None, "330800不是已知的县级代码，请对照证件"),
        ("440103", None, None),
        ("991123", None, "没有以99开头的省级行政区划"),
        ("362323", 2000, None),
        ("362323", 2001, "362323是玉山县2000年以前的代码，现为361123 玉山县"),
        ("361104", 2002, "361104自2019年起用，与出生年份不符"),
        ("361104", 2003, None),
    ],
)
def test_code_of_another_time_is_told_with_its_successor(code, born, doubt):
    """What is in force says nothing; Chinese before English."""
    told = find_division_doubt(code, born=born)
    assert (told.partition(" | ")[0] if told else None) == doubt


def test_code_that_was_given_twice_has_both_lives():
    """Until 1982 it was 常山县's, from 1984 on 景宁's: somebody of either time is not doubted."""
    assert find_division("332529").name == "景宁畲族自治县"
    assert find_division_doubt("332529", born=1950) is None
    assert find_division_doubt("332529", born=2001)


def test_format_division_path_names_province_city_and_county():
    """An address begins with all three; a code unknown here gives nothing."""
    assert format_division_path("361123") == "江西省上饶市玉山县"
    assert format_division_path("411723") == ""


def test_find_division_unknown_is_none():
    """The table covers the border only."""
    assert find_division("411723") is None
