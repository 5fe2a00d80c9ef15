"""The Chinese words beside the English ones for vehicles and enterprises. One table for screens and for files.

Sources: 机动车登记规定 and GA/T 16.7; 市场主体登记管理条例; the columns of county registers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from federation.cli.permits import words as permit_words
from federation.domain.dossiers.enterprise import EnterpriseStatus
from federation.domain.dossiers.plate import PlateClass
from federation.domain.dossiers.vehicle import VehicleStatus

VEHICLE_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "plate": "号牌号码",
        "plate_class": "号牌种类",
        "brand_model": "品牌型号",
        "colour": "车身颜色",
        "status": "状态",
        "registered_division": "登记地",
        "first_registered": "初次登记日期",
        "keeper": "所有人",
        "permit": "居住证编号",
        "sealed": "封存",
    }
)
"""By field of a vehicle, in the order in which a licence shows them."""

ENTERPRISE_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uscc": "统一社会信用代码",
        "name": "名称",
        "division": "登记地",
        "status": "登记状态",
        "registered_on": "登记日期",
        "legal_form": "组织形式",
        "legal_representative": "法定代表人",
        "representative_number": "法定代表人公民身份号码",
    }
)
"""By field of an enterprise, in the order in which a licence shows them."""

FIELDS: Final[Mapping[str, str]] = MappingProxyType({**ENTERPRISE_COLUMNS, **VEHICLE_COLUMNS, **permit_words.FIELDS})
"""Every field that a look-up can release, of whatever kind of record; a permit's word goes first."""

CLASSES: Final = MappingProxyType(
    {
        PlateClass.LARGE_CAR: "大型汽车",
        PlateClass.SMALL_CAR: "小型汽车",
        PlateClass.MOTORCYCLE: "普通摩托车",
        PlateClass.MOPED: "轻便摩托车",
        PlateClass.TRAILER: "挂车",
        PlateClass.SCHOOL_CAR: "教练汽车",
        PlateClass.NEW_ENERGY_LARGE: "大型新能源汽车",
        PlateClass.NEW_ENERGY_SMALL: "小型新能源汽车",
    }
)
VEHICLE_STATUSES: Final = MappingProxyType(
    {
        VehicleStatus.NORMAL: "正常",
        VehicleStatus.TRANSFERRED: "转出",
        VehicleStatus.STOLEN: "被盗抢",
        VehicleStatus.SUSPENDED: "停驶",
        VehicleStatus.DEREGISTERED: "注销",
    }
)
ENTERPRISE_STATUSES: Final = MappingProxyType(
    {
        EnterpriseStatus.ACTIVE: "存续",
        EnterpriseStatus.DORMANT: "歇业",
        EnterpriseStatus.TRANSFERRED: "迁出",
        EnterpriseStatus.REVOKED: "吊销",
        EnterpriseStatus.DEREGISTERED: "注销",
    }
)
