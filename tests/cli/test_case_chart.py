"""The chart of a case: whole by itself, true in words, and safe whatever stands in a case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from federation.cli.case_chart import chart
from federation.domain.joint_policy import CaseLine, Standing
from federation.protocol.form import replace
from federation.protocol.form import replace as replace_item
from federation.protocol.ids import parse_agency_id, parse_record_id
from federation.protocol.leaf import Verdict
from federation.protocol.policy import Grounds
from federation.wire.agency.cases import CaseClock, CaseStage, CaseView, TraceLine
from federation.wire.rpc import Ruling

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
OFFICE = parse_agency_id("zhejiang/330822/governance")
LINE = CaseLine(
    office=OFFICE, step=1, record=parse_record_id("zhejiang/0199e000-0000-7000-8000-000000000001"), code="33082220260000017",
    procedure="dispute-mediation", title_zh="矛盾纠纷联调", title_en="Dispute mediation", stage="acceptance",
    stage_zh="受理", stage_en="Acceptance", tier="T", standing=Standing.MEMBER, roles=("centre",), lead=OFFICE,
    opened=NOW - timedelta(days=3), changed=NOW,
)  # fmt: skip
FIRST = CaseStage(
    id="registration", zh="登记", en="Registration", who=("village",), who_zh="村", who_en="village", tier="V-T",
    next=("acceptance",), entered=NOW - timedelta(days=3), left=NOW - timedelta(days=1),
)  # fmt: skip
SECOND = replace(FIRST, id="acceptance", zh="受理", next=("routing",), left=None)
THIRD = replace(FIRST, id="routing", zh="流转", next=("registration", "end"), entered=None, left=None)
CLOCK = CaseClock(
    key="dispute.accept", started=NOW, due=NOW + timedelta(days=2, hours=5), late=False, floor=False,
    on_breach="escalate", source="", verified="programme", zh="受理告知", en="acceptance",
)  # fmt: skip


ALLOWED = Ruling(
    verdict=Verdict.ALLOWED, policies=("case-read",), fields=frozenset(), reason=Grounds.PERMITTED, title_zh="",
    title_en="", agreement_version=1,
)  # fmt: skip
REFUSED = replace(ALLOWED, verdict=Verdict.REFUSED, reason=Grounds.FORBIDDEN)


def _draw(*stages: CaseStage, clocks: tuple[CaseClock, ...] = (), line: CaseLine = LINE) -> str:
    return chart(CaseView(decision=ALLOWED, line=line, stages=stages, clocks=clocks), NOW)


def _texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_each_state_is_said_in_words() -> None:
    """A reader who sees no colours reads which stages are done, which runs, which are ahead, and when."""
    said = [text for text in _texts(_draw(FIRST, SECOND, THIRD)) if text.startswith(("已办 ", "办理中", "未到"))]
    assert said == [
        "已办 done · 2026-11-26 – 2026-11-28 · 村", "办理中 now · 2026-11-26 · 村", "未到 ahead · 村",
    ]  # fmt: skip


def test_what_is_left_and_what_is_late() -> None:
    """Days above two, hours below; what is late says since when, and stands first."""
    late = replace(CLOCK, zh="接受委派", due=NOW - timedelta(hours=30), late=True)
    texts = _texts(_draw(FIRST, SECOND, clocks=(late, CLOCK)))
    assert "受理告知 剩余 2 天 d" in texts
    assert "接受委派 已超期 late by 30 小时 h" in texts


def test_floor_is_never_late() -> None:
    """A least time is something to wait for, not something that is missed."""
    floor = replace(CLOCK, due=NOW + timedelta(hours=6), floor=True)
    assert "受理告知 至少还须 6 小时 h" in _texts(_draw(FIRST, SECOND, clocks=(floor,)))


def test_paused_clock_counts_nothing() -> None:
    """Without a due time there is nothing left to count."""
    assert "受理告知 暂停 paused" in _texts(_draw(SECOND, clocks=(replace(CLOCK, due=None),)))


def test_clocks_stand_where_the_case_is() -> None:
    """A stage that is done shows no running clock."""
    assert not [text for text in _texts(_draw(FIRST, clocks=(CLOCK,))) if text.startswith("受理告知")]


def test_return_is_drawn_otherwise_than_what_goes_on() -> None:
    """What goes back to an earlier stage is a broken arc; where nothing goes back there is none."""
    assert 'class="back"' in _draw(FIRST, SECOND, THIRD)
    assert 'class="back"' not in _draw(FIRST, SECOND, replace(THIRD, next=("end",)))


def test_way_that_a_case_went_is_told_from_one_that_it_may_go() -> None:
    """A stage that was skipped leaves the line grey; the arc over it is the way that was gone."""
    last = replace(THIRD, next=("end",), entered=FIRST.left)
    skipped = _draw(replace(FIRST, next=("acceptance", "routing")), replace(SECOND, entered=None), last)
    assert 'class="on gone"' in skipped
    assert 'class="line gone"' not in skipped
    assert 'class="line gone"' in _draw(FIRST, replace(SECOND, entered=FIRST.left), THIRD)


def test_closed_case_says_its_end_in_words_and_what_it_did_not_take() -> None:
    """Nothing is ahead of a case that is closed."""
    line = replace_item(LINE, outcome="settled_performed")
    view = CaseView(
        decision=ALLOWED, line=line, stages=(FIRST, THIRD),
        trace=(TraceLine(time=NOW, zh="已办结：达成协议并履行", en="Closed: Settled and performed"),),
    )  # fmt: skip
    texts = _texts(chart(view, NOW))
    assert any("已办结：达成协议并履行 Closed: Settled and performed" in text for text in texts)
    assert [text for text in texts if text.startswith("未")] == ["未经 not taken · 村"]


def test_case_that_may_not_be_read_has_no_chart() -> None:
    """A refusal draws nothing."""
    assert chart(CaseView(decision=REFUSED, stages=(FIRST,)), NOW) == ""


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=40))
def test_no_text_of_a_case_becomes_markup(text: str) -> None:
    """Whatever stands in a case is text in the picture, and the picture is well-formed."""
    stage = replace(FIRST, zh=text, en=text, who_zh=text)
    svg = _draw(stage, SECOND, line=replace_item(LINE, title_zh=text))
    assert {each.tag.rpartition("}")[2] for each in ET.fromstring(svg).iter()} <= {
        "svg", "title", "style", "rect", "text", "tspan", "g", "circle", "line", "path",
    }  # fmt: skip
    assert text in _texts(svg)
