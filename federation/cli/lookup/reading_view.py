"""How a look-up that is read again is shown: each step, what was released, and the watermark over it.

Rules kept: no field is shown without its watermark; what was refused names the deciding policies in both languages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from federation.cli.lookup.lines import local_time, time_text, watermark_line, watermark_object
from federation.cli.lookup.view import HANDLE_PREFIX, OUTCOMES, PROVINCES, STEPS
from federation.cli.permits import view
from federation.cli.registers.view import field_lines, mask_fields
from federation.domain.lookup.asking import Outcome

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.wire.retention.values import LookupResult, ReadStep, TracedReading


def result_code(result: LookupResult) -> int:
    """The exit code: 1 when a province refused or a release may not be read any more, else 0."""
    refused = (
        step.outcome is Outcome.REFUSED or (step.decision is not None and not step.decision.allowed)
        for step in result.steps
    )
    return 1 if any(refused) else 0


def result_lines(result: LookupResult, *, full: bool) -> Iterable[str]:
    """What came of each step, in the order in which they were asked."""
    yield f"查询 look-up {result.lookup_id}  案件 case {result.case_id}"
    for step in result.steps:
        outcome = OUTCOMES[step.outcome] if step.outcome is not None else "等待答复 waiting"
        name = f"{PROVINCES.get(step.node, '')} {step.node}".lstrip()
        yield f"{local_time(step.asked)}  {name}  {STEPS.get(step.step, step.step)}  {outcome}"
        yield from (f"  {line}" for line in _more(step, full=full))


def result_object(result: LookupResult, *, full: bool) -> dict[str, JsonOut]:
    """What came of a look-up, as JSON."""
    steps: JsonOut = [
        {
            "node": step.node,
            "step": step.step,
            "time": time_text(step.asked),
            "outcome": step.outcome.value if step.outcome is not None else None,
            "handle": step.handle,
            "expires": time_text(step.expires),
            "erased": time_text(step.erased),
            "decision": view.ruling_object(step.decision) if step.decision is not None else None,
            "fields": mask_fields(step.fields, full=full),
            "watermark": watermark_object(step.watermark),
            "policies": list(step.policies),
            "title_zh": step.title_zh,
            "title_en": step.title_en,
        }
        for step in result.steps
    ]
    return {"lookup_id": result.lookup_id, "case_id": result.case_id, "steps": steps}


def traced_lines(traced: TracedReading) -> Iterable[str]:
    """Who read what, and when; nothing of the person who was read about."""
    yield watermark_line(traced.watermark)
    yield f"查询 look-up {traced.lookup_id}  案件 case {traced.case_id}  提供省 released by {traced.node}"
    yield f"字段 fields: {', '.join(sorted(traced.fields))}"
    yield f"调取 fetch {traced.fetch_digest}"


def traced_object(traced: TracedReading) -> dict[str, JsonOut]:
    """A traced reading, as JSON."""
    return {
        "watermark": watermark_object(traced.watermark),
        "lookup_id": traced.lookup_id,
        "case_id": traced.case_id,
        "node": traced.node,
        "fields": sorted(traced.fields),
        "fetch_digest": traced.fetch_digest,
    }


def _more(step: ReadStep, *, full: bool) -> Iterable[str]:
    if step.watermark is not None:
        yield watermark_line(step.watermark)
        yield from field_lines(step.fields, full=full)
    elif step.decision is not None:
        yield from view.ruling_lines(step.decision)
    elif step.policies:
        yield f"{', '.join(step.policies)}  {step.title_zh} | {step.title_en}"
    if step.handle is not None:
        yield f"{HANDLE_PREFIX}{step.handle}"
    if step.erased is not None:
        yield f"已销毁 destroyed {local_time(step.erased)}"
    elif step.expires is not None:
        yield f"有效至 until {local_time(step.expires)}"
