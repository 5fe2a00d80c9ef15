"""The register of joint functions: six departments, 23 functions; every purpose points to exactly one of them.

Rules kept: a code is F and two digits; a function without a name or a legal basis may be shown but not used in the live
realm; what the provinces have not published says `official = false`.
Sources: the function list of the border programme (names unpublished); DESIGN section 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, NewType

from federation.domain.rules.toml_fields import (
    TomlTable,
    expect_keys,
    parse_toml,
    read_date,
    read_flag,
    read_string,
    read_strings,
    read_tables,
)
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from federation.protocol.ids import Realm

FunctionCode = NewType("FunctionCode", str)
"""A function's code, `F01` to `F99`."""

_CODE: Final = re.compile(r"F[0-9]{2}", re.ASCII)
_WHAT: Final = "functions"
_FAR: Final = date(9999, 12, 31)
_KEYS: Final = frozenset(
    {"code", "department", "name", "legal_basis", "item_types", "data_classes", "valid_from", "valid_to", "official"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JointFunction:
    """One registered function; `name` and `legal_basis` are empty where they are not known."""

    code: FunctionCode
    department: str
    name: str
    legal_basis: str
    item_types: tuple[str, ...]
    data_classes: tuple[str, ...]
    valid_from: date
    valid_to: date
    official: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRegister:
    """The functions of one agreement version, by code."""

    version: str
    official: bool
    functions: Mapping[FunctionCode, JointFunction]


def parse_function_code(text: str) -> FunctionCode:
    """Parses `F01` to `F99`.

    Raises:
        MalformedError: FUNCTION_CODE.
    """
    if not _CODE.fullmatch(text) or text == "F00":
        raise MalformedError("FUNCTION_CODE", f"expected a function such as F01, got {text!r:.40}")
    return FunctionCode(text)


def parse_functions(text: str) -> FunctionRegister:
    """Parses `functions.toml`.

    Raises:
        MalformedError: TOML_* for the form; FUNCTION_CODE; FUNCTION_TWICE; FUNCTION_PERIOD when one ends too early.
    """
    table = parse_toml(text, what=_WHAT)
    expect_keys(table, frozenset({"version", "official", "function"}), what=_WHAT)
    functions: dict[FunctionCode, JointFunction] = {}
    for row in read_tables(table, "function", what=_WHAT):
        function = _parse_function(row)
        if function.code in functions:
            raise MalformedError("FUNCTION_TWICE", f"{function.code} stands there twice")
        functions[function.code] = function
    return FunctionRegister(
        version=read_string(table, "version", what=_WHAT),
        official=read_flag(table, "official", what=_WHAT),
        functions=MappingProxyType(functions),
    )


def load_function(register: FunctionRegister, code: str, *, realm: Realm, on: date) -> JointFunction:
    """Loads the function that a purpose points to, if it may be used in this realm on this day.

    Raises:
        MalformedError: FUNCTION_CODE.
        NotFoundError: FUNCTION_UNKNOWN.
        RuleError: FUNCTION_NOT_IN_FORCE; FUNCTION_WITHOUT_BASIS for an unnamed or baseless one in the live realm.
    """
    function = register.functions.get(parse_function_code(code))
    if function is None:
        raise NotFoundError("FUNCTION_UNKNOWN", f"the register {register.version} has no function {code}")
    if not function.valid_from <= on <= function.valid_to:
        raise RuleError("FUNCTION_NOT_IN_FORCE", f"{code} holds from {function.valid_from} to {function.valid_to}")
    if realm is Realm.LIVE and not (function.name and function.legal_basis):
        raise RuleError("FUNCTION_WITHOUT_BASIS", f"{code} has no name or legal basis: not usable in the live realm")
    return function


def _parse_function(row: TomlTable) -> JointFunction:
    expect_keys(row, _KEYS, what=_WHAT)
    function = JointFunction(
        code=parse_function_code(read_string(row, "code", what=_WHAT)),
        department=read_string(row, "department", what=_WHAT, default=""),
        name=read_string(row, "name", what=_WHAT, default=""),
        legal_basis=read_string(row, "legal_basis", what=_WHAT, default=""),
        item_types=read_strings(row, "item_types", what=_WHAT),
        data_classes=read_strings(row, "data_classes", what=_WHAT),
        valid_from=read_date(row, "valid_from", what=_WHAT),
        valid_to=read_date(row, "valid_to", what=_WHAT, default=_FAR),
        official=read_flag(row, "official", what=_WHAT),
    )
    if function.valid_to < function.valid_from:
        raise MalformedError("FUNCTION_PERIOD", f"{function.code} ends before it begins")
    return function
