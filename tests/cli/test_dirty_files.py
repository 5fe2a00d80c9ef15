"""Files as desks send them: five hundred spoilt in every way that is known, and each row is in exactly one count."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook

from federation.cli import words
from federation.cli.imports import Tally, check_rows
from federation.cli.permits import IMPORTING, judge_import
from federation.cli.row_files import read_rows
from federation.cli.show import china_today
from federation.domain.citizen_number import check_character, format_citizen_number
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm
from tests.cli.command_line import HALL

GOOD, BAD, DOUBTED = "good", "bad", "doubted"
FILES, ROWS = 500, 8
CITY = "浙江省衢州市常山县示例路2号"


def person(serial):
    """The cells of one sound row, of a person whom no other row has."""
    born = date(2140 + serial // 300 % 40, 1 + serial // 12000, 7)
    number = format_citizen_number("361123", born, sequence=1 + 2 * (serial % 300))
    return {
        "holder_name": "周听泉", "sex": "男", "ethnicity": "汉", "birth_date": born.isoformat(), "citizen_number": number,
        "household_division": "361123", "household_address": "玉山县示例路1号", "residence_division": "330822",
        "residence_address": CITY, "work_division": "", "issuer": "常山县公安局", "ground": "就业",
        "residence_since": "2025-01-05", "apply_date": "2025-08-03", "accept_date": "2025-08-03",
        "papers": "身份证；照片；居住证明；就业证明",
    }  # fmt: skip


def figure(number):
    return f"{number[0]}.{number[1:6]}E+17"


def no_province(number):
    body = f"99{number[2:17]}"
    return body + check_character(body)


SPOILT = {
    "sound": ({}, GOOD),
    "apostrophe": ({"citizen_number": "'{}"}, GOOD),
    "as a formula's text": ({"citizen_number": '="{}"'}, GOOD),
    "spaces": ({"citizen_number": " {}\u3000"}, GOOD),
    "zero width": ({"citizen_number": "{}\u200b"}, GOOD),
    "midnight": ({"residence_since": "2025/1/5 0:00", "apply_date": "2025-08-03 00:00:00"}, GOOD),
    "year month day": ({"residence_since": "2025年1月5日"}, GOOD),
    "wide signs": ({"residence_since": "２０２５－０１－０５", "household_division": "３６１１２３"}, GOOD),
    "other commas": ({"papers": "identity_card，photo，residence_proof，ground_proof"}, GOOD),
    "figure": ({"citizen_number": figure}, BAD),
    "rounded": ({"citizen_number": lambda number: number[:15] + "000"}, BAD),
    "no province": ({"citizen_number": no_province}, BAD),
    "bidi": ({"holder_name": "周\u202e泉听"}, BAD),
    "merged away": ({"household_division": ""}, BAD),
    "serial of a day": ({"apply_date": "45872"}, BAD),
    "formula": ({"issuer": "=B2"}, BAD),
    "papers missing": ({"papers": "照片"}, BAD),
    "sex": ({"sex": "女"}, DOUBTED),
    "another's office": ({"issuer": "玉山县公安局"}, DOUBTED),
    "look-alike": ({"holder_name": "周⼀泉"}, DOUBTED),
}
LINES = ("cell too many", "cell missing", "stray quote", "cell of two lines", "blank", "blank cells", "same person")


@dataclass
class Dirty:
    """A file and what its lines are, counted as it was written and by nothing that reads it."""

    lines: list[list[str] | str] = field(default_factory=list)
    fates: dict[int, str] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)
    decodable: bool = True

    def add(self, line, fate, number=""):
        self.lines.append(line)
        if fate:
            self.fates[len(self.lines)] = fate
        if fate == GOOD:
            self.numbers.add(number)


def dirty_file(seed, path, first):
    """Writes the file of a seed; says what each line must come to, and under which encoding it is read."""
    dice = random.Random(seed)
    heading = list(person(0))
    dice.shuffle(heading)
    spread = "xlsx" if seed % 20 == 0 else dice.choice([",", ",", "\t"])
    made = Dirty()
    for _ in range(dice.choice([0, 0, 2]) if spread != "xlsx" else 0):
        made.add("# 演示数据", "")
    padding = [""] * dice.choice([0, 0, 2])
    made.add([words.PERMIT_FIELDS[name] if seed % 2 else name for name in heading] + padding, "")
    for serial in range(first, first + ROWS):
        row = person(serial)
        number, kind = row["citizen_number"], dice.choice([*SPOILT, *(LINES if spread != "xlsx" else ())])
        changes, fate = SPOILT.get(kind, ({}, GOOD))
        for name, text in changes.items():
            row[name] = text(row[name]) if callable(text) else text.format(row[name])
        cells = [row[name] for name in heading] + padding
        match kind:
            case "cell too many":
                made.add([*cells, "x"], BAD)
            case "cell missing":
                made.add(cells[: len(heading) - 1], BAD)
            case "stray quote":
                made.add(spread.join(cells).replace(CITY, f'"{CITY}'), BAD)
            case "cell of two lines":
                made.add(spread.join(cells).replace(CITY, f'"{CITY}'), BAD)
                made.add(f'2楼"{spread}', BAD)
            case "blank" | "blank cells":
                made.add("" if kind == "blank" else [" "] * len(cells), "")
            case "same person":
                made.add(cells, GOOD, number)
                made.add(cells, BAD)
            case "rounded" if check_character(row["citizen_number"][:17]) == row["citizen_number"][17]:
                made.add(cells, DOUBTED)  # one in eleven is a possible number still
            case _:
                made.add(cells, fate, number)
    return made, write(made, spread, path, dice)


def write(made, spread, path, dice):
    """Writes the lines in an encoding that is named, marks itself, or is none of those."""
    if spread == "xlsx":
        book = Workbook()
        for line in made.lines:
            book.active.append([cell or None for cell in line] if isinstance(line, list) else [line])
        book.save(path)
        return "utf-8"
    written = [
        line if isinstance(line, str) else spread.join(quoted(cell, spread) for cell in line) for line in made.lines
    ]
    encoding = dice.choice(["utf-8", "utf-8-sig", "gb18030", "utf-16", "unnamed", "mixed"])
    text = dice.choice(["\n", "\r\n", "\r"]).join([*written, ""])
    content = text.encode("gb18030" if encoding == "unnamed" else "utf-8" if encoding == "mixed" else encoding)
    if encoding == "mixed":
        content += "周听泉".encode("gb18030")
    made.decodable = encoding not in {"unnamed", "mixed"}
    path.write_bytes(content)
    return "gb18030" if encoding == "gb18030" else dice.choice(["utf-8", "UTF8", "utf-8-sig"])


def quoted(cell, spread):
    return '"' + cell.replace('"', '""') + '"' if spread in cell or '"' in cell else cell


def test_five_hundred_dirty_files_lose_and_double_no_row(tmp_path):
    """Rows in are rows stored, failed and doubted, line by line as they were written; or nothing was used at all."""
    today, refused, seen = china_today(), 0, set()
    for seed in range(FILES):
        made, encoding = dirty_file(seed, tmp_path / "rows", seed * ROWS)
        tally = Tally()
        read = read_rows(tmp_path / "rows", IMPORTING.sheet, encoding=encoding)
        if not made.decodable:
            with pytest.raises(MalformedError, match="FILE_ENCODING"):
                check_rows(read, IMPORTING, tally)
            assert tally.rows == 0
            refused += 1
            continue
        good = check_rows(read, IMPORTING, tally, judge=lambda row: judge_import(row, Realm.DEMO, today))
        found = dict.fromkeys((line for line, _ in good), GOOD) | {row.line: BAD for row in tally.bad}
        found |= {row.line: DOUBTED for row in tally.doubted}
        assert found == made.fates, seed
        assert tally.rows == len(good) + len(tally.bad) + len(tally.doubted) == len(made.fates)
        numbers = [row.application.holder.citizen_number for _, row in good]
        assert sorted(numbers) == sorted(made.numbers), seed
        seen |= set(made.fates.values())
    assert seen == {GOOD, BAD, DOUBTED}
    assert FILES / 10 < refused < FILES / 2


@pytest.mark.parametrize("seed", range(0, 36, 3))
def test_a_dozen_dirty_files_are_in_the_store_as_they_were_told(nodes, tmp_path: Path, seed):
    """What was told as stored is there, once; a repeat says that all of it stands; nothing else came."""
    made, encoding = dirty_file(seed, tmp_path / "rows", 9000 + seed * ROWS)
    before = stored_numbers(nodes)
    asked = ("permit", "import", tmp_path / "rows", "--encoding", encoding, "-o", "json")
    done = nodes.ask(HALL, *asked, code=None)

    if not made.decodable:
        assert done.error["reason"] == "FILE_ENCODING"
        assert stored_numbers(nodes) == before
        return
    told = done.json
    assert {row["line"] for row in told["stored_rows"]} == {line for line, fate in made.fates.items() if fate == GOOD}
    assert told["rows"] == sum(told[name] for name in ("stored", "failed", "refused", "doubted")) == len(made.fates)
    assert sorted(stored_numbers(nodes)) == sorted([*before, *made.numbers])
    again = nodes.ask(HALL, *asked, code=None).json
    assert (again["stored"], again["already"]) == (0, told["stored"])
    assert sorted(stored_numbers(nodes)) == sorted([*before, *made.numbers])


def stored_numbers(nodes):
    listed = nodes.ask(HALL, "permit", "list", "--all", "--full", "--division", "330822", "-o", "json").json["permits"]
    return [permit["citizen_number"] for permit in listed if permit["holder_name"] == "周听泉"]
