"""An invented day of alerts where provinces meet: what people do at their desks, minute by minute, and the answers.

Rules kept: the same seed, day and tables give the same day; places are invented, nobody is named; what is planted
stands in the answers, and nothing else of that sort happens by chance. Times are lognormal, and give the shares of late
stages that the programme's figures have (assumptions). One county is busy; four beside it, in three other provinces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from math import cos, exp, pi, radians, sin
from random import Random
from typing import Final, TypeAlias, Unpack

from federation.cli.demo.border_story import LATE_REASONS, Also, Deed, Story, place_item
from federation.domain.alert_kinds import When
from federation.domain.alert_links import NEAR_METRES, metres_between
from federation.domain.alert_rules import STAGE_CLOCKS, AgreedAlerts
from federation.domain.cap import Point
from federation.domain.clock import CHINA_TIME
from federation.domain.duty import Scene, neighbour_desks, own_desks
from federation.protocol.errors import RuleError

ALERTS_A_DAY: Final = 2_000
BUSY: Final = "330824"
NEIGHBOURS: Final = ("341022", "361130", "361123", "350722")
HOURS: Final = (
    22, 17, 13, 10, 10, 17, 39, 79, 114, 122, 127, 114, 96, 96, 105, 114, 122, 140, 157, 153, 131, 96, 66, 39,
)  # fmt: skip
"""The alerts that are expected in each hour of a busy day."""
MIX: Final[Mapping[str, Mapping[str, float]]] = {
    "dispute": {"dispute": 35},
    "help": {"help": 23, "help.missing": 2},
    "traffic": {"traffic.minor": 13, "traffic.accident": 4, "road.closed": 1},
    "order": {"order.public": 10},
    "fraud": {"fraud.telecom": 5},
    "ecology": {"forest.poaching": 1.7, "fishing.illegal": 1.7, "forest.fire": 0.8, "flood": 0.4, "weather": 0.4},
    "criminal": {"crime.pursuit": 2},
}
"""The kinds in a hundred alerts, by class: on a day a class keeps its part, and its kinds follow the season."""
REMOTE_AREA: Final = "tri.qixi"
REMOTE_SHARE, NAMED_SHARE, HANDED_SHARE, CANCELLED_SHARE, ENTERED_LATE_SHARE = 0.28, 0.12, 0.6, 0.03, 0.04
"""Of the alerts of counties with a remote area; of all; of those that name a neighbour; of all, twice."""
_BUSY_SHARE: Final = 0.6
_CENTRES: Final[Mapping[str, Point]] = {
    "330822": (28_900_000, 118_500_000), "330824": (29_140_000, 118_410_000), "330881": (28_740_000, 118_630_000),
    "341022": (29_790_000, 118_190_000), "350722": (27_920_000, 118_540_000), "361123": (28_680_000, 118_240_000),
    "361130": (29_250_000, 117_850_000),
}  # fmt: skip
Times: TypeAlias = tuple[float, float, float]
"""Seconds from T0 to acceptance, contact and arrival."""
_RADIUS_METRES, _PLACE_METRES = 14_000, 200
_TOWNS: Final = tuple(map(str, range(100, 118)))
_EVES: Final = frozenset({(12, 31), (4, 30), (9, 30)})
"""The days before holidays of every year, as far as the sun sets them."""
_APART: Final = timedelta(minutes=25)


@dataclass(kw_only=True, eq=False)
class Slot:
    """An alert that is to be: when, and what is settled of it beforehand; `first` is the one that it repeats."""

    at: datetime
    plant: str = ""
    county: str = ""
    kind: str = ""
    status: str = "Actual"
    first: Slot | None = None
    arrives: float = 0.0
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attained:
    """A stage over the alerts of one class (town or remote), as it must be counted."""

    alerts: int
    in_time: int
    missing: int
    excused: int
    entered_late: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderDay:
    """The deeds in their order, and the answers: what was planted as numbers of alerts, and what must be counted."""

    seed: int
    day: date
    deeds: tuple[Deed, ...]
    alerts: int
    exercises: int
    planted: Mapping[str, tuple[tuple[int, ...], ...]]
    attained: Mapping[str, Attained]
    kinds: Mapping[str, int]
    handed_over: int
    offers_lapsed: int


@dataclass(kw_only=True)
class Draw:
    """The dice of a day, and what was drawn so far."""

    rules: AgreedAlerts
    random: Random
    mix: Mapping[str, float]
    stories: dict[Slot, Story] = field(default_factory=dict)
    _recent: list[Story] = field(default_factory=list)

    def begin(self, slot: Slot) -> Story:
        """The story of a slot, with its place and desk, and nothing done yet."""
        first = None if slot.first is None else self.stories[slot.first]
        county = slot.county or (BUSY if self.random.random() < _BUSY_SHARE else self.random.choice(NEIGHBOURS))
        drawn = self.random.choices([*self.mix], [*self.mix.values()])[0]
        kind = self.rules.table.kinds[slot.kind or drawn]
        remote = slot.plant.startswith("trigger") or (not slot.plant and self.random.random() < REMOTE_SHARE)
        area = REMOTE_AREA if remote and county in self.rules.duty.areas[REMOTE_AREA].county else ""
        scene = Scene(county=county, area=area, at=slot.at, holds=frozenset(When))
        self._recent = [each for each in self._recent if slot.at - each.at < _APART]
        division, point = self._place(slot, county, first)
        story = Story(
            number=slot.number, at=slot.at, status=slot.status, kind=kind, county=county, division=division, area=area,
            point=point, desk=own_desks(self.rules.duty, kind, scene)[0],
            others=neighbour_desks(self.rules.duty, kind, scene), random=self.random,
            limits={
                stage: self.rules.limit(stage, (area,) if area else (), slot.at).total_seconds()
                for stage in STAGE_CLOCKS
            },
        )  # fmt: skip
        self.stories[slot] = story
        self._recent.append(story)
        return story

    def _place(self, slot: Slot, county: str, first: Story | None) -> tuple[str, Point]:
        """A town and a point: those of the alert that is repeated, or where nothing of that sort is going on."""
        if first is not None and first.county == county:
            return first.division, first.point
        same = [each for each in self._recent if each.status == slot.status]
        for _ in range(1000):
            division = county + self.random.choice(_TOWNS)
            point = (
                self.beside(_CENTRES[county], 0, _RADIUS_METRES) if first is None else self.beside(first.point, 60, 280)
            )
            is_alone = first is not None or all(metres_between(each.point, point) > 2 * NEAR_METRES for each in same)
            if is_alone and not any(each.fate.cancelled is not None and each.division == division for each in same):
                return division, point
        raise RuleError("DEMO_BORDER_DAY", f"expected room for an alert in {county} at {slot.at}")

    def beside(self, point: Point, least: float, most: float) -> Point:
        """A place so many metres from another one."""
        metres, angle = self.random.uniform(least, most), self.random.uniform(0, 2 * pi)
        north, east = metres * cos(angle) / 0.1112, metres * sin(angle) / 0.1112 / cos(radians(point[0] / 1_000_000))
        return round(point[0] + north), round(point[1] + east)

    def lognormal(self, median: float, sigma: float) -> float:
        return round(median * exp(sigma * self.random.gauss(0, 1)), 3)

    def stage_times(self, story: Story) -> Times:
        """As desks have them."""
        accepted = self.lognormal(25, 0.5)
        contacted = max(self.lognormal(110, 0.317), accepted + 5)
        arrived = self.lognormal(960, 0.491) if story.area else self.lognormal(450, 0.278)
        return accepted, contacted, max(arrived, contacted + 35)

    def usual(
        self,
        story: Story,
        times: Times | None = None,
        *,
        claimer: str = "",
        excused: bool = True,
        **arrival: Unpack[Also],
    ) -> None:
        """An alert as most are: claimed, contacted, perhaps handed over, reached and closed.

        Times that are given leave nothing to chance: such an alert is neither handed over nor entered late.
        """
        random, holder = self.random, claimer or story.desk
        named = times is None and bool(story.others) and random.random() < NAMED_SHARE
        accepted, contacted, arrived = times or self.stage_times(story)
        reason = random.choice(LATE_REASONS) if excused else ""
        if not any(deed.key == "raise" for deed in story.deeds):
            story.raises(named=named)
        story.claims(accepted, holder)
        story.keeps(accepted, contacted, holder, stage="accepted")
        story.stamps("contacted", contacted, reason=reason, desk=holder)
        if not story.kind.measured:
            by_phone = {"result": "handled", "by_phone": "yes", "reason": "电话办结"}
            story.does(contacted + 200, "close", by_phone, desk=holder)
            return
        since, synced = contacted, None
        if named and random.random() < HANDED_SHARE:
            offered, takes = contacted + random.uniform(10, 40), self.lognormal(55, 0.299)
            if story.hands_over(offered, takes):
                holder, since = story.others[0], offered + takes
            arrived, reason = max(arrived, offered + 40) + max(takes, 92), "handover"
        if times is None and random.random() < ENTERED_LATE_SHARE:
            synced = arrived + random.uniform(60, 500)
        arrival.setdefault("desk", holder)
        arrival.setdefault("items", place_item(self.beside(story.point, 0, _PLACE_METRES)))
        story.keeps(since, synced or arrived, holder, stage="contacted")
        story.stamps("arrived", arrived, reason=reason, synced=synced, **arrival)
        story.does((synced or arrived) + random.uniform(300, 3000), "close", {"result": "handled"}, desk=holder)


def moments(random: Random, begin: datetime, count: int) -> list[datetime]:
    """The moments of so many alerts over a day, as its hours have them."""
    hours = random.choices(range(24), HOURS, k=count)
    return sorted(begin + timedelta(hours=hour, milliseconds=random.randrange(3_600_000)) for hour in hours)


def season(kind: str, day: date) -> float:
    """The factor by which a kind is raised more often on a day than on others."""
    month = day.month
    if kind == "forest.fire":
        return 10 if month == 4 and 4 <= day.day <= 6 else 4 if month in (11, 12, 1, 2, 3, 4) else 1
    if kind.startswith(("traffic", "road")):
        return 1.8 if month in (3, 4, 10) or (month, day.day) in _EVES else 1
    times = {"flood": ((6, 7), 6), "weather": ((7, 8, 9), 5), "dispute": ((12, 1, 2), 1.5)}
    months, factor = times.get(kind, ((), 1.0))
    return factor if month in months else 1


def mix_of(day: date) -> dict[str, float]:
    """The kinds of a day, each class with its part."""
    found: dict[str, float] = {}
    for kinds in MIX.values():
        seasoned = {kind: part * season(kind, day) for kind, part in kinds.items()}
        whole = sum(seasoned.values())
        found |= {kind: part * sum(kinds.values()) / whole for kind, part in seasoned.items()}
    return found


def begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), CHINA_TIME)


def attained(stories: Iterable[Story]) -> Iterator[tuple[str, Attained]]:
    """The answers for each stage and class, counted from what was planned."""
    everything = list(stories)
    for stage in STAGE_CLOCKS:
        for duty_class in ("town", "remote"):
            found = [each for each in everything if (each.area == REMOTE_AREA) == (duty_class == "remote")]
            reasons = [(_left_out(each, stage), each) for each in found]
            counted = [each for reason, each in reasons if not reason]
            reached = [each.fate.stages[stage] <= each.limits[stage] for each in counted if stage in each.fate.stages]
            yield f"{stage} {duty_class}", Attained(
                alerts=len(counted), in_time=sum(reached), missing=len(counted) - len(reached),
                excused=sum(stage in each.fate.excused for each in counted),
                entered_late=sum(stage in each.fate.entered_late for each in counted),
                left_out=dict(Counter(reason for reason, _ in reasons if reason)),
            )  # fmt: skip


def _left_out(story: Story, stage: str) -> str:
    fate = story.fate
    found = (
        ("exercise", story.status != "Actual"), ("not_measured", not story.kind.measured),
        ("cancelled", fate.cancelled is not None and fate.cancelled < story.limits[stage]),
        ("duplicate", fate.duplicate), ("clock_doubtful", fate.doubtful),
    )  # fmt: skip
    return next((reason for reason, holds in found if holds), "")
