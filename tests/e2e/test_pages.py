"""The commands of the README make a federation that an auditor verifies, as they are printed, and none of them fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.page_blocks import blocks_of, commands_of, fresh_clone, run_block, stop_all

PAGES = ("README.md", "docs/operations.md")
*MAKING, STOPPING = blocks_of("README.md")
STORY = [*MAKING, *blocks_of("docs/operations.md"), STOPPING]
SAYS = {
    "homes/$p --from nodes/$p": ("zhejiang: homes/zhejiang  ", "个单位 agencies  演示 demo", "anhui: homes/anhui"),
    "agreement publish": ("内容 content",),
    "log restart": ("停用 retired", "shown by  anhui, jiangxi, zhejiang"),
    "agreement diff draft-5": ("RETIRES ITS LOG",),
    "permit import --synthetic 20": ("20",),
    "audit verify": ("通过 PASS", "| 4 logs"),
}
"""What is printed by a block in which these words stand."""


@pytest.fixture
def clone(tmp_path):
    """A folder like a fresh clone, in which the blocks follow each other."""
    yield fresh_clone(tmp_path)
    stop_all(tmp_path)


@pytest.mark.timeout(900)  # an administrator's year: dozens of commands, each a process
def test_commands_of_the_pages_make_a_federation_and_keep_it(clone: Path):
    """Each block ends well after those before it, and says what it is to say."""
    for block in STORY:
        said = run_block(block, clone)

        for words, expected in SAYS.items():
            if words in block.text:
                assert [each for each in expected if each not in said] == [], said


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_hold_the_same_commands(page: str):
    """Who reads Chinese runs what who reads English runs."""
    chinese = page.removesuffix(".md") + ".zh-CN.md"

    assert commands_of(page) == commands_of(chinese)
    assert len(commands_of(page)) > 3
