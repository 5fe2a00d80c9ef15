"""Division codes: the counties of the four provinces, codes that they had before, and who lies next to whom.

Rules kept: a code is six ASCII digits (GB/T 2260); a code unknown here is a doubt and not wrong. Every county of today
is in the table; of earlier codes those of the border prefectures and of counties that were renamed. A code that was
given twice has both lives. Of other provinces only the first two digits are known. Years of validity are inclusive
and approximate; border lengths are relative (simplified shapes), not surveyed.
Sources: GB/T 2260-2007 with the changes that the Ministry of Civil Affairs announced since, to 2021; reference tables
6.1 (older codes) and 6.3 (border pairs) of the federation's domain notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

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

_PLACES: Final = {
    "1": "12345",
    "2": "123",
    "3": "1234567",
    "4": "123456",
    "5": "01234",
    "6": "12345",
    "7": "1",
    "8": "123",
}
PROVINCE_CODES: Final = frozenset(region + place for region, places in _PLACES.items() for place in places)
"""The first two digits that a division can have; 83 is on the residence permits of people from Taiwan."""
_NUMBERED_FROM: Final = 1984
"""The year in which citizens began to be numbered."""
_CARD_AGE: Final = 16
"""The age at which everybody has had to have a card, and so a number, since then."""


class Division(Struct, frozen=True, kw_only=True):
    """One GB/T 2260 code: its name, the years in which it was assigned (inclusive), and the code that follows it."""

    code: str
    name: str
    since: int | None = None
    until: int | None = None
    today: str

    def assigned_in(self, year: int) -> bool:
        """True when the code was in use in that year; an open end counts as always."""
        return (self.since is None or year >= self.since) and (self.until is None or year <= self.until)


class BorderPair(Struct, frozen=True, kw_only=True):
    """Two counties of different provinces that touch, and how far (relative kilometres)."""

    one: str
    other: str
    km: int


_TODAY: Final = (
    "3301 杭州市 02上城区 05拱墅区 06西湖区 08滨江区.1996 09萧山区.2001 10余杭区.2001 11富阳区.2014 12临安区.2017 "
    "13临平区.2021 14钱塘区.2021 22桐庐县 27淳安县 82建德市.1992|"
    "3302 宁波市 03海曙区 05江北区 06北仑区 11镇海区 12鄞州区.2002 13奉化区.2016 25象山县 26宁海县 81余姚市 82慈溪市|"
    "3303 温州市 02鹿城区 03龙湾区 04瓯海区.1992 05洞头区.2015 24永嘉县 26平阳县 27苍南县 28文成县 29泰顺县 81瑞安市 "
    "82乐清市.1993 83龙港市.2019|"
    "3304 嘉兴市 02南湖区 11秀洲区 21嘉善县 24海盐县 81海宁市 82平湖市.1991 83桐乡市.1993|"
    "3305 湖州市 02吴兴区.2003 03南浔区.2003 21德清县 22长兴县 23安吉县|"
    "3306 绍兴市 02越城区 03柯桥区.2013 04上虞区.2013 24新昌县 81诸暨市.1989 83嵊州市.1995|"
    "3307 金华市 02婺城区 03金东区 23武义县 26浦江县 27磐安县 81兰溪市 82义乌市 83东阳市 84永康市.1992|"
    "3308 衢州市 02柯城区 03衢江区.2001 22常山县.1985 24开化县.1985 25龙游县 81江山市.1989|"
    "3309 舟山市 02定海区 03普陀区 21岱山县 22嵊泗县|"
    "3310 台州市 02椒江区 03黄岩区 04路桥区 22三门县 23天台县 24仙居县 81温岭市 82临海市 83玉环市.2017|"
    "3311 丽水市.2000 02莲都区 21青田县 22缙云县 23遂昌县 24松阳县 25云和县 26庆元县 27景宁畲族自治县 81龙泉市|"
    "3401 合肥市 02瑶海区 03庐阳区 04蜀山区 11包河区 21长丰县 22肥东县 23肥西县 24庐江县.2011 81巢湖市.2011|"
    "3402 芜湖市 02镜湖区 07鸠江区 09弋江区 10湾沚区.2020 12繁昌区.2020 23南陵县 81无为市.2019|"
    "3403 蚌埠市 02龙子湖区 03蚌山区 04禹会区 11淮上区 21怀远县 22五河县 23固镇县|"
    "3404 淮南市 02大通区 03田家庵区 04谢家集区 05八公山区 06潘集区 21凤台县 22寿县.2015|"
    "3405 马鞍山市 03花山区 04雨山区 06博望区.2012 21当涂县 22含山县.2011 23和县.2011|"
    "3406 淮北市 02杜集区 03相山区 04烈山区 21濉溪县|"
    "3407 铜陵市 05铜官区.2015 06义安区.2015 11郊区 22枞阳县.2015|"
    "3408 安庆市 02迎江区 03大观区 11宜秀区 22怀宁县 25太湖县 26宿松县 27望江县 28岳西县 81桐城市.1996 82潜山市.2018|"
    "3410 黄山市.1987 02屯溪区 03黄山区 04徽州区 21歙县 22休宁县 23黟县 24祁门县|"
    "3411 滁州市 02琅琊区 03南谯区 22来安县 24全椒县 25定远县 26凤阳县 81天长市.1993 82明光市.1994|"
    "3412 阜阳市 02颍州区 03颍东区 04颍泉区 21临泉县 22太和县 25阜南县 26颍上县 82界首市|"
    "3413 宿州市 02埇桥区 21砀山县 22萧县 23灵璧县 24泗县|"
    "3415 六安市 02金安区 03裕安区 04叶集区.2015 22霍邱县 23舒城县 24金寨县 25霍山县|"
    "3416 亳州市 02谯城区 21涡阳县 22蒙城县 23利辛县|"
    "3417 池州市.2000 02贵池区 21东至县 22石台县 23青阳县|"
    "3418 宣城市.2000 02宣州区 21郎溪县 23泾县 24绩溪县 25旌德县 81宁国市 82广德市.2019|"
    "3501 福州市 02鼓楼区 03台江区 04仓山区 05马尾区 11晋安区 12长乐区.2017 21闽侯县 22连江县 23罗源县 24闽清县 "
    "25永泰县 28平潭县 81福清市.1990|"
    "3502 厦门市 03思明区 05海沧区.2003 06湖里区 11集美区 12同安区 13翔安区.2003|"
    "3503 莆田市 02城厢区 03涵江区 04荔城区.2002 05秀屿区.2002 22仙游县|"
    "3504 三明市 04三元区.2021 05沙县区.2021 21明溪县 23清流县 24宁化县 25大田县 26尤溪县 28将乐县 29泰宁县 30建宁县 "
    "81永安市|"
    "3505 泉州市 02鲤城区 03丰泽区 04洛江区 05泉港区 21惠安县 24安溪县 25永春县 26德化县 27金门县 81石狮市 "
    "82晋江市.1992 83南安市.1993|"
    "3506 漳州市 02芗城区 03龙文区 04龙海区.2021 05长泰区.2021 22云霄县 23漳浦县 24诏安县 26东山县 27南靖县 28平和县 "
    "29华安县|"
    "3507 南平市.1994 02延平区 03建阳区.2014 21顺昌县 22浦城县 23光泽县 24松溪县 25政和县 81邵武市 82武夷山市 "
    "83建瓯市|"
    "3508 龙岩市 02新罗区 03永定区.2014 21长汀县 23上杭县 24武平县 25连城县 81漳平市|"
    "3509 宁德市.1999 02蕉城区 21霞浦县 22古田县 23屏南县 24寿宁县 25周宁县 26柘荣县 81福安市 82福鼎市|"
    "3601 南昌市 02东湖区 03西湖区 04青云谱区 11青山湖区.2002 12新建区.2015 13红谷滩区.2019 21南昌县 23安义县 "
    "24进贤县|"
    "3602 景德镇市 02昌江区 03珠山区 22浮梁县 81乐平市.1992|"
    "3603 萍乡市 02安源区 13湘东区 21莲花县 22上栗县 23芦溪县|"
    "3604 九江市 02濂溪区.2016 03浔阳区 04柴桑区.2017 23武宁县 24修水县 25永修县 26德安县 28都昌县 29湖口县 30彭泽县 "
    "81瑞昌市.1989 82共青城市.2010 83庐山市.2016|"
    "3605 新余市 02渝水区 21分宜县|"
    "3606 鹰潭市 02月湖区 03余江区.2018 81贵溪市.1996|"
    "3607 赣州市 02章贡区 03南康区.2013 04赣县区.2016 22信丰县 23大余县 24上犹县 25崇义县 26安远县 28定南县 29全南县 "
    "30宁都县 31于都县 32兴国县 33会昌县 34寻乌县 35石城县 81瑞金市 83龙南市.2020|"
    "3608 吉安市 02吉州区 03青原区 21吉安县 22吉水县 23峡江县 24新干县 25永丰县 26泰和县 27遂川县 28万安县 29安福县 "
    "30永新县 81井冈山市|"
    "3609 宜春市 02袁州区 21奉新县 22万载县 23上高县 24宜丰县 25靖安县 26铜鼓县 81丰城市 82樟树市 83高安市|"
    "3610 抚州市.2000 02临川区 03东乡区.2016 21南城县 22黎川县 23南丰县 24崇仁县 25乐安县 26宜黄县 27金溪县 28资溪县 "
    "30广昌县|"
    "3611 上饶市.2000 02信州区 03广丰区.2015 04广信区.2019 23玉山县 24铅山县 25横峰县 26弋阳县 27余干县 28鄱阳县.2003 "
    "29万年县 30婺源县 81德兴市"
)
_EARLIER: Final = (
    "330104 江干区 -2021 330102|330103 下城区 -2021 330105|330121 萧山县 -1987 330109|330181 萧山市 1989-2001 330109|"
    "330125 余杭县 -1994 330110|330184 余杭市 1994-2001 330110|330123 富阳县 -1994 330111|"
    "330183 富阳市 1994-2014 330111|330124 临安县 -1996 330112|330185 临安市 1996-2017 330112|"
    "330126 建德县 -1992 330182|330227 鄞县 -2002 330212|330204 江东区 -2016 330212|330224 奉化县 -1988 330213|"
    "330283 奉化市 1989-2016 330213|330322 洞头县 -2015 330305|330323 乐清县 -1993 330382|330621 绍兴县 -2013 330603|"
    "330622 上虞县 -1992 330604|330682 上虞市 1992-2013 330604|330683 嵊州市 1995- 330683|332528 衢县 -1981 330803|"
    "330821 衢县 1985-2001 330803|332529 常山县 -1982 330822|332427 常山县 1982-1985 330822|"
    "332531 开化县 -1982 330824|332429 开化县 1982-1985 330824|332530 江山县 -1982 330881|"
    "332428 江山县 1982-1985 330881|330823 江山县 1985-1987 330881|339006 江山市 1987-1989 330881|"
    "331021 玉环县 -2017 331083|332501 丽水市 1986-2000 331102|332522 青田县 -2000 331121|332526 缙云县 -2000 331122|"
    "332527 遂昌县 -2000 331123|332528 松阳县 1982-2000 331124|332523 云和县 -2000 331125|332525 庆元县 -2000 331126|"
    "332529 景宁畲族自治县 1984-2000 331127|332524 龙泉县 -1990 331181|332502 龙泉市 1990-2000 331181|"
    "342601 巢湖市 -1999 340181|340221 芜湖县 -2020 340210|340222 繁昌县 -2020 340212|340225 无为县 2011-2019 340281|"
    "342422 寿县 -1999 340422|340721 铜陵县 -2015 340706|340823 枞阳县 -2015 340722|340824 潜山县 -2018 340882|"
    "342701 屯溪市 -1987 341002|342723 歙县 -1987 341021|342724 休宁县 -1987 341022|342725 黟县 -1987 341023|"
    "342726 祁门县 -1987 341024|342423 霍邱县 -1999 341522|342901 贵池市 1988-2000 341702|"
    "342921 东至县 1988-2000 341721|342922 石台县 1988-2000 341722|342923 青阳县 1988-2000 341723|"
    "342501 宣州市 1987-2000 341802|342522 郎溪县 -2000 341821|342529 泾县 -2000 341823|342721 绩溪县 -1987 341824|"
    "342531 绩溪县 1987-2000 341824|342722 旌德县 -1987 341825|342530 旌德县 -2000 341825|"
    "342502 宁国市 1997-2000 341881|342523 广德县 -2000 341882|341822 广德县 2000-2019 341882|"
    "350126 长乐县 -1994 350112|350182 长乐市 1994-2017 350112|350402 梅列区 -2021 350404|350427 沙县 -2021 350405|"
    "350681 龙海市 1993-2021 350604|350625 长泰县 -2021 350605|352101 南平市 -1994 350702|352122 建阳县 -1994 350703|"
    "350784 建阳市 1994-2014 350703|352121 顺昌县 -1994 350721|352124 浦城县 -1994 350722|352127 光泽县 -1994 350723|"
    "352128 松溪县 -1994 350724|352129 政和县 -1994 350725|352102 邵武市 1983-1994 350781|352126 崇安县 -1989 350782|"
    "352103 武夷山市 1989-1994 350782|352123 建瓯县 -1992 350783|352104 建瓯市 1992-1994 350783|"
    "350822 永定县 1996-2014 350803|352201 宁德市 1988-1999 350902|352225 霞浦县 -1999 350921|"
    "352227 古田县 -1999 350922|352228 屏南县 -1999 350923|352229 寿宁县 -1999 350924|352230 周宁县 -1999 350925|"
    "352231 柘荣县 -1999 350926|352202 福安市 1989-1999 350981|352203 福鼎市 1995-1999 350982|"
    "360122 新建县 -2015 360112|360402 庐山区 -2015 360402|360421 九江县 -2017 360404|360427 星子县 -2016 360483|"
    "360622 余江县 -2018 360603|360621 贵溪县 -1996 360681|360782 南康市 -2013 360703|360721 赣县 -2016 360704|"
    "360727 龙南县 -2020 360783|362502 临川市 1987-2000 361002|362531 东乡县 -2000 361003|"
    "361029 东乡县 2000-2016 361003|362522 南城县 -2000 361021|362523 黎川县 -2000 361022|362524 南丰县 -2000 361023|"
    "362525 崇仁县 -2000 361024|362526 乐安县 -2000 361025|362527 宜黄县 -2000 361026|362528 金溪县 -2000 361027|"
    "362529 资溪县 -2000 361028|362532 广昌县 -2000 361030|362301 上饶市 -2000 361102|362322 广丰县 -2000 361103|"
    "361122 广丰县 2000-2015 361103|362321 上饶县 -2000 361104|361121 上饶县 2000-2019 361104|"
    "362323 玉山县 -2000 361123|362324 铅山县 -2000 361124|362325 横峰县 -2000 361125|362326 弋阳县 -2000 361126|"
    "362329 余干县 -2000 361127|362330 波阳县 -2000 361128|362331 万年县 -2000 361129|362334 婺源县 -2000 361130|"
    "362333 德兴县 -1990 361181|362302 德兴市 1990-2000 361181"
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


def _lives() -> Mapping[str, tuple[Division, ...]]:
    table: dict[str, tuple[Division, ...]] = {}
    for row in _TODAY.split("|"):
        prefecture, name, *counties = row.split()
        usual = name.partition(".")[2]
        for county in counties:
            code, (named, _, since) = prefecture + county[:2], county[2:].partition(".")
            table[code] = (Division(code=code, name=named, since=_year(since or usual), today=code),)
    for row in _EARLIER.split("|"):
        code, name, years, today = row.split()
        first, _, last = years.partition("-")
        life = Division(code=code, name=name, since=_year(first), until=_year(last), today=today)
        table[code] = tuple(sorted((*table.get(code, ()), life), key=lambda each: each.until or 9999, reverse=True))
    return MappingProxyType(table)


def _border_pairs() -> tuple[BorderPair, ...]:
    rows = (row.split() for row in _BORDER.split("|"))
    return tuple(BorderPair(one=one, other=other, km=int(km)) for one, other, km in rows)


_LIVES: Final = _lives()
DIVISIONS: Final[Mapping[str, Division]] = MappingProxyType({code: lives[0] for code, lives in _LIVES.items()})
"""Each code that is or was; of one that was given twice, its last life."""

PREFECTURES: Final[Mapping[str, str]] = MappingProxyType(
    {row[:4]: row.split()[1].partition(".")[0] for row in _TODAY.split("|")}
)
"""Chinese names of the prefecture-level cities, by the first four digits of a code."""

BORDER_PAIRS: Final = _border_pairs()
"""The cross-province county pairs nearest the programme, each pair once."""

_KM: Final = {frozenset((pair.one, pair.other)): pair.km for pair in BORDER_PAIRS}


def find_division(code: str) -> Division | None:
    """Finds a current or earlier code; None when the table does not know it."""
    return DIVISIONS.get(code)


def find_division_doubt(code: str, *, born: int | None = None) -> str | None:
    """Returns what a person should look at in a code, Chinese and English; None for one that is as it should be.

    In a citizen number, of somebody born in that year, it may be of any time at which the number can have been given.
    """
    if code[:2] not in PROVINCE_CODES:
        return f"没有以{code[:2]}开头的省级行政区划 | no province has a code that begins with {code[:2]}"
    lives = _LIVES.get(code)
    if lives is None:
        unknown = f"{code}不是已知的县级代码，请对照证件 | {code} is no county known here: compare it with the document"
        return unknown if code[:2] in PROVINCES else None
    known = lives[0]
    if born is None:
        if known.until is None:
            return None
    else:
        given = range(max(born, _NUMBERED_FROM), max(born, _NUMBERED_FROM) + _CARD_AGE + 1)
        if any(life.assigned_in(year) for life in lives for year in given):
            return None
    if known.until is None:
        zh, en = "与出生年份不符", "it does not fit the birth year"
        return f"{code}自{known.since}年起用，{zh} | {code} is a county's code since {known.since}: {en}"
    now = f"{known.today} {DIVISIONS[known.today].name}"
    return (
        f"{code}是{known.name}{known.until}年以前的代码，现为{now} | {code} was in use until {known.until}; today {now}"
    )


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
