"""Rows of vehicles and enterprises from texts, and how their fields are shown."""

from __future__ import annotations

import pytest

from federation.cli.permits.rows import read_rows
from federation.cli.registers import view, words
from federation.cli.registers.rows import ENTERPRISES, VEHICLES, parse_enterprise_row, parse_vehicle_row
from federation.domain.dossiers.dossier import DOSSIER_FIELDS, ENTERPRISE_FIELDS, VEHICLE_FIELDS
from federation.domain.dossiers.enterprise import EnterpriseStatus, enterprise_texts
from federation.domain.dossiers.plate import PlateClass
from federation.domain.dossiers.vehicle import VehicleStatus, vehicle_texts
from federation.protocol.errors import MalformedError
from tests.node.registers.samples import ENTERPRISE, VEHICLE


def test_row_as_people_write_it_is_the_same_vehicle():
    """A plate without its dot and in lower case, Chinese words, slashes in a day, a small x."""
    texts = {
        **vehicle_texts(VEHICLE), "plate": "浙h i0042", "plate_class": "小型汽车", "status": "正常",
        "first_registered": "2024/3/5",
    }  # fmt: skip
    assert parse_vehicle_row(texts) == VEHICLE
    without = {name: text for name, text in vehicle_texts(VEHICLE).items() if name not in ("plate_class", "status")}
    assert parse_vehicle_row(without) == VEHICLE
    assert parse_vehicle_row({**texts, "sealed": "是"}).sealed


def test_row_as_people_write_it_is_the_same_enterprise():
    """A code in lower case, a Chinese word, slashes in a day."""
    texts = {
        **enterprise_texts(ENTERPRISE), "uscc": ENTERPRISE.uscc.lower(), "status": "存续", "registered_on": "2021/6/1",
    }  # fmt: skip
    assert parse_enterprise_row(texts) == ENTERPRISE


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
        parse_vehicle_row({**vehicle_texts(VEHICLE), **changes})
    assert told in caught.value.message
    assert VEHICLE.keeper not in caught.value.message


def test_file_with_chinese_headings_is_read(tmp_path):
    """The columns are those of the register, under either name; another one is an error."""
    texts = dict(enterprise_texts(ENTERPRISE))
    heading = ",".join(words.ENTERPRISE_COLUMNS[name] for name in texts)
    (tmp_path / "rows.csv").write_text(f"# 演示\n{heading}\n{','.join(texts.values())}\n", encoding="utf-8")
    rows = list(read_rows(tmp_path / "rows.csv", encoding="utf-8", columns=ENTERPRISES.columns))
    assert [(row.line, parse_enterprise_row(row.texts)) for row in rows] == [(3, ENTERPRISE)]
    with pytest.raises(MalformedError, match="COLUMN"):
        list(read_rows(tmp_path / "rows.csv", encoding="utf-8", columns=VEHICLES.columns))


def test_every_field_word_and_status_has_its_chinese_word():
    """What a look-up can release can be shown, in both languages."""
    assert set(words.VEHICLE_COLUMNS) == {*VEHICLE_FIELDS, "sealed"}
    assert set(words.ENTERPRISE_COLUMNS) == set(ENTERPRISE_FIELDS)
    assert set(words.FIELDS) >= frozenset().union(*DOSSIER_FIELDS.values())
    assert set(words.CLASSES) == set(PlateClass)
    assert set(words.VEHICLE_STATUSES) == set(VehicleStatus)
    assert set(words.ENTERPRISE_STATUSES) == set(EnterpriseStatus)


def test_persons_are_masked_wherever_they_stand():
    """A keeper who is a person is masked, an organisation is not; all is shown when all is asked for."""
    fields = {**vehicle_texts(VEHICLE), "representative_number": ENTERPRISE.representative_number}
    assert VEHICLE.keeper not in str(view.mask_fields(fields, full=False))
    assert ENTERPRISE.representative_number not in str(view.mask_fields(fields, full=False))
    assert view.mask_fields(fields, full=True) == fields
    assert view.mask_fields({"keeper": ENTERPRISE.uscc}, full=False) == {"keeper": ENTERPRISE.uscc}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"plate_class": "small_car"}, "小型汽车 small_car"),
        ({"status": "stolen"}, "被盗抢 stolen"),
        ({"status": "active", "name": "x"}, "存续 active"),
        ({"status": "revoked", "legal_form": "x"}, "吊销 revoked"),
        ({"status": "revoked", "sex": "male"}, "已注销 revoked"),
        ({"status": "valid"}, "有效 valid"),
        ({"registered_division": "330822"}, "330822 浙江省"),
        ({"keeper": VEHICLE.keeper}, "所有人"),
        ({"holder_name": "徐谷雨"}, "姓名"),
    ],
)
def test_field_lines_say_what_a_value_means(fields, told):
    """A label in Chinese, the name, the value with the word of its kind of record."""
    shown = "\n".join(view.field_lines(fields, full=False))
    assert told in shown
    assert all(name in shown for name in fields)


def test_status_that_two_kinds_name_differently_is_shown_as_it_stands():
    """`revoked` alone may be a permit's or an enterprise's: no word is guessed."""
    (line,) = view.field_lines({"status": "revoked"}, full=False)
    assert line.split() == ["状态", "status", "revoked"]
