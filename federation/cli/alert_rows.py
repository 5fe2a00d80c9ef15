"""The rows of a duty desk: alerts in the order in which they press, for a screen, a pipe, a program, a screen reader.

Rules kept: what is late stands first, then what has the least time left, then by priority, then by T0; every lamp and
level is a word beside its colour; a screen takes no more cells than it has, a pipe loses nothing; no text of an alert
rules a terminal, since what nobody sees is written as its number, such as U+001B as backslash x1b.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TextIO

from msgspec import Struct

from federation.cli.show import JsonOut, local_time, object_of, seen, to_json
from federation.cli.words import WORDS, Language, language, listed, one_of, pair, punctuated, said, short
from federation.domain.alert import STAGES, AlertState
from federation.domain.cap import Status
from federation.domain.division import DIVISIONS

if TYPE_CHECKING:
    from federation.domain.alert_line import AlertLine, StageLine

ENDED: Final = frozenset({AlertState.CLOSED, AlertState.CANCELLED, AlertState.EXPIRED})
SOON: Final = timedelta(seconds=60)
"""How long before its end a claim is said to end."""
RED, GREEN, AMBER, BLUE, GREY, PLAIN = "31", "32", "33", "34", "90", ""
PRIORITIES: Final = {"flash": ("特急", RED), "urgent": ("紧急", AMBER), "routine": ("一般", PLAIN)}
LEVELS: Final = {"red": ("红色", RED), "orange": ("橙色", AMBER), "yellow": ("黄色", AMBER), "blue": ("蓝色", BLUE)}
_RANKS: Final = {name: rank for rank, name in enumerate(PRIORITIES)}
_RUNGS: Final = {
    40: "已再次提醒|the own desk was rung again", 60: "已请邻席|neighbour desks were asked",
    120: "已告值班领导|leaders on duty were told", 300: "已告设区市|the prefecture was told",
    600: "已告省|the province was told",
}  # fmt: skip
_OFFICES: Final = {
    "governance": "社会治理中心", "police": "公安", "emergency": "应急", "town": "乡镇", "leader": "值班领导",
    "forestry": "林业", "ecology": "生态环境", "water": "水利", "fishery": "渔政", "market": "市场监管",
    "service-hall": "政务服务",
}  # fmt: skip
_AREAS: Final = {
    "road": "路", "segment": "段", "circle": "圈", "patch": "片", "pair": "结对", "cell": "网格", "reach": "河段",
    "compartment": "林班",
}  # fmt: skip
_MARKS: Final = {Status.EXERCISE: "【演练】|EXERCISE ", Status.TEST: "【测试】|TEST "}


WORDS["AlertState"] = {
    "open": "待签收", "accepted": "已签收", "contacted": "已联系", "arrived": "已到场", "stop_asked": "已请求止付",
    "visited": "已见面劝阻", "sampled": "已取样", "confirmed": "已确认", "flame_out": "明火已扑灭", "closed": "已办结",
    "cancelled": "已撤销", "expired": "已失效",
}  # fmt: skip


class Lamp(StrEnum):
    """The state of a stage of 1-3-10: it has its stamp, its time runs, its time is over, or it is not its turn."""

    DONE = "done"
    RUNS = "runs"
    LATE = "late"
    NONE = "none"


_LAMPS: Final = {
    Lamp.DONE: ("已|done", GREEN), Lamp.RUNS: ("走|runs", AMBER), Lamp.LATE: ("超|late", RED), Lamp.NONE: ("–", GREY)
}  # fmt: skip


class Row(Struct, frozen=True, kw_only=True):
    """An alert at one moment. `left` until `due` is negative when late, None where nothing runs for it."""

    line: AlertLine
    at: datetime
    due: datetime | None
    left: timedelta | None

    @property
    def lamps(self) -> tuple[Lamp, Lamp, Lamp]:
        first, second, third = (_lamp(self.line, stage, self.at) for stage in STAGES)
        return first, second, third

    @property
    def said(self) -> tuple[tuple[str, str], ...]:
        """Its state in words, what concerns the reader first, as pairs of Chinese and English."""
        return tuple(_pair(text) for text in _said(self.line, self.at))

    @property
    def is_late(self) -> bool:
        return self.left is not None and self.left < timedelta(0)

    @property
    def state(self) -> str:
        return "·".join(one_of(zh, en) for zh, en in self.said)


class Look(Struct, frozen=True, kw_only=True):
    """The limits of a screen: its width in cells, colours, and other signs than those of ASCII beside the words."""

    columns: int = 80
    colour: bool = False
    ascii: bool = False

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour and colour else text


def look_of(stream: TextIO, environ: Mapping[str, str], *, columns: int, ascii_only: bool = False) -> Look:
    """The look of a terminal: no colour with NO_COLOR, ASCII where it or its encoding knows no more."""
    dumb = environ.get("TERM", "") in ("", "dumb")
    try:
        "■▲–—·…●○".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        ascii_only = True
    return Look(columns=columns, colour=not (environ.get("NO_COLOR") or dumb), ascii=ascii_only or dumb)


# ---- an alert at a moment


def rows_of(lines: Iterable[AlertLine], now: datetime) -> list[Row]:
    """The alerts in the order in which they press at that moment."""
    return sorted((row_of(line, now) for line in lines), key=_pressing)


def row_of(line: AlertLine, now: datetime) -> Row:
    due = _due(line)
    return Row(line=line, at=now, due=due, left=None if due is None else due - now)


def _pressing(row: Row) -> tuple[int, int, int, datetime, str]:
    line, left = row.line, row.left
    priority = _RANKS.get(line.priority, len(_RANKS))
    seconds = 0 if left is None else left // timedelta(seconds=1)
    place = 3 if line.state in ENDED else 2 if left is None else 0 if row.is_late else 1
    return place, seconds, priority, line.raised, str(line.record)


def awaited(line: AlertLine) -> StageLine | None:
    """The first stage without a stamp of an alert that has not ended."""
    return None if line.state in ENDED else next((each for each in line.stages if each.at is None), None)


def _due(line: AlertLine) -> datetime | None:
    """The end of the time of the next stage; with all of them stamped, of the claim of the reader's own desk."""
    stage = awaited(line)
    if stage is not None:
        return stage.due
    return line.lease if line.holder in line.desks and line.state not in ENDED else None


def _lamp(line: AlertLine, name: AlertState, now: datetime) -> Lamp:
    stage = next((each for each in line.stages if each.stage is name), None)
    if stage is None:
        return Lamp.NONE
    if stage.at is not None:
        return Lamp.DONE
    if line.state in ENDED:
        return Lamp.LATE if stage.late else Lamp.NONE
    if now > stage.due:
        return Lamp.LATE
    return Lamp.RUNS if stage is awaited(line) else Lamp.NONE


def _said(line: AlertLine, now: datetime) -> Iterator[str]:
    """The state in words, `Chinese|English` each; before it what the reader's own desk has to do at once."""
    lives, lapse, offer = line.state not in ENDED, line.lease, line.offer_to
    own = line.holder in line.desks and lives
    if line.waiting:
        yield f"等待 {line.waiting} 条前序记录|waits for {line.waiting} entries before it"
    if offer in line.desks:
        yield f"请接收移交{_until(line.offer_until, now)}|accept the hand-over"
    if own and lapse is not None and lapse - now <= SOON:
        yield f"签收将失效{_until(lapse, now)}|the claim is about to lapse"
    yield from _state(line)
    beside = {
        f"移交{desk_name(offer)}中|offered to {offer}": bool(offer) and offer not in line.desks,
        "离线签收，待同步确认|claimed offline, to be confirmed": line.local,
        "贵席协助|your desk helps": bool(set(line.helpers) & set(line.desks)),
        "已过有效期，仍在处置|past its time, and worked on": bool(line.holder) and line.expires <= now and lives,
        "补录|entered afterwards": any(stage.made for stage in line.stages),
        f"时钟存疑（相差 {line.skew_seconds} 秒）|clock in doubt by {line.skew_seconds} s": line.clock_doubtful,
        f"关联 {line.links} 条|{line.links} linked": line.links > 0,
    }
    yield from (words for words, holds in beside.items() if holds)


def _state(line: AlertLine) -> Iterator[str]:
    if line.state is not AlertState.OPEN:
        yield f"{WORDS['AlertState'][line.state.value]}|{line.state.value}"
    elif not line.stages:
        yield "知悉|for information"
    else:
        lapsed = line.stages[0].at is not None
        yield "重新待签收|open again: nobody holds it" if lapsed else "待签收|waits to be claimed"
        reached = [words for seconds, words in _RUNGS.items() if seconds <= line.rung]
        yield from reached[-1:]


def _until(time: datetime | None, now: datetime) -> str:
    return f"（余 {max(0, (time - now) // timedelta(seconds=1))} 秒）" if time is not None else ""


def _pair(text: str) -> tuple[str, str]:
    zh, _, en = text.partition("|")
    return zh, en


# ---- its texts


_LONGEST: Final = 359_999
"""Seconds: more is shown as 99h59."""


def left_text(left: timedelta | None) -> str:
    """Minutes and seconds, from 100 minutes on hours and minutes; `—` where nothing runs."""
    if left is None:
        return "—"
    whole = min(int(abs(left).total_seconds()), _LONGEST)
    text = f"{whole // 60:02d}:{whole % 60:02d}" if whole < 6000 else f"{whole // 3600}h{whole // 60 % 60:02d}"
    return f"{'-' if left < timedelta(0) else ''}{text}"


def level_of(line: AlertLine) -> tuple[str, str]:
    """▲ and its colour in words, 建议 where nobody issued it, else ■ and the priority; with the colour to paint it."""
    if line.level:
        word, colour = LEVELS.get(line.level, (line.level, PLAIN))
        return f"▲{one_of(word, line.level)}{'' if line.issued else short('建议|?')}", colour
    word, colour = PRIORITIES.get(line.priority, (line.priority, PLAIN))
    return f"■{one_of(word, line.priority)}", colour


def kind_of(line: AlertLine) -> str:
    return f"{short(_MARKS.get(line.status, ''))}{one_of(line.zh, line.en) or line.kind}"


def kind_text(line: AlertLine) -> str:
    """The kind where there is room for both languages."""
    return f"{short(_MARKS.get(line.status, ''))}{pair(line.zh, line.en)}"


def place_of(line: AlertLine) -> str:
    """The areas of an alert, else its divisions; an area without a name of its own as `qiuchuan圈`."""
    areas = [_area(name) if name in line.areas else name for name in line.area_names or line.areas]
    return listed(areas or map(_division, line.divisions))


def _area(area: str) -> str:
    whole, _, name = area.rpartition(".")
    what = whole.rpartition(".")[2]
    return one_of(f"{name}{_AREAS[what]}", f"{name} {what}") if what in _AREAS else name


def desk_name(desk: str) -> str:
    """`330822.emergency` as 常山县应急; what has no name here as it stands."""
    return one_of(*desk_halves(desk))


def desk_halves(desk: str) -> tuple[str, str]:
    code, _, rest = desk.partition(".")
    division = _division(code)
    office = _OFFICES.get(rest)
    known = office is not None and division != code
    return (f"{division}{office}", f"{division} {rest}") if known else (desk, desk)


def _division(code: str) -> str:
    found = DIVISIONS.get(code[:6])
    return f"{found.name}{code[6:]}" if found is not None else code


def holder_of(line: AlertLine) -> str:
    if not line.holder:
        return "—"
    return f"{short('本席 |own ') if line.holder in line.desks else ''}{desk_name(line.holder)}"


# ---- on a screen


class _Column(Struct, frozen=True):
    """`narrow` is how far it gives way, `since` how wide a screen must be for it, `gap` stands before it."""

    width: int
    narrow: int
    since: int = 0
    gap: int = 2


_COLUMNS: Final[Mapping[str, _Column]] = {
    "left": _Column(6, 6, gap=0), "level": _Column(9, 9), "kind": _Column(12, 6), "place": _Column(16, 6),
    "accepted": _Column(2, 2), "contacted": _Column(2, 2, gap=1), "arrived": _Column(2, 2, gap=1),
    "holder": _Column(16, 16, since=107), "state": _Column(16, 6), "number": _Column(9, 9, since=89),
}  # fmt: skip
_HEADS: Final = {
    "left": "剩余", "level": "级别程度", "kind": "类别", "place": "地点", "accepted": "签收", "contacted": "联系",
    "arrived": "到场", "holder": "持有席位", "state": "状态", "number": "编号", "record": "记录", "raised": "首报",
    "due": "应于", "expires": "有效至",
}  # fmt: skip
_SIGNS: Final = str.maketrans({"■": "#", "▲": "^", "–": "-", "—": "-", "·": "/", "…": "~", "●": "*", "○": "o"})
Cell = tuple[str, str]
"""A text and the colour that it is painted in."""


def screen_lines(rows: Sequence[Row], look: Look, *, cursor: str = "") -> list[str]:
    """A heading and a line for each row, none wider than the screen; `>` stands before the row of that record."""
    widths = _widths(look)
    heads = {name: (_head(name), PLAIN) for name in _COLUMNS}
    lines = [_screen_line(" ", heads, widths, look)]
    for row in rows:
        mark = ">" if str(row.line.record) == cursor else " "
        lines.append(_screen_line(mark, _cells(row, look), widths, look))
    return lines


def _head(name: str) -> str:
    if name in STAGES:
        return ("1", "3", "10")[STAGES.index(AlertState(name))]
    head = one_of(_HEADS[name], name)
    return f"  {head}" if name == "left" else head


def _widths(look: Look) -> dict[str, int]:
    """The width of each column that such a screen has room for: who holds it goes first, then the number."""
    shown = {name: each for name, each in _COLUMNS.items() if look.columns >= each.since}
    lamp = 4 if look.ascii or language() is Language.ENGLISH else 2
    widths = {name: lamp if name in STAGES else each.width for name, each in shown.items()}
    room = look.columns - 1 - sum(each.gap for each in shown.values()) - sum(widths.values())
    widths["state"] += max(0, room)
    for name in ("state", "place", "kind"):
        given = min(max(0, -room), widths[name] - shown[name].narrow)
        widths[name], room = widths[name] - given, room + given
    return widths


def _cells(row: Row, look: Look) -> dict[str, Cell]:
    line, colour = row.line, RED if row.is_late else PLAIN
    lamps = {str(name): _lamp_cell(lamp, look) for name, lamp in zip(STAGES, row.lamps, strict=True)}
    return {
        "left": (left_text(row.left).rjust(6), colour), "level": level_of(line), "kind": (kind_of(line), PLAIN),
        "place": (place_of(line), PLAIN), **lamps, "holder": (holder_of(line), PLAIN),
        "state": (row.state, colour), "number": (f"…{line.cap_id[-8:]}", GREY),
    }  # fmt: skip


def _lamp_cell(lamp: Lamp, look: Look) -> Cell:
    word, colour = lamp_word(lamp), _LAMPS[lamp][1]
    return (f"[{word}]" if look.ascii and len(word) == 1 else word), colour


def lamp_word(lamp: Lamp) -> str:
    return short(_LAMPS[lamp][0])


def _screen_line(mark: str, cells: Mapping[str, Cell], widths: Mapping[str, int], look: Look) -> str:
    made, room = mark, look.columns - len(mark)
    for name, width in widths.items():
        gap = _COLUMNS[name].gap
        if room <= gap:
            break
        taken = min(width, room - gap)
        text, colour = cells[name]
        made += " " * gap + look.paint(fit(text, taken, look), colour)
        room -= gap + taken
    return made.rstrip(" ")


def fit(text: str, width: int, look: Look) -> str:
    """A text in exactly so many cells: padded, or cut with a sign that it was; nothing in it rules the terminal."""
    from rich.cells import cell_len, set_cell_size

    text = seen(text)
    if look.ascii:
        text = text.translate(_SIGNS)
    if cell_len(text) > width:
        text = set_cell_size(text, max(0, width - 1)).rstrip(" ") + ("~" if look.ascii else "…")
    return set_cell_size(text, width)


# ---- in a pipe, for a program, for a screen reader


_PIPE: Final[Mapping[str, Callable[[Row], str]]] = {
    "left": lambda row: left_text(row.left),
    "level": lambda row: level_of(row.line)[0],
    "kind": lambda row: kind_of(row.line),
    "place": lambda row: listed(row.line.areas or row.line.divisions),
    "accepted": lambda row: lamp_word(row.lamps[0]),
    "contacted": lambda row: lamp_word(row.lamps[1]),
    "arrived": lambda row: lamp_word(row.lamps[2]),
    "holder": lambda row: row.line.holder or "—",
    "state": lambda row: row.state,
    "number": lambda row: row.line.cap_id,
    "record": lambda row: str(row.line.record),
    "raised": lambda row: local_time(row.line.raised),
    "due": lambda row: "—" if row.due is None else local_time(row.due),
    "expires": lambda row: local_time(row.line.expires),
}


def pipe_lines(rows: Iterable[Row]) -> Iterator[str]:
    """A heading and every alert on one line, cells apart by tabs: whole, without colours, times with their offset."""
    yield "\t".join(_HEADS[name] if language() is Language.CHINESE else name for name in _PIPE)
    for row in rows:
        yield "\t".join(seen(read(row)) for read in _PIPE.values())


def row_json(row: Row) -> dict[str, JsonOut]:
    """An alert as JSON: the fields of its line, milliseconds left until what is due, its lamps, its state in words."""
    return {
        **object_of(row.line),
        "left_ms": None if row.left is None else row.left // timedelta(milliseconds=1),
        "due": to_json(row.due),
        "lamps": {name.value: lamp.value for name, lamp in zip(STAGES, row.lamps, strict=True)},
        "said": to_json(row.said),
    }


def spoken(row: Row) -> str:
    """An alert as one sentence, for who hears it."""
    line, left = row.line, row.left
    clock = "" if left is None else f"{said('超时|late' if row.is_late else '剩余|left')} {left_text(abs(left))}"
    parts = (
        level_of(line)[0][1:],
        kind_text(line),
        place_of(line),
        clock,
        *(pair(zh, en) for zh, en in row.said),
        f"{said('持有席位|holder')} {holder_of(line)}",
        line.cap_id,
    )
    return seen(punctuated("；").join(part for part in parts if part))
