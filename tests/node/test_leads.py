"""Leads between two nodes: handed over, taken or declined; what is refused, late, not delivered; what each office sees."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.leads import Lead, LeadAnswer
from federation.node import leads
from federation.node.exchange.errand import begin_errand
from federation.node.retention import destroy_ended
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, MessageId, parse_agency_id
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.protocol.statement import Recipient
from federation.store.log_reader import load_entries
from federation.store.messages import find_body
from federation.wire.agency.leads import LeadLine, LeadOutcome, LeadStanding, LeadStep
from federation.wire.rpc import PageQuery
from tests.node.retention.released import Border
from tests.node.retention.test_orders import sent
from tests.node.rig import HALL, JIANGXI, POLICE, START, YUSHAN_POLICE, ZHEJIANG, Rig, act, running_rig

HANDOVER = ("police.handover", "F05")
KAIHUA = parse_agency_id("zhejiang/330824/police")
GUANGFENG = parse_agency_id("jiangxi/361103/police")
FACTS = "一辆蓝色货车内发现成捆的电缆"
LEAD = Lead(
    offence="盗窃", county="330822", place="示例镇示例路9号", time=START - timedelta(days=2),
    found=START - timedelta(hours=2), facts=FACTS, measure="已扣押电缆", notice="ab" * 32,
)  # fmt: skip


@dataclass
class Found:
    """Two provinces that deliver; Yushan's police found something in Changshan."""

    rig: Rig
    ids: list[MessageId] = field(default_factory=list)

    async def hand_over(
        self,
        caller: AgencyId = YUSHAN_POLICE,
        *,
        request_id: str | None = None,
        why: tuple[str, str] = HANDOVER,
        **changes,
    ) -> LeadOutcome:
        errand = begin_errand(self.rig[caller.node], caller, act(*why, request_id=request_id))
        return await leads.hand_over(errand, replace(LEAD, **changes))

    async def answer(
        self, lead_id: MessageId, reason: str | None = None, *, caller: AgencyId = POLICE, request_id: str | None = None
    ) -> LeadOutcome:
        step = LeadStep(lead_id=lead_id, accepted=reason is None, reason=reason)
        errand = begin_errand(self.rig[caller.node], caller, act(*HANDOVER, request_id=request_id))
        return await leads.answer(errand, step)

    async def lines(self, caller: AgencyId) -> tuple[LeadLine, ...]:
        page = await leads.list_leads(begin_errand(self.rig[caller.node], caller, act(*HANDOVER)), PageQuery())
        assert page.decision.allowed, page.decision
        return page.lines


@asynccontextmanager
async def found(folder: Path, monkeypatch, *, wait: float = 8.0) -> AsyncIterator[Found]:
    monkeypatch.setattr(leads, "WAIT_SECONDS", wait)
    async with running_rig(folder) as rig:
        rig.start_delivery()
        yield Found(rig)


def last_leaf(rig: Rig, node):
    return decode_leaf(list(load_entries(rig[node].database, 0, rig[node].sequencer.head.size))[-1])


async def test_lead_is_handed_over_and_taken_by_the_force_of_its_county(tmp_path: Path, monkeypatch) -> None:
    """Both sides see the same lead with the same 24 hours; taken, it is overdue for nobody."""
    async with found(tmp_path, monkeypatch) as case:
        outcome = await case.hand_over()
        assert outcome.line is not None
        handed = outcome.line.handed
        assert (handed.finder, handed.force, outcome.line.standing) == (YUSHAN_POLICE, POLICE, LeadStanding.WAITING)
        # found at 06:00; the hour is not counted: 24 hours from 07:00
        assert handed.deadline.clock_id == "police.handover"
        assert handed.deadline.due == START + timedelta(hours=23)
        (got,) = await case.lines(POLICE)
        assert (got.handed.lead, got.handed.deadline, got.handed.digest) == (LEAD, handed.deadline, handed.digest)

        taken = await case.answer(handed.lead_id)
        await case.rig.drain()
        case.rig.clock.time = handed.deadline.due

        assert taken.line is not None
        for office in (POLICE, YUSHAN_POLICE):
            (line,) = await case.lines(office)
            assert (line.standing, line.overdue, line.answer) == (LeadStanding.ACCEPTED, False, taken.line.answer)


async def test_lead_that_is_declined_tells_its_finder_why(tmp_path: Path, monkeypatch) -> None:
    """A reason goes back; the lead is answered once, a repeat is the same answer."""
    async with found(tmp_path, monkeypatch) as case:
        lead_id = (await case.hand_over()).line.handed.lead_id
        request_id = str(uuid.uuid4())
        first = await case.answer(lead_id, "属铁路公安管辖", request_id=request_id)
        assert await case.answer(lead_id, "属铁路公安管辖", request_id=request_id) == first
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await case.answer(lead_id, request_id=request_id)
        with pytest.raises(RuleError, match="LEAD_ANSWERED"):
            await case.answer(lead_id)
        await case.rig.drain()

        (line,) = await case.lines(YUSHAN_POLICE)
        assert (line.standing, line.answer.reason) == (LeadStanding.DECLINED, "属铁路公安管辖")
        assert len(sent(case.rig, ZHEJIANG, JIANGXI, "police.lead.answer")) == 1


async def test_lead_handed_over_again_is_the_same_lead(tmp_path: Path, monkeypatch) -> None:
    """A repeat under its request id is done once; another lead under that id is a conflict."""
    async with found(tmp_path, monkeypatch) as case:
        request_id = str(uuid.uuid4())
        first = await case.hand_over(request_id=request_id)
        assert await case.hand_over(request_id=request_id) == first
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            await case.hand_over(request_id=request_id, place="别处")
        assert len(await case.lines(POLICE)) == 1


async def test_lead_goes_to_the_office_that_answers_where_the_county_has_none(tmp_path: Path, monkeypatch) -> None:
    """A county of a member without a police office there: the one of its province; of no member: a rule says no."""
    async with found(tmp_path, monkeypatch) as case:
        elsewhere = await case.hand_over(county="330106")
        former = await case.hand_over(county="332427")

        assert elsewhere.line.handed.force.kind == "police"
        assert elsewhere.line.handed.force.node == ZHEJIANG
        assert former.line.handed.force == POLICE  # Changshan by an earlier code
        with pytest.raises(RuleError, match="COUNTY_ELSEWHERE"):
            await case.hand_over(county="110101")


async def test_lead_that_may_not_leave_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    """Own policy says no and logs it; what names a person or has no order of times is an error and no leaf."""
    async with found(tmp_path, monkeypatch) as case:
        for changes in ({"caller": HALL, "county": "361123"}, {"why": ("permit.check", "F03")}, {"county": "361102"}):
            assert not (await case.hand_over(**changes)).decision.allowed
        assert last_leaf(case.rig, JIANGXI).kind is LeafKind.REFUSED
        size = case.rig[JIANGXI].sequencer.head.size
        for changes, reason in (
            ({"facts": "嫌疑人361123219003070011"}, "LEAD_NAMES_PERSON"),
            ({"found": START + timedelta(seconds=1)}, "LEAD_TIME"),
        ):
            with pytest.raises(RuleError, match=reason):
                await case.hand_over(**changes)
        assert case.rig[JIANGXI].sequencer.head.size == size
        assert case.rig.faults(JIANGXI, ZHEJIANG).carried == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"facts": "嫌疑人361123219003070011"}, "rule-lead-names-person"),
        ({"found": START + timedelta(days=1)}, "rule-lead-time"),
        ({"county": "361123"}, "rule-lead-elsewhere"),
        ({"county": "110101"}, "rule-county-elsewhere"),
    ],
)
async def test_lead_that_the_finder_should_not_have_let_out_is_refused_by_rule(
    tmp_path: Path, monkeypatch, changes, rule
) -> None:
    """A hostile node's lead: refused with a signed receipt, its body not kept, and the finder's list says so."""
    async with found(tmp_path, monkeypatch) as case:
        monkeypatch.setattr(leads.leads, "verify_lead", lambda lead, **_: lead)
        bad, draft = replace(LEAD, **changes), leads.LEAD.draft
        monkeypatch.setattr(
            type(leads.LEAD), "draft", lambda _, lead, **given: draft(bad if lead == LEAD else lead, **given)
        )
        case.rig.faults(JIANGXI, ZHEJIANG).cut = True
        monkeypatch.setattr(leads, "WAIT_SECONDS", 0.05)
        await case.hand_over()
        monkeypatch.undo()
        case.rig.faults(JIANGXI, ZHEJIANG).cut = False
        await case.rig.drain()

        (line,) = await case.lines(YUSHAN_POLICE)
        assert (line.standing, line.policies) == (LeadStanding.REFUSED, (rule,))
        assert await case.lines(POLICE) == ()
        assert find_body(case.rig[ZHEJIANG].database, line.handed.lead_id) is None


async def test_answer_of_another_office_or_lead_is_refused(tmp_path: Path, monkeypatch) -> None:
    """Only the office that got it answers; a node's answer by a hall, by another county, or about another lead, is not."""
    async with found(tmp_path, monkeypatch) as case:
        one, other = [(await case.hand_over(place=place)).line.handed for place in ("甲处", "乙处")]
        for caller in (KAIHUA, GUANGFENG):
            with pytest.raises(NotFoundError, match="LEAD_UNKNOWN"):
                await case.answer(one.lead_id, caller=caller)
        assert not (await case.answer(one.lead_id, caller=YUSHAN_POLICE)).decision.allowed

        node = case.rig[ZHEJIANG]
        for office, lead_id in ((HALL, one.lead_id), (KAIHUA, one.lead_id), (POLICE, other.lead_id)):
            errand = begin_errand(node, office, act(*HANDOVER))
            said = LeadAnswer(lead_id=lead_id, accepted=True, time=START)
            draft = leads.ANSWER.draft(
                said, to=Recipient(node=JIANGXI, agency=YUSHAN_POLICE),
                cause=errand.cause(leads.leads.LEAD_BASIS, in_reply_to=one.digest), decision=errand.rule(
                    leads.lead_request("answer", errand.agency, ZHEJIANG, occasion=errand.occasion, addressed=True)
                ),
            )  # fmt: skip
            await errand.send_once(errand.asked("x", lead_id), draft)
        await case.rig.drain()

        assert {line.standing for line in await case.lines(YUSHAN_POLICE)} == {LeadStanding.WAITING}


async def test_lead_that_nobody_takes_is_overdue_at_both_sides_and_one_that_never_came_says_so(
    tmp_path: Path, monkeypatch
) -> None:
    """The time runs out for who waits and for who should answer; a cut line ends as undelivered."""
    async with found(tmp_path, monkeypatch, wait=0.05) as case:
        await case.hand_over()
        await case.rig.drain()
        case.rig.faults(JIANGXI, ZHEJIANG).cut = True
        case.rig.clock.advance(hours=23)
        await case.hand_over(place="别处")
        for office in (YUSHAN_POLICE, POLICE):
            assert {(line.standing, line.overdue) for line in await case.lines(office)} == {
                (LeadStanding.WAITING, True)
            }

        case.rig.clock.advance(days=4)
        await case.rig.drain()

        newest, oldest = await case.lines(YUSHAN_POLICE)
        assert (newest.standing, oldest.standing) == (LeadStanding.UNDELIVERED, LeadStanding.WAITING)
        assert len(await case.lines(POLICE)) == 1

        await case.rig.restore(JIANGXI, ZHEJIANG)
        await destroy_ended(case.rig[JIANGXI])
        await case.rig.drain()

        assert {line.standing for line in await case.lines(YUSHAN_POLICE)} == {LeadStanding.WAITING}
        lines = await case.lines(POLICE)
        assert {line.handed.lead.place for line in await case.lines(YUSHAN_POLICE)} == {
            line.handed.lead.place for line in lines
        }
        assert len(lines) == 2


async def test_list_is_of_the_own_office_newest_first_in_pages(tmp_path: Path, monkeypatch) -> None:
    """Both directions in one list; a page goes on behind the last, and its token opens no other office's list."""
    async with found(tmp_path, monkeypatch) as case:
        for place in ("甲处", "乙处"):
            await case.hand_over(place=place)
            case.rig.clock.advance(seconds=1)
        await case.hand_over(POLICE, county="361123", place="丙处")
        node = case.rig[ZHEJIANG]

        def page(caller, **query):
            return leads.list_leads(begin_errand(node, caller, act(*HANDOVER)), PageQuery(page_size=2, **query))

        first = await page(POLICE)
        second = await page(POLICE, page_token=first.next_page_token)

        assert [line.handed.lead.place for line in (*first.lines, *second.lines)] == ["丙处", "乙处", "甲处"]
        assert second.next_page_token == ""
        assert await case.lines(KAIHUA) == ()
        with pytest.raises(MalformedError, match="PAGE_TOKEN"):
            await page(KAIHUA, page_token=first.next_page_token)
        assert not (await leads.list_leads(begin_errand(node, HALL, act(*HANDOVER)), PageQuery())).decision.allowed


async def test_lead_is_sealed_at_rest_and_ends_at_both_sides_by_its_rule(tmp_path: Path, monkeypatch) -> None:
    """No byte of the facts lies open; after ninety days lead and answer are gone, and not a second before."""
    async with found(tmp_path, monkeypatch) as case:
        fresh = case.rig.agreement.fresh_until_time + timedelta(days=200)
        case.rig.put_in_force(replace(case.rig.agreement, fresh_until_time=fresh, expires_time=fresh))
        handed = (await case.hand_over()).line.handed
        await case.answer(handed.lead_id)
        await case.rig.drain()
        for name in (ZHEJIANG, JIANGXI):
            assert FACTS.encode() not in case.rig.hosts[name].path.read_bytes()
        case.rig.clock.advance(days=90, seconds=-1)
        for name in (ZHEJIANG, JIANGXI):
            assert (await destroy_ended(case.rig[name])).questions == 0
        await case.rig.drain()

        case.rig.clock.advance(seconds=2)
        ended = [(await destroy_ended(case.rig[name])).questions for name in (ZHEJIANG, JIANGXI)]
        await case.rig.drain()

        assert ended[0] == 2
        for office in (POLICE, YUSHAN_POLICE):
            assert await case.lines(office) == ()
            assert find_body(case.rig[office.node].database, handed.lead_id) is None
        await Border(case.rig, tmp_path, None).verify()
