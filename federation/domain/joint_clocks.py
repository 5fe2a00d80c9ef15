"""The clocks of a joint case: what starts them, stops them, lets them rest, and what is written when they are over.

Rules kept: a clock starts at the moment of its event, not when news of it came; it keeps the row in force on that day;
a link that is down never stops it; only reasons that its row lists let it rest; that it is over is written once, for
the very due time, by the lead's node. A floor holds a stage until it was written that it is over.
Source: the rows of `policies/clocks.toml`; the deadlines and events of each procedure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from federation.domain.clock import (
    CHINA_TIME,
    Bound,
    ClockRule,
    Deadline,
    china_day,
    compute_deadline,
    extend_deadline,
    load_rule,
)
from federation.domain.conditions import CONDITIONS
from federation.domain.joint import Entry, Head, NoEffect
from federation.domain.procedure import CLOSED, Event, Rules, Timed
from federation.protocol.errors import BridgeheadError
from federation.protocol.form import replace
from federation.protocol.ids import format_time, parse_time

if TYPE_CHECKING:
    from federation.domain.joint_state import Case


THINGS: Final = ("obligation", "claim", "task")
"""The fields that name a thing which may have a clock of its own."""
CLOCK_ACTS: Final = ("extend", "suspend", "resume", "overdue", "escalate", "floor_over")
"""The acts that say something of a clock."""


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """One running of a clock. `key` is its name, with `:thing` where each of several things has its own.

    `deadline` is None where no calendar covers it. `rested` is how long it stood still, `resting` since when it does.
    `late`: the lead's node wrote that it is over; of a floor, that it holds nothing any more. `tier` is that of the
    case when it started: the clock of the lower tier goes on when a case is raised.
    """

    key: str
    name: str
    thing: str = ""
    rule: ClockRule
    on_breach: str
    tier: str
    started: datetime
    deadline: Deadline | None
    rested: timedelta = timedelta()
    resting: datetime | None = None
    stopped: datetime | None = None
    late: bool = False
    escalated: bool = False

    @property
    def due(self) -> datetime | None:
        """The first late instant, or the first at which a floor holds nothing; None while it rests or nobody knows."""
        if self.deadline is None or self.resting is not None:
            return None
        return self.deadline.due + self.rested

    @property
    def runs(self) -> bool:
        return self.stopped is None

    @property
    def may_rest(self) -> bool:
        return self.resting is None and bool(self.rule.pause_reasons)

    @property
    def may_grow(self) -> bool:
        return bool(self.rule.extension_most) and self.deadline is not None and not self.deadline.extended_by

    @property
    def holds(self) -> bool:
        return self.runs and not self.late and self.rule.bound is Bound.AT_LEAST


def run_clocks(case: Case, entry: Entry, *, entered: str) -> Case:
    """The case with the clocks that an entry starts and stops; `entered` is the stage that it entered, if any."""
    head, clocks, holding = entry.head, dict(case.clocks), set(case.holding)
    events = case.procedure.events_of(head.act)
    for event in events:
        says = all(head.fields.get(name) in words for name, words in event.says.items())
        happens = (head.act in event.acts and says) or entered in event.stages
        if event.when:
            holds = CONDITIONS[event.when].holds(case)
            happens |= holds and event.id not in holding
            (holding.add if holds else holding.discard)(event.id)
        if happens:
            moment = _moment(event, head)
            _stop(clocks, event.id, head, moment)
            for timed in case.procedure.started_by(event.id):
                _start(clocks, timed, case, head, moment)
    if head.act == "close":
        _stop(clocks, CLOSED, head, head.at)
    return replace(case, clocks=clocks, holding=frozenset(holding)) if events or head.act == "close" else case


def mark_clock(clocks: Mapping[str, Clock], head: Head, rules: Rules) -> Clock | NoEffect:
    """The clock after what an entry says of it: extended, resting, running on, over."""
    clock = clocks.get(str(head.fields["clock"]))
    if clock is None or not clock.runs:
        return NoEffect(reason="CLOCK_NOT_RUNNING")
    match head.act:
        case "extend":
            return _extended(clock, head, rules)
        case "suspend":
            if clock.resting is not None or head.fields["why"] not in clock.rule.pause_reasons:
                return NoEffect(reason="CLOCK_DOES_NOT_REST")
            return replace(clock, resting=head.at)
        case "resume":
            if clock.resting is None:
                return NoEffect(reason="CLOCK_NOT_RESTING")
            return replace(clock, resting=None, rested=clock.rested + max(head.at - clock.resting, timedelta()))
    if clock.due is None or format_time(clock.due) != head.fields["due"] or head.at < clock.due:
        return NoEffect(reason="CLOCK_NOT_OVER")
    if (head.act == "floor_over") != (clock.rule.bound is Bound.AT_LEAST):
        return NoEffect(reason="CLOCK_NOT_OVER")
    if clock.escalated if head.act == "escalate" else clock.late:
        return NoEffect(reason="DONE_ALREADY")
    return replace(clock, escalated=True) if head.act == "escalate" else replace(clock, late=True)


def _extended(clock: Clock, head: Head, rules: Rules) -> Clock | NoEffect:
    by = head.fields["by"]
    if clock.deadline is None or not isinstance(by, int):
        return NoEffect(reason="CLOCK_NOT_RUNNING")
    try:
        longer = extend_deadline(clock.deadline, clock.rule, by=by, asked=head.at, calendar=rules.calendar)
    except BridgeheadError as error:
        return NoEffect(reason=error.reason)
    except (OverflowError, ValueError):
        return NoEffect(reason="EXTENSION_TOO_LONG")
    return replace(clock, deadline=longer)


def _start(clocks: dict[str, Clock], timed: Timed, case: Case, head: Head, moment: datetime) -> None:
    thing = str(head.fields.get(timed.each, ""))
    key = f"{timed.clock}:{thing}" if thing else timed.clock
    try:
        rule = load_rule(case.rules.clocks, timed.clock, on=china_day(moment))
    except (BridgeheadError, OverflowError):
        return
    if key in clocks and clocks[key].runs and not rule.due_from:  # a day that was set is set anew
        return
    try:
        deadline = compute_deadline(rule, moment, calendar=case.rules.calendar)
    except (BridgeheadError, OverflowError, ValueError):
        deadline = None
    clocks[key] = Clock(
        key=key,
        name=timed.clock,
        thing=thing,
        rule=rule,
        on_breach=timed.on_breach,
        tier=case.tier,
        started=moment,
        deadline=deadline,
    )


def _stop(clocks: dict[str, Clock], event: str, head: Head, moment: datetime) -> None:
    """Stops what stops on an event: of the clocks that each thing has, that of the thing which the entry names."""
    things = {head.fields[name] for name in THINGS if name in head.fields}
    for key, clock in clocks.items():
        its_own = not clock.thing or not things or clock.thing in things
        if clock.stopped is None and (event == CLOSED or (event == clock.rule.stops_on and its_own)):
            clocks[key] = replace(clock, stopped=moment)


def _moment(event: Event, head: Head) -> datetime:
    """The moment of an event: the day or time that the act itself says, else that of the act."""
    said = head.fields.get(event.at) if event.at else None
    if not isinstance(said, str):
        return head.at
    if len(said) == 10:
        return datetime.combine(date.fromisoformat(said), time(), CHINA_TIME)
    return parse_time(said)
