"""Glass broken between real nodes: no letter, two hours, the leader notified; the person is told like of any look-up."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.node.home.agreement import load_home_agreement
from federation.node.serve import utc_now
from federation.protocol.errors import MalformedError, RuleError
from federation.wire.agency.lookups import OPEN_CASE, SEARCH, CaseQuestion, LookupQuestion
from federation.wire.agency.oversight import LIST_FLAGS, LIST_NOTICES, FlagQuery
from federation.wire.agency.reports import GET_REPORT, ReportQuestion
from federation.wire.rpc import PageQuery
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.test_lookup import YUSHAN, ZHEJIANG, act, border

GLASS, CHECK = "BREAK-GLASS-1", "lookup.identity_check"


def case(case_id: str = GLASS, **changes: str | int) -> CaseQuestion:
    return CaseQuestion(
        case_id=case_id, counties=frozenset({"330822"}), purposes=frozenset({CHECK}), leader="leader-1", **changes
    )


async def test_glass_is_broken_without_a_letter_and_the_person_is_told(tmp_path: Path) -> None:
    """Over the wire: opened, asked, noticed, flagged; the report shows it as it shows every look-up."""
    async with border(tmp_path) as found:
        opened = await found.police.call(OPEN_CASE, act(CHECK), case())
        assert opened.decision.allowed
        number = found.application.holder.citizen_number
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=number)
        question = LookupQuestion(case_id=GLASS, selector=selector, provinces=(ZHEJIANG,))
        answer = (await found.police.call(SEARCH, act(CHECK), question)).answers[0]
        assert answer.outcome is Outcome.HIT

        page = await found.police.call(LIST_NOTICES, act(CHECK), PageQuery())
        assert [(one.notice.case_id, one.notice.leader, one.overdue) for one in page.notices] == [
            (GLASS, "leader-1", False)
        ]
        flags = await found.police.call(LIST_FLAGS, act(CHECK), FlagQuery())
        assert [one.case_id for one in flags.flags] == [GLASS]

        asked = ReportQuestion(citizen_number=number, identity_checked=True)
        async with found.federation.client("anhui/341022/service-hall") as hall:
            report = await hall.call(GET_REPORT, act("subject.access", "F01"), asked)
        assert [(str(line.asker), line.step, line.purpose) for line in report.lines] == [
            (YUSHAN, "lookup.search", CHECK)
        ]
        agreement = load_home_agreement(found.federation.home("jiangxi"), now=utc_now())
        kept_federation = found.federation
    with kept_homes({name: kept_federation.home(name) for name in kept_federation.homes}) as kept:
        await check_federation(kept, agreement, now=utc_now())


async def test_ordinary_case_without_letter_or_days_is_refused_by_name(tmp_path: Path) -> None:
    """Only a case BREAK-GLASS-... may go without; the error names what is missing."""
    async with border(tmp_path) as found:
        with pytest.raises(MalformedError, match="CASE_LETTER"):
            await found.police.call(OPEN_CASE, act(CHECK), case("CASE-2026-0009", days=3))
        with pytest.raises(RuleError, match="CASE_TERM"):
            await found.police.call(OPEN_CASE, act(CHECK), case("CASE-2026-0009", letter="玉公协〔2026〕2号"))
