"""A province whose offices answer corrections as they please: what it signs is genuine, and none of it stands.

Yushan's service hall filed a correction with Changshan. Each answer here is signed by Zhejiang's own key and handed to
Jiangxi over Zhejiang's own connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from federation.domain.corrections import CorrectionAnswer, CorrectionState
from federation.node.corrections.lines import ANSWERS, CORRECTIONS
from federation.node.corrections.steps import ANSWER
from federation.node.exchange.receive import receive
from federation.protocol.errors import UnavailableError
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId, parse_agency_id
from federation.protocol.leaf import Verdict, decode_leaf
from federation.protocol.receipt import Receipt, Submission
from federation.protocol.statement import Recipient, Sender
from federation.store.exchange_log import GroupTransaction
from federation.wire.agency.corrections import CorrectionStanding
from tests.node.corrections.case import Case, registered
from tests.node.rig import HALL, JIANGXI, POLICE, YUSHAN_HALL, ZHEJIANG, one_item_body, sign, statement

KAIHUA = parse_agency_id("zhejiang/330824/service-hall")
COURT = parse_agency_id("zhejiang/330822/court")
SEQS = count(9_000)
GRANTED, DENIED = CorrectionState.GRANTED, CorrectionState.DENIED


class Owner:
    """The owner's side, which says what it likes of one correction."""

    def __init__(self, case: Case, opened: CorrectionAnswer, cites: str) -> None:
        self.case, self.opened, self.cites = case, opened, cites

    def said(self, *, office: AgencyId = HALL, extended_by: int = 0, **changes: object) -> Submission:
        deadline = replace(self.opened.deadline, extended_by=extended_by)
        body = one_item_body(ANSWER.media_type, encode(replace(self.opened, deadline=deadline, **changes)))
        made = statement(
            self.case.rig, body, seq=next(SEQS), kind=ANSWER.name, sender=Sender(node=ZHEJIANG, agency=office),
            recipient=Recipient(node=JIANGXI, agency=YUSHAN_HALL), purpose="subject.correct", in_reply_to=self.cites,
        )  # fmt: skip
        return Submission(envelope=sign(made), body=body)

    async def say(self, **what: object) -> tuple[str, ...]:
        """The rule that refused it at Jiangxi; nothing when it was taken in."""
        receipt = await receive(self.case.rig[JIANGXI], self.said(**what), peer=ZHEJIANG)
        leaf = decode_leaf(receipt.leaf)
        return leaf.policies if leaf.verdict is Verdict.REFUSED else ()

    async def standing(self) -> CorrectionStanding:
        (line,) = await self.case.lines(YUSHAN_HALL, everything=True)
        return line.standing


@asynccontextmanager
async def filed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Owner]:
    async with registered(folder, monkeypatch, names=(ZHEJIANG, JIANGXI)) as case:
        correction_id = (await case.file()).correction.correction_id
        await case.rig.drain()
        kept = CORRECTIONS.find(case.rig[ZHEJIANG].database, correction_id)
        yield Owner(case, ANSWERS.find(case.rig[JIANGXI].database, correction_id), kept.cited)


async def test_answer_of_an_office_that_does_not_hold_the_record_is_refused(tmp_path: Path, monkeypatch) -> None:
    """Another county's service hall and the county's own court decide nothing; the county's police may."""
    async with filed(tmp_path, monkeypatch) as owner:
        for office in (KAIHUA, COURT):
            denied = {"office": office, "version": 2, "state": DENIED, "words": "不予更正"}
            assert await owner.say(**denied) == ("rule-correction-office",)
        assert await owner.standing() is CorrectionStanding.OPEN

        assert await owner.say(office=POLICE, version=2, state=DENIED, words="不予更正") == ()
        assert await owner.standing() is CorrectionStanding.DENIED


@pytest.mark.parametrize(
    "leap",
    [
        {"version": 2**53 - 1, "state": DENIED},
        {"version": 3, "state": DENIED},
        {"version": 2},
        {"version": 3, "extended_by": 5},
        {"version": 2, "state": GRANTED},
        {"version": 2, "state": DENIED, "permit_version": 2},
    ],
    ids=["pinned for ever", "a step left out", "no step", "extended twice", "granted nothing", "denied and granted"],
)
async def test_version_that_leaps_is_refused_and_pins_nothing(tmp_path: Path, monkeypatch, leap) -> None:
    """A version counts the steps that were taken; the true one still comes through."""
    async with filed(tmp_path, monkeypatch) as owner:
        assert await owner.say(words="理由", **leap) == ("rule-correction-step",)
        assert await owner.standing() is CorrectionStanding.OPEN

        assert await owner.say(version=2, state=GRANTED, permit_version=2) == ()
        assert await owner.standing() is CorrectionStanding.GRANTED


async def test_end_is_final_whatever_comes_after_it(tmp_path: Path, monkeypatch) -> None:
    """Granted after denied, denied anew in other words, extended after the end: the first end stays."""
    async with filed(tmp_path, monkeypatch) as owner:
        assert await owner.say(version=2, state=DENIED, words="与户口簿不符") == ()

        for after in (
            {"version": 3, "state": GRANTED, "permit_version": 2, "extended_by": 5},
            {"version": 2, "state": GRANTED, "permit_version": 2},
            {"version": 2, "state": DENIED, "words": "别的理由"},
            {"version": 2, "extended_by": 5},
        ):
            assert await owner.say(**after) == ("rule-correction-step",)

        assert await owner.say(version=2, state=DENIED, words="与户口簿不符") == ()  # said again on its way
        assert await owner.standing() is CorrectionStanding.DENIED


async def test_contradicting_answers_at_one_moment_leave_one(tmp_path: Path, monkeypatch) -> None:
    """Both were judged before either was kept: one is taken in, the other is to be sent again and refused then."""
    async with filed(tmp_path, monkeypatch) as owner:
        said = [
            owner.said(version=2, state=DENIED, words="不予更正"),
            owner.said(version=3, state=GRANTED, permit_version=2, extended_by=5),
        ]
        node = owner.case.rig[JIANGXI]
        both, commit = asyncio.Barrier(len(said)), node.sequencer.commit

        async def commit_once_both_are_judged(job: Callable[[GroupTransaction], object]) -> object:
            await both.wait()
            return await commit(job)

        with monkeypatch.context() as held:
            held.setattr(node.sequencer, "commit", commit_once_both_are_judged)
            came = await asyncio.gather(*(receive(node, each, peer=ZHEJIANG) for each in said), return_exceptions=True)

        assert sorted(type(each) for each in came if not isinstance(each, Receipt)) == [UnavailableError]
        lost = next(each for each, answer in zip(said, came, strict=True) if isinstance(answer, UnavailableError))
        leaf = decode_leaf((await receive(node, lost, peer=ZHEJIANG)).leaf)
        assert leaf.policies == ("rule-correction-step",)
