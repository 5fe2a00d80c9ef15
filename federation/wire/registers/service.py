"""The registers of vehicles and enterprises: each RPC handed to one function of the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from federation.domain.dossiers.enterprise import Enterprise
from federation.domain.dossiers.vehicle import Vehicle
from federation.protocol.ids import AgencyId
from federation.v1 import register_service_pb2, register_service_pb2_grpc
from federation.wire.convert import act_from_pb
from federation.wire.identity import calling_agency
from federation.wire.registers.convert import enterprises_from_pb, reading_to_pb, registered_to_pb, vehicles_from_pb
from federation.wire.registers.values import RegisteredRow, RegisterReading
from federation.wire.services.shape import verify_shape
from federation.wire.values import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterFunctions:
    """What the node does for each RPC: the agency that calls, who acts and why, what is registered or read.

    `get_vehicle` is handed a plate, `get_enterprise` a USCC. A refusal by policy is in the answer; anything else that
    fails is raised.
    """

    register_vehicles: Callable[[AgencyId, Act, tuple[Vehicle, ...]], Awaitable[tuple[RegisteredRow, ...]]]
    get_vehicle: Callable[[AgencyId, Act, str], Awaitable[RegisterReading]]
    register_enterprises: Callable[[AgencyId, Act, tuple[Enterprise, ...]], Awaitable[tuple[RegisteredRow, ...]]]
    get_enterprise: Callable[[AgencyId, Act, str], Awaitable[RegisterReading]]


class RegisterService(register_service_pb2_grpc.RegisterServiceServicer):
    """`federation.v1.RegisterService` over the node's functions."""

    def __init__(self, functions: RegisterFunctions) -> None:
        """Keeps the functions."""
        self._functions = functions

    async def RegisterVehicles(  # noqa: N802 - the name of the RPC
        self, request: register_service_pb2.RegisterVehiclesRequest, context: grpc.ServicerContext
    ) -> register_service_pb2.RegisterVehiclesResponse:
        """Registers vehicles."""
        del context
        verify_shape(request)
        vehicles = vehicles_from_pb(request)
        rows = await self._functions.register_vehicles(calling_agency(), act_from_pb(request.act), vehicles)
        return registered_to_pb(register_service_pb2.RegisterVehiclesResponse, rows)

    async def GetVehicle(  # noqa: N802 - the name of the RPC
        self, request: register_service_pb2.GetVehicleRequest, context: grpc.ServicerContext
    ) -> register_service_pb2.GetVehicleResponse:
        """Reads a vehicle."""
        del context
        verify_shape(request)
        reading = await self._functions.get_vehicle(calling_agency(), act_from_pb(request.act), request.plate)
        return reading_to_pb(register_service_pb2.GetVehicleResponse, reading)

    async def RegisterEnterprises(  # noqa: N802 - the name of the RPC
        self, request: register_service_pb2.RegisterEnterprisesRequest, context: grpc.ServicerContext
    ) -> register_service_pb2.RegisterEnterprisesResponse:
        """Registers enterprises."""
        del context
        verify_shape(request)
        enterprises = enterprises_from_pb(request)
        rows = await self._functions.register_enterprises(calling_agency(), act_from_pb(request.act), enterprises)
        return registered_to_pb(register_service_pb2.RegisterEnterprisesResponse, rows)

    async def GetEnterprise(  # noqa: N802 - the name of the RPC
        self, request: register_service_pb2.GetEnterpriseRequest, context: grpc.ServicerContext
    ) -> register_service_pb2.GetEnterpriseResponse:
        """Reads an enterprise."""
        del context
        verify_shape(request)
        reading = await self._functions.get_enterprise(calling_agency(), act_from_pb(request.act), request.uscc)
        return reading_to_pb(register_service_pb2.GetEnterpriseResponse, reading)
