"""An invented vehicle and an invented enterprise of Changshan; their people hold no permit."""

from __future__ import annotations

from datetime import date

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.plates import PlateClass
from federation.domain.registers import Enterprise, EnterpriseStatus, Vehicle, VehicleStatus

KEEPER, REPRESENTATIVE = "361123219003070012", "330822219003070018"
VEHICLE = Vehicle(
    plate="浙H·I0042",
    plate_class=PlateClass.SMALL_CAR,
    brand_model="示例牌 SL1",
    colour="白",
    status=VehicleStatus.NORMAL,
    registered_division="330822",
    first_registered=date(2024, 3, 5),
    keeper=KEEPER,
)
ENTERPRISE = Enterprise(
    uscc=synthetic_uscc("330822", 7).value,
    name="常山县示例胡柚有限公司",
    division="330822",
    status=EnterpriseStatus.ACTIVE,
    registered_on=date(2021, 6, 1),
    legal_form="有限责任公司",
    legal_representative="徐谷雨",
    representative_number=REPRESENTATIVE,
)
