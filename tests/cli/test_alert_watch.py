"""A desk at work: the live screen on a real pseudo-terminal, lines for who hears it, events in a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import pty
import re
import signal
import termios
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import alert_watch
from federation.cli.alert_cards import outcome_words
from federation.cli.alert_screen import Bells, Board, Do
from federation.cli.alert_watch import LiveDesk, Screen, Voice, event_of
from federation.cli.options import ask_node, find_profile, now
from federation.cli.terminal import Keys
from federation.domain.alert import AlertState
from federation.domain.alert_line import AlertLine
from federation.domain.cap import Status
from federation.domain.case_items import CaseItem
from federation.domain.duty import read_duty
from federation.node.home.draft import read_duty_sheets
from federation.node.home.files import load_ed25519
from federation.protocol.errors import BridgeheadError, RuleError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Grounds
from federation.wire.agency.alerts import LIST_ALERT_ENTRIES, READ_ALERT, AlertNews, AlertOutcome, AlertStep, AlertWatch
from federation.wire.agency.cases import EntryLine, EntryPage
from federation.wire.agency.duty import READ_ROSTER, DeskStanding, RosterPage
from federation.wire.agency.node import GET_STATUS, NodeStatus, PeerState
from federation.wire.client import AgencyClient
from federation.wire.rpc import Act, Ruling
from tests.cli.alert_desk import FIRE, GOVERNANCE, HOUSE, NOW, QUARREL
from tests.wire.alert_answers import VIEW

ALLOWED = Ruling(
    verdict=Verdict.ALLOWED, policies=("alert-act",), fields=frozenset(), reason=Grounds.PERMITTED, title_zh="",
    title_en="", agreement_version=1,
)  # fmt: skip
ACT = Act(request_id="0199e000-0000-7000-8000-000000000009", purpose="alert.duty", function="F12", officer="clerk")
SHEET = read_duty(read_duty_sheets(Path(__file__).parents[2] / "nodes"))
TOPICS = {False: "desk:*", True: "exercise:desk:*"}
_DRAWN = re.compile(r"\x1b\[(\d+);1H(.*?)\x1b\[K", re.DOTALL)


def status(*, reachable: bool = True) -> NodeStatus:
    at = now()
    return NodeStatus(
        node=NodeName("zhejiang"), federation="example", realm="demo", software_version="0", agreement_version=1,
        agreement_digest="", agreement_freshness="fresh", agreement_expires=at, agreement_fresh_until=at, tree_size=0,
        peers=(PeerState(node=NodeName("jiangxi"), reachable=reachable, last_contact_time=at),),
    )  # fmt: skip


def entry(act: str, *, without_effect: str = "", fields: dict[str, str] | None = None) -> EntryLine:
    return EntryLine(
        name="a" * 64, author=NodeName("zhejiang"), n=1, act=act, act_zh="签收", act_en="claim",
        agency=parse_agency_id("zhejiang/330822/governance"), officer="clerk", at=now(), arrived=now(), fields=fields or {},
        without_effect=without_effect, items=(CaseItem(kind="fact", fields={"text": "旧"}), CaseItem(kind="place", fields={})),
    )  # fmt: skip


class DeskNode:
    """A node in memory: the rows that each stream begins with, what comes then, and the acts that it was asked for."""

    def __init__(self, *lines: AlertLine) -> None:
        self.lines = list(lines)
        self.asked: list[tuple[Act, AlertStep]] = []
        self.lose_answers = 0
        self.refuses: BridgeheadError | None = None
        self.unhanded = False
        self.coming: asyncio.Queue[AlertNews | Exception] = asyncio.Queue()
        self.streams = 0

    async def call(self, rpc: Any, act: Act | None, question: Any) -> Any:
        if rpc is GET_STATUS:
            return status()
        if rpc is LIST_ALERT_ENTRIES:
            return EntryPage(
                decision=ALLOWED, lines=(entry("raise", fields={"expires": "x", "kind": "dispute"}), entry("hand_over"))
            )
        if rpc is READ_ALERT:
            return VIEW
        if rpc is READ_ROSTER:
            standing = DeskStanding(desk=SHEET.desks[GOVERNANCE], is_open=True, is_here=True, is_unhanded=self.unhanded)
            return RosterPage(decision=ALLOWED, standing=standing)
        assert act is not None
        if self.refuses is not None:
            raise self.refuses
        self.asked.append((act, question))
        if self.lose_answers:
            self.lose_answers -= 1
            raise UnavailableError("UNREACHABLE", "no answer")
        return AlertOutcome(decision=ALLOWED, entry=entry(question.name))

    async def watch(self, rpc: Any, act: Act | None, question: AlertWatch) -> AsyncGenerator[Any, None]:
        del rpc, act
        drill = question.topic.startswith("exercise:")
        assert question.after == ""
        for line in self.lines:
            if (line.status is Status.EXERCISE) == drill:
                yield AlertNews(line=line)
        yield AlertNews(token="1")
        if drill:
            await asyncio.Event().wait()
        self.streams += 1
        while True:
            news = await self.coming.get()
            if isinstance(news, Exception):
                raise news
            yield news


class Clock:
    """The clock of a desk, which goes when it is told to."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def goes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def bare_board(*, desk: str = "", bell: bool = False) -> Board:
    return Board(title="常山县值守席", now=NOW, desk=desk, bells=Bells(real=bell, exercises=False))


class Seen:
    """The screen end of a pseudo-terminal: what stands on each line, and all that was ever written."""

    def __init__(self, end: int, inner: int) -> None:
        self.end, self.written, self.lines, self.clock = end, "", dict[int, str](), Clock()
        self.inner = inner

    async def until(self, holds: Callable[[], bool]) -> None:
        """Reads on until it holds."""
        while not holds():
            await asyncio.sleep(0.002)
            with contextlib.suppress(BlockingIOError):
                self.written += os.read(self.end, 65536).decode(errors="replace")
            drawn = self.written.rpartition("\x1b[2J")[2]  # cleared when its size changes
            self.lines = {int(row): text for row, text in _DRAWN.findall(drawn)}

    def shows(self, text: str) -> bool:
        return any(text in line for line in self.lines.values())


@contextlib.asynccontextmanager
async def at_the_screen(node: DeskNode, *, bell: bool = False, desk: str = "", keep: alert_watch.Keep | None = None):
    """A live desk in a pseudo-terminal of 100 columns; types with `os.write`. It has quit when the block ends."""
    end, inner = pty.openpty()
    before = termios.tcgetattr(inner)
    termios.tcsetwinsize(inner, (24, 100))
    os.set_blocking(end, False)
    seen = Seen(end, inner)
    with open(inner, "w", encoding="utf-8", closefd=False) as stdout:
        live = LiveDesk(
            node, bare_board(bell=bell, desk=desk), Screen(inner, stdout), act=ACT, topics=TOPICS, clock=seen.clock
        )
        live.keep = keep
        task = asyncio.create_task(live.run())
        try:
            yield seen
            await seen.until(task.done)
            await task
            await seen.until(lambda: seen.written.endswith("\x1b[?1049l"))
            assert termios.tcgetattr(inner) == before
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            os.close(inner)
            os.close(end)


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(alert_watch, "RECONNECT_SECONDS", 0.01)


def type_keys(seen: Seen, text: str) -> None:
    """Types a second later, when what is on the screen has been seen."""
    seen.clock.goes(1)
    os.write(seen.end, text.encode())


async def test_screen_shows_what_is_and_what_comes_and_leaves_the_terminal_as_it_was():
    """The rows at its beginning, a new alert with one bell, the neighbour's link; q quits."""
    node = DeskNode(QUARREL, replace(HOUSE, status=Status.EXERCISE))
    async with at_the_screen(node, bell=True) as seen:
        await seen.until(lambda: seen.shows("纠纷警情") and seen.shows("【演练】1 条") and seen.shows("江西 ●"))
        assert "\a" not in seen.written
        seen.clock.goes(1)
        node.coming.put_nowait(AlertNews(token="2", line=replace(FIRE, rings=(GOVERNANCE,)), act="raise"))
        await seen.until(lambda: seen.shows("森林火灾"))
        await seen.until(lambda: "\a" in seen.written)
        assert "\x1b[33m走" in seen.written
        type_keys(seen, "q")
    assert seen.written.count("\a") == 1


async def test_key_is_an_act_for_the_purpose_of_the_kind():
    """`c` stamps the alert under the cursor; each act has a request id of its own, and its end is told."""
    node = DeskNode(replace(QUARREL, purpose="alert.incident", function="F12", holder=GOVERNANCE))
    async with at_the_screen(node) as seen:
        await seen.until(lambda: seen.shows(">"))
        type_keys(seen, "c")
        await seen.until(lambda: seen.shows("已记录"))
        type_keys(seen, "n已派车\r")
        await seen.until(lambda: len(node.asked) == 2)
        type_keys(seen, "\x03")
    (act, step), (other, note) = node.asked
    assert (act.purpose, act.function, act.officer) == ("alert.incident", "F12", "clerk")
    assert (step.alert, step.name, step.fields) == (QUARREL.record, "stamp", {"desk": GOVERNANCE, "stage": "contacted"})
    assert note.items == (CaseItem(kind="fact", fields={"text": "已派车"}),)
    assert act.request_id != other.request_id != ACT.request_id


async def test_lost_answer_is_asked_for_under_the_same_request_id():
    """So that the node does it once."""
    node = DeskNode(QUARREL)
    node.lose_answers = 2
    async with at_the_screen(node) as seen:
        await seen.until(lambda: seen.shows(">"))
        type_keys(seen, "a")
        await seen.until(lambda: seen.shows("已记录"))
        type_keys(seen, "q")
    assert len({act.request_id for act, _ in node.asked}) == 1
    assert [step.name for _, step in node.asked] == ["claim"] * 3


async def test_refused_claim_says_who_holds_the_alert_since_when():
    """The desk that came second is told whom to help; another refusal is told as the node says it."""
    for why, words in (
        ("HELD_BY_OTHER", "该警情已由常山县111乡镇于 10:14:10 签收，请配合处置"),
        ("ALERT_ENDED", "警情已结束"),
    ):
        node = DeskNode(QUARREL)
        node.refuses = RuleError("ALERT_ACT", "警情已结束 the alert has ended", why=why)
        async with at_the_screen(node) as seen:
            await seen.until(lambda: seen.shows(">"))
            type_keys(seen, "a")
            await seen.until(lambda: seen.shows(words))  # noqa: B023
            type_keys(seen, "q")


async def test_enter_shows_what_an_alert_says():
    """Its texts and what may be done, as `alert show` has them."""
    async with at_the_screen(DeskNode(QUARREL)) as seen:
        termios.tcsetwinsize(seen.inner, (12, 100))
        os.kill(os.getpid(), signal.SIGWINCH)
        await seen.until(lambda: seen.shows(">"))
        type_keys(seen, "\r")
        await seen.until(lambda: seen.shows("伤亡交通事故"))
        type_keys(seen, "\x1b[B" * 8)
        await seen.until(lambda: seen.shows("界路两车追尾") and not seen.shows("伤亡交通事故"))
        type_keys(seen, " ")
        await seen.until(lambda: seen.shows(">"))
        type_keys(seen, "q")


async def test_stamp_is_kept_while_the_node_is_away():
    """By the moment of the key; what is no claim and no stamp is not kept, and nothing is while the node answers."""
    kept = list[tuple[str, datetime]]()

    def keep(do: Do, at: datetime) -> str:
        kept.append((do.name, at))
        return "已存入"

    node = DeskNode(replace(QUARREL, holder=GOVERNANCE))
    async with at_the_screen(node, keep=keep) as seen:
        await seen.until(lambda: seen.shows(">"))
        type_keys(seen, "c")
        await seen.until(lambda: seen.shows("已记录"))
        assert kept == []
        node.refuses = UnavailableError("UNREACHABLE", "no answer from the node")
        seen.clock.goes(31)
        await seen.until(lambda: seen.shows("本省节点 ○断开"))
        type_keys(seen, "c2")
        await seen.until(lambda: seen.shows("已存入"))
        assert kept == [("stamp", seen.clock.at)]
        type_keys(seen, "n车\r")
        await seen.until(lambda: seen.shows("no answer from the node"))
        type_keys(seen, "q")
    assert len(kept) == 1


async def test_shift_that_was_not_handed_over_is_in_the_head():
    """Of the desk that is watched."""
    node = DeskNode(QUARREL)
    node.unhanded = True
    async with at_the_screen(node, desk=GOVERNANCE) as seen:
        await seen.until(lambda: seen.shows("未交接"))
        type_keys(seen, "q")


async def test_note_that_names_a_person_is_not_sent():
    """The text is refused before anything leaves, by the name of the pattern."""
    node = DeskNode(QUARREL)
    async with at_the_screen(node) as seen:
        await seen.until(lambda: seen.shows(">"))
        type_keys(seen, "n13900001234\r")
        await seen.until(lambda: seen.shows("内容疑含手机号码"))
        type_keys(seen, "q")
    assert node.asked == []


async def test_rows_stay_while_the_link_is_down_and_it_comes_back_by_itself():
    """The head says that the own node is not reached; after it is, nothing rings for what was there."""
    node = DeskNode(replace(FIRE, rings=(GOVERNANCE,)))
    async with at_the_screen(node, bell=True) as seen:
        await seen.until(lambda: seen.shows("森林火灾"))
        missed = replace(FIRE, record=QUARREL.record, zh="另一起", rings=(GOVERNANCE,))
        node.lines.append(missed)
        seen.clock.goes(1)
        node.coming.put_nowait(UnavailableError("UNREACHABLE", "gone"))
        await seen.until(lambda: seen.shows("另一起"))
        assert node.streams == 2
        assert seen.shows("森林火灾")
        type_keys(seen, "q")
    assert "\a" not in seen.written


async def test_update_says_again_what_it_does_not_say_anew():
    """The texts that stand beside the new one; an acceptance is what it is."""
    line = replace(QUARREL, holder=GOVERNANCE)
    for typed, offered in (("u新\r", ""), ("a", GOVERNANCE)):
        node = DeskNode(replace(line, offer_to=offered))
        async with at_the_screen(node) as seen:
            await seen.until(lambda: seen.shows(">"))
            type_keys(seen, typed)
            await seen.until(lambda: len(node.asked) == 1)  # noqa: B023
            type_keys(seen, "q")
        [(_, step)] = node.asked
        assert (step.name, step.fields.get("expires")) == (("accept_hand_over", None) if offered else ("update", "x"))
        if not offered:
            assert step.fields["about"] == "a" * 64
            assert [item.kind for item in step.items] == ["place", "fact"]


async def test_refusal_of_a_stream_ends_the_screen():
    """Policy's no is not shown as an empty desk."""
    node = DeskNode()
    refused = replace(ALLOWED, verdict=Verdict.REFUSED)
    live = LiveDesk(node, bare_board(), Voice(io.StringIO()), act=ACT, topics={False: "desk:*"}, clock=Clock())
    node.coming.put_nowait(AlertNews(decision=refused))
    await live.run()
    assert live.refused == refused


async def test_voice_says_each_change_once():
    """A line for each alert that changed, and for a link; neither the clock nor a row that is told again says anything."""
    said = io.StringIO()
    node = DeskNode(QUARREL)
    live = LiveDesk(node, bare_board(), Voice(said), act=ACT, topics={False: "desk:*"}, clock=Clock())
    task = asyncio.create_task(live.run())
    try:
        for line, awaited in (
            (node.lines[0], "已签收"),
            (replace(node.lines[0], step=2, state=AlertState.CONTACTED), "已联系"),
        ):
            node.coming.put_nowait(AlertNews(token="2", line=line, act="stamp"))
            while awaited not in said.getvalue():
                await asyncio.sleep(0.005)
        node.coming.put_nowait(UnavailableError("UNREACHABLE", "gone"))
        while "链路 link：本省节点 own node 断开 down" not in said.getvalue():
            await asyncio.sleep(0.005)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    first, second, *_ = said.getvalue().splitlines()
    assert re.match(r"\d\d:\d\d:\d\d 紧急；纠纷警情 dispute；", first)
    assert "\x1b" not in said.getvalue()
    assert "已联系 contacted" in second


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"a\x1b[A\x1b[B\x1bOA", ["a", "up", "down", "up"]),
        (b"\x1b", ["escape"]),
        (b"\x1ba\x1b[3~\x1b[1;5C\x00\x01", []),
        (b"\r\n\x7f\x08\x03\x04", ["enter", "enter", "back", "back", "quit", "quit"]),
        ("已\x1b".encode(), ["已", "escape"]),
    ],
)
def test_keys_of_a_terminal(data: bytes, keys: list[str]) -> None:
    """A sequence without a name is no key, and least of all the letter that it ends with; nor is one with Alt."""
    assert Keys().read(data) == keys


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20), st.integers(1, 5))
def test_typed_text_comes_whole_in_whatever_pieces(text: str, size: int) -> None:
    """A character that is split between two reads is one key."""
    data, keys = text.encode(), Keys()
    read = [key for at in range(0, len(data), size) for key in keys.read(data[at : at + size])]
    assert read == [sign for sign in text if sign.isprintable()]


def test_event_names_token_record_act_and_alert():
    """A sign of life has its token only."""
    event = json.loads(json.dumps(event_of(AlertNews(token="7", line=QUARREL, act="claim"))))
    assert (event["token"], event["id"], event["act"]) == ("7", QUARREL.record, "claim")
    assert event["alert"]["state"] == "accepted"
    assert event_of(AlertNews(token="8")) == {"token": "8", "id": None, "act": None, "alert": None}


def test_end_of_an_act_in_words():
    """Refused, held by another desk since when, without effect and why."""
    held = AlertOutcome(decision=ALLOWED, line=QUARREL, entry=entry("claim", without_effect="HELD_BY_OTHER"))
    assert outcome_words(held).startswith("该警情已由常山县111乡镇于 10:14:10 签收，请配合处置 | ")
    void = AlertOutcome(decision=ALLOWED, entry=entry("close", without_effect="NOT_HOLDER"))
    assert outcome_words(void) == "无效果 without effect: 本席位未持有该警情 | the desk does not hold the alert"
    refused = replace(ALLOWED, verdict=Verdict.REFUSED, title_zh="非本席位警情", title_en="not your kind")
    assert outcome_words(AlertOutcome(decision=refused)) == "拒绝 refused: 非本席位警情 | not your kind"


# ---- at real nodes


CENTRE, ACROSS = "zhejiang/330822/governance", "jiangxi/361123/governance"


def raised(nodes, *options: str) -> dict[str, Any]:
    """The line of an alert that the centre of Changshan raises in the circle of Qiuchuan."""
    where = ("--area", "330822.circle.qiuchuan", "--division", "330822111")
    answer = nodes.ask(
        CENTRE, "alert", "raise", "dispute", "--desk", GOVERNANCE, *where, "--fact", "界桩争议", *options, "-o", "json"
    )
    line: dict[str, Any] = answer.json["line"]
    return line


def test_events_in_a_pipe_begin_with_what_is_open_and_go_on_behind_a_token(nodes):
    """One object a line; behind the token of an event only what came after it; exercises behind their own topic."""
    line = raised(nodes)
    record = line["record"]
    rows = [
        json.loads(text)
        for text in nodes.ask(
            CENTRE, "alert", "watch", "--record", record, "--count", "2", "--heartbeat"
        ).out.splitlines()
    ]
    assert [(row["id"], row["alert"] is None) for row in rows] == [(record, False), (None, True)]
    assert rows[0]["alert"]["left_ms"] > 0
    nodes.ask(CENTRE, "alert", "claim", line["cap_id"])
    watch = ("alert", "watch", "--record", record, "--count", "1", "-o", "json")
    [event] = [json.loads(text) for text in nodes.ask(CENTRE, *watch, "--after", rows[1]["token"]).out.splitlines()]
    assert (event["act"], event["alert"]["state"], event["alert"]["holder"]) == ("claim", "accepted", GOVERNANCE)
    assert "WATCH_TOKEN" in nodes.ask(CENTRE, *watch, "--after", "x", code=2).err
    drill = raised(nodes, "--exercise")
    told = nodes.ask(CENTRE, "alert", "watch", "--record", drill["record"], "--exercise", "--count", "1").out
    assert json.loads(told)["alert"]["status"] == "Exercise"


def test_live_screen_at_a_real_node(nodes):
    """It shows what is open, takes a key as a signed act, and shows what became of it; nothing else is on the terminal."""
    line = raised(nodes)
    end, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 100))
    os.set_blocking(end, False)
    profile = find_profile(None, nodes.folder, CENTRE)

    async def work() -> str:
        seen = Seen(end, inner)
        with open(inner, "w", encoding="utf-8", closefd=False) as stdout:

            async def live(client: AgencyClient) -> None:
                act = Act(request_id=ACT.request_id, purpose="alert.duty", function="F12", officer="clerk")
                board = Board(title="常山", now=now(), bells=Bells(real=False, exercises=False))
                topics = {False: f"record:{line['record']}"}
                desk = LiveDesk(client, board, Screen(inner, stdout), act=act, topics=topics)
                running = asyncio.create_task(desk.run())
                await seen.until(lambda: seen.shows("待签收"))
                os.write(end, b"a")
                await seen.until(lambda: any(map(seen.shows, ("再按一次", "正在办理", "已记录"))))
                if seen.shows("再按一次"):  # the row came less than 300 ms ago
                    os.write(end, b"a")
                await seen.until(lambda: seen.shows("已签收"))
                os.write(end, b"q")
                await running

            key = load_ed25519(nodes.key(CENTRE, "clerk"))
            await ask_node(profile, live, sign=lambda _: key, timeout_seconds=60)
            await seen.until(lambda: seen.written.endswith("\x1b[?1049l"))
        return seen.written

    try:
        written = asyncio.run(work())
    finally:
        os.close(inner)
        os.close(end)
    assert "Traceback" not in written
    shown = nodes.ask(CENTRE, "alert", "show", line["cap_id"], "-o", "json").json["line"]
    assert (shown["state"], shown["holder"], shown["stages"][0]["officer"]) == ("accepted", GOVERNANCE, "clerk")
