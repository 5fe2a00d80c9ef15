"""What the agencies' port is handed for the registers: this part's functions, bound to the node."""

from __future__ import annotations

from federation.domain.dossiers.enterprise import Enterprise
from federation.domain.dossiers.vehicle import Vehicle
from federation.node.node import Node
from federation.node.registers import keeping
from federation.protocol.ids import AgencyId
from federation.wire.registers.service import RegisterFunctions
from federation.wire.registers.values import RegisteredRow, RegisterReading
from federation.wire.values import Act


def register_functions(node: Node) -> RegisterFunctions:
    """What an agency of this province may call."""

    async def register_vehicles(caller: AgencyId, act: Act, vehicles: tuple[Vehicle, ...]) -> tuple[RegisteredRow, ...]:
        return await keeping.register_vehicles(node, vehicles, caller=caller, act=act)

    async def get_vehicle(caller: AgencyId, act: Act, plate: str) -> RegisterReading:
        return await keeping.get_vehicle(node, plate, caller=caller, act=act)

    async def register_enterprises(
        caller: AgencyId, act: Act, enterprises: tuple[Enterprise, ...]
    ) -> tuple[RegisteredRow, ...]:
        return await keeping.register_enterprises(node, enterprises, caller=caller, act=act)

    async def get_enterprise(caller: AgencyId, act: Act, uscc: str) -> RegisterReading:
        return await keeping.get_enterprise(node, uscc, caller=caller, act=act)

    return RegisterFunctions(
        register_vehicles=register_vehicles,
        get_vehicle=get_vehicle,
        register_enterprises=register_enterprises,
        get_enterprise=get_enterprise,
    )
