"""The chart of a case: whole by itself, true in words, and safe whatever stands in a case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from federation.cli.case_chart import ChartClock, ChartStage, ChartWords, chart

NOW = datetime(2026, 11, 29, 10, tzinfo=UTC)
WORDS = ChartWords(
    done="已办", now="办理中", ahead="未到", left="剩余 {}", late="已超期 {}", least="至少还须 {}", paused="暂停",
    day="{} 天", hour="{} 小时",
)  # fmt: skip
FIRST = ChartStage(
    id="registration", title="登记", subtitle="Registration", who="村", tier="V-T", state="done", next=("acceptance",),
    entered=NOW - timedelta(days=3), left=NOW - timedelta(days=1),
)  # fmt: skip
SECOND = replace(FIRST, id="acceptance", title="受理", state="now", next=("routing",), left=None)
THIRD = replace(FIRST, id="routing", title="流转", state="ahead", next=("registration", "end"), entered=None, left=None)


def _texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def _draw(*stages: ChartStage, title: str = "案件") -> str:
    return chart(stages, title=title, subtitle="", words=WORDS, now=NOW)


def test_each_state_is_said_in_words() -> None:
    texts = _texts(_draw(FIRST, SECOND, THIRD))
    assert [text.split(" · ")[0] for text in texts if text.startswith(("已办", "办理中", "未到"))] == [
        "已办", "办理中", "未到",
    ]  # fmt: skip
    assert any("2026-11-26 – 2026-11-28" in text for text in texts)


def test_what_is_left_and_what_is_late() -> None:
    clocks = (
        ChartClock(title="受理", due=NOW + timedelta(days=2, hours=5)),
        ChartClock(title="平台受理", due=NOW - timedelta(hours=30)),
        ChartClock(title="公示", due=NOW + timedelta(hours=6), floor=True),
    )
    texts = _texts(_draw(FIRST, replace(SECOND, clocks=clocks)))
    assert "受理剩余 2 天" in texts
    assert "平台受理已超期 30 小时" in texts
    assert "公示至少还须 6 小时" in texts


def test_paused_clock_counts_nothing() -> None:
    assert "调解暂停" in _texts(_draw(replace(SECOND, clocks=(ChartClock(title="调解", due=None),))))


def test_return_is_drawn_otherwise_than_what_goes_on() -> None:
    assert 'class="back"' in _draw(FIRST, SECOND, THIRD)
    assert 'class="back"' not in _draw(FIRST, SECOND, replace(THIRD, next=("end",)))


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), max_size=40))
def test_no_text_of_a_case_becomes_markup(text: str) -> None:
    svg = _draw(replace(FIRST, title=text, who=text), SECOND, title=text)
    assert {each.tag.rpartition("}")[2] for each in ET.fromstring(svg).iter()} <= {
        "svg", "title", "style", "rect", "text", "tspan", "g", "circle", "line", "path",
    }  # fmt: skip
    assert text in _texts(svg)
