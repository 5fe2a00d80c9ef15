"""A busy day at the border with all that a desk may meet planted in it, and the answers that name each of them.

`border_day` is the whole: most alerts are as usual; some are late without a reason, raised twice, claimed on two sides
of a broken link, stamped by the dozen. The answers say which, by number, so that what finds them can be scored.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from random import Random
from typing import Final, TypeAlias

from federation.cli.demo.border_day import (
    ALERTS_A_DAY,
    BUSY,
    CANCELLED_SHARE,
    NEIGHBOURS,
    BorderDay,
    Draw,
    Slot,
    attained,
    begin_of,
    mix_of,
    moments,
)
from federation.cli.demo.border_story import NOTHING, Story, place_item, written
from federation.cli.demo.synthetic import synthetic_plate
from federation.domain.acts import FieldValue
from federation.domain.alert_rules import AgreedAlerts

PLANTED: Final[Mapping[str, int]] = {
    "late_without_reason": 20, "early_arrival": 10, "raised_again": 8, "elsewhere": 5, "linked": 12, "unlinked": 9,
    "half_linked": 19, "cancel_first": 7, "update_first": 7, "fork": 4, "gap": 3, "conflict": 6, "withdrawn_key": 5,
    "clock": 30, "colour": 4, "personal": 5, "swapped": 2,
}  # fmt: skip
"""How often each thing is planted in a day; beside them are the stampers, the fires, the small cells, the exercises."""
STAMPERS, STAMPS_EACH, EXERCISE_SHARE, TURNED_REAL = 6, 5, 0.05, 3
TRIGGERS: Final[Mapping[int, Mapping[str, int | tuple[str, ...]]]] = {
    2: {"area_m2": 1_000_000}, 3: {"dead": 3}, 4: {"ticked": ("threat",)}, 5: {}, 6: {"ticked": ("primeval",)},
    7: {"ticked": ("province_line", "dangerous")}, 8: {"ticked": ("national_help",)},
}  # fmt: skip
"""What is said of a fire so that it is told to the province, by the number of the trigger; the fifth just burns on."""
CELLS: Final[Mapping[str, tuple[str, Mapping[str, int]]]] = {
    "fire.structure": ("361130", {BUSY: 9, "361130": 3, "341022": 6, "361123": 7, "350722": 8}),
    "water.pollution": ("350722", {BUSY: 8, "361130": 6, "341022": 7, "361123": 9, "350722": 2}),
}
"""Kinds that are raised nowhere else that day: the county whose number is too small to print, the alerts of each."""
_PAIRED: Final = ("raised_again", "linked", "unlinked", "half_linked")
LEAST_PLANTED: Final = 1_000
_ACTUAL: Final[Mapping[str, FieldValue]] = {"status": "Actual"}
_TIMES: Final = (30.0, 100.0, 400.0)
_OVER_A_DAY: Final = 5
_Play: TypeAlias = Callable[[Draw, Story, Slot], None]
_AT_BUSY: Final = frozenset({"conflict", "clock"})
_SKEW: Final = 90


def border_day(
    seed: int, *, day: date, rules: AgreedAlerts, count: int = ALERTS_A_DAY, kinds: Sequence[str] = ()
) -> BorderDay:
    """A day of so many real alerts with exercises on top; all is planted from 1,000 on, nothing below.

    `kinds` are those of the first alerts, in their order, where something else than chance says so.
    """
    random = Random(f"border:{seed}:{day}")  # noqa: S311  # an invented day needs repeatable dice, not secret ones
    draw = Draw(rules=rules, random=random, mix=mix_of(day))
    slots = _slots(draw, begin_of(day), count)
    for slot, kind in zip((each for each in slots if each.status == "Actual"), kinds, strict=False):
        slot.kind = slot.kind or kind
    for number, slot in enumerate(slots, start=1):
        slot.number = number
    for slot in slots:
        _PLAYS[slot.plant.partition(":")[0]](draw, draw.begin(slot), slot)
    stories = [draw.stories[slot] for slot in slots]
    deeds = (deed for story in stories for deed in story.deeds)
    return BorderDay(
        seed=seed, day=day, deeds=tuple(sorted(deeds, key=lambda deed: (deed.at, deed.number))),
        alerts=count, exercises=len(slots) - count, planted=_answers(draw), attained=dict(attained(stories)),
        kinds=dict(Counter(story.kind.id for story in stories if story.status == "Actual")),
        handed_over=sum(story.fate.handed_over for story in stories if story.status == "Actual"),
        offers_lapsed=sum(story.fate.offer_lapsed for story in stories if story.status == "Actual"),
    )  # fmt: skip


def _slots(draw: Draw, begin: datetime, count: int) -> list[Slot]:
    """All alerts of the day in their order, each with what is planted in it."""
    random = draw.random
    special = list(_special(draw, begin)) if count >= LEAST_PLANTED else []
    roles = [name for name, times in PLANTED.items() for _ in range(times)] if special else []
    base = [Slot(at=at) for at in moments(random, begin, count - len(special) - sum(map(_PAIRED.count, roles)))]
    early = [slot for slot in base if slot.at < begin + timedelta(hours=23)]
    pairs = []
    for index, (slot, role) in enumerate(zip(random.sample(early, len(roles)), roles, strict=True)):
        slot.plant = f"clock:{'+-'[index % 2]}" if role == "clock" else role
        slot.kind = random.choice(("dispute", "help", "traffic.minor"))
        slot.county = BUSY if role in _AT_BUSY else random.choice((BUSY, *NEIGHBOURS))
        if role in _PAIRED:
            later = 70 if role == "raised_again" else random.uniform(60, 600)
            beside = draw.rules.duty.neighbours_of(slot.county)
            county = slot.county if role == "raised_again" else beside[0]
            at = slot.at + timedelta(seconds=round(later, 3))
            pairs.append(Slot(at=at, plant=role, county=county, kind=slot.kind, first=slot))
    drills = [Slot(at=at, status="Exercise") for at in moments(random, begin, round(count * EXERCISE_SHARE))]
    for number, slot in enumerate(random.sample(drills, TURNED_REAL if special else 0), start=1):
        slot.plant = f"turned_real:{number}"
    return sorted((*base, *special, *pairs, *drills), key=lambda slot: slot.at)


def _special(draw: Draw, begin: datetime) -> Iterator[Slot]:
    """The alerts whose moment, kind or county is part of what is planted."""
    random = draw.random
    for stamper in range(1, STAMPERS + 1):
        stamped = begin + timedelta(hours=3 * stamper, seconds=random.randrange(600))
        for which in range(STAMPS_EACH):
            arrives = round(random.uniform(300, 560), 3)
            at = stamped + timedelta(seconds=round(1.7 * which - arrives, 3))
            yield Slot(at=at, plant=f"stamper:{stamper}", county=BUSY, kind="dispute", arrives=arrives)
    for number, at in zip(TRIGGERS, moments(random, begin, len(TRIGGERS)), strict=True):
        yield Slot(at=at, plant=f"trigger:{number}", county=BUSY, kind="forest.fire")
    for kind, (_, counties) in CELLS.items():
        for county, times in counties.items():
            yield from (Slot(at=at, plant="cell", county=county, kind=kind) for at in moments(random, begin, times))


def _answers(draw: Draw) -> dict[str, tuple[tuple[int, ...], ...]]:
    """The planted things by name: numbers of alerts, the earlier of a pair first; a trigger as its number and these."""
    found = defaultdict[str, list[tuple[int, ...]]](list)
    stampers = defaultdict[str, list[int]](list)
    for slot in draw.stories:
        name, _, which = slot.plant.partition(":")
        if name == "stamper":
            stampers[which].append(slot.number)
        elif name == "trigger":
            found[name].append((int(which), slot.number))
        elif name in _PAIRED:
            found[name] += [] if slot.first is None else [(slot.first.number, slot.number)]
        elif name not in ("", "cell"):
            found[name].append((slot.number,))
    found["stamper"] = [tuple(sorted(numbers)) for numbers in stampers.values()]
    return {name: tuple(sorted(planted)) for name, planted in sorted(found.items()) if planted}


# ---- what happens in each


def _as_usual(draw: Draw, story: Story, slot: Slot) -> None:
    if not slot.plant and draw.random.random() < CANCELLED_SHARE:
        story.cancels(draw.random.uniform(15, 500 if story.kind.measured else 200))
    draw.usual(story, times=_TIMES if slot.plant else None)


def _late(draw: Draw, story: Story, slot: Slot) -> None:
    over = draw.random.uniform(20, 60)
    times = (20.0, 180 + over, 480.0) if slot.number % 2 else (20.0, 100.0, story.limits["arrived"] + over)
    draw.usual(story, times, excused=False)


def _early(draw: Draw, story: Story, _slot: Slot) -> None:
    draw.usual(story, _TIMES)
    story.does(70, "stamp", {"stage": "arrived"})


def _again(draw: Draw, story: Story, slot: Slot) -> None:
    if slot.first is not None:
        draw.usual(story, _TIMES)
        return
    story.cancels(draw.random.uniform(40, 57))
    story.raises()


def _elsewhere(draw: Draw, story: Story, _slot: Slot) -> None:
    draw.usual(story, _TIMES, items=place_item(draw.beside(story.point, 1500, 4000)))


def _pair(draw: Draw, story: Story, slot: Slot) -> None:
    """One event that both sides were told of, linked by both, by one, or by nobody."""
    draw.usual(story, _TIMES)
    if slot.first is None or slot.plant == "unlinked":
        return
    first, later = draw.stories[slot.first], draw.random.uniform(600, 700)
    story.does(later, "link", _ACTUAL, other=first.number)
    if slot.plant == "linked":
        story.fate.duplicate = True
        first.does((story.at - first.at).total_seconds() + later + 20, "link", _ACTUAL, other=story.number)


def _cancel_first(draw: Draw, story: Story, _slot: Slot) -> None:
    story.cancels(draw.random.uniform(6, 20), overtakes=True)
    story.raises()


def _update_first(draw: Draw, story: Story, _slot: Slot) -> None:
    draw.usual(story, _TIMES)
    story.does(8, "update", story.content(again=True), about="raise", overtakes=True)


def _fork(draw: Draw, story: Story, _slot: Slot) -> None:
    draw.usual(story, _TIMES)
    story.does(5000, "note", forked=True)


def _gap(draw: Draw, story: Story, _slot: Slot) -> None:
    draw.usual(story, _TIMES)
    story.does(33, "note", withheld=True)


def _conflict(_draw: Draw, story: Story, _slot: Slot) -> None:
    """Two desks of two provinces claim while all links are down, and both go there."""
    one, two = story.others[:2]
    story.raises()
    story.claims(10, one, alone=True)
    story.does(15, "claim", {"local": "yes"}, desk=two, alone=True)
    story.stamps("contacted", 100, desk=one)
    story.stamps("arrived", 400, desk=one, items=place_item(story.point))
    story.does(120, "note", desk=two)
    for seconds, desk in ((900, one), (903, two)):
        story.does(seconds, "close", {"result": "handled"}, desk=desk)


def _withdrawn(draw: Draw, story: Story, _slot: Slot) -> None:
    draw.usual(story, _TIMES)
    story.does(380, "stamp", {"stage": "arrived"}, officer="x-1", refused="OFFICER_KEY")


def _clock(draw: Draw, story: Story, slot: Slot) -> None:
    story.skew = _SKEW if slot.plant.endswith("+") else -_SKEW
    draw.usual(story, (draw.random.uniform(20, 45), 110.0, 400.0), claimer=story.others[0])
    story.fate.doubtful = True


def _colour(draw: Draw, story: Story, _slot: Slot) -> None:
    _attempt(story, "LEVEL_NONE", {"level": "red"})
    draw.usual(story, _TIMES)


def _personal(draw: Draw, story: Story, slot: Slot) -> None:
    text = f"联系人电话 1{slot.number:010d}" if slot.number % 2 else f"车辆 {synthetic_plate('浙H', slot.number)}"
    _attempt(story, "PERSONAL_DATA", text=text)
    draw.usual(story, _TIMES)


def _swapped(draw: Draw, story: Story, _slot: Slot) -> None:
    latitude, _, longitude = written(story.point).partition(",")
    _attempt(story, "SWAPPED", point=f"{longitude},{latitude}")
    draw.usual(story, _TIMES)


def _attempt(
    story: Story, refused: str, fields: Mapping[str, FieldValue] = NOTHING, *, text: str = "", point: str = ""
) -> None:
    """A first report that no node takes, half a minute before the one that it does."""
    items = story.said(text, point)
    story.does(-30, "raise", {**story.content(), **fields}, key="attempt", refused=refused, items=items)


def _stamper(draw: Draw, story: Story, slot: Slot) -> None:
    draw.usual(story, (25.0, 95.0, slot.arrives), officer=f"b-{slot.plant.partition(':')[2]}")


def _trigger(draw: Draw, story: Story, slot: Slot) -> None:
    number = int(slot.plant.partition(":")[2])
    story.raises(TRIGGERS[number])
    if number != _OVER_A_DAY:
        draw.usual(story, _TIMES)
        return
    story.claims(20, story.desk)
    story.stamps("contacted", 100)
    story.stamps("arrived", 1200, items=place_item(story.point))
    for seconds in range(7200, 90_000, 6000):
        story.does(seconds, "note")
    story.does(90_000, "close", {"result": "handled"})


def _turned_real(draw: Draw, story: Story, slot: Slot) -> None:
    """An exercise that somebody tries to make a real alert of."""
    draw.usual(story, _TIMES)
    real = next(each.number for each in draw.stories.values() if each.status == "Actual")
    tried = {"1": ("link", "", real), "2": ("update", "raise", 0), "3": ("raise", "", 0)}
    act, about, other = tried[slot.plant.partition(":")[2]]
    fields = {} if act == "link" else story.content(again=act == "update")
    story.does(300, act, {**fields, **_ACTUAL}, key="turn", about=about, other=other)


_PLAYS: Final[Mapping[str, _Play]] = {
    "": _as_usual, "cell": _as_usual, "late_without_reason": _late, "early_arrival": _early, "raised_again": _again,
    "elsewhere": _elsewhere, "linked": _pair, "unlinked": _pair, "half_linked": _pair, "cancel_first": _cancel_first,
    "update_first": _update_first, "fork": _fork, "gap": _gap, "conflict": _conflict,
    "withdrawn_key": _withdrawn, "clock": _clock, "colour": _colour, "personal": _personal, "swapped": _swapped,
    "stamper": _stamper, "trigger": _trigger, "turned_real": _turned_real,
}  # fmt: skip
