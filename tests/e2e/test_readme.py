"""The READMEs tell the truth: every command they name answers, every file they link is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.command_line import run

REPOSITORY = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
MAKE_TARGET = re.compile(r"^make ([a-z-]+)", re.MULTILINE)
COMMAND = re.compile(r"`(?:bridgehead )?([a-z]+(?: [a-z]+(?:\\\|[a-z]+)*)?)[^`]*`")
LINK = re.compile(r"\]\(([^)#]+)\)")
PARTS = {
    "demo", "node", "keys", "agreement", "permit", "lookup", "oversight", "subject", "erasure", "vehicle", "enterprise",
    "policy", "log", "audit", "bench",
}  # fmt: skip


def commands(text: str) -> set[tuple[str, ...]]:
    r"""Every command of the table: `permit register\\|endorse` is two."""
    found: set[tuple[str, ...]] = set()
    for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE):
        for line in COMMAND.findall(row):
            part, _, rest = line.partition(" ")
            if part in PARTS:
                found.update((part, name) for name in rest.split("\\|") if name)
                found.add((part,))
    return found


@pytest.mark.parametrize("readme", READMES)
def test_readme_names_commands_that_answer(readme):
    """`--help` of each command works, and the table names every part of the command line."""
    wanted = commands((REPOSITORY / readme).read_text(encoding="utf-8"))

    assert {command[0] for command in wanted} == PARTS
    for command in sorted(wanted):
        assert "Usage: bridgehead" in run(*command, "--help").out


@pytest.mark.parametrize("readme", [*READMES, "DESIGN.md", "CONTRIBUTING.md"])
def test_readme_links_to_files_that_are_there(readme):
    """A newcomer who follows a link finds a file."""
    links = LINK.findall((REPOSITORY / readme).read_text(encoding="utf-8"))

    for link in links:
        assert (REPOSITORY / link).exists(), link


def test_readme_make_targets_exist():
    """The two commands of the first screen are targets of the Makefile."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for readme in READMES:
        for target in MAKE_TARGET.findall((REPOSITORY / readme).read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
