"""Alerts that may be the same event as one that is read, or it again, offered as a link to who may make it.

Rules kept: of the office's own list alone, near in time and place, no more than a person reads. Source: `alert_links`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from federation.domain.alert import Alert
from federation.domain.alert_line import AlertLine
from federation.domain.alert_links import NEAR_TIME, LinkOffer, Offered, offers_of_link
from federation.domain.cap import Point, parse_point
from federation.domain.case_items import CaseItem
from federation.domain.joint import Entry
from federation.node.alerts.lists import ALERTS
from federation.node.exchange.errand import Errand
from federation.node.joint.records import ALERT, Held, load_held
from federation.protocol.ids import NodeName, format_message_id
from federation.wire.agency.alerts import AlertOffer

MAX_BESIDE: Final = 20
"""The most alerts beside one that are looked at."""
_WHY: Final = {
    Offered.SAME_EVENT: ("疑似同一事件", "perhaps the same event"),
    Offered.RAISED_AGAIN: ("疑似撤销后重报", "perhaps raised again after its cancel"),
}
Texts = Callable[[Held[Alert], Entry], Iterable[CaseItem]]


def link_offers(errand: Errand, held: Held[Alert], texts: Texts) -> Iterator[AlertOffer]:
    """Offers a link to each alert that may be this one and is not linked here; `texts` are as the office sees them."""
    alert = held.state
    if alert is None or alert.ended is not None:
        return
    family = alert.rules.family(alert.kind)
    near = (
        load_held(ALERT, errand.node, line.record)
        for node in sorted(errand.in_force.agreement.members)
        for place in ("open", "ended")
        for line in _raised_near(errand, alert, node, place=place)
        if line.record != held.id and alert.rules.family(line.kind) == family
    )
    found = [held, *islice(near, MAX_BESIDE)]
    points = {name: point for each in found for name, point in _points(each, texts)}
    for offer in offers_of_link([each.state for each in found if each.state is not None], points):
        to = offer.other if offer.one == held.id else offer.one
        if held.id in (offer.one, offer.other) and to not in alert.links:
            yield _offer(offer, to=to)


def _raised_near(errand: Errand, alert: Alert, node: NodeName, *, place: str) -> Iterator[AlertLine]:
    """The alerts of one place of the office's list that a node raised near in time, which begins a record's name."""
    division, first = f"{errand.caller}/{alert.status}/{place}", alert.dispatched - NEAR_TIME
    start = f"{errand.caller}/{node}/{format_message_id(first, bytes(10))}"
    for line in ALERTS.each_in(errand.node.database, division, after=start):
        if line.arbiter != node or line.raised > alert.dispatched + NEAR_TIME:
            return
        yield line


def _points(held: Held[Alert], texts: Texts) -> Iterator[tuple[str, Point]]:
    alert = held.state
    for entry in () if alert is None else (alert.raised, alert.content):
        for item in () if entry is None else texts(held, entry):
            point = parse_point(item.fields.get("point", "")) if item.kind == "place" else None
            if entry is not None and point is not None:
                yield entry.name, point


def _offer(offer: LinkOffer, *, to: str) -> AlertOffer:
    minutes = max(1, -(-offer.seconds // 60))
    near = ("同一区域", "in one area")
    if offer.metres is not None:
        near = f"相距约 {offer.metres} 米", f"{offer.metres} m apart"
    zh, en = _WHY[offer.why]
    return AlertOffer(
        act="link", zh=f"{zh}（{near[0]}、{minutes} 分钟内），是否关联？",
        en=f"{en} ({near[1]}, within {minutes} min): link them?", possible=True, to=to,
    )  # fmt: skip
