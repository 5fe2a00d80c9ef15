"""The report of an audit for a terminal, in the language asked for: the verdict, what is wrong, the logs, the pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from federation.audit.report import Finding, LogLine, PairLine, Report, Severity, each_finding
from federation.cli.show import align
from federation.cli.words import error_text, said
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
