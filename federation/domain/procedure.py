"""Procedures as data: the stages of a kind of joint case, read from `policies/procedures/NAME.toml`.

Rules kept: a file names acts, conditions, clocks and classes of closed vocabularies, and holds no code and no
expression; stages stand in order, and a `next` that stands earlier is a return; an end stands in the stage from which
the case may close. `procedure_findings` is the check before anybody agrees on it. Source: DESIGN section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Annotated, Final

from msgspec import Struct

from federation.domain.acts import EVERYWHERE
from federation.domain.case_items import AT_HOME, CLASSES
from federation.domain.clock import CALENDAR_FILE, CLOCKS_FILE, Calendar, ClockTable, parse_calendar, parse_clocks
from federation.domain.conditions import CONDITIONS
from federation.domain.permits_policy import FunctionCode
from federation.protocol.errors import MalformedError, NotFoundError, nearest
from federation.protocol.form import Row, load_toml, parse_toml
from federation.protocol.ids import matching

PROCEDURES: Final = "policies/procedures/"
END: Final = "end"
ANY: Final = "any"
ALL: Final = "all"
AGREED: Final = "agreed"
"""A view of a class: all fields of what both sides agreed on, by its entry's head, and nothing else."""
CLOSED: Final = "case.closed"
"""The event that every case has; the others are those of its procedure."""
TIERS: Final = "VTCJ"
"""Village, town, county, across provinces: from the lowest on."""

NEVER_CROSS: Final = AT_HOME
"""Classes of which nobody but the author's office is ever given anything."""
CLASS_FIELDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {name: frozenset(fields) for name, fields in CLASSES.items()}
)
"""The classes of items and their fields, as procedures name them."""

_Word = Annotated[str, matching("[a-z][a-z0-9_]{0,31}", form="a word of lower-case letters")]
_Name = Annotated[str, matching("[a-z][a-z0-9-]{0,39}", form="a name of lower-case letters and hyphens")]
_Event = Annotated[str, matching(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", form="an event such as 'case.accepted'")]
_Tier = Annotated[str, matching(f"[{TIERS}](-[{TIERS}])?", form="a tier V, T, C, J, or two such as 'T-J'")]

_Side = Annotated[str, matching("A|B|any", form="A, B or any")]
_Regime = Annotated[str, matching("decided|suspends|disclosed", form="one of decided, suspends, disclosed")]


class Role(Row, frozen=True, kw_only=True):
    """A part that agencies of some kinds take, of the lead's province (A), of another (B), or of either.

    `recusal`: an officer's head decides on a tie and work goes on (`decided`), work waits until then (`suspends`), or
    a tie that was disclosed and that every party accepts is none (`disclosed`).
    """

    id: _Word
    zh: str
    en: str
    kinds: frozenset[str]
    side: _Side
    recusal: _Regime = "decided"


class Timed(Row, frozen=True, kw_only=True):
    """A clock of a stage. `each`: one clock for each value of that field of what starts it.

    `trace_zh`, `trace_en`: the line of the stage for as long as no clock before this one has begun.
    """

    clock: str
    starts_on: _Event
    on_breach: _Word
    each: str = ""
    trace_zh: str = ""
    trace_en: str = ""


class Stage(Row, frozen=True, kw_only=True):
    """One stage. `by` narrows an act to some of `who`; an empty `next` is refused."""

    id: _Word
    zh: str
    en: str
    who: tuple[_Word, ...]
    acts: tuple[_Word, ...]
    by: dict[str, tuple[str, ...]] = {}  # noqa: RUF012  # a default of a struct, copied by msgspec
    enter: tuple[_Word, ...] = ()
    leave: tuple[_Word, ...] = ()
    next: tuple[_Word, ...]
    tier: _Tier
    entry: bool = False
    trace_zh: str = ""
    trace_en: str = ""
    deadline: tuple[Timed, ...] = ()


class Outcome(Row, frozen=True, kw_only=True):
    """An end, from one stage or from `any`; in the last stage the conditions to leave it come on top."""

    id: _Word
    zh: str
    en: str
    stage: _Word
    needs: tuple[_Word, ...] = ()


class Event(Row, frozen=True, kw_only=True):
    """An act, entering a stage, or a condition that comes true, for clocks. `at`: the act's own day.

    `says` narrows it to acts whose fields say one of the words.
    """

    id: _Event
    acts: tuple[_Word, ...] = ()
    stages: tuple[_Word, ...] = ()
    says: dict[str, tuple[str, ...]] = {}  # noqa: RUF012  # as above
    when: str = ""
    at: str = ""


class Gate(Row, frozen=True, kw_only=True):
    """Conditions of one act, in whatever stage it is done."""

    act: _Word
    needs: tuple[_Word, ...]


class Listed(Row, frozen=True, kw_only=True):
    """A line of 职责, 任务 or 保障: who, and what."""

    who: str
    zh: str
    en: str


class Procedure(Row, frozen=True, kw_only=True, dict=True):
    """One kind of joint case.

    `papers` are the kinds of papers that must be attached, `papers_administrative` those in an administrative case.

    `held_back`: a citizen is told how many lines there are, and none of them before an office says that they may be
    (PIPL 35: while it would hinder the case).
    `lookups` are the purposes for which look-ups may be granted in it, none where none may.
    `classes`: for each class of items what each role is given, all or some fields. `A` stands for every office of the
    province where a case was opened, `B` for those of the other that are not named by their role, `citizen` for the
    party whom an item is about. `since`: in the same form, what a role is given beyond that once the case has entered a
    stage. `later`: what may be handed to a role beyond all that (`disclose_item`).

    `provinces`: the most whose offices take part, the one where it was opened among them; 0 for any number.
    """

    name: _Name
    title_zh: str
    title_en: str
    purpose: str
    function: FunctionCode
    official: bool
    source: str
    retention: str
    papers: tuple[_Word, ...] = ()
    papers_administrative: tuple[_Word, ...] = ()
    lookups: tuple[str, ...] = ()
    held_back: bool = False
    provinces: int = 0
    role: tuple[Role, ...]
    stage: tuple[Stage, ...]
    outcome: tuple[Outcome, ...]
    event: tuple[Event, ...] = ()
    gate: tuple[Gate, ...] = ()
    classes: dict[str, dict[str, str | tuple[str, ...]]] = {}  # noqa: RUF012  # as above
    since: dict[str, dict[str, dict[str, str | tuple[str, ...]]]] = {}  # noqa: RUF012  # as above
    later: dict[str, dict[str, str | tuple[str, ...]]] = {}  # noqa: RUF012  # as above
    duties: tuple[Listed, ...] = ()
    tasks: tuple[Listed, ...] = ()
    guarantees: tuple[Listed, ...] = ()

    @cached_property
    def stages(self) -> Mapping[str, Stage]:
        return {stage.id: stage for stage in self.stage}

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        return {role.id: role for role in self.role}

    @cached_property
    def order(self) -> Mapping[str, int]:
        return {stage.id: number for number, stage in enumerate(self.stage)}

    @cached_property
    def acting_roles(self) -> frozenset[str]:
        """The roles that do something in some stage; the others look on."""
        return frozenset(role for stage in self.stage for role in stage.who) | {"lead", "owner"}

    @cached_property
    def gates(self) -> Mapping[str, tuple[str, ...]]:
        return {gate.act: gate.needs for gate in self.gate}

    @cached_property
    def _events(self) -> Mapping[str, tuple[Event, ...]]:
        found: dict[str, tuple[Event, ...]] = {}
        for event in self.event:
            raised = {*event.acts, *(("open", "move") if event.stages else ())}
            if event.when in CONDITIONS:
                raised |= {act for acts in CONDITIONS[event.when].fact.acts for act in acts}
            found |= {act: (*found.get(act, ()), event) for act in raised}
        return found

    def events_of(self, act: str) -> tuple[Event, ...]:
        """The events that an act may be, or bring about."""
        return self._events.get(act, ())

    @cached_property
    def _started(self) -> Mapping[str, tuple[Timed, ...]]:
        found: dict[str, tuple[Timed, ...]] = {}
        for timed in (timed for stage in self.stage for timed in stage.deadline):
            found[timed.starts_on] = (*found.get(timed.starts_on, ()), timed)
        return found

    def started_by(self, event: str) -> tuple[Timed, ...]:
        return self._started.get(event, ())

    @cached_property
    def acts(self) -> frozenset[str]:
        """Every act that is done somewhere in it."""
        return EVERYWHERE | {act for stage in self.stage for act in stage.acts} | {"open"}

    def ends_of(self, stage: str) -> tuple[Outcome, ...]:
        """The ends that a case may have from a stage."""
        return tuple(end for end in self.outcome if end.stage in (stage, ANY))

    def is_return(self, stage: str, to: str) -> bool:
        return self.order[to] < self.order[stage]

    def seen(
        self, name: str, roles: Iterable[str], side: str, *, agreed: bool = True, entered: Iterable[str] = ()
    ) -> frozenset[str]:
        """The fields of a class of items that an office of these roles and that side (A, B) is given; none for none.

        `agreed`: both sides agreed on what the entry says. `entered`: the stages that the case has entered.
        """
        tables = (self.classes, *(self.since.get(stage, {}) for stage in entered))
        known = (*roles,)
        return frozenset().union(
            *(_fields_of(table.get(name, {}), name, known, side, agreed=agreed) for table in tables)
        )

    def given_later(self, name: str, roles: Iterable[str], side: str) -> frozenset[str]:
        """The fields of a class that may be handed to such an office, as `seen`, when another one decides so."""
        return _fields_of(self.later.get(name, {}), name, roles, side, agreed=True)

    def seen_by_any(self, name: str, side: str) -> frozenset[str]:
        """The fields of a class of items that some office of that side may be given, at once or later."""
        roles = (*self.roles, *self.acting_roles)
        return self.seen(name, roles, side, entered=self.since) | self.given_later(name, roles, side)


def _fields_of(
    said: Mapping[str, str | tuple[str, ...]], name: str, roles: Iterable[str], side: str, *, agreed: bool
) -> frozenset[str]:
    """The fields of a class that a row of `classes` or `later` opens."""
    views = [said["A"]] if side == "A" and "A" in said else [said.get(role, said.get(side, ())) for role in roles]
    whole = (ALL, AGREED) if agreed else (ALL,)
    return frozenset().union(
        *(CLASS_FIELDS[name] if view in whole else () if view == AGREED else view for view in views)
    )


class Rules(Struct, frozen=True, kw_only=True):
    """A procedure with the clocks and the calendar of the agreement that a case pins."""

    procedure: Procedure
    clocks: ClockTable
    calendar: Calendar


@lru_cache(maxsize=32)  # one text is read again by each draft, signature, version and case
def parse_procedure(text: str, name: str) -> Procedure:
    """Parses the file of a procedure; refuses TOML_*, PROCEDURE_NAME when it stands in the file of another name."""
    procedure = load_toml(Procedure, parse_toml(text, what=name), what=name)
    if procedure.name != name:
        raise MalformedError("PROCEDURE_NAME", f"{name}: expected the name of its file, got {procedure.name}")
    return procedure


def read_rules(files: Mapping[str, bytes], name: str) -> Rules:
    """The procedure of that name, of the files of one agreement. Refuses PROCEDURE_UNKNOWN, and files that are none."""
    path = f"{PROCEDURES}{name}.toml"
    if path not in files:
        zh, en = nearest(name, procedure_names(files))
        raise NotFoundError("PROCEDURE_UNKNOWN", f"协议中没有这一程序{zh} | expected a procedure of the agreement{en}")
    for needed, reason in (
        (CLOCKS_FILE, "CLOCK_FILE"),
        (CALENDAR_FILE, "CALENDAR_MISSING"),
    ):
        if needed not in files:
            raise NotFoundError(reason, f"expected the agreement to hold {needed}")
    return Rules(
        procedure=parse_procedure(files[path].decode(errors="replace"), name),
        clocks=parse_clocks(files[CLOCKS_FILE].decode(errors="replace")),
        calendar=parse_calendar(files[CALENDAR_FILE].decode(errors="replace")),
    )


def procedure_names(files: Mapping[str, bytes]) -> list[str]:
    """The procedures that an agreement carries; an agreement may have none."""
    found = (path for path in files if path.startswith(PROCEDURES) and path.endswith(".toml"))
    return sorted(path.removeprefix(PROCEDURES).removesuffix(".toml") for path in found)
