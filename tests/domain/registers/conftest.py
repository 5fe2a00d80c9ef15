"""One invented vehicle and one invented enterprise."""

from datetime import date

import pytest

from federation.cli.demo.synthetic import synthetic_uscc
from federation.domain.permits import parse_permit_urn
from federation.domain.plates import PlateClass
from federation.domain.registers import Enterprise, EnterpriseStatus, Vehicle, VehicleStatus

PERSON = "361123219003070012"


@pytest.fixture
def vehicle():
    return Vehicle(
        plate="浙H·I0042", plate_class=PlateClass.SMALL_CAR, brand_model="示例牌 SL1", colour="白",
        status=VehicleStatus.NORMAL, registered_division="330822", first_registered=date(2024, 3, 5), keeper=PERSON,
        permit=parse_permit_urn("urn:permit:330822:2026:000123"),
    )  # fmt: skip


@pytest.fixture
def enterprise():
    return Enterprise(
        uscc=synthetic_uscc("330822", 7).value, name="常山县示例胡柚有限公司", division="330822",
        status=EnterpriseStatus.ACTIVE, registered_on=date(2021, 6, 1), legal_form="有限责任公司",
        legal_representative="徐谷雨", representative_number=PERSON,
    )  # fmt: skip
