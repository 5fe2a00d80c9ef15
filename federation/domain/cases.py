"""The case tables: what the policies must say of invented cases, as non-programmers write them in TOML.

A case names an action and, as the Cedar schema has them, the attributes of its resource and of its context; so a new
file of policies needs a table and no code. A name that the schema does not know, a word that the table does not list,
an agency or a policy that is not there are refused with a sentence that says where: a typo is never a case that passes.
Trusts nothing it reads. Source: policies/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federation.domain.division import province_of
from federation.domain.permit_policy import AgencyFacts, agency_entities, county_ref
from federation.domain.rules.toml_fields import (
    TomlTable,
    expect_keys,
    parse_toml,
    read_choice,
    read_string,
    read_strings,
    read_table,
    read_tables,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import parse_agency_id, parse_node_name
from federation.protocol.leaf import Verdict
from federation.protocol.policy import (
    ActionShape,
    Attributes,
    Entity,
    EntityRef,
    PolicyBook,
    PolicyRequest,
    PolicyValue,
    Shape,
    decide_afresh,
    read_vocabulary,
)
from federation.protocol.policy.text import DEFAULT_DENY, POLICY_ERROR

_NAMES: Final = ("name", "name_en", "who", "action", "resource", "context", "expect", "by")
_OPTIONAL: Final = ("fields", "answer")


class AnswerBy(StrEnum):
    """Who answers a question that is allowed."""

    NODE = "automatic"
    DESK = "desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row: a question, the verdict and the deciding policies (sorted) expected, and the fields released if told.

    `answer`: who must answer what is allowed, the node itself or a person at the desk; None when the row does not say.
    """

    name: str
    name_en: str
    request: PolicyRequest
    expect: Verdict
    by: tuple[str, ...]
    fields: frozenset[str] | None
    answer: AnswerBy | None


def parse_cases(text: str, book: PolicyBook) -> tuple[Case, ...]:
    """Parses one table of cases about the policies of a book.

    Raises:
        MalformedError: CASE_TWICE, CASE_FIELD, CASE_POLICY, CASE_AGENCY, CASE_ACTION, and the reasons of `toml_fields`.
    """
    cases = tuple(_Table(parse_toml(text, what="cases"), book).read())
    names = [case.name for case in cases] + [case.name_en for case in cases]
    for twice in (found for found in names if names.count(found) > 1):
        raise MalformedError("CASE_TWICE", f"the name stands twice: {twice}")
    return cases


def find_failure(book: PolicyBook, case: Case) -> str | None:
    """Returns what came of a case instead of what its author expects; None when it came out as written."""
    decision = decide_afresh(book, case.request)
    if (decision.verdict, decision.policies) != (case.expect, case.by):
        expected = f"expected {case.expect} by {', '.join(case.by)}"
        errors = "".join(f" ({error})" for error in decision.errors)
        return f"{expected}, got {decision.verdict} by {', '.join(decision.policies)}{errors}"
    if case.fields is not None and decision.fields != case.fields:
        expected = f"expected the fields {', '.join(sorted(case.fields)) or 'none'}"
        return f"{expected}, got {', '.join(sorted(decision.fields)) or 'none'}"
    answer = AnswerBy.DESK if decision.by_desk else AnswerBy.NODE
    if case.answer not in (None, answer):
        return f"expected the answer {case.answer}, got {answer}"
    return None


class _Table:
    """A table being read: its agencies, and what its rows leave unsaid."""

    def __init__(self, table: TomlTable, book: PolicyBook) -> None:
        expect_keys(table, frozenset({"agency", "case", "defaults", "words"}), what="cases")
        self._rows = read_tables(table, "case", what="cases")
        self._policies = book.policies.keys() | {DEFAULT_DENY, POLICY_ERROR}
        self._actions = read_vocabulary(book.schema)
        self._agencies = dict(_read_agency(row) for row in read_tables(table, "agency", what="cases"))
        defaults, words = read_table(table, "defaults", what="cases"), read_table(table, "words", what="cases")
        expect_keys(defaults, frozenset({"resource", "context"}), what="defaults")
        self._resource = read_table(defaults, "resource", what="defaults")
        self._context = read_table(defaults, "context", what="defaults")
        self._words = {name: read_strings(words, name, what="words") for name in words}
        shapes = [shape for action in self._actions.values() for shape in (action.attributes, action.context)]
        known = frozenset[str]().union(*shapes)
        for part, names in (("words", self._words), ("defaults", self._resource), ("defaults", self._context)):
            expect_keys(names, known, what=part)

    def read(self) -> Iterator[Case]:
        for row in self._rows:
            what = f"case {row.get('name', '(without a name)')}"
            expect_keys(row, frozenset(_NAMES + _OPTIONAL), what=what)
            for missing in (name for name in _NAMES if name not in row):
                raise MalformedError("CASE_FIELD", f"{what}: expected {missing!r}")
            by = read_strings(row, "by", what=what)
            for unknown in (name for name in by if name not in self._policies):
                raise MalformedError("CASE_POLICY", f"{what}: no policy has the id {unknown!r}")
            yield Case(
                name=read_string(row, "name", what=what),
                name_en=read_string(row, "name_en", what=what),
                request=self._read_request(row, what),
                expect=read_choice(row, "expect", Verdict, what=what),
                by=tuple(sorted(by)),
                fields=frozenset(read_strings(row, "fields", what=what)) if "fields" in row else None,
                answer=read_choice(row, "answer", AnswerBy, what=what) if "answer" in row else None,
            )

    def _read_request(self, row: TomlTable, what: str) -> PolicyRequest:
        name, who = read_string(row, "action", what=what), read_string(row, "who", what=what)
        action = self._actions.get(name)
        if action is None:
            raise MalformedError("CASE_ACTION", f"{what}: no such action: {name!r}")
        resource = dict(_spell_out(read_table(row, "resource", what=what), action.attributes))
        attributes = self._read_attributes(self._resource, resource, action.attributes, f"{what}, resource")
        context = read_table(row, "context", what=what)
        principal, *others = self._read_principal(who, action, what)
        return PolicyRequest(
            principal=principal,
            action=name,
            resource=Entity(EntityRef(action.resource, action.resource.lower()), attributes),
            context=self._read_attributes(self._context, context, action.context, f"{what}, context"),
            others=tuple(others),
        )

    def _read_principal(self, who: str, action: ActionShape, what: str) -> tuple[Entity, ...]:
        if action.principal == "Province":
            return (Entity(EntityRef("Province", parse_node_name(who))),)
        agency = self._agencies.get(who)
        if agency is None:
            raise MalformedError("CASE_AGENCY", f"{what}: no [[agency]] has the id {who!r}")
        return agency_entities(agency)

    def _read_attributes(self, defaults: TomlTable, given: TomlTable, shape: Shape, what: str) -> Attributes:
        expect_keys(given, frozenset(shape), what=what)
        values = {**defaults, **given}
        for name in (name for name, kind in shape.items() if kind.required and name not in values):
            raise MalformedError("CASE_FIELD", f"{what}: expected {name!r}")
        there = [(name, kind.type) for name, kind in shape.items() if name in values]
        return tuple((name, self._read_value(name, values[name], kind, what)) for name, kind in there)

    def _read_value(self, name: str, value: object, kind: str, what: str) -> PolicyValue:
        words = self._words.get(name)
        if words is not None and value not in words:
            choices = ", ".join(words)
            raise MalformedError("CASE_FIELD", f"{what}: expected {name!r} of {choices}, got {value!r:.40}")
        match kind, value:
            case ("Bool", bool() as plain) | ("String", str() as plain) | (_, EntityRef() as plain):
                return plain
            case "Set<String>", list() if all(isinstance(member, str) for member in value):
                return frozenset(value)
            case "County", str():
                return county_ref(value)
            case "Province", str():
                return EntityRef("Province", parse_node_name(value))
            case _:
                raise MalformedError("CASE_FIELD", f"{what}: expected {name!r} to be {kind}")


def _spell_out(given: TomlTable, shape: Shape) -> Iterator[tuple[str, object]]:
    """Writes `work = "330822"` as `workCounty` and, where the schema has it, `workProvince`."""
    for name, value in given.items():
        if name in shape or f"{name}County" not in shape or not isinstance(value, str):
            yield name, value
            continue
        yield f"{name}County", value
        if f"{name}Province" in shape:
            yield f"{name}Province", EntityRef("Province", province_of(value) or value[:2])


def _read_agency(row: TomlTable) -> tuple[str, AgencyFacts]:
    expect_keys(row, frozenset({"id", "functions"}), what="agency")
    agency = parse_agency_id(read_string(row, "id", what="agency"))
    functions = frozenset(read_strings(row, "functions", what="agency"))
    return str(agency), AgencyFacts(id=agency, functions=functions)
