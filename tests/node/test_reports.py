"""The person's report at the node: what crosses the border, what ends a wait, and what silence looks like."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.node import permits
from federation.node import reports as subject
from federation.node.disclosures import tell_subject
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import ask as asking
from federation.node.lookups import cases
from federation.protocol.errors import ConflictError, MalformedError, RuleError
from federation.protocol.ids import parse_agency_id
from federation.protocol.leaf import Verdict
from federation.wire.agency.lookups import CaseQuestion, LookupQuestion
from federation.wire.agency.reports import ReportQuestion
from tests.node.rig import (
    ANHUI,
    FUJIAN,
    HALL,
    JIANGXI,
    NODES,
    YUSHAN_POLICE,
    ZHEJIANG,
    act,
    applications,
    lead_act,
    running_rig,
)

PURPOSE, CASE = "lookup.criminal_investigation", "CASE-2026-0001"
XIUNING_HALL = parse_agency_id("anhui/341022/service-hall")
PERSON = next(
    each for each in applications()
    if each.residence_division == "330822" and not each.sealed and not each.guardian
    and each.holder.household_division[:2] not in ("36", "34") and each.work_division is None
)  # fmt: skip
NUMBER = PERSON.holder.citizen_number
QUESTION = ReportQuestion(citizen_number=NUMBER, identity_checked=True)


@asynccontextmanager
async def looked_up(folder: Path):
    """Four provinces; Yushan's police have hit one person of Changshan in a criminal investigation of 30 days."""
    async with running_rig(folder, NODES) as rig:
        rig.start_delivery()
        registered = await permits.register(
            begin_errand(rig[ZHEJIANG], HALL, act("permit.administration", "F02")), PERSON
        )
        assert registered.permit is not None
        question = CaseQuestion(
            case_id=CASE, letter="玉公协〔2026〕1号", counties=frozenset({"330822"}),
            purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
        )  # fmt: skip
        police = {"caller": YUSHAN_POLICE}
        await cases.begin_case(begin_errand(rig[JIANGXI], **police, act=lead_act(PURPOSE)), question)
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER)
        search = LookupQuestion(case_id=CASE, selector=selector, provinces=(ZHEJIANG,))
        found = await asking.search(begin_errand(rig[JIANGXI], **police, act=act(PURPOSE, "F03")), search)
        assert found.answers[0].outcome is Outcome.HIT
        yield rig


async def report(rig, question: ReportQuestion = QUESTION):
    return await subject.report(begin_errand(rig[ANHUI], XIUNING_HALL, act("subject.access", "F01")), question)


async def test_report_of_a_running_investigation_keeps_it_from_the_asking_province(tmp_path: Path) -> None:
    """The withheld entry does not leave Zhejiang: only the number and the day do."""
    async with looked_up(tmp_path) as rig:
        page = await report(rig)

        assert (page.lines, page.withheld_count) == ((), 1)
        assert {province.outcome for province in page.provinces} == {Outcome.HIT}
        told = rig.carried(ZHEJIANG, ANHUI)
        assert b"withheld_count" in told
        assert PURPOSE.encode() not in told
        assert CASE.encode() not in told
        assert str(YUSHAN_POLICE).encode() not in told


async def test_tell_subject_after_the_term_of_the_case_shows_the_entry(tmp_path: Path) -> None:
    """A case that nobody closes ends by its term, and the wait with it; nobody else's number tells anything."""
    async with looked_up(tmp_path) as rig:
        node, start = rig[ZHEJIANG], rig.clock()

        assert tell_subject(node, NUMBER, now=start + timedelta(days=29)).withheld_count == 1
        shown = tell_subject(node, NUMBER, now=start + timedelta(days=30, minutes=1))
        assert ([line.purpose for line in shown.lines], shown.withheld_count) == ([PURPOSE], 0)
        other = tell_subject(node, applications()[0].holder.citizen_number, now=start)
        assert (other.lines, other.withheld_count) == ((), 0)


async def test_report_with_a_province_cut_off_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is not taken for "nothing": the province that has not answered is said to be out of reach."""
    monkeypatch.setattr(subject, "WAIT_SECONDS", 0.0)
    async with looked_up(tmp_path) as rig:
        rig.faults(ANHUI, FUJIAN).cut = True
        errand = begin_errand(rig[ANHUI], XIUNING_HALL, act("subject.access", "F01"))
        outcomes: dict = {}
        async with asyncio.timeout(60):
            while list(outcomes.values()).count(Outcome.HIT) < len(NODES) - 1:
                await asyncio.sleep(0.001)
                page = await subject.report(errand, QUESTION)  # the same request: nobody is asked again
                outcomes = {province.node: province.outcome for province in page.provinces}

        assert outcomes == {
            ZHEJIANG: Outcome.HIT, JIANGXI: Outcome.HIT, ANHUI: Outcome.HIT, FUJIAN: Outcome.UNREACHABLE,
        }  # fmt: skip
        assert page.withheld_count == 1


async def test_repeat_of_a_report_asks_nobody_again(tmp_path: Path) -> None:
    """Its clerk gets the same report; under the same id nobody gets that of another person."""
    async with looked_up(tmp_path) as rig:
        errand = begin_errand(rig[ANHUI], XIUNING_HALL, act("subject.access", "F01"))
        first = await subject.report(errand, QUESTION)
        size = rig[ANHUI].sequencer.head.size

        assert await subject.report(errand, QUESTION) == first
        assert rig[ANHUI].sequencer.head.size == size
        other = applications()[0].holder.citizen_number
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await subject.report(errand, ReportQuestion(citizen_number=other, identity_checked=True))


async def test_report_under_another_purpose_asks_nobody(tmp_path: Path) -> None:
    """Own policy refuses first: nothing about the person leaves the province."""
    async with looked_up(tmp_path) as rig:
        page = await subject.report(begin_errand(rig[ANHUI], XIUNING_HALL, act("permit.service", "F01")), QUESTION)

        assert not page.decision.allowed
        assert (page.lines, page.provinces) == ((), ())
        assert NUMBER.encode() not in rig.carried(ANHUI, ZHEJIANG)


async def test_report_of_no_citizen_number_is_malformed(tmp_path: Path) -> None:
    """One exact number, checked, or nothing is asked."""
    async with running_rig(tmp_path, NODES) as rig:
        with pytest.raises(MalformedError):
            await report(rig, ReportQuestion(citizen_number=NUMBER[:-1] + "*", identity_checked=True))


async def test_report_tells_who_was_refused_by_their_own_province(tmp_path: Path) -> None:
    """A question that Jiangxi held back reached nobody; the person learns who tried, from Jiangxi."""
    async with looked_up(tmp_path) as rig:
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER)
        question = LookupQuestion(case_id=CASE, selector=selector, provinces=(ZHEJIANG, FUJIAN))
        purpose = "lookup.identity_check"
        before = len(rig.faults(JIANGXI, ZHEJIANG).carried)
        found = await asking.search(begin_errand(rig[JIANGXI], YUSHAN_POLICE, act(purpose, "F03")), question)
        assert {answer.outcome for answer in found.answers} == {Outcome.REFUSED}
        assert len(rig.faults(JIANGXI, ZHEJIANG).carried) == before

        page = await report(rig)

        (line,) = page.lines
        assert (line.given_by, line.asker, line.step) == (JIANGXI, YUSHAN_POLICE, "lookup.search")
        assert (line.verdict, line.purpose) == (Verdict.REFUSED, purpose)
        assert page.withheld_count == 1


async def test_report_names_agencies_and_gives_no_law_for_a_purpose_that_nobody_registered(tmp_path: Path) -> None:
    """Who tried is told by name, as before; what a node let through as a purpose is not, nor does a law stand by it."""
    async with looked_up(tmp_path) as rig:
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER)
        question = LookupQuestion(case_id=CASE, selector=selector, provinces=(ZHEJIANG,))
        for purpose in ("lookup.debt_collection", "lookup.identity_check"):
            await asking.search(begin_errand(rig[JIANGXI], YUSHAN_POLICE, act(purpose, "F03")), question)

        page = await report(rig)

        assert {line.asker_name for line in page.lines} == {"玉山县公安局"}
        assert {(line.purpose, line.basis) for line in page.lines} == {
            ("", ""), ("lookup.identity_check", "居民身份证法第十五条"),
        }  # fmt: skip


async def test_case_for_a_purpose_that_nobody_registered_is_not_opened_nor_logged(tmp_path: Path) -> None:
    """The purposes that a case is to allow are held against the register, as that of the act."""
    async with looked_up(tmp_path) as rig:
        size = rig[JIANGXI].sequencer.head.size
        question = CaseQuestion(
            case_id="CASE-2026-0003", letter="玉公协〔2026〕3号", counties=frozenset({"330822"}),
            purposes=frozenset({PURPOSE, "lookup.debt_collection"}), days=30, leader="leader-1",
        )  # fmt: skip
        with pytest.raises(RuleError, match="PURPOSE_UNKNOWN"):
            await cases.begin_case(begin_errand(rig[JIANGXI], YUSHAN_POLICE, act=lead_act(PURPOSE)), question)

        assert rig[JIANGXI].sequencer.head.size == size


async def test_tell_subject_of_a_search_that_policy_answered_with_no_hit_shows_who_was_turned_away(
    tmp_path: Path,
) -> None:
    """The asker of another county's case hears of no hit; the person hears that somebody asked and got nothing."""
    async with looked_up(tmp_path) as rig:
        police = {"caller": YUSHAN_POLICE}
        elsewhere = CaseQuestion(
            case_id="CASE-2026-0002", letter="玉公协〔2026〕2号", counties=frozenset({"330824"}),
            purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
        )  # fmt: skip
        rig.clock.advance(minutes=1)  # steps of one instant have no order in a report
        await cases.begin_case(begin_errand(rig[JIANGXI], **police, act=lead_act(PURPOSE)), elsewhere)
        selector = Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER)
        question = LookupQuestion(case_id="CASE-2026-0002", selector=selector, provinces=(ZHEJIANG,))
        asked = await asking.search(begin_errand(rig[JIANGXI], **police, act=act(PURPOSE, "F03")), question)

        assert [answer.outcome for answer in asked.answers] == [Outcome.NO_HIT]
        shown = tell_subject(rig[ZHEJIANG], NUMBER, now=rig.clock() + timedelta(days=31))
        assert [line.verdict for line in shown.lines] == [Verdict.REFUSED, Verdict.ALLOWED]
