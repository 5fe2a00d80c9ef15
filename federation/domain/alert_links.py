"""Alerts that may be one event: a crash that both sides called in, a false alarm that is raised again at once.

Rules kept: a link is offered, and made by people alone, each side for itself; nothing is counted otherwise before both
did. Near is five hundred metres where both places are known, else an area or a town that both name. An exercise and a
real alert are never one event. Source: alert rules of the federation's desks (a proposal).
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import cos, hypot, radians
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from federation.domain.alert import Alert, AlertState
from federation.domain.cap import Point

NEAR_METRES: Final = 500
NEAR_TIME: Final = timedelta(minutes=15)
RAISED_AGAIN: Final = timedelta(minutes=5)
MAX_OFFERS: Final = 20
"""The most offers for one alert: of more nobody reads any."""
_METRES: Final = 0.111195
"""Of a millionth of a degree of latitude."""
_COUNTY_DIGITS: Final = 6
NOWHERE: Final[Mapping[str, Point]] = MappingProxyType({})


class Offered(StrEnum):
    """Two alerts may be one event (疑似同一事件), or the second one is the first again (重报)."""

    SAME_EVENT = "same_event"
    RAISED_AGAIN = "raised_again"


class LinkOffer(Struct, frozen=True, kw_only=True):
    """Two records, the earlier first, and how far they are apart; `metres` None where a place is not known."""

    why: Offered
    one: str
    other: str
    seconds: int
    metres: int | None


def offers_of_link(alerts: Iterable[Alert], points: Mapping[str, Point] = NOWHERE) -> Iterator[LinkOffer]:
    """Offers each pair that may be one event and that not both sides have linked; `points` are by name of entry.

    Each alert stands in few pairs as the earlier one, repeats first.
    """
    everything = sorted(alerts, key=when)
    made = Counter[str]()
    pairs = ((Offered.RAISED_AGAIN, raised_again(everything)), (Offered.SAME_EVENT, _same_events(everything, points)))
    for why, one, two in ((why, *pair) for why, found in pairs for pair in found):
        made[one.first.record] += 1
        if made[one.first.record] <= MAX_OFFERS:
            seconds = int((two.dispatched - one.dispatched).total_seconds())
            yield LinkOffer(
                why=why, one=one.first.record, other=two.first.record, seconds=seconds,
                metres=_apart(one, two, points),
            )  # fmt: skip


def _same_events(alerts: Iterable[Alert], points: Mapping[str, Point]) -> Iterator[tuple[Alert, Alert]]:
    """Pairs of one family of kinds, near in time and place; `alerts` are by T0, cancelled ones are no event."""
    recent: dict[tuple[str, str], deque[Alert]] = defaultdict(deque)
    for alert in alerts:
        if alert.state is AlertState.CANCELLED:
            continue
        before = recent[alert.status, alert.rules.family(alert.kind)]
        while before and alert.dispatched - before[0].dispatched > NEAR_TIME:
            before.popleft()
        yield from ((one, alert) for one in before if not one.linked(alert) and _are_near(one, alert, points))
        before.append(alert)


def raised_again(alerts: Collection[Alert]) -> Iterator[tuple[Alert, Alert]]:
    """Pairs of one office, kind and place of which the first was cancelled and the other raised at once, unlinked."""
    of_place: dict[tuple[object, ...], list[Alert]] = defaultdict(list)
    for alert in sorted(alerts, key=when):
        said = alert.first.fields
        of_place[alert.first.agency, alert.kind, alert.status, said.get("division"), said.get("area")].append(alert)
    for found in of_place.values():
        for place, one in enumerate(found):
            if one.ended is None or one.ended.state is not AlertState.CANCELLED:
                continue
            ended = one.ended.at
            later = (two for two in found[place + 1 :] if ended <= two.dispatched < ended + RAISED_AGAIN)
            yield from ((one, two) for two in later if not one.linked(two))


def metres_between(here: Point, there: Point) -> float:
    """The distance of two places that are not far apart."""
    north, east = there[0] - here[0], there[1] - here[1]
    return hypot(north, east * cos(radians(here[0] / 1_000_000))) * _METRES


def place_of(alert: Alert, points: Mapping[str, Point]) -> Point | None:
    """The place that the content of an alert names, else its raise."""
    entries = (alert.content, alert.raised)
    return next((points[entry.name] for entry in entries if entry is not None and entry.name in points), None)


def when(alert: Alert) -> tuple[datetime, str]:
    """T0, then the record: the order in which the earliest of linked alerts is the one that counts."""
    return alert.dispatched, alert.first.record


def _are_near(one: Alert, two: Alert, points: Mapping[str, Point]) -> bool:
    metres = _apart(one, two, points)
    return bool(_parts(one) & _parts(two)) if metres is None else metres <= NEAR_METRES


def _apart(one: Alert, two: Alert, points: Mapping[str, Point]) -> int | None:
    here, there = place_of(one, points), place_of(two, points)
    return None if here is None or there is None else round(metres_between(here, there))


def _parts(alert: Alert) -> frozenset[str]:
    """The areas that an alert names, and its towns and villages; a county is too much."""
    divisions = alert.said.get("division", ())
    towns = divisions if isinstance(divisions, tuple) else ()
    return frozenset((*alert.areas, *(each for each in towns if len(each) > _COUNTY_DIGITS)))
