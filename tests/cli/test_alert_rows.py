"""The rows of a duty desk: the order in which alerts press, words beside colours, and no text that rules a terminal."""

from __future__ import annotations

import io
import json
import random
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from federation.cli.alert_rows import (
    Lamp,
    Look,
    fit,
    left_text,
    look_of,
    pipe_lines,
    place_of,
    row_json,
    row_of,
    rows_of,
    screen_lines,
    seen,
    spoken,
)
from federation.domain.alert import AlertState
from federation.domain.cap import Status
from federation.protocol.form import replace
from federation.protocol.unseen import find_unseen
from tests.cli.alert_desk import BOARD, EMERGENCY, FIRE, GOVERNANCE, HOUSE, NOW, QUARREL, RISK, TOWN, alert_line

SECOND = timedelta(seconds=1)
NARROW = """\
   剩余  级别程度   类别          地点              1  3  10  状态
 -00:19  ■特急      森林火灾      球川圈·东坑       超 –  –   待签收·已请邻席
> 00:18  ■紧急      纠纷警情      球川–双明结对     已 走 –   已签收
  05:38  ■紧急      建筑火灾      芳村片            已 已 走  已联系
      —  ▲黄色      森林火险      全县              –  –  –   知悉
"""
ASCII = """\
   剩余  级别程度   类别          地点              1    3    10    状态
 -00:19  #特急      森林火灾      球川圈/东坑       [超] [-]  [-]   待签收/已请~
> 00:18  #紧急      纠纷警情      球川-双明结对     [已] [走] [-]   已签收
  05:38  #紧急      建筑火灾      芳村片            [已] [已] [走]  已联系
      -  ^黄色      森林火险      全县              [-]  [-]  [-]   知悉
"""
WIDE = """\
   剩余  级别程度   类别          地点              1  3  10  持有席位          状态                           编号
 -00:19  ■特急      森林火灾      球川圈·东坑       超 –  –   —                 待签收·已请邻席                …021503_1
> 00:18  ■紧急      纠纷警情      球川–双明结对     已 走 –   常山县111乡镇     已签收                         …021340_2
  05:38  ■紧急      建筑火灾      芳村片            已 已 走  本席 常山县应急   已联系                         …021200_3
      —  ▲黄色      森林火险      全县              –  –  –   —                 知悉                           …181622_4
"""
_COLOUR = re.compile(r"\x1b\[[0-9]*m")


def _screen(look: Look) -> str:
    return "\n".join([*screen_lines(rows_of(BOARD, NOW), look, cursor=str(QUARREL.record)), ""])


@pytest.mark.parametrize(
    ("look", "expected"),
    [(Look(columns=80), NARROW), (Look(columns=80, ascii=True), ASCII), (Look(columns=120), WIDE)],
)
def test_screen(look: Look, expected: str) -> None:
    """In 80 columns without who holds it and the number, in ASCII with words in brackets, in 120 with all columns."""
    assert _screen(look) == expected


def test_number_stays_longer_than_holder() -> None:
    """What a narrower screen gives up first is who holds it."""
    assert ["持有席位" in _screen(Look(columns=wide)) for wide in (106, 107)] == [False, True]
    assert ["编号" in _screen(Look(columns=wide)) for wide in (88, 89)] == [False, True]


def test_colours_are_beside_the_words_and_of_the_sixteen() -> None:
    """Without its colours a screen says the same; it uses no colour that an old terminal lacks."""
    painted = _screen(Look(columns=120, colour=True))
    assert set(_COLOUR.findall(painted)) <= {f"\x1b[{code}m" for code in (0, 31, 32, 33, 34, 90)}
    assert "\x1b[31m超" in painted
    plain = _COLOUR.sub("", painted)
    assert [line.rstrip() for line in plain.splitlines()] == WIDE.splitlines()


def test_order_is_late_first_then_least_time_then_priority_then_first_raised() -> None:
    """Whatever order they came in; what has ended stands last."""
    later = alert_line(5, timedelta(seconds=20))
    first = alert_line(6, timedelta(seconds=20, milliseconds=1), priority="flash")
    routine = alert_line(7, timedelta(seconds=20), priority="routine")
    over = alert_line(8, timedelta(hours=1), (90,), state=AlertState.CLOSED, holder="")
    expected = [FIRE, QUARREL, first, later, routine, HOUSE, RISK, over]
    mixed = random.Random(1).sample(expected, len(expected))
    assert [row.line for row in rows_of(mixed, NOW)] == expected


def test_stage_is_late_after_its_last_moment_only() -> None:
    """At the very limit it runs, a millisecond later it is late; a stamp leaves the lamp of its stage done."""
    due = QUARREL.stages[1].due
    assert row_of(QUARREL, due).lamps == (Lamp.DONE, Lamp.RUNS, Lamp.NONE)
    assert row_of(QUARREL, due + timedelta(milliseconds=1)).lamps == (Lamp.DONE, Lamp.LATE, Lamp.NONE)
    assert row_of(FIRE, FIRE.raised + timedelta(minutes=4)).lamps == (Lamp.LATE, Lamp.LATE, Lamp.NONE)


def test_what_has_ended_has_no_time_left_and_no_lamp_that_runs() -> None:
    """A stage that was late stays so; one that was never due is none."""
    ended = replace(FIRE, state=AlertState.CANCELLED)
    assert row_of(ended, NOW).lamps == (Lamp.LATE, Lamp.NONE, Lamp.NONE)
    assert row_of(ended, NOW).left is None


def test_lease_is_told_to_the_desk_that_holds() -> None:
    """After all stamps the time left is that of the own claim, of another desk's nothing; near its end it says so."""
    arrived = alert_line(9, timedelta(minutes=8), (20, 60, 300), lease=NOW + 30 * SECOND)
    own = row_of(arrived, NOW)
    assert (own.left, own.said[0]) == (30 * SECOND, ("签收将失效（余 30 秒）", "the claim is about to lapse"))
    other = row_of(replace(arrived, holder=TOWN), NOW)
    assert (other.left, other.state) == (None, "已到场")
    assert row_of(replace(arrived, lease=NOW + timedelta(hours=1)), NOW).state == "已到场"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"offer_to": GOVERNANCE, "offer_until": NOW + 45 * SECOND}, "请接收移交（余 45 秒）·已签收"),
        ({"offer_to": EMERGENCY}, "已签收·移交常山县应急中"),
        ({"local": True}, "已签收·离线签收，待同步确认"),
        ({"helpers": (GOVERNANCE,)}, "已签收·贵席协助"),
        ({"helpers": (EMERGENCY,)}, "已签收"),
        ({"expires": NOW}, "已签收·已过有效期，仍在处置"),
        ({"clock_doubtful": True, "skew_seconds": 92}, "已签收·时钟存疑（相差 92 秒）"),
        ({"links": 2}, "已签收·关联 2 条"),
        ({"waiting": 1}, "等待 1 条前序记录·已签收"),
        ({"state": AlertState.OPEN, "holder": "", "rung": 120}, "重新待签收·已告值班领导"),
    ],
)
def test_state_in_words(changed: dict[str, object], words: str) -> None:
    """What the own desk has to do at once stands before the state, what else is to know behind it."""
    assert row_of(replace(QUARREL, **changed), NOW).state == words


def test_colour_without_issuer_is_a_proposal_and_exercise_is_marked() -> None:
    """▲ says 建议 until somebody issued it; 【演练】 begins the kind."""
    row = row_of(replace(RISK, issued=False, status=Status.EXERCISE), NOW)
    assert "▲黄色建议  【演练】森… " in screen_lines([row], Look(columns=80))[1]
    assert spoken(row).startswith("黄色建议；【演练】森林火险 forest fire risk；")


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (None, "—"), (timedelta(0), "00:00"), (-SECOND / 2, "-00:00"), (99 * 60 * SECOND, "99:00"),
        (6000 * SECOND, "1h40"), (-timedelta(days=9), "-99h59"),
    ],
)  # fmt: skip
def test_time_left(left: timedelta | None, text: str) -> None:
    """In at most six cells, however long; what is late has its sign even within the first second."""
    assert left_text(left) == text


def test_place_is_its_areas_or_its_divisions() -> None:
    """An area that nobody named yet is told by the last word of its id and its type; a pipe has the ids."""
    unnamed = replace(
        FIRE, areas=("330822.circle.qiuchuan", "tri.qixi"), area_names=("330822.circle.qiuchuan", "tri.qixi")
    )
    assert place_of(unnamed) == "qiuchuan圈、qixi"
    assert place_of(FIRE) == "球川圈·东坑"
    assert place_of(replace(FIRE, areas=(), area_names=(), divisions=("330822111", "999999"))) == "常山县111、999999"


def test_pipe_loses_nothing() -> None:
    """A heading, one line an alert, every time with its offset, nothing cut and nothing painted."""
    long = replace(FIRE, zh="火" * 300)
    head, *lines = pipe_lines(rows_of([long, QUARREL], NOW))
    assert head.split("\t")[0] == "left"
    found = [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert found[0]["kind"] == "火" * 300
    assert found[1] | {"kind": ""} == {
        "left": "00:18", "level": "■紧急", "kind": "", "place": "330822.circle.qiuchuan", "accepted": "已", "contacted": "走",
        "arrived": "–", "holder": TOWN, "state": "已签收", "number": QUARREL.cap_id, "record": str(QUARREL.record),
        "raised": "2026-04-04 10:13:40+08:00", "due": "2026-04-04 10:16:40+08:00", "expires": "2026-04-04 12:16:22+08:00",
    }  # fmt: skip


def test_json_says_how_long_is_left() -> None:
    """Beside the fields of the line: milliseconds, negative when late, null where nothing runs."""
    rows = [json.loads(json.dumps(row_json(row))) for row in rows_of(BOARD, NOW)]
    assert [row["left_ms"] for row in rows] == [-19_000, 18_000, 338_000, None]
    assert rows[1]["state"] == "accepted"
    assert rows[1]["lamps"] == {"accepted": "done", "contacted": "runs", "arrived": "none"}
    assert rows[0]["said"] == [["待签收", "waits to be claimed"], ["已请邻席", "neighbour desks were asked"]]


def test_who_hears_it_is_told_all_in_both_languages() -> None:
    """One sentence, what is late as such."""
    assert spoken(row_of(FIRE, NOW)) == (
        "特急；森林火灾 forest fire；球川圈·东坑；超时 late 00:19；待签收 waits to be claimed；"
        "已请邻席 neighbour desks were asked；持有席位 holder —；330822101001EX_20260404021503_1"
    )


@pytest.mark.parametrize(
    ("environ", "encoding", "expected"),
    [
        ({"TERM": "xterm"}, "utf-8", Look(columns=90, colour=True)),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "utf-8", Look(columns=90)),
        ({"TERM": "dumb"}, "utf-8", Look(columns=90, ascii=True)),
        ({"TERM": "xterm"}, "ascii", Look(columns=90, colour=True, ascii=True)),
        ({"TERM": "xterm"}, "gb18030", Look(columns=90, colour=True)),
    ],
)
def test_look_of_a_terminal(environ: dict[str, str], encoding: str, expected: Look) -> None:
    """NO_COLOR is kept; where a sign cannot be shown its ASCII stands for it."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert look_of(stream, environ, columns=90) == expected


_TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from("\x1b\x07\t\n\x9b\u202e家👨‍👩‍👧é")),
    max_size=30,
)


@given(text=_TEXTS, columns=st.integers(1, 140), look=st.builds(Look, colour=st.booleans(), ascii=st.booleans()))
def test_no_text_rules_the_terminal_or_leaves_its_columns(text: str, columns: int, look: Look) -> None:
    """Whatever an alert says: no escape code but our colours, one line a row, no line wider than the screen."""
    look = Look(columns=columns, colour=look.colour, ascii=look.ascii)
    line = replace(FIRE, zh=text, kind=text, area_names=(text,), holder=text, priority=text, level=text, cap_id=text)
    made = screen_lines(rows_of([line, QUARREL], NOW), look)
    assert len(made) == 3
    for each in made:
        plain = _COLOUR.sub("", each) if look.colour else each
        assert plain.isprintable()
        assert cell_len(plain) <= columns
    piped = [*pipe_lines([row_of(line, NOW)]), spoken(row_of(line, NOW))]
    assert all(part.isprintable() for each in piped for part in each.split("\t"))
    assert len({each.count("\t") for each in piped[:2]}) == 1


@given(text=_TEXTS, width=st.integers(0, 40))
def test_text_is_fitted_to_the_cell(text: str, width: int) -> None:
    """Padded or cut, it takes its width exactly; what fits is shown whole."""
    made = fit(text, width, Look())
    assert cell_len(made) == width or width == 0
    if cell_len(seen(text)) <= width:
        assert made.rstrip(" ") == seen(text).rstrip(" ")


@given(_TEXTS)
def test_unseen_is_written_as_its_number(text: str) -> None:
    """What can be seen is left as it is, the rest is told by its number."""
    assert seen("a\x1b[2J\u202e\U000e0001b") == r"a\x1b[2J\u202e\U000e0001b"
    if text.isprintable() and find_unseen(text) is None:
        assert seen(text) == text
