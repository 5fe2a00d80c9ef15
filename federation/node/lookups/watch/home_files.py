"""What the watch reads from a node's home: the planted records (`honey.txt`), the working days (`calendar.toml`).

Both may be absent. A planted record is the URN of a record or a plate, one a line; lines that begin with # are
remarks. A changed file counts at once, without a restart; an unchanged one is not read again.
Source: misuse controls M8 and M10.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from federation.domain.rules.calendar import Calendar, parse_calendar

HONEY_FILE, CALENDAR_FILE = "honey.txt", "calendar.toml"
_State: TypeAlias = tuple[int, int, int]


def load_honey(home: Path) -> frozenset[str]:
    """What the planted records are found by; empty when this home has none."""
    path = home / HONEY_FILE
    state = _state_of(path)
    return _read_honey(path, state) if state is not None else frozenset()


def find_calendar(home: Path) -> Calendar | None:
    """The working days of this home, None when it has no table.

    Raises:
        MalformedError: as `parse_calendar`.
    """
    path = home / CALENDAR_FILE
    state = _state_of(path)
    return _read_calendar(path, state) if state is not None else None


def _state_of(path: Path) -> _State | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=16)
def _read_honey(path: Path, state: _State) -> frozenset[str]:
    del state
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=16)
def _read_calendar(path: Path, state: _State) -> Calendar:
    del state
    return parse_calendar(path.read_text(encoding="utf-8"))
