"""The blocks of commands of a page, run as they are printed, one after the other, in a folder like a fresh clone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.forked import write_program
from tests.ports import free_ports

REPOSITORY = Path(__file__).parents[2]
BLOCK_SECONDS = 600
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLAIN = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SETTING = re.compile(r'`([A-Z]="[^"`]+")`')
_COMMENT = re.compile(r"\s*# .*$", re.MULTILINE)
_PORT = re.compile(r"(?<=_port = )\d+")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    """The blocks marked `sh`; others show output, or do not stand for themselves."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return [Block(page, text.count("\n", 0, found.start()) + 2, found[1]) for found in _BLOCK.finditer(text)]


def commands_of(page: str) -> list[str]:
    """The same without comments, which each language has of its own."""
    return [_COMMENT.sub("", block.text) for block in blocks_of(page)]


@dataclass(frozen=True)
class Section:
    """A section that follows the demo: what its text sets (`P="--home ..."`), and its lines in their order."""

    settings: tuple[str, ...]
    lines: tuple[str, ...]


def sections_of(page: str) -> list[Section]:
    """The sections whose text sets the offices that its lines name; `sh` blocks stand for themselves."""
    found = []
    for text in (REPOSITORY / page).read_text(encoding="utf-8").split("\n## "):
        settings = tuple(_SETTING.findall(text))
        lines = [line for block in _PLAIN.findall(text) for line in block.replace("\\\n", " ").splitlines()]
        if settings:
            found.append(Section(settings, tuple(line for line in lines if line.startswith("bridgehead "))))
    return found


NOT_RUN = {
    "make demo": "test_demo.py runs the command that it calls",
    "make demo DEMO_FLAGS=--keep": "test_demo.py runs the command that it calls, with --keep",
    "make setup": "needs a package registry; .ci/run begins with make setup-dev",
    "make setup-dev": "needs a package registry; .ci/run begins with it",
    "make test": "it is this run",
    "make attacks": "its tests are in this run",
    "make lint type": ".ci/run does it before this run",
    "make proto": ".ci/run does it and compares what it wrote",
    "bash .ci/run": "it makes this run",
    "git pull": "needs an origin to pull from",
    "docker compose up --build --detach --wait": "needs Docker; test_compose.py reads the file",
    "docker compose run --rm audit": "needs Docker; test_compose.py reads the file",
    "docker compose down": "needs Docker; test_compose.py reads the file",
    "bridgehead --install-completion": "writes into the files of the shell; test_completion.py asks what it would",
    ".venv/bin/python -m pytest tests/node/test_leads.py": "it is part of this run",
    ".venv/bin/python -m tests.architecture.test_census": "test_census.py prints and bounds the same figures",
    "bridgehead policy replay --home HOME --draft policies": "stands for any home; test_policy.py replays one",
    "bridgehead node init --home homes/jiangsu --from nodes/jiangsu": "takes thirty days of exercises; test_admission.py lives them",
    "bridgehead agreement draft --out draft-new --after homes/zhejiang --bundle homes/jiangsu/member-bundle.json": "takes thirty days of exercises; test_admission.py lives them",
    "bridgehead node conform jiangsu --home homes/zhejiang --out jiangsu-conformance.json": "takes thirty days of exercises; test_admission.py lives them",
    "bridgehead agreement draft --out draft-actual --after homes/zhejiang --actual jiangsu-conformance.json": "takes thirty days of exercises; test_admission.py lives them",
}
"""Commands that a page prints and no test runs as printed, each with its reason."""
ALONE = ("bridgehead policy explain '常山服务大厅签注'",)
"""Those of a text that need no node: each is run by itself."""
_FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TABLE_ROW = re.compile(r"^\|.*$", re.MULTILINE)
_PROGRAM = r"(?:bridgehead|make|docker|bash|git|\.venv/bin/\w+) [^`\n]+"
_SPAN = re.compile(rf"(?<!`)`({_PROGRAM})`(?!`)")
_LINE = re.compile(rf"^({_PROGRAM})$", re.MULTILINE)


def printed_on(page: str) -> set[str]:
    """Every command that a page prints: the lines of its blocks, and those in its text, outside tables of commands."""
    text = (REPOSITORY / page).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for block in _FENCED.findall(text) for line in _LINE.findall(block)]
    spans = _SPAN.findall(_TABLE_ROW.sub("", _FENCED.sub("", text)))
    return {" ".join(_COMMENT.sub("", command).split()) for command in (*lines, *spans)}


def run_on(page: str) -> set[str]:
    """Those of its blocks and sections, which tests run as they are printed."""
    blocks = "\n".join(block.text for block in blocks_of(page)).replace("\\\n", " ")
    lines = (*_LINE.findall(blocks), *(line for section in sections_of(page) for line in section.lines))
    return {" ".join(_COMMENT.sub("", command).split()) for command in lines}


def fresh_clone(folder: Path) -> Path:
    """What a block finds: the provinces' folders, on ports that are free here, and the policies."""
    for name in ("nodes", "policies"):
        shutil.copytree(REPOSITORY / name, folder / name)
    free = iter(free_ports(12))
    for path in sorted((folder / "nodes").glob("*/node.toml")):
        path.write_text(_PORT.sub(lambda _: str(next(free)), path.read_text(encoding="utf-8")), encoding="utf-8")
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    write_program(commands / "bridgehead")
    return folder


def run_block(block: Block, folder: Path) -> str:
    """Runs a block as one script; its output. The test fails with what it said when one of its commands does."""
    path = f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"
    said = folder / "said"
    with said.open("wb") as out:  # a file, since a node that the block starts keeps what it inherits open
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=folder, env={**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}, timeout=BLOCK_SECONDS,
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    text = said.read_text(encoding="utf-8", errors="replace")
    logs = "".join(f"\n== {log}\n{log.read_text()[-2000:]}" for log in folder.glob("homes/*/node.log"))
    assert done.returncode == 0, f"{block} ended with {done.returncode}:\n{text}{logs}"
    return text


def stop_all(folder: Path) -> None:
    """Ends the nodes that a block left, by the ids it wrote down, when they are still ours."""
    for path in folder.glob("homes/*/node.pid"):
        pid = int(path.read_text())
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and str(folder).encode() in os.fsencode(Path(f"/proc/{pid}/cwd").readlink()):
            os.kill(pid, signal.SIGKILL)
