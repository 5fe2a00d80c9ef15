"""Files of rows: CSV, an Excel sheet (XLSX) or JSON Lines, decoded whole before a row is used; and headings.

Rules kept: what cannot be decoded is told by line and byte, and then no row is used; a line of a CSV file is one row,
so no quote swallows another; a line that cannot be read is told by its number and the others go on; a bad heading is
an error of the whole file; leading lines that begin with `#` are notices. Of a sheet nothing is computed: a formula, a
cell with an error and cells merged over rows are told, since what they hold is not what the clerk sees. Size, rows,
columns and what a packed file unpacks to are bounded.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from itertools import dropwhile, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from msgspec import Struct

from federation.cli.rows import Sheet, Texts, texts_of
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell, MergedCell

T = TypeVar("T")
MAX_BYTES: Final = 64 << 20
MAX_UNPACKED_BYTES: Final = 128 << 20
MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 256
ENCODINGS: Final = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030"}
"""By the name that Python has for any spelling of it: as what a file is read. GB 18030 holds the two older ones."""
_PACKED: Final = b"PK\x03\x04"
_OLD_SHEET: Final = b"\xd0\xcf\x11\xe0"
"""An .xls, or a sheet under a password."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_HAN: Final = re.compile("[\u3400-\u9fff]")
_FIGURE_DIGITS: Final = 15
"""So many digits of a figure Excel keeps; the rest are zeros."""
_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="[A-Z]+([0-9]+):[A-Z]+([0-9]+)"')
_ROW_PLACE: Final = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="([0-9]+)"')
Cells: TypeAlias = "Sequence[str] | BridgeheadError"


class NumberedRow(Struct, frozen=True):
    line: int
    texts: Texts | BridgeheadError


def read_rows(path: Path, sheet: Sheet[T], *, encoding: str = "utf-8") -> Iterator[NumberedRow]:
    """Reads the rows of a file (FILE_MISSING, FILE_SIZE, FILE_ENCODING, FILE_SHEET, FILE_EMPTY, COLUMN)."""
    content = _load(path)
    if content.startswith(_OLD_SHEET):
        raise MalformedError("FILE_SHEET", "旧版 .xls 或有密码：另存为 .xlsx | an old .xls or one under a password")
    if content.startswith(_PACKED):
        yield from _with_heading(_sheet_lines(content), sheet)
        return
    lines = _text_lines(decode_text(content, encoding))
    first = next(lines, None)
    if first is None:
        raise MalformedError("FILE_EMPTY", "文件中没有数据行 | expected rows, got none")
    if first[1].lstrip().startswith("{"):
        yield from _json_rows(_chain(first, lines), sheet)
        return
    delimiter = "\t" if "\t" in first[1] and "," not in first[1] else ","
    yield from _with_heading(((line, _cells_of(text, delimiter)) for line, text in _chain(first, lines)), sheet)


def write_template(path: Path, sheet: Sheet[T], *, chinese: bool, rows: Iterable[Mapping[str, str]] = ()) -> None:
    """Writes the heading of a file of rows, as XLSX (every cell text) or CSV by its ending (FILE_EXISTS, FILE_KIND).

    And rows under it; a text that a spreadsheet would compute has an apostrophe before it.
    """
    heading = [sheet.labels[name] if chinese else name for name in sheet.fields]
    lines = [heading, *([_inert(row[name]) for name in sheet.fields] for row in rows)]
    kind = path.suffix.lower()
    if kind not in {".csv", ".xlsx"}:
        raise MalformedError("FILE_KIND", "文件名应以 .csv 或 .xlsx 结尾 | expected a name that ends in .csv or .xlsx")
    made = io.BytesIO()
    if kind == ".xlsx":
        _write_sheet(made, lines)
    else:
        text = io.StringIO()
        csv.writer(text).writerows(lines)
        made.write(codecs.BOM_UTF8 + text.getvalue().encode())
    try:
        with path.open("xb") as file:
            file.write(made.getvalue())
    except FileExistsError as error:
        raise MalformedError(
            "FILE_EXISTS", f"文件已存在，未改动 | {path} is there already", option="--template"
        ) from error


# ---- bytes and lines


def _load(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError("FILE_MISSING", f"没有文件 | expected a file {path}") from error
    if len(content) > MAX_BYTES:
        raise MalformedError(
            "FILE_SIZE", f"文件过大：至多 {MAX_BYTES >> 20} MB | expected at most {MAX_BYTES >> 20} MB"
        )
    return content


def decode_text(content: bytes, encoding: str) -> str:
    """Decodes a whole file, or names the line and the byte where it cannot be (FILE_ENCODING).

    A byte order mark says what a file is, whatever was named. A file that is UTF-8 with Chinese in it is refused as
    anything else: read otherwise it would be other names.
    """
    try:
        name = ENCODINGS[codecs.lookup(encoding).name]
    except LookupError as error:
        known = "utf-8、gb18030"
        raise MalformedError("FILE_ENCODING", f"没有这种编码：{known} | no such encoding: {encoding!r:.40}") from error
    marked = content.startswith(codecs.BOM_UTF8)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    elif marked or (name != "utf-8" and _HAN.search(content.decode("utf-8", "replace")) and _is(content, "utf-8")):
        if not marked:
            raise MalformedError("FILE_ENCODING", "文件是 UTF-8，不是所写编码 | the file is UTF-8, not what was named")
        name = "utf-8-sig"
    try:
        return content.decode(name)
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(content[: error.start].decode("latin-1"))) + 1
        cell = re.split(rb"[,\t\r\n]", content[error.start :], maxsplit=1)[0]
        like = "，像 GB 18030" if name.startswith("utf-8") and _is(cell, "gb18030") else ""
        raise MalformedError(
            "FILE_ENCODING",
            f"第 {line} 行（文件第 {error.start + 1} 字节）不是 {name}{like}；未导入任何行"
            f" | line {line}, byte {error.start + 1} of the file, is not {name}; no row was used",
            line=line, byte=error.start + 1,
        ) from error  # fmt: skip


def _is(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _text_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines from 1 without the notices in front."""
    yield from dropwhile(
        lambda line: line[1].startswith("#"), enumerate(_LINE_END.split(text), start=1) if text else ()
    )


def _chain(first: T, rest: Iterable[T]) -> Iterator[T]:
    yield first
    yield from rest


# ---- rows under a heading


def _cells_of(line: str, delimiter: str) -> Cells:
    try:
        return next(csv.reader([line], strict=True, delimiter=delimiter), [])
    except csv.Error:
        sentence = "引号不成对，或一格写了几行 | a quote that is not closed in its line: one line is one row"
        return MalformedError("ROW", sentence)


def _with_heading(lines: Iterator[tuple[int, Cells]], sheet: Sheet[T]) -> Iterator[NumberedRow]:
    fields: list[str | None] | None = None
    rows = 0
    for line, cells in lines:
        if isinstance(cells, BridgeheadError):
            if fields is None:
                raise MalformedError("COLUMN", cells.message) from cells
        elif not any(cell.strip() for cell in cells):
            continue
        elif fields is None:
            fields = _fields_of(cells, sheet)
            continue
        rows = _count(rows)
        yield NumberedRow(line, cells if isinstance(cells, BridgeheadError) else _texts_under(fields or [], cells))
    if fields is None:
        raise MalformedError("FILE_EMPTY", "文件中没有数据行 | expected rows, got none")


def _count(rows: int) -> int:
    if rows == MAX_ROWS:
        raise MalformedError("FILE_SIZE", f"至多 {MAX_ROWS} 行，请分成几个文件 | expected at most {MAX_ROWS} rows")
    return rows + 1


def _fields_of(heading: Sequence[str], sheet: Sheet[T]) -> list[str | None]:
    named = [name.strip() for name in heading]
    while named and not named[-1]:
        named.pop()
    fields = [sheet.field_of(name) if name else None for name in named]
    known = [found for found in fields if found is not None]
    if unknown := [name for name, found in zip(named, fields, strict=True) if name and found is None]:
        listed = ", ".join(f"{label} {name}" for name, label in sheet.labels.items() if name in sheet.fields)
        raise MalformedError("COLUMN", f"没有这一列 | no such field: {unknown[0]!r:.60}; {listed}")
    if len(set(known)) != len(known):
        raise MalformedError("COLUMN", "标题行中有重复的列 | expected every field once in the heading")
    if missing := [name for name, field in sheet.fields.items() if name not in known and field.usual is None]:
        labels = "、".join(sheet.labels[name] for name in missing)
        raise MalformedError("COLUMN", f"标题行缺：{labels} | the heading lacks {', '.join(missing)}")
    return fields


def _texts_under(fields: Sequence[str | None], cells: Sequence[str]) -> Texts | BridgeheadError:
    """The cells by field; empty ones behind the heading, or under none, are none."""
    nameless = [cell for name, cell in zip(fields, cells, strict=False) if name is None]
    if len(cells) < len(fields) or any(cell.strip() for cell in [*nameless, *cells[len(fields) :]]):
        return MalformedError(
            "ROW",
            f"应有 {len(fields)} 格，实有 {len(cells)} 格或无标题的格 | expected {len(fields)} cells as in the heading",
        )
    return {name: cell for name, cell in zip(fields, cells, strict=False) if name is not None}


def _json_rows(lines: Iterable[tuple[int, str]], sheet: Sheet[T]) -> Iterator[NumberedRow]:
    rows = 0
    for number, line in lines:
        if not line.strip():
            continue
        rows = _count(rows)
        try:
            yield NumberedRow(number, texts_of(json.loads(line), sheet))
        except MalformedError as error:
            yield NumberedRow(number, error)
        except (ValueError, RecursionError):
            sentence = "每行应为一个 JSON 对象 | expected one JSON object a line, with the fields by name"
            yield NumberedRow(number, MalformedError("ROW", sentence))


# ---- an Excel sheet


def _sheet_lines(content: bytes) -> Iterator[tuple[int, Cells]]:
    """Reads the rows of the one sheet that has any; openpyxl is loaded here, since few commands need it."""
    try:
        _verify_packed(content)
        yield from _rows_of(content)
    except BridgeheadError:
        raise
    except Exception as error:  # its reader raises whatever a damaged file makes it meet
        sentence = "不是可读的 XLSX，请另存为 .xlsx 或 CSV UTF-8 | no XLSX that can be read: save it anew"
        raise MalformedError("FILE_SHEET", f"{sentence} ({type(error).__name__})") from error


def _verify_packed(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        if sum(each.file_size for each in packed.infolist()) > MAX_UNPACKED_BYTES:
            raise MalformedError("FILE_SIZE", "展开后过大 | expected a sheet that unpacks to less")
        for name in packed.namelist():
            if not name.startswith("xl/worksheets/") or not name.endswith(".xml"):
                continue
            text = packed.read(name)
            if any(first != last for first, last in _MERGED.findall(text)):
                sentence = "有跨行合并的单元格：取消合并，逐行填写 | cells are merged over rows: unmerge them"
                raise MalformedError("FILE_SHEET", sentence)
            places = [int(place) for place in _ROW_PLACE.findall(text)]
            if any(later <= earlier for earlier, later in pairwise(places)):
                raise MalformedError("FILE_SHEET", "行号混乱，请另存后重试 | its rows are out of order: save it anew")


def _rows_of(content: bytes) -> Iterator[tuple[int, Cells]]:
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and the like, on a clerk's terminal
        book = load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
        filled = width = 0
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what a file says of its own size is often wrong
            any_here = False
            for line, row in enumerate(sheet.iter_rows(), start=1):
                if all(cell.value is None for cell in row):
                    continue
                if len(row) > MAX_COLUMNS:
                    raise MalformedError(
                        "FILE_SHEET", f"至多 {MAX_COLUMNS} 列 | expected at most {MAX_COLUMNS} columns"
                    )
                filled, any_here = filled + (not any_here), True
                if filled > 1:
                    raise MalformedError("FILE_SHEET", "只留一张有内容的工作表 | expected rows in one sheet only")
                width = width or len(row)
                cells = _row_cells(row)
                yield line, cells if isinstance(cells, BridgeheadError) else [*cells, *[""] * (width - len(row))]


def _row_cells(row: Sequence[Cell | MergedCell]) -> Cells:
    for cell in row:
        if cell.data_type == "f" and not str(cell.value).startswith('="'):
            sentence = "是公式：请选择性粘贴为“数值” | is a formula: paste its value"
            return MalformedError("ROW", f"{cell.coordinate} {sentence}")
        if cell.data_type == "e":
            return MalformedError("ROW", f"{cell.coordinate} 是 Excel 的错误值 | holds an error of Excel")
    return [_text_of_cell(cell.value) for cell in row]


def _text_of_cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            whole = int(value) if value == int(value) else value
            return f"{value:.{_FIGURE_DIGITS - 1}E}" if abs(whole) >= 10**_FIGURE_DIGITS else str(whole)
        case datetime() if value.time() == time.min:
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def _write_sheet(made: io.BytesIO, lines: Sequence[Sequence[str]]) -> None:
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.worksheets[0]
    for line in lines:
        sheet.append(list(line))
    for place, name in enumerate(lines[0], start=1):
        column = sheet.column_dimensions[get_column_letter(place)]
        column.number_format, column.width = "@", max(12, 2 * len(name) + 2)
    sheet.freeze_panes = "A2"
    book.save(made)
