"""How look-ups are shown, and the exit code that answers for them: in lines for an officer, as JSON for a program.

Rules kept: every province that was asked has its line, whatever became of it; a refusal names the deciding policies in
both languages; citizen number and day of birth are masked in both forms unless all of it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from federation.cli.lookup.lines import columns, local_time, time_text, watermark_line, watermark_object
from federation.cli.next_step import again_step, find_rule_steps
from federation.cli.permits import view
from federation.cli.registers.view import field_lines, mask_fields
from federation.domain.lookup.asking import Outcome

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.wire.lookups.values import (
        CaseAnswer,
        FetchResult,
        LookupLine,
        LookupPage,
        ProvinceAnswer,
        SearchResult,
    )

HANDLE_PREFIX: Final = "handle:"
"""Before a handle in a text, so that one that begins with a hyphen is no option when it is typed again."""

OUTCOMES: Final[Mapping[Outcome, str]] = MappingProxyType(
    {
        Outcome.HIT: "命中 hit",
        Outcome.NO_HIT: "未命中 no hit",
        Outcome.REFUSED: "拒绝 refused",
        Outcome.UNREACHABLE: "无法到达 unreachable",
        Outcome.EXPIRED: "已过期 expired",
        Outcome.WAITING: "待对方受理岗答复 waiting for their desk",
        Outcome.CASE_OPENED: "已通报立案 case opened",
        Outcome.CASE_CLOSED: "已通报结案 case closed",
    }
)
PROVINCES: Final[Mapping[str, str]] = MappingProxyType(
    {"zhejiang": "浙江", "jiangxi": "江西", "fujian": "福建", "anhui": "安徽"}
)
STEPS: Final[Mapping[str, str]] = MappingProxyType(
    {"lookup.case": "案件 case", "lookup.search": "查询 search", "lookup.fetch": "调取 fetch"}
)
_WAITING: Final = "等待答复 waiting"
_LATE: Final = frozenset({Outcome.UNREACHABLE, Outcome.EXPIRED})


def outcome_code(outcomes: Iterable[Outcome]) -> int:
    """The exit code for what provinces answered: 1 when one refused, else 3 when one did not answer in time, else 0."""
    found = frozenset(outcomes)
    if Outcome.REFUSED in found:
        return 1
    return 3 if found & _LATE else 0


def fetch_code(outcome: Outcome) -> int:
    """The exit code for a fetch: 0 when fields came or wait for a person, 3 when no answer came in time, else 1."""
    if outcome in (Outcome.HIT, Outcome.WAITING):
        return 0
    return 3 if outcome in _LATE else 1


def province_lines(result: SearchResult) -> Iterable[str]:
    """What each province answered, one a line, nothing cut or wrapped.

    Then where a later answer is read, and how a no of ours would become a yes.
    """
    yield from columns([_province_cells(answer) for answer in result.answers])
    if any(answer.outcome is Outcome.WAITING for answer in result.answers):
        yield f"稍后查看 read it later: bridgehead lookup result {result.lookup_id}"
    ways = dict.fromkeys((answer.explanation_zh, answer.explanation_en) for answer in result.answers)
    for chinese, english in ways:
        if chinese or english:
            yield "如何才合法 what would make it lawful:"
            yield from way_lines(chinese, english)


def way_lines(chinese: str, english: str) -> Iterable[str]:
    """What would make it lawful: each clause in Chinese, its English below."""
    for clause, words_en in zip(chinese.splitlines(), english.splitlines(), strict=False):
        yield f"  - {clause}"
        yield f"    {words_en}"


def search_object(result: SearchResult) -> dict[str, JsonOut]:
    """What the provinces answered, as JSON."""
    answers: JsonOut = [
        {
            "node": answer.node,
            "outcome": answer.outcome.value,
            "handle": answer.handle,
            "expires": time_text(answer.expires),
            "policies": list(answer.policies),
            "title_zh": answer.title_zh,
            "title_en": answer.title_en,
            "explanation_zh": answer.explanation_zh,
            "explanation_en": answer.explanation_en,
        }
        for answer in result.answers
    ]
    return {"lookup_id": result.lookup_id, "answers": answers}


def search_steps(result: SearchResult, *, request_id: str) -> tuple[str, ...]:
    """What to do next: about each rule that refused, and how to repeat what did not reach every province."""
    steps = find_rule_steps(rule for answer in result.answers for rule in answer.policies)
    missed = any(answer.outcome is Outcome.UNREACHABLE for answer in result.answers)
    return (*steps, again_step(request_id)) if missed else steps


def fetch_lines(result: FetchResult, *, full: bool) -> Iterable[str]:
    """What was released, one field a line and until when it may be shown; or why it was not."""
    if result.outcome is Outcome.HIT:
        yield from field_lines(result.fields, full=full)
        if result.expires is not None:
            yield f"可用至 may be read until {local_time(result.expires)}"
        if result.watermark is not None:
            yield watermark_line(result.watermark)
    elif result.outcome is Outcome.WAITING and result.expires is not None:
        yield f"{OUTCOMES[result.outcome]}  期限 due {local_time(result.expires)}"
    elif result.decision is not None and not result.decision.allowed:
        yield from view.ruling_lines(result.decision)
    elif result.policies:
        yield f"{OUTCOMES[result.outcome]}: {', '.join(result.policies)}"
        yield f"  {result.title_zh} | {result.title_en}"
    else:
        yield OUTCOMES[result.outcome]


def fetch_object(result: FetchResult, *, full: bool) -> dict[str, JsonOut]:
    """What was released, as JSON."""
    return {
        "outcome": result.outcome.value,
        "decision": view.ruling_object(result.decision) if result.decision is not None else None,
        "fields": mask_fields(result.fields, full=full),
        "expires": time_text(result.expires),
        "policies": list(result.policies),
        "title_zh": result.title_zh,
        "title_en": result.title_en,
        "watermark": watermark_object(result.watermark),
    }


def case_lines(answer: CaseAnswer, *, opened: bool) -> Iterable[str]:
    """What became of a case: until when it runs, or why it was not opened or closed."""
    if not answer.decision.allowed:
        yield from view.ruling_lines(answer.decision)
    elif answer.closes is not None:
        done = "已立,有效至 opened, runs until" if opened else "已关闭 closed on"
        yield f"案件 case {answer.case_id} {done} {local_time(answer.closes)}"


def case_object(answer: CaseAnswer) -> dict[str, JsonOut]:
    """What became of a case, as JSON."""
    return {
        "decision": view.ruling_object(answer.decision),
        "case_id": answer.case_id,
        "closes": time_text(answer.closes),
    }


def history_lines(lines: Sequence[LookupLine]) -> Iterable[str]:
    """The steps of look-ups, one a line, newest first."""
    rows = [
        (
            local_time(line.time),
            line.case_id,
            _province(line.node),
            STEPS.get(line.step, line.step),
            OUTCOMES[line.outcome] if line.outcome is not None else _WAITING,
            line.officer,
            line.lookup_id,
        )
        for line in lines
    ]
    heads = ("时间 time", "案件 case", "省 province", "步骤 step", "结果 outcome", "民警 officer", "查询号 lookup")
    return columns([heads, *rows])


def history_object(page: LookupPage) -> dict[str, JsonOut]:
    """The steps of look-ups, as JSON."""
    lines: JsonOut = [
        {
            "lookup_id": line.lookup_id,
            "time": time_text(line.time),
            "case_id": line.case_id,
            "node": line.node,
            "step": line.step,
            "officer": line.officer,
            "outcome": line.outcome.value if line.outcome is not None else None,
        }
        for line in page.lines
    ]
    return {"lookups": lines, "next_page_token": page.next_page_token}


def _province_cells(answer: ProvinceAnswer) -> tuple[str, str, str]:
    more = ""
    if answer.handle is not None and answer.expires is not None:
        more = f"{HANDLE_PREFIX}{answer.handle}  有效至 until {local_time(answer.expires)}"
    elif answer.outcome is Outcome.WAITING and answer.expires is not None:
        more = f"期限 due {local_time(answer.expires)}"
    elif answer.outcome is Outcome.REFUSED:
        more = f"{', '.join(answer.policies)}  {answer.title_zh} | {answer.title_en}"
    return _province(answer.node), OUTCOMES[answer.outcome], more


def _province(node: str) -> str:
    return f"{PROVINCES.get(node, '')} {node}".lstrip()
