"""The report of an audit for a terminal, in the language asked for: the verdict, what is wrong, the logs, the pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from federation.audit.report import Code, Finding, LogLine, PairLine, Report, Severity
from federation.cli.show import align
from federation.cli.words import Language, halves, language, said
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
MEANINGS: Final = {
    Code.CHECKPOINT_INVALID: "树头不能验证",
    Code.ROOT_DIFFERS: "由条目算得的树根与已签名的树头不符",
    Code.LOG_FORKED: "日志分叉：签过两份互相矛盾的历史",
    Code.LOG_ROLLED_BACK: "日志回退：比以前签名的树头短",
    Code.COSIGNATURE_INVALID: "见证方的签名不能验证",
    Code.COSIGNED_BY_FEW: "见证方签名的数目不足",
    Code.BOOT_UNCONFIRMED: "节点凭管理员担保启动，日志的历史未经确认",
    Code.LOG_RESTARTED: "日志曾停用并重新开始",
    Code.LOST_WITH_RESTART: "有条目随旧日志的停用而丢失",
    Code.BUNDLE_MISSING: "缺少条目",
    Code.BUNDLE_MALFORMED: "条目文件的格式不对",
    Code.ENTRY_DIFFERS: "条目与树中的散列不符",
    Code.TILE_MISSING: "缺少散列分块",
    Code.TILE_DIFFERS: "散列分块与条目不符",
    Code.LEAF_MALFORMED: "条目的格式不对",
    Code.LEAF_FOREIGN: "条目不属于这份日志",
    Code.LEAF_UNLAWFUL: "协议不许可的条目",
    Code.TIME_BACKWARDS: "条目的时间早于前一条",
    Code.TIME_FUTURE: "条目的时间在将来",
    Code.AGREEMENT_UNKNOWN: "条目所依据的协议未知",
    Code.AGREEMENT_BEHIND: "收方所依据的协议比发方的旧",
    Code.DISCREPANCY_LOGGED: "日志自己记载了不一致",
    Code.SEQUENCE_GAP: "序号不连续",
    Code.SEQUENCE_REPEATED: "序号重复",
    Code.DIGEST_DIFFERS: "双方记载的摘要不同",
    Code.COMMITMENT_DIFFERS: "双方记载的承诺值不同",
    Code.SIGNATURES_DIFFER: "双方条目写明的签名不同",
    Code.MESSAGE_UNSENT: "收方已处理的消息，发方的日志没有记为发出",
    Code.MESSAGE_MISSING: "发方持有回执，收方的日志没有这一条",
    Code.MESSAGE_OUTSTANDING: "消息逾期未答复",
    Code.EXPIRED_UNSENT: "记为过期的消息从未发出",
    Code.EXPIRED_RECEIVED: "发方记为过期，收方已收到",
    Code.ERASURE_UNFOUNDED: "删除没有依据",
    Code.ERASURE_ONE_SIDED: "只有一方删除",
    Code.UNANSWERED_DIFFERS: "双方所记的未答复请求不同",
    Code.UNANSWERED_ANSWERED: "记为未答复的请求已有答复",
    Code.UNANSWERED_ONE_SIDED: "只有一方记载请求未答复",
    Code.ENVELOPE_INVALID: "信封不能验证",
    Code.STATEMENT_DIFFERS: "信封的内容与条目不符",
    Code.RECEIPT_INVALID: "回执不能验证",
    Code.LISTED_NOT_LOGGED: "列出的消息不在日志中",
    Code.LOGGED_NOT_LISTED: "日志中的消息没有列出",
    Code.LISTING_DENIED: "节点不向审计单位列出消息",
    Code.FORMER_MEMBER: "已退出的成员一方未审计",
    Code.HEAD_INVALID: "案卷条目的签名不能验证",
    Code.RECORD_FORKED: "案卷分叉：同一作者的同一序号有两条",
    Code.RECORD_OLD_PARENTS: "案卷条目没有引用作者自己的前一条",
    Code.RECORD_HEIGHT: "案卷条目的高度不对",
    Code.RECORD_BEYOND_CUT: "案卷条目写成时不知道作者已被截止",
    Code.RECORD_UNCITED: "案卷条目没有引用当时已有的条目",
    Code.RECORD_DATED_BACK: "案卷条目补交时没有引用日志中已有的条目",
    Code.EVIDENCE_CHANGED: "证据包与导出时不同",
}


def format_report(report: Report, *, everything: bool = True) -> str:
    """The verdict comes first, then what is wrong; pairs that never spoke are left out.

    Unless `everything` is asked for, the first error stands for all that is wrong.
    """
    parts: list[Iterable[str]] = [_verdict_lines(report)]
    if report.unreachable:
        parts.append(f"  {node}: {said('无法到达|not reached')}: {why}" for node, why in report.unreachable.items())
    shown = report.findings if everything or report.first is None else (report.first,)
    if shown:
        parts.append([line for finding in shown for line in _finding_lines(finding)])
    if left := len(report.findings) - len(shown):
        parts.append([f"  {said(f'另有 {left} 处，加 --all 全部列出 | {left} more: add --all to see them')}"])
    if report.logs:
        parts.append(_table_lines(_LOG_HEADINGS, map(_log_row, report.logs)))
    spoken = [line for line in report.pairs if line.sent or line.received or line.refused or line.expired]
    if spoken:
        parts.append(_table_lines(_PAIR_HEADINGS, map(_pair_row, spoken)))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _verdict_lines(report: Report) -> Iterator[str]:
    logs, entries = len(report.logs), sum(line.read for line in report.logs)
    sent, warnings = sum(line.sent for line in report.pairs), len(report.findings) - report.errors
    chinese = f"存证日志 {logs} 份，条目 {entries} 条，消息 {sent} 条：不符 {report.errors} 处，提醒 {warnings} 处"
    counts = f"{_count(report.errors, 'finding')}, {_count(warnings, 'warning')}"
    yield said("通过|PASS" if report.passed else "不通过|FAIL")
    yield f"  {said(f'{chinese} | {logs} logs, {entries} entries, {sent} messages: {counts}')}"
    terms = f"{said('协议|agreement')} {report.agreement}"
    yield f"  {report.federation} ({report.realm})  {terms}  {format_time(report.time)}"


def _finding_lines(finding: Finding) -> Iterator[str]:
    where = "" if finding.index is None else f" {said('条目|entry')} {finding.index}"
    yield f"{'!' if finding.severity is Severity.ERROR else '~'} {finding.node}{where}: {finding.code}"
    if halves(finding.sentence):
        yield f"    {said(finding.sentence)}"
    elif language() is Language.CHINESE:
        yield f"    {MEANINGS[finding.code]}（{finding.sentence}）"
    else:
        yield f"    {said(f'{MEANINGS[finding.code]} | {finding.sentence}')}"


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
