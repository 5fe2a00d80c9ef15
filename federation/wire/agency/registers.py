"""The registers of vehicles and enterprises.

Whether a plate, a USCC or a keeper is one of its realm is the domain's to judge, for only the node knows its realm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from federation.domain.registers import Enterprise, Vehicle
from federation.protocol.errors import BridgeheadError
from federation.wire.rpc import IMPORTS, MARKET, POLICE, Rpc, Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVersion:
    """The record and its version that hold what was registered."""

    id: str
    version: int


RegisteredRow: TypeAlias = KeptVersion | Ruling | BridgeheadError
"""What one row came to: kept so, refused by policy, or not to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """One record of a register with the fields that policy gives, as text."""

    version: KeptVersion
    fields: Mapping[str, str]

    def __repr__(self) -> str:
        """Hides whom it is about: the names of the fields only."""
        return f"KeptRecord({self.version.id}, {sorted(self.fields)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReading:
    """Policy's decision, and the records found under one plate or USCC; none when refused."""

    decision: Ruling
    records: tuple[KeptRecord, ...] = ()


REGISTER_VEHICLES: Final = Rpc(
    "RegisterService/RegisterVehicles",
    tuple[Vehicle, ...],
    tuple[RegisteredRow, ...],
    kinds=POLICE,
    floor_seconds=IMPORTS,
    counted=len,
)
GET_VEHICLE: Final = Rpc("RegisterService/GetVehicle", str, RegisterReading, kinds=POLICE)
"""The question is a plate."""
REGISTER_ENTERPRISES: Final = Rpc(
    "RegisterService/RegisterEnterprises",
    tuple[Enterprise, ...],
    tuple[RegisteredRow, ...],
    kinds=MARKET,
    floor_seconds=IMPORTS,
    counted=len,
)
GET_ENTERPRISE: Final = Rpc("RegisterService/GetEnterprise", str, RegisterReading, kinds=MARKET)
"""The question is a USCC."""

RPCS: Final = (REGISTER_VEHICLES, GET_VEHICLE, REGISTER_ENTERPRISES, GET_ENTERPRISE)
