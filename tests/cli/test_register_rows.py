"""Rows of vehicles and enterprises from texts, and how their fields are shown."""

from __future__ import annotations

import pytest

from federation.cli import words
from federation.cli.registers import ENTERPRISES, VEHICLES
from federation.cli.row_files import read_rows
from federation.domain.registers import (
    DOSSIER_FIELDS,
    ENTERPRISE_FIELDS,
    VEHICLE_FIELDS,
    enterprise_texts,
    vehicle_texts,
)
from federation.protocol.errors import MalformedError
from tests.node.register_samples import ENTERPRISE, VEHICLE


def test_row_as_people_write_it_is_the_same_vehicle():
    """A plate without its dot and in lower case, Chinese words, slashes in a day, a small x."""
    texts = {
        **vehicle_texts(VEHICLE), "plate": "浙h i0042", "plate_class": "小型汽车", "status": "正常",
        "first_registered": "2024/3/5",
    }  # fmt: skip
    assert VEHICLES.sheet.parse(texts) == VEHICLE
    without = {name: text for name, text in vehicle_texts(VEHICLE).items() if name not in ("plate_class", "status")}
    assert VEHICLES.sheet.parse(without) == VEHICLE
    assert VEHICLES.sheet.parse({**texts, "sealed": "是"}).sealed


def test_row_as_people_write_it_is_the_same_enterprise():
    """A code in lower case, a Chinese word, slashes in a day."""
    texts = {
        **enterprise_texts(ENTERPRISE), "uscc": ENTERPRISE.uscc.lower(), "status": "存续", "registered_on": "2021/6/1",
    }  # fmt: skip
    assert ENTERPRISES.sheet.parse(texts) == ENTERPRISE


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"plate_class": "bicycle"}, "plate_class"),
        ({"status": "here"}, "status"),
        ({"first_registered": "yesterday"}, "first_registered"),
        ({"first_registered": ""}, "first_registered"),
        ({"sealed": "perhaps"}, "sealed"),
        ({"colour": ""}, "colour"),
    ],
)
def test_row_of_another_form_is_told_by_its_field(changes, told):
    """The field is named, the values are not."""
    with pytest.raises(MalformedError) as caught:
        VEHICLES.sheet.parse({**vehicle_texts(VEHICLE), **changes})
    assert told in caught.value.message
    assert VEHICLE.keeper not in caught.value.message


def test_file_with_chinese_headings_is_read(tmp_path):
    """The columns are those of the register, under either name; another one is an error."""
    texts = dict(enterprise_texts(ENTERPRISE))
    heading = ",".join(words.ENTERPRISE_FIELDS[name] for name in texts)
    (tmp_path / "rows.csv").write_text(f"# 演示\n{heading}\n{','.join(texts.values())}\n", encoding="utf-8")
    rows = list(read_rows(tmp_path / "rows.csv", ENTERPRISES.sheet))
    assert [(row.line, ENTERPRISES.sheet.parse(row.texts)) for row in rows] == [(3, ENTERPRISE)]
    with pytest.raises(MalformedError, match="COLUMN"):
        list(read_rows(tmp_path / "rows.csv", VEHICLES.sheet))


def test_every_field_has_its_chinese_word():
    """What a look-up can release can be shown, in both languages."""
    assert set(words.VEHICLE_FIELDS) == {*VEHICLE_FIELDS, "sealed"}
    assert set(words.ENTERPRISE_FIELDS) == set(ENTERPRISE_FIELDS)
    assert set(words.RECORD_FIELDS) >= frozenset().union(*DOSSIER_FIELDS.values())
