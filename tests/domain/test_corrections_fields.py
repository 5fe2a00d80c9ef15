"""Tests of the fields that may be corrected by request, on whose word, and of the corrected permit."""

from __future__ import annotations

from datetime import date

import pytest

from federation.domain.corrections import (
    IDENTITY_FIELDS,
    NOT_BY_REQUEST,
    RECORD_FIELDS,
    amend_permit,
    value_of,
    verify_proven,
    verify_wanted,
)
from federation.domain.permits import PERMIT_FIELDS, PermitStatus
from federation.protocol.errors import MalformedError, RuleError
from federation.protocol.form import replace
from federation.protocol.ids import Realm

GOOD = {
    "holder_name": "徐谷语",
    "ethnicity": "畲",
    "citizen_number": "361123219003070039",
    "household_division": "361125",
    "household_address": "江西省上饶市玉山县示例路30号",
    "residence_address": "浙江省衢州市常山县示例路99号",
    "work_division": "330824",
    "ground": "dwelling",
    "residence_since": "2024-12-31",
}


def amend(permit, field, value):
    return amend_permit(permit, field, value, realm=Realm.DEMO)


def test_every_field_of_a_permit_is_either_correctable_or_refused_in_words():
    """No field is forgotten: identity, record, or a reason why nobody may correct it by request."""
    assert set(PERMIT_FIELDS) == IDENTITY_FIELDS | RECORD_FIELDS | NOT_BY_REQUEST.keys()
    assert not IDENTITY_FIELDS & RECORD_FIELDS
    assert not (IDENTITY_FIELDS | RECORD_FIELDS) & NOT_BY_REQUEST.keys()


@pytest.mark.parametrize(("field", "value"), GOOD.items())
def test_amend_permit_changes_one_field_and_the_version(permit, field, value):
    """The owner's next version says what was asked for, and all else stays."""
    amended = amend(permit, field, value)

    assert (value_of(amended, field), amended.version) == (value, permit.version + 1)
    changed = {name for name in IDENTITY_FIELDS | RECORD_FIELDS if value_of(amended, name) != value_of(permit, name)}
    assert changed == {field}
    assert (amended.status, amended.endorsed_until) == (permit.status, permit.endorsed_until)


def test_amend_permit_birth_date_and_sex_follow_the_citizen_number(permit):
    """GB 11643: a birth date or a sex that the number contradicts is corrected in the number first."""
    wrong = replace(permit, holder=replace(permit.holder, birth_date=date(2190, 7, 3), sex="female"))

    assert amend(wrong, "birth_date", "2190-03-07").holder.birth_date == date(2190, 3, 7)
    assert amend(wrong, "sex", "male").holder.sex == "male"
    for field, value in (("birth_date", "2190-03-08"), ("sex", "female")):
        with pytest.raises(RuleError, match="NUMBER_DISAGREES"):
            amend(permit, field, value)


@pytest.mark.parametrize("field", sorted(NOT_BY_REQUEST))
def test_verify_wanted_of_a_field_of_the_steps_says_why_not(field):
    """Status and the days of the steps are changed by the steps of the law, never by request."""
    with pytest.raises(RuleError, match="FIELD_NOT_CORRECTABLE") as caught:
        verify_wanted(field, "x", Realm.DEMO)
    assert NOT_BY_REQUEST[field] in caught.value.message


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("name", "x", "CORRECTION_FIELD"),
        ("papers", "x", "CORRECTION_FIELD"),
        ("holder_name", "", "CORRECTION_VALUE"),
        ("holder_name", " 徐", "CORRECTION_VALUE"),
        ("holder_name", "徐\n", "CORRECTION_VALUE"),
        ("holder_name", "徐" * 201, "CORRECTION_VALUE"),
        ("sex", "m", "CORRECTION_VALUE"),
        ("ground", "love", "CORRECTION_VALUE"),
        ("work_division", "33082", "CORRECTION_VALUE"),
        ("household_division", "33082a", "CORRECTION_VALUE"),
        ("residence_since", "20250101", "CORRECTION_VALUE"),
        ("residence_since", "2025-02-30", "CORRECTION_VALUE"),
        ("birth_date", "1990-03-07", "REAL_NUMBER_IN_DEMO"),
        ("citizen_number", "361123219003070011", "CITIZEN_NUMBER_CHECKSUM"),
        ("citizen_number", "3611232190030700", "CITIZEN_NUMBER_LENGTH"),
    ],
)
def test_verify_wanted_of_another_form_is_malformed(field, value, reason):
    """A value has the form of its field and the realm of the node; the value itself is not told."""
    with pytest.raises(MalformedError, match=reason) as caught:
        verify_wanted(field, value, Realm.DEMO)
    assert len(value) < 8 or value not in caught.value.message


def test_verify_wanted_in_the_live_realm_takes_no_synthetic_person():
    """The realm guard holds for corrections too."""
    with pytest.raises(MalformedError, match="CITIZEN_NUMBER_FUTURE"):
        verify_wanted("birth_date", "2190-03-07", Realm.LIVE)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("holder_name", "徐谷雨", "SAME_VALUE"),
        ("household_division", "330822", "HOUSEHOLD_NOT_LEFT"),
        ("residence_since", "2025-02-05", "RESIDENCE_TOO_SHORT"),
    ],
)
def test_amend_permit_to_what_the_law_does_not_issue_is_refused(permit, field, value, reason):
    """A correction makes no permit that could not have been issued, and none that changes nothing."""
    with pytest.raises(RuleError, match=reason):
        amend(permit, field, value)


def test_amend_permit_born_after_the_application_is_refused(permit):
    """The days stay in order."""
    late = replace(permit, apply_date=date(1990, 3, 6))
    with pytest.raises(RuleError, match="PERMIT_DATES"):
        amend(late, "holder_name", "徐谷语")


@pytest.mark.parametrize("status", [PermitStatus.REVOKED, PermitStatus.REPLACED])
def test_amend_permit_that_ended_is_refused(permit, status):
    """A revoked or replaced permit takes no further step."""
    with pytest.raises(RuleError, match="PERMIT_ENDED"):
        amend(replace(permit, status=status), "holder_name", "徐谷语")


@pytest.mark.parametrize(
    ("field", "filed_in", "papers", "proven"),
    [
        ("holder_name", "361123", 0, True),
        ("holder_name", "330822", 1, True),
        ("holder_name", "330822", 0, False),
        ("citizen_number", "341022", 0, False),
        ("residence_address", "341022", 0, True),
    ],
)
def test_verify_proven_identity_needs_the_word_of_the_household_place(field, filed_in, papers, proven):
    """Owner by field: the identity is the household place's, the rest the issuing county's own."""
    if proven:
        verify_proven(field, household_division="361123", filed_in=filed_in, papers=papers)
        return
    with pytest.raises(RuleError, match="IDENTITY_UNPROVEN"):
        verify_proven(field, household_division="361123", filed_in=filed_in, papers=papers)
