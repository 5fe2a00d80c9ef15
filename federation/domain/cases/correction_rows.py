"""The rows of policies/cases/corrections.toml: each one question about filing or deciding a correction.

Rules kept: a name that stands in the wrong row is refused. Trusts nothing it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.domain.corrections.policy import CORRECTION_KIND
from federation.domain.lookup_policy import DossierFacts, dossier_request
from federation.domain.permit_policy import AgencyFacts, Occasion
from federation.domain.rules.toml_fields import TomlTable, expect_keys, read_choice, read_flag, read_string
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm, parse_node_name
from federation.protocol.policy import PolicyRequest

CORRECTION_REQUIRED: Final = ("dossier",)
CORRECTION_OPTIONAL: Final = ("identity_checked",)
CORRECTION_ONLY_FOR: Final = {"identity_checked": "correct"}


def correction_request(row: TomlTable, agencies: Mapping[str, AgencyFacts], what: str) -> PolicyRequest:
    """The question of one row; `what` names the row in an error.

    Raises:
        MalformedError: CASE_AGENCY, CASE_ACTION, CASE_FIELD, and the reasons of `toml_fields`.
    """
    action, who = read_string(row, "action", what=what), read_string(row, "who", what=what)
    agency, dossier = agencies.get(who), _dossier(row, what)
    if agency is None:
        raise MalformedError("CASE_AGENCY", f"{what}: no [[agency]] has the id {who!r}")
    occasion = Occasion(
        purpose=read_string(row, "purpose", what=what),
        function=read_string(row, "function", what=what),
        realm=read_choice(row, "realm", Realm, what=what, default=Realm.DEMO),
        node_realm=read_choice(row, "node_realm", Realm, what=what, default=Realm.DEMO),
    )
    if action == "correct":
        checked = read_flag(row, "identity_checked", what=what) if "identity_checked" in row else True
        context = (("identityChecked", checked),)
        return dossier_request("correction.request", agency, dossier=dossier, occasion=occasion, context=context)
    if action in {"decide", "notice"}:
        return dossier_request(f"correction.{action}", agency, dossier=dossier, occasion=occasion)
    raise MalformedError("CASE_ACTION", f"{what}: no such action: {action!r}")


def _dossier(row: TomlTable, what: str) -> DossierFacts:
    dossier = row["dossier"]
    if not isinstance(dossier, dict):
        raise MalformedError("CASE_FIELD", f"{what}: expected dossier = {{ asked = ... }}")
    what = f"{what}, dossier"
    expect_keys(dossier, frozenset({"asked", "kind", "issuing"}), what=what)
    return DossierFacts(
        province=parse_node_name(read_string(dossier, "asked", what=what)),
        kind=read_string(dossier, "kind", what=what) if "kind" in dossier else CORRECTION_KIND,
        issuing_division=read_string(dossier, "issuing", what=what) if "issuing" in dossier else None,
    )
