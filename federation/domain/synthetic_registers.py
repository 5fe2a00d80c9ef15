"""Synthetic vehicles and enterprises: of invented people, with plates and codes that were never issued.

Rules kept: plates carry an I (demo rule X5), organisation codes are of the series `DEM0` (X4), brands and names are
invented at a glance. The same people, seed and day give the same records; serials are unique within a county.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from random import Random
from typing import Final

from federation.domain.division import DIVISIONS
from federation.domain.dossiers.enterprise import Enterprise, EnterpriseStatus
from federation.domain.dossiers.plate import PlateClass
from federation.domain.dossiers.vehicle import Vehicle, VehicleStatus
from federation.domain.permit import PermitApplication
from federation.domain.synthetic import synthetic_plate, synthetic_uscc
from federation.protocol.errors import RuleError

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
    """Yields one vehicle for each applicant, registered in the county of residence; every tenth is an enterprise's.

    Raises:
        RuleError: SYNTHETIC_COUNTY when no plate is known for the county.
    """
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
