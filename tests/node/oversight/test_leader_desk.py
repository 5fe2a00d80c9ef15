"""What a leader's desk is told: open notices on connect, then each notice and flag at once, without a gap."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from federation.domain.oversight import Finding, FlagKind
from federation.node import permits
from federation.node.exchange.errand import begin_errand
from federation.node.feed import PAGE
from federation.node.oversight import break_glass, flags
from federation.node.oversight.readings import READING
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from federation.store.records import list_records
from federation.wire.agency.oversight import News
from tests.node.lookups.office import CASE, GLASS, NUMBERS, Office, office
from tests.node.oversight.test_oversight import put, raised
from tests.node.rig import HALL, JIANGXI, YUSHAN_POLICE, ZHEJIANG, act, application, plant_record

CHANGSHAN_POLICE = parse_agency_id("zhejiang/330822/police")


def watch(found: Office, after: str = ""):
    return aclosing(
        break_glass.watch_notices(begin_errand(found.rig[JIANGXI], YUSHAN_POLICE, found.act("leader-1")), after)
    )


def names(news: News) -> str:
    if news.notice is not None:
        return news.notice.notice.case_id
    assert news.flag is not None
    return news.flag.lookup_id


async def test_desk_is_told_of_a_broken_glass_at_once_and_of_the_open_ones_first(tmp_path: Path) -> None:
    """One is open when the leader sits down, the next is told in the moment it opens, a reviewed one no more."""
    async with office(tmp_path) as found:
        await found.open(GLASS)
        async with watch(found) as stream:
            first = await anext(stream)
            assert (names(first), first.token) == (GLASS, "")
            waiting = asyncio.create_task(anext(stream))
            await found.review()
            await found.open("BREAK-GLASS-2026-002")
            second = await waiting
            assert names(second) == "BREAK-GLASS-2026-002"
            assert second.notice is not None
            assert second.notice.notice.finding is Finding.OPEN
            assert second.token

        async with watch(found) as stream:
            assert names(await anext(stream)) == "BREAK-GLASS-2026-002"
        kept = list_records(found.rig[JIANGXI].database, READING, after_id="", limit=10, replica=False)
        assert [record.status for record in kept] == ["watch", "watch"]


async def test_desk_is_told_of_a_flag_when_it_is_raised(tmp_path: Path) -> None:
    """Two cases asked for at once: the leader hears of it while the officer still types."""
    async with office(tmp_path) as found:
        await found.open()
        await found.open("CASE-2026-0002")
        async with watch(found, "0") as stream:
            waiting = asyncio.create_task(anext(stream))
            await found.search(NUMBERS[0])
            await found.search(NUMBERS[1], "CASE-2026-0002")
            news = await waiting
        assert news.flag is not None
        assert (news.flag.kind, news.flag.case_id) == (FlagKind.TWO_DESKS, "CASE-2026-0002")


async def test_desk_of_the_answering_side_is_told_of_a_planted_record(tmp_path: Path) -> None:
    """Changshan hears that somebody of Yushan met a record that no case needs."""
    async with office(tmp_path) as found:
        await found.open()
        zhejiang = found.rig[ZHEJIANG]
        person = replace(application(household="361123"), work_division=None)
        registered = await permits.register(begin_errand(zhejiang, HALL, act()), person)
        assert registered.permit is not None
        await plant_record(found.rig[ZHEJIANG], str(registered.permit.urn))
        async with aclosing(
            break_glass.watch_notices(begin_errand(zhejiang, CHANGSHAN_POLICE, found.act("leader-5")), "0")
        ) as stream:
            waiting = asyncio.create_task(anext(stream))
            await found.search(person.holder.citizen_number)
            news = await waiting
        assert news.flag is not None
        assert (news.flag.kind, news.flag.agency) == (FlagKind.HONEY, YUSHAN_POLICE)


async def test_slow_desk_misses_nothing_and_goes_on_behind_its_token(tmp_path: Path) -> None:
    """Five hundred flags while the reader takes one at a time, and a break in the middle: each once, in order."""
    async with office(tmp_path) as found:
        node = found.rig[JIANGXI]
        told: list[str] = []
        async with watch(found, "0") as stream:
            waiting = asyncio.create_task(anext(stream))
            for start in range(0, 500, 100):
                await put(found, *(raised(found, number) for number in range(start, start + 100)))
                node.waiters.tell(flags.desk_key(YUSHAN_POLICE))
            news = await waiting
            told.append(names(news))
            while len(told) < 250:
                news = await anext(stream)
                told.append(names(news))
        async with watch(found, news.token) as stream:
            while len(told) < 500:
                told.append(names(await anext(stream)))
        assert told == [f"l-{number}" for number in range(500)]


async def test_desk_memory_is_bounded_by_a_page(tmp_path: Path) -> None:
    """However many wait, one page of them is read at a time."""
    async with office(tmp_path) as found:
        await put(found, *(raised(found, number) for number in range(300)))
        page = flags.FLAGS.after(found.rig[JIANGXI].database, str(YUSHAN_POLICE), 0)
        assert [number for number, _ in page] == list(range(1, PAGE + 1))
        assert CASE not in str(page[0][1].sentence_en)


async def test_desk_stream_ends_when_the_node_stops(tmp_path: Path) -> None:
    """A stop waits for no leader."""
    async with office(tmp_path) as found, watch(found) as stream:
        waiting = asyncio.create_task(anext(stream, None))
        await asyncio.sleep(0)
        found.rig[JIANGXI].waiters.end()
        assert await waiting is None
