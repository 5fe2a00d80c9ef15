"""Chinese sentences have the punctuation of GB/T 15834: full-width beside a Chinese character."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "federation"
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if "v1" not in path.parts]
TABLES = [
    path
    for folder in (ROOT / "policies", ROOT / "nodes", PACKAGE / "cli" / "chinese")
    for path in sorted(folder.rglob("*"))
    if path.suffix in {".toml", ".cedar"}
]
_HAN = "\u3400-\u9fff"
HALF_WIDTH = re.compile(rf"[{_HAN}”》）][,;:?!]|[,;:?!][{_HAN}“《]|[{_HAN}]\(|\)[{_HAN}]")
DATA = ("纬度,经度", "发送方,编号,时间")
"""Forms of data that have an ASCII comma: they are typed so."""


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a module but docstrings and the help of options, whose Chinese is in a table."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(each)
        for node in ast.walk(tree)
        for top in ([node.value] if isinstance(node, ast.Expr) or getattr(node, "arg", "") == "help" else [])
        for each in ast.walk(top)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield (
                node.lineno,
                "".join(
                    str(getattr(part, "value", "")) if isinstance(part, ast.Constant) else "{}" for part in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def wrong_in(text: str) -> str | None:
    for form in DATA:
        text = text.replace(form, "")
    found = HALF_WIDTH.search(text)
    return found and text[max(0, found.start() - 8) : found.end() + 8]


@pytest.mark.parametrize("text", ["稍候再试:节点", "民族,汉", "条例(2008)第三条", "是否关联?", "；,按"])
def test_half_width_punctuation_is_found(text):
    """Between Chinese characters, behind one, before one."""
    assert wrong_in(text)


@pytest.mark.parametrize(
    "text", ["One area (区域), instead", "写作 2026-04-04T10:15", "用“纬度,经度”，小数", "条例（2008）第三条"]
)
def test_codes_times_and_glosses_are_not(text):
    """What is no Chinese sentence keeps its own marks."""
    assert wrong_in(text) is None


def test_no_sentence_of_the_program_has_half_width_punctuation():
    """Every string of every module."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {wrong_in(text)}"
        for path in SOURCES
        for line, text in sentences(path)
        if wrong_in(text)
    ]

    assert found == []


def test_no_sentence_of_the_tables_has_half_width_punctuation():
    """Policies, clocks, functions, procedures, duty sheets, what is wrong, help; comments are for authors."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {wrong_in(line)}"
        for path in TABLES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if not line.lstrip().startswith(("#", "//")) and wrong_in(line)
    ]

    assert found == []
