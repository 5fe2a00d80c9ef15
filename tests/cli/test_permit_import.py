"""Tests of `bridgehead permit import`: a whole register at once, its bad rows told by their lines."""

from __future__ import annotations

import json
from datetime import date

import pytest

from federation.domain.citizen_number import format_citizen_number
from tests.cli.applications import REQUEST, csv_of, person, wrong_check
from tests.cli.command_line import HALL, chinese_row


def test_import_tells_bad_rows_by_line_and_stores_the_good_ones(nodes, tmp_path):
    """Bad form, bad number, not lawful, refused by policy: each by its line, and the others go on."""
    good, other = person(21), person(22)
    rows = [
        good,
        person(23) | {"residence_since": "2025-13-01", "ground": "holiday"},
        person(24) | {"citizen_number": wrong_check(person(24)["citizen_number"])},
        person(25) | {"papers": "photo"},
        person(26) | {"residence_division": "330824"},
        other,
    ]

    done = nodes.ask(HALL, "permit", "import", csv_of(tmp_path / "rows.csv", rows), "-o", "json", code=1).json

    assert [(row["line"], row["reason"]) for row in sorted(done["bad_rows"], key=lambda row: row["line"])] == [
        (3, "APPLICATION"),
        (4, "CITIZEN_NUMBER_CHECKSUM"),
        (5, "PAPERS_MISSING"),
        (6, "REFUSED"),
    ]
    assert [row["line"] for row in done["stored_rows"]] == [2, 7]
    assert (done["rows"], done["stored"], done["refused"], done["failed"]) == (6, 2, 1, 3)


def test_import_in_text_prints_totals_on_stdout_and_rows_on_stderr(nodes, tmp_path):
    """Data on stdout, talk on stderr."""
    rows = [person(27), person(28) | {"ethnicity": ""}]
    done = nodes.ask(HALL, "permit", "import", csv_of(tmp_path / "rows.csv", rows), code=1)

    assert "共 rows 2, 已导入 stored 1, 拒绝 refused 0, 有误 failed 1" in done.out
    assert "第 3 行 line 3: ethnicity (民族): missing [APPLICATION]" in done.err


@pytest.mark.parametrize(("encoding", "named"), [("utf-8-sig", []), ("gb18030", ["--encoding", "gb18030"])])
def test_import_of_a_county_register_with_chinese_headings(nodes, tmp_path, encoding, named):
    """Excel writes a byte-order mark or GB 18030, Chinese headings, and days with slashes."""
    row = person(30 if named else 29)
    row |= {"sex": "男" if row["sex"] == "male" else "女", "ground": "合法稳定就业"}
    row["residence_since"] = row["residence_since"].replace("-", "/")
    path = csv_of(tmp_path / "register.csv", [chinese_row(row)], encoding=encoding)

    assert nodes.ask(HALL, "permit", "import", path, *named, "-o", "json").json["stored"] == 1


def test_import_again_under_its_request_id_stores_nothing_twice(nodes, tmp_path):
    """An import that broke off is repeated: the same rows have the same names."""
    lines = "".join(json.dumps(person(seed), ensure_ascii=False) + "\n" for seed in (31, 32))
    (tmp_path / "rows.jsonl").write_text(lines)
    arguments = ("permit", "import", tmp_path / "rows.jsonl", "--request-id", REQUEST.replace("1", "2"), "-o", "json")

    first, again = nodes.ask(HALL, *arguments).json, nodes.ask(HALL, *arguments).json

    assert first["stored_rows"] == again["stored_rows"]


def test_import_of_invented_people_in_several_chunks(nodes):
    """The same seed invents the same people; more than one chunk is sent."""
    done = nodes.ask(HALL, "permit", "import", "--synthetic", "1200", "--seed", "905", "-o", "json").json

    assert done["stored"] == 1200
    assert len({row["urn"] for row in done["stored_rows"]}) == 1200


def test_import_dry_run_checks_without_a_node(nodes, tmp_path):
    """`--dry-run` says what would become of each row and sends nothing."""
    before = len(nodes.ask(HALL, "permit", "list", "--all", "-o", "json").json["permits"])
    real = format_citizen_number("361123", date(1990, 3, 7), sequence=1)
    rows = [person(33), person(34) | {"papers": ""}, person(35) | {"citizen_number": real, "birth_date": "1990-03-07"}]

    done = nodes.ask(HALL, "permit", "import", csv_of(tmp_path / "r.csv", rows), "--dry-run", "-o", "json", code=1).json

    assert [row["reason"] for row in done["bad_rows"]] == ["PAPERS_MISSING", "REAL_NUMBER_IN_DEMO"]
    assert done["stored"] == 1
    assert len(nodes.ask(HALL, "permit", "list", "--all", "-o", "json").json["permits"]) == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"name,age\na,1\n", "COLUMN"),
        ("姓名,性别\n".encode(), "COLUMN"),
        (b"", "FILE_EMPTY"),
        ("姓名".encode("gb18030"), "FILE_ENCODING"),
    ],
)
def test_import_of_a_file_that_is_no_register_refused_as_a_whole(nodes, tmp_path, content, reason):
    """A heading that names no application, an empty file, another encoding."""
    (tmp_path / "rows.csv").write_bytes(content)

    done = nodes.ask(HALL, "permit", "import", tmp_path / "rows.csv", "-o", "json", code=2)

    assert done.error["reason"] == reason


def test_import_needs_a_file_or_a_number(nodes, tmp_path):
    """Neither and both are usage errors; a missing file is named."""
    nodes.ask(HALL, "permit", "import", code=2)
    nodes.ask(HALL, "permit", "import", "x.csv", "--synthetic", "3", code=2)
    assert "[FILE_MISSING]" in nodes.ask(HALL, "permit", "import", tmp_path / "none.csv", code=2).err
