"""A stage that was late for a cause: the leader over the desk says so, and it stays late.

Rules kept: nothing pauses a clock; danger at the scene, and a caller who is not to be found, are causes; who leads the
desk says it once of a stage, and nobody of another desk's. Source: the provinces' own rule (`official = false`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.domain.joint import Entry, Head, NoEffect

if TYPE_CHECKING:
    from federation.domain.alert import Alert


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
