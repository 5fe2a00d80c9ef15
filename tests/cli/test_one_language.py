"""One language at a time: in Chinese no English sentence, in English no Chinese one, in both each beside the other.

Data stays as it is written: names of places, offices and people, what somebody wrote, and every id (an id of a case, a
figure, a policy or a field has a digit or a sign in it, or is a word of the protocol that is typed again).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

import pytest

from federation.cli.figures_svg import report_svg
from federation.cli.figures_text import report_lines, sample_lines
from federation.cli.words import HAN, LANGUAGE_VARIABLE
from federation.domain.division import DIVISIONS, PREFECTURES
from federation.domain.figures_report import unite_reports
from tests.cli.test_figures import FORMULA, quarter
from tests.domain.test_figures_count import THERE
from tests.domain.test_figures_report import both
from tests.domain.test_response import lived, seen

PLACES = frozenset({*(each.name for each in DIVISIONS.values()), *PREFECTURES.values()})
WORD = re.compile(r"(?<![\w./:@#=<>-])[A-Za-z]{2,}(?![\w./:@#=<>-]| v[0-9])")
NAMES = frozenset({"bridgehead", "zhejiang", "jiangxi", "fujian", "anhui"})
"""Words that are the same in Chinese: what is typed, and names of nodes."""


def foreign(language: str, text: str, data: Iterable[str] = ()) -> list[str]:
    """The lines of a text that say something in the other language, without what is data."""
    for each in sorted((*data, *PLACES), key=len, reverse=True):
        text = text.replace(each, "")
    if language == "en":
        return [line for line in text.splitlines() if HAN.search(line)]
    return [line for line in text.splitlines() if set(WORD.findall(line)) - NAMES]


def assert_one_language(language: str, text: str, data: Iterable[str] = ()) -> None:
    assert text
    assert foreign(language, text, data) == []


def test_search_finds_a_sentence_of_the_other_language():
    """A word is enough; an id, a name and a command are none."""
    assert foreign("zh", "常山县 late\n2026Q2 response.attain.10 v1 zhejiang/330822/police") == [
        "常山县 late".replace("常山县", "")
    ]
    assert foreign("en", "withheld 不列\n常山县 林甲", ["林甲"]) == ["withheld 不列"]


def texts_of(drawn: str) -> str:
    """The texts of an SVG file, one a line."""
    return "\n".join(ET.fromstring(re.sub("<style>.*?</style>", "", drawn, flags=re.DOTALL)).itertext())


@pytest.fixture(params=["zh", "en"])
def language(request, monkeypatch):
    monkeypatch.setenv(LANGUAGE_VARIABLE, request.param)
    return request.param


def test_report(language):
    """Lines, sample and chart; the words of the press and of who delivered a figure are theirs."""
    alerts = seen(*(lived(n) for n in range(25)), *(lived(n, division=THERE) for n in range(30, 36)))
    one, other = both(alerts, alerts[1:])
    for report in (quarter(), unite_reports(one, other)):
        words = {FORMULA.replace("\u202e", "\\u202e"), *(each.words for each in (*report.printed, *report.figures))}
        chart = texts_of(report_svg(report))
        for text in ("\n".join(report_lines(report)), "\n".join(sample_lines(report)), chart):
            assert_one_language(language, text, words - {""})
