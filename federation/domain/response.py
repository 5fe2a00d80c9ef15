"""1-3-10: how fast desks accepted, made contact and arrived, counted from alerts; what is not counted, and why.

Rules kept: a time runs from T0, and a stage is in time when it took no longer than its limit, to the millisecond;
nothing pauses it. A stage without a stamp is late once its due time has passed, and stands behind all others in a
percentile. Real alerts only; one that was cancelled before the stage was due, a linked duplicate and one whose clock is
doubtful are left out and listed. Shares of few are counts, and a number of a neighbour below 5 is never printed, nor
what would give it away. Two years are compared only under one definition, and only from 5 on.
Source: alert clocks of `policies/clocks.toml`; the provinces' own rules for small numbers (`official = false` there).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from msgspec import Struct

from federation.domain.alert import STAGES, Alert, AlertState, Stamp
from federation.domain.alert_links import NOWHERE, metres_between, place_of, raised_again, when
from federation.domain.cap import Point

LEAST_SHOWN: Final = 5
"""A number of a neighbour below it is printed as "<5"; percentiles and a base of a year want so many too."""
LEAST_FOR_SHARE: Final = 20
SKEW: Final = timedelta(seconds=60)
HEAP: Final = timedelta(seconds=10)
QUICK: Final = timedelta(seconds=30)
MANY_STAMPS: Final = 3
ELSEWHERE_METRES: Final = 300


class LeftOut(StrEnum):
    """The reason for which an alert is not in a denominator."""

    EXERCISE = "exercise"
    NOT_MEASURED = "not_measured"
    OTHER_PERIOD = "other_period"
    NOT_DUE_YET = "not_due_yet"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"
    CLOCK_DOUBTFUL = "clock_doubtful"


class Period(Struct, frozen=True, kw_only=True):
    """From its first moment up to the first that is not in it; `cut` is the last moment of which the report knows."""

    begin: datetime
    end: datetime
    cut: datetime


class Attainment(Struct, frozen=True, kw_only=True):
    """One stage over some alerts: `in_time` of `alerts`; `times` from T0, None where nobody came."""

    stage: AlertState
    alerts: tuple[Alert, ...]
    in_time: int
    times: tuple[timedelta | None, ...]
    entered_late: int
    excused: int
    left_out: Mapping[LeftOut, tuple[str, ...]]

    @property
    def missing(self) -> int:
        return sum(each is None for each in self.times)

    @property
    def share(self) -> Fraction | None:
        """The part that was in time; None of too few for a share."""
        return Fraction(self.in_time, len(self.alerts)) if len(self.alerts) >= LEAST_FOR_SHARE else None

    def percentile(self, percent: int) -> timedelta | None:
        """The nearest rank; None of fewer than 5, or when so many have no stamp that nobody knows."""
        if len(self.times) < LEAST_SHOWN:
            return None
        known = sorted(each for each in self.times if each is not None)
        rank = -(-percent * len(self.times) // 100)
        return known[rank - 1] if rank <= len(known) else None

    def in_time_from(self, received: Mapping[str, datetime]) -> tuple[bool, ...]:
        """For each alert, True when it was in time counted from when the answering desk's node had it (席位自身).

        `received` are those moments by record; where one is not known T0 counts, as it does in the figure itself.
        """
        late_by = (received.get(str(alert.first.record), alert.dispatched) - alert.dispatched for alert in self.alerts)
        return tuple(
            time is not None and alert.dispatched + time - max(by, timedelta()) <= alert.due(self.stage)
            for alert, time, by in zip(self.alerts, self.times, late_by, strict=True)
        )

    @property
    def heaped(self) -> tuple[bool, ...]:
        """For each alert, True for a stamp in the last ten seconds before the limit."""
        dues = (
            (time, alert.due(self.stage) - alert.dispatched)
            for time, alert in zip(self.times, self.alerts, strict=True)
        )
        return tuple(time is not None and due - HEAP < time <= due for time, due in dues)


def attain(
    alerts: Iterable[Alert], stage: AlertState, period: Period, *, measured: Callable[[str], bool],
    doubtful: Collection[str] = (), status: str = "Actual",
) -> Attainment:  # fmt: skip
    """Counts a stage over alerts that were raised; `measured` says which kinds have the three clocks.

    `doubtful` names records whose clock the node knows to be off, beside those whose entries show it. An exercise is
    counted by itself only: what is not of the `status` is left out.
    """
    everything = tuple(alerts)
    duplicates = duplicates_of(everything)
    counted: list[Alert] = []
    left_out: dict[LeftOut, list[str]] = defaultdict(list)
    for alert in everything:
        record = str(alert.first.record)
        is_off = record in doubtful or is_doubtful(alert)
        reason = _left_out(alert, stage, period, measured, is_duplicate=record in duplicates, is_doubtful=is_off)
        reason = LeftOut.EXERCISE if alert.status != status else reason
        if reason is None:
            counted.append(alert)
        else:
            left_out[reason].append(record)
    stamps = [alert.stamps.get(stage) for alert in counted]
    late = [
        stamp for stamp, alert in zip(stamps, counted, strict=True) if stamp is not None and not alert.attained(stage)
    ]
    return Attainment(
        stage=stage,
        alerts=tuple(counted),
        in_time=sum(alert.attained(stage) is True for alert in counted),
        times=tuple(
            None if stamp is None else stamp.measured - alert.dispatched
            for stamp, alert in zip(stamps, counted, strict=True)
        ),
        entered_late=sum(stamp is not None and stamp.made is not None for stamp in stamps),
        excused=sum(bool(stamp.late_reason) for stamp in late),
        left_out={reason: tuple(records) for reason, records in left_out.items()},
    )


def _left_out(
    alert: Alert, stage: AlertState, period: Period, measured: Callable[[str], bool], *, is_duplicate: bool,
    is_doubtful: bool,
) -> LeftOut | None:  # fmt: skip
    due = alert.due(stage)
    ended = alert.ended
    cancelled = ended is not None and ended.state is AlertState.CANCELLED and ended.at < due
    found = (
        (LeftOut.NOT_MEASURED, not measured(alert.kind)),
        (LeftOut.OTHER_PERIOD, not period.begin <= alert.dispatched < period.end),
        (LeftOut.CANCELLED, cancelled),
        (LeftOut.NOT_DUE_YET, due >= period.cut),
        (LeftOut.DUPLICATE, is_duplicate),
        (LeftOut.CLOCK_DOUBTFUL, is_doubtful),
    )
    return next((reason for reason, holds in found if holds), None)


def duplicates_of(alerts: Sequence[Alert]) -> frozenset[str]:
    """The records that are linked, each from both sides, to one that was raised before them."""
    by_record = {str(alert.first.record): alert for alert in alerts}
    found = set[str]()
    for record, alert in by_record.items():
        others = (by_record[each] for each in alert.links if each in by_record)
        earlier = (other for other in others if when(other) < when(alert))
        if any(alert.linked(other) for other in earlier):
            found.add(record)
    return frozenset(found)


def is_doubtful(alert: Alert) -> bool:
    """True when an entry was made a minute after the arbiter had it, or a stage reached before T0 or the acceptance."""
    accepted = alert.stamps.get(AlertState.ACCEPTED)
    least = alert.dispatched if accepted is None else max(alert.dispatched, accepted.measured)
    is_ahead = any(alert.named[name].head.at - at > SKEW for name, at in alert.receipts.items())
    first = {AlertState.CONFIRMED: alert.dispatched}  # a box that is ticked confirms before anybody claims
    return is_ahead or any(stamp.measured < first.get(stamp.stage, least) for stamp in alert.stamps.values())


# ---- what is looked at by a person -----------------------------------------------------------------------------------


class Flag(StrEnum):
    """Something that a figure may hide: each is listed for a person to look at, and changes no figure."""

    ARRIVED_AT_ONCE = "arrived_at_once"
    ARRIVED_ELSEWHERE = "arrived_elsewhere"
    MANY_STAMPS = "many_stamps"
    CLAIM_ALONE = "claim_alone"
    CLOSED_UNSTAMPED = "closed_unstamped"
    RAISED_AGAIN = "raised_again"
    LATE_WITHOUT_REASON = "late_without_reason"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, order=True)
class Flagged:
    flag: Flag
    records: tuple[str, ...]
    officer: str = field(default="")


def flags(alerts: Iterable[Alert], points: Mapping[str, Point] = NOWHERE) -> tuple[Flagged, ...]:
    """Lists what in these alerts may not be as the stamps say, by kind and record.

    `points` are the places of entries by name, as far as they are known here; of a doubtful clock no time is judged.
    """
    everything = [alert for alert in alerts if alert.status == "Actual"]
    timed = [alert for alert in everything if not is_doubtful(alert)]
    again = (Flagged(Flag.RAISED_AGAIN, (one.first.record, two.first.record)) for one, two in raised_again(everything))
    found = (
        *(each for alert in timed for each in _time_flags(alert)),
        *(each for alert in everything for each in _flags_of(alert, points)),
    )
    return tuple(sorted((*found, *_bulk(everything), *again)))


def _time_flags(alert: Alert) -> Iterable[Flagged]:
    records, stamps = (str(alert.first.record),), alert.stamps
    accepted, arrived = (stamps.get(stage) for stage in (AlertState.ACCEPTED, AlertState.ARRIVED))
    if accepted is not None and arrived is not None and arrived.measured - accepted.measured < QUICK:
        yield Flagged(Flag.ARRIVED_AT_ONCE, records, arrived.officer)
    for stage in STAGES[1:]:
        stamp = stamps.get(stage)
        if stamp is not None and not alert.attained(stage) and not stamp.late_reason:
            yield Flagged(Flag.LATE_WITHOUT_REASON, records, stamp.officer)


def _flags_of(alert: Alert, points: Mapping[str, Point]) -> Iterable[Flagged]:
    records, accepted = (str(alert.first.record),), alert.stamps.get(AlertState.ACCEPTED)
    acts = {done.head.act for done in alert.named.values()}
    ended = alert.ended
    if ended is not None and ended.state is AlertState.CLOSED and not alert.stamps.keys() & STAGES[1:]:
        yield Flagged(Flag.CLOSED_UNSTAMPED, records, str(alert.named[ended.by].head.officer))
    if accepted is not None and not acts & {"stamp", "close", "release", "hand_over", "cancel"}:
        yield Flagged(Flag.CLAIM_ALONE, records, accepted.officer)
    place = place_of(alert, points)
    for name, done in alert.named.items():
        is_arrival = done.head.act == "stamp" and done.head.fields["stage"] == AlertState.ARRIVED
        if place and is_arrival and name in points and metres_between(place, points[name]) > ELSEWHERE_METRES:
            yield Flagged(Flag.ARRIVED_ELSEWHERE, records, str(done.head.officer))
    if alert.helpers:
        yield Flagged(Flag.CONFLICT, records)


def _bulk(alerts: Iterable[Alert]) -> Iterable[Flagged]:
    """Officers with more stamps within ten seconds than one can make."""
    made: dict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for alert in alerts:
        for stamp in _all_stamps(alert):
            made[stamp.desk, stamp.officer].append((stamp.at, str(alert.first.record)))
    for (_, officer), found in sorted(made.items()):
        found.sort()
        bulk = {
            record
            for at, _ in found
            if sum(at <= other < at + HEAP for other, _ in found) > MANY_STAMPS
            for other, record in found
            if at <= other < at + HEAP
        }
        if bulk:
            yield Flagged(Flag.MANY_STAMPS, tuple(sorted(bulk)), officer)


def _all_stamps(alert: Alert) -> tuple[Stamp, ...]:
    return (*alert.stamps.values(), *alert.later)


# ---- what is printed ------------------------------------------------------------------------------------------------


class Hidden(StrEnum):
    """The reason for which a number is not printed: it is below 5, or it would tell the one that is."""

    SMALL = "small"
    BESIDE = "beside"


class NoComparison(StrEnum):
    OTHER_DEFINITION = "other_definition"
    BASE_ZERO = "base_zero"
    BASE_SMALL = "base_small"


def year_on_year(now: int, before: int, *, same_definition: bool) -> Decimal | NoComparison:
    """The change in percent, one decimal, half to even; or why two years are not compared."""
    if not same_definition:
        return NoComparison.OTHER_DEFINITION
    if before < LEAST_SHOWN:
        return NoComparison.BASE_SMALL if before else NoComparison.BASE_ZERO
    return (Decimal(now - before) * 100 / Decimal(before)).quantize(Decimal("0.1"), rounding=ROUND_HALF_EVEN)
