"""The owner's desk at the node: extending, denying, letting the time pass; who may, and what the other side sees."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.domain.erasure import ErasureGrounds
from federation.node.corrections import steps as desk
from federation.node.corrections.steps import ANSWER_KIND
from federation.node.exchange.erase import destroy_message
from federation.node.exchange.errand import begin_errand
from federation.node.retention import destroy_ended
from federation.protocol.errors import ConflictError, MalformedError, NotFoundError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import Pair, parse_agency_id
from federation.store.messages import StoredMessage, list_messages
from federation.wire.agency.corrections import CorrectionExtension, CorrectionStanding, CorrectionStep
from tests.node.corrections.case import Case, correcting, registered
from tests.node.retention.released import Border
from tests.node.rig import HALL, JIANGXI, POLICE, YUSHAN_HALL, YUSHAN_POLICE, ZHEJIANG, act

KAIHUA = parse_agency_id("zhejiang/330824/service-hall")


async def test_deny_tells_the_filing_office_why(tmp_path: Path, monkeypatch) -> None:
    """PIPL article 50: a refusal with reasons, shown where it was filed; the desk has nothing open any more."""
    async with registered(tmp_path, monkeypatch) as case:
        opened = (await case.file()).correction
        step = CorrectionStep(correction_id=opened.correction_id, words="与户口簿不符")
        request = correcting()
        denied = await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, request), step)
        again = await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, request), step)
        await case.rig.drain()

        assert (denied.correction.standing, again) == (CorrectionStanding.DENIED, denied)
        (seen,) = await case.lines(YUSHAN_HALL, everything=True)
        assert (seen.standing, seen.answer) == (CorrectionStanding.DENIED, "与户口簿不符")
        assert await case.lines(HALL) == ()
        with pytest.raises(RuleError, match="CORRECTION_ENDED"):
            await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        with pytest.raises(ConflictError, match="REQUEST_ID_REUSED"):
            other = CorrectionStep(correction_id=opened.correction_id, words="别的理由")
            await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, request), other)


async def test_extend_once_in_time_tells_the_applicant(tmp_path: Path, monkeypatch) -> None:
    """Ten working days more at most, once; the filing office sees the new day and the words."""
    async with registered(tmp_path, monkeypatch) as case:
        opened = (await case.file()).correction
        step = CorrectionExtension(correction_id=opened.correction_id, words="等待户籍地答复", days=10)
        extended = await desk.extend(begin_errand(case.rig[ZHEJIANG], POLICE, correcting()), step)
        await case.rig.drain()

        assert extended.correction.deadline.last_day.isoformat() == "2026-12-21"
        (seen,) = await case.lines(YUSHAN_HALL)
        assert (seen.deadline, seen.answer) == (extended.correction.deadline, "等待户籍地答复")
        with pytest.raises(RuleError, match="EXTENSION_USED"):
            await desk.extend(begin_errand(case.rig[ZHEJIANG], POLICE, correcting()), step)


async def test_extend_past_the_persons_answer_is_refused(tmp_path: Path, monkeypatch) -> None:
    """Every request of a person is answered within thirty days: over the spring festival ten days more are too many."""
    async with registered(tmp_path, monkeypatch) as case:
        fresh = case.rig.agreement.fresh_until_time + timedelta(days=120)
        case.rig.put_in_force(replace(case.rig.agreement, fresh_until_time=fresh, expires_time=fresh))
        case.rig.clock.time = datetime(2027, 1, 28, 2, tzinfo=UTC)
        opened = (await case.file()).correction
        step = CorrectionExtension(correction_id=opened.correction_id, words="等待户籍地答复", days=10)
        with pytest.raises(RuleError, match="EXTENSION_PAST_ANSWER"):
            await desk.extend(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        fewer = await desk.extend(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), replace(step, days=9))
        assert fewer.correction.deadline.extended_by == 9
        assert not fewer.correction.deadline.official


async def test_time_that_passes_is_seen_on_both_sides_first(tmp_path: Path, monkeypatch) -> None:
    """The owner lets the time pass: overdue at the desk and where it was filed, ahead of what is still in time."""
    async with registered(tmp_path, monkeypatch) as case:
        fresh = case.rig.agreement.fresh_until_time + timedelta(days=60)
        case.rig.put_in_force(replace(case.rig.agreement, fresh_until_time=fresh))
        late = (await case.file()).correction
        case.rig.clock.advance(days=10)
        young = (await case.file(value="徐谷宇")).correction
        await case.rig.drain()
        case.rig.clock.time = late.deadline.due

        for caller in (HALL, YUSHAN_HALL):
            lines = await case.lines(caller)
            assert [(line.correction_id, line.overdue) for line in lines] == [
                (late.correction_id, True), (young.correction_id, False),
            ]  # fmt: skip
        step = CorrectionExtension(correction_id=late.correction_id, words="太晚", days=1)
        with pytest.raises(RuleError, match="EXTENSION_TOO_LATE"):
            await desk.extend(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        done = await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        assert (done.correction.standing, done.correction.overdue) == (CorrectionStanding.DENIED, False)


async def test_only_the_issuing_county_decides(tmp_path: Path, monkeypatch) -> None:
    """For another county it is not there; another province is told that the owner decides."""
    async with registered(tmp_path, monkeypatch) as case:
        opened = (await case.file()).correction
        step = CorrectionStep(correction_id=opened.correction_id, words="不予更正")
        with pytest.raises(NotFoundError, match="CORRECTION_UNKNOWN"):
            await desk.deny(begin_errand(case.rig[ZHEJIANG], KAIHUA, correcting()), step)
        purpose = await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, act("permit.administration", "F02")), step)

        assert not purpose.decision.allowed
        with pytest.raises(RuleError, match="CORRECTION_NOT_OURS"):
            await desk.deny(begin_errand(case.rig[JIANGXI], YUSHAN_HALL, correcting()), step)
        with pytest.raises(NotFoundError, match="CORRECTION_UNKNOWN"):  # another office's filing is not there
            await desk.deny(begin_errand(case.rig[JIANGXI], YUSHAN_POLICE, correcting()), step)
        unknown = CorrectionStep(correction_id=str(uuid.uuid4()), words="x")
        with pytest.raises(NotFoundError, match="CORRECTION_UNKNOWN"):
            await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), unknown)
        bare = CorrectionStep(correction_id=opened.correction_id)
        with pytest.raises(MalformedError, match="CORRECTION_WORDS"):
            await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), bare)


async def test_two_desks_at_once_take_one_step(tmp_path: Path, monkeypatch) -> None:
    """Hall and police decide at the same moment: one of them does, the other is told that it was done."""
    async with registered(tmp_path, monkeypatch) as case:
        opened = (await case.file()).correction
        step = CorrectionStep(correction_id=opened.correction_id, words="不予更正")
        calls = [desk.deny(begin_errand(case.rig[ZHEJIANG], each, correcting()), step) for each in (HALL, POLICE)]
        found = await asyncio.gather(*calls, return_exceptions=True)

        assert sorted(isinstance(each, ConflictError | RuleError) for each in found) == [False, True]


async def test_answers_in_reverse_order_leave_the_newest(tmp_path: Path, monkeypatch) -> None:
    """Extended, then denied, and brought the other way round, twice: the filing office ends with the denial."""
    async with registered(tmp_path, monkeypatch) as case:
        opened = (await case.file()).correction
        await case.rig.drain()
        back = case.rig.faults(ZHEJIANG, JIANGXI)
        back.cut = True
        for take, days in ((desk.extend, 5), (desk.deny, 0)):
            step = CorrectionExtension(correction_id=opened.correction_id, words="理由", days=days)
            await take(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
        back.reverse, back.repeat, back.cut = True, 2, False
        await case.rig.drain()

        (seen,) = await case.lines(YUSHAN_HALL, everything=True)
        assert (seen.standing, seen.deadline.extended_by) == (CorrectionStanding.DENIED, 5)


async def test_answer_that_expired_on_its_way_is_said_again(tmp_path: Path, monkeypatch) -> None:
    """The filing province was away for longer than a statement lives: it learns the end when it is back, once."""
    async with registered(tmp_path, monkeypatch) as case:
        opened = (await case.file()).correction
        await expire_answer(case, opened.correction_id)
        (before,) = await case.lines(YUSHAN_HALL, everything=True)
        assert before.standing is CorrectionStanding.OPEN

        for _ in range(2):
            await destroy_ended(case.rig[ZHEJIANG])
            await case.rig.drain()

        (seen,) = await case.lines(YUSHAN_HALL, everything=True)
        assert (seen.standing, seen.answer) == (CorrectionStanding.DENIED, "与户口簿不符")
        assert len(answers(case)) == 3  # opened, denied, denied once more
        await Border(case.rig, tmp_path, None).verify()


async def test_answer_that_ended_here_is_not_said_again(tmp_path: Path, monkeypatch) -> None:
    """What was destroyed stays unsaid, and the rest of the round goes on."""
    async with registered(tmp_path, monkeypatch) as case:
        opened = (await case.file()).correction
        await expire_answer(case, opened.correction_id)
        node, last = case.rig[ZHEJIANG], answers(case)[-1]
        await node.sequencer.commit(lambda tx: destroy_message(node, tx, last, grounds=ErasureGrounds.EXPIRED))

        await destroy_ended(case.rig[ZHEJIANG])
        await case.rig.drain()

        assert len(answers(case)) == 2
        (seen,) = await case.lines(YUSHAN_HALL, everything=True)
        assert seen.standing is CorrectionStanding.OPEN


async def expire_answer(case: Case, correction_id: str) -> None:
    """The desk denies while the line is cut, which stays so for longer than a statement lives."""
    faults = case.rig.faults(ZHEJIANG, JIANGXI)
    await case.rig.drain()
    faults.cut = True
    step = CorrectionStep(correction_id=correction_id, words="与户口簿不符")
    await desk.deny(begin_errand(case.rig[ZHEJIANG], HALL, correcting()), step)
    case.rig.clock.advance(days=4)
    case.rig[ZHEJIANG].wake_delivery(JIANGXI)
    await case.rig.drain()
    await case.rig.restore(ZHEJIANG, JIANGXI)


def answers(case: Case) -> list[StoredMessage]:
    pair = Pair(ZHEJIANG, JIANGXI)
    return list_messages(case.rig[ZHEJIANG].database, "sent", pair=pair, after_seq=0, limit=99, kinds=(ANSWER_KIND,))
