"""A duty desk watches while its node stops and starts: no event is missed in a pipe, no row lost and no bell rung on a screen."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from federation.cli import alert_watch, watching
from federation.cli.alert_screen import Bells, Board
from federation.cli.alert_watch import LiveDesk
from federation.cli.options import Desk, now
from federation.domain.case_items import CaseItem
from federation.node.home.files import client_folder, load_profile, write_secret
from federation.node.serve import running_node
from federation.protocol.ids import parse_agency_id
from federation.wire.agency.alerts import RAISE_ALERT, WATCH_ALERTS, AlertNews, AlertRaising, AlertWatch
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act
from tests.scenarios.provinces import ISLAND, Federation, make_federation, officer_pem

CENTRE, DESK = parse_agency_id("zhejiang/330822/governance"), "330822.governance"
FIELDS = {"kind": "dispute", "desk": DESK, "area": "330822.circle.qiuchuan", "division": "330822111"}


class Rows:
    """The face of a board that keeps the records it shows and counts its bells."""

    def __init__(self) -> None:
        self.shown = list[str]()
        self.lost = False
        self.bells = 0

    @contextmanager
    def opened(self, pressed: Callable[[str], None]) -> Iterator[None]:
        del pressed
        yield

    def ring(self) -> None:
        self.bells += 1

    def show(self, board: Board) -> None:
        self.shown, self.lost = [str(row.line.record) for row in board.rows], board.lost is not None


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


async def raised(client: AgencyClient) -> str:
    act = Act(request_id=str(uuid.uuid4()), purpose="alert.incident", function="F12", officer="clerk")
    asked = AlertRaising(fields=FIELDS, items=(CaseItem(kind="fact", fields={"text": "界桩争议"}),))
    line = (await client.call(RAISE_ALERT, act, asked)).line
    assert line is not None
    return str(line.record)


@asynccontextmanager
async def serving(federation: Federation) -> AsyncIterator[None]:
    async with running_node(federation.home(CENTRE.node), island=ISLAND) as running:
        await running.opened.wait()
        yield


async def test_watch_goes_on_when_its_node_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two alerts before, one after; a pipe is told each once and in order, a screen keeps its rows and rings for the new one."""
    for module in (watching, alert_watch):
        monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.05)
    federation = make_federation(tmp_path / "federation")
    federation.key("clerk", agency=CENTRE)
    key = tmp_path / "clerk.key"
    write_secret(key, officer_pem(CENTRE, "clerk"))
    profile = load_profile(client_folder(federation.home(CENTRE.node), CENTRE) / "profile.toml")
    desk = Desk(profile=profile, request_id=str(uuid.uuid4()), officer="clerk", key=key, usual=("alert.duty", "F12"))
    told, rows = list[AlertNews](), Rows()

    def notify(news: AlertNews) -> bool:
        told.append(news)
        return True

    def events() -> list[str]:
        return [str(news.line.record) for news in told if news.line is not None and news.token]

    def ask(place: str) -> AlertWatch:
        return AlertWatch(topic="desk:*", after=place)

    async with federation.client(str(CENTRE)) as client:
        board = Board(title="", now=now(), bells=Bells(real=True, exercises=False))
        live = LiveDesk(client, board, rows, act=desk.act(), topics={False: "desk:*"})
        async with serving(federation):
            tasks = [
                asyncio.create_task(watching.follow(desk, WATCH_ALERTS, ask, "", notify)),
                asyncio.create_task(live.run()),
            ]
            await until(lambda: bool(told) and not rows.lost)
            before = [await raised(client), await raised(client)]
            await until(lambda: events() == before and sorted(rows.shown) == sorted(before))
            assert rows.bells == 2
        await until(lambda: rows.lost)
        assert sorted(rows.shown) == sorted(before)
        async with serving(federation):
            await until(lambda: not rows.lost)
            assert (sorted(rows.shown), rows.bells) == (sorted(before), 2)
            after = await raised(client)
            await until(lambda: len(events()) == 3 and after in rows.shown)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert events() == [*before, after]
    assert (sorted(rows.shown), rows.bells) == (sorted([*before, after]), 3)
