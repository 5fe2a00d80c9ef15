"""The kinds of alert: `policies/alerts.toml`, with what each begins with, who is told, what crosses, its colours.

Rules kept: a colour is refused where law has none, and stays a proposal (建议) without who issued it and by which
document, or where the issuer's rank is below it; only who issued it lowers or lifts it; every alert has a priority;
what is no alert is refused by its name, with the reason; a trigger of a forest fire holds at its very number.
Source: 突发事件应对法 articles 63, 64, 70; the articles beside each row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Annotated, Final

from msgspec import Struct

from federation.domain.case_items import CLASSES
from federation.domain.clock import CLOCKS_FILE, parse_clocks
from federation.domain.findings import Finding, ProcedureCheck, not_in
from federation.domain.functions import FUNCTIONS_FILE, parse_functions
from federation.domain.permits_policy import FunctionCode
from federation.domain.retention import ALERT, EMERGENCY, EVIDENCE, RETENTION_FILE, parse_retention
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError, nearest
from federation.protocol.form import Count, Positive, Row, load_toml, parse_toml
from federation.protocol.ids import matching

ALERTS_FILE: Final = "policies/alerts.toml"
ONE_THREE_TEN: Final = ("alert.accept", "alert.contact", "alert.arrive")
"""The three of 1-3-10, from the dispatch on."""
MAX_MINUTES: Final = 10_080
"""The longest that an alert may be valid, where its kind says nothing else."""

_Id = Annotated[str, matching(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*", form="words of lower-case letters")]


class Category(StrEnum):
    """As CAP 1.2 has them; so are the four below."""

    GEO = "Geo"
    MET = "Met"
    SAFETY = "Safety"
    SECURITY = "Security"
    RESCUE = "Rescue"
    FIRE = "Fire"
    HEALTH = "Health"
    ENV = "Env"
    TRANSPORT = "Transport"
    INFRA = "Infra"
    CBRNE = "CBRNE"
    OTHER = "Other"


class Response(StrEnum):
    SHELTER = "Shelter"
    EVACUATE = "Evacuate"
    PREPARE = "Prepare"
    EXECUTE = "Execute"
    AVOID = "Avoid"
    MONITOR = "Monitor"
    ASSESS = "Assess"
    ALL_CLEAR = "AllClear"
    NONE = "None"


class Urgency(StrEnum):
    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    FUTURE = "Future"
    PAST = "Past"
    UNKNOWN = "Unknown"


class Severity(StrEnum):
    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"


class Certainty(StrEnum):
    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNKNOWN = "Unknown"


class Family(StrEnum):
    """社会安全, 自然灾害, 事故灾难; a kind may be of none."""

    SOCIAL = "social"
    DISASTER = "disaster"
    ACCIDENT = "accident"


class Colours(StrEnum):
    """The source of a colour, if there is one; `received` comes in by import only."""

    NONE = "none"
    GOVERNMENT = "government"
    RELAYED = "relayed"
    RECEIVED = "received"


class Rank(StrEnum):
    """The rank of a body, by the code of its division."""

    TOWN = "town"
    COUNTY = "county"
    PREFECTURE = "prefecture"
    PROVINCE = "province"


class Notified(StrEnum):
    DESK = "desk"
    NEIGHBOUR = "neighbour"
    LEADER = "leader"
    PROVINCE = "province"


class When(StrEnum):
    """The condition on which a receiver is notified."""

    ALWAYS = "always"
    BOTH_SIDES = "both_sides"
    WITHIN_3_KM = "within_3_km"
    CAR_OF_THEIRS = "car_of_theirs"
    MOVES_OVER = "moves_over"
    ON_THE_LINE = "on_the_line"
    COUNTY_OF_VICTIM = "county_of_victim"
    CONFIRMED = "confirmed"
    TRIGGER = "trigger"
    DRINKING_WATER = "drinking_water"
    ORANGE_OR_ABOVE = "orange_or_above"


class Level(Row, frozen=True, kw_only=True):
    """A colour (红橙黄蓝): its severity in CAP, and the ranks of those who may set it."""

    id: _Id
    zh: str
    en: str
    severity: Severity
    ranks: tuple[Rank, ...]


class Priority(Row, frozen=True, kw_only=True):
    id: _Id
    zh: str
    en: str
    leaders_at_once: bool
    second_bell: bool
    night_bell: bool


class Fact(Row, frozen=True, kw_only=True):
    """A field that an alert may have. `personal`: the pattern that it may hold; `agencies`: who alone is shown it."""

    id: _Id
    zh: str
    en: str
    personal: str = ""
    agencies: tuple[str, ...] = ()


class Receiver(Row, frozen=True, kw_only=True):
    to: Notified
    when: When = When.ALWAYS
    agencies: tuple[str, ...] = ()


class Law(Row, frozen=True, kw_only=True):
    """An article; `verified`: it was read; `state`: what became of that text."""

    text: str
    verified: bool
    state: str = ""


class AlertKind(Row, frozen=True, kw_only=True):
    """One kind. A severity of None follows the colour; 0 for `expires`: the alert says itself until when."""

    id: _Id
    zh: str
    en: str
    events: tuple[str, ...] = ()
    purpose: str
    function: FunctionCode
    category: tuple[Category, ...]
    response: tuple[Response, ...]
    urgency: Urgency
    severity: Severity | None = None
    certainty: Certainty
    family: Family | None = None
    colours: Colours
    issued_by: tuple[str, ...] = ()
    priority: _Id = "urgent"
    raised_by: tuple[_Id, ...] = ()
    receives: tuple[Receiver, ...]
    downstream_first: bool = False
    clocks: tuple[_Id, ...] = ()
    crosses: tuple[_Id, ...]
    never: tuple[str, ...] = ()
    expires: Count
    expires_most: Positive = MAX_MINUTES
    law: tuple[Law, ...]
    figures: tuple[_Id, ...]

    @property
    def measured(self) -> bool:
        """True for the kinds that 1-3-10 is measured for."""
        return set(self.clocks) >= set(ONE_THREE_TEN)

    @property
    def event_texts(self) -> tuple[str, ...]:
        """The words for the event in CAP; of what is passed on it is the name as received."""
        return self.events or (self.zh,)


class Refused(Row, frozen=True, kw_only=True):
    """Something that is no alert, by all its names."""

    names: tuple[str, ...]
    zh: str
    en: str
    basis: str


class Trigger(Row, frozen=True, kw_only=True):
    """A reason to tell the province of a forest fire: all flags are ticked, or one of the numbers is reached."""

    number: Positive
    id: _Id
    zh: str
    en: str
    flags: frozenset[str] = frozenset()
    least: dict[str, Positive] = {}  # noqa: RUF012  # a default of a struct, copied by msgspec


class Grade(Row, frozen=True, kw_only=True):
    """The estimate of a fire from one of its numbers on; the lowest names none."""

    id: _Id
    zh: str
    en: str
    least: dict[str, Positive] = {}  # noqa: RUF012  # as above


class ForestText(Row, frozen=True, kw_only=True):
    """The text that triggers and grades are of, and whether it was read as it is in force."""

    instrument: str
    text_state: str
    official: bool
    verified: bool


class BodyCodes(Row, frozen=True, kw_only=True):
    """The three figures of a body in a message's name, by kind of agency."""

    official: bool
    codes: dict[str, Annotated[str, matching("[0-9]{3}", form="three digits")]]


class AlertTable(Row, frozen=True, kw_only=True, dict=True):
    """The agreed file. The rows of each list are found by their id."""

    version: str
    official: bool
    level: tuple[Level, ...]
    priority: tuple[Priority, ...]
    field: tuple[Fact, ...]
    kind: tuple[AlertKind, ...]
    refused: tuple[Refused, ...]
    trigger: tuple[Trigger, ...]
    grade: tuple[Grade, ...]
    forest: ForestText
    body: BodyCodes

    @cached_property
    def kinds(self) -> Mapping[str, AlertKind]:
        return {kind.id: kind for kind in self.kind}

    @cached_property
    def levels(self) -> Mapping[str, Level]:
        """By id and by the one character of it."""
        return {name: level for level in self.level for name in (level.id, level.zh)}

    @cached_property
    def priorities(self) -> Mapping[str, Priority]:
        """By id and by the Chinese word."""
        return {name: priority for priority in self.priority for name in (priority.id, priority.zh)}

    @cached_property
    def facts(self) -> Mapping[str, Fact]:
        return {fact.id: fact for fact in self.field}

    def severity_of(self, kind: AlertKind, level: str = "") -> Severity:
        """The severity in CAP: of the colour where there is one, else the kind's own; Unknown when neither says it."""
        return self.levels[level].severity if level else kind.severity or Severity.UNKNOWN

    def priority_of(self, kind: AlertKind, facts: Iterable[str] = ()) -> Priority:
        """The priority that an alert begins with; a fact that is so (violence) raises it to urgent."""
        return self.priorities["urgent" if set(facts) & set(kind.raised_by) else kind.priority]


@lru_cache(maxsize=4)  # as the clock table
def parse_alerts(text: str) -> AlertTable:
    """Parses `alerts.toml`; refuses TOML_*. What rows say of each other is `check_alerts`."""
    return load_toml(AlertTable, parse_toml(text, what="alerts"), what="alerts")


def read_alerts(files: Mapping[str, bytes]) -> AlertTable:
    """The table among the files of an agreement; refuses an agreement without one (ALERTS_MISSING)."""
    if ALERTS_FILE not in files:
        raise NotFoundError("ALERTS_MISSING", f"expected the agreement to hold {ALERTS_FILE}")
    return parse_alerts(files[ALERTS_FILE].decode(errors="replace"))


def load_kind(table: AlertTable, name: str) -> AlertKind:
    """Returns a kind by its id; refuses what is no alert, with the reason (ALERT_KIND_REFUSED), ALERT_KIND_UNKNOWN."""
    for refused in table.refused:
        if name.strip().casefold() in refused.names:
            raise RuleError("ALERT_KIND_REFUSED", f"{refused.zh} | {refused.en} ({refused.basis})")
    kind = table.kinds.get(name)
    if kind is None:
        zh, en = nearest(name, (*table.kinds, *(each.zh for each in table.kind)))
        raise NotFoundError("ALERT_KIND_UNKNOWN", f"没有这一警情类别{zh} | there is no such kind of alert{en}")
    return kind


def rank_of(issued_by: str) -> Rank:
    """The rank of a body by the division code (6, 9, 12 digits) before its name; refuses another form (ISSUED_BY)."""
    code, space, name = issued_by.partition(" ")
    if not (space and name and code.isascii() and code.isdecimal() and len(code) in (6, 9, 12)):
        said = "发布单位须写作“330822 常山县人民政府”。 | Who issued it is written '330822 常山县人民政府'."
        raise MalformedError("ISSUED_BY", said, field="issued_by")
    if code[6:].strip("0"):
        return Rank.TOWN
    if code[4:6] != "00":
        return Rank.COUNTY
    return Rank.PREFECTURE if code[2:4] != "00" else Rank.PROVINCE


def is_issued(table: AlertTable, kind: AlertKind, level: str, *, issued_by: str, document: str) -> bool:
    """True for a colour that somebody issued who may; False for a proposal (建议), which is shown as such.

    Refuses LEVEL_NONE where law has no colours, LEVEL_UNKNOWN, ISSUED_BY. What is relayed or received keeps the colour
    of its issuer, whatever the rank: the met office and the natural-resources body issue by laws of their own.
    """
    if kind.colours is Colours.NONE:
        said = "该类事件依法不设预警颜色级别，请选择紧急程度。 | Law has no colours for this kind: choose a priority."
        raise RuleError("LEVEL_NONE", said, field="level")
    if level not in table.levels:
        said = "级别只有红、橙、黄、蓝。 | A level is red, orange, yellow or blue."
        raise MalformedError("LEVEL_UNKNOWN", said, field="level")
    if not issued_by or not document:
        return False
    rank = rank_of(issued_by)
    return kind.colours is not Colours.GOVERNMENT or rank in table.levels[level].ranks


def is_level_issued(table: AlertTable, kind: AlertKind, said: Mapping[str, object]) -> bool:
    """True for a content whose colour was issued (`is_issued`); False without one, or for one that nobody may give."""
    level, issued_by, document = (str(said.get(name, "")) for name in ("level", "issued_by", "document"))
    try:
        return is_issued(table, kind, level, issued_by=issued_by, document=document)
    except (RuleError, MalformedError):
        return False


def verify_lifting(
    table: AlertTable, kind: AlertKind, *, before: Mapping[str, object], after: Mapping[str, object]
) -> None:
    """Refuses to lower, lift or take over an issued level for anybody but its issuer (LEVEL_ISSUER; 突发事件应对法 70).

    `before` and `after` are contents; of a cancellation that lifts, `after` is its fields: who lifts, and no level.
    """
    if not is_level_issued(table, kind, before) or after.get("issued_by") == before["issued_by"]:
        return
    severities = [table.severity_of(kind, str(each.get("level", ""))) for each in (after, before)]
    is_higher = [*Severity].index(severities[0]) < [*Severity].index(severities[1])
    if not (is_higher and is_level_issued(table, kind, after)):
        said = "级别只能由原发布单位调整或者解除。 | Only the body that issued a level lowers or lifts it."
        raise RuleError("LEVEL_ISSUER", said, field="issued_by")


class Fired(Struct, frozen=True, kw_only=True):
    """A trigger that holds, with the flags and numbers that made it."""

    trigger: Trigger
    flags: tuple[str, ...]
    numbers: Mapping[str, int]


def fired(table: AlertTable, *, flags: Iterable[str], numbers: Mapping[str, int]) -> tuple[Fired, ...]:
    """The triggers that hold for a forest fire, in their order.

    `flags` are the boxes that a person ticked, `numbers` are area_m2, dead, hurt, open_seconds; an unknown number is
    left out, and makes no trigger.
    """
    ticked, found = frozenset(flags), []
    for trigger in sorted(table.trigger, key=lambda each: each.number):
        made = {name: numbers[name] for name in sorted(trigger.least) if numbers.get(name, 0) >= trigger.least[name]}
        if trigger.flags <= ticked and (made or not trigger.least):
            found.append(Fired(trigger=trigger, flags=tuple(sorted(trigger.flags)), numbers=made))
    return tuple(found)


def estimated_grade(table: AlertTable, numbers: Mapping[str, int]) -> Grade:
    """The highest grade that one of the numbers reaches: an estimate while it burns (预估)."""
    reached = (
        grade
        for grade in reversed(table.grade)
        if not grade.least or any(numbers.get(name, 0) >= least for name, least in grade.least.items())
    )
    return next(reached)


# ---- the check before anybody agrees on it

_FLAGS: Final = frozenset({"national_border", "threat", "primeval", "province_line", "dangerous", "national_help"})
_NUMBERS: Final = frozenset({"area_m2", "dead", "hurt", "open_seconds"})
_ISSUERS: Final = frozenset({"meteorology", "natural-resources"})
"""Bodies that issue, and have no office among ours."""


def check_alerts(files: Mapping[str, bytes]) -> Iterator[ProcedureCheck]:
    """Checks the table of alerts among the files of an agreement; an agreement from before alerts has none."""
    if ALERTS_FILE not in files:
        return
    try:
        table = read_alerts(files)
        found = tuple(_find_faults(table, files))
    except BridgeheadError as error:
        yield ProcedureCheck(name="alerts", stages=0, findings=(Finding(what=error.reason, where=error.message),))
        return
    yield ProcedureCheck(name="alerts", stages=len(table.kind), findings=found)


def _find_faults(table: AlertTable, files: Mapping[str, bytes]) -> Iterator[Finding]:
    lists: dict[str, list[str]] = {
        "level": [level.id for level in table.level],
        "priority": [priority.id for priority in table.priority],
        "field": [fact.id for fact in table.field],
        "kind": [kind.id for kind in table.kind],
        "refused": [name for refused in table.refused for name in refused.names],
        "trigger": [trigger.id for trigger in table.trigger],
        "grade": [grade.id for grade in table.grade],
    }
    for where, ids in lists.items():
        yield from (Finding(what="TWICE", where=where, name=name) for name in sorted(set(ids)) if ids.count(name) > 1)
    for name in sorted({"urgent"} - set(lists["priority"])):
        yield Finding(what="PRIORITY_UNKNOWN", where="priority", name=name)
    clocks = parse_clocks(files.get(CLOCKS_FILE, b"").decode(errors="replace")).rules.keys()
    register = parse_functions(files.get(FUNCTIONS_FILE, b"").decode(errors="replace"))
    agencies = register.agency_kinds.keys()
    refused = frozenset(lists["refused"])
    for kind in table.kind:
        where = f"kind {kind.id}"
        facts = frozenset(lists["field"])
        yield from not_in((kind.function,), register.functions.keys(), what="FUNCTION_UNKNOWN", where=where)
        yield from not_in(kind.clocks, clocks, what="CLOCK_UNKNOWN", where=where)
        yield from not_in((*kind.crosses, *kind.raised_by), facts, what="FIELD_UNKNOWN", where=where)
        yield from not_in((kind.priority,), lists["priority"], what="PRIORITY_UNKNOWN", where=where)
        yield from not_in(kind.issued_by, {*agencies, *_ISSUERS}, what="AGENCY_KIND", where=where)
        notified = [agency for receiver in kind.receives for agency in receiver.agencies]
        yield from not_in(notified, agencies, what="AGENCY_KIND", where=where)
        yield from _kind_faults(kind, refused, where)
    kept = parse_retention(files.get(RETENTION_FILE, b"").decode(errors="replace")).rules
    yield from not_in((EMERGENCY, ALERT, EVIDENCE), kept, what="RETENTION_UNKNOWN", where="retention")
    yield from not_in(lists["field"], CLASSES["detail"], what="FIELD_UNKNOWN", where="field")
    for fact in table.field:
        yield from not_in(fact.agencies, agencies, what="AGENCY_KIND", where=f"field {fact.id}")
    yield from _forest_faults(table)
    yield from not_in(table.body.codes, {*agencies, *_ISSUERS}, what="AGENCY_KIND", where="body")


def _kind_faults(kind: AlertKind, refused: frozenset[str], where: str) -> Iterator[Finding]:
    if kind.id in refused:
        yield Finding(what="REFUSED_KIND", where=where)
    if kind.colours is not Colours.NONE and kind.family in (Family.SOCIAL, None):
        yield Finding(what="COLOUR_FAMILY", where=where)
    if kind.severity is None and kind.colours is Colours.NONE:
        yield Finding(what="NO_SEVERITY", where=where)
    if not any(receiver.to is Notified.DESK for receiver in kind.receives):
        yield Finding(what="NO_DESK", where=where)
    if kind.expires > kind.expires_most:
        yield Finding(what="EXPIRES", where=where)
    if not kind.law or not all((kind.zh, kind.en)) or any(" | " not in said for said in kind.never):
        yield Finding(what="WORDS", where=where)


def _forest_faults(table: AlertTable) -> Iterator[Finding]:
    for trigger in table.trigger:
        where = f"trigger {trigger.id}"
        yield from not_in(trigger.flags, _FLAGS, what="FIELD_UNKNOWN", where=where)
        yield from not_in(trigger.least, _NUMBERS, what="FIELD_UNKNOWN", where=where)
        if not trigger.flags and not trigger.least:
            yield Finding(what="TRIGGER_EMPTY", where=where)
    for grade in table.grade:
        yield from not_in(grade.least, _NUMBERS, what="FIELD_UNKNOWN", where=f"grade {grade.id}")
    if not table.grade or table.grade[0].least:
        yield Finding(what="NO_LOWEST_GRADE", where="grade")
