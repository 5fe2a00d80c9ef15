"""How the inbox of the intake desk is shown, and what a release or a refusal came to.

Rules kept: as `view`; a line says how much time is left, and marks what was asked a second time or escalated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from federation.cli.lookup.lines import columns, local_time, time_text
from federation.cli.lookup.view import PROVINCES, STEPS
from federation.cli.permits import view
from federation.domain.lookup.asking import Urgency
from federation.domain.lookup.intake import IntakeStatus

if TYPE_CHECKING:
    from federation.cli.output import JsonOut
    from federation.wire.lookups.intake.values import IntakeAnswer, IntakeLine, IntakePage, SecondRequest

STATUSES: Final[Mapping[IntakeStatus, str]] = MappingProxyType(
    {
        IntakeStatus.WAITING: "待答复 waiting",
        IntakeStatus.ANSWERED: "已答复 answered",
        IntakeStatus.REFUSED: "已拒绝 refused",
        IntakeStatus.EXPIRED: "已过期 expired",
    }
)
URGENCIES: Final[Mapping[Urgency, str]] = MappingProxyType(
    {Urgency.URGENT: "紧急 urgent", Urgency.ROUTINE: "一般 routine"}
)
_HEADS: Final = (
    "剩余 left",
    "时限 urgency",
    "标记 mark",
    "步骤 step",
    "单位 agency",
    "案件 case",
    "所问 asked",
    "编号 id",
)


def inbox_lines(page: IntakePage) -> Iterable[str]:
    """The requests, one a line, those that need a person most first."""
    return columns([_HEADS, *(_cells(line, page.now) for line in page.lines)]) if page.lines else ()


def inbox_object(page: IntakePage) -> dict[str, JsonOut]:
    """The requests, as JSON."""
    lines: JsonOut = [_line_object(line, page.now) for line in page.lines]
    return {"requests": lines, "next_page_token": page.next_page_token}


def answer_lines(answer: IntakeAnswer) -> Iterable[str]:
    """What became of a release or a refusal, in one line; or why policy did not allow it."""
    if answer.status is None:
        yield from view.ruling_lines(answer.decision)
        return
    told = STATUSES[answer.status]
    if answer.hit is not None:
        told += ":命中 hit" if answer.hit else ":未命中 no hit"
    elif answer.fields:
        told += f":{', '.join(sorted(answer.fields))}"
    yield f"{told}  {answer.request_id}"


def answer_object(answer: IntakeAnswer) -> dict[str, JsonOut]:
    """What became of a release or a refusal, as JSON."""
    return {
        "decision": view.ruling_object(answer.decision),
        "intake_id": answer.request_id,
        "status": answer.status.value if answer.status is not None else None,
        "hit": answer.hit,
        "fields": sorted(answer.fields),
    }


def second_lines(seconds: Sequence[SecondRequest]) -> Iterable[str]:
    """Which provinces were asked a second time, and until when their answer is waited for."""
    for second in seconds:
        province = f"{PROVINCES.get(second.node, '')} {second.node}".lstrip()
        asked, due = local_time(second.time), local_time(second.due)
        yield f"{province}  {STEPS.get(second.step, second.step)}  已催问 asked again {asked}  答复期限 due {due}"


def second_object(seconds: Sequence[SecondRequest]) -> dict[str, JsonOut]:
    """Which provinces were asked a second time, as JSON."""
    found: JsonOut = [
        {
            "node": second.node,
            "step": second.step,
            "second_time": time_text(second.time),
            "due_time": time_text(second.due),
        }
        for second in seconds
    ]
    return {"seconds": found}


def _cells(line: IntakeLine, now: datetime) -> tuple[str, ...]:
    left = _left(line.due - now) if line.status is IntakeStatus.WAITING else _ending(line)
    asked = f"{line.person} {','.join(sorted(line.fields))}".rstrip()
    return (
        left,
        URGENCIES[line.urgency],
        _mark(line),
        STEPS.get(line.step, line.step),
        f"{line.asker} {line.officer}",
        line.case_id,
        asked,
        line.request_id,
    )


def _left(time: timedelta) -> str:
    minutes, seconds = divmod(max(int(time.total_seconds()), 0), 60)
    return f"{minutes}:{seconds:02}"


def _ending(line: IntakeLine) -> str:
    return f"{STATUSES[line.status]}{' (过时 too late)' if line.came_late else ''}"


def _mark(line: IntakeLine) -> str:
    second = "催问 second" if line.second is not None else ""
    escalated = "升级 escalated" if line.escalated is not None else ""
    return " ".join(filter(None, (second, escalated))) or "-"


def _line_object(line: IntakeLine, now: datetime) -> dict[str, JsonOut]:
    waiting = line.status is IntakeStatus.WAITING
    return {
        "intake_id": line.request_id,
        "status": line.status.value,
        "step": line.step,
        "asker": str(line.asker),
        "officer": line.officer,
        "case_id": line.case_id,
        "purpose": line.purpose,
        "urgency": line.urgency.value,
        "person": line.person,
        "fields": sorted(line.fields),
        "create_time": time_text(line.created),
        "due_time": time_text(line.due),
        "seconds_left": max(int((line.due - now).total_seconds()), 0) if waiting else 0,
        "second_time": time_text(line.second),
        "escalate_time": time_text(line.escalated),
        "answered_by": line.answered_by,
        "came_late": line.came_late,
    }
