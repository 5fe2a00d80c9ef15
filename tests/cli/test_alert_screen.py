"""The live screen of a duty desk: the cursor keeps its alert, keys act once and on what was seen, bells ring once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from federation.cli import alert_screen
from federation.cli.alert_rows import Look
from federation.cli.alert_screen import DOWN, ENTER, ESCAPE, KEYS, UP, Bells, Board, Do, Effect, Link, Open, Sign
from federation.domain.alert import AlertState
from federation.domain.alert_line import AlertLine
from federation.domain.cap import Status
from federation.protocol.form import replace
from tests.cli.alert_desk import BOARD, EMERGENCY, FIRE, GOVERNANCE, HOUSE, NOW, QUARREL, RISK, TOWN, alert_line

SECOND, SETTLED = timedelta(seconds=1), NOW + timedelta(seconds=1)
LOOK = Look(columns=80)


def board(*lines: AlertLine, bell: bool = True, drill_bell: bool = False, desk: str = "", at: datetime = NOW) -> Board:
    """A screen on which these alerts were there from the beginning."""
    made = Board(title="衢州·常山 社会治理中心值守席", now=at, desk=desk, bells=Bells(real=bell, exercises=drill_bell))
    for drill in (False, True):
        made.linked(exercises=drill)
        for line in lines:
            if (line.status is Status.EXERCISE) == drill:
                assert made.notified(line, at, known=True, exercises=drill) == []
        assert made.notified(None, at, known=False, exercises=drill) == []
    return made


def shown(made: Board) -> list[str]:
    return [str(row.line.record) for row in made.rows]


def cursor(made: Board) -> str:
    """The place of the alert that the cursor stands on, as the frame shows it."""
    return next(line[1:20].strip() for line in made.frame(LOOK, 24) if line.startswith(">"))


def news(made: Board, line: AlertLine, at: datetime) -> list[Effect]:
    return made.notified(line, at, known=False, exercises=line.status is Status.EXERCISE)


def changed(line: AlertLine, **fields: object) -> AlertLine:
    return replace(line, step=line.step + 1, **fields)


def test_frame() -> None:
    """The head with what is open and late, the rows, who stands under the cursor, the keys."""
    made = board(*BOARD, replace(QUARREL, record=RISK.record.replace("4", "7"), status=Status.EXERCISE))
    made.links = (Link(name="江西", up=True), Link(name="安徽", up=False, since=NOW - timedelta(minutes=3)))
    assert (
        "\n".join(line.rstrip() for line in made.frame(LOOK, 11))
        == """\
衢州·常山 社会治理中心值守席   10:16:22   待办 4  超时 1   链路 江西 ● 安徽 ○断…
   剩余  级别程度   类别          地点              1  3  10  状态
>-00:19  ■特急      森林火灾      球川圈·东坑       超 –  –   待签收·已请邻席
  00:18  ■紧急      纠纷警情      球川–双明结对     已 走 –   已签收
  05:38  ■紧急      建筑火灾      芳村片            已 已 走  已联系
      —  ▲黄色      森林火险      全县              –  –  –   知悉

特急；森林火灾 forest fire；球川圈·东坑；超时 late 00:19；待签收 waits to be cla
imed；已请邻席 neighbour desks were asked；持有席位 holder —；330822101001EX_202
【演练】1 条（按 e 查看）  a签收 c联系 r到场 h移交 u续报 f误报 n记事 ?帮助 q退出
"""
    )
    assert (
        made.frame(Look(columns=120), 11)[0]
        .rstrip()
        .endswith("2026-04-04 10:16:22   待办 4  超时 1   链路 江西 ● 安徽 ○断开 3分")
    )


def test_head_says_that_the_own_node_is_away_and_that_a_shift_was_not_handed_over() -> None:
    """Rows are as of then; a prompt goes before the warning."""
    made = board(FIRE)
    assert "未交接" not in made.frame(LOOK, 12)[0]
    made.lost, made.unhanded = NOW - timedelta(minutes=2), True
    frame = made.frame(LOOK, 12)
    assert "（上一班未交接）" in frame[0]
    assert "本省节点 ○断开 2分" in made.frame(Look(columns=120), 12)[0]
    assert frame[-1].startswith("所列为 10:14:22 的情况；登记写入 --offline 的文件")
    made.pressed("n", SETTLED)
    assert made.frame(LOOK, 12)[-1].startswith("记事内容")


@given(
    columns=st.integers(1, 130), height=st.integers(1, 40), keys=st.lists(st.sampled_from([*KEYS, "?", "e", UP, DOWN]))
)
def test_frame_keeps_to_the_screen(columns: int, height: int, keys: list[str]) -> None:
    """However small the screen and whatever was pressed: so many lines, none wider."""
    made = board(*BOARD, *(alert_line(number, SECOND * number) for number in range(20, 50)))
    for key in keys:
        made.pressed(key, SETTLED)
    lines = made.frame(Look(columns=columns), height)
    assert len(lines) == height
    assert max(map(cell_len, lines)) <= columns


def test_long_list_is_shown_about_the_cursor() -> None:
    """Going down past the edge brings what is there into sight."""
    made = board(*(alert_line(number, SECOND * (90 - number)) for number in range(10, 60)))
    for _ in range(49):
        made.pressed(DOWN, SETTLED)
    assert shown(made)[-1][-2:] == "59"
    assert any(line.startswith(">") for line in made.frame(LOOK, 12))


def test_cursor_stays_on_its_alert() -> None:
    """Whatever comes above it, the key acts on the alert that was chosen."""
    made = board(QUARREL, HOUSE)
    made.pressed(DOWN, SETTLED)
    assert news(made, FIRE, SETTLED + SECOND) == []
    assert shown(made)[0] == FIRE.record
    [act] = made.pressed("r", SETTLED + 2 * SECOND)
    assert isinstance(act, Do)
    assert (act.record, act.name, act.fields) == (HOUSE.record, "stamp", {"desk": EMERGENCY, "stage": "arrived"})


def test_order_changes_at_most_once_a_second() -> None:
    """A second piece of news within the second waits for the clock; what is there stays where it is."""
    made = board(HOUSE)
    news(made, QUARREL, SETTLED)
    first = shown(made)
    news(made, FIRE, SETTLED + SECOND / 2)
    assert shown(made) == first == [QUARREL.record, HOUSE.record]
    made.ticked(SETTLED + SECOND)
    assert shown(made) == [FIRE.record, QUARREL.record, HOUSE.record]


def test_nothing_is_sorted_while_a_key_waits() -> None:
    """Between a key and its answer no row moves; afterwards they do."""
    made = board(HOUSE)
    made.pressed("n", SETTLED)
    news(made, FIRE, SETTLED + 2 * SECOND)
    assert shown(made) == [HOUSE.record]
    made.pressed(ESCAPE, SETTLED + 3 * SECOND)
    made.ticked(SETTLED + 4 * SECOND)
    assert shown(made) == [FIRE.record, HOUSE.record]


def test_key_asks_again_when_the_row_changed_just_now() -> None:
    """Within 300 ms the same key must come once more; another one, or a later moment, needs no second one."""
    made = board(FIRE)
    news(made, changed(FIRE, rung=120), SETTLED)
    soon = SETTLED + timedelta(milliseconds=299)
    assert made.pressed("a", soon) == []
    assert "再按一次 a" in made.frame(LOOK, 12)[-1]
    assert [type(each) for each in made.pressed("a", soon)] == [Do]
    assert made.pressed("a", soon) == []
    assert made.pressed("c", soon) == []
    assert "再按一次" not in made.frame(LOOK, 12)[-1]
    assert [type(each) for each in made.pressed("a", SETTLED + timedelta(milliseconds=300))] == [Do]


def test_key_asks_again_when_another_alert_came_under_the_cursor() -> None:
    """The alert under the cursor went: the key that was meant for it does nothing to the next one."""
    gone = alert_line(8, timedelta(seconds=30), state=AlertState.CANCELLED, changed=NOW - timedelta(seconds=60))
    made = board(gone, RISK)
    made.pressed(DOWN, SETTLED - SECOND)
    made.ticked(SETTLED)
    assert made.pressed("a", SETTLED) == []
    [act] = made.pressed("a", SETTLED)
    assert isinstance(act, Do)
    assert act.record == RISK.record


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a"], ("claim", {"desk": GOVERNANCE}, "")),
        (["c"], ("stamp", {"desk": GOVERNANCE, "stage": "contacted"}, "")),
        (["h", *EMERGENCY, ENTER], ("hand_over", {"desk": GOVERNANCE, "to": EMERGENCY}, "")),
        (["n", *"已派车", ENTER], ("note", {"desk": GOVERNANCE}, "已派车")),
        (["u", *"ab", "back", ENTER], ("update", {"desk": GOVERNANCE}, "a")),
        (["f", "y"], ("cancel", {"desk": GOVERNANCE, "why": "false_alarm"}, "")),
        (["f", "x"], None),
        (["n", ENTER], None),
        (["n", "x", ESCAPE], None),
        (["x"], None),
    ],
)
def test_keys(keys: list[str], expected: tuple[str, dict[str, str], str] | None) -> None:
    """Each key is one act of the own desk; what is typed is never taken for a key; a no, nothing or Esc does nothing."""
    made = board(alert_line(2, timedelta(seconds=100), (30,)))
    done = [each for key in keys for each in made.pressed(key, SETTLED)]
    assert [(each.name, each.fields, each.text) for each in done if isinstance(each, Do)] == (
        [expected] if expected else []
    )


def test_late_stamp_asks_for_its_reason() -> None:
    """A digit gives it, and nothing else does; Esc stamps nothing."""
    made = board(alert_line(2, timedelta(minutes=4), (30,)))
    assert made.pressed("c", SETTLED) == []
    assert "请填写超时原因" in made.frame(LOOK, 12)[-1]
    assert made.pressed("x", SETTLED) == []
    [act] = made.pressed("2", SETTLED)
    assert isinstance(act, Do)
    assert act.fields == {"desk": GOVERNANCE, "stage": "contacted", "late": "weather"}
    made.pressed("c", SETTLED)
    assert made.pressed(ENTER, SETTLED) == []
    assert made.pressed(ESCAPE, SETTLED) == []
    assert made.prompt is None


def test_claim_of_what_is_offered_accepts_the_hand_over() -> None:
    """The one key for taking an alert on; offered to another desk it stays a claim."""
    for to, name in ((GOVERNANCE, "accept_hand_over"), (EMERGENCY, "claim")):
        [act] = board(replace(QUARREL, offer_to=to)).pressed("a", SETTLED)
        assert isinstance(act, Do)
        assert act.name == name


def test_desk_that_is_watched_acts() -> None:
    """Of several own desks that one; of all of them the one that holds the alert."""
    line = alert_line(2, timedelta(seconds=100), (30,), holder=EMERGENCY, desks=(EMERGENCY, GOVERNANCE))
    for desk, acts in ((GOVERNANCE, GOVERNANCE), ("", EMERGENCY)):
        [act] = board(line, desk=desk).pressed("c", SETTLED)
        assert isinstance(act, Do)
        assert act.fields["desk"] == acts


def test_exercises_have_their_own_page() -> None:
    """They are counted beside the keys, and stand among real alerts never."""
    drill = replace(alert_line(9, SECOND), status=Status.EXERCISE)
    made = board(FIRE, drill)
    assert shown(made) == [FIRE.record]
    made.pressed("e", SETTLED)
    assert shown(made) == [drill.record]
    assert made.frame(LOOK, 12)[0].startswith("【演练】")
    made.pressed("e", SETTLED)
    assert shown(made) == [FIRE.record]


# ---- bells


RUNG = alert_line(10, SECOND, rings=(GOVERNANCE,))


def test_bell_rings_once_for_a_new_alert_once_before_and_once_after_its_limit() -> None:
    """New, 15 s before, late: one each, however often the clock ticks; the ladder that rings again, once more."""
    made = board()
    rung = [(0, bool(news(made, RUNG, NOW)))]
    for seconds in range(1, 120):
        if seconds == 40:
            rung.append((seconds, bool(news(made, changed(RUNG, rung=40), NOW + seconds * SECOND))))
        rung.append((seconds, bool(made.ticked(NOW + seconds * SECOND))))
    assert [seconds for seconds, rings in rung if rings] == [0, 40, 44, 60]


@pytest.mark.parametrize(
    ("line", "rings"),
    [
        (RUNG, True),
        (replace(RUNG, rings=(TOWN,)), False),
        (replace(RUNG, status=Status.EXERCISE), False),
        (replace(RUNG, status=Status.TEST), False),
        (replace(RUNG, state=AlertState.EXPIRED), False),
        (replace(RUNG, holder=TOWN, state=AlertState.ACCEPTED), False),
    ],
)
def test_bell_is_for_the_desk_that_is_rung(line: AlertLine, rings: bool) -> None:
    """Not for what another desk is told or holds, an exercise, a test, or what has ended."""
    assert (news(board(), line, NOW) == [Sign.BELL]) is rings
    assert news(board(bell=False), line, NOW) == []


def test_bell_of_an_exercise_rings_where_it_was_asked_for() -> None:
    """With its own option only."""
    assert news(board(bell=False, drill_bell=True), replace(RUNG, status=Status.EXERCISE), NOW) == [Sign.BELL]
    assert news(board(drill_bell=True), replace(RUNG, status=Status.TEST), NOW) == []


def test_holder_is_rung_for_its_next_limit_only() -> None:
    """Who holds an alert hears when contact is due; what another desk holds is that desk's."""
    for holder, count in ((GOVERNANCE, 2), (TOWN, 0)):
        made = board(alert_line(2, timedelta(seconds=100), (30,), holder=holder))
        assert sum(bool(made.ticked(NOW + seconds * SECOND)) for seconds in range(1, 120)) == count


@pytest.mark.parametrize(
    ("holder", "state", "rings"),
    [
        (GOVERNANCE, AlertState.ARRIVED, True),
        (TOWN, AlertState.ARRIVED, False),
        ("", AlertState.OPEN, False),
        (GOVERNANCE, AlertState.CLOSED, False),
    ],
)
def test_reminder_rings_for_the_desk_that_is_to_update(holder: str, state: AlertState, rings: bool) -> None:
    """Each reminder once, for who holds it, else for who raised it; the same news again and another act ring not."""
    made, line = board(), replace(alert_line(2, SECOND), holder=holder, state=state, stages=(), raised_by=TOWN)
    for step in (1, 2):
        told = replace(line, step=line.step + step)
        for expected in (rings, False):
            found = made.notified(told, NOW, known=False, exercises=False, act="remind")
            assert (found == [Sign.BELL]) is expected
    assert made.notified(replace(line, step=9), NOW, known=False, exercises=False, act="update") == []


def test_link_that_comes_back_rings_for_nothing_that_was_there() -> None:
    """Rows stay while it is down; what is told again rings not, what comes next does; what ended unseen goes."""
    made = board(FIRE, QUARREL, RISK)
    assert news(made, RUNG, SETTLED) == [Sign.BELL]
    made.linked(exercises=False)
    assert set(shown(made)) == {each.record for each in (FIRE, QUARREL, RISK, RUNG)}
    missed = alert_line(11, SECOND, rings=(GOVERNANCE,))
    for line in (FIRE, changed(QUARREL, rung=40), RUNG, missed):
        assert made.notified(line, SETTLED + SECOND, known=True, exercises=False) == []
    fresh = alert_line(12, SECOND, rings=(GOVERNANCE,))
    assert news(made, fresh, SETTLED + 2 * SECOND) == [Sign.BELL]
    assert set(shown(made)) == {each.record for each in (FIRE, QUARREL, RUNG, missed, fresh)}


def test_older_news_changes_nothing() -> None:
    """A row that is told twice, or late, stays as it was last."""
    newest = changed(FIRE, rung=600)
    made = board(newest)
    news(made, FIRE, SETTLED)
    assert made.rows[0].line == newest


def test_what_has_ended_goes_after_a_minute() -> None:
    """It is seen as ended first."""
    made = board(HOUSE)
    over = changed(HOUSE, state=AlertState.CLOSED, changed=SETTLED)
    news(made, over, SETTLED)
    assert made.rows[0].state == "已办结"
    made.ticked(SETTLED + timedelta(seconds=60))
    assert shown(made) == [HOUSE.record]
    made.ticked(SETTLED + timedelta(seconds=61))
    assert shown(made) == []


def test_screen_holds_so_many_alerts_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What presses least goes; a late one never for one that is not."""
    monkeypatch.setattr(alert_screen, "MAX_ROWS", 2)
    made = board(RISK, FIRE)
    news(made, QUARREL, SETTLED)
    news(made, HOUSE, SETTLED + SECOND)
    assert shown(made) == [FIRE.record, QUARREL.record]
    assert news(made, replace(RUNG, raised=NOW, stages=HOUSE.stages[:0]), SETTLED + 2 * SECOND) == []
    assert news(made, replace(FIRE, record=RUNG.record, rings=(GOVERNANCE,)), SETTLED + 3 * SECOND) == [Sign.BELL]
    assert shown(made) == [FIRE.record, RUNG.record]


def test_enter_reads_the_alert_under_the_cursor() -> None:
    """What it says stands on the screen until a key, which does nothing else; its texts are folded, and rule nothing."""
    made = board(FIRE)
    assert made.pressed(ENTER, SETTLED) == [Open(record=FIRE.record)]
    made.page = ("火" * 60, "\x1b[2J")
    frame = made.frame(LOOK, 12)
    assert [line.rstrip() for line in frame[:3]] == ["火" * 40, "火" * 20, r"\x1b[2J"]
    assert made.pressed("a", SETTLED) == []
    assert cursor(made)
    assert board().pressed(ENTER, SETTLED) == []


def test_help_is_in_both_languages_and_goes_with_any_key() -> None:
    """While it is shown no key acts."""
    made = board(FIRE)
    made.pressed("?", SETTLED)
    assert any("已 在案 stamped" in line for line in made.frame(LOOK, 24))
    assert made.pressed("a", SETTLED) == []
    assert cursor(made)
    assert made.pressed("q", SETTLED) == [Sign.QUIT]
