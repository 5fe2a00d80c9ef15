"""One case of Yushan's police, asking in Changshan."""

from datetime import UTC, datetime

import pytest

from federation.domain.lookups_case import CaseTerms, LookupCase, open_case
from federation.protocol.ids import parse_agency_id


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def terms() -> CaseTerms:
    return CaseTerms(
        letter="玉公协字〔2026〕42号",
        counties=frozenset({"330822", "330881"}),
        purposes=frozenset({"lookup.criminal_investigation"}),
        days=30,
        leader="officer-7",
    )


@pytest.fixture
def case(terms: CaseTerms, now: datetime) -> LookupCase:
    """Open from 2026-11-23 08:00 UTC for 30 days."""
    return open_case("YS-2026-0042", terms, opened_by=parse_agency_id("jiangxi/361123/police"), now=now)
