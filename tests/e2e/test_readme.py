"""The READMEs and the design pages tell the truth: their commands answer, what they link and name is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer._click.core import Command
from typer.core import TyperGroup

from federation.cli import tree
from federation.cli.main import PARTS
from tests.cli.command_line import run
from tests.e2e.page_blocks import ALONE, NOT_RUN, printed_on, run_on

REPOSITORY = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
DESIGNS = ("DESIGN.md", *(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("federation/**/DESIGN.md")))
PAGES = (
    *READMES,
    *DESIGNS,
    "CONTRIBUTING.md",
    "SECURITY.md",
    "policies/README.md",
    "docs/operations.md",
    "docs/operations.zh-CN.md",
)
MAKE_TARGET = re.compile(r"^make ([a-z-]+)", re.MULTILINE)
ROW = re.compile(r"^\| ([^|]*(?:\\\|[^|]*)*) \|", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#]+)\)")
FILE = re.compile(r"`([\w./-]+\.(?:py|toml|proto|cedar|cedarschema|go|json|md|lock|yml))`|`([\w.-]+(?:/[\w.-]+)*/)`")
MODULE = re.compile(r"`([a-z_]+(?:/[a-z_]+)+)(?:\.[a-z_]+)?`")
MADE_ELSEWHERE = re.compile(
    r"^(?:\.demo/|homes/|VERIFY\.md$|federation\.json$|member-bundle\.json$|agreement\.zip$|(?:N\.root|targets|snapshot|timestamp|members|agreement)\.json$|console/|procedures/)"
)
"""What a command makes, what lies in a bundle, and what is still to come."""


def commands_named(text: str) -> set[str]:
    r"""Every command of the tables: `permit register\|endorse` is two."""
    found: set[str] = set()
    for span in (span for row in ROW.findall(text) for span in SPAN.findall(row)):
        words = span.removeprefix("bridgehead ").split()
        if words[0].split("\\|")[0] in PARTS:
            names = [""]
            for word in words:
                if not re.fullmatch(r"[a-z]+(?:-[a-z]+)*(?:\\\|[a-z]+(?:-[a-z]+)*)*", word):
                    break
                names = [f"{name} {each}".strip() for name in names for each in word.split("\\|")]
            found.update(names)
    return found


def commands_there(command: Command, name: str) -> Iterator[str]:
    """Every command that is shown in a help text; a part that does something by itself counts, too."""
    if isinstance(command, TyperGroup):
        if command.invoke_without_command:
            yield name
        for word, inner in command.commands.items():
            yield from commands_there(inner, f"{name} {word}".strip())
    elif not command.hidden:
        yield name


def test_readmes_name_commands_that_answer():
    """`--help` of each command that either of them names works."""
    wanted = commands_named("\n".join((REPOSITORY / readme).read_text(encoding="utf-8") for readme in READMES))

    for command in sorted(wanted):
        assert "Usage: bridgehead" in run(*command.split(), "--help").out


@pytest.mark.parametrize("readme", READMES)
def test_readme_names_every_command(readme):
    """The table of commands leaves none out: who reads it knows what there is."""
    named = commands_named((REPOSITORY / readme).read_text(encoding="utf-8"))
    there = set(commands_there(tree.whole(), ""))

    assert sorted(there - named) == []


@pytest.mark.parametrize("page", PAGES)
def test_page_links_to_files_that_are_there(page):
    """A newcomer who follows a link finds a file."""
    path = REPOSITORY / page
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link]

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_page_names_files_that_are_there(page):
    """A file, a folder or a module that a page names lies in the repository, in the package or beside the page."""
    path = REPOSITORY / page
    text = path.read_text(encoding="utf-8")
    names = {file or folder for file, folder in FILE.findall(text) if not MADE_ELSEWHERE.match(file or folder)}
    beside = (path.parent, REPOSITORY, REPOSITORY / "federation", *path.parent.glob("*/"))
    modules = {
        name for name in MODULE.findall(FILE.sub("", text)) if any((where / name).parent.is_dir() for where in beside)
    }
    missing = [name for name in names if not any((where / name).exists() for where in beside)]
    missing += [
        name
        for name in modules
        if not any((where / f"{name}{end}").exists() for where in beside for end in ("", ".py"))
    ]

    assert sorted(missing) == []


@pytest.mark.parametrize("page", [page for page in DESIGNS if "\n| module |" in (REPOSITORY / page).read_text("utf-8")])
def test_design_page_lists_every_module(page):
    """The table of a floor's page names each of its modules and folders, and none that is not there."""
    folder = (REPOSITORY / page).parent
    table = (REPOSITORY / page).read_text(encoding="utf-8").partition("\n| module |")[2].partition("\n\n")[0]
    named = {span.rstrip("/").removesuffix(".py") for row in ROW.findall(table) for span in SPAN.findall(row)}
    there = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert sorted(there - {"__init__"} - named) == []
    assert sorted(name for name in named if not any((folder / f"{name}{end}").exists() for end in ("", ".py"))) == []


PRINTING = (
    *READMES,
    "docs/operations.md",
    "docs/operations.zh-CN.md",
    "policies/README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)


@pytest.mark.parametrize("page", PRINTING)
def test_each_command_that_a_page_prints_is_run_or_its_reason_is_known(page):
    """As printed, by the tests of the blocks and of the demo; a bare name of a command answers its --help."""
    names = {f"bridgehead {name}" for name in commands_there(tree.whole(), "")}
    known = run_on(page) | NOT_RUN.keys() | set(ALONE) | names

    assert printed_on(page) - known == set()


def test_no_reason_outlives_its_command():
    """Each reason is of a command that some page prints, and that no test runs."""
    printed = set().union(*map(printed_on, PRINTING))
    run_somewhere = set().union(*map(run_on, PRINTING))

    assert NOT_RUN.keys() | set(ALONE) <= printed
    assert NOT_RUN.keys().isdisjoint(run_somewhere)
    assert all(NOT_RUN.values())


@pytest.mark.parametrize("command", ALONE)
def test_command_that_needs_no_node_does_what_its_page_says(command, monkeypatch):
    """It is typed where the page is read: in the folder of the repository."""
    monkeypatch.chdir(REPOSITORY)
    assert run(*shlex.split(command)[1:]).out


def test_readme_make_targets_exist():
    """The two commands of the first screen are targets of the Makefile."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for readme in READMES:
        for target in MAKE_TARGET.findall((REPOSITORY / readme).read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
