"""Tests of `bridgehead subject report`: what a person is shown, and a report asked for at a real node."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from federation.cli.reports import (
    COMPLAINT_RIGHT,
    CORRECTION_RIGHT,
    IDENTITY_STEP,
    head_lines,
    report_code,
    report_lines,
    report_object,
)
from federation.cli.show import mask_number, say_step
from federation.cli.words import LANGUAGE_VARIABLE, said
from federation.domain.citizen_number import format_citizen_number
from federation.domain.lookups import Outcome
from federation.domain.reports import ReportLine
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, parse_agency_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Decision, Grounds
from federation.wire.agency.reports import ProvinceReport, ReportPage
from federation.wire.rpc import ruling_of
from tests.cli.command_line import HALL, run
from tests.cli.test_one_language import assert_one_language

JIANGXI = NodeName("jiangxi")
NUMBER = format_citizen_number("341022", date(2191, 3, 7), sequence=61)
ALLOWED = ruling_of(
    Decision(
        verdict=Verdict.ALLOWED,
        policies=("report-to-the-person",),
        fields=frozenset(),
        reason=Grounds.PERMITTED,
        title_zh="代本人查阅",
        title_en="For the person",
    ),
    agreement_version=1,
)
LINE = ReportLine(
    time=datetime(2026, 3, 2, 2, 0, tzinfo=UTC),
    given_by=JIANGXI,
    asker=parse_agency_id("zhejiang/330822/police"),
    purpose="lookup.identity_check",
    function="F03",
    basis="居民身份证法第十五条",
    step="lookup.fetch",
    verdict=Verdict.ALLOWED,
    fields=frozenset({"status", "holder_name"}),
)
PAGE = ReportPage(
    decision=ALLOWED,
    lines=(LINE,),
    withheld_count=2,
    next_shown=date(2026, 4, 1),
    provinces=(ProvinceReport(node=JIANGXI, outcome=Outcome.HIT, withheld_count=2, older_count=3),),
)


def test_report_lines_say_who_when_what_for_and_what_waits():
    """Plain words in both languages; the withheld are counted and dated."""
    told = list(report_lines(PAGE))

    assert told[0] == "2026-03-02 10:00:00+08:00  zhejiang/330822/police  调取 fetch  提供 given  江西 jiangxi"
    assert told[1] == "  目的 purpose: 公安机关核实身份 | the police checked an identity"
    assert told[2] == "  字段 fields: 状态 status、姓名 holder_name"
    assert "2 withheld for now, the first will be shown on 2026-04-01" in told[4]
    assert told[5].endswith("3 older")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_report_is_in_one_language_and_names_fields_of_items_in_words(language, monkeypatch):
    """A paper for somebody who reads one of them; the law, an office's name and what is typed stay as they are."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, language)
    of_items = replace(LINE, step="alert.entry", fields=frozenset({"person.name", "detail.people"}), basis="")
    silent = ProvinceReport(node=NodeName("fujian"), outcome=Outcome.UNREACHABLE)
    page = replace(PAGE, lines=(LINE, of_items), provinces=(*PAGE.provinces, silent))
    head = head_lines(page, NUMBER, now=datetime(2026, 3, 2, 2, 0, tzinfo=UTC))
    told = "\n".join((*head, *report_lines(page), said(CORRECTION_RIGHT), said(COMPLAINT_RIGHT)))

    assert_one_language(language, told, data=("居民身份证法第十五条", "警情事项的people"))
    assert mask_number(NUMBER) in told
    assert NUMBER not in told
    assert ("字段：警情事项的people、人员的姓名" in told) is (language == "zh")
    assert ("fields: detail.people, person.name" in told) is (language == "en")


def test_report_with_a_silent_province_does_not_say_that_there_is_nothing():
    """That there is nothing is said of those that have answered alone, and what is missing is named."""
    silent = ProvinceReport(node=NodeName("fujian"), outcome=Outcome.UNREACHABLE)
    told = list(report_lines(replace(PAGE, lines=(), withheld_count=0, provinces=(*PAGE.provinces, silent))))

    assert told[0].startswith(
        "已答复的省没有可告知的记录 | nothing that may be told now by the provinces that answered"
    )
    assert told[1].startswith("福建 fujian: 无法到达 unreachable; 其记录不在以上所列，请另日再查")
    assert next(report_lines(replace(PAGE, lines=()))).startswith("没有可告知的记录 |")


def test_report_names_the_agency_and_shows_no_basis_for_what_nobody_registered():
    """The agreement's name stands before the id; a purpose that a node left out is told as such, without a law."""
    named = replace(LINE, asker_name="开化县公安局")
    told = list(report_lines(replace(PAGE, lines=(named, replace(named, purpose="", basis="")))))

    assert "  开化县公安局（zhejiang/330822/police）  " in told[0]
    assert told[3] == "  依据 basis: 居民身份证法第十五条"
    assert told[5] == "  目的 purpose: 未登记的用途 | a purpose that is not registered"
    assert not any("依据" in line for line in told[4:])


@pytest.mark.parametrize(
    ("given_by", "verdict", "at_home"),
    [
        (NodeName("zhejiang"), Verdict.REFUSED, True),
        (NodeName("zhejiang"), Verdict.ALLOWED, False),
        (JIANGXI, Verdict.REFUSED, False),
    ],
)
def test_report_says_when_the_own_province_refused(given_by, verdict, at_home):
    """Who tried is told, and that nothing was told to them: their own province held the question back."""
    page = replace(PAGE, lines=(replace(LINE, given_by=given_by, verdict=verdict),))

    told = "\n".join(report_lines(page))

    assert ("被本省拒绝，未向任何人提供" in told) is at_home
    assert ("refused by its own province; nothing was told" in told) is at_home
    assert report_object(page)["lines"][0]["refused_at_home"] is at_home


def test_report_object_is_the_same_for_programs():
    """A program reads the same, with times in UTC."""
    shown = report_object(PAGE)

    assert shown["lines"][0]["time"] == "2026-03-02T02:00:00.000Z"
    assert shown["lines"][0]["purpose_zh"] == "公安机关核实身份"
    assert shown["provinces"][0]["outcome"] == "answered"


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.HIT, 0), (Outcome.REFUSED, 1), (Outcome.UNREACHABLE, 3)])
def test_report_code_tells_silence_from_nothing(outcome, code):
    """A province that has not answered is named, and the exit code says so."""
    page = replace(PAGE, lines=(), provinces=(ProvinceReport(node=JIANGXI, outcome=outcome),))

    assert report_code(page) == code
    assert any("江西 jiangxi" in line for line in report_lines(page)) == (code != 0)


def test_report_help_is_there():
    """The command explains itself."""
    assert "Usage: bridgehead subject report" in run("subject", "report", "--help").out


def test_report_of_somebody_never_asked_about_is_empty_and_whole(nodes):
    """Every province that serves has answered; whoever does not serve is named as such."""
    done = nodes.ask(HALL, "subject", "report", NUMBER, "--identity-checked", "-o", "json")

    assert done.json["lines"] == []
    assert done.json["decision"]["policies"] == ["report-to-the-person"]


def test_report_without_an_identity_check_is_refused_with_exit_1(nodes):
    """The clerk must say that the person was checked."""
    done = nodes.ask(HALL, "subject", "report", NUMBER, code=1)

    assert "deny-report-identity-unchecked" in done.out
    assert "-> 核对本人证件后加 --identity-checked | check the person's card" in done.err
    assert NUMBER not in done.out


@pytest.mark.parametrize("language", ["zh", "en"])
def test_next_step_keeps_its_arrow_in_each_language(language, monkeypatch, capsys):
    """It is what a tired clerk looks for."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, language)
    say_step(IDENTITY_STEP)
    told = capsys.readouterr().err
    assert told.startswith("  -> ")
    assert_one_language(language, told)
