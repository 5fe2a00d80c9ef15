"""The person's view: asked at any node, it tells who asked about them, and holds back what an investigation needs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from federation.cli.demo.synthetic import synthetic_applications
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.node.home.agreement import load_home_agreement
from federation.node.node import CHINA
from federation.node.serve import utc_now
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.leaf import Verdict
from federation.wire.agency.lookups import (
    CLOSE_CASE,
    FETCH,
    OPEN_CASE,
    SEARCH,
    CaseQuestion,
    LookupQuestion,
    ProvinceAnswer,
)
from federation.wire.agency.permits import REGISTER_PERMIT
from federation.wire.agency.reports import GET_REPORT, ReportQuestion
from tests.scenarios.check_federation import check_federation, kept_homes
from tests.scenarios.test_lookup import YUSHAN, ZHEJIANG, Border, act, border

HALL = "anhui/341022/service-hall"
CRIME, CHECK = "lookup.criminal_investigation", "lookup.identity_check"
CASES = {CRIME: "CASE-2026-0001", CHECK: "CASE-2026-0002"}
NOBODY = "330822219003070018"
ACCESS = ("subject.access", "F01")


async def open_cases(found: Border) -> None:
    for purpose, case_id in CASES.items():
        question = CaseQuestion(
            case_id=case_id, letter=f"玉公协 {case_id}", counties=frozenset({"330822"}),
            purposes=frozenset({purpose}), days=30, leader="leader-1",
        )  # fmt: skip
        assert (await found.police.call(OPEN_CASE, act(purpose, officer="leader-1"), question)).decision.allowed


async def search(found: Border, purpose: str, number: str) -> ProvinceAnswer:
    selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=number)
    question = LookupQuestion(case_id=CASES[purpose], selector=selector, provinces=(ZHEJIANG,))
    return (await found.police.call(SEARCH, act(purpose), question)).answers[0]


async def look_up(found: Border, purpose: str, fields: frozenset[str]) -> Outcome:
    """One search and one fetch under the case of that purpose."""
    hit = await search(found, purpose, found.application.holder.citizen_number)
    assert hit.handle is not None, hit
    question = replace(found.fetch_question(hit.handle, fields), case_id=CASES[purpose])
    return (await found.police.call(FETCH, act(purpose), question)).outcome


async def test_report_asked_in_anhui_withholds_an_investigation_until_its_case_is_closed(tmp_path: Path) -> None:
    """An identity check is told at once; an investigation is counted, dated, and appears when its case is closed."""
    async with border(tmp_path) as found:
        await open_cases(found)
        assert await look_up(found, CHECK, frozenset({"holder_name"})) is Outcome.HIT
        assert await look_up(found, CRIME, frozenset({"holder_name", "sex"})) is Outcome.HIT
        question = ReportQuestion(
            citizen_number=found.application.holder.citizen_number, identity_checked=True, page_size=3
        )
        async with found.federation.client(HALL) as hall:
            before = await hall.call(GET_REPORT, act(*ACCESS), question)

            assert {province.outcome for province in before.provinces} == {Outcome.HIT}
            assert len(before.provinces) == 4
            assert [(line.purpose, line.step) for line in before.lines] == [
                (CHECK, "lookup.fetch"), (CHECK, "lookup.search"),
            ]  # fmt: skip
            assert before.lines[0].fields == {"holder_name"}
            assert {(str(line.asker), line.given_by) for line in before.lines} == {(YUSHAN, "zhejiang")}
            assert before.withheld_count == 2
            assert before.next_shown is not None
            days = before.next_shown - utc_now().astimezone(CHINA).date()
            assert timedelta(days=29) <= days <= timedelta(days=30)

            await found.police.call(CLOSE_CASE, act(CRIME, officer="leader-1"), CASES[CRIME])
            # Messages arrive in order: once a later question is answered, the closing has arrived too.
            assert (await search(found, CHECK, NOBODY)).outcome is Outcome.NO_HIT
            after = await hall.call(GET_REPORT, act(*ACCESS), question)

            assert after.withheld_count == 0
            assert after.next_shown is None
            assert [line.purpose for line in after.lines] == [CRIME, CRIME, CHECK]
            assert after.lines[0].fields == {"holder_name", "sex"}
            rest = await hall.call(GET_REPORT, act(*ACCESS), replace(question, page_token=after.next_page_token))
            assert [(line.purpose, line.step) for line in rest.lines] == [(CHECK, "lookup.search")]
            assert rest.next_page_token == ""
        kept_federation = found.federation
    agreement = load_home_agreement(kept_federation.home("anhui"), now=utc_now())
    with kept_homes({name: kept_federation.home(name) for name in kept_federation.homes}) as kept:
        await check_federation(kept, agreement, now=utc_now())


async def test_report_tells_of_a_refused_fetch_and_only_to_the_person(tmp_path: Path) -> None:
    """Who was turned away is told too; without an identity check nobody is told anything, nor is another agency."""
    async with border(tmp_path) as found:
        await open_cases(found)
        child = next(
            one for one in synthetic_applications(ZHEJIANG, 5000, seed=1, today=utc_now().astimezone(CHINA).date())
            if one.residence_division == "330822" and one.guardian and not one.sealed
        )  # fmt: skip
        async with found.federation.client("zhejiang/330822/service-hall") as desk:
            assert (await desk.call(REGISTER_PERMIT, act("permit.administration", "F02"), child)).permit is not None
        found.application = child
        assert await look_up(found, CHECK, frozenset({"holder_name"})) is Outcome.REFUSED
        question = ReportQuestion(citizen_number=child.holder.citizen_number, identity_checked=True, page_size=1)
        async with found.federation.client(HALL) as hall, found.federation.client("anhui/341022/police") as other:
            page = await hall.call(GET_REPORT, act(*ACCESS), question)
            unchecked = await hall.call(GET_REPORT, act(*ACCESS), replace(question, identity_checked=False))

            assert [(line.step, line.verdict) for line in page.lines] == [("lookup.fetch", Verdict.REFUSED)]
            assert unchecked.decision.policies == ("deny-report-identity-unchecked",)
            assert unchecked.lines == ()
            for asker, token in ((other, page.next_page_token), (hall, "x")):
                with pytest.raises(MalformedError, match="PAGE_TOKEN"):
                    await asker.call(GET_REPORT, act(*ACCESS), replace(question, page_token=token))
