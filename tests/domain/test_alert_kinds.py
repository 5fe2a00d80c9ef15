"""The agreed table of alerts: what each kind begins with, which colours there are, what is no alert, when a fire is told on."""

from pathlib import Path

import pytest

from federation.domain.alert_kinds import (
    ALERTS_FILE,
    Colours,
    Family,
    Severity,
    check_alerts,
    estimated_grade,
    fired,
    is_issued,
    load_kind,
    parse_alerts,
    rank_of,
    read_alerts,
    verify_lifting,
)
from federation.domain.policy_check import verify_policies
from federation.node.home.files import read_policies
from federation.protocol.errors import BridgeheadError, NotFoundError, RuleError

FILES = read_policies(Path(__file__).parents[2] / "policies")
TABLE = read_alerts(FILES)
TEXT = FILES[ALERTS_FILE].decode()
COUNTY, CITY, PROVINCE = "330822 常山县人民政府", "330800 衢州市人民政府", "330000 浙江省人民政府"
TOWN = "330822111 球川镇人民政府"


def refusal(call, *args, **named):
    with pytest.raises(BridgeheadError) as caught:
        call(*args, **named)
    return caught.value.reason


def test_the_table_of_the_repository_passes_and_is_not_official():
    """Kinds, clocks, functions and kinds of agency agree with each other; nobody published it, nor read the new text."""
    (check,) = check_alerts(FILES)
    assert (check.stages, check.findings) == (20, ())
    assert (TABLE.official, TABLE.body.official, TABLE.forest.official, TABLE.forest.verified) == (False,) * 4


def test_colours_exist_for_disasters_and_accidents_only():
    """突发事件应对法 63: what is 社会安全 or of no family has none, and no colour can be set for it."""
    coloured = {kind.id for kind in TABLE.kind if kind.colours is not Colours.NONE}
    assert coloured == {"forest.risk", "water.pollution", "flood", "weather", "geo.hazard"}
    assert all(TABLE.kinds[name].family in (Family.DISASTER, Family.ACCIDENT) for name in coloured)
    for kind in TABLE.kind:
        if kind.id not in coloured:
            assert refusal(is_issued, TABLE, kind, "red", issued_by=PROVINCE, document="1号") == "LEVEL_NONE"


@pytest.mark.parametrize(
    ("kind", "level", "issued_by", "document", "issued"),
    [
        ("flood", "red", PROVINCE, "浙防指〔2026〕1号", True),
        ("flood", "red", CITY, "衢防指〔2026〕1号", False),
        ("flood", "橙", CITY, "衢防指〔2026〕1号", True),
        ("flood", "orange", COUNTY, "常防指〔2026〕1号", False),
        ("flood", "blue", COUNTY, "常防指〔2026〕1号", True),
        ("flood", "blue", "330822111 球川镇人民政府", "1号", False),
        ("flood", "blue", COUNTY, "", False),
        ("flood", "blue", "", "1号", False),
        ("geo.hazard", "red", "330822 常山县自然资源和规划局", "1号", True),
        ("weather", "red", "330822 常山县气象台", "1号", True),
    ],
)
def test_a_colour_is_issued_by_who_may_and_else_a_proposal(kind, level, issued_by, document, issued):
    """Without issuer or document, or below its rank, it is 建议; what is relayed keeps the colour of its issuer."""
    assert is_issued(TABLE, TABLE.kinds[kind], level, issued_by=issued_by, document=document) is issued


def test_a_level_is_a_colour_and_its_issuer_has_a_code():
    """Another word is refused, and so is an issuer who cannot be placed."""
    flood = TABLE.kinds["flood"]
    assert refusal(is_issued, TABLE, flood, "purple", issued_by=COUNTY, document="1号") == "LEVEL_UNKNOWN"
    for written in ("常山县人民政府", "330822", "33082２ 常山县人民政府", "3308 常山县人民政府"):
        assert refusal(rank_of, written) == "ISSUED_BY"


def test_only_who_issued_a_level_lowers_or_lifts_it():
    """突发事件应对法 70: a higher body may raise it and then answers for it; a proposal is nobody's, and anybody's."""
    flood = TABLE.kinds["flood"]

    def said(level: str = "", issued_by: str = "", document: str = "1号") -> dict[str, str]:
        return {"level": level, "issued_by": issued_by, "document": document}

    yellow = said("yellow", COUNTY)
    allowed = (said("blue", COUNTY), said("", COUNTY), said("orange", CITY), said("red", PROVINCE))
    below = (said("blue", CITY), said("yellow", CITY), said("orange", TOWN))
    refused = (*below, said("orange"), said("orange", CITY, ""), said())
    for after in allowed:
        verify_lifting(TABLE, flood, before=yellow, after=after)
    for after in refused:
        assert refusal(verify_lifting, TABLE, flood, before=yellow, after=after) == "LEVEL_ISSUER"
    for proposed in (said("orange", COUNTY), said("yellow", COUNTY, ""), said("yellow"), said(), {}):
        verify_lifting(TABLE, flood, before=proposed, after=said())


def test_severity_follows_the_colour_or_the_kind():
    """红 Extreme, 橙 Severe, 黄 Moderate, 蓝 Minor; a kind without colours has its own."""
    flood = TABLE.kinds["flood"]
    by_colour = {word: TABLE.severity_of(flood, word).value for word in "红橙黄蓝"}
    assert by_colour == {"红": "Extreme", "橙": "Severe", "黄": "Moderate", "蓝": "Minor"}
    assert TABLE.severity_of(flood) is Severity.UNKNOWN
    assert TABLE.severity_of(TABLE.kinds["dispute"]) is Severity.MINOR


def test_priority_is_routine_for_few_and_violence_raises_it():
    """Every alert has one; 一般 rings no bell by night."""
    assert {kind.id for kind in TABLE.kind if kind.priority == "routine"} == {"dispute", "traffic.minor", "fire.hazard"}
    dispute = TABLE.kinds["dispute"]
    assert not TABLE.priority_of(dispute).night_bell
    assert TABLE.priority_of(dispute, {"violence"}).zh == "紧急"
    assert [TABLE.priorities[word].leaders_at_once for word in ("特急", "紧急", "一般")] == [True, False, False]


@pytest.mark.parametrize("name", ["petition", "上访", "Gathering", "人员名单", "minor.school", "suspicion", "exercise"])
def test_what_is_no_alert_is_refused_by_name_with_its_reason(name):
    """Chinese and English, with the law beside it; a name that nobody knows is unknown."""
    with pytest.raises(RuleError) as caught:
        load_kind(TABLE, name)
    assert caught.value.reason == "ALERT_KIND_REFUSED"
    assert " | " in caught.value.message
    assert refusal(load_kind, TABLE, "ufo") == "ALERT_KIND_UNKNOWN"
    assert load_kind(TABLE, "flood").zh == "洪水与山洪"


@pytest.mark.parametrize(
    ("flags", "numbers", "names"),
    [
        ((), {}, []),
        ((), {"area_m2": 999_999, "dead": 2, "hurt": 9, "open_seconds": 86_399}, []),
        ((), {"dead": 3}, ["casualties"]),
        ((), {"hurt": 10}, ["casualties"]),
        ((), {"dead": 10}, ["major", "casualties"]),
        ((), {"area_m2": 1_000_000}, ["major"]),
        ((), {"open_seconds": 86_400}, ["over_24h"]),
        (("threat",), {}, ["threat"]),
        (("province_line",), {}, []),
        (("dangerous",), {}, []),
        (("province_line", "dangerous"), {}, ["province_line"]),
        (("primeval", "national_help", "national_border"), {}, ["national_border", "primeval", "national_help"]),
    ],
)
def test_a_trigger_holds_at_its_very_number(flags, numbers, names):
    """以上 includes the number: 3 dead, 100 ha, 24 h 00 m 00 s; the line of provinces needs both boxes."""
    assert [each.trigger.id for each in fired(TABLE, flags=flags, numbers=numbers)] == names


def test_a_trigger_names_the_values_that_made_it():
    """So that the entry which tells the province says why."""
    (major, casualties) = fired(TABLE, flags=(), numbers={"dead": 12, "hurt": 9})
    assert (dict(major.numbers), dict(casualties.numbers)) == ({"dead": 12}, {"dead": 12})


@pytest.mark.parametrize(
    ("numbers", "grade"),
    [
        ({}, "ordinary"), ({"area_m2": 9_999}, "ordinary"), ({"area_m2": 10_000}, "larger"), ({"dead": 3}, "larger"),
        ({"area_m2": 999_999}, "larger"), ({"area_m2": 1_000_000}, "major"), ({"hurt": 50}, "major"), ({"area_m2": 10_000_000}, "grave"),
    ],
)  # fmt: skip
def test_the_estimated_grade_is_the_highest_that_a_number_reaches(numbers, grade):
    """森林防火条例 (2008) 40."""
    assert estimated_grade(TABLE, numbers).id == grade


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('id = "help"\n', 'id = "dispute"\n', "TWICE"),
        ('id = "help"\n', 'id = "petition"\n', "REFUSED_KIND"),
        ('function = "F19"', 'function = "F99"', "FUNCTION_UNKNOWN"),
        ('"forest.24h"', '"forest.25h"', "CLOCK_UNKNOWN"),
        ('crosses = ["place", "need"]', 'crosses = ["shoe_size"]', "FIELD_UNKNOWN"),
        ('agencies = ["fishery", "police"]', 'agencies = ["mayor"]', "AGENCY_KIND"),
        ('family = "social"\ncolours = "none"', 'family = "social"\ncolours = "government"', "COLOUR_FAMILY"),
        ('severity = "Minor"\ncertainty', "certainty", "NO_SEVERITY"),
        ('receives = [{ to = "desk" }]', 'receives = [{ to = "leader" }]', "NO_DESK"),
        ("expires = 10080\n", "expires = 50000\n", "EXPIRES"),
        ("姓名 | names", "姓名", "WORDS"),
        ('priority = "routine"', 'priority = "rotten"', "PRIORITY_UNKNOWN"),
        ('flags = ["threat"]', "", "TRIGGER_EMPTY"),
        ('flags = ["threat"]', 'flags = ["treat"]', "FIELD_UNKNOWN"),
        ('en = "ordinary"', 'en = "ordinary"\nleast = { dead = 1 }', "NO_LOWEST_GRADE"),
        ('colours = "none"', 'colours = "pink"', "TOML_CHOICE"),
        ('"2026.1"\nofficial = false', '"2026.1"\nofficial = "no"', "TOML_TYPE"),
    ],
)
def test_a_faulty_table_is_not_agreed_on(old, new, what):
    """Neither `policy check` nor a draft of an agreement takes it; the fault has its word."""
    altered = {**FILES, ALERTS_FILE: TEXT.replace(old, new, 1).encode()}
    assert altered != FILES
    (check,) = check_alerts(altered)
    assert what in {fault.what for fault in check.findings}
    with pytest.raises(RuleError) as caught:
        verify_policies(altered)
    assert caught.value.reason == "POLICY_CHECK"


def test_an_agreement_from_before_alerts_stays_valid():
    """It has no kind, and raises none."""
    before = {path: content for path, content in FILES.items() if path != ALERTS_FILE}
    assert list(check_alerts(before)) == []
    with pytest.raises(NotFoundError):
        read_alerts(before)


def test_the_table_says_of_each_article_whether_it_was_read():
    """What was superseded says so; the body codes of others than the met office are ours."""
    assert all(law.text for kind in TABLE.kind for law in kind.law)
    assert {law.state for law in TABLE.kinds["forest.risk"].law} == {"superseded"}
    assert TABLE.body.codes["meteorology"] == "416"
    assert all(code.startswith("9") for name, code in TABLE.body.codes.items() if name != "meteorology")
    assert parse_alerts(TEXT) is parse_alerts(TEXT)
