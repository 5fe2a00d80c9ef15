"""How a person's report is shown: plain words in two languages, one entry after the other; and its exit code.

Rules kept: the agency is named, never an officer or another person; what is held back is counted and dated; a province
that has not answered is named, so that silence is not taken for "nothing".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from federation.cli.lookup.view import OUTCOMES, PROVINCES, STEPS
from federation.cli.permits import view
from federation.cli.registers import words
from federation.domain.lookup.asking import Outcome
from federation.domain.lookup.report import ReportLine, purpose_words
from federation.protocol.ids import format_time
from federation.protocol.leaf import Verdict

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.wire.lookups.values import ReportPage


def report_code(page: ReportPage) -> int:
    """The exit code: 1 when refused here or by a province, 3 when a province has not answered, else 0."""
    found = {province.outcome for province in page.provinces}
    if not page.decision.allowed or Outcome.REFUSED in found:
        return 1
    return 0 if found <= {Outcome.HIT} else 3


def report_lines(page: ReportPage) -> Iterable[str]:
    """The report in lines for a person."""
    if not page.decision.allowed:
        yield from view.ruling_lines(page.decision)
        return
    for line in page.lines:
        yield from _entry_lines(line)
    if not page.lines:
        yield "没有可告知的记录 | nothing that may be told now"
    if page.withheld_count and page.next_shown is not None:
        yield (
            f"暂缓告知 {page.withheld_count} 条,最早于 {page.next_shown.isoformat()} 告知 | "
            f"{page.withheld_count} withheld for now, the first will be shown on {page.next_shown.isoformat()}"
        )
    for province in page.provinces:
        if province.outcome is not Outcome.HIT:
            yield f"{_province(province.node)}: {OUTCOMES[province.outcome]}"
        if province.older_count:
            yield f"{_province(province.node)}: 另有更早的 {province.older_count} 条 | {province.older_count} older"


def report_object(page: ReportPage) -> dict[str, JsonOut]:
    """The report as JSON."""
    lines: JsonOut = [_entry_object(line) for line in page.lines]
    provinces: JsonOut = [
        {
            "node": province.node,
            "outcome": "answered" if province.outcome is Outcome.HIT else province.outcome.value,
            "withheld_count": province.withheld_count,
            "older_count": province.older_count,
        }
        for province in page.provinces
    ]
    return {
        "decision": view.ruling_object(page.decision),
        "lines": lines,
        "withheld_count": page.withheld_count,
        "next_shown": page.next_shown.isoformat() if page.next_shown is not None else None,
        "provinces": provinces,
        "next_page_token": page.next_page_token,
    }


def _entry_lines(line: ReportLine) -> Iterable[str]:
    purpose_zh, purpose_en = purpose_words(line.purpose)
    time = line.time.astimezone(view.CHINA).isoformat(sep=" ", timespec="seconds")
    given = "拒绝 refused" if line.verdict is Verdict.REFUSED else "提供 given"
    yield f"{time}  {line.asker}  {STEPS.get(line.step, line.step)}  {given}  {_province(line.given_by)}"
    if _is_refused_at_home(line):
        yield "  被本省拒绝,未向任何人提供 | asked and was refused by its own province; nothing was told"
    yield f"  目的 purpose: {purpose_zh} | {purpose_en}"
    if line.fields:
        named = (f"{label} {name}" for name, label in words.FIELDS.items() if name in line.fields)
        yield f"  字段 fields: {', '.join(named)}"
    yield f"  依据 basis: {line.basis}"


def _entry_object(line: ReportLine) -> dict[str, JsonOut]:
    purpose_zh, purpose_en = purpose_words(line.purpose)
    return {
        "time": format_time(line.time),
        "given_by": line.given_by,
        "asker": str(line.asker),
        "purpose": line.purpose,
        "purpose_zh": purpose_zh,
        "purpose_en": purpose_en,
        "function": line.function,
        "basis": line.basis,
        "step": line.step,
        "verdict": line.verdict.value,
        "refused_at_home": _is_refused_at_home(line),
        "fields": sorted(line.fields),
    }


def _is_refused_at_home(line: ReportLine) -> bool:
    """Whether the asking agency's own province said no: the question never reached anybody who knows the person."""
    return line.verdict is Verdict.REFUSED and line.asker.node == line.given_by


def _province(node: str) -> str:
    return f"{PROVINCES.get(node, '')} {node}".lstrip()
