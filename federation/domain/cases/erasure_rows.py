"""The rows of policies/cases/erasure.toml: each one question about reading again or about an order to erase.

Rules kept: a name that stands in the wrong row is refused. Trusts nothing it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.domain.permit_policy import AgencyFacts, Occasion
from federation.domain.retention.policy import (
    MESSAGE_KIND,
    RELEASE_KIND,
    OrderFacts,
    ReadingFacts,
    order_request,
    reading_request,
)
from federation.domain.rules.toml_fields import TomlTable, read_choice, read_flag, read_string
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm, parse_node_name
from federation.protocol.policy import PolicyRequest

ERASURE_REQUIRED: Final = ("province",)
ERASURE_OPTIONAL: Final = ("kind", "case_open", "release_live", "same_officer", "by_sender", "under_floor")
ERASURE_ONLY_FOR: Final = {
    "case_open": "read", "release_live": "read", "same_officer": "read", "by_sender": "order", "under_floor": "order",
}  # fmt: skip


def erasure_request(row: TomlTable, agencies: Mapping[str, AgencyFacts], what: str) -> PolicyRequest:
    """The question of one row; `what` names the row in an error.

    Raises:
        MalformedError: CASE_AGENCY, CASE_ACTION, and the reasons of `toml_fields`.
    """
    action, who = read_string(row, "action", what=what), read_string(row, "who", what=what)
    agency = agencies.get(who)
    if agency is None:
        raise MalformedError("CASE_AGENCY", f"{what}: no [[agency]] has the id {who!r}")
    province = parse_node_name(read_string(row, "province", what=what))
    if action == "read":
        reading = ReadingFacts(
            case_open=_flag(row, "case_open", what=what, default=True),
            release_live=_flag(row, "release_live", what=what, default=True),
            same_officer=_flag(row, "same_officer", what=what, default=True),
        )
        kind = read_string(row, "kind", what=what, default=RELEASE_KIND)
        return reading_request(agency, province, occasion=_why(row, what), facts=reading, kind=kind)
    if action == "order":
        order = OrderFacts(
            by_sender=_flag(row, "by_sender", what=what, default=True),
            under_floor=_flag(row, "under_floor", what=what, default=False),
        )
        kind = read_string(row, "kind", what=what, default=MESSAGE_KIND)
        return order_request(agency, province, occasion=_why(row, what), facts=order, kind=kind)
    raise MalformedError("CASE_ACTION", f"{what}: no such action: {action!r}")


def _why(row: TomlTable, what: str) -> Occasion:
    return Occasion(
        purpose=read_string(row, "purpose", what=what),
        function=read_string(row, "function", what=what),
        realm=read_choice(row, "realm", Realm, what=what, default=Realm.DEMO),
        node_realm=read_choice(row, "node_realm", Realm, what=what, default=Realm.DEMO),
    )


def _flag(row: TomlTable, name: str, *, what: str, default: bool) -> bool:
    return read_flag(row, name, what=what) if name in row else default
