"""What a node does for each RPC of its agencies: a table, one line each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from federation.node import registers as keeping
from federation.node.exchange.errand import Errand, begin_errand
from federation.node.node import Node
from federation.protocol.errors import MalformedError
from federation.wire.agency import registers
from federation.wire.bindings import Binding, bind
from federation.wire.identity import Caller
from federation.wire.rpc import A, Q, Rpc
from federation.wire.values import Act

Bound: TypeAlias = Callable[[Node], Binding]


def on(rpc: Rpc[Q, A], step: Callable[[Errand, Q], Awaitable[A]]) -> Bound:
    """A step of an agency, judged from beginning to end under the agreement in force when it was asked."""

    def bound(node: Node) -> Binding:
        async def answer(caller: Caller, act: Act | None, question: Q) -> A:
            return await step(_errand(node, caller, act), question)

        return bind(rpc, answer)

    return bound


def _errand(node: Node, caller: Caller, act: Act | None) -> Errand:
    if act is None:
        raise MalformedError("FIELD_MISSING", "expected who acts", field="act")
    return begin_errand(node, caller.agency, act)


STEPS: Final[tuple[Bound, ...]] = (
    on(registers.REGISTER_VEHICLES, keeping.register_vehicles),
    on(registers.GET_VEHICLE, keeping.get_vehicle),
    on(registers.REGISTER_ENTERPRISES, keeping.register_enterprises),
    on(registers.GET_ENTERPRISE, keeping.get_enterprise),
)
