"""What the agencies' port is handed for the intake desk: this part's functions, bound to the node."""

from __future__ import annotations

from federation.node.lookups.intake import desk
from federation.node.lookups.intake.inbox import list_intake
from federation.node.lookups.intake.second import remind
from federation.node.node import Node
from federation.protocol.ids import AgencyId
from federation.wire.lookups.intake.service import IntakeFunctions
from federation.wire.lookups.intake.values import (
    IntakeAnswer,
    IntakePage,
    IntakeQuery,
    RefuseQuestion,
    ReleaseQuestion,
    SecondRequest,
)
from federation.wire.values import Act


def intake_functions(node: Node) -> IntakeFunctions:
    """What a police office of this province may call."""

    async def list_(caller: AgencyId, act: Act, query: IntakeQuery) -> IntakePage:
        return await list_intake(node, query, caller=caller, act=act)

    async def release(caller: AgencyId, act: Act, question: ReleaseQuestion) -> IntakeAnswer:
        return await desk.release(node, question, caller=caller, act=act)

    async def refuse(caller: AgencyId, act: Act, question: RefuseQuestion) -> IntakeAnswer:
        return await desk.refuse(node, question, caller=caller, act=act)

    async def second(caller: AgencyId, act: Act, lookup_id: str) -> tuple[SecondRequest, ...]:
        return await remind(node, lookup_id, caller=caller, act=act)

    return IntakeFunctions(list=list_, release=release, refuse=refuse, second=second)
