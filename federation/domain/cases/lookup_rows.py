"""The rows of policies/cases/lookups.toml: each one question about a case, a search, a fetch or its answer.

Rules kept: a name that stands in the wrong row is refused. Trusts nothing it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.domain.lookup_policy import (
    DossierFacts,
    LookupOccasion,
    answer_request,
    case_request,
    fetch_request,
    report_request,
    search_request,
)
from federation.domain.permit_policy import AgencyFacts, Occasion
from federation.domain.rules.toml_fields import (
    TomlTable,
    expect_keys,
    read_choice,
    read_flag,
    read_string,
    read_strings,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm, parse_node_name
from federation.protocol.policy import PolicyRequest

LOOKUP_REQUIRED: Final = ("dossier",)
LOOKUP_OPTIONAL: Final = (
    "purposes", "asks", "step_up", "urgency", "case_open", "purpose_in_case", "county_in_case", "identity_checked",
    "intake", "in_time",
)  # fmt: skip
LOOKUP_ONLY_FOR: Final = {
    "purposes": "case", "asks": "fetch", "step_up": "fetch", "identity_checked": "report",
    "intake": "answer", "in_time": "answer",
}  # fmt: skip


def lookup_request(row: TomlTable, agencies: Mapping[str, AgencyFacts], what: str) -> PolicyRequest:
    """The question of one row; `what` names the row in an error.

    Raises:
        MalformedError: CASE_AGENCY, CASE_ACTION, CASE_FIELD, and the reasons of `toml_fields`.
    """
    action, who = read_string(row, "action", what=what), read_string(row, "who", what=what)
    agency, dossier = agencies.get(who), read_dossier(row, what, kind="given" if action == "report" else "permit")
    if agency is None:
        raise MalformedError("CASE_AGENCY", f"{what}: no [[agency]] has the id {who!r}")
    if action == "case":
        purposes = frozenset(read_strings(row, "purposes", what=what))
        return case_request(agency, dossier.province, occasion=read_why(row, what), purposes=purposes)
    if action == "search":
        return search_request(agency, dossier, occasion=_occasion(row, what))
    if action == "fetch":
        asks = frozenset(read_strings(row, "asks", what=what))
        return fetch_request(agency, dossier, occasion=_occasion(row, what), fields=asks)
    if action == "answer":
        intake = _flag(row, "intake", what=what, default=True)
        in_time = _flag(row, "in_time", what=what, default=True)
        return answer_request(agency, dossier, occasion=read_why(row, what), intake=intake, in_time=in_time)
    if action == "report":
        checked = _flag(row, "identity_checked", what=what, default=True)
        return report_request(agency, dossier, occasion=read_why(row, what), identity_checked=checked)
    raise MalformedError("CASE_ACTION", f"{what}: no such action: {action!r}")


def read_why(row: TomlTable, what: str) -> Occasion:
    """Why it is done: purpose, function and realms of a row.

    Raises:
        MalformedError: the reasons of `toml_fields`.
    """
    return Occasion(
        purpose=read_string(row, "purpose", what=what),
        function=read_string(row, "function", what=what),
        realm=read_choice(row, "realm", Realm, what=what, default=Realm.DEMO),
        node_realm=read_choice(row, "node_realm", Realm, what=what, default=Realm.DEMO),
    )


def _occasion(row: TomlTable, what: str) -> LookupOccasion:
    why = read_why(row, what)
    return LookupOccasion(
        purpose=why.purpose,
        function=why.function,
        realm=why.realm,
        node_realm=why.node_realm,
        case_open=_flag(row, "case_open", what=what, default=True),
        purpose_in_case=_flag(row, "purpose_in_case", what=what, default=True),
        county_in_case=_flag(row, "county_in_case", what=what, default=True),
        step_up=_flag(row, "step_up", what=what, default=row["action"] == "fetch"),
        urgency=read_string(row, "urgency", what=what) if "urgency" in row else "routine",
    )


def read_dossier(row: TomlTable, what: str, *, kind: str) -> DossierFacts:
    """The record that a row is about; `kind` is its kind unless the row says.

    Raises:
        MalformedError: CASE_FIELD, and the reasons of `toml_fields`.
    """
    dossier = row["dossier"]
    if not isinstance(dossier, dict):
        raise MalformedError("CASE_FIELD", f"{what}: expected dossier = {{ asked = ... }}")
    what = f"{what}, dossier"
    expect_keys(dossier, frozenset({"asked", "kind", "issuing", "sealed", "minor"}), what=what)
    return DossierFacts(
        province=parse_node_name(read_string(dossier, "asked", what=what)),
        kind=read_string(dossier, "kind", what=what) if "kind" in dossier else kind,
        issuing_division=read_string(dossier, "issuing", what=what) if "issuing" in dossier else None,
        sealed=_flag(dossier, "sealed", what=what, default=False),
        minor=_flag(dossier, "minor", what=what, default=False),
    )


def _flag(row: TomlTable, name: str, *, what: str, default: bool) -> bool:
    return read_flag(row, name, what=what) if name in row else default
