"""The chart of a joint case as SVG: which stages are done, where it stands, what is ahead, who, and how long is left.

Beside it the board of several cases, and the lists of a procedure. Rules kept: each state is said in words as well as
in colour; the file is whole by itself (no script, no link, no font of its own); every text is escaped. Moves that do
not go to the next stage are arcs: on the left those that go on, on the right, broken, those that return.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from federation.cli.show import local_day, local_minute
from federation.cli.words import (
    Language,
    cells,
    enclosed,
    language,
    one_of,
    overdue_mark,
    pair,
    punctuated,
    said,
    short,
    titled,
    word,
)
from federation.domain.joint_policy import CaseLine
from federation.wire.agency.cases import CaseClock, CaseStage, CaseView, ProcedureLists

if TYPE_CHECKING:
    from rich.table import Table

_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_WORDS: Final = {"done": "已办|done", "now": "办理中|now", "ahead": "未到|ahead"}
_GUTTER: Final = 150
_WIDTH: Final = 860
_TOP: Final = 112
_STEP: Final = 84
_CARD: Final = 66
_EDGE: Final = _WIDTH - _GUTTER
_WHO: Final = (34, 29, 24)  # characters have room in a card, beside no day, one and two
_FLOOR: Final = "至少还须|at least"
_LEFT: Final = "剩余|left"
_UNTAKEN: Final = "未经|not taken"
_CLOCKS: Final = 2  # have room in a card; the first due stand first
_STYLE: Final = """
text{font-family:"Noto Sans CJK SC","Source Han Sans SC","Microsoft YaHei","PingFang SC","WenQuanYi Micro Hei",
sans-serif}
.title{font-size:22px;font-weight:600;fill:#1d2733}
.sub{font-size:13px;fill:#5b6875}
.name{font-size:16px;font-weight:600}
.small{font-size:12px;fill:#5b6875}
.state{font-weight:600}
.done .card{fill:#f1f6f2;stroke:#b9d3c0}
.done .name{fill:#27543a}
.done .dot{fill:#3c8258;stroke:#3c8258}
.done .state{fill:#3c8258}
.now .card{fill:#eef4fc;stroke:#2b6cb8;stroke-width:2}
.now .name{fill:#174a85}
.now .dot{fill:#fff;stroke:#2b6cb8;stroke-width:5}
.now .state{fill:#2b6cb8}
.ahead .card{fill:#fff;stroke:#d5dae0}
.ahead .name{fill:#6b7682}
.ahead .dot{fill:#fff;stroke:#b6bec7;stroke-width:2}
.ahead .state{fill:#8b95a0}
.line{stroke:#c9d1d9;stroke-width:3}
.on,.back{fill:none;stroke:#b6bec7;stroke-width:1.5}
.back{stroke-dasharray:4 4}
.gone{stroke:#3c8258}
.left,.late,.least{font-size:13px;font-weight:600;fill:#2b6cb8;text-anchor:end}
.late{fill:#b3261e}
.least{fill:#8a5a00}
""".strip()


def chart(view: CaseView, now: datetime) -> str:
    """One SVG document; what is left is counted from `now`. Nothing for a case that may not be read."""
    line, stages = view.line, view.stages
    if line is None:
        return ""
    title = f"{one_of(line.title_zh, line.title_en)} {line.code}"
    beneath = line.title_en if language() is Language.BOTH else ""
    end = next((pair(each.zh, each.en) for each in view.trace if each.zh.startswith("已办结")), line.outcome)
    ended = f" · {end}" if line.outcome else ""
    subtitle = f"{titled('牵头|lead')}{line.lead} · {titled('立案|opened')}{local_day(line.opened)}{ended}"
    height = _TOP + len(stages) * _STEP + 24
    places = {stage.id: place for place, stage in enumerate(stages)}
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="32" y="44">{escape(title)}</text>',
        f'<text class="sub" x="32" y="68">{escape(beneath)}</text>',
        f'<text class="sub" x="32" y="88">{escape(subtitle)}</text>',
        *_line(stages),
        *_arcs(stages, places),
    ]
    for place, stage in enumerate(stages):
        clocks = view.clocks if _state(stage) == "now" else ()
        rows += _stage(stage, clocks, y=_TOP + place * _STEP, now=now, closed=bool(line.outcome))
    return "\n".join([*rows, "</svg>", ""])


def _state(stage: CaseStage) -> str:
    if stage.entered is None:
        return "ahead"
    return "now" if stage.left is None else "done"


def _middle(place: int) -> int:
    return _TOP + place * _STEP + _CARD // 2


def _line(stages: Sequence[CaseStage]) -> Iterator[str]:
    for place, (above, below) in enumerate(pairwise(stages)):
        gone = " gone" if _was_gone(above, below) else ""
        if below.id in above.next:
            ends = f'x1="{_GUTTER}" x2="{_GUTTER}" y1="{_middle(place)}" y2="{_middle(place + 1)}"'
            yield f'<line class="line{gone}" {ends}/>'


def _arcs(stages: Sequence[CaseStage], places: dict[str, int]) -> Iterator[str]:
    """On the left what skips stages, on the right what returns; the further, the wider."""
    for place, stage in enumerate(stages):
        for to in (places[each] for each in stage.next if each in places):
            wide = min(_GUTTER - 40, 26 + 13 * abs(to - place))
            gone = " gone" if _was_gone(stage, stages[to]) else ""
            if to > place + 1:
                yield _arc(f"on{gone}", _GUTTER - 10, place, to, -wide)
            elif to < place:
                came_back = gone if stage.entered != stages[to].entered else ""  # or all was done in one moment
                yield _arc(f"back{came_back}", _EDGE + 6, place, to, wide)


def _was_gone(one: CaseStage, other: CaseStage) -> bool:
    """The case went from the one to the other when it left it last."""
    return one.left is not None and one.left == other.entered


def _arc(kind: str, x: int, start: int, end: int, wide: int) -> str:
    above, below = _middle(start) + 6 * (end > start), _middle(end) - 6 * (end > start)
    tip = x - 5 if wide < 0 else x + 5
    line = f'<path class="{kind}" d="M{x} {above}C{x + wide} {above} {x + wide} {below} {x} {below}"/>'
    tip_kind = kind.replace("back", "on")
    return f'{line}<path class="{tip_kind}" d="M{tip} {below - 4}L{x} {below}L{tip} {below + 4}"/>'


def _stage(stage: CaseStage, clocks: Sequence[CaseClock], *, y: int, now: datetime, closed: bool) -> Iterator[str]:
    left, right, state = _GUTTER + 28, _EDGE, _state(stage)
    name = one_of(stage.zh, stage.en)
    beside = f"{stage.en} · {stage.tier}" if language() is Language.BOTH else stage.tier
    days = tuple(dict.fromkeys(local_day(each) for each in (stage.entered, stage.left) if each is not None))
    room = _WHO[len(days)] * (2 if language() is Language.ENGLISH else 1)
    offices = one_of(stage.who_zh, stage.who_en)
    who = offices if len(offices) <= room else f"{offices[:room].rstrip('、, ')}…"
    rest = escape("".join(f" · {part}" for part in (" – ".join(days), who) if part))
    stands = said(_UNTAKEN if closed and state == "ahead" else _WORDS[state])
    yield f'<g class="{state}">'
    yield f'<rect class="card" x="{left}" y="{y}" width="{right - left}" height="{_CARD}" rx="8"/>'
    yield f'<circle class="dot" cx="{_GUTTER}" cy="{y + _CARD // 2}" r="{9 if state == "now" else 7}"/>'
    yield f'<text class="name" x="{left + 16}" y="{y + 26}">{escape(name)}</text>'
    yield f'<text class="small" x="{left + 26 + 17 * cells(name) // 2}" y="{y + 26}">{escape(beside)}</text>'
    yield f'<text class="small" x="{left + 16}" y="{y + 50}"><tspan class="state">{stands}</tspan>{rest}</text>'
    for row, (kind, text) in enumerate(_clock(clock, now) for clock in clocks[:_CLOCKS]):
        yield f'<text class="{kind}" x="{right - 14}" y="{y + 20 + 16 * row}">{escape(text)}</text>'
    yield "</g>"


def _clock(clock: CaseClock, now: datetime) -> tuple[str, str]:
    """The class and the words of what is left."""
    name = one_of(clock.zh, clock.en)
    if clock.due is None:
        return "least", f"{name} {said('暂停|paused')}"
    left = clock.due - now
    if left < timedelta(0):
        return "late", f"{name} {said('已超期|late by')} {_span(-left)}"
    return "least" if clock.floor else "left", f"{name} {short(_FLOOR if clock.floor else _LEFT)} {_span(left)}"


def _span(left: timedelta) -> str:
    """In whole days, below two days in whole hours, below two hours in whole minutes."""
    if left >= timedelta(days=2):
        return f"{left.days} {said('天|d')}"
    minutes = int(left.total_seconds() // 60)
    return f"{minutes // 60} {said('小时|h')}" if minutes >= 120 else f"{minutes} {said('分钟|min')}"


def board(lines: Iterable[CaseLine]) -> Table:
    """The open cases as a table: the late ones first and in red, then those that are due first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(expand=True)
    for head in (
        said("一案一码|code"),
        said("事项|matter"),
        said("环节|stage"),
        said("参与|standing"),
        said("期限|due"),
    ):
        table.add_column(Text(head))
    still = [line for line in lines if not line.outcome]
    for line in sorted(still, key=lambda line: (not line.late, line.due or _NEVER, line.code)):
        due = f"{local_minute(line.due)} {line.clock}" if line.due is not None else "-"
        late = overdue_mark() if line.late else ""
        matter, stage = pair(line.title_zh, line.title_en), pair(line.stage_zh, line.stage_en)
        cells = (line.code, matter, stage, word(line.standing))
        table.add_row(*map(Text, (*cells, f"{due}{late}")), style="bold red" if line.late else "")
    return table


_LISTS: Final = {
    "duty": "职责|duties", "task": "任务|tasks", "guarantee": "保障|guarantees", "stage": "环节|stages",
    "role": "角色|roles",
}  # fmt: skip


def list_lines(found: ProcedureLists) -> Iterator[str]:
    unofficial = "" if found.official else f" {enclosed(said('未经官方公布|not official'))}"
    yield f"{pair(found.title_zh, found.title_en)}{unofficial}"
    yield f"  {titled('用途|purpose')}{found.purpose}  {titled('职能|function')}{found.function}"
    yield f"  {titled('依据|source')}{found.source}"
    who = {line.who: pair(line.zh, line.en) for line in found.lines if line.list == "role"}
    for name, title in _LISTS.items():
        lines = [line for line in found.lines if line.list == name]
        if lines:
            yield said(title)
            named = {} if name in ("stage", "role") else who  # these are typed as they stand here
            for line in lines:
                yield f"  {named.get(line.who, line.who)}{punctuated('：')}{said(f'{line.zh} | {line.en}')}"
