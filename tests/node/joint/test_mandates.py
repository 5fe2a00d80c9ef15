"""Look-ups under a letter's case at two nodes: granted in it, asked by another, ended at both with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from federation.domain.case_items import CaseItem
from federation.domain.lookups import Outcome, Selector, SelectorKind
from federation.domain.lookups_case import LookupCase
from federation.node.exchange.errand import begin_errand
from federation.node.joint import case_sharing
from federation.node.log.check import check_store
from federation.node.lookups import ask, cases, records
from federation.protocol.errors import MalformedError, RuleError
from federation.wire.agency.cases import CaseOutcome
from federation.wire.agency.lookups import CaseQuestion, LookupQuestion, ProvinceAnswer
from tests.node.joint.desks import Desks, desks, digest
from tests.node.rig import JIANGXI, POLICE, YUSHAN_POLICE, ZHEJIANG, act, applications

PURPOSE = "lookup.identity_check"
NO_CASE = "deny-lookup-no-case"
NUMBER = applications()[0].holder.citizen_number


async def carried_out(found: Desks, *, number: int = 7, paper: str = "letter", letter: CaseItem | None = None) -> Desks:
    """Another letter of Yushan's police, which Changshan's carries out; each has a case of its own."""
    case = Desks(found.rig, why=("letter.check", "F03"))
    await case.open(
        YUSHAN_POLICE, procedure="police-letter-check", role="requesting", division="361123", fields={}
    )  # fmt: skip
    for role in ("intake", "unit"):
        await case.does(YUSHAN_POLICE, "invite", agency=str(POLICE), role=role)
    await case.settled()
    await case.does(POLICE, "join")
    await case.settled()
    await case.does(
        YUSHAN_POLICE, "fill_letter", *([] if letter is None else [letter]), kind="check", case_kind="criminal", number=f"玉公协〔2126〕{number}号"
    )  # fmt: skip
    for kind, text in (("letter", paper), ("police_id", "police_id")):
        await case.does(YUSHAN_POLICE, "attach_paper", paper_kind=kind, manifest=digest(text))
    await case.does(YUSHAN_POLICE, "sign_letter", officer="leader-1")
    await case.does(YUSHAN_POLICE, "move", to="intake")
    await case.settled()
    await case.does(POLICE, "receive_letter")
    await case.does(POLICE, "accept_letter")
    await case.does(POLICE, "move", to="assigned")
    await case.does(POLICE, "assign_unit", unit=str(POLICE), who=f"{POLICE}#officer-8")
    await case.does(POLICE, "move", to="executing")
    await case.settled()
    return case


async def grant(case: Desks, **changes: str) -> CaseOutcome:
    terms = {
        "purposes": PURPOSE, "counties": "330822", "days": "30", "leader": f"{YUSHAN_POLICE}#leader-1",
        "letter": digest("letter"), **changes,
    }  # fmt: skip
    outcome = await case.tries(YUSHAN_POLICE, "grant_lookup", officer="leader-1", **terms)
    await case.settled()
    return outcome


async def search(case: Desks, *, officer: str = "officer-1", purpose: str = PURPOSE) -> ProvinceAnswer:
    question = LookupQuestion(
        case_id=case.case, selector=Selector(kind=SelectorKind.CITIZEN_NUMBER, value=NUMBER), provinces=(ZHEJIANG,)
    )
    errand = begin_errand(case.rig[JIANGXI], YUSHAN_POLICE, act(purpose, "F03", officer=officer))
    (answer,) = (await ask.search(errand, question)).answers
    return answer


def kept(case: Desks) -> list[LookupCase | None]:
    """The look-up case at the asking node, and at the one asked."""
    return [
        records.find_case(case.rig[name].database, YUSHAN_POLICE, case.case, announced=name == ZHEJIANG)
        for name in (JIANGXI, ZHEJIANG)
    ]


async def test_granted_look_up_is_answered_and_one_beyond_the_grant_is_not(tmp_path: Path) -> None:
    """Both nodes have the same look-up case of the fold; without a grant, by its leader or for another purpose: no."""
    async with desks(tmp_path) as found:
        case = await carried_out(found)
        assert NO_CASE in (await search(case)).policies
        assert kept(case) == [None, None]

        assert (await grant(case)).decision.allowed
        own, told = kept(case)
        assert own == told
        assert own is not None
        assert own.leader == "leader-1"
        assert (await search(case)).outcome in (Outcome.HIT, Outcome.NO_HIT, Outcome.WAITING)
        assert (await search(case, officer="leader-1")).policies == ("rule-case-leader-asks",)
        assert (await search(case, purpose="lookup.missing_person")).outcome is Outcome.REFUSED

        case.rig.clock.advance(days=30)
        case.rig.put_in_force(case.rig.agreement)
        assert NO_CASE in (await search(case)).policies  # its term is over


async def leave_stage(case: Desks) -> None:
    await case.does(POLICE, "file_result", result="match", beyond="no", identity="match")
    await case.does(POLICE, "move", to="answered")


async def dispute(case: Desks) -> None:
    await case.does(POLICE, "raise_dispute", what="管辖")


async def close(case: Desks) -> None:
    await case.does(POLICE, "report_impossible", tried="三次")
    await case.settled()
    await case.does(YUSHAN_POLICE, "confirm_result")
    await case.does(YUSHAN_POLICE, "close", outcome="impossible")


ENDS: tuple[Callable[[Desks], Awaitable[None]], ...] = (leave_stage, dispute, close)


async def test_end_of_the_stage_a_dispute_and_the_close_end_the_look_ups_at_both_nodes(tmp_path: Path) -> None:
    """Nobody asks, and the other side answers nothing, from the entry on that ended it."""
    async with desks(tmp_path) as found:
        for number, end in enumerate(ENDS):
            case = await carried_out(found, number=number, paper=f"letter {number}")
            await grant(case, letter=digest(f"letter {number}"))
            assert NO_CASE not in (await search(case)).policies
            await end(case)
            await case.settled()
            assert NO_CASE in (await search(case)).policies
            own, told = kept(case)
            assert own == told
            assert own is not None
            assert own.closed
        for name in (JIANGXI, ZHEJIANG):
            assert check_store(case.rig[name].database, case.rig.agreement).findings == ()


async def test_end_holds_before_a_node_has_written_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up case still stands open in both stores, as after a fall at that moment; the fold says no."""
    async with desks(tmp_path) as found:
        case = await carried_out(found)
        await grant(case)
        monkeypatch.setattr(case_sharing, "put_mandates", lambda *_, **__: None)
        await dispute(case)
        await case.settled()
        assert [each is not None and each.closed for each in kept(case)] == [False, False]
        assert NO_CASE in (await search(case)).policies


async def test_wrong_grant_is_not_written_and_no_letter_takes_the_number(tmp_path: Path) -> None:
    """Beyond what the case allows nothing is granted; nor does a look-up case by letter stand under its code."""
    async with desks(tmp_path) as found:
        case = await carried_out(found)
        for why, changes in (
            ("LOOKUP_PURPOSE", {"purposes": "lookup.missing_person"}),
            ("LOOKUP_COUNTY", {"counties": "330822,341022"}),
            ("LOOKUP_TERM", {"days": "91"}),
            ("LOOKUP_LEADER", {"leader": f"{YUSHAN_POLICE}#leader-2"}),
        ):
            with pytest.raises(RuleError, match=why):
                await grant(case, **changes)
        assert kept(case) == [None, None]
        terms = CaseQuestion(
            case_id=case.case, letter="玉公协〔2126〕9号", counties=frozenset({"330822"}), purposes=frozenset({PURPOSE}),
            days=30, leader="leader-1",
        )  # fmt: skip
        errand = begin_errand(case.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03", officer="leader-1"))
        with pytest.raises(MalformedError, match="CASE_ID"):
            await cases.begin_case(errand, terms)


async def test_letter_is_for_one_case(tmp_path: Path) -> None:
    """By its number or its paper it is used a second time in no case of the kind, nor in a look-up case; both sides."""
    async with desks(tmp_path) as found:
        await carried_out(found)
        for again in ({"number": 7, "paper": "another"}, {"number": 8}):
            with pytest.raises(RuleError, match="LETTER_USED"):
                await carried_out(found, **again)
        errand = begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, act(PURPOSE, "F03", officer="leader-1"))
        question = CaseQuestion(
            case_id="YS-2126-0001", letter="玉公协〔2126〕 7号", counties=frozenset({"330822"}),
            purposes=frozenset({PURPOSE}), days=30, leader="leader-1",
        )  # fmt: skip
        with pytest.raises(RuleError, match="LETTER_USED"):
            await cases.begin_case(errand, question)


async def test_letter_that_another_province_uses_twice_is_refused_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own node lets it; ours takes the second one in no case, and both sides are told which entry it was."""
    async with desks(tmp_path) as found:
        await carried_out(found)
        with monkeypatch.context() as hostile:
            taken = case_sharing.CaseSharing.rows_with
            hostile.setattr(  # no look at the letters of its own entries
                case_sharing.CaseSharing,
                "rows_with",
                lambda self, source, kept, *, replica=True: taken(self, source, kept) if replica else (),
            )
            case = Desks(found.rig, why=("letter.check", "F03"))
            await case.open(
                YUSHAN_POLICE, procedure="police-letter-check", role="requesting", division="361123", fields={}
            )  # fmt: skip
            await case.does(YUSHAN_POLICE, "invite", agency=str(POLICE), role="intake")
            await case.settled()
            entry = await case.does(YUSHAN_POLICE, "attach_paper", paper_kind="letter", manifest=digest("letter"))
        assert entry.deliveries[0].policies == ("rule-letter-used",)
        assert entry.name not in case.held(ZHEJIANG).kept
        assert any("refused entry" in notice.en for notice in (await case.view(POLICE)).notices)
