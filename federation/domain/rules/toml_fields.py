"""Typed reading of the agreed TOML files: calendar, clocks, functions.

Rules kept: a file that is no TOML, lacks a name, holds an unknown name or a value of another type is refused as a
whole, naming the file and the name. Trusts nothing. Source: TOML 1.0.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import TypeAlias, TypeVar

from federation.protocol.errors import MalformedError

TomlTable: TypeAlias = Mapping[str, object]
"""One table of a TOML file; values are read with the functions below and go no further as they are."""

_Choice = TypeVar("_Choice", bound=StrEnum)


def parse_toml(text: str, *, what: str) -> TomlTable:
    """Parses a TOML document; `what` names it in the error.

    Raises:
        MalformedError: TOML_SYNTAX.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MalformedError("TOML_SYNTAX", f"{what}: expected TOML 1.0: {error}") from error


def expect_keys(table: TomlTable, allowed: frozenset[str], *, what: str) -> None:
    """Checks that a table holds no name but the allowed ones.

    Raises:
        MalformedError: TOML_UNKNOWN_NAME, naming the first one.
    """
    unknown = sorted(table.keys() - allowed)
    if unknown:
        raise MalformedError("TOML_UNKNOWN_NAME", f"{what}: did not expect {unknown[0]!r:.60}")


def read_tables(table: TomlTable, name: str, *, what: str) -> tuple[TomlTable, ...]:
    """Reads an array of tables, `[[name]]`; an absent one is empty.

    Raises:
        MalformedError: TOML_TYPE when it is something else.
    """
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise _wrong(what, name, "an array of tables")
    return tuple(found)


def read_string(table: TomlTable, name: str, *, what: str, default: str | None = None) -> str:
    """Reads a string; a default stands for an absent one.

    Raises:
        MalformedError: TOML_TYPE when it is absent without a default, or no string.
    """
    found = table.get(name, default)
    if not isinstance(found, str):
        raise _wrong(what, name, "a string")
    return found


def read_strings(table: TomlTable, name: str, *, what: str) -> tuple[str, ...]:
    """Reads an array of strings; an absent one is empty.

    Raises:
        MalformedError: TOML_TYPE when it is something else.
    """
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise _wrong(what, name, "an array of strings")
    return tuple(found)


def read_number(table: TomlTable, name: str, *, what: str, default: int | None = None) -> int:
    """Reads an integer from 0 on; a default stands for an absent one.

    Raises:
        MalformedError: TOML_TYPE when it is absent without a default, no integer, or negative.
    """
    found = table.get(name, default)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise _wrong(what, name, "an integer from 0 on")
    return found


def read_flag(table: TomlTable, name: str, *, what: str) -> bool:
    """Reads a boolean, which must be there.

    Raises:
        MalformedError: TOML_TYPE when it is absent or no boolean.
    """
    found = table.get(name)
    if not isinstance(found, bool):
        raise _wrong(what, name, "true or false")
    return found


def read_date(table: TomlTable, name: str, *, what: str, default: date | None = None) -> date:
    """Reads a local date; a default stands for an absent one.

    Raises:
        MalformedError: TOML_TYPE when it is absent without a default, or no plain date.
    """
    found = table.get(name, default)
    if not isinstance(found, date) or isinstance(found, datetime):
        raise _wrong(what, name, "a date such as 2026-01-01")
    return found


def read_dates(table: TomlTable, name: str, *, what: str) -> frozenset[date]:
    """Reads an array of local dates, each once.

    Raises:
        MalformedError: TOML_TYPE when it is something else, TOML_REPEATED when a date stands there twice.
    """
    found = table.get(name)
    if not isinstance(found, list) or not all(isinstance(day, date) and not isinstance(day, datetime) for day in found):
        raise _wrong(what, name, "an array of dates")
    days = frozenset(found)
    if len(days) != len(found):
        raise MalformedError("TOML_REPEATED", f"{what}: a date stands twice in {name!r}", field=name)
    return days


def read_choice(
    table: TomlTable, name: str, choices: type[_Choice], *, what: str, default: _Choice | None = None
) -> _Choice:
    """Reads one value of an enumeration.

    Raises:
        MalformedError: TOML_TYPE when it is absent without a default, TOML_CHOICE when it is none of the choices.
    """
    text = read_string(table, name, what=what, default=default)
    try:
        return choices(text)
    except ValueError as error:
        allowed = ", ".join(choices)
        raise MalformedError("TOML_CHOICE", f"{what}: expected {name!r} of {allowed}, got {text!r:.40}") from error


def _wrong(what: str, name: str, expected: str) -> MalformedError:
    return MalformedError("TOML_TYPE", f"{what}: expected {name!r} to be {expected}", field=name)
