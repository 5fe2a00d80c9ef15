"""One language at a time: in Chinese no English sentence, in English no Chinese one, in both each beside the other.

Data stays as it is written: names of places, offices and people, what somebody wrote, and every id (an id of a case, a
figure, a policy or a field has a digit or a sign in it, or is a word of the protocol that is typed again).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as ET

import pytest

from federation.cli.figures_svg import report_svg
from federation.cli.figures_text import report_lines, sample_lines
from federation.cli.help import find_help, read_screens
from federation.cli.main import PARTS, main
from federation.cli.words import HAN, LANGUAGE_VARIABLE, WORDS, halves
from federation.domain.division import DIVISIONS, PREFECTURES, PROVINCES
from federation.domain.figures_report import unite_reports
from tests.cli.command_line import HALL, POLICE, run
from tests.cli.parts import load_parts
from tests.cli.test_figures import FORMULA, quarter
from tests.domain.test_figures_count import THERE
from tests.domain.test_figures_report import both
from tests.domain.test_response import lived, seen

load_parts()

PLACES = frozenset(
    {*(each.name for each in DIVISIONS.values()), *PREFECTURES.values(), *(name for _, name in PROVINCES.values())}
)
SAID_WORDS = frozenset(word for words in WORDS.values() for word in words)
WORD = re.compile(r"(?<![\w./:@#=<>|-])[A-Za-z]{2,}(?![\w./:@#=<>[|-]| v[0-9])")
NAMES = frozenset(
    {"bridgehead", "zhejiang", "jiangxi", "fujian", "anhui", "clerk", "GiB", "alert", "keep", "transferred"}
)
"""Words that are the same in Chinese: what is typed, names of nodes and officers, a unit."""


def foreign(language: str, text: str, data: Iterable[str] = ()) -> list[str]:
    """The lines of a text that say something in the other language, without what is data."""
    if language == "zh":
        known = NAMES | {word for each in data if " " not in each for word in WORD.findall(each)}
        return [line for line in text.splitlines() if set(WORD.findall(line)) - known]
    for each in sorted({*data, *PLACES}, key=len, reverse=True):
        text = text.replace(each, "") if HAN.search(each) else text
    return [line for line in text.splitlines() if HAN.search(line)]


def assert_one_language(language: str, text: str, data: Iterable[str] = ()) -> None:
    assert text
    assert foreign(language, text, data) == []


def test_search_finds_a_sentence_of_the_other_language():
    """A word is enough; an id, a name and a command are none."""
    assert foreign("zh", "常山县 late\n2026Q2 response.attain.10 v1 zhejiang/330822/police") == ["常山县 late"]
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
        words = {each.words for each in (*report.printed, *report.figures)}
        chart = texts_of(report_svg(report))
        for text in ("\n".join(report_lines(report)), "\n".join(sample_lines(report)), chart):
            assert_one_language(language, text.replace(FORMULA.replace("\u202e", "\\u202e"), ""), words - {""})


def test_value_of_an_option_is_named_in_words(language):
    """No word of a programmer stands for what is typed, on any help screen."""
    screens = [name for part in PARTS for name in read_screens(part, PARTS)]
    texts = {name: find_help([*name.split(), "--help"], PARTS)[0] for name in screens}

    assert "<文字>" in texts["permit show"] or language == "en"
    assert [
        name for name, text in texts.items() if re.search(r"<(str|int|float|path|list)\b|%[YH]| range>", text)
    ] == []


def test_option_that_is_missing_is_told_with_the_words_it_takes(language, capsys):
    """In one line, in Chinese by commas of Chinese."""
    assert main(["permit", "recognise", "urn:permit:330822:2026:B"]) == 2
    told = capsys.readouterr().err
    assert ("缺少选项：'--mode'，可填：card、time" in told) == (language != "en")
    assert ("Choose from" in told) == (language != "zh")


def test_place_of_a_value_is_named_in_words(language, capsys):
    """Each argument on the line of usage, and in the fault of a line that lacks it; English has it in capitals."""
    lines = {
        name: screen["usage"].split() for part in PARTS for name, screen in read_screens(part, PARTS).items()
    }  # fmt: skip
    firsts = {words[1]: name for name, words in lines.items() if len(words) > 1 and words[1].isupper()}
    firsts.pop("COMMAND")
    told = {}
    for place, name in firsts.items():
        usage = find_help([*name.split(), "--help"], PARTS)[0].splitlines()[0]
        assert main(name.split()) == 2
        told[place] = (re.sub(f"bridgehead {name}|NAME=VALUE", "", usage), capsys.readouterr().err.splitlines()[0])

    assert len(told) > 25
    if language == "en":
        assert [place for place, (usage, fault) in told.items() if place not in usage] == []
        assert [fault for texts in told.values() for fault in texts if HAN.search(fault)] == []
        return
    assert [texts for texts in told.values() if re.search("[A-Z]{2,}", texts[0])] == []
    missing = [fault for _, fault in told.values() if "缺少参数" in fault]
    assert len(missing) > 20
    assert [fault for fault in missing if foreign("zh", fault, ("USAGE",))] == []


# ---- a dozen and more of ordinary commands at running nodes

CENTRE, TOWN, AUDIT = "zhejiang/330822/governance", "zhejiang/330822/town", "zhejiang/330000/audit"
FACT, PARTY = "两车追尾", "林甲"
HOME = "HOME"
"""Stands for the home of Zhejiang's node."""
ORDINARY = [
    (HALL, None, "node status"),  # 1 while the newest head waits for its cosignatures
    (HALL, 0, "permit show URN"),
    (HALL, 0, "permit list"),
    (POLICE, 0, "lookup history"),
    (HALL, 0, "subject corrections"),
    (HALL, 0, "erasure list"),
    (POLICE, 0, "lead list"),
    (CENTRE, 0, "duty show 330822"),
    (CENTRE, 0, "duty roster 330822.governance"),
    (TOWN, 0, "case list"),
    (TOWN, 0, "case show CASE"),
    (TOWN, 0, "case act CASE"),
    (TOWN, 0, "case history CASE"),
    (TOWN, 0, "case trace CASE"),
    (TOWN, 0, "case lists dispute-mediation"),
    (TOWN, 0, "case due --days 30"),
    (TOWN, 0, "case chart CASE"),
    (CENTRE, 0, "alert list"),
    (CENTRE, 0, "alert show ALERT"),
    (CENTRE, 0, "alert history ALERT"),
    (CENTRE, 0, "alert kinds traffic.accident"),
    (CENTRE, 0, "report county 330822 --period 2026Q1"),
    (CENTRE, 0, "report response --sample --period 2026Q1"),
    (TOWN, 1, "report quarter"),
    (TOWN, 1, "case show no-such-case"),
    (HOME, 0, "agreement show"),
    (HOME, 0, "keys show"),
]
TYPED = {"case lists dispute-mediation": {"town"}}
"""By line, what it gives to be typed (`--role town`) that is a word of the table elsewhere."""


@pytest.fixture(scope="module")
def desk(nodes) -> dict[str, str]:
    """A permit, a joint case and an alert by their names, and what is data in them."""
    permit = nodes.ask(HALL, "permit", "register", "--synthetic", "--full", "-o", "json").json["permit"]
    opening = [
        "--role",
        "town",
        "--division",
        "330822",
        "--set",
        "stage=registration",
        "--set",
        "source=walk_in",
        "-o",
        "json",
    ]
    code = nodes.ask(TOWN, "case", "open", "dispute-mediation", *opening).json["line"]["code"]
    party = ("--side", "A", "--role", "applicant", "--name", PARTY, "--county", "330822")
    nodes.ask(TOWN, "case", "party", code, "p1", *party)
    raising = ("--desk", "330822.governance", "--area", "pair.qiuchuan-shuangming", "--fact", FACT)
    alert = nodes.ask(CENTRE, "alert", "raise", "traffic.accident", *raising, "-o", "json").json["line"]["cap_id"]
    nodes.ask(CENTRE, "alert", "claim", alert)
    return {"URN": permit["urn"], "CASE": code, "ALERT": alert, "": permit["holder_name"]}


def asked(nodes, desk, agency: str, code: int | None, line: str, *more: str):
    words = [*(desk.get(word, word) for word in line.split()), *more]
    if agency == HOME:
        return run(*words, "--home", nodes.federation.home("zhejiang"), code=code)
    return nodes.ask(agency, *words, code=code)


def shown(nodes, desk, agency: str, code: int | None, line: str) -> str:
    done = asked(nodes, desk, agency, code, line)
    text = done.out + done.err
    return texts_of(text) if text.startswith("<svg") else text


def data_in(answer: object, name: str = "") -> Iterator[str]:
    """Every text of an answer in JSON that is no half of a pair and no word of the table."""
    match answer:
        case dict():
            yield from (each for key, value in answer.items() for each in data_in(value, key))
        case list():
            yield from (each for value in answer for each in data_in(value, name))
        case str() if name.rpartition("_")[2] not in {"zh", "en"} and answer not in SAID_WORDS and not halves(answer):
            yield answer


@pytest.mark.parametrize(("agency", "code", "line"), ORDINARY, ids=[line for *_, line in ORDINARY])
def test_ordinary_command(nodes, desk, monkeypatch, agency, code, line):
    """In Chinese no English word, in English no Chinese one, in both each of them; data is what its JSON has as data."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, "both")
    data = {*data_in(asked(nodes, desk, agency, code, line, "-o", "json").json), "汉", desk[""]} - {""}
    data |= TYPED.get(line, set())
    both = shown(nodes, desk, agency, code, line)
    assert foreign("zh", both, data)
    assert foreign("en", both, data)
    for language in ("zh", "en"):
        monkeypatch.setenv(LANGUAGE_VARIABLE, language)
        assert_one_language(language, shown(nodes, desk, agency, code, line), data)
