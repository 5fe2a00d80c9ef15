"""One invented alert: what people do about it, deed by deed, and what must come out of it.

Rules kept: a deed names no record and no entry, only numbers of alerts and keys of earlier deeds, so that a fold, a
demo or a federation can do it; nobody is named. What a holder does keeps its claim alive, as desks do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Final, TypedDict, Unpack

from federation.domain.acts import FieldValue
from federation.domain.alert_kinds import AlertKind, Notified, When
from federation.domain.alert_rules import LEASES, REMOTE_LEASE
from federation.domain.cap import Point
from federation.domain.case_items import CaseItem
from federation.protocol.form import replace
from federation.protocol.ids import format_time

LATE_REASONS: Final = ("road", "weather", "far", "busy", "place", "link", "caller", "danger")
ORIGINS: Final = ("110", "12345", "caller", "patrol")
OFFICERS: Final = tuple(f"o-{number:02}" for number in range(1, 13))
NOTHING: Final[Mapping[str, FieldValue]] = MappingProxyType({})
_OFFER_SECONDS: Final = 90
_AS_ISSUED: Final = timedelta(hours=24)
"""The validity of what says itself until when it is valid."""
_BEFORE_LAPSE: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that an officer does at a desk: an act about the alert `number`, with what `ActInAlert` takes.

    The node adds what is its own (names of messages, priority, validity, agreement). `about` is the key of an earlier
    deed of the alert, `other` the number of another alert. `skew` are the seconds by which the clock of the desk's node
    is ahead. `refused` is the reason for which the node does not even write it. The link of the desk's node is down
    while it does what it does `alone`. Of an entry that `overtakes`, is `forked` or `withheld`: it reaches the others
    before those that it stands on, there is another one of its number, it reaches them last of all.
    """

    number: int
    at: datetime
    key: str
    desk: str
    officer: str
    act: str
    fields: Mapping[str, FieldValue]
    items: tuple[CaseItem, ...] = ()
    about: str = ""
    other: int = 0
    skew: int = 0
    refused: str = ""
    alone: bool = False
    overtakes: bool = False
    forked: bool = False
    withheld: bool = False


class Also(TypedDict, total=False):
    """The fields of a deed that most have not."""

    desk: str
    key: str
    officer: str
    items: tuple[CaseItem, ...]
    about: str
    other: int
    refused: str
    alone: bool
    overtakes: bool
    forked: bool
    withheld: bool


@dataclass(kw_only=True)
class Fate:
    """The answers: seconds from T0 to each stage, those with a reason, and why it may not be counted."""

    stages: dict[str, float] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)
    entered_late: set[str] = field(default_factory=set)
    cancelled: float | None = None
    duplicate: bool = False
    doubtful: bool = False
    offer_lapsed: bool = False
    handed_over: bool = False


@dataclass(kw_only=True, eq=False)
class Story:
    """An alert that is being told, at seconds from its first report."""

    number: int
    at: datetime
    status: str
    kind: AlertKind
    county: str
    division: str
    area: str
    point: Point
    desk: str
    others: tuple[str, ...]
    limits: Mapping[str, float]
    random: Random
    deeds: list[Deed] = field(default_factory=list)
    fate: Fate = field(default_factory=Fate)
    skew: int = 0
    """The seconds by which the clock of whoever holds it is ahead, where that is another node than the raiser's."""

    def does(self, seconds: float, act: str, fields: Mapping[str, FieldValue] = NOTHING, **also: Unpack[Also]) -> bool:
        """Adds a deed of the raising desk, or as said; False, and none, when the alert was cancelled before."""
        cancelled = self.fate.cancelled
        if cancelled is not None and seconds > cancelled - 1 and act not in ("raise", "cancel"):
            return False
        usual = Deed(
            number=self.number, at=self.at + timedelta(seconds=round(seconds, 3)), key=f"{act}.{seconds:g}",
            desk=self.desk, officer=self.random.choice(OFFICERS), act=act, fields=fields,
        )  # fmt: skip
        deed = replace(usual, **also)
        self.deeds.append(deed if deed.desk == self.desk else replace(deed, skew=self.skew))
        return True

    def raises(self, fields: Mapping[str, FieldValue] = NOTHING, *, named: bool = False) -> None:
        self.does(0, "raise", {**self.content(named=named), **fields}, key="raise", items=self.said())

    def content(self, *, named: bool = False, again: bool = False) -> dict[str, FieldValue]:
        """The fields of a first report, or those that are said `again`; `named`: the neighbour is concerned."""
        over = tuple(self.others[:1]) if named else ()
        when = [each.when for each in self.kind.receives if each.to is Notified.NEIGHBOUR]
        ticked = tuple(each.value for each in when if named and each is not When.ALWAYS and each in self.kind.crosses)
        found: dict[str, FieldValue] = {"division": (self.division, *(desk[:6] for desk in over))}
        if not self.kind.expires:
            found["expires"] = format_time(self.at.replace(microsecond=0) + _AS_ISSUED)
        if not again:
            found |= {"status": self.status, "kind": self.kind.id, "origin": self.random.choice(ORIGINS)}
        return found | ({"area": (self.area,)} if self.area else {}) | ({"ticked": ticked} if ticked else {})

    def said(self, text: str = "", point: str = "") -> tuple[CaseItem, ...]:
        place = CaseItem(kind="place", fields={"division": self.county, "point": point or written(self.point)})
        return place, CaseItem(kind="fact", fields={"text": text or f"{self.kind.zh}（虚构）"})

    def cancels(self, seconds: float, *, overtakes: bool = False) -> None:
        """It is cancelled: nothing that is told later of a later moment happens."""
        self.fate.cancelled = seconds
        self.does(seconds, "cancel", {"why": "false_alarm"}, overtakes=overtakes)

    def claims(self, seconds: float, desk: str, *, alone: bool = False) -> None:
        if self.does(seconds, "claim", {"local": "yes"} if alone else {}, desk=desk, alone=alone):
            self.fate.stages["accepted"] = round(seconds, 3)

    def stamps(
        self, stage: str, seconds: float, *, reason: str = "", synced: float | None = None, **also: Unpack[Also]
    ) -> None:
        """A stage has its stamp; a late one says why where there is a `reason`; a device hands it in when `synced`."""
        fields: dict[str, FieldValue] = {"stage": stage}
        is_excused = seconds > self.limits[stage] and bool(reason)
        if is_excused:
            fields["late"] = reason
        if synced is not None:
            fields |= {"made": format_time(self.at + timedelta(seconds=round(seconds, 3))), "device": "pad-1"}
        if self.does(seconds if synced is None else synced, "stamp", fields, **also):
            self.fate.stages[stage] = round(seconds, 3)
            self.fate.excused |= {stage} if is_excused else set()
            self.fate.entered_late |= {stage} if synced is not None else set()

    def keeps(self, start: float, until: float, desk: str, *, stage: str) -> None:
        """The holder notes what it does before its claim lapses, as often as it takes."""
        lease = REMOTE_LEASE if self.area and stage == "contacted" else LEASES[stage]
        step = lease.total_seconds() - _BEFORE_LAPSE
        while until - start > step:
            start += step
            self.does(start, "note", desk=desk)

    def hands_over(self, seconds: float, takes: float) -> bool:
        """Offers the alert to the neighbour's desk; True when that accepts before the offer lapses."""
        key, in_time = f"offer.{seconds}", takes < _OFFER_SECONDS
        takes = takes if abs(takes - _OFFER_SECONDS) > 2 else _OFFER_SECONDS + (-2 if in_time else 2)
        self.does(seconds, "hand_over", {"to": self.others[0]}, key=key)
        if self.does(seconds + takes, "accept_hand_over", desk=self.others[0], about=key):
            self.fate.handed_over, self.fate.offer_lapsed = in_time, not in_time
        return in_time


def place_item(point: Point) -> tuple[CaseItem, ...]:
    return (CaseItem(kind="place", fields={"point": written(point)}),)


def written(point: Point) -> str:
    """A point as the item of a place has it."""
    return f"{point[0] / 1_000_000:.5f},{point[1] / 1_000_000:.5f}"
