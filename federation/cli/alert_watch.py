"""`bridgehead alert watch`: a duty desk's alerts as they come (值守): a live screen, a line a change, events in a pipe.

The screen asks each stream anew after a break, and is told how its rows stand then; a pipe goes on behind its last
token, so that it misses no event. An act whose answer was lost is asked once more under the same request id, which is
done once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol, TextIO, TypeVar

import typer

from federation.cli import alert_rows
from federation.cli.alert_cards import held_words, outcome_words, view_lines
from federation.cli.alert_island import OFFLINE_SECONDS, OfflineOption, keep
from federation.cli.alert_screen import ANY_KEY, Bells, Board, Do, Effect, Link, Open, Sign
from federation.cli.alerts import USUAL, Content, DeskOption, newest, said_anew
from federation.cli.options import Desk, Form, ask_node, command, now
from federation.cli.show import CHINA, JsonOut, decision_lines, json_line, say
from federation.cli.terminal import Terminal
from federation.cli.watching import RECONNECT_SECONDS
from federation.cli.words import WORDS, enclosed, error_text, one_of, punctuated, said
from federation.domain.alert_line import AlertLine
from federation.domain.cap import Status
from federation.domain.case_items import CaseItem
from federation.domain.duty_roster import DUTY_FUNCTIONS
from federation.domain.personal import verify_impersonal
from federation.protocol.errors import BridgeheadError, UnavailableError
from federation.protocol.form import replace
from federation.wire.agency.alerts import (
    ACT_IN_ALERT,
    LIST_ALERT_ENTRIES,
    READ_ALERT,
    WATCH_ALERTS,
    AlertNews,
    AlertOutcome,
    AlertStep,
    AlertWatch,
)
from federation.wire.agency.cases import EntryLine, EntryQuery
from federation.wire.agency.duty import READ_ROSTER, RosterQuery
from federation.wire.agency.node import GET_STATUS, NodeStatus
from federation.wire.rpc import Act, Nothing, Rpc, Ruling

if TYPE_CHECKING:
    from federation.wire.client import AgencyClient

Clock = Callable[[], datetime]
Keep = Callable[[Do, datetime], str]
app = typer.Typer()
A = TypeVar("A")
Q = TypeVar("Q")
TICK_SECONDS: Final = 0.25
PEERS_SECONDS: Final = 10.0
SHIFT_SECONDS: Final = 60.0
SILENT_TIME: Final = timedelta(seconds=30)
"""Three heartbeats: a stream that says nothing for so long has broken."""
TRIES: Final = 3
_PAGES: Final = 20


class Node(Protocol):
    """The own node, as a client of an agency asks it."""

    async def call(self, rpc: Rpc[Q, A], act: Act | None, question: Q) -> A: ...
    def watch(self, rpc: Rpc[Q, A], act: Act | None, question: Q) -> AsyncGenerator[A, None]: ...


class Face(Protocol):
    """The face of a board; `opened` takes it over for as long as it lasts, and calls with each key."""

    def opened(self, pressed: Callable[[str], None]) -> AbstractContextManager[None]: ...
    def ring(self) -> None: ...
    def show(self, board: Board) -> None: ...


class Screen:
    """The whole of a terminal, drawn anew."""

    def __init__(self, stdin: int, stdout: TextIO, *, ascii_only: bool = False) -> None:
        self._terminal = Terminal(stdin, stdout)
        self._stdout, self._ascii_only = stdout, ascii_only
        self.opened, self.ring = self._terminal.opened, self._terminal.ring

    def show(self, board: Board) -> None:
        size = self._terminal.size
        look = alert_rows.look_of(self._stdout, os.environ, columns=size.columns, ascii_only=self._ascii_only)
        self._terminal.draw(board.frame(look, size.lines))


class Voice:
    """A line for each alert that changed, or is late now, and nothing else: for who hears the screen read out."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._said: dict[str, object] = {}
        self._up: dict[str, bool] = {}

    @contextmanager
    def opened(self, pressed: Callable[[str], None]) -> Iterator[None]:
        del pressed  # who is read to types no keys
        yield

    def ring(self) -> None:
        print("\a", end="", file=self._stdout, flush=True)

    def show(self, board: Board) -> None:
        rows = {str(row.line.record): row for row in board.rows}
        for record, row in rows.items():
            if self._said.get(record) != (row.line.step, row.lamps):
                self._say(board, alert_rows.spoken(row))
        self._said = {record: (row.line.step, row.lamps) for record, row in rows.items()}
        up = {said("本省节点|own node"): board.lost is None, **{link.name: link.up for link in board.links}}
        for name, is_up in up.items():
            if self._up.get(name, True) != is_up:
                link = f"{said('链路|link')}{punctuated('：')}{name}"
                self._say(board, f"{link} {said('恢复|up' if is_up else '断开|down')}")
        self._up = up

    def _say(self, board: Board, sentence: str) -> None:
        print(f"{board.now.astimezone(CHINA):%H:%M:%S} {sentence}", file=self._stdout, flush=True)


class LiveDesk:
    """A board between the own node and its face, until somebody quits; `topics` by whether they are of exercises."""

    def __init__(
        self, node: Node, board: Board, face: Face, *, act: Act, topics: Mapping[bool, str], clock: Clock = now
    ) -> None:
        self._node, self._board, self._face, self._act, self._topics, self._now = node, board, face, act, topics, clock
        self._heard = self._now()
        self._ended = asyncio.Event()
        self._acts: set[asyncio.Task[None]] = set()
        self.refused: Ruling | None = None
        self.keep: Keep | None = None
        """Keeps a claim or a stamp while the node is away, and says where."""

    async def run(self) -> None:
        """Shows and works the board. Raises BridgeheadError: as the node answered a stream."""
        streams = [self._follow(topic, drill=drill) for drill, topic in self._topics.items()]
        with self._face.opened(self.pressed):
            work = (*streams, self._tick(), self._look_at_peers(), self._look_at_shift(), self._quit())
            tasks = [asyncio.create_task(each) for each in work]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
            finally:
                left = (*tasks, *self._acts)
                for each in left:
                    each.cancel()
                await asyncio.gather(*left, return_exceptions=True)

    def pressed(self, key: str) -> None:
        self._work(self._board.pressed(key, self._now()))

    def _work(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if effect is Sign.BELL:
                self._face.ring()
            elif effect is Sign.QUIT:
                self._ended.set()
            else:
                task = asyncio.create_task(self._open(effect) if isinstance(effect, Open) else self._do(effect))
                self._acts.add(task)
                task.add_done_callback(self._acts.discard)
        self._face.show(self._board)

    async def _quit(self) -> None:
        await self._ended.wait()

    async def _tick(self) -> None:
        while True:
            if self._now() - self._heard > SILENT_TIME:
                self._board.lost = self._heard
            self._work(self._board.ticked(self._now()))
            await asyncio.sleep(TICK_SECONDS)

    async def _follow(self, topic: str, *, drill: bool) -> None:
        while True:
            self._board.linked(exercises=drill)
            try:
                async with aclosing(self._node.watch(WATCH_ALERTS, self._act, AlertWatch(topic=topic))) as stream:
                    async for news in stream:
                        if news.decision is not None:
                            self.refused = news.decision
                            return
                        self._heard, self._board.lost = self._now(), None
                        known = not news.token
                        took = self._board.notified(news.line, self._heard, known=known, exercises=drill, act=news.act)
                        self._work(took)
            except UnavailableError:
                pass
            self._lose()
            await asyncio.sleep(RECONNECT_SECONDS)

    def _lose(self) -> None:
        self._board.lost = self._heard
        self._work(())

    async def _look_at_peers(self) -> None:
        while True:
            try:
                self._board.links = tuple(_links(await self._node.call(GET_STATUS, None, Nothing())))
            except UnavailableError:
                self._lose()
            await asyncio.sleep(PEERS_SECONDS)

    async def _look_at_shift(self) -> None:
        """Says whether the last shift was handed over, as long as the office may know it."""
        while self._board.desk:
            try:
                page = await self._node.call(READ_ROSTER, self._act, RosterQuery(desk=self._board.desk, page_size=1))
            except UnavailableError:
                pass
            else:
                if page.standing is None:
                    break
                self._board.unhanded = page.standing.is_unhanded
            await asyncio.sleep(SHIFT_SECONDS)
        await asyncio.Event().wait()

    async def _open(self, asked: Open) -> None:
        try:
            view = await self._node.call(READ_ALERT, self._act, asked.record)
        except BridgeheadError as error:
            self._board.done(error_text(error.message, error.reason))
        else:
            lines = decision_lines(view.decision) if view.line is None else view_lines(view, self._now())
            self._board.page = (*lines, "", enclosed(said(ANY_KEY)))
        self._work(())

    async def _do(self, do: Do) -> None:
        line, at = self._board.line(do.record), self._now()
        if line is None:
            return
        keep = self.keep if do.name in ("claim", "stamp") else None
        act = replace(self._act, purpose=line.purpose, function=line.function, request_id=str(uuid.uuid4()))
        if keep is not None and self._board.lost is not None:
            self._board.done(_kept(keep, do, at))
            self._work(())
            return
        try:
            async with asyncio.timeout(None if keep is None else OFFLINE_SECONDS):
                outcome = await done(self._node, act, line, do)
        except (UnavailableError, TimeoutError) as error:
            reason = getattr(error, "reason", "PEER_UNREACHABLE")
            self._board.done(error_text(str(error), reason) if keep is None else _kept(keep, do, at))
        except BridgeheadError as error:
            line = self._board.line(do.record) or line
            held = error.facts.get("why") == "HELD_BY_OTHER" and line.holder
            self._board.done(held_words(line) if held else error_text(error.message, error.reason))
        else:
            self._board.done(outcome_words(outcome))
            self._board.notified(outcome.line, self._now(), known=True, exercises=line.status is not Status.ACTUAL)
        self._work(())


def _kept(keep: Keep, do: Do, at: datetime) -> str:
    try:
        return keep(do, at)
    except BridgeheadError as error:
        return error_text(error.message, error.reason)


async def done(node: Node, act: Act, line: AlertLine, do: Do) -> AlertOutcome:
    """Does what a key asked for. Refuses TEXT_PERSONAL; an answer that was lost is asked for again."""
    step = await _step(node, act, line, do)
    for _ in range(TRIES - 1):
        try:
            return await node.call(ACT_IN_ALERT, act, step)
        except UnavailableError:
            await asyncio.sleep(RECONNECT_SECONDS)
    return await node.call(ACT_IN_ALERT, act, step)


async def _step(node: Node, act: Act, line: AlertLine, do: Do) -> AlertStep:
    """The act; an update says again the texts that stand, which the node does not."""
    verify_impersonal(do.text, field="text")
    content = Content(fields=do.fields, items=(CaseItem(kind="fact", fields={"text": do.text}),) if do.text else ())
    if do.name == "update":
        content = said_anew(newest(await _entries(node, act, line), "raise", "update"), content)
    return AlertStep(alert=line.record, name=do.name, fields=content.fields, items=content.items)


async def _entries(node: Node, act: Act, line: AlertLine) -> list[EntryLine]:
    found, query = list[EntryLine](), EntryQuery(case=line.record, page_size=1000)
    for _ in range(_PAGES):
        page = await node.call(LIST_ALERT_ENTRIES, act, query)
        found += page.lines
        if not page.next_page_token:
            break
        query = replace(query, page_token=page.next_page_token)
    return found


def _links(status: NodeStatus) -> Iterator[Link]:
    for peer in status.peers:
        name = one_of(WORDS["NodeName"].get(peer.node, ""), peer.node)
        yield Link(name=name, up=peer.reachable, since=peer.last_contact_time)


# ---- the command


@command(app, "watch", usual=USUAL)
def watch(
    desk: Desk,
    own: DeskOption = "",
    area: Annotated[str, typer.Option("--area", help="One area (区域), instead of a desk.")] = "",
    record: Annotated[str, typer.Option("--record", help="One alert, by its record.")] = "",
    exercise: Annotated[bool, typer.Option("--exercise", help="Exercises (演练) alone.")] = False,
    bell: Annotated[bool, typer.Option("--bell", help="Ring (响铃): new, 15 s before a limit, late.")] = False,
    bell_exercise: Annotated[bool, typer.Option("--bell-exercise", help="Ring for exercises, too.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="A line for each change, for a screen reader.")] = False,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="No signs but ASCII beside the words.")] = False,
    heartbeat: Annotated[bool, typer.Option("--heartbeat", help="In a pipe: signs of life, too.")] = False,
    after: Annotated[str, typer.Option("--after", help="In a pipe: go on behind this token.")] = "",
    count: Annotated[int | None, typer.Option("--count", min=1, help="In a pipe: end after so many.")] = None,
    offline: OfflineOption = None,
) -> None:
    """Watch (值守) the alerts of your desks: a live screen with keys; in a pipe one JSON object an event.

    Keys: a claim, c contacted, r arrived, h hand over, u update, f false alarm, n note, Enter reads it, e exercises, ?
    help, q quit.
    """
    named = {"desk": own, "area": area, "record": record}
    if len([each for each in (area, record) if each]) > 1:
        raise typer.BadParameter("--area 与 --record 只写一项 | give --area or --record, not both")
    kind = next((each for each in ("record", "area", "desk") if named[each]), "desk")
    topic = f"{kind}:{named[kind] or '*'}"
    if not plain and (desk.form is Form.JSON or not (sys.stdin.isatty() and sys.stdout.isatty())):
        topic = f"exercise:{topic}" if exercise else topic
        _tell_events(desk, topic, after=after, heartbeat=heartbeat, count=count)
        return
    if after or count or heartbeat:
        raise typer.BadParameter("--after、--count、--heartbeat 用于管道或 -o json | they are for a pipe, or -o json")
    topics = {True: f"exercise:{topic}"} if exercise else {False: topic}
    if not (exercise or plain or record):
        topics[True] = f"exercise:{topic}"
    board = Board(
        title=alert_rows.desk_name(own) if own else str(desk.profile.agency),
        now=now(), desk=own, exercises=exercise, bells=Bells(real=bell, exercises=bell_exercise),
    )  # fmt: skip

    act = desk.act(function=DUTY_FUNCTIONS.get(desk.profile.agency.kind, ""))

    async def live(client: AgencyClient) -> Ruling | None:
        await client.call(GET_STATUS, None, Nothing())
        face = Voice(sys.stdout) if plain else Screen(sys.stdin.fileno(), sys.stdout, ascii_only=ascii_only)
        lively = LiveDesk(client, board, face, act=act, topics=topics)
        if offline is not None:
            lively.keep = partial(_keep, desk, offline)
        await lively.run()
        return lively.refused

    try:
        refused = asyncio.run(ask_node(desk.profile, live, sign=desk.own_key, timeout_seconds=desk.timeout_seconds))
    except KeyboardInterrupt:
        say("已停止 | stopped")
        return
    if refused is not None:
        desk.refuse(refused)


def _keep(desk: Desk, file: Path, do: Do, at: datetime) -> str:
    number = keep(desk, file, do.name, do.record, fields=do.fields, at=at)
    return f"节点无法到达，已签名存入 {file}（第 {number} 条），恢复后补交 | signed into {file}: hand it in later"


def _tell_events(desk: Desk, topic: str, *, after: str, heartbeat: bool, count: int | None) -> None:
    left = count

    def notify(news: AlertNews) -> bool:
        nonlocal left
        if news.decision is not None:
            desk.refuse(news.decision)
        if news.line is None and not heartbeat:
            return True
        print(json_line(event_of(news)), flush=True)
        left = left - 1 if left is not None else None
        return left != 0

    desk.follow(WATCH_ALERTS, lambda place: AlertWatch(topic=topic, after=place), after, notify)


def event_of(news: AlertNews) -> dict[str, JsonOut]:
    """A piece of news as one object: its token, the record, the act, and the alert as it stands; null where none."""
    line = news.line
    return {
        "token": news.token,
        "id": None if line is None else str(line.record),
        "act": news.act or None,
        "alert": None if line is None else alert_rows.row_json(alert_rows.row_of(line, now())),
    }
