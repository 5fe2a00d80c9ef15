"""The rules that an alert pins: the kinds, duty sheets and clocks of the agreement under which it was raised.

Rules kept: a desk raises and holds what its sheet says, and a deputy holds what those have that it stands in for; a
leader's post acts for the desks that name it and holds nothing; the time for arrival is longer only where every area
of the alert is remote. Of a stage that was late for a cause, danger at the scene or a caller who is not to be found,
the leader over the desk says so once, and it stays late: nothing pauses a clock. Source: the agreed tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from federation.domain.acts import FieldValue
from federation.domain.alert_kinds import AlertTable, fired, read_alerts
from federation.domain.clock import CLOCKS_FILE, ClockTable, parse_clocks
from federation.domain.duty import AFTER_SECONDS, Duty, DutyClass, Rung, Terms, read_duty, read_once
from federation.domain.joint import Entry, Head, NoEffect
from federation.protocol.errors import NotFoundError
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, parse_time

if TYPE_CHECKING:
    from federation.domain.alert import Alert

STAGE_CLOCKS: Final[Mapping[str, str]] = {
    "accepted": "alert.accept",
    "contacted": "alert.contact",
    "arrived": "alert.arrive",
}
MEASURE_CLOCKS: Final[Mapping[str, str]] = {
    "stop_asked": "fraud.stop", "visited": "fraud.visit", "sampled": "water.sample",
    "confirmed": "perimeter.confirm", "flame_out": "forest.24h",
}  # fmt: skip
"""What some kinds are timed for besides: the stamp of each, and its clock, from T0 too."""
UPDATE_CLOCKS: Final = ("alert.update", "road.update")
"""How long what is said of some kinds stands before it is to be said anew; what a kind has of them."""
LEASES: Final[Mapping[str, timedelta]] = {
    "accepted": timedelta(minutes=3),
    "contacted": timedelta(minutes=15),
    "arrived": timedelta(hours=2),
}
REMOTE_LEASE: Final = timedelta(minutes=45)
"""For a desk that is on its way to a remote area."""
FOREST_FIRE: Final = "forest.fire"
OPEN_SECONDS: Final = "open_seconds"


class AlertRules(Protocol):
    """The kinds and the duty table of the agreement under which an alert was raised."""

    def agency_of(self, desk: str) -> AgencyId | None: ...
    def is_leader(self, leader: str, desk: str) -> bool: ...
    def may_raise(self, desk: str, kind: str) -> bool: ...
    def may_hold(self, desk: str, kind: str) -> bool: ...
    def deputised(self, desk: str, kind: str) -> frozenset[str]:
        """Returns the desks with a kind for which one without it stands in."""

    def may_claim(self, desk: str, kind: str, *, rungs: Collection[int], empty: Collection[str]) -> bool:
        """Returns True for a desk with the kind, and for its deputy once it has nobody on or let their step come."""

    def why(self, kind: str) -> tuple[str, str]:
        """Returns purpose and function of a kind, empty for one that is not there."""

    def limit(self, stage: str, areas: Iterable[str], at: datetime) -> timedelta:
        """Returns the time from T0 within which a stage has its stamp; longer where all the areas are remote then."""

    def is_remote(self, areas: Iterable[str], at: datetime) -> bool:
        """True where all the areas are remote at that moment, and there is one."""

    def lease(self, stage: str, areas: Iterable[str], at: datetime) -> timedelta:
        """Returns how long a holder answers for an alert in that stage without a further act."""

    def stages(self, kind: str) -> frozenset[str]:
        """Returns the stages for which a kind has a time, so that each may be overdue."""

    def update_time(self, kind: str) -> timedelta | None:
        """Returns the time after which a kind is to be updated; None for one that nobody has to update."""

    def family(self, kind: str) -> str:
        """Returns what two kinds have in common that one event may be called in as."""

    def climbs(self, kind: str) -> bool:
        """True for a kind that goes up the ladder while nobody claims it; what is merely taken note of does not."""

    def triggers(self, kind: str, said: Mapping[str, FieldValue], burning: timedelta) -> frozenset[int]:
        """Returns the numbers of the conditions that hold under which an alert is told to the province."""

    def trigger_ages(self, kind: str) -> tuple[timedelta, ...]:
        """Returns the times since T0, from zero on, at which such a condition may begin to hold."""


class AgreedAlerts(Struct, frozen=True, kw_only=True):
    """The tables of one agreement, as `alert.Alert` asks for them."""

    table: AlertTable
    duty: Duty
    clocks: ClockTable

    def agency_of(self, desk: str) -> AgencyId | None:
        return self.duty.agency_of(desk)

    def is_leader(self, leader: str, desk: str) -> bool:
        found = self.duty.desks.get(desk)
        return found is not None and found.leader == leader

    def may_raise(self, desk: str, kind: str) -> bool:
        return kind in self.table.kinds and desk in self.duty.desks and kind in self.duty.desks[desk].kinds

    def may_hold(self, desk: str, kind: str) -> bool:
        return self.may_raise(desk, kind)

    def deputised(self, desk: str, kind: str) -> frozenset[str]:
        rows = () if desk not in self.duty.desks or self.may_hold(desk, kind) else self.duty.desks.values()
        return frozenset(row.id for row in rows if desk in row.deputies and self.may_hold(row.id, kind))

    def may_claim(self, desk: str, kind: str, *, rungs: Collection[int], empty: Collection[str]) -> bool:
        stands_for = self.deputised(desk, kind)
        is_their_step = max(rungs, default=0) >= AFTER_SECONDS[Rung.DEPUTIES]
        return self.may_hold(desk, kind) or (bool(stands_for) and (is_their_step or not stands_for.isdisjoint(empty)))

    def why(self, kind: str) -> tuple[str, str]:
        found = self.table.kinds.get(kind)
        return ("", "") if found is None else (found.purpose, found.function)

    def desks_of(self, agency: AgencyId) -> frozenset[str]:
        """The desks of an office, and the posts of leaders that it acts for."""
        posts = {desk.leader for desk in self.duty.desks.values() if desk.leader}
        return frozenset(desk for desk in {*self.duty.desks, *posts} if self.agency_of(desk) == agency)

    def limit(self, stage: str, areas: Iterable[str], at: datetime) -> timedelta:
        """Returns the newest agreed minutes from T0 to a stage; for arrival in remote areas, the shortest of theirs."""
        remote = self._remote(areas, at)
        if stage == "arrived" and remote:
            return timedelta(minutes=min(terms.arrive_limit for terms in remote))
        clock = STAGE_CLOCKS.get(stage) or MEASURE_CLOCKS[stage]
        return timedelta(minutes=self.clocks.rules[clock][-1].amount)

    def is_remote(self, areas: Iterable[str], at: datetime) -> bool:
        return bool(self._remote(areas, at))

    def lease(self, stage: str, areas: Iterable[str], at: datetime) -> timedelta:
        return REMOTE_LEASE if stage == "contacted" and self._remote(areas, at) else LEASES[stage]

    def stages(self, kind: str) -> frozenset[str]:
        known = {**STAGE_CLOCKS, **MEASURE_CLOCKS}
        return frozenset(stage for stage, clock in known.items() if self._runs(clock, kind))

    def update_time(self, kind: str) -> timedelta | None:
        minutes = [self.clocks.rules[clock][-1].amount for clock in UPDATE_CLOCKS if self._runs(clock, kind)]
        return timedelta(minutes=min(minutes)) if minutes else None

    def _runs(self, clock: str, kind: str) -> bool:
        if kind not in self.table.kinds or clock not in self.table.kinds[kind].clocks:
            return False
        return clock in self.clocks.rules and not self.clocks.rules[clock][-1].planned

    def family(self, kind: str) -> str:
        """Returns the family in law, and of a kind without one its first word."""
        found = self.table.kinds[kind].family if kind in self.table.kinds else None
        return kind.partition(".")[0] if found is None else found.value

    def climbs(self, kind: str) -> bool:
        """True for a kind that has a clock of any sort."""
        return kind in self.table.kinds and bool(self.table.kinds[kind].clocks)

    def triggers(self, kind: str, said: Mapping[str, FieldValue], burning: timedelta) -> frozenset[int]:
        """Returns the numbers of the conditions of a forest fire that hold; none for any other kind."""
        if kind != FOREST_FIRE:
            return frozenset()
        ticked = said.get("ticked", ())
        numbers = {name: value for name, value in said.items() if isinstance(value, int)}
        numbers[OPEN_SECONDS] = int(burning.total_seconds())
        found = fired(self.table, flags=ticked if isinstance(ticked, tuple) else (), numbers=numbers)
        return frozenset(each.trigger.number for each in found)

    def trigger_ages(self, kind: str) -> tuple[timedelta, ...]:
        """Returns zero and the ages of an open flame that the triggers name; none for any other kind."""
        if kind != FOREST_FIRE:
            return ()
        ages = {trigger.least[OPEN_SECONDS] for trigger in self.table.trigger if OPEN_SECONDS in trigger.least}
        return tuple(timedelta(seconds=age) for age in sorted({0, *ages}))

    def _remote(self, areas: Iterable[str], at: datetime) -> tuple[Terms, ...]:
        """The terms of all the areas when each is a known remote one at that moment, else none."""
        found = [self.duty.terms_of(self.duty.areas.get(area), at) for area in areas]
        remote = tuple(terms for terms in found if terms.duty_class is DutyClass.REMOTE)
        return remote if len(remote) == len(found) else ()


@read_once
def read_alert_rules(files: Mapping[str, bytes]) -> AgreedAlerts:
    """The rules of an agreement's files. Refuses ALERTS_MISSING, ALERT_CLOCKS, and as each table does."""
    clocks = parse_clocks(files.get(CLOCKS_FILE, b"").decode(errors="replace"))
    if any(name not in clocks.rules for name in STAGE_CLOCKS.values()):
        raise NotFoundError("ALERT_CLOCKS", f"expected {', '.join(STAGE_CLOCKS.values())} in {CLOCKS_FILE}")
    return AgreedAlerts(table=read_alerts(files), duty=read_duty(files), clocks=clocks)


def burning(alert: Alert, at: datetime) -> timedelta:
    """Returns how long the flame has been open at a moment: since T0, and at most until the stamp that it is out."""
    out = alert.stamps.get("flame_out")
    return (at if out is None else min(at, out.measured)) - alert.dispatched


# ---- a late stage that is excused


def excuse(alert: Alert, entry: Entry) -> Alert | NoEffect:
    """Takes note of the leader's word on a late stage, by whoever made its stamp, or had or raised the alert."""
    said = entry.head.fields
    leader, stage = str(said["desk"]), str(said["stage"])
    stamp = alert.stamps.get(stage)
    is_late = stage in alert.overdue if stamp is None else not alert.attained(stage)
    if not is_late:
        return NoEffect(reason="NOT_LATE")
    desks = {stamp.desk} if stamp is not None else alert.held or {str(alert.first.fields["desk"])}
    if not any(alert.rules.is_leader(leader, desk) for desk in desks):
        return NoEffect(reason="NOT_LEADER")
    return alert if excuse_of(alert, stage) is None else NoEffect(reason="DONE_ALREADY")


def excuse_of(alert: Alert, stage: str) -> Head | None:
    """The head of the entry by which a late stage was excused; None while nobody did."""
    heads = (done.head for done in alert.named.values() if done.head.act == "excuse")
    return next((head for head in heads if head.fields["stage"] == stage), None)


# ---- an update that is due


def update_due(alert: Alert) -> datetime | None:
    """The moment from which on an alert is late with an update; counted from what stands, or from the last reminder."""
    time = alert.rules.update_time(alert.kind)
    if time is None or alert.content is None or alert.ended is not None:
        return None
    said = alert.content.head.at
    return time + (said if alert.reminded is None else max(said, alert.reminded))


def remind(alert: Alert, entry: Entry) -> Alert | NoEffect:
    """Takes note that whoever holds the alert, or raised it, was reminded; the next reminder counts from this one."""
    due, at = update_due(alert), entry.head.at
    is_due = due is not None and at >= due and parse_time(str(entry.head.fields["due"])) == due
    return replace(alert, reminded=at) if is_due else NoEffect(reason="NOT_DUE")
