"""Rows at a desk: an item from the texts of a file's row or of a command's options. One reader for all of them.

Rules kept: names and words in English or Chinese; every wrong field is told at once, by name and with what was
expected, never with the value; a line that cannot be read is told by its number and the others go on; a bad heading or
encoding is an error of the whole file; leading lines that begin with `#` are notices. Form only: the rest is the
node's to judge.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from inspect import Parameter, Signature
from itertools import chain, dropwhile
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar, get_origin

import typer

from federation.cli.words import LOOK_ALIKE, find_word
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError
from federation.protocol.unseen import find_doubtful, find_unseen_words, written

T = TypeVar("T")
Texts: TypeAlias = dict[str, str]
Read: TypeAlias = "Callable[[str], object]"
Found: TypeAlias = Mapping[str, object]
_DAY: Final = re.compile(r"([0-9]{4})([-/])([0-9]{1,2})\2([0-9]{1,2})", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_DIVISION: Final = re.compile(r"[0-9]{6}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BETWEEN_WORDS: Final = re.compile("[;,|\u3001\uff1b\uff0c\\s]+")
_YES: Final = frozenset({"true", "yes", "1", "是", "y"})
_NO: Final = frozenset({"false", "no", "0", "否", "n", ""})


class UnreadableError(ValueError):
    """A text that is not of its form: what was expected, and which field says so when it is not the own one."""

    def __init__(self, expected: str, field: str = "") -> None:
        super().__init__(expected)
        self.field = field


# ---- the forms of fields


@dataclass(frozen=True, slots=True)
class Words:
    """Free text in the one form of a desk; as the name of a person or a firm it is doubted sooner."""

    longest: int
    is_name: bool = False

    def __call__(self, given: str) -> str:
        if (unseen := find_unseen_words(given)) is not None:
            raise UnreadableError(f"characters that can be seen, but {unseen[1]}")
        made = written(given)
        fits = 0 < len(made) <= self.longest and not _CONTROL.search(made)
        return _expect(made, fits, f"1 to {self.longest} characters")


def capitals(given: str) -> str:
    return given.upper()


def number(given: str) -> str:
    return _expect(given.upper(), _NUMBER.fullmatch(given.upper()), "17 digits and a digit or X")


def division(given: str) -> str:
    return _expect(given, _DIVISION.fullmatch(given), "six digits")


def digest(given: str) -> str:
    return _expect(given.lower(), _DIGEST.fullmatch(given.lower()), "a SHA-256 in 64 hex digits")


def day(given: str) -> date:
    match = _DAY.fullmatch(given)
    if match is None:
        raise UnreadableError("a day such as 2026-01-05")
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError as error:
        raise UnreadableError("a day of the calendar") from error


def yes(given: str) -> bool:
    return bool(_expect(given.lower(), given.lower() in _YES | _NO, "true or false") in _YES)


def one_of(enum: type[StrEnum]) -> Read:

    def read(given: str) -> StrEnum:
        found = find_word(enum, given)
        if found is None:
            raise UnreadableError(f"one of {', '.join(enum)}")
        return found

    return read


def some_of(enum: type[StrEnum]) -> Read:
    """Words of the enum in either language, apart by what people put between words."""

    def read(given: str) -> frozenset[StrEnum]:
        found = [find_word(enum, each) for each in _BETWEEN_WORDS.split(given) if each]
        if None in found:
            raise UnreadableError(f"some of {', '.join(enum)}")
        return frozenset(each for each in found if each is not None)

    return read


def spelled(names: Mapping[str, str], refuse: Callable[[str], str]) -> Read:
    """A name by any of its spellings; what is none is refused in the words of `refuse`."""

    def read(given: str) -> str:
        try:
            return names.get(given) or refuse(given)
        except MalformedError as error:
            raise UnreadableError(error.message.partition(" | expected ")[2]) from error

    return read


def parsed(parse: Callable[[str], object], expected: str) -> Read:

    def read(given: str) -> object:
        try:
            return parse(given)
        except MalformedError as error:
            raise UnreadableError(expected) from error

    return read


def _expect(given: str, fits: object, expected: str) -> str:
    if not fits:
        raise UnreadableError(expected)
    return given


# ---- sheets


def constant(value: object) -> Callable[[Found], object]:
    return lambda _: value


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    read: Read
    usual: Callable[[Found], object] | None = None
    option: str = ""
    kind: Any = str
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[T]):
    fields: Mapping[str, Field]
    labels: Mapping[str, str]
    make: Callable[..., T]
    reason: str

    def parse(self, texts: Mapping[str, str]) -> T:
        """Makes the item from texts by field name, absent ones empty; refuses with the sheet's reason, by field."""
        found: dict[str, object] = {}
        problems: dict[str, str] = {}
        for name, field in self.fields.items():
            given = texts.get(name, "").strip()
            try:
                if given:
                    found[name] = field.read(given)
                elif field.usual is not None:
                    found[name] = field.usual(found)
                else:
                    problems.setdefault(name, "missing")
            except UnreadableError as error:
                problems.setdefault(error.field or name, f"expected {error}")
            except KeyError:  # it follows from a field that could not be read
                problems.setdefault(name, "missing")
        if problems:
            message = "; ".join(f"{name} ({self.labels[name]}): {what}" for name, what in problems.items())
            raise MalformedError(self.reason, message, field=", ".join(problems))
        return self.make(**found)

    def find_doubts(self, texts: Mapping[str, str]) -> Iterator[str]:
        """Finds texts with a character that looks like another one, as they were given; none is shown."""
        for name, read in ((name, field.read) for name, field in self.fields.items()):
            if isinstance(read, Words) and (sign := find_doubtful(texts.get(name, "").strip(), is_name=read.is_name)):
                yield f"{name} {sign}: {self.labels[name]}{LOOK_ALIKE}"

    def field_of(self, name: str) -> str | None:
        """The field that a heading, English or Chinese, stands for; None when it is none."""
        plain = name.strip().strip("\ufeff")
        return next((each for each in self.fields if plain in {each, self.labels[each]}), None)

    def options(self, panel: str, *, file: str = "", required: bool = False) -> Callable[..., Texts]:
        """Gathers fields from the command line, over a file's if `file`; those without a usual value are `required`."""

        def gather(**given: object) -> Texts:
            path = given.pop("file", None)
            read = read_object(path, self) if isinstance(path, Path) else {}
            return read | {name: _typed(value) for name, value in given.items() if value}

        shown = {name: field for name, field in self.fields.items() if field.option}
        parameters = [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=Parameter.empty if required and field.usual is None else False if field.kind is bool else None,
                annotation=_option(field, panel, needed=required and field.usual is None),
            )
            for name, field in shown.items()
        ]
        if file:
            annotation = Annotated[Path | None, typer.Option("--from", help=file, rich_help_panel=panel)]
            parameters.insert(0, Parameter("file", Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
        gather.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # the options, by the table
        return gather


def _option(field: Field, panel: str, *, needed: bool) -> object:
    metavar = "WORD" if get_origin(field.kind) is list else None
    option = typer.Option(field.option, help=field.help, metavar=metavar, rich_help_panel=panel)
    return Annotated[field.kind if needed or field.kind is bool else field.kind | None, option]


def _typed(value: object) -> str:
    if isinstance(value, list):
        return ";".join(value)
    return value if isinstance(value, str) else "true"


# ---- files


@dataclass(frozen=True, slots=True)
class NumberedRow:
    line: int
    texts: Texts | BridgeheadError


def read_rows(path: Path, sheet: Sheet[T], *, encoding: str = "utf-8") -> Iterator[NumberedRow]:
    """Reads the rows of a CSV file or of JSON Lines (FILE_MISSING, FILE_ENCODING, FILE_EMPTY, COLUMN)."""
    try:
        with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as lines:
            numbered = dropwhile(lambda line: line[1].startswith("#"), enumerate(lines, start=1))
            first = next(numbered, None)
            if first is None:
                raise MalformedError("FILE_EMPTY", f"expected rows in {path}, got none")
            skipped, everything = first[0] - 1, chain([first], numbered)
            yield from (
                _read_json_lines(everything, sheet)
                if first[1].lstrip().startswith("{")
                else _read_csv((line for _, line in everything), sheet, skipped=skipped)
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


def read_object(path: Path, sheet: Sheet[T]) -> Texts:
    """Reads one row alone from JSON or TOML; `-` is JSON on stdin (FILE_MISSING, APPLICATION_FILE, COLUMN)."""
    try:
        content = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
        value = tomllib.loads(content) if path.suffix == ".toml" else json.loads(content)
    except OSError as error:
        raise NotFoundError("FILE_MISSING", f"expected a file {path}") from error
    except (ValueError, RecursionError) as error:  # both libraries, and text that is no UTF-8
        raise MalformedError("APPLICATION_FILE", f"expected JSON or TOML in UTF-8 in {path}") from error
    return _texts_of(value, sheet)


def _read_csv(lines: Iterable[str], sheet: Sheet[T], *, skipped: int) -> Iterator[NumberedRow]:
    reader = csv.reader(lines, strict=True)
    try:
        fields = _fields_of(next(reader), sheet)
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
            message = f"expected {len(fields)} cells as in the heading, got {len(cells)}"
            yield NumberedRow(line, MalformedError("ROW", message))
        else:
            yield NumberedRow(line, dict(zip(fields, cells, strict=True)))


def _fields_of(heading: list[str], sheet: Sheet[T]) -> list[str]:
    fields = [sheet.field_of(name) for name in heading]
    unknown = [name for name, found in zip(heading, fields, strict=True) if found is None]
    known = [found for found in fields if found is not None]
    missing = [name for name, field in sheet.fields.items() if name not in known and field.usual is None]
    if unknown:
        raise MalformedError("COLUMN", f"no such field: {unknown[0]!r:.60}; the fields are {', '.join(sheet.fields)}")
    if len(set(known)) != len(known):
        raise MalformedError("COLUMN", "expected every field once in the heading")
    if missing:
        raise MalformedError("COLUMN", f"the heading lacks {', '.join(missing)}")
    return known


def _read_json_lines(lines: Iterable[tuple[int, str]], sheet: Sheet[T]) -> Iterator[NumberedRow]:
    for number_, line in lines:
        if not line.strip():
            continue
        try:
            yield NumberedRow(number_, _texts_of(json.loads(line), sheet))
        except MalformedError as error:
            yield NumberedRow(number_, error)
        except (ValueError, RecursionError):
            yield NumberedRow(
                number_, MalformedError("ROW", "expected one JSON object a line, with the fields by name")
            )


def _texts_of(value: object, sheet: Sheet[T]) -> Texts:
    if not isinstance(value, Mapping):
        raise MalformedError("ROW", "expected an object with the fields by name")
    found: Texts = {}
    for name, given in value.items():
        known = sheet.field_of(str(name))
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
