"""The table of the attacks: what was tried, what held it, how long it took, how much memory the node took for it.

Every test in `tests/attacks` is a row by itself: the attack is the first line of its module's docstring, what held it the
name of the test in words. A mark says either better, and makes a row of a unit test in any other folder:

    @pytest.mark.attack("a gzip bomb in a question", held_by="compression is off (wire/server)")

`make attacks` runs them and prints the table. The fixture `memory` measures a process and adds the growth to the row:

    with memory(process.pid) as growth:
        ...
    assert growth.mb < MOST_MB
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

MARK: Final = "attack"
MOST_MB: Final = 64
"""No attack may make a node take more memory than this."""


@dataclass
class Growth:
    """What a process took at its worst beyond what it had; known once the measured part is over."""

    mb: float = 0.0


Measure = Callable[[int], AbstractContextManager[Growth]]


@pytest.fixture
def memory(record_property) -> Measure:
    """Measures the growth of a process by its pid, its peak included, for the row of this test."""

    @contextmanager
    def measure(pid: int) -> Iterator[Growth]:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak starts again at what is resident now
        found, before = Growth(), _read_kb(pid, "VmRSS")
        yield found
        found.mb = max(0, _read_kb(pid, "VmHWM") - before) / 1024
        record_property("memory_mb", round(found.mb, 1))

    return measure


def _read_kb(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(name, held_by=): a row in the table of the attacks")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Makes a row of every test of this folder; the row travels with the report, also between workers."""
    if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker(MARK) is None:
        item.add_marker(MARK)
    mark = item.get_closest_marker(MARK)
    if mark is None:
        return
    module = (getattr(getattr(item, "module", None), "__doc__", None) or item.path.stem).strip().split("\n")[0]
    name = mark.args[0] if mark.args else module
    held_by = mark.kwargs.get("held_by") or item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    item.user_properties += [("attack", name), ("held_by", held_by)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("markexpr") != MARK:
        return
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for heading, justify in (("attack", "left"), ("what held it", "left"), ("seconds", "right"), ("memory", "right")):
        shown.add_column(heading, justify=justify)
    for outcome in ("failed", "passed"):
        for row in _rows(terminalreporter, outcome):
            shown.add_row(*map(escape, row))
    terminalreporter.section("attacks")
    Console(width=160).print(shown)


def _rows(reporter: pytest.TerminalReporter, outcome: str) -> list[tuple[str, str, str, str]]:
    found = []
    for report in reporter.getreports(outcome):
        told = dict(report.user_properties)
        if "attack" not in told or (report.when != "call" and outcome == "passed"):
            continue
        held_by = told["held_by"] if outcome == "passed" else f"NOTHING: {report.nodeid}"
        grown = f"{told['memory_mb']:+.1f} MB" if "memory_mb" in told else "-"
        found.append((told["attack"], held_by, f"{report.duration:.1f}", grown))
    return sorted(found)
