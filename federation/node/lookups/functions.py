"""What the agencies' port is handed for look-ups: this part's functions, bound to the node."""

from __future__ import annotations

from federation.node.lookups import cases
from federation.node.lookups.asking import fetch as fetching
from federation.node.lookups.asking import history
from federation.node.lookups.asking import search as searching
from federation.node.node import Node
from federation.protocol.ids import AgencyId
from federation.wire.lookups.service import LookupFunctions
from federation.wire.lookups.values import (
    CaseAnswer,
    CaseQuestion,
    FetchQuestion,
    FetchResult,
    LookupPage,
    LookupQuery,
    LookupQuestion,
    SearchResult,
)
from federation.wire.values import Act


def lookup_functions(node: Node) -> LookupFunctions:
    """What a police office of this province may call."""

    async def open_case(caller: AgencyId, act: Act, question: CaseQuestion) -> CaseAnswer:
        return await cases.begin_case(node, question, caller=caller, act=act)

    async def close_case(caller: AgencyId, act: Act, case_id: str) -> CaseAnswer:
        return await cases.end_case(node, case_id, caller=caller, act=act)

    async def search(caller: AgencyId, act: Act, question: LookupQuestion) -> SearchResult:
        return await searching.search(node, question, caller=caller, act=act)

    async def fetch(caller: AgencyId, act: Act, question: FetchQuestion) -> FetchResult:
        return await fetching.fetch(node, question, caller=caller, act=act)

    async def list_(caller: AgencyId, act: Act, query: LookupQuery) -> LookupPage:
        return await history.list_lookups(node, query, caller=caller, act=act)

    return LookupFunctions(open_case=open_case, close_case=close_case, search=search, fetch=fetch, list=list_)
