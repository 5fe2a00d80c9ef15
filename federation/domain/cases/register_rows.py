"""The rows of policies/cases/registers.toml: each one question about keeping or reading a vehicle or an enterprise.

Rules kept: a name that stands in the wrong row is refused. Trusts nothing it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.domain.cases.lookup_rows import read_dossier, read_why
from federation.domain.dossiers.dossier import DossierKind
from federation.domain.dossiers.register_policy import RegisterAct, register_request
from federation.domain.permit_policy import AgencyFacts
from federation.domain.rules.toml_fields import TomlTable, read_string
from federation.protocol.errors import MalformedError
from federation.protocol.policy import PolicyRequest

REGISTER_REQUIRED: Final = ("dossier",)
REGISTER_OPTIONAL: Final = ()
REGISTER_ONLY_FOR: Final[Mapping[str, str]] = {}
_ACTS: Final = {act.value.removeprefix("register."): act for act in RegisterAct}


def register_case_request(row: TomlTable, agencies: Mapping[str, AgencyFacts], what: str) -> PolicyRequest:
    """The question of one row; `what` names the row in an error.

    Raises:
        MalformedError: CASE_AGENCY, CASE_ACTION, CASE_FIELD, and the reasons of `toml_fields`.
    """
    action, who = read_string(row, "action", what=what), read_string(row, "who", what=what)
    agency, dossier = agencies.get(who), read_dossier(row, what, kind=DossierKind.VEHICLE)
    if agency is None:
        raise MalformedError("CASE_AGENCY", f"{what}: no [[agency]] has the id {who!r}")
    if action not in _ACTS:
        raise MalformedError("CASE_ACTION", f"{what}: no such action: {action!r}")
    return register_request(_ACTS[action], agency, dossier, occasion=read_why(row, what))
