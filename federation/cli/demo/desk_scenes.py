"""The scenes of the demo at the other side's intake desk: what policy leaves to a person waits there, under a clock.

Played by the agencies' clients against running nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.cli.demo.lookup_scenes import ASKED, CHANGSHAN, LookupScenes, lookup_act
from federation.cli.intake import inbox_lines
from federation.cli.show import JsonOut
from federation.domain.lookup.asking import Outcome, Selector, SelectorKind
from federation.domain.lookup.refusal import RefusalReason
from federation.domain.lookup_policy import LookupPurpose
from federation.protocol.errors import NotFoundError
from federation.wire.client import AgencyClient
from federation.wire.lookups.intake.values import IntakeQuery, RefuseQuestion, ReleaseQuestion
from federation.wire.lookups.values import CaseQuestion, LookupQuestion, SearchResult

INLAND = "jiangxi/361102/police"
INTAKE = "zhejiang/330112/police"
CASE = "XZ-2026-0007"
OFFICER, DESK_OFFICER = "xinzhou-0061", "intake-02"
WORDS = "同一案件已答复一次,请说明再次查询的理由"


@dataclass(kw_only=True)
class DeskTold:
    """What the scenes came to: each question as it was told at once, and as it ended."""

    at_once: str = ""
    released: str = ""
    refused: str = ""

    def summary(self) -> dict[str, JsonOut]:
        """The same as a part of the demo's JSON."""
        return {"at_once": self.at_once, "released": self.released, "refused": self.refused}


class DeskScenes:
    """Plays the scenes in order, about the person of the look-up scenes."""

    def __init__(
        self, lookups: LookupScenes, *, client: Callable[[str], AgencyClient], tell: Callable[[str], None]
    ) -> None:
        """Keeps the scenes that came before, where clients come from, and where to tell what happens."""
        self._lookups = lookups
        self._client = client
        self._tell = tell
        self.told = DeskTold()

    async def release(self) -> None:
        """An inland office asks; the desk sees the question with its clock and answers it."""
        await self._open()
        asked = await self._search()
        self.told.at_once = asked.answers[0].outcome
        self._tell(f"Xinzhou, away from the border, asks {ASKED}: {self.told.at_once}, policy leaves it to a person")
        request_id = await self._inbox()
        act = lookup_act(LookupPurpose.CRIMINAL_INVESTIGATION, officer=DESK_OFFICER)
        answer = await self._client(INTAKE).intake.release(act, ReleaseQuestion(request_id=request_id))
        if answer.status is None:
            raise NotFoundError("DEMO_REFUSED", f"the desk was refused: {answer.decision.title_en}")
        self._tell(f"{INTAKE} answers: {'hit' if answer.hit else 'no hit'}")
        self.told.released = await self._read(asked.lookup_id)
        self._tell(f"Xinzhou reads again: {self.told.released}")

    async def refuse(self) -> None:
        """The same question once more: the desk refuses it, in words of its own."""
        asked = await self._search()
        request_id = await self._inbox()
        question = RefuseQuestion(request_id=request_id, reason=RefusalReason.CASE_UNCLEAR, words=WORDS)
        await self._client(INTAKE).intake.refuse(lookup_act(officer=DESK_OFFICER), question)
        self.told.refused = await self._read(asked.lookup_id)
        self._tell(f"asked once more, the desk refuses ({question.reason}): {WORDS}")

    async def close_case(self) -> None:
        """Closes the inland office's case."""
        await self._client(INLAND).lookups.close_case(lookup_act(officer=OFFICER), CASE)
        self._tell(f"case {CASE} is closed")

    async def _open(self) -> None:
        question = CaseQuestion(
            case_id=CASE,
            letter="信公协〔2026〕7号",
            counties=frozenset({CHANGSHAN}),
            purposes=frozenset({LookupPurpose.CRIMINAL_INVESTIGATION}),
            days=30,
            leader="xinzhou-leader",
        )
        opened = await self._client(INLAND).lookups.open_case(lookup_act(officer=OFFICER), question)
        if opened.closes is None:
            raise NotFoundError("DEMO_REFUSED", f"expected an open case: {opened.decision.title_en}")

    async def _search(self) -> SearchResult:
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self._lookups.number)
        question = LookupQuestion(case_id=CASE, selector=selector, provinces=(ASKED,))
        return await self._client(INLAND).lookups.search(lookup_act(officer=OFFICER), question)

    async def _inbox(self) -> str:
        """Shows the inbox of the one office that answers for the province; returns what waits there."""
        page = await self._client(INTAKE).intake.list_intake(lookup_act(officer=DESK_OFFICER), IntakeQuery())
        for line in inbox_lines(page):
            self._tell(line)
        if len(page.lines) != 1:
            raise NotFoundError("DEMO_INBOX", f"expected one request at the desk, got {len(page.lines)}")
        return page.lines[0].request_id

    async def _read(self, lookup_id: str) -> str:
        """What the officer who asked reads again, once the desk's answer is there."""

        async def find() -> str | None:
            found = await self._client(INLAND).readings.read_lookup(lookup_act(officer=OFFICER), lookup_id)
            (step,) = found.steps
            waits = step.outcome is None or step.outcome is Outcome.WAITING
            return None if waits or step.outcome is None else step.outcome.value

        return await self._lookups.wait_for(find, what="the desk's answer")
