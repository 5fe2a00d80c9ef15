"""The scenes of the demo that come after a look-up: a broken glass, and what the person is told at any counter.

Played by the agencies' clients against running nodes; the report's lines are those of `bridgehead subject report`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from federation.cli.demo.lookup_scenes import ASKED, CHANGSHAN, LEADER, POLICE, LookupScenes, lookup_act, new_key
from federation.cli.lookups import sign_fetch
from federation.cli.reports import report_lines
from federation.cli.show import JsonOut
from federation.domain.lookup.asking import Outcome, Selector, SelectorKind
from federation.domain.lookup.break_glass import Finding, review_bytes
from federation.domain.lookup_policy import SUBJECT_FUNCTION, SUBJECT_PURPOSE, LookupPurpose
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import parse_agency_id
from federation.protocol.tlog.lines import format_base64
from federation.wire.client import AgencyClient
from federation.wire.lookups.oversight.values import PageQuery, ReviewQuestion
from federation.wire.lookups.values import CaseQuestion, LookupQuestion, ReportPage, ReportQuestion
from federation.wire.values import Act

COUNTER = "anhui/341022/service-hall"
GLASS = "BREAK-GLASS-2026-0001"
NIGHT_OFFICER = "yushan-0733"
GLASS_FIELDS = frozenset({"holder_name", "residence_division"})
WORDS = "夜间走失儿童,协作函次日补送"


@dataclass(kw_only=True)
class PersonTold:
    """What the scenes came to: what the leader found, and what the person was shown before and after the end."""

    finding: str = ""
    lines: list[int] = field(default_factory=list)
    withheld: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, JsonOut]:
        """The same as a part of the demo's JSON."""
        return {"break_glass": self.finding, "lines": [*self.lines], "withheld": [*self.withheld]}


class PersonScenes:
    """Plays the scenes in order, about the person of the look-up scenes."""

    def __init__(
        self, lookups: LookupScenes, *, client: Callable[[str], AgencyClient], tell: Callable[[str], None]
    ) -> None:
        """Keeps the scenes that came before, where clients come from, and where to tell what happens."""
        self._lookups = lookups
        self._client = client
        self._tell = tell
        self._leader = new_key()
        self.told = PersonTold()

    async def break_glass(self) -> None:
        """Opens a case without a letter, for two hours; its leader is noticed at once and reviews it."""
        police, key = self._client(POLICE), new_key()
        self._lookups.register(NIGHT_OFFICER, key)
        self._lookups.register(LEADER, self._leader)
        question = CaseQuestion(
            case_id=GLASS,
            counties=frozenset({CHANGSHAN}),
            purposes=frozenset({LookupPurpose.MISSING_PERSON}),
            leader=LEADER,
        )
        opened = await police.lookups.open_case(_night_act(), question)
        if opened.closes is None:
            raise NotFoundError("DEMO_REFUSED", f"expected an open case: {opened.decision.title_en}")
        self._tell(f"a child is missing, there is no time for a letter: {GLASS}, two hours")
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=self._lookups.number)
        search = LookupQuestion(case_id=GLASS, selector=selector, provinces=(ASKED,))
        (answer,) = (await police.lookups.search(_night_act(), search)).answers
        if answer.handle is None:
            raise NotFoundError("DEMO_NO_HIT", f"expected a hit in {ASKED}, got {answer.outcome}")
        fetch = sign_fetch(key, case_id=GLASS, node=ASKED, handle=answer.handle, fields=GLASS_FIELDS)
        released = await police.lookups.fetch(_night_act(), fetch)
        if released.outcome is not Outcome.HIT:
            raise NotFoundError("DEMO_REFUSED", f"expected two fields: {released.title_en}")
        self._tell(f"{ASKED}: hit; released: {', '.join(sorted(released.fields))}")

    async def review(self) -> None:
        """Has the leader read the notice and answer for it, by the leader's own key."""
        police, agency = self._client(POLICE), parse_agency_id(POLICE)
        act = lookup_act(officer=LEADER)
        (state,) = (await police.oversight.list_notices(act, PageQuery(), agency=agency)).notices
        notice = state.notice
        self._tell(f"{notice.leader} was noticed in the same moment: {notice.officer}, review due {notice.due}")
        signed = review_bytes(GLASS, agency, finding=Finding.JUSTIFIED, words=WORDS)
        question = ReviewQuestion(
            case_id=GLASS, finding=Finding.JUSTIFIED, words=WORDS, signature=format_base64(self._leader.sign(signed))
        )
        state = await police.oversight.review(lookup_act(officer=LEADER), question, agency=agency)
        self.told.finding = state.notice.finding
        self._tell(f"reviewed by the leader's own key: {state.notice.finding} ({WORDS})")

    async def report_while_it_runs(self) -> None:
        """The person asks at a counter of a province that had no part in it: what runs is counted and dated."""
        page = await self._report()
        self._show(page)

    async def report_after(self) -> None:
        """The case has ended: what was held back appears by itself."""
        page = await self._report()
        if page.withheld_count:
            raise NotFoundError("DEMO_WITHHELD", f"expected nothing held back, got {page.withheld_count}")
        self._show(page)

    async def _report(self) -> ReportPage:
        act = Act(
            request_id=str(uuid.uuid4()), purpose=SUBJECT_PURPOSE, function=SUBJECT_FUNCTION, officer="xiuning-clerk"
        )
        question = ReportQuestion(citizen_number=self._lookups.number, identity_checked=True)
        return await self._client(COUNTER).subjects.get_report(act, question)

    def _show(self, page: ReportPage) -> None:
        self.told.lines.append(len(page.lines))
        self.told.withheld.append(page.withheld_count)
        for line in report_lines(page):
            self._tell(line)


def _night_act() -> Act:
    return lookup_act(LookupPurpose.MISSING_PERSON, officer=NIGHT_OFFICER)
