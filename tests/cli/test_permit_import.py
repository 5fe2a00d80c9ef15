"""Tests of `bridgehead permit import`: a whole register at once, its bad rows told by their lines."""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import date

import pytest
from openpyxl import load_workbook

from federation.cli import imports, permits
from federation.cli.permits import IMPORTS
from federation.domain.citizen_number import format_citizen_number
from federation.protocol.form import replace
from tests.cli.applications import REQUEST, csv_of, person, wrong_check
from tests.cli.command_line import HALL, POLICE, chinese_row, run


def test_import_tells_bad_rows_by_line_and_stores_the_good_ones(nodes, tmp_path):
    """Bad form, bad number, not lawful, refused by policy: each by its line, and the others go on."""
    good, other = person(21), person(22)
    rows = [
        good,
        person(23) | {"residence_since": "2025-13-01", "ground": "holiday"},
        person(24) | {"citizen_number": wrong_check(person(24)["citizen_number"])},
        person(25) | {"papers": "photo"},
        person(26) | {"residence_division": "330824", "issuer": "开化县公安局"},
        other,
    ]

    done = nodes.ask(HALL, "permit", "import", csv_of(tmp_path / "rows.csv", rows), "-o", "json", code=1).json

    assert [(row["line"], row["reason"]) for row in sorted(done["bad_rows"], key=lambda row: row["line"])] == [
        (3, "APPLICATION"),
        (4, "APPLICATION"),
        (5, "PAPERS_MISSING"),
        (6, "REFUSED"),
    ]
    assert [row["line"] for row in done["stored_rows"]] == [2, 7]
    assert (done["rows"], done["stored"], done["refused"], done["failed"]) == (6, 2, 1, 3)


def test_import_in_text_prints_totals_on_stdout_and_rows_on_stderr(nodes, tmp_path):
    """Data on stdout, talk on stderr."""
    rows = [person(27), person(28) | {"ethnicity": ""}]
    done = nodes.ask(HALL, "permit", "import", csv_of(tmp_path / "rows.csv", rows), code=1)

    assert "共 2 行：已导入 1，原已有 0，存疑 0，拒绝 0，有误 1，未确认 0" in done.out
    assert "rows 2: stored 1, already there 0, doubted 0, refused 0, failed 1, not confirmed 0" in done.out
    assert re.search("^编号 request id [0-9a-f-]{36}$", done.out, re.MULTILINE)
    assert "第 3 行：民族：未填 | line 3: ethnicity: missing [APPLICATION]" in done.err


@pytest.mark.parametrize(("encoding", "named"), [("utf-8-sig", []), ("gb18030", ["--encoding", "gb18030"])])
def test_import_of_a_county_register_with_chinese_headings(nodes, tmp_path, encoding, named):
    """Excel writes a byte-order mark or GB 18030, Chinese headings, and days with slashes."""
    found = person(30 if named else 29)
    row = found | {"sex": "男" if found["sex"] == "male" else "女", "ground": "合法稳定就业"}
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


def test_import_of_a_mended_file_doubles_no_row(nodes, tmp_path):
    """The rows that were stored are told as there already, also when the mended row stands before them."""
    bad, good = person(841) | {"ethnicity": ""}, person(842)
    path = csv_of(tmp_path / "rows.csv", [bad, good])
    first = nodes.ask(HALL, "permit", "import", path, "-o", "json", code=1).json
    csv_of(path, [person(841), good])
    again = nodes.ask(HALL, "permit", "import", path, "-o", "json").json

    assert (again["rows"], again["stored"], again["already"]) == (2, 1, 1)
    assert again["already_rows"] == [{"line": 3, "urn": first["stored_rows"][0]["urn"]}]
    under_the_old_id = ("--request-id", first["request_id"])
    refused = nodes.ask(HALL, "permit", "import", path, *under_the_old_id, "-o", "json", code=1)
    assert refused.error["reason"] == "REQUEST_ID_REUSED"
    assert refused.json["unconfirmed"] == 2


def test_import_that_is_ended_half_way_tells_what_became_of_each_row(nodes, tmp_path, monkeypatch):
    """A signal at the second chunk: the first is told as stored, and the rest is stored by a repeat under the id."""

    async def send(act, client, number, chunk):
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return await permits.send_chunk(act, client, number, chunk)

    path = csv_of(tmp_path / "rows.csv", [person(seed) for seed in (851, 852, 853)])
    under = ("permit", "import", path, "--request-id", REQUEST.replace("1", "4"), "-o", "json")
    monkeypatch.setattr(imports, "CHUNK_ROWS", 2)
    with monkeypatch.context() as patched:
        patched.setattr(permits, "IMPORTING", replace(permits.IMPORTING, send=send))
        ended = nodes.ask(HALL, *under, code=130).json

    assert (ended["rows"], ended["stored"], ended["unconfirmed"]) == (3, 2, 1)
    again = nodes.ask(HALL, *under).json
    assert again["request_id"] == ended["request_id"]
    assert again["stored"] == 3
    assert again["stored_rows"][:2] == ended["stored_rows"]


def test_import_id_stands_for_one_file_of_one_office(nodes, tmp_path):
    """Neither another file nor another office gets the first answer under it, and neither is stored."""
    one, other = (csv_of(tmp_path / f"{seed}.csv", [person(seed)]) for seed in (848, 849))
    under = ("--request-id", REQUEST.replace("1", "3"), "-o", "json")
    nodes.ask(HALL, "permit", "import", one, *under)

    for office, file in ((HALL, other), (POLICE, other), (POLICE, one)):
        refused = nodes.ask(office, "permit", "import", file, *under, code=1)
        assert refused.error["reason"] == "REQUEST_ID_REUSED"
        assert (refused.json["stored"], refused.json["unconfirmed"]) == (0, 1)
    assert nodes.ask(HALL, "permit", "import", other, "-o", "json").json["stored"] == 1


def test_import_stores_a_doubted_row_once_its_doubt_is_accepted_by_name(nodes, tmp_path):
    """All doubts of a row are told at once; one that was accepted leaves the others."""
    row = person(843)
    doubtful = row | {"issuer": "玉山县公安局", "sex": "female" if row["sex"] == "male" else "male"}
    path = csv_of(tmp_path / "rows.csv", [doubtful])

    told = nodes.ask(HALL, "permit", "import", path, "-o", "json", code=1).json
    one = nodes.ask(HALL, "permit", "import", path, "--accept", "性别", "-o", "json", code=1).json
    both = nodes.ask(HALL, "permit", "import", path, "--accept", "sex,issuer", "-o", "json").json

    assert [(each["line"], each["reason"]) for each in told["doubted_rows"]] == [(2, "DOUBTED")]
    assert "--accept issuer,sex" in told["doubted_rows"][0]["message"]
    assert "--accept issuer)" in one["doubted_rows"][0]["message"]
    assert (told["stored"], one["stored"], both["stored"]) == (0, 0, 1)
    nodes.ask(HALL, "permit", "import", path, "--accept", "everything", code=2)


def test_import_of_a_stray_name_in_another_encoding_stores_nothing(nodes, tmp_path):
    """Every byte is decoded before the first row is sent; the line and the byte are named."""
    path = csv_of(tmp_path / "rows.csv", [person(844), person(845), person(846) | {"holder_name": "周听泉"}])
    content, name = path.read_bytes(), "周听泉"
    place = content.rindex(name.encode())
    path.write_bytes(content[:place] + name.encode("gb18030") + content[place + len(name.encode()) :])
    before = len(nodes.ask(HALL, "permit", "list", "--all", "-o", "json").json["permits"])

    refused = nodes.ask(HALL, "permit", "import", path, code=2)

    assert f"第 4 行（文件第 {place + 1} 字节）不是 utf-8，像 GB 18030；未导入任何行" in refused.err
    assert len(nodes.ask(HALL, "permit", "list", "--all", "-o", "json").json["permits"]) == before


def test_template_is_filled_in_and_imported_without_a_profile(tmp_path, monkeypatch):
    """The heading that is written is the one that is read, in either language and both kinds; nothing is overwritten."""
    for language, kind in (("zh", "xlsx"), ("en", "xlsx"), ("zh", "csv"), ("en", "csv")):
        monkeypatch.setenv("BRIDGEHEAD_LANG", language)
        path = tmp_path / f"{language}.{kind}"
        run("permit", "import", "--template", path)
        if kind == "xlsx":
            book = load_workbook(path)
            heading = [cell.value for cell in book.active[1]]
        else:
            heading = path.read_text(encoding="utf-8-sig").strip().split(",")
        texts = person(847) | {"issue_date": "", "urn": ""}
        cells = [texts[IMPORTS.field_of(name)] for name in heading]
        assert ("姓名" in heading) is (language == "zh")
        if kind == "xlsx":
            book.active.append(cells)
            book.save(path)
        else:
            path.write_text(path.read_text(encoding="utf-8-sig") + ",".join(cells), encoding="utf-8")
        assert run("permit", "import", path, "--dry-run", "-o", "json").json["stored"] == 1
        again = run("permit", "import", "--template", path, "-o", "json", code=2).error
        assert again["reason"] == "FILE_EXISTS"
        assert again["next"] == [{"zh": "换一处：--template", "en": "name another one: --template"}[language]]
    assert (
        run("permit", "import", "--template", tmp_path / "a.txt", "-o", "json", code=None).error["reason"]
        == "FILE_KIND"
    )


def test_import_of_invented_people_in_several_chunks(nodes):
    """The same seed invents the same people; more than one chunk is sent."""
    done = nodes.ask(HALL, "permit", "import", "--synthetic", "1200", "--seed", "905", "-o", "json").json

    assert done["stored"] == 1200
    assert len({row["urn"] for row in done["stored_rows"]}) == 1200


def test_import_of_a_sheet_with_empty_columns_and_a_rare_name_takes_every_row(nodes, tmp_path):
    """Columns without a heading and without a value are none; a name beyond the first plane is a name, in JSON, too."""
    path = csv_of(tmp_path / "r.csv", [person(91) | {"holder_name": "周𠀀𪛖"}])
    path.write_text("".join(f"{line},,\n" for line in path.read_text().splitlines()))

    done = nodes.ask(HALL, "permit", "import", path, "-o", "json").json

    assert (done["stored"], done["bad_rows"]) == (1, [])
    listed = nodes.ask(HALL, "permit", "list", "--all", "-o", "json").json["permits"]
    assert "周𠀀𪛖" in {each["holder_name"] for each in listed}


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
