"""An alert: the fold of its entries. All neighbours see it, one desk holds it, no stamp is lost.

Rules kept: exactly one desk holds an alert, or none. The node that raised it is its arbiter: a claim of another node
waits for the arbiter's receipt, the first of them that is receipted holds, the others are told who does. A claim made
while the arbiter was away (`local`) holds at once; where two such meet, the order of the record says who leads, the
other one helps, and what its people did counts. A holder answers for it until its lease lapses, until it gives it back,
or until another desk has accepted it. The first stamp of a stage counts, later ones stay as notes; T0, status and kind
never change. No clock is read here: the same entries in the same order give every member the same alert.
Source: DESIGN section 5; 公安机关办理行政案件程序规定 articles 61-62 for who acts first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import reduce
from typing import Final

import msgspec

from federation.domain.acts import FieldValue
from federation.domain.alert_acts import ALERT_ACTS, REASON_LENGTH, areas_in
from federation.domain.alert_rules import AlertRules, burning, excuse, remind
from federation.domain.joint import Entry, Head, NoEffect
from federation.domain.joint_state import Done, Grown, GrownMap, stepped
from federation.protocol.form import replace
from federation.protocol.ids import AgencyId, NodeName, parse_time

MAX_ENTRIES: Final = 250
"""The entries with effect of one node's people after which only what ends an alert has some: none fills it up."""
OFFER_TIME: Final = timedelta(seconds=90)
LADDER: Final = (40, 60, 120, 300, 600)
"""Seconds from T0 after which an alert that nobody has claimed is told: own desk again, deputies and neighbours, the
leaders of both counties, the prefecture, the province."""


class AlertState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    CONTACTED = "contacted"
    ARRIVED = "arrived"
    STOP_ASKED = "stop_asked"
    VISITED = "visited"
    SAMPLED = "sampled"
    CONFIRMED = "confirmed"
    FLAME_OUT = "flame_out"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


STAGES: Final = (AlertState.ACCEPTED, AlertState.CONTACTED, AlertState.ARRIVED)


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """A stage, and who reached it: `at`, when the own node took it; `made`, on a device without a link (补录).

    `early` marks the acceptance of a desk that claimed at the same time and helps now.
    """

    stage: AlertState
    desk: str
    officer: str
    at: datetime
    made: datetime | None = None
    device: str = ""
    late_reason: str = ""
    early: bool = False

    @property
    def measured(self) -> datetime:
        return self.at if self.made is None else self.made


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """The desk that answers for the alert, by the claim or acceptance that made it so, until `due`."""

    desk: str
    agency: AgencyId
    by: str
    due: datetime
    local: bool = False


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A hand-over that is open; `until` is not known before the arbiter has it, `accepted` waits for its receipt."""

    name: str
    to: str
    until: datetime | None
    accepted: str = ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    state: AlertState
    by: str
    at: datetime


class Alert(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """An alert as its entries so far have made it; `raised` is None before.

    `content` is the raise or the update that stands. `asked` are claims that wait for the arbiter, `lost` came second.
    `helpers` claimed at the same time, `held` are all desks that ever held it or help, `handed` the hand-overs accepted
    in time. `stamps` are the ones that count, by stage, `later` the others. `receipts` say when the arbiter's node had
    an entry of another. `overdue`, `rungs`, `triggered` and `reminded` are what was told; `links` the other alerts by
    who linked them, `written` how much each node's people wrote, `evidence` why its items are kept.
    """

    rules: AlertRules
    raised: Entry | None = None
    content: Entry | None = None
    hold: Hold | None = None
    offer: Offer | None = None
    asked: tuple[Entry, ...] = ()
    lost: tuple[Entry, ...] = ()
    helpers: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    handed: frozenset[str] = frozenset()
    released: tuple[str, ...] = ()
    skipped: frozenset[str] = frozenset()
    stamps: Mapping[str, Stamp] = msgspec.field(default_factory=dict)
    later: Grown[Stamp] = msgspec.field(default_factory=Grown)
    receipts: GrownMap[str, datetime] = msgspec.field(default_factory=GrownMap)
    overdue: Mapping[str, datetime] = msgspec.field(default_factory=dict)
    rungs: frozenset[int] = frozenset()
    triggered: frozenset[int] = frozenset()
    reminded: datetime | None = None
    links: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
    ended: Ended | None = None
    evidence: str = ""
    written: Mapping[NodeName, int] = msgspec.field(default_factory=dict)
    named: GrownMap[str, Done] = msgspec.field(default_factory=GrownMap)
    without_effect: Grown[tuple[Entry, NoEffect]] = msgspec.field(default_factory=Grown)

    @property
    def first(self) -> Head:
        """The head of the raise: status, kind and T0. Of an alert that was raised only."""
        if self.raised is None:
            raise ValueError("expected an alert that was raised")
        return self.raised.head

    @property
    def dispatched(self) -> datetime:
        """T0: when the node that raised it had it."""
        return self.first.at

    @property
    def status(self) -> str:
        return str(self.first.fields["status"])

    @property
    def kind(self) -> str:
        return str(self.first.fields["kind"])

    @property
    def arbiter(self) -> NodeName:
        return self.first.agency.node

    @property
    def said(self) -> Mapping[str, FieldValue]:
        """The fields of the content that stands."""
        return {} if self.content is None else self.content.head.fields

    @property
    def areas(self) -> tuple[str, ...]:
        return areas_in(self.said)

    @property
    def expires(self) -> datetime:
        return parse_time(str(self.said["expires"]))

    @property
    def stage(self) -> AlertState | None:
        """The furthest stage that has its stamp."""
        return next((stage for stage in reversed(STAGES) if stage in self.stamps), None)

    @property
    def state(self) -> AlertState:
        """The state that a desk sees: an alert that nobody holds is open again, whatever stamps it has."""
        if self.ended is not None:
            return self.ended.state
        return AlertState.OPEN if self.hold is None or self.stage is None else self.stage

    def due(self, stage: str) -> datetime:
        """The last moment at which a stamp of the stage is in time, where the raise said that it lies."""
        return self.dispatched + self.rules.limit(stage, areas_in(self.first.fields), self.dispatched)

    def attained(self, stage: str) -> bool | None:
        """True when a stage was in time; None while it has no stamp."""
        stamp = self.stamps.get(stage)
        return None if stamp is None else stamp.measured <= self.due(stage)

    def linked(self, other: Alert) -> bool:
        """True when each of two alerts was linked to the other."""
        return other.first.record in self.links and self.first.record in other.links


def lease_of(alert: Alert) -> timedelta:
    """Returns how long its holder answers for an alert without a further act."""
    return alert.rules.lease(alert.stage or AlertState.ACCEPTED, alert.areas, alert.dispatched)


def ladder_due(alert: Alert, rung: int) -> datetime | None:
    """The moment at which a rung of the ladder is told of an alert; None for no such rung, and when claimed before."""
    due, accepted = alert.dispatched + timedelta(seconds=rung), alert.stamps.get(AlertState.ACCEPTED)
    is_claimed = accepted is not None and accepted.measured < due
    return due if rung in LADDER and not is_claimed and alert.rules.climbs(alert.kind) else None


def fold(rules: AlertRules, order: Iterable[Entry]) -> Alert:
    """The alert that entries make in their order; none of them can stop it."""
    return reduce(step, order, Alert(rules=rules))


def step(alert: Alert, entry: Entry, barred: str | None = None) -> Alert:
    """The alert after one more entry, without effect where the record says so (`barred`) or the state before it."""
    return stepped(alert, entry, advance(alert, entry) if barred is None else NoEffect(reason=barred))


def advance(alert: Alert, entry: Entry) -> Alert | NoEffect:
    """Takes one entry: the alert after it, or why it is without effect.

    1. An alert is raised once, and after its end only what may come late has effect.
    2. The act is known; its fields and classes of items are its own; what it cites had effect.
    3. Its desk is its agency's; what time brings is written by the arbiter's node, or by the holder's.
    4. The rule of the act itself.
    5. It takes effect; an act of the holder renews its lease.
    """
    head = entry.head
    refused = _not_now(alert, head) or _not_formed(alert, head) or _not_theirs(alert, entry)  # 1, 2, 3
    if refused is not None:
        return refused
    found = _RULES[head.act](alert, entry)  # 4
    if isinstance(found, NoEffect):
        return found
    found = replace(found, named=found.named.plus(entry.name, Done(at=len(found.named), entry=entry)))  # 5
    if head.officer is not None:
        found = replace(found, written={**found.written, entry.author: found.written.get(entry.author, 0) + 1})
    return _renewed(found, entry.name, head, head.at) if _tells_time(found, entry) else found


def _not_now(alert: Alert, head: Head) -> NoEffect | None:
    if (head.act == "raise") != (alert.raised is None):
        return NoEffect(reason="ALERT_NOT_RAISED" if alert.raised is None else "ALERT_RAISED_ALREADY")
    act = ALERT_ACTS.get(head.act)
    if act is None:
        return NoEffect(reason="ALERT_UNKNOWN_ACT")
    if alert.ended is not None and not act.when_closed and head.act != "receipt":
        return NoEffect(reason="ALERT_ENDED")
    is_full = alert.written.get(head.agency.node, 0) >= MAX_ENTRIES
    is_full = is_full and not act.by_node and head.act not in ("close", "cancel")
    return NoEffect(reason="ALERT_FULL") if is_full else None


def _not_formed(alert: Alert, head: Head) -> NoEffect | None:
    wrong = ALERT_ACTS[head.act].fault(head.fields, head.items)
    if wrong is not None:
        return NoEffect(reason="ALERT_FORM", missing=(wrong,))
    about = head.fields.get("about")
    return NoEffect(reason="CITES_NOTHING") if about is not None and about not in alert.named else None


def _not_theirs(alert: Alert, entry: Entry) -> NoEffect | None:
    head = entry.head
    if ALERT_ACTS[head.act].by_node:
        nodes = {alert.arbiter}
        if alert.hold is not None and head.act in ("lapse", "overdue", "escalate", "trigger", "remind"):
            nodes.add(alert.hold.agency.node)
        return None if head.officer is None and entry.author in nodes else NoEffect(reason="ARBITER_ONLY")
    if head.officer is None:
        return NoEffect(reason="OFFICER_MISSING")
    return None if alert.rules.agency_of(_desk(head)) == head.agency else NoEffect(reason="DESK_NOT_OF_AGENCY")


# ---- what each act does ----------------------------------------------------------------------------------------------


def _raise(alert: Alert, entry: Entry) -> Alert | NoEffect:
    if not alert.rules.may_raise(_desk(entry.head), str(entry.head.fields["kind"])):
        return NoEffect(reason="DESK_NOT_FOR_KIND")
    return _saying(replace(alert, raised=entry), entry)


def _update(alert: Alert, entry: Entry) -> Alert | NoEffect:
    if not (_is_raiser(alert, entry.head) or _holds(alert, entry.head)):
        return NoEffect(reason="NOT_RAISER")
    stands = alert.content is not None and entry.head.fields["about"] == alert.content.name
    return _saying(alert, entry) if stands else NoEffect(reason="UPDATE_CONFLICT")


def _saying(alert: Alert, entry: Entry) -> Alert:
    """The alert with the message that stands now; where the kind is timed for it, a box `confirmed` is that stamp."""
    stage, ticked, stamps = AlertState.CONFIRMED, entry.head.fields.get("ticked"), alert.stamps
    if isinstance(ticked, tuple) and stage in ticked and stage in alert.rules.stages(alert.kind):
        stamps = {stage: _stamped(entry.head, stage), **stamps}
    return replace(alert, content=entry, stamps=stamps)


def _cancel(alert: Alert, entry: Entry) -> Alert | NoEffect:
    if not _is_raiser(alert, entry.head):
        return NoEffect(reason="NOT_RAISER")
    return _end(alert, entry, AlertState.CANCELLED)


def _expire(alert: Alert, entry: Entry) -> Alert | NoEffect:
    if alert.hold is not None:
        return NoEffect(reason="STILL_HELD")
    if not _is_due(entry.head, alert.expires):
        return NoEffect(reason="NOT_DUE")
    return _end(alert, entry, AlertState.EXPIRED)


def _claim(alert: Alert, entry: Entry) -> Alert | NoEffect:
    desk, local = _desk(entry.head), entry.head.fields.get("local") == "yes"
    if not alert.rules.may_claim(desk, alert.kind, rungs=alert.rungs, empty=alert.skipped):
        return NoEffect(reason="DEPUTY_NOT_YET" if alert.rules.deputised(desk, alert.kind) else "DESK_NOT_FOR_KIND")
    if alert.hold is not None:
        at_once = (local or _is_unseen(alert.hold, alert)) and _may_help(alert, desk)
        return _helping(alert, entry) if at_once else NoEffect(reason="HELD_BY_OTHER")
    if local or entry.author == alert.arbiter:
        return _held(alert, entry, at=entry.head.at, local=local)
    return replace(alert, asked=(*alert.asked, entry))


def _release(alert: Alert, entry: Entry) -> Alert | NoEffect:
    if not _holds(alert, entry.head):
        return NoEffect(reason="NOT_HOLDER")
    return replace(alert, hold=None, offer=None, released=(*alert.released, _desk(entry.head)))


def _stamp(alert: Alert, entry: Entry) -> Alert | NoEffect:
    head, stage = entry.head, AlertState(str(entry.head.fields["stage"]))
    stamp = _stamped(head, stage)
    if alert.ended is not None and stamp.made is None:
        return NoEffect(reason="ALERT_ENDED")
    if stamp.desk not in alert.held or (not _holds(alert, head) and stamp.made is None and not _helps(alert, head)):
        return NoEffect(reason="NOT_HOLDER")
    if stage in alert.stamps:
        return replace(alert, later=alert.later.plus(stamp))
    before = STAGES[STAGES.index(stage) - 1] if stage in STAGES else AlertState.ACCEPTED
    if stage not in (*STAGES, *alert.rules.stages(alert.kind)):
        return NoEffect(reason="STAMP_NOT_OF_KIND")
    if head.fields.get("late") == "other" and len(str(head.fields.get("reason", "")).strip()) < REASON_LENGTH:
        return NoEffect(reason="LATE_UNSAID")
    if before not in alert.stamps and not (before is AlertState.CONTACTED and "reason" in head.fields):
        return NoEffect(reason="STAMP_OUT_OF_ORDER")
    return replace(alert, stamps={**alert.stamps, stage: stamp})


def _hand_over(alert: Alert, entry: Entry) -> Alert | NoEffect:
    to = str(entry.head.fields["to"])
    if not _holds(alert, entry.head):
        return NoEffect(reason="NOT_HOLDER")
    if to == _desk(entry.head) or not alert.rules.may_hold(to, alert.kind):
        return NoEffect(reason="DESK_NOT_FOR_KIND")
    known = _tells_time(alert, entry)
    return replace(alert, offer=Offer(name=entry.name, to=to, until=entry.head.at + OFFER_TIME if known else None))


def _withdraw(alert: Alert, entry: Entry) -> Alert | NoEffect:
    if not _holds(alert, entry.head):
        return NoEffect(reason="NOT_HOLDER")
    return replace(alert, offer=None) if _open_offer(alert, entry) else NoEffect(reason="HAND_OVER_LAPSED")


def _accept(alert: Alert, entry: Entry) -> Alert | NoEffect:
    offer = _open_offer(alert, entry)
    if offer is None:
        return NoEffect(reason="HAND_OVER_LAPSED")
    if offer.to != _desk(entry.head):
        return NoEffect(reason="NOT_OFFERED")
    if _tells_time(alert, entry):
        return _handed_over(alert, entry, at=entry.head.at)
    return replace(alert, offer=replace(offer, accepted=entry.name))


def _reject(alert: Alert, entry: Entry) -> Alert | NoEffect:
    offer = _open_offer(alert, entry)
    if offer is None:
        return NoEffect(reason="HAND_OVER_LAPSED")
    return replace(alert, offer=None) if offer.to == _desk(entry.head) else NoEffect(reason="NOT_OFFERED")


def _receipt(alert: Alert, entry: Entry) -> Alert | NoEffect:
    """Takes note that the arbiter has an entry: of the claims that wait, the first one holds."""
    about, at = alert.named[str(entry.head.fields["about"])].entry, entry.head.at
    if about.author == alert.arbiter or about.name in alert.receipts:
        return NoEffect(reason="DONE_ALREADY")
    alert = replace(alert, receipts=alert.receipts.plus(about.name, at))
    if alert.ended is not None:
        return alert
    if about in alert.asked:
        return _held(alert, about, at=at, local=False)
    if about in alert.lost and _may_help(alert, _desk(about.head)) and _is_unseen(alert.hold, alert):
        return _helping(replace(alert, lost=tuple(each for each in alert.lost if each.name != about.name)), about)
    offer = alert.offer
    if offer is not None and offer.accepted == about.name:
        found = _handed_over(alert, about, at=at)
        return replace(alert, offer=None) if isinstance(found, NoEffect) else found
    if offer is not None and offer.name == about.name:
        alert = replace(alert, offer=replace(offer, until=at + OFFER_TIME))
    return _renewed(alert, about.name, about.head, at)


def _lapse(alert: Alert, entry: Entry) -> Alert | NoEffect:
    hold = alert.hold
    if hold is None or hold.by != entry.head.fields["about"]:
        return NoEffect(reason="NOT_HOLDER")
    return replace(alert, hold=None, offer=None) if _is_due(entry.head, hold.due) else NoEffect(reason="NOT_DUE")


def _overdue(alert: Alert, entry: Entry) -> Alert | NoEffect:
    stage = str(entry.head.fields["stage"])
    if stage in alert.overdue:
        return NoEffect(reason="DONE_ALREADY")
    is_timed = stage in alert.rules.stages(alert.kind)
    if not is_timed or alert.attained(stage) or not _is_due(entry.head, alert.due(stage)):
        return NoEffect(reason="NOT_DUE")
    return replace(alert, overdue={**alert.overdue, stage: alert.due(stage)})


def _escalate(alert: Alert, entry: Entry) -> Alert | NoEffect:
    rung = int(str(entry.head.fields["rung"]))
    if rung in alert.rungs:
        return NoEffect(reason="DONE_ALREADY")
    if (due := ladder_due(alert, rung)) is None or not _is_due(entry.head, due):
        return NoEffect(reason="NOT_DUE")
    return replace(alert, rungs=alert.rungs | {rung})


def _trigger(alert: Alert, entry: Entry) -> Alert | NoEffect:
    number = int(str(entry.head.fields["number"]))
    if number in alert.triggered:
        return NoEffect(reason="DONE_ALREADY")
    if number not in alert.rules.triggers(alert.kind, alert.said, burning(alert, entry.head.at)):
        return NoEffect(reason="NO_TRIGGER")
    return replace(alert, triggered=alert.triggered | {number})


def _skip(alert: Alert, entry: Entry) -> Alert | NoEffect:
    return replace(alert, skipped=alert.skipped | {_desk(entry.head)})


def _link(alert: Alert, entry: Entry) -> Alert | NoEffect:
    head, other = entry.head, str(entry.head.fields["other"])
    if head.fields["status"] != alert.status:
        return NoEffect(reason="LINK_STATUS")
    if not (_is_raiser(alert, head) or _holds(alert, head)) or other == alert.first.record:
        return NoEffect(reason="NOT_RAISER")
    return replace(alert, links={**alert.links, other: alert.links.get(other, frozenset()) | {_desk(head)}})


def _unlink(alert: Alert, entry: Entry) -> Alert | NoEffect:
    other = str(entry.head.fields["other"])
    if not (_is_raiser(alert, entry.head) or _holds(alert, entry.head)):
        return NoEffect(reason="NOT_RAISER")
    if other not in alert.links:
        return NoEffect(reason="CITES_NOTHING")
    return replace(alert, links={record: who for record, who in alert.links.items() if record != other})


def _keep(alert: Alert, entry: Entry) -> Alert | NoEffect:
    return replace(alert, evidence=entry.name) if _is_raiser(alert, entry.head) else NoEffect(reason="NOT_RAISER")


def _note(alert: Alert, entry: Entry) -> Alert | NoEffect:
    desk = _desk(entry.head)
    is_fitting = alert.rules.may_hold(desk, alert.kind) or alert.rules.deputised(desk, alert.kind)
    return alert if is_fitting or _is_raiser(alert, entry.head) else NoEffect(reason="DESK_NOT_FOR_KIND")


def _close(alert: Alert, entry: Entry) -> Alert | NoEffect:
    said = entry.head.fields
    if alert.ended is not None:
        return NoEffect(reason="ALERT_ENDED")
    if not _holds(alert, entry.head):
        return NoEffect(reason="NOT_HOLDER")
    if AlertState.ARRIVED not in alert.stamps and not (said.get("by_phone") == "yes" and "reason" in said):
        return NoEffect(reason="CLOSE_UNARRIVED")
    return _end(alert, entry, AlertState.CLOSED)


_RULES: Final[Mapping[str, Callable[[Alert, Entry], Alert | NoEffect]]] = {
    "raise": _raise, "update": _update, "cancel": _cancel, "expire": _expire, "claim": _claim, "release": _release,
    "stamp": _stamp, "hand_over": _hand_over, "withdraw_hand_over": _withdraw, "accept_hand_over": _accept,
    "reject_hand_over": _reject, "receipt": _receipt, "lapse": _lapse, "overdue": _overdue, "escalate": _escalate,
    "trigger": _trigger, "skip": _skip, "link": _link, "unlink": _unlink, "note": _note, "close": _close,
    "keep_as_evidence": _keep, "excuse": excuse, "remind": remind,
}  # fmt: skip


# ---- holding ---------------------------------------------------------------------------------------------------------


def _held(alert: Alert, claim: Entry, *, at: datetime, local: bool) -> Alert | NoEffect:
    """The alert held by a claim from the moment `at` of the node that decides; the others that asked are told so."""
    waiting = tuple(each for each in alert.asked if each.name != claim.name)
    if alert.hold is not None:
        return replace(alert, asked=waiting, lost=(*alert.lost, claim))
    alert = replace(alert, asked=(), lost=(*alert.lost, *waiting))
    accepted = _stamped(claim.head, AlertState.ACCEPTED)
    if AlertState.ACCEPTED not in alert.stamps:
        alert = replace(alert, stamps={**alert.stamps, AlertState.ACCEPTED: accepted})
    else:
        alert = replace(alert, later=alert.later.plus(accepted))
    return _given(alert, claim, at=at, local=local)


def _given(alert: Alert, entry: Entry, *, at: datetime, local: bool) -> Alert:
    desk = _desk(entry.head)
    due = at + lease_of(alert)
    hold = Hold(desk=desk, agency=entry.head.agency, by=entry.name, due=due, local=local)
    return replace(alert, hold=hold, offer=None, held=alert.held | {desk}, helpers=alert.helpers - {desk})


def _handed_over(alert: Alert, entry: Entry, *, at: datetime) -> Alert | NoEffect:
    offer = alert.offer
    if offer is None or alert.hold is None or (offer.until is not None and at > offer.until):
        return NoEffect(reason="HAND_OVER_LAPSED")
    given = _given(alert, entry, at=at, local=alert.hold.local)
    return replace(given, handed=given.handed | {entry.name})


def _is_unseen(hold: Hold | None, alert: Alert) -> bool:
    """True while the arbiter's node has not receipted a local claim: who claimed there did so at the same time."""
    return hold is not None and hold.local and hold.by not in alert.receipts


def _may_help(alert: Alert, desk: str) -> bool:
    return alert.hold is not None and desk != alert.hold.desk and desk not in alert.helpers


def _helping(alert: Alert, claim: Entry) -> Alert:
    """A claim made while another desk's was not known: it helps; the earlier acceptance is the one measured."""
    desk, accepted = _desk(claim.head), _stamped(claim.head, AlertState.ACCEPTED)
    first = alert.stamps.get(AlertState.ACCEPTED)
    alert = replace(alert, helpers=alert.helpers | {desk}, held=alert.held | {desk})
    if first is None or accepted.measured >= first.measured:
        return replace(alert, later=alert.later.plus(accepted))
    stamps = {**alert.stamps, AlertState.ACCEPTED: replace(accepted, early=True)}
    return replace(alert, stamps=stamps, later=alert.later.plus(first))


def _stamped(head: Head, stage: AlertState) -> Stamp:
    made = head.fields.get("made")
    return Stamp(
        stage=stage, desk=_desk(head), officer=str(head.officer), at=head.at,
        made=None if made is None else parse_time(str(made)), device=str(head.fields.get("device", "")),
        late_reason=str(head.fields.get("late", "")),
    )  # fmt: skip


def _renewed(alert: Alert, name: str, head: Head, at: datetime) -> Alert:
    """The lease counted anew from an act of the holder, once the node that decides has it; never shortened."""
    hold = alert.hold
    if hold is None or name == hold.by or not _holds(alert, head) or head.act == "hand_over":
        return alert
    return replace(alert, hold=replace(hold, due=max(at + lease_of(alert), hold.due)))


def _tells_time(alert: Alert, entry: Entry) -> bool:
    """True when the time of an entry counts as it stands: the arbiter's own, or the holder's while it is away."""
    if alert.raised is None or entry.head.officer is None:
        return False
    local = alert.hold is not None and alert.hold.local and alert.hold.agency.node == entry.author
    return entry.author == alert.arbiter or local


def _holds(alert: Alert, head: Head) -> bool:
    return alert.hold is not None and alert.hold.desk == head.fields.get("desk")


def _helps(alert: Alert, head: Head) -> bool:
    return head.fields.get("desk") in alert.helpers


def _is_raiser(alert: Alert, head: Head) -> bool:
    """True for the agency that raised the alert, and for the desk of the leader on duty over the one that did."""
    return head.agency == alert.first.agency or alert.rules.is_leader(_desk(head), _desk(alert.first))


def _open_offer(alert: Alert, entry: Entry) -> Offer | None:
    offer = alert.offer
    return offer if offer is not None and offer.name == entry.head.fields["about"] else None


def _is_due(head: Head, due: datetime) -> bool:
    """True when an entry says exactly what was due, no earlier; a lease lapses at once with a desk that is `off`."""
    return "off" in head.fields or (parse_time(str(head.fields["due"])) == due and head.at >= due)


def _end(alert: Alert, entry: Entry, state: AlertState) -> Alert:
    ended = Ended(state=state, by=entry.name, at=entry.head.at)
    return replace(alert, ended=ended, hold=None, offer=None, asked=(), lost=(*alert.lost, *alert.asked))


def _desk(head: Head) -> str:
    return str(head.fields["desk"])
