"""The questions about alerts that policy is asked, built from what the fold of an alert and its duty sheets say.

Rules kept: no question names an alert, a desk, a person or an officer, so equal acts are equal questions; an exercise
is judged as a real alert. A desk is measured by the kinds that its sheet has, and as a deputy by those of the desks
that it stands in for: when it is its turn the fold says. What crosses of an item is what its kind
names in `alerts.toml`: who somebody is, and a picture, only where the family agreed and while the alert is open; no
document of an exercise; a plate goes to police alone.
The answers are in `policies/alerts.cedar`, the vocabulary in `policies/schema.cedarschema`; both change together.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import ClassVar, Final

from federation.domain.alert import Alert
from federation.domain.alert_kinds import AlertKind
from federation.domain.cap import Status
from federation.domain.joint import Head
from federation.domain.permits_policy import AgencyFacts, Occasion, ask
from federation.protocol.form import Item, always
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.policy.engine import Entity, EntityRef, PolicyRequest

ALERT_PURPOSES: Final = "alert."
"""The beginning of every purpose for which an office reads alerts."""
DUTY_PURPOSE: Final = "alert.duty"
"""The purpose of looking at what a desk has: its list, its board, its feed."""
DETAIL: Final = "detail"
"""The class of items whose fields are those of `alerts.toml`."""
PLATE: Final = "plate"
CONSENT: Final = "family_consent"
"""What is ticked in an alert once the family has agreed that who is missing is named."""
_PLACES: Final = frozenset({"place", "last_seen", "road", "section", "compartment", "reach", "gauge"})
_LOOKS: Final = frozenset({"sex", "age_band", "clothing"})
_NAMES: Final = frozenset({"name", "sex"})


class AlertStanding(StrEnum):
    """The standing of an office by its desks: `former` where they are off the sheet, `waiting` as in a case."""

    RAISER = "raiser"
    HOLDER = "holder"
    HELPER = "helper"
    NOTIFIED = "notified"
    FORMER = "former"
    STRANGER = "stranger"
    WAITING = "waiting"


class AlertSeat(Item, frozen=True, kw_only=True):
    """The facts of who acts in an alert, or would be shown it, that policy reads; `purpose` and `function` its kind's.

    `desk_fits`: the sheet gives the desk this kind, or has it stand in for one with it. `of_desk`: the desk is this
    office's. `by_node`: no officer acts.
    """

    WHAT: ClassVar[str] = "alert seat"

    standing: AlertStanding
    kind: str = ""
    status: str = ""
    purpose: str = ""
    function: str = ""
    desk_fits: bool = always(False)
    of_desk: bool = always(False)
    by_node: bool = always(False)


def seat_of(
    alert: Alert | None, head: Head, *, notified: Collection[str], off: Collection[str] = frozenset()
) -> AlertSeat:
    """Returns the seat of who acts, by the desk of the act; of an act by a node, by the province that it writes in.

    `alert` is None while what it stands on is not here; `notified` are the desks that it rings or that see it, `off`
    those that the sheets in force have no more.
    """
    by_node = head.officer is None
    if alert is None or (alert.raised is None and head.act != "raise"):
        return AlertSeat(standing=AlertStanding.WAITING, of_desk=by_node, by_node=by_node)
    if by_node:
        return _seat(alert, head, standing=_node_standing(alert, head.agency.node), of_desk=True, by_node=True)
    desk = str(head.fields.get("desk", ""))
    standing = standing_of(alert, head.agency, {desk}, notified=notified, off=off)
    is_of_desk = alert.rules.agency_of(desk) == head.agency
    return _seat(alert, head, standing=standing, desk_fits=_takes(alert, head, {desk} - {*off}), of_desk=is_of_desk)


def reader_seat(
    alert: Alert, agency: AgencyId, desks: Collection[str], *, notified: Collection[str], off: Collection[str] = ()
) -> AlertSeat:
    """Returns the seat of an office with these desks that would be shown an alert that was raised."""
    standing = standing_of(alert, agency, desks, notified=notified, off=off)
    is_fitting = _takes(alert, alert.first, {*desks} - {*off})
    return _seat(alert, alert.first, standing=standing, desk_fits=is_fitting, of_desk=True)


def standing_of(
    alert: Alert, agency: AgencyId, desks: Collection[str], *, notified: Collection[str], off: Collection[str] = ()
) -> AlertStanding:
    """Returns the standing of an office by those of its desks that are still on the sheet, the nearest first."""
    if alert.raised is None:
        return AlertStanding.STRANGER
    live, raiser = {*desks} - {*off}, str(alert.first.fields["desk"])
    reached = {*notified, *alert.held, *((alert.offer.to,) if alert.offer else ())}
    if alert.hold is not None and alert.hold.desk in live:
        return AlertStanding.HOLDER
    if live and (agency == alert.first.agency or any(alert.rules.is_leader(desk, raiser) for desk in live)):
        return AlertStanding.RAISER
    if live & alert.helpers:
        return AlertStanding.HELPER
    if live & reached:
        return AlertStanding.NOTIFIED
    return AlertStanding.FORMER if {*desks} & {*reached, raiser} else AlertStanding.STRANGER


def is_of_person(kind: AlertKind) -> bool:
    """True for a kind that is about somebody who is looked for: a document of it is taken for a picture of them."""
    return not _LOOKS.isdisjoint(kind.crosses)


def crosses(
    kind: AlertKind,
    item_class: str,
    field: str,
    *,
    ticked: Collection[str] = (),
    status: str = Status.ACTUAL,
    is_over: bool = False,
) -> bool:
    """True when a field of an item may be shown beyond the office that wrote it; `ticked` is what the alert says.

    A kind that crosses a digest alone (a sensor's) crosses no document, one without a place none of the place. Who told
    of it crosses for none, nor more of a contact than the desk's telephone.
    """
    facts, is_named = {*kind.crosses}, CONSENT in ticked and not is_over
    match item_class:
        case "fact":
            return field != "source"
        case "contact":
            return field == "phone"
        case "place":
            return bool(facts & _PLACES)
        case "person":
            return is_of_person(kind) and is_named and field in _NAMES
        case "document":
            return status == Status.ACTUAL and "digest" not in facts and (is_named or not is_of_person(kind))
        case _:
            return item_class == DETAIL and field in facts


def act_request(agency: AgencyFacts, seat: AlertSeat, act: str, *, home: NodeName, occasion: Occasion) -> PolicyRequest:
    """Asks whether the office may do this act at all; what the state of the alert allows is the fold's to say."""
    return ask(
        "alert.act",
        agency,
        _alert_entity(seat, home),
        occasion=occasion,
        act=act,
        standing=seat.standing.value,
        deskFits=seat.desk_fits,
        ofDesk=seat.of_desk,
        byNode=seat.by_node,
    )


def see_request(
    agency: AgencyFacts, seat: AlertSeat, item_class: str, *, crosses: bool, home: NodeName, occasion: Occasion
) -> PolicyRequest:
    """Asks whether an office may be shown a field of an item; that of a plate has `PLATE` for its class."""
    return ask(
        "alert.see",
        agency,
        _alert_entity(seat, home),
        occasion=occasion,
        itemClass=item_class,
        standing=seat.standing.value,
        crosses=crosses,
    )


def read_request(agency: AgencyFacts, standing: AlertStanding, *, home: NodeName, occasion: Occasion) -> PolicyRequest:
    """Asks whether an office may read an alert, list those that it was told of (NOTIFIED), or follow them."""
    seat = AlertSeat(standing=standing)
    return ask("alert.read", agency, _alert_entity(seat, home), occasion=occasion, standing=standing.value)


def _seat(
    alert: Alert,
    head: Head,
    *,
    standing: AlertStanding,
    desk_fits: bool = False,
    of_desk: bool = False,
    by_node: bool = False,
) -> AlertSeat:
    said = head.fields if alert.raised is None else alert.first.fields
    kind = str(said.get("kind", ""))
    purpose, function = alert.rules.why(kind)
    return AlertSeat(
        standing=standing, kind=kind, status=str(said.get("status", "")), purpose=purpose, function=function,
        desk_fits=desk_fits, of_desk=of_desk, by_node=by_node,
    )  # fmt: skip


def _takes(alert: Alert, head: Head, desks: Collection[str]) -> bool:
    kind = str((head if alert.raised is None else alert.first).fields.get("kind", ""))
    if alert.raised is not None and any(alert.rules.deputised(desk, kind) for desk in desks):
        return True
    return any(alert.rules.may_hold(desk, kind) for desk in desks)


def _node_standing(alert: Alert, node: NodeName) -> AlertStanding:
    if alert.hold is not None and alert.hold.agency.node == node:
        return AlertStanding.HOLDER
    return AlertStanding.RAISER if alert.raised is not None and node == alert.arbiter else AlertStanding.STRANGER


def _alert_entity(seat: AlertSeat, home: NodeName) -> Entity:
    attributes = (
        ("province", EntityRef("Province", home)),
        ("kind", seat.kind),
        ("status", seat.status),
        ("purpose", seat.purpose),
        ("function", seat.function),
    )
    return Entity(EntityRef("Alert", "alert"), attributes)
