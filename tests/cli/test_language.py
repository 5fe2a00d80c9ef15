"""What is said in which language: `BRIDGEHEAD_LANG`, pairs, errors and help screens."""

from __future__ import annotations

import json

import pytest

from federation.cli.language import HAN, LANGUAGE_VARIABLE, error_halves, halves, help_text, said
from tests.cli.command_line import run


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
    assert error["message_zh"] == "缺少参数 'URN'"
    assert error["next"] == ["see: bridgehead permit show --help"]


def test_message_that_has_a_line_of_its_own_is_said_with_what_is_particular():
    """What stands in a gap of the English stands in the Chinese; else it is given behind the sentence."""
    assert error_halves("No such file or directory: a.csv", "FILE")[0] == "没有这个文件：a.csv"
    assert error_halves("something else", "FILE")[0] == "文件不能读写"
    assert error_halves("else: 'b.csv'", "FILE")[0] == "文件不能读写（else: 'b.csv'）"
    assert error_halves("unheard of", "UNHEARD_OF") == ("未能办理", "unheard of")


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
    assert help_text("Exercises (演练) alone.") == "Exercises alone."
