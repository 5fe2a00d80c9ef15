"""Duty: the desks of the border counties, their areas, hours and deputies, and who rings for an alert where and when.

Rules kept: the desk holds a claim, an officer is named in the act; a desk out of hours falls to one that never closes;
what two provinces share (pairs, areas on both sides) both write, and alike; `remote` is said of an area beforehand;
volunteers are pseudonyms, and never claim. An alert whose place lies in no area rings the desks of its county.
Source: `nodes/*/duty.toml`, in the agreement as `policies/duty/NODE.toml`; 志愿服务条例 17, 20, 24.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property, lru_cache, wraps
from typing import Annotated, Final, TypeVar

from msgspec import Struct

from federation.domain.alert_kinds import AlertKind, Notified, Priority, When, read_alerts
from federation.domain.clock import CHINA_TIME, china_day
from federation.domain.division import BORDER_PAIRS, province_of
from federation.domain.findings import Finding, ProcedureCheck, not_in
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError
from federation.protocol.form import Count, County, Row, load_toml, parse_toml
from federation.protocol.ids import AgencyId, NodeName, matching

DUTY: Final = "policies/duty/"
DUTY_SHEET: Final = "duty.toml"
REMOTE_MINUTES, TOWN_MINUTES = 30, 10
"""By when somebody is there; an area may say its own."""

T = TypeVar("T")

_Name = Annotated[str, matching("[a-z0-9]+([._-][a-z0-9]+)*", form="an id such as '330822.governance'")]
_Hours = Annotated[
    str, matching("([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)", form="'08:00-22:00'")
]
_Place = Annotated[str, matching("[0-9]{6}|[0-9]{9}|[0-9]{12}", form="6, 9 or 12 digits")]
_ALL_DAY: Final = "00:00-24:00"


_Title = Annotated[str, matching(r"[\w·–]{0,30}", form="a name of up to 30 letters")]


class AreaType(StrEnum):
    """路, 段, 圈, 片, 村结对, 网格, 河段, 林班."""

    ROAD = "road"
    SEGMENT = "segment"
    CIRCLE = "circle"
    PATCH = "patch"
    PAIR = "pair"
    CELL = "cell"
    REACH = "reach"
    COMPARTMENT = "compartment"


class DutyClass(StrEnum):
    TOWN = "town"
    REMOTE = "remote"


class Desk(Row, frozen=True, kw_only=True):
    """A desk of an agency. `leader` is a post; `number` are the three digits in the names of its messages.

    `name` is how people call it, where its county and the kind of its office do not say so.
    """

    id: _Name
    name: _Title = ""
    agency: AgencyId
    number: Annotated[str, matching("[0-9]{3}", form="three digits")]
    hours: _Hours
    kinds: tuple[str, ...]
    deputies: tuple[str, ...] = ()
    falls_to: str = ""
    leader: str = ""
    phone: str = ""

    @property
    def never_closes(self) -> bool:
        return self.hours == _ALL_DAY

    def is_open(self, at: datetime) -> bool:
        """True within its hours, in the time of China; the first minute counts, the last one does not."""
        if self.never_closes:
            return True
        first, _, last = self.hours.partition("-")
        now = f"{at.astimezone(CHINA_TIME):%H:%M}"
        return first <= now < last if first < last else now >= first or now < last


class MobileUnit(Row, frozen=True, kw_only=True):
    """民情直通车: `crew` are roles, `base` is a desk."""

    id: _Name
    name: str
    base: str
    crew: tuple[str, ...]


class Volunteers(Row, frozen=True, kw_only=True):
    """钱江源卫士 and others, by pseudonyms of that prefix, made by their own county; `may` never holds a claim."""

    id: _Name
    name: str
    prefix: Annotated[str, matching("[a-z]-", form="a letter and a hyphen")]
    may: tuple[str, ...]


class Terms(Row, frozen=True, kw_only=True, rename={"duty_class": "class"}):
    """The class of an area, and by when somebody must be there; 0 for what the class says."""

    duty_class: DutyClass
    arrive_minutes: Count = 0

    @property
    def arrive_limit(self) -> int:
        """Minutes from the dispatch until somebody must be there."""
        return self.arrive_minutes or (REMOTE_MINUTES if self.duty_class is DutyClass.REMOTE else TOWN_MINUTES)


TOWN_TERMS: Final = Terms(duty_class=DutyClass.TOWN)
"""Of a place that lies in no area."""


class FormerTerms(Terms, frozen=True, kw_only=True):
    """The terms that an area had until a day, the first of a quarter, on which others began."""

    area: _Name
    until: date


class Area(Terms, frozen=True, kw_only=True):
    """Part of one county, or of several that share it. `desks` in their order; `kinds` none for all.

    `name` is how people call it, empty where that is unpublished.
    """

    id: _Name
    name: _Title = ""
    type: AreaType
    county: tuple[County, ...]
    divisions: tuple[_Place, ...] = ()
    desks: tuple[str, ...]
    neighbours: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    downstream_first: tuple[County, ...] = ()


class DutySheet(Row, frozen=True, kw_only=True):
    """The desks and areas of one province. `pairs`: counties that are told of each other's alerts, both ways.

    `former`: what areas were before their class or their minutes changed.
    """

    version: str
    official: bool
    desk: tuple[Desk, ...] = ()
    mobile: tuple[MobileUnit, ...] = ()
    volunteers: tuple[Volunteers, ...] = ()
    pairs: tuple[tuple[County, County], ...] = ()
    area: tuple[Area, ...] = ()
    former: tuple[FormerTerms, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Duty:
    """The sheets of all provinces of an agreement, as one."""

    sheets: Mapping[NodeName, DutySheet]

    @cached_property
    def desks(self) -> Mapping[str, Desk]:
        return {desk.id: desk for sheet in self.sheets.values() for desk in sheet.desk}

    @cached_property
    def ladders(self) -> dict[tuple[object, ...], tuple[AlertKind, Priority | None, tuple[Ring, ...]]]:
        return {}

    @cached_property
    def full_time_first(self) -> Sequence[str]:
        return sorted(self.desks, key=lambda desk: (not self.desks[desk].never_closes, desk))

    @cached_property
    def areas(self) -> Mapping[str, Area]:
        return {area.id: area for sheet in self.sheets.values() for area in sheet.area}

    @cached_property
    def volunteers(self) -> Mapping[str, Volunteers]:
        return {each.id: each for sheet in self.sheets.values() for each in sheet.volunteers}

    @cached_property
    def mobile_units(self) -> Mapping[str, MobileUnit]:
        return {each.id: each for sheet in self.sheets.values() for each in sheet.mobile}

    @cached_property
    def _pairs(self) -> Mapping[str, frozenset[str]]:
        both = [
            pair
            for sheet in self.sheets.values()
            for one, other in sheet.pairs
            for pair in ((one, other), (other, one))
        ]
        return {county: frozenset(other for one, other in both if one == county) for county, _ in both}

    def neighbours_of(self, county: str) -> tuple[str, ...]:
        """The counties over the border that are told, in order."""
        return tuple(sorted(self._pairs.get(county, ())))

    def area_of(self, place: str) -> Area | None:
        """The area of a town or village by its code, the narrowest first; None for a place in no area."""
        found = [area for area in self.areas.values() if any(place.startswith(code) for code in area.divisions)]
        return min(found, key=lambda area: (-max(map(len, area.divisions)), len(area.county), area.id), default=None)

    def terms_of(self, area: Area | None, at: datetime) -> Terms:
        """The class of an area, and its minutes, at a moment: those of the quarter."""
        if area is None:
            return TOWN_TERMS
        former = (each for sheet in self.sheets.values() for each in sheet.former if each.area == area.id)
        before = (each for each in former if china_day(at) < each.until)
        return min(before, key=lambda each: each.until, default=area)

    def is_absent(self, name: str) -> bool:
        """True for a desk or area of a province that has no sheet here: no member, or none yet."""
        province = province_of(name) if name[:6].isdecimal() else None
        return province is not None and province not in self.sheets

    @cached_property
    def _agencies(self) -> Mapping[str, AgencyId]:
        posts = {desk.leader: desk.agency for desk in reversed(list(self.desks.values())) if desk.leader}
        return posts | {desk.id: desk.agency for desk in self.desks.values()}

    def agency_of(self, name: str) -> AgencyId | None:
        """The office of a desk; of a leader's post, that of the first desk that names it."""
        return self._agencies.get(name)

    def open_desk(self, desk: str, at: datetime) -> str:
        """The desk itself within its hours, else the one that it falls to."""
        row = self.desks[desk]
        return desk if row.is_open(at) or not row.falls_to else row.falls_to


def parse_sheet(text: str, node: str) -> DutySheet:
    """Parses the `duty.toml` of a province; refuses TOML_*. What rows say of each other is `check_duty`."""
    return load_toml(DutySheet, parse_toml(text, what=f"duty {node}"), what=f"duty {node}")


def read_once(read: Callable[[Mapping[str, bytes]], T]) -> Callable[[Mapping[str, bytes]], T]:
    """Reads the files of an agreement, which nobody changes, once: each act asks for what they say a dozen times."""
    newest: deque[tuple[Mapping[str, bytes], T]] = deque(maxlen=_READ_AGREEMENTS)

    @wraps(read)
    def found(files: Mapping[str, bytes]) -> T:
        known = next((value for of, value in tuple(newest) if of is files), None)  # another thread may add one
        if known is None:
            known = read(files)
            newest.append((files, known))
        return known

    return found


_READ_AGREEMENTS: Final = 4


@read_once
def read_duty(files: Mapping[str, bytes]) -> Duty:
    """The duty of an agreement; empty where no province has a sheet. Refuses as `parse_sheet`."""
    return _read(tuple(sorted((path, content) for path, content in files.items() if path.startswith(DUTY))))


@lru_cache(maxsize=4)
def _read(sheets: tuple[tuple[str, bytes], ...]) -> Duty:
    found = {NodeName(path.removeprefix(DUTY).removesuffix(".toml")): content for path, content in sheets}
    return Duty(sheets={node: parse_sheet(content.decode(errors="replace"), node) for node, content in found.items()})


# ---- who rings


class Rung(StrEnum):
    """The steps of the ladder while nobody claims."""

    OWN = "own"
    OWN_AGAIN = "own_again"
    DEPUTIES = "deputies"
    LEADERS = "leaders"
    PREFECTURES = "prefectures"
    PROVINCES = "provinces"


AFTER_SECONDS: Final[Mapping[Rung, int]] = {
    Rung.OWN: 0, Rung.OWN_AGAIN: 40, Rung.DEPUTIES: 60, Rung.LEADERS: 120, Rung.PREFECTURES: 300, Rung.PROVINCES: 600
}  # fmt: skip
"""From the dispatch on; a proposal."""


class Ring(Struct, frozen=True, kw_only=True):
    """One step: those who are rung, in order, and those who see it without a bell."""

    rung: Rung
    after_seconds: int
    rings: tuple[str, ...]
    sees: tuple[str, ...] = ()


class Scene(Struct, frozen=True, kw_only=True):
    """The place and moment of an alert: its county, its area ("" for none), what else holds of it."""

    county: str
    area: str = ""
    at: datetime
    holds: Collection[When] = ()


def ladder(duty: Duty, kind: AlertKind, scene: Scene, *, priority: Priority | None = None) -> tuple[Ring, ...]:
    """Returns who rings for an alert, step by step; an agreed table leaves no step of the own side empty.

    Leaders of both sides ring at once where the priority says so; else at their own step. Refuses a county in which no
    desk has the kind (DUTY_NOBODY).

    Each act on an alert asks anew, and hours are of minutes: what was found for a minute is kept for a while.
    """
    minute, ticked = scene.at.replace(second=0, microsecond=0), frozenset(scene.holds)
    key = (kind.id, scene.county, scene.area, minute, ticked, "" if priority is None else priority.id)
    known = duty.ladders.get(key)
    if known is None or known[0] is not kind or known[1] is not priority:
        if len(duty.ladders) >= _MAX_LADDERS:
            duty.ladders.clear()
        known = duty.ladders[key] = kind, priority, _ladder(duty, kind, scene, priority=priority)
    return known[2]


_MAX_LADDERS: Final = 1024


def _ladder(duty: Duty, kind: AlertKind, scene: Scene, *, priority: Priority | None) -> tuple[Ring, ...]:
    own = own_desks(duty, kind, scene)
    if not own:
        raise NotFoundError(
            "DUTY_NOBODY", "该县没有承担该类警情的席位。 | No desk of the county has that kind of alert."
        )
    others = neighbour_desks(duty, kind, scene)
    deputies = [duty.open_desk(each, scene.at) for desk in own for each in duty.desks[desk].deputies]
    leaders = _leaders(duty, (*own, *others)) if is_notified(kind, Notified.LEADER, scene) else _leaders(duty, own)
    counties = _unique(duty.desks[desk].agency.county for desk in (*own, *others))
    provinces = _unique(duty.desks[desk].agency.node for desk in (*own, *others))
    at_once = leaders if priority is not None and priority.leaders_at_once else ()
    helpers = tuple(each for each in _unique((*deputies, *others)) if each not in own)
    steps = {
        Rung.OWN: ((*own, *at_once), others),
        Rung.OWN_AGAIN: (own, ()),
        Rung.DEPUTIES: (helpers, ()),
        Rung.LEADERS: (leaders, ()),
        Rung.PREFECTURES: (_unique(f"{county[:4]}00" for county in counties), ()),
        Rung.PROVINCES: (provinces, ()),
    }
    return tuple(
        Ring(rung=rung, after_seconds=AFTER_SECONDS[rung], rings=rings, sees=sees)
        for rung, (rings, sees) in steps.items()
    )


def own_desks(duty: Duty, kind: AlertKind, scene: Scene) -> tuple[str, ...]:
    """The open desks of the own county that have the kind: those of the area in its order, else the county's."""
    area = duty.areas.get(scene.area)
    in_area = [desk for desk in area.desks if desk in duty.desks] if area is not None and _has(area, kind) else []
    agencies = _agencies(kind, Notified.DESK)
    return _with_kind(duty, in_area, kind, scene, (scene.county,), agencies) or _with_kind(
        duty, duty.full_time_first, kind, scene, (scene.county,), agencies
    )


def neighbour_desks(duty: Duty, kind: AlertKind, scene: Scene) -> tuple[str, ...]:
    """The open desks over the border: of the area and those beside it, then of the paired counties.

    None where the kind is not told to neighbours, or what must hold for it does not. Downstream counties come first
    for the kinds that say so.
    """
    if not is_notified(kind, Notified.NEIGHBOUR, scene):
        return ()
    area = duty.areas.get(scene.area)
    beside = [duty.areas[each] for each in (area.neighbours if area else ()) if each in duty.areas]
    near = [desk for each in ((area,) if area else ()) + tuple(beside) for desk in each.desks if desk in duty.desks]
    counties = _unique(
        duty.desks[desk].agency.county for desk in near if duty.desks[desk].agency.county != scene.county
    )
    counties = _unique((*counties, *duty.neighbours_of(scene.county)))
    if kind.downstream_first and area is not None:
        counties = tuple(sorted(counties, key=lambda county: county not in area.downstream_first))
    agencies = _agencies(kind, Notified.NEIGHBOUR)
    found: list[str] = []
    for county in counties:
        closest = _with_kind(duty, near, kind, scene, (county,), agencies)
        found += closest or _with_kind(duty, duty.full_time_first, kind, scene, (county,), agencies)
    return _unique(found)


def _with_kind(
    duty: Duty,
    desks: Iterable[str],
    kind: AlertKind,
    scene: Scene,
    counties: Collection[str],
    agencies: Collection[str],
) -> tuple[str, ...]:
    """Those of the desks, or what they fall to, that have the kind, are of these counties and of such an agency."""
    open_now = _unique(duty.open_desk(desk, scene.at) for desk in desks if duty.desks[desk].agency.county in counties)
    rows = (duty.desks[desk] for desk in open_now)
    return tuple(row.id for row in rows if kind.id in row.kinds and (not agencies or row.agency.kind in agencies))


def _has(area: Area, kind: AlertKind) -> bool:
    return not area.kinds or kind.id in area.kinds


def is_notified(kind: AlertKind, to: Notified, scene: Scene) -> bool:
    """True when the kind notifies these, and what it is conditioned on holds."""
    return any(each.to is to and (each.when is When.ALWAYS or each.when in scene.holds) for each in kind.receives)


def _agencies(kind: AlertKind, to: Notified) -> frozenset[str]:
    return frozenset(agency for each in kind.receives if each.to is to for agency in each.agencies)


def _leaders(duty: Duty, desks: Iterable[str]) -> tuple[str, ...]:
    return _unique(duty.desks[desk].leader for desk in desks if duty.desks[desk].leader)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


# ---- the check before anybody agrees on it


def check_duty(files: Mapping[str, bytes]) -> Iterator[ProcedureCheck]:
    """Checks the sheet of each province beside the others and the table of alerts; without sheets there is nothing."""
    try:
        duty = read_duty(files)
        kinds = frozenset(read_alerts(files).kinds) if duty.sheets else frozenset()
    except BridgeheadError as error:
        yield ProcedureCheck(name="duty", stages=0, findings=(Finding(what=error.reason, where=error.message),))
        return
    for node, sheet in duty.sheets.items():
        found = tuple(_strangers(duty, node, kinds)) or tuple(_faults(duty, node, kinds))
        yield ProcedureCheck(name=f"duty/{node}", stages=len(sheet.desk) + len(sheet.area), findings=found)


def _strangers(duty: Duty, node: NodeName, kinds: frozenset[str]) -> Iterator[Finding]:
    """Names that no sheet has; ids that stand twice, or in two sheets that do not agree."""
    sheet, there = duty.sheets[node], lambda name: not duty.is_absent(name)
    everywhere = [desk.id for each in duty.sheets.values() for desk in each.desk]
    for where, ids in (("area", [area.id for area in sheet.area]), ("mobile", [each.id for each in sheet.mobile])):
        yield from (Finding(what="TWICE", where=where, name=name) for name in sorted(set(ids)) if ids.count(name) > 1)
    for desk in sheet.desk:
        where = f"desk {desk.id}"
        if everywhere.count(desk.id) > 1:
            yield Finding(what="TWICE", where=where)
        if desk.agency.node != node or not desk.id.startswith(desk.agency.county):
            yield Finding(what="DESK_ELSEWHERE", where=where, name=str(desk.agency))
        yield from not_in(desk.kinds, kinds, what="KIND_UNKNOWN", where=where)
        named = (*desk.deputies, *((desk.falls_to,) if desk.falls_to else ()))
        yield from not_in(named, duty.desks, what="DESK_UNKNOWN", where=where)
    for area in sheet.area:
        where = f"area {area.id}"
        yield from not_in(filter(there, area.desks), duty.desks, what="DESK_UNKNOWN", where=where)
        yield from not_in(filter(there, area.neighbours), duty.areas, what="AREA_UNKNOWN", where=where)
        yield from not_in(area.kinds, kinds, what="KIND_UNKNOWN", where=where)
        yield from not_in(area.downstream_first, area.county, what="COUNTY_NOT_HERE", where=where)
    yield from not_in(
        filter(there, (each.area for each in sheet.former)), duty.areas, what="AREA_UNKNOWN", where="former"
    )
    yield from not_in((each.base for each in sheet.mobile), duty.desks, what="DESK_UNKNOWN", where="mobile")
    elsewhere = (each.id for each in sheet.volunteers if each.id[:6] not in {desk.agency.county for desk in sheet.desk})
    yield from (Finding(what="VOLUNTEER_COUNTY", where="volunteers", name=name) for name in elsewhere)
    claims = (f"{each.id} {act}" for each in sheet.volunteers for act in each.may if act not in _VOLUNTEERS_MAY)
    yield from (Finding(what="VOLUNTEER_ACT", where="volunteers", name=name) for name in claims)


_VOLUNTEERS_MAY: Final = frozenset({"report", "note", "found", "fixed"})
_BORDER: Final = frozenset(frozenset((pair.one, pair.other)) for pair in BORDER_PAIRS)


def _faults(duty: Duty, node: NodeName, kinds: frozenset[str]) -> Iterator[Finding]:
    sheet = duty.sheets[node]
    numbers = [(desk.agency, desk.number) for desk in sheet.desk]
    for desk in sheet.desk:
        where = f"desk {desk.id}"
        if numbers.count((desk.agency, desk.number)) > 1:
            yield Finding(what="NUMBER_TWICE", where=where, name=desk.number)
        target = duty.desks.get(desk.falls_to)
        if not desk.never_closes and (
            target is None or not target.never_closes or target.agency.county != desk.agency.county
        ):
            yield Finding(what="FALLS_TO", where=where, name=desk.falls_to)
        if desk.id in _deputies_of(duty, desk.id):
            yield Finding(what="DEPUTY_CIRCLE", where=where)
    for county in sorted({desk.agency.county for desk in sheet.desk}):
        held = {kind for desk in sheet.desk if desk.agency.county == county for kind in desk.kinds}
        missing = sorted(kinds - held)
        yield from (Finding(what="KIND_NO_DESK", where=f"county {county}", name=kind) for kind in missing)
    for area in sheet.area:
        yield from _area_faults(duty, node, area)
    for each in sheet.former:
        if each.until.day != 1 or each.until.month % 3 != 1:
            yield Finding(what="QUARTER_DAY", where=f"former {each.area}", name=str(each.until))
    for one, other in sheet.pairs:
        yield from _pair_faults(duty, node, one, other)


def _area_faults(duty: Duty, node: NodeName, area: Area) -> Iterator[Finding]:
    where = f"area {area.id}"
    rows = [duty.desks[each] for each in area.desks if each in duty.desks]
    reach = {desk for row in rows for desk in (row.id, row.falls_to) if desk}
    there = {duty.desks[desk].agency.county for desk in reach if duty.desks[desk].never_closes}
    members = (county for county in area.county if not duty.is_absent(county))
    yield from not_in(members, there, what="AREA_NO_DESK", where=where)
    for other, sheet in duty.sheets.items():
        same = [each for each in sheet.area if each.id == area.id]
        shares = any(desk.agency.county in area.county for desk in sheet.desk)
        is_same = same == [area] and _former(sheet, area) == _former(duty.sheets[node], area)
        if other != node and (same or shares) and not is_same:
            yield Finding(what="AREA_DIFFERS", where=where, name=other)
    for name in area.neighbours:
        if name in duty.areas and area.id not in duty.areas[name].neighbours:
            yield Finding(what="ONE_SIDED", where=where, name=name)


def _former(sheet: DutySheet, area: Area) -> frozenset[FormerTerms]:
    return frozenset(each for each in sheet.former if each.area == area.id)


def _pair_faults(duty: Duty, node: NodeName, one: str, other: str) -> Iterator[Finding]:
    where, pair = f"pair {one}-{other}", frozenset((one, other))
    if pair not in _BORDER:
        yield Finding(what="NO_BORDER", where=where)
    for each, sheet in duty.sheets.items():
        beside = any(desk.agency.county in pair for desk in sheet.desk)
        if each != node and beside and pair not in map(frozenset, sheet.pairs):
            yield Finding(what="ONE_SIDED", where=where, name=each)


def _deputies_of(duty: Duty, desk: str) -> set[str]:
    """Every desk that is reached by going from deputy to deputy."""
    found: set[str] = set()
    todo = [desk]
    while todo:
        new = [each for each in duty.desks[todo.pop()].deputies if each not in found]
        found.update(new)
        todo += new
    return found


# ---- what the next agreement may not change


def verify_class_kept(before: Duty, after: Duty, *, now: datetime) -> None:
    """Refuses another class, or other minutes, of an area or a place within the running quarter (DUTY_CLASS).

    They begin with a quarter that has not begun; until then the sheet says the `former` ones. What a province without
    a sheet had is not known.
    """
    places = {code for duty in (before, after) for area in duty.areas.values() for code in area.divisions}
    pairs = [(code, before.area_of(code), after.area_of(code)) for code in sorted(places)]
    pairs += [(name, area, after.areas[name]) for name, area in sorted(before.areas.items()) if name in after.areas]
    for name, one, other in pairs:
        was, now_is = before.terms_of(one, now), after.terms_of(other, now)
        is_known = not before.is_absent(name) and not after.is_absent(name)
        if is_known and (was.duty_class, was.arrive_limit) != (now_is.duty_class, now_is.arrive_limit):
            raise RuleError(
                "DUTY_CLASS",
                f"{name} 的类别或者到场时限本季度内不得变更，自下季度起生效。 | "
                f"The class and minutes of {name} stay as they are until the next quarter.",
            )
