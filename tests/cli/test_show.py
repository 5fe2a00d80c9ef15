"""Tests of what is shown: masks that give nobody away, columns that line up, words for every word."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from federation.cli import words
from federation.cli.demo.synthetic import synthetic_permits
from federation.cli.permits import list_lines, permit_lines, permit_object
from federation.cli.show import align, card, fields_text, mask_day, mask_number, object_of, table, to_json
from federation.domain.case_items import CaseItem
from federation.domain.citizen_number import format_citizen_number
from federation.domain.permits import PERMIT_FIELDS, PermitItem, PermitStatus, project_permit
from federation.domain.registers import vehicle_texts
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.wire.agency.permits import PermitAnswer
from tests.node.register_samples import ENTERPRISE, VEHICLE
from tests.wire.answers import REFUSED

TODAY = date(2026, 11, 23)
PERMITS = list(synthetic_permits(NodeName("zhejiang"), 30, seed=1, today=TODAY))
ITEMS = [project_permit(permit, frozenset(PERMIT_FIELDS)) for permit in PERMITS]


def test_every_field_has_its_label():
    """Whatever policy may release can be shown."""
    assert set(PermitItem.__struct_fields__) <= set(words.PERMIT_FIELDS)


@given(
    st.dates(date(2100, 1, 1), date(2299, 12, 31)), st.integers(0, 999), st.sampled_from(["330822", "361123", "341022"])
)
def test_mask_of_number_and_day_hides_month_day_and_sequence(born, sequence, county):
    """County and two characters stay of the number, the year of the day."""
    number = format_citizen_number(county, born, sequence=sequence)

    masked = mask_number(number)

    assert len(masked) == len(number)
    assert masked == number[:6] + "*" * 10 + number[-2:]
    assert mask_day(born) == f"{born.year}-**-**"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"number": "330822219003070018"}, "number=330822**********18"),
        ({"number": "常协〔2026〕41号"}, "number=常协〔2026〕41号"),
        ({"phone": "13805700001"}, "phone=138******01"),
        ({"phone": "+86 138 0570 0001"}, "phone=+86************01"),
        ({"phone": "0570-5012345"}, "phone=0570-5012345"),
        ({"birth_date": "2190-02-30"}, "birth_date=2190-**-**"),
        ({"name": "林甲", "sex": "f"}, "name=林甲  sex=f"),
    ],
)
def test_item_of_a_person_is_masked_in_lines_and_json(fields, shown):
    """Of a case or an alert as of a permit: a number, a day of birth, a private telephone; an office's line is shown."""
    item = CaseItem(kind="person", fields=fields)

    assert fields_text(fields) == shown
    assert "  ".join(f"{name}={text}" for name, text in sorted(to_json(item)["fields"].items())) == shown
    assert fields_text(fields, full=True) == "  ".join(f"{name}={text}" for name, text in sorted(fields.items()))


def test_permit_object_is_masked_unless_all_is_asked_for():
    """The default shows less."""
    for item in ITEMS:
        masked, full = (permit_object(item, full=choice) for choice in (False, True))
        assert item.citizen_number not in str(masked)
        assert item.birth_date.isoformat() not in str(masked)
        assert full["citizen_number"] == item.citizen_number
        assert full["birth_date"] == item.birth_date.isoformat()


def test_permit_lines_show_released_fields_and_the_standing():
    """A field that was not released is no line; the status is as the node has said it for the day."""
    permit = next(found for found in PERMITS if found.status is PermitStatus.VALID)
    item = replace(project_permit(permit, frozenset({"endorsed_until"})), status=PermitStatus.SUSPENDED)

    lines = list(permit_lines(item, full=False))

    assert any("已中止使用功能 suspended" in line for line in lines)
    assert not any("holder_name" in line for line in lines)


def test_list_lines_line_up():
    """Chinese characters take two columns; a permit is one line."""
    lines = list(list_lines(ITEMS))

    assert len(lines) == len(ITEMS) + 1
    ends = {cell_len(line[: line.rindex("  ")]) for line in lines[1:]}
    assert len(ends) == 1


def test_align_counts_chinese_double_and_cuts_nothing():
    """As a terminal shows it; a long cell widens its column."""
    assert list(align([("居", "x"), ("abc", "y" * 200)])) == ["居   x", f"abc  {'y' * 200}"]


def test_table_of_nothing_has_no_heading():
    """No line at all."""
    assert list(table([], "time", "case_id")) == []


def test_persons_are_masked_wherever_they_stand():
    """A keeper who is a person is masked, an organisation is not; all is shown when all is asked for."""
    fields = {**vehicle_texts(VEHICLE), "representative_number": ENTERPRISE.representative_number}
    assert VEHICLE.keeper not in str(to_json(fields))
    assert ENTERPRISE.representative_number not in str(to_json(fields))
    assert to_json(fields, full=True) == fields
    assert to_json({"keeper": ENTERPRISE.uscc}) == {"keeper": ENTERPRISE.uscc}


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
def test_card_says_what_a_value_means(fields, told):
    """A label in Chinese, the name, the value with the word of its kind of record."""
    shown = "\n".join(card(to_json(fields)))
    assert told in shown
    assert all(name in shown for name in fields)


def test_status_that_two_kinds_name_differently_is_shown_as_it_stands():
    """`revoked` alone may be a permit's or an enterprise's: no word is guessed."""
    (line,) = card({"status": "revoked"})
    assert line.split() == ["状态", "status", "revoked"]


def test_json_has_the_names_of_the_protocol_and_hides_persons():
    """Times in UTC, sets in order, what policy said under `decision`; persons masked until all is asked for."""
    shown = object_of(PermitAnswer(decision=REFUSED, permit=ITEMS[0]))

    assert shown["decision"]["verdict"] == "refused"
    assert shown["decision"]["agreement_version"] == REFUSED.agreement_version
    assert shown["permit"]["citizen_number"] == mask_number(ITEMS[0].citizen_number)
    assert to_json(datetime(2026, 11, 23, 8, tzinfo=UTC)) == "2026-11-23T08:00:00.000Z"
    assert to_json(frozenset({"b", "a"})) == ["a", "b"]
    assert to_json(parse_agency_id("zhejiang/330822/police")) == "zhejiang/330822/police"
