"""The case tables: what the policies must say of invented cases, as non-programmers write them in TOML.

Resource and context have the Cedar schema's names: a new policy needs a table, no code. An unknown name, word, agency
or policy is refused with its place: a typo is never a case that passes. Source: policies/README.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from federation.domain.division import province_of
from federation.domain.permits_policy import AgencyFacts, agency_entities, county_ref
from federation.protocol.errors import MalformedError
from federation.protocol.form import Row, always, load_toml, parse_toml
from federation.protocol.ids import AgencyId, parse_node_name
from federation.protocol.leaf import Verdict
from federation.protocol.policy import (
    Attributes,
    Entity,
    EntityRef,
    PolicyBook,
    PolicyRequest,
    PolicyValue,
    decide_afresh,
)
from federation.protocol.policy.text import DEFAULT_DENY, POLICY_ERROR
from federation.protocol.policy.vocabulary import ActionShape, Shape, read_vocabulary


class AnswerBy(StrEnum):
    NODE = "automatic"
    DESK = "desk"


class Case(Struct, frozen=True, kw_only=True):
    """One row: a question, and the verdict, policies (sorted), fields and answer expected; None where not told."""

    name: str
    name_en: str
    request: PolicyRequest
    expect: Verdict
    by: tuple[str, ...]
    fields: frozenset[str] | None
    answer: AnswerBy | None


class _Agency(Row, frozen=True, kw_only=True):
    id: AgencyId
    functions: tuple[str, ...]


class _Row(Row, frozen=True, kw_only=True):
    name: str
    name_en: str
    who: str
    action: str
    resource: dict[str, Any]
    context: dict[str, Any]
    expect: Verdict
    by: tuple[str, ...]
    fields: tuple[str, ...] | None = None
    answer: AnswerBy | None = None


class _Defaults(Row, frozen=True, kw_only=True):
    resource: dict[str, Any] = always({})
    context: dict[str, Any] = always({})


class _Table(Row, frozen=True, kw_only=True):
    agency: tuple[_Agency, ...] = ()
    case: tuple[dict[str, Any], ...] = ()
    defaults: _Defaults = always(_Defaults())
    words: dict[str, tuple[str, ...]] = always({})


def parse_cases(text: str, book: PolicyBook) -> tuple[Case, ...]:
    """Parses one table of cases about the policies of a book; refuses CASE_*, POLICY_SCHEMA, TOML_*."""
    reader = _Reader(load_toml(_Table, parse_toml(text, what="cases"), what="cases"), book)
    cases = tuple(reader.read())
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


class _Reader:
    def __init__(self, table: _Table, book: PolicyBook) -> None:
        self._table = table
        self._policies = book.policies.keys() | {DEFAULT_DENY, POLICY_ERROR}
        self._actions = read_vocabulary(book.schema)
        self._agencies = {
            str(row.id): AgencyFacts(id=row.id, functions=frozenset(row.functions)) for row in table.agency
        }
        shapes = [shape for action in self._actions.values() for shape in (action.attributes, action.context)]
        known = frozenset[str]().union(*shapes)
        _expect_known(table.words, known, what="words")
        _expect_known({**table.defaults.resource, **table.defaults.context}, known, what="defaults")

    def read(self) -> Iterator[Case]:
        for found in self._table.case:
            what = f"case {found.get('name', '(without a name)')}"
            row = load_toml(_Row, found, what=what)
            for unknown in (name for name in row.by if name not in self._policies):
                raise MalformedError("CASE_POLICY", f"{what}: no policy has the id {unknown!r}")
            yield Case(
                name=row.name,
                name_en=row.name_en,
                request=self._read_request(row, what),
                expect=row.expect,
                by=tuple(sorted(row.by)),
                fields=frozenset(row.fields) if row.fields is not None else None,
                answer=row.answer,
            )

    def _read_request(self, row: _Row, what: str) -> PolicyRequest:
        action = self._actions.get(row.action)
        if action is None:
            raise MalformedError("CASE_ACTION", f"{what}: no such action: {row.action!r}")
        defaults, resource = self._table.defaults, dict(_spell_out(row.resource, action.attributes))
        principal, *others = self._read_principal(row.who, action, what)
        attributes = self._read_attributes(defaults.resource, resource, action.attributes, f"{what}, resource")
        return PolicyRequest(
            principal=principal,
            action=row.action,
            resource=Entity(EntityRef(action.resource, action.resource.lower()), attributes),
            context=self._read_attributes(defaults.context, row.context, action.context, f"{what}, context"),
            others=tuple(others),
        )

    def _read_principal(self, who: str, action: ActionShape, what: str) -> tuple[Entity, ...]:
        if action.principal == "Province":
            return (Entity(EntityRef("Province", parse_node_name(who))),)
        agency = self._agencies.get(who)
        if agency is None:
            raise MalformedError("CASE_AGENCY", f"{what}: no [[agency]] has the id {who!r}")
        return agency_entities(agency)

    def _read_attributes(
        self, defaults: Mapping[str, Any], given: Mapping[str, Any], shape: Shape, what: str
    ) -> Attributes:
        _expect_known(given, shape, what=what)
        values = {**defaults, **given}
        for name in (name for name, kind in shape.items() if kind.required and name not in values):
            raise MalformedError("CASE_FIELD", f"{what}: expected {name!r}")
        there = [(name, kind.type) for name, kind in shape.items() if name in values]
        return tuple((name, self._read_value(name, values[name], kind, what)) for name, kind in there)

    def _read_value(self, name: str, value: object, kind: str, what: str) -> PolicyValue:
        words = self._table.words.get(name)
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


def _spell_out(given: Mapping[str, Any], shape: Shape) -> Iterator[tuple[str, object]]:
    """Writes `work = "330822"` as `workCounty` and, where the schema has it, `workProvince`."""
    for name, value in given.items():
        if name in shape or f"{name}County" not in shape or not isinstance(value, str):
            yield name, value
            continue
        yield f"{name}County", value
        if f"{name}Province" in shape:
            yield f"{name}Province", EntityRef("Province", province_of(value) or value[:2])


def _expect_known(names: Collection[str], known: Collection[str], *, what: str) -> None:
    for unknown in sorted(set(names) - set(known)):
        raise MalformedError("CASE_FIELD", f"{what}: did not expect the name {unknown!r:.60}")
