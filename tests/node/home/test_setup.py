"""A new home: it knows the working days that the provinces agreed on; one without the table keeps working."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from federation.domain.lookup.break_glass import notice_of, open_break_glass
from federation.domain.lookup.case import CaseTerms
from federation.domain.lookup.watch import is_off_hours
from federation.node.home.setup import create_home
from federation.node.lookups.watch.home_files import find_calendar
from federation.protocol.errors import MalformedError
from federation.protocol.ids import parse_agency_id
from tests.node.rig import REPOSITORY, START

SATURDAY_NOON = datetime(2026, 2, 14, 4, tzinfo=UTC)
"""A Saturday that is worked for the Spring Festival."""
FRIDAY = datetime(2026, 2, 13, 4, tzinfo=UTC)
TERMS = CaseTerms(
    letter="", counties=frozenset({"361123"}), purposes=frozenset({"lookup.missing_person"}), days=0, leader="leader-1"
)


def due_of(home: Path, opened: datetime) -> date:
    police = parse_agency_id("zhejiang/330822/police")
    case = open_break_glass("BREAK-GLASS-2026-001", TERMS, opened_by=police, now=opened)
    return notice_of(case, "officer-1", calendar=find_calendar(home)).due


def test_new_home_knows_the_working_days_of_2026(tmp_path: Path) -> None:
    """A Saturday that is worked is a working day: hours count, and a review falls due on it."""
    create_home(tmp_path / "home", REPOSITORY / "nodes" / "zhejiang", now=START)

    calendar = find_calendar(tmp_path / "home")

    assert not is_off_hours(SATURDAY_NOON, calendar)
    assert due_of(tmp_path / "home", FRIDAY) == date(2026, 2, 14)
    assert due_of(tmp_path / "home", SATURDAY_NOON) == date(2026, 2, 24)


def test_home_without_the_table_keeps_working(tmp_path: Path) -> None:
    """A province's folder that lies by itself has no policies beside it: weekends are free, reviews due next day."""
    shutil.copytree(REPOSITORY / "nodes" / "zhejiang", tmp_path / "alone" / "zhejiang")
    create_home(tmp_path / "home", tmp_path / "alone" / "zhejiang", now=START)

    assert find_calendar(tmp_path / "home") is None
    assert is_off_hours(SATURDAY_NOON, None)
    assert due_of(tmp_path / "home", FRIDAY) == date(2026, 2, 14)


def test_calendar_that_was_changed_counts_at_once(tmp_path: Path) -> None:
    """The table is read again when the file changes; a broken one is told, not passed over."""
    shutil.copy(REPOSITORY / "policies" / "calendar.toml", tmp_path / "calendar.toml")
    before = find_calendar(tmp_path)
    assert before is not None
    text = (tmp_path / "calendar.toml").read_text(encoding="utf-8")
    (tmp_path / "calendar.toml").write_text(text.replace("2026-02-14, ", ""), encoding="utf-8")
    after = find_calendar(tmp_path)
    assert after is not None
    assert is_off_hours(SATURDAY_NOON, after)
    assert not is_off_hours(SATURDAY_NOON, before)
    (tmp_path / "calendar.toml").write_text("[[year]]\n", encoding="utf-8")
    with pytest.raises(MalformedError):
        find_calendar(tmp_path)
