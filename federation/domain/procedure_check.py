"""The check of procedures before anybody agrees on them: what could never happen, or would be read by nobody.

Rules kept: every name is one of a closed vocabulary or of the file itself; every stage is reached and reaches an end;
every condition can be made true by an act that is done before it is asked for; every clock is a row, starts and stops
on something that happens; what nobody reads stands nowhere. Source: DESIGN section 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from federation.domain.acts import ACTS, EVERYWHERE
from federation.domain.clock import CLOCKS_FILE, ClockRule, ClockTable, parse_clocks
from federation.domain.conditions import CONDITIONS
from federation.domain.findings import Finding, ProcedureCheck, not_in
from federation.domain.functions import FUNCTIONS_FILE, parse_functions
from federation.domain.joint_case import LEAD, OWNER, PARTY
from federation.domain.joint_mandates import GRANT
from federation.domain.lookups_case import LookupPurpose
from federation.domain.procedure import (
    AGREED,
    ALL,
    ANY,
    CLASS_FIELDS,
    CLOSED,
    END,
    NEVER_CROSS,
    PROCEDURES,
    TIERS,
    Event,
    Procedure,
    Stage,
    Timed,
    parse_procedure,
    procedure_names,
)
from federation.domain.retention import RETENTION_FILE, parse_retention
from federation.protocol.errors import BridgeheadError

_BUILT_IN: Final = frozenset({LEAD, OWNER, PARTY})
_TRACE: Final = frozenset({"code", "due", "outcome", "lead"})
"""The words in braces that a trace line may have."""


def check_procedures(files: Mapping[str, bytes]) -> Iterator[ProcedureCheck]:
    """Checks each procedure among the files of an agreement, with its tables of clocks, retention and functions."""
    for name in procedure_names(files):
        try:
            procedure = parse_procedure(_text(files, f"{PROCEDURES}{name}.toml"), name)
            found = tuple(find_faults(procedure, parse_clocks(_text(files, CLOCKS_FILE)))) + _unknown(procedure, files)
        except BridgeheadError as error:
            yield ProcedureCheck(name=name, stages=0, findings=(Finding(what=error.reason, where=error.message),))
            continue
        yield ProcedureCheck(name=name, stages=len(procedure.stage), findings=found)


def find_faults(procedure: Procedure, clocks: ClockTable) -> list[Finding]:
    """Everything wrong with a procedure; of one whose names are not known, only these."""
    names = [*_repeated(procedure), *_strangers(procedure)]
    if names:
        return names
    reach = _Reach(procedure)
    return [
        *_ways(procedure, reach),
        *_conditions(procedure, reach),
        *_events(procedure),
        *_clocks(procedure, clocks),
        *_classes(procedure),
        *_lookups(procedure),
        *_wording(procedure),
    ]


def _text(files: Mapping[str, bytes], path: str) -> str:
    return files.get(path, b"").decode(errors="replace")


def _unknown(procedure: Procedure, files: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """The rule of retention, the function and the kinds of agency that the agreement's other files do not have."""
    register = parse_functions(_text(files, FUNCTIONS_FILE))
    found = []
    if procedure.retention not in parse_retention(_text(files, RETENTION_FILE)).rules:
        found.append(Finding(what="RETENTION_UNKNOWN", where="retention", name=procedure.retention))
    if procedure.function not in register.functions:
        found.append(Finding(what="FUNCTION_UNKNOWN", where="function", name=procedure.function))
    for role in procedure.role:
        found += not_in(sorted(role.kinds), register.agency_kinds, what="AGENCY_KIND", where=f"role {role.id}")
    return tuple(found)


def _repeated(procedure: Procedure) -> Iterator[Finding]:
    lists = {
        "role": [role.id for role in procedure.role],
        "stage": [stage.id for stage in procedure.stage],
        "outcome": [end.id for end in procedure.outcome],
        "event": [event.id for event in procedure.event],
        "gate": [gate.act for gate in procedure.gate],
    }
    for where, ids in lists.items():
        for name in sorted({each for each in ids if ids.count(each) > 1}):
            yield Finding(what="TWICE", where=where, name=name)
    for name in sorted({END, ANY} & {stage.id for stage in procedure.stage}):
        yield Finding(what="RESERVED", where="stage", name=name)


def _strangers(procedure: Procedure) -> Iterator[Finding]:
    """Names that no vocabulary has, nor the file itself."""
    roles = procedure.roles.keys() | _BUILT_IN
    for stage in procedure.stage:
        where = f"stage {stage.id}"
        yield from not_in(stage.who, roles, what="ROLE_UNKNOWN", where=where)
        yield from not_in(stage.acts, ACTS, what="ACT_UNKNOWN", where=where)
        yield from not_in((*stage.enter, *stage.leave), CONDITIONS, what="CONDITION_UNKNOWN", where=where)
        yield from not_in(stage.next, {*procedure.stages, END}, what="STAGE_UNKNOWN", where=where)
        yield from not_in(stage.by, {*stage.acts, "move", "close"}, what="ACT_NOT_HERE", where=f"{where} by")
        for act, narrowed in stage.by.items():
            yield from not_in(narrowed, stage.who, what="ROLE_NOT_HERE", where=f"{where} by {act}")
    for end in procedure.outcome:
        yield from not_in((end.stage,), {*procedure.stages, ANY}, what="STAGE_UNKNOWN", where=f"outcome {end.id}")
        yield from not_in(end.needs, CONDITIONS, what="CONDITION_UNKNOWN", where=f"outcome {end.id}")
    yield from not_in(procedure.since, procedure.stages, what="STAGE_UNKNOWN", where="since")
    for gate in procedure.gate:
        yield from not_in((gate.act,), procedure.acts, what="ACT_NOT_HERE", where="gate")
        yield from not_in(gate.needs, CONDITIONS, what="CONDITION_UNKNOWN", where=f"gate {gate.act}")
    for event in procedure.event:
        where = f"event {event.id}"
        yield from not_in(event.acts, procedure.acts, what="ACT_NOT_HERE", where=where)
        yield from not_in(event.stages, procedure.stages, what="STAGE_UNKNOWN", where=where)
        yield from not_in((event.when,) if event.when else (), CONDITIONS, what="CONDITION_UNKNOWN", where=where)
        fields = {field.name for act in _raisers(procedure, event) for field in ACTS[act].fields}
        yield from not_in((*((event.at,) if event.at else ()), *event.says), fields, what="FIELD_UNKNOWN", where=where)


class _Reach:
    """For each stage, the stages that a case may have been in before or in it, and the acts done there."""

    def __init__(self, procedure: Procedure) -> None:
        self.before = {stage.id: {stage.id} for stage in procedure.stage}
        self.reached = {stage.id for stage in procedure.stage if stage.entry}
        for _ in procedure.stage:  # each round adds the stages one step further away
            for stage in procedure.stage:
                for to in set(stage.next) - {END}:
                    self.before[to] |= self.before[stage.id]
                    if stage.id in self.reached:
                        self.reached.add(to)
        self._procedure = procedure

    def acts(self, stage: str) -> frozenset[str]:
        stages = self._procedure.stages
        done = {act for each in self.before[stage] for act in stages[each].acts}
        return EVERYWHERE | done | {"open"}

    def acts_before(self, stage: str) -> frozenset[str]:
        """Those that may be done before a stage is entered, from whichever side."""
        earlier = [each.id for each in self._procedure.stage if stage in each.next]
        return frozenset({"open"}).union(*(self.acts(each) for each in earlier))


def _ways(procedure: Procedure, reach: _Reach) -> Iterator[Finding]:
    if not reach.reached:
        yield Finding(what="NO_ENTRY", where="stage")
    ends = {stage.id for stage in procedure.stage if END in stage.next}
    for _ in procedure.stage:
        ends |= {stage.id for stage in procedure.stage if ends & set(stage.next)}
    for stage in procedure.stage:
        where = f"stage {stage.id}"
        if stage.id not in reach.reached:
            yield Finding(what="UNREACHABLE", where=where)
        if stage.id not in ends:
            yield Finding(what="DEAD_END", where=where)
        if stage.id in stage.next:
            yield Finding(what="NEXT_ITSELF", where=where)
        has_end = any(end.stage == stage.id for end in procedure.outcome)
        if has_end != (END in stage.next):
            yield Finding(what="END_NOWHERE" if END in stage.next else "OUTCOME_NOT_HERE", where=where)
        if not stage.who or not (stage.acts or END in stage.next):
            yield Finding(what="NOTHING_DONE", where=where)
        if TIERS.index(stage.tier[0]) > TIERS.index(stage.tier[-1]):
            yield Finding(what="TIER_ORDER", where=where, name=stage.tier)


def _conditions(procedure: Procedure, reach: _Reach) -> Iterator[Finding]:
    """Conditions that no act which may be done before can make true, and those that read a clock of no stage."""
    timed = {each.clock for stage in procedure.stage for each in stage.deadline}
    asked: list[tuple[str, Iterable[str], frozenset[str]]] = []
    for stage in procedure.stage:
        asked.append((f"stage {stage.id} leave", stage.leave, reach.acts(stage.id)))
        asked.append((f"stage {stage.id} enter", stage.enter, reach.acts_before(stage.id)))
        asked += [(f"gate {act}", procedure.gates.get(act, ()), reach.acts(stage.id)) for act in stage.acts]
    for end in procedure.outcome:
        acts = procedure.acts if end.stage == ANY else reach.acts(end.stage)
        asked.append((f"outcome {end.id}", end.needs, acts))
    for where, names, acts in asked:
        for name in names:
            fact = CONDITIONS[name].fact
            if any(not (each & acts) for each in fact.acts):
                yield Finding(what="CANNOT_HOLD", where=where, name=name)
            if fact.clocks and not fact.clocks & timed and all("overdue" in each for each in fact.acts):
                yield Finding(what="CLOCK_NOT_HERE", where=where, name=name)


def _raisers(procedure: Procedure, event: Event) -> frozenset[str]:
    """The acts whose heads an event may stand on."""
    raised = set(event.acts) | ({"open", "move"} if event.stages else set())
    if event.when in CONDITIONS:
        raised |= {act for acts in CONDITIONS[event.when].fact.acts for act in acts}
    return frozenset(raised & procedure.acts)


def _events(procedure: Procedure) -> Iterator[Finding]:
    """Events that nothing raises, and those that no clock reads."""
    for event in procedure.event:
        where = f"event {event.id}"
        if event.id == CLOSED:
            yield Finding(what="RESERVED", where=where)
        needed = CONDITIONS[event.when].fact.acts if event.when else ()
        if not _raisers(procedure, event) or any(not each & procedure.acts for each in needed):
            yield Finding(what="EVENT_NEVER", where=where)


def _clocks(procedure: Procedure, clocks: ClockTable) -> Iterator[Finding]:
    events = {event.id for event in procedure.event} | {CLOSED}
    read = {CLOSED}
    for stage in procedure.stage:
        for timed in stage.deadline:
            where = f"stage {stage.id}"
            versions = clocks.rules.get(timed.clock)
            if versions is None:
                yield Finding(what="CLOCK_UNKNOWN", where=where, name=timed.clock)
                continue
            rule = max(versions, key=lambda each: (each.effective_from, each.version))
            read |= {rule.starts_on, rule.stops_on}
            if not rule.zh or not rule.en:
                yield Finding(what="WORDS", where=where, name=timed.clock)
            yield from _clock(stage, timed.clock, rule, events)
            if (timed.starts_on, timed.on_breach) != (rule.starts_on, rule.on_breach):
                yield Finding(what="CLOCK_OTHER", where=where, name=timed.clock)
            starters = [event for event in procedure.event if event.id == timed.starts_on]
            fields = {field.name for event in starters for act in event.acts for field in ACTS[act].fields}
            if timed.each and timed.each not in fields:
                yield Finding(what="FIELD_UNKNOWN", where=f"{where} {timed.clock}", name=timed.each)
    for event in sorted(events - read):
        yield Finding(what="EVENT_UNREAD", where=f"event {event}")


def _clock(stage: Stage, name: str, rule: ClockRule, events: set[str]) -> Iterator[Finding]:
    if rule.starts_on not in events:
        yield Finding(what="CLOCK_NEVER_STARTS", where=f"stage {stage.id}", name=name)
    if rule.stops_on not in events:
        yield Finding(what="CLOCK_NEVER_STOPS", where=f"stage {stage.id}", name=name)


def _classes(procedure: Procedure) -> Iterator[Finding]:
    """Classes that nobody is given, those that cross to nobody, and names of fields that they do not have."""
    roles = procedure.roles.keys() | _BUILT_IN | {"A", "B", "citizen"}
    carried = {name for act in procedure.acts for name in ACTS[act].items}
    tables = {"classes": procedure.classes, "later": procedure.later}
    tables |= {f"since {stage}": views for stage, views in procedure.since.items()}
    for table, name, views in ((table, *row) for table, rows in tables.items() for row in rows.items()):
        where = f"{table} {name}"
        if name not in CLASS_FIELDS:
            yield Finding(what="CLASS_UNKNOWN", where=where)
            continue
        if name in NEVER_CROSS:
            yield Finding(what="CLASS_NEVER", where=where)
        if name not in carried:
            yield Finding(what="CLASS_UNCARRIED", where=where)
        yield from not_in(views, roles, what="ROLE_UNKNOWN", where=where)
        for role, fields in views.items():
            if fields not in (ALL, AGREED):
                unknown = fields if isinstance(fields, tuple) else (fields,)
                yield from not_in(unknown, CLASS_FIELDS[name], what="FIELD_UNKNOWN", where=f"{where} {role}")
        is_seen = any(procedure.seen(name, procedure.roles, side, entered=procedure.since) for side in "AB")
        if table == "classes" and not is_seen and "citizen" not in views:
            yield Finding(what="CLASS_UNSEEN", where=where)


def _lookups(procedure: Procedure) -> Iterator[Finding]:
    if (GRANT in procedure.acts) != bool(procedure.lookups) or not set(procedure.lookups) <= set(LookupPurpose):
        yield Finding(what="LOOKUP_PURPOSES", where="lookups")


def _wording(procedure: Procedure) -> Iterator[Finding]:
    """All that a person reads stands in both languages, and a trace line names nothing that cannot be put in."""
    rows = [("role", each) for each in procedure.role] + [("stage", each) for each in procedure.stage]
    for where, row in (*rows, *(("outcome", end) for end in procedure.outcome)):
        if not row.zh or not row.en:
            yield Finding(what="WORDS", where=f"{where} {row.id}")
    for stage in procedure.stage:
        lines: tuple[Stage | Timed, ...] = (stage, *stage.deadline)
        for line in lines:
            if bool(line.trace_zh) != bool(line.trace_en):
                yield Finding(what="WORDS", where=f"stage {stage.id} trace")
            named = re.findall(r"\{([^}]*)\}", line.trace_zh + line.trace_en)
            yield from not_in(named, _TRACE, what="TRACE_UNKNOWN", where=f"stage {stage.id}")
