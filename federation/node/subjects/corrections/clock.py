"""The clock of a correction, read from the agreement in force: its rule and the calendar that it counts by."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from federation.domain.clock import (
    ClockRule,
    ClockTable,
    Deadline,
    china_day,
    compute_deadline,
    load_rule,
    parse_clocks,
)
from federation.domain.corrections import CLOCK
from federation.node.exchange.trust import InForce
from federation.protocol.errors import NotFoundError

CLOCKS_FILE = "policies/clocks.toml"


def start_clock(in_force: InForce, now: datetime, *, clock: str = CLOCK) -> Deadline:
    """The deadline of a correction that was received now, or of another clock that starts with it.

    Raises:
        RuleError: CALENDAR_YEAR_MISSING.
        NotFoundError: CLOCK_UNKNOWN, CLOCK_FILE when the agreement has no such clock.
    """
    clocks = _clocks(_file(in_force, CLOCKS_FILE))
    return compute_deadline(load_rule(clocks, clock, on=china_day(now)), now, calendar=in_force.calendar)


def running_rule(in_force: InForce, deadline: Deadline) -> ClockRule:
    """The rule that made a running deadline, in its own version: a later change of the table moves no deadline.

    Raises:
        NotFoundError: CLOCK_UNKNOWN when the agreement does not keep that version any more.
    """
    rules = _clocks(_file(in_force, CLOCKS_FILE)).rules.get(deadline.clock_id, ())
    for rule in rules:
        if rule.version == deadline.rule_version:
            return rule
    raise NotFoundError("CLOCK_UNKNOWN", f"no clock {deadline.clock_id} version {deadline.rule_version} is agreed")


def _file(in_force: InForce, name: str) -> bytes:
    found = in_force.agreement.files.get(name)
    if found is None:
        raise NotFoundError("CLOCK_FILE", f"expected the agreement to hold {name}")
    return found


@lru_cache(maxsize=4)
def _clocks(content: bytes) -> ClockTable:
    return parse_clocks(content.decode())
