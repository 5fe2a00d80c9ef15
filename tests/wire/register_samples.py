"""Samples of what the registers are asked and answer over the wire."""

from __future__ import annotations

from datetime import date

from federation.domain.permits import PermitUrn
from federation.domain.plates import PlateClass
from federation.domain.registers import Enterprise, EnterpriseStatus, Vehicle, VehicleStatus
from federation.protocol.errors import NotFoundError
from federation.protocol.leaf import Verdict
from federation.protocol.policy.book import Decision, Grounds
from federation.wire.agency.registers import RegisterReading, StoredRecord, StoredVersion
from federation.wire.rpc import Ruling, ruling_of

CITIZEN_NUMBER = "361123219003070012"
URN = PermitUrn("urn:permit:330822:2226:000123")


def _ruling(verdict: Verdict, policy: str, grounds: Grounds) -> Ruling:
    decision = Decision(
        verdict=verdict, policies=(policy,), fields=frozenset(), reason=grounds, title_zh="登记", title_en="Register"
    )
    return ruling_of(decision, agreement_version=3)


ALLOWED = _ruling(Verdict.ALLOWED, "keep-vehicles", Grounds.PERMITTED)
REFUSED = _ruling(Verdict.REFUSED, "default-deny", Grounds.DEFAULT_DENY)
VEHICLE = Vehicle(
    plate="浙H·I0042",
    plate_class=PlateClass.SMALL_CAR,
    brand_model="示例牌 SL1",
    colour="白",
    status=VehicleStatus.NORMAL,
    registered_division="361123",
    first_registered=date(2024, 3, 5),
    keeper=CITIZEN_NUMBER,
    permit=URN,
    sealed=True,
)
ENTERPRISE = Enterprise(
    uscc="12361123DEM0000017",
    name="玉山县示例胡柚有限公司",
    division="361123",
    status=EnterpriseStatus.ACTIVE,
    registered_on=date(2021, 6, 1),
    legal_form="有限责任公司",
    legal_representative="测试甲",
    representative_number=CITIZEN_NUMBER,
)
KEPT = StoredVersion(id="urn:vehicle:361123:000001", version=2)
READING = RegisterReading(
    decision=ALLOWED, records=(StoredRecord(version=KEPT, fields={"colour": "白", "plate": "浙H·I0042"}),)
)
ROWS = (KEPT, REFUSED, NotFoundError("SOME_REASON", "no such thing"))
