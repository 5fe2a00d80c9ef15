"""The lines of a case in the lists of this node's offices, what time brings in it, and when a duty looks next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from federation.domain.clock import Bound
from federation.domain.joint import Entry
from federation.domain.joint_clocks import Clock
from federation.domain.joint_policy import CaseLine, standing_of
from federation.domain.joint_state import Case
from federation.domain.retention import PROVISION
from federation.node.exchange.replies import find_delivery
from federation.node.joint.records import CASE, CASES, CHANGES, CaseChange, Moment, StoredRecord, each_sent
from federation.node.node import Node
from federation.protocol.form import encode
from federation.protocol.ids import AgencyId, format_time
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record

ESCALATE: Final = "escalate"
UNTOLD_LOOK: Final = timedelta(seconds=20)
"""An invitation that the other side's node has not receipted yet is looked at again after that time."""


def case_rows(
    node: Node, transaction: GroupTransaction, now: Moment[Case], *, row: StoredRecord, step: int
) -> Iterator[Record]:
    """The lines of our offices, and news of them if an entry came since they were written (`row`)."""
    for line in case_lines(node, now, step=step):
        yield CASES.record(line, owner=node.name)
        if row.shown != row.entries:
            change, topic = encode(CaseChange(record=now.id)), str(line.office)
            yield CHANGES.next(transaction, topic, change, owner=node.name, kept_under=PROVISION)


def case_lines(node: Node, now: Moment[Case], *, step: int) -> Iterator[CaseLine]:
    """One line for each office of ours that takes part, took part or is asked to."""
    case = now.state
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


def each_due(node: Node, case: Case) -> Iterator[tuple[str, dict[str, str]]]:
    """The acts that time brings now in a case that an office of ours leads, with their fields."""
    if case.lead is None or case.lead.node != node.name or case.outcome is not None:
        return
    now = node.now()
    for clock in sorted(case.clocks.values(), key=lambda clock: clock.key):
        due = clock.due
        if not clock.runs or due is None or due > now:
            continue
        said = {"clock": clock.key, "due": format_time(due)}
        if not clock.late:
            yield ("floor_over" if clock.rule.bound is Bound.AT_LEAST else "overdue"), said
        elif clock.on_breach == ESCALATE and not clock.escalated:
            yield ESCALATE, said
    for entry in untold(node, case):
        sent = each_sent(CASE, node.database, entry.head.record, name=entry.name)
        if any(find_delivery(node, each.message_id).received for each in sent):
            yield "told", {"about": entry.name, "agency": str(entry.head.fields["agency"])}


def untold(node: Node, case: Case) -> list[Entry]:
    """The invitations of ours to another province of which nobody wrote yet that its node has them."""
    receipted = case.receipted
    return [
        found.entry
        for found in case.done.get("invite", ())
        if found.entry.author == node.name
        and found.entry.name not in receipted
        and not str(found.head.fields["agency"]).startswith(f"{node.name}/")
    ]
