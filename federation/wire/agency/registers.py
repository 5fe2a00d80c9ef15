"""The registers of vehicles and enterprises. Whether a number is one of its realm is the domain's to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct

from federation.domain.registers import Enterprise, Vehicle
from federation.protocol.errors import BridgeheadError
from federation.wire.rpc import IMPORTS, MARKET, POLICE, Rpc, Ruling

_Rows = TypeVar("_Rows", bound=Sized)


class StoredVersion(Struct, frozen=True, kw_only=True):
    id: str
    version: int
    unchanged: bool = False


RegisteredRow: TypeAlias = StoredVersion | Ruling | BridgeheadError
"""What one row came to: kept so, refused by policy, or not to be judged."""


class StoredRecord(Struct, frozen=True, kw_only=True):
    version: StoredVersion
    fields: Mapping[str, str]

    def __repr__(self) -> str:
        """Hides whom it is about: the names of the fields only."""
        return f"StoredRecord({self.version.id}, {sorted(self.fields)})"


class RegisterReading(Struct, frozen=True, kw_only=True):
    decision: Ruling
    records: tuple[StoredRecord, ...] = ()


def _register(name: str, rows: type[_Rows], kinds: frozenset[str]) -> Rpc[_Rows, tuple[RegisteredRow, ...]]:
    name, answers = f"RegisterService/{name}", tuple[RegisteredRow, ...]
    return Rpc(name, rows, answers, kinds=kinds, floor_seconds=IMPORTS, counted=len)


REGISTER_VEHICLES: Final = _register("RegisterVehicles", tuple[Vehicle, ...], POLICE)
GET_VEHICLE: Final = Rpc("RegisterService/GetVehicle", str, RegisterReading, kinds=POLICE)
REGISTER_ENTERPRISES: Final = _register("RegisterEnterprises", tuple[Enterprise, ...], MARKET)
GET_ENTERPRISE: Final = Rpc("RegisterService/GetEnterprise", str, RegisterReading, kinds=MARKET)
