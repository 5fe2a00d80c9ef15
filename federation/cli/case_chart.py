"""The chart of a joint case as SVG: which stages are done, where it stands, what is ahead, who, and how long is left.

Rules kept: each state is said in words as well as in colour; the file is whole by itself (no script, no link, no font
of its own); every text is escaped. Moves that do not go to the next stage are arcs: on the left those that go on, on
the right, broken, those that return.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Final, Literal

StageState = Literal["done", "now", "ahead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartClock:
    """A clock of a stage; `due` is None where it is paused or its day is not known yet."""

    title: str
    due: datetime | None
    floor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartStage:
    """A stage as the chart shows it; `next` are the ids of the stages that it may go on to."""

    id: str
    title: str
    subtitle: str
    who: str
    tier: str
    state: StageState
    next: tuple[str, ...]
    entered: datetime | None = None
    left: datetime | None = None
    clocks: tuple[ChartClock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartWords:
    """What stands in the chart; `left`, `late`, `least` have a place for a time, `day` and `hour` for a number."""

    done: str
    now: str
    ahead: str
    left: str
    late: str
    least: str
    paused: str
    day: str
    hour: str


_GUTTER: Final = 150
_WIDTH: Final = 860
_TOP: Final = 96
_STEP: Final = 84
_CARD: Final = 66
_EDGE: Final = _WIDTH - _GUTTER
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
.gone{stroke:#3c8258}
.on,.back{fill:none;stroke:#b6bec7;stroke-width:1.5}
.back{stroke-dasharray:4 4}
.left,.late,.least{font-size:13px;font-weight:600;fill:#2b6cb8;text-anchor:end}
.late{fill:#b3261e}
.least{fill:#8a5a00}
""".strip()


def chart(stages: Sequence[ChartStage], *, title: str, subtitle: str, words: ChartWords, now: datetime) -> str:
    """The chart as one SVG document; `now` is the moment from which what is left is counted."""
    height = _TOP + len(stages) * _STEP + 24
    places = {stage.id: place for place, stage in enumerate(stages)}
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="32" y="44">{escape(title)}</text>',
        f'<text class="sub" x="32" y="68">{escape(subtitle)}</text>',
        *_line(stages),
        *_arcs(stages, places),
    ]
    for place, stage in enumerate(stages):
        rows += _stage(stage, y=_TOP + place * _STEP, words=words, now=now)
    return "\n".join([*rows, "</svg>", ""])


def _middle(place: int) -> int:
    return _TOP + place * _STEP + _CARD // 2


def _line(stages: Sequence[ChartStage]) -> Iterator[str]:
    for place, (above, below) in enumerate(pairwise(stages)):
        gone = " gone" if above.left is not None and below.entered is not None else ""
        if below.id in above.next:
            ends = f'x1="{_GUTTER}" x2="{_GUTTER}" y1="{_middle(place)}" y2="{_middle(place + 1)}"'
            yield f'<line class="line{gone}" {ends}/>'


def _arcs(stages: Sequence[ChartStage], places: dict[str, int]) -> Iterator[str]:
    """On the left what skips stages, on the right what returns; the further, the wider."""
    for place, stage in enumerate(stages):
        for to in (places[each] for each in stage.next if each in places):
            wide = min(_GUTTER - 40, 26 + 13 * abs(to - place))
            if to > place + 1:
                yield _arc("on", _GUTTER - 10, place, to, -wide)
            elif to < place:
                yield _arc("back", _EDGE + 6, place, to, wide)


def _arc(kind: str, x: int, start: int, end: int, wide: int) -> str:
    above, below = _middle(start) + 6 * (end > start), _middle(end) - 6 * (end > start)
    tip = x - 5 if wide < 0 else x + 5
    line = f'<path class="{kind}" d="M{x} {above}C{x + wide} {above} {x + wide} {below} {x} {below}"/>'
    return f'{line}<path class="on" d="M{tip} {below - 4}L{x} {below}L{tip} {below + 4}"/>'


def _stage(stage: ChartStage, *, y: int, words: ChartWords, now: datetime) -> Iterator[str]:
    left, right, state = _GUTTER + 28, _EDGE, getattr(words, stage.state)
    yield f'<g class="{stage.state}">'
    yield f'<rect class="card" x="{left}" y="{y}" width="{right - left}" height="{_CARD}" rx="8"/>'
    yield f'<circle class="dot" cx="{_GUTTER}" cy="{y + _CARD // 2}" r="{9 if stage.state == "now" else 7}"/>'
    yield f'<text class="name" x="{left + 16}" y="{y + 26}">{escape(stage.title)}</text>'
    beside = " · ".join(part for part in (stage.subtitle, stage.tier) if part)
    yield f'<text class="small" x="{left + 26 + 17 * len(stage.title)}" y="{y + 26}">{escape(beside)}</text>'
    days = " – ".join(f"{each:%Y-%m-%d}" for each in (stage.entered, stage.left) if each is not None)
    rest = escape("".join(f" · {part}" for part in (days, stage.who) if part))
    yield f'<text class="small" x="{left + 16}" y="{y + 50}"><tspan class="state">{escape(state)}</tspan>{rest}</text>'
    for row, clock in enumerate(stage.clocks[:3]):
        kind, text = _clock(clock, words, now)
        yield f'<text class="{kind}" x="{right - 14}" y="{y + 20 + 16 * row}">{escape(text)}</text>'
    yield "</g>"


def _clock(clock: ChartClock, words: ChartWords, now: datetime) -> tuple[str, str]:
    if clock.due is None:
        return "least", f"{clock.title}{words.paused}"
    left = clock.due - now
    if clock.floor:
        return (
            ("least", f"{clock.title}{words.least.format(_span(left, words))}") if left > timedelta(0) else ("left", "")
        )
    if left < timedelta(0):
        return "late", f"{clock.title}{words.late.format(_span(-left, words))}"
    return "left", f"{clock.title}{words.left.format(_span(left, words))}"


def _span(left: timedelta, words: ChartWords) -> str:
    """In whole days, below two days in whole hours."""
    if left >= timedelta(days=2):
        return words.day.format(left.days)
    return words.hour.format(int(left.total_seconds() // 3600))
