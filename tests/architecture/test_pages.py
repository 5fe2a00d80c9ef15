"""Pages that there are in both languages say the same: the same sections in order, the same commands, folders and blocks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    "README.md": (
        ("The house", "这座房子"), ("Commands", "命令"), ("A real federation", "真正的联邦"), ("Four containers", "四省容器"),
        ("A look-up", "一次核查"), ("A joint case", "一件联办案件"), ("An alert", "一起警情"), ("Tests", "测试"),
        ("Verified with other people's tools", "用他人的工具核验"),
        ("Limits", "限度"),
    ),
    "docs/operations.md": (
        ("Back up", "备份"), ("Restore", "恢复"), ("Upgrade", "升级"), ("Rotate a key", "更换密钥"),
        ("Renew certificates", "换发证书"), ("An officer comes, an officer goes", "人员到岗与离岗"),
        ("Suspend a province, and lift it", "中止与恢复"), ("Expel a province", "除名"), ("Admit a province", "接纳"),
        ("Admit a province that was never a member", "接纳从未加入的省"),
        ("Retire a log and begin a new one", "停用日志，另立新日志"), ("Audit after each of these", "每次之后都要审计"),
        ("The auditor's day", "审计人员的一天"),
    ),
}  # fmt: skip
"""The sections of each page in order, with their names in Chinese."""
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```\w*\n.*?^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| (`.+?) \| ", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,;:!?()]|[,;:!?()][\u4e00-\u9fff]")


def chinese(page: str) -> str:
    return page.removesuffix(".md") + ".zh-CN.md"


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sections(page: str) -> list[tuple[str, str]]:
    """The sections of a page, by name, with what stands in each."""
    _, *parts = _SECTION.split(read(page))
    return list(zip(parts[::2], parts[1::2], strict=True))


def first_cells(text: str) -> list[list[str]]:
    """What is named in the first column of the tables of a text."""
    return [_CODE.findall(cell) for cell in _ROW.findall(text)]


def test_every_page_in_two_languages_is_looked_at() -> None:
    """A new one is a row above."""
    found = {str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.zh-CN.md"), *ROOT.glob("docs/**/*.zh-CN.md")]}

    assert found == {chinese(page) for page in SECTIONS}


@pytest.mark.parametrize("page", SECTIONS)
def test_both_pages_have_the_same_sections_in_the_same_order(page: str) -> None:
    """A section that one page lacks, or has elsewhere, is a section that half of the readers never meet."""
    assert [name for name, _ in sections(page)] == [english for english, _ in SECTIONS[page]]
    assert [name for name, _ in sections(chinese(page))] == [name for _, name in SECTIONS[page]]


@pytest.mark.parametrize("page", SECTIONS)
def test_a_section_names_the_same_things_in_both_languages(page: str) -> None:
    """The rows of its tables by their code, and as many blocks."""
    for (english, text), (name, other) in zip(sections(page), sections(chinese(page)), strict=True):
        assert first_cells(other) == first_cells(text), (english, name)
        assert len(_FENCED.findall(other)) == len(_FENCED.findall(text)), (english, name)


@pytest.mark.parametrize("page", SECTIONS)
def test_chinese_page_has_chinese_punctuation(page: str) -> None:
    """GB/T 15834: no half-width mark beside a Chinese character, outside blocks and code."""
    text = re.sub(r"\]\([^)]*\)", "]", _CODE.sub("", _FENCED.sub("", read(chinese(page)))))

    assert _HALF_WIDTH.findall(text) == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("federation/**/DESIGN.md")), ids=lambda page: page.parent.name)
def test_module_that_a_page_names_in_its_table_is_there(page: Path) -> None:
    """Who looks for a file by the page of its floor finds it; what was renamed is renamed there, too."""
    tables = re.findall(r"^\| modules? \|.*\n\|[-| ]+\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for table in tables for row in table.splitlines() for name in _CODE.findall(row.split("|")[1])]

    assert [name for name in named if not any((page.parent / f"{name}{end}").exists() for end in ("", ".py"))] == []


@pytest.mark.parametrize(
    "page", [*SECTIONS, *map(chinese, SECTIONS), "DESIGN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
)
def test_link_of_a_page_leads_somewhere(page: str) -> None:
    """Links to other files of the repository; those to the web are not looked at."""
    links = re.findall(r"\]\(([^)#]+)\)", read(page))

    assert [link for link in links if "://" not in link and not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", ["SECURITY.md", "README.md", "DESIGN.md", "CONTRIBUTING.md"])
def test_test_that_a_page_names_is_there(page: str) -> None:
    """A promise that names its test can be checked."""
    named = re.findall(r"`(tests/[a-z_/0-9]+(?:\.py)?)`", read(page))

    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()] == []
