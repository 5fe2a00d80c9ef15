"""Names and other texts at a desk: the unseen is refused by line, one name is written in one way, a look-alike is told."""

from __future__ import annotations

from datetime import date

import pytest

from federation.domain.citizen_number import format_citizen_number
from federation.domain.registers import enterprise_texts, vehicle_texts
from tests.cli.applications import csv_of, person
from tests.cli.command_line import ACROSS_POLICE, HALL, POLICE
from tests.cli.test_registers import ENTERPRISE_OPTIONS, MARKET, VEHICLE_OPTIONS
from tests.cli.test_registers import csv_of as register_csv_of
from tests.node.register_samples import ENTERPRISE, VEHICLE
from tests.seen import DOUBTS, OTHER_FORMS, SOUND, UNSEEN_SIGNS

BORN = date(2190, 3, 7)
UNSEEN = [
    sign for category, signs in UNSEEN_SIGNS.items() if category != "Cs" for sign in signs if sign not in "\r\x00"
]
FORMS = [pair for pairs in OTHER_FORMS.values() for pair in pairs]


NAMED = (("holder_name", "周"), ("residence_address", "示例路"))


def dry_run(nodes, path, rows, *, accept=(), code=0):
    accepted = [part for doubt in accept for part in ("--accept", doubt)]
    return nodes.ask(HALL, "permit", "import", csv_of(path, rows), "--dry-run", *accepted, "-o", "json", code=code).json


def test_import_refuses_names_with_unseen_characters_by_line(nodes, tmp_path):
    """Every class, each line by itself; a row that can be seen goes on."""
    rows = [person(2) | {"holder_name": f"周{sign}听泉"} for sign in UNSEEN] + [person(3)]
    done = dry_run(nodes, tmp_path / "rows.csv", rows, code=1)

    assert [(row["line"], row["reason"]) for row in done["bad_rows"]] == [
        (line, "APPLICATION") for line in range(2, len(UNSEEN) + 2)
    ]
    assert all(row["message"].isprintable() and "holder_name" in row["message"] for row in done["bad_rows"])
    assert done["stored"] == 1


def test_import_tells_an_unseen_character_by_name_and_place_and_an_ethnic_group_by_the_near_one(nodes, tmp_path):
    """Each line says what to look for; names outside the basic plane are as good as any."""
    rows = [
        person(8) | {"holder_name": "周\u202e泉听"},
        person(9) | {"holder_name": "周听泉\u200d"},
        person(10) | {"ethnicity": "维族"},
        person(11) | {"ethnicity": "05"},
        person(12) | {"ethnicity": "维吾尔族", "holder_name": "周𠀀𪛖"},
    ]
    done = dry_run(nodes, tmp_path / "rows.csv", rows, code=1)

    messages = {row["line"]: row["message"] for row in done["bad_rows"]}
    assert "character 2: U+202E, RIGHT-TO-LEFT OVERRIDE" in messages[2]
    assert "character 4: U+200D, ZERO WIDTH JOINER" in messages[3]
    assert "维吾尔" in messages[4]
    assert done["stored"] == 2
    assert done["doubted_rows"] == []


@pytest.mark.parametrize("what", DOUBTS)
def test_import_tells_what_looks_like_another_character(nodes, tmp_path, what):
    """It is told by its number, in a name and in an address, and stored once that is accepted."""
    signs = [(name, f"{start}{sign}") for name, start in NAMED for sign in DOUBTS[what]]
    rows = [person(400 + seed) | {name: text} for seed, (name, text) in enumerate(signs)]
    done = dry_run(nodes, tmp_path / "rows.csv", rows, code=1)

    assert [row["line"] for row in done["doubted_rows"]] == list(range(2, len(rows) + 2))
    for row, (name, text) in zip(done["doubted_rows"], signs, strict=True):
        assert f"{name} U+{ord(text[-1]):04X}: " in row["message"]
    assert dry_run(nodes, tmp_path / "rows.csv", rows, accept=["look_alike"])["stored"] == len(rows)


def test_import_of_sound_names_raises_no_doubt(nodes, tmp_path):
    """Rare characters and the one dot are as they should be."""
    rows = [person(430 + seed) | {"holder_name": text} for seed, text in enumerate(SOUND)]

    assert dry_run(nodes, tmp_path / "rows.csv", rows)["stored"] == len(rows)


def test_one_name_is_stored_in_one_way(nodes, tmp_path):
    """Whatever dot, accent or space was typed, the permit that the node keeps has the one form."""
    rows = [person(40 + seed) | {"holder_name": given} for seed, (given, _) in enumerate(FORMS)]
    path = csv_of(tmp_path / "rows.csv", rows)
    stored = nodes.ask(HALL, "permit", "import", path, "--accept", "形近字", "-o", "json").json["stored_rows"]
    names = [
        nodes.ask(HALL, "permit", "show", row["urn"], "--full", "-o", "json").json["permit"]["holder_name"]
        for row in sorted(stored, key=lambda row: row["line"])
    ]

    assert names == [expected for _, expected in FORMS]


def test_registers_tell_a_look_alike_and_refuse_the_unseen(nodes, tmp_path):
    """By an option and by a file; a vehicle and an enterprise."""
    options = [text.replace(VEHICLE.brand_model, "示例牌\u2f00") for text in VEHICLE_OPTIONS]
    assert "brand_model U+2F00" in nodes.ask(POLICE, "vehicle", "register", "浙H·I0901", *options, code=1).err
    nodes.ask(POLICE, "vehicle", "register", "浙H·I0901", *options, "--accept", "look_alike")
    firm = [text.replace("徐谷雨", "徐\ue000") for text in ENTERPRISE_OPTIONS]
    doubted = nodes.ask(MARKET, "enterprise", "register", ENTERPRISE.uscc, *firm, code=1)
    assert "legal_representative U+E000" in doubted.err
    unseen = [text.replace("徐谷雨", "徐\u202e") for text in ENTERPRISE_OPTIONS]
    assert (
        nodes.ask(MARKET, "enterprise", "register", ENTERPRISE.uscc, *unseen, "-o", "json", code=2).error["reason"]
        == "REGISTER_FIELD"
    )
    for agency, name, texts in (
        (POLICE, "vehicle", vehicle_texts(VEHICLE) | {"colour": "白\uf9d1"}),
        (MARKET, "enterprise", enterprise_texts(ENTERPRISE) | {"name": "示例\U000f0001公司"}),
    ):
        path = register_csv_of(tmp_path / "rows.csv", [texts])
        done = nodes.ask(agency, name, "import", path, "--dry-run", "-o", "json", code=1).json
        assert len(done["doubted_rows"]) == 1


def test_free_texts_of_a_lookup_are_written_in_one_form(nodes):
    """A case's letter: another space, dot or accent passes at the desk, a look-alike is told, the unseen refused.

    What a font made up is no number of a letter: it is told, and then refused.
    """
    where = ("--county", "330822", "-o", "json")
    for number, (given, _) in enumerate(pairs[0] for pairs in OTHER_FORMS.values()):
        nodes.ask(
            ACROSS_POLICE, "lookup", "case", "open", f"CS-2026-{7000 + number}", "--letter", f"{number}{given}", *where
        )
    for number, sign in enumerate(signs[0] for what, signs in DOUBTS.items() if what != "private use"):
        case = ("lookup", "case", "open", f"CS-2026-{7100 + number}", "--letter", f"d{number}{sign}", *where)
        assert f"letter U+{ord(sign):04X}" in str(nodes.ask(ACROSS_POLICE, *case).json["doubts"])
    made_up = ("lookup", "case", "open", "CS-2026-7199", "--letter", "p\ue000", *where[:2])
    assert "letter U+E000" in nodes.ask(ACROSS_POLICE, *made_up, code=2).err
    for sign in UNSEEN:
        case = ("lookup", "case", "open", "CS-2026-7200", "--letter", f"u{sign}", *where)
        assert nodes.ask(ACROSS_POLICE, *case, code=2).error["reason"] == "TEXT_UNSEEN"


def test_import_tells_a_number_of_no_province_and_doubts_a_county_of_another_time(nodes, tmp_path):
    """99 and 00 are no province's; a county that ended long before the birth is stored, and told with its successor."""
    rows = [
        person(7) | {"birth_date": "", "sex": "", "citizen_number": format_citizen_number(division, BORN, sequence=7)}
        for division in ("991123", "001123", "362325", "361123")
    ]
    done = dry_run(nodes, tmp_path / "rows.csv", rows, code=1)

    assert [(row["line"], row["reason"]) for row in done["bad_rows"]] == [
        (2, "APPLICATION"), (3, "APPLICATION"),
    ]  # fmt: skip
    assert all("前两位不是任何省份的代码" in row["message"] for row in done["bad_rows"])
    (doubted,) = done["doubted_rows"]
    assert "公民身份号码：362325是横峰县2000年以前的代码，现为361125 横峰县（--accept number）" in doubted["message"]
    assert (done["stored"], doubted["line"]) == (1, 4)
