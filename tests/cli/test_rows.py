"""Tests of files of applications: what is a row, which line it is on, and what a file must not be."""

from __future__ import annotations

import contextlib
import json
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.cli.permits import APPLICATIONS, IMPORTS
from federation.cli.rows import count_lines, read_object, read_rows
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


def test_read_rows_passes_over_the_notice_of_a_synthetic_file(tmp_path):
    """Leading lines that begin with `#` are notices; lines keep their numbers."""
    found = rows_of(tmp_path / "rows.csv", f"# 演示数据\n# synthetic\n{HEADING}\n{CELLS}\n")

    assert [row.line for row in found] == [4]


def test_read_rows_tells_a_row_of_another_width_and_goes_on(tmp_path):
    """A stray comma spoils one row, not the file."""
    found = rows_of(tmp_path / "rows.csv", f"{HEADING}\n{CELLS},\n{CELLS}\n")

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


def test_count_lines_counts_or_says_none(tmp_path):
    """A guess for the progress bar, never an error."""
    (tmp_path / "rows").write_text("a\nb\n")

    assert count_lines(tmp_path / "rows") == 2
    assert count_lines(tmp_path / "none") == 0


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
