"""The lines of a case in the lists of this node's offices, and when a duty looks at it next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from federation.domain.joint_clocks import Clock
from federation.domain.joint_policy import CaseLine, standing_of
from federation.domain.joint_state import Case
from federation.node.joint.records import Held
from federation.node.joint.writing import ESCALATE, untold
from federation.node.node import Node
from federation.protocol.ids import AgencyId

UNTOLD_LOOK: Final = timedelta(seconds=20)
"""An invitation that the other side's node has not receipted yet is looked at again after that time."""


def case_lines(node: Node, held: Held, *, step: int) -> Iterator[CaseLine]:
    """One line for each office of ours that takes part, took part or is asked to."""
    case = held.case
    if case is None or case.lead is None:
        return
    opened = case.done["open"][0].head
    stage, clock = case.procedure.stages[case.stage], first_clock(case)
    for office in _offices(node, case):
        yield CaseLine(
            record=held.id, office=office, step=step, code=case.code, procedure=case.procedure.name,
            title_zh=case.procedure.title_zh, title_en=case.procedure.title_en, stage=case.stage, stage_zh=stage.zh,
            stage_en=stage.en, tier=case.tier, standing=standing_of(case, office),
            roles=tuple(sorted(case.roles(office) or case.invited.get(office, frozenset()))), lead=case.lead,
            opened=opened.at, changed=held.changed or opened.at, clock="" if clock is None else clock.key,
            due=None if clock is None else clock.due, late=clock is not None and clock.late,
            outcome=case.outcome or "", waiting=len(held.record.pending),
        )  # fmt: skip


def first_clock(case: Case) -> Clock | None:
    """The running clock that is due first; none in a closed case."""
    running = [clock for clock in case.clocks.values() if clock.runs and clock.due is not None]
    return min(running, key=lambda clock: (clock.due, clock.key), default=None) if case.outcome is None else None


def next_look(node: Node, held: Held) -> datetime | None:
    """The moment at which a duty looks at a record next, since time brings an entry of ours then; None for never."""
    case = held.case
    if case is None or case.lead is None or case.lead.node != node.name or case.outcome is not None:
        return None
    moments = [
        clock.due
        for clock in case.clocks.values()
        if clock.runs
        and clock.due is not None
        and (not clock.late or (clock.on_breach == ESCALATE and not clock.escalated))
    ]
    if untold(node, held, case):
        moments.append(node.now() + UNTOLD_LOOK)
    return min(moments, default=None)


def _offices(node: Node, case: Case) -> list[AgencyId]:
    return sorted({each for each in (*case.members, *case.invited, *case.acted) if each.node == node.name}, key=str)
