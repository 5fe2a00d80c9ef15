"""What the agencies' port is handed for corrections: this part's functions, bound to the node."""

from __future__ import annotations

from federation.node.node import Node
from federation.node.subjects.corrections import desk, filing, granting, listing
from federation.protocol.ids import AgencyId
from federation.wire.lookups.corrections.service import CorrectionFunctions
from federation.wire.lookups.corrections.values import (
    CorrectionFiling,
    CorrectionOutcome,
    CorrectionPage,
    CorrectionQuery,
    CorrectionStep,
)
from federation.wire.values import Act


def correction_functions(node: Node) -> CorrectionFunctions:
    """What a service hall or a police counter of this province may call."""

    async def file(caller: AgencyId, act: Act, question: CorrectionFiling) -> CorrectionOutcome:
        return await filing.file_correction(node, question, caller=caller, act=act)

    async def list_(caller: AgencyId, act: Act, query: CorrectionQuery) -> CorrectionPage:
        return await listing.list_lines(node, query, caller=caller, act=act)

    async def grant(caller: AgencyId, act: Act, step: CorrectionStep) -> CorrectionOutcome:
        return await granting.grant(node, step, caller=caller, act=act)

    async def deny(caller: AgencyId, act: Act, step: CorrectionStep) -> CorrectionOutcome:
        return await desk.deny(node, step, caller=caller, act=act)

    async def extend(caller: AgencyId, act: Act, step: CorrectionStep) -> CorrectionOutcome:
        return await desk.extend(node, step, caller=caller, act=act)

    return CorrectionFunctions(file=file, list=list_, grant=grant, deny=deny, extend=extend)
