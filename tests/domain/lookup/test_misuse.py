"""The limits on asking: how many look-ups, and about how many persons."""

from dataclasses import replace

import pytest

from federation.domain.lookup.misuse import LookupCounts, Quotas, verify_quota
from federation.protocol.errors import RuleError

FULL = LookupCounts(officer_today=50, case_total=30, case_persons=10)


def test_quota_that_is_just_full_is_taken():
    """The last look-up within every limit goes through without a countersignature."""
    verify_quota(FULL, Quotas(), countersigned=False)


@pytest.mark.parametrize(
    ("count", "reason", "advice"),
    [
        ({"officer_today": 51}, "QUOTA_OFFICER", "tomorrow"),
        ({"case_total": 31}, "QUOTA_CASE", "open another one"),
        ({"case_persons": 11}, "QUOTA_PERSONS", "countersign"),
    ],
)
def test_quota_that_is_exceeded_is_refused_with_advice(count, reason, advice):
    """One more than the limit is refused, and the message says what to do."""
    with pytest.raises(RuleError, match=advice) as caught:
        verify_quota(replace(FULL, **count), Quotas(), countersigned=False)
    assert caught.value.reason == reason


def test_countersignature_lifts_the_number_of_persons():
    """The leader may let a case reach further persons."""
    verify_quota(replace(FULL, case_persons=25), Quotas(), countersigned=True)


@pytest.mark.parametrize("count", [{"officer_today": 51}, {"case_total": 31}])
def test_countersignature_lifts_nothing_else(count):
    """Neither the officer's day nor the case's total."""
    with pytest.raises(RuleError):
        verify_quota(replace(FULL, **count), Quotas(), countersigned=True)


def test_quotas_of_an_agreement_replace_the_usual_ones():
    """Every limit can be narrower."""
    with pytest.raises(RuleError) as caught:
        verify_quota(FULL, Quotas(persons_per_case=3), countersigned=False)
    assert caught.value.reason == "QUOTA_PERSONS"
