"""Many who follow alerts: one answer for all streams of an office, each asked for at sending, nobody misses anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from federation.node import feed
from federation.node.alerts import steps
from federation.node.alerts.lists import CHANGES
from federation.node.feed import BEGINNING
from federation.protocol.form import replace
from federation.wire.agency.alerts import AlertNews, AlertWatch
from federation.wire.rpc import Rpc
from tests.node.alerts.border_desks import CHANGSHAN, POLICE, YUSHAN, BorderDesks, border_desks, one_by_one
from tests.node.rig import JIANGXI, ZHEJIANG

KEEPS = b"""@id("keep-from-boards")
@title("x") @title_en("x") @basis("x")
forbid (principal, action == Fed::Action::"alert.read", resource);
"""
SMALL_PAGE = 4
SCREENS, SLOW, LONG = 40, 4, 3 * SMALL_PAGE


def watch(border: BorderDesks, desk: str, after: str = "", *, topic: str = "desk:*", signed: bool = False):
    errand = replace_signed(border, desk, signed=signed)
    return aclosing(one_by_one(steps.watch_alerts(errand, AlertWatch(topic=topic, after=after))))


def replace_signed(border: BorderDesks, desk: str, *, signed: bool):
    return replace(border.errand(desk), is_signed=signed)


async def told(stream: AsyncIterator[AlertNews], acts: int) -> list[AlertNews]:
    """The next news of so many acts; what only says that the stream is alive is passed over."""
    found: list[AlertNews] = []
    async with asyncio.timeout(60):
        while len(found) < acts:
            news = await anext(stream)
            found += [news] if news.act else []
    return found


async def test_one_answer_serves_all_streams_of_an_office(tmp_path: Path) -> None:
    """Whatever their topics are; another office has its own line, and the next act is another answer."""
    async with border_desks(tmp_path) as border, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(watch(border, YUSHAN)) for _ in range(3)]
        streams.append(await stack.enter_async_context(watch(border, YUSHAN, topic=f"desk:{YUSHAN}")))
        other = await stack.enter_async_context(watch(border, CHANGSHAN))
        for stream in (*streams, other):
            assert (await anext(stream)).token
        await border.raises()
        await border.settled()
        (first,), *others = [await told(stream, 1) for stream in streams]
        assert all(news is first for (news,) in others)
        (own,) = await told(other, 1)
        assert first.line is not None
        assert own.line is not None
        assert (own.line.office, first.line.office) == (
            border.rules.agency_of(CHANGSHAN),
            border.rules.agency_of(YUSHAN),
        )
        await border.does(CHANGSHAN, "claim")
        await border.settled()
        found = [(await told(stream, 1))[0] for stream in streams]
        assert {news.act for news in found} == {"claim"}
        assert all(news is found[0] for news in found)
        assert found[0] is not first


async def test_who_is_far_behind_the_others_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others read on meanwhile, more than a page of it; the slow one has all of it, in order, and so has a new call."""
    monkeypatch.setattr(feed, "PAGE", SMALL_PAGE)
    monkeypatch.setattr(feed, "KEPT", SMALL_PAGE)
    async with border_desks(tmp_path) as border, AsyncExitStack() as stack:
        await border.raises()
        await border.settled()
        fast, slow = [await stack.enter_async_context(watch(border, CHANGSHAN, BEGINNING)) for _ in range(2)]
        for stream in (fast, slow):
            await told(stream, 1)
        acts = 2 * SMALL_PAGE + 1
        fast_tokens = []
        for _ in range(acts):
            await border.does(CHANGSHAN, "note")
            fast_tokens += [news.token for news in await told(fast, 1)]
        slow_tokens = [news.token for news in await told(slow, acts)]
        source = border.rig[ZHEJIANG].database
        numbers = [[CHANGES.place(source, "Actual", token) for token in each] for each in (fast_tokens, slow_tokens)]
        assert numbers[0] == numbers[1] == list(range(2, acts + 2))
        async with watch(border, CHANGSHAN, fast_tokens[0]) as again:
            assert [CHANGES.place(source, "Actual", news.token) for news in await told(again, acts - 1)] == numbers[0][
                1:
            ]


async def test_acts_of_a_busy_moment_are_told_together_in_their_order(tmp_path: Path) -> None:
    """As many as are there when a screen takes the next, at most so many; one that is alone comes at once."""
    async with border_desks(tmp_path) as border:
        await border.raises()
        await border.settled()
        errand = replace_signed(border, CHANGSHAN, signed=False)
        async with aclosing(steps.watch_alerts(errand, AlertWatch(topic="desk:*", after=BEGINNING))) as stream:
            assert [[news.act for news in await anext(stream)] for _ in range(2)] == [[""], ["raise"]]
            acts = 2 * feed.AT_ONCE + 3
            for _ in range(acts):
                await border.does(CHANGSHAN, "note")
            found = [await anext(stream) for _ in range(3)]
            assert [len(each) for each in found] == [feed.AT_ONCE, feed.AT_ONCE, 3]
            source = border.rig[ZHEJIANG].database
            numbers = [CHANGES.place(source, "Actual", news.token) for each in found for news in each]
            assert numbers == list(range(2, acts + 2))


async def test_slow_screens_hold_up_none_of_many_and_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All screens of two offices have every act in order; for those that read nothing meanwhile no more than a page lies there."""
    monkeypatch.setattr(feed, "PAGE", SMALL_PAGE)
    monkeypatch.setattr(feed, "KEPT", SMALL_PAGE)
    async with border_desks(tmp_path) as border, AsyncExitStack() as stack:
        desks = [(CHANGSHAN, YUSHAN)[number % 2] for number in range(SCREENS)]
        screens = [await stack.enter_async_context(watch(border, desk)) for desk in desks]
        for screen in screens:
            assert (await anext(screen)).token
        await border.raises()
        assert all([(await told(screen, 1))[0].act == "raise" for screen in screens])
        slow, fast = screens[:SLOW], screens[SLOW:]
        for _ in range(LONG):
            await border.does(CHANGSHAN, "note")
        read = await asyncio.gather(*(told(screen, LONG) for screen in fast))
        for node in (ZHEJIANG, JIANGXI):
            tail = border.rig[node].waiters.shared[CHANGES.key("Actual")]
            assert tail.followers == SCREENS // 2
            assert len(tail._newest) <= SMALL_PAGE
        read = [*(await asyncio.gather(*(told(screen, LONG) for screen in slow))), *read]
        for desk, news in zip(desks, read, strict=True):
            source = border.rig[ZHEJIANG if desk == CHANGSHAN else JIANGXI].database
            assert {each.act for each in news} == {"note"}
            assert [CHANGES.place(source, "Actual", each.token) for each in news] == list(range(2, LONG + 2))


async def test_office_that_policy_keeps_out_is_told_no_more(tmp_path: Path) -> None:
    """Policy is asked at each sending, not when the stream began; and again once it lets the office read."""
    async with border_desks(tmp_path) as border, watch(border, YUSHAN) as stream:
        assert (await anext(stream)).token
        await border.raises()
        await border.settled()
        await told(stream, 1)
        before = border.rig[JIANGXI].trust.in_force.agreement
        files = {**before.files, "policies/keep.cedar": KEEPS}
        border.rig.put_in_force(replace(before, files=files, digest="ab" * 32), JIANGXI)
        waiting = asyncio.create_task(told(stream, 1))
        await border.does(YUSHAN, "note")
        assert not waiting.done()
        border.rig.put_in_force(before, JIANGXI)
        await border.does(YUSHAN, "note")
        (news,) = await waiting
        source = border.rig[JIANGXI].database
        assert CHANGES.place(source, "Actual", news.token) == CHANGES.count(source, "Actual")


async def test_stream_of_a_desk_whose_key_is_gone_ends_and_that_of_another_goes_on(tmp_path: Path) -> None:
    """At the first act that it would be told of."""
    async with (
        border_desks(tmp_path) as border,
        watch(border, CHANGSHAN, signed=True) as gone,
        watch(border, POLICE) as going,
    ):
        for stream in (gone, going):
            assert (await anext(stream)).token
        await border.raises(kind="traffic.minor")
        await border.settled()
        assert await anext(gone, None) is None
        assert [news.act for news in await told(going, 1)] == ["raise"]


def test_watching_is_encoded_once_and_counted_apart() -> None:
    """The line of the RPC says so; the others that stream are counted together, few for each caller."""
    rpc: Rpc = steps.wire.WATCH_ALERTS
    assert (rpc.shared, rpc.watched, rpc.joined) == (True, True, True)
