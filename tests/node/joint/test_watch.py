"""What an office that watches its cases is told: at once, as each stands, behind any break, and nothing of others'."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from federation.node import feed
from federation.node.exchange.errand import begin_errand
from federation.node.feed import BEGINNING
from federation.node.joint.records import CHANGES
from federation.node.joint.steps import watch_cases
from federation.protocol.errors import MalformedError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId
from federation.wire.agency.cases import CaseLine, CaseNews
from tests.node.joint.desks import COURT, PEER, STRANGER, TOWN, WHY, Desks, desks
from tests.node.joint.test_entries import register
from tests.node.rig import JIANGXI, ZHEJIANG, act

KEEPS = b"""@id("keep-from-lists")
@title("x") @title_en("x") @basis("x") @clause1("x|x")
forbid (principal, action == Fed::Action::"case.read", resource is Fed::JointCase)
when { resource.procedure == "dispute-mediation" };
"""


def watch(case: Desks, caller: AgencyId, after: str = "", *, signed: bool = False):
    errand = begin_errand(case.rig[caller.node], caller, act(*WHY))
    return aclosing(watch_cases(replace(errand, is_signed=signed), after))


def line_of(news: CaseNews) -> CaseLine:
    assert news.line is not None
    return news.line


async def joined(case: Desks) -> None:
    await case.open()
    await register(case)
    await case.invites(PEER, "peer")


async def test_office_is_told_of_its_open_cases_and_at_once_of_what_changes(tmp_path: Path) -> None:
    """What the other province did is told as it is taken in, and is what the list and `show` say."""
    async with desks(tmp_path) as case:
        await joined(case)
        async with watch(case, PEER) as stream:
            first = await anext(stream)
            assert (line_of(first).code, line_of(first).stage) == (case.case, "registration")
            waiting = asyncio.create_task(anext(stream))
            await case.does(TOWN, "move", to="acceptance")
            async with asyncio.timeout(feed.IDLE_SECONDS - 1):  # woken: long before it would look by itself
                second = await waiting
        assert line_of(second).stage == "acceptance"
        assert line_of(second) == (await case.view(PEER)).line


async def test_nothing_is_lost_behind_a_token_and_each_case_is_told_as_it_stands(tmp_path: Path) -> None:
    """Many changes while nobody watched are one line; settling again without a change is none."""
    async with desks(tmp_path) as case:
        await joined(case)
        async with watch(case, TOWN, BEGINNING) as stream:
            seen = await anext(stream)
        for _ in range(3):
            await case.does(TOWN, "note")
        await case.does(TOWN, "move", to="acceptance")
        async with watch(case, TOWN, seen.token) as stream:
            again = await anext(stream)
            assert (line_of(again).stage, again.token != seen.token) == ("acceptance", True)
            waiting = asyncio.create_task(anext(stream, None))
            await case.settled()
            await asyncio.sleep(0)
            assert not waiting.done()
            case.rig[ZHEJIANG].waiters.end()
            assert await waiting is None


async def test_office_that_takes_no_part_is_told_nothing_and_a_token_is_of_one_office(tmp_path: Path) -> None:
    """Neither the case nor that there is one; another office's token, and an invented one, open nothing."""
    async with desks(tmp_path) as case:
        await joined(case)
        async with watch(case, PEER, BEGINNING) as stream:
            token = (await anext(stream)).token
        assert not token.isdecimal()
        async with watch(case, STRANGER, BEGINNING) as stream:
            waiting = asyncio.create_task(anext(stream, None))
            await case.does(TOWN, "move", to="acceptance")
            await case.settled()
            assert not waiting.done()
            case.rig[JIANGXI].waiters.end()
            assert await waiting is None
        for other, given in ((STRANGER, token), (COURT, token), (PEER, "x"), (PEER, "7")):
            async with watch(case, other, given) as stream:
                with pytest.raises(MalformedError, match="WATCH_TOKEN"):
                    await anext(stream)


async def test_policy_is_asked_of_each_case_when_it_is_told(tmp_path: Path) -> None:
    """What policy keeps from an office is kept from the stream that it opened before."""
    async with desks(tmp_path) as case:
        await joined(case)
        async with watch(case, PEER) as stream:
            await anext(stream)
            before = case.rig[JIANGXI].trust.in_force.agreement
            files = {**before.files, "policies/keep.cedar": KEEPS}
            case.rig.put_in_force(replace(before, files=files, digest="ab" * 32), JIANGXI)
            waiting = asyncio.create_task(anext(stream, None))
            case.rig[JIANGXI].waiters.tell(CHANGES.key(str(PEER)))
            await case.does(TOWN, "note")
            assert not waiting.done()
            case.rig[JIANGXI].waiters.end()
            assert await waiting is None


async def test_stream_of_an_officer_whose_key_was_withdrawn_ends(tmp_path: Path) -> None:
    """Who may not call any more is told no more."""
    async with desks(tmp_path) as case:
        await joined(case)
        async with watch(case, TOWN, BEGINNING, signed=True) as stream:
            assert await anext(stream, None) is None
