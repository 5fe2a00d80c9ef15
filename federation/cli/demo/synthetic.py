"""Synthetic people, permits, organisations, vehicles and enterprises: recognisable as invented at a glance.

Rules kept: birth years are 200 years late (2100-2299) and 29 February 2000, which has no image, is skipped; codes are
current county codes; given names come from a themed list; addresses are real counties with an invented road;
organisation codes are of the series `DEM0` (X4), plates carry an I or O (X5). The same node, seed and day give the
same records; serials are unique within a node, and citizen numbers within all four nodes of one seed.
Sources: the demo rules X1 to X11 and the distributions of the federation's domain notes 10.1 and 10.2 (assumptions).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from federation.domain.citizen_number import Sex, demo_birth_date, format_citizen_number
from federation.domain.clock import add_months
from federation.domain.division import (
    ANHUI,
    BORDER_PAIRS,
    DIVISIONS,
    FUJIAN,
    JIANGXI,
    NODES,
    ZHEJIANG,
    border_counties,
    format_division_path,
    neighbours_of,
    province_of,
)
from federation.domain.permits import (
    Endorsement,
    Ground,
    Holder,
    Paper,
    Permit,
    PermitApplication,
    PermitStatus,
    format_permit_urn,
    next_full_year,
    register_permit,
)
from federation.domain.plates import PlateClass
from federation.domain.registers import Enterprise, EnterpriseStatus, Vehicle, VehicleStatus
from federation.domain.uscc import Uscc, format_uscc, parse_uscc
from federation.protocol.errors import RuleError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName

SYNTHETIC_NOTICE: Final = "演示数据：人物、地址、号码均为虚构。Synthetic data: no person, address or number is real."

_GIVEN: Final = (
    "谷雨", "白露", "清明", "立夏", "小满", "芒种", "夏至", "处暑", "秋分", "寒露", "霜降", "立冬", "小雪", "冬至",
    "惊蛰", "春分", "胡柚", "听泉", "山茶", "青竹", "香樟", "银杏", "枫叶", "桂花", "兰草", "石榴", "杨梅", "紫苏",
    "薄荷", "莲子", "菱角", "芦苇", "松果", "云杉", "溪石", "晚稻", "莼菜", "甘菊", "半夏", "茯苓",
)  # fmt: skip
_SURNAMES: Final = {
    "330822": "徐郑占汪", "330824": "汪余方程江", "330881": "毛祝姜周", "361123": "吴徐周郑", "361130": "詹俞程汪",
    "341022": "汪程吴胡方", "341021": "汪程吴胡方", "350722": "季祝叶吴", "361103": "徐俞吕",
}  # fmt: skip
_PROVINCE_SURNAMES: Final = {
    ZHEJIANG: "陈王林张李叶郑吴徐刘", JIANGXI: "王李张刘陈", FUJIAN: "陈林黄张吴李", ANHUI: "王李张刘陈",
}  # fmt: skip
_PEOPLE: Final = {
    "330822": 26, "330824": 26, "330881": 49, "361123": 52, "361103": 77, "361104": 69, "361181": 29, "361130": 31,
    "361124": 37, "350722": 30, "350782": 26, "350723": 13, "350724": 13, "350725": 18, "341022": 21, "341021": 36,
    "341024": 15,
}  # fmt: skip
_MAIN_FLOWS: Final = {
    ("361123", "330822"): 12, ("361103", "330881"): 4, ("361123", "330881"): 4, ("361181", "330824"): 3,
    ("361130", "330824"): 3, ("341022", "330824"): 3, ("350722", "330881"): 2,
}  # fmt: skip
_ELSEWHERE: Final = (("411723", "河南省平舆县"), ("510683", "四川省绵竹市"), ("420583", "湖北省枝江市"))
_PEOPLE_ELSEWHERE: Final = 20
_ELSEWHERE_SHARE: Final = 0.06
_SEALED_SHARE: Final = 0.005
_MINOR_SHARE: Final = 0.04
_SHE_SHARE: Final = 0.02
_WORKING_AGE_SHARE: Final = 0.68
_JOB_SHARE, _DWELLING_SHARE = 0.72, 0.23
_WORKS_ACROSS_SHARE, _WORKS_SOMEWHERE_SHARE = 0.1, 0.7
_LAPSED_SHARE, _LATE_SHARE = 0.05, 0.13
_MONTH_WEIGHTS: Final = tuple(accumulate((6, 14, 16, 8, 7, 7, 7, 13, 13, 6, 5, 4)))
_BLOCK: Final = 1000 // len(NODES)
_ALL_PAPERS: Final = frozenset(Paper)


@dataclass(frozen=True, slots=True)
class _Flow:
    residence: str
    household: str
    household_path: str
    surnames: str
    across: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _History:
    status: PermitStatus
    counted_from: date
    endorsed_until: date
    endorsements: tuple[Endorsement, ...]
    steps: int

    def endorsed(self, day: date, *, late: bool) -> _History:
        counted_from = day if late else self.counted_from
        until = add_months(day, 12) if late else next_full_year(self.counted_from, self.endorsed_until)
        endorsement = Endorsement(endorsed_on=day, until=until, late=late)
        steps = self.steps + (2 if late else 1)
        return _History(self.status, counted_from, until, (*self.endorsements, endorsement), steps)


def synthetic_applications(node: NodeName, count: int, *, seed: int, today: date) -> Iterator[PermitApplication]:
    """Yields applications that `register_permit` accepts on `today`, over the border counties (SYNTHETIC_NODE)."""
    draw = _Draw(node, seed)
    for _ in range(count):
        issued = today - timedelta(days=draw.random.randrange(10))
        yield draw.application(issued)


def synthetic_permits(node: NodeName, count: int, *, seed: int, today: date) -> Iterator[Permit]:
    """Yields permits of the border counties in their latest version, issued in the last four years (SYNTHETIC_NODE)."""
    draw = _Draw(node, seed)
    for serial in range(1, count + 1):
        issued = draw.issue_date(today)
        yield draw.permit(draw.application(issued), issued, serial=serial, today=today)


def synthetic_uscc(division: str, serial: int) -> Uscc:
    """An invented enterprise of the series `DEM0`, 0 to 99999 in each county."""
    return parse_uscc(format_uscc("91", division, organisation=f"DEM0{serial:05d}"))


def synthetic_plate(prefix: str, serial: int) -> str:
    """An invented plate such as `浙H·I0001`: I is never issued in a serial."""
    return f"{prefix}·I{serial:04d}"


class _Draw:
    def __init__(self, node: NodeName, seed: int) -> None:
        if node not in NODES:
            raise RuleError("SYNTHETIC_NODE", f"expected one of {', '.join(NODES)}, got {node!r:.40}")
        self.random = Random(f"{node}:{seed}")  # noqa: S311  # invented people need repeatable dice, not secret ones
        self._flows, self._weights = _flows_into(node)
        self._first_sequence = NODES.index(node) * _BLOCK
        self._given_out: set[str] = set()

    def application(self, issued: date) -> PermitApplication:
        dice = self.random
        flow = self._flows[bisect(self._weights, dice.random() * self._weights[-1])]
        minor = dice.random() < _MINOR_SHARE
        applied = issued - timedelta(days=int(dice.random() * 15))
        residence = format_division_path(flow.residence)
        return PermitApplication(
            holder=self._holder(flow, self._age_days(minor), applied),
            residence_division=flow.residence,
            residence_address=f"{residence}示例路{int(dice.random() * 299) + 1}号",
            work_division=None if minor else self._work_division(flow),
            issuer=f"{DIVISIONS[flow.residence].name}公安局",
            ground=Ground.STUDY if minor else self._ground(),
            residence_since=applied - timedelta(days=190 + int(dice.random() * 900)),
            apply_date=applied,
            accept_date=applied,
            papers=_ALL_PAPERS if minor else _ALL_PAPERS - {Paper.GUARDIAN_IDENTITY},
            guardian=minor,
            sealed=dice.random() < _SEALED_SHARE,
        )

    def permit(self, application: PermitApplication, issued: date, *, serial: int, today: date) -> Permit:
        history = self._history(issued, today)
        urn = format_permit_urn(application.residence_division, issued.year, serial=f"{serial:08d}")
        return replace(
            register_permit(application, urn, today=issued),
            version=1 + history.steps,
            status=history.status,
            counted_from=history.counted_from,
            endorsed_until=history.endorsed_until,
            endorsements=history.endorsements,
        )

    def issue_date(self, today: date) -> date:
        """A day of the last four years, most often in February, March, August or September."""
        dice = self.random
        month = bisect(_MONTH_WEIGHTS, dice.random() * _MONTH_WEIGHTS[-1]) + 1
        day = date(today.year - int(dice.random() * 4), month, int(dice.random() * 28) + 1)
        return day if day <= today else day.replace(year=day.year - 1)

    def _holder(self, flow: _Flow, age_days: int, applied: date) -> Holder:
        dice = self.random
        birth_date = _demo_day(applied - timedelta(days=age_days))
        sequence = self._first_sequence + int(dice.random() * _BLOCK)
        number = format_citizen_number(flow.household, birth_date, sequence=sequence)
        while number in self._given_out:
            birth_date = _demo_day(applied - timedelta(days=age_days + int(dice.random() * 300)))
            number = format_citizen_number(flow.household, birth_date, sequence=sequence)
        self._given_out.add(number)
        return Holder(
            name=_pick(dice, flow.surnames) + _pick(dice, _GIVEN),
            sex=Sex.MALE if sequence % 2 else Sex.FEMALE,
            ethnicity="畲" if dice.random() < _SHE_SHARE else "汉",
            birth_date=birth_date,
            citizen_number=number,
            photo_digest=f"{dice.getrandbits(256):064x}",
            household_division=flow.household,
            household_address=f"{flow.household_path}示例路{int(dice.random() * 299) + 1}号",
        )

    def _age_days(self, minor: bool) -> int:  # private, and a name would say the same
        dice = self.random
        if minor:
            return 400 + int(dice.random() * 14 * 365)
        if dice.random() < _WORKING_AGE_SHARE:
            return 7306 + int(dice.random() * 30 * 365)
        return 18263 + int(dice.random() * 25 * 365)

    def _ground(self) -> Ground:
        chance = self.random.random()
        if chance < _JOB_SHARE:
            return Ground.JOB
        return Ground.DWELLING if chance < _JOB_SHARE + _DWELLING_SHARE else Ground.STUDY

    def _work_division(self, flow: _Flow) -> str | None:
        chance = self.random.random()
        if chance < _WORKS_ACROSS_SHARE:
            return _pick(self.random, flow.across)
        return flow.residence if chance < _WORKS_SOMEWHERE_SHARE else None

    def _history(self, issued: date, today: date) -> _History:
        history = _History(PermitStatus.VALID, issued, add_months(issued, 12), (), 0)
        while history.endorsed_until < today:
            chance = self.random.random()
            if chance < _LAPSED_SHARE:
                return replace(history, status=PermitStatus.SUSPENDED, steps=history.steps + 1)
            late = chance < _LAPSED_SHARE + _LATE_SHARE
            day = history.endorsed_until + timedelta(days=int(300 * chance) if late else -int(25 * chance))
            if day > today:
                break
            history = history.endorsed(day, late=late)
        return history


def _demo_day(born: date) -> date:
    try:
        return demo_birth_date(born)
    except RuleError:  # 29 February 2000 has no image: the day before stands in
        return demo_birth_date(born - timedelta(days=1))


def _pick(dice: Random, choices: Sequence[str]) -> str:
    return choices[int(dice.random() * len(choices))]


def _flows_into(node: NodeName) -> tuple[list[_Flow], list[float]]:
    flows: list[_Flow] = []
    weights: list[float] = []
    for pair in BORDER_PAIRS:
        for residence, household in ((pair.one, pair.other), (pair.other, pair.one)):
            if province_of(residence) == node:
                flows.append(_flow(residence, household, format_division_path(household)))
                people = _PEOPLE.get(household, _PEOPLE_ELSEWHERE)
                weights.append(pair.km * people * _MAIN_FLOWS.get((household, residence), 1))
    share = sum(weights) * _ELSEWHERE_SHARE / (1 - _ELSEWHERE_SHARE)
    counties = border_counties(node)
    for residence in counties:
        for household, path in _ELSEWHERE:
            flows.append(_flow(residence, household, path))
            weights.append(share / len(counties) / len(_ELSEWHERE))
    return flows, list(accumulate(weights))


def _flow(residence: str, household: str, household_path: str) -> _Flow:
    province = province_of(household)
    general = _PROVINCE_SURNAMES[province] if province else "王李张刘陈"
    return _Flow(residence, household, household_path, _SURNAMES.get(household, general), neighbours_of(residence))


# ---- vehicles and enterprises

PLATE_PREFIXES: Final = {
    "3308": "浙H", "3311": "浙K", "3301": "浙A", "3611": "赣E", "3602": "赣H", "3507": "闽H", "3509": "闽J",
    "3410": "皖J", "3418": "皖P",
}  # fmt: skip
"""The first two signs of a plate by the prefecture of its county."""

_BRANDS: Final = ("示例牌 SL1", "山茶牌 SC20", "胡柚牌 HY3", "听泉牌 TQ8")
_COLOURS: Final = ("白", "黑", "灰", "蓝", "红")
_TRADES: Final = ("胡柚", "山茶油", "竹制品", "石材", "旅游服务", "汽车维修")
_FORMS: Final = ("有限责任公司", "个人独资企业", "农民专业合作社", "个体工商户")
_NAMES: Final = {"有限责任公司": "有限公司", "个人独资企业": "厂", "农民专业合作社": "专业合作社", "个体工商户": "店"}
_VEHICLE_STATUSES: Final = (*[VehicleStatus.NORMAL] * 17, VehicleStatus.STOLEN, VehicleStatus.SUSPENDED)
_ENTERPRISE_STATUSES: Final = (*[EnterpriseStatus.ACTIVE] * 17, EnterpriseStatus.DORMANT, EnterpriseStatus.REVOKED)
_CLASSES: Final = (*[PlateClass.SMALL_CAR] * 7, PlateClass.MOTORCYCLE, PlateClass.LARGE_CAR)


def synthetic_vehicles(people: Iterable[PermitApplication], *, seed: int, today: date) -> Iterator[Vehicle]:
    """Yields one vehicle for each applicant, registered in the county of residence; every tenth is an enterprise's."""
    dice = Random(f"vehicles:{seed}")  # noqa: S311  # invented things need repeatable dice, not secret ones
    for serial, person in enumerate(people, start=1):
        county = person.residence_division
        if county[:4] not in PLATE_PREFIXES:
            raise RuleError("SYNTHETIC_COUNTY", f"no plate is known for the county {county}")
        organisation = serial % 10 == 0
        yield Vehicle(
            plate=synthetic_plate(PLATE_PREFIXES[county[:4]], serial),
            plate_class=dice.choice(_CLASSES),
            brand_model=dice.choice(_BRANDS),
            colour=dice.choice(_COLOURS),
            status=dice.choice(_VEHICLE_STATUSES),
            registered_division=county,
            first_registered=today - timedelta(days=dice.randrange(30, 3000)),
            keeper=synthetic_uscc(county, serial // 10).value if organisation else person.holder.citizen_number,
        )


def synthetic_enterprises(people: Iterable[PermitApplication], *, seed: int, today: date) -> Iterator[Enterprise]:
    """Yields one enterprise for each applicant, whose legal representative they are."""
    dice = Random(f"enterprises:{seed}")  # noqa: S311  # as above
    for serial, person in enumerate(people, start=1):
        county, form = person.residence_division, dice.choice(_FORMS)
        yield Enterprise(
            uscc=synthetic_uscc(county, serial).value,
            name=f"{DIVISIONS[county].name}示例{dice.choice(_TRADES)}{serial}号{_NAMES[form]}",
            division=county,
            status=dice.choice(_ENTERPRISE_STATUSES),
            registered_on=today - timedelta(days=dice.randrange(30, 4000)),
            legal_form=form,
            legal_representative=person.holder.name,
            representative_number=person.holder.citizen_number,
        )
