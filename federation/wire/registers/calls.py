"""What an agency's client calls about the registers of vehicles and enterprises, over its one channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc

from federation.domain.dossiers.enterprise import Enterprise
from federation.domain.dossiers.vehicle import Vehicle
from federation.v1 import register_service_pb2, register_service_pb2_grpc
from federation.wire.convert import act_to_pb
from federation.wire.registers.convert import enterprises_to_pb, reading_from_pb, registered_from_pb, vehicles_to_pb
from federation.wire.registers.values import RegisteredRow, RegisterReading
from federation.wire.status import finished
from federation.wire.values import Act


class RegisterCalls:
    """`federation.v1.RegisterService` of the agency's own node; errors as the status table says."""

    def __init__(self, channel: Callable[[], grpc.aio.Channel], timeout_seconds: float) -> None:
        """Keeps where the channel comes from, and each call's deadline."""
        self._channel = channel
        self._timeout_seconds = timeout_seconds

    async def register_vehicles(self, act: Act, vehicles: Sequence[Vehicle]) -> tuple[RegisteredRow, ...]:
        """Registers vehicles; what each row came to, in order."""
        call = self._stub().RegisterVehicles(vehicles_to_pb(act, vehicles), timeout=self._timeout_seconds)
        return registered_from_pb(await finished(call), expected=len(vehicles))

    async def get_vehicle(self, act: Act, plate: str) -> RegisterReading:
        """Reads what the own county keeps under a plate."""
        request = register_service_pb2.GetVehicleRequest(act=act_to_pb(act), plate=plate)
        return reading_from_pb(await finished(self._stub().GetVehicle(request, timeout=self._timeout_seconds)))

    async def register_enterprises(self, act: Act, enterprises: Sequence[Enterprise]) -> tuple[RegisteredRow, ...]:
        """Registers enterprises; what each row came to, in order."""
        call = self._stub().RegisterEnterprises(enterprises_to_pb(act, enterprises), timeout=self._timeout_seconds)
        return registered_from_pb(await finished(call), expected=len(enterprises))

    async def get_enterprise(self, act: Act, uscc: str) -> RegisterReading:
        """Reads the enterprise that the own county keeps under a USCC."""
        request = register_service_pb2.GetEnterpriseRequest(act=act_to_pb(act), uscc=uscc)
        return reading_from_pb(await finished(self._stub().GetEnterprise(request, timeout=self._timeout_seconds)))

    def _stub(self) -> register_service_pb2_grpc.RegisterServiceAsyncStub:
        return register_service_pb2_grpc.RegisterServiceStub(self._channel())
