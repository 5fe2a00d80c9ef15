"""Those who are told of an alert: the steps of its ladder by the duty sheets that it pins, the provinces that share it.

Rules kept: neighbours see an alert silently from T0; whoever was told once is told on, also when a later message names
other places; a desk over the line is told only where the kind tells neighbours, and what else it asks for holds, also
where the place itself lies there: what a sensor saw stays at home until a person confirmed it. What the agreed tables
cannot place (no desk of the county has the kind) rings nobody beside the desk that raised it.
Source: `duty`, `policies/alerts.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from federation.domain.acts import FieldValue
from federation.domain.alert import Alert, AlertState
from federation.domain.alert_kinds import Notified, When
from federation.domain.alert_rules import AgreedAlerts
from federation.domain.duty import Ring, Scene, is_notified, ladder
from federation.domain.joint import Head
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import AgencyId, NodeName

SHARED_PLACE: Final = frozenset({When.BOTH_SIDES, When.ON_THE_LINE, When.WITHIN_3_KM})
"""What holds of itself in an area of several counties."""
PLACE_OVER: Final = SHARED_PLACE | {When.MOVES_OVER, When.COUNTY_OF_VICTIM}
"""What holds of itself for a county where the place lies while another one raised the alert."""
_HIGH: Final = frozenset({"orange", "red"})


class Told(Struct, frozen=True, kw_only=True):
    """The steps of the ladder by seconds from T0; all desks and leaders' posts that ring at any of them, or see it."""

    steps: tuple[Ring, ...]
    desks: frozenset[str]

    def ringing(self, alert: Alert) -> tuple[str, ...]:
        """Returns the desks that ring now, in order: none once somebody holds it, or it has ended.

        Where all that could hold it have nobody on, the next step rings at once.
        """
        if alert.state is not AlertState.OPEN:
            return ()
        found: dict[str, None] = {}
        may_claim = alert.rules.may_claim
        for step in sorted(self.steps, key=lambda step: step.after_seconds not in (0, *alert.rungs)):
            is_reached = step.after_seconds in (0, *alert.rungs)
            if not is_reached and any(
                may_claim(desk, alert.kind, rungs=alert.rungs, empty=alert.skipped) for desk in found
            ):
                break
            found |= dict.fromkeys(desk for desk in step.rings if desk not in alert.skipped)
        released = set(alert.released)
        return (*(desk for desk in found if desk not in released), *(desk for desk in found if desk in released))


def told_of(alert: Alert) -> Told:
    """Returns who is told of an alert that was raised, by the agreed rules that it pins.

    It is kept with the state of which it was found, since policy, sharing, clocks and lists all ask for it in one act.
    """
    kept: dict[str, Told] = alert.__dict__
    if _TOLD not in kept:
        kept[_TOLD] = _ladders_of(alert)
    return kept[_TOLD]


_TOLD: Final = "told"


def _ladders_of(alert: Alert) -> Told:
    rules = alert.rules
    if alert.raised is None or not isinstance(rules, AgreedAlerts):
        return Told(steps=(), desks=frozenset())
    desks = {str(alert.first.fields["desk"]), *alert.held}
    if alert.offer is not None:
        desks.add(alert.offer.to)
    steps: list[Ring] = []
    for said in _contents(alert):  # the newest comes last: its steps are the ladder's
        steps = list(_steps(alert, rules, said))
        desks |= {desk for step in steps for desk in (*step.rings, *step.sees) if rules.agency_of(desk) is not None}
    return Told(steps=tuple(steps), desks=frozenset(desks))


def offices_of(alert: Alert, desks: frozenset[str]) -> Mapping[AgencyId, frozenset[str]]:
    """Returns the offices of these desks and posts, each with its own."""
    found: dict[AgencyId, set[str]] = {}
    for desk in desks:
        agency = alert.rules.agency_of(desk)
        if agency is not None:
            found.setdefault(agency, set()).add(desk)
    return {agency: frozenset(own) for agency, own in found.items()}


def provinces_of(alert: Alert, desks: frozenset[str]) -> frozenset[NodeName]:
    """Returns the provinces of these desks, and those whose entries have effect: they share the record."""
    authors = {done.entry.author for done in alert.named.values()}
    return frozenset(agency.node for agency in offices_of(alert, desks)) | authors


def _contents(alert: Alert) -> Iterator[Mapping[str, FieldValue]]:
    """Yields the fields of each message: what a person confirmed, and what came after it, says that it is confirmed.

    One that was replaced before stays unconfirmed, with its places.
    """
    heads = [done.head for done in alert.named.values()]
    messages = [at for at, head in enumerate(heads) if head.act in ("raise", "update")]
    confirmed = next((at for at, head in enumerate(heads) if _confirms(head)), len(heads))
    for at, replaced in zip(messages, (*messages[1:], len(heads)), strict=True):
        said = heads[at].fields
        ticks = (*_list(said, "ticked"), When.CONFIRMED.value)
        yield {**said, "ticked": ticks} if confirmed < replaced else said


def _confirms(head: Head) -> bool:
    is_stamp = head.act == "stamp" and head.fields["stage"] == When.CONFIRMED
    return is_stamp or When.CONFIRMED in _list(head.fields, "ticked")


def _steps(alert: Alert, rules: AgreedAlerts, said: Mapping[str, FieldValue]) -> Iterator[Ring]:
    """The ladder of one message: of each of its areas, step by step, or of the county where its place lies in none."""
    kind = rules.table.kinds.get(alert.kind)
    if kind is None:
        return
    priority = rules.table.priorities.get(str(said.get("priority", "")))
    home, areas, divisions = alert.first.agency.county, _list(said, "area"), _list(said, "division")
    ladders = []
    for area in areas or ("",):
        row = rules.duty.areas.get(area)
        holds = _holds(alert, said) | (SHARED_PLACE if row is not None and len(row.county) > 1 else frozenset())
        counties = dict.fromkeys([home, *(place[:6] for place in divisions if place[:6] != home)])
        for county in counties:
            here = holds if county == home else holds | PLACE_OVER
            scene = Scene(county=county, area=area, at=alert.dispatched, holds=here)
            if county != home and not is_notified(kind, Notified.NEIGHBOUR, scene):
                continue
            try:
                ladders.append(ladder(rules.duty, kind, scene, priority=priority))
            except NotFoundError:
                continue
            if county != home:  # the other side's desks see it, and ring with the neighbours
                ladders[-1] = tuple(_as_neighbour(step) for step in ladders[-1])
    for steps in zip(*ladders, strict=True):
        first = steps[0]
        rings = dict.fromkeys(desk for step in steps for desk in step.rings)
        sees = dict.fromkeys(desk for step in steps for desk in step.sees if desk not in rings)
        yield Ring(rung=first.rung, after_seconds=first.after_seconds, rings=tuple(rings), sees=tuple(sees))


def _as_neighbour(step: Ring) -> Ring:
    """The step of a county where the place lies while another one raised it: silent until the neighbours ring."""
    silent = step.after_seconds < _NEIGHBOURS_AFTER
    rings = () if silent else step.rings
    return Ring(rung=step.rung, after_seconds=step.after_seconds, rings=rings, sees=(*step.rings, *step.sees))


_NEIGHBOURS_AFTER: Final = 60


def _holds(alert: Alert, said: Mapping[str, FieldValue]) -> frozenset[When]:
    """The conditions that a message ticks, and those that follow from its level or from what was triggered."""
    known = {each.value: each for each in When}
    found = {known[word] for word in _list(said, "ticked") if word in known}
    if said.get("level") in _HIGH:
        found.add(When.ORANGE_OR_ABOVE)
    if alert.triggered:
        found.add(When.TRIGGER)
    return frozenset(found)


def _list(said: Mapping[str, FieldValue], name: str) -> tuple[str, ...]:
    found = said.get(name, ())
    return found if isinstance(found, tuple) else ()
