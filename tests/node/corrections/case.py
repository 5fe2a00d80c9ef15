"""One registered person of Changshan from Yushan, and what is filed about their permit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from federation.domain.permits import PermitApplication, PermitUrn
from federation.node import permits
from federation.node.corrections import steps as filing_module
from federation.node.corrections.lines import list_lines
from federation.node.corrections.steps import file_correction
from federation.node.exchange.errand import begin_errand
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName
from federation.wire.agency.corrections import CorrectionFiling, CorrectionLine, CorrectionOutcome, CorrectionQuery
from federation.wire.rpc import Act
from tests.node.rig import HALL, NODES, YUSHAN_HALL, ZHEJIANG, Rig, act, application, running_rig

CORRECT = ("subject.correct", "F01")


def correcting(request_id: str | None = None) -> Act:
    return act(*CORRECT, request_id=request_id)


@dataclass
class Case:
    """Four provinces that deliver, and one permit of Zhejiang."""

    rig: Rig
    application: PermitApplication
    urn: PermitUrn

    def filing(self, **changes) -> CorrectionFiling:
        """Yushan's clerk says that the name is wrong, but for the changes."""
        made = CorrectionFiling(
            urn=self.urn,
            field="holder_name",
            value="徐谷语",
            words="户口簿上是语言的语",
            citizen_number=self.application.holder.citizen_number,
            identity_checked=True,
        )
        return replace(made, **changes)

    async def file(
        self, caller: AgencyId = YUSHAN_HALL, *, request_id: str | None = None, **changes
    ) -> CorrectionOutcome:
        filing = self.filing(**changes)
        return await file_correction(begin_errand(self.rig[caller.node], caller, correcting(request_id)), filing)

    async def lines(self, caller: AgencyId = YUSHAN_HALL, **query) -> Sequence[CorrectionLine]:
        page = await list_lines(begin_errand(self.rig[caller.node], caller, correcting()), CorrectionQuery(**query))
        assert page.decision.allowed, page.decision
        return page.corrections


@asynccontextmanager
async def registered(
    folder: Path, monkeypatch, *, names: Sequence[NodeName] = NODES, wait: float = 8.0, **changes
) -> AsyncIterator[Case]:
    monkeypatch.setattr(filing_module, "WAIT_SECONDS", wait)
    async with running_rig(folder, names) as rig:
        rig.start_delivery()
        person = replace(application(), **changes)
        answer = await permits.register(begin_errand(rig[ZHEJIANG], HALL, act()), person)
        assert answer.permit is not None, answer.decision
        await rig.drain()
        yield Case(rig, person, answer.permit.urn)
