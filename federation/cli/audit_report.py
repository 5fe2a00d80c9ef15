"""The report of an audit for a terminal, in the language asked for: the verdict, what is wrong, the logs, the pairs.

And the sheet of a sample: what the logs say of each message, and empty columns for what the paper file says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Final

from federation.audit.report import Finding, LogLine, PairLine, Report, Severity, each_finding
from federation.audit.sample import Checked, PaperFinding, Sampled, Tally
from federation.cli import rows
from federation.cli.show import align, local_time
from federation.cli.words import LABELS, WORDS, Language, error_text, language, said, short, word_halves
from federation.protocol.errors import BridgeheadError
from federation.protocol.ids import format_time

_LOG_HEADINGS: Final = (
    "日志|log",
    "条目|entries",
    "树根|root",
    "见证|witnesses",
    "已见证|witnessed",
    "已核对|verified",
)
_PAIR_HEADINGS: Final = (
    "方向|pair", "发出|sent", "收到|received", "拒收|refused", "过期|expired", "在途|in flight", "回执|receipts",
)  # fmt: skip


WORDS["PaperFinding"] = {"matches": "相符", "differs": "不符", "no_file": "无卷宗"}
_LABELS: Final = {
    "digest": "摘要", "off_hours": "非工作时间", "function": "职能", "basis": "依据", "found": "核对结果",
    "letter": "协作函", "approver": "审批人", "words": "说明",
}  # fmt: skip
_SAMPLE_HEADINGS: Final = (
    "时间|time", "非工作时间|off hours", "单位|office", "经办人|officer", "用途|purpose", "案件|case", "核对结果|found",
    "协作函|letter", "摘要|digest",
)  # fmt: skip
_TALLY_HEADINGS: Final = (
    "名称|name",
    "消息|messages",
    "非工作时间|off hours",
    "无案件|no case",
    "紧急查询|break-glass",
)
_SAID: Final = ("time", "off_hours", "agency", "officer", "purpose", "function", "case_id", "basis")
_FOUND: Final = ("letter", "approver", "words")
_FILLED: Final = rows.Field(read=rows.Words(200), usual=rows.constant(""))


def _checked(
    *, digest: str, found: PaperFinding | None, letter: str, approver: str, words: str, **_said: str
) -> Checked:
    return Checked(digest=digest, found=found, letter=letter, approver=approver, words=words)


SHEET: Final = rows.Sheet(
    labels={**LABELS, **_LABELS},
    make=_checked,
    reason="SAMPLE_ROW",
    fields={
        "digest": rows.Field(read=rows.digest),
        **dict.fromkeys(_SAID, rows.Field(read=str, usual=rows.constant(""))),
        "found": rows.Field(read=rows.one_of(PaperFinding), usual=rows.constant(None)),
        **dict.fromkeys(_FOUND, _FILLED),
    },
)
"""The columns of a sheet of a sample; the last four are for a person to fill in."""


def write_sheet(path: Path, drawn: Iterable[Sampled]) -> None:
    """Writes the sheet of a sample, as CSV or XLSX by its ending (FILE_EXISTS, FILE_KIND)."""
    from federation.cli.row_files import write_template

    write_template(path, SHEET, chinese=language() is not Language.ENGLISH, rows=map(_cells, drawn))


def read_sheet(path: Path) -> Iterator[Checked]:
    """Yields the rows of a sheet as somebody filled it in; refuses SAMPLE_ROW and as `read_rows`."""
    from federation.cli.row_files import read_rows

    for row in read_rows(path, SHEET):
        if isinstance(row.texts, BridgeheadError):
            raise row.texts
        yield SHEET.parse(row.texts)


def sample_lines(drawn: Iterable[Sampled]) -> Iterator[str]:
    shown = ("time", "off_hours", "agency", "officer", "purpose", "case_id", "found", "letter")
    rows_of = ((*(cells[name] for name in shown), cells["digest"][:16]) for cells in map(_cells, drawn))
    return _table_lines(_SAMPLE_HEADINGS, rows_of)


def figure_lines(officers: Iterable[Tally], purposes: Iterable[Tally], refused: Mapping[str, int]) -> Iterator[str]:
    for tallies in (officers, purposes):
        rows_of = (map(str, astuple(each)) for each in tallies)
        yield from (*_table_lines(_TALLY_HEADINGS, map(tuple, rows_of)), "")
    yield from _table_lines(
        ("拒绝的规则|refused by", "次数|times"), ((name, str(count)) for name, count in refused.items())
    )


def _cells(one: Sampled) -> dict[str, str]:
    """The cells of a message, with the time in China; what nobody filled in is empty."""
    found = "" if one.found is None else short("|".join(word_halves("PaperFinding", one.found)))
    late = said("是|yes") if one.off_hours else ""
    plain = {name: str(getattr(one, name)) for name in SHEET.fields}
    return {**plain, "time": local_time(one.time), "off_hours": late, "found": found}


def report_lines(report: Report, *, everything: bool = True) -> Iterator[str]:
    """The verdict comes first, then what is wrong; pairs that never spoke are left out.

    Unless `everything` is asked for, the first error stands for all that is wrong.
    """
    yield from _verdict_lines(report)
    if report.unreachable:
        yield ""
        yield from (f"  {node}: {said('无法到达|not reached')}: {why}" for node, why in report.unreachable.items())
    shown = report.findings if everything or report.first is None else (report.first,)
    if shown:
        yield ""
        yield from (line for each in (each_finding(shown) if everything else shown) for line in _finding_lines(each))
    if left := report.errors + report.warnings - sum(finding.count for finding in shown):
        yield from ("", f"  {said(f'另有 {left} 处，加 --all 全部列出 | {left} more: add --all to see them')}")
    if report.logs:
        yield from ("", *_table_lines(_LOG_HEADINGS, map(_log_row, report.logs)))
    spoken = [line for line in report.pairs if line.sent or line.received or line.refused or line.expired]
    if spoken:
        yield from ("", *_table_lines(_PAIR_HEADINGS, map(_pair_row, spoken)))


def _verdict_lines(report: Report) -> Iterator[str]:
    logs, entries = len(report.logs), sum(line.read for line in report.logs)
    sent, warnings = sum(line.sent for line in report.pairs), report.warnings
    chinese = f"存证日志 {logs} 份，条目 {entries} 条，消息 {sent} 条：不符 {report.errors} 处，提醒 {warnings} 处"
    counts = f"{_count(report.errors, 'finding')}, {_count(warnings, 'warning')}"
    yield said("通过|PASS" if report.passed else "不通过|FAIL")
    yield f"  {said(f'{chinese} | {logs} logs, {entries} entries, {sent} messages: {counts}')}"
    terms = f"{said('协议|agreement')} {report.agreement}"
    yield f"  {report.federation} ({report.realm})  {terms}  {format_time(report.time)}"


def _finding_lines(finding: Finding) -> Iterator[str]:
    where = "" if finding.index is None else f" {said('条目|entry')} {finding.index}"
    yield f"{'!' if finding.severity is Severity.ERROR else '~'} {finding.node}{where}: {finding.code}"
    yield f"    {error_text(finding.sentence, finding.code, table='findings')}"


def _log_row(line: LogLine) -> tuple[str, ...]:
    verified = said("全部|whole") if line.complete else f"{said('未完|NO')} ({line.read} {said('条已读|read')})"
    witnesses = f"{line.cosigned}/{line.witnesses}"
    return (line.node, str(line.size), line.root.hex()[:16], witnesses, str(line.witnessed_size), verified)


def _pair_row(line: PairLine) -> tuple[str, ...]:
    counts = (line.sent, line.received, line.refused, line.expired, line.in_flight)
    return (str(line.pair), *map(str, counts), "-" if line.receipts is None else str(line.receipts))


def _table_lines(headings: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    return (f"  {line}" for line in align([tuple(map(said, headings)), *rows]))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
