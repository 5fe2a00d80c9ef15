"""The language in which a person is spoken to: `BRIDGEHEAD_LANG` is `zh`, `en` or `both`; `both` when nothing is said.

A sentence of the house is a pair, `中文 | English` or `中文|English`: this is the one place that chooses a half. What
code says in English only has its Chinese in the tables of `chinese/`: `reasons.toml` by the reason of an error,
`help.toml` by the English sentence of a help screen; `examples.toml` has lines to type, by command. A table is read
when it is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

LANGUAGE_VARIABLE: Final = "BRIDGEHEAD_LANG"
TABLES: Final = Path(__file__).parent / "chinese"
HAN: Final = re.compile("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_GLOSS: Final = re.compile(r" ?\([^()]*[\u3400-\u9fff][^()]*\)")
"""A Chinese word in brackets behind the English one."""
_TYPED: Final = re.compile(r": ((?:bridgehead [a-z]|--[a-z]).*)$")
"""What is to be typed, at the end of an English half."""
_DATA: Final = re.compile(r"[0-9'\"/@{\u3400-\u9fff]|--")
"""What a sentence with something particular in it has: a number, what was quoted, an id, a name, an option."""


class Language(StrEnum):
    CHINESE = "zh"
    ENGLISH = "en"
    BOTH = "both"


def is_language(text: str) -> bool:
    return text in {"", *Language}


def language() -> Language:
    """The language asked for; both where the environment says nothing, or nothing known (which `main` refuses)."""
    asked = os.environ.get(LANGUAGE_VARIABLE, "")
    return Language(asked) if asked and is_language(asked) else Language.BOTH


def halves(text: str) -> tuple[str, str] | None:
    """The Chinese and the English of a pair; None for what is no pair, or has more than one bar in it.

    What is to be typed may stand behind the English alone: it ends the Chinese too.
    """
    for bar in (" | ", "|"):
        if text.count(bar) == 1:
            chinese, english = text.split(bar)
            return (_with_typed(chinese, english), english) if HAN.search(chinese) else None
    return None


def _with_typed(chinese: str, english: str) -> str:
    typed = _TYPED.search(english)
    if typed is None or all(word in chinese for word in typeable(typed[1])):
        return chinese
    return f"{chinese}：{typed[1]}"


def typeable(text: str) -> set[str]:
    """The commands, without their `bridgehead`, and the options that a sentence names."""
    return set(re.findall(r"(?<=bridgehead )[a-z][a-z-]+(?: [a-z][a-z-]+)*|--[a-z][a-z-]+", text))


def said(text: str) -> str:
    """A pair in the language that is asked for; what is no pair is said whole, so that nothing is lost.

    In both languages `中文 | English` stays as it is, and of `中文|English` the bar is left out.
    """
    found, asked = halves(text), language()
    if found is None:
        return text
    if asked is Language.BOTH:
        return text if " | " in text else " ".join(found)
    margin = text[: len(text) - len(text.lstrip())]
    return found[0] if asked is Language.CHINESE else margin + found[1]


# ---- errors


@cache
def reasons() -> Mapping[str, str | Sequence[str]]:
    return _table("reasons")


@cache
def _table(name: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads((TABLES / f"{name}.toml").read_text(encoding="utf-8"))


def error_halves(message: str, reason: str) -> tuple[str, str]:
    """The Chinese and the English sentence of an error.

    The table has the Chinese of a reason: a sentence, or several lines. A line `中文 {} | English {}` is taken when it
    is the English that was said, with what stands in the gaps; a third part is the English of another program, which
    the second says in our words.
    """
    return halves(message) or _found(message, reason) or (_sentence(reason), message)


def error_text(message: str, reason: str) -> str:
    """An error in the language that is asked for; what is particular in it is given in English if nowhere else."""
    pair = halves(message) or _found(message, reason)
    if pair is None and language() is Language.CHINESE:
        return f"{_sentence(reason)}（{message}）" if _DATA.search(message) else _sentence(reason)
    return said(" | ".join(pair or (_sentence(reason), message)))


def _found(message: str, reason: str) -> tuple[str, str] | None:
    """The pair that the lines of a reason give for a message, or for each part of it: `this: ...; that: ...`."""
    parts = [_fitting(part, reason) for part in message.split("; ")] if ": " in message else [None]
    if all(parts) and len(parts) > 1:
        return "；".join(part[0] for part in parts if part), "; ".join(part[1] for part in parts if part)
    return _fitting(message, reason)


def _fitting(message: str, reason: str) -> tuple[str, str] | None:
    for line in _lines(reason):
        chinese, *english = line.split(" | ")
        if english and (gaps := re.fullmatch(gap_pattern(english[-1]), message, re.DOTALL)):
            return chinese.format(*map(Gap, gaps.groups())), english[0].format(*gaps.groups())
    return None


class Gap(str):
    """The text of a gap of the English; `{:field}` and `{:PermitStatus}` say it in words where there are any."""

    __slots__ = ()

    def __format__(self, kind: str) -> str:
        from federation.cli import words

        names = words.LABELS if kind == "field" else words.WORDS.get(kind, {})
        return names.get(self.strip("'\"").removeprefix("act."), str(self))


def gap_pattern(english: str) -> str:
    return re.escape(english).replace(r"\{\}", "(.*)")


def _sentence(reason: str) -> str:
    return next((line for line in _lines(reason) if " | " not in line), "未能办理")


def _lines(reason: str) -> Sequence[str]:
    lines = reasons().get(reason, ())
    return [lines] if isinstance(lines, str) else lines


# ---- help


def chinese_help(english: str) -> str:
    """The Chinese of a paragraph of a help screen, nothing where the table has none."""
    return str(_table("help").get(english, ""))


def examples(command: str) -> Sequence[str]:
    """Lines that one may type, by a command's words."""
    found: Sequence[str] = _table("examples").get(command, ())
    return found


def choose(chinese: str, english: str, *, word: bool = False) -> str:
    """A paragraph of a help screen in the language that is asked for; English where it has no Chinese.

    A Chinese gloss in brackets goes where the whole is said. A `word` has no bar in it.
    """
    asked = language()
    if not chinese or asked is Language.ENGLISH:
        return _GLOSS.sub("", english) if asked is Language.ENGLISH else english
    return said(f"{chinese}{'|' if word else ' | '}{_GLOSS.sub('', english)}")


_WIDE: Final = {sign + 0xFEE0: sign for sign in range(0x21, 0x7F)} | {0x3000: 0x20}
"""The full-width form of each printable sign of ASCII (Unicode, Halfwidth and Fullwidth Forms)."""


def half_width(typed: str) -> str:
    """A word typed with the input method on, `３３０８２２`: in plain signs where all of it then is, else as it is.

    What begins with a full-width hyphen stays a text, and becomes no option.
    """
    narrow = typed.translate(_WIDE)
    return narrow if narrow.isascii() and (not narrow.startswith("-") or typed.startswith("-")) else typed


def write_what_it_can(stream: TextIOWrapper) -> None:
    """Has a stream escape what it cannot write; one that cannot write Chinese is spoken to in English."""
    stream.reconfigure(errors="backslashreplace")
    try:
        "\u4e2d".encode(stream.encoding)
    except UnicodeEncodeError:
        os.environ.setdefault(LANGUAGE_VARIABLE, Language.ENGLISH)
