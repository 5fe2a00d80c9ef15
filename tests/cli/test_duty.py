"""Tests of `bridgehead duty` at real nodes: tables, books, a shift handed over by two officers, patrols of volunteers."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from federation.cli.duty import area_line, book_line, duty_lines, hand_over_lines, roster_lines, verify_book
from federation.domain.duty_roster import DutyAct
from federation.protocol.errors import UntrustedError
from federation.protocol.form import replace
from tests.cli.command_line import run
from tests.wire import duty_answers

TOWN, OFFICE = "330822111.town", "zhejiang/330822/town"
CENTRE, FORESTRY = "zhejiang/330822/governance", "zhejiang/330824/forestry"
DESK, GUARDS = "330822.governance", "330824.guards"
"""A desk that never closes, and a group of volunteers."""


def test_lines_say_who_is_on_and_what_was_not_handed_over():
    """In both languages: who answers, that nobody took over, what is late and what was promised."""
    table = list(duty_lines(duty_answers.TABLE))
    assert table[0].startswith("浙江省衢州市常山县 330822")
    assert any("1 人 on 未交接 not handed over" in line for line in table)
    assert any("村结对 pair" in line and "到场 arrive 30 分 min" in line for line in table)
    assert any("球川镇值守席 330822111.town" in line for line in table)
    assert any("球川–双明结对 pair.qiuchuan-shuangming" in line for line in table)
    unnamed = replace(duty_answers.TABLE.areas[0], name="")
    assert area_line(unnamed).startswith("片区 area pair.qiuchuan-shuangming  村结对 pair")
    assert any("民情直通车" in line for line in table)
    assert any("纠纷警情 dispute" in line for line in table)

    book = list(roster_lines(duty_answers.ROSTER))
    assert any("交班 offer" in line for line in book)
    assert "待接班 waits for its second signature:" in book
    entry = list(hand_over_lines(duty_answers.HAND_OVER))
    assert entry[0].endswith("待办 open 2  超时 late 1")
    assert any("** 超时 late: 已联系 contacted **" in line for line in entry)
    assert "  交接事项 promised: 十点前回访王家坞" in entry
    elsewhere = replace(duty_answers.STANDING, is_here=False)
    assert any("外省 elsewhere" in line for line in duty_lines(replace(duty_answers.TABLE, desks=(elsewhere,))))


def test_take_over_that_two_did_not_sign_ends_the_reading_of_a_book():
    """The desk verifies both signatures itself; one of an officer alone is told as such."""
    offered = duty_answers.LINE
    other = replace(duty_answers.SIGNED, officer="town-2")
    taken = replace(offered, act=DutyAct.TAKE_OVER, officer="town-2", signed=(duty_answers.SIGNED, other))
    alone = replace(taken, signed=(other,))
    for line, is_refused in ((offered, False), (alone, False), (taken, True), (replace(taken, signed=()), True)):
        page = replace(duty_answers.ROSTER, lines=(replace(duty_answers.ROSTER.lines[0], line=line),))
        with pytest.raises(UntrustedError, match="HAND_OVER_UNSIGNED") if is_refused else nullcontext():
            verify_book(page)
    assert book_line(alone).endswith("仅接班人签名 signed by who took over alone")


def test_shift_is_handed_over_at_the_command_line(nodes):
    """One offers, the other sees what waits and takes over; the old shift answers until then, and the book has leaves."""
    first, second = ("--officer", "shift-1"), ("--officer", "shift-2")
    nodes.ask(CENTRE, "duty", "sign-on", DESK, *first)
    nodes.ask(CENTRE, "duty", "sign-on", DESK, *second)
    offered = nodes.ask(CENTRE, "duty", "hand-over", DESK, "--to", "shift-2", "--promise", "十点前回访", *first)
    assert "shift-1 -> shift-2" in offered.out
    assert "请 shift-2 在 30 分钟内接班" in offered.err
    shown = nodes.ask(CENTRE, "duty", "show", "-o", "json", *second).json
    (mine,) = [each for each in shown["desks"] if each["desk"]["id"] == DESK]
    assert (mine["charge"], mine["is_unhanded"], mine["manned"]) == ("shift-1", True, 2)
    assert "交接事项 promised: 十点前回访" in nodes.ask(CENTRE, "duty", "hand-over", DESK, *second).out

    nodes.ask(CENTRE, "duty", "hand-over", DESK, "--accept", *second)

    page = nodes.ask(CENTRE, "duty", "roster", DESK, "-o", "json", *second).json
    assert (page["standing"]["charge"], page["standing"]["is_unhanded"]) == ("shift-2", False)
    newest = page["lines"][0]
    assert [each["officer"] for each in newest["line"]["signed"]] == ["shift-1", "shift-2"]
    leaf = run("log", "leaf", newest["leaf"], "--node", "zhejiang", "--home", nodes.folder).json
    assert (leaf["kind"], leaf["subject"]) == ("duty", newest["digest"])
    left = nodes.ask(CENTRE, "duty", "sign-off", DESK, *second)
    assert "未交接，仍由您当班" in left.err


@pytest.mark.parametrize(
    ("arguments", "reason", "code"),
    [
        (("sign-on", "330822.nobody"), "DUTY_DESK", 2),
        (("sign-off", TOWN), "DUTY_NOT_ON", 1),
        (("show", "110101"), "DUTY_COUNTY", 2),
        (("hand-over", TOWN, "--accept"), "HAND_OVER_NONE", 1),
        (("withdraw", "v-222222"), "VOLUNTEER_UNKNOWN", 1),
        (("patrols", GUARDS, "--from", "2026-01-01"), "VOLUNTEER_GROUP", 1),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_do(nodes, arguments, reason, code):
    """Each no has its reason and the next step; a desk or county that no sheet has is a slip."""
    error = nodes.ask(OFFICE, "duty", *arguments, "-o", "json", "--officer", "shift-9", code=code).error
    assert error["reason"] == reason
    assert error["next"]


def test_another_office_does_not_sign_on(nodes):
    """Policy's no is shown with what would make it lawful."""
    told = nodes.ask(CENTRE, "duty", "sign-on", TOWN, code=1)
    assert "该席位属于本单位" in told.out


def test_volunteers_are_enrolled_and_their_patrols_counted(nodes, tmp_path):
    """The paper stays in the office; a point is no area; the list says what the period comes to."""
    (tmp_path / "consent.pdf").write_bytes(b"agreed")
    enrolled = nodes.ask(FORESTRY, "duty", "enrol", GUARDS, "--consent", tmp_path / "consent.pdf", "-o", "json").json[
        "volunteer"
    ]
    report = ("duty", "patrol", GUARDS, "--by", enrolled["name"], "--found", 2, "--fixed", 2, "-o", "json")
    error = nodes.ask(FORESTRY, *report, "--area", "29.12,118.41", code=1).error
    assert error["reason"] == "PATROL_AREA"
    nodes.ask(FORESTRY, *report, "--area", "tri.qixi")

    listed = nodes.ask(FORESTRY, "duty", "patrols", GUARDS, "--from", "2026-01-01")
    assert "名册 on the roster 1  巡护 patrols 1  发现问题 found 2  整改 mended 2" in listed.out
    gone = nodes.ask(FORESTRY, "duty", "withdraw", enrolled["name"])
    assert "退出 left" in gone.out
