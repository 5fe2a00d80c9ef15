"""Rows at a desk: an item from the texts of a file's row or of a command's options. One reader for all of them.

Rules kept: names and words in English or Chinese; what a keyboard or a spreadsheet adds is taken away where only one
thing can be meant (wide digits, spaces and hyphens in a number, `="…"`, a day with midnight), then a form is strict;
every wrong field is told at once, by name and with what was expected, never with the value; what may be right and may
be wrong is a doubt, by its name. Form only: the rest is the node's to judge.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar, get_origin

import typer
from msgspec import Struct

from federation.cli.tree import identifier
from federation.cli.words import LOOK_ALIKE, cell_text, condensed, find_word, plain, word_of
from federation.domain.citizen_number import verify_citizen_number
from federation.domain.permits import PermitUrn, parse_permit_urn
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError, RuleError
from federation.protocol.ids import Realm
from federation.protocol.unseen import find_doubtful, find_unseen_words, written

T = TypeVar("T")
Texts: TypeAlias = dict[str, str]
Read: TypeAlias = "Callable[[str], object]"
Found: TypeAlias = Mapping[str, object]
_DAY: Final = re.compile(
    r"([0-9]{4})(?:([-/.])([0-9]{1,2})\2([0-9]{1,2})"
    r"|\u5e74([0-9]{1,2})\u6708([0-9]{1,2})\u65e5?|([0-9]{2})([0-9]{2}))",
    re.ASCII,
)
"""Year, month, day: apart by one sign, by their Chinese words, or together."""
_MIDNIGHT: Final = re.compile(r"[\sT]+0?0:00(:00(\.0+)?)?$", re.ASCII)
_DIVISION: Final = re.compile(r"[0-9]{6}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_FIGURE: Final = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]{1,2}", re.ASCII)
_BETWEEN_WORDS: Final = re.compile("[;,|/\u3001\uff1b\uff0c\\s]+")
_YES: Final = frozenset({"true", "yes", "1", "是", "y", "有", "√"})
_NO: Final = frozenset({"false", "no", "0", "否", "n", "无", "×", ""})
_FIRST_DEMO_YEAR: Final = "2100"
"""A number is judged as one of the realm that it is of; that it is this node's realm is the node's to judge."""
FILE_HELP: Final = "CSV or XLSX with a heading, or JSON Lines."


class UnreadableError(ValueError):
    """A text that is not of its form: what to type instead, in both languages."""

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(english)
        self.chinese = chinese


_MISSING: Final = UnreadableError("未填", "missing")
_TURNED: Final = (
    "Excel 把号码变成了数字，末几位已丢失：先把该列设为“文本”，再照证件重新输入",
    "Excel turned the number into a figure and its end is lost: make the column text, and type it again",
)


class DoubtKind(StrEnum):
    """The reasons to doubt a row that can be read; a person accepts each by its name."""

    LOOK_ALIKE = "look_alike"
    BIRTH_DATE = "birth_date"
    SEX = "sex"
    NUMBER = "number"
    DIVISION = "division"
    ISSUER = "issuer"


class Doubt(Struct, frozen=True):
    kind: DoubtKind
    chinese: str
    english: str


AcceptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept", metavar=f"[{'|'.join(DoubtKind)}]", help="Doubts that were looked at, by name; repeat for each."
    ),
]


def read_accepted(given: Collection[str] | None) -> frozenset[DoubtKind]:
    """Returns the doubts that a person accepted by name, in either language; any other word is a usage error."""
    found = {text: find_word(DoubtKind, text) for each in given or () for text in _BETWEEN_WORDS.split(each) if text}
    if unknown := [text for text, kind in found.items() if kind is None]:
        known = "、".join(word_of("DoubtKind", kind) for kind in DoubtKind)
        raise typer.BadParameter(
            f"没有这种疑点：{unknown[0]!r:.40}；{known} | no such doubt: {unknown[0]!r:.40}; {known}",
            param_hint="--accept",
        )
    return frozenset(kind for kind in found.values() if kind is not None)


def settle_doubts(
    doubts: Collection[Doubt], accepted: Collection[DoubtKind], *, faults: Iterable[BridgeheadError] = ()
) -> None:
    """Refuses all doubts at once that nobody accepted by name, and says what else the law will refuse (DOUBTED)."""
    if open_ := [doubt for doubt in doubts if doubt.kind not in accepted]:
        kinds = ",".join(sorted({each.kind for each in open_}))
        said = [*(fault.message.split(" | ") for fault in faults), *((each.chinese, each.english) for each in open_)]
        chinese, english = "；".join(zh for zh, _ in said), "; ".join(en for _, en in said)
        raise RuleError("DOUBTED", f"{chinese}（--accept {kinds}） | {english} (--accept {kinds})", doubts=kinds)


# ---- the forms of fields


class Words(Struct, frozen=True):
    """Free text in the one form of a desk; as the name of a person or a firm it is doubted sooner."""

    longest: int
    is_name: bool = False

    def __call__(self, given: str) -> str:
        if (unseen := find_unseen_words(given)) is not None:
            raise UnreadableError(f"{unseen[0]}，请重新输入", f"expected characters that can be seen, but {unseen[1]}")
        made = written(given)
        fits = 0 < len(made) <= self.longest and not _CONTROL.search(made) and not made.startswith("=")
        return _expect(made, fits, f"应为 1 至 {self.longest} 个字符，不是公式", f"1 to {self.longest} characters")


def code(given: str) -> str:
    """A code of digits and capitals, as it is written; what Excel turned into a figure is refused in words."""
    made = condensed(given)
    if _FIGURE.fullmatch(made):
        raise UnreadableError(*_TURNED)
    return made


def number(given: str) -> str:
    made = code(given)
    try:
        verify_citizen_number(made, Realm.DEMO if made[6:10] >= _FIRST_DEMO_YEAR else Realm.LIVE)
    except MalformedError as error:
        if len(made) == 18 and made.isdigit() and made.endswith("000"):
            raise UnreadableError(*_TURNED) from error
        raise UnreadableError(*error.message.split(" | ")) from error
    return made


def division(given: str) -> str:
    return _expect(code(given), _DIVISION.fullmatch(code(given)), "应为六位数字，如 361123", "six digits")


def digest(given: str) -> str:
    made = condensed(given).lower()
    return _expect(made, _DIGEST.fullmatch(made), "应为 64 位十六进制的 SHA-256", "a SHA-256 in 64 hex digits")


def day(given: str) -> date:
    text = plain(given)
    match = _DAY.fullmatch(re.sub(r"\s", "", _MIDNIGHT.sub("", text)))
    if match is None:
        raise UnreadableError("应为日期，如 2026-01-05", "expected a day such as 2026-01-05")
    year, month, number_ = (int(each) for index, each in enumerate(match.groups()) if each and index != 1)
    try:
        return date(year, month, number_)
    except ValueError as error:
        raise UnreadableError("日历上没有这一天", "expected a day of the calendar") from error


def yes(given: str) -> bool:
    text = plain(given).lower()
    return bool(_expect(text, text in _YES | _NO, "应为 是 或 否", "true or false") in _YES)


def one_of(enum: type[StrEnum]) -> Read:

    def read(given: str) -> StrEnum:
        found = find_word(enum, plain(given))
        if found is None:
            raise _none_of(enum, "其一", "one")
        return found

    return read


def some_of(enum: type[StrEnum]) -> Read:
    """Words of the enum in either language, apart by what people put between words."""

    def read(given: str) -> frozenset[StrEnum]:
        found = [find_word(enum, plain(each)) for each in _BETWEEN_WORDS.split(cell_text(given)) if each]
        if None in found:
            raise _none_of(enum, "若干项", "some")
        return frozenset(each for each in found if each is not None)

    return read


def spelled(names: Mapping[str, str], refuse: Callable[[str], str]) -> Read:
    """A name by any of its spellings; what is none is refused in the words of `refuse`."""

    def read(given: str) -> str:
        try:
            return names.get(plain(given)) or refuse(plain(given))
        except MalformedError as error:
            raise UnreadableError(*error.message.split(" | ")) from error

    return read


def parsed(parse: Callable[[str], object], chinese: str, english: str) -> Read:

    def read(given: str) -> object:
        try:
            return parse(plain(given))
        except MalformedError as error:
            raise UnreadableError(chinese, f"expected {english}") from error

    return read


def read_permit(given: str) -> PermitUrn:
    """Reads a permit's name as it was typed or pasted, in any case (PERMIT_URN)."""
    return parse_permit_urn(identifier(given))


PERMIT_NAME: Final = parsed(
    read_permit,
    "应为居住证编号，如 urn:permit:330822:2026:000123",
    "a permit such as urn:permit:330822:2026:000123",
)


def _none_of(enum: type[StrEnum], some: str, of_them: str) -> UnreadableError:
    known = "、".join(word_of(enum.__name__, each).partition(" ")[0] for each in enum)
    return UnreadableError(f"应为下列{some}：{known}", f"expected {of_them} of {', '.join(enum)}")


def _expect(given: str, fits: object, chinese: str, english: str) -> str:
    if not fits:
        raise UnreadableError(chinese, f"expected {english}")
    return given


# ---- sheets


def constant(value: object) -> Callable[[Found], object]:
    return lambda _: value


class Field(Struct, frozen=True, kw_only=True):
    read: Read
    usual: Callable[[Found], object] | None = None
    option: str = ""
    kind: Any = str
    help: str = ""


class Sheet(Struct, Generic[T], frozen=True, kw_only=True):
    """The fields of a row, and what is made of them.

    `judge` finds what the law refuses in so much of a row as can be read: a clerk is told it with the rest.
    """

    fields: Mapping[str, Field]
    labels: Mapping[str, str]
    make: Callable[..., T]
    reason: str
    judge: Callable[[Found], Iterable[BridgeheadError]] = lambda _: ()

    def parse(self, texts: Mapping[str, str]) -> T:
        """Makes the item from texts by field name, absent ones empty; refuses with the sheet's reason, by field."""
        found: dict[str, object] = {}
        problems: dict[str, UnreadableError] = {}
        for name, field in self.fields.items():
            given = cell_text(texts.get(name, ""))
            try:
                if given:
                    found[name] = field.read(given)
                elif field.usual is not None:
                    found[name] = field.usual(found)
                else:
                    problems[name] = _MISSING
            except UnreadableError as error:
                problems[name] = error
            except KeyError:  # it follows from a field that could not be read, which is told
                continue
        if problems:
            sentences = [(f"{self.labels[name]}：{each.chinese}", f"{name}: {each}") for name, each in problems.items()]
            sentences += [(zh, en) for zh, en in (fault.message.split(" | ") for fault in self.judge(found))]
            chinese, english = "；".join(zh for zh, _ in sentences), "; ".join(en for _, en in sentences)
            raise MalformedError(self.reason, f"{chinese} | {english}", field=", ".join(problems))
        return self.make(**found)

    def find_doubts(self, texts: Mapping[str, str]) -> Iterator[Doubt]:
        """Finds texts with a character that looks like another one, as they were given; none is shown."""
        for name, read in ((name, field.read) for name, field in self.fields.items()):
            if isinstance(read, Words) and (
                sign := find_doubtful(cell_text(texts.get(name, "")), is_name=read.is_name)
            ):
                chinese, _, english = LOOK_ALIKE.partition(" | ")
                label = f"{self.labels[name]} {sign} {chinese}"
                yield Doubt(DoubtKind.LOOK_ALIKE, label, f"{name} {sign}: {english}")

    def field_of(self, name: str) -> str | None:
        """The field that a heading, English or Chinese, stands for; None when it is none."""
        named = "".join(plain(name).split())
        return next((each for each in self.fields if named in {each, self.labels[each]}), None)

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


# ---- one row alone


def read_object(path: Path, sheet: Sheet[T]) -> Texts:
    """Reads one row alone from JSON or TOML; `-` is JSON on stdin (FILE_MISSING, APPLICATION_FILE, COLUMN)."""
    try:
        content = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
        value = tomllib.loads(content) if path.suffix == ".toml" else json.loads(content)
    except OSError as error:
        raise NotFoundError("FILE_MISSING", f"expected a file {path}") from error
    except (ValueError, RecursionError) as error:  # both libraries, and text that is no UTF-8
        raise MalformedError("APPLICATION_FILE", f"expected JSON or TOML in UTF-8 in {path}") from error
    return texts_of(value, sheet)


def texts_of(value: object, sheet: Sheet[T]) -> Texts:
    if not isinstance(value, Mapping):
        raise MalformedError("ROW", "应为写明各项的对象 | expected an object with the fields by name")
    found: Texts = {}
    for name, given in value.items():
        known = sheet.field_of(str(name))
        if known is None or known in found:
            there = ", ".join(f"{sheet.labels[each]} {each}" for each in sheet.fields)
            raise MalformedError("COLUMN", f"没有这一项或重复 | no such field, or twice: {str(name)!r:.60}; {there}")
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
            raise MalformedError("ROW", f"{name}：应为文字 | expected {name!r} to be a text", field=name)
