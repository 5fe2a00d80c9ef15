"""The register of joint functions, and the kinds of agency that may hold them: `policies/functions.toml`.

Every purpose points to exactly one function; an office is of a registered kind and holds no function that its kind may
not hold. The unpublished says `official = false`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Final

from msgspec import Struct

from federation.domain.permits_policy import FunctionCode
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import Row, load_toml, parse_toml
from federation.protocol.ids import AgencyId

FUNCTIONS_FILE: Final = "policies/functions.toml"
SENSITIVE: Final = "sensitive"
"""The class of data of which even the number is told to nobody but those who take part."""


class JointFunction(Row, frozen=True, kw_only=True):
    """One registered function; `name` and `legal_basis` are empty where they are not known.

    `item_types`: the kinds of message under it; `procedures`: its joint cases by name; planned ones, too.
    """

    code: FunctionCode
    department: str = ""
    name: str = ""
    name_en: str = ""
    legal_basis: str = ""
    item_types: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    valid_from: date
    valid_to: date = date.max
    official: bool


class AgencyKind(Row, frozen=True, kw_only=True, rename={"kind": "id"}):
    """One kind of agency: the last part of an id. `officers`: who acts for it; `functions`: what it may hold."""

    kind: str
    name: str
    name_en: str
    officers: str
    functions: tuple[FunctionCode, ...]


class FunctionRegister(Struct, frozen=True, kw_only=True):
    version: str
    official: bool
    functions: Mapping[FunctionCode, JointFunction]
    agency_kinds: Mapping[str, AgencyKind]


class _File(Row, frozen=True, kw_only=True):
    version: str
    official: bool
    agency_kind: tuple[AgencyKind, ...] = ()
    function: tuple[JointFunction, ...] = ()


@lru_cache(maxsize=4)  # as the clock table
def parse_functions(text: str) -> FunctionRegister:
    """Parses `functions.toml`; refuses TOML_*, FUNCTION_CODE, _TWICE, _PERIOD, _UNKNOWN, AGENCY_KIND_TWICE."""
    file = load_toml(_File, parse_toml(text, what="functions"), what="functions")
    functions: dict[FunctionCode, JointFunction] = {}
    for function in file.function:
        if function.code in functions:
            raise MalformedError("FUNCTION_TWICE", f"{function.code} stands there twice")
        if function.valid_to < function.valid_from:
            raise MalformedError("FUNCTION_PERIOD", f"{function.code} ends before it begins")
        functions[function.code] = function
    kinds: dict[str, AgencyKind] = {}
    for kind in file.agency_kind:
        if kind.kind in kinds:
            raise MalformedError("AGENCY_KIND_TWICE", f"{kind.kind} stands there twice")
        unknown = sorted(set(kind.functions) - functions.keys())
        if unknown:
            raise MalformedError("FUNCTION_UNKNOWN", f"{kind.kind}: {', '.join(unknown)} is not registered")
        kinds[kind.kind] = kind
    return FunctionRegister(version=file.version, official=file.official, functions=functions, agency_kinds=kinds)


def verify_office(register: FunctionRegister, agency: AgencyId, functions: Iterable[str]) -> None:
    """Refuses an office of no registered kind (AGENCY_KIND), or with a function that its kind may not hold."""
    kind = register.agency_kinds.get(agency.kind)
    if kind is None:
        raise RuleError("AGENCY_KIND", f"expected {agency} to be of a kind that {FUNCTIONS_FILE} names")
    beyond = sorted(set(functions) - set(kind.functions))
    if beyond:
        raise RuleError("AGENCY_FUNCTIONS", f"expected {agency} to hold functions of its kind, not {', '.join(beyond)}")
