"""What is said in which language: `BRIDGEHEAD_LANG`, pairs, errors and help screens."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from federation.cli.next_step import NEXT_STEPS
from federation.cli.words import (
    HAN,
    LANGUAGE_VARIABLE,
    Gap,
    choose,
    error_halves,
    error_text,
    gap_pattern,
    half_width,
    halves,
    reasons,
    said,
    typeable,
)
from federation.protocol import errors
from federation.wire.forms import FORMS, in_words
from tests.cli.command_line import run
from tests.cli.parts import load_parts

load_parts()

PACKAGE = Path(errors.__file__).parents[1]
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if "v1" not in path.parts]
SAID_OTHERWISE = frozenset(
    {
        "APPLICATION",
        "CALLER_REFUSED",
        "CASE_COUNTY",
        "CASE_PURPOSE",
        "CERTIFICATE_REFUSED",
        "DATE",
        "ENUM_VALUE",
        "INTAKE_ANSWERED",
        "METHOD_NOT_OFFERED",
        "PEER_ERROR",
        "REGISTERED_ELSEWHERE",
        "USAGE",
    }
)
"""Reasons that stand in a table or a variable, not in the call that raises them."""


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("", "  已停止 | stopped"),
        ("both", "  已停止 | stopped"),
        ("zh", "  已停止"),
        ("en", "  stopped"),
    ],
)
def test_pair_is_said_in_the_language_asked_for(monkeypatch, asked, sentence):
    """Both when nothing is said; the margin stays."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, asked)

    assert said("  已停止 | stopped") == sentence


@pytest.mark.parametrize(
    ("sentence", "chinese"),
    [
        (
            "发布后 | once published: bridgehead keys rotate message --finish",
            "发布后：bridgehead keys rotate message --finish",
        ),
        ("写明首个根 | name the first root: --root", "写明首个根：--root"),
        ("关联：alert link | link the two: bridgehead alert link", "关联：alert link"),
        ("加 --replace，两省均会收到提示 | if it is to change: --replace", "加 --replace，两省均会收到提示"),
        ("稍后再试 | try again: later", "稍后再试"),
    ],
)
def test_what_is_to_be_typed_ends_the_chinese_half_too(monkeypatch, sentence, chinese):
    """Whoever reads one language is told the command and the option as well, once."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")

    assert said(sentence) == chinese


@pytest.mark.parametrize("text", ["no pair", "a | b", "甲 | b | c", "甲|b|c", ""])
def test_what_is_no_pair_is_said_whole(monkeypatch, text):
    """A text of a person may hold bars: nothing of it is lost."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")

    assert halves(text) is None
    assert said(text) == text


def test_words_side_by_side_lose_their_bar_only(monkeypatch):
    """`中文|English` is a word, not a sentence."""
    assert said("命中|hit") == "命中 hit"
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")
    assert said("命中|hit") == "命中"


def test_unknown_language_is_a_usage_error_in_both(monkeypatch):
    """Nobody is spoken to in a language that they did not choose."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, "fr")

    err = run("--version", code=2).err

    assert "只能是 zh、en 或 both" in err
    assert "is zh, en or both" in err


@pytest.mark.parametrize("arguments", [["permti"], ["permit", "show"], ["permit", "list", "--page-size", "many"]])
def test_usage_error_is_said_in_one_language(monkeypatch, arguments):
    """The words of the library that reads the command line are said in ours."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")
    chinese = run(*arguments, code=2).err
    monkeypatch.setenv(LANGUAGE_VARIABLE, "en")
    english = run(*arguments, code=2).err

    assert HAN.search(chinese)
    assert not {"Missing", "Invalid", "No such", "Input"} & set(chinese.split())
    assert HAN.search(english) is None


def test_usage_error_as_json_has_both_languages(monkeypatch):
    """Whatever language a person reads, a program finds both."""
    monkeypatch.setenv(LANGUAGE_VARIABLE, "en")
    error = json.loads(run("permit", "show", "-o", "json", code=2).err)["error"]

    assert error["message"] == "Missing argument 'URN'"
    assert error["message_zh"] == "缺少参数：居住证编号"
    assert error["next"] == ["see: bridgehead permit show --help"]


def test_message_that_has_a_line_of_its_own_is_said_with_what_is_particular(monkeypatch):
    """What stands in a gap of the English stands in the Chinese; else it is given behind the sentence."""
    assert error_halves("No such file or directory: a.csv", "FILE")[0] == "没有这个文件：a.csv"
    assert error_halves("something else", "FILE")[0] == "文件不能读写"
    assert error_halves("unheard of", "UNHEARD_OF") == ("未能办理", "unheard of")
    assert (
        error_halves("the permit is revoked: no further step is possible", "PERMIT_ENDED")[0]
        == "居住证已注销，不能再办"
    )
    offices = "home has no profile of x; it has a/1/police, a/2/police"
    assert error_halves(offices, "AGENCY_PROFILE")[0].endswith("现有：a/1/police、a/2/police")
    several = "case_id: must be a case such as YS-2026-0042; page_size: must be less than or equal to 1000"
    assert error_halves(several, "FIELD_RULE")[0] == "案件须为案件编号，如 YS-2026-0042；page_size不得大于 1000"
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")
    assert error_text("else: 'b.csv'", "FILE") == "文件不能读写（else: 'b.csv'）"
    assert error_text("unheard of", "UNHEARD_OF") == "未能办理"


def test_help_is_shown_in_the_language_asked_for(monkeypatch):
    """Headings and what the table has; in English no Chinese is left."""
    both = run("permit", "show", "--help").out
    monkeypatch.setenv(LANGUAGE_VARIABLE, "zh")
    chinese = run("permit", "show", "--help").out
    monkeypatch.setenv(LANGUAGE_VARIABLE, "en")
    english = run("permit", "show", "--help").out

    assert "选项 Options" in both
    assert "显示本帮助。" in chinese
    assert "Show this message" not in chinese
    assert HAN.search(english) is None
    assert choose("只看演练。", "Exercises (演练) alone.") == "Exercises alone."


# ---- what is wrong, by reason


def _classes() -> frozenset[str]:
    return frozenset(each.__name__ for each in errors.BridgeheadError.__subclasses__())


class Read(NamedTuple):
    """What is found in the sources, which are read once for all tests."""

    raised: list[tuple[str, str | None]]
    pairs: list[tuple[str, str, str]]
    patterns_told: list[str]


@cache
def read() -> Read:
    found, classes = Read([], [], []), _classes()
    for path in SOURCES:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for node in nodes:
            found.raised.extend(_raised(node, classes))
        found.pairs.extend(_pairs(path, nodes))
        found.patterns_told.extend(f"{path}:{node.lineno}" for node in nodes if _tells_pattern(node))
    return found


def _raised(node: ast.AST, classes: frozenset[str]) -> Iterator[tuple[str, str | None]]:
    """Every reason that code names, with the English of its sentence and `X` for what is put in; None if not there."""
    name = getattr(getattr(node, "func", None), "id", "")
    if name in classes and node.args and isinstance(node.args[0], ast.Constant):
        yield node.args[0].value, _template(node.args[1])
    elif name in {"matching", "between", "checked", "typed"}:
        named = [each.value for each in node.keywords if each.arg in {"reason", "type_reason"}]
        yield from [(each.value, None) for each in named if isinstance(each, ast.Constant)]
    elif getattr(getattr(node, "target", None), "id", "").endswith("REASON"):
        value = getattr(node, "value", None)
        yield from [(value.value, None)] if re.fullmatch("[A-Z_0-9]+", str(getattr(value, "value", ""))) else []


def _template(node: ast.expr) -> str | None:
    match node:
        case ast.Constant():
            return str(node.value)
        case ast.JoinedStr():
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        case ast.IfExp():
            return _template(node.body)
    return None


def test_every_reason_has_its_chinese_sentence():
    """In the table, or each time as a pair where it is raised; a sentence, or a line for whatever is said."""
    without = set()
    for reason, said_there in read().raised:
        lines = reasons().get(reason, ())
        lines = [lines] if isinstance(lines, str) else lines
        fits = said_there and any(re.fullmatch(gap_pattern(line.split(" | ")[-1]), said_there) for line in lines)
        pair = said_there and halves(said_there)
        if not fits and not pair and not any(" | " not in line for line in lines):
            without.add((reason, said_there))

    assert without == set()


def test_table_has_the_reasons_in_order_and_none_that_nobody_gives():
    """Two who add one find the same place."""
    given = {reason for reason, _ in read().raised} | set(NEXT_STEPS) | SAID_OTHERWISE

    assert list(reasons()) == sorted(reasons())
    assert set(reasons()) - given == set()


def test_lines_of_the_table_have_both_halves_and_fill_no_more_than_was_said():
    """`中文 | English`, and every gap of the Chinese is one of the English."""
    for reason, lines in reasons().items():
        for line in [lines] if isinstance(lines, str) else lines:
            chinese, *english = line.split(" | ")
            assert HAN.search(chinese), (reason, line)
            assert len(english) <= 2, (reason, line)
            assert not any(HAN.search(half) for half in english), (reason, line)
            gaps = [Gap(x) for x in "abcdefgh"[: english[-1].count("{}") if english else 0]]
            assert chinese.format(*gaps)


def test_pattern_of_a_field_is_told_in_words():
    """Every pattern of the messages has its words, so that nobody is told a regular expression."""
    patterns = set()
    for path in (PACKAGE.parent / "proto" / "federation").rglob("*.proto"):
        text = path.read_text(encoding="utf-8")
        patterns |= set(re.findall(r'pattern[\s:=]+"((?:[^"\\]|\\.)*)"', text))

    assert patterns
    assert patterns == FORMS.keys()
    for pattern, form in FORMS.items():
        said_so = in_words(f"does not match regex pattern `{pattern}`")
        assert said_so == f"must be {form}"
        assert error_halves(f"words: {said_so}", "FIELD_RULE")[0] != "意见的写法不对"
    assert "`" not in in_words("does not match regex pattern `^other$`")


def test_no_sentence_of_the_product_is_made_of_a_regular_expression():
    """Nothing puts the pattern of an expression into a text."""
    assert read().patterns_told == []


def _tells_pattern(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Attribute) and node.value.attr == "pattern"
    )


def _pairs(path: Path, nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str, str]]:
    """Each pair of sentences in a file; what is filled in is a brace."""
    whole = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    inner = {id(part) for node in whole for part in node.values}
    for node in nodes:
        is_text = isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in inner
        if is_text and (pair := halves(_sentence_of(node))):
            yield path.name, *pair


def _sentence_of(node: ast.AST) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


def test_no_command_and_no_option_is_told_in_english_alone():
    """A Chinese sentence without its command is a dead end."""
    lost = {
        (file, english)
        for file, chinese, english in read().pairs
        if not all(word in chinese for word in typeable(english))
    }

    assert lost == set()


def test_fault_of_a_command_line_is_a_pair_where_it_is_raised():
    """What a command says of its own options stands in Chinese and in English; click's own words have their rows."""
    for path in (PACKAGE / "cli").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "BadParameter":
                said_there = [each.value for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant)]
                text = "".join(each for each in said_there if isinstance(each, str))
                assert halves(text) or not said_there, (path.name, call.lineno)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("３３０８２２", "330822"),
        ("ｚｈｅｊｉａｎｇ／３３０８２２", "zhejiang/330822"),
        ("－－ｆｕｌｌ", "－－ｆｕｌｌ"),
        ("--full", "--full"),
        ("球川镇３号", "球川镇３号"),
        ("《", "《"),
    ],
)
def test_what_is_typed_with_the_input_method_on_is_read(typed, read):
    """A word is plain where all of it can be; a sentence with Chinese in it stays as it is, and nothing becomes an option."""
    assert half_width(typed) == read
