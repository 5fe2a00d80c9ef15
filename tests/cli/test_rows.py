"""Tests of files of applications: what is a row, which line it is on, and what a file must not be."""

from __future__ import annotations

import contextlib
import json
from datetime import date, datetime
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from federation.cli import row_files
from federation.cli.permits import APPLICATIONS, IMPORTS
from federation.cli.row_files import read_rows
from federation.cli.rows import read_object
from federation.protocol.errors import BridgeheadError, MalformedError, NotFoundError
from tests.cli.test_applications import ROW

HEADING = ",".join(ROW)
CELLS = ",".join(ROW.values())


def rows_of(path, content, *, encoding="utf-8"):
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return list(read_rows(path, IMPORTS, encoding=encoding.replace("-sig", "")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_read_rows_of_csv_gives_texts_by_line(tmp_path, encoding, newline):
    """Any of the encodings and line ends that spreadsheets write; blank lines are passed over."""
    content = newline.join([HEADING, CELLS, "", CELLS]) + newline

    found = rows_of(tmp_path / "rows.csv", content, encoding=encoding)

    assert [row.line for row in found] == [2, 4]
    assert all(row.texts == ROW for row in found)


def test_read_rows_of_one_file_in_all_its_forms(tmp_path):
    """Lines that end in CR alone, tabs, columns without a name that are empty, a BOM under any spelling of UTF-8."""
    tabs = "\r".join(["\t".join([*ROW, "", ""]), "\t".join([*ROW.values(), " ", ""]), "\t" * 20, ""])
    marked = f"\ufeff{HEADING}\n{CELLS}\n".encode()

    assert [(row.line, row.texts) for row in rows_of(tmp_path / "tabs.csv", tabs)] == [(2, ROW)]
    (tmp_path / "marked.csv").write_bytes(marked)
    for spelling in ("utf-8", "UTF8", "utf_8", "U8", "utf-8-sig", "gb18030"):
        assert [row.texts for row in read_rows(tmp_path / "marked.csv", IMPORTS, encoding=spelling)] == [ROW]


def test_a_quote_swallows_no_row(tmp_path):
    """One line is one row: the stray quote spoils its own line, and so does a cell that was written on two."""
    lines = [HEADING, CELLS, CELLS.replace(ROW["issuer"], f'"{ROW["issuer"]}'), CELLS, '"a', 'b"', CELLS]

    found = rows_of(tmp_path / "rows.csv", "\n".join(lines))

    assert [row.line for row in found] == [2, 3, 4, 5, 6, 7]
    assert [row.line for row in found if isinstance(row.texts, BridgeheadError)] == [3, 5, 6]


def test_cells_beside_the_heading_refuse_the_row(tmp_path):
    """What stands under no heading would be lost."""
    found = rows_of(tmp_path / "rows.csv", f"{HEADING},,\n{CELLS},x,\n{CELLS},,\n{CELLS},,,,y\n{CELLS}\n")

    assert [row.line for row in found if isinstance(row.texts, BridgeheadError)] == [2, 4]


def test_what_is_in_another_encoding_is_told_by_line_and_byte(tmp_path):
    """Mixed encodings name the place; a UTF-8 file is not read as GB 18030, which would give other names."""
    content = f"{HEADING}\n{CELLS}\n".encode() + "徐谷雨".encode("gb18030")
    with pytest.raises(MalformedError) as caught:
        rows_of(tmp_path / "rows.csv", content)
    assert (caught.value.facts["line"], caught.value.facts["byte"]) == (3, len(f"{HEADING}\n{CELLS}\n".encode()) + 1)

    (tmp_path / "rows.csv").write_text(f"{HEADING}\n{CELLS}\n", encoding="utf-8")
    with pytest.raises(MalformedError, match="FILE_ENCODING"):
        list(read_rows(tmp_path / "rows.csv", IMPORTS, encoding="gbk"))
    with pytest.raises(MalformedError, match="FILE_ENCODING"):
        list(read_rows(tmp_path / "rows.csv", IMPORTS, encoding="rot13"))


def sheet_of(path, *rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    return book, path


def test_read_rows_of_a_sheet(tmp_path):
    """Days, figures of six digits and texts as they were meant; a number that became a figure is refused in words."""
    odd = ROW | {"residence_since": datetime(2025, 3, 4), "household_division": 361123, "guardian": False}
    figure = ROW | {"citizen_number": float(ROW["citizen_number"][:17] + "0")}
    book, path = sheet_of(tmp_path / "rows.bin", [], list(ROW), list(odd.values()), [], list(figure.values()))
    book.save(path)

    first, second = read_rows(path, IMPORTS)

    assert (first.line, second.line) == (3, 5)
    read = IMPORTS.parse(first.texts).application
    assert (read.residence_since, read.holder.household_division) == (date(2025, 3, 4), "361123")
    with pytest.raises(MalformedError, match="Excel 把号码变成了数字"):
        IMPORTS.parse(second.texts)


@pytest.mark.parametrize("spoil", ["formula", "error", "merged", "two sheets", "no zip", "too wide", "unpacks", "old"])
def test_a_sheet_that_does_not_say_what_the_clerk_sees_is_told(tmp_path, monkeypatch, spoil):
    """Nothing is computed, guessed or filled in, and no file unpacks to more than it may."""
    book, path = sheet_of(tmp_path / "rows.xlsx", list(ROW), list(ROW.values()))
    sheet = book.active
    if spoil in {"formula", "error"}:
        sheet["B2"] = "=A2" if spoil == "formula" else "#N/A"
    elif spoil == "merged":
        sheet.merge_cells("A2:A3")
    elif spoil == "two sheets":
        book.create_sheet().append(["x"])
    elif spoil == "too wide":
        sheet["ZZ2"] = "x"
    elif spoil == "unpacks":
        monkeypatch.setattr(row_files, "MAX_UNPACKED_BYTES", 1000)
    book.save(path)
    if spoil in {"no zip", "old"}:
        path.write_bytes((b"PK\x03\x04" if spoil == "no zip" else b"\xd0\xcf\x11\xe0") + b"x" * 99)

    if spoil in {"formula", "error"}:
        (row,) = read_rows(path, IMPORTS)
        assert isinstance(row.texts, MalformedError)
        assert "B2" in row.texts.message
    else:
        with pytest.raises(MalformedError, match="FILE_S"):
            list(read_rows(path, IMPORTS))


def test_a_file_has_a_bound(tmp_path, monkeypatch):
    """So many bytes and rows, then it is to be split."""
    monkeypatch.setattr(row_files, "MAX_ROWS", 2)
    with pytest.raises(MalformedError, match="FILE_SIZE"):
        rows_of(tmp_path / "rows.csv", f"{HEADING}\n{CELLS}\n{CELLS}\n{CELLS}")
    monkeypatch.setattr(row_files, "MAX_BYTES", 100)
    with pytest.raises(MalformedError, match="FILE_SIZE"):
        rows_of(tmp_path / "rows.csv", HEADING)


def test_read_rows_passes_over_the_notice_of_a_synthetic_file(tmp_path):
    """Leading lines that begin with `#` are notices; lines keep their numbers."""
    found = rows_of(tmp_path / "rows.csv", f"# 演示数据\n# synthetic\n{HEADING}\n{CELLS}\n")

    assert [row.line for row in found] == [4]


def test_read_rows_tells_a_row_of_another_width_and_goes_on(tmp_path):
    """A stray comma spoils one row, not the file."""
    found = rows_of(tmp_path / "rows.csv", f"{HEADING}\n{CELLS},x\n{CELLS}\n")

    assert found[0].line == 2
    assert isinstance(found[0].texts, MalformedError)
    assert found[1].texts == ROW


def test_read_rows_of_json_lines(tmp_path):
    """Booleans, lists and nulls become texts; a line that is none is told, the others go on."""
    odd = ROW | {"guardian": False, "papers": ["photo", "ground_proof"], "photo_digest": None}
    lines = [json.dumps(odd), "", "{", "[]", '{"age": 3}', '{"sealed": 3}', '{"sex": {}}']

    found = rows_of(tmp_path / "rows.jsonl", "\n".join(lines))

    assert found[0].texts == ROW | {"guardian": "false", "papers": "photo;ground_proof", "photo_digest": ""}
    assert [row.line for row in found] == [1, 3, 4, 5, 6, 7]
    assert all(isinstance(row.texts, BridgeheadError) for row in found[1:])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "FILE_EMPTY"),
        ("# only a notice\n", "FILE_EMPTY"),
        (f"{HEADING},{HEADING}\n", "COLUMN"),
        (f"{HEADING},age\n", "COLUMN"),
        ("holder_name,sex\n", "COLUMN"),
        ("姓名".encode("gb18030"), "FILE_ENCODING"),
    ],
)
def test_read_rows_of_what_is_no_register_refused(tmp_path, content, reason):
    """Without a heading that fits nothing can be read."""
    with pytest.raises(MalformedError) as caught:
        rows_of(tmp_path / "rows.csv", content)

    assert caught.value.reason == reason


def test_read_rows_of_a_missing_file_or_an_unknown_encoding_refused(tmp_path):
    """Both are named."""
    with pytest.raises(NotFoundError, match="FILE_MISSING"):
        list(read_rows(tmp_path / "none.csv", IMPORTS))
    with pytest.raises(MalformedError, match="FILE_ENCODING"):
        rows_of(tmp_path / "rows.csv", b"", encoding="klingon")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_read_rows_of_any_bytes_raises_errors_of_the_house_only(tmp_path, content):
    """Whatever the file holds, it is read or refused."""
    for head in (b"", f"{HEADING}\n".encode(), b"{"):
        with contextlib.suppress(BridgeheadError):
            rows_of(tmp_path / "rows.csv", head + content)


def test_read_application_from_json_toml_and_stdin(tmp_path, monkeypatch):
    """One application alone; days of TOML are days."""
    (tmp_path / "a.json").write_text(json.dumps({"姓名": "徐谷雨", "guardian": True}))
    (tmp_path / "a.toml").write_text('holder_name = "徐谷雨"\nresidence_since = 2025-02-03\npapers = ["photo"]\n')
    monkeypatch.setattr("sys.stdin", StringIO('{"sex": "male"}'))

    assert read_object(tmp_path / "a.json", APPLICATIONS) == {"holder_name": "徐谷雨", "guardian": "true"}
    assert read_object(tmp_path / "a.toml", APPLICATIONS) == {
        "holder_name": "徐谷雨",
        "residence_since": "2025-02-03",
        "papers": "photo",
    }
    assert read_object(type(tmp_path)("-"), APPLICATIONS) == {"sex": "male"}


@pytest.mark.parametrize(
    ("content", "reason"), [("{", "APPLICATION_FILE"), ("[1]", "ROW"), ('{"a": 1}', "COLUMN"), ('{"sex": 1}', "ROW")]
)
def test_read_application_of_something_else_refused(tmp_path, content, reason):
    """What is no application is refused with a reason."""
    (tmp_path / "a.json").write_text(content)

    with pytest.raises(MalformedError) as caught:
        read_object(tmp_path / "a.json", APPLICATIONS)

    assert caught.value.reason == reason


def test_field_that_an_application_has_not_is_answered_with_those_that_there_are(tmp_path):
    """By both names, so that the right one is typed next."""
    path = tmp_path / "one.json"
    path.write_text('{"age": 1}', "utf-8")
    with pytest.raises(MalformedError, match=r"'age'; 姓名 holder_name, 公民身份号码 citizen_number, "):
        read_object(path, APPLICATIONS)
