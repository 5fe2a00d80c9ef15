"""The register of joint functions: six departments, 23 functions; every purpose points to exactly one of them.

No node reads it yet; it is held together by its tests. The unpublished says `official = false`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from federation.domain.permits_policy import FunctionCode
from federation.protocol.errors import MalformedError
from federation.protocol.form import Row, load_toml, parse_toml


class JointFunction(Row, frozen=True, kw_only=True):
    """One registered function; `name` and `legal_basis` are empty where they are not known."""

    code: FunctionCode
    department: str = ""
    name: str = ""
    legal_basis: str = ""
    item_types: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    valid_from: date
    valid_to: date = date.max
    official: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRegister:
    version: str
    official: bool
    functions: Mapping[FunctionCode, JointFunction]


class _File(Row, frozen=True, kw_only=True):
    version: str
    official: bool
    function: tuple[JointFunction, ...] = ()


def parse_functions(text: str) -> FunctionRegister:
    """Parses `functions.toml`; refuses TOML_*, FUNCTION_CODE, FUNCTION_TWICE, FUNCTION_PERIOD."""
    file = load_toml(_File, parse_toml(text, what="functions"), what="functions")
    functions: dict[FunctionCode, JointFunction] = {}
    for function in file.function:
        if function.code in functions:
            raise MalformedError("FUNCTION_TWICE", f"{function.code} stands there twice")
        if function.valid_to < function.valid_from:
            raise MalformedError("FUNCTION_PERIOD", f"{function.code} ends before it begins")
        functions[function.code] = function
    return FunctionRegister(version=file.version, official=file.official, functions=functions)
