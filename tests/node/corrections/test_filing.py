"""Filing a correction at the node: at home, across the border, again, and wrongly; and what the list shows of it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from federation.node.corrections import steps as desk
from federation.node.corrections.lines import list_lines
from federation.node.corrections.steps import file_correction
from federation.node.exchange.errand import begin_errand
from federation.node.retention import destroy_ended
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from federation.protocol.leaf import LeafKind, decode_leaf
from federation.store.log_reader import load_entries
from federation.wire.agency.corrections import CorrectionQuery, CorrectionStanding, CorrectionStep
from tests.node.corrections.case import correcting, registered
from tests.node.rig import ANHUI, HALL, JIANGXI, POLICE, YUSHAN_HALL, YUSHAN_POLICE, ZHEJIANG, act, application

XIUNING = parse_agency_id("anhui/341022/service-hall")
COURT = parse_agency_id("zhejiang/330822/court")
PAPER = {"papers": ("ab" * 32,)}
KAIHUA = parse_agency_id("zhejiang/330824/service-hall")


def kinds(rig, name) -> list[LeafKind]:
    node = rig[name]
    return [decode_leaf(entry).kind for entry in load_entries(node.database, 0, node.sequencer.head.size)]


async def test_file_across_the_border_opens_it_at_the_owner_with_its_clock(tmp_path: Path, monkeypatch) -> None:
    """Jiangxi's clerk files; Zhejiang's desk has it, due in ten working days; both sides show the same day."""
    async with registered(tmp_path, monkeypatch) as case:
        outcome = await case.file()

        assert outcome.correction is not None
        assert (outcome.correction.standing, outcome.correction.owner) == (CorrectionStanding.OPEN, ZHEJIANG)
        # START is Monday, 2026-11-23: ten working days later, two weeks without a holiday
        assert outcome.correction.deadline.last_day.isoformat() == "2026-12-07"
        for desk in (HALL, POLICE):
            (line,) = await case.lines(desk)
            assert (line.correction_id, line.to_decide, line.filed_by) == (
                outcome.correction.correction_id, True, YUSHAN_HALL,
            )  # fmt: skip
            assert (line.deadline, line.value) == (outcome.correction.deadline, "徐谷语")
        (filed,) = await case.lines(YUSHAN_HALL)
        assert filed == outcome.correction
        assert await case.lines(YUSHAN_POLICE) == ()
        assert await case.lines(KAIHUA) == ()


async def test_file_at_home_goes_to_the_own_desk_and_no_border_is_crossed(tmp_path: Path, monkeypatch) -> None:
    """A permit of the own province: nothing leaves it; a paper's digest stands for the household place's word."""
    async with registered(tmp_path, monkeypatch) as case:
        before = len(case.rig.faults(ZHEJIANG, JIANGXI).carried)
        outcome = await case.file(KAIHUA, papers=("ab" * 32,))

        assert outcome.correction.standing is CorrectionStanding.OPEN
        assert [line.correction_id for line in await case.lines(HALL)] == [outcome.correction.correction_id]
        assert [line.to_decide for line in await case.lines(KAIHUA)] == [False]
        assert len(case.rig.faults(ZHEJIANG, JIANGXI).carried) == before


async def test_file_again_is_the_same_correction_and_another_text_a_conflict(tmp_path: Path, monkeypatch) -> None:
    """A repeat under its request id is done once; another text under the same id is a conflict; at home as abroad."""
    async with registered(tmp_path, monkeypatch) as case:
        for caller, papers in ((YUSHAN_HALL, ()), (HALL, ("ab" * 32,))):
            request_id = str(uuid.uuid4())
            first = await case.file(caller, request_id=request_id, papers=papers)
            assert await case.file(caller, request_id=request_id, papers=papers) == first
            with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
                await case.file(caller, request_id=request_id, papers=papers, value="徐谷宇")
        await case.rig.drain()
        assert len(await case.lines(HALL)) == 2


async def test_file_without_identity_check_is_refused_by_own_policy(tmp_path: Path, monkeypatch) -> None:
    """Policy refuses before anything leaves, and logs it; an office of another kind files for nobody."""
    async with registered(tmp_path, monkeypatch) as case:
        before = len(case.rig.faults(JIANGXI, ZHEJIANG).carried)
        outcome = await case.file(identity_checked=False)

        assert outcome.decision.policies == ("deny-correct-identity-unchecked",)
        assert outcome.correction is None
        assert kinds(case.rig, JIANGXI)[-1] is LeafKind.REFUSED
        assert len(case.rig.faults(JIANGXI, ZHEJIANG).carried) == before
        assert not (await case.file(COURT)).decision.allowed
        under_another = await file_correction(
            begin_errand(case.rig[JIANGXI], YUSHAN_HALL, act("permit.service", "F01")), case.filing()
        )
        assert not under_another.decision.allowed


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({"citizen_number": "330822219003070018"}, "rule-permit-unknown"),
        ({"urn": "urn:permit:330822:2026:999999"}, "rule-permit-unknown"),
        ({"value": application().holder.name}, "rule-same-value"),
        ({"field": "household_division", "value": "330822"}, "rule-household-not-left"),
    ],
)
async def test_file_what_could_not_be_granted_is_refused_by_the_owner_in_words(
    tmp_path: Path, monkeypatch, changes, policy
) -> None:
    """The owner's refusal is a value: signed, logged, receipted, and shown with its words where it was filed."""
    async with registered(tmp_path, monkeypatch) as case:
        outcome = await case.file(**changes)

        assert outcome.decision.allowed
        assert (outcome.correction.standing, outcome.correction.policies) == (CorrectionStanding.REFUSED, (policy,))
        assert outcome.correction.title_zh
        assert outcome.correction.title_en
        assert kinds(case.rig, ZHEJIANG)[-1] is LeafKind.REFUSED
        assert await case.lines(HALL, everything=True) == ()
        assert await case.lines(YUSHAN_HALL) == ()
        assert len(await case.lines(YUSHAN_HALL, everything=True)) == 1


async def test_file_identity_away_from_the_household_needs_a_paper(tmp_path: Path, monkeypatch) -> None:
    """Owner by field: Anhui's clerk is not the household place of a person from Yushan."""
    async with registered(tmp_path, monkeypatch) as case:
        bare = await case.file(XIUNING)
        papered = await case.file(XIUNING, papers=("ab" * 32,))
        address = await case.file(XIUNING, field="residence_address", value="浙江省衢州市常山县示例路99号")

        assert bare.correction.policies == ("rule-identity-unproven",)
        assert papered.correction.standing is CorrectionStanding.OPEN
        assert address.correction.standing is CorrectionStanding.OPEN


async def test_file_about_a_sealed_permit_tells_another_province_nothing(tmp_path: Path, monkeypatch) -> None:
    """A sealed permit leaves its province for nobody: across the border it is unknown, at home it is corrected."""
    async with registered(tmp_path, monkeypatch, sealed=True) as case:
        assert (await case.file()).correction.policies == ("rule-permit-unknown",)
        assert (await case.file(HALL, papers=("ab" * 32,))).correction.standing is CorrectionStanding.OPEN


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"field": "status", "value": "valid"}, RuleError, "FIELD_NOT_CORRECTABLE"),
        ({"field": "shoe_size", "value": "42"}, MalformedError, "CORRECTION_FIELD"),
        ({"field": "birth_date", "value": "1990-01-01"}, MalformedError, "REAL_NUMBER_IN_DEMO"),
        ({"words": ""}, MalformedError, "CORRECTION_WORDS"),
        ({"papers": ("ab",)}, MalformedError, "CORRECTION_PAPERS"),
        ({"citizen_number": "1"}, MalformedError, "CITIZEN_NUMBER_LENGTH"),
        ({"urn": "urn:permit:110101:2026:000001"}, NotFoundError, "PERMIT_UNKNOWN"),
    ],
)
async def test_file_of_another_form_leaves_nothing(tmp_path: Path, monkeypatch, changes, error, reason) -> None:
    """What is not of its form is an error to the clerk, and neither sent nor logged."""
    async with registered(tmp_path, monkeypatch, names=(ZHEJIANG, JIANGXI)) as case:
        size = case.rig[JIANGXI].sequencer.head.size
        with pytest.raises(error, match=reason):
            await case.file(**changes)
        assert case.rig[JIANGXI].sequencer.head.size == size


async def test_file_with_the_owner_cut_off_waits_and_converges(tmp_path: Path, monkeypatch) -> None:
    """The clerk is told that it waits; lost and repeated messages end in one correction with one deadline."""
    async with registered(tmp_path, monkeypatch, wait=0.2) as case:
        there, back = case.rig.faults(JIANGXI, ZHEJIANG), case.rig.faults(ZHEJIANG, JIANGXI)
        there.cut = True
        outcome = await case.file()
        assert (outcome.correction.standing, outcome.correction.deadline) == (CorrectionStanding.WAITING, None)
        there.drop_requests, there.drop_answers, there.repeat = 1, 1, 1
        back.drop_answers, back.repeat, back.reverse = 1, 1, True
        there.cut = False
        await case.rig.drain()

        (at_owner,) = await case.lines(HALL)
        (at_filer,) = await case.lines(YUSHAN_HALL)
        assert at_filer.deadline == at_owner.deadline
        assert at_filer.standing is CorrectionStanding.OPEN


async def test_file_that_was_receipted_runs_though_the_answer_never_came(tmp_path: Path, monkeypatch) -> None:
    """A receipt means opened: the clock runs at the filing office, too, and what nobody answers is overdue there."""
    async with registered(tmp_path, monkeypatch, wait=0.2) as case:
        case.rig.faults(ZHEJIANG, JIANGXI).cut = True
        outcome = await case.file()

        (at_owner,) = await case.lines(HALL)
        assert outcome.correction.standing is CorrectionStanding.OPEN
        assert (outcome.correction.answer_time, outcome.correction.deadline) == (None, at_owner.deadline)
        case.rig.clock.time = at_owner.deadline.due
        (late,) = await case.lines(YUSHAN_HALL)
        assert (late.standing, late.overdue) == (CorrectionStanding.OPEN, True)


async def test_file_that_expires_on_its_way_waits_and_is_said_anew(tmp_path: Path, monkeypatch) -> None:
    """A request that its owner never got waits; once the owner is back it is opened, and its answer is taken in."""
    async with registered(tmp_path, monkeypatch, wait=0.05) as case:
        case.rig.faults(JIANGXI, ZHEJIANG).cut = True
        await case.file()
        case.rig.clock.advance(days=4)
        await case.rig.drain()

        (line,) = await case.lines(YUSHAN_HALL, everything=True)
        assert line.standing is CorrectionStanding.WAITING

        await case.rig.restore(JIANGXI, ZHEJIANG)
        await destroy_ended(case.rig[JIANGXI])
        await case.rig.drain()

        (line,) = await case.lines(YUSHAN_HALL, everything=True)
        assert line.standing is CorrectionStanding.OPEN
        assert line.answer_time is not None


@pytest.mark.parametrize("office", [HALL, YUSHAN_HALL])
async def test_what_runs_is_not_filed_again(tmp_path: Path, monkeypatch, office) -> None:
    """With the own province or across: the first one's number is told; another value is another, a repeat the same."""
    async with registered(tmp_path, monkeypatch) as case:
        first = await case.file(office, **PAPER, request_id="0c6a9bd6-0b7e-4c52-9d0f-6f9b1f0d7a10")
        again = await case.file(office, **PAPER, request_id=first.correction.correction_id)
        with pytest.raises(RuleError, match="CORRECTION_FILED") as refused:
            await case.file(office, **PAPER)
        other = await case.file(office, **PAPER, value="徐谷禹")

        assert again.correction.correction_id == first.correction.correction_id
        assert first.correction.correction_id in refused.value.message
        assert {line.correction_id for line in await case.lines(office)} == {
            first.correction.correction_id,
            other.correction.correction_id,
        }
        no = CorrectionStep(correction_id=first.correction.correction_id, words="与证件一致")
        assert (await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), no)).decision.allowed
        await case.rig.drain()
        assert (await case.file(office, **PAPER)).correction.correction_id != first.correction.correction_id


async def test_list_is_for_counters_and_pages(tmp_path: Path, monkeypatch) -> None:
    """An office that decides nothing lists nothing; a page ends where it ends; one person's are found by number."""
    async with registered(tmp_path, monkeypatch) as case:
        for value in ("徐谷语", "徐谷宇", "徐谷禹"):
            await case.file(value=value)
        node = case.rig[ZHEJIANG]
        refused = await list_lines(begin_errand(node, COURT, correcting()), CorrectionQuery())
        assert not refused.decision.allowed
        assert refused.corrections == ()
        query = CorrectionQuery(page_size=2, citizen_number=case.application.holder.citizen_number)
        first = await list_lines(begin_errand(node, HALL, correcting()), query)
        second = await list_lines(
            begin_errand(node, HALL, correcting()), replace(query, page_token=first.next_page_token)
        )
        assert (len(first.corrections), len(second.corrections), second.next_page_token) == (2, 1, "")
        assert await case.lines(HALL, citizen_number="330822219003070018") == ()
        with pytest.raises(MalformedError, match="PAGE_TOKEN"):
            await case.lines(HALL, page_token="x")


async def test_all_corrections_go_page_by_page_what_runs_first(tmp_path: Path, monkeypatch) -> None:
    """At the desk that decides and at the office that filed: what runs, then what has ended, each once."""
    async with registered(tmp_path, monkeypatch) as case:
        filed = [(await case.file(value=value)).correction.correction_id for value in ("徐谷语", "徐谷宇", "徐谷禹")]
        filed.append((await case.file(HALL, value="徐谷羽", papers=("ab" * 32,))).correction.correction_id)
        await case.rig.drain()
        for ended in (filed[0], filed[3]):
            step = CorrectionStep(correction_id=ended, words="与户口簿不符")
            await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        await case.rig.drain()
        for caller, running, over in (
            (HALL, filed[1:3], sorted([filed[0], filed[3]])),
            (YUSHAN_HALL, filed[1:3], [filed[0]]),
        ):
            seen, token = [], ""
            while not seen or token:
                query = CorrectionQuery(page_size=1, everything=True, page_token=token)
                page = await list_lines(begin_errand(case.rig[caller.node], caller, correcting()), query)
                seen += [line.correction_id for line in page.corrections]
                token = page.next_page_token
            assert (sorted(seen[:2]), seen[2:]) == (sorted(running), over)


async def test_file_about_a_person_shows_no_person_in_the_clear(tmp_path: Path, monkeypatch) -> None:
    """What names the person is sealed at rest on both sides, and no leaf holds it."""
    async with registered(tmp_path, monkeypatch) as case:
        await case.file()
        for name in (ZHEJIANG, JIANGXI, ANHUI):
            stored = case.rig.hosts[name].path.read_bytes()
            for secret in (case.application.holder.citizen_number, "徐谷语", "户口簿上是语言的语"):
                assert secret.encode() not in stored
