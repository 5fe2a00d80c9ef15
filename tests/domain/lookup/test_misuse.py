"""The limits on asking: how many look-ups, and about how many persons."""

from dataclasses import replace

import pytest

from federation.domain.lookup.misuse import (
    LookupCounts,
    Quotas,
    countersign_bytes,
    verify_countersigner,
    verify_quota,
)
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


def test_countersigner_is_the_leader_who_did_not_ask(case):
    """The leader of the case lets it reach further persons."""
    verify_countersigner(case, "officer-7", askers={"officer-8"})


@pytest.mark.parametrize(
    ("signer", "askers", "reason"),
    [("officer-8", set(), "COUNTERSIGN_LEADER"), ("officer-7", {"officer-7"}, "COUNTERSIGN_SELF")],
)
def test_countersigner_who_leads_not_or_asked_is_refused(case, signer, askers, reason):
    """Two persons: neither another officer nor a leader who asked themselves."""
    with pytest.raises(RuleError) as caught:
        verify_countersigner(case, signer, askers=askers)
    assert caught.value.reason == reason


def test_countersign_bytes_are_of_one_case(case):
    """A signature for one case is of no use for another."""
    assert countersign_bytes(case.case_id, case.opened_by) != countersign_bytes("YS-2026-0043", case.opened_by)
