"""Division codes: the counties at the four-province border, their older codes, and who lies next to whom.

Rules kept: a code is six ASCII digits (GB/T 2260); a code unknown here is not wrong, the table covers the border only.
Years of validity are inclusive and approximate; border lengths are relative (simplified shapes), not surveyed.
Sources: GB/T 2260; reference tables 6.1 (older codes) and 6.3 (border pairs) of the federation's domain notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from federation.protocol.ids import NodeName

ZHEJIANG: Final = NodeName("zhejiang")
JIANGXI: Final = NodeName("jiangxi")
FUJIAN: Final = NodeName("fujian")
ANHUI: Final = NodeName("anhui")
NODES: Final = (ZHEJIANG, JIANGXI, FUJIAN, ANHUI)

PROVINCES: Final[Mapping[str, tuple[NodeName, str]]] = MappingProxyType(
    {"33": (ZHEJIANG, "浙江省"), "36": (JIANGXI, "江西省"), "35": (FUJIAN, "福建省"), "34": (ANHUI, "安徽省")}
)
"""Node and Chinese name of each province of the federation, by the first two digits of a code."""

PREFECTURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "3301": "杭州市", "3308": "衢州市", "3311": "丽水市",
        "3507": "南平市", "3509": "宁德市",
        "3410": "黄山市", "3417": "池州市", "3418": "宣城市",
        "3602": "景德镇市", "3606": "鹰潭市", "3610": "抚州市", "3611": "上饶市",
    }
)  # fmt: skip
"""Chinese names of the prefecture-level cities at the border, by the first four digits of a code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One GB/T 2260 code: its name, the years in which it was assigned (inclusive), and the code that follows it."""

    code: str
    name: str
    since: int | None = None
    until: int | None = None
    today: str

    def assigned_in(self, year: int) -> bool:
        """True when the code was in use in that year; an open end counts as always."""
        return (self.since is None or year >= self.since) and (self.until is None or year <= self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderPair:
    """Two counties of different provinces that touch, and how far (relative kilometres)."""

    one: str
    other: str
    km: int


_TODAY: Final = (
    "330822 常山县 1985|330824 开化县 1985|330881 江山市 1989|330803 衢江区 2001|330802 柯城区|330825 龙游县|"
    "330127 淳安县|330112 临安区|331123 遂昌县|331181 龙泉市|331126 庆元县|331127 景宁畲族自治县|"
    "361123 玉山县 2000|361103 广丰区 2015|361104 广信区 2019|361181 德兴市 2000|361130 婺源县 2000|361124 铅山县 2000|"
    "361102 信州区|361128 鄱阳县|360681 贵溪市|361022 黎川县|360222 浮梁县|"
    "350722 浦城县 1994|350782 武夷山市 1994|350724 松溪县 1994|350723 光泽县 1994|350725 政和县 1994|350703 建阳区|"
    "350781 邵武市|350924 寿宁县|"
    "341022 休宁县 1987|341021 歙县 1987|341024 祁门县 1987|341002 屯溪区|341003 黄山区|341004 徽州区|341023 黟县|"
    "341824 绩溪县|341721 东至县"
)
_EARLIER: Final = (
    "332529 常山县 -1982 330822|332427 常山县 1982-1985 330822|332531 开化县 -1982 330824|"
    "332429 开化县 1982-1985 330824|332530 江山县 -1982 330881|332428 江山县 1982-1985 330881|"
    "330823 江山县 1985-1987 330881|339006 江山市 1987-1989 330881|332528 衢县 -1981 330803|"
    "330821 衢县 1985-2001 330803|"
    "362323 玉山县 -2000 361123|362322 广丰县 -2000 361103|361122 广丰县 2000-2015 361103|"
    "362321 上饶县 -2000 361104|361121 上饶县 2000-2019 361104|"
    "362333 德兴县 -1990 361181|362302 德兴市 1990-2000 361181|362334 婺源县 -2000 361130|362324 铅山县 -2000 361124|"
    "352124 浦城县 -1994 350722|352126 崇安县 -1989 350782|352103 武夷山市 1989-1994 350782|352128 松溪县 -1994 350724|"
    "352127 光泽县 -1994 350723|352129 政和县 -1994 350725|"
    "342724 休宁县 -1987 341022|342723 歙县 -1987 341021|342726 祁门县 -1987 341024"
)
_BORDER: Final = (
    "330822 361123 23|330824 341022 26|330824 361123 25|330824 361130 24|330824 361181 39|330881 361123 32|"
    "330881 361103 35|330881 350722 39|331123 350722 12|331181 350722 63|331181 350724 2|331126 350724 48|"
    "331126 350725 49|331126 350924 45|331127 350924 18|330127 341021 86|330127 341022 12|330112 341021 14|"
    "330112 341824 41|350722 361103 41|350782 361104 33|350782 361124 45|350782 361103 6|350723 361124 37|"
    "350723 360681 27|350781 361022 29|341022 361130 67|341022 360222 11|341024 360222 86|341721 361128 51"
)


def _year(text: str) -> int | None:
    return int(text) if text else None


def _divisions() -> Mapping[str, Division]:
    table: dict[str, Division] = {}
    for row in _TODAY.split("|"):
        code, name, *since = row.split()
        table[code] = Division(code=code, name=name, since=int(since[0]) if since else None, today=code)
    for row in _EARLIER.split("|"):
        code, name, years, today = row.split()
        first, _, last = years.partition("-")
        table[code] = Division(code=code, name=name, since=_year(first), until=_year(last), today=today)
    return MappingProxyType(table)


def _border_pairs() -> tuple[BorderPair, ...]:
    rows = (row.split() for row in _BORDER.split("|"))
    return tuple(BorderPair(one=one, other=other, km=int(km)) for one, other, km in rows)


DIVISIONS: Final = _divisions()

BORDER_PAIRS: Final = _border_pairs()
"""The cross-province county pairs nearest the programme, each pair once."""

_KM: Final = {frozenset((pair.one, pair.other)): pair.km for pair in BORDER_PAIRS}


def find_division(code: str) -> Division | None:
    """Finds a current or earlier code; None when the table does not know it."""
    return DIVISIONS.get(code)


def code_today(code: str) -> str:
    """The code that follows an older one; a code unknown here as it stands."""
    division = DIVISIONS.get(code)
    return division.today if division else code


def province_of(code: str) -> NodeName | None:
    """The node whose province a code belongs to by its first two digits; None outside the four provinces."""
    province = PROVINCES.get(code[:2])
    return province[0] if province else None


def border_counties(node: NodeName) -> tuple[str, ...]:
    """The counties of one province that touch another province, in the order of their codes."""
    codes = {code for pair in BORDER_PAIRS for code in (pair.one, pair.other)}
    return tuple(sorted(code for code in codes if province_of(code) == node))


def neighbours_of(code: str) -> tuple[str, ...]:
    """The counties of other provinces that touch this one, in the order of their codes."""
    return tuple(sorted(next(iter(pair - {code})) for pair in _KM if code in pair))


def format_division_path(code: str) -> str:
    """Formats province, city and county as on an address line: `江西省上饶市玉山县`; a code unknown here gives ``."""
    division = DIVISIONS.get(code)
    if division is None:
        return ""
    province = PROVINCES[code[:2]][1]
    return f"{province}{PREFECTURES.get(code[:4], '')}{division.name}"
