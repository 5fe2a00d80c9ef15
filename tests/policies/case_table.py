"""The case tables of policies/cases, read strictly: a typo fails and says where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from federation.domain.permit import PermitStatus
from federation.domain.permit_policy import (
    AgencyFacts,
    Occasion,
    PermitChange,
    PermitFacts,
    accept_request,
    change_request,
    read_request,
    recognise_request,
    replicate_request,
)
from federation.domain.rules.toml_fields import (
    TomlTable,
    expect_keys,
    parse_toml,
    read_choice,
    read_flag,
    read_string,
    read_strings,
    read_tables,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm, parse_agency_id, parse_node_name
from federation.protocol.leaf import Verdict
from federation.protocol.policy import PolicyRequest
from tests.policies.lookup_rows import LOOKUP_ONLY_FOR, LOOKUP_OPTIONAL, LOOKUP_REQUIRED, lookup_request

ROOT = Path(__file__).parents[2]
CHANGES = {change.value.removeprefix("permit."): change for change in PermitChange}
REQUIRED = ("name", "name_en", "who", "action", "purpose", "function", "expect", "by")
OPTIONAL = ("realm", "node_realm", "fields")
PERMIT_REQUIRED = ("permit",)
PERMIT_OPTIONAL = ("asks", "mode", "agreed_modes", "at")
PERMIT_ONLY_FOR = {"asks": "read", "mode": "recognise", "agreed_modes": "recognise", "at": "accept"}


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the rows of one table may hold beside what every row holds, and the question a row asks."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    only_for: Mapping[str, str]
    request: Callable[[TomlTable, Mapping[str, AgencyFacts], str], PolicyRequest]


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    name_en: str
    request: PolicyRequest
    expect: Verdict
    by: tuple[str, ...]
    fields: frozenset[str] | None


def policy_files() -> dict[str, bytes]:
    """The files as the agreement carries them: by their path from the root."""
    return {f"policies/{path.name}": path.read_bytes() for path in (ROOT / "policies").iterdir() if path.is_file()}


def load_cases(name: str, policy_ids: frozenset[str]) -> tuple[Case, ...]:
    return parse_cases((ROOT / "policies" / "cases" / name).read_text(), policy_ids, name=name)


def parse_cases(text: str, policy_ids: frozenset[str], *, name: str) -> tuple[Case, ...]:
    form = FORMS[name]
    table = parse_toml(text, what="cases")
    expect_keys(table, frozenset({"agency", "case"}), what="cases")
    agencies = {}
    for row in read_tables(table, "agency", what="cases"):
        expect_keys(row, frozenset({"id", "functions"}), what="agency")
        agency = parse_agency_id(read_string(row, "id", what="agency"))
        agencies[str(agency)] = AgencyFacts(
            id=agency, functions=frozenset(read_strings(row, "functions", what="agency"))
        )
    cases = tuple(_parse_case(row, agencies, policy_ids, form) for row in read_tables(table, "case", what="cases"))
    names = [case.name for case in cases] + [case.name_en for case in cases]
    for name in names:
        if names.count(name) > 1:
            raise MalformedError("CASE_TWICE", f"the name stands twice: {name}")
    return cases


def _parse_case(row: TomlTable, agencies: Mapping[str, AgencyFacts], policy_ids: frozenset[str], form: Form) -> Case:
    what = f"case {row.get('name', '(without a name)')}"
    expect_keys(row, frozenset(REQUIRED + OPTIONAL + form.required + form.optional), what=what)
    for missing in (name for name in REQUIRED + form.required if name not in row):
        raise MalformedError("CASE_FIELD", f"{what}: expected {missing!r}")
    action = read_string(row, "action", what=what)
    for name in form.only_for.keys() & row.keys():
        if action != form.only_for[name]:
            raise MalformedError("CASE_FIELD", f"{what}: {name!r} is for {form.only_for[name]}, not for {action}")
    by = read_strings(row, "by", what=what)
    for unknown in sorted(set(by) - policy_ids - {"default-deny", "policy-error"}):
        raise MalformedError("CASE_POLICY", f"{what}: no policy has the id {unknown!r}")
    return Case(
        name=read_string(row, "name", what=what),
        name_en=read_string(row, "name_en", what=what),
        request=form.request(row, agencies, what),
        expect=read_choice(row, "expect", Verdict, what=what),
        by=tuple(sorted(by)),
        fields=frozenset(read_strings(row, "fields", what=what)) if "fields" in row else None,
    )


def _permit_request(row: TomlTable, agencies: Mapping[str, AgencyFacts], what: str) -> PolicyRequest:
    action, who, permit = read_string(row, "action", what=what), read_string(row, "who", what=what), _permit(row, what)
    occasion = Occasion(
        purpose=read_string(row, "purpose", what=what),
        function=read_string(row, "function", what=what),
        realm=read_choice(row, "realm", Realm, what=what, default=Realm.DEMO),
        node_realm=read_choice(row, "node_realm", Realm, what=what, default=Realm.DEMO),
    )
    if action == "replicate":
        return replicate_request(parse_node_name(who), permit, occasion=occasion)
    agency = agencies.get(who)
    if agency is None:
        raise MalformedError("CASE_AGENCY", f"{what}: no [[agency]] has the id {who!r}")
    if action in CHANGES:
        return change_request(CHANGES[action], agency, permit=permit, occasion=occasion)
    if action == "read":
        asks = frozenset(read_strings(row, "asks", what=what)) if "asks" in row else None
        return read_request(agency, permit, occasion=occasion, fields=asks)
    if action == "recognise":
        modes = frozenset(read_strings(row, "agreed_modes", what=what) or ("card", "time"))
        mode = read_string(row, "mode", what=what)
        return recognise_request(agency, permit, occasion=occasion, mode=mode, agreed_modes=modes)
    if action == "accept":
        home = parse_node_name(read_string(row, "at", what=what))
        return accept_request(agency, permit, occasion=occasion, recipient=home)
    raise MalformedError("CASE_ACTION", f"{what}: no such action: {action!r}")


def _permit(row: TomlTable, what: str) -> PermitFacts:
    permit = row["permit"]
    if not isinstance(permit, dict):
        raise MalformedError("CASE_FIELD", f"{what}: expected permit = {{ issuing = ... }}")
    what = f"{what}, permit"
    expect_keys(permit, frozenset({"issuing", "household", "work", "status", "sealed", "minor"}), what=what)
    return PermitFacts(
        issuing_division=read_string(permit, "issuing", what=what),
        household_division=read_string(permit, "household", what=what) if "household" in permit else None,
        work_division=read_string(permit, "work", what=what) if "work" in permit else None,
        status=read_choice(permit, "status", PermitStatus, what=what, default=PermitStatus.VALID),
        sealed="sealed" in permit and read_flag(permit, "sealed", what=what),
        minor="minor" in permit and read_flag(permit, "minor", what=what),
    )


FORMS = {
    "permits.toml": Form(
        required=PERMIT_REQUIRED, optional=PERMIT_OPTIONAL, only_for=PERMIT_ONLY_FOR, request=_permit_request
    ),
    "lookups.toml": Form(
        required=LOOKUP_REQUIRED, optional=LOOKUP_OPTIONAL, only_for=LOOKUP_ONLY_FOR, request=lookup_request
    ),
}
