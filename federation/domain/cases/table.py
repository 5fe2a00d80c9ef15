"""One case table: questions to the policies with the answer that its author expects, read strictly.

Rules kept: a name nobody knows, an agency or a policy that is not there, a name that stands twice are refused with a
sentence that says where: a typo is never a case that passes. Trusts nothing it reads. Source: policies/README.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federation.domain.cases.correction_rows import (
    CORRECTION_ONLY_FOR,
    CORRECTION_OPTIONAL,
    CORRECTION_REQUIRED,
    correction_request,
)
from federation.domain.cases.erasure_rows import ERASURE_ONLY_FOR, ERASURE_OPTIONAL, ERASURE_REQUIRED, erasure_request
from federation.domain.cases.lookup_rows import LOOKUP_ONLY_FOR, LOOKUP_OPTIONAL, LOOKUP_REQUIRED, lookup_request
from federation.domain.cases.permit_rows import PERMIT_ONLY_FOR, PERMIT_OPTIONAL, PERMIT_REQUIRED, permit_request
from federation.domain.cases.register_rows import (
    REGISTER_ONLY_FOR,
    REGISTER_OPTIONAL,
    REGISTER_REQUIRED,
    register_case_request,
)
from federation.domain.permit_policy import AgencyFacts
from federation.domain.rules.toml_fields import (
    TomlTable,
    expect_keys,
    parse_toml,
    read_choice,
    read_string,
    read_strings,
    read_tables,
)
from federation.protocol.errors import MalformedError, NotFoundError
from federation.protocol.ids import parse_agency_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy import PolicyBook, PolicyRequest, decide_afresh
from federation.protocol.policy.text import DEFAULT_DENY, POLICY_ERROR

_REQUIRED: Final = ("name", "name_en", "who", "action", "purpose", "function", "expect", "by")
_OPTIONAL: Final = ("realm", "node_realm", "fields", "answer")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What the rows of one table may hold beside what every row holds, and the question a row asks."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    only_for: Mapping[str, str]
    request: Callable[[TomlTable, Mapping[str, AgencyFacts], str], PolicyRequest]


_FORMS: Final = {
    "permits.toml": _Form(
        required=PERMIT_REQUIRED, optional=PERMIT_OPTIONAL, only_for=PERMIT_ONLY_FOR, request=permit_request
    ),
    "lookups.toml": _Form(
        required=LOOKUP_REQUIRED, optional=LOOKUP_OPTIONAL, only_for=LOOKUP_ONLY_FOR, request=lookup_request
    ),
    "corrections.toml": _Form(
        required=CORRECTION_REQUIRED,
        optional=CORRECTION_OPTIONAL,
        only_for=CORRECTION_ONLY_FOR,
        request=correction_request,
    ),
    "registers.toml": _Form(
        required=REGISTER_REQUIRED,
        optional=REGISTER_OPTIONAL,
        only_for=REGISTER_ONLY_FOR,
        request=register_case_request,
    ),
    "erasure.toml": _Form(
        required=ERASURE_REQUIRED, optional=ERASURE_OPTIONAL, only_for=ERASURE_ONLY_FOR, request=erasure_request
    ),
}


def parse_cases(text: str, policy_ids: frozenset[str], *, name: str) -> tuple[Case, ...]:
    """Parses the table of that file name; `policy_ids` are the policies that a case may expect to decide.

    Raises:
        NotFoundError: CASE_TABLE when no table has that name.
        MalformedError: CASE_TWICE, CASE_FIELD, CASE_POLICY, CASE_AGENCY, CASE_ACTION, and the reasons of `toml_fields`.
    """
    form = _FORMS.get(name)
    if form is None:
        raise NotFoundError("CASE_TABLE", f"expected one of {', '.join(_FORMS)}, got {name!r:.60}")
    table = parse_toml(text, what="cases")
    expect_keys(table, frozenset({"agency", "case"}), what="cases")
    agencies = _parse_agencies(table)
    cases = tuple(_parse_case(row, agencies, policy_ids, form) for row in read_tables(table, "case", what="cases"))
    names = [case.name for case in cases] + [case.name_en for case in cases]
    for twice in (found for found in names if names.count(found) > 1):
        raise MalformedError("CASE_TWICE", f"the name stands twice: {twice}")
    return cases


def find_failure(book: PolicyBook, case: Case) -> str | None:
    """What came of a case instead of what its author expects, as a sentence; None when it came out as written."""
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


def _parse_agencies(table: TomlTable) -> Mapping[str, AgencyFacts]:
    agencies: dict[str, AgencyFacts] = {}
    for row in read_tables(table, "agency", what="cases"):
        expect_keys(row, frozenset({"id", "functions"}), what="agency")
        agency = parse_agency_id(read_string(row, "id", what="agency"))
        functions = frozenset(read_strings(row, "functions", what="agency"))
        agencies[str(agency)] = AgencyFacts(id=agency, functions=functions)
    return agencies


def _parse_case(row: TomlTable, agencies: Mapping[str, AgencyFacts], policy_ids: frozenset[str], form: _Form) -> Case:
    what = f"case {row.get('name', '(without a name)')}"
    expect_keys(row, frozenset(_REQUIRED + _OPTIONAL + form.required + form.optional), what=what)
    for missing in (name for name in _REQUIRED + form.required if name not in row):
        raise MalformedError("CASE_FIELD", f"{what}: expected {missing!r}")
    action = read_string(row, "action", what=what)
    for name in form.only_for.keys() & row.keys():
        if action != form.only_for[name]:
            raise MalformedError("CASE_FIELD", f"{what}: {name!r} is for {form.only_for[name]}, not for {action}")
    by = read_strings(row, "by", what=what)
    for unknown in sorted(set(by) - policy_ids - {DEFAULT_DENY, POLICY_ERROR}):
        raise MalformedError("CASE_POLICY", f"{what}: no policy has the id {unknown!r}")
    return Case(
        name=read_string(row, "name", what=what),
        name_en=read_string(row, "name_en", what=what),
        request=form.request(row, agencies, what),
        expect=read_choice(row, "expect", Verdict, what=what),
        by=tuple(sorted(by)),
        fields=frozenset(read_strings(row, "fields", what=what)) if "fields" in row else None,
        answer=read_choice(row, "answer", AnswerBy, what=what) if "answer" in row else None,
    )
