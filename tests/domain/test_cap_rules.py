"""CAP messages beside what is known: names, what refers to what, colours, and what looks like a person."""

from datetime import timedelta

import pytest

from federation.domain.cap import (
    Area,
    MsgType,
    Named,
    Status,
    Unit,
    allocate_identifier,
    entered_at,
    format_degrees,
    format_sender,
    parse_degrees,
)
from federation.domain.cap_import import import_cap
from federation.domain.cap_rules import Known, Standing, kind_faults, place_message
from federation.domain.cap_xml import export_cap
from federation.domain.personal import PATTERNS, find_personal
from federation.protocol.errors import MalformedError, UnavailableError
from federation.protocol.form import replace
from federation.protocol.ids import parse_agency_id
from tests.domain.cap_message import CANCEL, FIRE, IDENTIFIER, SENDER, SENT, TABLE

NOW = SENT + timedelta(minutes=1)


# ---- names


UNIT = Unit(division="330822", body="902", desk="001")


def test_ten_names_fit_in_a_second_and_the_eleventh_waits():
    """Each once; a used one is never given again."""
    used = []
    for _ in range(21):
        name, entered = allocate_identifier(UNIT, SENT, is_used=set(used).__contains__)
        assert len(name) == 31
        assert entered_at(name) == entered
        used.append(name)
    assert used[:10] == [f"33082290200100_20260404101622_{index}" for index in range(10)]
    assert [name[15:] for name in (used[10], used[20])] == ["20260404101623_0", "20260404101624_0"]
    assert allocate_identifier(UNIT, SENT, is_used=set(used[:3] + used[4:]).__contains__)[0] == used[3]


def test_names_run_out_rather_than_repeat():
    """And a unit that has not its form has none."""
    with pytest.raises(UnavailableError):
        allocate_identifier(UNIT, SENT, is_used=lambda _: True)
    with pytest.raises(MalformedError):
        allocate_identifier(replace(UNIT, desk="1"), SENT, is_used=lambda _: False)


def test_a_name_of_no_date_and_a_strangers_have_no_moment():
    """GB/T 35965.1: the time is a real one."""
    assert entered_at(IDENTIFIER) == SENT
    assert entered_at("33082290200100_20260230101622_0") is None
    assert entered_at("URN:1") is None
    agency = parse_agency_id("zhejiang/330822/governance")
    assert format_sender(agency, "bridgehead.example") == SENDER


def test_degrees_have_one_spelling():
    """Compared as numbers: -11. is -11."""
    for text, shown in (("-11.", "-11"), ("28.900000", "28.9"), (".5", "0.5"), ("0", "0"), ("-0.000001", "-0.000001")):
        assert format_degrees(parse_degrees(text)) == shown
    for text in ("1.1234567", "1e3", "NaN", "+1", "", ".", "1 ", "１"):
        assert parse_degrees(text) is None


# ---- beside what is known


def known(message, *, live=True, record="r1", digest="d1", **changes):
    return Known(
        named=message.named, digest=digest, record=record, status=message.status, msg_type=message.msg_type, live=live, references=message.references
    )  # fmt: skip


def placed(message, *there, digest="new", now=NOW):
    forth, back = (place_message(message, digest, each, now=now) for each in (there, there[::-1]))
    assert forth == back
    return forth


UPDATE = replace(FIRE, identifier="33082290200100_20260404102000_0", sent=SENT + timedelta(seconds=218), msg_type=MsgType.UPDATE, references=(FIRE.named,))  # fmt: skip


def test_the_same_name_is_a_repeat_with_the_same_bytes_and_refused_with_others():
    """Row 5: the first answer again, or a finding with both digests."""
    assert placed(FIRE, known(FIRE), digest="d1").standing is Standing.REPEATED
    other = placed(FIRE, known(FIRE), digest="d2")
    assert other.refused
    assert "d1" in other.faults[0].zh
    assert "d2" in other.faults[0].zh
    assert placed(replace(FIRE, sent=NOW), known(FIRE), digest="d1").refused


def test_what_refers_to_the_unknown_waits_and_a_cancel_before_its_alert_ends_it():
    """Row 7: never folded as an Alert, and no bell when the alert comes."""
    assert placed(UPDATE).standing is Standing.WAITING
    assert placed(CANCEL).standing is Standing.WAITING
    assert placed(FIRE, known(CANCEL, live=False)).standing is Standing.CANCELLED
    assert placed(UPDATE, known(FIRE)).standing is Standing.NEW
    assert placed(UPDATE, known(FIRE)).record == "r1"
    assert placed(UPDATE, known(FIRE, live=False)).standing is Standing.CANCELLED


def test_one_record_at_a_time_and_the_live_one_of_several():
    """Rows 8 and 9."""
    second = replace(FIRE, identifier="33082290200100_20260404101700_0", sent=SENT + timedelta(seconds=38))
    both = replace(UPDATE, references=(FIRE.named, second.named))
    assert placed(both, known(FIRE), known(second, record="r2")).refused
    of_one = placed(both, known(FIRE, live=False), known(second, record="r2"))
    assert (of_one.refused, of_one.record, [each.reason for each in of_one.faults]) == (False, "r2", ["CAP_CANCELLED"])


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [(Status.EXERCISE, Status.ACTUAL), (Status.ACTUAL, Status.EXERCISE), (Status.TEST, Status.ACTUAL)],
)
def test_nothing_refers_across_real_and_exercise(mine, theirs):
    """Row 10, either way."""
    assert placed(replace(UPDATE, status=mine), known(replace(FIRE, status=theirs))).refused
    assert not placed(replace(UPDATE, status=mine), known(replace(FIRE, status=mine))).refused


def test_what_is_past_at_its_arrival_is_kept_without_a_bell():
    """Row 18: 失效."""
    assert placed(FIRE, now=FIRE.info.expires).standing is Standing.EXPIRED
    assert placed(FIRE, now=FIRE.info.expires - timedelta(seconds=1)).standing is Standing.NEW


def test_a_colour_without_document_is_a_proposal_and_agrees_with_its_severity():
    """Beside the table of kinds."""
    flood = replace(FIRE.info, event_codes=(replace(FIRE.info.event_codes[0], value="flood"),))
    orange = replace(flood, parameters=(Named(name="level", value="橙"),))
    issued = replace(orange, parameters=(*orange.parameters, Named(name="issued_by", value="330800 衢州市人民政府"), Named(name="document", value="1号")))  # fmt: skip
    red = replace(issued, parameters=(Named(name="level", value="红"), *issued.parameters[1:]))
    found = [
        [(each.reason, each.warning) for each in kind_faults(replace(FIRE, info=info), TABLE)]
        for info in (orange, issued, red)
    ]
    assert found == [[("CAP_PROPOSED", True)], [], [("CAP_PROPOSED", True), ("CAP_LEVEL_SEVERITY", False)]]


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("球川镇 10:16，3 人，受害面积 12000 平方米，2026-04-04", ()),
        ("区划 330822111、编号 33082290200100_20260404101622_0", ()),
        ("值守电话 0570-0000001", ()),
        ("账号末四位 0001", ()),
        ("组织 12361123DEM0000017", ()),
        ("号码330822219003070018", ("citizen_number",)),
        ("100 0000 0001", ("phone",)),
        ("１００００００００００", ("phone",)),
        ("皖J I0001D", ("plate",)),
        ("卡号6200000000000000001", ("account",)),
    ],
)
def test_the_patterns_of_a_person(text, patterns):
    """Wide digits and blanks hide nothing; times, sums, codes of places and desks' telephones are none."""
    assert find_personal(text) == patterns
    assert find_personal(text, may=PATTERNS) == ()


def test_a_plate_may_stand_in_its_own_field_alone():
    """Of a pursuit; the table of kinds says who is shown it."""
    info = replace(FIRE.info, event_codes=(replace(FIRE.info.event_codes[0], value="crime.pursuit"),), parameters=(Named(name="plate", value="浙H·I0001"),), areas=(Area(geocodes=FIRE.info.areas[0].geocodes),))  # fmt: skip
    pursuit = replace(FIRE, info=info)
    assert import_cap(export_cap(pursuit), table=TABLE).message == pursuit
    twice = replace(info, parameters=(*info.parameters, Named(name="direction", value="浙H·I0001，向玉山")))
    with pytest.raises(MalformedError) as caught:
        export_cap(replace(FIRE, info=twice))
    assert caught.value.reason == "CAP_PERSONAL"
