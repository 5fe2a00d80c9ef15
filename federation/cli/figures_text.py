"""A report in lines and as rows of a table: value, numerator, denominator, what stands beside them, and where from.

Rules kept: every figure stands under its joint mechanism with period, definition and source; what is hidden is "<5" or
withheld, and never a zero; what was printed elsewhere stands beside it. A cell of CSV that a program would take for a
formula is written as text, and nothing in a text moves the cursor of a terminal.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from federation.cli.alert_words import LATE
from federation.cli.show import align, local_day, local_minute, seen
from federation.cli.words import enclosed, listed, one_of, punctuated, said, short, word_of
from federation.domain.division import PREFECTURES, find_division
from federation.domain.figures import DAY_MS, NO_AREA, Difference, Figure, Form, Group, Leaf, Meaning, Source, percent
from federation.domain.figures_report import Breach, Printed, Report, ReportKind
from federation.domain.response import LEAST_FOR_SHARE, Hidden, NoComparison

_TITLES: Final[Mapping[ReportKind, str]] = {
    ReportKind.QUARTER: "季度报告|Quarterly report",
    ReportKind.PAIR: "毗邻两县报告|Report of a pair of counties",
    ReportKind.COUNTY: "县域报告|Report of a county",
    ReportKind.PROCEDURE: "程序报告|Report of a procedure",
    ReportKind.RESPONSE: "1-3-10 处置报告|Report of the 1-3-10 response",
    ReportKind.EXERCISE: "【演练】处置报告|EXERCISE: report of the response",
}
_WHYS: Final[Mapping[str, str]] = {
    Hidden.SMALL.value: "<5",
    Hidden.BESIDE.value: "不列（可推知他数）|withheld",
    NoComparison.OTHER_DEFINITION.value: "—（口径不同）|other definition",
    NoComparison.BASE_ZERO.value: "—（上年为 0）|none last year",
    NoComparison.BASE_SMALL.value: "—（上年不足 5）|fewer than 5 last year",
    "few": "（件数过少，只列件数）|too few, the counts alone",
    "none": "— 无|none",
    "planned": "— 尚未统计|not counted yet",
}
_SOURCES: Final = {Source.OWN: "自行统计|own", Source.DELIVERED: "报送|delivered", Source.TEXT: "文字|text"}
_CLASSES: Final = {"town": "城镇|towns", "remote": "边远|remote"}
_UNITS: Final = {"CNY": "元|CNY", "days": "日|days"}
STAGES: Final = {"accepted": "签收", "contacted": "联系", "arrived": "到场"}
FINDINGS: Final = {"confirmed": "属实", "doubtful": "存疑", "wrong": "不实"}
_LISTS: Final = {
    "cancelled": "时限前撤销，不计|cancelled before it was due, left out",
    "duplicate": "关联的重复，不计|linked duplicates, left out",
    "clock_doubtful": "时钟存疑，不计|doubtful clock, left out",
    "waiting": "等待首报或者立案记录，未计|waiting for the opening, not counted",
    "same_event": "疑似同一事件，均计|perhaps one event, both counted",
    "raised_again": "撤销后重报|cancelled and raised again",
    "arrived_at_once": "签收后立即到场|arrived at once",
    "arrived_elsewhere": "到场地点不符|arrived elsewhere",
    "many_stamps": "短时间多次登记|many stamps within seconds",
    "closed_unstamped": "未登记联系和到场即办结，值班领导|closed without stamps, under the leader",
    "claim_alone": "签收后无动作|a claim and nothing after it",
    "late_without_reason": "超时未说明|late without a reason",
    "conflict": "两席同时签收|two desks claimed",
}
_NEVER: Final = "未到|never"
_MAX_DOUBTFUL_PERCENT: Final = 5


# ---- places and values ---


def place_name(code: str) -> str:
    """A county, or a prefecture by its four digits and two zeros, as people call it; the code where nobody does."""
    if code.endswith("00"):
        return PREFECTURES.get(code[:4], code)
    division = find_division(code)
    return code if division is None else division.name


def title_text(report: Report) -> str:
    """The title of a report, with its counties and its period."""
    return f"{said(_TITLES[report.kind])} · {scope_name(report)} · {report.period}"


def scope_name(report: Report) -> str:
    return "–".join(place_name(each) for each in report.counties)


def group_name(report: Report, group: Group) -> str:
    """The place of a figure, with its area and kind."""
    parts = [place_name(group.county) if group.county else scope_name(report)]
    if group.area:
        parts.append(said("不在片区|in no area") if group.area == NO_AREA else group.area)
    return " · ".join([*parts, *([group.kind] if group.kind else [])])


def span_text(ms: int) -> str:
    """A time as minutes and seconds, rounded up to a second: what was late by a little never prints as in time."""
    minutes, seconds = divmod(-(-ms // 1000), 60)
    if minutes:
        return one_of(f"{minutes}分{seconds}秒", f"{minutes} min {seconds} s")
    return one_of(f"{seconds}秒", f"{seconds} s")


def value_text(figure: Figure, meaning: Meaning) -> str:
    """The value with its numerator and denominator, or the reason why there is none."""
    why = said(_WHYS.get(figure.why, figure.why))
    days = short("日|days")
    if figure.why in tuple(Hidden):
        return why
    match figure.form:
        case Form.SHARE if figure.denominator is not None:
            counts = f"{figure.numerator} / {figure.denominator}"
            return f"{counts} = {figure.value} %" if figure.value else f"{counts} {why}"
        case Form.YOY if figure.source is Source.OWN:
            change = f"{_signed(figure.value)} %" if figure.value else why
            base = "" if figure.base is None else f"{punctuated('，')}{short('上年|last year')} {figure.base}"
            return change + enclosed(f"{figure.numerator}{base}")
        case Form.MEDIAN:
            return (span_text(int(figure.value)) if figure.value else why) + enclosed(figure.numerator)
        case Form.MEAN:
            return f"{figure.value} {days}{enclosed(figure.numerator)}" if figure.value else why
        case Form.YOY | Form.SHARE:
            return f"{figure.value} %" if figure.value else why
        case _:
            return f"{figure.value} {said(_UNITS.get(meaning.unit, meaning.unit))}".rstrip() if figure.value else why


def _signed(value: str) -> str:
    return value if value.startswith("-") else f"+{value}"


def _beside(figure: Figure, meaning: Meaning) -> Iterator[str]:
    """The words beside a value: last year, percentiles, who never came, who was excused, what was entered late."""
    if figure.computed and figure.computed != figure.value:
        yield f"{said('按其分子分母计算|computed of its parts')} {figure.computed} %"
    if figure.form is Form.SHARE and figure.digest:
        yield f"{short('上年|last year')} {f'{figure.before} %' if figure.before else '—'}"
    days = meaning.unit == "days"
    for name, ms in (("p50", figure.p50_ms), ("p90", figure.p90_ms), ("p95", figure.p95_ms)):
        if ms is not None and (days or name != "p95"):
            yield f"{name} {ms / DAY_MS:.1f} {short('日|days')}" if days else f"{name} {span_text(ms)}"
    if figure.form is Form.SHARE:
        yield from _marks(figure)
        yield from _way(figure)


_MARKS: Final = {
    "missing": "未到|missing", "excused": "有因|excused", "late": "补录|entered late",
    "heap": "限前10秒|last 10 s", "doubtful": "时钟存疑|doubtful clock",
}  # fmt: skip


def _marks(figure: Figure) -> Iterator[str]:
    for name, pair in _MARKS.items():
        count, mark = getattr(figure, name), short(pair)
        if name in figure.hidden:
            yield f"{mark} <5"
        elif count is not None and (count or name == "missing"):
            whole = figure.denominator or 0
            of = f" = {percent(count, whole, digits=1)} %" if name == "late" and whole >= LEAST_FOR_SHARE else ""
            yield f"{mark} {count}{of}"
    left = figure.doubtful or 0
    if left * 100 > _MAX_DOUBTFUL_PERCENT * (left + (figure.denominator or 0)):
        yield said("※时钟存疑较多，慎用|many doubtful clocks")


def _way(figure: Figure) -> Iterator[str]:
    """The words about an alert's way to the desk that answered: never counted against it, and changing no figure."""
    own = said("席位自身|from receipt")
    if "own" in figure.hidden:
        yield f"{own} <5"
    elif figure.own is not None:
        yield f"{own} {figure.own} / {figure.denominator}"
    if figure.transit_ms is not None:
        yield f"{said('传输|transit')} p50 {span_text(figure.transit_ms)}"


# ---- lines ---


def report_lines(report: Report, *, leaves: bool = False) -> Iterator[str]:
    """The head, one section for each of the six mechanisms, the index of the six across the border, the method."""
    return map(seen, _report_lines(report, leaves=leaves))


def _report_lines(report: Report, *, leaves: bool) -> Iterator[str]:
    yield from _head_lines(report)
    meanings = {each.id: each for each in report.meanings}
    for heading in report.joint:
        found = [each for each in report.figures if heading.id in meanings[each.id].joint[:1]]
        if not found:
            continue
        yield ""
        yield said(f"{heading.zh} | {heading.en}")
        for figure in found:
            yield f"  {_figure_line(report, figure, meanings[figure.id])}"
            if leaves:
                yield from _leaf_lines((*figure.leaves, *figure.base_leaves))
    yield from _cross_lines(report, meanings)
    yield from _hour_lines(report)
    yield from _breach_lines(report)
    yield from _listed_lines(report)
    yield from _difference_lines(report, meanings)
    yield from _hidden_lines(report, meanings)
    yield from _method_lines(report)


def _head_lines(report: Report) -> Iterator[str]:
    procedure = f" · {report.procedure}" if report.procedure else ""
    official = "" if report.official else enclosed(said("非官方|not official"))
    yield f"{title_text(report)}{procedure}"
    span = f"{local_day(report.begin)} – {local_day(report.end)}{enclosed(said('不含|excluded'))}"
    yield (
        f"{said('统计期|period')} {span} · {said('截止|cut')} {local_minute(report.cut)} · "
        f"{said('协议|agreement')} {report.agreement} · {said('口径|definitions')} {report.definitions}{official}"
    )
    yield f"{said('出具节点|by')} {listed(word_of('NodeName', each) for each in report.nodes)}"


def _figure_line(report: Report, figure: Figure, meaning: Meaning) -> str:
    of_class = enclosed(said(_CLASSES[figure.group.duty_class])) if figure.group.duty_class else ""
    name = f"{group_name(report, figure.group)} · {report.period} · {_meant(meaning)}{of_class}"
    printed = [_printed(each) for each in report.printed if (each.id, each.place) == (figure.id, figure.group.county)]
    plain = printed if not figure.group.area and not figure.group.kind else []
    source = said(_SOURCES[figure.source]) + (f" {figure.by}" if figure.by else "")
    words = [figure.words] if figure.words else []
    tail = f"[{source} {figure.id} v{figure.version}]"
    return "  ".join([name, value_text(figure, meaning), *_beside(figure, meaning), *words, *plain, tail])


def _meant(meaning: Meaning) -> str:
    return one_of(meaning.zh, meaning.en)


def _printed(each: Printed) -> str:
    computed = f"{punctuated('，')}{said('按其分子分母|computed')} {each.computed} %" if each.computed else ""
    return f"{said('报道|press')} {each.value}{enclosed(f'{each.words}{computed}')}"


def _leaf_lines(leaves: Iterable[Leaf]) -> Iterator[str]:
    for leaf in leaves:
        time = "" if leaf.ms is None else f" {span_text(leaf.ms)}"
        yield f"    {'+' if leaf.hit else '-'} {' '.join(leaf.entries)}{time}"


def _cross_lines(report: Report, meanings: Mapping[str, Meaning]) -> Iterator[str]:
    there = {each.id for each in report.figures}
    rows = [
        (
            said(f"{heading.zh}|{heading.en}"),
            listed(_meant(each) for each in meanings.values() if heading.id in each.cross),
        )
        for heading in report.cross
        if any(heading.id in each.cross and each.id in there for each in meanings.values())
    ]
    if rows:
        yield ""
        yield said("六跨索引 | index by the six across the border")
        yield from (f"  {line}" for line in align(rows))


def _hour_lines(report: Report) -> Iterator[str]:
    stages = () if report.charts is None else report.charts.attained
    shown = [hour for hour in range(24) if any(each.counted[hour] for each in stages if each.counted)]
    if not shown:
        return
    yield ""
    yield said("各时段达标（本县城镇，按首报的北京时间） | in time by the hour of the first report, own towns")
    head = (said("时|hour"), *(_stage_text(each.stage) for each in stages))
    rows = [(f"{hour:02}", *(f"{each.in_time[hour]}/{each.counted[hour]}" for each in stages)) for hour in shown]
    yield from (f"  {line}" for line in align([head, *rows]))


def _breach_lines(report: Report) -> Iterator[str]:
    if not report.breaches:
        return
    yield ""
    yield said("超时清单 | late stages, of the own counties")
    head = map(said, (
        "时点|stage", "应于|due", "登记|made", "迟|late by", "席位|desk", "原因|reason", "说明|excused by",
        "方式|how", "传输|transit", "警情|alert",
    ))  # fmt: skip
    rows = [_breach_row(each) for each in report.breaches]
    yield from (f"  {line}" for line in align([tuple(head), *rows]))


def _stage_text(stage: str) -> str:
    return word_in(STAGES, stage)


def word_in(words: Mapping[str, str], name: str) -> str:
    """`签收 accepted`; the protocol's word alone where it has no Chinese."""
    return said(f"{words[name]}|{name}") if name in words else name


def _breach_row(each: Breach) -> tuple[str, ...]:
    late = None if each.at is None else (each.at - each.due) // timedelta(milliseconds=1)
    return (
        _stage_text(each.stage),
        local_minute(each.due),
        said(_NEVER) if each.at is None else local_minute(each.at),
        "" if late is None else span_text(late),
        each.desk or "—",
        one_of(LATE.get(each.reason, ""), each.reason) or said("未说明|unsaid"),
        each.excused_by or "—",
        said("补录|entered late" if each.entered else "现场|at once"),
        "—" if each.transit_ms is None else span_text(each.transit_ms),
        each.record,
    )


def _listed_lines(report: Report) -> Iterator[str]:
    if report.listed:
        yield ""
        yield said("供人工核查 | for a person to look at; no figure is changed by it")
    for each in report.listed:
        words = enclosed(each.said) if each.said else ""
        yield f"  {said(_LISTS.get(each.why, each.why))}{words}{punctuated(': ')}{listed(each.records)}"
    if report.more:
        yield said(f"  另有 {report.more} 行未列 | {report.more} more rows")


_SAMPLE_HEAD: Final = (
    "时点|stage", "登记|made", "席位|desk", "人员|officer", "复核|finding", "复核单位|by", "说明|words", "警情|alert",
    "记录|entry",
)  # fmt: skip


def _sample_rows(report: Report) -> Iterator[tuple[str, ...]]:
    yield tuple(map(said, _SAMPLE_HEAD))
    for each in report.sample:
        finding = word_in(FINDINGS, each.finding) or said("待复核|waits")
        yield (
            _stage_text(each.stage), local_minute(each.at), each.desk, each.officer, finding, each.by or "—",
            each.words or "—", each.record, each.entry,
        )  # fmt: skip


def sample_lines(report: Report) -> Iterator[str]:
    """The stamps that chance picked, with what another office found of each."""
    of = f"{scope_name(report)} · {report.period}"
    yield f"{said('抽查时点 | stamps to be looked at again')}{punctuated(': ')}{of}"
    yield from map(seen, align(list(_sample_rows(report))))


def sample_csv(report: Report) -> str:
    """As `sample_lines`, with a byte order mark as `report_csv`."""
    written = io.StringIO()
    csv.writer(written).writerows([cell_text(cell) for cell in row] for row in _sample_rows(report))
    return "\ufeff" + written.getvalue()


def _difference_lines(report: Report, meanings: Mapping[str, Meaning]) -> Iterator[str]:
    if len(report.nodes) < 2:
        return
    yield ""
    if not report.differences:
        yield said("两节点所记一致 | both nodes counted the same entries")
        return
    yield said("两节点所记不同 | entries by which the nodes differ")
    one, other = (word_of("NodeName", each) for each in report.nodes[:2])
    for each in report.differences:
        yield f"  {group_name(report, each.group)} · {_meant(meanings[each.id])}"
        yield from _names(f"{said('仅见于|only at')} {one}", each.only_one)
        yield from _names(f"{said('仅见于|only at')} {other}", each.only_other)
        yield from _names(said("两方认定不同，从严计|judged otherwise, the worse counts"), each.judged)


def _names(label: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"    {label}{punctuated(': ')}{' '.join(names)}"


def _hidden_lines(report: Report, meanings: Mapping[str, Meaning]) -> Iterator[str]:
    found = [each for each in report.figures if each.why in tuple(Hidden)]
    if found:
        yield ""
        yield f"{said('未列数字 | hidden cells')}{punctuated(': ')}{len(found)}"
    for each in found:
        yield f"  {group_name(report, each.group)} · {_meant(meanings[each.id])} · {said(_WHYS[each.why])}"


def _method_lines(report: Report) -> Iterator[str]:
    yield ""
    yield said("口径 | method")
    there = {each.id for each in report.figures}
    for each in report.meanings:
        if each.id in there:
            name, rule = said(f"{each.zh}|{each.en}"), said(f"{each.rule_zh} | {each.rule_en}")
            yield f"  {each.id} v{each.version} {name}{punctuated(': ')}{rule}"


# ---- CSV ---

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_COLUMNS: Final = (
    "value", "why", "numerator", "denominator", "base", "before", "p50_ms", "p90_ms", "p95_ms", "missing", "excused",
    "late", "doubtful", "heap", "own", "transit_ms", "words", "by", "computed", "digest",
)  # fmt: skip


def report_csv(report: Report) -> str:
    """One row for each figure, with a byte order mark, so that a spreadsheet reads the Chinese."""
    written = io.StringIO()
    rows = csv.writer(written)
    head = ("joint", "figure", "version", "zh", "en", "source", "period", "county", "place", "area", "kind", "class")
    rows.writerow((*head, *_COLUMNS))
    meanings = {each.id: each for each in report.meanings}
    for each in report.figures:
        meaning, group = meanings[each.id], each.group
        name = place_name(group.county) if group.county else scope_name(report)
        cells = (
            meaning.joint[0] if meaning.joint else "", each.id, each.version, meaning.zh, meaning.en, each.source.value,
            report.period, group.county, name, group.area, group.kind, group.duty_class,
            *(getattr(each, column) for column in _COLUMNS),
        )  # fmt: skip
        rows.writerow([cell_text(cell) for cell in cells])
    return "\ufeff" + written.getvalue()


def cell_text(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: what begins like one, and is no number, has a quote before it."""
    text = "" if value is None else str(value)
    is_formula = text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r", "\n")
    return f"'{text}" if is_formula and not _NUMBER.fullmatch(text) else text


def difference_names(differences: Iterable[Difference]) -> tuple[str, ...]:
    """Every entry by which two nodes differ."""
    return tuple(sorted({name for each in differences for name in (*each.only_one, *each.only_other, *each.judged)}))
