"""What the node keeps of the watch over look-ups: flags, the glass and its review, countersignatures, the digest."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.lookups import Handle, Outcome, SelectorKind
from federation.domain.lookups_case import countersign_bytes
from federation.domain.oversight import Finding, FlagKind
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.lookups import records
from federation.node.lookups.records import HANDLES
from federation.node.officers import LeaderAct
from federation.node.oversight import break_glass, digest, flags, leaders
from federation.node.retention import destroy_ended
from federation.protocol.errors import BridgeheadError, RuleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import parse_message_id
from federation.wire.agency.oversight import CountersignQuestion
from tests.node.lookups.office import CASE, GLASS, NUMBERS, URN, office, public_text
from tests.node.rig import HALL, JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, application, plant_record, register_key


async def test_search_burst_at_night_leaves_flags_with_the_question(tmp_path: Path) -> None:
    """Four look-ups at midnight leave no flag, the fifth does; by day none would."""
    async with office(tmp_path) as found:
        await found.open()
        found.rig.clock.advance(hours=8)
        for number in NUMBERS[:4]:
            await found.search(number)
        assert found.flags() == []

        answer = await found.search(NUMBERS[4])

        assert answer.answers[0].outcome is Outcome.NO_HIT
        assert FlagKind.OFF_HOURS_BURST in found.flags()


async def test_search_by_day_at_one_desk_leaves_no_flag(tmp_path: Path) -> None:
    """Eight look-ups on Monday afternoon, a minute apart, are an officer at work."""
    async with office(tmp_path) as found:
        await found.open()
        for number in NUMBERS[:8]:
            await found.search(number)
            found.rig.clock.advance(minutes=1)
        assert found.flags() == []


async def test_search_under_two_cases_at_once_is_flagged(tmp_path: Path) -> None:
    """One officer's name, two cases, the same second."""
    async with office(tmp_path) as found:
        await found.open()
        await found.open("CASE-2026-0002")
        await found.search(NUMBERS[0])
        found.rig.clock.advance(seconds=1)
        await found.search(NUMBERS[1], "CASE-2026-0002")
        assert found.flags() == [FlagKind.TWO_DESKS]


async def test_searches_at_the_same_moment_do_not_share_the_last_place(tmp_path: Path) -> None:
    """Sixteen at once for sixteen persons: ten are asked, six refused; a case has ten persons however fast one asks."""
    async with office(tmp_path) as found:
        await found.open()
        results = await asyncio.gather(*map(found.search, NUMBERS[:16]))
        refused = [one.answers[0] for one in results if one.answers[0].outcome is Outcome.REFUSED]
        assert {one.policies for one in refused} == {("rule-quota-persons",)}
        assert len(refused) == 6


async def test_two_cases_at_the_same_moment_see_each_other(tmp_path: Path) -> None:
    """Two searches in flight together, under two cases, in one officer's name: the later written is flagged."""
    async with office(tmp_path) as found:
        await found.open()
        await found.open("CASE-2026-0002")
        await asyncio.gather(found.search(NUMBERS[0]), found.search(NUMBERS[1], "CASE-2026-0002"))
        assert found.flags() == [FlagKind.TWO_DESKS]


async def test_break_glass_flags_notices_and_dies_after_two_hours(tmp_path: Path) -> None:
    """The look-up works at once, the leader has a notice, and after two hours the case is over."""
    async with office(tmp_path) as found:
        opened = await found.open(GLASS)
        assert opened.decision.allowed
        assert (await found.search(NUMBERS[0], GLASS)).answers[0].outcome is Outcome.NO_HIT
        assert found.flags() == [FlagKind.BREAK_GLASS]
        notice = break_glass.list_open(found.rig[JIANGXI].database, YUSHAN_POLICE)[0]
        assert (notice.leader, notice.officer, str(notice.due)) == ("leader-1", "officer-1", "2026-11-24")

        found.rig.clock.advance(hours=2)

        assert (await found.search(NUMBERS[0], GLASS)).answers[0].policies == ("deny-lookup-no-case",)


@pytest.mark.attack("an office breaks the glass again and again")
async def test_break_glass_is_blocked_until_the_one_before_is_reviewed(tmp_path: Path) -> None:
    """At once and days later, and of two at one moment one; the leader's signed review opens the way again."""
    async with office(tmp_path) as found:
        at_once = await asyncio.gather(found.open(GLASS), found.open("BREAK-GLASS-2026-003"), return_exceptions=True)
        assert [getattr(one, "reason", "") for one in at_once] == ["", "BREAK_GLASS_UNREVIEWED"]
        for _ in range(2):
            with pytest.raises(RuleError, match="BREAK_GLASS_UNREVIEWED"):
                await found.open("BREAK-GLASS-2026-002")
            found.rig.clock.advance(days=2)
        with pytest.raises(UntrustedError):
            await found.review(signature=base64.b64encode(bytes(64)).decode())

        assert (await found.review()).finding is Finding.JUSTIFIED

        assert (await found.open("BREAK-GLASS-2026-002")).decision.allowed
        with pytest.raises(RuleError, match="BREAK_GLASS_REVIEWED"):
            await found.review()


@pytest.mark.attack("a broken glass that was unjustified goes on")
async def test_break_glass_found_unjustified_ends_with_its_handles_on_both_sides(tmp_path: Path) -> None:
    """Both provinces have the case closed in the moment of the review: no search, no field, no handle for it."""
    async with office(tmp_path) as found:
        answer = await permits.register(begin_errand(found.rig[ZHEJIANG], HALL, act()), application())
        await found.open(GLASS)
        hit = (await found.search(answer.permit.urn, GLASS, SelectorKind.PERMIT)).answers[0]
        assert hit.handle is not None
        kept = HANDLES.find(found.rig[ZHEJIANG].database, hit.handle)
        assert kept is not None

        await found.review(Finding.UNJUSTIFIED, words="无警情记录")
        await found.rig.drain()

        for name, announced in ((JIANGXI, False), (ZHEJIANG, True)):
            case = records.find_case(found.rig[name].database, YUSHAN_POLICE, GLASS, announced=announced)
            assert (case.closed, case.closes) == (True, found.rig.clock())
            await destroy_ended(found.rig[name])
        assert HANDLES.find(found.rig[ZHEJIANG].database, hit.handle) is None
        assert (await found.search(NUMBERS[0], GLASS)).answers[0].policies == ("deny-lookup-no-case",)
        assert (await found.open("BREAK-GLASS-2026-002")).decision.allowed


async def test_break_glass_found_justified_runs_on(tmp_path: Path) -> None:
    """The case keeps its two hours."""
    async with office(tmp_path) as found:
        await found.open(GLASS)
        await found.review()
        assert (await found.search(NUMBERS[0], GLASS)).answers[0].outcome is Outcome.NO_HIT


@pytest.mark.parametrize("given", [{"letter": "玉公协〔2026〕1号"}, {"days": 30}])
async def test_break_glass_with_a_letter_or_days_is_refused_and_leaves_nothing(tmp_path: Path, given) -> None:
    """What contradicts a case without a letter is not ignored in silence; the no stands in the log."""
    async with office(tmp_path) as found:
        size = found.rig[JIANGXI].sequencer.head.size
        with pytest.raises(RuleError, match="BREAK_GLASS_TERMS"):
            await found.open(GLASS, **given)
        assert found.flags() == []
        assert found.rig[JIANGXI].sequencer.head.size == size + 1


@pytest.mark.attack("a glass broken under a leader of one's own invention")
@pytest.mark.parametrize(
    ("leader", "reason"),
    [
        ("officer-1", "BREAK_GLASS_LEADER"),
        ("nobody-1", "BREAK_GLASS_LEADER_KEY"),
        ("leader-2", "BREAK_GLASS_LEADER"),
    ],
    ids=["themselves", "a name without a key", "their own key under another name"],
)
async def test_break_glass_without_a_leader_who_can_review_is_refused(tmp_path: Path, leader, reason) -> None:
    """Nobody is their own reviewer, and who reviews has a registered key; no case, no notice, no flag."""
    async with office(tmp_path) as found:
        for name in ("officer-1", "leader-2"):
            await register_key(found.rig[JIANGXI], YUSHAN_POLICE, name, key=public_text(found.second))
        with pytest.raises(RuleError, match=rf"^{reason}:|{reason}\b"):
            await found.open(GLASS, leader=leader)
        assert found.flags() == []
        assert "deny-lookup-no-case" in (await found.search(NUMBERS[0], GLASS)).answers[0].policies


async def test_eleventh_person_needs_the_leaders_own_signature(tmp_path: Path) -> None:
    """Ten persons pass; the eleventh waits for a countersignature that no other officer or key can give."""
    async with office(tmp_path) as found:
        await found.open()
        for number in NUMBERS[:10]:
            await found.search(number)
        assert (await found.search(NUMBERS[10])).answers[0].policies == ("rule-quota-persons",)
        node, content = found.rig[JIANGXI], countersign_bytes(CASE, YUSHAN_POLICE)

        async def countersign(by: LeaderAct) -> None:
            question = CountersignQuestion(case_id=by.case_id, signature=by.signature)
            await leaders.countersign(begin_errand(node, YUSHAN_POLICE, found.act(by.leader)), question)

        for wrong in (
            found.signed(CASE, content, leader="officer-1"),
            found.signed(CASE, countersign_bytes(GLASS, YUSHAN_POLICE)),
            replace(found.signed(CASE, content), signature="not base64!"),
            found.signed("CASE-2026-0009", content),
        ):
            with pytest.raises(BridgeheadError):
                await countersign(wrong)
        assert (await found.search(NUMBERS[10])).answers[0].policies == ("rule-quota-persons",)

        await countersign(found.signed(CASE, content))

        assert (await found.search(NUMBERS[10])).answers[0].outcome is Outcome.NO_HIT


async def test_daily_digest_tells_look_ups_and_masks_the_person(tmp_path: Path) -> None:
    """Officer's own day: cases, provinces, outcomes, ids, masked persons; yesterday and other officers are not in it."""
    async with office(tmp_path) as found:
        await found.open()
        node = found.rig[JIANGXI]
        for number in NUMBERS[:3]:
            await found.search(number)
            found.rig.clock.advance(minutes=1)
        today = digest.daily_digest(node, YUSHAN_POLICE, "officer-1", day=node.today())
        assert [line.case_id for line in today.lines] == [CASE] * 3
        assert [line.person for line in today.lines] == [f"{each[:6]}{'*' * 10}{each[-2:]}" for each in NUMBERS[:3]]
        assert today.lines[0].outcomes == {ZHEJIANG: Outcome.NO_HIT}
        assert not any(number in repr(today) for number in NUMBERS)
        for officer, day in (("officer-2", node.today()), ("officer-1", node.today() - timedelta(days=1))):
            assert digest.daily_digest(node, YUSHAN_POLICE, officer, day=day).lines == ()


async def test_planted_record_raises_a_flag_on_both_sides(tmp_path: Path) -> None:
    """The asker's node knows its planted numbers, the answering node its planted records; others raise nothing."""
    async with office(tmp_path) as found:
        await found.open()
        await found.search(URN, kind=SelectorKind.PERMIT)
        assert found.flags() == []
        await plant_record(found.rig[JIANGXI], URN)

        await found.search(URN, kind=SelectorKind.PERMIT)

        assert found.flags() == [FlagKind.HONEY]
        now = found.rig.clock()
        handle = Handle(
            handle="h" * 32, lookup_id=parse_message_id("00000000-0000-7000-8000-000000000000"), case_id=CASE,
            asker=YUSHAN_POLICE, officer="officer-1", dossier=URN, expires=now,
        )  # fmt: skip
        raised = flags.judge_hit(found.rig[JIANGXI].database, handle, now)
        assert [one.kind for one in raised] == [FlagKind.HONEY]
        assert flags.judge_hit(found.rig[ZHEJIANG].database, handle, now) == ()
