"""Alerts in the lists and feeds of this node's offices: one row for each office that is told, heads only.

Exercises have a feed of their own, so that no stream of real alerts can carry one. Source: `alert_told` for whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import ClassVar, Final

from federation.domain.alert import STAGES, Alert, AlertState
from federation.domain.alert_acts import areas_in
from federation.domain.alert_due import next_due
from federation.domain.alert_kinds import is_level_issued
from federation.domain.alert_line import AlertLine, StageLine
from federation.domain.alert_rules import MEASURE_CLOCKS, AgreedAlerts
from federation.domain.alert_told import offices_of, told_of
from federation.domain.cap import Status
from federation.domain.division import province_of
from federation.domain.duty import DutyClass
from federation.domain.duty_roster import OpenAlert
from federation.domain.response import is_doubtful
from federation.domain.retention import PROVISION
from federation.node.feed import Feed
from federation.node.joint.records import Moment, StoredRecord
from federation.node.node import Node
from federation.protocol.form import Item, decode, encode
from federation.protocol.ids import AgencyId, RecordId
from federation.store.collection import item_collection
from federation.store.database import Source
from federation.store.exchange_log import GroupTransaction
from federation.store.records import Record

TIMED: Final = (*STAGES, *MEASURE_CLOCKS)
"""Every stage that has a time in some kind, in the order in which they are shown."""
ENDED: Final = frozenset({AlertState.CLOSED, AlertState.CANCELLED, AlertState.EXPIRED})


class AlertChange(Item, frozen=True, kw_only=True):
    """That an alert changed by an act, with what it is followed by: the offices, desks and areas that it concerns."""

    WHAT: ClassVar[str] = "alert change"

    record: RecordId
    act: str
    offices: tuple[AgencyId, ...]
    desks: tuple[str, ...]
    areas: tuple[str, ...]


class AlertName(Item, frozen=True, kw_only=True):
    """The identifier of a message of an alert: `name` is its entry by `author`, empty while it is only reserved."""

    WHAT: ClassVar[str] = "name of an alert"

    cap_id: str
    record: str
    name: str = ""
    author: str = ""


ALERTS: Final = item_collection(
    AlertLine, kind="alert", id=lambda line: f"{line.office}/{line.record}", replica=True,
    version=lambda line: line.step, kept_under=PROVISION,
    division=lambda line: f"{line.office}/{line.status.value}/{'ended' if line.state in ENDED else 'open'}",
)  # fmt: skip
"""By office, in the order in which they were raised."""
CHANGES: Final = Feed(kind="alert-change", series="alerts", read=partial(decode, AlertChange))
"""By status: real alerts, exercises, tests."""
NAMES: Final = item_collection(
    AlertName, kind="alert-name", id=lambda found: f"{found.cap_id}/{found.name}", replica=True, kept_under=PROVISION,
    subject=lambda found: found.cap_id,
)  # fmt: skip


def alert_rows(
    node: Node, transaction: GroupTransaction, now: Moment[Alert], *, row: StoredRecord, step: int
) -> Iterator[Record]:
    """The lines of our offices, and the news of the act that came since they were written (`row`)."""
    if now.state is None or now.state.raised is None:
        return
    lines = tuple(alert_lines(node, now, step=step))
    for line in lines:
        yield ALERTS.record(line, owner=node.name)
    if row.shown != row.entries and lines:
        change = AlertChange(
            record=now.id, act=now.act, offices=tuple(line.office for line in lines),
            desks=tuple(dict.fromkeys(desk for line in lines for desk in line.desks)), areas=lines[0].areas,
        )  # fmt: skip
        yield CHANGES.next(
            transaction, now.state.status, encode(change), owner=node.name, kept_under=PROVISION
        )  # fmt: skip


def alert_lines(node: Node, now: Moment[Alert], *, step: int) -> Iterator[AlertLine]:
    """One line for each office of ours that is told of an alert that was raised."""
    alert = now.state
    if alert is None or alert.raised is None or not isinstance(alert.rules, AgreedAlerts):
        return
    who = told_of(alert)
    rings = tuple(desk for desk in who.ringing(alert) if _is_here(node, alert, desk))
    for office, desks in sorted(offices_of(alert, who.desks).items(), key=lambda each: str(each[0])):
        if office.node == node.name:
            yield _line(now, alert, mine=(office, desks), rings=rings, step=step)


def _is_here(node: Node, alert: Alert, desk: str) -> bool:
    agency = alert.rules.agency_of(desk)
    return agency is not None and agency.node == node.name


def _line(
    now: Moment[Alert], alert: Alert, *, mine: tuple[AgencyId, frozenset[str]], rings: tuple[str, ...], step: int
) -> AlertLine:
    """The line of an office with its desks (`mine`), of an alert by agreed rules."""
    rules, (office, desks) = alert.rules, mine
    if not isinstance(rules, AgreedAlerts):
        raise TypeError(rules)
    said, hold, offer, kind = alert.said, alert.hold, alert.offer, rules.table.kinds.get(alert.kind)
    purpose, function = rules.why(alert.kind)
    areas = [rules.duty.areas.get(area) for area in alert.areas]
    remote = rules.is_remote(areas_in(alert.first.fields), alert.dispatched)
    return AlertLine(
        record=now.id, office=office, step=step, cap_id=str(said.get("cap_id", "")), status=Status(alert.status),
        kind=alert.kind, zh=kind.zh if kind else alert.kind, en=kind.en if kind else alert.kind, purpose=purpose,
        function=function, priority=str(said.get("priority", "")), level=str(said.get("level", "")),
        issued=kind is not None and is_level_issued(rules.table, kind, said), areas=alert.areas,
        area_names=tuple(
            name if area is None else area.name or name for name, area in zip(alert.areas, areas, strict=True)
        ),
        divisions=_texts(said.get("division", ())), state=alert.state, raised_by=str(alert.first.fields["desk"]),
        raised=alert.dispatched, arbiter=alert.arbiter, expires=alert.expires, changed=now.changed or alert.dispatched,
        holder="" if hold is None else hold.desk, local=hold is not None and hold.local,
        lease=None if hold is None else hold.due, helpers=tuple(sorted(alert.helpers)),
        offer_to="" if offer is None else offer.to, offer_until=None if offer is None else offer.until,
        desks=tuple(sorted(desks)), rings=rings, rung=max(alert.rungs, default=0),
        stages=tuple(_stage(alert, AlertState(each)) for each in TIMED if each in rules.stages(alert.kind)),
        clock_doubtful=is_doubtful(alert), skew_seconds=_skew_seconds(alert), links=len(alert.links),
        waiting=now.waiting,
        measured=kind is not None and kind.measured and alert.status == Status.ACTUAL.value,
        duty_class=(DutyClass.REMOTE if remote else DutyClass.TOWN).value,
    )  # fmt: skip


def _stage(alert: Alert, stage: AlertState) -> StageLine:
    stamp, due = alert.stamps.get(stage), alert.due(stage)
    if stamp is None:
        return StageLine(stage=stage, due=due, late=stage in alert.overdue)
    return StageLine(
        stage=stage, due=due, at=stamp.measured, late=stamp.measured > due, made=stamp.made is not None,
        officer=stamp.officer, desk=stamp.desk, late_reason=stamp.late_reason,
    )  # fmt: skip


def _skew_seconds(alert: Alert) -> int:
    """By how many seconds at most an entry of another node was made after the arbiter had it."""
    ahead = (alert.named[name].head.at - at for name, at in alert.receipts.items() if name in alert.named)
    return max(0, int(max((each.total_seconds() for each in ahead), default=0)))


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def alert_look(node: Node, alert: Alert, *, is_away: bool) -> datetime | None:
    """The moment at which a duty looks at an alert next, since time brings an entry of ours then; None for never."""
    return None if alert.ended is not None else next_due(alert, node=node.name, arbiter_away=is_away)


def each_open(source: Source, office: AgencyId, *, status: Status = Status.ACTUAL) -> Iterator[AlertLine]:
    """The alerts of an office that have not ended, as they were raised."""
    return ALERTS.each_in(source, f"{office}/{status.value}/open")


def open_alerts_of(source: Source, office: AgencyId, desk: str) -> tuple[OpenAlert, ...]:
    """The open alerts of a desk, the most urgent first, as a shift hands them over."""
    lines = [line for line in each_open(source, office) if desk in line.desks]
    return tuple(
        OpenAlert(
            record=line.record, cap_id=line.cap_id, kind=line.kind, state=line.state.value, holder=line.holder,
            lease=line.lease, overdue=tuple(each.stage.value for each in line.stages if each.late and each.at is None),
        )
        for line in sorted(lines, key=_urgency)
    )  # fmt: skip


def _urgency(line: AlertLine) -> tuple[bool, datetime]:
    waiting = [each.due for each in line.stages if each.at is None]
    return (not any(each.late and each.at is None for each in line.stages), min(waiting, default=line.expires))


def record_of(source: Source, name: str) -> RecordId | None:
    """The record of an alert by the identifier of any of its messages; None for a strange one."""
    # a name begins with the division of its desk: whoever else wrote it names nothing
    found = [each for each in NAMES.by_subject(source, name) if each.name and each.author == province_of(name)]
    return RecordId(found[0].record) if found else None
