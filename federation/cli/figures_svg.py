"""The charts of a report as one SVG: attainment by area, alerts by kind, week, hour and weekday, arrivals by minute.

Rules kept: the file is whole by itself (no script, no link, no font of its own), every text is escaped, every chart
starts at zero and has its numbers written; what differs by colour differs by pattern, too; what is hidden is hatched
and says "<5", and has no height that would tell it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from federation.cli.figures_text import group_name, place_name, span_text, title_text
from federation.cli.show import seen
from federation.cli.words import punctuated, said, short
from federation.domain.figures import Figure
from federation.domain.figures_report import MINUTES_SHOWN, Charts, Report
from federation.domain.response import Hidden

_WIDTH: Final = 960
_LEFT: Final = 280
_RIGHT: Final = 150
_ROOM: Final = _WIDTH - _LEFT - _RIGHT
_ROW: Final = 24
_MAX_BARS: Final = 24
_COLOURS: Final = ("#2b6cb8", "#c05621", "#3c8258", "#8a5a00", "#6b46c1", "#b3261e", "#0f766e", "#5b6875")
_CLASSES: Final = {"town": "城镇|town", "remote": "边远|remote"}
_DAYS: Final = ("周一|Mon", "周二|Tue", "周三|Wed", "周四|Thu", "周五|Fri", "周六|Sat", "周日|Sun")
_STYLE: Final = """
text{font-family:"Noto Sans CJK SC","Source Han Sans SC","Microsoft YaHei","PingFang SC","WenQuanYi Micro Hei",
sans-serif;font-size:12px;fill:#1d2733}
.title{font-size:22px;font-weight:600}
.name{font-size:16px;font-weight:600}
.sub{fill:#5b6875}
.end{text-anchor:end}
.mid{text-anchor:middle}
.light{fill:#fff}
.axis{stroke:#b6bec7;stroke-width:1}
.limit{stroke:#b3261e;stroke-width:2;stroke-dasharray:6 4}
.now{fill:none;stroke:#2b6cb8;stroke-width:2.5}
.past{fill:none;stroke:#5b6875;stroke-width:2;stroke-dasharray:5 4}
""".strip()
_PATHS: Final = (
    "", "M0 8L8 0", "M0 0L8 8", "M0 4H8", "M4 0V8", "M0 4H8M4 0V8", "M0 8L8 0M0 0L8 8", "M2 2h2v2h-2z",
)  # fmt: skip


def report_svg(report: Report) -> str:
    """One SVG document with a title, a description and a panel for each chart that has something to show."""
    title = title_text(report)
    panels = [panel for panel in (*_figure_panels(report), *_chart_panels(report.charts or Charts())) if panel[2]]
    rows: list[str] = []
    y = 76
    for name, height, drawn in panels:
        rows += [
            f'<g transform="translate(0 {y})">',
            f'<text class="name" x="32" y="16">{_safe(name)}</text>',
            *drawn,
            "</g>",
        ]
        y += height + 44
    described = punctuated("；").join(name for name, _, _ in panels) or said("无数据|no data")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}">',
            f"<title>{_safe(title)}</title><desc>{_safe(described)}</desc><style>{_STYLE}</style>",
            f"<defs>{''.join(_patterns())}</defs>",
            f'<rect width="{_WIDTH}" height="{y}" fill="#fff"/>',
            _text(32, 44, title, "title"),
            *rows,
            "</svg>",
            "",
        ]
    )


def _safe(text: str) -> str:
    return escape(seen(text))


def _text(x: float, y: float, text: object, kind: str = "") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text{of_kind} x="{x:.1f}" y="{y:.1f}">{_safe(str(text))}</text>'


def _rect(x: float, y: float, size: tuple[float, float], fill: str, more: str = "") -> str:
    wide, high = size
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{fill}"{more}/>'


def _axis(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _patterns() -> Iterator[str]:
    """A colour and a pattern for each place of a stack, and the hatching of what is hidden."""
    for place, (colour, path) in enumerate(zip(_COLOURS, _PATHS, strict=True)):
        lines = f'<path d="{path}" stroke="#fff" stroke-width="1.5" fill="none"/>' if path else ""
        yield (
            f'<pattern id="p{place}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{colour}"/>{lines}</pattern>'
        )
    yield (
        '<pattern id="hidden" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<rect width="6" height="6" fill="#fff"/><path d="M0 6L6 0" stroke="#8b95a0" stroke-width="1.5"/></pattern>'
    )


_Panel = tuple[str, int, list[str]]


# ---- from figures ---


def _figure_panels(report: Report) -> Iterator[_Panel]:
    for name, title in (
        ("response.attain.1", "一分钟签收达标率|accepted in time, %"),
        ("response.attain.3", "三分钟联系达标率|contact in time, %"),
        ("response.attain.10", "到场达标率|arrived in time, %"),
    ):
        found = [each for each in report.figures if each.id == name and each.group.county and not each.group.kind]
        bars = [each for each in found if each.denominator != 0]
        drawn = list(_share_bars(report, bars[:_MAX_BARS]))
        yield said(title), _ROW * min(len(bars), _MAX_BARS) + 16, drawn
    stacks = [each for each in report.figures if each.id == "alert.n" and each.group.county and each.group.kind]
    counties = list(dict.fromkeys(each.group.county for each in stacks))
    drawn = list(_stacked_bars(stacks, counties))
    yield said("各类警情|alerts by kind"), _ROW * (len(counties) + 1) + 40, drawn


def _share_bars(report: Report, bars: Sequence[Figure]) -> Iterator[str]:
    for place, each in enumerate(bars):
        y = 28 + place * _ROW
        of_class = short(_CLASSES.get(each.group.duty_class, ""))
        yield _text(_LEFT - 8, y + 13, f"{group_name(report, each.group)} {of_class}", "end")
        if each.why in tuple(Hidden):
            yield from _hatched(_LEFT, y)
            continue
        wide = _ROOM * float(each.value) / 100 if each.value else 0
        way = "" if each.transit_ms is None else f"  {short('传输|transit')} {span_text(each.transit_ms)}"
        counts = f"{each.numerator}/{each.denominator}{way}"
        yield _rect(_LEFT, y, (wide, 16), "url(#p0)")
        yield _text(_LEFT + wide + 6, y + 13, f"{each.value} %  {counts}" if each.value else counts)
    if bars:
        yield _axis(_LEFT, 24, _LEFT, 28 + len(bars) * _ROW)


def _hatched(x: float, y: int) -> Iterator[str]:
    """A cell whose number is not printed: of one width, whatever it is."""
    yield _rect(x, y, (44, 16), "url(#hidden)", ' stroke="#8b95a0"')
    yield _text(x + 50, y + 13, "<5")


def _stacked_bars(stacks: Sequence[Figure], counties: Sequence[str]) -> Iterator[str]:
    sums = Counter({each.group.kind: 0 for each in stacks})
    for each in stacks:
        sums[each.group.kind] += each.numerator or 0
    kinds = [kind for kind, _ in sums.most_common()]
    places = {kind: min(place, len(_COLOURS) - 1) for place, kind in enumerate(kinds)}
    most = max((_sum(stacks, county) for county in counties), default=0)
    for row, county in enumerate(counties):
        y, x = 28 + row * _ROW, float(_LEFT)
        mine = sorted(
            (each for each in stacks if each.group.county == county), key=lambda each: places[each.group.kind]
        )
        yield _text(_LEFT - 8, y + 13, place_name(county), "end")
        for each in mine:
            wide = _ROOM * (each.numerator or 0) / max(1, most)
            if wide and each.why not in tuple(Hidden):
                title = f"<title>{_safe(each.group.kind)} {each.numerator}</title>"
                yield f"<g>{title}{_rect(x, y, (wide, 16), f'url(#p{places[each.group.kind]})')}</g>"
                x += wide
        if any(each.why in tuple(Hidden) for each in mine):
            yield from _hatched(x, y)
        else:
            yield _text(x + 6, y + 13, _sum(stacks, county))
    yield from _legend(kinds, y=36 + len(counties) * _ROW)


def _sum(stacks: Sequence[Figure], county: str) -> int:
    return sum(each.numerator or 0 for each in stacks if each.group.county == county)


def _legend(kinds: Sequence[str], *, y: int) -> Iterator[str]:
    last = len(_COLOURS) - 1
    names = [*kinds[:last], *([said("其他|others")] if len(kinds) > last + 1 else kinds[last:])]
    for place, kind in enumerate(names):
        x, row = 32 + (place % 6) * 150, y + (place // 6) * 18
        yield _rect(x, row, (14, 12), f"url(#p{place})")
        yield _text(x + 20, row + 11, kind)


# ---- from the counts of the own counties ---


def _chart_panels(charts: Charts) -> Iterator[_Panel]:
    """Each panel only where something is to be shown."""
    for counts, title, height, drawn in (
        (charts.arrivals, "到场用时分布（分钟，虚线为时限）|arrivals by minute, the limit as a line", 190, _histogram),
        (charts.weeks, "每周警情（实线本期，虚线上年）|alerts by week, last year broken", 190, _weeks),
        (charts.hours, "时段分布|alerts by weekday and hour", 7 * 22 + 40, _heat),
    ):
        yield said(title), height, list(drawn(charts)) if any(counts) else []


def _histogram(charts: Charts) -> Iterator[str]:
    most, wide = max(charts.arrivals), (_WIDTH - 96) / (MINUTES_SHOWN + 1)
    for minute, count in enumerate(charts.arrivals):
        high, x = 116 * count / most, 48 + minute * wide
        if count:
            fill = f"url(#p{0 if minute < charts.limit_minutes else 1})"
            yield _rect(x, 168 - high, (wide - 2, high), fill)
            yield _text(x + wide / 2, 164 - high, count, "mid")
        named = f"{minute + 1}" if minute < MINUTES_SHOWN else f">{MINUTES_SHOWN}"
        yield _text(x + wide / 2, 184, named, "mid sub")
    at = 47 + charts.limit_minutes * wide
    yield _axis(at, 30, at, 168, "limit")
    yield _axis(48, 168, _WIDTH - 48, 168)


def _weeks(charts: Charts) -> Iterator[str]:
    most = max((*charts.weeks, *charts.base_weeks, 1))
    wide = (_WIDTH - 120) / max(1, len(charts.weeks) - 1)
    for kind, weeks in (("past", charts.base_weeks), ("now", charts.weeks)):
        if any(weeks):
            points = " ".join(f"{60 + at * wide:.1f},{168 - 116 * count / most:.1f}" for at, count in enumerate(weeks))
            yield f'<polyline class="{kind}" points="{points}"/>'
    for at, count in enumerate(charts.weeks):
        x, y = 60 + at * wide, 168 - 116 * count / most
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#2b6cb8"/>'
        yield _text(x, y - 8, count, "mid")
        yield _text(x, 184, at + 1, "mid sub")
    yield _axis(48, 168, _WIDTH - 48, 168)


def _heat(charts: Charts) -> Iterator[str]:
    most, wide = max(charts.hours), (_WIDTH - 120) / 24
    for place, count in enumerate(charts.hours):
        day, hour = divmod(place, 24)
        x, y, shade = 72 + hour * wide, 28 + day * 22, count / most
        yield _rect(x, y, (wide - 1, 21), "#2b6cb8", f' fill-opacity="{max(0.04, shade):.2f}"')
        yield _text(x + wide / 2, y + 15, count or "", "mid light" if shade > 0.55 else "mid")
    for day, name in enumerate(_DAYS):
        yield _text(66, 43 + day * 22, short(name), "end sub")
    for hour in range(24):
        yield _text(72 + (hour + 0.5) * wide, 194, hour, "mid sub")
