"""The rows of a record that is settled: its lines in the lists of this node's offices, and when a duty looks next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from federation.domain.joint_clocks import Clock
from federation.domain.joint_policy import CaseLine, standing_of
from federation.domain.joint_state import Case
from federation.domain.retention import PROVISION
from federation.node.joint.ends import items_end
from federation.node.joint.records import CASES, CHANGES, RECORDS, CaseChange, Moment, StoredRecord
from federation.node.joint.writing import ESCALATE, untold
from federation.node.node import Node
from federation.protocol.form import encode, replace
from federation.protocol.ids import AgencyId
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record

UNTOLD_LOOK: Final = timedelta(seconds=20)
"""An invitation that the other side's node has not receipted yet is looked at again after that time."""


def settled_rows(node: Node, transaction: GroupTransaction, now: Moment, *, row: StoredRecord) -> Iterator[Record]:
    """The row that replaces that of the record once all is handed on, the lines of our offices, and news of them."""
    settled = replace(row, step=row.step + 1, look=next_look(node, now.case))
    if (case := now.case) is not None:
        closed, procedure = case.last("close"), case.procedure
        settled = replace(
            settled, procedure=procedure.name, retention=procedure.retention,
            closed=None if closed is None else closed.head.at, shown=row.entries,
        )  # fmt: skip
        ends = items_end(node.trust.in_force, settled)
        if ends is not None and (row.closed is None or node.now() < ends):  # who hears of the close late ends it, too
            settled = replace(settled, look=ends)
    yield RECORDS.record(settled, owner=node.name)
    for line in case_lines(node, now, step=settled.step):
        yield CASES.record(line, owner=node.name)
        if row.shown != row.entries:
            change, topic = encode(CaseChange(record=now.id)), str(line.office)
            yield CHANGES.next(transaction, topic, change, owner=node.name, kept_under=PROVISION)


def case_lines(node: Node, now: Moment, *, step: int) -> Iterator[CaseLine]:
    """One line for each office of ours that takes part, took part or is asked to."""
    case = now.case
    if case is None or case.lead is None:
        return
    opened = case.done["open"][0].head
    stage, clock = case.procedure.stages[case.stage], first_clock(case)
    for office in offices(node, case):
        yield CaseLine(
            record=now.id, office=office, step=step, code=case.code, procedure=case.procedure.name,
            title_zh=case.procedure.title_zh, title_en=case.procedure.title_en, stage=case.stage, stage_zh=stage.zh,
            stage_en=stage.en, tier=case.tier, standing=standing_of(case, office),
            roles=tuple(sorted(case.roles(office) or case.invited.get(office, frozenset()))), lead=case.lead,
            opened=opened.at, changed=now.changed or opened.at, clock="" if clock is None else clock.key,
            due=None if clock is None else clock.due, late=clock is not None and clock.late,
            outcome=case.outcome or "", waiting=now.waiting,
        )  # fmt: skip


def first_clock(case: Case) -> Clock | None:
    """The running clock that is due first; none in a closed case."""
    running = [clock for clock in case.clocks.values() if clock.runs and clock.due is not None]
    return min(running, key=lambda clock: (clock.due, clock.key), default=None) if case.outcome is None else None


def next_look(node: Node, case: Case | None) -> datetime | None:
    """The moment at which a duty looks at a record next, since time brings an entry of ours then; None for never."""
    if case is None or case.lead is None or case.lead.node != node.name or case.outcome is not None:
        return None
    moments = [
        clock.due
        for clock in case.clocks.values()
        if clock.runs
        and clock.due is not None
        and (not clock.late or (clock.on_breach == ESCALATE and not clock.escalated))
    ]
    if untold(node, case):
        moments.append(node.now() + UNTOLD_LOOK)
    return min(moments, default=None)


def offices(node: Node, case: Case) -> list[AgencyId]:
    """The offices of ours that take part, took part or are asked to."""
    return sorted({each for each in (*case.members, *case.invited, *case.acted) if each.node == node.name}, key=str)
