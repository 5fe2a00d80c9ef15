"""Duties of time of an alert: what its nodes write by themselves, and from when on.

Rules kept: the arbiter's node writes them, the holder's node while the arbiter is away; each only if the fold gives it
effect, so that neither writes twice what both saw. Claims that wait are receipted before anything lapses or expires,
and a holder who acted while the arbiter was away is not taken for one who fell silent. No clock is read here.
Source: DESIGN section 5, `alert` for what each act does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from federation.domain.acts import FieldValue
from federation.domain.alert import LADDER, Alert, advance, ladder_due, lease_of
from federation.domain.alert_rules import burning, update_due
from federation.domain.joint import Entry
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, format_time

Off: TypeAlias = Mapping[str, int]
NOBODY: Final[Off] = {}


class _Due(NamedTuple):
    """An act of a node, and the moment from which on it is due; what is due already stands at T0."""

    since: datetime
    act: str
    fields: dict[str, FieldValue]


def each_due(
    alert: Alert, *, node: NodeName, now: datetime, arbiter_away: bool = False, off: Off = NOBODY
) -> Iterator[tuple[str, dict[str, FieldValue]]]:
    """The acts with their fields that a node writes now, in the order in which all of them have effect.

    `off`: the desks that the sheets in force have no more, each with the version of that agreement.
    """
    if not _may_write(alert, node, arbiter_away=arbiter_away):
        return
    for ahead in _ahead(alert, off):
        for due in ahead(alert):
            found = _advanced(alert, due, node, now) if due.since <= now else None
            if found is not None:
                yield due.act, due.fields
                alert = found


def next_due(alert: Alert, *, node: NodeName, arbiter_away: bool = False) -> datetime | None:
    """The first moment at which `each_due` has something for a node, a past one when it has already; None for never."""
    if not _may_write(alert, node, arbiter_away=arbiter_away):
        return None
    coming = sorted((due for ahead in _ahead(alert, NOBODY) for due in ahead(alert)), key=lambda due: due.since)
    return next((due.since for due in coming if _advanced(alert, due, node, due.since) is not None), None)


def _ahead(alert: Alert, off: Off) -> tuple[_Ahead, ...]:
    return (_receipts, partial(_gone, off), *_AHEAD) if alert.ended is None else (_receipts,)


def _may_write(alert: Alert, node: NodeName, *, arbiter_away: bool) -> bool:
    return alert.raised is not None and (node == alert.arbiter or arbiter_away)


def _advanced(alert: Alert, due: _Due, node: NodeName, at: datetime) -> Alert | None:
    """The alert after an act of a node, wherever in the record it will stand; None where it would be without effect."""
    head = replace(alert.first, at=at, officer=None, act=due.act, fields=due.fields, items=())
    found = advance(alert, Entry(name=f"{due.act} {sorted(due.fields.items())}", author=node, head=head))
    return found if isinstance(found, Alert) else None


def _receipts(alert: Alert) -> Iterator[_Due]:
    for entry in _unreceipted(alert):
        yield _Due(alert.dispatched, "receipt", {"about": entry.name})


def _gone(off: Off, alert: Alert) -> Iterator[_Due]:
    """A desk that is on no sheet any more answers for nothing: its lease ends, its stamps stay."""
    hold = alert.hold
    if hold is not None and hold.desk in off:
        fields: dict[str, FieldValue] = {"about": hold.by, "due": format_time(hold.due), "off": off[hold.desk]}
        yield _Due(alert.dispatched, "lapse", fields)


def _escalations(alert: Alert) -> Iterator[_Due]:
    for rung in sorted(set(LADDER) - alert.rungs):
        if (due := ladder_due(alert, rung)) is not None:
            yield _Due(due, "escalate", {"rung": rung, "due": format_time(due)})


def _overdue(alert: Alert) -> Iterator[_Due]:
    for stage in sorted(alert.rules.stages(alert.kind), key=alert.due):
        if stage not in alert.overdue and not alert.attained(stage):
            due = alert.due(stage)
            yield _Due(due, "overdue", {"stage": stage, "due": format_time(due)})


def _triggers(alert: Alert) -> Iterator[_Due]:
    seen = set(alert.triggered)
    for age in alert.rules.trigger_ages(alert.kind):
        since = alert.dispatched + age
        for number in sorted(alert.rules.triggers(alert.kind, alert.said, burning(alert, since)) - seen):
            seen.add(number)
            yield _Due(since, "trigger", {"number": number})


def _lapse(alert: Alert) -> Iterator[_Due]:
    hold = alert.hold
    if hold is None:
        return
    lease = lease_of(alert)
    acts = [entry.head for entry in _unreceipted(alert) if entry.head.fields.get("desk") == hold.desk]
    since = max([hold.due, *(head.at + lease for head in acts if head.act != "hand_over")])
    yield _Due(since, "lapse", {"about": hold.by, "due": format_time(hold.due)})


def _unreceipted(alert: Alert) -> Iterator[Entry]:
    """The acts of people at other nodes of which the arbiter has not said that it has them."""
    for name, done in alert.named.items():
        if done.entry.author != alert.arbiter and done.head.officer is not None and name not in alert.receipts:
            yield done.entry


def _expiry(alert: Alert) -> Iterator[_Due]:
    yield _Due(alert.expires, "expire", {"due": format_time(alert.expires)})


def _reminders(alert: Alert) -> Iterator[_Due]:
    if (due := update_due(alert)) is not None:
        yield _Due(due, "remind", {"due": format_time(due)})


_Ahead: TypeAlias = Callable[[Alert], Iterator[_Due]]
_AHEAD: Final[tuple[_Ahead, ...]] = (_escalations, _overdue, _triggers, _lapse, _expiry, _reminders)
"""In the order in which none takes from a later one the node's right to write it: a lapse ends the holder's.
Reminders come last: nobody is reminded of what has ended."""
