"""The own figures of a report, counted from folded alerts and cases: which leaves each has, in which groups.

Rules kept: real alerts only, an exercise is counted as an exercise and nowhere else; a linked duplicate counts with the
alert that was first. Towns and remote areas are never added. An alert lies where its first division lies, in the first
of its areas. The same counting makes the figure of last year, as long as the definition is the same.
Source: `policies/figures.toml`; `response` for 1-3-10.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from msgspec import Struct

from federation.domain.alert import STAGES, Alert, AlertState
from federation.domain.alert_acts import areas_in
from federation.domain.alert_rules import excuse_of
from federation.domain.case_figures import closed_on, count_vehicles, record_of, spent_on
from federation.domain.clock import china_day
from federation.domain.duty import Duty, DutyClass
from federation.domain.figures import (
    DAY_MS,
    NO_AREA,
    Counts,
    Definition,
    Figure,
    FigureTable,
    Form,
    Group,
    Leaf,
    Mark,
    Source,
    count_figure,
    percentile,
    share_figure,
)
from federation.domain.figures_sample import Finding, Recheck, stamp_of
from federation.domain.functions import FunctionRegister
from federation.domain.joint_state import Case
from federation.domain.response import Attainment, LeftOut, Period, attain, duplicates_of
from federation.protocol.form import replace


class Row(Struct, frozen=True, kw_only=True):
    """A leaf, and the narrowest group that it lies in."""

    leaf: Leaf
    group: Group


class Tally(Struct, frozen=True, kw_only=True):
    """A number that an office of a county keeps by itself: `part` of `whole`, and the same of last year."""

    county: str
    part: int
    whole: int


@dataclass(frozen=True, kw_only=True)
class Counting:
    """All that a report counts: what was folded, the tables, the counties, and the period.

    `alerts` and `cases` may hold more than the period; `base` is the period of last year, None where it is not
    compared. `measured` says which kinds have the three clocks, `doubtful` names records whose clock the node knows to
    be off, `waiting` those whose opening is not here yet; `received` says when the node of the desk that answered an
    alert had it, by record, as far as that is known here; `sample` are the stamps that are looked at again, by entry,
    with what was found. `status` is of the alerts that count: an exercise has a
    report of its own. `tallies` are by what is counted.
    """

    table: FigureTable
    duty: Duty
    register: FunctionRegister
    measured: Callable[[str], bool]
    counties: tuple[str, ...]
    period: Period
    base: Period | None = None
    status: str = "Actual"
    alerts: tuple[Alert, ...] = ()
    cases: tuple[Case, ...] = ()
    doubtful: Collection[str] = ()
    waiting: tuple[str, ...] = ()
    received: Mapping[str, datetime] = field(default_factory=dict)
    sample: Mapping[str, Recheck | None] = field(default_factory=dict)
    tallies: Mapping[Counts, tuple[Tally, ...]] = field(default_factory=dict)

    @cached_property
    def duplicates(self) -> frozenset[str]:
        return duplicates_of(self.alerts)

    @cached_property
    def attained(self) -> Mapping[AlertState, Attainment]:
        """Each stage over the alerts of the counties, in this period."""
        return {stage: self.attain(stage, self.period) for stage in STAGES}

    def attained_in(self, stage: AlertState, period: Period) -> Attainment:
        return self.attained[stage] if period == self.period else self.attain(stage, period)

    def attain(self, stage: AlertState, period: Period) -> Attainment:
        """One stage; a duplicate is one wherever the alert lies that it repeats."""
        found = attain(
            self.alerts, stage, period, measured=self.measured, doubtful=self.doubtful, status=self.status
        )  # fmt: skip
        here = {record_of_alert(alert) for alert in self.alerts if self.county_of(alert) in self.counties}
        kept = [at for at, alert in enumerate(found.alerts) if record_of_alert(alert) in here]
        alerts = tuple(found.alerts[at] for at in kept)
        left = {reason: tuple(each for each in records if each in here) for reason, records in found.left_out.items()}
        return replace(
            found, alerts=alerts, times=tuple(found.times[at] for at in kept), left_out=left,
            in_time=sum(alert.attained(stage) is True for alert in alerts),
        )  # fmt: skip

    def transit_of(self, alert: Alert) -> int | None:
        """Milliseconds from T0 until the node of the desk that answered had the alert; None where nobody knows."""
        at = self.received.get(record_of_alert(alert))
        return None if at is None else max(0, _ms(at - alert.dispatched))

    @cached_property
    def places(self) -> Mapping[str, Group]:
        """The narrowest group of each alert, by record."""
        return {record_of_alert(alert): self._place_of(alert) for alert in self.alerts}

    def county_of(self, alert: Alert) -> str:
        """The county of the first division that the alert names."""
        return self.group_of(alert).county

    def group_of(self, alert: Alert) -> Group:
        return self.places[record_of_alert(alert)]

    def _place_of(self, alert: Alert) -> Group:
        place = place_of_alert(alert)
        areas = [self.duty.areas[name] for name in alert.areas if name in self.duty.areas]
        if not areas and (found := self.duty.area_of(place)) is not None:
            areas = [found]
        said = areas_in(alert.first.fields) or tuple(area.id for area in areas)
        remote = alert.rules.is_remote(said, alert.dispatched)
        return Group(
            duty_class=(DutyClass.REMOTE if remote else DutyClass.TOWN).value, county=place[:6],
            area=areas[0].id if areas else NO_AREA, kind=alert.kind,
        )  # fmt: skip

    def raised_in(self, period: Period, *, status: str = "") -> tuple[Alert, ...]:
        """The alerts of the counties that were raised in a period, without linked duplicates."""
        return tuple(
            alert
            for alert in self.alerts
            if alert.status == (status or self.status)
            and period.begin <= alert.dispatched < period.end
            and self.county_of(alert) in self.counties
            and record_of_alert(alert) not in self.duplicates
        )

    def closed_in(self, period: Period) -> tuple[Case, ...]:
        """The cases that were closed in a period, by record; each lies in the county where it was opened."""
        found = {record_of(case): case for case in self.cases if period.begin <= _closed_at(case) < period.end}
        return tuple(case for _, case in sorted(found.items()))

    def is_border(self, area: str) -> bool:
        """True for an area that touches another of the counties: shared with it, or beside one of its areas.

        In a report of one county every other county counts.
        """
        row = self.duty.areas.get(area)
        if row is None:
            return False
        beside = (self.duty.areas[each] for each in row.neighbours if each in self.duty.areas)
        reached = {county for each in (row, *beside) for county in each.county}
        others = set(self.counties) if len(self.counties) > 1 else reached
        return bool((reached & others) - {row.county[0]})


def record_of_alert(alert: Alert) -> str:
    return str(alert.first.record)


def place_of_alert(alert: Alert) -> str:
    """The first division that the alert names."""
    division = alert.said.get("division", ())
    return division[0] if isinstance(division, tuple) and division else alert.first.agency.county


def _closed_at(case: Case) -> datetime:
    closed = case.last("close")
    return _NEVER if closed is None else closed.head.at


_NEVER: Final = datetime.max.replace(tzinfo=UTC)


# ---- what each word of the table counts ---

_Rows = Iterable[Row]


def _raised(counting: Counting, definition: Definition, period: Period) -> _Rows:
    for alert in counting.raised_in(period):
        if not definition.kinds or alert.kind in definition.kinds:
            yield Row(leaf=Leaf(entries=(_raise_of(alert),), hit=True), group=counting.group_of(alert))


def _at_the_border(counting: Counting, definition: Definition, period: Period) -> _Rows:
    return (row for row in _raised(counting, definition, period) if counting.is_border(row.group.area))


def _exercises(counting: Counting, _: Definition, period: Period) -> _Rows:
    for alert in counting.raised_in(period, status="Exercise"):
        yield Row(leaf=Leaf(entries=(_raise_of(alert),), hit=True), group=counting.group_of(alert))


def _attained(counting: Counting, definition: Definition, period: Period) -> _Rows:
    stage = definition.stage or AlertState.ACCEPTED
    found = counting.attained_in(stage, period)
    for alert, time in zip(found.alerts, found.times, strict=True):
        yield Row(leaf=_stage_leaf(alert, stage, time), group=counting.group_of(alert))


def _interval(counting: Counting, definition: Definition, period: Period) -> _Rows:
    """The time from the stage before, where both have their stamps; no limit judges it."""
    stage = definition.stage or AlertState.CONTACTED
    for alert in counting.attained_in(stage, period).alerts:
        stamp, before = alert.stamps.get(stage), alert.stamps.get(STAGES[STAGES.index(stage) - 1])
        if stamp is not None and before is not None:
            took = max(0, _ms(stamp.measured - before.measured))
            leaf = Leaf(entries=(_raise_of(alert), *stamp_of(alert, before.stage), *stamp_of(alert, stage)), ms=took)
            yield Row(leaf=leaf, group=counting.group_of(alert))


def _contact(counting: Counting, definition: Definition, period: Period) -> _Rows:
    stage = definition.stage or AlertState.CONTACTED
    for alert in counting.raised_in(period):
        stamp = alert.stamps.get(stage)
        if alert.kind in definition.kinds and stamp is not None:
            took = stamp.measured - alert.dispatched
            yield Row(leaf=_stage_leaf(alert, stage, took), group=counting.group_of(alert))


def _stage_leaf(alert: Alert, stage: AlertState, time: timedelta | None) -> Leaf:
    stamp, stamped = alert.stamps.get(stage), stamp_of(alert, stage)
    in_time = alert.attained(stage) is True
    marks = (
        (Mark.MISSING, stamp is None),
        (Mark.EXCUSED, not in_time and bool((stamp and stamp.late_reason) or excuse_of(alert, stage))),
        (Mark.ENTERED_LATE, stamp is not None and stamp.made is not None),
    )
    return Leaf(
        entries=(_raise_of(alert), *stamped), hit=in_time, ms=None if time is None else max(0, _ms(time)),
        marks=tuple(mark for mark, holds in marks if holds),
    )  # fmt: skip


def _phone(counting: Counting, _: Definition, period: Period) -> _Rows:
    for alert in counting.raised_in(period):
        for name, head in _acts(alert, "close"):
            leaf = Leaf(entries=(_raise_of(alert), name), hit=head.get("by_phone") == "yes")
            yield Row(leaf=leaf, group=counting.group_of(alert))


def _false(counting: Counting, _: Definition, period: Period) -> _Rows:
    for alert in counting.raised_in(period):
        ends = [*_acts(alert, "cancel"), *_acts(alert, "close")]
        is_false = any(head.get("why") == "false_alarm" or head.get("result") == "no_fault_found" for _, head in ends)
        leaf = Leaf(entries=(_raise_of(alert), *(name for name, _ in ends)), hit=is_false)
        yield Row(leaf=leaf, group=counting.group_of(alert))


def _late_sync(counting: Counting, _: Definition, period: Period) -> _Rows:
    for alert in counting.raised_in(period):
        for stage in STAGES:
            stamp, names = alert.stamps.get(stage), stamp_of(alert, stage)
            if stamp is not None and names:
                yield Row(leaf=Leaf(entries=names, hit=stamp.made is not None), group=counting.group_of(alert))


def _hand_overs(counting: Counting, _: Definition, period: Period) -> _Rows:
    for alert in counting.raised_in(period):
        offered = dict(_acts(alert, "hand_over"))
        for name, head in _acts(alert, "accept_hand_over"):
            offer = str(head.get("about"))
            if offer in offered and name in alert.handed:
                took = alert.named[name].head.at - alert.named[offer].head.at
                leaf = Leaf(entries=(name, offer), hit=True, ms=max(0, _ms(took)))
                yield Row(leaf=leaf, group=counting.group_of(alert))


def _links(counting: Counting, _: Definition, period: Period) -> _Rows:
    for alert in counting.alerts:
        inside = period.begin <= alert.dispatched < period.end and counting.county_of(alert) in counting.counties
        if inside and alert.status == counting.status and record_of_alert(alert) in counting.duplicates:
            links = tuple(name for name, _ in _acts(alert, "link"))
            yield Row(leaf=Leaf(entries=(_raise_of(alert), *links), hit=True), group=counting.group_of(alert))


def _sampled(counting: Counting, _: Definition, period: Period) -> _Rows:
    """The stamps of the sample, by whether another office looked at them again."""
    for stage in STAGES:
        for alert in counting.attained_in(stage, period).alerts:
            for name in stamp_of(alert, stage):
                if name in counting.sample:
                    leaf = Leaf(entries=(name,), hit=counting.sample[name] is not None)
                    yield Row(leaf=leaf, group=counting.group_of(alert))


def _refuted(counting: Counting, definition: Definition, period: Period) -> _Rows:
    """Those that were looked at, by whether something was wrong with them or in doubt."""
    for row in _sampled(counting, definition, period):
        found = counting.sample[row.leaf.name]
        if found is not None:
            yield replace(row, leaf=replace(row.leaf, hit=found.finding is not Finding.CONFIRMED))


def _accepted_cases(counting: Counting, definition: Definition, period: Period) -> _Rows:
    """Disputes by whether they were resolved, of those that were accepted in the period, open ones among them."""
    for case in counting.cases:
        accepted = case.last("accept")
        if case.procedure.name != definition.procedure or accepted is None:
            continue
        if period.begin <= accepted.head.at < period.end:
            names = (accepted.entry.name, *_closing(case))
            yield Row(leaf=Leaf(entries=names, hit=case.outcome in definition.ends), group=_case_group(case))


def _closed(counting: Counting, definition: Definition, period: Period) -> _Rows:
    for case in counting.closed_in(period):
        if definition.procedure in ("", case.procedure.name) and (
            not definition.ends or case.outcome in definition.ends
        ):
            yield Row(leaf=Leaf(entries=_closing(case), hit=True), group=_case_group(case))


def _days(counting: Counting, definition: Definition, period: Period) -> _Rows:
    for case in counting.closed_in(period):
        days = spent_on(case)
        if definition.procedure in ("", case.procedure.name) and days is not None:
            leaf = Leaf(entries=_closing(case), hit=True, ms=max(0, round(days * DAY_MS)))
            yield Row(leaf=leaf, group=_case_group(case))


def _vehicles(counting: Counting, definition: Definition, period: Period) -> _Rows:
    found = [case for case in counting.closed_in(period) if case.procedure.name == definition.procedure]
    closed = {record_of(case): case for case in counting.cases if closed_on(case) is not None}
    items = next((each.entries for each in count_vehicles(found, closed) if each.name == "items"), ())
    of = {name: case for case in found for name in _closing(case)}
    return (Row(leaf=Leaf(entries=(name,), hit=True), group=_case_group(of[name])) for name in items)


_COUNT: Final[Mapping[Counts, Callable[[Counting, Definition, Period], _Rows]]] = {
    Counts.ATTAIN: _attained, Counts.ALERTS: _raised, Counts.BORDER_ALERTS: _at_the_border,
    Counts.EXERCISES: _exercises, Counts.CONTACT: _contact, Counts.PHONE: _phone, Counts.FALSE: _false,
    Counts.LATE_SYNC: _late_sync, Counts.HANDOVERS: _hand_overs, Counts.LINKS: _links,
    Counts.SAMPLED: _sampled, Counts.REFUTED: _refuted, Counts.INTERVAL: _interval,
    Counts.RESOLVED: _accepted_cases, Counts.CLOSED: _closed, Counts.DAYS: _days, Counts.VEHICLES: _vehicles,
}  # fmt: skip
TALLIED: Final = frozenset({Counts.VOLUNTEERS, Counts.PATROLS, Counts.PROBLEMS})
_BY_PLACE: Final = frozenset({Counts.ATTAIN, Counts.ALERTS, Counts.BORDER_ALERTS})
"""Those that are shown by area and by kind besides."""
_BY_CLASS: Final = frozenset({Counts.ATTAIN, Counts.INTERVAL})
_BY_PROCEDURE: Final = frozenset({Counts.CLOSED, Counts.DAYS})


def _acts(alert: Alert, act: str) -> tuple[tuple[str, Mapping[str, object]], ...]:
    """The entries of an act that had effect, with their fields."""
    return tuple((name, done.head.fields) for name, done in alert.named.items() if done.head.act == act)


def _raise_of(alert: Alert) -> str:
    return "" if alert.raised is None else alert.raised.name


def _closing(case: Case) -> tuple[str, ...]:
    closed = case.last("close")
    return () if closed is None else (closed.entry.name,)


def _case_group(case: Case) -> Group:
    opened = case.last("open")
    division = "" if opened is None else str(opened.head.fields.get("division", ""))
    return Group(county=division[:6], kind=case.procedure.name)


def _ms(time: timedelta) -> int:
    return time // timedelta(milliseconds=1)


# ---- the figures of a report ---


def figures_of(counting: Counting, definition: Definition) -> tuple[Figure, ...]:
    """The figures of one definition: of each county, of all of them, and where it is shown so by area and kind.

    Leaves stay with the counties alone: those of all are the same ones. A planned definition has one figure that says
    so; what is delivered or a text has none here.
    """
    what = definition.count
    if definition.planned:
        return (_unsaid(definition, Group(), why="planned"),)
    if definition.source is not Source.OWN or what is None:
        return ()
    if what is Counts.REGISTER:
        named = sum(bool(each.name and each.legal_basis) for each in counting.register.functions.values())
        whole = len(counting.register.functions)
        return (share_figure(definition, Group(), numerator=named, denominator=whole),)
    if what in TALLIED:
        return tuple(_tallied(counting, definition, what))
    rows = list(_in_counties(counting, _COUNT[what](counting, definition, counting.period)))
    base: list[Row] | None = None
    if counting.base is not None and china_day(counting.base.begin) >= definition.since:
        base = list(_in_counties(counting, _COUNT[what](counting, definition, counting.base)))
    now, then, found = _by_group(rows), None if base is None else _by_group(base), []
    classes = sorted({DutyClass.TOWN.value, *(row.group.duty_class for row in rows)})
    beside = _beside(counting, definition) if what is Counts.ATTAIN else None
    for duty_class in classes if what in _BY_CLASS else ("",):
        for group in _groups(counting, definition, [*rows, *(base or ())], duty_class):
            past = None if then is None else then.get(group, ())
            figure = count_figure(definition, group, now.get(group, ()), base=past)
            if not group.county or group.area or group.kind:
                figure = replace(figure, leaves=(), base_leaves=())
            found.append(figure if beside is None else replace(figure, **beside(group)))
    return tuple(found)


def _by_group(rows: Iterable[Row]) -> Mapping[Group, list[Leaf]]:
    """The leaves of every group that a figure may be of."""
    found: dict[Group, list[Leaf]] = {}
    for row in rows:
        for group in _around(row.group):
            found.setdefault(group, []).append(row.leaf)
    return found


def _around(narrow: Group) -> Iterator[Group]:
    """Every group that the narrowest one lies in, itself without area or kind."""
    for duty_class in {narrow.duty_class, ""}:
        for county in {narrow.county, ""}:
            yield Group(duty_class=duty_class, county=county)
            yield Group(duty_class=duty_class, county=county, kind=narrow.kind)
            yield Group(duty_class=duty_class, county=county, area=narrow.area)


def _beside(counting: Counting, definition: Definition) -> Callable[[Group], Mapping[str, int | None]]:
    """Returns the numbers beside a stage by group: those left out for a clock, the way, who kept time then."""
    attained = counting.attained[definition.stage or AlertState.ACCEPTED]
    left = set(attained.left_out.get(LeftOut.CLOCK_DOUBTFUL, ()))
    groups = (counting.group_of(alert) for alert in counting.alerts if record_of_alert(alert) in left)
    doubtful = Counter(each for group in groups for each in _around(group))
    ways: dict[Group, list[Leaf]] = {}
    heap: Counter[Group] = Counter()
    in_time, heaped = attained.in_time_from(counting.received), attained.heaped
    for alert, hit, is_heaped in zip(attained.alerts, in_time, heaped, strict=True):
        way = Leaf(entries=(), hit=hit, ms=counting.transit_of(alert))
        for group in _around(counting.group_of(alert)):
            ways.setdefault(group, []).append(way)
            heap[group] += is_heaped

    def of(group: Group) -> Mapping[str, int | None]:
        found = ways.get(group, [])
        known = [way for way in found if way.ms is not None]
        own = sum(way.hit for way in found) if known else None
        beside = {"doubtful": doubtful[group], "own": own, "heap": heap[group]}
        return {**beside, "transit_ms": percentile(known, 50)}

    return of


def _in_counties(counting: Counting, rows: _Rows) -> _Rows:
    return (row for row in rows if row.group.county in counting.counties)


def _groups(counting: Counting, definition: Definition, rows: Iterable[Row], duty_class: str) -> Iterator[Group]:
    """The whole grid, so that an empty place tells no more than a small one."""
    inside = [row.group for row in rows if duty_class in ("", row.group.duty_class)]
    counties = (*counting.counties, "") if len(counting.counties) > 1 else counting.counties
    kinds = sorted({group.kind for group in inside})
    by_kind = definition.count in _BY_PLACE or (definition.count in _BY_PROCEDURE and not definition.procedure)
    for county in counties:
        yield Group(duty_class=duty_class, county=county)
        if by_kind and (len(kinds) > 1 or definition.count in _BY_PROCEDURE):
            yield from (Group(duty_class=duty_class, county=county, kind=kind) for kind in kinds)
        if county and definition.count in _BY_PLACE:
            areas = sorted({group.area for group in inside if group.county == county})
            yield from (Group(duty_class=duty_class, county=county, area=area) for area in areas)


def _tallied(counting: Counting, definition: Definition, what: Counts) -> Iterator[Figure]:
    """Numbers that offices keep by themselves, by county and in all."""
    found = [each for each in counting.tallies.get(what, ()) if each.county in counting.counties]
    if not found:
        yield _unsaid(definition, Group(), why="none")
        return
    totals = [Tally(county="", part=sum(t.part for t in found), whole=sum(t.whole for t in found))]
    for each in (*found, *(totals if len(counting.counties) > 1 else ())):
        figure = share_figure(definition, Group(county=each.county), numerator=each.part, denominator=each.whole)
        is_count = definition.form is Form.COUNT
        yield replace(figure, denominator=None, value=str(each.part), why="") if is_count else figure


def _unsaid(definition: Definition, group: Group, *, why: str) -> Figure:
    return Figure(
        id=definition.id, version=definition.version, source=definition.source, form=definition.form, group=group,
        why=why,
    )  # fmt: skip
