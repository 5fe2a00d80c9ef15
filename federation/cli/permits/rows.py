"""Files of applications: CSV with a heading, JSON Lines, and one application alone as JSON or TOML.

Rules kept: UTF-8 with or without a byte-order mark unless another encoding is named; a line that cannot be read is
told by its number and the others go on; what makes a whole file unreadable (its heading, its encoding) is an error.
Leading lines that begin with `#` are notices. No message shows a value.
"""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain, dropwhile
from pathlib import Path
from typing import TypeAlias

from federation.cli.permits.application import IMPORT_FIELDS, OPTIONAL_FIELDS, field_of
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError

Texts: TypeAlias = dict[str, str]
"""A row by field name, each field as text."""

_ABOUT = "a row is an object with the fields of an application"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns a file may have: their names, those that may be left out, and the field that a heading names."""

    names: tuple[str, ...]
    optional: frozenset[str]
    field_of: Callable[[str], str | None]


PERMIT_COLUMNS = Columns(names=IMPORT_FIELDS, optional=OPTIONAL_FIELDS, field_of=field_of)
"""The columns of a register of permits."""


@dataclass(frozen=True, slots=True)
class NumberedRow:
    """One row with the number of the line it ends at, from 1: its texts, or why they could not be read."""

    line: int
    texts: Texts | BridgeheadError


def read_rows(path: Path, *, encoding: str, columns: Columns = PERMIT_COLUMNS) -> Iterator[NumberedRow]:
    """Reads the rows of a CSV file or of JSON Lines, told apart by the first character.

    Raises:
        NotFoundError: FILE_MISSING.
        MalformedError: FILE_ENCODING, COLUMN for a heading with an unknown, repeated or missing name, FILE_EMPTY.
    """
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as lines:
            numbered = dropwhile(lambda line: line[1].startswith("#"), enumerate(lines, start=1))
            first = next(numbered, None)
            if first is None:
                raise MalformedError("FILE_EMPTY", f"expected rows in {path}, got none")
            skipped, everything = first[0] - 1, chain([first], numbered)
            yield from (
                _read_json_lines(everything, columns)
                if first[1].lstrip().startswith("{")
                else _read_csv((line for _, line in everything), columns, skipped=skipped)
            )
    except FileNotFoundError as error:
        raise NotFoundError("FILE_MISSING", f"expected a file {path}") from error
    except LookupError as error:
        raise MalformedError("FILE_ENCODING", f"no such encoding: {encoding!r:.40}") from error
    except UnicodeDecodeError as error:
        raise MalformedError("FILE_ENCODING", f"{path} is not {encoding}: byte {error.start} of a block") from error


def count_lines(path: Path) -> int:
    """About how many rows a file has, for a progress bar; 0 when it cannot be read."""
    try:
        with path.open("rb") as blocks:
            return sum(block.count(b"\n") for block in iter(lambda: blocks.read(1 << 20), b""))
    except OSError:
        return 0


def read_application(path: Path) -> Texts:
    """Reads one application from JSON or TOML; `-` is JSON on stdin.

    Raises:
        NotFoundError: FILE_MISSING.
        MalformedError: APPLICATION_FILE when it is neither, COLUMN for a name that is no field.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
        value = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise NotFoundError("FILE_MISSING", f"expected a file {path}") from error
    except (ValueError, RecursionError) as error:  # both libraries, and text that is no UTF-8
        raise MalformedError("APPLICATION_FILE", f"expected JSON or TOML in UTF-8 in {path}") from error
    return _texts_of(value, PERMIT_COLUMNS)


def _read_csv(lines: Iterable[str], columns: Columns, *, skipped: int) -> Iterator[NumberedRow]:
    reader = csv.reader(lines, strict=True)
    try:
        fields = _fields_of(next(reader), columns)
    except csv.Error as error:
        raise MalformedError("COLUMN", f"expected a heading of comma-separated names: {error}") from error
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = MalformedError("ROW", f"expected comma-separated cells: {error}")
            yield NumberedRow(skipped + reader.line_num, problem)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        line = skipped + reader.line_num
        if len(cells) != len(fields):
            told = f"expected {len(fields)} cells as in the heading, got {len(cells)}"
            yield NumberedRow(line, MalformedError("ROW", told))
        else:
            yield NumberedRow(line, dict(zip(fields, cells, strict=True)))


def _fields_of(heading: list[str], columns: Columns) -> list[str]:
    fields = [columns.field_of(name) for name in heading]
    unknown = [name for name, found in zip(heading, fields, strict=True) if found is None]
    known = [found for found in fields if found is not None]
    missing = [name for name in columns.names if name not in known and name not in columns.optional]
    if unknown:
        raise MalformedError("COLUMN", f"no such field: {unknown[0]!r:.60}; the fields are {', '.join(columns.names)}")
    if len(set(known)) != len(known):
        raise MalformedError("COLUMN", "expected every field once in the heading")
    if missing:
        raise MalformedError("COLUMN", f"the heading lacks {', '.join(missing)}")
    return known


def _read_json_lines(lines: Iterable[tuple[int, str]], columns: Columns) -> Iterator[NumberedRow]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield NumberedRow(number, _texts_of(json.loads(line), columns))
        except MalformedError as error:
            yield NumberedRow(number, error)
        except (ValueError, RecursionError):
            yield NumberedRow(number, MalformedError("ROW", f"expected one JSON object a line: {_ABOUT}"))


def _texts_of(value: object, columns: Columns) -> Texts:
    if not isinstance(value, Mapping):
        raise MalformedError("ROW", f"expected an object: {_ABOUT}")
    found: Texts = {}
    for name, given in value.items():
        known = columns.field_of(str(name))
        if known is None or known in found:
            raise MalformedError("COLUMN", f"no such field, or twice: {str(name)!r:.60}")
        found[known] = _text_of(given, known)
    return found


def _text_of(given: object, name: str) -> str:
    match given:
        case None:
            return ""
        case bool():
            return "true" if given else "false"
        case str():
            return given
        case date():
            return given.isoformat()
        case list() if all(isinstance(entry, str) for entry in given):
            return ";".join(given)
        case _:
            raise MalformedError("ROW", f"expected {name!r} to be a text", field=name)
