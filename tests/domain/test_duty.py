"""The duty of the border: which desks ring for a kind of alert, where and when; what the agreed sheets may not say."""

from datetime import timedelta
from pathlib import Path

import pytest

from federation.domain.alert_kinds import Notified, When, read_alerts
from federation.domain.duty import (
    DUTY,
    Rung,
    Scene,
    check_duty,
    is_notified,
    ladder,
    neighbour_desks,
    own_desks,
    read_duty,
)
from federation.domain.policy_check import verify_policies
from federation.node.home.draft import read_duty_sheets
from federation.node.home.files import read_policies
from federation.protocol.errors import NotFoundError, RuleError
from federation.protocol.ids import parse_time

ROOT = Path(__file__).parents[2]
FILES = read_policies(ROOT / "policies") | read_duty_sheets(ROOT / "nodes")
DUTY_OF_ALL = read_duty(FILES)
TABLE = read_alerts(FILES)
NOON = parse_time("2026-04-04T04:00:00.000Z")
NIGHT = NOON + timedelta(hours=11)
FORMER = "[[former]]\nclass = 'town'\n"
QIUCHUAN, PAIR, TRI = "330822.circle.qiuchuan", "pair.qiuchuan-shuangming", "tri.qixi"


def scene(county="330822", area="", at=NOON, *holds):
    return Scene(county=county, area=area, at=at, holds=holds)


def steps(kind, where, **named):
    return {ring.rung: ring for ring in ladder(DUTY_OF_ALL, TABLE.kinds[kind], where, **named)}


def test_the_sheets_of_all_provinces_agree_with_each_other():
    """Desks, areas, pairs and kinds; every office stands in its province's own member sheet, which a draft checks."""
    checks = list(check_duty(FILES))
    assert [check.name for check in checks] == ["duty/anhui", "duty/fujian", "duty/jiangxi", "duty/zhejiang"]
    assert [str(fault) for check in checks for fault in check.findings] == []
    assert not any(sheet.official for sheet in DUTY_OF_ALL.sheets.values())
    verify_policies(FILES)


def test_the_desks_of_the_area_ring_in_their_order():
    """The town's desk before the county's; a kind that the town's has not goes to the county's alone."""
    assert own_desks(DUTY_OF_ALL, TABLE.kinds["dispute"], scene(area=QIUCHUAN)) == (
        "330822111.town",
        "330822.governance",
    )
    assert own_desks(DUTY_OF_ALL, TABLE.kinds["road.closed"], scene(area=QIUCHUAN)) == ("330822.governance",)
    assert own_desks(DUTY_OF_ALL, TABLE.kinds["forest.fire"], scene(area=QIUCHUAN)) == ("330822.emergency",)


def test_out_of_hours_a_desk_falls_to_one_that_never_closes():
    """08:00 is within, 22:00 is not; and nobody rings twice."""
    dispute = TABLE.kinds["dispute"]
    town = DUTY_OF_ALL.desks["330822111.town"]
    assert [town.is_open(NOON.replace(hour=hour)) for hour in (23, 0, 13, 14)] == [False, True, True, False]
    assert own_desks(DUTY_OF_ALL, dispute, scene(area=QIUCHUAN, at=NIGHT)) == ("330822.governance",)


@pytest.mark.parametrize(
    ("hours", "open_at"),
    [("00:00-24:00", range(24)), ("08:00-22:00", range(8, 22)), ("22:00-06:00", (22, 23, 0, 1, 2, 3, 4, 5))],
)
def test_hours_may_pass_midnight(hours, open_at):
    """Counted in the time of China."""
    text = FILES[f"{DUTY}fujian.toml"].decode().replace("00:00-24:00", hours, 1)
    desk = read_duty({f"{DUTY}fujian.toml": text.encode()}).desks["350722.governance"]
    there = [(NOON.replace(hour=hour).hour + 8) % 24 for hour in range(24) if desk.is_open(NOON.replace(hour=hour))]
    assert sorted(there) == sorted(open_at)


def test_neighbours_ring_when_what_they_are_told_for_holds():
    """A dispute only with parties on both sides; a fire always; what is never told to neighbours rings none."""
    dispute, fire, weather = (TABLE.kinds[name] for name in ("dispute", "forest.fire", "weather"))
    assert neighbour_desks(DUTY_OF_ALL, dispute, scene(area=QIUCHUAN)) == ()
    both = neighbour_desks(DUTY_OF_ALL, dispute, scene("330822", QIUCHUAN, NOON, When.BOTH_SIDES))
    assert both == ("361123108.town", "361123.governance")
    assert neighbour_desks(DUTY_OF_ALL, fire, scene()) == ("361123.emergency",)
    assert neighbour_desks(DUTY_OF_ALL, weather, scene()) == ()
    assert not is_notified(fire, Notified.PROVINCE, scene())
    assert is_notified(fire, Notified.PROVINCE, scene("330822", "", NOON, When.TRIGGER))


def test_a_kind_of_certain_agencies_rings_their_desks_only():
    """Pursuit and fraud are the police's."""
    pursuit = TABLE.kinds["crime.pursuit"]
    assert own_desks(DUTY_OF_ALL, pursuit, scene()) == ("330822.police",)
    assert neighbour_desks(DUTY_OF_ALL, pursuit, scene()) == ("361123.police",)
    poaching = own_desks(DUTY_OF_ALL, TABLE.kinds["forest.poaching"], scene("330824"))
    assert poaching == ("330824.police", "330824.forestry")


def test_at_the_point_of_three_provinces_all_three_ring_downstream_first():
    """Water goes to who is below first; a kind that the area has not goes to the county."""
    water, dispute = TABLE.kinds["water.pollution"], TABLE.kinds["dispute"]
    assert neighbour_desks(DUTY_OF_ALL, water, scene("361130", TRI)) == ("330824.emergency", "341022.emergency")
    assert neighbour_desks(DUTY_OF_ALL, water, scene("341022", TRI))[0] == "330824.emergency"
    assert own_desks(DUTY_OF_ALL, dispute, scene("330824", TRI)) == ("330824.governance",)


def test_a_pair_of_villages_rings_the_side_of_the_place():
    """球川 and 双明 have one area; the place decides whose desk is the own one."""
    dispute = TABLE.kinds["dispute"]
    assert own_desks(DUTY_OF_ALL, dispute, scene("330822", PAIR)) == ("330822111.town",)
    assert own_desks(DUTY_OF_ALL, dispute, scene("361123", PAIR)) == ("361123108.town",)


def test_the_ladder_goes_up_while_nobody_claims():
    """Own, own again, deputies and neighbours, leaders of both counties, prefectures, provinces."""
    rings = steps("forest.fire", scene(area=QIUCHUAN))
    assert [(rung, ring.after_seconds) for rung, ring in rings.items()] == list(
        zip(Rung, (0, 40, 60, 120, 300, 600), strict=True)
    )
    assert (rings[Rung.OWN].rings, rings[Rung.OWN].sees) == (("330822.emergency",), ("361123.emergency",))
    assert rings[Rung.DEPUTIES].rings == ("330822.police", "361123.emergency")
    assert rings[Rung.LEADERS].rings == ("330822.leader", "361123.leader")
    assert rings[Rung.PREFECTURES].rings == ("330800", "361100")
    assert rings[Rung.PROVINCES].rings == ("zhejiang", "jiangxi")


def test_flash_rings_the_leaders_at_once():
    """特急; what is routine or urgent waits for the step of the leaders."""
    flash, urgent = (steps("forest.fire", scene(), priority=TABLE.priorities[word]) for word in ("特急", "紧急"))
    assert flash[Rung.OWN].rings == ("330822.emergency", "330822.leader", "361123.leader")
    assert urgent[Rung.OWN].rings == ("330822.emergency",)


def test_a_county_without_a_desk_is_refused_in_words():
    """Nobody would hear it."""
    with pytest.raises(NotFoundError) as caught:
        ladder(DUTY_OF_ALL, TABLE.kinds["dispute"], scene("350783"))
    assert caught.value.reason == "DUTY_NOBODY"


def test_areas_are_found_by_the_code_of_the_place():
    """A village lies in the area of its town; the own county's before one that two share."""
    assert DUTY_OF_ALL.area_of("330822111203").id == QIUCHUAN
    assert DUTY_OF_ALL.area_of("361123108").id == "361123.circle.shuangming"
    assert DUTY_OF_ALL.area_of("330822100") is None
    assert DUTY_OF_ALL.neighbours_of("330824") == ("341022", "361130")
    assert DUTY_OF_ALL.neighbours_of("110000") == ()


def test_the_remote_class_is_said_of_the_area_beforehand():
    """30 minutes there, 10 in a town."""
    assert [DUTY_OF_ALL.areas[name].arrive_limit for name in (TRI, QIUCHUAN)] == [30, 10]


def test_volunteers_and_mobile_units_stand_in_the_sheets():
    """Pseudonyms of the own county, who claim nothing; a crew of roles at a desk."""
    assert DUTY_OF_ALL.volunteers["330824.guards"].may == ("report", "note", "found", "fixed")
    assert DUTY_OF_ALL.mobile_units["330822.wagon.1"].base in DUTY_OF_ALL.desks


@pytest.mark.parametrize(
    ("province", "old", "new", "what"),
    [
        ("zhejiang", 'falls_to = "330822.governance"', 'falls_to = "330822111.town"', "FALLS_TO"),
        ("zhejiang", 'falls_to = "330822.governance"', 'falls_to = "330824.governance"', "FALLS_TO"),
        ("zhejiang", 'falls_to = "330822.governance"\n', "", "FALLS_TO"),
        ("zhejiang", 'deputies = ["330822.police"]', 'deputies = ["330822.governance"]', "DEPUTY_CIRCLE"),
        ("zhejiang", 'id = "330822.police"\nagency = "zhejiang/330822/police"', 'id = "330822.police"\nagency = "zhejiang/330822/governance"', "NUMBER_TWICE"),
        ("zhejiang", 'neighbours = ["361123.circle.shuangming"]', "neighbours = []", "ONE_SIDED"),
        ("jiangxi", '["361123", "330822"], ', "", "ONE_SIDED"),
        ("jiangxi", '["361123", "330822"]', '["361123", "350722"]', "NO_BORDER"),
        ("zhejiang", '"weather", ', "", "KIND_NO_DESK"),
        ("zhejiang", '"weather"', '"whether"', "KIND_UNKNOWN"),
        ("jiangxi", 'class = "remote"', 'class = "town"', "AREA_DIFFERS"),
        ("jiangxi", "[[area]]", f"{FORMER}area = 'tri.qixi'\nuntil = 2026-07-01\n\n[[area]]", "AREA_DIFFERS"),
        ("zhejiang", "[[area]]", f"{FORMER}area = '{QIUCHUAN}'\nuntil = 2026-07-02\n\n[[area]]", "QUARTER_DAY"),
        ("zhejiang", "[[area]]", f"{FORMER}area = '{QIUCHUAN}'\nuntil = 2026-08-01\n\n[[area]]", "QUARTER_DAY"),
        ("zhejiang", "[[area]]", f"{FORMER}area = '330822.circle.gone'\nuntil = 2026-07-01\n\n[[area]]", "AREA_UNKNOWN"),
        ("jiangxi", 'name = "球川–双明结对"', 'name = "球川结对"', "AREA_DIFFERS"),
        ("jiangxi", 'id = "pair.qiuchuan-shuangming"', 'id = "pair.other"', "AREA_DIFFERS"),
        ("zhejiang", 'desks = ["330824.emergency", "330824.police", "341022.emergency"', 'desks = ["341022.emergency"', "AREA_NO_DESK"),
        ("zhejiang", 'downstream_first = ["330824"]', 'downstream_first = ["330822"]', "COUNTY_NOT_HERE"),
        ("zhejiang", 'base = "330822111.town"', 'base = "330822.nowhere"', "DESK_UNKNOWN"),
        ("zhejiang", 'neighbours = ["361123.circle', 'neighbours = ["361123.square', "AREA_UNKNOWN"),
        ("zhejiang", 'may = ["report"', 'may = ["claim"', "VOLUNTEER_ACT"),
        ("zhejiang", 'id = "330824.guards"', 'id = "guards"', "VOLUNTEER_COUNTY"),
        ("fujian", 'id = "350722.police"', 'id = "350722.governance"', "TWICE"),
        ("fujian", '"fujian/350722/police"', '"zhejiang/330822/police"', "DESK_ELSEWHERE"),
        ("fujian", 'id = "350722.police"', 'id = "350783.police"', "DESK_ELSEWHERE"),
        ("fujian", 'hours = "00:00-24:00"', 'hours = "always"', "TOML_CHOICE"),
        ("fujian", 'version = "2026.1"', 'edition = "2026.1"', "TOML_TYPE"),
    ],
)  # fmt: skip
def test_a_faulty_sheet_is_not_agreed_on(province, old, new, what):
    """Neither `policy check` nor a draft takes it; the fault has its word."""
    path = f"{DUTY}{province}.toml"
    altered = {**FILES, path: FILES[path].decode().replace(old, new, 1).encode()}
    assert altered != FILES
    assert what in {fault.what for check in check_duty(altered) for fault in check.findings}
    with pytest.raises(RuleError) as caught:
        verify_policies(altered)
    assert caught.value.reason == "POLICY_CHECK"


def test_an_agreement_without_sheets_or_with_some_stays_valid():
    """A province without one has no desks here, and its neighbours' sheets stand."""
    without = {path: content for path, content in FILES.items() if not path.startswith(DUTY)}
    assert list(check_duty(without)) == []
    assert read_duty(without).desks == {}
    two = without | {f"{DUTY}{name}.toml": FILES[f"{DUTY}{name}.toml"] for name in ("zhejiang", "jiangxi")}
    assert [check.findings for check in check_duty(two)] == [(), ()]
    there = scene("361130", TRI)
    assert neighbour_desks(read_duty(two), TABLE.kinds["forest.fire"], there) == ("330824.emergency",)
    alone = without | {f"{DUTY}fujian.toml": FILES[f"{DUTY}fujian.toml"]}
    assert [check.findings for check in check_duty(alone)] == [()]
