"""The live screen of a duty desk, as a machine over news, clock and keys: each gives what is to be done, and a frame.

Rules kept: the cursor stays on its alert; the order of rows changes at most once a second, and not while a key waits
for its answer; a key that acts asks again when the row under the cursor changed within 300 ms. Bells are off until
asked for: one when the own desk is rung, one 15 s before a limit of what it has to do, one when that is late; none for
an exercise unless asked for, for a test, for what has ended, or for what was there when the link came back. Exercises
have a page of their own. Rows stay while the link is down. No clock is read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, field
from rich.cells import chop_cells

from federation.cli.alert_rows import (
    ENDED,
    Lamp,
    Look,
    Row,
    awaited,
    fit,
    lamp_word,
    row_of,
    rows_of,
    screen_lines,
    spoken,
)
from federation.cli.alert_words import LATE
from federation.cli.show import CHINA, seen
from federation.cli.words import enclosed, listed, one_of, pair, punctuated, said, short
from federation.domain.alert_line import AlertLine
from federation.domain.cap import Status

ORDER_TIME: Final = timedelta(seconds=1)
CHANGED_TIME: Final = timedelta(milliseconds=300)
SOON_TIME: Final = timedelta(seconds=15)
ENDED_TIME: Final = timedelta(seconds=60)
"""How long a row stays once its alert has ended."""
_DATED: Final = 100
"""The columns of a screen that has room for the day."""
MAX_TEXT: Final = 300
MAX_ROWS: Final = 2_000
HELP_KEY: Final = "?"
ANY_KEY: Final = "按任意键返回，↑ ↓ 翻看 | any key goes back, ↑ ↓ scroll"
"""Of more alerts those that press least are not shown."""
UP, DOWN, ENTER, ESCAPE, BACK = "up", "down", "enter", "escape", "back"
QUIT, RESIZE = "quit", "resize"
"""No keys: the terminal ends, and its size has changed."""
REASON_KEYS: Final = dict(zip("123456789", (each for each in LATE.items() if each[0] != "other"), strict=True))
"""By digit: why a stage is late, with its Chinese; another reason is said in words (`alert stamp --reason`)."""


class Do(Struct, frozen=True, kw_only=True):
    """An act to be done about an alert; `text` is its item, where it has one."""

    record: str
    name: str
    fields: Mapping[str, str]
    text: str = ""


class Open(Struct, frozen=True, kw_only=True):
    """An alert to be read whole, with its texts."""

    record: str


class Sign(StrEnum):
    BELL = "bell"
    QUIT = "quit"


Effect = Do | Open | Sign


class Asks(StrEnum):
    """The answer that a key waits for: the same key again, a yes, the reason for being late, a text."""

    AGAIN = "again"
    SURE = "sure"
    REASON = "reason"
    TEXT = "text"


class Key(Struct, frozen=True, kw_only=True):
    """A key that acts. `field` is where a typed text stands in the act; without one it is the act's item."""

    zh: str
    en: str
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    asks: Asks | None = None
    question: str = ""
    field: str = ""


KEYS: Final[Mapping[str, Key]] = {
    "a": Key(zh="签收", en="claim", name="claim"),
    "c": Key(zh="联系", en="contacted", name="stamp", fields={"stage": "contacted"}),
    "r": Key(zh="到场", en="arrived", name="stamp", fields={"stage": "arrived"}),
    "h": Key(zh="移交", en="hand over", name="hand_over", asks=Asks.TEXT, field="to",
             question="移交给哪个席位（编号） | to which desk (its id)"),
    "u": Key(zh="续报", en="update", name="update", asks=Asks.TEXT, question="续报内容 | what is new"),
    "f": Key(zh="误报", en="false alarm", name="cancel", fields={"why": "false_alarm"}, asks=Asks.SURE,
             question="确认按误报撤销？按 y | cancel it as a false alarm? press y"),
    "n": Key(zh="记事", en="note", name="note", asks=Asks.TEXT, question="记事内容 | the note"),
}  # fmt: skip


class Prompt(Struct, frozen=True, kw_only=True):
    """A key of which the answer is awaited, for the alert that it was pressed on."""

    key: str
    record: str
    asks: Asks
    text: str = ""


class Link(Struct, frozen=True, kw_only=True):
    """A neighbour's node, or the own one, as it is reached; `since` is when it was reached last."""

    name: str
    up: bool
    since: datetime | None = None


class Bells:
    """Says once for each cause that a bell is due; what is `known` already rings no more."""

    def __init__(self, *, real: bool, exercises: bool) -> None:
        self._on = {Status.ACTUAL: real, Status.EXERCISE: exercises, Status.TEST: False}
        self._rung: set[tuple[str, str]] = set()

    def due(self, line: AlertLine, now: datetime, *, own: frozenset[str], known: bool = False, act: str = "") -> bool:
        """True when something about an alert rings that did not ring before: its row, or the act that it came with."""
        found = (*_causes(line, now, own), *_asks(line, own, act))
        causes = {(str(line.record), cause) for cause in found} - self._rung
        self._rung |= causes
        return bool(causes) and not known and self._on[line.status]

    def forget(self, record: str) -> None:
        self._rung = {each for each in self._rung if each[0] != record}


def _causes(line: AlertLine, now: datetime, own: frozenset[str]) -> Iterable[str]:
    """The causes for which an alert rings now: its desk is rung, or a limit of what it has to do is near, or over."""
    rung = bool(own & set(line.rings)) and not line.holder
    if line.state in ENDED or not (rung or line.holder in own):
        return
    if rung:
        yield f"rung {line.rung}"
    stage = awaited(line)
    if stage is not None and stage.due - now <= SOON_TIME:
        yield f"{'late' if now > stage.due else 'soon'} {stage.stage}"


def _asks(line: AlertLine, own: frozenset[str], act: str) -> Iterable[str]:
    """The reminder that an update is due, for the desk that holds the alert, or raised it while nobody does."""
    if act == "remind" and line.state not in ENDED and (line.holder or line.raised_by) in own:
        yield f"remind {line.step}"


class Board:
    """One desk's screen. `notified`, `ticked`, `pressed` and `done` return what is to be done; `frame` shows it."""

    def __init__(self, *, title: str, now: datetime, desk: str = "", exercises: bool = False, bells: Bells) -> None:
        self.title, self.desk, self.exercises = title, desk, exercises
        self.now = self._changed = now
        self._ordered = now - ORDER_TIME
        self.links: tuple[Link, ...] = ()
        self.lost: datetime | None = None
        """Since when the own node is not reached."""
        self.unhanded = False
        """The last shift of the desk was not handed over."""
        self.prompt: Prompt | None = None
        self.says = ""
        self.page: tuple[str, ...] = ()
        """What stands on the screen instead of the rows until a key is pressed."""
        self._bells, self._down = bells, 0
        self._lines: dict[str, AlertLine] = {}
        self._unconfirmed: dict[bool, set[str]] = {}
        self._order: list[str] = []
        self._cursor = ""

    # ---- what comes in

    def linked(self, *, exercises: bool) -> None:
        """A stream begins anew: until it is `notified` of something new, what it tells was there before."""
        self._unconfirmed[exercises] = {key for key, line in self._lines.items() if _is_drill(line) == exercises}

    def notified(
        self, line: AlertLine | None, now: datetime, *, known: bool, exercises: bool, act: str = ""
    ) -> list[Effect]:
        """Takes a row of a stream: one that was there at its beginning, a change since, or a sign of life (None).

        With the first that is not `known` the rows that were not told again have ended unseen, and go.
        """
        self.now = max(now, self.now)
        if line is not None and known:
            self._unconfirmed.get(exercises, set()).discard(str(line.record))
        elif not known:
            for record in self._unconfirmed.pop(exercises, set()) - {str(line.record) if line is not None else ""}:
                self._forget(record)
        rings = line is not None and self._took(line, known=known, act=act)
        if not known:
            self._put_in_order()
        return [Sign.BELL] if rings else []

    def ticked(self, now: datetime) -> list[Effect]:
        """Takes the time: what is late now rings once, what ended a while ago goes."""
        self.now = max(now, self.now)
        gone = [key for key, line in self._lines.items() if _is_gone(line, self.now)]
        for record in gone:
            self._forget(record)
        due = [self._bells.due(line, self.now, own=self._own(line)) for line in self._lines.values()]
        self._put_in_order()
        return [Sign.BELL] if any(due) else []

    def done(self, said: str) -> None:
        """Takes what became of an act."""
        self.says = said

    def pressed(self, key: str, now: datetime) -> list[Effect]:
        """Takes a key; what it does is done to the alert under the cursor, or to that of the prompt."""
        self.now = max(now, self.now)
        if key == RESIZE:
            return []
        self.says = ""
        if key == QUIT:
            return [Sign.QUIT]
        if self.prompt is not None:
            return self._answered(self.prompt, key)
        by = {UP: -1, "k": -1, DOWN: 1, "j": 1}.get(key, 0)
        if self.page or key == HELP_KEY:
            self._turn(by)
        elif key == "q":
            return [Sign.QUIT]
        elif key == "e":
            self.exercises, self._cursor = not self.exercises, ""
            self._put_in_order(at_once=True)
        elif by:
            self._move(by)
        elif key == ENTER and self._cursor:
            return [Open(record=self._cursor)]
        elif key in KEYS and self._cursor:
            return self._begin(key, self._cursor)
        return []

    def _turn(self, by: int) -> None:
        """Goes up or down in the page that is shown, or leaves it; the help where there is none."""
        if self.page and by:
            self._down = max(0, self._down + by)
        else:
            self.page, self._down = () if self.page else tuple(_help()), 0

    # ---- keys that act

    def _begin(self, key: str, record: str, *, sure: bool = False) -> list[Effect]:
        if self._is_changed() and not sure:
            self.prompt = Prompt(key=key, record=record, asks=Asks.AGAIN)
            return []
        asks = KEYS[key].asks
        stage = KEYS[key].fields.get("stage")
        if any(each.stage == stage and self.now > each.due for each in self._lines[record].stages):
            asks = Asks.REASON
        self.prompt = None if asks is None else Prompt(key=key, record=record, asks=asks)
        return [self._act(key, record)] if asks is None else []

    def _answered(self, prompt: Prompt, key: str) -> list[Effect]:
        if key == ESCAPE or prompt.record not in self._lines:
            self.prompt = None
            return []
        if prompt.asks is Asks.AGAIN:
            self.prompt = None
            return self._begin(key, prompt.record, sure=True) if key == prompt.key else []
        if prompt.asks is Asks.TEXT and key != ENTER:
            typed = prompt.text[:-1] if key == BACK else prompt.text + (key if len(key) == 1 else "")
            self.prompt = Prompt(key=prompt.key, record=prompt.record, asks=Asks.TEXT, text=typed[:MAX_TEXT])
            return []
        if prompt.asks is Asks.REASON and key not in REASON_KEYS:
            return []
        if self._is_changed():
            self.says = "本行刚有变化，请再按一次 | the row changed just now: press once more"
            return []
        self.prompt = None
        if (prompt.asks is Asks.SURE and key != "y") or (prompt.asks is Asks.TEXT and not prompt.text.strip()):
            return []
        reason = {"late": REASON_KEYS[key][0]} if key in REASON_KEYS and prompt.asks is Asks.REASON else {}
        return [self._act(prompt.key, prompt.record, prompt.text.strip(), **reason)]

    def _act(self, key: str, record: str, text: str = "", **more: str) -> Do:
        line, each = self._lines[record], KEYS[key]
        own = self._own(line)
        desk = line.holder if line.holder in own else next(iter(sorted(own)), self.desk)
        name = each.name
        if name == "claim" and line.offer_to in own:
            name, desk = "accept_hand_over", line.offer_to
        typed = {each.field: text} if each.field else {}
        self.says = f"{each.zh}：正在办理… | {each.en}: under way"
        return Do(record=record, name=name, fields={"desk": desk, **each.fields, **typed, **more},
                  text="" if each.field else text)  # fmt: skip

    def _is_changed(self) -> bool:
        return self.now - self._changed < CHANGED_TIME

    # ---- rows

    def _own(self, line: AlertLine) -> frozenset[str]:
        return frozenset({self.desk} & set(line.desks) if self.desk else line.desks)

    def _took(self, line: AlertLine, *, known: bool, act: str) -> bool:
        record = str(line.record)
        held = self._lines.get(record)
        if held is not None and held.step >= line.step:
            return False
        self._lines[record] = line
        surplus = []
        if len(self._lines) > MAX_ROWS:
            surplus = [str(row.line.record) for row in rows_of(self._lines.values(), self.now)[MAX_ROWS:]]
        for each in [record] if _is_gone(line, self.now) else surplus:
            self._forget(each)
        if record not in self._lines:
            return False
        if record == self._cursor:
            self._changed = self.now
        return self._bells.due(line, self.now, own=self._own(line), known=known, act=act)

    def _forget(self, record: str) -> None:
        del self._lines[record]
        self._bells.forget(record)

    def _put_in_order(self, *, at_once: bool = False) -> None:
        """Sorts anew, where a second has passed and no key waits; what is gone goes at once."""
        before = self._place()
        self._order = [record for record in self._order if record in self._lines]
        if at_once or (self.prompt is None and self.now - self._ordered >= ORDER_TIME):
            shown = [line for line in self._lines.values() if _is_drill(line) == self.exercises]
            order = [str(row.line.record) for row in rows_of(shown, self.now)]
            if order != self._order:
                self._order, self._ordered = order, self.now
        if self._cursor not in self._order:
            self._cursor = self._order[min(before, len(self._order) - 1)] if self._order else ""
            self._changed = self.now
        elif self._place() != before:
            self._changed = self.now

    def _place(self) -> int:
        return self._order.index(self._cursor) if self._cursor in self._order else 0

    def _move(self, by: int) -> None:
        if self._order:
            self._cursor = self._order[min(max(0, self._place() + by), len(self._order) - 1)]

    # ---- what is seen

    def line(self, record: str) -> AlertLine | None:
        return self._lines.get(record)

    @property
    def rows(self) -> list[Row]:
        return [row_of(self._lines[record], self.now) for record in self._order]

    def frame(self, look: Look, height: int) -> list[str]:
        """Exactly so many lines, none wider than the screen."""
        if self.page:
            lines = [fit(part, look.columns, look) for line in self.page for part in _folded(line, look)]
            self._down = min(self._down, max(0, len(lines) - height))
            lines = lines[self._down :]
        else:
            rows = self.rows
            foot = self._foot(look, rows)
            room = max(1, height - len(foot) - 2)
            first = max(0, min(self._place() - room // 2, len(rows) - room))
            table = screen_lines(rows[first : first + room], look, cursor=self._cursor)
            lines = [self._head(look, rows), *table]
            lines += [""] * (height - len(lines) - len(foot)) + foot
        return [*lines, *[""] * height][:height]

    def _head(self, look: Look, rows: list[Row]) -> str:
        live = [row for row in rows if row.line.state not in ENDED]
        late = sum(row.is_late for row in live)
        own = () if self.lost is None else (Link(name=short("本省节点|own node"), up=False, since=self.lost),)
        links = " ".join(_link(link, self.now) for link in (*own, *self.links))
        page = short("【演练】|EXERCISES ") if self.exercises else ""
        at = f"{self.now.astimezone(CHINA):{'%Y-%m-%d %H:%M:%S' if look.columns >= _DATED else '%H:%M:%S'}}"
        title = f"{page}{self.title}{short('（上一班未交接）| (no hand-over)') if self.unhanded else ''}"
        counts = f"{short('待办|open')} {len(live)}  {short('超时|late')} {late}   {short('链路|links')} {links}"
        return fit(f"{title}   {at}   {counts}", look.columns, look)

    def _foot(self, look: Look, rows: list[Row]) -> list[str]:
        row = next((row for row in rows if row.line.record == self._cursor), None)
        other = sum(_is_drill(line) != self.exercises and line.state not in ENDED for line in self._lines.values())
        zh, en = ("真实警情", "actual") if self.exercises else ("【演练】", "exercises")
        there = one_of(f"{zh}{other} 条（按 e 查看）  ", f"{other} {en} (press e)  ") if other else ""
        keys = " ".join(one_of(f"{key}{each.zh}", f"{key} {each.en}") for key, each in KEYS.items())
        ends = short(f"{HELP_KEY}帮助 q退出|{HELP_KEY} help q quit")
        parts = [] if row is None else _folded(spoken(row), look)[:2]
        parts += [f"{there}{keys} {ends}", self._asked() or said(self.says or self._warns())]
        return [fit(part, look.columns, look) for part in parts]

    def _warns(self) -> str:
        if self.lost is None:
            return ""
        since = f"{self.lost.astimezone(CHINA):%H:%M:%S}"
        return f"所列为 {since} 的情况；登记写入 --offline 的文件 | as of {since}: stamps go to --offline"

    def _asked(self) -> str:
        prompt = self.prompt
        if prompt is None:
            return ""
        key = KEYS[prompt.key]
        if self.says:
            return said(self.says)
        if prompt.asks is Asks.AGAIN:
            again = f"再按一次 {prompt.key} 确认 | the row changed just now: press {prompt.key} again"
            return said(f"本行刚有变化，{again}")
        if prompt.asks is Asks.REASON:
            reasons = " ".join(one_of(f"{digit}{zh}", f"{digit} {name}") for digit, (name, zh) in REASON_KEYS.items())
            return f"{short('请填写超时原因|why it is late')}{punctuated('：')}{reasons}"
        typed = f"{punctuated(': ')}{prompt.text}_" if prompt.asks is Asks.TEXT else ""
        return f"{said(key.question)}{typed}"


def _is_drill(line: AlertLine) -> bool:
    return line.status is not Status.ACTUAL


def _is_gone(line: AlertLine, now: datetime) -> bool:
    return line.state in ENDED and now - line.changed > ENDED_TIME


def _link(link: Link, now: datetime) -> str:
    if link.up:
        return f"{link.name} ●"
    minutes = 0 if link.since is None else max(0, (now - link.since) // timedelta(minutes=1))
    since = "" if link.since is None else short(f" {minutes}分| {minutes} min")
    return f"{link.name} ○{short('断开|down')}{since}"


def _folded(text: str, look: Look) -> list[str]:
    return chop_cells(seen(text), max(2, look.columns)) or [""]


def _help() -> Iterator[str]:
    yield f"{said('按键|keys')}{enclosed(said(ANY_KEY))}"
    yield from (f"  {key}  {pair(each.zh, each.en)}" for key, each in KEYS.items())
    yield "  " + "   ".join(f"{key}  {said(does)}" for key, does in _MOVES.items())
    yield ""
    yield f"{said('灯|lamps')}{punctuated('：')}{listed(f'{n} {said(stage)}' for n, stage in _LAMPS_OF.items())}"
    yield "  " + "   ".join(f"{lamp_word(lamp)} {said(means)}" for lamp, means in _MEANS.items())
    left = said("距下一时限，负数为超时|until the next limit, negative when late")
    yield f"{said('剩余|left')}{punctuated('：')}{left}"
    level = f"■ {said('紧急程度|priority')}   ▲ {said('预警颜色|colour of a warning')}"
    yield f"{said('级别|level')}{punctuated('：')}{level}{enclosed(short('建议：仅为建议|?: proposed only'))}"


_MOVES: Final = {
    "↑ k / ↓ j": "移动|move", "Enter": "查看|read", "e": "演练|exercises", "q": "退出|quit", "Esc": "取消|cancel"
}  # fmt: skip
_LAMPS_OF: Final = {1: "签收|accepted", 3: "联系|contacted", 10: "到场|arrived"}
_MEANS: Final = {
    Lamp.DONE: "在案|stamped", Lamp.RUNS: "计时|its time runs", Lamp.LATE: "超时|its time is over",
    Lamp.NONE: "未到|not its turn",
}  # fmt: skip
