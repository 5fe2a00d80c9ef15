"""The rows of policies/cases/permits.toml: each one question about a residence permit.

Rules kept: a name that stands in the wrong row is refused. Trusts nothing it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
    read_choice,
    read_flag,
    read_string,
    read_strings,
)
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm, parse_node_name
from federation.protocol.policy import PolicyRequest

PERMIT_REQUIRED: Final = ("permit",)
PERMIT_OPTIONAL: Final = ("asks", "mode", "agreed_modes", "at")
PERMIT_ONLY_FOR: Final = {"asks": "read", "mode": "recognise", "agreed_modes": "recognise", "at": "accept"}
_CHANGES: Final = {change.value.removeprefix("permit."): change for change in PermitChange}


def permit_request(row: TomlTable, agencies: Mapping[str, AgencyFacts], what: str) -> PolicyRequest:
    """The question of one row; `what` names the row in an error.

    Raises:
        MalformedError: CASE_AGENCY, CASE_ACTION, CASE_FIELD, and the reasons of `toml_fields`.
    """
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
    if action in _CHANGES:
        return change_request(_CHANGES[action], agency, permit=permit, occasion=occasion)
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
