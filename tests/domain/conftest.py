"""One invented applicant and the agreed tables, shared by the tests of this floor."""

from datetime import date
from pathlib import Path

import pytest

from federation.domain.citizen_number import Sex
from federation.domain.clock import Calendar, ClockTable, parse_calendar, parse_clocks
from federation.domain.permits import (
    Ground,
    Holder,
    Paper,
    Permit,
    PermitApplication,
    format_permit_urn,
    register_permit,
)

_POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture
def application() -> PermitApplication:
    return PermitApplication(
        holder=Holder(
            name="徐谷雨",
            sex=Sex.MALE,
            ethnicity="汉",
            birth_date=date(2190, 3, 7),
            citizen_number="361123219003070012",
            photo_digest="ab" * 32,
            household_division="361123",
            household_address="江西省上饶市玉山县示例路3号",
        ),
        residence_division="330822",
        residence_address="浙江省衢州市常山县示例路12号",
        work_division="330822",
        issuer="常山县公安局",
        ground=Ground.JOB,
        residence_since=date(2025, 1, 10),
        apply_date=date(2025, 8, 1),
        accept_date=date(2025, 8, 4),
        papers=frozenset(Paper) - {Paper.GUARDIAN_IDENTITY},
    )


@pytest.fixture
def permit(application: PermitApplication) -> Permit:
    """Issued on 2025-08-12 and so endorsed until 2026-08-12."""
    return register_permit(application, format_permit_urn("330822", 2025, serial="000123"), today=date(2025, 8, 12))


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    return parse_calendar((_POLICIES / "calendar.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def clocks() -> ClockTable:
    return parse_clocks((_POLICIES / "clocks.toml").read_text("utf-8"))
