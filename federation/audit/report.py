"""The report of an audit: a line for each log, a line for each ordered pair, the findings, and PASS or FAIL.

Rules kept: PASS only when every log was reached and read whole and nothing is contradicted; the first bad entry of a
log stands first; the text is for a terminal, the JSON says the same for a program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from federation.audit.findings import Finding, Severity
from federation.protocol.canonical_json import JsonValue
from federation.protocol.ids import NodeName, Pair, Realm, format_time

_LOG_HEADINGS = ("log", "entries", "root", "witnesses", "witnessed", "verified")
_PAIR_HEADINGS = ("pair", "sent", "received", "refused", "expired", "in flight", "receipts")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One log: its head, what was read of it, and whether all of it verified.

    `cosigned` counts the witnesses that cosigned a head of it; enough of them cover the first `witnessed_size` entries.
    """

    node: NodeName
    origin: str
    size: int
    root: bytes
    read: int
    kinds: Mapping[str, int]
    cosigned: int
    witnesses: int
    witnessed_size: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLine:
    """One ordered pair: what was sent and what became of it; `receipts` that were verified, None without a listing."""

    pair: Pair
    sent: int
    received: int
    refused: int
    expired: int
    in_flight: int
    receipts: int | None
    compared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one audit; `unreachable` names the nodes that could not be asked, with the reason."""

    federation: str
    realm: Realm
    agreement_version: int
    audit_time: datetime
    logs: tuple[LogLine, ...]
    pairs: tuple[PairLine, ...]
    findings: tuple[Finding, ...]
    unreachable: Mapping[NodeName, str]

    @property
    def errors(self) -> int:
        """Findings that contradict something."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def passed(self) -> bool:
        """Whether every log was reached, read whole, and contradicted by nothing."""
        return not self.unreachable and not self.errors and all(line.complete for line in self.logs)


def report_object(report: Report) -> dict[str, JsonValue]:
    """Gives the JSON object of a report."""
    return {
        "passed": report.passed,
        "federation": report.federation,
        "realm": report.realm.value,
        "agreement": report.agreement_version,
        "time": format_time(report.audit_time),
        "logs": [_log_object(line) for line in report.logs],
        "pairs": [_pair_object(line) for line in report.pairs],
        "findings": [_finding_object(finding) for finding in report.findings],
        "unreachable": {str(node): why for node, why in report.unreachable.items()},
    }


def format_report(report: Report) -> str:
    """Formats a report for a terminal: the verdict, what is wrong, then the logs and the pairs."""
    parts = [_format_verdict(report)]
    if report.unreachable:
        parts.append("\n".join(f"  {node}: not reached: {why}" for node, why in report.unreachable.items()))
    if report.findings:
        parts.append("\n".join(_format_finding(finding) for finding in report.findings))
    if report.logs:
        headings = ("log", "entries", "root", "witnesses", "witnessed", "verified")
        parts.append(_format_table(headings, [_log_row(line) for line in report.logs]))
    spoken = [line for line in report.pairs if line.sent or line.received or line.refused or line.expired]
    if spoken:
        parts.append(_format_table(_PAIR_HEADINGS, [_pair_row(line) for line in spoken]))
    return "\n\n".join(parts) + "\n"


def _format_verdict(report: Report) -> str:
    entries = sum(line.read for line in report.logs)
    sent = sum(line.sent for line in report.pairs)
    said = f"{len(report.logs)} logs, {entries} entries, {sent} messages"
    warnings = len(report.findings) - report.errors
    counts = f"{_count(report.errors, 'finding')}, {_count(warnings, 'warning')}"
    terms = f"{report.federation} ({report.realm}), agreement {report.agreement_version}"
    return f"{'PASS' if report.passed else 'FAIL'}  {said}: {counts}\n      {terms}, {format_time(report.audit_time)}"


def _format_finding(finding: Finding) -> str:
    where = finding.node if finding.index is None else f"{finding.node} entry {finding.index}"
    mark = "!" if finding.severity is Severity.ERROR else "~"
    return f"{mark} {where}: {finding.code}\n    {finding.sentence}"


def _log_row(line: LogLine) -> tuple[str, ...]:
    verified = "whole" if line.complete else f"NO ({line.read} read)"
    witnesses = f"{line.cosigned} of {line.witnesses}"
    return (line.node, str(line.size), line.root.hex()[:16], witnesses, str(line.witnessed_size), verified)


def _pair_row(line: PairLine) -> tuple[str, ...]:
    counts = (line.sent, line.received, line.refused, line.expired, line.in_flight)
    return (str(line.pair), *map(str, counts), "-" if line.receipts is None else str(line.receipts))


def _format_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in (headings, *rows)) for at in range(len(headings))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows))
    return "\n".join(f"  {line}".rstrip() for line in lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _log_object(line: LogLine) -> dict[str, JsonValue]:
    return {
        "node": line.node,
        "origin": line.origin,
        "size": line.size,
        "root": line.root.hex(),
        "read": line.read,
        "kinds": dict(line.kinds),
        "cosigned": line.cosigned,
        "witnesses": line.witnesses,
        "witnessed_size": line.witnessed_size,
        "complete": line.complete,
    }


def _pair_object(line: PairLine) -> dict[str, JsonValue]:
    return {
        "pair": str(line.pair),
        "sent": line.sent,
        "received": line.received,
        "refused": line.refused,
        "expired": line.expired,
        "in_flight": line.in_flight,
        "receipts": line.receipts,
        "compared": line.compared,
    }


def _finding_object(finding: Finding) -> dict[str, JsonValue]:
    return {
        "severity": finding.severity.value,
        "code": finding.code.value,
        "node": finding.node,
        "index": finding.index,
        "sentence": finding.sentence,
    }
