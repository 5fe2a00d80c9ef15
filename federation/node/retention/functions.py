"""What the agencies' port is handed for reading again and erasing: this part's functions, bound to the node."""

from __future__ import annotations

from federation.node.exchange.errand import begin_errand
from federation.node.node import Node
from federation.node.retention import ended, orders, reading
from federation.protocol.ids import AgencyId
from federation.wire.retention.erasure import ErasureFunctions
from federation.wire.retention.reading import ReadingFunctions
from federation.wire.retention.values import (
    ErasureAnswer,
    ErasurePage,
    ErasureQuery,
    ErasureQuestion,
    LookupResult,
    RetentionRound,
    SentPage,
    SentQuery,
    TracedReading,
)
from federation.wire.values import Act


def reading_functions(node: Node) -> ReadingFunctions:
    """What a police office reads again, and what an auditor traces."""

    async def read(caller: AgencyId, act: Act, lookup_id: str) -> LookupResult:
        return await reading.read_lookup(node, lookup_id, caller=caller, act=act)

    async def trace(caller: AgencyId, act: Act, code: str) -> TracedReading:
        return await reading.trace_reading(node, code, caller=caller, act=act)

    return ReadingFunctions(read=read, trace=trace)


def erasure_functions(node: Node) -> ErasureFunctions:
    """What an office of this province may order, list and run."""

    async def order(caller: AgencyId, act: Act, question: ErasureQuestion) -> ErasureAnswer:
        return await orders.order_erasure(node, question, caller=caller, act=act)

    async def sent(caller: AgencyId, act: Act, query: SentQuery) -> SentPage:
        return await orders.list_sent(node, query, caller=caller, act=act)

    async def list_(caller: AgencyId, act: Act, query: ErasureQuery) -> ErasurePage:
        return await orders.list_erasures(node, query, caller=caller, act=act)

    async def run(caller: AgencyId, act: Act) -> RetentionRound:
        begin_errand(node, caller, act)
        return await ended.destroy_ended(node)

    return ErasureFunctions(order=order, sent=sent, list=list_, run=run)
