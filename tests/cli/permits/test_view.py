"""Tests of what is shown: masks that give nobody away, columns that line up, words for every word."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli.permits import words
from federation.cli.permits.view import list_lines, mask_day, mask_number, pad, permit_lines, permit_object, width_of
from federation.domain.citizen_number import Sex, format_citizen_number
from federation.domain.permit import Ground, Paper, PermitStatus, RevokeReason
from federation.domain.permit_item import PERMIT_FIELDS, PermitItem, project_permit
from federation.domain.recognition import RecognitionMode, RecognitionOutcome, RecognitionReason
from federation.domain.synthetic import synthetic_permits
from federation.protocol.ids import NodeName

TODAY = date(2026, 11, 23)
PERMITS = list(synthetic_permits(NodeName("zhejiang"), 30, seed=1, today=TODAY))
ITEMS = [project_permit(permit, frozenset(PERMIT_FIELDS)) for permit in PERMITS]


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (words.STATUSES, PermitStatus),
        (words.SEXES, Sex),
        (words.GROUNDS, Ground),
        (words.PAPERS, Paper),
        (words.REVOKE_REASONS, RevokeReason),
        (words.MODES, RecognitionMode),
        (words.OUTCOMES, RecognitionOutcome),
        (words.REASONS, RecognitionReason),
    ],
)
def test_every_word_has_its_chinese(table, kind):
    """A clerk never meets a word without its Chinese."""
    assert set(table) == set(kind)


def test_every_field_has_its_label():
    """Whatever policy may release can be shown."""
    assert {field.name for field in fields(PermitItem)} <= set(words.FIELDS)


@given(
    st.dates(date(2100, 1, 1), date(2299, 12, 31)), st.integers(0, 999), st.sampled_from(["330822", "361123", "341022"])
)
def test_mask_of_number_and_day_hides_month_day_and_sequence(born, sequence, county):
    """County and two characters stay of the number, the year of the day."""
    number = format_citizen_number(county, born, sequence=sequence)

    masked = mask_number(number)

    assert len(masked) == len(number)
    assert masked == number[:6] + "*" * 10 + number[-2:]
    assert mask_day(born) == f"{born.year}-**-**"


def test_permit_object_is_masked_unless_all_is_asked_for():
    """The default shows less."""
    for item in ITEMS:
        masked, full = (permit_object(item, full=choice, today=TODAY) for choice in (False, True))
        assert item.citizen_number not in str(masked)
        assert item.birth_date.isoformat() not in str(masked)
        assert full["citizen_number"] == item.citizen_number
        assert full["birth_date"] == item.birth_date.isoformat()


def test_permit_lines_show_released_fields_and_today_s_standing():
    """A field that was not released is no line; the status is that of today (article 10)."""
    permit = next(found for found in PERMITS if found.status is PermitStatus.VALID)
    item = project_permit(permit, frozenset({"endorsed_until"}))

    late = permit.endorsed_until.replace(year=permit.endorsed_until.year + 1)
    lines = list(permit_lines(item, full=False, today=late))

    assert any("已中止使用功能 suspended" in line for line in lines)
    assert not any("holder_name" in line for line in lines)


def test_list_lines_line_up():
    """Chinese characters take two columns; a permit is one line."""
    lines = list(list_lines(ITEMS, today=TODAY))

    assert len(lines) == len(ITEMS) + 1
    ends = {width_of(line[: line.rindex("  ")]) for line in lines[1:]}
    assert len(ends) == 1


def test_width_counts_chinese_double():
    """As a terminal shows it."""
    assert width_of("a居b") == 4
    assert pad("居", 4) == "居  "
    assert pad("long enough", 3) == "long enough"
